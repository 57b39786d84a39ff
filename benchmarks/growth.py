"""What a fuller store costs: `python -m benchmarks.growth [--sizes 100,1000,10000] [--rounds 60] [--quick] [--out FILE] [--json FILE]`.

Each size has a store of its own, with so many episodes (copies of a few real ones under ids of their own, in seasons of fifty) and about
as many live answers in the last four weeks, and a studio over it in a process of its own, so that what one keeps in memory slows no
other. All are asked for the same in turn, each round in another order, so that what else the machine does meets every size; sizes
are compared within each round. That the same request gives the same episode in every store is checked each time.
"""

from __future__ import annotations

import argparse
import hashlib
import itertools
import json
import math
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, NamedTuple

import pandas as pd
from sqlalchemy import insert
from starlette.testclient import TestClient

from benchmarks.figures import (
    Figure,
    Promise,
    Report,
    add_json,
    beside,
    load,
    number,
    repeated,
    spread,
    this_machine,
    write,
)
from benchmarks.pages import PER_SEASON, copies
from benchmarks.results import KEPT, NOT_KEPT, facts, table
from benchmarks.tiers import Process, started
from cinegen_core.analysis import explore
from cinegen_core.api import api_app
from cinegen_core.store import Record, Season
from cinegen_core.store.sql_episodes import EPISODES, SqlStore
from cinegen_core.story import EpisodeRequest
from cinegen_core.story.load import load_sample
from cinegen_core.studio import Studio, open_database, open_studio
from tests.pages.seeded import as_live, record, season, settings_for, simulated

SAMPLES = ("slack_water", "dead_air", "half_a_letter")
DAYS = 28.0
PEOPLE = 3000
"""For whom flags are evaluated in each round."""

WRITTEN = "write an episode and keep it"
OPENED = "open the studio"
FIRST_TABLES = "the explorer's tables, first time"
DOES: Mapping[str, str] = {
    WRITTEN: "by the embedded writer with all engines, judged, recorded, watched by triggers and alerts",
    "begin a season": "a new one, kept with its bible",
    "metrics": "`endpoint=metrics` over HTTP, after one more answer",
    "the explorer's tables": "brought up to date, after one more answer",
    "the explorer's views": "every table that its charts and lists are drawn from, of all answers",
    "evaluate the flags": f"the six that steer one request, of {PEOPLE:,} persons",
    "read a season": f"its bible, the list of its {PER_SEASON} episodes, and one of them",
    "list the seasons": "all of them",
    OPENED: "from settings to a studio that could write",
    FIRST_TABLES: "read from the record by a studio that has just opened",
}  # fmt: skip
"""What is measured, and what it is."""

FLAT = 1.10
"""Times the smallest store's time, up to which what grows counts as flat."""

VIEWS: Sequence[Callable[[pd.DataFrame], object]] = (
    explore.summary, explore.distribution, explore.trend, explore.by_dimension, explore.by_genre, explore.by_tier, explore.by_writer,
    explore.by_title, explore.by_cohort, explore.worst, explore.best, explore.slowest,
)  # fmt: skip

Seconds = dict[str, float]


# A store.


def filled(folder: Path, originals: Sequence[Record], episodes: int, now: datetime) -> None:
    """A store with so many episodes, and about so many answers of the last weeks up to now."""
    bible, settings = load_sample(SAMPLES[0]), settings_for(folder)
    with open_studio(settings) as studio:
        answers = as_live(simulated(studio, days=DAYS, rate=episodes / (24.0 * DAYS), seed=11))
        record(settings, answers)
    with open_database(settings) as database:
        store = SqlStore(database)
        for place in range(max(1, episodes // PER_SEASON)):
            one = Season(id=f"{place + 1:016x}", title=f"{bible.title} {place + 1}", source=SAMPLES[0], started=now - timedelta(hours=place + 1))  # fmt: skip
            store.add_season(one, bible)
            rows = [
                {"id": copy.id, "season": copy.season, "number": copy.number, "saved": copy.saved, "data": copy.model_dump_json()}
                for copy in copies(one, originals)
            ]  # fmt: skip
            with database.writing() as connection:
                connection.execute(insert(EPISODES), rows)


def some_originals() -> tuple[tuple[Record, ...], datetime]:
    """A few episodes as a studio writes them, and the time by its clock."""
    with tempfile.TemporaryDirectory() as folder, open_studio(settings_for(Path(folder))) as studio:
        return tuple(one for name in SAMPLES[:2] for one in season(studio, load_sample(name), episodes=3)), studio.now  # fmt: skip


# The process of one store.


@contextmanager
def timed(into: Seconds, what: str) -> Iterator[None]:
    begun = time.perf_counter()
    yield
    into[what] = time.perf_counter() - begun


def opening(folder: Path) -> Seconds:
    """Opens a studio and looks into its record, as whoever comes to it after a pause."""
    took: Seconds = {}
    with timed(took, OPENED):
        studio = open_studio(settings_for(folder))
    with studio, timed(took, FIRST_TABLES):
        studio.book().tables()
    return took


def a_round(studio: Studio, client: TestClient, place: int) -> tuple[Seconds, str]:
    """Everything once; and a digest of the episode that was written, which is the same in every store."""
    took: Seconds = {}
    bible, reader = load_sample(SAMPLES[place % len(SAMPLES)]), f"reader {place}"
    request = EpisodeRequest(bible=bible, seed=1000 + place)
    with timed(took, "begin a season"):
        opened = studio.open_season(bible)
    with timed(took, WRITTEN):
        job = studio.start(request, season=opened.id, who=reader, fresh=True)
        studio.wait(job)
    written = studio.store.record(opened.id, job)
    assert written is not None, studio.job(job)
    with timed(took, "metrics"):
        answer = client.get("/generate/episode?endpoint=metrics")
    assert answer.status_code == 200, answer.text
    with timed(took, "the explorer's tables"):
        tables = studio.book().tables()
    with timed(took, "the explorer's views"):
        for view in VIEWS:
            view(tables.answers)
        explore.by_engine(tables.answers, tables.engines)
    with timed(took, "evaluate the flags"):
        for person in range(PEOPLE):
            studio.policy(f"{reader}, {person}")
    with timed(took, "list the seasons"):
        seasons = studio.store.seasons()
    full = sorted(one.id for one in seasons if one.source == SAMPLES[0])
    chosen = full[(7 * place) % len(full)]
    with timed(took, "read a season"):
        studio.store.bible(chosen)
        listed = studio.store.summaries(chosen)
        assert studio.store.record(chosen, listed[(11 * place) % len(listed)].id) is not None
    digest = hashlib.sha256(written.generation.episode.model_dump_json().encode()).hexdigest()
    return took, digest


def serve(folder: Path) -> None:
    """Answers each line on standard input with what it took: null opens a studio, a number is a round in one that stays open."""
    print(json.dumps("ready"), flush=True)
    with ExitStack() as stays:
        kept: tuple[Studio, TestClient] | None = None
        for place in map(json.loads, sys.stdin):
            if place is None:
                print(json.dumps(opening(folder)), flush=True)
                continue
            if kept is None:
                studio = stays.enter_context(open_studio(settings_for(folder)))
                assert studio.monitoring is not None
                app = api_app(studio, studio.monitoring, token="")
                kept = studio, stays.enter_context(TestClient(app, base_url="http://127.0.0.1", client=("127.0.0.1", 5000)))  # fmt: skip
            print(json.dumps(a_round(*kept, place)), flush=True)


# All of them.


class Found(NamedTuple):
    """Seconds of each thing, in each store by its episodes, in the order of rounds; and the sizes of the stores in MB."""

    sizes: tuple[int, ...]
    seconds: Mapping[str, Mapping[int, Sequence[float]]]
    megabytes: Mapping[int, float]

    def grown(self, what: str, size: int) -> Figure:
        """What it takes in the store of this size, in what it takes in the smallest."""
        return beside(self.seconds[what][size], self.seconds[what][self.sizes[0]])


def measured(sizes: tuple[int, ...], rounds: int, openings: int, folder: Path) -> Found:
    """Fills the stores, and measures everything in all of them in turn; the first opening and the first round are left out."""
    originals, now = some_originals()
    for size in sizes:
        print(f"filling a store with {size:,} episodes", file=sys.stderr)
        filled(folder / str(size), originals, size, now)
    seconds: dict[str, dict[int, list[float]]] = {what: defaultdict(list) for what in DOES}
    orders = list(itertools.permutations(sizes))
    with ExitStack() as open_processes:
        of: dict[int, Process] = {
            size: open_processes.enter_context(started(f"the store of {size}", sys.executable, "growth", "--serve", str(folder / str(size))))
            for size in sizes
        }  # fmt: skip

        def note(size: int, took: Mapping[str, Any]) -> None:
            for what, its in took.items():
                seconds[what][size].append(its)

        for place in range(openings + 1):
            print(f"opening {place} of {openings}", file=sys.stderr)
            for size in orders[place % len(orders)]:
                took = of[size].ask(None)
                if place:
                    note(size, took)
        for place in range(rounds + 1):
            if place % 10 == 0:
                print(f"round {place} of {rounds}", file=sys.stderr)
            digests = set()
            for size in orders[place % len(orders)]:
                took, digest = of[size].ask(place)
                digests.add(digest)
                if place:
                    note(size, took)
            if len(digests) != 1:
                raise RuntimeError(f"in round {place} the stores gave different episodes for the same request, so that their times say nothing")  # fmt: skip
    megabytes = {size: (folder / str(size) / "cinegen.db").stat().st_size / 1e6 for size in sizes}
    return Found(sizes, seconds, megabytes)


def promises(found: Found) -> list[Promise]:
    """That writing stays flat, and that everything else grows no faster than the store at any size."""
    first, last = found.sizes[0], found.sizes[-1]
    made = []
    for what in DOES:
        if what == WRITTEN:
            words = f"flat within {100 * (FLAT - 1):.0f} % from {first:,} to {last:,} episodes"
            kept = found.grown(what, last).value <= FLAT
        else:
            words = f"flat, or growing slower than the store ({last // first:,} times)"
            kept = all(found.grown(what, size).value <= size / first for size in found.sizes[1:])
        made.append(Promise(words=words, kept=kept, figure=label(what, last, first)))
    return made


def label(what: str, size: int, first: int) -> str:
    return f"{what}, {size:,} episodes: times the time with {first:,}"


def figures(found: Found) -> Report:
    """Each thing's ratios to the smallest store, and its time in the largest."""
    first, last = found.sizes[0], found.sizes[-1]
    told: dict[str, Figure] = {}
    for what in DOES:
        for size in found.sizes[1:]:
            told[label(what, size, first)] = found.grown(what, size)
        told[f"{what}, {last:,} episodes"] = repeated([1e3 * one for one in found.seconds[what][last]], "ms")
    return Report(name="growth", figures=told, promises=tuple(promises(found)))


def power(found: Found, what: str) -> str:
    """How it grows with the number n of episodes, from the smallest store to the largest: n to which power; or that it is flat."""
    ratio = found.grown(what, found.sizes[-1]).value
    grows = math.log(ratio) / math.log(found.sizes[-1] / found.sizes[0])
    return "flat" if ratio <= FLAT else f"n^{grows:.2f}"


def report(found: Found, *, date: str, before: float) -> str:
    """The table, and what was promised."""
    first, last = found.sizes[0], found.sizes[-1]
    rows = []
    for what, meant in DOES.items():
        cells = [f"{what} ({meant})"]
        for size in found.sizes:
            took = repeated([1e3 * one for one in found.seconds[what][size]], "ms")
            cells.append(f"{number(took.value)} ({spread(took)})")
        for size in found.sizes[1:]:
            grown = found.grown(what, size)
            cells.append(f"{grown.value:.2f} ({spread(grown)})")
        rows.append([*cells, power(found, what)])
    head = ["", *(f"{size:,} episodes, ms" for size in found.sizes), *(f"{size:,} to {first:,}" for size in found.sizes[1:]), "grows as"]  # fmt: skip
    stores = ", ".join(f"{size:,} episodes {found.megabytes[size]:,.0f} MB" for size in found.sizes)
    rounds, openings = len(found.seconds[WRITTEN][first]), len(found.seconds[OPENED][first])
    lines = [
        "# What a fuller store costs",
        "",
        f"`python -m benchmarks.growth`, {date}; {facts(this_machine())}; load {before:.2f} at the start and {load():.2f} at the end.",
        "",
        f"A store for each size, in seasons of {PER_SEASON}, with about as many live answers in the last {DAYS / 7:.0f} weeks as it has episodes: "
        f"{stores}. Each has a studio in a process of its own; all are asked for the same in turn, {rounds} rounds and {openings} openings, in "
        "changing order. Milliseconds are the median, and in brackets the 5th to the 95th percentile; ratios are the median of those of "
        "each round, and in brackets how far it can be trusted (95 %, by drawing rounds again, or the least and the most of fewer than eight).",
        "",
        *table(head, rows),
        "",
        f"`grows as` is from {first:,} to {last:,} episodes, n being their number: flat within {100 * (FLAT - 1):.0f} %, and otherwise "
        "the power; n^1 would be linear.",
        "",
        "## Promises",
        "",
        *(f"* {what}: {one.words}: {KEPT if one.kept else NOT_KEPT}" for what, one in zip(DOES, promises(found), strict=True)),
    ]  # fmt: skip
    return "\n".join(lines) + "\n"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)  # fmt: skip
    parser.add_argument("--sizes", help="episodes in each store (100,1000,10000; quick 50,200)")
    parser.add_argument("--rounds", type=int, help="how often everything is measured (60; quick 6)")
    parser.add_argument("--openings", type=int, help="how often a studio is opened (7; quick 2)")
    parser.add_argument("--quick", action="store_true", help="small stores, few rounds")
    parser.add_argument("--serve", type=Path, metavar="FOLDER", help=argparse.SUPPRESS)
    parser.add_argument("--out", type=Path)
    parser.add_argument("--date", default=time.strftime("%Y-%m-%d"))
    add_json(parser)
    options = parser.parse_args()
    if options.serve:
        serve(options.serve)
        return
    sizes = tuple(int(size) for size in (options.sizes or ("50,200" if options.quick else "100,1000,10000")).split(","))  # fmt: skip
    rounds, openings = options.rounds or (6 if options.quick else 60), options.openings or (2 if options.quick else 7)  # fmt: skip
    before = load()
    with tempfile.TemporaryDirectory() as folder:
        found = measured(sizes, rounds, openings, Path(folder))
    write(figures(found), options.json)
    text = report(found, date=options.date, before=before)
    print(text, end="")
    if options.out:
        options.out.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
