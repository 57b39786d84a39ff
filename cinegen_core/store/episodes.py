"""Seasons and the episodes written for them: what is kept, and what keeps it."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from typing import Annotated, Protocol

from pydantic import Field, StringConstraints

from cinegen_core.story import StoryBible
from cinegen_core.story.model import Noun
from cinegen_core.story.state import ChoiceId
from cinegen_core.tiers.model import Generation

Id = Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{16}$")]
"""Sixteen hexadecimal digits: safe in a file's name and in an address."""


class StoreError(Exception):
    """Something kept cannot be read or written. The message says which file, and what to do."""


class Season(Noun):
    """A series that episodes are being written for. `source` is the sample's name, or empty for one's own."""

    id: Id
    title: str
    source: str = ""
    started: datetime


class Record(Noun):
    """One finished episode in its season.

    `parent` is the id of the episode it follows, `choice` the way taken there: a season may branch. `revises` is the id of
    the version that this one was made from, by hand or by writing a scene anew, and `revision` says in words what was done. `asked`
    has, for each engine, its directive in words, since directives of many types are kept here as one.
    """

    id: Id
    season: Id
    parent: Id | None = None
    choice: ChoiceId | None = None
    revises: Id | None = None
    revision: str = ""
    seed: int
    minutes: float
    direction: str = ""
    who: str = ""
    saved: datetime
    asked: dict[str, tuple[str, ...]] = Field(default_factory=dict)
    generation: Generation

    @property
    def number(self) -> int:
        return self.generation.episode.number


class EpisodeStore(Protocol):
    """Used from several threads at once. Every method raises `StoreError` where the store itself fails."""

    def add_season(self, season: Season, bible: StoryBible) -> None: ...

    def season(self, season_id: str) -> Season | None: ...

    def bible(self, season_id: str) -> StoryBible | None: ...

    def seasons(self) -> tuple[Season, ...]:
        """All of them, newest first."""
        ...

    def save(self, record: Record) -> None:
        """Keeps a record; its season has been added before."""
        ...

    def record(self, season_id: str, record_id: str) -> Record | None: ...

    def records(self, season_id: str) -> tuple[Record, ...]:
        """A season's episodes by number, and by time within one number."""
        ...


class MemoryStore:
    """Keeps everything until the program ends: for tests, and for trying out."""

    def __init__(self) -> None:
        self._seasons: dict[str, tuple[Season, StoryBible]] = {}
        self._records: dict[str, dict[str, Record]] = {}

    def add_season(self, season: Season, bible: StoryBible) -> None:
        self._seasons[season.id] = (season, bible)
        self._records[season.id] = {}

    def season(self, season_id: str) -> Season | None:
        found = self._seasons.get(season_id)
        return found[0] if found else None

    def bible(self, season_id: str) -> StoryBible | None:
        found = self._seasons.get(season_id)
        return found[1] if found else None

    def seasons(self) -> tuple[Season, ...]:
        return in_order_of_start(season for season, _ in self._seasons.values())

    def save(self, record: Record) -> None:
        self._records[record.season][record.id] = record

    def record(self, season_id: str, record_id: str) -> Record | None:
        return self._records.get(season_id, {}).get(record_id)

    def records(self, season_id: str) -> tuple[Record, ...]:
        return in_order_of_number(self._records.get(season_id, {}).values())


def in_order_of_start(seasons: Iterable[Season]) -> tuple[Season, ...]:
    """Newest first."""
    return tuple(sorted(seasons, key=lambda season: (season.started, season.id), reverse=True))


def in_order_of_number(records: Iterable[Record]) -> tuple[Record, ...]:
    return tuple(sorted(records, key=lambda record: (record.number, record.saved, record.id)))
