"""The studio over HTTP, as programs and operators meet it."""

from __future__ import annotations

import asyncio
import json
import logging
import shutil
import threading
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest
import yaml
from starlette.applications import Starlette
from starlette.routing import Mount, Route
from starlette.testclient import TestClient

from cinegen_core.api import Limits, Monitor, api_app
from cinegen_core.flags.control import Flags
from cinegen_core.flags.journal import JournalError, MemoryJournal
from cinegen_core.monitor import Health
from cinegen_core.monitor.events import FeedbackEvent
from cinegen_core.monitor.health import Issue
from cinegen_core.steering import MemoryOutcomes, Steering
from cinegen_core.store import MemoryStore, Record, Season, StoreError
from cinegen_core.story import Draft, EpisodeRequest, Policy
from cinegen_core.story.model import Noun
from cinegen_core.studio import Studio
from cinegen_core.writers.base import Desk
from tests.builders import SMALLEST_BIBLE
from tests.fakes import OUT_OF_FORM, OUTLINE, FakeClock, FakeWriter, StuckWriter, a_studio, on_request

TOKEN = "a long random text"
UNSET = " "
DECLARED = Path(__file__).parents[2] / "flags.toml"
BIBLE: dict[str, Any] = yaml.safe_load(SMALLEST_BIBLE)
GUIDES_BIBLE = {
    "seriesTitle": "Slack Water",
    "premise": "A harbour pilot comes home to find out who let her father drown.",
    "mainCharacters": [
        {"name": "Marit Vold", "want": "to see the November log"},
        {"name": "Ansel Roe", "want": "to keep the station open"},
    ],
}
SIGNED = {"reason": "trying it out", "who": "Pip"}
WRITES: list[tuple[str, str, dict[str, Any] | None]] = [
    ("POST", "/generate/episode", {"storyBible": BIBLE}),
    ("DELETE", "/jobs/0000000000000000", None),
    ("POST", "/feedback", {"generation": "0" * 16, "action": "chose"}),
    ("POST", "/flags/genre_engines", {"enabled": False, **SIGNED}),
    ("POST", "/flags/genre_engines/rollback", SIGNED),
    ("POST", "/flags/genre_engines/rearm", SIGNED),
    ("POST", "/emergency", {"on": True, **SIGNED}),
    ("POST", "/alerts/one/acknowledge", {"by": "Pip"}),
]
READS = [
    "/generate/episode?endpoint=health",
    "/jobs/x",
    "/jobs/x/events",
    "/openapi.json",
    "/metrics",
    "/healthz",
]
QUESTIONS = ("health", "metrics", "flags", "alerts")


NOTHING_YET: dict[str, Any] = {
    "overview": {"totalEpisodes": 0, "averageQuality": None, "systemHealth": None, "uptime": None, "successRate": None},
    "quality": {"current": None, "trend": None, "qualityDistribution": None},
    "performance": {"averageProcessingTime": None, "engineSuccessRate": None, "fallbackUsageRate": None},
}  # fmt: skip
THE_GUIDES: dict[str, Any] = {
    "overview": {
        "totalEpisodes": 1250, "averageQuality": 8.3, "systemHealth": "HEALTHY", "uptime": 99.8, "successRate": 98.5,
    },
    "quality": {
        "current": 8.3, "trend": "IMPROVING", "qualityDistribution": {"cinematic": 65, "excellent": 30, "good": 5},
    },
    "performance": {"averageProcessingTime": 32000, "engineSuccessRate": 92, "fallbackUsageRate": 8},
}  # fmt: skip


class Alert(Noun):
    id: str = "one"
    rule: str = "quality_critical"
    severity: Any = "critical"
    state: Any = "firing"
    since: datetime = datetime(2026, 1, 5, 10, tzinfo=UTC)
    value: float | None = 6.8
    threshold: float | None = 7.0
    incident: str | None = "writers"
    acknowledged_by: str | None = None


class Watch:
    """A monitor that has seen nothing yet, unless told otherwise."""

    def __init__(self) -> None:
        self.is_health = Health(score=None, status=None)
        self.is_uptime: float | None = None
        self.is_overview: dict[str, Any] = NOTHING_YET
        self.uses: dict[str, Any] = {}
        self.has: list[Alert] = []
        self.to_resolve: float | None = None
        self.told: list[tuple[Any, ...]] = []
        self.hours: list[float] = []
        self.breaks = False

    def health(self) -> Health:
        if self.breaks:
            raise RuntimeError("the password is hunter2")
        return self.is_health

    def uptime(self) -> float | None:
        return self.is_uptime

    def overview(self, hours: float) -> Mapping[str, Any]:
        self.hours.append(hours)
        return self.is_overview

    def flag_metrics(self, hours: float) -> Mapping[str, Any]:
        return self.uses

    def alerts(self) -> Sequence[Alert]:
        return self.has

    def mean_time_to_resolve(self) -> float | None:
        return self.to_resolve

    def feedback(self, event: FeedbackEvent) -> None:
        if event.generation == "f" * 16:
            raise LookupError("Nobody wrote this episode.")
        self.told.append((event.generation, event.action, event.rating, event.why))

    def acknowledge(self, alert: str, by: str) -> None:
        if alert not in {one.id for one in self.has}:
            raise LookupError(f"There is no alert {alert}.")
        self.told.append((alert, by))

    def prometheus(self) -> str:
        return "cinegen_episodes_total 3\n"


class FullDisk(MemoryStore):
    def season(self, season_id: str) -> Season | None:
        raise StoreError("The disk is full. Free some space.")

    def save(self, record: Record) -> None:
        raise StoreError("The disk is full. Free some space.")


class SlowWriter(FakeWriter):
    """Says something, and goes on when it is told to."""

    def __init__(self) -> None:
        super().__init__()
        self.go_on = threading.Event()

    async def draft(self, request: EpisodeRequest, policy: Policy, desk: Desk) -> Draft:
        desk.said("A draft.")
        await asyncio.to_thread(self.go_on.wait, 20)
        desk.said("A draft, and more.")
        return Draft(outline=OUTLINE, episode=on_request(request))


@pytest.fixture
def writer() -> FakeWriter:
    return FakeWriter()


@pytest.fixture
def settings() -> dict[str, Any]:
    return {}


@pytest.fixture
def studio(writer: FakeWriter, settings: dict[str, Any], tmp_path: Path) -> Iterator[Studio]:
    """A studio with the flags that ship with it."""
    with a_studio(writer, **settings) as made:
        made.steering = steering(tmp_path)
        yield made


@pytest.fixture(scope="module")
def spared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Studio]:
    """One studio for all the tests in which nothing reaches it."""
    with a_studio() as made:
        made.steering = steering(tmp_path_factory.mktemp("spared"))
        yield made
        assert made.store.seasons() == ()
        assert made.steering.flags.version == 0


def steering(folder: Path) -> Steering:
    file = Path(shutil.copy(DECLARED, folder / "flags.toml"))
    journal, clock = MemoryJournal(), FakeClock()
    flags = Flags(file, journal, now=clock.now, on_problem=print, monotonic=clock.monotonic)
    return Steering(flags, MemoryOutcomes(), journal.read, now=clock.now, warn=print)


@pytest.fixture
def watch() -> Watch:
    return Watch()


@pytest.fixture
def client(studio: Studio, watch: Watch) -> Iterator[TestClient]:
    """Somebody at the studio's own computer, with the token."""
    with here(studio, watch) as made:
        made.headers["authorization"] = f"Bearer {TOKEN}"
        yield made


def here(
    studio: Studio, monitor: Monitor, *, token: str = TOKEN, address: str = "127.0.0.1", **options: Any
) -> TestClient:
    """A client of the API where the studio mounts it."""
    options.setdefault("clock", FakeClock())
    app = Starlette(routes=[Mount("/api", api_app(studio, monitor, token=token, **options))])
    return TestClient(app, base_url="http://127.0.0.1:8501/api", client=(address, 50000))


def problem(answer: Any, status: int, name: str) -> dict[str, Any]:
    """The problem that an answer tells of, which has to be of this kind."""
    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"] == "application/problem+json"
    told: dict[str, Any] = answer.json()
    assert (told["status"], told["type"]) == (status, f"urn:cinegen:problem:{name}")
    assert told["title"]
    assert told["detail"]
    return told


def asked(client: TestClient, question: str, **params: Any) -> Any:
    answer = client.get("/generate/episode", params={"endpoint": question, **params})
    assert answer.status_code == 200, answer.text
    return answer.json()


def write(client: TestClient, **changes: Any) -> Any:
    return client.post("/generate/episode", json={"storyBible": BIBLE, "seed": 7, **changes})


def events_of(text: str) -> list[tuple[str, dict[str, Any]]]:
    found = []
    for block in text.strip().split("\n\n"):
        lines = dict(line.split(": ", 1) for line in block.splitlines())
        found.append((lines["event"], json.loads(lines["data"])))
    return found


def busy_seconds(answer: Any) -> int:
    return int(answer.headers["retry-after"])


class TestFigures:
    def test_a_new_studio_has_no_figures_and_says_so(self, client: TestClient) -> None:
        assert asked(client, "health") == {
            "systemHealth": {"status": None, "score": None, "issues": []}, "uptime": None, "activeAlerts": 0,
        }  # fmt: skip
        assert asked(client, "metrics") == NOTHING_YET
        assert asked(client, "alerts") == {
            "alerts": [], "counts": {"critical": 0, "warning": 0, "info": 0}, "meanTimeToResolve": None,
        }  # fmt: skip

    def test_health_tells_what_costs_points(self, client: TestClient, watch: Watch) -> None:
        watch.is_health = Health(score=75, status="WARNING", issues=(Issue(text="engines fail", points=25),))
        watch.is_uptime, watch.has = 99.8, [Alert(), Alert(id="two", state="resolved")]
        assert asked(client, "health") == {
            "systemHealth": {"status": "WARNING", "score": 75, "issues": ["engines fail"]},
            "uptime": 99.8,
            "activeAlerts": 1,
        }

    def test_metrics_are_as_the_guide_gives_them(self, client: TestClient, watch: Watch) -> None:
        watch.is_overview = THE_GUIDES
        assert asked(client, "metrics") == THE_GUIDES

    def test_a_distribution_of_nothing_is_no_distribution(self, client: TestClient, watch: Watch) -> None:
        watch.is_overview = {**NOTHING_YET, "quality": {**NOTHING_YET["quality"], "qualityDistribution": {}}}
        assert asked(client, "metrics") == NOTHING_YET

    @pytest.mark.parametrize(
        "part",
        [
            {"uptime": 998},
            {"successRate": -1},
            {"averageQuality": "8.3?"},
            {"totalEpisodes": None},
            {"more": 1},
        ],
    )
    def test_figures_that_cannot_be_are_not_passed_on(
        self, client: TestClient, watch: Watch, part: Any, caplog: pytest.LogCaptureFixture
    ) -> None:
        watch.is_overview = {**NOTHING_YET, "overview": {**NOTHING_YET["overview"], **part}}
        problem(client.get("/generate/episode?endpoint=metrics"), 500, "unexpected")

    def test_metrics_look_back_a_day_unless_told_otherwise(self, client: TestClient, watch: Watch) -> None:
        asked(client, "metrics")
        asked(client, "metrics", hours=1.5)
        assert watch.hours == [24, 1.5]

    @pytest.mark.parametrize("hours", ["0", "-1", "nan", "inf", "soon", "", "9999"])
    def test_a_span_that_is_none_is_refused(self, client: TestClient, hours: str) -> None:
        answer = client.get("/generate/episode", params={"endpoint": "metrics", "hours": hours})
        problem(answer, 400, "wrong-span")

    def test_flags_that_are_on_for_somebody_are_active(
        self, client: TestClient, studio: Studio, watch: Watch
    ) -> None:
        watch.uses = {"comprehensive_engines": {"usageCount": 850, "successRate": 94, "averageQuality": 8.4}}
        found = asked(client, "flags")
        assert found == {
            "activeFlags": [
                "complete_context", "high_temperature", "enhanced_fallbacks", "production_monitoring",
                "comprehensive_engines", "genre_engines",
            ],
            "rolloutStatus": [],
            "metrics": {"comprehensive_engines": {"usageCount": 850, "successRate": 94, "averageQuality": 8.4}},
        }  # fmt: skip
        assert studio.steering is not None
        studio.steering.flags.set("comprehensive_engines", enabled=False, who="Pip", why="a look")
        active = asked(client, "flags")["activeFlags"]
        assert not {"comprehensive_engines", "genre_engines"} & set(active)

    def test_in_an_emergency_no_flag_is_active(self, client: TestClient) -> None:
        client.post("/emergency", json={"on": True, **SIGNED})
        assert asked(client, "flags")["activeFlags"] == []

    def test_a_flag_at_nought_percent_is_active_for_nobody(self, client: TestClient) -> None:
        client.post("/flags/complete_context", json={"percent": 0, **SIGNED})
        assert "complete_context" not in asked(client, "flags")["activeFlags"]

    def test_a_rollout_is_told_with_its_phase_counted_from_one(
        self, client: TestClient, studio: Studio
    ) -> None:
        assert studio.steering is not None
        name = "comprehensive_engines_rollout"
        studio.steering.flags.start_rollout(name, who="Pip", why="week 5")
        assert asked(client, "flags")["rolloutStatus"] == [
            {"flagName": "comprehensive_engines", "strategy": name, "phase": 1, "percentage": 25}
        ]
        studio.steering.flags.abort_rollout(name, who="Pip", why="not yet")
        assert asked(client, "flags")["rolloutStatus"] == []

    def test_alerts_are_listed_and_those_that_fire_counted(self, client: TestClient, watch: Watch) -> None:
        watch.has = [
            Alert(),
            Alert(id="two", severity="warning", state="pending", incident="", acknowledged_by="Pip"),
        ]
        watch.to_resolve = 540.0
        found = asked(client, "alerts")
        assert found["alerts"][0] == {
            "id": "one", "rule": "quality_critical", "severity": "critical", "state": "firing", "since": "2026-01-05T10:00:00Z",
            "value": 6.8, "threshold": 7.0, "incident": "writers", "acknowledgedBy": None,
        }  # fmt: skip
        assert (found["alerts"][1]["incident"], found["alerts"][1]["acknowledgedBy"]) == (None, "Pip")
        assert found["counts"] == {"critical": 1, "warning": 0, "info": 0}
        assert found["meanTimeToResolve"] == 540_000

    @pytest.mark.parametrize("query", ["?endpoint=secrets", "?endpoint=", ""])
    def test_who_asks_for_something_else_is_told_what_there_is(self, client: TestClient, query: str) -> None:
        told = problem(client.get(f"/generate/episode{query}"), 400, "unknown-endpoint")
        assert told["known"] == list(QUESTIONS)

    def test_prometheus_gets_its_own_format(self, client: TestClient) -> None:
        answer = client.get("/metrics")
        assert answer.text == "cinegen_episodes_total 3\n"
        assert answer.headers["content-type"].startswith("text/plain; version=0.0.4")

    def test_a_studio_without_flags_has_none_active(self, watch: Watch) -> None:
        with a_studio() as plain, here(plain, watch) as client:
            assert asked(client, "flags") == {"activeFlags": [], "rolloutStatus": [], "metrics": {}}
            answer = client.post(
                "/flags/x", json={"enabled": True, **SIGNED}, headers={"authorization": f"Bearer {TOKEN}"}
            )
            problem(answer, 409, "no-flags")


class TestEpisodes:
    def test_an_episode_is_written_while_one_waits(self, client: TestClient, studio: Studio) -> None:
        answer = write(client)
        assert answer.status_code == 200, answer.text
        found = answer.json()
        assert found.keys() == {"success", "episode", "metadata", "attempts"}
        assert found["success"] is True
        assert found["episode"]["series"] == "Slack Water"
        assert found["metadata"] == {
            "generationTime": 0, "tier": "comprehensive", "qualityScore": None, "qualityClass": None,
            "enginesRun": 1, "enginesDelivered": 1, "fallbackReason": None, "belowThreshold": False,
        }  # fmt: skip
        (attempt,) = found["attempts"]
        assert attempt.keys() == {
            "tier", "writer", "outcome", "reason", "time", "score", "enginesRun", "enginesDelivered", "enginesRepaired",
            "calls", "tokens", "cost",
        }  # fmt: skip
        (season,) = studio.store.seasons()
        (record,) = studio.store.records(season.id)
        assert (record.seed, season.title) == (7, "Slack Water")
        assert answer.headers["content-location"] == f"/api/jobs/{record.id}"

    def test_each_episode_has_a_season_of_its_own(self, client: TestClient, studio: Studio) -> None:
        write(client)
        write(client)
        assert [len(studio.store.records(season.id)) for season in studio.store.seasons()] == [1, 1]

    def test_the_next_episode_follows_from_the_state_and_the_choice(
        self, client: TestClient, studio: Studio
    ) -> None:
        first = write(client).json()
        second = write(
            client,
            state=first["episode"]["state"],
            previousChoice="b",
            episodeNumber=2,
            direction="More rain.",
        )
        assert second.status_code == 200, second.text
        record = next(
            record
            for season in studio.store.seasons()
            for record in studio.store.records(season.id)
            if record.number == 2
        )
        assert (record.choice, record.direction) == ("b", "More rain.")

    def test_the_number_of_the_next_episode_need_not_be_said(self, client: TestClient) -> None:
        first = write(client).json()
        assert write(client, state=first["episode"]["state"]).json()["episode"]["number"] == 2

    def test_the_guides_bible_is_understood(self, client: TestClient) -> None:
        assert write(client, storyBible=GUIDES_BIBLE).json()["episode"]["series"] == "Slack Water"

    def test_why_a_better_tier_did_not_answer_is_told(self, watch: Watch) -> None:
        with a_studio(FakeWriter(fails=RuntimeError("no ink"))) as studio, here(studio, watch) as client:
            client.headers["authorization"] = f"Bearer {TOKEN}"
            found = write(client).json()
        assert found["metadata"]["tier"] == "basic_fallback"
        assert "no ink" in found["metadata"]["fallbackReason"]
        assert [one["outcome"] for one in found["attempts"]][:2] == ["failed", "failed"]

    def test_that_there_is_an_emergency_is_told(self, client: TestClient) -> None:
        client.post("/emergency", json={"on": True, "reason": "the model is on fire", "who": "Pip"})
        found = write(client).json()["metadata"]
        assert found["tier"] == "basic_fallback"
        assert "the model is on fire" in found["fallbackReason"]

    def test_a_script_out_of_form_is_marked(self, watch: Watch) -> None:
        with a_studio(FakeWriter(changes=OUT_OF_FORM)) as studio, here(studio, watch) as client:
            client.headers["authorization"] = f"Bearer {TOKEN}"
            found = write(client).json()
        assert {one["outcome"] for one in found["attempts"]} >= {"below_threshold"}

    @pytest.mark.parametrize(
        ("changes", "field"),
        [
            ({"storyBible": {**BIBLE, "title": ""}}, "storyBible.title"),
            ({"storyBible": {"title": "x"}}, "storyBible.premise"),
            ({"storyBible": {**BIBLE, "characters": [{"nmae": "A"}]}}, "storyBible.characters[0].nmae"),
            ({"storyBible": {**GUIDES_BIBLE, "mainCharacters": [{"nmae": "A"}]}}, "storyBible.mainCharacters[0].nmae"),
            ({"storyBible": "a bible"}, "storyBible"),
            ({"episodeNumber": 0}, "episodeNumber"),
            ({"previousChoice": "z"}, "previousChoice"),
            ({"previousChoice": "b"}, "previousChoice"),
            ({"state": {"series": "Slack Water", "episodes": 1}}, "state.episodes"),
            ({"state": {"series": "Another", "episode": 1}}, "state"),
            ({"state": {"series": "Slack Water", "episode": 1}, "episodeNumber": 3}, "episodeNumber"),
            ({"state": {"series": "Slack Water", "episode": 1}, "previousChoice": "b"}, "previousChoice"),
            ({"seed": -1}, "seed"),
            ({"direction": "x" * 2001}, "direction"),
            ({"wiat": True}, "wiat"),
        ],
    )  # fmt: skip
    def test_what_is_wrong_is_said_with_the_field(
        self, client: TestClient, studio: Studio, changes: dict[str, Any], field: str
    ) -> None:
        told = problem(write(client, **changes), 422, "invalid")
        assert field in [error["field"] for error in told["errors"]]
        assert studio.store.seasons() == ()

    def test_without_a_bible_nothing_is_written(self, client: TestClient) -> None:
        told = problem(client.post("/generate/episode", json={}), 422, "invalid")
        assert told["errors"][0]["field"] == "storyBible"

    def test_who_does_not_wait_gets_a_job_to_follow(self, client: TestClient, studio: Studio) -> None:
        answer = write(client, wait=False)
        job = answer.json()["job"]
        assert answer.status_code == 202
        assert answer.json() == {"job": job, "location": f"/api/jobs/{job}"}
        assert answer.headers["location"] == f"/api/jobs/{job}"
        studio.wait(job, 20)
        found = client.get(f"/jobs/{job}").json()
        assert found.keys() == {"job", "season", "episodeNumber", "state", "error", "result"}
        assert (found["state"], found["error"]) == ("done", None)
        assert found["result"].keys() == {"success", "episode", "metadata", "attempts"}

    def test_progress_can_be_followed_to_the_end(self, client: TestClient) -> None:
        job = write(client, wait=False).json()["job"]
        answer = client.get(f"/jobs/{job}/events")
        assert answer.headers["content-type"].startswith("text/event-stream")
        events = events_of(answer.text)
        assert events[0] == ("tier", {"kind": "tier", "tier": "comprehensive", "writer": "fake"})
        assert ("text", {"kind": "text", "text": "A draft."}) in events
        assert events[-1] == (
            "end",
            {"job": job, "state": "done", "error": None, "location": f"/api/jobs/{job}"},
        )

    def test_a_stream_that_broke_off_goes_on_where_it_was(self, client: TestClient, studio: Studio) -> None:
        job = write(client, wait=False).json()["job"]
        studio.wait(job, 20)
        whole = events_of(client.get(f"/jobs/{job}/events").text)
        seen = str(len(whole) - 2)
        rest = client.get(f"/jobs/{job}/events", headers={"last-event-id": seen})
        assert events_of(rest.text) == whole[-2:]
        for beyond in ("999", "x", "-1"):
            assert (
                events_of(client.get(f"/jobs/{job}/events", headers={"last-event-id": beyond}).text)[-1]
                == whole[-1]
            )

    def test_an_episode_is_found_by_its_job_after_a_restart(
        self, client: TestClient, studio: Studio, watch: Watch
    ) -> None:
        job = write(client).headers["content-location"].rpartition("/")[2]
        assert isinstance(studio.store, MemoryStore)
        with a_studio(store=studio.store) as next_day, here(next_day, watch) as again:
            assert again.get(f"/jobs/{job}").json() == client.get(f"/jobs/{job}").json()
            assert [name for name, _ in events_of(again.get(f"/jobs/{job}/events").text)] == ["end"]

    @pytest.mark.parametrize("path", ["/jobs/0123456789abcdef", "/jobs/..%2f..%2fetc", "/jobs/x/events"])
    def test_a_job_that_nobody_began_is_not_there(self, client: TestClient, path: str) -> None:
        problem(client.get(path), 404, "not-found" if "%2f" in path else "not-known")

    def test_a_job_that_nobody_began_cannot_be_stopped(self, client: TestClient) -> None:
        problem(client.delete("/jobs/0123456789abcdef"), 404, "not-known")


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
        monkeypatch.setattr("cinegen_core.api.GRACE", -119.9)
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
        assert len(studio.store.seasons()) == 2
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


class TestFlags:
    def test_a_flag_is_switched_with_who_and_why(self, client: TestClient, studio: Studio) -> None:
        answer = client.post(
            "/flags/genre_engines", json={"enabled": False, "percent": 40, **SIGNED, "version": 0}
        )
        found = answer.json()
        assert (answer.status_code, found["success"], found["version"]) == (200, True, 1)
        (change,) = found["changes"]
        assert (change["who"], change["why"], change["after"]) == (
            "Pip", "trying it out", {"enabled": False, "percent": 40, "latched": None},
        )  # fmt: skip
        assert studio.steering is not None
        assert studio.steering.flags.evaluate("genre_engines", default=True).value is False

    def test_who_decided_from_an_older_version_is_shown_what_is_newer(self, client: TestClient) -> None:
        answer = client.get("/generate/episode?endpoint=flags")
        version = int(answer.headers["cinegen-flags-version"])
        client.post("/flags/genre_engines", json={"enabled": False, "reason": "too slow", "who": "Ansel"})
        answer = client.post("/flags/genre_engines", json={"enabled": True, **SIGNED, "version": version})
        told = problem(answer, 409, "stale-version")
        assert [(change["who"], change["why"]) for change in told["newer"]] == [("Ansel", "too slow")]

    def test_what_was_rolled_back_stays_off_until_it_is_rearmed(self, client: TestClient) -> None:
        assert client.post("/flags/genre_engines/rollback", json=SIGNED).json()["version"] == 1
        again = client.post("/flags/genre_engines/rollback", json=SIGNED).json()
        assert (again["version"], again["changes"]) == (1, [])
        told = problem(client.post("/flags/genre_engines", json={"enabled": True, **SIGNED}), 409, "latched")
        assert told["newer"][0]["who"] == "Pip"
        assert client.post("/flags/genre_engines/rearm", json=SIGNED).json()["version"] == 2
        assert client.post("/flags/genre_engines", json={"enabled": True, **SIGNED}).status_code == 200

    def test_what_is_in_no_state_for_it_is_refused(self, client: TestClient) -> None:
        problem(client.post("/flags/genre_engines/rearm", json=SIGNED), 409, "wrong-state")

    @pytest.mark.parametrize("path", ["", "/rollback", "/rearm"])
    def test_a_flag_that_is_not_declared_is_not_there(self, client: TestClient, path: str) -> None:
        body = {**SIGNED, "enabled": True} if not path else SIGNED
        told = problem(client.post(f"/flags/genre_engine{path}", json=body), 404, "not-known")
        assert "Did you mean 'genre_engines'?" in told["detail"]

    @pytest.mark.parametrize(
        ("body", "field"),
        [
            ({"enabled": True, "who": "Pip"}, "reason"),
            ({"enabled": True, "reason": "x"}, "who"),
            ({"enabled": True, "reason": " ", "who": "Pip"}, "reason"),
            ({"percent": 101, **SIGNED}, "percent"),
            ({"enabled": "perhaps", **SIGNED}, "enabled"),
            (SIGNED, ""),
        ],
    )
    def test_an_order_without_all_that_it_needs_is_refused(
        self, client: TestClient, body: Any, field: str
    ) -> None:
        told = problem(client.post("/flags/genre_engines", json=body), 422, "invalid")
        assert [error["field"] for error in told["errors"]] == [field]

    def test_a_page_of_the_studio_may(self, client: TestClient) -> None:
        answer = client.post(
            "/emergency", json={"on": True, **SIGNED}, headers={"origin": "http://127.0.0.1:8501"}
        )
        assert answer.status_code == 200

    def test_an_emergency_is_begun_and_ended(self, client: TestClient, studio: Studio) -> None:
        answer = client.post("/emergency", json={"on": True, **SIGNED})
        assert answer.json() == {"success": True, "emergency": {"by": "Pip", "reason": "trying it out"}}
        assert studio.emergency is not None
        answer = client.post("/emergency", json={"on": False, **SIGNED})
        assert answer.json() == {"success": True, "emergency": None}
        assert studio.emergency is None

    def test_a_journal_that_cannot_be_written_is_no_fault_of_the_caller(
        self, client: TestClient, studio: Studio, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def broken(*arguments: object, **named: object) -> None:
            raise JournalError("The journal cannot be written.")

        assert studio.steering is not None
        monkeypatch.setattr(studio.steering.flags, "set", broken)
        problem(client.post("/flags/genre_engines", json={"enabled": True, **SIGNED}), 503, "store")


class TestReadersAndAlerts:
    def test_what_a_reader_did_is_passed_on(self, client: TestClient, watch: Watch) -> None:
        body = {"generation": "a" * 16, "action": "rated", "rating": 9, "why": " the ending "}
        assert client.post("/feedback", json=body).json() == {"success": True}
        assert client.post("/feedback", json={"generation": "a" * 16, "action": "chose"}).status_code == 200
        assert watch.told == [("a" * 16, "rated", 9, "the ending"), ("a" * 16, "chose", None, "")]

    @pytest.mark.parametrize(
        "changes",
        [{"rating": None}, {"rating": 11}, {"action": "chose"}, {"action": "ate"}, {"generation": "x"}],
    )
    def test_a_rating_that_makes_no_sense_is_refused(
        self, client: TestClient, watch: Watch, changes: Any
    ) -> None:
        body = {"generation": "a" * 16, "action": "rated", "rating": 9, **changes}
        problem(client.post("/feedback", json=body), 422, "invalid")
        assert watch.told == []

    def test_an_episode_that_nobody_wrote_cannot_be_rated(self, client: TestClient) -> None:
        body = {"generation": "f" * 16, "action": "rated", "rating": 9}
        problem(client.post("/feedback", json=body), 404, "not-known")

    def test_an_alert_is_acknowledged(self, client: TestClient, watch: Watch) -> None:
        watch.has = [Alert()]
        assert client.post("/alerts/one/acknowledge", json={"by": "Pip"}).json() == {"success": True}
        assert watch.told == [("one", "Pip")]
        problem(client.post("/alerts/two/acknowledge", json={"by": "Pip"}), 404, "not-known")


class TestWhoMayDoWhat:
    @pytest.fixture
    def studio(self, spared: Studio) -> Studio:
        return spared

    @pytest.mark.parametrize(("method", "path", "body"), WRITES)
    @pytest.mark.parametrize(
        "given", [None, "", "Bearer", "Bearer wrong", f"Basic {TOKEN}", f"Bearer {TOKEN}x", "Bearer é"]
    )
    def test_nothing_is_changed_without_the_token(
        self, studio: Studio, watch: Watch, method: str, path: str, body: Any, given: str | None
    ) -> None:
        headers = [] if given is None else [(b"authorization", given.encode())]
        with here(studio, watch) as client:
            answer = client.request(method, path, json=body, headers=headers)
        problem(answer, 401, "not-authorised")
        assert answer.headers["www-authenticate"] == "Bearer"
        assert studio.store.seasons() == ()
        assert studio.steering is not None
        assert studio.steering.flags.version == 0

    @pytest.mark.parametrize(("method", "path", "body"), WRITES)
    @pytest.mark.parametrize("given", ["", "Bearer ", "Bearer x"])
    def test_where_no_token_is_set_nothing_is_changed_at_all(
        self, studio: Studio, watch: Watch, method: str, path: str, body: Any, given: str
    ) -> None:
        with here(studio, watch, token=UNSET) as client:
            answer = client.request(method, path, json=body, headers={"authorization": given})
        assert "Set CINEGEN_API_TOKEN" in problem(answer, 403, "no-token-set")["detail"]

    @pytest.mark.parametrize(("method", "path", "body"), WRITES)
    @pytest.mark.parametrize(
        "origin",
        ["http://evil.example", "null", "https://127.0.0.1:8501", "http://127.0.0.1", "http://[", ""],
    )
    def test_pages_of_others_change_nothing(
        self, client: TestClient, studio: Studio, method: str, path: str, body: Any, origin: str
    ) -> None:
        problem(client.request(method, path, json=body, headers={"origin": origin}), 403, "other-origin")

    def test_the_writes_tried_here_are_all_that_there_are(self, studio: Studio, watch: Watch) -> None:
        with here(studio, watch) as client:
            paths = client.get("/openapi.json").json()["paths"]
        declared = {
            (method.upper(), path.replace("{key}", "genre_engines"))
            for path, methods in paths.items()
            for method in methods
            if method != "get"
        }
        tried = {
            (method, path.replace("/0000000000000000", "/{id}").replace("/one/", "/{id}/"))
            for method, path, _ in WRITES
        }
        assert declared == tried

    @pytest.mark.parametrize("path", READS)
    def test_from_elsewhere_nothing_is_read_without_the_token(
        self, studio: Studio, watch: Watch, path: str
    ) -> None:
        with here(studio, watch, address="192.0.2.7") as client:
            problem(client.get(path), 401, "not-authorised")
            assert client.get(path, headers={"authorization": f"Bearer {TOKEN}"}).status_code in (200, 404)
        with here(studio, watch, address="192.0.2.7", token=UNSET) as client:
            problem(client.get(path), 403, "no-token-set")

    @pytest.mark.parametrize("address", ["127.0.0.1", "127.8.8.8", "::1", "::ffff:127.0.0.1"])
    @pytest.mark.parametrize("host", ["127.0.0.1:8501", "localhost:8501", "[::1]:8501", "localhost"])
    def test_at_the_studios_own_computer_reading_is_free(
        self, studio: Studio, watch: Watch, address: str, host: str
    ) -> None:
        with here(studio, watch, address=address) as client:
            assert client.get("/healthz", headers={"host": host}).status_code == 200

    @pytest.mark.parametrize(
        "headers",
        [
            {"x-forwarded-for": "192.0.2.7"},
            {"forwarded": "for=192.0.2.7"},
            {"host": "evil.example"},
            {"host": "127.0.0.1.evil.example"},
            {"host": "["},
        ],
    )
    def test_a_proxy_or_a_page_on_it_is_not_the_computer_itself(
        self, studio: Studio, watch: Watch, headers: dict[str, str]
    ) -> None:
        with here(studio, watch) as client:
            problem(client.get("/healthz", headers=headers), 401, "not-authorised")


class TestLimits:
    @pytest.fixture
    def studio(self, spared: Studio) -> Studio:
        return spared

    @pytest.mark.parametrize(("method", "path", "body"), [one for one in WRITES if one[2] is not None])
    @pytest.mark.parametrize(
        "media", ["text/plain", "application/x-www-form-urlencoded", "multipart/form-data", ""]
    )
    def test_only_json_is_taken(
        self, client: TestClient, method: str, path: str, body: Any, media: str
    ) -> None:
        answer = client.request(method, path, content=json.dumps(body), headers={"content-type": media})
        problem(answer, 415, "not-json")

    @pytest.mark.parametrize(
        "content",
        ["", " ", "{", "[]", "3", '{"a": NaN}', '{"on": true, "on": false}', "[" * 50_000, b"\xff\xfe"],
    )
    def test_what_is_no_json_object_is_refused(self, client: TestClient, content: Any) -> None:
        answer = client.post("/emergency", content=content, headers={"content-type": "application/json"})
        problem(answer, 400, "broken")

    def test_half_a_character_is_refused(self, client: TestClient) -> None:
        body = '{"on": true, "who": "Pip", "reason": "\\ud800"}'
        answer = client.post(
            "/emergency", content=body, headers={"content-type": "application/json; charset=utf-8"}
        )
        assert answer.status_code in (400, 422)

    @pytest.mark.parametrize("said", [True, False])
    def test_a_body_may_only_be_so_large(self, studio: Studio, watch: Watch, said: bool) -> None:
        headers = {"authorization": f"Bearer {TOKEN}", "content-type": "application/json"}
        long = json.dumps({"on": True, "who": "Pip", "reason": "x" * 100}).encode()
        with here(studio, watch, limits=Limits(body_bytes=100)) as client:
            content: Any = long if said else iter([long[:60], long[60:]])
            answer = client.post("/emergency", content=content, headers=headers)
            assert "100 bytes" in problem(answer, 413, "too-large")["detail"]
        assert studio.emergency is None

    def test_a_client_may_only_ask_so_often(self, studio: Studio, watch: Watch) -> None:
        clock = FakeClock()
        with here(studio, watch, clock=clock, limits=Limits(per_second=0.5, burst=2)) as client:
            assert [client.get("/healthz").status_code for _ in range(3)] == [200, 200, 429]
            answer = client.get("/nothing")
            problem(answer, 429, "too-many")
            assert busy_seconds(answer) == 2
            clock.seconds = 2.0
            assert [client.get("/healthz").status_code for _ in range(2)] == [200, 429]

    def test_one_client_does_not_use_up_what_another_may_ask(self, studio: Studio, watch: Watch) -> None:
        app = api_app(studio, watch, token=TOKEN, clock=FakeClock(), limits=Limits(burst=1))
        first, second = (
            TestClient(app, base_url="http://localhost", client=(address, 1))
            for address in ("127.0.0.1", "127.0.0.2")
        )
        assert [one.get("/healthz").status_code for one in (first, first, second)] == [200, 429, 200]

    def test_only_so_many_are_answered_at_the_same_time(self, watch: Watch) -> None:
        with a_studio(StuckWriter()) as studio, here(studio, watch, limits=Limits(concurrent=1)) as client:
            client.headers["authorization"] = f"Bearer {TOKEN}"
            job = write(client, wait=False).json()["job"]
            with client.stream("GET", f"/jobs/{job}/events"):
                answer = client.get("/metrics")
                problem(answer, 503, "too-many-at-once")
                assert busy_seconds(answer) >= 1
                assert client.get("/healthz").status_code == 200
                studio.cancel(job)
                studio.wait(job, 20)
            assert client.get("/metrics").status_code == 200


class TestWhatGoesWrong:
    @pytest.mark.parametrize("path", ["/", "", "/nothing", "/generate", "/metrics/x", "/openapi.json/"])
    def test_where_there_is_nothing_the_answer_is_json_too(self, client: TestClient, path: str) -> None:
        answer = client.get(f"http://127.0.0.1:8501/api{path}", follow_redirects=True)
        if path == "/openapi.json/":
            assert answer.status_code == 200  # led to the right address
            return
        assert "/api/openapi.json" in problem(answer, 404, "not-found")["detail"]

    @pytest.mark.parametrize(
        ("method", "path", "allowed"),
        [
            ("PUT", "/generate/episode", "GET, HEAD, POST"),
            ("POST", "/healthz", "GET, HEAD"),
            ("GET", "/emergency", "POST"),
            ("PATCH", "/jobs/x", "DELETE, GET, HEAD"),
            ("OPTIONS", "/emergency", "POST"),
        ],
    )
    def test_what_cannot_be_done_there_says_what_can(
        self, client: TestClient, method: str, path: str, allowed: str
    ) -> None:
        answer = client.request(method, path)
        problem(answer, 405, "wrong-method")
        assert answer.headers["allow"] == allowed

    def test_the_unexpected_is_logged_and_not_shown(
        self, client: TestClient, watch: Watch, caplog: pytest.LogCaptureFixture
    ) -> None:
        watch.breaks = True
        with caplog.at_level(logging.ERROR):
            answer = client.get("/generate/episode?endpoint=health")
        problem(answer, 500, "unexpected")
        assert "hunter2" not in answer.text
        assert "hunter2" in caplog.text

    def test_a_studio_that_cannot_keep_anything_is_no_longer_sent_to(self, watch: Watch) -> None:
        with a_studio(store=FullDisk()) as studio, here(studio, watch) as client:
            answer = client.get("/healthz")
            assert "Free some space" in problem(answer, 503, "unable")["detail"]
            assert busy_seconds(answer) >= 1

    def test_an_episode_that_could_not_be_kept_is_no_success(self, watch: Watch) -> None:
        with a_studio(store=FullDisk()) as studio, here(studio, watch) as client:
            client.headers["authorization"] = f"Bearer {TOKEN}"
            assert "Free some space" in problem(write(client), 500, "not-written")["detail"]

    def test_a_studio_that_can_write_is_sent_to(self, client: TestClient) -> None:
        assert client.get("/healthz").json() == {"status": "ok"}
        assert client.head("/healthz").status_code == 200

    def test_answers_are_not_kept_on_the_way(self, client: TestClient) -> None:
        for path in ("/healthz", "/nothing"):
            assert client.get(path).headers["cache-control"] == "no-store"


class TestDescription:
    @pytest.fixture
    def document(self, client: TestClient) -> Any:
        return client.get("/openapi.json").json()

    def test_it_lists_exactly_what_there_is(self, studio: Studio, watch: Watch, document: Any) -> None:
        app = api_app(studio, watch, token=TOKEN)
        routes = {
            route.path: {method.lower() for method in route.methods or ()} - {"head"}
            for route in app.routes
            if isinstance(route, Route)
        }
        assert len(routes) == len(app.routes)
        assert {path: set(methods) for path, methods in document["paths"].items()} == routes
        assert document["openapi"] == "3.1.0"
        assert document["servers"] == [{"url": "/api"}]

    def test_every_operation_has_its_own_id_and_says_what_it_needs(self, document: Any) -> None:
        operations = [
            (method, one) for methods in document["paths"].values() for method, one in methods.items()
        ]
        ids = [one["operationId"] for _, one in operations]
        assert len(set(ids)) == len(ids)
        assert all(({} in one["security"]) == (method == "get") for method, one in operations)

    def test_all_that_it_refers_to_is_there(self, document: Any) -> None:
        schemas = document["components"]["schemas"]
        refers = {part.split('"')[0] for part in json.dumps(document).split("#/components/schemas/")[1:]}
        assert refers <= schemas.keys()
        validator = import_module("jsonschema").Draft202012Validator
        for schema in schemas.values():
            validator.check_schema(schema)

    def test_answers_are_as_described(self, client: TestClient, watch: Watch, document: Any) -> None:
        watch.has = [Alert()]
        cases: list[tuple[str, str, str, Any]] = [
            ("/generate/episode", "get", f"/generate/episode?endpoint={question}", None)
            for question in QUESTIONS
        ]
        job = write(client).headers["content-location"].rpartition("/")[2]
        cases += [
            ("/generate/episode", "post", "/generate/episode", {"storyBible": BIBLE}),
            ("/generate/episode", "post", "/generate/episode", {"storyBible": BIBLE, "wait": False}),
            ("/generate/episode", "post", "/generate/episode", {"storyBible": {}}),
            ("/jobs/{id}", "get", f"/jobs/{job}", None),
            ("/jobs/{id}", "get", "/jobs/x", None),
            ("/jobs/{id}", "delete", f"/jobs/{job}", None),
            ("/feedback", "post", "/feedback", {"generation": job, "action": "exported"}),
            ("/flags/{key}", "post", "/flags/genre_engines", {"percent": 5, **SIGNED}),
            ("/flags/{key}/rearm", "post", "/flags/genre_engines/rearm", SIGNED),
            ("/flags/{key}", "post", "/flags/genre_engines", {"percent": 6, **SIGNED, "version": 0}),
            ("/flags/{key}/rollback", "post", "/flags/genre_engines/rollback", SIGNED),
            ("/emergency", "post", "/emergency", {"on": True, **SIGNED}),
            ("/alerts/{id}/acknowledge", "post", "/alerts/one/acknowledge", {"by": "Pip"}),
            ("/healthz", "get", "/healthz", None),
        ]
        validator = import_module("jsonschema").Draft202012Validator
        for path, method, address, body in cases:
            answer = client.request(method.upper(), address, json=body)
            described = document["paths"][path][method]["responses"][str(answer.status_code)]
            schema = described["content"][answer.headers["content-type"]]["schema"]
            validator({**schema, "components": document["components"]}).validate(answer.json())
            if body is not None and answer.status_code < 400:
                schema = document["paths"][path][method]["requestBody"]["content"]["application/json"][
                    "schema"
                ]
                validator({**schema, "components": document["components"]}).validate(body)
