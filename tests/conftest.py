"""What many tests start from."""

from __future__ import annotations

from pathlib import Path

import pytest

from cinegen_core.story import StoryBible
from cinegen_core.story.load import load_bible, load_sample, sample_names
from cinegen_core.writers.embedded import EmbeddedWriter

BIBLES = Path(__file__).parent / "bibles"


@pytest.fixture(scope="session")
def embedded() -> EmbeddedWriter:
    return EmbeddedWriter()


@pytest.fixture(scope="session")
def samples() -> dict[str, StoryBible]:
    """The series that ship with the studio."""
    return {name: load_sample(name) for name in sample_names()}


@pytest.fixture(scope="session")
def typed_bibles() -> dict[str, StoryBible]:
    """Bibles as ordinary users type them: no cards."""
    return {path.stem: load_bible(path) for path in sorted(BIBLES.iterdir())}
