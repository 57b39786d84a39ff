"""What an analyst takes away: every value, what it means, no formula that a spreadsheet would run, and no simulated figure unmarked."""

from __future__ import annotations

import csv
import io
from datetime import datetime

import pandas as pd
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cinegen_core.analysis import explore
from cinegen_core.analysis.answers import answers_frame, engines_frame, ratings_frame
from cinegen_core.analysis.exporting import file_name, labelled, link, meanings, to_csv, to_parquet
from cinegen_core.analysis.filters import Filters, Span

from .answering import NOW, a_word, an_answer, many_answers

EVENTS = [
    *many_answers(60),
    an_answer("unscored", score=None, quality=None),
    a_word("f", "g000001", rating=7, why="=good"),
]
ANSWERS, ENGINES, RATINGS = answers_frame(EVENTS), engines_frame(EVENTS), ratings_frame(EVENTS)
TABLES = {
    "answers": ANSWERS,
    "engines": ENGINES,
    "ratings": RATINGS,
    "distribution": explore.distribution(ANSWERS),
    "trend": explore.trend(ANSWERS),
    "by dimension": explore.by_dimension(ANSWERS),
    "by genre": explore.by_genre(ANSWERS),
    "by engine": explore.by_engine(ANSWERS, ENGINES),
    "by cohort": explore.by_cohort(ANSWERS),
    "worst": explore.worst(ANSWERS),
}


def rows_of(raw: bytes) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(raw.decode("utf-8-sig"), newline="")))


@pytest.mark.parametrize("what", TABLES)
def test_every_column_says_what_it_means(what: str) -> None:
    told = meanings(TABLES[what])
    assert list(told["column"]) == list(TABLES[what].columns)
    assert (told["meaning"].str.len() > 5).all(), told


@pytest.mark.parametrize("what", TABLES)
def test_all_that_is_seen_is_in_both_files(what: str) -> None:
    frame = TABLES[what]
    for shown in (frame, frame.iloc[:0]):
        assert len(rows_of(to_csv(shown))) == len(shown)
        table = pq.read_table(io.BytesIO(to_parquet(shown)))
        assert table.num_rows == len(shown)
        assert table.column_names == list(frame.columns)
        assert table.schema.types == pq.read_table(io.BytesIO(to_parquet(frame))).schema.types


def test_parquet_keeps_values_types_and_meanings() -> None:
    table = pq.read_table(io.BytesIO(to_parquet(ANSWERS)))
    back = table.to_pylist()
    assert [tuple(row["genres"]) for row in back] == list(ANSWERS["genres"])
    assert [row["at"] for row in back] == list(ANSWERS["at"])
    assert [row["id"] for row in back] == list(ANSWERS["id"])
    assert {row["flag:genre_engines"] for row in back} == {True, False, None}
    unscored = ANSWERS.index[ANSWERS["quality"].isna()][0]
    assert back[unscored]["quality"] is None
    assert (
        table.schema.field("quality").metadata[b"description"]
        == b"the score on the guide's scale, whoever wrote, 0 to 10"
    )


def test_csv_opens_in_a_spreadsheet_as_it_was_meant() -> None:
    raw = to_csv(
        answers_frame([an_answer("a", title="Étoile, “Noire”", genres=("drama", "noir"), score=None)])
    )
    assert raw.startswith(b"\xef\xbb\xbf")
    (row,) = rows_of(raw)
    assert row["title"] == "Étoile, “Noire”"
    assert row["genres"] == "drama; noir"
    assert row["score"] == ""
    assert row["at"] == "2026-01-05T11:00:00.000000Z"


@pytest.mark.parametrize(
    "text",
    ["=1+1", "+1", "-1", "@SUM(A1)", "\t=1+1", "\r=1", "  =1+1", "＝1+1", '=HYPERLINK("http://x","y")'],
)
def test_text_of_users_is_never_run_as_a_formula(text: str) -> None:
    frame = answers_frame([an_answer("a", title=text, genres=(text,), flags={text: True}, writer=text)])
    (row,) = rows_of(to_csv(frame))
    assert row["title"] == row["genres"] == row["writer"] == f"'{text}"
    (heard,) = rows_of(to_csv(ratings_frame([a_word("f", "a", why=text)])))
    assert heard["why"] == f"'{text}"
    assert list(rows_of(to_csv(pd.DataFrame({text: [1.0]})))[0]) == [f"'{text}"]


@given(st.text(max_size=20))
def test_whatever_text_it_is_no_cell_begins_like_a_formula(text: str) -> None:
    (row,) = rows_of(to_csv(pd.DataFrame({"why": pd.Series([text], dtype="str"), "number": [-1.5]})))
    assert not row["why"].lstrip().startswith(("=", "+", "-", "@"))
    assert row["why"] in (text, f"'{text}")


def test_numbers_are_left_as_they_are() -> None:
    (row,) = rows_of(to_csv(pd.DataFrame({"difference": [-0.25], "count": [-3]})))
    assert row == {"difference": "-0.25", "count": "-3"}


def test_what_is_simulated_says_so_in_its_rows_and_in_its_name() -> None:
    view = labelled(explore.by_tier(ANSWERS), "simulated")
    assert {row["series"] for row in rows_of(to_csv(view))} == {"simulated"}
    assert pq.read_schema(io.BytesIO(to_parquet(view))).metadata[b"series"] == b"simulated"
    assert labelled(ANSWERS, "simulated") is ANSWERS
    assert file_name("By tier", "simulated", NOW, "csv") == "simulated_by_tier_20260105T1200Z.csv"
    assert file_name("../Réponses: all", "live", NOW, "parquet") == "r_ponses_all_20260105T1200Z.parquet"


def test_a_name_has_the_time_of_the_world() -> None:
    there = datetime.fromisoformat("2026-01-05T14:00:00+02:00")
    assert file_name("answers", "staging", there, "csv") == "staging_answers_20260105T1200Z.csv"


def test_a_link_has_the_choice_and_what_else_the_page_knows() -> None:
    filters = Filters(quality=Span(low=7), genres=("sci-fi & more",))
    assert (
        link("http://x/quality", filters, episode="g1")
        == "http://x/quality?genres=sci-fi+%26+more&quality=7..&episode=g1"
    )
    assert link("http://x/quality", Filters()) == "http://x/quality"
