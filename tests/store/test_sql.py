"""The database keeps what it has confirmed, whoever else uses it, and says what is wrong with it."""

from __future__ import annotations

import importlib
import pkgutil
import stat
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import ExitStack
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import Column, Integer, MetaData, Table, func, insert, inspect, make_url, select, text
from sqlalchemy.dialects import postgresql
from sqlalchemy.exc import IntegrityError
from sqlalchemy.schema import CreateTable

import cinegen_core.store
from cinegen_core.flags.journal import JournalError
from cinegen_core.store import SqlStore, StoreError
from cinegen_core.store.migrations import MIGRATIONS, Migration, migrate
from cinegen_core.store.sql import FLAG_CHANGES, TABLES, Database, SqlJournal, sqlite_url
from tests.flags.test_journal import a_change
from tests.postgres import PostgresServer

ROOT = Path(__file__).parents[2]


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "data" / "cinegen.db"


@pytest.fixture
def database(database_url: str) -> Iterator[Database]:
    with Database(database_url) as opened:
        yield opened


@pytest.fixture
def in_a_file(path: Path) -> Iterator[Database]:
    """SQLite's, for what only it promises."""
    with Database(sqlite_url(path)) as opened:
        yield opened


JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=8,
)
OBJECTS = st.none() | st.dictionaries(st.text(max_size=10), JSON, max_size=4)
ANYWHERE = st.integers(-14 * 60, 14 * 60).map(lambda minutes: timezone(timedelta(minutes=minutes)))


@settings(max_examples=50, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    before=OBJECTS,
    after=OBJECTS,
    at=st.datetimes(datetime(1990, 1, 1), datetime(2090, 1, 1), timezones=ANYWHERE),  # noqa: DTZ001 (zones are drawn)
    who=st.text(st.characters(exclude_characters="\0", codec="utf-8"), min_size=1, max_size=50),
)
def test_a_change_comes_back_as_it_was_given(
    database: Database, before: Any, after: Any, at: datetime, who: str
) -> None:
    journal = SqlJournal(database)
    given_ = a_change(journal.version() + 1, before=before, after=after, at=at, who=who)
    journal.append(given_)
    (kept,) = journal.read(given_.version - 1)
    assert kept == given_
    assert kept.at.utcoffset() == timedelta(0)


def test_a_time_without_a_zone_is_refused(database: Database) -> None:
    with pytest.raises(StoreError, match="has no time zone"):
        SqlJournal(database).append(a_change(1, at=datetime(2026, 1, 5)))  # noqa: DTZ001 (what is tested)
    assert SqlJournal(database).version() == 0


def test_what_was_kept_is_there_after_a_restart(database_url: str) -> None:
    with Database(database_url) as database:
        SqlJournal(database).append(a_change(1), a_change(2))
    with Database(database_url) as database:
        assert SqlJournal(database).read() == (a_change(1), a_change(2))


def test_a_transaction_that_fails_leaves_nothing(database: Database) -> None:
    rows = [a_change(1).model_dump(), a_change(2).model_dump(), a_change(2).model_dump()]

    def write(count: int) -> None:
        with database.writing() as connection:
            for row in rows[:count]:
                connection.execute(insert(FLAG_CHANGES), row)
            raise KeyError("in the middle")

    with pytest.raises(KeyError):
        write(2)
    with pytest.raises(IntegrityError):
        write(3)
    assert SqlJournal(database).version() == 0


def test_a_reader_sees_one_state_while_others_write(database: Database) -> None:
    journal = SqlJournal(database)
    journal.append(a_change(1))
    count = text("SELECT count(*) FROM flag_changes")
    with database.reading() as connection:
        assert connection.scalar(count) == 1
        journal.append(a_change(2))
        assert connection.scalar(count) == 1
    assert journal.version() == 2


def test_one_database_serves_more_threads_than_it_has_connections(database: Database) -> None:
    journal = SqlJournal(database)
    journal.append(a_change(1))
    started = threading.Barrier(30)
    found: list[int] = []

    def ask() -> None:
        started.wait()
        found.append(journal.version())

    threads = [threading.Thread(target=ask) for _ in range(30)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found == [1] * 30


def test_who_opens_a_fresh_file_at_once_all_succeed(tmp_path: Path) -> None:
    all_open_at_once([sqlite_url(tmp_path / str(number) / "fresh.db") for number in range(25)])


def test_who_opens_a_fresh_database_of_a_server_at_once_all_succeed(postgres: PostgresServer) -> None:
    with ExitStack() as stack:
        all_open_at_once([stack.enter_context(postgres.database()) for _ in range(5)])


def all_open_at_once(urls: list[str]) -> None:
    opening = (
        "import sys\n"
        "from cinegen_core.store.sql import Database, SqlJournal\n"
        "for line in sys.stdin:\n"
        "    with Database(line.strip()) as database:\n"
        "        print(SqlJournal(database).version(), flush=True)\n"
    )
    processes = [
        subprocess.Popen(
            [sys.executable, "-W", "error", "-c", opening],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            cwd=ROOT,
            text=True,
        )
        for _ in range(4)
    ]
    for url in urls:
        for process in processes:
            assert process.stdin is not None
            process.stdin.write(f"{url}\n")
            process.stdin.flush()
        for process in processes:
            assert process.stdout is not None
            assert process.stdout.readline() == "0\n"
    for process in processes:
        process.communicate()
        assert process.returncode == 0


def test_who_holds_the_database_does_not_fail_those_who_wait(database: Database, database_url: str) -> None:
    journal = SqlJournal(database)
    done = threading.Event()

    def write() -> None:
        journal.append(a_change(1))
        done.set()

    with Database(database_url) as other:
        with other.writing():
            writer = threading.Thread(target=write)
            writer.start()
            assert journal.version() == 0  # readers do not wait at all
            assert not done.is_set()
        writer.join()
    assert done.is_set()
    assert journal.version() == 1


def test_who_waits_too_long_is_told_why(database: Database, database_url: str) -> None:
    with (
        Database(database_url, patience=0.01) as other,
        database.writing(),
        pytest.raises(StoreError, match=r"cannot be written .*no other program holds it"),
    ):
        SqlJournal(other).append(a_change(1))
    assert SqlJournal(database).version() == 0


def test_what_is_read_to_write_is_not_overtaken(database: Database) -> None:
    """Ten threads that each count one on."""
    last = select(func.max(FLAG_CHANGES.c.version))

    def count_on() -> None:
        for _ in range(10):
            with database.writing() as connection:
                version = (connection.scalar(last) or 0) + 1
                connection.execute(insert(FLAG_CHANGES), a_change(version).model_dump())

    threads = [threading.Thread(target=count_on) for _ in range(10)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert SqlJournal(database).version() == 100


def test_a_file_of_sqlite_is_safe_against_a_power_cut_and_is_its_owners_alone(
    in_a_file: Database, path: Path
) -> None:
    with in_a_file.reading() as connection:
        asked = ("journal_mode", "synchronous", "foreign_keys", "busy_timeout")
        found = [connection.exec_driver_sql(f"PRAGMA {name}").scalar() for name in asked]
    full = 2
    assert found == ["wal", full, 1, 10_000]
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700
    assert {stat.S_IMODE(kept.stat().st_mode) for kept in path.parent.iterdir()} == {0o600}


# Its tables.


def test_migrations_lead_to_the_tables_that_the_program_uses(database: Database) -> None:
    for module in pkgutil.iter_modules(cinegen_core.store.__path__, "cinegen_core.store."):
        importlib.import_module(module.name)  # so that all tables are known
    with database.reading() as connection:
        found = inspect(connection)
        assert set(found.get_table_names()) == {*TABLES.tables, "schema_version"}
        for name, table in TABLES.tables.items():
            columns = {column["name"]: column for column in found.get_columns(name)}
            assert list(columns) == [column.name for column in table.columns]
            for column in table.columns:
                there = columns[column.name]
                wanted = column.type.compile(connection.dialect)
                assert str(there["type"].compile(connection.dialect)) == wanted
                assert there["nullable"] == column.nullable
            # What is unique has its index in PostgreSQL, which is not one of those that were asked for.
            made = [index for index in found.get_indexes(name) if not index.get("duplicates_constraint")]
            indexes = {index["name"]: index["column_names"] for index in made}
            assert indexes == {index.name: [one.name for one in index.columns] for index in table.indexes}
            keys = found.get_pk_constraint(name)["constrained_columns"]
            assert keys == [column.name for column in table.primary_key]


def test_each_step_is_taken_once(database: Database) -> None:
    with database.writing() as connection:
        assert migrate(connection) == 0
        steps = connection.execute(text("SELECT version, what FROM schema_version ORDER BY version")).all()
    assert [tuple(step) for step in steps] == [(n, one.what) for n, one in enumerate(MIGRATIONS, 1)]


def test_a_new_step_is_added_to_a_database_in_use(database: Database) -> None:
    SqlJournal(database).append(a_change(1))
    more = (*MIGRATIONS, Migration("a table of events", (CreateTable(an_events_table()),)))
    with database.writing() as connection:
        assert migrate(connection, more) == 1
    with database.writing() as connection:
        assert migrate(connection, more) == 0
        assert inspect(connection).has_table("extras")
    assert SqlJournal(database).read() == (a_change(1),)


def test_a_step_that_fails_is_not_taken_by_halves(database: Database) -> None:
    broken = Migration("broken", (CreateTable(an_events_table()), CreateTable(an_events_table())))
    with pytest.raises(StoreError, match="already exists"), database.writing() as connection:
        migrate(connection, (*MIGRATIONS, broken))
    with database.writing() as connection:
        assert not inspect(connection).has_table("extras")
        assert migrate(connection) == 0


def test_an_older_program_leaves_a_newer_database_alone(path: Path) -> None:
    with Database(sqlite_url(path)) as database, database.writing() as connection:
        more = (*MIGRATIONS, Migration("what is to come", (CreateTable(an_events_table()),)))
        migrate(connection, more)
    before = path.read_bytes()
    with pytest.raises(StoreError, match=rf"newer version .* at step {len(more)}.*Use the newer version"):
        Database(sqlite_url(path))
    assert path.read_bytes() == before


def test_a_step_that_was_released_stays_as_it_was() -> None:
    """If this fails, take your edit back and add a step instead: databases out there have taken this one."""
    released = [
        "CREATE TABLE flag_changes ( version INTEGER NOT NULL, at TIMESTAMP WITH TIME ZONE NOT NULL, "
        "who VARCHAR(200) NOT NULL, why TEXT NOT NULL, kind VARCHAR(40) NOT NULL, subject VARCHAR(200) NOT NULL, "
        "before JSON, after JSON, PRIMARY KEY (version) )"
    ]
    statements = [str(one.compile(dialect=postgresql.dialect())) for one in MIGRATIONS[0].statements]  # type: ignore[no-untyped-call]
    assert [" ".join(one.split()) for one in statements] == released


def an_events_table() -> Table:
    return Table("extras", MetaData(), Column("id", Integer, primary_key=True))


# What is wrong with it.


@pytest.mark.parametrize(
    "url", ["", "secret", "nodb://user:secret@host/db", "postgresql://u:secret@h:port/db"]
)
def test_an_address_that_is_none_is_refused_without_being_repeated(url: str) -> None:
    with pytest.raises(StoreError, match="address is not understood") as refused:
        Database(url)
    assert "secret" not in str(refused.value)


def test_a_driver_that_is_missing_is_named() -> None:
    with pytest.raises(
        StoreError, match=r"postgresql\+pg8000://me:\*\*\*@host/db needs the package 'pg8000'"
    ):
        Database("postgresql+pg8000://me:secret@host/db")


@pytest.mark.parametrize("url", ["sqlite://", "sqlite:///:memory:"])
def test_a_database_that_would_be_forgotten_is_refused(url: str) -> None:
    with pytest.raises(StoreError, match="names no file"):
        Database(url)


def test_a_file_that_is_no_database_is_said_to_be_damaged(path: Path) -> None:
    path.parent.mkdir()
    path.write_text("These are notes, not a database. " * 100)
    with pytest.raises(StoreError, match=r"cinegen\.db cannot be used .*restore it from a backup"):
        Database(sqlite_url(path))
    assert path.read_text().startswith("These are notes")


def test_a_place_where_nothing_can_be_made_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(StoreError, match=r"file/cinegen\.db cannot be made .*you may write to"):
        Database(sqlite_url(tmp_path / "file" / "cinegen.db"))


@pytest.mark.parametrize(
    "damage", ["UPDATE flag_changes SET after = '{no json'", "UPDATE flag_changes SET at = 'last Tuesday'"]
)
def test_a_record_that_a_file_does_not_hold_whole_is_not_passed_over(
    in_a_file: Database, damage: str
) -> None:
    refused_as_damaged(in_a_file, damage)


@pytest.mark.parametrize(
    "damage", ["UPDATE flag_changes SET kind = 'whim'", "UPDATE flag_changes SET who = ''"]
)
def test_a_record_that_is_damaged_is_not_passed_over(database: Database, damage: str) -> None:
    refused_as_damaged(database, damage)


def refused_as_damaged(database: Database, damage: str) -> None:
    journal = SqlJournal(database)
    journal.append(a_change(1))
    with database.writing() as connection:
        connection.execute(text(damage))
    with pytest.raises(JournalError, match=r" is damaged.*Restore the database") as refused:
        journal.read()
    assert database.name in str(refused.value)


def test_a_table_that_is_gone_is_an_error_of_the_store_and_of_the_journal(database: Database) -> None:
    with database.writing() as connection:
        connection.execute(text("DROP TABLE flag_changes"))
    journal = SqlJournal(database)
    for use in (journal.version, journal.read, lambda: journal.append(a_change(1))):
        with pytest.raises(
            JournalError, match=r"cannot be (read|written) \((no such table|relation .* does not exist)"
        ) as failed:
            use()
        assert isinstance(failed.value, StoreError)
        assert database.name in str(failed.value)


@pytest.mark.parametrize("kind", ["postgresql", "postgres", "postgresql+psycopg"])
def test_an_address_of_postgresql_needs_no_driver_in_it(postgres: PostgresServer, kind: str) -> None:
    with postgres.database() as url, Database(url.replace("postgresql", kind, 1)) as database:
        SqlJournal(database).append(a_change(1))
        assert SqlJournal(database).version() == 1


@pytest.mark.parametrize(
    "url", ["postgresql://me:secret@/db?host=/nowhere", "postgresql://me@/db?host=/nowhere&password=secret"]
)
def test_a_server_that_cannot_be_reached_is_named_without_the_password(url: str) -> None:
    with pytest.raises(StoreError, match=r"nowhere cannot be written .*See that it can be reached") as failed:
        Database(url)
    assert "secret" not in str(failed.value)


def test_a_connection_that_the_server_has_dropped_is_made_anew(postgres: PostgresServer) -> None:
    with postgres.database() as url, Database(url) as database:
        SqlJournal(database).append(a_change(1))
        postgres.kill()
        with pytest.raises(StoreError, match="See that it can be reached"):
            SqlJournal(database).version()
        postgres.start()
        assert SqlJournal(database).version() == 1


def test_who_may_only_read_is_told_so(postgres: PostgresServer) -> None:
    with postgres.database() as url, Database(url) as database:
        name = make_url(url).database
        with database.writing() as connection:
            connection.execute(text(f"ALTER DATABASE {name} SET default_transaction_read_only = on"))
        database.close()
        with pytest.raises(StoreError, match=r"read-only .*that you may write there"):
            SqlStore(database).check()


def test_what_is_read_cannot_be_written(postgres: PostgresServer) -> None:
    with postgres.database() as url, Database(url) as database:
        with pytest.raises(StoreError, match="read-only"), database.reading() as connection:
            connection.execute(insert(FLAG_CHANGES), a_change(1).model_dump())
        SqlJournal(database).append(a_change(1))


def test_nothing_stays_open(path: Path) -> None:
    with Database(sqlite_url(path)) as database:
        SqlJournal(database).append(a_change(1))
        assert any(str(path) in opened for opened in files_open())
    assert not any(str(path) in opened for opened in files_open())
    with pytest.raises(StoreError):
        Database(sqlite_url(path.parent))
    assert not any(str(path.parent) in opened for opened in files_open())


def files_open() -> list[str]:
    links = Path("/proc/self/fd")
    if not links.is_dir():
        pytest.skip("the open files of a process are only seen on Linux")
    return [str(link.readlink()) for link in links.iterdir() if link.is_symlink()]
