"""What a studio does beside writing while it is served: it says that it runs, follows what others record, and leads if it is its turn."""

from __future__ import annotations

import asyncio
import os
import socket
from collections.abc import Awaitable, Callable

from cinegen_core.clock import Clock
from cinegen_core.emergencies import Emergencies
from cinegen_core.flags.journal import JournalError
from cinegen_core.jobs import Job
from cinegen_core.monitoring import Monitoring
from cinegen_core.notify import Notifier
from cinegen_core.settings import Settings
from cinegen_core.steering import Steering
from cinegen_core.store import StoreError
from cinegen_core.store.leading import Alone, Lead, LeadLostError, Pace, SqlLead
from cinegen_core.store.sql import Database
from cinegen_core.tiers.runner import OnUpdate

HEARTBEAT = 60.0
"""Seconds between two heartbeats."""

TOLD_EVERY = 5.0
"""Seconds between two looks at whether somebody is to be notified of something."""


def open_lead(settings: Settings, clock: Clock, database: Database, pace: Pace = Pace()) -> Lead:  # noqa: B008 (frozen)
    """The lead of an installation's database, not taken yet. Studios that rehearse (staging) have one of their own."""
    studio = settings.install_id[:12] or "studio"
    return Lead(
        SqlLead(database, "staging" if settings.environment == "staging" else "live"),
        holder=f"{studio} on {socket.gethostname()[:100]}, process {os.getpid()}",
        monotonic=clock.monotonic,
        pace=pace,
    )


class Duties:
    """The work of a studio that is served, each kind in a thread of its own: heartbeats, the lead, following, notices.

    Every studio says once a minute that it runs, and takes in twice a second what others changed and recorded. The one that leads also
    judges what was recorded: it takes the steps of alerts, carries out what triggers and rollouts call for, begins an emergency where
    health calls for one and probes while it lasts, tells people, and keeps house. What fails is said, and tried again.
    """

    def __init__(
        self,
        *,
        lead: Lead | Alone,
        clock: Clock,
        monitoring: Monitoring,
        steering: Steering | None,
        notifier: Notifier | None,
        emergencies: Emergencies,
        monitored: Callable[[], bool],
        trouble: Callable[[], str],
        judge_health: Callable[[], None],
        warn: Callable[[str], None],
    ) -> None:
        """`monitored` says whether alerts and triggers are to hear of what happens, `trouble` why nothing could be kept at the moment;
        `judge_health` is called where this studio leads and there is something new to judge it by."""
        self._lead, self._clock, self._monitoring, self._steering = lead, clock, monitoring, steering
        self._notifier, self._emergencies = notifier, emergencies
        self._monitored, self._trouble, self._judge_health = monitored, trouble, judge_health
        self._warn = warn
        self._said: dict[str, str] = {}
        self._jobs: list[Job] = []
        self._seen, self._version = -1, -1
        self._fence: int | None = None
        self._tick_at = self._worked = float("-inf")

    def begin(self) -> None:
        self._emergencies.share()
        self._lead.begin()
        self._worked = self._clock.monotonic()
        self._tick_at = self._worked + self._lead.pace.ticked
        self._start("heart", self._beat)
        self._start("lead", self._keep_lead)
        self._start("follow", self._follow)
        if self._notifier is not None:
            self._start("messenger", self._tell)

    def close(self) -> None:
        """Ends them all, says that the studio was meant to stop, and lets go of the lead. Raises `StoreError`."""
        for job in self._jobs:
            job.cancel()
        for job in self._jobs:
            job.join(None)
        try:
            self._monitoring.beat("stopped")
        finally:
            self._lead.release()

    def look(self) -> None:
        """Takes in what is new, and as leader judges it; what is called twice a second."""
        monitoring, steering, fence = self._monitoring, self._steering, self._lead.fence()
        now = self._clock.monotonic()
        due = now >= self._tick_at or (fence is not None and fence != self._fence)
        self._emergencies.follow()
        if not self._monitored():
            monitoring.pass_over()
            if due:
                monitoring.keep_house()
        else:
            last = monitoring.last()
            new = last != self._seen
            if new or due:
                monitoring.follow()
                self._seen = last
            if steering is not None and (new or due or steering.flags.version != self._version):
                self._version = steering.flags.version
                steering.catch_up()
            if due and fence is not None:
                monitoring.tick()
            if (new or due) and fence is not None:
                self._judge_health()
        self._fence = fence
        if due:
            self._tick_at = now + self._lead.pace.ticked

    def _start(self, name: str, work: Callable[[OnUpdate], Awaitable[None]]) -> None:
        job = Job(id=name, season="", number=0, parent=None, work=work)
        self._jobs.append(job)
        job.start()

    async def _beat(self, on_update: OnUpdate) -> None:
        self._try("Heartbeats", lambda: self._monitoring.beat("started"))
        while True:
            await asyncio.sleep(HEARTBEAT)
            self._try("Heartbeats", lambda: self._monitoring.beat("running", answered=self._trouble() == ""))

    async def _keep_lead(self, on_update: OnUpdate) -> None:
        pace = self._lead.pace
        while True:
            if self._clock.monotonic() - self._worked < pace.hung:
                self._try("The lead", self._lead.look)
            await asyncio.sleep(min(pace.looked, pace.renewed))

    async def _follow(self, on_update: OnUpdate) -> None:
        while True:
            self._try("What was recorded", self.look)
            self._worked = self._clock.monotonic()
            await asyncio.sleep(self._lead.pace.followed)

    async def _tell(self, on_update: OnUpdate) -> None:
        assert self._notifier is not None
        while True:
            try:
                await self._notifier.tick()
            except StoreError as error:
                self._say("Notices of alerts", str(error))
            else:
                self._said.pop("Notices of alerts", None)
            await asyncio.sleep(TOLD_EVERY)

    def _try(self, what: str, work: Callable[[], object]) -> None:
        try:
            work()
        except LeadLostError:
            return  # who leads now does it
        except (StoreError, JournalError) as error:
            self._say(what, str(error))
        else:
            self._said.pop(what, None)

    def _say(self, what: str, problem: str) -> None:
        if self._said.get(what) != problem:
            self._said[what] = problem
            self._warn(f"{what} cannot be read or kept: {problem}")
