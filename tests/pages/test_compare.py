"""The page Compare tiers: one request in several ways, side by side, blind, and what the votes say."""

from __future__ import annotations

import csv
import io
import random
import re
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from streamlit.testing.v1 import AppTest

from cinegen_core.acting import Acting
from cinegen_core.analysis.episodes import take
from cinegen_core.comparing import SUBJECTS, Answered, Comparison, Way, overlay
from cinegen_core.monitor.events import VoteEvent
from cinegen_core.scorer import score
from cinegen_core.settings import Settings
from cinegen_core.store.comparisons import SqlComparisons
from cinegen_core.store.results import NoResults
from cinegen_core.store.sql import Database, sqlite_url
from cinegen_core.store.sql_episodes import SqlStore
from cinegen_core.story import EpisodeRequest
from cinegen_core.story.load import load_sample
from cinegen_core.studio import Studio, open_monitoring
from cinegen_core.writers.embedded import EmbeddedWriter
from cinegen_core.writers.template import TemplateWriter
from pages import shared
from pages.compare_held import held_for
from pages.compare_read import differences, table_csv
from tests.builders import a_bible, a_request
from tests.comparing.comparisons import SINGLE, TEMPLATE, WITH, a_comparison, a_generation, a_vote
from tests.fakes import FakeClock, FakeWriter, StuckWriter, TitleEngine, by_form

APP = str(Path(__file__).parents[2] / "studio_app.py")
LABELS = ("with the engines", "in a single pass", "from the template")
KINDS = ("title", "subheader", "markdown", "caption", "info", "warning", "error", "success")


@pytest.fixture
def writer() -> FakeWriter:
    return FakeWriter(changes={"title": "The Log"})


@pytest.fixture
def studio(writer: FakeWriter, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Studio]:
    """A studio whose first two tiers write different episodes, with its record in a database."""
    settings = Settings(data_dir=tmp_path, install_id="house", jobs=1)
    clock = FakeClock()
    database = Database(sqlite_url(tmp_path / "cinegen.db"))
    single = FakeWriter(changes={"title": "Low Water"})
    made = Studio(
        settings,
        clock=clock,
        rng=random.Random(1),
        store=SqlStore(database),
        comparisons=SqlComparisons(database),
        results=NoResults(),
        writers={"comprehensive": writer, "enhanced_baseline": single, "basic_fallback": TemplateWriter()},
        engines=(TitleEngine(),),
        judge=by_form,
        monitoring=open_monitoring(settings, clock, database),
    )
    with made:
        monkeypatch.setattr(shared, "make_studio", lambda: made)
        shared.the_studio.clear()
        yield made
    shared.the_studio.clear()
    held_for.clear()
    database.close()


def opened(*roles: str, who: str = "", **params: str) -> AppTest:
    """The page as somebody sees it who comes to this address; without a name, whoever sits at the computer."""
    page = AppTest.from_file(APP, default_timeout=30)
    if who:
        page.secrets["auth"] = {"client_id": "studio"}
        page.user = {"is_logged_in": True, "sub": who, "name": who.capitalize(), "roles": list(roles)}
    page.run()
    page.switch_page("pages/compare.py")
    for name, value in params.items():
        page.query_params[name] = value
    return fine(page.run())


def fine(page: AppTest) -> AppTest:
    assert not page.exception, [problem.value for problem in page.exception]
    return page


def param(page: AppTest, name: str) -> str:
    value = page.query_params.get(name, [""])
    return value if isinstance(value, str) else value[0]


def shown(page: AppTest) -> str:
    """Everything that can be read on the page."""
    found: list[Any] = [element for kind in KINDS for element in page.get(kind)]
    html: list[Any] = list(page.get("html"))
    return "\n".join([*(element.value for element in found), *(element.proto.body for element in html)])


def buttons(page: AppTest) -> set[str]:
    return {button.key for button in page.button if button.key}


def written(studio: Studio, *ways: Way, who: str = "ada") -> str:
    """The id of a comparison that has come to its end."""
    id = studio.start_comparison(a_request(), ways or (WITH, SINGLE, TEMPLATE), who=who)
    studio._comparing[id].join(30)
    return id


def votes(studio: Studio) -> list[VoteEvent]:
    assert studio.monitoring is not None
    return [event for event in studio.monitoring.events(kinds=("vote",)) if isinstance(event, VoteEvent)]


class TestWhatIsAskedFor:
    def test_a_new_visitor_sees_how_many_ways_come_out_and_what_each_is_called(self, studio: Studio) -> None:
        page = opened()
        assert page.title[0].value == "Compare ways of writing"
        assert "These are 3 ways" in shown(page)
        assert "1. With the engines\n2. In a single pass\n3. From the template" in shown(page)
        assert "None yet" in shown(page)
        assert not page.button(key="compare").disabled

    def test_flags_engines_and_seeds_multiply_the_ways_of_the_tiers_that_they_touch(
        self, studio: Studio
    ) -> None:
        page = opened()
        page.multiselect(key="compare_tiers").set_value(["comprehensive", "basic_fallback"])
        page.multiselect(key="compare_flags").set_value(["complete_context"])
        page.multiselect(key="compare_engines").set_value(["Title"])
        said = shown(fine(page.run()))
        assert "These are 5 ways" in said
        assert "With the engines, complete\\_context off, without Title" in said
        page.multiselect(key="compare_tiers").set_value(["enhanced_baseline"])
        page.multiselect(key="compare_flags").set_value([])
        page.number_input(key="compare_seeds").set_value(3)
        assert "3. In a single pass, seed 3" in shown(fine(page.run()))

    def test_one_way_alone_is_no_comparison_and_too_many_are_refused_before_anything_is_written(
        self, studio: Studio
    ) -> None:
        page = opened()
        page.multiselect(key="compare_tiers").set_value(["enhanced_baseline"])
        assert "Pick a second" in shown(fine(page.run()))
        assert page.button(key="compare").disabled
        page.multiselect(key="compare_tiers").set_value(["comprehensive", "enhanced_baseline"])
        page.multiselect(key="compare_flags").set_value(["complete_context", "high_temperature"])
        page.number_input(key="compare_seeds").set_value(4)
        assert "at most 12" in shown(fine(page.run()))
        assert page.button(key="compare").disabled

    def test_the_next_episode_of_a_season_follows_the_choice_that_is_picked(self, studio: Studio) -> None:
        season = studio.open_season(a_bible()).id
        first = studio.start(a_request(), season=season)
        studio.wait(first, 20)
        page = opened()
        page.radio(key="compare_source").set_value("A season of this studio")
        page = fine(page.run())
        page.selectbox(key=f"compare_after_{season}").set_value(first)
        page = fine(page.run())
        page.radio(key=f"compare_choice_{first}").set_value("b")
        page.text_area(key="compare_direction").set_value("Slower.")
        page.button(key="compare").click()
        page = fine(page.run())
        view = studio.comparison_job(param(page, "comparison"))
        assert view is not None
        request = view.comparison.request
        assert (request.number, request.choice, request.direction) == (2, "b", "Slower.")
        assert "after the choice\\: Wake Pip" in shown(page)

    def test_a_studio_without_seasons_says_where_to_begin_one(self, studio: Studio) -> None:
        page = opened()
        page.radio(key="compare_source").set_value("A season of this studio")
        assert "Begin one on the page Generate" in shown(fine(page.run()))
        assert page.button(key="compare").disabled


class TestWhileItIsWritten:
    @pytest.fixture
    def writer(self) -> FakeWriter:
        return StuckWriter()

    def test_a_second_tab_sees_each_way_and_may_stop_it_and_what_is_finished_stays(
        self, studio: Studio, writer: StuckWriter
    ) -> None:
        page = opened()
        page.button(key="compare").click().run()
        assert writer.reached.wait(20)
        second = opened(comparison=param(page, "comparison"))
        assert "0 of 3 ways" in second.get("progress")[0].proto.text
        assert "1. With the engines</td><td>drafting" in shown(second)
        assert "waits for its turn" in shown(second)
        second.button(key="stop").click().run()
        studio._comparing[param(page, "comparison")].join(20)
        assert "Stopped before it was finished" in shown(fine(second.run()))
        assert "nothing to compare" in shown(second)

    def test_a_studio_that_writes_enough_already_says_so_and_keeps_what_was_typed(
        self, studio: Studio, writer: StuckWriter
    ) -> None:
        first = opened()
        first.button(key="compare").click().run()
        assert writer.reached.wait(20)
        page = opened()
        page.text_area(key="compare_direction").set_value("Slower.")
        page.button(key="compare").click()
        assert "Wait for one, or stop one" in shown(fine(page.run()))
        assert page.text_area(key="compare_direction").value == "Slower."


class TestReadingBlind:
    def test_before_anything_is_shown_one_may_read_blind(self, studio: Studio) -> None:
        page = opened(comparison=written(studio))
        assert {"read_blind", "reveal"} <= buttons(page)
        assert "The Log" not in shown(page)

    def test_two_episodes_are_shown_without_a_word_on_how_they_were_made(self, studio: Studio) -> None:
        page = opened(comparison=written(studio), read="blind")
        said = shown(page)
        assert "Pair 1 of 3" in said
        assert "Episode A" in said
        assert "Episode B" in said
        for word in (*LABELS, "fake", "tokens", "scorecard"):
            assert word not in said.casefold()

    def test_a_reload_and_a_second_tab_show_the_same_on_the_same_sides(self, studio: Studio) -> None:
        id = written(studio)
        assert shown(opened(comparison=id, read="blind")) == shown(opened(comparison=id, read="blind"))
        orders = {
            tuple(
                re.findall(
                    r'<p class="title">(.*?)</p>',
                    shown(opened("writer", who=who, comparison=id, read="blind")),
                )
            )
            for who in ("ada", "ben", "cy", "dee", "eve", "fay")
        }
        assert len(orders) > 1

    def test_each_vote_leads_to_the_next_pair_and_the_last_to_which_was_which(self, studio: Studio) -> None:
        id = written(studio)
        page = opened("analyst", who="ada", comparison=id, read="blind")
        for place, about in enumerate(("dialogue", "choices", "world")):
            assert f"Pair {place + 1} of 3" in shown(page)
            page.radio(key=f"prefer_{place}_overall").set_value("second")
            page.radio(key=f"prefer_{place}_{about}").set_value("neither")
            submit(page)
        said = shown(page)
        assert "What each way came to" in said
        assert "<td>Overall</td>" in said
        assert [(one.about, one.preferred) for one in votes(studio)] == [
            ("dialogue", "neither"), ("overall", "second"), ("choices", "neither"), ("overall", "second"),
            ("world", "neither"), ("overall", "second"),
        ]  # fmt: skip
        kept = studio.comparisons.comparison(id)
        assert kept is not None
        by_id = {one.id: way.label for way, one in zip(kept.ways, kept.generations, strict=True) if one}
        for vote in votes(studio):
            assert (vote.first.way, vote.second.way) == (
                by_id[vote.first.generation],
                by_id[vote.second.generation],
            )
        assert "ada" not in {vote.who for vote in votes(studio)}

    def test_what_was_voted_on_is_not_asked_again_in_another_tab(self, studio: Studio) -> None:
        id = written(studio)
        page = opened(comparison=id, read="blind")
        page.radio(key="prefer_0_overall").set_value("first")
        submit(page)
        assert "Pair 2 of 3" in shown(opened(comparison=id))

    def test_without_an_overall_preference_nothing_is_recorded_and_the_rest_stays(
        self, studio: Studio
    ) -> None:
        page = opened(comparison=written(studio), read="blind")
        page.radio(key="prefer_0_world").set_value("first")
        submit(page)
        assert "Say which of the two you prefer overall" in shown(page)
        assert page.radio(key="prefer_0_world").value == "first"
        assert votes(studio) == []

    def test_whoever_has_seen_which_is_which_votes_no_more_in_any_tab(self, studio: Studio) -> None:
        id = written(studio)
        page = opened(comparison=id)
        page.button(key="reveal").click()
        assert "1. With the engines" in shown(fine(page.run()))
        again = opened(comparison=id, read="blind")
        assert "cannot be read blind any more" in shown(again)
        assert "1. With the engines" in shown(again)
        assert "read_blind" in buttons(opened("writer", who="ben", comparison=id))

    def test_one_episode_alone_is_shown_at_once(self, studio: Studio) -> None:
        comparison = a_comparison(Answered(generation=a_generation()), Answered(why="No model answered."))
        studio.comparisons.save(comparison)
        page = opened(comparison=comparison.id)
        assert "2\\. In a single pass\\: No model answered" in shown(page)
        assert "The Stub" in shown(page)
        assert "read_blind" not in buttons(page)


def submit(page: AppTest) -> None:
    next(button for button in page.button if button.label.startswith("Vote, and")).click()
    fine(page.run())


def judged() -> Comparison:
    """A comparison of two episodes of the embedded writer with their scorecards."""
    bible = load_sample("slack_water")
    one, other = (take(EmbeddedWriter(), EpisodeRequest(bible=bible, seed=seed)).episode for seed in (2, 3))
    return a_comparison(
        Answered(generation=a_generation("1" * 16, episode=one, scorecard=score(one, bible), seconds=7.25)),
        Answered(
            generation=a_generation(
                "2" * 16,
                tier="enhanced_baseline",
                writer="=2+2",
                episode=other,
                scorecard=score(other, bible),
                seconds=7.25,
            )
        ),
    )


class TestReadingWithLabels:
    def test_scores_time_tokens_and_cost_stand_beside_each_other_with_the_pages(self, studio: Studio) -> None:
        comparison = judged()
        studio.comparisons.save(comparison)
        held_for(studio).see(comparison, Acting(studio, me(studio)).person)
        page = opened(comparison=comparison.id)
        said = shown(page)
        first, second = comparison.generations
        assert first is not None
        assert second is not None
        for episode in (first.episode, second.episode):
            assert episode.scenes[0].slugline in said
        assert "7.2 s" in said
        assert "<td>311</td><td>$0.0125</td>" in said
        assert page.get("vega_lite_chart") or page.get("arrow_vega_lite_chart")
        assert '<th scope="col">2</th>' in said
        assert "way 1 overall" in said

    def test_differences_are_said_against_the_first_way(self) -> None:
        comparison = judged()
        (said,) = differences(comparison, overlay(comparison.generations))
        assert said.startswith("2. In a single pass: ")
        assert "as quick (7.2 s)" in said
        nothing = a_comparison(Answered(why="No."), Answered(generation=a_generation()))
        assert differences(nothing, overlay(nothing.generations)) == ()

    def test_the_table_can_be_taken_away_and_holds_no_formula(self) -> None:
        comparison = judged()
        found = overlay(comparison.generations)
        rows = list(csv.DictReader(io.StringIO(table_csv(comparison, found))))
        assert [row["label"] for row in rows] == ["with the engines", "in a single pass"]
        assert (
            float(rows[0]["dialogue"])
            == next(row for row in found.dimensions if row.name == "dialogue").scores[0]
        )
        assert (rows[0]["seconds"], rows[0]["tokens"], rows[0]["cost_usd"]) == ("7.25", "311", "0.0125")
        assert rows[1]["writer"] == "'=2+2"
        stopped = a_comparison(Answered(generation=a_generation()), Answered(why="Stopped."))
        (_, none) = csv.DictReader(io.StringIO(table_csv(stopped, overlay(stopped.generations))))
        assert (none["overall"], none["tokens"], none["why_none"]) == ("", "", "Stopped.")

    def test_the_address_says_which_ways_are_read(self, studio: Studio) -> None:
        id = written(studio)
        kept = studio.comparisons.comparison(id)
        assert kept is not None
        held_for(studio).see(kept, me(studio))
        page = opened(comparison=id, ways="3,1")
        assert page.multiselect(key=f"beside_{id}").value == [2, 0]
        assert [tab.label for tab in page.tabs] == ["3\\. From the template", "1\\. With the engines"]
        page.multiselect(key=f"beside_{id}").set_value([1])
        assert param(fine(page.run()), "ways") == "2"

    def test_text_is_never_read_as_html_or_markdown(self, studio: Studio) -> None:
        title = "<b>*Slack* :red[Water]</b>"
        one = a_generation("1" * 16, title=title)
        comparison = a_comparison(Answered(generation=one), Answered(why="*No* <i>reason</i>."))
        comparison = comparison.model_copy(update={"request": a_request(bible=a_bible(title=title))})
        studio.comparisons.save(comparison)
        said = shown(opened(comparison=comparison.id))
        assert "&lt;b&gt;*Slack*" in said
        assert "\\<b\\>\\*Slack\\* \\:red\\[Water\\]" in said
        assert "\\*No\\* \\<i\\>reason" in said


class TestOtherAddresses:
    def test_one_that_leads_nowhere_leads_to_the_beginning(self, studio: Studio) -> None:
        page = opened(comparison="../../etc")
        assert "There is no comparison at this address" in shown(page)
        assert "compare" in buttons(page)

    def test_a_damaged_one_is_explained_and_leaves_the_form_usable(self, studio: Studio) -> None:
        studio.comparisons.save(a_comparison(Answered(generation=a_generation())))
        with closing(sqlite3.connect(studio.settings.data_dir / "cinegen.db")) as database, database:
            database.execute("UPDATE comparisons SET data = '{}'")
        assert "is damaged" in opened(comparison="c" * 16).error[0].value
        page = opened()
        assert "Restore the database from a backup" in page.error[0].value
        assert not page.button(key="compare").disabled

    def test_one_that_was_cut_short_can_be_written_again(self, studio: Studio) -> None:
        cut = a_comparison(Answered(generation=a_generation()))
        studio.comparisons.save(cut)
        page = opened(comparison=cut.id)
        assert "when the studio was closed" in shown(page)
        assert "not finished" in shown(page)
        page.button(key="again").click()
        page = fine(page.run())
        view = studio.comparison_job(param(page, "comparison"))
        assert view is not None
        again = view.comparison
        assert again.id != cut.id
        assert (again.request, again.ways) == (cut.request, cut.ways)

    def test_what_was_begun_is_listed_at_once_and_opens_from_there(self, studio: Studio) -> None:
        opened()
        page = opened()
        page.button(key="compare").click().run()
        id = param(page, "comparison")
        page.button(key="to_all").click()
        page = fine(page.run())
        assert f"season_{id}" in buttons(page)
        page.button(key=f"season_{id}").click()
        assert param(fine(page.run()), "comparison") == id


class TestVotes:
    def test_without_votes_there_is_no_data(self, studio: Studio) -> None:
        assert "No data: nobody has voted yet" in shown(opened(view="votes"))

    def test_too_few_votes_have_no_rate(self, studio: Studio) -> None:
        voted(studio, readers=2, comparisons=3)
        said = shown(opened(view="votes"))
        assert (
            "<td>A / B</td><td>6, 0, 0</td><td>2</td><td>3</td><td>no data</td><td>no data</td><td>no data</td>"
            in said
        )
        assert "no data yet" in said

    def test_enough_votes_have_a_rate_with_its_interval_by_way_tier_and_reader(self, studio: Studio) -> None:
        voted(studio, readers=8, comparisons=8)
        page = opened(view="votes", by="tier")
        said = shown(page)
        assert "with the engines / in a single pass" in said
        assert "<td>64, 0, 0</td><td>8</td><td>8</td><td>100 % (" in said
        assert "<td>p = 0.008</td><td>settled</td>" in said
        assert "the left was preferred 64 times" in said.casefold()
        assert "readers lean to the left" in said
        assert page.get("vega_lite_chart") or page.get("arrow_vega_lite_chart")
        assert "<td>8, 0, 0</td><td>100 %</td>" in said
        page.selectbox(key="votes_about").set_value(SUBJECTS[1])
        assert "there are no votes about character depth" in shown(fine(page.run()))
        assert param(page, "about") == SUBJECTS[1]

    def test_a_new_vote_is_counted_at_once(self, studio: Studio) -> None:
        voted(studio, readers=2, comparisons=2)
        page = opened(view="votes")
        voted(studio, readers=1, comparisons=1, begin=100, name="late")
        assert "<td>5, 0, 0</td>" in shown(fine(page.run()))

    def test_a_vote_dated_by_a_clock_that_is_ahead_hides_none_that_come_after_it(
        self, studio: Studio
    ) -> None:
        voted(studio, readers=1, comparisons=1, begin=10_000_000)
        page = opened(view="votes")
        voted(studio, readers=1, comparisons=1, name="late")
        assert "<td>2, 0, 0</td>" in shown(fine(page.run()))

    def test_simulated_votes_are_kept_apart_and_say_what_they_are(self, studio: Studio) -> None:
        voted(studio, readers=6, comparisons=6, series="simulated")
        assert "nobody has voted yet" in shown(opened(view="votes"))
        said = shown(opened(view="votes", readers="simulated"))
        assert "Simulated: no reader gave these votes" in said
        assert "<td>36, 0, 0</td>" in said


def voted(
    studio: Studio,
    *,
    readers: int,
    comparisons: int,
    series: str = "live",
    begin: int = 0,
    name: str = "reader",
) -> None:
    """Each reader prefers way A, on the left, in each comparison."""
    assert studio.monitoring is not None
    number = begin
    for reader in range(readers):
        for comparison in range(comparisons):
            number += 1
            vote = a_vote(number=number, who=f"{name}{reader}", comparison=comparison)
            studio.monitoring.voted(vote.model_copy(update={"series": series}))


class TestRoles:
    @pytest.mark.parametrize("role", ["writer", "analyst"])
    def test_writers_and_analysts_compare_and_vote(self, studio: Studio, role: str) -> None:
        assert not opened(role, who="ada").button(key="compare").disabled
        assert "read_blind" in buttons(opened(role, who="ada", comparison=written(studio)))

    def test_it_is_none_of_the_operators_pages(self, studio: Studio) -> None:
        page = AppTest.from_file(APP, default_timeout=30)
        page.secrets["auth"] = {"client_id": "studio"}
        page.user = {"is_logged_in": True, "sub": "o", "name": "Olga", "roles": ["operator"]}
        page.run()
        with pytest.raises(ValueError, match="Could not find a navigation page"):
            page.switch_page("pages/compare.py")


def me(studio: Studio) -> Any:
    from cinegen_core.access import single_user

    return single_user(studio.settings, listens_on="127.0.0.1")
