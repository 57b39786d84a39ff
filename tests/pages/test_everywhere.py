"""What holds on every page, empty and full, light and dark: anybody can read and work it, by keyboard alone too, and nothing leaves this computer."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, Page

from tests.pages.browser import PAGES, Heard, Theme, chromium, served, settled, visit, visitor
from tests.pages.seeded import Seeded, fill, settings_for


class Place(NamedTuple):
    """A page of the studio in some state; `params` are its address's, in which names of what was seeded are filled in."""

    title: str
    params: dict[str, str] = {}  # noqa: RUF012 (never changed)

    def __str__(self) -> str:
        return " ".join([self.title, *(value for value in self.params.values() if "{" not in value)])


EMPTY = tuple(Place(title) for title in PAGES)
READ = {"season": "{season}", "episode": "{episode}"}
FULL = (
    Place("Generate"),
    Place("Generate", {"draft": "0123456789abcdef", "form": "all"}),
    *(Place("Generate", {**READ, "beside": beside}) for beside in ("score", "engines", "revise", "versions", "origin")),
    *(Place("Generate", {**READ, "view": view}) for view in ("season", "bible")),
    Place("Compare tiers"),
    Place("Compare tiers", {"view": "votes"}),
    Place("Compare tiers", {"comparison": "{comparison}", "read": "blind"}),
    Place("Quality explorer"),
    Place("Quality explorer", {"by": "engine"}),
    Place("Quality explorer", {"answer": "{episode}"}),
    Place("Quality explorer", {"view": "scripts"}),
    *(Place("Flags and rollback", {"part": part}) for part in ("Flags", "Rollouts", "Triggers", "What if", "Journal")),
    *(Place("Health", {"view": view}) for view in ("targets", "figures", "readers", "trends", "record", "readiness")),
)  # fmt: skip

KNOWN: dict[tuple[str, str], str] = {}
"""Faults in Streamlit's own markup, by axe's rule and the element: why they are there, and cannot be mended here."""

NAMELESS = re.compile(
    r"^\s*- (button|checkbox|combobox|link|radio|searchbox|slider|spinbutton|switch|tab|textbox)(?: \[[^\]]*\])*:?(?: |$)(?!\")",
    re.MULTILINE,
)
"""A control in Playwright's tree of what is told to screen readers, without its name."""


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with chromium() as opened:
        yield opened


@pytest.fixture(scope="module")
def empty(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    folder = tmp_path_factory.mktemp("empty")
    settings_for(folder)
    with served(folder) as address:
        yield address


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("full")


@pytest.fixture(scope="module")
def seeded(folder: Path) -> Seeded:
    return fill(folder)


@pytest.fixture(scope="module")
def full(folder: Path, seeded: Seeded) -> Iterator[str]:
    with served(folder, operator="Ada", automatic_emergency="false") as address:
        yield address


@pytest.fixture(scope="module")
def heard(browser: Browser) -> Iterator[tuple[Page, Heard]]:
    context = visitor(browser)
    said = Heard(context)
    yield context.new_page(), said
    context.close()


@pytest.fixture
def page(heard: tuple[Page, Heard]) -> Iterator[Page]:
    """One window for all; what it asked for is looked at after each test."""
    page, said = heard
    said.asked.clear()
    said.errors.clear()
    yield page
    assert said.asked
    assert said.elsewhere == [], "fetched from another computer"
    assert said.errors == [], "the page's own scripts failed"


def faults(page: Page, theme: Theme) -> list[str]:
    """What axe-core calls serious or critical, but for what is known: rule, element, and what to do."""
    page.emulate_media(color_scheme=theme)
    page.wait_for_function(
        "dark => { const c = getComputedStyle(document.querySelector('.stApp')).backgroundColor.match(/\\d+/g).map(Number);"
        " return (c[0] + c[1] + c[2] < 380) === dark; }",
        arg=theme == "dark",
    )
    settled(page)
    found: list[dict[str, Any]] = Axe().run(page).response["violations"]
    told = []
    for rule in found:
        if rule["impact"] not in ("serious", "critical"):
            continue
        for node in rule["nodes"]:
            element = " ".join(str(part) for part in node["target"])
            if any(rule["id"] == known and re.search(pattern, node["html"]) for known, pattern in KNOWN):
                continue
            why = " ".join(node["failureSummary"].split())
            told.append(f"{theme}: {rule['id']} at {element}: {why}\n    {node['html'][:300]}")
    return told


def nobodys_controls(page: Page) -> list[str]:
    tree = page.locator("body").aria_snapshot()
    return [found.group(0).strip() for found in NAMELESS.finditer(tree)]


def looked_at(page: Page, address: str, place: Place, seeded: Seeded | None = None) -> None:
    names = {} if seeded is None else {"season": seeded.season, "episode": seeded.episodes[0], "comparison": seeded.comparison}  # fmt: skip
    page.emulate_media(color_scheme="light")
    visit(page, address, place.title, **{name: value.format(**names) for name, value in place.params.items()})
    page.locator("progress").first.wait_for(state="detached")
    settled(page)
    problems = [*faults(page, "light"), *faults(page, "dark")]
    problems += [f"without a name: {control}" for control in nobodys_controls(page)]
    assert not problems, f"{place}:\n" + "\n".join(problems)


@pytest.mark.parametrize("place", EMPTY, ids=str)
def test_everybody_can_read_and_work_an_empty_page(page: Page, empty: str, place: Place) -> None:
    looked_at(page, empty, place)


@pytest.mark.parametrize("place", FULL, ids=str)
def test_everybody_can_read_and_work_a_full_page(page: Page, full: str, seeded: Seeded, place: Place) -> None:
    looked_at(page, full, place, seeded)


_FOCUSED = """() => {
  const e = document.activeElement;
  if (['BODY', 'MAIN'].includes(e.tagName)) return e.tagName.toLowerCase();
  const of = [...(e.labels ?? []), ...(e.getAttribute('aria-labelledby') ?? '').split(' ').map(id => document.getElementById(id))];
  return (e.getAttribute('aria-label') || of.map(one => one?.innerText ?? '').join(' ').trim() || e.innerText || e.tagName).trim();
}"""
MOST_TABS = 70


def tabbed_to(page: Page, name: str) -> list[str]:
    """Presses Tab until the control whose name ends so has the focus; the names of all that had it on the way."""
    passed: list[str] = []
    while len(passed) < MOST_TABS:
        page.keyboard.press("Tab")
        passed.append(" ".join(page.evaluate(_FOCUSED).split())[-200:])
        if passed[-1].endswith(name):
            return passed
    raise AssertionError(f"{MOST_TABS} Tabs do not lead to {name!r}, but to {passed}")


def in_order(passed: list[str], names: list[str]) -> bool:
    """Whether these names are among those passed, in this order."""
    left = iter(passed)
    return all(any(one.endswith(name) for one in left) for name in names)


def by_keyboard(page: Page, address: str, title: str, *names: str) -> None:
    """Goes to a page and by Tab alone to the last of these controls, past the others in their order, and past all pages first."""
    visit(page, address, title)
    passed = tabbed_to(page, names[-1])
    assert in_order(passed, ["Skip to main content", *PAGES, *names]), "\n".join(passed)


class TestByKeyboardAlone:
    def test_the_first_tab_leads_past_the_navigation(self, page: Page, full: str) -> None:
        visit(page, full, "Health")
        page.keyboard.press("Tab")
        page.keyboard.press("Enter")
        passed = tabbed_to(page, "Acknowledge engines_critical")
        assert not any(one.endswith("Generate") for one in passed), passed

    def test_an_episode_is_written(self, page: Page, full: str) -> None:
        by_keyboard(page, full, "Generate", "Edit it first", "How it should be written", "Write episode 1")
        page.keyboard.press("Enter")
        page.get_by_role("heading", name=re.compile("^Episode 1: ")).wait_for()
        passed = tabbed_to(page, "Plain text")
        assert in_order(passed, ["Marks in the margin", "How episode 2 should be written", "Fountain"]), (
            passed
        )

    def test_ways_are_compared(self, page: Page, full: str) -> None:
        by_keyboard(page, full, "Compare tiers", "What the votes say", "A sample", "Seed", "Minutes", "Write it in 3 ways")  # fmt: skip
        page.keyboard.press("Enter")
        page.get_by_role("button", name="Read blind").wait_for()
        tabbed_to(page, "Read blind")
        page.keyboard.press("Enter")
        page.get_by_role("heading", name="Pair 1 of 3").wait_for()

    def test_figures_are_taken_away(self, page: Page, full: str) -> None:
        by_keyboard(page, full, "Quality explorer", "Measure", "Distribution as a table", "What", "Download")
        with page.expect_download() as started:
            page.keyboard.press("Enter")
        assert started.value.suggested_filename.endswith(".csv")

    def test_a_flag_is_changed_and_the_dialog_left(self, page: Page, full: str) -> None:
        by_keyboard(page, full, "Flags and rollback", "Roll back a flag", "Enter emergency mode", "Flag to look at", "Change")  # fmt: skip
        page.keyboard.press("Enter")
        dialog = page.get_by_role("dialog")
        dialog.get_by_role("textbox", name="Why").wait_for()
        passed = tabbed_to(page, "Leave it as it is")
        assert in_order(passed, ["Why", "Change it", "Leave it as it is"]), passed
        page.keyboard.press("Escape")
        dialog.wait_for(state="detached")

    def test_an_alert_is_acknowledged(self, page: Page, full: str) -> None:
        by_keyboard(page, full, "Health", "Acknowledge engines_critical")
        page.keyboard.press("Enter")
        page.get_by_text("engines_critical: seen by Ada.").wait_for()
