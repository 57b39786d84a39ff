"""Small charts as SVG text, for pages without scripts or network: a line with its band, means with intervals, bars.

All words have the colour of the text around them, and all marks the class `mark`, `soft` or `dashed`, which the page's style colours. Each
has a title and a description for who does not see it. Equal figures give equal text.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from html import escape
from math import ceil, floor, isnan, log10
from typing import NamedTuple

WIDTH, HEIGHT = 720, 240
_LEFT, _RIGHT, _TOP, _BOTTOM = 48, 16, 14, 34
_ROW = 26
_Place = Callable[[float], float]


class Spot(NamedTuple):
    """One point of a line: `label` under the axis, `low` and `high` NaN without an interval, `level` NaN without one, `rule`: a dotted rule
    stands here."""

    label: str
    mean: float
    low: float = float("nan")
    high: float = float("nan")
    level: float = float("nan")
    rule: bool = False


class Mean(NamedTuple):
    """One row of means: `low` and `high` NaN without an interval."""

    name: str
    mean: float
    low: float
    high: float
    scored: int


def line(id: str, spots: Sequence[Spot], *, title: str, unit: str, ahead: int = 0) -> str:
    """Means as points on a line, their intervals as a band, levels dashed, rules dotted; the last `ahead` are to come: open squares with
    bars. `id` is the chart's own on its page. Without spots, the words `no data`."""
    numbers = [n for spot in spots for n in spot[1:5] if not isnan(float(n))]
    if not numbers:
        return f"<p>{escape(title)}: no data</p>"
    low, high, ticks = _scale(min(numbers), max(numbers))
    across = (WIDTH - _LEFT - _RIGHT) / max(1, len(spots) - 1)

    def x(place: int) -> float:
        return _LEFT + across * place if len(spots) > 1 else WIDTH / 2

    def y(value: float) -> float:
        return HEIGHT - _BOTTOM - (HEIGHT - _TOP - _BOTTOM) * (value - low) / (high - low)

    parts = _frame(ticks, y)
    every = max(1, ceil(len(spots) / 9))
    parts += [
        _text(
            x(place), HEIGHT - 14, spot.label, "end" if x(place) > WIDTH - 40 and len(spots) > 1 else "middle"
        )
        for place, spot in enumerate(spots)
        if place % every == 0
    ]
    parts += [
        _line(x(place), _TOP, x(place), HEIGHT - _BOTTOM, "rule")
        for place, spot in enumerate(spots)
        if spot.rule
    ]
    past = list(enumerate(spots))[: len(spots) - ahead]
    for run in _runs(past):
        upper = [f"{x(place):.1f},{y(spot.high):.1f}" for place, spot in run]
        lower = [f"{x(place):.1f},{y(spot.low):.1f}" for place, spot in reversed(run)]
        parts.append(f'<polygon class="soft" points="{" ".join(upper + lower)}"/>')
    parts.append(_path([(x(place), y(spot.mean)) for place, spot in past if not isnan(spot.mean)], "mark"))
    parts += [
        _path([(x(place), y(spot.level)) for place, spot in run], "dashed")
        for run in _levels(past)
        if len(run) > 1
    ]
    parts += [
        f'<circle class="dot" cx="{x(place):.1f}" cy="{y(spot.mean):.1f}" r="2.5"/>'
        for place, spot in past
        if not isnan(spot.mean)
    ]
    for place, spot in list(enumerate(spots))[len(past) :]:
        parts.append(_line(x(place), y(spot.low), x(place), y(spot.high), "mark"))
        parts.append(
            f'<rect class="open" x="{x(place) - 3:.1f}" y="{y(spot.mean) - 3:.1f}" width="6" height="6"/>'
        )
    first, last = spots[0], spots[-1]
    said = (
        f"{len(spots)} points from {first.label} to {last.label}, {unit}; "
        f"between {min(numbers):.2f} and {max(numbers):.2f}. The table has all figures."
    )
    return _whole(id, title, said, HEIGHT, [*parts, _text(_LEFT, 10, unit, "start")])


def means(id: str, rows: Sequence[Mean], *, title: str, unit: str) -> str:
    """One row a name: a diamond for the mean, a bar for its interval."""
    known = [row for row in rows if not isnan(row.mean)]
    if not known:
        return f"<p>{escape(title)}: no data</p>"
    numbers = [n for row in known for n in (row.mean, row.low, row.high) if not isnan(n)]
    low, high, ticks = _scale(min(numbers), max(numbers))
    left, tall = 220, _ROW * len(rows) + 44

    def x(value: float) -> float:
        return left + (WIDTH - left - _RIGHT) * (value - low) / (high - low)

    parts = [_line(x(tick), 8, x(tick), tall - 36, "grid") for tick in ticks]
    parts += [_text(x(tick), tall - 22, f"{tick:g}", "middle") for tick in ticks]
    for place, row in enumerate(rows):
        middle = 8 + _ROW * (place + 0.5)
        parts.append(_text(left - 8, middle + 4, _short(row.name), "end"))
        if isnan(row.mean):
            parts.append(_text(left + 4, middle + 4, "no data", "start"))
            continue
        if not isnan(row.low):
            parts.append(_line(x(row.low), middle, x(row.high), middle, "mark"))
        at = x(row.mean)
        parts.append(
            f'<path class="dot" d="M{at - 5:.1f} {middle:.1f}L{at:.1f} {middle - 5:.1f}L{at + 5:.1f} {middle:.1f}L{at:.1f} {middle + 5:.1f}Z"/>'
        )
    said = "; ".join(f"{row.name} {row.mean:.2f} of {row.scored}" for row in known)
    return _whole(
        id,
        title,
        f"{unit}: {said}",
        tall,
        [*parts, _text(left, tall - 6, f"{unit}; bar: interval, 95 %", "start")],
    )


def bars(id: str, edges: Sequence[float], counts: Sequence[int], *, title: str, unit: str) -> str:
    """A histogram: `edges` are one more than `counts`."""
    most = max(counts, default=0)
    if not most:
        return f"<p>{escape(title)}: no data</p>"
    _, high, ticks = _scale(0.0, float(most))
    wide = (WIDTH - _LEFT - _RIGHT) / len(counts)

    def y(value: float) -> float:
        return HEIGHT - _BOTTOM - (HEIGHT - _TOP - _BOTTOM) * value / high

    parts = _frame([tick for tick in ticks if tick >= 0], y)
    for place, count in enumerate(counts):
        if count:
            tall = HEIGHT - _BOTTOM - y(count)
            parts.append(
                f'<rect class="dot" x="{_LEFT + wide * place + 1:.1f}" y="{y(count):.1f}" width="{wide - 2:.1f}" height="{tall:.1f}"/>'
            )
    every = max(1, len(edges) // 10)
    parts += [
        _text(_LEFT + wide * place, HEIGHT - 18, f"{edge:g}", "middle")
        for place, edge in enumerate(edges)
        if place % every == 0
    ]
    tallest = counts.index(most)
    said = f"{sum(counts)} values, most of them ({most}) from {edges[tallest]:g} to {edges[tallest + 1]:g}; {unit}. The table has all figures."
    return _whole(id, title, said, HEIGHT, [*parts, _text(_LEFT, HEIGHT - 4, unit, "start")])


def _whole(id: str, title: str, said: str, tall: float, parts: Sequence[str]) -> str:
    return (
        f'<svg viewBox="0 0 {WIDTH} {tall:.0f}" role="img" aria-labelledby="{escape(id)}-t {escape(id)}-d">'
        f'<title id="{escape(id)}-t">{escape(title)}</title><desc id="{escape(id)}-d">{escape(said)}</desc>{"".join(parts)}</svg>'
    )


def _frame(ticks: Sequence[float], y: _Place) -> list[str]:
    parts = [_line(_LEFT, y(tick), WIDTH - _RIGHT, y(tick), "grid") for tick in ticks]
    return parts + [_text(_LEFT - 6, y(tick) + 4, f"{tick:g}", "end") for tick in ticks]


def _runs(spots: Sequence[tuple[int, Spot]]) -> list[list[tuple[int, Spot]]]:
    """Stretches of neighbours that have an interval."""
    runs: list[list[tuple[int, Spot]]] = [[]]
    for place, spot in spots:
        if isnan(spot.low):
            runs.append([])
        else:
            runs[-1].append((place, spot))
    return [run for run in runs if len(run) > 1]


def _levels(spots: Sequence[tuple[int, Spot]]) -> list[list[tuple[int, Spot]]]:
    """Stretches of one level, so that a change is a gap and no slope."""
    runs: list[list[tuple[int, Spot]]] = [[]]
    for place, spot in spots:
        if isnan(spot.level) or (runs[-1] and runs[-1][-1][1].level != spot.level):
            runs.append([])
        if not isnan(spot.level):
            runs[-1].append((place, spot))
    return runs


def _path(points: Sequence[tuple[float, float]], kind: str) -> str:
    if not points:
        return ""
    return f'<polyline class="{kind}" points="{" ".join(f"{x:.1f},{y:.1f}" for x, y in points)}"/>'


def _line(x1: float, y1: float, x2: float, y2: float, kind: str) -> str:
    return f'<line class="{kind}" x1="{x1:.1f}" y1="{y1:.1f}" x2="{x2:.1f}" y2="{y2:.1f}"/>'


def _text(x: float, y: float, words: str, anchor: str) -> str:
    return f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}">{escape(words)}</text>'


def _short(words: str) -> str:
    return words if len(words) <= 30 else f"{words[:29]}…"


def _scale(least: float, most: float) -> tuple[float, float, list[float]]:
    """Ends and ticks at round numbers around the values; at least a tenth wide, so that nothing looks larger than it is."""
    room = max(most - least, 0.1)
    step = 10.0 ** floor(log10(room / 4))
    step = next(step * factor for factor in (1, 2, 5, 10) if room / (step * factor) <= 5)
    low, high = floor(least / step + 1e-9), ceil(most / step - 1e-9)
    high = max(high, low + 1)
    return low * step, high * step, [round(tick * step, 10) for tick in range(low, high + 1)]
