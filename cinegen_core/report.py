"""A scorecard in words, for people who write."""

from __future__ import annotations

import textwrap
from collections.abc import Iterable

from cinegen_core.scorer import DIMENSION_WORDS, Evidence, Scorecard

WIDTH = 92


def scorecard_text(card: Scorecard) -> str:
    """For each dimension the score, the two lines that helped most, the two that hurt most, and one suggestion."""
    if card.overall is None:
        return f"No score. {card.reason}\n(scorer {card.scorer_version})"
    blocks = [
        f"Overall {card.overall:.1f} of 10: {card.quality_class}.  "
        f"Confidence {card.confidence:.0%}, scorer {card.scorer_version}."
    ]
    for name, words in DIMENSION_WORDS.items():
        dimension = card.dimensions[name]
        if dimension.score is None:
            blocks.append(f"{words:20}   -   {dimension.note}")
            continue
        lines = [f"{words:20} {dimension.score:4.1f}  {'#' * round(dimension.score * 2):20}"]
        lines += _evidence("+", dimension.helped)
        lines += _evidence("-", dimension.hurt)
        if dimension.suggestion:
            lines += _wrapped("  > ", dimension.suggestion)
        blocks.append("\n".join(lines))
    for beside in card.beside:
        value = "no answer" if beside.score is None else f"{beside.score:g}"
        lines = _wrapped("", f"Beside the score, {beside.name}: {value} ({beside.scale}).")
        blocks.append("\n".join([*lines, *(line for note in beside.notes for line in _wrapped("  ", note))]))
    if card.notes:
        blocks.append("\n".join(line for note in card.notes for line in _wrapped("", note)))
    return "\n\n".join(blocks)


def place(evidence: Evidence) -> str:
    """Where a line stands: "2.14" for the fourteenth line of scene 2, "choice 3"."""
    if evidence.scene:
        return f"{evidence.scene}.{evidence.line}"
    return f"choice {evidence.line}" if evidence.line else "the question"


def _evidence(sign: str, rows: Iterable[Evidence]) -> list[str]:
    lines: list[str] = []
    for row in rows:
        text = textwrap.shorten(row.text, 70, placeholder=" ...") or "(nothing)"
        lines += _wrapped(f"  {sign} ", f"{place(row)}  {text}  [{row.what}]")
    return lines


def _wrapped(start: str, text: str) -> list[str]:
    return textwrap.wrap(text, WIDTH, initial_indent=start, subsequent_indent=" " * (len(start) + 2))
