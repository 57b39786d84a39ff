"""Seasons and the episodes written for them: what is kept, and what keeps it."""

from __future__ import annotations

import re
import shutil
from collections.abc import Callable, Iterable
from datetime import datetime
from pathlib import Path
from typing import Annotated, Protocol, TypeVar

from pydantic import BaseModel, ConfigDict, Field, StringConstraints

from cinegen_core.story import StoryBible
from cinegen_core.story.model import Noun
from cinegen_core.story.state import ChoiceId
from cinegen_core.tiers.model import Generation, TierName

Id = Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{16}$")]
"""Sixteen hexadecimal digits: safe in a file's name and in an address."""


Free = Callable[[Path], int]
"""How many bytes may still be written to the disk that a path is on. Raises `OSError`."""

ROOM = 16 * 2**20
"""With fewer bytes than these left on its disk, a store says that nothing can be kept."""


class StoreError(Exception):
    """Something kept cannot be read or written. The message says which file, and what to do."""


class LeftOutError(StoreError):
    """Some of what was to be copied could not be read; all the rest was copied. The message names each, and what to do."""


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


class Summary(Noun):
    """What lists of episodes show of a record: all but the writing itself and how it came about."""

    id: Id
    season: Id
    parent: Id | None
    choice: ChoiceId | None
    revises: Id | None
    revision: str
    seed: int
    minutes: float
    direction: str
    who: str
    saved: datetime
    number: int
    title: str
    tier: TierName
    writer: str


class EpisodeStore(Protocol):
    """Used from several threads at once. Every method raises `StoreError` where the store itself fails.

    Ids that are none, whatever was typed, are those of nothing: None, or empty.
    """

    def add_season(self, season: Season, bible: StoryBible) -> None:
        """Keeps a season and its bible, in place of those with its id; episodes that it has are left as they are."""
        ...

    def season(self, season_id: str) -> Season | None: ...

    def bible(self, season_id: str) -> StoryBible | None: ...

    def seasons(self) -> tuple[Season, ...]:
        """All of them, newest first."""
        ...

    def save(self, record: Record) -> None:
        """Keeps a record, in place of one with its id. Raises `StoreError` where its season is not kept."""
        ...

    def record(self, season_id: str, record_id: str) -> Record | None: ...

    def season_of(self, record_id: str) -> str | None:
        """The id of the season that an episode belongs to; None for one that is not there."""
        ...

    def records(self, season_id: str) -> tuple[Record, ...]:
        """A season's episodes by number, and by time within one number."""
        ...

    def summaries(self, season_id: str) -> tuple[Summary, ...]:
        """What lists show of a season's episodes, in the order of `records`, in a small part of its time."""
        ...

    def record_ids(self, season_id: str) -> frozenset[str]:
        """Which episodes a season has, without reading them."""
        ...

    def check(self) -> None:
        """Raises `StoreError` where nothing could be kept at the moment. Leaves nothing behind."""
        ...


Listed = TypeVar("Listed", Record, Summary)


class _Partly(BaseModel):
    """Read for some of its keys."""

    model_config = ConfigDict(frozen=True, extra="ignore")


class _EpisodeOutline(_Partly):
    number: int
    title: str


class _GenerationOutline(_Partly):
    episode: _EpisodeOutline
    tier: TierName
    writer: str


class _Outline(_Partly):
    """A record's JSON, as far as a summary needs it."""

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
    generation: _GenerationOutline


_AS_IN_RECORD = tuple(name for name in Summary.model_fields if name in Record.model_fields)


class MemoryStore:
    """Keeps everything until the program ends: for tests, and for trying out."""

    def __init__(self) -> None:
        self._seasons: dict[str, tuple[Season, StoryBible]] = {}
        self._records: dict[str, dict[str, Record]] = {}

    def add_season(self, season: Season, bible: StoryBible) -> None:
        self._records.setdefault(season.id, {})
        self._seasons[season.id] = (season, bible)

    def season(self, season_id: str) -> Season | None:
        found = self._seasons.get(season_id)
        return found[0] if found else None

    def bible(self, season_id: str) -> StoryBible | None:
        found = self._seasons.get(season_id)
        return found[1] if found else None

    def seasons(self) -> tuple[Season, ...]:
        return in_order_of_start(season for season, _ in tuple(self._seasons.values()))

    def save(self, record: Record) -> None:
        if record.season not in self._seasons:
            raise no_season(record)
        self._records[record.season][record.id] = record

    def record(self, season_id: str, record_id: str) -> Record | None:
        return self._records.get(season_id, {}).get(record_id)

    def season_of(self, record_id: str) -> str | None:
        return next((season for season, records in self._records.items() if record_id in records), None)

    def records(self, season_id: str) -> tuple[Record, ...]:
        return in_order_of_number(tuple(self._records.get(season_id, {}).values()))

    def summaries(self, season_id: str) -> tuple[Summary, ...]:
        return tuple(map(summary_of, self.records(season_id)))

    def record_ids(self, season_id: str) -> frozenset[str]:
        return frozenset(self._records.get(season_id, {}))

    def check(self) -> None:
        """Memory always has room."""


def is_id(text: str) -> bool:
    """Whether it has an `Id`'s form: ids come from addresses that anybody can type."""
    return re.fullmatch(r"[0-9a-f]{16}", text) is not None


def in_order_of_start(seasons: Iterable[Season]) -> tuple[Season, ...]:
    """Newest first."""
    return tuple(sorted(seasons, key=lambda season: (season.started, season.id), reverse=True))


def in_order_of_number(records: Iterable[Listed]) -> tuple[Listed, ...]:
    return tuple(sorted(records, key=lambda record: (record.number, record.saved, record.id)))


def summary_of(record: Record) -> Summary:
    written = record.generation
    return Summary(
        number=record.number,
        title=written.episode.title,
        tier=written.tier,
        writer=written.writer,
        **{name: getattr(record, name) for name in _AS_IN_RECORD},
    )


def summary_in(data: str | bytes) -> Summary:
    """The summary of a record in JSON, most of which is passed over. Raises `ValidationError`."""
    found = _Outline.model_validate_json(data)
    return Summary(
        number=found.generation.episode.number,
        title=found.generation.episode.title,
        tier=found.generation.tier,
        writer=found.generation.writer,
        **{name: getattr(found, name) for name in _AS_IN_RECORD},
    )


def no_season(record: Record) -> StoreError:
    """What is raised where a record's season is not kept."""
    return StoreError(
        f"The episode {record.id} cannot be kept: its season {record.season} is not there (any more). "
        "Open a season, and write the episode in it."
    )


def free_bytes(path: Path) -> int:
    """What may still be written to the disk that `path` is on. Raises `OSError`."""
    return shutil.disk_usage(path).free


def see_to_room(path: Path, free: Free) -> None:
    """Raises `StoreError` where fewer than `ROOM` bytes are free on the disk that `path` is on, or nobody can say."""
    try:
        left = free(path)
    except OSError as error:
        raise StoreError(
            f"{path} cannot be reached ({error.strerror}). See that its disk is there."
        ) from error
    if left < ROOM:
        raise StoreError(
            f"The disk of {path} is full: {left / 2**20:.1f} MiB are free, {ROOM // 2**20} are needed. Free some space."
        )
