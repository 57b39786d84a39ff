"""The journal of what operators changed at run time, and the state that it adds up to."""

from __future__ import annotations

import threading
from collections.abc import Iterable, Sequence
from typing import Protocol, TypeVar

from pydantic import BaseModel, ValidationError

from cinegen_core.flags.model import Change, EmergencyOverlay, FlagOverlay, Overlay, RolloutOverlay

EMERGENCY = "emergency"
_SHOWN = 5
_O = TypeVar("_O", bound=BaseModel)


class JournalError(Exception):
    """The journal itself cannot be read or written. The message says which one, and what to do."""


class StaleVersionError(Exception):
    """A change was made from what is no longer the state.

    `read` is the version that it was made from, `current` the journal's, `newer` the changes between the two.
    """

    def __init__(self, read: int, current: int, newer: Sequence[Change]) -> None:
        self.read, self.current, self.newer = read, current, tuple(newer)
        super().__init__(read, current, self.newer)

    def __str__(self) -> str:
        if self.read > self.current:
            return (
                f"This was decided from version {self.read} of the flags, but their journal ends at version "
                f"{self.current}. Look at the flags again, and see that this is the journal you mean."
            )
        shown = "; ".join(_in_words(change) for change in self.newer[-_SHOWN:])
        more = f" (and {len(self.newer) - _SHOWN} before)" if len(self.newer) > _SHOWN else ""
        return (
            f"This was decided from version {self.read} of the flags, and they are at version {self.current} now. "
            f"Meanwhile: {shown}{more}. Look at the flags again, then decide."
        )


class Journal(Protocol):
    """Changes by version, which counts from 1 without gaps; none is ever altered or removed.

    Used from several threads at once, and where it lasts from several processes. Every method raises
    `JournalError` where the journal itself fails.
    """

    def append(self, *changes: Change) -> None:
        """Keeps all of the changes or, whenever the process may die, none.

        Raises `StaleVersionError` unless the first one's version is the journal's plus one, `ValueError` unless
        the others follow it.
        """
        ...

    def read(self, after: int = 0) -> tuple[Change, ...]:
        """The changes above version `after`, in order."""
        ...

    def version(self) -> int:
        """The last change's, 0 where there is none. Cheap: it is asked several times a second."""
        ...


class MemoryJournal:
    """Keeps everything until the program ends: for tests, and for trying out."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._changes: tuple[Change, ...] = ()

    def append(self, *changes: Change) -> None:
        read = version_read(changes)
        with self._lock:
            kept = self._changes
            if read != len(kept):
                raise StaleVersionError(read, len(kept), kept[read:])
            self._changes = (*kept, *changes)

    def read(self, after: int = 0) -> tuple[Change, ...]:
        return self._changes[after:]

    def version(self) -> int:
        return len(self._changes)


def version_read(changes: Sequence[Change]) -> int:
    """The version that changes which are appended as one were made from.

    Raises `ValueError` where there are none, or where they are not numbered one after another.
    """
    versions = [change.version for change in changes]
    if not versions or versions != list(range(versions[0], versions[0] + len(versions))):
        raise ValueError(f"Changes appended as one are numbered one after another, not {versions}.")
    return versions[0] - 1


def flag_subject(key: str) -> str:
    return f"flag:{key}"


def rollout_subject(key: str) -> str:
    return f"rollout:{key}"


def fold(changes: Iterable[Change], start: Overlay = Overlay()) -> Overlay:  # noqa: B008 (it is frozen)
    """What holds after the changes, in their order, on top of `start`: of every subject its last `after`.

    Raises `JournalError` for a change that this program does not understand.
    """
    version, emergency = start.version, start.emergency
    flags, rollouts = dict(start.flags), dict(start.rollouts)
    for change in changes:
        kind, _, key = change.subject.partition(":")
        try:
            if change.subject == EMERGENCY:
                emergency = None if change.after is None else EmergencyOverlay.model_validate(change.after)
            elif kind == "flag" and key:
                _put(flags, key, change, FlagOverlay)
            elif kind == "rollout" and key:
                _put(rollouts, key, change, RolloutOverlay)
            else:
                raise _not_understood(change, "unknown subject")
        except ValidationError as error:
            first = error.errors(include_url=False)[0]
            where = ".".join(str(part) for part in first["loc"])
            raise _not_understood(change, f"{where}: {first['msg']}") from error
        version = change.version
    return Overlay(version=version, flags=flags, rollouts=rollouts, emergency=emergency)


def _put(overlays: dict[str, _O], key: str, change: Change, kind: type[_O]) -> None:
    if change.after is None:
        overlays.pop(key, None)
    else:
        overlays[key] = kind.model_validate(change.after)


def _not_understood(change: Change, why: str) -> JournalError:
    return JournalError(
        f"Change {change.version} of the flags ({change.kind}, {change.subject}) cannot be understood: {why}. If a "
        "newer version of the program wrote it, use that one; otherwise restore the journal from a backup."
    )


def _in_words(change: Change) -> str:
    what = change.kind.replace("_", " ")
    subject = change.subject.partition(":")[2]
    return f"{change.version}: {change.who}, {what}{f' {subject}' if subject else ''} ({change.why})"
