"""Narrative structure: what is set up comes back, one scene leads to the next, and the end is the end of this story."""

from __future__ import annotations

import re
import statistics
from itertools import combinations, pairwise

from cinegen_core.scorer.character import steady_names
from cinegen_core.scorer.grammar import plain_text
from cinegen_core.scorer.measure import NOTHING, Finding, Found, Measure, share
from cinegen_core.scorer.reading import REPEATED, Line, Reading
from cinegen_core.scorer.words import phrases

_STAKE = re.compile(
    r"\b(?:los\w+|lost|cost\w*|clos\w+|finish\w*|ruin\w*|end of|never (?:again|work|see)|prison|shut|everything|every(?:one|body) will|pay for|gone|sack\w*|struck|fined|dead|die\w*|owe\w*|"
    r"worth|price|last chance|too late|by (?:tomorrow|morning|noon|midnight|monday)|before|until|police|kill\w*|blood)\b"
)
_INTRODUCED = re.compile(r"\b[A-Z][A-Z'.-]+(?: [A-Z][A-Z'.-]+)*\b(?=\s*(?:[,:(]|--|-))")


def pays_off(reading: Reading) -> Found:
    """Things that come back: planted in one scene, met again in a later one or in the choices.

    Things are words that stand behind a determiner somewhere and are not among the common ones. Each counts once, and more
    the more lines hold it (three lines or more: three times as much as two). The sum is for each 100 words of the script.
    """
    if len(reading.scenes) < 2:
        return NOTHING
    ending = frozenset().union(*(line.content for line in _ending(reading)))
    value, findings = 0.0, []
    for word, places in sorted(reading.places_of.items()):
        if word not in reading.nouns:
            continue
        first = reading.lines[places[0]]
        again = next(
            (reading.lines[place] for place in places if reading.lines[place].scene != first.scene), None
        )
        if again is None and not (word in ending and first.scene < len(reading.scenes)):
            if len(places) >= 2 and first.scene < len(reading.scenes):
                findings.append(
                    Finding(
                        first,
                        f"makes something of '{reading.as_said(first, word)}', and nothing comes of it later",
                        -0.4,
                    )
                )
            continue
        weight = min(3, len(places) + (word in ending) - 1)
        value += weight
        if again is not None:
            findings.append(
                Finding(
                    again,
                    f"brings back '{reading.as_said(again, word)}' from scene {first.scene}",
                    min(1.0, weight / 3),
                )
            )
    return Found(100 * value / reading.length, len(reading.lines), tuple(findings))


def _ending(reading: Reading) -> list[Line]:
    return [reading.question, *(part for choice in reading.choices for part in (choice.label, choice.cost))]


def planted_first(reading: Reading) -> Found:
    """Things that are a thing ("a key") before they are the thing ("the key"), less those that are it the other way round.

    Of things that stand in two lines or more; a thing that comes back in another scene counts double. The count is over
    their number, six at least, so that a script without such things earns little; -1..1.
    """
    value, total, findings = 0.0, 0, []
    for word, found in sorted(reading.nouns.items()):
        lines = {place for place, _ in found}
        if len(lines) < 2:
            continue
        first_place, indefinite = min(found)
        kinds = {kind for _, kind in found}
        first = reading.lines[first_place]
        weight = 2 if any(reading.lines[place].scene != first.scene for place in lines) else 1
        total += weight
        if indefinite:
            value += weight
            findings.append(Finding(first, f"plants '{reading.as_said(first, word)}'", 0.3 * weight))
        elif len(kinds) > 1:
            value -= weight
            findings.append(
                Finding(
                    first,
                    f"speaks of 'the {reading.as_said(first, word)}' before there is one",
                    -0.5 * weight,
                )
            )
    return Found(value / max(6, total), total, tuple(findings)) if len(reading.lines) >= 8 else NOTHING


def introduced(reading: Reading) -> Found:
    """People who are shown before they speak, 0..1; a first showing that comes late, or twice, is worse than none."""
    rows: list[tuple[Line, float, str, str]] = []
    shown: dict[str, list[Line]] = {}
    for line in reading.actions:
        for match in _INTRODUCED.finditer(line.text):
            who = reading.key(match.group())
            if who in line.people:
                shown.setdefault(who, []).append(line)
    mentioned: dict[str, int] = {}
    for line in reading.lines:
        for who in line.people:
            if line.kind == "action":
                mentioned.setdefault(who, line.place)
    for who, lines in reading.by_speaker.items():
        first = lines[0]
        entries = shown.get(who, [])
        if entries:
            late = entries[0].place > first.place or entries[0].place > mentioned.get(who, 10**6)
            again = len({entry.scene for entry in entries}) > 1
            value = (0.0 if late else 1.0) - 0.3 * again
            rows.append(
                (
                    entries[0],
                    max(0.0, value),
                    f"introduces {who.upper()}",
                    f"introduces {who.upper()} too late",
                )
            )
        elif who in mentioned and mentioned[who] < first.place:
            rows.append((first, 0.7, "", ""))
        else:
            rows.append(
                (
                    first,
                    0.25 if len(lines) < 4 else 0.0,
                    "",
                    f"{who.upper()} speaks before anybody has seen them",
                )
            )
    for who, place in sorted(_full_names(reading).items()):
        first_named = min((line.place for line in reading.lines if who in line.people), default=place)
        rows.append(
            (
                reading.lines[place],
                float(place <= first_named),
                "",
                f"says {who.upper()}'s full name only after a shorter one",
            )
        )
    return share(rows) if rows else NOTHING


def _full_names(reading: Reading) -> dict[str, int]:
    """Where people are first called by two names that are theirs."""
    found: dict[str, int] = {}
    for line in reading.lines:
        for sentence in line.sentences:
            for name, second in pairwise(sentence.shown):
                if name[0].isupper() and second[0].isupper() and name != second:
                    who = reading.key(name)
                    if who in line.people and reading.key(second) == who:
                        found.setdefault(who, line.place)
    return found


def scenes_lead_on(reading: Reading) -> Found:
    """Scenes that the one before has led to: somebody comes in of whom it spoke, or somebody stays; 0..1 of scenes after the first."""
    scenes = [scene for scene in reading.scenes if scene.speeches]
    rows: list[tuple[Line, float, str, str]] = []
    for before, scene in pairwise(scenes):
        were, are = ({line.speaker for line in part.speeches} for part in (before, scene))
        spoken_of = {who for line in before.speeches for who in line.people}
        expected = (are - were) & spoken_of
        line = next((line for line in scene.speeches if line.speaker in expected), scene.speeches[0])
        value = 1.0 if expected else 0.6 if are & were else 0.0
        rows.append(
            (
                line,
                value,
                f"comes in after being spoken of: {line.speaker.upper()}" if expected else "",
                "comes in from nowhere, into a scene that nothing led to",
            )
        )
    return share(rows) if len(rows) >= 2 else NOTHING


def each_scene_new(reading: Reading) -> Found:
    """How little scenes repeat each other: 1 less the largest share of one scene's content that another has too."""
    scenes = [scene for scene in reading.scenes if len(scene.content) >= 8]
    if len(scenes) < 2:
        return NOTHING
    worst, pair = 0.0, (scenes[0], scenes[1])
    for left, right in combinations(scenes, 2):
        same = len(left.content & right.content) / min(len(left.content), len(right.content))
        if same > worst:
            worst, pair = same, (left, right)
    findings = []
    for line in pair[1].lines:
        if len(line.content) >= 3 and len(line.content & pair[0].content) / len(line.content) > 0.7:
            findings.append(Finding(line, f"goes over what scene {pair[0].number} has had", -0.6))
    return Found(1 - worst, len(scenes) * 4, tuple(findings))


def nothing_twice(reading: Reading) -> Found:
    """The share of sentences of five words or more, in speech and action, that have not stood before word for word, 0..1."""
    new = sum(len(sentence.words) >= REPEATED for line in reading.written for sentence in line.sentences)
    findings = tuple(
        Finding(line, "has stood before, word for word", -1.0, again.text)
        for line in reading.written
        for again in line.repeated
    )
    count = new + len(findings)
    return Found(new / count, count, findings) if count else NOTHING


def holds_together(reading: Reading) -> Found:
    """How close together the mentions of a thing stand, against the same mentions spread at random; 1 is random.

    The entity-grid idea (Barzilay and Lapata 2008) as one number: the mean of 1/gap between neighbouring mentions within a
    scene, over what it would be in a random order of the scene's lines.
    """
    observed = expected = 0.0
    findings = []
    for scene in reading.scenes:
        count = len(scene.lines)
        if count < 6:
            continue
        random_gap = _random_closeness(count)
        mentions: dict[str, list[int]] = {}
        for index, line in enumerate(scene.lines):
            for word in sorted(line.content):
                mentions.setdefault(word, []).append(index)
        for word, found in mentions.items():
            if len(found) < 2 or len(found) > count / 2:
                continue
            close = [1 / (b - a) for a, b in pairwise(found)]
            observed += sum(close)
            expected += len(close) * random_gap * (1 + 0.5 * (len(found) - 2))
            if close[0] >= 0.5:
                findings.append(
                    Finding(
                        scene.lines[found[1]],
                        f"stays with '{reading.as_said(scene.lines[found[1]], word)}'",
                        0.3,
                    )
                )
    return Found(observed / expected, int(expected * 6), tuple(findings)) if expected >= 1 else NOTHING


def _random_closeness(count: int) -> float:
    """The mean of 1/gap for two lines drawn at random of `count`."""
    return 2 * sum((count - gap) / gap for gap in range(1, count)) / (count * (count - 1))


def tension(line: Line) -> float:
    """How tense one line reads: asking, denying, breaking off, few words, something to lose."""
    folded = line.text.casefold()
    value = 0.35 * bool(_STAKE.search(folded))
    if line.spoken:
        value += 0.25 * ("?" in folded) + 0.25 * bool(re.search(r"\b(?:no|not|never)\b|n't\b", folded))
        value += 0.3 * ("--" in folded) + 0.2 * (len(line.words) <= 4)
    else:
        value += 0.2 * (len(line.words) <= 6)
    return value


def rises(reading: Reading) -> Found:
    """Tension in the last third over that in the first, -1..1."""
    lines = reading.lines
    third = len(lines) // 3
    if third < 6:
        return NOTHING
    values = [tension(line) for line in lines]
    first, last = statistics.fmean(values[:third]), statistics.fmean(values[-third:])
    findings = tuple(
        Finding(line, "raises the pressure", min(1.0, value))
        for line, value in zip(lines[-third:], values[-third:], strict=True)
        if value >= 0.55
    )
    return Found(last - first, len(lines), findings)


def ends_open(reading: Reading) -> Found:
    """How the last six lines hold what the episode is about: lines with a thing or person that we know, no stock phrase, and
    something left unanswered; 0..1."""
    if not reading.scenes or len(reading.lines) < 8:
        return NOTHING
    tail = [line for line in reading.scenes[-1].lines if line.kind != "transition"][-6:]
    if not tail:
        return NOTHING
    stock = phrases("stock")
    start = tail[0].place
    findings: list[Finding] = []
    value = 0.0
    for line in tail:
        worn = stock.search(plain_text(line.text)) is not None
        things = [
            word
            for word in sorted(line.content)
            if word in reading.places_of and reading.places_of[word][0] < start
        ]
        here = 0.0 if worn else 1.0 if things else 0.5 if line.people else 0.1
        value += here / len(tail)
        if things and not worn:
            findings.append(
                Finding(line, f"ends on something that we know ('{reading.as_said(line, things[0])}')", 0.5)
            )
        elif here < 0.5:
            findings.append(Finding(line, "has nothing of this story in it, at the end", here - 0.7))
    asked = [line for line in tail if line.asks or "--" in line.text or len(line.words) <= 6]
    return Found(0.8 * value + 0.2 * bool(asked), 6, tuple(findings))


_HOURS = {
    "dawn": 0,
    "sunrise": 0,
    "morning": 1,
    "day": 2,
    "noon": 2,
    "afternoon": 3,
    "sunset": 4,
    "dusk": 4,
    "evening": 5,
    "night": 6,
    "midnight": 7,
}


def time_runs_on(reading: Reading) -> Found:
    """Headings whose time of day does not lie before that of the scene before; over night a new day may begin. 0..1."""
    hours = [
        (
            scene,
            next(
                (
                    hour
                    for word, hour in _HOURS.items()
                    if re.search(rf"\b{word}\b", scene.slugline.casefold())
                ),
                None,
            ),
        )
        for scene in reading.scenes
        if scene.lines
    ]
    rows = []
    for (_, before), (scene, after) in pairwise(hours):
        if before is None or after is None:
            continue
        runs = after >= before or (before >= 6 and after <= 2)
        rows.append((scene.lines[0], float(runs), "", "plays earlier in the day than the scene before it"))
    return share(rows)


def leads_to_the_choice(reading: Reading) -> Found:
    """Of the things and people in question and choices that the script has had, the part that the last ten lines have; those that only the rest of the last scene has count .6; 0..1."""
    if not reading.choices or len(reading.scenes) < 2:
        return NOTHING
    asked = [reading.question, *(part for choice in reading.choices for part in (choice.label, choice.cost))]
    wanted = {word for line in asked for word in line.content if word in reading.places_of}
    met = {who for line in asked for who in line.people} & reading.by_speaker.keys()
    if len(wanted) + len(met) < 3:
        return NOTHING
    last = reading.scenes[-1]
    close, there = last.lines[-10:], last.content
    at_the_end = frozenset().union(*(line.content for line in close))
    value = sum(1.0 if word in at_the_end else 0.6 if word in there else 0.0 for word in wanted)
    speak = {line.speaker for line in last.speeches} | {who for line in last.lines for who in line.people}
    speak_at_the_end = {line.speaker for line in close} | {who for line in close for who in line.people}
    value += sum(1.0 if who in speak_at_the_end else 0.6 if who in speak else 0.0 for who in met)
    count = len(wanted) + len(met)
    findings = [
        Finding(line, "is what the choice will be about", 0.4) for line in last.lines if line.content & wanted
    ]
    return Found(value / count, count, tuple(findings))


def form(reading: Reading) -> Found:
    """How far the length fits a five-minute episode: 1 between 450 and 1,350 words in two to six scenes, less beyond."""
    count, scenes = reading.word_count, len(reading.scenes)
    if not reading.lines:
        return NOTHING
    fits = min(1.0, count / 450) if count < 450 else max(0.0, 1 - max(0, count - 1350) / 1350)
    fits *= 1.0 if 2 <= scenes <= 7 else 0.7
    return Found(fits, len(reading.lines))


def one_story(reading: Reading) -> Found:
    """Whether the second half is that of the first: the part of the first half's things (in two lines or more) that comes back
    in the second, and the part of the second half's people that the first has shown or named; the mean of the two, 0..1."""
    scenes = [scene for scene in reading.scenes if scene.lines]
    if len(scenes) < 2:
        return NOTHING
    half = max(1, len(scenes) // 2)
    cut = scenes[half].lines[0].place
    ending = frozenset().union(*(line.content for line in _ending(reading)))
    planted = {
        word
        for word, places in reading.places_of.items()
        if word in reading.nouns and sum(p < cut for p in places) >= 2
    }
    kept = {word for word in planted if word in ending or reading.places_of[word][-1] >= cut}
    met = {who for line in reading.lines[:cut] for who in (*line.people, line.speaker)}
    later = [who for who, lines in reading.by_speaker.items() if any(line.place >= cut for line in lines)]
    if len(planted) < 3 or not later:
        return NOTHING
    findings = []
    for word in sorted(kept):
        again = next((reading.lines[place] for place in reading.places_of[word] if place >= cut), None)
        if again is not None:
            findings.append(Finding(again, f"is still about '{reading.as_said(again, word)}'", 0.4))
    findings += [
        Finding(
            next(line for line in reading.by_speaker[who] if line.place >= cut),
            f"brings in {who.upper()}, of whom nothing was seen or said",
            -0.6,
        )
        for who in later
        if who not in met
    ]
    people = sum(who in met for who in later) / len(later)
    return Found((len(kept) / len(planted) + people) / 2, len(planted) + len(later), tuple(findings))


MEASURES = (
    Measure(
        "one story",
        one_story,
        "The second half is about other things than the first; carry one of them over.",
    ),
    Measure("one cast", steady_names, "Names change from scene to scene; call people the same throughout."),
    Measure("pays off", pays_off, "What was shown early that could decide the end? Bring it back here."),
    Measure(
        "planted first",
        planted_first,
        "Show this thing once, in passing, before people speak of it as known.",
    ),
    Measure(
        "introduced",
        introduced,
        "Show this person, in a line of action, before they first speak, and only once.",
    ),
    Measure(
        "scenes lead on",
        scenes_lead_on,
        "Open this scene on what the last one left: a thing, a name, a question.",
    ),
    Measure(
        "each scene new", each_scene_new, "This scene goes over old ground. What is different when it ends?"
    ),
    Measure(
        "nothing twice", nothing_twice, "This line has stood before. Cut it, or let it come back changed."
    ),
    Measure(
        "holds together", holds_together, "Stay with one thing until it has changed; then go on to the next."
    ),
    Measure("rises", rises, "The end is calmer than the beginning. What could still be lost?"),
    Measure("ends open", ends_open, "End on a thing that we know, doing something that we did not expect."),
    Measure(
        "time runs on",
        time_runs_on,
        "This scene plays earlier in the day than the one before it; change the heading or the order.",
    ),
    Measure(
        "leads to the choice", leads_to_the_choice, "Bring what the choice is about into the last scene."
    ),
    Measure("fits the form", form, "Five minutes are 450 to 1,350 words in two to six scenes."),
)
