"""What analysts see of their answers: true to them, small whatever their number, and quiet where there are none."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from statistics import fmean, stdev

import pandas as pd
import pytest
from pandas.testing import assert_frame_equal

from cinegen_core.analysis import explore
from cinegen_core.analysis.answers import answers_frame, engines_frame
from cinegen_core.flags.cohorts import cohorts, differences
from cinegen_core.monitor.events import GenerationEvent
from cinegen_core.monitor.metrics import figures, flag_samples
from cinegen_core.scorer import quality_class

from .answering import NOW, ago, an_answer, an_engine, many_answers

EVENTS = many_answers(600)
ANSWERS, ENGINES = answers_frame(EVENTS), engines_frame(EVENTS)

VIEWS: dict[str, Callable[[pd.DataFrame, pd.DataFrame], pd.DataFrame]] = {
    "distribution": lambda answers, _: explore.distribution(answers),
    "trend": lambda answers, _: explore.trend(answers),
    "by_dimension": lambda answers, _: explore.by_dimension(answers),
    "by_genre": lambda answers, _: explore.by_genre(answers),
    "by_tier": lambda answers, _: explore.by_tier(answers),
    "by_writer": lambda answers, _: explore.by_writer(answers),
    "by_title": lambda answers, _: explore.by_title(answers),
    "by_engine": explore.by_engine,
    "by_cohort": lambda answers, _: explore.by_cohort(answers),
    "worst": lambda answers, _: explore.worst(answers),
    "best": lambda answers, _: explore.best(answers),
    "slowest": lambda answers, _: explore.slowest(answers),
}


def frame_of(*events: GenerationEvent) -> pd.DataFrame:
    return answers_frame(events)


@pytest.mark.parametrize("name", VIEWS)
def test_a_view_without_data_has_its_columns_and_no_figures(name: str) -> None:
    full, empty = VIEWS[name](ANSWERS, ENGINES), VIEWS[name](answers_frame(()), engines_frame(()))
    assert dict(empty.dtypes) == dict(full.dtypes)
    if "count" in empty:
        assert empty["count"].sum() == 0
    else:
        assert empty.empty


@pytest.mark.parametrize("name", VIEWS)
def test_a_view_of_answers_without_a_score_does_not_invent_one(name: str) -> None:
    bare = [
        an_answer(
            f"a{n}", score=None, quality=None, dimensions={}, engines=[an_engine("Pacing")], flags={"x": True}
        )
        for n in range(8)
    ]
    view = VIEWS[name](answers_frame(bare), engines_frame(bare))
    assert view.filter(regex="mean|low_|difference|level|median").isna().all(axis=None)


@pytest.mark.parametrize("name", VIEWS)
def test_a_view_stays_small_whatever_it_is_of(name: str) -> None:
    odd = [
        an_answer(
            f"a{n:04}", at=datetime(1970 + n % 130, 1 + n % 12, 1, tzinfo=UTC), title=f"title {n}", writer=f"writer {n}",
            genres=(f"genre {n}",), engines=[an_engine(f"engine {n}")], flags={f"flag {n % 300}": n % 2 == 0},
        )
        for n in range(900)
    ]  # fmt: skip
    assert len(VIEWS[name](answers_frame(odd), engines_frame(odd))) <= 300


@pytest.mark.parametrize("name", VIEWS)
def test_a_view_leaves_the_answers_as_they_are(name: str) -> None:
    before, engines = ANSWERS.copy(), ENGINES.copy()
    VIEWS[name](ANSWERS, ENGINES)
    assert_frame_equal(ANSWERS, before)
    assert_frame_equal(ENGINES, engines)


def test_every_scored_answer_stands_in_one_bar_of_its_class() -> None:
    frame = frame_of(
        *(an_answer(f"a{n}", quality=value) for n, value in enumerate((0.0, 6.99, 7.0, 7.24, 10.0)))
    )
    bars = explore.distribution(frame)
    assert len(bars) == 40
    assert bars["count"].sum() == 5
    filled = bars[bars["count"] > 0]
    assert list(filled["low"]) == [0.0, 6.75, 7.0, 9.75]
    assert list(filled["count"]) == [1, 1, 2, 1]
    assert list(filled["class"]) == ["poor", "good", "excellent", "masterpiece"]
    assert bars["share"].sum() == pytest.approx(100.0)


def test_marks_stand_where_classes_begin() -> None:
    marks = explore.class_marks()
    assert dict(zip(marks["class"], marks["at"], strict=True)) == {
        "poor": 0.0, "basic": 3.0, "good": 5.0, "excellent": 7.0, "cinematic": 8.0, "masterpiece": 9.0,
    }  # fmt: skip
    assert all(quality_class(at) == name for name, at in zip(marks["class"], marks["at"], strict=True))


@pytest.mark.parametrize(
    ("days", "step"),
    [(0.0, "hour"), (3.0, "hour"), (30.0, "day"), (180.0, "day"), (400.0, "week"), (9000.0, "5 weeks")],
)
def test_steps_of_a_trend_suit_the_span(days: float, step: str) -> None:
    view = explore.trend(frame_of(an_answer("a", at=NOW - timedelta(days=days)), an_answer("b", at=NOW)))
    assert set(view["step"]) == {step}


def test_a_week_begins_on_monday_and_a_day_at_midnight_of_utc() -> None:
    sunday = datetime.fromisoformat("2026-01-05T00:30:00+02:00")
    days = explore.trend(frame_of(an_answer("a", at=sunday), an_answer("b", at=sunday - timedelta(days=20))))
    assert days["at"].iloc[-1] == datetime(2026, 1, 4, tzinfo=UTC)
    weeks = explore.trend(
        frame_of(an_answer("a", at=sunday), an_answer("b", at=sunday - timedelta(days=300)))
    )
    assert weeks["at"].iloc[-1] == datetime(2025, 12, 29, tzinfo=UTC)
    assert weeks["until"].iloc[-1] == datetime(2026, 1, 5, tzinfo=UTC)


def test_the_interval_of_a_mean_is_students() -> None:
    qualities = [6.0, 7.5, 8.0, 8.5, 9.0, 9.5]
    view = explore.by_writer(
        frame_of(*(an_answer(f"a{n}", quality=value) for n, value in enumerate(qualities)))
    )
    reach = 2.5706 * stdev(qualities) / 6**0.5  # the tables' t for 5 degrees of freedom, 97.5 %
    assert view["mean"][0] == pytest.approx(fmean(qualities))
    assert (view["low"][0], view["high"][0]) == pytest.approx(
        (fmean(qualities) - reach, fmean(qualities) + reach), abs=0.01
    )


def test_few_values_have_a_mean_and_no_interval() -> None:
    view = explore.by_writer(frame_of(*(an_answer(f"a{n}", quality=7.0 + n) for n in range(3))))
    assert view["mean"][0] == 8.0
    assert view[["low", "high"]].isna().all(axis=None)


def test_a_fall_in_quality_is_found_on_its_day_and_a_steady_level_has_no_change() -> None:
    steady = [one.model_copy(update={"quality": one.quality}) for one in EVENTS]
    assert not explore.trend(answers_frame(steady))["change"].any()
    fell = [
        one.model_copy(update={"quality": max(0.0, one.quality - 2.0)})
        if one.quality is not None and one.at >= datetime(2025, 12, 24, tzinfo=UTC)
        else one
        for one in EVENTS
    ]
    view = explore.trend(answers_frame(fell))
    assert list(view.loc[view["change"], "at"]) == [pd.Timestamp("2025-12-24", tz="UTC")]
    before, after = view[view["at"] < "2025-12-24"], view[view["at"] >= "2025-12-24"]
    assert before["level"].to_numpy() == pytest.approx(before["mean"].mean())
    assert after["level"].to_numpy() == pytest.approx(after["mean"].mean())
    levels = view["level"].unique()
    assert len(levels) == 2
    assert levels[0] - levels[1] == pytest.approx(2.0, abs=0.3)


def test_means_by_tier_and_dimension_are_those_of_the_dashboard() -> None:
    counted = ANSWERS[ANSWERS["counts"]]
    shown = figures(EVENTS, NOW, hours=24 * 40)
    assert shown.tiers is not None
    tiers = explore.by_tier(counted).set_index("name")
    assert list(tiers.index) == list(explore.TIERS)
    for tier, figure in shown.tiers.items():
        assert tiers.loc[tier, "mean"] == pytest.approx(figure.quality)
        assert tiers.loc[tier, "answers"] == figure.count
        assert tiers.loc[tier, "seconds"] == pytest.approx(figure.seconds)
    told = explore.summary(counted)
    assert told.mean == pytest.approx(shown.mean_quality)
    assert told.error_rate == pytest.approx(shown.error_rate)
    assert told.fallback_rate == pytest.approx(shown.fallback_rate)
    assert shown.seconds is not None
    assert told.seconds_p95 == pytest.approx(shown.seconds.p95)
    dimensions = explore.by_dimension(counted)
    assert list(dimensions["label"])[:2] == ["Character depth", "Dialogue quality"]
    scores = [one.dimensions["dialogue"] for one in EVENTS if one.counts and "dialogue" in one.dimensions]
    assert dimensions["mean"][1] == pytest.approx(fmean(scores))
    assert dimensions["count"][1] == len(scores)


def test_an_answer_of_two_genres_counts_for_both_and_one_of_none_is_not_lost() -> None:
    view = explore.by_genre(
        frame_of(
            an_answer("a", genres=("drama", "noir")),
            an_answer("b", genres=("drama",)),
            an_answer("c", genres=()),
        )
    )
    assert dict(zip(view["name"], view["answers"], strict=True)) == {"drama": 2, "(no genre)": 1, "noir": 1}
    assert view["share"][0] == pytest.approx(200 / 3)


def test_engines_are_compared_by_whether_they_delivered() -> None:
    events = [
        an_answer(
            f"a{n}",
            quality=8.0 + n / 100 if n % 2 else 6.0 + n / 100,
            engines=[an_engine("Pacing", n % 2 == 1), an_engine("Stakes")],
        )
        for n in range(20)
    ]
    view = explore.by_engine(answers_frame(events), engines_frame(events)).set_index("name")
    assert view.loc["Pacing", "success"] == 50.0
    assert view.loc["Pacing", "difference"] == pytest.approx(2.01)
    assert view.loc["Pacing", "low"] < 2.01 < view.loc["Pacing", "high"]
    assert view.loc["Stakes", "delivered"] == 20
    assert pd.isna(view.loc["Stakes", "difference"])
    shown = figures(events, NOW).engines
    assert shown is not None
    assert {name: one.success_rate for name, one in shown.items()} == view["success"].to_dict()


def test_engines_are_of_the_answers_that_one_looks_at() -> None:
    half = ANSWERS.iloc[:50]
    view = explore.by_engine(half, ENGINES)
    assert view["active"].sum() == half["active"].sum()


def test_cohorts_are_those_of_the_flags_with_their_differences() -> None:
    view = explore.by_cohort(ANSWERS).set_index("name")
    samples = flag_samples(EVENTS)
    on, off = cohorts(samples, "genre_engines")
    expected = differences(samples, "genre_engines")
    row = view.loc["genre_engines"]
    assert (row["on"], row["off"]) == (on.usage, off.usage)
    assert row["mean_on"] == pytest.approx(on.quality)
    assert expected.quality is not None
    assert expected.error_rate is not None
    assert (row["difference"], row["low"], row["high"]) == pytest.approx(
        (expected.quality.value, expected.quality.low, expected.quality.high)
    )
    assert row["low"] < 0.5 < row["high"]
    assert (row["errors_low"] / 100, row["errors_high"] / 100) == pytest.approx(
        (expected.error_rate.low, expected.error_rate.high)
    )
    assert pd.isna(view.loc["high_temperature", "difference"])


def test_the_worst_the_best_and_the_slowest_can_be_looked_into() -> None:
    frame = frame_of(
        an_answer("old", quality=5.0, at=ago(hours=9)),
        an_answer("new", quality=5.0, seconds=90.0),
        an_answer("good", quality=9.0),
        an_answer("unscored", quality=None, seconds=120.0),
    )
    assert list(explore.worst(frame)["id"]) == ["new", "old", "good"]
    assert list(explore.best(frame, 1)["id"]) == ["good"]
    assert list(explore.slowest(frame, 2)["id"]) == ["unscored", "new"]
    assert list(explore.worst(frame, value="dimension:dialogue").columns)[-1] == "dimension:dialogue"
    assert len(explore.worst(ANSWERS, 10_000)) == explore.MOST_LISTED


def test_without_answers_the_summary_says_so() -> None:
    assert explore.summary(answers_frame(())) == explore.Summary(count=0, scored=0)
