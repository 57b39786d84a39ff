"""Tiers are compared on the same requests: what a studio tried first, whatever came of it, with intervals that allow for all looks."""

from __future__ import annotations

import random
from typing import Any

import pandas as pd
import pytest

from cinegen_core.analysis import tier_report as tiers
from cinegen_core.analysis.explore import TIERS
from cinegen_core.comparing.votes import LEAST_VOTES
from cinegen_core.monitor.events import GenerationEvent, Side, VoteEvent
from cinegen_core.scorer import DIMENSION_WORDS
from cinegen_core.simulation import shipped_pool
from tests.analysis.answering import NOW, an_answer


def a_try(asked: str, tier: str, score: float | None, **changes: Any) -> GenerationEvent:
    fact = {
        "tier": tier,
        "writer": "a model",
        "outcome": "failed" if score is None else "accepted",
        "seconds": 10.0,
        "score": score,
    }
    fact |= {"calls": 2, "tokens": 1000, "cost": 0.01}
    values: dict[str, Any] = {
        "asked": asked, "tier": tier, "first": tier, "score": score, "quality": score, "attempts": [fact], "trial": True,
        "dimensions": {} if score is None else dict.fromkeys(DIMENSION_WORDS, score),
    }  # fmt: skip
    return an_answer(f"{asked} {tier} {changes.pop('again', '')}", **{**values, **changes})


def tried(by: dict[str, float], requests: int = 40, spread: float = 0.5) -> list[GenerationEvent]:
    """Each request by each tier: easy and hard requests differ by much more than tiers do."""
    rng = random.Random(4)
    made = []
    for number in range(requests):
        ease = rng.gauss(6.0, 1.5)
        for tier, more in by.items():
            score = min(10.0, max(0.0, ease + more + rng.gauss(0.0, spread)))
            made.append(a_try(f"r{number}", tier, score, title=f"series {number % 4}"))
    return made


def overall(table: pd.DataFrame, higher: str, lower: str) -> pd.Series:
    return table[
        (table["higher"] == higher) & (table["lower"] == lower) & (table["measure"] == "overall")
    ].iloc[0]


def test_a_tier_that_is_better_on_the_same_requests_is_found_though_requests_differ_more() -> None:
    table = tiers.paired(tiers.event_tries(tried({"comprehensive": 0.6, "enhanced_baseline": 0.0})))
    found = overall(table, "comprehensive", "enhanced_baseline")
    assert found["verdict"] == "higher"
    assert found["low"] < 0.6 < found["high"]
    assert found["requests"] == 40
    assert (found["series_up"], found["series"]) == (4, 4)
    assert found["better"] + found["same"] + found["worse"] == 40
    assert overall(table, "comprehensive", "basic_fallback")["verdict"] == "no data"


def test_tiers_that_are_alike_are_not_said_to_differ_in_any_of_the_looks() -> None:
    table = tiers.paired(tiers.event_tries(tried(dict.fromkeys(TIERS, 0.0))))
    assert set(table["verdict"]) == {"not shown"}
    assert (table["p"] > 0.05).all()


def test_intervals_allow_for_all_looks() -> None:
    apart = pd.Series([0.1, 0.3, 0.2, -0.1, 0.4, 0.15, 0.25, 0.05, 0.3, 0.1]).to_numpy()
    one, all_of_them = tiers._interval(apart, 1), tiers._interval(apart, 24)
    # Student's t for 9 degrees of freedom: 2.262 at 95 %, 4.26 at 1 - .05/24
    error = apart.std(ddof=1) / 10**0.5
    assert (one[2] - one[0]) / error == pytest.approx(2.262, abs=0.01)
    assert (all_of_them[2] - all_of_them[0]) / error == pytest.approx(4.26, abs=0.05)


def test_what_was_tried_first_is_compared_not_what_answered_in_the_end() -> None:
    """A request at which the comprehensive tier fell below the threshold counts for it, and not for the tier that caught it."""
    first = {
        "tier": "comprehensive",
        "writer": "m",
        "outcome": "below_threshold",
        "seconds": 30.0,
        "score": 4.0,
    }
    then = {"tier": "enhanced_baseline", "writer": "m", "outcome": "accepted", "seconds": 10.0, "score": 7.5}
    fell = an_answer(
        "g",
        asked="r",
        tier="enhanced_baseline",
        first="comprehensive",
        fallback=True,
        score=7.5,
        attempts=[first, then],
    )
    found = tiers.event_tries([fell])
    assert [(row["tier"], row["overall"], row["seconds"]) for row in found.to_dict("records")] == [
        ("comprehensive", 4.0, 30.0)
    ]
    assert found["character"].isna().all()


def test_failed_tries_are_counted_and_kept_or_emergency_answers_are_not() -> None:
    events = [
        a_try("r", "comprehensive", None),
        a_try("s", "comprehensive", 8.0),
        a_try("t", "comprehensive", 8.0, kept=True),
        a_try("u", "comprehensive", 8.0, emergency=True),
        a_try("", "comprehensive", 8.0),
    ]
    found = tiers.costs(tiers.event_tries(events)).iloc[0]
    assert (found["tries"], found["failed"], found["cost"]) == (2, 50.0, 0.01)


def test_the_same_request_tried_twice_counts_once() -> None:
    events = [
        a_try("r", "comprehensive", 8.0),
        a_try("r", "comprehensive", 6.0, again="again"),
        a_try("r", "enhanced_baseline", 6.0),
    ]
    found = overall(tiers.paired(tiers.event_tries(events)), "comprehensive", "enhanced_baseline")
    assert (found["requests"], found["mean"], found["verdict"]) == (1, 1.0, "no data")


def test_one_writer_is_not_held_against_another() -> None:
    events = [
        a_try("r", "comprehensive", 9.0),
        a_try("r", "enhanced_baseline", 5.0),
        a_try("r", "basic_fallback", 3.0),
    ]
    fact = events[1].attempts[0].model_copy(update={"writer": "a small model"})
    events[1] = events[1].model_copy(update={"attempts": (fact,)})
    table = tiers.paired(tiers.event_tries(events))
    assert overall(table, "comprehensive", "enhanced_baseline")["requests"] == 0
    assert overall(table, "comprehensive", "basic_fallback")["requests"] == 1


def test_time_is_a_ratio_on_the_same_requests() -> None:
    events = [
        a_try(f"r{number}", tier, 8.0, attempts=[{"tier": tier, "writer": "m", "outcome": "accepted", "score": 8.0, "seconds": seconds * (1 + number)}])
        for number in range(12)
        for tier, seconds in (("comprehensive", 30.0), ("enhanced_baseline", 10.0))
    ]  # fmt: skip
    found = tiers.times(tiers.event_tries(events)).iloc[0]
    assert (found["ratio"], found["low"], found["high"]) == pytest.approx((3.0, 3.0, 3.0))
    assert found["extra"] == pytest.approx(20 * 6.5)


def test_blind_votes_are_told_where_there_are_any_and_no_data_else() -> None:
    assert "no data" in tiers.votes_words(tiers.blind_votes(()))
    sides = [Side(generation=tier, way=tier, tier=tier, writer="m") for tier in TIERS[:2]]
    votes = [
        VoteEvent(id=f"v{number}", at=NOW, who=f"r{number % 8}", comparison=f"c{number}", first=sides[0], second=sides[1], preferred="first")
        for number in range(3 * LEAST_VOTES)
    ]  # fmt: skip
    found = tiers.blind_votes(votes)
    assert "comprehensive against enhanced_baseline: preferred in 100%" in tiers.votes_words(found)
    assert tiers.votes_frame(found).iloc[0]["wins"] == 3 * LEAST_VOTES
    few = tiers.blind_votes(votes[:3])
    assert "no data (3 votes are too few)" in tiers.votes_words(few)
    assert tiers.blind_votes(votes, "simulated").votes == 0


def test_the_pool_answers_the_question_in_words_made_from_its_figures() -> None:
    pool = shipped_pool()
    tries = tiers.pool_tries(pool)
    assert len(tries) == pool.header.answers
    table, took, votes = tiers.paired(tries), tiers.times(tries), tiers.blind_votes(())
    found = overall(table, "comprehensive", "enhanced_baseline")
    by_hand = [
        entry.takes["comprehensive"].score - entry.takes["enhanced_baseline"].score for entry in pool.entries
    ]
    assert found["mean"] == pytest.approx(sum(by_hand) / len(by_hand))
    # two episodes of one series and seed are one unit
    assert found["units"] == pool.header.entries / 2
    words = tiers.answer(table, took, votes)
    assert f"{found['mean']:+.2f} points" in words
    assert words == tiers.answer(tiers.paired(tries), tiers.times(tries), votes)
    assert tiers.agreement_words(table, table).startswith(
        "24 of 24 verdicts are the same, 0 are the opposite"
    )


def test_charts_are_drawn_with_and_without_data() -> None:
    for tries in (tiers.pool_tries(shipped_pool()), tiers.event_tries(())):
        for chart in (
            tiers.differences_chart(tiers.paired(tries), "differences"),
            tiers.requests_chart(tries, "comprehensive", "enhanced_baseline", "requests"),
            tiers.series_chart(tiers.by_series(tries), "series"),
        ):
            spec = chart.to_dict()
            assert sum(len(rows) for rows in spec["datasets"].values()) < 5000
            assert ("no data" in spec["title"]["text"]) == tries.empty
    assert "no data" in tiers.answer(tiers.paired(tries), tiers.times(tries), tiers.blind_votes(()))
