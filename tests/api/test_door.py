"""Who may do what over HTTP, and how much of it."""

from __future__ import annotations

import json
from typing import Any

import pytest
from starlette.testclient import TestClient

from cinegen_core.api import Limits, api_app
from cinegen_core.studio import Studio
from tests.api.room import READS, TOKEN, UNSET, WRITES, Watch, busy_seconds, here, problem, write
from tests.fakes import FakeClock, StuckWriter, a_studio


class TestWhoMayDoWhat:
    @pytest.fixture
    def studio(self, spared: Studio) -> Studio:
        return spared

    @pytest.mark.parametrize(("method", "path", "body"), WRITES)
    @pytest.mark.parametrize(
        "given", [None, "", "Bearer", "Bearer wrong", f"Basic {TOKEN}", f"Bearer {TOKEN}x", "Bearer é"]
    )
    def test_nothing_is_changed_without_the_token(
        self, studio: Studio, watch: Watch, method: str, path: str, body: Any, given: str | None
    ) -> None:
        headers = [] if given is None else [(b"authorization", given.encode())]
        with here(studio, watch) as client:
            answer = client.request(method, path, json=body, headers=headers)
        problem(answer, 401, "not-authorised")
        assert answer.headers["www-authenticate"] == "Bearer"
        assert studio.store.seasons() == ()
        assert studio.steering is not None
        assert studio.steering.flags.version == 0

    @pytest.mark.parametrize(("method", "path", "body"), WRITES)
    @pytest.mark.parametrize("given", ["", "Bearer ", "Bearer x"])
    def test_where_no_token_is_set_nothing_is_changed_at_all(
        self, studio: Studio, watch: Watch, method: str, path: str, body: Any, given: str
    ) -> None:
        with here(studio, watch, token=UNSET) as client:
            answer = client.request(method, path, json=body, headers={"authorization": given})
        assert "Set CINEGEN_API_TOKEN" in problem(answer, 403, "no-token-set")["detail"]

    @pytest.mark.parametrize(("method", "path", "body"), WRITES)
    @pytest.mark.parametrize(
        "origin",
        ["http://evil.example", "null", "https://127.0.0.1:8501", "http://127.0.0.1", "http://[", ""],
    )
    def test_pages_of_others_change_nothing(
        self, client: TestClient, studio: Studio, method: str, path: str, body: Any, origin: str
    ) -> None:
        problem(client.request(method, path, json=body, headers={"origin": origin}), 403, "other-origin")

    def test_the_writes_tried_here_are_all_that_there_are(self, studio: Studio, watch: Watch) -> None:
        with here(studio, watch) as client:
            paths = client.get("/openapi.json").json()["paths"]
        declared = {
            (method.upper(), path.replace("{key}", "genre_engines"))
            for path, methods in paths.items()
            for method in methods
            if method != "get"
        }
        tried = {
            (method, path.replace("/0000000000000000", "/{id}").replace("/one/", "/{id}/"))
            for method, path, _ in WRITES
        }
        assert declared == tried

    @pytest.mark.parametrize("path", READS)
    def test_from_elsewhere_nothing_is_read_without_the_token(
        self, studio: Studio, watch: Watch, path: str
    ) -> None:
        with here(studio, watch, address="192.0.2.7") as client:
            problem(client.get(path), 401, "not-authorised")
            assert client.get(path, headers={"authorization": f"Bearer {TOKEN}"}).status_code in (200, 404)
        with here(studio, watch, address="192.0.2.7", token=UNSET) as client:
            problem(client.get(path), 403, "no-token-set")

    @pytest.mark.parametrize("address", ["127.0.0.1", "127.8.8.8", "::1", "::ffff:127.0.0.1"])
    @pytest.mark.parametrize("host", ["127.0.0.1:8501", "localhost:8501", "[::1]:8501", "localhost"])
    def test_at_the_studios_own_computer_reading_is_free(
        self, studio: Studio, watch: Watch, address: str, host: str
    ) -> None:
        with here(studio, watch, address=address) as client:
            assert client.get("/healthz", headers={"host": host}).status_code == 200

    @pytest.mark.parametrize(
        "headers",
        [
            {"x-forwarded-for": "192.0.2.7"},
            {"forwarded": "for=192.0.2.7"},
            {"host": "evil.example"},
            {"host": "127.0.0.1.evil.example"},
            {"host": "["},
        ],
    )
    def test_a_proxy_or_a_page_on_it_is_not_the_computer_itself(
        self, studio: Studio, watch: Watch, headers: dict[str, str]
    ) -> None:
        with here(studio, watch) as client:
            problem(client.get("/healthz", headers=headers), 401, "not-authorised")


class TestLimits:
    @pytest.fixture
    def studio(self, spared: Studio) -> Studio:
        return spared

    @pytest.mark.parametrize(("method", "path", "body"), [one for one in WRITES if one[2] is not None])
    @pytest.mark.parametrize(
        "media", ["text/plain", "application/x-www-form-urlencoded", "multipart/form-data", ""]
    )
    def test_only_json_is_taken(
        self, client: TestClient, method: str, path: str, body: Any, media: str
    ) -> None:
        answer = client.request(method, path, content=json.dumps(body), headers={"content-type": media})
        problem(answer, 415, "not-json")

    @pytest.mark.parametrize(
        "content",
        ["", " ", "{", "[]", "3", '{"a": NaN}', '{"on": true, "on": false}', "[" * 50_000, b"\xff\xfe"],
    )
    def test_what_is_no_json_object_is_refused(self, client: TestClient, content: Any) -> None:
        answer = client.post("/emergency", content=content, headers={"content-type": "application/json"})
        problem(answer, 400, "broken")

    def test_half_a_character_is_refused(self, client: TestClient) -> None:
        body = '{"on": true, "who": "Pip", "reason": "\\ud800"}'
        answer = client.post(
            "/emergency", content=body, headers={"content-type": "application/json; charset=utf-8"}
        )
        assert answer.status_code in (400, 422)

    @pytest.mark.parametrize("said", [True, False])
    def test_a_body_may_only_be_so_large(self, studio: Studio, watch: Watch, said: bool) -> None:
        headers = {"authorization": f"Bearer {TOKEN}", "content-type": "application/json"}
        long = json.dumps({"on": True, "who": "Pip", "reason": "x" * 100}).encode()
        with here(studio, watch, limits=Limits(body_bytes=100)) as client:
            content: Any = long if said else iter([long[:60], long[60:]])
            answer = client.post("/emergency", content=content, headers=headers)
            assert "100 bytes" in problem(answer, 413, "too-large")["detail"]
        assert studio.emergency is None

    def test_a_client_may_only_ask_so_often(self, studio: Studio, watch: Watch) -> None:
        clock = FakeClock()
        with here(studio, watch, clock=clock, limits=Limits(per_second=0.5, burst=2)) as client:
            assert [client.get("/healthz").status_code for _ in range(3)] == [200, 200, 429]
            answer = client.get("/nothing")
            problem(answer, 429, "too-many")
            assert busy_seconds(answer) == 2
            clock.seconds = 2.0
            assert [client.get("/healthz").status_code for _ in range(2)] == [200, 429]

    def test_one_client_does_not_use_up_what_another_may_ask(self, studio: Studio, watch: Watch) -> None:
        app = api_app(studio, watch, token=TOKEN, clock=FakeClock(), limits=Limits(burst=1))
        first, second = (
            TestClient(app, base_url="http://localhost", client=(address, 1))
            for address in ("127.0.0.1", "127.0.0.2")
        )
        assert [one.get("/healthz").status_code for one in (first, first, second)] == [200, 429, 200]

    def test_only_so_many_are_answered_at_the_same_time(self, watch: Watch) -> None:
        with a_studio(StuckWriter()) as studio, here(studio, watch, limits=Limits(concurrent=1)) as client:
            client.headers["authorization"] = f"Bearer {TOKEN}"
            job = write(client, wait=False).json()["job"]
            with client.stream("GET", f"/jobs/{job}/events"):
                answer = client.get("/metrics")
                problem(answer, 503, "too-many-at-once")
                assert busy_seconds(answer) >= 1
                assert client.get("/healthz").status_code == 200
                studio.cancel(job)
                studio.wait(job, 20)
            assert client.get("/metrics").status_code == 200
