"""What an ablation's table says of each engine: effects with intervals that hold for all looks at once, costs, charts, and the answer in words.

A unit is a series and a seed; the differences of its episodes are averaged first, as they belong together. A difference is always with the
engine less without it: above 0 the engine adds points.

Looking at nineteen engines in seven dimensions and overall is a lot of looks, and some will seem to show something by luck. So intervals
are simultaneous: with 95 % confidence *all* of them hold. They come from turning the signs of the units' differences at random, all looks
of a unit together, and noting the largest t among all looks each time (single-step max-t: Westfall and Young, Resampling-Based Multiple
Testing, 1993; sign turning: Romano, Annals of Statistics 17, 1989). A look with fewer units has a wilder t, so every t is first turned
into a normal score by its own degrees of freedom (Wallace, Annals of Mathematical Statistics 30, 1959). Without an effect a difference
is as likely to be turned as not, which is all that this assumes; correlated looks, such as a dimension and the overall score, cost little.
They speak of other seeds of these series. How it would be in another series, the number of series with the same sign gives an idea of.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal, NamedTuple

import altair as alt
import numpy as np
import numpy.typing as npt
import pandas as pd

from cinegen_core.analysis.ablation import (
    ALL,
    ALONE,
    NONE,
    PLACEBO,
    REALISED,
    SCORES,
    SHARED,
    TOKENS,
    UNREALISED,
    WITHOUT,
    WORK,
    WRITING,
)
from cinegen_core.analysis.charts import ACCENT
from cinegen_core.engines import all_engines
from cinegen_core.scorer import DIMENSION_WORDS

Kind = Literal["taken out", "alone"]
Verdict = Literal["adds", "costs", "not shown"]

ALL_ENGINES = "All engines"
PLACEBO_ROW = "Placebo"

LEVEL = 0.95
PLAIN = 1.959964
"""The normal score of a single look at 95 %."""

LEAST_UNITS = 4
"""With fewer there is no interval."""

Floats = npt.NDArray[np.float64]


def differences(figures: pd.DataFrame, kind: Kind) -> pd.DataFrame:
    """Score with less score without, in points: a row a unit (series, seed), a column a look (engine, measure); NaN where it had no work.

    `taken out`: all engines less all but one, and two rows of another kind: all engines less none, and the placebo less all engines.
    `alone`: one engine less none.
    """
    scores = figures[figures["measure"].isin(SCORES)]
    wide = scores.pivot(index=["series", "seed", "episode", "measure"], columns="setting", values="value")
    names = [engine.name for engine in all_engines()]
    found: dict[str, pd.Series] = {}
    if kind == "taken out":
        found = {n: wide[ALL] - wide[f"{WITHOUT}{n}"] for n in names if f"{WITHOUT}{n}" in wide}
        found[ALL_ENGINES] = wide[ALL] - wide[NONE]
        found[PLACEBO_ROW] = wide[PLACEBO] - wide[ALL]
    else:
        found = {n: wide[f"{ALONE}{n}"] - wide[NONE] for n in names if f"{ALONE}{n}" in wide}
    frame = pd.DataFrame(found)
    units = frame.groupby(["series", "seed", "measure"], sort=True).mean().unstack("measure")
    kept = [(name, measure) for name in found for measure in SCORES if (name, measure) in units]
    return units[kept].dropna(axis="columns", how="all")


def normal_scores(t: Floats, freedom: Floats) -> Floats:
    """Normal scores with the tails of Student's t (Wallace 1959, his third approximation)."""
    scale = (8 * freedom + 1) / (8 * freedom + 3)
    scores: Floats = np.sign(t) * scale * np.sqrt(freedom * np.log1p(t**2 / freedom))
    return scores


def t_values(scores: Floats | float, freedom: Floats) -> Floats:
    """The other way."""
    scale = (8 * freedom + 1) / (8 * freedom + 3)
    values: Floats = np.sign(scores) * np.sqrt(freedom * np.expm1((scores / scale) ** 2 / freedom))
    return values


class _Looks(NamedTuple):
    """Means of many looks, with what is needed to judge them together. Arrays have one number a look."""

    mean: Floats
    error: Floats
    units: Floats
    score: Floats
    highest: Floats
    """The largest normal score among all looks, for each turning of signs, lowest first."""

    @property
    def freedom(self) -> Floats:
        return np.maximum(self.units - 1, 1)

    @property
    def critical(self) -> float:
        """The normal score that luck alone passes anywhere in one of twenty tables."""
        return float(self.highest[int(np.ceil(LEVEL * (len(self.highest) + 1))) - 1])


def _look(units: Floats, rounds: int, chance: np.random.Generator) -> _Looks:
    """`units` has a row a unit and a column a look, NaN where there is nothing."""
    there = ~np.isnan(units)
    count = there.sum(axis=0).astype(np.float64)
    values = np.where(there, units, 0.0)
    squares = (values**2).sum(axis=0)
    mean, error, score = _judged(values.sum(axis=0), squares, count)
    signs = chance.choice(np.array([-1.0, 1.0]), size=(rounds, len(units)))
    turned = _judged(signs @ values, squares, count)[2]
    return _Looks(mean, error, count, score, np.sort(np.abs(turned).max(axis=1)))


def _judged(sums: Floats, squares: Floats, count: Floats) -> tuple[Floats, Floats, Floats]:
    """Mean, standard error and normal score, from the sum and the sum of squares. What never differs has a score of 0."""
    freedom = np.maximum(count - 1, 1)
    mean = sums / count
    # Equal differences have no variance; the floor, far below what two decimals can show, keeps their score finite.
    variance = np.maximum((squares - count * mean**2) / freedom, 1e-8)
    error = np.where(squares > 0, np.sqrt(variance / count), 0.0)
    t = np.divide(mean, error, out=np.zeros_like(mean), where=error > 0)
    return mean, error, np.where(count >= LEAST_UNITS, normal_scores(t, freedom), 0.0)


def effects(units: pd.DataFrame, *, rounds: int = 4000, seed: int = 1) -> pd.DataFrame:
    """Every look of `differences` judged: a row a look, in points.

    `mean`; `low` and `high`, which hold for all looks at once; `plain_low` and `plain_high`, as if it were the only look; `p` corrected in
    the same way; `count` of units; `series` it has work in, and in how many of them (`series_up`, `series_down`) the mean is above or below 0;
    `verdict`. Intervals and p are NaN with fewer than `LEAST_UNITS`.
    """
    looks = _look(units.to_numpy(dtype=np.float64), rounds, np.random.default_rng(seed))
    half = t_values(looks.critical, looks.freedom) * looks.error
    plain = t_values(PLAIN, looks.freedom) * looks.error
    above = len(looks.highest) - np.searchsorted(looks.highest, np.abs(looks.score), side="left")
    few = looks.units < LEAST_UNITS
    by_series = units.groupby("series").mean()
    frame = pd.DataFrame(
        {
            "engine": units.columns.get_level_values(0).astype("str"),
            "measure": units.columns.get_level_values(1).astype("str"),
            "mean": looks.mean,
            "low": np.where(few, np.nan, looks.mean - half),
            "high": np.where(few, np.nan, looks.mean + half),
            "plain_low": np.where(few, np.nan, looks.mean - plain),
            "plain_high": np.where(few, np.nan, looks.mean + plain),
            "p": np.where(few, np.nan, (1 + above) / (1 + len(looks.highest))),
            "count": looks.units.astype(np.int64),
            "series": by_series.notna().sum().to_numpy(),
            "series_up": (by_series > 0).sum().to_numpy(),
            "series_down": (by_series < 0).sum().to_numpy(),
        }
    )
    frame["verdict"] = [verdict(low, high) for low, high in zip(frame["low"], frame["high"], strict=True)]
    return frame


def verdict(low: float, high: float) -> Verdict:
    """What an interval shows; NaN shows nothing."""
    return "adds" if low > 0 else "costs" if high < 0 else "not shown"


def extent(figures: pd.DataFrame) -> str:
    """How much a table holds, in words."""
    requests = figures.groupby(["series", "seed", "episode"]).ngroups
    scripts = int((figures["measure"] == "overall").sum())
    seeds = figures.groupby("series")["seed"].nunique()
    each = f"{seeds.min()}" if seeds.min() == seeds.max() else f"{seeds.min()} to {seeds.max()}"
    return f"{len(seeds)} series, {each} seeds each: {requests:,} requests, {scripts:,} scripts scored."


def whole(judged: pd.DataFrame) -> pd.DataFrame:
    """All engines against none, and the placebo, by measure: points with and without the correction for all looks."""
    rows = judged[judged["engine"].isin((ALL_ENGINES, PLACEBO_ROW))]
    kept = ["engine", "measure", "mean", "low", "high", "plain_low", "plain_high", "verdict"]
    return rows[kept].reset_index(drop=True)


def by_engine(figures: pd.DataFrame, judged: pd.DataFrame, kind: Kind) -> pd.DataFrame:
    """One row an engine, the greatest gain overall first: what it does for its own directive, for the score, and what that costs.

    `lift` is realised with less without, 0..1. `points` overall with `low` and `high`. `better` and `worse` list the dimensions in which an
    effect is shown. `work_ms` is the engine's own work, proposing and looking once; `added_ms` what a whole attempt takes longer, writing and
    repairs included, and below 0 where it is shorter (both processor time). `tokens` a model would take in its place, estimated, without the
    shared beginning. Both per point only where points are shown to be above 0: a cost divided by luck is no price.
    """
    sign = WITHOUT if kind == "taken out" else ALONE
    means = figures.groupby(["measure", "setting"])["value"].mean()
    rows = []
    names = {engine.name for engine in all_engines()}
    for row in judged[(judged["measure"] == "overall") & judged["engine"].isin(names)].itertuples():
        name = str(row.engine)
        its = judged[(judged["engine"] == name) & (judged["measure"] != "overall")]
        other = f"{sign}{name}"
        work, tokens = (float(means[measure, f"{WITHOUT}{name}"]) for measure in (WORK, TOKENS))
        price = row.mean if row.verdict == "adds" else np.nan
        rows.append(
            {
                "engine": name,
                "lift": float(means[REALISED, other] - means[UNREALISED, other]),
                "points": row.mean,
                "low": row.low,
                "high": row.high,
                "verdict": row.verdict,
                "series up": f"{row.series_up} of {row.series}",
                "better": _listed(its.loc[its["verdict"] == "adds", "measure"]),
                "worse": _listed(its.loc[its["verdict"] == "costs", "measure"]),
                "work_ms": work,
                "ms_per_point": work / price,
                "added_ms": _added_ms(figures, (ALL, other) if kind == "taken out" else (other, NONE)),
                "tokens": tokens,
                "tokens_per_point": tokens / price,
            }
        )
    return pd.DataFrame(rows).sort_values(["points", "engine"], ascending=[False, True], ignore_index=True)


def shared_tokens(figures: pd.DataFrame) -> float:
    """Estimated tokens of the beginning that all calls of an episode share, on average; a vendor's cache takes most off its price."""
    return float(figures.loc[figures["measure"] == SHARED, "value"].mean())


def _added_ms(figures: pd.DataFrame, settings: tuple[str, str]) -> float:
    """Milliseconds by which one setting takes longer than the other, over the requests that have both."""
    times = figures[(figures["measure"] == WRITING) & figures["setting"].isin(settings)]
    wide = times.pivot(index=["series", "seed", "episode"], columns="setting", values="value")
    return float((wide[settings[0]] - wide[settings[1]]).mean())


def _listed(measures: pd.Series) -> str:
    return ", ".join(measures) or "-"


class PlaceboRuns(NamedTuple):
    """How often an engine that does nothing but draw again was said to do something, in any of its eight looks."""

    runs: int
    flagged: int
    plainly: int
    """As `flagged`, had every look been judged as the only one."""

    @property
    def rate(self) -> float:
        return self.flagged / self.runs

    def words(self, engines: int) -> str:
        who = "a placebo among the real engines" if engines == 1 else f"{engines} placebos and no real engine"
        return (
            f"Of {self.runs} tables with {who}, {self.flagged} ({self.rate:.1%}) show an effect that is not there; "
            f"5 % are allowed. Uncorrected, {self.plainly} ({self.plainly / self.runs:.0%}) would."
        )


def placebo_runs(
    figures: pd.DataFrame, *, engines: int = 1, runs: int = 200, rounds: int = 600, seed: int = 11
) -> PlaceboRuns:
    """Analyses a placebo `runs` times, drawn anew from recorded scores, so that it takes seconds.

    The placebo's script is the baseline's but for the luck of the draw. So for every unit and episode, two (or 1 + `engines`) of the scored
    scripts by all engines of the same series and episode number are drawn, whatever their seed; one is the baseline, the others have the
    placebo. None has anything that another has not, so whatever is found is false. With one, it stands among the real engines' looks, as the
    placebo in the table does; with more, there are only placebos, and 5 % of tables with any false effect are what to expect at most.
    """
    chance = np.random.default_rng(seed)
    real = differences(figures, "taken out").drop(columns=[PLACEBO_ROW, ALL_ENGINES], level=0)
    fixed = real.to_numpy(dtype=np.float64) if engines == 1 else np.empty((len(real), 0))
    pools = _pools(figures)
    flagged = plainly = 0
    for _ in range(runs):
        drawn = np.stack([_drawn(pools[series], engines, chance) for series, _ in real.index])
        looks = _look(np.hstack([drawn, fixed]), rounds, chance)
        found = np.abs(looks.score[: drawn.shape[1]])
        flagged += bool((found > looks.critical).any())
        plainly += bool((found > PLAIN).any())
    return PlaceboRuns(runs, flagged, plainly)


def _pools(figures: pd.DataFrame) -> dict[str, list[Floats]]:
    """For each series and each of its episodes: all scripts by all engines, a row each, a column a score."""
    scores = figures[figures["measure"].isin(SCORES) & figures["setting"].isin((ALL, PLACEBO))]
    wide = scores.pivot(index=["series", "episode", "seed", "setting"], columns="measure", values="value")
    pools: dict[str, list[Floats]] = {}
    for key, group in wide[list(SCORES)].groupby(["series", "episode"]):
        pools.setdefault(str(key[0]), []).append(group.to_numpy(dtype=np.float64))
    return pools


def _drawn(pool: Sequence[Floats], engines: int, chance: np.random.Generator) -> Floats:
    """One unit's differences for so many placebos, averaged over its episodes; all of a unit share the baseline."""
    total = np.zeros((engines, len(SCORES)))
    for scripts in pool:
        order = chance.permutation(len(scripts))
        base, others = scripts[order[0]], scripts[order[1:]]
        total += others[chance.choice(len(others), size=engines, replace=len(others) < engines)] - base
    return (total / len(pool)).reshape(-1)


def keep_chart(judged: pd.DataFrame, title: str) -> alt.LayerChart:
    """Which engines earn their keep: points overall with both intervals, the greatest gain first, the placebo among them. Each row says
    its numbers and what they show; the shape does, too. `All engines`, far off, is left out."""
    view = judged[(judged["measure"] == "overall") & (judged["engine"] != ALL_ENGINES)]
    view = view.sort_values(["mean", "engine"], ascending=[False, True], ignore_index=True)
    told = [
        f"{row.engine}: {_span(row.mean, row.low, row.high)}, {row.verdict}, {row.series_up} of {row.series} up"
        for row in view.itertuples()
    ]
    drawn = ["engine", "mean", "low", "high", "plain_low", "plain_high", "p", "count", "verdict"]
    # Digits beyond these differ from one processor to another, and are nothing to look at.
    view = view[drawn].round(4).assign(row=pd.Series(told, dtype="str"))
    below = "points that it adds to the overall score of 0 to 10"
    legend = [
        "Thin bar: 95 %, for all looks at once. Thick: 95 %, as if it were the only look.",
        "Triangle up: shown to add; down: shown to cost; circle: neither. n of m up: series in which it adds.",
    ]
    base = alt.Chart(view).encode(
        y=alt.Y("row:N", title=None, sort=told, axis=alt.Axis(labelLimit=420, labelOverlap=False))
    )
    thin = base.mark_rule(color=ACCENT).encode(x=alt.X("low:Q", title=below), x2="high:Q")
    thick = base.mark_rule(color=ACCENT, strokeWidth=4, opacity=0.5).encode(
        x=alt.X("plain_low:Q", title=below), x2="plain_high:Q"
    )
    points = base.mark_point(color=ACCENT, filled=True, size=90, opacity=1).encode(
        x=alt.X("mean:Q", title=below),
        shape=_shape(),
        tooltip=[
            alt.Tooltip("engine:N"),
            *(alt.Tooltip(f"{name}:Q", format="+.2f") for name in ("mean", "low", "high")),
            alt.Tooltip("p:Q", title="p, corrected", format=".4f"),
            alt.Tooltip("count:Q", title="pairs (series and seed)"),
        ],
    )
    zero = (
        alt.Chart(pd.DataFrame({"at": [0.0]}))
        .mark_rule(color=ACCENT, strokeDash=[2, 4])
        .encode(x=alt.X("at:Q", title=below))
    )
    chart = alt.LayerChart(layer=[zero, thin, thick, points])
    heading = alt.TitleParams(title, subtitle=legend, anchor="start")
    return chart.properties(title=heading, height=alt.Step(24), width=420)


def dimensions_chart(judged: pd.DataFrame, title: str) -> alt.LayerChart:
    """Points by engine and dimension, written out; those shown have a triangle, up or down, before them."""
    view = judged[judged["measure"].isin(DIMENSION_WORDS) & (judged["engine"] != ALL_ENGINES)]
    view = view[["engine", "measure", "mean", "verdict"]].round(4)
    order = judged[judged["measure"] == "overall"].sort_values(
        ["mean", "engine"], ascending=[False, True]
    )  # as in `keep_chart`
    words: dict[str, str] = dict(DIMENSION_WORDS.items())
    view = view.assign(
        dimension=view["measure"].map(words),
        told=[f"{_sign(row.verdict)}{_signed(row.mean)}" for row in view.itertuples()],
    )
    base = alt.Chart(view).encode(
        y=alt.Y("engine:N", title=None, sort=order["engine"].tolist(), axis=alt.Axis(labelLimit=200)),
        x=alt.X(
            "dimension:N",
            title="points of the dimension, 0 to 10; ▲ or ▼: shown with 95 %, for all looks at once",
            sort=list(words.values()),
            axis=alt.Axis(labelAngle=0, labelLimit=110, orient="top", titleAnchor="start"),
        ),
    )
    shown = alt.FieldOneOfPredicate(field="verdict", oneOf=["adds", "costs"])
    boxes = base.mark_rect(fillOpacity=0, stroke=ACCENT, strokeWidth=2).encode(
        strokeOpacity=alt.condition(shown, alt.value(1), alt.value(0))
    )
    text = base.mark_text(color="black").encode(
        text="told:N", opacity=alt.condition(shown, alt.value(1), alt.value(0.65))
    )
    chart = alt.LayerChart(layer=[boxes, text], background="white")
    return chart.properties(
        title=alt.TitleParams(title, anchor="start"), height=alt.Step(22), width=alt.Step(112)
    )


def _shape() -> alt.Shape:
    return alt.Shape(
        "verdict:N",
        title=None,
        legend=None,
        scale=alt.Scale(
            domain=["adds", "costs", "not shown"], range=["triangle-up", "triangle-down", "circle"]
        ),
    )


def _sign(found: str) -> str:
    return {"adds": "▲ ", "costs": "▼ "}.get(found, "")


def _signed(points: float) -> str:
    """Without a minus before nothing."""
    return f"{round(points, 2) + 0.0:+.2f}"


def _span(mean: float, low: float, high: float) -> str:
    if np.isnan(low):
        return f"{_signed(mean)} (too few for an interval)"
    return f"{_signed(mean)} ({_signed(low)} to {_signed(high)})"


def answer(taken_out: pd.DataFrame, alone: pd.DataFrame) -> str:
    """Which engines earn their keep, in words. Everything said to be shown holds with 95 % for all looks at once."""
    out = taken_out[taken_out["measure"] == "overall"].set_index("engine")
    single = alone[alone["measure"] == "overall"].set_index("engine")
    together, placebo = out.loc[ALL_ENGINES], out.loc[PLACEBO_ROW]
    engines = out.drop(index=[ALL_ENGINES, PLACEBO_ROW]).sort_values("mean", ascending=False)
    earning = int((engines["verdict"] == "adds").sum())
    luck = _span(*(float(placebo[name]) for name in ("mean", "low", "high")))
    sum_of_all = _span(*(float(together[name]) for name in ("mean", "low", "high")))
    said = {"adds": "add", "costs": "cost", "not shown": "show no effect:"}[str(together["verdict"])]
    trust = {
        "not shown": f"shows no effect, as it should: {luck}",
        "adds": f"seems to add {luck}, so this table is not to be trusted",
        "costs": f"seems to cost {luck}, so this table is not to be trusted",
    }[str(placebo["verdict"])]
    lines = [
        f"{earning or 'None'} of {len(engines)} engines {'earns its' if earning == 1 else 'earn their'} keep by this scorer.",
        f"All together {said} {sum_of_all} points overall, in {together['series_up']} of {together['series']} series upwards "
        f"({together['count']} pairs).",
        _named(engines, "adds", "Taken out of the whole, missed are"),
        _named(engines.iloc[::-1], "costs", "Better off without are scripts of"),
        _unseen(engines),
        _named(single.sort_values("mean", ascending=False), "adds", "Alone, of use are"),
        _named(single.sort_values("mean"), "costs", "Alone, harmful are"),
        f"The placebo, which only draws again, {trust}.",
    ]
    return " ".join(line for line in lines if line)


def _named(rows: pd.DataFrame, found: Verdict, words: str) -> str:
    names = [f"{name} ({row['mean']:+.2f})" for name, row in rows.iterrows() if row["verdict"] == found]
    return f"{words}: {', '.join(names) or 'none'}."


def _unseen(engines: pd.DataFrame) -> str:
    rest = engines[engines["verdict"] == "not shown"]
    if rest.empty:
        return ""
    sure = rest[rest["low"].notna()]
    least = float((sure["high"] - sure["low"]).median() / 2) if len(sure) else float("nan")
    seen = "" if np.isnan(least) else f"; half of them would have been seen from {least:.2f} points on"
    return f"Of {len(rest)} no effect is shown either way{seen}."


def lift_words(engines: pd.DataFrame) -> str:
    """Whether engines do what they ask for, beside what that is worth in points; `engines` is of `by_engine`."""
    done = engines[engines["lift"] > 0]
    unpaid = [str(row.engine) for row in done.itertuples() if row.verdict != "adds"]
    least = engines.loc[engines["lift"].idxmin()]
    said = (
        f"{len(done)} of {len(engines)} engines see more of their directive in the script than without them; the least lift is "
        f"{least['engine']}'s, {least['lift']:+.2f}."
    )
    if unpaid:
        said += f" For {len(unpaid)} of these no gain in points is shown: what they ask for is done, and the scorer is not seen to pay for it."
    return said
