"""What the page about flags counts over the recorded outcomes, away from the page: no click waits for ten thousand of them."""

from __future__ import annotations

import threading
from collections.abc import Callable, Hashable, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Generic, NamedTuple, TypeVar

import streamlit as st

from cinegen_core.flags.cohorts import Cohort, Differences, cohorts, differences
from cinegen_core.flags.model import Change, Declared, Sample, Trigger
from cinegen_core.flags.overviews import Point, course
from cinegen_core.flags.replay import Replayed, replay
from cinegen_core.flags.stages import Stage, stages
from cinegen_core.monitor.events import GenerationEvent, Series
from cinegen_core.monitor.metrics import flag_samples
from cinegen_core.steering import KEPT, Steering
from cinegen_core.studio import Studio
from pages.health_readings import Reading, Readings

T = TypeVar("T")

OFTEN = 5.0
"""Seconds after which what others may have changed is looked at again."""

SOON = 0.7
"""Seconds after which it is looked whether a count is done."""

LATE = timedelta(hours=1)
"""How much later than it happened an outcome may be recorded by another studio, to be found all the same."""


class Counted(NamedTuple, Generic[T]):
    """A count as it stands, and the name by which it is asked whether it is done."""

    name: Hashable
    reading: Reading[T]


class Recorded:
    """Outcomes from some moment on, read once; after that only the new ones. From any thread."""

    def __init__(self, read: Callable[[datetime], Sequence[Sample]], begin: datetime) -> None:
        self._read, self._begin = read, begin
        self._lock = threading.Lock()
        self._held: tuple[Sample, ...] = ()

    def samples(self) -> tuple[Sample, ...]:
        """All of them, in the order in which they were recorded. Raises `StoreError`."""
        with self._lock:
            cut = max(self._begin, self._held[-1].at - LATE) if self._held else self._begin
            self._held = (*(sample for sample in self._held if sample.at < cut), *self._read(cut))
            return self._held


class Outcomes:
    """The outcomes of a studio by series, and what is counted over them in the background."""

    def __init__(self, studio: Studio) -> None:
        self.readings = Readings(lambda: studio.now)
        self._studio = studio
        self._recorded: dict[Series, Recorded] = {}
        self._lock = threading.Lock()

    def recorded(self, series: Series) -> Recorded:
        with self._lock:
            if series not in self._recorded:
                self._recorded[series] = Recorded(self._reader(series), self._studio.now - KEPT)
            return self._recorded[series]

    def _reader(self, series: Series) -> Callable[[datetime], Sequence[Sample]]:
        steering, monitoring = self._studio.steering, self._studio.monitoring

        def read(since: datetime) -> Sequence[Sample]:
            if series == self._studio.series:
                return steering.samples(since) if steering is not None else ()
            if monitoring is None:
                return ()
            return flag_samples(known(monitoring.answers(since, series=series)))

        return read


def known(answers: Sequence[GenerationEvent]) -> list[GenerationEvent]:
    """The answers that count, and whose flags are known."""
    return [event for event in answers if event.counts and event.flags]


@st.cache_resource(
    show_spinner=False,
    hash_funcs={Studio: id},
    on_release=lambda outcomes: outcomes.readings.close(),
    max_entries=1,
)
def outcomes_of(studio: Studio) -> Outcomes:
    """Those of a studio, for all who look at them."""
    return Outcomes(studio)


class Fared(NamedTuple):
    """How those with a flag and those without it fared, and what is between them."""

    on: Cohort
    off: Cohort
    differences: Differences


def fared_reading(studio: Studio, declared: Declared) -> Counted[Mapping[str, Fared]]:
    """Of every flag, over the time that is looked back on."""
    outcomes = outcomes_of(studio)

    def count() -> Mapping[str, Fared]:
        samples = outcomes.recorded(studio.series).samples()
        return {key: Fared(*cohorts(samples, key), differences(samples, key)) for key in declared.flags}

    name = ("fared", tuple(declared.flags))
    return Counted(name, outcomes.readings.of(name, count))


def stages_reading(
    studio: Studio, steering: Steering, flag: str, declared: Declared, version: int
) -> Counted[tuple[Stage, ...]]:
    """How a flag fared at each percentage, after change number `version`."""
    outcomes = outcomes_of(studio)

    def count() -> tuple[Stage, ...]:
        samples = outcomes.recorded(studio.series).samples()
        return stages(samples, steering.changes(0), declared, flag)

    name = ("stages", flag, version, declared.flags[flag].enabled, declared.flags[flag].percent)
    return Counted(name, outcomes.readings.of(name, count))


class Tried(NamedTuple):
    """What one set of triggers would have called for."""

    samples: int
    first: datetime | None
    last: datetime | None
    declared: tuple[Replayed, ...]
    tried: tuple[Replayed, ...]
    step: timedelta
    points: tuple[Point, ...]


class Wanted(NamedTuple):
    """What is to be replayed: a trigger as it is tried, on outcomes of one series of the last `days`, and of which flag the metric
    is drawn."""

    trigger: Trigger
    flag: str
    series: Series
    days: float


def tried_reading(studio: Studio, steering: Steering, declared: Declared, wanted: Wanted) -> Counted[Tried]:
    """The same outcomes with the declared triggers, and with one of them otherwise."""
    outcomes = outcomes_of(studio)
    own = wanted.series == studio.series

    def count() -> Tried:
        now = studio.now
        since = now - timedelta(days=wanted.days)
        samples = [one for one in outcomes.recorded(wanted.series).samples() if one.at >= since]
        changes: Sequence[Change] = steering.changes(0) if own else ()
        triggers = {**declared.triggers, wanted.trigger.key: wanted.trigger}
        step, points = course(samples, wanted.flag, wanted.trigger.metric)
        as_declared = replay(samples, changes, declared, until=now)
        return Tried(
            len(samples),
            min((one.at for one in samples), default=None),
            max((one.at for one in samples), default=None),
            as_declared,
            as_declared
            if triggers == declared.triggers
            else replay(samples, changes, declared, triggers=triggers, until=now),
            step,
            points,
        )

    name = ("tried", wanted.trigger.model_dump_json(), wanted.flag, wanted.series, wanted.days,
            declared.model_dump_json(include={"triggers"}))  # fmt: skip
    return Counted(name, outcomes.readings.of(name, count))
