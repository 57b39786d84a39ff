"""Work in the background. Each job has its own thread and event loop, so that none holds up another."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Awaitable, Callable
from typing import Literal

from cinegen_core.story.model import Noun
from cinegen_core.tiers.model import Update

JobState = Literal["running", "done", "failed", "stopped"]
Work = Callable[[Callable[[Update], None]], Awaitable[None]]


class JobView(Noun):
    """How a job stands at one moment. `number` is the episode's, `error` says why it failed."""

    id: str
    season: str
    parent: str | None
    number: int
    state: JobState
    updates: tuple[Update, ...]
    error: str = ""


class Job:
    """One piece of work. Its methods may be called from any thread."""

    def __init__(self, *, id: str, season: str, number: int, parent: str | None, work: Work) -> None:
        self.id = id
        self._season, self._number, self._parent = season, number, parent
        self._work = work
        self._lock = threading.Lock()
        self._state: JobState = "running"
        self._error = ""
        self._updates: list[Update] = []
        self._stop: Callable[[], None] | None = None
        self._stop_wanted = False
        self._thread = threading.Thread(target=self._run, name=f"episode-{id}", daemon=True)

    def start(self) -> None:
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

    def _end(self, state: JobState, error: str = "") -> None:
        with self._lock:
            self._state, self._error = state, error
