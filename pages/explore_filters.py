"""Which answers are looked at: a form whose values are in the address."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from math import ceil, floor
from typing import Any
from urllib.parse import urlencode

import streamlit as st
from pydantic import ValidationError

from cinegen_core.analysis.answers import Names
from cinegen_core.analysis.explore import TIERS
from cinegen_core.analysis.filters import Filters, Span
from cinegen_core.scorer import DIMENSION_WORDS
from cinegen_core.telling import TIER_WORDS
from pages.explore_path import go
from pages.frame import fold, moment
from pages.shared import literal

_EARLIEST, _LATEST = datetime(1970, 1, 1), datetime(2200, 1, 1)  # noqa: DTZ001 (the control knows no zones; its label says UTC)
_MOST_EPISODES = 100_000
_SPANS = {"quality": "Quality", "score": "Score", "number": "Episode"}
_NAMES = {
    "titles": "Series",
    "genres": "Genres",
    "tiers": "Tiers",
    "writers": "Writers",
    "engines": "Engines active",
}
_FILLED = "explore_filled"


def ask(filters: Filters, names: Names) -> None:
    """The form. What is applied goes into the address; what cannot be is said, and what was typed stays."""
    told = in_words(filters)
    label = f"Filters ({len(told)} in force)" if told else "Filters (none in force)"
    fold(label, lambda: _form(filters, names), key="explore_filters")
    if told:
        with st.container(horizontal=True, vertical_alignment="center"):
            st.caption(literal("; ".join(told) + "."))
            if st.button("Clear filters", key="clear_filters", type="tertiary"):
                go(Filters(series=filters.series), answer=None)


def in_words(filters: Filters) -> tuple[str, ...]:
    """Each filter that is in force, the series apart."""
    told = []
    if filters.since is not None:
        told.append(f"from {moment(filters.since)}")
    if filters.until is not None:
        told.append(f"before {moment(filters.until)}")
    for name, label in _NAMES.items():
        chosen = [TIER_WORDS.get(one, one) for one in getattr(filters, name)]
        if chosen:
            told.append(f"{label.lower()}: {' or '.join(chosen)}")
    told += [_cohort_words(one) for one in filters.cohorts]
    spans = {_SPANS[name]: getattr(filters, name) for name in _SPANS}
    spans |= {DIMENSION_WORDS[name]: span for name, span in filters.dimensions}
    told += [f"{label.lower()} {_span_words(span)}" for label, span in spans.items() if not span.is_open]
    if not filters.counted:
        told.append("with what is in no figure")
    return tuple(told)


def _span_words(span: Span) -> str:
    if span.low is None:
        return f"up to {span.high:g}"
    return f"from {span.low:g}" if span.high is None else f"from {span.low:g} to {span.high:g}"


def _cohort_words(cohort: str) -> str:
    flag, _, value = cohort.rpartition(":")
    return f"{flag} {value}"


def _form(filters: Filters, names: Names) -> None:
    given = _given(filters)
    query = urlencode({"series": filters.series, **filters.to_query()})
    if st.session_state.get(_FILLED) != query or any(_key(name) not in st.session_state for name in given):
        for name, value in given.items():
            st.session_state[_key(name)] = value
        st.session_state[_FILLED] = query
    with st.form("explore_form", border=False):
        _when_and_what(filters, names)
        st.caption(
            "Quality is on the guide's scale, score and dimensions on the scorer's; all 0 to 10. Empty: no limit."
        )
        for name, label in _SPANS.items():
            _span(name, label, whole=name == "number")
        with st.expander("By dimension"):
            for dimension, label in DIMENSION_WORDS.items():
                _span(dimension, label)
        st.checkbox(
            "Leave out what is in no figure, such as answers from the cache, those of emergencies and those of comparisons",
            key=_key("counted"),
        )
        applied = st.form_submit_button("Apply filters", type="primary")
    if applied:
        _apply(filters, given)


def _when_and_what(filters: Filters, names: Names) -> None:
    since, until = st.columns(2)
    for column, name, label in ((since, "since", "From (UTC)"), (until, "until", "Before (UTC)")):
        column.datetime_input(
            label, None, min_value=_EARLIEST, max_value=_LATEST, key=_key(name), format="YYYY-MM-DD"
        )
    offered: Mapping[str, tuple[str, ...]] = {
        "titles": names.titles,
        "genres": names.genres,
        "tiers": TIERS,
        "writers": names.writers,
        "engines": names.engines,
        "cohorts": tuple(f"{flag}:{value}" for flag in names.flags for value in ("on", "off")),
    }
    columns = st.columns(2)
    for place, (name, options) in enumerate(offered.items()):
        there = (*options, *(one for one in getattr(filters, name) if one not in options))
        columns[place % 2].multiselect(
            _NAMES.get(name, "Flag cohorts"), there, key=_key(name), format_func=_option, placeholder="all"
        )


def _option(name: str) -> str:
    words = next((words for tier, words in TIER_WORDS.items() if tier == name), "")
    return words or (_cohort_words(name) if name.endswith((":on", ":off")) else name)


def _span(name: str, label: str, *, whole: bool = False) -> None:
    columns = st.columns(2)
    for column, end, word in ((columns[0], "low", "from"), (columns[1], "high", "to")):
        column.number_input(
            f"{label}, {word}",
            value=None,
            step=1 if whole else 0.25,
            key=_key(f"{name}.{end}"),
            placeholder="no limit",
        )


def _key(name: str) -> str:
    return f"explore_filter_{name}"


def _given(filters: Filters) -> dict[str, Any]:
    """The values of the form's controls. They know neither zones nor seconds, and no episode 1.5."""
    found: dict[str, Any] = {name: [*getattr(filters, name)] for name in (*_NAMES, "cohorts")}
    for name in ("since", "until"):
        at = getattr(filters, name)
        known = None if at is None else at.astimezone(UTC).replace(tzinfo=None, second=0, microsecond=0)
        found[name] = None if known is None else min(max(known, _EARLIEST), _LATEST)
    spans: dict[str, Span] = {
        str(name): dict(filters.dimensions).get(name, Span()) for name in DIMENSION_WORDS
    }
    for name, span in ({"quality": filters.quality, "score": filters.score} | spans).items():
        found[f"{name}.low"], found[f"{name}.high"] = span.low, span.high
    low, high = filters.number.low, filters.number.high
    found["number.low"] = None if low is None else _episode(ceil(low))
    found["number.high"] = None if high is None else _episode(floor(high))
    found["counted"] = filters.counted
    return found


def _episode(number: int) -> int:
    return min(max(number, 0), _MOST_EPISODES)


def _apply(filters: Filters, given: Mapping[str, Any]) -> None:
    """What was not touched stays as the address has it, also where a control cannot show it in full."""
    now = {name: st.session_state[_key(name)] for name in given}
    touched = {name for name in given if now[name] != given[name]}
    changes: dict[str, Any] = {name: tuple(now[name]) for name in (*_NAMES, "cohorts") if name in touched}
    for name in {"since", "until"} & touched:
        changes[name] = None if now[name] is None else now[name].replace(tzinfo=UTC)
    spans: dict[str, Span | dict[str, float | None]] = {}
    for name in (*_SPANS, *DIMENSION_WORDS):
        if {f"{name}.low", f"{name}.high"} & touched:
            spans[name] = {end: now[f"{name}.{end}"] for end in ("low", "high")}
    changes |= {name: spans[name] for name in _SPANS if name in spans}
    dimensions: dict[str, object] = {str(name): span for name, span in filters.dimensions}
    dimensions |= {name: span for name, span in spans.items() if name not in _SPANS}
    changes["counted"] = now["counted"]
    try:
        made = Filters.model_validate({**dict(filters), **changes, "dimensions": tuple(dimensions.items())})
    except ValidationError as error:
        st.error(literal(f"The filters are as they were. {_why(error, now)}"))
        return
    go(made, answer=None)


def _why(error: ValidationError, now: Mapping[str, Any]) -> str:
    wrong = [
        label
        for name, label in (*_SPANS.items(), *DIMENSION_WORDS.items())
        if None not in (now[f"{name}.low"], now[f"{name}.high"]) and now[f"{name}.low"] > now[f"{name}.high"]
    ]
    if wrong:
        return (
            f"{' and '.join(wrong)}: the lower limit is above the upper one. Turn them round, or empty one."
        )
    reasons = "; ".join(str(one["msg"]).removeprefix("Value error, ") for one in error.errors())
    return f"They cannot be used: {reasons}. Change that, and apply them again."
