"""What if: other thresholds, windows and policies over what was recorded, and which rollbacks would have come when."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any, cast, get_args

import altair as alt
import pandas as pd
import streamlit as st
from pydantic import ValidationError

from cinegen_core.analysis.charts import ACCENT
from cinegen_core.flags.model import Declared, Metric, Trigger, TriggerPolicy
from cinegen_core.flags.replay import Replayed
from cinegen_core.monitor.events import Series
from cinegen_core.steering import KEPT
from pages.flags_readings import Tried, Wanted
from pages.flags_sheets import Entry, entries_html, metric_words
from pages.frame import moment
from pages.ink import spec_of
from pages.shared import literal

SERIES_WORDS: dict[Series, str] = {
    "live": "Live episodes",
    "staging": "Staging: a rehearsal",
    "simulated": "Simulated: none of it happened",
}
_METRICS: dict[Metric, str] = {"quality": "mean quality, 0 to 10", "error": "errors, %", "seconds": "mean time, s"}  # fmt: skip
_KINDS = {"roll_back": "roll back", "pause": "pause", "warn": "warn"}
_DOTTED, _DASHED = [2, 3], [9, 5]
_SHOWN = 40


def asked(declared: Declared, series: Series) -> Wanted | None:
    """What the visitor wants to try; None where it makes no sense, which is said."""
    keys = list(declared.triggers)
    key = st.selectbox("Trigger to try otherwise", keys, key="trigger", bind="query-params")
    trigger = declared.triggers[key or keys[0]]
    scale = 100.0 if trigger.metric == "error" else 1.0
    with st.form("what_if", border=False):
        left, middle, right = st.columns(3)
        threshold = left.number_input(
            f"Threshold ({_METRICS[trigger.metric]})", scale * trigger.low, scale * trigger.high, scale * trigger.threshold,
            key=f"{trigger.key}_threshold", bind="query-params",
        )  # fmt: skip
        minutes = middle.number_input(
            "Window, minutes", 1.0, 10_080.0, trigger.minutes, 5.0, key=f"{trigger.key}_minutes", bind="query-params",
        )  # fmt: skip
        samples = right.number_input(
            "Episodes at least", 1, 10_000, trigger.samples, 1, key=f"{trigger.key}_samples", bind="query-params"
        )  # fmt: skip
        left, middle, right = st.columns(3)
        policies = get_args(TriggerPolicy)
        policy = left.selectbox(
            "Policy", policies, policies.index(trigger.policy), key=f"{trigger.key}_policy", bind="query-params",
            help="literal: the breach of the threshold itself rolls back. evidence: only once chance no longer explains it.",
        )  # fmt: skip
        bound = middle.number_input(
            "Evidence that rolls back, to 1", 2.0, 1e9, trigger.bound, 100.0, key=f"{trigger.key}_bound", bind="query-params",
        )  # fmt: skip
        days = right.number_input(
            "Days to look back", 1, KEPT.days, KEPT.days, 1, key="days_back", bind="query-params"
        )
        watched = list(trigger.flags or declared.flags)
        left, right = st.columns(2)
        flag = left.selectbox("Draw it for the flag", watched, key=f"{trigger.key}_flag", bind="query-params")
        chosen = right.selectbox(
            "Episodes", get_args(Series), get_args(Series).index(series), key="over",
            format_func=str.capitalize, bind="query-params",
        )  # fmt: skip
        st.form_submit_button("Replay", type="primary", key="replay")
    try:
        tried = Trigger.model_validate(
            {
                **trigger.model_dump(),
                "threshold": trigger.threshold
                if threshold == scale * trigger.threshold
                else threshold / scale,
                "minutes": minutes,
                "samples": samples,
                "policy": policy,
                "bound": bound,
            }
        )
    except ValidationError as error:
        st.error(literal(str(error.errors()[0]["msg"]).removeprefix("Value error, ") + "."))
        return None
    return Wanted(tried, flag or watched[0], cast("Series", chosen or series), float(days))


def what_if(found: Tried, declared: Declared, wanted: Wanted) -> None:
    """What came of it, in words, as a chart and as a table."""
    if wanted.series != "live":
        st.info(literal(f"{SERIES_WORDS[wanted.series]}. Nothing live is judged by it."))
    if not found.samples:
        st.info(
            "Nothing is recorded in this time that triggers could have watched. Each episode that is written counts; "
            "`cinegen simulate` fills the simulated series to try this on."
        )
        return
    before = declared.triggers[wanted.trigger.key]
    st.caption(
        literal(
            f"{found.samples:,} episodes, {moment(found.first)} to {moment(found.last)}. What was recorded happened as it did: "
            "episodes that a rollback would have prevented are counted as spared."
        )
    )
    told = [f"As declared ({_rule(before)}): {summary(found.declared)}"]
    if wanted.trigger == before:
        told.append("Change something above and replay it, to see what would have become of it.")
    else:
        told.append(f"As tried ({_rule(wanted.trigger)}): {summary(found.tried)}")
    st.markdown("\n".join(f"- {literal(words)}" for words in told))
    if found.points:
        st.vega_lite_chart(spec=spec_of(lambda: _chart(found, wanted, before)), width="stretch")
        st.caption(literal(_course_words(found, wanted)))
    lists = [("As declared", found.declared), ("As tried", found.tried)]
    for head, replayed in lists[: 1 if wanted.trigger == before else 2]:
        rows = _entries(replayed)
        if rows:
            st.markdown(
                f"**{head}**" + (f" (the first {_SHOWN} of {len(rows)})" if len(rows) > _SHOWN else "")
            )
            st.html(entries_html(rows[:_SHOWN], head))


def summary(found: Sequence[Replayed]) -> str:
    """How often it would have warned, paused and rolled back, and what each rollback would have spared."""
    counts = {kind: sum(one.action.kind == kind for one in found) for kind in _KINDS}
    head = f"{counts['warn']} warnings, {counts['pause']} pauses, "
    rollbacks = [one for one in found if one.action.kind == "roll_back"]
    if not rollbacks:
        return head + "no rollback."
    told = "; ".join(
        f"{one.action.flag} at {moment(one.action.at)}, after {one.before:,} episodes with it, {one.after:,} spared"
        for one in rollbacks[:4]
    )
    more = f"; and {len(rollbacks) - 4} more" if len(rollbacks) > 4 else ""
    return f"{head}{len(rollbacks)} rollback{'s' if len(rollbacks) > 1 else ''}: {told}{more}."


def _rule(trigger: Trigger) -> str:
    evidence = f", evidence {trigger.bound:,.0f} to 1" if trigger.policy == "evidence" else ""
    return (
        f"{trigger.worse} {metric_words(trigger.metric, trigger.threshold)} over {trigger.minutes:g} min, "
        f"{trigger.samples} episodes at least, policy {trigger.policy}{evidence}"
    )


def _entries(found: Sequence[Replayed]) -> list[Entry]:
    entries = []
    for one in found:
        if one.action.kind not in ("roll_back", "pause"):
            continue
        lines = [one.action.words + ".", f"After {one.before:,} episodes with {one.action.flag} on."]
        if one.action.kind == "roll_back":
            lines[-1] += f" It would have spared {one.after:,} later ones."
        what = f"{_KINDS[one.action.kind]} {one.action.rollout or one.action.flag}"
        entries.append(Entry(what, moment(one.action.at), tuple(lines)))
    return entries


def _course_words(found: Tried, wanted: Wanted) -> str:
    means = [point.mean for point in found.points]
    rule = wanted.trigger
    worst = min(means) if rule.worse == "below" else max(means)
    beyond = sum(mean < rule.threshold if rule.worse == "below" else mean > rule.threshold for mean in means)
    return (
        f"With {wanted.flag} on: {len(means)} points, a point for each {_step_words(found)} that had episodes; the worst "
        f"{metric_words(rule.metric, worst)}, {beyond} of them beyond the threshold tried. Level lines are thresholds, upright ones "
        "rollbacks of this flag: dotted as declared, dashed as tried."
    )


def _step_words(found: Tried) -> str:
    minutes = found.step.total_seconds() / 60
    if minutes < 60:
        return f"{minutes:.0f} min"
    return f"{minutes / 60:.0f} h" if minutes < 1440 else f"{minutes / 1440:.0f} days"


def _chart(found: Tried, wanted: Wanted, before: Trigger) -> Any:
    scale = 100.0 if wanted.trigger.metric == "error" else 1.0
    unit = _METRICS[wanted.trigger.metric]
    shown = pd.DataFrame(
        {
            "at": [point.at for point in found.points],
            "mean": [scale * point.mean for point in found.points],
            "samples": [point.samples for point in found.points],
        }
    )
    x = alt.X("at:T", title=f"when (UTC), by {_step_words(found)}", scale=alt.Scale(type="utc"))
    base = alt.Chart(shown).encode(x=x, y=alt.Y("mean:Q", title=unit, scale=alt.Scale(zero=False)))
    layers: list[alt.Chart] = [
        base.mark_line(color=ACCENT, strokeWidth=1),
        base.mark_point(color=ACCENT, filled=True, size=22).encode(
            tooltip=[
                alt.Tooltip("at:T", title="from"),
                alt.Tooltip("mean:Q", title=unit, format=".2f"),
                alt.Tooltip("samples:Q", title="episodes"),
            ]
        ),
    ]
    both = 1 if wanted.trigger == before else 2
    for trigger, dash in ((before, _DOTTED), (wanted.trigger, _DASHED))[:both]:
        level = pd.DataFrame({"mean": [scale * trigger.threshold]})
        layers.append(alt.Chart(level).mark_rule(color=ACCENT, strokeDash=dash, strokeWidth=2).encode(y="mean:Q"))  # fmt: skip
    for replayed, dash in ((found.declared, _DOTTED), (found.tried, _DASHED))[:both]:
        marks = pd.DataFrame({"at": _rollbacks(replayed, wanted.flag)})
        if len(marks):
            layers.append(
                alt.Chart(marks).mark_rule(color=ACCENT, strokeDash=dash, strokeWidth=2).encode(x=x)
            )
    return alt.layer(*layers).properties(height=280)


def _rollbacks(found: Sequence[Replayed], flag: str) -> list[datetime]:
    return [one.action.at for one in found if one.action.kind == "roll_back" and one.action.flag == flag]
