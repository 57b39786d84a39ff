"""Requests of all kinds, made from the OpenAPI document by an independent program: the document is true, and nothing breaks."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
import schemathesis
from hypothesis import HealthCheck, settings
from schemathesis import Case
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    negative_data_rejection,
    response_headers_conformance,
    response_schema_conformance,
    status_code_conformance,
    unsupported_method,
)
from starlette.applications import Starlette
from starlette.routing import Mount

from cinegen_core.api import Limits, api_app
from cinegen_core.monitoring import Monitoring
from cinegen_core.store.events import SqlEvents
from cinegen_core.store.rollups import SqlRollups
from cinegen_core.store.sql import Database, sqlite_url
from cinegen_core.studio import Studio
from tests.api.room import TOKEN, steering
from tests.fakes import FakeClock, a_studio

FIXED: Any = settings(
    max_examples=12, derandomize=True, database=None, deadline=None, suppress_health_check=list(HealthCheck)
)
CHECKS: list[Any] = [
    not_a_server_error, status_code_conformance, content_type_conformance, response_schema_conformance,
    response_headers_conformance, negative_data_rejection, unsupported_method,
]  # fmt: skip
MANY = Limits(per_second=1e6, burst=10**6)


@pytest.fixture(scope="module")
def studio(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Studio]:
    """A studio that writes at once, with flags and a record of its own."""
    folder = tmp_path_factory.mktemp("any-request")
    database = Database(sqlite_url(folder / "cinegen.db"))
    events = SqlEvents(database)
    with a_studio(jobs=64) as made:
        made.steering = steering(folder)
        made.monitoring = Monitoring(
            events, SqlRollups(database, events), now=FakeClock().now, secret="s", studio="one"
        )
        yield made
    database.close()


@pytest.fixture(scope="module")
def app(studio: Studio) -> Starlette:
    assert studio.monitoring is not None
    return Starlette(
        routes=[
            Mount("/api", api_app(studio, studio.monitoring, token=TOKEN, clock=FakeClock(), limits=MANY))
        ]
    )


@pytest.fixture(scope="module")
def described(app: Starlette) -> Any:
    return schemathesis.openapi.from_asgi(
        "/api/openapi.json", app, headers={"authorization": f"Bearer {TOKEN}"}
    )


schema = schemathesis.pytest.from_fixture("described")


@schema.parametrize()
@FIXED
def test_whatever_is_asked_the_answer_is_as_described(case: Case) -> None:
    case.call_and_validate(headers={"authorization": f"Bearer {TOKEN}"}, checks=CHECKS)
