"""Time, as a parameter."""

from __future__ import annotations

import time
from datetime import UTC, datetime
from typing import Protocol


class Clock(Protocol):
    """Two kinds of time: for measuring, and for writing down."""

    def monotonic(self) -> float:
        """Seconds from any start, never going back."""
        ...

    def now(self) -> datetime:
        """The time of day, with its zone."""
        ...


class SystemClock:
    """The computer's."""

    def monotonic(self) -> float:
        return time.monotonic()

    def now(self) -> datetime:
        return datetime.now(UTC)
