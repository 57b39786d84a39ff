"""The command line and the page write with a language model, and say so."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from streamlit.testing.v1 import AppTest
from typer.testing import CliRunner

from cinegen_core.cli import app
from cinegen_core.settings import Settings
from cinegen_core.store import MemoryStore
from cinegen_core.store.results import NoResults
from cinegen_core.studio import Studio
from cinegen_core.writers.model import Provider
from pages import shared
from tests.model.brain import SHELF, brain
from tests.model.faults import always
from tests.model.server import ModelServer

BIBLE = str(SHELF / "bibles" / "long_tow.yaml")
PAGE = str(Path(__file__).parents[2] / "studio_app.py")


@pytest.fixture
def server() -> Iterator[ModelServer]:
    with ModelServer(brain=brain) as running:
        yield running


@pytest.fixture
def command(server: ModelServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> CliRunner:
    file = tmp_path / "providers.toml"
    file.write_text(
        f'[[provider]]\nname = "house"\nbase_url = "{server.base_url}"\nmodel = "house-model"\n'
        "prices = { prompt = 1.0, completion = 2.0 }\n"
        f'[[provider]]\nname = "spare"\nbase_url = "{server.base_url}"\nmodel = "spare-model"\n',
        encoding="utf-8",
    )
    monkeypatch.setenv("CINEGEN_PROVIDERS", str(file))
    monkeypatch.setenv("CINEGEN_DATA_DIR", str(tmp_path / "data"))
    return CliRunner()


def test_one_line_says_which_tier_and_writer_answered_and_what_it_took(
    command: CliRunner, server: ModelServer
) -> None:
    done = command.invoke(app, ["write", BIBLE])
    assert done.exit_code == 0, done.output
    assert "comprehensive (with the engines), writer house-model." in done.stderr
    assert "18 calls" in done.stderr or "19 calls" in done.stderr
    assert "$" in done.stderr
    again = command.invoke(app, ["write", BIBLE])
    assert "--fresh writes anew" in again.stderr
    assert again.stdout == done.stdout


@pytest.mark.parametrize(("name", "writer"), [("spare", "spare-model"), ("embedded", "embedded")])
def test_a_provider_can_be_asked_for_by_name(
    command: CliRunner, server: ModelServer, name: str, writer: str
) -> None:
    done = command.invoke(app, ["write", BIBLE, "--provider", name])
    assert done.exit_code == 0, done.output
    assert f"writer {writer}." in done.stderr
    assert (server.calls == 0) is (name == "embedded")


def test_a_provider_that_is_not_there_is_named_with_those_that_are(command: CliRunner) -> None:
    done = command.invoke(app, ["write", BIBLE, "--provider", "hause"])
    assert done.exit_code == 2
    assert "There are: house, spare, embedded." in done.output


def test_when_the_model_is_out_the_line_says_why_the_template_wrote(
    command: CliRunner, server: ModelServer
) -> None:
    server.plan = always("unavailable")
    done = command.invoke(app, ["write", BIBLE], env={"CINEGEN_BUDGET_SECONDS": "3"})
    assert done.exit_code == 0
    assert "since no language model answered" in done.stderr


def test_what_is_kept_can_be_shown_and_cleared(command: CliRunner) -> None:
    assert "0 kept" in command.invoke(app, ["cache", "show"]).output
    command.invoke(app, ["write", BIBLE, "--provider", "embedded"])
    assert "1 kept" in command.invoke(app, ["cache", "show"]).output
    assert "1 forgotten" in command.invoke(app, ["cache", "clear"]).output
    assert "0 kept" in command.invoke(app, ["cache", "show"]).output


@pytest.fixture
def studio(server: ModelServer, monkeypatch: pytest.MonkeyPatch) -> Iterator[Studio]:
    provider = Provider(name="house", base_url=server.base_url, model="house-model")
    with Studio(Settings(providers=(provider,)), store=MemoryStore(), results=NoResults()) as made:
        monkeypatch.setattr(shared, "make_studio", lambda: made)
        shared.the_studio.clear()
        yield made
    shared.the_studio.clear()


def test_the_page_says_who_will_write_and_who_has_written(studio: Studio, server: ModelServer) -> None:
    page = AppTest.from_file(PAGE, default_timeout=20)
    page.run()
    assert any("the model house\\-model" in caption.value for caption in page.caption)
    page.radio(key="kind").set_value("A file or text").run()
    page.text_area(key="bible_text").set_value(Path(BIBLE).read_text(encoding="utf-8")).run()
    page.button(key="write").click().run()
    job = page.query_params["job"]
    studio.wait(job if isinstance(job, str) else job[0], 20)
    page.run()
    page.segmented_control(key="beside").set_value("Origin").run()
    assert not page.exception
    assert any("house\\-model" in text.value for text in page.markdown)
    html = "\n".join(element.proto.body for element in page.get("html"))
    assert "to house, " in html
    assert server.calls > 15


def test_the_page_offers_the_embedded_writer_too(studio: Studio, server: ModelServer) -> None:
    page = AppTest.from_file(PAGE, default_timeout=20)
    page.run()
    page.selectbox(key="first_writer").set_value("embedded").run()
    page.button(key="write").click().run()
    job = page.query_params["job"]
    studio.wait(job if isinstance(job, str) else job[0], 20)
    page.run()
    assert not page.exception
    assert server.calls == 0
