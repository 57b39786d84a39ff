"""Batches as a person runs them, with the parts in hand."""

from __future__ import annotations

import hashlib
import os
import random
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cinegen_core.batch import (
    Graph,
    Hands,
    HereHands,
    Landing,
    Outcome,
    Planner,
    Results,
    canonical,
    load_plan,
    run_batch,
)
from cinegen_core.batch.bench import Bench
from cinegen_core.batch.running import Progress
from cinegen_core.clock import SystemClock
from cinegen_core.monitor.events import Event
from cinegen_core.settings import Settings
from cinegen_core.store import Record, SqlStore
from cinegen_core.store.events import SqlEvents
from cinegen_core.store.sql import Database
from cinegen_core.studio import Studio, open_database, open_studio

TWO_SEASONS = """
[[seasons]]
bible = "sworn"
seeds = [1, 2]
episodes = 2
tier = "basic_fallback"
"""
"""Written by the template, which is quickest."""

WITH_ENGINES = TWO_SEASONS.replace('tier = "basic_fallback"', "")


@dataclass
class Desk:
    """A folder with a plan, a store and what comes of batches."""

    folder: Path
    settings: Settings

    @property
    def results(self) -> Results:
        return Results(self.folder / "out")

    def plan(self, text: str) -> Path:
        file = self.folder / "plan.toml"
        file.write_text(text, encoding="utf-8")
        return file

    @contextmanager
    def opened(self, text: str) -> Iterator[tuple[Graph, Database, Studio]]:
        results = self.results
        results.open()
        loaded = load_plan(self.plan(text))
        with open_studio(self.settings) as studio, open_database(self.settings) as database:
            yield Planner(studio, database, results, loaded).graph(), database, studio

    def run(
        self,
        text: str,
        hands: Callable[[Graph], Hands] | None = None,
        told: Callable[[Progress], None] = lambda progress: None,
    ) -> tuple[Graph, Outcome]:
        with self.opened(text) as (graph, database, _), Landing(database, self.results, graph) as landing:
            return graph, run_batch(graph, (hands or here)(graph), landing, told)

    def records(self) -> dict[str, Record]:
        with open_database(self.settings) as database:
            store = SqlStore(database)
            return {one.id: one for season in store.seasons() for one in store.records(season.id)}

    def bytes(self) -> dict[str, str]:
        """What the store keeps: for each episode a digest of its canonical bytes."""
        return {
            id: hashlib.sha256(canonical(record.generation)).hexdigest()
            for id, record in self.records().items()
        }

    def events(self) -> list[Event]:
        with open_database(self.settings) as database:
            return [event for _, event in SqlEvents(database).read(series=None)]


def a_desk(folder: Path, **settings: Any) -> Desk:
    known = Settings(data_dir=folder / "data", cache_megabytes=0, install_id="tests", **settings)
    return Desk(folder, known)


def a_bench(graph: Graph) -> Bench:
    return Bench(graph.kit, environ=os.environ, clock=SystemClock(), rng=random.Random(1))


def here(graph: Graph) -> Hands:
    return HereHands(a_bench(graph).do)
