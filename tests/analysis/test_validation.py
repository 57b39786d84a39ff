"""What the studio says of its scorer's worth is computed from scripts that are there, with its doubts, and says what it does not know."""

from __future__ import annotations

import json
from datetime import date
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from cinegen_core.analysis.answers import ratings_frame
from cinegen_core.analysis.scoring import damage
from cinegen_core.analysis.sources import simulated
from cinegen_core.analysis.validation import (
    JUDGED,
    RatedSet,
    UnusableData,
    agreements,
    beside,
    by_gap,
    by_part,
    judged,
    own_readers,
    rated_set,
    readers_agree,
    same_hand,
    spearman,
    wilson,
)
from cinegen_core.analysis.validation_shown import (
    agreement_chart,
    agreement_words,
    answer,
    beside_words,
    detection_chart,
    detection_words,
    dimension_words,
    fault_words,
    format_words,
    gap_chart,
    gap_words,
    hand_words,
    listed,
    own_reader_words,
    prose_words,
    roc_chart,
    scatter_chart,
    trick_words,
    worst_missed,
)
from cinegen_core.analysis.validation_spoiled import (
    EXEMPLARS,
    PAIR_COLUMNS,
    TRICKS,
    by_group,
    detection,
    likeness,
    roc,
    same_in_formats,
    shelf_cases,
    shelf_faults,
    spoiled_pairs,
    talked_up,
    worth,
)
from cinegen_core.analysis.validation_tables import (
    PROSE,
    PROSE_COLUMNS,
    SPOILED,
    TALKED,
    TALKED_COLUMNS,
    prose_again,
    read_table,
    spoiled_again,
    talked_again,
    write_table,
)
from cinegen_core.scorer.corruptions import ALL
from tests.scorer.shelf import SHELF, known_gaps

DATA = Path(__file__).parents[2] / "notebooks" / "data"


@pytest.fixture(scope="module")
def sets() -> list[RatedSet]:
    return [rated_set(SHELF / "rated" / f"{name}.json") for name in ("first", "second")]


@pytest.fixture(scope="module")
def rows(sets: list[RatedSet]) -> pd.DataFrame:
    return judged(sets)


@pytest.fixture(scope="module")
def agreed(rows: pd.DataFrame) -> pd.DataFrame:
    return agreements(rows)


@pytest.fixture(scope="module")
def gaps(rows: pd.DataFrame) -> pd.DataFrame:
    return by_gap(rows)


@pytest.fixture(scope="module")
def seen(pairs: pd.DataFrame) -> pd.DataFrame:
    return detection(pairs)


@pytest.fixture(scope="module")
def pairs() -> pd.DataFrame:
    return read_table(DATA / SPOILED, PAIR_COLUMNS)[0]


def ratings(scorer: list[float], readers: list[float], *, dimension: str = "overall", origin: str = "one") -> pd.DataFrame:  # fmt: skip
    """Rows of `judged` for scripts with these points."""
    return pd.DataFrame(
        {
            "set": "mine", "name": [f"s{i}" for i in range(len(scorer))], "origin": origin, "dimension": dimension,
            "scorer": scorer, "readers": readers, "words": 100, "key words": 1.0,
        }
    )  # fmt: skip


# --- against readers


def test_the_order_is_readers_own_and_no_count_of_words_comes_near_it(rows: pd.DataFrame) -> None:
    table = beside(rows).set_index(["set", "judge"])
    for name in ("first", "second"):
        assert table.loc[(name, "the scorer"), "low"] > table.loc[(name, "word count"), "rho"]
        assert table.loc[(name, "word count"), "rho"] > table.loc[(name, "keyword count"), "rho"]
    assert "key words" in beside_words(beside(rows))


def test_agreement_has_its_interval_for_the_whole_and_for_each_dimension(agreed: pd.DataFrame) -> None:
    table = agreed
    assert [tuple(row) for row in table[["set", "dimension"]].to_numpy()] == [
        (name, dimension) for name in ("first", "second") for dimension in JUDGED
    ]
    assert ((table["low"] <= table["rho"]) & (table["rho"] <= table["high"])).all()
    assert "rank correlation 0.9" in agreement_words(table)


def test_a_dimension_that_only_echoes_the_whole_is_not_called_its_own() -> None:
    rng = np.random.default_rng(3)
    whole = rng.uniform(1, 9, 60)
    said, echo = whole + rng.normal(0, 0.5, 60), whole + rng.normal(0, 0.5, 60)
    seen = said + rng.normal(0, 0.2, 60)
    found = pd.concat(
        [
            ratings(whole.tolist(), whole.tolist()),
            ratings(echo.tolist(), said.tolist(), dimension="world"),
            ratings(seen.tolist(), said.tolist(), dimension="choices"),
        ]
    )
    table = agreements(found).set_index("dimension")
    assert table.loc["world", "rho"] > 0.9
    assert table.loc["world", "own low"] <= 0 < table.loc["choices", "own low"]
    told = dimension_words(agreements(found))
    assert "for choices in every set" in told
    assert "For world nothing shows" in told


def test_close_scripts_are_said_to_be_hard_to_tell_apart(gaps: pd.DataFrame) -> None:
    assert gaps["share"].is_monotonic_increasing
    assert "0.25 to 1 points is no ground to call one script better" in gap_words(gaps)


def test_pairs_that_all_agree_are_still_not_certain() -> None:
    table = by_gap(ratings([1, 2, 7, 8], [1, 2, 7, 8]))
    assert table["share"].tolist() == [1.0, 1.0]
    assert (table["low"] < 0.5).all()


def test_a_scorer_that_prefers_what_readers_do_not_is_told_so() -> None:
    pairs, share, low, high = same_hand(ratings([8, 6, 4, 2, 1], [1, 3, 5, 7, 9]))
    assert (pairs, share) == (10, 0.0)
    assert "which chance alone could give" in hand_words(pairs, share, low, high)


def test_scripts_of_one_hand_are_looked_at_apart(rows: pd.DataFrame) -> None:
    pairs, share, low, high = same_hand(rows)
    assert pairs > 40
    assert low < share < high
    assert "nothing is shown" in hand_words(*same_hand(ratings([1.0], [2.0])))
    assert {"all", "by the embedded writer", "given 5 or more by readers"} <= set(by_part(rows)["part"])


def test_how_far_readers_agree_with_each_other_stands_beside_it(sets: list[RatedSet]) -> None:
    assert (readers_agree(sets)["rho"] > 0.9).all()


def test_anybody_s_own_rated_scripts_are_read_from_a_csv(tmp_path: Path) -> None:
    for name in ("the_wire", "long_tow"):
        (tmp_path / f"{name}.fountain").write_bytes((SHELF / "good" / f"{name}.fountain").read_bytes())
    mine = tmp_path / "mine.csv"
    mine.write_text(
        "file,overall,world\nthe_wire.fountain,8,7\nthe_wire.fountain,6,\nlong_tow.fountain,9,9\n"
    )
    rated = rated_set(mine)
    assert [(one.name, one.readers) for one in rated.scripts] == [
        ("the_wire.fountain", (8.0, 6.0)),
        ("long_tow.fountain", (9.0,)),
    ]
    assert rated.scripts[0].said == {"overall": 7.0, "world": 7.0}
    assert set(judged([rated])["dimension"]) == {"overall", "world"}


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("file,overall\na.fountain,\n", r"mine\.csv, line 2: `file` and `overall` must both be given"),
        ("file,overall\na.fountain,twelve\n", r"line 2: `overall` is 'twelve'\. Write a number from 0 to 10"),
        ("file,overall,world\na.fountain,8,11\n", r"line 2: `world` is '11'"),
        (
            "file,overall\nnot_there.fountain,8\n",
            r"cannot be read \(FileNotFoundError.*its scripts beside it",
        ),
    ],
)
def test_ratings_that_cannot_be_used_say_where_and_what_to_do(tmp_path: Path, text: str, told: str) -> None:
    mine = tmp_path / "mine.csv"
    mine.write_text(text)
    with pytest.raises(UnusableData, match=told):
        rated_set(mine)
    other = tmp_path / "other.json"
    other.write_text('{"scripts": []}')
    with pytest.raises(UnusableData, match="not laid out like the shelf's ratings"):
        rated_set(other)


def test_simulated_readers_are_never_taken_for_evidence() -> None:
    found = own_readers(ratings_frame(simulated(days=5.0, rate=5.0)))
    assert found["series"].tolist() == ["simulated"]
    assert (found["low"] <= found["rho"]).all()
    assert "say nothing about the scorer" in own_reader_words(found)


def test_without_ratings_by_a_studio_s_readers_there_is_no_figure() -> None:
    assert own_reader_words(own_readers(ratings_frame(()))).endswith("no data.")


# --- against spoiled scripts


def test_pairs_are_those_that_the_scorer_s_report_counts() -> None:
    cases = shelf_cases(SHELF)[:2]
    found = spoiled_pairs(cases, [EXEMPLARS] * 2)
    for row in damage(cases):
        mine = found[found["kind"] == row.corruption.name]
        assert (len(mine), int((mine["after"] < mine["before"]).sum())) == (row.pairs, row.below)


def test_kinds_that_splice_are_not_made_again_from_a_part_of_the_scripts() -> None:
    with pytest.raises(ValueError, match="kinds that splice need all cases"):
        spoiled_pairs(shelf_cases(SHELF)[:2], [EXEMPLARS] * 2, drawn_from=109)


def test_the_tables_in_the_notebooks_folder_are_by_this_scorer(pairs: pd.DataFrame) -> None:
    assert set(pairs["kind"]) == {kind.name for kind in ALL}
    assert "are as the table has them." in spoiled_again(pairs, SHELF, scripts=1)
    gains, _ = read_table(DATA / TALKED, TALKED_COLUMNS)
    assert "are as the table has them." in talked_again(gains, SHELF, scripts=1)
    assert sum(file.stat().st_size for file in DATA.glob("scorer_*.csv")) < 300_000


def test_a_table_of_another_day_s_scorer_is_refused(tmp_path: Path, pairs: pd.DataFrame) -> None:
    path = tmp_path / "pairs.csv"
    write_table(pairs.head(3), path, day=date(2026, 1, 5), arguments="--seeds 1")
    again, head = read_table(path, PAIR_COLUMNS)
    pd.testing.assert_frame_equal(again, pairs.head(3), check_dtype=False)
    assert head["made"] == "2026-01-05"
    path.write_text(path.read_text().replace("# scorer: ", "# scorer: 0."))
    with pytest.raises(UnusableData, match=r"they do not compare\. Make it again: python -m"):
        read_table(path, PAIR_COLUMNS)
    with pytest.raises(UnusableData, match=r"nowhere\.csv cannot be read"):
        read_table(tmp_path / "nowhere.csv", PAIR_COLUMNS)
    path.write_text("# scorer: 1.0\nkind\n")
    with pytest.raises(UnusableData, match="has no column 'group'"):
        read_table(path, PAIR_COLUMNS)


def test_a_table_that_does_not_hold_any_more_is_called_out_of_date(pairs: pd.DataFrame) -> None:
    assert "out of date" in spoiled_again(pairs.assign(after=pairs["after"] + 1), SHELF, scripts=1)


def test_wilson_s_interval_is_the_published_one() -> None:
    """Newcombe 1998, Statistics in Medicine 17, table I: 81 of 263, 15 of 148, 0 of 20."""
    for hits, count, low, high in (
        (81, 263, 0.2553, 0.3662),
        (15, 148, 0.0624, 0.1605),
        (0, 20, 0.0, 0.1611),
    ):
        assert wilson(hits / count, count) == pytest.approx((low, high), abs=1e-4)
    assert wilson(0.0, 0) == (0.0, 1.0)


def test_episodes_of_one_bible_count_for_less_the_more_they_resemble_one_another() -> None:
    clusters = ["a"] * 5 + ["b"] * 5 + ["c"] * 5
    alike = np.array([1.0] * 5 + [0.0] * 5 + [1.0] * 5)
    assert likeness([(alike, clusters)]) == pytest.approx(1.0)
    assert worth(clusters, 1.0) == pytest.approx(3)
    assert worth(clusters, 0.0) == 15
    assert likeness([(np.ones(15), clusters)]) == 0.0


def test_what_is_caught_and_what_is_not_is_said_kind_by_kind(seen: pd.DataFrame) -> None:
    table = seen.set_index("kind")
    assert table.loc["word shuffle", "alone low"] > 0.9
    assert table.loc["answers cut", "caught"] < table.loc["answers cut", "asked"] == 0.90
    assert ((table["low"] <= table["caught"]) & (table["caught"] <= table["high"])).all()
    assert ((table["alone low"] <= table["alone"]) & (table["alone"] <= table["alone high"])).all()
    told = detection_words(seen)
    missed = told.partition("Missed too often: ")[2].partition(". ")[0]
    assert {kind for kind in table.index if kind in missed} == set(
        table.index[table["caught"] < table["asked"]]
    )
    assert "scene swap" in told.partition("It says little")[2]


def test_a_score_that_knows_nothing_is_at_chance_with_the_original_and_without() -> None:
    rng = np.random.default_rng(5)
    before, after = rng.uniform(2, 8, (2, 40))
    blind = pd.DataFrame(
        {"group": "sample", "bible": [f"b{i % 8}" for i in range(40)], "name": [f"n{i}" for i in range(40)],
         "kind": "scene swap", "before": before, "after": after}
        | dict.fromkeys(("character", "dialogue", "structure", "world", "genre", "choices", "cinematic"), 0.0)
    )  # fmt: skip
    row = detection(blind).iloc[0]
    assert row["low"] < 0.5 < row["high"]
    assert row["alone low"] < 0.5 < row["alone high"]
    assert row["own"] == 0


def test_curves_run_from_nothing_called_spoiled_to_everything(pairs: pd.DataFrame) -> None:
    for _, curve in roc(pairs, ["splice", "word shuffle"]).groupby("kind"):
        assert curve[["false", "found"]].iloc[0].tolist() == [0, 0]
        assert curve[["false", "found"]].iloc[-1].tolist() == [1, 1]
        assert curve["found"].is_monotonic_increasing


def test_spoiled_scripts_that_gained_are_named(pairs: pd.DataFrame) -> None:
    worst = worst_missed(pairs)
    assert (worst["after"] > worst["before"]).all()
    assert by_group(pairs).columns.tolist() == ["kind", "exemplar", "sample", "bible without cards"]


def test_planted_faults_that_are_not_seen_are_the_shelf_s_known_gaps() -> None:
    table = shelf_faults(SHELF)
    missed = table[(table["own"] < 1) | (table["other"] > 0.5)]
    ids = {
        f"{row['dimension']}__{row['fault'].replace(' ', '_')}__{row['script']}"
        for _, row in missed.iterrows()
    }
    assert ids == set(known_gaps())
    told = fault_words(table)
    assert all(row["script"] in told for _, row in table[table["own"] < 1].iterrows())


def test_no_trick_is_worth_playing(sets: list[RatedSet]) -> None:
    gains, _ = read_table(DATA / TALKED, TALKED_COLUMNS)
    assert set(gains["trick"]) == set(TRICKS)
    assert gains["gain"].max() < 0.05
    assert "raised a score" in trick_words(gains)
    fresh = talked_up(shelf_cases(SHELF)[4:6])
    assert (fresh["gain"] <= 0).all()
    assert "None of the 12 raised a score." in trick_words(fresh)


def test_the_format_of_a_script_is_not_judged() -> None:
    table = same_in_formats(shelf_cases(SHELF)[:3])
    for name in ("FDX", "JSON", "JSON, praised"):
        assert (table[name] == table["Fountain"]).all()
    assert ((table["text"] - table["Fountain"]).abs() < 0.1).all()
    assert "as FDX, JSON and JSON, praised" in format_words(table)


# --- prose, and the answer


def test_without_the_rated_stories_it_says_so_and_with_a_wrong_folder_what_to_do(tmp_path: Path) -> None:
    table, _ = read_table(DATA / PROSE, PROSE_COLUMNS)
    assert "names no folder of rated stories" in prose_again(table, {})
    with pytest.raises(UnusableData, match="Correct it, or unset it"):
        prose_again(table, {"CINEGEN_RATED_DATA": str(tmp_path)})


def test_with_the_rated_stories_the_table_is_tried_on_them(tmp_path: Path) -> None:
    hanna = [{"story": "One two three. " * n, "prompt_idx": n, **dict.fromkeys(("RE", "CH", "EM", "SU", "EG", "CX"), n)} for n in (1, 2, 3)]  # fmt: skip
    other = [{"story": "Word " * n, "overall": 4 - n, "group": n} for n in (1, 2, 3)]
    for name, rows in (("hanna_text_subset", hanna), ("wp_a_karpinska", other), ("scratchplot", other), ("lamp_R_scores", other)):  # fmt: skip
        (tmp_path / f"{name}.jsonl").write_text("\n".join(map(json.dumps, rows)))
    table, _ = read_table(DATA / PROSE, PROSE_COLUMNS)
    assert prose_again(table, {"CINEGEN_RATED_DATA": str(tmp_path)}).startswith("0 of 18 figures")
    counted = pd.DataFrame([("word count", "HANNA RE", 1.0), ("word count", "LAMP", -1.0)], columns=["judge", "set", "rho"])  # fmt: skip
    assert prose_again(counted, {"CINEGEN_RATED_DATA": str(tmp_path)}).startswith("2 of 18 figures")


def test_the_answer_says_what_is_trusted_what_is_missed_and_who_the_readers_were(
    agreed: pd.DataFrame, gaps: pd.DataFrame, seen: pd.DataFrame
) -> None:
    gains, prose = read_table(DATA / TALKED, TALKED_COLUMNS)[0], read_table(DATA / PROSE, PROSE_COLUMNS)[0]
    figures = (agreed, gaps, seen, gains, prose)
    told = answer(*figures, by_people=False)
    assert "stand far apart" in told
    assert "and not splice" in told
    assert told.endswith("these readers are language models.")
    assert "language models" not in answer(*figures, by_people=True)
    assert "gives prose no score" in prose_words(prose)


def test_every_chart_has_a_title_and_says_on_its_axes_what_is_counted(
    rows: pd.DataFrame, pairs: pd.DataFrame, agreed: pd.DataFrame, gaps: pd.DataFrame, seen: pd.DataFrame
) -> None:
    for chart in (
        agreement_chart(agreed, title="A"), agreement_chart(agreed, own=True, title="B"), scatter_chart(rows, title="C"),
        gap_chart(gaps, title="D"), detection_chart(seen, title="E"), roc_chart(roc(pairs, ["splice"]), title="F"),
    ):  # fmt: skip
        spec = chart.to_dict()
        assert spec["title"]["text"] in "ABCDEF"
        assert any(layer["encoding"]["x"].get("title") for layer in spec["layer"])
        assert sum(map(len, spec["datasets"].values())) < 5000


def test_ranks_with_ties_are_spearman_s() -> None:
    assert spearman(np.array([1.0, 2, 2, 4]), np.array([10.0, 20, 20, 40])) == pytest.approx(1)
    assert spearman(np.array([1.0, 1, 1]), np.array([1.0, 2, 3])) == 0


def test_lists_are_written_as_people_write_them() -> None:
    assert [listed(list("abc")), listed(["a"]), listed([])] == ["a, b and c", "a", "none"]
