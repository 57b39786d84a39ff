"""Studios that are served, in processes of their own on one database: followed by their records, killed and stopped from outside.

One process imports everything once; each studio is a fork of it. Their time of day may run faster, so that an hour of alerts and of
a rollout passes in seconds; what the lead goes by are the database's clock and the computer's own, which do not.
"""

from __future__ import annotations

import asyncio
import logging
import multiprocessing
import os
import random
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from multiprocessing.connection import Connection
from multiprocessing.context import ForkServerProcess
from pathlib import Path
from typing import Any, NamedTuple

from sqlalchemy import Column, Double, Integer, MetaData, Table, insert, select
from sqlalchemy.engine import Connection as SqlConnection

from cinegen_core.flags.model import Context
from cinegen_core.leading import open_lead
from cinegen_core.scorer import Scorecard
from cinegen_core.settings import Settings
from cinegen_core.store import MemoryStore, StoreError
from cinegen_core.store.leading import _ACTING, FencedDatabase, Pace, seconds_of
from cinegen_core.store.results import NoResults
from cinegen_core.story import Episode, StoryBible
from cinegen_core.studio import Studio, open_monitoring, open_steering
from cinegen_core.tiers.judging import Verdict
from cinegen_core.writers.template import TemplateWriter
from tests.builders import a_request
from tests.fakes import FakeWriter, TitleEngine, by_form

QUICK = Pace(lease=1.2, renewed=0.3, looked=0.2, followed=0.2, ticked=0.5)

ACTS = Table(
    "acts",
    MetaData(),
    Column("number", Integer, primary_key=True, autoincrement=True),
    Column("fence", Integer, nullable=False),
    Column("pid", Integer, nullable=False),
    Column("at", Double, nullable=False),
)
"""What was written as leader, in the order in which it was kept."""


class NotingDatabase(FencedDatabase):
    """Notes in each transaction of a leader, as part of it, who wrote."""

    @contextmanager
    def writing(self) -> Iterator[SqlConnection]:
        with super().writing() as connection:
            yield connection
            term = _ACTING.get()
            if term is not None:
                at = seconds_of(connection)
                connection.execute(insert(ACTS).values(fence=term.fence, pid=os.getpid(), at=at))


class Act(NamedTuple):
    fence: int
    pid: int
    at: float


class FastClock:
    """A time of day that began at `since` (seconds since 1970) and runs so many times faster."""

    def __init__(self, since: float, times: float) -> None:
        self._since, self._times = since, times

    def monotonic(self) -> float:
        return time.monotonic()

    def now(self) -> datetime:
        passed = (time.time() - self._since) * self._times
        return datetime.fromtimestamp(self._since, UTC) + timedelta(seconds=passed)


def well_rated(episode: Episode, bible: StoryBible, profile: str) -> Verdict:
    """Likes whatever has the form of an episode and is not the template's."""
    overall = 9.0 if profile == FakeWriter.profile else 3.0
    return by_form(episode, bible, profile)._replace(
        scorecard=Scorecard(overall=overall, scorer_version="test")
    )


class Plan(NamedTuple):
    """How a studio lives: where, how fast time goes for it, seconds between two episodes that it writes by itself (0: none), and for
    how many seconds its first tier works and then fails, in turn."""

    url: str
    folder: str
    flags: str
    since: float
    times: float = 1.0
    every: float = 0.0
    mood: float = 0.0
    pace: Pace = QUICK


def open_served(plan: Plan, name: str) -> tuple[Studio, FakeWriter]:
    settings = Settings(
        data_dir=Path(plan.folder), database_url=plan.url, flags_file=Path(plan.flags), install_id=name,
        automatic_emergency=False, user_key="shared",
    )  # fmt: skip
    clock = FastClock(plan.since, plan.times)
    database = NotingDatabase(plan.url)
    lead = open_lead(settings, clock, database, plan.pace)
    monitoring = open_monitoring(settings, clock, database, lead)
    first = FakeWriter()
    studio = Studio(
        settings, clock=clock, store=MemoryStore(), results=NoResults(), engines=(TitleEngine(),), judge=well_rated,
        writers={"comprehensive": first, "enhanced_baseline": FakeWriter(), "basic_fallback": TemplateWriter()},
        steering=open_steering(settings, clock, database, monitoring, lead), monitoring=monitoring,
        lead=lead,
    )  # fmt: skip
    return studio, first


class _Room:
    """What a studio can be told and asked from outside."""

    def __init__(self, studio: Studio, writer: FakeWriter) -> None:
        self.studio, self.writer = studio, writer

    def leads(self) -> bool:
        return self.studio.leading().mine

    def saw(self, key: str, enabled: bool) -> float:
        """Waits until a flag is so, as an episode would see it; when that was (seconds since 1970)."""
        assert self.studio.steering is not None
        for _ in range(4000):
            if self.studio.steering.flags.evaluate(key, Context(user="bob")).value is enabled:
                return time.time()
            time.sleep(0.005)
        raise AssertionError(f"{key} never became {enabled}")

    def set(self, key: str, enabled: bool) -> float:
        """Switches a flag; when that was done."""
        assert self.studio.steering is not None
        self.studio.steering.flags.set(key, enabled=enabled, who="Ada", why="to see who sees it")
        return time.time()

    def fail(self, times: int) -> float:
        """So many episodes for which nothing but the template works; when the last was finished."""
        self.writer.fails = ValueError("nonsense")
        policy = self.studio.writers_for(self.studio.policy())["enhanced_baseline"]
        assert isinstance(policy, FakeWriter)
        policy.fails = ValueError("nonsense")
        for _ in range(times):
            asyncio.run(self.studio.generate(a_request(), who="bob"))
        return time.time()


def _serve(plan: Plan, name: str, orders: Connection) -> None:
    studio, writer = open_served(plan, name)
    rng = random.Random(name)
    with studio:
        studio.begin_heartbeats()
        room = _Room(studio, writer)
        orders.send(os.getpid())
        while True:
            if orders.poll(plan.every or None):
                order = orders.recv()
                if order is None:
                    break
                kind, arguments = order
                orders.send(getattr(room, kind)(*arguments))
            else:
                bad = plan.mood and int((time.time() - plan.since) / plan.mood) % 2
                writer.fails = ValueError("nonsense") if bad else None
                try:
                    asyncio.run(studio.generate(a_request(), who=f"reader {rng.randrange(1000)}"))
                except StoreError as error:  # the reader is told so, and asks again
                    logging.getLogger(name).warning("%s", error)
    orders.send("closed")


class Served:
    """A studio that runs."""

    def __init__(self, process: ForkServerProcess, orders: Connection, name: str) -> None:
        self._process, self._orders, self.name = process, orders, name
        self.pid = int(orders.recv())
        self.stopped = False

    def begin(self, kind: str, *arguments: object) -> None:
        """Tells it something; `answer` is what it says to that."""
        self._orders.send((kind, arguments))

    def answer(self) -> Any:
        return self._orders.recv()

    def ask(self, kind: str, *arguments: object) -> Any:
        self.begin(kind, *arguments)
        return self.answer()

    def kill(self) -> None:
        if self._process.is_alive():
            os.kill(self.pid, signal.SIGKILL)
            self._process.join()

    def stop(self) -> None:
        os.kill(self.pid, signal.SIGSTOP)
        self.stopped = True

    def wake(self) -> None:
        os.kill(self.pid, signal.SIGCONT)
        self.stopped = False

    def close(self) -> None:
        """Ends it properly, or what is left of it; once."""
        if self._orders.closed:
            return
        if self._process.is_alive():
            if self.stopped:
                self.wake()
            self._orders.send(None)
            while self._orders.recv() != "closed":
                pass
        self._process.join()
        assert self._process.exitcode in (0, -signal.SIGKILL)
        self._process.close()
        self._orders.close()


class Records:
    """What studios wrote, read beside them."""

    def __init__(self, database: FencedDatabase) -> None:
        self.database = database
        with database.writing() as connection:
            ACTS.create(connection)

    def acts(self, after: int = 0) -> list[Act]:
        wanted = select(ACTS.c.fence, ACTS.c.pid, ACTS.c.at).order_by(ACTS.c.number).offset(after)
        with self.database.reading() as connection:
            return [Act(*row) for row in connection.execute(wanted)]

    def now(self) -> float:
        with self.database.reading() as connection:
            return seconds_of(connection)


def until(what: str, condition: Callable[[], bool], seconds: float = 60.0) -> None:
    """Waits until something is so. Raises `AssertionError` where it is not in time."""
    end = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > end:
            raise AssertionError(f"In {seconds:g} seconds it never was so: {what}.")
        time.sleep(0.02)


@contextmanager
def served(plan: Plan) -> Iterator[Callable[[], Served]]:
    """Starts studios after this plan; those that still run are closed in the end."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["tests.scale.studios", __name__])
    running: list[Served] = []

    def another() -> Served:
        ours, theirs = context.Pipe()
        name = f"studio-{len(running)}"
        process = context.Process(target=_serve, args=(plan, name, theirs))
        process.start()
        theirs.close()
        running.append(Served(process, ours, name))
        return running[-1]

    try:
        yield another
    except BaseException:
        for one in running:
            one.kill()
        raise
    finally:
        for one in running:
            one.close()
