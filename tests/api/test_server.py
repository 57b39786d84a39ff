"""What the studio's own server answers beside its pages."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import threading
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest
from starlette.applications import Starlette
from starlette.testclient import TestClient

import studio_app
from cinegen_core.monitoring import Monitoring
from cinegen_core.store import StoreError
from cinegen_core.store.events import SqlEvents
from cinegen_core.store.rollups import SqlRollups
from cinegen_core.store.sql import Database, sqlite_url
from cinegen_core.studio import Studio
from pages import shared
from tests.api.room import TOKEN, FullDisk, problem
from tests.fakes import FakeClock, a_studio

ROOT = Path(__file__).parents[2]
OURS = ("api", "metrics", "healthz")


@pytest.fixture
def studio(tmp_path: Path) -> Iterator[Studio]:
    """A studio that records what happens."""
    database = Database(sqlite_url(tmp_path / "cinegen.db"))
    events = SqlEvents(database)
    with a_studio(api_token=TOKEN) as made:
        made.monitoring = Monitoring(
            events, SqlRollups(database, events), now=FakeClock().now, secret="s", studio="one"
        )
        yield made
    database.close()


def forget() -> None:
    shared.the_studio.clear()
    shared._built_api.clear()


@pytest.fixture
def client(studio: Studio, monkeypatch: pytest.MonkeyPatch) -> Iterator[TestClient]:
    """Somebody at the studio's own computer."""
    monkeypatch.setattr(shared, "make_studio", lambda: studio)
    forget()
    app = Starlette(routes=studio_app.routes)
    with TestClient(app, base_url="http://127.0.0.1:8501", client=("127.0.0.1", 50000)) as made:
        yield made
    forget()


@pytest.fixture(scope="module")
def address(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Where a studio of one's own is served, Streamlit and all; a server in this process could be started only once."""
    environ = {
        **os.environ,
        "CINEGEN_DATA_DIR": str(tmp_path_factory.mktemp("data")),
        "CINEGEN_API_TOKEN": TOKEN,
    }
    command = [sys.executable, "-m", "uvicorn", "studio_app:app", "--host", "127.0.0.1", "--port", "0"]
    with subprocess.Popen(command, cwd=ROOT, env=environ, stderr=subprocess.PIPE, text=True) as server:
        assert server.stderr is not None
        found = (re.search(r"running on (http://[\d.]+:\d+)", line) for line in server.stderr)
        at = next((match.group(1) for match in found if match), "")
        rest = threading.Thread(target=server.stderr.read)
        rest.start()
        try:
            assert at, "the server ended before it was up"
            yield at
        finally:
            server.terminate()
            rest.join()


def get(address: str) -> tuple[int, str, str]:
    """Status, content type and text of an answer."""
    try:
        with urllib.request.urlopen(address, timeout=60) as answer:  # noqa: S310
            return answer.status, answer.headers["content-type"], answer.read().decode()
    except urllib.error.HTTPError as error:
        with error:
            return error.code, error.headers["content-type"], error.read().decode()


@pytest.mark.parametrize("path", ["/metrics", "/api/metrics"])
def test_prometheus_finds_the_figures_where_it_looks_for_them(client: TestClient, path: str) -> None:
    answer = client.get(path)
    assert answer.status_code == 200
    assert answer.headers["content-type"].startswith("text/plain; version=0.0.4")
    assert "cinegen_requests_total" in answer.text


@pytest.mark.parametrize("path", ["/healthz", "/api/healthz"])
def test_a_load_balancer_finds_out_whether_the_studio_can_work(
    client: TestClient, studio: Studio, path: str
) -> None:
    assert client.get(path).json() == {"status": "ok"}
    assert client.head(path).status_code == 200
    studio.store = FullDisk()
    assert "Free some space" in problem(client.get(path), 503, "unable")["detail"]


def test_a_studio_that_cannot_be_opened_is_not_sent_to_and_is_tried_again(
    client: TestClient, studio: Studio, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def refused() -> Studio:
        raise StoreError("the password is hunter2")

    monkeypatch.setattr(shared, "make_studio", refused)
    answer = client.get("/healthz")
    problem(answer, 503, "unable")
    assert "hunter2" not in answer.text
    assert "hunter2" in caplog.text
    monkeypatch.setattr(shared, "make_studio", lambda: studio)
    assert client.get("/healthz").status_code == 200


@pytest.mark.parametrize("path", ["/metrics", "/healthz", "/api/metrics", "/api/healthz"])
def test_from_elsewhere_the_root_is_no_way_around_the_token(client: TestClient, path: str) -> None:
    client.headers["x-forwarded-for"] = "192.0.2.7"
    problem(client.get(path), 401, "not-authorised")
    assert client.get(path, headers={"authorization": f"Bearer {TOKEN}"}).status_code == 200


@pytest.mark.parametrize(
    "path", ["/api", "/api/", "/api/nothing", "/api/generate", "/api/jobs", "/api/metrics/x"]
)
@pytest.mark.parametrize("method", ["GET", "POST", "DELETE"])
def test_what_is_not_below_the_api_is_not_there_and_is_no_page(
    client: TestClient, path: str, method: str
) -> None:
    told = problem(client.request(method, path), 404, "not-found")
    assert "/openapi.json" in told["detail"]


@pytest.mark.parametrize("path", ["/metrics", "/healthz"])
def test_at_the_root_too_nothing_is_changed(client: TestClient, path: str) -> None:
    answer = client.post(path, json={}, headers={"authorization": f"Bearer {TOKEN}"})
    problem(answer, 405, "wrong-method")


@pytest.mark.parametrize("path", ["/", "/generate"])
def test_the_pages_are_still_there(address: str, path: str) -> None:
    status, media, text = get(address + path)
    assert (status, media.partition(";")[0], "<html" in text) == (200, "text/html", True)


@pytest.mark.parametrize("path", ["/_stcore/health", "/_stcore/host-config", "/_stcore/metrics"])
def test_what_streamlit_serves_itself_is_still_there(address: str, path: str) -> None:
    status, _, text = get(address + path)
    assert status == 200
    assert "cinegen" not in text
    assert "urn:" not in text


@pytest.mark.parametrize("path", ["/metrics", "/api/metrics"])
def test_the_whole_server_has_the_figures_too(address: str, path: str) -> None:
    status, media, text = get(address + path)
    assert (status, media) == (200, "text/plain; version=0.0.4; charset=utf-8")
    assert "cinegen_requests_total" in text


@pytest.mark.parametrize("path", ["/healthz", "/api/healthz"])
def test_the_whole_server_says_that_it_can_work(address: str, path: str) -> None:
    status, media, text = get(address + path)
    assert (status, media, json.loads(text)) == (200, "application/json", {"status": "ok"})


@pytest.mark.parametrize("path", ["/api", "/api/", "/api/nothing", "/api/generate", "/api/pages/generate"])
def test_of_the_whole_server_too_nothing_below_the_api_is_a_page(address: str, path: str) -> None:
    status, media, _ = get(address + path)
    assert (status, media) == (404, "application/problem+json")


def test_no_page_has_an_address_that_is_taken() -> None:
    assert not {page.stem for page in (ROOT / "pages").glob("*.py")} & set(OURS)
