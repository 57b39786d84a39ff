"""The database's tables, step by step: a step that was released is never altered, the next one is added."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from sqlalchemy import (
    JSON,
    Boolean,
    Column,
    Connection,
    DateTime,
    Double,
    ExecutableDDLElement,
    Index,
    Integer,
    MetaData,
    String,
    Table,
    Text,
    func,
    insert,
    inspect,
    select,
)
from sqlalchemy.schema import CreateIndex, CreateTable, DropTable

from cinegen_core.store.episodes import StoreError


class Migration(NamedTuple):
    """A step. Its statements are written out here, not taken from the tables that the program uses today, which
    go on changing."""

    what: str
    statements: tuple[ExecutableDDLElement, ...]


SCHEMA_VERSION = Table(
    "schema_version",
    MetaData(),
    Column("version", Integer, primary_key=True, autoincrement=False),
    Column("at", DateTime(timezone=True), nullable=False, server_default=func.now()),
    Column("what", String(200), nullable=False),
)

_OUTCOMES = Table(
    "outcomes",
    MetaData(),
    Column("number", Integer, primary_key=True, autoincrement=True),
    Column("at", DateTime(timezone=True), nullable=False),
    Column("sample", JSON, nullable=False),
)
_OUTCOMES_AT = Index("ix_outcomes_at", _OUTCOMES.c.at)

_EVENTS = Table(
    "events",
    MetaData(),
    Column("number", Integer, primary_key=True, autoincrement=True),
    Column("id", String(80), nullable=False, unique=True),
    Column("at", DateTime(timezone=True), nullable=False),
    Column("series", String(20), nullable=False),
    Column("kind", String(20), nullable=False),
    Column("data", Text, nullable=False),
)
_EVENTS_AT = Index("ix_events_at", _EVENTS.c.at)
_EVENTS_KIND = Index("ix_events_kind", _EVENTS.c.kind, _EVENTS.c.at)

_SEASONS = Table(
    "seasons",
    MetaData(),
    Column("id", String(16), primary_key=True),
    Column("title", Text, nullable=False),
    Column("source", Text, nullable=False),
    Column("started", DateTime(timezone=True), nullable=False),
    Column("bible", Text, nullable=False),
)
_SEASONS_STARTED = Index("ix_seasons_started", _SEASONS.c.started)
_EPISODES = Table(
    "episodes",
    MetaData(),
    Column("id", String(16), primary_key=True),
    Column("season", String(16), nullable=False),
    Column("number", Integer, nullable=False),
    Column("saved", DateTime(timezone=True), nullable=False),
    Column("data", Text, nullable=False),
)
_EPISODES_SEASON = Index("ix_episodes_season", _EPISODES.c.season)
_EPISODES_SAVED = Index("ix_episodes_saved", _EPISODES.c.saved)

_ROLLUPS = Table(
    "rollups",
    MetaData(),
    Column("series", String(20), primary_key=True),
    Column("hour", DateTime(timezone=True), primary_key=True),
    Column("data", Text, nullable=False),
)
_ROLLED = Table(
    "rolled",
    MetaData(),
    Column("id", Integer, primary_key=True, autoincrement=False),
    Column("number", Integer, nullable=False),
)
_DELIVERIES = Table(
    "deliveries",
    MetaData(),
    Column("step", String(80), primary_key=True),
    Column("target", String(200), primary_key=True),
    Column("at", DateTime(timezone=True), nullable=False),
    Column("state", String(20), nullable=False),
    Column("tries", Integer, nullable=False),
    Column("next", DateTime(timezone=True), nullable=False),
    Column("problem", Text, nullable=False),
    Column("data", Text, nullable=False),
)
_DELIVERIES_NEXT = Index("ix_deliveries_next", _DELIVERIES.c.next)

_COMPARISONS = Table(
    "comparisons",
    MetaData(),
    Column("id", String(16), primary_key=True),
    Column("started", DateTime(timezone=True), nullable=False),
    Column("data", Text, nullable=False),
)
_COMPARISONS_STARTED = Index("ix_comparisons_started", _COMPARISONS.c.started)

_LEADS = Table(
    "leads",
    MetaData(),
    Column("name", String(40), primary_key=True),
    Column("holder", String(200), nullable=False),
    Column("fence", Integer, nullable=False),
    Column("since", Double, nullable=False),
    Column("until", Double, nullable=False),
)

_JOBS = Table(
    "jobs",
    MetaData(),
    Column("id", String(16), primary_key=True),
    Column("state", String(10), nullable=False),
    Column("renewed", Double, nullable=False),
    Column("stop", Boolean, nullable=False),
    Column("data", Text, nullable=False),
)

# A migration's number is its place, from 1.
MIGRATIONS: tuple[Migration, ...] = (
    Migration(
        "the journal of flags",
        (
            CreateTable(
                Table(
                    "flag_changes",
                    MetaData(),
                    Column("version", Integer, primary_key=True, autoincrement=False),
                    Column("at", DateTime(timezone=True), nullable=False),
                    Column("who", String(200), nullable=False),
                    Column("why", Text, nullable=False),
                    Column("kind", String(40), nullable=False),
                    Column("subject", String(200), nullable=False),
                    Column("before", JSON(none_as_null=True)),
                    Column("after", JSON(none_as_null=True)),
                )
            ),
        ),
    ),
    Migration("the outcomes of requests", (CreateTable(_OUTCOMES), CreateIndex(_OUTCOMES_AT))),
    Migration("events", (CreateTable(_EVENTS), CreateIndex(_EVENTS_AT))),
    Migration(
        "seasons and their episodes",
        (
            CreateTable(_SEASONS),
            CreateIndex(_SEASONS_STARTED),
            CreateTable(_EPISODES),
            CreateIndex(_EPISODES_SEASON),
            CreateIndex(_EPISODES_SAVED),
        ),
    ),
    Migration(
        "hourly roll-ups of events; outcomes are read from events now",
        (CreateTable(_ROLLUPS), CreateTable(_ROLLED), DropTable(_OUTCOMES), CreateIndex(_EVENTS_KIND)),
    ),
    Migration("notices on their way", (CreateTable(_DELIVERIES), CreateIndex(_DELIVERIES_NEXT))),
    Migration(
        "comparisons of ways of writing", (CreateTable(_COMPARISONS), CreateIndex(_COMPARISONS_STARTED))
    ),
    Migration("who leads the studios on this database", (CreateTable(_LEADS),)),
    Migration("how jobs stand, for other studios", (CreateTable(_JOBS),)),
)


def migrate(connection: Connection, migrations: Sequence[Migration] = MIGRATIONS) -> int:
    """Takes the steps that the database lacks, within the connection's transaction, in which it must be alone.

    Returns how many there were. Raises `StoreError` where the database has more steps than there are here.
    """
    if not inspect(connection).has_table(SCHEMA_VERSION.name):
        connection.execute(CreateTable(SCHEMA_VERSION))
    done = connection.scalar(select(func.max(SCHEMA_VERSION.c.version))) or 0
    if done > len(migrations):
        raise StoreError(
            f"The database is of a newer version of the studio (its tables are at step {done}, this version knows "
            f"{len(migrations)}). Use the newer version, or another database."
        )
    for number, migration in enumerate(migrations[done:], done + 1):
        for statement in migration.statements:
            connection.execute(statement)
        connection.execute(insert(SCHEMA_VERSION).values(version=number, what=migration.what))
    return len(migrations) - done
