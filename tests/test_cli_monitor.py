"""Operators see on the command line how their studio does, and tell machines by the exit code."""

from __future__ import annotations

import json
import re
import shutil
import threading
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
import yaml
from typer.testing import CliRunner

from cinegen_core.cli import app
from cinegen_core.monitor.events import AlertEvent, EngineFact, FeedbackEvent, GenerationEvent
from cinegen_core.settings import Settings
from cinegen_core.store.events import SqlEvents
from cinegen_core.store.sql import Database, sqlite_url
from cinegen_core.studio import open_studio

DECLARED = Path(__file__).parents[1] / "flags.toml"


class Operator:
    """Somebody at a terminal, and what their studio has recorded."""

    def __init__(self, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.data, self.flags = folder / "data", folder / "flags.toml"
        shutil.copy(DECLARED, self.flags)
        monkeypatch.setenv("CINEGEN_FLAGS_FILE", str(self.flags))
        monkeypatch.setenv("CINEGEN_DATA_DIR", str(self.data))
        monkeypatch.setenv("CINEGEN_INSTALL_ID", "bob")
        self.set = monkeypatch.setenv

    def __call__(self, *arguments: str, code: int = 0) -> str:
        done = CliRunner().invoke(app, arguments)
        assert done.exit_code == code, (done.exit_code, done.output)
        return done.output

    def read(self, *arguments: str, code: int = 0) -> Any:
        return json.loads(self(*arguments, "--json", code=code))

    def recorded(self, *answers: GenerationEvent) -> None:
        settings = Settings(data_dir=self.data, flags_file=self.flags, install_id="bob")
        with open_studio(settings) as studio:
            assert studio.monitoring is not None
            for answer in answers:
                studio.monitoring.generated(answer)
                studio.monitoring.feedback(
                    FeedbackEvent(
                        id=f"f{answer.id}", at=answer.at, generation=answer.id, action="rated", rating=9
                    )
                )

    def alerted(self, rule: str = "quality_critical") -> str:
        """The id of an alert that fires."""
        self.data.mkdir(exist_ok=True)
        at = datetime.now(UTC) - timedelta(minutes=5)
        with Database(sqlite_url(self.data / "cinegen.db")) as database:
            SqlEvents(database).add(
                AlertEvent(
                    id="one-firing", at=at, alert="one", rule=rule, severity="critical", state="firing", value=6.5,
                    threshold=7.0, cause="attempts by primary fail",
                )
            )  # fmt: skip
        return "one"


@pytest.fixture
def operator(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Operator:
    return Operator(tmp_path, monkeypatch)


def answers(how_many: int, **changes: Any) -> list[GenerationEvent]:
    values: dict[str, Any] = {
        "at": datetime.now(UTC) - timedelta(minutes=2), "tier": "comprehensive", "first": "comprehensive", "writer": "m",
        "profile": "model", "seconds": 20.0, "score": 8.6, "quality": 8.6, "flags": {"genre_engines": True},
        "engines": (EngineFact(engine="Dialogue", delivered=True, realised=0.5),), **changes,
    }  # fmt: skip
    return [GenerationEvent.model_validate({"id": f"g{number}", **values}) for number in range(how_many)]


def test_a_studio_that_never_ran_has_no_data_rather_than_zeros(operator: Operator) -> None:
    assert "Health: no data" in operator("health", code=3)
    shown = operator("metrics")
    assert re.search(r"^Quality +no data$", shown, re.MULTILINE)
    assert re.search(r"^Time, P50 P95 P99 +no data$", shown, re.MULTILINE)
    assert "No alert is open." in operator("alerts", "list")
    assert "Success criteria over 7 days" in operator("readiness", code=3)


def test_health_shows_its_score_and_the_exit_code_tells_a_machine(operator: Operator) -> None:
    operator.recorded(*answers(12))
    assert "Health: 100 of 100, HEALTHY." in operator("health")
    assert operator.read("health")["status"] == "HEALTHY"


def test_bad_health_names_what_cost_points(operator: Operator) -> None:
    operator.recorded(*answers(12, score=5.0, quality=5.0, seconds=100.0, error=True))
    shown = operator("health", code=1)
    assert "CRITICAL" in shown
    assert "-30" in shown
    assert "mean quality is 2.0 below the minimum" in shown


def test_metrics_are_those_of_the_series_and_the_span_that_were_asked_for(operator: Operator) -> None:
    operator.recorded(*answers(3))
    assert operator.read("metrics")["episodes"] == 3
    assert operator.read("metrics", "--series", "staging")["episodes"] == 0
    assert operator.read("metrics", "--hours", "0.01")["episodes"] == 0
    shown = operator("metrics")
    assert re.search(r"^Quality +8\.60 of 10", shown, re.MULTILINE)
    assert re.search(r"^Dialogue +3 +3 +100\.0 % +0\.50$", shown, re.MULTILINE)
    assert re.search(r"^genre_engines +on +3 +8\.60", shown, re.MULTILINE)
    assert "9.00 of 10 (3 ratings)" in shown


def test_an_alert_is_listed_seen_and_who_saw_it_is_recorded(operator: Operator) -> None:
    id = operator.alerted()
    shown = operator("alerts", "list")
    assert re.search(
        r"one +critical +firing .*quality_critical +6\.50 +7\.00 +nobody +attempts by primary fail", shown
    )
    assert "--by" in operator("alerts", "ack", id, code=2)
    assert "seen by Ada" in operator("alerts", "ack", id, "--by", "Ada")
    assert operator.read("alerts", "list")["alerts"][0]["acknowledged_by"] == "Ada"
    assert "no open alert 'two'" in operator("alerts", "ack", "two", "--by", "Ada", code=1)


def test_the_operators_name_need_not_be_said_again(operator: Operator) -> None:
    id = operator.alerted()
    operator("flags", "set", "genre_engines", "--percent", "50", "--reason", "slower", "--who", "Ada")
    assert "seen by Ada" in operator("alerts", "ack", id)
    operator.set("CINEGEN_OPERATOR", "Pip")
    assert "seen by Pip" in operator("alerts", "ack", id)


def test_a_rule_is_silenced_for_a_while_and_told_of_again(operator: Operator) -> None:
    silence = ("alerts", "silence", "quality_critical")
    assert "silent until" in operator(*silence, "--for", "2h", "--why", "new model", "--by", "Ada")
    shown = operator("alerts", "list")
    assert re.search(r"Nobody is told of quality_critical until .* UTC, by Ada: new model", shown)
    [held] = operator.read("alerts", "list")["silences"]
    lasts = datetime.fromisoformat(held["until"]) - datetime.fromisoformat(held["at"])
    assert abs(lasts - timedelta(hours=2)) < timedelta(minutes=1)
    assert "people are told again" in operator(*silence, "--for", "0m", "--by", "Ada")
    assert operator.read("alerts", "list")["silences"] == []


@pytest.mark.parametrize("span", ["soon", "2", "-2h", "2 weeks", "9999d"])
def test_a_span_that_is_none_is_refused_with_an_example(operator: Operator, span: str) -> None:
    assert "2h" in operator("alerts", "silence", "quality_critical", f"--for={span}", "--by", "Ada", code=2)


def test_a_rule_that_is_not_there_is_refused_with_those_that_are(operator: Operator) -> None:
    said = operator("alerts", "silence", "quality", "--for", "2h", "--by", "Ada", code=1)
    assert "quality_critical" in said


def test_the_rules_are_exported_for_prometheus(operator: Operator, tmp_path: Path) -> None:
    rules = yaml.safe_load(operator("alerts", "export"))["groups"][0]["rules"]
    assert {rule["labels"]["rule"] for rule in rules} >= {"quality_critical", "uptime_critical"}
    file = tmp_path / "rules.yml"
    operator("alerts", "export", "--out", str(file))
    assert yaml.safe_load(file.read_text(encoding="utf-8"))["groups"][0]["rules"] == rules
    assert "cannot be written" in operator(
        "alerts", "export", "--out", str(tmp_path / "no" / "x.yml"), code=2
    )


def test_readiness_says_what_is_met_and_what_is_not(operator: Operator) -> None:
    operator.recorded(*answers(25, quality=7.0))
    shown = operator("readiness", code=1)
    assert re.search(r"^not met +Quality +7\.00 +at least 8\.0 +25 answers$", shown, re.MULTILINE)
    assert re.search(
        r"^no data +Fallback +0\.0 % +below 2 % +25 answers \(at least 50\)$", shown, re.MULTILINE
    )
    report = operator.read("readiness", code=1)
    assert report["verdict"] == "not met"
    assert [week["number"] for week in report["weeks"]] == [1, 4, 6, 8]
    assert report["criteria"][0] == {
        **report["criteria"][0],
        "key": "quality",
        "measured": 7.0,
        "samples": 25,
    }


def test_readiness_in_markdown_says_how_each_figure_was_measured(operator: Operator) -> None:
    page = operator("readiness", "--markdown", code=3)
    assert "## Success criteria: no data" in page
    rows = [line for line in page.splitlines() if line.startswith("| ") and "verdict" not in line]
    assert all(line.count("|") == 7 for line in rows)
    assert any("Mean quality of the answers, on the guide's scale." in line for line in rows)
    assert "not both" in operator("readiness", "--markdown", "--json", code=2)


def test_a_preflight_prints_each_check_and_readiness_knows_of_it(operator: Operator) -> None:
    shown = operator("preflight")
    assert re.search(r"^ok +HTTP endpoints \(.* s\): 6 of 6", shown, re.MULTILINE)
    assert shown.splitlines()[-1].endswith(" 0 failed.")
    report = operator.read("readiness", code=3)
    tested = next(week for week in report["weeks"] if week["number"] == 4)["indicators"]
    assert next(one for one in tested if one["key"] == "preflight")["verdict"] == "met"


def test_a_preflight_that_fails_says_so_to_machines(operator: Operator) -> None:
    text = operator.flags.read_text(encoding="utf-8").replace("rollout = 90", "rollout = 900")
    operator.flags.write_text(text, encoding="utf-8")
    report = operator.read("preflight", "--only", "flags", "--only", "data", code=1)
    assert [check["verdict"] for check in report["checks"]] == ["ok", "failed"]
    assert not (operator.data / "preflight.json").exists()
    assert "There is no check" in operator("preflight", "--only", "flag", code=2)


def test_settings_that_cannot_be_read_are_the_preflights_one_finding(operator: Operator) -> None:
    operator.set("CINEGEN_PORT", "many")
    report = operator.read("preflight", code=1)
    assert [check["key"] for check in report["checks"]] == ["settings"]
    assert "CINEGEN_PORT" in report["checks"][0]["seen"]


def test_a_store_that_cannot_be_read_is_told_in_words(operator: Operator) -> None:
    operator.data.mkdir()
    (operator.data / "cinegen.db").write_text(
        "this is no database, whatever its name says" * 50, encoding="utf-8"
    )
    for command in (("health",), ("metrics",), ("alerts", "list"), ("readiness",)):
        said = operator(*command, code=1)
        assert "cinegen.db" in said
        assert "Traceback" not in said


def test_a_trial_notice_arrives_where_alerts_are_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Or the command says that nobody is told of alerts at all."""
    heard: list[bytes] = []

    class Receiver(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            heard.append(self.rfile.read(int(self.headers["Content-Length"])))
            self.send_response(204)
            self.end_headers()

        def log_message(self, format: str, *args: object) -> None:
            """Nothing: the test looks at what was heard."""

    monkeypatch.setenv("CINEGEN_DATA_DIR", str(tmp_path))
    nobody = CliRunner().invoke(app, ["alerts", "test"])
    assert nobody.exit_code == 1
    assert "CINEGEN_WEBHOOK_URL" in nobody.output
    with ThreadingHTTPServer(("127.0.0.1", 0), Receiver) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        monkeypatch.setenv("CINEGEN_WEBHOOK_URL", f"http://127.0.0.1:{server.server_port}/hook")
        monkeypatch.setenv("CINEGEN_WEBHOOK_SECRET", "a long secret for the tests")
        done = CliRunner().invoke(app, ["alerts", "test"])
        server.shutdown()
    assert done.exit_code == 0, done.output
    assert len(heard) == 1
    assert b"trial" in heard[0].lower()
