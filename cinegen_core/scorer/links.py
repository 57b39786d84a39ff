"""How strongly one speech takes up another: the ground for "each reply answers"."""

from __future__ import annotations

from dataclasses import dataclass

from cinegen_core.scorer.reading import Line

_YES_NO = frozenset(
    [
        "yes",
        "no",
        "yeah",
        "aye",
        "nope",
        "never",
        "of",
        "not",
        "i",
        "it",
        "he",
        "she",
        "they",
        "we",
        "sometimes",
        "maybe",
        "perhaps",
        "probably",
    ]
)
_TAKES_UP = frozenset(
    [
        "then",
        "so",
        "and",
        "but",
        "because",
        "well",
        "oh",
        "that",
        "that's",
        "which",
        "or",
        "only",
        "except",
        "unless",
        "no",
        "yes",
        "not",
        "neither",
        "nor",
        "still",
        "it's",
        "it",
        "they're",
        "he's",
        "she's",
        "there's",
        "exactly",
        "ah",
        "right",
        "good",
        "fine",
        "sorry",
        "what",
        "why",
        "who",
        "where",
        "how",
        "since",
        "until",
        "if",
    ]
)
_PLACES = frozenset(
    [
        "in",
        "on",
        "at",
        "under",
        "behind",
        "by",
        "from",
        "to",
        "over",
        "up",
        "down",
        "through",
        "inside",
        "outside",
        "here",
        "there",
        "home",
        "near",
        "out",
        "off",
        "with",
    ]
)
_NUMBERS = frozenset(
    [
        "one",
        "two",
        "three",
        "four",
        "five",
        "six",
        "seven",
        "eight",
        "nine",
        "ten",
        "eleven",
        "twelve",
        "once",
        "twice",
        "half",
        "hundred",
        "thousand",
        "none",
        "nothing",
        "enough",
        "all",
        "both",
        "several",
        "few",
        "some",
        "many",
        "most",
        "every",
    ]
)
_WHEN = frozenset(
    [
        "when",
        "before",
        "after",
        "since",
        "until",
        "ago",
        "at",
        "yesterday",
        "today",
        "tomorrow",
        "tonight",
        "morning",
        "night",
        "evening",
        "now",
        "then",
        "always",
        "never",
        "soon",
        "last",
        "next",
        "monday",
        "tuesday",
        "wednesday",
        "thursday",
        "friday",
        "saturday",
        "sunday",
        "week",
        "year",
        "half",
        "past",
    ]
)
_WHY = frozenset(
    ["because", "to", "so", "for", "since", "in", "it", "i", "he", "she", "they", "you", "if", "habit"]
)
_ASKERS = ("who", "whose", "what", "where", "when", "why", "how", "which")
_SMALL = frozenset(
    [
        "the",
        "a",
        "an",
        "and",
        "or",
        "of",
        "to",
        "in",
        "on",
        "it",
        "is",
        "was",
        "be",
        "i",
        "you",
        "he",
        "she",
        "they",
        "we",
    ]
)


@dataclass(frozen=True)
class Profile:
    """What of a speech matters for what comes next."""

    words: frozenset[str]
    content: frozenset[str]
    people: frozenset[str]
    first: str
    count: int
    asks: bool
    asker: str
    you: bool
    me: bool
    numbers: bool
    pairs: frozenset[tuple[str, str]]


def profile(line: Line) -> Profile:
    words = frozenset(line.words)
    last = line.sentences[-1].words if line.sentences else ()
    asker = next((word for word in last if word.removesuffix("'s") in _ASKERS), "") if line.asks else ""
    return Profile(
        words=words,
        content=line.content,
        people=line.people,
        first=line.words[0] if line.words else "",
        count=len(line.words),
        asks=line.asks,
        asker=asker.removesuffix("'s"),
        you=not words.isdisjoint(("you", "your", "you're", "you've", "you'd", "you'll", "yours")),
        me=not words.isdisjoint(("i", "my", "me", "i'm", "i've", "i'd", "i'll", "mine")),
        numbers=any(word[0].isdigit() or word in _NUMBERS for word in line.words),
        pairs=frozenset(
            pair for pair in zip(line.words, line.words[1:], strict=False) if not _SMALL.issuperset(pair)
        ),
    )


def link(said: Profile, answer: Profile) -> float:
    """How plainly `answer` takes up `said`, 0 (it might follow anything) to 1."""
    value = 0.0
    shared = len(said.content & answer.content)
    if shared:
        value += 0.5 + 0.2 * min(2, shared - 1)
    if said.pairs & answer.pairs:
        value += 0.25
    if said.people & answer.people:
        value += 0.2
    if said.asks:
        value += _answers(said, answer)
    elif answer.asks and answer.count <= 5:
        value += 0.3
    elif answer.first in _TAKES_UP:
        value += 0.25
    if (said.you and answer.me) or (said.me and answer.you):
        value += 0.15
    if said.numbers and answer.numbers:
        value += 0.15
    return min(1.0, value)


def _answers(said: Profile, answer: Profile) -> float:
    if answer.asks:
        return 0.25 if answer.count <= 8 else 0.1
    fits = {
        "": not answer.words.isdisjoint(_YES_NO) and answer.first in _YES_NO,
        "where": answer.first in _PLACES or bool(answer.words & _PLACES and answer.count <= 8),
        "when": not answer.words.isdisjoint(_WHEN) or answer.numbers,
        "why": answer.first in _WHY,
        "who": bool(answer.people)
        or answer.count <= 4
        or answer.first in ("the", "my", "a", "somebody", "nobody"),
        "whose": bool(answer.people) or answer.count <= 4,
        "how": answer.numbers or answer.first in ("by", "with", "like", "badly", "fine", "not", "very"),
        "what": answer.count <= 8 or answer.first in ("a", "the", "that", "it", "nothing", "i", "to"),
        "which": answer.first in ("the", "that", "this", "both") or answer.count <= 5,
    }[said.asker]
    return 0.45 if fits else (0.2 if answer.count <= 6 else 0.0)
