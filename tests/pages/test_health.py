"""The page about health: operators see within seconds how the studio does, why, and what to do about it."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from streamlit.testing.v1 import AppTest

from cinegen_core.monitor.events import (
    AlertEvent,
    EngineFact,
    Event,
    FeedbackEvent,
    GenerationEvent,
    HeartbeatEvent,
    Series,
)
from cinegen_core.settings import Settings
from cinegen_core.store import StoreError
from cinegen_core.store.deliveries import Content, SqlDeliveries
from cinegen_core.store.events import SqlEvents
from cinegen_core.store.sql import Database, sqlite_url
from cinegen_core.studio import Studio, open_studio
from pages import shared
from pages.health_readings import Readings, readings_of
from tests.pages.test_generate import APP, param, shown, without_errors

PAGE = str(Path(APP).parent / "pages" / "health.py")
NOW = datetime(2026, 11, 20, 12, 20, tzinfo=UTC)


class Time:
    def __init__(self) -> None:
        self.at = NOW

    def monotonic(self) -> float:
        return self.at.timestamp()

    def now(self) -> datetime:
        return self.at


@pytest.fixture
def time() -> Time:
    return Time()


@pytest.fixture
def studio(tmp_path: Path, time: Time, monkeypatch: pytest.MonkeyPatch) -> Iterator[Studio]:
    """A real one, with flags and records in a database of its own; nothing beats in the background."""
    monkeypatch.setattr(Studio, "begin_heartbeats", lambda studio: None)
    with open_studio(Settings(data_dir=tmp_path), clock=time) as made:
        monkeypatch.setattr(shared, "make_studio", lambda: made)
        shared.the_studio.clear()
        yield made
        readings_of.clear()
    shared.the_studio.clear()


def record(tmp_path: Path, *events: Event) -> None:
    with Database(sqlite_url(tmp_path / "cinegen.db")) as database:
        SqlEvents(database).add(*events)


def answer(number: int, minutes_ago: float, **changes: Any) -> GenerationEvent:
    values: dict[str, Any] = {
        "id": f"g{number}", "at": NOW - timedelta(minutes=minutes_ago), "tier": "comprehensive", "first": "comprehensive",
        "writer": "m", "profile": "model", "seconds": 20.0, "score": 8.6, "quality": 8.6,
        "dimensions": {"pacing": 8.6}, "flags": {"genre_engines": number % 2 == 0},
        "engines": (EngineFact(engine="Dialogue", delivered=number % 10 != 0, realised=0.8),),
    }  # fmt: skip
    return GenerationEvent.model_validate({**values, **changes})


def rated(number: int, rating: int) -> FeedbackEvent:
    return FeedbackEvent(
        id=f"r{number}", at=NOW, generation=f"g{number}", who=f"r{number}", action="rated", rating=rating
    )


def alert(
    state: Any, minutes_ago: float, *, name: str = "a", rule: str = "quality_critical", **changes: Any
) -> AlertEvent:
    values: dict[str, Any] = {
        "id": f"{name}-{state}", "at": NOW - timedelta(minutes=minutes_ago), "alert": name, "rule": rule,
        "severity": "critical", "state": state, "value": 6.41, "threshold": 7.0, "incident": "i", "cause": "the provider west fails",
    }  # fmt: skip
    return AlertEvent.model_validate({**values, **changes})


def signed_in(app: AppTest, role: str) -> AppTest:
    app.secrets["auth"] = {"redirect_uri": "http://localhost", "cookie_secret": "c", "client_id": "i"}
    app.user = {"is_logged_in": True, "sub": "u1", "name": "Ada", "roles": [role]}
    return app


def opened(role: str = "", **params: str) -> AppTest:
    """The page as somebody opens it by its address; everybody's in single-user mode, a role's with sign-in."""
    app = AppTest.from_file(APP, default_timeout=20)
    if role:
        signed_in(app, role)
    app.run()
    app.switch_page("pages/health.py")
    for name, value in params.items():
        app.query_params[name] = value
    return counted(without_errors(app.run()))


def counted(app: AppTest) -> AppTest:
    """Once everything that is shown was counted."""
    readings_of(shared.the_studio()).settle(20)
    return without_errors(app.run())


def test_an_empty_studio_says_what_to_do_first_and_makes_up_nothing(studio: Studio) -> None:
    text = shown(opened())
    assert "No score" in text
    assert "It takes 10 episodes within an hour to tell" in text
    assert "No alert is open." in text
    assert "Write an episode on the page Generate" in text
    assert "12 criteria: 0 met, 0 not met, 12 no data." in text
    assert "no data" in text


@pytest.mark.parametrize(
    ("view", "words"),
    [
        ("Figures", "No answers in this span."),
        ("Readers", "Nobody has rated an episode in this span"),
        ("Trends", "No episodes in the last 56 days, so no trend."),
        ("Record", "No incident ended in this span."),
        ("Readiness", "has not been run here"),
    ],
)
def test_each_part_of_an_empty_studio_can_be_looked_at(studio: Studio, view: str, words: str) -> None:
    assert words in shown(opened(view=view))


def test_the_score_is_shown_with_each_issue_and_its_points(studio: Studio, tmp_path: Path) -> None:
    record(tmp_path, *(answer(number, number, score=6.5, quality=6.5, seconds=50.0) for number in range(20)))
    text = shown(opened())
    assert "<b>60</b><span>of 100: WARNING</span>" in text
    assert '<b aria-label="30 points less">-30</b>Mean quality is 0.5 below the minimum.' in text
    assert '<b aria-label="10 points less">-10</b>19 of 20 requests take up to 50 s.' in text


def test_criteria_are_measured_against_their_targets_with_samples(studio: Studio, tmp_path: Path) -> None:
    record(tmp_path, *(answer(number, number) for number in range(25)), rated(1, 9))
    text = shown(opened())
    assert "<td>Quality</td><td>8.60 of 10</td><td>at least 8.0</td><td>met</td><td>25 answers</td>" in text
    assert "<td>Satisfaction</td><td>9.00 of 10</td><td>above 8.5</td><td>no data</td>" in text
    assert "1 ratings, at least 20 needed" in text


def test_the_span_is_kept_in_the_address_and_another_tab_shows_the_same(
    studio: Studio, tmp_path: Path
) -> None:
    record(tmp_path, answer(1, 5), answer(2, 300), answer(3, 5000))
    app = opened(view="figures")
    assert "<td>2 (since the start 3)</td>" in shown(app)
    app.segmented_control(key="hours").set_value(168).run()
    assert (param(app, "hours"), param(app, "view")) == ("168", "Figures")
    assert "<td>3 (since the start 3)</td>" in shown(counted(app))
    assert "<td>1 (since the start 3)</td>" in shown(opened(hours="1", view="Figures"))
    assert "<td>2 (since the start 3)</td>" in shown(opened(hours="nonsense", view="Figures"))


@pytest.mark.parametrize(
    ("series", "words"), [("simulated", "none of this happened"), ("staging", "a rehearsal")]
)
def test_other_series_are_shown_apart_and_labelled(
    studio: Studio, tmp_path: Path, series: Series, words: str
) -> None:
    record(
        tmp_path,
        *(answer(number, number, series=series, score=5.0) for number in range(20)),
        alert("firing", 9, series=series),
    )
    assert "No score" in shown(opened())
    app = opened(series=series)
    assert words in app.info[0].value
    assert f"{series.capitalize()} episodes, the last 24 hours" in shown(app)
    assert "-30" in shown(app)
    assert "quality_critical" in shown(app)
    assert not [button for button in app.button if str(button.key).startswith("ack_")]


def test_an_open_alert_says_why_since_when_and_how_far(studio: Studio, tmp_path: Path) -> None:
    record(tmp_path, alert("firing", 12))
    text = shown(opened())
    assert "The provider west fails." in text
    assert "since 20 Nov 2026, 12:08 UTC (12 minutes ago)" in text
    assert "It was 6.41 of 10 when it began firing, 12 minutes ago; the threshold is 7.00 of 10." in text
    assert "Nobody has seen it yet." in text
    assert "Alerts: 1 firing, none pending." in text


def test_alerts_of_one_cause_are_one_incident(studio: Studio, tmp_path: Path) -> None:
    record(
        tmp_path,
        alert("firing", 12),
        alert("firing", 9, name="b", rule="time_critical", value=95.0, threshold=90.0),
    )
    text = shown(opened())
    assert text.count('<article class="incident">') == 1
    assert "It was 95.0 s when it began firing, 9 minutes ago; the threshold is 90.0 s." in text


def test_an_alert_is_acknowledged_by_name(studio: Studio, tmp_path: Path) -> None:
    record(tmp_path, alert("firing", 12))
    app = opened()
    assert app.button(key="ack_a").disabled
    app.text_input(key="operator_name_asked").set_value("Ada").run()
    app.button(key="ack_a").click().run()
    assert "Seen by Ada." in shown(without_errors(app))
    assert app.success[0].value == r"quality\_critical\: seen by Ada\."
    assert "Seen by Ada." in shown(opened())


def test_a_rule_is_silenced_for_a_time_with_a_reason_and_told_again(studio: Studio, tmp_path: Path) -> None:
    record(tmp_path, alert("firing", 12))
    app = opened("operator")
    app.button(key="choose_a").click().run()
    assert app.selectbox(key="silence_rule").value == "quality_critical"
    app.selectbox(key="silence_for").set_value(120)
    submit(app)
    assert "Say why" in app.error[0].value
    assert app.selectbox(key="silence_for").value == 120
    app.text_input(key="silence_why").set_value("a *planned* move")
    submit(app)
    assert (
        r"quality\_critical\: nobody is told until 20 Nov 2026, 14\:20 UTC, by Ada\: a \*planned\* move"
        in shown(app)
    )
    assert app.text_input(key="silence_why").value == ""
    app.button(key="unsilence_quality_critical").click().run()
    assert "people are told again" in app.success[0].value
    assert studio.monitoring is not None
    assert studio.monitoring.silences() == ()


def submit(app: AppTest) -> None:
    next(button for button in app.button if button.label == "Silence").click().run()
    without_errors(app)


def test_what_is_being_filled_in_outlives_everything_that_refreshes(studio: Studio, tmp_path: Path) -> None:
    """A browser keeps what is typed as long as the field stays the same one, in the same form."""
    record(tmp_path, alert("firing", 12))
    app = opened("operator")
    before = app.text_input(key="silence_why").proto
    record(tmp_path, alert("firing", 3, name="b", rule="time_critical"))
    app.run()
    assert "time_critical" in shown(app)
    after = app.text_input(key="silence_why").proto
    assert (after.id, after.form_id) == (before.id, before.form_id)
    assert not after.set_value


def test_somebody_elses_alert_that_is_over_meanwhile_is_told_kindly(studio: Studio, tmp_path: Path) -> None:
    record(tmp_path, alert("firing", 12))
    app = opened("operator")
    record(tmp_path, alert("resolved", 0))
    app.button(key="ack_a").click().run()
    assert "No alert is open." in shown(without_errors(app))


def test_closed_incidents_say_how_long_they_took(studio: Studio, tmp_path: Path) -> None:
    record(tmp_path, alert("firing", 90), alert("acknowledged", 80, by="Bo"), alert("resolved", 60))
    text = shown(opened(view="Record"))
    assert "alerts resolved in this span: 30 min." in text
    assert (
        "<td>20 Nov 2026, 10:50 UTC</td><td>30 min</td><td>critical</td><td>the provider west fails</td>"
        in text
    )
    assert "<td>Bo</td>" in text


def test_notices_are_listed_with_who_and_what(studio: Studio, tmp_path: Path) -> None:
    told = alert(
        "firing", 30, rule="flag_changed", severity="info", cause="beta_features is on", by="<b>Bo</b>"
    )
    record(tmp_path, told)
    text = shown(opened(view="Record"))
    assert "<td>beta_features is on</td><td>&lt;b&gt;Bo&lt;/b&gt;</td>" in text
    assert "Alerts are sent nowhere" in text


def test_what_people_were_sent_and_what_was_given_up_is_listed_with_why(
    studio: Studio, tmp_path: Path
) -> None:
    steps = [alert("firing", 12, name=name) for name in ("a", "b")]
    with Database(sqlite_url(tmp_path / "cinegen.db")) as database:
        deliveries = SqlDeliveries(database)
        deliveries.mark("webhook", NOW)
        contents = [Content(number=number, step=step, fired=step.at) for number, step in enumerate(steps, 1)]
        deliveries.put("webhook", contents[:1], seen=1, now=NOW - timedelta(minutes=2))
        first = deliveries.claim("webhook", now=NOW, lease=timedelta(minutes=1))
        assert first is not None
        deliveries.sent(first.delivery, now=NOW)
        deliveries.put("webhook", contents[1:], seen=2, now=NOW - timedelta(minutes=1))
        second = deliveries.claim("webhook", now=NOW, lease=timedelta(minutes=1))
        assert second is not None
        deliveries.failed(second.delivery, "it answered <404>", now=NOW, again=None)
    text = shown(opened(view="Record"))
    assert "<td>webhook</td><td>quality critical, firing</td><td>sent (1 try)</td><td>none</td>" in text
    assert "<td>given up (1 try)</td><td>it answered &lt;404&gt;</td>" in text


def test_times_engines_tiers_and_flags_are_told_apart(studio: Studio, tmp_path: Path) -> None:
    fallen = {"tier": "enhanced_baseline", "fallback": True, "engines": (), "seconds": 40.0}
    record(
        tmp_path,
        *(answer(number, number) for number in range(1, 20)),
        answer(20, 1500),
        answer(21, 2, **fallen),
    )
    app = opened(view="Figures")
    text = shown(app)
    assert "<td>20.0 s</td>" in text
    assert "<td>with the engines</td><td>19</td><td>95.0 %</td><td>8.60</td><td>20.0 s</td>" in text
    assert "<td>in a single pass</td><td>1</td><td>5.0 %</td>" in text
    assert "<td>Dialogue</td><td>18 of 19</td><td>94.7 %</td><td>80.0 %</td>" in text
    assert "<td>genre_engines</td><td>on</td><td>9</td>" in text
    assert app.get("vega_lite_chart")


def test_readers_and_the_scorer_are_compared_only_with_enough_ratings(studio: Studio, tmp_path: Path) -> None:
    scores = [5.0, 6.0, 6.5, 7.0, 7.5, 8.0, 8.5, 9.0, 9.5]
    record(
        tmp_path,
        *(answer(n, n, quality=value, dimensions={"pacing": value}) for n, value in enumerate(scores)),
    )
    record(tmp_path, *(rated(number, number + 1) for number in range(5)))
    assert "No data: it takes 8 ratings" in shown(opened(view="Readers"))
    record(tmp_path, *(rated(number, 10 - (number == 8)) for number in range(5, 9)))
    readings_of.clear()
    text = shown(opened(view="Readers"))
    assert "<td>pacing</td><td>+0." in text
    assert "<td>9</td>" in text


def test_a_forecast_takes_two_weeks_and_names_its_method(studio: Studio, tmp_path: Path) -> None:
    day = 24 * 60
    record(tmp_path, *(answer(n, n * day, quality=8.0 + 0.01 * (n % 3)) for n in range(1, 13)))
    text = shown(opened(view="Trends"))
    assert "No forecast: it takes 14 whole days with data; there are 12." in text
    record(tmp_path, *(answer(n, n * day, quality=8.0 + 0.01 * (n % 3)) for n in range(13, 20)))
    readings_of.clear()
    text = shown(opened(view="Trends"))
    assert "Forecast for 26 Nov, if things go on as they have: 8.0" in text
    assert "Line of least squares" in text
    assert "Mann-Kendall test over 19 hourly means" in text


def test_the_readiness_report_can_be_taken_away(studio: Studio, tmp_path: Path) -> None:
    record(tmp_path, *(answer(number, number) for number in range(25)))
    app = opened(view="Readiness", days="28")
    text = shown(app)
    assert "The last 28 days" in text
    assert "Week 8, production excellence" in " ".join(title.value for title in app.subheader)
    assert "Engines for everybody" in text
    assert [button.proto.label for button in app.get("download_button")] == ["Download the report"]


def test_uptime_comes_from_heartbeats(studio: Studio, tmp_path: Path) -> None:
    beats = [
        HeartbeatEvent(
            id=f"b{minute}", at=NOW - timedelta(minutes=100 - minute), studio="one", watched=60.0,
            up=60.0 if minute % 10 else 0.0, state="stopped" if minute == 99 else "running",
        )
        for minute in range(100)
    ]  # fmt: skip
    record(tmp_path, *beats)
    assert "Uptime in the last 24 h: 90.00 %." in shown(opened())


@pytest.mark.parametrize("role", ["writer", "analyst"])
def test_others_are_told_whose_page_it_is(studio: Studio, role: str) -> None:
    app = signed_in(AppTest.from_file(PAGE, default_timeout=20), role).run()
    assert "this is not yours to do" in without_errors(app).error[0].value.replace("\\", "")
    assert "Uptime" not in shown(app)
    listed = signed_in(AppTest.from_file(APP, default_timeout=20), role).run()
    with pytest.raises(ValueError, match="navigation page"):
        listed.switch_page("pages/health.py")


def test_for_an_operator_it_comes_first_and_asks_for_no_name(studio: Studio) -> None:
    app = signed_in(AppTest.from_file(APP, default_timeout=20), "operator").run()
    assert without_errors(app).title[0].value == "Health"
    assert not [field for field in app.text_input if field.key == "operator_name_asked"]


def test_records_that_cannot_be_read_are_explained_once_and_looked_at_again(
    studio: Studio, tmp_path: Path
) -> None:
    rename(tmp_path, "events", "elsewhere")
    app = opened()
    assert app.title[0].value == "Health"
    assert len(app.error) == 1
    assert "cinegen" in app.error[0].value
    rename(tmp_path, "elsewhere", "events")
    app.button(key="look_again").click().run()
    assert not app.error
    assert "No alert is open." in shown(without_errors(app))


def rename(tmp_path: Path, old: str, new: str) -> None:
    with Database(sqlite_url(tmp_path / "cinegen.db")) as database, database.writing() as connection:
        connection.exec_driver_sql(f"ALTER TABLE {old} RENAME TO {new}")


def test_an_emergency_is_said_where_the_status_is(studio: Studio) -> None:
    studio.enter_emergency(by="Bo", reason="drill")
    assert "Emergency mode: only the template writes." in shown(opened())


class TestCounting:
    """What takes long is counted beside the page."""

    def test_nobody_waits_for_a_long_count_and_it_is_there_later(self, time: Time) -> None:
        from threading import Event as Gate

        gate = Gate()
        readings = Readings(time.now, patience=0.0)
        assert readings.of("x", lambda: gate.wait(20) and 7).value is None
        assert not readings.ready("x")
        gate.set()
        readings.settle(20)
        assert readings.ready("x")
        assert readings.of("x", lambda: 8).value == 7
        readings.close()

    def test_a_count_is_made_again_when_it_is_old_and_the_last_one_shown_meanwhile(self, time: Time) -> None:
        readings = Readings(time.now)
        assert readings.of("x", lambda: 1) == (1, NOW, None)
        time.at += timedelta(seconds=9)
        assert readings.of("x", lambda: 2).value == 1
        time.at += timedelta(seconds=1)
        assert readings.of("x", lambda: 3).value == 1
        readings.settle(20)
        assert readings.of("x", lambda: 4).value == 3
        readings.close()

    def test_what_cannot_be_read_is_told_and_tried_again(self, time: Time) -> None:
        def fails() -> int:
            raise StoreError("The database is away.")

        readings = Readings(time.now, patience=20)
        assert str(readings.of("x", fails).error) == "The database is away."
        time.at += timedelta(seconds=10)
        readings.of("x", lambda: 1)
        readings.settle(20)
        assert readings.of("x", lambda: 2) == (1, time.at, None)
        readings.close()

    def test_a_bug_is_not_hidden(self, time: Time) -> None:
        readings = Readings(time.now, patience=20)
        with pytest.raises(ZeroDivisionError):
            readings.of("x", lambda: 1 // 0)
        readings.close()
