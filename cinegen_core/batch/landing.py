"""What ends lands here: in the store, once, in groups, by one thread of the process that runs the batch.

Workers hand over JSON, which is kept as it is. A group is one transaction: seasons, records and events of it are there together, or not
at all, and its results are done from then on. To land a task twice is to land it once: everything has the task's id.
"""

from __future__ import annotations

import queue
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from types import TracebackType
from typing import Any, NamedTuple, Self

from sqlalchemy import Connection, delete, insert, select, update

from cinegen_core.batch.graph import Graph
from cinegen_core.batch.results import Results
from cinegen_core.batch.tasks import Answered, Episode, Result, Rows, Task, WayTask, Written
from cinegen_core.store.comparisons import COMPARISONS, Comparison
from cinegen_core.store.comparisons import Answered as Answer
from cinegen_core.store.events import EVENTS
from cinegen_core.store.sql import Database
from cinegen_core.store.sql_episodes import EPISODES, SEASONS
from cinegen_core.tiers.model import Generation

GROUP = 64
"""Results in one transaction at most."""

LINGER = 0.25
"""Seconds that a result waits for others to land with."""


class Landed(NamedTuple):
    """A task and what came of it: a result, or why there is none."""

    task: Task
    result: Result | None
    why: str = ""


class Landing:
    """Use it as a context manager: leaving it, all that was given is kept, or an error is raised.

    Raises `StoreError` and `OSError` from `add` or on leaving, whichever comes first, where something could not be kept.
    """

    def __init__(
        self,
        database: Database,
        results: Results,
        graph: Graph,
        *,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._database, self._results, self._graph, self._clock = database, results, graph, clock
        self._bibles = graph.kit.bibles
        self._comparisons = dict(graph.comparisons)
        self._given: queue.SimpleQueue[Landed | None] = queue.SimpleQueue()
        self._failure: Exception | None = None
        self._thread = threading.Thread(target=self._work, name="landing")

    def add(self, landed: Landed) -> None:
        """Gives it to be kept, soon."""
        self._raise()
        self._given.put(landed)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._given.put(None)
        self._thread.join()
        if error is None:
            self._raise()

    def _raise(self) -> None:
        failure, self._failure = self._failure, None
        if failure is not None:
            raise failure

    def _work(self) -> None:
        over = False
        while not over:
            group, over = self._group()
            if not group:
                continue
            try:
                land(self._database, self._results, self._graph, self._comparisons, group)
            except Exception as error:  # noqa: BLE001 (nobody is above this thread; whoever gives more is told)
                self._failure = error
                return

    def _group(self) -> tuple[list[Landed], bool]:
        """What there is, after a moment in which more may come; and whether that was all."""
        first = self._given.get()
        if first is None:
            return [], True
        group = [first]
        until = self._clock() + LINGER
        while len(group) < GROUP:
            try:
                more = self._given.get(timeout=max(0.0, until - self._clock()))
            except queue.Empty:
                break
            if more is None:
                return group, True
            group.append(more)
        return group, False


def land(
    database: Database,
    results: Results,
    graph: Graph,
    comparisons: dict[str, Comparison],
    group: Sequence[Landed],
) -> None:
    """Keeps a group. `comparisons` are as they stand, and are brought up to date. Raises `StoreError` and `OSError`."""
    for task, result, _ in group:
        if isinstance(result, Rows):
            results.add(task.id, result.data)
    written = [(t, r) for t, r, _ in group if isinstance(t, Episode) and isinstance(r, Written)]
    changed: set[str] = set()
    for task, result, why in group:
        if isinstance(task, WayTask):
            answer = _answer(result, why)
            comparisons[task.comparison] = comparisons[task.comparison].with_answer(task.place, answer)
            changed.add(task.comparison)
    if not written and not changed:
        return
    answered = [(task, result) for task, result, _ in group if isinstance(result, Answered)]
    with database.writing() as connection:
        _open_seasons(connection, graph, [task.season for task, _ in written])
        _put(
            connection,
            EPISODES,
            [
                {"id": t.id, "season": t.season, "number": r.number, "saved": r.at, "data": r.record}
                for t, r in written
            ],
        )
        _record(connection, graph, [*written, *answered])
        for id in sorted(changed):
            one = comparisons[id]
            values = {"started": one.started, "data": one.model_dump_json()}
            there = update(COMPARISONS).where(COMPARISONS.c.id == id).values(values)
            if connection.execute(there).rowcount == 0:
                connection.execute(insert(COMPARISONS).values(id=id, **values))


def _answer(result: Result | None, why: str) -> Answer:
    if isinstance(result, Answered):
        return Answer(generation=Generation.model_validate_json(result.generation))
    return Answer(why=why)


def _open_seasons(connection: Connection, graph: Graph, ids: Sequence[str]) -> None:
    """A season is there with its first episode; one that is there already stays as it is."""
    wanted = sorted(set(ids))
    there = set(connection.scalars(select(SEASONS.c.id).where(SEASONS.c.id.in_(wanted))))
    rows = []
    for id in wanted:
        if id not in there:
            season, bible = graph.seasons[id]
            rows.append({**season.model_dump(), "bible": graph.kit.bibles[bible]})
    if rows:
        connection.execute(insert(SEASONS), rows)


def _put(connection: Connection, table: Any, rows: Sequence[Mapping[str, Any]]) -> None:
    """Rows in place of those with their ids."""
    if rows:
        connection.execute(delete(table).where(table.c.id.in_([row["id"] for row in rows])))
        connection.execute(insert(table), list(rows))


def _record(connection: Connection, graph: Graph, answers: Sequence[tuple[Task, Written | Answered]]) -> None:
    """Events, only ever added: one that is there already, by its id, stays as it is."""
    ids = [task.id for task, _ in answers]
    there = set(connection.scalars(select(EVENTS.c.id).where(EVENTS.c.id.in_(ids))))
    rows = [
        {"id": t.id, "at": r.at, "series": t.brief.series, "kind": "generation", "data": r.event}
        for t, r in answers
        if t.id not in there and isinstance(t, Episode | WayTask)
    ]
    if rows:
        connection.execute(insert(EVENTS), rows)
