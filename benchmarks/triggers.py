"""Prints how often triggers roll back for nothing, and how soon for something: `python -m benchmarks.triggers [--repetitions N] [--out FILE] [--plot FILE]`.

Simulated days of Poisson arrivals, run through the triggers as they are shipped. Every rule sees the same days; seeds are fixed.
"""

from __future__ import annotations

import argparse
import math
import random
import statistics
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, NamedTuple, Protocol

from benchmarks.figures import Figure, Report, add_json, exactly, write
from cinegen_core.flags.evidence import Evidence, against_baseline, updated
from cinegen_core.flags.model import Sample, Trigger
from cinegen_core.flags.triggers import LEARNED_FROM, TriggerState, observe, starting

RATES = (4, 20, 100)
"""Episodes an hour."""

DAY = 24.0
HEALTHY_HOURS = 12.0
LEAST_RUNS = 20
"""With fewer runs that lived to see the failure there is no delay to speak of."""

ALLOWED_LESS = 4
"""What is allowed is simulated so many times less: nothing fires there for long, and it takes the longest."""

FLAG = "comprehensive_engines"
BEGIN = datetime(2026, 1, 5, tzinfo=UTC)

Draw = Callable[[random.Random], dict[str, Any]]


class Rule(Protocol):
    """Something that watches a stream from its beginning."""

    def fires(self, sample: Sample) -> bool: ...


class Shipped:
    """The trigger of the library."""

    def __init__(self, trigger: Trigger, learn: int = LEARNED_FROM) -> None:
        self.trigger = trigger
        self.state: TriggerState = starting(trigger, FLAG, BEGIN, learn=learn)

    def fires(self, sample: Sample) -> bool:
        self.state, verdict = observe(self.trigger, self.state, sample)
        return verdict.rolls_back


class Widened:
    """The threshold over the window or the last `samples`, whichever reaches further back: what the library does not ship."""

    def __init__(self, trigger: Trigger, samples: int) -> None:
        self.trigger, self.samples = trigger, samples
        self.seen: list[tuple[datetime, bool]] = []

    def fires(self, sample: Sample) -> bool:
        begin = sample.at - timedelta(minutes=self.trigger.minutes)
        self.seen.append((sample.at, sample.error))
        while len(self.seen) > self.samples and self.seen[0][0] <= begin:
            del self.seen[0]
        share = sum(error for _, error in self.seen) / len(self.seen)
        return len(self.seen) >= self.samples and share > self.trigger.threshold


class BaselineAlone:
    """Evidence against the frozen baseline, whatever the mean has become: what the library does not ship."""

    def __init__(self, trigger: Trigger) -> None:
        self.trigger, self.learned = trigger, list[float]()
        self.evidence: Evidence | None = None

    def fires(self, sample: Sample) -> bool:
        trigger = self.trigger
        value = sample.seconds if trigger.metric == "seconds" else sample.quality or 0.0
        if self.evidence is not None:
            self.evidence = updated(self.evidence, value)
            return self.evidence.log10 >= math.log10(trigger.bound)
        self.learned.append(value)
        if len(self.learned) == LEARNED_FROM:
            mean = statistics.fmean(self.learned)
            self.evidence = against_baseline(
                mean, trigger.threshold, trigger.worse, trigger.low, trigger.high
            )
        return False


class Case(NamedTuple):
    """One table: what is drawn while all is well, what after the failure, and the rules that are tried."""

    title: str
    healthy: Draw
    failing: Draw
    rules: Mapping[str, Callable[[], Rule]]
    allowed: bool = False
    """What happens stays within the threshold: whoever rolls back is wrong."""


class Row(NamedTuple):
    """One rule at one rate. `false` is a share of healthy days; delays are minutes, infinite for not within a day, None where too
    few runs lived to see the failure. `caught` is the share of failures rolled back within a day."""

    rule: str
    rate: int
    false: float
    median: float | None
    slow: float | None
    caught: float | None


def trigger(**changes: Any) -> Trigger:
    return Trigger.model_validate({"key": "simulated", **changes})


def errors(share: float) -> Draw:
    return lambda rng: {"error": rng.random() < share}


def quality(mean: float) -> Draw:
    return lambda rng: {"quality": min(10.0, max(0.0, rng.gauss(mean, 0.8)))}


def seconds(mean: float, shape: float) -> Draw:
    return lambda rng: {"seconds": min(120.0, rng.gammavariate(shape, mean / shape))}


ERROR: dict[str, Any] = {"metric": "error", "worse": "above", "threshold": 0.10, "minutes": 15}
QUALITY: dict[str, Any] = {
    "metric": "quality",
    "worse": "below",
    "threshold": 7.0,
    "minutes": 30,
    "high": 10.0,
}
SECONDS: dict[str, Any] = {
    "metric": "seconds",
    "worse": "above",
    "threshold": 90.0,
    "minutes": 20,
    "high": 120.0,
}

SHIPPED = "evidence (shipped)"


def statistics_of(base: dict[str, Any]) -> dict[str, Callable[[], Rule]]:
    literal, evidence = trigger(**base, policy="literal", samples=20), trigger(**base)
    return {
        "literal + 20": lambda: Shipped(literal),
        "evidence against the threshold": lambda: Shipped(evidence, learn=0),
        "evidence against the baseline": lambda: BaselineAlone(evidence),
        SHIPPED: lambda: Shipped(evidence),
    }


def cases() -> list[Case]:
    return [
        Case(
            "errors 5 % -> 60 %, threshold 10 % over 15 min",
            errors(0.05),
            errors(0.60),
            {
                "literal": lambda: Shipped(trigger(**ERROR, policy="literal", samples=1)),
                "literal + 20": lambda: Shipped(trigger(**ERROR, policy="literal", samples=20)),
                "literal + 50": lambda: Shipped(trigger(**ERROR, policy="literal", samples=50)),
                "literal, widened to 20": lambda: Widened(trigger(**ERROR), 20),
                "literal, widened to 50": lambda: Widened(trigger(**ERROR), 50),
                SHIPPED: lambda: Shipped(trigger(**ERROR)),
            },
        ),
        Case(
            "quality 8.0 -> 6.5 (sd 0.8), threshold 7.0 over 30 min",
            quality(8.0),
            quality(6.5),
            statistics_of(QUALITY),
        ),
        Case(
            "time 50 s -> 100 s (sd a quarter, capped at 120 s: mean 97 s), threshold 90 s over 20 min",
            seconds(50.0, 16.0),
            seconds(100.0, 16.0),
            statistics_of(SECONDS),
        ),
        Case(
            "allowed: quality 8.0 -> 7.3, threshold 7.0",
            quality(8.0),
            quality(7.3),
            statistics_of(QUALITY),
            allowed=True,
        ),
        Case(
            "allowed: time 50 s -> 100 s that varies more (sd half, capped at 120 s: mean 88 s), threshold 90 s",
            seconds(50.0, 4.0),
            seconds(100.0, 4.0),
            statistics_of(SECONDS),
            allowed=True,
        ),
    ]


def stream(rng: random.Random, rate: int, before: Draw, after: Draw, change: float) -> Iterator[Sample]:
    """Samples without end; `change` in hours. Not validated one by one: there are millions."""
    on, hours = frozenset({FLAG}), 0.0
    while True:
        hours += rng.expovariate(rate)
        drawn = (before if hours < change else after)(rng)
        at = BEGIN + timedelta(hours=hours)
        plain = {"at": at, "on": on, "off": frozenset(), "quality": None, "error": False, "seconds": 0.0}
        yield Sample.model_construct(**{**plain, **drawn})


def first_fires(
    samples: Iterator[Sample], rules: Mapping[str, Callable[[], Rule]], hours: float
) -> dict[str, float]:
    """When each rule fires first, in hours; infinite for not within `hours`."""
    watching = {name: rule() for name, rule in rules.items()}
    found = dict.fromkeys(rules, math.inf)
    for sample in samples:
        passed = (sample.at - BEGIN) / timedelta(hours=1)
        if passed > hours or not watching:
            return found
        for name in [name for name, rule in watching.items() if rule.fires(sample)]:
            found[name] = passed
            del watching[name]
    raise AssertionError("a stream has no end")


def run(case: Case, repetitions: int) -> list[Row]:
    rows: list[Row] = []
    for rate in RATES:
        falsely = dict.fromkeys(case.rules, 0)
        delays: dict[str, list[float]] = {name: [] for name in case.rules}
        for number in range(repetitions):
            rng = random.Random(f"{case.title}, {rate}, {number}")
            if not case.allowed:
                fired = first_fires(stream(rng, rate, case.healthy, case.healthy, DAY), case.rules, DAY)
                for name, hours in fired.items():
                    falsely[name] += hours <= DAY
            failure = stream(rng, rate, case.healthy, case.failing, HEALTHY_HOURS)
            for name, hours in first_fires(failure, case.rules, HEALTHY_HOURS + DAY).items():
                if hours >= HEALTHY_HOURS:
                    delays[name].append((hours - HEALTHY_HOURS) * 60.0)
        rows += [_row(name, rate, falsely[name] / repetitions, delays[name]) for name in case.rules]
    return rows


def _row(rule: str, rate: int, false: float, delays: Sequence[float]) -> Row:
    if len(delays) < LEAST_RUNS:
        return Row(rule, rate, false, None, None, None)
    ordered = sorted(delays)
    slow = ordered[math.ceil(0.95 * len(ordered)) - 1]
    caught = sum(map(math.isfinite, ordered)) / len(ordered)
    return Row(rule, rate, false, ordered[(len(ordered) - 1) // 2], slow, caught)


def table(case: Case, rows: Sequence[Row]) -> str:
    rates = " / ".join(str(rate) for rate in RATES)
    if case.allowed:
        head = f"| rule | rolled back within a day of the change, at {rates} an hour |\n|---|---|"
    else:
        head = (
            f"| rule | false rollbacks in 24 h, at {rates} an hour | median delay, min | 95th percentile, min |\n"
            "|---|---|---|---|"
        )
    lines = [f"**{case.title[0].upper()}{case.title[1:]}**", "", head]
    for rule in case.rules:
        at = [row for row in rows if row.rule == rule]
        if case.allowed:
            lines.append(f"| {rule} | {' / '.join(_share(row.caught) for row in at)} |")
        else:
            cells = [
                " / ".join(_share(row.false) for row in at),
                " / ".join(_minutes(row.median) for row in at),
                " / ".join(_minutes(row.slow) for row in at),
            ]
            lines.append(f"| {rule} | {' | '.join(cells)} |")
    return "\n".join(lines)


def _share(value: float | None) -> str:
    return "-" if value is None else f"{value:.3f}".rstrip("0").rstrip(".") if value else "0"


def _minutes(value: float | None) -> str:
    return "-" if value is None else "> 1440" if math.isinf(value) else f"{value:.0f}"


NOTES = """A delay counts from the failure, after 12 healthy hours, in the runs that had not been rolled back falsely by then; "-" where those are
fewer than 20, "> 1440" where the day after was not enough. "literal + 20" is the signal as it is shipped: with fewer than 20
samples in the window it says nothing. "Widened to 20" looks at the last 20 samples where the window holds fewer.

* Errors: evidence is a likelihood ratio against 10 %, and takes about eleven samples after the failure. A window of 15 minutes holds fewer
  than 20 samples below 80 episodes an hour, and says nothing there; above that it rolls a healthy system back every day. Widened
  windows do so at any rate. At 4 an hour nothing is both fast and safe.
* Quality and time: evidence against the threshold alone is safe and slow, because a fall to just beyond the threshold is hard to tell from one
  to just before it. Evidence against a healthy baseline (the mean of the first 30 samples, frozen) takes half the time or less, but by
  itself it also rolls back what is allowed (the last two tables). What is shipped averages the two, and lets the second count only
  while the mean since the change is beyond the threshold by a standard error.
* A mean that comes to rest just inside its threshold (88 s of 90 s) is still rolled back now and then.
* Where the flag was bad from its first sample there is no healthy baseline, and the row "against the threshold" is what holds.
* The bound of 1000 is not a share of false rollbacks: with the mean *at* the threshold it promises 1000 samples or more between two of them on
  average. These tables are what it means for systems that are well."""


def report(found: Sequence[tuple[Case, Sequence[Row]]], repetitions: int) -> str:
    head = f"Triggers, simulated: Poisson arrivals, {repetitions} repetitions ({repetitions // ALLOWED_LESS} of what is allowed), seeds fixed; `python -m benchmarks.triggers`."
    return "\n\n".join([head, *(table(case, rows) for case, rows in found), NOTES]) + "\n"


def figures(found: Sequence[tuple[Case, Sequence[Row]]]) -> Report:
    """What is shipped, at each rate. Days and seeds are the same each time, so that nothing spreads."""
    told: dict[str, Figure] = {}
    for case, rows in found:
        for row in (row for row in rows if row.rule == SHIPPED):
            at = f"{case.title}; {row.rate} an hour"
            if case.allowed and row.caught is not None:
                told[f"{at}: rolled back within a day"] = exactly(100 * row.caught, "%", better="lower")
            if not case.allowed:
                told[f"{at}: rolled back for nothing in 24 h"] = exactly(100 * row.false, "%", better="lower")
            if not case.allowed and row.median is not None and math.isfinite(row.median):
                told[f"{at}: median delay"] = exactly(row.median, "simulated min", better="lower")
    return Report(name="triggers", figures=told)


# The plot: one block for each case, a line for each rule, a mark for each rate.

WIDTH, LEFT, SHARES, DELAYS, PANEL = 920, 236, 250, 550, 300
LINE, GAP, TOP = 30, 56, 74
SHORTEST, LONGEST = 2.0, 1440.0
STYLE = """
text { font: 13px system-ui, sans-serif; fill: #1f2328; } .quiet { fill: #59636e; font-size: 11px; } .name { font-weight: 600; }
.grid { stroke: #d1d9e0; } .r4 { fill: #0969da; stroke: #0969da; } .r20 { fill: #bc4c00; stroke: #bc4c00; } .r100 { fill: #1a7f37; stroke: #1a7f37; }
@media (prefers-color-scheme: dark) { text { fill: #f0f6fc; } .quiet { fill: #9198a1; } .grid { stroke: #3d444d; }
.r4 { fill: #58a6ff; stroke: #58a6ff; } .r20 { fill: #f0883e; stroke: #f0883e; } .r100 { fill: #3fb950; stroke: #3fb950; } }
"""


def plot(found: Sequence[tuple[Case, Sequence[Row]]]) -> str:
    """An SVG that reads on light and on dark ground; marks differ in shape as well as in colour."""
    shown = [(case, rows) for case, rows in found if not case.allowed]
    height = TOP + sum(GAP + LINE * len(case.rules) for case, _ in shown) + 12
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" width="{WIDTH}" height="{height}" role="img">',
        "<title>False rollbacks and delay of each rule</title>",
        "<desc>For each rule and 4, 20 and 100 episodes an hour: the share of healthy days with a false rollback, and the median "
        "delay with a line to the 95th percentile. The same figures are in benchmarks/TRIGGERS.md.</desc>",
        f"<style>{STYLE}</style>",
        _text(SHARES, 20, "healthy days rolled back", "name"),
        _text(DELAYS, 20, "delay until a failure is rolled back", "name"),
        _text(SHARES, 38, "share, of 24 hours each", "quiet"),
        _text(DELAYS, 38, "median to 95th percentile; no mark: over a day, or none left", "quiet"),
    ]
    for place, rate in enumerate(RATES):
        parts += [_mark(rate, 24 + 70 * place, 52), _text(34 + 70 * place, 56, f"{rate} / h", "quiet")]
    y = TOP
    for case, rows in shown:
        parts += _block(case, rows, y)
        y += GAP + LINE * len(case.rules)
    return "\n".join([*parts, "</svg>\n"])


def _block(case: Case, rows: Sequence[Row], top: int) -> list[str]:
    bottom = top + 34 + LINE * len(case.rules)
    parts = [_text(14, top + 12, case.title[0].upper() + case.title[1:], "quiet")]
    for share in (0.0, 0.25, 0.5, 0.75, 1.0):
        parts += _grid(SHARES + (PANEL - 40) * share, top + 22, bottom, f"{share:g}")
    for minutes, label in ((5, "5 min"), (15, "15"), (60, "1 h"), (240, "4 h"), (LONGEST, "1 day")):
        parts += _grid(_along(minutes), top + 22, bottom, label)
    for number, rule in enumerate(case.rules):
        middle = top + 40 + LINE * number
        parts.append(
            f'<text x="{LEFT}" y="{middle + 4}" text-anchor="end"{" class=" + chr(34) + "name" + chr(34) if rule == SHIPPED else ""}>{rule}</text>'
        )
        for place, row in enumerate(row for row in rows if row.rule == rule):
            y = middle + 8 * (place - 1)
            parts.append(_mark(row.rate, SHARES + (PANEL - 40) * row.false, y))
            if row.median is not None and row.slow is not None:
                begin, end = _along(row.median), _along(row.slow)
                parts.append(
                    f'<line class="r{row.rate}" x1="{begin:.1f}" y1="{y}" x2="{end:.1f}" y2="{y}" stroke-width="1.5"/>'
                )
                if math.isfinite(row.median):
                    parts.append(_mark(row.rate, begin, y))
    return parts


def _along(minutes: float) -> float:
    share = math.log(max(min(minutes, LONGEST), SHORTEST) / SHORTEST) / math.log(LONGEST / SHORTEST)
    return DELAYS + (PANEL + 40) * share


def _grid(x: float, top: int, bottom: int, label: str) -> list[str]:
    line = f'<line class="grid" x1="{x:.1f}" y1="{top}" x2="{x:.1f}" y2="{bottom}"/>'
    return [line, f'<text class="quiet" x="{x:.1f}" y="{bottom + 12}" text-anchor="middle">{label}</text>']


def _text(x: float, y: float, words: str, kind: str) -> str:
    safe = words.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    return f'<text class="{kind}" x="{x}" y="{y}">{safe}</text>'


def _mark(rate: int, x: float, y: float) -> str:
    if rate == RATES[0]:
        return f'<circle class="r{rate}" cx="{x:.1f}" cy="{y}" r="3.6"/>'
    if rate == RATES[1]:
        return f'<rect class="r{rate}" x="{x - 3.3:.1f}" y="{y - 3.3:.1f}" width="6.6" height="6.6"/>'
    return f'<path class="r{rate}" d="M{x:.1f} {y - 4.6:.1f}l4.6 4.6l-4.6 4.6l-4.6-4.6z"/>'


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--repetitions", type=int, default=400)
    parser.add_argument("--out", type=Path)
    parser.add_argument("--plot", type=Path)
    add_json(parser)
    chosen = parser.parse_args(arguments)
    found = []
    for case in cases():
        print(case.title, file=sys.stderr)
        repetitions = chosen.repetitions // ALLOWED_LESS if case.allowed else chosen.repetitions
        found.append((case, run(case, repetitions)))
    text = report(found, chosen.repetitions)
    print(text)
    if chosen.out:
        chosen.out.write_text(text, encoding="utf-8")
    write(figures(found), chosen.json)
    if chosen.plot:
        chosen.plot.write_text(plot(found), encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
