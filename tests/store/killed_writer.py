"""One who writes to the studio's store as fast as it can, and says what was kept, until it is killed.

Run as a program, it imports everything once; for each line that it is given it then starts such a writer as a process.
"""

from __future__ import annotations

import json
import os
import sys
import traceback
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import NoReturn

from cinegen_core.flags.model import Change
from cinegen_core.monitor.events import AlertEvent, Event, GenerationEvent
from cinegen_core.store import Record, Season, SqlStore, StoreError
from cinegen_core.store.events import SqlEvents
from cinegen_core.store.sql import Database, SqlJournal
from cinegen_core.tiers.model import Generation
from tests.builders import a_bible, an_episode

START = datetime(2026, 1, 5, 10, tzinfo=UTC)
SEASON = Season(id="5" * 16, title="Slack Water", started=START)
ALERTS = 5
STORE_FAILED = 3
"""How a writer ends that is not killed, but can keep nothing any more."""


def events_of(number: int) -> tuple[Event, ...]:
    """What belongs together: an answer, and the alerts that it set off."""
    at = START + timedelta(seconds=number)
    answer = GenerationEvent(
        id=str(number), at=at, tier="comprehensive", first="comprehensive", writer="fake", profile="embedded", seconds=1,
    )  # fmt: skip
    alerts = (
        AlertEvent(
            id=f"{number}:{alert}", at=at, alert=f"{number}", rule="quality_critical", severity="critical", state="firing",
        )
        for alert in range(ALERTS)
    )  # fmt: skip
    return answer, *alerts


def change_of(number: int, version: int) -> Change:
    return Change(
        version=version, at=START + timedelta(seconds=number), who="Ada", why="to see what happens", kind="set",
        subject=f"flag:number_{number}", after={"percent": number % 101},
    )  # fmt: skip


def record_of(number: int) -> Record:
    episode = an_episode(number=1, title=f"Night {number}")
    id = f"{number:016x}"
    generation = Generation(id=id, episode=episode, tier="comprehensive", writer="fake", attempts=())
    return Record(
        id=id, season=SEASON.id, seed=number, minutes=5, generation=generation, saved=START + timedelta(seconds=number),
    )  # fmt: skip


def write_on(url: str, number: int, say: Callable[[str], object]) -> NoReturn:
    """Says `events N`, `change N`, `record N` once each is kept. Raises `StoreError` where one is not."""
    with Database(url) as database:
        events, journal, store = SqlEvents(database), SqlJournal(database), SqlStore(database)
        store.add_season(SEASON, a_bible())
        version = journal.version()
        say("open 0")
        while True:
            events.add(*events_of(number))
            say(f"events {number}")
            version += 1
            journal.append(change_of(number, version))
            say(f"change {number}")
            store.save(record_of(number))
            say(f"record {number}")
            number += 1


def _say(line: str) -> None:
    os.write(sys.stdout.fileno(), f"{line}\n".encode())


def _be_a_writer(url: str, number: int) -> NoReturn:
    try:
        _say(f"pid {os.getpid()}")
        write_on(url, number, _say)
    except StoreError:
        os._exit(STORE_FAILED)
    except BaseException:  # noqa: BLE001 (it must not go on as the one that starts writers)
        traceback.print_exc()
        os._exit(1)


def main() -> None:
    for line in sys.stdin:
        url, number = json.loads(line)
        child = os.fork()
        if child == 0:
            _be_a_writer(url, number)
        _, status = os.waitpid(child, 0)
        _say(f"ended {os.waitstatus_to_exitcode(status)}")


if __name__ == "__main__":
    main()
