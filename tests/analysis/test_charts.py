"""The charts of the explorer: valid, small, told without colour, and brushed into filters."""

from __future__ import annotations

import json
import warnings
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import altair as alt
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cinegen_core.analysis import charts, explore
from cinegen_core.analysis.answers import answers_frame, engines_frame
from cinegen_core.analysis.filters import Filters, Span

from .answering import an_answer, many_answers

EVENTS = many_answers(400)


def all_charts(answers: pd.DataFrame, engines: pd.DataFrame) -> dict[str, alt.LayerChart]:
    return {
        "distribution": charts.distribution_chart(explore.distribution(answers)),
        "trend": charts.trend_chart(explore.trend(answers)),
        "dimensions": charts.means_chart(explore.by_dimension(answers), title="By dimension", name="label"),
        "genres": charts.means_chart(explore.by_genre(answers), title="By genre"),
        "tiers": charts.means_chart(explore.by_tier(answers), title="By tier"),
        "engines": charts.engines_chart(explore.by_engine(answers, engines)),
        "cohorts": charts.cohorts_chart(explore.by_cohort(answers)),
    }


CHARTS = all_charts(answers_frame(EVENTS), engines_frame(EVENTS))
EMPTY = all_charts(answers_frame(()), engines_frame(()))


def values_in(spec: object, key: str) -> Iterator[Any]:
    if isinstance(spec, dict):
        for name, value in spec.items():
            if name == key:
                yield value
            if name != "datasets":
                yield from values_in(value, key)
    elif isinstance(spec, list):
        for value in spec:
            yield from values_in(value, key)


def test_every_chart_is_valid_vega_lite_in_strict_json() -> None:
    for chart in (*CHARTS.values(), *EMPTY.values()):
        spec = chart.to_dict(validate=True)
        json.dumps(spec, allow_nan=False)


def test_every_chart_has_a_title_and_its_units() -> None:
    for name, chart in CHARTS.items():
        spec = chart.to_dict()
        assert spec["title"]["text"], name
        assert "0 to 10" in json.dumps(list(values_in(spec, "title"))), name


def test_the_only_colour_is_the_accent() -> None:
    for chart in (*CHARTS.values(), *EMPTY.values()):
        spec = chart.to_dict()
        assert set(values_in(spec, "color")) <= {charts.ACCENT}
        assert "#" not in json.dumps(
            {k: v for k, v in spec.items() if k not in ("datasets", "$schema")}
        ).replace(charts.ACCENT, "")


def test_the_accent_is_seen_on_light_and_dark_grounds() -> None:
    def light(colour: str) -> float:
        parts = [int(colour[at : at + 2], 16) / 255 for at in (1, 3, 5)]
        linear = [part / 12.92 if part <= 0.03928 else ((part + 0.055) / 1.055) ** 2.4 for part in parts]
        return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]

    for ground in ("#f6f1e7", "#fffdf7", "#1b1917", "#262320", "#ffffff", "#0e1117"):
        low, high = sorted((light(charts.ACCENT), light(ground)))
        assert (high + 0.05) / (low + 0.05) >= 3.0, ground


def test_what_two_marks_mean_is_told_by_shape_and_fill() -> None:
    for name in ("engines", "cohorts"):
        (shape,) = values_in(CHARTS[name].to_dict(), "shape")
        assert shape["scale"]["range"] == ["circle", "square"]


def test_rows_say_their_figures_in_words() -> None:
    view = explore.by_tier(answers_frame([an_answer(f"a{n}", quality=7.5) for n in range(6)]))
    (order,) = {
        tuple(sort) for sort in values_in(charts.means_chart(view, title="By tier").to_dict(), "sort")
    }
    assert order == ("comprehensive: 7.50 (6)",)
    told = json.dumps(CHARTS["cohorts"].to_dict())
    assert "high_temperature: too few to compare" in told
    assert "genre_engines: +0." in told


def test_a_change_of_level_is_given_by_its_date() -> None:
    fell = [
        one.model_copy(update={"quality": max(0.0, one.quality - 3.0)})
        if one.quality is not None and one.at >= datetime(2025, 12, 24, tzinfo=UTC)
        else one
        for one in EVENTS
    ]
    assert "another level from 2025-12-24" in json.dumps(
        charts.trend_chart(explore.trend(answers_frame(fell))).to_dict()
    )
    assert "no change of level found" in json.dumps(CHARTS["trend"].to_dict())


def test_without_data_a_chart_says_so_and_can_still_be_asked_for_its_brush() -> None:
    for name, chart in EMPTY.items():
        assert "no data" in chart.to_dict()["title"]["text"], name
    for charted in (CHARTS, EMPTY):
        for name, brush in (("distribution", charts.BRUSH_QUALITY), ("trend", charts.BRUSH_TIME)):
            (param,) = charted[name].to_dict()["params"]
            assert param["name"] == brush
            assert param["select"] == {"type": "interval", "encodings": ["x"]}


def test_a_chart_takes_views_and_not_the_answers_themselves() -> None:
    with pytest.raises(ValueError, match="at most 5,000"):
        charts.distribution_chart(pd.DataFrame({"low": range(5001), "count": 1}))


def test_what_is_brushed_becomes_filters_of_whole_bars_and_minutes() -> None:
    found = charts.brushed(
        Filters(genres=("drama",)),
        {"brush_quality": {"low": [5.58, 7.79]}, "brush_time": {"at": [1766438882200, 1767013724517]}},
    )
    assert found == Filters(
        genres=("drama",),
        quality=Span(low=5.5, high=8.0),
        since=datetime(2025, 12, 22, 21, 28, tzinfo=UTC),
        until=datetime(2025, 12, 29, 13, 9, tzinfo=UTC),
    )


def test_a_brush_that_is_cleared_changes_nothing() -> None:
    filters = Filters(quality=Span(low=7))
    assert charts.brushed(filters, {}) == filters
    assert charts.brushed(filters, {"brush_quality": {}, "brush_time": {}}) == filters
    assert charts.brushed(filters, {"brush_time": {"at": [0, 253402300799999]}}) == filters


NUMBERS = st.one_of(st.floats(), st.integers(), st.none(), st.text(max_size=3))


@given(
    st.dictionaries(
        st.sampled_from([charts.BRUSH_QUALITY, charts.BRUSH_TIME]),
        st.dictionaries(st.text(max_size=2), st.lists(NUMBERS, max_size=3)),
    )
)
def test_whatever_a_browser_sends_as_a_brush_gives_filters(selection: dict[str, Any]) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        charts.brushed(Filters(), selection).apply(answers_frame([an_answer("a")]), engines_frame(()))
