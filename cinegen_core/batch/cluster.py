"""The work of a batch on Dask workers: processes of this computer, or an existing cluster. Needs the extra `scale`; nothing else here does.

Each worker is sent the bibles once, and is told a task by its own few bytes and the state that it follows from. A worker that dies has
its tasks done by another, and comes to the same, since a task depends on nothing else.
"""

# mypy: disable-error-code="no-untyped-call"
# (Dask's functions have no types.)

from __future__ import annotations

import asyncio
import logging
import os
import pickle
import random
import signal
import uuid
from collections.abc import AsyncIterator, Callable, Iterator, Mapping, Sequence
from concurrent.futures import Future as ThreadFuture
from contextlib import AbstractAsyncContextManager, asynccontextmanager, contextmanager
from typing import Any

import dask.config
from distributed import Client, Nanny, Scheduler, Semaphore, SpecCluster, Worker, as_completed, get_worker
from distributed.diagnostics.plugin import WorkerPlugin

from cinegen_core.batch.bench import Bench
from cinegen_core.batch.running import BatchError, Ended, in_words
from cinegen_core.batch.tasks import Kit, Task, digest
from cinegen_core.clock import SystemClock
from cinegen_core.writers.model import Provider

QUIET = {
    # Workers that write look at themselves a hundred times a second otherwise, and the scheduler shares the cores with them.
    "distributed.worker.profile.enabled": False,
    "distributed.admin.tick.interval": "1s",
    "distributed.admin.system-monitor.interval": "5s",
    "distributed.worker.daemon": True,
}
"""How a local cluster differs from Dask's own settings."""

LOOPBACK = "127.0.0.1"

IN_HAND = 3
"""Parcels handed over for each worker: one that it does, and those that wait so that it never does."""

PARCEL = 4
"""Tasks of a parcel at most: Dask's work for each is then small against that of the writers that it shares the cores with."""

SHORT = 0.5
"""Seconds; tasks that take longer on average go out one by one."""

LOOKED = 5.0
"""Seconds between two looks at how many workers there are."""

PATIENCE = 20.0
"""Seconds to wait for a scheduler to answer."""


class ProviderGate:
    """Lets as many calls to a provider go on at once as it allows, over all workers: a lease for each, kept up while it lasts, and let
    go of when its worker dies (within `distributed.scheduler.locks.lease-timeout`, half a minute)."""

    def __init__(self, worker: Worker) -> None:
        self._worker = worker
        self._semaphores: dict[str, Semaphore] = {}

    def __call__(self, provider: Provider) -> AbstractAsyncContextManager[object]:
        return self._leased(provider)

    @asynccontextmanager
    async def _leased(self, provider: Provider) -> AsyncIterator[None]:
        # Leases are asked for and renewed on the worker's own loop, which goes on while the task's thread is busy.
        home = self._worker.loop.asyncio_loop  # type: ignore[attr-defined]
        taking: ThreadFuture[bool] = asyncio.run_coroutine_threadsafe(self._take(provider), home)

        def give(_: object = None) -> None:
            asyncio.run_coroutine_threadsafe(self._give(provider), home)

        try:
            await asyncio.shield(asyncio.wrap_future(taking))
        except asyncio.CancelledError:
            taking.add_done_callback(give)
            raise
        try:
            yield
        finally:
            give()

    async def _take(self, provider: Provider) -> bool:
        taken: bool = await self._semaphore(provider).acquire()
        return taken

    async def _give(self, provider: Provider) -> None:
        await self._semaphore(provider).release()

    def _semaphore(self, provider: Provider) -> Semaphore:
        name = f"cinegen-{digest(name=provider.name, url=provider.base_url, at_once=provider.at_once)}"
        if name not in self._semaphores:
            self._semaphores[name] = Semaphore(
                max_leases=provider.at_once,
                name=name,
                scheduler_rpc=self._worker.scheduler,
                loop=self._worker.loop,
            )
        return self._semaphores[name]


class BenchPlugin(WorkerPlugin):
    """Gives each worker its bench, also one that joins later or comes back after it died."""

    def __init__(self, kit: Kit) -> None:
        self.kit = kit
        self.bench: Bench | None = None

    def setup(self, worker: Worker) -> None:
        if self.kit.patient:
            # Ctrl-C reaches the whole group of processes; the one that runs the batch ends its workers itself.
            signal.signal(signal.SIGINT, signal.SIG_IGN)
        self.bench = Bench(
            self.kit,
            environ=os.environ,
            clock=SystemClock(),
            rng=random.SystemRandom(),
            gate=ProviderGate(worker),
        )

    def teardown(self, worker: Worker) -> None:
        if self.bench is not None:
            self.bench.halt()

    def __getstate__(self) -> Mapping[str, Any]:
        return {"kit": self.kit, "bench": None}


def perform(plugin: str, parcel: bytes) -> bytes:
    """Some tasks with what they follow from, which do not depend on each other, in a worker: a pickled list to one of `Ended`. Dask looks
    into whatever is no bytes, on both ways."""
    bench = _bench(plugin, get_worker())
    tasks: list[tuple[Task, tuple[str, ...]]] = pickle.loads(parcel)  # noqa: S301 (from the batch, as the whole call is)
    return pickle.dumps([_one(bench, task, before) for task, before in tasks])


def _one(bench: Bench, task: Task, before: tuple[str, ...]) -> Ended:
    """One of them. What keeps it from a result is told in words: not every error survives the way home."""
    try:
        return Ended(task.id, bench.do(task, before))
    except asyncio.CancelledError:
        return Ended(task.id, None, "was stopped")
    except Exception as error:  # noqa: BLE001 (its reason is told)
        return Ended(task.id, None, in_words(error))


def _bench(plugin: str, worker: Worker) -> Bench:
    found = worker.plugins[plugin]
    assert isinstance(found, BenchPlugin)
    assert found.bench is not None
    return found.bench


def _trouble(plugin: str, dask_worker: Worker) -> str:
    return _bench(plugin, dask_worker).trouble


class DaskHands:
    """Does tasks on a cluster's workers. Entered and left by `hands`."""

    def __init__(self, client: Client, kit: Kit, *, clock: Callable[[], float]) -> None:
        self._client, self._clock = client, clock
        self._name = f"cinegen-{uuid.uuid4().hex[:12]}"
        self._ending = as_completed(with_results=True, raise_errors=False, loop=client.loop)
        self._waiting: list[tuple[Task, tuple[str, ...]]] = []
        self._going: dict[str, tuple[tuple[str, ...], Any]] = {}
        self._seconds, self._ended = 0.0, 0
        self._counted, self._workers = float("-inf"), 0
        self._registered = False
        try:
            client.register_plugin(BenchPlugin(kit), name=self._name)
            self._registered = True
            trouble = {words for words in client.run(_trouble, self._name).values() if words}
        except Exception as error:
            raise BatchError(
                f"The workers cannot be made ready ({in_words(error)}). See that each has the same version of Cinegen Studio and of "
                'distributed: pip install "cinegen-studio[scale]".'
            ) from error
        if trouble:
            raise BatchError(f"The workers are not ready: {'; '.join(sorted(trouble))}.")
        if not self.workers:
            raise BatchError(
                "The cluster has no workers. Start some, for example with `dask worker ADDRESS --nthreads 1`."
            )

    @property
    def room(self) -> int:
        return IN_HAND * max(1, self.workers) * self._most

    @property
    def _most(self) -> int:
        """How many tasks may be in a parcel, by what they took so far."""
        return PARCEL if self._ended and self._seconds < SHORT * self._ended else 1

    @property
    def workers(self) -> int:
        now = self._clock()
        if now - self._counted > LOOKED:
            self._counted, self._workers = now, sum(self._client.nthreads().values())
        return self._workers

    def begin(self, task: Task, before: tuple[str, ...]) -> None:
        self._waiting.append((task, before))

    def _send(self) -> None:
        """Hands over what waits: in parcels, unless there is so little left that every worker should have its own."""
        left = len(self._waiting) + sum(len(ids) for ids, _ in self._going.values())
        size = max(1, min(self._most, left // (IN_HAND * max(1, self.workers))))
        while self._waiting:
            parcel, self._waiting = self._waiting[:size], self._waiting[size:]
            first, _ = parcel[0]
            key = f"{first.kind}-{first.id}-{self._name}"
            future = self._client.submit(perform, self._name, pickle.dumps(parcel), key=key, pure=False)
            self._going[key] = tuple(task.id for task, _ in parcel), future
            self._ending.add(future)

    def ended(self) -> Sequence[Ended]:
        self._send()
        found: list[Ended] = []
        for future, result in self._ending.next_batch(block=True):
            ids, _ = self._going.pop(future.key)
            if future.status == "finished":
                found += pickle.loads(result)  # noqa: S301 (from our workers, as Dask's own messages are)
            elif future.status == "error":
                found += (Ended(id, None, f"its workers died ({in_words(result[1])})") for id in ids)
            else:
                raise BatchError("The scheduler has gone, or has dropped what it was given.")
        self._ended += len(found)
        self._seconds += sum(one.result.seconds for one in found if one.result is not None)
        return found

    def stop(self) -> None:
        self._client.cancel([future for _, future in self._going.values()], force=True)
        self._waiting.clear()
        self._going.clear()
        self._ending.clear()
        self.leave()

    def leave(self) -> None:
        """Takes away what the workers were given; what they are doing ends at once."""
        if self._registered and self._client.status == "running":
            self._registered = False
            self._client.unregister_worker_plugin(self._name)


@contextmanager
def hands(
    kit: Kit,
    *,
    clock: Callable[[], float],
    address: str = "",
    workers: int | None = None,
    patience: float = PATIENCE,
) -> Iterator[DaskHands]:
    """Those of the cluster at `address`, or of so many processes of this computer (one for each core unless said otherwise).

    Raises `BatchError` where there is no such cluster within `patience` seconds, or its workers cannot do the work.
    """
    with _client(address, workers, patience) as client:
        found = DaskHands(client, kit if address else kit.model_copy(update={"patient": True}), clock=clock)
        try:
            yield found
        finally:
            found.leave()


@contextmanager
def _client(address: str, workers: int | None, patience: float) -> Iterator[Client]:
    if address:
        try:
            client = Client(address, timeout=patience, set_as_default=False)
        except (OSError, ValueError, TimeoutError) as error:
            raise BatchError(
                f"--scheduler {address}: nobody answers there ({in_words(error)}). Start `dask scheduler`, and give its address, "
                "such as tcp://127.0.0.1:8786."
            ) from error
        with client:
            yield client
        return
    with (
        dask.config.set(QUIET),
        local_cluster(workers or os.cpu_count() or 1) as cluster,
        Client(cluster, set_as_default=False, direct_to_workers=True) as client,
    ):
        yield client


def local_cluster(workers: int) -> SpecCluster:
    """So many processes of one thread each; use it in `with`. Everything listens on the loopback address, status pages too."""
    page = {"dashboard": False, "dashboard_address": f"{LOOPBACK}:0"}
    worker = {
        "host": LOOPBACK, "nthreads": 1, "memory_limit": 0, "silence_logs": logging.CRITICAL, **page,
    }  # fmt: skip
    return SpecCluster(
        scheduler={"cls": Scheduler, "options": {"host": LOOPBACK, "port": 0, **page}},
        workers={number: {"cls": Nanny, "options": worker} for number in range(workers)},
        silence_logs=logging.CRITICAL,
    )
