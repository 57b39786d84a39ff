"""All ways are written at once, none holds up another, and what is finished is kept."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from cinegen_core.comparing import ComparisonJob, WayUpdate, compare
from cinegen_core.comparing.running import STOPPED
from cinegen_core.settings import Settings
from cinegen_core.store import MemoryStore, StoreError
from cinegen_core.store.comparisons import (
    COMPARISONS,
    Answered,
    Comparison,
    MemoryComparisons,
    SqlComparisons,
    Way,
)
from cinegen_core.store.results import NoResults
from cinegen_core.store.sql import Database, sqlite_url
from cinegen_core.story import Draft, EpisodeRequest, Policy
from cinegen_core.studio import Studio
from cinegen_core.writers.base import Desk
from tests.builders import a_request
from tests.comparing.comparisons import (
    ENGINES,
    SINGLE,
    START,
    TEMPLATE,
    WITH,
    a_comparison,
    a_finished_comparison,
    studio_with,
)
from tests.fakes import FakeWriter, StuckWriter

DECIDED = Policy()


async def test_every_way_has_its_own_answer_to_the_one_request() -> None:
    kept, told = MemoryComparisons(), list[WayUpdate]()
    ways = (WITH, SINGLE, TEMPLATE, Way(label="another seed", tier="basic_fallback", seed=99))
    with studio_with() as studio:
        done = await compare(
            studio,
            a_comparison(ways=ways),
            decided=DECIDED,
            engines=ENGINES,
            kept=kept,
            on_update=told.append,
        )
    found = [one.tier if one else None for one in done.generations]
    assert found == ["comprehensive", "enhanced_baseline", "basic_fallback", "basic_fallback"]
    assert kept.comparison(done.id) == done
    of_first = [one.update.kind for one in told if one.way == 0 and one.update is not None]
    assert (of_first[0], of_first[-1]) == ("tier", "attempt")
    assert [one.state for one in told if one.way == 2 and one.update is None] == ["writing", "done"]
    assert len({one.id for one in done.generations if one}) == 4


async def test_a_way_that_fails_says_why_and_nothing_catches_it() -> None:
    broken = FakeWriter(fails=ValueError("no cards"))
    with studio_with(comprehensive=broken) as studio:
        done = await compare(
            studio, a_comparison(), decided=DECIDED, engines=ENGINES, kept=MemoryComparisons()
        )
    assert done.generations[0] is None
    assert done.answers[0].why == "No episode was written (comprehensive: ValueError: no cards)."
    assert done.generations[1] is not None


async def test_an_engine_that_is_not_there_is_the_matter_of_its_way_alone() -> None:
    odd = Way(label="odd", tier="comprehensive", without=("Weather",))
    with studio_with() as studio:
        done = await compare(
            studio, a_comparison(ways=(odd, WITH)), decided=DECIDED, engines=ENGINES, kept=MemoryComparisons()
        )
    assert done.answers[0].why == "There is no engine called 'Weather'; there are Title."
    assert done.answers[1].generation is not None


async def test_a_writer_who_is_not_there_is_named() -> None:
    ways = (Way(label="far", tier="basic_fallback", writer="far"), TEMPLATE)
    with Studio(Settings(), store=MemoryStore(), results=NoResults()) as studio:
        done = await compare(
            studio, a_comparison(ways=ways), decided=DECIDED, engines=ENGINES, kept=MemoryComparisons()
        )
    assert done.answers[0].why == "There is no writer 'far' in this studio. Set it up, or pick another."
    assert done.answers[1].generation is not None


async def test_in_an_emergency_the_template_does_not_pass_for_another_way() -> None:
    with studio_with() as studio:
        studio.enter_emergency(by="Ada", reason="a drill")
        done = await compare(
            studio,
            a_comparison(ways=(WITH, TEMPLATE)),
            decided=DECIDED,
            engines=ENGINES,
            kept=MemoryComparisons(),
        )
        studio.leave_emergency(by="Ada")
    assert "emergency mode (a drill)" in done.answers[0].why
    assert done.answers[1].generation is not None


class Counting(FakeWriter):
    """Knows how many drafts were being written at the same time at most."""

    def __init__(self) -> None:
        super().__init__()
        self.now = self.most = 0

    async def draft(self, request: EpisodeRequest, policy: Policy, desk: Desk) -> Draft:
        self.now += 1
        self.most = max(self.most, self.now)
        for _ in range(20):
            await asyncio.sleep(0)
        self.now -= 1
        return await super().draft(request, policy, desk)


@pytest.mark.parametrize("at_once", [1, 2, 5])
async def test_no_more_ways_are_written_at_once_than_are_allowed(at_once: int) -> None:
    writer = Counting()
    ways = tuple(Way(label=f"seed {seed}", tier="enhanced_baseline", seed=seed) for seed in range(5))
    with studio_with(enhanced_baseline=writer) as studio:
        done = await compare(
            studio,
            a_comparison(ways=ways),
            decided=DECIDED,
            engines=ENGINES,
            kept=MemoryComparisons(),
            at_once=at_once,
        )
    assert writer.most == at_once
    assert all(done.generations)


async def test_what_was_answered_before_is_not_written_again() -> None:
    before = a_finished_comparison().with_answer(1, Answered())
    writer = FakeWriter()
    with studio_with(comprehensive=writer) as studio:
        done = await compare(studio, before, decided=DECIDED, engines=ENGINES, kept=MemoryComparisons())
    assert done.answers[0] == before.answers[0]
    assert done.generations[1] is not None
    assert writer.asked == []


def _job(stuck: StuckWriter, kept: MemoryComparisons, ways: tuple[Way, ...]) -> ComparisonJob:
    studio = studio_with(comprehensive=stuck)
    return ComparisonJob(
        studio, a_comparison(ways=ways), decided=DECIDED, engines=ENGINES, kept=kept, at_once=2
    )


def test_in_the_background_it_can_be_watched_and_stopped_and_what_is_finished_stays() -> None:
    stuck, kept = StuckWriter(), Told()
    job = _job(stuck, kept, (WITH, TEMPLATE, Way(label="more", tier="comprehensive", seed=5)))
    job.start()
    assert stuck.reached.wait(10)
    assert kept.template_is_there.wait(10)
    view = job.view()
    assert (view.state, view.states[0], view.states[1]) == ("running", "writing", "done")
    assert view.comparison.generations[1] is not None
    assert [update.kind for update in view.updates[0]][:2] == ["tier", "phase"]
    job.cancel()
    job.join(10)
    ended = job.view()
    assert (ended.state, ended.states) == ("stopped", ("stopped", "done", "stopped"))
    assert stuck.cancelled
    found = kept.comparison(job.id)
    assert found == ended.comparison
    assert [answer.why for answer in found.answers] == [STOPPED, "", STOPPED]
    assert found.generations[1] is not None


class Told(MemoryComparisons):
    """Says when the second way has been kept."""

    def __init__(self) -> None:
        super().__init__()
        self.template_is_there = threading.Event()

    def save(self, comparison: Comparison) -> None:
        super().save(comparison)
        if comparison.generations[1] is not None:
            self.template_is_there.set()


def test_in_the_background_it_comes_to_its_end() -> None:
    kept = MemoryComparisons()
    with studio_with() as studio:
        job = ComparisonJob(studio, a_comparison(), decided=DECIDED, engines=ENGINES, kept=kept)
        assert job.view().states == ("waiting", "waiting")
        job.start()
        job.join(20)
    view = job.view()
    assert (view.state, view.states, job.running) == ("done", ("done", "done"), False)
    assert view.comparison == kept.comparison(job.id)


class FullDisk(MemoryComparisons):
    """Cannot keep anything for the first so many times; in the beginning it can."""

    def __init__(self, failures: int) -> None:
        super().__init__()
        self.calls, self.failures = 0, failures

    def save(self, comparison: Comparison) -> None:
        self.calls += 1
        if 1 < self.calls <= 1 + self.failures:
            raise StoreError("The disk is full. Free some space.")
        super().save(comparison)


async def test_a_disk_that_was_full_for_a_moment_loses_nothing() -> None:
    kept = FullDisk(failures=2)
    with studio_with() as studio:
        done = await compare(studio, a_comparison(), decided=DECIDED, engines=ENGINES, kept=kept)
    assert kept.comparison(done.id) == done
    assert all(done.generations)


def test_a_disk_that_stays_full_is_said() -> None:
    with studio_with() as studio:
        job = ComparisonJob(studio, a_comparison(), decided=DECIDED, engines=ENGINES, kept=FullDisk(99))
        job.start()
        job.join(20)
    view = job.view()
    assert (view.state, view.error) == ("failed", "The disk is full. Free some space.")
    assert all(view.comparison.generations)


@pytest.fixture
def database(tmp_path: Path) -> Iterator[Database]:
    with Database(sqlite_url(tmp_path / "cinegen.db")) as opened:
        with opened.writing() as connection:
            COMPARISONS.create(connection, checkfirst=True)
        yield opened


def test_a_kept_comparison_comes_back_as_it_was_also_to_another_studio(database: Database) -> None:
    kept, other = SqlComparisons(database), SqlComparisons(Database(database.engine.url.render_as_string()))
    first = a_comparison()
    kept.save(first)
    assert other.comparison(first.id) == first
    done = a_finished_comparison()
    kept.save(done)
    assert other.comparison(first.id) == done
    assert other.comparison("d" * 16) is None
    other._database.close()


def test_the_newest_comparisons_come_first(database: Database) -> None:
    for store in (SqlComparisons(database), MemoryComparisons()):
        for day in (3, 1, 2):
            at = START.replace(day=day)
            store.save(Comparison.of(a_request(), (WITH, SINGLE), id=f"{9 - day:016x}", started=at))
        assert [one.started.day for one in store.recent()] == [3, 2, 1]
        assert [one.started.day for one in store.recent(2)] == [3, 2]


def test_a_damaged_comparison_says_what_to_do(database: Database) -> None:
    kept = SqlComparisons(database)
    kept.save(a_comparison())
    with database.writing() as connection:
        connection.execute(COMPARISONS.update().values(data='{"id": "x"}'))
    with pytest.raises(StoreError, match=r"comparison c+ is damaged .* Restore the database from a backup"):
        kept.comparison("c" * 16)


def test_two_ways_with_one_label_cannot_be_compared() -> None:
    with pytest.raises(ValueError, match="the same label"):
        a_comparison(ways=(WITH, WITH))
