"""Studios in processes of their own, on one database, which do as a test tells them to and can be killed at any moment.

One process imports everything once; each studio is a fork of it.
"""

from __future__ import annotations

import asyncio
import multiprocessing
import os
import re
import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from multiprocessing.connection import Connection
from multiprocessing.context import ForkServerProcess
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, ClassVar

from cinegen_core.jobs import JobView
from cinegen_core.settings import Settings
from cinegen_core.store import Record, SqlStore
from cinegen_core.store.jobs import SqlJobs
from cinegen_core.store.results import NoResults
from cinegen_core.store.sql import Database
from cinegen_core.story import Draft, EpisodeRequest, Policy
from cinegen_core.studio import Studio
from cinegen_core.writers.base import Desk
from cinegen_core.writers.template import TemplateWriter
from tests.builders import a_bible, a_request
from tests.fakes import FakeWriter, TitleEngine, by_form

JOBS = 32


class TimedWriter(FakeWriter):
    """Takes as many milliseconds as the request's direction says, and for ever where it says `stuck`."""

    name: ClassVar[str] = "timed"

    async def draft(self, request: EpisodeRequest, policy: Policy, desk: Desk) -> Draft:
        desk.said("A draft, and")
        if request.direction == "stuck":
            await asyncio.Event().wait()
        if found := re.fullmatch(r"(\d+) ms", request.direction):
            await asyncio.sleep(int(found[1]) / 1000)
        return await super().draft(request, policy, desk)


class DeadlyStore(SqlStore):
    """Its process dies as soon as an episode that asks for it is kept, before anybody has been told."""

    def save(self, record: Record) -> None:
        super().save(record)
        if record.direction == "die":
            os.kill(os.getpid(), signal.SIGKILL)


class _Room:
    """What a studio can be asked for from outside."""

    def __init__(self, studio: Studio) -> None:
        self.studio = studio
        self.job = studio.job
        self.jobs = studio.jobs
        self.cancel = studio.cancel
        self.wait = studio.wait

    def start(self, direction: str = "", season: str | None = None) -> str:
        return self.studio.start(a_request(direction=direction), season=season or self.season())

    def season(self) -> str:
        return self.studio.open_season(a_bible()).id

    def is_kept(self, id: str) -> bool:
        return self.studio.store.season_of(id) is not None


def _serve(url: str, folder: str, orders: Connection) -> None:
    with Database(url) as database:
        writer = TimedWriter()
        with Studio(
            Settings(data_dir=Path(folder), jobs=JOBS),
            store=DeadlyStore(database),
            shared_jobs=SqlJobs(database),
            results=NoResults(),
            writers={
                "comprehensive": writer,
                "enhanced_baseline": writer,
                "basic_fallback": TemplateWriter(),
            },
            engines=(TitleEngine(),),
            judge=by_form,
        ) as studio:
            room = _Room(studio)
            orders.send(os.getpid())
            while (order := orders.recv()) is not None:
                name, arguments = order
                orders.send(getattr(room, name)(*arguments))
    orders.send("closed")


class Running:
    """A studio that runs."""

    def __init__(self, process: ForkServerProcess, orders: Connection) -> None:
        self._process, self._orders = process, orders
        self.pid = int(orders.recv())

    def start(self, direction: str = "", season: str | None = None) -> str:
        return str(self._ask("start", direction, season))

    def season(self) -> str:
        return str(self._ask("season"))

    def begin(self, direction: str, season: str) -> None:
        """As `start`, but does not wait for the job's id; `id` does."""
        self._orders.send(("start", (direction, season)))

    def id(self) -> str | None:
        """That of the next job that was begun; None where the studio is gone before it could say so."""
        try:
            return str(self._orders.recv())
        except (EOFError, ConnectionError):
            return None

    def job(self, id: str) -> JobView | None:
        view: JobView | None = self._ask("job", id)
        return view

    def known(self, id: str) -> JobView:
        """A job that has to be known."""
        view = self.job(id)
        assert view is not None
        return view

    def jobs(self) -> tuple[JobView, ...]:
        views: tuple[JobView, ...] = self._ask("jobs")
        return views

    def cancel(self, id: str) -> None:
        self._ask("cancel", id)

    def wait(self, id: str, seconds: float = 20) -> JobView:
        """Until it ends, at most so long."""
        view = self._ask("wait", id, seconds)
        assert isinstance(view, JobView)
        return view

    def until(self, id: str, condition: Callable[[JobView], bool]) -> JobView:
        """Until a job stands like this."""
        for _ in range(400):
            view = self.known(id)
            if condition(view):
                return view
            self._process.join(0.05)
        raise AssertionError(view)

    def is_kept(self, id: str) -> bool:
        return bool(self._ask("is_kept", id))

    def signal(self, number: signal.Signals) -> None:
        os.kill(self.pid, number)

    def kill(self) -> None:
        """At once, from outside."""
        self.signal(signal.SIGKILL)

    def died(self) -> None:
        """Waits until it has been killed, and checks that it did not end by itself."""
        self._process.join()
        assert self._process.exitcode == -signal.SIGKILL

    def close(self) -> None:
        """Ends it properly, or what is left of it; once."""
        if self._orders.closed:
            return
        if self._process.is_alive():
            self._orders.send(None)
            try:
                while self._orders.recv() != "closed":
                    pass
            except EOFError:
                pass
        self._process.join()
        assert self._process.exitcode in (0, -signal.SIGKILL)
        self._process.close()
        self._orders.close()

    def _ask(self, name: str, *arguments: object) -> Any:
        self._orders.send((name, arguments))
        return self._orders.recv()


@contextmanager
def studios(url: str) -> Iterator[Callable[[], Running]]:
    """Starts studios on this database; those that still run are closed in the end."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload([__name__])
    running: list[Running] = []
    with TemporaryDirectory() as folder:

        def another() -> Running:
            ours, theirs = context.Pipe()
            process = context.Process(target=_serve, args=(url, folder, theirs))
            process.start()
            theirs.close()
            running.append(Running(process, ours))
            return running[-1]

        try:
            yield another
        finally:
            for one in running:
                one.close()
