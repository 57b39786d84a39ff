"""Whether a studio is ready: the contract's success criteria and the indicators of the eight-week plan, as measured.

A verdict is `met` or `not met` only with enough behind it; with less it is `no data`, whatever the figure says. Enough is
`LEAST` samples, and for a share as many as it takes for one exception not to use up what the target allows
(`enough_for`): 50 answers for fallbacks below 2 %, 200 minutes for an uptime of 99.5 %. Where nothing ever happened, as with the
time to resolve alerts of a studio that never had one, it stays `no data`: nobody knows how that would go.

Quality is on the guide's scale, whoever writes: the embedded writer's equivalents of 7.0, 7.5 and 8.0 stand for these.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from math import ceil, sqrt
from statistics import fmean, stdev
from typing import Annotated, Literal

from pydantic import Field

from cinegen_core.flags.cohorts import difference, student_quantile
from cinegen_core.flags.journal import rollout_subject
from cinegen_core.flags.model import Change, Declared, FlagOverlay, Overlay, RolloutPlan
from cinegen_core.monitor.events import AlertEvent, Event, FeedbackEvent, GenerationEvent, HeartbeatEvent
from cinegen_core.monitor.health import percentile
from cinegen_core.monitor.metrics import Figures
from cinegen_core.preflight import Preflight, last_preflight
from cinegen_core.story.model import Noun
from cinegen_core.studio import Studio

LEAST = 20
"""Samples without which there is no verdict: as many as alerts and triggers ask for."""

LEAST_PAIRS = 8
"""Requests answered both ways, without which an improvement is not judged."""

LEAST_RESOLVED = 3
"""Resolved alerts without which the time that they take is not judged; there are never many."""

LEAST_LOAD = 100
"""Answers in staging that a load test has at least."""

SEAMLESS = 95.0
"""Percent of fallbacks that have to be seamless. The contract asks for seamless fallback and names no share: this one is ours, the
same as for completion."""

MARGIN = 0.25
"""By how much quality (0..10) may be lower after a change and still count as maintained: half of the step between the guide's
thresholds. The whole 95 % interval of the difference has to lie above minus this."""

FOUNDATION = ("complete_context", "high_temperature", "enhanced_fallbacks", "production_monitoring")
PLAN = timedelta(weeks=8)
"""How far back staging is looked at: what was tested there in week 4 still holds in week 8."""

ENGINES, GENRES = "comprehensive_engines", "genre_engines"
FIRST_STEP = 25

Verdict = Literal["met", "not met", "no data"]
Unit = Literal["of 10", "%", "s", "min", ""]


class UnrecordedError(Exception):
    """A studio without a record has nothing that readiness could be judged from."""


class Finding(Noun):
    """One criterion or indicator. `measured` in `unit` (percent are 0..100), `low` and `high` its interval of 95 % where it has one;
    `samples` are what it was measured from, of which `least` are needed. `target` is in words, `threshold` its number. `how` says
    in a line how it was measured, `note` what else there is to know."""

    key: str
    name: str
    measured: float | None
    unit: Unit = ""
    low: float | None = None
    high: float | None = None
    target: str
    threshold: float
    samples: Annotated[int, Field(ge=0)]
    of: str
    least: Annotated[int, Field(ge=0)]
    verdict: Verdict
    how: str
    note: str = ""


class Week(Noun):
    """A milestone of the plan, and its indicators as they stand now."""

    number: int
    title: str
    indicators: tuple[Finding, ...]

    @property
    def verdict(self) -> Verdict:
        return together(self.indicators)


class Readiness(Noun):
    """The success criteria and the plan's indicators, of the `days` before `at`."""

    at: datetime
    days: Annotated[float, Field(gt=0)]
    criteria: tuple[Finding, ...]
    weeks: tuple[Week, ...]

    @property
    def verdict(self) -> Verdict:
        """Of the criteria together."""
        return together(self.criteria)


@dataclass(frozen=True)
class Records:
    """What readiness is judged from. `events` are live and may reach back before the span, as far as quality before a change is
    looked for; `staging` are the answers in staging, of the whole plan. `uptime` in percent and `mean_time_to_resolve` in seconds are of the span.
    `at_once` is how many episodes the studio is meant to write at the same time."""

    now: datetime
    days: float
    figures: Figures
    events: Sequence[Event]
    changes: Sequence[Change]
    declared: Declared
    overlay: Overlay
    uptime: float | None = None
    mean_time_to_resolve: float | None = None
    staging: Sequence[GenerationEvent] = ()
    preflight: Preflight | None = None
    at_once: int = 4

    @property
    def since(self) -> datetime:
        return self.now - timedelta(days=self.days)

    def within(self, events: Iterable[Event]) -> Iterator[Event]:
        return (event for event in events if self.since <= event.at <= self.now)

    def answers(self) -> list[GenerationEvent]:
        """Those that count, in the span."""
        return [e for e in self.within(self.events) if isinstance(e, GenerationEvent) and e.counts]


def readiness(records: Records) -> Readiness:
    """All criteria and indicators. Pure: equal records give equal verdicts."""
    criteria = success_criteria(records)
    return Readiness(
        at=records.now,
        days=records.days,
        criteria=criteria,
        weeks=(
            Week(number=1, title="Foundation", indicators=_week_1(records, criteria)),
            Week(number=4, title="Infrastructure tested", indicators=_week_4(records)),
            Week(number=6, title="Limited rollout", indicators=_week_6(records, criteria)),
            Week(number=8, title="Production excellence", indicators=_week_8(records, criteria)),
        ),
    )


def readiness_of(studio: Studio, days: float = 7.0) -> Readiness:
    """A studio's, of the last `days` (above 0). Raises `StoreError`, and `UnrecordedError` for a studio that records nothing."""
    monitoring, steering = studio.monitoring, studio.steering
    if monitoring is None or steering is None:
        raise UnrecordedError("This studio records nothing, so that its readiness cannot be told.")
    now = monitoring.now()
    since = now - timedelta(days=days)
    changes = tuple(steering.changes(0))
    plan = _plan(steering.flags.declared)
    began = _run(changes, plan).began if plan is not None else None
    back = since if began is None else min(since, began - timedelta(days=days))
    # an alert that began before the span may still be open in it
    earlier = [one for one in monitoring.events(kinds=("alert",)) if one.at < back]
    return readiness(
        Records(
            now=now,
            days=days,
            figures=monitoring.figures(24 * days),
            events=[*earlier, *monitoring.events(back)],
            changes=changes,
            declared=steering.flags.declared,
            overlay=steering.flags.overlay,
            uptime=monitoring.uptime(24 * days),
            mean_time_to_resolve=monitoring.mean_time_to_resolve(24 * days),
            staging=monitoring.answers(min(since, now - PLAN), series="staging"),
            preflight=last_preflight(studio.settings.data_dir),
            at_once=studio.settings.jobs,
        )
    )


def together(findings: Iterable[Finding]) -> Verdict:
    """Met if all are, not met if one is not, else it cannot be told yet."""
    verdicts = {finding.verdict for finding in findings}
    if "not met" in verdicts:
        return "not met"
    return "met" if verdicts == {"met"} else "no data"


def enough_for(allowed: float) -> int:
    """Samples after which one exception is no more than `allowed` percent of them (above 0), and at least `LEAST`."""
    return max(LEAST, ceil(100.0 / allowed - 1e-9))


# The success criteria.


def success_criteria(records: Records) -> tuple[Finding, ...]:
    """The contract's twelve, in its order."""
    figures = records.figures
    answers = records.answers()
    scored = sum(event.quality is not None for event in answers)
    worked = sum(bool(event.engines) for event in answers)
    fell = sum(event.fallback for event in answers)
    mttr = records.mean_time_to_resolve
    return (
        _found("quality", "Quality", figures.mean_quality, "of 10", "at least", 8.0, scored,
               "Mean quality of the answers, on the guide's scale."),
        _found("engines", "Engine success", figures.engine_success_rate, "%", "at least", 90.0, worked,
               "Engines that delivered, of all that were active."),
        _found("fallback", "Fallback", figures.fallback_rate, "%", "below", 2.0, len(answers),
               "Answers by a tier below the highest that was permitted."),
        _found("cinematic", "Cinematic share", figures.cinematic_share, "%", "above", 80.0, scored,
               "Answers with a quality of 8.0 or more."),
        _found("uptime", "Uptime", records.uptime, "%", "at least", 99.5, _minutes(records),
               "Time in which the studio answered its own heartbeat, of the time that it was to run.", of="minutes"),
        _found("p95", "Processing time, P95", figures.seconds.p95 if figures.seconds else None, "s", "below", 60.0,
               len(answers), "The time that 19 of 20 answers stay within, waiting included."),
        _found("errors", "Errors", figures.error_rate, "%", "below", 5.0, len(answers),
               "Requests without an episode, or only from the template because all above it failed."),
        _found("resolve", "Mean time to resolve", None if mttr is None else mttr / 60.0, "min", "below", 15.0,
               _resolved(records), "From firing to resolved, of the alerts that were resolved.",
               of="alerts", least=LEAST_RESOLVED),
        _satisfied(records, 8.5),
        _found("completion", "Completion", figures.completion, "%", "above", 95.0, _shown(records),
               "Episodes shown whose reader came to the choice: chose, rated or took it away.", of="episodes shown"),
        improvement(answers),
        _found("seamless", "Seamless fallback", figures.seamless_fallback, "%", "at least", SEAMLESS, fell,
               "Fallbacks that ended in an accepted episode within 60 s.", of="fallbacks"),
    )  # fmt: skip


def improvement(answers: Iterable[GenerationEvent]) -> Finding:
    """Whether the engines improve on a single pass, from requests that the same writer answered both ways.

    The mean of the paired differences of `score`, comprehensive less baseline, with an interval of 95 % by Student's t with n - 1
    degrees of freedom (Biometrika 6, 1908); met where it lies above 0. Several answers of one kind to one request count as their
    mean. A baseline that somebody fell to is no fair other half: the engines had failed at that request.
    """
    sides: dict[tuple[str, str], dict[str, list[float]]] = defaultdict(lambda: defaultdict(list))
    for event in answers:
        if event.asked and event.score is not None and not event.fallback:
            sides[event.asked, event.writer][event.tier].append(event.score)
    gains = [
        fmean(found["comprehensive"]) - fmean(found["enhanced_baseline"])
        for found in sides.values()
        if "comprehensive" in found and "enhanced_baseline" in found
    ]
    mean = fmean(gains) if gains else None
    low = high = None
    verdict: Verdict = "no data"
    if mean is not None and len(gains) >= LEAST_PAIRS:
        reach = student_quantile(0.975, len(gains) - 1) * stdev(gains) / sqrt(len(gains))
        low, high = mean - reach, mean + reach
        verdict = "met" if low > 0 else "not met"
    return Finding(
        key="improvement",
        name="Improvement over a single pass",
        measured=mean,
        unit="of 10",
        low=low,
        high=high,
        target="interval above 0",
        threshold=0.0,
        samples=len(gains),
        of="pairs",
        least=LEAST_PAIRS,
        verdict=verdict,
        how="Mean difference of the score where the same was asked for with the engines and without, its 95 % interval by Student's t.",
    )


# The plan.


def _week_1(records: Records, criteria: Sequence[Finding]) -> tuple[Finding, ...]:
    full = [key for key in FOUNDATION if _percent(records, key) == 100]
    short = [f"{key} {_percent(records, key)} %" for key in FOUNDATION if key not in full]
    foundation = Finding(
        key="foundation",
        name="Foundation flags at 100 %",
        measured=len(full),
        target=f"all {len(FOUNDATION)}",
        threshold=len(FOUNDATION),
        samples=len(FOUNDATION),
        of="flags",
        least=len(FOUNDATION),
        verdict="met" if not short else "not met",
        how="What is in force: the flags file with the journal on top.",
        note=", ".join(short),
    )
    quality = _by_key(criteria, "quality")
    up = _by_key(criteria, "uptime")
    fired = _critical(records)
    calm = _found(
        "calm", "Critical alerts", float(len(fired)), "", "at most", 0.0, len(records.answers()),
        "Critical alerts that fired, or went on firing, in the span.", target="none",
    )  # fmt: skip
    if fired:
        calm = calm.model_copy(update={"verdict": "not met", "note": ", ".join(sorted(set(fired.values())))})
    return (foundation, _again(up, "above", 99.5), _again(quality, "above", 8.0), calm)


def _week_4(records: Records) -> tuple[Finding, ...]:
    staged = [event for event in records.staging if event.counts]
    runs = [run.delivered for event in staged for run in event.engines]
    worked = sum(bool(event.engines) for event in staged)
    delivered = 100.0 * sum(runs) / len(runs) if runs else None
    return (
        _flag_system(records.preflight),
        _found("staging", "Engines in staging", delivered, "%", "at least", 90.0, worked,
               "Engines that delivered in staging, of all that were active there."),
        _load(staged, records.at_once),
    )  # fmt: skip


def _flag_system(preflight: Preflight | None) -> Finding:
    checks = () if preflight is None else preflight.checks
    bad = [check.name for check in checks if check.verdict == "failed"]
    verdict: Verdict = "no data" if preflight is None else "not met" if bad else "met"
    note = "`cinegen preflight` has not been run here."
    if preflight is not None:
        note = f"Run {preflight.at:%Y-%m-%d %H:%M}." + (f" Failed: {', '.join(bad)}." if bad else "")
    return Finding(
        key="preflight",
        name="Flags and installation validated",
        measured=None if preflight is None else len(bad),
        target="no check failed",
        threshold=0.0,
        samples=len(checks),
        of="checks",
        least=1,
        verdict=verdict,
        how="The last `cinegen preflight` on this installation, which reads flags, journal, store and endpoints.",
        note=note,
    )


def _load(staged: Sequence[GenerationEvent], at_once: int) -> Finding:
    busiest = _most_at_once(staged)
    note = ""
    good = False
    if staged:
        p95 = percentile([event.seconds for event in staged], 0.95)
        errors = 100.0 * sum(event.error for event in staged) / len(staged)
        note = f"P95 {p95:.1f} s, errors {errors:.1f} %."
        good = busiest >= at_once and p95 < 60.0 and errors < 5.0
    verdict: Verdict = "no data" if len(staged) < LEAST_LOAD else "met" if good else "not met"
    return Finding(
        key="load",
        name="Load test in staging",
        measured=busiest if staged else None,
        target=f"{at_once} at once, P95 below 60 s, errors below 5 %",
        threshold=at_once,
        samples=len(staged),
        of="answers in staging",
        least=LEAST_LOAD,
        verdict=verdict,
        how="The most requests that were being answered at the same moment in staging, from when each ended and how long it took.",
        note=note,
    )


def _week_6(records: Records, criteria: Sequence[Finding]) -> tuple[Finding, ...]:
    plan = _plan(records.declared)
    run = _run(records.changes, plan) if plan is not None else _Run()
    step = plan.phases[run.phase].percent if plan is not None else FIRST_STEP
    done = Finding(
        key="first_step",
        name=f"{step} % phase done",
        measured=None if run.began is None else float(run.done),
        target="gone past it",
        threshold=1.0,
        samples=int(run.began is not None),
        of="rollouts",
        least=1,
        verdict="no data" if run.began is None else "met" if run.done else "not met",
        how="The journal: whether the last rollout of the engines went on from this phase, which its gates or a person decide.",
        note="No rollout of the engines was ever started." if run.began is None else "",
    )
    return (
        done,
        _maintained(records, run),
        _again(_by_key(criteria, "satisfaction"), "above", 8.5),
        _again(_by_key(criteria, "fallback"), "below", 5.0),
    )


def _maintained(records: Records, run: _Run) -> Finding:
    before: list[float] = []
    after: list[float] = []
    if run.began is not None:
        end = run.ended or records.now
        for event in records.events:
            if isinstance(event, GenerationEvent) and event.counts and event.quality is not None:
                if run.began - timedelta(days=records.days) <= event.at < run.began:
                    before.append(event.quality)
                elif run.began <= event.at <= end:
                    after.append(event.quality)
    fewest = min(len(before), len(after))
    found = difference(after, before) if fewest >= LEAST else None
    verdict: Verdict = "no data" if found is None else "met" if found.low > -MARGIN else "not met"
    return Finding(
        key="maintained",
        name="Quality maintained through the change",
        measured=None if found is None else found.value,
        unit="of 10",
        low=None if found is None else found.low,
        high=None if found is None else found.high,
        target=f"interval above -{MARGIN:g}",
        threshold=-MARGIN,
        samples=fewest,
        of="answers on the smaller side",
        least=LEAST,
        verdict=verdict,
        how="Mean quality during the phase less that before the rollout began, its 95 % interval by Welch's t.",
        note=f"{len(before)} answers before, {len(after)} during it." if run.began is not None else "",
    )


def _week_8(records: Records, criteria: Sequence[Finding]) -> tuple[Finding, ...]:
    met = [finding for finding in criteria if finding.verdict == "met"]
    open_ = [f"{f.name.lower()} {f.verdict}" for f in criteria if f.verdict != "met"]
    everybody = float(_percent(records, ENGINES))
    genres = _percent(records, GENRES)
    return (
        _found("everybody", "Engines for everybody", everybody, "%", "at least", 100.0, 1,
               "What is in force of comprehensive_engines.", of="flag", least=1, target="100 %"),
        _found("genres", "Genre engines", float(genres), "%", "above", 0.0, 1,
               "What is in force of genre_engines.", of="flag", least=1, target="on"),
        Finding(
            key="all", name="All success criteria", measured=len(met), target=f"all {len(criteria)} met",
            threshold=len(criteria), samples=len(criteria), of="criteria", least=len(criteria),
            verdict=together(criteria), how="The criteria above.",
            note="; ".join(open_),
        ),
        _again(_by_key(criteria, "satisfaction"), "above", 9.0),
    )  # fmt: skip


# What findings are made from.

_Sign = Literal["at least", "above", "at most", "below"]


def _found(
    key: str,
    name: str,
    measured: float | None,
    unit: Unit,
    sign: _Sign,
    threshold: float,
    samples: int,
    how: str,
    *,
    of: str = "answers",
    least: int | None = None,
    target: str = "",
) -> Finding:
    if least is None:
        allowed = threshold if sign in ("below", "at most") else 100.0 - threshold
        least = enough_for(allowed) if unit == "%" else LEAST
    verdict: Verdict = "no data"
    if measured is not None and samples >= least:
        verdict = "met" if _holds(measured, sign, threshold) else "not met"
    words = f"{threshold:.1f}" if unit == "of 10" else f"{threshold:g} {unit}".strip()
    return Finding(
        key=key,
        name=name,
        measured=measured,
        unit=unit,
        target=target or f"{sign} {words}",
        threshold=threshold,
        samples=samples,
        of=of,
        least=least,
        verdict=verdict,
        how=how,
    )


def _holds(measured: float, sign: _Sign, threshold: float) -> bool:
    match sign:
        case "at least":
            return measured >= threshold
        case "above":
            return measured > threshold
        case "at most":
            return measured <= threshold
        case "below":
            return measured < threshold


def _again(finding: Finding, sign: _Sign, threshold: float) -> Finding:
    """The same measure against a target of its own."""
    return _found(
        finding.key, finding.name, finding.measured, finding.unit, sign, threshold, finding.samples, finding.how,
        of=finding.of, least=finding.least if finding.unit != "%" else None,
    )  # fmt: skip


def _by_key(findings: Iterable[Finding], key: str) -> Finding:
    return next(finding for finding in findings if finding.key == key)


def _satisfied(records: Records, above: float) -> Finding:
    found = records.figures.satisfaction
    return _found(
        "satisfaction", "Satisfaction", found.mean if found else None, "of 10", "above", above,
        found.count if found else 0, "Mean of readers' ratings, 1 to 10; each reader's last word on each episode.",
        of="ratings",
    )  # fmt: skip


def _minutes(records: Records) -> int:
    beats = (event for event in records.within(records.events) if isinstance(event, HeartbeatEvent))
    return round(sum(beat.watched for beat in beats) / 60.0)


def _alerts(records: Records) -> list[AlertEvent]:
    return [e for e in records.events if isinstance(e, AlertEvent) and e.at <= records.now]


def _resolved(records: Records) -> int:
    """Alerts that fired and were resolved in the span."""
    fired: set[str] = set()
    resolved: set[str] = set()
    for step in _alerts(records):
        if step.severity != "info" and step.state == "firing":
            fired.add(step.alert)
        elif step.state == "resolved" and step.alert in fired and step.at >= records.since:
            resolved.add(step.alert)
    return len(resolved)


def _critical(records: Records) -> dict[str, str]:
    """The rules of critical alerts that were firing at any moment of the span, by alert."""
    firing: dict[str, str] = {}
    for step in _alerts(records):
        if step.severity == "critical" and step.state == "firing":
            firing[step.alert] = step.rule
        elif step.state == "resolved" and step.at < records.since:
            firing.pop(step.alert, None)
    return firing


def _shown(records: Records) -> int:
    apart = {e.id for e in records.events if isinstance(e, GenerationEvent) and not e.counts}
    return len(
        {
            event.generation
            for event in records.within(records.events)
            if isinstance(event, FeedbackEvent) and event.action == "shown" and event.generation not in apart
        }
    )


def _percent(records: Records, key: str) -> int:
    """Of a hundred people, how many get a flag as things stand; 0 while it is off, rolled back, or in an emergency."""
    flag = records.declared.flags.get(key)
    over = records.overlay.flags.get(key, FlagOverlay())
    if flag is None or records.overlay.emergency is not None or over.latched is not None:
        return 0
    if not (flag.enabled if over.enabled is None else over.enabled):
        return 0
    return flag.percent if over.percent is None else over.percent


@dataclass(frozen=True)
class _Run:
    """The last rollout's first step: `phase` counts from 0, `ended` is when it went on from it or was given up."""

    phase: int = 0
    began: datetime | None = None
    ended: datetime | None = None
    done: bool = False


def _plan(declared: Declared) -> RolloutPlan | None:
    return next((plan for plan in declared.rollouts.values() if plan.flag == ENGINES), None)


def _run(changes: Iterable[Change], plan: RolloutPlan) -> _Run:
    """Of the plan's last rollout, as the journal has it. The step is that of `FIRST_STEP` percent, or the first."""
    percents = [phase.percent for phase in plan.phases]
    step = percents.index(FIRST_STEP) if FIRST_STEP in percents else 0
    found = _Run(step)
    for change in changes:
        if change.subject != rollout_subject(plan.key):
            continue
        phase = int((change.after or {}).get("phase", 0))
        if change.kind == "rollout_started":
            found = _Run(step, change.at)
        elif found.began is not None and found.ended is None:
            past = phase > step or change.kind == "rollout_completed"
            if past or change.kind == "rollout_aborted":
                found = _Run(step, found.began, change.at, past)
    return found


def _most_at_once(events: Iterable[GenerationEvent]) -> int:
    # one that ends at the very moment at which another begins makes room for it
    turns = sorted(
        turn
        for event in events
        for turn in ((event.at - timedelta(seconds=event.seconds), 1), (event.at, -1))
    )
    now = most = 0
    for _, turn in turns:
        now += turn
        most = max(now, most)
    return most
