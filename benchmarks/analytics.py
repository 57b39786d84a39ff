"""Questions to ten million answers in Parquet files through DuckDB, beside pandas at the sizes that it can take:
`python -m benchmarks.analytics [--events 10000000] [--out FILE] [--json FILE]`.

The answers are the simulator's, drawn again and again with noise (see `benchmarks.analytics_made`), in files as `cinegen events export` writes
them: SIMULATED, as what is measured is time and memory and not quality. Every size has a folder of its own, which is removed. Both are
asked in one process, in turns, each question with the choice of answers that it needs; how much memory each takes is measured in processes
of their own. pandas' tables are in memory already: what it takes to fill them from a store is not counted.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping
from importlib.metadata import version
from pathlib import Path
from typing import Any

from benchmarks.analytics_made import MONTHS, RATED, fill, frames
from cinegen_core.analysis import duck_reports, explore
from cinegen_core.analysis.answers import Answers, FrameAnswers
from cinegen_core.analysis.duck import MEMORY, DuckAnswers, open_folder
from cinegen_core.analysis.filters import Filters, Span

SMALL = (10_000, 100_000, 1_000_000)
"""Sizes at which pandas is asked too."""

REPEATS = 3

ALL: Mapping[str, Any] = {"series": "simulated"}
QUESTIONS: Mapping[str, tuple[Mapping[str, Any], Callable[[Any], object]]] = {
    "summary": (ALL, explore.summary),
    "summary of one tier, genre and span of quality": (
        {**ALL, "tiers": ("comprehensive",), "genres": ("drama",), "quality": Span(low=7.0)}, explore.summary,
    ),
    "summary of answers with an engine": ({**ALL, "engines": ("Horror", "Mystery")}, explore.summary),
    "distribution": (ALL, explore.distribution),
    "trend with its changes": (ALL, explore.trend),
    "by dimension, with quartiles": (ALL, explore.by_dimension),
    "by genre": (ALL, explore.by_genre),
    "by tier": (ALL, explore.by_tier),
    "by engine": (ALL, explore.by_engine),
    "by flag": (ALL, explore.by_cohort),
    "worst": (ALL, explore.worst),
    "slowest": (ALL, explore.slowest),
    "notebook: each tier by the day": (ALL, lambda answers: duck_reports.by_group(answers, "tier", "day")),
    "notebook: spread by week": (ALL, duck_reports.spread_over_time),
}  # fmt: skip
ONLY_IN_FILES: Mapping[str, Callable[[DuckAnswers], object]] = {
    "notebook: ratings beside scores": duck_reports.rated,
    "notebook: tries of each tier": duck_reports.event_tries,
}
"""Of the other questions pandas starts from events, of which it cannot take as many."""

NOTHING = "nothing, with all loaded"


def asked(answers: Answers, question: str) -> float:
    """Seconds."""
    filters, ask = QUESTIONS[question]
    started = time.perf_counter()
    ask(answers.where(Filters.model_validate(filters)))
    return time.perf_counter() - started


def peak() -> float:
    """Megabytes that this process held at most."""
    for line in Path("/proc/self/status").read_text(encoding="ascii").splitlines():
        if line.startswith("VmHWM"):
            return int(line.split()[1]) / 1024
    return float("nan")


def measure(count: int, folder: Path, memory: str) -> dict[str, Any]:
    """Seconds of every question by way, and the peak of memory where DuckDB was alone."""
    both = count <= SMALL[-1]
    tables = FrameAnswers(*frames(count)) if both else None
    found: dict[str, dict[str, list[float]]] = {}
    with open_folder(folder / "events", memory=memory, spill=folder) as events:
        for _ in range(REPEATS):
            for question in QUESTIONS:
                times = found.setdefault(question, {})
                times.setdefault("DuckDB", []).append(asked(events.answers, question))
                if tables is not None:
                    times.setdefault("pandas", []).append(asked(tables, question))
                told = ", ".join(f"{way} {times[way][-1]:.3f} s" for way in times)
                print(f"{count:,} {question}: {told}", file=sys.stderr)
            for question, ask in ONLY_IN_FILES.items():
                started = time.perf_counter()
                ask(events.answers)
                found.setdefault(question, {}).setdefault("DuckDB", []).append(time.perf_counter() - started)
    return {"times": found, "peak": None if both else peak()}


def peak_of(way: str, count: int, folder: Path, memory: str) -> dict[str, Any]:
    """Megabytes that a process held at most that asked every question once, and in between."""
    if way == "pandas":
        tables = FrameAnswers(*frames(count))
        for question in QUESTIONS:
            asked(tables, question)
        return {"peak": peak()}
    with open_folder(folder / "events", memory=memory, spill=folder) as events:
        for question in QUESTIONS:
            asked(events.answers, question)
        for ask in ONLY_IN_FILES.values():
            ask(events.answers)
    return {"peak": peak()}


def sizes(most: int) -> list[int]:
    return [*(size for size in SMALL if size < most), most]


def one_size(count: int, where: Path | None, memory: str) -> dict[str, Any]:
    """Everything of one size, in processes of their own."""
    folder = Path(tempfile.mkdtemp(prefix="cinegen-analytics-", dir=where))
    try:
        started = time.perf_counter()
        filled = _run("--fill", count, folder, memory)
        took = time.perf_counter() - started
        files = sum(file.stat().st_size for file in folder.rglob("*") if file.is_file())
        found = {"count": count, "fill": took, "fill_peak": filled["peak"], "mb": files / 1e6}
        found |= _run("--measure", count, folder, memory)
        peaks = {"DuckDB": found.pop("peak")}
        if count <= SMALL[-1]:
            peaks = {
                way: _run(f"--peak={way}", count, folder, memory)["peak"] for way in ("DuckDB", "pandas")
            }
        return {**found, "peaks": peaks}
    finally:
        shutil.rmtree(folder)


def _run(step: str, count: int, folder: Path, memory: str) -> dict[str, Any]:
    done = subprocess.run(
        [sys.executable, "-m", "benchmarks.analytics", step, "--events", str(count), "--folder", str(folder), "--memory", memory],
        check=True, stdout=subprocess.PIPE, text=True,
    )  # fmt: skip
    found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    print(f"{count:,} {step}: done", file=sys.stderr)
    return found


def spread(times: list[float]) -> str:
    return f"{_seconds(statistics.median(times))} ({_seconds(min(times))} - {_seconds(max(times))})"


def _seconds(seconds: float) -> str:
    return f"{seconds:.3f}" if seconds < 1 else f"{seconds:.2f}" if seconds < 10 else f"{seconds:.1f}"


def report(found: list[dict[str, Any]], memory: str, load: tuple[float, float], date: str) -> str:
    """The tables, in words for people."""
    last = found[-1]
    lines = [
        "# Questions to millions of answers",
        "",
        f"`python -m benchmarks.analytics`, {date}; Python {platform.python_version()}, DuckDB {version('duckdb')}, pandas {version('pandas')}, "
        f"{platform.machine()}, {os.cpu_count()} cores, which others used too (load {load[0]:.1f} at the start, {load[1]:.1f} at the end).",
        "",
        f"SIMULATED answers over {MONTHS} months, drawn from the simulator's with noise; one in {RATED} is rated. Files as `cinegen events export` "
        f"writes them; DuckDB may take {memory} and spills to disk. Seconds: the median of {REPEATS} rounds (fastest - slowest), in which "
        "DuckDB and pandas take turns. pandas' tables are in memory already; DuckDB reads its files each time.",
        "",
        "| question | " + " | ".join(f"{one['count']:,}: DuckDB | pandas | pandas / DuckDB" if "pandas" in one["peaks"] else f"{one['count']:,}: DuckDB" for one in found) + " |",
        "|---" * (1 + sum(3 if "pandas" in one["peaks"] else 1 for one in found)) + "|",
    ]  # fmt: skip
    for question in last["times"]:
        cells = []
        for one in found:
            times = one["times"][question]
            cells.append(spread(times["DuckDB"]))
            if "pandas" in one["peaks"]:
                other = times.get("pandas")
                cells.append("not asked" if other is None else spread(other))
                cells.append("" if other is None else f"{statistics.median(other) / statistics.median(times['DuckDB']):.2f}")  # fmt: skip
        lines.append(f"| {question} | {' | '.join(cells)} |")
    lines += [
        "",
        "Memory is the most that a process held that asked all questions, the interpreter and its libraries (about 180 MB) included; "
        "filling is done by `benchmarks.analytics_made`, not out of a store.",
        "",
        "| answers | files, MB | filled in, s | DuckDB, peak MB | pandas, peak MB |",
        "|---|---|---|---|---|",
    ]
    lines += [
        f"| {one['count']:,} | {one['mb']:,.0f} | {one['fill']:,.0f} | {one['peaks']['DuckDB']:,.0f} | "
        f"{one['peaks']['pandas']:,.0f} |" if "pandas" in one["peaks"]
        else f"| {one['count']:,} | {one['mb']:,.0f} | {one['fill']:,.0f} | {one['peaks']['DuckDB']:,.0f} | not tried |"
        for one in found
    ]  # fmt: skip
    slowest = max(last["times"], key=lambda name: statistics.median(last["times"][name]["DuckDB"]))
    took = statistics.median(last["times"][slowest]["DuckDB"])
    lines += [
        "",
        f"The slowest question to {last['count']:,} answers, {slowest}, takes {_seconds(took)} s.",
        "Where pandas / DuckDB is below 1, pandas is faster: with few answers DuckDB's time is that of planning and of opening files.",
        "That both give the same answers is a test of its own: `tests/analysis/test_at_size.py`.",
    ]
    return "\n".join(lines) + "\n"


def figures(found: list[dict[str, Any]]) -> dict[str, Any]:
    """For machines."""
    told: dict[str, Any] = {}
    for one in found:
        for question, ways in one["times"].items():
            for way, times in ways.items():
                told[f"{question}, {one['count']} answers, {way}"] = _told(times, "s")
            if "pandas" in ways:
                ratios = [other / ours for other, ours in zip(ways["pandas"], ways["DuckDB"], strict=True)]
                label = f"{question}, {one['count']} answers, pandas / DuckDB"
                told[label] = {**_told(ratios, "ratio"), "better": "higher"}
        for way, most in one["peaks"].items():
            told[f"peak memory, {one['count']} answers, {way}"] = {"value": most, "unit": "MB"}
        told[f"files, {one['count']} answers"] = {"value": one["mb"], "unit": "MB"}
    return {"name": "analytics", "figures": told}


def _told(values: list[float], unit: str) -> dict[str, Any]:
    return {"value": statistics.median(values), "unit": unit, "low": min(values), "high": max(values)}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--events", type=int, default=10_000_000, help="answers of the largest size")
    parser.add_argument("--quick", action="store_true", help="at most 100,000 answers")
    parser.add_argument("--memory", default=MEMORY, help="what DuckDB may take")
    parser.add_argument("--folder", type=Path, help="where files go; about 150 MB a million answers")
    parser.add_argument("--fill", action="store_true")
    parser.add_argument("--measure", action="store_true")
    parser.add_argument("--peak", choices=("DuckDB", "pandas"))
    parser.add_argument("--out", type=Path)
    parser.add_argument("--json", type=Path)
    parser.add_argument("--date", default=time.strftime("%Y-%m-%d"))
    options = parser.parse_args()
    if options.fill:
        fill(options.events, options.folder / "events")
        print(json.dumps({"peak": peak()}))
        return
    if options.measure:
        print(json.dumps(measure(options.events, options.folder, options.memory)))
        return
    if options.peak:
        print(json.dumps(peak_of(options.peak, options.events, options.folder, options.memory)))
        return
    load = os.getloadavg()[0]
    most = min(options.events, 100_000) if options.quick else options.events
    found = [one_size(count, options.folder, options.memory) for count in sizes(most)]
    text = report(found, options.memory, (load, os.getloadavg()[0]), options.date)
    print(text, end="")
    if options.out:
        options.out.write_text(text, encoding="utf-8")
    if options.json:
        options.json.write_text(json.dumps(figures(found), indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
