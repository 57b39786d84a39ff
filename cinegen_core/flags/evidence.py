"""Evidence that a mean lies on the wrong side of a threshold, which may be looked at after every value.

A process starts from 1 and is multiplied, with every value x, by 1 + stake (x - mean): what somebody owns who bets against the
mean being on the right side. While it is, no bet makes money in the long run. Several stakes are bet side by side and what they
own is added up, since nobody knows beforehand how wrong things will go (testing by betting: Waudby-Smith & Ramdas, "Estimating
means of bounded random variables by betting", JRSS B 86, 2024; fixed stakes side by side are their "diversified Kelly" bettor.
For values 0 and 1 a stake is the likelihood ratio of one alternative.)

Whoever has less than 1 starts again with 1, M[t] = max(M[t-1], 1) factor[t], so that a long healthy time does not have to be
won back first. This is the CUSUM form of an e-detector (Shin, Ramdas & Rinaldo, "E-detectors", 2023, section 2), and what it
promises is a **mean time between false alarms**: at worst, with the mean at the threshold itself, `bound` values or more lie
between two of them on average. It promises no share of false alarms for ever; when things are well inside the threshold they
are far rarer than that (benchmarks/TRIGGERS.md).
"""

from __future__ import annotations

from math import log, log10, sqrt
from typing import Literal, NamedTuple

Worse = Literal["below", "above"]

ODDS = (2.25, 6.0)
"""Odds of an error under the alternatives, as multiples of those at the threshold: for a threshold of .10, rates of .20 and .40.
The larger finds a failure of 60 % within the ten values or so that theory asks for; with the smaller one of 20 % is found too."""

STAKES = (0.5, 0.95)
"""Stakes for bounded values, as shares of the largest that cannot lose everything at once."""

_LN10 = log(10.0)


class Bet(NamedTuple):
    """Grows by 1 + stake (value - mean); a negative stake bets on values below the mean."""

    mean: float
    stake: float


class Evidence(NamedTuple):
    """What one process has come to. Values are cut to `low`..`high`. `shares` say how what is owned is spread over the bets.

    `wealth` is the natural logarithm of M, in log space because nothing caps it. `samples`, `total` and `squares` (the sum of
    values and of their squares) are of the values since M last started from 1, so that `mean` estimates what the mean has become
    since the change.
    """

    low: float
    high: float
    bets: tuple[Bet, ...]
    shares: tuple[float, ...]
    wealth: float = 0.0
    samples: int = 0
    total: float = 0.0
    squares: float = 0.0

    @property
    def log10(self) -> float:
        """log10 of M, and 0 where M is below 1."""
        return max(0.0, self.wealth / _LN10)

    @property
    def mean(self) -> float | None:
        """Of the values since M last started from 1, None before the first."""
        return self.total / self.samples if self.samples else None

    @property
    def error(self) -> float | None:
        """The standard error of `mean`, None with fewer than two values."""
        if self.samples < 2:
            return None
        spread = max(0.0, self.squares - self.total * self.total / self.samples) / (self.samples - 1)
        return sqrt(spread / self.samples)


def likelihood_ratio(threshold: float, odds: tuple[float, ...] = ODDS) -> Evidence:
    """That the rate of errors (values 0 and 1) is above `threshold` (0..1, both excluded).

    The bets are likelihood ratios of rates with `odds` times the threshold's odds (each above 1), mixed in equal parts.
    Raises `ValueError` for anything else.
    """
    if not 0.0 < threshold < 1.0 or not odds or min(odds) <= 1.0:
        raise ValueError("the threshold is between 0 and 1, and the alternatives have higher odds")
    spread = threshold * (1.0 - threshold)
    rates = [ratio * threshold / (1.0 - threshold + ratio * threshold) for ratio in odds]
    return _fresh(0.0, 1.0, tuple(Bet(threshold, (rate - threshold) / spread) for rate in rates))


def betting(
    threshold: float, worse: Worse, low: float, high: float, stakes: tuple[float, ...] = STAKES
) -> Evidence:
    """That the mean of values within `low`..`high` is beyond `threshold`, on the side that is `worse`.

    Raises `ValueError` unless the threshold is inside the range and the stakes are between 0 and 1.
    """
    if not low < threshold < high or not stakes or not 0.0 < min(stakes) <= max(stakes) < 1.0:
        raise ValueError("the threshold lies inside the range of the values, and stakes between 0 and 1")
    most = 1.0 / (threshold - low) if worse == "above" else -1.0 / (high - threshold)
    return _fresh(low, high, tuple(Bet(threshold, most * stake) for stake in stakes))


def against_baseline(
    baseline: float,
    threshold: float,
    worse: Worse,
    low: float,
    high: float,
    stakes: tuple[float, ...] = STAKES,
) -> Evidence:
    """That the mean is no longer what it was when things were well: that it has gone more than half the way from `baseline` to
    `threshold`. Needs far fewer values than evidence against the threshold, and says less: whoever acts on it looks at `mean`
    and `error` as well.

    Raises `ValueError` unless the baseline is on the good side, and as `betting` does.
    """
    if baseline <= threshold if worse == "below" else baseline >= threshold:
        raise ValueError("a baseline is on the good side of its threshold")
    return betting((baseline + threshold) / 2.0, worse, low, high, stakes)


def updated(evidence: Evidence, value: float) -> Evidence:
    """The evidence after one more value."""
    low, high, bets, shares, wealth, samples, total, squares = evidence
    if wealth <= 0.0:
        shares, wealth, samples, total, squares = (1.0 / len(bets),) * len(bets), 0.0, 0, 0.0, 0.0
    value = low if value < low else min(value, high)
    owned = [
        share * (1.0 + stake * (value - mean)) for share, (mean, stake) in zip(shares, bets, strict=True)
    ]
    factor = sum(owned)
    return Evidence(
        low,
        high,
        bets,
        tuple([part / factor for part in owned]),
        wealth + log(factor),
        samples + 1,
        total + value,
        squares + value * value,
    )


def restarted(evidence: Evidence) -> Evidence:
    """The same process as before its first value."""
    return _fresh(evidence.low, evidence.high, evidence.bets)


def together(parts: tuple[float, ...]) -> float:
    """log10 of the mean of several M, each given as its log10; itself a process with the same promise, and at least 0.

    Raises `ValueError` for none.
    """
    if not parts:
        raise ValueError("there is no evidence to put together")
    most = max(parts)
    if most <= 0.0:
        return 0.0
    return max(0.0, most + log10(sum(10.0 ** (part - most) for part in parts) / len(parts)))


def _fresh(low: float, high: float, bets: tuple[Bet, ...]) -> Evidence:
    return Evidence(low, high, bets, (1.0 / len(bets),) * len(bets))
