"""Choice quality: three ways on that differ, act on what is there, and cost something."""

from __future__ import annotations

import re
import statistics
from itertools import combinations

from cinegen_core.scorer.measure import NOTHING, Finding, Found, Measure, share
from cinegen_core.scorer.reading import ChoiceReading, Line, Reading
from cinegen_core.scorer.words import stems, words

OWN_THINGS = 5
"""Things and people of its own that a choice should touch, its cost included."""

_NOT_A_START = frozenset(
    "the a an it he she they i we you there this that his her their my your maybe perhaps".split()
)
_BUT = re.compile(
    r"\b(?:but|unless|until|may|might|before|will|won't|'ll|never|nobody|without|only|if|cannot|can't|not|no)\b|n't\b|'ll\b"
)


def _words_of(choice: ChoiceReading) -> frozenset[str]:
    return choice.label.content | choice.cost.content


def three(reading: Reading) -> Found:
    """Whether there are choices to judge at all: a share of three."""
    if not reading.choices:
        return NOTHING
    return Found(min(1.0, len(reading.choices) / 3), len(reading.choices) * 4)


def differ(reading: Reading) -> Found:
    """How little the choices share, in acts and in costs, beyond what the last scene puts in all of them; 0..1."""
    if len(reading.choices) < 2:
        return NOTHING
    values, findings = [], []
    for left, right in combinations(reading.choices, 2):
        acts = _share(left.label.content, right.label.content)
        costs = _share(left.cost.content, right.cost.content)
        verbs = 0.25 * (_verb(left.label) == _verb(right.label) != "")
        same = (
            min(1.0, 0.6 * acts + 0.4 * costs + verbs)
            if left.cost.words or right.cost.words
            else min(1.0, acts + verbs)
        )
        values.append(1 - same)
        if same > 0.35:
            findings.append(Finding(right.label, f"comes close to choice {left.label.number}", -same))
    return Found(statistics.fmean(values), len(reading.choices) * 4, tuple(findings))


def _share(left: frozenset[str], right: frozenset[str]) -> float:
    small = min(len(left), len(right))
    return len(left & right) / small if small else 0.0


def _verb(line: Line) -> str:
    return line.words[0] if line.words else ""


def different_worlds(reading: Reading) -> Found:
    """How many different things and people the three choices and their costs touch: distinct content words and names, for each choice."""
    if len(reading.choices) < 2:
        return NOTHING
    vague = stems("vague") | stems("abstract")
    touched = [
        frozenset(w for w in _words_of(c) if w not in vague) | c.label.people | c.cost.people
        for c in reading.choices
    ]
    counts: dict[str, int] = {}
    for group in touched:
        for word in group:
            counts[word] = counts.get(word, 0) + 1
    once = sum(1 for count in counts.values() if count == 1)
    findings = [
        Finding(choice.label, "touches little that the other choices do not", -0.6)
        for choice, group in zip(reading.choices, touched, strict=True)
        if sum(counts[word] == 1 for word in group) < OWN_THINGS
    ]
    return Found(min(8.0, once / len(reading.choices)), len(reading.choices) * 4, tuple(findings))


def anchored(reading: Reading) -> Found:
    """Choices that act on what was seen: for each, the share of its things and people that stand in the script, the last scene counting most; 0..1."""
    if not reading.choices or not reading.scenes:
        return NOTHING
    last = reading.scenes[-1]
    seen_last = last.content
    people_last = frozenset(line.speaker for line in last.speeches).union(
        *(line.people for line in last.lines)
    )
    seen = frozenset().union(*(scene.content for scene in reading.scenes))
    people = frozenset(line.speaker for line in reading.speeches).union(
        *(line.people for line in reading.lines)
    )
    vague, common = stems("vague"), stems("common")
    rows = []
    for choice in reading.choices:
        things = [w for w in _words_of(choice) if w not in vague and (w not in common or w in seen)]
        names = choice.label.people | choice.cost.people
        value, weight = 0.0, 0.0
        for word in things:
            w = 0.5 if word in common else 1.0
            weight += w
            value += w * (1.0 if word in seen_last else 0.6 if word in seen else 0.0)
        for who in names:
            weight += 1.0
            value += 1.0 if who in people_last else 0.6 if who in people else 0.0
        strangers = [
            shown for line in (choice.label, choice.cost) for sentence in line.sentences for shown in sentence.shown[1:]
            if shown[0].isupper() and not shown.isupper() and shown[0] != "I" and reading.key(shown) not in people and reading.stem(shown.casefold()) not in seen
        ]  # fmt: skip
        weight += len(strangers)
        level = value / weight if weight else 0.0
        rows.append(
            (
                choice.label,
                min(1.0, level * 1.6),
                "acts on what we have just seen",
                "leans on what was never seen",
            )
        )
    return share(rows)


def cost(reading: Reading) -> Found:
    """Choices whose consequence costs or risks something: its words of loss, other people's knowledge, doubt, less its promises; 0..1.

    A cost that names nothing and nobody ("it may cost more") is worth two fifths.
    """
    if not reading.choices:
        return NOTHING
    risk, well = words("risk"), words("wellbeing")
    empty = stems("vague") | stems("abstract") | stems("risk")
    rows = []
    for choice in reading.choices:
        text = choice.cost
        bad = sum(word in risk for word in text.words) + len(_BUT.findall(text.text.casefold()))
        good = sum(word in well for word in text.words)
        value = max(0.0, min(1.0, 0.25 + 0.25 * bad - 0.45 * good)) if text.words else 0.0
        if not text.people and not text.content - empty:
            value *= 0.4
        rows.append(
            (text if text.words else choice.label, value, "costs something", "costs nothing that one can see")
        )
    return share(rows)


def doable(reading: Reading) -> Found:
    """Choices that are a deed: begin with a verb and hold something to do it to, not an idea; 0..1."""
    if not reading.choices:
        return NOTHING
    vague, abstract = stems("vague"), stems("abstract")
    rows = []
    for choice in reading.choices:
        line = choice.label
        first = line.words[0] if line.words else ""
        things = [w for w in line.content if w not in vague and w not in abstract]
        full = [w for w in choice.cost.content if w not in vague and w not in abstract]
        value = (
            0.25 * (first not in _NOT_A_START and bool(first))
            + 0.25 * min(2, len(things) + len(line.people))
            + 0.25 * (len(full) + len(choice.cost.people) >= 2)
        )
        rows.append((line, value, "is something that one can do, to something", "is an idea, not a deed"))
    return share(rows)


def asked_of_somebody(reading: Reading) -> Found:
    """Whether the question is put about somebody who carried the episode: their share of speeches against the largest; 0..1."""
    if not reading.choices:
        return NOTHING
    named = reading.question.people or frozenset(
        who for who in (reading.key(word) for word in reading.question.words) if who in reading.people
    )
    counts = {who: len(lines) for who, lines in reading.by_speaker.items()}
    if not counts:
        return NOTHING
    value = max(
        (counts.get(who, 0) / max(counts.values()) for who in named),
        default=0.3 if reading.question.words else 0.0,
    )
    return Found(value, 4)


MEASURES = (
    Measure("three of them", three, "Give the viewer three ways on."),
    Measure(
        "differ",
        differ,
        "Two of these are one choice in other words. Let one of them act on something, or somebody, else.",
    ),
    Measure(
        "different worlds",
        different_worlds,
        "Each way on should open another door: other people, other things.",
    ),
    Measure("anchored", anchored, "Let this choice act on a thing or a person of the last scene."),
    Measure("cost", cost, "Say what is lost by it, or who will know."),
    Measure("doable", doable, "Make it a deed: a verb, and the thing it is done to."),
    Measure("asked of somebody", asked_of_somebody, "Put the question to the person whose episode this is."),
)
