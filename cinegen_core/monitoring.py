"""Events in, figures and alerts out: what a studio records about itself, and what its operators read."""

from __future__ import annotations

import hashlib
import hmac
import threading
from collections import deque
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any, Literal, Protocol

from cinegen_core.flags.model import Change
from cinegen_core.monitor import alerts as alarm
from cinegen_core.monitor.alerts import AlertView, Notice, State, Tick
from cinegen_core.monitor.changes import told_of
from cinegen_core.monitor.events import (
    AlertEvent,
    Event,
    FeedbackEvent,
    GenerationEvent,
    HeartbeatEvent,
    Series,
    SilenceEvent,
    VoteEvent,
)
from cinegen_core.monitor.exposition import exposition
from cinegen_core.monitor.health import Health, Sample, health_of
from cinegen_core.monitor.incidents import Incident, incidents
from cinegen_core.monitor.metrics import Figures, figures_of, reception
from cinegen_core.monitor.outlook import Outlook, direction, outlook
from cinegen_core.monitor.tally import HOUR, Tally, hour_of
from cinegen_core.monitor.trends import Trend
from cinegen_core.monitor.uptime import silence, vouched
from cinegen_core.store.episodes import StoreError
from cinegen_core.store.leading import Alone, LeadLostError, Leads
from cinegen_core.tiers.judging import profiles

LOOKED_BACK = timedelta(hours=26)
"""How far back a studio that starts reads events for its alerts; their longest window is a day."""

READ_LATER = timedelta(days=7)
"""How long before a span an episode that is shown again in it may have been read to its choice already."""

EDGES_KEPT = 8
"""Hours of events that are kept in memory, for spans that begin within an hour."""


class Events(Protocol):
    """Where events are kept. Raises `StoreError`."""

    def add(self, *events: Event) -> None: ...

    def read(
        self,
        *,
        since: datetime | None = None,
        until: datetime | None = None,
        series: Series | None = "live",
        kinds: Iterable[str] = (),
        after: int = 0,
        most: int | None = None,
    ) -> Sequence[tuple[int, Event]]: ...

    def with_ids(self, ids: Iterable[str]) -> Sequence[Event]: ...

    def last(self) -> int: ...

    def forget(self, before: datetime) -> int: ...


class Rollups(Protocol):
    """Events counted by the hour. Raises `StoreError`."""

    def roll_up(self) -> int: ...

    def hours(self, series: Series, since: datetime, until: datetime) -> dict[datetime, Tally]: ...

    def everything(self, series: Series) -> Tally: ...


class NoSuchAlertError(LookupError):
    """No open alert has that id."""


class NoSuchRuleError(LookupError):
    """There is no alert rule of that name."""


class Monitoring:
    """Records what happens, and answers from records only. May be used from any thread; several studios may share the events.

    Of those that share them the one that leads takes the steps of alerts, with its own answers (each is one transaction with the steps
    that alerts took because of it) and with those of others, as it hears of them: `follow`. The others keep count of what alerts make
    of the same events, so as to go on where a leader stops, and record none of it.
    """

    def __init__(
        self,
        events: Events,
        rollups: Rollups,
        *,
        now: Callable[[], datetime],
        secret: str,
        studio: str,
        plain_users: bool = False,
        kept: timedelta | None = None,
        forget_too: Callable[[datetime], object] = lambda before: None,
        lead: Leads | None = None,
    ) -> None:
        """`secret` keys the hash that stands for users; `studio` tells this one from others that share the events. Events are forgotten
        when they are older than `kept`, with what `forget_too` forgets; their hourly counts stay. Without a `lead` this one leads."""
        self._events, self._rollups, self.now = events, rollups, now
        self._secret, self._studio, self._plain, self._kept = secret.encode(), studio, plain_users, kept
        self._forget_too = forget_too
        self._lead: Leads = lead or Alone()
        self._led: int | None = None
        self._unjudged: deque[Event] = deque()
        self._lock = threading.RLock()
        self._last = 0
        self._alerts: State = alarm.fresh()
        self._recent: deque[GenerationEvent] = deque()
        self._beats: dict[str, HeartbeatEvent] = {}
        self._edges: dict[tuple[Series, datetime], list[GenerationEvent]] = {}
        self._forgotten: datetime | None = None
        self._begin()

    def _begin(self) -> None:
        """From the record: the events of the last day, and the alerts that are open."""
        self._alerts = alarm.fresh()
        self._recent.clear()
        self._beats.clear()
        self._edges.clear()
        self._unjudged.clear()
        self._last = self._events.last()
        for number, event in self._events.read(since=self.now() - LOOKED_BACK):
            if number <= self._last:
                self._take_in(event)
                self._alerts, _ = alarm.step(self._alerts, event)
        self._alerts = alarm.resumed(self._alerts, self._steps())
        self._led = self._lead.fence()
        self._waiting = False

    def _take_in(self, event: Event) -> None:
        if isinstance(event, GenerationEvent):
            self._edges.pop((event.series, hour_of(event.at)), None)
            if event.counts:
                self._recent.append(event)
                hour_ago = self.now() - HOUR
                while self._recent and self._recent[0].at < hour_ago:
                    self._recent.popleft()
        elif isinstance(event, HeartbeatEvent):
            last = self._beats.get(event.studio)
            if last is None or last.at <= event.at:
                self._beats[event.studio] = event

    def user(self, who: str) -> str:
        """What stands for a user in events: a keyed hash, or the name where the operator wants it so."""
        if not who or self._plain:
            return who
        return hmac.new(self._secret, who.encode("utf-8"), hashlib.sha256).hexdigest()[:24]

    def generated(self, event: GenerationEvent, *, evaluate: bool = True) -> None:
        """Records an answer; `event.who` is given as it is and kept as `user` says. Without `evaluate` alerts do not hear of it."""
        known = event.model_copy(update={"who": self.user(event.who)})
        if evaluate and event.series == "live":
            self._lead.ask()
            self._record(known)
        else:
            self._events.add(known)
            with self._lock:
                self._waiting = self._waiting or event.series == "live"

    def feedback(self, event: FeedbackEvent) -> None:
        """Records what a reader did."""
        self._events.add(event.model_copy(update={"who": self.user(event.who)}))

    def voted(self, event: VoteEvent) -> None:
        """Records what a reader preferred."""
        self._events.add(event.model_copy(update={"who": self.user(event.who)}))

    def beat(self, state: Literal["started", "running", "stopped"], *, answered: bool = True) -> None:
        """Records that this studio runs, once a minute, and when it starts and stops."""
        at = self.now()
        with self._lock:
            self._catch_up()
            up, watched = vouched(self._last_beat(at), at)
        id = f"{self._studio}-{at.timestamp():.3f}-{state}"
        self._record(
            HeartbeatEvent(
                id=id, at=at, studio=self._studio, state=state, answered=answered, up=up, watched=watched
            )
        )

    def _last_beat(self, at: datetime) -> HeartbeatEvent | None:
        if self._studio not in self._beats:
            for _, beat in self._events.read(kinds=("heartbeat",), since=at - timedelta(days=30)):
                if isinstance(beat, HeartbeatEvent) and beat.studio == self._studio:
                    self._beats[beat.studio] = beat
        return self._beats.get(self._studio)

    def told(self, what: Notice, words: str, *, by: str = "") -> None:
        """Records a notice: something changed that operators want to know of at once."""
        self._record(alarm.info(what, words, at=self.now(), by=by))

    def changed(self, change: Change) -> None:
        """Records what operators are to know of a change of the flags; told of twice, it is recorded once."""
        with self._lock:
            for step in told_of(change, self.alerts()):
                self._record(step)

    def _record(self, event: Event) -> None:
        with self._lock:
            self._catch_up()
            if self._events.with_ids([event.id]):
                return  # a retry of what is on record
            steps = self._judged(event)
            self._take_in(event)
            if not steps or not self._keep(event, *steps):
                self._events.add(event)
            self._catch_up(own={event.id, *(one.id for one in steps)})

    def _judged(self, *heard: Event | Tick) -> list[AlertEvent]:
        """The steps that alerts take because of others' events that were not judged yet, and then of these: of the leader to be kept, of
        others none."""
        fence = self._lead.fence()
        if fence is not None and fence != self._led:
            # What the leader before this one took, and what it came to no more, is told by the record.
            self._alerts = alarm.resumed(self._alerts, self._steps())
        self._led = fence
        steps: list[AlertEvent] = []
        while self._unjudged:
            self._alerts, more = alarm.step(self._alerts, self._unjudged.popleft())
            steps += more
        for one in heard:
            self._alerts, more = alarm.step(self._alerts, one)
            steps += more
        return [] if fence is None else steps

    def _keep(self, *events: Event) -> bool:
        """Records what the leader takes steps with; False, and nothing is recorded, if another leads by now."""
        if not events:
            return True
        try:
            with self._lead.acting():
                self._events.add(*events)
        except LeadLostError:
            return False
        except StoreError:
            self._waiting = True  # what is not on record was not taken: go on from the record
            raise
        return True

    def follow(self) -> bool:
        """Takes in what others recorded since, and as leader the steps of alerts because of it; whether there was anything. Whoever
        serves the studio calls it about twice a second. Costs one look where there was nothing."""
        with self._lock:
            before = self._last
            self._catch_up()
            self._keep(*self._judged())
            return self._last != before

    def pass_over(self) -> None:
        """What was recorded since by whomever is not for alerts: they go on from the record once they are asked again."""
        with self._lock:
            unheard = bool(self._unjudged) or self._events.last() != self._last
            self._waiting = self._waiting or unheard

    def tick(self) -> None:
        """Lets time pass for the alerts, counts the hours, forgets what is too old; whoever serves the studio calls it about once a
        minute."""
        with self._lock:
            self._catch_up()
            self._keep(*self._judged(Tick(at=self.now())))
        self.keep_house()

    def keep_house(self) -> None:
        """As leader counts the hours, and forgets what is too old, once an hour."""
        if self._lead.fence() is None:
            return
        try:
            with self._lead.acting():
                self._keep_house()
        except LeadLostError:
            return  # whoever leads now does it

    def _keep_house(self) -> None:
        self._rollups.roll_up()
        now = self.now()
        if self._kept is not None and (self._forgotten is None or now - self._forgotten >= HOUR):
            self._events.forget(now - self._kept)
            self._forget_too(now - self._kept)
            self._forgotten = now

    def _catch_up(self, own: set[str] | None = None) -> None:
        """Takes in what others recorded since."""
        if self._waiting:
            self._begin()
        for number, event in self._events.read(after=self._last):
            self._last = number
            if own is None or event.id not in own:
                self._take_in(event)
                self._unjudged.append(event)
        if self._lead.fence() is None:
            self._judged()

    def events(
        self,
        since: datetime | None = None,
        *,
        series: Series = "live",
        kinds: Iterable[str] = (),
        until: datetime | None = None,
    ) -> tuple[Event, ...]:
        """As they were recorded, in order."""
        found = self._events.read(since=since, until=until, series=series, kinds=kinds)
        return tuple(event for _, event in found)

    def last(self) -> int:
        """The number of the latest event of all series: as long as it stays, so does what is computed from events."""
        return self._events.last()

    def answers(
        self, since: datetime | None = None, *, series: Series = "live", until: datetime | None = None
    ) -> tuple[GenerationEvent, ...]:
        """The answers among the events."""
        found = self.events(since, series=series, kinds=("generation",), until=until)
        return tuple(event for event in found if isinstance(event, GenerationEvent))

    def hours(self, days: float, *, series: Series = "live") -> Mapping[datetime, Tally]:
        """What was counted in the whole hours of the last days, the present one included."""
        self._rollups.roll_up()
        now = self.now()
        return self._rollups.hours(series, _next_hour(now - timedelta(days=days)), now + HOUR)

    def _tally(self, hours: float, series: Series) -> Tally:
        """Of the last so many hours: the whole ones as they were counted, of the first the answers themselves."""
        self._rollups.roll_up()
        now = self.now()
        since = now - timedelta(hours=hours)
        tally = Tally()
        for event in self._edge(series, hour_of(since)):
            if since <= event.at <= now:
                tally.answer(event)
        for counted in self._rollups.hours(series, hour_of(since) + HOUR, now + HOUR).values():
            tally.add(counted)
        return tally

    def _edge(self, series: Series, hour: datetime) -> list[GenerationEvent]:
        if series != "live" or hour == hour_of(self.now()):
            return list(self.answers(hour, series=series, until=hour + HOUR))
        with self._lock:
            self._catch_up()
            if (series, hour) not in self._edges:
                while len(self._edges) >= EDGES_KEPT:
                    self._edges.pop(next(iter(self._edges)))
                self._edges[series, hour] = list(self.answers(hour, series=series, until=hour + HOUR))
            return self._edges[series, hour]

    def figures(self, hours: float = 24.0, *, series: Series = "live") -> Figures:
        """Everything that is measured, over the last so many hours."""
        since = self.now() - timedelta(hours=hours)
        heard = [
            event
            for event in self.events(since - READ_LATER, series=series, kinds=("feedback",))
            if isinstance(event, FeedbackEvent) and event.at <= self.now()
        ]
        lately = {event.generation for event in heard if event.at >= since}
        heard = [event for event in heard if event.generation in lately]
        about = self._events.with_ids(sorted(lately))
        answers = [event for event in about if isinstance(event, GenerationEvent)]
        readers = reception(heard, answers, since)
        return figures_of(self._tally(hours, series), readers, total_episodes=self._total(series))

    def _total(self, series: Series) -> int:
        return self._rollups.everything(series).counts["all"]

    def health(self, *, series: Series = "live", after: datetime | None = None) -> Health:
        """Of the last hour, from `after` on if that is given."""
        now = self.now()
        if series == "live":
            with self._lock:
                self._catch_up()
                answers: Sequence[GenerationEvent] = tuple(self._recent)
        else:
            answers = self.answers(now - HOUR, series=series)
        samples = [
            _sample(event) for event in answers if event.counts and (after is None or event.at >= after)
        ]
        others = [
            view
            for view in self.alerts(series=series)
            if view.severity == "critical" and view.state == "firing" and not _scored(view.rule)
        ]
        return health_of(samples, now.timestamp(), critical_alerts=len(others))

    def uptime(self, hours: float = 24.0, *, series: Series = "live") -> float | None:
        """Share of the time for which studios were meant to run, 0..100, in which they did; counted by whole hours, up to the last
        heartbeats and the silence after them. None without heartbeats."""
        self._rollups.roll_up()
        now = self.now()
        up = watched = 0.0
        first = min(_next_hour(now - timedelta(hours=hours)), hour_of(now))
        for tally in self._rollups.hours(series, first, now + HOUR).values():
            up += tally.counts["up"] / 1000
            watched += tally.counts["watched"] / 1000
        if series == "live":
            with self._lock:
                self._catch_up()
                beats = tuple(self._beats.values())
            for beat in beats:
                more_up, more = silence(beat, now)
                up, watched = up + more_up, watched + more
        return 100.0 * up / watched if watched else None

    def quality_trend(self, days: float = 7.0, *, series: Series = "live") -> Trend:
        """Whether quality rises or falls, on the guide's scale, by its hourly means."""
        return direction(self.hours(days, series=series))

    def outlook(self, days: float = 56.0, *, series: Series = "live") -> Outlook:
        """Days, trends, changes of level and forecasts of quality and volume."""
        return outlook(self.hours(days, series=series), self.now())

    def _steps(self, series: Series = "live") -> list[AlertEvent]:
        found = self.events(series=series, kinds=("alert",))
        return [event for event in found if isinstance(event, AlertEvent)]

    def alerts(self, *, series: Series = "live") -> tuple[AlertView, ...]:
        """Those that are pending or firing."""
        return alarm.views(self._steps(series))

    def incidents(self, *, series: Series = "live") -> tuple[Incident, ...]:
        """Alerts by their shared causes, those that are open first."""
        return incidents(self._steps(series))

    def notices(self, since: datetime, *, series: Series = "live") -> tuple[AlertEvent, ...]:
        """What there was to know of: changed flags, rollouts that advanced, emergencies that ended."""
        return alarm.notices(self._steps(series), since=since)

    def mean_time_to_resolve(self, hours: float | None = None, *, series: Series = "live") -> float | None:
        """Seconds, of all alerts or those resolved in the last hours; None where nothing was resolved."""
        steps = self._steps(series)
        since = None if hours is None else self.now() - timedelta(hours=hours)
        return alarm.mean_time_to_resolve(steps, since=since)

    def acknowledge(self, alert: str, by: str) -> AlertView:
        """Records that a person has seen an alert. Raises `NoSuchAlertError`."""
        with self._lock:
            view = next((one for one in self.alerts() if one.id == alert), None)
            if view is None:
                raise NoSuchAlertError(f"There is no open alert {alert!r}.")
            self._events.add(alarm.acknowledged(view, by, at=self.now()))
            return view.model_copy(update={"acknowledged_by": by})

    def silence(self, rule: str, *, until: datetime, by: str, why: str = "") -> SilenceEvent:
        """Records that nobody is to be notified of a rule before `until`; a time that is past ends the silence. Raises
        `NoSuchRuleError`."""
        known = [*(one.key for one in alarm.RULES), *(view.rule for view in self.alerts())]
        if rule not in known:
            raise NoSuchRuleError(
                f"There is no alert rule {rule!r}. There are: {', '.join(sorted(set(known)))}."
            )
        at = self.now()
        id = hashlib.sha256("\0".join((rule, at.isoformat(), until.isoformat(), by)).encode()).hexdigest()[
            :24
        ]
        said = SilenceEvent(id=id, at=at, rule=rule, until=until, by=by, why=why)
        self._events.add(said)
        return said

    def silences(self) -> tuple[SilenceEvent, ...]:
        """Those that hold now, one a rule."""
        now = self.now()
        last: dict[str, SilenceEvent] = {}
        for event in self.events(kinds=("silence",)):
            if isinstance(event, SilenceEvent) and event.at <= now:
                last[event.rule] = event
        return tuple(one for one in last.values() if now < one.until)

    def overview(self, hours: float = 24.0) -> dict[str, Any]:
        """The metrics as the HTTP interface shows them: percentages 0..100, times in ms, None where there is no data."""
        nothing = reception((), (), self.now())
        found = figures_of(self._tally(hours, "live"), nothing, total_episodes=self._total("live"))
        mean = found.seconds.mean if found.seconds is not None else None
        return {
            "overview": {
                "totalEpisodes": found.total_episodes,
                "averageQuality": _rounded(found.mean_quality),
                "systemHealth": self.health().status,
                "uptime": _rounded(self.uptime(hours)),
                "successRate": _rounded(found.success_rate),
            },
            "quality": {
                "current": _rounded(found.mean_quality),
                "trend": self.quality_trend().direction if found.mean_quality is not None else None,
                "qualityDistribution": {
                    name: _rounded(share) for name, share in (found.quality_classes or {}).items()
                },
            },
            "performance": {
                "averageProcessingTime": None if mean is None else round(1000 * mean),
                "engineSuccessRate": _rounded(found.engine_success_rate),
                "fallbackUsageRate": _rounded(found.fallback_rate),
            },
        }

    def flag_metrics(self, hours: float = 24.0) -> dict[str, Any]:
        """Per flag, for the cohort that it was on for."""
        nothing = reception((), (), self.now())
        found = figures_of(self._tally(hours, "live"), nothing, total_episodes=0).flags or {}
        return {
            key: {
                "usageCount": flag.on.usage,
                "successRate": _rounded(flag.on.success_rate),
                "averageQuality": _rounded(flag.on.quality),
            }
            for key, flag in found.items()
        }

    def prometheus(self) -> str:
        """Counters over all that was recorded, in Prometheus' text format 0.0.4: those that the exported rules read."""
        self._rollups.roll_up()
        return exposition(self._rollups.everything("live"))


def _scored(rule: str) -> bool:
    """Whether health takes points for what the rule measures already."""
    return any(one.key == rule and one.metric != "uptime" for one in alarm.RULES)


def _next_hour(at: datetime) -> datetime:
    hour = hour_of(at)
    return hour if hour == at else hour + HOUR


def _sample(event: GenerationEvent) -> Sample:
    known = profiles()
    held_to = known.get(event.profile, known["model"])
    return Sample(
        at=event.at.timestamp(),
        seconds=event.seconds,
        margin=None if event.score is None else event.score - held_to.least,
        margin_good=None if event.score is None else event.score - held_to.good,
        active=len(event.engines),
        delivered=sum(engine.delivered for engine in event.engines),
        error=event.error,
    )


def _rounded(value: float | None) -> float | None:
    return None if value is None else round(value, 2)
