"""Figures over HTTP, as operators and their dashboards read them."""

from __future__ import annotations

from typing import Any

import pytest
from starlette.testclient import TestClient

from cinegen_core.monitor import Health
from cinegen_core.monitor.health import Issue
from cinegen_core.studio import Studio
from tests.api.room import (
    NOTHING_YET,
    QUESTIONS,
    SIGNED,
    THE_GUIDES,
    TOKEN,
    Alert,
    Watch,
    asked,
    here,
    problem,
)
from tests.fakes import a_studio


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
