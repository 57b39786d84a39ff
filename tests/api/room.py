"""What the tests of the HTTP interface start from: a monitor that says what it is told to, writers, requests and answers."""

from __future__ import annotations

import asyncio
import json
import shutil
import threading
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import yaml
from starlette.applications import Starlette
from starlette.routing import Mount
from starlette.testclient import TestClient

from cinegen_core.api import Monitor, api_app
from cinegen_core.flags.control import Flags
from cinegen_core.flags.journal import MemoryJournal
from cinegen_core.monitor import Health
from cinegen_core.monitor.events import FeedbackEvent
from cinegen_core.steering import MemoryOutcomes, Steering
from cinegen_core.store import MemoryStore, Record, StoreError
from cinegen_core.story import Draft, EpisodeRequest, Policy
from cinegen_core.story.model import Noun
from cinegen_core.studio import Studio
from cinegen_core.writers.base import Desk
from tests.builders import SMALLEST_BIBLE
from tests.fakes import OUTLINE, FakeClock, FakeWriter, on_request

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
    ("POST", "/alerts/silence", {"rule": "quality_critical", "minutes": 60, "why": "we know", "by": "Pip"}),
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
        self.told.append((event.generation, event.action, event.rating, event.why, event.who))

    def acknowledge(self, alert: str, by: str) -> None:
        if alert not in {one.id for one in self.has}:
            raise LookupError(f"There is no alert {alert}.")
        self.told.append((alert, by))

    def silence(self, rule: str, *, until: datetime, by: str, why: str) -> None:
        self.told.append((rule, until, by, why))

    def prometheus(self) -> str:
        return "cinegen_episodes_total 3\n"


class FullDisk(MemoryStore):
    def check(self) -> None:
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


def steering(folder: Path) -> Steering:
    file = Path(shutil.copy(DECLARED, folder / "flags.toml"))
    journal, clock = MemoryJournal(), FakeClock()
    flags = Flags(file, journal, now=clock.now, on_problem=print, monotonic=clock.monotonic)
    return Steering(flags, MemoryOutcomes(), journal.read, now=clock.now, warn=print)


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
