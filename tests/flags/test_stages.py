"""What a flag did at each percentage of its rollout can be told apart."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from cinegen_core.flags.control import Flags
from cinegen_core.flags.declared import load_declared
from cinegen_core.flags.journal import MemoryJournal
from cinegen_core.flags.model import Sample
from cinegen_core.flags.stages import stages

FILE = Path(__file__).parents[2] / "flags.toml"
START = datetime(2026, 1, 5, tzinfo=UTC)


def samples(first: int, number: int, *, quality: float, on: bool) -> list[Sample]:
    flag = frozenset(["genre_engines"])
    return [
        Sample(
            at=START + timedelta(minutes=first + n), on=flag if on else frozenset(),
            off=frozenset() if on else flag, quality=quality + n % 2 / 10, seconds=20,
        )
        for n in range(number)
    ]  # fmt: skip


def test_each_percentage_is_a_stage_of_its_own() -> None:
    now = START
    journal = MemoryJournal()
    flags = Flags(FILE, journal, now=lambda: now, on_problem=pytest.fail)
    now = START + timedelta(minutes=100)
    flags.set("genre_engines", percent=25, who="Ada", why="careful")
    now = START + timedelta(minutes=200)
    flags.rollback("genre_engines", who="Ada", why="it reads worse")
    heard = [
        *samples(0, 10, quality=8.0, on=True),
        *samples(0, 10, quality=7.9, on=False),
        *samples(110, 20, quality=6.0, on=True),
        *samples(110, 20, quality=8.0, on=False),
        *samples(210, 6, quality=8.0, on=False),
    ]
    found = stages(heard, journal.read(), load_declared(FILE), "genre_engines")
    assert [stage.percent for stage in found] == [90, 25, 0]
    assert [stage.on.usage for stage in found] == [10, 20, 0]
    assert [stage.off.usage for stage in found] == [10, 20, 6]
    assert found[0].since is None
    assert found[1].until == found[2].since == START + timedelta(minutes=200)
    worse = found[1].differences.quality
    assert worse is not None
    assert worse.high < -1.5
    assert found[2].differences.quality is None


def test_without_changes_there_is_one_stage() -> None:
    found = stages([], [], load_declared(FILE), "beta_features")
    assert [(stage.percent, stage.since, stage.until) for stage in found] == [(0, None, None)]
    with pytest.raises(KeyError):
        stages([], [], load_declared(FILE), "nothing")
