"""What has been made once need not be made again; and nothing in the cache can harm who opens it."""

from __future__ import annotations

import asyncio
import pickle
import sqlite3
import subprocess
import sys
import threading
from collections.abc import Awaitable, Callable
from contextlib import closing
from pathlib import Path

import pytest

from cinegen_core.store.results import NoResults, ResultCache, Results
from cinegen_core.store.safe_disk import PlantedEntryError, SafeDisk

KEY = "0123456789abcdef" * 4
OTHER = "f" * 64
SECRET = "what is kept must never be quoted"
ROOT = Path(__file__).parents[2]


class _Bomb:
    """As a pickle, it creates a file when it is read."""

    def __init__(self, mark: Path) -> None:
        self._mark = mark

    def __reduce__(self) -> tuple[Callable[..., object], tuple[str, str]]:
        return open, (str(self._mark), "w")


class _Place:
    """A folder for a cache, and what its users were told."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.warnings: list[str] = []

    def cache(
        self, megabytes: int = 256, sleep: Callable[[float], Awaitable[object]] = asyncio.sleep
    ) -> ResultCache:
        return ResultCache(self.folder, megabytes=megabytes, warn=self.warnings.append, sleep=sleep)

    def sql(self, statement: str, *values: object) -> list[tuple[object, ...]]:
        with closing(sqlite3.connect(self.folder / "cache.db", isolation_level=None)) as connection:
            return connection.execute(statement, values).fetchall()

    def plant(self, **columns: object) -> None:
        row = {"key": KEY, "raw": 1, "store_time": 0.0, "access_time": 0.0, "mode": 1, "size": 0, **columns}
        self.sql(f"INSERT INTO Cache ({', '.join(row)}) VALUES ({', '.join('?' * len(row))})", *row.values())  # noqa: S608

    def told(self) -> str:
        """The one warning there was, which says where and quotes nothing that it must not."""
        (warning,) = self.warnings
        assert str(self.folder) in warning
        assert SECRET not in warning
        assert KEY not in warning
        return warning


@pytest.fixture
def place(tmp_path: Path) -> _Place:
    return _Place(tmp_path / "cache")


@pytest.fixture
def used(place: _Place) -> _Place:
    """One that holds nothing, but has been opened before."""
    place.cache().close()
    return place


async def never(seconds: float) -> None:
    raise AssertionError(f"Nobody should have to wait {seconds} seconds here.")


async def a_turn(seconds: float) -> None:
    await asyncio.sleep(0)


# Kept, and found again


@pytest.mark.parametrize(
    "text", ["", "A lighthouse.", "Zeilen\r\nund\rZeilen\n\0 – 灯台 🗼", "x" * 1_000_000], ids=len
)
def test_a_result_is_there_tomorrow_exactly_as_it_was(place: _Place, text: str) -> None:
    place.cache().put(KEY, text)
    tomorrow = place.cache()
    assert tomorrow.get(KEY) == text
    assert tomorrow.get(OTHER) is None
    assert place.warnings == []


def test_the_later_result_counts(place: _Place) -> None:
    cache = place.cache()
    cache.put(KEY, "first")
    cache.put(KEY, "second")
    assert cache.get(KEY) == "second"
    assert cache.size()[0] == 1


def test_clearing_says_how_many_there_were_and_leaves_none(place: _Place) -> None:
    cache = place.cache()
    cache.put(KEY, "one")
    cache.put(OTHER, "two" * 100_000)
    entries, bytes_before = cache.size()
    assert entries == 2
    assert bytes_before > 300_000
    assert cache.clear() == 2
    assert cache.size()[0] == 0
    assert cache.size()[1] < bytes_before
    assert cache.get(KEY) is None
    assert cache.clear() == 0


def test_beyond_the_size_limit_what_was_not_used_for_longest_goes_first(place: _Place) -> None:
    cache = place.cache(megabytes=1)
    cache.put(KEY, "used again and again")
    cache.put(OTHER, "used once")
    for number in range(60):
        cache.put(f"{number:064x}", "x" * 50_000)
        assert cache.get(f"{number:064x}") is not None, "the newest stays"
        assert cache.get(KEY) == "used again and again"
        assert cache.size()[1] < 2**20 + 100_000
    assert cache.get(OTHER) is None
    assert cache.size()[0] > 10


def test_making_room_for_a_large_result_does_not_cost_the_result_itself(place: _Place) -> None:
    cache = place.cache(megabytes=1)
    for number in range(5):
        cache.put(f"{number:064x}", "x" * 400_000)
        assert cache.get(f"{number:064x}") is not None
        assert cache.size()[1] <= 2**20


@pytest.mark.parametrize("there_before", [True, False])
def test_only_their_owner_may_look_at_results(place: _Place, there_before: bool) -> None:
    if there_before:
        place.folder.mkdir(mode=0o755)
    place.cache().put(KEY, SECRET)
    assert place.folder.stat().st_mode & 0o777 == 0o700
    assert (place.folder / "cache.db").stat().st_mode & 0o777 == 0o600


def test_a_folder_with_things_of_others_stays_open_to_them_but_the_results_do_not(place: _Place) -> None:
    place.folder.mkdir(mode=0o755)
    place.folder.chmod(0o755)
    (place.folder / "letter.txt").write_text("", encoding="utf-8")
    place.cache().put(KEY, SECRET)
    assert place.folder.stat().st_mode & 0o777 == 0o755
    assert (place.folder / "cache.db").stat().st_mode & 0o777 == 0o600


def test_no_thread_leaves_the_file_open(place: _Place) -> None:
    cache = place.cache()

    def work() -> None:
        cache.put(KEY, "text")
        cache.get(KEY)
        cache.size()

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    # SQLite's journals are there as long as anybody has the file open.
    assert [path.name for path in place.folder.iterdir()] == ["cache.db"]
    assert place.warnings == []


def test_a_closed_cache_keeps_nothing_and_does_not_mind(place: _Place) -> None:
    cache = place.cache()
    cache.put(KEY, "text")
    cache.close()
    cache.close()
    cache.put(OTHER, "text")
    assert cache.get(KEY) is None
    assert cache.size() == (0, 0)
    assert place.cache().size()[0] == 1


# Nothing in the cache is run, read from elsewhere or deleted elsewhere


def test_a_planted_pickle_is_never_opened(used: _Place, tmp_path: Path) -> None:
    used.plant(mode=4, value=pickle.dumps(_Bomb(tmp_path / "mark")))
    cache = used.cache()
    assert cache.get(KEY) is None
    assert "thrown away" in used.told()
    assert cache.size()[0] == 0
    assert not (tmp_path / "mark").exists()


def test_a_pickle_in_a_file_is_never_opened(used: _Place, tmp_path: Path) -> None:
    (used.folder / "a.val").write_bytes(pickle.dumps(_Bomb(tmp_path / "mark")))
    used.plant(mode=4, filename="a.val")
    assert used.cache().get(KEY) is None
    assert used.told()
    assert not (tmp_path / "mark").exists()


def test_a_pickle_planted_as_a_key_is_never_opened(used: _Place, tmp_path: Path) -> None:
    used.plant(key=pickle.dumps(_Bomb(tmp_path / "mark")), raw=0, value="text")
    cache = used.cache()
    cache.put(KEY, "text")
    assert cache.get(KEY) == "text"
    assert cache.size()[0] == 2
    assert cache.clear() == 2
    assert not (tmp_path / "mark").exists()


def test_the_pickle_of_these_tests_would_go_off(tmp_path: Path) -> None:
    pickle.loads(pickle.dumps(_Bomb(tmp_path / "mark"))).close()  # noqa: S301
    assert (tmp_path / "mark").exists()


@pytest.mark.parametrize("value", [None, [], {"a": 1}, True, 2**63, object(), bytearray(b"x")])
def test_only_plain_values_are_stored(tmp_path: Path, value: object) -> None:
    with pytest.raises(TypeError, match="value"):
        SafeDisk(str(tmp_path)).store(value, False)


@pytest.mark.parametrize("value", [b"x" * 100_000, "x" * 100_000, 7, 0.5])
def test_plain_values_are_stored_in_the_row(tmp_path: Path, value: object) -> None:
    disk = SafeDisk(str(tmp_path))
    _, mode, filename, stored = disk.store(value, False)
    assert disk.fetch(mode, filename, stored, False) == value
    assert filename is None
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("key", [None, b"key", 1, 0.5, ("a", "b")])
def test_only_text_is_a_key(tmp_path: Path, key: object) -> None:
    disk = SafeDisk(str(tmp_path))
    with pytest.raises(TypeError, match="key"):
        disk.put(key)
    with pytest.raises(PlantedEntryError):
        disk.get(key, True)
    assert disk.get(*disk.put("key")) == "key"


@pytest.mark.parametrize("mode", [0, 2, 3, 4, 5, None, "1"])
def test_a_row_of_a_kind_that_is_never_written_is_refused(tmp_path: Path, mode: object) -> None:
    for filename, value in (("a.val", None), (None, b"text"), (None, None)):
        with pytest.raises(PlantedEntryError):
            SafeDisk(str(tmp_path)).fetch(mode, filename, value, False)
    with pytest.raises(PlantedEntryError):
        SafeDisk(str(tmp_path)).get(b"text", False)


@pytest.mark.parametrize("mode", [1, 2, 3, 4])
@pytest.mark.parametrize("absolute", [True, False])
def test_a_file_elsewhere_is_neither_read_nor_deleted(
    used: _Place, tmp_path: Path, mode: int, absolute: bool
) -> None:
    outside = tmp_path / "diary.txt"
    outside.write_text(SECRET, encoding="utf-8")
    filename = str(outside) if absolute else "../diary.txt"

    def plant() -> None:
        used.plant(mode=mode, filename=filename, value="text" if mode == 1 else None)

    cache = used.cache(megabytes=1)
    plant()
    assert cache.get(KEY) is None
    assert used.told()
    plant()
    cache.put(KEY, "put in its place")
    assert cache.clear() == 1
    plant()
    assert cache.clear() == 1
    plant()
    for number in range(30):
        cache.put(f"{number:064x}", "x" * 50_000)
    assert used.sql("SELECT 1 FROM Cache WHERE filename IS NOT NULL") == [], "it had to go to make room"
    assert outside.read_text(encoding="utf-8") == SECRET


@pytest.mark.parametrize("value", [b"bytes", 7, 0.5, None])
def test_what_is_not_text_is_thrown_away(used: _Place, value: object) -> None:
    used.plant(value=value)
    cache = used.cache()
    assert cache.get(KEY) is None
    assert KEY[:12] in used.told()
    assert cache.get(KEY) is None
    assert len(used.warnings) == 1, "once said, it is gone"


def test_text_with_broken_characters_is_thrown_away_unquoted(used: _Place) -> None:
    used.plant()
    used.sql("UPDATE Cache SET value = CAST(? AS TEXT)", SECRET.encode() + b"\xff")
    cache = used.cache()
    assert cache.get(KEY) is None
    assert "thrown away" in used.told()
    assert cache.size()[0] == 0


@pytest.mark.parametrize("there", [True, False])
def test_a_result_said_to_be_in_a_file_is_thrown_away(used: _Place, there: bool) -> None:
    if there:
        (used.folder / "a.val").write_bytes(b"\xff\x00")
    used.plant(mode=3, filename="a.val", size=2)
    cache = used.cache()
    assert cache.get(KEY) is None
    assert "thrown away" in used.told()
    assert cache.size()[0] == 0


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("_disk", "x"),
        ("disk_directory", "/"),
        ("disk_fetch", "x"),
        ("get", 1),
        ("sqlite_writable_schema", 1),
        ("sqlite_journal_mode", "wal; DROP TABLE Cache"),
        ("sqlite_mmap_size", "x"),
        ("eviction_policy", None),
        ("eviction_policy", b"none"),
        ("size", "x"),
        (b"size", 1),
    ],
)
def test_planted_settings_change_nothing(used: _Place, key: object, value: object) -> None:
    used.plant(value="text")
    used.sql("DELETE FROM Settings WHERE key = ?", key)
    used.sql("INSERT INTO Settings VALUES (?, ?)", key, value)
    cache = used.cache()
    assert "settings" in used.told()
    assert cache.get(KEY) is None
    cache.put(KEY, "anew")
    assert used.cache().get(KEY) == "anew"
    assert len(used.warnings) == 1


def test_a_setting_within_bounds_is_set_back(used: _Place) -> None:
    used.sql("UPDATE Settings SET value = 'none' WHERE key = 'eviction_policy'")
    used.sql("UPDATE Settings SET value = 1 WHERE key = 'statistics'")
    used.cache()
    assert used.warnings == []
    assert used.sql("SELECT value FROM Settings WHERE key IN ('eviction_policy', 'statistics') ORDER BY 1") == [
        (0,),
        ("least-recently-used",),
    ]  # fmt: skip


# The studio still writes when the cache does not work


@pytest.mark.parametrize(
    "damage", ["random", "cut short", "half a page", "hole", "another program's", "a link"]
)
def test_a_damaged_cache_is_moved_aside_and_an_empty_one_used(
    place: _Place, tmp_path: Path, damage: str
) -> None:
    cache = place.cache()
    for number in range(20):
        cache.put(f"{number:064x}", "x" * 20_000)
    cache.close()
    database = place.folder / "cache.db"
    content = database.read_bytes()
    (tmp_path / "elsewhere.db").write_bytes(content)
    if damage == "random":
        database.write_bytes(bytes(range(256)) * 100)
    elif damage == "cut short":
        database.write_bytes(content[: len(content) // 2])
    elif damage == "half a page":
        database.write_bytes(content[:50])
    elif damage == "hole":
        database.write_bytes(content[:4096] + b"\xa5" * 40_000 + content[44_096:])
    elif damage == "a link":
        database.unlink()
        database.symlink_to(tmp_path / "elsewhere.db")
    else:
        database.unlink()
        place.sql("CREATE TABLE Settings (a, b, c)")
    found = place.cache()
    assert "damaged-cache.db" in place.told()
    assert found.size()[0] == 0
    found.put(KEY, "text")
    assert place.cache().get(KEY) == "text"
    assert len(place.warnings) == 1
    assert (tmp_path / "elsewhere.db").read_bytes() == content


def test_a_cache_damaged_while_it_is_used_holds_nothing_up(place: _Place) -> None:
    cache = place.cache()
    cache.put(KEY, SECRET)
    (place.folder / "cache.db").write_bytes(b"\xa5" * 100_000)
    assert cache.get(KEY) is None
    cache.put(KEY, SECRET)
    cache.discard(KEY, "not what was asked for")
    assert cache.size() == (0, 0)
    assert cache.clear() == 0
    assert len(place.warnings) >= 5
    assert not any(SECRET in warning or KEY in warning for warning in place.warnings)


async def test_without_a_folder_to_write_to_there_is_a_warning_and_no_cache(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("", encoding="utf-8")
    place = _Place(tmp_path / "file" / "cache")
    cache = place.cache(sleep=never)
    assert "no results are kept" in place.told()
    cache.put(KEY, "text")
    assert cache.get(KEY) is None
    cache.discard(OTHER, "unreadable")
    assert cache.size() == (0, 0)
    assert cache.clear() == 0
    assert await cache.once(KEY, answer("made"), load=lambda: cache.get(KEY), seconds=60) == "made"
    cache.close()


async def test_on_a_full_disk_there_is_a_warning_and_the_result_all_the_same(used: _Place) -> None:
    cache = used.cache(sleep=never)
    used.sql("CREATE TRIGGER t BEFORE INSERT ON Cache BEGIN SELECT RAISE(ABORT, 'disk is full'); END")
    cache.put(KEY, SECRET)
    assert "disk is full" in used.told()
    assert await cache.once(KEY, answer("made"), load=lambda: cache.get(KEY), seconds=60) == "made"


def test_a_text_that_cannot_be_written_is_not_kept(place: _Place) -> None:
    cache = place.cache()
    cache.put(KEY, SECRET + "\ud800")
    assert place.told()
    assert cache.get(KEY) is None


def test_what_the_caller_cannot_use_is_removed_with_the_reason(place: _Place) -> None:
    cache = place.cache()
    cache.put(KEY, SECRET)
    cache.discard(KEY, "an older studio wrote it")
    assert "an older studio wrote it" in place.told()
    assert cache.get(KEY) is None


async def test_whoever_wants_no_results_gets_none() -> None:
    results: Results = NoResults()
    results.put(KEY, "text")
    assert results.get(KEY) is None
    results.discard(KEY, "unreadable")
    assert results.size() == (0, 0)
    assert results.clear() == 0
    assert await results.once(KEY, answer("made"), load=lambda: None, seconds=60) == "made"
    results.close()


# Computed once


def answer(text: str) -> Callable[[], Awaitable[str]]:
    async def compute() -> str:
        return text

    return compute


def once(cache: Results, compute: Callable[[], Awaitable[str]], seconds: float = 60) -> Awaitable[str]:
    """As callers use it: what is computed is kept, and then found."""

    async def kept() -> str:
        text = await compute()
        cache.put(KEY, text)
        return text

    return cache.once(KEY, kept, load=lambda: cache.get(KEY), seconds=seconds)


async def test_what_is_kept_is_not_computed(place: _Place) -> None:
    cache = place.cache(sleep=never)
    cache.put(KEY, "kept")
    assert await once(cache, answer("made")) == "kept"
    assert place.warnings == []


async def test_twenty_tasks_that_ask_at_once_compute_once(place: _Place) -> None:
    cache = place.cache(sleep=a_turn)
    computed: list[int] = []

    def compute(number: int) -> Callable[[], Awaitable[str]]:
        async def work() -> str:
            computed.append(number)
            for _ in range(20):
                await asyncio.sleep(0)
            return f"by {number}"

        return work

    answers = await asyncio.gather(*(once(cache, compute(number)) for number in range(20)))
    assert len(computed) == 1
    assert set(answers) == {f"by {computed[0]}"}
    assert cache.size()[0] == 1
    assert place.warnings == []


def test_four_threads_with_their_own_loops_compute_once(place: _Place) -> None:
    others = threading.Semaphore(0)
    start = threading.Barrier(4)
    computed: list[int] = []
    answers: list[str] = []

    async def waits(seconds: float) -> None:
        others.release()
        await asyncio.sleep(seconds)

    cache = place.cache(sleep=waits)

    async def compute() -> str:
        computed.append(threading.get_ident())
        for _ in range(3):
            assert others.acquire(timeout=30)
        return "made"

    async def ask() -> str:
        return await once(cache, compute)

    def run() -> None:
        start.wait(30)
        answers.append(asyncio.run(ask()))

    threads = [threading.Thread(target=run) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert answers == ["made"] * 4
    assert len(computed) == 1
    assert place.warnings == []


_PROCESS = """
import asyncio, sys
from pathlib import Path
from cinegen_core.store.results import ResultCache
from tests.store.test_results import once

async def waits(seconds):
    print("waits", flush=True)
    await asyncio.sleep(seconds)

async def compute():
    print("computes", flush=True)
    sys.stdin.readline()
    return sys.argv[2]

cache = ResultCache(Path(sys.argv[1]), warn=lambda text: print("warned:", text, flush=True), sleep=waits)
print(asyncio.run(once(cache, compute)), flush=True)
"""


def test_two_processes_compute_once(place: _Place) -> None:
    def ask(name: str) -> subprocess.Popen[str]:
        return subprocess.Popen(
            [sys.executable, "-c", _PROCESS, str(place.folder), name],
            cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
        )  # fmt: skip

    with ask("first") as first:
        assert first.stdout is not None
        assert first.stdout.readline() == "computes\n"
        with ask("second") as second:
            assert second.stdout is not None
            assert second.stdout.readline() == "waits\n"
            said_by_first, _ = first.communicate("go on\n")
            said_by_second, _ = second.communicate()
    assert said_by_first == "first\n"
    assert said_by_second.splitlines()[-1] == "first"
    assert set(said_by_second.splitlines()[:-1]) <= {"waits"}


async def test_where_the_one_who_computes_fails_the_next_computes(place: _Place) -> None:
    another_waits = asyncio.Event()

    async def waits(seconds: float) -> None:
        another_waits.set()
        await asyncio.sleep(0)

    async def fails() -> str:
        await another_waits.wait()
        raise RuntimeError("no answer")

    cache = place.cache(sleep=waits)
    first = asyncio.ensure_future(once(cache, fails))
    await asyncio.sleep(0)
    assert await once(cache, answer("by another")) == "by another"
    with pytest.raises(RuntimeError, match="no answer"):
        await first


async def test_where_the_answer_was_not_worth_keeping_the_next_computes(place: _Place) -> None:
    cache = place.cache(sleep=never)
    for text in ("first", "second"):
        assert (
            await cache.once(KEY, answer(text), load=lambda: cache.get(KEY), seconds=60) == text
        )  # nothing is kept here
    assert cache.size()[0] == 0


async def test_whoever_is_cancelled_while_computing_holds_up_nobody(place: _Place) -> None:
    computes = asyncio.Event()

    async def for_ever() -> str:
        computes.set()
        await asyncio.Event().wait()
        return "never"

    cache = place.cache(sleep=never)
    first = asyncio.ensure_future(once(cache, for_ever))
    await computes.wait()
    first.cancel()
    with pytest.raises(asyncio.CancelledError):
        await first
    assert await once(cache, answer("by another")) == "by another"


async def test_whoever_waits_can_be_cancelled_and_the_other_goes_on(place: _Place) -> None:
    goes_on, waiting = asyncio.Event(), asyncio.Event()

    async def waits(seconds: float) -> None:
        waiting.set()
        await asyncio.Event().wait()

    async def compute() -> str:
        await goes_on.wait()
        return "made"

    cache = place.cache(sleep=waits)
    first = asyncio.ensure_future(once(cache, compute))
    await asyncio.sleep(0)
    second = asyncio.ensure_future(once(cache, answer("too many")))
    await waiting.wait()
    second.cancel()
    with pytest.raises(asyncio.CancelledError):
        await second
    goes_on.set()
    assert await first == "made"


async def test_the_claim_of_one_who_died_lapses(used: _Place) -> None:
    used.plant(key=f"claim:{KEY}", value="somebody", expire_time=1.0)
    assert await once(used.cache(sleep=never), answer("made")) == "made"
    assert used.sql("SELECT 1 FROM Cache WHERE key LIKE 'claim:%'") == []


async def test_nobody_waits_longer_than_asked_to_or_takes_away_the_claim_of_another(used: _Place) -> None:
    waited: list[float] = []

    async def waits(seconds: float) -> None:
        waited.append(seconds)

    used.plant(key=f"claim:{KEY}", value="somebody", expire_time=1e12)
    assert await once(used.cache(sleep=waits), answer("made"), seconds=1) == "made"
    assert sum(waited) == pytest.approx(1)
    assert used.sql("SELECT value FROM Cache WHERE key LIKE 'claim:%'") == [("somebody",)]


async def test_a_claim_that_passed_to_another_is_left_to_them(used: _Place) -> None:
    async def slow() -> str:
        used.sql("UPDATE Cache SET value = 'somebody' WHERE key LIKE 'claim:%'")
        return "made"

    assert await once(used.cache(), slow) == "made"
    assert used.sql("SELECT value FROM Cache WHERE key LIKE 'claim:%'") == [("somebody",)]


async def test_a_planted_claim_is_not_opened(used: _Place, tmp_path: Path) -> None:
    used.plant(key=f"claim:{KEY}", mode=4, value=pickle.dumps(_Bomb(tmp_path / "mark")))
    assert await once(used.cache(sleep=a_turn), answer("made")) == "made"
    assert not (tmp_path / "mark").exists()


async def test_claims_are_not_counted_or_cleared(place: _Place) -> None:
    cache = place.cache()

    async def looks() -> str:
        assert cache.size()[0] == 0
        assert cache.clear() == 0
        assert len(place.sql("SELECT 1 FROM Cache")) == 1
        return "made"

    assert await once(cache, looks) == "made"
    assert place.sql("SELECT key FROM Cache") == [(KEY,)]


async def test_whoever_finished_just_before_the_claim_is_not_repeated(place: _Place) -> None:
    cache = place.cache(sleep=never)
    looks = iter([None, "made meanwhile"])
    assert await cache.once(KEY, answer("again"), load=lambda: next(looks), seconds=60) == "made meanwhile"
