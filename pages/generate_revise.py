"""Lines changed by hand, and scenes written anew. Every change makes a new version; the old one stays."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Literal

import streamlit as st

from cinegen_core.acting import Acting
from cinegen_core.jobs import JobView
from cinegen_core.revising import RevisionError
from cinegen_core.store import Record, Season, StoreError
from cinegen_core.story import Action, Dialogue, Element, Transition
from cinegen_core.story.editing import MOST_CHARACTERS, MOST_CUE, Insert, Remove, Reword
from cinegen_core.studio import StudioBusyError
from pages.frame import refused
from pages.generate_path import asked, go, turn
from pages.generate_watch import progress, stop_button
from pages.script_view import line_link
from pages.shared import literal

Kind = Literal["Action", "Speech", "Transition"]


def revise(me: Acting, season: Season, record: Record) -> None:
    job = asked("job") if asked("scene") else ""
    view = me.studio.job(job) if job else None
    undo(season, record)
    running = view is not None and view.state == "running"
    st.markdown("**A line**")
    _line(me, season, record, busy=running)
    st.markdown("**A whole scene**")
    if job:
        _became(me, job, view)
    _scene(me, season, record, busy=running)


def undo(season: Season, record: Record) -> None:
    """Back to the version that this one was made from, where there is one."""
    if record.revises is None:
        return
    if st.button(
        "Undo: back to the version before", key="undo", icon=":material/undo:",
        help="Both are kept. A season opens at the newest.",
    ):  # fmt: skip
        go(season=season.id, episode=record.revises, beside=asked("beside"))


# -- lines -------------------------------------------------------------------------------------------------------------


def _line(me: Acting, season: Season, record: Record, *, busy: bool) -> None:
    lines = {
        f"{number}.{line}": element
        for number, scene in enumerate(record.generation.episode.scenes, start=1)
        for line, element in enumerate(scene.elements, start=1)
    }
    places = list(lines)
    key = f"line_{record.id}"
    _pick(record, lines)
    if asked("line") in lines:
        st.session_state[key] = asked("line")
    chosen = st.selectbox(
        "Line", places, key=key, on_change=_line_chosen, args=(key,),
        format_func=lambda place: f"{place}  {_in_short(lines[place])}",
        help="Click a line in the script, or type a few words of it here. Its number is scene and line, as the scorecard counts.",
    )  # fmt: skip
    if chosen is None:
        return
    scene, line = (int(part) for part in chosen.split("."))
    st.html(f'<div class="card">{line_link(scene, line, "Go to it")}</div>')
    _reword(me, season, record, scene, line, lines[chosen], busy)
    _insert(me, season, record, scene, line, busy)


_CLICKED = """
export default function ({ setTriggerValue }) {
  const picked = (event) => {
    const row = event.target.closest('.script .row[id^="line-"]');
    if (row && !event.target.closest('a') && window.getSelection().isCollapsed) {
      setTriggerValue('line', row.id.slice('line-'.length).replace('-', '.'));
    }
  };
  document.addEventListener('click', picked);
  document.body.classList.add('picks-lines');
  return () => {
    document.removeEventListener('click', picked);
    document.body.classList.remove('picks-lines');
  };
}
"""


@st.cache_resource(show_spinner=False)
def _script_lines() -> Callable[..., Any]:
    """Hears of a click on a line of the script, which is all that its own code does; choosing from the list does the same."""
    return st.components.v2.component("script_lines", js=_CLICKED)


def _pick(record: Record, lines: Mapping[str, Element]) -> None:
    key = f"pick_{record.id}"

    def clicked() -> None:
        picked = st.session_state[key].line
        if picked in lines:
            turn(line=picked, against=None)

    _script_lines()(key=key, height=1, on_line_change=clicked)


def _line_chosen(key: str) -> None:
    turn(line=st.session_state[key], against=None)


def _in_short(element: Element) -> str:
    who = f"{element.speaker}: " if isinstance(element, Dialogue) else ""
    text = who + " ".join(element.text.split())
    return text if len(text) <= 60 else text[:59] + "…"


def _reword(
    me: Acting, season: Season, record: Record, scene: int, line: int, element: Element, busy: bool
) -> None:
    at = f"{record.id}_{scene}_{line}"
    speaker, aside = None, None
    with st.form(f"reword_{at}", border=False):
        if isinstance(element, Dialogue):
            left, right = st.columns(2)
            speaker = left.text_input("Speaker", element.speaker, max_chars=MOST_CUE, key=f"speaker_{at}")
            aside = right.text_input("Parenthetical", element.parenthetical or "", key=f"aside_{at}")
        text = st.text_area("Text", element.text, max_chars=MOST_CHARACTERS, height=110, key=f"text_{at}")
        keep, out = st.columns(2)
        kept = keep.form_submit_button("Save the line", type="primary", disabled=busy, width="stretch")
        gone = out.form_submit_button("Remove it", disabled=busy, width="stretch")
    if kept:
        said = None if speaker is None or speaker == _speaker(element) else speaker
        beside = (
            None if not isinstance(element, Dialogue) or aside == (element.parenthetical or "") else aside
        )
        _make(
            me, season, record, Reword(scene=scene, element=line, text=text, speaker=said, parenthetical=beside), f"{scene}.{line}"
        )  # fmt: skip
    elif gone:
        _make(me, season, record, Remove(scene=scene, element=line), f"{scene}.{max(1, line - 1)}")


def _speaker(element: Element) -> str:
    return element.speaker if isinstance(element, Dialogue) else ""


def _insert(me: Acting, season: Season, record: Record, scene: int, line: int, busy: bool) -> None:
    at = f"{record.id}_{scene}_{line}"
    with st.expander("Insert a line", key=f"insert_{at}"):
        kinds: tuple[Kind, ...] = ("Action", "Speech", "Transition")
        kind = st.radio(
            "Kind", kinds, index=1, key=f"kind_{at}", horizontal=True, label_visibility="collapsed"
        )
        where = st.radio(
            "Where", (f"After {scene}.{line}", f"Before {scene}.{line}"), key=f"where_{at}", horizontal=True,
            label_visibility="collapsed",
        )  # fmt: skip
        with st.form(f"insert_{at}_{kind}", border=False):
            speaker = aside = ""
            if kind == "Speech":
                cues = sorted({cue for one in record.generation.episode.scenes for cue in one.speakers})
                left, right = st.columns(2)
                speaker = left.selectbox(
                    "Speaker", cues, key=f"new_speaker_{at}", accept_new_options=True, index=0 if cues else None
                ) or ""  # fmt: skip
                aside = right.text_input("Parenthetical", key=f"new_aside_{at}")
            text = st.text_area("New text", max_chars=MOST_CHARACTERS, height=96, key=f"new_text_{at}")
            if st.form_submit_button("Insert it", disabled=busy):
                element = line + (where or "").startswith("After")
                change = Insert(
                    scene=scene, element=element, written=_written(kind or "Speech", text, speaker, aside)
                )
                _make(me, season, record, change, f"{scene}.{element}")


def _written(kind: Kind, text: str, speaker: str, aside: str) -> Element:
    if kind == "Speech":
        return Dialogue(speaker=speaker, text=text, parenthetical=aside.strip() or None)
    return Action(text=text) if kind == "Action" else Transition(text=text)


def _make(me: Acting, season: Season, record: Record, change: Reword | Insert | Remove, line: str) -> None:
    try:
        with st.spinner("Reading it anew for its score"):
            made = me.edit(record, change)
    except (RevisionError, StoreError) as error:
        refused(error)
        return
    go(season=season.id, episode=made.id, beside="revise", line=line)


# -- scenes ------------------------------------------------------------------------------------------------------------


def _scene(me: Acting, season: Season, record: Record, *, busy: bool) -> None:
    scenes = record.generation.episode.scenes
    with st.form(f"scene_{record.id}", border=False):
        number = st.selectbox(
            "Scene", list(range(1, len(scenes) + 1)), key=f"scene_number_{record.id}",
            format_func=lambda number: f"{number}. {scenes[number - 1].slugline}",
        )  # fmt: skip
        note = st.text_area(
            "A note to the writer", key=f"scene_note_{record.id}", max_chars=2000, height=80,
            placeholder="Let her find it by its smell.",
        )  # fmt: skip
        seed = st.number_input(
            "Seed", min_value=0, max_value=2**53 - 1, value=record.seed + 1, step=1, key=f"scene_seed_{record.id}",
            help="Another seed gives another scene; the rest of the episode stays as it is.",
        )  # fmt: skip
        wanted = st.form_submit_button("Write this scene anew", disabled=busy)
    if not wanted or number is None:
        return
    try:
        job = me.rewrite(record, number, seed=int(seed or 0), direction=note.strip())
    except (RevisionError, StudioBusyError) as error:
        refused(error)
        return
    go(season=season.id, episode=record.id, beside="revise", job=job, scene=str(number))


def _became(me: Acting, job: str, view: JobView | None) -> None:
    """How the scene stands that is being written anew, or why nothing came of it."""
    scene = literal(asked("scene"))
    if view is None:
        st.warning(
            f"Scene {scene} was being written when the studio was closed, so it is as it was. Ask for it again."
        )
    elif view.state == "running":
        st.markdown(f"Writing scene {scene} anew. The rest stays as it is.")
        stop_button(me, view)
        progress(me, view)
    elif view.state == "stopped":
        st.info(f"Stopped: scene {scene} is as it was.")
    elif view.state == "failed":
        st.error(literal(view.error))
