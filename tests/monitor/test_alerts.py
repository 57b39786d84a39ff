"""Alerts: when each fires, that it is resolved, and which of them are one incident."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cinegen_core.monitor.alerts import (
    RULES,
    Changed,
    Heard,
    Rule,
    State,
    Tick,
    acknowledged,
    fresh,
    info,
    mean_time_to_resolve,
    notices,
    replay,
    step,
    views,
)
from cinegen_core.monitor.events import AlertEvent, FeedbackEvent, GenerationEvent, HeartbeatEvent

START = datetime(2026, 1, 5, 10, 0, tzinfo=UTC)
BY_KEY = {rule.key: rule for rule in RULES}
ENGINES = [f"engine {n}" for n in range(1, 11)]
TICK = timedelta(minutes=1)


def at(minutes: float) -> datetime:
    return START + timedelta(minutes=minutes)


def engines(failing: Iterable[str] = ()) -> list[dict[str, Any]]:
    lost = set(failing)
    return [{"engine": name, "delivered": name not in lost} for name in ENGINES]


def attempts(outcome: str) -> list[dict[str, Any]]:
    return [{"tier": "comprehensive", "writer": "studio-model", "outcome": outcome, "seconds": 5.0}]


def request(minutes: float, **changes: Any) -> GenerationEvent:
    good: dict[str, Any] = {
        "id": f"g{minutes}",
        "at": at(minutes),
        "tier": "comprehensive",
        "first": "comprehensive",
        "writer": "studio-model",
        "profile": "model",
        "seconds": 20.0,
        "quality": 8.4,
        "engines": engines(),
        "attempts": attempts("accepted"),
    }
    return GenerationEvent.model_validate({**good, **changes})


def requests(start: float, end: float, *, every: float = 0.5, **changes: Any) -> list[GenerationEvent]:
    return [request(start + n * every, **changes) for n in range(round((end - start) / every))]


def beat(minutes: float, **changes: Any) -> HeartbeatEvent:
    return HeartbeatEvent.model_validate({"id": f"h{minutes}", "at": at(minutes), "studio": "a", **changes})


def beats(start: int, end: int, **changes: Any) -> list[HeartbeatEvent]:
    return [beat(minute, **changes) for minute in range(start, end)]


def together(*streams: Sequence[Heard]) -> list[Heard]:
    return sorted((one for stream in streams for one in stream), key=lambda one: one.at)


def steps_of(heard: Iterable[Heard], until: float | None = None) -> tuple[AlertEvent, ...]:
    return replay(heard, until=None if until is None else at(until))[1]


def told(steps: Iterable[AlertEvent], rule: str) -> list[tuple[str, datetime]]:
    return [(one.state, one.at) for one in steps if one.rule == rule]


def fired(steps: Iterable[AlertEvent]) -> set[str]:
    return {one.rule for one in steps if one.state == "firing"}


BREACHES: dict[str, dict[str, Any]] = {
    "quality_critical": {"quality": 6.9},
    "quality_warning": {"quality": 7.4},
    "engines_critical": {"engines": engines(ENGINES[:3])},
    "engines_warning": {"engines": engines(ENGINES[:2])},
    "time_critical": {"seconds": 91.0},
    "time_warning": {"seconds": 46.0},
    "fallback_warning": {"tier": "enhanced_baseline", "fallback": True},
}

JUST_ENOUGH: dict[str, dict[str, Any]] = {
    "quality_critical": {"quality": 7.0},
    "quality_warning": {"quality": 7.5},
    "engines_critical": {"engines": engines(ENGINES[:2])},
    "time_critical": {"seconds": 90.0},
    "time_warning": {"seconds": 45.0},
}


def test_the_rules_are_the_contracts_rows() -> None:
    assert [
        (rule.severity, rule.metric, rule.comparison, rule.threshold, rule.minutes) for rule in RULES
    ] == [
        ("critical", "quality", "below", 7.0, 30),
        ("critical", "engines", "below", 0.80, 15),
        ("critical", "seconds", "above", 90.0, 20),
        ("critical", "uptime", "below", 0.99, 1440),
        ("warning", "quality", "below", 7.5, 60),
        ("warning", "engines", "below", 0.85, 30),
        ("warning", "seconds", "above", 45.0, 30),
        ("warning", "fallback", "above", 0.15, 60),
    ]


@pytest.mark.parametrize("healthy_before", [0, 200])
@pytest.mark.parametrize("key", BREACHES)
def test_each_rule_fires_within_its_time_and_a_minute_of_a_breach_that_lasts(
    key: str, healthy_before: int
) -> None:
    rule = BY_KEY[key]
    stream = [
        *requests(0, healthy_before),
        *requests(healthy_before, healthy_before + rule.minutes + 5, **BREACHES[key]),
    ]
    steps = steps_of(stream)
    (when,) = (when for state, when in told(steps, key) if state == "firing")
    assert at(healthy_before) < when <= at(healthy_before + rule.minutes) + TICK


def test_uptime_fires_once_a_day_cannot_be_good_any_more() -> None:
    stream = [*beats(0, 3000), *beats(3000, 3030, answered=False)]
    ((state, when),) = told(steps_of(stream), "uptime_critical")
    assert state == "firing"
    assert at(3014) <= when <= at(3016)


def test_a_crash_is_downtime_until_the_next_start_and_a_clean_stop_is_not() -> None:
    before = beats(0, 2000)
    after = [beat(2060, state="started"), *beats(2061, 2100)]
    crashed = steps_of([*before, *after])
    assert [one.rule for one in crashed if one.state == "firing"] == ["uptime_critical"]
    assert crashed[0].cause == "the studio a did not answer"
    assert not steps_of([*before, beat(2000, state="stopped"), *after])


def test_uptime_is_resolved_when_the_downtime_is_more_than_a_day_ago() -> None:
    stream = [*beats(0, 1500), *beats(1500, 1520, answered=False), *beats(1520, 3000)]
    (firing, fires), (resolved, ends) = told(steps_of(stream), "uptime_critical")
    assert (firing, resolved) == ("firing", "resolved")
    assert at(1514) <= fires <= at(1516)
    assert at(1440 + 1505) <= ends <= at(1440 + 1507)


def test_a_studio_that_starts_badly_is_pending_before_it_is_down_for_too_long() -> None:
    stream = [beat(0, state="started"), *beats(1, 10, answered=False), *beats(10, 2000)]
    (first, _), (second, when) = told(steps_of(stream), "uptime_critical")
    assert (first, second) == ("pending", "resolved")
    assert when < at(1440)


def test_a_healthy_studio_has_no_alerts() -> None:
    stream = together(requests(0, 3000), beats(0, 3000))
    assert steps_of(stream, 3010) == ()


@pytest.mark.parametrize("key", JUST_ENOUGH)
def test_a_mean_that_is_just_good_enough_is_no_breach(key: str) -> None:
    rule = BY_KEY[key]
    assert not told(steps_of(requests(0, rule.minutes + 10, **JUST_ENOUGH[key])), key)


def test_fifteen_percent_of_fallbacks_are_no_breach_and_one_more_is() -> None:
    def stream(bad: int) -> list[GenerationEvent]:
        """80 requests an hour, in every 80 so many fallbacks."""
        return [request(n * 0.75, fallback=n % 80 < bad) for n in range(240)]

    def firing(bad: int) -> bool:
        return "fallback_warning" in fired(steps_of(stream(bad)))

    assert (firing(12), firing(13)) == (False, True)


def test_a_breach_is_pending_until_there_is_a_whole_window_of_it() -> None:
    steps = steps_of(requests(0, 40, quality=6.0))
    (pending, since), (firing, when) = told(steps, "quality_critical")
    assert (pending, since) == ("pending", at(9.5))
    assert (firing, when) == ("firing", at(30))


def test_a_breach_that_ends_before_its_time_never_fires() -> None:
    steps = steps_of([*requests(0, 12, quality=6.0), *requests(12, 60, quality=9.5)])
    assert [state for state, _ in told(steps, "quality_critical")] == ["pending", "resolved"]


def test_after_a_long_silence_a_window_fills_anew() -> None:
    steps = steps_of([*requests(0, 60), *requests(300, 340, quality=6.0)])
    assert told(steps, "quality_critical") == [("pending", at(309.5)), ("firing", at(330))]


@pytest.mark.parametrize("key", BREACHES)
def test_with_nineteen_requests_in_its_window_nothing_fires(key: str) -> None:
    rule = BY_KEY[key]
    sparse = requests(0, rule.minutes * 4, every=rule.minutes / 19, **BREACHES[key])
    assert not told(steps_of(sparse), key)


def test_an_alert_stays_as_it_is_while_requests_are_too_few() -> None:
    bad = requests(0, 40, quality=6.0)
    few = requests(200, 230, every=1.6, quality=9.0)
    enough = requests(300, 330, quality=9.0)
    assert [state for state, _ in told(steps_of([*bad, *few], 290), "quality_critical")] == [
        "pending",
        "firing",
    ]
    assert told(steps_of([*bad, *few, *enough]), "quality_critical")[-1] == ("resolved", at(309.5))


def test_alerts_are_resolved_and_the_mean_time_that_it_took_is_the_real_one() -> None:
    stream = [
        *requests(0, 100, every=0.5),
        *requests(100, 130, every=0.5, seconds=200.0),
        *requests(130, 200, every=0.5),
    ]
    steps = [one for one in steps_of(stream) if one.rule == "time_critical"]
    # 20 minutes hold 40 requests; their mean is above 90 s with 16 of 200 s among them, and no longer with 15.
    assert [(one.state, one.at) for one in steps] == [("firing", at(107.5)), ("resolved", at(142))]
    assert mean_time_to_resolve(steps) == 34.5 * 60
    assert mean_time_to_resolve(steps[:1]) is None
    assert views(steps) == ()


def test_a_request_that_is_heard_late_is_weighed_all_the_same() -> None:
    in_order = requests(0, 40, quality=6.0)
    late = [*in_order[:60], *in_order[61:64], in_order[60], *in_order[64:]]
    assert told(steps_of(late, 45), "quality_critical") == told(steps_of(in_order, 45), "quality_critical")


def test_time_spent_pending_or_on_notices_is_not_time_to_resolve() -> None:
    pending_only = steps_of([*requests(0, 12, quality=6.0), *requests(12, 60, quality=9.5)])
    assert mean_time_to_resolve([*pending_only, info("flag_changed", "genre_engines off", at=at(1))]) is None


IGNORED: list[dict[str, Any]] = [
    {"kept": True},
    {"emergency": True},
    {"series": "simulated"},
    {"series": "staging"},
]


@pytest.mark.parametrize("mark", IGNORED, ids=str)
def test_what_is_kept_given_in_an_emergency_or_not_live_changes_nothing(mark: dict[str, Any]) -> None:
    awful: dict[str, Any] = {"quality": 1.0, "seconds": 110.0, "fallback": True, "engines": engines(ENGINES)}
    noise = requests(0.1, 200, **awful, **mark)
    good = requests(0, 200)
    assert replay(together(good, noise)) == replay(good)
    assert step(fresh(), noise[0]) == (fresh(), ())


def test_heartbeats_of_a_staging_studio_and_feedback_change_nothing() -> None:
    down = beat(0, series="staging", answered=False)
    read = FeedbackEvent(id="f", at=at(0), generation="g", action="rated", rating=1)
    assert [step(fresh(), one) for one in (down, read)] == [(fresh(), ())] * 2


def test_two_alerts_of_one_cause_are_one_incident() -> None:
    outage: dict[str, Any] = {
        "tier": "enhanced_baseline",
        "fallback": True,
        "seconds": 110.0,
        "engines": engines(ENGINES),
        "attempts": attempts("failed"),
    }
    steps = [
        one for one in steps_of([*requests(0, 120), *requests(120, 145, **outage)]) if one.state == "firing"
    ]
    assert {one.rule for one in steps} >= {"engines_critical", "time_critical", "fallback_warning"}
    assert {one.cause for one in steps} == {"attempts by studio-model fail"}
    assert len({one.incident for one in steps}) == 1


def test_two_alerts_of_two_causes_are_two_incidents() -> None:
    stream = together(
        [*requests(0, 1500), *requests(1500, 1520, engines=engines(ENGINES[:5]))],
        [*beats(0, 1490), *beats(1490, 1530, answered=False)],
    )
    steps = [one for one in steps_of(stream) if one.state == "firing"]
    by_cause = {one.cause: one.incident for one in steps}
    assert set(by_cause) == {"the engine engine 1 fails", "the studio a did not answer"}
    assert len(set(by_cause.values())) == 2


def test_what_begins_long_after_is_another_incident_even_of_the_same_cause() -> None:
    bad: dict[str, Any] = {"attempts": attempts("failed"), "seconds": 110.0}
    stream = [*requests(0, 100), *requests(100, 130, **bad), *requests(130, 300), *requests(300, 330, **bad)]
    incidents = [
        one.incident for one in steps_of(stream) if one.rule == "time_critical" and one.state == "firing"
    ]
    assert len(incidents) == len(set(incidents)) == 2


def test_a_changed_flag_is_the_cause_of_what_begins_after_it() -> None:
    stream = [*requests(0, 120), *requests(120, 150, quality=5.0)]
    changed = Changed(at=at(119.9), what="high_temperature switched off")
    steps = [one for one in steps_of(together(stream, [changed])) if one.state == "firing"]
    assert {one.rule for one in steps} == {"quality_critical", "quality_warning"}
    assert {one.cause for one in steps} == {"changed: high_temperature switched off"}
    assert len({one.incident for one in steps}) == 1


def test_a_changed_flag_is_not_the_cause_of_what_went_on_before_it() -> None:
    stream = [*requests(0, 120), *requests(120, 150, seconds=110.0, attempts=attempts("failed"))]
    changed = Changed(at=at(124.9), what="high_temperature switched off")
    steps = [one for one in steps_of(together(stream, [changed])) if one.rule == "time_critical"]
    assert [one.cause for one in steps] == ["attempts by studio-model fail"]


def test_a_notice_of_a_changed_flag_is_heard_as_the_change() -> None:
    stream = [*requests(0, 120), *requests(120, 150, quality=5.0)]
    words = "high_temperature switched off"
    as_change = replay(together(stream, [Changed(at=at(119.9), what=words)]))
    as_notice = replay(together(stream, [info("flag_changed", words, at=at(119.9))]))
    assert as_change == as_notice


def test_without_a_cause_in_sight_the_alert_says_so() -> None:
    steps = [
        one
        for one in steps_of([*requests(0, 120), *requests(120, 150, quality=5.0)])
        if one.state == "firing"
    ]
    assert {one.cause for one in steps} == {"no cause seen: quality fell"}


def test_notices_are_told_at_once_and_are_no_open_alerts() -> None:
    advanced = info("rollout_advanced", "comprehensive_engines is at 50 %", at=at(3))
    assert (advanced.severity, advanced.state, advanced.at) == ("info", "firing", at(3))
    assert views([advanced]) == ()
    assert notices([advanced], since=at(0)) == (advanced,)
    assert notices([advanced], since=at(4)) == ()


def test_an_open_alert_shows_what_was_measured_and_who_has_seen_it() -> None:
    steps = [one for one in steps_of(requests(0, 40, quality=6.8)) if one.rule == "quality_critical"]
    (view,) = views(steps)
    assert (view.rule, view.severity, view.state, view.since) == (
        "quality_critical",
        "critical",
        "firing",
        at(30),
    )
    assert (view.value, view.threshold, view.acknowledged_by) == (6.8, 7.0, None)
    seen = acknowledged(view, "Ada", at=at(41))
    (again,) = views([*steps, seen])
    assert again == view.model_copy(update={"acknowledged_by": "Ada"})


def test_who_has_seen_a_pending_alert_has_seen_it_when_it_fires() -> None:
    pending, firing = (
        one for one in steps_of(requests(0, 40, quality=6.8)) if one.rule == "quality_critical"
    )
    (view,) = views([pending])
    assert [
        one.acknowledged_by for one in views([pending, acknowledged(view, "Ada", at=at(20)), firing])
    ] == ["Ada"]


def test_critical_alerts_are_shown_first() -> None:
    shown = views(steps_of(requests(0, 70, quality=5.0, seconds=50.0)))
    assert [one.rule for one in shown] == ["quality_critical", "time_warning", "quality_warning"]


heard_events = st.lists(
    st.tuples(
        st.floats(0, 4),
        st.integers(1, 30),
        st.sampled_from([4.0, 7.2, 9.0]),
        st.sampled_from([10.0, 60.0, 115.0]),
        st.integers(0, 10),
        st.booleans(),
        st.sampled_from(["request", "beat", "down", "stop", "tick", "change"]),
    ),
    max_size=25,
)


def built(draws: list[tuple[float, int, float, float, int, bool, str]]) -> list[Heard]:
    """Bursts of requests, heartbeats, changes and ticks, one after the other."""
    now, stream = 0.0, list[Heard]()
    for pause, count, quality, seconds, failing, fallback, kind in draws:
        now += pause**3
        if kind == "request":
            for n in range(count):
                stream.append(
                    request(
                        now,
                        id=f"{now}-{n}",
                        quality=quality,
                        seconds=seconds,
                        fallback=fallback,
                        engines=engines(ENGINES[:failing]),
                    )
                )
                now += pause / 10
        elif kind == "tick":
            stream.append(Tick(at=at(now)))
        elif kind == "change":
            stream.append(Changed(at=at(now), what=f"flag {failing}"))
        else:
            state = "stopped" if kind == "stop" else "running"
            stream.append(beat(now, state=state, answered=kind == "beat"))
    return stream


@settings(deadline=None)
@given(heard_events)
def test_a_rule_has_one_alert_at_a_time_and_its_steps_are_in_order(draws: list[Any]) -> None:
    steps = steps_of(built(draws))
    assert len({one.id for one in steps}) == len(steps)
    assert [one.at for one in steps] == sorted(one.at for one in steps)
    open_: dict[str, tuple[str, str]] = {}
    for one in steps:
        before = open_.get(one.rule)
        if before is not None:
            assert one.alert == before[0]
        assert (
            one.state
            in {None: ("pending", "firing"), "pending": ("firing", "resolved"), "firing": ("resolved",)}[
                None if before is None else before[1]
            ]
        )
        if one.state == "resolved":
            del open_[one.rule]
        else:
            open_[one.rule] = (one.alert, one.state)
    assert {view.rule: (view.id, view.state) for view in views(steps)} == open_


@settings(deadline=None)
@given(heard_events, st.lists(st.floats(0, 500), max_size=20))
def test_the_same_events_give_the_same_alerts_whenever_time_was_told(
    draws: list[Any], times: list[float]
) -> None:
    stream = built(draws)
    end = max((one.at for one in stream), default=START) + timedelta(hours=10)
    ticks = [Tick(at=at(minutes)) for minutes in times if at(minutes) < end]
    first = stream[:1]
    with_ticks = [
        *first,
        *together(stream[1:], [tick for tick in ticks if not first or tick.at >= first[0].at]),
    ]
    without = [one for one in stream if not isinstance(one, Tick)]
    assert replay(with_ticks, until=end) == replay(without, until=end)


@settings(deadline=None)
@given(heard_events)
def test_a_firing_rule_is_in_breach_by_its_own_window(draws: list[Any]) -> None:
    stream = built(draws)
    for one in steps_of(stream):
        rule = BY_KEY[one.rule]
        assert one.value is not None
        assert rule.broken_by(one.value) is (one.state != "resolved")
        if rule.metric == "quality":
            assert len(quality_in_window(stream, rule, one.at)) >= 20


def quality_in_window(stream: Iterable[Heard], rule: Rule, now: datetime) -> list[float]:
    return [
        one.quality
        for one in stream
        if isinstance(one, GenerationEvent) and one.quality is not None and now - rule.window < one.at <= now
    ]


@settings(deadline=None)
@given(st.lists(st.sampled_from([3.0, 6.9, 7.1, 9.9]), min_size=40, max_size=90))
def test_once_windows_are_full_an_alert_is_what_the_plain_mean_says(qualities: list[float]) -> None:
    rule = BY_KEY["quality_critical"]
    stream = [request(n, quality=quality) for n, quality in enumerate(qualities)]
    state: State = fresh()
    steps: list[AlertEvent] = []
    for n, event in enumerate(stream):
        state, more = step(state, event)
        steps += more
        if n >= 30:
            seen = quality_in_window(stream[: n + 1], rule, event.at)
            mean = sum(round(one * 10) for one in seen) / len(seen) / 10
            firing = {view.rule for view in views(steps) if view.state == "firing"}
            assert (rule.key in firing) is (mean < 7.0)
