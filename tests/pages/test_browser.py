"""In a real browser: a new user writes an episode, chooses, reads the next, and takes it home."""

from __future__ import annotations

import os
import re
import shutil
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect, sync_playwright

from cinegen_core.monitor.events import HeartbeatEvent
from cinegen_core.store.events import SqlEvents
from cinegen_core.store.sql import Database, sqlite_url
from cinegen_core.story.formats import from_fountain
from tests.pages.browser import served, visit

ROOT = Path(__file__).parents[2]
PATIENCE = 30_000
"""Milliseconds that a slow machine may take for one step; on a quick one nothing waits that long."""


@pytest.fixture(scope="module")
def address(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A studio of its own, as `cinegen studio` starts it, with empty data."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    environ = {
        **os.environ,
        "CINEGEN_DATA_DIR": str(tmp_path_factory.mktemp("data")),
        "PYTHONUNBUFFERED": "1",
    }
    command = [sys.executable, "-m", "cinegen_core", "studio", "--port", str(port)]
    with subprocess.Popen(command, cwd=ROOT, env=environ, stdout=subprocess.PIPE, text=True) as server:
        assert server.stdout is not None
        try:
            said = next((line for line in server.stdout if "is ready" in line), "")
            assert said, "the studio ended before it could be reached"
            yield f"http://127.0.0.1:{port}"
        finally:
            server.terminate()
            server.wait(20)


@pytest.fixture(scope="module")
def page() -> Iterator[Page]:
    names = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
    found = next((path for path in map(shutil.which, names) if path), None)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=found, args=["--no-sandbox", "--disable-gpu", "--disable-background-networking"]
        )
        context = browser.new_context(accept_downloads=True)
        context.set_default_timeout(PATIENCE)
        yield context.new_page()
        browser.close()


def test_from_the_first_visit_to_the_second_episode(page: Page, address: str, tmp_path: Path) -> None:
    elsewhere: list[str] = []
    page.on("request", lambda request: None if "127.0.0.1" in request.url else elsewhere.append(request.url))
    page.goto(address)
    page.get_by_role("combobox", name="Series").click()
    page.get_by_role("option", name="Slack Water").click()
    page.get_by_role("button", name="Write episode 1").click()

    heading = page.get_by_role("heading", name=re.compile("^Episode 1: "))
    heading.wait_for()
    script = page.locator("article.script")
    expect(script.locator(".cue").nth(11)).to_be_visible()
    first = script.inner_text()
    page.reload()
    heading.wait_for()
    assert script.inner_text() == first

    page.locator("[class*=st-key-choice_] button").nth(1).click()
    page.get_by_role("heading", name=re.compile("^Episode 2: ")).wait_for()
    expect(page.get_by_text("You chose: ")).to_be_visible()
    assert script.inner_text() != first

    card = page.locator(".card")
    card.get_by_text("Dialogue quality").click()
    line = card.locator("details[open] a").first
    target = page.locator(line.get_attribute("href") or "")
    line.click()
    expect(target).to_be_in_viewport()
    assert script.locator(f"[id='{target.get_attribute('id')}']").count() == 1

    with page.expect_download() as started:
        page.get_by_role("button", name="Fountain").click()
    file = tmp_path / started.value.suggested_filename
    started.value.save_as(file)
    assert file.name == "slack-water-e02.fountain"
    read = from_fountain(file.read_text(encoding="utf-8"))
    assert (read.series, read.number, len(read.choices)) == ("Slack Water", 2, 3)

    page.get_by_role("radio", name="Revise").click()
    page.locator("body.picks-lines").wait_for(state="attached")
    script.locator("[id='line-1-2']").click()
    expect(script.locator("[id='line-1-2'].marked")).to_be_visible()
    expect(page.get_by_role("combobox", name="Line")).to_have_value(re.compile(r"^1\.2 "))
    text = page.get_by_label("Text", exact=True)
    expect(text).to_have_count(1)
    text.fill("The stub of a page stands up in the log.")
    page.get_by_role("button", name="Save the line").click()
    expect(script.locator("[id='line-1-2']")).to_have_text(
        re.compile("The stub of a page stands up in the log")
    )
    page.get_by_role("radio", name="Versions").click()
    other = page.get_by_role("combobox", name="Mark up what is different from")
    other.focus()
    expect(other).to_be_in_viewport()
    other.press("ArrowDown")
    page.get_by_role("option", name="version 1").click()
    expect(script.locator("ins").first).to_be_visible()
    page.get_by_role("button", name="Undo: back to the version before").click()
    expect(script.locator("ins")).to_have_count(0)
    page.get_by_role("radio", name="Season").click()
    expect(page.get_by_role("columnheader", name="Episode 2")).to_be_visible()

    # data: and blob: addresses stay in the browser.
    assert [url for url in elsewhere if url.startswith("http")] == []


def test_a_studio_that_is_told_to_end_does_so_while_a_tab_is_open_and_says_that_it_was_meant_to(
    page: Page, tmp_path: Path
) -> None:
    with served(tmp_path) as own:  # leaving it waits for the server, and fails where that goes on
        visit(page, own, "Generate")
    with Database(sqlite_url(tmp_path / "cinegen.db")) as database:
        (*_, last) = (event for _, event in SqlEvents(database).read(kinds=["heartbeat"]))
    assert isinstance(last, HeartbeatEvent)
    assert last.state == "stopped"
