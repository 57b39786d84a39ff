"""Two episodes marked A and B, without a word on how they were made: read, prefer one, and only then see which was which."""

from __future__ import annotations

import random
from collections.abc import Mapping

import streamlit as st

from cinegen_core.access import Action, NotAllowedError
from cinegen_core.acting import Acting, NotKeptError
from cinegen_core.comparing import SUBJECTS, Ballot, BallotError, Comparison, Pair, ballot
from cinegen_core.comparing.blind import OVERALL, Preferred
from cinegen_core.monitor.events import VoteEvent
from cinegen_core.scorer import DIMENSION_WORDS
from cinegen_core.store import StoreError
from pages.compare_held import Held, Mine, both
from pages.compare_read import read_beside
from pages.frame import refused, table
from pages.shared import literal

MARKS: dict[Preferred, str] = {"first": "A", "second": "B", "neither": "Neither"}
WORDS: Mapping[str, str] = {OVERALL: "Overall"} | {str(one): words for one, words in DIMENSION_WORDS.items()}


def ballot_for(me: Acting, comparison: Comparison) -> Ballot | None:
    """The person's own, in the same order whenever it is opened; None where there is nothing to vote on, or no right or record for
    votes."""
    if not me.may(Action.VOTE) or me.studio.monitoring is None:
        return None
    try:
        return ballot(comparison, random.Random(f"{comparison.id}\0{me.person.id}"))  # noqa: S311 (a shuffle)
    except BallotError:
        return None


def next_pair(paper: Ballot, mine: Mine) -> int | None:
    """The place (from 0) of the first pair that the person has not voted on; None where all are done."""
    return next((place for place, pair in enumerate(paper.pairs) if (both(pair), OVERALL) not in mine), None)


def invite(me: Acting, held: Held, comparison: Comparison, paper: Ballot) -> None:
    """Before anything is shown: blind, or with labels."""
    episodes = sum(one is not None for one in comparison.generations)
    st.markdown(
        f"{episodes} episodes are written. A vote is worth something only from somebody who does not know how each was made: read "
        f"them two at a time ({_pairs(len(paper.pairs))}), say which you prefer, and then see which was which."
    )
    with st.container(horizontal=True):
        if st.button("Read blind", type="primary", key="read_blind"):
            st.query_params["read"] = "blind"
            st.rerun()
        _reveal(me, held, comparison)
    st.caption("Once you have seen which is which, you cannot vote on this comparison any more.")


def _reveal(me: Acting, held: Held, comparison: Comparison) -> None:
    if st.button("Show which is which", key="reveal"):
        held.see(comparison, me.person)
        st.query_params.pop("read", None)
        st.rerun()


def _pairs(count: int) -> str:
    return "one pair" if count == 1 else f"{count} pairs"


def read_blind(me: Acting, held: Held, comparison: Comparison, paper: Ballot, place: int) -> None:
    """One pair, and what the person prefers of it."""
    pair = paper.pairs[place]
    st.subheader(f"Pair {place + 1} of {len(paper.pairs)}")
    st.caption("A and B are drawn for each pair: A here may be B in the next.")
    read_beside(
        ["Episode A", "Episode B"], [pair.first.episode, pair.second.episode], key=f"{comparison.id}_{place}", by_scene=False
    )  # fmt: skip
    with st.form(f"vote_{comparison.id}_{place}"):
        st.subheader("Which do you prefer?")
        overall: Preferred | None = st.radio(
            "Overall", MARKS, index=None, format_func=MARKS.__getitem__, horizontal=True, key=_key(place, OVERALL)
        )  # fmt: skip
        st.caption("If you like, also by dimension; leave out what you have no opinion on.")
        chosen: dict[str, Preferred] = {}
        columns = st.columns(2)
        for index, (about, words) in enumerate(DIMENSION_WORDS.items()):
            wanted: Preferred | None = columns[index // 4].radio(
                words, MARKS, index=None, format_func=MARKS.__getitem__, horizontal=True, key=_key(place, about)
            )  # fmt: skip
            if wanted is not None:
                chosen[about] = wanted
        last = place == len(paper.pairs) - 1
        sent = st.form_submit_button(
            "Vote, and see which was which" if last else "Vote, and read the next pair", type="primary"
        )
    if sent and overall is None:
        st.error("Say which of the two you prefer overall: A, B or neither.")
    elif sent and overall is not None and _voted(me, comparison, pair, overall, chosen):
        st.rerun()
    _reveal(me, held, comparison)
    st.caption("What you have voted on so far stays; the pairs that are left cannot be voted on after that.")


def _key(place: int, about: str) -> str:
    return f"prefer_{place}_{about}"


def _voted(
    me: Acting, comparison: Comparison, pair: Pair, overall: Preferred, chosen: dict[str, Preferred]
) -> bool:
    """Whether it is recorded. The overall vote comes last: by it a pair counts as done, so that after a failure it is asked again."""
    try:
        for about, preferred in (*chosen.items(), (OVERALL, overall)):
            me.vote(comparison, pair, preferred, about=about)
    except (BallotError, NotAllowedError, NotKeptError, StoreError) as error:
        refused(error)
        return False
    return True


def show_own_votes(mine: Mine) -> None:
    """How the person voted, with the labels."""
    if not mine:
        return
    rows = [
        {"About": WORDS[vote.about], "You preferred": _preferred(vote), "To": _other(vote)}
        for vote in sorted(mine.values(), key=lambda vote: (vote.first.way, vote.second.way, SUBJECTS.index(vote.about)))
    ]  # fmt: skip
    with st.expander(
        f"How you voted ({len(rows)} {'vote' if len(rows) == 1 else 'votes'})",
        expanded=len(rows) <= len(SUBJECTS),
    ):
        table(rows)


def _preferred(vote: VoteEvent) -> str:
    return {"first": vote.first.way, "second": vote.second.way, "neither": "neither"}[vote.preferred]


def _other(vote: VoteEvent) -> str:
    both_ways = f"{vote.first.way} and {vote.second.way}"
    return {"first": vote.second.way, "second": vote.first.way, "neither": both_ways}[vote.preferred]


def why_not_blind(comparison: Comparison) -> str:
    """Why there is no ballot for somebody who may vote; empty where there is one."""
    try:
        ballot(comparison, random.Random(0))  # noqa: S311 (a shuffle)
    except BallotError as error:
        return literal(str(error))
    return ""
