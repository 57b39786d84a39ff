"""What happens is recorded, and every figure comes from the record."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from cinegen_core.monitor.events import FeedbackEvent, GenerationEvent, HeartbeatEvent
from cinegen_core.monitoring import Monitoring, NoSuchAlertError
from cinegen_core.settings import Settings
from cinegen_core.store import MemoryStore
from cinegen_core.store.events import SqlEvents
from cinegen_core.store.results import NoResults, ResultCache
from cinegen_core.store.rollups import SqlRollups
from cinegen_core.store.sql import Database, sqlite_url
from cinegen_core.studio import Studio
from cinegen_core.writers.template import TemplateWriter
from tests.builders import a_request
from tests.fakes import FakeWriter, TitleEngine, by_form


class Time:
    def __init__(self) -> None:
        self.at = datetime(2026, 11, 1, 12, tzinfo=UTC)

    def monotonic(self) -> float:
        return self.at.timestamp()

    def now(self) -> datetime:
        return self.at


class Room:
    def __init__(self, folder: Path) -> None:
        self.folder, self.time = folder, Time()
        self.database = Database(sqlite_url(folder / "cinegen.db"))

    def monitoring(self, **changes: Any) -> Monitoring:
        values: dict[str, Any] = {"now": self.time.now, "secret": "s", "studio": "one", **changes}
        events = SqlEvents(self.database)
        return Monitoring(events, SqlRollups(self.database, events), **values)

    def studio(self, writer: FakeWriter, **changes: Any) -> Studio:
        values: dict[str, Any] = {"results": NoResults(), "monitoring": self.monitoring(), **changes}
        return Studio(
            Settings(automatic_emergency=False), clock=self.time, store=MemoryStore(), engines=(TitleEngine(),),
            writers={"comprehensive": writer, "enhanced_baseline": writer, "basic_fallback": TemplateWriter()},
            judge=by_form, **values,
        )  # fmt: skip


@pytest.fixture
def room(tmp_path: Path) -> Iterator[Room]:
    made = Room(tmp_path)
    yield made
    made.database.close()


def an_event(number: int, at: datetime, **changes: Any) -> GenerationEvent:
    values: dict[str, Any] = {
        "id": f"g{number}", "at": at, "tier": "comprehensive", "first": "comprehensive", "writer": "m",
        "profile": "model", "seconds": 20.0, "score": 8.2, "quality": 8.2,
    }  # fmt: skip
    return GenerationEvent.model_validate({**values, **changes})


async def test_every_answer_is_recorded_with_how_it_came_about(room: Room, tmp_path: Path) -> None:
    cache = ResultCache(tmp_path / "results", warn=pytest.fail)
    with room.studio(FakeWriter(), results=cache) as studio:
        await studio.generate(a_request(), who="bob")
        await studio.generate(a_request(), who="bob")
        await studio.generate(a_request(seed=2), who="eve")
        assert studio.monitoring is not None
        events = [event for event in studio.monitoring.events() if isinstance(event, GenerationEvent)]
    assert [(event.tier, event.kept, event.counts) for event in events] == [
        ("comprehensive", False, True), ("comprehensive", True, False), ("comprehensive", False, True),
    ]  # fmt: skip
    assert events[0].engines[0].engine == "Title"
    assert events[0].attempts[0].outcome == "accepted"


async def test_users_are_kept_as_a_keyed_hash_unless_the_operator_says_otherwise(room: Room) -> None:
    hidden = room.monitoring()
    assert hidden.user("bob") == room.monitoring().user("bob") != "bob"
    assert hidden.user("bob") != room.monitoring(secret="other").user("bob")
    assert room.monitoring(plain_users=True).user("bob") == "bob"
    with room.studio(FakeWriter()) as studio:
        await studio.generate(a_request(), who="bob")
    with room.database.reading() as connection:
        assert "bob" not in str(connection.exec_driver_sql("SELECT data FROM events").all())


def test_without_records_there_are_no_figures(room: Room) -> None:
    found = room.monitoring().overview()
    assert found["overview"] == {
        "totalEpisodes": 0, "averageQuality": None, "systemHealth": None, "uptime": None, "successRate": None,
    }  # fmt: skip
    assert found["quality"] == {"current": None, "trend": None, "qualityDistribution": {}}
    assert set(found["performance"].values()) == {None}


def test_figures_are_those_of_the_record_whichever_studio_asks(room: Room) -> None:
    one = room.monitoring()
    for number in range(20):
        one.generated(an_event(number, room.time.at - timedelta(minutes=20 - number)))
    other = room.monitoring(studio="two").overview()
    assert other == one.overview()
    assert other["overview"]["totalEpisodes"] == 20
    assert other["overview"]["averageQuality"] == 8.2
    assert other["overview"]["systemHealth"] == "HEALTHY"
    assert other["performance"]["averageProcessingTime"] == 20_000


def test_a_retry_of_the_same_record_counts_once(room: Room) -> None:
    monitoring = room.monitoring()
    event = an_event(1, room.time.at)
    monitoring.generated(event)
    monitoring.generated(event)
    assert monitoring.figures().total_episodes == 1


def test_an_alert_fires_from_the_record_is_acknowledged_and_resolved(room: Room) -> None:
    monitoring = room.monitoring()
    for number in range(80):
        room.time.at += timedelta(minutes=1)
        monitoring.generated(an_event(number, room.time.at, quality=5.0, score=5.0))
    firing = {view.rule: view for view in monitoring.alerts() if view.state == "firing"}
    assert "quality_critical" in firing
    assert monitoring.health().score == 70
    monitoring.acknowledge(firing["quality_critical"].id, "Ada")
    seen = {view.rule: view.acknowledged_by for view in room.monitoring(studio="two").alerts()}
    assert seen["quality_critical"] == "Ada"
    with pytest.raises(NoSuchAlertError):
        monitoring.acknowledge("nothing", "Ada")
    for number in range(80, 200):
        room.time.at += timedelta(minutes=1)
        monitoring.generated(an_event(number, room.time.at))
    assert monitoring.alerts() == ()
    assert (monitoring.mean_time_to_resolve() or 0) > 0


def test_a_studio_that_starts_again_knows_its_alerts(room: Room) -> None:
    first = room.monitoring()
    for number in range(80):
        room.time.at += timedelta(minutes=1)
        first.generated(an_event(number, room.time.at, quality=5.0, score=5.0))
    again = room.monitoring()
    before = len(again.events())
    room.time.at += timedelta(minutes=1)
    again.generated(an_event(80, room.time.at, quality=5.0, score=5.0))
    assert len(again.events()) == before + 1, "it does not fire a second time"


def test_uptime_is_from_heartbeats(room: Room) -> None:
    monitoring = room.monitoring()
    monitoring.beat("started")
    for _ in range(60):
        room.time.at += timedelta(minutes=1)
        monitoring.beat("running")
    monitoring.beat("stopped")
    assert monitoring.uptime() == 100.0
    assert all(isinstance(event, HeartbeatEvent) for event in monitoring.events())


def test_feedback_becomes_satisfaction(room: Room) -> None:
    monitoring = room.monitoring()
    monitoring.generated(an_event(1, room.time.at))
    for number, rating in enumerate((7, 9)):
        monitoring.feedback(
            FeedbackEvent(
                id=f"f{number}",
                at=room.time.at,
                who=f"reader {number}",
                generation="g1",
                action="rated",
                rating=rating,
            )
        )
    satisfaction = monitoring.figures().satisfaction
    assert satisfaction is not None
    assert (satisfaction.mean, satisfaction.count) == (8.0, 2)


def test_prometheus_is_offered_the_counters_that_the_exported_rules_read(room: Room) -> None:
    from cinegen_core.monitor.prometheus_rules import counters

    monitoring = room.monitoring()
    monitoring.generated(an_event(1, room.time.at))
    rows = dict(
        line.split('{series="live"} ') for line in monitoring.prometheus().splitlines() if line[0] != "#"
    )
    assert set(rows) >= set(counters())
    assert float(rows["cinegen_quality_sum"]) == pytest.approx(8.2)
    assert float(rows["cinegen_requests_total"]) == 1


def test_a_studio_that_is_served_records_that_it_runs_and_that_it_stopped(room: Room) -> None:
    with room.studio(FakeWriter()) as studio:
        studio.begin_heartbeats()
        studio.begin_heartbeats()
    beats = [event.state for event in room.monitoring().events() if isinstance(event, HeartbeatEvent)]
    assert beats[-1] == "stopped"
    assert beats.count("started") <= 1
