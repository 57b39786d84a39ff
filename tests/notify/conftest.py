"""Both kinds of database, and a receiver of notices on a port of its own."""

from collections.abc import Iterator

import pytest

from cinegen_core.store.sql import Database
from tests.notify.receiver import HandClock, Receiver
from tests.postgres import database_url, postgres

__all__ = ["clock", "database", "database_url", "postgres", "receiver"]


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with Receiver() as serving:
        yield serving


@pytest.fixture
def clock() -> HandClock:
    return HandClock()


@pytest.fixture
def database(database_url: str) -> Iterator[Database]:
    with Database(database_url) as opened:
        yield opened
