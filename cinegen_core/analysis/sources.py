"""Where a notebook's events come from: this computer's studio, a simulation, a file, or a folder of Parquet files."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from pydantic import TypeAdapter, ValidationError

from cinegen_core.analysis.parquet import FolderError, listed, recorded
from cinegen_core.flags.declared import load_declared
from cinegen_core.flags.model import Change
from cinegen_core.monitor.events import Event
from cinegen_core.settings import Settings
from cinegen_core.simulation import five, shipped_pool, simulate
from cinegen_core.store.events import SqlEvents
from cinegen_core.store.sql import SqlJournal
from cinegen_core.studio import open_database

if TYPE_CHECKING:
    from cinegen_core.analysis.duck import DuckFolder

SIMULATED = "simulated"
STORE = "store"

START = datetime(2026, 1, 5, tzinfo=UTC)
DAYS = 56.0
RATE = 20.0
SEED = 7

FOLDER = "CINEGEN_EVENTS_PARQUET"
"""Names, in the environment, a folder that `cinegen events export` wrote, which notebooks then read whatever stands in them."""

MOST_LOADED = 1_000_000
"""Events of a folder that are taken into memory one by one at most."""

_EVENT: TypeAdapter[Event] = TypeAdapter(Event)


class SourceError(ValueError):
    """There are no events where they were looked for. The message says where, and what to do."""


def chosen(source: str, environ: Mapping[str, str]) -> str:
    """The source that a notebook names, unless the environment names a folder of Parquet files (`FOLDER`): then that; or a database: then
    that, through the studio's settings."""
    if environ.get(FOLDER):
        return environ[FOLDER]
    return STORE if environ.get("CINEGEN_DATABASE_URL") else source


def load_events(source: str, environ: Mapping[str, str] | None = None) -> tuple[Event, ...]:
    """All events of a source, oldest first as they were recorded.

    `simulated`: 56 days made on the spot, 20 requests an hour, five incidents, the same every time. `store`: the live events of the
    studio that `environ` describes (none: the defaults). Else the path of a file of JSON lines, as `cinegen simulate --out` writes
    it, or of a folder of `cinegen events export`, if it holds no more than `MOST_LOADED`. Raises `SourceError`, and `StoreError` for a
    database that fails.
    """
    if source == SIMULATED:
        return tuple(simulated())
    if source == STORE:
        with open_database(Settings.load(environ or {})) as database:
            return tuple(event for _, event in SqlEvents(database).read())
    return _from_folder(Path(source)) if Path(source).is_dir() else _from_file(Path(source))


def open_events(folder: str | Path, *, memory: str = "2GB", spill: Path | None = None) -> DuckFolder:
    """A folder of `cinegen events export`, however much is in it, for the questions of `explore` and `duck_reports`; `close` it, or use it in
    `with`. `memory` and `spill` as in `duck.open_folder`. Raises `SourceError`, and `AnalyticsError` without the extra `analytics`."""
    from cinegen_core.analysis.duck import open_folder

    try:
        return open_folder(Path(folder), memory=memory, spill=spill)
    except FolderError as error:
        raise SourceError(str(error)) from error


def simulated(*, days: float = DAYS, rate: float = RATE, seed: int = SEED) -> tuple[Event, ...]:
    """The weeks that notebooks show unless they are given others."""
    settings = Settings.load({})
    planted = five(days)
    made = simulate(
        shipped_pool(),
        start=START,
        days=days,
        rate=rate,
        seed=seed,
        incidents=planted,
        declared=load_declared(settings.flags_file),
    )
    return tuple(made)


def load_changes(source: str, environ: Mapping[str, str] | None = None) -> tuple[Change, ...]:
    """The journal of flags beside the events; only a store has one."""
    if source != STORE:
        return ()
    with open_database(Settings.load(environ or {})) as database:
        return SqlJournal(database).read()


def words(source: str) -> str:
    """What the events are, for the head of a notebook and the titles of its charts. Raises `SourceError`."""
    if source == SIMULATED:
        return "SIMULATED: 56 days drawn from real answers of the embedded writer, five incidents planted"
    if source == STORE:
        return "this studio's own record"
    path = Path(source)
    if not path.is_dir():
        return f"events of the file {path.name}"
    try:
        made_up = listed(path).series == "simulated"
    except FolderError as error:
        raise SourceError(str(error)) from error
    return f"{'SIMULATED: ' if made_up else ''}events of the folder {path.name}"


def _from_folder(folder: Path) -> tuple[Event, ...]:
    try:
        held = listed(folder)
        if held.events > MOST_LOADED:
            raise SourceError(
                f"{folder} holds {held.events:,} events, and {MOST_LOADED:,} at most are taken into memory one by one. Export a shorter time "
                "to another folder, or ask these through `open_events`."
            )
        return recorded(folder)
    except FolderError as error:
        raise SourceError(str(error)) from error


def _from_file(path: Path) -> tuple[Event, ...]:
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise SourceError(
            f"{path}: no events can be read there ({error}). Name a file that `cinegen simulate --out` wrote, or one of "
            f"'{SIMULATED}' and '{STORE}'."
        ) from error
    found: list[Event] = []
    for number, line in enumerate(lines, start=1):
        if not line.strip():
            continue
        try:
            found.append(_EVENT.validate_json(line))
        except ValidationError as error:
            problem = error.errors(include_url=False)[0]["msg"]
            raise SourceError(f"{path}, line {number}: this is no event ({problem}).") from error
    return tuple(found)
