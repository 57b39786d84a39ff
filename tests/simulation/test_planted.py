"""Eight weeks with five planted incidents: every alert that should fire does, in time, and no other."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

import pytest

from cinegen_core.flags.model import Declared
from cinegen_core.monitor.alerts import RULES, mean_time_to_resolve
from cinegen_core.monitor.events import AlertEvent, Event, GenerationEvent, HeartbeatEvent
from cinegen_core.simulation import Pool, Truth, five, parse_incident, simulate
from tests.simulation import oracle
from tests.simulation.oracle import CONTRACT, Alert, Request, passed

START = datetime(2026, 1, 5, tzinfo=UTC)
RATE = 125.0
"""Requests an hour: the shortest window, of 15 minutes, holds about 31, and so can nearly always speak."""

TICK = timedelta(minutes=1)
WINDOWS = {rule.key: rule.window for rule in RULES}


@dataclass
class Weeks:
    """What the events of a run say that alerts are made from, and the steps that they took."""

    truth: tuple[Truth, ...] = ()
    requests: list[Request] = field(default_factory=list)
    beats: list[float] = field(default_factory=list)
    steps: list[AlertEvent] = field(default_factory=list)
    end: datetime = START
    in_order: bool = True

    def take(self, events: Iterable[Event]) -> None:
        before = START
        for event in events:
            self.in_order &= event.at >= before
            before = event.at
            if isinstance(event, GenerationEvent):
                assert event.quality is not None
                delivered = sum(one.delivered for one in event.engines)
                self.requests.append(
                    Request(
                        passed(event.at, START),
                        event.quality,
                        event.seconds,
                        event.fallback,
                        (delivered, len(event.engines)),
                    )
                )
            elif isinstance(event, HeartbeatEvent):
                self.beats.append(passed(event.at, START))
            elif isinstance(event, AlertEvent):
                self.steps.append(event)

    def alerts(self) -> list[Alert]:
        """Those that fired, with when they were resolved."""
        over = {one.alert: passed(one.at, START) for one in self.steps if one.state == "resolved"}
        fired = [one for one in self.steps if one.state == "firing"]
        found = [Alert(one.rule, passed(one.at, START), over.get(one.alert)) for one in fired]
        return sorted(found, key=lambda one: (one.fired, one.rule))

    def fired_in(self, truth: Truth) -> list[str]:
        """While an incident went on, or by its traces in the windows afterwards, which are an hour at most."""
        begin, end = passed(truth.start, START), passed(truth.end + timedelta(hours=1), START)
        return [one.rule for one in self.alerts() if begin <= one.fired <= end]


def agree(weeks: Weeks) -> None:
    """The studio's alerts and those worked out from the raw events are the same, to the instant."""
    told = oracle.alerts(weeks.requests, weeks.beats, passed(weeks.end, START))
    assert [one.rule for one in weeks.alerts()] == [one.rule for one in told]
    for ours, theirs in zip(weeks.alerts(), told, strict=True):
        assert ours.fired == pytest.approx(theirs.fired, abs=1e-6), theirs
        assert ours.resolved == pytest.approx(theirs.resolved, abs=1e-6), theirs


@pytest.fixture(scope="module")
def weeks(pool: Pool, declared: Declared) -> Weeks:
    made = simulate(
        pool, start=START, days=56, rate=RATE, seed=7, incidents=five(56), declared=declared, readers=False
    )
    found = Weeks(end=made.end)
    found.take(made)
    found.truth = made.truth
    return found


def test_all_alerts_of_the_contract_are_called_for_by_the_five_incidents(weeks: Weeks) -> None:
    assert len(weeks.truth) == 5
    assert {rule for one in weeks.truth for rule in one.expected} == set(CONTRACT)


def test_every_alert_that_an_incident_should_raise_fires_within_its_window_and_a_tick(weeks: Weeks) -> None:
    for truth in weeks.truth:
        for rule in truth.expected:
            times = [one.at for one in weeks.steps if one.rule == rule and one.state == "firing"]
            assert any(truth.start < at <= truth.start + WINDOWS[rule] + TICK for at in times), (truth, rule)


def test_no_alert_fires_that_should_not(weeks: Weeks) -> None:
    explained = 0
    for truth in weeks.truth:
        fired = weeks.fired_in(truth)
        assert set(truth.expected) <= set(fired) <= {*truth.expected, *truth.possible}, truth
        explained += len(fired)
    assert explained == len(weeks.alerts())


def test_each_fires_and_is_resolved_at_the_instant_that_the_raw_events_say(weeks: Weeks) -> None:
    agree(weeks)


def test_mean_time_to_resolve_is_what_the_raw_events_say(weeks: Weeks) -> None:
    told = oracle.alerts(weeks.requests, weeks.beats, passed(weeks.end, START))
    assert mean_time_to_resolve(weeks.steps) == pytest.approx(oracle.mean_time_to_resolve(told), abs=1e-6)


def test_the_log_is_in_the_order_of_time(weeks: Weeks) -> None:
    assert weeks.in_order


def test_what_is_broken_from_the_first_request_on_fires_when_its_window_is_full(
    pool: Pool, declared: Declared
) -> None:
    planted = [parse_incident(f"{kind}@0h+2h") for kind in ("engine-failure", "slow-model", "quality-drop")]
    made = simulate(
        pool, start=START, days=0.25, rate=RATE, seed=5, incidents=planted, declared=declared, readers=False
    )
    found = Weeks(end=made.end)
    found.take(made)
    first = {one.rule: one.fired for one in reversed(found.alerts())}
    assert set(first) == set(CONTRACT) - {"uptime_critical"}
    for rule, fired in first.items():
        begin = found.requests[0].at
        assert (
            begin + WINDOWS[rule].total_seconds() <= fired <= begin + (WINDOWS[rule] + TICK).total_seconds()
        )
    agree(found)


def test_an_incident_too_short_for_its_windows_is_not_counted_on(pool: Pool, declared: Declared) -> None:
    made = simulate(
        pool,
        start=START,
        days=1,
        rate=RATE,
        seed=3,
        incidents=[parse_incident("engine-failure@6h+20m"), parse_incident("crash@12h+10m")],
        declared=declared,
        readers=False,
    )
    failure, crash = made.truth
    assert (failure.expected, failure.possible) == (("engines_critical",), ("engines_warning",))
    assert (crash.expected, crash.possible) == ((), ("uptime_critical",))
    found = Weeks(end=made.end)
    found.take(made)
    fired = set(found.fired_in(failure))
    assert {"engines_critical"} <= fired <= {"engines_critical", "engines_warning"}
    assert found.fired_in(crash) == []


def test_windows_with_fewer_than_twenty_samples_stay_silent(pool: Pool, declared: Declared) -> None:
    """At 20 requests an hour 15 minutes hold five."""
    planted = [parse_incident("engine-failure@6h+3h"), parse_incident("slow-model@15h+3h")]
    made = simulate(
        pool, start=START, days=1, rate=20, seed=3, incidents=planted, declared=declared, readers=False
    )
    assert [one.expected for one in made.truth] == [(), ()]
    found = Weeks()
    found.take(made)
    assert found.requests
    assert found.alerts() == []
