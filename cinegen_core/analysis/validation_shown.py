"""What the scorer's validation shows, as charts and in words made from the figures."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import takewhile

import altair as alt
import pandas as pd

from cinegen_core.analysis.charts import ACCENT
from cinegen_core.analysis.validation import JUDGED, OVERALL
from cinegen_core.analysis.validation_spoiled import SAMPLES
from cinegen_core.analysis.validation_tables import ONE_RATER
from cinegen_core.scorer import DIMENSION_WORDS
from cinegen_core.scorer.corruptions import ALL

_WIDTH = 440
_DIMENSIONS = {OVERALL: "Overall"} | {str(name): words for name, words in DIMENSION_WORDS.items()}
_OF_KIND = {kind.name: kind.words for kind in ALL}
_INTERVAL = "bar: interval of 95 %"
_PROSE = "the scorer's measures for prose"
SURE, FAINT = 0.8, 0.7
"""A kind counts as told from sound scripts without the original when its area under the ROC curve is above `SURE`, interval and all;
below `FAINT` the score says little (.5 is chance)."""


def _title(text: str) -> alt.TitleParams:
    return alt.TitleParams(text, anchor="start")


def _layers(*charts: alt.Chart, title: str, height: int | alt.Step) -> alt.LayerChart:
    return alt.LayerChart(layer=list(charts)).properties(title=_title(title), width=_WIDTH, height=height)


def _names(order: Sequence[str]) -> alt.Y:
    return alt.Y("row:N", title=None, sort=list(order), axis=alt.Axis(labelLimit=300))


def agreement_chart(table: pd.DataFrame, *, own: bool = False, title: str) -> alt.LayerChart:
    """Rank agreement of `agreements` by dimension, a shape for each set; `own`: with the readers' overall held still."""
    columns = (
        {"own": "at", "own low": "from", "own high": "to"}
        if own
        else {"rho": "at", "low": "from", "high": "to"}
    )
    shown = table[["set", "dimension", *columns]].rename(columns=columns).dropna()
    shown = shown.assign(row=[_DIMENSIONS[name] for name in shown["dimension"]])
    said = ["rank correlation (Spearman's rho)", _INTERVAL]
    if own:
        said = [
            "what is left of it when the readers' overall",
            "is held still (partial Spearman's rho)",
            _INTERVAL,
        ]
    base = alt.Chart(shown).encode(
        y=_names([_DIMENSIONS[name] for name in JUDGED]), yOffset=alt.YOffset("set:N")
    )
    scale = alt.Scale(domain=[-0.8 if own else 0.0, 1.0])
    bars = base.mark_rule(color=ACCENT).encode(x=alt.X("from:Q", scale=scale, title=said), x2="to:Q")
    points = base.mark_point(color=ACCENT, size=70, filled=True, opacity=1).encode(
        x=alt.X("at:Q", scale=scale), shape=alt.Shape("set:N", title="set of scripts")
    )
    nought = alt.Chart(pd.DataFrame({"at": [0.0]})).mark_rule(strokeDash=[2, 4]).encode(x="at:Q")
    return _layers(bars, points, nought, title=title, height=alt.Step(15))


def scatter_chart(rows: pd.DataFrame, *, title: str) -> alt.LayerChart:
    """Each script of `judged` overall, the scorer's points against the readers'; on the dashed line both say the same."""
    whole = rows[rows["dimension"] == OVERALL][["set", "origin", "scorer", "readers"]]
    scale = alt.Scale(domain=[0, 10])
    points = (
        alt.Chart(whole)
        .mark_point(color=ACCENT, size=60)
        .encode(
            x=alt.X("readers:Q", scale=scale, title="readers, overall, 0 to 10"),
            y=alt.Y("scorer:Q", scale=scale, title="scorer, overall, 0 to 10"),
            shape=alt.Shape("set:N", title="set of scripts"),
            tooltip=["set:N", "origin:N", "readers:Q", "scorer:Q"],
        )
    )
    ends = pd.DataFrame({"readers": [0, 10], "scorer": [0, 10]})
    same = alt.Chart(ends).mark_line(strokeDash=[4, 4], color=ACCENT).encode(x="readers:Q", y="scorer:Q")
    return _layers(points, same, title=title, height=_WIDTH)


def gap_chart(table: pd.DataFrame, *, title: str) -> alt.LayerChart:
    """Shares of `by_gap`; the dashed line is chance."""
    shown = table.assign(
        row=[f"{a} points ({n} pairs)" for a, n in zip(table["apart"], table["pairs"], strict=True)]
    )
    return _shares(shown, "pairs that both put in the same order", title)


def _shares(shown: pd.DataFrame, said: str, title: str) -> alt.LayerChart:
    scale = alt.Scale(domain=[0, 1])
    base = alt.Chart(shown).encode(y=_names(shown["row"].tolist()))
    axis = alt.Axis(format="%")
    bars = base.mark_rule(color=ACCENT).encode(
        x=alt.X("low:Q", scale=scale, axis=axis, title=[said, f"{_INTERVAL}; dashed: chance"]), x2="high:Q"
    )
    points = base.mark_point(color=ACCENT, size=70, filled=True, opacity=1).encode(
        x=alt.X("share:Q", scale=scale)
    )
    chance = alt.Chart(pd.DataFrame({"at": [0.5]})).mark_rule(strokeDash=[2, 4]).encode(x="at:Q")
    return _layers(bars, points, chance, title=title, height=alt.Step(26))


def detection_chart(table: pd.DataFrame, *, title: str) -> alt.LayerChart:
    """Both shares of `detection`, by kind: with the original beside it, and alone; the dashed line is chance for either."""
    told = {
        "beside its original": ("caught", "low", "high"),
        "alone, among other scripts": ("alone", "alone low", "alone high"),
    }
    parts = [
        table[["kind", *names]].set_axis(["row", "share", "low", "high"], axis=1).assign(seen=seen)
        for seen, names in told.items()
    ]
    scale = alt.Scale(domain=[0.3, 1])
    base = alt.Chart(pd.concat(parts, ignore_index=True)).encode(
        y=_names(table["kind"].tolist()), yOffset=alt.YOffset("seen:N", sort=list(told))
    )
    axis = alt.Axis(format="%")
    said = ["share of spoiled scripts that score lower", f"{_INTERVAL}; dashed: chance"]
    bars = base.mark_rule(color=ACCENT).encode(
        x=alt.X("low:Q", scale=scale, axis=axis, title=said), x2="high:Q"
    )
    points = base.mark_point(color=ACCENT, size=55, opacity=1).encode(
        x=alt.X("share:Q", scale=scale),
        shape=alt.Shape("seen:N", title="seen", sort=list(told), scale=alt.Scale(domain=list(told), range=["circle", "triangle-up"])),
    )  # fmt: skip
    chance = alt.Chart(pd.DataFrame({"at": [0.5]})).mark_rule(strokeDash=[2, 4]).encode(x="at:Q")
    return _layers(bars, points, chance, title=title, height=alt.Step(13))


def roc_chart(table: pd.DataFrame, *, title: str) -> alt.LayerChart:
    """Curves of `roc`, each with a dash of its own, in the order of `table`; on the diagonal a score tells nothing."""
    kinds = table["kind"].unique().tolist()
    dashes = [[1, 0], [10, 3], [4, 4], [1, 3], [10, 3, 2, 3], [16, 6]]
    share = alt.Axis(format="%")
    x = alt.X("false:Q", axis=share, title=f"sound scripts taken for spoiled ({SAMPLES} episodes)")
    y = alt.Y("found:Q", axis=share, title="spoiled scripts found")
    dash = alt.StrokeDash(
        "kind:N",
        sort=kinds,
        scale=alt.Scale(domain=kinds, range=dashes[: len(kinds)]),
        legend=alt.Legend(title="kind of spoiling", symbolType="stroke", symbolSize=900, symbolStrokeWidth=2),
    )
    lines = (
        alt.Chart(table)
        .mark_line(color=ACCENT, strokeWidth=2)
        .encode(x=x, y=y, order="bar:Q", strokeDash=dash)
    )
    ends = pd.DataFrame({"false": [0, 1], "found": [0, 1]})
    level = alt.Chart(ends).mark_line(strokeDash=[2, 4], strokeWidth=1).encode(x="false:Q", y="found:Q")
    return _layers(lines, level, title=title, height=_WIDTH)


# --- in words


def listed(names: Sequence[str]) -> str:
    """'a', 'a and b', 'a, b and c'; 'none' of none."""
    if not names:
        return "none"
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}"


def _many(share: float) -> str:
    return f"{share:.0%}"


def agreement_words(table: pd.DataFrame) -> str:
    """For each set, how far order and level are the readers'."""
    told = []
    for _, row in table[table["dimension"] == OVERALL].iterrows():
        side = "above" if row["above"] > 0 else "below"
        told.append(
            f"On the {row['set']} set ({row['scripts']} scripts) the scorer puts scripts in nearly the readers' order"
            if row["low"] > 0.7
            else f"On the {row['set']} set ({row['scripts']} scripts) the scorer's order is the readers' only in part"
        )
        told[-1] += (
            f": rank correlation {row['rho']:.2f} (95 %: {row['low']:.2f} to {row['high']:.2f}). A score stands {row['distance']:.1f} "
            f"points from theirs, and on average {abs(row['above']):.1f} {side} it."
        )
    return " ".join(told) or "There are no ratings to hold the scorer against."


def dimension_words(table: pd.DataFrame) -> str:
    """Which dimensions are shown to judge themselves, beyond the whole."""
    sets = table["set"].unique()
    of = table[table["dimension"] != OVERALL]
    if of.empty:
        return "No dimension was rated, so that nothing is shown of any."
    shown = {name: [row["set"] for _, row in part.iterrows() if row["own low"] > 0] for name, part in of.groupby("dimension")}  # fmt: skip
    names = [name for name in DIMENSION_WORDS if name in shown]
    everywhere = [name for name in names if len(shown[name]) == len(sets)]
    somewhere = [
        f"{name} (in the {listed(shown[name])} set)"
        for name in names
        if shown[name] and name not in everywhere
    ]
    nowhere = [name for name in names if not shown[name]]
    low, high = of["rho"].min(), of["rho"].max()
    told = f"Taken as they are, the dimensions agree with readers at {low:.2f} to {high:.2f}. But readers who like a script like all of it. "
    told += "With their overall held still, agreement is above nought, interval and all, "
    told += f"for {listed(everywhere)} in every set" if everywhere else "for no dimension in every set"
    told += f", and for {listed(somewhere)}. " if somewhere else ". "
    if nowhere:
        told += (
            f"For {listed(nowhere)} nothing shows that the scorer judges these rather than the whole script."
        )
    return told.strip()


def beside_words(table: pd.DataFrame) -> str:
    """Whether the length of a script would have done."""
    told = []
    for name, part in table.groupby("set"):
        rho = part.set_index("judge")["rho"]
        told.append(
            f"on the {name} set {rho['the scorer']:.2f} for the scorer, {rho['word count']:.2f} for the number of words and "
            f"{rho['keyword count']:.2f} for counted key words"
        )
    return (
        f"Rank correlation with readers: {'; '.join(told)}."
        if told
        else "There are no ratings to compare with."
    )


def gap_words(table: pd.DataFrame) -> str:
    """How close two scripts may be for their order to mean something."""
    if table.empty:
        return "No two scripts of a set stand apart for readers, so that nothing is shown of pairs."
    parts = [
        f"{_many(row['share'])} of pairs ({_many(row['low'])} to {_many(row['high'])}) that are {row['apart']} points apart for them"
        for _, row in table.iterrows()
    ]
    weak = [row["apart"] for _, row in table.iterrows() if row["low"] < 0.7]
    told = f"Of two scripts, the scorer prefers the one that readers prefer in {listed(parts)}."
    return (
        f"{told} A difference of {weak[-1]} points is no ground to call one script better." if weak else told
    )


def hand_words(pairs: int, share: float, low: float, high: float) -> str:
    """Whether the scorer tells scripts of one origin apart, from `same_hand`."""
    if not pairs:
        return "No two scripts of one origin stand apart for readers, so that nothing is shown of these."
    told = f"Of two scripts of one origin, it prefers the readers' in {_many(share)} of {pairs} pairs ({_many(low)} to {_many(high)})"
    if low <= 0.5:
        return f"{told}, which chance alone could give: to tell good hands from bad is not yet to find the better of two by one hand."
    if share < 0.8:
        return f"{told}: better than chance, and less sure than to tell good hands from bad."
    return f"{told}."


def detection_words(table: pd.DataFrame) -> str:
    """Which kinds are caught, which not, and what is left when nobody has the original."""
    below = [row for _, row in table.iterrows() if row["caught"] < row["asked"]]
    unsure = [row["kind"] for _, row in table.iterrows() if row["caught"] >= row["asked"] > row["low"]]
    told = f"Beside its original, a spoiled script scores lower as often as asked for {len(table) - len(below)} of {len(table)} kinds"
    told += f" (though for {listed(unsure)} the interval reaches below)." if unsure else "."
    if below:
        missed = [
            f"{row['kind']} ({_many(row['caught'])}, {_many(row['low'])} to {_many(row['high'])})"
            for row in below
        ]
        told += f" Missed too often: {listed(missed)}."
    sure = [row["kind"] for _, row in table.iterrows() if row["alone low"] > SURE]
    told += f" Without the original, the score alone tells {len(sure)} kinds from sound scripts with some safety (area under the ROC curve "
    told += f"above {SURE:g}, interval and all): {listed(sure)}."
    faint = _faint(table)
    return (
        f"{told} It says little (area below {FAINT:g}) of {len(faint)}: {listed(faint)}." if faint else told
    )


def _faint(table: pd.DataFrame) -> list[str]:
    return [row["kind"] for _, row in table.iterrows() if row["alone"] < FAINT]


def worst_missed(pairs: pd.DataFrame, count: int = 6) -> pd.DataFrame:
    """The spoiled scripts that gained most: `kind`, what it does, `group`, `name`, `before`, `after`."""
    rows = pairs.assign(gain=pairs["after"] - pairs["before"])
    rows = (
        rows[rows["gain"] > 0]
        .sort_values(["gain", "name", "kind"], ascending=[False, True, True])
        .head(count)
    )
    rows = rows.assign(done=[_OF_KIND[kind] for kind in rows["kind"]])
    return rows[["kind", "done", "group", "name", "before", "after"]].reset_index(drop=True)


def fault_words(table: pd.DataFrame) -> str:
    """Of faults planted by hand, how many cost their dimension a point and little else, and which do not."""
    own, others = table["own"] >= 1, table["other"] <= 0.5
    told = f"Of {len(table)} faults planted by hand, {int(own.sum())} cost their own dimension a point or more, and {int((own & others).sum())} "
    told += "of these leave the others within half a point."
    missed = [
        f"{row['fault']} in {row['script']} ({row['dimension']} {-row['own']:+.1f} points)"
        for _, row in table[~own].iterrows()
    ]
    return f"{told} Not seen: {listed(missed)}." if missed else told


def trick_words(gains: pd.DataFrame) -> str:
    """What asking for a better score gains."""
    best = gains.loc[gains["gain"].idxmax()]
    raised = int((gains["gain"] > 0).sum())
    told = (
        f"{gains['trick'].nunique()} tricks were played on {gains['name'].nunique()} scripts, good and bad. "
    )
    if not raised:
        return f"{told}None of the {len(gains)} raised a score."
    return (
        f"{told}{raised} of {len(gains)} raised a score, by {best['gain']:.2f} of 10 points at most ({best['trick']}); "
        f"the mean was {gains['gain'].mean():+.2f}."
    )


def format_words(table: pd.DataFrame) -> str:
    """Whether the format changes a score, and by how much."""
    of = {name: float((table[name] - table["Fountain"]).abs().max()) for name in table.columns[2:]}
    same = [name for name, most in of.items() if most == 0]
    other = [f"{name} (up to {most:.2f} points)" for name, most in of.items() if most > 0]
    told = f"{len(table)} scripts score the same, to the hundredth of a point, as Fountain and as {listed(same)}."
    return f"{told} They do not as {listed(other)}." if other else told


def prose_words(table: pd.DataFrame) -> str:
    """What the measures for prose reach against people's ratings of stories, and what that means."""
    means = table[table["judge"] != ONE_RATER].groupby("judge", sort=False)["rho"].mean()
    ours = _PROSE
    best = means.drop(ours).idxmax()
    rater = table.loc[table["judge"] == ONE_RATER, "rho"].iloc[0]
    told = f"Against people's ratings of stories, the mean rank correlation over {table[table['judge'] == ours]['set'].nunique()} sets is "
    told += f"{means[ours]:.2f} for the scorer's measures for prose, and {means[best]:.2f} for {best}; one HANNA rater reaches {rater:.2f} "
    told += "against the two others. "
    if means[ours] < means.drop(ours).max():
        return f"{told}The measures do worse than counting, and so the scorer gives prose no score."
    return f"{told}The measures do better than counting."


def own_reader_words(table: pd.DataFrame) -> str:
    """What the studio's own readers add."""
    told = []
    for _, row in table.iterrows():
        told.append(
            f"{row['ratings']} ratings by {row['readers']} readers ({row['series']}): rank correlation with the score {row['rho']:.2f} "
            f"(95 %: {row['low']:.2f} to {row['high']:.2f})."
        )
        if row["series"] == "simulated":
            told.append(
                "SIMULATED: these ratings were drawn from the score, and so say nothing about the scorer."
            )
    return " ".join(told) or "No readers' ratings were given to this notebook: no data."


def answer(
    agreed: pd.DataFrame,
    gaps: pd.DataFrame,
    seen: pd.DataFrame,
    gains: pd.DataFrame,
    prose: pd.DataFrame,
    *,
    by_people: bool,
) -> str:
    """The question's answer, from the figures: `agreements`, `by_gap`, `detection`, `talked_up` and the table on prose. `by_people`:
    whether the readers were people."""
    firm = list(
        takewhile(lambda row: row[1] > 0.85, reversed(list(zip(gaps["apart"], gaps["low"], strict=True))))
    )
    told = [
        f"Trust its order of scripts that stand far apart (for these readers, {firm[-1][0].split()[0]} points or more)"
        if firm
        else "Trust its order with care"
    ]
    whole = agreed[agreed["dimension"] == OVERALL]
    if len(whole):
        last = whole.iloc[-1]
        told[0] += (
            f": on the {last['set']} set its rank correlation with them is {last['rho']:.2f} ({last['low']:.2f} to {last['high']:.2f})"
        )
    own = agreed[agreed["dimension"] != OVERALL].groupby("dimension")["own low"].min()
    named = [name for name in DIMENSION_WORDS if name in own.index and own[name] > 0]
    told.append(
        f"A dimension's score is shown, in every set, to be more than the whole's for {listed(named)}"
    )
    below = [row["kind"] for _, row in seen.iterrows() if row["caught"] < row["asked"]]
    told.append(
        f"It catches {len(seen) - len(below)} of {len(seen)} ways to spoil a script as often as asked"
        + (f", and not {listed(below)}" if below else "")
    )
    if faint := _faint(seen):
        told.append(f"Without the original at hand, the score says little of {len(faint)} of them")
    told.append(f"Tricks gain {max(0.0, gains['gain'].max()):.2f} points at most")
    prose_ours = prose[prose["judge"] == _PROSE]["rho"].mean()
    told.append(
        f"Prose it cannot judge (rank correlation {prose_ours:.2f} with people), and gives it no score"
    )
    if not by_people:
        told.append(
            "No person's rating of a screenplay has confirmed any of this yet: these readers are language models"
        )
    return ". ".join(told) + "."
