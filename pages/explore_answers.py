"""The answers that stand out, and one of them with its evidence."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import pandas as pd
import streamlit as st

from cinegen_core.access import Action
from cinegen_core.acting import Acting
from cinegen_core.analysis import explore
from cinegen_core.analysis.answers import DIMENSION, FLAG, Tables
from cinegen_core.analysis.filters import Filters
from cinegen_core.monitor.events import Series
from cinegen_core.scorer import DIMENSION_WORDS
from cinegen_core.store import Record, StoreError
from cinegen_core.telling import TIER_WORDS
from pages.explore_charts import Look, known
from pages.explore_held import Held
from pages.explore_path import chosen, go
from pages.frame import NO_DATA, moment, percent, refused, span, table
from pages.script_view import attempts_html, engines_html, marks_of, scorecard_html, script_html
from pages.shared import literal

LISTED = 20

LINES_WORDS = "Open a dimension for the lines that earned or cost points; a line's number leads to it."

ORDERS: Mapping[str, str] = {"worst": "Worst", "best": "Best", "slowest": "Slowest"}
_GENERATE = "pages/generate.py"

_NOT_KEPT: Mapping[Series, str] = {
    "live": "Its script is not in this studio's store: it was written for a comparison, which the page Compare tiers shows, or its season was "
    "removed, or another studio keeps it.",
    "staging": "Its script is not in this studio's store; a studio in staging may keep its episodes in a folder of its own.",
    "simulated": "Simulated answers have no script: the simulator draws their figures from a pool of real ones.",
}


def listed_view(look: Look, order: str) -> pd.DataFrame:
    """The answers that stand out, at most `LISTED`."""
    makers: Mapping[str, Callable[[pd.DataFrame], pd.DataFrame]] = {
        "worst": lambda answers: explore.worst(answers, LISTED, look.column),
        "best": lambda answers: explore.best(answers, LISTED, look.column),
        "slowest": lambda answers: explore.slowest(answers, LISTED),
    }
    return look.view(order, makers[order])


def answers(look: Look) -> None:
    """A list to open answers from. What is brushed becomes a filter then, so that the way back leads here."""
    order = chosen("Which answers", "order", tuple(ORDERS), words=ORDERS.__getitem__)
    view = listed_view(look, order)
    if view.empty:
        st.caption(f"No data: none of these answers has a {look.words.lower()}.")
        return
    st.caption(
        f"{len(view)} {'answer' if len(view) == 1 else 'answers'} by "
        f"{'time taken' if order == 'slowest' else look.words.lower()}. Open one for its script, its score with the lines, and its engines."
    )
    with st.container(gap=None):
        for row in view.to_dict("records"):
            if st.button(
                literal(_line(row, look)), key=f"to_answer_{row['id']}", type="tertiary", width="stretch"
            ):
                go(look.narrowed, answer=str(row["id"]))


def _line(row: Mapping[Any, Any], look: Look) -> str:
    told = [
        f"{row['title'] or 'Untitled'}, episode {row['number']}: {look.words.lower()} {known(row[look.column])}"
    ]
    told += [TIER_WORDS.get(row["tier"], row["tier"]), span(row["seconds"])]
    told += [word for word in ("error", "fallback") if row[word]]
    return ", ".join([*told, moment(row["at"].to_pydatetime())])


def answer(me: Acting, held: Held, tables: Tables, filters: Filters, id: str) -> None:
    """One answer: what the record has of it, and its script where the store has that."""
    if st.button("Back to the answers", icon=":material/arrow_back:", key="to_answers", type="tertiary"):
        go(filters, answer=None)
    found = tables.answers[tables.answers["id"] == id]
    if found.empty:
        st.warning(
            literal(
                f"There is no {filters.series} answer at this address. It may be of another series (choose it above), or so old that it "
                "is no longer on record."
            )
        )
        return
    row = found.iloc[0].to_dict()
    st.header(f"{literal(row['title'] or 'Untitled')}, episode {row['number']}")
    st.caption(literal(_about(row)))
    for told in _to_know(row):
        st.info(told)
    try:
        with st.spinner("Looking for its script"):
            record = held.record(id)
    except StoreError as error:
        refused(error)
        record = None
    if record is not None:
        _script(me, record, lambda: _on_record(tables, row))
        return
    st.caption(literal(_NOT_KEPT[filters.series]))
    st.subheader("Score")
    _scores(row)
    st.subheader("Engines")
    _engines(tables, id)
    _on_record(tables, row)


def _about(row: Mapping[str, Any]) -> str:
    seen = [
        f"Quality {known(row['quality'])} on the guide's scale",
        f"score {known(row['score'])} on the scorer's",
        f"written {TIER_WORDS.get(row['tier'], row['tier'])} by {row['writer']} in {span(row['seconds'])}",
        f"{row['delivered']} of {row['active']} engines delivered",
        f"{row['calls']} calls, {row['tokens']:,} tokens, ${row['cost']:.4f}"
        if row["calls"]
        else "no calls to a model",
        moment(row["at"].to_pydatetime()),
        f"answer {row['id']}",
    ]
    return "; ".join(seen) + "."


def _to_know(row: Mapping[str, Any]) -> list[str]:
    told = []
    if row["error"]:
        told.append("This counts as an error: everything above the template failed, or there was no episode.")
    elif row["fallback"]:
        first = TIER_WORDS.get(row["first"], row["first"])
        told.append(f"This is a fallback: it was to be written {first}.")
    if row["kept"]:
        told.append("This is a kept answer to the same request, so it is in no figure.")
    if row["emergency"]:
        told.append("This was given in an emergency, so it is in no figure.")
    return told


def _script(me: Acting, record: Record, others: Callable[[], None]) -> None:
    """The page with its marks, and beside it what earned them; `others` draws what else is on record."""
    generation = record.generation
    card = generation.scorecard
    if me.may(Action.WRITE):
        st.page_link(
            _GENERATE, label="Open it where it was written", icon=":material/edit_note:",
            query_params={"season": record.season, "episode": record.id},
        )  # fmt: skip
    with st.container(key="room", horizontal=True):
        with st.container(key="sheet"):
            st.subheader(literal(generation.episode.title))
            st.html(script_html(generation.episode, marks=marks_of(card)))
        with st.container(key="side"):
            score, engines, origin = st.tabs(["Score", "Engines", "Flags and readers"])
            with score:
                if card is None:
                    st.caption("No scorecard: this episode was kept before there were any.")
                else:
                    st.html(scorecard_html(card))
                    st.caption(LINES_WORDS)
            with engines:
                if generation.engines:
                    st.html(engines_html(generation.engines, record.asked))
                else:
                    st.caption("No engines took part.")
            with origin:
                st.subheader("Attempts")
                st.html(attempts_html(generation.attempts))
                others()


def _scores(row: Mapping[str, Any]) -> None:
    table(
        {"Dimension": label, "Score, 0 to 10": known(row[f"{DIMENSION}{name}"])}
        for name, label in DIMENSION_WORDS.items()
    )


def _engines(tables: Tables, id: str) -> None:
    runs = tables.engines[tables.engines["id"] == id]
    if runs.empty:
        st.caption("No engines took part.")
    table(
        {
            "Engine": str(one["engine"]),
            "Delivered": "yes" if one["delivered"] else "no",
            "In the script": NO_DATA if pd.isna(one["realised"]) else percent(100 * one["realised"], 0),
        }
        for one in runs.to_dict("records")
    )


def _on_record(tables: Tables, row: Mapping[str, Any]) -> None:
    st.subheader("Flags in force")
    _flags(row)
    st.subheader("What readers did")
    _heard(tables, str(row["id"]))


def _flags(row: Mapping[str, Any]) -> None:
    told = {
        str(name).removeprefix(FLAG): "on" if value else "off"
        for name, value in row.items()
        if str(name).startswith(FLAG) and not pd.isna(value)
    }
    if told:
        table({"Flag": name, "Was": value} for name, value in told.items())
    else:
        st.caption("No flag was evaluated for it.")


def _heard(tables: Tables, id: str) -> None:
    words = tables.ratings[tables.ratings["id"] == id]
    if words.empty:
        st.caption("No data: nobody was shown this episode, or nobody did anything with it.")
        return
    table(
        {
            "When": moment(one["at"].to_pydatetime()),
            "Did": str(one["action"]),
            "Rating, 1 to 10": "" if pd.isna(one["rating"]) else str(one["rating"]),
            "Why": str(one["why"]),
        }
        for one in words.to_dict("records")
    )
