"""Where quality and volume are going, on the page about health."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, Literal

import altair as alt
import streamlit as st

from cinegen_core.monitor.outlook import Day, Outlook
from cinegen_core.monitor.trends import LEAST_DAYS, LEAST_POINTS, Forecast, Trend
from pages.frame import fold, number, percent, span, table
from pages.ink import Ink, Layered, ink, inked, spec_of

_WORDS = {"IMPROVING": "rises", "STABLE": "is stable", "DECLINING": "falls"}
What = Literal["quality", "episodes"]


def trends(found: Outlook, now: datetime) -> None:
    """Quality and volume by day, each with its direction and forecast in words; then the days as a table."""
    if not found.days:
        st.caption("No episodes in the last 56 days, so no trend.")
        return
    over = [day for day in found.days if day.day + timedelta(days=1) <= now.astimezone(UTC)]
    st.caption("The last 56 days, whatever the span above. Charts show whole days of UTC.")
    _one("quality", over, found.quality, found.quality_ahead, found.changes)
    scored = sum(day.quality is not None for day in over)
    st.markdown(_forecast_words(found.quality_ahead, scored, "quality", "of 10", 2))
    if found.changes:
        days = ", ".join(f"{day:%d %b}" for day in found.changes)
        st.caption(
            f"The level changed on {days} (dotted): change points found by PELT, each level lasting five days or more."
        )
    _one("episodes", over, found.volume, found.volume_ahead, ())
    st.markdown(_forecast_words(found.volume_ahead, len(over), "episodes", "a day", 0))
    fold("The days, as a table", lambda: _table(found.days, over), key="trend_days")


def _table(days: Sequence[Day], over: Sequence[Day]) -> None:
    """`over` are the days that have ended."""
    table(
        {
            "Day (UTC)": f"{day.day:%d %b}{'' if day in over else ', so far'}",
            "Episodes": f"{day.episodes:,}",
            "Quality": number(day.quality, "", 2),
            "Errors": percent(day.error_rate),
            "Fallbacks": percent(day.fallback_rate),
            "Engines": percent(day.engine_success_rate),
            "Mean time": span(day.seconds),
        }
        for day in reversed(days)
    )


def _one(
    what: What, days: Sequence[Day], trend: Trend, ahead: Forecast | None, changes: Sequence[datetime]
) -> None:
    st.subheader("Quality" if what == "quality" else "Episodes a day")
    words = trend_words(what, trend)
    st.markdown(words)
    if len(days) > 1:
        colours = ink()
        spec = spec_of(lambda: chart(what, days, ahead, changes, colours))
        st.vega_lite_chart(spec=spec, width="stretch", alt=words)
    else:
        st.caption("A chart takes two whole days.")


def trend_words(what: What, trend: Trend) -> str:
    """The direction, and what it rests on."""
    subject, of, digits = (
        ("Quality", "hourly means", 3) if what == "quality" else ("The number of episodes", "whole days", 1)
    )
    if trend.points < LEAST_POINTS:
        return f"No direction yet: it takes {LEAST_POINTS} {of}, and there are {trend.points}."
    slope = [] if trend.slope is None else [f"{_signed(trend.slope, digits)} from day to day"]
    if trend.low is not None and trend.high is not None:
        slope.append(f"95 %: {_signed(trend.low, digits)} to {_signed(trend.high, digits)}")
    p = "" if trend.p is None else f", p = {trend.p:.3f}" if trend.p >= 0.001 else ", p below 0.001"
    return (
        f"{subject} {_WORDS[trend.direction]} ({'; '.join(slope)}). "
        f"Slope by Theil and Sen, direction by the Mann-Kendall test over {trend.points} {of}{p}."
    )


def _signed(value: float, digits: int) -> str:
    """With its sign, a real minus, which a line is not broken after; what rounds to nothing has none."""
    text = f"{value:+.{digits}f}"
    return text[1:] if float(text) == 0.0 else text.replace("-", "\u2212")


def _forecast_words(ahead: Forecast | None, days: int, what: str, unit: str, digits: int) -> str:
    if ahead is None:
        return f"No forecast: it takes {LEAST_DAYS} whole days with data; there are {days}."
    low = max(0.0, ahead.low)
    return (
        f"Forecast for {ahead.at:%d %b}, if things go on as they have: {ahead.value:.{digits}f} {unit} "
        f"(95 %: {low:.{digits}f} to {ahead.high:.{digits}f}). Line of least squares through the daily {what}, "
        "interval for a single day."
    )


def chart(
    what: What, days: Sequence[Day], ahead: Forecast | None, changes: Sequence[datetime], colours: Ink
) -> Layered:
    """The days as a line with marks, days on which the level changed as dotted lines, the forecast as a cross with its interval."""
    title = "Mean quality (0 to 10)" if what == "quality" else "Episodes a day"
    rows = [
        {"day": day.day.isoformat(), "value": day.quality if what == "quality" else day.episodes}
        for day in days
    ]
    scale = alt.Scale(zero=what != "quality")
    x = alt.X("day:T", title="Day (UTC)", axis=alt.Axis(format="%d %b"))
    y = alt.Y("value:Q", title=title, scale=scale)
    tooltip: list[Any] = [
        alt.Tooltip("day:T", title="Day", format="%d %b"),
        alt.Tooltip("value:Q", title=title, format=".2f"),
    ]
    past = (
        alt.Chart(alt.InlineData(values=rows))
        .mark_line(point=alt.OverlayMarkDef(color=colours.text), color=colours.text)
        .encode(x=x, y=y, tooltip=tooltip)
    )
    layers: list[Any] = [past]
    if changes:
        marked = [{"day": day.isoformat()} for day in changes]
        layers.append(
            alt.Chart(alt.InlineData(values=marked))
            .mark_rule(strokeDash=[2, 4], color=colours.text)
            .encode(x=alt.X("day:T"))
        )
    if ahead is not None:
        row = {
            "day": ahead.at.isoformat(),
            "value": ahead.value,
            "low": max(0.0, ahead.low),
            "high": ahead.high,
        }
        coming = alt.Chart(alt.InlineData(values=[row]))
        layers.append(
            coming.mark_rule(strokeDash=[6, 3], strokeWidth=2, color=colours.accent).encode(
                x=x, y=alt.Y("low:Q"), y2="high:Q"
            )
        )
        layers.append(
            coming.mark_point(shape="cross", size=110, filled=True, color=colours.accent).encode(
                x=x,
                y=y,
                tooltip=[
                    alt.Tooltip("day:T", title="Forecast for", format="%d %b"),
                    alt.Tooltip("value:Q", title=title, format=".2f"),
                    alt.Tooltip("low:Q", title="From", format=".2f"),
                    alt.Tooltip("high:Q", title="To", format=".2f"),
                ],
            )
        )
    return inked(alt.layer(*layers).properties(height=240), colours)
