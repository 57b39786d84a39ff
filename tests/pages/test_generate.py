"""The Generate page: choose a series, ask, read, choose, read on."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from starlette.testclient import TestClient
from streamlit.testing.v1 import AppTest

import studio_app
from cinegen_core.analysis.episodes import take
from cinegen_core.scorer import score
from cinegen_core.store import Record, StoreError
from cinegen_core.story import Episode, EpisodeRequest
from cinegen_core.story.formats import read_script, to_text
from cinegen_core.story.load import load_sample
from cinegen_core.studio import Studio
from cinegen_core.tiers.model import Attempt, Generation
from cinegen_core.writers.embedded import EmbeddedWriter
from pages import shared
from pages.generate_room import the_room
from pages.script_view import scorecard_html
from tests.builders import SMALLEST_BIBLE, a_bible, a_request, an_episode
from tests.fakes import FakeWriter, StuckWriter, a_studio

APP = str(Path(__file__).parents[2] / "studio_app.py")


@pytest.fixture(autouse=True)
def an_empty_room() -> None:
    the_room.clear()


def opened(**params: str) -> AppTest:
    page = AppTest.from_file(APP, default_timeout=20)
    for name, value in params.items():
        page.query_params[name] = value
    return without_errors(page.run())


def without_errors(page: AppTest) -> AppTest:
    assert not page.exception, [problem.value for problem in page.exception]
    return page


def param(page: AppTest, name: str) -> str:
    value = page.query_params.get(name, [""])
    return value if isinstance(value, str) else value[0]


def shown(page: AppTest) -> str:
    """Everything that can be read on the page."""
    kinds = ("title", "subheader", "markdown", "caption", "info", "warning", "error", "success")
    found: list[Any] = [element for kind in kinds for element in page.get(kind)]
    html: list[Any] = list(page.get("html"))
    return "\n".join([*(element.value for element in found), *(element.proto.body for element in html)])


def own(page: AppTest, text: str) -> AppTest:
    page.radio(key="kind").set_value("A file or text").run()
    page.text_area(key="bible_text").set_value(text)
    return without_errors(page.run())


def finished(page: AppTest, studio: Studio) -> AppTest:
    studio.wait(param(page, "job"), 20)
    return without_errors(page.run())


def test_a_new_visitor_sees_a_sample_and_one_button_to_press(studio: Studio) -> None:
    page = opened()
    assert page.title[0].value == "What shall we write?"
    assert "Slack Water" in page.selectbox(key="sample").options
    assert not page.button(key="write").disabled


def test_an_episode_of_a_sample_is_written_read_and_followed(studio: Studio) -> None:
    page = opened()
    page.button(key="write").click().run()
    first = finished(page, studio)
    assert "Where&#x27;s nine?" in shown(first)
    assert [button.label for button in first.button if button.key and button.key.startswith("choice_")] == [
        "Row out now\\.", "Wake Pip\\.", "Put the log back\\.",
    ]  # fmt: skip
    record = param(first, "episode")
    first.button(key=f"choice_{record}_b").click().run()
    second = finished(first, studio)
    assert "Episode 2: The Stub" in shown(second)
    assert "You chose\\: Wake Pip" in shown(second)
    kept = studio.store.records(param(second, "season"))
    assert [(r.number, r.choice) for r in kept] == [(1, None), (2, "b")]
    second.button(key=f"to_{record}").click().run()
    assert "Episode 1: The Stub" in shown(second)
    assert param(second, "episode") == record


def test_the_same_choice_again_opens_the_episode_that_it_led_to(studio: Studio) -> None:
    page = opened()
    page.button(key="write").click().run()
    page = finished(page, studio)
    record, season = param(page, "episode"), param(page, "season")
    page.button(key=f"choice_{record}_a").click().run()
    after = param(finished(page, studio), "episode")
    assert after != record
    again = opened(season=season, episode=record)
    again.button(key=f"choice_{record}_a").click().run()
    assert param(without_errors(again), "episode") == after


def test_what_the_engines_asked_for_is_shown_with_the_lines(studio: Studio) -> None:
    page = opened()
    page.button(key="write").click().run()
    page = finished(page, studio)
    page.query_params["beside"] = "engines"
    told = shown(without_errors(page.run()))
    assert "<summary><span>Title</span>" in told
    assert "wanted title: The Log" in told
    assert "0 % of it is in the script; missing: the title" in told


def test_a_bible_of_ones_own_is_accepted_with_its_gaps(studio: Studio) -> None:
    page = own(opened(), SMALLEST_BIBLE)
    assert page.success[0].value == "Slack Water: accepted."
    assert "Genres\\: none given" in shown(page)
    page.button(key="write").click().run()
    assert "Slack Water" in shown(finished(page, studio))


def test_what_is_wrong_with_a_bible_is_said_and_what_was_typed_stays(studio: Studio) -> None:
    text = SMALLEST_BIBLE.replace("name: Ansel Roe", "nmae: <script>alert(1)</script>")
    page = own(opened(), text)
    assert page.error[0].value == "2 things keep this bible from being used:"
    assert "characters\\[1\\]\\.nmae\\: is not a key that is known here\\. Did you mean \\`name\\`?" in shown(
        page
    )
    assert page.text_area(key="bible_text").value == text
    assert page.button(key="write").disabled


def test_text_of_a_bible_is_never_read_as_html_or_markdown(studio: Studio) -> None:
    page = own(opened(), SMALLEST_BIBLE.replace("Slack Water", "'<b>*Slack* :red[Water]</b>'"))
    page.button(key="write").click().run()
    page = finished(page, studio)
    assert page.title[0].value == r"\<b\>\*Slack\* \:red\[Water\]\</b\>"
    assert "<b>" not in shown(page).replace("\\<b\\>", "")


class TestWhileAnEpisodeIsBeingWritten:
    @pytest.fixture
    def writer(self) -> FakeWriter:
        return StuckWriter()

    def test_it_can_be_watched_from_a_second_tab_and_stopped(
        self, studio: Studio, writer: StuckWriter
    ) -> None:
        page = opened()
        page.button(key="write").click().run()
        assert writer.reached.wait(20)
        second = opened(season=param(page, "season"), job=param(page, "job"))
        assert "Writing episode 1" in shown(second)
        assert '<li class="now">Drafting</li>' in shown(second)
        assert "0 ms so far; no answer from the model yet." in shown(second)
        second.button(key="stop").click().run()
        assert "Stopped before anything of episode 1 was finished" in shown(without_errors(second))
        assert writer.cancelled
        assert not second.button(key="write").disabled


def test_a_reload_after_the_work_is_done_shows_the_episode(studio: Studio) -> None:
    season = studio.open_season(a_bible()).id
    job = studio.start(a_request(), season=season)
    studio.wait(job, 20)
    page = opened(season=season, job=job)
    assert "Episode 1: The Stub" in shown(page)
    assert param(page, "episode") == job


def test_a_job_that_the_studio_does_not_remember_is_explained(studio: Studio) -> None:
    page = opened(season=studio.open_season(a_bible()).id, job="f" * 16)
    assert "being written when the studio was closed" in shown(page)
    assert not page.button(key="write").disabled


def test_an_address_that_leads_nowhere_leads_to_the_beginning(studio: Studio) -> None:
    assert opened(season="../../etc", episode="x").title[0].value == "What shall we write?"


def test_a_season_opens_at_its_latest_episode(studio: Studio) -> None:
    season = studio.open_season(a_bible()).id
    studio.wait(studio.start(a_request(), season=season), 20)
    assert "Episode 1: The Stub" in shown(opened(season=season))


def test_the_way_of_writing_can_be_chosen(studio: Studio) -> None:
    page = opened()
    page.radio(key="first_tier").set_value("basic_fallback")
    page.button(key="write").click().run()
    page = finished(page, studio)
    (record,) = studio.store.records(param(page, "season"))
    assert record.generation.tier == "basic_fallback"
    page.query_params["beside"] = "engines"
    assert "No engines took part." in shown(without_errors(page.run()))


def test_the_server_can_be_run_by_any_asgi_server(studio: Studio) -> None:
    with TestClient(studio_app.app) as client:
        answer = client.get("/")
    assert (answer.status_code, "<html" in answer.text) == (200, True)


def test_the_scorecard_is_shown_with_the_lines_that_earned_it_and_text_in_it_is_only_text(
    studio: Studio,
) -> None:
    shown_card = scorecard_html(
        score(
            read_script(to_text(take_of_sample()).replace("the", "the <b>bold</b>")),
            load_sample("slack_water"),
        )
    )
    assert "of 10" in shown_card
    assert 'href="#line-' in shown_card
    assert "<b>bold</b>" not in shown_card
    assert "&lt;b&gt;bold" in shown_card
    card = score(read_script("INT. HALL - DAY\n\nRain.\n\nANNA\nNo.\n\nBEN\nYes.\n"))
    assert "No score." in scorecard_html(card)


def take_of_sample() -> Episode:
    return take(EmbeddedWriter(), EpisodeRequest(bible=load_sample("slack_water"), seed=2)).episode


def test_an_episode_that_could_not_be_kept_is_explained(
    studio: Studio, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(record: Record) -> None:
        raise StoreError("The disk of <data> is full. Free some space.")

    monkeypatch.setattr(studio.store, "save", full)
    page = opened()
    page.button(key="write").click().run()
    page = finished(page, studio)
    told = "Episode 1 could not be written. The disk of \\<data\\> is full\\. Free some space\\."
    assert page.error[0].value == told
    assert not page.button(key="write").disabled


def test_a_series_is_not_opened_while_the_studio_has_its_hands_full() -> None:
    with a_studio(StuckWriter(), jobs=1) as busy:
        busy.start(a_request(), season=busy.open_season(a_bible()).id)
        shared.the_studio.clear()
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(shared, "make_studio", lambda: busy)
            page = opened()
            page.button(key="write").click().run()
        assert "1 episodes are being written at the moment" in shown(without_errors(page))
        assert len(busy.store.seasons()) == 1
    shared.the_studio.clear()


class TestWhileASceneIsBeingWrittenAnew:
    @pytest.fixture
    def writer(self) -> FakeWriter:
        return StuckWriter("repair")

    @pytest.fixture
    def record(self, studio: Studio) -> Record:
        episode = an_episode()
        attempt = Attempt(tier="comprehensive", writer="stuck", outcome="accepted", episode=episode)
        id = studio.new_id()
        record = Record(
            id=id,
            season=studio.open_season(a_bible()).id,
            seed=1,
            minutes=5,
            saved=studio.now,
            generation=Generation(
                id=id, episode=episode, tier="comprehensive", writer="stuck", attempts=(attempt,)
            ),
        )
        studio.store.save(record)
        return record

    def test_the_script_stays_readable_the_note_stays_typed_and_it_can_be_stopped(
        self, studio: Studio, writer: StuckWriter, record: Record
    ) -> None:
        page = opened(season=record.season, episode=record.id, beside="revise")
        page.text_area(key=f"scene_note_{record.id}").set_value("slower")
        next(button for button in page.button if button.label == "Write this scene anew").click().run()
        page = without_errors(page)
        assert writer.reached.wait(20)
        assert "Writing scene 1 anew. The rest stays as it is." in shown(page)
        assert "Where&#x27;s nine?" in shown(page)
        assert page.text_area(key=f"scene_note_{record.id}").value == "slower"
        page.button(key="stop").click().run()
        assert "Stopped: scene 1 is as it was." in shown(without_errors(page))
        assert page.text_area(key=f"scene_note_{record.id}").value == "slower"
        assert studio.store.record_ids(record.season) == {record.id}
