"""Events in, figures and alerts out: what a studio records about itself, and what its operators read."""

from __future__ import annotations

import hashlib
import hmac
import threading
from collections.abc import Callable, Iterable, Sequence
from datetime import datetime, timedelta
from typing import Any, Literal, Protocol

from cinegen_core.monitor.alerts import (
    AlertView,
    State,
    Tick,
    acknowledged,
    fresh,
    info,
    mean_time_to_resolve,
    step,
    views,
)
from cinegen_core.monitor.events import (
    AlertEvent,
    Event,
    FeedbackEvent,
    GenerationEvent,
    HeartbeatEvent,
    Series,
)
from cinegen_core.monitor.health import Health, Sample, health_of
from cinegen_core.monitor.metrics import Figures, figures, uptime
from cinegen_core.monitor.prometheus_rules import LABELS
from cinegen_core.monitor.trends import Trend, trend
from cinegen_core.tiers.judging import profiles

LOOKED_BACK = timedelta(days=30)
"""How far back a studio that starts reads events for its alerts; their longest window is a day."""


class Events(Protocol):
    """Where events are kept. Raises `StoreError`."""

    def add(self, *events: Event) -> None: ...

    def read(
        self,
        *,
        since: datetime | None = None,
        until: datetime | None = None,
        series: Series = "live",
        kinds: Iterable[str] = (),
        after: int = 0,
    ) -> Sequence[tuple[int, Event]]: ...


class NoSuchAlertError(LookupError):
    """No open alert has that id."""


class Monitoring:
    """Records what happens, and answers from records only. May be used from any thread; several studios may share the events.

    Each answer of the studio is one transaction with the steps that alerts took because of it.
    """

    def __init__(
        self,
        events: Events,
        *,
        now: Callable[[], datetime],
        secret: str,
        studio: str,
        plain_users: bool = False,
    ) -> None:
        """`secret` keys the hash that stands for users; `studio` tells this one from others that share the events."""
        self._events, self.now = events, now
        self._secret, self._studio, self._plain = secret.encode(), studio, plain_users
        self._lock = threading.RLock()
        self._last = 0
        self._alerts: State = fresh()
        self._catch_up()

    def user(self, who: str) -> str:
        """What stands for a user in events: a keyed hash, or the name where the operator wants it so."""
        if not who or self._plain:
            return who
        return hmac.new(self._secret, who.encode("utf-8"), hashlib.sha256).hexdigest()[:24]

    def generated(self, event: GenerationEvent) -> None:
        """Records an answer; `event.who` is given as it is and kept as `user` says."""
        self._record(event.model_copy(update={"who": self.user(event.who)}))

    def feedback(self, event: FeedbackEvent) -> None:
        """Records what a reader did."""
        self._record(event.model_copy(update={"who": self.user(event.who)}))

    def beat(self, state: Literal["started", "running", "stopped"], *, answered: bool = True) -> None:
        """Records that this studio runs, once a minute, and when it starts and stops."""
        at = self.now()
        id = f"{self._studio}-{at.timestamp():.3f}-{state}"
        self._record(HeartbeatEvent(id=id, at=at, studio=self._studio, state=state, answered=answered))

    def told(
        self, what: Literal["flag_changed", "rollout_advanced", "emergency_left"], words: str, *, by: str = ""
    ) -> None:
        """Records a notice: something changed that operators want to know of at once."""
        self._record(info(what, words, at=self.now(), by=by))

    def _record(self, event: Event) -> None:
        with self._lock:
            self._catch_up()
            self._alerts, steps = step(self._alerts, event)
            self._events.add(event, *steps)
            self._catch_up(own={event.id, *(one.id for one in steps)})

    def tick(self) -> None:
        """Lets time pass for the alerts; whoever serves the studio calls it about once a minute."""
        with self._lock:
            self._catch_up()
            self._alerts, steps = step(self._alerts, Tick(at=self.now()))
            self._events.add(*steps)

    def _catch_up(self, own: set[str] | None = None) -> None:
        """Takes in what others recorded since."""
        since = self.now() - LOOKED_BACK if self._last == 0 else None
        for number, event in self._events.read(after=self._last, since=since):
            self._last = number
            if own is None or event.id not in own:
                self._alerts, _ = step(self._alerts, event)

    def events(self, since: datetime | None = None, *, series: Series = "live") -> tuple[Event, ...]:
        """As they were recorded, in order."""
        return tuple(event for _, event in self._events.read(since=since, series=series))

    def figures(self, hours: float = 24.0, *, series: Series = "live") -> Figures:
        """Everything that is measured, over the last so many hours."""
        events = self.events(series=series)
        return figures(events, self.now(), hours=hours)

    def health(self) -> Health:
        """Of the last hour."""
        now = self.now()
        found = [
            event for event in self.events(now - timedelta(hours=1)) if isinstance(event, GenerationEvent)
        ]
        samples = [_sample(event) for event in found if event.counts]
        critical = sum(
            view.severity == "critical" and view.state == "firing" and view.rule == "uptime_critical"
            for view in self.alerts()
        )
        return health_of(samples, now.timestamp(), critical_alerts=critical)

    def uptime(self) -> float | None:
        """Share of minutes, 0..100, in which a running studio answered; None without heartbeats."""
        beats = [event for event in self.events() if isinstance(event, HeartbeatEvent)]
        return uptime(beats, self.now())

    def quality_trend(self, days: float = 7.0) -> Trend:
        """Whether quality rises or falls, on the guide's scale."""
        points = [
            (event.at, event.quality)
            for event in self.events(self.now() - timedelta(days=days))
            if isinstance(event, GenerationEvent) and event.counts and event.quality is not None
        ]
        return trend(_thinned(points))

    def _steps(self) -> list[AlertEvent]:
        return [event for event in self.events() if isinstance(event, AlertEvent)]

    def alerts(self) -> tuple[AlertView, ...]:
        """Those that are pending or firing."""
        return views(self._steps())

    def mean_time_to_resolve(self) -> float | None:
        """Seconds; None where nothing was resolved yet."""
        return mean_time_to_resolve(self._steps())

    def acknowledge(self, alert: str, by: str) -> AlertView:
        """Records that a person has seen an alert. Raises `NoSuchAlertError`."""
        with self._lock:
            view = next((one for one in self.alerts() if one.id == alert), None)
            if view is None:
                raise NoSuchAlertError(f"There is no open alert {alert!r}.")
            self._events.add(acknowledged(view, by, at=self.now()))
            return view.model_copy(update={"acknowledged_by": by})

    def overview(self, hours: float = 24.0) -> dict[str, Any]:
        """The metrics as the HTTP interface shows them: percentages 0..100, times in ms, None where there is no data."""
        found = self.figures(hours)
        direction = self.quality_trend().direction
        mean = found.seconds.mean if found.seconds is not None else None
        return {
            "overview": {
                "totalEpisodes": found.total_episodes,
                "averageQuality": _rounded(found.mean_quality),
                "systemHealth": self.health().status,
                "uptime": _rounded(self.uptime()),
                "successRate": _rounded(found.success_rate),
            },
            "quality": {
                "current": _rounded(found.mean_quality),
                "trend": direction if found.mean_quality is not None else None,
                "qualityDistribution": {
                    name: _rounded(share) for name, share in (found.quality_classes or {}).items()
                },
            },
            "performance": {
                "averageProcessingTime": None if mean is None else round(1000 * mean),
                "engineSuccessRate": _rounded(found.engine_success_rate),
                "fallbackUsageRate": _rounded(found.fallback_rate),
            },
        }

    def flag_metrics(self, hours: float = 24.0) -> dict[str, Any]:
        """Per flag, for the cohort that it was on for."""
        found = self.figures(hours).flags or {}
        return {
            key: {
                "usageCount": flag.on.usage,
                "successRate": _rounded(flag.on.success_rate),
                "averageQuality": _rounded(flag.on.quality),
            }
            for key, flag in found.items()
        }

    def prometheus(self) -> str:
        """Counters over all that was recorded, in Prometheus' text format 0.0.4: those that the exported rules read."""
        events = self.events()
        counted = [event for event in events if isinstance(event, GenerationEvent) and event.counts]
        beats = [event for event in events if isinstance(event, HeartbeatEvent)]
        watched = (max(b.at for b in beats) - min(b.at for b in beats)).total_seconds() if beats else 0.0
        qualities = [event.quality for event in counted if event.quality is not None]
        totals = {
            "cinegen_quality_sum": sum(qualities),
            "cinegen_quality_count": len(qualities),
            "cinegen_engines_delivered_total": sum(e.delivered for event in counted for e in event.engines),
            "cinegen_engines_active_total": sum(len(event.engines) for event in counted),
            "cinegen_engines_requests_total": sum(bool(event.engines) for event in counted),
            "cinegen_generation_seconds_sum": sum(event.seconds for event in counted),
            "cinegen_generation_seconds_count": len(counted),
            "cinegen_fallbacks_total": sum(event.fallback for event in counted),
            "cinegen_requests_total": len(counted),
            "cinegen_up_seconds_total": watched * (uptime(beats, self.now()) or 0.0) / 100,
            "cinegen_watched_seconds_total": watched,
        }
        lines = [
            line
            for name, value in totals.items()
            for line in (f"# TYPE {name} counter", f"{name}{LABELS} {value!r}")
        ]
        return "\n".join(lines) + "\n"


def _sample(event: GenerationEvent) -> Sample:
    known = profiles()
    held_to = known.get(event.profile, known["model"])
    return Sample(
        at=event.at.timestamp(),
        seconds=event.seconds,
        margin=None if event.score is None else event.score - held_to.least,
        margin_good=None if event.score is None else event.score - held_to.good,
        active=len(event.engines),
        delivered=sum(engine.delivered for engine in event.engines),
        error=event.error,
    )


def _thinned(points: Sequence[tuple[datetime, float]], most: int = 400) -> Sequence[tuple[datetime, float]]:
    """Means of neighbours, so that a slope over very many points stays quick."""
    if len(points) <= most:
        return points
    size = -(-len(points) // most)
    groups = [points[start : start + size] for start in range(0, len(points), size)]
    return [(group[len(group) // 2][0], sum(value for _, value in group) / len(group)) for group in groups]


def _rounded(value: float | None) -> float | None:
    return None if value is None else round(value, 2)
