"""A trend is said to be one only on evidence; a forecast says how far it may be off; a jump is found where it happened."""

from __future__ import annotations

import random
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from fractions import Fraction
from itertools import pairwise, permutations
from math import fsum, log
from statistics import fmean, linear_regression, pvariance

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cinegen_core.monitor import trends
from cinegen_core.monitor.trends import Point, change_points, forecast, trend

BEGIN = datetime(2026, 1, 5, tzinfo=UTC)

NILE = [
    1120, 1160, 963, 1210, 1160, 1160, 813, 1230, 1370, 1140, 995, 935, 1110, 994, 1020, 960, 1180, 799, 958, 1140, 1100, 1210,
    1150, 1250, 1260, 1220, 1030, 1100, 774, 840, 874, 694, 940, 833, 701, 916, 692, 1020, 1050, 969, 831, 726, 456, 824, 702,
    1120, 1100, 832, 764, 821, 768, 845, 864, 862, 698, 845, 744, 796, 1040, 759, 781, 865, 845, 944, 984, 897, 822, 1010, 771,
    676, 649, 846, 812, 742, 801, 1040, 860, 874, 848, 890, 744, 749, 838, 1050, 918, 986, 797, 923, 975, 815, 1020, 906, 901,
    1170, 912, 746, 919, 718, 714, 740,
]  # fmt: skip
"""The river's yearly flow at Aswan from 1871, on which methods for change points are tried: it fell with 1899."""


def daily(values: Sequence[float]) -> list[Point]:
    return [(BEGIN + timedelta(days=day), value) for day, value in enumerate(values)]


def noise(seed: int, count: int) -> list[float]:
    rng = random.Random(seed)
    return [rng.gauss(8.0, 0.3) for _ in range(count)]


finite = st.floats(-1e6, 1e6, allow_subnormal=False).map(lambda value: round(value, 3))
series = st.lists(st.tuples(st.integers(0, 40), finite), max_size=30).map(
    lambda pairs: [(BEGIN + timedelta(days=day), value) for day, value in pairs]
)


def test_quality_that_grows_is_improving_and_that_falls_declining() -> None:
    grows = trend(daily([7.0 + 0.05 * day for day in range(20)]))
    falls = trend(daily([9.0 - 0.05 * day for day in range(20)]))
    assert (grows.direction, falls.direction) == ("IMPROVING", "DECLINING")
    assert grows.slope == pytest.approx(0.05)
    assert falls.slope == pytest.approx(-0.05)


def test_of_processing_times_fewer_are_better() -> None:
    slower = daily([20.0 + day for day in range(20)])
    assert trend(slower, better="lower").direction == "DECLINING"
    assert trend(slower[:5], better="lower").direction == "STABLE"


def test_with_fewer_than_ten_points_nothing_is_called_a_trend() -> None:
    steep = daily([float(day) for day in range(10)])
    assert trend(steep).direction == "IMPROVING"
    nine = trend(steep[:9])
    assert (nine.direction, nine.slope, nine.low, nine.p, nine.points) == ("STABLE", 1.0, None, None, 9)


@pytest.mark.parametrize("points", [[], daily([8.0]), [(BEGIN, 8.0), (BEGIN, 9.0)]])
def test_where_no_time_has_passed_there_is_no_slope(points: list[Point]) -> None:
    found = trend(points)
    assert (found.direction, found.slope, found.low, found.high, found.p) == (
        "STABLE",
        None,
        None,
        None,
        None,
    )


def test_what_never_changes_is_stable() -> None:
    found = trend(daily([8.0] * 12))
    assert (found.direction, found.slope, found.low, found.high, found.p) == ("STABLE", 0.0, 0.0, 0.0, 1.0)


def test_one_wild_day_does_not_make_a_slope() -> None:
    values = [8.0 + 0.01 * day for day in range(21)]
    values[20] = -1000.0
    assert trend(daily(values)).slope == pytest.approx(0.01)


def test_chance_alone_is_called_a_trend_about_once_in_twenty() -> None:
    called = [trend(daily(noise(seed, 20))).direction != "STABLE" for seed in range(400)]
    assert 0.02 <= fmean(called) <= 0.08


def test_the_slope_lies_in_its_interval_nineteen_times_out_of_twenty() -> None:
    inside = []
    for seed in range(400):
        found = trend(daily([0.02 * day + value for day, value in enumerate(noise(seed, 20))]))
        assert found.low is not None
        assert found.high is not None
        inside.append(found.low <= 0.02 <= found.high)
    assert 0.92 <= fmean(inside) <= 0.99


def test_the_chance_of_a_trend_by_accident_is_near_the_exact_one() -> None:
    orders = [1]  # how many orders of n values have so many inversions
    for n in range(2, 11):
        orders = [sum(orders[max(0, k - n + 1) : k + 1]) for k in range(n * (n - 1) // 2 + 1)]
    for inversions in range(23):
        score = 45 - 2 * inversions
        exact = Fraction(2 * sum(orders[: inversions + 1]), sum(orders))
        values = in_order_but_for(inversions)
        found = trend(daily(values))
        assert found.p is not None
        assert found.p == pytest.approx(float(min(exact, Fraction(1))), abs=0.02), score


def in_order_but_for(inversions: int) -> list[float]:
    """Ten values with so many pairs the wrong way round."""
    left = list(range(10))
    values = []
    for _ in range(10):
        step = min(inversions, len(left) - 1)
        inversions -= step
        values.append(float(left.pop(step)))
    return values


@pytest.mark.parametrize(
    ("times", "values"),
    [
        ((0, 1, 2, 3, 4), (1.0, 2.0, 3.0, 4.0, 5.0)),
        ((0, 1, 2, 3, 4), (1.0, 1.0, 2.0, 2.0, 2.0)),
        ((0, 0, 1, 1, 2), (1.0, 1.0, 2.0, 3.0, 3.0)),
        ((0, 0, 0, 0, 1), (1.0, 2.0, 2.0, 2.0, 3.0)),
        ((0, 0, 0, 0, 0), (1.0, 1.0, 1.0, 1.0, 1.0)),
    ],
)
def test_ties_are_corrected_for_exactly(times: tuple[int, ...], values: tuple[float, ...]) -> None:
    scores = [
        sum(
            ((order[j] > order[i]) - (order[j] < order[i])) * ((times[j] > times[i]) - (times[j] < times[i]))
            for i in range(5)
            for j in range(i + 1, 5)
        )
        for order in permutations(values)
    ]
    at = [BEGIN + timedelta(days=time) for time in times]
    assert trends._variance(at, values) == pytest.approx(pvariance(scores))


@given(series, st.randoms())
def test_a_trend_does_not_depend_on_the_order_of_its_points(
    points: list[Point], chance: random.Random
) -> None:
    shuffled = list(points)
    chance.shuffle(shuffled)
    assert trend(shuffled) == trend(points)


@given(series)
def test_turned_upside_down_a_trend_is_the_opposite(points: list[Point]) -> None:
    found, turned = trend(points), trend([(at, -value) for at, value in points])
    opposite = {"IMPROVING": "DECLINING", "DECLINING": "IMPROVING", "STABLE": "STABLE"}
    assert turned.direction == opposite[found.direction]
    assert turned.p == found.p
    if found.slope is not None:
        assert turned.slope == -found.slope
    if found.low is not None and found.high is not None:
        assert (turned.low, turned.high) == (-found.high, -found.low)


@given(series)
def test_the_slope_lies_within_its_interval(points: list[Point]) -> None:
    found = trend(points)
    if found.slope is not None and found.low is not None and found.high is not None:
        assert found.low <= found.slope <= found.high


def test_without_two_weeks_of_data_there_is_no_forecast() -> None:
    assert forecast([], 7) is None
    assert forecast(daily(noise(1, 13)), 7) is None
    assert forecast([(BEGIN, 8.0), (BEGIN + timedelta(days=90), 9.0)], 7) is None
    assert forecast([(BEGIN + timedelta(minutes=n), 8.0) for n in range(500)], 7) is None
    assert forecast(daily(noise(1, 14)), 7) is not None


def test_a_forecast_goes_on_along_the_line_and_says_for_when() -> None:
    found = forecast(daily([7.0 + 0.05 * day for day in range(20)]), 10)
    assert found is not None
    assert found.at == BEGIN + timedelta(days=29)
    assert found.value == pytest.approx(7.0 + 0.05 * 29)
    assert found.high - found.low == pytest.approx(0.0, abs=1e-9)


def test_a_forecast_is_that_of_least_squares_and_widens_with_distance() -> None:
    values = noise(3, 30)
    line = linear_regression(range(30), values)
    near, far = forecast(daily(values), 1), forecast(daily(values), 60)
    assert near is not None
    assert far is not None
    assert near.value == pytest.approx(line.intercept + line.slope * 30)
    left = fsum((value - line.intercept - line.slope * day) ** 2 for day, value in enumerate(values))
    by_hand = 2.0484 * (left / 28) ** 0.5 * (1 + 1 / 30 + 15.5**2 / 2247.5) ** 0.5
    assert near.high - near.value == pytest.approx(by_hand, rel=1e-3)
    assert far.high - far.low > near.high - near.low


def test_nineteen_of_twenty_days_come_out_as_forecast() -> None:
    inside = []
    for seed in range(400):
        *known, next_day = noise(seed, 21)
        found = forecast(daily(known), 1)
        assert found is not None
        inside.append(found.low <= next_day <= found.high)
    assert 0.92 <= fmean(inside) <= 0.98


def test_nobody_forecasts_the_past() -> None:
    with pytest.raises(ValueError, match="to come"):
        forecast(daily(noise(1, 20)), -1)


@given(series, st.floats(0, 365), st.randoms())
def test_a_forecast_lies_in_its_interval_whatever_the_order(
    points: list[Point], ahead: float, chance: random.Random
) -> None:
    shuffled = list(points)
    chance.shuffle(shuffled)
    found = forecast(points, ahead)
    assert forecast(shuffled, ahead) == found
    assert found is None or found.low <= found.value <= found.high


def test_the_nile_fell_when_the_dam_was_begun() -> None:
    assert change_points(NILE) == (28,)


@pytest.mark.parametrize("values", [[], [8.0], [8.0] * 40, [8.0] * 4 + [2.0] * 4])
def test_without_a_change_or_enough_values_there_is_none(values: list[float]) -> None:
    assert change_points(values) == ()


def test_every_change_of_level_is_found_where_it_is() -> None:
    values = [7.0] * 12 + [8.5] * 8 + [6.0] * 20
    assert change_points(values) == (12, 20)
    noisy = [level + value - 8.0 for level, value in zip(values, noise(5, 40), strict=True)]
    found = change_points(noisy)
    assert len(found) == 2
    assert all(abs(place - true) <= 1 for place, true in zip(found, (12, 20), strict=True))


def test_a_single_wild_value_is_no_change() -> None:
    values = noise(2, 40)
    values[17] += 1.5
    assert change_points(values) == ()


def test_noise_is_seldom_taken_for_a_change() -> None:
    assert fmean(bool(change_points(noise(seed, 100))) for seed in range(200)) <= 0.05


def test_a_lower_penalty_finds_no_fewer_changes() -> None:
    values = noise(4, 80)
    counts = [len(change_points(values, penalty=penalty)) for penalty in (0.5, 2.0, 8.0, 32.0)]
    assert counts == sorted(counts, reverse=True)
    assert counts[0] > counts[-1] == 0


steps = st.lists(st.integers(-20, 20), min_size=10, max_size=28)


@given(steps, st.floats(0.5, 30))
def test_no_other_division_is_better(values: list[int], penalty: float) -> None:
    whole = [float(value) for value in values]
    size = trends._noise(whole)
    found = change_points(whole, penalty=penalty)
    if size == 0.0:
        assert found == ()
        return

    def cost(start: int, end: int) -> float:
        part = [value / size for value in whole[start:end]]
        return fsum((value - fmean(part)) ** 2 for value in part)

    least = [-penalty] + [float("inf")] * len(whole)
    for end in range(trends.LEAST_RUN, len(whole) + 1):
        for start in range(end - trends.LEAST_RUN + 1):
            least[end] = min(least[end], least[start] + cost(start, end) + penalty)
    places = [0, *found, len(whole)]
    pairs = list(pairwise(places))
    assert all(end - start >= trends.LEAST_RUN for start, end in pairs)
    ours = sum(cost(start, end) for start, end in pairs) + penalty * len(found)
    assert ours == pytest.approx(least[-1], rel=1e-6, abs=1e-6)


@given(steps, st.sampled_from([0.25, 2.0, 64.0]), st.integers(-100, 100))
def test_changes_do_not_depend_on_the_unit(values: list[int], scale: float, shift: int) -> None:
    penalty = 3.0 * log(len(values)) + 0.123456
    plain = change_points([float(value) for value in values], penalty=penalty)
    assert change_points([scale * (value + shift) for value in values], penalty=penalty) == plain
