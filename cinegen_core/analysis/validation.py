"""The scorer held against readers: how far it puts scripts in the order they do, as a whole and by dimension, and how sure that is.

What it does to spoiled scripts is in `validation_spoiled`, charts and sentences in `validation_shown`.
"""

from __future__ import annotations

import csv
import io
import json
import math
import statistics
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from cinegen_core.analysis.prose_ratings import keyword_count
from cinegen_core.analysis.scoring import agreement, by_dimension
from cinegen_core.scorer import DIMENSION_WORDS, score
from cinegen_core.story.formats import read_script
from cinegen_core.story.script import Script

OVERALL = "overall"
JUDGED = (OVERALL, *DIMENSION_WORDS)
ROUNDS = 1000
"""How often scripts are drawn again for an interval."""

Z95 = 1.959964
"""The normal distribution's quantile for an interval of 95 %."""

Numbers = NDArray[np.float64]


class UnusableData(ValueError):
    """Ratings or a table cannot be used. The message says which, where, and what to do."""


@dataclass(frozen=True)
class RatedScript:
    """`readers`: each reader's overall, where they are kept apart. `said`: the readers' mean by dimension, 0..10."""

    name: str
    origin: str
    script: Script
    readers: tuple[float, ...]
    said: Mapping[str, float]


@dataclass(frozen=True)
class RatedSet:
    name: str
    about: str
    scripts: tuple[RatedScript, ...]


def rated_set(path: Path) -> RatedSet:
    """Scripts with readers' ratings: the shelf's JSON (scripts in the folder beside it that has its name), or your own CSV.

    The CSV has a row for each reader and script: `file` (beside the CSV: Fountain, FDX, our JSON, or text laid out like a
    screenplay), `overall`, and whichever of the seven dimensions were rated, all 0..10; `origin` if scripts come from several hands.
    Raises `UnusableData`, and `StoryError` for a script that cannot be read.
    """
    try:
        text = path.read_text(encoding="utf-8-sig")
        return _from_csv(path, text) if path.suffix.casefold() == ".csv" else _from_json(path, text)
    except (OSError, UnicodeDecodeError) as error:
        raise UnusableData(
            f"{path.name}: the ratings or one of their scripts cannot be read ({type(error).__name__}: "
            f"{getattr(error, 'filename', None) or error}). Name a CSV with the columns `file` and `overall`, its scripts beside it."
        ) from error


def _from_json(path: Path, text: str) -> RatedSet:
    try:
        told = json.loads(text)
        entries: Mapping[str, Any] = told["scripts"]
        found = tuple(
            RatedScript(
                key,
                str(entry.get("origin", "")),
                _script(path.parent / path.stem / f"{key}.txt"),
                tuple(map(float, entry.get("readers", ()))),
                {name: float(entry["mean"][name]) for name in JUDGED if entry["mean"].get(name) is not None},
            )
            for key, entry in entries.items()
        )
    except (KeyError, TypeError, AttributeError, json.JSONDecodeError) as error:
        raise UnusableData(
            f"{path.name}: not laid out like the shelf's ratings ({error!r}): `scripts`, and in each `mean` by dimension."
        ) from error
    return RatedSet(path.stem, str(told.get("about", "")), found)


def _from_csv(path: Path, text: str) -> RatedSet:
    rows: dict[str, list[dict[str, str]]] = {}
    for number, row in enumerate(csv.DictReader(io.StringIO(text)), start=2):
        if not row.get("file") or not row.get(OVERALL):
            raise UnusableData(
                f"{path.name}, line {number}: `file` and `overall` must both be given. Fill them in, or take the line out."
            )
        for name in JUDGED:
            if row.get(name) and not _is_mark(row[name]):
                raise UnusableData(
                    f"{path.name}, line {number}: `{name}` is {row[name]!r}. Write a number from 0 to 10."
                )
        rows.setdefault(row["file"], []).append(row)
    found = []
    for file, given in rows.items():
        said = {
            name: statistics.fmean(marks)
            for name in JUDGED
            if (marks := [float(row[name]) for row in given if row.get(name)])
        }
        readers = tuple(float(row[OVERALL]) for row in given)
        found.append(
            RatedScript(file, given[0].get("origin") or "", _script(path.parent / file), readers, said)
        )
    return RatedSet(path.stem, f"{len(found)} scripts of {path.name}", tuple(found))


def _is_mark(text: str) -> bool:
    try:
        return 0 <= float(text) <= 10
    except ValueError:
        return False


def _script(path: Path) -> Script:
    return read_script(path.read_text(encoding="utf-8"), name=path.name)


def judged(sets: Iterable[RatedSet]) -> pd.DataFrame:
    """A row for each script and dimension that both the scorer and the readers have judged: `set`, `name`, `origin`, `dimension`,
    `scorer` and `readers` (0..10), `words`, `key words`. Read without a bible, as the readers had the scripts."""
    rows = []
    for rated in sets:
        for one in rated.scripts:
            text = _said_text(one.script)
            card = score(one.script)
            ours = {OVERALL: card.overall, **by_dimension(card)}
            for name in JUDGED:
                if ours[name] is not None and name in one.said:
                    rows.append(
                        (rated.name, one.name, one.origin, name, ours[name], one.said[name], len(text.split()),
                         keyword_count(text))
                    )  # fmt: skip
    names = ["set", "name", "origin", "dimension", "scorer", "readers", "words", "key words"]
    return pd.DataFrame(rows, columns=names)


def _said_text(script: Script) -> str:
    return " ".join(element.text for scene in script.scenes for element in scene.elements)


def agreements(rows: pd.DataFrame) -> pd.DataFrame:
    """For each set and dimension of `judged`: `scripts`, Spearman's `rho` with its interval (`low`, `high`), the mean `distance` in
    points, `above` (scorer minus readers, mean), and `own` with `own low`, `own high`: what is left of rho when the readers'
    overall is held still.

    Intervals of 95 % by drawing scripts again. `own` is Spearman's partial correlation (Kendall 1942, Biometrika 32): readers who
    like a script like all of it, so that a dimension's rho may be the overall's; NaN for the overall itself.
    """
    found = []
    for name in rows["set"].unique():
        part = rows[rows["set"] == name]
        whole = part[part["dimension"] == OVERALL].set_index("name")["readers"]
        for dimension in JUDGED:
            of = part[part["dimension"] == dimension]
            if len(of) < 4:
                continue
            ours, readers = of["scorer"].tolist(), of["readers"].tolist()
            rank = agreement(ours, readers)
            own = (math.nan,) * 3
            if dimension != OVERALL:
                own = _partial_interval(ours, readers, whole.loc[of["name"]].tolist())
            above = float((of["scorer"] - of["readers"]).mean())
            found.append(
                (name, dimension, rank.count, rank.rho, rank.low, rank.high, rank.distance, above, *own)
            )
    names = [
        *("set", "dimension", "scripts", "rho", "low", "high", "distance", "above"),
        *("own", "own low", "own high"),
    ]
    return pd.DataFrame(found, columns=names)


def _partial_interval(
    ours: Sequence[float], readers: Sequence[float], whole: Sequence[float]
) -> tuple[float, float, float]:
    sides = [np.array(side, dtype=float) for side in (ours, readers, whole)]
    rng = np.random.default_rng(1)
    drawn = rng.integers(0, len(ours), (ROUNDS, len(ours)))
    low, high = np.quantile(_partial(*(side[drawn] for side in sides)), [0.025, 0.975])
    return float(_partial(*(side[None, :] for side in sides))[0]), float(low), float(high)


def _partial(x: Numbers, y: Numbers, z: Numbers) -> Numbers:
    """Spearman's partial correlation of x and y, z held still; one for each row."""
    a, b, c = (_row_ranks(side) for side in (x, y, z))
    xy, xz, yz = _alike(a, b), _alike(a, c), _alike(b, c)
    left = np.sqrt(np.maximum(0.0, (1 - xz**2) * (1 - yz**2)))
    return np.asarray(np.divide(xy - xz * yz, left, out=np.zeros_like(left), where=left > 1e-9), dtype=float)


def _row_ranks(rows: Numbers) -> Numbers:
    """Mean ranks within each row."""
    below = (rows[:, None, :] < rows[:, :, None]).sum(axis=2)
    same = (rows[:, None, :] == rows[:, :, None]).sum(axis=2)
    return np.asarray(below + (same + 1) / 2, dtype=float)


def _alike(a: Numbers, b: Numbers) -> Numbers:
    a, b = a - a.mean(axis=1, keepdims=True), b - b.mean(axis=1, keepdims=True)
    spread = np.sqrt((a**2).sum(axis=1) * (b**2).sum(axis=1))
    products = (a * b).sum(axis=1)
    return np.asarray(np.divide(products, spread, out=np.zeros_like(spread), where=spread > 0), dtype=float)


def spearman(left: Numbers, right: Numbers) -> float:
    """Spearman's rho with mean ranks for ties; 0 where one side does not vary."""
    a, b = _ranks(left), _ranks(right)
    spread = float(a.std() * b.std())
    return float(((a - a.mean()) * (b - b.mean())).mean() / spread) if spread else 0.0


def _ranks(values: Numbers) -> Numbers:
    _, places, counts = np.unique(values, return_inverse=True, return_counts=True)
    ends = counts.cumsum()
    return np.asarray((ends - (counts - 1) / 2)[places], dtype=float)


def beside(rows: pd.DataFrame) -> pd.DataFrame:
    """The scorer's overall beside what takes no reading at all: the number of words, and of words about feelings and writing.
    `set`, `judge`, `rho` with `low` and `high` (95 %, scripts drawn again)."""
    found = []
    whole = rows[rows["dimension"] == OVERALL]
    for name in whole["set"].unique():
        part = whole[whole["set"] == name]
        for judge, column in (
            ("the scorer", "scorer"),
            ("word count", "words"),
            ("keyword count", "key words"),
        ):
            rank = agreement(part[column].tolist(), part["readers"].tolist())
            found.append((name, judge, rank.rho, rank.low, rank.high))
    return pd.DataFrame(found, columns=["set", "judge", "rho", "low", "high"])


GAPS = ((0.25, 1.0), (1.0, 2.0), (2.0, 4.0), (4.0, 10.1))
"""How far two scripts stand apart for the readers, in points: from, up to but not including."""


def by_part(rows: pd.DataFrame) -> pd.DataFrame:
    """Rank agreement overall within parts of each set: `part`, `set`, `scripts`, `rho`, `low`, `high`. A set that spans the worst and
    the best is easily put in order; a part of it is not. Parts of fewer than six scripts are left out."""
    whole = rows[rows["dimension"] == OVERALL]
    parts = {
        "all": whole["readers"] >= 0,
        "without the shelf's exemplars": ~whole["origin"].str.contains("exemplar"),
        "by the embedded writer": whole["origin"].str.startswith("embedded"),
        "given 5 or more by readers": whole["readers"] >= 5,
        "given less than 5": whole["readers"] < 5,
    }
    found = []
    for told, there in parts.items():
        for name, part in whole[there].groupby("set"):
            if len(part) >= 6:
                rank = agreement(part["scorer"].tolist(), part["readers"].tolist())
                found.append((told, name, rank.count, rank.rho, rank.low, rank.high))
    return pd.DataFrame(found, columns=["part", "set", "scripts", "rho", "low", "high"])


def same_hand(rows: pd.DataFrame) -> tuple[int, float, float, float]:
    """Of two scripts of one set and one origin, does the scorer prefer the one that readers prefer? (pairs, share, low, high), the
    interval of 95 % by drawing scripts of each origin again. (0, nan, nan, nan) where no origin has two that readers tell apart."""
    whole = rows[rows["dimension"] == OVERALL]
    hands = [
        (part["scorer"].to_numpy(float), part["readers"].to_numpy(float))
        for _, part in whole.groupby(["set", "origin"])
        if len(part) > 1
    ]
    agree, count = _concordant(hands, [np.ones(len(ours)) for ours, _ in hands], GAPS[0][0], GAPS[-1][1])
    if not count:
        return 0, math.nan, math.nan, math.nan
    return int(count), agree / count, *_drawn_shares(hands, GAPS[0][0], GAPS[-1][1])


def by_gap(rows: pd.DataFrame) -> pd.DataFrame:
    """Of two scripts of a set, does the scorer prefer the one that readers prefer? By how far apart these put them.

    `apart`, `pairs`, `share` (0..1, a tie counts half) with `low` and `high`: 95 %, scripts drawn again; where all pairs agree, which
    drawing again cannot doubt, Wilson's interval as if there were only half as many pairs as scripts, since pairs share scripts.
    .5 is chance.
    """
    whole = rows[rows["dimension"] == OVERALL]
    sets = [
        (part["scorer"].to_numpy(float), part["readers"].to_numpy(float)) for _, part in whole.groupby("set")
    ]
    found = []
    for low, high in GAPS:
        agree, count = _concordant(sets, [np.ones(len(ours)) for ours, _ in sets], low, high)
        if not count:
            continue
        share = agree / count
        ends = wilson(share, len(whole) / 2) if share in (0, 1) else _drawn_shares(sets, low, high)
        told = f"{low:g} to {high:g}" if high <= 10 else f"{low:g} or more"
        found.append((told, int(count), share, *ends))
    return pd.DataFrame(found, columns=["apart", "pairs", "share", "low", "high"])


def _drawn_shares(sets: Sequence[tuple[Numbers, Numbers]], low: float, high: float) -> tuple[float, float]:
    rng = np.random.default_rng(1)
    shares = []
    for _ in range(ROUNDS):
        drawn = [
            np.bincount(rng.integers(0, len(ours), len(ours)), minlength=len(ours)).astype(float)
            for ours, _ in sets
        ]
        agree, count = _concordant(sets, drawn, low, high)
        if count:
            shares.append(agree / count)
    ends = np.quantile(shares, [0.025, 0.975])
    return float(ends[0]), float(ends[1])


def wilson(share: float, count: float) -> tuple[float, float]:
    """Interval of 95 % for a share 0..1 of `count` things, which need not be whole (Wilson 1927, JASA 22). (0, 1) of none."""
    if count <= 0:
        return 0.0, 1.0
    middle = share + Z95**2 / (2 * count)
    reach = Z95 * math.sqrt(share * (1 - share) / count + Z95**2 / (4 * count**2))
    whole = 1 + Z95**2 / count
    return max(0.0, min(share, (middle - reach) / whole)), min(1.0, max(share, (middle + reach) / whole))


def _concordant(
    sets: Sequence[tuple[Numbers, Numbers]], weights: Sequence[Numbers], low: float, high: float
) -> tuple[float, float]:
    """(agreeing, all) pairs whose second script stands `low` to `high` above the first, each as often as both were drawn."""
    agree = count = 0.0
    for (ours, readers), weight in zip(sets, weights, strict=True):
        apart = readers[None, :] - readers[:, None]
        there = ((apart >= low) & (apart < high)) * np.outer(weight, weight)
        ours_apart = ours[None, :] - ours[:, None]
        agree += float((there * ((ours_apart > 0) + 0.5 * (ours_apart == 0))).sum())
        count += float(there.sum())
    return agree, count


def own_readers(ratings: pd.DataFrame) -> pd.DataFrame:
    """The score against what readers of a studio gave: a row for each series of events (live, staging, simulated) with ratings.

    `ratings` as `answers.ratings_frame` gives it. `series`, `ratings`, `readers`, `rho` with `low` and `high`: 95 %, whole readers
    drawn again, since a reader's ratings resemble one another. Only ratings that stand, of answers that have a score.
    """
    kept = ratings[ratings["stands"] & ratings["rating"].notna() & ratings["score"].notna()]
    found = []
    for series, part in kept.groupby("series"):
        scores, given = part["score"].to_numpy(float), part["rating"].to_numpy(float)
        rows = list(part.reset_index(drop=True).groupby("who").indices.values())
        rng = np.random.default_rng(1)
        rhos = []
        for _ in range(ROUNDS // 4):
            drawn = np.concatenate([rows[i] for i in rng.integers(0, len(rows), len(rows))])
            rhos.append(spearman(scores[drawn], given[drawn]))
        low, high = np.quantile(rhos, [0.025, 0.975])
        found.append((series, len(part), len(rows), spearman(scores, given), float(low), float(high)))
    return pd.DataFrame(found, columns=["series", "ratings", "readers", "rho", "low", "high"])


def readers_agree(sets: Iterable[RatedSet]) -> pd.DataFrame:
    """How far readers agree with each other, where two or more are kept apart: `set`, `scripts`, `rho` of the first with the mean
    of the others, and their mean `distance` in points. A scorer that did as well would be one more reader."""
    found = []
    for rated in sets:
        pairs = [
            (one.readers[0], statistics.fmean(one.readers[1:]))
            for one in rated.scripts
            if len(one.readers) > 1
        ]
        if len(pairs) > 3:
            first, others = np.array(pairs, dtype=float).T
            apart = float(np.abs(first - others).mean())
            found.append((rated.name, len(pairs), spearman(first, others), apart))
    return pd.DataFrame(found, columns=["set", "scripts", "rho", "distance"])
