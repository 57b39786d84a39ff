"""Who is told of alerts: a real HTTP server that answers as it is told to, and a clock that is set by hand."""

from __future__ import annotations

import json
import random
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from math import inf
from typing import Any

import httpx2

from cinegen_core.monitor.events import AlertEvent, SilenceEvent
from cinegen_core.notify import Channel, Notifier, Webhook
from cinegen_core.store.deliveries import SqlDeliveries
from cinegen_core.store.events import SqlEvents
from cinegen_core.store.sql import Database
from tests.model.faults import Reset, Step, whole
from tests.model.server import ModelServer

START = datetime(2026, 1, 5, 10, 0, tzinfo=UTC)
SECRET = "shared between two"
MINUTE = timedelta(minutes=1)

Answer = int | tuple[int, dict[str, str]] | str
"""A status, with headers or without, or `reset` or `hang`."""


@dataclass(kw_only=True, eq=False)
class Receiver(ModelServer):
    """Answers with `answers` in turn, then with `otherwise`. What it has read is in `requests`, what it has accepted in `told`."""

    answers: list[Answer] = field(default_factory=list)
    otherwise: Answer = 204
    bodies: list[bytes] = field(default_factory=list, init=False)
    told: list[dict[str, Any]] = field(default_factory=list, init=False)

    @property
    def url(self) -> str:
        return self.base_url.removesuffix("/v1") + "/alerts?token=hidden"

    def answer(self, method: str, path: str, headers: dict[str, str], content: bytes) -> Iterable[Step]:
        answer = self.answers.pop(0) if self.answers else self.otherwise
        if path.startswith("/alerts"):
            self.bodies.append(content)
        self.requests.append((headers, json.loads(content)))
        if answer == "reset":
            return (Reset(),)
        if answer == "hang":
            return (inf,)
        assert not isinstance(answer, str)
        status, more = answer if isinstance(answer, tuple) else (answer, {})
        if 200 <= status < 300:
            self.told.append(json.loads(content))
        return whole(status, b"You sent: " + headers.get("cinegen-signature", "").encode(), **more)

    @property
    def ids(self) -> list[str]:
        return [notice["id"] for notice in self.told]


class HandClock:
    """Stands still until it is moved."""

    def __init__(self) -> None:
        self.time = START

    def now(self) -> datetime:
        return self.time

    def monotonic(self) -> float:
        return (self.time - START).total_seconds()

    def pass_(self, **much: float) -> None:
        self.time += timedelta(**much)


def a_step(
    alert: str,
    state: str = "firing",
    *,
    minute: float = 0,
    rule: str = "quality_critical",
    severity: str = "critical",
    **more: Any,
) -> AlertEvent:
    """One step of an alert, `minute` minutes after the start."""
    measured = {"value": 6.8, "threshold": 7.0} if rule.startswith("quality") else {}
    values = {
        "id": f"{alert}-{state}",
        "at": START + minute * MINUTE,
        "alert": alert,
        "rule": rule,
        "severity": severity,
        "state": state,
        "incident": f"incident of {alert}",
        "cause": "attempts by primary fail",
    }
    return AlertEvent.model_validate(values | measured | more)


def a_silence(rule: str = "quality_critical", *, minute: float = 0, until: float = 60) -> SilenceEvent:
    """From one minute after the start until another."""
    return SilenceEvent(
        id=f"silence-{minute}-{until}",
        at=START + minute * MINUTE,
        rule=rule,
        until=START + until * MINUTE,
        by="Ada",
    )


def client(_: httpx2.URL) -> httpx2.AsyncClient:
    """As the studio's own, without whatever proxy is set up where the tests run."""
    return httpx2.AsyncClient(trust_env=False, timeout=httpx2.Timeout(5.0))


def a_webhook(receiver: Receiver, clock: HandClock, *, seconds: float = 5.0) -> Webhook:
    return Webhook(receiver.url, SECRET, client, clock, seconds=seconds)


@dataclass(eq=False)
class Room:
    """A studio's log, its deliveries and what tells people of them."""

    database: Database
    clock: HandClock
    channels: tuple[Channel, ...]
    seed: int = 1
    log: SqlEvents = field(init=False)
    deliveries: SqlDeliveries = field(init=False)
    notifier: Notifier = field(init=False)

    def __post_init__(self) -> None:
        self.log, self.deliveries = SqlEvents(self.database), SqlDeliveries(self.database)
        self.restart()

    def restart(self) -> None:
        """The studio ends and another begins: what is not in the database is lost."""
        self.notifier = Notifier(
            self.log,
            self.deliveries,
            self.channels,
            clock=self.clock,
            rng=random.Random(self.seed),
            studio="here",
        )
        self.notifier.look()

    def add(self, *events: AlertEvent | SilenceEvent) -> None:
        self.log.add(*events)
        self.notifier.look()

    def states(self) -> dict[str, str]:
        return {one.step: one.state for one in self.deliveries.recent()}
