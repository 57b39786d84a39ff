"""Episodes that are being written, watched and stopped over HTTP."""

from __future__ import annotations

import random
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import update
from starlette.testclient import TestClient

from cinegen_core.jobs import JobView
from cinegen_core.settings import Settings
from cinegen_core.store import SqlStore
from cinegen_core.store.jobs import JOBS, LOST, LOST_AFTER, SqlJobs
from cinegen_core.store.results import NoResults
from cinegen_core.store.sql import Database, sqlite_url
from cinegen_core.studio import Studio
from cinegen_core.writers.template import TemplateWriter
from tests.api.room import SlowWriter, asked, busy_seconds, problem, steering, write
from tests.builders import a_request
from tests.fakes import FakeClock, FakeWriter, StuckWriter, TitleEngine, by_form


def on(database: Database, writer: FakeWriter) -> Studio:
    """A studio that shares its jobs through a database."""
    return Studio(
        Settings(),
        clock=FakeClock(),
        rng=random.SystemRandom(),
        store=SqlStore(database),
        shared_jobs=SqlJobs(database),
        results=NoResults(),
        writers={"comprehensive": writer, "enhanced_baseline": writer, "basic_fallback": TemplateWriter()},
        engines=(TitleEngine(),),
        judge=by_form,
    )


class TestWhileAnEpisodeIsBeingWritten:
    @pytest.fixture
    def writer(self) -> FakeWriter:
        return StuckWriter()

    @pytest.fixture
    def settings(self) -> dict[str, Any]:
        return {"jobs": 1}

    def test_it_can_be_watched_and_stopped(
        self, client: TestClient, studio: Studio, writer: StuckWriter
    ) -> None:
        job = write(client, wait=False).json()["job"]
        assert writer.reached.wait(20)
        found = client.get(f"/jobs/{job}").json()
        assert (found["state"], found["result"]) == ("running", None)
        with client.stream("GET", f"/jobs/{job}/events") as stream:
            lines = stream.iter_lines()
            assert next(lines) == "id: 1"
            answer = client.delete(f"/jobs/{job}")
            assert answer.status_code == 202
            rest = list(lines)
        assert "event: end" in rest
        assert writer.cancelled
        assert client.get(f"/jobs/{job}").json()["state"] == "stopped"
        assert client.delete(f"/jobs/{job}").status_code == 202

    def test_who_waits_for_what_is_stopped_is_told(
        self, client: TestClient, studio: Studio, writer: StuckWriter, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        begun: list[str] = []
        start = studio.start

        def noted(*arguments: Any, **named: Any) -> str:
            begun.append(start(*arguments, **named))
            return begun[-1]

        monkeypatch.setattr(studio, "start", noted)
        with ThreadPoolExecutor() as pool:
            waiting = pool.submit(write, client)
            assert writer.reached.wait(20)
            studio.cancel(begun[0])
            answer = waiting.result(20)
        problem(answer, 409, "stopped")
        assert answer.headers["content-location"] == f"/api/jobs/{begun[0]}"

    def test_who_has_waited_beyond_all_budgets_gets_the_job(
        self, client: TestClient, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr("cinegen_core.api.episodes.GRACE", -119.9)
        answer = write(client)
        assert (answer.status_code, answer.headers["location"]) == (202, answer.json()["location"])

    def test_a_busy_studio_says_when_to_come_back_and_leaves_no_litter(
        self, client: TestClient, studio: Studio, writer: StuckWriter
    ) -> None:
        job = write(client, wait=False).json()["job"]
        assert writer.reached.wait(20)
        for _ in range(3):
            answer = write(client)
            problem(answer, 503, "busy")
            assert busy_seconds(answer) >= 1
        assert len(studio.store.seasons()) == 1
        client.delete(f"/jobs/{job}")
        studio.wait(job, 20)
        assert write(client, wait=False).status_code == 202
        assert len(studio.store.seasons()) == 2

    def test_others_are_answered_meanwhile(self, client: TestClient, writer: StuckWriter) -> None:
        write(client, wait=False)
        assert writer.reached.wait(20)
        assert asked(client, "health")["activeAlerts"] == 0


class TestAGrowingText:
    @pytest.fixture
    def writer(self) -> FakeWriter:
        return SlowWriter()

    def test_each_stage_of_it_is_streamed_in_its_place(self, client: TestClient, writer: SlowWriter) -> None:
        job = write(client, wait=False).json()["job"]
        with client.stream("GET", f"/jobs/{job}/events") as stream:
            lines = stream.iter_lines()
            before = next(line for line in lines if "A draft." in line)
            writer.go_on.set()
            rest = "\n".join([before, *lines])
        assert rest.index('"A draft."') < rest.index('"A draft, and more."')
        assert rest.count('"A draft."') == 1
        numbers = [line for line in rest.splitlines() if line.startswith("id: ")]
        assert len(numbers) == len(set(numbers))


class TestAJobOfAnotherStudioOnTheSameDatabase:
    """Behind a load balancer, the studio that is asked may not be the one that writes."""

    @pytest.fixture
    def writer(self) -> FakeWriter:
        return SlowWriter()

    @pytest.fixture
    def database(self, tmp_path: Path) -> Iterator[Database]:
        with Database(sqlite_url(tmp_path / "cinegen.db")) as database:
            yield database

    @pytest.fixture
    def writes(self, database: Database, writer: FakeWriter) -> Iterator[Studio]:
        with on(database, writer) as made:
            yield made

    @pytest.fixture
    def studio(self, database: Database, tmp_path: Path) -> Iterator[Studio]:
        """The one that is asked."""
        with on(database, FakeWriter()) as made:
            made.steering = steering(tmp_path)
            yield made

    def test_its_progress_is_streamed_to_its_end_and_its_episode_is_answered(
        self, client: TestClient, writes: Studio, writer: SlowWriter
    ) -> None:
        job = writes.start(a_request(), season=None)
        assert client.get(f"/jobs/{job}").json()["state"] == "running"
        with client.stream("GET", f"/jobs/{job}/events") as stream:
            lines = stream.iter_lines()
            before = next(line for line in lines if "A draft." in line)
            writer.go_on.set()
            rest = "\n".join([before, *lines])
        assert rest.index('"A draft."') < rest.index('"A draft, and more."') < rest.index("event: end")
        assert '"state":"done"' in rest
        answer = client.get(f"/jobs/{job}").json()
        assert (answer["state"], answer["result"]["success"]) == ("done", True)

    def test_it_can_be_stopped(self, client: TestClient, database: Database) -> None:
        with on(database, StuckWriter()) as writes:
            job = writes.start(a_request(), season=None)
            answer = client.delete(f"/jobs/{job}")
            assert (answer.status_code, answer.headers["location"]) == (202, f"/api/jobs/{job}")
            view = writes.wait(job, 20)
            assert view is not None
            assert view.state == "stopped"
        assert client.get(f"/jobs/{job}").json()["state"] == "stopped"
        assert client.delete(f"/jobs/{job}").status_code == 202

    def test_when_its_studio_has_died_it_has_failed(self, client: TestClient, database: Database) -> None:
        job = "a" * 16
        view = JobView(id=job, season="b" * 16, parent=None, number=1, state="running", updates=())
        SqlJobs(database).keep([view], running=[job])
        assert client.get(f"/jobs/{job}").json()["state"] == "running"
        with database.writing() as connection:
            connection.execute(update(JOBS).values(renewed=JOBS.c.renewed - LOST_AFTER - 1))
        answer = client.get(f"/jobs/{job}").json()
        assert (answer["state"], answer["error"], answer["result"]) == ("failed", LOST, None)
        end = client.get(f"/jobs/{job}/events").text
        assert end.startswith("event: end")
        assert LOST in end
