"""The reference shelf: good episodes written for it, copies with one fault each, and scripts that readers have rated.

Nothing of it is ever read by a writer. `good/` and `faults/` are Fountain, `bibles/` has the series' bibles.
"""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache, lru_cache
from pathlib import Path

from cinegen_core.story import StoryBible
from cinegen_core.story.formats import read_script
from cinegen_core.story.load import load_bible
from cinegen_core.story.script import Script

SHELF = Path(__file__).parents[1] / "shelf"


@dataclass(frozen=True)
class Fault:
    """A copy of the exemplar `name` with one fault in one dimension."""

    dimension: str
    fault: str
    name: str
    path: Path

    @property
    def id(self) -> str:
        return f"{self.dimension}__{self.fault}__{self.name}"


def script(path: Path) -> Script:
    return read_script(path.read_text(encoding="utf-8"), name=path.name)


@cache
def bible(name: str) -> StoryBible:
    return load_bible(SHELF / "bibles" / f"{name}.yaml")


@lru_cache(maxsize=1)
def exemplars() -> Mapping[str, Script]:
    """The good episodes by name."""
    return {path.stem: script(path) for path in sorted((SHELF / "good").glob("*.fountain"))}


def faults() -> list[Fault]:
    found = []
    for path in sorted((SHELF / "faults").glob("*.fountain")):
        dimension, fault, name = path.stem.split("__")
        found.append(Fault(dimension, fault, name, path))
    return found


def known_gaps() -> Mapping[str, str]:
    """Faults that the scorer does not see as it should, each with what it does instead."""
    table: dict[str, str] = tomllib.loads((SHELF / "gaps.toml").read_text(encoding="utf-8"))["gaps"]
    return table
