"""What an analyst takes away: CSV, Parquet, and a link that opens the same view again. What is exported says what it is.

Parquet keeps every value as it is. CSV is for spreadsheets too: text that these would run as a formula is disarmed.
"""

from __future__ import annotations

import io
import re
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any, Literal
from urllib.parse import urlencode

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from cinegen_core.analysis.answers import DIMENSION, FLAG
from cinegen_core.analysis.filters import Filters
from cinegen_core.monitor.events import Series
from cinegen_core.scorer import DIMENSION_WORDS

Ending = Literal["csv", "parquet"]

MEANINGS: Mapping[str, str] = {
    "at": "when it was answered or said, UTC",
    "id": "names the answer, in every table",
    "series": "where the answer comes from: live, staging, or simulated (made up by the simulator, no real reader or request)",
    "who": "stands for the person who asked or read",
    "title": "title of the series",
    "number": "number of the episode",
    "genres": "genres of the series",
    "asked": "digest of what was asked for; equal for equal requests",
    "tier": "the tier that answered",
    "first": "the highest tier that was permitted",
    "writer": "who wrote",
    "profile": "quality profile that the writer is held to",
    "seconds": "from request to answer, s",
    "score": "the scorer's overall score, 0 to 10",
    "quality": "the score on the guide's scale, whoever wrote, 0 to 10",
    "accepted": "whether it met the threshold of its profile",
    "error": "ended without an episode, or only through the template because all above it failed",
    "fallback": "answered by a lower tier than the highest permitted",
    "kept": "came from the cache of results",
    "emergency": "given in an emergency",
    "counts": "takes part in figures: neither kept nor given in an emergency",
    "calls": "calls of a model, all attempts together",
    "tokens": "tokens, all attempts together",
    "cost": "US dollars, all attempts together",
    "active": "engines that were active; in a table of engines: answers in which it was active",
    "delivered": "engines, or answers, in which a valid directive came in time; of a single run: whether it did",
    "engine": "name of the engine",
    "realised": "how far the directive is in the script, 0 to 1",
    "feedback": "names what the reader did",
    "action": "what the reader did: shown, chose, rated or exported",
    "rating": "what the reader gave, 1 to 10",
    "why": "the reader's reason, in their words",
    "stands": "whether it is the rating that counts: this reader's last on this episode",
    "name": "what the row is about",
    "label": "the same in words",
    "answers": "how many answers",
    "count": "how many answers with a value",
    "share": "percent of the answers",
    "mean": "mean of the values",
    "low": "lower end of the interval of 95 %",
    "high": "upper end of the interval of 95 %",
    "errors": "errors, percent",
    "fallbacks": "fallbacks, percent",
    "until": "when the step ends, UTC",
    "step": "how long a step is",
    "level": "mean of the step means between two changes of level",
    "change": "whether another level begins here",
    "q25": "a quarter of the values lies below",
    "median": "half of the values lies below",
    "q75": "three quarters of the values lie below",
    "success": "delivered, percent of active",
    "mean_delivered": "mean of the answers in which the engine delivered",
    "mean_not": "mean of the answers in which it was active and did not",
    "on": "answers for which the flag was on",
    "off": "answers for which it was evaluated and off",
    "mean_on": "mean of the answers for which the flag was on",
    "mean_off": "mean of those for which it was off",
    "difference": "the first mean less the second",
    "errors_on": "errors with the flag on, percent",
    "errors_off": "errors with the flag off, percent",
    "errors_difference": "on less off, percentage points",
    "errors_low": "lower end of its interval of 95 %",
    "errors_high": "upper end of its interval of 95 %",
    "class": "quality class",
    **{f"{DIMENSION}{name}": f"{words}, 0 to 10" for name, words in DIMENSION_WORDS.items()},
}
"""What the columns of all tables and views say."""

_OF_BARS: Mapping[str, str] = {
    "low": "where the bar begins, 0 to 10",
    "high": "where the bar ends",
    "share": "percent of the answers with a value",
}
_OF_STEPS: Mapping[str, str] = {"at": "when the step begins, UTC"}
_RUNS_IN_SHEETS = ("=", "+", "-", "@", "＝", "＋", "－", "＠")


def meanings(frame: pd.DataFrame) -> pd.DataFrame:
    """What each column of a table or view says: `column`, `type`, `meaning`."""
    columns = [str(name) for name in frame.columns]
    return pd.DataFrame(
        {
            "column": pd.Series(columns, dtype="str"),
            "type": pd.Series([_kind(frame[name]) for name in frame.columns], dtype="str"),
            "meaning": pd.Series([_meaning(name, columns) for name in columns], dtype="str"),
        }
    )


def labelled(frame: pd.DataFrame, series: Series) -> pd.DataFrame:
    """With the column `series` in front, where a view does not say of which series it is."""
    if "series" in frame.columns:
        return frame
    return frame.assign(series=pd.Series(series, index=frame.index, dtype="str"))[["series", *frame.columns]]


def to_csv(frame: pd.DataFrame) -> bytes:
    """UTF-8 with a byte order mark, so that spreadsheets read names as they are written; moments in ISO 8601, missing values empty,
    several genres divided by "; ". Text that begins with = + - or @ gets an apostrophe in front; numbers are left as they are."""
    shown = pd.DataFrame(
        {_disarmed(str(name)): _for_sheets(frame[name]) for name in frame.columns}, index=frame.index
    )
    text: str = shown.to_csv(index=False, date_format="%Y-%m-%dT%H:%M:%S.%fZ", lineterminator="\r\n")
    return text.encode("utf-8-sig")


def to_parquet(frame: pd.DataFrame) -> bytes:
    """Values and types as they are, text too; every column carries its meaning as `description` in the file's schema."""
    columns = [str(name) for name in frame.columns]
    arrays = [_arrow(frame[name]) for name in frame.columns]
    fields = [
        pa.field(name, array.type, metadata={"description": _meaning(name, columns)})
        for name, array in zip(columns, arrays, strict=True)
    ]
    about = {"series": ", ".join(sorted(set(frame["series"])))} if "series" in columns else None
    file = io.BytesIO()
    pq.write_table(pa.Table.from_arrays(arrays, schema=pa.schema(fields, metadata=about)), file)
    return file.getvalue()


def file_name(what: str, series: Series, at: datetime, ending: Ending) -> str:
    """A name to suggest: what it is of, and when. What is not of real readers says so first: `simulated_answers_20260105T1200Z.csv`."""
    words = re.sub(r"[^a-z0-9]+", "_", what.casefold()).strip("_")[:60] or "table"
    start = "" if series == "live" else f"{series}_"
    return f"{start}{words}_{at.astimezone(UTC):%Y%m%dT%H%MZ}.{ending}"


def link(address: str, filters: Filters, **more: str) -> str:
    """An address that opens the same view: `address` is the page's, without a query; `more` are other parts that the page knows."""
    query = urlencode({**filters.to_query(), **more})
    return f"{address}?{query}" if query else address


def _meaning(name: str, columns: list[str]) -> str:
    if name.startswith(FLAG):
        return f"whether the flag {name.removeprefix(FLAG)} was on; empty where it was not evaluated"
    if "class" in columns and name in _OF_BARS:
        return _OF_BARS[name]
    if "until" in columns and name in _OF_STEPS:
        return _OF_STEPS[name]
    return MEANINGS.get(name, "")


def _kind(column: pd.Series) -> str:
    return "list of text" if column.dtype == "object" else str(column.dtype)


def _for_sheets(column: pd.Series) -> pd.Series:
    if column.dtype == "object":
        column = pd.Series(["; ".join(one) for one in column], index=column.index, dtype="str")
    if column.dtype == "str":
        return column.map(_disarmed, na_action="ignore").astype("str")
    return column


def _disarmed(text: str) -> str:
    # some spreadsheets look past blanks, and take a tab or a line's end for the start of another cell
    return f"'{text}" if text.lstrip().startswith(_RUNS_IN_SHEETS) or text[:1] in ("\t", "\r", "\n") else text


def _arrow(column: pd.Series) -> Any:
    if column.dtype == "object":
        return pa.array([list(one) for one in column], type=pa.list_(pa.string()))
    if column.dtype == "str":
        return pa.array(column.astype("object").where(column.notna(), None), type=pa.string())
    found = pa.array(column, from_pandas=True)
    return found.combine_chunks() if isinstance(found, pa.ChunkedArray) else found
