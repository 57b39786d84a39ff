"""Whatever ends or fails, and in whatever order: every step that people are told of arrives, and arrives as one."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from datetime import timedelta
from itertools import count
from pathlib import Path
from typing import Literal

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from cinegen_core.notify import Notice, Webhook
from cinegen_core.notify.notifier import KEPT, LEASE
from cinegen_core.store.sql import Database, sqlite_url
from tests.notify.receiver import MINUTE, START, HandClock, Receiver, Room, a_step, a_webhook


class Killed(BaseException):
    """The studio ended."""


class Mortal:
    """A webhook in a studio that ends before or after it sends, when it is its `fate`."""

    def __init__(self, webhook: Webhook) -> None:
        self._webhook = webhook
        self.target = webhook.target
        self.fate: Literal["lives", "dies before", "dies after"] = "lives"

    async def send(self, notice: Notice) -> None:
        if self.fate == "dies before":
            raise Killed
        await self._webhook.send(notice)
        if self.fate == "dies after":
            raise Killed


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    folder = tmp_path_factory.mktemp("crashes")
    return (folder / str(number) / "cinegen.db" for number in count())


RULES = ("quality_critical", "time_critical")
ACTION = st.one_of(
    st.tuples(st.just("step"), st.sampled_from(RULES)),
    st.tuples(st.just("deliver"), st.sampled_from(["lives", "dies before", "dies after"])),
    st.tuples(st.just("answers"), st.sampled_from(["reset", 500, 503, 429, 204])),
    st.tuples(st.just("time"), st.sampled_from([1, 30, 200, 2000])),
    st.tuples(st.just("restart"), st.none()),
)


@settings(
    max_examples=60,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(actions=st.lists(ACTION, max_size=25))
def test_every_step_arrives_under_an_id_of_its_own(
    folders: Iterator[Path], actions: list[tuple[str, object]]
) -> None:
    with Receiver() as receiver, Database(sqlite_url(next(folders))) as database:
        asyncio.run(_through(actions, receiver, database))


async def _through(actions: list[tuple[str, object]], receiver: Receiver, database: Database) -> None:
    clock = HandClock()
    channel = Mortal(a_webhook(receiver, clock))
    room = Room(database, clock, (channel,))
    recorded: list[str] = []
    open_: dict[str, str] = {}
    for number, (kind, value) in enumerate(actions):
        if kind == "step":
            rule = str(value)
            # Each rule's alert fires, is over, and the next one fires, as the rules have it.
            alert = open_.pop(rule, None)
            step = a_step(
                alert or f"alert{number}", "resolved" if alert else "firing", rule=rule, minute=number
            )
            if alert is None:
                open_[rule] = step.alert
            room.log.add(step)
            recorded.append(step.id)
        elif kind == "answers":
            receiver.otherwise = value  # type: ignore[assignment]
        elif kind == "time":
            clock.pass_(seconds=float(str(value)))
        elif kind == "restart":
            room.restart()
        else:
            channel.fate = value  # type: ignore[assignment]
            try:
                await room.notifier.tick()
            except Killed:
                room.restart()
    channel.fate, receiver.otherwise = "lives", 204
    for _ in range(10):
        clock.pass_(seconds=LEASE.total_seconds() + 3000)
        await room.notifier.tick()

    assert clock.time < START + KEPT, "nothing may be given up for its age in this test"
    reached = {notice["id"] for notice in receiver.told}
    reached |= {one["id"] for notice in receiver.told for one in notice["joined"]}
    assert reached == set(recorded)
    by_id: dict[str, set[tuple[str, str]]] = {}
    for notice in receiver.told:
        by_id.setdefault(notice["id"], set()).add((notice["alert"], notice["state"]))
    assert all(len(steps) == 1 for steps in by_id.values())
    assert set(room.states().values()) <= {"sent", "joined"}

    # Of each rule, the last thing told is how it stands.
    last = {notice["rule"]: notice["state"] for notice in receiver.told}
    assert last == {rule: "firing" if rule in open_ else "resolved" for rule in last}
    if all(kind != "deliver" or value == "lives" for kind, value in actions):
        assert len(by_id) == len(receiver.told)


def test_the_claim_of_a_studio_outlasts_whatever_it_takes_to_send() -> None:
    assert timedelta(seconds=60) < LEASE < 10 * MINUTE
