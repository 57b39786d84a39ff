"""A circuit breaker: after failures in a row a provider is left alone for a while, then tried with a single call.

Our own, in few lines: the libraries for it read a clock of their own and count calls, where ours are cancelled half way and
must leave no trace.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Literal

State = Literal["closed", "open", "probing"]


@dataclass
class Breaker:
    """`failures` in a row open it; after `rest` seconds one call may probe. May be used from any thread."""

    clock: Callable[[], float]
    failures: int = 5
    rest: float = 30.0
    _count: int = 0
    _opened: float | None = None
    _probing: bool = False
    _lock: threading.Lock = field(default_factory=threading.Lock)

    @property
    def state(self) -> State:
        with self._lock:
            if self._opened is None:
                return "closed"
            return "probing" if self._probing else "open"

    def enter(self) -> bool:
        """Whether a call may be made. One that may must be followed by `succeeded`, `failed` or `left`."""
        with self._lock:
            if self._opened is None:
                return True
            if self._probing or self.clock() - self._opened < self.rest:
                return False
            self._probing = True
            return True

    def succeeded(self) -> None:
        with self._lock:
            self._count, self._opened, self._probing = 0, None, False

    def failed(self) -> None:
        with self._lock:
            self._count += 1
            if self._probing or self._count >= self.failures:
                self._opened, self._probing = self.clock(), False

    def left(self) -> None:
        """The call ended without saying anything about the provider: it was cancelled, or refused for what it asked."""
        with self._lock:
            self._probing = False
