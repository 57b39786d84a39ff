"""The tables that analysts work with: true to the events, the same however these arrive, and of the same shape without any."""

from __future__ import annotations

import random
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pandas as pd
import pytest
from pandas.testing import assert_frame_equal

from cinegen_core.analysis.answers import (
    ANSWER_TYPES,
    ENGINE_TYPES,
    RATING_TYPES,
    AnswerBook,
    answers_frame,
    engines_frame,
    ratings_frame,
)
from cinegen_core.monitor.events import Event, GenerationEvent, HeartbeatEvent, Series
from cinegen_core.monitor.metrics import figures
from cinegen_core.store.events import SqlEvents
from cinegen_core.store.sql import Database, sqlite_url

from .answering import NOW, a_word, ago, an_answer, an_engine, many_answers

HEARTBEAT = HeartbeatEvent(id="beat", at=NOW, studio="s")


@pytest.fixture
def log(tmp_path: Path) -> Iterator[SqlEvents]:
    with Database(sqlite_url(tmp_path / "events.db")) as database:
        yield SqlEvents(database)


def types_of(frame: pd.DataFrame) -> dict[str, str]:
    return {name: str(kind) for name, kind in frame.dtypes.items()}


class AsStored:
    """A log that gives events as the JSON that is stored."""

    def __init__(self, events: Iterable[Event]) -> None:
        self._events = [(number, event.model_dump_json()) for number, event in enumerate(events, start=1)]

    def __call__(
        self, *, after: int, series: Series | None, kinds: Iterable[str]
    ) -> Sequence[tuple[int, str]]:
        return [(number, text) for number, text in self._events if number > after]


def test_an_answer_is_a_row_with_everything_that_is_known_of_it() -> None:
    attempt = {
        "tier": "comprehensive",
        "writer": "w",
        "outcome": "failed",
        "seconds": 1.0,
        "calls": 3,
        "tokens": 40,
        "cost": 0.5,
    }
    frame = answers_frame(
        [
            an_answer(
                "a",
                genres=("drama", "noir"),
                attempts=[attempt, {**attempt, "cost": 0.25}],
                engines=[an_engine("Pacing"), an_engine("Stakes", delivered=False)],
                dimensions={"dialogue": 6.5},
                flags={"genre_engines": False},
                kept=True,
            ),
            HEARTBEAT,
            a_word("f", "a", rating=9),
        ]
    )
    assert len(frame) == 1
    row = frame.iloc[0]
    assert row["at"] == ago(hours=1)
    assert row["genres"] == ("drama", "noir")
    assert (row["calls"], row["tokens"], row["cost"]) == (6, 80, 0.75)
    assert (row["active"], row["delivered"]) == (2, 1)
    assert row["dimension:dialogue"] == 6.5
    assert pd.isna(row["dimension:structure"])
    assert not row["flag:genre_engines"]
    assert row["kept"]
    assert not row["counts"]


def test_a_flag_that_was_not_evaluated_for_an_answer_is_neither_on_nor_off() -> None:
    frame = answers_frame([an_answer("a", flags={"x": True}), an_answer("b", flags={"y": False})])
    assert pd.isna(frame["flag:x"][1])
    assert pd.isna(frame["flag:y"][0])


def test_columns_and_their_types_are_the_same_without_any_event() -> None:
    assert types_of(answers_frame(())) == dict(ANSWER_TYPES)
    assert types_of(engines_frame(())) == dict(ENGINE_TYPES)
    assert types_of(ratings_frame(())) == dict(RATING_TYPES)
    some = [*many_answers(20), a_word("f", "g000001", rating=7)]
    assert types_of(answers_frame(some)) == {
        **ANSWER_TYPES, "flag:genre_engines": "boolean", "flag:high_temperature": "boolean",
    }  # fmt: skip
    assert types_of(engines_frame(some)) == dict(ENGINE_TYPES)
    assert types_of(ratings_frame(some)) == dict(RATING_TYPES)


def test_columns_without_a_single_number_keep_their_types() -> None:
    frame = answers_frame([an_answer("a", score=None, quality=None, dimensions={})])
    assert types_of(frame) == dict(ANSWER_TYPES)


def test_rows_are_by_time_and_each_answer_once_however_events_arrive() -> None:
    events = many_answers(60)
    shuffled = [*events, *events[:10]]
    random.Random(3).shuffle(shuffled)
    assert_frame_equal(answers_frame(shuffled), answers_frame(events))
    assert_frame_equal(engines_frame(shuffled), engines_frame(events))


def test_an_engine_of_an_answer_is_a_row() -> None:
    frame = engines_frame(
        [
            an_answer(
                "a", engines=[an_engine("Pacing"), an_engine("Stakes", delivered=False, realised=None)]
            ),
            an_answer("b"),
        ]
    )
    assert list(frame["engine"]) == ["Pacing", "Stakes"]
    assert list(frame["delivered"]) == [True, False]
    assert frame["realised"][0] == 0.8
    assert pd.isna(frame["realised"][1])
    assert set(frame["id"]) == {"a"}


def test_what_readers_said_stands_beside_the_answer_it_is_about() -> None:
    frame = ratings_frame(
        [
            an_answer("a", quality=8.4, number=3),
            a_word("f1", "a", "shown", at=ago(minutes=50)),
            a_word("f2", "a", rating=9, why="=she never says it", at=ago(minutes=40)),
            a_word("f3", "elsewhere", "chose", at=ago(minutes=30)),
        ]
    )
    assert list(frame["action"]) == ["shown", "rated", "chose"]
    assert list(frame["quality"].fillna(-1)) == [8.4, 8.4, -1]
    assert frame["number"][1] == 3
    assert pd.isna(frame["number"][2])
    assert pd.isna(frame["rating"][0])
    assert frame["why"][1] == "=she never says it"


def test_the_ratings_that_stand_are_those_of_the_figures() -> None:
    events: list[Event] = [an_answer(f"a{place}", quality=5.0 + place / 5) for place in range(12)]
    events += [
        a_word(f"x{place}", f"a{place}", rating=3, who="mara", at=ago(minutes=50)) for place in range(12)
    ]
    events += [
        a_word(f"y{place}", f"a{place}", rating=8, who="mara", at=ago(minutes=20))
        for place in range(0, 12, 2)
    ]
    events += [a_word(f"z{place}", "a1", rating=10) for place in range(2)]
    frame = ratings_frame(events)
    standing = frame.loc[frame["stands"], "rating"].astype("float64")
    satisfaction = figures(events, NOW).satisfaction
    assert satisfaction is not None
    assert len(standing) == satisfaction.count
    assert standing.mean() == pytest.approx(satisfaction.mean)


def test_a_book_reads_only_what_is_new_and_has_what_all_events_at_once_give(log: SqlEvents) -> None:
    events: list[Event] = [*many_answers(80)]
    events += [
        a_word(f"f{place}", f"g{place:06}", rating=1 + place % 10, who="r") for place in range(0, 80, 3)
    ]
    late = an_answer(
        "late", at=NOW - timedelta(days=20), flags={"another": True}, engines=[an_engine("Pacing")]
    )
    random.Random(4).shuffle(events)
    asked: list[int] = []

    def read(*, after: int, series: Series | None, kinds: Iterable[str]) -> Sequence[tuple[int, Event]]:
        asked.append(after)
        return log.read(after=after, series=series, kinds=kinds)

    book = AnswerBook(read)
    for first in range(0, len(events), 17):
        log.add(*events[first : first + 17], HEARTBEAT)
        book.tables()
    log.add(late)
    found = book.tables()
    whole = [*events, late]
    assert_frame_equal(found.answers, answers_frame(whole))
    assert_frame_equal(found.engines, engines_frame(whole))
    assert_frame_equal(found.ratings, ratings_frame(whole))
    assert asked == sorted(asked)
    assert found.last == log.last()
    assert book.tables().answers is not found.answers


def test_what_is_read_as_it_is_stored_equals_what_was_validated() -> None:
    events: list[Event] = [
        *many_answers(150),
        a_word("f", "g000001", rating=4, why="slow", who="r"),
        HEARTBEAT,
    ]
    read = AsStored(events)
    found = AnswerBook(read).tables()
    assert_frame_equal(found.answers, answers_frame(events))
    assert_frame_equal(found.engines, engines_frame(events))
    assert_frame_equal(found.ratings, ratings_frame(events))


def test_events_from_before_a_field_was_added_are_read_as_if_it_were_not_set() -> None:
    def read(*, after: int, series: Series | None, kinds: Iterable[str]) -> Sequence[tuple[int, str]]:
        old = (
            '{"kind":"generation","id":"a","at":"2026-01-05T11:00:00+02:00","tier":"comprehensive","first":"comprehensive",'
            '"writer":"w","profile":"model","seconds":1.5,"engines":[{"engine":"Pacing","delivered":true}]}'
        )
        return [] if after else [(1, old)]

    found = AnswerBook(read).tables()
    assert types_of(found.answers) == dict(ANSWER_TYPES)
    assert found.answers["at"][0] == ago(hours=3)
    assert found.answers["counts"][0]
    assert found.answers["tokens"][0] == 0


def test_a_book_is_of_one_series_or_of_all(log: SqlEvents) -> None:
    log.add(an_answer("a"), an_answer("b", series="simulated"))
    assert list(AnswerBook(log.read, "simulated").tables().answers["id"]) == ["b"]
    assert list(AnswerBook(log.read, None).tables().answers["series"]) == ["live", "simulated"]


def test_what_one_does_with_the_tables_leaves_those_of_others_as_they_are(log: SqlEvents) -> None:
    log.add(an_answer("a"))
    book = AnswerBook(log.read)
    mine = book.tables().answers
    mine["quality"] = 0.0
    mine.loc[0, "title"] = "mine"
    theirs = book.tables().answers
    assert theirs["quality"][0] == 8.0
    assert theirs["title"][0] == "Slack Water"


def test_a_book_of_a_large_record_begins_where_it_is_told_to(log: SqlEvents) -> None:
    log.add(an_answer("old"), an_answer("new"))
    book = AnswerBook(log.read, after=1)
    assert list(book.tables().answers["id"]) == ["new"]
    log.add(an_answer("newest"))
    found = book.tables()
    assert list(found.answers["id"]) == ["new", "newest"]
    assert (found.after, found.last) == (1, 3)


def test_a_book_lets_go_of_what_the_log_forgets(log: SqlEvents) -> None:
    old = an_answer("old", at=ago(days=40), engines=[an_engine("Pacing")])
    log.add(old, an_answer("new"), a_word("f", "old", at=ago(days=39), rating=3))
    book = AnswerBook(log.read)
    book.tables()
    book.forget(ago(days=30))
    found = book.tables()
    assert list(found.answers["id"]) == ["new"]
    assert len(found.engines) == 0
    assert len(found.ratings) == 0
    assert types_of(found.ratings) == dict(RATING_TYPES)


def test_a_read_that_fails_loses_nothing_of_what_comes_after() -> None:
    good = an_answer("a").model_dump_json()
    given: list[tuple[int, Event | str]] = [(1, good), (2, '{"kind":"generation","id":"b"}')]

    def read(*, after: int, series: Series | None, kinds: Iterable[str]) -> Sequence[tuple[int, Event | str]]:
        return [one for one in given if one[0] > after]

    book = AnswerBook(read)
    with pytest.raises(KeyError):
        book.tables()
    given[1] = (2, an_answer("b"))
    assert list(book.tables().answers["id"]) == ["a", "b"]


def test_many_who_ask_at_once_see_the_same_book(log: SqlEvents) -> None:
    events = many_answers(120)
    log.add(*events)
    book = AnswerBook(log.read)
    with ThreadPoolExecutor(8) as pool:
        found = list(pool.map(lambda _: len(book.tables().answers), range(16)))
    assert found == [120] * 16


def test_what_counts_here_is_what_counts_in_figures() -> None:
    """Answers from the cache, in an emergency, and for comparisons are on record and in no figure."""
    base = {
        "at": datetime(2026, 1, 5, tzinfo=UTC), "tier": "comprehensive", "first": "comprehensive", "writer": "m",
        "profile": "model", "seconds": 2.0, "score": 8.0, "quality": 8.0,
    }  # fmt: skip
    events = [
        GenerationEvent.model_validate({**base, "id": name, **changes})
        for name, changes in (
            ("a", {}),
            ("b", {"kept": True}),
            ("c", {"emergency": True}),
            ("d", {"trial": True}),
        )
    ]
    frame = answers_frame(events)
    assert dict(zip(frame["id"], frame["counts"], strict=True)) == {one.id: one.counts for one in events}
    assert list(frame["counts"]) == [True, False, False, False]
