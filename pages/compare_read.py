"""A comparison with its labels: what each way came to, in figures, in words, and side by side as pages of a script."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Iterator

import streamlit as st

from cinegen_core.access import Action
from cinegen_core.acting import Acting
from cinegen_core.comparing import Comparison, Overlay, aligned, overlay
from cinegen_core.story import Episode
from pages.compare_charts import scores_chart
from pages.compare_held import Held
from pages.compare_sheet import apart_html, sheet_html, sheets_html
from pages.frame import NO_DATA, moment, number, span, table
from pages.script_view import attempts_html
from pages.shared import literal

BESIDE = 3
"""Pages side by side at most; more cannot be read."""

TOLD = 0.3
"""A dimension is named among the differences from so many points on; below, the scorer's steps could make it."""


def show_open(me: Acting, held: Held, comparison: Comparison) -> None:
    """With its labels; whoever sees this knows which is which."""
    held.see(comparison, me.person)
    _without_an_episode(comparison)
    if not any(comparison.generations):
        st.info("No way came to an episode, so there is nothing to compare. The reasons are above.")
        return
    found = overlay(comparison.generations)
    st.subheader("What each way came to")
    _figures(comparison, found)
    _dimensions(comparison, found)
    st.subheader("Side by side")
    _side_by_side(comparison)
    _how(comparison)
    _downloads(me, comparison, found)


def name(comparison: Comparison, place: int) -> str:
    """A way by its number, from 1, and its label."""
    label = comparison.ways[place].label
    return f"{place + 1}. {label[:1].upper()}{label[1:]}"


def _without_an_episode(comparison: Comparison) -> None:
    for place, answer in enumerate(comparison.answers):
        if answer.generation is None and answer.why:
            st.warning(literal(f"{name(comparison, place)}: {answer.why}"))


def _figures(comparison: Comparison, found: Overlay) -> None:
    rows = [
        {
            "Way": name(comparison, place),
            "Overall, 0 to 10": number(found.overall[place]),
            "Time": span(found.seconds[place]),
            "Model calls": number(found.calls[place], digits=0),
            "Tokens": number(found.tokens[place], digits=0),
            "Cost": _dollars(found.cost[place]),
        }
        for place in range(len(comparison.ways))
    ]
    table(rows)
    st.caption("Time, calls, tokens and cost are those of the writing, with every attempt at it.")
    said = differences(comparison, found)
    if said:
        st.markdown("\n".join(f"- {literal(line)}" for line in said))
    st.caption(
        "This is one request. What holds for these episodes need not hold for the next; compare several, and vote."
    )


def _dollars(cost: float | None) -> str:
    return NO_DATA if cost is None else f"${cost:,.4f}" if cost else "$0"


def differences(comparison: Comparison, found: Overlay) -> tuple[str, ...]:
    """Each way against the first, in a sentence; nothing where the first came to nothing."""
    if comparison.generations[0] is None:
        return ()
    return tuple(
        f"{name(comparison, place)}: {'; '.join(_against_the_first(found, place))}."
        for place in range(1, len(comparison.ways))
        if comparison.generations[place] is not None
    )


def _against_the_first(found: Overlay, place: int) -> Iterator[str]:
    first, other = found.overall[0], found.overall[place]
    if first is None or other is None:
        yield "not both have a score"
    elif f"{first:.1f}" == f"{other:.1f}":
        yield f"the same overall as way 1 ({other:.1f})"
    else:
        yield f"{abs(other - first):.1f} {'above' if other > first else 'below'} way 1 overall ({other:.1f} and {first:.1f})"
    moved = [
        (row.scores[place] - row.scores[0], row.words)  # type: ignore[operator]
        for row in found.dimensions
        if row.scores[place] is not None and row.scores[0] is not None
    ]
    up = sorted((one for one in moved if one[0] >= TOLD), reverse=True)[:2]
    down = sorted(one for one in moved if one[0] <= -TOLD)[:2]
    for words, some in (("better in", up), ("weaker in", down)):
        if some:
            yield f"{words} {' and '.join(f'{what.lower()} ({_signed(by)})' for by, what in some)}"
    yield _more(found.seconds[0], found.seconds[place], "quicker", "slower")
    tokens = found.tokens[0], found.tokens[place]
    if tokens[0] is not None and tokens[1] is not None and tokens[0] != tokens[1]:
        yield f"{abs(tokens[1] - tokens[0]):,} tokens {'more' if tokens[1] > tokens[0] else 'fewer'}"
    cost = found.cost[0], found.cost[place]
    if cost[0] is not None and cost[1] is not None and f"{cost[0]:.4f}" != f"{cost[1]:.4f}":
        yield f"${abs(cost[1] - cost[0]):.4f} {'dearer' if cost[1] > cost[0] else 'cheaper'}"


def _signed(by: float) -> str:
    return f"{by:+.1f}".replace("-", "\u2212")


def _more(first: float | None, other: float | None, less_words: str, more_words: str) -> str:
    if first is None or other is None:
        return "no times to compare"
    if span(first) == span(other):
        return f"as quick ({span(other)})"
    return f"{span(abs(other - first))} {more_words if other > first else less_words}"


def _dimensions(comparison: Comparison, found: Overlay) -> None:
    """The scorecards laid over each other, as a chart in which each bar has its way's number, and as a table."""
    rows = [
        {"Dimension": row.words, **{str(place + 1): number(score) for place, score in enumerate(row.scores)}}
        for row in found.dimensions
    ]
    chart = scores_chart(found, [name(comparison, place) for place in range(len(comparison.ways))])
    if chart is not None:
        st.altair_chart(chart, width="stretch", alt=_ALT)
    with st.expander("The scorecards as a table"):
        table(rows, caption="Scores, 0 to 10, by way; the numbers are those of the table above.")
        notes = [
            f"- {literal(f'{row.words}, way {place + 1}: {note}')}"
            for row in found.dimensions
            for place, note in enumerate(row.notes)
            if note
        ]
        if notes:
            st.markdown("\n".join(notes))


_ALT = "Bars of scores from 0 to 10 for each dimension, one for each way, with the way's number at its end. The table below has them all."


def _side_by_side(comparison: Comparison) -> None:
    written = [place for place, one in enumerate(comparison.generations) if one is not None]
    if len(written) > 2:
        key = f"beside_{comparison.id}"
        st.session_state.setdefault(key, _from_address(written))
        chosen = st.multiselect(
            f"Ways to read side by side, at most {BESIDE}", written, max_selections=BESIDE, key=key,
            format_func=lambda place: name(comparison, place),
        )  # fmt: skip
        st.query_params["ways"] = ",".join(str(place + 1) for place in chosen)
    else:
        chosen = written
    if not chosen:
        st.caption("Pick the ways that you want to read.")
        return
    read_beside(
        [name(comparison, place) for place in chosen],
        [one.episode for place in chosen if (one := comparison.generations[place]) is not None],
        key=f"{comparison.id}_{len(chosen)}",
    )


def _from_address(written: list[int]) -> list[int]:
    asked = [
        int(part) - 1 for part in st.query_params.get("ways", "").split(",") if re.fullmatch(r"\d{1,2}", part)
    ]
    return [place for place in dict.fromkeys(asked) if place in written][:BESIDE] or written[:2]


def read_beside(marks: list[str], episodes: list[Episode], *, key: str, by_scene: bool = True) -> None:
    """Pages of a script next to each other, scene by scene or each running on; on a narrow screen one page at a time, the first to
    begin with for each `key`."""
    with st.container(key="sheets_wide"):
        st.html(sheets_html(marks, episodes, aligned(episodes)) if by_scene else apart_html(marks, episodes))
    with st.container(key="sheets_narrow"):
        tabs = st.tabs([literal(mark) for mark in marks], key=f"tabs_{key}")
        for tab, mark, episode in zip(tabs, marks, episodes, strict=True):
            with tab:
                st.html(sheet_html(mark, episode))


def _how(comparison: Comparison) -> None:
    with st.expander("How each was written"):
        for place, generation in enumerate(comparison.generations):
            if generation is None:
                continue
            st.markdown(f"**{literal(name(comparison, place))}**")
            said = [f"By {generation.writer}.", *generation.notices]
            if generation.kept is not None:
                said.append(f"This answer was kept from {moment(generation.kept)}.")
            st.caption(literal(" ".join(said)))
            st.html(attempts_html(generation.attempts))


def _downloads(me: Acting, comparison: Comparison, found: Overlay) -> None:
    if not me.may(Action.EXPORT_EPISODES):
        return
    file = f"comparison-{comparison.id}"
    with st.container(horizontal=True):
        st.download_button(
            "Comparison (JSON)", lambda: comparison.model_dump_json(indent=2), f"{file}.json", "application/json",
            key="get_json", on_click="ignore", icon=":material/download:",
        )  # fmt: skip
        st.download_button(
            "Table (CSV)", lambda: table_csv(comparison, found), f"{file}.csv", "text/csv; charset=utf-8",
            key="get_csv", on_click="ignore", icon=":material/download:",
        )  # fmt: skip


def table_csv(comparison: Comparison, found: Overlay) -> str:
    """A row for each way: scores 0 to 10, seconds, and US dollars; empty where there is no data."""
    text = io.StringIO()
    lines = csv.writer(text, lineterminator="\n")
    lines.writerow(
        ("way", "label", "tier", "writer", "seed", "overall", *(row.name for row in found.dimensions),
         "seconds", "calls", "tokens", "cost_usd", "why_none")
    )  # fmt: skip
    for place, (way, answer) in enumerate(zip(comparison.ways, comparison.answers, strict=True)):
        generation = answer.generation
        figures = (
            found.overall[place],
            *(row.scores[place] for row in found.dimensions),
            found.seconds[place],
            found.calls[place],
            found.tokens[place],
            found.cost[place],
        )
        lines.writerow(
            (
                place + 1,
                _plain(way.label),
                generation.tier if generation is not None else way.tier or "",
                _plain(generation.writer if generation is not None else way.writer),
                comparison.request.seed if way.seed is None else way.seed,
                *("" if figure is None else figure for figure in figures),
                _plain(answer.why),
            )
        )
    return text.getvalue()


def _plain(text: str) -> str:
    """A text that no spreadsheet takes for a formula."""
    return f"'{text}" if text[:1] in ("=", "+", "-", "@", "\t", "\r") else text
