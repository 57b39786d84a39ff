"""`cinegen batch`: a plan of seasons, comparisons, ablations and scores, on the cores of this computer or on a Dask cluster.

Exit codes: 0 all of it is done, 1 something failed or was withdrawn, or the plan cannot be used, 2 wrong use, 130 stopped by Ctrl-C.
What is done is not done again: the same command goes on where it was.
"""

from __future__ import annotations

import os
import random
import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path
from typing import Annotated, NoReturn

import typer
from rich.console import Console

from cinegen_core.batch.bench import Bench
from cinegen_core.batch.graph import Graph, Planner
from cinegen_core.batch.landing import Landing
from cinegen_core.batch.plan import LoadedPlan, load_plan
from cinegen_core.batch.results import Results
from cinegen_core.batch.running import BatchError, Hands, HereHands, Outcome, run_batch
from cinegen_core.batch.telling import ending, progress_bar, report
from cinegen_core.clock import Clock, SystemClock
from cinegen_core.settings import Settings
from cinegen_core.store import StoreError
from cinegen_core.store.sql import Database
from cinegen_core.story.errors import StoryError
from cinegen_core.studio import Studio, open_database, open_studio

AGAIN = "What is done is kept. Run the same command again to go on from there."


def add_batch(app: typer.Typer, settings: Callable[[], Settings], clock: Clock) -> None:
    """Adds the command `batch`; `settings` says, when it is run, where flags and store are."""

    @app.command(name="batch")
    def batch_command(
        plan: Annotated[Path, typer.Argument(metavar="PLAN.toml", help="What is to be done.")],
        *,
        scheduler: Annotated[
            str,
            typer.Option(
                metavar="ADDRESS", help="The scheduler of a Dask cluster, such as tcp://127.0.0.1:8786."
            ),
        ] = "",
        workers: Annotated[
            int | None,
            typer.Option(min=1, max=1024, help="Processes on this computer; as many as cores if not given."),
        ] = None,
        sequential: Annotated[
            bool, typer.Option("--sequential", help="One task after the other in this process, without Dask.")
        ] = False,
        out: Annotated[
            Path | None,
            typer.Option(help="The folder for tables and the report; PLAN.batch beside you if not given."),
        ] = None,
    ) -> None:
        """Write and measure what a plan says: seasons, comparisons, ablations, scores; what was done before is not done again."""
        if scheduler and workers is not None:
            _stop("--workers is for workers on this computer; a cluster at --scheduler has its own.", 2)
        if sequential and (scheduler or workers is not None):
            _stop("--sequential needs no workers; leave --scheduler and --workers out.", 2)
        if not sequential and find_spec("distributed") is None:
            _stop(
                'Batches on several workers need the extra `scale`: pip install "cinegen-studio[scale]". '
                "With --sequential one task is done after the other without it.",
                2,
            )
        console = Console(stderr=True)
        try:
            loaded = load_plan(plan)
            results = Results(out or Path(f"{plan.stem}.batch"))
            results.open()
            known = settings()
            with open_studio(known) as studio, open_database(known) as database:
                if studio.emergency is not None:
                    _stop(
                        f"The studio is in emergency mode ({studio.emergency.reason}), in which only the template writes. "
                        "Begin the batch when it is over.",
                        1,
                    )
                graph = Planner(studio, database, results, loaded).graph()
                began = studio.now
                ticked = clock.monotonic()
                with _hands(graph, clock, scheduler, workers, sequential=sequential) as hands:
                    outcome = _run(graph, hands, database, results, console, withdrawn_from(studio))
                for line in ending(graph, outcome, clock.monotonic() - ticked):
                    typer.echo(line)
                for line in _tables(graph, outcome, results, studio, loaded):
                    typer.echo(line)
                told = report(graph, outcome, plan=plan, began=began, ended=studio.now)
                typer.echo(f"Report: {results.report(told)}")
        except StoryError as error:
            _stop(str(error), 1)
        except (BatchError, StoreError) as error:
            _stop(f"{error} {AGAIN}", 1)
        except OSError as error:
            _stop(f"{error.filename or out or plan}: {error.strerror}. {AGAIN}", 1)
        if outcome.withdrawn:
            _stop(f"The batch {outcome.withdrawn}. {AGAIN}", 1)
        if outcome.stopped:
            _stop(f"Stopped. {AGAIN}", 130)
        if outcome.failed:
            _stop(f"{len(outcome.failed)} tasks failed or were not begun. {AGAIN}", 1)


def _run(
    graph: Graph,
    hands: Hands,
    database: Database,
    results: Results,
    console: Console,
    withdrawn: Callable[[], str],
) -> Outcome:
    before = signal.signal(signal.SIGTERM, signal.default_int_handler)  # whoever ends the process politely
    try:
        with Landing(database, results, graph) as landing, progress_bar(console) as told:
            return run_batch(graph, hands, landing, told, withdrawn)
    finally:
        signal.signal(signal.SIGTERM, before)


def withdrawn_from(studio: Studio) -> Callable[[], str]:
    """Whether something was taken away since the batch began, by an emergency or a rollback: what it still had to write would
    come from a lower tier."""
    steering = studio.steering
    before = steering.withdrawn() if steering is not None else ""

    def reason() -> str:
        now = steering.withdrawn() if steering is not None else ""
        return now if now != before else ""

    return reason


@contextmanager
def _hands(
    graph: Graph, clock: Clock, scheduler: str, workers: int | None, *, sequential: bool
) -> Iterator[Hands]:
    if sequential or graph.whole:
        bench = Bench(graph.kit, environ=os.environ, clock=SystemClock(), rng=random.SystemRandom())
        if bench.trouble:
            raise BatchError(f"This process is not ready: {bench.trouble}.")
        yield HereHands(bench.do)
        return
    # Dask is an extra, and takes half a second to load.
    from cinegen_core.batch.cluster import hands

    with hands(graph.kit, clock=clock.monotonic, address=scheduler, workers=workers) as found:
        yield found


def _tables(
    graph: Graph, outcome: Outcome, results: Results, studio: Studio, loaded: LoadedPlan
) -> Iterator[str]:
    """The files that are made of many tasks, of what there is of them."""
    landed = outcome.kept | outcome.done.keys()
    for table in graph.tables:
        there = {pair: id for pair, id in table.tasks.items() if id in landed}
        file = results.ablation(
            table.name,
            table.bibles,
            table.tasks,
            episodes=table.episodes,
            made=studio.now.date(),
            command=f"cinegen batch {loaded.file.name}",
        )
        yield f"{table.name}: {len(there)} of {len(table.tasks)} series and seeds are in {file}"
    for name, ids in graph.rescored.items():
        yield f"{name}: scores of {len(results.rows(ids))} episodes are in {results.rescored(name, ids)}"


def _stop(message: str, code: int) -> NoReturn:
    typer.echo(message, err=True)
    raise typer.Exit(code)
