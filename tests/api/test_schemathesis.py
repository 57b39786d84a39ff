"""Requests of all kinds, made from the OpenAPI document by an independent program: the document is true, and nothing breaks."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any
from urllib.parse import unquote

import pytest
import schemathesis
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from schemathesis import Case, GenerationMode
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
from starlette.testclient import TestClient

from cinegen_core.api import Limits, api_app
from cinegen_core.api.table import ENDPOINTS
from cinegen_core.monitoring import Monitoring
from cinegen_core.store.events import SqlEvents
from cinegen_core.store.rollups import SqlRollups
from cinegen_core.store.sql import Database, sqlite_url
from cinegen_core.studio import Studio
from tests.api.room import BIBLE, TOKEN, steering
from tests.fakes import FakeClock, a_studio

FIXED = settings(
    max_examples=20, derandomize=True, database=None, deadline=None, suppress_health_check=list(HealthCheck)
)
CHECKS: list[Any] = [
    not_a_server_error, status_code_conformance, content_type_conformance, response_schema_conformance,
    response_headers_conformance, negative_data_rejection, unsupported_method,
]  # fmt: skip
AUTHORISED = {"authorization": f"Bearer {TOKEN}"}
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
    return schemathesis.openapi.from_asgi("/api/openapi.json", app, headers=AUTHORISED)


@pytest.fixture(scope="module")
def job(app: Starlette) -> str:
    """One that has ended."""
    with TestClient(app) as client:
        answer = client.post("/api/generate/episode", json={"storyBible": BIBLE}, headers=AUTHORISED)
    return answer.headers["content-location"].rpartition("/")[2]


ALLOWED = [(endpoint.method, endpoint.path, GenerationMode.POSITIVE) for endpoint in ENDPOINTS]
NOT_ALLOWED = [
    (endpoint.method, endpoint.path, GenerationMode.NEGATIVE)
    for endpoint in ENDPOINTS
    if endpoint.body is not None or endpoint.query
]
WRITES = [(endpoint.method, endpoint.path) for endpoint in ENDPOINTS if endpoint.writes]
BY_CHANCE = ("/alerts/{id}/acknowledge", "/alerts/silence", "/feedback", "/flags/{key}")
"""Where chance may not come upon an alert, a rule, an episode, or the flags' version; there are other tests of these."""

NO_TOKENS: list[dict[str, str]] = [{}, {"authorization": "Bearer wrong"}, {"authorization": "Bearer "}]


@pytest.mark.parametrize(("method", "path", "mode"), [*ALLOWED, *NOT_ALLOWED])
def test_whatever_is_asked_the_answer_is_as_described(
    described: Any, job: str, method: str, path: str, mode: GenerationMode
) -> None:
    """Of what the document allows, and of what it does not; also of flags, jobs and bibles that there are."""
    cases = described[path][method].as_strategy(generation_mode=mode)

    @FIXED
    @given(case=cases, known=st.booleans() if mode is GenerationMode.POSITIVE else st.just(False))
    def holds(case: Case[Any], known: bool) -> None:
        if known:
            name = {"key": "genre_engines", "id": job}
            case.path_parameters.update({part: name[part] for part in case.path_parameters})
            if isinstance(case.body, dict) and "storyBible" in case.body:
                # What else chance puts into it, a state of another season say, is refused for good reasons.
                case.body = {"storyBible": BIBLE, "wait": case.body.get("wait", True) is not False}
        seen.add(case.call_and_validate(headers=AUTHORISED, checks=CHECKS).status_code)

    seen: set[int] = set()
    holds()
    assert seen & {200, 202} or mode is GenerationMode.NEGATIVE or path in BY_CHANCE


@pytest.mark.parametrize(("method", "path"), WRITES)
def test_whatever_is_sent_without_the_token_nothing_is_changed(
    described: Any, studio: Studio, method: str, path: str
) -> None:
    before = standing(studio)

    @FIXED
    @given(case=described[path][method].as_strategy())
    def refused(case: Case[Any]) -> None:
        case.headers.pop("Authorization", None)
        for headers in NO_TOKENS:
            answer = case.call(headers=headers)
            if answer.status_code == 404 and any(
                not unquote(part).strip() for part in case.path_parameters.values()
            ):
                continue  # a name of nothing but white space: there is no such address
            assert answer.status_code in (401, 403)
            case.validate_response(answer, checks=CHECKS[:-2])

    refused()
    assert standing(studio) == before


def standing(studio: Studio) -> tuple[Any, ...]:
    """All that requests may change."""
    assert studio.steering is not None
    assert studio.monitoring is not None
    seasons = studio.store.seasons()
    return (
        studio.steering.flags.version, studio.emergency, studio.monitoring.events(),
        [(season, studio.store.records(season.id)) for season in seasons],
    )  # fmt: skip
