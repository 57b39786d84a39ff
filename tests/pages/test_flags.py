"""Flags and rollback: operators see what is on for whom and why, change it with a reason, and take it back."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from datetime import datetime, timedelta
from pathlib import Path

import pytest
from streamlit.testing.v1 import AppTest

from cinegen_core.flags import Flags
from cinegen_core.monitor.events import GenerationEvent, Series
from cinegen_core.settings import Settings
from cinegen_core.steering import Steering
from cinegen_core.store.events import SqlEvents
from cinegen_core.store.sql import Database, sqlite_url
from cinegen_core.studio import Studio, open_studio
from pages import shared
from pages.flags_journal import as_json
from pages.flags_readings import LATE, Recorded, outcomes_of
from tests.fakes import FakeClock
from tests.pages.test_generate import APP, param, shown, without_errors

ROOT = Path(__file__).parents[2]
PLAN = "comprehensive_engines_rollout"


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture
def studio(tmp_path: Path, clock: FakeClock, monkeypatch: pytest.MonkeyPatch) -> Iterator[Studio]:
    """A studio with flags and a database of its own, at whose computer Ada sits; its clock stands still unless told to go on."""
    shutil.copy(ROOT / "flags.toml", tmp_path / "flags.toml")
    settings = Settings(
        data_dir=tmp_path, flags_file=tmp_path / "flags.toml", operator="Ada", automatic_emergency=False
    )
    with open_studio(settings, clock=clock) as made:
        monkeypatch.setattr(shared, "make_studio", lambda: made)
        monkeypatch.setattr(made, "begin_heartbeats", lambda: None)
        shared.the_studio.clear()
        outcomes_of.clear()
        yield made
        outcomes_of.clear()
    shared.the_studio.clear()


@pytest.fixture
def flags(studio: Studio) -> Flags:
    return steered(studio).flags


def steered(studio: Studio) -> Steering:
    assert studio.steering is not None
    return studio.steering


def page(**params: str) -> AppTest:
    opened = AppTest.from_file(APP, default_timeout=20)
    for name, value in params.items():
        opened.query_params[name] = value
    opened.run()
    for name, value in params.items():  # another page leaves what it does not know
        opened.query_params[name] = value
    opened.switch_page("pages/flags.py")
    return without_errors(opened.run())


def press(at: AppTest, key: str) -> AppTest:
    at.button(key=key).click().run()
    return without_errors(at)


def because(at: AppTest, why: str) -> AppTest:
    next(area for area in at.text_area if area.label == "Why").set_value(why)
    return press(at, "asked_go")


def plainly(at: AppTest) -> str:
    """What can be read, without the marks that keep Markdown from reading it."""
    return shown(at).replace("\\", "")


def counted(at: AppTest, studio: Studio) -> AppTest:
    outcomes_of(studio).readings.settle(20)
    return without_errors(at.run())


def episodes(
    at: datetime,
    count: int,
    *,
    every: float = 60.0,
    quality: float = 8.2,
    error: bool = False,
    on: bool = True,
    series: Series = "live",
    name: str = "e",
) -> list[GenerationEvent]:
    return [
        GenerationEvent(
            id=f"{name}{number}", at=at + timedelta(seconds=number * every), series=series, tier="comprehensive",
            first="comprehensive", writer="a writer", profile="model", seconds=20.0, quality=quality + number % 2 / 10,
            error=error, flags={"comprehensive_engines": on, "genre_engines": on, "beta_features": False},
        )
        for number in range(count)
    ]  # fmt: skip


def record(studio: Studio, *events: GenerationEvent) -> None:
    with Database(sqlite_url(studio.settings.data_dir / "cinegen.db")) as database:
        SqlEvents(database).add(*events)


class TestWhereNothingHappenedYet:
    def test_every_flag_is_listed_with_its_state_and_what_it_needs(self, studio: Studio) -> None:
        words = plainly(counted(page(), studio))
        assert "genre_engines <span>- on for 90 %" in words
        assert "beta_features <span>- off" in words
        assert "Needs comprehensive_engines" in words
        assert "No episodes yet." in words

    @pytest.mark.parametrize(
        ("part", "words"),
        [
            ("Rollouts", "Not started. A plan for comprehensive_engines"),
            ("Triggers", "Not watched now"),
            ("What if", "Nothing is recorded in this time"),
            ("Journal", "Nothing has been changed"),
        ],
    )
    def test_each_part_says_so_and_what_to_do(self, studio: Studio, part: str, words: str) -> None:
        at = counted(page(part=part), studio)
        assert words in plainly(at)
        assert param(at, "part") == part

    def test_a_studio_without_flags_is_explained(
        self, studio: Studio, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(studio, "steering", None)
        assert "This studio has no flags" in plainly(page())


class TestAChange:
    def test_is_confirmed_with_what_it_does_for_whom_and_recorded_with_name_and_reason(
        self, studio: Studio, flags: Flags
    ) -> None:
        at = press(page(flag="genre_engines"), "ask_set_genre_engines")
        next(field for field in at.number_input if "Percentage" in field.label).set_value(50)
        at.run()
        assert "40 of 100 people lose it" in plainly(at)
        assert flags.version == 0
        at = because(at, "the romance engine repeats itself")
        (change,) = steered(studio).changes(0)
        assert (change.who, change.why) == ("Ada", "the romance engine repeats itself")
        words = plainly(at)
        assert "Done: set genre_engines: percentage as declared -> 50 %" in words
        assert "genre_engines: on for 50 %" in words
        assert not at.text_area or all(area.label != "Why" for area in at.text_area)

    def test_needs_a_reason(self, studio: Studio, flags: Flags) -> None:
        at = because(press(page(flag="genre_engines"), "ask_rollback_genre_engines"), "  ")
        assert "Say why" in plainly(at)
        assert flags.version == 0

    def test_that_was_decided_from_an_older_state_is_held_back_and_nothing_typed_is_lost(
        self, studio: Studio, flags: Flags
    ) -> None:
        at = press(page(flag="genre_engines"), "ask_rollback_genre_engines")
        flags.set("genre_engines", percent=10, who="Grace", why="a canary first")
        at = because(at, "it repeats itself")
        words = plainly(at)
        assert "Not done yet" in words
        assert "Grace" in words
        assert "a canary first" in words
        assert [area.value for area in at.text_area if area.label == "Why"] == ["it repeats itself"]
        press(at, "asked_go")
        assert [change.kind for change in steered(studio).changes(0)] == ["set", "rollback"]

    def test_that_is_left_keeps_what_was_typed_for_the_next_time(self, studio: Studio) -> None:
        at = press(page(flag="genre_engines"), "ask_rollback_genre_engines")
        next(area for area in at.text_area if area.label == "Why").set_value("half a thought")
        at = press(at, "asked_leave")
        assert all(area.label != "Why" for area in at.text_area)
        at = press(at, "ask_rollback_genre_engines")
        assert [area.value for area in at.text_area if area.label == "Why"] == ["half a thought"]

    def test_that_is_refused_says_why_and_what_to_do(self, studio: Studio, flags: Flags) -> None:
        flags.start_rollout(PLAN, who="Grace", why="week 5")
        at = press(page(flag="comprehensive_engines"), "ask_set_comprehensive_engines")
        next(field for field in at.number_input if "Percentage" in field.label).set_value(80)
        at.run()
        at = because(at, "faster")
        assert f"is set by {PLAN}, which is running. Abort it first" in plainly(at)
        assert [area.value for area in at.text_area if area.label == "Why"] == ["faster"]

    def test_is_shown_as_drift_and_can_be_written_into_the_file(self, studio: Studio, flags: Flags) -> None:
        flags.set("genre_engines", percent=50, who="Grace", why="half for now")
        at = page(flag="genre_engines")
        words = plainly(at)
        assert "An asterisk marks what differs" in words
        assert "the file says 90 %" in words
        assert "Grace" in words
        assert "half for now" in words
        because(press(at, "ask_fold_back_genre_engines"), "it stays so")
        text = studio.settings.flags_file.read_text(encoding="utf-8")
        assert "rollout = 50" in text
        assert "# beta testers are always in" in text
        assert flags.drift() == ()


class TestARollback:
    def test_by_hand_from_anywhere_on_the_page_and_re_armed_later(self, studio: Studio, flags: Flags) -> None:
        at = press(page(part="Journal"), "ask_rollback_")
        at.selectbox(key="asked_flag").set_value("comprehensive_engines").run()
        assert "genre_engines goes too" in plainly(at)
        because(at, "it repeats itself")
        assert flags.evaluate("comprehensive_engines").reason == "DISABLED"

        at = page(flag="comprehensive_engines")
        assert "Rolled back: it repeats itself" in plainly(at)
        keys = {button.key for button in at.button}
        assert "ask_set_comprehensive_engines" not in keys
        because(press(at, "ask_rearm_comprehensive_engines"), "the model is mended")
        assert flags.evaluate("comprehensive_engines").value

    def test_is_not_begun_for_a_flag_that_nobody_chose(self, studio: Studio) -> None:
        at = press(page(), "ask_rollback_")
        assert "asked_go" not in {button.key for button in at.button}


def test_an_emergency_is_entered_and_ended_with_a_reason(studio: Studio) -> None:
    at = press(page(), "ask_emergency_")
    assert "only the template writes" in plainly(at)
    at = because(at, "the model writes nonsense")
    assert studio.emergency is not None
    assert (studio.emergency.by, studio.emergency.reason) == ("Ada", "the model writes nonsense")
    assert "off in the emergency" in plainly(at)
    because(press(at, "ask_emergency_over_"), "it is mended")
    assert studio.emergency is None


class TestARollout:
    def test_is_started_held_and_given_up(self, studio: Studio, flags: Flags, clock: FakeClock) -> None:
        at = press(page(part="Rollouts"), f"ask_start_rollout_{PLAN}")
        assert "75 of 100 people lose it until later phases give it back" in plainly(at)
        because(at, "week 5")
        clock.seconds += 12 * 3600
        at = page(part="Rollouts")
        words = plainly(at)
        assert 'aria-current="step"' in words
        assert "Dwell 12 h of 48 h: not met" in words
        assert "Dwell left: 36.0 h." in words
        assert "Quality no data, at least 8.00: waits for data" in words
        at = because(press(at, f"ask_pause_rollout_{PLAN}"), "a holiday")
        assert "Paused: a holiday" in plainly(at)
        at = because(press(at, f"ask_resume_rollout_{PLAN}"), "back at work")
        because(press(at, f"ask_abort_rollout_{PLAN}"), "not this month")
        assert flags.overlay.rollouts[PLAN].state == "aborted"

    def test_that_awaits_a_person_is_approved_by_one(self, studio: Studio, flags: Flags) -> None:
        flags.start_rollout(PLAN, who="Grace", why="week 5")
        flags.pause_rollout(PLAN, who="rollout", why="gates met", awaiting_approval=True)
        at = press(page(part="Rollouts"), f"ask_approve_rollout_{PLAN}")
        assert "from 25 % to 50 %" in plainly(at)
        because(at, "it holds")
        assert flags.overlay.rollouts[PLAN].phase == 1


def test_triggers_show_how_far_it_is_to_the_threshold_and_the_evidence_so_far(studio: Studio) -> None:
    record(studio, *episodes(studio.now - timedelta(minutes=10), 25, every=20, quality=7.6))
    steered(studio).catch_up()
    words = plainly(page(part="Triggers"))
    assert "quality_degradation <span>- clear" in words
    assert "Distance to the threshold: 0.65 inside" in words
    assert "below 7.00" in words
    assert "of 1,000 to 1 that roll back" in words


class TestWhatIf:
    def test_another_policy_shows_the_rollback_that_would_have_come_and_what_it_would_have_spared(
        self, studio: Studio
    ) -> None:
        begin = studio.now - timedelta(hours=10)
        record(studio, *episodes(begin, 60), *episodes(begin + timedelta(hours=2), 25, quality=6.9, name="f"),
               *episodes(begin + timedelta(hours=4), 200, name="g"))  # fmt: skip
        at = counted(page(part="What if"), studio)
        assert "As declared (below 7.00 over 30 min" in plainly(at)
        assert "no rollback" in plainly(at)
        at.selectbox(key="quality_degradation_policy").set_value("literal")
        at = counted(press(at, "replay"), studio)
        words = plainly(at)
        assert "As tried (below 7.00 over 30 min, 20 episodes at least, policy literal)" in words
        assert "comprehensive_engines at 15 Jan 2027" in words
        assert "later ones" in words
        assert at.get("vega_lite_chart") or at.get("arrow_vega_lite_chart")
        assert steered(studio).changes(0) == (), "trying changes nothing"

    def test_simulated_episodes_are_labelled(self, studio: Studio) -> None:
        record(studio, *episodes(studio.now - timedelta(hours=3), 50, series="simulated"))
        at = counted(page(part="What if", over="Simulated"), studio)
        assert "Simulated: none of it happened" in plainly(at)
        assert "50 episodes" in plainly(at)

    def test_a_threshold_outside_the_range_of_the_metric_is_explained(self, studio: Studio) -> None:
        at = page(part="What if")
        at.number_input(key="quality_degradation_threshold").set_value(10.0)
        assert "is not between low 0 and high 10" in plainly(press(at, "replay"))


def test_how_a_flag_fared_is_told_by_percentage_with_the_interval(
    studio: Studio, flags: Flags, clock: FakeClock
) -> None:
    record(
        studio,
        *episodes(studio.now - timedelta(hours=2), 40, quality=6.0),
        *episodes(studio.now - timedelta(hours=2), 40, quality=8.0, on=False, name="o"),
    )
    flags.set("genre_engines", percent=50, who="Grace", why="half")
    clock.seconds += 3600
    record(studio, *episodes(studio.now - timedelta(minutes=30), 10, name="later"))
    words = plainly(counted(page(flag="genre_engines"), studio))
    assert "90 % <span>- from the beginning" in words
    assert "quality -2.00 (-2.0" in words
    assert "more than chance" in words
    assert "50 % <span>- from 15 Jan 2027" in words
    assert "Too few episodes with it or without it" in words


def test_who_gets_a_flag_and_why_is_answered_for_anybody(studio: Studio, flags: Flags) -> None:
    at = page(flag="genre_engines")
    at.text_input(key="explain_user").set_value("bob").run()
    assert "genre_engines is on: bucket 61 <= 90 (SPLIT)" in plainly(at)
    flags.set("beta_features", enabled=True, percent=0, who="Grace", why="to try")
    at.selectbox(key="flag").set_value("beta_features").run()
    assert "beta_features is off" in plainly(at)
    at.checkbox(key="explain_beta").set_value(True).run()
    assert "beta_features is on: beta tester (TARGETING_MATCH)" in plainly(at)
    at.text_area(key="explain_attributes").set_value("country").run()
    assert "is no attribute" in plainly(at)


def test_a_mistake_in_the_file_is_said_at_the_top_and_the_last_good_one_holds(
    studio: Studio, clock: FakeClock
) -> None:
    studio.settings.flags_file.write_text("[flags.genre_engines]\nenabled = perhaps\n", encoding="utf-8")
    clock.seconds += 5
    at = page()
    assert "the flags stay as the file last declared them" in " ".join(one.value for one in at.error).replace(
        "\\", ""
    )
    assert "genre_engines <span>- on for 90 %" in plainly(at)


def test_the_journal_is_filtered_in_the_address_and_can_be_taken_away(studio: Studio, flags: Flags) -> None:
    flags.set("genre_engines", percent=50, who="Grace", why="<b>half</b> *for now*")
    flags.rollback("comprehensive_engines", who="Ada", why="it repeats itself")
    words = plainly(page(part="Journal"))
    assert "2 of 2 changes" in words
    assert "&lt;b&gt;half&lt;/b&gt; *for now*" in words
    assert words.index("rollback comprehensive_engines") < words.index("set genre_engines")
    at = page(part="Journal", by="Grace")
    assert "1 of 2 changes" in plainly(at)
    assert "rollback comprehensive_engines" not in plainly(at)
    at.text_input(key="words").set_value("no such words").run()
    assert "No change matches" in plainly(at)
    kept = json.loads(as_json(steered(studio).changes(0)))
    assert [(one["version"], one["who"]) for one in kept] == [(1, "Grace"), (2, "Ada")]


def test_outcomes_are_read_once_and_then_only_the_new_ones(studio: Studio) -> None:
    asked: list[datetime] = []
    begin = studio.now - timedelta(days=3)
    steering = steered(studio)

    def read(since: datetime) -> tuple[object, ...]:
        asked.append(since)
        return steering.samples(since)

    recorded = Recorded(read, begin)  # type: ignore[arg-type]
    record(studio, *episodes(begin, 500))
    assert len(recorded.samples()) == 500
    latest = begin + timedelta(minutes=499)
    record(
        studio, *episodes(latest, 3, name="new"), *episodes(latest - timedelta(minutes=30), 2, name="late")
    )
    assert len(recorded.samples()) == 505
    assert asked == [begin, latest - LATE]


class TestWhoMayComeIn:
    def signed_in(self, *roles: str) -> AppTest:
        at = AppTest.from_file(APP, default_timeout=20)
        at.secrets["auth"] = {"redirect_uri": "http://localhost/oauth2callback", "cookie_secret": "x"}
        at.user = {"is_logged_in": True, "sub": "u1", "name": "Grace", "roles": list(roles)}
        without_errors(at.run())
        at.switch_page("pages/flags.py")
        return without_errors(at.run())

    def test_an_operator_changes_flags_under_the_name_that_sign_in_gives(
        self, studio: Studio, flags: Flags
    ) -> None:
        at = self.signed_in("operator")
        at = because(press(at, "ask_rollback_complete_context"), "a drill")
        assert [change.who for change in steered(studio).changes(0)] == ["Grace"]

    @pytest.mark.parametrize("role", ["writer", "analyst"])
    def test_nobody_else_is_offered_the_page(self, studio: Studio, role: str) -> None:
        with pytest.raises(ValueError, match="Could not find a navigation page"):
            self.signed_in(role)

    def test_in_single_user_mode_the_name_is_asked_once(
        self, studio: Studio, flags: Flags, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(studio, "settings", studio.settings.model_copy(update={"operator": ""}))
        at = press(page(flag="genre_engines"), "ask_rollback_genre_engines")
        assert "Every change is recorded with a name" in plainly(at)
        assert "asked_go" not in {button.key for button in at.button}
        at.text_input(key="operator_name_asked").set_value("Grace").run()
        at = because(at, "a drill")
        assert [change.who for change in steered(studio).changes(0)] == ["Grace"]
        at = press(at, "ask_rearm_genre_engines")
        assert "operator_name_asked" not in {field.key for field in at.text_input}
