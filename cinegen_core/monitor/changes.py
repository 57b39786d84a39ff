"""What operators are told of when flags change: notices, and the alert that a rollback raises until a person lifts it."""

from __future__ import annotations

from collections.abc import Iterable

from cinegen_core.flags.model import Change
from cinegen_core.monitor.alerts import AlertView, info, resolved, rolled_back
from cinegen_core.monitor.events import AlertEvent

_ROLLOUT_WORDS = {
    "rollout_started": "began",
    "rollout_advanced": "advanced",
    "rollout_paused": "was paused",
    "rollout_resumed": "goes on",
    "rollout_approved": "was approved",
    "rollout_completed": "is complete",
    "rollout_aborted": "was ended",
}


def told_of(change: Change, open_alerts: Iterable[AlertView] = ()) -> tuple[AlertEvent, ...]:
    """The steps that a change of the journal brings about. Equal for equal changes, so that of several studios that tell of it one
    is heard."""
    kind, _, key = change.subject.partition(":")
    why = f"by {change.who}: {change.why}"
    if change.kind == "rollback" and kind == "flag":
        return (rolled_back(key, f"{key} was rolled back {why}", at=change.at, by=change.who),)
    if change.kind == "rearm" and kind == "flag":
        lifted = [view for view in open_alerts if view.rule == f"rolled_back:{key}"]
        notice = info("flag_changed", f"{key} was re-armed {why}", at=change.at, by=change.who)
        return (*(resolved(view, at=change.at, by=change.who) for view in lifted), notice)
    if change.kind == "emergency_over":
        return (info("emergency_left", f"the emergency ended {why}", at=change.at, by=change.who),)
    if change.kind == "emergency":
        return (info("emergency_entered", f"an emergency began {why}", at=change.at, by=change.who),)
    if kind == "rollout":
        words = f"the rollout {key} {_ROLLOUT_WORDS.get(change.kind, 'changed')}{_phase(change)} {why}"
        return (info("rollout_advanced", words, at=change.at, by=change.who),)
    if change.kind == "set":
        return (info("flag_changed", f"{key}{_difference(change)} {why}", at=change.at, by=change.who),)
    if change.kind == "folded_back":
        words = f"{key} was written back into its file {why}"
        return (info("flag_changed", words, at=change.at, by=change.who),)
    return ()  # the flag's half of a command on a rollout, which the rollout's half tells of


def _phase(change: Change) -> str:
    phase = (change.after or {}).get("phase")
    return f" to phase {phase + 1}" if change.kind == "rollout_advanced" and isinstance(phase, int) else ""


def _difference(change: Change) -> str:
    before, after = change.before or {}, change.after or {}
    parts = []
    if after.get("enabled") != before.get("enabled") and after.get("enabled") is not None:
        parts.append("switched on" if after["enabled"] else "switched off")
    if after.get("percent") != before.get("percent") and after.get("percent") is not None:
        parts.append(f"set to {after['percent']} %")
    return " was " + " and ".join(parts) if parts else " was changed"
