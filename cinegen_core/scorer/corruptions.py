"""Ways to spoil a script on purpose, each with the dimension that it should cost most.

For tests of the scorer, for notebooks, and for the question "what would hurt this script". A corruption is a function of a
script, a source of chance and another script (for those that splice); it gives a script back, the same one where there is
nothing to spoil. The kinds that held-out.toml names were not looked at while the scorer's weights were set.
"""

from __future__ import annotations

import random
import re
import tomllib
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from importlib.resources import files

from cinegen_core.scorer.reading import Line, Reading, fold
from cinegen_core.story import Action, Dialogue, Element
from cinegen_core.story.script import Script, ScriptChoice, ScriptScene

Corrupt = Callable[[Script, random.Random, Script], Script]


@dataclass(frozen=True)
class Corruption:
    """One way to spoil a script. `dimension` is the one that it should move most; `needs_other` where it splices."""

    name: str
    dimension: str
    words: str
    corrupt: Corrupt
    needs_other: bool = False


def _with(script: Script, scenes: Sequence[tuple[str, Sequence[Element]]]) -> Script:
    made = tuple(ScriptScene(slugline=slug, elements=tuple(elements)) for slug, elements in scenes)
    return script.model_copy(update={"scenes": made})


def _mapped(script: Script, change: Callable[[Element], Element]) -> Script:
    return _with(script, [(s.slugline, [change(e) for e in s.elements]) for s in script.scenes])


def _retold(element: Element, text: str) -> Element:
    return element.model_copy(update={"text": text})


def shuffle_words(script: Script, rng: random.Random, other: Script) -> Script:
    """Every line's words in a random order."""

    def change(element: Element) -> Element:
        row = element.text.split()
        rng.shuffle(row)
        return _retold(element, " ".join(row))

    return _mapped(script, change)


def shuffle_turns(script: Script, rng: random.Random, other: Script) -> Script:
    """The lines of each scene in a random order."""
    scenes = []
    for scene in script.scenes:
        row = list(scene.elements)
        rng.shuffle(row)
        scenes.append((scene.slugline, row))
    return _with(script, scenes)


def swap_scenes(script: Script, rng: random.Random, other: Script) -> Script:
    """Two scenes change places, headings and all."""
    scenes = [(s.slugline, s.elements) for s in script.scenes]
    if len(scenes) < 2:
        return script
    a, b = rng.sample(range(len(scenes)), 2)
    scenes[a], scenes[b] = scenes[b], scenes[a]
    return _with(script, scenes)


def splice(script: Script, rng: random.Random, other: Script) -> Script:
    """The first half of this script's scenes, then the second half of another's, with its choices."""
    keep, drop = max(1, len(script.scenes) // 2), max(1, len(other.scenes) // 2)
    mixed = [(s.slugline, s.elements) for s in (*script.scenes[:keep], *other.scenes[drop:])]
    return _with(script, mixed).model_copy(update={"question": other.question, "choices": other.choices})


def deal_cues(script: Script, rng: random.Random, other: Script) -> Script:
    """In every scene the cues are dealt anew among its speeches."""
    scenes = []
    for scene in script.scenes:
        cues = [(e.speaker, e.extension) for e in scene.elements if isinstance(e, Dialogue)]
        rng.shuffle(cues)
        dealt = iter(cues)
        row: list[Element] = []
        for element in scene.elements:
            if isinstance(element, Dialogue):
                speaker, extension = next(dealt)
                row.append(element.model_copy(update={"speaker": speaker, "extension": extension}))
            else:
                row.append(element)
        scenes.append((scene.slugline, row))
    return _with(script, scenes)


def exchange_speakers(script: Script, rng: random.Random, other: Script) -> Script:
    """In every second scene with a conversation, the two who speak most say each other's lines."""
    scenes, talks = [], 0
    for scene in script.scenes:
        counts = Counter(e.speaker for e in scene.elements if isinstance(e, Dialogue))
        pair = [cue for cue, _ in counts.most_common(2)]
        talks += len(pair) == 2
        row: list[Element] = []
        for element in scene.elements:
            if isinstance(element, Dialogue) and len(pair) == 2 and talks % 2 and element.speaker in pair:
                row.append(element.model_copy(update={"speaker": pair[1 - pair.index(element.speaker)]}))
            else:
                row.append(element)
        scenes.append((scene.slugline, row))
    return _with(script, scenes)


_NAMES = "Alder Bram Corin Dace Edda Fenn Gwil Hale Ines Joss Kerr Lorne Mab Nils Orla Pell Quill Rafe Senn Tove Ulla Venn Wren Yann Zeb".split()


def randomise_names(script: Script, rng: random.Random, other: Script) -> Script:
    """Every mention of a person, above speeches and in them, becomes a name drawn anew."""
    names = {
        word
        for scene in script.scenes
        for element in scene.elements
        if isinstance(element, Dialogue)
        for word in re.findall(r"[^\W\d_]{3,}", element.speaker)
        if fold(word) not in ("the", "and", "old", "young", "voice", "man", "woman")
    }
    if not names:
        return script
    pattern = re.compile(rf"\b(?:{'|'.join(sorted(map(re.escape, names)))})\b", re.IGNORECASE)

    def named(match: re.Match[str]) -> str:
        if match.group().islower():
            return match.group()
        drawn = rng.choice(_NAMES)
        return drawn.upper() if match.group().isupper() else drawn

    def change(element: Element) -> Element:
        made = _retold(element, pattern.sub(named, element.text))
        if isinstance(made, Dialogue):
            return made.model_copy(update={"speaker": rng.choice(_NAMES).upper()})
        return made

    return _mapped(script, change)


def repeat_first_third(script: Script, rng: random.Random, other: Script) -> Script:
    """The first third of the lines stands a second time, after the last scene's own."""
    lines = [(i, e) for i, s in enumerate(script.scenes) for e in s.elements]
    if not lines:
        return script
    again = [e for _, e in lines[: max(1, len(lines) // 3)]]
    scenes = [(s.slugline, list(s.elements)) for s in script.scenes]
    scenes[-1][1].extend(again)
    return _with(script, scenes)


CRAFT = (
    "subtext", "conflict", "motivation", "character arc", "rising tension", "theme", "stakes", "foreshadowing", "visual metaphor", "emotional depth", "world building", "dramatic irony",
    "cinematic", "cliffhanger", "inner conflict", "symbolism", "layered dialogue", "turning point", "genre convention", "payoff",
)  # fmt: skip


def stuff_keywords(script: Script, rng: random.Random, other: Script) -> Script:
    """Words about the craft of writing, two or three at the end of every fourth line."""

    def change(element: Element) -> Element:
        if rng.random() > 0.25:
            return element
        return _retold(
            element, f"{element.text} {', '.join(rng.sample(CRAFT, rng.randint(2, 3))).capitalize()}."
        )

    return _mapped(script, change)


_ORNAMENTS = "luminous shimmering crimson ethereal melancholy velvet ancient whispering haunted radiant sorrowful iridescent trembling majestic mournful gossamer endless breathless silvery forlorn".split()


def purple_adjectives(script: Script, rng: random.Random, other: Script) -> Script:
    """Two ornaments before every second thing in the action."""

    def change(element: Element) -> Element:
        if not isinstance(element, Action):
            return element

        def dress(match: re.Match[str]) -> str:
            if rng.random() < 0.5:
                return match.group()
            return f"{match.group(1)} {', '.join(rng.sample(_ORNAMENTS, 2))} {match.group(2)}"

        return _retold(element, re.sub(r"\b(a|an|the|A|The|his|her|their) ([a-z]{3,})", dress, element.text))

    return _mapped(script, change)


_FILLER = (
    "They look at each other for a while.", "Nobody says anything.", "It is a normal day.", "They talk some more about this and that.", "Time goes by.", "Everything is as it was.",
    "Some people pass.", "They wait.", "It goes on like this for a while.", "Nothing much happens.",
)  # fmt: skip
_SMALL_TALK = (
    "How are you?",
    "Fine, thanks. And you?",
    "Not so bad.",
    "Nice weather.",
    "It is, isn't it.",
    "I suppose so.",
    "Anyway.",
    "Well, there you are.",
    "As I was saying.",
    "You know how it is.",
)


def append_filler(script: Script, rng: random.Random, other: Script) -> Script:
    """A dozen lines of nothing at the end of the last scene."""
    if not script.scenes:
        return script
    cues = list(
        dict.fromkeys(e.speaker for s in script.scenes for e in s.elements if isinstance(e, Dialogue))
    )[:2] or ["MAN"]
    rows: list[Element] = []
    for index in range(12):
        if index % 3 == 0:
            rows.append(Action(text=rng.choice(_FILLER)))
        else:
            rows.append(Dialogue(speaker=cues[index % len(cues)], text=rng.choice(_SMALL_TALK)))
    scenes = [(s.slugline, list(s.elements)) for s in script.scenes]
    scenes[-1][1].extend(rows)
    return _with(script, scenes)


_EXPLANATIONS = (
    "{who} feels that something has changed and does not know what to do about it.", "{who} remembers how things used to be and wonders whether they can ever be the same again.",
    "It is clear that {who} is hiding the pain of the past.", "{who} is angry, but deep down {who} only wants to be understood.", "{who} realises that the truth matters more than anything else.",
    "{who} thinks about what was said and decides to be brave.", "This shows how much {who} has grown since the beginning.", "{who} is afraid of what the others might think.",
)  # fmt: skip


def explain_actions(script: Script, rng: random.Random, other: Script) -> Script:
    """Two of three stage directions become explanations of what goes on inside people."""
    cues = [e.speaker.title() for s in script.scenes for e in s.elements if isinstance(e, Dialogue)] or [
        "Somebody"
    ]

    def change(element: Element) -> Element:
        if not isinstance(element, Action) or rng.random() > 0.67:
            return element
        return Action(text=rng.choice(_EXPLANATIONS).format(who=rng.choice(cues)))

    return _mapped(script, change)


_AGAIN = ("Go ahead and", "Decide to")


def choices_alike(script: Script, rng: random.Random, other: Script) -> Script:
    """Three wordings of one choice, with its cost."""
    if len(script.choices) < 2:
        return script
    kept = rng.choice(script.choices)
    label = kept.label[:1].lower() + kept.label[1:]
    made = [kept]
    for start in _AGAIN[: len(script.choices) - 1]:
        made.append(ScriptChoice(label=f"{start} {label}", consequence=kept.consequence))
    return script.model_copy(update={"choices": tuple(made)})


def delete_payoff(script: Script, rng: random.Random, other: Script) -> Script:
    """Every line of the last scene that brings back a thing of an earlier one is cut."""
    if len(script.scenes) < 2:
        return script
    reading = Reading(script)
    paid = {line.number for line in returning(reading)}
    scenes = [(s.slugline, list(s.elements)) for s in script.scenes]
    slug, row = scenes[-1]
    scenes[-1] = (slug, [e for number, e in enumerate(row, 1) if number not in paid])
    return _with(script, scenes)


def returning(reading: Reading) -> list[Line]:
    """Lines of the last scene with a thing that an earlier scene has planted."""
    last = reading.scenes[-1]
    start = last.lines[0].place if last.lines else 0
    return [
        line
        for line in last.lines
        if any(
            word in reading.nouns and reading.places_of[word][0] < start
            for word in line.content
            if word in reading.places_of
        )
    ]


def reveal_too_early(script: Script, rng: random.Random, other: Script) -> Script:
    """The last five lines of the last scene come after the first two of the first."""
    scenes = [(s.slugline, list(s.elements)) for s in script.scenes]
    if len(scenes) < 2 or len(scenes[-1][1]) < 7:
        return script
    moved = scenes[-1][1][-5:]
    del scenes[-1][1][-5:]
    scenes[0][1][2:2] = moved
    return _with(script, scenes)


_EXPANDED = {
    "n't": " not", "'re": " are", "'ve": " have", "'ll": " will", "'m": " am", "'d": " would", "it's": "it is", "that's": "that is", "what's": "what is", "there's": "there is", "he's": "he is",
    "she's": "she is", "who's": "who is", "where's": "where is", "let's": "let us", "here's": "here is", "how's": "how is", "can't": "cannot", "won't": "will not", "shan't": "shall not",
}  # fmt: skip


def flatten_voices(script: Script, rng: random.Random, other: Script) -> Script:
    """Everybody speaks in the same full, even sentences: no short forms, no little words at the start, nothing broken off."""

    def change(element: Element) -> Element:
        if not isinstance(element, Dialogue):
            return element
        text = element.text.replace("\u2019", "'")
        for short, full in sorted(_EXPANDED.items(), key=lambda row: -len(row[0])):
            text = re.sub(
                rf"(?<=\w){re.escape(short)}\b" if short[0] in "n'" else rf"\b{short}\b",
                full,
                text,
                flags=re.IGNORECASE,
            )
        text = re.sub(
            r"^(?:well|oh|yeah|aye|look|listen|right|so|and|but|no|yes|ah|now|please)[,.]? (?=\w)",
            "",
            text,
            flags=re.IGNORECASE,
        )
        text = re.sub(r"\s*(?:--|\u2014|\.\.\.|\u2026)\s*", ". ", text).replace("!", ".").strip(" ,")
        if len(text.split()) <= 4 and not text.endswith("?"):
            text = f"I would say that it is {text[:1].lower()}{text[1:]}"
        text = text[:1].upper() + text[1:]
        return _retold(element, text if text.endswith((".", "?")) else text + ".")

    return _mapped(script, change)


def choices_of_another(script: Script, rng: random.Random, other: Script) -> Script:
    """Question and choices of another episode."""
    if not script.choices or not other.choices:
        return script
    return script.model_copy(update={"question": other.question, "choices": other.choices})


def cut_answers(script: Script, rng: random.Random, other: Script) -> Script:
    """Every third speech is missing."""
    scenes, count = [], 0
    for scene in script.scenes:
        row: list[Element] = []
        for element in scene.elements:
            count += isinstance(element, Dialogue)
            if not isinstance(element, Dialogue) or count % 3:
                row.append(element)
        scenes.append((scene.slugline, row))
    return _with(script, scenes)


def anywhere(script: Script, rng: random.Random, other: Script) -> Script:
    """Headings lose their place, and action everything but who comes, goes, sits and looks."""
    cues = [e.speaker.title() for s in script.scenes for e in s.elements if isinstance(e, Dialogue)] or [
        "Somebody"
    ]
    deeds = ("comes in", "sits down", "looks up", "stands there", "turns away", "goes to the door")

    def change(element: Element) -> Element:
        if not isinstance(element, Action):
            return element
        named = [cue for cue in dict.fromkeys(cues) if cue.split()[0] in element.text.title()]
        return Action(text=f"{named[0] if named else rng.choice(cues)} {rng.choice(deeds)}.")

    made = _mapped(script, change)
    return _with(made, [("INT. ROOM - DAY", s.elements) for s in made.scenes])


ALL = (
    Corruption("word shuffle", "dialogue", "the words of every line in a random order", shuffle_words),
    Corruption("turn shuffle", "dialogue", "the lines of each scene in a random order", shuffle_turns),
    Corruption("scene swap", "structure", "two scenes change places", swap_scenes),
    Corruption("splice", "structure", "the second half of another episode", splice, needs_other=True),
    Corruption(
        "cues dealt anew", "dialogue", "the cues of each scene dealt anew among its speeches", deal_cues
    ),
    Corruption(
        "speakers exchanged",
        "dialogue",
        "two people say each other's lines in every second scene",
        exchange_speakers,
    ),
    Corruption("names randomised", "character", "a new name at every mention", randomise_names),
    Corruption("first third repeated", "structure", "the first third again at the end", repeat_first_third),
    Corruption("keyword stuffing", "dialogue", "words about writing added to lines", stuff_keywords),
    Corruption(
        "purple adjectives", "cinematic", "two ornaments before things in the action", purple_adjectives
    ),
    Corruption("filler appended", "structure", "a dozen lines of nothing at the end", append_filler),
    Corruption(
        "directions explained", "cinematic", "stage directions turned into explanation", explain_actions
    ),
    Corruption("choices alike", "choices", "three wordings of one choice", choices_alike),
    Corruption("payoff deleted", "structure", "what comes back in the last scene is cut", delete_payoff),
    Corruption("reveal too early", "structure", "the end stands at the beginning", reveal_too_early),
    Corruption("voices flattened", "dialogue", "everybody in the same full sentences", flatten_voices),
    Corruption(
        "another's choices",
        "choices",
        "the question and choices of another episode",
        choices_of_another,
        needs_other=True,
    ),
    Corruption("answers cut", "dialogue", "every third speech is missing", cut_answers),
    Corruption("anywhere", "world", "no place, and nothing of it in the action", anywhere),
)


@lru_cache(maxsize=1)
def held_out() -> frozenset[str]:
    """The kinds that took no part in setting the weights; see held-out.toml."""
    text = (files("cinegen_core.scorer") / "held-out.toml").read_text(encoding="utf-8")
    return frozenset(tomllib.loads(text)["kinds"])
