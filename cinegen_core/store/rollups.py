"""Events counted by the hour, kept so that figures over much need not read much."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime

from sqlalchemy import Column, Connection, Integer, String, Table, Text, insert, select, update

from cinegen_core.monitor.events import Event, Series
from cinegen_core.monitor.tally import Tally, hourly
from cinegen_core.store.episodes import StoreError
from cinegen_core.store.events import SqlEvents
from cinegen_core.store.sql import TABLES, Database, UtcTime

ROLLUPS = Table(
    "rollups",
    TABLES,
    Column("series", String(20), primary_key=True),
    Column("hour", UtcTime, primary_key=True),
    Column("data", Text, nullable=False),
)
ROLLED = Table(
    "rolled",
    TABLES,
    Column("id", Integer, primary_key=True, autoincrement=False),
    Column("number", Integer, nullable=False),
)

_ALL_TIME = datetime(1970, 1, 1, tzinfo=UTC)
"""The hour under which everything is counted together, without single times."""

_AT_ONCE = 5000
_HOURS_KEPT = 24 * 8


class SqlRollups:
    """In a database, beside its events: each event is counted once, in the transaction that moves the mark past it. Raises `StoreError`."""

    def __init__(self, database: Database, events: SqlEvents) -> None:
        self._database, self._events = database, events
        self._read: dict[tuple[Series, datetime], tuple[str, Tally]] = {}

    def mark(self) -> int:
        """The number up to which events are counted."""
        with self._database.reading() as connection:
            return connection.scalar(select(ROLLED.c.number)) or 0

    def roll_up(self) -> int:
        """Counts what was recorded since; the number up to which events are counted now."""
        while True:
            mark = self.mark()
            batch = self._events.read(after=mark, series=None, most=_AT_ONCE)
            if not batch:
                return mark
            self._count(mark, batch[-1][0], [event for _, event in batch])

    def _count(self, mark: int, until: int, events: list[Event]) -> None:
        with self._database.writing() as connection:
            there = connection.scalar(select(ROLLED.c.number))
            if (there or 0) != mark:
                return  # somebody else has counted them meanwhile
            for series in sorted({event.series for event in events}):
                self._merge(connection, series, hourly(one for one in events if one.series == series))
            if there is None:
                connection.execute(insert(ROLLED).values(id=1, number=until))
            else:
                connection.execute(update(ROLLED).values(number=until))

    def _merge(self, connection: Connection, series: Series, found: Mapping[datetime, Tally]) -> None:
        together = Tally()
        for tally in found.values():
            together.counts.update(tally.counts)
        added = {**found, _ALL_TIME: together}
        known = {
            hour: self._tally(data)
            for hour, data in connection.execute(
                select(ROLLUPS.c.hour, ROLLUPS.c.data).where(
                    ROLLUPS.c.series == series, ROLLUPS.c.hour.in_(list(added))
                )
            )
        }
        for hour, tally in added.items():
            if hour in known:
                known[hour].add(tally)
                same = (ROLLUPS.c.series == series) & (ROLLUPS.c.hour == hour)
                connection.execute(update(ROLLUPS).where(same).values(data=known[hour].to_json()))
            else:
                connection.execute(insert(ROLLUPS).values(series=series, hour=hour, data=tally.to_json()))

    def hours(self, series: Series, since: datetime, until: datetime) -> dict[datetime, Tally]:
        """Of the hours that begin from `since` up to and without `until`, in order; to read, not to add to."""
        wanted = select(ROLLUPS.c.hour, ROLLUPS.c.data).where(
            ROLLUPS.c.series == series,
            ROLLUPS.c.hour >= since,
            ROLLUPS.c.hour < until,
            ROLLUPS.c.hour != _ALL_TIME,
        )
        with self._database.reading() as connection:
            rows = connection.execute(wanted.order_by(ROLLUPS.c.hour)).all()
        return {hour: self._known(series, hour, data) for hour, data in rows}

    def _known(self, series: Series, hour: datetime, data: str) -> Tally:
        """Hours that are over seldom change: what was read once is not read again."""
        text, tally = self._read.get((series, hour), ("", None))
        if tally is None or text != data:
            tally = self._tally(data)
            if len(self._read) >= _HOURS_KEPT:
                self._read.clear()
            self._read[series, hour] = (data, tally)
        return tally

    def everything(self, series: Series) -> Tally:
        """All that was ever counted, without single times; events that were forgotten since are in it."""
        wanted = select(ROLLUPS.c.data).where(ROLLUPS.c.series == series, ROLLUPS.c.hour == _ALL_TIME)
        with self._database.reading() as connection:
            data = connection.scalar(wanted)
        return Tally() if data is None else self._tally(data)

    def _tally(self, data: str) -> Tally:
        try:
            return Tally.from_json(data)
        except ValueError as error:
            raise StoreError(
                f"{self._database.name}: a roll-up of events in it cannot be read ({error}). Empty the tables rollups "
                "and rolled: they are counted anew from the events."
            ) from error
