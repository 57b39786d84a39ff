"""Checks content before a reader meets it: `python -m cinegen_core.writers.embedded.lint FOLDER | --library`."""

from __future__ import annotations

import argparse
import itertools
import re
import sys
from collections import defaultdict
from collections.abc import Iterable, Iterator
from pathlib import Path

import yaml

from cinegen_core.writers.embedded.cards import Cards
from cinegen_core.writers.embedded.notation import (
    REQUIRED,
    BeatScript,
    EndingScript,
    Lines,
    NotationError,
    SceneScript,
    Script,
    parse,
)

ROLES = ("A", "H", "X")
LIBRARY = Path(__file__).parent / "library"
PLACE_KINDS = (
    "home", "kitchen", "office", "street", "bar", "shop", "vehicle", "ward", "school", "boat", "outdoors", "workshop", "stage",
)  # fmt: skip
_BIOGRAPHY = re.compile(
    r"\b(my|your|his|her|their) (mother|father|mum|dad|wife|husband|brother|sister|son|daughter|uncle|aunt|nan|gran)\b"
    r"|\b(19|20)\d\d\b|\b(january|february|march|april|june|july|august|september|october|november|december)\b",
    re.IGNORECASE,
)


def sentences(text: str) -> list[str]:
    return [s for s in re.split(r"(?<=[.?!])[\s\"”]+", text) if s]


def plain(sentence: str) -> str:
    return re.sub(r"[^a-z0-9' ]", "", sentence.casefold()).strip()


def _texts(lines: Lines) -> Iterator[tuple[int, str]]:
    for turn in lines:
        for option in turn.options:
            yield turn.number, option.text


def _all_lines(script: Script) -> Iterator[tuple[str, Lines]]:
    for scene in script.scenes:
        for beat in scene.beats:
            for variant in beat.variants:
                yield scene.source, variant
    for hook in script.hooks:
        yield hook.source, hook.lines
    for ending in script.endings:
        yield ending.source, ending.lines
        for choice in ending.choices:
            yield ending.source, choice.lines


def repeated_sentences(script: Script) -> Iterator[str]:
    seen: dict[str, tuple[str, int]] = {}
    for source, lines in _all_lines(script):
        for number, text in _texts(lines):
            for sentence in sentences(text):
                key = plain(sentence)
                if len(key.split()) < 4:
                    continue
                if key in seen and seen[key] != (source, number):
                    where = seen[key]
                    yield f"{source}:{number}: sentence stands already at {where[0]}:{where[1]}: {sentence!r}"
                seen.setdefault(key, (source, number))


def _first_last(lines: Lines) -> tuple[str | None, str | None]:
    spoken = [turn.who for turn in lines if turn.spoken]
    return (spoken[0], spoken[-1]) if spoken else (None, None)


def _runs(lines: Lines) -> Iterator[int]:
    previous = None
    for turn in lines:
        if not turn.spoken:
            continue
        if turn.who == previous:
            yield turn.number
        previous = turn.who


def adjacency(scene: SceneScript) -> Iterator[str]:
    """Beats whose variants could put two cues of one speaker next to each other, optional beats left out or in."""
    for beat in scene.beats:
        for variant in beat.variants:
            for number in _runs(variant):
                yield f"{scene.source}:{number}: two cues running by one speaker inside the beat '{beat.kind}'"
    required = [beat for beat in scene.beats if not beat.optional]
    for left, right in itertools.pairwise(required):
        ends = {_first_last(v)[1] for v in left.variants} - {None}
        starts = {_first_last(v)[0] for v in right.variants} - {None}
        blocked = [e for e in ends if starts == {e}]
        for name in blocked:
            yield f"{scene.source}:{right.number}: after '{left.kind}' may end on {name}, every '{right.kind}' starts with {name}"
    for index, beat in enumerate(scene.beats):
        if not beat.optional:
            continue
        before = next((b for b in reversed(scene.beats[:index]) if not b.optional), None)
        after = next((b for b in scene.beats[index + 1 :] if not b.optional), None)
        for variant in beat.variants:
            first, last = _first_last(variant)
            if first is None:
                continue
            if before and {_first_last(v)[1] for v in before.variants} == {first}:
                yield f"{scene.source}:{beat.number}: ?{beat.kind} starts with {first}, who always has the last word before it"
            if after and {_first_last(v)[0] for v in after.variants} == {last}:
                yield f"{scene.source}:{beat.number}: ?{beat.kind} ends with {last}, who always speaks first after it"


def _speakers(lines: Lines) -> set[str]:
    return {turn.who for turn in lines if turn.who}


def scene_problems(scene: SceneScript, people: Iterable[str]) -> Iterator[str]:  # noqa: C901 - one check after the other
    here = f"{scene.source}:{scene.number}: scene {scene.id}"
    people = set(people)
    for name in scene.who:
        if name not in people:
            yield f"{here}: 'who' names {name}, who is not one of {', '.join(sorted(people))}"
    for beat in scene.beats:
        for variant in beat.variants:
            for name in _speakers(variant) - set(scene.who):
                yield f"{here}: {name} speaks in '{beat.kind}' (line {variant[0].number}) but is not in 'who'"
    names = [beat.kind for beat in scene.beats if not beat.optional]
    order = [REQUIRED.index(name) for name in names]
    if order != sorted(order):
        yield f"{here}: beats stand in the order {', '.join(names)}; expected {', '.join(REQUIRED)}"
    wanted = ("turn",) if scene.kind in ("find", "alone") else ("raise", "turn", "button")
    for name in wanted:
        if name not in names:
            yield f"{here}: no '-- {name}' beat"
    for beat in scene.beats:
        if not beat.optional and len(beat.variants) < 2 and scene.kind != "find":
            yield f"{scene.source}:{beat.number}: '{beat.kind}' has one alternative; write at least two"
        for variant in beat.variants:
            for number, text in _texts(variant):
                if len(text.split()) > 45:
                    yield f"{scene.source}:{number}: a line of {len(text.split())} words"
    cues = sum(min(sum(t.spoken for t in v) for v in b.variants) for b in scene.beats if not b.optional)
    least = {"find": 0, "alone": 0}.get(scene.kind, 12)
    if cues < least:
        yield f"{here}: as few as {cues} cues in its required beats; a full scene has 14 to 18"
    yield from adjacency(scene)


def token_problems(script: Script, cards: Cards) -> Iterator[str]:  # noqa: C901 - one check after the other
    given: set[str] = set()
    for fact_key, fact in cards.facts.items():
        given.add(f"{fact.holder}:{fact_key}")
        given.update(f"{fact.holder}:{fact_key}.{clue}" for clue in fact.clues)
    given.update(f"{key}@{prop.by or prop.at}" for key, prop in cards.props.items())
    for scene in script.scenes:
        given.update(scene.gives)
    for ending in script.endings:
        for choice in ending.choices:
            given.update(choice.gives)

    def check(where: str, token: str) -> Iterator[str]:
        token = token.lstrip("!-")
        if re.fullmatch(r"ep\d+", token):
            return
        if ":" in token:
            who, _, what = token.partition(":")
            fact_key, _, clue = what.partition(".")
            if who not in cards.cast:
                yield f"{where}: token {token!r}: nobody is called {who!r}"
            elif fact_key not in cards.facts:
                yield f"{where}: token {token!r}: no fact {fact_key!r}"
            elif clue and clue not in cards.facts[fact_key].clues:
                yield f"{where}: token {token!r}: fact {fact_key!r} has no clue {clue!r} in cards.yaml"
        elif "@" in token:
            prop, _, spot = token.partition("@")
            if prop not in cards.props:
                yield f"{where}: token {token!r}: no prop {prop!r}"
            elif spot != "gone" and spot not in cards.cast and spot not in cards.places:
                yield f"{where}: token {token!r}: {spot!r} is neither a person nor a place"

    def needed(where: str, needs: Iterable[str]) -> Iterator[str]:
        for token in needs:
            yield from check(where, token)
            if not token.startswith("!") and not re.fullmatch(r"ep\d+", token) and token not in given:
                yield f"{where}: needs {token!r}, which nothing gives"

    for scene in script.scenes:
        where = f"{scene.source}:{scene.number}: scene {scene.id}"
        yield from needed(where, scene.needs)
        for token in scene.gives:
            yield from check(where, token)
        for beat in scene.beats:
            yield from needed(f"{scene.source}:{beat.number}", beat.needs)
        if scene.fact and scene.fact not in cards.facts:
            yield f"{where}: no fact {scene.fact!r}"
        for place in scene.places:
            if place != "any" and place not in cards.places:
                yield f"{where}: no place {place!r}"
    for hook in script.hooks:
        yield from needed(f"{hook.source}:{hook.number}", hook.needs)
        for place in hook.places:
            if place != "any" and place not in cards.places:
                yield f"{hook.source}:{hook.number}: no place {place!r}"
    scene_ids = {scene.id for scene in script.scenes}
    for ending in script.endings:
        where = f"{ending.source}:{ending.number}: ending {ending.id}"
        yield from needed(where, ending.needs)
        for turn in ending.turns:
            if turn not in scene_ids:
                yield f"{where}: 'turns' names {turn!r}, which is no scene"
        if ending.fact != "any" and ending.fact not in cards.facts:
            yield f"{where}: no fact {ending.fact!r}"
        for choice in ending.choices:
            for token in choice.gives:
                yield from check(f"{ending.source}:{choice.number}", token)
            if choice.place not in cards.places:
                yield f"{ending.source}:{choice.number}: next: no place {choice.place!r}"
            for name in choice.who:
                if name not in cards.cast:
                    yield f"{ending.source}:{choice.number}: next: nobody is called {name!r}"
        yield from ending_problems(ending)


def ending_problems(ending: EndingScript) -> Iterator[str]:
    here = f"{ending.source}:{ending.number}: ending {ending.id}"
    if _speakers(ending.lines) - set(ending.who):
        yield f"{here}: {', '.join(_speakers(ending.lines) - set(ending.who))} speaks in the cliff but is not in 'who'"
    for number in _runs(ending.lines):
        yield f"{ending.source}:{number}: two cues running by one speaker"
    if len({choice.gives for choice in ending.choices}) < 3:
        yield f"{here}: the three choices must give different tokens"
    for choice in ending.choices:
        strangers = ", ".join(sorted(_speakers(choice.lines) - set(choice.who)))
        if strangers:
            yield f"{ending.source}:{choice.number}: {strangers} speaks in the opening but is not in 'next:'"
        for number in _runs(choice.lines):
            yield f"{ending.source}:{number}: two cues running by one speaker"
        if sum(t.spoken for t in choice.lines) < 4:
            yield f"{ending.source}:{choice.number}: the opening after choice {choice.id} has fewer than four speeches"


def library_problems(script: Script, kinds: Iterable[str]) -> Iterator[str]:
    known = set(kinds) | {"any", ""}
    for scene in script.scenes:
        yield from scene_problems(scene, ROLES)
        for kind in re.split(r"\s*,\s*", scene.head.get("secret", "any")):
            if kind not in known:
                yield f"{scene.source}:{scene.number}: unknown kind of secret {kind!r}"
        for place in scene.places:
            if place != "any" and place not in PLACE_KINDS:
                yield f"{scene.source}:{scene.number}: unknown kind of place {place!r}"
    for ending in script.endings:
        yield from ending_problems(ending)
    for source, lines in _all_lines(script):
        for number, text in _texts(lines):
            if found := _BIOGRAPHY.search(text):
                yield f"{source}:{number}: library lines have no biography or dates: {found.group(0)!r}"
        for turn in lines:
            if turn.options[0].register is not None:
                yield f"{source}:{turn.number}: the first alternative must be plain (no ~register)"
            for option in turn.options:
                yield from _slot_problems(source, turn.number, turn.who, option.text)


_SLOT = re.compile(r"\{([^{}]*)\}")
_SLOTS = re.compile(
    r"[AHX]|[AHX]\.(he|him|his|himself|He|Him|His|hers)|[AHX]:[^/{}]+/[^/{}]+|thing|Thing|you|me|he|prop|Prop"
    r"|[AHX]\.want(\.my|\.your)?|place|other place|town"
)


def _slot_problems(source: str, number: int, who: str | None, text: str) -> Iterator[str]:
    for slot in _SLOT.findall(text):
        if not _SLOTS.fullmatch(slot):
            yield f"{source}:{number}: unknown slot {{{slot}}}"
        elif slot == "me" and who != "H":
            yield f"{source}:{number}: only H says {{me}}"
        elif slot == "you" and who not in ("A", "X"):
            yield f"{source}:{number}: only A or X says {{you}} (to H)"
        elif slot == "he" and who == "H":
            yield f"{source}:{number}: H does not say {{he}} of themself"


def duplicate_ids(script: Script) -> Iterator[str]:
    seen: dict[str, str] = {}
    named = [(s.id, s.source, s.number) for s in script.scenes] + [
        (e.id, e.source, e.number) for e in script.endings
    ]
    for name, source, number in named:
        where = f"{source}:{number}"
        if name in seen:
            yield f"{where}: {name!r} is already at {seen[name]}"
        seen[name] = where


def coverage(script: Script) -> Iterator[str]:
    """What a content writer wants to know: how much there is of each kind. Not problems."""
    by_kind: dict[str, int] = defaultdict(int)
    by_fact: dict[str, int] = defaultdict(int)
    options: dict[str, int] = defaultdict(int)
    for scene in script.scenes:
        by_kind[scene.kind] += 1
        by_fact[scene.fact or scene.head.get("secret", "-")] += 1
        for beat in scene.beats:
            if beat.optional:
                options["?" + beat.kind] += 1
    yield f"scenes {len(script.scenes)}: " + ", ".join(f"{k} {v}" for k, v in sorted(by_kind.items()))
    yield "by fact: " + ", ".join(f"{k} {v}" for k, v in sorted(by_fact.items()))
    yield f"three-handed: {sum(len(s.who) > 2 for s in script.scenes)}; hooks {len(script.hooks)}; endings {len(script.endings)}"
    yield "optional beats: " + ", ".join(f"{k} {v}" for k, v in sorted(options.items()))
    spoken = [t for _, lines in _all_lines(script) for t in lines if t.spoken]
    voiced = sum(any(o.register for o in t.options) for t in spoken)
    manners: dict[str, int] = defaultdict(int)
    for turn in spoken:
        for option in turn.options:
            manners[option.register or "plain"] += 1
    if voiced:
        share = voiced / len(spoken)
        yield f"speeches in more than one voice {share:.0%}: " + ", ".join(
            f"{k} {v}" for k, v in sorted(manners.items())
        )
    lengths = sorted(_least_words(scene) for scene in script.scenes if scene.kind not in ("find", "alone"))
    if lengths:
        yield f"words in required beats of full scenes: {lengths[0]} to {lengths[-1]}, middle {lengths[len(lengths) // 2]}"


def _least_words(scene: SceneScript) -> int:
    def size(beat: BeatScript) -> int:
        return min(sum(len(t.options[0].text.split()) for t in v) for v in beat.variants)

    return sum(size(beat) for beat in scene.beats if not beat.optional)


def read_folder(folder: Path, *patterns: str) -> tuple[Script, list[str]]:
    script, problems = Script(), []
    for path in sorted(p for pattern in patterns for p in folder.glob(pattern)):
        try:
            script += parse(path.read_text(encoding="utf-8"), path.name)
        except NotationError as problem:
            problems.append(str(problem))
    return script, problems


def lint_series(folder: Path) -> tuple[list[str], Script]:
    script, problems = read_folder(folder, "scenes*.txt", "hooks*.txt", "endings*.txt")
    cards = Cards.model_validate(yaml.safe_load((folder / "cards.yaml").read_text(encoding="utf-8")))
    for scene in script.scenes:
        problems += scene_problems(scene, cards.cast)
    problems += token_problems(script, cards)
    problems += duplicate_ids(script)
    problems += repeated_sentences(script)
    return problems, script


def lint_library(folder: Path = LIBRARY) -> tuple[list[str], Script]:
    script, problems = read_folder(folder, "*.txt")
    kinds = {name for section, name, _ in script.blocks if section == "kind"}
    problems += library_problems(script, kinds)
    problems += duplicate_ids(script)
    problems += repeated_sentences(script)
    return problems, script


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", nargs="?", type=Path)
    parser.add_argument("--library", action="store_true")
    options = parser.parse_args(arguments)
    if not options.library and options.folder is None:
        parser.error("name a series' folder, or --library")
    problems, script = lint_library() if options.library else lint_series(options.folder)
    for line in problems:
        print(line)
    for line in coverage(script):
        print("  ", line)
    print(f"{len(problems)} problems")
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())
