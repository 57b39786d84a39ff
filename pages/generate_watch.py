"""An episode while it is being written: the steps, the text as it comes, time and cost so far, and a way to stop."""

from __future__ import annotations

from dataclasses import dataclass, field
from html import escape

import streamlit as st

from cinegen_core.access import Action
from cinegen_core.acting import Acting
from cinegen_core.jobs import JobView
from cinegen_core.store import Season, StoreError
from cinegen_core.telling import TIER_WORDS
from cinegen_core.writers.embedded import EmbeddedWriter
from cinegen_core.writers.template import TemplateWriter
from pages.frame import refused, span
from pages.script_view import draft_html
from pages.shared import literal

LOOK = 0.4
"""Seconds between two looks at a job."""

_PHASES = {
    "draft": "Drafting",
    "engines": "The engines say what they want",
    "synthesis": "Writing it out",
    "check": "Looking for what was asked",
    "repair": "Mending what is missing",
}

_STYLE = """<style>
.stHtml ol.steps, .stHtml .steps ul { padding: 0; margin-left: 0; }
.steps { margin: 0 0 0.6rem; padding: 0; list-style: none; font-size: 0.95rem; line-height: 1.5; max-width: 64ch; }
.steps li { margin: 0; padding: 0.15rem 0 0.15rem 1.6rem; position: relative; overflow-wrap: anywhere; }
.steps li::before { content: "\\2713"; position: absolute; left: 0.2rem; font-weight: 700; }
.steps li.now::before { content: "\\25B8"; }
.steps li.now { font-weight: 600; }
.steps li.way { font-weight: 700; padding-left: 0; }
.steps li.way::before { content: none; }
.steps li.not::before { content: "\\2212"; }
.steps ul { margin: 0; padding: 0; list-style: none; font-weight: 400; }
.steps ul li::before { content: none; }
.steps ul li { padding: 0 0 0 0.4rem; }
.so-far { font-variant-numeric: tabular-nums; margin: 0 0 0.8rem; font-size: 0.95rem; }
</style>"""


@dataclass
class _Step:
    kind: str
    words: str
    groups: dict[str, list[str]] = field(default_factory=dict)


def watch(me: Acting, season: Season, view: JobView) -> None:
    st.title(literal(season.title))
    st.subheader(f"Writing episode {view.number}")
    with st.container(key="room"):
        stop_button(me, view)
        progress(me, view)


def stop_button(me: Acting, view: JobView) -> None:
    if me.may(Action.STOP) and st.button("Stop", key="stop", icon=":material/stop:"):
        me.stop(view.id)
        me.studio.wait(view.id, 5)
        st.rerun()


def progress(me: Acting, view: JobView) -> None:
    """Looks again and again until the job ends, and then has the page drawn anew."""

    @st.fragment(run_every=LOOK)
    def look() -> None:
        try:
            now = me.studio.job(view.id)
        except StoreError as error:
            # Another studio may write it, and be asked through the database; what was seen last stays, and the next look asks again.
            _shown(me, view)
            refused(error)
            return
        if now is None or now.state != "running":
            st.rerun()
        else:
            _shown(me, now)

    look()


def _shown(me: Acting, view: JobView) -> None:
    steps, text = _steps(view)
    st.html(_STYLE + _steps_html(steps))
    st.html(f'<p class="so-far">{escape(_so_far(me, view))}</p>')
    if text:
        st.html(draft_html(text))


def _so_far(me: Acting, view: JobView) -> str:
    calls = [update for update in view.updates if update.kind == "call"]
    parts = []
    if view.started is not None:
        parts.append(f"{span(max(0.0, (me.studio.now - view.started).total_seconds()))} so far")
    if calls:
        parts.append(f"{len(calls)} calls, {sum(call.tokens for call in calls):,} tokens")
        cost = sum(call.cost for call in calls)
        if cost:
            parts.append(f"${cost:.4f}")
    elif _asks_a_model(view):
        parts.append("no answer from the model yet")
    return "; ".join(parts) + "." if parts else ""


def _asks_a_model(view: JobView) -> bool:
    writers = [update.writer for update in view.updates if update.kind == "tier"]
    return bool(writers) and writers[-1] not in (EmbeddedWriter.name, TemplateWriter.name)


def _steps(view: JobView) -> tuple[list[_Step], str]:
    """What has begun, the newest last, and all of the text so far."""
    steps: list[_Step] = []
    text = ""
    for update in view.updates:
        if update.kind == "tier":
            steps.append(_Step("way", TIER_WORDS[update.tier].capitalize()))
        elif update.kind == "phase":
            steps.append(_Step("step", _PHASES[update.phase]))
        elif update.kind == "engine" and steps:
            name = update.engine + ("" if update.ok else " (by its rules)")
            steps[-1].groups.setdefault(update.phase, []).append(name)
        elif update.kind == "text":
            text = update.text
        elif update.kind == "attempt" and update.outcome != "accepted":
            steps.append(_Step("not", f"Not kept for now: {update.reason}"))
    return steps or [_Step("step", "Getting ready")], text


def _steps_html(steps: list[_Step]) -> str:
    rows = []
    for number, step in enumerate(steps, start=1):
        now = number == len(steps) and step.kind != "not"
        groups = "".join(
            f"<li>{escape(phase)}: {escape(', '.join(names))}</li>" for phase, names in step.groups.items()
        )
        rows.append(
            f'<li class="{"now" if now and step.kind == "step" else step.kind}">{escape(step.words)}'
            f"{f'<ul>{groups}</ul>' if groups else ''}</li>"
        )
    return f'<ol class="steps">{"".join(rows)}</ol>'
