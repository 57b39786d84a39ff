"""A season as one looks back on it: its episodes, the threads that they opened and closed, who knows what, who trusts whom."""

from __future__ import annotations

from collections.abc import Iterator
from html import escape

import streamlit as st

from cinegen_core.acting import Acting
from cinegen_core.season_view import PathError, SeasonView, ThreadView, season_view
from cinegen_core.store import Season
from cinegen_core.story import StoryBible
from cinegen_core.telling import TIER_WORDS
from pages.frame import NO_DATA, number, table
from pages.generate_path import asked, go, summaries, way
from pages.shared import literal

_LEVELS = {1: "suspects", 2: "knows", 3: "has known from the start"}

_STYLE = """<style>
.threads-room { overflow-x: auto; max-width: 100%; }
.threads { border-collapse: collapse; font-size: 0.92rem; line-height: 1.35; }
.threads caption { text-align: left; padding-bottom: 0.5rem; }
.threads th, .threads td { padding: 0.35rem 0.5rem; text-align: center; vertical-align: middle;
  border-top: 1px solid color-mix(in srgb, currentColor 22%, transparent); }
.threads thead th { border-top: 0; font-weight: 600; white-space: nowrap; }
.threads thead th:first-child { text-align: left; padding-left: 0; }
.threads th[scope="row"] { text-align: left; font-weight: 400; min-width: 11rem; max-width: 26rem; overflow-wrap: anywhere; padding-left: 0; }
.threads td { min-width: 3.2rem; font-size: 0.85rem; }
.threads td.on { background: color-mix(in srgb, #e8a33d 26%, transparent); }
.threads td.end { background: color-mix(in srgb, #3d7ea6 26%, transparent); }
.season-rows { margin: 0; padding: 0; list-style: none; font-size: 0.95rem; line-height: 1.45; }
.season-rows li { margin: 0 0 0.3rem; padding: 0; overflow-wrap: anywhere; }
</style>"""


def look_back(me: Acting, season: Season, bible: StoryBible) -> None:
    path = [one.id for one in way(summaries(me, season.id), asked("episode"))]
    if not path:
        st.caption(
            "No episode is written yet. Write the first one, and this page tells what it did to the story."
        )
        return
    with st.spinner("Reading the season"):
        records = me.studio.store.records(season.id)
        try:
            view = season_view(bible, records, path)
        except PathError as error:
            st.error(literal(str(error)))
            return
    _episodes(season, view)
    st.subheader("Threads")
    _threads(view)
    st.subheader("Who knows what")
    _facts(view)
    left, right = st.columns(2)
    with left:
        st.subheader("Who trusts whom")
        _bonds(view)
    with right:
        st.subheader("Where things are")
        _things(view)


def _episodes(season: Season, view: SeasonView) -> None:
    st.subheader("Episodes on this way")
    st.caption(f"Mean score {number(view.score)} of 10; an episode without a score does not count.")
    table(
        {
            "Episode": f"{one.number}. {one.title}",
            "After": one.taken.label
            if one.taken is not None
            else "the beginning"
            if one.number == 1
            else NO_DATA,
            "Score": number(one.score),
            "Opened": str(len(one.opened)),
            "Closed": str(len(one.closed)),
            "Versions": str(one.versions),
            "Written": TIER_WORDS[one.tier],
        }
        for one in view.episodes
    )
    st.fragment(_one)(season, view)


def _one(season: Season, view: SeasonView) -> None:
    """What one episode did to the story: to begin with the one in the address, else the last."""
    by_id = {one.id: one for one in view.episodes}
    if st.session_state.get("season_episode") not in by_id:
        st.session_state["season_episode"] = (
            asked("episode") if asked("episode") in by_id else view.episodes[-1].id
        )
    chosen = st.selectbox(
        "What happened in", list(by_id), key="season_episode", format_func=lambda id: f"{by_id[id].number}. {by_id[id].title}"
    )  # fmt: skip
    one = by_id[chosen]
    st.markdown(literal(one.logline))
    _rows(
        [
            *(f"Opened: {question}" for question in one.opened),
            *(f"Closed: {question}" for question in one.closed),
            *(f"{learned.who} {_LEVELS[learned.level]}: {learned.what}" for learned in one.learned),
            *(
                f"{bond.who}'s trust of {bond.towards}: from {bond.before:+d} to {bond.after:+d}"
                for bond in one.bonds
            ),
            *one.happened,
        ]
    )
    if st.button("Read it", key="read_this", icon=":material/menu_book:"):
        go(season=season.id, episode=one.id)


def _threads(view: SeasonView) -> None:
    if not view.threads:
        st.caption("No thread is declared or opened. Name open questions in the bible, under threads.")
        return
    last = view.episodes[-1].number
    numbers = [one.number for one in view.episodes]
    head = "".join(f'<th scope="col">Episode {number}</th>' for number in numbers)
    rows = "".join(
        f'<tr><th scope="row">{escape(thread.question)}</th>{"".join(_cells(thread, numbers))}</tr>'
        for thread in view.threads
    )
    still = len(view.still_open)
    st.html(
        f'{_STYLE}<div class="threads-room" tabindex="0"><table class="threads"><caption>After episode {last}, {still} of '
        f"{len(view.threads)} threads {'is' if still == 1 else 'are'} open.</caption>"
        f'<thead><tr><th scope="col">Question</th>{head}</tr></thead><tbody>{rows}</tbody></table></div>'
    )


def _cells(thread: ThreadView, numbers: list[int]) -> Iterator[str]:
    for number_ in numbers:
        if thread.closed is not None and number_ == thread.closed:
            yield '<td class="end">closed</td>'
        elif thread.opened == number_:
            yield '<td class="on">opened</td>'
        elif thread.opened < number_ and (thread.closed is None or number_ < thread.closed):
            yield '<td class="on">open</td>'
        else:
            yield "<td></td>"


def _facts(view: SeasonView) -> None:
    if not view.facts:
        st.caption("Nobody has come to know anything that the season keeps track of.")
        return
    table(
        {
            "What": fact.what,
            "Who": "; ".join(
                f"{one.who} {_LEVELS[one.level]}"
                + (f" since episode {one.since}" if one.since and one.level < 3 else "")
                for one in fact.known_by
            ),
            "Hidden from": ", ".join(fact.hidden_from) or "nobody",
        }
        for fact in view.facts
    )


def _bonds(view: SeasonView) -> None:
    if not view.bonds:
        st.caption("Nobody's trust has changed yet.")
        return
    table(
        (
            {
                "Who": bond.who,
                "Towards": bond.towards,
                "Trust": f"{bond.trust:+d}",
                "Steps": ", ".join(f"{step.trust:+d} in episode {step.episode}" for step in bond.steps)
                or "none",
            }
            for bond in view.bonds
        ),
        caption="From -3, an enemy, to +3, would lie for them.",
    )


def _things(view: SeasonView) -> None:
    if not view.things:
        st.caption("The season keeps track of no thing yet.")
        return
    table({"Thing": one.thing, "Where": "gone" if one.kind == "gone" else one.where} for one in view.things)


def _rows(rows: list[str]) -> None:
    if rows:
        items = "".join(f"<li>{escape(row)}</li>" for row in rows)
        st.html(f'{_STYLE}<ul class="season-rows">{items}</ul>')
