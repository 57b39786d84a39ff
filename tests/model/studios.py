"""Studios that write with the tests' model."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from pydantic import SecretStr

from cinegen_core.engines import Engine, all_engines
from cinegen_core.settings import Settings
from cinegen_core.store import MemoryStore
from cinegen_core.store.results import NoResults, Results
from cinegen_core.studio import Studio
from cinegen_core.tiers.judging import Judge, judge
from cinegen_core.tiers.model import Update
from cinegen_core.writers.model import Provider
from tests.model.brain import brain
from tests.model.transport import FaultyTransport

KEY = "test-key-4f1c9a77d2"


class LoopClock:
    """The event loop's time, so that a virtual loop's is everybody's."""

    def monotonic(self) -> float:
        return asyncio.get_running_loop().time()

    def now(self) -> datetime:
        return datetime.fromtimestamp(1_800_000_000 + self.monotonic(), UTC)


@dataclass
class Heard:
    """The updates of one request."""

    updates: list[Update] = field(default_factory=list)

    def __call__(self, update: Update) -> None:
        self.updates.append(update)

    def kinds(self) -> list[str]:
        return [update.kind for update in self.updates]


def a_model(**options: Any) -> FaultyTransport:
    return FaultyTransport(**{"brain": brain, **options})


def a_provider(name: str = "primary", **changes: Any) -> Provider:
    values = {
        "name": name,
        "base_url": f"http://{name}.invalid/v1",
        "model": f"{name}-model",
        "key": SecretStr(KEY),
    }
    return Provider.model_validate({**values, **changes})


def engines_named(*names: str) -> tuple[Engine, ...]:
    return tuple(engine for engine in all_engines() if engine.name in names)


def model_studio(
    models: dict[str, FaultyTransport],
    *,
    engines: Sequence[Engine] | None = None,
    results: Results | None = None,
    judge: Judge = judge,
    provider: dict[str, Any] | None = None,
    **settings: Any,
) -> Studio:
    """One provider for each of `models`, in that order, on the running loop's time."""
    return Studio(
        Settings(providers=tuple(a_provider(name, **(provider or {})) for name in models), **settings),
        clock=LoopClock(),
        rng=random.Random(1),
        store=MemoryStore(),
        results=results or NoResults(),
        transport=lambda provider: models[provider.name],
        engines=engines,
        judge=judge,
        probes=False,
    )
