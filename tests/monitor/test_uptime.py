"""Uptime: the share of the time for which studios were meant to run in which they did."""

from __future__ import annotations

import random
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cinegen_core.monitor.events import HeartbeatEvent
from cinegen_core.monitor.uptime import uptime, vouched

START = datetime(2026, 1, 5, 10, tzinfo=UTC)


def at(minute: float) -> datetime:
    return START + timedelta(minutes=minute)


def told(
    beats: Sequence[tuple[float, str]], *, studio: str = "s", answered: bool = True
) -> list[HeartbeatEvent]:
    """Heartbeats as a studio records them."""
    made: list[HeartbeatEvent] = []
    for minute, state in beats:
        up, watched = vouched(made[-1] if made else None, at(minute))
        made.append(
            HeartbeatEvent.model_validate(
                {
                    "id": f"{studio} {minute} {state}", "at": at(minute), "studio": studio, "state": state,
                    "answered": answered, "up": up, "watched": watched,
                }
            )
        )  # fmt: skip
    return made


def every_minute(first: int, last: int) -> list[tuple[float, str]]:
    return [(minute, "running") for minute in range(first, last + 1)]


def test_a_studio_that_answers_every_minute_is_up() -> None:
    assert uptime(told(every_minute(0, 60)), at(60)) == 100.0
    assert uptime([], at(60)) is None


def test_time_without_an_answer_is_down() -> None:
    beats = told(every_minute(0, 60), answered=False)
    assert uptime(beats, at(60)) == 0.0


def test_a_clean_stop_is_no_downtime() -> None:
    beats = told([*every_minute(0, 19), (19.5, "stopped"), (40, "started"), *every_minute(41, 60)])
    assert uptime(beats, at(60)) == 100.0
    assert uptime(told([(10, "stopped")]), at(60)) is None


def test_a_crash_is_downtime_until_the_next_start() -> None:
    beats = told([*every_minute(0, 19), (40, "started"), *every_minute(41, 60)])
    assert uptime(beats, at(60)) == pytest.approx(100 * 40 / 60)


def test_a_crash_that_nobody_has_mended_is_downtime_until_now() -> None:
    assert uptime(told(every_minute(0, 29)), at(60)) == pytest.approx(100 * 30 / 60)


def test_a_studio_that_hung_was_down_although_it_never_stopped() -> None:
    beats = told([*every_minute(0, 19), *every_minute(30, 60)])
    assert uptime(beats, at(60)) == pytest.approx(100 * 50 / 60)


def test_heartbeats_that_come_a_little_late_leave_no_hole() -> None:
    beats = told([(n * 1.02, "running") for n in range(60)])
    assert uptime(beats, at(60.3)) == 100.0


def test_the_minute_that_has_just_begun_is_not_held_against_anybody() -> None:
    assert uptime(told(every_minute(0, 59)), at(60.4)) == 100.0


def test_each_studio_was_meant_to_run() -> None:
    good, bad = told(every_minute(0, 60)), told(every_minute(0, 60), studio="t", answered=False)
    assert uptime([*good, *bad], at(60)) == 50.0


def test_uptime_looks_back_as_far_as_it_is_told() -> None:
    beats = told([*every_minute(0, 19), (45, "started"), *every_minute(46, 60)])
    assert uptime(beats, at(60), hours=0.5) == pytest.approx(50.0)
    assert uptime(beats, at(60), hours=0.25) == pytest.approx(100.0)


@given(
    st.lists(st.tuples(st.integers(0, 70), st.sampled_from(["started", "running", "running", "stopped"]))),
    st.integers(0, 90),
    st.randoms(),
)
def test_uptime_does_not_depend_on_the_order_of_delivery(
    beats: list[tuple[float, str]], now: int, chance: random.Random
) -> None:
    made = told(sorted(beats))
    again = chance.sample(made, len(made))
    found, other = uptime(made, at(now)), uptime(again, at(now))
    assert (found is None) == (other is None)
    assert found is None or 0.0 <= found <= 100.0
    if found is not None and len({beat.at for beat in made}) == len(made):
        assert other == pytest.approx(found)
