"""Ask for an episode, watch it being written, read it, choose, and read on."""

from __future__ import annotations

import re
from typing import Literal

import streamlit as st
from pydantic import ValidationError

from cinegen_core.jobs import JobView
from cinegen_core.store import Record, Season, StoreError
from cinegen_core.story import EpisodeRequest, Policy, StoryBible
from cinegen_core.story.formats import to_fdx, to_fountain, to_json, to_text
from cinegen_core.studio import Studio, StudioBusyError
from cinegen_core.telling import TIER_WORDS
from pages.asking import Wish, choose_bible, how
from pages.script_view import PAGE_STYLE, attempts_html, draft_html, engines_html, scorecard_html, script_html
from pages.shared import literal, the_studio

_PHASES = {
    "draft": "Drafting",
    "engines": "The engines say what they want",
    "synthesis": "Writing it out",
    "check": "Looking for what was asked",
    "repair": "Mending what is missing",
}
_SEASONS_SHOWN = 12


def page() -> None:
    studio = the_studio()
    st.html(PAGE_STYLE)
    emergency = studio.emergency
    if emergency is not None:
        st.warning(
            literal(
                f"Emergency mode, by {emergency.by}: {emergency.reason}. Only the template writes until it ends."
            )
        )
    try:
        season = studio.store.season(st.query_params.get("season", ""))
        _sidebar(studio, season)
        if season is None:
            _new_series(studio)
        else:
            _season(studio, season)
    except StoreError as error:
        st.error(literal(str(error)))


def _go(**params: str | None) -> None:
    """Another place in the studio. The address says which, so that a reload or a second tab finds it."""
    st.query_params.from_dict({name: value for name, value in params.items() if value})
    st.rerun()


def _sidebar(studio: Studio, season: Season | None) -> None:
    others = [other for other in studio.store.seasons() if season is None or other.id != season.id]
    with st.sidebar:
        if season is not None:
            st.subheader(literal(season.title))
            with st.container(gap=None):
                _episodes(studio, season)
            if st.button("New series", icon=":material/add:", key="new_series", width="stretch"):
                _go()
        if others:
            st.subheader("Seasons")
        with st.container(gap=None):
            for other in others[:_SEASONS_SHOWN]:
                label = f"{literal(other.title)} ({other.started.astimezone():%d %b, %H\\:%M})"
                if st.button(label, key=f"season_{other.id}", width="stretch", type="tertiary"):
                    _go(season=other.id)


def _episodes(studio: Studio, season: Season) -> None:
    current = st.query_params.get("episode", "")
    for record in _path(studio, season, current):
        kind: Literal["primary", "tertiary"] = "primary" if record.id == current else "tertiary"
        label = f"{record.number}. {literal(record.generation.episode.title)}"
        if st.button(label, key=f"to_{record.id}", width="stretch", type=kind):
            _go(season=season.id, episode=record.id)


def _path(studio: Studio, season: Season, current: str) -> list[Record]:
    """The episodes that led to the current one, it, and those that were last written after it."""
    records = studio.store.records(season.id)
    by_id = {record.id: record for record in records}
    path: list[Record] = []
    here = by_id.get(current)
    while here is not None:
        path.insert(0, here)
        here = by_id.get(here.parent or "")
    while path:
        after = [record for record in records if record.parent == path[-1].id]
        if not after:
            break
        path.append(after[-1])
    return path or list(records)


def _new_series(studio: Studio) -> None:
    st.title("What shall we write?")
    chosen = choose_bible()
    wish = how(studio, key="first", number=1)
    if (
        st.button("Write episode 1", type="primary", key="write", disabled=chosen is None)
        and chosen is not None
    ):
        season = studio.open_season(chosen.bible, source=chosen.source)
        _begin(studio, season, _request(chosen.bible, wish), wish)


def _request(
    bible: StoryBible, wish: Wish, parent: Record | None = None, choice: str | None = None
) -> EpisodeRequest:
    return EpisodeRequest.model_validate(
        {
            "bible": bible,
            "number": parent.number + 1 if parent else 1,
            "state": parent.generation.episode.state if parent else None,
            "choice": choice,
            "direction": wish.direction,
            "seed": wish.seed,
            "minutes": wish.minutes,
        }
    )


def _begin(
    studio: Studio, season: Season, request: EpisodeRequest, wish: Wish, parent: str | None = None
) -> None:
    try:
        job = studio.start(request, season=season.id, parent=parent, policy=wish_policy(studio, wish))
    except StudioBusyError as error:
        st.warning(literal(str(error)))
        return
    _go(season=season.id, episode=parent, job=job)


def wish_policy(studio: Studio, wish: Wish) -> Policy:
    return studio.policy(tier=wish.tier, writer=wish.writer)


def _season(studio: Studio, season: Season) -> None:
    job = st.query_params.get("job", "")
    view = studio.job(job) if job else None
    if view is not None and view.state == "running":
        _watch(studio, season, view)
        return
    if job:
        _ended(studio, season, job, view)
    record = studio.store.record(season.id, st.query_params.get("episode", ""))
    bible = studio.store.bible(season.id)
    if bible is None:
        st.error("The bible of this season is gone. Begin a new series.")
    elif record is not None:
        _read(studio, season, bible, record)
    else:
        _first_of(studio, season, bible)


def _first_of(studio: Studio, season: Season, bible: StoryBible) -> None:
    """A season without an episode chosen: its latest, or if there is none, its first to be written."""
    records = studio.store.records(season.id)
    if records and not st.query_params.get("job"):
        _go(season=season.id, episode=max(records, key=lambda record: record.saved).id)
    st.title(literal(season.title))
    wish = how(studio, key="first", number=1)
    if st.button("Write episode 1", type="primary", key="write"):
        _begin(studio, season, _request(bible, wish), wish)


def _ended(studio: Studio, season: Season, job: str, view: JobView | None) -> None:
    """What became of the job in the address: to its episode, or a word on why there is none."""
    if studio.store.record(season.id, job) is not None:
        _go(season=season.id, episode=job)
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


def _watch(studio: Studio, season: Season, view: JobView) -> None:
    st.title(literal(season.title))
    st.subheader(f"Writing episode {view.number}")

    @st.fragment(run_every=0.4)
    def progress() -> None:
        now = studio.job(view.id)
        if now is None or now.state != "running":
            st.rerun()
        else:
            _progress(now)

    if st.button("Stop", key="stop", icon=":material/stop:"):
        studio.cancel(view.id)
        studio.wait(view.id, 5)
        st.rerun()
    progress()


def _progress(view: JobView) -> None:
    """A line for each step that has begun, and under the engines' step one for each of their phases; then the text so far."""
    lines: list[str] = []
    step, group, text = "Getting ready", "", ""
    calls, tokens, cost = 0, 0, 0.0
    for update in view.updates:
        if update.kind == "tier":
            lines.append(f"**{TIER_WORDS[update.tier].capitalize()}**")
        elif update.kind == "phase":
            step, group = _PHASES[update.phase], ""
            lines.append(step)
        elif update.kind == "engine":
            name = literal(update.engine) + ("" if update.ok else " (by its rules)")
            if update.phase == group:
                lines[-1] += f", {name}"
            else:
                lines.append(f"&emsp;{update.phase}: {name}")
            group = update.phase
        elif update.kind == "call":
            calls, tokens, cost = calls + 1, tokens + update.tokens, cost + update.cost
        elif update.kind == "text":
            text = update.text
        elif update.kind == "attempt" and update.outcome != "accepted":
            lines.append(f"Not kept for now: {literal(update.reason)}")
    with st.status(step, state="running", expanded=True):
        st.markdown("  \n".join(lines))
        if calls:
            st.caption(f"{calls} calls, {tokens:,} tokens" + (f", \\${cost:.4f}" if cost else ""))
    if text:
        st.html(draft_html(text))


def _read(studio: Studio, season: Season, bible: StoryBible, record: Record) -> None:
    generation = record.generation
    episode = generation.episode
    st.title(literal(season.title))
    st.subheader(f"Episode {episode.number}: {literal(episode.title)}")
    before = studio.store.record(season.id, record.parent or "")
    if before is not None and record.choice is not None:
        st.caption(f"You chose: {literal(before.generation.episode.choice(record.choice).label)}")
    if generation.notices:
        st.info("  \n".join(literal(notice) for notice in generation.notices))
    st.html(script_html(episode))
    _choices(studio, season, bible, record)
    _downloads(record)
    if generation.scorecard is not None:
        st.subheader("Scorecard")
        st.html(scorecard_html(generation.scorecard))
    with st.expander("How it was written"):
        minutes, seconds = divmod(episode.seconds, 60)
        st.markdown(
            f"Written {TIER_WORDS[generation.tier]} by {literal(generation.writer)}, "
            f"seed {record.seed}. {episode.words} words, planned for {minutes} min {seconds} s."
        )
        if generation.kept is not None:
            st.caption(
                f"The same was asked for on {generation.kept.astimezone():%d %B %Y, %H:%M}; this is that answer."
            )
        st.html(attempts_html(generation.attempts))
        if generation.flags:
            reasons = "; ".join(f"{key} {why}" for key, why in generation.flag_reasons.items())
            st.caption(literal(f"Flags: {reasons}."))
        if generation.engines:
            st.html(engines_html(generation.engines, record.asked))
        else:
            st.caption("No engines took part.")


def _choices(studio: Studio, season: Season, bible: StoryBible, record: Record) -> None:
    episode = record.generation.episode
    wanted: str | None = None
    for choice in episode.choices:
        if st.button(literal(choice.label), key=f"choice_{record.id}_{choice.id}", width="stretch"):
            wanted = choice.id
        st.caption(literal(choice.consequence))
    wish = how(studio, key="next", seed=record.seed, minutes=record.minutes, number=episode.number + 1)
    if wanted is not None:
        written = _already(studio, season, record, wanted, wish)
        if written is not None:
            _go(season=season.id, episode=written.id)
        try:
            request = _request(bible, wish, record, wanted)
        except ValidationError as error:
            st.error(literal(str(error.errors()[0]["msg"]).removeprefix("Value error, ")))
        else:
            _begin(studio, season, request, wish, record.id)


def _already(studio: Studio, season: Season, parent: Record, choice: str, wish: Wish) -> Record | None:
    """The episode that this very wish led to before; it would come out the same."""
    writer = studio.writers_for(wish_policy(studio, wish))[wish.tier].name
    for record in studio.store.records(season.id):
        same = (record.seed, record.minutes, record.direction) == (wish.seed, wish.minutes, wish.direction)
        if (
            record.parent == parent.id
            and record.choice == choice
            and same
            and (record.generation.tier, record.generation.writer) == (wish.tier, writer)
        ):
            return record
    return None


def _downloads(record: Record) -> None:
    episode = record.generation.episode
    name = re.sub(r"[^a-z0-9]+", "-", episode.series.casefold()).strip("-")[:60] or "series"
    name = f"{name}-e{episode.number:02}"
    files = (
        ("Fountain", f"{name}.fountain", to_fountain(episode)),
        ("Final Draft", f"{name}.fdx", to_fdx(episode)),
        ("Plain text", f"{name}.txt", to_text(episode)),
        ("JSON", f"{name}.json", to_json(episode)),
    )
    for column, (label, file, text) in zip(st.columns(len(files)), files, strict=True):
        column.download_button(
            label, text, file, "text/plain; charset=utf-8", key=f"get_{label}", on_click="ignore",
            icon=":material/download:", width="stretch",
        )  # fmt: skip


page()
