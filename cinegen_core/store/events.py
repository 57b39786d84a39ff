"""Events, only ever added. One transaction for each, or for several that belong together."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Any

from pydantic import TypeAdapter, ValidationError
from sqlalchemy import Column, Index, Integer, Select, String, Table, Text, delete, func, insert, select

from cinegen_core.monitor.events import Event, Series
from cinegen_core.store.episodes import StoreError
from cinegen_core.store.sql import TABLES, Database, UtcTime

EVENTS = Table(
    "events",
    TABLES,
    Column("number", Integer, primary_key=True, autoincrement=True),
    Column("id", String(80), nullable=False, unique=True),
    Column("at", UtcTime, nullable=False, index=True),
    Column("series", String(20), nullable=False),
    Column("kind", String(20), nullable=False),
    Column("data", Text, nullable=False),
    Index("ix_events_kind", "kind", "at"),
)

_IDS_AT_ONCE = 500
_EVENT: TypeAdapter[Event] = TypeAdapter(Event)


class SqlEvents:
    """In a database, in the order in which they were recorded. Raises `StoreError`."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def add(self, *events: Event) -> None:
        """All of them or none. An event that is there already, by its id, is not added again: a retry is harmless."""
        if not events:
            return
        ids = [event.id for event in events]
        with self._database.writing() as connection:
            there: set[str] = set()
            for start in range(0, len(ids), _IDS_AT_ONCE):
                known = select(EVENTS.c.id).where(EVENTS.c.id.in_(ids[start : start + _IDS_AT_ONCE]))
                there |= set(connection.scalars(known))
            rows = [
                {
                    "id": event.id,
                    "at": event.at,
                    "series": event.series,
                    "kind": event.kind,
                    "data": event.model_dump_json(),
                }
                for event in {event.id: event for event in events}.values()
                if event.id not in there
            ]
            if rows:
                connection.execute(insert(EVENTS), rows)

    def read(
        self,
        *,
        since: datetime | None = None,
        until: datetime | None = None,
        series: Series | None = "live",
        kinds: Iterable[str] = (),
        after: int = 0,
        most: int | None = None,
    ) -> Sequence[tuple[int, Event]]:
        """Events of one series (None: of all) with a number above `after`, from `since` up to and without `until`, in the order in
        which they were recorded; the first `most` of them."""
        wanted = select(EVENTS.c.number, EVENTS.c.data).where(EVENTS.c.number > after)
        if series is not None:
            wanted = wanted.where(EVENTS.c.series == series)
        if since is not None:
            wanted = wanted.where(EVENTS.c.at >= since)
        if until is not None:
            wanted = wanted.where(EVENTS.c.at < until)
        if kinds := tuple(kinds):
            wanted = wanted.where(EVENTS.c.kind.in_(kinds))
        return self._read(wanted.order_by(EVENTS.c.number).limit(most))

    def read_json(
        self, *, after: int = 0, series: Series | None = "live", kinds: Iterable[str] = ()
    ) -> list[tuple[int, str]]:
        """As `read`, the events as the JSON that they are kept as: for who looks at few parts of many."""
        wanted = select(EVENTS.c.number, EVENTS.c.data).where(EVENTS.c.number > after)
        if series is not None:
            wanted = wanted.where(EVENTS.c.series == series)
        if kinds := tuple(kinds):
            wanted = wanted.where(EVENTS.c.kind.in_(kinds))
        with self._database.reading() as connection:
            rows = connection.execute(wanted.order_by(EVENTS.c.number)).all()
        return [(int(number), str(data)) for number, data in rows]

    def with_ids(self, ids: Iterable[str]) -> Sequence[Event]:
        """Those of these ids that are there, in the order in which they were recorded."""
        wanted = list(ids)
        found: list[tuple[int, Event]] = []
        for start in range(0, len(wanted), _IDS_AT_ONCE):
            chosen = EVENTS.c.id.in_(wanted[start : start + _IDS_AT_ONCE])
            found += self._read(select(EVENTS.c.number, EVENTS.c.data).where(chosen))
        return [event for _, event in sorted(found, key=lambda pair: pair[0])]

    def last(self) -> int:
        """The number of the latest event; 0 where there is none."""
        with self._database.reading() as connection:
            return connection.scalar(select(func.max(EVENTS.c.number))) or 0

    def _read(self, wanted: Select[Any]) -> list[tuple[int, Event]]:
        with self._database.reading() as connection:
            rows = connection.execute(wanted).all()
        try:
            return [(int(number), _EVENT.validate_json(data)) for number, data in rows]
        except ValidationError as error:
            raise StoreError(f"{self._database.name}: an event in it cannot be read ({error}).") from error

    def forget(self, before: datetime) -> int:
        """Removes what is older, and says how many there were. The last event stays however old it is: SQLite numbers those to come
        by it, and numbers never come back."""
        with self._database.writing() as connection:
            last = connection.scalar(select(func.max(EVENTS.c.number))) or 0
            old = delete(EVENTS).where(EVENTS.c.at < before, EVENTS.c.number < last)
            return int(connection.execute(old).rowcount)
