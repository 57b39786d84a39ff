"""Charts of tuning: false rollbacks against delay, what settings cost, and what a threshold of acceptance gains.

They can be read without colour: by shape, place and words.
"""

from __future__ import annotations

from collections.abc import Sequence

import altair as alt
import pandas as pd

from cinegen_core.analysis.charts import ACCENT
from cinegen_core.analysis.tuning import front
from cinegen_core.analysis.tuning_days import LASTS

SHOWN = 10
"""Settings in the chart of costs: the cheapest, and the declared one."""

CLOSE = 2.0
"""Percent of first tries that two points are apart at least, to be named each."""

HEIGHT = 340
WIDTH = 560
_WHOLE_INCIDENT = LASTS.total_seconds() / 60
_LINE = 13.0
"""Pixels of height for one line of words."""


def tradeoff_chart(view: pd.DataFrame, *, title: str) -> alt.LayerChart:
    """Each setting of `priced` as a point: false rollbacks a day against minutes until the rollback. Those that nothing beats on both
    counts are joined and named, and so is the declared one."""
    shown = view.assign(best=front(view).to_numpy())
    named = shown[shown["best"] | shown["declared"]].sort_values(["minutes", "false"])
    named = named.drop_duplicates(subset=["false", "minutes", "declared"]).copy()
    top = max(_WHOLE_INCIDENT, float(shown["minutes"].max()))
    named["line"] = _apart(named["minutes"].tolist(), _LINE * top / HEIGHT, top)
    named["words"] = [
        f"{setting}{' (declared)' if declared else ''}"
        for setting, declared in zip(named["setting"], named["declared"], strict=True)
    ]
    most = max(0.5, float(shown["false"].max()))
    x = alt.X(
        "false:Q",
        title=[
            "false rollbacks a day (axis by square root)",
            "joined: nothing is as quick and more rarely false",
        ],
        scale=alt.Scale(type="sqrt", domain=[0, 1.7 * most]),
    )
    y_scale = alt.Scale(domain=[0, top])
    y = alt.Y(
        "minutes:Q",
        title=["minutes of an incident until the rollback,", f"mean (missed: all {_WHOLE_INCIDENT:.0f})"],
        scale=y_scale,
    )
    order = ["evidence", "literal"]
    points = (
        alt.Chart(shown[["setting", "policy", "false", "minutes", "missed", "cost"]])
        .mark_point(color=ACCENT, size=55, strokeWidth=1.5)
        .encode(
            x=x,
            y=y,
            shape=alt.Shape(
                "policy:N",
                title="policy",
                scale=alt.Scale(domain=order, range=["diamond", "circle"]),
                sort=order,
                legend=alt.Legend(orient="top"),
            ),
            fill=alt.condition(
                alt.FieldEqualPredicate(field="policy", equal="evidence"),
                alt.value(ACCENT),
                alt.value("transparent"),
            ),
            tooltip=[
                alt.Tooltip("setting:N", title="setting"),
                alt.Tooltip("false:Q", title="false rollbacks a day", format=".2f"),
                alt.Tooltip("minutes:Q", title="minutes until the rollback", format=".0f"),
                alt.Tooltip("missed:Q", title="incidents missed", format=".0%"),
                alt.Tooltip("cost:Q", title="cost a day", format=".0f"),
            ],
        )
    )
    joined = (
        alt.Chart(named[named["best"]][["false", "minutes"]])
        .mark_line(color=ACCENT, strokeDash=[4, 3], strokeWidth=1, interpolate="step-before")
        .encode(x=x, y=y, order="minutes:Q")
    )
    ring = (
        alt.Chart(named[named["declared"]][["false", "minutes"]])
        .mark_point(color=ACCENT, shape="square", size=260, strokeWidth=2)
        .encode(x=x, y=y)
    )
    words = (
        alt.Chart(named[["false", "line", "words"]])
        .mark_text(align="left", dx=11, fontSize=11)
        .encode(x=x, y=alt.Y("line:Q", scale=y_scale), text="words:N")
    )
    return alt.LayerChart(layer=[joined, points, ring, words]).properties(
        title=_headed(title, "square: what is declared"), width=WIDTH, height=HEIGHT
    )


def cost_chart(view: pd.DataFrame, *, title: str) -> alt.LayerChart:
    """The cheapest settings of `priced` and the declared one, each with its interval and its figures in words."""
    cheapest = view.sort_values(["cost", "setting"]).head(SHOWN)
    shown = pd.concat([cheapest, view[view["declared"]]]).drop_duplicates(subset="setting")
    rows = [
        f"{one.setting}{' (declared)' if one.declared else ''}: {one.cost:.0f} ({one.low:.0f} to {one.high:.0f})"
        for one in shown.itertuples()
    ]
    shown = shown[["cost", "low", "high", "wins"]].assign(row=rows)
    base = alt.Chart(shown).encode(
        y=alt.Y("row:N", title=None, sort=rows, axis=alt.Axis(labelLimit=420, labelOverlap=False))
    )
    scale = alt.Scale(zero=True)
    spans = base.mark_rule(color=ACCENT, strokeWidth=2).encode(
        x=alt.X(
            "low:Q", title=["cost a day, in the unit of the two costs", "bar: interval of 90 %"], scale=scale
        ),
        x2="high:Q",
    )
    dots = base.mark_point(color=ACCENT, filled=True, size=60, shape="diamond").encode(
        x=alt.X("cost:Q", scale=scale),
        tooltip=[
            alt.Tooltip("row:N", title="setting"),
            alt.Tooltip("wins:Q", title="cheapest in so many resamples", format=".0%"),
        ],
    )
    return alt.LayerChart(layer=[spans, dots]).properties(
        title=_headed(title), width=WIDTH // 2, height=alt.Step(24)
    )


def acceptance_chart(view: pd.DataFrame, least: float, *, title: str) -> alt.LayerChart:
    """Of `acceptance`, what is known: the share that falls against the points gained, each point named by its threshold; `least`, the one
    in force, is filled."""
    shown = view[view["gained"].notna()].sort_values("falls").copy()
    shown["mine"] = shown["threshold"] == least
    # where points come to lie on each other, the highest threshold names them
    ahead = shown["falls"].shift(-1) - shown["falls"]
    shown["words"] = [
        "" if gap < CLOSE and not mine else f"{threshold:g}{' (in force)' if mine else ''}"
        for threshold, mine, gap in zip(shown["threshold"], shown["mine"], ahead, strict=True)
    ]
    reach = max(0.25, 1.2 * float(shown[["low", "high"]].abs().max(axis=None))) if len(shown) else 0.25
    scale = alt.Scale(domain=[min(0.0, float(shown["low"].min())) - 0.05 if len(shown) else 0.0, reach])
    base = alt.Chart(shown[["threshold", "falls", "gained", "low", "high", "mine", "words"]]).encode(
        x=alt.X(
            "falls:Q",
            title=[
                "first tries that fall to the next tier, %",
                "each point: a threshold, 0 to 10; band: interval of 90 %",
            ],
            scale=alt.Scale(domain=[0, 100]),
        )
    )
    y = alt.Y("gained:Q", title=["points gained,", "mean of all answers"], scale=scale)
    band = base.mark_area(color=ACCENT, opacity=0.18).encode(y=alt.Y("low:Q", scale=scale), y2="high:Q")
    line = base.mark_line(color=ACCENT, strokeWidth=1).encode(y=y)
    points = base.mark_point(color=ACCENT, size=60, strokeWidth=2).encode(
        y=y,
        fill=alt.condition("datum.mine", alt.value(ACCENT), alt.value("transparent")),
        tooltip=[
            alt.Tooltip("threshold:Q", title="threshold, 0 to 10", format=".2f"),
            alt.Tooltip("falls:Q", title="falls, %", format=".1f"),
            alt.Tooltip("gained:Q", title="points gained", format=".2f"),
        ],
    )
    words = base.mark_text(align="left", angle=315, dx=7, dy=-7, fontSize=11).encode(y=y, text="words:N")
    return alt.LayerChart(layer=[band, line, points, words]).properties(
        title=_headed(title), width=WIDTH, height=HEIGHT // 2
    )


def _apart(places: Sequence[float], gap: float, top: float) -> list[float]:
    """These places, lowest first, moved up until they are `gap` apart; if that leads beyond `top`, down again from there."""
    found: list[float] = []
    for place in places:
        found.append(max(place, found[-1] + gap) if found else max(place, gap / 2))
    limit = top - gap / 2
    for number in range(len(found) - 1, -1, -1):
        found[number] = min(found[number], limit)
        limit = found[number] - gap
    return found


def _headed(title: str, below: str = "") -> alt.TitleParams:
    return alt.TitleParams(title, anchor="start", subtitle=below)
