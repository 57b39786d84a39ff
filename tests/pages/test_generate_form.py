"""A series begun from a short form, a bible edited in a long one, and what a form makes of what is typed into it."""

from __future__ import annotations

import pytest
from streamlit.testing.v1 import AppTest

from cinegen_core.access import NotAllowedError, Person
from cinegen_core.acting import Acting
from cinegen_core.drafting import (
    ArcDraft,
    BibleDraft,
    PersonDraft,
    PlaceDraft,
    advice,
    bible_of,
    draft_of,
    keep_bible,
    keeps_cards,
    needed,
)
from cinegen_core.story import StoryBible
from cinegen_core.story.errors import StoryError
from cinegen_core.studio import Studio
from tests.builders import a_bible, a_request
from tests.pages.test_generate import an_empty_room, finished, opened, param, shown, without_errors

__all__ = ["an_empty_room"]

MARIT = PersonDraft(name="Marit Vold", want="to see the November log")
ANSEL = PersonDraft(name="Ansel Roe", want="to keep the station open")
SMALLEST = BibleDraft(title="Slack Water", premise="A pilot comes home.", people=(MARIT, ANSEL))


class TestADraft:
    def test_gives_back_every_sample_and_every_bible_that_people_type(
        self, samples: dict[str, StoryBible], typed_bibles: dict[str, StoryBible]
    ) -> None:
        for name, bible in {**samples, **typed_bibles}.items():
            assert bible_of(draft_of(bible)) == bible, name

    def test_says_what_is_still_needed_and_nothing_once_it_is_there(self) -> None:
        assert needed(BibleDraft()) == ("a title", "a premise", "two people with a name who want something")
        half = SMALLEST.model_copy(update={"people": (MARIT, PersonDraft(name="Ansel Roe"))})
        assert needed(half) == ("one more person with a name who wants something",)
        assert needed(SMALLEST) == ()

    def test_passes_over_people_places_and_arcs_that_nobody_filled_in(self) -> None:
        draft = SMALLEST.model_copy(
            update={
                "people": (PersonDraft(), MARIT, ANSEL, PersonDraft()),
                "places": (PlaceDraft(),),
                "arcs": (ArcDraft(),),
            }
        )
        bible = bible_of(draft)
        assert [person.name for person in bible.characters] == ["Marit Vold", "Ansel Roe"]
        assert (bible.locations, bible.arcs) == ((), ())

    def test_what_is_wrong_is_said_in_the_words_of_the_form(self) -> None:
        draft = SMALLEST.model_copy(
            update={
                "people": (MARIT, ANSEL, PersonDraft(role="a stranger", relationships="knows everybody")),
                "places": (PlaceDraft(look="dark"),),
            }
        )
        with pytest.raises(StoryError) as refused:
            bible_of(draft)
        told = {problem.key: problem.what for problem in refused.value.problems}
        assert told == {
            "Somebody, relationships": "'knows everybody' does not say with whom",
            "Person 3, name": "is empty",
            "Place 1, name": "is empty",
        }

    def test_a_relationship_may_be_with_somebody_whose_name_has_a_colon(self) -> None:
        other = PersonDraft(name="Unit: Nine", want="to be switched off")
        marit = MARIT.model_copy(update={"relationships": "Unit: Nine: her launch\nPip: a friend"})
        bible = bible_of(SMALLEST.model_copy(update={"people": (marit, other)}))
        assert bible.characters[0].relationships == {"Unit: Nine": "her launch", "Pip": "a friend"}

    def test_advice_is_in_the_words_of_the_form_and_begins_with_two_who_want_the_same(self) -> None:
        same = SMALLEST.model_copy(
            update={"people": (MARIT, ANSEL.model_copy(update={"want": "To see the November log."}))}
        )
        told = advice(bible_of(same))
        assert told[0] == "People: all want the same; a story begins where two want different things"
        assert "Marit Vold, secret: this person has nothing to hide, so nobody can find it out" in told
        assert not any("[" in line for line in told)

    def test_a_samples_own_scenes_are_kept_while_everybody_they_were_written_for_is_there(
        self, samples: dict[str, StoryBible]
    ) -> None:
        draft = draft_of(samples["slack_water"], source="slack_water")
        more = draft.model_copy(update={"people": (*draft.people, PersonDraft(name="Nell"))})
        assert bible_of(more).cards == samples["slack_water"].cards
        renamed = draft.people[0].model_copy(update={"name": "Nell"})
        other = draft.model_copy(update={"people": (renamed, *draft.people[1:])})
        assert not keeps_cards(other)
        assert bible_of(other).cards is None


class TestKeepingABible:
    def test_before_the_first_episode_everything_may_change(self, studio: Studio) -> None:
        me = Acting(studio, Person(id="u1", name="Ada", roles=frozenset(("writer",))))
        season = studio.open_season(a_bible(), source="slack_water")
        kept = keep_bible(me, season, a_bible(title="Spring Tide"))
        assert (kept.title, kept.source) == ("Spring Tide", "")
        assert studio.store.season(season.id) == kept
        assert studio.store.bible(season.id) == a_bible(title="Spring Tide")

    def test_once_there_are_episodes_it_holds_for_those_to_come_and_the_title_stays(
        self, studio: Studio
    ) -> None:
        me = Acting(studio, Person(id="u1", name="Ada", roles=frozenset(("writer",))))
        season = studio.open_season(a_bible())
        studio.wait(studio.start(a_request(), season=season.id), 20)
        keep_bible(me, season, a_bible(tone="dry"))
        assert studio.store.bible(season.id) == a_bible(tone="dry")
        assert len(studio.store.record_ids(season.id)) == 1
        with pytest.raises(StoryError, match="goes on as 'Slack Water'"):
            keep_bible(me, season, a_bible(title="Spring Tide"))

    def test_it_takes_a_writer(self, studio: Studio) -> None:
        me = Acting(studio, Person(id="u1", name="Ada", roles=frozenset(("operator",))))
        season = studio.open_season(a_bible())
        with pytest.raises(NotAllowedError):
            keep_bible(me, season, a_bible(tone="dry"))


def short_form() -> tuple[AppTest, str]:
    page = opened()
    page.radio(key="kind").set_value("A short form")
    page = without_errors(page.run())
    return page, param(page, "draft")


def fill(page: AppTest, key: str, **values: str) -> AppTest:
    for name, value in values.items():
        at = f"{key}.{name.replace('__', '.')}"
        field = page.text_area(key=at) if at.endswith(("premise", "want")) else page.text_input(key=at)
        field.set_value(value)
    return without_errors(page.run())


def filled(page: AppTest, key: str) -> AppTest:
    return fill(
        page, key, title="Slack Water", premise="A pilot comes home.", people__0__name="Marit Vold",
        people__0__want="to see the log", people__1__name="Ansel Roe", people__1__want="to keep it shut",
    )  # fmt: skip


def test_a_series_begins_with_a_title_a_premise_and_two_people(studio: Studio) -> None:
    page, key = short_form()
    assert "Still needed: a title, a premise, two people with a name who want something." in shown(page)
    assert page.button(key="write").disabled
    page = filled(page, key)
    assert not page.button(key="write").disabled
    page.button(key="write").click().run()
    page = finished(page, studio)
    assert page.title[0].value == "Slack Water"
    bible = studio.store.bible(param(page, "season"))
    assert bible is not None
    assert [person.want for person in bible.characters] == ["to see the log", "to keep it shut"]


def test_what_was_typed_is_there_after_a_reload_and_after_going_elsewhere(studio: Studio) -> None:
    page, key = short_form()
    page = fill(page, key, title="Slack <b>Water</b>")
    again = opened(draft=key)
    assert again.text_input(key=f"{key}.title").value == "Slack <b>Water</b>"
    page.radio(key="kind").set_value("A sample").run()
    page.radio(key="kind").set_value("A short form").run()
    assert without_errors(page).text_input(key=f"{key}.title").value == "Slack <b>Water</b>"


def part(page: AppTest, key: str, name: str) -> AppTest:
    """The form with another of its parts in front."""
    page.session_state[f"part_{key}"] = name
    return without_errors(page.run())


def test_the_short_form_unfolds_into_all_of_the_bible_and_people_can_come_and_go(studio: Studio) -> None:
    page, key = short_form()
    page = filled(page, key)
    page.button(key="form_extent").click().run()
    page = without_errors(page)
    assert param(page, "form") == "all"
    page = part(page, key, "People")
    assert page.text_input(key=f"{key}.people.0.name").value == "Marit Vold"
    assert page.text_area(key=f"{key}.people.1.want").value == "to keep it shut"
    page.button(key=f"{key}.people.more").click().run()
    page.text_input(key=f"{key}.people.2.name").set_value("Pip").run()
    page = part(page, key, "Threads and arcs")
    page.text_area(key=f"{key}.threads").set_value("Who cut the page?\nWho polishes the tag?").run()
    page = part(page, key, "People")
    page.button(key=f"{key}.people.0.out").click().run()
    page = without_errors(page)
    assert [page.text_input(key=f"{key}.people.{n}.name").value for n in (0, 1)] == ["Ansel Roe", "Pip"]
    assert "Still needed: one more person with a name who wants something." in shown(page)
    page.text_area(key=f"{key}.people.1.want").set_value("money").run()
    page.button(key="save_series").click().run()
    bible = studio.store.bible(param(without_errors(page), "season"))
    assert bible is not None
    assert bible.threads == ("Who cut the page?", "Who polishes the tag?")
    assert studio.jobs() == ()


def test_a_sample_can_be_edited_before_its_first_episode(studio: Studio) -> None:
    page = opened()
    page.selectbox(key="sample").set_value("slack_water").run()
    page.button(key="edit_first").click().run()
    page = without_errors(page)
    key = param(page, "draft")
    assert page.text_input(key=f"{key}.title").value == "Slack Water"
    page.text_input(key=f"{key}.tone").set_value("as dry as salt").run()
    page.button(key="save_series").click().run()
    season = studio.store.season(param(without_errors(page), "season"))
    assert season is not None
    assert season.source == ""
    bible = studio.store.bible(season.id)
    assert bible is not None
    assert (bible.tone, bible.cards is not None) == ("as dry as salt", True)


def test_a_seasons_bible_is_changed_for_the_episodes_to_come(studio: Studio) -> None:
    season = studio.open_season(a_bible()).id
    studio.wait(studio.start(a_request(), season=season), 20)
    page = opened(season=season, view="bible")
    assert "One episode is written by this bible. What you change holds for those to come." in shown(page)
    assert "Nothing is changed yet." in shown(page)
    assert f"{season}.title" not in {field.key for field in page.text_input}
    page.text_input(key=f"{season}.tone").set_value("dry").run()
    page.button(key="save_bible").click().run()
    bible = studio.store.bible(season)
    assert bible is not None
    assert bible.tone == "dry"
    assert "Nothing is changed yet." in shown(without_errors(page))


def test_changes_can_be_dropped(studio: Studio) -> None:
    season = studio.open_season(a_bible()).id
    page = opened(season=season, view="bible")
    page.text_input(key=f"{season}.tone").set_value("dry").run()
    page.button(key="drop_bible").click().run()
    page = without_errors(page)
    assert page.text_input(key=f"{season}.tone").value == ""
    assert studio.store.bible(season) == a_bible()


def test_a_bible_that_cannot_be_used_yet_cannot_be_saved_and_says_why(studio: Studio) -> None:
    season = studio.open_season(a_bible()).id
    page = part(opened(season=season, view="bible"), season, "People")
    page.text_input(key=f"{season}.people.1.name").set_value("marit vold").run()
    page = without_errors(page)
    assert page.error[0].value == "This keeps the bible from being used:"
    assert page.button(key="save_bible").disabled


def test_a_hostile_bible_is_shown_as_text_in_the_form(studio: Studio) -> None:
    hostile = "<img src=x onerror=alert(1)> :red[x] **y** \u05d0\u05d1"
    season = studio.open_season(a_bible(theme=hostile, threads=[hostile] * 300)).id
    page = opened(season=season, view="bible")
    assert page.text_input(key=f"{season}.theme").value == hostile
    assert "<img" not in shown(page)
    look = opened(season=season, view="season")
    assert "<img" not in shown(look)
