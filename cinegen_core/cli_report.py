"""`cinegen report daily|weekly|monthly`: what a studio did in that time, as one HTML page that needs neither network nor scripts."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, NoReturn

import typer

from cinegen_core.clock import Clock
from cinegen_core.flags.journal import JournalError
from cinegen_core.monitor.tally import hour_of
from cinegen_core.settings import Settings, SettingsError
from cinegen_core.store import StoreError

if TYPE_CHECKING:
    from cinegen_core.flags.model import Change
    from cinegen_core.monitor.events import Event, Series


class PeriodName(StrEnum):
    daily = "daily"
    weekly = "weekly"
    monthly = "monthly"


class SeriesName(StrEnum):
    live = "live"
    staging = "staging"
    simulated = "simulated"


def add_report(app: typer.Typer, settings: Callable[[], Settings], clock: Clock) -> None:
    """Adds the command `report`; `settings` says, when it is run, where the store is, `clock` what time it is."""

    @app.command(name="report")
    def report_command(
        period: Annotated[PeriodName, typer.Argument(help="The last day, 7 days or 30 days.")],
        *,
        out: Annotated[
            Path | None,
            typer.Option(
                metavar="FILE.html", help="The page to write; without it report-<period>-<end>.html, here."
            ),
        ] = None,
        series: Annotated[SeriesName, typer.Option(help="Which episodes.")] = SeriesName.live,
        until: Annotated[
            datetime | None,
            typer.Option(
                help="Where the time ends, in UTC; without it, with the last whole hour. The same events and end give the same page.",
                formats=["%Y-%m-%d", "%Y-%m-%dT%H:%M"],
            ),
        ] = None,
    ) -> None:
        """Write a report: figures, trends, what happened, readers, forecast and tiers, with charts, as one HTML page."""
        # tables and charts take a second to load, which the other commands should not wait for
        from cinegen_core.analysis.html_report import report_html

        end = hour_of(clock.now()) if until is None else until.replace(tzinfo=UTC)
        file = out or Path(f"report-{period.value}-{end:%Y-%m-%dT%H%M}.html")
        try:
            events, changes = _recorded(settings(), end, series.value)
        except (StoreError, JournalError, SettingsError) as error:
            _stop(f"The report cannot be made: {error}", 1)
        page = report_html(events, period=period.value, until=end, series=series.value, changes=changes)
        try:
            file.write_bytes(page.encode("utf-8"))
        except OSError as error:
            _stop(
                f"--out {file}: the report cannot be written ({error.strerror}). Name a folder that exists and may be written to.",
                1,
            )
        typer.echo(
            f"{file}: {period.value} report to {end:%Y-%m-%d %H:%M} UTC, {series.value} events, {len(page.encode()) / 1000:.0f} kB."
        )


def _recorded(settings: Settings, end: datetime, series: Series) -> tuple[list[Event], tuple[Change, ...]]:
    """Events and, for what really happened, the journal."""
    from cinegen_core.analysis.html_report import HISTORY
    from cinegen_core.store.events import SqlEvents
    from cinegen_core.store.sql import SqlJournal
    from cinegen_core.studio import open_database

    with open_database(settings) as database:
        kinds = ("generation", "feedback", "alert", "vote")
        found = SqlEvents(database).read(since=end - HISTORY, until=end, series=series, kinds=kinds)
        changes = tuple(SqlJournal(database).read()) if series == "live" else ()
    return [event for _, event in found], changes


def _stop(message: str, code: int) -> NoReturn:
    typer.echo(message, err=True)
    raise typer.Exit(code)
