"""The studio writes while one does something else, and keeps what it wrote."""

from __future__ import annotations

from pathlib import Path

import pytest

from cinegen_core.settings import Settings, SettingsError
from cinegen_core.store import MemoryStore
from cinegen_core.story import EpisodeRequest
from cinegen_core.studio import StudioBusyError, from_tier
from tests.builders import a_bible, a_request
from tests.fakes import OUT_OF_FORM, FakeWriter, StuckWriter, a_studio


async def test_an_episode_comes_with_how_it_was_written() -> None:
    with a_studio() as studio:
        generation = await studio.generate(a_request())
    assert (generation.tier, generation.writer, generation.notices) == ("comprehensive", "fake", ())
    assert [run.engine for run in generation.engines] == ["Title"]


async def test_the_reader_is_told_when_it_was_not_written_as_asked() -> None:
    with a_studio(FakeWriter(fails=ValueError("no cards"))) as studio:
        generation = await studio.generate(a_request())
    assert generation.notices == (
        "This episode was written from the template, since it failed (no cards) when it was tried "
        "with the engines or in a single pass.",
    )
    assert (await a_studio().generate(a_request(), policy=from_tier("basic_fallback"))).notices == ()


async def test_an_episode_below_what_was_hoped_for_says_so() -> None:
    with a_studio(FakeWriter(changes=OUT_OF_FORM)) as studio:
        generation = await studio.generate(a_request(), policy=from_tier("enhanced_baseline"))
    assert generation.tier == "basic_fallback"
    assert generation.notices[0].startswith(
        "This episode was written from the template, since that attempt has 1 of at least 2 scenes"
    )


async def test_a_season_goes_on_from_the_canonical_choice() -> None:
    with a_studio() as studio:
        episodes = [g.episode async for g in studio.season(a_request(), episodes=3)]
    assert [episode.number for episode in episodes] == [1, 2, 3]


def test_a_job_runs_in_the_background_and_its_episode_is_kept() -> None:
    store = MemoryStore()
    with a_studio(store=store) as studio:
        season = studio.open_season(a_bible(), source="slack_water")
        first = studio.start(a_request(), season=season.id)
        view = studio.wait(first, 10)
        assert view is not None
        assert (view.state, view.number, view.season) == ("done", 1, season.id)
        assert [update.kind for update in view.updates][-1] == "attempt"
        record = store.record(season.id, first)
        assert record is not None
        assert record.asked == {"Title": ("wanted title: The Log",)}
        state = record.generation.episode.state
        second = studio.start(
            EpisodeRequest(bible=a_bible(), number=2, state=state, choice="b"), season=season.id, parent=first
        )
        studio.wait(second, 10)
    kept = store.records(season.id)
    assert [(r.number, r.parent, r.choice) for r in kept] == [(1, None, None), (2, first, "b")]


def test_a_job_can_be_stopped_and_nothing_of_it_is_kept() -> None:
    stuck, store = StuckWriter(), MemoryStore()
    with a_studio(stuck, store=store) as studio:
        season = studio.open_season(a_bible())
        job = studio.start(a_request(), season=season.id)
        assert stuck.reached.wait(10)
        running = studio.job(job)
        assert running is not None
        assert running.state == "running"
        studio.cancel(job)
        view = studio.wait(job, 10)
        assert view is not None
        assert view.state == "stopped"
    assert store.records(season.id) == ()


def test_closing_the_studio_stops_what_it_is_writing() -> None:
    stuck = StuckWriter()
    with a_studio(stuck) as studio:
        studio.start(a_request(), season=studio.open_season(a_bible()).id)
        assert stuck.reached.wait(10)
    assert stuck.cancelled


def test_a_job_that_fails_says_why() -> None:
    with a_studio() as studio:
        job = studio.start(a_request(), season="f" * 16)
        view = studio.wait(job, 10)
        assert view is not None
        assert (view.state, bool(view.error)) == ("failed", True)
        assert studio.job("e" * 16) is None


def test_too_many_jobs_at_once_are_refused() -> None:
    stuck = StuckWriter()
    with a_studio(stuck, jobs=1) as studio:
        season = studio.open_season(a_bible()).id
        studio.start(a_request(), season=season)
        with pytest.raises(StudioBusyError, match="1 episodes are being written"):
            studio.start(a_request(), season=season)


def test_settings_come_from_the_environment_and_arguments_go_before_it() -> None:
    environ = {"CINEGEN_DATA_DIR": "kept-here", "CINEGEN_PORT": "9000"}
    settings = Settings.load(environ, port=9001, data_dir=None)
    assert (settings.data_dir, settings.port) == (Path("kept-here"), 9001)
    with pytest.raises(SettingsError, match="CINEGEN_PORT is '99999999'"):
        Settings.load({"CINEGEN_PORT": "99999999"})
    with pytest.raises(SettingsError, match="--jobs is 0"):
        Settings.load({}, jobs=0)
