"""`cinegen events export` and `ask`: a store's events as Parquet files, and questions to them, by the million.

Exit codes: 0 done, 1 the events cannot be read, written or asked, 2 wrong use.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, NoReturn
from urllib.parse import parse_qsl

import typer

from cinegen_core.clock import Clock
from cinegen_core.monitor.events import Series
from cinegen_core.scorer import DIMENSION_WORDS
from cinegen_core.settings import Settings, SettingsError
from cinegen_core.store import StoreError

if TYPE_CHECKING:
    import pandas as pd

    from cinegen_core.analysis.duck import DuckAnswers


class SeriesName(StrEnum):
    live = "live"
    staging = "staging"
    simulated = "simulated"
    all = "all"


_SERIES: Mapping[SeriesName, Series | None] = {
    SeriesName.live: "live", SeriesName.staging: "staging", SeriesName.simulated: "simulated", SeriesName.all: None,
}  # fmt: skip


class Question(StrEnum):
    summary = "summary"
    distribution = "distribution"
    trend = "trend"
    dimensions = "dimensions"
    tiers = "tiers"
    writers = "writers"
    titles = "titles"
    genres = "genres"
    engines = "engines"
    flags = "flags"
    worst = "worst"
    best = "best"
    slowest = "slowest"


def add_events(app: typer.Typer, settings: Callable[[], Settings], clock: Clock) -> None:
    """Adds the commands `events export` and `events ask`; `settings` says, when one is run, where the store is."""
    events = typer.Typer(
        help="Events as Parquet files, and questions to millions of them.", no_args_is_help=True
    )
    app.add_typer(events, name="events")
    _add_export(events, settings, clock)
    _add_ask(events)


def _add_export(events: typer.Typer, settings: Callable[[], Settings], clock: Clock) -> None:
    @events.command()
    def export(
        folder: Annotated[
            Path, typer.Argument(metavar="DIR", help="The folder to write, which may not exist yet.")
        ],
        *,
        since: Annotated[
            datetime | None,
            typer.Option(help="From when, in UTC; without it, all.", formats=["%Y-%m-%d", "%Y-%m-%dT%H:%M"]),
        ] = None,
        until: Annotated[
            datetime | None,
            typer.Option(
                help="Before when, in UTC; without it, to the last.", formats=["%Y-%m-%d", "%Y-%m-%dT%H:%M"]
            ),
        ] = None,
        series: Annotated[SeriesName, typer.Option(help="Which events.")] = SeriesName.live,
        resume: Annotated[
            bool,
            typer.Option(
                "--resume", help="Add what came since to a folder that was written before, or cut off."
            ),
        ] = False,
    ) -> None:
        """Write the store's events to Parquet files by month, for questions to more than memory holds. Users stay as hashed as they are."""
        # tables take a second to load, which the other commands should not wait for
        from cinegen_core.analysis.parquet import LIST, FolderError, export_events, listed
        from cinegen_core.store.events import SqlEvents
        from cinegen_core.studio import open_database

        begun = clock.monotonic()
        try:
            before = listed(folder).events if resume and (folder / LIST).exists() else 0
            with open_database(settings()) as database:
                held = export_events(
                    SqlEvents(database).read, folder, series=_SERIES[series],
                    since=_in_utc(since), until=_in_utc(until), resume=resume,
                    told=lambda done: typer.echo(f"{done:,} events written", err=True),
                )  # fmt: skip
        except (FolderError, StoreError, SettingsError) as error:
            _stop(str(error), 1)
        size = sum((folder / file.path).stat().st_size for file in held.files)
        typer.echo(
            f"{folder}: {held.events:,} {series.value} events in {len(held.files)} files, {size / 1e6:.1f} MB; "
            f"{held.events - before:,} of them new, in {clock.monotonic() - begun:.1f} s."
        )


def _add_ask(events: typer.Typer) -> None:
    @events.command()
    def ask(
        folder: Annotated[
            Path, typer.Argument(metavar="DIR", help="A folder that `cinegen events export` wrote.")
        ],
        question: Annotated[Question, typer.Argument(help="What to ask.")] = Question.summary,
        *,
        only: Annotated[
            str,
            typer.Option(
                metavar="QUERY",
                help="Which answers, as in the explorer's address: 'series=simulated&tiers=comprehensive&quality=7..8.5'.",
            ),
        ] = "",
        measure: Annotated[
            str, typer.Option(help=f"What is measured: quality, score, or {', '.join(DIMENSION_WORDS)}.")
        ] = "quality",
        csv: Annotated[bool, typer.Option("--csv", help="As CSV.")] = False,
        memory: Annotated[
            str, typer.Option(help="What DuckDB may take; more goes through the disk.")
        ] = "2GB",
    ) -> None:
        """Ask what the quality explorer asks, of a folder of events of any size. Needs the extra `analytics`."""
        from cinegen_core.analysis.answers import DIMENSION
        from cinegen_core.analysis.duck import AnalyticsError, open_folder
        from cinegen_core.analysis.filters import Filters
        from cinegen_core.analysis.parquet import FolderError

        if measure not in ("quality", "score", *DIMENSION_WORDS):
            _stop(f"--measure {measure}: there are quality, score, {', '.join(DIMENSION_WORDS)}.", 2)
        filters, ignored = Filters.from_query(dict(parse_qsl(only.removeprefix("?"), keep_blank_values=True)))
        if ignored:
            _stop(f"--only {'; '.join(ignored)}", 2)
        value = f"{DIMENSION}{measure}" if measure in DIMENSION_WORDS else measure
        try:
            with open_folder(folder, memory=memory) as held:
                found = _asked(held.answers.where(filters), question, value)
        except (FolderError, AnalyticsError) as error:
            _stop(str(error), 1)
        if csv:
            typer.echo(found.to_csv(index=False), nl=False)
        else:
            typer.echo("no data" if found.empty else found.to_string(index=False))


def _asked(answers: DuckAnswers, question: Question, value: str) -> pd.DataFrame:
    import pandas as pd

    from cinegen_core.analysis import explore

    ways: dict[Question, Callable[[], pd.DataFrame]] = {
        Question.summary: lambda: pd.DataFrame([explore.summary(answers, value).model_dump()]),
        Question.distribution: lambda: explore.distribution(answers, value),
        Question.trend: lambda: explore.trend(answers, value),
        Question.dimensions: lambda: explore.by_dimension(answers),
        Question.tiers: lambda: explore.by_tier(answers, value),
        Question.writers: lambda: explore.by_writer(answers, value),
        Question.titles: lambda: explore.by_title(answers, value),
        Question.genres: lambda: explore.by_genre(answers, value),
        Question.engines: lambda: explore.by_engine(answers, value=value),
        Question.flags: lambda: explore.by_cohort(answers, value),
        Question.worst: lambda: explore.worst(answers, value=value),
        Question.best: lambda: explore.best(answers, value=value),
        Question.slowest: lambda: explore.slowest(answers),
    }
    return ways[question]()


def _in_utc(at: datetime | None) -> datetime | None:
    return None if at is None else at.replace(tzinfo=UTC)


def _stop(message: str, code: int) -> NoReturn:
    typer.echo(message, err=True)
    raise typer.Exit(code)
