"""World building: a place with its own things, sounds and words, that keeps its own rules."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

from cinegen_core.scorer.measure import NOTHING, Finding, Found, Measure, share
from cinegen_core.scorer.reading import Line, Reading
from cinegen_core.scorer.words import first_years, stems

_BARE_PLACE = frozenset(
    "room house office building street place location hall corridor outside inside apartment flat car interior exterior day night city town area somewhere anywhere".split()
)
_TIME = re.compile(
    r"\b(?:day|night|dawn|dusk|morning|evening|afternoon|noon|midnight|later|continuous|sunset|sunrise|moments|same)\b"
)
_PREFIX = re.compile(r"^(?:int|ext|est|i/e)[./ ]*(?:(?:int|ext)[. ]*)?", re.IGNORECASE)
_FUTURE = re.compile(r"\b(?:2[1-9]\d\d|2[0][5-9]\d|far future|future|spacefaring|orbital|colon(?:y|ies))\b")
_YEAR = re.compile(r"\b(1\d{3}|20\d{2})s?\b")


def places(reading: Reading) -> Found:
    """How particular the places are: words of their own in each slugline, two of them (or one of the bible's places) being enough; 0..1."""
    known = (
        [frozenset(reading.line_of(place.name).words) for place in reading.bible.locations]
        if reading.bible
        else []
    )
    rows = []
    for scene in reading.scenes:
        if not scene.lines:
            continue
        text = _PREFIX.sub("", scene.slugline.casefold())
        own = [
            w
            for w in re.findall(r"[^\W\d_]+", text)
            if w not in _BARE_PLACE and not _TIME.fullmatch(w) and len(w) > 2
        ]
        of_bible = any(len(place & set(own)) >= min(2, len(place)) for place in known)
        value = 1.0 if of_bible else min(1.0, len(own) / 2) * (0.75 if known else 1.0)
        first = scene.lines[0]
        rows.append(
            (first, value, "", f"plays in a place that could be anywhere ({scene.slugline or 'no heading'})")
        )
    return share(rows)


def _different(
    reading: Reading, lines: Sequence[Line], listed: frozenset[str], least: int, words: str, unit: float
) -> Found:
    """Different words of a list for each 100 words of the script; a line with `least` new ones is evidence."""
    if len(reading.lines) < 5:
        return NOTHING
    seen: set[str] = set()
    findings = []
    for line in lines:
        new = {found for word in line.words if (found := reading.stem(word)) in listed} - seen
        if len(new) >= least:
            shown = ", ".join(reading.as_said(line, word) for word in sorted(new)[:3])
            findings.append(Finding(line, f"{words} ({shown})", min(1.0, unit * len(new))))
        seen |= new
    return Found(100 * len(seen) / reading.length, len(reading.lines), tuple(findings))


def senses(reading: Reading) -> Found:
    """Different words of sound, smell, touch, taste and light in the action, for each 100 words of the script."""
    return _different(reading, reading.actions, stems("senses"), 1, "can be heard, felt or smelled", 0.5)


def things(reading: Reading) -> Found:
    """Different things that can be held or seen, in any line, for each 100 words of the script."""
    return _different(reading, reading.lines, stems("physical"), 2, "has things in it", 0.25)


def particulars(reading: Reading) -> Found:
    """Names of places and things, numbers, dates and quoted words, in lines for each line; the general has none. 0..1."""
    rows = []
    for line in reading.lines:
        if line.kind == "transition" or not line.words:
            continue
        names = [
            shown
            for sentence in line.sentences
            for shown in sentence.shown[1:]
            if shown[0].isupper()
            and len(shown) > 1
            and shown not in ("I'm", "I've", "I'd", "I'll")
            and reading.key(shown) not in reading.people
        ]
        exact = bool(names) or any(word[0].isdigit() or word in _EXACT for word in line.words)
        general = "could stand anywhere: it has no name, number or hour" if len(line.words) >= 9 else ""
        rows.append((line, float(exact), "is particular: a name, a number, an hour", general))
    return share(rows) if len(rows) >= 5 else NOTHING


_EXACT = frozenset(
    "three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen sixteen seventeen eighteen nineteen twenty thirty forty fifty sixty hundred dozen half quarter monday tuesday wednesday thursday friday saturday sunday january february march april june july august september october november december".split()
)


def own_words(reading: Reading) -> Found:
    """Words of this world that come back: uncommon things in two lines or more, for each 100 words of the script."""
    found = {
        word: at
        for word, at in reading.places_of.items()
        if len(at) >= 2
        and word in reading.nouns
        and word not in stems("abstract")
        and word not in stems("craft")
    }
    findings = [
        Finding(
            reading.lines[at[1]],
            f"speaks of this world's own things ('{reading.as_said(reading.lines[at[1]], word)}')",
            0.4,
        )
        for word, at in sorted(found.items(), key=lambda row: (-len(row[1]), row[0]))[:8]
    ]
    # A thing named over and over is one thing; the count is of different ones.
    return (
        Found(100 * len(found) / reading.length, len(reading.lines), tuple(findings))
        if len(reading.lines) >= 5
        else NOTHING
    )


def from_the_bible(reading: Reading) -> Found:
    """Words of the bible's places, motifs, rules, culture and trades that are heard or seen, for each 100 words of the script."""
    bible = reading.bible
    if bible is None:
        return NOTHING
    texts = [
        *(f"{place.name} {place.look} {place.sound} {place.smell} {place.activity}" for place in bible.locations),
        *bible.motifs, *bible.world.rules, bible.world.culture, bible.world.setting, *(person.role for person in bible.characters),
    ]  # fmt: skip
    own = reading.line_of(" . ".join(texts)).content - stems("common")
    if len(own) < 8:
        return NOTHING
    used: set[str] = set()
    findings = []
    for line in reading.lines:
        new = (line.content & own) - used
        if new:
            findings.append(
                Finding(
                    line,
                    f"is of this series' world ({', '.join(reading.as_said(line, word) for word in sorted(new)[:3])})",
                    min(1.0, 0.3 * len(new)),
                )
            )
        used |= new
    return Found(100 * len(used) / reading.length, len(own), tuple(findings))


def in_its_time(reading: Reading) -> Found:
    """Lines with something that is out of place in the period, for each scene; needs a bible whose period or setting has a year or a future."""
    if reading.bible is None:
        return NOTHING
    text = f"{reading.bible.world.period} {reading.bible.world.setting}".casefold()
    year = _YEAR.search(text)
    future = _FUTURE.search(text)
    if year is None and future is None:
        return NOTHING
    years, bygone = first_years(), stems("bygone")

    def wrong(line: Line) -> Iterator[str]:
        for word in line.content:
            if (future is None and year is not None and years.get(word, 0) > int(year.group(1))) or (
                future is not None and word in bygone
            ):
                yield word

    findings = []
    for line in reading.lines:
        found = sorted(wrong(line))
        if found:
            findings.append(
                Finding(
                    line,
                    f"has something that is not of this time ('{reading.as_said(line, found[0])}')",
                    -1.0,
                )
            )
    return Found(len(findings) / max(1, len(reading.scenes)), len(reading.lines), tuple(findings))


def place_lives(reading: Reading) -> Found:
    """Action lines in which the place itself does something, nobody of the cast being their subject; 0..1 of action lines."""
    rows = []
    listed = stems("senses") | stems("physical")
    for line in reading.actions:
        if not line.words:
            continue
        first = line.words[0]
        about_people = first in (
            "he",
            "she",
            "they",
            "his",
            "her",
            "their",
            "both",
            "neither",
            "nobody",
            "everyone",
        ) or (line.sentences[0].shown[0] and reading.key(line.sentences[0].shown[0]) in reading.people)
        rows.append(
            (
                line,
                0.0 if about_people else float(any(reading.stem(word) in listed for word in line.words)),
                "lets the place act",
                "",
            )
        )
    return share(rows) if len(rows) >= 3 else NOTHING


MEASURES = (
    Measure("particular places", places, "Say which room: whose, what for, what is wrong with it."),
    Measure("senses", senses, "What does this place sound and smell like? One word of it is enough."),
    Measure("things", things, "Put a thing on the table that somebody has to move."),
    Measure(
        "particulars", particulars, "Make one general word here exact: a number, an hour, a street, a make."
    ),
    Measure("own words", own_words, "What do people here call it? Let the word come back."),
    Measure(
        "from the bible",
        from_the_bible,
        "The bible knows more of this place than the script shows; use one thing of it here.",
        needs_bible=True,
    ),
    Measure(
        "in its time",
        in_its_time,
        "This thing does not belong to the period; find what they had instead.",
        needs_bible=True,
    ),
    Measure(
        "the place lives",
        place_lives,
        "Let the weather, a machine or a neighbour do something while they talk.",
    ),
)
