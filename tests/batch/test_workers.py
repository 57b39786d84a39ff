"""On workers a batch comes to the same as without them, byte for byte, whoever of them dies; and asks no provider for more than it allows."""

# mypy: disable-error-code="no-untyped-call"
# (Dask's functions have no types.)

from __future__ import annotations

import os
import pickle
import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import dask.config
import pytest
from distributed import Client, SpecCluster
from pydantic import SecretStr

from cinegen_core.batch import BatchError, Graph, Outcome
from cinegen_core.batch.cluster import QUIET, DaskHands, hands, local_cluster
from cinegen_core.batch.running import Progress
from tests.batch.batches import WITH_ENGINES, Desk, a_desk
from tests.model.brain import SHELF, brain
from tests.model.faults import Body, Step, refused_port
from tests.model.server import ModelServer
from tests.model.studios import KEY, a_provider


@pytest.fixture(scope="module")
def cluster() -> Iterator[SpecCluster]:
    with dask.config.set(QUIET), local_cluster(2) as found:
        yield found


@pytest.fixture(scope="module")
def alone(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """What comes of the plan without any workers."""
    desk = a_desk(tmp_path_factory.mktemp("alone"))
    desk.run(WITH_ENGINES)
    return desk.bytes()


@pytest.fixture
def desk(tmp_path: Path) -> Desk:
    return a_desk(tmp_path)


def run(
    desk: Desk, cluster: SpecCluster, text: str, told: Callable[[Progress], None] = lambda progress: None
) -> tuple[Graph, Outcome]:
    """A batch on the workers, found by the scheduler's address."""
    with desk_hands(cluster) as make:
        return desk.run(text, make, told)


@contextmanager
def desk_hands(cluster: SpecCluster) -> Iterator[Callable[[Graph], DaskHands]]:
    with Client(cluster.scheduler_address, set_as_default=False) as client:
        made: list[DaskHands] = []

        def make(graph: Graph) -> DaskHands:
            made.append(DaskHands(client, graph.kit, clock=time.monotonic))
            return made[0]

        yield make
        for one in made:
            one.leave()


def test_workers_come_to_the_same_bytes(desk: Desk, cluster: SpecCluster, alone: dict[str, str]) -> None:
    _, outcome = run(desk, cluster, WITH_ENGINES)
    assert outcome.whole
    assert desk.bytes() == alone
    assert sorted(event.id for event in desk.events()) == sorted(alone)


def test_a_worker_killed_while_it_writes_changes_nothing(
    desk: Desk, cluster: SpecCluster, alone: dict[str, str]
) -> None:
    killed: list[int] = []
    with Client(cluster.scheduler_address, set_as_default=False) as client:
        there = sorted(client.run(os.getpid).values())

    def told(progress: Progress) -> None:
        if progress.done and progress.running and not killed:
            killed.append(there[0])
            os.kill(there[0], signal.SIGKILL)

    _, outcome = run(desk, cluster, WITH_ENGINES, told)
    assert killed
    assert outcome.whole, outcome.failed
    assert desk.bytes() == alone
    assert sorted(event.id for event in desk.events()) == sorted(alone)


def test_stopped_by_hand_it_keeps_what_is_done_and_goes_on_from_there(
    desk: Desk, cluster: SpecCluster, alone: dict[str, str]
) -> None:
    def told(progress: Progress) -> None:
        if progress.done:
            raise KeyboardInterrupt

    _, stopped = run(desk, cluster, WITH_ENGINES, told)
    assert stopped.stopped
    there = desk.records()
    assert there.keys() == stopped.done.keys()
    assert 1 <= len(there) < 4
    _, outcome = run(desk, cluster, WITH_ENGINES)
    assert outcome.kept == there.keys()
    assert desk.bytes() == alone


@dataclass(kw_only=True, eq=False)
class CountingServer(ModelServer):
    """Counts how many calls it is answering."""

    going: int = field(default=0, init=False)
    most: int = field(default=0, init=False)

    def _completion(self, number: int, headers: dict[str, str], body: Body) -> Iterator[Step]:
        self.going += 1
        self.most = max(self.most, self.going)
        try:
            yield from super()._completion(number, headers, body)
        finally:
            self.going -= 1


MODEL = f"""
[[seasons]]
bible = '{SHELF / "bibles" / "long_tow.yaml"}'
seeds = [1, 2]
episodes = 1
tier = "comprehensive"
engines = ["Dialogue", "StrategicDialogue", "PacingRhythm", "HookCliffhanger", "Language", "WorldBuilding"]
"""


def model_desk(folder: Path, **provider: Any) -> Desk:
    return a_desk(folder, providers=(a_provider(**provider),))


def test_no_provider_is_asked_for_more_at_once_than_it_allows_whoever_asks(
    tmp_path: Path, cluster: SpecCluster
) -> None:
    # Slow enough for six engines in each of two workers to be under way at once, if they may.
    with CountingServer(brain=brain, first_token=0.05) as server:
        desk = model_desk(tmp_path, base_url=server.base_url, at_once=3, key=SecretStr(""))
        _, outcome = run(desk, cluster, MODEL)
        assert outcome.whole, outcome.failed
        assert server.most == 3
        assert server.calls >= 16
    records = desk.records().values()
    assert {record.generation.writer for record in records} == {"primary-model"}
    assert all(run.by == "model" for record in records for run in record.generation.engines)


def test_a_key_does_not_travel_and_a_worker_without_it_says_where_it_belongs(
    tmp_path: Path, cluster: SpecCluster
) -> None:
    desk = model_desk(tmp_path, key_env="NOBODYS_KEY", key=SecretStr(KEY))
    with desk.opened(MODEL) as (graph, _, _):
        assert KEY.encode() not in pickle.dumps(graph.kit)
    with pytest.raises(
        BatchError, match="the variable NOBODYS_KEY holds no key for primary where this worker runs"
    ):
        run(desk, cluster, MODEL)


def test_workers_with_other_code_are_refused(desk: Desk, cluster: SpecCluster) -> None:
    with desk.opened(WITH_ENGINES) as (graph, _, _):
        other = graph.kit.model_copy(update={"code": "0" * 64})
        with (
            pytest.raises(BatchError, match="another version of Cinegen Studio"),
            hands(other, clock=time.monotonic, address=cluster.scheduler_address),
        ):
            pass


def test_a_scheduler_that_is_not_there_is_named(desk: Desk) -> None:
    address = f"tcp://127.0.0.1:{refused_port()}"
    with (
        desk.opened(WITH_ENGINES) as (graph, _, _),
        pytest.raises(BatchError, match=f"--scheduler {address}: nobody answers there"),
        hands(graph.kit, clock=time.monotonic, address=address, patience=0.2),
    ):
        pass


def test_leaving_leaves_no_threads_or_workers(desk: Desk) -> None:
    before = {thread.name for thread in threading.enumerate()}
    with (
        desk.opened(WITH_ENGINES) as (graph, _, _),
        hands(graph.kit, clock=time.monotonic, workers=1) as found,
    ):
        assert found.workers == 1
    left = {thread.name for thread in threading.enumerate() if not thread.daemon} - before
    assert left == set()
