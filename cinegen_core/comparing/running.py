"""All ways of a comparison at once, within limits; what is finished is kept, whatever becomes of the rest."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Collection
from typing import Literal, Protocol

from cinegen_core.comparing.ways import policy_for, request_for
from cinegen_core.jobs import Job, JobState
from cinegen_core.store.comparisons import LISTED, Answered, Comparison, Comparisons, Way
from cinegen_core.store.episodes import StoreError
from cinegen_core.story import EpisodeRequest, Policy
from cinegen_core.story.model import Noun
from cinegen_core.tiers.model import Generation, Update

AT_ONCE = 2
"""Ways being written at the same time, unless another number is given."""

STOPPED = "Stopped before it was finished."

WayState = Literal["waiting", "writing", "done", "failed", "stopped"]
OnWay = Callable[["WayUpdate"], None]


class Writes(Protocol):
    """The part of a `Studio` that a comparison needs."""

    async def generate(
        self,
        request: EpisodeRequest,
        *,
        who: str = "",
        on_update: Callable[[Update], None] | None = None,
        policy: Policy | None = None,
        id: str | None = None,
        fresh: bool = False,
    ) -> Generation: ...


class WayUpdate(Noun):
    """Something about the way at place `way` (from 0): an update from its writing, or where it stands when that has changed."""

    way: int
    state: WayState
    update: Update | None = None


async def compare(
    studio: Writes,
    comparison: Comparison,
    *,
    decided: Policy,
    engines: Collection[str],
    kept: Comparisons,
    at_once: int = AT_ONCE,
    fresh: bool = False,
    on_update: OnWay = lambda update: None,
) -> Comparison:
    """Writes the ways that have no answer yet, at most `at_once` (1 or more) together, and returns the comparison with all answers.

    `decided` is what flags say for the person who asks, `engines` the names of the studio's. The comparison is kept at once, after each
    way, and in the end. A way that fails has its reason and does not end the others. Cancelling cancels all; those that were
    finished stay, and the others say that they were stopped. Raises `StoreError` if in the end it could not be kept.
    """
    if at_once < 1:
        raise ValueError(f"at_once is {at_once}; at least one way has to be written at a time")
    run = _Run(studio, comparison, decided, engines, kept, fresh, on_update)
    await asyncio.to_thread(run.save)
    room = asyncio.Semaphore(at_once)
    try:
        async with asyncio.TaskGroup() as group:
            for place, answer in enumerate(comparison.answers):
                if not answer.ended:
                    group.create_task(run.way(place, room))
    finally:
        run.stopped()
        await asyncio.to_thread(run.save)
    return run.comparison


class _Run:
    def __init__(
        self,
        studio: Writes,
        comparison: Comparison,
        decided: Policy,
        engines: Collection[str],
        kept: Comparisons,
        fresh: bool,
        on_update: OnWay,
    ) -> None:
        self.comparison = comparison
        self._studio, self._decided, self._engines = studio, decided, engines
        self._kept, self._fresh, self._on_update = kept, fresh, on_update
        self._saving = threading.Lock()

    def save(self) -> None:
        # Whoever has the lock writes what there is then: an older state never lands on a newer one.
        with self._saving:
            self._kept.save(self.comparison)

    async def way(self, place: int, room: asyncio.Semaphore) -> None:
        async with room:
            self._on_update(WayUpdate(way=place, state="writing"))
            answer = await self._answer(self.comparison.ways[place], place)
        self._ended(place, answer, "failed" if answer.generation is None else "done")
        try:
            await asyncio.to_thread(self.save)
        except StoreError:
            return  # all of it is saved once more in the end; if that fails too, it is raised there

    def stopped(self) -> None:
        """Says so of each way that has not come to its end, and now will not."""
        for place, answer in enumerate(self.comparison.answers):
            if not answer.ended:
                self._ended(place, Answered(why=STOPPED), "stopped")

    def _ended(self, place: int, answer: Answered, state: WayState) -> None:
        self.comparison = self.comparison.with_answer(place, answer)
        self._on_update(WayUpdate(way=place, state=state))

    async def _answer(self, way: Way, place: int) -> Answered:
        def told(update: Update) -> None:
            self._on_update(WayUpdate(way=place, state="writing", update=update))

        try:
            policy = policy_for(way, self._decided, self._engines)
            generation = await self._studio.generate(
                request_for(way, self.comparison.request),
                who=self.comparison.who,
                on_update=told,
                policy=policy,
                fresh=self._fresh,
            )
        except Exception as error:  # noqa: BLE001 (one way that fails does not end the others; its reason is kept)
            return Answered(why=_why(error, way))
        if generation.tier not in policy.tiers:
            said = " ".join(generation.notices) or f"It was answered by {generation.tier}."
            return Answered(why=f"{said} So there is nothing written this way.")
        return Answered(generation=generation)


def _why(error: Exception, way: Way) -> str:
    if isinstance(error, KeyError) and error.args == (way.writer,):
        return f"There is no writer {way.writer!r} in this studio. Set it up, or pick another."
    return f"{error}" or type(error).__name__


class ComparisonView(Noun):
    """How a comparison stands at one moment. `states` and `updates` are in the order of its ways; `error` says why it failed."""

    comparison: Comparison
    state: JobState
    states: tuple[WayState, ...]
    updates: tuple[tuple[Update, ...], ...]
    error: str = ""


class ComparisonJob:
    """A comparison in the background. Its methods may be called from any thread."""

    def __init__(
        self,
        studio: Writes,
        comparison: Comparison,
        *,
        decided: Policy,
        engines: Collection[str],
        kept: Comparisons,
        at_once: int = AT_ONCE,
        fresh: bool = False,
    ) -> None:
        """As `compare`, which it runs. Call `start`."""
        self.id = comparison.id
        self._lock = threading.Lock()
        self._kept = _Watched(kept, comparison)
        self._states: list[WayState] = [_state_of(answer) for answer in comparison.answers]
        self._updates: list[list[Update]] = [[] for _ in comparison.ways]

        async def work(on_update: Callable[[Update], None]) -> None:
            await compare(
                studio,
                comparison,
                decided=decided,
                engines=engines,
                kept=self._kept,
                at_once=at_once,
                fresh=fresh,
                on_update=self._note,
            )

        number = comparison.request.number
        self._job = Job(id=comparison.id, season="", number=number, parent=None, work=work)

    def start(self) -> None:
        self._job.start()

    @property
    def running(self) -> bool:
        return self._job.running

    def cancel(self) -> None:
        """Stops all ways; those that are finished stay."""
        self._job.cancel()

    def join(self, seconds: float | None) -> None:
        """Waits until it has ended, at most so long; None waits as long as it takes."""
        self._job.join(seconds)

    def view(self) -> ComparisonView:
        job = self._job.view()
        with self._lock:
            states = tuple(self._states)
            updates = tuple(tuple(some) for some in self._updates)
        return ComparisonView(
            comparison=self._kept.latest, state=job.state, states=states, updates=updates, error=job.error
        )

    def _note(self, told: WayUpdate) -> None:
        with self._lock:
            self._states[told.way] = told.state
            mine = self._updates[told.way]
            if told.update is None:
                return
            if told.update.kind == "text" and mine and mine[-1].kind == "text":
                mine.pop()  # it holds all of the text so far, and so the one before it
            mine.append(told.update)


class _Watched:
    """Comparisons, and beside them the latest state of one, for views that must not wait for a disk."""

    def __init__(self, kept: Comparisons, comparison: Comparison) -> None:
        self._kept = kept
        self.latest = comparison

    def save(self, comparison: Comparison) -> None:
        self.latest = comparison
        self._kept.save(comparison)

    def comparison(self, id: str) -> Comparison | None:
        return self._kept.comparison(id)

    def recent(self, limit: int = LISTED) -> tuple[Comparison, ...]:
        return self._kept.recent(limit)


def _state_of(answer: Answered) -> WayState:
    if answer.generation is not None:
        return "done"
    return "failed" if answer.why else "waiting"
