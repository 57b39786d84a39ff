"""Two answers at a time, without a word on how they were made; what a reader prefers, as a vote."""

from __future__ import annotations

import random
from datetime import datetime
from itertools import combinations
from typing import Literal

from cinegen_core.monitor.events import Series, Side, VoteEvent
from cinegen_core.scorer import DIMENSION_WORDS
from cinegen_core.store.comparisons import Comparison
from cinegen_core.story import Choice, Episode, StoryState
from cinegen_core.story.model import Noun

OVERALL = "overall"
SUBJECTS: tuple[str, ...] = (OVERALL, *DIMENSION_WORDS)
"""What a vote may be about: the whole, or a dimension of the scorer."""

Preferred = Literal["first", "second", "neither"]


class BallotError(ValueError):
    """A vote that cannot be counted. The message says why, and what to do."""


class Candidate(Noun):
    """One of a pair. `generation` is a random id, by which the vote finds its way back.

    The `episode` is what its reader sees: without the state that it leaves behind, what its choices do to that, and its rundown, in
    which writers keep their own notes and shape things in their own ways.
    """

    generation: str
    episode: Episode


class Pair(Noun):
    """Two to choose from; `first` is shown first (left)."""

    first: Candidate
    second: Candidate


class Ballot(Noun):
    """What a blind comparison shows: nothing in it says how an episode was made, how long that took, or which is which."""

    comparison: str
    pairs: tuple[Pair, ...]


def ballot(comparison: Comparison, rng: random.Random) -> Ballot:
    """Every two answers that differ, once, in random order and on random sides.

    Raises `BallotError` while ways are still being written (who is waited for would tell), and where there are no two that differ.
    """
    if not comparison.ended:
        raise BallotError(
            "Some ways are still being written. Wait until all have come to their end, then vote."
        )
    candidates = [
        Candidate(generation=one.id, episode=_as_read(one.episode))
        for one in comparison.generations
        if one is not None
    ]
    pairs: list[Pair] = []
    for one, other in combinations(candidates, 2):
        if one.episode == other.episode:
            continue
        first, second = (one, other) if rng.random() < 0.5 else (other, one)
        pairs.append(Pair(first=first, second=second))
    if not pairs:
        raise BallotError("There are no two episodes here that differ, so there is nothing to vote on.")
    rng.shuffle(pairs)
    return Ballot(comparison=comparison.id, pairs=tuple(pairs))


def vote_event(
    comparison: Comparison,
    pair: Pair,
    preferred: Preferred,
    *,
    id: str,
    at: datetime,
    who: str,
    about: str = OVERALL,
    series: Series = "live",
) -> VoteEvent:
    """A reader's vote on a pair of the comparison's ballot. `about` is one of `SUBJECTS`, `id` new for each vote.

    A reader may think again: of votes by one reader on one pair and one subject the last counts (`results`). Raises `BallotError`
    for a pair of another comparison and for a subject that does not exist.
    """
    if about not in SUBJECTS:
        raise BallotError(f"{about!r} is nothing to vote on; there are {', '.join(SUBJECTS)}.")
    return VoteEvent(
        id=id,
        at=at,
        series=series,
        who=who,
        comparison=comparison.id,
        about=about,
        first=_side(comparison, pair.first),
        second=_side(comparison, pair.second),
        preferred=preferred,
    )


def _as_read(episode: Episode) -> Episode:
    choices = tuple(
        Choice(id=one.id, label=one.label, consequence=one.consequence) for one in episode.choices
    )
    state = StoryState(series=episode.series, episode=episode.number, offered=choices)
    return episode.model_copy(update={"choices": choices, "rundown": (), "state": state})


def _side(comparison: Comparison, candidate: Candidate) -> Side:
    for way, generation in zip(comparison.ways, comparison.generations, strict=True):
        if generation is not None and generation.id == candidate.generation:
            return Side(
                generation=generation.id, way=way.label, tier=generation.tier, writer=generation.writer
            )
    raise BallotError("This pair is not of that comparison. Open the comparison again, and vote there.")
