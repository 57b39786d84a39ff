"""The alert rules for Prometheus, for whoever has alerts come from there.

The exporter must offer these counters, of the events that decide anything: live, neither kept nor given in an emergency,
each with the label `series="live"`. They are totals over all events on record, so that a restart does not set them back and
the time that a crash took is added when the studio starts again.

| counter | grows with each request (uptime: with time) by |
|---|---|
| `cinegen_quality_sum`, `cinegen_quality_count` | its quality on the guide's scale (0..10), and 1, if it was scored |
| `cinegen_engines_delivered_total`, `cinegen_engines_active_total` | its engines that delivered, and its active engines |
| `cinegen_engines_requests_total` | 1, if it had active engines |
| `cinegen_generation_seconds_sum`, `cinegen_generation_seconds_count` | its processing time in seconds, and 1 |
| `cinegen_fallbacks_total`, `cinegen_requests_total` | 1 if it was a fallback, and 1 |
| `cinegen_up_seconds_total`, `cinegen_watched_seconds_total` | seconds in which a running studio answered its probe, and all of them |

The mean over a window is the increase of one counter over that of another, so `for` is 0: the window is the `for`. With too few
requests a rule that fires keeps firing, which `ALERTS`, Prometheus' own record of what fires, tells.

Played to Prometheus with scrapes on the minute, they fire in the very minutes in which the studio's own alerts do. What can differ:

* In its first window a rule has no alert pending: a breach with enough requests fires at once, while the studio waits for a
  whole window of it.
* Scrapes that are not on the minute leave up to a scrape's interval at each end of the window for Prometheus to extrapolate: a
  window of just under or over the least number of requests may be taken for the other, and an alert may come or go that much later.
* A mean that is the threshold itself may be taken for either side of it: the studio counts in whole numbers, Prometheus in floats.
* A studio that crashed shows nobody for how long it is down. The time is added when it starts again: from then on its uptime
  fires, until a day after the crash, when all of that time leaves the window at once.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import yaml

from cinegen_core.monitor.alerts import LEAST_SAMPLES, RULES, Metric, Rule

LABELS = '{series="live"}'

_COUNTERS: dict[Metric, tuple[str, str, str | None]] = {
    "quality": ("cinegen_quality_sum", "cinegen_quality_count", "cinegen_quality_count"),
    "engines": (
        "cinegen_engines_delivered_total",
        "cinegen_engines_active_total",
        "cinegen_engines_requests_total",
    ),
    "seconds": (
        "cinegen_generation_seconds_sum",
        "cinegen_generation_seconds_count",
        "cinegen_generation_seconds_count",
    ),
    "fallback": ("cinegen_fallbacks_total", "cinegen_requests_total", "cinegen_requests_total"),
    "uptime": ("cinegen_up_seconds_total", "cinegen_watched_seconds_total", None),
}
"""Above and below the fraction, and what counts its samples (None: it needs none)."""


def counters() -> tuple[str, ...]:
    """The names that the rules read, each once."""
    return tuple(dict.fromkeys(name for names in _COUNTERS.values() for name in names if name is not None))


def export(rules: Sequence[Rule] = RULES) -> str:
    """A file of alerting rules, in YAML, as `rule_files` of Prometheus' configuration takes it."""
    group = {"name": "cinegen", "interval": "1m", "rules": [_rule(rule) for rule in rules]}
    return yaml.safe_dump({"groups": [group]}, sort_keys=False, allow_unicode=True, width=1000)


def alert_name(rule: Rule) -> str:
    """`quality_critical` is `CinegenQualityCritical`."""
    return "Cinegen" + "".join(part.capitalize() for part in rule.key.split("_"))


def _rule(rule: Rule) -> dict[str, Any]:
    return {
        "alert": alert_name(rule),
        "expr": _expression(rule),
        "for": "0m",
        "labels": {"severity": rule.severity, "rule": rule.key},
        "annotations": {
            "summary": rule.words,
            "description": f"Mean over {_span(rule)}; threshold: {rule.comparison} {rule.threshold:g}.",
        },
    }


def _expression(rule: Rule) -> str:
    above, below, samples = _COUNTERS[rule.metric]
    sign = "<" if rule.comparison == "below" else ">"
    breach = f"{_increase(above, rule)} / {_increase(below, rule)} {sign} {rule.threshold:g}"
    if samples is None:
        return breach
    count = _increase(samples, rule)
    fires = f'count(ALERTS{{alertname="{alert_name(rule)}",alertstate="firing"}})'
    return (
        f"({breach} and {count} >= {LEAST_SAMPLES}) "
        f"or (({count} or vector(0)) < {LEAST_SAMPLES} and {fires} > 0)"
    )


def _increase(counter: str, rule: Rule) -> str:
    return f"sum(increase({counter}{LABELS}[{_span(rule)}]))"


def _span(rule: Rule) -> str:
    return f"{rule.minutes // 60}h" if rule.minutes % 60 == 0 else f"{rule.minutes}m"
