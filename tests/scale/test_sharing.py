"""What studios on one database share: emergencies, what triggers call for, alerts; and what only the one that leads does."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from random import Random
from typing import Any

import pytest
from sqlalchemy import Connection

from cinegen_core.flags.control import Flags
from cinegen_core.flags.journal import JournalError
from cinegen_core.flags.model import Change
from cinegen_core.monitor.events import AlertEvent, GenerationEvent
from cinegen_core.monitoring import Monitoring
from cinegen_core.notify import Notifier
from cinegen_core.settings import Settings
from cinegen_core.steering import RecordedOutcomes, Steering
from cinegen_core.store import MemoryStore
from cinegen_core.store.deliveries import SqlDeliveries
from cinegen_core.store.events import SqlEvents
from cinegen_core.store.leading import FencedDatabase, Lead, Pace, SqlLead
from cinegen_core.store.results import NoResults
from cinegen_core.store.rollups import SqlRollups
from cinegen_core.store.sql import SqlJournal, sqlite_url
from cinegen_core.studio import Studio
from cinegen_core.writers.template import TemplateWriter
from tests.builders import a_request
from tests.fakes import FakeWriter, TitleEngine
from tests.scale.leaders import until, well_rated

DECLARED = Path(__file__).parents[2] / "flags.toml"
PACE = Pace(lease=20.0, renewed=1.0, looked=0.2, followed=0.2, ticked=0.5)
LITERAL = 'policy = "literal"'


class Time:
    def __init__(self) -> None:
        self.seconds = 0.0

    def monotonic(self) -> float:
        return self.seconds

    def now(self) -> datetime:
        return datetime(2026, 11, 1, tzinfo=UTC) + timedelta(seconds=self.seconds)


class Room:
    """Studios that share flags.toml and a database. Their time of day stands still unless told to go on; the lead goes by real time,
    plus what the database's clock is told to be ahead."""

    def __init__(self, folder: Path) -> None:
        self.file = folder / "flags.toml"
        self.file.write_text(DECLARED.read_text(encoding="utf-8").replace('policy = "evidence"', LITERAL))
        self.url = sqlite_url(folder / "cinegen.db")
        self.time, self.ahead = Time(), 0.0
        self.warnings: list[str] = []
        self._open: list[Any] = []

    def database(self) -> FencedDatabase:
        made = FencedDatabase(self.url)
        self._open.append(made)
        return made

    def read(self, connection: Connection) -> float:
        return time.time() + self.ahead

    def lead(self, name: str) -> Lead:
        rows = SqlLead(self.database(), "live", clock=self.read)
        return Lead(rows, holder=name, monotonic=time.monotonic, pace=PACE)

    def studio(self, name: str, writer: FakeWriter, *, automatic: bool = False) -> Studio:
        database, lead = self.database(), self.lead(name)
        events, journal = SqlEvents(database), SqlJournal(database)
        monitoring = Monitoring(
            events, SqlRollups(database, events), now=self.time.now, secret="s", studio=name, lead=lead
        )
        flags = Flags(self.file, journal, now=self.time.now, on_problem=self.warnings.append)
        steering = Steering(
            flags, RecordedOutcomes(events), journal.read, now=self.time.now, warn=self.warnings.append,
            changed=monitoring.changed, close=database.close, lead=lead,
        )  # fmt: skip
        made = Studio(
            Settings(automatic_emergency=automatic), clock=self.time, store=MemoryStore(), results=NoResults(),
            engines=(TitleEngine(),), judge=well_rated, steering=steering, monitoring=monitoring, lead=lead,
            writers={"comprehensive": writer, "enhanced_baseline": writer, "basic_fallback": TemplateWriter()},
            warn=self.warnings.append, probes=False,
        )  # fmt: skip
        self._open.append(made)
        return made

    def changes(self) -> list[tuple[str, str]]:
        return [(change.kind, change.who) for change in SqlJournal(self.database()).read()]

    def close(self) -> None:
        for one in reversed(self._open):
            one.close()


@pytest.fixture
def room(tmp_path: Path) -> Iterator[Room]:
    made = Room(tmp_path)
    yield made
    made.close()


async def write(studio: Studio, room: Room, count: int, every: float = 5.0) -> list[str]:
    tiers: list[str] = []
    for _ in range(count):
        room.time.seconds += every
        tiers.append((await studio.generate(a_request(), who="bob")).tier)
    return tiers


async def two_in_an_emergency(room: Room, writer: FakeWriter) -> tuple[Studio, Studio]:
    """One leads; what goes wrong goes wrong at the other."""
    one, other = (room.studio(name, writer, automatic=True) for name in ("one", "other"))
    one.begin_heartbeats()
    until("one leads", lambda: one.leading().mine)
    other.begin_heartbeats()
    writer.fails = ValueError("nonsense")
    await write(other, room, 12)
    until("one sees the emergency", lambda: one.emergency is not None)
    until("so does the other", lambda: other.emergency is not None)
    return one, other


async def test_an_emergency_that_health_begins_holds_for_all_and_outlives_who_began_it(room: Room) -> None:
    writer = FakeWriter()
    one, other = await two_in_an_emergency(room, writer)
    for studio in (one, other):
        assert studio.emergency is not None
        assert studio.emergency.by == "health"
        assert "health is" in studio.emergency.reason
    assert await write(other, room, 1) == ["basic_fallback"]
    writer.fails = None
    one.close()
    until("the other leads", lambda: other.leading().mine)
    probes = 0
    while other.emergency is not None:
        until("it has seen that the emergency is its own matter now", lambda: other._emergencies.probing)
        room.time.seconds += 61
        assert await other.probe()
        probes += 1
        assert probes < 30
    assert probes >= 9, "the one that goes on asks for ten good minutes of its own"
    assert [kind for kind in room.changes() if "emergency" in kind[0]] == [
        ("emergency", "health"), ("emergency_over", "health"),
    ]  # fmt: skip
    assert set(await write(other, room, 12)) == {"comprehensive"}
    assert other.emergency is None, "what led to it does not lead to it again"
    assert other.monitoring is not None
    told = [notice.rule for notice in other.monitoring.notices(room.time.now() - timedelta(days=1))]
    assert told.count("emergency_entered") == told.count("emergency_left") == 1


async def test_a_person_who_takes_an_emergency_over_ends_it(room: Room) -> None:
    writer = FakeWriter()
    one, other = await two_in_an_emergency(room, writer)
    other.enter_emergency(by="Ada", reason="I look at it myself")
    until("one knows", lambda: one.emergency is not None and one.emergency.by == "Ada")
    until("one probes no more", lambda: not one._emergencies.probing)
    one.leave_emergency(by="Ada", reason="mended")
    until("it is over at the other", lambda: other.emergency is None)


async def test_an_emergency_that_cannot_be_recorded_holds_here_and_is_recorded_once_it_can(
    room: Room, monkeypatch: pytest.MonkeyPatch
) -> None:
    writer = FakeWriter()
    studio = room.studio("one", writer, automatic=True)
    studio.begin_heartbeats()
    until("it leads", lambda: studio.leading().mine)

    def full(journal: SqlJournal, *changes: Change) -> None:
        raise JournalError("the disk is full")

    with monkeypatch.context() as broken:
        broken.setattr(SqlJournal, "append", full)
        writer.fails = ValueError("nonsense")
        await write(studio, room, 12)
        until("an emergency holds", lambda: studio.emergency is not None)
        assert await write(studio, room, 1) == ["basic_fallback"]
        assert room.changes() == []
        assert len([words for words in room.warnings if "the disk is full" in words]) == 1
    until("it is recorded", lambda: ("emergency", "health") in room.changes())
    assert studio.emergency is not None


async def test_who_was_followed_without_noticing_rolls_nothing_back_and_the_next_does(room: Room) -> None:
    writer = FakeWriter()
    one, other = room.studio("one", writer), room.studio("other", FakeWriter())
    await write(one, room, 5)
    assert one.leading().mine
    room.ahead += 60  # one is stopped for a minute, and does not know it yet
    follows = room.lead("other")
    assert follows.look()
    writer.fails = ValueError("nonsense")
    await write(one, room, 30)
    assert one.monitoring is not None
    assert len(one.monitoring.answers()) == 35, "what it wrote is kept, who ever leads"
    assert room.changes() == []
    assert not [event for event in one.monitoring.events() if isinstance(event, AlertEvent)]
    assert room.warnings == [], "it is no failure"
    follows.release()
    await write(other, room, 1)
    assert ("rollback", "trigger") in room.changes()


async def test_what_was_called_for_while_nobody_led_is_done_by_the_next_without_a_new_episode(
    room: Room,
) -> None:
    writer = FakeWriter(fails=ValueError("nonsense"))
    fails, leads = room.studio("fails", writer), room.studio("leads", FakeWriter())
    gone = room.lead("gone")
    assert gone.look()  # and is never heard of again
    await write(fails, room, 30)
    assert leads.steering is not None
    assert leads.steering.catch_up() == (), "while somebody seems to lead others hold back"
    assert room.changes() == []
    room.ahead += 60
    leads.begin_heartbeats()
    until("it is rolled back", lambda: ("rollback", "trigger") in room.changes())


def test_one_whose_work_hangs_is_followed_although_its_process_goes_on(
    room: Room, monkeypatch: pytest.MonkeyPatch
) -> None:
    one, other = room.studio("one", FakeWriter()), room.studio("other", FakeWriter())
    hangs, goes_on = threading.Event(), threading.Event()

    def stuck() -> int:
        hangs.set()
        goes_on.wait()
        return 0

    one.begin_heartbeats()
    until("one leads", lambda: one.leading().mine)
    other.begin_heartbeats()
    assert one.monitoring is not None
    monkeypatch.setattr(one.monitoring, "last", stuck)
    until("its work hangs", hangs.is_set)
    room.time.seconds += PACE.hung + 1
    room.ahead += PACE.lease + 1
    until("the other leads", lambda: other.leading().mine)
    assert not one.leading().mine
    goes_on.set()


async def test_a_rollout_goes_to_its_next_phase_by_itself_where_a_studio_leads(room: Room) -> None:
    studio = room.studio("one", FakeWriter())
    assert studio.steering is not None
    studio.steering.flags.start_rollout("comprehensive_engines_rollout", who="Ada", why="week five")
    for number in range(120):
        room.time.seconds += 48 * 3600 / 119
        await studio.generate(a_request(), who=f"reader {number}")
    standing = studio.steering.flags.overlay.rollouts["comprehensive_engines_rollout"]
    assert (standing.state, standing.phase) == ("running", 1)
    assert ("rollout_advanced", "rollout") in room.changes()


class Unused:
    target = "nobody"

    async def send(self, notice: object) -> None:
        raise AssertionError(notice)


async def test_only_the_one_that_leads_tells_people(room: Room) -> None:
    database, lead = room.database(), room.lead("follows")
    assert room.lead("leads").look()
    notifier = Notifier(
        SqlEvents(database), SqlDeliveries(database), [Unused()], clock=room.time, rng=Random(1), lead=lead
    )  # fmt: skip
    assert not lead.look()
    assert await notifier.tick() == 0
    with database.reading() as connection:
        assert connection.exec_driver_sql("SELECT count(*) FROM deliveries").scalar() == 0


def test_events_are_forgotten_by_the_one_that_leads(room: Room) -> None:
    database, lead = room.database(), room.lead("one")
    events = SqlEvents(database)
    monitoring = Monitoring(
        events, SqlRollups(database, events), now=room.time.now, secret="s", studio="one",
        kept=timedelta(days=1), lead=lead,
    )  # fmt: skip
    old, new = (
        GenerationEvent(
            id=f"{days} days old", at=room.time.now() - timedelta(days=days), tier="comprehensive", first="comprehensive",
            writer="m", profile="model", seconds=20.0,
        )
        for days in (3, 0)
    )  # fmt: skip
    events.add(old, new)
    monitoring.tick()
    assert monitoring.events() == (old, new)
    assert lead.look()
    monitoring.tick()
    assert monitoring.events() == (new,)
