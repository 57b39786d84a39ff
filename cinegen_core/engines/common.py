"""What the engines share: choosing scenes from an outline, and adding up what was found."""

from __future__ import annotations

from collections.abc import Sequence

from cinegen_core.engines.base import EngineContext, Line, Realisation
from cinegen_core.story import SceneOutline, StoryBible


def numbered(context: EngineContext) -> list[tuple[int, SceneOutline]]:
    """The outline's scenes, counted from 1."""
    return list(enumerate(context.draft.outline.scenes, 1))


def talked(context: EngineContext) -> list[tuple[int, SceneOutline]]:
    """Scenes in which at least two people meet and somebody wants something; all scenes if there is none."""
    found = [(n, s) for n, s in numbered(context) if len(s.people) >= 2 and s.wants]
    return found or [(n, s) for n, s in numbered(context) if len(s.people) >= 2] or numbered(context)


def has_genre(bible: StoryBible, *names: str) -> bool:
    text = " ".join(bible.genres).casefold()
    return any(name in text for name in names)


def by_parts(engine: str, parts: Sequence[tuple[float, Sequence[Line], str]]) -> Realisation:
    """Adds up parts of (share met 0..1, lines that show it, what it is); parts weigh the same."""
    if not parts:
        return Realisation(engine=engine, score=1.0)
    score = sum(share for share, _, _ in parts) / len(parts)
    lines = dict.fromkeys(line for _, found, _ in parts for line in found)
    missing = tuple(what for share, _, what in parts if share < 1)
    return Realisation(engine=engine, score=min(1.0, max(0.0, score)), lines=tuple(lines), missing=missing)
