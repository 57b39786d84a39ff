"""Answers in a folder of Parquet files, asked through DuckDB (the extra `analytics`): tens of millions in little memory.

with open_folder(folder) as events:
    shown = events.answers.where(Filters(tiers=("comprehensive",)))
    print(summary(shown), by_writer(shown))

What people chose (names, numbers, moments, paths) reaches DuckDB as parameters and settings only; the SQL here is made of this module's own
words. Nothing is fetched from elsewhere, and nothing is read but the files that the folder lists.
"""

from __future__ import annotations

import json
import shutil
import tempfile
import threading
from collections.abc import Mapping, Sequence
from datetime import datetime
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

import pandas as pd

from cinegen_core.analysis.answers import (
    ANSWER_TYPES,
    DIMENSIONS,
    MOMENT,
    MONDAY,
    NO_GENRE,
    PERCENT_DELIVERED,
    VALUES,
    By,
    Names,
    grouped_columns,
)
from cinegen_core.analysis.filters import Filters
from cinegen_core.analysis.parquet import SCHEMAS, FolderError, Table, listed

if TYPE_CHECKING:
    import duckdb

MEMORY = "2GB"
"""What DuckDB may take; what needs more goes through a folder on disk."""

_EXTRA = 'Questions to Parquet files are answered by DuckDB, which is not installed: pip install "cinegen-studio[analytics]"'

_VALUES: Mapping[str, str] = {
    **{name: f'"{name}"' for name in ("quality", "score", "seconds", *DIMENSIONS)},
    PERCENT_DELIVERED: "CASE WHEN active > 0 THEN 100.0 * delivered / active END",
}
_NAMES: Mapping[By, str] = {
    "title": "title",
    "tier": "tier",
    "writer": "writer",
    "genre": f"unnest(CASE WHEN len(genres) = 0 THEN ['{NO_GENRE}'] ELSE genres END)",
    "engine": "unnest(engines)",
    "cohort": "unnest(map_entries(flags))",
}
_SIDES: Mapping[By, str] = {
    "engine": 'name.engine AS name, name.delivered AS "on", name.realised AS realised',
    "cohort": 'name.key AS name, name.value AS "on"',
}
_AGGREGATES: Mapping[str, str] = {
    "size": "count(*)",
    "count": "count(v)",
    "mean": "favg(v)",
    "std": "stddev_samp(v)",
    "errors": "count(*) FILTER (error)",
    "fallbacks": "count(*) FILTER (fallback)",
    "seconds": "favg(seconds)",
    "realised": "favg(realised)",
    "looked": "count(realised)",
}
HERE = "{answers}"
"""Stands in a query where the answers do that are asked about."""

_KINDS: Mapping[str, str] = {
    "name": "str", "on": "bool", "at": MOMENT, "size": "int64", "count": "int64", "mean": "float64", "std": "float64",
    "errors": "int64", "fallbacks": "int64", "seconds": "float64", "realised": "float64", "looked": "int64",
}  # fmt: skip

_Params = tuple[Any, ...]


class AnalyticsError(RuntimeError):
    """A question that could not be answered. The message says why, and what to do."""


class DuckFolder:
    """A folder of events as it was when it was opened; `close` it, or use it in `with`. From any thread."""

    def __init__(self, connection: duckdb.DuckDBPyConnection, spill: Path) -> None:
        """`open_folder` makes them."""
        self._connection, self._spill = connection, spill
        self._lock = threading.Lock()

    @property
    def answers(self) -> DuckAnswers:
        """All of them: kept ones, trials, and those of every series too, until they are filtered."""
        return DuckAnswers(self)

    def rows(self, query: str, params: _Params = ()) -> list[tuple[Any, ...]]:
        """What a query of this package gives. Raises `AnalyticsError`."""
        import duckdb

        try:
            with self._lock:
                cursor = self._connection.cursor()
            with cursor:
                return cursor.execute(query, params).fetchall()
        except duckdb.OutOfMemoryException as error:
            raise AnalyticsError(
                f"The question needs more memory than DuckDB may take ({error}). Open the folder with more, or ask about a shorter time."
            ) from error
        except duckdb.Error as error:
            raise AnalyticsError(
                f"The folder of events cannot be asked ({error}). Export the events anew to another folder."
            ) from error

    def close(self) -> None:
        self._connection.close()
        shutil.rmtree(self._spill, ignore_errors=True)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def open_folder(
    folder: Path, *, memory: str = MEMORY, spill: Path | None = None, threads: int | None = None
) -> DuckFolder:
    """A folder that `cinegen events export` wrote. `memory` is what DuckDB may take, such as `500MB` or `2GB`; what does not fit goes to a
    folder of its own in `spill` (none: where the system keeps what is temporary), which is removed in the end. `threads` None: all cores.

    Raises `FolderError` where there are no events, and `AnalyticsError` without DuckDB or where it cannot be set up so.
    """
    try:
        import duckdb
    except ImportError as error:
        raise AnalyticsError(_EXTRA) from error
    held = listed(folder)
    paths = {table: held.paths(folder, table) for table in SCHEMAS}
    for path in (path for table in paths.values() for path in table):
        if not Path(path).is_file():
            raise FolderError(
                f"{path} is listed in {folder} and not there. Export the events anew to another folder."
            )
    try:
        room = Path(tempfile.mkdtemp(prefix="cinegen-duckdb-", dir=spill))
    except OSError as error:
        raise AnalyticsError(
            f"{spill or tempfile.gettempdir()}: nothing can be put aside there ({error.strerror}). Name a folder that may be written to."
        ) from error
    settings: dict[str, Any] = {
        "memory_limit": memory,
        "temp_directory": str(room),
        "autoinstall_known_extensions": False,
        "autoload_known_extensions": False,
        "preserve_insertion_order": False,
    }
    if threads is not None:
        settings["threads"] = threads
    try:
        connection = duckdb.connect(config=settings)
    except duckdb.Error as error:
        shutil.rmtree(room, ignore_errors=True)
        raise AnalyticsError(f"DuckDB cannot be set up so ({error}).") from error
    try:
        for table in SCHEMAS:
            _shown(connection, table, paths[table])
        connection.execute("SET TimeZone = 'UTC'")
        connection.execute("SET allowed_paths = ?", [[path for table in paths.values() for path in table]])
        connection.execute("SET enable_external_access = false")
        connection.execute("SET lock_configuration = true")
    except duckdb.Error as error:
        connection.close()
        shutil.rmtree(room, ignore_errors=True)
        raise AnalyticsError(
            f"{folder}: DuckDB cannot read the events ({error}). Export them anew to another folder."
        ) from error
    return DuckFolder(connection, room)


class DuckAnswers:
    """`cinegen_core.analysis.answers.Answers` of a folder. Every question is a query of its own, and raises `AnalyticsError`."""

    def __init__(self, events: DuckFolder, conditions: tuple[str, ...] = (), params: _Params = ()) -> None:
        self.events = events
        self._conditions, self._params = conditions, params

    def where(self, filters: Filters) -> DuckAnswers:
        return self._and(*filters.conditions())

    def within(self, since: datetime, until: datetime) -> DuckAnswers:
        return self._and(('"at" >= ?', '"at" < ?'), (since, until))

    def size(self) -> int:
        ((count,),) = self.query(select("count(*)", HERE))
        return int(count)

    def span(self, value: str | None = None) -> tuple[pd.Timestamp, pd.Timestamp] | None:
        held = self if value is None else self._with(value)
        ((first, last),) = held.query(select('epoch_us(min("at")), epoch_us(max("at"))', HERE))
        return None if first is None else (_moment(first), _moment(last))

    def groups(self, by: By, value: str, step: pd.Timedelta | None = None) -> pd.DataFrame:
        names = [] if by == "all" else ["name", "on"] if by in _SIDES else ["name"]
        names = names if step is None else [*names, "at"]
        inner = [f"{_value(value)} AS v", "error", "fallback", "seconds"]
        inner += [] if by == "all" else [f"{_NAMES[by]} AS name"]
        inner += [] if step is None else [f'{_steps(step)} AS "at"']
        source = f"({select(', '.join(inner), HERE)})"
        if by in _SIDES:
            source = f"({select(f'* EXCLUDE (name), {_SIDES[by]}', source)})"
        keys = ", ".join(f'"{name}"' for name in names)
        columns = grouped_columns(by)
        wanted = [*(f'"{name}"' for name in names), *(f'{_AGGREGATES[name]} AS "{name}"' for name in columns)]
        put = f"GROUP BY {keys} ORDER BY {keys}" if keys else "HAVING count(*) > 0"
        return typed(self.query(select(", ".join(wanted), source, put)), [*names, *columns], _KINDS)

    def quantiles(
        self, value: str, shares: Sequence[float], step: pd.Timedelta | None = None
    ) -> pd.DataFrame:
        held = self._with(value)
        asked = f"quantile_cont({_value(value)}, [{', '.join(repr(float(share)) for share in shares)}])"
        if step is None:
            ((found,),) = held.query(select(asked, HERE))
            return pd.DataFrame([[float("nan")] * len(shares) if found is None else found])
        rows = held.query(
            select(f"{_steps(step)} AS step, count(*), {asked}", HERE, "GROUP BY step ORDER BY step")
        )
        known = typed([(at, count) for at, count, _ in rows], ["at", "count"], _KINDS)
        found = pd.DataFrame([one for _, _, one in rows], columns=range(len(shares)), dtype="float64")
        return pd.concat([known, found], axis="columns")

    def bars(self, value: str, width: float, most: float) -> pd.Series:
        last = round(most / width) - 1
        bar = f"least(floor(greatest(0.0, least({_value(value)}, ?)) / ?), ?)::BIGINT AS bar"
        found = self._with(value).query(
            select(f"{bar}, count(*)", HERE, "GROUP BY bar"), (float(most), float(width), float(last))
        )
        return pd.Series(dict(found), dtype="int64").reindex(range(last + 1), fill_value=0).astype("int64")

    def listed(self, value: str, most: int, columns: Sequence[str], *, ascending: bool) -> pd.DataFrame:
        known = [name for name in columns if name in ANSWER_TYPES]
        order = (
            f'ORDER BY {_value(value)} {"ASC" if ascending else "DESC"}, "at" DESC, id ASC LIMIT {int(most)}'
        )
        rows = self._with(value).query(select(", ".join(f'"{name}"' for name in known), HERE, order))
        return typed(rows, known, ANSWER_TYPES)

    def names(self) -> Names:
        """What these can be filtered by."""

        def each(what: str) -> set[str]:
            return {name for (name,) in self.query(select(f"DISTINCT {what} AS name", HERE)) if name}

        # by their few combinations, which are taken apart here
        engines = {json.loads(line) for names in each("engine_names") for line in names.split("\n") if line}
        found = (
            each("title"),
            each("unnest(genres)"),
            each("writer"),
            engines,
            each("unnest(map_keys(flags))"),
        )
        return Names(*(tuple(sorted(names - {""})) for names in found))

    def query(self, query: str, before: _Params = ()) -> list[tuple[Any, ...]]:
        """What a query of this package gives that has `HERE` in it, once; `before` are the parameters that stand in front of it."""
        held = [f"({one})" for one in self._conditions]
        rest = f"WHERE {' AND '.join(held)}" if held else ""
        source = f"({select('*', 'answers', rest)})"
        return self.events.rows(query.replace(HERE, source), (*before, *self._params))

    def _with(self, value: str) -> DuckAnswers:
        return self._and((f"{_value(value)} IS NOT NULL",), ())

    def _and(self, conditions: Sequence[str], params: Sequence[Any]) -> DuckAnswers:
        return DuckAnswers(self.events, (*self._conditions, *conditions), (*self._params, *params))


def select(what: str, source: str, rest: str = "") -> str:
    """A query, of this package's own words."""
    return " ".join(("SELECT", what, "FROM", source, rest))


def typed(rows: Sequence[Sequence[Any]], columns: Sequence[str], kinds: Mapping[str, str]) -> pd.DataFrame:
    """Rows as a frame; moments are as DuckDB gives them, or microseconds since 1970."""
    each = list(zip(*rows, strict=True)) if rows else [()] * len(columns)
    return pd.DataFrame(
        {name: _column(values, kinds[name]) for name, values in zip(columns, each, strict=True)}
    )


def _column(values: Sequence[Any], kind: str) -> pd.Series:
    if kind == MOMENT:
        unit = "us" if values and isinstance(values[0], int) else None
        return pd.Series(pd.to_datetime(pd.Series(values, dtype="object"), utc=True, unit=unit)).astype(
            MOMENT
        )
    if kind == "object":
        return pd.Series([tuple(value) for value in values], dtype="object")
    return pd.Series(values, dtype=kind)


def _value(value: str) -> str:
    if value not in _VALUES:
        raise ValueError(f"{value!r} is no value of answers; there are {', '.join(VALUES)}")
    return _VALUES[value]


def _steps(step: pd.Timedelta) -> str:
    """Where the step begins in which an answer was given, in microseconds since 1970; before 1970 too, where a remainder is negative."""
    long, monday = int(step // pd.Timedelta(microseconds=1)), int(MONDAY.timestamp() * 1_000_000)
    return f'epoch_us("at") - (((epoch_us("at") - {monday}) % {long}) + {long}) % {long}'


def _moment(microseconds: int) -> pd.Timestamp:
    return pd.Timestamp(microseconds, unit="us", tz="UTC").as_unit("us")


def _shown(connection: duckdb.DuckDBPyConnection, table: Table, paths: list[str]) -> None:
    """As a view of its files, or an empty table."""
    if paths:
        connection.read_parquet(paths, hive_partitioning=False).create_view(table)
    else:
        connection.from_arrow(SCHEMAS[table].empty_table()).create(table)
