"""Questions to Parquet files are answered as questions to tables in memory are: the same rows in the same order, figures to nine digits."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pandas.testing import assert_frame_equal

from cinegen_core.analysis import duck_reports, explore, satisfaction, sources, tier_report, trend_report
from cinegen_core.analysis.answers import (
    VALUES,
    Answers,
    FrameAnswers,
    answers_frame,
    engines_frame,
    ratings_frame,
)
from cinegen_core.analysis.duck import AnalyticsError, DuckAnswers, DuckFolder, open_folder
from cinegen_core.analysis.filters import Filters, Span
from cinegen_core.analysis.parquet import Listed, begin, write_events
from cinegen_core.monitor.events import Event
from cinegen_core.scorer import DIMENSION_WORDS

from .answering import NOW, a_word, ago, an_answer, an_engine, many_answers

SINCE = sources.START + timedelta(days=3)
HOSTILE = "'; DROP TABLE answers; --"


@cache
def simulated() -> tuple[Event, ...]:
    return sources.simulated(days=10.0, rate=9.0)


def ties() -> tuple[Event, ...]:
    """Many of one quality, some of them of one moment."""
    return tuple(
        an_answer(f"t{n % 7}{n:03}", at=ago(hours=n // 4), quality=8.0, seconds=30.0, engines=[an_engine("Pacing", n % 2 == 0)])
        for n in range(80)
    )  # fmt: skip


def odd() -> tuple[Event, ...]:
    """No genre or several, no quality, moments of long ago, names that look like something else, more groups than a table has."""
    made = [
        an_answer(
            f"o{n:04}", at=datetime((1930, 1969, 1970, 2026)[n % 4], 1, 1 + n % 28, n % 24, tzinfo=UTC), title=f"title {n % 63}",
            writer=HOSTILE if n % 9 == 0 else f"writer {n % 70}", genres=() if n % 4 == 0 else (f"genre {n % 75}", "a,b")[: n % 4],
            quality=None if n % 5 == 0 else n % 11 + 0.125 * (n % 3), dimensions={} if n % 6 == 0 else {"dialogue": float(n % 11)},
            engines=[an_engine(f"engine {n % 80}", n % 3 == 0, None if n % 2 else 0.5), an_engine(('a"b,c', 'x"engine 7', ", ", "two\nlines")[n % 4])], error=n % 13 == 0,
            flags={f"flag {n % 61}": n % 2 == 0, HOSTILE: n % 3 == 0}, kept=n % 17 == 0, seconds=float(n % 40),
        )
        for n in range(330)
    ]  # fmt: skip
    words = [a_word(f"w{n}", f"o{n % 110:04}", rating=n % 10 + 1, who="" if n % 3 else f"reader {n % 5}", at=ago(minutes=n % 50)) for n in range(250)]  # fmt: skip
    return (*made, an_answer("not a number", quality=float("nan"), score=float("nan")), *words)


RECORDS: dict[str, Callable[[], tuple[Event, ...]]] = {
    "simulated": simulated,
    "of all sorts": lambda: tuple(many_answers(1200)),
    "odd": odd,
    "ties": ties,
    "one": lambda: (an_answer("only", quality=None),),
    "none": tuple,
}
SERIES = {"simulated": "simulated"}

FILTERS: dict[str, dict[str, Any]] = {
    "nothing": {},
    "kept ones too": {"counted": False},
    "a span of time": {"since": SINCE, "until": SINCE + timedelta(days=6)},
    "genres and a tier": {"genres": ("drama", "a,b"), "tiers": ("comprehensive",)},
    "engines": {"engines": ("Pacing", "Horror", 'a"b,c', "engine 7", ", ", "lines")},
    "another engine": {"engines": ("two\nlines",)},
    "a cohort": {"cohorts": ("genre_engines:on",)},
    "numbers": {"quality": Span(low=6.5, high=8.25), "number": Span(high=5.0), "dimensions": (("dialogue", Span(low=5.0)),)},
    "names that look like SQL": {"writers": (HOSTILE, "\0", "%"), "cohorts": (f"{HOSTILE}:off",)},
    "nobody": {"titles": ("no such title",)},
}  # fmt: skip

LOOKED_AT: dict[str, tuple[str, ...]] = {
    "simulated": ("nothing", "a span of time", "genres and a tier", "engines", "a cohort", "numbers"),
    "of all sorts": ("nothing", "kept ones too", "a cohort", "numbers"),
    "odd": ("nothing", "genres and a tier", "engines", "another engine", "names that look like SQL"),
    "ties": ("nothing", "numbers"),
    "one": ("nothing", "nobody"),
    "none": ("nothing",),
}

QUESTIONS: dict[str, Callable[[Any, pd.DataFrame | None], pd.DataFrame]] = {
    "summary": lambda answers, _: pd.DataFrame([explore.summary(answers).model_dump()]).astype("float64"),
    "distribution": lambda answers, _: explore.distribution(answers, "score"),
    "trend": lambda answers, _: explore.trend(answers),
    "dimensions": lambda answers, _: explore.by_dimension(answers),
    "genres": lambda answers, _: explore.by_genre(answers),
    "tiers": lambda answers, _: explore.by_tier(answers, "dimension:dialogue"),
    "writers": lambda answers, _: explore.by_writer(answers, "seconds"),
    "titles": lambda answers, _: explore.by_title(answers),
    "engines": lambda answers, engines: explore.by_engine(answers, engines),
    "flags": lambda answers, _: explore.by_cohort(answers),
    "worst": lambda answers, _: explore.worst(answers, 40),
    "best": lambda answers, _: explore.best(answers, 300, "dimension:dialogue"),
    "slowest": lambda answers, _: explore.slowest(answers),
}


class Both(NamedTuple):
    """The same events in memory and in files."""

    events: tuple[Event, ...]
    answers: pd.DataFrame
    engines: pd.DataFrame
    folder: DuckFolder
    series: str

    def filtered(self, asked: dict[str, Any]) -> tuple[pd.DataFrame, DuckAnswers]:
        filters = Filters.model_validate({"series": self.series, **asked})
        return filters.apply(self.answers, self.engines), self.folder.answers.where(filters)


@pytest.fixture(scope="module", params=RECORDS)
def both(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Both]:
    events = RECORDS[request.param]()
    folder = tmp_path_factory.mktemp("events") / "out"
    write_events(enumerate(events, start=1), folder, begin(folder, Listed()), per_file=1000)
    with open_folder(folder, memory="500MB", threads=1) as opened:
        yield Both(
            events, answers_frame(events), engines_frame(events), opened, SERIES.get(request.param, "live")
        )


def same(one: pd.DataFrame, other: pd.DataFrame) -> None:
    assert_frame_equal(one, other, rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize(
    ("both", "asked"),
    [(record, asked) for record, several in LOOKED_AT.items() for asked in several],
    indirect=["both"],
)
def test_the_explorer_s_questions_have_the_same_answers(both: Both, asked: str) -> None:
    in_memory, in_files = both.filtered(FILTERS[asked])
    assert in_files.size() == len(in_memory)
    for name, question in QUESTIONS.items():
        try:
            same(question(in_memory, both.engines), question(in_files, None))
        except AssertionError as error:
            raise AssertionError(f"{name}: {error}") from error


def test_the_notebooks_questions_have_the_same_answers(both: Both) -> None:
    in_memory, in_files = both.filtered({})
    marks = trend_report.marks(both.events, source=sources.SIMULATED if both.series == "simulated" else "")[
        :6
    ]
    steps: tuple[trend_report.Step, ...] = ("6 hours", "week")
    by: tuple[trend_report.By, ...] = ("dimension", "tier", "genre", "cohort")
    same(trend_report.directions(in_memory), duck_reports.directions(in_files))
    same(trend_report.jumps(in_memory, marks), duck_reports.jumps(in_files, marks))
    same(trend_report.around(in_memory, marks), duck_reports.around(in_files, marks))
    for step in steps:
        same(
            trend_report.over_time(in_memory, step, "seconds"),
            duck_reports.over_time(in_files, step, "seconds"),
        )
        same(trend_report.spread_over_time(in_memory, step), duck_reports.spread_over_time(in_files, step))
    for group in by:
        same(trend_report.by_group(in_memory, group, "week"), duck_reports.by_group(in_files, group, "week"))
    over = trend_report.last_moment(both.events)
    one, other = trend_report.daily_points(in_memory, over), duck_reports.daily_points(in_files, over)
    assert [at for at, _ in one] == [at for at, _ in other]
    assert [mean for _, mean in one] == pytest.approx([mean for _, mean in other], rel=1e-9)


def test_what_readers_and_tiers_say_is_the_same(both: Both) -> None:
    in_memory, in_files = both.filtered({})
    known = satisfaction.rated(ratings_frame(both.events), in_memory)
    same(known, duck_reports.rated(in_files))
    every = both.folder.answers.where(Filters.model_validate({"series": both.series, "counted": False}))
    tries = duck_reports.event_tries(every)
    same(tier_report.event_tries(both.events), tries)
    same(satisfaction.agreement(known), satisfaction.agreement(duck_reports.rated(in_files)))


def test_the_same_questions_can_be_asked_of_either(both: Both) -> None:
    in_memory, in_files = both.filtered({})
    either: list[Answers] = [FrameAnswers(in_memory, both.engines), in_files]
    tables = [duck_reports.by_group(one, "tier", "day") for one in either]
    same(*tables)
    for value in VALUES:
        assert len({one.span(value) for one in either}) == 1
        same(*(one.groups("all", value, pd.Timedelta(days=1)) for one in either))
    for one in either:
        with pytest.raises(ValueError, match="is no value of answers"):
            one.groups("all", 'quality"; DROP TABLE answers; --')


@pytest.mark.parametrize("both", ["of all sorts"], indirect=True)
def test_names_to_filter_by_are_found(both: Both) -> None:
    names = both.folder.answers.names()
    assert names.titles == ("Dead Air", "Slack Water", "Sworn")
    assert names.genres == ("comedy", "drama", "thriller")
    assert names.engines == ("Pacing", "Stakes", "Subtext")
    assert names.flags == ("genre_engines", "high_temperature")
    assert names.writers == ("a model", "embedded")


NAMES = st.lists(
    st.sampled_from(["drama", "Sworn", "Pacing", "embedded", "live", "", "genre_engines", HOSTILE, "\0", "Ж", "a,b"])
    | st.text(st.characters(exclude_categories=["Cs"]), max_size=5),
    max_size=3,
).map(tuple)  # fmt: skip
SPANS = st.sampled_from([Span(), Span(low=7.5), Span(high=8.0), Span(low=6.0, high=7.0), Span(low=1e300)])


@given(
    filters=st.builds(
        Filters,
        since=st.none() | st.datetimes(datetime(2025, 11, 1), datetime(2025, 12, 20), timezones=st.just(UTC)),  # noqa: DTZ001 (the strategy adds it)
        until=st.none() | st.datetimes(datetime(2025, 12, 21), datetime(2026, 2, 1), timezones=st.just(UTC)),  # noqa: DTZ001
        titles=NAMES, genres=NAMES, writers=NAMES, engines=NAMES,
        tiers=st.lists(st.sampled_from(explore.TIERS), max_size=2).map(tuple),
        cohorts=NAMES.map(lambda names: tuple(f"{name}:on" for name in names if name)),
        number=SPANS, quality=SPANS, score=SPANS, counted=st.booleans(),
        dimensions=st.dictionaries(st.sampled_from(sorted(DIMENSION_WORDS)), SPANS, max_size=2).map(lambda found: tuple(found.items())),
    )
)  # fmt: skip
@settings(max_examples=40, deadline=None)
@pytest.mark.parametrize("both", ["of all sorts"], indirect=True)
def test_any_filters_find_the_same_answers(both: Both, filters: Filters) -> None:
    found = both.folder.answers.where(filters).listed("seconds", 2000, ["id"], ascending=True)
    assert set(found["id"]) == set(filters.apply(both.answers, both.engines)["id"])


def test_only_the_events_can_be_read_and_nothing_written(tmp_path: Path) -> None:
    folder = tmp_path / "out"
    write_events(enumerate([an_answer("a", at=NOW)], start=1), folder, begin(folder, Listed()))
    (tmp_path / "secret.csv").write_text("a,b\n1,2\n", encoding="utf-8")
    with open_folder(folder) as opened:
        for query in (
            f"FROM read_csv('{tmp_path}/secret.csv')",
            f"COPY answers TO '{tmp_path}/copy.csv'",
            "SET enable_external_access = true",
            "INSTALL httpfs",
        ):
            with pytest.raises(AnalyticsError):
                opened.rows(query)
        assert opened.answers.size() == 1
