"""A trigger's signal is its threshold over its window; its evidence is what rolls back, unless its policy is the signal alone."""

from __future__ import annotations

import random
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from statistics import fmean
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import TypeAdapter, ValidationError

from cinegen_core.flags.model import Sample, Trigger
from cinegen_core.flags.triggers import LEARNED_FROM, TriggerState, Verdict, at, observe, restarted, starting

BEGIN = datetime(2026, 1, 5, tzinfo=UTC)
ERRORS = Trigger(key="error_rate_spike", metric="error", worse="above", threshold=0.10, minutes=15)
QUALITY = Trigger(
    key="quality_degradation", metric="quality", worse="below", threshold=7.0, minutes=30, high=10.0
)
SECONDS = Trigger(
    key="processing_time_spike", metric="seconds", worse="above", threshold=90.0, minutes=20, high=120.0
)


def literal(trigger: Trigger) -> Trigger:
    return trigger.model_copy(update={"policy": "literal"})


def sample(minutes: float, **changes: Any) -> Sample:
    return Sample.model_validate(
        {
            "at": BEGIN + timedelta(minutes=minutes),
            "on": {"engines"},
            "quality": 8.5,
            "seconds": 40.0,
            **changes,
        }
    )


def watched(
    trigger: Trigger, samples: Iterable[Sample], state: TriggerState | None = None
) -> tuple[TriggerState, Verdict]:
    state = state or starting(trigger, "engines", BEGIN)
    verdict = at(trigger, state, BEGIN)
    for one in samples:
        state, verdict = observe(trigger, state, one)
    return state, verdict


def test_with_enough_samples_in_the_window_the_signal_is_the_mean_against_the_threshold() -> None:
    good = watched(QUALITY, [sample(n, quality=7.0) for n in range(20)])[1]
    assert (good.signal, good.samples, good.value, good.distance) == ("clear", 20, 7.0, 0.0)
    bad = watched(QUALITY, [sample(n, quality=6.75) for n in range(20)])[1]
    assert (bad.signal, bad.samples, bad.value, bad.distance) == ("breach", 20, 6.75, -0.25)
    slow = watched(SECONDS, [sample(n / 2, seconds=95.0) for n in range(20)])[1]
    assert (slow.signal, slow.value, slow.distance) == ("breach", 95.0, -5.0)
    at_the_limit = watched(ERRORS, [sample(n / 2, error=n % 10 == 0) for n in range(20)])[1]
    assert (at_the_limit.signal, at_the_limit.value) == ("clear", 0.10)


@pytest.mark.parametrize("policy", ["literal", "evidence"])
def test_too_few_samples_are_inconclusive_however_bad_they_are(policy: str) -> None:
    trigger = QUALITY.model_copy(update={"policy": policy})
    verdict = watched(trigger, [sample(n, quality=6.0) for n in range(19)])[1]
    assert (verdict.signal, verdict.rolls_back) == ("inconclusive", False)


def test_the_literal_policy_rolls_back_on_the_signal_alone() -> None:
    three_of_twenty = [sample(n / 2, error=n in {2, 9, 15}) for n in range(20)]
    assert watched(literal(ERRORS), three_of_twenty)[1].rolls_back
    by_evidence = watched(ERRORS, three_of_twenty)[1]
    assert by_evidence.signal == "breach"
    assert not by_evidence.rolls_back


def test_evidence_rolls_back_on_a_real_failure_even_where_windows_are_nearly_empty() -> None:
    healthy = [sample(15.0 * n, error=n % 20 == 0) for n in range(100)]
    state, before = watched(ERRORS, healthy)
    assert before.evidence < 1.0
    said = []
    for n in range(12):
        state, verdict = observe(ERRORS, state, sample(15.0 * (100 + n), error=True))
        said.append(verdict)
    assert said[-1].rolls_back
    assert said[-1].signal == "inconclusive"
    grown = [verdict.evidence for verdict in said]
    assert grown == sorted(grown)
    assert max(grown) == said[-1].bound == pytest.approx(3.0)


def test_only_samples_for_which_the_flag_was_on_count() -> None:
    others = [sample(n, quality=1.0, on={"other"}, off={"engines"}) for n in range(40)]
    state, verdict = watched(QUALITY, others)
    assert state == starting(QUALITY, "engines", BEGIN)
    assert (verdict.samples, verdict.value, verdict.signal) == (0, None, "inconclusive")


def test_samples_without_a_quality_say_nothing_about_it_but_count_elsewhere() -> None:
    unscored = [sample(n / 2, quality=None, error=True) for n in range(20)]
    assert watched(QUALITY, unscored)[1].samples == 0
    assert watched(ERRORS, unscored)[1].samples == 20


def test_without_new_samples_the_window_empties_and_the_evidence_stays() -> None:
    state, verdict = watched(QUALITY, [sample(n, quality=6.5) for n in range(20)])
    later = at(QUALITY, state, BEGIN + timedelta(hours=5))
    assert (later.samples, later.value, later.distance, later.signal) == (0, None, None, "inconclusive")
    assert later.evidence == verdict.evidence > 0.0
    assert not at(literal(QUALITY), state, BEGIN + timedelta(hours=5)).rolls_back


def test_a_stage_begins_with_an_empty_window_and_no_evidence_and_keeps_the_healthy_baseline() -> None:
    state, _ = watched(QUALITY, [sample(n, quality=8.0) for n in range(LEARNED_FROM)])
    state, verdict = watched(QUALITY, [sample(40.0 + n, quality=6.0) for n in range(5)], state)
    assert verdict.evidence > 0.0
    begun = restarted(state, BEGIN + timedelta(minutes=50))
    verdict = at(QUALITY, begun, BEGIN + timedelta(minutes=50))
    assert (verdict.samples, verdict.evidence) == (0, 0.0)
    assert begun.baseline.value == 8.0
    assert observe(QUALITY, begun, sample(49.0, quality=1.0))[0] == begun


def test_a_baseline_is_learned_from_healthy_samples_only() -> None:
    broken = [sample(n, quality=6.0 if n < LEARNED_FROM else 8.0) for n in range(2 * LEARNED_FROM - 1)]
    state, _ = watched(QUALITY, broken)
    assert state.baseline.value is None
    state, _ = watched(QUALITY, [sample(100.0, quality=8.0)], state)
    assert state.baseline.value == 8.0


def test_a_flag_that_was_bad_from_its_first_sample_is_rolled_back_too() -> None:
    rng = random.Random(2)
    verdict = watched(QUALITY, [sample(3.0 * n, quality=rng.gauss(6.2, 0.8)) for n in range(80)])[1]
    assert verdict.rolls_back


def test_a_healthy_baseline_halves_the_time_until_a_fall_is_found() -> None:
    def samples_needed(learn: int, seed: int) -> int:
        rng = random.Random(seed)
        state = starting(QUALITY, "engines", BEGIN, learn=learn)
        healthy = [sample(3.0 * n, quality=rng.gauss(8.0, 0.8)) for n in range(100)]
        state, _ = watched(QUALITY, healthy, state)
        for n in range(1000):
            state, verdict = observe(QUALITY, state, sample(300.0 + 3.0 * n, quality=rng.gauss(6.5, 0.8)))
            if verdict.rolls_back:
                return n
        return 1000

    plain = sorted(samples_needed(0, seed) for seed in range(31))[15]
    shipped = sorted(samples_needed(LEARNED_FROM, seed) for seed in range(31))[15]
    assert shipped <= plain / 2


def test_getting_worse_within_what_is_allowed_does_not_roll_back_and_a_failure_after_it_does() -> None:
    rng = random.Random(3)
    qualities = [rng.gauss(8.2, 0.8) for _ in range(100)] + [rng.gauss(7.4, 0.8) for _ in range(1000)]
    state, verdict = watched(QUALITY, [sample(3.0 * n, quality=q) for n, q in enumerate(qualities)])
    assert not verdict.rolls_back
    failing = [sample(3300.0 + 3.0 * n, quality=rng.gauss(6.2, 0.8)) for n in range(100)]
    assert watched(QUALITY, failing, state)[1].rolls_back


def test_a_known_baseline_need_not_be_learned() -> None:
    known = starting(QUALITY, "engines", BEGIN, baseline=8.0)
    learned, _ = watched(QUALITY, [sample(n, quality=8.0) for n in range(LEARNED_FROM)])
    assert known.change == restarted(learned, BEGIN).change


def test_a_late_sample_counts_when_it_comes() -> None:
    state, _ = watched(QUALITY, [sample(10.0, quality=8.0), sample(5.0, quality=6.0)])
    assert [when for when, _ in state.window] == [BEGIN + timedelta(minutes=10)] * 2


def test_a_verdict_speaks_to_people() -> None:
    few = watched(QUALITY, [sample(n) for n in range(7)])[1]
    assert few.words.startswith(
        "quality_degradation: 7 of the 20 samples in 30 min that it takes to judge mean quality"
    )
    clear = watched(ERRORS, [sample(n / 2) for n in range(20)])[1]
    assert clear.words == (
        "error_rate_spike: the error rate, 0% over 15 min (20 samples), is not above 10%; evidence 0.0 of 3.0"
    )
    breach = watched(literal(SECONDS), [sample(n / 2, seconds=95.0) for n in range(20)])[1]
    assert breach.words == "processing_time_spike: mean time, 95 s over 20 min (20 samples), is above 90 s"
    proven = watched(ERRORS, [sample(n, error=True) for n in range(12)])[1]
    assert proven.words == (
        "error_rate_spike: evidence that the error rate has gone above 10% reached its bound of 1,000, now 100%"
    )


def test_a_threshold_outside_the_range_of_its_metric_is_refused_where_it_is_declared() -> None:
    with pytest.raises(ValidationError, match="not between low 0 and high 1"):
        Trigger(key="q", metric="quality", worse="below", threshold=7.0, minutes=30)


values = st.floats(0.0, 10.0)
steps = st.lists(st.tuples(st.floats(0.0, 20.0), st.none() | values, st.booleans()), max_size=60)


@given(steps, st.integers(1, 5))
def test_the_signal_is_what_the_window_says_and_the_evidence_is_within_its_bound(
    stream: list[tuple[float, float | None, bool]], least: int
) -> None:
    trigger = QUALITY.model_copy(update={"samples": least})
    state, minutes, given_so_far = starting(trigger, "engines", BEGIN), 0.0, list[Sample]()
    for gap, quality, on in stream:
        minutes += gap
        given_so_far.append(sample(minutes, quality=quality, on={"engines"} if on else set()))
        state, verdict = observe(trigger, state, given_so_far[-1])
        begin = given_so_far[-1].at - timedelta(minutes=30)
        inside = [s.quality for s in given_so_far if s.on and s.quality is not None and s.at > begin]
        assert verdict.samples == len(inside)
        assert 0.0 <= verdict.evidence <= verdict.bound
        if len(inside) < least:
            assert verdict.signal == "inconclusive"
        elif abs(fmean(inside) - 7.0) > 1e-9:
            assert verdict.signal == ("breach" if fmean(inside) < 7.0 else "clear")
    kept = TypeAdapter(TriggerState)
    assert kept.validate_json(kept.dump_json(state)) == state
