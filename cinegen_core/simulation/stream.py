"""Weeks of a studio's events on a simulated clock, drawn from real answers, with incidents planted in them."""

from __future__ import annotations

import hashlib
import heapq
import json
import math
import random
from collections.abc import Callable, Iterable, Iterator
from datetime import datetime, timedelta
from functools import partial
from itertools import count
from typing import Literal

from cinegen_core.flags.model import Declared
from cinegen_core.monitor.alerts import MINUTE, Tick, fresh, step
from cinegen_core.monitor.events import AlertEvent, Event, FeedbackEvent, GenerationEvent, HeartbeatEvent
from cinegen_core.monitor.uptime import vouched
from cinegen_core.simulation.answers import PACE, Answers
from cinegen_core.simulation.incidents import (
    DROP,
    FLAG,
    LOST,
    WELL,
    Incident,
    Truth,
    checked,
    effect_of,
    truth_of,
)
from cinegen_core.simulation.pool import Pool
from cinegen_core.simulation.readers import feedback, person
from cinegen_core.simulation.rollout import Steered

SWING = 0.8
"""With a daily rhythm the rate is up to this share above its mean in the afternoon (15 h UTC) and below it at night."""


BeatState = Literal["started", "running", "stopped"]
_Turn = tuple[datetime, Callable[[datetime], Iterator[Event]] | None]


class Simulation:
    """A run to go through: `for event in simulation`, each time the same. Its `truth` is whole when that is done.

    All events are labelled `series="simulated"`; equal arguments give equal events with equal ids, in the order of their times.
    """

    def __init__(
        self,
        pool: Pool,
        *,
        start: datetime,
        days: float,
        rate: float,
        seed: int,
        incidents: Iterable[Incident] = (),
        declared: Declared,
        rhythm: bool = False,
        readers: bool = True,
        pace: float = PACE,
    ) -> None:
        """See `simulate`."""
        if days <= 0 or rate <= 0 or pace <= 0:
            raise ValueError("days, requests an hour and pace are above 0")
        if start.tzinfo is None:
            raise ValueError("the start needs its time zone")
        self._incidents = checked(incidents, days)
        if not pool.entries:
            raise ValueError("the pool is empty: there is nothing to draw from")
        if FLAG not in declared.flags:
            raise ValueError(f"the flags do not declare {FLAG}, which bad rollouts are of")
        self.start, self.end = start, start + timedelta(days=days)
        self._crashes = [
            (start + one.start, start + one.end) for one in self._incidents if one.kind == "crash"
        ]
        self._rate, self._rhythm, self._readers = rate, rhythm, readers
        self._answers, self._declared = Answers(pool, pace=pace), declared
        self._steered = Steered(declared)
        self._rolling: Incident | None = None
        self._rolled_back: dict[Incident, datetime] = {}
        told = {
            "pool": [pool.header.code, pool.header.drawn.isoformat(), len(pool.entries)],
            "start": start.isoformat(), "days": days, "rate": rate, "seed": seed, "rhythm": rhythm,
            "readers": readers, "pace": pace, "flags": declared.model_dump_json(),
            "incidents": [one.model_dump_json() for one in self._incidents],
        }  # fmt: skip
        self.run = hashlib.sha256(json.dumps(told).encode()).hexdigest()[:10]
        self._seed = f"{seed}"
        self._lost = self._engines_to_fail(pool)

    def __iter__(self) -> Iterator[Event]:
        self._steered, self._rolled_back = Steered(self._declared), {}
        steered = heapq.merge(self._beats(), self._requests(), key=lambda event: event.at)
        return self._with_alerts(steered)

    @property
    def truth(self) -> tuple[Truth, ...]:
        """What was planted, in the order of time; when a bad rollout ended is known once its events were drawn."""
        least = self._rate * (1 - SWING) if self._rhythm else self._rate
        return tuple(
            truth_of(one, self.start, least, rolled_back=self._rolled_back.get(one))
            for one in self._incidents
        )

    def _rng(self, of: str) -> random.Random:
        return random.Random(f"{self._seed} {of}")  # noqa: S311 (the same chance everywhere is what is wanted)

    def _engines_to_fail(self, pool: Pool) -> frozenset[str]:
        """Of those that are active in every request: others would hardly lower the share of what is delivered."""
        each = [
            frozenset(one.engine for one in entry.takes["comprehensive"].engines) for entry in pool.entries
        ]
        always = sorted(frozenset.intersection(*each))
        wanted = min(len(always), math.ceil(LOST * max(map(len, each))))
        return frozenset(self._rng("engines").sample(always, wanted))

    def _active(self, at: datetime) -> list[Incident]:
        return [one for one in self._incidents if one.covers(at - self.start)]

    def _crashed(self, at: datetime) -> bool:
        return any(begin <= at < end for begin, end in self._crashes)

    def _beats(self) -> Iterator[HeartbeatEvent]:
        """One a minute; none while crashed, and a start after it."""
        ends = {end for _, end in self._crashes if not self._crashed(end) and end < self.end}
        starts = {self.start, *ends}
        minutes = (self.start + number * MINUTE for number in count())
        times = heapq.merge(
            sorted(starts), (at for at in _until(minutes, self.end) if at not in starts), (self.end,)
        )
        last: HeartbeatEvent | None = None
        for number, at in enumerate(times):
            if self._crashed(at):
                continue
            up, watched = vouched(last, at)
            state: BeatState = "stopped" if at == self.end else "started" if at in starts else "running"
            last = HeartbeatEvent.model_construct(
                kind="heartbeat",
                id=f"sim-{self.run}-h{number}",
                at=at,
                series="simulated",
                studio=f"simulated-{self.run[:6]}",
                state=state,
                answered=True,
                up=up,
                watched=watched,
            )
            yield last

    def _arrivals(self) -> Iterator[datetime]:
        """A Poisson stream; with a rhythm, one of the highest rate that is thinned."""
        rng, hours = self._rng("arrivals"), 0.0
        highest = self._rate * (1 + SWING) if self._rhythm else self._rate
        while True:
            hours += rng.expovariate(highest)
            at = self.start + timedelta(seconds=round(3600 * hours, 3))
            if at >= self.end:
                return
            if not self._rhythm or rng.random() * highest < self._rate * _of_day(at):
                yield at

    def _requests(self) -> Iterator[Event]:
        """Answers, what readers do with them, and notices of the rollout, as they come about."""
        pending: list[tuple[datetime, int, Event]] = []
        order, asked = count(), 0
        draws, reads = self._rng("draws"), self._rng("readers")

        def due(until: datetime) -> Iterator[Event]:
            while pending and pending[0][0] <= until:
                at, _, event = heapq.heappop(pending)
                if self._crashed(at):
                    continue
                yield event
                if isinstance(event, GenerationEvent):
                    for one in feedback(event, reads) if self._readers else ():
                        heapq.heappush(pending, (one.at, next(order), one))
                    yield from self._observed(event)

        for at, turn in heapq.merge(self._turns(), ((at, None) for at in self._arrivals()), key=_when):
            yield from due(at)
            if turn is not None:
                yield from turn(at)
                continue
            asked += 1
            event = self._asked(asked, at, draws)
            if event is not None:
                heapq.heappush(pending, (event.at, next(order), event))
        yield from due(self.end)

    def _asked(self, number: int, at: datetime, rng: random.Random) -> GenerationEvent | None:
        """The answer to a request that came at a time; None where nobody is there to answer. Draws the same whatever happens,
        so that incidents change nothing but what they are about."""
        who, asked = person(rng), rng.randrange(len(self._answers))
        if self._crashed(at):
            return None
        flags = self._steered.values(who)
        active = self._active(at)
        effect = effect_of(active, self._lost) if active else WELL
        if flags[FLAG] and self._steered.running:
            effect = effect._replace(drop=max(effect.drop, DROP))
        answer = self._answers.answer(asked, flags, effect)
        return answer.model_copy(
            update={
                "id": f"sim-{self.run}-g{number}",
                "at": at + timedelta(seconds=answer.seconds),
                "who": who,
                "flags": flags,
            }
        )

    def _turns(self) -> list[_Turn]:
        """When bad rollouts begin and are ended by hand."""
        turns: list[_Turn] = []
        for one in self._incidents:
            if one.kind == "bad-rollout":
                turns += [
                    (self.start + one.start, partial(self._begun, one)),
                    (self.start + one.end, self._ended),
                ]
        return turns

    def _begun(self, rollout: Incident, at: datetime) -> Iterator[Event]:
        self._rolling = rollout
        return map(self._own, self._steered.begin(at))

    def _ended(self, at: datetime) -> Iterator[Event]:
        return map(self._own, self._steered.end(at))

    def _observed(self, event: GenerationEvent) -> Iterator[Event]:
        was_running = self._steered.running
        for notice in self._steered.observed(event):
            yield self._own(notice)
        if was_running and not self._steered.running and self._rolling is not None:
            self._rolled_back[self._rolling] = event.at

    def _own(self, alert: AlertEvent) -> AlertEvent:
        """An alert's step as one of this run, which no live one can be taken for."""
        ids = {name: f"sim-{self.run}-{getattr(alert, name)}" for name in ("id", "alert", "incident")}
        return alert.model_copy(update={**ids, "series": "simulated"})

    def _with_alerts(self, events: Iterable[Event]) -> Iterator[Event]:
        """The events, and the steps of alerts that they bring about, each at its time: the live fold over a private copy."""
        state, looked = fresh(), self.start
        for event in events:
            if isinstance(event, FeedbackEvent):
                yield event
                continue
            assert isinstance(event, GenerationEvent | HeartbeatEvent | AlertEvent)
            minute = event.at.replace(second=0, microsecond=0)
            if (
                minute != looked
            ):  # what whole minutes brought about comes before the event that they passed until
                state, steps = step(state, Tick(at=event.at))
                yield from (self._own(one) for one in steps)
                looked = minute
            yield event
            state, steps = step(state, event.model_copy(update={"series": "live"}))
            yield from (self._own(one) for one in steps)


def simulate(
    pool: Pool,
    *,
    start: datetime,
    days: float,
    rate: float,
    seed: int,
    incidents: Iterable[Incident] = (),
    declared: Declared,
    rhythm: bool = False,
    readers: bool = True,
    pace: float = PACE,
) -> Simulation:
    """Events of so many days from `start` (with its time zone): answers drawn from the pool with equal chance for every request,
    heartbeats, feedback, notices, and the steps that the alerts took, in the order of their times.

    `rate` is requests an hour, a Poisson stream, with `rhythm` more by day than by night; `declared` are the flags; `readers` says
    whether invented ones leave feedback; `pace` multiplies the pool's seconds. A request that a crash meets leaves nothing. Kept
    answers and the emergency mode into which a studio would go by itself are not simulated: alerts see every incident to its end.
    Raises `ValueError` for what cannot be simulated.
    """
    return Simulation(
        pool,
        start=start,
        days=days,
        rate=rate,
        seed=seed,
        incidents=incidents,
        declared=declared,
        rhythm=rhythm,
        readers=readers,
        pace=pace,
    )


def _when(turn: _Turn) -> datetime:
    return turn[0]


def _of_day(at: datetime) -> float:
    hour = at.hour + at.minute / 60
    return 1 + SWING * math.sin(2 * math.pi * (hour - 9) / 24)


def _until(times: Iterable[datetime], end: datetime) -> Iterator[datetime]:
    for at in times:
        if at >= end:
            return
        yield at
