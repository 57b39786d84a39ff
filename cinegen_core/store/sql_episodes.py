"""Seasons and their episodes in a database."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Any, TypeVar

from sqlalchemy import (
    Column,
    Integer,
    Row,
    RowMapping,
    Select,
    String,
    Table,
    Text,
    delete,
    insert,
    select,
    update,
)

from cinegen_core.store.episodes import (
    Free,
    Record,
    Season,
    StoreError,
    Summary,
    free_bytes,
    in_order_of_number,
    in_order_of_start,
    is_id,
    no_season,
    see_to_room,
    summary_in,
)
from cinegen_core.store.sql import TABLES, Database, UtcTime
from cinegen_core.story import StoryBible

SEASONS = Table(
    "seasons",
    TABLES,
    Column("id", String(16), primary_key=True),
    Column("title", Text, nullable=False),
    Column("source", Text, nullable=False),
    Column("started", UtcTime, nullable=False, index=True),
    Column("bible", Text, nullable=False),
)
EPISODES = Table(
    "episodes",
    TABLES,
    Column("id", String(16), primary_key=True),
    Column("season", String(16), nullable=False, index=True),
    Column("number", Integer, nullable=False),
    Column("saved", UtcTime, nullable=False, index=True),
    Column("data", Text, nullable=False),
)

_SEASON = select(SEASONS.c.id, SEASONS.c.title, SEASONS.c.source, SEASONS.c.started)
_Kept = TypeVar("_Kept")
_NOT_AN_ID = "check"
_READ_LATELY = 64
_LONG_AGO = datetime(1970, 1, 1, tzinfo=UTC)


class SqlStore:
    """An `EpisodeStore` in a database, which whoever made it closes. Raises `StoreError`.

    An episode's id is its own in the whole database: it is not kept under a second season.
    """

    def __init__(self, database: Database, *, free: Free = free_bytes) -> None:
        self._database = database
        self._free = free
        self._known: OrderedDict[str, Record] = OrderedDict()
        self._lock = threading.Lock()

    def add_season(self, season: Season, bible: StoryBible) -> None:
        values = {**season.model_dump(), "bible": bible.model_dump_json()}
        with self._database.writing() as connection:
            replaced = connection.execute(update(SEASONS).where(SEASONS.c.id == season.id).values(values))
            if not replaced.rowcount:
                connection.execute(insert(SEASONS).values(values))

    def season(self, season_id: str) -> Season | None:
        with self._reading_of("seasons", season_id):
            row = self._row(_SEASON.where(SEASONS.c.id == season_id), season_id)
            return None if row is None else _season(row._mapping)

    def bible(self, season_id: str) -> StoryBible | None:
        with self._reading_of("seasons", season_id):
            row = self._row(select(SEASONS.c.bible).where(SEASONS.c.id == season_id), season_id)
            return None if row is None else StoryBible.model_validate_json(row.bible)

    def seasons(self) -> tuple[Season, ...]:
        with self._reading_of("seasons"), self._database.reading() as connection:
            return in_order_of_start(list(map(_season, connection.execute(_SEASON).mappings())))

    def save(self, record: Record) -> None:
        values = {
            "id": record.id,
            "season": record.season,
            "number": record.number,
            "saved": record.saved,
            "data": record.model_dump_json(),
        }
        with self._database.writing() as connection:
            if connection.scalar(select(SEASONS.c.id).where(SEASONS.c.id == record.season)) is None:
                raise no_season(record)
            there = connection.scalar(select(EPISODES.c.season).where(EPISODES.c.id == record.id))
            if there is None:
                connection.execute(insert(EPISODES).values(values))
            elif there == record.season:
                connection.execute(update(EPISODES).where(EPISODES.c.id == record.id).values(values))
            else:
                raise StoreError(
                    f"The episode {record.id} is in the season {there} already, and is not kept in {record.season} too. "
                    "Give the copy an id of its own."
                )

    def record(self, season_id: str, record_id: str) -> Record | None:
        wanted = select(EPISODES.c.data).where(EPISODES.c.season == season_id, EPISODES.c.id == record_id)
        with self._reading_of("episodes", record_id):
            row = self._row(wanted, season_id, record_id)
            return None if row is None else self._record(row.data)

    def season_of(self, record_id: str) -> str | None:
        if not is_id(record_id):
            return None
        with self._database.reading() as connection:
            found: str | None = connection.scalar(select(EPISODES.c.season).where(EPISODES.c.id == record_id))
        return found

    def records(self, season_id: str) -> tuple[Record, ...]:
        return in_order_of_number(self._each(season_id, self._record))

    def summaries(self, season_id: str) -> tuple[Summary, ...]:
        return in_order_of_number(self._each(season_id, summary_in))

    def record_ids(self, season_id: str) -> frozenset[str]:
        if not is_id(season_id):
            return frozenset()
        with self._database.reading() as connection:
            return frozenset(connection.scalars(select(EPISODES.c.id).where(EPISODES.c.season == season_id)))

    def check(self) -> None:
        """Raises `StoreError` where nothing could be kept, or little: SQLite needs `ROOM` on its disk."""
        if (path := self._database.path) is not None:
            see_to_room(path.parent, self._free)
        season = {"id": _NOT_AN_ID, "title": "", "source": "", "started": _LONG_AGO, "bible": ""}
        with self._database.writing() as connection:
            connection.execute(insert(SEASONS).values(season))
            connection.execute(delete(SEASONS).where(SEASONS.c.id == _NOT_AN_ID))

    def _record(self, data: str) -> Record:
        """What was read a moment ago is not read again: to make its nouns takes far longer than to fetch its text."""
        with self._lock:
            known = self._known.get(data)
            if known is not None:
                self._known.move_to_end(data)
                return known
        record = Record.model_validate_json(data)
        with self._lock:
            self._known[data] = record
            while len(self._known) > _READ_LATELY:
                self._known.popitem(last=False)
        return record

    def _each(self, season_id: str, parse: Callable[[str], _Kept]) -> list[_Kept]:
        """A season's episodes, each read in this way."""
        if not is_id(season_id):
            return []
        wanted = select(EPISODES.c.id, EPISODES.c.data).where(EPISODES.c.season == season_id)
        with self._database.reading() as connection:
            rows = connection.execute(wanted).all()
        found: list[_Kept] = []
        for row in rows:
            with self._reading_of("episodes", row.id):
                found.append(parse(row.data))
        return found

    def _row(self, wanted: Select[Any], *ids: str) -> Row[Any] | None:
        """The one row of these ids; None where there is none, or they are none."""
        if not all(map(is_id, ids)):
            return None
        with self._database.reading() as connection:
            return connection.execute(wanted).one_or_none()

    @contextmanager
    def _reading_of(self, table: str, id: str = "") -> Iterator[None]:
        """What cannot be read as what it should be (JSON, times, nouns) is damaged."""
        try:
            yield
        except ValueError as error:
            what = f"{id} in its table {table}" if id else f"its table {table}"
            way_out = ", or delete that row to go on without it" if id else ""
            raise StoreError(
                f"{self._database.name} is damaged: {what} cannot be read ({type(error).__name__}). "
                f"Restore the database from a backup{way_out}."
            ) from error


def _season(row: RowMapping) -> Season:
    return Season.model_validate(dict(row))
