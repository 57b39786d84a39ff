"""The journal of the flags: who changed what, when and why; filtered, the newest first, to take away."""

from __future__ import annotations

import json
from collections.abc import Sequence

import streamlit as st

from cinegen_core.flags import JournalError
from cinegen_core.flags.model import Change
from cinegen_core.flags.overviews import change_words
from cinegen_core.steering import Steering
from cinegen_core.store import StoreError
from pages.flags_sheets import Entry, entries_html
from pages.frame import moment, refused

SHOWN = 50
"""Changes on one page of the journal."""


def journal(steering: Steering) -> None:
    try:
        made = steering.changes(0)
    except (JournalError, StoreError) as error:
        refused(error)
        return
    if not made:
        st.info(
            "Nothing has been changed: the flags are as their file declares them. A change that you make here, a rollout that moves"
            " and a trigger that rolls back each leave a line in this journal."
        )
        return
    found = _chosen(made)
    st.caption(f"{len(found):,} of {len(made):,} changes, the newest first.")
    shown = SHOWN
    if len(found) > SHOWN:
        pages = (len(found) + SHOWN - 1) // SHOWN
        at = int(st.number_input("Page of the journal", 1, pages, 1, key="page_of_journal", bind="query-params"))  # fmt: skip
        found_here = found[(at - 1) * shown : at * shown]
    else:
        found_here = found
    st.html(entries_html([entry(change) for change in found_here], "Changes, the newest first"))
    if not found:
        st.info("No change matches. Clear a filter to see more.")
    st.download_button(
        "Download what is chosen as JSON", lambda: as_json(found), "flags-journal.json", "application/json",
        key="get_journal", on_click="ignore", icon=":material/download:",
    )  # fmt: skip


def _chosen(made: Sequence[Change]) -> list[Change]:
    subjects = sorted({_subject(change) for change in made})
    people = sorted({change.who for change in made})
    left, middle, right = st.columns(3)
    subject = left.selectbox(
        "About", ["", *subjects], key="about", format_func=lambda name: name or "everything", bind="query-params"
    )  # fmt: skip
    who = middle.selectbox(
        "By", ["", *people], key="by", format_func=lambda name: name or "anybody", bind="query-params"
    )
    text = right.text_input("With these words", key="words", max_chars=100, bind="query-params")
    wanted = text.casefold().strip()
    return [
        change
        for change in reversed(made)
        if (not subject or _subject(change) == subject)
        and (not who or change.who == who)
        and (not wanted or wanted in f"{change.why} {change_words(change)}".casefold())
    ]


def _subject(change: Change) -> str:
    return change.subject.partition(":")[2] or change.subject


def entry(change: Change) -> Entry:
    return Entry(
        f"{change.version}. {change_words(change)}", moment(change.at), (f"{change.who}: {change.why}",)
    )


def as_json(changes: Sequence[Change]) -> str:
    """The changes as they are kept, in the journal's order."""
    kept = sorted(changes, key=lambda change: change.version)
    return json.dumps([change.model_dump(mode="json") for change in kept], ensure_ascii=False, indent=2)
