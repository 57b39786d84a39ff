"""Where a figure is going: the direction the evidence supports, what to expect, and where it jumped."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime, timedelta
from itertools import combinations, pairwise
from math import erfc, fsum, inf, log, sqrt
from statistics import NormalDist, fmean, median
from typing import Annotated, Literal

from pydantic import Field

from cinegen_core.flags.cohorts import student_quantile
from cinegen_core.story.model import Noun

SIGNIFICANT = 0.05
"""The chance at which a figure that goes nowhere is nevertheless said to have a trend."""

LEAST_POINTS = 10
"""With fewer the normal approximation of the Mann-Kendall test does not hold, and there is no direction."""

LEAST_DAYS = 14
"""Days with data, without which there is no forecast: two of every weekday."""

LEAST_RUN = 5
"""Values that a level must last for: a single wild value is no change."""

Direction = Literal["IMPROVING", "STABLE", "DECLINING"]
Point = tuple[datetime, float]

_DAY = timedelta(days=1)


class Trend(Noun):
    """`slope` is the change per day, between `low` and `high` with 95 %; `p` (0..1) is how often chance alone would show as
    much. None where there are too few points to say."""

    direction: Direction = "STABLE"
    slope: float | None = None
    low: float | None = None
    high: float | None = None
    p: Annotated[float, Field(ge=0, le=1)] | None = None
    points: Annotated[int, Field(ge=0)] = 0


class Forecast(Noun):
    """What one value at `at` will be: between `low` and `high` with 95 %, if things go on as they have."""

    at: datetime
    value: float
    low: float
    high: float


def trend(points: Sequence[Point], *, better: Literal["higher", "lower"] = "higher") -> Trend:
    """The direction by the Mann-Kendall test (Mann, Econometrica 13, 1945; Kendall, Rank Correlation Methods, 1975, with his
    correction for ties in values and times), the slope by Theil and Sen (Sen, JASA 63, 1968) with Sen's interval.

    STABLE unless the test says otherwise at `SIGNIFICANT`, and with fewer than `LEAST_POINTS`. The test takes points for
    independent, so that means of hours or days suit it better than overlapping windows. Takes time by the square of the number of
    points: fine for a thousand.
    """
    ordered = sorted(points)
    slopes: list[float] = []
    score = 0
    for (early, before), (late, after) in combinations(ordered, 2):
        if late > early:
            slopes.append((after - before) / ((late - early) / _DAY))
            score += (after > before) - (after < before)
    if not slopes:
        return Trend(points=len(ordered))
    slopes.sort()
    slope = median(slopes)
    if len(ordered) < LEAST_POINTS:
        return Trend(slope=slope, points=len(ordered))
    spread = sqrt(_variance([at for at, _ in ordered], [value for _, value in ordered]))
    p = _two_sided(score, spread)
    reach = NormalDist().inv_cdf(1.0 - SIGNIFICANT / 2.0) * spread
    outer = max(0, min(int((len(slopes) - reach) / 2.0) - 1, (len(slopes) - 1) // 2))
    direction: Direction = "STABLE"
    if p < SIGNIFICANT and slope != 0.0:
        direction = "IMPROVING" if (slope > 0.0) == (better == "higher") else "DECLINING"
    return Trend(
        direction=direction, slope=slope, low=slopes[outer], high=slopes[-1 - outer], p=p, points=len(ordered)
    )


def forecast(points: Sequence[Point], days_ahead: float) -> Forecast | None:
    """The value so many days (0 or more) after the last point, on the line of least squares, with the prediction interval of a
    single new value (Draper & Smith, Applied Regression Analysis, 3rd ed., section 3.1): t s sqrt(1 + 1/n + (x - mean)^2 / Sxx).

    None with data from fewer than `LEAST_DAYS` days. It knows no limits: a rate may be forecast above 100. Raises `ValueError`
    for days in the past.
    """
    if days_ahead < 0:
        raise ValueError("a forecast is of days to come")
    ordered = sorted(points)
    if len({_date(at) for at, _ in ordered}) < LEAST_DAYS:
        return None
    last = ordered[-1][0]
    days = [(at - last) / _DAY for at, _ in ordered]
    values = [value for _, value in ordered]
    count, middle, level = len(ordered), fmean(days), fmean(values)
    square = fsum((day - middle) ** 2 for day in days)
    slope = fsum((day - middle) * (value - level) for day, value in zip(days, values, strict=True)) / square
    left = fsum((v - level - slope * (d - middle)) ** 2 for d, v in zip(days, values, strict=True))
    error = sqrt(left / (count - 2)) * sqrt(1.0 + 1.0 / count + (days_ahead - middle) ** 2 / square)
    value = level + slope * (days_ahead - middle)
    reach = student_quantile(0.975, count - 2) * error
    return Forecast(at=last + days_ahead * _DAY, value=value, low=value - reach, high=value + reach)


def change_points(values: Sequence[float], *, penalty: float | None = None) -> tuple[int, ...]:
    """The places (from 0) at which the values go over to another level, in order; each level lasts `LEAST_RUN` values or more.

    The best division there is, found by PELT (Killick, Fearnhead & Eckley, JASA 107, 2012) for changes of a normal mean. Each
    change has to take `penalty` from the sum of squares, in units of the noise's variance; unless given it is 3 ln n, as the
    modified BIC asks (Zhang & Siegmund, Biometrics 63, 2007). The noise is measured between neighbours, where levels hardly
    count: the median size of their differences, as a normal deviation. Steady growth comes out as stairs.
    """
    count = len(values)
    noise = _noise(values)
    if count < 2 * LEAST_RUN or noise == 0.0:
        return ()
    each = 3.0 * log(count) if penalty is None else penalty
    middle = median(values)
    cost = _Cost([(value - middle) / noise for value in values])
    best = [inf] * (count + 1)
    best[0] = -each
    came_from = [0] * (count + 1)
    candidates = [0]
    dropped: dict[int, int] = {}
    for end in range(LEAST_RUN, count + 1):
        candidates = [start for start in candidates if dropped.get(start, end + 1) > end]
        for start in candidates:
            found = best[start] + cost.of(start, end) + each
            if found < best[end]:
                best[end], came_from[end] = found, start
        for start in candidates:
            # until a level may begin at `end`, `start` can still be the best
            if best[start] + cost.of(start, end) > best[end]:
                dropped.setdefault(start, end + LEAST_RUN)
        candidates.append(end - LEAST_RUN + 1)
    changes: list[int] = []
    end = came_from[count]
    while end > 0:
        changes.append(end)
        end = came_from[end]
    return tuple(reversed(changes))


class _Cost:
    """The squared distances of a stretch of values from their own mean."""

    def __init__(self, values: Iterable[float]) -> None:
        self._sums, self._squares = [0.0], [0.0]
        for value in values:
            self._sums.append(self._sums[-1] + value)
            self._squares.append(self._squares[-1] + value * value)

    def of(self, start: int, end: int) -> float:
        total = self._sums[end] - self._sums[start]
        return max(0.0, self._squares[end] - self._squares[start] - total * total / (end - start))


def _noise(values: Sequence[float]) -> float:
    steps = [after - before for before, after in pairwise(values)]
    if not steps:
        return 0.0
    typical = median(abs(step) for step in steps) / NormalDist().inv_cdf(0.75)
    # where most neighbours are equal, as with whole numbers, their median says nothing
    return (typical or sqrt(fmean(step * step for step in steps))) / sqrt(2.0)


def _variance(times: Iterable[datetime], values: Iterable[float]) -> float:
    """Of Kendall's S with ties on both sides (Rank Correlation Methods, 1975, chapter 4)."""
    by_time, by_value = list(Counter(times).values()), list(Counter(values).values())
    n = sum(by_time)
    whole = sum(k * (k - 1) * (2 * k + 5) for k in by_time) + sum(k * (k - 1) * (2 * k + 5) for k in by_value)
    threes = sum(k * (k - 1) * (k - 2) for k in by_time) * sum(k * (k - 1) * (k - 2) for k in by_value)
    twos = sum(k * (k - 1) for k in by_time) * sum(k * (k - 1) for k in by_value)
    return max(
        0.0,
        (n * (n - 1) * (2 * n + 5) - whole) / 18
        + threes / (9 * n * (n - 1) * (n - 2))
        + twos / (2 * n * (n - 1)),
    )


def _two_sided(score: int, spread: float) -> float:
    """The chance of a score as far from 0, one nearer to it for continuity."""
    if score == 0 or spread == 0.0:
        return 1.0
    return erfc((abs(score) - 1) / spread / sqrt(2.0))


def _date(at: datetime) -> object:
    return (at if at.tzinfo is None else at.astimezone(UTC)).date()
