"""What is still missing, and only that."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from cinegen_core.engines import Directive
from cinegen_core.writers.model.manuscript import Manuscript
from cinegen_core.writers.model.prompts.material import fenced


def repair_task(manuscript: Manuscript, missing: Sequence[Directive]) -> str:
    """`manuscript` is the episode as it stands."""
    scenes = len(manuscript.scenes)
    wanted: dict[str, object] = {
        "missing": [
            {
                "in_scenes": scenes_of(directive, scenes) or "where it fits best",
                **directive.model_dump(mode="json"),
            }
            for directive in missing
        ]
    }
    return (
        fenced("episode as it stands", manuscript)
        + fenced("missing directives", wanted)
        + "Task: these directives are not to be seen in the episode as it stands. Bring them in, and keep everything else.\n"
        "Form of the answer: `scenes`, only those that change, each with its number (`scene`, counted from 1) and all of its "
        "`lines` anew (`speaker`, `manner`, `text`); and `choices`, three where a directive is about them, else empty.\n"
    )


_SCENE_FIELDS = (
    "scene", "plant", "payoff", "reveal", "early", "late", "solved", "interruption", "fast", "slow", "rule_scene"
)  # fmt: skip


def scenes_of(directive: Directive, scenes: int) -> list[int]:
    """The scenes that a directive names, by number; `scenes` is how many there are."""
    return sorted({number for number in _named(directive.model_dump(mode="json")) if 1 <= number <= scenes})


def _named(fields: dict[str, object]) -> Iterator[int]:
    for name, value in fields.items():
        rows = value if isinstance(value, list) else [value]
        for row in rows:
            if isinstance(row, dict):
                yield from _named(row)
            # A bare number of `scenes` is how many there should be.
            elif type(row) is int and (
                name in _SCENE_FIELDS or (name.endswith("scenes") and row is not value)
            ):
                yield row
