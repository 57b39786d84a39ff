"""Choose or begin a series, have an episode written, read it, revise it, choose, and read on."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import streamlit as st

from cinegen_core.access import Action
from cinegen_core.acting import Acting
from cinegen_core.drafting import draft_of, keep_bible
from cinegen_core.jobs import JobView
from cinegen_core.store import Season, StoreError
from cinegen_core.store.episodes import Summary
from cinegen_core.story import StoryBible
from cinegen_core.story.errors import StoryError
from pages.asking import choose_bible, how
from pages.frame import page, refused
from pages.generate_form import bible_form, forget, usable
from pages.generate_path import around, asked, firsts, go, newest, record_of, stay, summaries, turn, way
from pages.generate_read import begin, read, request_for
from pages.generate_season import look_back
from pages.generate_watch import watch
from pages.script_view import PAGE_STYLE
from pages.shared import literal

_SEASONS_SHOWN = 8
_EPISODES_SHOWN = 12
"""In the sidebar; all others are found in a list."""

_VIEWS = {"": "Script", "season": "Season", "bible": "Bible"}


def draw(me: Acting) -> None:
    st.html(PAGE_STYLE)
    try:
        season = me.studio.store.season(asked("season"))
        _sidebar(me, season)
        if season is None:
            _new_series(me)
        else:
            _season(me, season)
    except StoreError as error:
        refused(error)


def _sidebar(me: Acting, season: Season | None) -> None:
    others = [other for other in me.studio.store.seasons() if season is None or other.id != season.id]
    with st.sidebar:
        if season is not None:
            st.subheader(literal(season.title))
            with st.container(gap=None):
                _episodes(me, season)
            if me.may(Action.WRITE) and st.button(
                "New series", icon=":material/add:", key="new_series", width="stretch"
            ):
                go()
        if others:
            st.subheader("Seasons")
        with st.container(gap=None):
            for other in others[:_SEASONS_SHOWN]:
                label = f"{literal(other.title)} ({other.started.astimezone():%d %b, %H\\:%M})"
                if st.button(label, key=f"season_{other.id}", width="stretch", type="tertiary"):
                    go(season=other.id)
        if len(others) > _SEASONS_SHOWN:
            st.caption(f"The newest {_SEASONS_SHOWN} of {len(others)}.")
            _find(others)


def _find(others: list[Season]) -> None:
    titles = {other.id: f"{other.title} ({other.started.astimezone():%d %b %Y, %H:%M})" for other in others}
    found = st.selectbox(
        "Find a season", list(titles), index=None, key="find_season", format_func=titles.__getitem__
    )
    if found is not None:
        del st.session_state["find_season"]
        go(season=found)


def _episodes(me: Acting, season: Season) -> None:
    current = asked("episode")
    path = way(summaries(me, season.id), current)
    for one in around(path, current, _EPISODES_SHOWN):
        kind: Literal["primary", "tertiary"] = "primary" if one.id == current else "tertiary"
        if st.button(f"{one.number}. {literal(one.title)}", key=f"to_{one.id}", width="stretch", type=kind):
            go(season=season.id, episode=one.id)
    if len(path) > _EPISODES_SHOWN:
        _find_episode(season, path)


def _find_episode(season: Season, path: Sequence[Summary]) -> None:
    titles = {one.id: f"{one.number}. {one.title}" for one in path}
    found = st.selectbox(
        f"All {len(path)} episodes", list(titles), index=None, key="find_episode",
        format_func=titles.__getitem__, placeholder="Find an episode",
    )  # fmt: skip
    if found is not None:
        del st.session_state["find_episode"]
        go(season=season.id, episode=found)


def _new_series(me: Acting) -> None:
    st.title("What shall we write?")
    if not me.may(Action.WRITE):
        st.info("Choose a season at the left to read its episodes. Writing takes the role writer.")
        return
    chosen = choose_bible(me)
    wish = how(me, key="first", number=1, first=True)
    with st.container(horizontal=True):
        write = st.button(
            f"Write episode {wish.number}", type="primary", key="write", disabled=chosen is None
        )
        keep = chosen is not None and chosen.draft and st.button("Save the series only", key="save_series")
    if chosen is None or not (write or keep):
        return
    if keep:
        season = me.open_season(chosen.bible, source=chosen.source)
        forget(me, chosen.draft)
        go(season=season.id)
    begin(
        me,
        lambda: _opened(me, chosen.bible, chosen.source, chosen.draft),
        request_for(chosen.bible, wish),
        wish,
    )


def _opened(me: Acting, bible: StoryBible, source: str, draft: str) -> Season:
    season = me.open_season(bible, source=source)
    if draft:
        forget(me, draft)
    return season


def _season(me: Acting, season: Season) -> None:
    job = asked("job")
    view = me.studio.job(job) if job else None
    anew = bool(job and asked("scene"))
    if view is not None and view.state == "running" and not anew:
        watch(me, season, view)
        return
    if job and job in me.studio.store.record_ids(season.id):
        go(
            season=season.id, episode=job,
            beside="revise" if anew else None, line=f"{asked('scene')}.1" if anew else None,
        )  # fmt: skip
    st.title(literal(season.title))
    if job and not anew:
        _ended(view)
    bible = me.studio.store.bible(season.id)
    if bible is None:
        st.error("The bible of this season is gone. Begin a new series.")
        return
    _views()
    shown = asked("view")
    if shown == "season":
        look_back(me, season, bible)
    elif shown == "bible":
        _bible(me, season, bible)
    else:
        _script(me, season, bible)


def _views() -> None:
    st.session_state["view"] = asked("view") if asked("view") in _VIEWS else ""
    st.segmented_control(
        "View", list(_VIEWS), key="view", required=True, format_func=_VIEWS.__getitem__,
        label_visibility="collapsed", on_change=_turned,
    )  # fmt: skip


def _turned() -> None:
    turn(view=st.session_state["view"])


def _script(me: Acting, season: Season, bible: StoryBible) -> None:
    """The episode in the address; without one the season's latest, or if there is none, its first to be written."""
    record = record_of(me, season.id, asked("episode"))
    if record is not None:
        read(me, season, bible, record)
        return
    there = summaries(me, season.id)
    if there and not asked("job"):
        latest = max(there, key=lambda one: one.saved)
        go(season=season.id, episode=(newest(there, latest.id) or latest).id)
    if not me.may(Action.WRITE):
        st.caption("No episode is written yet. A writer can have the first one written.")
        return
    if not there:
        st.caption("No episode is written yet. The bible can still be changed as you like, its title too.")
    wish = how(me, key="first", number=1, first=True)
    if st.button(f"Write episode {wish.number}", type="primary", key="write"):
        begin(me, lambda: season, request_for(bible, wish), wish)


def _ended(view: JobView | None) -> None:
    """Why the job in the address left no episode."""
    if view is None:
        st.warning(
            "This episode was being written when the studio was closed, so there is none. Ask for it again."
        )
    elif view.state == "stopped":
        st.info(
            f"Stopped before anything of episode {view.number} was finished, so there is nothing to keep."
        )
    else:
        st.error(f"Episode {view.number} could not be written. {literal(view.error)}")


def _bible(me: Acting, season: Season, bible: StoryBible) -> None:
    written = len(set(firsts(summaries(me, season.id)).values()))
    if not me.may(Action.WRITE):
        st.caption("The bible can be read in the season's episodes; changing it takes the role writer.")
        return
    if written:
        st.info(
            f"{'One episode is' if written == 1 else f'{written} episodes are'} written by this bible. What you change holds"
            " for those to come. Those that are written stay as they are; a scene of theirs that is written anew, or an edited"
            " line that is scored, is looked at through the new bible."
        )
    start = draft_of(bible, source=season.source)
    draft = bible_form(me, season.id, start, titled=not written)
    if draft == start:
        st.caption("Nothing is changed yet.")
        return
    new = usable(draft)
    with st.container(horizontal=True):
        save = st.button("Save the bible", type="primary", key="save_bible", disabled=new is None)
        drop = st.button("Drop the changes", key="drop_bible")
    if drop:
        forget(me, season.id)
        st.rerun()
    if save and new is not None:
        try:
            keep_bible(me, season, new)
        except StoryError as error:
            refused(error)
            return
        forget(me, season.id)
        st.toast("The bible is saved.")
        stay(view="bible")


page(draw, Action.READ)
