"""The threshold of acceptance: how many first tries fall to the next tier at each, and how much better the answers are for it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from math import sqrt
from statistics import NormalDist, fmean, stdev
from typing import NamedTuple

import pandas as pd

from cinegen_core.monitor.events import Event, GenerationEvent
from cinegen_core.simulation import Pool
from cinegen_core.simulation.pool import Take
from cinegen_core.tiers.judging import Profile, profiles
from cinegen_core.tiers.runner import TIERS

MOST_FALLBACK = 15.0
"""Percent: a share of fallbacks above this raises a warning."""

NEXT_TO_NOTHING = 0.05
"""Points (0..10) on average of all answers that nobody would notice."""

SURE = 0.9


class Try(NamedTuple):
    """One tier's try at a request: its score (0..10), its seconds, and whether its form can be accepted at all."""

    score: float
    seconds: float
    fits: bool = True


class Tries(NamedTuple):
    """The tries at one request, the highest tier's first; `whole` where no lower tier is left that was not tried."""

    tried: tuple[Try, ...]
    whole: bool


def tries_of_pool(pool: Pool) -> tuple[Tries, ...]:
    """Those of the pool, where every tier answered every request: nothing is unknown."""
    return tuple(
        Tries(tuple(_of_take(entry.takes[tier]) for tier in TIERS), whole=True) for entry in pool.entries
    )


def tries_of_events(events: Iterable[Event]) -> tuple[Tries, ...]:
    """Those that were recorded; requests whose first try has no score are left out, they fall whatever the threshold."""
    found: list[Tries] = []
    for event in events:
        if not isinstance(event, GenerationEvent) or not event.counts or not event.attempts:
            continue
        if event.attempts[0].score is not None:
            tried = tuple(Try(one.score, one.seconds) for one in event.attempts if one.score is not None)
            found.append(Tries(tried, whole=event.attempts[-1].tier == TIERS[-1]))
    return tuple(found)


def profile_of(events: Iterable[Event]) -> str:
    """The quality profile that most answers are held to; the embedded writer's where there are none."""
    counted = Counter(
        event.profile for event in events if isinstance(event, GenerationEvent) and event.counts
    )
    return min(counted, key=lambda name: (-counted[name], name)) if counted else "embedded"


def thresholds_around(profile: Profile) -> tuple[float, ...]:
    """The profile's own three numbers, and half points from two below the lowest to three above it."""
    own = (profile.least, profile.good, profile.fine)
    around = [round(2 * profile.least + step) / 2 for step in range(-4, 7)]
    apart = [one for one in around if 0 <= one <= 10 and all(abs(one - mine) > 0.2 for mine in own)]
    return tuple(sorted({*own, *apart}))


def acceptance(tries: Sequence[Tries], thresholds: Iterable[float]) -> pd.DataFrame:
    """For each `threshold` (0..10, on the scorer's scale) the percent that `falls` to the next tier, the points that an answer has
    `gained` by it, on average of all requests and with an interval of 90 % from `low` to `high` (of the mean, by the normal
    distribution), the points that `each` of those that fell has gained, and how many percent `slower` it all is.

    By the studio's rule: the first try that is accepted answers, else the best. Gains are missing (NaN) where a try would fall whose
    next tier was never asked. Raises `ValueError` without tries.
    """
    if not tries:
        raise ValueError(
            "no answer has a first try with a score: nothing can be said about thresholds. Name another source."
        )
    rows = []
    for threshold in thresholds:
        falls = sum(not _accepted(one.tried[0], threshold) for one in tries)
        row: dict[str, float] = {
            "threshold": threshold,
            "requests": len(tries),
            "falls": 100 * falls / len(tries),
        }
        found = [_answered(one, threshold) for one in tries]
        known = [one for one in found if one is not None]
        if len(known) == len(found):
            gains = [answer.score - one.tried[0].score for one, (answer, _) in zip(tries, known, strict=True)]
            asked = sum(one.tried[0].seconds for one in tries)
            mean, error = fmean(gains), stdev(gains) / sqrt(len(gains)) if len(gains) > 1 else float("nan")
            reach = NormalDist().inv_cdf((1 + SURE) / 2) * error
            row |= {
                "gained": _rounded(mean),
                "low": _rounded(mean - reach),
                "high": _rounded(mean + reach),
                "each": _rounded(sum(gains) / falls) if falls else float("nan"),
                "slower": 100 * (sum(seconds for _, seconds in known) / asked - 1) if asked else 0.0,
            }
        rows.append(row)
    columns = ["threshold", "requests", "falls", "gained", "low", "high", "each", "slower"]
    return pd.DataFrame(rows, columns=columns).astype({name: float for name in columns if name != "requests"})


def acceptance_words(view: pd.DataFrame, least: float, *, of: str) -> str:
    """What `acceptance` says about the threshold in force, and about a higher one, in words; `of` names what was looked at."""
    mine = view[view["threshold"] == least].iloc[0]
    head = f"{of}: at the threshold in force, {least:g}, {mine['falls']:.1f} % of first tries fall to the next tier"
    quiet = view[view["falls"] <= MOST_FALLBACK]
    bound = f"up to {quiet['threshold'].max():g} the share of fallbacks stays within the {MOST_FALLBACK:g} % that raise a warning"
    if pd.isna(mine["gained"]):
        return f"{head}; what that gains is not known, since not every lower tier was asked; {bound}."
    span = f"{_points(mine['gained'])} points on average of all answers (90 %: {_points(mine['low'])} to {_points(mine['high'])})"
    known = view[view["gained"].notna()]
    most = known.loc[known["gained"].idxmax()]
    if most["gained"] < NEXT_TO_NOTHING:
        beyond = (
            "no threshold that can be judged gains anything to speak of: lower tiers hardly ever write better than the first, "
            f"and to ask them takes time ({known['slower'].iloc[-1]:.0f} % more at {known['threshold'].iloc[-1]:g})"
        )
    else:
        beyond = f"the most, {_points(most['gained'])}, is gained at {most['threshold']:g}, where {most['falls']:.1f} % fall"
    return f"{head}, which gains {span}; {beyond}; {bound}."


def _rounded(points: float) -> float:
    """To thousandths, and never a negative nothing."""
    return round(points, 3) + 0.0


def _points(points: float) -> str:
    return f"{points:+.2f}" if abs(points) >= 0.005 else "0"


def _of_take(take: Take) -> Try:
    fits = take.outcome == "accepted" or take.score < profiles()[take.profile].least
    return Try(take.score, take.seconds, fits)


def _accepted(one: Try, threshold: float) -> bool:
    return one.fits and one.score >= threshold


def _answered(one: Tries, threshold: float) -> tuple[Try, float] | None:
    """The try that answers and the seconds until it does; None where that takes a tier that was not asked."""
    seconds = 0.0
    for each in one.tried:
        seconds += each.seconds
        if _accepted(each, threshold):
            return each, seconds
    return (max(one.tried, key=lambda each: each.score), seconds) if one.whole else None
