"""What monitoring costs: durable events a second, the latency of `endpoint=metrics`, and memory, beside plain pandas over the same
table: `python -m benchmarks.monitoring [--sizes 10000,100000,1000000] [--out FILE]`.

The events are of 56 days up to the present, evenly spread, each with 17 engines, seven dimensions and six flags. Every size
is measured in a process of its own. Before each request for the metrics one more answer is recorded, so that nothing asked
for was computed before.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import random
import statistics
import subprocess
import sys
import tempfile
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pandas as pd
from starlette.testclient import TestClient

from benchmarks.figures import Figure, Report, add_json, at_most, write
from cinegen_core.api import api_app
from cinegen_core.monitor.events import GenerationEvent
from cinegen_core.monitoring import Monitoring
from cinegen_core.settings import Settings
from cinegen_core.store.events import SqlEvents
from cinegen_core.store.rollups import SqlRollups
from cinegen_core.store.sql import Database, sqlite_url
from cinegen_core.studio import Studio

END = datetime(2026, 11, 1, 12, 20, tzinfo=UTC)
DAYS = 56
BATCH = 5000
REQUESTS = 40
DURABLE = 1500
ENGINES = [f"Engine{number}" for number in range(17)]
DIMENSIONS = ["character", "dialogue", "structure", "conflict", "world", "genre", "coherence"]
FLAGS = [
    "complete_context",
    "high_temperature",
    "enhanced_fallbacks",
    "comprehensive_engines",
    "genre_engines",
    "beta",
]


class Frozen:
    def __init__(self, at: datetime) -> None:
        self.at = at

    def now(self) -> datetime:
        return self.at


def events(number: int) -> list[GenerationEvent]:
    """As many answers, oldest first."""
    rng = random.Random(7)
    base = GenerationEvent.model_validate(
        {
            "id": "base", "at": END, "tier": "comprehensive", "first": "comprehensive", "writer": "a model",
            "profile": "model", "seconds": 1.0, "score": 8.0, "quality": 8.0, "who": "0" * 24,
            "engines": [{"engine": name, "delivered": True, "realised": 0.8} for name in ENGINES],
            "dimensions": dict.fromkeys(DIMENSIONS, 8.0), "flags": dict.fromkeys(FLAGS, True),
            "attempts": [{"tier": "comprehensive", "writer": "a model", "outcome": "accepted", "seconds": 20.0,
                          "score": 8.0, "calls": 20, "tokens": 30_000, "cost": 0.05}],
        }
    )  # fmt: skip
    step = timedelta(days=DAYS) / max(1, number)
    made = []
    for place in range(number):
        quality = min(10.0, max(0.0, rng.gauss(8.2, 0.5)))
        changes = {
            "id": f"g{place:07}",
            "at": END - timedelta(days=DAYS) + place * step,
            "seconds": round(rng.lognormvariate(3.3, 0.4), 3),
            "score": quality,
            "quality": quality,
            "error": rng.random() < 0.01,
            "fallback": rng.random() < 0.03,
        }
        made.append(base.model_copy(update=changes))
    return made


def resident() -> float:
    """Megabytes that this process holds."""
    for line in Path("/proc/self/status").read_text(encoding="ascii").splitlines():
        if line.startswith("VmRSS"):
            return int(line.split()[1]) / 1024
    return float("nan")


def fill(number: int, folder: Path) -> dict[str, Any]:
    """A store with so many events, and what it took to count them."""
    with Database(sqlite_url(folder / "cinegen.db")) as database:
        log = SqlEvents(database)
        made = events(number)
        started = time.perf_counter()
        for first in range(0, number, BATCH):
            log.add(*made[first : first + BATCH])
        filled = time.perf_counter() - started
        started = time.perf_counter()
        SqlRollups(database, log).roll_up()
        return {"events": number, "filled": filled, "rolled": time.perf_counter() - started}


def measure(folder: Path) -> dict[str, Any]:
    """Everything that is measured with what is in the store, by a process that did not put it there."""
    database = Database(sqlite_url(folder / "cinegen.db"))
    log = SqlEvents(database)
    rollups = SqlRollups(database, log)
    template = events(1)[0]
    clock = Frozen(END)
    before = resident()
    started = time.perf_counter()
    monitoring = Monitoring(log, rollups, now=clock.now, secret="benchmark", studio="benchmark")
    opened = time.perf_counter() - started
    studio = Studio(Settings(data_dir=folder, cache_megabytes=0), monitoring=monitoring)
    latencies: list[float] = []
    cold = 0.0
    app = api_app(studio, monitoring, token="")
    with TestClient(app, base_url="http://127.0.0.1", client=("127.0.0.1", 5000)) as client:
        for place in range(REQUESTS + 1):
            clock.at += timedelta(seconds=1)
            monitoring.generated(template.model_copy(update={"id": f"new{place}", "at": clock.at}))
            started = time.perf_counter()
            answer = client.get("/generate/episode?endpoint=metrics")
            took = time.perf_counter() - started
            assert answer.status_code == 200, answer.text
            if place:
                latencies.append(took)
            else:
                cold = took
    after = resident()
    table = by_pandas_load(database)
    pandas_rss = resident() - after
    warm = [by_pandas(table, clock.at) for _ in range(15)]
    started = time.perf_counter()
    rates = []
    for place in range(DURABLE):
        begun = time.perf_counter()
        clock.at += timedelta(seconds=1)
        monitoring.generated(template.model_copy(update={"id": f"durable{place}", "at": clock.at}))
        rates.append(time.perf_counter() - begun)
    durable = DURABLE / (time.perf_counter() - started)
    database.close()
    return {
        "opened": opened, "cold": cold,
        "median": statistics.median(latencies), "p5": sorted(latencies)[int(0.05 * len(latencies))], "p95": sorted(latencies)[int(0.95 * len(latencies))],
        "memory": after - before, "pandas_load": table.attrs["seconds"], "pandas": statistics.median(warm),
        "pandas_memory": pandas_rss, "durable": durable, "durable_p95": sorted(rates)[int(0.95 * DURABLE)],
        "mb": (folder / "cinegen.db").stat().st_size / 1e6,
    }  # fmt: skip


def by_pandas_load(database: Database) -> pd.DataFrame:
    """The columns that the metrics need, out of the same table."""
    started = time.perf_counter()
    with database.reading() as connection:
        raw = pd.read_sql_query("SELECT at, data FROM events WHERE kind = 'generation' AND series = 'live'", connection.connection.dbapi_connection)  # fmt: skip
    rows = [
        (
            one["seconds"], one["quality"], one["score"], one["error"], one["fallback"],
            len(one["engines"]), sum(engine["delivered"] for engine in one["engines"]),
        )
        for one in map(json.loads, raw["data"])
    ]  # fmt: skip
    table = pd.DataFrame(
        rows, columns=["seconds", "quality", "score", "error", "fallback", "active", "delivered"]
    )
    table["at"] = pd.to_datetime(raw["at"], format="ISO8601", utc=True)
    table.attrs["seconds"] = time.perf_counter() - started
    return table


def by_pandas(table: pd.DataFrame, now: datetime) -> float:
    """Seconds for the figures of the metrics, from a table that is in memory already (without health, trend and uptime)."""
    started = time.perf_counter()
    day = table[table["at"] >= pd.Timestamp(now) - pd.Timedelta(hours=24)]
    _ = (
        len(table), day["quality"].mean(), 1 - day["error"].mean(), day["seconds"].mean(),
        day["seconds"].quantile([0.5, 0.95, 0.99]), day["delivered"].sum() / max(1, day["active"].sum()),
        day["fallback"].mean(), pd.cut(day["score"], [0, 3, 5, 7, 8, 9, 10]).value_counts(normalize=True),
    )  # fmt: skip
    return time.perf_counter() - started


def figures(found: list[dict[str, Any]]) -> Report:
    """The metrics at each size, beside pandas, and how they grow. What was measured once has no spread."""
    first, last = found[0], found[-1]
    told: dict[str, Figure] = {}
    for one in found:
        told[f"metrics of {one['events']:,} events"] = Figure(
            value=1e3 * one["median"], low=1e3 * one["p5"], high=1e3 * one["p95"], unit="ms", better="lower"
        )
        told[f"pandas from the store, in that time, {one['events']:,} events"] = Figure(
            value=(one["pandas_load"] + one["pandas"]) / one["median"], unit="ratio"
        )
    told[f"durable answers a second, {last['events']:,} events in the store"] = Figure(
        value=last["durable"], unit="a second", better="higher"
    )
    grown = f"metrics of {last['events']:,} events, in the time of {first['events']:,}"
    told[grown] = Figure(
        value=last["median"] / first["median"],
        low=last["p5"] / first["p95"],
        high=last["p95"] / first["p5"],
        unit="ratio",
        better="lower",
    )
    times = last["events"] / first["events"]
    promises = [
        at_most(told, f"metrics of {last['events']:,} events", 50.0),
        at_most(told, grown, times, f"slower than the events, {times:g} times"),
    ]
    return Report(name="monitoring", figures=told, promises=tuple(promises))


def measured(sizes: list[int]) -> list[dict[str, Any]]:
    """What each size takes."""
    found = []
    for size in sizes:
        with tempfile.TemporaryDirectory() as folder:
            each: dict[str, Any] = {}
            for step in (["--fill", str(size)], ["--measure"]):
                done = subprocess.run(
                    [sys.executable, "-m", "benchmarks.monitoring", *step, "--folder", folder],
                    check=True, capture_output=True, text=True,
                )  # fmt: skip
                each.update(json.loads(done.stdout.splitlines()[-1]))
            found.append(each)
            print(found[-1], file=sys.stderr)
    return found


def report(found: list[dict[str, Any]], date: str) -> str:
    """The table, and what was promised."""
    first, last = found[0], found[-1]
    growth = (last["median"] / first["median"]) / (last["events"] / first["events"])
    lines = [
        "# What monitoring costs",
        "",
        f"`python -m benchmarks.monitoring`, {date}; Python {platform.python_version()}, {platform.machine()}, "
        f"{os.cpu_count()} cores. SQLite, synchronous FULL. {REQUESTS} requests a size, each after one more answer; times in "
        "milliseconds unless said otherwise.",
        "",
        "| events | store, MB | metrics: median | p95 | first after start | pandas, table in memory | pandas, from the store | "
        "memory, MB | pandas' table, MB | studio opens, s | roll-up of all, s | durable answers a second | one, p95 |",
        "|---|---|---|---|---|---|---|---|---|---|---|---|---|",
    ]
    lines += [
        f"| {one['events']:,} | {one['mb']:.0f} | {1e3 * one['median']:.1f} | {1e3 * one['p95']:.1f} | {1e3 * one['cold']:.0f} "
        f"| {1e3 * one['pandas']:.1f} | {1e3 * one['pandas_load']:,.0f} | {one['memory']:.0f} | {one['pandas_memory']:.0f} "
        f"| {one['opened']:.2f} | {one['rolled']:.1f} | {one['durable']:,.0f} | {1e3 * one['durable_p95']:.1f} |"
        for one in found
    ]
    lines += [
        "",
        "The metrics are asked for over the HTTP interface and include health, trend and uptime, which pandas' column leaves out; "
        "pandas' table holds seven numbers an event, the store everything.",
        "",
        "## Promises",
        "",
        f"* metrics of {last['events']:,} events in at most 50 ms (median): {1e3 * last['median']:.1f}: "
        + ("kept" if last["median"] <= 0.050 else "NOT KEPT"),
        f"* growing slower than the data: {last['median'] / first['median']:.2f} times the time for "
        f"{last['events'] / first['events']:.0f} times the events: " + ("kept" if growth < 1 else "NOT KEPT"),
    ]
    return "\n".join(lines) + "\n"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--sizes", default="10000,100000,1000000")
    parser.add_argument("--fill", type=int)
    parser.add_argument("--measure", action="store_true")
    parser.add_argument("--folder", type=Path)
    parser.add_argument("--out", type=Path)
    parser.add_argument("--date", default=time.strftime("%Y-%m-%d"))
    add_json(parser)
    options = parser.parse_args()
    if options.fill or options.measure:
        print(json.dumps(fill(options.fill, options.folder) if options.fill else measure(options.folder)))
        return
    found = measured([int(size) for size in options.sizes.split(",")])
    write(figures(found), options.json)
    text = report(found, options.date)
    print(text, end="")
    if options.out:
        options.out.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
