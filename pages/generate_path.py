"""Where one is in a season: the address, the way through the episodes, and the versions of each."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import streamlit as st

from cinegen_core.acting import Acting
from cinegen_core.store import Record
from cinegen_core.store.episodes import Summary


def go(**params: str | None) -> None:
    """Another place in the studio. The address says which, so that a reload or a second tab finds it."""
    _written(params)
    st.rerun()


def stay(**changes: str | None) -> None:
    """The same place, but for what is named; None takes it out of the address."""
    turn(**changes)
    st.rerun()


def turn(**changes: str | None) -> None:
    """As `stay`, for what a control does before the page is drawn anew."""
    _written({**st.query_params.to_dict(), **changes})


def _written(params: Mapping[str, str | None]) -> None:
    st.query_params.from_dict({name: value for name, value in params.items() if value})


def asked(name: str) -> str:
    """What the address says, or nothing."""
    return st.query_params.get(name, "")


def summaries(me: Acting, season: str) -> tuple[Summary, ...]:
    """A season's episodes, read again only where there are others than at the last look: what is kept does not change."""
    store = me.studio.store
    ids = store.record_ids(season)
    known: tuple[str, frozenset[str], tuple[Summary, ...]] | None = st.session_state.get("generate_summaries")
    if known is not None and known[:2] == (season, ids):
        return known[2]
    found = store.summaries(season)
    st.session_state["generate_summaries"] = (season, ids, found)
    return found


def record_of(me: Acting, season: str, id: str) -> Record | None:
    """One episode, read once for as long as it is looked at."""
    known: Record | None = st.session_state.get("generate_record")
    if known is not None and (known.season, known.id) == (season, id):
        return known
    found = me.studio.store.record(season, id)
    st.session_state["generate_record"] = found
    return found


def firsts(all_of: Sequence[Summary]) -> Mapping[str, str]:
    """For each version of an episode the id of its first, which all its versions share."""
    by_id = {one.id: one for one in all_of}
    found: dict[str, str] = {}
    for one in all_of:
        here, seen = one, {one.id}
        while here.revises in by_id and here.revises not in seen:
            here = by_id[here.revises]
            seen.add(here.id)
        found[one.id] = here.id
    return found


def versions_of(all_of: Sequence[Summary], id: str) -> tuple[Summary, ...]:
    """All versions of an episode, the first one first, then by time."""
    first = firsts(all_of)
    family = [one for one in all_of if first[one.id] == first.get(id)]
    return tuple(sorted(family, key=lambda one: (one.id != first[id], one.saved, one.id)))


def newest(all_of: Sequence[Summary], id: str) -> Summary | None:
    """The version that was made last."""
    return max(versions_of(all_of, id), key=lambda one: (one.saved, one.revises is not None), default=None)


def way(all_of: Sequence[Summary], current: str) -> tuple[Summary, ...]:
    """The episodes that lead to the current one, it, and those last written after it; of each but the current its newest version."""
    by_id = {one.id: one for one in all_of}
    first = firsts(all_of)
    here = by_id.get(current)
    if here is None:
        return tuple(one for one in all_of if one.revises is None)
    path, seen = [here], {first[here.id]}
    while path[0].parent in by_id and first[path[0].parent] not in seen:
        path.insert(0, by_id[path[0].parent])
        seen.add(first[path[0].id])
    path = [one if one.id == current else newest(all_of, one.id) or one for one in path]
    while True:
        family = first[path[-1].id]
        follow = [
            one for one in all_of if first.get(one.parent or "") == family and first[one.id] not in seen
        ]
        if not follow:
            return tuple(path)
        last = max(follow, key=lambda one: one.saved)
        seen.add(first[last.id])
        path.append(newest(all_of, last.id) or last)


def around(path: Sequence[Summary], current: str, most: int) -> Sequence[Summary]:
    """At most so many of a way, the current episode in their midst where there are others on both sides of it; the last ones without it."""
    place = next((place for place, one in enumerate(path) if one.id == current), len(path) - 1)
    begin = max(0, min(place - most // 2, len(path) - most))
    return path[begin : begin + most]


def after(all_of: Sequence[Summary], id: str) -> Mapping[str, Summary]:
    """By choice, what was last written after any version of an episode, in its newest version."""
    first = firsts(all_of)
    found: dict[str, Summary] = {}
    for one in sorted(all_of, key=lambda one: one.saved):
        if one.choice is not None and first.get(one.parent or "", "") == first.get(id):
            found[one.choice] = newest(all_of, one.id) or one
    return found
