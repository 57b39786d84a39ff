"""Dialogue quality: replies that answer, people told apart by their speech, speech that is speech."""

from __future__ import annotations

import re
import statistics
from collections.abc import Callable, Iterator, Sequence
from itertools import pairwise

from cinegen_core.scorer.grammar import plain_text
from cinegen_core.scorer.links import link, profile
from cinegen_core.scorer.measure import NOTHING, Finding, Found, Measure, faults, share
from cinegen_core.scorer.reading import Line, Reading
from cinegen_core.scorer.words import phrases, words

_CONTRACTED = re.compile(
    r"\b\w+(?:n't|'(?:m|re|ve|ll|d))\b|\b(?:it|that|what|who|there|here|he|she|where|how|let)'s\b"
)
_FULL = re.compile(
    r"\b(?:(?:do|does|did|is|are|was|were|have|has|had|could|would|should|will|must) not|cannot|i am|i have|i will|i would|you are|you have|you will|it is|"
    r"that is|there is|he is|she is|they are|we are|we have|what is|who is|let us)\b"
)
_FEELING = re.compile(
    r"\b(?:i|you|we) (?:\w+ )?(?:feel|felt|am feeling|am|'m|was|are|were|need|needed|love|hate|resent|blame|envy|fear)\b|\b(?:i'm|you're|we're|i've been|you've been|makes? me|made me|you make me)\b"
)
_EXPLAINS = re.compile(
    r"\b(?:i(?:'ve| have)? (?:always|never) (?:been|felt|wanted|loved|hated|known|told|forgave|forgiven)|the (?:reason|truth) (?:is|that|why)|what i (?:really )?(?:mean|feel|want|need) is|deep down|"
    r"i(?:'m| am) (?:the kind|someone|a person|the sort) (?:of|who)|because i (?:feel|am|was|love|hate|need|want|care)|you (?:always|never) (?:understood|loved|cared|listened|believed|made me)|"
    r"i(?:'m| am) (?:so |very |really |just )?(?:angry|afraid|scared|hurt|ashamed|jealous|sad|lonely|frightened|proud|sorry|guilty)\b|i (?:feel|felt)\b|my (?:feelings|fear|guilt|anger|pain|heart)|"
    r"what matters|that means (?:that )?(?:you|i|we)|i realis?ze|i understand that|i want you to know|i need you to)"
)


def replies_answer(reading: Reading) -> Found:
    """How much better replies fit what was just said than other speeches of the same two people in the scene would.

    The mean link of neighbours plus their lead over the mean link of non-neighbours, so that a topic in common is not
    enough. 0 is chance.
    """
    rows: list[tuple[Line, float, str, str]] = []
    lead: list[float] = []
    for scene in reading.scenes:
        profiles = [profile(line) for line in scene.speeches]
        by_pair: dict[tuple[str, str], list[float]] = {}
        for i, said in enumerate(scene.speeches):
            for j in range(max(0, i - 9), min(len(scene.speeches), i + 10)):
                if j != i + 1 and j != i and scene.speeches[j].speaker != said.speaker:
                    value = link(profiles[i], profiles[j])
                    by_pair.setdefault((said.speaker, scene.speeches[j].speaker), []).append(value)
        for i, (said, answer) in enumerate(pairwise(scene.speeches)):
            if said.speaker == answer.speaker:
                continue
            value = link(profiles[i], profiles[i + 1])
            rows.append(
                (
                    answer,
                    value,
                    "takes up what was just said",
                    "could follow anything: it does not take up the speech before it" if value < 0.15 else "",
                )
            )
            others = by_pair.get((said.speaker, answer.speaker))
            if others:
                lead.append(value - statistics.fmean(others))
    found = share(rows)
    if found.raw is None or len(rows) < 4:
        return NOTHING
    ahead = statistics.fmean(lead) if lead else 0.0
    return Found(0.5 * found.raw + ahead, found.seen, found.findings)


def manner(line: Line) -> tuple[float, ...]:
    """A dozen marks of how something is said, in units that make 1 a plain difference."""
    folded = line.text.casefold()
    count = max(1, len(line.words))
    return (
        min(count, 25) / 8,
        1.6 * bool(_CONTRACTED.search(folded)),
        1.3 * line.text.count("?") / max(1, len(line.sentences)),
        min(3, line.text.count(",")) * 0.8,
        0.8 * len(line.sentences),
        1.5 * (line.words[0] in _OPENERS if line.words else False),
        1.5 * bool(_FULL.search(folded)),
        1.2 * ("i" in line.words or "i'm" in line.words),
        1.2 * ("you" in line.words),
        sum(map(len, line.words)) / count / 1.5,
        1.5 * any(word[0].isdigit() for word in line.words) + 1.5 * ("--" in line.text or "..." in line.text),
        1.5 * ("!" in line.text),
    )


_OPENERS = frozenset(
    [
        "well",
        "oh",
        "yeah",
        "aye",
        "right",
        "listen",
        "look",
        "no",
        "please",
        "perhaps",
        "quite",
        "honestly",
        "now",
        "so",
        "and",
        "but",
        "yes",
        "then",
        "ah",
        "hm",
        "okay",
    ]
)


def voices_apart(reading: Reading) -> Found:
    """Differences of manner between people over those within one person: the mean F ratio of a dozen marks, less 1.

    People with five speeches or more. 0 is what one voice for all would give by chance.
    """
    groups = {who: lines for who, lines in reading.by_speaker.items() if len(lines) >= 5}
    if len(groups) < 2:
        return NOTHING
    rows = {who: [manner(line) for line in lines] for who, lines in groups.items()}
    total = sum(map(len, rows.values()))
    ratios: list[float] = []
    for mark in range(len(next(iter(rows.values()))[0])):
        columns = {who: [row[mark] for row in found] for who, found in rows.items()}
        mean = sum(map(sum, columns.values())) / total
        between = sum(len(c) * (statistics.fmean(c) - mean) ** 2 for c in columns.values()) / (len(rows) - 1)
        within = sum(sum((v - statistics.fmean(c)) ** 2 for v in c) for c in columns.values()) / max(
            1, total - len(rows)
        )
        ratios.append(min(8.0, between / (within + 0.04)))
    findings = []
    overall = {
        who: [statistics.fmean(row[m] for row in found) for m in range(len(found[0]))]
        for who, found in rows.items()
    }
    for who, lines in groups.items():
        others = [mean for other, mean in overall.items() if other != who]
        for line in lines:
            row = manner(line)
            own = sum((a - b) ** 2 for a, b in zip(row, overall[who], strict=True))
            far = min(sum((a - b) ** 2 for a, b in zip(row, other, strict=True)) for other in others)
            if far - own > 2.5:
                findings.append(Finding(line, f"could only be {who.upper()}", min(1.0, (far - own) / 8)))
            elif own - far > 2.5:
                findings.append(
                    Finding(line, f"sounds like somebody else than {who.upper()}", -min(1.0, (own - far) / 8))
                )
    return Found(statistics.fmean(ratios) - 1.0, total, tuple(findings))


def same_person(reading: Reading) -> Found:
    """Whether people stay themselves from scene to scene: how much nearer their manner in one scene is to their manner in the
    others than the next person's is, in shares of the distance; -1..1. People with three speeches in each of two scenes."""
    rows: dict[str, dict[int, list[tuple[float, ...]]]] = {}
    for line in reading.speeches:
        rows.setdefault(line.speaker, {}).setdefault(line.scene, []).append(manner(line))
    several = [who for who, scenes in rows.items() if sum(map(len, scenes.values())) >= 5]
    if len(several) < 2:
        return NOTHING
    values, findings = [], []
    for who in several:
        for number, here in rows[who].items():
            rest = [row for other, found in rows[who].items() if other != number for row in found]
            if len(here) < 3 or len(rest) < 3:
                continue
            own = _apart(here, rest)
            others = [
                _apart(here, found)
                for other in several
                if other != who
                for found in [[r for n, g in rows[other].items() if n != number for r in g]]
                if len(found) >= 3
            ]
            if not others:
                continue
            value = (min(others) - own) / max(min(others), own, 1e-9)
            values.append(value)
            if value < -0.3:
                line = next(line for line in reading.scenes[number - 1].speeches if line.speaker == who)
                findings.append(Finding(line, f"{who.upper()} talks like somebody else in this scene", value))
    return Found(statistics.fmean(values), 6 * len(values), tuple(findings)) if len(values) >= 2 else NOTHING


def _apart(left: Sequence[tuple[float, ...]], right: Sequence[tuple[float, ...]]) -> float:
    """The squared distance between the mean manners of two sets of speeches."""
    return sum(
        (statistics.fmean(a) - statistics.fmean(b)) ** 2
        for a, b in zip(zip(*left, strict=True), zip(*right, strict=True), strict=True)
    )


_DIGIT = re.compile(
    r"\d|\b(?:two|three|four|five|six|seven|eight|nine|ten|eleven|twelve|twenty|thirty|forty|fifty|sixty|hundred|half|quarter|percent|o'clock)\b"
)

Trait = tuple[str, Callable[[Line], float], float]


def _has(pattern: re.Pattern[str]) -> Callable[[Line], float]:
    return lambda line: float(bool(pattern.search(line.text.casefold())))


def _traits(voice: str) -> list[Trait]:
    """What a voice in the bible promises that can be counted: (what, count of a line, +1 for more than others or -1 for less)."""
    folded = voice.casefold().replace("\u2019", "'")
    quoted = [
        q
        for pair in re.findall(
            r"\"([^\"]{2,30})\"|(?<!\w)'([^']{2,30})'(?!\w)|calls? people (\w+)|(?:begins?|starts?) with (\w+(?: \w+)?)",
            folded,
        )
        for q in pair
        if q
    ]
    rows: list[Trait] = [
        (f"says '{q}'", _has(re.compile(rf"\b{re.escape(q.strip(' ,.'))}\b")), 1.0) for q in quoted
    ]
    full = re.search(
        r"\b(?:no|without|never a|few|never) contract\w*|uncontracted|never shortens|\bformal\b|\blegal\b",
        folded,
    )
    if full:
        rows += [
            ("speaks in full forms", _has(_CONTRACTED), -1.0),
            ("speaks in full forms", _has(_FULL), 1.0),
        ]
    elif re.search(r"contract(?:ions|ed)|slang|chatty|teenage|ain't", folded):
        rows.append(("shortens", _has(_CONTRACTED), 1.0))
    if re.search(
        r"\b(?:short|clipped|terse|few words|few plain words|fragments|tiny|brief|two to|laconic|single words|blunt)\b",
        folded,
    ) and not re.search(r"\blong\b|rambling|run-on", folded):
        rows.append(("is brief", lambda line: min(20.0, len(line.words)) / 10, -1.0))
    elif re.search(
        r"\blong\b|run-on|rambling|ornate|grand\b|clauses|tells stories|patter|roundabout|polished|over-polite",
        folded,
    ):
        rows.append(("talks at length", lambda line: min(30.0, len(line.words)) / 10, 1.0))
    if re.search(r"\bquestions?\b", folded) and not re.search(
        r"answers? (?:a |the )?questions?|never asks", folded
    ):
        rows.append(("asks", lambda line: float("?" in line.text), 1.0))
    if re.search(r"\bnumbers?|figures?|exact times|states times|\bcount\b", folded):
        rows.append(("counts", _has(_DIGIT), 1.0))
    if re.search(r"exclam|shouts?\b", folded):
        rows.append(("exclaims", lambda line: float("!" in line.text), 1.0))
    return rows


def own_voice(reading: Reading) -> Found:
    """How far people speak as the bible says they do, against the others of the script: for each countable trait of a voice the
    difference of rates, cut at +-.5, in the direction promised; a mean over traits, -.5..5."""
    if reading.bible is None:
        return NOTHING
    values: list[float] = []
    findings = []
    for who, lines in reading.by_speaker.items():
        person = reading.people.get(who)
        others = [line for line in reading.speeches if line.speaker != who]
        if person is None or len(lines) < 4 or len(others) < 4:
            continue
        for what, count, sign in _traits(person.voice):
            own = [count(line) for line in lines]
            lead = sign * (statistics.fmean(own) - statistics.fmean(map(count, others)))
            values.append(max(-0.5, min(0.5, lead)))
            best = max(zip(own, lines, strict=True), key=lambda row: (sign * row[0], -row[1].place))[1]
            worst = min(zip(own, lines, strict=True), key=lambda row: (sign * row[0], row[1].place))[1]
            findings.append(
                Finding(best, f"sounds like {who.upper()}: {what}", 0.5)
                if lead > 0
                else Finding(worst, f"does not sound like the {who.upper()} of the bible, who {what}", -0.6)
            )
    return Found(statistics.fmean(values), 6 * len(values), tuple(findings)) if len(values) >= 2 else NOTHING


def spoken(reading: Reading) -> Found:
    """Short forms among the places where one could stand; 0..1. Full forms everywhere are written, not said."""
    short = full = 0
    findings = []
    for line in reading.speeches:
        folded = line.text.casefold()
        has, lacks = len(_CONTRACTED.findall(folded)), len(_FULL.findall(folded))
        short += has
        full += lacks
        if lacks > has:
            findings.append(Finding(line, "is said in full forms, as one writes", -min(1.0, 0.4 * lacks)))
    return Found(short / (short + full), short + full, tuple(findings)) if short + full >= 6 else NOTHING


def length(reading: Reading) -> Found:
    """Words per speech, the mean of the script with each speech counted up to 60."""
    if len(reading.speeches) < 4:
        return NOTHING
    counts = [min(60, len(line.words)) for line in reading.speeches]
    findings = tuple(
        Finding(line, f"is a speech of {len(line.words)} words", -min(1.0, len(line.words) / 60))
        for line in reading.speeches
        if len(line.words) > 32
    )
    return Found(statistics.fmean(counts), len(counts), findings)


def rhythm(reading: Reading) -> Found:
    """How much the length of speeches varies: standard deviation over mean."""
    counts = [min(60, len(line.words)) for line in reading.speeches if line.words]
    if len(counts) < 8:
        return NOTHING
    findings = tuple(
        Finding(line, "is short where others are long", 0.4)
        for line in reading.speeches
        if 1 <= len(line.words) <= 3
    )
    return Found(statistics.pstdev(counts) / statistics.fmean(counts), len(counts), findings[:6])


def under_the_words(reading: Reading) -> Found:
    """Speeches that name the speaker's own feelings, motives or meaning, for each speech; a plainly stated one counts 1."""
    feelings = words("emotion")

    def look() -> Iterator[Finding]:
        for line in reading.speeches:
            folded = line.text.casefold()
            if _EXPLAINS.search(folded):
                yield Finding(line, "says outright what could be played", -1.0)
            elif _FEELING.search(folded) and not feelings.isdisjoint(line.words):
                yield Finding(line, "names a feeling", -0.7)

    return faults(reading.speeches, look()) if len(reading.speeches) >= 4 else NOTHING


def fresh(reading: Reading) -> Found:
    """Phrases that have been said in a thousand scripts, for each speech."""
    pattern = phrases("stock")
    found = [
        Finding(line, f"has been said before: {match.group()}", -1.0)
        for line in reading.speeches
        if (match := pattern.search(plain_text(line.text)))
    ]
    return faults(reading.speeches, found) if len(reading.speeches) >= 4 else NOTHING


def new_lines(reading: Reading) -> Found:
    """The share of spoken sentences of three words or more that have not stood in the script before, 0..1."""
    seen: set[tuple[str, ...]] = set()
    value, count = 0.0, 0
    findings: list[Finding] = []
    for line in (line for line in reading.written if line.spoken):
        for sentence in line.sentences:
            if len(sentence.words) >= 3:
                # Said once more, a short line may be an echo that is meant.
                value += 0.5 if sentence.words in seen else 1.0
                count += 1
                seen.add(sentence.words)
        count += len(line.repeated)
        findings += [
            Finding(line, "is said again, word for word", -1.0, again.text) for again in line.repeated
        ]
    return Found(value / count, count, tuple(findings)) if count else NOTHING


def sound(lines: Sequence[Line]) -> Found:
    """Sentences of three words or more that are sentences, and of the story, 0..1; see `grammar.fault`."""
    good = sum(len(sentence.words) >= 3 for line in lines for sentence in line.sentences)
    findings = tuple(
        Finding(line, sentence.fault, -1.0, sentence.text) for line in lines for sentence in line.unsound
    )
    count = good + len(findings)
    return Found(good / count, count, findings) if count else NOTHING


def sayable(reading: Reading) -> Found:
    """`sound` of what is spoken."""
    spoken_lines = [line for line in reading.written if line.spoken]
    return sound(spoken_lines) if len(spoken_lines) >= 2 else NOTHING


def hands_over(reading: Reading) -> Found:
    """Speeches that follow another person's, 0..1; the same cue twice running is a conversation with itself."""
    rows = []
    for scene in reading.scenes:
        for before, line in pairwise(scene.speeches):
            apart = line.number - before.number
            alone = before.speaker == line.speaker
            rows.append(
                (
                    line,
                    (0.0 if apart == 1 else 0.75) if alone else 1.0,
                    "",
                    "the same person speaks again, with nothing between" if apart == 1 else "",
                )
            )
    return share(rows)


MEASURES = (
    Measure(
        "replies answer",
        replies_answer,
        "Let this reply take up a word, a thing or a question of the speech before it, or dodge it so that one sees it dodged.",
    ),
    Measure(
        "voices apart",
        voices_apart,
        "Give one of these people shorter sentences, other habits, other words: cover the cues and see who is speaking.",
    ),
    Measure(
        "the same person",
        same_person,
        "This person has another way of speaking in every scene; which one is theirs?",
    ),
    Measure("own voice", own_voice, "The bible says how this person speaks; let them.", needs_bible=True),
    Measure(
        "spoken, not written",
        spoken,
        "Say it aloud and write down what you said: it's, don't, half a sentence.",
    ),
    Measure("short speeches", length, "Cut this speech in two and let somebody break in."),
    Measure("rhythm", rhythm, "After a long speech let a word stand alone."),
    Measure(
        "under the words",
        under_the_words,
        "Give this person something to do or to ask for instead of saying what they feel.",
    ),
    Measure("fresh", fresh, "Everybody has heard this line. What would only this person say?"),
    Measure(
        "new lines",
        new_lines,
        "This has been said already, word for word. Let it return changed, or not at all.",
    ),
    Measure("sayable", sayable, "Make this a sentence that a person could say."),
    Measure("hands over", hands_over, "Join these two speeches, or let the other one speak between them."),
)
