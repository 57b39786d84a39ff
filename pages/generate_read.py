"""An episode to read: the script, the choice at its end, what one thinks of it, and files to take away."""

from __future__ import annotations

import re
from collections.abc import Callable

import streamlit as st
from pydantic import ValidationError

from cinegen_core.access import Action
from cinegen_core.acting import Acting
from cinegen_core.store import Record, Season, StoreError
from cinegen_core.store.episodes import Summary
from cinegen_core.story import Episode, EpisodeRequest, StoryBible
from cinegen_core.story.errors import StoryError
from cinegen_core.story.formats import to_fdx, to_fountain, to_json, to_text
from cinegen_core.studio import StudioBusyError
from pages.asking import Wish, how
from pages.frame import refused
from pages.generate_beside import beside
from pages.generate_path import after, asked, go, newest, summaries
from pages.script_view import differences_html, marks_of, script_html
from pages.shared import literal


def read(me: Acting, season: Season, bible: StoryBible, record: Record) -> None:
    """The script, and beside it (below it, where there is no room) what there is to know and to do about it."""
    generation = record.generation
    episode = generation.episode
    _once(f"shown_{record.id}", lambda: me.shown(record.id))
    st.subheader(f"Episode {episode.number}: {literal(episode.title)}")
    _about(me, season, record)
    if generation.notices:
        st.info("  \n".join(literal(notice) for notice in generation.notices))
    st.html(
        '<div class="to-side"><a href="#beside-script">To its score, and what can be done to it</a></div>'
    )
    with st.container(key="room", horizontal=True):
        with st.container(key="sheet"):
            _script(me, season, record)
            if me.may(Action.WRITE):
                _choices(me, season, bible, record)
            _rating(me, record)
            _downloads(me, record)
        with st.container(key="side"):
            st.html('<div id="beside-script"></div>')
            beside(me, season, record)


def request_for(
    bible: StoryBible, wish: Wish, parent: Record | None = None, choice: str | None = None
) -> EpisodeRequest:
    """Raises `ValidationError` where the season's memory does not go with the bible."""
    return EpisodeRequest.model_validate(
        {
            "bible": bible,
            "number": parent.number + 1 if parent else wish.number,
            "state": parent.generation.episode.state if parent else None,
            "choice": choice,
            "direction": wish.direction,
            "seed": wish.seed,
            "minutes": wish.minutes,
        }
    )


def begin(
    me: Acting, season: Callable[[], Season], request: EpisodeRequest, wish: Wish, parent: str | None = None
) -> None:
    """Has an episode written, in a season that is opened only now, and goes to where it can be watched."""
    if len(me.studio.jobs(here=True)) >= me.studio.settings.jobs:
        refused(
            StudioBusyError(
                f"{me.studio.settings.jobs} episodes are being written at the moment. Wait for one, or stop one."
            )
        )
        return
    there = season()
    try:
        job = me.start(request, season=there.id, parent=parent, policy=wish.policy(me), fresh=wish.fresh)
    except StudioBusyError as error:
        refused(error)
        return
    go(season=there.id, episode=parent, job=job)


def _about(me: Acting, season: Season, record: Record) -> None:
    before = me.studio.store.record(season.id, record.parent or "")
    told = []
    if before is not None and record.choice is not None:
        told.append(f"You chose: {before.generation.episode.choice(record.choice).label}")
    latest = newest(summaries(me, season.id), record.id)
    if latest is not None and latest.id != record.id:
        told.append("This is an earlier version; the newest is among its versions.")
    elif record.revision:
        told.append(f"Changed: {record.revision}.")
    if told:
        st.caption(literal("  ".join(told)))


def _script(me: Acting, season: Season, record: Record) -> None:
    """The script as it is, or marked up beside another version of it."""
    against = asked("against")
    other = me.studio.store.record(season.id, against) if against and against != record.id else None
    if other is not None and other.number == record.number:
        from cinegen_core.story.differences import diff

        st.caption("What went is struck out, what came is underlined.")
        st.html(differences_html(diff(other.generation.episode, record.generation.episode)))
        return
    card = record.generation.scorecard
    marked = card is not None and st.checkbox(
        "Marks in the margin", value=True, key="margin",
        help="+ beside a line that earned points, − beside one that cost some. The scorecard says which.",
    )  # fmt: skip
    marks = marks_of(card) if marked else None
    st.html(script_html(record.generation.episode, marks=marks, marked=asked("line")))


def _choices(me: Acting, season: Season, bible: StoryBible, record: Record) -> None:
    episode = record.generation.episode
    written = after(summaries(me, season.id), record.id)
    wanted: str | None = None
    for choice in episode.choices:
        if st.button(literal(choice.label), key=f"choice_{record.id}_{choice.id}", width="stretch"):
            wanted = choice.id
        there = written.get(choice.id)
        led = f" It led to episode {there.number}, {there.title}." if there is not None else ""
        st.caption(literal(choice.consequence + led))
    wish = how(me, key="next", seed=record.seed, minutes=record.minutes, number=episode.number + 1)
    if wanted is None:
        return
    _once(f"chose_{record.id}", lambda: me.chose(record.id))
    known = _already(me, season, record, wanted, wish)
    if known is not None and not wish.fresh:
        go(season=season.id, episode=known.id)
    try:
        request = request_for(bible, wish, record, wanted)
    except ValidationError as error:
        st.error(literal(str(error.errors()[0]["msg"]).removeprefix("Value error, ")))
    else:
        begin(me, lambda: season, request, wish, record.id)


def _already(me: Acting, season: Season, parent: Record, choice: str, wish: Wish) -> Summary | None:
    """The newest version of the episode that this very wish led to before."""
    policy = wish.policy(me)
    first = policy.tiers[0]
    writer = next(w.name for tier, w in me.studio.writers_for(policy).items() if tier == first)
    every = summaries(me, season.id)
    wished = (wish.seed, wish.minutes, wish.direction, first, writer)
    for one in every:
        same = (one.seed, one.minutes, one.direction, one.tier, one.writer) == wished
        if one.parent == parent.id and one.choice == choice and same:
            return newest(every, one.id)
    return None


def _rating(me: Acting, record: Record) -> None:
    if not me.may(Action.RATE) or me.studio.monitoring is None:
        return
    said = f"rated_{record.id}"
    with (
        st.expander("What do you think of it?", key=f"rating_{record.id}"),
        st.form(f"rate_{record.id}", border=False),
    ):
        rating = st.segmented_control(
            "From 1, poor, to 10, as good as it gets", list(range(1, 11)), key=f"rate_value_{record.id}"
        )
        why = st.text_input("In a word, why", max_chars=500, key=f"rate_why_{record.id}")
        if st.form_submit_button("Rate it"):
            if rating is None:
                st.warning("Choose a number from 1 to 10 first.")
            else:
                try:
                    me.rate(record.id, rating, why.strip())
                except StoreError as error:
                    refused(error)
                else:
                    st.session_state[said] = rating
    if said in st.session_state:
        st.caption(f"Recorded: {st.session_state[said]} of 10. Your last rating of an episode counts.")


def _downloads(me: Acting, record: Record) -> None:
    if not me.may(Action.EXPORT_EPISODES):
        return
    episode = record.generation.episode
    name = re.sub(r"[^a-z0-9]+", "-", episode.series.casefold()).strip("-")[:60] or "series"
    name = f"{name}-e{episode.number:02}"
    why_not = _no_pdf(record.id, episode)
    # Each is made when somebody takes it away.
    files: list[tuple[str, str, Callable[[], str | bytes], str]] = [
        ("Fountain", f"{name}.fountain", lambda: to_fountain(episode), "text/plain; charset=utf-8"),
        ("Final Draft", f"{name}.fdx", lambda: to_fdx(episode), "application/xml"),
        ("Plain text", f"{name}.txt", lambda: to_text(episode), "text/plain; charset=utf-8"),
        ("JSON", f"{name}.json", lambda: to_json(episode), "application/json"),
    ]
    if not why_not:
        files.insert(2, ("PDF", f"{name}.pdf", lambda: _pdf(episode), "application/pdf"))
    with st.container(horizontal=True, gap="small", key="take_away"):
        for label, file, text, mime in files:
            st.download_button(
                label, text, file, mime, key=f"get_{label}_{record.id}", on_click=_exported, args=(me, record.id),
                icon=":material/download:",
            )  # fmt: skip
    if why_not:
        st.caption(literal(f"No PDF: {why_not}"))


def _exported(me: Acting, id: str) -> None:
    _once(f"exported_{id}", lambda: me.exported(id))


def _no_pdf(id: str, episode: Episode) -> str:
    """Why there is no PDF of it, nothing where there is one; looked at once for as long as the episode is."""
    known: tuple[str, str] | None = st.session_state.get("generate_no_pdf")
    if known is not None and known[0] == id:
        return known[1]
    # It brings a typesetter along, which nobody who reads nothing has to wait for.
    from cinegen_core.story.formats.pdf import check_letters

    why = ""
    try:
        check_letters(episode)
    except StoryError as error:
        why = " ".join(f"{problem.what}. {problem.fix}" for problem in error.problems)
    st.session_state["generate_no_pdf"] = (id, why)
    return why


def _pdf(episode: Episode) -> bytes:
    from cinegen_core.story.formats.pdf import to_pdf

    return to_pdf(episode)


def _once(key: str, record: Callable[[], None]) -> None:
    """Records something unless this visit has; that it cannot be recorded keeps nobody from reading."""
    done: set[str] = st.session_state.setdefault("generate_recorded", set())
    if key in done:
        return
    try:
        record()
    except StoreError as error:
        st.warning(literal(f"This could not be recorded: {error}"))
    else:
        done.add(key)
