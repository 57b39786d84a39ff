"""A batch in words: how it stands while it runs, and what became of it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, TextColumn, TimeElapsedColumn, TimeRemainingColumn
from rich.progress import Progress as Bar

from cinegen_core.batch.graph import Graph
from cinegen_core.batch.running import Outcome, Progress
from cinegen_core.batch.tasks import Rows, Task

GRAIN = 1000
"""Steps of the bar."""

SHOWN = 20
"""Failures told one by one; all of them are in the report."""


@contextmanager
def progress_bar(console: Console) -> Iterator[Callable[[Progress], None]]:
    """Shows how a batch stands, twice a second, while it is entered; where nobody watches, only how it ended."""
    columns = (
        TextColumn("{task.fields[said]}"), BarColumn(bar_width=30), TextColumn("{task.percentage:>3.0f} %"),
        TimeElapsedColumn(), TextColumn("ends in about"), TimeRemainingColumn(compact=True, elapsed_when_finished=False),
    )  # fmt: skip
    # Drawing costs a core that the workers share, and nobody reads faster.
    with Bar(*columns, console=console, refresh_per_second=2, speed_estimate_period=300) as bar:
        shown = bar.add_task("batch", total=GRAIN, said="beginning")

        def told(progress: Progress) -> None:
            bar.update(shown, completed=GRAIN * progress.share, said=standing(progress))

        yield told


def standing(progress: Progress) -> str:
    """One line: "12 of 40 done (8 before), 2 running, 1 failed"."""
    before = f" ({progress.kept} before)" if progress.kept else ""
    failed = f", {progress.failed} failed" if progress.failed else ""
    return f"{progress.done} of {progress.total} done{before}, {progress.running} running{failed}"


def ending(graph: Graph, outcome: Outcome, seconds: float) -> Iterator[str]:
    """What became of a batch, a line for each matter."""
    total = sum(len(chain.tasks) for chain in graph.chains)
    if len(outcome.kept) == total:
        yield f"All {total} tasks were done before; there was nothing left to do."
        return
    before = f", {len(outcome.kept)} were done before" if outcome.kept else ""
    yield f"{len(outcome.done)} of {total} tasks done in {seconds:.1f} s{before}."
    broken = [task for task in graph.tasks if task.id in outcome.failed]
    for task in broken[:SHOWN]:
        yield f"  {task.words}: {_sentence(outcome.failed[task.id])}"
    if len(broken) > SHOWN:
        yield f"  ... and {len(broken) - SHOWN} more; report.json has all of them."


def report(graph: Graph, outcome: Outcome, *, plan: Path, began: datetime, ended: datetime) -> dict[str, Any]:
    """What became of each task, for a program to read. `state` is done, kept (done before), failed, or open."""
    return {
        "plan": str(plan),
        "began": began.isoformat(timespec="seconds"),
        "ended": ended.isoformat(timespec="seconds"),
        "stopped": outcome.stopped,
        "code": graph.kit.code,
        "tasks": [_told(task, outcome) for task in graph.tasks],
    }


def _told(task: Task, outcome: Outcome) -> dict[str, Any]:
    told: dict[str, Any] = {"id": task.id, "kind": task.kind, "what": task.words}
    if task.id in outcome.kept:
        return {**told, "state": "kept"}
    if task.id in outcome.failed:
        return {**told, "state": "failed", "why": outcome.failed[task.id]}
    result = outcome.done.get(task.id)
    if result is None:
        return {**told, "state": "open"}
    score = {} if isinstance(result, Rows) else {"score": result.score}
    return {**told, "state": "done", "seconds": round(result.seconds, 3), **score}


def _sentence(why: str) -> str:
    return why if why.endswith((".", "!", "?")) else f"{why}."
