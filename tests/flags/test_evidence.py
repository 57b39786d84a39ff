"""Evidence may be looked at after every value: it does not grow by chance, and it grows soon when something is wrong."""

from __future__ import annotations

import math
import random
from collections.abc import Callable, Iterable

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import TypeAdapter

from cinegen_core.flags.evidence import (
    Evidence,
    against_baseline,
    betting,
    likelihood_ratio,
    restarted,
    together,
    updated,
)

ERRORS = likelihood_ratio(0.10)
QUALITY = betting(7.0, "below", 0.0, 10.0)
SECONDS = betting(90.0, "above", 0.0, 120.0)
ALL = (ERRORS, QUALITY, SECONDS)


def after(evidence: Evidence, values: Iterable[float]) -> Evidence:
    for value in values:
        evidence = updated(evidence, value)
    return evidence


def until_bound(evidence: Evidence, draw: Callable[[], float], bound: float, most: int) -> int | None:
    for count in range(1, most + 1):
        evidence = updated(evidence, draw())
        if evidence.log10 >= math.log10(bound):
            return count
    return None


@pytest.mark.parametrize("evidence", ALL)
@given(history=st.lists(st.floats(0.0, 1.0), max_size=30))
def test_with_the_mean_at_the_threshold_no_value_is_expected_to_make_it_grow(
    evidence: Evidence, history: list[float]
) -> None:
    low, high, mean = evidence.low, evidence.high, evidence.bets[0].mean
    now = after(evidence, [low + share * (high - low) for share in history])
    chance = (mean - low) / (high - low)
    expected = chance * math.exp(updated(now, high).wealth) + (1 - chance) * math.exp(
        updated(now, low).wealth
    )
    assert expected == pytest.approx(max(math.exp(now.wealth), 1.0), rel=1e-9)


@pytest.mark.parametrize(
    ("evidence", "draw"),
    [
        (ERRORS, lambda rng: float(rng.random() < 0.10)),
        (QUALITY, lambda rng: rng.uniform(4.0, 10.0)),
        (QUALITY, lambda rng: 10.0 * (rng.random() < 0.7)),
        (SECONDS, lambda rng: 60.0 + 60.0 * rng.betavariate(0.5, 0.5)),
    ],
)
def test_even_at_the_threshold_a_bound_of_100_is_reached_less_than_once_in_100_values(
    evidence: Evidence, draw: Callable[[random.Random], float]
) -> None:
    rng = random.Random(5)
    now, alarms = evidence, 0
    for _ in range(40_000):
        now = updated(now, draw(rng))
        if now.log10 >= 2.0:
            now, alarms = restarted(now), alarms + 1
    assert alarms <= 40_000 / 100


@pytest.mark.parametrize(
    ("evidence", "draw"),
    [
        (ERRORS, lambda rng: float(rng.random() < 0.05)),
        (QUALITY, lambda rng: rng.gauss(8.0, 0.8)),
        (against_baseline(8.1, 7.0, "below", 0.0, 10.0), lambda rng: rng.gauss(8.0, 0.8)),
        (SECONDS, lambda rng: rng.gammavariate(16.0, 50.0 / 16.0)),
    ],
)
def test_a_healthy_day_ends_in_an_alarm_less_than_once_in_a_hundred(
    evidence: Evidence, draw: Callable[[random.Random], float]
) -> None:
    rng = random.Random(6)
    days = [until_bound(evidence, lambda: draw(rng), 1000.0, 480) for _ in range(100)]
    assert sum(day is not None for day in days) <= 1


@pytest.mark.parametrize(
    ("evidence", "healthy", "failing", "most"),
    [
        (ERRORS, lambda rng: float(rng.random() < 0.05), lambda rng: float(rng.random() < 0.6), 15),
        (QUALITY, lambda rng: rng.gauss(8.0, 0.8), lambda rng: rng.gauss(6.5, 0.8), 75),
        (SECONDS, lambda rng: rng.gauss(50.0, 12.0), lambda rng: rng.gauss(110.0, 12.0), 55),
    ],
)
def test_a_failure_is_found_as_soon_after_a_long_healthy_time_as_after_none(
    evidence: Evidence,
    healthy: Callable[[random.Random], float],
    failing: Callable[[random.Random], float],
    most: int,
) -> None:
    rng = random.Random(7)
    long_healthy = after(evidence, (healthy(rng) for _ in range(3000)))
    for begin in (evidence, long_healthy):
        found = sorted(until_bound(begin, lambda: failing(rng), 1000.0, 1000) or 1000 for _ in range(51))
        assert found[25] <= most


def test_a_fall_from_a_known_baseline_is_found_in_half_the_time() -> None:
    rng = random.Random(8)

    def median(evidence: Evidence) -> int:
        found = [until_bound(evidence, lambda: rng.gauss(6.5, 0.8), 1000.0, 1000) or 1000 for _ in range(51)]
        return sorted(found)[25]

    assert median(against_baseline(8.0, 7.0, "below", 0.0, 10.0)) <= median(QUALITY) / 2


def test_it_says_what_the_mean_has_become_since_the_change() -> None:
    found = after(QUALITY, [9.0] * 50 + [6.0, 6.2] * 10)
    assert found.samples == 20
    assert found.mean == pytest.approx(6.1)
    assert found.error == pytest.approx(math.sqrt(0.01 * 20 / 19 / 20))
    assert QUALITY.mean is None
    assert QUALITY.error is None


@pytest.mark.parametrize("evidence", ALL)
@given(values=st.lists(st.floats(-1e6, 1e6), max_size=40))
def test_it_is_a_number_whatever_comes_and_starts_again_from_nothing(
    evidence: Evidence, values: list[float]
) -> None:
    found = after(evidence, values)
    assert 0.0 <= found.log10 < math.inf
    assert restarted(found) == evidence
    kept = TypeAdapter(Evidence)
    assert kept.validate_json(kept.dump_json(found)) == found


def test_values_outside_the_range_count_as_its_end() -> None:
    assert updated(SECONDS, 500.0) == updated(SECONDS, 120.0)
    assert updated(SECONDS, -1.0) == updated(SECONDS, 0.0)


@given(st.lists(st.floats(0.0, 50.0), min_size=1, max_size=5))
def test_several_together_are_worth_their_mean(parts: list[float]) -> None:
    found = together(tuple(parts))
    assert found == pytest.approx(math.log10(sum(10.0**part for part in parts) / len(parts)), abs=1e-9)
    assert found <= max(parts) + 1e-9


@pytest.mark.parametrize(
    "wrong",
    [
        lambda: likelihood_ratio(0.0),
        lambda: likelihood_ratio(1.0),
        lambda: likelihood_ratio(0.1, (1.0, 2.0)),
        lambda: likelihood_ratio(0.1, ()),
        lambda: betting(7.0, "below", 0.0, 7.0),
        lambda: betting(7.0, "below", 0.0, 10.0, (1.0,)),
        lambda: betting(7.0, "below", 0.0, 10.0, ()),
        lambda: against_baseline(7.0, 7.0, "below", 0.0, 10.0),
        lambda: against_baseline(90.0, 90.0, "above", 0.0, 120.0),
        lambda: together(()),
    ],
)
def test_what_makes_no_sense_is_refused(wrong: Callable[[], object]) -> None:
    with pytest.raises(ValueError, match=r"\w"):
        wrong()
