"""The health score starts at 100 and says what cost the points."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cinegen_core.monitor import Sample, health_of
from cinegen_core.monitor.health import percentile

GOOD: dict[str, Any] = {"seconds": 20.0, "margin": 1.2, "margin_good": 0.7, "active": 17, "delivered": 17}


def samples(count: int, **changes: Any) -> list[Sample]:
    return [Sample.model_validate({"at": float(n), **GOOD, **changes}) for n in range(count)]


@pytest.mark.parametrize(
    ("changes", "score", "status"),
    [
        ({}, 100, "HEALTHY"),
        ({"margin": -0.1, "margin_good": -0.6}, 70, "WARNING"),
        ({"margin": 0.1, "margin_good": -0.4}, 85, "HEALTHY"),
        ({"delivered": 13}, 75, "WARNING"),
        ({"delivered": 14}, 90, "HEALTHY"),
        ({"seconds": 91.0}, 80, "HEALTHY"),
        ({"seconds": 46.0}, 90, "HEALTHY"),
        ({"error": True}, 80, "HEALTHY"),
        ({"margin": -4.0, "margin_good": -4.5, "error": True}, 50, "CRITICAL"),
    ],
)
def test_each_thing_that_is_wrong_costs_what_the_contract_says(
    changes: dict[str, Any], score: int, status: str
) -> None:
    health = health_of(samples(20, **changes), 20.0)
    assert (health.score, health.status) == (score, status)
    assert 100 - sum(issue.points for issue in health.issues) == score


def test_errors_cost_by_their_share() -> None:
    for bad, score in ((1, 100), (2, 90), (3, 80)):
        mixed = [*samples(20 - bad), *samples(bad, error=True)]
        assert health_of(mixed, 20.0).score == score


def test_critical_alerts_of_other_causes_cost_ten_each_and_nothing_goes_below_zero() -> None:
    assert health_of(samples(20), 20.0, critical_alerts=2).score == 80
    assert health_of(samples(20), 20.0, critical_alerts=40).score == 0


def test_with_too_few_requests_in_the_last_hour_there_is_no_score() -> None:
    assert health_of(samples(9), 20.0).score is None
    assert health_of(samples(20), 3615.0).score is None


@given(st.lists(st.floats(-1e6, 1e6), min_size=1, max_size=50), st.floats(0, 1))
def test_a_percentile_lies_among_the_values_and_grows_with_its_share(
    values: list[float], share: float
) -> None:
    found = percentile(values, share)
    assert min(values) <= found <= max(values)
    assert percentile(values, 0.0) == min(values)
    assert percentile(values, share) <= percentile(values, 1.0) + 1e-9
