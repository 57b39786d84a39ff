"""Which answers an analyst looks at, and that choice as the query of an address.

tables = book.tables()
filters, ignored = Filters.from_query({"tiers": "comprehensive", "quality": "7..8.5"})
shown = filters.apply(tables.answers, tables.engines)
"""

from __future__ import annotations

import math
from collections.abc import Callable, Collection, Iterable, Mapping
from datetime import UTC, datetime
from typing import Annotated, Any, NamedTuple, get_args

import pandas as pd
from pydantic import AfterValidator, AwareDatetime, Field, ValidationError, field_validator, model_validator

from cinegen_core.analysis.answers import DIMENSION, FLAG, spelled
from cinegen_core.monitor.events import Series
from cinegen_core.scorer import DIMENSION_WORDS, DimensionName
from cinegen_core.story.errors import shorten
from cinegen_core.story.model import Noun
from cinegen_core.tiers.model import TierName

MOST_NAMES = 200
"""Names that one filter takes."""

LONGEST = 20_000
"""Characters of one part of an address; what is longer is left out."""

_COHORTS = {"on": True, "off": False}


class Span(Noun):
    """From `low` to `high`, both included; None where it is open. Written `7..8.5`, `7..`, `..8.5`."""

    low: Annotated[float, Field(allow_inf_nan=False)] | None = None
    high: Annotated[float, Field(allow_inf_nan=False)] | None = None

    @model_validator(mode="after")
    def _in_order(self) -> Span:
        if self.low is not None and self.high is not None and self.low > self.high:
            raise ValueError(f"it begins at {self.low:g} and ends below that, at {self.high:g}")
        return self

    @property
    def is_open(self) -> bool:
        """Whether it holds everything, also what has no number."""
        return self.low is None and self.high is None

    def holds(self, values: pd.Series) -> pd.Series:
        """True and false for each; false for NaN unless the span is open on both sides."""
        if self.is_open:
            return pd.Series(True, index=values.index)
        low = -math.inf if self.low is None else self.low
        high = math.inf if self.high is None else self.high
        return values.between(low, high)

    def __str__(self) -> str:
        return f"{_spelled(self.low)}..{_spelled(self.high)}"

    @classmethod
    def read(cls, text: str) -> Span:
        """From what `str` makes. Raises `ValueError`."""
        low, dots, high = text.partition("..")
        if not dots:
            low = high = text
        return cls(low=_number(low), high=_number(high))


def _each_once(names: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(sorted({name for name in names if name}))


Names = Annotated[tuple[str, ...], Field(max_length=MOST_NAMES), AfterValidator(_each_once)]
"""In order, each once, none empty; no names: no filter."""


class FromQuery(NamedTuple):
    """`ignored` names the parts of an address that say nothing, each with the reason."""

    filters: Filters
    ignored: tuple[str, ...]


class Filters(Noun):
    """All that is given has to hold; of several titles, genres, tiers, writers, or engines, one has to.

    `since` and `until` (the latter excluded) are moments with a zone. `engines` are those that were active, whether they delivered or
    not. `cohorts` are flags as they were for the answer: `genre_engines:on`, `genre_engines:off`. `quality` is on the guide's scale,
    `score` and `dimensions` on the scorer's, all 0..10; a span leaves out answers without the number. `counted` leaves out what is in
    no figure: answers from the cache and those of an emergency.
    """

    since: AwareDatetime | None = None
    until: AwareDatetime | None = None
    series: Series = "live"
    titles: Names = ()
    genres: Names = ()
    tiers: Annotated[tuple[TierName, ...], AfterValidator(lambda found: tuple(sorted(set(found))))] = ()
    writers: Names = ()
    engines: Names = ()
    cohorts: Names = ()
    number: Span = Span()
    quality: Span = Span()
    score: Span = Span()
    dimensions: tuple[tuple[DimensionName, Span], ...] = ()
    counted: bool = True

    @field_validator("cohorts")
    @classmethod
    def _flags_that_were_on_or_off(cls, cohorts: tuple[str, ...]) -> tuple[str, ...]:
        for cohort in cohorts:
            flag, _, value = cohort.rpartition(":")
            if not flag or value not in _COHORTS:
                raise ValueError(f"{shorten(cohort)!r} is no cohort: write the flag and :on or :off after it")
        return cohorts

    @field_validator("dimensions", mode="after")
    @classmethod
    def _each_dimension_once(
        cls, spans: tuple[tuple[DimensionName, Span], ...]
    ) -> tuple[tuple[DimensionName, Span], ...]:
        return tuple(sorted((name, span) for name, span in dict(spans).items() if not span.is_open))

    @field_validator("since", "until")
    @classmethod
    def _in_utc(cls, at: datetime | None) -> datetime | None:
        return None if at is None else at.astimezone(UTC)

    @model_validator(mode="after")
    def _begins_before_it_ends(self) -> Filters:
        if self.since is not None and self.until is not None and self.since >= self.until:
            raise ValueError(f"it begins at {self.since:%Y-%m-%d %H:%M} and ends no later")
        return self

    def apply(self, answers: pd.DataFrame, engines: pd.DataFrame) -> pd.DataFrame:
        """The rows of `answers_frame` that hold, in their order, with their index; `engines` is the `engines_frame` of the same
        events."""
        keep = answers["series"] == self.series
        if self.counted:
            keep &= answers["counts"]
        if self.since is not None:
            keep &= answers["at"] >= self.since
        if self.until is not None:
            keep &= answers["at"] < self.until
        for column, names in (("title", self.titles), ("tier", self.tiers), ("writer", self.writers)):
            if names:
                keep &= answers[column].isin(names)
        if self.genres:
            wanted = set(self.genres)
            keep &= pd.Series(
                [not wanted.isdisjoint(one) for one in answers["genres"]], answers.index, "bool"
            )
        if self.engines:
            keep &= answers["id"].isin(engines.loc[engines["engine"].isin(self.engines), "id"])
        for cohort in self.cohorts:
            flag, _, value = cohort.rpartition(":")
            column = f"{FLAG}{flag}"
            keep &= (
                answers[column].eq(_COHORTS[value]).fillna(False).astype("bool")
                if column in answers
                else False
            )
        spans = [("number", self.number), ("quality", self.quality), ("score", self.score)]
        spans += [(f"{DIMENSION}{name}", span) for name, span in self.dimensions]
        for column, span in spans:
            keep &= span.holds(answers[column])
        return answers[keep]

    def conditions(self) -> tuple[tuple[str, ...], tuple[Any, ...]]:
        """What `apply` asks for, as SQL of DuckDB over the columns of `cinegen_core.analysis.parquet`, all of which has to hold, and the
        values of its parameters in their order. Names, numbers and moments are parameters, never text of it."""
        asked: list[tuple[str, tuple[Any, ...]]] = [("series = ?", (self.series,))]
        if self.counted:
            asked.append(("counts", ()))
        asked += [
            (f'"at" {sign} ?', (at,))
            for sign, at in ((">=", self.since), ("<", self.until))
            if at is not None
        ]
        for column, names in (("title", self.titles), ("tier", self.tiers), ("writer", self.writers)):
            if names:
                asked.append((f"{column} IN ({', '.join('?' * len(names))})", names))
        if self.genres:
            asked.append(("list_has_any(genres, ?::VARCHAR[])", (list(self.genres),)))
        if self.engines:
            lines = tuple(f"\n{spelled(name)}\n" for name in self.engines)
            asked.append((" OR ".join(["contains(engine_names, ?)"] * len(lines)), lines))
        for cohort in self.cohorts:
            flag, _, value = cohort.rpartition(":")
            asked.append(("flags[?] = ?", (flag, _COHORTS[value])))
        spans = [("number", self.number), ("quality", self.quality), ("score", self.score)]
        spans += [(f"{DIMENSION}{name}", span) for name, span in self.dimensions]
        for column, span in spans:
            if span.low is not None:
                asked.append((f'"{column}" >= ?', (float(span.low),)))
            if span.high is not None:
                asked.append((f'"{column}" <= ?', (float(span.high),)))
        return tuple(text for text, _ in asked), tuple(one for _, values in asked for one in values)

    def to_query(self) -> dict[str, str]:
        """What differs from no filter at all, as the parts of an address, not yet encoded for one."""
        query = {name: _listed(getattr(self, name)) for name in _NAMES if getattr(self, name)}
        query |= {name: _told(getattr(self, name)) for name in _MOMENTS if getattr(self, name) is not None}
        query |= {name: str(getattr(self, name)) for name in _SPANS if not getattr(self, name).is_open}
        query |= {str(name): str(span) for name, span in self.dimensions}
        if self.series != "live":
            query["series"] = self.series
        if not self.counted:
            query["counted"] = "no"
        return query

    @classmethod
    def from_query(cls, query: Mapping[str, str], also_known: Collection[str] = ()) -> FromQuery:
        """From the parts of an address, whatever they are. `also_known` are keys that mean something to somebody else."""
        found: dict[str, Any] = {}
        ignored: list[str] = []
        for key, text in query.items():
            if key in also_known:
                continue
            try:
                name, value = _part(key, text)
                if name in DIMENSION_WORDS:
                    name, value = "dimensions", (*found.get("dimensions", ()), (name, value))
                cls.model_validate({**found, name: value})
            except ValueError as error:
                ignored.append(f"{shorten(key)}={shorten(text)}: {_reason(error)}")
            else:
                found[name] = value
        return FromQuery(cls.model_validate(found), tuple(ignored))


_NAMES = ("titles", "genres", "tiers", "writers", "engines", "cohorts")
_MOMENTS = ("since", "until")
_SPANS = ("number", "quality", "score")


def _part(key: str, text: str) -> tuple[str, object]:
    """What a part of an address filters by, a field or a dimension, and its value. Raises `ValueError`."""
    if len(text) > LONGEST:
        raise ValueError(f"it is longer than {LONGEST:,} characters")
    readers: dict[str, Callable[[str], object]] = {
        **dict.fromkeys(_NAMES, _names_in),
        **dict.fromkeys(_MOMENTS, _moment),
        **dict.fromkeys((*_SPANS, *DIMENSION_WORDS), Span.read),
        "series": _series,
        "counted": _yes_or_no,
    }
    if key not in readers:
        raise ValueError("there is no filter of that name")
    return key, readers[key](text)


def _listed(names: Iterable[str]) -> str:
    return ",".join(name.replace("\\", "\\\\").replace(",", "\\,") for name in names)


def _names_in(text: str) -> tuple[str, ...]:
    names = [""]
    letters = iter(text)
    for letter in letters:
        if letter == ",":
            names.append("")
        else:
            names[-1] += next(letters, "") if letter == "\\" else letter
    if not any(names):
        raise ValueError("nothing is named")
    return tuple(names)


def _told(at: datetime) -> str:
    return at.isoformat().replace("+00:00", "Z")


def _moment(text: str) -> datetime:
    try:
        # an address from which + was read as a blank still means its zone
        at = datetime.fromisoformat(text.strip().replace(" ", "+"))
        return (at if at.tzinfo is not None else at.replace(tzinfo=UTC)).astimezone(UTC)
    except (ValueError, OverflowError) as error:
        raise ValueError("this is no moment; write 2026-11-01 or 2026-11-01T09:30Z") from error


def _series(text: str) -> str:
    if text not in get_args(Series):
        raise ValueError(f"there are {', '.join(get_args(Series))}")
    return text


def _yes_or_no(text: str) -> bool:
    if text not in ("yes", "no"):
        raise ValueError("write yes or no")
    return text == "yes"


def _number(text: str) -> float | None:
    if not text.strip():
        return None
    try:
        return float(text)
    except ValueError as error:
        raise ValueError("this is no number; write 7..8.5, 7.. or ..8.5") from error


def _spelled(number: float | None) -> str:
    return "" if number is None else repr(number).removesuffix(".0")


def _reason(error: ValueError) -> str:
    if not isinstance(error, ValidationError):
        return str(error)
    return "; ".join(str(one["msg"]).removeprefix("Value error, ") for one in error.errors())
