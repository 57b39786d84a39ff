"""Changing flags: what a change would do for whom, why it is made, and what became of it. One thing is asked at a time, in a dialog."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import streamlit as st

from cinegen_core.access import Action, NotAllowedError
from cinegen_core.acting import Acting, NotKeptError
from cinegen_core.flags import JournalError, RefusedError, Snapshot, StaleVersionError, UnknownFlagError
from cinegen_core.flags.model import Change, FlagOverlay
from cinegen_core.flags.overviews import Command, change_words, consequences
from cinegen_core.steering import Steering
from cinegen_core.store import StoreError
from pages.frame import moment, operator_name, refused
from pages.shared import literal

FAILURES = (
    RefusedError, UnknownFlagError, JournalError, StoreError, NotAllowedError, NotKeptError, ValueError, OSError,
)  # fmt: skip
"""What keeps a change from being made; told in its own words."""

_ASKED, _DONE, _COUNT, _NEWER = "flags_asked", "flags_done", "flags_asked_before", "flags_newer"

_TITLES: dict[Command, str] = {
    "set": "Change {}",
    "rollback": "Roll back {}",
    "rearm": "Re-arm {}",
    "fold_back": "Write {} into flags.toml",
    "emergency": "Enter emergency mode",
    "emergency_over": "End the emergency",
    "start_rollout": "Start {}",
    "pause_rollout": "Pause {}",
    "resume_rollout": "Resume {}",
    "approve_rollout": "Approve the next phase of {}",
    "abort_rollout": "Abort {}",
}
_VERBS: dict[Command, str] = {
    "set": "Change it",
    "rollback": "Roll back",
    "rearm": "Re-arm",
    "fold_back": "Write it into the file",
    "emergency": "Enter emergency mode",
    "emergency_over": "End the emergency",
    "start_rollout": "Start",
    "pause_rollout": "Pause",
    "resume_rollout": "Resume",
    "approve_rollout": "Approve",
    "abort_rollout": "Abort",
}
VERBS = {**_VERBS, "set": "Change"}
"""What the button that asks for a command says."""

_TAKES: dict[Command, Action] = {
    "set": Action.CHANGE_FLAGS,
    "fold_back": Action.CHANGE_FLAGS,
    "rollback": Action.ROLL_BACK,
    "rearm": Action.ROLL_BACK,
    "emergency": Action.EMERGENCY,
    "emergency_over": Action.EMERGENCY,
}
_LONGEST = 2000


class Asked(NamedTuple):
    """What somebody is about to do, as decided from a version of the flags. Without a key, which flag is asked first."""

    command: Command
    key: str
    version: int


def offer(me: Acting, command: Command, key: str, version: int, *, label: str = "", primary: bool = False) -> None:  # fmt: skip
    """A button that asks for a command; only for those who may give it."""
    if not me.may(_TAKES.get(command, Action.MOVE_ROLLOUT)):
        return
    if st.button(
        label or VERBS[command], key=f"ask_{command}_{key}", type="primary" if primary else "secondary"
    ):
        st.session_state[_ASKED] = Asked(command, key, version)
        st.session_state.pop(_NEWER, None)
        st.rerun()


def outcome() -> None:
    """What became of the last change, once."""
    words = st.session_state.pop(_DONE, "")
    if words:
        st.success(literal(words))


def asking() -> bool:
    """Whether a dialog is open: drawing the whole page anew would take from it what is being typed."""
    return _ASKED in st.session_state


def dialog(me: Acting, steering: Steering) -> None:
    """The dialog of what is asked, if anything is. It comes back as it was after a reload of the page's script; whoever closes it
    finds what was typed when it is asked for again."""
    asked = st.session_state.get(_ASKED)
    if asked is None:
        return
    title = literal(_TITLES[asked.command].format(asked.key or "a flag"))
    st.dialog(title, width="medium", on_dismiss=_forget)(lambda: _body(me, steering))()


def _forget() -> None:
    st.session_state.pop(_ASKED, None)
    st.session_state.pop(_NEWER, None)


def _body(me: Acting, steering: Steering) -> None:
    asked: Asked | None = st.session_state.get(_ASKED)
    if asked is None:
        st.rerun()
        return
    snapshot = steering.flags.snapshot()
    key = asked.key
    if asked.command == "rollback" and not key:
        key = _which(snapshot) or ""
        if not key:
            return
    prefix = f"asked_{asked.command}_{key}_{st.session_state.get(_COUNT, 0)}"
    _newer()
    enabled, percent = _wanted(snapshot, key, prefix) if asked.command == "set" else (None, None)
    try:
        told = consequences(
            snapshot.declared, snapshot.overlay, asked.command, key, enabled=enabled, percent=percent
        )
    except KeyError:
        st.error(literal(f"{key} is no longer declared in the file, so nothing can be done with it here."))
        return
    st.markdown("\n".join(f"- {literal(words)}" for words in told))
    # By itself: what is typed beside it would be lost when the name is taken and the page is drawn anew.
    if not operator_name(me):
        st.caption("Every change is recorded with a name. Give yours, then say why and confirm.")
        _leave()
        return
    why = st.text_area(
        "Why", key=f"{prefix}_why", max_chars=_LONGEST, height=90, persist_state="page",
        help="It is kept in the journal with your name, and shown to whoever meets this change.",
    )  # fmt: skip
    left, right = st.columns(2)
    go = left.button(_VERBS[asked.command], key="asked_go", type="primary", width="stretch")
    with right:
        _leave()
    if go and not why.strip():
        st.error("Say why: whoever meets this change later reads it in the journal.")
    elif go:
        _give(me, steering, asked._replace(key=key), why.strip(), enabled=enabled, percent=percent)


def _leave() -> None:
    if st.button("Leave it as it is", key="asked_leave", width="stretch"):
        _forget()
        st.rerun()


def _which(snapshot: Snapshot) -> str | None:
    overlays = snapshot.overlay.flags
    armed = [key for key in snapshot.declared.flags if overlays.get(key, FlagOverlay()).latched is None]
    if not armed:
        st.info("Every flag that is declared is rolled back already.")
        return None
    return st.selectbox("Which flag", armed, None, key="asked_flag", placeholder="Choose the flag")


def _wanted(snapshot: Snapshot, key: str, prefix: str) -> tuple[bool, int | None]:
    flag = snapshot.declared.flags.get(key)
    over = snapshot.overlay.flags.get(key, FlagOverlay())
    is_on = over.enabled if over.enabled is not None else flag is not None and flag.enabled
    now = over.percent if over.percent is not None else flag.percent if flag is not None else 0
    enabled = st.toggle("Switched on", value=is_on, key=f"{prefix}_on", persist_state="page")
    if flag is None or not flag.strategies:
        return enabled, None
    percent = st.number_input(
        "Percentage of people who get it", 0, 100, now, 1, key=f"{prefix}_percent", persist_state="page"
    )
    return enabled, int(percent)


def _newer() -> None:
    """What others changed since this was decided."""
    newer: Sequence[Change] = st.session_state.get(_NEWER, ())
    if not newer:
        return
    lines = "\n".join(
        f"- {literal(f'{one.who}, {moment(one.at)}: {change_words(one)} ({one.why})')}" for one in newer
    )
    st.warning(
        f"Not done yet: the flags were changed meanwhile. What you typed is still here.\n\n{lines}\n\n"
        "Below is what it would do now. Confirm once more if you still want it."
    )


def _give(
    me: Acting, steering: Steering, asked: Asked, why: str, *, enabled: bool | None, percent: int | None
) -> None:
    try:
        made = _given(me, steering, asked, why, enabled=enabled, percent=percent)
    except StaleVersionError as error:
        st.session_state[_NEWER] = error.newer
        st.session_state[_ASKED] = st.session_state[_ASKED]._replace(version=error.current)
        st.rerun()
    except FAILURES as error:
        refused(error)
        return
    _forget()
    st.session_state[_COUNT] = st.session_state.get(_COUNT, 0) + 1
    st.session_state[_DONE] = _done_words(asked, made)
    st.rerun()


def _done_words(asked: Asked, made: Sequence[Change] | None) -> str:
    if made is None:
        return "Emergency mode is on." if asked.command == "emergency" else "The emergency is over."
    if not made:
        return "Nothing was changed: it is so already."
    return f"Done: {'; '.join(change_words(change) for change in made)}."


def _given(
    me: Acting, steering: Steering, asked: Asked, why: str, *, enabled: bool | None, percent: int | None
) -> Sequence[Change] | None:
    """The changes that were made; None for an emergency, of which the studio tells itself."""
    command, key, version = asked
    if command == "emergency":
        me.enter_emergency(why)
        return None
    if command == "emergency_over":
        me.leave_emergency(why)
        return None
    if command == "fold_back":
        return me.fold_back([key], why=why, version=version)
    if command == "set":
        enabled, percent = _differing(steering, key, enabled, percent)
        if enabled is None and percent is None:
            return ()
        return me.set_flag(key, enabled=enabled, percent=percent, why=why, version=version)
    return me.command(command, key, why=why, version=version)


def _differing(
    steering: Steering, key: str, enabled: bool | None, percent: int | None
) -> tuple[bool | None, int | None]:
    """Only what is to be otherwise, so that switching a flag leaves the percentage to its file or its rollout."""
    snapshot = steering.flags.snapshot()
    flag, over = snapshot.declared.flags.get(key), snapshot.overlay.flags.get(key, FlagOverlay())
    if flag is None:
        return enabled, percent
    is_on = flag.enabled if over.enabled is None else over.enabled
    now = flag.percent if over.percent is None else over.percent
    return (None if enabled == is_on else enabled), (None if percent == now else percent)
