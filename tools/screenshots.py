"""Takes the pictures of the studio that the README shows: `python tools/screenshots.py [FOLDER]` (docs by default).

Starts a studio of its own on a free port of 127.0.0.1 with empty data, drives it in headless Chromium, in light and dark.
"""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import sys
import tempfile
from pathlib import Path

from playwright.sync_api import Page, sync_playwright

ROOT = Path(__file__).parents[1]


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def take(page: Page, address: str, folder: Path, theme: str) -> None:
    """The Generate page with an episode, and its scorecard."""
    page.goto(address)
    page.get_by_role("combobox", name="Series").wait_for()
    page.get_by_role("combobox", name="Series").click()
    page.get_by_role("option", name="Slack Water").click()
    page.get_by_role("button", name="Write episode 1").click()
    page.locator("article.script .cue").nth(11).wait_for()
    page.wait_for_timeout(800)
    page.screenshot(path=folder / f"generate_{theme}.png")
    card = page.locator(".card")
    for name in ("Dialogue quality", "Choice quality"):
        card.get_by_text(name).click()
    card.screenshot(path=folder / f"scorecard_{theme}.png")


def main() -> int:
    folder = Path(sys.argv[1]) if len(sys.argv) > 1 else ROOT / "docs"
    folder.mkdir(parents=True, exist_ok=True)
    port = free_port()
    with tempfile.TemporaryDirectory() as data, sync_playwright() as playwright:
        environ = {**os.environ, "CINEGEN_DATA_DIR": data, "PYTHONUNBUFFERED": "1"}
        command = [sys.executable, "-m", "cinegen_core", "studio", "--port", str(port)]
        with subprocess.Popen(  # noqa: S603 - our own command
            command, cwd=ROOT, env=environ, stdout=subprocess.PIPE, text=True
        ) as server:
            assert server.stdout is not None
            next(line for line in server.stdout if str(port) in line)
            try:
                browser = playwright.chromium.launch(
                    executable_path=shutil.which("chromium"),
                    args=["--no-sandbox", "--disable-gpu", "--disable-background-networking"],
                )
                for theme in ("light", "dark"):
                    context = browser.new_context(viewport={"width": 1360, "height": 900}, color_scheme=theme)
                    take(context.new_page(), f"http://127.0.0.1:{port}", folder, theme)
                browser.close()
            finally:
                server.terminate()
    return 0


if __name__ == "__main__":
    sys.exit(main())
