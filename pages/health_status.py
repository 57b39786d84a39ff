"""The top of the page about health: the score of the last hour, and what cost points, as marks in the margin of a page."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from html import escape

import streamlit as st

from cinegen_core.monitor.events import Series
from cinegen_core.monitor.health import LEAST_SAMPLES, Health
from cinegen_core.monitoring import Monitoring
from cinegen_core.store import StoreError
from cinegen_core.studio import Studio
from pages.frame import percent, refused
from pages.health_readings import uptime_reading

OFTEN = 5.0
"""Seconds after which status and alerts are looked at again."""

SELDOM = 15.0
"""Seconds after which figures are."""

SOON = 1.0
"""Seconds after which it is looked whether a count is done."""

SERIES_WORDS: Mapping[Series, str] = {
    "live": "Live episodes",
    "staging": "Staging episodes",
    "simulated": "Simulated episodes",
}
SERIES_NOTES: Mapping[Series, str] = {
    "live": "",
    "staging": "Staging: a rehearsal, nobody was served. It takes no part in live health, alerts or rollbacks.",
    "simulated": "Simulated: none of this happened. It takes no part in live health, alerts or rollbacks.",
}


def status(studio: Studio, monitoring: Monitoring, series: Series) -> None:
    """How the last hour went, and why; quick, whatever there is in the record."""
    try:
        # the studio itself leaves out what led to an emergency that is over
        health = studio.health() if series == studio.series else monitoring.health(series=series)
        open_ = monitoring.alerts(series=series)
        leads = studio.leading()
    except StoreError as error:
        refused(error)
        return
    uptime = uptime_reading(studio, monitoring, series)
    up = "being counted" if uptime.value is None else percent(uptime.value[0], 2)
    if uptime.error is not None:
        refused(uptime.error)
        up = "not known"
    firing = sum(view.state == "firing" for view in open_)
    told = [
        f"Uptime in the last 24 h: {up}.",
        f"Alerts: {firing or 'none'} firing, {len(open_) - firing or 'none'} pending.",
        f"As of {monitoring.now():%H:%M:%S} UTC.",
    ]
    if not leads.mine:
        told.append(f"Alerts and rollouts are led by {leads.holder or 'nobody at the moment'}.")
    if series == studio.series and studio.emergency is not None:
        told.insert(0, "Emergency mode: only the template writes.")
    st.html(status_html(health, series, told))


def status_html(health: Health, series: Series, told: list[str]) -> str:
    """The score, its status in words, and each issue with the points that it cost in the margin."""
    slug = f'<p class="slug">{escape(SERIES_WORDS[series])} - the last hour</p>'
    if health.score is None:
        head = '<p class="head"><b>No score</b></p>'
        counts = (
            " Kept answers, comparisons and what is written in an emergency do not count."
            if series == "live"
            else ""
        )
        body = f"<p>It takes {LEAST_SAMPLES} episodes within an hour to tell.{counts}</p>"
    else:
        head = f'<p class="head"><b>{health.score}</b><span>of 100: {escape(str(health.status))}</span></p>'
        marks = "".join(
            f'<li><b aria-label="{issue.points} points less">-{issue.points}</b>{escape(_sentence(issue.text))}</li>'
            for issue in health.issues
        )
        body = f'<ul class="marks">{marks}</ul>' if marks else "<p>Nothing cost any points.</p>"
    below = f'<p class="told">{escape(" ".join(told))}</p>'
    level = (health.status or "unknown").lower()
    return f'{STYLE}<section class="vital {level}" aria-label="Status">{slug}{head}{body}{below}</section>'


def _sentence(text: str) -> str:
    return f"{text[:1].upper()}{text[1:].rstrip('.')}."


def clock_words(at: datetime) -> str:
    """When a count was made."""
    return f"{at:%H:%M:%S} UTC"


STYLE = """<style>
[data-testid="stCaptionContainer"] { color: inherit; opacity: 0.85; }
.vital { border-left: 0.3rem solid color-mix(in srgb, currentColor 45%, transparent); padding: 0.1rem 0 0.1rem 1.1rem; }
.vital.warning { border-left-style: double; border-left-width: 0.5rem; border-left-color: currentColor; }
.vital.critical { border-left-width: 0.6rem; border-left-color: #c4473a; }
.vital p { margin: 0 0 0.45rem; }
.vital .slug { font-family: 'Courier Prime', 'Courier New', Courier, monospace; text-transform: uppercase; font-size: 0.92rem; }
.vital .head { display: flex; flex-wrap: wrap; align-items: baseline; gap: 0 0.7rem; line-height: 1.1; }
.vital .head b { font-size: 2.7rem; font-variant-numeric: tabular-nums; }
.vital .head span { font-size: 1.25rem; }
.vital .marks { list-style: none; margin: 0 0 0.45rem; padding: 0; }
.vital .marks li { display: flex; gap: 0.8rem; padding: 0.15rem 0; margin: 0; }
.vital .marks b { font-family: 'Courier Prime', 'Courier New', Courier, monospace; min-width: 3ch; text-align: right; }
.vital .told { font-size: 0.95rem; font-variant-numeric: tabular-nums; }
</style>"""

COUNTING = (
    '<p style="margin: 0 0 0.4rem">Counting what is on record. It takes some seconds where there is much of it.</p>'
    '<progress aria-label="Counting" style="width: 100%; accent-color: currentColor"></progress>'
)
