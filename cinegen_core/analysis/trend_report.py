"""How answers change over time: by day and by week, where the level changed and what happened then, where it is going, and how far such
forecasts were off so far.

Everything is computed from `answers_frame` and the events themselves; without data a table has its columns and no
rows. Means come with an interval of 95 %, NaN below `LEAST_SAMPLES` values. Charts are in `trend_charts`.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from math import sqrt
from typing import Any, Literal

import numpy as np
import pandas as pd

from cinegen_core.analysis.answers import DIMENSION, FLAG, MOMENT
from cinegen_core.analysis.explore import NO_GENRE, TIERS
from cinegen_core.analysis.sources import DAYS, SIMULATED, START
from cinegen_core.comparing.votes import wilson
from cinegen_core.flags.cohorts import LEAST_SAMPLES, difference, student_quantile
from cinegen_core.flags.model import Change
from cinegen_core.monitor.changes import told_of
from cinegen_core.monitor.events import AlertEvent, Event, GenerationEvent
from cinegen_core.monitor.incidents import incidents
from cinegen_core.monitor.trends import LEAST_DAYS, change_points, forecast, trend
from cinegen_core.scorer import DIMENSION_WORDS
from cinegen_core.simulation import five
from cinegen_core.simulation.incidents import WORDS
from cinegen_core.story.model import Noun

Step = Literal["half hour", "hour", "6 hours", "day", "week"]
By = Literal["dimension", "tier", "genre", "cohort"]
Kind = Literal["flag change", "planted", "alert"]

STEPS: Mapping[Step, pd.Timedelta] = {
    "half hour": pd.Timedelta(minutes=30),
    "hour": pd.Timedelta(hours=1),
    "6 hours": pd.Timedelta(hours=6),
    "day": pd.Timedelta(days=1),
    "week": pd.Timedelta(weeks=1),
}
MOST_STEPS = 300
"""Steps of one series in a table by group at most: the latest."""

MOST_FINE = 3000
"""Steps in which jumps are looked for at most."""

LEAST_IN_STEP = 5
"""Answers in a step, on average, for jumps to be looked for in steps so short."""

MOST_GROUPS = 8
"""Genres or cohorts of one table: those with most answers."""

FIGURES: Mapping[str, str] = {
    "quality": "quality, 0 to 10",
    "seconds": "seconds to the answer",
    "delivered": "engines that delivered, %",
}
"""What jumps are looked for in, with units."""

AFTERWARDS = timedelta(hours=24)
"""How long before and after a change answers are compared; during, for what has an end of its own."""

ALERTED = pd.Timedelta(hours=3)
"""How long after what caused it an alert may begin: its window has to fill."""

_MONDAY = pd.Timestamp("1970-01-05", tz="UTC")


class Mark(Noun):
    """Something that happened at `at`, and went on until `until` (None: it has no end, or none yet)."""

    at: datetime
    until: datetime | None = None
    kind: Kind
    words: str


def counted(events: Iterable[Event]) -> tuple[Event, ...]:
    """The events without answers that say nothing about how the studio does: kept ones, those of emergencies, and trials."""
    return tuple(event for event in events if not isinstance(event, GenerationEvent) or event.counts)


def marks(
    events: Iterable[Event], changes: Iterable[Change] = (), source: str = "", *, alerts: bool = True
) -> tuple[Mark, ...]:
    """What happened, by time: the journal's changes of flags (without a journal, the notices of them among the events), alerts that
    fired, and the incidents that were planted in the simulated source."""
    steps = [event for event in events if isinstance(event, AlertEvent)]
    told = [step for change in changes for step in told_of(change) if step.state != "resolved"]
    notices = told or [one for one in steps if one.severity == "info" or _is_rollback(one)]
    found = [Mark(at=one.at, kind="flag change", words=one.cause) for one in notices]
    if alerts:
        found += [
            Mark(at=one.began, until=one.ended, kind="alert", words=f"{', '.join(one.rules)}: {one.cause}")
            for one in incidents(step for step in steps if not step.rule.startswith("rolled_back:"))
            if one.fired
        ]
    if source == SIMULATED:
        found += [
            Mark(
                at=START + one.start,
                until=START + one.end,
                kind="planted",
                words=f"{one.kind}: {WORDS[one.kind]}",
            )
            for one in five(DAYS)
        ]
    return tuple(sorted(found, key=lambda mark: (mark.at, mark.kind, mark.words)))


def marks_frame(found: Sequence[Mark]) -> pd.DataFrame:
    """As a table: `from`, `to`, `kind`, `what`."""
    return pd.DataFrame(
        {
            "from": pd.Series([f"{mark.at:%Y-%m-%d %H:%M}" for mark in found], dtype="str"),
            "to": pd.Series(
                ["" if mark.until is None else f"{mark.until:%Y-%m-%d %H:%M}" for mark in found], dtype="str"
            ),
            "kind": pd.Series([mark.kind for mark in found], dtype="str"),
            "what": pd.Series([mark.words for mark in found], dtype="str"),
        }
    )


def over_time(answers: pd.DataFrame, step: Step, value: str = "quality") -> pd.DataFrame:
    """Means by steps of UTC (weeks from Monday), those without a value left out, the latest `MOST_FINE`.

    Columns `at`, `until`, `count`, `mean`, `low`, `high`, `level` (the mean between two changes) and `change`, whether another level begins
    here (`cinegen_core.monitor.trends.change_points`, of steps that are not yet over too).
    """
    long = STEPS[step]
    known = answers.loc[answers[value].notna(), ["at", value]]
    start = _MONDAY + ((known["at"] - _MONDAY) // long) * long
    found = known[value].groupby(start, sort=True).agg(["count", "mean", "std"]).tail(MOST_FINE)
    count = found["count"].to_numpy()
    reach = np.array(
        [student_quantile(0.975, n - 1) / sqrt(n) if n >= LEAST_SAMPLES else np.nan for n in count]
    )
    reach = reach * found["std"].to_numpy()
    mean = found["mean"].to_numpy(dtype="float64")
    changes = change_points(mean.tolist())
    part = np.searchsorted(changes, np.arange(len(mean)), side="right")
    levels = [mean[part == one].mean() for one in range(len(changes) + 1)] if len(mean) else []
    at = pd.Series(pd.DatetimeIndex(found.index), dtype=MOMENT) if len(found) else pd.Series([], dtype=MOMENT)
    return pd.DataFrame(
        {
            "at": at,
            "until": (at + long).astype(MOMENT),
            "count": pd.Series(count, dtype="int64"),
            "mean": mean,
            "low": mean - reach,
            "high": mean + reach,
            "level": pd.Series([levels[one] for one in part], dtype="float64"),
            "change": np.isin(np.arange(len(mean)), changes),
        }
    )


def by_group(answers: pd.DataFrame, by: By, step: Step) -> pd.DataFrame:
    """`over_time` for each dimension, tier, genre or cohort of a flag (those flags that were on for some and off for others), the latest
    `MOST_STEPS` of each; `group` names it. An answer of two genres counts for both."""
    parts = [
        over_time(rows, step, value).tail(MOST_STEPS).assign(group=name)
        for name, rows, value in _groups(answers, by)
    ]
    empty = over_time(answers.head(0), step).assign(group=pd.Series([], dtype="str"))
    whole = [part for part in parts if len(part)]
    found = pd.concat(whole, ignore_index=True) if whole else empty
    return found[["group", *(name for name in found.columns if name != "group")]]


def directions(answers: pd.DataFrame) -> pd.DataFrame:
    """Where the daily means of each dimension, tier, genre and cohort are going: `by`, `group`, `days`, `per_week` (the slope, points a
    week) with `low` and `high`, `p`, `p_holm` and `verdict`.

    Slope and test are those of `cinegen_core.monitor.trends.trend`. `p_holm` allows for all rows being looked at (Holm, Scandinavian
    Journal of Statistics 6, 1979), and the verdict goes by it: `rising`, `falling`, `no trend shown`, or `too few days`.
    """
    rows: list[dict[str, Any]] = []
    for by, name, values, column in _everything(answers):
        daily = over_time(values, "day", column).tail(MOST_STEPS)
        found = trend(list(zip(daily["at"].dt.to_pydatetime(), daily["mean"], strict=True)))
        slope, low, high = (
            np.nan if one is None else 7 * one for one in (found.slope, found.low, found.high)
        )
        p = np.nan if found.p is None else found.p
        rows.append(
            {"by": by, "group": name, "days": len(daily), "per_week": slope, "low": low, "high": high, "p": p}
        )
    columns = ["by", "group", "days", "per_week", "low", "high", "p"]
    table = pd.DataFrame(rows, columns=columns).astype({"days": "int64", "by": "str", "group": "str"})
    table["p_holm"] = holm(table["p"].tolist())
    table["verdict"] = pd.Series(
        [_verdict(p, slope) for p, slope in zip(table["p_holm"], table["per_week"], strict=True)], dtype="str"
    )
    return table


def holm(chances: Sequence[float]) -> list[float]:
    """The p-values (0..1, NaN for none) allowed for all being looked at: Holm's step-down method, in their order."""
    known = sorted((p, place) for place, p in enumerate(chances) if not np.isnan(p))
    found = [float("nan")] * len(chances)
    least = 0.0
    for rank, (p, place) in enumerate(known):
        least = max(least, min(1.0, (len(known) - rank) * p))
        found[place] = least
    return found


def spread_over_time(answers: pd.DataFrame, step: Step = "week", value: str = "quality") -> pd.DataFrame:
    """The distribution by steps: `at`, `count`, and the quantiles `q05`, `q25`, `median`, `q75`, `q95`; the latest `MOST_STEPS`."""
    known = answers.loc[answers[value].notna(), ["at", value]]
    start = _MONDAY + ((known["at"] - _MONDAY) // STEPS[step]) * STEPS[step]
    shares = {"q05": 0.05, "q25": 0.25, "median": 0.5, "q75": 0.75, "q95": 0.95}
    groups = known[value].groupby(start.astype(MOMENT), sort=True)
    found = pd.DataFrame(
        {"count": groups.size(), **{name: groups.quantile(share) for name, share in shares.items()}}
    )
    return found.tail(MOST_STEPS).rename_axis("at").reset_index()


def jumps(answers: pd.DataFrame, found: Sequence[Mark]) -> pd.DataFrame:
    """Where quality, time and engines went over to another level, looked for in steps as short as there are answers for, and what
    happened nearby.

    Columns `figure` (of `FIGURES`), `at`, `step`, `before`, `after` (levels), `tied` (words; empty where nothing is near) and `kind`. A
    change of a flag or a planted incident, its end too, is near within two steps; an alert up to `ALERTED` later still. A short
    level of fewer than five steps is not seen.
    """
    rows: list[dict[str, Any]] = []
    step = fine_step(answers)
    for figure in FIGURES:
        series = over_time(with_delivered(answers), step, figure)
        for place in series.index[series["change"]]:
            at = series.at[place, "at"]
            mark = _near(at, STEPS[step], found)
            rows.append(
                {
                    "figure": FIGURES[figure],
                    "at": at,
                    "step": step,
                    "before": series.at[place - 1, "level"],
                    "after": series.at[place, "level"],
                    "tied": "" if mark is None else mark.words,
                    "kind": "" if mark is None else mark.kind,
                }
            )
    columns = {
        "figure": "str",
        "at": MOMENT,
        "step": "str",
        "before": "float64",
        "after": "float64",
        "tied": "str",
        "kind": "str",
    }
    return pd.DataFrame(
        {name: pd.Series([row[name] for row in rows], dtype=kind) for name, kind in columns.items()}
    )


def chance_of_a_tie(answers: pd.DataFrame, found: Sequence[Mark]) -> float:
    """The share (0..1) of the span in which a jump would have something near it by luck; NaN without answers."""
    if answers.empty:
        return float("nan")
    step = STEPS[fine_step(answers)]
    grid = pd.date_range(answers["at"].min().floor(step), answers["at"].max(), freq=step)
    return sum(_near(at, step, found) is not None for at in grid) / len(grid)


def around(answers: pd.DataFrame, found: Sequence[Mark]) -> pd.DataFrame:
    """Answers after each mark (while it went on, at most `AFTERWARDS`) less those of the `AFTERWARDS` before it, in quality, time and engines.

    Columns `at`, `kind`, `what`, `figure`, `answers_before`, `answers_after`, `difference`, `low`, `high` and `shown`: whether the interval leaves
    out 0. Intervals are Welch's at 1 - .05/looks, so that with 95 % all of them hold (Bonferroni); NaN with fewer than five answers on a
    side. Before and after differ in more than the mark: a difference is no proof of a cause.
    """
    looks = max(1, len(found) * len(FIGURES))
    values = with_delivered(answers)
    rows: list[dict[str, Any]] = []
    for mark in found:
        at = pd.Timestamp(mark.at)
        end = min(pd.Timestamp(mark.until or mark.at + AFTERWARDS), at + AFTERWARDS)
        before = values[(values["at"] >= at - AFTERWARDS) & (values["at"] < at)]
        after = values[(values["at"] >= at) & (values["at"] < end)]
        for figure, words in FIGURES.items():
            pair = [part[figure].dropna().tolist() for part in (after, before)]
            apart = difference(pair[0], pair[1], level=1 - 0.05 / looks)
            rows.append(
                {
                    "at": at,
                    "kind": mark.kind,
                    "what": mark.words,
                    "figure": words,
                    "answers_before": len(pair[1]),
                    "answers_after": len(pair[0]),
                    "difference": np.nan if apart is None else apart.value,
                    "low": np.nan if apart is None else apart.low,
                    "high": np.nan if apart is None else apart.high,
                    "shown": apart is not None and (apart.low > 0 or apart.high < 0),
                }
            )
    columns = {
        "at": MOMENT, "kind": "str", "what": "str", "figure": "str", "answers_before": "int64", "answers_after": "int64",
        "difference": "float64", "low": "float64", "high": "float64", "shown": "bool",
    }  # fmt: skip
    return pd.DataFrame(
        {name: pd.Series([row[name] for row in rows], dtype=kind) for name, kind in columns.items()}
    )


def whole_days(answers: pd.DataFrame, over: datetime, value: str = "quality") -> pd.DataFrame:
    """`over_time` by day without the first, which may be a part of one, and without those that were not over at `over` (with its zone)."""
    daily = over_time(answers, "day", value).iloc[1:]
    return daily[daily["until"] <= pd.Timestamp(over)]


def daily_points(
    answers: pd.DataFrame, over: datetime, value: str = "quality"
) -> list[tuple[datetime, float]]:
    """The means of `whole_days` as what `forecast` takes."""
    daily = whole_days(answers, over, value)
    return list(zip(daily["at"].dt.to_pydatetime(), daily["mean"].tolist(), strict=True))


def last_moment(events: Iterable[Event]) -> datetime:
    """Of the latest event, until when days are known; the beginning of all time where there is none."""
    return max((event.at for event in events), default=datetime(1970, 1, 1, tzinfo=UTC))


def ahead(points: Sequence[tuple[datetime, float]], days: int = 7) -> pd.DataFrame:
    """The forecast of each of the next days: `at`, `value`, `low`, `high` (95 %); no rows with too few days (`LEAST_DAYS`)."""
    found = [one for one in (forecast(points, day) for day in range(1, days + 1)) if one is not None]
    return pd.DataFrame(
        {
            "at": pd.Series([one.at for one in found], dtype=MOMENT),
            **{
                name: pd.Series([getattr(one, name) for one in found], dtype="float64")
                for name in ("value", "low", "high")
            },
        }
    )


def backtest(points: Sequence[tuple[datetime, float]], days: int) -> pd.DataFrame:
    """What `forecast` would have said so many days before each day, from the days until then alone (rolling origin: Tashman,
    International Journal of Forecasting 16, 2000), beside what came.

    Columns `at`, `actual`, `value`, `low`, `high`, `inside`, `mean` (of the days until then: what one would say without a line).
    """
    by_day = dict(points)
    rows: list[dict[str, Any]] = []
    for end in range(LEAST_DAYS, len(points) + 1):
        known = points[:end]
        found = forecast(known, days)
        actual = None if found is None else by_day.get(found.at)
        if found is None or actual is None:
            continue
        plain = sum(value for _, value in known) / end
        rows.append(
            {
                **found.model_dump(),
                "actual": actual,
                "inside": found.low <= actual <= found.high,
                "mean": plain,
            }
        )
    columns = {
        "at": MOMENT,
        "actual": "float64",
        "value": "float64",
        "low": "float64",
        "high": "float64",
        "inside": "bool",
        "mean": "float64",
    }
    return pd.DataFrame(
        {name: pd.Series([row[name] for row in rows], dtype=kind) for name, kind in columns.items()}
    )


def past_errors(points: Sequence[tuple[datetime, float]], horizons: Sequence[int] = (1, 7)) -> pd.DataFrame:
    """How forecasts fared: `days` ahead, `forecasts`, `error` (mean absolute, points), `error_of_mean` (of saying the mean so far),
    `coverage` (percent inside the interval, which should be 95) with `low` and `high`.

    Forecasts of overlapping days fail together, so that the interval of the coverage (Wilson's) counts one of every `days` of them.
    """
    rows = []
    for days in horizons:
        told = backtest(points, days)
        count = len(told)
        low = high = coverage = float("nan")
        if count:
            coverage = float(told["inside"].mean())
            low, high = wilson(coverage, count / days, 1.959964)
        rows.append(
            {
                "days": days,
                "forecasts": count,
                "error": (told["value"] - told["actual"]).abs().mean(),
                "error_of_mean": (told["mean"] - told["actual"]).abs().mean(),
                "coverage": 100 * coverage,
                "low": 100 * low,
                "high": 100 * high,
            }
        )
    return pd.DataFrame(rows)


def fine_step(answers: pd.DataFrame) -> Step:
    """The shortest step with `LEAST_IN_STEP` answers on average and no more than `MOST_FINE` steps; a week where there are few."""
    if answers.empty:
        return "week"
    span = answers["at"].max() - answers["at"].min()
    for name, step in STEPS.items():
        steps = max(1.0, span / step)
        if steps <= MOST_FINE and len(answers) / steps >= LEAST_IN_STEP:
            return name
    return "week"


def with_delivered(answers: pd.DataFrame) -> pd.DataFrame:
    """With the column `delivered` as percent of the active engines, NaN where none was active."""
    active = answers["active"].astype("float64")
    return answers.assign(delivered=100.0 * answers["delivered"] / active.where(active > 0))


def _is_rollback(step: AlertEvent) -> bool:
    return step.rule.startswith("rolled_back:") and step.state == "firing"


def _groups(answers: pd.DataFrame, by: By) -> list[tuple[str, pd.DataFrame, str]]:
    """Name, answers, and the column that holds the value."""
    if by == "dimension":
        return [(words, answers, f"{DIMENSION}{name}") for name, words in DIMENSION_WORDS.items()]
    if by == "tier":
        return [
            (tier, answers[answers["tier"] == tier], "quality")
            for tier in TIERS
            if (answers["tier"] == tier).any()
        ]
    if by == "genre":
        each = answers.assign(genre=[one or (NO_GENRE,) for one in answers["genres"]]).explode("genre")
        names = sorted(each["genre"].value_counts().sort_index().nlargest(MOST_GROUPS).index)
        return [(str(name), each[each["genre"] == name], "quality") for name in names]
    found: list[tuple[str, pd.DataFrame, str]] = []
    for column in sorted(name for name in answers.columns if name.startswith(FLAG)):
        on = answers[column].fillna(False).astype("bool")
        off = answers[column].notna() & ~on
        if on.any() and off.any():
            flag = column.removeprefix(FLAG)
            found += [(f"{flag} on", answers[on], "quality"), (f"{flag} off", answers[off], "quality")]
    return found[: 2 * MOST_GROUPS]


def _everything(answers: pd.DataFrame) -> Iterable[tuple[str, str, pd.DataFrame, str]]:
    yield "all", "quality", answers, "quality"
    kinds: tuple[By, ...] = ("dimension", "tier", "genre", "cohort")
    for by in kinds:
        for name, rows, column in _groups(answers, by):
            yield by, name, rows, column


def _verdict(p: float, slope: float) -> str:
    if np.isnan(p):
        return "too few days"
    if p >= 0.05 or slope == 0.0:
        return "no trend shown"
    return "rising" if slope > 0 else "falling"


def _near(at: pd.Timestamp, step: pd.Timedelta, found: Sequence[Mark]) -> Mark | None:
    """The nearest change of a flag or planted incident; else the nearest alert."""
    reach = 2 * step
    for causes in (True, False):
        best: tuple[pd.Timedelta, Mark] | None = None
        for mark in found:
            if (mark.kind != "alert") != causes:
                continue
            for moment in (mark.at, mark.until):
                if moment is None:
                    continue
                later = pd.Timestamp(moment) - at
                if -reach <= later <= reach + (pd.Timedelta(0) if causes else ALERTED):
                    apart = abs(later)
                    if best is None or apart < best[0]:
                        best = (apart, mark)
        if best is not None:
            return best[1]
    return None
