"""Character depth: people who want, refuse, are tied to each other, and are shown by what they do."""

from __future__ import annotations

import re
import statistics
from difflib import SequenceMatcher
from itertools import pairwise

from cinegen_core.scorer.measure import NOTHING, Finding, Found, Measure, share
from cinegen_core.scorer.reading import Line, Reading, fold
from cinegen_core.scorer.words import stems

DEMAND = re.compile(
    r"\?|^(?:please |just |then |so |now |and |well |come on )*(?:tell|give|show|say|sign|let|put|open|read|swear|promise|ask|stop|bring|hand|come|stay|go|wait|look|listen|take|leave|"
    r"keep|get|move|help|turn|close|shut|call|write|hold|don't|count|check|try|make|find|send|start|finish|pick|drop|throw)\b|\b(?:i want|i need|i'd like|you have to|you've got to|"
    r"you must|you'll have to|i'm asking|let me|i have to|we have to|we need)\b"
)
REFUSAL = re.compile(
    r"\b(?:no|not|never|cannot|nobody|none|nothing|neither|nor|refuse|except|unless|but)\b|n't\b|\?|\b(?:i'd rather|later|another time|ask (?:him|her|them)|it depends|in a minute|when i)\b"
)
YIELDS = re.compile(
    r"^(?:\w+[,.] )?(?:yes|yeah|of course|certainly|sure|gladly|with pleasure|all right|alright|fine|okay|ok|right you are|very well|good idea|no problem|you(?:'re| are) (?:quite |absolutely )?right|i agree|"
    r"thank you|thanks|here (?:you are|it is|they are)|not in the least|by all means|please do|do,? please|i don't mind|i do not mind|that's fine|that is fine|consider it done|at once|right away|it's yours|"
    r"happily|happy to|i'd love to|i would love to|whatever you (?:like|want|say)|as you (?:like|wish))\b"
)
_TIES = re.compile(
    r"\b(?:you (?:said|told|promised|were|used|always|never|still|had|did|gave|left|once|knew)|(?:he|she|they) (?:used to|always|never)|last (?:time|year|night|week|summer|winter|spring)|"
    r"years?|since|remember|when (?:you|we|i) (?:were|was|had)|we (?:used|were|had|did|always|never)|your (?:mother|father|mum|dad|sister|brother|wife|husband|son|daughter|nan|aunt|uncle|grandmother|"
    r"grandfather|boy|girl)|my (?:mother|father|mum|dad|sister|brother|wife|husband|son|daughter|nan|aunt|uncle|grandmother|grandfather|boy|girl)|mum|mam|dad|dada|mama|papa|love|pet|darling|"
    r"dear|old (?:man|friend)|friend|again|back then|born|married|buried|grew up|at school|for you|about you|of you)\b"
)
FULL_TALK = 40
"""Speeches that an episode of five minutes has at least."""

SMALL_PART = 3
"""Speeches of somebody who need not stand in the bible: a waiter, a voice on the line."""

_VOCATIVE = re.compile(r"^(?:[\w' ]{0,18}, )?([\w.' ]{2,24})(?:[,.!?]|--)|,\s+([\w.' ]{2,24})[.!?]*\"?$")


def known_people(reading: Reading) -> Found:
    """Speeches by people whom the story knows, and not heard only once; 0..1.

    With a bible those are its people, and others in small parts of three speeches at most; without one, those whom a line
    of action names.
    """
    named = {who for line in reading.actions for who in line.people}
    counts = {who: len(lines) for who, lines in reading.by_speaker.items()}
    rows = []
    for line in reading.speeches:
        small = counts[line.speaker] <= SMALL_PART
        if reading.bible is not None:
            known = reading.people.get(line.speaker) is not None or (small and line.speaker in named)
        else:
            known = line.speaker in named
        value = (0.7 if known else 0.1) + 0.3 * (counts[line.speaker] >= 2)
        rows.append((line, value, "", "is said by somebody whom the story does not know"))
    return share(rows)


def resistance(reading: Reading) -> Found:
    """Turns in which somebody wants something and does not simply get it, less one and a half times those in which they do, for each turn."""
    if len(reading.turns) < 8:
        return NOTHING
    findings = []
    value = 0.0
    for turn in reading.turns:
        if not DEMAND.search(turn.said.text.casefold()):
            continue
        answer = turn.answer.text.casefold()
        if YIELDS.search(answer):
            value -= 1.5
            findings.append(Finding(turn.answer, "gives what was asked at the first asking", -0.8))
        elif REFUSAL.search(answer):
            value += 1.0
            findings.append(Finding(turn.answer, "does not give what was asked for", 0.6))
    return Found(value / len(reading.turns), len(reading.turns), tuple(findings))


def keeps_at_it(reading: Reading) -> Found:
    """People who come back to what they want: demands that share a thing with an earlier one of the same person, per scene."""
    if len(reading.speeches) < 12:
        return NOTHING
    findings = []
    for scene in reading.scenes:
        asked: dict[str, list[Line]] = {}
        for line in scene.speeches:
            if not DEMAND.search(line.text.casefold()):
                continue
            earlier = asked.setdefault(line.speaker, [])
            if any(line.content & other.content for other in earlier):
                findings.append(Finding(line, f"{line.speaker.upper()} comes back to it", 0.7))
            earlier.append(line)
    return Found(len(findings) / max(1, len(reading.scenes)), len(reading.speeches), tuple(findings))


def ties(reading: Reading) -> Found:
    """Speeches that tie people to each other or to a past: you said, last year, my sister, a name called; 0..1."""
    rows = []
    for line in reading.speeches:
        tied = bool(_TIES.search(line.text.casefold())) or bool(line.people - {line.speaker})
        rows.append((line, float(tied), "ties these people to each other or to a past", ""))
    return share(rows) if len(rows) >= 4 else NOTHING


def _called(reading: Reading, line: Line) -> set[str]:
    """People whom a speech addresses by name."""
    found = set()
    for sentence in line.sentences:
        for match in _VOCATIVE.finditer(sentence.text.casefold().strip("\"' ")):
            who = reading.key((match.group(1) or match.group(2) or "").strip())
            if who in reading.people:
                found.add(who)
    return found & (line.people | {line.speaker})


def in_own_mouth(reading: Reading) -> Found:
    """Whether the right person speaks: nobody calls themselves, those who are called answer, those seen acting speak next; 0..1."""
    rows: list[tuple[Line, float, str, str]] = []
    for scene in reading.scenes:
        for line in scene.speeches:
            if line.speaker in _called(reading, line):
                rows += [(line, 0.0, "", f"{line.speaker.upper()} speaks to themselves by name")] * 2
        here = {line.speaker for line in scene.speeches}
        for before, after in pairwise(scene.lines):
            if before.spoken and after.spoken and before.speaker != after.speaker and len(here) > 2:
                called = _called(reading, before) & here
                if called:
                    rows.append(
                        (
                            after,
                            float(after.speaker in called),
                            "answers to their name",
                            "answers when another was called",
                        )
                    )
            elif before.kind == "action" and after.spoken and before.people:
                first = _first_named(reading, before)
                if first in here:
                    rows.append((after, float(after.speaker == first), "", ""))
            elif before.spoken and after.kind == "action" and after.people and len(here) > 1:
                first = _first_named(reading, after)
                if first in here:
                    rows.append((after, 0.75 if first == before.speaker else 0.5, "", ""))
    return share(rows) if len(rows) >= 3 else NOTHING


def _first_named(reading: Reading, line: Line) -> str:
    for sentence in line.sentences:
        for shown in sentence.shown[:6]:
            who = reading.key(shown) if not shown.islower() else ""
            if who in line.people:
                return who
    return ""


def own_matters(reading: Reading) -> Found:
    """How much more often people speak of what is theirs in the bible (want, secret, trade, flaw, voice) than the others do.

    The difference of rates per speech, a mean over people with four speeches or more; -1..1.
    """
    if reading.bible is None:
        return NOTHING
    common = stems("common")
    leads: list[float] = []
    findings = []
    for who, lines in reading.by_speaker.items():
        person = reading.people.get(who)
        others = [line for line in reading.speeches if line.speaker != who]
        if person is None or len(lines) < 4 or len(others) < 4:
            continue
        text = " ".join((person.want, person.need, person.secret, person.flaw, person.role, person.voice))
        matters = frozenset(
            word
            for word in (stem_of(reading, raw) for raw in fold(text).split())
            if word and word not in common
        )
        hits = [line for line in lines if line.content & matters]
        leads.append(
            len(hits) / len(lines) - sum(bool(line.content & matters) for line in others) / len(others)
        )
        findings += [Finding(line, f"is {who.upper()}'s own matter", 0.5) for line in hits]
    return Found(statistics.fmean(leads), len(leads) * 6, tuple(findings)) if leads else NOTHING


def stem_of(reading: Reading, raw: str) -> str:
    """A word of the bible as the script's words are compared."""
    word = raw.strip(".,;:!?\"'()")
    return next(iter(reading.line_of(word).content), "") if word else ""


def deeds(reading: Reading) -> Found:
    """What people are seen to do with things: action lines that name somebody and hold a thing or a deed, for each speech, of which
    at least forty are counted: two gestures in a fragment are not a character."""
    if len(reading.speeches) < 4:
        return NOTHING
    things = stems("physical")
    findings = []
    named_again = re.compile(r"\b(?:he|she|they)\b")
    for line in reading.actions:
        if line.people or named_again.search(line.text.casefold()):
            held = sum(reading.stem(word) in things for word in line.words)
            if held:
                findings.append(Finding(line, "shows somebody by what they do", min(1.0, 0.4 + 0.2 * held)))
            elif line.people:
                findings.append(Finding(line, "names somebody and gives them nothing to do", -0.4))
    return Found(
        sum(f.weight for f in findings if f.weight > 0) / max(FULL_TALK, len(reading.speeches)),
        len(reading.actions),
        tuple(findings),
    )


def leads(reading: Reading) -> Found:
    """Whether the episode belongs to somebody: the share of scenes in which its most present person speaks, with at least two others heard."""
    if len(reading.speeches) < 12:
        return NOTHING
    scenes = [
        frozenset(line.speaker for line in scene.speeches) for scene in reading.scenes if scene.speeches
    ]
    best = max(sum(who in scene for scene in scenes) for who in reading.by_speaker) / len(scenes)
    company = len([1 for lines in reading.by_speaker.values() if len(lines) >= 3])
    return Found(best * min(1.0, company / 3), len(scenes) * 3)


def steady_names(reading: Reading) -> Found:
    """Names that drift: words with a capital that are nearly, but not quite, one that the script has (Vance for Vane), for each
    scene. A short form (Rob for Robert) and a possessive are no drift."""
    first: dict[str, Line] = {}
    lower = {
        word
        for line in reading.lines
        for sentence in line.sentences
        for word in sentence.shown
        if word.islower()
    }
    for line in reading.lines:
        for sentence in line.sentences:
            for index, shown in enumerate(sentence.shown):
                name = shown.removesuffix("'s").casefold()
                named = index or shown.isupper() or reading.key(name) in reading.people
                if named and len(name) >= 4 and shown[0].isupper() and name not in lower:
                    first.setdefault(name, line)
    findings = []
    names = list(first)
    for index, name in enumerate(names):
        earlier = next((other for other in names[:index] if _nearly(name, other)), None)
        if earlier is not None:
            findings.append(Finding(first[name], f"says {name.title()} where it was {earlier.title()}", -1.0))
    return (
        Found(len(findings) / max(1, len(reading.scenes)), len(names), tuple(findings))
        if len(reading.lines) >= 5
        else NOTHING
    )


def _nearly(name: str, other: str) -> bool:
    """Whether two names are one name gone wrong: the same start, two letters of three in common, neither the short form of the other."""
    if (
        name[:2] != other[:2]
        or abs(len(name) - len(other)) > 3
        or name.startswith(other)
        or other.startswith(name)
    ):
        return False
    return SequenceMatcher(None, name, other, autojunk=False).ratio() >= 0.66


MEASURES = (
    Measure("steady names", steady_names, "Is this somebody else, or the same person under another name?"),
    Measure(
        "known people",
        known_people,
        "Show who this is before they speak, or give the line to somebody we know.",
    ),
    Measure("resistance", resistance, "Let somebody want something here that the other one will not give."),
    Measure("keeps at it", keeps_at_it, "Refused once, this person should try again by another way."),
    Measure("ties", ties, "What happened between these two before today? Let one line show it."),
    Measure("in their own mouth", in_own_mouth, "Check who says this; it seems to be somebody else's line."),
    Measure(
        "own matters",
        own_matters,
        "Let people talk about what they want and hide, each of their own.",
        needs_bible=True,
    ),
    Measure("deeds", deeds, "Give this person something in their hands and let us see what they do with it."),
    Measure("leads", leads, "Whose episode is this? Keep one person in it from first to last."),
)
