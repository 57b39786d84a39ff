"""How long the studio's pages take in a browser: `python -m benchmarks.pages [--episodes 10000] [--answers 10000] [--out FILE]`.

A store is filled with copies of a few real episodes under ids of their own, in seasons of fifty, and with answers of the last four weeks
(the simulator's, relabelled as live in this store alone). Chromium then visits each page and clicks through it.

A first page is timed by the browser's own clock, from the navigation to the moment at which what the page is for is there: cold for
the first visitor of a server that has just said that it is ready, warm for later ones, each with an empty browser cache. A click is
timed from the pointer going down to the page's last change: after the end of the script (`data-test-script-state`), with nothing stale
left, and with no change for 150 ms after that, which are not counted. What a page redraws by itself meanwhile is counted in.
"""

from __future__ import annotations

import argparse
import os
import platform
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from datetime import timedelta
from pathlib import Path
from typing import NamedTuple

from playwright.sync_api import Browser, Error, Page
from sqlalchemy import insert

from cinegen_core.store import Record, Season
from cinegen_core.store.sql_episodes import EPISODES, SqlStore
from cinegen_core.story.load import load_sample
from cinegen_core.studio import open_database, open_studio
from tests.pages.browser import PAGES, chromium, served, settled, visit, visitor
from tests.pages.seeded import SAMPLE, Seeded, as_live, fill, record, season, settings_for, simulated

PER_SEASON = 50
WEEKS = 4
FIRST_PAGE = 2.0
CLICK = 0.300
"""Seconds that were promised."""

USEFUL = {
    "Generate": "main button[kind=primary]:not([disabled])",
    "Compare tiers": "main button[kind=primary]:not([disabled])",
    "Quality explorer": "main .strip",
    "Flags and rollback": "main .marked",
    "Health": "main .vital",
}
"""What each page is for, as the first of it that can be used."""

_FIRST = """(() => {
  const look = () => {
    if (document.querySelector(%r) === null) return false;
    window.useful = performance.now();
    return true;
  };
  const watch = new MutationObserver(() => { if (look()) watch.disconnect(); });
  watch.observe(document, {subtree: true, childList: true, attributes: true});
})()"""

_ARM = """() => {
  const QUIET = 150, LATEST = 20000;
  window.clicked = new Promise((resolve, reject) => {
    let begun = null, ran = false, ended = null, last = 0;
    const start = () => { if (begun === null) begun = performance.now(); };
    const look = () => {
      if (begun === null) return;
      const now = performance.now();
      const running = document.querySelector('.stApp').dataset.testScriptState !== 'notRunning';
      const stale = document.querySelector('[data-stale="true"]') !== null;
      if (running || stale) { ran = true; ended = null; }
      else if (ran && ended === null) ended = now;
      const quiet = ended !== null && now - Math.max(ended, last) > QUIET;
      if (!quiet && now - begun < LATEST) return;
      watch.disconnect();
      clearInterval(timer);
      removeEventListener('pointerdown', start, true);
      if (quiet) resolve(Math.max(ended, last) - begun);
      else reject(new Error(ran ? 'the page does not settle' : 'the click did nothing'));
    };
    const watch = new MutationObserver(() => { last = performance.now(); look(); });
    addEventListener('pointerdown', start, true);
    watch.observe(document.body, {subtree: true, childList: true, attributes: true, characterData: true});
    const timer = setInterval(look, 15);
  });
  window.clicked.catch(() => {});
}"""


class Times(NamedTuple):
    """Seconds that one thing took, each time that it was done."""

    what: str
    seconds: tuple[float, ...]

    @property
    def median(self) -> float:
        return statistics.median(self.seconds)

    @property
    def p95(self) -> float:
        return sorted(self.seconds)[min(len(self.seconds) - 1, int(0.95 * len(self.seconds)))]

    def over(self, most: float) -> int:
        return sum(one > most for one in self.seconds)


class Click(NamedTuple):
    """What is clicked on in a page, in words and by a locator; `before` is done without a watch."""

    what: str
    on: Callable[[Page], None]
    before: Callable[[Page], None] = lambda page: None


def filled(folder: Path, *, episodes: int, answers: int) -> Seeded:
    """A store with at least so many episodes, and about so many answers of the last weeks."""
    seeded = fill(folder, episodes=4)
    settings = settings_for(folder)
    with open_studio(settings) as studio:
        originals = [
            one for name in (SAMPLE, "dead_air") for one in season(studio, load_sample(name), episodes=3)
        ]
        now, bible = studio.now, load_sample(SAMPLE)
        days = 7.0 * WEEKS
        record(settings, as_live(simulated(studio, days=days, rate=answers / (24 * days), seed=11)))
    with open_database(settings) as database:
        store = SqlStore(database)
        for number in range(max(1, episodes // PER_SEASON)):
            one = Season(id=f"{number + 1:016x}", title=f"{bible.title} {number + 1}", source=SAMPLE, started=now - timedelta(hours=number))  # fmt: skip
            store.add_season(one, bible)
            rows = [
                {"id": copy.id, "season": copy.season, "number": copy.number, "saved": copy.saved, "data": copy.model_dump_json()}
                for copy in copies(one, originals)
            ]  # fmt: skip
            with database.writing() as connection:
                connection.execute(insert(EPISODES), rows)
            if number % 20 == 19:
                print(f"{PER_SEASON * (number + 1):,} episodes kept", file=sys.stderr)
    return seeded


def copies(one: Season, originals: Sequence[Record]) -> Iterator[Record]:
    """A season of fifty, each following the one before it."""
    before: str | None = None
    for number in range(1, PER_SEASON + 1):
        of = originals[number % len(originals)]
        id = f"{(int(one.id, 16) << 16) + number:016x}"
        episode = of.generation.episode.model_copy(update={"number": number})
        yield of.model_copy(
            update={
                "id": id,
                "season": one.id,
                "parent": before,
                "choice": "a" if before else None,
                "saved": one.started + timedelta(minutes=number),
                "generation": of.generation.model_copy(update={"id": id, "episode": episode}),
            }
        )
        before = id


# First pages.


def first_page(browser: Browser, address: str, title: str) -> float:
    """Seconds from the navigation to the first thing of use, for somebody who has never been there."""
    context = visitor(browser)
    page = context.new_page()
    page.add_init_script(_FIRST % USEFUL[title])
    page.goto(f"{address}/{PAGES[title]}")
    page.wait_for_function("window.useful !== undefined")
    seconds = float(page.evaluate("window.useful")) / 1000
    settled(page)
    context.close()
    return seconds


def first_pages(browser: Browser, folder: Path, starts: int, repeats: int) -> tuple[list[Times], list[Times]]:
    """Cold, with a server of its own each time, and warm."""
    cold: list[Times] = []
    warm: list[Times] = []
    for title in PAGES:
        found = []
        later = []
        for start in range(starts):
            with served(folder) as address:
                found.append(first_page(browser, address, title))
                if start == starts - 1:
                    later = [first_page(browser, address, title) for _ in range(repeats)]
        cold.append(Times(title, tuple(found)))
        warm.append(Times(title, tuple(later)))
        print(f"{title}: cold {found}, warm {later}", file=sys.stderr)
    return cold, warm


# Clicks.


def radio(name: str) -> Callable[[Page], None]:
    return lambda page: page.get_by_role("radio", name=name, exact=True).first.click()


def button(name: str) -> Callable[[Page], None]:
    return lambda page: page.get_by_role("button", name=name).first.click()


def nth(selector: str, place: int) -> Callable[[Page], None]:
    return lambda page: page.locator(selector).nth(place).click()


def text(words: str) -> Callable[[Page], None]:
    return lambda page: page.get_by_text(words, exact=True).first.click()


def option(label: str, name: str) -> Click:
    """One of a list, which is opened without a watch."""
    return Click(
        f"{label}: {name}",
        lambda page: page.get_by_role("option", name=name, exact=True).click(),
        lambda page: page.get_by_role("combobox", name=label, exact=True).click(),
    )


def clicks() -> dict[str, list[Click]]:
    """Rounds through each page, which end where they began."""
    episodes = "[class*=st-key-to_] button"
    explore = [option("Measure", "Dialogue quality"), option("Measure", "Quality")]
    explore += [Click(f"By group: {name}", radio(name)) for name in ("Genre", "Engine", "Flag cohort", "Dimension")]  # fmt: skip
    explore += [Click(f"Which answers: {name}", radio(name)) for name in ("Best", "Slowest", "Worst")]
    explore += [Click("Open an answer", nth("[class*=st-key-to_answer_] button", 3)), Click("Back to the answers", button("Back to the answers"))]  # fmt: skip
    return {
        "Generate": [
            Click("Episode 20 of the season", nth(episodes, 19)),
            Click("Episode 21", nth(episodes, 20)),
            *(Click(f"Beside the script: {name}", radio(name)) for name in ("Engines", "Revise", "Versions", "Origin", "Score")),
            Click("Marks in the margin off", text("Marks in the margin")),
            Click("Marks in the margin on", text("Marks in the margin")),
            Click("View: Season", radio("Season")),
            Click("View: Bible", radio("Bible")),
            Click("View: Script", radio("Script")),
            Click("Another season", nth("[class*=st-key-season_] button", 2)),
            Click("New series", button("New series")),
            Click("A season", nth("[class*=st-key-season_] button", 1)),
        ],
        "Compare tiers": [
            Click("A season of this studio", text("A season of this studio")),
            Click("A series, from its bible", text("A series, from its bible")),
            Click("What the votes say", button("What the votes say")),
            Click("Compare: Tiers", radio("Tiers")),
            Click("Compare: Ways", radio("Ways")),
            Click("Back to the form", button("Compare ways of writing")),
            Click("Open a comparison", nth("main [class*=st-key-season_] button", 0)),
            Click("All comparisons", button("All comparisons")),
        ],
        "Quality explorer": explore,
        "Flags and rollback": [
            *(Click(f"Part: {name}", radio(name)) for name in ("Rollouts", "Triggers", "What if", "Journal", "Flags")),
            option("Flag to look at", "comprehensive_engines"),
            option("Flag to look at", "complete_context"),
            Click("Roll back a flag: the dialog", button("Roll back a flag")),
            Click("Leave it as it is", button("Leave it as it is")) if False else Click("Leave the dialog", button("Close")),
        ],
        "Health": [
            *(Click(f"View: {name}", radio(name)) for name in ("Figures", "Readers", "Trends", "Record", "Readiness", "Targets")),
            Click("Span: 7 days", radio("7 days")),
            Click("Span: 1 hour", radio("1 hour")),
            Click("Span: 24 hours", radio("24 hours")),
        ],
    }  # fmt: skip
