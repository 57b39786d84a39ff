"""What flags and rollouts call for, as samples come in: one pure fold, the same live and in replay.

`step` takes the state, the overlay that holds, and one event: a sample or a tick. It answers the next state and what is to be
done. Whoever calls it carries that out by changing the overlay before the next event. The rules:

* Every sample is given once, in the order in which it was recorded. Samples have no identity, so that one given twice counts
  twice; one that is late, with an earlier time than what was seen before, counts at the time of what was seen before.
* After every change of the overlay (carried out, or made by a person) a tick at the time of the change is given with the new
  overlay, and before one that a person makes, a tick with the old.
* Triggers are judged with every sample, gates with every sample and at the very moment at which a dwell ends, even if the next
  event comes later. So it does not matter how often ticks come, except those that tell of a read of the metrics.
* Without a new sample nothing is rolled back. A pause can come at the end of a dwell, from what the window then says.

The state is kept nowhere. It is rebuilt by giving the same samples, failed reads and changes again, in their order, beginning
with `WatchState()`: that is what replay.py does. What happened before the first sample that is still kept is forgotten, healthy
baselines included.

Every trigger watches every flag that is on and declared (or those that it names), whatever state its rollouts are in. Windows and
evidence begin anew with each phase of a rollout, and when a flag comes on again, as after a re-arm. When a rollout resumes only
the windows do, so that what paused it does not at once pause it again, while evidence of real harm goes on growing. An action
that was called for and not carried out is called for again.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from datetime import datetime, timedelta
from types import MappingProxyType
from typing import Literal, NamedTuple

from cinegen_core.flags.model import (
    Declared,
    FlagOverlay,
    Overlay,
    RolloutOverlay,
    RolloutPlan,
    Sample,
    Trigger,
)
from cinegen_core.flags.rollout import FAILED_READS, Decision, Tally, dwell_over, progress
from cinegen_core.flags.triggers import TriggerState, Verdict, observe, restarted, starting
from cinegen_core.flags.triggers import at as verdict_at

ActionKind = Literal["roll_back", "warn", "pause", "advance", "await_approval", "complete"]

_LIVE = frozenset({"running", "paused", "awaiting_approval"})
_NONE: Mapping[str, Verdict] = MappingProxyType({})


class Tick(NamedTuple):
    """A moment without a sample. `failed_read` says whether a read of the metrics failed then, None where none was tried."""

    at: datetime
    failed_read: bool | None = None


class Action(NamedTuple):
    """Something to be done at a moment, and why.

    `roll_back` switches `flag` off for everybody until a person re-arms it, and ends its rollouts. `warn` says once that a
    signal has been breached. The others are about `rollout`, and `phase` (from 0) is the one that it is in then. `trigger` is the
    key of the one that called for it, or empty.
    """

    kind: ActionKind
    at: datetime
    flag: str
    words: str
    rollout: str = ""
    phase: int | None = None
    trigger: str = ""


class Watched(NamedTuple):
    """A trigger as it was declared, and what it has come to. Declared otherwise, it starts anew."""

    rule: Trigger
    state: TriggerState


class FlagWatch(NamedTuple):
    """One flag: whether it is on at all, its triggers by key, and those of them that have warned and not been clear since."""

    on: bool
    triggers: Mapping[str, Watched]
    warned: frozenset[str] = frozenset()


class RolloutWatch(NamedTuple):
    """One rollout: the phase and since when, and what its gates know of the samples since then. `idle` is how long it had stood
    still before it last ran; `halted` is since when it stands still now, None while it runs."""

    phase: int
    since: datetime
    halted: datetime | None = None
    idle: timedelta = timedelta(0)
    tally: Tally = Tally()

    def stood_still(self, now: datetime) -> timedelta:
        """In this phase, up to now."""
        return self.idle if self.halted is None else self.idle + max(timedelta(0), now - self.halted)


class WatchState(NamedTuple):
    """Everything that is known after the events until `at`. `failed_reads` are those in a row."""

    at: datetime | None = None
    flags: Mapping[str, FlagWatch] = MappingProxyType({})
    rollouts: Mapping[str, RolloutWatch] = MappingProxyType({})
    failed_reads: int = 0


def step(
    declared: Declared, overlay: Overlay, state: WatchState, event: Sample | Tick
) -> tuple[WatchState, tuple[Action, ...]]:
    """The state after an event, and what is to be done, in order."""
    now = event.at if state.at is None else max(state.at, event.at)
    fold = _Fold(declared, overlay, state)
    fold.meet(now)
    if isinstance(event, Tick):
        if event.failed_read:
            fold.failed(now)
        elif event.failed_read is not None:
            fold.failed_reads = 0
    else:
        fold.failed_reads = 0
        fold.take(event if event.at == now else event.model_copy(update={"at": now}), now)
    return WatchState(now, fold.flags, fold.rollouts, fold.failed_reads), tuple(fold.actions)


def verdicts(declared: Declared, state: WatchState, flag: str, now: datetime) -> dict[str, Verdict]:
    """What every trigger says about a flag at a moment, by key; nothing for a flag that is off or was never seen."""
    return _said(declared, state.flags.get(flag), now)


def decision(
    declared: Declared, overlay: Overlay, state: WatchState, rollout: str, now: datetime
) -> Decision | None:
    """Where a rollout's gates stand at a moment, for a page; None for one that is not declared, or has not been started."""
    plan, standing = declared.rollouts.get(rollout), overlay.rollouts.get(rollout)
    if plan is None or standing is None:
        return None
    watch = state.rollouts.get(rollout)
    if watch is None or (watch.phase, watch.since) != _stage(standing):
        watch = RolloutWatch(*_stage(standing))
    signals = tuple(verdicts(declared, state, plan.flag, now).values())
    return progress(
        plan,
        standing,
        watch.tally,
        now,
        idle=watch.stood_still(now),
        signals=signals,
        failed_reads=state.failed_reads,
    )


def is_on(declared: Declared, overlay: Overlay, flag: str) -> bool:
    """Whether a flag can be on for anybody: it is declared, enabled, not rolled back, and there is no emergency."""
    known = declared.flags.get(flag)
    if known is None or overlay.emergency is not None:
        return False
    over = overlay.flags.get(flag)
    if over is None:
        return known.enabled
    return over.latched is None and (known.enabled if over.enabled is None else over.enabled)


def carried_out(declared: Declared, overlay: Overlay, action: Action) -> Overlay:
    """The overlay once an action is carried out at its own time; its version stays. Replay does this, and whoever writes the journal
    does the same."""
    flags, rollouts = dict(overlay.flags), dict(overlay.rollouts)
    if action.kind == "roll_back":
        over = flags.get(action.flag, FlagOverlay())
        flags[action.flag] = over.model_copy(update={"latched": action.words})
        for key, plan in declared.rollouts.items():
            if plan.flag == action.flag and key in rollouts and rollouts[key].state in _LIVE:
                rollouts[key] = _moved(rollouts[key], state="aborted", why=action.words)
    elif action.rollout:
        standing = rollouts[action.rollout]
        if action.kind == "advance":
            phase = standing.phase + 1
            rollouts[action.rollout] = RolloutOverlay(state="running", phase=phase, since=action.at)
            percent = declared.rollouts[action.rollout].phases[phase].percent
            over = flags.get(action.flag, FlagOverlay())
            flags[action.flag] = over.model_copy(update={"percent": percent})
        elif action.kind == "pause":
            rollouts[action.rollout] = _moved(standing, state="paused", why=action.words)
        else:
            ended = "completed" if action.kind == "complete" else "awaiting_approval"
            rollouts[action.rollout] = _moved(standing, state=ended, why=action.words)
    return overlay.model_copy(update={"flags": flags, "rollouts": rollouts})


class _Fold:
    """One step. What it decides holds from then on within the step, as if it had been carried out at once."""

    def __init__(self, declared: Declared, overlay: Overlay, state: WatchState) -> None:
        self.declared, self.overlay, self.seen = declared, overlay, state.at
        self.flags, self.rollouts = dict(state.flags), dict(state.rollouts)
        self.failed_reads = state.failed_reads
        self.actions: list[Action] = []

    def meet(self, now: datetime) -> None:
        """Takes in what has changed, and judges every dwell that has ended since the last event."""
        self._changes(now)
        cursor = self.seen
        while (ends := self._dwell_ends(cursor, now)) != []:
            cursor = min(end for end, _ in ends)
            for end, key in ends:
                if end == cursor:
                    self._judge(key, cursor, self._said(self.declared.rollouts[key].flag, cursor))
            self._changes(cursor)

    def failed(self, now: datetime) -> None:
        self.failed_reads += 1
        if self.failed_reads < FAILED_READS:
            return
        for key, _, _ in self._live_rollouts():
            self._judge(key, now, _NONE)
        self.failed_reads = 0

    def take(self, sample: Sample, now: datetime) -> None:
        for flag in sorted(sample.on):
            watch = self.flags.get(flag)
            if watch is None or not watch.on:
                continue
            said = self._observe(flag, watch, sample)
            rolling = next((verdict for verdict in said.values() if verdict.rolls_back), None)
            if rolling is not None:
                self._do(Action("roll_back", now, flag, rolling.words, trigger=rolling.trigger.key))
                continue
            self._warn(flag, watch, said, now)
            for key, plan, _ in self._live_rollouts():
                if plan.flag == flag:
                    known = self.rollouts[key]
                    self.rollouts[key] = known._replace(tally=known.tally.and_also(sample))
                    self._judge(key, now, said)

    def _changes(self, now: datetime) -> None:
        begun, resumed = set[str](), set[str]()
        for key, plan, standing in self._live_rollouts():
            known = self.rollouts.get(key)
            if known is None or (known.phase, known.since) != _stage(standing):
                known = RolloutWatch(*_stage(standing))
                begun.add(plan.flag)
            if standing.state == "running" and known.halted is not None:
                known = known._replace(idle=known.stood_still(now), halted=None)
                resumed.add(plan.flag)
            elif standing.state != "running" and known.halted is None:
                known = known._replace(halted=now)
            self.rollouts[key] = known
        for flag in self.declared.flags:
            on, watch = is_on(self.declared, self.overlay, flag), self.flags.get(flag)
            if watch is None or (on and (flag in begun or not watch.on)):
                self.flags[flag] = self._fresh(flag, on, now)
            elif watch.on != on:
                self.flags[flag] = watch._replace(on=on)
            elif on and flag in resumed:
                self.flags[flag] = _with_new_windows(watch)
        for key, plan, standing in self._live_rollouts():
            if standing.state != "paused" and not is_on(self.declared, self.overlay, plan.flag):
                why = f"{plan.flag} is off for everybody"
                self._do(Action("pause", now, plan.flag, why, key, standing.phase))

    def _fresh(self, flag: str, on: bool, now: datetime) -> FlagWatch:
        old = self.flags[flag].triggers if flag in self.flags else {}
        return FlagWatch(
            on,
            {
                key: Watched(trigger, restarted(old[key].state, now))
                if key in old and old[key].rule == trigger
                else Watched(trigger, starting(trigger, flag, now))
                for key, trigger in self._watching(flag)
            },
        )

    def _observe(self, flag: str, watch: FlagWatch, sample: Sample) -> dict[str, Verdict]:
        triggers, said = dict(watch.triggers), dict[str, Verdict]()
        for key, trigger in self._watching(flag):
            known = triggers.get(key)
            if known is None or (known.rule is not trigger and known.rule != trigger):
                known = Watched(trigger, starting(trigger, flag, sample.at))
            state, said[key] = observe(trigger, known.state, sample)
            triggers[key] = Watched(trigger, state)
        self.flags[flag] = watch._replace(triggers=triggers)
        return said

    def _warn(self, flag: str, watch: FlagWatch, said: Mapping[str, Verdict], now: datetime) -> None:
        warned = {key for key in watch.warned if key in said and said[key].signal != "clear"}
        for key, verdict in said.items():
            if verdict.signal == "breach" and key not in warned:
                warned.add(key)
                self._do(Action("warn", now, flag, verdict.words, trigger=key))
        if warned != watch.warned:
            self.flags[flag] = self.flags[flag]._replace(warned=frozenset(warned))

    def _said(self, flag: str, now: datetime) -> Mapping[str, Verdict]:
        return _said(self.declared, self.flags.get(flag), now)

    def _judge(self, key: str, now: datetime, said: Mapping[str, Verdict]) -> None:
        plan, standing, known = self.declared.rollouts[key], self.overlay.rollouts[key], self.rollouts[key]
        decided = progress(
            plan,
            standing,
            known.tally,
            now,
            idle=known.stood_still(now),
            signals=tuple(said.values()),
            failed_reads=self.failed_reads,
        )
        if decided.kind == "hold":
            return
        because = next((verdict.trigger.key for verdict in said.values() if verdict.signal == "breach"), "")
        trigger = because if decided.kind == "pause" else ""
        phase = standing.phase + (decided.kind == "advance")
        self._do(Action(decided.kind, now, plan.flag, decided.reason, key, phase, trigger))

    def _do(self, action: Action) -> None:
        self.actions.append(action)
        self.overlay = carried_out(self.declared, self.overlay, action)

    def _dwell_ends(self, after: datetime | None, until: datetime) -> list[tuple[datetime, str]]:
        found: list[tuple[datetime, str]] = []
        for key, plan, standing in self._live_rollouts():
            end = dwell_over(plan, standing, self.rollouts[key].idle)
            if end is not None and end <= until and (after is None or end > after):
                found.append((end, key))
        return found

    def _live_rollouts(self) -> Iterator[tuple[str, RolloutPlan, RolloutOverlay]]:
        for key, standing in self.overlay.rollouts.items():
            plan = self.declared.rollouts.get(key)
            if plan is not None and standing.state in _LIVE:
                yield key, plan, standing

    def _watching(self, flag: str) -> Iterable[tuple[str, Trigger]]:
        return [
            (key, trigger)
            for key, trigger in self.declared.triggers.items()
            if not trigger.flags or flag in trigger.flags
        ]


def _stage(standing: RolloutOverlay) -> tuple[int, datetime]:
    return standing.phase, standing.since


def _with_new_windows(watch: FlagWatch) -> FlagWatch:
    triggers = {
        key: known._replace(state=known.state._replace(window=())) for key, known in watch.triggers.items()
    }
    return watch._replace(triggers=triggers, warned=frozenset())


def _moved(standing: RolloutOverlay, **changes: str) -> RolloutOverlay:
    return RolloutOverlay.model_validate({**standing.model_dump(), **changes})


def _said(declared: Declared, watch: FlagWatch | None, now: datetime) -> dict[str, Verdict]:
    if watch is None or not watch.on:
        return {}
    return {
        key: verdict_at(known.rule, known.state, now)
        for key, known in watch.triggers.items()
        if declared.triggers.get(key) == known.rule
    }
