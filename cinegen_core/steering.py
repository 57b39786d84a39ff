"""What flags switch in a studio, and what its outcomes do to them: policies from flags, samples to triggers and rollouts."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from typing import NamedTuple, Protocol

from cinegen_core.flags.control import Flags, RefusedError
from cinegen_core.flags.journal import EMERGENCY, JournalError, StaleVersionError, fold
from cinegen_core.flags.model import Change, Context, Evaluation, Sample
from cinegen_core.flags.replay import rebuilt
from cinegen_core.flags.rollout import Decision
from cinegen_core.flags.triggers import Verdict
from cinegen_core.flags.watch import Action, Tick, decision, step, verdicts
from cinegen_core.monitor.events import Event, GenerationEvent, Series
from cinegen_core.monitor.metrics import flag_samples
from cinegen_core.store.leading import Alone, LeadLostError, Leads
from cinegen_core.story import Policy
from cinegen_core.tiers.judging import as_guide
from cinegen_core.tiers.model import Generation

GENERATION_FLAGS = (
    "complete_context", "high_temperature", "enhanced_fallbacks", "comprehensive_engines", "genre_engines", "beta_features",
)  # fmt: skip
"""Those that decide how an episode is written."""

MONITORING = "production_monitoring"
TOLD_AGAIN = timedelta(hours=1)
"""Changes this young are told of when a studio starts: whoever made them may have run no studio."""

KEPT = timedelta(days=30)
"""How far back samples are read when a studio starts."""

OWED = timedelta(minutes=1)
"""What was called for while another studio led, and was not done, is done by who takes the lead this soon after it."""


class Outcomes(Protocol):
    """Samples as they were recorded, in order, each with a number that grows."""

    def add(self, sample: Sample) -> int: ...

    def read(self, after: int = 0, since: datetime | None = None) -> Sequence[tuple[int, Sample]]: ...


class EventLog(Protocol):
    """What is read of the events of a studio."""

    def last(self) -> int: ...

    def read(
        self,
        *,
        after: int = 0,
        since: datetime | None = None,
        kinds: Iterable[str] = (),
        series: Series | None = "live",
    ) -> Sequence[tuple[int, Event]]: ...


class MemoryOutcomes:
    """Until the program ends."""

    def __init__(self) -> None:
        self._samples: list[Sample] = []
        self._lock = threading.Lock()

    def add(self, sample: Sample) -> int:
        with self._lock:
            self._samples.append(sample)
            return len(self._samples)

    def read(self, after: int = 0, since: datetime | None = None) -> Sequence[tuple[int, Sample]]:
        with self._lock:
            return [
                (number, sample)
                for number, sample in enumerate(self._samples, start=1)
                if number > after and (since is None or sample.at >= since)
            ]


class RecordedOutcomes:
    """The answers among a studio's events, which are recorded there already: those that count, and whose flags are known."""

    def __init__(self, events: EventLog, series: Series = "live") -> None:
        self._events, self._series = events, series

    def add(self, sample: Sample) -> int:
        return self._events.last()

    def read(self, after: int = 0, since: datetime | None = None) -> Sequence[tuple[int, Sample]]:
        found = self._events.read(after=after, since=since, kinds=("generation",), series=self._series)
        known = [
            (number, event)
            for number, event in found
            if isinstance(event, GenerationEvent) and event.counts and event.flags
        ]
        samples = flag_samples(event for _, event in known)
        return [(number, sample) for (number, _), sample in zip(known, samples, strict=True)]


class Steered(NamedTuple):
    """The policy for one request, and the evaluations that made it, by flag."""

    policy: Policy
    evaluations: Mapping[str, Evaluation]

    @property
    def values(self) -> dict[str, bool]:
        return {key: evaluation.value for key, evaluation in self.evaluations.items()}

    @property
    def reasons(self) -> dict[str, str]:
        """In words, by flag: "on: bucket 12 <= 90"."""
        return {
            key: f"{evaluation.words} ({evaluation.reason})" for key, evaluation in self.evaluations.items()
        }


def policy_of(values: Mapping[str, bool]) -> Policy:
    """How a request may be answered with these flags on or off; a flag that is not there counts as off.

    With the comprehensive engines and the enhanced fallbacks both off only the template is left, which is what an emergency
    disable comes to.
    """
    tiers = ["basic_fallback"]
    if values.get("enhanced_fallbacks"):
        tiers.insert(0, "enhanced_baseline")
    if values.get("comprehensive_engines"):
        tiers.insert(0, "comprehensive")
    return Policy(
        tiers=tuple(tiers),
        genre_engines=bool(values.get("genre_engines")),
        complete_context=bool(values.get("complete_context")),
        high_temperature=bool(values.get("high_temperature")),
        repairs=2 if values.get("beta_features") else 1,
    )


def sample_of(generation: Generation, policy: Policy, *, at: datetime, profile: str) -> Sample:
    """What triggers, gates and cohorts learn from one answer. Quality is on the guide's scale, whoever wrote: `as_guide`."""
    score = generation.winner.score if generation.winner is not None else None
    failed = generation.tier == "basic_fallback" and policy.tiers[0] != "basic_fallback"
    return Sample(
        at=at,
        on=frozenset(key for key, value in generation.flags.items() if value),
        off=frozenset(key for key, value in generation.flags.items() if not value),
        quality=None if score is None else as_guide(score, profile),
        error=failed,
        seconds=generation.seconds,
    )


class Steering:
    """Flags in force, and what watches over them. May be used from any thread, and by several studios that share file and database:
    each of them steps through everybody's outcomes, in the order in which they were recorded, and the one that leads carries out what
    is called for. What a leader that died had left undone, the next does."""

    def __init__(
        self,
        flags: Flags,
        outcomes: Outcomes,
        changes: Callable[[int], Sequence[Change]],
        *,
        now: Callable[[], datetime],
        warn: Callable[[str], None],
        changed: Callable[[Change], None] = lambda change: None,
        close: Callable[[], None] = lambda: None,
        lead: Leads | None = None,
    ) -> None:
        """`changes` reads the journal after a version, `changed` is told of each that is new (and once more of those of the last hour);
        `close` closes what all this stands on. Without a `lead` this one leads. Raises `JournalError` and `StoreError`."""
        self.flags = flags
        self.now = now
        self.changes = changes
        self._outcomes, self._warn = outcomes, warn
        self._changed = changed
        self.close = close
        self._lead: Leads = lead or Alone()
        self._owed: tuple[Action, ...] = ()
        self._emergency: tuple[int, datetime | None] = (0, None)
        self._lock = threading.RLock()
        made = changes(0)
        recorded = outcomes.read(since=now() - KEPT)
        self._last_sample = recorded[-1][0] if recorded else 0
        self._overlay = fold(made)
        # By their times: what was recorded long after it happened (brought in from elsewhere) is not taken for something of just now.
        samples = sorted((sample for _, sample in recorded), key=lambda sample: sample.at)
        self._state = rebuilt(samples, made, flags.declared)
        for change in made:
            if now() - change.at <= TOLD_AGAIN:
                changed(change)

    def decide(self, context: Context) -> Steered:
        """The policy for somebody, from one state of the flags."""
        snapshot = self.flags.snapshot()
        evaluations = {key: snapshot.evaluate(key, context) for key in GENERATION_FLAGS}
        return Steered(policy_of({key: one.value for key, one in evaluations.items()}), evaluations)

    def monitored(self, context: Context) -> bool:
        """Whether outcomes are evaluated at all. An emergency, which has every flag off, leaves it on: what is watched is then needed most."""
        found = self.flags.evaluate(MONITORING, context, default=True)
        return found.value or found.reason == "EMERGENCY"

    def withdrawn(self) -> str:
        """Why what is being written with the engines must fall to the next tier now; empty while it may go on."""
        overlay = self.flags.overlay
        if overlay.emergency is not None:
            return f"was stopped by {overlay.emergency.who}: {overlay.emergency.why}"
        engines = overlay.flags.get("comprehensive_engines")
        if engines is not None and engines.latched is not None:
            return f"was stopped, since comprehensive_engines was rolled back: {engines.latched}"
        return ""

    def observed(self, sample: Sample, *, evaluate: bool = True) -> tuple[Action, ...]:
        """Records an outcome; if it is to be evaluated, steps through it and, where this studio leads, carries out what is called for.
        Where another leads, that one does so as soon as it has seen it."""
        self._outcomes.add(sample)
        if not evaluate:
            return ()
        self._lead.ask()
        return self.catch_up()

    def catch_up(self) -> tuple[Action, ...]:
        """Steps through the outcomes and changes of all who share the database, up to now; what was carried out."""
        with self._lock:
            done: list[Action] = []
            self.flags.look()
            self._follow_changes()
            if self._lead.fence() is not None:
                done += self._done(action for action in self._owed if self.now() - action.at <= OWED)
                self._owed = ()
            for number, sample in self._outcomes.read(after=self._last_sample):
                self._last_sample = number
                done += self._step(sample)
            done += self._step(Tick(self.now()))
            return tuple(done)

    def _follow_changes(self) -> None:
        for change in self.changes(self._overlay.version):
            self._state, _ = step(self.flags.declared, self._overlay, self._state, Tick(change.at))
            self._overlay = fold([change], self._overlay)
            self._state, _ = step(self.flags.declared, self._overlay, self._state, Tick(change.at))
            self._owed = ()  # it was done, or somebody decided otherwise
            self._changed(change)

    def _step(self, event: Sample | Tick) -> list[Action]:
        self._state, actions = step(self.flags.declared, self._overlay, self._state, event)
        if self._lead.fence() is None:
            self._owe(actions)
            return []
        return self._done(actions)

    def _owe(self, actions: Iterable[Action]) -> None:
        new = {
            (one.kind, one.flag, one.rollout): one for one in (*self._owed, *actions) if one.kind != "warn"
        }
        self._owed = tuple(new.values())

    def _done(self, actions: Iterable[Action]) -> list[Action]:
        done = []
        for action in actions:
            if self._carry_out(action):
                done.append(action)
            self._follow_changes()
        return done

    def _carry_out(self, action: Action) -> bool:
        """Whether it was done. What somebody else has done or forbidden meanwhile is not done again."""
        try:
            with self._lead.acting():
                return self._carried_out(action)
        except LeadLostError:
            return False

    def _carried_out(self, action: Action) -> bool:
        flags = self.flags
        try:
            if action.kind == "roll_back":
                flags.rollback(action.flag, who="trigger", why=action.words)
            elif action.kind == "pause":
                flags.pause_rollout(action.rollout, who="rollout", why=action.words)
            elif action.kind == "await_approval":
                flags.pause_rollout(action.rollout, who="rollout", why=action.words, awaiting_approval=True)
            elif action.kind == "advance" and action.phase is not None:
                flags.advance_rollout(action.rollout, action.phase, who="rollout", why=action.words)
            elif action.kind == "complete":
                flags.complete_rollout(action.rollout, who="rollout", why=action.words)
        except (RefusedError, StaleVersionError):
            return False
        except JournalError as error:
            if isinstance(error.__cause__, LeadLostError):
                return False
            self._warn(
                f"{action.words}: this calls for a change of {action.flag}, which could not be recorded ({error})."
            )
            return False
        if action.kind in ("roll_back", "warn"):
            self._warn(f"{action.flag}: {action.words}")
        return True

    def verdicts(self, flag: str) -> dict[str, Verdict]:
        """What every trigger says about a flag now."""
        with self._lock:
            return verdicts(self.flags.declared, self._state, flag, self.now())

    def rollout(self, key: str) -> Decision | None:
        """Where a rollout's gates stand now; None for one that was never started."""
        with self._lock:
            return decision(self.flags.declared, self._overlay, self._state, key, self.now())

    def emergency_moved(self) -> datetime | None:
        """When the last emergency ended, or began if it lasts; None where there was none. Raises `JournalError`."""
        version = self.flags.version
        with self._lock:
            seen, at = self._emergency
            if seen < version:
                for change in self.changes(seen):
                    seen, at = change.version, change.at if change.subject == EMERGENCY else at
                self._emergency = seen, at
            return at

    def samples(self, since: datetime | None = None) -> tuple[Sample, ...]:
        """The recorded outcomes, in order."""
        return tuple(sample for _, sample in self._outcomes.read(since=since))
