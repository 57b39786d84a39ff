"""What came of a request: attempts, the answer, and the small updates sent on the way."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field, SerializeAsAny

from cinegen_core.engines import Directive, Phase, Realisation, all_engines
from cinegen_core.scorer import Scorecard
from cinegen_core.story import Episode
from cinegen_core.story.model import Noun

TierName = Literal["comprehensive", "enhanced_baseline", "basic_fallback"]
Outcome = Literal["accepted", "below_threshold", "failed", "timed_out", "skipped"]


def _as_its_engines(value: Any) -> Any:
    """A directive read back from JSON, as the type that its engine gives it."""
    if not isinstance(value, dict):
        return value
    kinds = {engine.name: engine.directive for engine in all_engines()}
    return kinds.get(str(value.get("engine")), Directive).model_validate(value)


class EngineRun(Noun):
    """One engine's part in one attempt. `by` says who proposed: a model, or the engine's own rules."""

    engine: str
    phase: Phase
    by: Literal["rules", "model"] = "rules"
    directive: Annotated[SerializeAsAny[Directive] | None, BeforeValidator(_as_its_engines)] = None
    realisation: Realisation | None = None
    repaired: bool = False
    error: str | None = None


class Attempt(Noun):
    """One tier's try. `seconds` by the studio's clock, `cost` in US dollars."""

    tier: TierName
    writer: str
    outcome: Outcome
    reason: str = ""
    seconds: Annotated[float, Field(ge=0)] = 0.0
    engines: tuple[EngineRun, ...] = ()
    calls: int = 0
    tokens: int = 0
    cost: float = 0.0
    episode: Episode | None = None
    scorecard: Scorecard | None = None

    @property
    def score(self) -> float | None:
        """Overall, 0..10; None where there was nothing to judge."""
        return self.scorecard.overall if self.scorecard is not None else None


class Generation(Noun):
    """The answer to a request: the best episode, how it came about, and what its reader should be told."""

    id: str
    episode: Episode
    tier: TierName
    writer: str
    attempts: tuple[Attempt, ...]
    notices: tuple[str, ...] = ()
    seconds: Annotated[float, Field(ge=0)] = 0.0

    @property
    def winner(self) -> Attempt | None:
        """The attempt whose episode this is."""
        return next((a for a in reversed(self.attempts) if a.episode == self.episode), None)

    @property
    def engines(self) -> tuple[EngineRun, ...]:
        """The engine runs of the attempt that won."""
        return self.winner.engines if self.winner is not None else ()

    @property
    def scorecard(self) -> Scorecard | None:
        """The scorecard of the attempt that won; None for one that was written before there were any."""
        return self.winner.scorecard if self.winner is not None else None


class TierStarted(Noun):
    kind: Literal["tier"] = "tier"
    tier: TierName
    writer: str


class PhaseStarted(Noun):
    kind: Literal["phase"] = "phase"
    phase: Literal["draft", "engines", "synthesis", "check", "repair"]


class EngineFinished(Noun):
    kind: Literal["engine"] = "engine"
    engine: str
    phase: Phase
    ok: bool


class TextGrew(Noun):
    kind: Literal["text"] = "text"
    text: str


class AttemptEnded(Noun):
    kind: Literal["attempt"] = "attempt"
    tier: TierName
    outcome: Outcome
    reason: str = ""
    score: float | None = None


Update = Annotated[
    TierStarted | PhaseStarted | EngineFinished | TextGrew | AttemptEnded, Field(discriminator="kind")
]
