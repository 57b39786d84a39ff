"""In a real browser, from beginning to end: a new user's first evening, a hostile bible's way through all pages, an operator's bad rollout."""

from __future__ import annotations

import csv
import re
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, expect

from cinegen_core.monitor.events import GenerationEvent
from tests.pages.browser import Heard, chromium, opened, served, settled, visit, visitor
from tests.pages.seeded import PLAN, record, settings_for

FIRST_EPISODE = re.compile("^Episode 1: ")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("journeys")
    settings_for(folder)
    return folder


@pytest.fixture(scope="module")
def address(folder: Path) -> Iterator[str]:
    """A studio with empty data. It does not enter an emergency by itself, which would end the writing before a rollback can."""
    with served(folder, automatic_emergency="false") as address:
        yield address


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with chromium() as opened:
        yield opened


@pytest.fixture
def page(browser: Browser) -> Iterator[Page]:
    """Somebody's own window, in which nothing of a script may fail or ask, and which fetches nothing from elsewhere."""
    context = visitor(browser)
    heard = Heard(context)
    yield context.new_page()
    context.close()
    assert (heard.elsewhere, heard.errors, heard.dialogs) == ([], [], [])


def typed(page: Page, label: str, text: str) -> None:
    """Fills a field in and leaves it, as one does on the way to the next."""
    field = page.get_by_role("textbox", name=label, exact=True)
    field.fill(text)
    field.press("Tab")
    settled(page)


def saved(page: Page, button: str, folder: Path) -> Path:
    with page.expect_download() as started:
        page.get_by_role("button", name=re.compile(rf"{button}$")).click()
    file = folder / started.value.suggested_filename
    started.value.save_as(file)
    return file


def to(page: Page, title: str) -> None:
    page.get_by_test_id("stSidebar").get_by_role("link", name=title).click()


def read_blind(page: Page, marks: str) -> None:
    """Votes on each pair in turn: A or B."""
    page.get_by_role("button", name="Read blind").click()
    for number, mark in enumerate(marks, start=1):
        page.get_by_role("heading", name=f"Pair {number} of {len(marks)}").wait_for()
        settled(page)
        page.get_by_role("radiogroup", name="Overall").get_by_text(mark, exact=True).click()
        page.get_by_role("button", name=re.compile("^Vote, and ")).click()


def test_a_new_user_writes_chooses_compares_and_takes_it_home(page: Page, address: str, tmp_path: Path) -> None:  # fmt: skip
    visit(page, address, "Generate")
    page.get_by_text("A short form", exact=True).click()
    typed(page, "Title", "The Night Ferry")
    typed(page, "Premise", "A purser hides a stowaway whom her captain is paid to find.")
    typed(page, "Somebody", "Ines Carrow")
    typed(page, "Wants", "to land the boy at Hale before dawn")
    typed(page, "Somebody else", "Tor Lindqvist")
    typed(page, "Wants something else", "to keep his ship, whatever it costs")
    page.get_by_role("button", name="Write episode 1").click()
    page.get_by_role("heading", name=FIRST_EPISODE).wait_for()
    script = page.locator("article.script")
    expect(script).to_contain_text("INES")
    first = script.inner_text()

    choice = page.locator("[class*=st-key-choice_] button").nth(1)
    taken = choice.inner_text()
    choice.click()
    page.get_by_role("heading", name=re.compile("^Episode 2: ")).wait_for()
    page.get_by_text(f"You chose: {taken}").wait_for()
    assert script.inner_text() != first
    settled(page)
    pdf = saved(page, "PDF", tmp_path)
    assert pdf.name == "the-night-ferry-e02.pdf"
    assert pdf.read_bytes().startswith(b"%PDF-")

    to(page, "Compare tiers")
    page.get_by_role("radiogroup", name="Written for").get_by_text("A season of this studio").click()
    page.get_by_role("button", name="Write it in 3 ways").click()
    read_blind(page, "ABA")
    page.get_by_role("heading", name="What each way came to").wait_for()
    page.get_by_text("How you voted (3 votes)").wait_for()

    to(page, "Quality explorer")
    page.get_by_role("heading", name="Take it away").wait_for()
    settled(page)
    with saved(page, "Download", tmp_path).open(encoding="utf-8-sig", newline="") as file:
        rows = [row for row in csv.DictReader(file) if row["title"] == "The Night Ferry"]
    assert {(row["number"], row["series"]) for row in rows} >= {("1", "live"), ("2", "live")}


TITLE = "<img src=x onerror=alert(1)> **Low** :red[tide] $x^2$"
RIGHT_TO_LEFT = "\u05d0\u05d1\u05d9\u05d2\u05d9\u05dc \u05db\u05d4\u05df"
MARKUP = "<script>alert(2)</script>"
LINK = "[press me](javascript:alert(3))"


def hostile_bible() -> str:
    """A bible in YAML whose texts are markup, Markdown, right-to-left, and as long as they may be."""
    return f"""\
title: '{TITLE}'
premise: '{MARKUP} {LINK} {"A tide that never turns. " * 700}'
theme: '</style></article><iframe src="https://example.com"></iframe>'
genres: [mystery]
world:
  setting: '<svg onload=alert(4)> {RIGHT_TO_LEFT}'
  rules: ['{LINK}', '{{{{7*7}}}}']
characters:
  - name: Ada & <b>Bold</b>
    want: 'to see the log {LINK}'
    secret: '{MARKUP}'
  - name: {RIGHT_TO_LEFT}
    want: 'to keep the station open <a href="https://example.com">here</a>'
locations:
  - name: '<u>Quay</u>'
    look: '{MARKUP}'
threads: ['Who wrote {MARKUP}?']
"""


def is_only_text(page: Page) -> None:
    """Nothing of the bible became a part of the page."""
    settled(page)
    made = page.locator(
        "main :is(img[src=x], iframe:not([title]), svg[onload], script, b:text-is('Bold'), u:text-is('Quay'),"
        " a[href^='javascript'], a[href*='example.com'], strong:text-is('Low'), .katex)"
    )
    assert made.count() == 0, made.first.evaluate("element => element.outerHTML")
    wide = page.evaluate(
        "document.querySelector('.stMain').scrollWidth - document.querySelector('.stMain').clientWidth"
    )
    assert wide <= 1, f"the page is {wide} px wider than its window"


def test_a_hostile_bible_is_shown_as_text_on_every_page(page: Page, address: str) -> None:
    visit(page, address, "Generate")
    page.get_by_text("A file or text", exact=True).click()
    page.get_by_role("textbox", name="Or paste it here").fill(hostile_bible())
    page.get_by_role("textbox", name="Or paste it here").press("Control+Enter")
    page.get_by_text(f"{TITLE}: accepted.").wait_for()
    is_only_text(page)
    page.get_by_role("button", name="Write episode 1").click()
    page.get_by_role("heading", name=FIRST_EPISODE).wait_for()
    page.get_by_role("heading", name=TITLE, level=1).wait_for()
    is_only_text(page)
    for panel in ("Engines", "Revise", "Versions", "Origin"):
        page.get_by_role("radio", name=panel).click()
        is_only_text(page)
    page.get_by_role("radio", name="Season", exact=True).click()
    page.get_by_role("heading", name="Who knows what").wait_for()
    page.get_by_role("cell", name=f"Who wrote {MARKUP}?").or_(
        page.get_by_role("rowheader", name=f"Who wrote {MARKUP}?")
    ).wait_for()
    is_only_text(page)
    page.get_by_role("radio", name="Bible", exact=True).click()
    expect(page.get_by_role("textbox", name="Premise")).to_have_value(re.compile(re.escape(MARKUP)))
    is_only_text(page)

    to(page, "Compare tiers")
    page.get_by_role("radiogroup", name="Written for").get_by_text("A season of this studio").click()
    page.get_by_role("button", name="Write it in 3 ways").click()
    page.get_by_role("button", name="Read blind").wait_for()
    is_only_text(page)
    page.get_by_role("button", name="Show which is which").click()
    page.get_by_role("heading", name="What each way came to").wait_for()
    page.get_by_role("heading", name=f"{TITLE}, episode 1").wait_for()
    is_only_text(page)

    to(page, "Quality explorer")
    page.get_by_role("heading", name="Take it away").wait_for()
    page.get_by_role("button", name=f"{TITLE}, episode 1").first.click()
    page.get_by_role("heading", name=f"{TITLE}, episode 1").wait_for()
    is_only_text(page)


def spoiled(count: int) -> list[GenerationEvent]:
    """Answers of a model that went wrong, given just now to those who have the engines."""
    now = datetime.now(UTC)
    return [
        GenerationEvent(
            id=f"spoiled{number}", at=now + timedelta(milliseconds=number), tier="comprehensive", first="comprehensive",
            writer="a model", profile="model", seconds=20.0, score=4.0 + number % 3 / 10, quality=4.0 + number % 3 / 10,
            accepted=False, flags={"comprehensive_engines": True},
        )
        for number in range(count)
    ]  # fmt: skip


def test_an_operator_starts_a_rollout_and_sees_it_rolled_back(page: Page, address: str, folder: Path) -> None:  # fmt: skip
    visit(page, address, "Flags and rollback", part="Rollouts")
    page.get_by_role("heading", name=PLAN).wait_for()
    page.get_by_role("button", name="Start", exact=True).click()
    dialog = page.get_by_role("dialog")
    dialog.get_by_role("textbox", name="Your name").fill("Ada")
    dialog.get_by_role("textbox", name="Your name").press("Enter")
    dialog.get_by_role("textbox", name="Why").fill(f"Staging went well. {MARKUP} {LINK}")
    dialog.get_by_role("textbox", name="Why").press("Tab")
    dialog.get_by_role("button", name="Start", exact=True).click()
    page.get_by_text("Done: ").wait_for()
    expect(page.locator("[aria-current=step]")).to_contain_text("25 %")

    record(settings_for(folder), spoiled(60))
    other = page.context.new_page()
    visit(other, address, "Generate")
    other.get_by_role("button", name="Write episode 1").click()
    other.get_by_role("heading", name=FIRST_EPISODE).wait_for()
    other.close()

    page.get_by_text("Aborted").wait_for()
    page.get_by_role("radio", name="Flags", exact=True).click()
    opened(page, "Flag to look at", "comprehensive_engines")
    page.get_by_role("option", name="comprehensive_engines").click()
    page.get_by_text("It stays off for everybody until a person re-arms it.").wait_for()
    page.get_by_role("radio", name="Journal").click()
    page.get_by_text("quality_degradation").first.wait_for()
    page.get_by_text(MARKUP).first.wait_for()
    is_only_text(page)
    to(page, "Health")
    page.get_by_text("rolled_back:comprehensive_engines").first.wait_for()
    page.get_by_text("Nobody has seen it yet.").first.wait_for()
    page.get_by_role("button", name="Acknowledge rolled_back:comprehensive_engines").click()
    page.get_by_text("rolled_back:comprehensive_engines: seen by Ada.").wait_for()
    is_only_text(page)
