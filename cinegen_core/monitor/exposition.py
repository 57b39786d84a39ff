"""The counters that the exported alert rules read, in Prometheus' text format 0.0.4."""

from __future__ import annotations

from cinegen_core.monitor.prometheus_rules import LABELS
from cinegen_core.monitor.tally import SCALE, Tally


def exposition(everything: Tally) -> str:
    """Totals over all that was ever counted, each with what it means; text that ends with a line break.

    What ends in `_sum` and `_count` is a summary, as readers of the format want it: of a counter they would take these for parts
    of its name.
    """
    counts = everything.counts
    summaries: tuple[tuple[str, str, float, float], ...] = (
        ("cinegen_quality", "Quality of scored answers on the guide's scale (0..10).", counts["quality/sum"] / SCALE, counts["quality/n"]),
        ("cinegen_generation_seconds", "Seconds from request to answer.", counts["ms"] / 1000, counts["answers"]),
    )  # fmt: skip
    totals: tuple[tuple[str, str, float], ...] = (
        ("cinegen_engines_delivered_total", "Engines that delivered a directive in time.", counts["delivered"]),
        ("cinegen_engines_active_total", "Engines that were active.", counts["active"]),
        ("cinegen_engines_requests_total", "Requests with active engines.", counts["engine_requests"]),
        ("cinegen_errors_total", "Requests without an episode, or with one from the template because all above it failed.", counts["errors"]),
        ("cinegen_fallbacks_total", "Answers by a lower tier than the highest permitted.", counts["fallbacks"]),
        ("cinegen_requests_total", "Requests that were answered, kept answers and emergencies left out.", counts["answers"]),
        ("cinegen_up_seconds_total", "Seconds in which a running studio answered its own probe.", counts["up"] / 1000),
        ("cinegen_watched_seconds_total", "Seconds for which a studio was meant to run.", counts["watched"] / 1000),
    )  # fmt: skip
    lines = [
        line
        for name, words, total, count in summaries
        for line in (
            f"# HELP {name} {words}",
            f"# TYPE {name} summary",
            f"{name}_sum{LABELS} {float(total)!r}",
            f"{name}_count{LABELS} {float(count)!r}",
        )
    ]
    lines += [
        line
        for name, words, value in totals
        for line in (f"# HELP {name} {words}", f"# TYPE {name} counter", f"{name}{LABELS} {float(value)!r}")
    ]
    return "\n".join(lines) + "\n"
