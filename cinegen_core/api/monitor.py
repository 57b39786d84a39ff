"""What the HTTP interface asks of whoever keeps the figures."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, Literal, Protocol

from cinegen_core.monitor import Health
from cinegen_core.monitor.events import FeedbackEvent

Severity = Literal["critical", "warning", "info"]


class AlertView(Protocol):
    """An alert as a monitor hands it out: one that is open, or was lately."""

    @property
    def id(self) -> str: ...
    @property
    def rule(self) -> str: ...
    @property
    def severity(self) -> Severity: ...
    @property
    def state(self) -> Literal["pending", "firing", "resolved"]: ...
    @property
    def since(self) -> datetime: ...
    @property
    def value(self) -> float | None: ...
    @property
    def threshold(self) -> float | None: ...
    @property
    def incident(self) -> str | None: ...
    @property
    def acknowledged_by(self) -> str | None: ...


class Monitor(Protocol):
    """What the API reads figures from, and tells what readers and operators did. Called from several threads at once."""

    def health(self) -> Health: ...

    def uptime(self) -> float | None:
        """In percent, 0..100."""
        ...

    def overview(self, hours: float, /) -> Mapping[str, Any]:
        """Exactly what `MetricsAnswer` holds, in its keys and units: percentages 0..100, milliseconds, None without data."""
        ...

    def flag_metrics(self, hours: float, /) -> Mapping[str, Mapping[str, Any]]:
        """By flag what `FlagMetrics` holds, of the requests for which it was on."""
        ...

    def alerts(self) -> Sequence[AlertView]: ...

    def mean_time_to_resolve(self) -> float | None:
        """In seconds."""
        ...

    def feedback(self, event: FeedbackEvent, /) -> None:
        """Records what a reader did. May raise `LookupError`, with words, for an episode that nobody wrote."""
        ...

    def acknowledge(self, alert: str, by: str, /) -> object:
        """Records who has taken note of an alert. Raises `LookupError`, with words, for one that is not there."""
        ...

    def silence(self, rule: str, *, until: datetime, by: str, why: str) -> object:
        """Records that nobody is told of a rule's alerts before `until`; one that is over already lifts those before it."""
        ...

    def prometheus(self) -> str:
        """The text format, version 0.0.4."""
        ...
