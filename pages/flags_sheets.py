"""Flags, rollouts and triggers as HTML: a marked-up page, with an asterisk in the margin where something was revised. All text is escaped."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from html import escape
from typing import NamedTuple

from cinegen_core.flags.cohorts import Cohort, Difference
from cinegen_core.flags.overviews import PhaseStanding, Standing
from cinegen_core.flags.rollout import Gate
from cinegen_core.flags.stages import Stage
from cinegen_core.flags.triggers import Verdict
from pages.flags_readings import Fared
from pages.frame import NO_DATA, ago, moment, number, percent, span

_STYLE = """<style>
.marked { --line: color-mix(in srgb, currentColor 22%, transparent); font-size: 0.95rem; line-height: 1.45; }
.marked ul, .marked ol { list-style: none; margin: 0; padding: 0; }
.marked li { margin: 0; }
.marked code, .marked .slug { font-family: 'Courier Prime', 'Courier New', Courier, 'Liberation Mono', monospace; font-size: 0.95em;
  background: none; color: inherit; padding: 0; overflow-wrap: anywhere; }
.marked .slug { font-weight: 700; margin: 0; }
.marked .slug span { font-weight: 400; }
.marked p { margin: 0; font-size: inherit; }
.flag-list > li { position: relative; padding: 0.55rem 1.6rem 0.55rem 0; border-top: 1px solid var(--line); }
.flag-list > li:last-child { border-bottom: 1px solid var(--line); }
.marked .revised { position: absolute; right: 0.2rem; top: 0.5rem; font: 700 1.15rem 'Courier New', Courier, monospace; }
.flag-list .fared { font-variant-numeric: tabular-nums; font-size: 0.9em; }
.phases { display: grid; grid-template-columns: repeat(auto-fit, minmax(9.5rem, 1fr)); gap: 0.8rem; }
.phases > li { border-top: 2px solid var(--line); padding-top: 0.45rem; }
.phases > li.done { border-top-style: solid; border-top-color: currentColor; }
.phases > li.here { border-top: 5px double currentColor; }
.phases > li.ahead { border-top-style: dashed; }
.phases .gates { font-size: 0.9em; margin-top: 0.3rem; font-variant-numeric: tabular-nums; }
.phases .gates b { display: inline-block; }
.entries > li { position: relative; padding: 0.5rem 1.6rem 0.5rem 0; border-top: 1px solid var(--line); font-variant-numeric: tabular-nums; }
.triggers > li { padding: 0.6rem 0; border-top: 1px solid var(--line); }
.bar { position: relative; height: 0.95rem; margin: 1.25rem 0 0.35rem; border: 1px solid color-mix(in srgb, currentColor 45%, transparent); }
.bar i { display: block; height: 100%; background: color-mix(in srgb, currentColor 38%, transparent); }
.bar.beyond i { background: repeating-linear-gradient(135deg, currentColor 0 2px, color-mix(in srgb, currentColor 22%, transparent) 2px 7px); }
.bar b { position: absolute; top: -0.35rem; bottom: -0.35rem; width: 0; border-left: 2px solid currentColor; }
.bar span { position: absolute; top: -1.35rem; transform: translateX(-50%); font-size: 0.8rem; white-space: nowrap; }
.bar span.right { transform: translateX(-100%); }
.bar span.left { transform: none; }
</style>"""

COUNTING = (
    '<p style="margin: 0 0 0.4rem">Going through what is recorded. It takes some seconds where there is much of it.</p>'
    '<progress aria-label="Counting" style="width: 100%; accent-color: currentColor"></progress>'
)


class Entry(NamedTuple):
    """Something with its state, and lines about it; `revised` gets the asterisk."""

    head: str
    state: str
    lines: tuple[str, ...] = ()
    revised: bool = False


def entries_html(entries: Sequence[Entry], label: str) -> str:
    """Entries under each other, which fit any width."""
    items = "".join(
        f'<li>{_REVISED if one.revised else ""}<p class="slug">{escape(one.head)}'
        f"{f' <span>- {escape(one.state)}</span>' if one.state else ''}</p>"
        + "".join(f"<p>{escape(line)}</p>" for line in one.lines)
        + "</li>"
        for one in entries
    )
    return f'{_STYLE}<div class="marked"><ul class="entries" aria-label="{escape(label)}">{items}</ul></div>'


_REVISED = '<span class="revised" aria-hidden="true">*</span>'
_STATES = {"done": "done", "here": "here", "ahead": "ahead"}


def flags_html(
    standings: Sequence[Standing], revised: Iterable[str], fared: Mapping[str, Fared] | None
) -> str:
    """Every flag with its state, what it needs, and how those with it and without it fare; an asterisk where it is not as its file says."""
    marked = frozenset(revised)
    items = "".join(_flag(one, one.key in marked, fared) for one in standings)
    return f'{_STYLE}<div class="marked"><ul class="flag-list" aria-label="Flags">{items}</ul></div>'


def _flag(one: Standing, revised: bool, fared: Mapping[str, Fared] | None) -> str:
    mark = _REVISED if revised else ""
    parts = [one.description] if one.description else []
    if one.needs:
        parts.append(f"Needs {', '.join(one.needs)}")
    if one.rollout:
        parts.append(f"Raised by {one.rollout}")
    if revised:
        parts.append(f"Its file says: {one.declared_words}")
    why = f"<p>{escape(one.latched)}</p>" if one.latched else ""
    found = fared.get(one.key) if fared is not None else None
    told = "Being counted." if found is None else fared_words(found)
    return (
        f'<li>{mark}<p class="slug">{escape(one.key)} <span>- {escape(one.words)}</span></p>'
        f'<p>{escape(". ".join(parts))}</p>{why}<p class="fared">{escape(told)}</p></li>'
    )


def fared_words(found: Fared) -> str:
    """Both cohorts in a line."""
    if not found.on.usage and not found.off.usage:
        return "No episodes yet."
    return f"With it: {cohort_words(found.on)}. Without: {cohort_words(found.off)}."


def cohort_words(cohort: Cohort) -> str:
    if not cohort.usage:
        return NO_DATA
    errors = percent(None if cohort.error_rate is None else 100 * cohort.error_rate)
    return f"{cohort.usage:,} episodes, quality {number(cohort.quality)}, errors {errors}, {span(cohort.seconds)}"


def difference_words(found: Difference | None, *, unit: str = "", scale: float = 1.0) -> str:
    """With its interval, or that there is too little for one."""
    if found is None:
        return "too few episodes to tell"
    value, low, high = scale * found.value, scale * found.low, scale * found.high
    clear = "" if low <= 0 <= high else ", more than chance"
    shown = f" {unit}" if unit else ""
    return f"{value:+.2f}{shown} ({low:+.2f} to {high:+.2f}{clear})"


def phases_html(found: Sequence[PhaseStanding], now: datetime) -> str:
    """A plan as a line of phases: which are done, which is on, and what each asks for."""
    items = "".join(_phase(one, now) for one in found)
    return f'{_STYLE}<div class="marked"><ol class="phases" aria-label="Phases">{items}</ol></div>'


def _phase(one: PhaseStanding, now: datetime) -> str:
    since = f", began {ago(one.since, now)}" if one.since is not None and one.state == "here" else ""
    asked = one.phase
    if one.gates:
        lines = [gate_words(gate) for gate in one.gates]
        if one.left:
            lines.append(f"Dwell left: {hours_words(one.left)}.")
    else:
        lines = [
            f"Dwell {asked.dwell_hours:g} h",
            f"Quality at least {asked.quality:g}",
            f"Errors at most {100 * asked.errors:g} %",
            f"At least {asked.samples} episodes",
        ]
    if asked.approval:
        lines.append("A person approves its end")
    told = "".join(f"<li>{escape(line)}</li>" for line in lines)
    current = ' aria-current="step"' if one.state == "here" else ""
    return (
        f'<li class="{one.state}"{current}><p class="slug">{one.number}. {asked.percent} % <span>- {_STATES[one.state]}'
        f'{escape(since)}</span></p><ul class="gates">{told}</ul></li>'
    )


def gate_words(gate: Gate) -> str:
    """What a gate asks, what there is, and whether that is enough."""
    asked = {
        "dwell": "Dwell {} of {}",
        "quality": "Quality {}, at least {}",
        "errors": "Errors {}, at most {}",
        "samples": "Episodes {} of {}",
    }[gate.name]
    met = {True: "met", False: "not met", None: "waits for data"}[gate.met]
    return f"{asked.format(_gate_value(gate, gate.value), _gate_value(gate, gate.asked))}: {met}"


def _gate_value(gate: Gate, value: float | None) -> str:
    if value is None:
        return NO_DATA
    if gate.name == "errors":
        return f"{100 * value:.1f} %"
    if gate.name == "quality":
        return f"{value:.2f}"
    unit = " h" if gate.name == "dwell" else ""
    return f"{value:.1f}".removesuffix(".0") + unit


def hours_words(left: timedelta) -> str:
    hours = left / timedelta(hours=1)
    return f"{hours / 24:.1f} days" if hours >= 48 else f"{hours:.1f} h" if hours >= 1 else f"{60 * hours:.0f} min"  # fmt: skip


def triggers_html(found: Sequence[Verdict]) -> str:
    """What each trigger sees of a flag: the mean against its threshold, and the evidence against its bound, as bars and in words."""
    items = "".join(_trigger(verdict) for verdict in found)
    return f'{_STYLE}<div class="marked"><ul class="triggers" aria-label="Triggers">{items}</ul></div>'


def _trigger(verdict: Verdict) -> str:
    rule = verdict.trigger
    state = {"clear": "clear", "inconclusive": "too few episodes", "breach": "breached"}[verdict.signal]
    distance = "" if verdict.distance is None else f" Distance to the threshold: {distance_words(verdict)}."
    top = min(rule.high, max(2 * rule.threshold, 1.15 * (verdict.value or 0.0)))
    top = rule.high if rule.metric == "quality" else top
    signal = _bar(
        (verdict.value or 0.0) / top,
        rule.threshold / top,
        f"{rule.worse} {metric_words(rule.metric, rule.threshold)}",
        beyond=verdict.signal == "breach",
        label=f"{rule.metric}: {metric_words(rule.metric, verdict.value)}, threshold {metric_words(rule.metric, rule.threshold)}",
    )
    if rule.policy == "evidence":
        strength = _bar(
            verdict.evidence / verdict.bound,
            1.0,
            f"rolls back at {rule.bound:,.0f}",
            beyond=verdict.rolls_back,
            label=f"evidence {verdict.evidence:.1f} of {verdict.bound:.1f} powers of ten",
        )
        policy = f"<p>Evidence so far: {10**verdict.evidence:,.0f} to 1, of {rule.bound:,.0f} to 1 that roll back.</p>"
    else:
        strength = ""
        policy = "<p>Policy literal: the breach itself rolls back.</p>"
    return (
        f'<li><p class="slug">{escape(rule.key)} <span>- {state}</span></p>{signal}'
        f"<p>{escape(verdict.words)}.{escape(distance)}</p>{strength}{policy}</li>"
    )


def _bar(share: float, mark: float, words: str, *, beyond: bool, label: str) -> str:
    width, place = (100 * max(0.0, min(1.0, part)) for part in (share, mark))
    side = "right" if place > 75 else "left" if place < 25 else ""
    return (
        f'<div class="bar{" beyond" if beyond else ""}" role="img" aria-label="{escape(label)}">'
        f'<i style="width: {width:.1f}%"></i><b style="left: {place:.1f}%"></b>'
        f'<span class="{side}" style="left: {place:.1f}%">{escape(words)}</span></div>'
    )


def metric_words(metric: str, value: float | None) -> str:
    if value is None:
        return NO_DATA
    if metric == "error":
        return f"{100 * value:.1f} %"
    return f"{value:.0f} s" if metric == "seconds" else f"{value:.2f}"


def distance_words(verdict: Verdict) -> str:
    assert verdict.distance is not None
    side = "inside" if verdict.distance >= 0 else "beyond"
    return f"{metric_words(verdict.trigger.metric, abs(verdict.distance))} {side}"


def stage_entry(stage: Stage) -> Entry:
    """One percentage that a flag had, and how those with it and without it fared meanwhile."""
    since, until, found = stage.since, stage.until, stage.differences
    begun = "from the beginning" if since is None else f"from {moment(since)}"
    lines = [f"With it: {cohort_words(stage.on)}.", f"Without: {cohort_words(stage.off)}."]
    if found.quality is None and found.error_rate is None:
        lines.append("Too few episodes with it or without it to tell them apart.")
    else:
        errors = difference_words(found.error_rate, unit="points", scale=100.0)
        seconds = difference_words(found.seconds, unit="s")
        lines.append(f"With it less without: quality {difference_words(found.quality)}; errors {errors}; time {seconds}.")  # fmt: skip
    return Entry(
        f"{stage.percent} %",
        f"{begun} {'until now' if until is None else f'to {moment(until)}'}",
        tuple(lines),
    )
