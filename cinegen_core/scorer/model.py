"""What a script is given: seven dimensions, each from named measures with the lines that earned or cost them."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from cinegen_core.story.model import Noun

DimensionName = Literal["character", "dialogue", "structure", "world", "genre", "choices", "cinematic"]
QualityClass = Literal["masterpiece", "cinematic", "excellent", "good", "basic", "poor"]

DIMENSION_WORDS: dict[DimensionName, str] = {
    "character": "Character depth",
    "dialogue": "Dialogue quality",
    "structure": "Narrative structure",
    "world": "World building",
    "genre": "Genre execution",
    "choices": "Choice quality",
    "cinematic": "Cinematic elements",
}

_CLASSES: tuple[tuple[float, QualityClass], ...] = (
    (9.0, "masterpiece"),
    (8.0, "cinematic"),
    (7.0, "excellent"),
    (5.0, "good"),
    (3.0, "basic"),
)


def quality_class(score: float) -> QualityClass:
    """The class of a score 0..10, by the operations contract."""
    return next((name for least, name in _CLASSES if score >= least), "poor")


class Evidence(Noun):
    """A line, and what it did. Scenes and lines count from 1; scene 0 is the choices, where `line` is the choice.

    `points` are those of the dimension, roughly: above 0 the line earned them, below it cost them.
    """

    scene: Annotated[int, Field(ge=0)]
    line: Annotated[int, Field(ge=0)]
    text: str
    what: str
    measure: str
    points: float


class MeasureScore(Noun):
    """`raw` is in the measure's own unit, `value` what that is worth, 0..1; both None where nothing was to be seen.

    `weight` is its part of the dimension; for a `gate` the whole dimension is multiplied.
    """

    name: str
    raw: float | None
    value: Annotated[float, Field(ge=0, le=1)] | None
    weight: float
    gate: bool = False
    evidence: tuple[Evidence, ...] = ()


class DimensionScore(Noun):
    """`score` 0..10, or None with a `note` on why it cannot be judged. `confidence` 0..1: how much there was to see.

    `helped` and `hurt` are the two lines that did most either way; `suggestion` follows from the measure that cost most.
    """

    score: Annotated[float, Field(ge=0, le=10)] | None
    confidence: Annotated[float, Field(ge=0, le=1)] = 0.0
    note: str = ""
    helped: tuple[Evidence, ...] = ()
    hurt: tuple[Evidence, ...] = ()
    suggestion: str = ""
    measures: tuple[MeasureScore, ...] = ()


class Beside(Noun):
    """A second opinion, reported next to the score and never mixed into it. `score` on its own scale, in words."""

    name: str
    score: float | None
    scale: str
    notes: tuple[str, ...] = ()


class Scorecard(Noun):
    """`overall` 0..10, or None with the `reason`. `scorer_version` names scale and code: scores of two versions do not compare."""

    overall: Annotated[float, Field(ge=0, le=10)] | None
    quality_class: QualityClass | None = None
    reason: str = ""
    confidence: Annotated[float, Field(ge=0, le=1)] = 0.0
    dimensions: dict[DimensionName, DimensionScore] = Field(default_factory=dict)
    notes: tuple[str, ...] = ()
    beside: tuple[Beside, ...] = ()
    scorer_version: str
