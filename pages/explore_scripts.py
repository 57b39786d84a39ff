"""Scripts of one's own: scored by the same scorer, side by side, each score with its lines."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import NamedTuple, cast

import streamlit as st

from cinegen_core.acting import Acting
from cinegen_core.analysis.scripts import MOST_FILES, Scored
from cinegen_core.scorer import DIMENSION_WORDS, Scorecard
from cinegen_core.story import Episode, StoryBible
from cinegen_core.story.errors import StoryError
from cinegen_core.story.load import load_sample, sample_names
from pages.explore_answers import LINES_WORDS
from pages.explore_path import asked
from pages.explore_rounds import Round, script_of, the_rounds
from pages.frame import number, refused, table
from pages.script_view import marks_of, scorecard_html, script_html
from pages.shared import literal

MOST_BESIDE = 4
"""Scorecards side by side."""

_ENDINGS = ["fountain", "fdx", "txt", "json"]
_LINK = re.compile(r'<a href="#line-\d+-\d+">([^<]*)</a>')

SIDES_STYLE = """<style>
.st-key-sides { gap: 1.2rem 1.8rem; align-items: flex-start; }
.st-key-sides > div { flex: 1 1 19rem; min-width: min(100%, 19rem); }
.st-key-sides .stHtml { width: 100%; }
</style>"""


class _Good(NamedTuple):
    """A script with a score; `place` is the file's in its round, from 0."""

    place: int
    name: str
    card: Scorecard


def scripts(me: Acting) -> None:
    """The form, and what came of the round that the address names."""
    st.write("Bring scripts of any origin: each gets the scorecard that the studio's own episodes get.")
    files, bible = _asked()
    if st.button(
        "Score them" if len(files) > 1 else "Score it", type="primary", key="score", disabled=not files
    ):
        st.query_params["scored"] = the_rounds().begin(me.person.id, files, bible)
        st.query_params.pop("beside", None)
        st.rerun()
    id = asked("scored")
    if not id:
        if not files:
            st.caption(
                "Choose a file to begin with. Scenes begin with sluglines such as INT. KITCHEN - NIGHT."
            )
        return
    found = the_rounds().of(me.person.id, id)
    if found is None:
        st.info(
            "The scripts at this address are not at hand any more: the studio keeps only the last ones, and nothing on disk. Bring them again."
        )
        return
    _round(found)


def _asked() -> tuple[list[tuple[str, bytes]], StoryBible | None]:
    brought = st.file_uploader(
        "Scripts: Fountain, FDX, or plain text laid out like a screenplay", _ENDINGS, accept_multiple_files=True,
        key="scripts", help=f"At most {MOST_FILES} at once, 2 MB each. They stay in the studio's memory, and nowhere else.",
    )  # fmt: skip
    titles = {name: load_sample(name).title for name in sample_names()}
    sample = st.selectbox(
        "Score them against", ("", *titles), key="scripts_bible", persist_state="session",
        format_func=lambda name: f"the bible of {titles[name]}" if name else "no bible: by what is on the page",
        help="With a bible, the scorer also looks whether its people, places and threads are in the script.",
    )  # fmt: skip
    files = [(one.name, one.getvalue()) for one in brought] if isinstance(brought, list) else []
    return files, load_sample(sample) if sample else None


def _round(found: Round) -> None:
    if found.scored is None:
        _watch(found)
        return
    results = found.scored
    good: list[_Good] = []
    for place, one in enumerate(results):
        if one.card is not None and one.card.overall is not None:
            good.append(_Good(place, name_of(one), one.card))
        else:
            why = one.card.reason if one.card is not None else one.error
            st.error(literal(f"{one.name} was not scored. {why}"))
    if not good:
        st.caption("None of these could be scored. Mend them as said above, and bring them again.")
        return
    against = f"against the bible of {found.bible}" if found.bible else "without a bible"
    st.header(f"{len(good)} {'script' if len(good) == 1 else 'scripts'} scored, {literal(against)}")
    _overview(good)
    _beside(found, good)


def name_of(one: Scored) -> str:
    """The file's, and what the script calls itself."""
    return f"{one.title} ({one.name})" if one.title else one.name


def _watch(found: Round) -> None:
    @st.fragment(run_every=0.5)
    def progress() -> None:
        if found.scored is not None:
            st.rerun()
        of = len(found.files)
        waits = found.work is not None and not found.work.running()
        words = (
            "waits for the round before it"
            if waits
            else f"{found.done + 1} of {of}: {found.files[found.done][0]}"
        )
        st.progress(found.done / of, text=literal(f"Scoring, {words}"))

    progress()


def _overview(good: Sequence[_Good]) -> None:
    table(
        (
            {
                "Script": one.name,
                "Overall": number(one.card.overall),
                "Class": str(one.card.quality_class or ""),
                **{
                    key.capitalize(): number(
                        one.card.dimensions[key].score if key in one.card.dimensions else None
                    )
                    for key in DIMENSION_WORDS
                },
            }
            for one in good
        ),
        caption="All 0 to 10, by the same scorer as the studio's own episodes.",
    )


def _beside(found: Round, good: Sequence[_Good]) -> None:
    """One script with its page and marks, or several scorecards beside each other."""
    places = [one.place for one in good]
    names = {one.place: one.name for one in good}
    cards = {one.place: one.card for one in good}
    wanted = [int(one) for one in asked("beside").split(",") if one.isdecimal() and len(one) < 4]
    shown = [place for place in wanted if place in names][:MOST_BESIDE] or places[
        : 3 if len(places) > 1 else 1
    ]
    if len(good) > 1:
        key = f"beside_{found.id}"
        st.session_state[key] = shown
        st.multiselect(
            "Side by side; one alone is shown with its pages", places, key=key, format_func=names.__getitem__,
            max_selections=MOST_BESIDE, on_change=_follow, args=(key,),
        )  # fmt: skip
    if len(shown) == 1:
        _alone(found, shown[0], cards[shown[0]])
        return
    st.html(SIDES_STYLE)
    with st.container(key="sides", horizontal=True):
        for place in shown:
            with st.container():
                st.markdown(f"**{literal(names[place])}**")
                # the lines of several scripts would have the same addresses, and the pages are not shown here
                st.html(_LINK.sub(r"<b>\1</b>", scorecard_html(cards[place])))
    st.caption(
        "Open a dimension for the lines that earned or cost points: scene and line, as 2.14. Choose one script alone to read it with its marks."
    )


def _follow(key: str) -> None:
    st.query_params["beside"] = ",".join(str(place) for place in st.session_state[key])


def _alone(found: Round, place: int, card: Scorecard) -> None:
    try:
        script = script_of(found.files[place])
    except StoryError as error:
        refused(error)
        return
    with st.container(key="room", horizontal=True):
        with st.container(key="sheet"):
            # what a page shows of an episode, a script has too: sluglines, lines, and the question
            st.html(script_html(cast("Episode", script), marks=marks_of(card)))
        with st.container(key="side"):
            st.html(scorecard_html(card))
            st.caption(LINES_WORDS)
