"""A store fits into one file while people go on writing, and comes back from it whole, into either kind of database, or not at all.

Run as a program it restores a backup, and says which tables are done: `python -m tests.store.test_backup URL FILE TABLE`; after that table
it waits until it is killed.
"""

from __future__ import annotations

import os
import random
import subprocess
import sys
import threading
import unicodedata
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import MetaData, Table, create_engine, event, func, insert, inspect, select, text

import cinegen_core.store.backup as backup_module
from cinegen_core.monitor.tally import hourly
from cinegen_core.store import Season, SqlStore
from cinegen_core.store.backup import (
    LEFT_OUT,
    AsItIs,
    BackupError,
    Identity,
    Manifest,
    check_backup,
    check_rows,
    open_backup,
    restore,
    tables_at,
    write_backup,
)
from cinegen_core.store.events import SqlEvents
from cinegen_core.store.migrations import MIGRATIONS, SCHEMA_VERSION, migrate
from cinegen_core.store.rollups import ROLLED, SqlRollups
from cinegen_core.store.sql import FLAG_CHANGES, Database, SqlJournal, sqlite_url
from cinegen_core.store.sql_episodes import EPISODES, SEASONS
from tests.builders import a_bible
from tests.postgres import PostgresServer
from tests.store.killed_writer import START, change_of, events_of, record_of

ROOT = Path(__file__).parents[2]
HOSTILE = (
    '“Robert\'); DROP TABLE seasons;--”\n\r\t\\ \u2028 \u202e siht 🚢 \x7f {"a": null} \ufeff ﷺ '
    + "\u0301" * 40
)


def make(database: Database, file: Path, **changes: Any) -> Manifest:
    given: dict[str, Any] = {"identity": Identity(install_id="id"), "studio": "9.9", "now": START, **changes}
    return write_backup(database, file, **given)


def put_back(url: str, file: Path) -> None:
    with open_backup(file) as backup, Database(url) as database:
        restore(database, backup)


def digests(manifest: Manifest) -> dict[str, tuple[int, str]]:
    return {part.name: (part.rows, part.sha256) for part in manifest.tables}


def empty(url: str) -> bool:
    with Database(url) as database, database.reading() as connection:
        tables = [Table(name, MetaData()) for name in tables_at(len(MIGRATIONS))]
        counts = [connection.scalar(select(func.count()).select_from(table)) for table in tables]
        assert connection.scalar(select(func.max(SCHEMA_VERSION.c.version))) == len(MIGRATIONS)
    return not any(counts)


@pytest.fixture
def other_url(database_url: str, request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """An empty database of the other kind."""
    if database_url.startswith("sqlite"):
        server: PostgresServer = request.getfixturevalue("postgres")
        with server.database() as url:
            yield url
    else:
        yield sqlite_url(tmp_path / "other" / "cinegen.db")


class BusyStudio:
    """Writes as a studio does, round after round, in a thread of its own. Rounds are counted, and can be waited for."""

    def __init__(self, url: str) -> None:
        self._url = url
        self._rounds, self._changed, self._stop = 0, threading.Condition(), False
        self._problem: BaseException | None = None
        self._thread = threading.Thread(target=self._run)

    def __enter__(self) -> BusyStudio:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop = True
        self._thread.join()
        assert self._problem is None, self._problem

    def one_more_round(self) -> None:
        """Returns when all of one more round has been kept that began after now."""
        with self._changed:
            wanted = self._rounds + 2
            assert self._changed.wait_for(
                lambda: self._rounds >= wanted or self._problem is not None, timeout=60
            )

    def _run(self) -> None:
        try:
            with Database(self._url) as database:
                events, journal, store = SqlEvents(database), SqlJournal(database), SqlStore(database)
                rollups = SqlRollups(database, events)
                while not self._stop:
                    number = self._rounds
                    season = Season(id=f"{number:015x}f", title=f"Night {number}", started=START)
                    store.add_season(season, a_bible())
                    store.save(record_of(number).model_copy(update={"season": season.id}))
                    journal.append(change_of(number, number + 1))
                    events.add(*events_of(number))
                    if number % 2:
                        rollups.roll_up()
                    with self._changed:
                        self._rounds += 1
                        self._changed.notify_all()
        except BaseException as error:  # noqa: BLE001 (told when the thread is joined)
            with self._changed:
                self._problem = error
                self._changed.notify_all()


def check_agreement(url: str) -> int:
    """What is there is of one moment; how many events there are."""
    with Database(url) as database:
        with database.reading() as connection:
            orphans = select(EPISODES.c.id).where(EPISODES.c.season.not_in(select(SEASONS.c.id)))
            assert connection.scalars(orphans).all() == []
            seasons = connection.scalar(select(func.count()).select_from(SEASONS)) or 0
            episodes = connection.scalar(select(func.count()).select_from(EPISODES)) or 0
            mark = connection.scalar(select(ROLLED.c.number)) or 0
        versions = [change.version for change in SqlJournal(database).read()]
        assert versions == list(range(1, len(versions) + 1))
        # A round is a season, its episode, a change, six events: whatever is there of the last one is there from its beginning.
        assert seasons >= episodes >= len(versions) >= seasons - 1
        events = SqlEvents(database)
        numbered = events.read(series=None)
        assert len(versions) >= len(numbered) / 6 >= len(versions) - 1
        counted = hourly(event for number, event in numbered if number <= mark)
        rolled = SqlRollups(database, events).hours(
            "live", START - timedelta(days=1), START + timedelta(days=9)
        )
        assert rolled.keys() == counted.keys()
        for hour, tally in rolled.items():
            assert (tally.counts, sorted(tally.times)) == (counted[hour].counts, sorted(counted[hour].times))
        return len(numbered)


def test_a_backup_is_of_one_moment_while_the_studio_goes_on_and_comes_back_in_either_kind(
    database_url: str, other_url: str, tmp_path: Path
) -> None:
    file = tmp_path / "busy.zip"
    with BusyStudio(database_url) as studio:
        studio.one_more_round()
        with AsItIs(database_url) as database:
            manifest = make(database, file, said=lambda table, rows: studio.one_more_round())
        studio.one_more_round()
    assert check_backup(file) == manifest
    put_back(other_url, file)
    kept = check_agreement(other_url)
    assert 0 < kept == manifest.rows["events"] < check_agreement(database_url)
    # And back again: the same rows, to the last character.
    again = tmp_path / "again.zip"
    with AsItIs(other_url) as database:
        assert digests(make(database, again)) == digests(manifest)
    same_kind = sqlite_url(tmp_path / "same" / "cinegen.db")
    put_back(same_kind, again)
    with AsItIs(same_kind) as database:
        assert digests(make(database, tmp_path / "third.zip")) == digests(manifest)


def test_what_people_typed_comes_back_as_they_typed_it(
    database_url: str, other_url: str, tmp_path: Path
) -> None:
    title = unicodedata.normalize("NFD", HOSTILE)
    change = change_of(1, 1).model_copy(
        update={
            "why": HOSTILE,
            "before": None,
            "after": {"words": HOSTILE, HOSTILE: "", "deep": [1.0, -0.5, 1e300, None, {}], "big": 2**60},
        }
    )
    with Database(database_url) as database:
        with database.writing() as connection:
            values = {"id": "a" * 16, "title": title, "source": HOSTILE, "started": START, "bible": "{}"}
            connection.execute(insert(SEASONS).values(values))
        SqlJournal(database).append(change)
        make(database, tmp_path / "b.zip", identity=Identity(install_id="x", operator=HOSTILE.strip()))
    put_back(other_url, tmp_path / "b.zip")
    with open_backup(tmp_path / "b.zip") as backup:
        assert backup.identity.operator == HOSTILE.strip()
    with Database(other_url) as database:
        assert SqlJournal(database).read() == (change,)
        with database.reading() as connection:
            assert connection.execute(select(SEASONS.c.title, SEASONS.c.source)).one() == (title, HOSTILE)
            assert connection.scalar(select(func.count()).where(FLAG_CHANGES.c.before.is_(None))) == 1


@pytest.mark.parametrize("database_url", ["postgresql"], indirect=True)
def test_what_the_other_kind_of_database_refuses_is_told_and_leaves_it_empty(
    database_url: str, other_url: str, tmp_path: Path
) -> None:
    with Database(other_url) as database:
        for number in range(300):
            SqlEvents(database).add(*events_of(number))
        with database.writing() as connection:
            values = {"id": "a" * 16, "title": "a\0b", "source": "", "started": START, "bible": "{}"}
            connection.execute(insert(SEASONS).values(values))
        make(database, tmp_path / "b.zip")
    with pytest.raises(
        BackupError,
        match=r"rows 1 to 1 of seasons cannot be kept in this database \(.*NUL.*Nothing was changed",
    ):
        put_back(database_url, tmp_path / "b.zip")
    assert empty(database_url)


def test_numbers_go_on_where_they_were_also_when_the_last_events_are_forgotten(
    database_url: str, other_url: str, tmp_path: Path
) -> None:
    with Database(database_url) as database:
        events = SqlEvents(database)
        events.add(*events_of(1), *events_of(2))
        assert SqlRollups(database, events).roll_up() == 12
        events.forget(START + timedelta(seconds=2))
        make(database, tmp_path / "some.zip")
        events.forget(START + timedelta(days=1))
        make(database, tmp_path / "none.zip")
    put_back(other_url, tmp_path / "some.zip")
    with Database(other_url) as database:
        events = SqlEvents(database)
        events.add(*events_of(3))
        assert [number for number, _ in events.read(series=None)] == list(range(7, 19))
        assert SqlRollups(database, events).roll_up() == 18
        assert SqlRollups(database, events).everything("live").counts["all"] == 3


def test_counts_do_not_miss_what_comes_after_a_restore_of_a_store_without_events(
    postgres: PostgresServer, tmp_path: Path
) -> None:
    with Database(sqlite_url(tmp_path / "cinegen.db")) as database:
        events = SqlEvents(database)
        events.add(*events_of(1))
        SqlRollups(database, events).roll_up()
        events.forget(START + timedelta(days=1))
        make(database, tmp_path / "none.zip")
    with postgres.database() as url:
        put_back(url, tmp_path / "none.zip")
        with Database(url) as database:
            events = SqlEvents(database)
            events.add(*events_of(2))
            assert SqlRollups(database, events).roll_up() == 12
            assert SqlRollups(database, events).everything("live").counts["all"] == 2


def at_step(url: str, step: int) -> None:
    """A database as it was after so many steps, with a row in each table that has a simple one."""
    engine = create_engine(url.replace("postgresql:", "postgresql+psycopg:"))
    if url.startswith("sqlite"):
        Path(url.removeprefix("sqlite:///")).parent.mkdir(parents=True)
        event.listen(engine, "connect", lambda connection, _: setattr(connection, "isolation_level", None))
        event.listen(engine, "begin", lambda connection: connection.exec_driver_sql("BEGIN"))
    with engine.begin() as connection:
        migrate(connection, MIGRATIONS[:step])
        connection.execute(insert(FLAG_CHANGES), [change_of(1, 1).model_dump()])
        for name in tables_at(step)[1:]:
            if name in ("outcomes", "events", "seasons", "episodes", "rolled"):
                values = _SIMPLE[name]
                columns, marks = ", ".join(values), ", ".join(f":{key}" for key in values)
                connection.execute(text(f"INSERT INTO {name} ({columns}) VALUES ({marks})"), values)  # noqa: S608
    engine.dispose()


_EVENT = events_of(1)[0]
_SIMPLE: dict[str, dict[str, Any]] = {
    "outcomes": {"at": "2026-01-05 10:00:00", "sample": '{"a": 1}'},
    "events": {
        "number": 41, "id": "1", "at": "2026-01-05 10:00:01", "series": "live", "kind": "generation",
        "data": _EVENT.model_dump_json(),
    },
    "seasons": {"id": "5" * 16, "title": "T", "source": "", "started": "2026-01-05 10:00:00", "bible": "{}"},
    "episodes": {
        "id": f"{1:016x}", "season": "5" * 16, "number": 1, "saved": "2026-01-05 10:00:00", "data": record_of(1).model_dump_json(),
    },
    "rolled": {"id": 1, "number": 41},
}  # fmt: skip


@pytest.mark.parametrize("step", range(1, len(MIGRATIONS) + 1))
def test_a_backup_of_an_older_studio_is_brought_up_to_date_and_the_old_store_is_not_touched(
    step: int, tmp_path: Path
) -> None:
    old, file = sqlite_url(tmp_path / "old" / "cinegen.db"), tmp_path / "old.zip"
    at_step(old, step)
    with AsItIs(old) as database:
        manifest = make(database, file)
        assert manifest.step == step
        assert sorted([*manifest.rows, *manifest.left_out]) == sorted(tables_at(step))
        with database.reading() as connection:
            assert connection.scalar(select(func.max(SCHEMA_VERSION.c.version))) == step
    url = sqlite_url(tmp_path / "new" / "cinegen.db")
    put_back(url, file)
    with Database(url) as database:
        assert SqlJournal(database).read() == (change_of(1, 1),)
        assert [event for _, event in SqlEvents(database).read()] == ([_EVENT] if step >= 3 else [])
        assert SqlStore(database).records("5" * 16) == ((record_of(1),) if step >= 4 else ())


def test_a_backup_of_an_older_postgresql_counts_on(postgres: PostgresServer, tmp_path: Path) -> None:
    with postgres.database() as old, postgres.database() as new:
        at_step(old, 4)
        with AsItIs(old) as database:
            make(database, tmp_path / "old.zip")
        put_back(new, tmp_path / "old.zip")
        with Database(new) as database:
            SqlEvents(database).add(*events_of(2)[:1])
            assert [number for number, _ in SqlEvents(database).read()] == [41, 42]


def test_every_table_that_there_ever_was_can_be_backed_up(database_url: str) -> None:
    at_step(database_url, len(MIGRATIONS))
    with AsItIs(database_url) as database, database.reading() as connection:
        there = set(inspect(connection).get_table_names()) - {SCHEMA_VERSION.name}
        assert there == set(tables_at(len(MIGRATIONS)))
        assert there > LEFT_OUT
        for name in there:
            backup_module._shape(connection, name)


def test_newer_ones_are_refused_in_plain_words(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    url, file = sqlite_url(tmp_path / "cinegen.db"), tmp_path / "b.zip"
    with Database(url) as database:
        make(database, file)
        monkeypatch.setattr(backup_module, "MIGRATIONS", MIGRATIONS[:-1])
        with pytest.raises(
            BackupError,
            match=r"newer version of the studio: 9\.9, whose tables are at step .* Nothing was changed",
        ):
            check_backup(file)
        with pytest.raises(BackupError, match="Make the backup with the newer version"):
            make(database, tmp_path / "c.zip")
    assert not (tmp_path / "c.zip").exists()
    assert sorted(path.name for path in tmp_path.iterdir() if "part" in path.name) == []


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A backup with something of everything."""
    folder = tmp_path_factory.mktemp("small")
    with Database(sqlite_url(folder / "cinegen.db")) as database:
        store = SqlStore(database)
        store.add_season(Season(id="5" * 16, title="Slack Water", started=START), a_bible())
        store.save(record_of(1))
        SqlJournal(database).append(change_of(1, 1))
        for number in range(60):
            SqlEvents(database).add(*events_of(number))
        SqlRollups(database, SqlEvents(database)).roll_up()
        make(database, folder / "small.zip")
    return folder / "small.zip"


def test_a_single_changed_byte_is_found_wherever_it_is(small: Path, tmp_path: Path) -> None:
    whole, rng, copy = small.read_bytes(), random.Random(1), tmp_path / "copy.zip"
    places = {
        0,
        1,
        3,
        4,
        29,
        len(whole) - 1,
        len(whole) - 64,
        len(whole) - 65,
        len(whole) - 72,
        len(whole) - 90,
    }
    for place in sorted(places | {rng.randrange(len(whole)) for _ in range(120)}):
        flipped = bytearray(whole)
        flipped[place] ^= 1 << rng.randrange(8)
        copy.write_bytes(flipped)
        with pytest.raises(BackupError, match=r"not as it was made|cut short|is no backup"):
            check_backup(copy)
    copy.write_bytes(whole)
    assert check_backup(copy).rows["events"] == 360


def test_a_file_that_is_cut_short_or_is_another_is_found(small: Path, tmp_path: Path) -> None:
    whole, copy = small.read_bytes(), tmp_path / "copy.zip"
    for length in (4, 30, 71, 72, len(whole) // 2, len(whole) - 73, len(whole) - 1):
        copy.write_bytes(whole[:length])
        with pytest.raises(BackupError, match="cut short"):
            check_backup(copy)
    for other in (b"", b"P", b"SQLite format 3\0" * 9):
        copy.write_bytes(other)
        with pytest.raises(BackupError, match="is no backup of a studio"):
            check_backup(copy)
    with pytest.raises(BackupError, match=r"nowhere\.zip: the backup cannot be read"):
        check_backup(tmp_path / "nowhere.zip")


def test_a_forged_row_is_found_by_its_tables_digest(small: Path, tmp_path: Path) -> None:
    with open_backup(small) as backup:
        parts = [part.model_copy(update={"sha256": "0" * 64}) for part in backup.manifest.tables]
        forged = backup._replace(manifest=backup.manifest.model_copy(update={"tables": tuple(parts)}))
        with pytest.raises(BackupError, match="the table flag_changes is another"):
            check_rows(forged)
        url = sqlite_url(tmp_path / "new" / "cinegen.db")
        with Database(url) as database, pytest.raises(BackupError, match="the table flag_changes is another"):
            restore(database, forged)
    assert empty(url)


def test_a_database_that_holds_anything_is_left_as_it_is(small: Path, database_url: str) -> None:
    with Database(database_url) as database:
        SqlEvents(database).add(*events_of(7))
    with pytest.raises(BackupError, match=r"is not empty \(6 rows in events\).*Nothing was changed"):
        put_back(database_url, small)
    with Database(database_url) as database:
        assert [event for _, event in SqlEvents(database).read()] == list(events_of(7))


@pytest.mark.parametrize("table", ["events", tables_at(len(MIGRATIONS))[-1]])
def test_a_restore_that_is_killed_leaves_the_database_empty_and_can_be_done_again(
    small: Path, database_url: str, table: str
) -> None:
    child = subprocess.Popen(
        [sys.executable, "-W", "error", "-m", "tests.store.test_backup", database_url, str(small), table],
        cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE,
    )  # fmt: skip
    assert child.stdin is not None
    assert child.stdout is not None
    assert child.stdout.read() == b""  # it has come to the table, and waits
    child.kill()
    child.wait()
    child.stdin.close()
    child.stdout.close()
    wait_for_nobody(database_url)
    assert empty(database_url)
    put_back(database_url, small)
    with Database(database_url) as database:
        assert SqlEvents(database).last() == 360


def wait_for_nobody(url: str) -> None:
    """A server takes some moments to see that a client is dead; until then its transaction holds the tables."""
    with Database(url, patience=60) as database, database.writing():
        pass


def _be_killed_at(url: str, file: Path, table: str) -> None:
    def said(name: str, rows: int) -> None:
        if name == table:
            os.close(sys.stdout.fileno())
            sys.stdin.read()

    with open_backup(file) as backup, Database(url) as database:
        restore(database, backup, said=said)


if __name__ == "__main__":
    _be_killed_at(sys.argv[1], Path(sys.argv[2]), sys.argv[3])
