"""A batch as it runs: what is ready is begun, what ends lands, what follows from it becomes ready."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple, Protocol

from cinegen_core.batch.graph import Chain, Graph
from cinegen_core.batch.landing import Landed, Landing
from cinegen_core.batch.tasks import Answered, Result, Task, Written, weight


class BatchError(Exception):
    """A batch cannot go on, or cannot begin. The message says what to do; what has landed is kept."""


class Ended(NamedTuple):
    """What became of a task that was begun: its result, or why there is none, in words."""

    id: str
    result: Result | None
    why: str = ""


class Hands(Protocol):
    """Who does the tasks. Used from one thread."""

    @property
    def room(self) -> int:
        """How many tasks may be in hand at once."""
        ...

    @property
    def workers(self) -> int:
        """How many are done at the same time."""
        ...

    def begin(self, task: Task, before: tuple[str, ...]) -> None: ...

    def ended(self) -> Sequence[Ended]:
        """All that have ended since, in any order; waits until there is one. Raises `BatchError` where there will be none."""
        ...

    def stop(self) -> None:
        """Ends what is in hand, without waiting for it to come to its end."""
        ...


class Progress(NamedTuple):
    """How a batch stands, in tasks. `share` (0..1) of the work is done, by what tasks take; `kept` of the done were so before."""

    total: int
    done: int
    kept: int
    running: int
    failed: int
    share: float


@dataclass
class Outcome:
    """What became of a batch: for each task that did not land its reason in words, by id. `withdrawn` says why it was stopped where
    no person at the keyboard did."""

    done: dict[str, Result] = field(default_factory=dict)
    kept: frozenset[str] = frozenset()
    failed: dict[str, str] = field(default_factory=dict)
    stopped: bool = False
    withdrawn: str = ""

    @property
    def whole(self) -> bool:
        return not self.failed and not self.stopped


def run_batch(
    graph: Graph,
    hands: Hands,
    landing: Landing,
    told: Callable[[Progress], None] = lambda progress: None,
    withdrawn: Callable[[], str] = lambda: "",
) -> Outcome:
    """Does what is not done yet, and says what became of it. A task that fails ends its chain and nothing else.

    `landing` is entered already. On KeyboardInterrupt, or once `withdrawn` says why nothing more is to be written (asked whenever a task
    has ended), what is in hand is ended, and `stopped` is set. Raises `BatchError`, and what `Landing` raises.
    """
    return _Run(graph, hands, landing, told, withdrawn).whole()


class _Run:
    def __init__(
        self,
        graph: Graph,
        hands: Hands,
        landing: Landing,
        told: Callable[[Progress], None],
        withdrawn: Callable[[], str],
    ) -> None:
        self._hands, self._landing, self._told, self._withdrawn = hands, landing, told, withdrawn
        kept = frozenset(task.id for chain in graph.chains for task in chain.tasks[: chain.done])
        self._outcome = Outcome(kept=kept)
        self._ready = deque(chain for chain in graph.chains if chain.next is not None)
        self._going: dict[str, Chain] = {}
        self._total = sum(len(chain.tasks) for chain in graph.chains)
        # What was done before took no time now, and says nothing about how long the rest takes.
        self._to_do = sum(weight(task) for chain in graph.chains for task in chain.tasks[chain.done :])
        self._worked = 0.0

    def whole(self) -> Outcome:
        try:
            while self._ready or self._going:
                if reason := self._withdrawn():
                    self._outcome.stopped, self._outcome.withdrawn = True, reason
                    self._hands.stop()
                    break
                self._begin()
                self._tell()
                for ended in self._hands.ended():
                    self._end(ended)
            self._tell()
        except KeyboardInterrupt:
            self._outcome.stopped = True
            self._hands.stop()
        except BaseException:
            self._hands.stop()
            raise
        return self._outcome

    def _begin(self) -> None:
        # The chains take turns: all seasons come to their end at about the same time, and no worker is without work before it.
        while self._ready and len(self._going) < self._hands.room:
            chain = self._ready.popleft()
            task = chain.next
            assert task is not None
            before = chain.material()
            chain.before = None
            self._going[task.id] = chain
            self._hands.begin(task, before)

    def _end(self, ended: Ended) -> None:
        chain = self._going.pop(ended.id)
        task = chain.next
        assert task is not None
        assert task.id == ended.id
        self._landing.add(Landed(task, ended.result, ended.why))
        if ended.result is None:
            self._outcome.failed[task.id] = ended.why
            for later in chain.tasks[chain.done + 1 :]:
                self._outcome.failed[later.id] = f"was not begun, since {task.words} failed"
            self._worked += sum(weight(one) for one in chain.tasks[chain.done :])
            return
        self._worked += weight(task)
        self._outcome.done[task.id] = _without_text(ended.result)
        chain.done += 1
        if chain.next is not None:
            assert isinstance(ended.result, Written)
            chain.before = (ended.result.state,)
            self._ready.append(chain)

    def _tell(self) -> None:
        done = len(self._outcome.kept) + len(self._outcome.done)
        running = min(len(self._going), self._hands.workers)
        share = self._worked / self._to_do if self._to_do else 1.0
        self._told(
            Progress(self._total, done, len(self._outcome.kept), running, len(self._outcome.failed), share)
        )


def _without_text(result: Result) -> Result:
    """For the report, which needs none of the writing: thousands of episodes would fill the memory."""
    if isinstance(result, Written):
        return result._replace(record="", event="", state="")
    if isinstance(result, Answered):
        return result._replace(generation="", event="")
    return result._replace(data="")


class HereHands:
    """Does one task after the other in this process: without a cluster, and without the package for it."""

    def __init__(self, do: Callable[[Task, tuple[str, ...]], Result]) -> None:
        self._do = do
        self._given: list[tuple[Task, tuple[str, ...]]] = []

    @property
    def room(self) -> int:
        return 1

    @property
    def workers(self) -> int:
        return 1

    def begin(self, task: Task, before: tuple[str, ...]) -> None:
        self._given.append((task, before))

    def ended(self) -> Sequence[Ended]:
        task, before = self._given.pop()
        try:
            return (Ended(task.id, self._do(task, before)),)
        except Exception as error:  # noqa: BLE001 (one task that fails does not end the others; its reason is told)
            return (Ended(task.id, None, in_words(error)),)

    def stop(self) -> None:
        self._given.clear()


def in_words(error: BaseException) -> str:
    """An error as its own sentence, or its name where it says nothing."""
    said = " ".join(str(error).split())
    return said[:1000] or type(error).__name__
