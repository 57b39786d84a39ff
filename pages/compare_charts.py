"""Charts of comparisons, readable in both themes and without colour."""

from __future__ import annotations

from collections.abc import Sequence

import altair as alt
import pandas as pd
import streamlit as st

from cinegen_core.comparing import Overlay

_INK_ON_PAPER, _INK_ON_DARK = "#2a2520", "#ece5d8"
_BAR = "#b0683a"

Chart = alt.LayerChart | alt.FacetChart


def scores_chart(found: Overlay, names: Sequence[str]) -> Chart | None:
    """Dimensions by ways: a bar for each score, with its way's number (from 1) at its end. None where there is no score."""
    points = [
        {"Dimension": row.words, "Way": place + 1, "Name": names[place], "Score": score}
        for row in found.dimensions
        for place, score in enumerate(row.scores)
        if score is not None
    ]
    if not points:
        return None
    order = [row.words for row in found.dimensions]
    base = alt.Chart(pd.DataFrame(points)).encode(
        x=alt.X("Score:Q", title="Score (0 to 10)", scale=alt.Scale(domain=[0, 10]), axis=alt.Axis(tickCount=10, format="d")),
        y=alt.Y("Dimension:N", sort=order, title="Dimension", axis=alt.Axis(labelLimit=160)),
        yOffset=alt.YOffset("Way:O"),
        tooltip=[alt.Tooltip("Name:N", title="Way"), alt.Tooltip("Dimension:N"), alt.Tooltip("Score:Q", format=".1f")],
    )  # fmt: skip
    bars = base.mark_bar(height={"band": 0.8}, color=_BAR)
    numbers = base.mark_text(align="left", dx=4, fontSize=12, fontWeight="bold", color=_ink()).encode(
        text="Way:O"
    )
    return _inked(alt.layer(bars, numbers).properties(height=alt.Step(15)))


def rates_chart(rows: Sequence[dict[str, str | float]]) -> Chart:
    """Rates in percent with their intervals: rows have Pair, Rate, Low, High and Figures (them in words)."""
    title = "First of the pair preferred (%)"
    base = alt.Chart(pd.DataFrame(list(rows))).encode(
        y=alt.Y("Pair:N", sort=None, title="Pair (first / second)", axis=alt.Axis(labelLimit=260)),
        tooltip=["Pair:N", "Figures:N"],
    )
    axis = alt.Scale(domain=[0, 100])
    spans = base.mark_rule(strokeWidth=3, color=_BAR).encode(
        x=alt.X("Low:Q", title=title, scale=axis), x2="High:Q"
    )
    dots = base.mark_point(filled=True, size=110, opacity=1, color=_BAR).encode(
        x=alt.X("Rate:Q", title=title)
    )
    even = (
        alt.Chart(pd.DataFrame({"Even": [50]}))
        .mark_rule(strokeDash=[4, 4], color=_ink())
        .encode(x=alt.X("Even:Q", title=title))
    )
    return _inked(alt.layer(even, spans, dots).properties(height=alt.Step(34)))


def _ink() -> str:
    return _INK_ON_DARK if st.context.theme.type == "dark" else _INK_ON_PAPER


def _inked(chart: Chart) -> Chart:
    inked: Chart = chart.configure_axis(labelColor=_ink(), titleColor=_ink())
    return inked
