"""Events by the million for `benchmarks.analytics`: SIMULATED answers drawn again and again, with noise, as Parquet and as frames.

The simulator's answers are drawn with replacement and get moments, ids and a little noise on every score and time, so that values do not
repeat (repeated ones would flatter whoever compresses them). One answer in twenty gets a rating. The same seed gives the same events.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from cinegen_core.analysis.answers import DIMENSIONS, MOMENT, answers_frame, engines_frame
from cinegen_core.analysis.parquet import Listed, add_table, begin, listed, write_events
from cinegen_core.analysis.sources import simulated
from cinegen_core.monitor.events import GenerationEvent

CHUNK = 100_000
MONTHS = 24
FIRST = "2024-01"
RATED = 20
"""One answer in so many has a rating."""

Numbers = np.ndarray[tuple[int, ...], np.dtype[np.float64]]


class Drawn(NamedTuple):
    """A chunk: which of the simulator's answers, when, and the noise of each number."""

    first: int
    places: np.ndarray[tuple[int, ...], np.dtype[np.int64]]
    at: np.ndarray[tuple[int, ...], np.dtype[np.int64]]
    noise: Numbers
    slower: Numbers
    rating: np.ndarray[tuple[int, ...], np.dtype[np.int64]]


class Base:
    """Four weeks of the simulator's answers."""

    def __init__(self) -> None:
        self.events = [
            event for event in simulated(days=28.0, rate=12.0) if isinstance(event, GenerationEvent)
        ]

    def table(self) -> pa.Table:
        with tempfile.TemporaryDirectory() as folder:
            held = begin(Path(folder) / "base", Listed(series="simulated"))
            held = write_events(enumerate(self.events, 1), Path(folder) / "base", held)
            found = [
                pq.read_table(path, partitioning=None)
                for path in held.paths(Path(folder) / "base", "answers")
            ]
            return pa.concat_tables(found).sort_by("event").combine_chunks()


def drawn(count: int, base: int) -> Iterator[Drawn]:
    """`count` answers over `MONTHS` months, none of whose chunks reaches over two; `base` is how many there are to draw from."""
    rng = np.random.default_rng(7)
    starts = pd.date_range(f"{FIRST}-01", periods=MONTHS + 1, freq="MS", tz="UTC").as_unit("us").asi8
    first = 1
    for month in range(MONTHS):
        left = count * (month + 1) // MONTHS - count * month // MONTHS
        chunks = -(-left // CHUNK)
        edges = np.linspace(starts[month], starts[month + 1], chunks + 1).astype("int64")
        for place in range(chunks):
            size = left * (place + 1) // chunks - left * place // chunks
            yield Drawn(
                first,
                rng.integers(0, base, size),
                np.sort(rng.integers(edges[place], edges[place + 1], size)),
                rng.normal(0.0, 0.05, size),
                rng.lognormal(0.0, 0.1, size),
                rng.integers(1, 11, size),
            )
            first += 2 * size


def fill(count: int, folder: Path) -> None:
    """A folder of events as `cinegen events export` writes them, chunk by chunk."""
    base = Base().table()
    held = begin(folder, Listed(series="simulated"))
    for chunk in drawn(count, len(base)):
        rows = base.take(pa.array(chunk.places))
        numbers = pa.array(np.arange(chunk.first, chunk.first + 2 * len(rows), 2))
        ids = _ids(numbers)
        at = pa.array(chunk.at).cast(pa.timestamp("us", tz="UTC"))
        new = {"event": numbers, "id": ids, "at": at}
        new |= {name: _noisy(rows.column(name), chunk.noise) for name in ("quality", "score", *DIMENSIONS)}
        new["seconds"] = pc.multiply(rows.column("seconds"), pa.array(chunk.slower))
        for name, values in new.items():
            rows = rows.set_column(rows.schema.get_field_index(name), name, values)
        held = add_table(folder, held, "answers", rows)
        some = pa.array(np.arange(0, len(rows), RATED))
        words = pa.table(
            {
                "event": pc.add(pc.take(numbers, some), 1),
                "at": pc.take(at, some),
                "feedback": pc.binary_join_element_wise("w", pc.take(ids, some), ""),
                "id": pc.take(ids, some),
                "series": pa.array(["simulated"] * len(some)),
                "who": pc.take(rows.column("who"), some),
                "action": pa.array(["rated"] * len(some)),
                "rating": pc.take(pa.array(chunk.rating), some),
                "why": pa.array([""] * len(some)),
            }
        )
        held = add_table(folder, held, "feedback", words)
    assert listed(folder) == held


def frames(count: int) -> tuple[pd.DataFrame, pd.DataFrame]:
    """The same answers and their engines as pandas has them."""
    events = Base().events
    answers = answers_frame(events)
    by_id = {event.id: place for place, event in enumerate(events)}
    order = answers["id"].map(by_id).to_numpy()
    answers = answers.iloc[np.argsort(order)].reset_index(drop=True)
    runs = engines_frame(events)
    of = runs["id"].map(by_id).to_numpy()
    runs = runs.iloc[np.argsort(of, kind="stable")].reset_index(drop=True)
    lengths = np.bincount(of, minlength=len(events))
    begins = np.concatenate([[0], np.cumsum(lengths)[:-1]])
    parts, engines = [], []
    for chunk in drawn(count, len(events)):
        size = len(chunk.places)
        ids = pd.Series(
            _ids(pa.array(np.arange(chunk.first, chunk.first + 2 * size, 2))).to_pandas(), dtype="str"
        )
        at = pd.Series(pd.DatetimeIndex(chunk.at.astype("datetime64[us]"), tz="UTC"), dtype=MOMENT)
        rows = answers.iloc[chunk.places].reset_index(drop=True)
        noisy = {
            name: (rows[name] + chunk.noise).clip(0.0, 10.0) for name in ("quality", "score", *DIMENSIONS)
        }
        parts.append(rows.assign(id=ids, at=at, seconds=rows["seconds"] * chunk.slower, **noisy))
        each = lengths[chunk.places]
        where = np.repeat(
            begins[chunk.places] - np.concatenate([[0], np.cumsum(each)[:-1]]), each
        ) + np.arange(each.sum())
        its = runs.iloc[where].reset_index(drop=True)
        owner = np.repeat(np.arange(size), each)
        engines.append(
            its.assign(id=ids.iloc[owner].reset_index(drop=True), at=at.iloc[owner].reset_index(drop=True))
        )
    return pd.concat(parts, ignore_index=True), pd.concat(engines, ignore_index=True)


def _ids(numbers: pa.Array) -> pa.Array:
    return pc.binary_join_element_wise("r", pc.utf8_lpad(numbers.cast(pa.string()), 9, "0"), "")


def _noisy(values: pa.ChunkedArray, noise: Numbers) -> pa.Array:
    return pc.min_element_wise(
        pc.max_element_wise(pc.add(values, pa.array(noise)), 0.0, skip_nulls=False), 10.0, skip_nulls=False
    )
