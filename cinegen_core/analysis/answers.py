"""Events as tables for analysts: one row an answer, one an engine of an answer, one a reader's word on an answer.

Columns and their types are the same whatever the events are, none included. `id` names the answer in every table.
"""

from __future__ import annotations

import json
import threading
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Literal, NamedTuple, Protocol

import pandas as pd
from pydantic_core import from_json

from cinegen_core.monitor.events import Event, FeedbackEvent, GenerationEvent, Series
from cinegen_core.scorer import DIMENSION_WORDS

if TYPE_CHECKING:
    from cinegen_core.analysis.filters import Filters

DIMENSION = "dimension:"
"""Begins the names of the columns of the scorer's seven dimensions."""

FLAG = "flag:"
"""Begins the names of the columns of feature flags; a flag has one as soon as it was evaluated for one of the answers."""

DIMENSIONS = tuple(f"{DIMENSION}{name}" for name in DIMENSION_WORDS)
KINDS = ("generation", "feedback")
MOMENT = "datetime64[us, UTC]"

ANSWER_TYPES: Mapping[str, str] = {
    "at": MOMENT,
    "id": "str",
    "series": "str",
    "who": "str",
    "title": "str",
    "number": "int64",
    "genres": "object",
    "asked": "str",
    "tier": "str",
    "first": "str",
    "writer": "str",
    "profile": "str",
    "seconds": "float64",
    "score": "float64",
    "quality": "float64",
    "accepted": "bool",
    "error": "bool",
    "fallback": "bool",
    "kept": "bool",
    "emergency": "bool",
    "counts": "bool",
    "calls": "int64",
    "tokens": "int64",
    "cost": "float64",
    "active": "int64",
    "delivered": "int64",
    **dict.fromkeys(DIMENSIONS, "float64"),
}
"""The columns of `answers_frame` before those of flags, in order."""

ENGINE_TYPES: Mapping[str, str] = {
    "at": MOMENT,
    "id": "str",
    "engine": "str",
    "delivered": "bool",
    "realised": "float64",
}

_OF_THE_ANSWER: Mapping[str, str] = {
    "title": "str",
    "number": "Int64",
    "tier": "str",
    "writer": "str",
    "quality": "float64",
    "score": "float64",
    "counts": "boolean",
}

_HEARD_TYPES: Mapping[str, str] = {
    "at": MOMENT,
    "feedback": "str",
    "id": "str",
    "series": "str",
    "who": "str",
    "action": "str",
    "rating": "Int64",
    "why": "str",
}

RATING_TYPES: Mapping[str, str] = {**_HEARD_TYPES, "stands": "bool", **_OF_THE_ANSWER}

By = Literal["all", "title", "tier", "writer", "genre", "engine", "cohort"]
"""What answers are put together by."""

NO_GENRE = "(no genre)"

PERCENT_DELIVERED = "percent delivered"
"""A value that answers have beside their columns: engines that delivered, percent of the active ones; none where none was active."""

VALUES = ("quality", "score", "seconds", *DIMENSIONS, PERCENT_DELIVERED)
"""What means, bars, quantiles and lists can be of."""

MONDAY = pd.Timestamp("1970-01-05", tz="UTC")
"""From which steps of time are counted."""

_Record = Mapping[str, Any]


class Tables(NamedTuple):
    """What there is to look at; `last` is the number of the last event in it, and `after` of the last that is too long ago for it."""

    answers: pd.DataFrame
    engines: pd.DataFrame
    ratings: pd.DataFrame
    last: int
    after: int = 0


class Names(NamedTuple):
    """What there is to filter by, each in order."""

    titles: tuple[str, ...]
    genres: tuple[str, ...]
    writers: tuple[str, ...]
    engines: tuple[str, ...]
    flags: tuple[str, ...]


def spelled(engine: str) -> str:
    """An engine's name as it stands on a line of `engine_names` in Parquet files: as a string in JSON, which holds no line's end."""
    return json.dumps(engine, ensure_ascii=False)


def answers_frame(events: Iterable[object]) -> pd.DataFrame:
    """One row an answer, by time; of answers that share an id the first. Other events are left out.

    `seconds`, `score` and `quality` (0..10) as in `GenerationEvent`; `calls`, `tokens` and `cost` (US dollars) are sums over all attempts;
    `active` and `delivered` count engines. `dimension:<name>` 0..10, NaN where there is none; `flag:<key>` true, false, or NA where the flag
    was not evaluated. `genres` are tuples of text.
    """
    return _answers(_records(events, GenerationEvent, "generation"))


def engines_frame(events: Iterable[object]) -> pd.DataFrame:
    """One row an active engine of an answer: whether it delivered, and how far it is in the script (0..1, NaN where nobody looked)."""
    return _engines(_records(events, GenerationEvent, "generation"))


def ratings_frame(events: Iterable[object]) -> pd.DataFrame:
    """One row each time a reader was shown an episode, chose, rated or exported, with what is known of the answer it is about.

    `rating` is 1..10, NA for the other actions. `stands` marks the ratings that figures are made of: each reader's last on
    each episode. What is said about an answer that is not among the events has NA and NaN for it.
    """
    found = list(events)
    heard = _heard(_records(found, FeedbackEvent, "feedback"))
    return _joined(heard, answers_frame(found))


class Answers(Protocol):
    """Answers that can be asked for what tables and charts are made of, wherever they are: in frames (`FrameAnswers`) or in Parquet
    files (`cinegen_core.analysis.duck.DuckAnswers`). What comes back is small and the same from both, whatever the number of answers.

    `value` is one of `VALUES`; answers that have none are counted, and in nothing else. Raises `ValueError` for another value.
    """

    def where(self, filters: Filters) -> Answers:
        """Those that hold."""
        ...

    def within(self, since: datetime, until: datetime) -> Answers:
        """Those from `since` up to and without `until`, both with a zone."""
        ...

    def size(self) -> int:
        """How many there are."""
        ...

    def span(self, value: str | None = None) -> tuple[pd.Timestamp, pd.Timestamp] | None:
        """When the first and the last was given, of those that have the value; None without any."""
        ...

    def groups(self, by: By, value: str, step: pd.Timedelta | None = None) -> pd.DataFrame:
        """By `name` (but for all), and by `at`, where steps so long begin, counted from `MONDAY`; in the order of these.

        Columns `grouped_columns(by)`: `size` (answers), `count` (those with a value), `mean` and `std` (standard deviation, n - 1) of the
        values, `errors` and `fallbacks` (answers), and `seconds` (mean). By engine and by cohort there is a column `on` after the name:
        whether the engine delivered, the flag was on. By engine, rows are of runs, and the last columns are instead `realised`, the mean
        of those `looked` at. Answers of several genres are in several groups, those of none in `NO_GENRE`.
        """
        ...

    def quantiles(
        self, value: str, shares: Sequence[float], step: pd.Timedelta | None = None
    ) -> pd.DataFrame:
        """Exact quantiles, a column each (named by its place, from 0), between two values by a straight line as numpy has it; one row,
        NaN without values, or one a step with values, with `at` and `count`."""
        ...

    def bars(self, value: str, width: float, most: float) -> pd.Series:
        """How many values are in each bar of that width from 0 to `most`, where the last ends, which has it too; what is below or above is
        in the first or last."""
        ...

    def listed(self, value: str, most: int, columns: Sequence[str], *, ascending: bool) -> pd.DataFrame:
        """The first `most` of those with a value, by it; among equals the latest first, then by id. Columns of `ANSWER_TYPES`."""
        ...


class FrameAnswers:
    """`Answers` that are in memory: `answers_frame` and `engines_frame` of the same events."""

    def __init__(self, answers: pd.DataFrame, engines: pd.DataFrame | None = None) -> None:
        """Without `engines` there is nothing by engine, and no filter by one."""
        self.frame = answers
        self.engines = engines_frame(()) if engines is None else engines

    def where(self, filters: Filters) -> FrameAnswers:
        return FrameAnswers(filters.apply(self.frame, self.engines), self.engines)

    def within(self, since: datetime, until: datetime) -> FrameAnswers:
        held = (self.frame["at"] >= since) & (self.frame["at"] < until)
        return FrameAnswers(self.frame[held], self.engines)

    def size(self) -> int:
        return len(self.frame)

    def span(self, value: str | None = None) -> tuple[pd.Timestamp, pd.Timestamp] | None:
        at = self.frame["at"] if value is None else self.frame.loc[self._values(value).notna(), "at"]
        return None if at.empty else (at.min(), at.max())

    def groups(self, by: By, value: str, step: pd.Timedelta | None = None) -> pd.DataFrame:
        rows = self.frame[["at", "error", "fallback", "seconds"]].assign(value=self._values(value))
        keys = [] if by == "all" else ["name", "on"] if by in ("engine", "cohort") else ["name"]
        if step is not None:
            rows = rows.assign(at=(MONDAY + ((rows["at"] - MONDAY) // step) * step).astype(MOMENT))
            keys = [*keys, "at"]
        if by == "cohort":
            return self._cohorts(rows, keys)
        if by == "genre":
            each = pd.Series([one or (NO_GENRE,) for one in self.frame["genres"]], rows.index, dtype="object")
            rows = rows.assign(name=each).explode("name").astype({"name": "str"})
        elif by == "engine":
            runs = self.engines.drop(columns="at").rename(columns={"engine": "name", "delivered": "on"})
            rows = rows.assign(id=self.frame["id"]).merge(runs, on="id")
        elif by != "all":
            rows = rows.assign(name=self.frame[by])
        return _grouped(rows, keys, by)

    def quantiles(
        self, value: str, shares: Sequence[float], step: pd.Timedelta | None = None
    ) -> pd.DataFrame:
        values = self._values(value).dropna()
        if step is None:
            return pd.DataFrame([[values.quantile(share) for share in shares]])
        at = self.frame.loc[values.index, "at"]
        groups = values.groupby((MONDAY + ((at - MONDAY) // step) * step).astype(MOMENT), sort=True)
        found: dict[Any, pd.Series] = {place: groups.quantile(share) for place, share in enumerate(shares)}
        return pd.DataFrame({"count": groups.size()} | found).rename_axis("at").reset_index()

    def bars(self, value: str, width: float, most: float) -> pd.Series:
        values = self._values(value).dropna().clip(0.0, most)
        last = round(most / width) - 1
        found = (values // width).clip(upper=last).astype("int64").value_counts()
        return found.reindex(range(last + 1), fill_value=0).astype("int64")

    def listed(self, value: str, most: int, columns: Sequence[str], *, ascending: bool) -> pd.DataFrame:
        wanted = list(dict.fromkeys((*columns, value)))
        known = self.frame.loc[self._values(value).notna(), wanted]
        ordered = known.sort_values([value, "at", "id"], ascending=[ascending, False, True])
        return ordered.head(most).reset_index(drop=True)[list(columns)]

    def _values(self, value: str) -> pd.Series:
        if value not in VALUES:
            raise ValueError(f"{value!r} is no value of answers; there are {', '.join(VALUES)}")
        if value != PERCENT_DELIVERED:
            return self.frame[value]
        active = self.frame["active"].astype("float64")
        return 100.0 * self.frame["delivered"] / active.where(active > 0)

    def _cohorts(self, rows: pd.DataFrame, keys: list[str]) -> pd.DataFrame:
        found = []
        for column in sorted(name for name in self.frame.columns if name.startswith(FLAG)):
            known = self.frame[column].notna()
            named = rows[known].assign(
                name=column.removeprefix(FLAG), on=self.frame.loc[known, column].astype("bool")
            )
            found.append(_grouped(named.astype({"name": "str"}), keys, "cohort"))
        some = [one for one in found if len(one)]
        if some:
            return pd.concat(some, ignore_index=True)
        empty = pd.Series([], dtype="bool")
        return _grouped(rows.head(0).assign(name=pd.Series([], dtype="str"), on=empty), keys, "cohort")


def grouped_columns(by: By) -> tuple[str, ...]:
    """The columns of `Answers.groups` after those that name the groups."""
    more = ("realised", "looked") if by == "engine" else ("errors", "fallbacks", "seconds")
    return ("size", "count", "mean", "std", *more)


def _grouped(rows: pd.DataFrame, keys: list[str], by: By) -> pd.DataFrame:
    groups = rows.groupby(keys or pd.Series(0, index=rows.index), sort=True)
    found = groups["value"].agg(["count", "mean", "std"]).assign(size=groups.size())
    if by == "engine":
        found = found.assign(realised=groups["realised"].mean(), looked=groups["realised"].count())
    else:
        found = found.assign(
            errors=groups["error"].sum(), fallbacks=groups["fallback"].sum(), seconds=groups["seconds"].mean()
        )
    named = found.reset_index(names=keys) if keys else found.reset_index(drop=True)
    whole = [name for name in ("size", "count", "errors", "fallbacks", "looked") if name in named]
    return named[[*keys, *grouped_columns(by)]].astype(dict.fromkeys(whole, "int64"))


class Read(Protocol):
    """`SqlEvents.read`, or something that gives each event as the JSON that is stored, which is read several times faster."""

    def __call__(
        self, *, after: int, series: Series | None, kinds: Iterable[str]
    ) -> Sequence[tuple[int, Event | str]]: ...


class AnswerBook:
    """The three tables, kept up to date with a log of events. May be used from any thread.

    Only what was recorded since the last time is read. Whoever gets the tables may do with them what they like: they are
    copies, made when written to.
    """

    def __init__(self, read: Read, series: Series | None = "live", *, after: int = 0) -> None:
        """`series` None: of all. Events up to the number `after` take no part."""
        self._read, self._series, self._after = read, series, after
        self._lock = threading.Lock()
        self._answers, self._engines = answers_frame(()), engines_frame(())
        self._heard = _heard(())
        self._ratings = _joined(self._heard, self._answers)
        self._known: set[str] = set()
        self._last = after

    def tables(self) -> Tables:
        """As of now. Raises what reading raises."""
        with self._lock:
            self._catch_up()
            return Tables(
                answers=self._answers.copy(deep=False),
                engines=self._engines.copy(deep=False),
                ratings=self._ratings.copy(deep=False),
                last=self._last,
                after=self._after,
            )

    def forget(self, before: datetime) -> None:
        """Lets go of what is older, as the log does. `before` has a time zone."""
        with self._lock:
            self._answers = _since(self._answers, before)
            self._engines = _since(self._engines, before)
            self._heard = _since(self._heard, before)
            self._ratings = _joined(self._heard, self._answers)

    def _catch_up(self) -> None:
        found = self._read(after=self._last, series=self._series, kinds=KINDS)
        if not found:
            return
        # what is stored was validated when it was recorded; to validate it again would take most of the time
        told = [from_json(event) if isinstance(event, str) else event for _, event in found]
        known = set(self._known)
        records = _records(told, GenerationEvent, "generation", known)
        heard = _heard(_records(told, FeedbackEvent, "feedback", known))
        answers = _together(self._answers, _answers(records), "id")
        engines = _together(self._engines, _engines(records), "id")
        heard = _together(self._heard, heard, "feedback")
        ratings = _joined(heard, answers)
        # all or nothing: what could not be read is read again the next time
        self._answers, self._engines, self._heard, self._ratings = answers, engines, heard, ratings
        self._known = known
        self._last = max(number for number, _ in found)


def _records(
    events: Iterable[object],
    of: type[GenerationEvent | FeedbackEvent],
    kind: str,
    known: set[str] | None = None,
) -> list[_Record]:
    """Events of one kind as mappings, by time, each id once and none of those that are known, to which they are added."""
    there: set[str] = set() if known is None else known
    defaults = _left_out(of)
    read = (_record(event, of, kind, defaults) for event in events)
    found: list[_Record] = []
    for record in sorted((one for one in read if one is not None), key=lambda one: (one["at"], one["id"])):
        key = f"{kind} {record['id']}"
        if key not in there:
            there.add(key)
            found.append(record)
    return found


def _record(
    event: object, of: type[GenerationEvent | FeedbackEvent], kind: str, defaults: _Record
) -> _Record | None:
    if isinstance(event, of):
        found = event.model_dump()
    elif isinstance(event, dict) and event["kind"] == kind:
        found = {**defaults, **event, "at": datetime.fromisoformat(event["at"])}
    else:
        return None
    found["at"] = found["at"].astimezone(UTC)
    return found


def _left_out(of: type[GenerationEvent | FeedbackEvent]) -> dict[str, Any]:
    """What stands for keys that older events do not have."""
    return {
        name: field.get_default(call_default_factory=True)
        for name, field in of.model_fields.items()
        if not field.is_required()
    }


def _answers(records: Sequence[_Record]) -> pd.DataFrame:
    columns: dict[str, Any] = {
        name: [record[name] for record in records] for name in ANSWER_TYPES if name in _PLAIN
    }
    columns["genres"] = [tuple(record["genres"]) for record in records]
    columns["counts"] = [
        not (record["kept"] or record["emergency"] or record.get("trial")) for record in records
    ]
    columns["calls"] = [sum(one.get("calls", 0) for one in record["attempts"]) for record in records]
    columns["tokens"] = [sum(one.get("tokens", 0) for one in record["attempts"]) for record in records]
    columns["cost"] = [sum(one.get("cost", 0.0) for one in record["attempts"]) for record in records]
    columns["active"] = [len(record["engines"]) for record in records]
    columns["delivered"] = [sum(one["delivered"] for one in record["engines"]) for record in records]
    for name in DIMENSION_WORDS:
        columns[f"{DIMENSION}{name}"] = [record["dimensions"].get(name) for record in records]
    flags = sorted({flag for record in records for flag in record["flags"]})
    for flag in flags:
        columns[f"{FLAG}{flag}"] = [record["flags"].get(flag) for record in records]
    return _frame(columns, {**ANSWER_TYPES, **{f"{FLAG}{flag}": "boolean" for flag in flags}})


_PLAIN = frozenset(ANSWER_TYPES) & frozenset(GenerationEvent.model_fields)


def _engines(records: Sequence[_Record]) -> pd.DataFrame:
    runs = [(record["at"], record["id"], one) for record in records for one in record["engines"]]
    columns = {
        "at": [at for at, _, _ in runs],
        "id": [id for _, id, _ in runs],
        "engine": [one["engine"] for _, _, one in runs],
        "delivered": [one["delivered"] for _, _, one in runs],
        "realised": [one.get("realised") for _, _, one in runs],
    }
    return _frame(columns, ENGINE_TYPES)


def _heard(records: Sequence[_Record]) -> pd.DataFrame:
    kept = {"feedback": "id", "id": "generation"}
    columns = {name: [record[kept.get(name, name)] for record in records] for name in _HEARD_TYPES}
    return _frame(columns, _HEARD_TYPES)


def _joined(heard: pd.DataFrame, answers: pd.DataFrame) -> pd.DataFrame:
    rated = heard.loc[heard["rating"].notna(), ["feedback", "id", "who"]]
    # readers without a name cannot be told apart, so each of their words stands
    reader = rated["who"].where(rated["who"] != "", "\0" + rated["feedback"])
    standing = rated.index[~rated.assign(who=reader).duplicated(["id", "who"], keep="last")]
    about = answers.set_index("id")[list(_OF_THE_ANSWER)].reindex(heard["id"])
    columns = {name: about[name].to_numpy(dtype="object") for name in _OF_THE_ANSWER}
    known = heard.assign(stands=heard.index.isin(standing), **columns)
    return known.astype({name: kind for name, kind in RATING_TYPES.items() if name != "at"})[
        list(RATING_TYPES)
    ]


def _frame(columns: Mapping[str, Sequence[Any]], types: Mapping[str, str]) -> pd.DataFrame:
    return pd.DataFrame({name: _column(columns[name], kind) for name, kind in types.items()})


def _column(values: Sequence[Any], kind: str) -> pd.Series:
    if kind == MOMENT:
        return pd.Series(pd.to_datetime(pd.Series(values, dtype="object"), utc=True)).astype(MOMENT)
    return pd.Series(values, dtype=kind)


def _together(frame: pd.DataFrame, more: pd.DataFrame, tie: str) -> pd.DataFrame:
    if more.empty:
        return frame
    flags = sorted({name for one in (frame, more) for name in one.columns if name.startswith(FLAG)})
    columns = [name for name in frame.columns if not name.startswith(FLAG)] + flags
    whole = [_with(one, columns, flags) for one in (frame, more) if len(one)]
    joined = pd.concat(whole, ignore_index=True)
    if len(whole) == 2 and not frame["at"].iloc[-1] < more["at"].iloc[0]:
        joined = joined.sort_values(["at", tie], kind="stable", ignore_index=True)
    return joined


def _with(frame: pd.DataFrame, columns: Sequence[str], flags: Sequence[str]) -> pd.DataFrame:
    missing = {name: pd.array([pd.NA] * len(frame), dtype="boolean") for name in flags if name not in frame}
    return frame.assign(**missing)[list(columns)]


def _since(frame: pd.DataFrame, before: datetime) -> pd.DataFrame:
    return frame[frame["at"] >= before].reset_index(drop=True)
