"""The shipped pool and flags, which every simulation starts from."""

from __future__ import annotations

from pathlib import Path

import pytest

from cinegen_core.flags.declared import load_declared
from cinegen_core.flags.model import Declared
from cinegen_core.simulation import Pool, shipped_pool


@pytest.fixture(scope="session")
def pool() -> Pool:
    return shipped_pool()


@pytest.fixture(scope="session")
def declared() -> Declared:
    return load_declared(Path(__file__).parents[2] / "flags.toml")
