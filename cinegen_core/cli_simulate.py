"""`cinegen simulate`: weeks of a studio's events on a simulated clock, into the store or a file.

What it records is labelled `simulated` and takes no part in anything live. The same options twice add nothing.
"""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from datetime import UTC, date, datetime, timedelta
from itertools import islice
from pathlib import Path
from typing import Annotated, NoReturn

import typer

from cinegen_core.clock import Clock
from cinegen_core.flags.declared import DeclarationError, load_declared
from cinegen_core.monitor.alerts import mean_time_to_resolve
from cinegen_core.monitor.events import AlertEvent, Event
from cinegen_core.monitor.tally import hour_of
from cinegen_core.settings import Settings
from cinegen_core.simulation import (
    KINDS,
    Incident,
    PoolError,
    Simulation,
    Truth,
    build_pool,
    five,
    parse_incident,
    shipped_pool,
    simulate,
)
from cinegen_core.simulation.answers import PACE
from cinegen_core.simulation.pool import shipped_file
from cinegen_core.store import StoreError
from cinegen_core.store.events import SqlEvents
from cinegen_core.store.sql import Database, sqlite_url

BATCH = 5000
"""Events that are kept together: all of a batch or none."""


def add_simulate(app: typer.Typer, settings: Callable[[], Settings], clock: Clock) -> None:
    """Adds the command `simulate`; `settings` says, when it is run, where flags and store are."""

    @app.command(name="simulate")
    def simulate_command(
        *,
        days: Annotated[float, typer.Option(min=0.01, max=3660, help="How many days.")] = 56.0,
        rate: Annotated[
            float, typer.Option(min=0.01, max=10_000, help="Requests an hour, on average.")
        ] = 20.0,
        seed: Annotated[int, typer.Option(min=0, help="The same seed gives the same events.")] = 7,
        start: Annotated[
            datetime | None,
            typer.Option(
                help="When it begins, in UTC; without it, so that it ends with the last whole hour. The same start, seed and rest give the "
                "same events, which are kept once.",
                formats=["%Y-%m-%d", "%Y-%m-%dT%H:%M"],
            ),
        ] = None,
        incident: Annotated[
            list[str] | None,
            typer.Option(
                metavar="KIND@START+LENGTH",
                help=f"What goes wrong, such as quality-drop@10d06h+3h; may be repeated. Kinds: {', '.join(KINDS)}.",
            ),
        ] = None,
        incidents: Annotated[
            str, typer.Option(metavar="five", help="A standard set: five kinds, spread over the days.")
        ] = "",
        rhythm: Annotated[bool, typer.Option("--rhythm", help="More requests by day than by night.")] = False,
        readers: Annotated[bool, typer.Option(help="Whether invented readers leave feedback.")] = True,
        pace: Annotated[
            float, typer.Option(min=0.01, help="What the embedded writer's seconds are multiplied by.")
        ] = PACE,
        out: Annotated[
            Path | None, typer.Option(help="A file for the events, as JSON lines, instead of the store.")
        ] = None,
        pool: Annotated[
            bool, typer.Option("--build-pool", help="Write the pool of answers anew instead; takes minutes.")
        ] = False,
    ) -> None:
        """Record weeks of events as a studio would have had them: answers drawn from real ones, incidents planted, alerts raised."""
        if pool:
            _build(clock.now().date())
            return
        begun = clock.monotonic()
        try:
            made = simulate(
                shipped_pool(),
                start=hour_of(clock.now()) - timedelta(days=days)
                if start is None
                else start.replace(tzinfo=UTC),
                days=days,
                rate=rate,
                seed=seed,
                incidents=_planted(incident or [], incidents, days),
                declared=load_declared(settings().flags_file),
                rhythm=rhythm,
                readers=readers,
                pace=pace,
            )
        except (ValueError, DeclarationError) as error:
            _stop(str(error), 2)
        except PoolError as error:
            _stop(str(error), 1)
        seen = _Seen()
        try:
            where = (
                _into_file(seen.through(made), out) if out else _into_store(seen.through(made), settings())
            )
        except (StoreError, OSError) as error:
            _stop(f"The events cannot be kept: {error}", 1)
        typer.echo(seen.words(made))
        typer.echo(f"{where}, in {clock.monotonic() - begun:.1f} s.")


class _Seen:
    """What went by."""

    def __init__(self) -> None:
        self.kinds: Counter[str] = Counter()
        self.alerts: list[AlertEvent] = []

    def through(self, events: Iterable[Event]) -> Iterator[Event]:
        for event in events:
            self.kinds[event.kind] += 1
            if isinstance(event, AlertEvent):
                self.alerts.append(event)
            yield event

    def words(self, made: Simulation) -> str:
        counted = ", ".join(f"{self.kinds[kind]} {kind}" for kind in sorted(self.kinds))
        lines = [
            f"Simulated {made.start:%Y-%m-%d %H:%M} to {made.end:%Y-%m-%d %H:%M} (run {made.run}): {counted} events."
        ]
        for truth in made.truth:
            lines += _truth(truth, self.alerts)
        if not made.truth:
            lines.append("Nothing was planted.")
        taken = mean_time_to_resolve(self.alerts)
        if taken is not None:
            lines.append(f"Alerts took {taken / 60:.0f} min from firing to resolved, on average.")
        return "\n".join(lines)


def _truth(truth: Truth, alerts: Iterable[AlertEvent]) -> Iterator[str]:
    yield f"  {truth.kind}, {truth.start:%Y-%m-%d %H:%M} to {truth.end:%Y-%m-%d %H:%M}: {truth.words}"
    if truth.rolled_back is not None:
        yield f"    rolled back by its triggers at {truth.rolled_back:%H:%M:%S}"
    for rule in (*truth.expected, *truth.possible):
        found = next(
            (one for one in alerts if one.rule == rule and one.state == "firing" and one.at >= truth.start and one.at <= truth.end),
            None,
        )  # fmt: skip
        due = "must fire" if rule in truth.expected else "may fire"
        when = (
            "did not" if found is None else f"after {(found.at - truth.start).total_seconds() / 60:.0f} min"
        )
        yield f"    {rule} {due}: {when}"


def _planted(incident: Iterable[str], named: str, days: float) -> list[Incident]:
    if named not in ("", "five"):
        raise ValueError(f"--incidents {named}: the only standard set is `five`")
    return [*(five(days) if named else ()), *(parse_incident(text) for text in incident)]


def _into_file(events: Iterable[Event], out: Path) -> str:
    with out.open("w", encoding="utf-8", newline="\n") as file:
        count = 0
        for event in events:
            file.write(event.model_dump_json() + "\n")
            count += 1
    return f"{count} written to {out}"


def _into_store(events: Iterator[Event], settings: Settings) -> str:
    with Database(settings.database_url or sqlite_url(settings.data_dir / "cinegen.db")) as database:
        log = SqlEvents(database)
        new = 0
        while batch := list(islice(events, BATCH)):
            new += len(batch) - len(log.with_ids(event.id for event in batch))
            log.add(*batch)
        return f"{new} are new in {database.name}, the others were there"


def _build(today: date) -> None:
    file = shipped_file()
    try:
        with typer.progressbar(length=100, label="Writing and scoring", file=sys.stderr) as bar:
            made = build_pool(file, today=today, told=lambda done, of: bar.update(100 * done // of - bar.pos))
    except OSError as error:
        _stop(
            f"{file} cannot be written: {error.strerror}. A pool is built in a checkout that you may write to.",
            1,
        )
    header = made.header
    typer.echo(
        f"{file}: {header.entries} requests, {header.answers} answers, {file.stat().st_size / 1000:.0f} kB; "
        f"scorer {header.scorer}, code {header.code}."
    )


def _stop(message: str, code: int) -> NoReturn:
    typer.echo(message, err=True)
    raise typer.Exit(code)
