"""Events are kept in their order, each once, in either kind of database."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import pytest

from cinegen_core.monitor.events import HeartbeatEvent
from cinegen_core.store.events import SqlEvents
from cinegen_core.store.sql import Database

START = datetime(2026, 1, 5, 10, tzinfo=UTC)


def a_beat(number: int, name: str = "beat") -> HeartbeatEvent:
    return HeartbeatEvent(id=f"{name}-{number}", at=START + timedelta(minutes=number), studio=name)


@pytest.fixture
def database(database_url: str) -> Iterator[Database]:
    with Database(database_url) as opened:
        yield opened


@pytest.fixture
def events(database: Database) -> SqlEvents:
    return SqlEvents(database)


def test_events_come_back_in_the_order_in_which_they_were_recorded(events: SqlEvents) -> None:
    events.add(a_beat(3), a_beat(1))
    events.add(a_beat(2))
    assert [event for _, event in events.read()] == [a_beat(3), a_beat(1), a_beat(2)]
    numbers = [number for number, _ in events.read()]
    assert numbers == sorted(set(numbers))
    assert [event for _, event in events.read(after=numbers[1])] == [a_beat(2)]


def test_a_span_has_its_beginning_and_not_its_end(events: SqlEvents) -> None:
    events.add(*(a_beat(number) for number in range(5)))
    found = events.read(since=a_beat(1).at, until=a_beat(3).at, kinds=["heartbeat"])
    assert [event for _, event in found] == [a_beat(1), a_beat(2)]
    assert events.read(kinds=["generation"]) == []
    assert events.read(series="simulated") == []


def test_a_retry_adds_nothing(events: SqlEvents) -> None:
    events.add(a_beat(1), a_beat(1))
    events.add(a_beat(1), a_beat(2))
    assert [event for _, event in events.read()] == [a_beat(1), a_beat(2)]


def test_what_is_older_is_forgotten(events: SqlEvents) -> None:
    events.add(*(a_beat(number) for number in range(5)))
    assert events.forget(a_beat(3).at) == 3
    assert [event for _, event in events.read()] == [a_beat(3), a_beat(4)]


def test_two_who_record_the_same_at_once_record_it_once(events: SqlEvents) -> None:
    started = threading.Barrier(8)
    failed: list[Exception] = []

    def write() -> None:
        started.wait()
        try:
            events.add(*(a_beat(number) for number in range(20)))
        except Exception as error:  # noqa: BLE001 (told below)
            failed.append(error)

    threads = [threading.Thread(target=write) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failed == []
    assert [event for _, event in events.read()] == [a_beat(number) for number in range(20)]


def test_who_reads_on_from_the_last_number_misses_nothing(database: Database) -> None:
    """Several write at once, and one follows: a number that becomes visible late would be passed over."""
    events = SqlEvents(database)
    writing = threading.Barrier(5)
    followed: list[str] = []

    def write(name: str) -> None:
        writing.wait()
        for number in range(25):
            events.add(a_beat(number, name))

    threads = [threading.Thread(target=write, args=(name,)) for name in "abcd"]
    for thread in threads:
        thread.start()
    writing.wait()
    last = 0
    while len(followed) < 100:
        running = any(thread.is_alive() for thread in threads)
        new = events.read(after=last)
        followed += [event.id for _, event in new]
        last = max([last, *(number for number, _ in new)])
        if not running and not new:
            break
    for thread in threads:
        thread.join()
    assert sorted(followed) == sorted(f"{name}-{number}" for name in "abcd" for number in range(25))
