"""What operators see of flags before they decide: how each stands, what a change would do for whom, where a rollout is in its plan.

Only words and numbers from what is declared, what was changed and what was recorded; nothing here acts.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from datetime import UTC, datetime, timedelta
from math import fsum
from typing import Literal, NamedTuple

from cinegen_core.flags.control import ACTIVE
from cinegen_core.flags.model import (
    Change,
    Declared,
    Flag,
    FlagOverlay,
    Metric,
    Noun,
    Overlay,
    Phase,
    RolloutPlan,
    Sample,
    Strategy,
)
from cinegen_core.flags.rollout import Decision, Gate

Command = Literal[
    "set",
    "rollback",
    "rearm",
    "fold_back",
    "emergency",
    "emergency_over",
    "start_rollout",
    "pause_rollout",
    "resume_rollout",
    "approve_rollout",
    "abort_rollout",
]

MOST_POINTS = 400
"""Of one course; more cannot be told apart on a page."""

STEPS = tuple(timedelta(minutes=minutes) for minutes in (5, 15, 30, 60, 180, 360, 720, 1440, 10_080, 43_200))
"""What the points of a course may be apart."""


_NAMES = {
    "enabled": "switch",
    "percent": "percentage",
    "latched": "state",
    "state": "state",
    "phase": "phase",
}


class Standing(Noun):
    """One flag: what its file declares, and what is in force. `percent` is that of its first strategy; `latched` says why it was
    rolled back; `needs` and `needed_by` are flags; `rollout` is the plan that sets its percentage now, or empty."""

    key: str
    description: str
    declared_enabled: bool
    declared_percent: int
    enabled: bool
    percent: int
    latched: str | None
    needs: tuple[str, ...]
    needed_by: tuple[str, ...]
    rollout: str = ""
    emergency: bool = False

    @property
    def on(self) -> bool:
        """Whether anybody may get it."""
        return self.enabled and self.latched is None and not self.emergency

    @property
    def words(self) -> str:
        """In a few words: "on for 90 %"."""
        if self.latched is not None:
            return "rolled back"
        if self.emergency:
            return "off in the emergency"
        return _on_words(self.enabled, self.percent) + self._once_on(self.enabled, self.percent)

    @property
    def declared_words(self) -> str:
        """The same, of the file."""
        return _on_words(self.declared_enabled, self.declared_percent) + self._once_on(
            self.declared_enabled, self.declared_percent
        )

    def _once_on(self, enabled: bool, percent: int) -> str:
        return f", {percent} % once it is on" if not enabled and self.percent != self.declared_percent else ""


def standings(declared: Declared, overlay: Overlay) -> tuple[Standing, ...]:
    """Every flag, in the order of its file."""
    return tuple(_standing(declared, overlay, flag) for flag in declared.flags.values())


def audience(flag: Flag, percent: int | None = None) -> tuple[str, ...]:
    """Who gets a flag while it is enabled, a sentence each; `percent` (0..100) stands in for the first strategy's."""
    strategies = list(flag.strategies)
    if percent is not None and strategies:
        strategies[0] = strategies[0].model_copy(update={"percent": percent})
    listed = [
        *([_counted(len(flag.users), "user who is listed", "users who are listed")] if flag.users else ()),
        *([_counted(len(flag.sessions), "session that is listed", "sessions that are listed")] if flag.sessions else ()),
        *(f"those whose {name} is {' or '.join(values)}" for name, values in flag.attributes.items()),
        *(["beta testers"] if flag.beta else ()),
    ]  # fmt: skip
    return (*(f"always: {words}" for words in listed), *(_taken(strategy) for strategy in strategies))


def consequences(
    declared: Declared,
    overlay: Overlay,
    command: Command,
    key: str = "",
    *,
    enabled: bool | None = None,
    percent: int | None = None,
) -> tuple[str, ...]:
    """What a command would change for whom, a sentence each. `key` is a flag's or a plan's; `enabled` and `percent` are for `set`.

    Raises `KeyError` for a flag or a plan that is not declared.
    """
    if command == "emergency":
        return (
            "At once every flag is off for everybody, whoever is listed, and only the template writes.",
            "What is being written with a model or with the engines is stopped and falls to the template.",
            "Nothing of the flags is lost: when the emergency ends, they are what they were.",
        )
    if command == "emergency_over":
        kept = [one for one in standings(declared, overlay) if one.latched is not None]
        words = f" {_all_of([one.key for one in kept])} stay{'s' if len(kept) == 1 else ''} rolled back." if kept else ""  # fmt: skip
        return (f"The flags are again what they were before the emergency.{words}",)
    if command in ("set", "rollback", "rearm", "fold_back"):
        now = _standing(declared, overlay, declared.flags[key])
        return tuple(_of_flag(declared, now, command, enabled=enabled, percent=percent))
    return tuple(_of_rollout(declared, overlay, command, declared.rollouts[key]))


class PhaseStanding(NamedTuple):
    """One phase of a plan, `number` counted from 1, and how far it has come. `gates` are told for the phase that a rollout is in;
    `since` is when that began, `left` how long its dwell still takes."""

    number: int
    phase: Phase
    state: Literal["done", "here", "ahead"]
    gates: tuple[Gate, ...] = ()
    since: datetime | None = None
    left: timedelta | None = None


def phases(plan: RolloutPlan, overlay: Overlay, decision: Decision | None) -> tuple[PhaseStanding, ...]:
    """The phases of a plan in order; all are ahead before it is started, and done when it is complete."""
    standing = overlay.rollouts.get(plan.key)
    found = []
    for place, phase in enumerate(plan.phases):
        if standing is None or place > standing.phase:
            found.append(PhaseStanding(place + 1, phase, "ahead"))
        elif place < standing.phase or standing.state == "completed":
            found.append(PhaseStanding(place + 1, phase, "done"))
        elif standing.state not in ACTIVE:
            found.append(PhaseStanding(place + 1, phase, "here", since=standing.since))
        else:
            gates = decision.gates if decision is not None and decision.phase == place else ()
            dwell = next((gate for gate in gates if gate.name == "dwell"), None)
            left = None if dwell is None else timedelta(hours=max(0.0, dwell.asked - (dwell.value or 0.0)))
            found.append(PhaseStanding(place + 1, phase, "here", gates, standing.since, left))
    return tuple(found)


def commands_for(declared: Declared, overlay: Overlay, plan: RolloutPlan) -> tuple[Command, ...]:
    """What can be done with a rollout as it stands, the likeliest first. Of a flag that was rolled back, or whose other rollout is
    going on, nothing can be started."""
    standing = overlay.rollouts.get(plan.key)
    flag = _standing(declared, overlay, declared.flags[plan.flag]) if plan.flag in declared.flags else None
    free = flag is not None and flag.latched is None
    match standing.state if standing is not None else "none":
        case "running":
            return ("pause_rollout", "abort_rollout")
        case "paused":
            return ("resume_rollout", "abort_rollout") if free else ("abort_rollout",)
        case "awaiting_approval":
            return ("approve_rollout", "pause_rollout", "abort_rollout") if free else ("abort_rollout",)
        case _:
            return ("start_rollout",) if free and flag is not None and not flag.rollout else ()


class Point(NamedTuple):
    """The mean of a metric over one step from `at` on, and of how many samples it is."""

    at: datetime
    mean: float
    samples: int


def course(
    samples: Iterable[Sample], flag: str, metric: Metric, *, points: int = MOST_POINTS
) -> tuple[timedelta, tuple[Point, ...]]:
    """How a metric went for those with a flag: the step (one of `STEPS`, so that there are at most so many points where that can
    be), and the points in order. Steps without a sample are left out."""
    values = [
        (sample.at, value)
        for sample in samples
        if flag in sample.on and (value := _value(sample, metric)) is not None
    ]
    if not values:
        return STEPS[0], ()
    length = max(at for at, _ in values) - min(at for at, _ in values)
    step = next((one for one in STEPS if length / one < points - 1), STEPS[-1])
    found: dict[int, list[float]] = {}
    for at, value in values:
        found.setdefault(int(at.timestamp() // step.total_seconds()), []).append(value)
    return step, tuple(
        Point(datetime.fromtimestamp(place * step.total_seconds(), UTC), fsum(held) / len(held), len(held))
        for place, held in sorted(found.items())
    )


def change_words(change: Change) -> str:
    """What a change of the journal did, in words: "set genre_engines: percentage as declared -> 25 %"."""
    kind, _, key = change.subject.partition(":")
    if not key:
        return "the emergency ended" if change.kind == "emergency_over" else "an emergency began"
    before, after = change.before or {}, change.after or {}
    words = ", ".join(
        f"{word} {_shown(name, before.get(name), kind)} -> {_shown(name, after.get(name), kind)}"
        for name, word in _NAMES.items()
        if before.get(name) != after.get(name)
    )
    return f"{change.kind.replace('_', ' ')} {key}" + (f": {words}" if words else "")


def _standing(declared: Declared, overlay: Overlay, flag: Flag) -> Standing:
    over = overlay.flags.get(flag.key, FlagOverlay())
    rollout = next(
        (
            key
            for key, standing in overlay.rollouts.items()
            if standing.state in ACTIVE
            and key in declared.rollouts
            and declared.rollouts[key].flag == flag.key
        ),
        "",
    )
    return Standing(
        key=flag.key,
        description=flag.description,
        declared_enabled=flag.enabled,
        declared_percent=flag.percent,
        enabled=flag.enabled if over.enabled is None else over.enabled,
        percent=flag.percent if over.percent is None else over.percent,
        latched=over.latched,
        needs=tuple(one.flag if one.enabled else f"{one.flag} off" for one in flag.depends_on),
        needed_by=tuple(
            other.key
            for other in declared.flags.values()
            if any(one.flag == flag.key for one in other.depends_on)
        ),
        rollout=rollout,
        emergency=overlay.emergency is not None,
    )


def _of_flag(
    declared: Declared, now: Standing, command: Command, *, enabled: bool | None, percent: int | None
) -> Iterator[str]:
    flag = declared.flags[now.key]
    if command == "fold_back":
        yield (
            f"The file will say of {now.key}: {_on_words(now.enabled, now.percent)} "
            f"(now: {now.declared_words}). Its comments stay."
        )
        yield "For nobody anything changes: this is in force already."
        return
    if command == "rollback":
        yield f"{now.key} is off at once for everybody, also for those who are listed."
        yield from _without(now)
        if now.rollout:
            yield f"Its rollout {now.rollout} is aborted."
        yield "It stays so, whatever the file says, until a person re-arms it."
        return
    if command == "rearm":
        yield f"{now.key} is again what it was before the rollback: {_on_words(now.enabled, now.percent)}."
        if now.enabled:
            yield from _who(flag, now.percent)
        yield "Its rollout stays aborted. The triggers begin to watch it anew."
        return
    after_enabled = now.enabled if enabled is None else enabled
    after_percent = now.percent if percent is None else percent
    if (after_enabled, after_percent) == (now.enabled, now.percent):
        yield f"Nothing changes: {now.key} is {_on_words(now.enabled, now.percent)} already."
        return
    if not after_enabled:
        if not now.enabled:
            yield f"{now.key} is off, and stays off; once it is switched on it is for {after_percent} %."
            return
        yield f"{now.key} is off for everybody, also for those who are listed."
        yield from _without(now)
        return
    if not now.enabled:
        yield f"{now.key} is switched on."
        yield from _who(flag, after_percent)
    else:
        yield from _moved_share(flag, now.percent, after_percent)
    if now.needs:
        yield f"It takes effect only for those who also have {_all_of(now.needs)}."
    if now.rollout and after_percent != now.percent:
        yield f"The rollout {now.rollout} sets this percentage: abort it first, or this is refused."


def _moved_share(flag: Flag, before: int, after: int) -> Iterator[str]:
    among = " whom its first strategy is about" if flag.strategies and flag.strategies[0].where else ""
    if after > before:
        yield f"{after - before} of 100 people{among} get it; the {before} who have it keep it."
    else:
        yield f"{before - after} of 100 people{among} lose it; the other {after} who have it keep it."
    if after < before and (flag.users or flag.sessions or flag.attributes or flag.beta):
        yield "Those who are listed, or beta testers where the flag takes them, keep it."
    if after < before:
        yield "Raised again, the same people come back in the same order."


def _who(flag: Flag, percent: int) -> Iterator[str]:
    for words in audience(flag, percent):
        yield f"Who gets it: {words}."


def _without(now: Standing) -> Iterator[str]:
    if now.needed_by:
        goes, needs = ("goes", "needs") if len(now.needed_by) == 1 else ("go", "need")
        yield f"With it {_all_of(now.needed_by)} {goes} too, which {needs} it."


def _of_rollout(declared: Declared, overlay: Overlay, command: Command, plan: RolloutPlan) -> Iterator[str]:
    flag = _standing(declared, overlay, declared.flags[plan.flag])
    standing = overlay.rollouts.get(plan.key)
    place = standing.phase if standing is not None else 0
    match command:
        case "start_rollout":
            first = plan.phases[0]
            yield f"{plan.flag} is on for {first.percent} % (now: {flag.words}), the first of {len(plan.phases)} phases."  # fmt: skip
            if flag.on and flag.percent > first.percent:
                yield f"{flag.percent - first.percent} of 100 people lose it until later phases give it back."
            yield f"It goes on by itself when the gates are met: after {first.dwell_hours:g} h at the soonest."
        case "approve_rollout" if place + 1 < len(plan.phases):
            following = plan.phases[place + 1].percent
            yield f"{plan.flag} goes from {flag.percent} % to {following} %, phase {place + 2} of {len(plan.phases)}."
        case "approve_rollout":
            yield f"The rollout is complete. {plan.flag} stays at {flag.percent} %."
        case "pause_rollout":
            yield f"{plan.flag} stays at {flag.percent} %. Nothing is promoted, and the dwell stands still, until somebody resumes it."
            yield "The triggers go on watching."
        case "resume_rollout":
            yield f"The rollout goes on in phase {place + 1}, with the dwell it had. {plan.flag} stays at {flag.percent} % for now."
        case _:
            yield f"The rollout ends. {plan.flag} stays at {flag.percent} %: set another percentage, or roll it back."


def _taken(strategy: Strategy) -> str:
    among = " and ".join(f"{name} is {' or '.join(values)}" for name, values in strategy.where.items())
    of = f"those where {among}" if among else "everybody"
    if strategy.percent == 0:
        return "nobody else"
    if strategy.percent == 100:
        return of
    sticky = {
        "default": "by a hash of the user, else of the session",
        "user": "by a hash of the user",
        "session": "by a hash of the session",
        "random": "drawn anew each time",
    }.get(strategy.stickiness, f"by a hash of the attribute {strategy.stickiness}")
    return f"{strategy.percent} % of {of}, {sticky}"


def _on_words(enabled: bool, percent: int) -> str:
    if not enabled:
        return "off"
    return "on for everybody" if percent == 100 else f"on for {percent} %"


def _counted(count: int, one: str, many: str) -> str:
    return f"{count} {one if count == 1 else many}"


def _all_of(names: Iterable[str]) -> str:
    *others, last = names
    return f"{', '.join(others)} and {last}" if others else last


def _value(sample: Sample, metric: Metric) -> float | None:
    if metric == "quality":
        return sample.quality
    return float(sample.error) if metric == "error" else sample.seconds


def _shown(name: str, value: object, kind: str) -> str:
    if name == "latched":
        return "in force" if value is None else "rolled back"
    if value is None:
        return "as declared" if kind == "flag" else "none"
    if name == "phase" and isinstance(value, int):
        return str(value + 1)
    if name == "percent":
        return f"{value} %"
    return ("on" if value else "off") if isinstance(value, bool) else str(value).replace("_", " ")
