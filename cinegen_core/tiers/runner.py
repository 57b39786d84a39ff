"""Tiers in order, one budget, the best attempt kept."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from cinegen_core.engines import Directive, Engine, EngineContext, active_engines, by_priority, realisation
from cinegen_core.story import Draft, Episode, EpisodeRequest, Policy
from cinegen_core.tiers.judging import Judge, Verdict
from cinegen_core.tiers.model import (
    Attempt,
    AttemptEnded,
    CallEnded,
    EngineFinished,
    EngineRun,
    Outcome,
    PhaseStarted,
    TextGrew,
    TierName,
    TierStarted,
    Update,
)
from cinegen_core.writers.base import Call, Desk, Proposer, Writer

TIERS: tuple[TierName, ...] = ("comprehensive", "enhanced_baseline", "basic_fallback")

REALISED = 0.5
"""A directive whose realisation is below this is asked for again, once."""

WAVE_SHARE = 0.5
"""Of the time left after the draft, engines that ask a model may take this much; what is late is proposed by rules."""

OnUpdate = Callable[[Update], None]
Clock = Callable[[], float]
"""Seconds, from any start, never going back."""


@dataclass(frozen=True)
class Budget:
    """How long one request may take, in seconds, and how the tiers share it.

    A tier may use its share and all that earlier tiers left; with less than its `least` left it is skipped.
    """

    seconds: float = 120.0
    shares: Mapping[TierName, float] = field(
        default_factory=lambda: {"comprehensive": 0.65, "enhanced_baseline": 0.3, "basic_fallback": 0.05}
    )
    least: Mapping[TierName, float] = field(
        default_factory=lambda: {"comprehensive": 1.0, "enhanced_baseline": 0.5, "basic_fallback": 0.0}
    )

    def ends(self, tiers: Sequence[TierName]) -> dict[TierName, float]:
        """Seconds from the start at which each tier must be done; the last may use all of the budget."""
        whole = sum(self.shares[tier] for tier in tiers)
        used = 0.0
        ends: dict[TierName, float] = {}
        for tier in tiers:
            used += self.shares[tier]
            ends[tier] = self.seconds * used / whole
        return ends


@dataclass(frozen=True)
class Answer:
    """All attempts in order, and the one whose episode is the answer."""

    winner: Attempt
    attempts: tuple[Attempt, ...]


class NothingWrittenError(Exception):
    """No tier came to an episode. Cannot happen while `basic_fallback` is among the policy's tiers.

    Raised by `run`; `attempts` says what each tier ran into.
    """

    def __init__(self, attempts: Sequence[Attempt]) -> None:
        self.attempts = tuple(attempts)
        said = "; ".join(f"{attempt.tier}: {attempt.reason or attempt.outcome}" for attempt in attempts)
        super().__init__(f"No episode was written ({said or 'no tier was allowed'}).")


class Stopped(asyncio.CancelledError):
    """The work was cancelled when something was finished already: `answer` has the best of it."""

    def __init__(self, answer: Answer) -> None:
        super().__init__("stopped")
        self.answer = answer


class Halt:
    """Makes the comprehensive attempt of one request fall to the next tier at once. May be used from any thread."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._limit: tuple[asyncio.Timeout, asyncio.AbstractEventLoop] | None = None
        self.reason = ""

    def fall(self, reason: str) -> None:
        """`reason` as it will stand in the attempt: "was stopped because ..."."""
        with self._lock:
            self.reason = self.reason or reason
            if self._limit is not None:
                limit, loop = self._limit
                loop.call_soon_threadsafe(_end_now, limit, loop)

    def _watch(self, limit: asyncio.Timeout | None) -> None:
        with self._lock:
            loop = asyncio.get_running_loop()
            self._limit = (limit, loop) if limit is not None else None
            if limit is not None and self.reason:
                _end_now(limit, loop)


def _end_now(limit: asyncio.Timeout, loop: asyncio.AbstractEventLoop) -> None:
    try:
        limit.reschedule(loop.time())
    except RuntimeError:
        return  # it has just come to its end by itself


async def run(
    request: EpisodeRequest,
    policy: Policy,
    *,
    writers: Mapping[TierName, Writer],
    engines: Sequence[Engine],
    judge: Judge,
    clock: Clock,
    on_update: OnUpdate,
    budget: Budget,
    halt: Halt | None = None,
    waited: float = 0.0,
) -> Answer:
    """Tries `policy.tiers` in order, each with its writer, until an episode is accepted. The best-scored one wins.

    `on_update` is called from this task as work goes on. Cancelling the task cancels the calls in flight; if something was
    finished by then, `Stopped` is raised with it. `waited` seconds of the budget were spent before work began.
    Raises `NothingWrittenError`, and `ValueError` for a tier that does not exist.
    """
    started = clock() - waited
    tiers = [_tier(name) for name in policy.tiers]
    ends = budget.ends(tiers)
    room = _Room(request, policy, engines, judge, clock, on_update, halt or Halt())
    attempts: list[Attempt] = []
    best: tuple[float, Attempt] | None = None
    for tier in tiers:
        left = started + ends[tier] - clock()
        work = _Work()
        begun = clock()
        writer = writers.get(tier)
        try:
            attempt, rank = await room.attempt(tier, writer, left, budget.least[tier], work)
        except asyncio.CancelledError:
            if writer is not None:
                attempt, rank = room.ended(tier, writer, begun, work, "failed", "was stopped")
                attempts.append(attempt)
                if attempt.episode is not None and (best is None or rank > best[0]):
                    best = (rank, attempt)
            if best is None:
                raise
            raise Stopped(Answer(best[1], tuple(attempts))) from None
        attempts.append(attempt)
        on_update(
            AttemptEnded(tier=tier, outcome=attempt.outcome, reason=attempt.reason, score=attempt.score)
        )
        # A later tier is accepted by its own threshold, and may still be worse than what is there.
        if attempt.episode is not None and (best is None or rank > best[0]):
            best = (rank, attempt)
        if attempt.outcome == "accepted":
            break
    if best is None:
        raise NothingWrittenError(attempts)
    return Answer(best[1], tuple(attempts))


def _tier(name: str) -> TierName:
    for tier in TIERS:
        if tier == name:
            return tier
    raise ValueError(f"there is no tier {name!r}; there are {', '.join(TIERS)}")


@dataclass
class _Work:
    """What one attempt has come to so far; an episode in it is kept when time runs out."""

    draft: Episode | None = None
    episode: Episode | None = None
    engines: tuple[EngineRun, ...] = ()
    calls: list[Call] = field(default_factory=list)
    trouble: str = ""


@dataclass(frozen=True)
class _Room:
    """One request, and what every attempt at it needs."""

    request: EpisodeRequest
    policy: Policy
    engines: Sequence[Engine]
    judge: Judge
    clock: Clock
    on_update: OnUpdate
    halt: Halt

    async def attempt(
        self, tier: TierName, writer: Writer | None, left: float, least: float, work: _Work
    ) -> tuple[Attempt, float]:
        """One tier's attempt and its rank. Whatever a writer raises becomes a failed attempt."""
        if writer is None:
            reason = "no writer is set up for this tier"
            return Attempt(tier=tier, writer="", outcome="skipped", reason=reason), 0.0
        if left < least:
            reason = f"{max(left, 0):.1f} s were left, it needs {least:g} s"
            return Attempt(tier=tier, writer=writer.name, outcome="skipped", reason=reason), 0.0
        self.on_update(TierStarted(tier=tier, writer=writer.name))
        started = self.clock()

        def called(call: Call) -> None:
            work.calls.append(call)
            self.on_update(
                CallEnded(
                    purpose=call.purpose,
                    provider=call.provider,
                    outcome=call.outcome,
                    tokens=call.prompt_tokens + call.completion_tokens,
                    cost=call.cost,
                )
            )

        desk = Desk(
            said=lambda text: self.on_update(TextGrew(text=text)),
            called=called,
            left=lambda: started + left - self.clock(),
            clock=self.clock,
        )
        try:
            outcome, reason = await self._write(tier, writer, left, work, desk)
        finally:
            await desk.close()
        return self.ended(tier, writer, started, work, outcome, reason)

    def ended(
        self, tier: TierName, writer: Writer, started: float, work: _Work, outcome: Outcome, reason: str
    ) -> tuple[Attempt, float]:
        """The attempt and its rank. `outcome` and `reason` hold only if the whole of it was not written."""
        rank = 0.0
        verdict: Verdict | None = None
        kept = work.episode or work.draft
        if kept is not None:
            verdict = self.judge(kept, self.request.bible, writer.profile)
            rank = verdict.rank
            if work.episode is not None:
                outcome = "accepted" if verdict.accepted else "below_threshold"
                reason = verdict.reason + work.trouble
            else:
                reason += f"; its draft {verdict.reason}"
        attempt = Attempt(
            tier=tier,
            writer=writer.name,
            outcome=outcome,
            reason=reason,
            seconds=max(0.0, self.clock() - started),
            engines=work.engines,
            calls=len(work.calls),
            tokens=sum(call.prompt_tokens + call.completion_tokens for call in work.calls),
            cached_tokens=sum(call.cached_tokens for call in work.calls),
            cost=sum(call.cost for call in work.calls),
            log=tuple(work.calls),
            episode=kept,
            scorecard=verdict.scorecard if verdict is not None else None,
        )
        return attempt, rank

    async def _write(
        self, tier: TierName, writer: Writer, left: float, work: _Work, desk: Desk
    ) -> tuple[Outcome, str]:
        """Fills `work`; the outcome and reason hold only if no finished episode came of it."""
        try:
            # The last resort takes no time that would have to be cut, and must come to an end.
            async with asyncio.timeout(None if tier == "basic_fallback" else left) as limit:
                if tier == "comprehensive":
                    self.halt._watch(limit)
                    await self._comprehensive(writer, work, desk)
                else:
                    self.on_update(PhaseStarted(phase="draft"))
                    work.episode = (await writer.draft(self.request, self.policy, desk)).episode
        except TimeoutError:
            if tier == "comprehensive" and self.halt.reason:
                work.trouble = f"; its repair {self.halt.reason}"
                return "failed", self.halt.reason
            work.trouble = "; there was no time left for its repair"
            return "timed_out", f"did not finish in the {left:.1f} s that it had"
        except Exception as error:  # noqa: BLE001 (a writer may be anybody's; the reason is kept)
            work.trouble = f"; its repair failed ({type(error).__name__}: {error})"
            return "failed", f"{type(error).__name__}: {error}"
        finally:
            if tier == "comprehensive":
                self.halt._watch(None)
        return "failed", "the writer gave no episode"

    async def _comprehensive(self, writer: Writer, work: _Work, desk: Desk) -> None:
        self.on_update(PhaseStarted(phase="draft"))
        draft = await writer.draft(self.request, self.policy, desk)
        work.draft = draft.episode
        context = EngineContext(request=self.request, draft=draft)
        working = active_engines(self.engines, self.request.bible, self.policy)
        self.on_update(PhaseStarted(phase="engines"))
        runs = await self._wave(writer, working, context, desk)
        work.engines = tuple(runs)
        proposed = (run.directive for run in runs if run.directive is not None)
        directives = by_priority(proposed, working)
        self.on_update(PhaseStarted(phase="synthesis"))
        episode = await writer.synthesise(self.request, self.policy, draft, directives, desk)
        self.on_update(PhaseStarted(phase="check"))
        work.engines = _check(working, runs, episode, context)
        work.episode = episode
        for _ in range(self.policy.repairs):
            if not await self._repaired(writer, work, desk, draft, directives, context, working):
                return

    async def _repaired(
        self,
        writer: Writer,
        work: _Work,
        desk: Desk,
        draft: Draft,
        directives: Sequence[Directive],
        context: EngineContext,
        working: Sequence[Engine],
    ) -> bool:
        """Asks once for what is missing; whether that made the episode better."""
        assert work.episode is not None
        missing = [
            run.directive for run in work.engines if run.directive is not None and _score(run) < REALISED
        ]
        if not missing:
            return False
        self.on_update(PhaseStarted(phase="repair"))
        repaired = await writer.repair(
            self.request, self.policy, draft, work.episode, directives, missing, desk
        )
        again = _check(working, work.engines, repaired, context)
        if sum(map(_score, again)) <= sum(map(_score, work.engines)):
            return False
        before = {run.engine: _score(run) for run in work.engines}
        work.episode = repaired
        work.engines = tuple(
            run.model_copy(update={"repaired": True}) if _score(run) > before[run.engine] else run
            for run in again
        )
        return True

    async def _wave(
        self, writer: Writer, working: Sequence[Engine], context: EngineContext, desk: Desk
    ) -> list[EngineRun]:
        """What all engines want: asked of the model at once where the writer has one, else by rules one after the other."""
        if not isinstance(writer, Proposer):
            return [await self._propose(engine, context) for engine in working]
        seconds = WAVE_SHARE * desk.left()
        async with asyncio.TaskGroup() as wave:
            asked = [
                wave.create_task(self._ask(writer, engine, context, desk, seconds)) for engine in working
            ]
        return [task.result() for task in asked]

    async def _ask(
        self, writer: Proposer, engine: Engine, context: EngineContext, desk: Desk, seconds: float
    ) -> EngineRun:
        try:
            async with asyncio.timeout(seconds):
                directive = await writer.propose(engine, context, self.policy, desk)
        except TimeoutError:
            return await self._propose(engine, context, instead=f"the model took longer than {seconds:.1f} s")
        except Exception as error:  # noqa: BLE001 (recorded; the engine's rules stand in)
            return await self._propose(engine, context, instead=str(error) or type(error).__name__)
        self.on_update(EngineFinished(engine=engine.name, phase=engine.phase, ok=True))
        return EngineRun(engine=engine.name, phase=engine.phase, by="model", directive=directive)

    async def _propose(self, engine: Engine, context: EngineContext, *, instead: str = "") -> EngineRun:
        # Gives others a turn, and cancellation a place to happen, between engines that never wait.
        await asyncio.sleep(0)
        directive: Directive | None = None
        error: str | None = None
        try:
            directive = engine.propose(context)
        except Exception as caught:  # noqa: BLE001 (recorded; one engine's failure costs the others nothing)
            error = f"{type(caught).__name__}: {caught}"
        self.on_update(
            EngineFinished(engine=engine.name, phase=engine.phase, ok=error is None and not instead)
        )
        return EngineRun(
            engine=engine.name, phase=engine.phase, directive=directive, error=error, instead=instead
        )


def _score(run: EngineRun) -> float:
    return run.realisation.score if run.realisation is not None else 0.0


def _check(
    working: Sequence[Engine], runs: Sequence[EngineRun], episode: Episode, context: EngineContext
) -> tuple[EngineRun, ...]:
    checked: list[EngineRun] = []
    for engine, run in zip(working, runs, strict=True):
        if run.directive is None:
            checked.append(run)
            continue
        try:
            found = realisation(engine, run.directive, episode, context)
        except Exception as caught:  # noqa: BLE001 (recorded, as in _propose)
            checked.append(run.model_copy(update={"error": f"{type(caught).__name__}: {caught}"}))
        else:
            checked.append(run.model_copy(update={"realisation": found}))
    return tuple(checked)
