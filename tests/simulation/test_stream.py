"""The stream is what was asked for: its rate, its shares, what incidents do, who gets which flag; and it stays out of what is live."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from math import sqrt
from pathlib import Path
from statistics import fmean, stdev, variance
from typing import Any

import pytest

from cinegen_core.engines import all_engines
from cinegen_core.flags.bucket import bucket
from cinegen_core.flags.model import Declared
from cinegen_core.monitor.alerts import views
from cinegen_core.monitor.events import AlertEvent, Event, FeedbackEvent, GenerationEvent, HeartbeatEvent
from cinegen_core.monitor.metrics import figures, rank_correlation
from cinegen_core.monitor.uptime import uptime
from cinegen_core.monitoring import Monitoring
from cinegen_core.simulation import Incident, Pool, Simulation, parse_incident, simulate
from cinegen_core.simulation.incidents import DROP, FLAG, LOST, SLOWER
from cinegen_core.simulation.readers import CHOOSE, EXPORT, PEOPLE, RATE
from cinegen_core.store.events import SqlEvents
from cinegen_core.store.rollups import SqlRollups
from cinegen_core.store.sql import Database, sqlite_url
from cinegen_core.tiers.judging import as_guide

START = datetime(2026, 1, 5, tzinfo=UTC)
SIGMAS = 4.5
"""How far a figure of a fixed seed may be from what it is drawn from: chance alone goes so far once in 150,000 times."""


class Studio:
    """Runs simulations of the shipped pool."""

    def __init__(self, pool: Pool, declared: Declared) -> None:
        self.pool, self.declared = pool, declared
        self.known: dict[tuple[Any, ...], list[Event]] = {}

    def prepared(self, *incidents: str, **changes: Any) -> Simulation:
        planted = [parse_incident(text) for text in incidents]
        values: dict[str, Any] = {"start": START, "days": 1, "rate": 100.0, "seed": 5, **changes}
        return simulate(self.pool, incidents=planted, declared=self.declared, **values)

    def __call__(self, *incidents: str, **changes: Any) -> list[Event]:
        key = (incidents, *sorted(changes.items()))
        if key not in self.known:
            self.known[key] = list(self.prepared(*incidents, **changes))
        return self.known[key]


@pytest.fixture(scope="module")
def run(pool: Pool, declared: Declared) -> Studio:
    return Studio(pool, declared)


@pytest.fixture(scope="module")
def calm(run: Studio) -> list[Event]:
    return run(days=4)


def answers(events: Sequence[Event]) -> list[GenerationEvent]:
    return [one for one in events if isinstance(one, GenerationEvent)]


def during(events: Sequence[Event], begin: float, end: float) -> list[GenerationEvent]:
    """Answers to what was asked between two hours."""
    return [
        one
        for one in answers(events)
        if begin <= (one.at - timedelta(seconds=one.seconds) - START) / timedelta(hours=1) < end
    ]


def pairs(
    events: Sequence[Event], others: Sequence[Event], begin: float, end: float
) -> list[tuple[GenerationEvent, GenerationEvent]]:
    """The same requests in two runs of one seed."""
    known = {one.id.rsplit("-", 1)[1]: one for one in answers(others)}
    return [(one, known[one.id.rsplit("-", 1)[1]]) for one in during(events, begin, end)]


def test_equal_arguments_give_equal_events_and_another_seed_others(run: Studio) -> None:
    once, again, other = (run("slow-model@6h+1h", days=0.5, seed=seed) for seed in (1, 1, 2))
    assert [one.model_dump_json() for one in once] == [one.model_dump_json() for one in again]
    assert not {one.id for one in once} & {one.id for one in other}
    assert len({one.id for one in once}) == len(once)


def test_every_event_is_valid_and_labelled_simulated(run: Studio) -> None:
    events = run("bad-rollout@2h+3h", "crash@8h+20m", days=0.5)
    assert {type(one) for one in events} == {GenerationEvent, FeedbackEvent, HeartbeatEvent, AlertEvent}
    for one in events:
        assert type(one).model_validate_json(one.model_dump_json()) == one
        assert one.series == "simulated"
    assert [one.at for one in events] == sorted(one.at for one in events)


def test_requests_come_as_a_poisson_stream_of_the_rate(calm: list[Event]) -> None:
    hours = Counter(int((one.at - START) / timedelta(hours=1)) for one in answers(calm))
    counts = [hours[hour] for hour in range(4 * 24)]
    assert sum(counts) == pytest.approx(9600, abs=SIGMAS * sqrt(9600))
    # of a Poisson stream the variance is the mean, with a standard error of sqrt(2 / n)
    assert variance(counts) / fmean(counts) == pytest.approx(1.0, abs=SIGMAS * sqrt(2 / len(counts)))


def test_with_a_rhythm_as_many_come_but_more_of_them_by_day(run: Studio) -> None:
    found = answers(run(days=4, rhythm=True))
    assert len(found) == pytest.approx(9600, abs=SIGMAS * sqrt(9600))
    day = sum(9 <= one.at.hour < 21 for one in found)
    # the mean of 1 + .8 sin over half a day is 1 + 1.6 / pi
    assert day / len(found) == pytest.approx((1 + 1.6 / 3.14159) / 2, abs=0.03)


def test_quality_and_time_are_those_of_the_pool(run: Studio, calm: list[Event]) -> None:
    found = answers(calm)
    wholes = [one.takes["comprehensive"] for one in run.pool.entries]
    accepted = sum(take.outcome == "accepted" for take in wholes) / len(wholes)
    first = [one for one in found if one.attempts[0].outcome == "accepted"]
    share = len(first) / len(found)
    assert share == pytest.approx(accepted, abs=SIGMAS * sqrt(accepted * (1 - accepted) / len(found)))
    drawn = [as_guide(take.score, take.profile) for take in wholes if take.outcome == "accepted"]
    quality = fmean(one.quality or 0.0 for one in first)
    assert quality == pytest.approx(fmean(drawn), abs=SIGMAS * stdev(drawn) / sqrt(len(first)))
    assert all(one.tier == one.first == "comprehensive" and not one.fallback for one in first)


def test_a_lower_tier_answers_where_the_first_was_not_good_enough_and_the_best_is_kept(
    calm: list[Event],
) -> None:
    lower = [one for one in answers(calm) if one.attempts[0].outcome == "below_threshold"]
    assert lower
    for one in lower:
        assert len(one.attempts) >= 2
        assert one.score == max(attempt.score or 0.0 for attempt in one.attempts)
        assert one.fallback == (one.tier != "comprehensive")
        assert one.error == (one.tier == "basic_fallback")
        assert one.seconds == pytest.approx(sum(attempt.seconds for attempt in one.attempts), abs=0.001)


def test_flags_are_those_of_the_studios_own_buckets(calm: list[Event]) -> None:
    found = answers(calm)
    for one in found:
        assert one.flags["genre_engines"] == (bucket("genre_engines", one.who) <= 90)
        assert not one.flags[FLAG]
    without = [one for one in found if not one.flags["genre_engines"]]
    people = {f"reader-{number:04}" for number in range(PEOPLE)}
    off = sum(bucket("genre_engines", one) > 90 for one in people) / PEOPLE
    assert len(without) / len(found) == pytest.approx(off, abs=SIGMAS * sqrt(off * (1 - off) / len(found)))
    genre = {engine.name for engine in all_engines() if engine.phase == "genre"}
    assert not genre & {engine.engine for one in without for engine in one.engines}
    assert genre & {engine.engine for one in found for engine in one.engines}


def test_readers_do_what_they_are_said_to(calm: list[Event]) -> None:
    quality = {one.id: one.quality or 0.0 for one in answers(calm)}
    done = {
        action: {
            one.generation: one for one in calm if isinstance(one, FeedbackEvent) and one.action == action
        }
        for action in ("shown", "chose", "rated", "exported")
    }
    shown, chose = len(done["shown"]), len(done["chose"])
    assert shown == len(quality)
    expected = fmean(CHOOSE[0] + CHOOSE[1] * one for one in quality.values())
    assert chose / shown == pytest.approx(expected, abs=0.02)
    for action, share in (("rated", RATE), ("exported", EXPORT)):
        error = SIGMAS * sqrt(share * (1 - share) / chose)
        assert len(done[action]) / chose == pytest.approx(share, abs=error)
        assert set(done[action]) <= set(done["chose"])
    rated = [(one.rating or 0, quality[one.generation]) for one in done["rated"].values()]
    found = rank_correlation(rated)
    assert found is not None
    assert found.low is not None
    assert found.low > 0.2
    assert figures(calm, START + timedelta(days=4), hours=96).satisfaction is not None


def test_an_outage_leaves_the_template_and_counts_as_errors(run: Studio) -> None:
    found = during(run("provider-outage@10h+2h"), 10, 12)
    assert len(found) > 100
    for one in found:
        assert (one.tier, one.error, one.fallback) == ("basic_fallback", True, True)
        assert [attempt.outcome for attempt in one.attempts] == ["failed", "failed", "accepted"]
        assert not one.engines


def test_a_quality_drop_lowers_what_models_write_by_so_much(run: Studio) -> None:
    both = pairs(run("quality-drop@10h+2h"), run(), 10, 12)
    assert len(both) > 100
    for worse, well in both:
        before, after = well.attempts[0].score, worse.attempts[0].score
        assert before is not None
        assert after == pytest.approx(max(0.0, before - DROP), abs=0.006)
    outside = pairs(run("quality-drop@10h+2h"), run(), 13, 24)
    assert all(left.score == right.score and left.seconds == right.seconds for left, right in outside)


def test_a_slow_model_takes_so_many_times_as_long_up_to_the_budget(run: Studio) -> None:
    for slow, well in pairs(run("slow-model@10h+2h"), run(), 10, 12):
        if well.tier == "comprehensive" and len(well.attempts) == 1:
            assert slow.seconds == pytest.approx(min(120.0, SLOWER * well.seconds), abs=0.01)
        assert slow.seconds <= 120.0
        assert slow.score == well.score


def test_engines_fail_and_nothing_else_changes(run: Studio) -> None:
    both = pairs(run("engine-failure@10h+2h"), run(), 10, 12)
    lost = Counter(engine.engine for worse, _ in both for engine in worse.engines if not engine.delivered)
    assert len(set(lost.values())) == 1, "the same engines fail in every request"
    active = sum(len(worse.engines) for worse, _ in both)
    assert sum(lost.values()) / active == pytest.approx(LOST, abs=0.1)
    assert all(worse.score == well.score and worse.seconds == well.seconds for worse, well in both)


def test_a_crash_leaves_nothing_until_the_restart_and_uptime_says_how_long(run: Studio) -> None:
    events = run("crash@10h+30m")
    begin, end = START + timedelta(hours=10), START + timedelta(hours=10, minutes=30)
    assert not [one for one in events if begin <= one.at < end and not isinstance(one, AlertEvent)]
    beats = [one for one in events if isinstance(one, HeartbeatEvent)]
    restart = next(one for one in beats if one.at >= end)
    assert (restart.state, restart.at) == ("started", end)
    found = uptime(beats, START + timedelta(days=1))
    assert found == pytest.approx(100 * (1 - 30 / (24 * 60)), abs=0.001)
    assert beats[-1].state == "stopped"


def test_the_studios_own_triggers_roll_a_bad_flag_back_and_it_stays_off(run: Studio) -> None:
    made = run.prepared("bad-rollout@10h+6h")
    events = list(made)
    (truth,) = made.truth
    assert truth.rolled_back is not None
    assert timedelta() < truth.rolled_back - truth.start < timedelta(hours=2)
    assert truth.end == truth.rolled_back
    until = (truth.rolled_back - START) / timedelta(hours=1)
    on = [one for one in during(events, 10, until) if one.flags[FLAG]]
    off = [one for one in during(events, 10, until) if not one.flags[FLAG]]
    assert {one.who for one in on} == {one.who for one in (*on, *off) if bucket(FLAG, one.who) <= 50}
    assert fmean(one.quality or 0.0 for one in on) < 7.0 < fmean(one.quality or 0.0 for one in off)
    assert not [one for one in (*during(events, 0, 10), *during(events, until, 24)) if one.flags[FLAG]]
    told = [one for one in events if isinstance(one, AlertEvent)]
    words = [(one.rule, one.state, one.at) for one in told]
    assert ("rollout_advanced", "firing", truth.start) in words
    assert (f"rolled_back:{FLAG}", "firing", truth.rolled_back) in words
    assert (f"rolled_back:{FLAG}", "resolved", START + timedelta(hours=16)) in words
    assert f"rolled_back:{FLAG}" in truth.expected


def test_a_run_can_be_gone_through_again(run: Studio) -> None:
    made = run.prepared("bad-rollout@2h+6h", days=0.5)
    once, truth = list(made), made.truth
    assert list(made) == once
    assert made.truth == truth


def test_where_triggers_have_too_few_samples_somebody_ends_the_rollout(run: Studio) -> None:
    made = run.prepared("bad-rollout@10h+1h", rate=2.0)
    events = list(made)
    (truth,) = made.truth
    assert (truth.rolled_back, truth.end) == (None, START + timedelta(hours=11))
    assert not [one for one in during(events, 11, 24) if one.flags[FLAG]]


def test_what_is_simulated_never_mixes_into_what_is_live(run: Studio, tmp_path: Path) -> None:
    events = run("provider-outage@9h+3h", days=0.5)
    open_ = views(one for one in events if isinstance(one, AlertEvent))
    assert open_
    with Database(sqlite_url(tmp_path / "cinegen.db")) as database:
        log = SqlEvents(database)
        log.add(*events)
        now = START + timedelta(hours=12)
        monitoring = Monitoring(log, SqlRollups(database, log), now=lambda: now, secret="s", studio="one")
        assert monitoring.alerts() == ()
        assert monitoring.health().score is None
        assert monitoring.figures(24).episodes == 0
        assert monitoring.mean_time_to_resolve() is None
        assert monitoring.figures(24, series="simulated").episodes == len(answers(events))
        live = answers(events)[0].model_copy(update={"series": "live", "id": "live", "at": now})
        log.add(live)
        assert [one for _, one in log.read(series="live")] == [live]


@pytest.mark.parametrize(
    ("text", "hours", "lasts"),
    [("quality-drop@10d06h+3h", 246, 180), ("crash@90m+1d", 1.5, 1440), (" slow-model@0d+5m ", 0, 5)],
)
def test_incidents_are_read_as_they_are_written(text: str, hours: float, lasts: float) -> None:
    found = parse_incident(text)
    assert (found.start, found.lasts) == (timedelta(hours=hours), timedelta(minutes=lasts))


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("meteor@1d+1h", "Kinds are provider-outage"),
        ("crash@1d", "kind@start\\+length"),
        ("crash@1h1d+1h", "days, hours and minutes"),
        ("crash@1d+0h", "more than 0"),
        ("", "is no incident"),
    ],
)
def test_what_is_no_incident_is_refused_in_words(text: str, says: str) -> None:
    with pytest.raises(ValueError, match=says):
        parse_incident(text)


@pytest.mark.parametrize(
    ("incidents", "changes", "says"),
    [
        (["crash@1d+1h"], {}, "1 days are simulated"),
        (["bad-rollout@1h+3h", "bad-rollout@2h+3h"], {}, "overlap"),
        ([], {"rate": 0.0}, "above 0"),
        ([], {"start": datetime(2026, 1, 5)}, "time zone"),  # noqa: DTZ001
    ],
)
def test_what_cannot_be_simulated_is_refused_in_words(
    run: Studio, incidents: list[str], changes: dict[str, Any], says: str
) -> None:
    with pytest.raises(ValueError, match=says):
        run.prepared(*incidents, **changes)


def test_incidents_of_several_kinds_may_go_on_at_once(run: Studio) -> None:
    both: list[Incident] = [parse_incident("slow-model@10h+2h"), parse_incident("quality-drop@11h+2h")]
    assert [one.covers(timedelta(hours=11, minutes=30)) for one in both] == [True, True]
    well = pairs(run("slow-model@10h+2h", "quality-drop@11h+2h"), run(), 11, 12)
    slower = [(worse.attempts[0], fine.attempts[0]) for worse, fine in well]
    assert all(
        worse.seconds == pytest.approx(min(120.0, SLOWER * fine.seconds), abs=0.01)
        and (worse.score or 0.0) < (fine.score or 0.0)
        for worse, fine in slower
    )
