"""The views of `cinegen_core.analysis.explore` as Altair charts, for pages and notebooks.

They can be read without colour: by place, shape, dash and words. Everything drawn has one accent, visible on light and dark grounds;
words, grids and grounds have the colours of the theme that shows them. Each takes only the view it shows, a few hundred rows.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from math import ceil, floor
from typing import Any

import altair as alt
import pandas as pd
from pydantic import ValidationError

from cinegen_core.analysis.explore import BIN, class_marks
from cinegen_core.analysis.filters import Filters, Span

ACCENT = "#c0662b"
"""At 3.6 : 1 or more on the studio's light and dark grounds, and on white and near-black ones: enough for marks, not for words, which
therefore all stand in titles and axes."""

BRUSH_QUALITY = "brush_quality"
BRUSH_TIME = "brush_time"

MOST_ROWS = 5000
"""Rows that one chart takes."""

MOST_CHANGES = 5
"""Changes of level that are given by date; all are drawn."""

_ROW = 26
"""Pixels of height for one row of names."""

_TIP = ".2f"
_WHOLE = ",d"
_BAR = "bar: interval of the mean, 95 %"


def distribution_chart(
    view: pd.DataFrame, *, title: str = "Quality of the answers", unit: str = "quality, 0 to 10"
) -> alt.LayerChart:
    """Bars of `distribution`, and where the quality classes begin. What is brushed is `BRUSH_QUALITY`."""
    _few_enough(view)
    brush = alt.selection_interval(name=BRUSH_QUALITY, encodings=["x"])
    count = int(view["count"].sum())
    if not count:
        return _nothing(title, brush)
    bars = (
        alt.Chart(view)
        .mark_bar(color=ACCENT)
        .encode(
            x=alt.X(
                "low:Q", bin="binned", title=f"{unit}; {count:,d} answers", scale=alt.Scale(domain=[0, 10])
            ),
            x2="high:Q",
            y=alt.Y("count:Q", title="answers", axis=alt.Axis(tickMinStep=1, format=_WHOLE)),
            opacity=alt.condition(brush, alt.value(0.9), alt.value(0.35)),
            tooltip=[
                alt.Tooltip("low:Q", title="from", format=_TIP),
                alt.Tooltip("high:Q", title="to", format=_TIP),
                alt.Tooltip("class:N", title="class"),
                alt.Tooltip("count:Q", title="answers", format=_WHOLE),
                alt.Tooltip("share:Q", title="% of those scored", format=".1f"),
            ],
        )
        .add_params(brush)
    )
    marks = class_marks()
    names = {f"{at:g}": word for at, word in zip(marks["at"], marks["class"], strict=True)}
    above = alt.Axis(
        orient="top",
        values=marks["at"].tolist(),
        labelExpr=f"({json.dumps(names)})[datum.value]",
        labelAngle=-30,
        labelAlign="left",
        labelOverlap=False,
        grid=False,
        title=None,
    )
    lines = alt.Chart(marks).mark_rule(color=ACCENT, strokeDash=[2, 4]).encode(x=alt.X("at:Q", axis=above))
    chart = _layered(bars, lines).properties(title=_headed(title))
    chart.resolve = alt.Resolve(axis=alt.AxisResolveMap(x="independent"))
    return chart


def trend_chart(
    view: pd.DataFrame, *, title: str = "Quality over time", unit: str = "mean quality, 0 to 10"
) -> alt.LayerChart:
    """The means of `trend` as points on a line, their intervals as a band, the levels between changes as dashed lines, and changes as
    rules. What is brushed is `BRUSH_TIME`."""
    _few_enough(view)
    brush = alt.selection_interval(name=BRUSH_TIME, encodings=["x"])
    if view.empty:
        return _nothing(title, brush)
    step = str(view["step"].iloc[0])
    shown = view.assign(where=[_dated(at, step) for at in view["at"]])
    changes = shown.loc[shown["change"], "where"].tolist()
    below = [
        f"when (UTC), by the {step}; {int(view['count'].sum()):,d} answers",
        "band: interval of the mean, 95 %; dashed: the level between changes",
        _changes(changes),
    ]
    x = alt.X("at:T", title=below, scale=alt.Scale(type="utc"))
    scale = alt.Scale(domain=_whole_points(view[["low", "high", "mean"]]), clamp=True)
    base = alt.Chart(shown).encode(x=x)
    band = base.mark_area(color=ACCENT, opacity=0.18).encode(
        y=alt.Y("low:Q", title=unit, scale=scale), y2="high:Q"
    )
    line = base.mark_line(color=ACCENT, strokeWidth=1).encode(y=alt.Y("mean:Q", title=unit, scale=scale))
    levels = base.mark_line(color=ACCENT, strokeDash=[6, 4], strokeWidth=2, interpolate="step-after").encode(
        y=alt.Y("level:Q", title=unit, scale=scale)
    )
    points = (
        base.mark_point(color=ACCENT, filled=True, size=40)
        .encode(
            y=alt.Y("mean:Q", title=unit, scale=scale),
            opacity=alt.condition(brush, alt.value(1.0), alt.value(0.35)),
            tooltip=[alt.Tooltip("where:N", title="when"), *_tips("answers")],
        )
        .add_params(brush)
    )
    layers = [band, line, levels, points]
    if changes:
        at_changes = alt.Chart(shown[shown["change"]]).encode(x=x)
        layers.insert(0, at_changes.mark_rule(color=ACCENT, strokeDash=[2, 4]))
    return _layered(*layers).properties(title=_headed(title))


def means_chart(
    view: pd.DataFrame, *, title: str, unit: str = "mean quality, 0 to 10", name: str = "name"
) -> alt.LayerChart:
    """Means with their intervals, one row a group in the order of the view: for `by_dimension` (with `name="label"`), `by_genre`, `by_tier`,
    `by_writer` and `by_title`. Each row says its mean and how many answers it is of."""
    _few_enough(view)
    if not view["count"].sum():
        return _nothing(title)
    told = [
        f"{name}: no data" if pd.isna(mean) else f"{name}: {mean:.2f} ({count:,d})"
        for name, mean, count in zip(view[name], view["mean"], view["count"], strict=True)
    ]
    shown = view.assign(row=pd.Series(told, index=view.index, dtype="str"))
    scale = alt.Scale(domain=_whole_points(view[["low", "high", "mean"]]), clamp=True)
    base = alt.Chart(shown).encode(y=_rows(told))
    spans = base.mark_rule(color=ACCENT, strokeWidth=2).encode(
        x=alt.X("low:Q", title=[unit, f"{_BAR}; in brackets: answers with a score"], scale=scale), x2="high:Q"
    )
    dots = base.mark_point(color=ACCENT, filled=True, size=60, shape="diamond").encode(
        x=alt.X("mean:Q", scale=scale),
        tooltip=[alt.Tooltip(f"{name}:N", title="of"), *_tips("answers with a score")],
    )
    return _layered(spans, dots).properties(title=_headed(title), height=alt.Step(_ROW))


def engines_chart(
    view: pd.DataFrame,
    *,
    title: str = "Answers by whether an engine delivered",
    unit: str = "mean quality, 0 to 10",
) -> alt.LayerChart:
    """`by_engine`: a filled circle where it delivered, an open square where it did not, and the difference in words."""
    return _pairs(view, ("mean_delivered", "delivered"), ("mean_not", "did not"), title=title, unit=unit)


def cohorts_chart(
    view: pd.DataFrame, *, title: str = "Answers with a flag on and off", unit: str = "mean quality, 0 to 10"
) -> alt.LayerChart:
    """`by_cohort`: a filled circle for on, an open square for off, and the difference in words."""
    return _pairs(view, ("mean_on", "on"), ("mean_off", "off"), title=title, unit=unit)


def _pairs(
    view: pd.DataFrame, one: tuple[str, str], other: tuple[str, str], *, title: str, unit: str
) -> alt.LayerChart:
    _few_enough(view)
    if not view[[one[0], other[0]]].notna().any(axis=None):
        return _nothing(title)
    told = [
        f"{name}: too few to compare"
        if pd.isna(value)
        else f"{name}: {value:+.2f} ({low:+.2f} to {high:+.2f})"
        for name, value, low, high in zip(
            view["name"], view["difference"], view["low"], view["high"], strict=True
        )
    ]
    wide = pd.DataFrame(
        {"row": pd.Series(told, dtype="str"), "one": view[one[0]].array, "other": view[other[0]].array}
    )
    long = pd.concat(
        [
            wide[["row"]].assign(mean=wide[column], which=word)
            for column, word in (("one", one[1]), ("other", other[1]))
        ],
        ignore_index=True,
    )
    scale = alt.Scale(domain=_whole_points(wide[["one", "other"]]), clamp=True)
    below = [unit, f"in words: {one[1]} less {other[1]}, with an interval of 95 %"]
    lines = (
        alt.Chart(wide)
        .mark_rule(color=ACCENT, opacity=0.5)
        .encode(y=_rows(told), x=alt.X("one:Q", title=below, scale=scale), x2="other:Q")
    )
    order = [one[1], other[1]]
    marks = (
        alt.Chart(long)
        .mark_point(color=ACCENT, size=70, strokeWidth=2)
        .encode(
            y=_rows(told),
            x=alt.X("mean:Q", scale=scale),
            shape=alt.Shape(
                "which:N",
                title=None,
                scale=alt.Scale(domain=order, range=["circle", "square"]),
                sort=order,
                legend=alt.Legend(orient="top"),
            ),
            fill=alt.condition(
                alt.FieldEqualPredicate(field="which", equal=one[1]),
                alt.value(ACCENT),
                alt.value("transparent"),
            ),
            tooltip=[
                alt.Tooltip("row:N", title="difference (95 %)"),
                alt.Tooltip("which:N", title="where it was"),
                alt.Tooltip("mean:Q", title="mean", format=_TIP),
            ],
        )
    )
    return _layered(lines, marks).properties(title=_headed(title), height=alt.Step(_ROW))


def brushed(filters: Filters, selection: Mapping[str, Any]) -> Filters:
    """These filters, narrowed to what is brushed in charts: `selection` as `st.altair_chart(..., on_select="rerun")` returns it, by the names
    `BRUSH_QUALITY` and `BRUSH_TIME`. Give it only what the other charts hold, to draw a chart that filters all but itself: drawn from its own
    brush, it would lose it. Values are widened to the bars and whole minutes they touch. A brush that is
    missing, cleared or unreadable changes nothing."""
    changes: dict[str, object] = {}
    if (ends := _ends(selection.get(BRUSH_QUALITY))) is not None:
        low, high = max(0.0, ends[0] // BIN * BIN), min(10.0, -(-ends[1] // BIN) * BIN)
        changes["quality"] = Span(low=low, high=high) if low <= high else filters.quality
    if (ends := _ends(selection.get(BRUSH_TIME))) is not None:
        changes |= _minutes(*ends)
    try:
        return Filters.model_validate({**dict(filters), **changes})
    except ValidationError:
        return filters


def _minutes(first: float, last: float) -> dict[str, object]:
    try:
        since, until = (datetime.fromtimestamp(at // 60_000 * 60, UTC) for at in (first, last))
        return {"since": since, "until": until + timedelta(minutes=1)}
    except (ValueError, OverflowError, OSError):
        return {}


def _ends(brush: object) -> tuple[float, float] | None:
    """The ends of an interval, the lower first; its field has the name of the axis it was drawn on."""
    found = list(brush.values()) if isinstance(brush, Mapping) else []
    ends = found[0] if found else None
    if not isinstance(ends, Sequence) or isinstance(ends, str) or len(ends) < 2:
        return None
    numbers = [one for one in ends if isinstance(one, int | float) and abs(one) < 1e18]
    return (float(min(numbers)), float(max(numbers))) if len(numbers) == len(ends) else None


def _nothing(title: str, brush: alt.Parameter | None = None) -> alt.LayerChart:
    """Says that there is no data; with the brush, for pages that ask for it by name."""
    x = alt.X("at:Q", axis=None, scale=alt.Scale(domain=[0, 1]))
    mark = alt.Chart(pd.DataFrame({"at": [0.0]})).mark_point(opacity=0).encode(x=x)
    only = mark if brush is None else mark.add_params(brush)
    return _layered(only).properties(title=_headed(f"{title}: no data"), height=_ROW)


def _rows(told: Sequence[str]) -> alt.Y:
    return alt.Y("row:N", title=None, sort=list(told), axis=alt.Axis(labelLimit=360, labelOverlap=False))


def _headed(title: str) -> alt.TitleParams:
    return alt.TitleParams(title, anchor="start")


def _tips(counted: str) -> list[alt.Tooltip]:
    return [
        alt.Tooltip("mean:Q", title="mean", format=_TIP),
        alt.Tooltip("low:Q", title="low", format=_TIP),
        alt.Tooltip("high:Q", title="high", format=_TIP),
        alt.Tooltip("count:Q", title=counted, format=_WHOLE),
    ]


def _changes(dates: Sequence[str]) -> str:
    if not dates:
        return "no change of level found"
    more = len(dates) - MOST_CHANGES
    listed = ", ".join(dates[:MOST_CHANGES])
    return f"another level from {listed}" + (f" and {more} more times" if more > 0 else "")


def _whole_points(numbers: pd.DataFrame) -> list[float]:
    """From one whole point to another around all that is shown, so that small differences neither vanish nor look large."""
    return [
        float(floor(numbers.min(axis=None))),
        float(max(ceil(numbers.max(axis=None)), 1 + floor(numbers.min(axis=None)))),
    ]


def _dated(at: pd.Timestamp, step: str) -> str:
    return f"{at:%Y-%m-%d %H:%M}" if step == "hour" else f"{at:%Y-%m-%d}"


def _layered(*charts: alt.Chart) -> alt.LayerChart:
    return alt.LayerChart(layer=list(charts))


def _few_enough(view: pd.DataFrame) -> None:
    """Raises `ValueError` for what would be too much for a browser."""
    if len(view) > MOST_ROWS:
        raise ValueError(
            f"a chart of {len(view):,} rows: at most {MOST_ROWS:,}; give it a view of `explore`, not the answers"
        )
