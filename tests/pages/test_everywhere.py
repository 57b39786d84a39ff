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
