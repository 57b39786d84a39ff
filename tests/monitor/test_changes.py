"""Operators are told of what changes: flags, rollouts, emergencies; a rollback is an alert until a person lifts it."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from cinegen_core.flags.control import Flags
from cinegen_core.monitoring import Monitoring, NoSuchRuleError
from cinegen_core.steering import RecordedOutcomes, Steering
from cinegen_core.store.events import SqlEvents
from cinegen_core.store.rollups import SqlRollups
from cinegen_core.store.sql import Database, SqlJournal, sqlite_url

DECLARED = Path(__file__).parents[2] / "flags.toml"
START = datetime(2026, 3, 2, 9, tzinfo=UTC)


class Room:
    """Two studios that share a database."""

    def __init__(self, folder: Path) -> None:
        self.now = START
        self.file = folder / "flags.toml"
        shutil.copy(DECLARED, self.file)
        self.url = sqlite_url(folder / "cinegen.db")
        self.databases: list[Database] = []

    def studio(self, name: str) -> tuple[Steering, Monitoring]:
        database = Database(self.url)
        self.databases.append(database)
        events, journal = SqlEvents(database), SqlJournal(database)
        monitoring = Monitoring(
            events, SqlRollups(database, events), now=lambda: self.now, secret="s", studio=name
        )
        flags = Flags(
            self.file, journal, now=lambda: self.now, on_problem=pytest.fail, monotonic=self.seconds
        )
        steering = Steering(
            flags,
            RecordedOutcomes(events),
            journal.read,
            now=lambda: self.now,
            warn=pytest.fail,
            changed=monitoring.changed,
        )
        return steering, monitoring

    def seconds(self) -> float:
        return self.now.timestamp()


@pytest.fixture
def room(tmp_path: Path) -> Iterator[Room]:
    made = Room(tmp_path)
    yield made
    for database in made.databases:
        database.close()


def words(monitoring: Monitoring) -> list[str]:
    return [notice.cause for notice in monitoring.notices(START - timedelta(hours=1))]


def test_a_changed_flag_is_told_of_once_although_two_studios_saw_it(room: Room) -> None:
    (one, monitoring), (other, _) = room.studio("one"), room.studio("two")
    one.flags.set("genre_engines", percent=50, who="Ada", why="slower")
    room.now += timedelta(seconds=10)
    one.catch_up()
    other.catch_up()
    other.catch_up()
    assert words(monitoring) == ["genre_engines was set to 50 % by Ada: slower"]
    assert monitoring.alerts() == (), "a notice is no alert"


def test_what_was_changed_while_no_studio_ran_is_told_of_at_the_next_start(room: Room) -> None:
    with Database(room.url) as database:
        flags = Flags(room.file, SqlJournal(database), now=lambda: room.now, on_problem=pytest.fail)
        flags.set("beta_features", enabled=True, who="Ada", why="a trial")
    room.now += timedelta(minutes=20)
    _, monitoring = room.studio("one")
    room.studio("two")
    assert words(monitoring) == ["beta_features was switched on by Ada: a trial"]


def test_a_rollout_and_an_emergency_are_told_of(room: Room) -> None:
    steering, monitoring = room.studio("one")
    key = "comprehensive_engines_rollout"
    steering.flags.start_rollout(key, who="Ada", why="week five")
    steering.flags.pause_rollout(key, who="Ada", why="lunch")
    steering.flags.emergency(who="Ben", why="nonsense")
    steering.flags.emergency_over(who="Ben", why="mended")
    steering.catch_up()
    found = words(monitoring)
    assert f"the rollout {key} began by Ada: week five" in found
    assert f"the rollout {key} was paused by Ada: lunch" in found
    assert "the emergency ended by Ben: mended" in found
    assert not any(text.startswith("comprehensive_engines was") for text in found), (
        "each command is told of once"
    )


def test_a_rollback_is_a_critical_alert_until_a_person_lifts_it(room: Room) -> None:
    steering, monitoring = room.studio("one")
    steering.flags.rollback("genre_engines", who="trigger", why="quality fell")
    steering.catch_up()
    (alert,) = monitoring.alerts()
    assert (alert.severity, alert.state, alert.rule) == ("critical", "firing", "rolled_back:genre_engines")
    assert "quality fell" in alert.cause
    (incident,) = monitoring.incidents()
    assert incident.ended is None
    room.now += timedelta(minutes=30)
    steering.flags.rearm("genre_engines", who="Ada", why="mended")
    steering.catch_up()
    assert monitoring.alerts() == ()
    (incident,) = monitoring.incidents()
    assert incident.ended == room.now
    assert monitoring.mean_time_to_resolve() == 1800.0


def test_silences_hold_for_their_time_and_can_be_ended(room: Room) -> None:
    _, monitoring = room.studio("one")
    monitoring.silence("quality_warning", until=room.now + timedelta(hours=2), by="Ada", why="a new model")
    assert [silence.rule for silence in monitoring.silences()] == ["quality_warning"]
    room.now += timedelta(hours=1)
    monitoring.silence("quality_warning", until=room.now, by="Ada")
    assert monitoring.silences() == ()
    with pytest.raises(NoSuchRuleError, match="quality_warning"):
        monitoring.silence("nothing", until=room.now, by="Ada")
