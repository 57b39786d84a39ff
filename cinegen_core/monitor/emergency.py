"""Emergency mode: only the last resort writes, until probes of the first tier come back healthy, or a person says so."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Annotated, Literal

from pydantic import Field

from cinegen_core.monitor.health import Health, Sample, health_of
from cinegen_core.story.model import Noun

ENTERED_BELOW = 60
LEFT_FROM = 75
PROBED_EVERY = 60.0
"""Seconds between two probes."""

HEALTHY_FOR = 600.0
"""Seconds of probes that must be healthy before the emergency ends by itself."""

EVERY_PROBE = 10
"""One a minute for ten minutes: what the health score needs."""


class EmergencyState(Noun):
    """`by` is who entered it: "health", or a person. `since` in seconds on the studio's clock."""

    by: str
    reason: str
    since: float
    probes: Annotated[int, Field(ge=0)] = 0
    healthy: Literal["not yet", "so far"] = "not yet"


@dataclass
class Emergency:
    """Whether it is one. May be used from any thread.

    What a health score entered, ten minutes of good probes end; what a person entered, a person ends. Answers that were
    given while it lasted say nothing about the tier that is out, so only `probed` counts.
    """

    clock: Callable[[], float]
    on_change: Callable[[EmergencyState | None], None] = lambda state: None
    _state: EmergencyState | None = None
    _probes: list[Sample] = field(default_factory=list)
    _last_probe: float = float("-inf")
    _lock: threading.RLock = field(default_factory=threading.RLock)

    @property
    def state(self) -> EmergencyState | None:
        with self._lock:
            return self._state

    def enter(self, by: str, reason: str) -> None:
        """Begins one; where there is one already, a person takes over from a health score."""
        with self._lock:
            if self._state is not None and (self._state.by != "health" or by == "health"):
                return
            self._state = EmergencyState(by=by, reason=reason, since=self.clock())
            self._probes, self._last_probe = [], self.clock()
            self.on_change(self._state)

    def leave(self, by: str) -> None:
        """Ends it by hand."""
        with self._lock:
            if self._state is not None:
                self._state = None
                self.on_change(None)

    def observe(self, health: Health) -> None:
        """Begins one if requests as they were answered come to a score below `ENTERED_BELOW`."""
        if health.score is not None and health.score < ENTERED_BELOW:
            reason = "; ".join(issue.text for issue in health.issues)
            self.enter("health", f"health is {health.score} of 100: {reason}")

    def probe_due(self) -> bool:
        """Whether it is time for a probe; the answer yes takes the turn."""
        with self._lock:
            if self._state is None or self.clock() - self._last_probe < PROBED_EVERY:
                return False
            self._last_probe = self.clock()
            return True

    def probed(self, sample: Sample) -> None:
        """A probe of the first tier has ended so."""
        with self._lock:
            if self._state is None:
                return
            now = self.clock()
            self._probes = [probe for probe in (*self._probes, sample) if now - probe.at <= HEALTHY_FOR]
            health = health_of(self._probes, now, window=HEALTHY_FOR)
            good = health.score is not None and health.score >= LEFT_FROM
            self._state = self._state.model_copy(
                update={"probes": self._state.probes + 1, "healthy": "so far" if good else "not yet"}
            )
            if good and len(self._probes) >= EVERY_PROBE and self._state.by == "health":
                self._state = None
                self.on_change(None)
