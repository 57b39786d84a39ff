"""What blind votes say: who is preferred how often, how sure that is, and how many more votes would settle it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TypeVar, get_args

import streamlit as st

from cinegen_core.acting import Acting
from cinegen_core.comparing import SUBJECTS, LeftBias, PairResult, Results
from cinegen_core.comparing.votes import LEAST_GROUPS, LEAST_OF_READER, LEAST_VOTES, By
from cinegen_core.monitor.events import Series
from cinegen_core.telling import TIER_WORDS
from cinegen_core.tiers.model import TierName
from pages.compare_blind import WORDS
from pages.compare_charts import rates_chart
from pages.compare_held import Held
from pages.frame import NO_DATA, table
from pages.ink import spec_of
from pages.shared import literal

BY: dict[By, str] = {"way": "Ways", "tier": "Tiers", "writer": "Writers"}
SERIES: dict[str, str] = {"own": "This studio's readers", "simulated": "Simulated readers"}
Choice = TypeVar("Choice", bound=str)
CHARTED = 20
"""Pairs in the chart at most; the table has all."""


def show_votes(me: Acting, held: Held) -> None:
    """Of all comparisons together."""
    st.title("What the votes say")
    if me.studio.monitoring is None:
        st.info("This studio records nothing, so there are no votes.")
        return
    with st.container(horizontal=True):
        by: By = _kept("by", "Compare", BY, "way")
        whose: str = _kept("readers", "Votes of", SERIES, "own")
    series: Series = "simulated" if whose == "simulated" else me.studio.series
    if series == "simulated":
        st.warning("Simulated: no reader gave these votes. They say nothing about how good anything is.")
    found = held.results(series, by)
    if not found.votes:
        st.info(
            "No data: nobody has voted yet. Write a request in several ways, read the episodes blind, and vote."
        )
        return
    about = _about()
    pairs = [pair for pair in found.pairs if pair.about == about]
    st.caption(literal(_what_counts(found)))
    if not pairs:
        st.info(
            f"No data: there are no votes about {literal(WORDS[about].lower())} between two {BY[by].lower()}."
        )
    else:
        _pairs(pairs, by)
        _readers(me, pairs, by)
    st.subheader("The side it stood on")
    st.markdown(literal(left_words(found.left)))


def _kept(key: str, label: str, options: Mapping[Choice, str], default: Choice) -> Choice:
    """A choice that the address holds."""
    asked = st.query_params.get(key, default)
    now = next((option for option in options if option == asked), default)
    st.session_state.setdefault(f"votes_{key}", now)
    chosen = st.segmented_control(
        label, list(options), required=True, format_func=options.__getitem__, key=f"votes_{key}"
    )
    picked = chosen if chosen is not None else now
    if picked != asked:
        st.query_params[key] = picked
    return picked


def _about() -> str:
    asked = st.query_params.get("about", SUBJECTS[0])
    st.session_state.setdefault("votes_about", asked if asked in SUBJECTS else SUBJECTS[0])
    chosen = st.selectbox("About", SUBJECTS, format_func=WORDS.__getitem__, key="votes_about", width=320)
    if chosen != asked:
        st.query_params["about"] = chosen
    return chosen


def _what_counts(found: Results) -> str:
    votes = "1 vote counts" if found.votes == 1 else f"{found.votes:,} votes count"
    return (
        f"{votes}. A rate takes at least {LEAST_VOTES} votes on a pair, from at least {LEAST_GROUPS} readers or {LEAST_GROUPS} "
        "comparisons; below that there is no data. A tie counts half. Intervals hold the rate with 95 %, also where "
        "one reader or one comparison gave many votes."
    )


def in_words(name: str, by: By) -> str:
    """What a side of a pair is called on the page."""
    if by == "tier":
        return next((TIER_WORDS[tier] for tier in get_args(TierName) if tier == name), name)
    return name


def versus(pair: PairResult, by: By) -> str:
    return f"{in_words(pair.one, by)} / {in_words(pair.other, by)}"


def _pairs(pairs: list[PairResult], by: By) -> None:
    shown = [pair for pair in pairs if pair.estimate is not None]
    if shown:
        spec = spec_of(lambda: rates_chart([_charted(pair, by) for pair in shown[:CHARTED]]))
        st.vega_lite_chart(spec=spec, width="stretch", alt=_ALT)
        if len(shown) > CHARTED:
            st.caption(f"The first {CHARTED} of {len(shown)} pairs; the table has all.")
    table(
        {
            "First / second": versus(pair, by),
            "Wins, losses, ties": f"{pair.wins}, {pair.losses}, {pair.ties}",
            "Readers": str(pair.readers),
            "Comparisons": str(pair.comparisons),
            "First preferred": rate_words(pair),
            "Sign test": sign_words(pair),
            "To settle it": outlook_words(pair),
        }
        for pair in pairs
    )
    st.caption("Wins, losses and rates are those of the first of each pair.")


_ALT = "For each pair, how often the first was preferred in percent, with its 95 % interval and a line at 50 %. The table below has the figures."


def _charted(pair: PairResult, by: By) -> dict[str, str | float]:
    assert pair.estimate is not None  # only pairs with one are charted
    rate, low, high = (100 * part for part in (pair.estimate.rate, pair.estimate.low, pair.estimate.high))
    return {"Pair": versus(pair, by), "Rate": rate, "Low": low, "High": high, "Figures": rate_words(pair)}


def rate_words(pair: PairResult) -> str:
    """The rate with its interval, and of whom alone it is where it is."""
    found = pair.estimate
    if found is None:
        return NO_DATA
    only = f", of {found.few} only" if found.few else ""
    return f"{100 * found.rate:.0f} % ({100 * found.low:.0f} to {100 * found.high:.0f} %){only}"


def sign_words(pair: PairResult) -> str:
    if pair.estimate is None:
        return NO_DATA
    return "p < 0.001" if pair.estimate.p < 0.001 else f"p = {pair.estimate.p:.3f}"


def outlook_words(pair: PairResult) -> str:
    """What it would take to know which is preferred."""
    if pair.outlook == "already settled":
        return "settled"
    if pair.outlook == "more votes" and pair.more is not None:
        return f"about {pair.more:,} more {'vote' if pair.more == 1 else 'votes'}"
    return "too close to settle by votes" if pair.outlook == "no end in sight" else NO_DATA


def _readers(me: Acting, pairs: list[PairResult], by: By) -> None:
    monitoring = me.studio.monitoring
    with st.expander("By reader"):
        place = st.selectbox(
            "Pair", range(len(pairs)), format_func=lambda one: versus(pairs[one], by), key="votes_pair"
        )
        pair = pairs[place]
        mine = monitoring.user(me.person.id) if monitoring is not None else me.person.id
        table(
            (
                {
                    "Reader": "you" if tally.who == mine else f"reader {tally.who[:6] or 'unknown'}",
                    "Wins, losses, ties": f"{tally.wins}, {tally.losses}, {tally.ties}",
                    "First preferred": NO_DATA if tally.rate is None else f"{100 * tally.rate:.0f} %",
                }
                for tally in pair.by_reader
            ),
            caption=f"Below {LEAST_OF_READER} votes a reader has no rate.",
        )


def left_words(left: LeftBias) -> str:
    """Whether readers preferred what stood on the left, whatever it was."""
    counts = (
        f"The left was preferred {left.first:,} times, the right {left.second:,}, neither {left.neither:,}."
    )
    found = left.estimate
    if found is None:
        return f"{counts} Whether the side matters: no data yet."
    figures = f"{100 * found.rate:.0f} % ({100 * found.low:.0f} to {100 * found.high:.0f} %)"
    if left.biased:
        side = "left" if found.rate > 0.5 else "right"
        return (
            f"{counts} That is {figures} for the left: readers lean to the {side}, whatever stands there. Sides are drawn, so it "
            "favours no way, but it hides small differences."
        )
    return f"{counts} That is {figures} for the left, and cannot be told from one half."
