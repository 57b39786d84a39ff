"""The page Quality explorer: which answers are good or bad and why, and scripts of one's own on the same scale."""

from __future__ import annotations

import io
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlparse

import pandas as pd
import pytest
from streamlit.testing.v1 import AppTest

from cinegen_core.acting import Acting
from cinegen_core.analysis.answers import answers_frame, engines_frame
from cinegen_core.analysis.charts import BRUSH_QUALITY, BRUSH_TIME
from cinegen_core.analysis.episodes import take
from cinegen_core.analysis.explore import worst
from cinegen_core.analysis.exporting import to_parquet
from cinegen_core.analysis.filters import Filters, Span
from cinegen_core.monitor.events import Event
from cinegen_core.scorer import score
from cinegen_core.settings import Settings
from cinegen_core.store import StoreError
from cinegen_core.store.events import SqlEvents
from cinegen_core.store.sql import Database, sqlite_url
from cinegen_core.story import EpisodeRequest
from cinegen_core.story.formats import to_fdx, to_fountain, to_text
from cinegen_core.story.load import load_sample
from cinegen_core.story.script import Script
from cinegen_core.studio import Studio, open_studio
from cinegen_core.writers.embedded import EmbeddedWriter
from pages import explore_export, shared
from pages.explore_charts import look_at
from pages.explore_held import held_for
from pages.explore_rounds import Rounds, the_rounds
from tests.analysis.answering import a_word, ago, an_answer, an_engine, many_answers
from tests.fakes import FakeClock

APP = str(Path(__file__).parents[2] / "studio_app.py")
KINDS = ("title", "header", "subheader", "markdown", "caption", "info", "warning", "error", "success", "code")


@pytest.fixture
def studio(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Studio]:
    """A whole studio with nothing on record yet."""
    with open_studio(Settings(data_dir=tmp_path, install_id="house"), clock=FakeClock()) as made:
        monkeypatch.setattr(shared, "make_studio", lambda: made)
        shared.the_studio.clear()
        yield made
    shared.the_studio.clear()
    held_for.clear()
    the_rounds.clear()


def record(studio: Studio, events: Iterable[Event]) -> None:
    with Database(sqlite_url(studio.settings.data_dir / "cinegen.db")) as database:
        SqlEvents(database).add(*events)


def opened(*roles: str, who: str = "", **params: str) -> AppTest:
    """The page as somebody sees it who comes to this address; without a name, whoever sits at the computer."""
    page = AppTest.from_file(APP, default_timeout=60)
    if who:
        page.secrets["auth"] = {"client_id": "studio"}
        page.user = {"is_logged_in": True, "sub": who, "name": who.capitalize(), "roles": list(roles)}
    page.run()
    page.switch_page("pages/explore.py")
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


def charts(page: AppTest) -> list[Any]:
    return list(page.get("arrow_vega_lite_chart") or page.get("vega_lite_chart"))


def answer_count(page: AppTest) -> int:
    """The number of answers in the figures above the charts."""
    figures = shown(page).partition("<dt>Answers</dt><dd><b>")[2]
    return int(figures.partition("</b>")[0].replace(",", ""))


MANY = many_answers(400)
ANSWERS, ENGINES = answers_frame(MANY), engines_frame(MANY)


def left(**filters: Any) -> int:
    return len(Filters.model_validate(filters).apply(ANSWERS, ENGINES))


class TestWithoutAnswers:
    def test_it_says_what_to_do_first(self, studio: Studio) -> None:
        page = opened()
        assert page.title[0].value == "Quality explorer"
        assert "There are no live answers yet" in shown(page)
        assert "Write an episode on the page Generate" in shown(page)
        assert not charts(page)

    def test_simulated_answers_are_not_taken_for_live_ones(self, studio: Studio) -> None:
        record(studio, [an_answer("s1", series="simulated")])
        assert "There are no live answers yet" in shown(opened())
        page = opened(series="simulated")
        assert "made up by the simulator" in shown(page)
        assert answer_count(page) == 1
        assert "(simulated)" in charts(page)[0].proto.spec

    def test_a_store_that_cannot_be_read_is_told_in_its_words(
        self, studio: Studio, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def broken(series: str) -> None:
            raise StoreError("The database cannot be reached. See that its disk is there.")

        monkeypatch.setattr(studio, "book", broken)
        assert "cannot be reached" in opened().error[0].value


def unfolded(page: AppTest, *keys: str) -> AppTest:
    """With these parts opened, which are drawn only then."""
    for key in keys:
        page.session_state[key] = True
    return fine(page.run())


class TestFilters:
    def test_the_address_filters_and_the_form_shows_it(self, studio: Studio) -> None:
        record(studio, MANY)
        page = unfolded(
            opened(quality="7..8.5", tiers="comprehensive", cohorts="genre_engines:on", dialogue="6.."),
            "explore_filters",
        )
        wanted = left(
            quality=Span(low=7, high=8.5),
            tiers=("comprehensive",),
            cohorts=("genre_engines:on",),
            dimensions=(("dialogue", Span(low=6)),),
        )
        assert answer_count(page) == wanted > 0
        assert page.number_input(key="explore_filter_quality.low").value == 7
        assert page.number_input(key="explore_filter_dialogue.high").value is None
        assert page.multiselect(key="explore_filter_tiers").value == ["comprehensive"]
        assert page.expander[0].label == "Filters (4 in force)"

    def test_what_is_applied_goes_into_the_address_and_a_second_tab_sees_the_same(
        self, studio: Studio
    ) -> None:
        record(studio, MANY)
        page = unfolded(opened(), "explore_filters")
        page.multiselect(key="explore_filter_genres").set_value(["comedy"])
        page.number_input(key="explore_filter_quality.high").set_value(7.5)
        page.button(key="FormSubmitter:explore_form-Apply filters").click()
        fine(page.run())
        assert (param(page, "genres"), param(page, "quality")) == ("comedy", "..7.5")
        again = opened(genres=param(page, "genres"), quality=param(page, "quality"))
        assert answer_count(again) == answer_count(page) == left(genres=("comedy",), quality=Span(high=7.5))
        page.button(key="clear_filters").click()
        assert answer_count(fine(page.run())) == left()
        assert page.multiselect(key="explore_filter_genres").value == []
        assert not param(page, "quality")

    def test_what_a_control_cannot_show_stays_as_the_address_had_it(self, studio: Studio) -> None:
        record(studio, MANY)
        page = unfolded(
            opened(since="2025-12-20T09:30:15Z", number="1.5..", writers="somebody else"), "explore_filters"
        )
        page.multiselect(key="explore_filter_writers").set_value([])
        page.button(key="FormSubmitter:explore_form-Apply filters").click()
        fine(page.run())
        assert (param(page, "since"), param(page, "number")) == ("2025-12-20T09:30:15Z", "1.5..")
        assert answer_count(page) == left(
            since=datetime(2025, 12, 20, 9, 30, 15, tzinfo=UTC), number=Span(low=1.5)
        )

    def test_limits_the_wrong_way_round_change_nothing_and_stay_typed(self, studio: Studio) -> None:
        record(studio, MANY)
        page = unfolded(opened(), "explore_filters")
        page.number_input(key="explore_filter_world.low").set_value(8.0)
        page.number_input(key="explore_filter_world.high").set_value(6.0)
        page.button(key="FormSubmitter:explore_form-Apply filters").click()
        fine(page.run())
        assert "World building: the lower limit is above the upper one" in page.error[0].value.replace(
            "\\", ""
        )
        assert page.number_input(key="explore_filter_world.low").value == 8.0
        assert answer_count(page) == left()

    def test_what_the_address_could_not_be_read_for_is_said(self, studio: Studio) -> None:
        record(studio, MANY)
        page = opened(quality="9..8", frob="<b>*1*</b>", tiers="comprehensive", by="nothing", view="nowhere")
        said = page.warning[0].value
        assert "it begins at 9 and ends below that" in said
        assert "\\<b\\>\\*1\\*" in said
        assert answer_count(page) == left(tiers=("comprehensive",))

    @pytest.mark.parametrize(
        "params",
        [
            {"quality": "-1e308..1e308", "number": "-5..9e15"},
            {"since": "0001-01-01", "until": "9999-12-31"},
            {"titles": "x" * 3000, "answer": "../../etc"},
            {"cohorts": "nowhere:on", "genres": "\\,,\\", "measure": "frob", "order": "", "what": "x"},
            {"view": "scripts", "scored": "../../x", "beside": "9,-1,x"},
        ],
    )
    def test_whatever_is_in_the_address_the_page_opens(self, studio: Studio, params: dict[str, str]) -> None:
        record(studio, MANY[:20])
        assert opened(**params).title[0].value == "Quality explorer"

    def test_filters_that_leave_nothing_say_so_and_lead_back(self, studio: Studio) -> None:
        record(studio, MANY)
        page = opened(titles="No Such Series")
        assert "None of the 400 live answers holds" in shown(page)
        assert "no data" in shown(page)
        page.button(key="show_all").click()
        assert answer_count(fine(page.run())) == left()

    def test_staging_has_its_label_and_is_chosen_in_the_address(self, studio: Studio) -> None:
        record(studio, [*MANY[:5], an_answer("r1", series="staging"), an_answer("r2", series="staging")])
        page = opened()
        page.button_group(key="explore_series").set_value("staging")
        fine(page.run())
        assert param(page, "series") == "staging"
        assert "a rehearsal" in shown(page)
        assert answer_count(page) == 2


class TestWhatIsSeen:
    def test_of_a_large_record_the_last_events_are_shown_and_it_says_where_all_are_asked(
        self, studio: Studio
    ) -> None:
        record(studio, MANY)
        studio.explored = 150
        page = opened()
        assert answer_count(page) <= 150
        assert "Of the last 150 events on record." in shown(page)
        assert "cinegen events ask" in shown(page)

    def test_distribution_and_trend_with_their_figures_as_tables(self, studio: Studio) -> None:
        record(studio, MANY)
        page = opened()
        assert "brush_quality" in charts(page)[0].proto.spec
        assert "brush_time" in charts(page)[1].proto.spec
        assert [one.label for one in page.expander if "table" in one.label] == [
            "Distribution as a table", "Trend as a table",
        ]  # fmt: skip
        page = unfolded(page, "distribution_table", "trend_table")
        assert '<th scope="col">Class</th>' in shown(page)
        assert '<th scope="col">95 % interval</th>' in shown(page)

    def test_a_change_of_level_is_marked(self, studio: Studio) -> None:
        record(
            studio,
            [an_answer(f"a{n:03}", at=ago(hours=n), quality=8.5 if n < 30 else 5.5) for n in range(60)],
        )
        page = unfolded(opened(), "trend_table")
        assert "another level begins" in shown(page)
        assert "another level from" in charts(page)[1].proto.spec

    @pytest.mark.parametrize(
        ("by", "told"),
        [
            ("dimension", "Cinematic elements"),
            ("genre", "thriller"),
            ("tier", "from the template"),
            ("writer", "a model"),
            ("title", "Dead Air"),
            ("engine", "Subtext"),
            ("cohort", "genre_engines"),
        ],
    )
    def test_answers_are_grouped_as_the_address_says(self, studio: Studio, by: str, told: str) -> None:
        record(studio, MANY)
        page = opened(by=by)
        assert f"<td>{told}</td>" in shown(page)
        assert told in charts(page)[2].proto.spec or told in str(charts(page)[2].proto)

    def test_any_dimension_can_be_the_measure(self, studio: Studio) -> None:
        record(studio, MANY)
        page = opened()
        page.selectbox(key="explore_measure").set_value("world")
        said = shown(fine(page.run()))
        assert param(page, "measure") == "world"
        assert "<dt>Mean world building</dt>" in said
        wanted = ANSWERS.loc[ANSWERS["counts"], "dimension:world"].mean()
        assert f"<b>{wanted:.2f}</b>" in said

    def test_an_answer_that_comes_in_is_seen_at_the_next_look(self, studio: Studio) -> None:
        record(studio, MANY[:50])
        page = opened()
        before = answer_count(page)
        record(studio, [an_answer("later")])
        assert answer_count(fine(page.run())) == before + 1


class TestBrushing:
    def brush(
        self, page: AppTest, quality: list[float] | None = None, time: list[float] | None = None
    ) -> AppTest:
        for name, field, ends in ((BRUSH_QUALITY, "low", quality), (BRUSH_TIME, "at", time)):
            if ends is not None:
                page.session_state[f"{name}_quality_0"] = {"selection": {name: {field: ends}}}
        return fine(page.run())

    def test_what_is_brushed_in_one_chart_narrows_the_other_and_all_that_follows_but_not_itself(
        self, studio: Studio
    ) -> None:
        record(studio, MANY)
        whole = opened()
        page = self.brush(opened(), quality=[7.1, 7.9])
        narrow = opened(quality="7..8")
        assert answer_count(page) == answer_count(narrow) == left(quality=Span(low=7, high=8))
        assert charts(page)[0].proto.spec == charts(whole)[0].proto.spec
        assert charts(page)[1].proto.spec == charts(narrow)[1].proto.spec
        assert "Brushed\\: quality from 7 to 8" in shown(page)

    def test_both_brushes_hold_together_and_become_filters_or_go(self, studio: Studio) -> None:
        record(studio, MANY)
        first, last = (at.timestamp() * 1000 for at in (ago(days=20), ago(days=10)))
        page = self.brush(opened(), quality=[7.0, 8.0], time=[first, last])
        count = answer_count(page)
        assert 0 < count < left(quality=Span(low=7, high=8))
        page.button(key="keep_brush").click()
        fine(page.run())
        assert param(page, "quality") == "7..8"
        assert param(page, "since") == "2025-12-16T12:00:00Z"
        assert answer_count(page) == count
        assert "keep_brush" not in buttons(page)
        page.button(key="clear_filters").click()
        page = self.brush(fine(page.run()))
        assert answer_count(page) == left()

    def test_an_opened_answer_leads_back_to_what_was_brushed(self, studio: Studio) -> None:
        record(studio, MANY)
        page = self.brush(opened(), quality=[7.0, 8.0])
        count = answer_count(page)
        next(one for one in page.button if one.key and one.key.startswith("to_answer_")).click()
        fine(page.run())
        page.button(key="to_answers").click()
        assert answer_count(fine(page.run())) == count


class TestOneAnswer:
    def test_the_worst_answer_is_listed_first_and_opens_with_what_is_on_record(self, studio: Studio) -> None:
        record(studio, MANY)
        page = opened()
        first = next(one for one in page.button if one.key and one.key.startswith("to_answer_"))
        row = worst(ANSWERS[ANSWERS["counts"]], 1).iloc[0]
        assert first.key == f"to_answer_{row['id']}"
        first.click()
        said = shown(fine(page.run()))
        assert param(page, "answer") == row["id"]
        assert f"quality {row['quality']:.2f}".replace(".", "\\.") in said.casefold()
        assert "not in this studio" in said.replace("\\", "")
        assert '<th scope="col">Was</th>' in said
        assert "No data: nobody was shown this episode" in said

    def test_order_is_in_the_address(self, studio: Studio) -> None:
        record(studio, [an_answer("quick", seconds=2.0), an_answer("slow", seconds=80.0)])
        page = opened(order="slowest")
        listed = [one.key for one in page.button if one.key and one.key.startswith("to_answer_")]
        assert listed == ["to_answer_slow", "to_answer_quick"]

    def test_an_episode_that_is_kept_opens_with_its_page_its_score_and_its_lines(
        self, studio: Studio
    ) -> None:
        acting = Acting(studio, me(studio))
        season = acting.open_season(load_sample("slack_water"), source="slack_water")
        acting.open_season(load_sample("dead_air"))
        id = acting.start(EpisodeRequest(bible=load_sample("slack_water")), season=season.id)
        view = studio.wait(id, 60)
        assert view is not None
        assert view.state == "done"
        acting.rate(id, 4, "<i>Slow</i>")
        kept = studio.store.record(season.id, id)
        assert kept is not None
        page = opened(answer=id)
        said = shown(page)
        assert kept.generation.episode.scenes[0].slugline in said
        assert 'id="line-1-1"' in said
        assert 'href="#line-' in said
        assert [tab.label for tab in page.tabs] == ["Score", "Engines", "Flags and readers"]
        assert "Asked for" in said
        assert "<td>4</td><td>&lt;i&gt;Slow&lt;/i&gt;</td>" in said
        assert "<td>comprehensive_engines</td><td>on</td>" in said

    def test_a_simulated_answer_says_why_it_has_no_script(self, studio: Studio) -> None:
        record(studio, [an_answer("s1", series="simulated", engines=[an_engine("Pacing", delivered=False)])])
        said = shown(opened(series="simulated", answer="s1"))
        assert "Simulated answers have no script" in said.replace("\\", "")
        assert "<td>Pacing</td><td>no</td><td>80 %</td>" in said

    def test_one_that_is_not_there_leads_back(self, studio: Studio) -> None:
        record(studio, MANY[:3])
        page = opened(answer="nothing")
        assert "There is no live answer at this address" in shown(page)
        page.button(key="to_answers").click()
        assert answer_count(fine(page.run())) == len(answers_frame(MANY[:3]).query("counts"))

    def test_text_is_never_read_as_html_or_markdown(self, studio: Studio) -> None:
        title = "<b>*Slack* :red[Water]</b>"
        record(
            studio,
            [an_answer("a", title=title, writer="<i>w</i>"), a_word("r", "a", rating=3, why="<s>no</s>")],
        )
        for page in (opened(by="title"), opened(answer="a"), opened(titles=title)):
            labels = [*(one.label for one in page.button), shown(page)]
            assert any("\\<b\\>\\*Slack\\* \\:red\\[Water\\]" in one for one in labels)
            assert not any("<b>*" in one or "<i>w" in one or "<s>no" in one for one in labels)


class TestTakingAway:
    def test_a_file_has_what_is_seen_and_every_row_says_its_series(self, studio: Studio) -> None:
        record(
            studio, [an_answer("s1", series="simulated"), an_answer("s2", series="simulated", quality=3.0)]
        )
        held = held_for(studio)
        tables = held.tables("simulated")
        look = look_at(held, tables, Filters(series="simulated", quality=Span(low=5)), "quality")
        makers = explore_export.makers(look)
        answers = explore_export.file_of(makers["answers"], look.filters.series, "csv").decode("utf-8-sig")
        assert "s1" in answers
        assert "s2" not in answers
        for what, make in makers.items():
            rows = pd.read_parquet(io.BytesIO(explore_export.file_of(make, look.filters.series, "parquet")))
            assert list(rows["series"].unique()) in (["simulated"], []), what
        assert to_parquet(makers["answers"]()) == explore_export.file_of(
            makers["answers"], "simulated", "parquet"
        )

    def test_the_file_says_what_it_is_and_the_page_what_its_columns_mean(self, studio: Studio) -> None:
        record(studio, [an_answer("s1", series="simulated")])
        page = opened(series="simulated", ending="parquet", what="trend")
        (button,) = page.get("download_button")
        assert not button.proto.disabled
        assert "file's name, say that it is simulated" in shown(page)
        assert "when the step begins, UTC" in shown(unfolded(page, "columns_say"))

    def test_the_link_opens_the_same_view_with_what_is_brushed(self, studio: Studio) -> None:
        record(studio, MANY)
        page = opened(by="tier", order="best", measure="score")
        page.session_state[f"{BRUSH_QUALITY}_score_0"] = {"selection": {BRUSH_QUALITY: {"low": [7.0, 8.0]}}}
        fine(page.run())
        query = {name: values[0] for name, values in parse_qs(urlparse(page.code[0].value).query).items()}
        assert query == {"score": "7..8", "by": "tier", "order": "best", "measure": "score"}
        assert answer_count(opened(**query)) == answer_count(page)


LETTER = b"Dear Anna,\n\nthe room is booked for ten.\n\nYours, Ben\n"


def an_episode(seed: int) -> Any:
    return take(EmbeddedWriter(), EpisodeRequest(bible=load_sample("slack_water"), seed=seed)).episode


def brought(page: AppTest, *files: tuple[str, bytes]) -> AppTest:
    page.file_uploader(key="scripts").set_value([(name, raw, "text/plain") for name, raw in files])
    return fine(page.run())


def scored(page: AppTest) -> AppTest:
    page.button(key="score").click()
    page.run()
    the_rounds().settle(60)
    return fine(page.run())


class TestScriptsOfOnesOwn:
    def test_without_a_file_it_says_what_to_do(self, studio: Studio) -> None:
        page = opened(view="scripts")
        assert "Choose a file to begin with" in shown(page)
        assert page.button(key="score").disabled

    def test_one_script_gets_the_studios_scorecard_beside_its_page(self, studio: Studio) -> None:
        episode = an_episode(2)
        page = scored(brought(opened(view="scripts"), ("log.fountain", to_fountain(episode).encode())))
        said = shown(page)
        card = score(Script.of(episode))
        assert "1 script scored, without a bible" in said
        assert f"<b>{card.overall:.1f}</b>" in said
        assert episode.scenes[0].slugline in said
        assert 'href="#line-' in said
        assert 'role="img"' in said

    def test_several_of_any_kind_stand_side_by_side_and_what_could_not_be_read_says_why(
        self, studio: Studio
    ) -> None:
        one, other = an_episode(2), an_episode(3)
        page = scored(
            brought(
                opened(view="scripts"),
                ("one.fdx", to_fdx(one).encode()),
                ("letter.txt", LETTER),
                ("broken.fdx", b"<FinalDraft><Content>"),
                ("other.txt", to_text(other).encode()),
            )
        )
        said = shown(page)
        assert "2 scripts scored" in said
        errors = [error.value.replace("\\", "") for error in page.error]
        assert len(errors) == 2
        assert errors[0].startswith("letter.txt was not scored. This is not a screenplay")
        assert errors[1].startswith("broken.fdx was not scored.")
        assert said.count('class="head"') == 2
        assert 'href="#line-' not in said
        page.multiselect(key=f"beside_{param(page, 'scored')}").set_value([3])
        said = shown(fine(page.run()))
        assert param(page, "beside") == "3"
        assert other.scenes[0].slugline in said
        assert 'href="#line-' in said

    def test_a_bible_may_be_held_against_it(self, studio: Studio) -> None:
        episode = an_episode(2)
        page = opened(view="scripts")
        page.selectbox(key="scripts_bible").set_value("slack_water")
        page = scored(brought(page, ("log.fountain", to_fountain(episode).encode())))
        card = score(Script.of(episode), load_sample("slack_water"))
        assert "against the bible of Slack Water" in shown(page)
        assert f"<b>{card.overall:.1f}</b>" in shown(page)

    def test_a_reload_finds_the_scores_and_nobody_else_does(self, studio: Studio) -> None:
        page = opened("analyst", who="ada", view="scripts")
        page = scored(brought(page, ("log.fountain", to_fountain(an_episode(2)).encode())))
        id = param(page, "scored")
        assert "1 script scored" in shown(opened("analyst", who="ada", view="scripts", scored=id))
        said = shown(opened("analyst", who="ben", view="scripts", scored=id))
        assert "not at hand any more" in said
        assert "1 script scored" not in said

    def test_names_of_files_are_never_read_as_html_or_markdown(self, studio: Studio) -> None:
        page = scored(brought(opened(view="scripts"), ("<b>*x*.txt", LETTER)))
        assert "\\<b\\>\\*x\\*" in page.error[0].value

    def test_while_it_is_at_work_the_page_says_how_far_it_is(
        self, studio: Studio, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        rounds = Rounds()
        monkeypatch.setattr(rounds._pool, "submit", lambda *_: _Waiting())
        monkeypatch.setattr("pages.explore_scripts.the_rounds", lambda: rounds)
        page = brought(opened(view="scripts"), ("a.fountain", b"x"), ("b.fountain", b"y"))
        page.button(key="score").click()
        fine(page.run())
        assert "waits for the round before it" in page.get("progress")[0].proto.text
        assert param(page, "scored")

    def test_only_so_much_is_kept_in_memory_and_the_newest_always(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr("pages.explore_rounds.BYTES_KEPT", 30)
        rounds = Rounds()
        first = rounds.begin("ada", [("a.txt", b"x" * 20)], None)
        second = rounds.begin("ada", [("b.txt", b"y" * 20)], None)
        large = rounds.begin("ada", [("c.txt", b"z" * 50)], None)
        rounds.close()
        assert rounds.of("ada", first) is None
        assert rounds.of("ada", second) is None
        assert rounds.of("ada", large) is not None
        assert rounds.begin("ada", [("c.txt", b"z" * 50)], None) == large


class _Waiting:
    """Work that has not begun."""

    def done(self) -> bool:
        return False

    def running(self) -> bool:
        return False

    def cancel(self) -> bool:
        return True


class TestRoles:
    @pytest.mark.parametrize("role", ["analyst", "operator"])
    def test_analysts_and_operators_look_and_take_away(self, studio: Studio, role: str) -> None:
        record(studio, MANY[:30])
        page = opened(role, who="ada")
        assert answer_count(page) > 0
        assert page.get("download_button")

    def test_it_is_none_of_the_writers_pages(self, studio: Studio) -> None:
        page = AppTest.from_file(APP, default_timeout=60)
        page.secrets["auth"] = {"client_id": "studio"}
        page.user = {"is_logged_in": True, "sub": "w", "name": "Wim", "roles": ["writer"]}
        page.run()
        with pytest.raises(ValueError, match="Could not find a navigation page"):
            page.switch_page("pages/explore.py")


def me(studio: Studio) -> Any:
    from cinegen_core.access import single_user

    return single_user(studio.settings, listens_on="127.0.0.1")
