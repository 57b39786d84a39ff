"""What an analyst chose: it finds the answers it says, and survives in an address, whatever somebody makes of that."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from urllib.parse import parse_qsl, urlsplit

import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from cinegen_core.analysis.answers import answers_frame, engines_frame
from cinegen_core.analysis.exporting import link
from cinegen_core.analysis.filters import Filters, Span
from cinegen_core.monitor.events import GenerationEvent
from cinegen_core.scorer import DIMENSION_WORDS

from .answering import NOW, ago, an_answer, an_engine

NAMES = st.lists(st.text(max_size=12), max_size=4).map(tuple)
POINTS = st.one_of(st.none(), st.floats(allow_nan=False, allow_infinity=False))
SPANS = st.tuples(POINTS, POINTS).map(
    lambda ends: Span(low=min(ends), high=max(ends)) if None not in ends else Span(low=ends[0], high=ends[1])  # type: ignore[type-var]
)
MOMENTS = st.one_of(st.none(), st.datetimes(timezones=st.just(UTC)))

SOME = (an_answer("a", engines=[an_engine("Pacing")], flags={"x": True}), an_answer("b", quality=None))


@st.composite
def any_filters(draw: st.DrawFn) -> Filters:
    since, until = draw(MOMENTS), draw(MOMENTS)
    if since is not None and until is not None and since >= until:
        since = None
    return Filters(
        since=since,
        until=until,
        series=draw(st.sampled_from(["live", "staging", "simulated"])),
        titles=draw(NAMES),
        genres=draw(NAMES),
        tiers=draw(
            st.lists(st.sampled_from(["comprehensive", "enhanced_baseline", "basic_fallback"]), max_size=3)
        ),
        writers=draw(NAMES),
        engines=draw(NAMES),
        cohorts=tuple(
            f"{flag}:{value}"
            for flag, value in draw(
                st.lists(
                    st.tuples(st.text(min_size=1, max_size=8), st.sampled_from(["on", "off"])), max_size=3
                )
            )
        ),
        number=draw(SPANS),
        quality=draw(SPANS),
        score=draw(SPANS),
        dimensions=tuple(
            draw(st.dictionaries(st.sampled_from(sorted(DIMENSION_WORDS)), SPANS, max_size=3)).items()
        ),
        counted=draw(st.booleans()),
    )


def found_by(filters: Filters, *events: GenerationEvent) -> list[str]:
    return list(filters.apply(answers_frame(events), engines_frame(events))["id"])


@given(any_filters())
def test_a_link_that_one_sends_opens_the_same_choice(filters: Filters) -> None:
    query = dict(
        parse_qsl(urlsplit(link("http://127.0.0.1:8501/quality", filters)).query, keep_blank_values=True)
    )
    assert Filters.from_query(query) == (filters, ())


@given(
    st.dictionaries(
        st.one_of(st.text(max_size=8), st.sampled_from([*Filters.model_fields, *DIMENSION_WORDS])),
        st.one_of(
            st.text(),
            st.sampled_from(
                [
                    "7..8",
                    "9..1",
                    "nan..",
                    "a:on,b",
                    "simulated",
                    "2026-01-01",
                    "0001-01-01T00:00+23:00",
                    "\\",
                    ",",
                ]
            ),
        ),
        max_size=6,
    )
)
def test_whatever_stands_in_an_address_it_is_read_as_far_as_it_makes_sense(query: dict[str, str]) -> None:
    filters, ignored = Filters.from_query(query)
    assert len(ignored) <= len(query)
    assert Filters.from_query(filters.to_query()) == (filters, ())
    assert set(found_by(filters, *SOME)) <= {"a", "b"}


def test_what_an_address_says_in_vain_is_named_with_the_reason() -> None:
    filters, ignored = Filters.from_query(
        {
            "quality": "8..7",
            "tiers": "best",
            "colour": "red",
            "since": "yesterday",
            "dialogue": "6..",
            "number": "x",
            "episode": "g1",
        },
        also_known=["episode"],
    )
    assert filters == Filters(dimensions=(("dialogue", Span(low=6)),))
    assert [part.partition("=")[0] for part in ignored] == ["quality", "tiers", "colour", "since", "number"]
    assert ignored[0] == "quality=8..7: it begins at 8 and ends below that, at 7"
    assert "write 2026-11-01" in ignored[3]


def test_a_span_of_time_that_ends_before_it_begins_keeps_its_beginning() -> None:
    filters, ignored = Filters.from_query({"since": "2026-01-05", "until": "2026-01-04"})
    assert filters == Filters(since=datetime(2026, 1, 5, tzinfo=UTC))
    assert len(ignored) == 1


def test_an_address_is_one_that_people_can_read() -> None:
    filters = Filters(
        since=NOW,
        tiers=("comprehensive",),
        genres=("drama", "noir, black"),
        quality=Span(low=7, high=8.5),
        cohorts=("genre_engines:on",),
    )
    assert filters.to_query() == {
        "since": "2026-01-05T12:00:00Z",
        "tiers": "comprehensive",
        "genres": "drama,noir\\, black",
        "quality": "7..8.5",
        "cohorts": "genre_engines:on",
    }
    assert Filters().to_query() == {}


def test_answers_from_the_cache_and_of_an_emergency_are_left_out_unless_asked_for() -> None:
    events = (an_answer("a"), an_answer("b", kept=True), an_answer("c", emergency=True))
    assert found_by(Filters(), *events) == ["a"]
    assert found_by(Filters(counted=False), *events) == ["a", "b", "c"]


def test_series_never_mix() -> None:
    events = (an_answer("a"), an_answer("b", series="simulated"))
    assert found_by(Filters(), *events) == ["a"]
    assert found_by(Filters(series="simulated"), *events) == ["b"]


@pytest.mark.parametrize(
    ("filters", "expected"),
    [
        (Filters(since=ago(hours=3)), ["near"]),
        (Filters(until=ago(hours=3)), ["far"]),
        (Filters(since=ago(hours=5), until=ago(hours=1)), ["far"]),
        (Filters(titles=("Dead Air", "Sworn")), ["near"]),
        (Filters(genres=("noir", "comedy")), ["far"]),
        (Filters(tiers=("basic_fallback",)), ["far"]),
        (Filters(writers=("embedded",)), ["far"]),
        (Filters(engines=("Pacing",)), ["near"]),
        (Filters(engines=("Pacing", "Stakes")), ["far", "near"]),
        (Filters(cohorts=("genre_engines:off",)), ["far"]),
        (Filters(cohorts=("genre_engines:on", "beta_features:off")), ["near"]),
        (Filters(cohorts=("unheard_of:off",)), []),
        (Filters(number=Span(low=2, high=5)), ["near"]),
        (Filters(quality=Span(high=6)), ["far"]),
        (Filters(score=Span(low=8)), ["near"]),
        (Filters(dimensions=(("dialogue", Span(low=7)), ("structure", Span(high=8)))), ["near"]),
        (Filters(titles=("Dead Air",), tiers=("basic_fallback",)), []),
    ],
)  # fmt: skip
def test_each_filter_finds_what_it_says(filters: Filters, expected: list[str]) -> None:
    far = an_answer(
        "far", at=ago(hours=5), title="Slack Water", genres=("drama", "noir"), tier="basic_fallback", writer="embedded",
        engines=[an_engine("Stakes", delivered=False)], flags={"genre_engines": False}, number=1, quality=5.0, score=5.0,
        dimensions={"dialogue": 5.0},
    )  # fmt: skip
    near = an_answer(
        "near", at=ago(hours=1), title="Dead Air", engines=[an_engine("Pacing")],
        flags={"genre_engines": True, "beta_features": False}, number=3,
    )  # fmt: skip
    assert found_by(filters, far, near) == expected


def test_an_answer_without_a_score_is_in_no_span_of_scores() -> None:
    unscored = an_answer("a", score=None, quality=None, dimensions={})
    assert found_by(Filters(), unscored) == ["a"]
    assert found_by(Filters(quality=Span(low=0)), unscored) == []


def test_filters_leave_the_table_as_it_is() -> None:
    frame = answers_frame([an_answer("a"), an_answer("b", kept=True)])
    before = frame.copy()
    Filters(quality=Span(low=9)).apply(frame, engines_frame(()))
    pd.testing.assert_frame_equal(frame, before)


def test_mistakes_in_a_program_are_told_at_once() -> None:
    with pytest.raises(ValidationError, match="is no cohort"):
        Filters(cohorts=("genre_engines",))
    with pytest.raises(ValidationError, match="ends no later"):
        Filters(since=NOW, until=NOW - timedelta(hours=1))
