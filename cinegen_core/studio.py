"""The composition root: from settings to a studio that writes episodes. The only place that wires."""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from types import TracebackType
from typing import Protocol, Self

from cinegen_core.clock import Clock, SystemClock
from cinegen_core.engines import Engine, all_engines
from cinegen_core.jobs import Job, JobView
from cinegen_core.settings import Settings
from cinegen_core.store import EpisodeStore, FolderStore, Record, Season
from cinegen_core.story import EpisodeRequest, Policy, StoryBible
from cinegen_core.tiers.judging import Judge, judge
from cinegen_core.tiers.model import Attempt, Generation, TierName
from cinegen_core.tiers.runner import TIERS, Answer, Budget, OnUpdate, run
from cinegen_core.writers.base import Writer
from cinegen_core.writers.embedded.writer import EmbeddedWriter
from cinegen_core.writers.template import TemplateWriter

TIER_WORDS: Mapping[TierName, str] = {
    "comprehensive": "with the engines",
    "enhanced_baseline": "in a single pass",
    "basic_fallback": "from the template",
}


class Transport(Protocol):
    """What calls to a model travel over. The studio closes it; writers that use a model are given it."""

    def close(self) -> None: ...


class StudioBusyError(RuntimeError):
    """As many episodes as `Settings.jobs` allows are being written. Wait for one, or stop one."""


def from_tier(tier: TierName | None) -> Policy:
    """The policy of somebody who picks a way of writing: that tier, and below it what catches a failure."""
    return Policy() if tier is None else Policy(tiers=TIERS[TIERS.index(tier) :])


class Studio:
    """Writes episodes: in the foreground (`generate`), or in the background and kept (`start`).

    Use it as a context manager, or call `close`. `decide` gives a person's policy (empty: nobody known).
    """

    def __init__(
        self,
        settings: Settings,
        *,
        clock: Clock | None = None,
        rng: random.Random | None = None,
        store: EpisodeStore | None = None,
        transport: Transport | None = None,
        writers: Mapping[TierName, Writer] | None = None,
        engines: Sequence[Engine] | None = None,
        judge: Judge = judge,
        decide: Callable[[str], Policy] | None = None,
    ) -> None:
        self.settings = settings
        self.store: EpisodeStore = store or FolderStore(settings.data_dir)
        self.engines: tuple[Engine, ...] = tuple(all_engines() if engines is None else engines)
        self._clock = clock or SystemClock()
        self._rng = rng or random.SystemRandom()
        self._transport = transport
        self._writers = writers or _writers()
        self._judge = judge
        self._decide = decide or (lambda who: Policy())
        self._jobs: dict[str, Job] = {}

    def new_id(self) -> str:
        return f"{self._rng.getrandbits(64):016x}"

    async def generate(
        self,
        request: EpisodeRequest,
        *,
        who: str = "",
        on_update: OnUpdate | None = None,
        policy: Policy | None = None,
        id: str | None = None,
    ) -> Generation:
        """One episode, and how it came about. Nothing is kept. Cancelling this cancels the work.

        Raises `NothingWrittenError` if no tier of the policy came to an episode.
        """
        policy = policy or self._decide(who)
        started = self._clock.monotonic()
        answer = await run(
            request,
            policy,
            writers=self._writers,
            engines=self.engines,
            judge=self._judge,
            clock=self._clock.monotonic,
            on_update=on_update or (lambda update: None),
            budget=Budget(seconds=self.settings.budget_seconds),
        )
        assert answer.winner.episode is not None
        return Generation(
            id=id or self.new_id(),
            episode=answer.winner.episode,
            tier=answer.winner.tier,
            writer=answer.winner.writer,
            attempts=answer.attempts,
            notices=_notices(answer),
            seconds=max(0.0, self._clock.monotonic() - started),
        )

    async def season(
        self, first: EpisodeRequest, *, episodes: int, policy: Policy | None = None, who: str = ""
    ) -> AsyncIterator[Generation]:
        """`first` and those after it, `episodes` in all; each takes the canonical choice of the last."""
        request = first
        for _ in range(episodes):
            generation = await self.generate(request, who=who, policy=policy)
            yield generation
            episode = generation.episode
            changes = {"number": episode.number + 1, "state": episode.state, "choice": None}
            request = EpisodeRequest.model_validate(
                {**{name: getattr(request, name) for name in EpisodeRequest.model_fields}, **changes}
            )

    def open_season(self, bible: StoryBible, *, source: str = "") -> Season:
        """A new season of this bible, kept. Raises `StoreError`."""
        season = Season(id=self.new_id(), title=bible.title, source=source, started=self._clock.now())
        self.store.add_season(season, bible)
        return season

    def start(
        self,
        request: EpisodeRequest,
        *,
        season: str,
        parent: str | None = None,
        who: str = "",
        policy: Policy | None = None,
    ) -> str:
        """Begins to write in the background; the id is that of the job, and later of the kept record.

        Raises `StudioBusyError` where too much is going on already.
        """
        if sum(job.running for job in self._jobs.values()) >= self.settings.jobs:
            raise StudioBusyError(
                f"{self.settings.jobs} episodes are being written at the moment. Wait for one, or stop one."
            )
        id = self.new_id()

        async def work(on_update: OnUpdate) -> None:
            generation = await self.generate(request, who=who, on_update=on_update, policy=policy, id=id)
            record = Record(
                id=id,
                season=season,
                parent=parent,
                choice=request.taken.id if request.taken else None,
                seed=request.seed,
                minutes=request.minutes,
                direction=request.direction,
                who=who,
                saved=self._clock.now(),
                asked=_asked(generation),
                generation=generation,
            )
            await asyncio.to_thread(self.store.save, record)

        job = Job(id=id, season=season, number=request.number, parent=parent, work=work)
        self._jobs[id] = job
        job.start()
        return id

    def job(self, id: str) -> JobView | None:
        """How a job stands; None for one that this studio has not started (perhaps one before it did)."""
        job = self._jobs.get(id)
        return job.view() if job else None

    def cancel(self, id: str) -> None:
        """Stops a job. What it was writing is dropped; a job that has ended stays as it is."""
        if id in self._jobs:
            self._jobs[id].cancel()

    def wait(self, id: str, seconds: float | None = None) -> JobView | None:
        """Waits until a job ends, at most so long, and says how it stands."""
        job = self._jobs.get(id)
        if job is None:
            return None
        job.join(seconds)
        return job.view()

    def close(self) -> None:
        """Stops what is being written, waits for it to stop, and closes what the studio owns."""
        for job in self._jobs.values():
            job.cancel()
        for job in self._jobs.values():
            job.join(None)
        if self._transport is not None:
            self._transport.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def _writers() -> dict[TierName, Writer]:
    embedded = EmbeddedWriter()
    return {"comprehensive": embedded, "enhanced_baseline": embedded, "basic_fallback": TemplateWriter()}


def _notices(answer: Answer) -> tuple[str, ...]:
    """What the reader of the episode should know about how it was written."""
    winner = answer.winner
    ways: dict[str, list[str]] = {}
    for attempt in answer.attempts:
        if attempt is not winner:
            ways.setdefault(_why_not(attempt), []).append(TIER_WORDS[attempt.tier])
    notices = [f"Not written {' or '.join(tried)}: {why}." for why, tried in ways.items()]
    if notices:
        notices.append(f"This episode was written {TIER_WORDS[winner.tier]}.")
    if winner.outcome != "accepted":
        notices.append(f"It {winner.reason.rstrip('.')}; none of the attempts did better.")
    return tuple(notices)


def _why_not(attempt: Attempt) -> str:
    reason = attempt.reason.rstrip(".")
    if attempt.outcome == "failed":
        kind, _, message = reason.partition(": ")
        return f"it failed ({message or kind})"
    if attempt.outcome == "below_threshold":
        return f"that attempt {reason}"
    if attempt.outcome == "accepted":
        return f"that attempt {reason}, less than this one"
    return f"it {reason}" if attempt.outcome == "timed_out" else reason


def _asked(generation: Generation) -> dict[str, tuple[str, ...]]:
    """Each directive's own fields, in words."""
    words: dict[str, tuple[str, ...]] = {}
    for engine_run in generation.engines:
        if engine_run.directive is None:
            continue
        fields = engine_run.directive.model_dump(
            mode="json", exclude={"engine", "operation"}, exclude_defaults=True
        )
        words[engine_run.engine] = tuple(
            f"{name.replace('_', ' ')}: {_in_words(item)}"
            for name, value in fields.items()
            for item in (value if _is_rows(value) else [value])
        )
    return words


def _is_rows(value: object) -> bool:
    return (
        isinstance(value, list)
        and bool(value)
        and all(isinstance(item, dict) and len(item) > 1 for item in value)
    )


def _in_words(value: object) -> str:
    if isinstance(value, dict):
        return ", ".join(f"{str(key).replace('_', ' ')} {_in_words(item)}" for key, item in value.items())
    if isinstance(value, list):
        return "; ".join(_in_words(item) for item in value)
    if isinstance(value, bool):
        return "yes" if value else "no"
    return str(value)
