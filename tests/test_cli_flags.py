"""Operators change flags on the command line, and can say afterwards who changed what, when and why."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from cinegen_core.cli import app

DECLARED = Path(__file__).parents[1] / "flags.toml"


class Operator:
    def __init__(self, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.file = folder / "flags.toml"
        shutil.copy(DECLARED, self.file)
        monkeypatch.setenv("CINEGEN_FLAGS_FILE", str(self.file))
        monkeypatch.setenv("CINEGEN_DATA_DIR", str(folder / "data"))
        monkeypatch.setenv("CINEGEN_INSTALL_ID", "bob")

    def __call__(self, *arguments: str, code: int = 0) -> str:
        done = CliRunner().invoke(app, ["flags", *arguments])
        assert done.exit_code == code, done.output
        return done.output

    def read(self, *arguments: str) -> Any:
        return json.loads(self(*arguments, "--json"))


@pytest.fixture
def flags(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Operator:
    return Operator(tmp_path, monkeypatch)


def test_all_seven_are_listed_with_what_they_are_set_to(flags: Operator) -> None:
    rows = {row["flag"]: (row["enabled"], row["percent"]) for row in flags.read("list")}
    assert rows == {
        "complete_context": (True, 100), "high_temperature": (True, 100), "enhanced_fallbacks": (True, 100),
        "production_monitoring": (True, 100), "comprehensive_engines": (True, 100), "genre_engines": (True, 90),
        "beta_features": (False, 5),
    }  # fmt: skip
    assert "genre_engines            on for 90 %; needs comprehensive_engines" in flags("list")


def test_a_flag_is_explained_down_to_the_bucket(flags: Operator) -> None:
    assert flags("explain", "genre_engines") == "genre_engines is on: bucket 61 <= 90 (SPLIT)\n"
    assert flags.read("explain", "beta_features", "--user", "eve")["reason"] == "DISABLED"
    assert "Did you mean 'genre_engines'" in flags("explain", "genre_engine", code=1)


def test_a_change_needs_a_reason_and_a_name_which_is_asked_for_once(flags: Operator) -> None:
    assert "--reason" in flags("set", "genre_engines", "--percent", "50", code=2)
    assert "--who" in flags("set", "genre_engines", "--percent", "50", "--reason", "slower", code=2)
    flags("set", "genre_engines", "--percent", "50", "--reason", "slower", "--who", "Ada")
    flags("set", "genre_engines", "--percent", "60", "--reason", "again")
    assert [(one["who"], one["why"]) for one in flags.read("journal")] == [
        ("Ada", "slower"),
        ("Ada", "again"),
    ]
    assert "--who" not in flags("journal")


def test_a_change_decided_from_an_older_state_is_refused_with_the_newer_one(flags: Operator) -> None:
    flags("set", "genre_engines", "--percent", "50", "--reason", "slower", "--who", "Ada")
    said = flags("set", "genre_engines", "--off", "--reason", "stop", "--version", "0", code=1)
    assert "Ada" in said


def test_a_rollback_holds_until_somebody_re_arms_it(flags: Operator) -> None:
    flags("rollback", "comprehensive_engines", "--reason", "it repeats itself", "--who", "Ada")
    assert "rolled back: it repeats itself" in flags("explain", "genre_engines")
    assert "Ada" in flags("set", "comprehensive_engines", "--on", "--reason", "try", code=1)
    flags("rearm", "comprehensive_engines", "--reason", "mended")
    assert flags.read("explain", "comprehensive_engines")["value"] is True


def test_an_emergency_and_its_end_are_journalled(flags: Operator) -> None:
    flags("emergency", "on", "--reason", "nonsense", "--who", "Ada")
    assert flags.read("explain", "complete_context")["reason"] == "EMERGENCY"
    assert "Emergency since" in flags("list")
    flags("emergency", "off", "--reason", "over")
    assert flags.read("explain", "complete_context")["value"] is True


def test_a_rollout_is_started_and_shows_its_gates(flags: Operator) -> None:
    name = "comprehensive_engines_rollout"
    assert "not started" in flags("status")
    flags("rollout", "start", name, "--reason", "week five", "--who", "Ada")
    assert {row["flag"]: row["percent"] for row in flags.read("list")}["comprehensive_engines"] == 25
    standing = next(row for row in flags.read("status") if row["what"] == name)
    assert [gate[0] if isinstance(gate, list) else gate["name"] for gate in standing["gates"]] == [
        "dwell", "quality", "errors", "samples",
    ]  # fmt: skip
    flags("rollout", "pause", name, "--reason", "lunch")
    flags("rollout", "resume", name, "--reason", "back")
    flags("rollout", "abort", name, "--reason", "enough")
    kinds = [one["kind"] for one in flags.read("journal")]
    assert kinds[0] == "rollout_started"
    assert kinds[-1] == "rollout_aborted"


def test_drift_is_shown_and_folded_back_with_the_comments_kept(flags: Operator) -> None:
    assert "as their file says" in flags("drift")
    flags("set", "genre_engines", "--percent", "50", "--reason", "slower", "--who", "Ada")
    assert "genre_engines.rollout: 90 in the file, 50 in force (Ada" in flags("drift")
    before = flags.file.read_text(encoding="utf-8")
    flags("fold-back", "--reason", "it stays")
    after = flags.file.read_text(encoding="utf-8")
    assert after == before.replace("rollout = 90", "rollout = 50")
    assert "as their file says" in flags("drift")


def test_a_file_with_a_mistake_is_named_with_line_and_key(flags: Operator) -> None:
    text = flags.file.read_text(encoding="utf-8").replace("rollout = 90", "rollout = 900")
    flags.file.write_text(text, encoding="utf-8")
    said = flags("list", code=1)
    line = text[: text.index("rollout = 900")].count("\n") + 1
    assert f"{flags.file}" in said.replace("\n", "")
    assert str(line) in said


def test_nothing_recorded_means_nothing_to_replay_and_a_trigger_is_named_to_be_tried(flags: Operator) -> None:
    assert "Nothing would have been called for" in flags("replay")
    assert "--trigger" in flags("replay", "--threshold", "0.2", code=2)
    assert (
        flags.read("replay", "--trigger", "error_rate_spike", "--threshold", "0.2", "--policy", "literal")
        == []
    )
