"""How the studio does: status and why, alerts and what to do about them, figures against targets, trends, readiness."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Sequence
from typing import TYPE_CHECKING, Literal, TypeVar, get_args

import streamlit as st

from cinegen_core.access import Action
from cinegen_core.acting import Acting
from cinegen_core.monitor.events import Series
from cinegen_core.monitoring import Monitoring
from cinegen_core.store import StoreError
from cinegen_core.studio import Studio
from pages import health_alerts, health_figures, health_readings, health_trends
from pages.frame import page, refused, table
from pages.health_readings import Reading, Span, readings_of
from pages.health_status import COUNTING, OFTEN, SELDOM, SERIES_NOTES, SERIES_WORDS, SOON, clock_words, status
from pages.shared import literal

if TYPE_CHECKING:
    from cinegen_core.readiness import Readiness

View = Literal["Targets", "Figures", "Readers", "Trends", "Record", "Readiness"]
_HOURS = (1, 24, 168)
_HOUR_WORDS = {1: "1 hour", 24: "24 hours", 168: "7 days"}
_DAYS = (7, 28, 56)

T = TypeVar("T")


def draw(me: Acting) -> None:
    studio, monitoring = me.studio, me.studio.monitoring
    st.title("Health")
    if monitoring is None:
        st.info(
            "This studio records nothing, so there is nothing to show. `cinegen studio` starts one that does."
        )
        return
    try:
        monitoring.alerts()
    except StoreError as error:
        refused(error)
        st.button("Look again", key="look_again")
        return
    above = st.container()
    view, hours, series = _choices(studio)
    with above:
        if series != "live":
            st.info(SERIES_NOTES[series])
        _again(OFTEN, status, studio, monitoring, series)
        health_alerts.outcome()
        open_ = st.container()
        named = health_alerts.silence_form(me, monitoring)
        with open_:
            _again(OFTEN, lambda: health_alerts.open_alerts(me, monitoring, series, named=named))
    _again(SELDOM, _view, me, monitoring, view, hours, series)


def _choices(studio: Studio) -> tuple[View, int, Series]:
    """What is looked at, kept in the address."""
    with st.container(horizontal=True):
        hours = _chosen("Span", "hours", _HOURS, 24, words=_HOUR_WORDS.__getitem__)
        series = _chosen("Episodes", "series", get_args(Series), studio.series, words=str.capitalize)
    return _chosen("What to look at", "view", get_args(View), "Targets", wide=True), hours, series


def _chosen(
    label: str,
    name: str,
    options: Sequence[T],
    default: T,
    *,
    words: Callable[[T], str] = str,
    wide: bool = False,
) -> T:
    """One of a few, by the address if it is named there; the address follows what is chosen."""
    if name not in st.session_state:
        asked = st.query_params.get(name, "").casefold()
        st.session_state[name] = next((one for one in options if str(one).casefold() == asked), default)
    chosen = st.segmented_control(
        label, options, required=True, key=name, format_func=words,
        label_visibility="collapsed" if wide else "visible", width="stretch" if wide else "content",
    )  # fmt: skip
    found = default if chosen is None else chosen
    if found == default:
        st.query_params.pop(name, None)
    elif st.query_params.get(name) != str(found):
        st.query_params[name] = str(found)
    return found


def _again(every: float, draw: Callable[..., None], *given: object) -> None:
    """Draws a part of the page, and again after so many seconds, without the rest."""
    st.fragment(draw, run_every=every)(*given)


def _view(me: Acting, monitoring: Monitoring, view: View, hours: int, series: Series) -> None:
    studio = me.studio
    if view == "Record":
        health_alerts.record(monitoring, series, hours, studio)
    elif view == "Trends":
        outlook = _there(
            studio, ("outlook", series), health_readings.outlook_reading(studio, monitoring, series)
        )
        if outlook is not None:
            health_trends.trends(outlook, monitoring.now())
    elif view == "Readiness":
        _readiness(studio)
    else:
        reading = health_readings.span_reading(studio, monitoring, hours, series)
        found = _there(studio, ("span", hours, series), reading)
        if found is not None:
            _span(me, monitoring, view, hours, series, found, reading)


def _span(
    me: Acting,
    monitoring: Monitoring,
    view: View,
    hours: int,
    series: Series,
    found: Span,
    reading: Reading[Span],
) -> None:
    counted = "" if reading.at is None else f" Counted at {clock_words(reading.at)}."
    st.caption(f"{SERIES_WORDS[series]}, the last {_HOUR_WORDS[hours]}.{counted}")
    if not found.figures.episodes:
        _nothing_yet(series)
    if view == "Targets":
        health_figures.criteria(found.criteria)
    elif view == "Readers":
        health_figures.readers(found.figures)
    else:
        health_figures.measured(found.figures, found.uptime)
        days = health_readings.latency_reading(me.studio, monitoring, series)
        if days.error is not None:
            refused(days.error)
        elif days.value is None:
            _again(SOON, _until_done, me.studio, ("latency", series))
        health_figures.times(found.figures, days.value)
        health_figures.tiers(found.figures)
        health_figures.engines(found.figures)
        health_figures.flags(found.figures, may_change=me.may(Action.CHANGE_FLAGS))


def _there(studio: Studio, name: Hashable, reading: Reading[T]) -> T | None:
    """What was counted; while it is, that it is, and the page is drawn anew once it was."""
    if reading.error is not None:
        refused(reading.error)
        return None
    if reading.value is None:
        st.html(COUNTING)
        _again(SOON, _until_done, studio, name)
    return reading.value


def _until_done(studio: Studio, name: Hashable) -> None:
    if readings_of(studio).ready(name):
        st.rerun()


def _nothing_yet(series: Series) -> None:
    todo: dict[Series, str] = {
        "live": "Write an episode on the page Generate, or choose a longer span: each answer is counted here.",
        "staging": "A studio that runs with CINEGEN_ENVIRONMENT=staging on the same database fills it.",
        "simulated": "Fill it with: cinegen simulate --days 7 --start, and the day a week ago.",
    }
    st.info(literal(f"Nothing was written in this span. {todo[series]}"))


def _readiness(studio: Studio) -> None:
    """The success criteria and the plan's indicators, and the report to take away."""
    days = _chosen("Days to look back", "days", _DAYS, 7)
    report = _there(studio, ("readiness", days), health_readings.readiness_reading(studio, days))
    if report is None:
        return
    st.caption(
        f"Of live episodes, and for week 4 of those in staging. The last {days} days, counted at {clock_words(report.at)}."
    )
    st.subheader(f"Success criteria: {report.verdict}")
    table(health_figures.finding_row(finding) for finding in report.criteria)
    for week in report.weeks:
        st.subheader(f"Week {week.number}, {week.title.lower()}: {week.verdict}")
        table(health_figures.finding_row(finding) for finding in week.indicators)
        health_figures.notes(week.indicators)
    st.download_button(
        "Download the report", lambda: _markdown(report), f"readiness-{report.at:%Y-%m-%d}.md", "text/markdown",
        key="get_readiness", on_click="ignore", icon=":material/download:",
    )  # fmt: skip


def _markdown(report: Readiness) -> str:
    # beside the commands, which come with it and which the first look at the page would wait for
    from cinegen_core.cli_monitor import in_markdown

    return "\n".join(in_markdown(report)) + "\n"


page(draw, Action.ACKNOWLEDGE)
