"""How a job stands is told to all who share the database, and a job whose studio is gone is not awaited for ever."""

from __future__ import annotations

import threading
from collections.abc import Callable, Collection, Iterator, Sequence
from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import update

from cinegen_core.jobs import Job, Jobs, JobState, JobView
from cinegen_core.store import Record, Season, SqlStore, StoreError
from cinegen_core.store.jobs import JOBS, LOST, LOST_AFTER, SqlJobs
from cinegen_core.store.sql import Database
from cinegen_core.tiers.model import EngineFinished, Generation, PhaseStarted, TextGrew, TierStarted, Update
from tests.builders import a_bible, an_episode

START = datetime(2026, 1, 5, 10, 0, 0, 250_000, tzinfo=UTC)
ID, OTHER = "1" * 16, "2" * 16
SEASON = Season(id="5" * 16, title="Slack Water", started=START)
UPDATES: tuple[Update, ...] = (
    TierStarted(tier="comprehensive", writer="fake"),
    PhaseStarted(phase="draft"),
    TextGrew(text='EXT. KAI – NATT\n"Ni?" \u0000 🌊'),
    EngineFinished(engine="Title", phase="narrative", ok=True),
)


def a_view(id: str = ID, state: JobState = "running", **changes: object) -> JobView:
    view = JobView(
        id=id, season=SEASON.id, parent="3" * 16, number=2, state=state, updates=UPDATES, started=START
    )
    return view.model_copy(update=changes)


def a_record(id: str = ID) -> Record:
    generation = Generation(id=id, episode=an_episode(), tier="comprehensive", writer="fake", attempts=())
    return Record(id=id, season=SEASON.id, seed=1, minutes=5, generation=generation, saved=START)


@pytest.fixture
def database(database_url: str) -> Iterator[Database]:
    with Database(database_url) as database:
        yield database


@pytest.fixture
def kept(database: Database) -> SqlJobs:
    return SqlJobs(database)


@pytest.fixture
def store(database: Database) -> SqlStore:
    store = SqlStore(database)
    store.add_season(SEASON, a_bible())
    return store


def grow_old(database: Database, seconds: float) -> None:
    """As if nothing had been heard of any job for so much longer."""
    with database.writing() as connection:
        connection.execute(update(JOBS).values(renewed=JOBS.c.renewed - seconds))


def elsewhere(view: JobView, **changes: object) -> JobView:
    return view.model_copy(update={"here": False, **changes})


def test_a_job_is_told_as_it_stands_and_then_as_it_stands_later(kept: SqlJobs) -> None:
    assert kept.view(ID) is None
    kept.keep([a_view()], running=[ID])
    assert kept.view(ID) == elsewhere(a_view())
    later = a_view(updates=(*UPDATES, TextGrew(text="EXT. KAI – NATT, and more")))
    kept.keep([later, a_view(OTHER, "failed", error="The model is away.")], running=[ID])
    assert kept.view(ID) == elsewhere(later)
    assert kept.view(OTHER) == elsewhere(a_view(OTHER, "failed", error="The model is away."))
    assert kept.running() == (elsewhere(later),)


def test_whoever_runs_a_job_hears_that_it_is_to_be_stopped(kept: SqlJobs) -> None:
    kept.keep([a_view(), a_view(OTHER)], running=[ID, OTHER])
    assert kept.wishes([ID, OTHER]) == frozenset()
    kept.stop(OTHER)
    kept.stop("f" * 16)
    assert kept.wishes([ID, OTHER]) == {OTHER}
    assert kept.wishes([ID]) == kept.wishes([]) == frozenset()
    assert kept.keep([a_view()], running=[ID, OTHER]) == {OTHER}


def test_a_job_that_has_ended_stays_as_it_is(kept: SqlJobs, database: Database) -> None:
    ended = a_view(state="stopped")
    kept.keep([ended], running=[])
    kept.stop(ID)
    grow_old(database, 3600)
    assert kept.view(ID) == elsewhere(ended)


def test_a_job_that_nobody_renews_is_lost(kept: SqlJobs, database: Database) -> None:
    kept.keep([a_view(), a_view(OTHER)], running=[ID, OTHER])
    grow_old(database, LOST_AFTER - 4)
    assert {view.state for view in kept.running()} == {"running"}
    kept.keep([], running=[OTHER])
    grow_old(database, 5)
    assert kept.view(ID) == elsewhere(a_view(), state="failed", error=LOST)
    assert [view.id for view in kept.running()] == [OTHER]


def test_a_studio_that_only_stood_still_goes_on_with_its_job(kept: SqlJobs, database: Database) -> None:
    kept.keep([a_view()], running=[ID])
    grow_old(database, LOST_AFTER + 1)
    kept.keep([], running=[ID])
    assert kept.view(ID) == elsewhere(a_view())


@pytest.mark.parametrize("state", ["running", "failed"])
def test_a_job_whose_episode_is_there_has_done_its_work(
    kept: SqlJobs, database: Database, store: SqlStore, state: JobState
) -> None:
    kept.keep([a_view(state=state, error="The connection is gone." if state == "failed" else "")], running=[])
    assert not kept.is_kept(ID)
    store.save(a_record())
    grow_old(database, LOST_AFTER + 1)
    assert kept.view(ID) == elsewhere(a_view(), state="done")
    assert kept.is_kept(ID)


def test_what_was_stopped_stays_stopped_also_where_something_of_it_was_kept(
    kept: SqlJobs, store: SqlStore
) -> None:
    store.save(a_record())
    kept.keep([a_view(state="stopped")], running=[])
    assert kept.view(ID) == elsewhere(a_view(), state="stopped")


def test_jobs_are_forgotten_after_a_day(kept: SqlJobs, database: Database) -> None:
    kept.keep([a_view(state="done"), a_view(OTHER)], running=[])
    grow_old(database, 86_000)
    assert kept.forget() == 0
    kept.keep([], running=[OTHER])
    grow_old(database, 500)
    assert kept.forget() == 1
    assert kept.view(ID) is None
    assert kept.view(OTHER) is not None


def test_a_damaged_job_is_named_and_what_to_do(kept: SqlJobs, database: Database) -> None:
    kept.keep([a_view()], running=[])
    with database.writing() as connection:
        connection.execute(update(JOBS).values(data="{}"))
    with pytest.raises(StoreError, match=rf"the job {ID} is damaged .*Delete this row of the table `jobs`"):
        kept.view(ID)


# What a studio does with it.


class Told:
    """Jobs as they are shared, for a test to wait for what is told, and to have it fail."""

    def __init__(self, kept: SqlJobs) -> None:
        self._kept = kept
        self.fails = False
        self.tried = threading.Semaphore(0)

    def keep(self, changed: Sequence[JobView], *, running: Collection[str]) -> frozenset[str]:
        try:
            if self.fails:
                raise StoreError("The database is away. See that it can be reached.")
            return self._kept.keep(changed, running=running)
        finally:
            self.tried.release()

    def __getattr__(self, name: str) -> object:
        return getattr(self._kept, name)


def a_job(id: str = ID, *, go_on: threading.Event, fails: bool = False, started: datetime = START) -> Job:
    async def work(on_update: Callable[[Update], None]) -> None:
        for one in UPDATES:
            on_update(one)
        go_on.wait(20)
        if fails:
            raise StoreError("The connection is gone.")

    return Job(id=id, season=SEASON.id, number=2, parent="3" * 16, work=work, started=started)


def states(jobs: Jobs, *ids: str) -> list[str | None]:
    return [view.state if (view := jobs.view(id)) is not None else None for id in ids]


@pytest.fixture
def warnings() -> list[str]:
    return []


def test_others_know_of_a_job_once_it_was_told_of_and_of_its_end_once_the_studio_closes(
    kept: SqlJobs, warnings: list[str]
) -> None:
    go_on = threading.Event()
    mine, others = Jobs(kept, warn=warnings.append), Jobs(kept, warn=warnings.append)
    mine.start(a_job(go_on=go_on))
    mine.tell(ID)
    found = others.view(ID)
    assert found is not None
    assert (found.state, found.season, found.number, found.parent, found.started, found.here) == (
        "running", SEASON.id, 2, "3" * 16, START, False,
    )  # fmt: skip
    assert [view.here for view in (*mine.running(), *others.running())] == [True, False]
    assert others.running(here=True) == ()
    go_on.set()
    view = mine.wait(ID, 20)
    mine.close()
    assert view is not None
    assert others.view(ID) == elsewhere(view, updates=UPDATES)
    assert (view.state, warnings) == ("done", [])
    others.close()


def test_a_database_that_fails_costs_no_job_and_is_told_of_once(
    kept: SqlJobs, database: Database, warnings: list[str]
) -> None:
    go_on, told = threading.Event(), Told(kept)
    told.fails = True
    jobs = Jobs(told, warn=warnings.append)  # type: ignore[arg-type]
    for id in (ID, OTHER):
        jobs.start(a_job(id, go_on=go_on))
        jobs.tell(id)
    assert states(jobs, ID, OTHER) == ["running", "running"]
    assert kept.view(ID) is None
    go_on.set()
    assert jobs.wait(ID, 20) is not None
    told.fails = False
    while kept.view(OTHER) is None:
        assert told.tried.acquire(timeout=20)
    jobs.close()
    assert [view.state for id in (ID, OTHER) if (view := kept.view(id)) is not None] == ["done", "done"]
    assert len(warnings) == 1
    assert (
        "cannot be told how the episodes stand that are being written here: The database is away."
        in warnings[0]
    )


def test_a_job_that_lost_the_database_just_after_its_episode_was_kept_is_done(
    kept: SqlJobs, store: SqlStore, warnings: list[str]
) -> None:
    store.save(a_record())
    go_on = threading.Event()
    go_on.set()
    jobs = Jobs(kept, warn=warnings.append)
    for id in (ID, OTHER):
        jobs.start(a_job(id, go_on=go_on, fails=True))
        jobs.wait(id, 20)
    assert states(jobs, ID, OTHER) == ["done", "failed"]
    jobs.close()
    assert [view and view.state for view in map(kept.view, (ID, OTHER))] == ["done", "failed"]


def test_without_a_database_a_studio_knows_its_own_jobs(warnings: list[str]) -> None:
    go_on = threading.Event()
    jobs = Jobs(warn=warnings.append)
    jobs.start(a_job(go_on=go_on))
    jobs.tell(ID)
    jobs.cancel(OTHER)
    assert states(jobs, ID, OTHER) == ["running", None]
    go_on.set()
    assert jobs.wait(OTHER, 20) is None
    assert jobs.wait(ID, 20) is not None
    jobs.close()


def test_what_ended_a_day_ago_takes_no_memory(warnings: list[str]) -> None:
    go_on = threading.Event()
    go_on.set()
    jobs = Jobs(warn=warnings.append)
    for id, days in ((ID, 0), (OTHER, 2)):
        jobs.start(a_job(id, go_on=go_on, started=START + timedelta(days=days)))
        jobs.wait(id, 20)
    assert states(jobs, ID, OTHER) == [None, "done"]
