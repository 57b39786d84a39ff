"""A studio that is served and a browser that looks at it, for tests, measurements and pictures of the pages."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Literal
from urllib.parse import urlencode, urlsplit

from playwright.sync_api import Browser, BrowserContext, Page, sync_playwright
from playwright.sync_api import TimeoutError as TookTooLong

ROOT = Path(__file__).parents[2]
PATIENCE = 30_000
"""Milliseconds that a slow machine may take for one step; on a quick one nothing waits that long."""

PAGES = {"Generate": "", "Compare tiers": "compare", "Quality explorer": "explore", "Flags and rollback": "flags", "Health": "health"}  # fmt: skip
"""Every page's title in the navigation, and its address below the studio's."""

Theme = Literal["light", "dark"]
THEMES: tuple[Theme, ...] = ("light", "dark")

_SETTLED = """() => {
  const app = document.querySelector('.stApp');
  const done = app !== null && app.dataset.testScriptState === 'notRunning'
    && document.querySelector('[data-stale="true"], [data-testid="stSkeleton"]') === null;
  const size = done ? document.body.innerHTML.length : -1;
  const seen = window.settledSeen ?? {size: -1, times: 0};
  window.settledSeen = {size, times: done && size === seen.size ? seen.times + 1 : 0};
  return window.settledSeen.times >= 2;
}"""
"""Drawing goes on for a moment after the script has ended: until nothing has changed at three looks in a row."""


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@contextmanager
def served(folder: Path, *, port: int = 0, **settings: str) -> Iterator[str]:
    """The address of a studio over this data folder, started as `cinegen studio` starts it, until the block is left.

    `settings` are those of `Settings`, as in the environment. Those of whoever runs this take no part, nor do their models. With
    a `flags.toml` in the folder, that is the studio's. Port 0 takes a free one. Raises `RuntimeError` for one that does not start.
    """
    port = port or free_port()
    own = ("CINEGEN_", "OPENAI_", "STREAMLIT_")
    environ = {name: value for name, value in os.environ.items() if not name.startswith(own)}
    if (folder / "flags.toml").exists():
        environ["CINEGEN_FLAGS_FILE"] = str(folder / "flags.toml")
    environ |= {f"CINEGEN_{name.upper()}": value for name, value in settings.items()}
    environ |= {"CINEGEN_DATA_DIR": str(folder), "PYTHONUNBUFFERED": "1"}
    command = [sys.executable, "-m", "cinegen_core", "studio", "--no-browser", "--port", str(port)]
    with subprocess.Popen(command, cwd=ROOT, env=environ, stdout=subprocess.PIPE, text=True) as server:
        assert server.stdout is not None
        try:
            if not any("is ready" in line for line in server.stdout):
                raise RuntimeError(f"the studio on port {port} ended before it could be reached")
            yield f"http://127.0.0.1:{port}"
        finally:
            server.terminate()
            server.wait(20)


@contextmanager
def chromium() -> Iterator[Browser]:
    """A headless browser that fetches nothing on its own account: the one on this computer, or else Playwright's."""
    names = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
    found = next((path for path in map(shutil.which, names) if path), None)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=found, args=["--no-sandbox", "--disable-gpu", "--disable-background-networking"]
        )
        yield browser
        browser.close()


def visitor(browser: Browser, *, theme: Theme = "light", width: int = 1280, height: int = 900) -> BrowserContext:  # fmt: skip
    """Somebody with a window of this size."""
    context = browser.new_context(
        accept_downloads=True, color_scheme=theme, viewport={"width": width, "height": height}
    )
    context.set_default_timeout(PATIENCE)
    return context


class Heard:
    """What a browser's pages asked for and complained about, from the moment on that this is made."""

    def __init__(self, context: BrowserContext) -> None:
        self.asked: list[str] = []
        self.errors: list[str] = []
        self.dialogs: list[str] = []
        context.on("request", lambda request: self.asked.append(request.url))
        context.on("weberror", lambda error: self.errors.append(str(error.error)))
        context.on("page", self._listen)

    def _listen(self, page: Page) -> None:
        page.on("websocket", lambda socket: self.asked.append(socket.url))

        def opened(dialog: object) -> None:
            self.dialogs.append(str(dialog))
            dialog.dismiss()  # type: ignore[attr-defined]

        page.on("dialog", opened)

    @property
    def elsewhere(self) -> list[str]:
        """Addresses that are not this computer's. `data:` and `blob:` stay in the browser."""
        return [
            url
            for url in self.asked
            if urlsplit(url).scheme in ("http", "https", "ws", "wss")
            and urlsplit(url).hostname != "127.0.0.1"
        ]


def settled(page: Page) -> Page:
    """Waits until the page's script has come to its end and nothing of an earlier run is left."""
    page.wait_for_function(_SETTLED, polling=60)
    return page


def visit(page: Page, address: str, title: str, **params: str) -> Page:
    """Opens a page of the studio by its address, and waits until it has settled."""
    query = f"?{urlencode(params)}" if params else ""
    page.goto(f"{address}/{PAGES[title]}{query}")
    page.locator(".stApp h1, .stApp h2").first.wait_for()
    return settled(page)


def opened(page: Page, label: str, name: str) -> None:
    """Opens a list so that one of its options can be clicked; again where the page was drawn anew meanwhile, which closes it."""
    for _ in range(5):
        settled(page)
        page.get_by_role("combobox", name=label, exact=True).click()
        try:
            page.get_by_role("option", name=name, exact=True).wait_for(timeout=2_000)
        except TookTooLong:
            page.keyboard.press("Escape")
        else:
            return
    raise AssertionError(f"the list {label!r} does not stay open, or has no {name!r}")
