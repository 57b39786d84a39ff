"""Several studios on one database: exactly one acts on what is recorded, whichever of them dies, and all go by the same flags."""

from __future__ import annotations

import logging
import random
import sqlite3
import statistics
import time
from collections import defaultdict
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import NamedTuple

import pytest
from sqlalchemy import text

from cinegen_core.flags.control import Flags
from cinegen_core.monitor.events import AlertEvent
from cinegen_core.store.events import SqlEvents
from cinegen_core.store.leading import FencedDatabase, SqlLead, Standing
from cinegen_core.store.sql import SqlJournal
from tests.scale.leaders import QUICK, FastClock, Plan, Records, Served, served, until

DECLARED = Path(__file__).parents[2] / "flags.toml"
ROLLOUT = "stepwise"
PHASES = 4
FLAGS = f"""
[flags.comprehensive_engines]
enabled = true
[flags.enhanced_fallbacks]
enabled = true
[flags.genre_engines]
enabled = true
rollout = 10
[flags.beta_features]
enabled = true
[flags.production_monitoring]
enabled = true

[rollouts.{ROLLOUT}]
flag = "genre_engines"
""" + "".join(
    f"""
[[rollouts.{ROLLOUT}.phases]]
percent = {20 + 10 * phase}
dwell_hours = 1.0
quality = 0.1
errors = 1.0
samples = 3
"""
    for phase in range(PHASES)
)
TRIGGER = """
[triggers.error_rate_spike]
metric = "error"
above = 0.10
minutes = 15
samples = 20
policy = "literal"
flags = ["comprehensive_engines"]
"""


class Room(NamedTuple):
    url: str
    folder: Path
    database: FencedDatabase
    records: Records

    def plan(self, *, times: float = 1.0, every: float = 0.0, mood: float = 0.0, flags: str = FLAGS) -> Plan:
        file = self.folder / "flags.toml"
        file.write_text(flags, encoding="utf-8")
        return Plan(self.url, str(self.folder), str(file), time.time(), times, every, mood)

    def led(self) -> Standing:
        """Who leads, or led last."""
        found = SqlLead(self.database, "live").standing()
        return found or Standing("", 0, 0.0, 0.0, 0.0)

    def leader(self) -> Standing | None:
        found = self.led()
        return None if found.until <= found.now else found

    def leading(self, running: list[Served]) -> Served:
        """Who of these leads, once one of them does."""
        found: list[Served] = []

        def somebody() -> bool:
            leads = self.leader()
            found.extend(
                one for one in running if leads is not None and leads.holder.endswith(f"process {one.pid}")
            )
            return bool(found)

        until("somebody leads", somebody)
        return found[0]


@pytest.fixture
def room(database_url: str, tmp_path: Path) -> Iterator[Room]:
    database = FencedDatabase(database_url)
    yield Room(database_url, tmp_path, database, Records(database))
    database.close()


MEASURED = logging.getLogger(__name__)
"""Told of what was measured: `pytest --log-cli-level=info` shows it."""


def test_a_flag_that_is_changed_in_one_is_in_force_in_the_other_within_a_second(room: Room) -> None:
    with served(room.plan()) as another:
        one, other = another(), another()
        took = []
        for turn in range(6):
            key, enabled = "beta_features", turn % 2 == 1
            other.begin("saw", key, enabled)
            done = one.ask("set", key, enabled)
            took.append(other.answer() - done)
            one, other = other, one
        MEASURED.info("seconds until a change is in force in the other: %s", sorted(took))
        assert statistics.median(took) < 1.0


def test_what_fails_at_a_studio_that_does_not_lead_is_rolled_back_by_the_one_that_does(room: Room) -> None:
    with served(room.plan(flags=FLAGS + TRIGGER)) as another:
        running = [another(), another()]
        leads = room.leading(running)
        fails = next(one for one in running if one is not leads)
        assert not fails.ask("leads")
        leads.begin("saw", "comprehensive_engines", False)
        twentieth = fails.ask("fail", 20)
        seen = leads.answer()
        until("it is rolled back", lambda: bool(SqlJournal(room.database).read()))
        first = SqlJournal(room.database).read()[0]
        MEASURED.info("seconds until a rollback: %s", first.at.timestamp() - twentieth)
        assert (first.kind, first.who, first.subject) == ("rollback", "trigger", "flag:comprehensive_engines")
        assert {act.pid for act in room.records.acts()} == {leads.pid}
        assert seen - twentieth < 5


class Damage(NamedTuple):
    """A leader that was killed or stopped: when that was by the database's clock, and until when its fence would have held."""

    how: str
    at: float
    fence: int


def damage(room: Room, running: list[Served], rng: random.Random, how: str) -> Damage:
    leads, fence = room.leading(running), room.led().fence
    at = room.records.now()
    if how == "kill":
        leads.kill()
        running.remove(leads)
    else:
        leads.stop()
        while not can_write(room):  # in a file, who is stopped while it writes keeps everybody from writing
            leads.wake()
            leads.stop()
    return Damage(how, at, fence)


def can_write(room: Room) -> bool:
    if room.database.path is None:
        return True
    with closing(sqlite3.connect(room.database.path, timeout=0.2, isolation_level=None)) as connection:
        try:
            connection.execute("BEGIN IMMEDIATE")
        except sqlite3.OperationalError:
            return False
        return True


@pytest.mark.parametrize("seed", [1])
def test_whoever_dies_or_is_stopped_one_leads_at_a_time_and_every_step_is_taken_once(
    room: Room, seed: int
) -> None:
    rng = random.Random(seed)
    took: list[tuple[str, float]] = []
    with served(room.plan(times=1200, every=0.08, mood=4.0)) as another:
        running = [another() for _ in range(3)]
        room.leading(running)
        operator = Flags(
            room.folder / "flags.toml", SqlJournal(room.database), now=FastClock(time.time(), 1).now,
            on_problem=pytest.fail,
        )  # fmt: skip
        operator.start_rollout(ROLLOUT, who="Ada", why="step by step")
        for how in rng.sample(["kill", "stop", "cut", "kill", "stop"], 5):
            acts = len(room.records.acts())
            until("the leader acts", lambda acts=acts: len(room.records.acts()) > acts)  # type: ignore[misc]
            if how == "cut":
                cut_connections(room)
                continue
            stopped = [one for one in running if one.stopped]
            hit = damage(room, running, rng, how)
            until("another leads", lambda fence=hit.fence: room.led().fence > fence)  # type: ignore[misc]
            took.append((how, room.led().since - hit.at))
            acts = len(room.records.acts())
            until("the new leader acts", lambda acts=acts: len(room.records.acts()) > acts)  # type: ignore[misc]
            for one in (*stopped, *running):
                if one.stopped and rng.random() < 0.8:
                    one.wake()  # it finds itself followed
            while len(running) < 3:
                running.append(another())
        for one in running:
            if one.stopped:
                one.wake()
        until("the rollout is complete", lambda: rollout_steps(room)[-1:] == ["rollout_completed"])
        until("alerts have come and gone", lambda: alerts_taken(room) >= 2)
    MEASURED.info("seconds until another led: %s", took)
    assert max(seconds for _, seconds in took) < 10
    fences = [act.fence for act in room.records.acts()]
    assert fences == sorted(fences), "no leader wrote after the next had begun"
    assert len(set(fences)) >= 4
    holders = {(act.fence, act.pid) for act in room.records.acts()}
    assert len(holders) == len(set(fences)), "a fence is one studio's"
    assert rollout_steps(room) == [
        "rollout_started",
        *["rollout_advanced"] * (PHASES - 1),
        "rollout_completed",
    ]
    alerts_taken(room)


def cut_connections(room: Room) -> None:
    """Whoever is connected to a server finds the connection gone; a file has no connections."""
    if room.database.path is None:
        with room.database.writing() as connection:
            others = (
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = current_database()"
            )
            connection.execute(text(f"{others} AND pid <> pg_backend_pid()"))


def rollout_steps(room: Room) -> list[str]:
    changes = SqlJournal(room.database).read()
    return [change.kind for change in changes if change.subject == f"rollout:{ROLLOUT}"]


def alerts_taken(room: Room) -> int:
    """How many alerts there were, each step of which was taken once and in its order, one alert of a rule at a time."""
    by_rule: dict[str, list[AlertEvent]] = defaultdict(list)
    for _, event in SqlEvents(room.database).read(kinds=("alert",)):
        if isinstance(event, AlertEvent) and event.severity != "info":
            by_rule[event.rule].append(event)
    for steps in by_rule.values():
        alert, state = "", "resolved"
        for step in steps:
            if state == "resolved":
                assert step.state in ("pending", "firing"), steps
                assert step.alert != alert
            else:
                assert step.alert == alert, "no second alert of a rule begins while one lasts"
                assert (state, step.state) in {
                    ("pending", "firing"),
                    ("pending", "resolved"),
                    ("firing", "resolved"),
                }
            alert, state = step.alert, step.state
    return len({step.alert for steps in by_rule.values() for step in steps})


def test_a_studio_that_is_closed_hands_over_at_once(room: Room) -> None:
    with served(room.plan()) as another:
        running = [another(), another()]
        leads = room.leading(running)
        other = next(one for one in running if one is not leads)
        fence = room.led().fence
        leads.close()
        closed = room.records.now()
        until("the other leads", lambda: room.led().fence > fence)
        assert other.ask("leads")
        assert room.led().since - closed < QUICK.lease
