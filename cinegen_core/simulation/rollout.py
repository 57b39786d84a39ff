"""The bad rollout of a simulation, in a closed loop: the studio's own triggers see its samples and roll it back."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from cinegen_core.flags.evaluate import Snapshot
from cinegen_core.flags.journal import flag_subject, rollout_subject
from cinegen_core.flags.model import (
    Change,
    ChangeKind,
    Context,
    Declared,
    FlagOverlay,
    Overlay,
    Phase,
    RolloutOverlay,
    RolloutPlan,
)
from cinegen_core.flags.watch import ActionKind, Tick, WatchState, carried_out, step
from cinegen_core.monitor.alerts import views
from cinegen_core.monitor.changes import told_of
from cinegen_core.monitor.events import AlertEvent, GenerationEvent
from cinegen_core.monitor.metrics import flag_samples
from cinegen_core.simulation.incidents import FLAG, ROLLED_OUT
from cinegen_core.steering import GENERATION_FLAGS

PLAN = "beta_features_rollout"
BY = "the simulation"

_STEPS: Mapping[ActionKind, ChangeKind] = {
    "pause": "rollout_paused", "advance": "rollout_advanced", "complete": "rollout_completed",
}  # fmt: skip


class Steered:
    """The flags of a simulated studio: declared as `declared` says, and while a bad rollout goes on, that on top.

    The declared triggers watch the flag that is rolled out and no other, so that a planted outage runs to its planted end:
    with flags.toml as it is shipped they would also roll back the comprehensive engines for what their provider does.
    """

    def __init__(self, declared: Declared) -> None:
        triggers = {
            key: trigger.model_copy(update={"flags": (FLAG,)}) for key, trigger in declared.triggers.items()
        }
        phases = (
            Phase(percent=5, dwell_hours=24, quality=8.0, errors=0.05),
            Phase(percent=ROLLED_OUT, dwell_hours=48, quality=8.0, errors=0.03),
            Phase(percent=100, dwell_hours=168, quality=8.0, errors=0.02),
        )
        plan = RolloutPlan(key=PLAN, flag=FLAG, phases=phases)
        self._declared = declared.model_copy(update={"triggers": triggers, "rollouts": {PLAN: plan}})
        self._overlay = Overlay()
        self._state = WatchState()
        self._changes, self._told_before = 0, list[AlertEvent]()
        self._settle()

    @property
    def running(self) -> bool:
        """Whether the flag is on for anybody because of a rollout."""
        return FLAG in self._overlay.flags and self._overlay.flags[FLAG].latched is None

    def values(self, person: str) -> Mapping[str, bool]:
        """The flags that decide how somebody's request is answered, for that person, by the studio's own buckets."""
        found = self._values.get(person)
        if found is None:
            context = Context(user=person)
            found = self._values[person] = {
                key: self._snapshot.evaluate(key, context).value for key in GENERATION_FLAGS
            }
        return found

    def begin(self, at: datetime) -> tuple[AlertEvent, ...]:
        """The rollout comes to its second phase."""
        self._overlay = Overlay(
            flags={FLAG: FlagOverlay(enabled=True, percent=ROLLED_OUT)},
            rollouts={PLAN: RolloutOverlay(state="running", phase=1, since=at)},
        )
        self._state, _ = step(self._declared, self._overlay, WatchState(), Tick(at))
        self._settle()
        why = f"{FLAG} for {ROLLED_OUT} %"
        return self._told("rollout_advanced", rollout_subject(PLAN), at, BY, why, {"phase": 1})

    def end(self, at: datetime) -> tuple[AlertEvent, ...]:
        """Somebody switches the flag off; where it was rolled back, re-arms it and leaves it off."""
        latched = not self.running
        self._overlay = Overlay()
        self._settle()
        if latched:
            return self._told("rearm", flag_subject(FLAG), at, BY, "it stays off until it is mended")
        return self._told("set", flag_subject(FLAG), at, BY, "it does harm", {"enabled": False})

    def observed(self, event: GenerationEvent) -> tuple[AlertEvent, ...]:
        """What the triggers make of an answer while a rollout goes on, carried out at once."""
        if not self.running:
            return ()
        self._state, actions = step(self._declared, self._overlay, self._state, *flag_samples([event]))
        told: list[AlertEvent] = []
        for action in actions:
            if action.kind == "warn":
                continue
            self._overlay = carried_out(self._declared, self._overlay, action)
            self._settle()
            if action.kind == "roll_back":
                told += self._told("rollback", flag_subject(FLAG), action.at, "trigger", action.words)
            elif action.kind in _STEPS:
                phase = {"phase": action.phase}
                told += self._told(
                    _STEPS[action.kind], rollout_subject(PLAN), action.at, "rollout", action.words, phase
                )
        return tuple(told)

    def _told(
        self,
        kind: ChangeKind,
        subject: str,
        at: datetime,
        who: str,
        why: str,
        after: dict[str, Any] | None = None,
    ) -> tuple[AlertEvent, ...]:
        self._changes += 1
        change = Change(
            version=self._changes, at=at, who=who, why=why, kind=kind, subject=subject, after=after
        )
        steps = told_of(change, views(self._told_before))
        self._told_before += steps
        return steps

    def _settle(self) -> None:
        self._snapshot = Snapshot(self._declared, self._overlay)
        self._values: dict[str, dict[str, bool]] = {}
