"""The scale: what each measure is worth, read from scale.toml."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping, Sequence
from functools import lru_cache
from importlib.resources import files
from itertools import pairwise
from typing import Annotated

from pydantic import Field, model_validator

from cinegen_core.scorer.model import DimensionName
from cinegen_core.story.model import Noun

Point = tuple[float, float]


class Worth(Noun):
    """How a measure's raw number becomes a value: 0 at `zero`, 1 at `full`, straight between, and level beyond.

    With `until` and `gone` the value falls again: 1 up to `until`, 0 at `gone`. A `gate` of .3 multiplies the dimension by
    .3 when the value is 0, and by 1 when it is 1; then `weight` plays no part.
    """

    weight: Annotated[float, Field(ge=0)] = 0.0
    zero: float
    full: float
    until: float | None = None
    gone: float | None = None
    gate: Annotated[float, Field(ge=0, le=1)] | None = None
    source: str = ""

    @model_validator(mode="after")
    def _makes_a_curve(self) -> Worth:
        if self.zero == self.full:
            raise ValueError("`zero` and `full` must differ")
        if (self.until is None) != (self.gone is None):
            raise ValueError("`until` and `gone` come together")
        return self

    def value(self, raw: float) -> float:
        up = (raw - self.zero) / (self.full - self.zero)
        if self.until is not None and self.gone is not None and raw > self.until:
            up = (self.gone - raw) / (self.gone - self.until)
        return max(0.0, min(1.0, up))


class DimensionScale(Noun):
    """`weight` in the overall score; `curve` from the mean value of measures to points; `needs` the places looked at for full confidence."""

    weight: Annotated[float, Field(gt=0)]
    curve: Annotated[tuple[Point, ...], Field(min_length=2)]
    needs: Annotated[int, Field(gt=0)]
    measures: dict[str, Worth]

    def points(self, value: float) -> float:
        return along(self.curve, value)


class Scale(Noun):
    """`legible` multiplies every dimension: raw is the share of sentences that are sentences, of this story and new."""

    version: str
    legible: Worth
    dimensions: dict[DimensionName, DimensionScale]


def along(curve: Sequence[Point], x: float) -> float:
    """A value on a line of straight pieces, level beyond its ends."""
    if x <= curve[0][0]:
        return curve[0][1]
    for (x0, y0), (x1, y1) in pairwise(curve):
        if x <= x1:
            return y0 + (y1 - y0) * (x - x0) / (x1 - x0)
    return curve[-1][1]


@lru_cache(maxsize=1)
def shipped() -> Scale:
    """The scale that comes with the studio."""
    text = (files("cinegen_core.scorer") / "scale.toml").read_text(encoding="utf-8")
    return read(tomllib.loads(text))


def read(data: Mapping[str, object]) -> Scale:
    """A scale from a table as scale.toml has it. Raises pydantic's `ValidationError`, which names the key."""
    return Scale.model_validate(data)
