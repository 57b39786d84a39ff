"""Hourly roll-ups: figures from them are the figures of the events themselves, whatever became of the stream on its way."""

from __future__ import annotations

import random
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from cinegen_core.monitor.events import Event, GenerationEvent
from cinegen_core.monitor.metrics import figures
from cinegen_core.monitor.tally import Tally, hour_of, hourly
from cinegen_core.monitoring import Monitoring
from cinegen_core.store import StoreError
from cinegen_core.store.events import SqlEvents
from cinegen_core.store.rollups import ROLLUPS, SqlRollups
from cinegen_core.store.sql import Database, sqlite_url
from tests.monitor.test_metrics import beat, episode, feedback, some_beats

NOW = datetime(2026, 11, 20, 12, 34, 56, tzinfo=UTC)

times = st.integers(0, 30 * 3600).map(lambda seconds: NOW - timedelta(seconds=seconds))
answers = st.builds(
    lambda number, **rest: episode(f"g{number}", **rest),
    st.integers(0, 40),
    at=times,
    kept=st.booleans(),
    error=st.booleans(),
    fallback=st.booleans(),
    seconds=st.integers(0, 200_000).map(lambda ms: ms / 1000),
    score=st.none() | st.floats(0, 10),
    quality=st.none() | st.floats(0, 10),
    flags=st.dictionaries(st.sampled_from(["genre", "beta"]), st.booleans()),
    dimensions=st.dictionaries(st.sampled_from(["world", "genre"]), st.floats(0, 10)),
    engines=st.lists(
        st.fixed_dictionaries({"engine": st.sampled_from(["Title", "Pacing"]), "delivered": st.booleans()}),
        max_size=3,
    ),
)
readers = st.builds(
    lambda number, generation, action, at, stars: feedback(
        f"f{number}", f"g{generation}", action, at=at, rating=stars if action == "rated" else None
    ),
    st.integers(0, 20),
    st.integers(0, 40),
    st.sampled_from(["shown", "chose", "rated", "exported"]),
    times,
    st.integers(1, 10),
)
streams = st.lists(answers | readers | some_beats, max_size=40, unique_by=lambda event: event.id)


class Room:
    def __init__(self, url: str) -> None:
        self.database = Database(url)
        self.events = SqlEvents(self.database)
        self.rollups = SqlRollups(self.database, self.events)

    def monitoring(self, **changes: Any) -> Monitoring:
        values: dict[str, Any] = {"now": lambda: NOW, "secret": "s", "studio": "one", **changes}
        return Monitoring(self.events, self.rollups, **values)


@pytest.fixture
def room(database_url: str) -> Iterator[Room]:
    made = Room(database_url)
    yield made
    made.database.close()


@settings(max_examples=40, deadline=None, suppress_health_check=list(HealthCheck))
@given(streams, st.randoms(), st.sampled_from([1.0, 24.0, 7.5]))
def test_a_shuffled_repeated_and_interrupted_stream_gives_the_figures_of_the_clean_one(
    tmp_path_factory: pytest.TempPathFactory, stream: list[Event], chance: random.Random, hours: float
) -> None:
    room = Room(sqlite_url(tmp_path_factory.mktemp("rollups") / "cinegen.db"))
    try:
        waiting = [*stream, *chance.choices(stream, k=len(stream))] if stream else []
        chance.shuffle(waiting)
        monitoring = room.monitoring()
        while waiting:
            batch = [waiting.pop() for _ in range(min(len(waiting), chance.randint(1, 6)))]
            room.events.add(*batch)
            if chance.random() < 0.3:
                monitoring = room.monitoring()  # the studio was killed, and started again
            if chance.random() < 0.5:
                monitoring.figures(hours)
        assert monitoring.figures(hours) == figures(stream, NOW, hours=hours)
        clean = hourly(stream)
        found = room.rollups.hours("live", datetime(2000, 1, 1, tzinfo=UTC), NOW + timedelta(days=1))
        assert {hour: tally.to_json() for hour, tally in found.items()} == {
            hour: tally.to_json() for hour, tally in clean.items()
        }
    finally:
        room.database.close()


def test_roll_ups_hold_in_every_kind_of_database(room: Room) -> None:
    events = [episode(f"g{n}", at=NOW - timedelta(minutes=7 * n), seconds=10 + n / 7) for n in range(300)]
    beats = [beat(minute) for minute in range(60)]
    room.events.add(*events[:100])
    assert room.rollups.roll_up() == 100
    room.events.add(*events[100:], *beats)
    assert room.monitoring().figures(24.0) == figures([*events, *beats], NOW)
    assert room.rollups.roll_up() == 360
    assert room.rollups.everything("live").counts["all"] == 300


@pytest.mark.parametrize("minute", [0, 1, 59])
def test_a_span_that_begins_with_an_hour_counts_that_hour_once(room: Room, minute: int) -> None:
    now = NOW.replace(minute=minute, second=0)
    events = [episode(f"g{n}", at=now - timedelta(minutes=5 * n)) for n in range(60)]
    room.events.add(*events)
    monitoring = room.monitoring(now=lambda: now)
    for hours in (0.5, 1.0, 2.0, 24.0):
        assert monitoring.figures(hours) == figures(events, now, hours=hours)


def test_events_of_other_series_are_counted_apart(room: Room) -> None:
    at = NOW - timedelta(minutes=5)
    room.events.add(episode("a", at=at), episode("b", at=at, series="simulated", quality=2.0))
    monitoring = room.monitoring()
    assert monitoring.figures().mean_quality == 8.0
    assert monitoring.figures(series="simulated").mean_quality == 2.0
    assert monitoring.figures(series="staging").mean_quality is None


def test_what_is_forgotten_stays_counted(room: Room) -> None:
    old = episode("old", at=NOW - timedelta(days=40))
    room.events.add(old, episode("new", at=NOW - timedelta(minutes=5)))
    monitoring = room.monitoring(kept=timedelta(days=30))
    monitoring.tick()
    assert [event.id for event in monitoring.events()] == ["new"]
    assert monitoring.figures().total_episodes == 2


def test_two_studios_count_each_event_once(room: Room) -> None:
    one, other = room.monitoring(), room.monitoring(studio="two")
    for number in range(30):
        (one if number % 2 else other).generated(
            episode(f"g{number}", at=NOW - timedelta(minutes=30 - number))
        )
        (one if number % 3 else other).tick()
    assert one.figures().episodes == other.figures().episodes == 30


def test_a_damaged_roll_up_says_what_to_do(tmp_path: Path) -> None:
    room = Room(sqlite_url(tmp_path / "cinegen.db"))
    room.events.add(episode("a"))
    room.rollups.roll_up()
    with room.database.writing() as connection:
        connection.execute(ROLLUPS.update().values(data="[]"))
    with pytest.raises(StoreError, match="counted anew"):
        room.rollups.everything("live")
    room.database.close()


@given(st.lists(answers, max_size=20))
def test_a_tally_comes_back_from_its_text_and_parts_make_the_whole(events: list[GenerationEvent]) -> None:
    whole = Tally()
    for event in events:
        whole.answer(event)
    parts = Tally()
    for tally in hourly(events).values():
        parts.add(Tally.from_json(tally.to_json()))
    assert parts.to_json() == whole.to_json()
    assert all(hour == hour_of(hour) for hour in hourly(events))
