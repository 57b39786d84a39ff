"""Work in the background. Each job has its own thread and event loop, so that none holds up another.

Studios that share a database tell one another how their jobs stand: whoever is asked answers for all of them.
"""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Awaitable, Callable, Collection, Iterable, Sequence
from datetime import UTC, datetime, timedelta
from typing import Literal, Protocol

from cinegen_core.store.episodes import StoreError
from cinegen_core.story.model import Noun
from cinegen_core.tiers.model import Update

JobState = Literal["running", "done", "failed", "stopped"]
Work = Callable[[Callable[[Update], None]], Awaitable[None]]

LOOK = 0.5
"""Seconds between two looks of a studio at what others are to hear of its jobs, and at which of them others want stopped."""

RENEWED = 4
"""After so many looks without news, the others are told that the jobs go on."""

FORGOTTEN_EVERY = 600.0
"""Seconds between two times that old jobs are forgotten, while there are new ones."""

TOLD_WITHIN = 2.0
"""Seconds that whoever starts a job waits at most for the others to know of it."""

WAIT_LOOK = 0.1
"""Seconds between two looks of somebody who waits for a job of another studio."""

REMEMBERED = timedelta(days=1)
"""How long a job is known after it began; its episode is kept for good."""

_LONG_AGO = datetime(1970, 1, 1, tzinfo=UTC)


class JobView(Noun):
    """How a job stands at one moment. `number` is the episode's, `error` says why it failed, `started` is by the clock of
    the studio that runs it; `here` says whether that is the studio that was asked."""

    id: str
    season: str
    parent: str | None
    number: int
    state: JobState
    updates: tuple[Update, ...]
    error: str = ""
    started: datetime | None = None
    here: bool = True


class Job:
    """One piece of work. Its methods may be called from any thread."""

    def __init__(
        self,
        *,
        id: str,
        season: str,
        number: int,
        parent: str | None,
        work: Work,
        started: datetime | None = None,
    ) -> None:
        self.id = id
        self.started = started
        self.version = 0
        """Grows with whatever changes in its view."""
        self._season, self._number, self._parent = season, number, parent
        self._work = work
        self._lock = threading.Lock()
        self._state: JobState = "running"
        self._error = ""
        self._updates: list[Update] = []
        self._stop: Callable[[], None] | None = None
        self._stop_wanted = False
        self._on_end: Callable[[], None] = lambda: None
        self._is_kept: Callable[[], bool] = lambda: False
        self._thread = threading.Thread(target=self._run, name=f"episode-{id}", daemon=True)

    def start(
        self, *, on_end: Callable[[], None] | None = None, is_kept: Callable[[], bool] | None = None
    ) -> None:
        """`on_end` is called when it has ended; `is_kept` says of a job that failed whether what it wrote is there all the same: a
        database may be lost just after it has kept something."""
        self._on_end = on_end or self._on_end
        self._is_kept = is_kept or self._is_kept
        self._thread.start()

    @property
    def running(self) -> bool:
        with self._lock:
            return self._state == "running"

    def view(self) -> JobView:
        with self._lock:
            return JobView(
                id=self.id,
                season=self._season,
                parent=self._parent,
                number=self._number,
                state=self._state,
                updates=tuple(self._updates),
                error=self._error,
                started=self.started,
            )

    def cancel(self) -> None:
        """Asks the work to stop; at once if it is waiting, at its next wait if it is computing."""
        with self._lock:
            self._stop_wanted = True
            if self._stop is not None:
                self._stop()

    def join(self, seconds: float | None) -> None:
        self._thread.join(seconds)

    def _run(self) -> None:
        try:
            asyncio.run(self._cancellable())
        except asyncio.CancelledError:
            self._end("stopped")
        except Exception as error:  # noqa: BLE001 (nobody is above this thread; whoever asks for the job is told)
            if self._kept_after_all():
                self._end("done")
            else:
                self._end("failed", f"{error}" or type(error).__name__)
        else:
            self._end("done")

    async def _cancellable(self) -> None:
        task = asyncio.current_task()
        loop = asyncio.get_running_loop()
        assert task is not None  # inside a coroutine there is one

        def stop() -> None:
            loop.call_soon_threadsafe(task.cancel)

        with self._lock:
            self._stop = stop
            wanted = self._stop_wanted
        try:
            if wanted:
                raise asyncio.CancelledError
            await self._work(self._note)
        finally:
            with self._lock:
                self._stop = None

    def _note(self, update: Update) -> None:
        with self._lock:
            if update.kind == "text" and self._updates and self._updates[-1].kind == "text":
                self._updates.pop()  # it holds all of the text so far, and so the one before it
            self._updates.append(update)
            self.version += 1

    def _kept_after_all(self) -> bool:
        try:
            return self._is_kept()
        except StoreError:
            return False  # nobody can tell; whoever reads of it later looks again

    def _end(self, state: JobState, error: str = "") -> None:
        with self._lock:
            self._state, self._error = state, error
            self.version += 1
        self._on_end()


class SharedJobs(Protocol):
    """What studios tell one another of their jobs. Every method raises `StoreError` where that fails."""

    def keep(self, changed: Sequence[JobView], *, running: Collection[str]) -> frozenset[str]:
        """Tells how these jobs stand now and that all in `running`, ids, go on; those of the latter that somebody wants stopped."""
        ...

    def wishes(self, running: Collection[str]) -> frozenset[str]:
        """Those of these ids whose jobs somebody wants stopped."""
        ...

    def stop(self, id: str) -> None:
        """Tells the studio that runs it that this job is to be stopped; of one that has ended, or is not known, nothing comes."""
        ...

    def view(self, id: str) -> JobView | None:
        """How a job stands; a job whose studio is gone has failed, unless its episode was kept before."""
        ...

    def running(self) -> tuple[JobView, ...]:
        """Those that go on."""
        ...

    def is_kept(self, id: str) -> bool:
        """Whether there is an episode under this id."""
        ...

    def forget(self) -> int:
        """Forgets jobs of which nothing was heard for a day; the number of them."""
        ...


class Jobs:
    """The jobs that this studio runs, and with `shared` those of all studios that share it. For any number of threads.

    Others are told by a thread of its own, at once of a job's beginning and end, and else every `LOOK` seconds, so
    that no job waits for it. What cannot be told is told later; `warn` hears of it once. `close` it when all jobs
    have ended.
    """

    def __init__(
        self,
        shared: SharedJobs | None = None,
        *,
        warn: Callable[[str], None],
        monotonic: Callable[[], float] = time.monotonic,
        pause: Callable[[float], None] = time.sleep,
    ) -> None:
        self._shared = shared
        self._warn = warn
        self._monotonic = monotonic
        self._pause = pause
        self._jobs: dict[str, Job] = {}
        self._lock = threading.Lock()
        self._untold: dict[str, threading.Event] = {}
        self._told: dict[str, int] = {}  # versions, of jobs whose end is not told yet
        self._quiet = 0  # looks since the last news
        self._forget_at = monotonic() + FORGOTTEN_EVERY
        self._news = threading.Event()
        self._closing = False
        self._failing = False
        self._teller: threading.Thread | None = None

    def here(self) -> tuple[Job, ...]:
        """Those of this studio, in the order in which they began, also such as have ended lately."""
        with self._lock:
            return tuple(self._jobs.values())

    def start(self, job: Job) -> None:
        """Starts it here. Others know of it once `tell` has returned."""
        shared = self._shared
        with self._lock:
            self._forget_before((job.started or _LONG_AGO) - REMEMBERED)
            self._jobs[job.id] = job
            if shared is not None:
                self._untold[job.id] = threading.Event()
                self._told[job.id] = -1
                if self._teller is None:
                    self._teller = threading.Thread(target=self._tell_on, name="jobs", daemon=True)
                    self._teller.start()
        if shared is None:
            job.start()
        else:
            job.start(on_end=self._news.set, is_kept=lambda: shared.is_kept(job.id))

    def tell(self, id: str) -> None:
        """Returns when other studios know of a job that was started here, or cannot be told at the moment."""
        with self._lock:
            told = self._untold.get(id)
        if told is not None:
            self._news.set()
            told.wait(TOLD_WITHIN)

    def running(self, *, here: bool = False) -> tuple[JobView, ...]:
        """Those that go on, `here` or wherever they run, the oldest first. Raises `StoreError` where others' cannot be read."""
        mine = self.here()
        found = [job.view() for job in mine if job.running]
        if self._shared is not None and not here:
            ids = {job.id for job in mine}
            found += [view for view in self._shared.running() if view.id not in ids]
        return tuple(sorted(found, key=lambda view: view.started or _LONG_AGO))

    def view(self, id: str) -> JobView | None:
        """How a job stands, wherever it runs. Raises `StoreError` for one that does not run here."""
        job = self._jobs.get(id)
        if job is not None:
            return job.view()
        return self._shared.view(id) if self._shared is not None else None

    def cancel(self, id: str) -> None:
        """Stops a job; one that runs elsewhere within a second or so. Raises `StoreError` for such a one."""
        job = self._jobs.get(id)
        if job is not None:
            job.cancel()
        elif self._shared is not None:
            self._shared.stop(id)

    def wait(self, id: str, seconds: float | None) -> JobView | None:
        """Waits until a job ends, at most so long, and says how it stands. Raises `StoreError` for one that runs elsewhere."""
        job = self._jobs.get(id)
        if job is not None:
            job.join(seconds)
            return job.view()
        until = None if seconds is None else self._monotonic() + seconds
        while (view := self.view(id)) is not None and view.state == "running":
            if until is not None and self._monotonic() >= until:
                break
            self._pause(WAIT_LOOK)
        return view

    def close(self) -> None:
        """Tells how the jobs ended, if it can. They have to have ended."""
        with self._lock:
            teller, self._closing = self._teller, True
        if teller is not None:
            self._news.set()
            teller.join()

    def _forget_before(self, time: datetime) -> None:
        for id, job in list(self._jobs.items()):
            if (job.started or time) < time and not job.running and id not in self._told:
                del self._jobs[id]

    # What the teller does.

    def _tell_on(self) -> None:
        assert self._shared is not None
        due = self._monotonic()
        while not self._closing:
            with self._lock:
                idle = not self._told
            self._news.wait(None if idle else max(0.0, due - self._monotonic()))
            self._news.clear()
            whole = self._monotonic() >= due
            if whole:
                due = self._monotonic() + LOOK
            self._look(self._shared, whole=whole)
        self._look(self._shared, whole=True)

    def _look(self, shared: SharedJobs, *, whole: bool) -> None:
        """One look: at beginnings and ends only, or at the `whole` of what goes on."""
        with self._lock:
            told = {self._jobs[id]: version for id, version in self._told.items()}
        news = [
            (job, job.version, job.view())
            for job, version in told.items()
            if job.version != version and (whole or version < 0 or not job.running)
        ]
        ended = {view.id for _, _, view in news if view.state != "running"}
        running = [job.id for job in told if job.id not in ended]
        self._quiet += whole
        try:
            if news or self._quiet > RENEWED:
                wanted = shared.keep([view for _, _, view in news], running=running)
                self._quiet = 0
            elif whole and running:
                wanted = shared.wishes(running)
            else:
                return
            if self._monotonic() >= self._forget_at:
                self._forget_at = self._monotonic() + FORGOTTEN_EVERY
                shared.forget()
        except Exception as error:  # noqa: BLE001 (without this thread every job here would soon be told as lost)
            self._fails(error)
            self._heard(told)
            return
        self._failing = False
        with self._lock:
            for job, version, view in news:
                if view.state == "running":
                    self._told[job.id] = version
                else:
                    del self._told[job.id]
        self._heard(told)
        for id in wanted:
            self._jobs[id].cancel()

    def _heard(self, jobs: Iterable[Job]) -> None:
        """Nobody need wait any longer for these to be told."""
        with self._lock:
            for job in jobs:
                waiting = self._untold.pop(job.id, None)
                if waiting is not None:
                    waiting.set()

    def _fails(self, error: Exception) -> None:
        if not self._failing:
            self._failing = True
            self._warn(
                f"Other studios cannot be told how the episodes stand that are being written here: {error} They are written all "
                "the same, and told of as soon as it works again."
            )
