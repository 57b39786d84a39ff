"""Flags in force: what flags.toml declares, what operators changed since, and the commands to change it."""

from __future__ import annotations

import codecs
import difflib
import hashlib
import os
import random
import stat
import tempfile
import threading
import time
from collections.abc import Callable, Collection, Iterable, Mapping
from datetime import datetime
from pathlib import Path
from typing import Any, Literal, NamedTuple

import tomlkit
from tomlkit.exceptions import TOMLKitError

from cinegen_core.flags.declared import DeclarationError, Problem, read_declared
from cinegen_core.flags.evaluate import Snapshot
from cinegen_core.flags.journal import (
    EMERGENCY,
    Journal,
    JournalError,
    StaleVersionError,
    flag_subject,
    fold,
    rollout_subject,
)
from cinegen_core.flags.model import (
    NOBODY,
    Change,
    ChangeKind,
    Context,
    Declared,
    EmergencyOverlay,
    Evaluation,
    Flag,
    FlagOverlay,
    Noun,
    Overlay,
    RolloutOverlay,
    RolloutPlan,
    RolloutState,
)

ACTIVE: frozenset[RolloutState] = frozenset({"running", "paused", "awaiting_approval"})
"""The states of a rollout that is neither through nor given up."""

AUTOMATIC = frozenset({"trigger", "rollout"})
"""Who makes changes without a person. "trigger:error_rate_spike" is the trigger, too."""

_RACES = 100
_SETTLED_SECONDS = 2.0


class UnknownFlagError(KeyError):
    """Nothing is declared under this key."""

    def __init__(self, what: str, key: str, known: Iterable[str]) -> None:
        close = difflib.get_close_matches(key, list(known), n=1)
        hint = f" Did you mean '{close[0]}'?" if close else ""
        self.key = key
        self._words = f"There is no {what} '{key}'.{hint}"
        super().__init__(self._words)

    def __str__(self) -> str:
        return self._words


PASSING = frozenset({"health"})
"""Who begins emergencies that end by themselves."""


class RefusedError(Exception):
    """The flags are in no state for this command. The message says in which they are, and what to do."""


class LatchedError(RefusedError):
    """The flag was rolled back, and nobody has re-armed it. `change` is the one that rolled it back."""

    def __init__(self, flag: str, change: Change) -> None:
        self.flag, self.change = flag, change
        super().__init__(
            f"{flag} was rolled back by {change.who} at {change.at:%Y-%m-%d %H:%M %Z}: {change.why}. "
            "It stays off until a person re-arms it."
        )


class Drift(Noun):
    """A flag that is not as its file declares, who made it so, and why. Where it is `latched`, it was rolled back,
    and is not folded into the file."""

    flag: str
    field: Literal["enabled", "rollout"]
    declared: bool | int
    effective: bool | int
    who: str
    why: str
    at: datetime
    latched: bool = False


class _State(NamedTuple):
    """What holds at one moment. `last` is the change that gave a field of a subject its value."""

    declared: Declared
    overlay: Overlay
    last: Mapping[tuple[str, str], Change]
    snapshot: Snapshot


class _Draft(NamedTuple):
    """A change that has no version yet."""

    kind: ChangeKind
    subject: str
    before: Noun | None
    after: Noun | None


class Flags:
    """The flags of one installation, shared by all that use the same file and the same journal.

    Evaluating looks at both no more often than every `every` seconds; a command looks first, always. What cannot
    be used leaves the last good state in force: `on_problem` is told once, and `problem` says so as long as it
    lasts. Methods may be called from any thread.

    Every command says `who` makes the change and `why`, and may say the `version` of the flags that it was
    decided from. It returns the changes that it made: none where all was as wanted already. It raises
    `ValueError` without who and why, `UnknownFlagError`, `RefusedError` (`LatchedError` for a flag that was rolled
    back), `StaleVersionError` where the flags have moved on from `version`, and `JournalError` where nothing can
    be written. Whenever the process may die, a command has been done as a whole or not at all.
    """

    def __init__(
        self,
        path: Path,
        journal: Journal,
        *,
        now: Callable[[], datetime],
        on_problem: Callable[[str], None],
        rng: random.Random | None = None,
        monotonic: Callable[[], float] = time.monotonic,
        every: float = 0.25,
        automatic: Collection[str] = AUTOMATIC,
    ) -> None:
        """Raises `DeclarationError` where the file cannot be used, `JournalError` where the journal cannot."""
        self._journal, self._now, self._monotonic = journal, now, monotonic
        self._on_problem, self._every = on_problem, every
        self._rng = random.Random() if rng is None else rng  # noqa: S311 (draws who is in, keeps no secret)
        self._automatic = frozenset(name.casefold() for name in automatic)
        self._lock = threading.RLock()
        self._file = _DeclaredFile(path, monotonic)
        self._journal_problem: str | None = None
        self._unsaid: list[str] = []
        self._next_look = monotonic() + every
        self._state = self._made(self._file.declared, Overlay(), {})
        self._take(journal.read())

    # Reading.

    def evaluate(self, key: str, context: Context = NOBODY, default: bool = False) -> Evaluation:
        """The flag's value and why. Never raises: an unknown flag has the value `default`."""
        return self.snapshot().evaluate(key, context, default=default)

    def snapshot(self) -> Snapshot:
        """The flags as they are now, for work that must see one state from beginning to end."""
        return self._current().snapshot

    @property
    def declared(self) -> Declared:
        return self._current().declared

    @property
    def overlay(self) -> Overlay:
        return self._current().overlay

    @property
    def version(self) -> int:
        """Of the last change: what a command that is decided now passes as its `version`."""
        return self._current().overlay.version

    @property
    def problem(self) -> str | None:
        """Why the file or the journal cannot be used; None while both can."""
        with self._lock:
            found = [problem for problem in (self._file.problem, self._journal_problem) if problem]
        return " ".join(found) or None

    def look(self) -> None:
        """Takes what has changed in the file and in the journal. Costs little where nothing has."""
        with self._lock:
            self._look()
        self._say()

    def drift(self) -> tuple[Drift, ...]:
        """Where the flags differ from their file, in the file's order."""
        self.look()
        state = self._state
        return tuple(drift for flag in state.declared.flags.values() for drift in _drift(state, flag))

    # Commands: one flag.

    def set(
        self,
        key: str,
        enabled: bool | None = None,
        percent: int | None = None,
        *,
        who: str,
        why: str,
        version: int | None = None,
    ) -> tuple[Change, ...]:
        """Switches a flag, or sets its percentage (0..100), or both; None leaves it as it is."""
        if enabled is None and percent is None:
            raise ValueError("Say what to set: whether the flag is enabled, its percentage, or both.")
        if percent is not None and not 0 <= percent <= 100:
            raise ValueError(f"A percentage is from 0 to 100, not {percent}.")

        def drafts(state: _State) -> tuple[_Draft, ...]:
            flag = _armed_flag(state, key)
            if percent is not None and not flag.strategies:
                raise RefusedError(
                    f"{key} has no strategy that could have a percentage: declare one in its file."
                )
            if percent is not None and (rollout := _active_rollout(state, key)):
                raise RefusedError(
                    f"The percentage of {key} is set by {rollout}, which is "
                    f"{_words(state.overlay.rollouts[rollout].state)}. Abort it first, or let it come to its end."
                )
            return (_flag_draft(state, "set", flag.key, enabled=enabled, percent=percent),)

        return self._change(drafts, who, why, version)

    def rollback(self, key: str, *, who: str, why: str, version: int | None = None) -> tuple[Change, ...]:
        """Switches a flag off for everybody, and aborts its rollout, until a person re-arms it."""

        def drafts(state: _State) -> tuple[_Draft, ...]:
            _flag(state, key)
            if _latched(state, key):
                return ()
            ended = [_ended(state, rollout, "aborted", why) for rollout in _rollouts_to_abort(state, key)]
            return (_flag_draft(state, "rollback", key, latched=why.strip()), *ended)

        return self._change(drafts, who, why, version)

    def rearm(self, key: str, *, who: str, why: str, version: int | None = None) -> tuple[Change, ...]:
        """Lifts a rollback: the flag is what it was before, its rollout stays aborted. For persons only."""
        self._check_person(who, f"re-arms {key}")

        def drafts(state: _State) -> tuple[_Draft, ...]:
            before = state.overlay.flags.get(key)
            if before is None:
                _flag(state, key)
            if before is None or before.latched is None:
                raise RefusedError(f"{key} is not rolled back: there is nothing to re-arm.")
            after = before.model_copy(update={"latched": None})
            return (_Draft("rearm", flag_subject(key), before, after if after != FlagOverlay() else None),)

        return self._change(drafts, who, why, version)

    # Commands: all flags.

    def emergency(self, *, who: str, why: str, version: int | None = None) -> tuple[Change, ...]:
        """Switches everything off, whoever is targeted, until `emergency_over`. Targeting is left as it is.

        Who comes second changes nothing, but that a person takes over an emergency that one of `PASSING` began: it is theirs to end.
        """

        def drafts(state: _State) -> tuple[_Draft, ...]:
            standing = state.overlay.emergency
            if standing is not None and (standing.who not in PASSING or who.strip() in PASSING):
                return ()
            after = EmergencyOverlay(who=who.strip(), why=why.strip(), since=self._now())
            return (_Draft("emergency", EMERGENCY, standing, after),)

        return self._change(drafts, who, why, version)

    def emergency_over(self, *, who: str, why: str, version: int | None = None) -> tuple[Change, ...]:
        """Back to what held before the emergency. A flag that was rolled back stays so."""

        def drafts(state: _State) -> tuple[_Draft, ...]:
            if state.overlay.emergency is None:
                return ()
            return (_Draft("emergency_over", EMERGENCY, state.overlay.emergency, None),)

        return self._change(drafts, who, why, version)

    # Commands: rollouts. `key` is the rollout plan's.

    def start_rollout(
        self, key: str, *, who: str, why: str, version: int | None = None
    ) -> tuple[Change, ...]:
        """Enables the plan's flag at the percentage of its first phase."""

        def drafts(state: _State) -> tuple[_Draft, ...]:
            plan = _plan(state, key)
            flag = _armed_flag(state, plan.flag)
            if other := _active_rollout(state, plan.flag):
                words = _words(state.overlay.rollouts[other].state)
                raise RefusedError(f"{other} of {plan.flag} is {words} already. Abort it to begin anew.")
            overlay = state.overlay.flags.get(flag.key, FlagOverlay())
            is_on = flag.enabled if overlay.enabled is None else overlay.enabled
            return self._at_phase(state, "rollout_started", plan, 0, enabled=None if is_on else True)

        return self._change(drafts, who, why, version)

    def advance_rollout(
        self, key: str, phase: int, *, who: str, why: str, version: int | None = None
    ) -> tuple[Change, ...]:
        """From its phase to the next, which is `phase` (counted from 0), and its percentage."""

        def drafts(state: _State) -> tuple[_Draft, ...]:
            plan, before = _in_state(state, key, "advanced", "running")
            if plan.phases[min(before.phase, len(plan.phases) - 1)].approval:
                raise RefusedError(
                    f"{key} goes on from phase {before.phase + 1} only once a person approves."
                )
            if phase != before.phase + 1 or phase >= len(plan.phases):
                raise RefusedError(
                    f"{key} is in phase {before.phase + 1} of {len(plan.phases)}: it cannot go to phase {phase + 1}."
                )
            return self._at_phase(state, "rollout_advanced", plan, phase)

        return self._change(drafts, who, why, version)

    def complete_rollout(
        self, key: str, *, who: str, why: str, version: int | None = None
    ) -> tuple[Change, ...]:
        """Ends a rollout that is in its last phase. The flag keeps that phase's percentage."""

        def drafts(state: _State) -> tuple[_Draft, ...]:
            plan, before = _in_state(state, key, "completed", "running")
            if before.phase < len(plan.phases) - 1:
                raise RefusedError(
                    f"{key} is in phase {before.phase + 1} of {len(plan.phases)}: not the last."
                )
            if plan.phases[-1].approval:
                raise RefusedError(f"{key} is completed only once a person approves.")
            return (_ended(state, key, "completed", why),)

        return self._change(drafts, who, why, version)

    def pause_rollout(
        self, key: str, *, who: str, why: str, awaiting_approval: bool = False, version: int | None = None
    ) -> tuple[Change, ...]:
        """Holds a rollout at its percentage: until somebody resumes it, or approves it if that is awaited."""
        wanted: RolloutState = "awaiting_approval" if awaiting_approval else "paused"

        def drafts(state: _State) -> tuple[_Draft, ...]:
            _rollout_known(state, key)
            before = state.overlay.rollouts.get(key)
            if before is not None and before.state == wanted:
                return ()
            if before is None or before.state not in ACTIVE:
                raise _wrong_state(key, before, "paused")
            after = before.model_copy(update={"state": wanted, "why": why.strip()})
            return (_Draft("rollout_paused", rollout_subject(key), before, after),)

        return self._change(drafts, who, why, version)

    def resume_rollout(
        self, key: str, *, who: str, why: str, version: int | None = None
    ) -> tuple[Change, ...]:
        """Goes on with a rollout that is paused, in its phase, which began when it began."""

        def drafts(state: _State) -> tuple[_Draft, ...]:
            _, before = _in_state(state, key, "resumed", "paused")
            after = before.model_copy(update={"state": "running", "why": ""})
            return (_Draft("rollout_resumed", rollout_subject(key), before, after),)

        return self._change(drafts, who, why, version)

    def approve_rollout(
        self, key: str, *, who: str, why: str, version: int | None = None
    ) -> tuple[Change, ...]:
        """Lets a rollout that awaits approval go to its next phase, or end after the last. For persons only."""
        self._check_person(who, f"approves {key}")

        def drafts(state: _State) -> tuple[_Draft, ...]:
            plan, before = _in_state(state, key, "approved", "awaiting_approval")
            if before.phase + 1 < len(plan.phases):
                return self._at_phase(state, "rollout_approved", plan, before.phase + 1)
            return (_ended(state, key, "completed", why),)

        return self._change(drafts, who, why, version)

    def abort_rollout(
        self, key: str, *, who: str, why: str, version: int | None = None
    ) -> tuple[Change, ...]:
        """Gives a rollout up. Its flag stays at the percentage it has: set another, or roll it back."""

        def drafts(state: _State) -> tuple[_Draft, ...]:
            _rollout_known(state, key)
            before = state.overlay.rollouts.get(key)
            if before is None or before.state not in ACTIVE:
                raise _wrong_state(key, before, "aborted")
            return (_ended(state, key, "aborted", why),)

        return self._change(drafts, who, why, version)

    # Commands: the file.

    def fold_back(
        self, *, who: str, why: str, keys: Collection[str] | None = None, version: int | None = None
    ) -> tuple[Change, ...]:
        """Writes what differs of these flags, or of all, into their file, whose comments and order stay.

        What was rolled back, and what a rollout is still changing, is not written: it is left out, or refused
        where `keys` names it. All that use the journal have to see this same file. Raises `OSError` where the file
        cannot be written.
        """

        def drafts(state: _State) -> tuple[_Draft, ...]:
            chosen = _to_fold(state, keys)
            if chosen:
                # Before the journal says that nothing differs, the file says the same.
                with self._lock:
                    declared = self._file.fold(chosen)
                    self._state = self._made(declared, self._state.overlay, self._state.last)
            return tuple(_Draft("folded_back", flag_subject(key), chosen[key], None) for key in chosen)

        return self._change(drafts, who, why, version)

    # How a command becomes changes.

    def _change(
        self, drafts: Callable[[_State], tuple[_Draft, ...]], who: str, why: str, version: int | None
    ) -> tuple[Change, ...]:
        who, why = _signed(who, "who", 200), _signed(why, "why", 2000)
        for attempt in range(_RACES):
            try:
                with self._lock:
                    self._look(must=True)
                    state = self._state
            finally:
                self._say()
            read = state.overlay.version
            if version is not None and version != read:
                raise StaleVersionError(version, read, self._journal.read(version))
            at = self._now()
            changes = tuple(
                Change(
                    version=number,
                    at=at,
                    who=who,
                    why=why,
                    kind=draft.kind,
                    subject=draft.subject,
                    before=_plain(draft.before),
                    after=_plain(draft.after),
                )
                for number, draft in enumerate(drafts(state), read + 1)
            )
            if not changes:
                return ()
            try:
                self._journal.append(*changes)
            except StaleVersionError:
                if attempt == _RACES - 1:
                    raise
                continue
            with self._lock:
                self._take(changes)
            return changes
        raise AssertionError("unreachable")

    def _at_phase(
        self, state: _State, kind: ChangeKind, plan: RolloutPlan, phase: int, *, enabled: bool | None = None
    ) -> tuple[_Draft, ...]:
        """The rollout in a phase and its flag at that phase's percentage, which are kept as one."""
        before = state.overlay.rollouts.get(plan.key)
        after = RolloutOverlay(state="running", phase=phase, since=self._now())
        percent = plan.phases[phase].percent
        return (
            _Draft(kind, rollout_subject(plan.key), before, after),
            _flag_draft(state, kind, plan.flag, enabled=enabled, percent=percent),
        )

    def _check_person(self, who: str, what: str) -> None:
        if who.partition(":")[0].strip().casefold() in self._automatic:
            raise RefusedError(f"A person {what}, under their own name: '{who}' is none.")

    # How changes become the state. Under the lock.

    def _current(self) -> _State:
        # Somebody else may be looking just now: what held a moment ago is good enough.
        if self._monotonic() >= self._next_look and self._lock.acquire(blocking=False):
            try:
                self._look()
            finally:
                self._lock.release()
            self._say()
        return self._state

    def _say(self) -> None:
        # Not under the lock: who is told may well ask for the flags.
        while self._unsaid:
            with self._lock:
                problems, self._unsaid = self._unsaid, []
            for problem in problems:
                self._on_problem(problem)

    def _look(self, must: bool = False) -> None:
        """Where the journal fails, raises `JournalError` if it `must` not."""
        self._next_look = self._monotonic() + self._every
        # The journal before the file: who folds back writes the file first, so that a journal which says that
        # nothing differs is never held against a file from before.
        try:
            self._follow_journal()
        except JournalError as error:
            if str(error) != self._journal_problem:
                self._journal_problem = str(error)
                self._unsaid.append(str(error))
            if must:
                raise
        else:
            self._journal_problem = None
        if self._file.look(self._unsaid.append):
            self._state = self._made(self._file.declared, self._state.overlay, self._state.last)

    def _follow_journal(self) -> None:
        known, current = self._state.overlay.version, self._journal.version()
        if current < known:
            raise JournalError(
                f"The flags' journal ends at version {current}, but version {known} was read from it before. The "
                "flags stay as they are; if the journal was meant to be put back, restart."
            )
        if current > known:
            self._take(self._journal.read(known))

    def _take(self, changes: Iterable[Change]) -> None:
        known = self._state.overlay.version
        new = [change for change in changes if change.version > known]
        last = dict(self._state.last)
        for change in new:
            before, after = change.before or {}, change.after or {}
            last.update(
                {
                    (change.subject, field): change
                    for field in before.keys() | after.keys()
                    if before.get(field) != after.get(field)
                }
            )
        self._state = self._made(self._state.declared, fold(new, self._state.overlay), last)

    def _made(self, declared: Declared, overlay: Overlay, last: Mapping[tuple[str, str], Change]) -> _State:
        return _State(declared, overlay, last, Snapshot(declared, overlay, self._rng))


# What commands ask of a state.


def _flag(state: _State, key: str) -> Flag:
    if key not in state.declared.flags:
        raise UnknownFlagError("flag", key, state.declared.flags)
    return state.declared.flags[key]


def _armed_flag(state: _State, key: str) -> Flag:
    flag = _flag(state, key)
    if _latched(state, key):
        raise LatchedError(key, state.last[flag_subject(key), "latched"])
    return flag


def _latched(state: _State, key: str) -> bool:
    overlay = state.overlay.flags.get(key)
    return overlay is not None and overlay.latched is not None


def _plan(state: _State, key: str) -> RolloutPlan:
    if key not in state.declared.rollouts:
        raise UnknownFlagError("rollout", key, state.declared.rollouts)
    return state.declared.rollouts[key]


def _rollout_known(state: _State, key: str) -> None:
    """One that has begun may be held and given up, also if its plan has gone from the file."""
    if key not in state.overlay.rollouts:
        _plan(state, key)


def _in_state(state: _State, key: str, done: str, wanted: RolloutState) -> tuple[RolloutPlan, RolloutOverlay]:
    plan = _plan(state, key)
    _armed_flag(state, plan.flag)
    overlay = state.overlay.rollouts.get(key)
    if overlay is None or overlay.state != wanted:
        raise _wrong_state(key, overlay, done)
    return plan, overlay


def _wrong_state(key: str, overlay: RolloutOverlay | None, done: str) -> RefusedError:
    if overlay is None:
        return RefusedError(f"{key} cannot be {done}: it has not been started.")
    why = f" ({overlay.why})" if overlay.why else ""
    return RefusedError(f"{key} cannot be {done}: it is {_words(overlay.state)}{why}.")


def _words(state: RolloutState) -> str:
    return state.replace("_", " ")


def _active_rollout(state: _State, flag: str) -> str | None:
    for key, overlay in state.overlay.rollouts.items():
        plan = state.declared.rollouts.get(key)
        if plan is not None and plan.flag == flag and overlay.state in ACTIVE:
            return key
    return None


def _rollouts_to_abort(state: _State, flag: str) -> list[str]:
    """The flag's, and those whose plan has gone from the file: they may be the flag's when it comes back."""
    return [
        key
        for key, overlay in state.overlay.rollouts.items()
        if overlay.state in ACTIVE
        and (key not in state.declared.rollouts or state.declared.rollouts[key].flag == flag)
    ]


def _ended(state: _State, key: str, end: Literal["completed", "aborted"], why: str) -> _Draft:
    before = state.overlay.rollouts[key]
    after = before.model_copy(update={"state": end, "why": why.strip()})
    kind: ChangeKind = "rollout_completed" if end == "completed" else "rollout_aborted"
    return _Draft(kind, rollout_subject(key), before, after)


def _flag_draft(
    state: _State,
    kind: ChangeKind,
    key: str,
    *,
    enabled: bool | None = None,
    percent: int | None = None,
    latched: str | None = None,
) -> _Draft:
    """A change of what is not None."""
    before = state.overlay.flags.get(key)
    wanted = {"enabled": enabled, "percent": percent, "latched": latched}
    update = {field: value for field, value in wanted.items() if value is not None}
    return _Draft(kind, flag_subject(key), before, (before or FlagOverlay()).model_copy(update=update))


def _drift(state: _State, flag: Flag) -> Iterable[Drift]:
    overlay = state.overlay.flags.get(flag.key, FlagOverlay())
    latched = overlay.latched is not None
    enabled = False if latched else overlay.enabled
    if enabled is not None and enabled != flag.enabled:
        by = state.last[flag_subject(flag.key), "latched" if latched else "enabled"]
        yield _drifted(flag, "enabled", flag.enabled, enabled, by, latched)
    if overlay.percent is not None and flag.strategies and overlay.percent != flag.percent:
        by = state.last[flag_subject(flag.key), "percent"]
        yield _drifted(flag, "rollout", flag.percent, overlay.percent, by, latched)


def _drifted(
    flag: Flag,
    field: Literal["enabled", "rollout"],
    declared: bool | int,
    effective: bool | int,
    by: Change,
    latched: bool,
) -> Drift:
    return Drift(
        flag=flag.key,
        field=field,
        declared=declared,
        effective=effective,
        who=by.who,
        why=by.why,
        at=by.at,
        latched=latched,
    )


def _to_fold(state: _State, keys: Collection[str] | None) -> dict[str, FlagOverlay]:
    """The overlays that go into the file, of declared flags, in the file's order."""
    for key in keys or ():
        _armed_flag(state, key)
        if rollout := _active_rollout(state, key):
            raise RefusedError(
                f"{key} is not written to the file while {rollout} is {_words(state.overlay.rollouts[rollout].state)}."
            )
    return {
        key: state.overlay.flags[key]
        for key in state.declared.flags
        if key in state.overlay.flags
        and (keys is None or key in keys)
        and not _latched(state, key)
        and _active_rollout(state, key) is None
    }


def _signed(value: str, what: str, longest: int) -> str:
    stripped = value.strip()
    if not stripped or len(stripped) > longest:
        raise ValueError(
            f"Every change says {what}, in 1 to {longest} characters: '{what}' has {len(stripped)}."
        )
    return stripped


def _plain(overlay: Noun | None) -> dict[str, Any] | None:
    return None if overlay is None else overlay.model_dump(mode="json")


class _DeclaredFile:
    """flags.toml as it was when it could last be used. For one thread at a time."""

    def __init__(self, path: Path, monotonic: Callable[[], float]) -> None:
        """Raises `DeclarationError`."""
        self._path, self._monotonic = path, monotonic
        self.problem: str | None = None
        self._told: set[bytes] = set()
        try:
            self._print = _fingerprint(path)
            content = path.read_bytes()
        except OSError as error:
            words = f"cannot be read: {error.strerror}. Put it there, or name another file."
            raise DeclarationError([Problem(str(path), 1, "", words)]) from error
        self._printed = monotonic()
        self._settled = False
        self.declared = _read(content, path)
        self._good = content
        self._content: bytes | None = content

    def look(self, say: Callable[[str], object]) -> bool:
        """Whether `declared` is new. What cannot be used is said once, until there is a version that can."""
        try:
            found = _fingerprint(self._path)
            if found == self._print and self._settled:
                return False
            content = self._path.read_bytes()
            if found != _fingerprint(self._path):
                return False  # somebody is writing: the next look will see what
        except OSError as error:
            self._print, self._settled, self._content = (), False, None
            gone = isinstance(error, FileNotFoundError)
            words = "is gone. Put it back" if gone else f"cannot be read ({error.strerror}). Mend that"
            self._refuse(f"{self._path} {words}; until then the flags stay as it last declared them.", say)
            return False
        self._note(found)
        if content == self._content:
            return False
        self._content = content
        return self._accept(content, say)

    def fold(self, overlays: Mapping[str, FlagOverlay]) -> Declared:
        """Writes what the overlays say of flags that are declared. Raises `RefusedError`, `OSError`."""
        if self.problem is not None:
            raise RefusedError(f"Nothing is written into a file that cannot be used. {self.problem}")
        target = self._path.resolve()
        if target.read_bytes() != self._good:
            raise RefusedError(
                f"{self._path} is being changed by somebody else. Do it again when they are through."
            )
        flags = {key: _with(self.declared.flags[key], overlay) for key, overlay in overlays.items()}
        wanted = self.declared.model_copy(update={"flags": {**self.declared.flags, **flags}})
        if wanted == self.declared:
            return wanted
        content = _edited(self._good, self.declared, flags, self._path)
        if _read(content, self._path) != wanted:
            raise _not_editable(self._path, flags)
        _replace(target, content)
        self._content = self._good = content
        self._settled, self._print = False, ()
        self.declared = wanted
        return wanted

    def _note(self, found: tuple[int, ...]) -> None:
        """A file can be written twice within one tick of its clock. So its content is compared, too, until the
        fingerprint is older than any such tick."""
        now = self._monotonic()
        self._settled = found == self._print and now - self._printed >= _SETTLED_SECONDS
        if found != self._print:
            self._print, self._printed = found, now

    def _accept(self, content: bytes, say: Callable[[str], object]) -> bool:
        try:
            if not content.strip() and self._good.strip():
                # Some editors empty a file before they write it; that nobody wants any flag is less likely.
                raise DeclarationError(
                    [Problem(str(self._path), 1, "", "is empty: it is taken for half saved")]
                )
            declared = _read(content, self._path)
        except DeclarationError as error:
            self._refuse(f"{error}\nUntil this is mended the flags stay as the file last declared them.", say)
            return False
        self.problem = None
        self._told.clear()
        self._good = content
        changed = declared != self.declared
        self.declared = declared
        return changed

    def _refuse(self, problem: str, say: Callable[[str], object]) -> None:
        self.problem = problem
        digest = hashlib.sha256((self._content or b"") + problem.encode()).digest()
        if digest not in self._told:
            self._told.add(digest)
            say(problem)


def _fingerprint(path: Path) -> tuple[int, ...]:
    status = path.stat()
    return status.st_mtime_ns, status.st_size, status.st_ino, status.st_dev


def _read(content: bytes, path: Path) -> Declared:
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        raise DeclarationError(
            [Problem(str(path), line, "", "is not UTF-8: save the file as UTF-8")]
        ) from error
    return read_declared(text, str(path))


def _with(flag: Flag, overlay: FlagOverlay) -> Flag:
    """The flag as it would be declared with what was changed of it."""
    update: dict[str, Any] = {}
    if overlay.enabled is not None:
        update["enabled"] = overlay.enabled
    if overlay.percent is not None and flag.strategies:
        first = flag.strategies[0].model_copy(update={"percent": overlay.percent})
        update["strategies"] = (first, *flag.strategies[1:])
    return flag.model_copy(update=update)


def _edited(content: bytes, declared: Declared, flags: Mapping[str, Flag], path: Path) -> bytes:
    """The file with these flags' state and percentage in it, and every other byte as it was."""
    mark = codecs.BOM_UTF8 if content.startswith(codecs.BOM_UTF8) else b""
    # What is added gets the ending that all other lines have.
    windows = b"\r\n" in content and content.count(b"\r\n") == content.count(b"\n")
    ending = b"\r\n" if windows else b"\n"
    try:
        document = tomlkit.parse(content.removeprefix(mark).replace(ending, b"\n"))
        tables: Any = document["flags"]
        for key, flag in flags.items():
            if flag.enabled != declared.flags[key].enabled:
                tables[key]["enabled"] = flag.enabled
            if flag.percent != declared.flags[key].percent:
                if "strategies" in tables[key]:
                    tables[key]["strategies"][0]["percent"] = flag.percent
                else:
                    tables[key]["rollout"] = flag.percent
        return mark + tomlkit.dumps(document).encode().replace(b"\n", ending)
    except (TOMLKitError, TypeError) as error:
        raise _not_editable(path, flags) from error


def _not_editable(path: Path, flags: Mapping[str, Flag]) -> RefusedError:
    wanted = ", ".join(
        f"{key}: enabled = {str(flag.enabled).lower()} at {flag.percent} %" for key, flag in flags.items()
    )
    return RefusedError(f"{path} is written in a way that only a person can edit. Write into it: {wanted}.")


def _replace(path: Path, content: bytes) -> None:
    """Replaces a file's content: who reads it finds the old one or the new, also after a power cut."""
    mode = path.stat().st_mode
    stream = tempfile.NamedTemporaryFile(dir=path.parent, prefix=f".{path.name}.", delete=False)  # noqa: SIM115
    try:
        with stream:
            stream.write(content)
            stream.flush()
            Path(stream.name).chmod(stat.S_IMODE(mode))
            os.fsync(stream.fileno())
        os.replace(stream.name, path)  # noqa: PTH105 (the same, and one name for it)
    except BaseException:
        Path(stream.name).unlink(missing_ok=True)
        raise
    if os.name == "posix":  # elsewhere a folder cannot be opened, and need not be
        folder = os.open(path.parent, os.O_RDONLY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)
