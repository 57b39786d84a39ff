"""The figures of a studio, computed from its events alone: equal events give equal figures, in whatever order and however often
they were delivered.

All shares are in percent (0..100), all times in seconds, and what there is no data for is None.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta
from math import atanh, fsum, sqrt, tanh
from statistics import NormalDist, StatisticsError, correlation, fmean
from typing import Annotated, TypeVar

from pydantic import Field

from cinegen_core.flags.cohorts import Cohort, cohorts
from cinegen_core.flags.model import Sample
from cinegen_core.monitor.events import Event, FeedbackEvent, GenerationEvent, HeartbeatEvent
from cinegen_core.monitor.health import percentile
from cinegen_core.scorer import QualityClass, quality_class
from cinegen_core.story.model import Noun
from cinegen_core.tiers.model import TierName

TARGET = 60.0
"""Seconds inside which a fallback is one that its reader does not notice."""

CINEMATIC = 8.0
"""The least quality, on the guide's scale, that is called cinematic."""

LEAST_PAIRS = 8
"""With fewer there is no correlation: its interval would take up most of -1..1."""

LATE = timedelta(seconds=90)
"""Two heartbeats no further apart than this, though meant to come once a minute, leave nothing out."""

_MINUTE = timedelta(minutes=1)
_CLASSES: tuple[QualityClass, ...] = ("masterpiece", "cinematic", "excellent", "good", "basic", "poor")
_STATES = ("started", "running", "stopped")
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
    known = _once(events)
    if len({event.series for event in known}) > 1:
        raise ValueError("figures are of one series at a time")
    since = now - timedelta(hours=hours)
    all_generations = [event for event in known if isinstance(event, GenerationEvent)]
    generations = [event for event in all_generations if event.counts and since <= event.at <= now]
    feedback = _feedback(known, all_generations, now)
    ratings = _ratings([event for event in feedback if event.at >= since])
    rated = _rated(ratings, all_generations)
    scores = [event.score for event in generations if event.score is not None]
    qualities = _qualities(generations)
    return Figures(
        total_episodes=len(all_generations) if total_episodes is None else total_episodes,
        episodes=len(generations),
        mean_quality=_mean(qualities),
        mean_score=_mean(scores),
        quality_classes=_classes(scores),
        cinematic_share=_percent(quality >= CINEMATIC for quality in qualities),
        success_rate=_percent(not event.error for event in generations),
        error_rate=_percent(event.error for event in generations),
        fallback_rate=_percent(event.fallback for event in generations),
        seamless_fallback=_percent(
            event.accepted and event.seconds <= TARGET for event in generations if event.fallback
        ),
        engine_success_rate=_percent(run.delivered for event in generations for run in event.engines),
        engines=_engines(generations),
        tiers=_tiers(generations),
        seconds=_times([event.seconds for event in generations]),
        tokens=sum(a.tokens for event in generations for a in event.attempts) if generations else None,
        cost=fsum(a.cost for event in generations for a in event.attempts) if generations else None,
        flags=_flags(generations),
        satisfaction=_satisfaction(ratings),
        completion=_completion(feedback, since),
        rating_quality=rank_correlation(
            [(rating, event.quality) for rating, event in rated if event.quality is not None]
        ),
        rating_dimensions=_by_dimension(rated),
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


def uptime(
    heartbeats: Sequence[HeartbeatEvent], now: datetime, *, hours: float | None = None
) -> float | None:
    """Percent of the minutes in which a studio was to run in which one answered its own probe; None where none was to run.

    It was to run from its first heartbeat to the one that says it stopped, and again from the next on. Where heartbeats end
    without that, it was to run until its next heartbeat, or the start of any studio (a new process may have a new name), or
    else until now. Of several studios it is enough that one answers. The minutes are those of the clock; the one that
    is not over counts only if something was heard in it. Looks back `hours`, or as far as there are heartbeats.
    """
    base = now.replace(second=0, microsecond=0)
    studios: dict[str, list[HeartbeatEvent]] = defaultdict(list)
    starts: list[datetime] = []
    # a last heartbeat at the very instant of the stop comes before it
    for beat in sorted(_once(heartbeats), key=lambda beat: (beat.at, _STATES.index(beat.state))):
        if beat.at <= now:
            studios[beat.studio].append(beat)
            if beat.state == "started":
                starts.append(beat.at)
    expected: set[int] = set()
    up: set[int] = set()
    for beats in studios.values():
        following: list[HeartbeatEvent | None] = [*beats[1:], None]
        for beat, after in zip(beats, following, strict=True):
            if beat.state == "stopped":
                continue
            minute = (beat.at - base) // _MINUTE
            expected.add(minute)
            if beat.answered:
                up.add(minute)
            end = _silent_until(beat, after, starts, now)
            missed = range(minute + 1, (end - base) // _MINUTE)
            expected.update(missed)
            if beat.answered and _carries_on(beat, after):
                up.update(missed)
    if hours is not None:
        first = (now - timedelta(hours=hours) - base) // _MINUTE
        expected = {minute for minute in expected if minute >= first}
    return 100.0 * len(expected & up) / len(expected) if expected else None


def _silent_until(
    beat: HeartbeatEvent, after: HeartbeatEvent | None, starts: Sequence[datetime], now: datetime
) -> datetime:
    if after is not None and after.state != "started":
        return after.at
    if after is None and now - beat.at <= LATE:
        return beat.at
    ends = [start for start in starts if start > beat.at]
    return min([*ends, after.at if after is not None else now])


def _carries_on(beat: HeartbeatEvent, after: HeartbeatEvent | None) -> bool:
    """Whether nothing but the jitter of the clock lies between."""
    if after is None or after.state == "started" or after.at - beat.at > LATE:
        return False
    return after.answered or after.state == "stopped"


_E = TypeVar("_E", bound=Event)


def _once(events: Iterable[_E]) -> list[_E]:
    """Each event once, in an order that does not depend on that of delivery. Of those that share an id the first counts."""
    found: dict[tuple[str, str], _E] = {}
    for event in events:
        key = (event.kind, event.id)
        other = found.setdefault(key, event)
        if other is not event and other != event:
            found[key] = min(other, event, key=lambda one: (one.at, one.model_dump_json()))
    return sorted(found.values(), key=lambda event: (event.at, event.kind, event.id))


def _feedback(
    events: Iterable[Event], generations: Iterable[GenerationEvent], now: datetime
) -> list[FeedbackEvent]:
    """All up to now that is not about an answer that does not count."""
    apart = {event.id for event in generations if not event.counts}
    return [
        event
        for event in events
        if isinstance(event, FeedbackEvent) and event.at <= now and event.generation not in apart
    ]


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


def _classes(scores: Sequence[float]) -> dict[QualityClass, float] | None:
    if not scores:
        return None
    names = [quality_class(score) for score in scores]
    return {name: 100.0 * names.count(name) / len(names) for name in _CLASSES if name in names}


def _engines(generations: Iterable[GenerationEvent]) -> dict[str, EngineFigures] | None:
    active: dict[str, int] = defaultdict(int)
    delivered: dict[str, int] = defaultdict(int)
    realised: dict[str, list[float]] = defaultdict(list)
    for event in generations:
        for run in event.engines:
            active[run.engine] += 1
            delivered[run.engine] += run.delivered
            if run.realised is not None:
                realised[run.engine].append(run.realised)
    return {
        name: EngineFigures(
            active=active[name],
            delivered=delivered[name],
            success_rate=100.0 * delivered[name] / active[name],
            realised=_mean(realised[name]),
        )
        for name in sorted(active)
    } or None


def _tiers(generations: Sequence[GenerationEvent]) -> dict[TierName, TierFigures] | None:
    answers = {tier: [event for event in generations if event.tier == tier] for tier in _TIERS}
    return {
        tier: TierFigures(
            count=len(found),
            quality=_mean(_qualities(found)),
            seconds=fmean(event.seconds for event in found),
        )
        for tier, found in answers.items()
        if found
    } or None


def _times(seconds: Sequence[float]) -> Times | None:
    if not seconds:
        return None
    return Times(
        mean=fmean(seconds),
        p50=percentile(seconds, 0.50),
        p95=percentile(seconds, 0.95),
        p99=percentile(seconds, 0.99),
    )


def _flags(generations: Sequence[GenerationEvent]) -> dict[str, FlagFigures] | None:
    samples = flag_samples(generations)
    found: dict[str, FlagFigures] = {}
    for flag in sorted({flag for event in generations for flag in event.flags}):
        on, off = cohorts(samples, flag)
        found[flag] = FlagFigures(on=_cohort(on), off=_cohort(off))
    return found or None


def _cohort(cohort: Cohort) -> CohortFigures:
    return CohortFigures(
        usage=cohort.usage,
        success_rate=None if cohort.success_rate is None else 100.0 * cohort.success_rate,
        error_rate=None if cohort.error_rate is None else 100.0 * cohort.error_rate,
        quality=cohort.quality,
        seconds=cohort.seconds,
    )


def _qualities(generations: Iterable[GenerationEvent]) -> list[float]:
    return [event.quality for event in generations if event.quality is not None]


def _mean(values: Sequence[float]) -> float | None:
    return fmean(values) if values else None


def _percent(facts: Iterable[bool]) -> float | None:
    found = list(facts)
    return 100.0 * sum(found) / len(found) if found else None


def _ranks(values: Sequence[float]) -> list[float]:
    """From 1 up; equal values share the mean of their ranks."""
    places: dict[float, list[int]] = defaultdict(list)
    for place, value in enumerate(sorted(values), start=1):
        places[value].append(place)
    ranks = {value: fmean(found) for value, found in places.items()}
    return [ranks[value] for value in values]
