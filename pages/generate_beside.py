"""Beside the script: its scorecard, the engines' part in it, its versions, and what can be done to it."""

from __future__ import annotations

from collections.abc import Callable

import streamlit as st

from cinegen_core.access import Action
from cinegen_core.acting import Acting
from cinegen_core.store import Record, Season
from cinegen_core.studio import EMBEDDED
from cinegen_core.telling import TIER_WORDS
from pages.frame import ago, moment, percent, span
from pages.generate_path import asked, stay, summaries, turn, versions_of
from pages.generate_revise import revise, undo
from pages.script_view import attempts_html, engines_html, scorecard_html
from pages.shared import literal

Panel = Callable[[Acting, Season, Record], None]


def beside(me: Acting, season: Season, record: Record) -> None:
    """One panel at a time; the address says which."""
    panels = _panels(me)
    names = list(panels)
    wanted = asked("beside")
    st.session_state["beside"] = next((name for name in names if name.casefold() == wanted), names[0])
    chosen = st.segmented_control(
        "Beside the script",
        names,
        key="beside",
        required=True,
        label_visibility="collapsed",
        on_change=_turned,
    )
    panels[chosen or names[0]](me, season, record)


def _turned() -> None:
    turn(beside=str(st.session_state["beside"]).casefold())


def _panels(me: Acting) -> dict[str, Panel]:
    panels: dict[str, Panel] = {"Score": _score, "Engines": _engines}
    if me.may(Action.REVISE):
        panels["Revise"] = revise
    return {**panels, "Versions": _versions, "Origin": _origin}


def _score(me: Acting, season: Season, record: Record) -> None:
    card = record.generation.scorecard
    if card is None:
        st.caption("No scorecard: this episode was kept before there were any.")
        return
    before = me.studio.store.record(season.id, record.revises) if record.revises is not None else None
    st.html(scorecard_html(card, before.generation.scorecard if before is not None else None))
    st.caption("Open a dimension for the lines that earned or cost points; a line's number leads to it.")


def _engines(me: Acting, season: Season, record: Record) -> None:
    runs = record.generation.engines
    if not runs:
        st.caption("No engines took part.")
        return
    st.html(engines_html(runs, record.asked))
    st.caption("Open an engine for what it asked for; a line's number leads to where it shows.")


def _versions(me: Acting, season: Season, record: Record) -> None:
    versions = versions_of(summaries(me, season.id), record.id)
    numbers = {one.id: number for number, one in enumerate(versions, start=1)}
    if len(versions) == 1:
        st.caption("This is the only version. Revise it, and the one before stays beside the new one.")
        return
    if me.may(Action.REVISE):
        undo(season, record)
    for one in reversed(versions):
        label = f"{numbers[one.id]}. {literal(one.revision or 'as it was first written')}"
        if st.button(
            label, key=f"version_{one.id}", width="stretch", type="primary" if one.id == record.id else "tertiary"
        ):  # fmt: skip
            stay(episode=one.id, against=None, line=None, job=None, scene=None)
        from_which = f", from version {numbers[one.revises]}" if one.revises in numbers else ""
        st.caption(literal(f"{ago(one.saved, me.studio.now)}{from_which}"))
    others = [one.id for one in versions if one.id != record.id]
    key = f"against_{record.id}"
    st.session_state[key] = asked("against") if asked("against") in others else ""
    st.selectbox(
        "Mark up what is different from", ["", *others], key=key, on_change=_against, args=(key,),
        format_func=lambda id: f"version {numbers[id]}" if id else "nothing: show the script as it is",
    )  # fmt: skip


def _against(key: str) -> None:
    turn(against=st.session_state[key])


def _writer(name: str) -> str:
    return "the embedded writer" if name == EMBEDDED else name


def _origin(me: Acting, season: Season, record: Record) -> None:
    generation = record.generation
    episode = generation.episode
    minutes, seconds = divmod(episode.seconds, 60)
    st.markdown(
        f"Written {TIER_WORDS[generation.tier]} by {literal(_writer(generation.writer))}, seed {record.seed}. "
        f"{episode.words} words, planned for {minutes} min {seconds} s."
    )
    took = f"Took {span(generation.seconds)}, kept {moment(record.saved)}."
    if record.direction:
        took += f" The note to the writers: {record.direction}"
    st.caption(literal(took))
    if generation.kept is not None:
        st.caption(literal(f"The same was asked for on {moment(generation.kept)}; this is that answer."))
    st.html(attempts_html(generation.attempts))
    if generation.flags:
        reasons = "; ".join(f"{key} {why}" for key, why in generation.flag_reasons.items())
        st.caption(literal(f"Flags: {reasons}."))
    card = generation.scorecard
    if card is not None and card.overall is not None:
        st.caption(literal(f"Confidence of the score: {percent(100 * card.confidence, 0)}."))
    for opinion in card.beside if card is not None else ():
        value = "no answer" if opinion.score is None else f"{opinion.score:g}"
        st.caption(literal(f"Beside the score, {opinion.name}: {value} ({opinion.scale})."))
