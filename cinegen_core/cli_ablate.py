"""`cinegen ablate`: every engine taken out, and every engine alone, over series and seeds; the scores go into a small table.

It needs no model, and takes minutes: about ten seconds of processor time for each series and seed. Stopped, it goes on where it was.
"""

from __future__ import annotations

import asyncio
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, NoReturn

import typer

from cinegen_core.analysis.ablation import AblationError, Head, fill, named_bible
from cinegen_core.clock import Clock
from cinegen_core.scorer.scale import shipped
from cinegen_core.story import StoryBible
from cinegen_core.story.errors import StoryError
from cinegen_core.story.load import sample_names
from cinegen_core.writers.embedded import EmbeddedWriter


def add_ablate(app: typer.Typer, clock: Clock) -> None:
    """Adds the command `ablate`; `clock` says which day it is, for the table's head."""

    @app.command(name="ablate")
    def ablate_command(
        series: Annotated[
            list[str] | None,
            typer.Argument(
                help="Bibles' files or samples' names; without any, all samples.", show_default=False
            ),
        ] = None,
        *,
        seeds: Annotated[int, typer.Option(min=1, max=10_000, help="Seeds for each series.")] = 6,
        episodes: Annotated[int, typer.Option(min=1, max=12, help="Episodes in a row for each seed.")] = 2,
        out: Annotated[Path, typer.Option(help="The table to write, or to go on with.")] = Path(
            "ablation.csv"
        ),
        fresh: Annotated[bool, typer.Option("--fresh", help="Begin the table anew.")] = False,
    ) -> None:
        """Measure what each engine adds: write the same requests with every engine taken out, and with it alone, and score them."""
        bibles = _bibles(series or sample_names())
        named = "".join(f"{Path(name).name} " for name in series or ())
        head = Head(
            made=f"{clock.now():%Y-%m-%d}",
            scorer=shipped().version,
            command=f"cinegen ablate {named}--seeds {seeds} --episodes {episodes}",
            episodes=episodes,
        )
        try:
            with typer.progressbar(length=1000, label="Writing and scoring", file=sys.stderr) as bar:
                asyncio.run(
                    fill(
                        out,
                        head,
                        bibles,
                        writer=EmbeddedWriter(),
                        seeds=seeds,
                        clock=time.process_time,
                        fresh=fresh,
                        told=lambda done, of: bar.update(1000 * done // of - bar.pos),
                    )
                )
        except AblationError as error:
            _stop(str(error), 1)
        except OSError as error:
            _stop(f"--out {out}: the table cannot be written ({error.strerror}).", 1)
        typer.echo(f"{out}: {len(bibles)} series, {seeds} seeds, {out.stat().st_size / 1000:.0f} kB.")


def _bibles(names: Sequence[str]) -> dict[str, StoryBible]:
    """By a short name: a sample's own, or a file's without its ending."""
    found: dict[str, StoryBible] = {}
    for name in names:
        try:
            short, bible = named_bible(name)
        except StoryError as error:
            _stop(str(error), 1)
        if short in found:
            _stop(f"{name}: there is a series {short} already. Give two files two names.", 2)
        found[short] = bible
    return found


def _stop(message: str, code: int) -> NoReturn:
    typer.echo(message, err=True)
    raise typer.Exit(code)
