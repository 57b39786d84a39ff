"""Analysts see how quality changes over time: what really changed is found and tied to what happened, chance is not taken for a trend,
and forecasts come with how far they were off."""

from __future__ import annotations

import random
from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np
import pandas as pd
import pytest

from cinegen_core.analysis import satisfaction, trend_charts
from cinegen_core.analysis import trend_report as trends
from cinegen_core.analysis.answers import answers_frame, ratings_frame
from cinegen_core.flags.model import Change
from cinegen_core.monitor.alerts import info
from cinegen_core.monitor.events import AlertEvent, Event, FeedbackEvent, GenerationEvent
from cinegen_core.scorer import DIMENSION_WORDS
from tests.analysis.answering import a_word, an_answer

START = datetime(2026, 1, 5, tzinfo=UTC)
HOURS = 24 * 30
END = START + timedelta(hours=HOURS)


def a_month(*, seed: int = 3, per_hour: int = 12, quality: Any = lambda hour: 8.0) -> list[GenerationEvent]:
    """Answers of thirty days, evenly spread, whose quality is `quality` of the hour and a deviation by chance."""
    rng = random.Random(seed)
    made = []
    for place in range(HOURS * per_hour):
        hour = place / per_hour
        value = min(10.0, max(0.0, rng.gauss(quality(hour), 0.6)))
        made.append(
            an_answer(
                f"g{place:05}",
                at=START + timedelta(hours=hour),
                score=value,
                quality=value,
                dimensions={name: min(10.0, max(0.0, rng.gauss(value, 0.4))) for name in DIMENSION_WORDS},
                genres=rng.choice((("drama",), ("drama", "comedy"), ())),
                flags={"genre_engines": rng.random() < 0.5, "high_temperature": True},
                seconds=round(rng.lognormvariate(3.0, 0.2), 3),
            )
        )
    return made


@pytest.fixture(scope="module")
def steady() -> pd.DataFrame:
    return answers_frame(a_month())


@pytest.fixture(scope="module")
def worse_for_a_while() -> pd.DataFrame:
    """Six hours, ten days after the beginning, in which quality is lower by two."""
    return answers_frame(a_month(quality=lambda hour: 6.0 if 240 <= hour < 246 else 8.0))


def a_change(at: datetime, **changes: Any) -> Change:
    values = {
        "version": 1,
        "at": at,
        "who": "Ada",
        "why": "to see",
        "kind": "set",
        "subject": "flag:genre_engines",
    }
    return Change.model_validate(
        {**values, "before": {"enabled": True}, "after": {"enabled": False}, **changes}
    )


def test_days_and_weeks_are_means_with_intervals_and_steps_of_utc(steady: pd.DataFrame) -> None:
    days, weeks = trends.over_time(steady, "day"), trends.over_time(steady, "week")
    assert len(days) == 30
    assert days["count"].sum() == weeks["count"].sum() == len(steady)
    assert [at.isoweekday() for at in weeks["at"]] == [1] * len(weeks)
    assert (days["low"] < days["mean"]).all()
    assert (days["mean"] < days["high"]).all()
    first = steady[steady["at"] < pd.Timestamp(START) + pd.Timedelta(days=1)]["quality"]
    assert days["mean"][0] == pytest.approx(first.mean())


def test_each_dimension_tier_genre_and_cohort_has_its_own_line(steady: pd.DataFrame) -> None:
    found = {
        by: list(dict.fromkeys(trends.by_group(steady, by, "day")["group"]))
        for by in ("dimension", "tier", "genre", "cohort")
    }
    assert found["dimension"] == list(DIMENSION_WORDS.values())
    assert found["tier"] == ["comprehensive"]
    assert found["genre"] == ["(no genre)", "comedy", "drama"]
    # a flag that is on for everybody has no cohorts
    assert found["cohort"] == ["genre_engines on", "genre_engines off"]


def test_quality_that_goes_nowhere_is_not_said_to_have_a_trend(steady: pd.DataFrame) -> None:
    found = trends.directions(steady)
    assert set(found["verdict"]) == {"no trend shown"}
    assert trend_charts.directions_words(found).startswith("No trend shown")


def test_quality_that_rises_is_seen_with_its_slope() -> None:
    rising = answers_frame(a_month(quality=lambda hour: 7.0 + 0.3 * hour / 168))
    whole = trends.directions(rising).set_index("group").loc["quality"]
    assert whole["verdict"] == "rising"
    assert whole["low"] < 0.3 < whole["high"]


def test_looking_often_makes_no_finding() -> None:
    assert trends.holm([0.04, 0.001, float("nan"), 0.03])[:2] == [pytest.approx(0.06), pytest.approx(0.003)]
    assert np.isnan(trends.holm([0.04, float("nan")])[1])
    assert trends.holm([0.9, 0.8]) == [1.0, 1.0]


def test_some_bad_hours_are_found_and_tied_to_the_change_of_a_flag(worse_for_a_while: pd.DataFrame) -> None:
    at = START + timedelta(hours=240)
    marks = trends.marks((), [a_change(at)])
    found = trends.jumps(worse_for_a_while, marks)
    quality = found[found["figure"] == trends.FIGURES["quality"]]
    assert list(quality["at"]) == [pd.Timestamp(at), pd.Timestamp(at) + pd.Timedelta(hours=6)]
    assert quality["before"].iloc[0] - quality["after"].iloc[0] == pytest.approx(2.0, abs=0.2)
    assert "genre_engines was switched off by Ada" in quality["tied"].iloc[0]
    # six hours later nothing is known to have happened
    assert quality["tied"].iloc[1] == ""
    chance = trends.chance_of_a_tie(worse_for_a_while, marks)
    assert 0 < chance < 0.01
    words = trend_charts.jumps_words(found, marks, chance)
    assert "genre_engines was switched off" in words
    assert "Near nothing that is known of" in words


def test_what_happened_without_a_change_of_level_is_named_too(steady: pd.DataFrame) -> None:
    marks = trends.marks((), [a_change(START + timedelta(days=3))])
    assert "No change of level" in trend_charts.jumps_words(trends.jumps(steady, marks), marks, 0.0)
    assert not trends.around(steady, marks)["shown"].any()


def test_answers_after_a_change_are_held_against_those_before(worse_for_a_while: pd.DataFrame) -> None:
    marks = [
        trends.Mark(
            at=START + timedelta(hours=240),
            until=START + timedelta(hours=246),
            kind="flag change",
            words="off",
        )
    ]
    found = trends.around(worse_for_a_while, marks).set_index("figure")
    quality = found.loc[trends.FIGURES["quality"]]
    assert quality["shown"]
    assert quality["low"] < -2.0 < quality["high"]
    assert quality["answers_after"] == 6 * 12
    assert not found.loc[trends.FIGURES["seconds"], "shown"]


def test_without_a_journal_notices_tell_of_flags_and_alerts_are_listed_beside_them() -> None:
    at = START + timedelta(days=1)
    steps: list[Event] = [info("flag_changed", "genre_engines was set to 50 %", at=at, by="Ada")]
    steps += [
        AlertEvent(id=f"a{state}", at=at + timedelta(hours=hours), alert="a", rule="quality_critical", severity="critical", state=state, cause="who knows")
        for hours, state in ((1, "firing"), (3, "resolved"))
    ]  # fmt: skip
    found = trends.marks(steps)
    assert [(mark.kind, mark.until is None) for mark in found] == [("flag change", True), ("alert", False)]
    # the journal, where there is one, says it better, and once
    journal = [mark for mark in trends.marks(steps, [a_change(at)]) if mark.kind == "flag change"]
    assert [mark.words for mark in journal] == ["genre_engines was switched off by Ada: to see"]


def test_the_simulated_weeks_name_what_was_planted() -> None:
    assert [mark.words.partition(":")[0] for mark in trends.marks((), source="simulated")] == [
        "quality-drop", "slow-model", "crash", "engine-failure", "provider-outage",
    ]  # fmt: skip


def test_trials_and_kept_answers_take_no_part() -> None:
    answers = [
        an_answer("a"),
        an_answer("b", trial=True),
        an_answer("c", kept=True),
        an_answer("d", emergency=True),
    ]
    assert [event.id for event in trends.counted(answers)] == ["a"]


def ratings_of(answers: list[GenerationEvent], *, honest: bool, readers: int = 40) -> list[FeedbackEvent]:
    rng = random.Random(5)
    made = []
    for place, answer in enumerate(answers):
        about = answer.quality if honest and answer.quality is not None else 6.0
        rating = min(10, max(1, round(rng.gauss(about, 1.0))))
        made.append(a_word(f"f{place}", answer.id, at=answer.at, who=f"r{place % readers}", rating=rating))
    return made


def test_readers_who_follow_quality_are_told_from_those_who_do_not() -> None:
    answers = a_month(per_hour=1)
    frame = answers_frame(answers)
    for honest in (True, False):
        heard = ratings_frame([*answers, *ratings_of(answers, honest=honest)])
        found = satisfaction.agreement(satisfaction.rated(heard, frame))
        whole = found.set_index("name").loc["Quality"]
        assert (whole["low"] > 0) == honest
        assert whole["low"] < whole["rho"] < whole["high"]
        assert whole["readers"] == 40
        assert list(found["name"]) == ["Quality", *DIMENSION_WORDS.values()]
        words = trend_charts.agreement_words(found)
        assert ("give more to what scores more" in words) == honest


def test_readers_who_each_have_their_own_taste_make_the_interval_wider() -> None:
    answers = a_month(per_hour=1)
    frame, rng = answers_frame(answers), random.Random(2)
    # each of ten readers reads answers of one level, and is kind or strict by nature
    by_quality = sorted(answers, key=lambda one: one.quality or 0.0)
    size = len(by_quality) // 12
    told = [
        a_word(
            f"f{place}",
            one.id,
            who=f"r{place // size}",
            at=one.at,
            rating=1 + (7 * (place // size) + rng.randrange(2)) % 10,
        )
        for place, one in enumerate(by_quality[: size * 12])
    ]
    known = satisfaction.rated(ratings_frame([*answers, *told]), frame)
    together = satisfaction.agreement(known).iloc[0]
    apart = satisfaction.agreement(known.assign(who="")).iloc[0]
    assert together["high"] - together["low"] > 3 * (apart["high"] - apart["low"])


def test_few_ratings_are_no_data() -> None:
    answers = a_month(per_hour=1)
    heard = ratings_frame([*answers, *ratings_of(answers[:5], honest=True)])
    found = satisfaction.agreement(satisfaction.rated(heard, answers_frame(answers)))
    assert found["rho"].isna().all()
    assert "no data" in trend_charts.agreement_words(found)


def test_a_backtest_sees_only_the_days_before_and_says_how_often_the_interval_held(
    steady: pd.DataFrame,
) -> None:
    points = trends.daily_points(steady, END)
    told = trends.backtest(points, 7)
    assert len(told) == len(points) - 14 - 6
    changed = [*points[:-1], (points[-1][0], 0.0)]
    assert trends.backtest(changed, 7)["value"].tolist() == told["value"].tolist()
    assert not trends.backtest(changed, 7)["inside"].iloc[-1]
    errors = trends.past_errors(points).set_index("days")
    assert errors.loc[1, "low"] <= 95 <= errors.loc[1, "high"]
    # forecasts of overlapping weeks fail together, so that they say less
    assert errors.loc[7, "high"] - errors.loc[7, "low"] > 2 * (errors.loc[1, "high"] - errors.loc[1, "low"])


def test_a_level_that_changed_shows_in_the_errors_of_past_forecasts() -> None:
    points = [
        (START + timedelta(days=day), 8.0 + 0.01 * (day % 3) - (2.0 if day >= 25 else 0.0))
        for day in range(30)
    ]
    errors = trends.past_errors(points, (1,)).iloc[0]
    assert errors["coverage"] < 95
    assert "%" in trend_charts.forecast_words(trends.ahead(points), trends.past_errors(points))


def test_a_forecast_goes_on_from_the_last_day_that_is_over(steady: pd.DataFrame) -> None:
    ahead = trends.ahead(trends.daily_points(steady, END))
    assert len(ahead) == 7
    assert ahead["at"].iloc[0] == pd.Timestamp(END)
    assert ((ahead["low"] < 8.0) & (ahead["high"] > 8.0)).all()
    not_over = trends.ahead(trends.daily_points(steady, END - timedelta(minutes=1)))
    assert not_over["at"].iloc[0] == pd.Timestamp(END) - pd.Timedelta(days=1)


def test_without_data_every_table_is_empty_and_every_sentence_says_so() -> None:
    nothing = answers_frame(())
    assert trends.over_time(nothing, "day").empty
    assert trends.by_group(nothing, "genre", "week").empty
    assert trends.jumps(nothing, ()).empty
    assert trends.spread_over_time(nothing).empty
    errors, ahead = (
        trends.past_errors(trends.daily_points(nothing, END)),
        trends.ahead(trends.daily_points(nothing, END)),
    )
    for words in (
        trend_charts.directions_words(trends.directions(nothing)),
        trend_charts.forecast_words(ahead, errors),
        trend_charts.spread_words(trends.spread_over_time(nothing)),
        trend_charts.jumps_words(trends.jumps(nothing, ()), (), trends.chance_of_a_tie(nothing, ())),
    ):
        assert "no data" in words


def test_every_chart_is_drawn_with_and_without_data_from_few_rows(worse_for_a_while: pd.DataFrame) -> None:
    heard = a_month(per_hour=1)
    ratings = ratings_frame([*heard, *ratings_of(heard, honest=True)])
    marks = trends.marks((), [a_change(START + timedelta(hours=240))])
    for answers, known in ((worse_for_a_while, ratings), (worse_for_a_while.head(0), ratings.head(0))):
        rated = satisfaction.rated(known, answers_frame(heard))
        points = trends.daily_points(answers, END)
        drawn = [
            trend_charts.groups_chart(trends.by_group(answers, "dimension", "day"), "SIMULATED"),
            trend_charts.spread_chart(trends.spread_over_time(answers), "SIMULATED"),
            trend_charts.jumps_chart(
                trends.over_time(answers, "hour"), trends.jumps(answers, marks), marks, "quality", "SIMULATED"
            ),
            trend_charts.agreement_chart(satisfaction.agreement(rated), "SIMULATED"),
            trend_charts.ratings_chart(satisfaction.ratings_by_quality(rated), "SIMULATED"),
            trend_charts.forecast_chart(
                trends.over_time(answers, "day"),
                trends.ahead(points),
                trends.backtest(points, 7),
                "SIMULATED",
            ),
        ]
        for chart in drawn:
            spec = chart.to_dict()
            assert sum(len(rows) for rows in spec["datasets"].values()) < 5000
            assert spec["title"]["text"].startswith("SIMULATED")
            assert ("no data" in spec["title"]["text"]) == answers.empty
