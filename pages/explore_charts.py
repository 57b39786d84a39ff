"""Figures, distribution and trend of the chosen answers, and their groups. What is brushed in one chart filters all but itself."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from html import escape
from typing import Any, NamedTuple

import pandas as pd
import streamlit as st

from cinegen_core.analysis import explore
from cinegen_core.analysis.answers import DIMENSION, Tables
from cinegen_core.analysis.charts import (
    BRUSH_QUALITY,
    BRUSH_TIME,
    brushed,
    cohorts_chart,
    distribution_chart,
    engines_chart,
    means_chart,
    trend_chart,
)
from cinegen_core.analysis.explore import Summary
from cinegen_core.analysis.filters import Filters
from cinegen_core.scorer import DIMENSION_WORDS
from cinegen_core.telling import TIER_WORDS
from pages.explore_filters import in_words
from pages.explore_held import Held
from pages.explore_path import go, picked
from pages.frame import NO_DATA, fold, number, percent, span, table
from pages.ink import Layered, ink, inked, spec_of
from pages.shared import literal

MEASURES: Mapping[str, str] = {
    "quality": "Quality",
    "score": "Score",
    **{str(name): words for name, words in DIMENSION_WORDS.items()},
}

_TALL = 320
"""Pixels of a chart that can be brushed: its axis must have room for its title."""

_ROUND = "explore_brush_round"


class Look(NamedTuple):
    """What is looked at: the answers of `filters`, by one measure; `narrowed` is what is left of them by what is brushed."""

    held: Held
    tables: Tables
    filters: Filters
    narrowed: Filters
    measure: str

    @property
    def column(self) -> str:
        return self.measure if self.measure in ("quality", "score") else f"{DIMENSION}{self.measure}"

    @property
    def words(self) -> str:
        return MEASURES[self.measure]

    @property
    def unit(self) -> str:
        return f"mean {self.words.lower()}, 0 to 10"

    def titled(self, title: str) -> str:
        """Charts say where their answers come from; live ones go without saying."""
        series = self.filters.series
        return title if series == "live" else f"{title} ({series})"

    def view(self, name: str, make: Callable[[pd.DataFrame], pd.DataFrame]) -> pd.DataFrame:
        """A view of what is narrowed."""
        return self.held.view((name, self.measure), self.tables, self.narrowed, make)


def look_at(held: Held, tables: Tables, filters: Filters, measure: str) -> Look:
    """With what is brushed at the moment."""
    selection = {BRUSH_QUALITY: _brush(BRUSH_QUALITY, measure), BRUSH_TIME: _brush(BRUSH_TIME, measure)}
    return Look(held, tables, filters, _narrowed(filters, measure, selection), measure)


def ask_measure() -> str:
    """What is measured: quality, the score, or a dimension."""
    return picked("Measure", "measure", tuple(MEASURES), words=MEASURES.__getitem__)


def _key(brush: str, measure: str) -> str:
    return f"{brush}_{measure}_{st.session_state.get(_ROUND, 0)}"


def _brush(brush: str, measure: str) -> object:
    state: Mapping[str, Any] = st.session_state.get(_key(brush, measure)) or {}
    return dict(state.get("selection") or {}).get(brush)


def _narrowed(filters: Filters, measure: str, selection: Mapping[str, object]) -> Filters:
    """A chart of a measure other than quality filters by that measure."""
    by_time = brushed(filters, {BRUSH_TIME: selection.get(BRUSH_TIME)})
    of_it = brushed(Filters(), {BRUSH_QUALITY: selection.get(BRUSH_QUALITY)}).quality
    if of_it.is_open:
        return by_time
    if measure in ("quality", "score"):
        return Filters.model_validate({**dict(by_time), measure: of_it})
    dimensions = tuple((name, span) for name, span in by_time.dimensions if name != measure)
    return Filters.model_validate({**dict(by_time), "dimensions": (*dimensions, (measure, of_it))})


def clear_brushes() -> None:
    """The charts are drawn as new ones, with nothing brushed."""
    st.session_state[_ROUND] = st.session_state.get(_ROUND, 0) + 1


def overview(look: Look) -> None:
    """The figures, and the two charts that can be brushed."""
    _figures(look)
    _told_brush(look)
    one, other = st.columns(2)
    with one:
        _distribution(look)
    with other:
        _trend(look)


def _figures(look: Look) -> None:
    found = look.held.view(
        ("summary", look.measure),
        look.tables,
        look.narrowed,
        lambda answers: explore.summary(answers, look.column),
    )
    st.html(figures_html(found, look.words))


def figures_html(found: Summary, words: str) -> str:
    """The figures above the charts, as a list of terms."""
    interval = "" if found.low is None or found.high is None else f"95 %: {found.low:.2f} to {found.high:.2f}"
    rows = (
        ("Answers", f"{found.count:,}", f"{found.scored:,} with a score"),
        (f"Mean {words.lower()}", number(found.mean, "", 2), interval),
        ("Median", number(found.median, "", 2), "of 10" if found.median is not None else ""),
        ("Errors", percent(found.error_rate), ""),
        ("Fallbacks", percent(found.fallback_rate), ""),
        ("Time, P50", span(found.seconds_p50), ""),
        ("Time, P95", span(found.seconds_p95), ""),
    )
    told = "".join(
        f"<div><dt>{escape(term)}</dt><dd><b>{escape(value)}</b>{f' <small>{escape(more)}</small>' if more else ''}</dd></div>"
        for term, value, more in rows
    )
    return f'{_STRIP_STYLE}<dl class="strip">{told}</dl>'


def _told_brush(look: Look) -> None:
    if look.narrowed == look.filters:
        st.caption(
            "Drag across a chart to narrow the other one, the figures and all that follows; the limits in the filters do the same."
        )
        return
    new = [words for words in in_words(look.narrowed) if words not in in_words(look.filters)]
    with st.container(horizontal=True, vertical_alignment="center"):
        st.markdown(literal(f"Brushed: {'; '.join(new)}."))
        if st.button(
            "Keep as a filter",
            key="keep_brush",
            help="The address then holds it, and a reload shows the same.",
        ):
            clear_brushes()
            go(look.narrowed)
        if st.button("Clear the brush", key="clear_brush", type="tertiary"):
            clear_brushes()
            st.rerun()


def _distribution(look: Look) -> None:
    others = _narrowed(look.filters, look.measure, {BRUSH_TIME: _brush(BRUSH_TIME, look.measure)})
    view = look.held.view(
        ("distribution", look.measure),
        look.tables,
        others,
        lambda answers: explore.distribution(answers, look.column),
    )

    def chart() -> Layered:
        return distribution_chart(
            view, title=look.titled(f"{look.words} of the answers"), unit=f"{look.words.lower()}, 0 to 10"
        )

    _brushable(chart, BRUSH_QUALITY, look, others, _distribution_words(view, look.words))
    fold("Distribution as a table", lambda: _distribution_table(view), key="distribution_table")


def _distribution_table(view: pd.DataFrame) -> None:
    table(
        {
            "From": f"{row['low']:.2f}",
            "To": f"{row['high']:.2f}",
            "Class": str(row["class"]),
            "Answers": f"{row['count']:,}",
            "Share": percent(row["share"]),
        }
        for row in view[view["count"] > 0].to_dict("records")
    )
    if not view["count"].sum():
        st.caption("No data.")


def _distribution_words(view: pd.DataFrame, words: str) -> str:
    if not view["count"].sum():
        return f"{words} of the answers: no data."
    top = view.loc[view["count"].idxmax()]
    return (
        f"{words} of {int(view['count'].sum()):,} answers; most, {int(top['count']):,}, lie between "
        f"{top['low']:.2f} and {top['high']:.2f}. The table has all bars."
    )


def _trend(look: Look) -> None:
    others = _narrowed(look.filters, look.measure, {BRUSH_QUALITY: _brush(BRUSH_QUALITY, look.measure)})
    view = look.held.view(
        ("trend", look.measure), look.tables, others, lambda answers: explore.trend(answers, look.column)
    )

    def chart() -> Layered:
        return trend_chart(view, title=look.titled(f"{look.words} over time"), unit=look.unit)

    _brushable(chart, BRUSH_TIME, look, others, _trend_words(view, look.words))
    fold("Trend as a table", lambda: _trend_table(view), key="trend_table")


def _trend_table(view: pd.DataFrame) -> None:
    if view.empty:
        st.caption("No data.")
    else:
        st.caption(f"Newest first, by the {view['step'].iloc[0]}; an interval takes a few answers.")
    table(
        {
            "From (UTC)": f"{row['at']:%d %b %Y, %H:%M}",
            "Answers": f"{row['count']:,}",
            "Mean": f"{row['mean']:.2f}",
            "95 % interval": interval(row),
            "Level": f"{row['level']:.2f}",
            "Change": "another level begins" if row["change"] else "",
        }
        for row in view.iloc[::-1].to_dict("records")
    )


def _trend_words(view: pd.DataFrame, words: str) -> str:
    if view.empty:
        return f"{words} over time: no data."
    changes = int(view["change"].sum())
    steps = "1 step" if len(view) == 1 else f"{len(view)} steps"
    times = "1 time" if changes == 1 else f"{changes} times"
    first, last = view["mean"].iloc[0], view["mean"].iloc[-1]
    return (
        f"Mean {words.lower()} by the {view['step'].iloc[0]}, {steps}, from {first:.2f} to {last:.2f}; "
        f"the level changes {times}. The table has all steps."
    )


def _brushable(chart: Callable[[], Layered], brush: str, look: Look, filters: Filters, words: str) -> None:
    """A chart of the answers that hold for `filters`."""
    colours = ink()

    def made() -> Layered:
        found = chart()
        if not found.title.text.endswith("no data"):
            found = found.properties(height=_TALL)
        found = inked(found, colours)
        # In SVG a brush has a role and no name, which stops screen readers; on a canvas the chart is one picture with its words.
        found.usermeta = {"embedOptions": {"renderer": "canvas"}}
        return found

    name = ("chart", brush, look.measure, colours)
    st.vega_lite_chart(
        spec=look.held.view(name, look.tables, filters, lambda answers: spec_of(made)),
        width="stretch", key=_key(brush, look.measure), on_select="rerun", selection_mode=brush, alt=words,
    )  # fmt: skip


def interval(row: Mapping[Any, Any], digits: int = 2) -> str:
    """Its ends in words; that there is none where there are too few values."""
    if pd.isna(row["low"]):
        return "too few"
    return f"{row['low']:.{digits}f} to {row['high']:.{digits}f}"


GROUPS: Mapping[str, str] = {
    "dimension": "Dimension",
    "genre": "Genre",
    "tier": "Tier",
    "writer": "Writer",
    "title": "Series title",
    "engine": "Engine",
    "cohort": "Flag cohort",
}

_CAVEATS = {
    "genre": "An answer of two genres counts for both.",
    "dimension": "Of the scorer's seven dimensions; the measure chosen above does not change this view.",
    "engine": "Whether an engine delivers is not drawn by chance: what makes it fail may make the episode worse by itself, so that a difference "
    "is no proof of a cause.",
    "cohort": "On less off. The cohorts of a rollout are drawn by chance; those of targets are not. Where every answer had the flag on, "
    "there is nothing to compare.",
}

_EMPTY = {
    "engine": "No data: no engine was active in these answers.",
    "cohort": "No data: no flag was evaluated for these answers.",
}


def group_view(look: Look, by: str) -> pd.DataFrame:
    """The groups of what is narrowed, as `explore` makes them."""
    makers: Mapping[str, Callable[[pd.DataFrame], pd.DataFrame]] = {
        "dimension": explore.by_dimension,
        "genre": lambda answers: explore.by_genre(answers, look.column),
        "tier": lambda answers: explore.by_tier(answers, look.column),
        "writer": lambda answers: explore.by_writer(answers, look.column),
        "title": lambda answers: explore.by_title(answers, look.column),
        "engine": lambda answers: explore.by_engine(answers, look.tables.engines, look.column),
        "cohort": lambda answers: explore.by_cohort(answers, look.column),
    }
    return look.view(by, makers[by])


def _group_title(look: Look, by: str) -> str:
    own = {
        "dimension": "The seven dimensions",
        "engine": "Answers by whether an engine delivered",
        "cohort": "Answers with a flag on and off",
    }
    return look.titled(own.get(by, f"{look.words} by {GROUPS[by].lower()}"))


def _groups_chart(view: pd.DataFrame, look: Look, by: str) -> Layered:
    title = _group_title(look, by)
    if by == "dimension":
        return means_chart(view, title=title, unit="mean score, 0 to 10", name="label")
    if by == "engine":
        return engines_chart(view, title=title, unit=look.unit)
    if by == "cohort":
        return cohorts_chart(view, title=title, unit=look.unit)
    return means_chart(view, title=title, unit=look.unit)


def groups(look: Look, by: str) -> None:
    """One kind of groups, as a chart and as a table."""
    view = group_view(look, by)
    if by == "tier":
        view = view.assign(name=[TIER_WORDS.get(one, one) for one in view["name"]])
    title, colours = _group_title(look, by), ink()

    def made() -> Layered:
        return inked(_groups_chart(view, look, by), colours)

    name = ("groups chart", by, look.measure, colours)
    st.vega_lite_chart(
        spec=look.held.view(name, look.tables, look.narrowed, lambda answers: spec_of(made)),
        width="stretch", key=f"groups_{by}_{look.measure}", alt=f"{title}. The table below has all figures.",
    )  # fmt: skip
    table(_rows(view, by))
    if view.empty:
        st.caption(_EMPTY.get(by, "No data: no answers."))
    if by in _CAVEATS:
        st.caption(_CAVEATS[by])


def _rows(view: pd.DataFrame, by: str) -> list[dict[str, str]]:
    makers: Mapping[str, Callable[[Mapping[Any, Any]], dict[str, str]]] = {
        "dimension": _dimension_row,
        "engine": _engine_row,
        "cohort": _cohort_row,
    }
    records = view.to_dict("records")
    if by in makers:
        return [makers[by](row) for row in records]
    return [_group_row(row, GROUPS[by]) for row in records]


def known(value: float, digits: int = 2) -> str:
    return NO_DATA if pd.isna(value) else f"{value:.{digits}f}"


def _signed(row: Mapping[Any, Any]) -> str:
    if pd.isna(row["difference"]):
        return "too few to compare"
    return f"{row['difference']:+.2f} ({row['low']:+.2f} to {row['high']:+.2f})".replace("-", "\u2212")


def _dimension_row(row: Mapping[Any, Any]) -> dict[str, str]:
    return {
        "Dimension": str(row["label"]),
        "Scored": f"{row['count']:,}",
        "Mean": known(row["mean"]),
        "95 % interval": interval(row),
        "Middle half": NO_DATA if pd.isna(row["q25"]) else f"{row['q25']:.2f} to {row['q75']:.2f}",
        "Median": known(row["median"]),
    }


def _group_row(row: Mapping[Any, Any], name: str) -> dict[str, str]:
    return {
        name: str(row["name"]),
        "Answers": f"{row['answers']:,}",
        "Share": percent(row["share"]),
        "Mean": known(row["mean"]),
        "95 % interval": interval(row),
        "Errors": percent(row["errors"]),
        "Fallbacks": percent(row["fallbacks"]),
        "Mean time": span(row["seconds"]),
    }


def _engine_row(row: Mapping[Any, Any]) -> dict[str, str]:
    return {
        "Engine": str(row["name"]),
        "Active": f"{row['active']:,}",
        "Delivered": percent(row["success"]),
        "In the script": NO_DATA if pd.isna(row["realised"]) else percent(100 * row["realised"], 0),
        "Mean, delivered": known(row["mean_delivered"]),
        "Mean, not": known(row["mean_not"]),
        "Difference (95 %)": _signed(row),
    }


def _cohort_row(row: Mapping[Any, Any]) -> dict[str, str]:
    errors = (
        "too few to compare"
        if pd.isna(row["errors_difference"])
        else f"{row['errors_difference']:+.1f} ({row['errors_low']:+.1f} to {row['errors_high']:+.1f})".replace(
            "-", "\u2212"
        )
    )
    return {
        "Flag": str(row["name"]),
        "On": f"{row['on']:,}",
        "Off": f"{row['off']:,}",
        "Mean, on": known(row["mean_on"]),
        "Mean, off": known(row["mean_off"]),
        "Difference (95 %)": _signed(row),
        "Errors, points (95 %)": errors,
    }


_STRIP_STYLE = """<style>
dl.strip.strip { display: flex; flex-wrap: wrap; gap: 0.7rem 2rem; margin: 0.2rem 0 0.4rem; padding: 0.8rem 0;
  border: solid color-mix(in srgb, currentColor 22%, transparent); border-width: 1px 0; }
.strip div { min-width: 5.2rem; }
.strip dt { font-size: 0.88rem; font-weight: 400; margin: 0; opacity: 0.88; }
.strip dd { margin: 0; font-variant-numeric: tabular-nums; }
.strip dd b { font-size: 1.3rem; font-weight: 600; }
.strip dd small { font-size: 0.85rem; display: block; }
</style>"""
