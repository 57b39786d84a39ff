"""Episodes that are being written, watched and stopped over HTTP."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from starlette.testclient import TestClient

from cinegen_core.studio import Studio
from tests.api.room import SlowWriter, asked, busy_seconds, problem, write
from tests.fakes import FakeWriter, StuckWriter


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
