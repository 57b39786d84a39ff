"""The database's tables, step by step: a step that was released is never altered, the next one is added."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from sqlalchemy import (
    JSON,
    Column,
    Connection,
    DateTime,
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
from sqlalchemy.schema import CreateIndex, CreateTable

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
