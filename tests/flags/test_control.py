"""What operators change holds at once, everywhere, through kills and restarts; what was rolled back stays off."""

from __future__ import annotations

import contextlib
import json
import os
import random
import re
import shutil
import signal
import stat
import subprocess
import sys
import tempfile
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from pathlib import Path
from typing import Any
from unittest import mock

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule
from sqlalchemy import event

from cinegen_core.flags import control
from cinegen_core.flags.control import Drift, Flags, LatchedError, RefusedError, UnknownFlagError
from cinegen_core.flags.declared import DeclarationError, read_declared
from cinegen_core.flags.journal import Journal, JournalError, MemoryJournal, StaleVersionError, fold
from cinegen_core.flags.model import Change, Context, FlagOverlay
from cinegen_core.store.sql import Database, SqlJournal, sqlite_url

ROOT = Path(__file__).parents[2]
ADA = Context(user="ada")
NOON = datetime(2026, 1, 5, 12, tzinfo=UTC)
SIGNED: dict[str, Any] = {"who": "Ben", "why": "to see what happens"}

DECLARED = """\
# Flags of the studio.  Ask Cleo before you edit.

[flags.engines]   # the big one
description = "all engines"
enabled     = true      # since spring
rollout     = 100
users = ["ada"]         # she tries everything

# Depends on the one above.
[flags.genre]
enabled = true
depends_on = ["engines"]

[flags.beta]
enabled = false
rollout = 5  # careful
beta = true

[flags.regions]
enabled = true
strategies = [
  { percent = 10, where = { country = ["no", "se"] } },   # the north first
  { percent = 20 },
]

[rollouts.engines_rollout]
flag = "engines"
phases = [
  { percent = 25, dwell_hours = 48, quality = 8.0, errors = 0.05 },
  { percent = 50, dwell_hours = 72, quality = 8.0, errors = 0.03, approval = true },
  { percent = 100, dwell_hours = 48, quality = 8.0, errors = 0.02 },
]

[rollouts.beta_rollout]
flag = "beta"
phases = [{ percent = 10, dwell_hours = 1, quality = 8.0, errors = 0.05, approval = true }]
"""


@dataclass
class Times:
    """Clocks that stand still unless told to go on."""

    seconds: float = 0.0

    def monotonic(self) -> float:
        return self.seconds

    def now(self) -> datetime:
        return NOON + timedelta(seconds=self.seconds)


@dataclass
class Desk:
    """Where operators sit: a file, a journal, and what they have been told."""

    path: Path
    journal: Journal = field(default_factory=MemoryJournal)
    times: Times = field(default_factory=Times)
    told: list[str] = field(default_factory=list)

    def flags(self, every: float = 0.0) -> Flags:
        return Flags(
            self.path,
            self.journal,
            now=self.times.now,
            on_problem=self.told.append,
            rng=random.Random(1),
            monotonic=self.times.monotonic,
            every=every,
        )

    def write(self, text: str) -> None:
        self.path.write_text(text, encoding="utf-8", newline="")

    def edit(self, old: str, new: str) -> None:
        text = self.path.read_text(encoding="utf-8")
        assert old in text
        self.write(text.replace(old, new, 1))


@pytest.fixture
def desk(tmp_path: Path) -> Desk:
    made = Desk(tmp_path / "flags.toml")
    made.write(DECLARED)
    return made


@pytest.fixture
def flags(desk: Desk) -> Flags:
    return desk.flags()


def is_on(flags: Flags, key: str, context: Context = ADA) -> bool:
    return flags.evaluate(key, context).value


def share(flags: Flags, key: str) -> int:
    """Of a hundred thousand people, in percent."""
    snapshot = flags.snapshot()
    users = 2_000
    inside = sum(snapshot.evaluate(key, Context(user=f"person {n}")).value for n in range(users))
    return round(100 * inside / users)


# The file.


def test_without_changes_flags_are_as_declared(flags: Flags) -> None:
    assert is_on(flags, "engines")
    assert not is_on(flags, "beta")
    assert flags.version == 0
    assert flags.problem is None
    assert flags.drift() == ()
    assert flags.declared == read_declared(DECLARED, "flags.toml")


def test_an_edit_is_in_force_at_the_next_look(desk: Desk, flags: Flags) -> None:
    desk.edit("enabled     = true", "enabled     = false")
    assert not is_on(flags, "engines")
    assert flags.evaluate("engines", ADA).reason == "DISABLED"


def test_an_edit_of_the_same_length_within_one_tick_of_the_clock_is_seen(desk: Desk, flags: Flags) -> None:
    before = desk.path.stat()
    for old, new in ((5, 7), (7, 9), (9, 8)):
        desk.edit(f"rollout = {old} ", f"rollout = {new} ")
        os.utime(desk.path, ns=(before.st_atime_ns, before.st_mtime_ns))
        assert flags.declared.flags["beta"].percent == new


def test_a_file_that_was_not_touched_for_a_while_is_not_read_again(desk: Desk, flags: Flags) -> None:
    for _ in range(3):
        desk.times.seconds += 2.0
        flags.look()
    with mock.patch.object(Path, "read_bytes", side_effect=AssertionError("it was read")):
        flags.look()
        flags.evaluate("engines")
    desk.edit("rollout = 5 ", "rollout = 15 ")
    assert flags.declared.flags["beta"].percent == 15


def test_between_looks_nothing_is_asked(desk: Desk) -> None:
    flags = desk.flags(every=0.25)
    desk.edit("enabled     = true", "enabled     = false")
    desk.times.seconds = 0.24
    with (
        mock.patch.object(Path, "stat", side_effect=AssertionError("the file was looked at")),
        mock.patch.object(desk.journal, "version", side_effect=AssertionError("the journal was asked")),
    ):
        assert is_on(flags, "engines")
    desk.times.seconds = 0.26
    assert not is_on(flags, "engines")


def test_a_broken_edit_leaves_the_last_good_file_in_force_and_says_so_once(desk: Desk, flags: Flags) -> None:
    desk.edit("enabled     = true", "enabled     = perhaps")
    for _ in range(3):
        assert is_on(flags, "engines")
        flags.look()
    desk.path.touch()
    flags.look()
    assert len(desk.told) == 1
    assert "flags.toml:5:" in desk.told[0]
    assert flags.problem == desk.told[0]

    desk.edit("perhaps", "maybe")
    flags.look()
    desk.edit("maybe", "perhaps")
    flags.look()
    assert len(desk.told) == 2  # once for each of the two

    desk.edit("perhaps", "false")
    assert not is_on(flags, "engines")
    assert flags.problem is None
    desk.edit("enabled     = false", "enabled     = perhaps")
    flags.look()
    assert len(desk.told) == 3  # it was mended between


@pytest.mark.parametrize(
    ("content", "told"),
    [
        (b"", "half saved"),
        (b" \n", "half saved"),
        (DECLARED[: DECLARED.index('engines"')].encode(), "not TOML"),
        (b"[flags.\xff]", "not UTF-8"),
        (DECLARED.replace("beta = true", "betta = true").encode(), "did you mean beta?"),
    ],
)
def test_whatever_a_half_saved_file_holds_the_flags_stay(desk: Desk, content: bytes, told: str) -> None:
    flags = desk.flags()
    before = flags.declared
    desk.path.write_bytes(content)
    assert flags.declared == before
    assert told in str(flags.problem)
    desk.write(DECLARED)
    flags.look()
    assert flags.problem is None


def test_a_file_that_is_gone_leaves_its_flags(desk: Desk, flags: Flags) -> None:
    desk.path.rename(desk.path.with_name("aside"))
    flags.look()
    flags.look()
    assert is_on(flags, "engines")
    assert len(desk.told) == 1
    assert "flags.toml is gone. Put it back" in str(flags.problem)
    flags.set("engines", enabled=False, **SIGNED)  # what operators do goes on
    assert not is_on(flags, "engines")
    desk.path.with_name("aside").rename(desk.path)
    flags.look()
    assert flags.problem is None


def test_a_file_that_cannot_be_read_leaves_its_flags(desk: Desk, flags: Flags) -> None:
    desk.path.unlink()
    desk.path.mkdir()
    flags.look()
    assert is_on(flags, "engines")
    assert "flags.toml cannot be read (Is a directory)" in str(flags.problem)


@pytest.mark.parametrize(
    ("content", "told"),
    [
        (None, "cannot be read"),
        (b"[flags", "not TOML"),
        (b"\xff", "not UTF-8"),
        (b"[flag.a]", "did you mean"),
    ],
)
def test_a_file_that_is_broken_from_the_start_is_an_error(
    tmp_path: Path, content: bytes | None, told: str
) -> None:
    desk = Desk(tmp_path / "flags.toml")
    if content is not None:
        desk.path.write_bytes(content)
    with pytest.raises(DeclarationError, match=told):
        desk.flags()


def test_who_is_told_of_a_problem_may_ask_for_the_flags(desk: Desk) -> None:
    asked: list[bool] = []

    def ask(problem: str) -> None:
        other = threading.Thread(target=lambda: asked.append(is_on(asking, "engines")))
        other.start()
        other.join()

    asking = Flags(desk.path, desk.journal, now=desk.times.now, on_problem=ask, every=0.0)
    desk.write("broken")
    asking.look()
    assert asked == [True]


# Commands.

COMMANDS: dict[str, Callable[..., tuple[Change, ...]]] = {
    "set": lambda flags, **signed: flags.set("engines", enabled=False, **signed),
    "rollback": lambda flags, **signed: flags.rollback("engines", **signed),
    "rearm": lambda flags, **signed: flags.rearm("engines", **signed),
    "emergency": lambda flags, **signed: flags.emergency(**signed),
    "emergency_over": lambda flags, **signed: flags.emergency_over(**signed),
    "start_rollout": lambda flags, **signed: flags.start_rollout("engines_rollout", **signed),
    "pause_rollout": lambda flags, **signed: flags.pause_rollout("engines_rollout", **signed),
    "resume_rollout": lambda flags, **signed: flags.resume_rollout("engines_rollout", **signed),
    "approve_rollout": lambda flags, **signed: flags.approve_rollout("engines_rollout", **signed),
    "abort_rollout": lambda flags, **signed: flags.abort_rollout("engines_rollout", **signed),
    "advance_rollout": lambda flags, **signed: flags.advance_rollout("engines_rollout", 1, **signed),
    "complete_rollout": lambda flags, **signed: flags.complete_rollout("engines_rollout", **signed),
    "fold_back": lambda flags, **signed: flags.fold_back(**signed),
}


@pytest.mark.parametrize("name", COMMANDS)
@pytest.mark.parametrize(
    ("signed", "missing"),
    [
        ({"who": "", "why": "because"}, "'who'"),
        ({"who": " \t", "why": "because"}, "'who'"),
        ({"who": "Ben", "why": ""}, "'why'"),
        ({"who": "Ben", "why": "\n"}, "'why'"),
        ({"who": "B" * 201, "why": "because"}, "'who'"),
        ({"who": "Ben", "why": "b" * 2001}, "'why'"),
    ],
)
def test_every_change_needs_who_and_why(
    desk: Desk, flags: Flags, name: str, signed: dict[str, str], missing: str
) -> None:
    with pytest.raises(ValueError, match=missing):
        COMMANDS[name](flags, **signed)
    assert desk.journal.read() == ()


@pytest.mark.parametrize("name", COMMANDS)
def test_a_command_decided_from_an_older_state_is_refused_and_shown_the_newer_change(
    desk: Desk, flags: Flags, name: str
) -> None:
    seen = flags.version
    desk.flags().set("beta", percent=6, who="Cleo", why="a few more")
    with pytest.raises(StaleVersionError, match=r"Cleo, set beta \(a few more\)") as refused:
        COMMANDS[name](flags, **SIGNED, version=seen)
    assert [change.who for change in refused.value.newer] == ["Cleo"]
    assert desk.journal.version() == 1
    assert desk.path.read_text() == DECLARED


def test_who_loses_a_race_by_a_hair_is_refused_as_well(desk: Desk, flags: Flags) -> None:
    class Overtaken(MemoryJournal):
        def append(self, *changes: Change) -> None:
            if self.version() == 0:
                super().append(changes[0].model_copy(update={"who": "Cleo"}))
            super().append(*changes)

    desk.journal = Overtaken()
    flags = desk.flags()
    with pytest.raises(StaleVersionError, match="Cleo"):
        flags.set("engines", enabled=False, **SIGNED, version=0)
    desk.journal = Overtaken()
    flags = desk.flags()
    (made,) = flags.set("engines", enabled=False, **SIGNED)  # without a version, it is decided anew
    assert made.version == 2
    assert [change.who for change in desk.journal.read()] == ["Cleo", "Ben"]


def test_a_command_that_still_holds_is_carried_out(flags: Flags) -> None:
    seen = flags.set("beta", enabled=True, **SIGNED)[-1].version
    (change,) = flags.set("beta", percent=100, who=" Ben ", why=" all in ", version=seen)
    assert (change.version, change.who, change.why, change.at) == (2, "Ben", "all in", NOON)
    assert change.before == {"enabled": True, "percent": None, "latched": None}
    assert change.after == {"enabled": True, "percent": 100, "latched": None}
    assert is_on(flags, "beta", Context(user="anybody"))


@pytest.mark.parametrize("key", ["engine", "Engines", "engines_"])
def test_a_key_with_a_slip_is_met_with_the_one_that_was_meant(flags: Flags, key: str) -> None:
    for command in (flags.rollback, flags.rearm):
        with pytest.raises(UnknownFlagError, match=f"no flag '{key}'. Did you mean 'engines'?"):
            command(key, **SIGNED)
    with pytest.raises(UnknownFlagError, match="Did you mean 'engines_rollout'"):
        flags.start_rollout("engines_rolout", **SIGNED)
    with pytest.raises(UnknownFlagError, match=r"no flag 'zzz'\.$"):
        flags.set("zzz", enabled=True, **SIGNED)


def test_setting_needs_something_to_set(desk: Desk, flags: Flags) -> None:
    with pytest.raises(ValueError, match="Say what to set"):
        flags.set("engines", **SIGNED)
    for percent in (-1, 101):
        with pytest.raises(ValueError, match="from 0 to 100"):
            flags.set("engines", percent=percent, **SIGNED)
    desk.write(DECLARED + "\n[flags.nobody]\nenabled = true\nstrategies = []\n")
    with pytest.raises(RefusedError, match="no strategy"):
        flags.set("nobody", percent=5, **SIGNED)


# Rolling back.


def test_a_rollback_is_off_for_everybody_at_once_and_ends_the_rollout(desk: Desk, flags: Flags) -> None:
    flags.start_rollout("engines_rollout", **SIGNED)
    flags.rollback("engines", who="trigger", why="error rate 0.3")
    evaluation = flags.evaluate("engines", ADA)
    assert (evaluation.value, evaluation.reason) == (False, "DISABLED")
    assert "error rate 0.3" in evaluation.because
    assert flags.evaluate("genre", ADA).reason == "DEPENDENCY"
    assert flags.overlay.rollouts["engines_rollout"].state == "aborted"
    assert [change.kind for change in desk.journal.read()][-2:] == ["rollback", "rollout_aborted"]


def test_rolling_back_twice_keeps_the_first_reason(desk: Desk, flags: Flags) -> None:
    flags.rollback("engines", who="trigger", why="errors")
    assert flags.rollback("engines", who="Cleo", why="me too") == ()
    assert flags.overlay.flags["engines"].latched == "errors"
    assert desk.journal.version() == 1


@pytest.mark.parametrize(
    "command",
    [
        lambda flags: flags.set("engines", enabled=True, **SIGNED),
        lambda flags: flags.set("engines", percent=1, **SIGNED),
        *(
            lambda flags, name=name: COMMANDS[name](flags, **SIGNED)
            for name in (
                "start_rollout",
                "resume_rollout",
                "approve_rollout",
                "advance_rollout",
                "complete_rollout",
            )
        ),
        lambda flags: flags.fold_back(keys=["engines"], **SIGNED),
    ],
)
def test_what_was_rolled_back_refuses_to_be_switched_on(
    desk: Desk, flags: Flags, command: Callable[[Flags], object]
) -> None:
    flags.start_rollout("engines_rollout", **SIGNED)
    flags.rollback("engines", who="trigger", why="error rate 0.3")
    before = desk.journal.version()
    with pytest.raises(
        LatchedError, match=r"engines was rolled back by trigger at 2026-01-05 12:00 UTC: error rate 0\.3\."
    ):
        command(flags)
    assert desk.journal.version() == before


def test_reading_the_file_anew_never_undoes_a_rollback(desk: Desk, flags: Flags) -> None:
    flags.rollback("engines", **SIGNED)
    for text in (
        DECLARED + "\n",
        DECLARED.replace("enabled     = true", "enabled = false"),
        DECLARED,
        DECLARED[DECLARED.index("# Depends") : DECLARED.index("[rollouts.eng")].replace(
            'depends_on = ["engines"]', ""
        ),
        DECLARED,
    ):
        desk.write(text)
        flags.look()
        assert flags.problem is None
        assert not is_on(flags, "engines")
        assert not is_on(desk.flags(), "engines")


def test_a_rollout_whose_plan_had_left_the_file_is_not_running_when_it_comes_back(
    desk: Desk, flags: Flags
) -> None:
    flags.start_rollout("engines_rollout", **SIGNED)
    desk.write(DECLARED[: DECLARED.index("[rollouts.engines")])
    flags.rollback("engines", **SIGNED)
    flags.rearm("engines", **SIGNED)
    desk.write(DECLARED)
    flags.look()
    assert flags.overlay.rollouts["engines_rollout"].state == "aborted"


def test_rearming_brings_back_what_was_before_and_no_rollout(flags: Flags) -> None:
    flags.start_rollout("engines_rollout", **SIGNED)
    flags.rollback("engines", who="trigger", why="errors")
    flags.rearm("engines", who="Cleo", why="mended in 4.1")
    assert is_on(flags, "engines")
    assert flags.overlay.flags["engines"] == FlagOverlay(percent=25)
    assert flags.overlay.rollouts["engines_rollout"].state == "aborted"
    with pytest.raises(RefusedError, match="aborted"):
        flags.resume_rollout("engines_rollout", **SIGNED)
    with pytest.raises(RefusedError, match="not rolled back"):
        flags.rearm("engines", **SIGNED)


@pytest.mark.parametrize("who", ["trigger", " Trigger ", "rollout", "trigger:error_rate_spike"])
def test_only_a_person_rearms_or_approves(desk: Desk, flags: Flags, who: str) -> None:
    flags.rollback("engines", **SIGNED)
    with pytest.raises(RefusedError, match="A person re-arms engines"):
        flags.rearm("engines", who=who, why="all good again")
    with pytest.raises(RefusedError, match="A person approves"):
        flags.approve_rollout("beta_rollout", who=who, why="all good")
    assert not is_on(flags, "engines")
    assert desk.journal.version() == 1


def test_a_flag_that_left_the_file_can_still_be_rearmed(desk: Desk, flags: Flags) -> None:
    flags.rollback("beta", **SIGNED)
    beta = DECLARED[DECLARED.index("[flags.beta]") : DECLARED.index("[flags.regions]")]
    plan = DECLARED[DECLARED.index("[rollouts.beta") :]
    desk.write(DECLARED.replace(beta, "").replace(plan, ""))
    flags.rearm("beta", **SIGNED)
    assert flags.overlay.flags == {}


# Emergency.


def test_an_emergency_switches_everything_off_and_leaves_targeting_as_it_was(flags: Flags) -> None:
    flags.set("regions", percent=30, **SIGNED)
    declared, changed = flags.declared, flags.overlay.flags
    before = {key: share(flags, key) for key in declared.flags}
    flags.emergency(who="Cleo", why="the provider is down")
    for key in declared.flags:
        evaluation = flags.evaluate(key, ADA._replace(beta=True))
        assert (evaluation.value, evaluation.reason) == (False, "EMERGENCY")
        assert "the provider is down" in evaluation.because
    assert flags.declared == declared
    assert flags.overlay.flags == changed
    assert flags.emergency(**SIGNED) == ()  # the first reason stays
    assert flags.overlay.emergency is not None
    assert flags.overlay.emergency.who == "Cleo"

    flags.emergency_over(**SIGNED)
    assert {key: share(flags, key) for key in declared.flags} == before
    assert is_on(flags, "engines")
    assert flags.emergency_over(**SIGNED) == ()


def test_a_person_takes_over_an_emergency_that_health_began_and_health_none_of_a_persons(
    flags: Flags,
) -> None:
    flags.emergency(who="health", why="health is 40 of 100")
    (taken,) = flags.emergency(who="Cleo", why="the provider is down")
    assert isinstance(taken.before, dict)
    assert taken.before["who"] == "health"
    assert flags.emergency(who="health", why="health is 30 of 100") == ()
    assert flags.overlay.emergency is not None
    assert (flags.overlay.emergency.who, flags.overlay.emergency.why) == ("Cleo", "the provider is down")
    flags.emergency_over(**SIGNED)
    assert flags.overlay.emergency is None


def test_what_was_rolled_back_stays_off_after_an_emergency(flags: Flags) -> None:
    flags.emergency(**SIGNED)
    flags.rollback("engines", **SIGNED)
    flags.emergency_over(**SIGNED)
    assert not is_on(flags, "engines")


# Rollouts.


def test_a_rollout_goes_from_phase_to_phase(desk: Desk, flags: Flags) -> None:
    plan = "engines_rollout"
    flags.start_rollout(plan, **SIGNED)
    assert flags.overlay.flags["engines"].percent == 25
    assert share(flags, "engines") in range(22, 29)

    desk.times.seconds = 3600.0
    flags.advance_rollout(plan, 1, who="rollout", why="all gates met")
    standing = flags.overlay.rollouts[plan]
    assert (standing.state, standing.phase, standing.since) == ("running", 1, NOON + timedelta(hours=1))
    assert flags.overlay.flags["engines"].percent == 50

    with pytest.raises(RefusedError, match="once a person approves"):
        flags.advance_rollout(plan, 2, who="rollout", why="all gates met")
    flags.pause_rollout(plan, awaiting_approval=True, who="rollout", why="waits for approval")
    assert flags.overlay.rollouts[plan].state == "awaiting_approval"
    flags.approve_rollout(plan, **SIGNED)
    assert flags.overlay.rollouts[plan].phase == 2
    assert flags.overlay.flags["engines"].percent == 100

    flags.complete_rollout(plan, who="rollout", why="all gates met")
    assert flags.overlay.rollouts[plan].state == "completed"
    assert share(flags, "engines") == 100
    assert {change.kind for change in desk.journal.read()} == {
        "rollout_started",
        "rollout_advanced",
        "rollout_paused",
        "rollout_approved",
        "rollout_completed",
    }


def test_starting_a_rollout_enables_a_flag_that_was_off_for_no_more_than_the_first_phase(
    flags: Flags,
) -> None:
    flags.start_rollout("beta_rollout", **SIGNED)
    assert flags.overlay.flags["beta"] == FlagOverlay(enabled=True, percent=10)
    assert share(flags, "beta") in range(8, 13)
    flags.pause_rollout("beta_rollout", awaiting_approval=True, **SIGNED)
    flags.approve_rollout("beta_rollout", **SIGNED)  # of the last phase: its end
    assert flags.overlay.rollouts["beta_rollout"].state == "completed"


def test_a_pause_holds_the_percentage_and_the_phase(desk: Desk, flags: Flags) -> None:
    flags.start_rollout("engines_rollout", **SIGNED)
    flags.pause_rollout("engines_rollout", who="trigger", why="quality 6.9")
    assert flags.pause_rollout("engines_rollout", **SIGNED) == ()
    with pytest.raises(RefusedError, match=r"cannot be advanced: it is paused \(quality 6\.9\)"):
        flags.advance_rollout("engines_rollout", 1, **SIGNED)
    assert share(flags, "engines") in range(22, 29)
    desk.times.seconds = 60.0
    flags.resume_rollout("engines_rollout", **SIGNED)
    standing = flags.overlay.rollouts["engines_rollout"]
    assert (standing.state, standing.phase, standing.since) == ("running", 0, NOON)


def test_giving_a_rollout_up_lets_nobody_more_in(flags: Flags) -> None:
    flags.start_rollout("engines_rollout", **SIGNED)
    before = share(flags, "engines")
    flags.abort_rollout("engines_rollout", **SIGNED)
    assert share(flags, "engines") == before
    flags.set("engines", percent=40, **SIGNED)
    flags.start_rollout("engines_rollout", **SIGNED)
    assert flags.overlay.flags["engines"].percent == 25


@pytest.mark.parametrize(
    ("command", "why"),
    [
        (lambda flags: flags.start_rollout("engines_rollout", **SIGNED), "is running already"),
        (lambda flags: flags.set("engines", percent=90, **SIGNED), "is set by engines_rollout"),
        (lambda flags: flags.advance_rollout("engines_rollout", 0, **SIGNED), "in phase 1 of 3"),
        (lambda flags: flags.advance_rollout("engines_rollout", 2, **SIGNED), "cannot go to phase 3"),
        (lambda flags: flags.complete_rollout("engines_rollout", **SIGNED), "not the last"),
        (lambda flags: flags.resume_rollout("engines_rollout", **SIGNED), "it is running"),
        (lambda flags: flags.approve_rollout("engines_rollout", **SIGNED), "it is running"),
        (lambda flags: flags.pause_rollout("beta_rollout", **SIGNED), "has not been started"),
        (lambda flags: flags.fold_back(keys=["engines"], **SIGNED), "while engines_rollout is running"),
    ],
)
def test_a_rollout_takes_no_step_that_its_state_does_not_allow(
    flags: Flags, command: Callable[[Flags], object], why: str
) -> None:
    flags.start_rollout("engines_rollout", **SIGNED)
    before = flags.overlay
    with pytest.raises(RefusedError, match=why):
        command(flags)
    assert flags.overlay == before


def test_a_last_phase_that_asks_for_approval_is_not_completed_without(flags: Flags) -> None:
    flags.start_rollout("beta_rollout", **SIGNED)
    with pytest.raises(RefusedError, match="once a person approves"):
        flags.complete_rollout("beta_rollout", who="rollout", why="all gates met")


def test_a_flag_can_be_switched_off_by_hand_in_the_middle_of_its_rollout(flags: Flags) -> None:
    flags.start_rollout("engines_rollout", **SIGNED)
    flags.set("engines", enabled=False, **SIGNED)
    assert not is_on(flags, "engines")
    assert flags.overlay.flags["engines"] == FlagOverlay(enabled=False, percent=25)


# Drift, and folding back.


def test_drift_says_what_differs_from_the_file_by_whom_and_why(desk: Desk, flags: Flags) -> None:
    flags.set("engines", percent=40, who="Ben", why="too slow")
    desk.times.seconds = 60.0
    flags.set("engines", enabled=False, who="Cleo", why="far too slow")
    flags.set("genre", enabled=True, **SIGNED)  # as declared
    flags.rollback("regions", who="trigger", why="errors")
    at = NOON + timedelta(minutes=1)
    assert flags.drift() == (
        Drift(
            flag="engines",
            field="enabled",
            declared=True,
            effective=False,
            who="Cleo",
            why="far too slow",
            at=at,
        ),
        Drift(
            flag="engines", field="rollout", declared=100, effective=40, who="Ben", why="too slow", at=NOON
        ),
        Drift(
            flag="regions",
            field="enabled",
            declared=True,
            effective=False,
            who="trigger",
            why="errors",
            at=at,
            latched=True,
        ),
    )


def test_folding_back_changes_the_values_and_no_other_byte(desk: Desk, flags: Flags) -> None:
    flags.set("engines", enabled=False, percent=40, **SIGNED)
    flags.set("genre", percent=60, **SIGNED)
    flags.set("regions", percent=15, **SIGNED)
    before = {key: share(flags, key) for key in flags.declared.flags}
    desk.path.chmod(0o640)
    changes = flags.fold_back(**SIGNED)
    assert {change.subject: change.after for change in changes} == {
        "flag:engines": None,
        "flag:genre": None,
        "flag:regions": None,
    }
    expected = (
        DECLARED.replace("enabled     = true ", "enabled     = false ")
        .replace("rollout     = 100", "rollout     = 40")
        .replace('depends_on = ["engines"]\n', 'depends_on = ["engines"]\nrollout = 60\n')
        .replace("{ percent = 10, where", "{ percent = 15, where")
    )
    assert desk.path.read_text(encoding="utf-8") == expected
    assert stat.S_IMODE(desk.path.stat().st_mode) == 0o640
    assert [path.name for path in desk.path.parent.iterdir()] == ["flags.toml"]
    assert flags.drift() == ()
    assert flags.overlay.flags == {}
    assert {key: share(flags, key) for key in flags.declared.flags} == before
    assert flags.fold_back(**SIGNED) == ()


@pytest.mark.parametrize("ending", ["\r\n", "\n"])
def test_folding_back_keeps_line_endings_and_byte_order_mark(desk: Desk, ending: str) -> None:
    original = ("\ufeff" + DECLARED).replace("\n", ending)
    desk.write(original)
    flags = desk.flags()
    flags.set("genre", percent=6, **SIGNED)
    flags.fold_back(**SIGNED)
    depends = f'depends_on = ["engines"]{ending}'
    assert desk.path.read_bytes().decode() == original.replace(depends, f"{depends}rollout = 6{ending}")


def test_folding_back_goes_through_a_link_to_the_file(desk: Desk) -> None:
    real = desk.path.rename(desk.path.with_name("real.toml"))
    desk.path.symlink_to(real)
    flags = desk.flags()
    flags.set("beta", percent=6, **SIGNED)
    flags.fold_back(**SIGNED)
    assert desk.path.is_symlink()
    assert "rollout = 6 " in real.read_text()


def test_only_what_is_named_is_folded(desk: Desk, flags: Flags) -> None:
    flags.set("beta", percent=6, **SIGNED)
    flags.set("engines", percent=40, **SIGNED)
    flags.fold_back(keys=["beta"], **SIGNED)
    assert desk.path.read_text() == DECLARED.replace("rollout = 5 ", "rollout = 6 ")
    assert [drift.flag for drift in flags.drift()] == ["engines"]
    with pytest.raises(UnknownFlagError):
        flags.fold_back(keys=["bta"], **SIGNED)


def test_what_was_rolled_back_or_is_in_a_rollout_or_an_emergency_is_never_folded(
    desk: Desk, flags: Flags
) -> None:
    flags.set("regions", percent=15, **SIGNED)
    flags.rollback("regions", **SIGNED)
    flags.start_rollout("engines_rollout", **SIGNED)
    flags.emergency(**SIGNED)
    assert flags.fold_back(**SIGNED) == ()
    assert desk.path.read_text() == DECLARED
    flags.emergency_over(**SIGNED)
    assert not is_on(flags, "regions")
    assert flags.overlay.rollouts["engines_rollout"].state == "running"


def test_a_broken_file_is_not_folded_into(desk: Desk, flags: Flags) -> None:
    flags.set("beta", percent=6, **SIGNED)
    desk.edit("rollout = 5 ", "rollout = five ")
    broken = desk.path.read_bytes()
    with pytest.raises(RefusedError, match=r"flags\.toml:16"):
        flags.fold_back(**SIGNED)
    assert desk.path.read_bytes() == broken
    assert desk.journal.version() == 1


def test_who_saves_the_file_at_that_very_moment_is_not_overwritten(desk: Desk, flags: Flags) -> None:
    flags.set("beta", percent=6, **SIGNED)
    look = flags._file.look
    edited = DECLARED.replace("Cleo", "Dora")

    def look_then_somebody_saves(say: Callable[[str], object]) -> bool:
        found = look(say)
        desk.write(edited)
        return found

    with (
        mock.patch.object(flags._file, "look", look_then_somebody_saves),
        pytest.raises(RefusedError, match="by somebody else"),
    ):
        flags.fold_back(**SIGNED)
    assert desk.path.read_text() == edited
    flags.fold_back(**SIGNED)
    assert desk.path.read_text() == edited.replace("rollout = 5 ", "rollout = 6 ")


def test_a_file_that_cannot_be_written_stays_and_so_does_the_change(desk: Desk, flags: Flags) -> None:
    flags.set("beta", percent=6, **SIGNED)
    with (
        mock.patch("os.replace", side_effect=OSError(28, "No space left on device")),
        pytest.raises(OSError, match="No space left"),
    ):
        flags.fold_back(**SIGNED)
    assert [path.name for path in desk.path.parent.iterdir()] == ["flags.toml"]
    assert desk.path.read_text() == DECLARED
    assert [drift.flag for drift in flags.drift()] == ["beta"]


# Several at once.


@pytest.fixture
def database(tmp_path: Path) -> Iterator[Database]:
    with Database(sqlite_url(tmp_path / "db" / "flags.db")) as opened:
        yield opened


def test_replicas_see_each_others_changes_at_the_next_look(desk: Desk, database: Database) -> None:
    with Database(sqlite_url(Path(database.name))) as elsewhere:
        here = Desk(desk.path, SqlJournal(database)).flags()
        there = Desk(desk.path, SqlJournal(elsewhere)).flags()
        here.set("beta", enabled=True, percent=100, **SIGNED)
        assert is_on(there, "beta")
        there.rollback("beta", **SIGNED)
        assert not is_on(here, "beta")
        here.rearm("beta", **SIGNED)
        there.fold_back(**SIGNED)
        assert is_on(here, "beta")
        assert here.drift() == there.drift() == ()
        assert here.overlay.model_dump_json() == there.overlay.model_dump_json()
        assert here.declared == there.declared


def test_who_folds_back_in_the_middle_of_anothers_look_changes_nothing_for_them(desk: Desk) -> None:
    here, there = desk.flags(), desk.flags()
    here.set("engines", enabled=False, **SIGNED)
    there.look()
    version = desk.journal.version

    def version_after_a_fold() -> int:
        with mock.patch.object(desk.journal, "version", version):
            here.fold_back(**SIGNED)
        return version()

    with mock.patch.object(desk.journal, "version", version_after_a_fold):
        there.look()
        assert not there._state.snapshot.evaluate("engines", ADA).value
    assert there.drift() == ()
    assert not is_on(there, "engines")


def test_of_all_who_give_commands_at_once_nobodys_is_lost(desk: Desk, database: Database) -> None:
    with Database(sqlite_url(Path(database.name))) as elsewhere:
        replicas = [
            Desk(desk.path, SqlJournal(database)).flags(),
            Desk(desk.path, SqlJournal(elsewhere)).flags(),
        ]
        started = threading.Barrier(4)

        def operate(number: int) -> None:
            started.wait()
            for percent in range(10):
                flags = replicas[number % 2]
                flags.set("beta", percent=percent, who=f"Person {number}", why=f"{percent}")
                flags.evaluate("beta", ADA)

        threads = [threading.Thread(target=operate, args=(number,)) for number in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        changes = SqlJournal(database).read()
        assert [change.version for change in changes] == list(range(1, 41))
        for number in range(4):
            asked = [change.why for change in changes if change.who == f"Person {number}"]
            assert asked == [str(percent) for percent in range(10)]
        for before, change in pairwise(changes):
            assert change.before == before.after
        for flags in replicas:
            assert flags.overlay.model_dump_json() == fold(changes).model_dump_json()


# A journal that fails.


@dataclass
class Failing(MemoryJournal):
    fails: str = ""

    def __post_init__(self) -> None:
        super().__init__()

    def version(self) -> int:
        if self.fails:
            raise JournalError(self.fails)
        return super().version()


def test_a_journal_that_fails_leaves_the_flags_in_force_and_refuses_commands(desk: Desk) -> None:
    journal = desk.journal = Failing()
    flags = desk.flags()
    flags.rollback("engines", **SIGNED)
    journal.fails = "The database is out of reach."
    for _ in range(3):
        assert not is_on(flags, "engines")
    assert desk.told == ["The database is out of reach."]
    assert flags.problem == "The database is out of reach."
    with pytest.raises(JournalError, match="out of reach"):
        flags.rearm("engines", **SIGNED)
    desk.edit("enabled = false", "enabled = true")
    assert flags.declared.flags["beta"].enabled  # the file goes on being read
    journal.fails = ""
    flags.look()
    assert flags.problem is None


def test_a_journal_that_went_back_does_not_switch_on_what_was_rolled_back(desk: Desk) -> None:
    flags = desk.flags()
    flags.rollback("engines", **SIGNED)
    with mock.patch.object(desk.journal, "_changes", ()):
        assert not is_on(flags, "engines")
        assert "ends at version 0, but version 1 was read" in str(flags.problem)
        with pytest.raises(JournalError, match="restart"):
            flags.set("beta", percent=6, **SIGNED)
    flags.look()
    assert flags.problem is None


# Kills. An operator is killed at each write in turn; what was confirmed is there, and nothing is done by halves.


def effective(flags: Flags) -> dict[str, list[object]]:
    """Of each flag: whether it is on at all, and its percentage."""
    found: dict[str, list[object]] = {}
    for key, flag in flags.declared.flags.items():
        overlay = flags.overlay.flags.get(key, FlagOverlay())
        enabled = flag.enabled if overlay.enabled is None else overlay.enabled
        percent = flag.percent if overlay.percent is None else overlay.percent
        found[key] = [enabled and overlay.latched is None, percent]
    return found


def random_command(flags: Flags, chance: random.Random) -> tuple[str, Callable[[], object]]:
    key = chance.choice(list(flags.declared.flags))
    plan = chance.choice(list(flags.declared.rollouts))
    who, why = chance.choice(["Ada", "Ben", "trigger"]), f"reason {chance.randrange(10**6)}"
    signed: dict[str, Any] = {"who": who, "why": why}
    name = chance.choice(
        ["set", "set", "rollback", "rearm", "start", "advance", "emergency", "over", "fold", "fold"]
    )
    commands: dict[str, Callable[[], object]] = {
        "set": lambda: flags.set(
            key, enabled=chance.choice([None, True, False]), percent=chance.randrange(101), **signed
        ),
        "rollback": lambda: flags.rollback(key, **signed),
        "rearm": lambda: flags.rearm(key, **signed),
        "start": lambda: flags.start_rollout(plan, **signed),
        "advance": lambda: flags.advance_rollout(plan, 1, **signed),
        "emergency": lambda: flags.emergency(**signed),
        "over": lambda: flags.emergency_over(**signed),
        "fold": lambda: flags.fold_back(**signed),
    }
    return name, commands[name]


def operate(folder: Path, seed: int, die_at: int) -> None:
    """Gives random commands and writes down what was confirmed; is killed at the write with number `die_at`."""
    chance = random.Random(seed)
    writes = 0

    def write(*_: object) -> None:
        nonlocal writes
        writes += 1
        if writes == die_at:
            os.kill(os.getpid(), signal.SIGKILL)

    def write_around(work: Callable[..., Any]) -> Callable[..., Any]:
        def wrapped(*args: Any) -> Any:
            write()
            done = work(*args)
            write()
            return done

        return wrapped

    def on_statement(_connection: Any, _cursor: Any, statement: str, *_: object) -> None:
        if statement.startswith("INSERT"):
            write()

    with (
        (folder / "confirmed").open("a", encoding="utf-8") as confirmed,
        Database(sqlite_url(folder / "flags.db")) as database,
        mock.patch("os.replace", write_around(os.replace)),
        mock.patch("os.fsync", write_around(os.fsync)),
    ):
        for moment in ("before_cursor_execute", "after_cursor_execute"):
            event.listen(database.engine, moment, on_statement)
        event.listen(database.engine, "commit", write)
        journal = SqlJournal(database)
        with mock.patch.object(journal, "append", write_around(journal.append)):
            flags = Desk(folder / "flags.toml", journal).flags()
            for _ in range(8):
                name, command = random_command(flags, chance)
                with contextlib.suppress(RefusedError):
                    command()
                kept = {
                    "next": name,
                    "version": flags.version,
                    "overlay": flags.overlay.model_dump_json(),
                    "effective": effective(flags),
                }
                confirmed.write(json.dumps(kept) + "\n")
                confirmed.flush()


def die_at_every_write(folder: Path) -> None:
    """Of two operators each; every one in a process of its own, so that it can be killed."""
    for seed in (1, 2):
        for die_at in range(1, 1000):
            place = folder / f"{seed}-{die_at}"
            place.mkdir()
            (place / "flags.toml").write_text(DECLARED, encoding="utf-8")
            child = os.fork()
            if child == 0:
                operate(place, seed, die_at)
                os._exit(0)
            if os.waitpid(child, 0)[1] == 0:
                break


def test_after_a_kill_at_any_write_the_state_is_what_was_confirmed(tmp_path: Path) -> None:
    script = "import sys, pathlib; from tests.flags.test_control import die_at_every_write as die; die(pathlib.Path(sys.argv[1]))"
    subprocess.run([sys.executable, "-W", "error", "-c", script, str(tmp_path)], check=True, cwd=ROOT)
    places = list(tmp_path.iterdir())
    assert len(places) > 60
    cut_short = 0
    for place in places:
        lines = (place / "confirmed").read_text().splitlines() if (place / "confirmed").exists() else []
        confirmed = [json.loads(line) for line in lines]
        with Database(sqlite_url(place / "flags.db")) as database:
            journal = SqlJournal(database)
            changes = journal.read()
            flags = Desk(place / "flags.toml", journal).flags()
            assert [change.version for change in changes] == list(range(1, len(changes) + 1))
            for kept in confirmed:
                assert fold(changes[: kept["version"]]).model_dump_json() == kept["overlay"]
            assert flags.overlay.model_dump_json() == fold(changes).model_dump_json()
            last = confirmed[-1]["version"] if confirmed else 0
            assert len(changes) >= last
            cut_short += len(changes) == last
            # A command is in the journal as a whole: those of one command have one reason.
            meant = {change.why for change in changes[last:]}
            assert len(meant) <= 1
            if not changes[last:] or changes[last].kind == "folded_back":
                # Killed while folding back, too: what the file and the journal say together has not changed.
                before = (
                    confirmed[-1]["effective"] if confirmed else effective(Desk(place / "flags.toml").flags())
                )
                assert effective(flags) == before
            for change in changes[last:]:
                if change.kind == "rollback":
                    assert "running" not in {
                        standing.state
                        for plan, standing in flags.overlay.rollouts.items()
                        if f"flag:{flags.declared.rollouts[plan].flag}" == change.subject
                    }
            flags.fold_back(**SIGNED)
            active = {
                flags.declared.rollouts[plan].flag
                for plan, standing in flags.overlay.rollouts.items()
                if standing.state in control.ACTIVE
            }
            assert all(drift.latched or drift.flag in active for drift in flags.drift())
    assert 0 < cut_short < len(places)  # kills before the journal was written, and after


def operate_for_ever(folder: Path) -> None:
    chance = random.Random()
    with Database(sqlite_url(folder / "flags.db")) as database:
        flags = Desk(folder / "flags.toml", SqlJournal(database)).flags()
        while True:
            _, command = random_command(flags, chance)
            with contextlib.suppress(RefusedError):
                command()
            sys.stdout.write(f"{flags.overlay.model_dump_json()}\n")
            sys.stdout.flush()


@pytest.mark.parametrize("patience", [1, 40, 90])
def test_whoever_is_killed_out_of_the_blue_has_lost_nothing_that_was_confirmed(
    tmp_path: Path, patience: int
) -> None:
    (tmp_path / "flags.toml").write_text(DECLARED, encoding="utf-8")
    script = "import sys, pathlib; from tests.flags.test_control import operate_for_ever as go; go(pathlib.Path(sys.argv[1]))"
    with subprocess.Popen(
        [sys.executable, "-W", "error", "-c", script, str(tmp_path)],
        stdout=subprocess.PIPE,
        cwd=ROOT,
        text=True,
    ) as process:
        assert process.stdout is not None
        confirmed = [process.stdout.readline() for _ in range(patience)]
        process.kill()
        confirmed += process.stdout.readlines()
    overlays = [line.strip() for line in confirmed if line.endswith("}\n")]
    with Database(sqlite_url(tmp_path / "flags.db")) as database:
        changes = SqlJournal(database).read()
        assert [change.version for change in changes] == list(range(1, len(changes) + 1))
        for overlay in overlays:
            version = json.loads(overlay)["version"]
            assert fold(changes[:version]).model_dump_json() == overlay
        flags = Desk(tmp_path / "flags.toml", SqlJournal(database)).flags()
        assert flags.problem is None
        assert flags.overlay.model_dump_json() == fold(changes).model_dump_json()


# Anything, in any order.


class Killed(BaseException):
    """The process ends here."""


class KillableJournal:
    """A journal whose process dies before or after it is written to, when told so."""

    def __init__(self, journal: Journal) -> None:
        self._journal = journal
        self.dies: str | None = None

    def append(self, *changes: Change) -> None:
        if self.dies == "before the journal":
            raise Killed
        self._journal.append(*changes)
        if self.dies == "after the journal":
            raise Killed

    def read(self, after: int = 0) -> tuple[Change, ...]:
        return self._journal.read(after)

    def version(self) -> int:
        return self._journal.version()


KEYS = st.sampled_from(["engines", "genre", "beta", "regions"])
PLANS = st.sampled_from(["engines_rollout", "beta_rollout"])
DEATHS = st.sampled_from(
    [None, None, None, "before the journal", "after the journal", "before the file", "after the file"]
)
REPLICAS = st.integers(0, 1)
EVERYBODY = (ADA, Context(user="somebody", beta=True), Context(user="x", attributes={"country": "no"}))


class AnythingInAnyOrder(RuleBasedStateMachine):
    """Two replicas over one file and one database, an editor, and a power switch."""

    @initialize()
    def begin(self) -> None:
        self.folder = Path(tempfile.mkdtemp())
        self.desk = Desk(self.folder / "flags.toml")
        self.desk.write(DECLARED)
        self.good = DECLARED
        self.databases: list[Database] = []
        self.journals: list[KillableJournal] = []
        self.replicas: list[Flags] = []
        self.known: tuple[Change, ...] = ()
        self.latched: set[str] = set()
        for number in range(2):
            self.databases.append(Database(sqlite_url(self.folder / "flags.db")))
            self.journals.append(KillableJournal(SqlJournal(self.databases[number])))
            self.replicas.append(self._flags(number))

    def _flags(self, number: int) -> Flags:
        return Desk(self.desk.path, self.journals[number]).flags()

    def _restart(self, number: int) -> None:
        self.databases[number].close()
        self.databases[number] = Database(sqlite_url(self.folder / "flags.db"))
        self.journals[number] = KillableJournal(SqlJournal(self.databases[number]))
        if not self._usable():
            self.desk.write(self.good)
        self.replicas[number] = self._flags(number)

    def _usable(self) -> bool:
        return self.desk.path.exists() and self.desk.path.read_text(encoding="utf-8") == self.good

    def _do(self, number: int, dies: str | None, command: Callable[[Flags], tuple[Change, ...]]) -> bool:
        """Whether the command was carried out; a replica that was killed is started again."""
        before, usable = self.journals[number].version(), self._usable()
        self.journals[number].dies = dies

        def replace(source: str, target: Path) -> None:
            if dies == "before the file":
                raise Killed
            Path(source).rename(target)
            if dies == "after the file":
                raise Killed

        done: tuple[Change, ...] = ()
        killed = False
        try:
            with mock.patch("os.replace", replace):
                done = command(self.replicas[number])
        except RefusedError:
            pass
        except Killed:
            killed = True
        self.journals[number].dies = None
        if usable:  # folding back may have changed it, killed or not
            self.good = self.desk.path.read_text(encoding="utf-8")
        if killed:
            self._restart(number)
        new = self.journals[number].read(before)
        assert killed or new == done
        return bool(new)

    # Who does what.

    @rule(
        number=REPLICAS,
        dies=DEATHS,
        key=KEYS,
        enabled=st.sampled_from([None, True, False]),
        percent=st.none() | st.integers(0, 100),
    )
    def set(self, number: int, dies: str | None, key: str, enabled: bool | None, percent: int | None) -> None:
        if enabled is None and percent is None:
            percent = 50
        self._do(number, dies, lambda flags: flags.set(key, enabled, percent, **SIGNED))

    @rule(number=REPLICAS, dies=DEATHS, key=KEYS)
    def roll_back(self, number: int, dies: str | None, key: str) -> None:
        if self._do(number, dies, lambda flags: flags.rollback(key, who="trigger", why="errors")):
            self.latched.add(key)

    @rule(number=REPLICAS, dies=DEATHS, key=KEYS)
    def rearm(self, number: int, dies: str | None, key: str) -> None:
        if self._do(number, dies, lambda flags: flags.rearm(key, **SIGNED)):
            self.latched.discard(key)

    @rule(
        number=REPLICAS,
        dies=DEATHS,
        plan=PLANS,
        step=st.sampled_from(
            ["start", "advance", "pause", "await", "resume", "approve", "complete", "abort"]
        ),
    )
    def roll_out(self, number: int, dies: str | None, plan: str, step: str) -> None:
        steps: dict[str, Callable[[Flags], tuple[Change, ...]]] = {
            "start": lambda flags: flags.start_rollout(plan, **SIGNED),
            "advance": lambda flags: flags.advance_rollout(plan, 1, **SIGNED),
            "pause": lambda flags: flags.pause_rollout(plan, **SIGNED),
            "await": lambda flags: flags.pause_rollout(plan, awaiting_approval=True, **SIGNED),
            "resume": lambda flags: flags.resume_rollout(plan, **SIGNED),
            "approve": lambda flags: flags.approve_rollout(plan, **SIGNED),
            "complete": lambda flags: flags.complete_rollout(plan, **SIGNED),
            "abort": lambda flags: flags.abort_rollout(plan, **SIGNED),
        }
        self._do(number, dies, steps[step])

    @rule(number=REPLICAS, dies=DEATHS, over=st.booleans())
    def emergency(self, number: int, dies: str | None, over: bool) -> None:
        self._do(
            number, dies, lambda flags: flags.emergency_over(**SIGNED) if over else flags.emergency(**SIGNED)
        )

    @rule(number=REPLICAS, dies=DEATHS)
    def fold_back(self, number: int, dies: str | None) -> None:
        before = effective(self.replicas[number])
        self._do(number, dies, lambda flags: flags.fold_back(**SIGNED))
        assert effective(self.replicas[number]) == before

    @rule(key=KEYS, enabled=st.booleans(), in_place=st.booleans())
    def edit(self, key: str, enabled: bool, in_place: bool) -> None:
        declaration = rf"(\[flags\.{key}\][^\[]*?enabled *= )(true|false)"
        self.good = re.sub(declaration, rf"\g<1>{str(enabled).lower()}", self.good)
        if in_place:
            self.desk.write(self.good)
        else:
            beside = self.folder / "beside"
            beside.write_text(self.good, encoding="utf-8")
            beside.replace(self.desk.path)

    @rule(content=st.sampled_from(["", "[flags", "[flags.engines]\nenabled = 1\n"]))
    def break_the_file(self, content: str) -> None:
        self.desk.write(content)

    @rule()
    def delete_the_file(self) -> None:
        self.desk.path.unlink(missing_ok=True)

    @precondition(lambda self: not self._usable())
    @rule()
    def mend_the_file(self) -> None:
        self.desk.write(self.good)

    @rule(number=REPLICAS)
    def restart(self, number: int) -> None:
        self._restart(number)

    # What holds at any time.

    @invariant()
    def no_record_is_lost(self) -> None:
        changes = self.journals[0].read()
        assert changes[: len(self.known)] == self.known
        assert [change.version for change in changes] == list(range(1, len(changes) + 1))
        self.known = changes

    @invariant()
    def what_was_rolled_back_is_off_until_it_is_rearmed(self) -> None:
        for flags in self.replicas:
            for key in self.latched:
                assert not any(is_on(flags, key, somebody) for somebody in EVERYBODY)

    @invariant()
    def every_replicas_state_is_what_the_journal_adds_up_to(self) -> None:
        expected = fold(self.journals[0].read()).model_dump_json()
        for flags in self.replicas:
            assert flags.overlay.model_dump_json() == expected
            assert {key for key, one in flags.overlay.flags.items() if one.latched} == self.latched

    @invariant()
    def no_rollout_of_what_was_rolled_back_goes_on(self) -> None:
        for flags in self.replicas:
            for plan, standing in flags.overlay.rollouts.items():
                assert not (
                    flags.declared.rollouts[plan].flag in self.latched and standing.state in control.ACTIVE
                )

    @invariant()
    def a_file_that_is_right_is_in_force_and_of_one_that_is_not_everybody_is_told(self) -> None:
        for flags in self.replicas:
            assert flags.declared == read_declared(self.good, "flags.toml")
            assert (flags.problem is None) == self._usable()

    def teardown(self) -> None:
        for database in self.databases:
            database.close()
        shutil.rmtree(self.folder)


TestAnythingInAnyOrder = AnythingInAnyOrder.TestCase
TestAnythingInAnyOrder.settings = settings(max_examples=40, stateful_step_count=30, deadline=None)
