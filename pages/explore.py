"""Quality explorer: how good the studio's answers are, where, and why; and scripts of one's own, scored the same way."""

from __future__ import annotations

from collections.abc import Mapping
from typing import get_args

import streamlit as st

from cinegen_core.access import Action
from cinegen_core.acting import Acting
from cinegen_core.analysis.filters import Filters
from cinegen_core.monitor.events import Series
from cinegen_core.store import StoreError
from pages import explore_filters
from pages.explore_answers import answer, answers
from pages.explore_charts import GROUPS, Look, ask_measure, groups, look_at, overview
from pages.explore_export import take_away
from pages.explore_held import Held, held_for
from pages.explore_path import asked, chosen, filters_in_address, go, put
from pages.explore_scripts import scripts
from pages.frame import page, refused
from pages.script_view import PAGE_STYLE
from pages.shared import literal

_VIEWS = {"answers": "The studio's answers", "scripts": "Scripts of your own"}

_TOLD: Mapping[Series, str] = {
    "live": "",
    "staging": "Staging: a rehearsal. Nobody was served with these answers, and they are in no live figure.",
    "simulated": "Simulated: made up by the simulator, with no real reader or request. These answers are in no live figure.",
}
_TO_DO: Mapping[Series, str] = {
    "live": "Write an episode on the page Generate, or have one written over the HTTP interface: each answer is here at once. "
    "To look around before that, fill the series Simulated with: cinegen simulate --days 7",
    "staging": "A studio that runs with CINEGEN_ENVIRONMENT=staging on the same database fills this series.",
    "simulated": "Fill this series with: cinegen simulate --days 7",
}


_STYLE = """<style>
[class*="st-key-explore_"] [role="radiogroup"] button[aria-checked="true"],
[class*="st-key-explore_"] [role="radiogroup"] button[aria-checked="true"] * { color: inherit; font-weight: 600; }
@media (max-width: 900px) {
  .st-key-room > .st-key-side, .st-key-room > div:has(> .st-key-side) { order: -1; }
}
</style>"""
"""What is chosen can be read in both themes; where there is no room beside a script, its score comes before it."""


def draw(me: Acting) -> None:
    st.set_page_config(layout="wide")
    st.html(PAGE_STYLE)
    st.html(_STYLE)
    st.title("Quality explorer")
    with st.container(key="view"):
        view = chosen("What to look at", "view", tuple(_VIEWS), words=_VIEWS.__getitem__, hidden=True)
    if view == "scripts":
        scripts(me)
        return
    try:
        _studios(me, held_for(me.studio))
    except StoreError as error:
        refused(error)


def _studios(me: Acting, held: Held) -> None:
    filters, ignored = filters_in_address()
    if ignored:
        st.warning("Some of this address could not be read, and is left out:\n" + "\n".join(f"- {literal(one)}" for one in ignored))  # fmt: skip
    with st.container(horizontal=True, vertical_alignment="bottom"):
        _series(filters)
        beside = st.container(width=260)
    if _TOLD[filters.series]:
        st.info(_TOLD[filters.series])
    if me.studio.monitoring is None:
        st.info(
            "This studio records nothing, so there is nothing to explore. `cinegen studio` starts one that does."
        )
        return
    with st.spinner("Reading what is recorded"):
        tables = held.tables(filters.series)
    if asked("answer"):
        answer(me, held, tables, filters, asked("answer"))
        return
    if tables.answers.empty:
        st.info(literal(f"There are no {filters.series} answers yet. {_TO_DO[filters.series]}"))
        return
    if tables.after:
        st.caption(
            f"Of the last {me.studio.explored:,} events on record. All of them: `cinegen events export`, and `cinegen events ask`."
        )
    explore_filters.ask(filters, held.names(tables, filters.series))
    with beside:
        measure = ask_measure()
    look = look_at(held, tables, filters, measure)
    overview(look)
    if held.shown(tables, look.narrowed).empty:
        _none_left(look)
        return
    # a click on what follows does not draw the charts above anew
    st.fragment(_below)(me, look)


def _below(me: Acting, look: Look) -> None:
    st.header("By group")
    groups(look, chosen("Grouped by", "by", tuple(GROUPS), words=GROUPS.__getitem__, hidden=True))
    st.header("Answers to look into")
    answers(look)
    take_away(me, look)


def _series(filters: Filters) -> None:
    """Live answers unless somebody asks for others."""
    st.session_state["explore_series"] = filters.series
    st.segmented_control(
        "Answers", get_args(Series), key="explore_series", required=True, format_func=str.capitalize, on_change=_turned,
        args=(filters,),
    )  # fmt: skip


def _turned(filters: Filters) -> None:
    put(filters.model_copy(update={"series": st.session_state["explore_series"]}), answer=None)


def _none_left(look: Look) -> None:
    of = f"{len(look.tables.answers):,} {look.filters.series} answers"
    st.info(literal(f"None of the {of} holds for these filters. Widen them, or begin again without."))
    if st.button("Show all answers", key="show_all", type="primary"):
        go(Filters(series=look.filters.series))


page(draw, Action.EXPLORE)
