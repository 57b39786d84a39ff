"""What is answered when something goes wrong, and how the whole is described."""

from __future__ import annotations

import json
import logging
from importlib import import_module
from typing import Any

import pytest
from starlette.routing import Route
from starlette.testclient import TestClient

from cinegen_core.api import api_app
from cinegen_core.studio import Studio
from tests.api.room import (
    BIBLE,
    QUESTIONS,
    SIGNED,
    TOKEN,
    Alert,
    FullDisk,
    Watch,
    busy_seconds,
    here,
    problem,
    write,
)
from tests.fakes import a_studio


class TestWhatGoesWrong:
    @pytest.mark.parametrize("path", ["/", "", "/nothing", "/generate", "/metrics/x", "/openapi.json/"])
    def test_where_there_is_nothing_the_answer_is_json_too(self, client: TestClient, path: str) -> None:
        answer = client.get(f"http://127.0.0.1:8501/api{path}", follow_redirects=True)
        if path == "/openapi.json/":
            assert answer.status_code == 200  # led to the right address
            return
        assert "/api/openapi.json" in problem(answer, 404, "not-found")["detail"]

    @pytest.mark.parametrize(
        ("method", "path", "allowed"),
        [
            ("PUT", "/generate/episode", "GET, HEAD, POST"),
            ("POST", "/healthz", "GET, HEAD"),
            ("GET", "/emergency", "POST"),
            ("PATCH", "/jobs/x", "DELETE, GET, HEAD"),
            ("OPTIONS", "/emergency", "POST"),
        ],
    )
    def test_what_cannot_be_done_there_says_what_can(
        self, client: TestClient, method: str, path: str, allowed: str
    ) -> None:
        answer = client.request(method, path)
        problem(answer, 405, "wrong-method")
        assert answer.headers["allow"] == allowed

    def test_the_unexpected_is_logged_and_not_shown(
        self, client: TestClient, watch: Watch, caplog: pytest.LogCaptureFixture
    ) -> None:
        watch.breaks = True
        with caplog.at_level(logging.ERROR):
            answer = client.get("/generate/episode?endpoint=health")
        problem(answer, 500, "unexpected")
        assert "hunter2" not in answer.text
        assert "hunter2" in caplog.text

    def test_a_studio_that_cannot_keep_anything_is_no_longer_sent_to(self, watch: Watch) -> None:
        with a_studio(store=FullDisk()) as studio, here(studio, watch) as client:
            answer = client.get("/healthz")
            assert "Free some space" in problem(answer, 503, "unable")["detail"]
            assert busy_seconds(answer) >= 1

    def test_an_episode_that_could_not_be_kept_is_no_success(self, watch: Watch) -> None:
        with a_studio(store=FullDisk()) as studio, here(studio, watch) as client:
            client.headers["authorization"] = f"Bearer {TOKEN}"
            assert "Free some space" in problem(write(client), 500, "not-written")["detail"]

    def test_a_studio_that_can_write_is_sent_to(self, client: TestClient) -> None:
        assert client.get("/healthz").json() == {"status": "ok"}
        assert client.head("/healthz").status_code == 200

    def test_answers_are_not_kept_on_the_way(self, client: TestClient) -> None:
        for path in ("/healthz", "/nothing"):
            assert client.get(path).headers["cache-control"] == "no-store"


class TestDescription:
    @pytest.fixture
    def document(self, client: TestClient) -> Any:
        return client.get("/openapi.json").json()

    def test_it_lists_exactly_what_there_is(self, studio: Studio, watch: Watch, document: Any) -> None:
        app = api_app(studio, watch, token=TOKEN)
        routes = {
            route.path: {method.lower() for method in route.methods or ()} - {"head"}
            for route in app.routes
            if isinstance(route, Route)
        }
        assert len(routes) == len(app.routes)
        assert {path: set(methods) for path, methods in document["paths"].items()} == routes
        assert document["openapi"] == "3.1.0"
        assert document["servers"] == [{"url": "/api"}]

    def test_every_operation_has_its_own_id_and_says_what_it_needs(self, document: Any) -> None:
        operations = [
            (method, one) for methods in document["paths"].values() for method, one in methods.items()
        ]
        ids = [one["operationId"] for _, one in operations]
        assert len(set(ids)) == len(ids)
        assert all(({} in one["security"]) == (method == "get") for method, one in operations)

    def test_all_that_it_refers_to_is_there(self, document: Any) -> None:
        schemas = document["components"]["schemas"]
        refers = {part.split('"')[0] for part in json.dumps(document).split("#/components/schemas/")[1:]}
        assert refers <= schemas.keys()
        validator = import_module("jsonschema").Draft202012Validator
        for schema in schemas.values():
            validator.check_schema(schema)

    def test_answers_are_as_described(self, client: TestClient, watch: Watch, document: Any) -> None:
        watch.has = [Alert()]
        cases: list[tuple[str, str, str, Any]] = [
            ("/generate/episode", "get", f"/generate/episode?endpoint={question}", None)
            for question in QUESTIONS
        ]
        job = write(client).headers["content-location"].rpartition("/")[2]
        cases += [
            ("/generate/episode", "post", "/generate/episode", {"storyBible": BIBLE}),
            ("/generate/episode", "post", "/generate/episode", {"storyBible": BIBLE, "wait": False}),
            ("/generate/episode", "post", "/generate/episode", {"storyBible": {}}),
            ("/jobs/{id}", "get", f"/jobs/{job}", None),
            ("/jobs/{id}", "get", "/jobs/x", None),
            ("/jobs/{id}", "delete", f"/jobs/{job}", None),
            ("/feedback", "post", "/feedback", {"generation": job, "action": "exported"}),
            ("/flags/{key}", "post", "/flags/genre_engines", {"percent": 5, **SIGNED}),
            ("/flags/{key}/rearm", "post", "/flags/genre_engines/rearm", SIGNED),
            ("/flags/{key}", "post", "/flags/genre_engines", {"percent": 6, **SIGNED, "version": 0}),
            ("/flags/{key}/rollback", "post", "/flags/genre_engines/rollback", SIGNED),
            ("/emergency", "post", "/emergency", {"on": True, **SIGNED}),
            ("/alerts/{id}/acknowledge", "post", "/alerts/one/acknowledge", {"by": "Pip"}),
            ("/healthz", "get", "/healthz", None),
        ]
        validator = import_module("jsonschema").Draft202012Validator
        for path, method, address, body in cases:
            answer = client.request(method.upper(), address, json=body)
            described = document["paths"][path][method]["responses"][str(answer.status_code)]
            schema = described["content"][answer.headers["content-type"]]["schema"]
            validator({**schema, "components": document["components"]}).validate(answer.json())
            if body is not None and answer.status_code < 400:
                schema = document["paths"][path][method]["requestBody"]["content"]["application/json"][
                    "schema"
                ]
                validator({**schema, "components": document["components"]}).validate(body)
