"""What a second worker adds to a batch: seasons by the embedded writer on one worker, on two, and one after the other without Dask, side
by side: `python -m benchmarks.batch [--episodes 500] [--repeats 2] [--out FILE] [--json FILE]`.

Every run has a store of its own, and ends when all of it is kept there. Workers are started and warmed by a small batch before the clock
runs: starting is told apart. Within a repeat the order of the three changes, so that a machine that grows slower favours none of them.
What they wrote is compared byte by byte: episodes and scorecards.
"""

from __future__ import annotations

import argparse
import hashlib
import os
import platform
import random
import statistics
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

from sqlalchemy import select

from benchmarks.figures import Promise, Report, add_json, at_least, beside, repeated, write
from cinegen_core.batch import (
    Graph,
    Hands,
    HereHands,
    Kit,
    Landing,
    Planner,
    Results,
    canonical,
    load_plan,
    run_batch,
)
from cinegen_core.batch.bench import Bench
from cinegen_core.batch.cluster import hands
from cinegen_core.clock import SystemClock
from cinegen_core.settings import Settings
from cinegen_core.store import Record
from cinegen_core.store.sql import Database
from cinegen_core.store.sql_episodes import EPISODES
from cinegen_core.story.load import sample_names
from cinegen_core.studio import open_database, open_studio

SEASON = 10
"""Episodes of a season."""

PROMISED = 1.8
"""Two workers against one."""

WAYS = (0, 1, 2)
"""Numbers of workers; 0 is one task after the other in this process."""

NAMES = {0: "one after the other, no Dask", 1: "1 worker", 2: "2 workers"}


class Run(NamedTuple):
    """One run. `seconds` for writing and keeping everything, `started` for starting the workers, `own` are the seconds of processor
    time of the process that runs the batch (with no workers, it writes as well)."""

    seconds: float
    started: float
    own: float
    digests: dict[str, str]


def plan_text(episodes: int, first_seed: int) -> str:
    """Seasons of `SEASON` episodes over all samples in turn, so many episodes in all."""
    names = sample_names()
    seasons = max(1, round(episodes / SEASON))
    tables = []
    for place, name in enumerate(names):
        count = len(range(place, seasons, len(names)))
        if count:
            tables.append(
                f'[[seasons]]\nbible = "{name}"\ncount = {count}\nfirst_seed = {first_seed}\n'
                f"episodes = {min(SEASON, episodes)}\n"
            )
    return "\n".join(tables)


@contextmanager
def workers(number: int, kit: Kit) -> Iterator[Hands]:
    if number:
        with hands(kit, clock=time.monotonic, workers=number) as found:
            yield found
    else:
        bench = Bench(kit, environ=os.environ, clock=SystemClock(), rng=random.SystemRandom())
        yield HereHands(bench.do)


@contextmanager
def graph_of(text: str, folder: Path) -> Iterator[tuple[Graph, Database, Results]]:
    folder.mkdir(parents=True)
    file = folder / "plan.toml"
    file.write_text(text, encoding="utf-8")
    settings = Settings(data_dir=folder / "data", cache_megabytes=0, install_id="benchmark")
    results = Results(folder / "out")
    results.open()
    with open_studio(settings) as studio, open_database(settings) as database:
        yield Planner(studio, database, results, load_plan(file)).graph(), database, results


def done(graph: Graph, hands: Hands, database: Database, results: Results) -> float:
    """Seconds that it took."""
    started = time.perf_counter()
    with Landing(database, results, graph) as landing:
        outcome = run_batch(graph, hands, landing)
    assert outcome.whole, outcome.failed
    return time.perf_counter() - started


def measure(number: int, episodes: int, folder: Path) -> Run:
    warming = plan_text(4 * SEASON, 10_000).replace(f"episodes = {SEASON}", "episodes = 2")
    with (
        graph_of(warming, folder / "warm") as warm,
        graph_of(plan_text(episodes, 0), folder / "run") as (graph, database, results),
    ):
        started = time.perf_counter()
        kit = graph.kit.model_copy(update={"bibles": {**warm[0].kit.bibles, **graph.kit.bibles}})
        with workers(number, kit) as found:
            ready = time.perf_counter() - started
            done(warm[0], found, warm[1], warm[2])
            own = time.process_time()
            seconds = done(graph, found, database, results)
            own = time.process_time() - own
        return Run(seconds, ready, own, digests(database))


def digests(database: Database) -> dict[str, str]:
    """For each episode in the store, what stands for its canonical bytes."""
    found: dict[str, str] = {}
    with database.reading() as connection:
        for row in connection.execute(select(EPISODES.c.id, EPISODES.c.data)):
            made = Record.model_validate_json(row.data).generation
            found[row.id] = hashlib.sha256(canonical(made)).hexdigest()
    return found


class Ratio(NamedTuple):
    """Of medians, with the least and the greatest of the repeats, each of which compares runs beside each other."""

    value: float
    low: float
    high: float

    @property
    def words(self) -> str:
        return f"{self.value:.2f} ({self.low:.2f} to {self.high:.2f})"


def ratio(slow: Sequence[Run], fast: Sequence[Run]) -> Ratio:
    each = [one.seconds / other.seconds for one, other in zip(slow, fast, strict=True)]
    return Ratio(statistics.median(each), min(each), max(each))


def report(runs: dict[int, list[Run]], equal: bool, date: str) -> str:
    number = len(runs[0][0].digests)
    lines = [
        "# What a second worker adds to a batch",
        "",
        f"`python -m benchmarks.batch --episodes {number} --repeats {len(runs[0])}`, {date}; Python {platform.python_version()}, "
        f"{platform.machine()}, {os.cpu_count()} cores. {number} episodes by the embedded writer, with all engines, in seasons of "
        f"{min(SEASON, number)}, {len(runs[0])} times each; medians, with the least and the greatest.",
        "",
        "| how | seconds | an episode, ms | episodes a minute | workers ready after, s | the batch's own process, s of a core |",
        "|---|---|---|---|---|---|",
    ]
    for how, some in runs.items():
        times = [run.seconds for run in some]
        middle = statistics.median(times)
        lines.append(
            f"| {NAMES[how]} | {middle:.1f} ({min(times):.1f} to {max(times):.1f}) | {1000 * middle / number:.0f} "
            f"| {60 * number / middle:,.0f} | {statistics.median(run.started for run in some):.1f} "
            f"| {statistics.median(run.own for run in some):.1f} |"
        )
    two, here = ratio(runs[1], runs[2]), ratio(runs[0], runs[2])
    lines += [
        "",
        "Ratios are of runs in the same repeat, one after the other. Workers are ready and warm before the clock runs; it ends when "
        "everything is in the store.",
        "",
        "## Promises",
        "",
        f"* two workers against one at least {PROMISED} times as fast: {two.words}: "
        + ("kept" if two.value >= PROMISED else "NOT KEPT"),
        f"* two workers against one process without Dask: {here.words}",
        f"* all {number} episodes and scorecards the same bytes, in whatever way they were made: "
        + ("kept" if equal else "NOT KEPT"),
    ]
    return "\n".join(lines) + "\n"


def figures(runs: dict[int, list[Run]], equal: bool) -> Report:
    """The headlines, for `benchmarks.figures`."""
    seconds = {how: [run.seconds for run in some] for how, some in runs.items()}
    two, here = "2 workers against 1", "2 workers against one process without Dask"
    made = {
        two: beside(seconds[1], seconds[2], better="higher", what_it_means="how many times as fast"),
        here: beside(seconds[0], seconds[2], better="higher", what_it_means="how many times as fast"),
        **{NAMES[how]: repeated(some, "s") for how, some in seconds.items()},
    }
    promises = (
        at_least(made, two, PROMISED),
        Promise(
            words="all episodes and scorecards the same bytes, in whatever way they were made", kept=equal
        ),
    )
    return Report(name="batch", figures=made, promises=promises)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--episodes", type=int, default=500)
    parser.add_argument("--repeats", type=int, default=2)
    parser.add_argument("--out", type=Path)
    add_json(parser)
    parser.add_argument("--date", default=time.strftime("%Y-%m-%d"))
    options = parser.parse_args()
    runs: dict[int, list[Run]] = {number: [] for number in WAYS}
    for repeat in range(options.repeats):
        for number in WAYS[repeat % 3 :] + WAYS[: repeat % 3]:
            with tempfile.TemporaryDirectory() as folder:
                runs[number].append(measure(number, options.episodes, Path(folder)))
            print(f"repeat {repeat + 1}, {NAMES[number]}: {runs[number][-1][:3]}", file=sys.stderr)
    known = runs[0][0].digests
    equal = all(run.digests == known for some in runs.values() for run in some)
    text = report(runs, equal, options.date)
    print(text, end="")
    if options.out:
        options.out.write_text(text, encoding="utf-8")
    write(figures(runs, equal), options.json)


if __name__ == "__main__":
    main()
