"""An event loop on which waiting takes no time."""

from __future__ import annotations

import asyncio
import gc
import selectors
import threading
from collections.abc import Callable, Coroutine
from concurrent.futures import Executor
from typing import Any, TypeVar, TypeVarTuple, Unpack

T = TypeVar("T")
Ts = TypeVarTuple("Ts")
Events = list[tuple[selectors.SelectorKey, int]]


class JumpingSelector(selectors.DefaultSelector):
    """Jumps over waits. While a thread works for the loop time stands still: how long that takes is not for timers to see."""

    def __init__(self) -> None:
        super().__init__()
        self.now = 0.0
        self.working = 0

    def select(self, timeout: float | None = None) -> Events:
        ready = super().select(0)
        if ready or timeout == 0:
            return ready
        if self.working:
            return super().select(None)
        if timeout is not None:
            self.now += timeout
            return []
        # a thread that the loop did not start may yet wake it; how many there are is all that can be known
        ready = super().select(1.0 if threading.active_count() > 1 else 0)
        if not ready:
            raise RuntimeError("nothing will ever happen")
        return ready


class VirtualLoop(asyncio.SelectorEventLoop):
    """Its time begins at 0 and jumps from timer to timer. Not for real sockets: their peers live in real time."""

    def __init__(self) -> None:
        self._jumping = JumpingSelector()
        super().__init__(self._jumping)

    def time(self) -> float:
        return self._jumping.now

    def run_in_executor(
        self, executor: Executor | None, func: Callable[[Unpack[Ts]], T], *args: *Ts
    ) -> asyncio.Future[T]:
        def ended(_: asyncio.Future[T]) -> None:
            self._jumping.working -= 1

        future = super().run_in_executor(executor, func, *args)
        self._jumping.working += 1
        future.add_done_callback(ended)
        return future

    async def shutdown_default_executor(self, timeout: float | None = None) -> None:  # noqa: ASYNC109 (the loop's signature)
        self._jumping.working += 1
        try:
            await super().shutdown_default_executor()
        finally:
            self._jumping.working -= 1


def virtually(coroutine: Coroutine[Any, Any, T]) -> T:
    """Its result. It must have ended all tasks that it began."""

    async def alone() -> T:
        result = await coroutine
        gc.collect()
        await asyncio.get_running_loop().shutdown_asyncgens()  # clients leave generators half read
        for _ in range(10):
            await asyncio.sleep(0)
        left = asyncio.all_tasks() - {asyncio.current_task()}
        assert not left, f"left behind: {left}"
        return result

    with asyncio.Runner(loop_factory=VirtualLoop) as runner:
        return runner.run(alone())
