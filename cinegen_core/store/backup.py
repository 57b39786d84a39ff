"""A store in one file, and back: all rows of one moment, from SQLite or PostgreSQL into either.

The file is a zip archive that any unzip opens: `manifest.json`, `identity.json`, and `tables/NAME.jsonl`, one row a line. Its
comment, which is its end, is the SHA-256 of every byte before it.
"""

from __future__ import annotations

import hashlib
import json
import os
import tempfile
import zipfile
import zlib
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from datetime import datetime
from pathlib import Path
from typing import IO, Annotated, Any, Literal, NamedTuple, TypeVar

from pydantic import Field, ValidationError
from sqlalchemy import (
    JSON,
    Boolean,
    Column,
    Connection,
    DateTime,
    Float,
    Integer,
    MetaData,
    String,
    Table,
    cast,
    func,
    insert,
    inspect,
    make_url,
    select,
)
from sqlalchemy.dialects.postgresql import REGCLASS
from sqlalchemy.exc import ArgumentError, DBAPIError
from sqlalchemy.schema import CreateTable, DropTable
from sqlalchemy.types import TypeEngine

from cinegen_core.store.episodes import StoreError
from cinegen_core.store.migrations import MIGRATIONS, SCHEMA_VERSION, Migration, migrate
from cinegen_core.store.sql import PATIENCE, Database, UtcTime, file_of
from cinegen_core.story.model import Noun

LEFT_OUT = frozenset({"leads"})
"""Tables whose rows mean something only while the studios run that wrote them: whoever starts on a restored database leads."""

Said = Callable[[str, int], None]
"""Told of each table when it is done: its name, its rows."""

_SEAL = b"sha256 "
_HEX = 64
_ROWS_AT_ONCE = 200
_BYTES_AT_ONCE = 4_000_000
_LONGEST_ROW = 256_000_000
_PIECE = 1 << 20
_TOLD_AT_MOST = 20
_Found = TypeVar("_Found", bound=Noun)
Sha256 = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]


class BackupError(StoreError):
    """A backup cannot be made, or used. The message says why, that nothing was changed, and what to do."""


class Identity(Noun):
    """Who the studio was: its id, and the name that its operator's changes stand under. A secret: the id may key the hashes that
    stand for users. `keyed_by` says what keys them, `key_check` (of `key_check_of`) tells whether two keys are the same."""

    install_id: str = ""
    operator: str = ""
    keyed_by: Literal["install_id", "user_key", "nothing"] = "nothing"
    key_check: str = ""


class Part(Noun):
    """A table, or the identity, in the file. `highest` is the last number that the database gave to a row; 0 where it gives none."""

    name: str
    rows: Annotated[int, Field(ge=0)]
    bytes: Annotated[int, Field(ge=0)]
    sha256: Sha256
    highest: Annotated[int, Field(ge=0)] = 0


class Manifest(Noun):
    """What a backup holds. `step` is the database's, from 1; `studio` the version that made the backup."""

    format: Literal[1] = 1
    studio: str
    made: datetime
    step: Annotated[int, Field(ge=1)]
    tables: tuple[Part, ...]
    left_out: tuple[str, ...] = ()
    identity: Part

    @property
    def rows(self) -> Mapping[str, int]:
        return {part.name: part.rows for part in self.tables}


class AsItIs(Database):
    """A database that is there already, and is not brought up to date: for reading. Raises `StoreError` where there is none."""

    def __init__(self, url: str, *, patience: float = PATIENCE) -> None:
        there = _sqlite_file(url)
        if there is not None and not there.is_file():
            raise StoreError(f"There is no database at {there}, so there is nothing to back up.")
        super().__init__(url, patience=patience, current=False)


def tables_at(step: int, migrations: Sequence[Migration] = MIGRATIONS) -> tuple[str, ...]:
    """The names of the tables that a database has after so many steps, in the order in which they were made."""
    names: dict[str, None] = {}
    for migration in migrations[:step]:
        for statement in migration.statements:
            if isinstance(statement, CreateTable):
                names[statement.element.name] = None
            elif isinstance(statement, DropTable):
                del names[statement.element.name]
    return tuple(names)


def key_check_of(key: str) -> str:
    """A short text that is the same for the same key, and does not give it away; empty for none."""
    return hashlib.sha256(b"cinegen-studio user key\0" + key.encode("utf-8")).hexdigest()[:16] if key else ""


# Making one. ---------------------------------------------------------------------------------------------------


def write_backup(
    database: Database,
    file: Path,
    *,
    identity: Identity,
    studio: str,
    now: datetime,
    said: Said = lambda table, rows: None,
) -> Manifest:
    """Makes `file`, for its owner only, of what the database holds at this moment; others may go on writing to it.

    The file appears under its name when it is whole and on the disk. `studio` is the version that makes it. Raises `BackupError`
    where the file is there already or cannot be written, and `StoreError` where the database cannot be read.
    """
    if file.exists():
        raise BackupError(f"{file} is there already. Name another file; a backup never replaces one.")
    try:
        handle, name = tempfile.mkstemp(prefix=f".{file.name}.", suffix=".part", dir=file.parent)
        part = Path(name)
        try:
            with os.fdopen(handle, "w+b") as raw:
                with database.reading() as connection:
                    manifest = _written(connection, raw, identity=identity, studio=studio, now=now, said=said)
                _seal(raw)
                raw.flush()
                os.fsync(raw.fileno())
            part.replace(file)
            _keep_name(file.parent)
        except BaseException:
            part.unlink(missing_ok=True)
            raise
    except OSError as error:
        raise BackupError(
            f"{file}: the backup cannot be written ({error.strerror}). Name a folder that exists, where you may write and "
            "where there is room."
        ) from error
    return manifest


def _written(
    connection: Connection, raw: IO[bytes], *, identity: Identity, studio: str, now: datetime, said: Said
) -> Manifest:
    step = _step(connection)
    with zipfile.ZipFile(raw, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.comment = _SEAL + b"0" * _HEX
        parts: list[Part] = []
        left_out = tuple(name for name in tables_at(step) if name in LEFT_OUT)
        for name in tables_at(step):
            if name in left_out:
                continue
            part = _put(archive, f"tables/{name}.jsonl", name, _lines(connection, name), now)
            parts.append(part.model_copy(update={"highest": _highest(connection, name)}))
            said(name, part.rows)
        who = _put(archive, "identity.json", "identity", [identity.model_dump_json().encode() + b"\n"], now)
        manifest = Manifest(
            studio=studio, made=now, step=step, tables=tuple(parts), left_out=left_out, identity=who
        )
        _put(archive, "manifest.json", "manifest", [manifest.model_dump_json(indent=2).encode() + b"\n"], now)
    return manifest


def _step(connection: Connection) -> int:
    there = inspect(connection).has_table(SCHEMA_VERSION.name)
    step = (connection.scalar(select(func.max(SCHEMA_VERSION.c.version))) or 0) if there else 0
    if not step:
        raise BackupError("The database holds nothing of a studio, so there is nothing to back up.")
    if step > len(MIGRATIONS):
        raise BackupError(
            f"The database is of a newer version of the studio (its tables are at step {step}, this version knows "
            f"{len(MIGRATIONS)}). Make the backup with the newer version."
        )
    return int(step)


def _lines(connection: Connection, name: str) -> Iterator[bytes]:
    table = _shape(connection, name)
    keys = inspect(connection).get_pk_constraint(name)["constrained_columns"]
    wanted = select(table).order_by(*(table.c[key] for key in keys))
    for row in connection.execute(wanted.execution_options(stream_results=True, yield_per=_ROWS_AT_ONCE)):
        values = {
            key: value.isoformat() if isinstance(value, datetime) else value
            for key, value in row._mapping.items()
        }
        yield json.dumps(values, separators=(",", ":")).encode("ascii") + b"\n"


def _highest(connection: Connection, name: str) -> int:
    """What was given before may be gone, as old events are; counts that go by numbers must not meet one a second time."""
    column = _numbered(connection, name)
    if column is None:
        return 0
    table = _shape(connection, name)
    highest = connection.scalar(select(func.max(table.c[column]))) or 0
    if connection.dialect.name == "postgresql":
        sequence = connection.scalar(select(func.pg_get_serial_sequence(name, column)))
        given = select(func.pg_sequence_last_value(cast(sequence, REGCLASS)))
        highest = max(highest, connection.scalar(given) or 0)
    if name == "events" and inspect(connection).has_table("rolled"):
        rolled = _shape(connection, "rolled")
        highest = max(highest, connection.scalar(select(func.max(rolled.c.number))) or 0)
    return int(highest)


def _numbered(connection: Connection, name: str) -> str | None:
    """The column that the database itself counts up, by the step that made the table."""
    for migration in MIGRATIONS:
        for statement in migration.statements:
            if isinstance(statement, CreateTable) and statement.element.name == name:
                column = statement.element.autoincrement_column
                return None if column is None else str(column.name)
    return None


def _shape(connection: Connection, name: str) -> Table:
    """The table as it is in the database, whatever the step, with values that are the same in every kind of database."""
    columns = inspect(connection).get_columns(name)
    return Table(
        name, MetaData(), *(Column(column["name"], _portable(name, column["type"])) for column in columns)
    )


def _portable(table: str, kind: TypeEngine[Any]) -> TypeEngine[Any]:
    if isinstance(kind, DateTime):
        return UtcTime()
    if isinstance(kind, JSON):
        return JSON(none_as_null=True)
    if isinstance(kind, String | Integer | Boolean | Float):
        return kind
    raise BackupError(
        f"The table {table} holds values of a kind ({kind!r}) that this version cannot back up."
    )


def _put(archive: zipfile.ZipFile, path: str, name: str, lines: Iterable[bytes], now: datetime) -> Part:
    info = zipfile.ZipInfo(path, now.timetuple()[:6])
    info.compress_type = zipfile.ZIP_DEFLATED
    info.external_attr = 0o600 << 16
    digest, rows, size = hashlib.sha256(), 0, 0
    with archive.open(info, "w", force_zip64=True) as out:
        for line in lines:
            out.write(line)
            digest.update(line)
            rows, size = rows + 1, size + len(line)
    return Part(name=name, rows=rows, bytes=size, sha256=digest.hexdigest())


def _seal(raw: IO[bytes]) -> None:
    size = raw.seek(0, os.SEEK_END)
    digest = _digest(raw, size - _HEX)
    raw.seek(size - _HEX)
    raw.write(digest.encode("ascii"))


def _keep_name(folder: Path) -> None:
    """A name in a folder is on the disk when the folder is."""
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


# Reading one. --------------------------------------------------------------------------------------------------


class Opened(NamedTuple):
    """A backup that was found whole, open."""

    file: Path
    archive: zipfile.ZipFile
    manifest: Manifest
    identity: Identity


@contextmanager
def open_backup(file: Path) -> Iterator[Opened]:
    """A backup, of which every byte has been found to be as it was made. Raises `BackupError`."""
    with ExitStack() as opened:
        with _reading(file):
            raw = opened.enter_context(file.open("rb"))
            _check_seal(file, raw)
            backup = _checked(file, opened.enter_context(zipfile.ZipFile(raw)))
        yield backup


def check_backup(file: Path) -> Manifest:
    """Reads all of it. Returns what it holds. Raises `BackupError` where it is not as it was made."""
    with open_backup(file) as backup:
        check_rows(backup)
        return backup.manifest


def check_rows(backup: Opened) -> None:
    """Reads every row. Raises `BackupError` where a table is not as it was made."""
    for part in backup.manifest.tables:
        for _ in _rows(backup, part):
            pass


@contextmanager
def _reading(file: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise BackupError(
            f"{file}: the backup cannot be read ({error.strerror}). Is that its name?"
        ) from error
    except (zipfile.BadZipFile, zlib.error, KeyError) as error:
        raise _damaged(file, str(error)) from error


def _check_seal(file: Path, raw: IO[bytes]) -> None:
    size = raw.seek(0, os.SEEK_END)
    raw.seek(0)
    if raw.read(4) != b"PK\3\4":
        raise BackupError(f"{file} is no backup of a studio. `cinegen backup FILE` makes one.")
    raw.seek(max(0, size - _HEX - len(_SEAL)))
    end = raw.read()
    if not end.startswith(_SEAL):
        raise BackupError(
            f"{file} is cut short, or is no backup of a studio. Fetch it again, or use another backup."
        )
    if _digest(raw, size - _HEX) != end[len(_SEAL) :].decode("latin-1"):
        raise _damaged(file, "its digest is another")


def _digest(raw: IO[bytes], size: int) -> str:
    """The SHA-256 of the first `size` bytes."""
    digest = hashlib.sha256()
    raw.seek(0)
    while size > 0 and (piece := raw.read(min(_PIECE, size))):
        digest.update(piece)
        size -= len(piece)
    return digest.hexdigest()


def _damaged(file: Path, why: str) -> BackupError:
    return BackupError(
        f"{file} is not as it was made ({why}). Nothing was changed. Fetch it again, or use another backup."
    )


def _checked(file: Path, archive: zipfile.ZipFile) -> Opened:
    raw = archive.read("manifest.json")
    try:
        kind = json.loads(raw).get("format")
    except (ValueError, AttributeError) as error:
        raise _damaged(file, "its list of contents cannot be read") from error
    if kind != 1:
        raise BackupError(
            f"{file} is of a newer version of the studio (its form is {kind!r}, this version knows 1). Use the newer version."
        )
    manifest = _noun(file, Manifest, raw)
    if manifest.step > len(MIGRATIONS):
        raise BackupError(
            f"{file} is of a newer version of the studio: {manifest.studio}, whose tables are at step {manifest.step}; this "
            f"version knows {len(MIGRATIONS)}. Nothing was changed. Restore it with that version or a later one."
        )
    named = [*(part.name for part in manifest.tables), *manifest.left_out]
    if sorted(named) != sorted(tables_at(manifest.step)):
        raise _damaged(file, "its tables are not those of its step")
    who = archive.read("identity.json")
    if hashlib.sha256(who).hexdigest() != manifest.identity.sha256:
        raise _damaged(file, "identity.json is another")
    return Opened(file, archive, manifest, _noun(file, Identity, who))


def _noun(file: Path, kind: type[_Found], raw: bytes) -> _Found:
    try:
        return kind.model_validate_json(raw)
    except ValidationError as error:
        raise _damaged(file, error.errors(include_url=False)[0]["msg"]) from error


def _rows(backup: Opened, part: Part) -> Iterator[tuple[int, dict[str, Any]]]:
    """Each row with the bytes that it took; in the end the digest is held against the manifest's."""
    digest, count = hashlib.sha256(), 0
    for line in _lines_of(backup, part):
        digest.update(line)
        count += 1
        try:
            row = json.loads(line)
        except ValueError as error:
            raise _damaged(backup.file, f"row {count} of {part.name} cannot be read") from error
        if not isinstance(row, dict):
            raise _damaged(backup.file, f"row {count} of {part.name} is none")
        yield len(line), row
    if digest.hexdigest() != part.sha256 or count != part.rows:
        raise _damaged(backup.file, f"the table {part.name} is another")


def _lines_of(backup: Opened, part: Part) -> Iterator[bytes]:
    with ExitStack() as opened:
        with _reading(backup.file):
            lines = opened.enter_context(backup.archive.open(f"tables/{part.name}.jsonl"))
        while True:
            with _reading(backup.file):
                line = lines.readline(_LONGEST_ROW)
            if not line:
                return
            yield line


# Putting one back. ---------------------------------------------------------------------------------------------


def check_empty(database: Database) -> None:
    """Raises `BackupError` where the database holds anything."""
    with database.reading() as connection:
        _check_empty(connection, database.name)


def restore(database: Database, backup: Opened, *, said: Said = lambda table, rows: None) -> None:
    """Puts all rows into an empty database and takes the steps that were added since, in one transaction: whatever goes wrong,
    the database is as empty as it was. Raises `BackupError`, also where it is not empty, and `StoreError`."""
    with database.writing() as connection:
        _check_empty(connection, database.name)
        for name in reversed(tables_at(len(MIGRATIONS))):
            connection.execute(DropTable(Table(name, MetaData())))
        connection.execute(DropTable(SCHEMA_VERSION))
        migrate(connection, MIGRATIONS[: backup.manifest.step])
        for part in backup.manifest.tables:
            if part.name not in LEFT_OUT:
                _fill(connection, backup, part)
                said(part.name, part.rows)
        migrate(connection)


def _check_empty(connection: Connection, name: str) -> None:
    found = {
        table: connection.scalar(select(func.count()).select_from(Table(table, MetaData())))
        for table in tables_at(len(MIGRATIONS))
    }
    if held := [f"{count:,} rows in {table}" for table, count in found.items() if count][:_TOLD_AT_MOST]:
        raise BackupError(
            f"The database {name} is not empty ({', '.join(held)}), and a backup is only put into an empty one. Nothing was "
            "changed. Stop the studios on it, and move it away or name another one in CINEGEN_DATABASE_URL."
        )


def _fill(connection: Connection, backup: Opened, part: Part) -> None:
    table = _shape(connection, part.name)
    columns = set(table.c.keys())
    moments = [column.name for column in table.c if isinstance(column.type, UtcTime)]
    waiting: list[dict[str, Any]] = []
    done, size = 0, 0

    def keep() -> None:
        try:
            connection.execute(insert(table), waiting)
        except DBAPIError as error:
            reason = str(error.orig).strip().partition("\n")[0]
            raise BackupError(
                f"{backup.file}: rows {done + 1} to {done + len(waiting)} of {part.name} cannot be kept in this database "
                f"({reason}). Nothing was changed."
            ) from error

    for length, row in _rows(backup, part):
        if row.keys() != columns:
            raise _damaged(backup.file, f"rows of {part.name} have other columns")
        try:
            for name in moments:
                if row[name] is not None:
                    row[name] = datetime.fromisoformat(row[name])
        except (TypeError, ValueError) as error:
            raise _damaged(backup.file, f"a time in {part.name} cannot be read") from error
        waiting.append(row)
        size += length
        if len(waiting) >= _ROWS_AT_ONCE or size >= _BYTES_AT_ONCE:
            keep()
            done, size = done + len(waiting), 0
            waiting.clear()
    if waiting:
        keep()
    _count_on(connection, part)


def _count_on(connection: Connection, part: Part) -> None:
    """The next row gets a number that none had. (SQLite goes on from the highest by itself.)"""
    column = _numbered(connection, part.name)
    if column is not None and part.highest and connection.dialect.name == "postgresql":
        sequence = func.pg_get_serial_sequence(part.name, column)
        connection.execute(select(func.setval(sequence, part.highest)))


def _sqlite_file(url: str) -> Path | None:
    """None also for an address that is none: whoever opens it says so."""
    try:
        return file_of(make_url(url))
    except (ArgumentError, ValueError):
        return None
