"""Events, only ever added. One transaction for each, or for several that belong together."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime

from pydantic import TypeAdapter, ValidationError
from sqlalchemy import Column, Integer, String, Table, Text, delete, insert, select

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
)

_EVENT: TypeAdapter[Event] = TypeAdapter(Event)


class SqlEvents:
    """In a database, in the order in which they were recorded. Raises `StoreError`."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def add(self, *events: Event) -> None:
        """All of them or none. An event that is there already, by its id, is not added again: a retry is harmless."""
        if not events:
            return
        with self._database.writing() as connection:
            known = select(EVENTS.c.id).where(EVENTS.c.id.in_([event.id for event in events]))
            there = set(connection.scalars(known))
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
        series: Series = "live",
        kinds: Iterable[str] = (),
        after: int = 0,
    ) -> Sequence[tuple[int, Event]]:
        """Events of one series with a number above `after`, from `since` up to and without `until`."""
        wanted = select(EVENTS.c.number, EVENTS.c.data).where(
            EVENTS.c.series == series, EVENTS.c.number > after
        )
        if since is not None:
            wanted = wanted.where(EVENTS.c.at >= since)
        if until is not None:
            wanted = wanted.where(EVENTS.c.at < until)
        if kinds := tuple(kinds):
            wanted = wanted.where(EVENTS.c.kind.in_(kinds))
        with self._database.reading() as connection:
            rows = connection.execute(wanted.order_by(EVENTS.c.number)).all()
        try:
            return [(int(number), _EVENT.validate_json(data)) for number, data in rows]
        except ValidationError as error:
            raise StoreError(f"{self._database.name}: an event in it cannot be read ({error}).") from error

    def forget(self, before: datetime) -> int:
        """Removes what is older, and says how many there were."""
        with self._database.writing() as connection:
            return int(connection.execute(delete(EVENTS).where(EVENTS.c.at < before)).rowcount)
