"""A script read once, line by line, so that every measure can look at the same thing.

Words are folded; `content` holds the stems that carry meaning, names of people left out; `people` are those
a line names, by the cue that stands for them. Nothing here judges.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise

from cinegen_core.scorer.grammar import fault
from cinegen_core.scorer.words import base, stems, words
from cinegen_core.story import Character, Dialogue, StoryBible
from cinegen_core.story.script import Script
from cinegen_core.story.words import STOP

WORD = re.compile(r"\d+(?:[.:,]\d+)*|[^\W\d_]+(?:['-][^\W\d_]+)*")
_SENTENCE_END = re.compile(r"(?<=[.?!\u2026])[\"'\u201d\u2019)]*\s+")
_QUOTES = str.maketrans(
    {"\u2019": "'", "\u2018": "'", "\u201c": '"', "\u201d": '"', "\u2013": "-", "\u2014": "--"}
)
_ASIDE = re.compile(r"\([^()]{1,60}\)")
_DETERMINERS = frozenset(
    ["a", "an", "the", "his", "her", "their", "my", "your", "our", "its", "this", "that", "these", "those"]
)
_INDEFINITE = frozenset(["a", "an", "another", "some", "two", "three", "four", "five", "six"])


REPEATED = 5
"""A sentence of so many words that stands a second time in the scenes is a copy, and earns nothing; a shorter one may be an echo."""


@dataclass(frozen=True)
class Sentence:
    """`words` are folded; `shown` as they stand in the script. `fault` says why it earns nothing, if so."""

    text: str
    shown: tuple[str, ...]
    words: tuple[str, ...]
    fault: str = ""


@dataclass(frozen=True, eq=False)
class Line:
    """One element of a script. `scene` and `number` count from 1, `place` through the whole script from 0.

    Ornaments (purple.txt) are no content. `speaker` is the person's key for a speech and empty otherwise. `sentences`, `words`, `content` and `people` are of what
    is sound and new; `unsound` and `repeated` have the sentences that earn nothing.
    """

    scene: int
    number: int
    place: int
    kind: str
    speaker: str
    text: str
    sentences: tuple[Sentence, ...]
    words: tuple[str, ...]
    content: frozenset[str]
    people: frozenset[str]
    unsound: tuple[Sentence, ...] = ()
    repeated: tuple[Sentence, ...] = ()

    @property
    def spoken(self) -> bool:
        return self.kind == "dialogue"

    @property
    def asks(self) -> bool:
        return self.text.rstrip("\"' ").endswith("?")


@dataclass(frozen=True, eq=False)
class SceneReading:
    """`lines` are those that hold something; `void` those of which nothing counts: gibberish, terms, copies."""

    number: int
    slugline: str
    lines: tuple[Line, ...]
    void: tuple[Line, ...] = ()

    @cached_property
    def speeches(self) -> tuple[Line, ...]:
        return tuple(line for line in self.lines if line.spoken)

    @cached_property
    def actions(self) -> tuple[Line, ...]:
        return tuple(line for line in self.lines if line.kind == "action")

    @cached_property
    def content(self) -> frozenset[str]:
        return frozenset().union(*(line.content for line in self.lines))


@dataclass(frozen=True)
class Turn:
    """A speech and the one that answers it, by somebody else in the same scene. `apart` counts the lines between."""

    said: Line
    answer: Line
    apart: int


@dataclass(frozen=True)
class ChoiceReading:
    label: Line
    cost: Line


class Reading:
    """All that measures look at. Built from a script and, where there is one, its bible."""

    def __init__(self, script: Script, bible: StoryBible | None = None) -> None:
        self.script, self.bible = script, bible
        self._stems: dict[str, str] = {}
        self._said: set[tuple[str, ...]] = set()
        self.people: dict[str, Character | None] = {}
        self._aliases = self._names()
        self.scenes: tuple[SceneReading, ...] = tuple(self._scenes())
        self.question = self._line("question", script.question, 0, 0, 0)
        self.choices = tuple(
            ChoiceReading(
                self._line("choice", choice.label, 0, index, 0),
                self._line("choice", choice.consequence, 0, index, 0),
            )
            for index, choice in enumerate(script.choices, 1)
        )

    def stem(self, word: str) -> str:
        found = self._stems.get(word)
        if found is None:
            found = self._stems[word] = base(word)
        return found

    def as_said(self, line: Line, word: str) -> str:
        """A word that is compared as `word`, as this line has it."""
        return next((said for said in line.words if self.stem(said) == word), word)

    def _names(self) -> dict[str, str]:
        """Every word by which a person may be called, with the person's key; doubtful ones are left out."""
        found: dict[str, set[str]] = {}
        if self.bible is not None:
            for cue, person in self.bible.cues().items():
                key = fold(cue)
                self.people[key] = person
                for word in WORD.findall(person.name.casefold().translate(_QUOTES)):
                    found.setdefault(word, set()).add(key)
        known = {word: next(iter(keys)) for word, keys in found.items() if len(keys) == 1}
        for scene in self.script.scenes:
            for element in scene.elements:
                if isinstance(element, Dialogue) and self.key(element.speaker, known) not in self.people:
                    key = fold(element.speaker)
                    self.people.setdefault(key, None)
                    for word in WORD.findall(key):
                        found.setdefault(word, set()).add(key)
        return {
            word: next(iter(keys))
            for word, keys in found.items()
            if len(keys) == 1 and len(word) > 1 and word not in STOP and word not in _TITLES
        }

    def key(self, cue: str, aliases: dict[str, str] | None = None) -> str:
        """The person that a cue stands for."""
        folded = fold(cue)
        if folded in self.people:
            return folded
        names = self._aliases if aliases is None else aliases
        keys = {names[word] for word in WORD.findall(folded) if word in names}
        return next(iter(keys)) if len(keys) == 1 else folded

    def _scenes(self) -> Iterator[SceneReading]:
        place = 0
        for number, scene in enumerate(self.script.scenes, 1):
            lines: list[Line] = []
            void: list[Line] = []
            for index, element in enumerate(scene.elements, 1):
                speaker = self.key(element.speaker) if isinstance(element, Dialogue) else ""
                line = self._line(element.kind, element.text, number, index, place, speaker)
                if not line.words and (line.unsound or line.repeated):
                    void.append(line)
                else:
                    lines.append(line)
                    place += 1
            yield SceneReading(number, " ".join(scene.slugline.split()), tuple(lines), tuple(void))

    def _line(self, kind: str, text: str, scene: int, number: int, place: int, speaker: str = "") -> Line:
        folded = " ".join(text.translate(_QUOTES).split())
        if kind == "dialogue":
            folded = _ASIDE.sub("", folded).strip()
        sentences: list[Sentence] = []
        unsound: list[Sentence] = []
        repeated: list[Sentence] = []
        for part in _SENTENCE_END.split(folded):
            shown = tuple(WORD.findall(part))
            if shown:
                row = tuple(word.casefold() for word in shown)
                sentence = Sentence(part, shown, row, fault(row, shown, part))
                if sentence.fault:
                    unsound.append(sentence)
                elif scene and len(row) >= REPEATED and row in self._said:
                    repeated.append(sentence)
                else:
                    sentences.append(sentence)
                    self._said.add(row)
        everything = tuple(word for sentence in sentences for word in sentence.words)
        people = {
            self._aliases[base]
            for sentence in sentences
            for shown, word in zip(sentence.shown, sentence.words, strict=True)
            if (base := word.removesuffix("'s")) in self._aliases and not shown[0].islower()
        }
        ornaments = words("purple")
        content = frozenset(
            self.stem(word)
            for word in everything
            if len(word) > 2
            and word not in ornaments
            and word not in STOP
            and word.removesuffix("'s") not in self._aliases
        )
        if (unsound or repeated) and sentences:
            folded = " ".join(sentence.text for sentence in sentences)
        return Line(
            scene,
            number,
            place,
            kind,
            speaker,
            folded,
            tuple(sentences),
            everything,
            content,
            frozenset(people),
            tuple(unsound),
            tuple(repeated),
        )

    def line_of(self, text: str) -> Line:
        """Any text, read as the script's lines are; it stands in no scene."""
        return self._line("text", text, 0, 0, 0)

    @cached_property
    def lines(self) -> tuple[Line, ...]:
        return tuple(line for scene in self.scenes for line in scene.lines)

    @cached_property
    def written(self) -> tuple[Line, ...]:
        """Every line, those of which nothing counts among them."""
        return tuple(line for scene in self.scenes for line in (*scene.lines, *scene.void))

    @cached_property
    def speeches(self) -> tuple[Line, ...]:
        return tuple(line for line in self.lines if line.spoken)

    @cached_property
    def actions(self) -> tuple[Line, ...]:
        return tuple(line for line in self.lines if line.kind == "action")

    @cached_property
    def word_count(self) -> int:
        return sum(len(line.words) for line in self.lines)

    @cached_property
    def length(self) -> int:
        """Words to count things by: those of the scenes, at least 250 and at most 1,100, so that neither a fragment nor what
        stands beyond the form changes a rate."""
        return min(1100, max(250, self.word_count))

    @cached_property
    def turns(self) -> tuple[Turn, ...]:
        found: list[Turn] = []
        for scene in self.scenes:
            for said, answer in pairwise(scene.speeches):
                if said.speaker != answer.speaker:
                    found.append(Turn(said, answer, answer.number - said.number - 1))
        return tuple(found)

    @cached_property
    def by_speaker(self) -> dict[str, list[Line]]:
        """Speeches by person, those who speak most first."""
        found: dict[str, list[Line]] = {}
        for line in self.speeches:
            found.setdefault(line.speaker, []).append(line)
        return dict(sorted(found.items(), key=lambda row: (-len(row[1]), row[0])))

    @cached_property
    def nouns(self) -> dict[str, list[tuple[int, bool]]]:
        """Things by stem: where each stands behind a determiner, and whether an indefinite one ("a key")."""
        common = _common_stems()
        found: dict[str, list[tuple[int, bool]]] = {}
        for line in self.lines:
            for sentence in line.sentences:
                for index, word in enumerate(sentence.words):
                    if word not in _DETERMINERS and word not in _INDEFINITE:
                        continue
                    head = self._head(sentence.words, index + 1)
                    if head and head not in common:
                        found.setdefault(head, []).append((line.place, word in _INDEFINITE))
        return found

    def _head(self, row: Sequence[str], start: int) -> str:
        """The noun of a phrase that begins at `start`: the last word before a small word, at most three on."""
        last = ""
        for word in row[start : start + 3]:
            if word in STOP or len(word) < 3 or word.removesuffix("'s") in self._aliases:
                break
            if word in words("purple"):
                continue
            last = self.stem(word)
            if word.endswith("'s"):
                break
        return last

    @cached_property
    def places_of(self) -> dict[str, list[int]]:
        """For each content stem that is not common, the lines (by `place`) that hold it."""
        common = _common_stems()
        found: dict[str, list[int]] = {}
        for line in self.lines:
            for word in line.content:
                if word not in common:
                    found.setdefault(word, []).append(line.place)
        return found


_TITLES = frozenset(
    [
        "mr",
        "mrs",
        "ms",
        "miss",
        "dr",
        "sir",
        "lady",
        "captain",
        "inspector",
        "sergeant",
        "officer",
        "nurse",
        "judge",
        "old",
        "young",
        "voice",
        "man",
        "woman",
    ]
)


def _common_stems() -> frozenset[str]:
    """Words whose return ties nothing together. A thing that can be held does, however common it is."""
    return stems("common") - stems("physical")


def fold(cue: str) -> str:
    """A cue as it is compared."""
    return " ".join(cue.translate(_QUOTES).casefold().split())
