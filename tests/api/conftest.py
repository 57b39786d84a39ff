"""A studio with the flags that ship with it, and somebody who asks it over HTTP."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from starlette.testclient import TestClient

from cinegen_core.studio import Studio
from tests.api.room import TOKEN, Watch, here, steering
from tests.fakes import FakeWriter, a_studio


@pytest.fixture
def writer() -> FakeWriter:
    return FakeWriter()


@pytest.fixture
def settings() -> dict[str, Any]:
    return {}


@pytest.fixture
def studio(writer: FakeWriter, settings: dict[str, Any], tmp_path: Path) -> Iterator[Studio]:
    """A studio with the flags that ship with it."""
    with a_studio(writer, **settings) as made:
        made.steering = steering(tmp_path)
        yield made


@pytest.fixture(scope="module")
def spared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Studio]:
    """One studio for all the tests in which nothing reaches it."""
    with a_studio() as made:
        made.steering = steering(tmp_path_factory.mktemp("spared"))
        yield made
        assert made.store.seasons() == ()
        assert made.steering.flags.version == 0


@pytest.fixture
def watch() -> Watch:
    return Watch()


@pytest.fixture
def client(studio: Studio, watch: Watch) -> Iterator[TestClient]:
    """Somebody at the studio's own computer, with the token."""
    with here(studio, watch) as made:
        made.headers["authorization"] = f"Bearer {TOKEN}"
        yield made
