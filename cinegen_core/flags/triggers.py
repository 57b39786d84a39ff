"""Triggers: what pauses a rollout, and what rolls a flag back.

A trigger has two parts. The **signal** is its threshold held against the mean over its window, once there are enough samples
there: it pauses, and it cries wolf (errors of 5 % held against 10 % breach within a day wherever samples suffice). The
**evidence** grows by every sample and rolls back, however few samples a window has. With the policy `literal` the signal rolls
back by itself.

Evidence comes from two processes whose wealth is averaged, so that the average keeps what each promises (evidence.py):

* against the threshold, for every metric;
* for quality and seconds, also against a **healthy baseline**: that the mean has gone more than half the way from there to the
  threshold. It counts only while the mean since the change is itself beyond the threshold by a standard error or more, so that a
  change which stays well within what is allowed does not roll back. It halves the time that a real fall takes to be found, and
  more (benchmarks/TRIGGERS.md).

The baseline is the mean of the first `LEARNED_FROM` samples in a row whose mean is on the good side, frozen from then on and kept
when a stage begins. Where things were bad from the very first sample, or have long been worse than the baseline but allowed, the
threshold's evidence is what finds a failure.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from math import fsum, log10
from typing import Literal, NamedTuple

from cinegen_core.flags.evidence import (
    Evidence,
    against_baseline,
    betting,
    likelihood_ratio,
    together,
    updated,
)
from cinegen_core.flags.evidence import restarted as restarted_evidence
from cinegen_core.flags.model import Metric, Sample, Trigger

LEARNED_FROM = 30
"""Samples that a healthy baseline is learned from: its standard error is then a fifth of what a single sample varies by."""

Signal = Literal["clear", "inconclusive", "breach"]

_NAMES: dict[Metric, str] = {"quality": "mean quality", "error": "the error rate", "seconds": "mean time"}


class Baseline(NamedTuple):
    """What the metric was while things were well: `value`, None until it is learned. `asked` is how many samples it is learned
    from, 0 for never; `samples` and `total` are of those seen so far."""

    asked: int
    samples: int = 0
    total: float = 0.0
    value: float | None = None


class TriggerState(NamedTuple):
    """One trigger watching one flag, since `since`. `window` holds moments and values, oldest first. `change` is evidence of a
    change from the baseline, None where there is none yet."""

    flag: str
    since: datetime
    evidence: Evidence
    baseline: Baseline
    window: tuple[tuple[datetime, float], ...] = ()
    change: Evidence | None = None


class Verdict(NamedTuple):
    """What a trigger says at a moment.

    `samples` are those in the window and `value` their mean, None without any; `distance` is how far that is from the threshold,
    in the metric's unit and negative beyond it. `evidence` is log10 of what has come together, from 0 to `bound`, at which it
    rolls back.
    """

    trigger: Trigger
    flag: str
    at: datetime
    samples: int
    value: float | None
    distance: float | None
    signal: Signal
    evidence: float
    rolls_back: bool

    @property
    def bound(self) -> float:
        """The evidence that rolls back: log10 of the trigger's bound."""
        return log10(self.trigger.bound)

    @property
    def words(self) -> str:
        """In a sentence for people."""
        trigger = self.trigger
        name = _NAMES[trigger.metric]
        beyond = f"{trigger.worse} {_shown(trigger, trigger.threshold)}"
        if self.rolls_back and trigger.policy == "evidence":
            now = f", now {_shown(trigger, self.value)}" if self.value is not None else ""
            return f"{trigger.key}: evidence that {name} has gone {beyond} reached its bound of {trigger.bound:,.0f}{now}"
        grown = f"; evidence {self.evidence:.1f} of {self.bound:.1f}" if trigger.policy == "evidence" else ""
        if self.value is None or self.signal == "inconclusive":
            return (
                f"{trigger.key}: {self.samples} of the {trigger.samples} samples in {trigger.minutes:g} min that it "
                f"takes to judge {name}{grown}"
            )
        verb = "is" if self.signal == "breach" else "is not"
        return (
            f"{trigger.key}: {name}, {_shown(trigger, self.value)} over {trigger.minutes:g} min "
            f"({self.samples} samples), {verb} {beyond}{grown}"
        )


def starting(
    trigger: Trigger, flag: str, at: datetime, *, baseline: float | None = None, learn: int = LEARNED_FROM
) -> TriggerState:
    """A trigger that begins to watch a flag. A `baseline` that is known need not be learned; with `learn` 0 none is, and the
    evidence is the threshold's alone, as it always is for errors.

    Raises `ValueError` for a threshold that is not inside the metric's range, or a baseline that is not on its good side.
    """
    if trigger.metric == "error" and trigger.worse == "above":
        return TriggerState(flag, at, likelihood_ratio(trigger.threshold), Baseline(0))
    evidence = betting(trigger.threshold, trigger.worse, trigger.low, trigger.high)
    if baseline is None:
        return TriggerState(flag, at, evidence, Baseline(learn))
    known = Baseline(0, value=baseline)
    return TriggerState(flag, at, evidence, known, change=_change(trigger, baseline))


def restarted(state: TriggerState, at: datetime) -> TriggerState:
    """The trigger at the beginning of a stage: window and evidence are empty, and samples from before `at` no longer count. A
    baseline that is learned stays."""
    baseline = state.baseline if state.baseline.value is not None else Baseline(state.baseline.asked)
    change = restarted_evidence(state.change) if state.change else None
    return TriggerState(state.flag, at, restarted_evidence(state.evidence), baseline, change=change)


def observe(trigger: Trigger, state: TriggerState, sample: Sample) -> tuple[TriggerState, Verdict]:
    """The state after a sample, and what the trigger says at its time.

    A sample counts if the flag was on for it, its metric is there, and it is not from before `state.since`. One that is late, with
    an earlier time than the last, counts at the time of the last. Samples have no identity: give each once.
    """
    value = _value(trigger, sample)
    if value is None or state.flag not in sample.on or sample.at < state.since:
        return state, at(trigger, state, sample.at)
    now = max(sample.at, state.window[-1][0]) if state.window else sample.at
    window = (*_recent(trigger, state.window, now), (now, value))
    baseline, change = state.baseline, state.change
    if change is not None:
        change = updated(change, value)
    elif baseline.asked:
        baseline = _learned(trigger, baseline, value)
        change = _change(trigger, baseline.value) if baseline.value is not None else None
    evidence = updated(state.evidence, value)
    state = TriggerState(state.flag, state.since, evidence, baseline, window, change)
    return state, _verdict(trigger, state, window, now)


def at(trigger: Trigger, state: TriggerState, now: datetime) -> Verdict:
    """What the trigger says at a moment without a new sample: the window has moved on, the evidence is what it was."""
    return _verdict(trigger, state, _recent(trigger, state.window, now), now)


def _verdict(
    trigger: Trigger, state: TriggerState, window: tuple[tuple[datetime, float], ...], now: datetime
) -> Verdict:
    count = len(window)
    value = fsum([value for _, value in window]) / count if count else None
    distance = None if value is None else _distance(trigger, value)
    signal: Signal = "inconclusive"
    if distance is not None and count >= trigger.samples:
        signal = "breach" if distance < 0 else "clear"
    bound = log10(trigger.bound)
    evidence = min(_evidence(trigger, state), bound)
    rolls_back = signal == "breach" if trigger.policy == "literal" else evidence >= bound
    return Verdict(trigger, state.flag, now, count, value, distance, signal, evidence, rolls_back)


def _evidence(trigger: Trigger, state: TriggerState) -> float:
    if state.change is None:
        return state.evidence.log10
    mean, error = state.change.mean, state.change.error
    counts = mean is not None and error is not None and _distance(trigger, mean) < -error
    return together((state.evidence.log10, state.change.log10 if counts else 0.0))


def _recent(
    trigger: Trigger, window: tuple[tuple[datetime, float], ...], now: datetime
) -> tuple[tuple[datetime, float], ...]:
    begin = now - timedelta(minutes=trigger.minutes)
    for place, (when, _) in enumerate(window):
        if when > begin:
            return window[place:]
    return ()


def _learned(trigger: Trigger, baseline: Baseline, value: float) -> Baseline:
    asked, count, total = baseline.asked, baseline.samples + 1, baseline.total + _cut(trigger, value)
    if count < asked:
        return Baseline(asked, count, total)
    mean = total / count
    return Baseline(asked, count, total, mean) if _distance(trigger, mean) > 0 else Baseline(asked)


def _change(trigger: Trigger, baseline: float) -> Evidence:
    return against_baseline(baseline, trigger.threshold, trigger.worse, trigger.low, trigger.high)


def _value(trigger: Trigger, sample: Sample) -> float | None:
    if trigger.metric == "quality":
        return sample.quality
    return float(sample.error) if trigger.metric == "error" else sample.seconds


def _distance(trigger: Trigger, value: float) -> float:
    return value - trigger.threshold if trigger.worse == "below" else trigger.threshold - value


def _cut(trigger: Trigger, value: float) -> float:
    return min(max(value, trigger.low), trigger.high)


def _shown(trigger: Trigger, value: float) -> str:
    if trigger.metric == "error":
        return f"{value:.1%}".replace(".0%", "%")
    return f"{value:.0f} s" if trigger.metric == "seconds" else f"{value:.1f}"
