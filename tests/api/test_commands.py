"""What operators and readers do over HTTP."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from starlette.testclient import TestClient

from cinegen_core.flags.journal import JournalError
from cinegen_core.studio import Studio
from tests.api.room import SIGNED, TOKEN, Alert, Watch, here, problem
from tests.fakes import FakeClock, a_studio


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
        assert watch.told == [("a" * 16, "rated", 9, "the ending", ""), ("a" * 16, "chose", None, "", "")]

    def test_a_reader_may_say_who_they_are_and_is_nobody_otherwise(self, watch: Watch) -> None:
        body = {"generation": "a" * 16, "action": "rated", "rating": 9}
        with a_studio(install_id="this-installation") as studio, here(studio, watch) as client:
            client.headers["authorization"] = f"Bearer {TOKEN}"
            client.post("/feedback", json={**body, "who": " Ada "})
            client.post("/feedback", json=body)
            problem(client.post("/feedback", json={**body, "who": " "}), 422, "invalid")
        assert [told[-1] for told in watch.told] == ["Ada", ""]

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

    def test_a_rule_is_silenced_for_some_minutes_with_who_and_why(
        self, client: TestClient, watch: Watch
    ) -> None:
        body = {"rule": "quality_critical", "minutes": 90, "why": "the model is being changed", "by": "Pip"}
        until = FakeClock().now() + timedelta(minutes=90)
        assert client.post("/alerts/silence", json=body).json() == {
            "success": True, "rule": "quality_critical", "until": until.isoformat().replace("+00:00", "Z"),
        }  # fmt: skip
        assert watch.told == [("quality_critical", until, "Pip", "the model is being changed")]

    def test_a_silence_is_lifted_by_one_of_no_minutes(self, client: TestClient, watch: Watch) -> None:
        body = {"rule": "time_warning", "minutes": 0, "why": "done", "by": "Pip"}
        assert client.post("/alerts/silence", json=body).status_code == 200
        assert watch.told == [("time_warning", FakeClock().now(), "Pip", "done")]

    def test_a_rule_that_there_is_not_cannot_be_silenced_and_those_there_are_are_named(
        self, client: TestClient, watch: Watch
    ) -> None:
        body = {"rule": "quality", "minutes": 90, "why": "x", "by": "Pip"}
        told = problem(client.post("/alerts/silence", json=body), 404, "not-known")
        assert {"quality_critical", "uptime_critical"} <= set(told["known"])
        assert watch.told == []

    @pytest.mark.parametrize(
        "changes", [{"minutes": -1}, {"minutes": 7 * 24 * 60 + 1}, {"why": " "}, {"by": ""}]
    )
    def test_a_silence_without_end_or_without_a_reason_is_refused(
        self, client: TestClient, watch: Watch, changes: Any
    ) -> None:
        body = {"rule": "quality_critical", "minutes": 90, "why": "x", "by": "Pip", **changes}
        problem(client.post("/alerts/silence", json=body), 422, "invalid")
        assert watch.told == []
