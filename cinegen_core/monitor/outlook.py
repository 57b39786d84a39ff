"""Where quality and volume are going, by the hour and by the day."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Annotated

from pydantic import Field

from cinegen_core.monitor.tally import HOUR, Tally
from cinegen_core.monitor.trends import Forecast, Point, Trend, change_points, forecast, trend
from cinegen_core.story.model import Noun

AHEAD = 7.0
"""Days that a forecast looks ahead."""

MOST_POINTS = 400
"""Points that a slope is taken of at most: neighbours beyond that share theirs."""


class Day(Noun):
    """One day of UTC. Means are weighted by answers; shares in percent, times in seconds; None without data."""

    day: datetime
    episodes: Annotated[int, Field(ge=0)]
    quality: float | None = None
    error_rate: float | None = None
    fallback_rate: float | None = None
    engine_success_rate: float | None = None
    seconds: float | None = None


class Outlook(Noun):
    """`changes` are the days on which the level of daily quality changed for longer than a few days. Forecasts are None without enough
    days: see `trends.LEAST_DAYS`."""

    days: tuple[Day, ...]
    quality: Trend
    volume: Trend
    quality_ahead: Forecast | None = None
    volume_ahead: Forecast | None = None
    changes: tuple[datetime, ...] = ()


def points(hours: Mapping[datetime, Tally], name: str) -> list[Point]:
    """The hourly means of what is counted under a name: `quality`, `dimension/pacing`, `tier/comprehensive/quality`."""
    found = [(hour + HOUR / 2, tally.mean(name)) for hour, tally in sorted(hours.items())]
    return [(at, value) for at, value in found if value is not None]


def direction(hours: Mapping[datetime, Tally], name: str = "quality") -> Trend:
    """Of hourly means, by `trends.trend`."""
    return trend(_thinned(points(hours, name)))


def daily(hours: Mapping[datetime, Tally]) -> tuple[Day, ...]:
    """The days that hours make up, those without any answer between them included."""
    days: dict[datetime, Tally] = {}
    for hour, tally in hours.items():
        days.setdefault(hour.replace(hour=0), Tally()).add(tally)
    if not days:
        return ()
    first, last = min(days), max(days)
    every = [first + timedelta(days=number) for number in range((last - first).days + 1)]
    return tuple(_day(day, days.get(day, Tally())) for day in every)


def outlook(hours: Mapping[datetime, Tally], now: datetime) -> Outlook:
    """Of hourly tallies. The day that is not over yet is left out of trends and forecasts."""
    days = daily(hours)
    over = [day for day in days if day.day + timedelta(days=1) <= now.astimezone(UTC)]
    quality = [(day.day, day.quality) for day in over if day.quality is not None]
    volume = [(day.day, float(day.episodes)) for day in over]
    return Outlook(
        days=days,
        quality=direction(hours),
        volume=trend(_thinned(volume)),
        quality_ahead=forecast(quality, AHEAD),
        volume_ahead=forecast(volume, AHEAD),
        changes=tuple(quality[place][0] for place in change_points([value for _, value in quality])),
    )


def _day(day: datetime, tally: Tally) -> Day:
    counts = tally.counts
    answers = counts["answers"]
    return Day(
        day=day,
        episodes=answers,
        quality=tally.mean("quality"),
        error_rate=100.0 * counts["errors"] / answers if answers else None,
        fallback_rate=100.0 * counts["fallbacks"] / answers if answers else None,
        engine_success_rate=100.0 * counts["delivered"] / counts["active"] if counts["active"] else None,
        seconds=counts["ms"] / (1000 * answers) if answers else None,
    )


def _thinned(given: Sequence[Point], most: int = MOST_POINTS) -> Sequence[Point]:
    """Means of neighbours, so that a slope over very many points stays quick."""
    if len(given) <= most:
        return given
    size = -(-len(given) // most)
    groups = [given[start : start + size] for start in range(0, len(given), size)]
    return [(group[len(group) // 2][0], sum(value for _, value in group) / len(group)) for group in groups]
