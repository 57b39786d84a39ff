"""Measures of finished scripts: repetition, overlap, voices, and faults that a reader would mark."""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence

from cinegen_core.story import Action, Dialogue, Episode

_WORD = re.compile(r"[a-z0-9']+")


def sentences(text: str) -> list[str]:
    return [s.strip() for s in re.split(r"(?<=[.?!…])[\"”'’)]*\s+", text) if s.strip()]


def long_sentences(episode: Episode, *, spoken_only: bool = False) -> list[str]:
    """Sentences of four words or more, folded to letters; speeches only, or all of the script."""
    found = []
    for scene in episode.scenes:
        for element in scene.elements:
            if spoken_only and not isinstance(element, Dialogue):
                continue
            for sentence in sentences(element.text):
                words = _WORD.findall(sentence.casefold().replace("’", "'"))
                if len(words) >= 4:
                    found.append(" ".join(words))
    return found


def overlap(left: Episode, right: Episode) -> float:
    """Share of the shorter script's distinct sentences of four words or more that stand in the other too, 0..1."""
    a, b = set(long_sentences(left)), set(long_sentences(right))
    return len(a & b) / min(len(a), len(b)) if a and b else 0.0


def repeated_share(season: Sequence[Episode]) -> float:
    """Share of a season's sentences of four words or more that have stood before in it, 0..1."""
    counts = Counter(s for episode in season for s in long_sentences(episode))
    total = sum(counts.values())
    return sum(n - 1 for n in counts.values()) / total if total else 0.0


def repeated_speeches(season: Sequence[Episode]) -> list[str]:
    """Spoken sentences of four words or more that are said more than once in a season."""
    counts = Counter(s for episode in season for s in long_sentences(episode, spoken_only=True))
    return sorted(s for s, n in counts.items() if n > 1)


def adjacent_cues(episode: Episode) -> int:
    """Times that one person has two cues running, in one scene."""
    found = 0
    for scene in episode.scenes:
        last = None
        for element in scene.elements:
            if isinstance(element, Dialogue):
                found += element.speaker == last
                last = element.speaker
    return found


def speeches(episodes: Iterable[Episode]) -> list[tuple[str, str]]:
    """(cue, text) of every speech in order."""
    return [
        (e.speaker, e.text)
        for ep in episodes
        for scene in ep.scenes
        for e in scene.elements
        if isinstance(e, Dialogue)
    ]


def _features(text: str) -> list[str]:
    folded = text.casefold().replace("’", "'")
    words = _WORD.findall(folded)
    marks = [f"length {min(6, len(words) // 3)}", f"? {text.count('?')}", f", {min(3, text.count(','))}"]
    marks += ["contracted" if re.search(r"\w'(?:t|m|re|ve|ll|d|s)\b", folded) else "full"]
    marks += [f"first {words[0]}"] if words else []
    return [*words, *marks, *marks]


def speaker_identification(lines: Sequence[tuple[str, str]]) -> tuple[float, float]:
    """(accuracy, majority baseline) of naive Bayes at telling who says an unseen line.

    Words and simple marks of manner; trained on every other pair of lines, tested on the rest (single lines would put the
    two people of a scene on different sides); speakers with fewer than ten lines are left out. (0, 0) where fewer than
    two speakers remain.
    """
    counts = Counter(cue for cue, _ in lines)
    kept = [(cue, text) for cue, text in lines if counts[cue] >= 10]
    train = [line for index, line in enumerate(kept) if (index // 2) % 2 == 0]
    test = [line for index, line in enumerate(kept) if (index // 2) % 2]
    speakers = sorted({cue for cue, _ in train})
    if len(speakers) < 2 or not test:
        return (0.0, 0.0)
    table = {cue: Counter(f for c, text in train if c == cue for f in _features(text)) for cue in speakers}
    vocabulary = len({f for counter in table.values() for f in counter})
    prior = Counter(cue for cue, _ in train)
    smoothing = 0.3

    def score(cue: str, text: str) -> float:
        total = sum(table[cue].values()) + smoothing * vocabulary
        known = sum(math.log((table[cue][f] + smoothing) / total) for f in _features(text))
        return math.log(prior[cue] / len(train)) + known

    right = sum(max(speakers, key=lambda cue: score(cue, text)) == actual for actual, text in test)
    majority = Counter(cue for cue, _ in test).most_common(1)[0][1]
    return (right / len(test), majority / len(test))


_FAULTS: tuple[tuple[str, str], ...] = (
    ("an open slot", r"[{}<>]"),
    ("a space before a stop", r"\s[,.;:?!](?!\.)"),
    ("'a' before a vowel", r"(?:\ba|^A|[.?!] A) (?:[aei]|o(?!ne\b|nce\b|f\b)|u(?!n[ai]|s|t|r|ku))"),
    ("two full stops", r"(?<!\.)\.\.(?!\.)"),
    ("stops that clash", r",\.|\?\.|!\.|(?<![A-Z])\.,"),
    ("'I' with a verb that does not agree", r"(?<!and )(?<!or )\bI (?:is|are|has)\b"),
)
"""What is wrong in any line."""
_IN_DESCRIPTION: tuple[tuple[str, str], ...] = (
    ("a doubled word", r"\b(\w{3,}) \1\b"),
    ("a verb that does not agree", r"\b(?:[Tt]hey|[Ww]e|[Yy]ou) (?:is|was|has|does)\b"),
    ("a small letter at the start", r"^[a-z]"),
)
"""What is wrong in a line of description; people may speak as they like."""


def grammar_faults(episode: Episode) -> list[str]:
    """Lines that a net of simple patterns catches, each with what is wrong."""
    found = []
    for scene in episode.scenes:
        for element in scene.elements:
            patterns = _FAULTS if isinstance(element, Dialogue) else (*_FAULTS, *_IN_DESCRIPTION)
            found += [
                f"{what}: {element.text[:80]}"
                for what, pattern in patterns
                if re.search(pattern, element.text)
            ]
    return found


_UNFILMABLE = re.compile(
    r"\b(thinks?|thought|remembers?|remembered|wonders?|realis\w+|realiz\w+|decides?|decided|believes?|hopes?|wishes|regrets?|knows? that|means to|has always|used to|"
    r"would have|years ago|in truth|feels like|understands?)\b",
    re.IGNORECASE,
)


def unfilmable(episode: Episode) -> list[str]:
    """Action lines that say what no camera can see."""
    return [
        e.text
        for scene in episode.scenes
        for e in scene.elements
        if isinstance(e, Action) and _UNFILMABLE.search(e.text)
    ]


def mean_speech(episodes: Iterable[Episode]) -> float:
    """Words per speech."""
    lengths = [len(text.split()) for _, text in speeches(episodes)]
    return sum(lengths) / len(lengths) if lengths else 0.0


def cue_count(episode: Episode) -> int:
    return sum(isinstance(e, Dialogue) for scene in episode.scenes for e in scene.elements)


def pairs(items: Sequence[Episode]) -> Iterator[tuple[Episode, Episode]]:
    for index, left in enumerate(items):
        for right in items[index + 1 :]:
            yield left, right
