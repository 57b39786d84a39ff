"""Operators get a day, a week or a month of their studio as one page that can be sent, printed, read aloud and trusted."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from html.parser import HTMLParser
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest
import typer
from typer.testing import CliRunner

from cinegen_core.analysis.html_report import report_html
from cinegen_core.cli_report import add_report
from cinegen_core.flags.model import Change
from cinegen_core.monitor.events import AlertEvent, Event, GenerationEvent
from cinegen_core.settings import Settings
from cinegen_core.store.events import SqlEvents
from cinegen_core.store.sql import SqlJournal
from cinegen_core.studio import open_database
from tests.analysis.answering import NOW, a_word, an_answer, many_answers

END = NOW.replace(hour=0)


class StoppedClock:
    def monotonic(self) -> float:
        return 0.0

    def now(self) -> datetime:
        return END + timedelta(minutes=20)


class Operator:
    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.settings = Settings(data_dir=folder / "data")
        self.app = typer.Typer()
        self.app.command(name="other")(lambda: None)
        add_report(self.app, lambda: self.settings, StoppedClock())

    def recorded(self, *events: Any) -> None:
        self.settings.data_dir.mkdir(exist_ok=True)
        with open_database(self.settings) as database:
            SqlEvents(database).add(*events)

    def __call__(self, *arguments: str, code: int = 0) -> str:
        done = CliRunner().invoke(self.app, ["report", *arguments])
        assert done.exit_code == code, (done.exit_code, done.output, done.exception)
        return done.output

    def page(self, *arguments: str) -> str:
        file = self.folder / "page.html"
        self(*arguments, "--out", str(file))
        return file.read_text(encoding="utf-8")


@pytest.fixture
def operator(tmp_path: Path) -> Operator:
    return Operator(tmp_path)


class Elements(HTMLParser):
    """The tags of a page that are not closed in order, and all attributes."""

    VOID = frozenset(("meta", "link", "br", "img", "input"))

    def __init__(self, page: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.tags: list[str] = []
        self.attributes: list[tuple[str, str | None]] = []
        self.feed(page)

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.attributes += attributes
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.attributes += attributes

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag


def a_month(**changes: Any) -> list[GenerationEvent]:
    return [event.model_copy(update=changes) for event in many_answers(1500, days=40)]


@pytest.mark.parametrize(("period", "name"), [("daily", "day"), ("weekly", "week"), ("monthly", "month")])
def test_each_period_has_its_page_with_figures_charts_and_tables(
    operator: Operator, period: str, name: str
) -> None:
    operator.recorded(*a_month())
    page = operator.page(period)
    for heading in (
        "In short",
        "Quality over time",
        "Distribution",
        "What happened",
        "Readers against the scorer",
        "Tiers on the same requests",
    ):
        assert f"<h2>{heading}</h2>" in page
    assert f"This {name}" in page
    found = Elements(page)
    assert found.open == []
    assert found.tags.count("svg") >= 4
    assert found.tags.count("caption") >= 8


def test_a_page_needs_no_network_and_no_script(operator: Operator) -> None:
    operator.recorded(*a_month())
    page = operator.page("weekly")
    found = Elements(page)
    assert {"script", "link", "img", "iframe"}.isdisjoint(found.tags)
    assert not {"src", "href", "xlink:href"} & {name for name, _ in found.attributes}
    assert "url(" not in page
    assert "default-src 'none'" in page
    assert "prefers-color-scheme:dark" in page
    assert "@media print" in page


def test_every_chart_has_a_title_and_a_description_of_its_own(operator: Operator) -> None:
    operator.recorded(*a_month())
    page = operator.page("monthly")
    drawn = re.findall(r"<svg.*?</svg>", page, re.DOTALL)
    ids: list[str] = []
    for one in drawn:
        chart = ElementTree.fromstring(one)  # noqa: S314 (our own)
        assert chart.get("role") == "img"
        named = str(chart.get("aria-labelledby")).split()
        told = {part.get("id"): part.text for part in chart if part.tag in ("title", "desc")}
        assert list(told) == named
        assert all(told.values())
        ids += named
        assert "nan" not in one
    assert len(ids) == len(set(ids))


def test_equal_events_and_end_give_an_equal_page_and_another_end_another(operator: Operator) -> None:
    steps = [
        AlertEvent(
            id=state, at=END - timedelta(hours=hours), alert="a", rule=rule, severity="critical", state=state, cause="no one knows", incident="i"
        )
        for hours, rule, state in ((9, "quality_critical", "pending"), (8, "time_critical", "firing"), (5, "quality_critical", "resolved"))
    ]  # fmt: skip
    events: list[Event] = [*a_month(asked="the same"), *steps]
    operator.recorded(*events)
    first = operator.page("weekly", "--until", "2026-01-05")
    assert operator.page("weekly", "--until", "2026-01-05") == first
    assert operator.page("weekly") == first  # the clock says twenty past
    assert operator.page("weekly", "--until", "2026-01-04") != first
    assert report_html(reversed(events), period="weekly", until=END) == first


def test_what_is_recorded_after_the_end_changes_nothing(operator: Operator) -> None:
    events = a_month()
    before = report_html([event for event in events if event.at < END], period="weekly", until=END)
    assert report_html(events, period="weekly", until=END) == before


def test_a_studio_without_answers_gets_a_page_that_says_so_and_invents_nothing(operator: Operator) -> None:
    page = operator.page("daily")
    assert "No answers in this time." in page
    assert "no data" in page
    assert "nan" not in page.lower().replace("tenant", "")
    assert "<svg" not in page


def test_names_that_people_typed_stay_words(operator: Operator) -> None:
    nasty = "<script>alert('x')</script>"
    changed = Change(
        version=1, at=END - timedelta(days=1), who=nasty, why="a & b", kind="set", subject="flag:genre_engines", after={"enabled": False}
    )  # fmt: skip
    events = a_month(genres=(nasty,), writer=nasty, flags={nasty: True})
    page = report_html(events, period="weekly", until=END, changes=[changed])
    assert "<script" not in page
    assert "&lt;script&gt;" in page
    assert "a &amp; b" in page
    assert Elements(page).open == []


def test_simulated_events_are_a_page_of_their_own_and_say_so(operator: Operator) -> None:
    operator.recorded(*a_month(series="simulated"))
    assert "No answers in this time." in operator.page("weekly")
    shown = operator.page("weekly", "--series", "simulated")
    assert "No answers in this time." not in shown
    assert "SIMULATED" in shown


def test_figures_are_those_of_the_time_and_leave_out_what_does_not_count(operator: Operator) -> None:
    def at(**span: float) -> datetime:
        return END - timedelta(**span)

    operator.recorded(
        *(an_answer(f"n{number}", at=at(hours=1 + number), quality=9.0) for number in range(10)),
        *(an_answer(f"b{number}", at=at(hours=25 + number), quality=5.0) for number in range(4)),
        an_answer("trial", at=at(hours=2), quality=1.0, trial=True),
        an_answer("kept", at=at(hours=2), quality=1.0, kept=True),
        a_word("r", "n1", at=at(minutes=30), rating=9),
    )
    page = operator.page("daily")
    assert "10 answers, mean quality 9.00; the day before 4, 5.00." in page
    assert '<th scope="row">comprehensive</th><td>10</td><td>9.00</td>' in page
    assert re.search(r"Satisfaction, 1 to 10</th><td>9\.00</td><td>no data</td>", page)


def test_a_forecast_is_of_days_that_are_to_come(operator: Operator) -> None:
    operator.recorded(*a_month())
    page = operator.page("weekly")
    days = re.findall(
        r'<th scope="row">([0-9-]+)</th>', page.partition("<caption>Days to come")[2].partition("</table>")[0]
    )
    assert days == [f"{END + timedelta(days=number):%Y-%m-%d}" for number in range(7)]


def test_a_change_of_flags_is_listed_with_who_and_why_in_the_time_that_it_was_made(
    operator: Operator,
) -> None:
    operator.recorded(*a_month())
    with open_database(operator.settings) as database:
        SqlJournal(database).append(
            Change(
                version=1, at=END - timedelta(days=2), who="Ada", why="it was slow", kind="set", subject="flag:genre_engines",
                before={"enabled": True}, after={"enabled": False},
            )
        )  # fmt: skip
    assert "genre_engines was switched off by Ada: it was slow" in operator.page("weekly")
    assert "genre_engines was switched off" not in operator.page("daily")
    assert "genre_engines was switched off" not in operator.page("weekly", "--series", "simulated")


def test_a_file_that_cannot_be_written_is_said_with_what_to_do(operator: Operator) -> None:
    said = operator("daily", "--out", str(operator.folder / "nowhere" / "page.html"), code=1)
    assert "cannot be written" in said
    assert "Name a folder" in said


def test_without_a_file_s_name_the_page_is_named_after_its_time(
    operator: Operator, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(operator.folder)
    assert "report-daily-2026-01-05T0000.html" in operator("daily")
    assert (operator.folder / "report-daily-2026-01-05T0000.html").is_file()


def test_an_end_needs_its_time_zone() -> None:
    with pytest.raises(ValueError, match="time zone"):
        report_html((), period="daily", until=END.replace(tzinfo=None))
    assert "2026-01-05 00:00 UTC" in report_html((), period="daily", until=END.astimezone(UTC))
