"""Figures on the page about health: criteria against targets, times, tiers, engines, flags, readers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import altair as alt
import streamlit as st

from cinegen_core.monitor.metrics import LEAST_PAIRS, CohortFigures, Correlation, Figures
from cinegen_core.telling import TIER_WORDS
from pages.frame import NO_DATA, fold, number, percent, span, table
from pages.health_readings import LATENCY_DAYS, DayTimes
from pages.ink import Ink, Layered, ink, inked, spec_of
from pages.shared import literal

if TYPE_CHECKING:
    from cinegen_core.readiness import Finding

_FLAGS_PAGE = "pages/flags.py"
_NAMES = {"p50": "P50", "p95": "P95", "p99": "P99"}


def criteria(findings: Sequence[Finding]) -> None:
    """Each success criterion: measured, target, verdict, and what it was measured from."""
    verdicts = [finding.verdict for finding in findings]
    counted = ", ".join(f"{verdicts.count(verdict)} {verdict}" for verdict in ("met", "not met", "no data"))
    st.caption(
        f"{len(findings)} criteria: {counted}. A verdict takes enough samples; with fewer there is none."
    )
    table(finding_row(finding) for finding in findings)


def finding_row(finding: Finding) -> dict[str, str]:
    """One criterion or indicator, as a row of texts."""
    few = f", at least {finding.least} needed" if finding.samples < finding.least else ""
    return {
        "Criterion": finding.name,
        "Measured": _measured(finding),
        "Target": finding.target,
        "Verdict": finding.verdict,
        "From": f"{finding.samples:,} {finding.of}{few}",
    }


def notes(findings: Sequence[Finding]) -> None:
    """What else there is to know of some of them."""
    told = [f"{finding.name}: {finding.note}" for finding in findings if finding.note]
    if told:
        st.caption("  \n".join(literal(line) for line in told))


def _measured(finding: Finding) -> str:
    if finding.measured is None:
        return NO_DATA
    if finding.unit == "s":
        return span(finding.measured)
    digits = 0 if not finding.unit else 2 if finding.unit == "of 10" else 1
    interval = "" if finding.low is None else f" ({finding.low:.2f} to {finding.high:.2f})"
    return number(finding.measured, finding.unit if finding.unit != "%" else " %", digits) + interval


def measured(found: Figures, uptime: float | None) -> None:
    """Quality, errors, fallbacks, cost: one row each."""
    classes = ", ".join(f"{name} {share:.0f} %" for name, share in (found.quality_classes or {}).items())
    rows = {
        "Episodes": f"{found.episodes:,} (since the start {found.total_episodes:,})",
        "Quality, on the guide's scale": number(found.mean_quality, "of 10", 2),
        "Score, on the scorer's scale": number(found.mean_score, "of 10", 2),
        "Classes": classes or NO_DATA,
        "Cinematic (8.0 or more)": percent(found.cinematic_share),
        "Success": percent(found.success_rate),
        "Errors": percent(found.error_rate),
        "Fallbacks": percent(found.fallback_rate),
        "Seamless among them": percent(found.seamless_fallback),
        "Engines that delivered": percent(found.engine_success_rate),
        "Uptime": percent(uptime, 2),
        "Tokens": number(found.tokens, "", 0),
        "Cost": NO_DATA if found.cost is None else f"${found.cost:,.4f}",
    }
    table({"Figure": name, "Measured": value} for name, value in rows.items())


def times(found: Figures, days: Sequence[DayTimes] | None) -> None:
    """Percentiles of the span, then by day as a chart and as a table."""
    taken = found.seconds
    st.subheader("Processing time")
    table(
        [
            {"P50": span(taken.p50), "P95": span(taken.p95), "P99": span(taken.p99), "Mean": span(taken.mean)}
            if taken is not None
            else dict.fromkeys(("P50", "P95", "P99", "Mean"), NO_DATA)
        ],
        caption="From request to answer, waiting included. P95 is the time that 95 of 100 answers stay within; exact, over all of the span.",
    )
    if days is None:
        st.caption("The days are being counted.")
    elif len(days) < 2:
        st.caption("By day: not before there are answers on two days.")
    else:
        colours = ink()
        spec = spec_of(lambda: latency_chart(days, colours))
        st.vega_lite_chart(spec=spec, width="stretch", alt=_latency_words(days))
        fold("The same by day, as a table", lambda: _by_day(days), key="times_by_day")


def _by_day(days: Sequence[DayTimes]) -> None:
    table(
        {
            "Day (UTC)": f"{one.day:%d %b}",
            "Answers": f"{one.answers:,}",
            "P50": span(one.times.p50),
            "P95": span(one.times.p95),
            "P99": span(one.times.p99),
        }
        for one in reversed(days)
    )


def _latency_words(days: Sequence[DayTimes]) -> str:
    last = days[-1]
    return (
        f"Processing time by day over {len(days)} days; on {last.day:%d %b} P50 {span(last.times.p50)}, "
        f"P95 {span(last.times.p95)}, P99 {span(last.times.p99)}."
    )


def latency_chart(days: Sequence[DayTimes], colours: Ink) -> Layered:
    """Three lines, told apart by dash and mark as well as by colour."""
    rows = [
        {"day": one.day.isoformat(), "seconds": getattr(one.times, key), "of": name}
        for one in days
        for key, name in _NAMES.items()
    ]
    base = alt.Chart(alt.InlineData(values=rows)).encode(
        x=alt.X("day:T", title=f"Day (UTC), the last {LATENCY_DAYS}", axis=alt.Axis(format="%d %b")),
        y=alt.Y("seconds:Q", title="Seconds from request to answer"),
        tooltip=[
            alt.Tooltip("day:T", title="Day", format="%d %b"),
            alt.Tooltip("of:N", title="Percentile"),
            alt.Tooltip("seconds:Q", title="Seconds", format=".1f"),
        ],
    )
    names = list(_NAMES.values())
    legend = alt.Legend(orient="top", title=None, symbolStrokeWidth=2, symbolSize=90, symbolDash=[1, 0])
    colour = alt.Color(
        "of:N", legend=legend,
        scale=alt.Scale(domain=names, range=[colours.text, colours.accent, colours.text]),
    )  # fmt: skip
    dash = alt.StrokeDash("of:N", legend=None, scale=alt.Scale(domain=names, range=[[1, 0], [6, 3], [2, 3]]))
    shape = alt.Shape(
        "of:N", legend=legend, scale=alt.Scale(domain=names, range=["circle", "square", "triangle-up"])
    )
    return inked(
        alt.layer(
            base.mark_line().encode(color=colour, strokeDash=dash),
            base.mark_point(size=45).encode(color=colour, shape=shape),
        ).properties(height=260),
        colours,
    )


def tiers(found: Figures) -> None:
    """Which tier answered, how well, and how long it took."""
    st.subheader("Tiers")
    if not found.tiers:
        st.caption("No answers in this span.")
    table(
        {
            "Written": TIER_WORDS[tier],
            "Answers": f"{of.count:,}",
            "Share": percent(100.0 * of.count / found.episodes),
            "Quality of 10": number(of.quality, "", 2),
            "Mean time": span(of.seconds),
        }
        for tier, of in (found.tiers or {}).items()
    )


def engines(found: Figures) -> None:
    """Each engine, those that deliver least often first."""
    st.subheader("Engines")
    if not found.engines:
        st.caption("No engine was active in this span.")
        return
    st.caption(
        "Delivered: a valid directive in time. In the script: how far what it asked for is there, on average."
    )
    table(
        {
            "Engine": name,
            "Delivered": f"{engine.delivered:,} of {engine.active:,}",
            "Success": percent(engine.success_rate),
            "In the script": percent(None if engine.realised is None else 100.0 * engine.realised),
        }
        for name, engine in sorted(found.engines.items(), key=lambda pair: (pair[1].success_rate, pair[0]))
    )


def flags(found: Figures, *, may_change: bool) -> None:
    """Both cohorts of each flag, in short; the page about flags has the rest."""
    st.subheader("Flags")
    if not found.flags:
        st.caption("No answers in this span, so no cohorts.")
    table(
        _cohort_row(key, name, cohort)
        for key, flag in (found.flags or {}).items()
        for name, cohort in (("on", flag.on), ("off", flag.off))
        if cohort.usage
    )
    if may_change and Path(_FLAGS_PAGE).exists():
        st.page_link(_FLAGS_PAGE, label="Flags and rollback", icon=":material/toggle_on:")


def _cohort_row(key: str, name: str, cohort: CohortFigures) -> dict[str, str]:
    return {
        "Flag": key,
        "Cohort": name,
        "Episodes": f"{cohort.usage:,}",
        "Quality of 10": number(cohort.quality, "", 2),
        "Success": percent(cohort.success_rate),
        "Mean time": span(cohort.seconds),
    }


def readers(found: Figures) -> None:
    """What readers gave, whether they came to the choice, and whether they agree with the scorer."""
    given = found.satisfaction
    st.subheader("Satisfaction")
    table(
        [
            {
                "Satisfaction": NO_DATA if given is None else number(given.mean, "of 10", 2),
                "Ratings": "none" if given is None else f"{given.count:,}",
                "Completion": percent(found.completion),
            }
        ],
        caption="Each reader's last rating of each episode counts. Completion: of the episodes shown, those whose reader came to the choice.",
    )
    if given is None:
        st.caption("Nobody has rated an episode in this span: readers rate on the page on which they read.")
    st.subheader("Do readers agree with the scorer?")
    if found.rating_quality is None:
        st.caption(
            f"{NO_DATA.capitalize()}: it takes {LEAST_PAIRS} ratings of scored episodes, not all of them the same."
        )
        return
    rows: dict[str, Correlation] = {"quality": found.rating_quality, **(found.rating_dimensions or {})}
    colours = ink()
    spec = spec_of(lambda: agreement_chart(rows, colours))
    st.vega_lite_chart(spec=spec, width="stretch", alt=_agreement_words(found.rating_quality))
    table(
        (
            {
                "Ratings with": name.replace("_", " "),
                "Correlation": f"{found.value:+.2f}",
                "95 % interval": _interval(found),
                "Ratings": f"{found.pairs:,}",
            }
            for name, found in rows.items()
        ),
        caption="Spearman's rank correlation, -1 to 1, its interval by Fisher's z. An interval that holds 0 shows no agreement.",
    )


def _interval(found: Correlation) -> str:
    return "none" if found.low is None else f"{found.low:+.2f} to {found.high:+.2f}"


def _agreement_words(found: Correlation) -> str:
    return f"Correlation of ratings with quality {found.value:+.2f}, interval {_interval(found)}; the table has the dimensions."


def agreement_chart(rows: Mapping[str, Correlation], colours: Ink) -> Layered:
    """A mark with its interval for each; the line stands at 0."""
    values = [
        {"of": name.replace("_", " "), "value": found.value, "low": found.low, "high": found.high}
        for name, found in rows.items()
    ]
    title = "Rank correlation with ratings"
    base = alt.Chart(alt.InlineData(values=values)).encode(
        y=alt.Y("of:N", sort=[str(one["of"]) for one in values], title=None)
    )
    zero = (
        alt.Chart(alt.InlineData(values=[{"at": 0}]))
        .mark_rule(strokeDash=[3, 3], color=colours.text)
        .encode(x=alt.X("at:Q", title=title))
    )
    axis = alt.X("value:Q", title=title, scale=alt.Scale(domain=[-1, 1]))
    whisker = base.mark_rule(strokeWidth=2, color=colours.text).encode(
        x=alt.X("low:Q", title=title), x2="high:Q"
    )
    mark = base.mark_point(filled=True, size=70, color=colours.accent).encode(
        x=axis,
        tooltip=[
            alt.Tooltip("of:N", title="Ratings with"),
            alt.Tooltip("value:Q", title="Correlation", format="+.2f"),
            alt.Tooltip("low:Q", title="From", format="+.2f"),
            alt.Tooltip("high:Q", title="To", format="+.2f"),
        ],
    )
    return inked(alt.layer(zero, whisker, mark).properties(height=28 * len(values) + 20), colours)
