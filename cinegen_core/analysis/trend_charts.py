"""What `trend_report` finds, as charts that can be read without colour, and in words made from the figures."""

from __future__ import annotations

from collections.abc import Sequence

import altair as alt
import numpy as np
import pandas as pd

from cinegen_core.analysis.charts import ACCENT
from cinegen_core.analysis.trend_report import FIGURES, Mark

_QUALITY = "quality, 0 to 10"
_BAND = "band: interval of the mean, 95 %"


def groups_chart(view: pd.DataFrame, title: str, *, columns: int = 2) -> alt.FacetChart | alt.LayerChart:
    """`by_group`, a small chart each with the same scale: points and line for means, a band for their interval, a dashed line for the level,
    a dotted rule where it changed."""
    if view.empty:
        return _nothing(title)
    scale = alt.Scale(zero=False, nice=True)
    shown = view.drop(columns="until").round(dict.fromkeys(("mean", "low", "high", "level"), 4))
    base = alt.Chart(shown).encode(
        x=alt.X("at:T", title="when (UTC)", scale=alt.Scale(type="utc"), axis=alt.Axis(format="%d %b"))
    )
    low = alt.Y("low:Q", title=_QUALITY, scale=scale)
    layers = [
        base.mark_area(color=ACCENT, opacity=0.18).encode(y=low, y2="high:Q"),
        base.mark_line(color=ACCENT, strokeWidth=1, point=alt.OverlayMarkDef(size=12, color=ACCENT)).encode(
            y=alt.Y("mean:Q", scale=scale)
        ),
        base.mark_line(color=ACCENT, strokeDash=[6, 4], interpolate="step-after").encode(
            y=alt.Y("level:Q", scale=scale)
        ),
    ]
    if view["change"].any():
        layers.append(base.mark_rule(color=ACCENT, strokeDash=[2, 4]).transform_filter("datum.change"))
    order = list(dict.fromkeys(view["group"]))
    whole = alt.LayerChart(layer=layers, data=shown).properties(width=280, height=90)
    return whole.facet(facet=alt.Facet("group:N", title=None, sort=order), columns=columns).properties(
        title=alt.TitleParams(
            title, anchor="start", subtitle=f"{_BAND}; dashed: level; dotted rule: another level begins"
        )
    )


def spread_chart(view: pd.DataFrame, title: str) -> alt.LayerChart:
    """`spread_over_time` as boxes: 5, 25, 50, 75 and 95 % of the answers of a step lie below the marks."""
    if view.empty:
        return _nothing(title)
    shown = view.assign(when=[f"{at:%Y-%m-%d}" for at in view["at"]])
    base = alt.Chart(shown).encode(
        x=alt.X("when:O", title="week beginning (UTC); line: 5 to 95 %, box: 25 to 75 %, white rule: median")
    )
    scale = alt.Scale(zero=False)
    layers = [
        base.mark_rule(color=ACCENT).encode(y=alt.Y("q05:Q", title=_QUALITY, scale=scale), y2="q95:Q"),
        base.mark_bar(color=ACCENT, size=18).encode(y=alt.Y("q25:Q", scale=scale), y2="q75:Q"),
        base.mark_tick(color="white", thickness=2, size=18).encode(y=alt.Y("median:Q", scale=scale)),
    ]
    return _layers(layers, title, width=480)


def jumps_chart(
    series: pd.DataFrame, found: pd.DataFrame, marks: Sequence[Mark], figure: str, title: str
) -> alt.LayerChart:
    """The levels of one of `FIGURES` (of `over_time` in fine steps), with triangles where `jumps` were found, and numbered rules for what happened
    (in the order of `marks`). Levels only, so that weeks of half hours stay readable."""
    if series.empty:
        return _nothing(title)
    ends = series["change"] | series["change"].shift(-1, fill_value=False)
    ends.iloc[[0, -1]] = True
    shown = series.loc[ends, ["at", "level"]]
    jump = found[found["figure"] == FIGURES[figure]][["at", "after"]]
    happened = pd.DataFrame(
        {"at": [mark.at for mark in marks], "number": [str(place) for place in range(1, len(marks) + 1)]}
    )
    x = alt.X(
        "at:T",
        title="when (UTC); triangles: found; numbered rules: what happened",
        scale=alt.Scale(type="utc"),
    )
    y = alt.Y("level:Q", title=FIGURES[figure], scale=alt.Scale(zero=False))
    layers = [alt.Chart(shown).mark_line(color=ACCENT, interpolate="step-after").encode(x=x, y=y)]
    if len(jump):
        layers.append(
            alt.Chart(jump)
            .mark_point(color=ACCENT, shape="triangle-up", size=60, filled=True, opacity=1)
            .encode(x=x, y="after:Q")
        )
    if len(happened):
        rules = alt.Chart(happened).encode(x=x)
        layers.append(rules.mark_rule(color=ACCENT, strokeDash=[2, 4]))
        layers.append(
            rules.mark_text(dx=7, baseline="top", align="left").encode(text="number:N", y=alt.value(2))
        )
    return _layers(layers, title, width=620, height=140)


def agreement_chart(table: pd.DataFrame, title: str) -> alt.LayerChart:
    """`agreement`: rank correlations with their intervals, each row with its number of pairs."""
    known = table.dropna(subset=["rho"])
    if known.empty:
        return _nothing(title)
    told = [
        f"{name}: {rho:+.2f} ({pairs:,d})"
        for name, rho, pairs in zip(known["name"], known["rho"], known["pairs"], strict=True)
    ]
    base = alt.Chart(known.assign(row=told)).encode(
        y=alt.Y("row:N", title=None, sort=told, axis=alt.Axis(labelLimit=300))
    )
    scale = alt.Scale(domain=[min(-0.2, float(known["low"].min(skipna=True))), 1.0])
    layers = [
        base.mark_rule(color=ACCENT).encode(
            x=alt.X(
                "low:Q", scale=scale, title=["rank correlation (in brackets: ratings)", "bar: interval, 95 %"]
            ),
            x2="high:Q",
        ),
        base.mark_point(color=ACCENT, filled=True, shape="diamond", size=60).encode(
            x=alt.X("rho:Q", scale=scale)
        ),
        alt.Chart(pd.DataFrame({"at": [0.0]})).mark_rule(color=ACCENT, strokeDash=[2, 4]).encode(x="at:Q"),
    ]
    return _layers(layers, title, width=420, height=alt.Step(24))


def ratings_chart(view: pd.DataFrame, title: str) -> alt.LayerChart:
    """`ratings_by_quality`; on the dashed line readers give what the scorer gives."""
    if view.empty:
        return _nothing(title)
    scale = alt.Scale(domain=[1, 10])
    base = alt.Chart(view).encode(
        x=alt.X("quality:Q", scale=scale, title="quality of the answer, 0 to 10, by half points")
    )
    layers = [
        base.mark_rule(color=ACCENT).encode(
            y=alt.Y("low:Q", scale=scale, title=["mean rating, 1 to 10", "bar: interval, 95 %"]), y2="high:Q"
        ),
        base.mark_point(color=ACCENT, filled=True, size=50).encode(y=alt.Y("mean:Q", scale=scale)),
        alt.Chart(pd.DataFrame({"quality": [1, 10], "mean": [1, 10]}))
        .mark_line(color=ACCENT, strokeDash=[4, 4])
        .encode(x="quality:Q", y="mean:Q"),
    ]
    return _layers(layers, title, width=360, height=260)


def forecast_chart(
    daily: pd.DataFrame, ahead: pd.DataFrame, told: pd.DataFrame, title: str
) -> alt.LayerChart:
    """The daily means (points), what was forecast for them seven days before (line with its interval as a band, of `backtest`), and the days to
    come (squares with bars)."""
    if daily.empty:
        return _nothing(title)
    x = alt.X(
        "at:T",
        title=[
            "when (UTC); circles: what came; line and band: forecast 7 days before, 95 %",
            "squares and bars: days to come, 95 %",
        ],
        scale=alt.Scale(type="utc"),
    )
    scale = alt.Scale(zero=False)
    layers = []
    if len(told):
        before = alt.Chart(told[["at", "value", "low", "high"]]).encode(x=x)
        layers.append(
            before.mark_area(color=ACCENT, opacity=0.18).encode(
                y=alt.Y("low:Q", scale=scale, title=_QUALITY), y2="high:Q"
            )
        )
        layers.append(
            before.mark_line(color=ACCENT, strokeDash=[6, 4]).encode(y=alt.Y("value:Q", scale=scale))
        )
    layers.append(
        alt.Chart(daily[["at", "mean"]])
        .mark_point(color=ACCENT, filled=True, size=25)
        .encode(x=x, y=alt.Y("mean:Q", scale=scale, title=_QUALITY))
    )
    if len(ahead):
        after = alt.Chart(ahead).encode(x=x)
        layers.append(after.mark_rule(color=ACCENT).encode(y=alt.Y("low:Q", scale=scale), y2="high:Q"))
        layers.append(
            after.mark_point(color=ACCENT, shape="square", size=40).encode(y=alt.Y("value:Q", scale=scale))
        )
    return _layers(layers, title, width=620, height=200)


def directions_words(table: pd.DataFrame) -> str:
    """Which series rise or fall, after allowing for all of them being looked at."""
    known = table[table["verdict"] != "too few days"]
    if known.empty:
        return "Trends: no data (ten days or more are needed)."
    moving = known[known["verdict"].isin(["rising", "falling"])]
    alone = int((known["p"] < 0.05).sum())
    looks = f"{len(known)} series were looked at; {alone} of them would pass at 5 % by {'itself' if alone == 1 else 'themselves'}"
    if moving.empty:
        return f"No trend shown in quality, any dimension, tier, genre or cohort. {looks}, none after allowing for the looks."
    said = "; ".join(
        f"{row['group']} ({row['by']}) {row['verdict']} by {row['per_week']:+.3f} points a week ({row['low']:+.3f} to {row['high']:+.3f})"
        for _, row in moving.iterrows()
    )
    return f"Trends shown: {said}. {looks}."


def jumps_words(found: pd.DataFrame, marks: Sequence[Mark], chance: float) -> str:
    """Which changes of level were found and what they are tied to, and what happened without any; `chance` is that of `chance_of_a_tie`."""
    if np.isnan(chance):
        return "Changes of level: no data."
    if found.empty:
        return f"No change of level was found. Happenings that are known of: {len(marks)}."
    tied = found[found["tied"] != ""]
    parts = [
        f"{len(found)} changes of level were found, {len(tied)} of them near something that happened "
        f"(by luck alone {100 * chance:.1f} % of them would be)."
    ]
    for words in dict.fromkeys(tied["tied"]):
        of_it = tied[tied["tied"] == words].drop_duplicates("figure")
        told = ", ".join(
            f"{row['figure']}, {row['before']:.1f} to {row['after']:.1f}" for _, row in of_it.iterrows()
        )
        parts.append(f"{words} ({of_it['at'].min():%Y-%m-%d %H:%M}): {told}.")
    untied = found[found["tied"] == ""]
    if len(untied):
        told = ", ".join(
            f"{row['figure']} {row['before']:.1f} to {row['after']:.1f} at {row['at']:%Y-%m-%d %H:%M}"
            for _, row in untied.head(4).iterrows()
        )
        parts.append(f"Near nothing that is known of: {told}{' and others' if len(untied) > 4 else ''}.")
    unseen = [mark.words for mark in marks if mark.kind != "alert" and mark.words not in set(tied["tied"])]
    if unseen:
        parts.append(f"Without any change of level: {'; '.join(dict.fromkeys(unseen))}.")
    return " ".join(parts)


def around_words(table: pd.DataFrame) -> str:
    """What answers were like after each mark, where a difference is shown."""
    if table.empty:
        return "Before and after: nothing happened that is known of."
    shown = table[table["shown"]]
    none = len(table.groupby(["at", "what"])) - len(shown.groupby(["at", "what"]))
    told = [
        f"{what} ({at:%Y-%m-%d %H:%M}): "
        + ", ".join(
            f"{row['figure']} {row['difference']:+.1f} ({row['low']:+.1f} to {row['high']:+.1f})"
            for _, row in of_it.iterrows()
        )
        for (at, what), of_it in shown.groupby(["at", "what"], sort=True)
    ]
    start = (
        "Against the 24 hours before, " + "; ".join(told) + "."
        if told
        else "No difference to the 24 hours before is shown after anything that happened."
    )
    return start + (f" After {none} more, nothing is shown." if told and none else "")


def agreement_words(table: pd.DataFrame) -> str:
    """Whether readers give more to what scores more."""
    known = table.dropna(subset=["rho"]).set_index("name")
    if "Quality" not in known.index:
        return "Readers against the scorer: no data (too few ratings)."
    whole, rest = known.loc["Quality"], known.drop("Quality")
    sure = (
        "give more to what scores more"
        if whole["low"] > 0
        else "give less to what scores more"
        if whole["high"] < 0
        else "cannot be told to follow the score"
    )
    said = (
        f"Readers {sure}: rank correlation {whole['rho']:+.2f} ({whole['low']:+.2f} to {whole['high']:+.2f}) over "
        f"{whole['pairs']:,.0f} ratings by {whole['readers']:,.0f} readers"
    )
    if len(rest):
        most, least = rest["rho"].idxmax(), rest["rho"].idxmin()
        said += f"; most with {str(most).lower()} ({rest['rho'][most]:+.2f}), least with {str(least).lower()} ({rest['rho'][least]:+.2f})"
    return said + "."


def forecast_words(ahead: pd.DataFrame, errors: pd.DataFrame) -> str:
    """What to expect, and how far that was off so far."""
    if ahead.empty:
        return "Forecast: no data (14 whole days are needed)."
    last = ahead.iloc[-1]
    said = [
        f"If things go on as they have, the mean of {last['at']:%Y-%m-%d} will be "
        f"{last['value']:.2f} (95 %: {last['low']:.2f} to {last['high']:.2f})."
    ]
    for _, row in errors.iterrows():
        if not row["forecasts"]:
            said.append(f"How far forecasts of {row['days']:.0f} days were off: no data.")
            continue
        holds = "which does not contradict" if row["low"] <= 95 <= row["high"] else "which contradicts"
        better = "less than" if row["error"] < 0.95 * row["error_of_mean"] else "no less than"
        day = "day" if row["days"] == 1 else "days"
        said.append(
            f"Of {row['forecasts']:.0f} past forecasts of {row['days']:.0f} {day} ahead the error was {row['error']:.3f} points on average, "
            f"{better} by saying the mean "
            f"so far ({row['error_of_mean']:.3f}); {row['coverage']:.0f} % ({row['low']:.0f} to {row['high']:.0f}) came inside the "
            f"interval, {holds} the 95 % it promises."
        )
    return " ".join(said)


def spread_words(view: pd.DataFrame) -> str:
    """Whether the distribution moved between its first and last whole step."""
    if len(view) < 2:
        return "Distribution over time: no data (two weeks are needed)."
    first, last = view.iloc[0], view.iloc[-1]
    least = view.loc[view["q05"].idxmin()]
    return (
        f"The median of a week was {first['median']:.2f} at first and {last['median']:.2f} at last; the middle half "
        f"went from {first['q75'] - first['q25']:.2f} to "
        f"{last['q75'] - last['q25']:.2f} points wide. The lowest 5 % line, {least['q05']:.2f}, is that of the week of {least['at']:%Y-%m-%d}."
    )


def _layers(
    layers: Sequence[alt.Chart], title: str, *, width: int, height: int | alt.Step = 220
) -> alt.LayerChart:
    return alt.LayerChart(layer=list(layers)).properties(
        title=alt.TitleParams(title, anchor="start"), width=width, height=height
    )


def _nothing(title: str) -> alt.LayerChart:
    mark = alt.Chart(pd.DataFrame({"at": [np.nan]})).mark_point(opacity=0).encode(x=alt.X("at:Q", axis=None))
    return _layers([mark], f"{title}: no data", width=360, height=20)
