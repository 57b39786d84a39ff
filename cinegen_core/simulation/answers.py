"""Answers of a simulated studio: the tiers' rules over what the pool has of a request, with what is wrong at the time."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime

from cinegen_core.engines import all_engines
from cinegen_core.monitor.events import AttemptFact, EngineFact, GenerationEvent
from cinegen_core.simulation.incidents import FAILED_AFTER, WELL, Effect
from cinegen_core.simulation.pool import Entry, Pool, Take
from cinegen_core.steering import policy_of
from cinegen_core.tiers.judging import as_guide, profiles
from cinegen_core.tiers.model import Outcome, TierName
from cinegen_core.tiers.runner import TIERS, Budget

PACE = 60.0
"""What measured seconds are multiplied by, so that the embedded writer takes as long as a model would: about 20 s. Invented."""

_NEVER = datetime(1970, 1, 1, tzinfo=UTC)


class Answers:
    """Answers to the requests of a pool. Each is worked out once, and then only copied.

    `pace` multiplies measured seconds. A request whose person has no genre engines is answered as in the pool, without
    these engines among its own: what their absence does to the score is not simulated.
    """

    def __init__(self, pool: Pool, *, pace: float = PACE) -> None:
        self._entries, self._pace = pool.entries, pace
        self._most = Budget().seconds
        self._genre = frozenset(engine.name for engine in all_engines() if engine.phase == "genre")
        self._known: dict[tuple[int, tuple[tuple[str, bool], ...], Effect], GenerationEvent] = {}

    def __len__(self) -> int:
        return len(self._entries)

    def answer(self, number: int, flags: Mapping[str, bool], effect: Effect = WELL) -> GenerationEvent:
        """What a request comes to; `id`, `at`, `who` and `flags` are for the caller to fill."""
        key = (number, tuple(flags.items()), effect)
        found = self._known.get(key)
        if found is None:
            policy = policy_of(flags)
            tiers = tuple(tier for tier in TIERS if tier in policy.tiers)
            found = self._known[key] = self._worked_out(
                self._entries[number], tiers, policy.genre_engines, effect
            )
        return found

    def _worked_out(
        self, entry: Entry, tiers: tuple[TierName, ...], genre: bool, effect: Effect
    ) -> GenerationEvent:
        attempts: list[tuple[AttemptFact, Take]] = []
        best: tuple[AttemptFact, Take] | None = None
        engines: tuple[EngineFact, ...] = ()
        for tier in tiers:
            take = entry.takes[tier]
            fact = self._attempt(tier, take, effect)
            attempts.append((fact, take))
            if fact.outcome != "failed" and take.engines and not engines:
                engines = tuple(
                    _delivered(one, effect) for one in take.engines if genre or one.engine not in self._genre
                )
            if fact.score is not None and (
                best is None or best[0].score is None or fact.score > best[0].score
            ):
                best = (fact, take)
            if fact.outcome == "accepted":
                break
        assert best is not None  # the template always has a score
        winner, take = best
        assert winner.score is not None
        profile, first = entry.takes[tiers[0]].profile, tiers[0]
        drop = 0.0 if winner.tier == "basic_fallback" else effect.drop
        return GenerationEvent(
            id="",
            at=_NEVER,
            series="simulated",
            title=entry.title,
            number=entry.number,
            genres=entry.genres,
            asked=entry.asked,
            tier=winner.tier,
            first=first,
            writer=winner.writer,
            profile=profile,
            seconds=round(min(self._most, sum(fact.seconds for fact, _ in attempts)), 3),
            score=winner.score,
            quality=as_guide(winner.score, profile),
            accepted=winner.outcome == "accepted",
            dimensions={name: _lowered(value, drop) for name, value in take.dimensions.items()},
            engines=engines,
            attempts=tuple(fact for fact, _ in attempts),
            error=winner.tier == "basic_fallback" and first != "basic_fallback",
            fallback=winner.tier != first,
        )

    def _attempt(self, tier: TierName, take: Take, effect: Effect) -> AttemptFact:
        if effect.outage and tier != "basic_fallback":
            return AttemptFact(tier=tier, writer=take.writer, outcome="failed", seconds=FAILED_AFTER)
        slower = effect.slower if tier != "basic_fallback" else 1.0
        score = take.score if tier == "basic_fallback" else _lowered(take.score, effect.drop)
        least = profiles()[take.profile].least
        outcome: Outcome = "accepted" if take.outcome == "accepted" and score >= least else "below_threshold"
        return AttemptFact(
            tier=tier,
            writer=take.writer,
            outcome=outcome,
            seconds=round(min(self._most, take.seconds * self._pace * slower), 3),
            score=score,
            calls=take.calls,
            tokens=take.tokens,
            cost=take.cost,
        )


def _delivered(fact: EngineFact, effect: Effect) -> EngineFact:
    return EngineFact(engine=fact.engine, delivered=False) if fact.engine in effect.lost else fact


def _lowered(value: float, drop: float) -> float:
    return round(max(0.0, value - drop), 2)
