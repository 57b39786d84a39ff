"""How those with a flag fare against those without it.

The two cohorts of a rollout by percentage are drawn by chance, so that a difference is the flag's doing. Where a flag is given by
target (testers, one country), it may be theirs.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from math import sqrt
from statistics import NormalDist, fmean, variance
from typing import Annotated

from pydantic import Field

from cinegen_core.flags.model import Noun, Sample

LEAST_SAMPLES = 5
"""In each cohort. With fewer there is no interval: a standard deviation of four values says next to nothing."""

Share = Annotated[float, Field(ge=0, le=1)]


class Cohort(Noun):
    """What the samples of one cohort say; None where there is no data. `quality` and `seconds` are means."""

    usage: Annotated[int, Field(ge=0)] = 0
    success_rate: Share | None = None
    error_rate: Share | None = None
    quality: float | None = None
    seconds: Annotated[float, Field(ge=0)] | None = None


class Difference(Noun):
    """On less off, with an interval that holds the true difference with probability `level`."""

    value: float
    low: float
    high: float
    level: Annotated[float, Field(gt=0, lt=1)]


class Differences(Noun):
    """What a flag changes, on less off; None with fewer than `LEAST_SAMPLES` values in either cohort."""

    quality: Difference | None = None
    seconds: Difference | None = None
    error_rate: Difference | None = None


def cohorts(samples: Iterable[Sample], flag: str) -> tuple[Cohort, Cohort]:
    """The cohort for which the flag was on, and that for which it was evaluated and off."""
    on, off = _split(samples, flag)
    return _cohort(on), _cohort(off)


def differences(samples: Iterable[Sample], flag: str, *, level: float = 0.95) -> Differences:
    """Between the two cohorts. `level` is 0..1, both excluded."""
    on, off = _split(samples, flag)
    return Differences(
        quality=difference(_qualities(on), _qualities(off), level=level),
        seconds=difference([s.seconds for s in on], [s.seconds for s in off], level=level),
        error_rate=rate_difference(
            sum(s.error for s in on), len(on), sum(s.error for s in off), len(off), level=level
        ),
    )


def difference(on: Sequence[float], off: Sequence[float], *, level: float = 0.95) -> Difference | None:
    """Of two means, by Welch's t (Biometrika 34, 1947), which lets the cohorts vary differently.

    None with fewer than `LEAST_SAMPLES` in either. Raises `ValueError` for a level that is not between 0 and 1.
    """
    _checked(level)
    if min(len(on), len(off)) < LEAST_SAMPLES:
        return None
    of_on, of_off = variance(on) / len(on), variance(off) / len(off)
    value, error = fmean(on) - fmean(off), sqrt(of_on + of_off)
    if error == 0.0:
        return Difference(value=value, low=value, high=value, level=level)
    # as shares of the whole, since squares of tiny variances would vanish
    share_on, share_off = of_on / (of_on + of_off), of_off / (of_on + of_off)
    freedom = 1.0 / (share_on**2 / (len(on) - 1) + share_off**2 / (len(off) - 1))
    reach = student_quantile(0.5 + level / 2.0, freedom) * error
    return Difference(value=value, low=value - reach, high=value + reach, level=level)


def rate_difference(on: int, of_on: int, off: int, of_off: int, *, level: float = 0.95) -> Difference | None:
    """Of two rates, `on` out of `of_on` less `off` out of `of_off`, by Newcombe's hybrid score interval (Statistics in Medicine 17,
    1998, method 10), which holds for rates near 0.

    None with fewer than `LEAST_SAMPLES` in either. Raises `ValueError` for a level that is not between 0 and 1.
    """
    _checked(level)
    if min(of_on, of_off) < LEAST_SAMPLES:
        return None
    z = NormalDist().inv_cdf(0.5 + level / 2.0)
    rate_on, rate_off = on / of_on, off / of_off
    (low_on, high_on), (low_off, high_off) = _wilson(on, of_on, z), _wilson(off, of_off, z)
    value = rate_on - rate_off
    return Difference(
        value=value,
        low=value - sqrt((rate_on - low_on) ** 2 + (high_off - rate_off) ** 2),
        high=value + sqrt((high_on - rate_on) ** 2 + (rate_off - low_off) ** 2),
        level=level,
    )


def student_quantile(share: float, freedom: float) -> float:
    """Student's t below which `share` (0..1, both excluded) lies, for 4 degrees of freedom or more: Abramowitz & Stegun 26.7.5,
    four terms; within .011 for shares from .005 to .995 at 4 degrees, and closer above."""
    z = NormalDist().inv_cdf(share)
    terms = (
        (z**3 + z) / 4.0,
        (5.0 * z**5 + 16.0 * z**3 + 3.0 * z) / 96.0,
        (3.0 * z**7 + 19.0 * z**5 + 17.0 * z**3 - 15.0 * z) / 384.0,
        (79.0 * z**9 + 776.0 * z**7 + 1482.0 * z**5 - 1920.0 * z**3 - 945.0 * z) / 92160.0,
    )
    return z + sum(term / freedom ** (place + 1) for place, term in enumerate(terms))


def _split(samples: Iterable[Sample], flag: str) -> tuple[list[Sample], list[Sample]]:
    on: list[Sample] = []
    off: list[Sample] = []
    for sample in samples:
        if flag in sample.on:
            on.append(sample)
        elif flag in sample.off:
            off.append(sample)
    return on, off


def _cohort(samples: Sequence[Sample]) -> Cohort:
    if not samples:
        return Cohort()
    errors = sum(sample.error for sample in samples)
    qualities = _qualities(samples)
    return Cohort(
        usage=len(samples),
        success_rate=(len(samples) - errors) / len(samples),
        error_rate=errors / len(samples),
        quality=fmean(qualities) if qualities else None,
        seconds=fmean(sample.seconds for sample in samples),
    )


def _qualities(samples: Iterable[Sample]) -> list[float]:
    return [sample.quality for sample in samples if sample.quality is not None]


def _wilson(count: int, of: int, z: float) -> tuple[float, float]:
    rate, square = count / of, z * z / of
    middle = (rate + square / 2.0) / (1.0 + square)
    reach = z * sqrt(rate * (1.0 - rate) / of + square / (4.0 * of)) / (1.0 + square)
    return max(0.0, middle - reach), min(1.0, middle + reach)


def _checked(level: float) -> None:
    if not 0.0 < level < 1.0:
        raise ValueError("a level lies between 0 and 1")
