"""Compare tiers: one request written in several ways, read side by side or blind, voted on, and what the votes say."""

from __future__ import annotations

from collections.abc import Sequence

import streamlit as st

from cinegen_core.access import Action, NotAllowedError
from cinegen_core.acting import Acting
from cinegen_core.comparing import Comparison, ComparisonView, Way
from cinegen_core.comparing.running import WayState
from cinegen_core.store import StoreError
from cinegen_core.story import EpisodeRequest
from cinegen_core.studio import StudioBusyError
from cinegen_core.tiers.model import Update
from pages.compare_blind import ballot_for, invite, next_pair, read_blind, show_own_votes, why_not_blind
from pages.compare_form import ask_ways, ask_what
from pages.compare_held import Held, held_for
from pages.compare_read import name, show_open
from pages.compare_sheet import TABLES_STYLE
from pages.compare_votes import show_votes
from pages.frame import ago, moment, page, refused, table
from pages.script_view import PAGE_STYLE
from pages.shared import literal

_PHASES = {
    "draft": "drafting",
    "engines": "the engines say what they want",
    "synthesis": "writing it out",
    "check": "looking for what was asked",
    "repair": "mending what is missing",
}
_STATES: dict[WayState, str] = {
    "waiting": "waits for its turn",
    "writing": "getting ready",
    "done": "written",
    "failed": "came to nothing",
    "stopped": "stopped",
}


def draw(me: Acting) -> None:
    st.html(PAGE_STYLE)
    st.html(TABLES_STYLE)
    held = held_for(me.studio)
    try:
        _place(me, held)
    except StoreError as error:
        refused(error)


def _place(me: Acting, held: Held) -> None:
    """Where the address leads."""
    id = st.query_params.get("comparison", "")
    if id:
        st.set_page_config(layout="wide")
        found = held.comparison(id)
        if found is not None:
            _comparison(me, held, found)
            return
        st.warning("There is no comparison at this address; perhaps it was removed. Begin a new one.")
    if st.query_params.get("view") == "votes":
        if st.button("Compare ways of writing", icon=":material/arrow_back:", key="to_form", type="tertiary"):
            _go()
        show_votes(me, held)
    else:
        _beginning(me, held)


def _go(**params: str) -> None:
    """Another place on the page. The address says which, so that a reload or a second tab finds it; a bible that is being typed
    stays at hand."""
    typed = {key: st.query_params[key] for key in ("draft", "form") if key in st.query_params}
    st.query_params.from_dict({**typed, **params})
    st.rerun()


def _beginning(me: Acting, held: Held) -> None:
    st.title("Compare ways of writing")
    st.write("One request, written in several ways: side by side, or blind and with your vote.")
    if st.button("What the votes say", icon=":material/how_to_vote:", key="to_votes"):
        _go(view="votes")
    request = ask_what(me)
    ways = ask_ways(me.studio, request.seed if request is not None else 1)
    fresh = st.checkbox(
        "Write everything anew, also what is kept from before", key="compare_fresh", persist_state="session"
    )
    label = f"Write it in {len(ways)} ways" if ways else "Write it"
    if (
        st.button(label, type="primary", key="compare", disabled=request is None or not ways)
        and request is not None
    ):
        _begin(me, held, request, ways, fresh=fresh)
    _recent(me, held)


def _begin(
    me: Acting, held: Held, request: EpisodeRequest, ways: tuple[Way, ...], *, fresh: bool = False
) -> None:
    try:
        id = me.compare(request, ways, fresh=fresh)
    except StudioBusyError as error:
        st.warning(literal(str(error)))
        return
    except NotAllowedError as error:
        refused(error)
        return
    held.began(id)
    _go(comparison=id)


def _recent(me: Acting, held: Held) -> None:
    st.subheader("Recent comparisons")
    with st.spinner("Looking them up", show_time=False):
        listed = held.recent()
    if not listed:
        st.caption("None yet. The first one that you write will be listed here.")
        return
    with st.container(gap=None):
        for one in listed:
            words = (
                f"{one.title}, episode {one.number}: {len(one.ways)} ways, {ago(one.started, me.studio.now)}"
            )
            if st.button(
                literal(words), key=f"season_{one.id}", type="tertiary", width="stretch", help=literal("; ".join(one.ways))
            ):  # fmt: skip
                _go(comparison=one.id)
    if st.button("Look again", key="look_again", icon=":material/refresh:", type="tertiary"):
        held.look_again()
        st.rerun()


def _comparison(me: Acting, held: Held, found: Comparison) -> None:
    if st.button("All comparisons", icon=":material/arrow_back:", key="to_all", type="tertiary"):
        _go()
    request = found.request
    st.title(f"{literal(request.bible.title)}, episode {request.number}")
    said = [f"{len(found.ways)} ways, begun {moment(found.started)}", f"seed {request.seed}", f"{request.minutes:g} minutes"]  # fmt: skip
    if request.taken is not None:
        said.append(f"after the choice: {request.taken.label}")
    if request.direction:
        said.append(f"note: {request.direction}")
    st.caption(literal("; ".join(said)))
    if held.writing(found.id):
        _watch(me, found.id)
        return
    view = me.studio.comparison_job(found.id)
    if view is not None and view.state == "failed":
        st.error(literal(f"It could not be kept to its end. {view.error}"))
    if not found.ended:
        _cut_short(me, held, found)
        return
    _ended(me, held, found)


def _ended(me: Acting, held: Held, found: Comparison) -> None:
    """Blind as long as the person does not know which is which, and there is something to vote on; then with labels."""
    asked_blind = st.query_params.get("read") == "blind"
    paper = ballot_for(me, found)
    mine = held.mine(found, me.person)
    left = next_pair(paper, mine) if paper is not None else None
    if paper is not None and left is not None and not held.has_seen(found, me.person):
        if asked_blind or mine:
            read_blind(me, held, found, paper, left)
        else:
            invite(me, held, found, paper)
        return
    if asked_blind and (paper is None or left is not None):
        st.info(
            "You have seen which is which, so this one cannot be read blind any more."
            if paper is not None
            else why_not_blind(found) or "This studio records nothing, so nobody can vote here."
        )
    show_own_votes(mine)
    show_open(me, held, found)


def _cut_short(me: Acting, held: Held, found: Comparison) -> None:
    """Not ended, and not being written here."""
    st.warning(
        "Another studio is writing this, or it was being written when the studio was closed. "
        "Come back later, or have it written again: what was finished may be kept, and then takes no time."
    )
    table(
        (
            {
                "Way": name(found, place),
                "State": "written" if answer.generation is not None else answer.why or "not finished",
            }
            for place, answer in enumerate(found.answers)
        )
    )
    with st.container(horizontal=True):
        if st.button("Write it again", key="again", type="primary"):
            _begin(me, held, found.request, found.ways)
        if st.button("Look again", key="look_again", icon=":material/refresh:"):
            st.rerun()


def _watch(me: Acting, id: str) -> None:
    """How far each way is. Neither text nor scores are shown: whoever reads blind afterwards must not know them."""

    @st.fragment(run_every=0.5)
    def progress() -> None:
        now = me.studio.comparison_job(id)
        if now is None or now.state != "running":
            st.rerun()
        else:
            _progress(now)

    progress()
    if st.button("Stop", key="stop", icon=":material/stop:", help="What is finished stays."):
        try:
            me.stop_comparison(id)
        except NotAllowedError as error:
            refused(error)
        else:
            st.rerun()


def _progress(view: ComparisonView) -> None:
    done = sum(state in ("done", "failed", "stopped") for state in view.states)
    st.progress(done / len(view.states), text=f"{done} of {len(view.states)} ways have come to their end")
    table(
        {"Way": name(view.comparison, place), "State": _STATES[state] if state != "writing" else step_words(updates)}
        for place, (state, updates) in enumerate(zip(view.states, view.updates, strict=True))
    )  # fmt: skip


def step_words(updates: Sequence[Update]) -> str:
    """What a way that is being written is at, and how many calls to a model it has taken."""
    step = next((_PHASES[one.phase] for one in reversed(updates) if one.kind == "phase"), _STATES["writing"])
    engines = len({one.engine for one in updates if one.kind == "engine"})
    calls = sum(one.kind == "call" for one in updates)
    parts = [step]
    if engines:
        parts.append(f"{engines} {'engine' if engines == 1 else 'engines'}")
    if calls:
        parts.append(f"{calls} {'call' if calls == 1 else 'calls'} to a model")
    return ", ".join(parts)


page(draw, Action.COMPARE)
