"""Behind a load balancer any studio answers for any job, and a studio that dies leaves none running for ever."""

from __future__ import annotations

import random
import signal
from collections.abc import Callable, Iterator

import pytest
from sqlalchemy import select, update

from cinegen_core.store import SqlStore
from cinegen_core.store.jobs import JOBS, LOST, LOST_AFTER
from cinegen_core.store.sql import Database
from tests.postgres import PostgresServer
from tests.scale.studios import Running, studios

Another = Callable[[], Running]


@pytest.fixture
def another(database_url: str) -> Iterator[Another]:
    """Starts one more studio on the same database."""
    with studios(database_url) as another:
        yield another


def some_time_passes(url: str) -> None:
    """As if all that was heard of jobs so far had been heard longer ago than a studio may be silent."""
    with Database(url) as database, database.writing() as connection:
        connection.execute(update(JOBS).values(renewed=JOBS.c.renewed - LOST_AFTER - 1))


def test_a_job_is_followed_from_another_studio(another: Another) -> None:
    writes, watches = another(), another()
    season = writes.season()
    first, second = writes.start("stuck", season), writes.start("300 ms", season)
    found = watches.known(first)
    assert (found.state, found.season, found.number, found.here) == ("running", season, 1, False)
    assert found.started == writes.known(first).started is not None
    assert {view.id for view in watches.jobs()} == {first, second}
    drafting = watches.until(first, lambda view: any(one.kind == "text" for one in view.updates))
    assert [one.kind for one in drafting.updates] == ["tier", "phase", "text"]
    assert drafting.state == "running"
    done = watches.wait(second)
    assert (done.state, done.error, watches.is_kept(second)) == ("done", "", True)
    mine = writes.known(second)
    assert done == mine.model_copy(update={"here": False})
    assert "Title" in [one.engine for one in done.updates if one.kind == "engine"]
    assert [view.id for view in watches.jobs()] == [first]


def test_a_job_is_stopped_from_another_studio(another: Another) -> None:
    writes, stops = another(), another()
    job, other = writes.start("stuck"), writes.start("stuck")
    stops.cancel(job)
    assert stops.wait(job).state == writes.wait(job).state == "stopped"
    assert not stops.is_kept(job)
    stops.cancel(job)
    assert [view.id for view in stops.jobs()] == [view.id for view in writes.jobs()] == [other]


def test_a_job_that_fails_says_why_everywhere(another: Another) -> None:
    writes, watches = another(), another()
    job = writes.start(season="f" * 16)
    view = watches.wait(job)
    assert (view.state, view.error) == ("failed", writes.wait(job).error)
    assert "its season ffffffffffffffff is not there" in view.error


def test_a_studio_that_is_closed_leaves_its_jobs_stopped(another: Another) -> None:
    writes, watches = another(), another()
    job = writes.start("stuck")
    writes.close()
    assert watches.known(job).state == "stopped"


def test_a_studio_that_dies_just_after_it_kept_an_episode_has_written_it(
    another: Another, database_url: str
) -> None:
    writes, watches = another(), another()
    season = watches.season()
    writes.begin("die", season)
    writes.died()
    (job,) = [view.id for view in watches.jobs()]
    some_time_passes(database_url)
    view = watches.known(job)
    assert (view.state, view.error, watches.is_kept(job)) == ("done", "", True)


def test_a_studio_that_stood_still_takes_its_jobs_up_again(another: Another, database_url: str) -> None:
    writes, watches = another(), another()
    job = writes.start("stuck")
    # Then nothing is to be told for two seconds: it is not stopped while it writes, when all others would wait for it.
    watches.until(job, lambda view: len(view.updates) == 3)
    writes.signal(signal.SIGSTOP)
    some_time_passes(database_url)
    assert (watches.known(job).error, watches.jobs()) == (LOST, ())
    writes.signal(signal.SIGCONT)
    watches.until(job, lambda view: view.state == "running")
    watches.cancel(job)
    assert watches.wait(job).state == "stopped"


def test_a_database_that_goes_away_and_comes_back_costs_no_job(postgres: PostgresServer) -> None:
    with postgres.database() as url, studios(url) as another:
        writes, watches = another(), another()
        job = writes.start("stuck")
        postgres.kill()
        postgres.start()
        assert watches.known(job).state == "running"
        watches.cancel(job)
        assert watches.wait(job).state == writes.wait(job).state == "stopped"
        after = writes.start()
        assert (watches.wait(after).state, watches.is_kept(after)) == ("done", True)


def test_studios_killed_at_any_moment_leave_each_job_either_done_or_lost(postgres: PostgresServer) -> None:
    """Twelve studios are killed one after another while they begin, write and keep episodes; two others answer for all."""
    rng = random.Random(20260105)
    with postgres.database() as url, studios(url) as another:
        survives, watches = another(), another()
        season = watches.season()
        spared = [survives.start(f"{rng.randrange(300)} ms", season) for _ in range(4)]
        told = list(spared)
        for _ in range(12):
            dies = another()
            for _ in range(8):
                dies.begin(f"{rng.randrange(120)} ms", season)
            confirmed = [dies.id() for _ in range(rng.randrange(9))]
            watches.wait((told + confirmed)[-1] or "", rng.random() / 20)
            dies.kill()
            dies.died()
            told += [id for id in (*confirmed, *(dies.id() for _ in range(8 - len(confirmed)))) if id]
        with Database(url) as database, database.reading() as connection:
            jobs = set(connection.scalars(select(JOBS.c.id)))
        assert jobs >= set(told)
        # Those that were killed are told as lost in so many seconds, without anybody's doing.
        ended = {id: watches.wait(id, LOST_AFTER + 20) for id in jobs}
        kept = {id for id in jobs if watches.is_kept(id)}
        assert {id for id, view in ended.items() if (view.state, view.error) == ("done", "")} == kept
        assert {view.error for id, view in ended.items() if id not in kept} == {LOST}
        assert set(spared) <= kept < jobs
        assert watches.jobs() == survives.jobs() == ()
        with Database(url) as database:
            assert SqlStore(database).record_ids(season) == kept
