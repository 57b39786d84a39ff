"""The figures of a studio, computed from its events alone: equal events give equal figures, in whatever order and however often
they were delivered.

All shares are in percent (0..100), all times in seconds, and what there is no data for is None.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta
from math import atanh, sqrt, tanh
from statistics import NormalDist, StatisticsError, correlation, fmean
from typing import Annotated, TypeVar

from pydantic import Field

from cinegen_core.flags.model import Sample
from cinegen_core.monitor.events import Event, FeedbackEvent, GenerationEvent
from cinegen_core.monitor.health import percentile
from cinegen_core.monitor.tally import SCALE, Tally
from cinegen_core.scorer import QualityClass
from cinegen_core.story.model import Noun
from cinegen_core.tiers.model import TierName

LEAST_PAIRS = 8
"""With fewer there is no correlation: its interval would take up most of -1..1."""

_CLASSES: tuple[QualityClass, ...] = ("masterpiece", "cinematic", "excellent", "good", "basic", "poor")
_TIERS: tuple[TierName, ...] = ("comprehensive", "enhanced_baseline", "basic_fallback")

Percent = Annotated[float, Field(ge=0, le=100)]
Count = Annotated[int, Field(ge=0)]
Seconds = Annotated[float, Field(ge=0)]


class EngineFigures(Noun):
    """One engine: in how many attempts it was active, and in how many it delivered; `realised` is how far its directives are in
    the scripts, mean, 0..1."""

    active: Count
    delivered: Count
    success_rate: Percent
    realised: float | None = None


class TierFigures(Noun):
    """The answers of one tier; `seconds` is the mean of the whole request, tries of higher tiers included."""

    count: Count
    quality: float | None = None
    seconds: Seconds


class Times(Noun):
    """Seconds from request to answer. Percentiles are exact, linear between neighbours."""

    mean: Seconds
    p50: Seconds
    p95: Seconds
    p99: Seconds


class CohortFigures(Noun):
    """The requests for which a flag was on, or off; `quality` and `seconds` are means."""

    usage: Count = 0
    success_rate: Percent | None = None
    error_rate: Percent | None = None
    quality: float | None = None
    seconds: Seconds | None = None


class FlagFigures(Noun):
    """Both cohorts of one flag."""

    on: CohortFigures
    off: CohortFigures


class Satisfaction(Noun):
    """What readers gave, 1..10; each reader's last word on each episode counts."""

    mean: Annotated[float, Field(ge=1, le=10)]
    count: Annotated[int, Field(ge=1)]


class Correlation(Noun):
    """Spearman's rank correlation (-1..1) of so many pairs, with an interval of 95 %; it has none at -1 and 1 themselves."""

    value: Annotated[float, Field(ge=-1, le=1)]
    low: Annotated[float, Field(ge=-1, le=1)] | None = None
    high: Annotated[float, Field(ge=-1, le=1)] | None = None
    pairs: Annotated[int, Field(ge=LEAST_PAIRS)]


class Figures(Noun):
    """One span of one series. All but `total_episodes` leave out kept answers and those given in an emergency.

    `mean_quality` and `cinematic_share` are on the guide's scale, `mean_score` and `quality_classes` on the scorer's; only classes
    that occur are named. `tokens` and `cost` (US dollars) are sums over all attempts. `completion` is the share of the
    episodes shown whose reader came to the choice, `seamless_fallback` that of the fallbacks that were accepted within `TARGET`.
    `rating_quality` and `rating_dimensions` say whether readers agree with the scorer.
    """

    total_episodes: Count
    episodes: Count
    mean_quality: float | None = None
    mean_score: float | None = None
    quality_classes: dict[QualityClass, Percent] | None = None
    cinematic_share: Percent | None = None
    success_rate: Percent | None = None
    error_rate: Percent | None = None
    fallback_rate: Percent | None = None
    seamless_fallback: Percent | None = None
    engine_success_rate: Percent | None = None
    engines: dict[str, EngineFigures] | None = None
    tiers: dict[TierName, TierFigures] | None = None
    seconds: Times | None = None
    tokens: Count | None = None
    cost: Annotated[float, Field(ge=0)] | None = None
    flags: dict[str, FlagFigures] | None = None
    satisfaction: Satisfaction | None = None
    completion: Percent | None = None
    rating_quality: Correlation | None = None
    rating_dimensions: dict[str, Correlation] | None = None


def figures(
    events: Sequence[Event], now: datetime, *, hours: float = 24.0, total_episodes: int | None = None
) -> Figures:
    """The figures of the `hours` (above 0) up to `now`, both ends included.

    `total_episodes` is that of all generations given, unless it is passed. Events from before the span still tell of which
    episode its feedback speaks. Raises `ValueError` for events of several series.
    """
    known = once(events)
    if len({event.series for event in known}) > 1:
        raise ValueError("figures are of one series at a time")
    since = now - timedelta(hours=hours)
    generations = [event for event in known if isinstance(event, GenerationEvent)]
    tally = Tally()
    for event in generations:
        if since <= event.at <= now:
            tally.answer(event)
    feedback = [event for event in known if isinstance(event, FeedbackEvent) and event.at <= now]
    total = len(generations) if total_episodes is None else total_episodes
    return figures_of(tally, reception(feedback, generations, since), total_episodes=total)


class Reception(Noun):
    """What readers made of episodes: as in `Figures`."""

    satisfaction: Satisfaction | None = None
    completion: Percent | None = None
    rating_quality: Correlation | None = None
    rating_dimensions: dict[str, Correlation] | None = None


def reception(
    feedback: Iterable[FeedbackEvent], generations: Iterable[GenerationEvent], since: datetime
) -> Reception:
    """Of feedback from `since` on; earlier feedback tells who had come to the choice already, `generations` what was rated. Feedback
    on answers among them that do not count is left out."""
    answers = list(generations)
    apart = {event.id for event in answers if not event.counts}
    heard = [event for event in once(feedback) if event.generation not in apart]
    ratings = _ratings([event for event in heard if event.at >= since])
    rated = _rated(ratings, answers)
    return Reception(
        satisfaction=_satisfaction(ratings),
        completion=_completion(heard, since),
        rating_quality=rank_correlation(
            [(rating, event.quality) for rating, event in rated if event.quality is not None]
        ),
        rating_dimensions=_by_dimension(rated),
    )


def figures_of(tally: Tally, readers: Reception, *, total_episodes: int) -> Figures:
    """The figures that a tally of answers comes to."""
    counts = tally.counts
    answers = counts["answers"]
    return Figures(
        total_episodes=total_episodes,
        episodes=answers,
        mean_quality=tally.mean("quality"),
        mean_score=tally.mean("score"),
        quality_classes={
            name: 100.0 * counts[f"class/{name}"] / counts["score/n"]
            for name in _CLASSES
            if counts[f"class/{name}"]
        }
        or None,
        cinematic_share=_share(counts["cinematic"], counts["quality/n"]),
        success_rate=_share(answers - counts["errors"], answers),
        error_rate=_share(counts["errors"], answers),
        fallback_rate=_share(counts["fallbacks"], answers),
        seamless_fallback=_share(counts["seamless"], counts["fallbacks"]),
        engine_success_rate=_share(counts["delivered"], counts["active"]),
        engines=_engines(tally),
        tiers=_tiers(tally),
        seconds=_times(tally),
        tokens=counts["tokens"] if answers else None,
        cost=counts["cost"] / SCALE if answers else None,
        flags=_flags(tally),
        satisfaction=readers.satisfaction,
        completion=readers.completion,
        rating_quality=readers.rating_quality,
        rating_dimensions=readers.rating_dimensions,
    )


def flag_samples(generations: Iterable[GenerationEvent]) -> list[Sample]:
    """Generations as what cohorts of flags are computed from."""
    return [
        Sample(
            at=event.at,
            on=frozenset(flag for flag, on in event.flags.items() if on),
            off=frozenset(flag for flag, on in event.flags.items() if not on),
            quality=event.quality,
            error=event.error,
            seconds=event.seconds,
        )
        for event in generations
    ]


def rank_correlation(pairs: Sequence[tuple[float, float]]) -> Correlation | None:
    """Spearman's (American Journal of Psychology 15, 1904), ties sharing their mean rank.

    The interval is by Fisher's z, with the standard error for ranks of Bonett & Wright (Psychometrika 65, 2000),
    sqrt((1 + r^2 / 2) / (n - 3)). None with fewer than `LEAST_PAIRS`, or where one side is the same throughout.
    """
    if len(pairs) < LEAST_PAIRS:
        return None
    ordered = sorted(pairs)
    try:
        found = correlation(_ranks([left for left, _ in ordered]), _ranks([right for _, right in ordered]))
    except StatisticsError:
        return None
    value = max(-1.0, min(1.0, found))
    if abs(value) > 1.0 - 1e-12:
        return Correlation(value=round(value), pairs=len(pairs))
    reach = NormalDist().inv_cdf(0.975) * sqrt((1.0 + value * value / 2.0) / (len(pairs) - 3))
    middle = atanh(value)
    return Correlation(value=value, low=tanh(middle - reach), high=tanh(middle + reach), pairs=len(pairs))


_E = TypeVar("_E", bound=Event)


def once(events: Iterable[_E]) -> list[_E]:
    """Each event once, in an order that does not depend on that of delivery. Of those that share an id the first counts."""
    found: dict[tuple[str, str], _E] = {}
    for event in events:
        key = (event.kind, event.id)
        other = found.setdefault(key, event)
        if other is not event and other != event:
            found[key] = min(other, event, key=lambda one: (one.at, one.model_dump_json()))
    return sorted(found.values(), key=lambda event: (event.at, event.kind, event.id))


def _ratings(feedback: Iterable[FeedbackEvent]) -> list[tuple[int, str]]:
    """(rating, generation), of each reader the last; readers without a name cannot be told apart, so all of theirs count."""
    last: dict[tuple[str, str], tuple[int, str]] = {}
    for event in feedback:
        if event.rating is not None:
            reader = f"who {event.who}" if event.who else f"event {event.id}"
            last[event.generation, reader] = (event.rating, event.generation)
    return list(last.values())


def _rated(
    ratings: Iterable[tuple[int, str]], generations: Iterable[GenerationEvent]
) -> list[tuple[int, GenerationEvent]]:
    by_id = {event.id: event for event in generations}
    return [(rating, by_id[generation]) for rating, generation in ratings if generation in by_id]


def _satisfaction(ratings: Sequence[tuple[int, str]]) -> Satisfaction | None:
    if not ratings:
        return None
    return Satisfaction(mean=fmean(rating for rating, _ in ratings), count=len(ratings))


def _completion(feedback: Iterable[FeedbackEvent], since: datetime) -> float | None:
    shown: set[str] = set()
    reached: set[str] = set()
    for event in feedback:
        if event.action != "shown":
            reached.add(event.generation)
        elif event.at >= since:
            shown.add(event.generation)
    return _percent(generation in reached for generation in shown)


def _by_dimension(rated: Sequence[tuple[int, GenerationEvent]]) -> dict[str, Correlation] | None:
    pairs: dict[str, list[tuple[float, float]]] = defaultdict(list)
    for rating, event in rated:
        for name, score in event.dimensions.items():
            pairs[name].append((rating, score))
    found = {name: rank_correlation(pairs[name]) for name in sorted(pairs)}
    return {name: value for name, value in found.items() if value is not None} or None


def _engines(tally: Tally) -> dict[str, EngineFigures] | None:
    counts = tally.counts
    return {
        name: EngineFigures(
            active=counts[f"engine/{name}/active"],
            delivered=counts[f"engine/{name}/delivered"],
            success_rate=100.0 * counts[f"engine/{name}/delivered"] / counts[f"engine/{name}/active"],
            realised=tally.mean(f"engine/{name}/realised"),
        )
        for name in tally.names("engine")
    } or None


def _tiers(tally: Tally) -> dict[TierName, TierFigures] | None:
    counts = tally.counts
    return {
        tier: TierFigures(
            count=counts[f"tier/{tier}/answers"],
            quality=tally.mean(f"tier/{tier}/quality"),
            seconds=counts[f"tier/{tier}/ms"] / (1000 * counts[f"tier/{tier}/answers"]),
        )
        for tier in _TIERS
        if counts[f"tier/{tier}/answers"]
    } or None


def _times(tally: Tally) -> Times | None:
    if not tally.times:
        return None
    ordered = sorted(tally.times)
    return Times(
        mean=sum(ordered) / (1000 * len(ordered)),
        p50=percentile(ordered, 0.50) / 1000,
        p95=percentile(ordered, 0.95) / 1000,
        p99=percentile(ordered, 0.99) / 1000,
    )


def _flags(tally: Tally) -> dict[str, FlagFigures] | None:
    return {
        flag: FlagFigures(on=_cohort(tally, f"flag/{flag}/on"), off=_cohort(tally, f"flag/{flag}/off"))
        for flag in tally.names("flag")
    } or None


def _cohort(tally: Tally, name: str) -> CohortFigures:
    usage, errors = tally.counts[f"{name}/answers"], tally.counts[f"{name}/errors"]
    return CohortFigures(
        usage=usage,
        success_rate=_share(usage - errors, usage),
        error_rate=_share(errors, usage),
        quality=tally.mean(f"{name}/quality"),
        seconds=tally.counts[f"{name}/ms"] / (1000 * usage) if usage else None,
    )


def _share(part: int, whole: int) -> float | None:
    return 100.0 * part / whole if whole else None


def _percent(facts: Iterable[bool]) -> float | None:
    found = list(facts)
    return _share(sum(found), len(found))


def _ranks(values: Sequence[float]) -> list[float]:
    """From 1 up; equal values share the mean of their ranks."""
    places: dict[float, list[int]] = defaultdict(list)
    for place, value in enumerate(sorted(values), start=1):
        places[value].append(place)
    ranks = {value: fmean(found) for value, found in places.items()}
    return [ranks[value] for value in values]
