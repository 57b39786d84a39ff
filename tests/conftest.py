"""What many tests start from."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import settings

from cinegen_core.story import StoryBible
from cinegen_core.story.load import load_bible, load_sample, sample_names
from cinegen_core.writers.embedded import EmbeddedWriter
from tests.postgres import database_url, postgres

__all__ = ["database_url", "postgres"]

# How long an example takes says something about the machine, not about the studio.
settings.register_profile("studio", deadline=None)
settings.load_profile("studio")

ANYBODYS_MODEL = ("OPENAI_API_KEY", "OPENAI_BASE_URL", "CINEGEN_MODEL", "CINEGEN_PROVIDERS")

BIBLES = Path(__file__).parent / "bibles"


@pytest.fixture(autouse=True)
def nobodys_model(monkeypatch: pytest.MonkeyPatch) -> None:
    """The tests' own models only, whatever is set up where they run."""
    for name in ANYBODYS_MODEL:
        monkeypatch.delenv(name, raising=False)


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
