"""Of the studios that share a database one leads, another follows when it is gone, and nobody leads who has been followed."""

from __future__ import annotations

import random
from collections.abc import Iterator

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import Column, Connection, Integer, MetaData, String, Table, insert, select

from cinegen_core.store.episodes import StoreError
from cinegen_core.store.leading import (
    FencedDatabase,
    Lead,
    LeadLostError,
    LeadView,
    Pace,
    SqlLead,
    seconds_of,
)
from tests.postgres import PostgresServer, database_url, postgres

__all__ = ["database_url", "postgres"]

NOTES = Table("notes", MetaData(), Column("number", Integer, primary_key=True), Column("what", String(80)))


class Time:
    """A database's clock, and everybody's own: each may be set without the others."""

    def __init__(self) -> None:
        self.database = 1_000_000.0
        self.seconds = 50.0

    def read(self, connection: Connection) -> float:
        return self.database

    def monotonic(self) -> float:
        return self.seconds

    def pass_(self, seconds: float) -> None:
        self.database += seconds
        self.seconds += seconds


class Room:
    def __init__(self, database: FencedDatabase) -> None:
        self.database, self.time, self.examples = database, Time(), 0
        with database.writing() as connection:
            NOTES.create(connection)

    def one(self, name: str, pace: Pace = Pace(), lead: str = "live") -> Lead:  # noqa: B008 (it is frozen)
        rows = SqlLead(self.database, lead, clock=self.time.read)
        return Lead(rows, holder=name, monotonic=self.time.monotonic, pace=pace)

    def write(self, what: str) -> None:
        with self.database.writing() as connection:
            connection.execute(insert(NOTES).values(what=what))

    def notes(self) -> list[str]:
        with self.database.reading() as connection:
            return list(connection.scalars(select(NOTES.c.what).order_by(NOTES.c.number)))


@pytest.fixture
def room(database_url: str) -> Iterator[Room]:
    database = FencedDatabase(database_url)
    yield Room(database)
    database.close()


def test_one_leads_as_long_as_it_renews_and_everybody_can_see_who(room: Room) -> None:
    ada, ben = room.one("ada"), room.one("ben")
    assert ben.view() == LeadView(holder="", since=None, mine=False)
    assert (ada.look(), ben.look()) == (True, False)
    for _ in range(200):
        room.time.pass_(0.5)
        assert (ada.look(), ben.look()) == (True, False)
    assert ada.view() == ben.view().model_copy(update={"mine": True})
    assert ben.view().holder == "ada"
    since = ben.view().since
    assert since is not None
    assert since.timestamp() == 1_000_000.0


def test_one_that_ends_properly_is_followed_at_once(room: Room) -> None:
    ada, ben = room.one("ada"), room.one("ben")
    ada.look()
    ben.look()
    ada.release()
    assert ada.fence() is None
    room.time.pass_(1)
    assert ben.look()
    ada.release()
    assert ben.view().mine, "what is somebody else's by now is not let go of"


@given(looks=st.floats(0, 1), steps=st.lists(st.floats(0.3, 1), min_size=30, max_size=30))
@settings(deadline=None, max_examples=12, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_one_that_dies_is_followed_within_ten_seconds_whenever_others_look(
    room: Room, looks: float, steps: list[float]
) -> None:
    room.examples += 1
    lead = f"lead {room.examples}"
    ada, ben = room.one("ada", lead=lead), room.one("ben", lead=lead)
    ben.begin()
    assert ada.look()
    died = room.time.database
    room.time.pass_(looks)
    while not ben.look():
        room.time.pass_(steps.pop())
    assert Pace().lease <= room.time.database - died <= Pace().longest_gap + 1e-6 <= 7.0 + 1e-6


def test_the_usual_pace_leaves_room_for_slow_transactions() -> None:
    pace = Pace()
    assert pace.longest_gap + pace.renewed < 10, "even if the last renewal was just about to be made"
    assert pace.lease >= 2 * pace.renewed + pace.looked, "one renewal may fail without costing the lead"


def test_a_leader_that_was_stopped_writes_nothing_as_leader_any_more(room: Room) -> None:
    ada, ben = room.one("ada"), room.one("ben")
    ada.look()
    with ada.acting():
        room.write("ada leads")
        room.time.database += 10  # stopped in the middle of it: its own clock has not told it yet
        assert ben.look()
        with pytest.raises(LeadLostError, match="Another studio leads"):
            room.write("ada still leads")
        with ben.acting():
            room.write("ben leads")
        with pytest.raises(LeadLostError):
            room.write("ada leads again")
    room.write("anybody may write what is not the leader's")
    room.time.seconds += 10
    assert ada.fence() is None
    with pytest.raises(LeadLostError), ada.acting():
        raise AssertionError
    assert not ada.look()
    assert room.notes() == ["ada leads", "ben leads", "anybody may write what is not the leader's"]


def test_one_that_could_not_renew_in_time_goes_on_if_nobody_took_its_place(room: Room) -> None:
    ada = room.one("ada")
    ada.look()
    fence = ada.fence()
    room.time.pass_(60)
    assert ada.fence() is None, "until it has looked it does not lead"
    assert ada.look()
    assert ada.fence() == fence


def test_a_clock_of_the_database_that_is_set_back_does_not_keep_a_dead_leader_in_place(room: Room) -> None:
    ada, ben = room.one("ada"), room.one("ben")
    ada.look()
    room.time.database -= 3600
    waited = 0.0
    while not ben.look():
        room.time.pass_(0.5)
        waited += 0.5
    assert waited <= Pace().lease + 2 * Pace().looked


def test_a_clock_of_the_database_that_is_set_back_costs_a_living_leader_nothing(room: Room) -> None:
    ada, ben = room.one("ada"), room.one("ben")
    ada.look()
    room.time.database -= 3600
    for _ in range(100):
        room.time.pass_(0.5)
        assert (ada.look(), ben.look()) == (True, False)


def test_who_is_served_by_nobody_takes_the_lead_for_the_moment_and_only_if_it_is_free(room: Room) -> None:
    served, command = room.one("served"), room.one("command")
    assert command.ask()
    command.release()
    served.begin()
    assert not served.ask(), "a studio that is served looks when it is its time"
    assert served.look()
    assert served.ask()
    room.time.pass_(1)
    assert not command.ask()


def test_studios_that_rehearse_do_not_lead_those_that_are_in_use(room: Room) -> None:
    live, staging = room.one("live"), room.one("staging", lead="staging")
    assert live.look()
    assert staging.look()
    with live.acting():
        room.write("live")
    with staging.acting():
        room.write("staging")


def test_the_databases_own_clock_is_asked_and_goes_on_within_a_transaction(room: Room) -> None:
    with room.database.writing() as connection:
        first = seconds_of(connection)
        later = seconds_of(connection)
        while later == first:
            later = seconds_of(connection)
    assert later > first > 1_700_000_000
    rows = SqlLead(room.database, "real")
    term = rows.take("ada", 60)
    assert term is not None
    assert rows.take("ben", 60) is None
    assert rows.renew(term, 0.0)
    standing = rows.standing()
    assert standing is not None
    assert standing.until <= standing.now
    taken = rows.take("ben", 60)
    assert taken is not None
    assert taken.fence == term.fence + 1
    assert not rows.renew(term, 60)


def test_one_that_is_stopped_in_the_middle_of_writing_does_not_hold_up_others_in_postgresql(
    postgres: PostgresServer,
) -> None:
    with postgres.database() as url:
        stopped, other = FencedDatabase(url, held=0.2), FencedDatabase(url)
        with other.writing() as connection:
            NOTES.create(connection)

        def write_until_another_has() -> None:
            with stopped.writing() as connection:
                connection.execute(insert(NOTES).values(what="half of something"))
                with other.writing() as connected:
                    connected.execute(insert(NOTES).values(what="the other's"))

        with pytest.raises(StoreError):
            write_until_another_has()
        with stopped.writing() as connection:
            assert list(connection.scalars(select(NOTES.c.what))) == ["the other's"]
        stopped.close()
        other.close()


@pytest.mark.parametrize("seed", range(4))
def test_whatever_happens_no_leader_writes_after_the_next_has_begun(room: Room, seed: int) -> None:
    """Studios look, act, stand still and jump in time at random; each believes in its own clock."""
    rng = random.Random(seed)

    class Own:
        behind = 0.0

        def monotonic(self) -> float:
            return room.time.seconds - self.behind

    clocks = [Own() for _ in range(3)]
    leads = [
        Lead(SqlLead(room.database, "live", clock=room.time.read), holder=f"{n}", monotonic=one.monotonic)
        for n, one in enumerate(clocks)
    ]
    wrote = 0
    for _ in range(250):
        number = rng.randrange(3)
        lead = leads[number]
        match rng.choice(["look", "act", "act", "wait", "stop", "jump"]):
            case "look":
                lead.look()
            case "act":
                if (fence := lead.fence()) is not None:
                    try:
                        with lead.acting():
                            room.write(f"{fence}:{number}")
                            wrote += 1
                    except LeadLostError:
                        lead.look()
            case "wait":
                room.time.pass_(rng.choice([0.3, 1, 3]))
            case "stop":  # time passes, which this one does not notice
                room.time.pass_(8)
                clocks[number].behind += 8
            case _:
                room.time.database += rng.choice([-20, 20]) * (rng.random() < 0.2)
    fences = [int(note.partition(":")[0]) for note in room.notes()]
    assert fences == sorted(fences)
    assert len(set(room.notes())) == len(set(fences)), "a fence is one studio's"
    assert len(set(fences)) > 3
    assert wrote == len(fences)
