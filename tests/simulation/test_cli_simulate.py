"""`cinegen simulate` records weeks once, writes them to a file, says what was planted, and what is wrong with its options."""

from __future__ import annotations

from functools import partial
from pathlib import Path

import pytest
import typer
from pydantic import TypeAdapter
from typer.testing import CliRunner

from cinegen_core import cli_simulate
from cinegen_core.cli_simulate import add_simulate
from cinegen_core.clock import SystemClock
from cinegen_core.monitor.events import Event
from cinegen_core.settings import Settings
from cinegen_core.simulation import pool as pools
from cinegen_core.simulation.pool import build_pool, read_pool
from cinegen_core.store.events import SqlEvents
from cinegen_core.store.sql import Database, sqlite_url


class Terminal:
    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.app = typer.Typer()
        self.app.callback()(lambda: None)
        flags = Path(__file__).parents[2] / "flags.toml"
        add_simulate(self.app, lambda: Settings(data_dir=folder, flags_file=flags), SystemClock())

    def __call__(self, *options: str, code: int = 0) -> str:
        done = CliRunner().invoke(self.app, ["simulate", "--days", "1", "--seed", "3", *options])
        assert done.exit_code == code, done.output
        return done.output

    def events(self) -> list[Event]:
        with Database(sqlite_url(self.folder / "cinegen.db")) as database:
            return [event for _, event in SqlEvents(database).read(series="simulated")]


@pytest.fixture
def terminal(tmp_path: Path) -> Terminal:
    return Terminal(tmp_path)


def test_the_same_twice_adds_nothing(terminal: Terminal) -> None:
    said = terminal("--start", "2026-01-05", "--incident", "crash@10h+30m")
    kept = terminal.events()
    assert f"{len(kept)} are new" in said
    assert "0 are new" in terminal("--start", "2026-01-05", "--incident", "crash@10h+30m")
    assert terminal.events() == kept


def test_it_says_what_was_planted_and_what_came_of_it(terminal: Terminal) -> None:
    said = terminal(
        "--start", "2026-01-05", "--incident", "crash@10h+30m", "--incident", "bad-rollout@2h+4h", "--rate", "100",
    )  # fmt: skip
    assert "crash, 2026-01-05 10:00 to 2026-01-05 10:30" in said
    assert "uptime_critical must fire: after 15 min" in said
    assert "rolled back by its triggers" in said


def test_a_file_has_every_event_on_a_line_and_the_store_none(terminal: Terminal, tmp_path: Path) -> None:
    out = tmp_path / "events.jsonl"
    terminal("--out", str(out), "--no-readers", "--start", "2026-03-02")
    lines = out.read_text("utf-8").splitlines()
    events = [TypeAdapter[Event](Event).validate_json(line) for line in lines]
    assert len(events) > 1440
    assert f"{events[0].at:%Y-%m-%d %H:%M}" == "2026-03-02 00:00"
    assert {event.kind for event in events} == {"generation", "heartbeat"}
    assert not (tmp_path / "cinegen.db").exists()


def test_the_pool_is_built_by_the_same_command(
    terminal: Terminal, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pools, "sample_names", lambda: ("dead_air",))
    monkeypatch.setattr(cli_simulate, "build_pool", partial(build_pool, seeds=1))
    monkeypatch.setattr(cli_simulate, "shipped_file", lambda: tmp_path / "pool.jsonl.gz")
    assert "2 requests, 6 answers" in terminal("--build-pool")
    assert len(read_pool((tmp_path / "pool.jsonl.gz").read_bytes(), "pool").entries) == 2


@pytest.mark.parametrize(
    ("options", "says"),
    [
        (["--incident", "meteor@1h+1h"], "is no incident"),
        (["--incidents", "six"], "`five`"),
        (["--incidents", "five"], "five days or more"),
        (["--incident", "crash@23h+2h"], "1 days are simulated"),
    ],
)
def test_wrong_options_are_explained(terminal: Terminal, options: list[str], says: str) -> None:
    assert says in terminal(*options, code=2)
