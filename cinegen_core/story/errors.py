"""The one error of everything that is read from outside: a bible, a state, an episode, a script."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable
from dataclasses import dataclass

KeyPath = tuple[str | int, ...]
"""Where a value stands: ("characters", 1, "want"). Lists count from 0, as `StoryBible.gaps` does."""

MAX_SHOWN = 50
_MAX_PART = 60


def spell(path: KeyPath) -> str:
    """A key path as people write it: characters[1].want."""
    text = ""
    for part in path:
        if isinstance(part, int):
            text += f"[{part}]"
        else:
            text += ("." if text else "") + shorten(part)
    return text


def shorten(text: str, limit: int = _MAX_PART) -> str:
    """One line that is safe to print: control characters dropped, long text cut."""
    plain = "".join(
        " " if ch.isspace() else ch
        for ch in text[: limit * 4]
        if ch.isspace() or unicodedata.category(ch) not in ("Cc", "Cf", "Cs")
    )
    return plain if len(plain) <= limit and len(text) <= limit * 4 else plain[: limit - 1] + "…"


@dataclass(frozen=True)
class Problem:
    """One thing that is wrong: file, line (from 1), key, what is wrong with it, and the fix."""

    file: str
    line: int | None
    key: str
    what: str
    fix: str = ""

    def __str__(self) -> str:
        place = self.file if self.line is None else f"{self.file}, line {self.line}"
        key = f"{self.key}: " if self.key else ""
        sentence = self.what if self.what.endswith((".", "!", "?")) else f"{self.what}."
        return f"{place}: {key}{sentence}" + (f" {self.fix}" if self.fix else "")


class StoryError(ValueError):
    """What was given cannot be used; `problems` says why, in the order in which they stand in the file.

    Raised by everything in `cinegen_core.story.load` and by the readers in `cinegen_core.story.formats`.
    Printed, it gives one problem per line.
    """

    def __init__(self, problems: Iterable[Problem]) -> None:
        self.problems = tuple(problems)
        super().__init__(self.problems)

    def __str__(self) -> str:
        lines = [str(problem) for problem in self.problems[:MAX_SHOWN]]
        if len(self.problems) > MAX_SHOWN:
            lines.append(f"... and {len(self.problems) - MAX_SHOWN} more of this kind.")
        return "\n".join(lines)
