"""What is kept in a database: SQLite in a file by default, or PostgreSQL, by its address.

Statements are SQLAlchemy's and run anywhere; what one kind of database needs for itself is at the end.
"""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from datetime import UTC, datetime
from pathlib import Path
from types import TracebackType
from typing import Any

from pydantic import ValidationError
from sqlalchemy import (
    JSON,
    URL,
    Column,
    Connection,
    DateTime,
    Dialect,
    Engine,
    Integer,
    MetaData,
    Row,
    String,
    Table,
    Text,
    TypeDecorator,
    create_engine,
    event,
    func,
    insert,
    make_url,
    select,
)
from sqlalchemy.exc import ArgumentError, DBAPIError, IntegrityError, OperationalError, SQLAlchemyError

from cinegen_core.flags.journal import JournalError, StaleVersionError, version_read
from cinegen_core.flags.model import Change
from cinegen_core.store.episodes import StoreError
from cinegen_core.store.migrations import migrate

PATIENCE = 10.0
"""For how many seconds one who writes waits for others who do."""


class UtcTime(TypeDecorator[datetime]):
    """A moment: with its zone on the way in, in UTC on the way out, to the microsecond."""

    impl = DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        if value is not None and value.tzinfo is None:
            raise ValueError(f"{value} has no time zone")
        return None if value is None else value.astimezone(UTC)

    def process_result_value(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        if value is None:
            return None
        # SQLite keeps no zone; what was written was in UTC.
        return value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)


# The tables as they are after the last migration. A new one is added here and there.
TABLES = MetaData()

FLAG_CHANGES = Table(
    "flag_changes",
    TABLES,
    Column("version", Integer, primary_key=True, autoincrement=False),
    Column("at", UtcTime, nullable=False),
    Column("who", String(200), nullable=False),
    Column("why", Text, nullable=False),
    Column("kind", String(40), nullable=False),
    Column("subject", String(200), nullable=False),
    Column("before", JSON(none_as_null=True)),
    Column("after", JSON(none_as_null=True)),
)
_LAST_CHANGE = select(func.max(FLAG_CHANGES.c.version))


def sqlite_url(path: Path) -> str:
    """The address of a database in a file."""
    return URL.create("sqlite", database=str(path)).render_as_string(hide_password=False)


class Database:
    """A database with its tables brought up to date, for any number of threads and processes at once.

    A file of SQLite is made if there is none, in a folder for its owner only; `path` is where it is, None for other
    databases. Who writes waits `patience` seconds for others who do. `close` it, or use it in `with`. A process that
    forks opens its own. Unless it is to be `current` its tables are left as they are. Raises `StoreError`, also where the database is
    of a newer version.
    """

    def __init__(self, url: str, *, patience: float = PATIENCE, current: bool = True) -> None:
        self._engine = _engine(url, patience)
        self._patience = patience
        self.path = file_of(self._engine.url)
        self.name = str(self.path) if self.path is not None else _shown(self._engine.url)
        if not current:
            return
        try:
            with self.writing() as connection:
                migrate(connection)
        except BaseException:
            self.close()
            raise

    @property
    def engine(self) -> Engine:
        return self._engine

    @contextmanager
    def reading(self) -> Iterator[Connection]:
        """A transaction that sees one state. Raises `StoreError`."""
        with (
            self._failing("read"),
            self._engine.connect() as connection,
            connection.execution_options(**_ONE_STATE.get(connection.dialect.name, {})).begin(),
        ):
            yield connection

    @contextmanager
    def writing(self) -> Iterator[Connection]:
        """A transaction: all of it is kept, or nothing if the body raises or the process dies.

        One at a time: who begins while another writes waits for it. What is read in it and what
        is written therefore belong together, and numbers that the database gives are seen in their order.
        Raises `StoreError`; `IntegrityError` where a constraint refuses what was written.
        """
        with (
            self._failing("written"),
            self._engine.connect() as connection,
            connection.execution_options(**{_WRITES: True}).begin(),
        ):
            _be_alone(connection, self._patience)
            yield connection

    def close(self) -> None:
        """Closes what is open; used again, it opens again."""
        self._engine.dispose()

    def __enter__(self) -> Database:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    @contextmanager
    def _failing(self, done: str) -> Iterator[None]:
        try:
            yield
        except IntegrityError:
            raise
        except SQLAlchemyError as error:
            raise StoreError(
                f"The database {self.name} cannot be {done} ({_reason(error)}). {_advice(error)}"
            ) from error


class SqlJournalError(StoreError, JournalError):
    """The journal's database fails, or holds what cannot be read."""


class SqlJournal:
    """The journal of flags, in a database that others may write to at the same time.

    What `append` has returned from survives the end of the process in any form.
    """

    def __init__(self, database: Database) -> None:
        self._database = database

    def append(self, *changes: Change) -> None:
        read = version_read(changes)
        if not self._inserted(changes, read):
            newer = self.read(read)
            raise StaleVersionError(read, newer[-1].version if newer else self.version(), newer)

    def read(self, after: int = 0) -> tuple[Change, ...]:
        chosen = select(FLAG_CHANGES).where(FLAG_CHANGES.c.version > after).order_by(FLAG_CHANGES.c.version)
        with self._as_journal(), self._database.reading() as connection:
            try:
                return tuple(map(self._change, connection.execute(chosen)))
            except ValueError as error:  # JSON that is none, times that are none
                raise self._damaged("a change", error) from error

    def version(self) -> int:
        with self._as_journal(), self._database.reading() as connection:
            return connection.scalar(_LAST_CHANGE) or 0

    def _inserted(self, changes: tuple[Change, ...], read: int) -> bool:
        try:
            with self._as_journal(), self._database.writing() as connection:
                if (connection.scalar(_LAST_CHANGE) or 0) != read:
                    return False
                connection.execute(insert(FLAG_CHANGES).values([change.model_dump() for change in changes]))
                return True
        except IntegrityError:
            # Where writers do not wait for each other, two may count from the same version: one has it.
            return False

    def _change(self, row: Row[Any]) -> Change:
        try:
            return Change.model_validate(dict(row._mapping))
        except ValidationError as error:
            raise self._damaged(f"change {row.version}", error) from error

    def _damaged(self, what: str, error: ValueError) -> SqlJournalError:
        return SqlJournalError(
            f"The journal of flags in {self._database.name} is damaged: {what} cannot be read "
            f"({type(error).__name__}). Restore the database from a backup."
        )

    @contextmanager
    def _as_journal(self) -> Iterator[None]:
        try:
            yield
        except SqlJournalError:
            raise
        except StoreError as error:
            raise SqlJournalError(str(error)) from error


def _reason(error: SQLAlchemyError) -> str:
    return str(error.orig if isinstance(error, DBAPIError) else error).strip().partition("\n")[0]


def _advice(error: SQLAlchemyError) -> str:
    forbidden = isinstance(error, DBAPIError) and getattr(error.orig, "sqlstate", None) in _FORBIDDEN
    if isinstance(error, DBAPIError) and not isinstance(error, OperationalError) and not forbidden:
        return "If it is damaged, restore it from a backup, or move it away to go on without it."
    return "See that it can be reached, that you may write there, that there is space, and that no other program holds it."


def _engine(url: str, patience: float) -> Engine:
    """Raises `StoreError` where the address is none, or its driver is missing."""
    try:
        parsed = make_url(url)
        if parsed.drivername in _PSYCOPG:
            parsed = parsed.set(drivername="postgresql+psycopg")
        shown = _shown(parsed)
        if parsed.get_backend_name() == "sqlite":
            return _sqlite(parsed, patience)
        return create_engine(parsed, pool_pre_ping=True)
    except (ArgumentError, ValueError) as error:
        # What was typed is not shown: it may hold a password.
        raise StoreError(
            "The database's address is not understood. It looks like sqlite:////folder/file.db, or like "
            "postgresql://user:password@host/name."
        ) from error
    except ImportError as error:
        # psycopg without its own libpq finds none on the system: it names no module then.
        missing = error.name if isinstance(error, ModuleNotFoundError) else "psycopg[binary]"
        raise StoreError(f"{shown} needs the package '{missing}'. Install it with pip.") from error


def _shown(url: URL) -> str:
    """An address for people, without its password."""
    return url.difference_update_query(("password", "sslpassword")).render_as_string()


# What one kind of database needs for itself. -----------------------------------------------------------------

_WRITES = "cinegen_writes"

_PSYCOPG = ("postgresql", "postgres")
# A transaction of PostgreSQL's own kind sees what others commit while it lasts; one of SQLite's never does.
_ONE_STATE: dict[str, dict[str, Any]] = {
    "postgresql": {"isolation_level": "REPEATABLE READ", "postgresql_readonly": True}
}
_FORBIDDEN = ("25006", "42501")  # a read-only database, an account without the right: not damage
_WRITERS_LOCK = 0x63696E65


def _be_alone(connection: Connection, patience: float) -> None:
    """Waits until nobody else writes. (A transaction that writes to SQLite always is alone.)

    The lock is let go of after what was written can be seen, so that numbers given under it appear in their order; who
    reads on from the last number that it saw misses nothing. A process that dies lets go of it as well.
    """
    if connection.dialect.name == "postgresql":
        milliseconds = str(round(patience * 1000))
        connection.execute(
            select(
                func.set_config("lock_timeout", milliseconds, True), func.pg_advisory_xact_lock(_WRITERS_LOCK)
            )
        )


def file_of(url: URL) -> Path | None:
    return Path(url.database) if url.get_backend_name() == "sqlite" and url.database else None


def _sqlite(url: URL, patience: float) -> Engine:
    """An engine for a file of SQLite. Raises `StoreError`."""
    if not url.database or url.database == ":memory:":
        raise StoreError("The database's address names no file. It looks like sqlite:////folder/file.db.")
    path = Path(url.database)
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        path.touch(mode=0o600)
        _write_ahead(path, patience)
    except OSError as error:
        raise StoreError(
            f"The database {path} cannot be made ({error.strerror}). Choose a folder that you may write to."
        ) from error
    except sqlite3.Error as error:
        raise StoreError(
            f"The database {path} cannot be used ({error}). If it is damaged, restore it from a backup, or move it "
            "away to go on without it."
        ) from error
    engine = create_engine(url, connect_args={"timeout": patience})
    event.listen(engine, "connect", _set_up_sqlite)
    event.listen(engine, "begin", _begin_sqlite)
    return engine


def _write_ahead(
    path: Path, patience: float, sleep: Callable[[float], None] = time.sleep, pause: float = 0.05
) -> None:
    """Lets readers go on while somebody writes; the file remembers. Raises `sqlite3.Error`."""
    for left in reversed(range(max(1, round(patience / pause)))):
        try:
            with closing(sqlite3.connect(path, timeout=patience)) as connection:
                connection.execute("PRAGMA journal_mode = WAL").fetchone()
                return
        except sqlite3.OperationalError as error:
            # Two who turn the same file at once: SQLite tells one of them at once, without waiting.
            if error.sqlite_errorcode != sqlite3.SQLITE_BUSY or not left:
                raise
            sleep(pause)


def _set_up_sqlite(connection: sqlite3.Connection, _: object) -> None:
    connection.isolation_level = None  # transactions are begun below, not by the driver's own guess
    connection.execute("PRAGMA foreign_keys = ON").close()
    # FULL waits for the disk at each commit. NORMAL would survive a killed process as well, but not a power cut,
    # after which what somebody rolled back would be on again; and what is written here is rare.
    connection.execute("PRAGMA synchronous = FULL").close()


def _begin_sqlite(connection: Connection) -> None:
    # One who reads first and writes then may find that another wrote between: SQLite refuses, however long one
    # would wait. Who is going to write therefore waits at the beginning.
    writes = connection.get_execution_options().get(_WRITES)
    connection.exec_driver_sql("BEGIN IMMEDIATE" if writes else "BEGIN")
