"""Alerts on the page about health: what is open, who has seen it, who is told; and what is over."""

from __future__ import annotations

from datetime import timedelta
from html import escape
from typing import TYPE_CHECKING

import streamlit as st

from cinegen_core.access import Action, NotAllowedError
from cinegen_core.acting import Acting, NotKeptError
from cinegen_core.monitor.alerts import RULES, AlertView
from cinegen_core.monitor.events import Series, SilenceEvent
from cinegen_core.monitor.incidents import Incident
from cinegen_core.monitoring import Monitoring, NoSuchAlertError, NoSuchRuleError
from cinegen_core.store import StoreError
from pages.frame import NO_DATA, ago, moment, number, operator_name, percent, refused, span, table
from pages.shared import literal

if TYPE_CHECKING:
    from cinegen_core.store.deliveries import SqlDeliveries

FAILURES = (StoreError, NotAllowedError, NotKeptError, NoSuchAlertError, NoSuchRuleError)

SHOWN = 40
"""Incidents, notices and deliveries that a list shows at most."""

_SPANS = {30: "30 minutes", 120: "2 hours", 480: "8 hours", 1440: "a day", 10080: "a week"}
_RULES = {rule.key: rule for rule in RULES}
_BECAME = {
    "waiting": "waiting",
    "sending": "being sent",
    "sent": "sent",
    "joined": "told with a later one",
    "dropped": "over before it was told",
    "given_up": "given up",
}


def open_alerts(me: Acting, monitoring: Monitoring, series: Series) -> None:
    """The incidents that are open, with what can be done about each alert."""
    try:
        found = [one for one in monitoring.incidents(series=series) if one.ended is None]
        silences = {one.rule: one for one in monitoring.silences()} if series == "live" else {}
    except StoreError as error:
        refused(error)
        return
    st.subheader("Open alerts")
    if not found:
        st.caption(
            "No alert is open. One opens by itself when a figure is on the wrong side of its threshold for long enough."
        )
    for incident in found:
        st.html(incident_html(incident, monitoring))
        for view in incident.open:
            if series == "live":
                _handled(me, monitoring, view, silences.get(view.rule))
    shown = {view.rule for incident in found for view in incident.open}
    for rule, silence in silences.items():
        if rule not in shown:
            _silent(me, rule, silence)


def incident_html(incident: Incident, monitoring: Monitoring) -> str:
    """Its cause, since when, and each open alert: the rule in words, its value against the threshold, who has seen it."""
    since = f"since {moment(incident.began)} ({ago(incident.began, monitoring.now())})"
    rows = "".join(
        f"<li><b>{escape(view.rule)}</b> {escape(view.severity)}, {escape(view.state)} {escape(ago(view.since, monitoring.now()))}: "
        f"{escape(_against(view))} {escape(_seen(view))}</li>"
        for view in incident.open
    )
    return (
        f'{_STYLE}<article class="incident"><p class="slug">{escape(incident.severity)} - {escape(since)}</p>'
        f"<p>{escape(_sentence(incident.cause) if incident.cause else 'No cause is seen.')}</p><ul>{rows}</ul></article>"
    )


def _against(view: AlertView) -> str:
    """The rule's words, what was measured, and what it may be."""
    rule = _RULES.get(view.rule)
    if rule is None:
        return "it stays until a person lifts it on the page about flags."
    window = span(60.0 * rule.minutes) if rule.minutes > 60 else f"{rule.minutes} min"
    return (
        f"{rule.words} over {window}. It was {amount(view.rule, view.value)} then; "
        f"the threshold is {amount(view.rule, view.threshold)}."
    )


def _seen(view: AlertView) -> str:
    return f"Seen by {view.acknowledged_by}." if view.acknowledged_by else "Nobody has seen it yet."


def amount(rule: str, value: float | None) -> str:
    """A value in the unit of its rule's metric."""
    if value is None or rule not in _RULES:
        return NO_DATA
    metric = _RULES[rule].metric
    if metric in ("engines", "fallback", "uptime"):
        return percent(100.0 * value)
    return span(value) if metric == "seconds" else number(value, "of 10", 2)


def _handled(me: Acting, monitoring: Monitoring, view: AlertView, silence: SilenceEvent | None) -> None:
    row = st.container(horizontal=True)
    if view.acknowledged_by is None and row.button(
        f"Acknowledge {literal(view.rule)}", key=f"ack_{view.id}", disabled=not me.may(Action.ACKNOWLEDGE)
    ):
        _try(lambda: _acknowledge(me, view))
    if silence is None:
        row.button(
            f"Silence {literal(view.rule)}",
            key=f"choose_{view.id}",
            type="tertiary",
            on_click=_choose_rule,
            args=(view.rule,),
        )
        if st.session_state.pop("health_rule_chosen", False):
            st.rerun()
    else:
        _silent(me, view.rule, silence)


def _choose_rule(rule: str) -> None:
    st.session_state["silence_rule"] = rule
    st.session_state["silence_open"] = True
    st.session_state["health_rule_chosen"] = True


def _silent(me: Acting, rule: str, silence: SilenceEvent) -> None:
    why = f": {silence.why}" if silence.why else ""
    st.caption(literal(f"{rule}: nobody is told until {moment(silence.until)}, by {silence.by}{why}"))
    if st.button(
        f"Tell people of {literal(rule)} again",
        key=f"unsilence_{rule}",
        type="tertiary",
        disabled=not me.may(Action.SILENCE),
    ):
        _try(lambda: _unsilence(me, rule))


def _acknowledge(me: Acting, view: AlertView) -> str:
    seen = me.acknowledge(view.id)
    return f"{seen.rule}: seen by {seen.acknowledged_by}."


def _unsilence(me: Acting, rule: str) -> str:
    me.silence(rule, minutes=0)
    return f"{rule}: people are told again."
