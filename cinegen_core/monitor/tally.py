"""Counts of events that can be put together: of an hour, a day, of everything. All are whole numbers, so that the order in which
events came, and how they were put together, leave no trace in any figure."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

from cinegen_core.monitor.events import GenerationEvent, HeartbeatEvent
from cinegen_core.scorer import quality_class

SCALE = 10**9
"""Scores, shares and dollars are counted in billionths, times in milliseconds."""

CINEMATIC = 8.0
"""The least quality, on the guide's scale, that is called cinematic."""

TARGET = 60.0
"""Seconds inside which a fallback is one that its reader does not notice."""

HOUR = timedelta(hours=1)


@dataclass(slots=True)
class Tally:
    """`counts` by name, parts of a name divided by "/"; `times` are the milliseconds that each counted answer took, in any order."""

    counts: Counter[str] = field(default_factory=Counter)
    times: list[int] = field(default_factory=list)

    def answer(self, event: GenerationEvent) -> None:
        """Adds an answer. Those that do not count are only counted as such."""
        counts = self.counts
        counts["all"] += 1
        if not event.counts:
            return
        counts["answers"] += 1
        took = round(event.seconds * 1000)
        self.times.append(took)
        counts["ms"] += took
        counts["errors"] += event.error
        counts["fallbacks"] += event.fallback
        counts["seamless"] += event.fallback and event.accepted and event.seconds <= TARGET
        counts["tokens"] += sum(attempt.tokens for attempt in event.attempts)
        counts["cost"] += sum(round(attempt.cost * SCALE) for attempt in event.attempts)
        tier = f"tier/{event.tier}"
        counts[f"{tier}/answers"] += 1
        counts[f"{tier}/ms"] += took
        if event.score is not None:
            self._mean("score", event.score)
            counts[f"class/{quality_class(event.score)}"] += 1
        if event.quality is not None:
            self._mean("quality", event.quality)
            self._mean(f"{tier}/quality", event.quality)
            counts["cinematic"] += event.quality >= CINEMATIC
        for name, score in event.dimensions.items():
            self._mean(f"dimension/{name}", score)
        counts["engine_requests"] += bool(event.engines)
        for run in event.engines:
            name = f"engine/{run.engine}"
            counts["active"] += 1
            counts["delivered"] += run.delivered
            counts[f"{name}/active"] += 1
            counts[f"{name}/delivered"] += run.delivered
            if run.realised is not None:
                self._mean(f"{name}/realised", run.realised)
        for flag, on in event.flags.items():
            name = f"flag/{flag}/{'on' if on else 'off'}"
            counts[f"{name}/answers"] += 1
            counts[f"{name}/errors"] += event.error
            counts[f"{name}/ms"] += took
            if event.quality is not None:
                self._mean(f"{name}/quality", event.quality)

    def _mean(self, name: str, value: float) -> None:
        self.counts[f"{name}/sum"] += round(value * SCALE)
        self.counts[f"{name}/n"] += 1

    def mean(self, name: str) -> float | None:
        """Of what was counted under a name; None without any."""
        number = self.counts[f"{name}/n"]
        return self.counts[f"{name}/sum"] / (SCALE * number) if number else None

    def names(self, below: str) -> list[str]:
        """The parts that follow `below` in names, each once, in order."""
        start = f"{below}/"
        found = {name[len(start) :].partition("/")[0] for name in self.counts if name.startswith(start)}
        return sorted(found)

    def add(self, other: Tally) -> None:
        """Adds what another counted."""
        self.counts.update(other.counts)
        self.times += other.times

    def to_json(self) -> str:
        """Equal text for equal tallies. Raises nothing."""
        counts = {name: count for name, count in sorted(self.counts.items()) if count}
        return json.dumps({"counts": counts, "times": sorted(self.times)}, separators=(",", ":"))

    @classmethod
    def from_json(cls, text: str) -> Tally:
        """Raises `ValueError` for what `to_json` did not write."""
        try:
            found = json.loads(text)
            counts: Counter[str] = Counter()
            counts.update(found["counts"])
            return cls(counts, list(found["times"]))
        except (KeyError, TypeError) as error:
            raise ValueError(f"these are no counts ({error!r})") from error


def hour_of(at: datetime) -> datetime:
    """The whole hour of UTC that a moment lies in."""
    return at.astimezone(UTC).replace(minute=0, second=0, microsecond=0)


def hourly(events: Iterable[object]) -> dict[datetime, Tally]:
    """By hour of UTC; what a heartbeat tells of is counted in the hours that it lay in. Others than answers and heartbeats are left out."""
    found: dict[datetime, Tally] = {}
    for event in events:
        if isinstance(event, GenerationEvent):
            found.setdefault(hour_of(event.at), Tally()).answer(event)
        elif isinstance(event, HeartbeatEvent):
            for hour, up, watched in _spread(event):
                counts = found.setdefault(hour, Tally()).counts
                counts["up"] += up
                counts["watched"] += watched
    return found


def _spread(beat: HeartbeatEvent) -> Iterator[tuple[datetime, int, int]]:
    """(hour, milliseconds up, milliseconds watched)."""
    end = beat.at.astimezone(UTC)
    start = end - timedelta(seconds=beat.watched)
    until_up = start + timedelta(seconds=beat.up)
    hour = hour_of(start)
    while hour < end:
        last = min(end, hour + HOUR)
        first = max(start, hour)
        watched = last - first
        up = max(timedelta(), min(last, until_up) - first)
        yield hour, round(up.total_seconds() * 1000), round(watched.total_seconds() * 1000)
        hour += HOUR
