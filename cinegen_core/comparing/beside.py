"""Answers side by side: scene next to scene, figure next to figure."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

from cinegen_core.scorer import DIMENSION_WORDS, DimensionName
from cinegen_core.story import Episode, Scene
from cinegen_core.story.model import Noun
from cinegen_core.tiers.model import Generation

ALIKE = 0.3
"""How alike (0..1) two scenes must be, at least, to stand in one row: the same place in the story alone is not enough."""

_PLACE, _PEOPLE, _TIME = 0.45, 0.35, 0.2
"""What the same place, the same people and the same part of the running time count for."""


class Row(Noun):
    """What stands side by side: for each episode, in order, the place (from 0) of its scene, or None where it has none to go there."""

    places: tuple[int | None, ...]

    def scenes(self, episodes: Sequence[Episode | None]) -> tuple[Scene | None, ...]:
        """The scenes themselves, of the episodes that were aligned."""
        return tuple(
            None if place is None or episode is None else episode.scenes[place]
            for place, episode in zip(self.places, episodes, strict=True)
        )


def aligned(episodes: Sequence[Episode | None]) -> tuple[Row, ...]:
    """Rows of scenes that belong side by side, from the first to the last; an episode that is None has an empty column.

    With as many scenes in each, the first stands beside the first, and so on. Otherwise scenes are matched by place, people and part
    of the running time, so that likeness is greatest in all (Needleman & Wunsch, Journal of Molecular Biology 48, 1970; one
    episode after another is fitted to the rows there are). Every scene is in one row, and scenes keep their order.
    """
    counts = {len(episode.scenes) for episode in episodes if episode is not None}
    if len(counts) == 1:
        return tuple(
            Row(places=tuple(None if episode is None else place for episode in episodes))
            for place in range(counts.pop())
        )
    rows: list[tuple[int | None, ...]] = []
    for column, episode in enumerate(episodes):
        before = episodes[:column]
        looks = [_looks(row, before) for row in rows]
        steps = _fitted(looks, () if episode is None else _looks_of(episode))
        empty = (None,) * column
        rows = [((rows[row] if row is not None else empty) + (place,)) for row, place in steps]
    return tuple(Row(places=row) for row in rows)


class _Look(Noun):
    """What scenes are matched by. `part` (0..1) is the part of the running time at its middle."""

    place: frozenset[str]
    people: frozenset[str]
    part: float

    def like(self, other: _Look) -> float:
        """How alike the two are, 0..1."""
        near = 1.0 - abs(self.part - other.part)
        place, people = _shared(self.place, other.place), _shared(self.people, other.people)
        return _PLACE * place + _PEOPLE * people + _TIME * near


def _looks_of(episode: Episode) -> tuple[_Look, ...]:
    whole = sum(scene.seconds for scene in episode.scenes)
    count = len(episode.scenes)
    looks: list[_Look] = []
    passed = 0
    for index, scene in enumerate(episode.scenes):
        part = (passed + scene.seconds / 2) / whole if whole else (index + 0.5) / count
        people = frozenset(name.casefold() for name in scene.speakers)
        looks.append(_Look(place=_location(scene.slugline), people=people, part=part))
        passed += scene.seconds
    return tuple(looks)


def _looks(row: Sequence[int | None], episodes: Sequence[Episode | None]) -> tuple[_Look, ...]:
    return tuple(
        _looks_of(episode)[place]
        for place, episode in zip(row, episodes, strict=True)
        if place is not None and episode is not None
    )


def _location(slugline: str) -> frozenset[str]:
    """The words of the place alone: neither inside or outside, nor an article, nor the time of day."""
    named = re.sub(r"^\s*(?:(?:int|ext|i/e|est)\b[./ ]*)+", "", slugline.casefold())
    place, dash, _ = named.rpartition(" - ")
    return frozenset(re.findall(r"\w+", place if dash else named)) - {"the", "a", "an"}


def _shared(some: frozenset[str], others: frozenset[str]) -> float:
    together = some | others
    return len(some & others) / len(together) if together else 0.0


def _fitted(rows: Sequence[Sequence[_Look]], scenes: Sequence[_Look]) -> list[tuple[int | None, int | None]]:
    """(row, scene) in order, each once, one of them None where it stands alone: the way with the most likeness beyond `ALIKE`."""
    best = [[0.0] * (len(scenes) + 1) for _ in range(len(rows) + 1)]
    gain = [[_mean(look.like(scene) for look in row) - ALIKE for scene in scenes] for row in rows]
    for row in range(len(rows) - 1, -1, -1):
        for scene in range(len(scenes) - 1, -1, -1):
            both = best[row + 1][scene + 1] + gain[row][scene]
            best[row][scene] = max(both, best[row + 1][scene], best[row][scene + 1])
    steps: list[tuple[int | None, int | None]] = []
    row = scene = 0
    while row < len(rows) or scene < len(scenes):
        if row == len(rows):
            steps.append((None, scene))
            scene += 1
        elif scene == len(scenes) or best[row][scene] == best[row + 1][scene]:
            steps.append((row, None))
            row += 1
        elif best[row][scene] == best[row][scene + 1]:
            steps.append((None, scene))
            scene += 1
        else:
            steps.append((row, scene))
            row, scene = row + 1, scene + 1
    return steps


def _mean(values: Iterable[float]) -> float:
    found = list(values)
    return sum(found) / len(found) if found else 0.0


class DimensionRow(Noun):
    """One dimension of the scorer, in words, with a score (0..10) for each way; `notes` say why where there is none."""

    name: DimensionName
    words: str
    scores: tuple[float | None, ...]
    notes: tuple[str, ...]


class Overlay(Noun):
    """Dimensions by ways, and what each way took: figures are in the order of the ways, None where there is no generation (for
    `overall`: no score).

    `seconds` are those of its writing, also for an answer kept from before, `tokens` and `calls` those of all its attempts,
    `cost` is in US dollars.
    """

    dimensions: tuple[DimensionRow, ...]
    overall: tuple[float | None, ...]
    seconds: tuple[float | None, ...]
    calls: tuple[int | None, ...]
    tokens: tuple[int | None, ...]
    cost: tuple[float | None, ...]


def overlay(generations: Sequence[Generation | None]) -> Overlay:
    """The scorecards of a comparison's generations laid over each other."""
    cards = [None if one is None else one.scorecard for one in generations]
    rows: list[DimensionRow] = []
    for name, words in DIMENSION_WORDS.items():
        scores: list[float | None] = []
        notes: list[str] = []
        for one, card in zip(generations, cards, strict=True):
            found = card.dimensions.get(name) if card is not None else None
            scores.append(found.score if found is not None else None)
            if found is not None:
                notes.append(found.note if found.score is None else "")
            else:
                notes.append("Nothing was written this way." if one is None else "This was not judged.")
        rows.append(DimensionRow(name=name, words=words, scores=tuple(scores), notes=tuple(notes)))
    return Overlay(
        dimensions=tuple(rows),
        overall=tuple(None if card is None else card.overall for card in cards),
        seconds=tuple(None if one is None else _seconds(one) for one in generations),
        calls=tuple(None if one is None else sum(a.calls for a in one.attempts) for one in generations),
        tokens=tuple(None if one is None else sum(a.tokens for a in one.attempts) for one in generations),
        cost=tuple(None if one is None else sum(a.cost for a in one.attempts) for one in generations),
    )


def _seconds(generation: Generation) -> float:
    if generation.kept is None:
        return generation.seconds
    return sum(attempt.seconds for attempt in generation.attempts)
