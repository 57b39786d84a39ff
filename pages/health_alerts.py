"""Alerts on the page about health: what is open, who has seen it, who is told; and what is over."""

from __future__ import annotations

from collections.abc import Callable, Sequence
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
from cinegen_core.studio import Studio
from pages.frame import NO_DATA, ago, moment, number, operator_name, percent, refused, span, table
from pages.shared import literal

if TYPE_CHECKING:
    from cinegen_core.store.deliveries import Delivery

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


def open_alerts(me: Acting, monitoring: Monitoring, series: Series, *, named: bool) -> None:
    """The incidents that are open, with what can be done about each alert by somebody whose name is known."""
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
                _handled(me, view, silences.get(view.rule), named)
    shown = {view.rule for incident in found for view in incident.open}
    for rule, silence in silences.items():
        if rule not in shown:
            _silent(me, silence, named)


def incident_html(incident: Incident, monitoring: Monitoring) -> str:
    """Its cause, since when, and each open alert: the rule in words, its value against the threshold, who has seen it."""
    since = f"since {moment(incident.began)} ({ago(incident.began, monitoring.now())})"
    rows = "".join(f"<li>{_alert_html(view, monitoring)}</li>" for view in incident.open)
    cause = _sentence(incident.cause) if incident.cause else "No cause is seen."
    return (
        f'{_STYLE}<article class="incident"><p class="slug">{escape(incident.severity)} - {escape(since)}</p>'
        f"<p>{escape(cause)}</p><ul>{rows}</ul></article>"
    )


def _alert_html(view: AlertView, monitoring: Monitoring) -> str:
    """The rule's words, what was measured, what it may be, and who has seen it."""
    state = "began firing" if view.state == "firing" else "became pending"
    when = ago(view.since, monitoring.now())
    rule = _RULES.get(view.rule)
    if rule is None:
        said = f"{state} {when}. It stays until a person lifts it, on the page Flags and rollback."
    else:
        window = f"{rule.minutes} min" if rule.minutes <= 60 else f"{rule.minutes / 60:g} h"
        said = (
            f"{rule.words} over {window}. It was {amount(view.rule, view.value)} when it {state}, {when}; "
            f"the threshold is {amount(view.rule, view.threshold)}."
        )
    return f"<b>{escape(view.rule)}</b> ({escape(view.severity)}, {escape(view.state)}): {escape(f'{said} {_seen(view)}')}"


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


def _handled(me: Acting, view: AlertView, silence: SilenceEvent | None, named: bool) -> None:
    row = st.container(horizontal=True)
    if view.acknowledged_by is None and row.button(
        f"Acknowledge {literal(view.rule)}", key=f"ack_{view.id}", disabled=not named
    ):
        attempt(lambda: _acknowledge(me, view))
    if silence is not None:
        _silent(me, silence, named)
    elif me.may(Action.SILENCE) and row.button(
        f"Silence {literal(view.rule)}", key=f"choose_{view.id}", type="tertiary",
        on_click=_choose_rule, args=(view.rule,),
    ):  # fmt: skip
        st.rerun()


def _choose_rule(rule: str) -> None:
    """The form below opens with that rule."""
    st.session_state["silence_rule"] = rule
    st.session_state["silence_open"] = True


def _silent(me: Acting, silence: SilenceEvent, named: bool) -> None:
    why = f": {silence.why}" if silence.why else ""
    st.caption(literal(f"{silence.rule}: nobody is told until {moment(silence.until)}, by {silence.by}{why}"))
    if me.may(Action.SILENCE) and st.button(
        f"Tell people of {literal(silence.rule)} again", key=f"unsilence_{silence.rule}", type="tertiary",
        disabled=not named,
    ):  # fmt: skip
        attempt(lambda: _unsilence(me, silence.rule))


def _acknowledge(me: Acting, view: AlertView) -> str:
    seen = me.acknowledge(view.id)
    return f"{seen.rule}: seen by {seen.acknowledged_by}."


def _unsilence(me: Acting, rule: str) -> str:
    me.silence(rule, minutes=0)
    return f"{rule}: people are told again."


def attempt(deed: Callable[[], str]) -> None:
    """Does what was asked for and draws the page anew with what came of it; a failure is told where it happened."""
    try:
        st.session_state["health_said"] = deed()
    except FAILURES as error:
        refused(error)
        return
    st.rerun()


def outcome() -> None:
    """What came of the last thing that was done, once."""
    said = st.session_state.pop("health_said", "")
    if said:
        st.success(literal(said))


def silence_form(me: Acting, monitoring: Monitoring) -> bool:
    """The form that silences a rule, outside of what refreshes itself, so that nothing that is being typed is lost. Whether there is a
    name to record."""
    named = operator_name(me)
    if not named:
        st.caption("Give your name first: alerts are acknowledged and silenced by somebody.")
    if me.may(Action.SILENCE):
        _silence_form(me, monitoring, named)
    return named


def _silence_form(me: Acting, monitoring: Monitoring, named: bool) -> None:
    try:
        rules = sorted({*_RULES, *(view.rule for view in monitoring.alerts())})
    except StoreError as error:
        refused(error)
        return
    if st.session_state.get("silence_rule") not in rules:
        st.session_state.pop("silence_rule", None)
    if st.session_state.pop("silence_done", False):
        st.session_state["silence_why"] = ""
        st.session_state["silence_open"] = False
    with (
        st.expander("Silence a rule", key="silence_open", on_change="rerun"),
        st.form("silence", border=False),
    ):
        rule = st.selectbox("Rule", rules, key="silence_rule", format_func=_rule_words)
        minutes = st.selectbox("For", list(_SPANS), key="silence_for", format_func=_SPANS.__getitem__)
        why = st.text_input(
            "Why", key="silence_why", max_chars=300, placeholder="The provider is being moved until noon."
        )
        st.caption("Nobody is told of the rule for that time. The alert itself goes on, and counts, as ever.")
        asked = st.form_submit_button("Silence", disabled=not named)
        if asked and not why.strip():
            st.error("Say why, for those who wonder; what you chose is still there.")
        elif asked:
            attempt(lambda: _silence(me, str(rule), int(minutes or 30), why.strip()))


def _rule_words(rule: str) -> str:
    known = _RULES.get(rule)
    return f"{rule} ({known.severity}: {known.words})" if known is not None else rule


def _silence(me: Acting, rule: str, minutes: int, why: str) -> str:
    said = me.silence(rule, minutes=minutes, why=why)
    st.session_state["silence_done"] = True
    return f"{rule}: nobody is told until {moment(said.until)}."


def record(monitoring: Monitoring, series: Series, hours: int, studio: Studio) -> None:
    """What is over, what there was to know of, and what people were sent."""
    now = monitoring.now()
    since = now - timedelta(hours=hours)
    try:
        over = [one for one in monitoring.incidents(series=series) if one.ended is not None]
        notices = [one for one in monitoring.notices(since, series=series) if one.at <= now][::-1]
        resolve = monitoring.mean_time_to_resolve(hours, series=series)
        sent = studio.deliveries.recent(SHOWN) if studio.deliveries is not None else ()
    except StoreError as error:
        refused(error)
        return
    ended = [one for one in over if one.ended is not None and one.ended >= since]
    st.subheader("Closed incidents")
    st.caption(f"Mean time from firing to resolved, of alerts resolved in this span: {span(resolve)}.")
    if not ended:
        st.caption("No incident ended in this span.")
    table(_closed(one) for one in ended[:SHOWN])
    _left_out(len(ended))
    st.subheader("Notices")
    if not notices:
        st.caption("Nothing was changed in this span: no flag, no rollout, no emergency.")
    table(
        {
            "When": moment(one.at),
            "What": one.cause or one.rule.replace("_", " "),
            "By": one.by or "the studio",
        }
        for one in notices[:SHOWN]
    )
    _left_out(len(notices))
    if series == "live":
        _deliveries(sent, bool(studio.settings.webhook_url or studio.settings.notify_urls))


def _closed(incident: Incident) -> dict[str, str]:
    assert incident.ended is not None
    return {
        "Began": moment(incident.began),
        "Took": span((incident.ended - incident.began).total_seconds()),
        "Severity": incident.severity if incident.fired else f"{incident.severity}, never fired",
        "Cause": incident.cause or "none was seen",
        "Rules": ", ".join(rule.replace("_", " ") for rule in incident.rules),
        "Seen by": ", ".join(incident.acknowledged_by) or "nobody",
    }


def _deliveries(sent: Sequence[Delivery], channels: bool) -> None:
    st.subheader("Told to people")
    if not sent:
        nowhere = "Alerts are sent nowhere: set CINEGEN_WEBHOOK_URL or CINEGEN_NOTIFY_URLS and start the studio again."
        st.caption("Nothing was sent yet." if channels else nowhere)
    table(
        {
            "When": moment(one.at),
            "To": one.target,
            "Of": f"{one.content.step.rule.replace('_', ' ')}, {one.content.step.state}",
            "Became": f"{_BECAME[one.state]} ({one.tries} {'try' if one.tries == 1 else 'tries'})",
            "Problem": one.problem or "none",
        }
        for one in sent
    )


def _left_out(count: int) -> None:
    if count > SHOWN:
        st.caption(f"The last {SHOWN} of {count}.")


def _sentence(text: str) -> str:
    return f"{text[:1].upper()}{text[1:].rstrip('.')}."


_STYLE = """<style>
.incident { border-left: 0.15rem solid color-mix(in srgb, currentColor 45%, transparent); padding-left: 1.1rem; }
.incident p { margin: 0 0 0.3rem; }
.incident ul { margin: 0; padding-left: 1.1rem; }
.incident li { margin: 0.15rem 0; overflow-wrap: anywhere; }
.incident .slug { font-family: 'Courier Prime', 'Courier New', Courier, monospace; text-transform: uppercase; font-size: 0.9rem; }
</style>"""
