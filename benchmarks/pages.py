"""How long the studio's pages take in a browser: `python -m benchmarks.pages [--episodes 10000] [--answers 10000] [--out FILE]`.

A store is filled with copies of a few real episodes under ids of their own, in seasons of fifty, and with answers of the last four weeks
(the simulator's, relabelled as live in this store alone). Chromium then visits each page and clicks through it.

A first page is timed by the browser's own clock, from the navigation to the moment at which what the page is for is there: cold for
the first visitor of a server that has just said that it is ready, warm for later ones, each with an empty browser cache. A click is
timed from the pointer going down to the page's last change: after the server has sent something, the script has come to its end
(`data-test-script-state`), nothing stale is left, and nothing has changed for 150 ms after that, which are not counted. What a page
redraws by itself meanwhile is counted in.
"""

from __future__ import annotations

import argparse
import os
import platform
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from datetime import timedelta
from pathlib import Path
from typing import NamedTuple

from playwright.sync_api import Browser, Error, Page
from sqlalchemy import insert

from benchmarks.figures import Figure, Promise, Report, add_json, at_most, exactly, repeated, write
from cinegen_core.store import Record, Season
from cinegen_core.store.sql_episodes import EPISODES, SqlStore
from cinegen_core.story.load import load_sample
from cinegen_core.studio import open_database, open_studio
from tests.pages.browser import PAGES, chromium, free_port, opened, served, settled, visit, visitor
from tests.pages.seeded import SAMPLE, as_live, fill, record, season, settings_for, simulated

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

_HEAR = """(() => {
  window.heard = 0;
  window.WebSocket = class extends window.WebSocket {
    constructor(...given) {
      super(...given);
      this.addEventListener('message', () => { window.heard += 1; });
    }
  };
})()"""
"""Counts what the server sends: a script may run from beginning to end between two looks."""

_ARM = """() => {
  const QUIET = 150, LATEST = 20000;
  window.clicked = new Promise((resolve, reject) => {
    let begun = null, ran = false, ended = null, last = 0, heard = 0;
    const start = () => { if (begun === null) { begun = performance.now(); heard = window.heard; } };
    const look = () => {
      if (begun === null) return;
      const now = performance.now();
      const running = document.querySelector('.stApp').dataset.testScriptState !== 'notRunning';
      const stale = document.querySelector('[data-stale="true"]') !== null;
      if (window.heard > heard) ran = true;
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


def filled(folder: Path, *, episodes: int, answers: int) -> None:
    """A store with so many episodes, and about so many answers of the last weeks."""
    settings = settings_for(folder)
    with open_studio(settings) as studio:
        originals = [
            one for name in (SAMPLE, "dead_air") for one in season(studio, load_sample(name), episodes=3)
        ]
    with open_studio(settings) as studio:
        now, bible = studio.now, load_sample(SAMPLE)
        days = 7.0 * WEEKS
        # In the order of their times, as a studio has them: what comes late counts in the windows of triggers as if it were of now.
        weeks = as_live(simulated(studio, days=days, rate=answers / (24 * days), seed=11))
        record(settings, [one for one in weeks if one.at < now - timedelta(days=2.1)])
    fill(folder, episodes=1)
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


def copies(one: Season, originals: Sequence[Record]) -> Iterator[Record]:
    """A season of fifty, each following the one before it."""
    before: str | None = None
    for number in range(1, PER_SEASON + 1):
        of = originals[number % len(originals)]
        id = f"{(int(one.id, 16) << 16) + number:016x}"
        episode = of.generation.episode.model_copy(update={"number": number})
        # The answer is known by its attempt having the same episode.
        attempts = tuple(
            attempt.model_copy(update={"episode": episode})
            if attempt.episode == of.generation.episode
            else attempt
            for attempt in of.generation.attempts
        )
        yield of.model_copy(
            update={
                "id": id,
                "season": one.id,
                "parent": before,
                "choice": "a" if before else None,
                "saved": one.started + timedelta(minutes=number),
                "generation": of.generation.model_copy(
                    update={"id": id, "episode": episode, "attempts": attempts}
                ),
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
        lambda page: opened(page, label, name),
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
            Click("Episode 9 of the season", nth(episodes, 8)),
            Click("Episode 12", nth(episodes, 11)),
            *(Click(f"Beside the script: {name}", radio(name)) for name in ("Engines", "Revise", "Versions", "Origin", "Score")),
            Click("Marks in the margin off", text("Marks in the margin")),
            Click("Marks in the margin on", text("Marks in the margin")),
            Click("View: Season", radio("Season")),
            Click("View: Bible", radio("Bible")),
            Click("View: Script", radio("Script")),
            Click("Another season", button("Slack Water 3 (")),
            Click("New series", button("New series")),
            Click("A season", button("Slack Water 1 (")),
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
            Click("Leave the dialog", button("Close")),
        ],
        "Health": [
            *(Click(f"View: {name}", radio(name)) for name in ("Figures", "Readers", "Trends", "Record", "Readiness", "Targets")),
            Click("Span: 7 days", radio("7 days")),
            Click("Span: 1 hour", radio("1 hour")),
            Click("Span: 24 hours", radio("24 hours")),
        ],
    }  # fmt: skip


def clicked(page: Page, click: Click) -> float:
    """Seconds from the click until nothing changes any more. Raises playwright's `Error` for a click that does nothing."""
    settled(page)
    click.before(page)
    page.evaluate(_ARM)
    click.on(page)
    return float(page.evaluate("window.clicked")) / 1000


def rounds(browser: Browser, address: str, title: str, params: dict[str, str], repeats: int) -> list[Times]:
    """Goes so many times through a page; the first round, in which everything is new, is left out."""
    context = visitor(browser)
    context.add_init_script(_HEAR)
    page = visit(context.new_page(), address, title, **params)
    found: dict[str, list[float]] = {click.what: [] for click in clicks()[title]}
    for number in range(repeats + 1):
        for click in clicks()[title]:
            try:
                seconds = clicked(page, click)
            except Error as error:
                raise SystemExit(f"{title}, {click.what!r}, round {number}: {error}") from error
            if number:
                found[click.what].append(seconds)
    context.close()
    print(f"{title}: {repeats} rounds", file=sys.stderr)
    return [Times(what, tuple(seconds)) for what, seconds in found.items()]


def all_rounds(browser: Browser, folder: Path, repeats: int) -> dict[str, list[Times]]:
    there = {"Generate": {"season": f"{1:016x}", "episode": f"{(1 << 16) + 1:016x}"}}
    with served(folder, operator="Ada", automatic_emergency="false") as address:
        return {title: rounds(browser, address, title, there.get(title, {}), repeats) for title in PAGES}


def bare_click(browser: Browser, repeats: int) -> Times:
    """The yardstick: a click on a page of Streamlit that holds a choice, and twenty lines that say what was chosen."""
    with tempfile.TemporaryDirectory() as made:
        script = Path(made) / "bare.py"
        script.write_text(_BARE, encoding="utf-8")
        port = free_port()
        command = [
            sys.executable,
            "-m",
            "streamlit",
            "run",
            str(script),
            f"--server.port={port}",
            *_BARE_OPTIONS,
        ]
        with subprocess.Popen(
            command, cwd=made, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        ) as server:
            try:
                context = visitor(browser)
                context.add_init_script(_HEAR)
                page = context.new_page()
                for _ in range(300):
                    try:
                        page.goto(f"http://127.0.0.1:{port}")
                        break
                    except Error:
                        page.wait_for_timeout(100)
                page.get_by_text("line 19").wait_for()
                names = ("two", "three", "one")
                clicks = [Click(name, text(name)) for name in names]
                seconds = [clicked(page, click) for _ in range(repeats + 1) for click in clicks]
                context.close()
            finally:
                server.terminate()
                server.wait(20)
    return Times("A bare page of Streamlit", tuple(seconds[len(names) :]))


_BARE = """import streamlit as st
chosen = st.radio("Choice", ["one", "two", "three"])
for number in range(20):
    st.markdown(f"line {number} ({chosen})")
"""
_BARE_OPTIONS = (
    "--server.address=127.0.0.1",
    "--server.headless=true",
    "--browser.gatherUsageStats=false",
    "--server.fileWatcherType=none",
)


# The report.


def row(times: Times, most: float, unit: float = 1000.0, digits: int = 0) -> str:
    figures = [times.median, times.p95, min(times.seconds), max(times.seconds)]
    told = " | ".join(f"{unit * figure:.{digits}f}" for figure in figures)
    return f"| {times.what} | {len(times.seconds)} | {told} | {times.over(most) or 'none'} |"


def report(
    cold: list[Times], warm: list[Times], found: dict[str, list[Times]], bare: Times, *, date: str, store: str
) -> str:
    """Both tables, and what was promised."""
    load = os.getloadavg()[0]
    lines = [
        "# How long pages take",
        "",
        f"`python -m benchmarks.pages`, {date}; Python {platform.python_version()}, {platform.machine()}, {os.cpu_count()} cores "
        f"(load at the end {load:.1f}, browser and studio on the same machine), headless Chromium. {store}",
        "",
        "## First useful page, seconds",
        "",
        "From the navigation, with an empty browser cache; cold is the first visit of a server that has just said that it is ready.",
        "",
    ]
    for name, times in (("Cold", cold), ("Warm", warm)):
        lines += [f"| {name} | visits | median | p95 | least | most | over {FIRST_PAGE:g} s |", "|---|---|---|---|---|---|---|"]  # fmt: skip
        lines += [row(one, FIRST_PAGE, 1, 2) for one in times]
        lines.append("")
    lines += [
        "## A click, milliseconds",
        "",
        "From the pointer going down to the page's last change. The first round is left out. "
        f"A click on a bare page of Streamlit takes {1000 * bare.median:.0f} ms by the same measure ({1000 * min(bare.seconds):.0f} to "
        f"{1000 * max(bare.seconds):.0f}, of {len(bare.seconds)}).",
        "",
    ]
    for title, clicked_on in found.items():
        lines += [f"| {title} | clicks | median | p95 | least | most | over {1000 * CLICK:.0f} ms |", "|---|---|---|---|---|---|---|"]  # fmt: skip
        everything = Times("**all of them**", tuple(one for times in clicked_on for one in times.seconds))
        lines += [row(one, CLICK) for one in (*clicked_on, everything)]
        lines.append("")
    return "\n".join([*lines, *promises(cold, warm, found)]) + "\n"


def promises(cold: list[Times], warm: list[Times], found: dict[str, list[Times]]) -> list[str]:
    """Each target, and what misses it: a median beyond it is a miss, a 95th percentile is told too."""
    late = [f"{one.what}, {kind} ({one.median:.2f} s)" for kind, many in (("cold", cold), ("warm", warm)) for one in many if one.median > FIRST_PAGE]  # fmt: skip
    every = [(title, one) for title, many in found.items() for one in many]
    slow = [f"{title}: {one.what} ({1000 * one.median:.0f} ms)" for title, one in every if one.median > CLICK]
    tail = [f"{title}: {one.what} ({1000 * one.p95:.0f} ms)" for title, one in every if one.median <= CLICK < one.p95]  # fmt: skip
    return [
        "## Promises",
        "",
        f"* First useful page within {FIRST_PAGE:g} s (median): {'NOT KEPT by' if late else 'kept'}",
        *(f"  * {one}" for one in late),
        f"* A click answered within {1000 * CLICK:.0f} ms (median), of {len(every)} kinds of clicks: {f'NOT KEPT by {len(slow)}' if slow else 'kept'}",
        *(f"  * {one}" for one in slow),
        f"* The same for 95 of 100 clicks of a kind: {f'NOT KEPT by {len(tail)} more' if tail else 'kept by all others' if slow else 'kept'}",
        *(f"  * {one}" for one in tail),
    ]


def figures(
    cold: list[Times], warm: list[Times], found: dict[str, list[Times]], bare: Times
) -> dict[str, Figure]:
    """The headlines: first pages in seconds, all clicks of a page in milliseconds, and what those come to in clicks of a bare page."""
    made = {
        f"first page, {kind}: {one.what}": repeated(one.seconds, "s")
        for kind, many in (("cold", cold), ("warm", warm))
        for one in many
    }
    for title, many in found.items():
        made[f"a click: {title}"] = repeated([1000 * one for times in many for one in times.seconds], "ms")
    every = [one for many in found.values() for one in many]
    made["a bare click"] = repeated([1000 * one for one in bare.seconds], "ms")
    ratios = [one.median / bare.median for one in every]
    made["a kind of click against a bare one"] = repeated(ratios, "ratio", better="lower", what_it_means="medians of all kinds of clicks")  # fmt: skip
    late = sum(one.median > CLICK for one in every)
    made["kinds of clicks beyond the promise"] = exactly(late, "count", better="lower", what_it_means=f"of {len(every)}, by their medians")  # fmt: skip
    tails = sum(one.p95 > CLICK for one in every)
    made["the same by their 95th percentile"] = exactly(tails, "count", better="lower")
    return made


def promised(made: dict[str, Figure]) -> tuple[Promise, ...]:
    firsts = [at_most(made, label, FIRST_PAGE) for label in made if label.startswith("first page")]
    return (
        *firsts,
        at_most(made, "kinds of clicks beyond the promise", 0, f"each kind <= {1000 * CLICK:.0f} ms"),
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--episodes", type=int, default=10_000)
    parser.add_argument("--answers", type=int, default=10_000)
    parser.add_argument("--repeats", type=int, default=8, help="rounds through each page, and warm visits")
    parser.add_argument("--starts", type=int, default=3, help="servers started for each page's cold visits")
    parser.add_argument("--out", type=Path)
    add_json(parser)
    parser.add_argument("--date", default=time.strftime("%Y-%m-%d"))
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as made:
        folder = Path(made)
        filled(folder, episodes=options.episodes, answers=options.answers)
        size = (folder / "cinegen.db").stat().st_size / 1e6
        store = f"{options.episodes:,} episodes in seasons of {PER_SEASON} and about {options.answers:,} live answers of {WEEKS} weeks, {size:,.0f} MB."
        with chromium() as browser:
            # First of all: a browser's own first page takes a second longer, whoever serves it.
            bare = bare_click(browser, options.repeats)
            cold, warm = first_pages(browser, folder, options.starts, options.repeats)
            found = all_rounds(browser, folder, options.repeats)
    told = report(cold, warm, found, bare, date=options.date, store=store)
    made_figures = figures(cold, warm, found, bare)
    write(Report(name="pages", figures=made_figures, promises=promised(made_figures)), options.json)
    print(told, end="")
    if options.out:
        options.out.write_text(told, encoding="utf-8")


if __name__ == "__main__":
    main()
