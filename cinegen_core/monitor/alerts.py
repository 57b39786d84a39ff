"""Alerts: the contract's rules as data, and what the studio's events make of them.

A rule's condition is the mean over a sliding window as long as the rule's `for`, open at its old end. It is looked at with
every event that counts and at every whole minute of UTC that has passed, so that the same events give the same alerts whenever
ticks came, live or replayed. Events come in the order of their times; one that comes late is weighed when it is heard.

A window is full when its record reaches back over all of it: the first request of those that follow each other without a
silence as long as the window is at least one window old. In a full window a breach fires at once; before, it is pending.
So a breach that lasts fires within the rule's `for` and a minute, and one that ends before then never fires.
With fewer than `LEAST_SAMPLES` requests in its window a rule keeps its state, however long that takes.
"""

from __future__ import annotations

import hashlib
from bisect import insort
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from statistics import fmean
from typing import Annotated, Literal, NamedTuple, get_args

from pydantic import Field

from cinegen_core.monitor.events import AlertEvent, Event, GenerationEvent, HeartbeatEvent, SilenceEvent
from cinegen_core.story.model import Noun

Metric = Literal["quality", "engines", "seconds", "uptime", "fallback"]
"""What a rule measures: mean quality on the guide's scale (0..10), engines delivered over active (0..1), mean processing time
in seconds, uptime (0..1), share of answers that are fallbacks (0..1)."""

LEAST_SAMPLES = 20
"""Requests that a window needs before it says anything. Uptime needs none."""

TOGETHER = timedelta(minutes=15)
"""Alerts of one cause that start within this of their incident's first are one incident; also how far back causes are seen."""

LEAST_FOR_CAUSE = 3
"""Requests in breach by themselves from which a cause is read."""

MINUTE = timedelta(minutes=1)
DAY = timedelta(hours=24)

VOUCHED = timedelta(seconds=90)
"""A heartbeat comes once a minute; the next may be this late before the time between them counts as missed."""

REMEMBERED = timedelta(minutes=75)
"""How long events are kept for their causes: the longest window of requests, and `TOGETHER` before it."""

_SCALE = 10**9


class Rule(Noun):
    """`threshold` in the unit of its metric; the condition is the mean strictly `below` or `above` it over `minutes`."""

    key: str
    severity: Literal["critical", "warning"]
    metric: Metric
    comparison: Literal["below", "above"]
    threshold: float
    minutes: Annotated[int, Field(gt=0)]
    words: str

    @property
    def window(self) -> timedelta:
        return timedelta(minutes=self.minutes)

    def broken_by(self, value: float) -> bool:
        """Whether a mean of `value` is a breach."""
        return value < self.threshold if self.comparison == "below" else value > self.threshold


def _rule(
    key: str,
    severity: Literal["critical", "warning"],
    metric: Metric,
    comparison: Literal["below", "above"],
    threshold: float,
    minutes: int,
    words: str,
) -> Rule:
    return Rule(
        key=key,
        severity=severity,
        metric=metric,
        comparison=comparison,
        threshold=threshold,
        minutes=minutes,
        words=words,
    )


RULES: tuple[Rule, ...] = (
    _rule("quality_critical", "critical", "quality", "below", 7.0, 30, "mean quality is below 7.0"),
    _rule("engines_critical", "critical", "engines", "below", 0.80, 15, "fewer than 80 % of engines deliver"),
    _rule("time_critical", "critical", "seconds", "above", 90.0, 20, "an episode takes more than 90 s"),
    _rule("uptime_critical", "critical", "uptime", "below", 0.99, 24 * 60, "uptime is below 99 %"),
    _rule("quality_warning", "warning", "quality", "below", 7.5, 60, "mean quality is below 7.5"),
    _rule("engines_warning", "warning", "engines", "below", 0.85, 30, "fewer than 85 % of engines deliver"),
    _rule("time_warning", "warning", "seconds", "above", 45.0, 30, "an episode takes more than 45 s"),
    _rule("fallback_warning", "warning", "fallback", "above", 0.15, 60, "more than 15 % are fallbacks"),
)
"""The contract's critical and warning rows."""


class Tick(Noun):
    """Time that passed without an event."""

    at: datetime


class Changed(Noun):
    """A flag or a rollout that was changed, in words."""

    at: datetime
    what: str


Heard = Event | Changed | Tick


class _Window(NamedTuple):
    """Requests in a rule's window. Amounts are whole billionths, so that taking away what was added leaves nothing over."""

    samples: tuple[tuple[datetime, int, int], ...] = ()
    amount: int = 0
    of: int = 0
    began: datetime | None = None

    def with_sample(self, at: datetime, amount: int, of: int) -> _Window:
        samples = self.samples
        if not samples or samples[-1][0] <= at:
            samples = (*samples, (at, amount, of))
        else:
            sorted_in = list(samples)
            insort(sorted_in, (at, amount, of))
            samples = tuple(sorted_in)
        began = at if not self.samples or self.began is None else min(self.began, at)
        return _Window(samples, self.amount + amount, self.of + of, began)

    def slid(self, cut: datetime) -> _Window:
        if not self.samples or self.samples[0][0] > cut:
            return self
        gone = amount = of = 0
        for at, its_amount, its_of in self.samples:
            if at > cut:
                break
            gone, amount, of = gone + 1, amount + its_amount, of + its_of
        return _Window(self.samples[gone:], self.amount - amount, self.of - of, self.began)


@dataclass(frozen=True, slots=True)
class _Studio:
    """One installation through its restarts, which keep its name: times when it was up or down, and its last heartbeat."""

    name: str
    last: datetime
    running: bool
    answered: bool
    spans: tuple[tuple[datetime, datetime, bool], ...] = ()

    def until(self, at: datetime) -> tuple[tuple[datetime, datetime, bool], ...]:
        """Its times up to `at`. What its last heartbeat does not vouch for is downtime, as long as it was not stopped."""
        if not self.running or at <= self.last:
            return self.spans
        spans = self.spans
        vouched = at if at - self.last <= VOUCHED else self.last + MINUTE
        for start, end, up in ((self.last, vouched, self.answered), (vouched, at, False)):
            if start == end:
                continue
            goes_on = bool(spans) and spans[-1][1:] == (start, up)
            spans = (*spans[:-1], (spans[-1][0], end, up)) if goes_on else (*spans, (start, end, up))
        return spans


@dataclass(frozen=True, slots=True)
class _Held:
    """The alert that a rule has."""

    alert: str
    state: Literal["pending", "firing"]
    incident: str
    cause: str


class _Line(NamedTuple):
    """One rule, and how it stands. `moved` is when it last took a step: it takes one an instant at most."""

    rule: Rule
    span: timedelta
    window: _Window = _Window()
    held: _Held | None = None
    moved: datetime | None = None


@dataclass(frozen=True, slots=True)
class _Incident:
    id: str
    cause: str
    first: datetime


class State(NamedTuple):
    """All that the alerts know: of each rule, of the studios that run, and of what may be a cause. Begin with `fresh()`."""

    lines: tuple[_Line, ...]
    now: datetime | None = None
    heard: datetime | None = None
    studios: tuple[_Studio, ...] = ()
    watched_since: datetime | None = None
    recent: tuple[GenerationEvent, ...] = ()
    changes: tuple[Changed, ...] = ()
    incidents: tuple[_Incident, ...] = ()


def fresh(rules: Sequence[Rule] = RULES) -> State:
    """Nothing heard yet."""
    return State(lines=tuple(_Line(rule, rule.window) for rule in rules))


def step(state: State, heard: Heard) -> tuple[State, tuple[AlertEvent, ...]]:
    """What an event, a change or a tick makes of the alerts, and the steps that they took, in order.

    What is not live, was kept or was given in an emergency changes nothing, and neither does feedback. Of alert events
    only a changed flag and an advanced rollout (as `info` makes them) are heard, as changes: the other alerts follow from
    the events that they came from.
    """
    if not _matters(heard):
        return state, ()
    at = heard.at.astimezone(UTC)
    state, steps = _passed(state, at)
    if isinstance(heard, Tick):
        return state, steps
    state = _taken_in(state, heard, at)
    if isinstance(heard, Changed | AlertEvent):
        return state, steps
    state, last = _looked_at(state._replace(heard=state.now), state.now or at)
    return state, (*steps, *last)


def replay(
    heard: Iterable[Heard], *, until: datetime | None = None, rules: Sequence[Rule] = RULES
) -> tuple[State, tuple[AlertEvent, ...]]:
    """The state after all of it, up to the time `until`, and every step on the way: as it was live."""
    state = fresh(rules)
    steps: list[AlertEvent] = []
    for one in heard:
        state, more = step(state, one)
        steps += more
    if until is not None:
        state, more = step(state, Tick(at=until))
        steps += more
    return state, tuple(steps)


def resumed(state: State, recorded: Sequence[AlertEvent]) -> State:
    """A state that was made from the events of the last day only, with the alerts that are open on record: these may have begun before."""
    open_ = {view.rule: view for view in views(recorded)}
    lines = []
    for line in state.lines:
        view = open_.get(line.rule.key)
        held = None if view is None else _Held(view.id, view.state, view.incident, view.cause)
        lines.append(line._replace(held=held))
    begun: dict[str, _Incident] = {}
    for one in recorded:
        if one.severity != "info":
            begun.setdefault(one.incident, _Incident(id=one.incident, cause=one.cause, first=one.at))
    now = state.now
    recent = tuple(one for one in begun.values() if now is not None and now - one.first <= TOGETHER)
    return state._replace(lines=tuple(lines), incidents=recent)


def _matters(heard: Heard) -> bool:
    match heard:
        case Tick() | Changed():
            return True
        case GenerationEvent():
            return heard.series == "live" and heard.counts
        case HeartbeatEvent():
            return heard.series == "live"
        case AlertEvent():
            return heard.series == "live" and heard.rule in ("flag_changed", "rollout_advanced")
        case _:
            return False


def _passed(state: State, at: datetime) -> tuple[State, tuple[AlertEvent, ...]]:
    """The whole minutes before `at`: what happens on the minute itself is part of it.

    A day after the last event every window is empty, and nothing changes any more."""
    if state.now is None:
        return state._replace(now=at), ()
    steps: list[AlertEvent] = []
    if state.heard is not None:
        for minute in _minutes(state.now, min(at, state.heard + DAY + 2 * MINUTE)):
            state, more = _looked_at(state._replace(now=minute), minute)
            steps += more
    return state._replace(now=max(state.now or at, at)), tuple(steps)


def _minutes(first: datetime, until: datetime) -> Iterator[datetime]:
    minute = first.replace(second=0, microsecond=0)
    minute += MINUTE if minute < first else timedelta()
    while minute < until:
        yield minute
        minute += MINUTE


def _taken_in(state: State, heard: Heard, at: datetime) -> State:
    now = state.now or at
    match heard:
        case GenerationEvent():
            said = {metric: _sample(metric, heard) for metric in _MEASURES}
            lines = tuple(_with_sample(line, said[line.rule.metric], at, now) for line in state.lines)
            recent = (*_without_old(state.recent, now - REMEMBERED), heard)
            return state._replace(lines=lines, recent=recent)
        case HeartbeatEvent():
            return _with_heartbeat(state, heard, at, now)
        case Changed():
            return _with_change(state, heard, now)
        case AlertEvent():
            return _with_change(state, Changed(at=at, what=heard.cause), now)
        case _:
            return state


def _without_old(events: tuple[GenerationEvent, ...], cut: datetime) -> tuple[GenerationEvent, ...]:
    """Less those up to `cut` with which they begin; one that came late stays until those before it are gone."""
    for place, event in enumerate(events):
        if event.at > cut:
            return events[place:]
    return ()


def _with_sample(line: _Line, sample: tuple[int, int] | None, at: datetime, now: datetime) -> _Line:
    cut = now - line.span
    if sample is None or at <= cut:
        return line
    return line._replace(window=line.window.slid(cut).with_sample(at, *sample))


def _sample(metric: Metric, event: GenerationEvent) -> tuple[int, int] | None:
    """What an event adds above and below the fraction, None where it says nothing."""
    match metric:
        case "quality":
            return None if event.quality is None else (round(event.quality * _SCALE), 1)
        case "engines":
            delivered = sum(engine.delivered for engine in event.engines)
            return (delivered * _SCALE, len(event.engines)) if event.engines else None
        case "seconds":
            return round(event.seconds * _SCALE), 1
        case "fallback":
            return int(event.fallback) * _SCALE, 1
        case "uptime":
            return None


def _with_heartbeat(state: State, beat: HeartbeatEvent, at: datetime, now: datetime) -> State:
    old = next((studio for studio in state.studios if studio.name == beat.studio), None)
    if old is not None and (at < old.last or (at == old.last and beat.state != "stopped")):
        return state
    cut = now - DAY
    others = tuple(one for one in state.studios if one.name != beat.studio and _seen_since(one, cut))
    spans = () if old is None else tuple(span for span in old.until(at) if span[1] > cut)
    studio = _Studio(
        name=beat.studio,
        last=at,
        running=beat.state != "stopped",
        answered=beat.answered and beat.state != "stopped",
        spans=spans,
    )
    watched = any(_seen_since(one, cut) for one in state.studios)
    since = state.watched_since if watched and state.watched_since is not None else at
    return state._replace(studios=(*others, studio), watched_since=since)


def _seen_since(studio: _Studio, cut: datetime) -> bool:
    """Whether it has times after `cut`: one that crashed has until it starts again."""
    return studio.running or any(end > cut for _, end, _ in studio.spans)


def _with_change(state: State, change: Changed, now: datetime) -> State:
    kept = tuple(one for one in state.changes if one.at > now - REMEMBERED and one != change)
    return state._replace(changes=(*kept, change))


def _looked_at(state: State, now: datetime) -> tuple[State, tuple[AlertEvent, ...]]:
    """Every rule, as it stands at `now`."""
    lines: list[_Line] = []
    steps: list[AlertEvent] = []
    for line in state.lines:
        window = line.window.slid(now - line.span)
        if window is not line.window:
            line = line._replace(window=window)
        value, full = _uptime(state, line, now) if line.rule.metric == "uptime" else _mean(line, now)
        to = _state(line) if value is None else _to(line, value, full)
        if to == _state(line) or (line.moved is not None and now <= line.moved):
            lines.append(line)
            continue
        state, held = _held(state, line, now, to)
        lines.append(line._replace(held=held if to != "resolved" else None, moved=now))
        steps.append(
            AlertEvent(
                id=_hash(held.alert, to),
                at=now,
                alert=held.alert,
                rule=line.rule.key,
                severity=line.rule.severity,
                state=to,
                value=value,
                threshold=line.rule.threshold,
                incident=held.incident,
                cause=held.cause,
            )
        )
    return state._replace(lines=tuple(lines)), tuple(steps)


def _mean(line: _Line, now: datetime) -> tuple[float | None, bool]:
    """The mean over a window, None with too few requests, and whether the window is full."""
    window = line.window
    if len(window.samples) < LEAST_SAMPLES:
        return None, False
    full = window.began is not None and window.began <= now - line.span
    return window.amount / (window.of * _SCALE), full


def _uptime(state: State, line: _Line, now: datetime) -> tuple[float | None, bool]:
    """The share of time that the studios were up in the window, None where none ran. The window is as good as full once
    they were down for longer than it allows: no uptime to come could make up for that."""
    each = [_up_and_down(studio, now, line.span) for studio in state.studios]
    ran = [times for times in each if sum(times)]
    if not ran:
        return None, False
    up, down = sum(times[0] for times in ran), sum(times[1] for times in ran)
    since = state.watched_since
    full = since is not None and since <= now - line.span
    allowed = (1 - line.rule.threshold) * line.span.total_seconds() * len(ran)
    return up / (up + down), full or down > allowed


def _up_and_down(studio: _Studio, now: datetime, window: timedelta) -> tuple[float, float]:
    """Seconds."""
    up = down = 0.0
    for start, end, was_up in studio.until(now):
        seconds = max(0.0, (end - max(start, now - window)).total_seconds())
        up, down = (up + seconds, down) if was_up else (up, down + seconds)
    return up, down


def _state(line: _Line) -> Literal["pending", "firing", "resolved"]:
    return "resolved" if line.held is None else line.held.state


def _to(line: _Line, value: float, full: bool) -> Literal["pending", "firing", "resolved"]:
    if not line.rule.broken_by(value):
        return "resolved"
    return "firing" if full or _state(line) == "firing" else "pending"


def _held(
    state: State, line: _Line, now: datetime, to: Literal["pending", "firing", "resolved"]
) -> tuple[State, _Held]:
    if line.held is not None:
        return state, replace(line.held, state="firing" if to == "firing" else line.held.state)
    cause = _cause(state, line.rule, now)
    alert = _hash(line.rule.key, now.isoformat())
    recent = tuple(one for one in state.incidents if now - one.first <= TOGETHER)
    incident = next((one for one in recent if one.cause == cause), None)
    if incident is None:
        incident = _Incident(id=_hash("incident", line.rule.key, now.isoformat()), cause=cause, first=now)
        recent = (*recent, incident)
    held = _Held(
        alert=alert, state="firing" if to == "firing" else "pending", incident=incident.id, cause=cause
    )
    return state._replace(incidents=recent), held


def _cause(state: State, rule: Rule, now: datetime) -> str:
    """Why, in words: what changed within the rule's window, unless requests failed the same way before; else how they fail.

    Where nothing is seen the cause is the measure's own, so that a warning and a critical alert of it are still one incident.
    """
    if rule.metric == "uptime":
        worst = max(state.studios, key=lambda one: (_up_and_down(one, now, rule.window)[1], one.name))
        return f"the studio {worst.name} did not answer"
    change = max(
        (one for one in state.changes if now - rule.window < one.at <= now),
        key=lambda one: (one.at, one.what),
        default=None,
    )
    seen = _symptom(state.recent, rule, until=now if change is None else change.at)
    if seen is not None:
        return seen
    return f"no cause seen: {_MEASURES[rule.metric]}" if change is None else f"changed: {change.what}"


_MEASURES: dict[Metric, str] = {
    "quality": "quality fell",
    "engines": "engines fail",
    "seconds": "episodes take longer",
    "uptime": "the studio did not answer",
    "fallback": "lower tiers answer",
}


def _symptom(events: Sequence[GenerationEvent], rule: Rule, *, until: datetime) -> str | None:
    """What the requests that break the rule by themselves, of the `TOGETHER` before `until`, have in common: a writer (its
    provider) that failed in at least half of them, or the engine with most failed deliveries, if it failed in half of
    those in which it was active. That engines deliver too little is always some engine's doing.
    """
    bad = [event for event in events if until - TOGETHER < event.at <= until and _breaks(rule, event)]
    if len(bad) < LEAST_FOR_CAUSE:
        return None
    failing = Counter(
        writer
        for event in bad
        for writer in {one.writer for one in event.attempts if one.outcome in ("failed", "timed_out")}
    )
    writer = _most(failing)
    if writer is not None and 2 * failing[writer] >= len(bad):
        return f"attempts by {writer} fail"
    ran = Counter(engine.engine for event in bad for engine in event.engines)
    lost = Counter(engine.engine for event in bad for engine in event.engines if not engine.delivered)
    engine = _most(lost)
    if engine is not None and (rule.metric == "engines" or 2 * lost[engine] >= ran[engine]):
        return f"the engine {engine} fails"
    return None


def _breaks(rule: Rule, event: GenerationEvent) -> bool:
    sample = _sample(rule.metric, event)
    return sample is not None and rule.broken_by(sample[0] / (sample[1] * _SCALE))


def _most(counts: Counter[str]) -> str | None:
    return min(counts, key=lambda key: (-counts[key], key), default=None)


def _hash(*parts: str) -> str:
    return hashlib.sha256("\0".join(parts).encode()).hexdigest()[:16]


Notice = Literal[
    "rollout_advanced", "flag_changed", "emergency_left", "emergency_entered", "flags_file_broken"
]
_NOTICES: tuple[str, ...] = get_args(Notice)


def info(what: Notice, words: str, *, at: datetime, by: str = "") -> AlertEvent:
    """Something to know of, at once: a single event, firing and never resolved, which no page shows as an open alert."""
    return _at_once(what, "info", _hash(what, at.astimezone(UTC).isoformat(), words), words, at, by)


def rolled_back(flag: str, words: str, *, at: datetime, by: str) -> AlertEvent:
    """A critical alert that fires at once, and that only a person ends, by re-arming the flag: see `resolved`."""
    rule = f"rolled_back:{flag}"
    return _at_once(rule, "critical", _hash(rule, at.astimezone(UTC).isoformat()), words, at, by)


def _at_once(
    rule: str, severity: Literal["critical", "info"], alert: str, words: str, at: datetime, by: str
) -> AlertEvent:
    """A firing step that follows from no measure, an incident by itself."""
    return AlertEvent(
        id=_hash(alert, "firing"),
        at=at,
        alert=alert,
        rule=rule,
        severity=severity,
        state="firing",
        incident=alert,
        cause=words,
        by=by,
    )


class AlertView(Noun):
    """An open alert. `since` is when it came into its state; `value` what was measured then, in the unit of its rule's metric."""

    id: str
    rule: str
    severity: Literal["critical", "warning", "info"]
    state: Literal["pending", "firing"]
    since: datetime
    value: float | None
    threshold: float | None
    incident: str
    cause: str = ""
    acknowledged_by: str | None = None


def views(steps: Iterable[AlertEvent]) -> tuple[AlertView, ...]:
    """The alerts that are pending or firing after these steps, critical ones first, then by age. Notices are not among them."""
    open_: dict[str, AlertView] = {}
    for one in steps:
        if one.severity == "info":
            continue
        if one.state == "resolved":
            open_.pop(one.alert, None)
        elif one.state == "acknowledged":
            if one.alert in open_:
                open_[one.alert] = open_[one.alert].model_copy(update={"acknowledged_by": one.by})
        else:
            before = open_.get(one.alert)
            open_[one.alert] = AlertView(
                id=one.alert,
                rule=one.rule,
                severity=one.severity,
                state=one.state,
                since=one.at,
                value=one.value,
                threshold=one.threshold,
                incident=one.incident,
                cause=one.cause,
                acknowledged_by=before.acknowledged_by if before is not None else None,
            )
    return tuple(
        sorted(open_.values(), key=lambda view: (view.severity != "critical", view.since, view.rule))
    )


def notices(steps: Iterable[AlertEvent], *, since: datetime) -> tuple[AlertEvent, ...]:
    """What there was to know of from `since` on."""
    return tuple(one for one in steps if one.severity == "info" and one.rule in _NOTICES and one.at >= since)


def mean_time_to_resolve(steps: Iterable[AlertEvent], *, since: datetime | None = None) -> float | None:
    """Seconds from firing to resolved, over the alerts that fired and were resolved (from `since` on); None without any."""
    fired: dict[str, datetime] = {}
    took: list[float] = []
    for one in steps:
        if one.severity == "info":
            continue
        if one.state == "firing":
            fired.setdefault(one.alert, one.at)
        elif one.state == "resolved" and one.alert in fired:
            began = fired.pop(one.alert)
            if since is None or one.at >= since:
                took.append((one.at - began).total_seconds())
    return fmean(took) if took else None


def acknowledged(view: AlertView, by: str, *, at: datetime) -> AlertEvent:
    """That a person has seen it: an event like its other steps, after which `views` names the person."""
    return _by_a_person(
        view, "acknowledged", _hash(view.id, "acknowledged", by, at.astimezone(UTC).isoformat()), at, by
    )


def resolved(view: AlertView, *, at: datetime, by: str = "") -> AlertEvent:
    """The last step of an alert that a person ends."""
    return _by_a_person(view, "resolved", _hash(view.id, "resolved"), at, by)


def _by_a_person(
    view: AlertView, state: Literal["acknowledged", "resolved"], id: str, at: datetime, by: str
) -> AlertEvent:
    return AlertEvent(
        id=id,
        at=at,
        alert=view.id,
        rule=view.rule,
        severity=view.severity,
        state=state,
        value=view.value,
        threshold=view.threshold,
        incident=view.incident,
        cause=view.cause,
        by=by,
    )


def silenced(rule: str, at: datetime, silences: Iterable[SilenceEvent]) -> bool:
    """Whether a rule's notifications are silenced at that time: the last word on it before then counts."""
    said = [silence for silence in silences if silence.rule == rule and silence.at <= at]
    last = max(said, key=lambda silence: (silence.at, silence.id), default=None)
    return last is not None and at < last.until
