"""Whether readers give more to what scores more: ratings beside scores, by dimension. Charts are in `trend_charts`."""

from __future__ import annotations

from math import atanh, sqrt, tanh

import numpy as np
import pandas as pd

from cinegen_core.analysis.answers import DIMENSION
from cinegen_core.flags.cohorts import LEAST_SAMPLES, student_quantile
from cinegen_core.monitor.metrics import LEAST_PAIRS, rank_correlation
from cinegen_core.scorer import DIMENSION_WORDS

LEAST_READERS = 10
"""With fewer readers, an interval that allows for each one's taste says nothing."""


def rated(ratings: pd.DataFrame, answers: pd.DataFrame) -> pd.DataFrame:
    """The standing ratings of answers that count, each with its reader (`who`), its moment, and the answer's quality and dimensions."""
    kept = ratings.loc[ratings["stands"], ["at", "feedback", "id", "who", "rating"]]
    joined = kept.merge(
        answers[["id", "quality", *(f"{DIMENSION}{name}" for name in DIMENSION_WORDS)]], on="id"
    )
    return joined.assign(rating=joined["rating"].astype("float64"))


def agreement(known: pd.DataFrame) -> pd.DataFrame:
    """Whether readers give more to what scores more: Spearman's rank correlation of `rated`, for quality and each dimension.

    Columns `name`, `pairs`, `readers`, `rho` (-1..1), `low`, `high`; NaN with fewer than `LEAST_PAIRS` pairs. Words of one reader hang
    together, so the interval leaves out one reader after the other (the jackknife of Fisher's z, ranks held: Efron & Stein, Annals of
    Statistics 9, 1981); with fewer than `LEAST_READERS` it is that of `rank_correlation`, which takes every word by itself.
    """
    names = {"quality": "Quality"} | {f"{DIMENSION}{name}": words for name, words in DIMENSION_WORDS.items()}
    reader = known["who"].where(known["who"] != "", "\0" + known["feedback"])
    rows = []
    for column, words in names.items():
        pairs = pd.DataFrame({"rating": known["rating"], "score": known[column], "who": reader}).dropna()
        found = rank_correlation(list(zip(pairs["rating"], pairs["score"], strict=True)))
        if found is None or len(pairs) < LEAST_PAIRS:
            rho = low = high = float("nan")
        else:
            rho = found.value
            low, high = _by_reader(pairs, rho) or (found.low or np.nan, found.high or np.nan)
        rows.append(
            {
                "name": words,
                "pairs": len(pairs),
                "readers": pairs["who"].nunique(),
                "rho": rho,
                "low": low,
                "high": high,
            }
        )
    return pd.DataFrame(rows)


def ratings_by_quality(known: pd.DataFrame) -> pd.DataFrame:
    """The mean rating by half points of quality: `quality` (the middle), `count`, `mean`, `low`, `high`."""
    pairs = known.dropna(subset=["quality"])
    middle = (pairs["quality"] // 0.5) * 0.5 + 0.25
    found = pairs["rating"].groupby(middle, sort=True).agg(["count", "mean", "std"])
    reach = [
        student_quantile(0.975, n - 1) * sd / sqrt(n) if n >= LEAST_SAMPLES else np.nan
        for n, sd in zip(found["count"], found["std"], strict=True)
    ]
    return (
        found.assign(low=found["mean"] - reach, high=found["mean"] + reach)
        .drop(columns="std")
        .rename_axis("quality")
        .reset_index()
    )


def _by_reader(pairs: pd.DataFrame, rho: float) -> tuple[float, float] | None:
    if pairs["who"].nunique() < LEAST_READERS or abs(rho) >= 1.0:
        return None
    one, other = pairs["rating"].rank().to_numpy(), pairs["score"].rank().to_numpy()
    one, other = one - one.mean(), other - other.mean()
    parts = pd.DataFrame({"n": 1.0, "x": one, "y": other, "xx": one**2, "yy": other**2, "xy": one * other})
    sums = parts.groupby(pairs["who"].to_numpy()).sum()
    left = {name: sums[name].sum() - sums[name].to_numpy() for name in sums.columns}
    top = left["xy"] - left["x"] * left["y"] / left["n"]
    below = (left["xx"] - left["x"] ** 2 / left["n"]) * (left["yy"] - left["y"] ** 2 / left["n"])
    if (below <= 0).any():
        return None
    z = np.arctanh(np.clip(top / np.sqrt(below), -0.999999, 0.999999))
    readers = len(z)
    spread = sqrt((readers - 1) / readers * float(((z - z.mean()) ** 2).sum()))
    reach = student_quantile(0.975, readers - 1) * spread
    return tanh(atanh(rho) - reach), tanh(atanh(rho) + reach)
