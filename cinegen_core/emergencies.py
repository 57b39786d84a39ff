"""The emergency of a studio, and of all that share its journal: who begins it, whom it holds for, and how it ends."""

from __future__ import annotations

import threading
from collections.abc import Callable
from datetime import datetime

from cinegen_core.clock import Clock
from cinegen_core.flags.journal import JournalError, StaleVersionError
from cinegen_core.flags.model import EmergencyOverlay
from cinegen_core.jobs import Job, Work
from cinegen_core.monitor import Emergency, EmergencyState, Health, Sample
from cinegen_core.monitor.emergency import ENTERED_BELOW
from cinegen_core.monitoring import Monitoring
from cinegen_core.steering import Steering
from cinegen_core.store.leading import LeadLostError, Leads

HEALTH = "health"
"""Who begins and ends an emergency in the journal where no person does."""

WELL = "the health score has been good enough for long enough"

_LONGEST = 2000  # characters that the journal takes for a reason


class Emergencies:
    """Whether it is an emergency. May be used from any thread.

    A person's stands in the journal, and holds for every studio that shares it. So does one that a health score begins in a studio that
    is served: the one that leads writes it there as "health", tries the first tier once a minute, and writes that it is over after ten
    good minutes. Another that takes the lead meanwhile goes on, with ten minutes of its own. Where there is no journal, in a command
    that is no served studio, and while the journal cannot be written, what a health score begins holds for this process only.
    """

    def __init__(
        self,
        clock: Clock,
        *,
        steering: Callable[[], Steering | None],
        monitoring: Callable[[], Monitoring | None],
        lead: Leads,
        prober: Work | None,
        moved: Callable[[], None],
        warn: Callable[[str], None],
    ) -> None:
        """`steering` and `monitoring` are asked for the studio's, if it has any. `prober` is the work that probes as long as `probing`, None
        where somebody else calls for probes; `moved` is told when an emergency that is in no journal begins or ends."""
        self._steering, self._monitoring, self._lead = steering, monitoring, lead
        self._prober, self._moved, self._warn = prober, moved, warn
        self._own = Emergency(clock.monotonic, on_change=self._changed)
        # Since when the emergency in the journal began that `_own` probes for; None while `_own` stands for itself.
        self._mirrored: datetime | None = None
        self._quiet = False
        self._lock = threading.RLock()
        self._shares = False
        self._job: Job | None = None

    def share(self) -> None:
        """From now on the studio is served: what health begins goes into the journal, if there is one."""
        self._shares = self._steering() is not None

    @property
    def state(self) -> EmergencyState | None:
        """Entered by health or by a person; None while all is well."""
        standing = self._standing()
        own = self._own.state
        if standing is None:
            return own if self._mirrored is None else None
        state = EmergencyState(by=standing.who, reason=standing.why, since=standing.since.timestamp())
        if own is None or standing.since != self._mirrored:
            return state
        return state.model_copy(update={"probes": own.probes, "healthy": own.healthy})

    def _standing(self) -> EmergencyOverlay | None:
        steering = self._steering()
        return None if steering is None else steering.flags.overlay.emergency

    def enter(self, by: str, reason: str) -> None:
        """A person begins one, or takes over the one that a health score began. Raises `JournalError`."""
        with self._lock:
            steering = self._steering()
            if steering is None:
                self._own.enter(by, reason)
            else:
                steering.flags.emergency(who=by, why=reason)

    def leave(self, by: str, reason: str) -> None:
        """Ends it, whoever entered it. Raises `JournalError`."""
        with self._lock:
            steering = self._steering()
            if steering is not None:
                steering.flags.emergency_over(who=by, why=reason)
            if self._mirrored is not None:
                self._let_go()
            else:
                self._own.leave(by)

    def observe(self, health: Health) -> None:
        """Begins one if the score of requests as they were answered is too low, and this studio leads."""
        with self._lock:
            if self._lead.fence() is None or self.state is not None:
                return
            if not self._shares:
                self._own.observe(health)
            elif health.score is not None and health.score < ENTERED_BELOW:
                issues = "; ".join(issue.text for issue in health.issues)
                if not self._write_down(f"health is {health.score} of 100: {issues}"):
                    self._own.observe(health)
                self.follow()

    def follow(self) -> None:
        """Whoever serves the studio calls it about twice a second: who leads looks after an emergency that health began."""
        with self._lock:
            if not self._shares:
                return
            own, leads = self._own.state, self._lead.fence() is not None
            if leads and own is not None and self._mirrored is None and self._standing() is None:
                self._write_down(own.reason, again=True)  # the journal could not be written when it began
            standing = self._standing()
            if not leads or standing is None or standing.who != HEALTH:
                if self._mirrored is not None:
                    self._let_go()
            elif standing.since != self._mirrored:
                self._mirrored = standing.since
                self._own.enter(HEALTH, standing.why)
                self._begin_probing()

    def _let_go(self) -> None:
        self._mirrored, self._quiet = None, True
        self._own.leave(HEALTH)
        self._quiet = False

    def probe_due(self) -> bool:
        """Whether it is time for a probe; the answer yes takes the turn."""
        return self._own.probe_due()

    def probed(self, sample: Sample) -> None:
        """A probe of the first tier has ended so."""
        with self._lock:
            self._own.probed(sample)

    @property
    def probing(self) -> bool:
        return self._own.state is not None

    def close(self) -> None:
        """Ends the probes."""
        if self._job is not None:
            self._job.cancel()
            self._job.join(None)

    def _write_down(self, reason: str, *, again: bool = False) -> bool:
        """Whether the journal has it, or another studio leads by now, whose matter it is; that it has not is said the first time."""
        steering = self._steering()
        assert steering is not None
        try:
            with self._lead.acting():
                steering.flags.emergency(who=HEALTH, why=reason[:_LONGEST])
        except LeadLostError:
            return True
        except JournalError as error:
            if isinstance(error.__cause__, LeadLostError):
                return True
            if not again:
                self._warn(
                    f"An emergency began ({reason}). It holds for this studio only, until it can be recorded: {error}"
                )
            return False
        steering.catch_up()
        return True

    def _changed(self, state: EmergencyState | None) -> None:
        if self._quiet:
            return
        if self._mirrored is not None:
            if state is None:
                self._mirrored = None
                self._over()
            return
        self._moved()
        monitoring = self._monitoring()
        if monitoring is not None and state is None:
            monitoring.told("emergency_left", WELL)
        elif monitoring is not None and state is not None:
            monitoring.told("emergency_entered", f"an emergency began, by {state.by}: {state.reason}")
        if state is not None:
            self._begin_probing()

    def _over(self) -> None:
        """The probes were good for long enough. A person's emergency they do not end."""
        steering = self._steering()
        assert steering is not None
        flags = steering.flags
        version, standing = flags.version, flags.overlay.emergency
        if standing is None or standing.who != HEALTH:
            return
        try:
            with self._lead.acting():
                flags.emergency_over(who=HEALTH, why=WELL, version=version)
        except (LeadLostError, StaleVersionError):
            return
        except JournalError as error:
            if not isinstance(error.__cause__, LeadLostError):
                self._warn(f"The emergency could be over, which cannot be recorded: {error}")
            return
        steering.catch_up()

    def _begin_probing(self) -> None:
        if self._prober is None:
            return
        if self._job is not None:
            self._job.cancel()
        self._job = Job(id="probes", season="", number=0, parent=None, work=self._prober)
        self._job.start()
