"""Genre execution: the pleasures that a genre promises, spread over the episode, in their order, and nothing that spoils them."""

from __future__ import annotations

import math
import statistics

from cinegen_core.scorer.measure import NOTHING, Finding, Found, Measure, share
from cinegen_core.scorer.reading import Line, Reading
from cinegen_core.scorer.words import Genre, genres, stems

_SETUP = 9
_PUNCH = 7


def of(reading: Reading) -> tuple[Genre, ...]:
    """The genres to judge by: the bible's, else those whose signs are most in the script; drama where none stands out."""
    known = genres()
    if reading.bible is not None and reading.bible.genres:
        text = " ".join(reading.bible.genres).casefold()
        found = tuple(g for g in known if any(name in text for name in g.named))
        if found:
            return found[:2]
    rated = sorted(known, key=lambda g: (-_presence(reading, g), g.name))
    return tuple(rated[:1])


def told(reading: Reading) -> tuple[Genre, ...]:
    """The genres that the bible names; none where it has to be guessed, and then nobody can be blamed for missing it."""
    return of(reading) if reading.bible is not None and reading.bible.genres else ()


def _presence(reading: Reading, genre: Genre) -> float:
    """Signs of a genre that are its own: lines with one of a group's less shared words."""
    shared = [
        word for other in genres() if other is not genre for group in other.groups.values() for word in group
    ]
    own = frozenset().union(*genre.groups.values()) - frozenset(shared)
    hits = sum(1 for line in reading.lines if line.content & own)
    return hits / math.sqrt(max(1, len(own)))


def _signs(reading: Reading, genre: Genre) -> dict[str, list[Line]]:
    found: dict[str, list[Line]] = {name: [] for name in genre.groups}
    for line in reading.lines:
        here = frozenset(reading.stem(word) for word in line.words)
        for name, group in genre.groups.items():
            if not here.isdisjoint(group):
                found[name].append(line)
    return found


def promises_kept(reading: Reading) -> Found:
    """How full each of the genre's groups of signs is: the mean over groups of the share of lines with a sign, each counted up to .25; 0..1."""
    if len(reading.lines) < 8:
        return NOTHING
    values, findings = [], []
    for genre in of(reading):
        for name, lines in _signs(reading, genre).items():
            values.append(min(1.0, len(lines) / len(reading.lines) / 0.25))
            findings += [
                Finding(line, f"is {genre.name.replace('_', ' ')}: {name}", 0.4) for line in lines[:2]
            ]
    return Found(statistics.fmean(values), len(reading.lines), tuple(findings))


def in_every_scene(reading: Reading) -> Found:
    """Groups of signs that show in each scene, a mean over scenes and groups; 0..1."""
    scenes = [scene for scene in reading.scenes if scene.lines]
    if len(scenes) < 2:
        return NOTHING
    values, findings = [], []
    for genre in of(reading):
        for name, lines in _signs(reading, genre).items():
            have = {line.scene for line in lines}
            values.append(len(have) / len(scenes))
            findings += [
                Finding(
                    scene.lines[0],
                    f"begins a scene with nothing of {genre.name.replace('_', ' ')}'s {name}",
                    -0.4,
                )
                for scene in scenes
                if scene.number not in have
            ]
    return Found(statistics.fmean(values), len(scenes) * 3, tuple(findings))


def not_given_away(reading: Reading) -> Found:
    """Lines of the first half that name what the genre keeps back, for each ten lines of it. A bible's title or a person's role does not count."""
    kept = [genre for genre in told(reading) if genre.given_away]
    first = reading.lines[: len(reading.lines) // 2]
    if not kept or len(first) < 6:
        return NOTHING
    findings = []
    for line in first:
        here = frozenset(reading.stem(word) for word in line.words)
        for genre in kept:
            named = here & genre.given_away
            outright = genre.given_away_phrases and genre.given_away_phrases.search(line.text.casefold())
            if outright:
                named = frozenset([outright.group()])
            if named and line.spoken and not line.asks:
                findings.append(
                    Finding(
                        line,
                        f"names what {genre.name.replace('_', ' ')} should keep back ('{reading.as_said(line, min(named))}')",
                        -1.0,
                    )
                )
    return Found(10 * len(findings) / len(first), len(first), tuple(findings))


def no_other_mood(reading: Reading) -> Found:
    """Lines with signs of a mood that spoils this genre, for each ten lines."""
    genres_told = told(reading)
    if len(reading.lines) < 8 or not genres_told:
        return NOTHING
    findings = []
    for line in reading.lines:
        here = frozenset(reading.stem(word) for word in line.words)
        for genre in genres_told:
            wrong = here & genre.foreign
            if wrong:
                findings.append(
                    Finding(
                        line,
                        f"belongs to another mood than {genre.name.replace('_', ' ')} ('{reading.as_said(line, min(wrong))}')",
                        -1.0,
                    )
                )
    return Found(10 * len(findings) / len(reading.lines), len(reading.lines), tuple(findings))


def turns_on_a_word(reading: Reading) -> Found:
    """Short answers that come after a longer speech (or after a beat of action), 0..1 of turns: the beat of comedy, and of a threat."""
    if len(reading.turns) < 6:
        return NOTHING
    findings = [
        Finding(turn.answer, "lands in a few words", 0.5)
        for turn in reading.turns
        if 1 <= len(turn.answer.words) <= _PUNCH and (len(turn.said.words) >= _SETUP or turn.apart >= 1)
    ]
    return Found(len(findings) / len(reading.turns), len(reading.turns), tuple(findings))


def comes_back(reading: Reading) -> Found:
    """Runners: an uncommon word, or somebody who is not there, spoken of in one scene and again in another; for each 100 spoken words."""
    spoken_at: dict[str, list[Line]] = {}
    for scene in reading.scenes:
        here = {line.speaker for line in scene.speeches}
        for line in scene.speeches:
            for word in (
                *(word for word in line.content if word in reading.places_of),
                *(line.people - here),
            ):
                spoken_at.setdefault(word, []).append(line)
    total = sum(len(line.words) for line in reading.speeches)
    findings = []
    for word, lines in sorted(spoken_at.items()):
        again = next((line for line in lines if line.scene != lines[0].scene), None)
        if again is not None:
            findings.append(Finding(again, f"comes back to '{reading.as_said(again, word)}'", 0.5))
    return (
        Found(100 * len(findings) / max(200, total), len(reading.speeches), tuple(findings))
        if len(reading.scenes) > 1 and len(reading.speeches) >= 12
        else NOTHING
    )


def beats(reading: Reading) -> Found:
    """Silences and beats in action: action lines of eight words or fewer between two speeches, 0..1 of turns."""
    if len(reading.turns) < 6:
        return NOTHING
    findings = []
    for scene in reading.scenes:
        for before, line, after in zip(scene.lines, scene.lines[1:], scene.lines[2:], strict=False):
            if before.spoken and line.kind == "action" and after.spoken and len(line.words) <= 8:
                findings.append(Finding(line, "is a beat between two speeches", 0.4))
    return Found(len(findings) / len(reading.turns), len(reading.turns), tuple(findings))


def surprises(reading: Reading) -> Found:
    """Speeches whose last sentence goes where the first did not: two sentences or more that share nothing, the last short; 0..1."""
    things = stems("physical")
    rows = []
    for line in reading.speeches:
        if len(line.sentences) < 2:
            continue
        last = line.sentences[-1]
        turned = len(last.words) <= 6 and len(line.words) - len(last.words) >= 4
        rows.append(
            (
                line,
                0.6 * turned + 0.4 * (turned and any(reading.stem(w) in things for w in last.words)),
                "turns at its end",
                "",
            )
        )
    return share(rows) if len(rows) >= 4 else NOTHING


MEASURES = (
    Measure(
        "promises kept",
        promises_kept,
        "What does one come to this genre for? Let this scene give some of it.",
    ),
    Measure(
        "in every scene",
        in_every_scene,
        "This scene could be in another genre. What of ours is missing from it?",
    ),
    Measure(
        "not given away", not_given_away, "Keep the word for it back; show what it does.", needs_bible=True
    ),
    Measure(
        "one mood",
        no_other_mood,
        "This line is of another mood. Say the same thing in ours.",
        needs_bible=True,
    ),
    Measure("turns on a word", turns_on_a_word, "After the long line let a short one land."),
    Measure(
        "comes back", comes_back, "Let something said in the first scene return where nobody expects it."
    ),
    Measure("beats", beats, "Leave a beat before the answer: something small that is seen or heard."),
    Measure("surprises", surprises, "Let the last words of this speech go where its first did not."),
)
