"""The health score: 100, less what is wrong with the last hour's requests."""

from __future__ import annotations

from collections.abc import Sequence
from statistics import fmean
from typing import Annotated, Literal

from pydantic import Field

from cinegen_core.story.model import Noun
from cinegen_core.tiers.judging import profiles
from cinegen_core.tiers.model import Attempt, TierName

WINDOW = 3600.0
"""Seconds that the score looks back."""

LEAST_SAMPLES = 10
"""With fewer there is no score."""

Status = Literal["HEALTHY", "WARNING", "CRITICAL"]


class Sample(Noun):
    """One request as it ended. `at` in seconds on the studio's clock; `margin` is quality above the least that its writer's
    profile accepts, `margin_good` above the profile's equivalent of 7.5; None where nothing was scored."""

    at: float
    seconds: Annotated[float, Field(ge=0)]
    margin: float | None = None
    margin_good: float | None = None
    active: Annotated[int, Field(ge=0)] = 0
    delivered: Annotated[int, Field(ge=0)] = 0
    error: bool = False


class Issue(Noun):
    """Something that costs points, in words."""

    text: str
    points: int


class Health(Noun):
    """`score` 0..100, None with fewer than `LEAST_SAMPLES` samples; `issues` are what cost points."""

    score: Annotated[int, Field(ge=0, le=100)] | None
    status: Status | None
    issues: tuple[Issue, ...] = ()


def sample_of(
    attempts: Sequence[Attempt],
    winner: Attempt | None,
    *,
    at: float,
    seconds: float,
    profile: str,
    first: TierName,
) -> Sample:
    """What one request says about health. An error is a request without an episode, or one that only `basic_fallback` answered
    because all above it failed; `first` is the highest tier that it was allowed, `profile` that of its writer: whoever
    answers in its place is held to the same."""
    error = winner is None or (winner.tier == "basic_fallback" and first != "basic_fallback")
    with_engines = next((attempt for attempt in attempts if attempt.engines), None)
    known = profiles()
    held_to = known.get(profile, known["model"])
    quality = winner.score if winner is not None else None
    return Sample(
        at=at,
        seconds=seconds,
        margin=None if quality is None else quality - held_to.least,
        margin_good=None if quality is None else quality - held_to.good,
        active=len(with_engines.engines) if with_engines else 0,
        delivered=sum(run.delivered for run in with_engines.engines) if with_engines else 0,
        error=error,
    )


def health_of(
    samples: Sequence[Sample], now: float, *, critical_alerts: int = 0, window: float = WINDOW
) -> Health:
    """The score over the last `window` seconds, by the contract's points; `critical_alerts` are those of other causes."""
    recent = [sample for sample in samples if now - window <= sample.at <= now]
    if len(recent) < LEAST_SAMPLES:
        return Health(score=None, status=None)
    issues = [*_quality(recent), *_engines(recent), *_time(recent), *_errors(recent)]
    if critical_alerts:
        issues.append(
            Issue(
                text="1 critical alert is firing"
                if critical_alerts == 1
                else f"{critical_alerts} critical alerts are firing",
                points=10 * critical_alerts,
            )
        )
    score = max(0, 100 - sum(issue.points for issue in issues))
    status: Status = "HEALTHY" if score >= 80 else "WARNING" if score >= 60 else "CRITICAL"
    return Health(score=score, status=status, issues=tuple(issues))


def _quality(samples: Sequence[Sample]) -> list[Issue]:
    least = [sample.margin for sample in samples if sample.margin is not None]
    good = [sample.margin_good for sample in samples if sample.margin_good is not None]
    if least and fmean(least) < 0:
        return [Issue(text=f"mean quality is {-fmean(least):.1f} below the minimum", points=30)]
    if good and fmean(good) < 0:
        return [Issue(text=f"mean quality is {-fmean(good):.1f} below the warning level", points=15)]
    return []


def _engines(samples: Sequence[Sample]) -> list[Issue]:
    active = sum(sample.active for sample in samples)
    if not active:
        return []
    share = sum(sample.delivered for sample in samples) / active
    points = 25 if share < 0.80 else 10 if share < 0.85 else 0
    return [Issue(text=f"{share:.0%} of the engines deliver", points=points)] if points else []


def _time(samples: Sequence[Sample]) -> list[Issue]:
    p95 = percentile([sample.seconds for sample in samples], 0.95)
    points = 20 if p95 > 90 else 10 if p95 > 45 else 0
    return [Issue(text=f"19 of 20 requests take up to {p95:.0f} s", points=points)] if points else []


def _errors(samples: Sequence[Sample]) -> list[Issue]:
    share = sum(sample.error for sample in samples) / len(samples)
    points = 20 if share > 0.10 else 10 if share > 0.05 else 0
    return [Issue(text=f"{share:.0%} of the requests end in an error", points=points)] if points else []


def percentile(values: Sequence[float], share: float) -> float:
    """The value below which `share` (0..1) of the values lie, linear between neighbours. Raises `ValueError` for none."""
    if not values:
        raise ValueError("there is no percentile of nothing")
    ordered = sorted(values)
    place = share * (len(ordered) - 1)
    low = int(place)
    high = min(low + 1, len(ordered) - 1)
    return ordered[low] + (ordered[high] - ordered[low]) * (place - low)
