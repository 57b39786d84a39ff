"""What a measure is, and what it finds."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from cinegen_core.scorer.reading import Line, Reading


@dataclass(frozen=True)
class Finding:
    """A line that earned (`weight` above 0) or cost something, and why, in words for its writer; `text` where it is only a part."""

    line: Line
    what: str
    weight: float
    text: str = ""


@dataclass(frozen=True)
class Found:
    """What a measure saw. `raw` is in the measure's own unit, None where there was nothing to look at.

    `seen` counts the places looked at: the more, the surer.
    """

    raw: float | None
    seen: int = 0
    findings: tuple[Finding, ...] = ()


@dataclass(frozen=True)
class Measure:
    """One measure of a dimension. `suggestion` is said when it cost most; `needs_bible` where it is blind without."""

    name: str
    look: Callable[[Reading], Found]
    suggestion: str
    needs_bible: bool = False


NOTHING = Found(None)


def share(rows: Iterable[tuple[Line, float, str, str]]) -> Found:
    """The mean of values 0..1 over lines, each with words for when it is high and for when it is low.

    Empty words leave the line out of the evidence.
    """
    total, findings, count = 0.0, [], 0
    for line, value, good, bad in rows:
        total += value
        count += 1
        if value >= 0.5 and good:
            findings.append(Finding(line, good, value))
        elif value < 0.5 and bad:
            findings.append(Finding(line, bad, value - 1))
    return Found(total / count, count, tuple(findings)) if count else NOTHING


def faults(lines: Sequence[Line], found: Iterable[Finding], *, per: int | None = None) -> Found:
    """Faults for each line looked at (or for each of `per` units)."""
    findings = tuple(found)
    if not lines:
        return NOTHING
    return Found(-sum(f.weight for f in findings) / (per or len(lines)), len(lines), findings)
