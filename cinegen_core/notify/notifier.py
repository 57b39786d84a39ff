"""From the log of events to people: what they should hear of is put on its way once, and tried until it arrives.

The log is the outbox. A `Notifier` looks at what was added to it and puts a delivery for each step and each target; deliveries
are claimed, sent and settled one at a time. Between the two a studio may end at any point: what was put is there after it, and
what was being sent is sent again once the claim on it lapses. So everything arrives at least once, under its step's id.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta
from typing import Protocol

from cinegen_core.clock import Clock
from cinegen_core.monitor.events import Event
from cinegen_core.notify.channels import Channel, DeliveryError
from cinegen_core.notify.choice import to_tell
from cinegen_core.notify.notice import notice_of, trial_notice
from cinegen_core.store.deliveries import Claim, Content, SqlDeliveries
from cinegen_core.store.leading import Alone, LeadLostError, Leads
from cinegen_core.story.model import Noun

FIRST_WAIT, LONGEST_WAIT = 5.0, 1800.0
"""Seconds before the second try, and at most between two; each wait is twice the one before, give or take a half."""

TRIES = 60
KEPT = timedelta(hours=24)
"""A notice is given up after so many tries, or with the first that fails once it has been on its way for longer than this."""

LEASE = timedelta(minutes=2)
"""A claim on a notice lapses after this: longer than any channel takes to send it."""

AT_ONCE = 20
"""Notices for one target each time that deliveries are made."""


class Log(Protocol):
    """The events, numbered as they were recorded."""

    def read(self, *, kinds: Iterable[str] = (), after: int = 0) -> Sequence[tuple[int, Event]]: ...


class Trial(Noun):
    """How a trial notice went. `problem` is empty where it arrived."""

    target: str
    problem: str


class Notifier:
    """Tells people of alerts, by every channel. Several, in one studio or many, may share a database: each notice goes out once. Of
    studios that share one only the one that leads puts notices on their way and claims them; what it has claimed it settles, even if
    another leads by then.

    `studio` names the sender in notices. Call `look` and `deliver_due` every few seconds, or `tick`, which does both. A try that fails
    for a reason that may pass is repeated, and its target left alone meanwhile; other channels go on.
    """

    def __init__(
        self,
        log: Log,
        deliveries: SqlDeliveries,
        channels: Sequence[Channel],
        *,
        clock: Clock,
        rng: random.Random,
        studio: str = "",
        lead: Leads | None = None,
    ) -> None:
        """Without a `lead` this one leads."""
        self._lead: Leads = lead or Alone()
        self._log, self._deliveries, self._channels = log, deliveries, tuple(channels)
        self._clock, self._rng, self._studio = clock, rng, studio

    @property
    def targets(self) -> tuple[str, ...]:
        """In the words of `Channel.target`."""
        return tuple(channel.target for channel in self._channels)

    def look(self) -> int:
        """Puts on its way what the log has that people should hear of, and says how many deliveries that made.

        For a target that is new, the first look finds the end of the log and puts nothing. Raises `StoreError`.
        """
        return sum(self._look_for(target) for target in self.targets)

    def _look_for(self, target: str) -> int:
        now = self._clock.now()
        seen = self._deliveries.mark(target, now)
        new = self._log.read(kinds=("alert",), after=seen)
        if not new:
            return 0
        steps = [one for one in to_tell(self._log.read(kinds=("alert", "silence"))) if one.number > seen]
        return self._deliveries.put(
            target,
            [Content(number=one.number, step=one.step, fired=one.fired) for one in steps if not one.silenced],
            seen=max(number for number, _ in new),
            now=now,
            over={one.step.alert for one in steps if one.silenced and one.step.state == "resolved"},
        )

    async def tick(self) -> int:
        """Looks, then delivers; how many notices arrived, 0 where another leads. Raises `StoreError`."""
        if self._lead.fence() is None:
            return 0
        try:
            with self._lead.acting():
                await asyncio.to_thread(self.look)
        except LeadLostError:
            return 0
        return await self.deliver_due()

    async def deliver_due(self) -> int:
        """Sends what is due, to all targets at the same time, and says how many notices arrived. Raises `StoreError`."""
        results = await asyncio.gather(
            *(self._deliver(channel) for channel in self._channels), return_exceptions=True
        )
        for result in results:
            if isinstance(result, BaseException):
                raise result
        return sum(result for result in results if isinstance(result, int))

    async def _deliver(self, channel: Channel) -> int:
        arrived = 0
        for _ in range(AT_ONCE):
            claim = await self._claim(channel.target)
            if claim is None:
                break
            if claim.delivery.tries > TRIES:
                problem = (
                    f"after {TRIES} tries nobody knows whether it arrived: each time the studio ended first"
                )
                await asyncio.to_thread(
                    self._deliveries.failed, claim.delivery, problem, now=self._clock.now(), again=None
                )
                continue
            try:
                await channel.send(notice_of(claim.delivery.content, self._studio))
            except DeliveryError as error:
                await asyncio.to_thread(self._failed, claim, error, self._clock.now())
            else:
                await asyncio.to_thread(self._deliveries.sent, claim.delivery, now=self._clock.now())
                arrived += 1
        return arrived

    async def _claim(self, target: str) -> Claim | None:
        try:
            with self._lead.acting():
                return await asyncio.to_thread(
                    self._deliveries.claim, target, now=self._clock.now(), lease=LEASE
                )
        except LeadLostError:
            return None

    def _failed(self, claim: Claim, error: DeliveryError, now: datetime) -> None:
        delivery, problem = claim.delivery, str(error)
        if not error.again:
            self._deliveries.failed(delivery, problem, now=now, again=None)
            return
        asked = error.after or 0.0
        again = now + timedelta(seconds=max(asked, self._wait(delivery.tries - 1)))
        rest = now + timedelta(seconds=max(asked, self._wait(claim.failures)))
        over = delivery.tries >= TRIES
        self._deliveries.failed(
            delivery, problem, now=now, again=None if over else again, rest=rest, before=now - KEPT
        )

    def _wait(self, failures: int) -> float:
        """Seconds after so many failures before this one."""
        usual = min(LONGEST_WAIT, FIRST_WAIT * 2.0 ** min(failures, 20))
        return usual * (0.5 + self._rng.random())

    async def test_notice(self) -> tuple[Trial, ...]:
        """Sends each target a notice that says it is a trial, once, and says how that went. Nothing is kept of it."""
        now = self._clock.now()
        notice = trial_notice(f"trial-{self._rng.getrandbits(64):016x}", now, self._studio)

        async def tried(channel: Channel) -> Trial:
            try:
                await channel.send(notice)
            except DeliveryError as error:
                return Trial(target=channel.target, problem=str(error))
            return Trial(target=channel.target, problem="")

        return tuple(await asyncio.gather(*(tried(channel) for channel in self._channels)))
