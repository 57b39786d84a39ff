"""Judges scripts by what is on their pages: seven dimensions, each point earned by lines that it can show.

It knows no engine, writer, directive or tier: it sees a script and a bible, as a reader does.
"""

from cinegen_core.scorer.model import (
    DIMENSION_WORDS,
    Beside,
    DimensionName,
    DimensionScore,
    Evidence,
    MeasureScore,
    QualityClass,
    Scorecard,
    quality_class,
)
from cinegen_core.scorer.scoring import score

__all__ = [
    "DIMENSION_WORDS",
    "Beside",
    "DimensionName",
    "DimensionScore",
    "Evidence",
    "MeasureScore",
    "QualityClass",
    "Scorecard",
    "quality_class",
    "score",
]
