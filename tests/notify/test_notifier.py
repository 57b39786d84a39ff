"""Operators are told of each step of an alert once, however their receivers and their studios fare."""

from __future__ import annotations

import asyncio
import sys
from datetime import timedelta
from pathlib import Path

import pytest
from sqlalchemy import text

from cinegen_core.monitor.alerts import info
from cinegen_core.notify import Apprise, Notifier
from cinegen_core.notify.notifier import KEPT, LEASE, LONGEST_WAIT, TRIES
from cinegen_core.store import StoreError
from cinegen_core.store.events import SqlEvents
from cinegen_core.store.sql import Database
from tests.notify.receiver import START, HandClock, Receiver, Room, a_silence, a_step, a_webhook

ROOT = Path(__file__).parents[2]


@pytest.fixture
def room(database: Database, clock: HandClock, receiver: Receiver) -> Room:
    return Room(database, clock, (a_webhook(receiver, clock),))


async def delivered(room: Room, *, rounds: int = 100, seconds: float = 60) -> None:
    """As time goes by, until nothing is on its way."""
    for _ in range(rounds):
        await room.notifier.deliver_due()
        if not any(one.state in ("waiting", "sending") for one in room.deliveries.recent()):
            return
        room.clock.pass_(seconds=seconds)


async def test_each_step_is_told_once_and_in_order(room: Room, receiver: Receiver) -> None:
    room.add(a_step("a", "pending"), a_step("a"))
    assert await room.notifier.deliver_due() == 1
    room.add(a_step("a", "acknowledged", minute=2), a_step("a", "resolved", minute=5, value=7.6))
    assert await room.notifier.tick() == 1
    assert await room.notifier.tick() == 0
    assert receiver.ids == ["a-firing", "a-resolved"]
    assert [notice["since"] for notice in receiver.told] == ["2026-01-05T10:00:00Z"] * 2
    assert room.states() == {"a-firing": "sent", "a-resolved": "sent"}


async def test_a_studio_that_begins_to_tell_is_silent_of_what_was_before(
    database: Database, clock: HandClock, receiver: Receiver
) -> None:
    SqlEvents(database).add(a_step("old"), a_step("older", "firing"))
    room = Room(database, clock, (a_webhook(receiver, clock),))
    room.add(a_step("new", minute=1))
    assert await room.notifier.deliver_due() == 1
    assert receiver.ids == ["new-firing"]


async def test_what_happened_while_no_studio_ran_is_told_when_one_does(
    room: Room, receiver: Receiver
) -> None:
    room.log.add(a_step("a"))
    room.clock.pass_(days=3)
    room.restart()
    assert await room.notifier.deliver_due() == 1
    assert receiver.ids == ["a-firing"]


async def test_what_was_silenced_when_it_happened_is_not_told_later(room: Room, receiver: Receiver) -> None:
    room.add(a_silence(until=60), a_step("a", minute=1), a_step("b", minute=2, rule="time_critical"))
    room.clock.pass_(hours=2)
    await delivered(room)
    assert receiver.ids == ["b-firing"]


async def test_what_waits_is_dropped_when_it_is_over_and_its_end_is_silenced(
    room: Room, receiver: Receiver
) -> None:
    receiver.answers = [503]
    room.add(a_step("a"))
    await room.notifier.deliver_due()
    room.add(a_silence(minute=1), a_step("a", "resolved", minute=2))
    room.clock.pass_(hours=1)
    assert await room.notifier.deliver_due() == 0
    assert room.states() == {"a-firing": "dropped"}


@pytest.mark.parametrize("answer", ["reset", 500, 503, 429, 408])
async def test_what_may_pass_is_tried_again_until_it_arrives(
    room: Room, receiver: Receiver, answer: int | str
) -> None:
    receiver.answers = [answer] * 3
    room.add(a_step("a"))
    assert await room.notifier.deliver_due() == 0
    (waiting,) = room.deliveries.recent()
    assert (waiting.state, waiting.tries) == ("waiting", 1)
    assert waiting.problem
    await delivered(room)
    (arrived,) = room.deliveries.recent()
    assert (arrived.state, arrived.tries, arrived.problem) == ("sent", 4, "")
    assert receiver.ids == ["a-firing"]
    assert {headers["cinegen-id"] for headers, _ in receiver.requests} == {"a-firing"}


async def test_waits_grow_and_are_not_the_same_for_all(room: Room, receiver: Receiver) -> None:
    receiver.otherwise = 500
    room.add(a_step("a"))
    waits: list[float] = []
    for _ in range(12):
        await room.notifier.deliver_due()
        (waiting,) = room.deliveries.recent()
        waits.append((waiting.next - room.clock.time).total_seconds())
        room.clock.time = waiting.next + timedelta(seconds=2 * LONGEST_WAIT)
    for tries, wait in enumerate(waits):
        usual = min(LONGEST_WAIT, 5.0 * 2**tries)
        assert 0.5 * usual <= wait <= 1.5 * usual
    assert len({wait / min(LONGEST_WAIT, 5.0 * 2**tries) for tries, wait in enumerate(waits)}) == len(waits)


@pytest.mark.parametrize("status", [429, 503])
async def test_who_asks_to_wait_is_not_asked_before(room: Room, receiver: Receiver, status: int) -> None:
    receiver.answers = [(status, {"retry-after": "600"})]
    room.add(a_step("a"))
    await room.notifier.deliver_due()
    room.add(info("flag_changed", "beta_features is off", at=START))
    room.clock.pass_(seconds=599)
    await room.notifier.deliver_due()
    assert receiver.calls == 1
    room.clock.pass_(seconds=2)
    assert await room.notifier.deliver_due() == 2


@pytest.mark.parametrize("status", [400, 401, 404, 410, 302])
async def test_what_is_refused_is_given_up_at_once_and_the_reason_is_kept(
    room: Room, receiver: Receiver, status: int
) -> None:
    receiver.answers = [status]
    room.add(a_step("a"), info("flag_changed", "beta_features is off", at=START))
    assert await room.notifier.deliver_due() == 1
    refused = next(one for one in room.deliveries.recent() if one.step == "a-firing")
    assert refused.state == "given_up"
    assert str(status) in refused.problem
    await delivered(room)
    assert receiver.calls == 2


async def test_a_receiver_that_never_comes_back_is_given_up_after_a_day(
    room: Room, receiver: Receiver
) -> None:
    receiver.otherwise = 503
    room.add(a_step("a"), a_step("b", rule="time_critical"))
    await delivered(room, rounds=1000, seconds=300)
    assert set(room.states().values()) == {"given_up"}
    assert all("503" in one.problem for one in room.deliveries.recent())
    assert KEPT - timedelta(hours=1) < room.clock.time - START < KEPT + timedelta(hours=1)
    assert receiver.calls < 120


async def test_a_receiver_that_is_away_is_asked_seldom_however_much_waits(
    room: Room, receiver: Receiver
) -> None:
    receiver.otherwise = "reset"
    room.add(*(info("flag_changed", f"change {n}", at=START) for n in range(30)))
    for _ in range(720):
        await room.notifier.deliver_due()
        room.clock.pass_(seconds=5)
    assert receiver.calls < 15
    receiver.otherwise = 204
    await delivered(room)
    assert len(set(receiver.ids)) == len(receiver.ids) == 30


async def test_a_receiver_that_is_back_is_as_good_as_new(room: Room, receiver: Receiver) -> None:
    receiver.answers = [503] * 8
    room.add(a_step("a"))
    await delivered(room)
    room.add(a_step("b", rule="time_critical"))
    receiver.answers = [503]
    assert await room.notifier.deliver_due() == 0
    room.clock.pass_(seconds=8)
    assert await room.notifier.deliver_due() == 1


async def test_one_notice_that_is_never_taken_does_not_hold_up_the_others(
    room: Room, receiver: Receiver
) -> None:
    receiver.answers = [500]
    room.add(a_step("a"))
    await room.notifier.deliver_due()
    room.add(*(info("flag_changed", f"change {n}", at=START) for n in range(3)))
    room.clock.pass_(seconds=8)
    receiver.answers = [204, 204, 204, 500]
    assert await room.notifier.deliver_due() == 3
    assert room.states()["a-firing"] == "waiting"


async def test_after_an_outage_the_receiver_hears_how_things_stand(room: Room, receiver: Receiver) -> None:
    receiver.otherwise = 503
    steps = [
        a_step(f"a{n}", state, minute=10 * n + after)
        for n in range(4)
        for state, after in (("firing", 0), ("resolved", 5))
    ]
    for step in steps:
        room.add(step)
        await room.notifier.deliver_due()
        room.clock.pass_(minutes=5)
    room.add(a_step("b", minute=41, rule="time_critical"))
    receiver.otherwise = 204
    await delivered(room)
    assert sorted(receiver.ids) == ["a3-resolved", "b-firing"]
    standing = next(notice for notice in receiver.told if notice["id"] == "a3-resolved")
    assert [one["id"] for one in standing["joined"]] == [step.id for step in steps[:-1]]
    assert "fired and was resolved 3 times" in standing["words"]
    assert set(room.states().values()) == {"sent", "joined"}


async def test_what_was_told_to_fire_is_always_told_to_be_over(room: Room, receiver: Receiver) -> None:
    room.add(a_step("a"))
    await room.notifier.deliver_due()
    receiver.otherwise = 503
    room.add(a_step("a", "resolved", minute=5))
    await room.notifier.deliver_due()
    room.add(a_step("b", minute=10), a_step("b", "resolved", minute=15), a_step("c", minute=20))
    receiver.otherwise = 204
    await delivered(room)
    assert receiver.ids == ["a-firing", "a-resolved", "c-firing"]


async def test_an_end_never_arrives_before_the_beginning_that_is_being_sent(
    room: Room, receiver: Receiver
) -> None:
    room.add(a_step("a"))
    target = room.notifier.targets[0]
    claim = room.deliveries.claim(target, now=room.clock.now(), lease=LEASE)
    assert claim is not None
    room.add(a_step("a", "resolved", minute=5))
    assert await room.notifier.deliver_due() == 0
    room.deliveries.sent(claim.delivery, now=room.clock.now())
    assert await room.notifier.deliver_due() == 1
    assert receiver.told[0]["joined"] == []


async def test_a_studio_that_ends_while_it_sends_leaves_it_to_the_next(
    room: Room, receiver: Receiver
) -> None:
    receiver.answers = ["hang"]
    room.add(a_step("a"))
    sending = asyncio.create_task(room.notifier.deliver_due())
    await asyncio.to_thread(receiver.wait_for_call, 1)
    sending.cancel()
    with pytest.raises(asyncio.CancelledError):
        await sending
    room.restart()
    assert await room.notifier.deliver_due() == 0
    room.clock.pass_(seconds=LEASE.total_seconds())
    assert await room.notifier.deliver_due() == 1
    assert receiver.ids == ["a-firing"]


async def test_a_studio_that_is_killed_while_it_sends_leaves_it_to_the_next(
    room: Room, receiver: Receiver, database_url: str
) -> None:
    receiver.answers = ["hang"]
    room.add(a_step("a"))
    program = (
        "import asyncio, random, sys\n"
        "from cinegen_core.notify import Notifier, Webhook\n"
        "from cinegen_core.store.deliveries import SqlDeliveries\n"
        "from cinegen_core.store.events import SqlEvents\n"
        "from cinegen_core.store.sql import Database\n"
        "from tests.notify.receiver import HandClock, client\n"
        "clock, database = HandClock(), Database(sys.argv[1])\n"
        "channels = (Webhook(sys.argv[2], '', client, clock, seconds=60),)\n"
        "told = SqlEvents(database), SqlDeliveries(database)\n"
        "asyncio.run(Notifier(*told, channels, clock=clock, rng=random.Random(1)).tick())\n"
    )
    arguments = (sys.executable, "-c", program, database_url, receiver.url)
    studio = await asyncio.create_subprocess_exec(*arguments, cwd=ROOT)
    await asyncio.to_thread(receiver.wait_until, lambda: receiver.calls == 1, 60.0)
    studio.kill()
    await studio.wait()
    assert await room.notifier.deliver_due() == 0
    room.clock.pass_(seconds=LEASE.total_seconds())
    assert await room.notifier.deliver_due() == 1
    assert receiver.ids == ["a-firing"]


async def test_a_notice_that_ends_every_studio_is_given_up(room: Room, receiver: Receiver) -> None:
    room.add(a_step("a"))
    for _ in range(TRIES):
        assert room.deliveries.claim(room.notifier.targets[0], now=room.clock.now(), lease=LEASE)
        room.clock.pass_(seconds=LEASE.total_seconds())
    assert await room.notifier.deliver_due() == 0
    (given_up,) = room.deliveries.recent()
    assert given_up.state == "given_up"
    assert "nobody knows whether it arrived" in given_up.problem
    assert receiver.calls == 0


async def test_several_studios_on_one_database_send_each_notice_once(
    room: Room, receiver: Receiver, database: Database, clock: HandClock
) -> None:
    others = [Room(database, clock, (a_webhook(receiver, clock),), seed=n) for n in range(3)]
    room.log.add(*(info("flag_changed", f"change {n}", at=START) for n in range(12)))
    room.log.add(a_step("a"), a_step("b", rule="time_critical"))
    arrived = await asyncio.gather(*(one.notifier.tick() for one in (room, *others)))
    assert sum(arrived) == len(receiver.ids) == len(set(receiver.ids)) == 14


async def test_one_channel_that_fails_does_not_hold_up_another(
    database: Database, clock: HandClock, receiver: Receiver
) -> None:
    with Receiver(otherwise=503) as broken:
        room = Room(database, clock, (a_webhook(broken, clock), a_webhook(receiver, clock)))
        room.add(a_step("a"))
        assert await room.notifier.deliver_due() == 1
        assert receiver.ids == ["a-firing"]
        broken.otherwise = 204
        await delivered(room)
        assert broken.ids == receiver.ids


@pytest.mark.filterwarnings("ignore:'imghdr' is deprecated:DeprecationWarning")
async def test_apprise_and_the_webhook_are_told_the_same(
    database: Database, clock: HandClock, receiver: Receiver
) -> None:
    with Receiver(answers=[500]) as service:
        address = service.base_url.removesuffix("/v1").replace("http://", "json://") + "/"
        room = Room(database, clock, (a_webhook(receiver, clock), Apprise(address)))
        room.add(a_step("a"))
        await delivered(room)
        assert [one["message"] for one in service.told] == [one["words"] for one in receiver.told]
        assert len(receiver.told) == 1


async def test_a_trial_goes_to_every_target_and_is_kept_nowhere(
    database: Database, clock: HandClock, receiver: Receiver
) -> None:
    with Receiver(otherwise=403) as closed:
        room = Room(database, clock, (a_webhook(receiver, clock), a_webhook(closed, clock)))
        good, bad = await room.notifier.test_notice()
    assert good.problem == ""
    assert bad.problem == "it did not accept the notice (403)"
    assert receiver.told[0]["trial"] is True
    assert receiver.told[0]["title"] == "Trial notice"
    assert room.deliveries.recent() == ()


async def test_operators_see_what_was_sent_and_what_was_given_up(room: Room, receiver: Receiver) -> None:
    receiver.answers = [404]
    room.add(a_step("a"))
    await room.notifier.deliver_due()
    room.clock.pass_(minutes=1)
    room.add(a_step("b", minute=1, rule="time_critical"))
    await room.notifier.deliver_due()
    newest, oldest = room.deliveries.recent()
    assert (newest.step, newest.state, newest.next) == ("b-firing", "sent", room.clock.time)
    assert (oldest.step, oldest.state, oldest.problem) == (
        "a-firing",
        "given_up",
        "it did not accept the notice (404)",
    )
    assert [one.step for one in room.deliveries.recent(1)] == ["b-firing"]
    assert room.deliveries.forget(room.clock.time) == 1
    assert room.states() == {"b-firing": "sent"}


async def test_what_is_forgotten_is_not_told_again(room: Room, receiver: Receiver) -> None:
    room.add(a_step("a"))
    await delivered(room)
    room.clock.pass_(days=2)
    assert room.deliveries.forget(room.clock.time) == 1
    room.restart()
    assert await room.notifier.tick() == 0
    assert receiver.ids == ["a-firing"]


async def test_a_target_that_nobody_sends_to_any_more_is_forgotten_in_time(
    room: Room, receiver: Receiver
) -> None:
    receiver.otherwise = 503
    room.add(a_step("a"))
    await room.notifier.deliver_due()
    room.channels = ()
    room.clock.pass_(days=30)
    room.restart()
    assert room.states() == {"a-firing": "waiting"}
    assert room.deliveries.forget(room.clock.time - timedelta(days=7)) == 1


async def test_a_delivery_that_is_damaged_is_not_passed_over(room: Room) -> None:
    room.add(a_step("a"))
    with room.database.writing() as connection:
        connection.execute(text("UPDATE deliveries SET data = 'x' WHERE step <> ''"))
    with pytest.raises(StoreError, match=r"the notice a-firing .* cannot be read. Restore"):
        await room.notifier.deliver_due()


async def test_nobody_to_tell_is_nothing_to_do(database: Database, clock: HandClock) -> None:
    room = Room(database, clock, ())
    room.add(a_step("a"))
    notifier: Notifier = room.notifier
    assert await notifier.tick() == 0
    assert await notifier.test_notice() == ()
