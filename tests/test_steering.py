"""Flags decide how an episode is written, and what becomes of the episodes decides over the flags."""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from cinegen_core.flags.control import Flags
from cinegen_core.flags.model import Context
from cinegen_core.monitor.events import GenerationEvent
from cinegen_core.monitoring import Monitoring
from cinegen_core.settings import Settings
from cinegen_core.steering import GENERATION_FLAGS, RecordedOutcomes, Steering, policy_of
from cinegen_core.store import MemoryStore
from cinegen_core.store.events import SqlEvents
from cinegen_core.store.results import NoResults
from cinegen_core.store.rollups import SqlRollups
from cinegen_core.store.sql import Database, SqlJournal, sqlite_url
from cinegen_core.story import Policy
from cinegen_core.studio import Studio
from cinegen_core.tiers.judging import as_guide, profiles
from cinegen_core.tiers.model import Generation
from cinegen_core.writers.template import TemplateWriter
from tests.builders import a_request
from tests.fakes import FakeWriter, StuckWriter, TitleEngine, by_form

DECLARED = Path(__file__).parents[1] / "flags.toml"
ALL_ON = dict.fromkeys(GENERATION_FLAGS, True)


class Time:
    def __init__(self) -> None:
        self.seconds = 0.0

    def monotonic(self) -> float:
        return self.seconds

    def now(self) -> datetime:
        return datetime(2026, 11, 1, tzinfo=UTC) + timedelta(seconds=self.seconds)


class Room:
    """Studios that share flags.toml and a database, on a clock that stands still unless told to go on."""

    def __init__(self, folder: Path) -> None:
        self.file = folder / "flags.toml"
        shutil.copy(DECLARED, self.file)
        self.url = sqlite_url(folder / "cinegen.db")
        self.time = Time()
        self.warnings: list[str] = []
        self._open: list[Any] = []

    def steering(self) -> Steering:
        database = Database(self.url)
        journal = SqlJournal(database)
        flags = Flags(
            self.file,
            journal,
            now=self.time.now,
            on_problem=self.warnings.append,
            monotonic=self.time.monotonic,
        )
        made = Steering(
            flags, RecordedOutcomes(SqlEvents(database)), journal.read,
            now=self.time.now, warn=self.warnings.append, close=database.close,
        )  # fmt: skip
        self._open.append(made)
        return made

    def monitoring(self) -> Monitoring:
        database = Database(self.url)
        self._open.append(database)
        events = SqlEvents(database)
        return Monitoring(
            events, SqlRollups(database, events), now=self.time.now, secret="s", studio=f"s{len(self._open)}"
        )

    def studio(self, writer: FakeWriter | None = None, **settings: Any) -> Studio:
        used = writer or FakeWriter()
        made = Studio(
            Settings.model_validate({"automatic_emergency": False, **settings}),
            clock=self.time, store=MemoryStore(), results=NoResults(), engines=(TitleEngine(),), judge=by_form,
            writers={"comprehensive": used, "enhanced_baseline": used, "basic_fallback": TemplateWriter()},
            steering=self.steering(), monitoring=self.monitoring(), warn=self.warnings.append,
        )  # fmt: skip
        self._open.append(made)
        return made

    def close(self) -> None:
        for one in reversed(self._open):
            one.close()


@pytest.fixture
def room(tmp_path: Path) -> Iterator[Room]:
    made = Room(tmp_path)
    yield made
    made.close()


@pytest.mark.parametrize(
    ("off", "changed"),
    [
        ("complete_context", {"complete_context": False}),
        ("high_temperature", {"high_temperature": False}),
        ("genre_engines", {"genre_engines": False}),
        ("enhanced_fallbacks", {"tiers": ("comprehensive", "basic_fallback")}),
        ("comprehensive_engines", {"tiers": ("enhanced_baseline", "basic_fallback")}),
        ("beta_features", {"repairs": 1}),
    ],
)
def test_each_flag_changes_how_an_episode_is_written(off: str, changed: dict[str, Any]) -> None:
    whole = policy_of(ALL_ON)
    assert policy_of({**ALL_ON, off: False}) == whole.model_copy(update=changed) != whole


def test_with_everything_off_only_the_template_is_left() -> None:
    assert policy_of({}).tiers == ("basic_fallback",)


async def test_an_episode_says_which_flags_were_in_force_and_why(room: Room) -> None:
    generation = await room.studio().generate(a_request(), who="bob")
    assert generation.tier == "comprehensive"
    assert generation.flags["comprehensive_engines"] is True
    assert generation.flags["beta_features"] is False
    assert generation.flag_reasons["genre_engines"] == "on: bucket 61 <= 90 (SPLIT)"


async def test_a_person_outside_the_rollout_gets_the_baseline_and_that_is_no_fallback(room: Room) -> None:
    studio = room.studio()
    assert studio.steering is not None
    studio.steering.flags.set("comprehensive_engines", percent=25, who="Ada", why="a canary")
    answers = [await studio.generate(a_request(), who=f"user {n}") for n in range(60)]
    tiers = {answer.flags["comprehensive_engines"]: answer.tier for answer in answers}
    assert tiers == {True: "comprehensive", False: "enhanced_baseline"}
    assert all(not answer.notices for answer in answers)
    assert not any(sample.error for sample in studio.steering.samples())
    again = [await studio.generate(a_request(), who=f"user {n}") for n in range(60)]
    assert [one.flags for one in again] == [one.flags for one in answers]


async def failing(studio: Studio, room: Room, count: int, every: float) -> list[Generation]:
    answers = []
    for _ in range(count):
        room.time.seconds += every
        answers.append(await studio.generate(a_request(), who="bob"))
    return answers


async def test_a_failure_that_chance_does_not_explain_rolls_back_for_everybody_and_leaves_a_record(
    room: Room,
) -> None:
    writer = FakeWriter()
    studio = room.studio(writer)
    assert studio.steering is not None
    await failing(studio, room, 60, 180)
    assert studio.steering.changes(0) == ()
    writer.fails = ValueError("nonsense")
    await failing(studio, room, 40, 30)
    rolled = [change for change in studio.steering.changes(0) if change.kind == "rollback"]
    assert "flag:comprehensive_engines" in {change.subject for change in rolled}
    assert {change.who for change in rolled} == {"trigger"}
    assert any("error_rate_spike" in change.why for change in rolled)
    writer.fails = None
    answer = await studio.generate(a_request(), who="bob")
    assert answer.tier == "enhanced_baseline"
    assert "rolled back" in answer.flag_reasons["comprehensive_engines"]

    room.file.write_text(room.file.read_text(encoding="utf-8") + "\n# saved again\n", encoding="utf-8")
    room.time.seconds += 60
    assert (await studio.generate(a_request(), who="bob")).tier == "enhanced_baseline"
    for key in ("comprehensive_engines", "genre_engines"):
        studio.steering.flags.rearm(key, who="Ada", why="the model is mended")
    assert (await studio.generate(a_request(), who="bob")).tier == "comprehensive"


async def test_what_foundations_are_made_of_is_not_rolled_back_by_an_outage(room: Room) -> None:
    studio = room.studio(FakeWriter(fails=ValueError("nonsense")))
    assert studio.steering is not None
    await failing(studio, room, 60, 30)
    rolled = {change.subject for change in studio.steering.changes(0) if change.kind == "rollback"}
    assert rolled <= {"flag:comprehensive_engines", "flag:genre_engines", "flag:beta_features"}


async def test_without_monitoring_outcomes_are_recorded_and_nothing_is_decided_from_them(room: Room) -> None:
    studio = room.studio(FakeWriter(fails=ValueError("nonsense")))
    assert studio.steering is not None
    studio.steering.flags.set("production_monitoring", enabled=False, who="Ada", why="a drill")
    await failing(studio, room, 60, 30)
    assert len(studio.steering.samples()) == 60
    assert [change.kind for change in studio.steering.changes(0)] == ["set"]


async def test_a_rollback_by_hand_holds_for_the_next_request_here_and_in_another_studio(room: Room) -> None:
    here, there = room.studio(), room.studio()
    assert here.steering is not None
    here.steering.flags.rollback("comprehensive_engines", who="Ada", why="it repeats itself")
    assert (await here.generate(a_request(), who="bob")).tier == "enhanced_baseline"
    room.time.seconds += 1
    assert (await there.generate(a_request(), who="bob")).tier == "enhanced_baseline"


@pytest.mark.parametrize("how", ["rollback", "emergency"])
async def test_what_is_being_written_falls_to_the_next_tier(room: Room, how: str) -> None:
    writer = StuckOnce()
    studio = room.studio(writer)
    assert studio.steering is not None
    task = asyncio.create_task(studio.generate(a_request(), who="bob"))
    await asyncio.to_thread(writer.reached.wait, 10)
    if how == "rollback":
        studio.steering.flags.rollback("comprehensive_engines", who="Ada", why="it repeats itself")
    else:
        studio.steering.flags.emergency(who="Ada", why="it repeats itself")
    generation = await asyncio.wait_for(task, 10)
    assert generation.tier == "enhanced_baseline"
    assert "it repeats itself" in generation.attempts[0].reason
    assert writer.cancelled


class StuckOnce(StuckWriter):
    async def _wait(self) -> None:
        if not self.reached.is_set():
            await super()._wait()


async def test_in_an_emergency_only_the_template_writes_and_the_reader_is_told_why(room: Room) -> None:
    studio = room.studio()
    studio.enter_emergency(by="Ada", reason="the model writes nonsense")
    generation = await studio.generate(a_request(), who="bob")
    assert generation.tier == "basic_fallback"
    assert "the model writes nonsense" in generation.notices[0]
    assert studio.steering is not None
    assert studio.steering.samples() == (), "answers of an emergency say nothing about the flags"
    studio.leave_emergency(by="Ada", reason="mended")
    assert (await studio.generate(a_request(), who="bob")).tier == "comprehensive"
    assert [change.who for change in studio.steering.changes(0)] == ["Ada", "Ada"]


async def test_who_picks_the_way_of_writing_is_no_evidence_about_a_flag(room: Room) -> None:
    studio = room.studio()
    picked = studio.policy("bob", tier="enhanced_baseline")
    assert (await studio.generate(a_request(), who="bob", policy=picked)).flags == {}
    assert studio.steering is not None
    assert studio.steering.samples() == ()
    with_writer = studio.policy("bob", writer="embedded")
    assert with_writer.writer == "embedded"


async def test_picking_brings_nothing_back_that_is_switched_off(room: Room) -> None:
    studio = room.studio()
    assert studio.steering is not None
    studio.steering.flags.rollback("comprehensive_engines", who="Ada", why="no")
    assert studio.policy("bob", tier="comprehensive").tiers == ("enhanced_baseline", "basic_fallback")


async def test_a_studio_that_starts_again_goes_on_where_it_stopped(room: Room) -> None:
    writer = FakeWriter(fails=ValueError("nonsense"))
    first = room.studio(writer)
    await failing(first, room, 2, 30)
    assert first.steering is not None
    before = first.steering.verdicts("comprehensive_engines")["error_rate_spike"].evidence
    again = room.steering()
    after = again.verdicts("comprehensive_engines")["error_rate_spike"].evidence
    assert after == pytest.approx(before)
    assert before > 0


def test_beta_testers_are_in_once_it_is_enabled(room: Room) -> None:
    steering = room.steering()
    steering.flags.set("beta_features", enabled=True, percent=0, who="Ada", why="to try")
    assert steering.decide(Context("bob", beta=True)).policy.repairs == 2
    assert steering.decide(Context("bob")).policy.repairs == 1


def test_quality_is_put_on_the_guides_scale_whoever_wrote() -> None:
    embedded = profiles()["embedded"]
    assert [as_guide(x, "embedded") for x in (0, embedded.least, embedded.good, embedded.fine, 10)] == [
        0, 7.0, 7.5, 8.0, 10,
    ]  # fmt: skip
    assert [as_guide(x, "model") for x in (0.0, 3.2, 7.0, 7.7, 9.1)] == pytest.approx(
        [0.0, 3.2, 7.0, 7.7, 9.1]
    )
    assert as_guide(4.0, "unheard of") == pytest.approx(4.0)


def test_the_page_says_that_it_is_an_emergency(room: Room, monkeypatch: pytest.MonkeyPatch) -> None:
    from streamlit.testing.v1 import AppTest

    from pages import shared

    studio = room.studio()
    studio.enter_emergency(by="Ada", reason="the model writes nonsense")
    monkeypatch.setattr(shared, "make_studio", lambda: studio)
    shared.the_studio.clear()
    page = AppTest.from_file(str(DECLARED.parent / "studio_app.py"), default_timeout=20).run()
    shared.the_studio.clear()
    assert not page.exception
    assert any("the model writes nonsense" in warning.value for warning in page.warning)


def test_without_flags_all_of_it_is_on() -> None:
    with Studio(Settings(cache_megabytes=0), store=MemoryStore(), results=NoResults()) as studio:
        assert studio.policy() == Policy()


async def test_an_emergency_leaves_the_watching_on(room: Room) -> None:
    studio = room.studio()
    assert studio.monitored()
    studio.enter_emergency(by="Ada", reason="nonsense")
    assert studio.monitored()
    studio.leave_emergency(by="Ada")
    assert studio.steering is not None
    studio.steering.flags.set("production_monitoring", enabled=False, who="Ada", why="a quiet night")
    assert not studio.monitored()


def test_old_outcomes_that_were_brought_in_later_are_not_taken_for_those_of_now_at_a_start(
    room: Room,
) -> None:
    now = room.time.now()
    flags = {"comprehensive_engines": True}

    def answer(number: int, at: datetime, quality: float) -> GenerationEvent:
        return GenerationEvent(
            id=f"g{number}", at=at, tier="comprehensive", first="comprehensive", writer="m", profile="model",
            seconds=20.0, score=quality, quality=quality, flags=flags,
        )  # fmt: skip

    with Database(room.url) as database:
        events = SqlEvents(database)
        events.add(*(answer(n, now - timedelta(minutes=25 - n), 8.5) for n in range(25)))
        events.add(*(answer(100 + n, now - timedelta(days=5, minutes=n), 2.0) for n in range(200)))
    verdict = room.steering().verdicts("comprehensive_engines")["quality_degradation"]
    assert verdict.samples <= 30
    assert verdict.value == pytest.approx(8.5)
