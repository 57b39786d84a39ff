"""A rollout takes its next step when every gate is met, never without data, and pauses when something looks wrong."""

from __future__ import annotations

import math
import random
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cinegen_core.flags.cohorts import (
    Cohort,
    cohorts,
    difference,
    differences,
    rate_difference,
    student_quantile,
)
from cinegen_core.flags.model import Phase, RolloutOverlay, RolloutPlan, Sample, Trigger
from cinegen_core.flags.rollout import FAILED_READS, Decision, Tally, progress, tally
from cinegen_core.flags.triggers import Verdict, observe, starting

BEGIN = datetime(2026, 1, 5, tzinfo=UTC)
PLAN = RolloutPlan(
    key="engines_rollout",
    flag="engines",
    phases=(
        Phase(percent=25, dwell_hours=48, quality=8.0, errors=0.05),
        Phase(percent=50, dwell_hours=72, quality=8.0, errors=0.03, approval=True),
        Phase(percent=100, dwell_hours=168, quality=8.0, errors=0.02),
    ),
)


def sample(**changes: Any) -> Sample:
    return Sample.model_validate({"at": BEGIN, "on": {"engines"}, "quality": 8.5, "seconds": 40.0, **changes})


GOOD = [sample() for _ in range(20)]


def decided(
    samples: list[Sample] | Tally = GOOD,
    hours: float = 48.0,
    phase: int = 0,
    state: str = "running",
    **inputs: Any,
) -> Decision:
    standing = RolloutOverlay.model_validate({"state": state, "phase": phase, "since": BEGIN})
    return progress(PLAN, standing, samples, BEGIN + timedelta(hours=hours), **inputs)


def breach() -> Verdict:
    trigger = Trigger(
        key="quality_degradation",
        metric="quality",
        worse="below",
        threshold=7.0,
        minutes=30,
        samples=1,
        high=10.0,
    )
    return observe(trigger, starting(trigger, "engines", BEGIN), sample(quality=5.0))[1]


def test_with_every_gate_met_it_advances_and_completes_after_the_last_phase() -> None:
    assert decided().kind == "advance"
    assert decided().reason == "phase 1 has met its gates; next: 50 %"
    assert decided(hours=168.0, phase=2).kind == "complete"


def test_where_approval_is_asked_it_waits_for_a_person() -> None:
    assert decided(hours=72.0, phase=1).kind == "await_approval"
    waiting = decided(hours=500.0, phase=1, state="awaiting_approval")
    assert (waiting.kind, waiting.reason) == ("hold", "waiting for approval")


@pytest.mark.parametrize(
    ("samples", "hours", "reason"),
    [
        (GOOD, 47.9, "dwell: 47.9 of 48 h"),
        (GOOD[:19], 48.0, "samples: 19 of 20"),
        ([sample(quality=7.9)] * 20, 48.0, "quality: 7.90, at least 8 asked"),
        ([*GOOD, sample(error=True), sample(error=True)], 48.0, "errors: 9.1%, at most 5.0% allowed"),
    ],
)
def test_a_gate_that_is_not_met_holds_and_says_what_is_missing(
    samples: list[Sample], hours: float, reason: str
) -> None:
    found = decided(samples, hours)
    assert (found.kind, found.reason) == ("hold", reason)
    assert [gate.met for gate in found.gates].count(False) == 1


def test_every_gate_says_what_it_asks_and_what_it_finds() -> None:
    gates = decided([*GOOD, sample(error=True, quality=None)], hours=12.0).gates
    assert [(gate.name, gate.asked, gate.met) for gate in gates] == [
        ("dwell", 48.0, False),
        ("quality", 8.0, True),
        ("errors", 0.05, True),
        ("samples", 20, True),
    ]
    assert [gate.value for gate in gates] == [12.0, 8.5, pytest.approx(1 / 21), 21]


@pytest.mark.parametrize("samples", [[], [sample(quality=None)] * 50])
def test_without_data_nothing_is_promoted_whatever_the_plan_asks(samples: list[Sample]) -> None:
    asks_nothing = Phase(percent=50, dwell_hours=0, quality=0.0, errors=1.0, samples=0)
    plan = PLAN.model_copy(update={"phases": (asks_nothing, asks_nothing)})
    standing = RolloutOverlay(state="running", since=BEGIN)
    found = progress(plan, standing, samples, BEGIN + timedelta(days=365))
    assert found.kind == "hold"
    assert "quality: no data" in found.reason
    assert found.gates[1].met is None


@pytest.mark.parametrize("state", ["running", "awaiting_approval"])
def test_a_breach_pauses_also_while_an_approval_is_awaited(state: str) -> None:
    found = decided(phase=1, state=state, hours=72.0, signals=[breach()])
    assert found.kind == "pause"
    assert "quality_degradation: mean quality, 5.0" in found.reason


def test_five_failed_reads_of_the_metrics_pause_and_four_do_not() -> None:
    assert decided(hours=1.0, failed_reads=FAILED_READS - 1).kind == "hold"
    found = decided(hours=1.0, failed_reads=FAILED_READS)
    assert (found.kind, found.reason) == ("pause", "5 reads of the metrics in a row have failed")


@pytest.mark.parametrize("state", ["paused", "completed", "aborted"])
def test_a_rollout_that_stands_still_stays_where_it_is(state: str) -> None:
    found = decided(hours=1000.0, state=state, signals=[breach()], failed_reads=9)
    assert (found.kind, found.reason) == ("hold", state)


def test_time_that_it_stood_still_is_no_dwell() -> None:
    assert decided(hours=60.0, idle=timedelta(hours=13)).gates[0].value == 47.0
    assert decided(hours=60.0, idle=timedelta(hours=13)).kind == "hold"
    assert decided(hours=61.0, idle=timedelta(hours=13)).kind == "advance"


def test_a_phase_that_the_plan_no_longer_has_holds() -> None:
    assert decided(phase=3) == Decision("engines_rollout", "hold", "the plan has no phase 4")


sampled = st.builds(
    lambda quality, error: sample(quality=quality, error=error),
    st.none() | st.floats(0.0, 10.0),
    st.booleans(),
)


@given(st.lists(sampled, max_size=40), st.floats(0.0, 100.0))
def test_a_tally_decides_as_its_samples_do_and_only_met_gates_advance(
    samples: list[Sample], hours: float
) -> None:
    found = decided(samples, hours)
    assert found == decided(tally(samples), hours)
    assert (found.kind == "advance") == all(gate.met for gate in found.gates)


# Cohorts: what a rollout by percentage lets one compare.


def test_each_cohort_has_its_own_figures_and_those_who_were_not_asked_are_in_neither() -> None:
    samples = [
        sample(quality=8.0, seconds=30.0),
        sample(quality=None, seconds=50.0, error=True),
        sample(on=set(), off={"engines"}, quality=7.0, seconds=10.0),
        sample(on={"other"}, quality=1.0),
    ]
    on, off = cohorts(samples, "engines")
    assert on == Cohort(usage=2, success_rate=0.5, error_rate=0.5, quality=8.0, seconds=40.0)
    assert off == Cohort(usage=1, success_rate=1.0, error_rate=0.0, quality=7.0, seconds=10.0)


def test_a_cohort_without_data_has_no_figures() -> None:
    assert cohorts([], "engines") == (Cohort(), Cohort())
    assert Cohort().quality is None
    assert differences([sample()] * 4, "engines").quality is None


def test_the_difference_of_means_is_welchs() -> None:
    found = difference([27.5, 21.0, 19.0, 23.6, 17.0, 17.9], [27.1, 22.0, 20.8, 23.4, 23.4, 23.5, 25.8, 22.0])
    assert found is not None
    # by hand: standard error 1.7769, 7.05 degrees of freedom, t 2.3615
    assert (found.value, found.low, found.high) == pytest.approx((-2.5, -6.696, 1.696), abs=0.002)


def test_the_difference_of_rates_is_newcombes() -> None:
    # Newcombe 1998, table II: 56/70 - 48/80 by method 10 is .0524 to .3339
    found = rate_difference(56, 70, 48, 80)
    assert found is not None
    assert (found.value, found.low, found.high) == pytest.approx((0.2, 0.0524, 0.3339), abs=1e-4)


def test_the_quantile_is_students() -> None:
    for freedom, value in ((4, 2.7764), (5, 2.5706), (10, 2.2281), (30, 2.0423), (1e6, 1.9600)):
        assert student_quantile(0.975, freedom) == pytest.approx(value, abs=0.001)


def test_an_interval_of_95_percent_misses_about_one_time_in_twenty() -> None:
    rng = random.Random(4)
    missed = 0
    for _ in range(1000):
        found = difference([rng.gauss(8.0, 0.5) for _ in range(8)], [rng.gauss(7.5, 1.5) for _ in range(12)])
        assert found is not None
        missed += not found.low <= 0.5 <= found.high
    assert 30 <= missed <= 70


numbers = st.lists(st.floats(-1e6, 1e6), min_size=5, max_size=20)


@given(numbers, numbers)
def test_an_interval_holds_its_difference_and_turns_with_the_cohorts(
    on: list[float], off: list[float]
) -> None:
    found, turned = difference(on, off), difference(off, on)
    assert found is not None
    assert turned is not None
    assert found.low <= found.value <= found.high
    assert math.isclose(found.low, -turned.high, rel_tol=1e-9, abs_tol=1e-6)


@pytest.mark.parametrize("level", [0.0, 1.0])
def test_a_level_is_neither_none_nor_all(level: float) -> None:
    with pytest.raises(ValueError, match="between 0 and 1"):
        difference([1.0] * 5, [1.0] * 5, level=level)
    with pytest.raises(ValueError, match="between 0 and 1"):
        rate_difference(1, 5, 1, 5, level=level)
