"""What the server remembers for the Generate page beyond one visit: bibles that are being filled in."""

from __future__ import annotations

import threading
from collections import OrderedDict

import streamlit as st

from cinegen_core.acting import Acting
from cinegen_core.drafting import BibleDraft

MOST = 300
"""The one that was left alone for longest goes first."""


class Room:
    """Used from the threads of several visitors at once."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._drafts: OrderedDict[tuple[str, str], BibleDraft] = OrderedDict()

    def draft(self, me: Acting, key: str) -> BibleDraft | None:
        """What this person has typed under this key; nobody else sees it."""
        with self._lock:
            return self._drafts.get((me.person.id, key))

    def keep_draft(self, me: Acting, key: str, draft: BibleDraft) -> None:
        with self._lock:
            self._drafts[me.person.id, key] = draft
            self._drafts.move_to_end((me.person.id, key))
            while len(self._drafts) > MOST:
                self._drafts.popitem(last=False)

    def drop_draft(self, me: Acting, key: str) -> None:
        with self._lock:
            self._drafts.pop((me.person.id, key), None)


@st.cache_resource(show_spinner=False)
def the_room() -> Room:
    """One for all visitors of this server: a reload and a second tab find what was typed in the first."""
    return Room()
