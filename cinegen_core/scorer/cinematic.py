"""Cinematic elements: what can be seen and heard, told plainly, with the picture carrying its share."""

from __future__ import annotations

import re
import statistics
from collections.abc import Iterator

from cinegen_core.scorer.dialogue import sound
from cinegen_core.scorer.grammar import plain_text
from cinegen_core.scorer.measure import NOTHING, Finding, Found, Measure, faults
from cinegen_core.scorer.reading import Line, Reading
from cinegen_core.scorer.words import phrases, stems, words

_REASON = re.compile(
    r"\b(?:because (?:he|she|they)|as if to say|in order to|so that (?:he|she|they)|has always|had always|used to|would have|could have|years ago|in truth|the truth is|this means|meaning that|"
    r"which (?:means|shows|tells|reminds)|reminds? (?:him|her|them)|to show that|the mood is|the tension|the atmosphere|it is clear|it's clear|obviously|clearly|symboli[sz]\w+|represent\w*)\b"
)
_SIMILE = re.compile(r"\b(?:like an?|as if|as though|like the)\b")
_ADJECTIVE = re.compile(r"(?:ous|ful|less|esque|some|ent|ant|ive|ic|al|ish)$")
_NOT_ADJECTIVE = frozenset(
    "moment silent different parent accident student document apartment present agent ancient patient important giant restaurant instant elephant servant metal animal signal hospital general hall call wall small still all tall fall arrival several total final real special local mic music public clinic traffic panic come some home".split()
)
_PRESENT = re.compile(r"\b\w+s\b")
_PAST = re.compile(
    r"\b(?:was|were|had|went|came|looked|walked|turned|took|said|saw|opened|stood|sat|felt|knew|thought|began|ran)\b"
)


def filmable(reading: Reading) -> Found:
    """Action sentences about the inside of a head, about reasons or about moods, for each action sentence."""
    inner = words("inner")
    count = sum(len(line.sentences) for line in reading.actions)

    def look() -> Iterator[Finding]:
        for line in reading.actions:
            for sentence in line.sentences:
                hits = sum(word in inner for word in sentence.words)
                if _REASON.search(sentence.text.casefold()):
                    yield Finding(line, "explains; no camera sees it", -1.0)
                elif hits:
                    yield Finding(line, "tells what goes on in a head", -min(1.0, 0.7 + 0.3 * (hits - 1)))

    return faults(reading.actions, look(), per=max(1, count)) if len(reading.actions) >= 3 else NOTHING


def plain(reading: Reading) -> Found:
    """Ornament in the action: listed words, adjectives by their endings, adverbs, similes, for each ten words of action."""
    listed = words("purple")
    total = sum(len(line.words) for line in reading.actions)
    if total < 30:
        return NOTHING
    findings, load = [], 0.0
    for line in reading.actions:
        here = 0.0
        for word in line.words:
            if word in listed:
                here += 1.0
            elif (
                len(word) > 4
                and word.endswith("ly")
                and word
                not in ("only", "family", "early", "reply", "belly", "jelly", "daily", "nearly", "slowly")
            ):
                here += 0.6
            elif len(word) > 5 and word not in _NOT_ADJECTIVE and _ADJECTIVE.search(word):
                here += 0.5
        here += 0.8 * len(_SIMILE.findall(line.text.casefold()))
        load += here
        if here >= 2 and here / max(1, len(line.words)) > 0.09:
            findings.append(
                Finding(line, "carries more ornament than a picture can show", -min(1.0, here / 4))
            )
    return Found(10 * load / total, len(reading.actions), tuple(findings))


def shown(reading: Reading) -> Found:
    """Deeds, things and sense impressions in the action, for each ten words of action."""
    listed = stems("physical") | stems("senses")
    total = sum(len(line.words) for line in reading.actions)
    if total < 20:
        return NOTHING
    findings, hits = [], 0
    for line in reading.actions:
        here = sum(reading.stem(word) in listed for word in line.words)
        hits += here
        if here >= 2:
            findings.append(Finding(line, "can be seen and heard", min(1.0, 0.2 * here)))
        elif not here and len(line.words) >= 4:
            findings.append(Finding(line, "has nothing in it to see, hear or hold", -0.5))
    return Found(10 * hits / total, len(reading.actions), tuple(findings))


def balance(reading: Reading) -> Found:
    """The picture's share: words of action among all, 0..1."""
    if reading.word_count < 80:
        return NOTHING
    return Found(sum(len(line.words) for line in reading.actions) / reading.word_count, len(reading.lines))


def picture_and_talk(reading: Reading) -> Found:
    """The longest run of speeches without a line of action, in speeches, a mean over scenes."""
    runs, findings = [], []
    for scene in reading.scenes:
        run = longest = 0
        where: Line | None = None
        for line in scene.lines:
            run = run + 1 if line.spoken else 0
            if run > longest:
                longest, where = run, line
        if scene.lines:
            runs.append(longest)
        if longest > 14 and where is not None:
            findings.append(Finding(where, f"is the {longest}th speech running with nothing to see", -0.6))
    return (
        Found(statistics.fmean(runs), len(runs) * 4, tuple(findings))
        if runs and reading.speeches
        else NOTHING
    )


def images_return(reading: Reading) -> Found:
    """Things seen in the action of one scene and seen again in that of another, for each 100 words of action."""
    first: dict[str, int] = {}
    findings: list[Finding] = []
    counted: set[str] = set()
    for line in reading.actions:
        for word in sorted(line.content & reading.places_of.keys()):
            if word in first and first[word] != line.scene and word not in counted:
                counted.add(word)
                findings.append(Finding(line, f"shows '{reading.as_said(line, word)}' again", 0.5))
            first.setdefault(word, line.scene)
    total = sum(len(line.words) for line in reading.actions)
    return (
        Found(100 * len(findings) / max(100, total), len(reading.actions), tuple(findings))
        if len(reading.scenes) > 1 and reading.actions
        else NOTHING
    )


def short_lines(reading: Reading) -> Found:
    """Words per action line, the mean."""
    counts = [len(line.words) for line in reading.actions if line.words]
    if len(counts) < 3:
        return NOTHING
    findings = tuple(
        Finding(line, f"is an action line of {len(line.words)} words", -0.5)
        for line in reading.actions
        if len(line.words) > 45
    )
    return Found(statistics.fmean(counts), len(counts), findings)


def own_pictures(reading: Reading) -> Found:
    """Stock gestures and phrases in the action, for each action line."""
    pattern = phrases("stock")
    found = [
        Finding(line, f"has been seen before: {match.group()}", -1.0)
        for line in reading.actions
        if (match := pattern.search(plain_text(line.text)))
    ]
    return faults(reading.actions, found) if len(reading.actions) >= 3 else NOTHING


def readable(reading: Reading) -> Found:
    """Action in sentences without a break of grammar or a word about the craft, 0..1."""
    shots = [line for line in reading.written if line.kind == "action"]
    return sound(shots) if len(shots) >= 2 else NOTHING


def now(reading: Reading) -> Found:
    """Action sentences in the past tense, for each; a script happens now."""
    count = sum(len(line.sentences) for line in reading.actions)
    found = [
        Finding(line, "is told in the past", -0.6)
        for line in reading.actions
        for sentence in line.sentences
        if len(_PAST.findall(sentence.text.casefold())) >= 1
    ]
    return faults(reading.actions, found, per=max(1, count)) if len(reading.actions) >= 3 else NOTHING


MEASURES = (
    Measure("filmable", filmable, "What would the camera see instead of this thought?"),
    Measure("plain", plain, "Take the ornaments off: a noun and a verb."),
    Measure("shown", shown, "Put a thing, a sound or a movement into this line."),
    Measure("balance", balance, "Let the picture carry about a third of the words."),
    Measure("picture and talk", picture_and_talk, "Break the talk here with something to look at."),
    Measure("images return", images_return, "Show a thing of an earlier scene again, changed."),
    Measure("short lines", short_lines, "One picture a paragraph."),
    Measure("own pictures", own_pictures, "Everybody has seen this gesture. What would this person do?"),
    Measure("readable", readable, "Make this a sentence."),
    Measure("now", now, "Write what happens now."),
)
