"""Takes the pictures of the studio that the documentation shows: `python -m tools.screenshots [FOLDER]` (docs by default).

Starts a studio of its own on a free port of 127.0.0.1 and drives it in headless Chromium, in light and dark. Its episodes and its
comparison are written for it; what pages show of weeks of running is simulated, and the pages say so.
"""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

from playwright.sync_api import Page

from cinegen_core.access import single_user
from cinegen_core.acting import Acting
from cinegen_core.simulation import five
from cinegen_core.studio import open_studio
from tests.pages.browser import ROOT, THEMES, Theme, chromium, served, settled, visit, visitor
from tests.pages.seeded import PLAN, compared, record, settings_for, simulated

DAYS = 28.0


def made(folder: Path) -> str:
    """A studio with a comparison, a rollout that has begun, and simulated weeks with incidents; the comparison's id."""
    with open_studio(settings_for(folder)) as studio:
        comparison = compared(studio)
        weeks = simulated(studio, days=DAYS, rate=20.0, incidents=five(DAYS))
        record(studio.settings, weeks)
        me = Acting(studio, single_user(studio.settings, listens_on="127.0.0.1"))
        me.command("start_rollout", PLAN, why="Staging went well for a week.")
    return comparison.id


def take(page: Page, file: Path) -> None:
    """What is seen of a page, once its charts are drawn."""
    settled(page)
    page.mouse.move(0, 0)
    page.wait_for_timeout(800)
    page.screenshot(path=file)


def generate(page: Page, address: str, folder: Path, theme: Theme) -> None:
    """The page Generate with an episode, and its scorecard."""
    visit(page, address, "Generate")
    page.get_by_role("combobox", name="Series").click()
    page.get_by_role("option", name="Slack Water").click()
    page.get_by_role("button", name="Write episode 1").click()
    page.locator("article.script .cue").nth(11).wait_for()
    take(page, folder / f"generate_{theme}.png")
    card = page.locator(".card")
    for name in ("Dialogue quality", "Choice quality"):
        card.get_by_text(name).click()
    card.screenshot(path=folder / f"scorecard_{theme}.png")


def compare(page: Page, address: str, folder: Path, theme: Theme, comparison: str) -> None:
    """One request in three ways, with their labels."""
    visit(page, address, "Compare tiers", comparison=comparison)
    reveal = page.get_by_role("button", name="Show which is which")
    if reveal.count():
        reveal.click()
    page.get_by_role("heading", name="Side by side").wait_for()
    take(page, folder / f"compare_{theme}.png")


def main() -> int:
    folder = Path(sys.argv[1]) if len(sys.argv) > 1 else ROOT / "docs"
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as data, chromium() as browser:
        new, used = Path(data) / "new", Path(data) / "used"
        settings_for(new)
        with served(new, operator="Ada") as address:
            for theme in THEMES:
                generate(visitor(browser, theme=theme, width=1360).new_page(), address, folder, theme)
        comparison = made(used)
        with served(used, operator="Ada") as address:
            for theme in THEMES:
                page = visitor(browser, theme=theme, width=1360, height=1150).new_page()
                compare(page, address, folder, theme, comparison)
                visit(page, address, "Quality explorer", series="simulated")
                take(page, folder / f"explore_{theme}.png")
                visit(page, address, "Flags and rollback", part="Rollouts")
                take(page, folder / f"flags_{theme}.png")
                visit(page, address, "Health", series="simulated", view="trends")
                page.locator("main canvas, main svg.marks").first.wait_for()
                take(page, folder / f"health_{theme}.png")
    return 0


if __name__ == "__main__":
    sys.exit(main())
