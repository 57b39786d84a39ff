"""A studio's events as a folder of Parquet files, for questions to more of them than a computer's memory holds.

folder/events.json                       what the folder holds: the list of its files, and the last event in them
folder/answers/2026-01/<first>-<last>.parquet     one row an answer, in the columns of `answers_frame`, and what that leaves out
folder/feedback/2026-01/...              one row each time a reader was shown an episode, chose, rated or exported
folder/others/2026-01/...                heartbeats, steps of alerts, silences and votes, as the JSON that they are stored as

Months are of UTC, <first> and <last> are numbers of events. A file counts as soon as the list names it, and the list is replaced whole:
whoever reads sees every event once, whatever was cut off while it was written. Nothing is made clearer than it is in the store: who
asked is the same keyed hash.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any, Literal, Protocol

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from pydantic import AwareDatetime, Field, TypeAdapter, ValidationError

from cinegen_core.analysis.answers import ANSWER_TYPES, DIMENSION, MOMENT, spelled
from cinegen_core.monitor.events import Event, FeedbackEvent, GenerationEvent, Series
from cinegen_core.scorer import DIMENSION_WORDS
from cinegen_core.story.model import Noun

VERSION = 1
"""Of the columns below. A folder of another version is not read."""

LIST = "events.json"
VERSION_KEY = b"cinegen.events"
"""Under which every file's metadata has the version."""

AT_ONCE = 2_000
"""Events that are in memory as such."""

PER_FILE = 100_000
"""Events after which files are written; until then they are held as columns, about 1 kB each."""

Table = Literal["answers", "feedback", "others"]

_TYPES: Mapping[str, pa.DataType] = {
    MOMENT: pa.timestamp("us", tz="UTC"),
    "str": pa.string(),
    "int64": pa.int64(),
    "float64": pa.float64(),
    "bool": pa.bool_(),
    "object": pa.list_(pa.string()),
}
_ENGINE = pa.struct([("engine", pa.string()), ("delivered", pa.bool_()), ("realised", pa.float64())])
_ATTEMPT = pa.struct(
    [
        ("tier", pa.string()), ("writer", pa.string()), ("outcome", pa.string()), ("seconds", pa.float64()), ("score", pa.float64()),
        ("calls", pa.int64()), ("tokens", pa.int64()), ("cost", pa.float64()),
    ]
)  # fmt: skip

SCHEMAS: Mapping[Table, pa.Schema] = {
    "answers": pa.schema(
        [
            ("event", pa.int64()),
            *((name, _TYPES[kind]) for name, kind in ANSWER_TYPES.items()),
            ("trial", pa.bool_()),
            ("engine_names", pa.string()),
            ("engines", pa.list_(_ENGINE)),
            ("attempts", pa.list_(_ATTEMPT)),
            ("flags", pa.map_(pa.string(), pa.bool_())),
        ]
    ),
    "feedback": pa.schema(
        [
            ("event", pa.int64()), ("at", _TYPES[MOMENT]), ("feedback", pa.string()), ("id", pa.string()), ("series", pa.string()),
            ("who", pa.string()), ("action", pa.string()), ("rating", pa.int64()), ("why", pa.string()),
        ]
    ),
    "others": pa.schema(
        [
            ("event", pa.int64()), ("at", _TYPES[MOMENT]), ("id", pa.string()), ("series", pa.string()), ("kind", pa.string()),
            ("data", pa.string()),
        ]
    ),
}  # fmt: skip
"""The columns. `event` is the number of the event in its store; those of answers are named as in `ANSWER_TYPES`, `id` naming the answer in
both tables. `flags` has the flags that were evaluated, `engines` those that were active; `engine_names` are their names once more, `spelled`
and one a line, with a line's end before the first and after the last: one text for each of the few combinations, which a filter looks at
once."""

_EVENT: TypeAdapter[Event] = TypeAdapter(Event)
_Row = Mapping[str, Any]


class FolderError(ValueError):
    """A folder of events that cannot be written or read. The message says which, why, and what to do."""


class File(Noun):
    """One file: its path from the folder, its rows, and the numbers of the first and last event of the batch that it is of."""

    table: Table
    path: Annotated[str, Field(pattern=r"^(answers|feedback|others)/\d+-\d\d/\d+-\d+\.parquet$")]
    rows: int
    first: int
    last: int


class Listed(Noun):
    """What a folder holds: the events from `since` up to and without `until` of one series (None: of all), up to number `last`."""

    version: int = VERSION
    series: Series | None = None
    since: AwareDatetime | None = None
    until: AwareDatetime | None = None
    last: int = 0
    files: tuple[File, ...] = ()

    @property
    def events(self) -> int:
        return sum(file.rows for file in self.files)

    def paths(self, folder: Path, table: Table) -> list[str]:
        """The absolute paths of a table's files."""
        return [str((folder / file.path).resolve()) for file in self.files if file.table == table]


class Reading(Protocol):
    """`SqlEvents.read`."""

    def __call__(
        self,
        *,
        since: datetime | None,
        until: datetime | None,
        series: Series | None,
        after: int,
        most: int | None,
    ) -> Sequence[tuple[int, Event]]: ...


def listed(folder: Path) -> Listed:
    """What a folder holds. Raises `FolderError` where there is no export, or one of another version."""
    file = folder / LIST
    try:
        found = Listed.model_validate_json(file.read_bytes())
    except OSError as error:
        raise FolderError(
            f"{folder}: no events can be read there ({error.strerror}). Name a folder that `cinegen events export` wrote."
        ) from error
    except ValidationError as error:
        raise FolderError(
            f"{file}: this is no list of events. Export them anew to another folder."
        ) from error
    if found.version != VERSION:
        raise FolderError(
            f"{folder} holds events in columns of version {found.version}, and this is version {VERSION}. Export them anew to another folder."
        )
    return found


def export_events(
    read: Reading,
    folder: Path,
    *,
    series: Series | None = "live",
    since: datetime | None = None,
    until: datetime | None = None,
    resume: bool = False,
    at_once: int = AT_ONCE,
    per_file: int = PER_FILE,
    told: Callable[[int], None] | None = None,
) -> Listed:
    """Writes the events of a store, or with `resume` those that came since the folder was written; `told` gets how many are done.

    Memory is that of `at_once` events and the columns of `per_file`. Files are complete before the list names them; what an export that was
    cut off left behind is removed by the next. Events that the store has since forgotten stay. Raises `FolderError`, also where the folder is
    of another store, and what `read` raises.
    """
    asked = Listed(series=series, since=since, until=until)
    held = _begun(folder, asked, resume)
    known = read(since=since, until=until, series=series, after=held.last - 1, most=1) if held.last else ()
    if known and known[0][0] == held.last and known[0][1].id != _last_id(folder, held):
        raise FolderError(
            f"{folder} holds events of another store: its event {held.last} is not that of this one. Name another folder."
        )

    def unread() -> Iterator[tuple[int, Event]]:
        after = held.last
        while found := read(since=since, until=until, series=series, after=after, most=at_once):
            yield from found
            after = found[-1][0]

    return write_events(unread(), folder, held, at_once=at_once, per_file=per_file, told=told)


def write_events(
    events: Iterable[tuple[int, Event]],
    folder: Path,
    held: Listed,
    *,
    at_once: int = AT_ONCE,
    per_file: int = PER_FILE,
    told: Callable[[int], None] | None = None,
) -> Listed:
    """Adds numbered events, by number and all above `held.last`, to a folder that holds `held`. Raises `FolderError`."""
    pending: list[tuple[int, Event]] = []
    batch = _Batch()
    done = 0
    for number, event in events:
        pending.append((number, event))
        if len(pending) >= at_once:
            batch.add(pending)
            pending = []
        if batch.events >= per_file:
            held, done = _kept(folder, held, batch), done + batch.events
            batch = _Batch()
            if told is not None:
                told(done)
    batch.add(pending)
    if batch.events:
        held, done = _kept(folder, held, batch), done + batch.events
        if told is not None:
            told(done)
    return held


def begin(folder: Path, held: Listed) -> Listed:
    """An empty folder of events, made if it is not there. Raises `FolderError`, also where something is in it."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        if any(file.name != f"{LIST}.part" for file in folder.iterdir()):
            raise FolderError(f"{folder} is not empty. Name another folder, or one that does not exist yet.")
        _replaced(folder / LIST, held.model_dump_json(indent=1).encode("utf-8"))
    except OSError as error:
        raise FolderError(_cannot_write(folder, error)) from error
    return held


def add_table(folder: Path, held: Listed, table: Table, rows: pa.Table) -> Listed:
    """Adds rows that are in the table's columns already, all of one month, numbered above `held.last` in `event`. Raises `FolderError`."""
    numbers = rows.column("event").to_numpy()
    month = rows.column("at")[0].as_py().astimezone(UTC)
    batch = _Batch()
    batch.parts[table, f"{month:%Y-%m}"] = [rows.cast(SCHEMAS[table])]
    batch.first, batch.last, batch.events = int(numbers.min()), int(numbers.max()), len(rows)
    return _kept(folder, held, batch)


def recorded(
    folder: Path, *, tables: Iterable[Table] = ("answers", "feedback", "others"), kinds: Iterable[str] = ()
) -> tuple[Event, ...]:
    """The events of a folder, in the order in which they were recorded, in memory; of some tables, and of `others` those of some kinds
    (none: of all), such as ("alert", "vote"). Raises `FolderError`."""
    held, wanted, some = listed(folder), set(tables), list(kinds)
    found: list[tuple[int, Event]] = []
    for file in (file for file in held.files if file.table in wanted):
        try:
            for rows in _opened(folder / file.path).iter_batches():
                table = pa.Table.from_batches([rows])
                if some and file.table == "others":
                    table = table.filter(pc.is_in(table.column("kind"), pa.array(some)))
                found += [(row["event"], _event_of(file.table, row)) for row in table.to_pylist()]
        except (OSError, pa.ArrowException, ValidationError, KeyError) as error:
            raise FolderError(
                f"{folder / file.path}: this file of events cannot be read ({error}). Export them anew to another folder."
            ) from error
    return tuple(event for _, event in sorted(found, key=lambda pair: pair[0]))


class _Batch:
    """Events on their way into files, by table and month."""

    def __init__(self) -> None:
        self.parts: dict[tuple[Table, str], list[pa.Table]] = {}
        self.events = 0
        self.first = self.last = 0

    def add(self, numbered: Sequence[tuple[int, Event]]) -> None:
        if not numbered:
            return
        apart: dict[tuple[Table, str], list[_Row]] = {}
        for number, event in numbered:
            table, row = _row(number, event)
            apart.setdefault((table, f"{row['at']:%Y-%m}"), []).append(row)
        for (table, month), rows in apart.items():
            # NaN is no number, and stands as nothing
            columns = [
                pa.array([row[field.name] for row in rows], type=field.type, from_pandas=True)
                for field in SCHEMAS[table]
            ]
            self.parts.setdefault((table, month), []).append(
                pa.Table.from_arrays(columns, schema=SCHEMAS[table])
            )
        self.first = self.first or numbered[0][0]
        self.last = numbered[-1][0]
        self.events += len(numbered)


def _begun(folder: Path, asked: Listed, resume: bool) -> Listed:
    if not (folder / LIST).exists():
        return begin(folder, asked)
    held = listed(folder)
    if not resume:
        raise FolderError(
            f"{folder} holds {held.events:,} events already. Say --resume to add those that came since, or name another folder."
        )
    if (held.series, held.since, held.until) != (asked.series, asked.since, asked.until):
        raise FolderError(
            f"{folder} holds {_words(held)}, and this is to be {_words(asked)}. Ask for the same, or name another folder."
        )
    try:
        _tidied(folder, held)
    except OSError as error:
        raise FolderError(_cannot_write(folder, error)) from error
    return held


def _last_id(folder: Path, held: Listed) -> str:
    """Of the last event in the folder."""
    for file in (file for file in held.files if file.last == held.last):
        name = "feedback" if file.table == "feedback" else "id"
        rows = _opened(folder / file.path).read(columns=["event", name])
        found = rows.filter(pc.equal(rows.column("event"), held.last))
        if len(found):
            return str(found.column(name)[0].as_py())
    return ""


def _tidied(folder: Path, held: Listed) -> None:
    """Removes what was written and never listed."""
    known = {folder / file.path for file in held.files}
    for table in SCHEMAS:
        for file in (folder / table).glob("*/*"):
            if file not in known and (file.name.endswith((".parquet", ".part"))):
                file.unlink()


def _kept(folder: Path, held: Listed, batch: _Batch) -> Listed:
    made = []
    try:
        for (table, month), parts in sorted(batch.parts.items(), key=lambda one: one[0]):
            path = Path(table) / month / f"{batch.first:012}-{batch.last:012}.parquet"
            (folder / path).parent.mkdir(parents=True, exist_ok=True)
            rows = pa.concat_tables(parts)
            _written(folder / path, rows)
            made.append(
                File(table=table, path=path.as_posix(), rows=len(rows), first=batch.first, last=batch.last)
            )
        now = held.model_copy(update={"last": batch.last, "files": (*held.files, *made)})
        if listed(folder) != held:
            raise FolderError(
                f"Another export is writing to {folder}. Let it end, then say --resume for what is still missing."
            )
        _replaced(folder / LIST, now.model_dump_json(indent=1).encode("utf-8"))
    except OSError as error:
        raise FolderError(_cannot_write(folder, error)) from error
    return now


def _written(path: Path, rows: pa.Table) -> None:
    marked = rows.replace_schema_metadata({VERSION_KEY: str(VERSION)})
    part = path.with_name(f"{path.name}.part")
    with part.open("wb") as file:
        pq.write_table(marked, file, compression="zstd", row_group_size=PER_FILE)
        file.flush()
        os.fsync(file.fileno())
    part.replace(path)


def _replaced(path: Path, content: bytes) -> None:
    part = path.with_name(f"{path.name}.part")
    with part.open("wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    part.replace(path)


def _opened(path: Path) -> pq.ParquetFile:
    file = pq.ParquetFile(path)
    version = (file.schema_arrow.metadata or {}).get(VERSION_KEY, b"none").decode("ascii", "replace")
    if version != str(VERSION):
        raise FolderError(
            f"{path}: its columns are of version {version}, and this is version {VERSION}. Export anew to another folder."
        )
    return file


def _row(number: int, event: Event) -> tuple[Table, _Row]:
    at = event.at.astimezone(UTC)
    if isinstance(event, GenerationEvent):
        return "answers", _answer(number, at, event)
    if isinstance(event, FeedbackEvent):
        return "feedback", {
            "event": number, "at": at, "feedback": event.id, "id": event.generation, "series": event.series, "who": event.who,
            "action": event.action, "rating": event.rating, "why": event.why,
        }  # fmt: skip
    return "others", {
        "event": number, "at": at, "id": event.id, "series": event.series, "kind": event.kind, "data": event.model_dump_json(),
    }  # fmt: skip


def _answer(number: int, at: datetime, event: GenerationEvent) -> _Row:
    fields = GenerationEvent.model_fields
    return {
        **{name: getattr(event, name) for name in ANSWER_TYPES if name in fields},
        "event": number,
        "at": at,
        "trial": event.trial,
        "counts": event.counts,
        "calls": sum(one.calls for one in event.attempts),
        "tokens": sum(one.tokens for one in event.attempts),
        "cost": sum((one.cost for one in event.attempts), 0.0),
        "active": len(event.engines),
        "delivered": sum(one.delivered for one in event.engines),
        **{f"{DIMENSION}{name}": event.dimensions.get(name) for name in DIMENSION_WORDS},
        "engine_names": "\n".join(("", *(spelled(one.engine) for one in event.engines), "")),
        "engines": [one.model_dump() for one in event.engines],
        "attempts": [one.model_dump() for one in event.attempts],
        "flags": list(event.flags.items()),
    }


def _event_of(table: Table, row: _Row) -> Event:
    if table == "others":
        return _EVENT.validate_json(row["data"])
    if table == "feedback":
        return FeedbackEvent.model_validate(
            {**{name: row[name] for name in ("at", "series", "who", "action", "rating", "why")}, "id": row["feedback"], "generation": row["id"]}
        )  # fmt: skip
    own = {name: row[name] for name in GenerationEvent.model_fields if name in row}
    scores = {str(name): row[f"{DIMENSION}{name}"] for name in DIMENSION_WORDS}
    return GenerationEvent.model_validate(
        {
            **own,
            "dimensions": {name: score for name, score in scores.items() if score is not None},
            "flags": dict(row["flags"]),
        }
    )


def _words(held: Listed) -> str:
    since = "" if held.since is None else f" from {held.since:%Y-%m-%d %H:%M}"
    until = "" if held.until is None else f" before {held.until:%Y-%m-%d %H:%M}"
    return f"{held.series or 'all'} events{since}{until}"


def _cannot_write(folder: Path, error: OSError) -> str:
    return f"{folder}: events cannot be written there ({error.strerror}). Name a folder that may be written to, on a disk with room."
