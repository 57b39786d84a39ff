"""What the page that explores quality keeps between two clicks, for all visitors of a server."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable, Hashable
from typing import TypeVar, cast

import pandas as pd
import streamlit as st

from cinegen_core.analysis.answers import FLAG, Names, Tables
from cinegen_core.analysis.filters import Filters
from cinegen_core.monitor.events import Series
from cinegen_core.store import Record
from cinegen_core.studio import Studio

VIEWS_KEPT = 128
"""Views, each of a few hundred rows at most."""

FRAMES_KEPT = 8
"""Choices of answers: each is as large as what was chosen."""

T = TypeVar("T")


class _Kept:
    """The last values by name; those that nobody asked for the longest go first, and None is not kept. From any thread."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._lock = threading.Lock()
        self._values: OrderedDict[Hashable, object] = OrderedDict()

    def of(self, name: Hashable, make: Callable[[], T]) -> T:
        with self._lock:
            if name in self._values:
                self._values.move_to_end(name)
                return cast("T", self._values[name])
        made = make()
        if made is None:
            return made
        with self._lock:
            self._values[name] = made
            while len(self._values) > self._most:
                self._values.popitem(last=False)
        return made


class Held:
    """Of one studio: its answers as analysts choose them, the views of these, and where episodes are kept."""

    def __init__(self, studio: Studio) -> None:
        self._studio = studio
        self._frames, self._views, self._found = _Kept(FRAMES_KEPT), _Kept(VIEWS_KEPT), _Kept(FRAMES_KEPT)

    def tables(self, series: Series) -> Tables:
        """As of now. Raises `StoreError`."""
        return self._studio.book(series).tables()

    def shown(self, tables: Tables, filters: Filters) -> pd.DataFrame:
        """The answers that hold. Whoever gets them leaves them as they are."""
        return self._frames.of(_state(tables, filters), lambda: filters.apply(tables.answers, tables.engines))

    def view(self, name: Hashable, tables: Tables, filters: Filters, make: Callable[[pd.DataFrame], T]) -> T:
        """What `make` makes of the answers that hold, made anew only where an answer has come or the filters are others."""
        return self._views.of((name, _state(tables, filters)), lambda: make(self.shown(tables, filters)))

    def names(self, tables: Tables, series: Series) -> Names:
        """What the answers of a series can be filtered by."""
        return self._views.of(("names", _state(tables, Filters(series=series))), lambda: _names(tables))

    def record(self, id: str) -> Record | None:
        """The episode of an answer, if this studio's store has it. Raises `StoreError`."""
        return self._found.of(id, lambda: self._search(id))

    def _search(self, id: str) -> Record | None:
        store = self._studio.store
        season = store.season_of(id)
        return store.record(season, id) if season is not None else None


@st.cache_resource(hash_funcs={Studio: id}, max_entries=2, show_spinner=False)
def held_for(studio: Studio) -> Held:
    """One for all visitors of this server."""
    return Held(studio)


def _state(tables: Tables, filters: Filters) -> Hashable:
    """Changes with what is recorded and what is let go of, and with the filters."""
    return tables.last, len(tables.answers), filters.series, tuple(sorted(filters.to_query().items()))


def _names(tables: Tables) -> Names:
    answers = tables.answers
    return Names(
        titles=_each(answers["title"]),
        genres=_each(answers["genres"].explode().dropna()),
        writers=_each(answers["writer"]),
        engines=_each(tables.engines["engine"]),
        flags=tuple(sorted(name.removeprefix(FLAG) for name in answers.columns if name.startswith(FLAG))),
    )


def _each(values: pd.Series) -> tuple[str, ...]:
    return tuple(sorted(str(one) for one in values.unique() if one))
