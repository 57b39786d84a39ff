"""What analysts see of the answers that they chose: small tidy tables, each with its counts, none longer than a few hundred rows.

All take frames of `cinegen_core.analysis.answers` and leave them as they are, or `Answers` that are elsewhere, and say the same of both.
Without data a table has its columns and no rows, or a count of 0. Means come with an interval of 95 % (`low`, `high`), NaN below
`LEAST_SAMPLES` values.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from math import ceil, sqrt
from typing import Any

import numpy as np
import pandas as pd

from cinegen_core.analysis.answers import DIMENSION, MOMENT, NO_GENRE, Answers, By, FrameAnswers
from cinegen_core.flags.cohorts import LEAST_SAMPLES, rate_difference, student_quantile
from cinegen_core.monitor.trends import change_points
from cinegen_core.scorer import DIMENSION_WORDS, quality_class
from cinegen_core.story.model import Noun
from cinegen_core.tiers.model import TierName

__all__ = [
    "BIN", "MOST_GROUPS", "MOST_LISTED", "MOST_STEPS", "NO_GENRE", "TIERS", "Summary", "answers_of", "best", "by_cohort", "by_dimension",
    "by_engine", "by_genre", "by_tier", "by_title", "by_writer", "class_marks", "distribution", "slowest", "summary", "trend",
    "welch", "with_reach", "worst",
]  # fmt: skip

BIN = 0.25
"""Width of a bar of a distribution, in points."""

MOST_STEPS = 300
"""Steps of a trend at most; a longer span has longer steps."""

MOST_GROUPS = 60
"""Genres, writers, titles, engines or flags in one table at most: those with most answers."""

MOST_LISTED = 200
"""Answers in one list at most."""

TIERS: tuple[TierName, ...] = ("comprehensive", "enhanced_baseline", "basic_fallback")
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


def answers_of(answers: pd.DataFrame | Answers, engines: pd.DataFrame | None = None) -> Answers:
    """What can be asked: frames, or what can be asked already."""
    return FrameAnswers(answers, engines) if isinstance(answers, pd.DataFrame) else answers


def summary(answers: pd.DataFrame | Answers, value: str = "quality") -> Summary:
    """The figures that stand above the charts."""
    asked = answers_of(answers)
    found = with_reach(asked.groups("all", value))
    if found.empty:
        return Summary(count=0, scored=0)
    (whole,) = found.to_dict("records")
    half, ninety_five = asked.quantiles("seconds", (0.50, 0.95)).iloc[0]
    return Summary(
        count=whole["size"],
        scored=whole["count"],
        mean=_or_none(whole["mean"]),
        low=_or_none(whole["low"]),
        high=_or_none(whole["high"]),
        median=_or_none(asked.quantiles(value, (0.50,)).iat[0, 0]),
        error_rate=100.0 * whole["errors"] / whole["size"],
        fallback_rate=100.0 * whole["fallbacks"] / whole["size"],
        seconds_p50=float(half),
        seconds_p95=float(ninety_five),
    )


def distribution(answers: pd.DataFrame | Answers, value: str = "quality") -> pd.DataFrame:
    """How many answers got how much: bars of `BIN` over 0..10, all of them, those with nothing in them too.

    Columns `low`, `high` (the last bar includes 10), `class` (of the bar's values), `count`, `share` (percent of those with a value).
    """
    edges = np.arange(0.0, 10.0 + BIN, BIN)
    counts = answers_of(answers).bars(value, BIN, 10.0).to_numpy()
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


def trend(answers: pd.DataFrame | Answers, value: str = "quality") -> pd.DataFrame:
    """The mean by the hour, day or week of UTC (from Monday), whichever suits the span; steps without a value are left out.

    Columns `at` and `until` (when the step begins and ends), `step` (`hour`, `day`, `week`, `3 weeks`), `count`, `mean`, `low`, `high`,
    `level` (the mean of the step means between two changes) and `change`: whether another level begins here, as
    `cinegen_core.monitor.trends.change_points` finds it; the first step is no change. With gaps it takes the steps that have values for
    neighbours.
    """
    columns = ("at", "until", "step", "count", "mean", "low", "high", "level", "change")
    asked = answers_of(answers)
    span = asked.span(value)
    if span is None:
        kinds = {"at": MOMENT, "until": MOMENT, "step": "str", "count": "int64", "change": "bool"}
        return pd.DataFrame({name: pd.Series([], dtype=kinds.get(name, "float64")) for name in columns})
    name, step = _step(*span)
    steps = asked.groups("all", value, step)
    found = with_reach(steps[steps["count"] > 0].reset_index(drop=True))
    changes = change_points(found["mean"].tolist())
    part = pd.Series(np.searchsorted(changes, found.index, side="right"), index=found.index)
    return found.assign(
        until=(found["at"] + step).astype(MOMENT),
        step=pd.Series([name] * len(found), dtype="str"),
        level=found["mean"].groupby(part).transform("mean"),
        change=found.index.isin(changes),
    )[list(columns)]


def by_dimension(answers: pd.DataFrame | Answers) -> pd.DataFrame:
    """The scorer's seven dimensions, in its order: `name`, `label`, `count`, `mean`, `low`, `high`, and the quartiles `q25`, `median`, `q75`.
    A dimension without a score has a count of 0."""
    asked = answers_of(answers)
    rows: list[Mapping[str, Any]] = []
    for name, label in DIMENSION_WORDS.items():
        found = with_reach(asked.groups("all", f"{DIMENSION}{name}"))
        whole = found.to_dict("records")[0] if len(found) else {"count": 0}
        q25, middle, q75 = asked.quantiles(f"{DIMENSION}{name}", (0.25, 0.5, 0.75)).iloc[0].tolist()
        means = {one: whole.get(one, np.nan) for one in ("count", "mean", "low", "high")}
        rows.append({"name": str(name), "label": label, **means, "q25": q25, "median": middle, "q75": q75})
    columns = ("name", "label", "count", "mean", "low", "high", "q25", "median", "q75")
    return _tidy(rows, columns, {"name": "str", "label": "str", "count": "int64"})


def by_genre(answers: pd.DataFrame | Answers, value: str = "quality") -> pd.DataFrame:
    """As `by_writer`, `name` being a genre. An answer of two genres counts for both, so that counts add up to more than the answers."""
    return _compared(answers, "genre", value)


def by_tier(answers: pd.DataFrame | Answers, value: str = "quality") -> pd.DataFrame:
    """As `by_writer`, `name` being a tier, the highest first; tiers without answers are left out."""
    found = _compared(answers, "tier", value)
    order = {tier: place for place, tier in enumerate(TIERS)}
    return found.sort_values("name", key=lambda names: names.map(order), ignore_index=True)


def by_writer(answers: pd.DataFrame | Answers, value: str = "quality") -> pd.DataFrame:
    """`name`, `answers` (how many), `share` (percent of the answers), `count` (those with a value), `mean`, `low`, `high`, `errors` and
    `fallbacks` (percent), `seconds` (mean); those with most answers first."""
    return _compared(answers, "writer", value)


def by_title(answers: pd.DataFrame | Answers, value: str = "quality") -> pd.DataFrame:
    """As `by_writer`, `name` being the title of a series."""
    return _compared(answers, "title", value)


def by_engine(
    answers: pd.DataFrame | Answers, engines: pd.DataFrame | None = None, value: str = "quality"
) -> pd.DataFrame:
    """How answers fare in which an engine delivered, against those in which it was active and did not.

    `name`, `active`, `delivered` (answers), `success` (percent), `realised` (mean, 0..1), `mean_delivered` and `mean_not`, and `difference`
    with `low` and `high`, NaN with fewer than `LEAST_SAMPLES` on either side. Whether an engine delivers is not drawn by chance: what
    makes it fail may make the episode worse by itself, so that a difference is no proof of a cause.
    """
    found = answers_of(answers, engines).groups("engine", value)
    rows = []
    for name in _most(found):
        runs = found[found["name"] == name]
        on, off = _side(runs, on=True), _side(runs, on=False)
        active = on["size"] + off["size"]
        realised = runs["realised"].to_numpy(), runs["looked"].to_numpy()
        rows.append(
            {
                "name": name,
                "active": active,
                "delivered": on["size"],
                "success": 100.0 * on["size"] / active,
                "realised": _mean_of_means(*realised),
                "mean_delivered": on["mean"],
                "mean_not": off["mean"],
                **welch(on, off),
            }
        )
    columns = ("name", "active", "delivered", "success", "realised", "mean_delivered", "mean_not", *_APART)
    kinds = {"name": "str", "active": "int64", "delivered": "int64"}
    return _tidy(rows, columns, kinds).sort_values("name", ignore_index=True)


def by_cohort(answers: pd.DataFrame | Answers, value: str = "quality") -> pd.DataFrame:
    """What flags change: answers for which a flag was on against those for which it was evaluated and off.

    `name`, `on` and `off` (answers), `mean_on`, `mean_off`, `difference` with `low` and `high`, and the same of errors in percentage points:
    `errors_on`, `errors_off`, `errors_difference`, `errors_low`, `errors_high`. The cohorts of a rollout are drawn by chance; those of
    targets are not. See `cinegen_core.flags.cohorts`.
    """
    found = answers_of(answers).groups("cohort", value)
    rows = []
    for name in _most(found):
        of_it = found[found["name"] == name]
        on, off = _side(of_it, on=True), _side(of_it, on=False)
        errors = rate_difference(on["errors"], on["size"], off["errors"], off["size"])
        rows.append(
            {
                "name": name,
                "on": on["size"],
                "off": off["size"],
                "mean_on": on["mean"],
                "mean_off": off["mean"],
                **welch(on, off),
                "errors_on": _percent(on["errors"], on["size"]),
                "errors_off": _percent(off["errors"], off["size"]),
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


def worst(answers: pd.DataFrame | Answers, most: int = 20, value: str = "quality") -> pd.DataFrame:
    """The answers with least, to look into; among equals the latest first. At most `MOST_LISTED`. Those without a value are left out."""
    return _listed(answers, value, most, ascending=True)


def best(answers: pd.DataFrame | Answers, most: int = 20, value: str = "quality") -> pd.DataFrame:
    """The answers with most; as `worst`."""
    return _listed(answers, value, most, ascending=False)


def slowest(answers: pd.DataFrame | Answers, most: int = 20) -> pd.DataFrame:
    """The answers that took longest; as `worst`."""
    return _listed(answers, "seconds", most, ascending=False)


_APART = ("difference", "low", "high")


def welch(on: Mapping[str, Any], off: Mapping[str, Any], level: float = 0.95) -> Mapping[str, float]:
    """As `cinegen_core.flags.cohorts.difference`, of what is known of two samples: `count`, `mean` and `std` of each. `difference`, `low` and
    `high`; NaN with fewer than `LEAST_SAMPLES` in either."""
    if min(on["count"], off["count"]) < LEAST_SAMPLES:
        return dict.fromkeys(_APART, np.nan)
    of_on, of_off = on["std"] ** 2 / on["count"], off["std"] ** 2 / off["count"]
    value, error = on["mean"] - off["mean"], sqrt(of_on + of_off)
    if error == 0.0:
        return dict.fromkeys(_APART, value)
    share_on, share_off = of_on / (of_on + of_off), of_off / (of_on + of_off)
    freedom = 1.0 / (share_on**2 / (on["count"] - 1) + share_off**2 / (off["count"] - 1))
    reach = student_quantile(0.5 + level / 2.0, freedom) * error
    return {"difference": value, "low": value - reach, "high": value + reach}


def with_reach(groups: pd.DataFrame) -> pd.DataFrame:
    """`Answers.groups` with the interval of each mean: `low` and `high`."""
    reach = np.array(
        [
            student_quantile(0.975, count - 1) * spread / sqrt(count) if count >= LEAST_SAMPLES else np.nan
            for count, spread in zip(groups["count"], groups["std"], strict=True)
        ],
        dtype="float64",
    )
    return groups.assign(low=groups["mean"] - reach, high=groups["mean"] + reach)


def _listed(answers: pd.DataFrame | Answers, value: str, most: int, *, ascending: bool) -> pd.DataFrame:
    columns = list(dict.fromkeys((*_LISTED, value)))
    return answers_of(answers).listed(value, max(0, min(most, MOST_LISTED)), columns, ascending=ascending)


def _step(first: pd.Timestamp, last: pd.Timestamp) -> tuple[str, pd.Timedelta]:
    span = last - first
    for name, step, longest in _STEPS:
        if span <= longest:
            return name, step
    weeks = ceil(span / (pd.Timedelta(weeks=1) * (MOST_STEPS - 1)))
    return f"{weeks} weeks", pd.Timedelta(weeks=weeks)


def _compared(answers: pd.DataFrame | Answers, by: By, value: str) -> pd.DataFrame:
    columns = ("name", "answers", "share", "count", "mean", "low", "high", "errors", "fallbacks", "seconds")
    asked = answers_of(answers)
    found = with_reach(asked.groups(by, value))
    shown = found.assign(
        answers=found["size"],
        share=100.0 * found["size"] / max(1, asked.size()),
        errors=100.0 * found["errors"] / found["size"],
        fallbacks=100.0 * found["fallbacks"] / found["size"],
    )
    kept = shown.sort_values("answers", ascending=False, kind="stable", ignore_index=True).head(MOST_GROUPS)
    return kept.astype({"name": "str"})[list(columns)]


def _most(found: pd.DataFrame) -> list[str]:
    """The names of those with most answers."""
    sizes = found.groupby("name", sort=True)["size"].sum()
    return list(sizes.sort_values(ascending=False, kind="stable").index[:MOST_GROUPS])


def _side(groups: pd.DataFrame, *, on: bool) -> Mapping[str, Any]:
    """The row of those for which it was on, or off; of none where there is no row."""
    found = groups[groups["on"] == on]
    if found.empty:
        return {"size": 0, "count": 0, "mean": np.nan, "std": np.nan, "errors": 0}
    row: dict[str, Any] = found.to_dict("records")[0]
    return row


def _mean_of_means(means: Any, counts: Any) -> float:
    total = counts.sum()
    return float(np.where(counts > 0, means * counts, 0.0).sum() / total) if total else np.nan


def _percent(count: int, of: int) -> float:
    return 100.0 * count / of if of else np.nan


def _tidy(
    rows: Sequence[Mapping[str, Any]], columns: Sequence[str], kinds: Mapping[str, str]
) -> pd.DataFrame:
    return pd.DataFrame(
        {name: pd.Series([row[name] for row in rows], dtype=kinds.get(name, "float64")) for name in columns}
    )


def _or_none(number: float) -> float | None:
    return None if pd.isna(number) else float(number)
