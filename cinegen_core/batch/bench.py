"""Where the work of a batch is done, in a worker or in the process itself: from a task and what it follows from to its result.

Nothing here knows a database or a cluster. With a writer that needs no model, the same task gives the same result anywhere.
"""

from __future__ import annotations

import asyncio
import json
import random
import threading
import time
from collections.abc import Mapping
from typing import Any

from pydantic import SecretStr

from cinegen_core.analysis.ablation import measured
from cinegen_core.analysis.scoring import by_dimension
from cinegen_core.batch.tasks import (
    Ablating,
    Answered,
    Episode,
    Kit,
    Rescoring,
    Result,
    Rows,
    Task,
    WayTask,
    Written,
)
from cinegen_core.clock import Clock
from cinegen_core.engines import all_engines
from cinegen_core.monitor.events import generation_event
from cinegen_core.scorer import Scorecard
from cinegen_core.scorer import score as score_script
from cinegen_core.store.episodes import Record
from cinegen_core.story import EpisodeRequest, StoryBible, StoryState
from cinegen_core.studio import EMBEDDED, code
from cinegen_core.telling import asked_of, notices_of
from cinegen_core.tiers.judging import judge
from cinegen_core.tiers.model import Generation, TierName
from cinegen_core.tiers.runner import Budget, run
from cinegen_core.writers.base import Writer
from cinegen_core.writers.embedded.writer import EmbeddedWriter
from cinegen_core.writers.model import Calls, Gate, ModelWriter, Provider
from cinegen_core.writers.model.calls import open_gate
from cinegen_core.writers.template import TemplateWriter


class OtherCodeError(Exception):
    """A worker writes with another version than the one that began the batch. The message says what to do."""


class Bench:
    """Does tasks, in as many threads as like; `halt` may be called from any. `environ` is where a provider's key is looked up."""

    def __init__(
        self,
        kit: Kit,
        *,
        environ: Mapping[str, str],
        clock: Clock,
        rng: random.Random,
        gate: Gate = open_gate,
    ) -> None:
        self._kit, self._clock = kit, clock
        self._bibles: dict[str, StoryBible] = {}
        self._engines = all_engines()
        self._embedded, self._template = EmbeddedWriter(), TemplateWriter()
        self.trouble = "" if code() == kit.code else (
            "this worker has another version of Cinegen Studio than the batch; install the same one on all workers"
        )  # fmt: skip
        providers = [self._with_key(provider, environ) for provider in kit.providers]
        self._calls = Calls(providers, clock=clock.monotonic, rng=rng, gate=gate) if providers else None
        self._lock = threading.Lock()
        self._going: dict[asyncio.Task[Any], asyncio.AbstractEventLoop] = {}
        self._halted = False

    def do(self, task: Task, before: tuple[str, ...]) -> Result:
        """`before` is what the task follows from, as JSON: a state or nothing, for a rescoring the bible and the records.

        Raises `OtherCodeError`, whatever keeps the task from a result, and `asyncio.CancelledError` once it is halted.
        """
        if self.trouble:
            raise OtherCodeError(self.trouble)
        return asyncio.run(self._done(task, before))

    def halt(self) -> None:
        """Ends what is being done, with its calls to models, and whatever would come after it."""
        with self._lock:
            self._halted = True
            for going, loop in self._going.items():
                loop.call_soon_threadsafe(going.cancel)

    async def _done(self, task: Task, before: tuple[str, ...]) -> Result:
        going = asyncio.current_task()
        assert going is not None
        with self._lock:
            if self._halted:
                raise asyncio.CancelledError
            self._going[going] = asyncio.get_running_loop()
        try:
            if isinstance(task, Episode):
                return await self._episode(task, before)
            if isinstance(task, WayTask):
                return await self._way(task, before)
            if isinstance(task, Ablating):
                return await self._ablated(task)
            return self._rescored(task, before)
        finally:
            with self._lock:
                del self._going[going]

    def _with_key(self, provider: Provider, environ: Mapping[str, str]) -> Provider:
        if provider.name not in self._kit.keyed:
            return provider
        key = environ.get(provider.key_env, "")
        if not key:
            self.trouble = self.trouble or (
                f"the variable {provider.key_env} holds no key for {provider.name} where this worker runs; set it there"
            )
        return provider.model_copy(update={"key": SecretStr(key)})

    def _bible(self, digest: str) -> StoryBible:
        if digest not in self._bibles:
            self._bibles[digest] = StoryBible.model_validate_json(self._kit.bibles[digest])
        return self._bibles[digest]

    def _writers(self, writer: str) -> Mapping[TierName, Writer]:
        """As `Studio.writers_for`, which holds a whole studio."""
        first: Writer = self._embedded
        if self._calls is not None and writer != EMBEDDED:
            first = ModelWriter(self._calls.beginning_with(writer) if writer else self._calls)
        return {"comprehensive": first, "enhanced_baseline": first, "basic_fallback": self._template}

    def _request(self, task: Episode | WayTask, before: tuple[str, ...]) -> EpisodeRequest:
        return EpisodeRequest(
            bible=self._bible(task.brief.bible),
            number=task.number,
            state=StoryState.model_validate_json(before[0]) if before else None,
            choice=task.choice if isinstance(task, WayTask) else None,
            direction=task.brief.direction,
            seed=task.seed,
            minutes=task.brief.minutes,
        )

    async def _generation(self, task: Episode | WayTask, request: EpisodeRequest) -> Generation:
        """Raises `NothingWrittenError`."""
        brief = task.brief
        started = self._clock.monotonic()
        answer = await run(
            request,
            brief.policy,
            writers=self._writers(brief.policy.writer),
            engines=self._engines,
            judge=judge,
            clock=self._clock.monotonic,
            on_update=lambda update: None,
            budget=Budget(seconds=brief.budget_seconds),
        )
        assert answer.winner.episode is not None
        return Generation(
            id=task.id,
            episode=answer.winner.episode,
            tier=answer.winner.tier,
            writer=answer.winner.writer,
            attempts=answer.attempts,
            notices=notices_of(answer),
            seconds=max(0.0, self._clock.monotonic() - started),
            flags=brief.flags,
            flag_reasons=brief.flag_reasons,
        )

    def _event(self, task: Episode | WayTask, request: EpisodeRequest, made: Generation) -> str:
        """The event of an answer: a trial, since nobody was served, and what many tasks at once take says nothing about how long
        a person waits."""
        brief = task.brief
        return generation_event(
            made,
            at=self._clock.now(),
            first=brief.first,
            profile=brief.profile,
            who=brief.user,
            series=brief.series,
            request=request,
            trial=True,
        ).model_dump_json()

    async def _episode(self, task: Episode, before: tuple[str, ...]) -> Written:
        request = self._request(task, before)
        made = await self._generation(task, request)
        now = self._clock.now()
        record = Record(
            id=task.id,
            season=task.season,
            parent=task.parent,
            choice=request.taken.id if request.taken else None,
            seed=request.seed,
            minutes=request.minutes,
            direction=request.direction,
            who=task.brief.who,
            saved=now,
            asked=asked_of(made),
            generation=made,
        )
        return Written(
            record=record.model_dump_json(),
            event=self._event(task, request, made),
            at=now,
            number=task.number,
            state=made.episode.state.model_dump_json(),
            seconds=made.seconds,
            score=made.winner.score if made.winner is not None else None,
        )

    async def _way(self, task: WayTask, before: tuple[str, ...]) -> Answered:
        request = self._request(task, before)
        made = await self._generation(task, request)
        score = made.winner.score if made.winner is not None else None
        event = self._event(task, request, made)
        return Answered(made.model_dump_json(), event, self._clock.now(), made.seconds, score)

    async def _ablated(self, task: Ablating) -> Rows:
        started = self._clock.monotonic()
        # A worker's other threads talk to the scheduler meanwhile, which is no work of the writer's.
        figures = await measured(
            self._embedded,
            task.series,
            self._bible(task.bible),
            seed=task.seed,
            episodes=task.episodes,
            clock=time.thread_time,
            engines=self._engines,
        )
        return Rows(json.dumps(figures), self._clock.monotonic() - started)

    def _rescored(self, task: Rescoring, before: tuple[str, ...]) -> Rows:
        started = self._clock.monotonic()
        bible = StoryBible.model_validate_json(before[0])
        rows = [_both_scores(Record.model_validate_json(text), bible) for text in before[1:]]
        return Rows(json.dumps(rows), self._clock.monotonic() - started)


def _both_scores(record: Record, bible: StoryBible) -> dict[str, Any]:
    """What was recorded, and what the scorer says today."""
    made = record.generation
    before, now = made.scorecard, score_script(made.episode, bible)
    return {
        "season": record.season,
        "episode": record.id,
        "number": record.number,
        "series": made.episode.series,
        "title": made.episode.title,
        "tier": made.tier,
        "writer": made.writer,
        "saved": record.saved.isoformat(),
        "recorded_by": before.scorer_version if before is not None else "",
        "scorer": now.scorer_version,
        "recorded": _figures(before),
        "today": _figures(now),
    }


def _figures(card: Scorecard | None) -> dict[str, float | None]:
    """Overall and by dimension, 0..10; None where there is no score."""
    if card is None:
        return {"overall": None}
    return {"overall": card.overall, **{str(name): value for name, value in by_dimension(card).items()}}
