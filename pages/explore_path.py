"""Where one is on the page that explores quality: everything that is looked at is in the address."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TypeVar

import streamlit as st

from cinegen_core.analysis.filters import Filters, FromQuery

OWN = ("view", "measure", "by", "order", "answer", "scored", "beside", "what", "ending")
"""Parts of the address that are the page's; all others are filters."""

_STREAMLITS = ("embed", "embed_options")

T = TypeVar("T")


def filters_in_address() -> FromQuery:
    """What is filtered, and what of the address could not be read."""
    return Filters.from_query(st.query_params.to_dict(), also_known=(*OWN, *_STREAMLITS))


def asked(name: str) -> str:
    """What the address says, or nothing."""
    return st.query_params.get(name, "")


def own() -> dict[str, str]:
    """The page's parts of the address."""
    return {name: asked(name) for name in OWN if asked(name)}


def go(filters: Filters, **changes: str | None) -> None:
    """The same place with these filters, but for what is named; None takes it out of the address."""
    put(filters, **changes)
    st.rerun()


def put(filters: Filters, **changes: str | None) -> None:
    """As `go`, for callbacks, after which the page is drawn anew anyway."""
    parts = {**own(), **changes}
    st.query_params.from_dict(
        {**filters.to_query(), **{name: part for name, part in parts.items() if part is not None}}
    )


def chosen(
    label: str, name: str, options: Sequence[T], *, words: Callable[[T], str] = str, hidden: bool = False
) -> T:
    """One of a few, by the address; the first where it names none of them. The address follows what is chosen."""
    key = f"explore_{name}"
    st.session_state[key] = next((one for one in options if str(one) == asked(name)), options[0])
    found: T | None = st.segmented_control(
        label, options, required=True, key=key, format_func=words, wrap=True,
        label_visibility="collapsed" if hidden else "visible", on_change=_follow, args=(name, key, options[0]),
    )  # fmt: skip
    return options[0] if found is None else found


def picked(label: str, name: str, options: Sequence[T], *, words: Callable[[T], str] = str) -> T:
    """As `chosen`, for more of them than stand in a row."""
    key = f"explore_{name}"
    st.session_state[key] = next((one for one in options if str(one) == asked(name)), options[0])
    found = st.selectbox(
        label, options, key=key, format_func=words, on_change=_follow, args=(name, key, options[0])
    )
    return options[0] if found is None else found


def _follow(name: str, key: str, first: object) -> None:
    value = st.session_state[key]
    if value is None or value == first:
        st.query_params.pop(name, None)
    else:
        st.query_params[name] = str(value)
