"""Which pages there are, for whom, and which of them comes first."""

from __future__ import annotations

from typing import NamedTuple

import streamlit as st

from cinegen_core.access import Action, Role
from cinegen_core.acting import Acting
from pages.frame import acting, who_is_there


class _Entry(NamedTuple):
    path: str
    title: str
    icon: str
    action: Action
    first_for: Role | None = None


PAGES = (
    _Entry("pages/generate.py", "Generate", ":material/edit_note:", Action.READ, "writer"),
    _Entry("pages/compare.py", "Compare tiers", ":material/compare:", Action.COMPARE),
    _Entry("pages/explore.py", "Quality explorer", ":material/query_stats:", Action.EXPLORE, "analyst"),
    _Entry("pages/flags.py", "Flags and rollback", ":material/toggle_on:", Action.CHANGE_FLAGS),
    _Entry("pages/health.py", "Health", ":material/monitor_heart:", Action.ACKNOWLEDGE, "operator"),
)


def navigate() -> None:
    """Shows the visitor's pages; whoever may do nothing is told so by the first."""
    me = acting()
    mine = [entry for entry in PAGES if me.may(entry.action)] or list(PAGES[:1])
    first = _first(me, mine)
    pages = [
        st.Page(entry.path, title=entry.title, icon=entry.icon, default=entry is first) for entry in mine
    ]
    # Streamlit's own list of pages would be that of all files in the folder until the first page is there.
    shown = st.navigation(pages, position="hidden")
    with st.sidebar, st.container(gap="xxsmall"):
        for one in pages:
            st.page_link(one)
    who_is_there(me)
    shown.run()


def _first(me: Acting, mine: list[_Entry]) -> _Entry:
    """A writer's first page is Generate, an operator's Health."""
    for role in ("writer", "operator", "analyst"):
        for entry in mine:
            if entry.first_for == role and role in me.person.roles:
                return entry
    return mine[0]
