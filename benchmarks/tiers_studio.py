"""The studio as it is measured: with engines that ask for no repair, on a model at some address."""

from __future__ import annotations

import asyncio
import random
import tempfile
import time
from collections import defaultdict
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar, cast

from pydantic import SecretStr

from benchmarks.tiers_clients import KEY, Task, Took, measured
from benchmarks.tiers_served import whole
from cinegen_core.engines import Directive, Engine, EngineContext, Realisation, all_engines
from cinegen_core.settings import Settings
from cinegen_core.store import MemoryStore
from cinegen_core.store.results import NoResults, ResultCache, Results
from cinegen_core.story import Episode, EpisodeRequest, Policy, StoryBible
from cinegen_core.studio import Studio
from cinegen_core.tiers.judging import Verdict, judge
from cinegen_core.writers.model import Provider, Transport
from tests.model.brain import SHELF, shelf_request
from tests.model.transport import FaultyTransport

T = TypeVar("T")

NAMES = tuple(path.stem for path in sorted((SHELF / "bibles").glob("*.yaml")))

ONE_TIER = Policy(tiers=("comprehensive",))
"""Whether the short form of an episode is good enough is not what is measured: no second attempt is made."""

LOOKS = 200
"""Kept answers that are asked for."""


def requests(count: int) -> list[EpisodeRequest]:
    """All bibles of the shelf in turn, with another seed each time round."""
    return [shelf_request(NAMES[n % len(NAMES)], seed=n // len(NAMES)) for n in range(count)]


class Thinking:
    """Thread seconds by what they went into."""

    def __init__(self) -> None:
        self.seconds: defaultdict[str, float] = defaultdict(float)

    def timed(self, part: str, work: Callable[[], T]) -> T:
        started = time.thread_time()
        try:
            return work()
        finally:
            self.seconds[part] += time.thread_time() - started

    def judge(self, episode: Episode, bible: StoryBible, profile: str) -> Verdict:
        return self.timed("judge", lambda: judge(episode, bible, profile))


def content(engine: Engine, thinking: Thinking | None = None) -> Engine:
    """The engine, content with every episode once it has checked it, so that no repair is asked for.

    Without `thinking` it does not even check.
    """
    kind = type(engine)

    def propose(self: Engine, context: EngineContext) -> Directive:
        if thinking is None:
            return engine.propose(context)
        return thinking.timed("proposals", lambda: engine.propose(context))

    def realised(self: Engine, episode: Episode, directive: Directive, context: EngineContext) -> Realisation:
        if thinking is None:
            return Realisation(engine=engine.name, score=1.0)
        found = thinking.timed("checks", lambda: engine.realised(episode, directive, context))
        return found.model_copy(update={"score": 1.0})

    return cast(Engine, type(kind.__name__, (kind,), {"propose": propose, "realised": realised})())


def accepts(episode: Episode, bible: StoryBible, profile: str) -> Verdict:
    return Verdict(True, 1.0, "is not judged")


def a_studio(
    url: str, thinking: Thinking | None, *, results: Results | None = None, transport: Transport | None = None
) -> Studio:
    provider = Provider(name="primary", base_url=url, model="primary-model", key=SecretStr(KEY))
    return Studio(
        Settings(providers=(provider,)),
        rng=random.Random(1),
        store=MemoryStore(),
        results=results or NoResults(),
        transport=transport,
        engines=[content(engine, thinking) for engine in all_engines()],
        judge=thinking.judge if thinking else accepts,
        probes=False,
    )


async def _episode(studio: Studio, request: EpisodeRequest) -> int:
    """The characters of all answers, as tokens times four: the studio keeps no more of them."""
    generation = await studio.generate(request, policy=ONE_TIER)
    log = generation.attempts[0].log
    assert all(call.outcome == "answered" for call in log), log
    return 4 * sum(call.completion_tokens for call in log)


async def by_the_studio(task: Task, took: Took, *, thinks: bool) -> None:
    asked = requests(task.episodes)
    if task.instant:
        with a_studio(task.instant, Thinking() if thinks else None) as studio:
            await _episode(studio, asked[0])
    thinking = Thinking() if thinks else None
    with a_studio(task.timed, thinking) as studio, measured(took):
        took.answered = sum(await asyncio.gather(*(_episode(studio, request) for request in asked)))
    took.parts = dict(thinking.seconds) if thinking else {}


async def from_the_cache(took: Took) -> None:
    """An episode of each bible is kept; then they are asked for in turn, `LOOKS` times in all."""
    model = FaultyTransport(brain=whole)
    with tempfile.TemporaryDirectory() as folder:
        cache = ResultCache(Path(folder) / "results", warn=_fail)
        with a_studio(
            "http://127.0.0.1:1/v1", Thinking(), results=cache, transport=lambda _: model
        ) as studio:
            asked = requests(len(NAMES))
            for request in asked:
                await studio.generate(request)
            written = model.calls
            with measured(took):
                for n in range(LOOKS):
                    started = time.perf_counter()
                    generation = await studio.generate(asked[n % len(asked)])
                    took.each.append(time.perf_counter() - started)
                    assert generation.kept is not None
            assert model.calls == written


def _fail(warning: str) -> None:
    raise RuntimeError(warning)
