"""What the page about health counts, away from the page: figures over a week of many episodes take seconds, and no click waits for them."""

from __future__ import annotations

import threading
from collections.abc import Callable, Hashable
from concurrent.futures import Future, ThreadPoolExecutor, wait
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any, Generic, NamedTuple, TypeVar, cast

import streamlit as st

from cinegen_core.acting import NotKeptError
from cinegen_core.flags import JournalError
from cinegen_core.monitor.events import Series
from cinegen_core.monitor.metrics import Figures, Times, figures_of, reception
from cinegen_core.monitor.outlook import Outlook
from cinegen_core.monitor.tally import Tally
from cinegen_core.monitoring import Monitoring
from cinegen_core.store import StoreError
from cinegen_core.studio import Studio

if TYPE_CHECKING:
    # the HTTP interface comes with it, which the first look at the page would wait for
    from cinegen_core.readiness import Finding, Readiness

PATIENCE = 0.12
"""Seconds that a visitor waits for a count before the page goes on without it."""

FRESH = timedelta(seconds=10)
"""How old a count may be before it is made again, if somebody looks."""

SPARED = 20
"""A count that took long is made again only after so many times as long."""

KEPT = 32
"""Counts that are kept; those that nobody asked for the longest go first."""

LATENCY_DAYS = 28

TOLD = (StoreError, JournalError, NotKeptError)
"""What a count may fail with, to be told to people; anything else is a bug and is raised."""

T = TypeVar("T")


class Reading(NamedTuple, Generic[T]):
    """A count as it stands: None while it is made for the first time, or where it failed, with what it failed with."""

    value: T | None
    at: datetime | None = None
    error: Exception | None = None


@dataclass
class _Held:
    reading: Reading[Any]
    took: timedelta = timedelta()
    work: Future[tuple[Any, datetime, datetime]] | None = None


class Readings:
    """Counts in the background, one at a time, kept by name for whoever looks. From any thread; close it, or it ends with the program."""

    def __init__(self, now: Callable[[], datetime], *, patience: float = PATIENCE) -> None:
        self._now, self._patience = now, patience
        self._pool = ThreadPoolExecutor(1, thread_name_prefix="health")
        self._lock = threading.Lock()
        self._held: dict[Hashable, _Held] = {}

    def of(self, name: Hashable, count: Callable[[], T]) -> Reading[T]:
        """The last count of that name; a new one is begun where there is none, or it is old. Raises what is none of `TOLD`."""
        with self._lock:
            held = self._held.pop(name, None) or _Held(Reading(None))
            while len(self._held) >= KEPT:
                self._held.pop(next(iter(self._held)))
            self._held[name] = held
            self._take_in(held)
            if held.work is None and self._due(held):
                held.work = self._pool.submit(self._counted, count)
            work = held.work
        if work is not None and held.reading.value is None and held.reading.error is None:
            wait([work], self._patience)
            with self._lock:
                self._take_in(held)
        return cast("Reading[T]", held.reading)

    def ready(self, name: Hashable) -> bool:
        """Whether there is something to show of that name, be it why it failed."""
        with self._lock:
            held = self._held.get(name)
            return held is None or held.work is None or held.work.done() or held.reading.at is not None

    def settle(self, seconds: float) -> None:
        """Waits until nothing is being counted any more, at most so long."""
        with self._lock:
            works = [held.work for held in self._held.values() if held.work is not None]
        wait(works, seconds)

    def close(self) -> None:
        """Waits for the count that is being made; those that were to follow are dropped."""
        self._pool.shutdown(cancel_futures=True)

    def _counted(self, count: Callable[[], T]) -> tuple[T, datetime, datetime]:
        began = self._now()
        return count(), began, self._now()

    def _due(self, held: _Held) -> bool:
        at = held.reading.at
        return at is None or self._now() - at >= max(FRESH, SPARED * held.took)

    def _take_in(self, held: _Held) -> None:
        if held.work is None or not held.work.done():
            return
        work, held.work = held.work, None
        error = work.exception()
        if error is None:
            value, began, ended = work.result()
            held.reading, held.took = Reading(value, began), ended - began
        elif isinstance(error, TOLD):
            held.reading = Reading(None, self._now(), error)
        else:
            raise error


@st.cache_resource(
    show_spinner=False, hash_funcs={Studio: id}, on_release=lambda readings: readings.close(), max_entries=1
)
def readings_of(studio: Studio) -> Readings:
    """Those of a studio, for all who look at it."""
    return Readings(lambda: studio.now)


class Span(NamedTuple):
    """What was measured of one series over the last hours, and how that stands against the targets."""

    figures: Figures
    uptime: float | None
    criteria: tuple[Finding, ...]


def span_of(studio: Studio, monitoring: Monitoring, hours: int, series: Series) -> Span:
    """The criteria are the contract's, by `readiness.success_criteria`, of whichever series is looked at. Raises `StoreError`,
    and `NotKeptError` for a studio without flags."""
    from cinegen_core.readiness import Records, success_criteria

    steering = studio.steering
    if steering is None:
        raise NotKeptError("This studio has no flags, so that there is nothing to judge it by.")
    now = monitoring.now()
    since = now - timedelta(hours=hours)
    # an alert that began before the span may still be open in it
    earlier = [one for one in monitoring.events(series=series, kinds=("alert",)) if one.at < since]
    figures, uptime = monitoring.figures(hours, series=series), monitoring.uptime(hours, series=series)
    records = Records(
        now=now,
        days=hours / 24,
        figures=figures,
        events=[*earlier, *monitoring.events(since, series=series)],
        changes=(),
        declared=steering.flags.declared,
        overlay=steering.flags.overlay,
        uptime=uptime,
        mean_time_to_resolve=monitoring.mean_time_to_resolve(hours, series=series),
        at_once=studio.settings.jobs,
    )
    return Span(figures, uptime, success_criteria(records))


class DayTimes(NamedTuple):
    """The processing times of one day of UTC."""

    day: datetime
    answers: int
    times: Times


def latency_of(monitoring: Monitoring, series: Series) -> tuple[DayTimes, ...]:
    """Of the last `LATENCY_DAYS` days that have any, the first of them a whole one. Raises `StoreError`."""
    now = monitoring.now()
    days: dict[datetime, Tally] = {}
    for hour, tally in monitoring.hours(LATENCY_DAYS, series=series).items():
        day = hour.replace(hour=0)
        if day >= now - timedelta(days=LATENCY_DAYS):
            days.setdefault(day, Tally()).add(tally)
    nobody = reception((), (), now)
    found = ((day, figures_of(tally, nobody, total_episodes=0)) for day, tally in sorted(days.items()))
    return tuple(
        DayTimes(day, counted.episodes, counted.seconds)
        for day, counted in found
        if counted.seconds is not None
    )


def span_reading(studio: Studio, monitoring: Monitoring, hours: int, series: Series) -> Reading[Span]:
    return readings_of(studio).of(("span", hours, series), lambda: span_of(studio, monitoring, hours, series))


def uptime_reading(studio: Studio, monitoring: Monitoring, series: Series) -> Reading[tuple[float | None]]:
    """Of the last 24 hours; in a tuple, since it may be that there is none."""
    return readings_of(studio).of(("uptime", series), lambda: (monitoring.uptime(series=series),))


def latency_reading(studio: Studio, monitoring: Monitoring, series: Series) -> Reading[tuple[DayTimes, ...]]:
    return readings_of(studio).of(("latency", series), lambda: latency_of(monitoring, series))


def outlook_reading(studio: Studio, monitoring: Monitoring, series: Series) -> Reading[Outlook]:
    return readings_of(studio).of(("outlook", series), lambda: monitoring.outlook(series=series))


def readiness_reading(studio: Studio, days: int) -> Reading[Readiness]:
    """Of the live episodes; a studio without flags has none, and is told so."""
    return readings_of(studio).of(("readiness", days), lambda: _readiness(studio, days))


def _readiness(studio: Studio, days: int) -> Readiness:
    from cinegen_core.readiness import UnrecordedError, readiness_of

    try:
        return readiness_of(studio, days)
    except UnrecordedError as error:
        raise NotKeptError(str(error)) from error
