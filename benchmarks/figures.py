"""What benchmarks say in figures: what was measured, how far it spreads, what was promised, and how two reports compare.

A time is told by its median and by how far its repeats reach (5th to 95th percentile, which of few repeats are the least and the
most); a ratio of two things that were measured in turn by the median of the ratios of each turn, and how far that median can be
trusted. What one machine does at one hour is in its times; ratios have it on both sides.
"""

from __future__ import annotations

import argparse
import math
import os
import platform
import random
import re
import statistics
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

from pydantic import ConfigDict, Field, FiniteFloat, ValidationError, model_validator

from cinegen_core.story.model import Noun

Better = Literal["lower", "higher", ""]

DRAWS = 2000
FEW = 8
"""With fewer repeats than this an interval is their least and most: there is too little to draw from."""

BETTER: Mapping[str, Better] = {
    "s": "lower",
    "ms": "lower",
    "µs": "lower",
    "MB": "lower",
    "a second": "higher",
}
"""Which way is better, where a figure does not say."""

OF_ANY_MACHINE = frozenset({"ratio", "%", "share", "points", "count", "simulated min"})
"""Units that say the same on any machine: what is counted, and what is divided by something measured beside it."""


class FiguresError(Exception):
    """Figures that cannot be read: which, and what is the matter."""


class Figure(Noun):
    """One thing that was measured; `low` and `high` are the ends of its spread, None where nobody knows it.

    What is counted and comes out the same each time has both at its value. A spread reaches at least to the value. Raises
    `ValidationError` for what is not finite. Keys that are not known are passed over: a benchmark may say more.
    """

    model_config = ConfigDict(frozen=True, extra="ignore")

    value: FiniteFloat
    unit: str
    low: FiniteFloat | None = None
    high: FiniteFloat | None = None
    better: Better = ""
    what_it_means: str = ""

    @model_validator(mode="before")
    @classmethod
    def _reaching(cls, given: Any) -> Any:
        if isinstance(given, dict) and isinstance(given.get("value"), int | float):
            value, low, high = given["value"], given.get("low"), given.get("high")
            reach = {} if low is None else {"low": min(low, value)}
            return given | reach | ({} if high is None else {"high": max(high, value)})
        return given


class Promise(Noun):
    """What was promised, in words, and whether it is kept; `figure` is the label of the figure it is about, if it is about one."""

    words: str
    kept: bool
    figure: str = ""


class Report(Noun):
    """What one benchmark found; `left_out` says in words what it could have measured and did not."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    name: str
    figures: dict[str, Figure]
    promises: tuple[Promise, ...] = ()
    left_out: tuple[str, ...] = ()


class Machine(Noun):
    """Where figures are from; memory in GB of 2^30 bytes."""

    cpu: str
    cores: int = Field(ge=1)
    memory: float = Field(ge=0.0)
    python: str
    system: str

    def like(self, other: Machine) -> bool:
        """Whether seconds may be compared: the processor, how many of it and the memory are the same."""
        mine, theirs = (
            (self.cpu, self.cores, round(self.memory)),
            (other.cpu, other.cores, round(other.memory)),
        )
        return mine == theirs


def this_machine() -> Machine:
    """Facts about the computer that this runs on; a load is not among them, as it changes."""
    info = Path("/proc/cpuinfo")
    found = re.search(r"model name\s*: (.*)", info.read_text(encoding="utf-8")) if info.exists() else None
    try:
        system = platform.freedesktop_os_release()["PRETTY_NAME"]
    except (OSError, KeyError):
        system = f"{platform.system()} {platform.release()}"
    return Machine(
        cpu=found.group(1).strip() if found else platform.processor() or platform.machine(),
        cores=os.cpu_count() or 1,
        memory=round(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30, 1),
        python=platform.python_version(),
        system=system,
    )


def load() -> float:
    """How many processes wanted a core, on average over the last minute."""
    return round(os.getloadavg()[0], 2)


# Spread.


def repeated(values: Sequence[float], unit: str, *, better: Better = "", what_it_means: str = "") -> Figure:
    """Of something measured several times: the median, and the 5th and 95th percentile by nearest rank. Once has no spread."""
    ordered = sorted(values)
    once = len(ordered) == 1
    return Figure(
        value=statistics.median(ordered),
        unit=unit,
        low=None if once else ordered[math.ceil(0.05 * len(ordered)) - 1],
        high=None if once else ordered[math.ceil(0.95 * len(ordered)) - 1],
        better=better or BETTER.get(unit, ""),
        what_it_means=what_it_means,
    )


def exactly(value: float, unit: str, *, better: Better = "", what_it_means: str = "") -> Figure:
    """Of what comes out the same each time: counted, or drawn with a fixed seed."""
    return Figure(value=value, unit=unit, low=value, high=value, better=better, what_it_means=what_it_means)


def beside(
    ours: Sequence[float], theirs: Sequence[float], *, better: Better = "lower", what_it_means: str = ""
) -> Figure:
    """Ours in theirs, measured in turn: the median of the ratios of each turn, with an interval of 95 % by drawing turns again
    (Efron, "Bootstrap methods", 1979; percentiles, seed fixed), or the least and the most of few. Raises `ValueError` for turns that
    do not pair."""
    each = [one / other for one, other in zip(ours, theirs, strict=True)]
    low, high = trusted(each) if len(each) > 1 else (None, None)
    return Figure(value=statistics.median(each), unit="ratio", low=low, high=high, better=better, what_it_means=what_it_means)  # fmt: skip


def trusted(values: Sequence[float], seed: int = 1) -> tuple[float, float]:
    """Between what the median lies, in 95 of 100 draws; the least and the most of fewer than `FEW` values."""
    if len(values) < FEW:
        return min(values), max(values)
    rng = random.Random(seed)
    drawn = sorted(statistics.median(rng.choices(values, k=len(values))) for _ in range(DRAWS))
    return drawn[int(0.025 * DRAWS)], drawn[int(0.975 * DRAWS)]


def at_most(figures: Mapping[str, Figure], label: str, most: float, words: str = "") -> Promise:
    """That a figure is no higher than promised."""
    unit = "" if figures[label].unit == "ratio" else f" {figures[label].unit}"
    return Promise(words=words or f"<= {most:g}{unit}", kept=figures[label].value <= most, figure=label)


def at_least(figures: Mapping[str, Figure], label: str, least: float, words: str = "") -> Promise:
    """That a figure is no lower than promised."""
    unit = "" if figures[label].unit == "ratio" else f" {figures[label].unit}"
    return Promise(words=words or f">= {least:,g}{unit}", kept=figures[label].value >= least, figure=label)


# Comparing.

Verdict = Literal["same", "better", "worse", "higher", "lower", "new", "gone", "not compared"]


class Change(Noun):
    """How a figure stands to the one before: `by` is the share it has changed by (0.1: ten percent more), None from nothing; `why` says
    why it was not compared."""

    verdict: Verdict
    before: Figure | None = None
    by: float | None = None
    why: str = ""

    @property
    def words(self) -> str:
        if self.verdict == "not compared":
            return f"not compared: {self.why}"
        if self.verdict in ("same", "new") or self.before is None:
            return self.verdict
        if self.verdict == "gone":
            return f"gone; it was {amount(self.before)}"
        if self.by is None:
            return f"**{self.verdict}**, from {amount(self.before)}"
        return f"**{self.verdict}** by {abs(100.0 * self.by):.3g} %"


def change(now: Figure, before: Figure, *, same_machine: bool) -> Change:
    """A change counts only where the two spreads do not overlap; where one has none nothing can be said."""
    if now.unit != before.unit:
        return Change(verdict="not compared", before=before, why=f"it was in {before.unit or 'no unit'}")
    if not same_machine and now.unit not in OF_ANY_MACHINE:
        return Change(verdict="not compared", before=before, why="another machine")
    if now.low is None or now.high is None or before.low is None or before.high is None:
        return Change(verdict="not compared", before=before, why="no spread is known")
    by = now.value / before.value - 1 if before.value else None
    if now.low <= before.high and before.low <= now.high:
        return Change(verdict="same", before=before, by=by)
    moved: Better = "higher" if now.low > before.high else "lower"
    wanted = now.better or BETTER.get(now.unit, "")
    if not wanted:
        return Change(verdict=moved, before=before, by=by)
    return Change(verdict="better" if moved == wanted else "worse", before=before, by=by)


def compare(now: Report, before: Report, *, same_machine: bool) -> dict[str, Change]:
    """Every figure of either report by its label: those of now in their order, then those that are gone. On another machine only
    what says the same on any (`OF_ANY_MACHINE`) is compared."""
    found = {
        label: change(figure, before.figures[label], same_machine=same_machine)
        if label in before.figures
        else Change(verdict="new")
        for label, figure in now.figures.items()
    }
    gone = {label: Change(verdict="gone", before=one) for label, one in before.figures.items() if label not in found}  # fmt: skip
    return found | gone


# Words and files.


def number(value: float) -> str:
    """Three digits that count, as people write them."""
    size = abs(value)
    if value == int(value):
        return f"{value:,.0f}"
    digits = 0 if size >= 100 else 1 if size >= 10 else 2 if size >= 1 else 3 if size >= 0.1 else 4
    return f"{value:,.{digits}f}"


def amount(figure: Figure) -> str:
    """A figure's value with its unit; a ratio has none."""
    return number(figure.value) if figure.unit in ("", "ratio") else f"{number(figure.value)} {figure.unit}"


def spread(figure: Figure) -> str:
    """From where to where a figure reaches; "exact" where it comes out the same each time."""
    if figure.low is None or figure.high is None:
        return "-"
    return "exact" if figure.low == figure.high else f"{number(figure.low)} to {number(figure.high)}"


def add_json(parser: argparse.ArgumentParser) -> None:
    """The option that every benchmark has."""
    parser.add_argument("--json", type=Path, metavar="FILE", help="writes the headline figures here")


def write(report: Report, file: Path | None) -> None:
    """Writes a report as JSON, if a file is named."""
    if file is not None:
        file.write_text(report.model_dump_json(indent=1) + "\n", encoding="utf-8")


def read(file: Path) -> Report:
    """A benchmark's report. Raises `FiguresError` where there is none, or one that cannot be understood."""
    try:
        return Report.model_validate_json(file.read_bytes())
    except OSError as error:
        raise FiguresError(f"it wrote no figures ({error.strerror})") from error
    except ValidationError as error:
        first = error.errors()[0]
        place = ".".join(map(str, first["loc"])) or "the file"
        raise FiguresError(f"its figures cannot be read ({place}: {first['msg']})") from error
