"""The notebooks' questions to `Answers`, in memory or in millions: the tables of `trend_report`, `satisfaction` and `tier_report`, by the same
names and with the same answers. What follows from these tables (`ahead`, `backtest`, `agreement`, `paired`, charts) takes them as they are.

events = sources.open_events(folder)
shown = events.answers.where(Filters(series="live"))
print(directions(shown), paired(event_tries(events.answers)))
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any

import numpy as np
import pandas as pd

from cinegen_core.analysis.answers import DIMENSION, DIMENSIONS, MOMENT, NO_GENRE, PERCENT_DELIVERED, Answers
from cinegen_core.analysis.duck import HERE, DuckAnswers, select, typed
from cinegen_core.analysis.explore import TIERS, answers_of, welch, with_reach
from cinegen_core.analysis.trend_report import (
    AFTERWARDS,
    FIGURES,
    LEAST_IN_STEP,
    MOST_FINE,
    MOST_GROUPS,
    MOST_STEPS,
    STEPS,
    By,
    Mark,
    Step,
    _near,
    _verdict,
    holm,
)
from cinegen_core.monitor.trends import change_points, trend
from cinegen_core.scorer import DIMENSION_WORDS

__all__ = [
    "NO_GENRE", "around", "by_group", "daily_points", "directions", "event_tries", "fine_step", "jumps", "over_time", "rated",
    "spread_over_time", "whole_days",
]  # fmt: skip

_SHARES = {"q05": 0.05, "q25": 0.25, "median": 0.5, "q75": 0.75, "q95": 0.95}
_MEASURES = ("overall", *(str(name) for name in DIMENSION_WORDS))
_TRIES: Mapping[str, str] = {
    **dict.fromkeys(("series", "unit", "asked", "tier", "writer"), "str"),
    **dict.fromkeys(("accepted", "failed", "seconds", "calls", "tokens", "cost", *_MEASURES), "float64"),
}


def over_time(answers: pd.DataFrame | Answers, step: Step, value: str = "quality") -> pd.DataFrame:
    """As `trend_report.over_time`; the value `delivered` is the percentage of active engines that delivered."""
    return _steps(answers_of(answers).groups("all", _of(value), STEPS[step]), step)


def by_group(answers: pd.DataFrame | Answers, by: By, step: Step) -> pd.DataFrame:
    """As `trend_report.by_group`."""
    asked = answers_of(answers)
    parts = [
        steps.tail(MOST_STEPS).assign(group=name) for name, steps in _each(asked, by, step) if len(steps)
    ]
    empty = _steps(asked.groups("all", "quality", STEPS[step]).head(0), step)
    found = pd.concat(parts, ignore_index=True) if parts else empty.assign(group=pd.Series([], dtype="str"))
    return found[["group", *(name for name in found.columns if name != "group")]].astype({"group": "str"})


def directions(answers: pd.DataFrame | Answers) -> pd.DataFrame:
    """As `trend_report.directions`."""
    asked = answers_of(answers)
    kinds: tuple[By, ...] = ("dimension", "tier", "genre", "cohort")
    every = [("all", "quality", over_time(asked, "day"))]
    every += [(by, name, steps) for by in kinds for name, steps in _each(asked, by, "day")]
    rows = []
    for by, name, steps in every:
        daily = steps.tail(MOST_STEPS)
        found = trend(_points(daily))
        slope, low, high = (
            np.nan if one is None else 7 * one for one in (found.slope, found.low, found.high)
        )
        p = np.nan if found.p is None else found.p
        rows.append(
            {"by": by, "group": name, "days": len(daily), "per_week": slope, "low": low, "high": high, "p": p}
        )
    table = pd.DataFrame(rows).astype({"days": "int64", "by": "str", "group": "str"})
    table["p_holm"] = holm(table["p"].tolist())
    table["verdict"] = pd.Series(
        [_verdict(p, slope) for p, slope in zip(table["p_holm"], table["per_week"], strict=True)], dtype="str"
    )
    return table


def spread_over_time(
    answers: pd.DataFrame | Answers, step: Step = "week", value: str = "quality"
) -> pd.DataFrame:
    """As `trend_report.spread_over_time`."""
    found = answers_of(answers).quantiles(value, tuple(_SHARES.values()), STEPS[step]).tail(MOST_STEPS)
    found.columns = pd.Index(["at", "count", *_SHARES])
    return found.reset_index(drop=True)


def whole_days(answers: pd.DataFrame | Answers, over: datetime, value: str = "quality") -> pd.DataFrame:
    """As `trend_report.whole_days`."""
    daily = over_time(answers, "day", value).iloc[1:]
    return daily[daily["until"] <= pd.Timestamp(over)]


def daily_points(
    answers: pd.DataFrame | Answers, over: datetime, value: str = "quality"
) -> list[tuple[datetime, float]]:
    """The means of `whole_days` as what `forecast` takes."""
    return _points(whole_days(answers, over, value))


def fine_step(answers: pd.DataFrame | Answers) -> Step:
    """As `trend_report.fine_step`."""
    asked = answers_of(answers)
    span = asked.span()
    if span is None:
        return "week"
    size = asked.size()
    for name, step in STEPS.items():
        steps = max(1.0, (span[1] - span[0]) / step)
        if steps <= MOST_FINE and size / steps >= LEAST_IN_STEP:
            return name
    return "week"


def jumps(answers: pd.DataFrame | Answers, found: Sequence[Mark]) -> pd.DataFrame:
    """As `trend_report.jumps`."""
    asked = answers_of(answers)
    step = fine_step(asked)
    rows: list[dict[str, Any]] = []
    for figure, words in FIGURES.items():
        series = over_time(asked, step, figure)
        for place in series.index[series["change"]]:
            at = series.at[place, "at"]
            mark = _near(at, STEPS[step], found)
            rows.append(
                {
                    "figure": words,
                    "at": at,
                    "step": step,
                    "before": series.at[place - 1, "level"],
                    "after": series.at[place, "level"],
                    "tied": "" if mark is None else mark.words,
                    "kind": "" if mark is None else mark.kind,
                }
            )
    kinds = {
        "figure": "str", "at": MOMENT, "step": "str", "before": "float64", "after": "float64", "tied": "str", "kind": "str",
    }  # fmt: skip
    return _frame(rows, kinds)


def around(answers: pd.DataFrame | Answers, found: Sequence[Mark]) -> pd.DataFrame:
    """As `trend_report.around`."""
    asked = answers_of(answers)
    looks = max(1, len(found) * len(FIGURES))
    rows: list[dict[str, Any]] = []
    for mark in found:
        end = min(mark.until or mark.at + AFTERWARDS, mark.at + AFTERWARDS)
        before, after = asked.within(mark.at - AFTERWARDS, mark.at), asked.within(mark.at, end)
        for figure, words in FIGURES.items():
            one, other = (_whole(part, _of(figure)) for part in (after, before))
            apart = welch(one, other, 1 - 0.05 / looks)
            rows.append(
                {
                    "at": pd.Timestamp(mark.at),
                    "kind": mark.kind,
                    "what": mark.words,
                    "figure": words,
                    "answers_before": other["count"],
                    "answers_after": one["count"],
                    **apart,
                    "shown": apart["low"] > 0 or apart["high"] < 0,
                }
            )
    kinds = {
        "at": MOMENT, "kind": "str", "what": "str", "figure": "str", "answers_before": "int64", "answers_after": "int64",
        "difference": "float64", "low": "float64", "high": "float64", "shown": "bool",
    }  # fmt: skip
    return _frame(rows, kinds)


def rated(answers: DuckAnswers) -> pd.DataFrame:
    """As `satisfaction.rated`, of these answers and all that readers said of them; as many rows as there are ratings."""
    reader = "CASE WHEN who = '' THEN chr(0) || feedback ELSE who END"
    latest = f'row_number() OVER (PARTITION BY id, {reader} ORDER BY "at" DESC, feedback DESC) AS place'
    said = f"({select(f'*, {latest}', 'feedback', 'WHERE rating IS NOT NULL')})"
    values = ("quality", *DIMENSIONS)
    shown = ", ".join(f'a."{name}"' for name in values)
    rows = answers.query(
        select(
            f'h."at", h.feedback, h.id, h.who, h.rating, {shown}',
            f"{said} AS h JOIN {HERE} AS a ON a.id = h.id",
            'WHERE h.place = 1 ORDER BY h."at", h.feedback',
        )
    )
    kinds = {"at": MOMENT, "feedback": "str", "id": "str", "who": "str"}
    columns = [*kinds, "rating", *values]
    return typed(rows, columns, {**dict.fromkeys(columns, "float64"), **kinds})


def event_tries(answers: DuckAnswers) -> pd.DataFrame:
    """As `tier_report.event_tries`, of these answers, which trials belong to (`Filters(counted=False)`); as many rows as there are requests,
    tiers and writers apart."""
    # without attempts the answer itself stands for its only try
    bare = "len(attempts) = 0"
    first = {name: f"attempts[1].{name}" for name in ("tier", "writer", "outcome", "seconds", "score", "calls", "tokens", "cost")}  # fmt: skip
    one = {
        "series": "title",
        "unit": "asked",
        "asked": "asked",
        "tier": f"CASE WHEN {bare} THEN tier ELSE {first['tier']} END",
        "writer": f"CASE WHEN {bare} THEN writer ELSE {first['writer']} END",
        "accepted": f"CASE WHEN {bare} THEN accepted ELSE {first['outcome']} = 'accepted' END::INT",
        "failed": f"CASE WHEN {bare} THEN score IS NULL ELSE {first['score']} IS NULL END::INT",
        "seconds": f"CASE WHEN {bare} THEN seconds ELSE {first['seconds']} END",
        **{name: first[name] for name in ("calls", "tokens", "cost")},
        "overall": f"CASE WHEN {bare} THEN score ELSE {first['score']} END",
        **{
            str(name): f'CASE WHEN {bare} OR tier = {first["tier"]} THEN "{DIMENSION}{name}" END'
            for name in DIMENSION_WORDS
        },
    }
    tries = select(
        ", ".join(f'{text} AS "try {name}"' for name, text in one.items()),
        HERE,
        "WHERE NOT kept AND NOT emergency AND asked <> ''",
    )
    keys = ", ".join(f'"try {name}"' for name, kind in _TRIES.items() if kind == "str")
    means = ", ".join(f'favg("try {name}")' for name, kind in _TRIES.items() if kind != "str")
    rows = answers.query(select(f"{keys}, {means}", f"({tries})", f"GROUP BY {keys} ORDER BY {keys}"))
    return typed(rows, list(_TRIES), _TRIES)


def _of(value: str) -> str:
    return PERCENT_DELIVERED if value == "delivered" else value


def _each(answers: Answers, by: By, step: Step) -> Iterator[tuple[str, pd.DataFrame]]:
    """Each group's steps, by name in the order of `trend_report`."""
    if by == "dimension":
        for dimension, words in DIMENSION_WORDS.items():
            yield words, over_time(answers, step, f"{DIMENSION}{dimension}")
        return
    found = answers.groups(by, "quality", STEPS[step])
    if by == "cohort":
        sides = found.groupby("name", sort=True)["on"].nunique()
        for name in sides.index[sides == 2][:MOST_GROUPS]:
            for on, word in ((True, "on"), (False, "off")):
                yield f"{name} {word}", _steps(found[(found["name"] == name) & (found["on"] == on)], step)
        return
    sizes = found.groupby("name", sort=True)["size"].sum()
    names = TIERS if by == "tier" else sorted(sizes.nlargest(MOST_GROUPS).index)
    for name in names:
        if name in sizes.index:
            yield str(name), _steps(found[found["name"] == name], step)


def _steps(groups: pd.DataFrame, step: Step) -> pd.DataFrame:
    """What `over_time` says, of `Answers.groups` by steps alone."""
    found = with_reach(groups[groups["count"] > 0].tail(MOST_FINE).reset_index(drop=True))
    mean = found["mean"].to_numpy(dtype="float64")
    changes = change_points(mean.tolist())
    part = np.searchsorted(changes, np.arange(len(mean)), side="right")
    levels = [mean[part == one].mean() for one in range(len(changes) + 1)] if len(mean) else []
    return pd.DataFrame(
        {
            "at": found["at"],
            "until": (found["at"] + STEPS[step]).astype(MOMENT),
            **{name: found[name] for name in ("count", "mean", "low", "high")},
            "level": pd.Series([levels[one] for one in part], dtype="float64"),
            "change": np.isin(np.arange(len(mean)), changes),
        }
    )


def _whole(answers: Answers, value: str) -> dict[str, Any]:
    found: list[dict[str, Any]] = answers.groups("all", value).to_dict("records")
    return found[0] if found else {"count": 0, "mean": np.nan, "std": np.nan}


def _points(daily: pd.DataFrame) -> list[tuple[datetime, float]]:
    return list(zip(daily["at"].dt.to_pydatetime(), daily["mean"].tolist(), strict=True))


def _frame(rows: Sequence[Mapping[str, Any]], kinds: Mapping[str, str]) -> pd.DataFrame:
    return pd.DataFrame(
        {name: pd.Series([row[name] for row in rows], dtype=kind) for name, kind in kinds.items()}
    )
