"""Seasons and episodes are still there tomorrow, and whole."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from cinegen_core.store import EpisodeStore, FolderStore, MemoryStore, Record, Season, StoreError
from cinegen_core.tiers.model import Attempt, Generation
from tests.builders import a_bible, an_episode

START = datetime(2026, 1, 5, 10, 0, tzinfo=UTC)
SEASON = Season(id="0" * 16, title="Slack Water", started=START)


def a_record(id: str, number: int = 1, parent: str | None = None) -> Record:
    episode = an_episode(number=number)
    attempt = Attempt(tier="comprehensive", writer="fake", outcome="accepted", episode=episode)
    generation = Generation(
        id=id * 16, episode=episode, tier="comprehensive", writer="fake", attempts=(attempt,)
    )
    return Record(
        id=id * 16, season=SEASON.id, parent=parent, seed=1, minutes=5, generation=generation,
        saved=START + timedelta(minutes=int(id, 16)),
    )  # fmt: skip


@pytest.fixture(params=["folder", "memory"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> EpisodeStore:
    return FolderStore(tmp_path / "data") if request.param == "folder" else MemoryStore()


def test_a_season_comes_back_with_its_bible_and_its_episodes_in_order(store: EpisodeStore) -> None:
    store.add_season(SEASON, a_bible())
    second, first, branch = a_record("b", 2, "a" * 16), a_record("a"), a_record("c", 2, "a" * 16)
    for record in (second, first, branch):
        store.save(record)
    assert store.season(SEASON.id) == SEASON
    assert store.bible(SEASON.id) == a_bible()
    assert store.records(SEASON.id) == (first, second, branch)
    assert store.record(SEASON.id, second.id) == second


def test_the_newest_season_comes_first(store: EpisodeStore) -> None:
    later = Season(id="1" * 16, title="Dead Air", started=START + timedelta(days=1))
    for season in (SEASON, later):
        store.add_season(season, a_bible())
    assert store.seasons() == (later, SEASON)


@pytest.mark.parametrize("id", ["f" * 16, "../../etc/passwd", "", "A" * 16, "0" * 17])
def test_what_is_not_there_is_none(store: EpisodeStore, id: str) -> None:
    assert store.season(id) is None
    assert store.bible(id) is None
    assert store.record(id, id) is None
    assert store.records(id) == ()


def test_a_new_store_is_empty(store: EpisodeStore) -> None:
    assert store.seasons() == ()


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
    names = sorted(path.name for path in (tmp_path / "seasons" / SEASON.id).iterdir())
    assert names == ["bible.json", f"episode-{'a' * 16}.json", "season.json"]
