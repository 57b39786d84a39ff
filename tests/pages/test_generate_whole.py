"""The Generate page over a whole studio: its database, the embedded writer, the scorer. Read, revise, rate, look back; and who may."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from streamlit.testing.v1 import AppTest

from cinegen_core.monitor.events import FeedbackEvent
from cinegen_core.settings import Settings
from cinegen_core.store import Record
from cinegen_core.story import Dialogue, EpisodeRequest
from cinegen_core.story.load import load_sample
from cinegen_core.studio import Studio, open_studio
from pages import shared
from pages.generate_room import the_room
from tests.pages.test_generate import APP, opened, param, shown, without_errors

SIGN_IN: dict[str, Any] = {"auth": {"redirect_uri": "http://127.0.0.1/oauth2callback"}}


@pytest.fixture
def studio(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Studio]:
    with open_studio(Settings(data_dir=tmp_path)) as made:
        monkeypatch.setattr(shared, "make_studio", lambda: made)
        shared.the_studio.clear()
        the_room.clear()
        yield made
    shared.the_studio.clear()


@pytest.fixture
def record(studio: Studio) -> Record:
    """The first episode of a sample."""
    bible = load_sample("slack_water")
    season = studio.open_season(bible, source="slack_water").id
    return written(studio, season, studio.start(EpisodeRequest(bible=bible, seed=1), season=season))


def written(studio: Studio, season: str, job: str) -> Record:
    studio.wait(job, 60)
    found = studio.store.record(season, job)
    assert found is not None
    return found


def next_of(studio: Studio, record: Record, choice: str) -> Record:
    request = EpisodeRequest.model_validate(
        {
            "bible": load_sample("slack_water"),
            "number": record.number + 1,
            "state": record.generation.episode.state,
            "choice": choice,
            "seed": 1,
        }
    )
    job = studio.start(request, season=record.season, parent=record.id)
    return written(studio, record.season, job)


def reading(record: Record, **params: str) -> AppTest:
    return opened(season=record.season, episode=record.id, **params)


def as_somebody(roles: list[str], **params: str) -> AppTest:
    """The page as a person with these roles sees it, where people sign in."""
    page = AppTest.from_file(APP, default_timeout=20)
    page.secrets = SIGN_IN
    page.user = {"is_logged_in": True, "sub": "u1", "name": "Ada", "roles": roles}
    for name, value in params.items():
        page.query_params[name] = value
    return without_errors(page.run())


def keys(page: AppTest) -> set[str]:
    return {str(element.key) for kind in (page.button, page.get("download_button")) for element in kind}


def feedback(studio: Studio) -> list[tuple[str, str, int | None, str]]:
    assert studio.monitoring is not None
    found = [event for event in studio.monitoring.events() if isinstance(event, FeedbackEvent)]
    return [(event.action, event.generation, event.rating, event.why) for event in found]


class TestReading:
    def test_every_dimension_leads_to_the_lines_that_earned_or_cost_points(
        self, studio: Studio, record: Record
    ) -> None:
        told = shown(reading(record))
        card = record.generation.scorecard
        assert card is not None
        for dimension in card.dimensions.values():
            for row in (*dimension.helped, *dimension.hurt):
                if row.scene:
                    assert f'<a href="#line-{row.scene}-{row.line}">{row.scene}.{row.line}</a>' in told
                    assert f'id="line-{row.scene}-{row.line}"' in told

    def test_what_an_engine_asked_for_leads_to_where_it_shows(self, studio: Studio, record: Record) -> None:
        told = shown(reading(record, beside="engines"))
        run = next(run for run in record.generation.engines if run.realisation and run.realisation.lines)
        assert run.realisation is not None
        line = run.realisation.lines[0]
        assert f"<span>{run.engine}</span>" in told
        assert f'<a href="#line-{line.scene}-{line.line}">' in told

    def test_the_margin_of_the_script_is_marked_up_unless_one_wants_it_clean(
        self, studio: Studio, record: Record
    ) -> None:
        page = reading(record)
        assert 'class="note" role="img" aria-label="earned points, ' in shown(page)
        page.checkbox(key="margin").uncheck()
        assert 'class="note"' not in shown(without_errors(page.run())).partition('<div class="card">')[0]

    def test_the_line_in_the_address_is_highlighted(self, studio: Studio, record: Record) -> None:
        assert 'class="row marked" id="line-1-1"' in shown(reading(record, line="1.1"))

    def test_a_choice_that_led_somewhere_says_where(self, studio: Studio, record: Record) -> None:
        after = next_of(studio, record, "b")
        assert f"It led to episode 2, {after.generation.episode.title}" in shown(reading(record)).replace(
            "\\", ""
        )

    def test_all_five_kinds_of_files_can_be_taken_away(self, studio: Studio, record: Record) -> None:
        labels = [element.proto.label for element in reading(record).get("download_button")]
        assert labels == ["Fountain", "Final Draft", "PDF", "Plain text", "JSON"]


class TestWhatIsRecorded:
    def test_that_an_episode_was_read_taken_away_and_led_on(self, studio: Studio, record: Record) -> None:
        page = reading(record)
        without_errors(page.run())
        assert feedback(studio) == [("shown", record.id, None, "")]
        page.download_button(key=f"get_PDF_{record.id}").click()
        without_errors(page.run())
        page.button(key=f"choice_{record.id}_b").click().run()
        studio.wait(param(page, "job"), 60)
        assert [action for action, *_ in feedback(studio)] == ["shown", "exported", "chose"]

    def test_a_rating_with_a_word_why(self, studio: Studio, record: Record) -> None:
        page = reading(record)
        page.button_group(key=f"rate_value_{record.id}").set_value(8)
        page.text_input(key=f"rate_why_{record.id}").set_value("the bell")
        rate = next(button for button in page.button if button.label == "Rate it")
        rate.click().run()
        assert ("rated", record.id, 8, "the bell") in feedback(studio)
        assert "Recorded: 8 of 10." in shown(without_errors(page))

    def test_a_rating_without_a_number_asks_for_one(self, studio: Studio, record: Record) -> None:
        page = reading(record)
        next(button for button in page.button if button.label == "Rate it").click().run()
        assert "Choose a number from 1 to 10 first." in shown(page)
        assert [action for action, *_ in feedback(studio)] == ["shown"]


class TestRevising:
    def test_a_line_edited_by_hand_is_a_new_version_with_a_score_of_its_own(
        self, studio: Studio, record: Record
    ) -> None:
        page = reading(record, beside="revise", line="1.2")
        page.text_area(key=f"text_{record.id}_1_2").set_value("The stub of a page stands up in the log.")
        next(button for button in page.button if button.label == "Save the line").click().run()
        page = without_errors(page)
        new = studio.store.record(record.season, param(page, "episode"))
        assert new is not None
        assert (new.revises, param(page, "line")) == (record.id, "1.2")
        assert new.generation.episode.scenes[0].elements[1].text == "The stub of a page stands up in the log."
        assert new.generation.scorecard is not None
        assert "Changed\\: scene 1, line 2 edited by hand" in shown(page)
        page.button(key="undo").click().run()
        assert param(without_errors(page), "episode") == record.id
        assert len(studio.store.record_ids(record.season)) == 2

    def test_a_line_can_be_inserted_and_removed(self, studio: Studio, record: Record) -> None:
        page = reading(record, beside="revise", line="1.1")
        page.selectbox(key=f"new_speaker_{record.id}_1_1").set_value("MARIT")
        page.text_area(key=f"new_text_{record.id}_1_1").set_value("It's slack in ten minutes.")
        next(button for button in page.button if button.label == "Insert it").click().run()
        page = without_errors(page)
        new = studio.store.record(record.season, param(page, "episode"))
        assert new is not None
        written_line = new.generation.episode.scenes[0].elements[1]
        assert isinstance(written_line, Dialogue)
        assert (written_line.speaker, written_line.text) == ("MARIT", "It's slack in ten minutes.")
        assert param(page, "line") == "1.2"
        next(button for button in page.button if button.label == "Remove it").click().run()
        gone = studio.store.record(record.season, param(without_errors(page), "episode"))
        assert gone is not None
        assert gone.generation.episode.scenes == record.generation.episode.scenes

    def test_what_cannot_be_a_line_is_refused_in_words_and_stays_in_its_field(
        self, studio: Studio, record: Record
    ) -> None:
        page = reading(record, beside="revise", line="1.1")
        page.text_area(key=f"text_{record.id}_1_1").set_value("   ")
        next(button for button in page.button if button.label == "Save the line").click().run()
        assert page.error[0].value == "The text is empty\\. Write something, or remove the line\\."
        assert page.text_area(key=f"text_{record.id}_1_1").value == "   "
        assert len(studio.store.record_ids(record.season)) == 1

    def test_one_scene_is_written_anew_in_the_background_and_the_rest_kept(
        self, studio: Studio, record: Record
    ) -> None:
        page = reading(record, beside="revise")
        page.selectbox(key=f"scene_number_{record.id}").set_value(2)
        page.text_area(key=f"scene_note_{record.id}").set_value("slower")
        next(button for button in page.button if button.label == "Write this scene anew").click().run()
        studio.wait(param(page, "job") or param(page, "episode"), 60)
        page = without_errors(page.run())
        new = studio.store.record(record.season, param(page, "episode"))
        assert new is not None
        assert new.revises == record.id
        assert param(page, "line") == "2.1"
        was, now = record.generation.episode.scenes, new.generation.episode.scenes
        assert [old == scene for old, scene in zip(was, now, strict=True)] == [
            number != 2 for number in range(1, len(was) + 1)
        ]

    def test_a_scene_whose_writing_the_studio_does_not_remember_is_explained(
        self, studio: Studio, record: Record
    ) -> None:
        page = reading(record, beside="revise", job="f" * 16, scene="2")
        assert "Scene 2 was being written when the studio was closed, so it is as it was." in shown(page)

    def test_versions_are_listed_and_marked_up_against_each_other(
        self, studio: Studio, record: Record
    ) -> None:
        page = reading(record, beside="revise", line="1.2")
        old = record.generation.episode.scenes[0].elements[1].text
        page.text_area(key=f"text_{record.id}_1_2").set_value(f"{old} <b>And</b> a gull.")
        next(button for button in page.button if button.label == "Save the line").click().run()
        new = param(page, "episode")
        page = opened(season=record.season, episode=new, beside="versions", against=record.id)
        assert {f"version_{record.id}", f"version_{new}"} <= keys(page)
        told = shown(page)
        assert "<ins>" in told
        assert "&lt;b&gt;And&lt;/b&gt;" in told
        assert "lines as before" in told

    def test_a_season_opens_at_the_newest_version_and_lists_it_once(
        self, studio: Studio, record: Record
    ) -> None:
        page = reading(record, beside="revise", line="1.2")
        next(button for button in page.button if button.label == "Remove it").click().run()
        new = param(page, "episode")
        page = opened(season=record.season)
        assert param(page, "episode") == new
        assert {key for key in keys(page) if key.startswith("to_")} == {f"to_{new}"}
        page = reading(record)
        assert {key for key in keys(page) if key.startswith("to_")} == {f"to_{record.id}"}
        assert "This is an earlier version" in shown(page)


class TestLookingBack:
    def test_the_season_tells_what_was_opened_and_closed_and_who_knows_what(
        self, studio: Studio, record: Record
    ) -> None:
        second = next_of(studio, record, "b")
        told = shown(opened(season=record.season, episode=second.id, view="season"))
        thread = record.generation.episode.state.threads[0].question
        assert thread.replace("'", "&#x27;") in told
        assert '<td class="on">opened</td>' in told
        assert "Episode 2" in told
        assert "Who knows what" in told

    def test_a_season_without_an_episode_says_what_to_do_first(self, studio: Studio) -> None:
        season = studio.open_season(load_sample("slack_water"), source="slack_water").id
        assert "Write the first one" in shown(opened(season=season, view="season"))


class TestWhoMay:
    def test_a_writer_may_write_revise_rate_and_take_away(self, studio: Studio, record: Record) -> None:
        page = as_somebody(["writer"], season=record.season, episode=record.id, beside="revise")
        there = keys(page)
        assert {"new_series", f"choice_{record.id}_a", f"get_PDF_{record.id}"} <= there
        assert any(button.label == "Save the line" for button in page.button)

    def test_whoever_has_no_role_is_told_so_and_sees_no_script(self, studio: Studio, record: Record) -> None:
        page = as_somebody([], season=record.season, episode=record.id)
        assert "you are signed in, but have no role in this studio yet" in page.error[0].value
        assert "article" not in shown(page)

    @pytest.mark.parametrize("role", ["analyst", "operator"])
    def test_an_operator_and_an_analyst_are_not_led_to_write(
        self, studio: Studio, record: Record, role: str
    ) -> None:
        page = as_somebody([role], season=record.season, episode=record.id)
        assert not {"write", "new_series", f"choice_{record.id}_a"} & keys(page)


def test_a_script_that_no_font_of_ours_sets_is_read_on_the_page_and_says_why_there_is_no_pdf(
    studio: Studio,
) -> None:
    bible = load_sample("slack_water").model_copy(update={"title": "מים שקטים", "cards": None})
    season = studio.open_season(bible).id
    policy = studio.policy(tier="basic_fallback")
    job = studio.start(EpisodeRequest(bible=bible, seed=1), season=season, policy=policy)
    page = opened(season=season, episode=written(studio, season, job).id)
    assert page.title[0].value == "מים שקטים"
    labels = [element.proto.label for element in page.get("download_button")]
    assert labels == ["Fountain", "Final Draft", "Plain text", "JSON"]
    assert "No PDF\\: " in shown(page)
