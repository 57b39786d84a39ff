"""Who votes sees two episodes and nothing of how they were made; the vote finds its way back."""

from __future__ import annotations

import json
import random
from itertools import permutations

import pytest

from cinegen_core.comparing import (
    SUBJECTS,
    Answered,
    BallotError,
    Pair,
    ballot,
    compare,
    vote_event,
    ways_from,
)
from cinegen_core.settings import Settings
from cinegen_core.store import MemoryStore
from cinegen_core.store.comparisons import Comparison, MemoryComparisons, Way
from cinegen_core.store.results import NoResults
from cinegen_core.story import EpisodeRequest, Policy
from cinegen_core.story.load import load_sample, sample_names
from cinegen_core.studio import Studio
from cinegen_core.tiers.runner import TIERS
from tests.comparing.comparisons import START, TEMPLATE, a_comparison, a_finished_comparison, a_generation

WAYS = tuple(
    Way(label=f"label-{name}", tier="comprehensive", writer=f"writer-{name}")
    for name in ("one", "two", "three")
)


def three() -> Comparison:
    answers = (
        Answered(
            generation=a_generation(
                f"{place:016x}", title=f"Title {place}", writer=f"writer-{place}", seconds=987.5,
                notices=("It was written by nobody.",),
            )
        )
        for place in (1, 2, 3)
    )  # fmt: skip
    return a_comparison(*answers, ways=WAYS)


def test_nothing_on_the_ballot_tells_which_is_which() -> None:
    shown = ballot(three(), random.Random(1)).model_dump_json()
    for telling in ("label-", "writer-", "comprehensive", "987.5", "seconds_", "tokens", "311", "cost", "notices", "attempts", "nobody"):  # fmt: skip
        assert telling not in shown
    assert set(ballot(three(), random.Random(1)).pairs[0].first.model_dump()) == {"generation", "episode"}


async def test_nor_do_the_notes_that_writers_keep_in_an_episode() -> None:
    """Episodes by the writers that come with the studio, which leave notes in the state for themselves."""
    bible = load_sample(sample_names()[0])
    ways = ways_from(tiers=("comprehensive", "enhanced_baseline", "basic_fallback"))
    with Studio(Settings(), results=NoResults(), store=MemoryStore()) as studio:
        names = [engine.name for engine in studio.engines]
        new = Comparison.of(EpisodeRequest(bible=bible), ways, id="c" * 16, started=START)
        done = await compare(studio, new, decided=Policy(), engines=names, kept=MemoryComparisons())
    assert "embedded" in done.model_dump_json()
    found = ballot(done, random.Random(1))
    shown = found.model_dump_json()
    assert [word for word in ("embedded", "template", *TIERS, *names) if f'"{word}"' in shown] == []
    fields = {
        json.dumps(
            [one.episode.state.model_dump(exclude={"offered"}), one.episode.rundown]
            + [choice.model_dump(exclude={"label", "consequence"}) for choice in one.episode.choices]
        )
        for pair in found.pairs
        for one in (pair.first, pair.second)
    }
    assert len(fields) == 1  # beside what is read, all are alike


def test_every_two_are_compared_once() -> None:
    found = ballot(three(), random.Random(4)).pairs
    pairs = {frozenset((pair.first.generation, pair.second.generation)) for pair in found}
    assert (len(found), len(pairs)) == (3, 3)


def test_order_and_sides_are_drawn_and_the_same_for_the_same_draw() -> None:
    seen: dict[tuple[str, ...], int] = {}
    for seed in range(400):
        found = ballot(three(), random.Random(seed))
        assert found == ballot(three(), random.Random(seed))
        first = found.pairs[0]
        key = (first.first.generation[-1], first.second.generation[-1])
        seen[key] = seen.get(key, 0) + 1
    assert set(seen) == set(permutations("123", 2))
    assert min(seen.values()) > 40  # of 66.7 to be expected; four standard deviations


def test_there_is_no_ballot_while_one_is_waited_for_or_where_nothing_differs() -> None:
    with pytest.raises(BallotError, match="still being written"):
        ballot(a_comparison(Answered(generation=a_generation())), random.Random(1))
    same = a_comparison(
        Answered(generation=a_generation("1" * 16)), Answered(generation=a_generation("2" * 16))
    )
    with pytest.raises(BallotError, match="no two episodes here that differ"):
        ballot(same, random.Random(1))
    lone = a_comparison(Answered(generation=a_generation()), Answered(why="It failed."))
    with pytest.raises(BallotError, match="no two episodes"):
        ballot(lone, random.Random(1))


@pytest.mark.parametrize("seed", range(6))
def test_a_vote_says_how_both_were_made_on_the_side_where_they_were_shown(seed: int) -> None:
    comparison = a_finished_comparison()
    (pair,) = ballot(comparison, random.Random(seed)).pairs
    vote = vote_event(comparison, pair, "second", id="v1", at=START, who="ada", about="dialogue")
    made = {
        "The Stub": ("1" * 16, "with the engines", "comprehensive", "Opus"),
        "Low Water": ("2" * 16, "in a single pass", "enhanced_baseline", "fake"),
    }
    for side, shown in ((vote.first, pair.first), (vote.second, pair.second)):
        assert (side.generation, side.way, side.tier, side.writer) == made[shown.episode.title]
    assert (vote.comparison, vote.about, vote.preferred, vote.who) == ("c" * 16, "dialogue", "second", "ada")


def test_votes_are_about_the_whole_or_a_dimension_and_about_this_comparison() -> None:
    comparison = a_finished_comparison()
    (pair,) = ballot(comparison, random.Random(1)).pairs
    for about in SUBJECTS:
        assert vote_event(comparison, pair, "neither", id="v", at=START, who="", about=about).about == about
    with pytest.raises(BallotError, match="'speed' is nothing to vote on; there are overall, character"):
        vote_event(comparison, pair, "first", id="v", at=START, who="", about="speed")
    strange = Pair(first=pair.first, second=pair.second.model_copy(update={"generation": "f" * 16}))
    with pytest.raises(BallotError, match="not of that comparison"):
        vote_event(comparison, strange, "first", id="v", at=START, who="")


def test_a_way_that_came_to_nothing_is_not_on_the_ballot() -> None:
    ways = (*a_finished_comparison().ways, TEMPLATE)
    comparison = a_comparison(*a_finished_comparison().answers, Answered(why="It failed."), ways=ways)
    assert len(ballot(comparison, random.Random(1)).pairs) == 1
