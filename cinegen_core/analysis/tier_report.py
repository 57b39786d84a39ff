"""The three tiers against each other on the same requests: scores, readers' blind votes, time and cost.

A try is one tier's attempt at one request. Tries of a pool are complete: each request was answered by each tier. Those of a studio are the
first attempts of its answers, trials included, whatever came of them: were the tier that answered taken instead, lower tiers would be
seen on those requests alone at which higher ones had failed. Scores are the scorer's own (0..10), which are the same whoever writes.

Many looks (pairs of tiers, dimensions) are taken together, so that intervals are Bonferroni's: with 95 % all of a table hold.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from itertools import combinations
from statistics import NormalDist
from typing import Any

import altair as alt
import numpy as np
import pandas as pd

from cinegen_core.analysis.ablation_effects import t_values
from cinegen_core.analysis.charts import ACCENT
from cinegen_core.analysis.explore import TIERS
from cinegen_core.analysis.trend_report import holm
from cinegen_core.comparing.votes import Results, results, sign_test
from cinegen_core.monitor.events import Event, GenerationEvent, VoteEvent
from cinegen_core.scorer import DIMENSION_WORDS
from cinegen_core.simulation.pool import Pool
from cinegen_core.tiers.model import TierName

OVERALL = "overall"
MEASURES: Mapping[str, str] = {OVERALL: "Overall"} | {
    str(name): words for name, words in DIMENSION_WORDS.items()
}
SHORT: Mapping[TierName, str] = {
    "comprehensive": "comprehensive",
    "enhanced_baseline": "enhanced",
    "basic_fallback": "basic",
}
PAIRS: tuple[tuple[TierName, TierName], ...] = tuple(combinations(TIERS, 2))
TEMPLATE: TierName = "basic_fallback"
LEAST_UNITS = 8
"""Units (see `pool_tries`) that a pair of tiers needs for an interval."""

_TYPES: Mapping[str, str] = {
    "series": "str", "unit": "str", "asked": "str", "tier": "str", "writer": "str", "accepted": "float64", "failed": "float64",
    "seconds": "float64", "calls": "float64", "tokens": "float64", "cost": "float64", **dict.fromkeys(MEASURES, "float64"),
}  # fmt: skip


def pool_tries(pool: Pool) -> pd.DataFrame:
    """A row a request and tier. `unit` is a series and seed: its episodes belong together, and count once."""
    rows = [
        {
            "series": entry.sample,
            "unit": f"{entry.sample} {entry.seed}",
            "asked": entry.asked,
            "tier": tier,
            "writer": take.writer,
            "accepted": float(take.outcome == "accepted"),
            "failed": 0.0,
            "seconds": take.seconds,
            "calls": take.calls,
            "tokens": take.tokens,
            "cost": take.cost,
            OVERALL: take.score,
            **take.dimensions,
        }
        for entry in pool.entries
        for tier, take in entry.takes.items()
    ]
    return _tries(rows)


def event_tries(events: Iterable[Event]) -> pd.DataFrame:
    """As `pool_tries`, of a studio's answers; several tries of a tier and writer at one request are averaged. `unit`
    is the request.

    Kept answers and those of an emergency are left out. Dimensions are known where the first attempt was the answer, NaN else.
    """
    rows: list[dict[str, Any]] = []
    for event in events:
        if not isinstance(event, GenerationEvent) or event.kept or event.emergency or not event.asked:
            continue
        first = event.attempts[0] if event.attempts else None
        tier = event.tier if first is None else first.tier
        row: dict[str, Any] = {"series": event.title, "unit": event.asked, "asked": event.asked, "tier": tier}
        if first is None:
            row |= {
                "writer": event.writer,
                "accepted": float(event.accepted),
                "failed": float(event.score is None),
            }
            row |= {
                "seconds": event.seconds,
                "calls": np.nan,
                "tokens": np.nan,
                "cost": np.nan,
                OVERALL: event.score,
            }
        else:
            row |= {
                "writer": first.writer,
                "accepted": float(first.outcome == "accepted"),
                "failed": float(first.score is None),
            }
            row |= {
                "seconds": first.seconds,
                "calls": first.calls,
                "tokens": first.tokens,
                "cost": first.cost,
            }
            row[OVERALL] = first.score
        rows.append(row | (event.dimensions if event.tier == tier else {}))
    found = _tries(rows)
    if found.empty:
        return found
    numbers = [name for name, kind in _TYPES.items() if kind == "float64"]
    groups = found.groupby(["series", "unit", "asked", "tier", "writer"], sort=True)
    return groups[numbers].mean().reset_index()[list(_TYPES)]


def paired(tries: pd.DataFrame) -> pd.DataFrame:
    """Each pair of tiers in each measure: the higher tier's score less the lower one's, on the same requests and by the same writer.

    Columns `higher`, `lower`, `measure`, `words`, `requests`, `units`, `mean`, `low`, `high`, `spread` (standard deviation of the units'
    differences) and `size` (mean over spread); `better`, `same`, `worse` (requests) with `p`, the sign test's over units, allowed for all
    looks (Holm); `series_up` of `series`: in how many series the mean difference is above 0. `verdict`: `higher`, `lower`, `not shown`,
    or `no data` below `LEAST_UNITS`. Intervals are Student's t over units with Bonferroni's level for all looks (its quantile by Wallace,
    Annals of Mathematical Statistics 30, 1959); they speak of other requests of these series.
    """
    rows = [
        {
            "higher": one,
            "lower": other,
            "measure": measure,
            "words": words,
            **_judged(_differences(tries, one, other, measure)),
        }
        for one, other in PAIRS
        for measure, words in MEASURES.items()
    ]
    table = pd.DataFrame(rows)
    table["p"] = holm(table["p"].tolist())
    return table


def by_series(tries: pd.DataFrame, measure: str = OVERALL) -> pd.DataFrame:
    """The mean difference of each pair of tiers by series: `series`, `pair`, `requests`, `mean`."""
    parts = []
    for one, other in PAIRS:
        apart = _differences(tries, one, other, measure)
        found = apart.groupby("series", sort=True)["apart"].agg(requests="count", mean="mean").reset_index()
        parts.append(found.assign(pair=f"{SHORT[one]} less {SHORT[other]}"))
    return pd.concat(parts, ignore_index=True)[["series", "pair", "requests", "mean"]]


def costs(tries: pd.DataFrame) -> pd.DataFrame:
    """What a try takes, by tier: `tier`, `writer`, `tries`, `score` (mean), `accepted` and `failed` (percent), `seconds` (mean), `p50`, `p95`,
    `calls`, `tokens` and `cost` (means; US dollars)."""
    rows = []
    for tier in TIERS:
        of_it = tries[tries["tier"] == tier]
        if of_it.empty:
            continue
        rows.append(
            {
                "tier": tier,
                "writer": ", ".join(sorted(of_it["writer"].unique())),
                "tries": len(of_it),
                "score": of_it[OVERALL].mean(),
                "accepted": 100 * of_it["accepted"].mean(),
                "failed": 100 * of_it["failed"].mean(),
                "seconds": of_it["seconds"].mean(),
                "p50": of_it["seconds"].quantile(0.5),
                "p95": of_it["seconds"].quantile(0.95),
                **{name: of_it[name].mean() for name in ("calls", "tokens", "cost")},
            }
        )
    columns = [
        "tier",
        "writer",
        "tries",
        "score",
        "accepted",
        "failed",
        "seconds",
        "p50",
        "p95",
        "calls",
        "tokens",
        "cost",
    ]
    return pd.DataFrame(rows, columns=columns)


def times(tries: pd.DataFrame) -> pd.DataFrame:
    """How many times as long the higher tier takes on the same request: `higher`, `lower`, `requests`, `ratio` (the geometric mean) with `low`
    and `high` (all three hold with 95 %), `extra` (mean seconds more) and `points_per_second` (mean points more by that)."""
    rows = []
    for one, other in PAIRS:
        wide = _beside(tries, one, other, "seconds")
        known = wide[(wide["one"] > 0) & (wide["other"] > 0)]
        logs = np.log(known["one"] / known["other"]).groupby(known["unit"], sort=True).mean()
        mean, low, high = _interval(logs.to_numpy(), len(PAIRS))
        extra = float((known["one"] - known["other"]).mean())
        points = float(_differences(tries, one, other, OVERALL)["apart"].mean())
        ratio, least, most = np.exp([mean, low, high])
        row = {
            "higher": one,
            "lower": other,
            "requests": len(known),
            "ratio": ratio,
            "low": least,
            "high": most,
        }
        rows.append({**row, "extra": extra, "points_per_second": points / extra if extra > 0 else np.nan})
    return pd.DataFrame(rows)


def blind_votes(events: Iterable[Event], series: str = "live") -> Results:
    """What readers preferred without knowing which tier wrote, of one series."""
    votes = (event for event in events if isinstance(event, VoteEvent) and event.series == series)
    return results(votes, by="tier")


def votes_frame(found: Results) -> pd.DataFrame:
    """Each pair of tiers and subject: `about`, `one`, `other`, `wins`, `ties`, `losses`, `readers`, `rate` (0..1, ties half, of `one`), `low`,
    `high`, `outlook`."""
    columns = ["about", "one", "other", "wins", "ties", "losses", "readers", "rate", "low", "high", "outlook"]
    rows = [
        {
            **{name: getattr(pair, name) for name in columns if hasattr(pair, name)},
            **{
                name: np.nan if pair.estimate is None else getattr(pair.estimate, name)
                for name in ("rate", "low", "high")
            },
        }
        for pair in found.pairs
    ]
    return pd.DataFrame(rows, columns=columns)


def votes_words(found: Results) -> str:
    """Who is preferred, in a sentence; no data where nobody voted."""
    overall = [pair for pair in found.pairs if pair.about == OVERALL]
    if not overall:
        return "Blind votes between tiers: no data. Nobody has voted on two tiers' answers yet (the page that compares ways asks for votes)."
    parts = []
    for pair in overall:
        names = f"{pair.one} against {pair.other}"
        if pair.estimate is None:
            parts.append(f"{names}: no data ({pair.votes} votes are too few)")
            continue
        rate = pair.estimate
        said = "settled" if pair.outlook == "already settled" else "not settled"
        few = f", for {rate.few} alone" if rate.few else ""
        parts.append(
            f"{names}: preferred in {rate.rate:.0%} ({rate.low:.0%} to {rate.high:.0%}) of {pair.votes} votes, {said}{few}"
        )
    return "Blind votes between tiers: " + "; ".join(parts) + "."


def answer(table: pd.DataFrame, took: pd.DataFrame, votes: Results) -> str:
    """What comes out, in words made from the figures of `paired`, `times` and `blind_votes`."""
    said = [_pair_words(table, took, one, other) for one, other in PAIRS]
    return " ".join([*said, votes_words(votes)])


def agreement_words(table: pd.DataFrame, other: pd.DataFrame) -> str:
    """Whether another `paired` comes to the same: verdicts, and the largest distance of two means."""
    both = table.merge(other, on=["higher", "lower", "measure"], suffixes=("", "_other"))
    known = both[(both["verdict"] != "no data") & (both["verdict_other"] != "no data")]
    if known.empty:
        return "No data: too few requests to compare."
    same = int((known["verdict"] == known["verdict_other"]).sum())
    turned = int(((known["verdict"] == "higher") & (known["verdict_other"] == "lower")).sum())
    turned += int(((known["verdict"] == "lower") & (known["verdict_other"] == "higher")).sum())
    apart = (known["mean"] - known["mean_other"]).abs()
    where = known.loc[apart.idxmax()]
    return (
        f"{same} of {len(known)} verdicts are the same, {turned} are the opposite; means differ by {apart.max():.2f} points at most "
        f"({where['words'].lower()}, {SHORT[where['higher']]} less {SHORT[where['lower']]}: {where['mean']:+.2f} and {where['mean_other']:+.2f})."
    )


def differences_chart(table: pd.DataFrame, title: str) -> alt.LayerChart:
    """`paired` by measure, a shape for each pair of tiers; right of 0 the higher tier scores higher."""
    shown = table.dropna(subset=["mean", "low"])
    shown = shown.assign(
        pair=[
            f"{SHORT[one]} less {SHORT[other]}"
            for one, other in zip(shown["higher"], shown["lower"], strict=True)
        ]
    )
    order = [f"{SHORT[one]} less {SHORT[other]}" for one, other in PAIRS]
    base = alt.Chart(shown[["words", "pair", "mean", "low", "high", "requests"]]).encode(
        y=alt.Y("words:N", title=None, sort=list(MEASURES.values()), axis=alt.Axis(labelLimit=260)),
        yOffset=alt.YOffset("pair:N", sort=order),
    )
    bars = base.mark_rule(color=ACCENT).encode(
        x=alt.X(
            "low:Q",
            title=[
                "points more by the higher tier (scorer, 0 to 10)",
                "bar: interval, all hold together with 95 %",
            ],
        ),
        x2="high:Q",
    )
    points = base.mark_point(color=ACCENT, filled=True, size=70, opacity=1).encode(
        x="mean:Q",
        shape=alt.Shape("pair:N", title=None, sort=order, legend=alt.Legend(orient="top", columns=1)),
        tooltip=["words:N", "pair:N", alt.Tooltip("mean:Q", format="+.2f"), "requests:Q"],
    )
    nought = (
        alt.Chart(pd.DataFrame({"at": [0.0]})).mark_rule(strokeDash=[2, 4], color=ACCENT).encode(x="at:Q")
    )
    return alt.LayerChart(layer=[bars, points, nought]).properties(
        title=_headed(title, shown), width=440, height=alt.Step(12)
    )


def requests_chart(tries: pd.DataFrame, one: TierName, other: TierName, title: str) -> alt.LayerChart:
    """Each request, one tier's score against the other's; above the dashed line the first scores higher. 2,000 requests at most."""
    wide = _beside(tries, one, other, OVERALL).head(2000)
    scale = alt.Scale(domain=[0, 10])
    points = (
        alt.Chart(wide[["one", "other"]])
        .mark_point(color=ACCENT, size=25)
        .encode(
            x=alt.X("other:Q", scale=scale, title=f"{SHORT[other]}, points (0 to 10)"),
            y=alt.Y("one:Q", scale=scale, title=f"{SHORT[one]}, points (0 to 10)"),
        )
    )
    ends = pd.DataFrame({"one": [0, 10], "other": [0, 10]})
    same = alt.Chart(ends).mark_line(strokeDash=[4, 4], color=ACCENT).encode(x="other:Q", y="one:Q")
    return alt.LayerChart(layer=[points, same]).properties(title=_headed(title, wide), width=360, height=360)


def series_chart(table: pd.DataFrame, title: str) -> alt.LayerChart:
    """`by_series`: a row a series, a shape for each pair of tiers."""
    order = [f"{SHORT[one]} less {SHORT[other]}" for one, other in PAIRS]
    points = (
        alt.Chart(table)
        .mark_point(color=ACCENT, filled=True, size=70, opacity=1)
        .encode(
            y=alt.Y("series:N", title=None),
            x=alt.X("mean:Q", title="points more by the higher tier, mean of the series' requests"),
            shape=alt.Shape("pair:N", title=None, sort=order, legend=alt.Legend(orient="top", columns=1)),
            tooltip=["series:N", "pair:N", alt.Tooltip("mean:Q", format="+.2f"), "requests:Q"],
        )
    )
    nought = (
        alt.Chart(pd.DataFrame({"at": [0.0]})).mark_rule(strokeDash=[2, 4], color=ACCENT).encode(x="at:Q")
    )
    return alt.LayerChart(layer=[points, nought]).properties(
        title=_headed(title, table), width=440, height=alt.Step(22)
    )


def _headed(title: str, rows: pd.DataFrame) -> alt.TitleParams:
    return alt.TitleParams(title if len(rows) else f"{title}: no data", anchor="start")


def _tries(rows: Sequence[Mapping[str, Any]]) -> pd.DataFrame:
    return pd.DataFrame(
        {name: pd.Series([row.get(name) for row in rows], dtype=kind) for name, kind in _TYPES.items()}
    )


def _beside(tries: pd.DataFrame, one: str, other: str, measure: str) -> pd.DataFrame:
    """`series`, `unit`, `asked`, and both tiers' values where both have one, by the same writer; the template has a writer of its own."""
    key = ["series", "unit", "asked", *(["writer"] if other != TEMPLATE else [])]
    sides = [
        tries[(tries["tier"] == tier) & tries[measure].notna()]
        .groupby(key, sort=True)[measure]
        .mean()
        .rename(name)
        for tier, name in ((one, "one"), (other, "other"))
    ]
    return pd.concat(sides, axis="columns", join="inner").reset_index()


def _differences(tries: pd.DataFrame, one: str, other: str, measure: str) -> pd.DataFrame:
    wide = _beside(tries, one, other, measure)
    return wide.assign(apart=wide["one"] - wide["other"])


def _judged(apart: pd.DataFrame) -> dict[str, Any]:
    units = apart["apart"].groupby(apart["unit"], sort=True).mean().to_numpy()
    mean, low, high = _interval(units, len(PAIRS) * len(MEASURES))
    spread = float(units.std(ddof=1)) if len(units) > 1 else float("nan")
    enough = len(units) >= LEAST_UNITS
    of_series = apart["apart"].groupby(apart["series"], sort=True).mean()
    verdict = "no data" if not enough else "higher" if low > 0 else "lower" if high < 0 else "not shown"
    return {
        "requests": len(apart),
        "units": len(units),
        "mean": mean,
        "low": low,
        "high": high,
        "spread": spread,
        "size": mean / spread if spread > 0 else float("nan"),
        "better": int((apart["apart"] > 1e-9).sum()),
        "same": int((apart["apart"].abs() <= 1e-9).sum()),
        "worse": int((apart["apart"] < -1e-9).sum()),
        "p": sign_test(int((units > 1e-9).sum()), int((units < -1e-9).sum())) if enough else float("nan"),
        "series_up": int((of_series > 0).sum()),
        "series": len(of_series),
        "verdict": verdict,
    }


def _interval(units: Any, looks: int) -> tuple[float, float, float]:
    """Mean, low and high; NaN with too few units."""
    count = len(units)
    if count < LEAST_UNITS:
        return (float(units.mean()) if count else float("nan")), float("nan"), float("nan")
    score = NormalDist().inv_cdf(1 - 0.05 / looks / 2)
    reach = float(t_values(score, np.array([count - 1.0]))[0]) * float(units.std(ddof=1)) / count**0.5
    return float(units.mean()), float(units.mean()) - reach, float(units.mean()) + reach


def _pair_words(table: pd.DataFrame, took: pd.DataFrame, one: TierName, other: TierName) -> str:
    of_pair = table[(table["higher"] == one) & (table["lower"] == other)].set_index("measure")
    whole = of_pair.loc[OVERALL]
    names = f"{SHORT[one].capitalize()} against {SHORT[other]}"
    if whole["verdict"] == "no data":
        return f"{names}: no data (both tried {whole['requests']} of the same requests; {LEAST_UNITS} are needed)."
    where = {
        verdict: [
            row["words"].lower() for _, row in of_pair.drop(OVERALL).iterrows() if row["verdict"] == verdict
        ]
        for verdict in ("higher", "lower", "not shown", "no data")
    }
    said = {
        "higher": "scores higher",
        "lower": "scores lower",
        "not shown": "is not shown to score differently",
    }[whole["verdict"]]
    time = took[(took["higher"] == one) & (took["lower"] == other)].iloc[0]
    parts = [
        f"{names}: the first {said} overall ({whole['mean']:+.2f} points, {whole['low']:+.2f} to {whole['high']:+.2f}; higher on "
        f"{whole['better']} of {whole['requests']} requests, in {whole['series_up']} of {whole['series']} series)"
    ]
    words = {
        "higher": "higher in",
        "lower": "lower in",
        "not shown": "no difference shown in",
        "no data": "no data for",
    }
    parts += [f"{words[verdict]} {', '.join(found)}" for verdict, found in where.items() if found]
    if not np.isnan(time["low"]):
        parts.append(f"it takes {time['ratio']:.1f} times as long ({time['low']:.1f} to {time['high']:.1f})")
    return "; ".join(parts) + "."
