"""What the contract says of alerts, worked out once more and otherwise: sliding sums over all raw events, one rule at a time."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from itertools import pairwise
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]
Bools = npt.NDArray[np.bool_]

LEAST = 20
DAY = 86400.0

CONTRACT = {
    "quality_critical": ("quality", "below", 7.0, 30),
    "engines_critical": ("engines", "below", 0.80, 15),
    "time_critical": ("seconds", "above", 90.0, 20),
    "uptime_critical": ("uptime", "below", 0.99, 24 * 60),
    "quality_warning": ("quality", "below", 7.5, 60),
    "engines_warning": ("engines", "below", 0.85, 30),
    "time_warning": ("seconds", "above", 45.0, 30),
    "fallback_warning": ("fallback", "above", 0.15, 60),
}
"""The contract's table of critical and warning alerts: measure, threshold, minutes."""


class Request(NamedTuple):
    """What a request says. `at` in seconds since the beginning; `engines` are (delivered, active)."""

    at: float
    quality: float
    seconds: float
    fallback: bool
    engines: tuple[int, int]


class Alert(NamedTuple):
    """Seconds since the beginning; `resolved` is None for one that still fires."""

    rule: str
    fired: float
    resolved: float | None


def alerts(requests: Sequence[Request], beats: Sequence[float], end: float) -> list[Alert]:
    """All that should fire, by the time at which it does. `requests` and `beats` in order of time."""
    at = np.array([one.at for one in requests])
    looks = np.unique(np.concatenate([at, np.array(beats), np.arange(0.0, end, 60.0)]))
    found: list[Alert] = []
    for rule, (measure, side, threshold, minutes) in CONTRACT.items():
        if measure == "uptime":
            value, full = _uptime(np.array(beats), looks, 1 - threshold)
        else:
            value, full = _means(at, requests, measure, looks, minutes * 60.0)
        broken = value < threshold if side == "below" else value > threshold
        found += _states(rule, looks, ~np.isnan(value), broken, full)
    return sorted(found, key=lambda one: (one.fired, one.rule))


def _means(
    at: Floats, requests: Sequence[Request], measure: str, looks: Floats, window: float
) -> tuple[Floats, Bools]:
    """The mean over (look - window, look], NaN from fewer than `LEAST`, and whether requests reach back over all of the window."""
    if measure == "engines":
        kept = np.array([one.engines[1] > 0 for one in requests])
        above = np.array([one.engines[0] for one in requests], dtype=np.float64)[kept]
        below = np.array([one.engines[1] for one in requests], dtype=np.float64)[kept]
        at = at[kept]
    else:
        above = np.array([float(getattr(one, measure)) for one in requests])
        below = np.ones(len(at))
    sums, counts = np.concatenate([[0.0], np.cumsum(above)]), np.concatenate([[0.0], np.cumsum(below)])
    first = np.searchsorted(at, looks - window, side="right")
    last = np.searchsorted(at, looks, side="right")
    value = np.full(len(looks), np.nan)
    enough = last - first >= LEAST
    value[enough] = ((sums[last] - sums[first])[enough]) / ((counts[last] - counts[first])[enough])
    begins = np.concatenate([[True], np.diff(at) >= window])
    began = np.maximum.accumulate(np.where(begins, at, -1.0))
    return value, began[np.maximum(last - 1, 0)] <= looks - window


def _uptime(beats: Floats, looks: Floats, allowed: float) -> tuple[Floats, Bools]:
    """Of the last day, the share in which a beat a minute vouched for the studio; one that is up to 90 s away still does."""
    gaps = [(a + 60.0, b) for a, b in pairwise(beats) if b - a > 90.0]
    down = np.zeros(len(looks))
    for begin, end in gaps:
        known = np.where(looks > begin + 30.0, np.minimum(looks, end), begin)
        down += np.maximum(0.0, known - np.maximum(begin, looks - DAY))
    watched = np.minimum(DAY, looks - beats[0])
    value = np.full(len(looks), np.nan)
    value[watched > 0] = 1 - down[watched > 0] / watched[watched > 0]
    return value, (looks - beats[0] >= DAY) | (down > allowed * DAY)


def _states(rule: str, looks: Floats, known: Bools, broken: Bools, full: Bools) -> list[Alert]:
    found: list[Alert] = []
    fired: float | None = None
    for look, says, bad, whole in zip(
        looks.tolist(), known.tolist(), broken.tolist(), full.tolist(), strict=True
    ):
        if not says:
            continue
        if fired is None and bad and whole:
            fired = look
        elif fired is not None and not bad:
            found.append(Alert(rule, fired, look))
            fired = None
    return found if fired is None else [*found, Alert(rule, fired, None)]


def mean_time_to_resolve(found: Sequence[Alert]) -> float:
    """Seconds."""
    return float(np.mean([one.resolved - one.fired for one in found if one.resolved is not None]))


def passed(at: datetime, start: datetime) -> float:
    """Seconds."""
    return (at - start) / timedelta(seconds=1)
