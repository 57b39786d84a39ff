"""The views of `cinegen_core.analysis.explore` as Altair charts, for pages and notebooks.

They can be read without colour: by place, shape, dash and words. Everything drawn has one accent, legible on light and dark grounds;
text on axes, grids and grounds are left to the theme that shows them. Each takes only the view it shows, a few hundred rows.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import altair as alt
import pandas as pd
from pydantic import ValidationError

from cinegen_core.analysis.explore import BIN, class_marks
from cinegen_core.analysis.filters import Filters, Span

ACCENT = "#c0662b"
"""At 3.6 : 1 or more on the studio's light and dark grounds, and on white and near-black ones."""

BRUSH_QUALITY = "brush_quality"
BRUSH_TIME = "brush_time"

MOST_ROWS = 5000
"""Rows that one chart takes."""

_ROW = 26
"""Pixels of height for one row of names."""

_TIP = ".2f"
_WHOLE = ",d"
_INTERVAL = "interval of the mean, 95 %"


def distribution_chart(
    view: pd.DataFrame, *, title: str = "Quality of the answers", unit: str = "quality, 0 to 10"
) -> alt.LayerChart:
    """Bars of `distribution` with the marks of the quality classes. What is brushed is `BRUSH_QUALITY`."""
    _few_enough(view)
    brush = alt.selection_interval(name=BRUSH_QUALITY, encodings=["x"])
    bars = (
        alt.Chart(view)
        .mark_bar(color=ACCENT)
        .encode(
            x=alt.X("low:Q", bin="binned", title=unit, scale=alt.Scale(domain=[0, 10])),
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
    marks = alt.Chart(class_marks())
    lines = marks.mark_rule(color=ACCENT, strokeDash=[2, 4]).encode(x="at:Q")
    names = marks.mark_text(color=ACCENT, angle=270, align="right", baseline="top", dx=-3, dy=3).encode(
        x="at:Q", y=alt.value(0), text="class:N"
    )
    return alt.layer(bars, lines, names).properties(title=_headed(title, view, int(view["count"].sum())))


def trend_chart(
    view: pd.DataFrame, *, title: str = "Quality over time", unit: str = "mean quality, 0 to 10"
) -> alt.LayerChart:
    """The means of `trend` as points on a line, their intervals as a band, the levels between changes as dashed lines, and changes
    as rules with the date. What is brushed is `BRUSH_TIME`."""
    _few_enough(view)
    brush = alt.selection_interval(name=BRUSH_TIME, encodings=["x"])
    shown = _floats(view).assign(
        where=[_dated(at, step) for at, step in zip(view["at"], view["step"], strict=True)]
    )
    x = alt.X("at:T", title="when (UTC)", scale=alt.Scale(type="utc"))
    y = alt.Y("mean:Q", title=unit, scale=alt.Scale(zero=False))
    base = alt.Chart(shown)
    band = base.mark_area(color=ACCENT, opacity=0.18).encode(x=x, y=alt.Y("low:Q", title=unit), y2="high:Q")
    line = base.mark_line(color=ACCENT, strokeWidth=1).encode(x=x, y=y)
    levels = base.mark_line(color=ACCENT, strokeDash=[6, 4], strokeWidth=2, interpolate="step-after").encode(
        x=x, y=alt.Y("level:Q", title=unit, scale=alt.Scale(zero=False))
    )
    points = (
        base.mark_point(color=ACCENT, filled=True, size=40)
        .encode(
            x=x,
            y=y,
            opacity=alt.condition(brush, alt.value(1.0), alt.value(0.35)),
            tooltip=[
                alt.Tooltip("where:N", title="when"),
                alt.Tooltip("mean:Q", title="mean", format=_TIP),
                alt.Tooltip("low:Q", title="low", format=_TIP),
                alt.Tooltip("high:Q", title="high", format=_TIP),
                alt.Tooltip("count:Q", title="answers", format=_WHOLE),
            ],
        )
        .add_params(brush)
    )
    changes = alt.Chart(shown[shown["change"]])
    rules = changes.mark_rule(color=ACCENT, strokeDash=[2, 4]).encode(x=x)
    told = (
        changes.mark_text(color=ACCENT, angle=270, align="right", baseline="top", dx=-3, dy=3)
        .encode(x=x, y=alt.value(0), text="told:N")
        .transform_calculate(told="'another level from ' + datum.where")
    )
    step = str(view["step"].iloc[0]) if len(view) else ""
    below = f"by the {step}; band: {_INTERVAL}; dashed: level between changes" if step else ""
    return alt.layer(band, line, levels, rules, told, points).properties(
        title=_headed(title, view, int(view["count"].sum()), below)
    )


def means_chart(
    view: pd.DataFrame, *, title: str, unit: str = "mean quality, 0 to 10", name: str = "name"
) -> alt.LayerChart:
    """Means with their intervals, one row a group in the order of the view: for `by_dimension` (with `name="label"`), `by_genre`, `by_tier`,
    `by_writer` and `by_title`. Each says its mean and how many answers it is of."""
    _few_enough(view)
    shown = _floats(view).assign(
        told=[
            "no data" if pd.isna(mean) else f"{mean:.2f}  ({count:,d})"
            for mean, count in zip(view["mean"], view["count"], strict=True)
        ]
    )
    base = alt.Chart(shown).encode(y=_rows(shown, name))
    x = alt.X("mean:Q", title=unit, scale=alt.Scale(domain=[0, 10]))
    tips = [
        alt.Tooltip(f"{name}:N", title="of"),
        alt.Tooltip("mean:Q", title="mean", format=_TIP),
        alt.Tooltip("low:Q", title="low", format=_TIP),
        alt.Tooltip("high:Q", title="high", format=_TIP),
        alt.Tooltip("count:Q", title="answers with a score", format=_WHOLE),
    ]
    spans = base.mark_rule(color=ACCENT, strokeWidth=2).encode(x=alt.X("low:Q", title=unit), x2="high:Q")
    dots = base.mark_point(color=ACCENT, filled=True, size=60, shape="diamond").encode(x=x, tooltip=tips)
    words = base.mark_text(color=ACCENT, align="left", baseline="bottom", dx=8, dy=-1).encode(
        x=x, text="told:N"
    )
    nothing = (
        base.transform_filter("!isValid(datum.mean)")
        .mark_text(color=ACCENT, align="left", dx=4)
        .encode(x=alt.value(0), text="told:N")
    )
    return alt.layer(spans, dots, words, nothing).properties(
        title=_headed(title, view, None, f"bar: {_INTERVAL}; in brackets: answers with a score"),
        height=alt.Step(_ROW),
    )


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
    told = [
        "too few of one kind to compare" if pd.isna(value) else f"{value:+.2f} ({low:+.2f} to {high:+.2f})"
        for value, low, high in zip(view["difference"], view["low"], view["high"], strict=True)
    ]
    wide = pd.DataFrame(
        {
            "name": view["name"],
            "told": pd.Series(told, index=view.index, dtype="str"),
            "one": view[one[0]],
            "other": view[other[0]],
        }
    )
    long = pd.concat(
        [
            wide[["name", "told"]].assign(mean=wide[column], which=word)
            for column, word in (("one", one[1]), ("other", other[1]))
        ],
        ignore_index=True,
    )
    order = [one[1], other[1]]
    y = _rows(wide, "name")
    x = alt.X("mean:Q", title=unit, scale=alt.Scale(zero=False, padding=20))
    lines = (
        alt.Chart(_floats(wide))
        .mark_rule(color=ACCENT, opacity=0.5)
        .encode(y=y, x=alt.X("one:Q", title=unit), x2="other:Q")
    )
    marks = (
        alt.Chart(_floats(long))
        .mark_point(color=ACCENT, size=70, strokeWidth=2)
        .encode(
            y=y,
            x=x,
            shape=alt.Shape(
                "which:N", title=None, scale=alt.Scale(domain=order, range=["circle", "square"]), sort=order
            ),
            fill=alt.condition(
                alt.FieldEqualPredicate(field="which", equal=one[1]),
                alt.value(ACCENT),
                alt.value("transparent"),
            ),
            tooltip=[
                alt.Tooltip("name:N", title="of"),
                alt.Tooltip("which:N", title="where it was"),
                alt.Tooltip("mean:Q", title="mean", format=_TIP),
                alt.Tooltip("told:N", title="difference (95 %)"),
            ],
        )
    )
    words = (
        alt.Chart(wide[["name", "told"]])
        .mark_text(color=ACCENT, align="right", baseline="bottom", dx=-2, dy=-2)
        .encode(y=y, x=alt.value("width"), text="told:N")
    )
    return alt.layer(lines, marks, words).properties(
        title=_headed(title, view, None, f"{one[1]} less {other[1]}, with an interval of 95 %"),
        height=alt.Step(_ROW + 8),
    )


def brushed(filters: Filters, selection: Mapping[str, Any]) -> Filters:
    """These filters, narrowed to what is brushed in charts: `selection` as `st.altair_chart(..., on_select="rerun")` returns it, by the names
    `BRUSH_QUALITY` and `BRUSH_TIME`. Values are widened to the bars and whole minutes they touch. A brush that is
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
        since, until = (datetime.fromtimestamp(at / 1000.0, UTC) for at in (first, last))
    except (ValueError, OverflowError, OSError):
        return {}
    whole = {"second": 0, "microsecond": 0}
    return {"since": since.replace(**whole), "until": until.replace(**whole) + timedelta(minutes=1)}


def _ends(brush: object) -> tuple[float, float] | None:
    """The ends of an interval, the lower first; its field has the name of the axis it was drawn on."""
    found = list(brush.values()) if isinstance(brush, Mapping) else []
    ends = found[0] if found else None
    if not isinstance(ends, Sequence) or isinstance(ends, str) or len(ends) < 2:
        return None
    numbers = [one for one in ends if isinstance(one, int | float) and abs(one) < 1e18]
    return (float(min(numbers)), float(max(numbers))) if len(numbers) == len(ends) else None


def _rows(shown: pd.DataFrame, name: str) -> alt.Y:
    return alt.Y(f"{name}:N", title=None, sort=shown[name].tolist(), axis=alt.Axis(labelLimit=220))


def _headed(title: str, view: pd.DataFrame, count: int | None, below: str = "") -> alt.TitleParams:
    if view.empty or count == 0:
        return alt.TitleParams(title, subtitle="no data", anchor="start")
    words = [*([f"{count:,d} answers"] if count is not None else []), *([below] if below else [])]
    return alt.TitleParams(title, subtitle="; ".join(words), anchor="start")


def _dated(at: pd.Timestamp, step: str) -> str:
    return f"{at:%Y-%m-%d %H:%M}" if step == "hour" else f"{at:%Y-%m-%d}"


def _floats(view: pd.DataFrame) -> pd.DataFrame:
    """Missing numbers as Vega wants them: null."""
    return view.astype({name: "object" for name in view.columns if view[name].dtype == "float64"}).where(
        view.notna(), None
    )


def _few_enough(view: pd.DataFrame) -> None:
    """Raises `ValueError` for what would be too much for a browser."""
    if len(view) > MOST_ROWS:
        raise ValueError(
            f"a chart of {len(view):,} rows: at most {MOST_ROWS:,}; give it a view of `explore`, not the answers"
        )
