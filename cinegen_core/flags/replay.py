"""What triggers and gates would have done with what was recorded: the fold of watch.py over it again.

With the declaration that was in force, and samples recorded in the order of their times, it answers exactly what was called for.
With other triggers, it answers what they would have called for, given what really happened next: samples that a rollback would
have prevented are still there, and are counted as those that it would have spared; those that a real one prevented are missing.

`events` are, everywhere here, the recorded samples in the order in which the fold had them, and in their places the ticks that
told of a read. `changes` are the journal's from `overlay` on. One at the time of a sample comes
after it, because what a sample calls for is done at its time.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from itertools import groupby
from typing import NamedTuple

from cinegen_core.flags.journal import flag_subject, fold, rollout_subject
from cinegen_core.flags.model import Change, Declared, Overlay, Sample, Trigger
from cinegen_core.flags.watch import Action, Tick, WatchState, carried_out, step

UNTOUCHED = Overlay()


class Replayed(NamedTuple):
    """An action as it would have been called for. `before` counts the samples with its flag on up to it, the one that brought it
    about included, `after` those that were recorded later."""

    action: Action
    before: int
    after: int


def replay(
    events: Iterable[Sample | Tick],
    changes: Iterable[Change],
    declared: Declared,
    *,
    triggers: Mapping[str, Trigger] | None = None,
    overlay: Overlay = UNTOUCHED,
    until: datetime | None = None,
) -> tuple[Replayed, ...]:
    """What would have been called for, in order. `triggers` stand in for the declared ones; `until` is the present, for dwells that
    end after the last event.

    An action is carried out at once; from then on a recorded change of the same subject wins, except that a flag which was rolled
    back here stays so until a recorded re-arm. Raises `JournalError` for a change that cannot be understood.
    """
    if triggers is not None:
        declared = declared.model_copy(update={"triggers": dict(triggers)})
    run = _Run(declared, overlay, acts=True)
    run.through(events, changes, until)
    return tuple(Replayed(action, before, run.used[action.flag] - before) for action, before in run.found)


def rebuilt(
    events: Iterable[Sample | Tick],
    changes: Iterable[Change],
    declared: Declared,
    *,
    overlay: Overlay = UNTOUCHED,
    until: datetime | None = None,
) -> WatchState:
    """The state of the fold after what was recorded, as a program that starts needs it: nothing is carried out, what holds is what
    the changes say. Raises `JournalError` for a change that cannot be understood."""
    run = _Run(declared, overlay, acts=False)
    run.through(events, changes, until)
    return run.state


class _Run:
    def __init__(self, declared: Declared, overlay: Overlay, *, acts: bool) -> None:
        self.declared, self.overlay, self.acts = declared, overlay, acts
        self.state = WatchState()
        self.used: Counter[str] = Counter()
        self.found: list[tuple[Action, int]] = []
        self.rolled_back: set[str] = set()

    def through(
        self, events: Iterable[Sample | Tick], changes: Iterable[Change], until: datetime | None
    ) -> None:
        commands = _commands(changes)
        following = next(commands, None)
        for event in events:
            while following is not None and following[0].at < event.at:
                self.command(following)
                following = next(commands, None)
            self.event(event)
        while following is not None and (until is None or following[0].at <= until):
            self.command(following)
            following = next(commands, None)
        if until is not None:
            self.event(Tick(until))

    def event(self, event: Sample | Tick) -> None:
        if isinstance(event, Sample):
            self.used.update(event.on)
        self.state, actions = step(self.declared, self.overlay, self.state, event)
        for action in actions:
            earlier = isinstance(event, Sample) and action.flag in event.on and action.at < event.at
            self.found.append((action, self.used[action.flag] - earlier))
            if self.acts:
                self.overlay = carried_out(self.declared, self.overlay, action)
                if action.kind == "roll_back":
                    self.rolled_back.add(action.flag)

    def command(self, changes: Sequence[Change]) -> None:
        # what was called for at this very time is being carried out: the fold has gone on from there
        if self.state.at is None or self.state.at < changes[0].at:
            self.event(Tick(changes[0].at))
        for change in changes:
            flag = self._flag(change)
            if change.kind == "rearm":
                self.rolled_back.discard(flag)
            if flag not in self.rolled_back:
                self.overlay = fold([change], self.overlay)
        self.event(Tick(changes[0].at))

    def _flag(self, change: Change) -> str:
        for key, plan in self.declared.rollouts.items():
            if change.subject == rollout_subject(key):
                return plan.flag
        return next((key for key in self.declared.flags if change.subject == flag_subject(key)), "")


def _commands(changes: Iterable[Change]) -> Iterator[list[Change]]:
    """Changes that were made as one: at the same moment, by the same hand, for the same reason."""
    ordered = sorted(changes, key=lambda change: change.version)
    for _, made in groupby(ordered, key=lambda change: (change.at, change.who, change.why)):
        yield list(made)
