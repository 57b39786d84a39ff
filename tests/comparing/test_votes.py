"""What votes say is what readers said: no more sure than it is, whoever stood left, in whatever order votes came."""

from __future__ import annotations

import random
from collections.abc import Callable
from math import exp, log
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cinegen_core.comparing.votes import (
    LEAST_VOTES,
    MOST_VOTES,
    Estimate,
    PairResult,
    Score,
    estimate,
    outlook,
    results,
    sign_test,
    wilson,
)
from cinegen_core.monitor.events import VoteEvent
from tests.comparing.comparisons import a_vote, mirrored

VOTES = st.lists(
    st.builds(
        a_vote,
        st.sampled_from(("first", "second", "neither")),
        number=st.integers(0, 10_000),
        who=st.sampled_from([f"reader {place}" for place in range(7)]),
        comparison=st.integers(0, 7),
        first=st.sampled_from("AB"),
        second=st.sampled_from("BC"),
        about=st.sampled_from(("overall", "overall", "dialogue")),
    ),
    max_size=60,
    unique_by=lambda vote: vote.id,
)


def many(count: int, won: int, *, ties: int = 0) -> list[VoteEvent]:
    """A against B, each vote by another reader on another comparison, sides in turn; A wins `won`."""
    votes = []
    for number in range(count):
        vote = a_vote("first" if number < won else "neither" if number < won + ties else "second",
                      number=number, who=f"r{number}", comparison=number)  # fmt: skip
        votes.append(mirrored(vote) if number % 2 else vote)
    return votes


def only(found: tuple[PairResult, ...]) -> PairResult:
    (result,) = found
    return result


def test_ties_count_half_and_are_reported() -> None:
    result = only(results(many(40, 24, ties=8)).pairs)
    assert (result.one, result.other, result.wins, result.losses, result.ties) == ("A", "B", 24, 8, 8)
    assert (result.votes, result.readers, result.comparisons) == (40, 40, 40)
    assert result.estimate is not None
    assert result.estimate.rate == pytest.approx(0.7)


def test_with_too_few_votes_there_is_no_data() -> None:
    result = only(results(many(LEAST_VOTES - 1, LEAST_VOTES - 1)).pairs)
    assert (result.estimate, result.outlook, result.more, result.wins) == (None, "no data", None, 9)
    assert only(results(many(LEAST_VOTES, LEAST_VOTES)).pairs).estimate is not None
    four_by_four = [a_vote(number=n, who=f"r{n // 4}", comparison=n % 4) for n in range(16)]
    assert only(results(four_by_four).pairs).estimate is None
    empty = results([])
    assert (empty.votes, empty.pairs, empty.left.estimate, empty.left.biased) == (0, (), None, None)


def test_independent_votes_have_the_interval_of_wilson() -> None:
    """With a thousand of them Student's t is the normal quantile: newcombe's first method for 614 of 1000, by hand."""
    result = only(results(many(1000, 614)).pairs).estimate
    assert result is not None
    assert (result.low, result.high) == pytest.approx((0.5834, 0.6437), abs=0.0005)
    # Newcombe, Statistics in Medicine 17, 1998, table I: 81 of 263, 15 of 148
    assert wilson(81 / 263, 263, 1.959964) == pytest.approx((0.2553, 0.3662), abs=0.00005)
    assert wilson(15 / 148, 148, 1.959964) == pytest.approx((0.0624, 0.1605), abs=0.00005)


def test_one_readers_many_votes_are_not_taken_for_many_readers() -> None:
    """Twelve readers of twelve votes each, who always say the same, know no more than twelve."""
    agreed = [
        Score(float(reader < 9), f"r{reader}", f"c{vote}") for reader in range(12) for vote in range(12)
    ]
    mixed = [
        Score(float((reader + vote) % 4 != 0), f"r{reader}", f"c{vote}")
        for reader in range(12)
        for vote in range(12)
    ]
    same, apart = estimate(agreed), estimate(mixed)
    assert same is not None
    assert apart is not None
    assert same.rate == apart.rate == 0.75
    assert same.effective < 12 < 140 < apart.effective
    assert same.high - same.low > 2.5 * (apart.high - apart.low)
    assert same.p > 0.1  # nine readers of twelve
    one_story = [Score(score.value, score.comparison, score.reader) for score in agreed]
    assert (
        estimate(one_story) == same
    )  # the same the other way round: one comparison's votes hang together too


def test_a_few_readers_speak_for_themselves_only() -> None:
    alone = results([a_vote("first" if n % 3 else "second", number=n, comparison=n) for n in range(30)])
    found = only(alone.pairs).estimate
    assert found is not None
    assert (found.few, found.freedom) == ("these readers", 29)
    crowd = results([a_vote("first" if n % 3 else "second", number=n, who=f"r{n}") for n in range(30)])
    found = only(crowd.pairs).estimate
    assert found is not None
    assert found.few == "these comparisons"
    everybody = only(results(many(30, 20)).pairs).estimate
    assert everybody is not None
    assert everybody.few == ""


def test_of_one_readers_votes_on_the_same_the_last_counts() -> None:
    changed = [a_vote("first", number=1), a_vote("neither", number=2), mirrored(a_vote("first", number=3))]
    also = [a_vote("second", number=4, about="dialogue"), a_vote("first", number=5, who="bo")]
    found = results([*reversed(changed), *also])
    assert found.votes == 3
    first, second = found.pairs
    assert (first.about, first.wins, first.losses, first.ties) == ("overall", 2, 0, 0)
    assert (second.about, second.losses) == ("dialogue", 1)
    assert {tally.who: tally.wins for tally in first.by_reader} == {"ada": 1, "bo": 1}


def test_ways_can_be_taken_together_by_tier_and_two_of_one_tier_say_nothing_about_it() -> None:
    votes = [a_vote(number=1), a_vote(number=2, second="C", comparison=1)]
    assert [(p.one, p.other, p.wins) for p in results(votes, by="tier").pairs] == [
        ("comprehensive", "enhanced_baseline", 2)
    ]
    alike = a_vote(number=3, tiers=("comprehensive", "comprehensive"))
    found = results([alike], by="tier")
    assert (found.pairs, found.votes, found.left.first) == ((), 1, 1)


def test_each_reader_is_reported_and_has_a_rate_when_there_is_enough() -> None:
    votes = [a_vote("first" if n else "neither", number=n, comparison=n) for n in range(5)]
    votes.append(a_vote("second", number=9, who="bo"))
    ada, bo = only(results(votes).pairs).by_reader
    assert (ada.who, ada.wins, ada.losses, ada.ties, ada.rate) == ("ada", 4, 0, 1, 0.9)
    assert (bo.wins, bo.losses, bo.rate) == (0, 1, None)


def test_a_preference_for_the_left_is_seen() -> None:
    left = results([a_vote("first", number=n, who=f"r{n}", comparison=n,
                           first="AB"[n % 2], second="BA"[n % 2]) for n in range(40)])  # fmt: skip
    assert left.left.biased is True
    assert left.left.estimate is not None
    assert left.left.estimate.rate == 1.0
    pair = only(left.pairs).estimate
    assert pair is not None
    assert pair.rate == 0.5
    assert results(many(40, 40)).left.biased is False


def _close(one: Estimate | None, other: Estimate | None, turn: Callable[[float], float]) -> None:
    if one is None or other is None:
        assert one is other
        return
    low, high = sorted((turn(other.low), turn(other.high)))
    assert (one.low, one.rate, one.high) == pytest.approx((low, turn(other.rate), high), abs=1e-9)
    assert one.p == pytest.approx(other.p)


@settings(deadline=None)
@given(VOTES)
def test_it_does_not_matter_who_stood_left(votes: list[VoteEvent]) -> None:
    found, other = results(votes), results([mirrored(vote) for vote in votes])
    assert found.pairs == other.pairs
    assert (found.left.first, found.left.second) == (other.left.second, other.left.first)
    _close(found.left.estimate, other.left.estimate, lambda rate: 1.0 - rate)


@settings(deadline=None)
@given(VOTES)
def test_what_one_wins_the_other_loses(votes: list[VoteEvent]) -> None:
    """The same opinions with A and B called each other."""
    names = {"A": "B", "B": "A", "C": "C"}
    renamed = [
        vote.model_copy(update={
            side: getattr(vote, side).model_copy(update={"way": names[getattr(vote, side).way]})
            for side in ("first", "second")
        })
        for vote in votes
    ]  # fmt: skip
    before = {(p.about, p.one, p.other): p for p in results(votes).pairs}
    after = {(p.about, p.one, p.other): p for p in results(renamed).pairs}
    for about in ("overall", "dialogue"):
        one, other = before.get((about, "A", "B")), after.get((about, "A", "B"))
        assert (one is None) == (other is None)
        if one is not None and other is not None:
            assert (one.wins, one.losses, one.ties) == (other.losses, other.wins, other.ties)
            assert (one.outlook, one.more) == (other.outlook, other.more)
            _close(one.estimate, other.estimate, lambda rate: 1.0 - rate)


@settings(deadline=None)
@given(VOTES, st.randoms(use_true_random=False))
def test_neither_the_order_of_votes_nor_repeats_of_them_matter(
    votes: list[VoteEvent], rng: random.Random
) -> None:
    again = [*votes, *votes[:10]]
    rng.shuffle(again)
    assert results(again) == results(votes)


@settings(deadline=None)
@given(VOTES)
def test_figures_keep_to_their_range(votes: list[VoteEvent]) -> None:
    for pair in results(votes).pairs:
        found = pair.estimate
        if found is not None:
            assert 0 <= found.low <= found.rate <= found.high <= 1
            assert 0 < found.effective <= pair.votes
            assert pair.outlook != "no data"


def test_the_sign_test_is_exact() -> None:
    assert sign_test(0, 0) == sign_test(7, 7) == 1.0
    assert sign_test(9, 1) == sign_test(1, 9) == pytest.approx(22 / 1024)
    assert sign_test(1100, 900) == pytest.approx(8.55e-6, rel=0.02)


def test_a_settled_question_needs_no_more_votes_and_an_even_one_has_no_end() -> None:
    settled = only(results(many(60, 50)).pairs)
    assert (settled.outlook, settled.more) == ("already settled", 0)
    even = only(results(many(60, 30)).pairs)
    assert (even.outlook, even.more) == ("no end in sight", None)
    nearly = only(results(many(100, 52)).pairs)
    assert nearly.outlook == "no end in sight"
    open_ = only(results(many(40, 25)).pairs)
    # by hand: ((2.0227 * .5 + .8416 * .4841) / .125)^2 = 128.8, times 40/39 for a variance from a sample, less the 40 there are
    assert (open_.outlook, open_.more) == ("more votes", 93)
    ties = only(results(many(60, 0, ties=60)).pairs)
    assert ties.outlook == "no end in sight"


def test_as_many_votes_as_it_asks_for_settle_it_four_times_in_five() -> None:
    before = [Score(float(n < 25), f"r{n}", f"c{n}") for n in range(40)]
    likely, more = outlook(before, estimate(before))
    assert likely == "more votes"
    assert more is not None
    rng = random.Random(11)
    settled = 0
    for _ in range(1500):
        drawn = [Score(float(rng.random() < 0.625), f"r{n}", f"c{n}") for n in range(40 + more)]
        settled += outlook(drawn, estimate(drawn))[0] == "already settled"
    assert 0.78 < settled / 1500 < 0.88  # whole votes round it up: 0.843 by the binomial distribution
    assert 40 + more < MOST_VOTES


CROWDS: list[dict[str, Any]] = [
    {"readers": 12, "comparisons": 12, "each": 12, "rate": 0.5, "by_reader": 0.0, "by_comparison": 0.0, "ties": 0.0},
    {"readers": 12, "comparisons": 12, "each": 6, "rate": 0.65, "by_reader": 1.0, "by_comparison": 1.0, "ties": 0.2},
    {"readers": 30, "comparisons": 6, "each": 6, "rate": 0.6, "by_reader": 0.5, "by_comparison": 1.0, "ties": 0.0},
    {"readers": 6, "comparisons": 30, "each": 15, "rate": 0.8, "by_reader": 1.0, "by_comparison": 0.5, "ties": 0.1},
    {"readers": 40, "comparisons": 40, "each": 1, "rate": 0.6, "by_reader": 1.0, "by_comparison": 1.0, "ties": 0.0},
    {"readers": 1, "comparisons": 40, "each": 40, "rate": 0.6, "by_reader": 0.0, "by_comparison": 1.0, "ties": 0.1},
]  # fmt: skip


@pytest.mark.parametrize("crowd", CROWDS)
def test_the_interval_holds_the_truth_as_often_as_it_says(crowd: dict[str, Any]) -> None:
    """Readers and stories drawn with tastes of their own (logistic, normal effects): 95 % of 300 within chance, and not by being
    useless."""
    rng = random.Random(20270115)
    start = log(crowd["rate"] / (1 - crowd["rate"]))

    def taste(reader: float, comparison: float) -> float:
        return 1 / (1 + exp(-(start + reader + comparison)))

    def effects(kind: str, count: int) -> list[float]:
        return [rng.gauss(0, crowd[kind]) for _ in range(count)]

    tastes = zip(effects("by_reader", 30_000), effects("by_comparison", 30_000), strict=True)
    truth = sum(taste(*one) for one in tastes) / 30_000 * (1 - crowd["ties"]) + crowd["ties"] / 2
    held, width = 0, 0.0
    for _ in range(300):
        readers = effects("by_reader", crowd["readers"])
        comparisons = effects("by_comparison", crowd["comparisons"])
        scores = [
            Score(
                0.5 if rng.random() < crowd["ties"] else float(rng.random() < taste(of_reader, comparisons[c])),
                f"r{r}",
                f"c{c}",
            )
            for r, of_reader in enumerate(readers)
            for c in rng.sample(range(crowd["comparisons"]), crowd["each"])
        ]  # fmt: skip
        found = estimate(scores)
        assert found is not None
        held += found.low <= truth <= found.high
        width += found.high - found.low
    assert held / 300 > 0.92
    assert width / 300 < 0.5
