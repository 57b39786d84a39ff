"""What analysts see of the answers that they chose: small tidy tables, each with its counts, none longer than a few hundred rows.

All take frames of `cinegen_core.analysis.answers` and leave them as they are. Without data a table has its columns and no rows, or a count
of 0. Means come with an interval of 95 % (`low`, `high`), NaN below `LEAST_SAMPLES` values.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from math import ceil, sqrt
from typing import Any

import numpy as np
import pandas as pd

from cinegen_core.analysis.answers import DIMENSION, FLAG, MOMENT
from cinegen_core.flags.cohorts import LEAST_SAMPLES, difference, rate_difference, student_quantile
from cinegen_core.monitor.trends import change_points
from cinegen_core.scorer import DIMENSION_WORDS, quality_class
from cinegen_core.story.model import Noun
from cinegen_core.tiers.model import TierName

BIN = 0.25
"""Width of a bar of a distribution, in points."""

MOST_STEPS = 300
"""Steps of a trend at most; a longer span has longer steps."""

MOST_GROUPS = 60
"""Genres, writers, titles, engines or flags in one table at most: those with most answers."""

MOST_LISTED = 200
"""Answers in one list at most."""

TIERS: tuple[TierName, ...] = ("comprehensive", "enhanced_baseline", "basic_fallback")
NO_GENRE = "(no genre)"

_MONDAY = pd.Timestamp("1970-01-05", tz="UTC")
_STEPS: tuple[tuple[str, pd.Timedelta, pd.Timedelta], ...] = (
    ("hour", pd.Timedelta(hours=1), pd.Timedelta(days=4)),
    ("day", pd.Timedelta(days=1), pd.Timedelta(days=180)),
    ("week", pd.Timedelta(weeks=1), pd.Timedelta(weeks=MOST_STEPS - 1)),
)

_LISTED = (
    "at",
    "id",
    "title",
    "number",
    "tier",
    "writer",
    "quality",
    "score",
    "seconds",
    "error",
    "fallback",
)


class Summary(Noun):
    """Of some answers: `count` of them, `scored` of which have a quality. Shares 0..100, times in seconds; None without data."""

    count: int
    scored: int
    mean: float | None = None
    low: float | None = None
    high: float | None = None
    median: float | None = None
    error_rate: float | None = None
    fallback_rate: float | None = None
    seconds_p50: float | None = None
    seconds_p95: float | None = None


def summary(answers: pd.DataFrame, value: str = "quality") -> Summary:
    """The figures that stand above the charts."""
    values = answers[value].dropna()
    if answers.empty:
        return Summary(count=0, scored=0)
    found = _mean_of(values)
    return Summary(
        count=len(answers),
        scored=len(values),
        mean=_or_none(found["mean"]),
        low=_or_none(found["low"]),
        high=_or_none(found["high"]),
        median=_or_none(values.median()),
        error_rate=float(100.0 * answers["error"].mean()),
        fallback_rate=float(100.0 * answers["fallback"].mean()),
        seconds_p50=float(answers["seconds"].quantile(0.50)),
        seconds_p95=float(answers["seconds"].quantile(0.95)),
    )


def distribution(answers: pd.DataFrame, value: str = "quality") -> pd.DataFrame:
    """How many answers got how much: bars of `BIN` over 0..10, all of them, those with nothing in them too.

    Columns `low`, `high` (the last bar includes 10), `class` (of the bar's values), `count`, `share` (percent of those with a value).
    """
    edges = np.arange(0.0, 10.0 + BIN, BIN)
    counts, _ = np.histogram(answers[value].dropna().clip(0.0, 10.0), bins=edges)
    total = counts.sum()
    return pd.DataFrame(
        {
            "low": edges[:-1],
            "high": edges[1:],
            "class": pd.Series([str(quality_class(low)) for low in edges[:-1]], dtype="str"),
            "count": counts.astype("int64"),
            "share": 100.0 * counts / total if total else np.zeros(len(counts)),
        }
    )


def class_marks() -> pd.DataFrame:
    """Where the quality classes begin: columns `at` (0..10) and `class`."""
    found: dict[str, float] = {}
    for low in np.arange(0.0, 10.0, BIN):
        found.setdefault(quality_class(low), float(low))
    return pd.DataFrame({"at": list(found.values()), "class": pd.Series(list(found), dtype="str")})


def trend(answers: pd.DataFrame, value: str = "quality") -> pd.DataFrame:
    """The mean by the hour, day or week of UTC (from Monday), whichever suits the span; steps without a value are left out.

    Columns `at` and `until` (when the step begins and ends), `step` (`hour`, `day`, `week`, `3 weeks`), `count`, `mean`, `low`, `high`,
    `level` (the mean of the step means between two changes) and `change`: whether another level begins here, as
    `cinegen_core.monitor.trends.change_points` finds it; the first step is no change. With gaps it takes the steps that have values for
    neighbours.
    """
    columns = ("at", "until", "step", "count", "mean", "low", "high", "level", "change")
    known = answers.loc[answers[value].notna(), ["at", value]]
    if known.empty:
        kinds = {"at": MOMENT, "until": MOMENT, "step": "str", "count": "int64", "change": "bool"}
        return pd.DataFrame({name: pd.Series([], dtype=kinds.get(name, "float64")) for name in columns})
    name, step = _step(known["at"].min(), known["at"].max())
    start = (_MONDAY + ((known["at"] - _MONDAY) // step) * step).astype(MOMENT)
    found = _means(known[value], start).reset_index(names="at")
    changes = change_points(found["mean"].tolist())
    part = pd.Series(np.searchsorted(changes, found.index, side="right"), index=found.index)
    return found.assign(
        until=(found["at"] + step).astype(MOMENT),
        step=pd.Series([name] * len(found), dtype="str"),
        level=found["mean"].groupby(part).transform("mean"),
        change=found.index.isin(changes),
    )[list(columns)]


def by_dimension(answers: pd.DataFrame) -> pd.DataFrame:
    """The scorer's seven dimensions, in its order: `name`, `label`, `count`, `mean`, `low`, `high`, and the quartiles `q25`, `median`, `q75`.
    A dimension without a score has a count of 0."""
    rows = []
    for name, label in DIMENSION_WORDS.items():
        values = answers[f"{DIMENSION}{name}"].dropna()
        quarters = values.quantile([0.25, 0.5, 0.75])
        low, middle, high = quarters.tolist()
        rows.append(
            {"name": str(name), "label": label, **_mean_of(values), "q25": low, "median": middle, "q75": high}
        )
    return pd.DataFrame(rows).astype({"name": "str", "label": "str", "count": "int64"})


def by_genre(answers: pd.DataFrame, value: str = "quality") -> pd.DataFrame:
    """As `by_writer`, `name` being a genre. An answer of two genres counts for both, so that counts add up to more than the answers."""
    each = answers.assign(genre=[one or (NO_GENRE,) for one in answers["genres"]]).explode("genre")
    return _grouped(each.astype({"genre": "str"}), "genre", value)


def by_tier(answers: pd.DataFrame, value: str = "quality") -> pd.DataFrame:
    """As `by_writer`, `name` being a tier, the highest first; tiers without answers are left out."""
    found = _grouped(answers, "tier", value)
    order = {tier: place for place, tier in enumerate(TIERS)}
    return found.sort_values("name", key=lambda names: names.map(order), ignore_index=True)


def by_writer(answers: pd.DataFrame, value: str = "quality") -> pd.DataFrame:
    """`name`, `answers` (how many), `share` (percent of the answers), `count` (those with a value), `mean`, `low`, `high`, `errors` and
    `fallbacks` (percent), `seconds` (mean); those with most answers first."""
    return _grouped(answers, "writer", value)


def by_title(answers: pd.DataFrame, value: str = "quality") -> pd.DataFrame:
    """As `by_writer`, `name` being the title of a series."""
    return _grouped(answers, "title", value)


def by_engine(answers: pd.DataFrame, engines: pd.DataFrame, value: str = "quality") -> pd.DataFrame:
    """How answers fare in which an engine delivered, against those in which it was active and did not.

    `name`, `active`, `delivered` (answers), `success` (percent), `realised` (mean, 0..1), `mean_delivered` and `mean_not`, and `difference`
    with `low` and `high`, NaN with fewer than `LEAST_SAMPLES` on either side. Whether an engine delivers is not drawn by chance: what
    makes it fail may make the episode worse by itself, so that a difference is no proof of a cause.
    """
    runs = engines[engines["id"].isin(answers["id"])]
    runs = runs.assign(value=runs["id"].map(answers.set_index("id")[value]))
    most = runs["engine"].value_counts().index[:MOST_GROUPS]
    rows = []
    for name, its in runs[runs["engine"].isin(most)].groupby("engine", observed=True):
        delivered = its["delivered"].to_numpy()
        values = its["value"]
        on, off = values[delivered].dropna(), values[~delivered].dropna()
        rows.append(
            {
                "name": str(name),
                "active": len(its),
                "delivered": int(delivered.sum()),
                "success": 100.0 * delivered.sum() / len(its),
                "realised": its["realised"].mean(),
                "mean_delivered": on.mean(),
                "mean_not": off.mean(),
                **_difference(on, off),
            }
        )
    columns = ("name", "active", "delivered", "success", "realised", "mean_delivered", "mean_not", *_APART)
    kinds = {"name": "str", "active": "int64", "delivered": "int64"}
    return _tidy(rows, columns, kinds).sort_values("name", ignore_index=True)


def by_cohort(answers: pd.DataFrame, value: str = "quality") -> pd.DataFrame:
    """What flags change: answers for which a flag was on against those for which it was evaluated and off.

    `name`, `on` and `off` (answers), `mean_on`, `mean_off`, `difference` with `low` and `high`, and the same of errors in percentage points:
    `errors_on`, `errors_off`, `errors_difference`, `errors_low`, `errors_high`. The cohorts of a rollout are drawn by chance; those of
    targets are not. See `cinegen_core.flags.cohorts`.
    """
    rows = []
    flags = [column for column in answers.columns if column.startswith(FLAG)]
    for column in sorted(flags, key=lambda one: (-int(answers[one].count()), one))[:MOST_GROUPS]:
        known = answers[column].notna()
        if not known.any():
            continue
        chosen = answers[column].fillna(False).astype("bool")
        on, off = answers[known & chosen], answers[known & ~chosen]
        errors = rate_difference(int(on["error"].sum()), len(on), int(off["error"].sum()), len(off))
        rows.append(
            {
                "name": column.removeprefix(FLAG),
                "on": len(on),
                "off": len(off),
                "mean_on": on[value].mean(),
                "mean_off": off[value].mean(),
                **_difference(on[value].dropna(), off[value].dropna()),
                "errors_on": 100.0 * on["error"].mean(),
                "errors_off": 100.0 * off["error"].mean(),
                "errors_difference": np.nan if errors is None else 100.0 * errors.value,
                "errors_low": np.nan if errors is None else 100.0 * errors.low,
                "errors_high": np.nan if errors is None else 100.0 * errors.high,
            }
        )
    errors_of = ("errors_on", "errors_off", "errors_difference", "errors_low", "errors_high")
    columns = ("name", "on", "off", "mean_on", "mean_off", *_APART, *errors_of)
    return _tidy(rows, columns, {"name": "str", "on": "int64", "off": "int64"}).sort_values(
        "name", ignore_index=True
    )


def worst(answers: pd.DataFrame, most: int = 20, value: str = "quality") -> pd.DataFrame:
    """The answers with least, to look into; among equals the latest first. At most `MOST_LISTED`. Those without a value are left out."""
    return _listed(answers, value, most, ascending=True)


def best(answers: pd.DataFrame, most: int = 20, value: str = "quality") -> pd.DataFrame:
    """The answers with most; as `worst`."""
    return _listed(answers, value, most, ascending=False)


def slowest(answers: pd.DataFrame, most: int = 20) -> pd.DataFrame:
    """The answers that took longest; as `worst`."""
    return _listed(answers, "seconds", most, ascending=False)


_APART = ("difference", "low", "high")


def _listed(answers: pd.DataFrame, value: str, most: int, *, ascending: bool) -> pd.DataFrame:
    columns = list(dict.fromkeys((*_LISTED, value)))
    known = answers.loc[answers[value].notna(), columns]
    ordered = known.sort_values([value, "at", "id"], ascending=[ascending, False, True])
    return ordered.head(max(0, min(most, MOST_LISTED))).reset_index(drop=True)


def _step(first: pd.Timestamp, last: pd.Timestamp) -> tuple[str, pd.Timedelta]:
    span = last - first
    for name, step, longest in _STEPS:
        if span <= longest:
            return name, step
    weeks = ceil(span / (pd.Timedelta(weeks=1) * (MOST_STEPS - 1)))
    return f"{weeks} weeks", pd.Timedelta(weeks=weeks)


def _grouped(answers: pd.DataFrame, by: str, value: str) -> pd.DataFrame:
    columns = ("name", "answers", "share", "count", "mean", "low", "high", "errors", "fallbacks", "seconds")
    kinds = {"name": "str", "answers": "int64", "count": "int64"}
    if answers.empty:
        return _tidy((), columns, kinds)
    groups = answers.groupby(by, sort=True)
    sizes = groups.size()
    found = _means(answers[value], answers[by]).assign(
        answers=sizes,
        share=100.0 * sizes / answers["id"].nunique(),
        errors=100.0 * groups["error"].mean(),
        fallbacks=100.0 * groups["fallback"].mean(),
        seconds=groups["seconds"].mean(),
    )
    kept = found.sort_values("answers", ascending=False, kind="stable").head(MOST_GROUPS)
    return kept.reset_index(names="name").astype(kinds)[list(columns)]


def _means(values: pd.Series, by: pd.Series) -> pd.DataFrame:
    """`count`, `mean`, `low` and `high` by group, in the order of their keys."""
    found = values.groupby(by, sort=True).agg(["count", "mean", "std"])
    reach = [
        student_quantile(0.975, count - 1) * spread / sqrt(count) if count >= LEAST_SAMPLES else np.nan
        for count, spread in zip(found["count"], found["std"], strict=True)
    ]
    return found.assign(low=found["mean"] - reach, high=found["mean"] + reach).drop(columns="std")


def _mean_of(values: pd.Series) -> Mapping[str, float]:
    if values.empty:
        return {"count": 0, "mean": np.nan, "low": np.nan, "high": np.nan}
    only = _means(values, pd.Series(0, index=values.index)).iloc[0]
    return {str(name): number for name, number in only.items()}


def _difference(on: pd.Series, off: pd.Series) -> Mapping[str, float]:
    found = difference(on.tolist(), off.tolist())
    if found is None:
        return dict.fromkeys(_APART, np.nan)
    return {"difference": found.value, "low": found.low, "high": found.high}


def _tidy(
    rows: Sequence[Mapping[str, Any]], columns: Sequence[str], kinds: Mapping[str, str]
) -> pd.DataFrame:
    return pd.DataFrame(
        {name: pd.Series([row[name] for row in rows], dtype=kinds.get(name, "float64")) for name in columns}
    )


def _or_none(number: float) -> float | None:
    return None if pd.isna(number) else float(number)
