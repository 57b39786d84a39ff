"""What the studio has said is kept survives its sudden end, and nothing is kept by halves."""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from cinegen_core.store import SqlStore
from cinegen_core.store.events import SqlEvents
from cinegen_core.store.sql import Database, SqlJournal, sqlite_url
from tests.postgres import PostgresServer
from tests.store.killed_writer import ALERTS, SEASON, STORE_FAILED, change_of, events_of, record_of

ROOT = Path(__file__).parents[2]
ROUND = 10_000
"""More than one writer comes to before it is killed: each counts from a multiple of it."""

Reported = dict[str, set[int]]


class Writers:
    """Starts writers, one after another, and ends them."""

    def __init__(self) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-W", "error", "-m", "tests.store.killed_writer"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            cwd=ROOT,
            text=True,
        )
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._orders, self._lines = self._process.stdin, self._process.stdout

    def one(
        self, url: str, number: int, lines: int, busy: int, kill: Callable[[int], object]
    ) -> tuple[Reported, int]:
        """Lets one write until it has said so many lines, and then so many steps longer; what it has reported, and how it ended."""
        print(json.dumps([url, number]), file=self._orders, flush=True)
        what, pid = self._next()
        assert what == "pid"
        reported: Reported = defaultdict(set)
        for _ in range(lines):
            what, which = self._next()
            assert what != "ended", f"The writer ended by itself ({which})."
            reported[what].add(which)
        for _ in range(busy):
            pass
        kill(pid)
        while (said := self._next())[0] != "ended":
            reported[said[0]].add(said[1])
        return reported, said[1]

    def close(self) -> None:
        self._process.communicate()
        assert self._process.returncode == 0

    def _next(self) -> tuple[str, int]:
        line = self._lines.readline()
        assert line, "All writers are gone."
        what, number = line.split()
        return what, int(number)


@pytest.fixture(scope="module")
def writers() -> Iterator[Writers]:
    writers = Writers()
    yield writers
    writers.close()


def at_once(pid: int) -> None:
    os.kill(pid, signal.SIGKILL)


class Ledger:
    """What was reported as kept in one database, held against what is there."""

    def __init__(self, url: str) -> None:
        self._url = url
        self._reported: Reported = defaultdict(set)

    def note(self, reported: Reported) -> None:
        for what, numbers in reported.items():
            self._reported[what] |= numbers

    def check(self) -> None:
        """After each end: the next start works, all that was reported is there, nothing is there by halves."""
        with Database(self._url) as database:
            if database.path is not None:
                with database.reading() as connection:
                    assert connection.exec_driver_sql("PRAGMA integrity_check").scalars().all() == ["ok"]
            with database.reading() as connection:
                ids = connection.exec_driver_sql("SELECT id FROM events").scalars().all()
            kept = Counter(int(id.partition(":")[0]) for id in ids)
            assert set(kept.values()) <= {1 + ALERTS}
            assert set(kept) >= self._reported["events"]
            saved = {int(id, 16) for id in SqlStore(database).record_ids(SEASON.id)}
            assert saved >= self._reported["record"]
            assert SqlJournal(database).version() >= len(self._reported["change"])
            SqlStore(database).check()

    def check_all(self) -> None:
        """In the end: whatever is there is what was given, to the last character."""
        self.check()
        with Database(self._url) as database:
            kept = [event for _, event in SqlEvents(database).read()]
            numbers = [event.id for event in kept if event.kind == "generation"]
            assert kept == [event for number in numbers for event in events_of(int(number))]
            changes = SqlJournal(database).read()
            changed = [int(change.subject.rpartition("_")[2]) for change in changes]
            assert list(changes) == [change_of(number, version) for version, number in enumerate(changed, 1)]
            assert set(changed) >= self._reported["change"]
            assert len(set(changed)) == len(changed)
            for record in SqlStore(database).records(SEASON.id):
                assert record == record_of(record.seed)
        assert min(len(self._reported[what]) for what in ("events", "change", "record")) > 30


@pytest.mark.parametrize(
    ("database_url", "times"), [("sqlite", 30), ("postgresql", 18)], indirect=["database_url"]
)
def test_a_studio_killed_at_any_moment_loses_nothing_that_it_has_confirmed(
    writers: Writers, database_url: str, times: int
) -> None:
    rng = random.Random(20260105)
    ledger = Ledger(database_url)
    for turn in range(times):
        lines, busy = rng.randrange(25), rng.randrange(400_000)
        reported, ended = writers.one(database_url, turn * ROUND, lines, busy, at_once)
        assert ended == -signal.SIGKILL
        ledger.note(reported)
        ledger.check()
    ledger.check_all()


def test_a_file_whose_making_was_cut_off_is_made_at_the_next_start(writers: Writers, tmp_path: Path) -> None:
    rng = random.Random(1)
    for turn in range(12):
        url = sqlite_url(tmp_path / str(turn) / "cinegen.db")
        assert writers.one(url, 0, 0, rng.randrange(1_500_000), at_once)[1] == -signal.SIGKILL
        Ledger(url).check()


def test_a_database_whose_making_was_cut_off_is_made_at_the_next_start(
    writers: Writers, postgres: PostgresServer
) -> None:
    rng = random.Random(2)
    for _ in range(6):
        with postgres.database() as url:
            assert writers.one(url, 0, 0, rng.randrange(3_000_000), at_once)[1] == -signal.SIGKILL
            Ledger(url).check()


def test_a_server_killed_under_the_studio_loses_nothing_that_was_confirmed(
    writers: Writers, postgres: PostgresServer
) -> None:
    rng = random.Random(3)
    with postgres.database() as url:
        ledger = Ledger(url)
        for turn in range(4):
            lines, busy = rng.randrange(30, 60), rng.randrange(400_000)
            reported, ended = writers.one(url, turn * ROUND, lines, busy, lambda pid: postgres.kill())
            assert ended == STORE_FAILED
            ledger.note(reported)
            postgres.start()
            ledger.check()
        ledger.check_all()
