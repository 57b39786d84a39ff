"""How jobs stand, in a database that the studios share which run them."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Any

from pydantic import ValidationError
from sqlalchemy import (
    Boolean,
    Column,
    Connection,
    Double,
    Row,
    String,
    Table,
    Text,
    bindparam,
    delete,
    exists,
    insert,
    select,
    update,
)
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.compiler import SQLCompiler
from sqlalchemy.sql.functions import FunctionElement

from cinegen_core.jobs import REMEMBERED, JobView
from cinegen_core.store.episodes import StoreError
from cinegen_core.store.sql import TABLES, Database
from cinegen_core.store.sql_episodes import EPISODES

LOST_AFTER = 10.0
"""Seconds by the database's clock: a job that goes on, and of which nothing was heard for longer, is lost with its studio."""

LOST = "The studio that wrote it ended before it was finished. Ask for it again."
"""What is said of such a job."""

# What changes most often is before what is longest, so that nobody reads the one to come to the other.
JOBS = Table(
    "jobs",
    TABLES,
    Column("id", String(16), primary_key=True),
    Column("state", String(10), nullable=False),
    Column("renewed", Double, nullable=False),
    Column("stop", Boolean, nullable=False),
    Column("data", Text, nullable=False),
)


class Now(FunctionElement[float]):
    """Seconds since 1970 by the database's own clock, which is the same for all who share it."""

    type = Double()
    inherit_cache = True


_IS_KEPT = exists(select(EPISODES.c.id).where(EPISODES.c.id == JOBS.c.id))
_silent = Now() - JOBS.c.renewed
_STANDING = select(JOBS.c.id, JOBS.c.state, JOBS.c.data, _silent.label("quiet"), _IS_KEPT.label("kept"))
_GOES_ON = JOBS.c.state == "running"


class SqlJobs:
    """The `SharedJobs` of a database, which whoever made it closes. Raises `StoreError`.

    A row is written by the studio that runs the job, and by nobody else but for the wish that it be stopped. That its studio is
    gone is seen in the reading: a studio that only stood still (its machine slept, its database was away) takes its jobs up
    again. Where there is an episode under a job's id, the job has done its work, whatever its row says: the one may have
    been kept and the other not.
    """

    def __init__(self, database: Database) -> None:
        self._database = database

    def keep(self, changed: Sequence[JobView], *, running: Collection[str]) -> frozenset[str]:
        rows = {
            view.id: {"state": view.state, "data": view.model_dump_json(exclude={"here"})} for view in changed
        }
        with self._database.writing() as connection:
            there = set(connection.scalars(select(JOBS.c.id).where(JOBS.c.id.in_(rows))))
            old = [{"which": id, **row} for id, row in rows.items() if id in there]
            new = [{"id": id, **row} for id, row in rows.items() if id not in there]
            if old:
                connection.execute(
                    update(JOBS).where(JOBS.c.id == bindparam("which")).values(renewed=Now()), old
                )
            if new:
                connection.execute(insert(JOBS).values(renewed=Now(), stop=False), new)
            if rest := [id for id in running if id not in rows]:
                connection.execute(update(JOBS).where(JOBS.c.id.in_(rest)).values(renewed=Now()))
            return self._wishes(connection, running)

    def wishes(self, running: Collection[str]) -> frozenset[str]:
        with self._database.reading() as connection:
            return self._wishes(connection, running)

    def stop(self, id: str) -> None:
        with self._database.writing() as connection:
            connection.execute(update(JOBS).where(JOBS.c.id == id, _GOES_ON).values(stop=True))

    def view(self, id: str) -> JobView | None:
        with self._database.reading() as connection:
            row = connection.execute(_STANDING.where(JOBS.c.id == id)).one_or_none()
        return None if row is None else self._view(row)

    def running(self) -> tuple[JobView, ...]:
        with self._database.reading() as connection:
            rows = connection.execute(_STANDING.where(_GOES_ON, _silent <= LOST_AFTER)).all()
        return tuple(map(self._view, rows))

    def is_kept(self, id: str) -> bool:
        with self._database.reading() as connection:
            return connection.scalar(select(EPISODES.c.id).where(EPISODES.c.id == id)) is not None

    def forget(self) -> int:
        old = _silent > REMEMBERED.total_seconds()
        with self._database.writing() as connection:
            return int(connection.execute(delete(JOBS).where(old)).rowcount)

    def _wishes(self, connection: Connection, running: Collection[str]) -> frozenset[str]:
        wanted = select(JOBS.c.id).where(JOBS.c.id.in_(running), JOBS.c.stop)
        return frozenset(connection.scalars(wanted)) if running else frozenset()

    def _view(self, row: Row[Any]) -> JobView:
        try:
            view = JobView.model_validate_json(row.data)
        except ValidationError as error:
            raise StoreError(
                f"{self._database.name}: the job {row.id} is damaged ({error.errors(include_url=False)[0]['msg']}). "
                "Delete this row of the table `jobs` to go on without it; its episode, if it has one, is kept elsewhere."
            ) from error
        changes: dict[str, Any] = {"here": False}
        lost = view.state == "running" and row.quiet > LOST_AFTER
        if row.kept and (lost or view.state == "failed"):
            changes |= {"state": "done", "error": ""}
        elif lost:
            changes |= {"state": "failed", "error": LOST}
        return view.model_copy(update=changes)


# What one kind of database needs for itself. -----------------------------------------------------------------


@compiles(Now, "postgresql")
def _now_of_postgresql(element: Now, compiler: SQLCompiler, **named: Any) -> str:
    # Not now(), which is when the transaction began: it may have waited for others since then.
    return "EXTRACT(EPOCH FROM clock_timestamp())::double precision"


@compiles(Now, "sqlite")
def _now_of_sqlite(element: Now, compiler: SQLCompiler, **named: Any) -> str:
    # To the millisecond; the function that gives seconds since 1970 is younger than some SQLites in use.
    return "((julianday('now') - 2440587.5) * 86400.0)"
