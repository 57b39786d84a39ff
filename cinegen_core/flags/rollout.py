"""Whether a rollout may take its next step. Nothing here acts, and nothing here reads a clock.

The dwell of a phase is time in which the rollout ran: what has passed since the phase began, less what it stood still, paused or
waiting. `standing.since` stays at the beginning of the phase when a rollout resumes; how long it stood still is told apart.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta
from typing import Literal, NamedTuple

from cinegen_core.flags.model import RolloutOverlay, RolloutPlan, Sample
from cinegen_core.flags.triggers import Verdict

FAILED_READS = 5
"""Reads of the metrics that fail in a row before a rollout pauses: fewer are a hiccup."""

DecisionKind = Literal["hold", "advance", "await_approval", "complete", "pause"]
GateName = Literal["dwell", "quality", "errors", "samples"]


class Gate(NamedTuple):
    """What one gate asks and finds. Dwell is in hours, errors are a share 0..1, quality on the scale of the plan. `met` is None
    where there is no data: it holds as if unmet."""

    name: GateName
    asked: float
    value: float | None
    met: bool | None


class Decision(NamedTuple):
    """What should happen to a rollout, and why. `phase` (from 0) is the one that it was in, None where the plan has no such phase;
    `gates` are that phase's, in order."""

    rollout: str
    kind: DecisionKind
    reason: str
    phase: int | None = None
    gates: tuple[Gate, ...] = ()


class Tally(NamedTuple):
    """What gates need to know of samples: how many, how many were errors, how many had a quality, and the sum of these."""

    samples: int = 0
    errors: int = 0
    scored: int = 0
    quality: float = 0.0

    def and_also(self, sample: Sample) -> Tally:
        """With one more."""
        scored, quality = self.scored, self.quality
        if sample.quality is not None:
            scored, quality = scored + 1, quality + sample.quality
        return Tally(self.samples + 1, self.errors + sample.error, scored, quality)


def tally(samples: Iterable[Sample]) -> Tally:
    """Of samples of the on cohort of one phase."""
    found = Tally()
    for sample in samples:
        found = found.and_also(sample)
    return found


def progress(
    plan: RolloutPlan,
    standing: RolloutOverlay,
    samples: Iterable[Sample] | Tally,
    now: datetime,
    *,
    idle: timedelta = timedelta(0),
    signals: Sequence[Verdict] = (),
    failed_reads: int = 0,
) -> Decision:
    """Whether to hold, take the next step, or pause.

    `samples` are those of the flag's on cohort since `standing.since`, or their tally. `idle` is how long the rollout has stood
    still since then, up to now. `signals` are what the triggers on the
    flag say now: a breach pauses, also while an approval is awaited. `failed_reads` counts reads of the metrics that failed in a
    row. Without a single sample, or one with a quality, nothing is ever promoted, whatever the plan asks.
    """
    counted = samples if isinstance(samples, Tally) else tally(samples)
    if standing.phase >= len(plan.phases):
        return Decision(plan.key, "hold", f"the plan has no phase {standing.phase + 1}")
    gates = _gates(plan, standing, counted, now - standing.since - idle)
    kind, reason = _decided(plan, standing, gates, signals, failed_reads)
    return Decision(plan.key, kind, reason, standing.phase, gates)


def dwell_over(
    plan: RolloutPlan, standing: RolloutOverlay, idle: timedelta = timedelta(0)
) -> datetime | None:
    """When the dwell of a running rollout's phase is over, None for one that is not running."""
    if standing.state != "running" or standing.phase >= len(plan.phases):
        return None
    return standing.since + idle + timedelta(hours=plan.phases[standing.phase].dwell_hours)


def _decided(
    plan: RolloutPlan,
    standing: RolloutOverlay,
    gates: tuple[Gate, ...],
    signals: Sequence[Verdict],
    failed_reads: int,
) -> tuple[DecisionKind, str]:
    if standing.state not in {"running", "awaiting_approval"}:
        return "hold", f"{standing.state}: {standing.why}" if standing.why else standing.state
    if failed_reads >= FAILED_READS:
        return "pause", f"{failed_reads} reads of the metrics in a row have failed"
    breaches = [verdict.words for verdict in signals if verdict.signal == "breach"]
    if breaches:
        return "pause", "; ".join(breaches)
    if standing.state == "awaiting_approval":
        return "hold", "waiting for approval"
    missing = [_words(gate) for gate in gates if not gate.met]
    if missing:
        return "hold", "; ".join(missing)
    if plan.phases[standing.phase].approval:
        return (
            "await_approval",
            f"phase {standing.phase + 1} has met its gates; its end is for a person to approve",
        )
    if standing.phase + 1 < len(plan.phases):
        following = plan.phases[standing.phase + 1]
        return "advance", f"phase {standing.phase + 1} has met its gates; next: {following.percent} %"
    return "complete", "the last phase has met its gates"


def _gates(plan: RolloutPlan, standing: RolloutOverlay, counted: Tally, ran: timedelta) -> tuple[Gate, ...]:
    phase = plan.phases[standing.phase]
    quality = counted.quality / counted.scored if counted.scored else None
    errors = counted.errors / counted.samples if counted.samples else None
    enough = None if not counted.samples else counted.samples >= phase.samples
    hours, over = max(0.0, ran / timedelta(hours=1)), ran >= timedelta(hours=phase.dwell_hours)
    return (
        Gate("dwell", phase.dwell_hours, hours, over),
        Gate("quality", phase.quality, quality, None if quality is None else quality >= phase.quality),
        Gate("errors", phase.errors, errors, None if errors is None else errors <= phase.errors),
        Gate("samples", phase.samples, counted.samples, enough),
    )


def _words(gate: Gate) -> str:
    asked, value = gate.asked, gate.value
    if value is None or gate.met is None:
        return f"{gate.name}: no data"
    if gate.name == "dwell":
        return f"dwell: {value:.1f} of {asked:g} h"
    if gate.name == "quality":
        return f"quality: {value:.2f}, at least {asked:g} asked"
    if gate.name == "errors":
        return f"errors: {value:.1%}, at most {asked:.1%} allowed"
    return f"samples: {value:.0f} of {asked:.0f}"
