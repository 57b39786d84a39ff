"""What is asked for in a comparison: one request, and the ways in which it is to be written."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import product

import streamlit as st
from pydantic import ValidationError

from cinegen_core.acting import Acting
from cinegen_core.comparing import Way, WayError, on_and_off, ways_from
from cinegen_core.comparing.ways import AS_FLAGS_DECIDE
from cinegen_core.steering import GENERATION_FLAGS
from cinegen_core.story import EpisodeRequest
from cinegen_core.studio import Studio
from cinegen_core.telling import TIER_WORDS
from cinegen_core.tiers.model import TierName
from pages.asking import choose_bible
from pages.shared import literal

SEASONS_OFFERED = 50
EPISODES_OFFERED = 300
"""The last of a season; a list of more is none that anybody looks through."""

SEEDS = 4
"""Seeds of one comparison at most."""

_TIERS: tuple[TierName | None, ...] = (*TIER_WORDS, None)
_FROM_BIBLE, _FROM_SEASON = "A series, from its bible", "A season of this studio"


def ask_what(me: Acting) -> EpisodeRequest | None:
    """The request; None while something is missing or not right, which is then said."""
    st.subheader("What is written")
    source = st.radio(
        "Written for", (_FROM_BIBLE, _FROM_SEASON), key="compare_source", horizontal=True, persist_state="session"
    )  # fmt: skip
    given = _season(me.studio) if source == _FROM_SEASON else _series(me)
    left, right = st.columns(2)
    seed = left.number_input(
        "Seed", min_value=0, max_value=2**53 - 1, value=1, step=1, key="compare_seed", persist_state="session",
        help="The same seed and the same way give the same episode.",
    )  # fmt: skip
    minutes = right.slider("Minutes", 2.0, 10.0, 5.0, 0.5, key="compare_minutes", persist_state="session")
    direction = st.text_area(
        "A note to the writers", max_chars=2000, height=80, key="compare_direction", persist_state="session",
        placeholder="Slower. And let Pip be the one who finds it.",
    )  # fmt: skip
    if given is None:
        return None
    try:
        return EpisodeRequest.model_validate(
            {**given, "seed": int(seed), "minutes": float(minutes), "direction": direction.strip()}
        )
    except ValidationError as error:
        st.error(literal(str(error.errors()[0]["msg"]).removeprefix("Value error, ")))
        return None


def _series(me: Acting) -> Mapping[str, object] | None:
    chosen = choose_bible(me)
    number = st.number_input(
        "Episode number", min_value=1, max_value=999, value=1, step=1, key="compare_number", persist_state="session",
        help="Without an episode before it, it is written as if nothing had happened yet.",
    )  # fmt: skip
    return None if chosen is None else {"bible": chosen.bible, "number": int(number)}


def _season(studio: Studio) -> Mapping[str, object] | None:
    seasons = studio.store.seasons()[:SEASONS_OFFERED]
    if not seasons:
        st.info("There is no season yet. Begin one on the page Generate, or take a series from its bible.")
        return None
    by_id = {season.id: season for season in seasons}
    season = st.selectbox(
        "Season", list(by_id), key="compare_season", persist_state="session",
        format_func=lambda id: f"{by_id[id].title}, begun {by_id[id].started:%d %b %Y, %H:%M} UTC",
    )  # fmt: skip
    bible = studio.store.bible(season)
    if bible is None:
        st.error("The bible of this season is gone. Pick another season.")
        return None
    written = {one.id: one for one in studio.store.summaries(season)[-EPISODES_OFFERED:]}
    before = st.selectbox(
        "Written", ["", *written], key=f"compare_after_{season}", persist_state="session",
        format_func=lambda id: f"after episode {written[id].number}, {written[id].title}" if id else "as episode 1",
    )  # fmt: skip
    if not before:
        return {"bible": bible}
    record = studio.store.record(season, before)
    if record is None:
        st.error("This episode is gone. Pick another.")
        return None
    episode = record.generation.episode
    offered = {choice.id: choice for choice in episode.choices}
    choice = st.radio(
        "The choice that it follows from", list(offered), key=f"compare_choice_{before}", persist_state="session",
        format_func=lambda id: literal(offered[id].label),
        captions=[literal(one.consequence) for one in offered.values()],
    )  # fmt: skip
    return {"bible": bible, "number": episode.number + 1, "state": episode.state, "choice": choice}


def ask_ways(studio: Studio, seed: int) -> tuple[Way, ...]:
    """The ways, each told by its name; none while there are too few or too many, which is then said."""
    st.subheader("The ways")
    tiers = st.multiselect(
        "Tiers", _TIERS, default=list(TIER_WORDS), key="compare_tiers", persist_state="session",
        format_func=lambda tier: (AS_FLAGS_DECIDE if tier is None else TIER_WORDS[tier]).capitalize(),
    )  # fmt: skip
    writers = _writers(studio)
    left, right = st.columns(2)
    flags = left.multiselect(
        "Flags, each on and off", GENERATION_FLAGS, key="compare_flags", persist_state="session",
        placeholder="None: as they are",
    )  # fmt: skip
    engines = right.multiselect(
        "Engines, with and without", sorted(engine.name for engine in studio.engines), key="compare_engines",
        placeholder="None: all take part", persist_state="session",
    )  # fmt: skip
    without = _left_out(engines)
    seeds = st.number_input(
        "Seeds", min_value=1, max_value=SEEDS, value=1, step=1, key="compare_seeds", persist_state="session",
        help="How many seeds each way is written with, counted up from the seed above.",
    )  # fmt: skip
    try:
        ways = ways_from(
            tiers=tiers or (None,),
            writers=writers,
            flags=settings_of(flags),
            without=without,
            seeds=(None,) if seeds == 1 else [seed + more for more in range(int(seeds))],
            words=studio.writer_words,
            engines=[engine.name for engine in studio.engines],
        )
    except WayError as error:
        st.info(literal(str(error)))
        return ()
    st.markdown(f"**These are {len(ways)} ways:**")
    st.markdown(
        "\n".join(
            f"{number}. {literal(way.label[:1].upper() + way.label[1:])}"
            for number, way in enumerate(ways, start=1)
        )
    )
    return ways


def _writers(studio: Studio) -> Sequence[str]:
    names = studio.writer_names
    if len(names) == 1:
        return ("",)
    chosen = st.multiselect(
        "Writers", names, default=names[:1], key="compare_writers", persist_state="session",
        format_func=studio.writer_words,
    )  # fmt: skip
    return chosen if chosen and chosen != [names[0]] else ("",)


def settings_of(flags: Sequence[str]) -> list[dict[str, bool]]:
    """Every setting of these flags, on first; one that leaves all as they are where there is none."""
    return [
        {key: value for setting in settings for key, value in setting.items()}
        for settings in product(*(on_and_off(flag) for flag in flags))
    ]


def _left_out(engines: Sequence[str]) -> Sequence[tuple[str, ...]]:
    """What is left out, in turn: nothing, then these."""
    if not engines:
        return ((),)
    together = len(engines) > 1 and st.radio(
        "These engines are left out", ("one at a time", "all together"), horizontal=True, key="compare_together",
        persist_state="session",
    ) == "all together"  # fmt: skip
    return ((), tuple(engines)) if together else ((), *((name,) for name in engines))
