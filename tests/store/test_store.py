"""Seasons and episodes are still there tomorrow, and whole, wherever they are kept."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from sqlalchemy import event, text

from cinegen_core.store import (
    EpisodeStore,
    FolderStore,
    LeftOutError,
    MemoryStore,
    Record,
    Season,
    SqlStore,
    StoreError,
    Summary,
    bring_in,
)
from cinegen_core.store.sql import Database, sqlite_url
from cinegen_core.tiers.model import Attempt, Generation
from tests.builders import a_bible, an_episode
from tests.postgres import PostgresServer

START = datetime(2026, 1, 5, 10, 0, tzinfo=UTC)
SEASON = Season(id="0" * 16, title="Slack Water", started=START)
LATER = Season(id="1" * 16, title="Dead Air", source="dead_air", started=START + timedelta(days=1))
STRANGE_IDS = ["f" * 16, "../../etc/passwd", "", "A" * 16, "0" * 17, "0" * 15 + "\n", "\0" * 16, "\ud800"]


def a_record(id: str, number: int = 1, parent: str | None = None, season: str = SEASON.id) -> Record:
    episode = an_episode(number=number)
    attempt = Attempt(tier="comprehensive", writer="fake", outcome="accepted", episode=episode)
    generation = Generation(
        id=id * 16, episode=episode, tier="comprehensive", writer="fake", attempts=(attempt,)
    )
    return Record(
        id=id * 16, season=season, parent=parent, seed=1, minutes=5, generation=generation,
        saved=START + timedelta(minutes=int(id, 16)),
    )  # fmt: skip


@contextmanager
def a_store(kind: str, folder: Path, request: pytest.FixtureRequest) -> Iterator[EpisodeStore]:
    if kind == "memory":
        yield MemoryStore()
    elif kind == "folder":
        yield FolderStore(folder / "data")
    elif kind == "sqlite":
        with Database(sqlite_url(folder / "data" / "cinegen.db")) as database:
            yield SqlStore(database)
    else:
        server: PostgresServer = request.getfixturevalue("postgres")
        with server.database() as url, Database(url) as database:
            yield SqlStore(database)


@pytest.fixture
def lasting(database_url: str) -> Iterator[SqlStore]:
    with Database(database_url) as database:
        yield SqlStore(database)


class TestEveryStore:
    """What the studio relies on, whichever store it has."""

    @pytest.fixture(params=["memory", "folder", "sqlite", "postgresql"])
    def store(self, request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[EpisodeStore]:
        with a_store(request.param, tmp_path, request) as store:
            yield store

    def test_a_season_comes_back_with_its_bible_and_its_episodes_in_order(self, store: EpisodeStore) -> None:
        store.add_season(SEASON, a_bible())
        second, first, branch = a_record("b", 2, "a" * 16), a_record("a"), a_record("c", 2, "a" * 16)
        for record in (second, first, branch):
            store.save(record)
        assert store.season(SEASON.id) == SEASON
        assert store.bible(SEASON.id) == a_bible()
        assert store.records(SEASON.id) == (first, second, branch)
        assert store.record(SEASON.id, second.id) == second
        assert store.record_ids(SEASON.id) == {first.id, second.id, branch.id}
        assert store.season_of(second.id) == SEASON.id

    def test_the_newest_season_comes_first(self, store: EpisodeStore) -> None:
        for season in (SEASON, LATER):
            store.add_season(season, a_bible())
        assert store.seasons() == (LATER, SEASON)

    @pytest.mark.parametrize("id", STRANGE_IDS)
    def test_what_is_not_there_is_none(self, store: EpisodeStore, id: str) -> None:
        store.add_season(SEASON, a_bible())
        assert store.season(id) is None
        assert store.bible(id) is None
        assert store.record(id, id) is None
        assert store.record(SEASON.id, id) is None
        assert store.records(id) == ()
        assert store.summaries(id) == ()
        assert store.record_ids(id) == frozenset()
        assert store.season_of(id) is None

    def test_a_new_store_is_empty_and_stays_so_when_it_is_asked_whether_it_could_keep_something(
        self, store: EpisodeStore
    ) -> None:
        store.check()
        store.check()
        assert store.seasons() == ()

    def test_a_list_of_episodes_has_what_lists_show_in_their_order(self, store: EpisodeStore) -> None:
        store.add_season(SEASON, a_bible())
        second = a_record("a", 2).model_copy(
            update={"parent": "b" * 16, "choice": "c", "direction": "More rain.", "who": "Ada", "seed": 7}
        )
        revised = a_record("c").model_copy(update={"revises": "b" * 16, "revision": "scene 2 anew"})
        for record in (second, a_record("b"), revised):
            store.save(record)
        found = store.summaries(SEASON.id)
        assert [one.id for one in found] == [record.id for record in store.records(SEASON.id)]
        for one in found:
            kept = store.record(SEASON.id, one.id)
            assert kept is not None
            common = set(Summary.model_fields) & set(Record.model_fields)
            assert one.model_dump(include=common) == kept.model_dump(include=common)
            answer = kept.generation
            shown = (one.number, one.title, one.tier, one.writer)
            assert shown == (kept.number, answer.episode.title, answer.tier, answer.writer)

    def test_an_episode_is_its_seasons_only(self, store: EpisodeStore) -> None:
        for season in (SEASON, LATER):
            store.add_season(season, a_bible())
        store.save(a_record("a"))
        assert store.record(LATER.id, "a" * 16) is None
        assert store.records(LATER.id) == ()

    def test_the_later_version_of_an_episode_counts(self, store: EpisodeStore) -> None:
        store.add_season(SEASON, a_bible())
        store.save(a_record("a"))
        changed = a_record("a").model_copy(update={"direction": "More rain."})
        store.save(changed)
        store.save(changed)
        assert store.records(SEASON.id) == (changed,)

    def test_a_season_that_is_added_again_keeps_its_episodes(self, store: EpisodeStore) -> None:
        store.add_season(SEASON, a_bible())
        store.save(a_record("a"))
        renamed = SEASON.model_copy(update={"title": "High Water"})
        store.add_season(renamed, a_bible(title="High Water"))
        assert store.seasons() == (renamed,)
        assert store.bible(SEASON.id) == a_bible(title="High Water")
        assert store.records(SEASON.id) == (a_record("a"),)

    def test_an_episode_of_a_season_that_is_not_there_is_refused(self, store: EpisodeStore) -> None:
        with pytest.raises(StoreError, match=f"its season {SEASON.id} is not there.*Open a season"):
            store.save(a_record("a"))
        assert store.records(SEASON.id) == ()
        assert store.seasons() == ()

    def test_many_may_write_at_once(self, store: EpisodeStore) -> None:
        store.add_season(SEASON, a_bible())
        started = threading.Barrier(8)

        def write(id: str) -> None:
            started.wait()
            store.save(a_record(id))

        threads = [threading.Thread(target=write, args=(id,)) for id in "12345678"]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert store.records(SEASON.id) == tuple(a_record(id) for id in "12345678")

    def test_any_text_comes_back_as_it_was(self, store: EpisodeStore) -> None:
        odd = "Öl’ 灯台 🗼 'x'; DROP TABLE seasons --\n\t\\ %s :id {}"
        season = SEASON.model_copy(update={"title": odd, "source": odd})
        store.add_season(season, a_bible(premise=odd))
        record = a_record("a").model_copy(update={"direction": odd + "\0", "who": odd})
        store.save(record)
        assert store.season(SEASON.id) == season
        assert store.bible(SEASON.id) == a_bible(premise=odd)
        assert store.record(SEASON.id, record.id) == record


# In a database.


def test_what_was_kept_in_a_database_is_there_tomorrow(database_url: str) -> None:
    with Database(database_url) as database:
        SqlStore(database).add_season(SEASON, a_bible())
        SqlStore(database).save(a_record("a"))
    with Database(database_url) as database:
        assert SqlStore(database).seasons() == (SEASON,)
        assert SqlStore(database).records(SEASON.id) == (a_record("a"),)


def test_a_list_of_seasons_reads_no_bibles_and_one_of_ids_no_episodes(database_url: str) -> None:
    asked: list[str] = []
    with Database(database_url) as database:
        store = SqlStore(database)
        store.add_season(SEASON, a_bible())
        store.save(a_record("a"))
        event.listen(
            database.engine, "before_cursor_execute", lambda c, u, statement, *rest: asked.append(statement)
        )
        assert len(store.seasons()) == 1
        assert len(store.record_ids(SEASON.id)) == 1
    said = " ".join(asked)
    assert "seasons.title" in said
    assert "seasons.bible" not in said
    assert "episodes.data" not in said


def test_an_episode_is_not_kept_in_two_seasons_of_a_database(lasting: SqlStore) -> None:
    for season in (SEASON, LATER):
        lasting.add_season(season, a_bible())
    lasting.save(a_record("a"))
    with pytest.raises(StoreError, match=f"in the season {SEASON.id} already.*id of its own"):
        lasting.save(a_record("a", season=LATER.id))
    assert lasting.records(SEASON.id) == (a_record("a"),)


@pytest.mark.parametrize("damage", ["'{'", "'{}'", "''"])
def test_a_damaged_row_is_named_with_the_way_out(database_url: str, damage: str) -> None:
    with Database(database_url) as database:
        store = SqlStore(database)
        store.add_season(SEASON, a_bible())
        store.save(a_record("a"))
        with database.writing() as connection:
            connection.execute(text(f"UPDATE episodes SET data = {damage}"))  # noqa: S608 (from above)
            connection.execute(text(f"UPDATE seasons SET bible = {damage}"))  # noqa: S608
        episode = rf"is damaged: {'a' * 16} in its table episodes .*from a backup, or delete that row"
        with pytest.raises(StoreError, match=episode):
            store.record(SEASON.id, "a" * 16)
        for listed in (store.records, store.summaries):
            with pytest.raises(StoreError, match=episode):
                listed(SEASON.id)
        with pytest.raises(StoreError, match=rf"{SEASON.id} in its table seasons .*from a backup"):
            store.bible(SEASON.id)
        assert store.seasons() == (SEASON,)


def test_a_season_of_no_time_is_damaged(tmp_path: Path) -> None:
    with Database(sqlite_url(tmp_path / "cinegen.db")) as database:
        store = SqlStore(database)
        store.add_season(SEASON, a_bible())
        with database.writing() as connection:
            connection.execute(text("UPDATE seasons SET started = 'last Tuesday'"))
        with pytest.raises(StoreError, match=r"its table seasons cannot be read .*from a backup"):
            store.seasons()
        with pytest.raises(StoreError, match="or delete that row"):
            store.season(SEASON.id)


@pytest.mark.parametrize("table", ["seasons", "episodes"])
def test_a_table_that_is_gone_is_the_stores_error(database_url: str, table: str) -> None:
    with Database(database_url) as database:
        store = SqlStore(database)
        store.add_season(SEASON, a_bible())
        with database.writing() as connection:
            connection.execute(text(f"DROP TABLE {table}"))
        with pytest.raises(StoreError, match="cannot be written"):
            store.save(a_record("a"))
        with pytest.raises(StoreError, match="cannot be read"):
            (store.seasons if table == "seasons" else lambda: store.records(SEASON.id))()


# Whether anything could be kept.


@pytest.mark.parametrize("kind", ["folder", "sqlite"])
def test_a_disk_that_is_almost_full_keeps_nothing(tmp_path: Path, kind: str) -> None:
    left = 16 * 2**20
    asked: list[Path] = []

    def free(path: Path) -> int:
        asked.append(path)
        return left

    with Database(sqlite_url(tmp_path / "cinegen.db")) as database:
        store = FolderStore(tmp_path, free=free) if kind == "folder" else SqlStore(database, free=free)
        store.check()
        left -= 1
        with pytest.raises(StoreError, match=r"is full: 16\.0 MiB are free, 16 are needed\. Free some space"):
            store.check()
    assert all(path.is_relative_to(tmp_path) for path in asked)
    assert len(asked) == 2


def test_the_disk_of_a_server_is_not_this_machines(postgres: PostgresServer) -> None:
    def never(path: Path) -> int:
        raise AssertionError(f"{path} is not where it is kept.")

    with postgres.database() as url, Database(url) as database:
        SqlStore(database, free=never).check()


def test_a_disk_that_cannot_be_asked_is_named(tmp_path: Path) -> None:
    def gone(path: Path) -> int:
        raise OSError(5, "Input/output error")

    with pytest.raises(StoreError, match=r"cannot be reached \(Input/output error\)\. See that its disk"):
        FolderStore(tmp_path, free=gone).check()


def test_a_database_in_which_nothing_can_be_kept_says_so(lasting: SqlStore, database_url: str) -> None:
    with Database(database_url) as database, database.writing() as connection:
        connection.execute(text("DROP TABLE seasons"))
    with pytest.raises(StoreError, match="cannot be written"):
        lasting.check()


def test_a_full_file_of_sqlite_says_so(tmp_path: Path) -> None:
    with Database(sqlite_url(tmp_path / "cinegen.db")) as database:
        store = SqlStore(database)
        store.add_season(SEASON, a_bible())
        event.listen(
            database.engine, "connect", lambda opened, _: opened.execute("PRAGMA max_page_count = 1").close()
        )
        database.close()  # what is opened from now on may not grow

        def write_on() -> None:
            for number in range(1, 16):
                store.save(a_record(f"{number:x}"))

        with pytest.raises(StoreError, match=r"full.*that there is space"):
            write_on()
        assert store.bible(SEASON.id) == a_bible()


@pytest.mark.parametrize("where", ["root", "seasons"])
def test_a_folder_in_which_nothing_can_be_kept_says_so(tmp_path: Path, where: str) -> None:
    root = tmp_path / "data"
    if where == "root":
        root.touch()
    else:
        root.mkdir()
        (root / "seasons").touch()
    with pytest.raises(StoreError, match=r"seasons cannot be written .*CINEGEN_DATA_DIR"):
        FolderStore(root).check()


def test_asking_a_folder_leaves_no_file(tmp_path: Path) -> None:
    FolderStore(tmp_path).check()
    assert [path.name for path in tmp_path.rglob("*")] == ["seasons"]


# In folders.


def test_a_damaged_file_is_named(tmp_path: Path) -> None:
    store = FolderStore(tmp_path)
    store.add_season(SEASON, a_bible())
    (tmp_path / "seasons" / SEASON.id / "season.json").write_text("{", encoding="utf-8")
    with pytest.raises(StoreError, match=r"season\.json is damaged"):
        store.season(SEASON.id)


def test_a_folder_that_cannot_be_written_to_is_named_with_the_way_out(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("", encoding="utf-8")
    with pytest.raises(StoreError, match="CINEGEN_DATA_DIR"):
        FolderStore(tmp_path / "file").add_season(SEASON, a_bible())


def test_nothing_half_written_is_left_behind(tmp_path: Path) -> None:
    store = FolderStore(tmp_path)
    store.add_season(SEASON, a_bible())
    store.save(a_record("a"))
    in_its_place = tmp_path / "seasons" / SEASON.id / f"episode-{'b' * 16}.json"
    in_its_place.mkdir()
    with pytest.raises(StoreError, match="cannot be written"):
        store.save(a_record("b"))
    names = sorted(path.name for path in (tmp_path / "seasons" / SEASON.id).iterdir())
    assert names == ["bible.json", f"episode-{'a' * 16}.json", in_its_place.name, "season.json"]


def test_a_season_copied_by_hand_is_not_taken_for_another(tmp_path: Path) -> None:
    store = FolderStore(tmp_path)
    store.add_season(SEASON, a_bible())
    (tmp_path / "seasons" / SEASON.id).rename(tmp_path / "seasons" / LATER.id)
    with pytest.raises(StoreError, match=r"season\.json holds the season 0{16}.*its name again"):
        store.seasons()


# From folders into a database.


@pytest.fixture
def old(tmp_path: Path) -> FolderStore:
    """As a studio left them that kept seasons in folders."""
    store = FolderStore(tmp_path / "data")
    store.add_season(SEASON, a_bible())
    store.add_season(LATER, a_bible(title="Dead Air"))
    for record in (a_record("a"), a_record("b", 2, "a" * 16), a_record("c", season=LATER.id)):
        store.save(record)
    return store


def test_after_the_upgrade_people_find_their_seasons_again(old: FolderStore, lasting: SqlStore) -> None:
    assert bring_in(old, lasting) == 5
    assert lasting.seasons() == old.seasons() == (LATER, SEASON)
    for season in (SEASON, LATER):
        assert lasting.bible(season.id) == old.bible(season.id)
        assert lasting.records(season.id) == old.records(season.id)
    assert bring_in(old, lasting) == 0


def test_what_was_written_since_is_not_written_over(old: FolderStore, lasting: SqlStore) -> None:
    renamed = SEASON.model_copy(update={"title": "High Water"})
    changed = a_record("a").model_copy(update={"direction": "More rain."})
    lasting.add_season(renamed, a_bible(title="High Water"))
    lasting.save(changed)
    assert bring_in(old, lasting) == 3
    assert lasting.season(SEASON.id) == renamed
    assert lasting.records(SEASON.id) == (changed, a_record("b", 2, "a" * 16))


def test_bringing_in_goes_on_where_it_was_interrupted(old: FolderStore, lasting: SqlStore) -> None:
    lasting.add_season(SEASON, a_bible())
    lasting.save(a_record("b", 2, "a" * 16))
    assert bring_in(old, lasting) == 3
    assert lasting.records(SEASON.id) == old.records(SEASON.id)


def test_what_is_damaged_does_not_keep_the_rest_out_and_is_named(
    old: FolderStore, lasting: SqlStore, tmp_path: Path
) -> None:
    seasons = tmp_path / "data" / "seasons"
    (seasons / LATER.id / "bible.json").unlink()
    (seasons / SEASON.id / f"episode-{'a' * 16}.json").write_text("{", encoding="utf-8")
    with pytest.raises(LeftOutError) as told:
        bring_in(old, lasting)
    assert "all the rest is there" in str(told.value)
    assert f"{LATER.id}/bible.json is missing" in str(told.value)
    assert f"episode-{'a' * 16}.json is damaged" in str(told.value)
    assert lasting.seasons() == (SEASON,)
    assert lasting.record_ids(SEASON.id) == {"b" * 16}


def test_who_never_had_folders_brings_in_nothing(tmp_path: Path) -> None:
    assert bring_in(FolderStore(tmp_path / "nothing"), MemoryStore()) == 0
    assert not (tmp_path / "nothing").exists()
