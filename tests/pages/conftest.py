from __future__ import annotations

from collections.abc import Iterator

import pytest

from cinegen_core.studio import Studio
from pages import shared
from tests.fakes import FakeWriter, a_studio


@pytest.fixture
def writer() -> FakeWriter:
    """What the studio writes with; a test may ask for another kind by overriding this."""
    return FakeWriter()


@pytest.fixture
def studio(writer: FakeWriter, monkeypatch: pytest.MonkeyPatch) -> Iterator[Studio]:
    """The studio that the pages open: nothing on disk, nothing slow."""
    with a_studio(writer) as made:
        monkeypatch.setattr(shared, "make_studio", lambda: made)
        shared.the_studio.clear()
        yield made
    shared.the_studio.clear()
