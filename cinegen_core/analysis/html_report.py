"""The analyses of a day, a week or a month as one HTML page: no scripts, no network, readable in light, dark, print and aloud.

Equal events and an equal `until` give an equal page.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from html import escape
from typing import Any, Literal, get_args

import pandas as pd

from cinegen_core.analysis import satisfaction, svg, tier_report, trend_report
from cinegen_core.analysis import trend_charts as words
from cinegen_core.analysis.answers import answers_frame, ratings_frame
from cinegen_core.analysis.explore import by_cohort, by_dimension, by_genre, by_tier, distribution
from cinegen_core.flags.model import Change
from cinegen_core.monitor.events import Event, Series
from cinegen_core.monitor.metrics import Figures, figures

Period = Literal["daily", "weekly", "monthly"]
PERIODS: tuple[Period, ...] = get_args(Period)
SPANS: Mapping[Period, timedelta] = {
    "daily": timedelta(days=1),
    "weekly": timedelta(days=7),
    "monthly": timedelta(days=30),
}
NAMES: Mapping[Period, str] = {"daily": "day", "weekly": "week", "monthly": "month (30 days)"}

HISTORY = timedelta(days=60)
"""How far back trends and forecasts look from `until`: enough for a month and the one before it."""

NO_DATA = "no data"

_SERIES: Mapping[Series, str] = {
    "live": "",
    "staging": "STAGING: a rehearsal, not what readers were given.",
    "simulated": "SIMULATED: drawn from real answers; times, readers and incidents are invented.",
}

_STYLE = """
:root{color-scheme:light dark;--mark:#a8521b;--soft:#c0662b;--line:#d5d0c8}
@media(prefers-color-scheme:dark){:root{--mark:#e08a50;--soft:#c0662b;--line:#4a4640}}
body{font:16px/1.5 system-ui,sans-serif;max-width:60rem;margin:0 auto;padding:1rem;background:Canvas;color:CanvasText}
h1{line-height:1.2}h2{margin-top:2.5rem;border-bottom:1px solid var(--line)}
svg{width:100%;height:auto;display:block;margin:1rem 0}svg text{font:12px system-ui,sans-serif;fill:CanvasText}
.grid{stroke:var(--line)}.rule{stroke:CanvasText;stroke-dasharray:2 4}.mark{stroke:var(--mark);stroke-width:1.5;fill:none}
.dashed{stroke:var(--mark);stroke-width:2;stroke-dasharray:6 4;fill:none}.soft{fill:var(--soft);opacity:.22}.dot{fill:var(--mark)}
.open{fill:Canvas;stroke:var(--mark);stroke-width:1.5}
.scroll{overflow-x:auto}table{border-collapse:collapse;font-size:.9rem;font-variant-numeric:tabular-nums}
caption{text-align:left;font-weight:600;padding:.5rem 0}
th,td{text-align:right;padding:.2rem .7rem .2rem 0;border-bottom:1px solid var(--line);vertical-align:top}
th:first-child,td:first-child,th.words,td.words{text-align:left}.label{border:2px solid var(--mark);padding:.5rem 1rem;font-weight:600}
@media print{:root{color-scheme:light;--mark:#a8521b;--line:#bbb}
body{max-width:none;font-size:11pt}svg,tr{break-inside:avoid}h2,caption{break-after:avoid}.scroll{overflow:visible}}
"""


def report_html(
    events: Iterable[Event],
    *,
    period: Period,
    until: datetime,
    series: Series = "live",
    changes: Sequence[Change] = (),
) -> str:
    """The page. `events` are those of `HISTORY` before `until` (with its time zone), others are left out; `changes` are the journal's.

    Raises `ValueError` for an `until` without its time zone.
    """
    if until.tzinfo is None:
        raise ValueError("the report's end needs its time zone")
    until, span = until.astimezone(UTC), SPANS[period]
    since = until - span
    known = [event for event in events if event.series == series and until - HISTORY <= event.at < until]
    known.sort(key=lambda event: (event.at, event.kind, event.id))
    told = [change for change in changes if until - HISTORY <= change.at < until]
    now = [event for event in known if event.at >= since]
    history = answers_frame(trend_report.counted(known))
    answers = history[history["at"] >= pd.Timestamp(since)].reset_index(drop=True)
    sections = [
        _summary(known, period, until),
        _trend(answers, period),
        _groups(answers),
        _spread(answers),
        _happened(known, told, answers, since),
        _readers(known, history, since),
        _outlook(history, until),
        _tiers(now, series),
    ]
    title = f"{period.capitalize()} report: {since:%Y-%m-%d %H:%M} to {until:%Y-%m-%d %H:%M} UTC"
    label = f'<p class="label">{escape(_SERIES[series])}</p>' if _SERIES[series] else ""
    return (
        '<!DOCTYPE html>\n<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">'
        "<meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; style-src 'unsafe-inline'\">"
        f"<title>{escape(title)}</title><style>{_STYLE}</style></head><body><main><h1>{escape(title)}</h1>{label}"
        "<p>Kept answers, those of emergencies and trials are left out; between tiers trials are compared. Quality is on the guide's scale, 0 to 10. "
        "Intervals hold with 95 %. A figure without data says so.</p>"
        + "\n".join(sections)
        + "</main></body></html>\n"
    )


def _summary(known: Sequence[Event], period: Period, until: datetime) -> str:
    hours = SPANS[period].total_seconds() / 3600
    # a moment earlier, so that what came exactly between two spans is in one of them only
    end = until - timedelta(microseconds=1)
    now = figures(known, end, hours=hours)
    before = figures(known, end - SPANS[period] - timedelta(microseconds=1), hours=hours)
    rows = [[name, _told(get(now), digits), _told(get(before), digits)] for name, get, digits in _FIGURES]
    name = NAMES[period]
    said = (
        "No answers in this time."
        if not now.episodes
        else f"{now.episodes:,d} answers, mean quality {_told(now.mean_quality, 2)}; the {name} before "
        f"{before.episodes:,d}, {_told(before.mean_quality, 2)}."
    )
    return _section(
        "In short",
        said,
        _table(f"This {name} and the one before", ["figure", f"this {name}", "the one before"], rows),
    )


_FIGURES: Sequence[tuple[str, Callable[[Figures], float | None], int]] = (
    ("Answers", lambda found: found.episodes, 0),
    ("Mean quality, 0 to 10", lambda found: found.mean_quality, 2),
    ("Cinematic (8.0 or more), %", lambda found: found.cinematic_share, 1),
    ("Errors, %", lambda found: found.error_rate, 2),
    ("Fallbacks, %", lambda found: found.fallback_rate, 2),
    ("Engines that delivered, %", lambda found: found.engine_success_rate, 1),
    ("Seconds, P50", lambda found: None if found.seconds is None else found.seconds.p50, 1),
    ("Seconds, P95", lambda found: None if found.seconds is None else found.seconds.p95, 1),
    ("Cost, US dollars", lambda found: found.cost, 4),
    (
        "Satisfaction, 1 to 10",
        lambda found: None if found.satisfaction is None else found.satisfaction.mean,
        2,
    ),
    ("Ratings", lambda found: None if found.satisfaction is None else found.satisfaction.count, 0),
    ("Completion, %", lambda found: found.completion, 1),
)


def _trend(answers: pd.DataFrame, period: Period) -> str:
    step: trend_report.Step = "half hour" if period == "daily" else "day"
    view = trend_report.over_time(answers, step)
    shape = "%H:%M" if step == "half hour" else "%d %b"
    spots = [
        svg.Spot(f"{at:{shape}}", mean, low, high, level, bool(change))
        for at, mean, low, high, level, change in zip(
            view["at"], view["mean"], view["low"], view["high"], view["level"], view["change"], strict=True
        )
    ]
    drawn = svg.line("trend", spots, title=f"Quality by the {step}", unit="mean quality, 0 to 10")
    rows = [
        [
            f"{at:%Y-%m-%d %H:%M}",
            f"{count:,d}",
            *(_told(one, 2) for one in (mean, low, high)),
            "yes" if change else "",
        ]
        for at, count, mean, low, high, change in zip(
            view["at"], view["count"], view["mean"], view["low"], view["high"], view["change"], strict=True
        )
    ]
    said = (
        "Points: means; band: interval of the mean; dashed: the level; a dotted rule: another level begins."
    )
    return _section(
        "Quality over time",
        said,
        drawn,
        _table(f"Quality by the {step}", ["from (UTC)", "answers", "mean", "low", "high", "new level"], rows),
    )


def _groups(answers: pd.DataFrame) -> str:
    parts = []
    for id, title, view, name in (
        ("dimensions", "By dimension", by_dimension(answers), "label"),
        ("tiers", "By tier", by_tier(answers), "name"),
        ("genres", "By genre", by_genre(answers), "name"),
    ):
        rows = [
            svg.Mean(str(label), mean, low, high, int(count))
            for label, mean, low, high, count in zip(
                view[name], view["mean"], view["low"], view["high"], view["count"], strict=True
            )
        ]
        parts.append(svg.means(id, rows, title=title, unit="mean, 0 to 10"))
        told = [[row.name, f"{row.scored:,d}", *(_told(one, 2) for one in row[1:4])] for row in rows]
        parts.append(_table(title, ["name", "scored", "mean", "low", "high"], told))
    cohorts = by_cohort(answers)
    told = [
        [
            row["name"],
            f"{row['on']:,d}",
            f"{row['off']:,d}",
            *(_told(row[key], 2) for key in ("mean_on", "mean_off", "difference", "low", "high")),
        ]
        for _, row in cohorts.iterrows()
    ]
    parts.append(
        _table(
            "By cohort of a flag",
            ["flag", "on", "off", "mean on", "mean off", "difference", "low", "high"],
            told,
        )
    )
    return _section("Dimensions, tiers, genres, cohorts", "An answer of two genres counts for both.", *parts)


def _spread(answers: pd.DataFrame) -> str:
    view = distribution(answers)
    edges = [*view["low"].tolist(), 10.0]
    drawn = svg.bars(
        "spread", edges, view["count"].tolist(), title="Distribution of quality", unit="quality, 0 to 10"
    )
    rows = [
        [f"{low:.2f} to {high:.2f}", str(name), f"{count:,d}", _told(share, 1)]
        for low, high, name, count, share in zip(
            view["low"], view["high"], view["class"], view["count"], view["share"], strict=True
        )
        if count
    ]
    return _section(
        "Distribution", "", drawn, _table("Answers by quality", ["quality", "class", "answers", "%"], rows)
    )


def _happened(known: Sequence[Event], told: Sequence[Change], answers: pd.DataFrame, since: datetime) -> str:
    every = trend_report.marks(known, told)
    marks = [mark for mark in every if mark.at >= since or (mark.until is not None and mark.until >= since)]
    listed = trend_report.marks_frame(marks)
    found = trend_report.jumps(answers, marks)
    chance = trend_report.chance_of_a_tie(answers, marks)
    said = words.jumps_words(found, marks, chance)
    levels = [
        [
            row["figure"],
            f"{row['at']:%Y-%m-%d %H:%M}",
            _told(row["before"], 2),
            _told(row["after"], 2),
            row["tied"] or "nothing known",
        ]
        for _, row in found.iterrows()
    ]
    apart = trend_report.around(answers, [mark for mark in marks if mark.at >= since])
    around = [
        [
            row["what"],
            f"{row['at']:%Y-%m-%d %H:%M}",
            row["figure"],
            *(_told(row[key], 2) for key in ("difference", "low", "high")),
        ]
        for _, row in apart[apart["shown"]].iterrows()
    ]
    return _section(
        "What happened",
        said,
        _table(
            "Changes of flags and alerts",
            ["from (UTC)", "to", "kind", "what"],
            listed.to_numpy().tolist(),
            empty="Nothing that is known of.",
        ),
        _table(
            "Changes of level",
            ["figure", "at (UTC)", "before", "after", "near"],
            levels,
            empty="None was found.",
        ),
        _table(
            "Answers after it, less those of the 24 hours before, where a difference is shown",
            ["what", "at (UTC)", "figure", "difference", "low", "high"],
            around,
            empty="No difference is shown.",
        ),
    )


def _readers(known: Sequence[Event], history: pd.DataFrame, since: datetime) -> str:
    heard = ratings_frame(known)
    rated = satisfaction.rated(heard, history)
    found = satisfaction.agreement(rated[rated["at"] >= pd.Timestamp(since)])
    rows = [
        [
            row["name"],
            f"{row['pairs']:,d}",
            f"{row['readers']:,d}",
            *(_told(row[key], 2) for key in ("rho", "low", "high")),
        ]
        for row in found.to_dict("records")
    ]
    return _section(
        "Readers against the scorer",
        words.agreement_words(found),
        _table(
            "Rank correlation of rating and score",
            ["score", "ratings", "readers", "correlation", "low", "high"],
            rows,
        ),
    )


def _outlook(history: pd.DataFrame, until: datetime) -> str:
    points = trend_report.daily_points(history, until)
    ahead, errors = trend_report.ahead(points), trend_report.past_errors(points)
    directions = trend_report.directions(history)
    daily = trend_report.whole_days(history, until)
    spots = [svg.Spot(f"{at:%d %b}", value) for at, value in points]
    spots += [
        svg.Spot(f"{row['at']:%d %b}", row["value"], row["low"], row["high"]) for _, row in ahead.iterrows()
    ]
    drawn = svg.line(
        "ahead",
        spots,
        title="Quality by day, and the days to come",
        unit="mean quality, 0 to 10",
        ahead=len(ahead),
    )
    days = [
        [f"{at:%Y-%m-%d}", f"{count:,d}", _told(mean, 2)]
        for at, count, mean in zip(daily["at"], daily["count"], daily["mean"], strict=True)
    ]
    coming = [
        [f"{row['at']:%Y-%m-%d}", *(_told(row[key], 2) for key in ("value", "low", "high"))]
        for _, row in ahead.iterrows()
    ]
    past = [
        [
            f"{row['days']:.0f}",
            f"{row['forecasts']:.0f}",
            *(_told(row[key], 3) for key in ("error", "error_of_mean")),
            *(_told(row[key], 1) for key in ("coverage", "low", "high")),
        ]
        for _, row in errors.iterrows()
    ]
    going = [
        [
            row["group"],
            row["by"],
            f"{row['days']:,d}",
            *(_told(row[key], 3) for key in ("per_week", "low", "high", "p_holm")),
            row["verdict"],
        ]
        for row in directions.to_dict("records")
    ]
    return _section(
        "Trends and the next days",
        f"{words.directions_words(directions)} {words.forecast_words(ahead, errors)}",
        drawn,
        _table(
            "Days to come",
            ["day", "forecast", "low", "high"],
            coming,
            empty="No data: 14 whole days are needed.",
        ),
        _table(
            "How far forecasts were off",
            ["days ahead", "forecasts", "mean error", "error of the mean so far", "inside, %", "low", "high"],
            past,
        ),
        _table(
            "Where the daily means go, in points a week",
            ["series", "of", "days", "slope", "low", "high", "p (all looks)", "verdict"],
            going,
        ),
        _table("Whole days so far", ["day", "answers", "mean"], days),
    )


def _tiers(now: Sequence[Event], series: Series) -> str:
    tries = tier_report.event_tries(now)
    compared, took = tier_report.paired(tries), tier_report.times(tries)
    votes = tier_report.blind_votes(now, series)
    paired = [
        [
            f"{tier_report.SHORT[row['higher']]} less {tier_report.SHORT[row['lower']]}",
            row["words"],
            f"{row['requests']:,d}",
            *(_told(row[key], 2) for key in ("mean", "low", "high")),
            row["verdict"],
        ]
        for row in compared.to_dict("records")
        if row["requests"]
    ]
    spent = [
        [
            row["tier"],
            f"{row['tries']:,d}",
            *(_told(row[key], 2) for key in ("score", "accepted", "p50", "p95")),
            _told(row["tokens"], 0),
            _told(row["cost"], 4),
        ]
        for row in tier_report.costs(tries).to_dict("records")
    ]
    voted = [
        [
            row["about"],
            row["one"],
            row["other"],
            *(f"{row[key]:,d}" for key in ("wins", "ties", "losses")),
            *(_told(row[key], 2) for key in ("rate", "low", "high")),
        ]
        for row in tier_report.votes_frame(votes).to_dict("records")
    ]
    return _section(
        "Tiers on the same requests",
        tier_report.answer(compared, took, votes),
        _table(
            "Points more by the higher tier",
            ["pair", "measure", "requests", "mean", "low", "high", "verdict"],
            paired,
            empty="No data: no request was tried by two tiers.",
        ),
        _table(
            "What a first try took",
            ["tier", "tries", "score", "accepted, %", "seconds P50", "P95", "tokens", "US dollars"],
            spent,
        ),
        _table(
            "Blind votes",
            ["about", "one", "other", "wins", "ties", "losses", "rate of one", "low", "high"],
            voted,
        ),
    )


def _section(title: str, said: str, *parts: str) -> str:
    spoken = f"<p>{escape(said)}</p>" if said else ""
    return f"<section><h2>{escape(title)}</h2>{spoken}{''.join(parts)}</section>"


def _table(caption: str, heads: Sequence[str], rows: Sequence[Sequence[Any]], *, empty: str = NO_DATA) -> str:
    if not rows:
        return f"<p><strong>{escape(caption)}:</strong> {escape(empty)}</p>"
    worded = [any(_is_words(row[place]) for row in rows) for place in range(len(heads))]
    kinds = [' class="words"' if place and words_in else "" for place, words_in in enumerate(worded)]
    top = "".join(
        f'<th scope="col"{kind}>{escape(head)}</th>' for head, kind in zip(heads, kinds, strict=True)
    )
    body = "".join(
        f'<tr><th scope="row">{escape(str(row[0]))}</th>'
        + "".join(
            f"<td{kind}>{escape(str(cell))}</td>" for cell, kind in zip(row[1:], kinds[1:], strict=True)
        )
        + "</tr>"
        for row in rows
    )
    return (
        f'<div class="scroll" tabindex="0" role="region" aria-label="{escape(caption)}">'
        f"<table><caption>{escape(caption)}</caption><thead><tr>{top}</tr></thead><tbody>{body}</tbody></table></div>"
    )


def _is_words(cell: object) -> bool:
    text = str(cell)
    return bool(text) and text != NO_DATA and not any(letter.isdigit() for letter in text[:4])


def _told(value: float | None, digits: int) -> str:
    return NO_DATA if value is None or pd.isna(value) else f"{value:,.{digits}f}"
