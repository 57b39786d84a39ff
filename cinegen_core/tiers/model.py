"""What came of a request: attempts, the answer, and the small updates sent on the way."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, ConfigDict, Field, SerializeAsAny

from cinegen_core.engines import Directive, Phase, Realisation, all_engines
from cinegen_core.scorer import Scorecard
from cinegen_core.story import Episode
from cinegen_core.story.model import Noun
from cinegen_core.writers.base import Call, CallOutcome

TierName = Literal["comprehensive", "enhanced_baseline", "basic_fallback"]
Outcome = Literal["accepted", "below_threshold", "failed", "timed_out", "skipped"]


class DirectiveOfOthers(Directive):
    """The directive of an engine that is not one of the nineteen, read back with whatever fields it has."""

    model_config = ConfigDict(extra="allow")


def _as_its_engines(value: Any) -> Any:
    """A directive read back from JSON, as the type that its engine gives it."""
    if not isinstance(value, dict):
        return value
    kinds = {engine.name: engine.directive for engine in all_engines()}
    return kinds.get(str(value.get("engine")), DirectiveOfOthers).model_validate(value)


class EngineRun(Noun):
    """One engine's part in one attempt. `by` says who proposed: a model, or the engine's own rules. `instead` says why the
    rules stood in where a model was to propose; such a run counts apart from those that delivered."""

    engine: str
    phase: Phase
    by: Literal["rules", "model"] = "rules"
    directive: Annotated[SerializeAsAny[Directive] | None, BeforeValidator(_as_its_engines)] = None
    realisation: Realisation | None = None
    repaired: bool = False
    error: str | None = None
    instead: str = ""

    @property
    def delivered(self) -> bool:
        """Whether a valid directive came in time from whom it was asked of."""
        return self.directive is not None and not self.instead


ENGINE_SUCCESS = 0.8
"""The share of its active engines that must deliver for an attempt to count as an engine success."""


class Attempt(Noun):
    """One tier's try. `seconds` by the studio's clock, `cost` in US dollars; `log` has every call to a model, failed ones too.

    `episode` is the last that it came to: that of an attempt which failed or ran out of time may be its draft.
    """

    tier: TierName
    writer: str
    outcome: Outcome
    reason: str = ""
    seconds: Annotated[float, Field(ge=0)] = 0.0
    engines: tuple[EngineRun, ...] = ()
    calls: int = 0
    tokens: int = 0
    cached_tokens: int = 0
    cost: float = 0.0
    log: tuple[Call, ...] = ()
    episode: Episode | None = None
    scorecard: Scorecard | None = None

    @property
    def score(self) -> float | None:
        """Overall, 0..10; None where there was nothing to judge."""
        return self.scorecard.overall if self.scorecard is not None else None

    @property
    def engine_success(self) -> bool | None:
        """Whether at least `ENGINE_SUCCESS` of its engines delivered; None where none were active."""
        if not self.engines:
            return None
        return sum(run.delivered for run in self.engines) >= ENGINE_SUCCESS * len(self.engines)

    @property
    def providers(self) -> tuple[str, ...]:
        """Whose models answered, in order of their first answer."""
        return tuple(dict.fromkeys(call.provider for call in self.log if call.outcome == "answered"))


class Generation(Noun):
    """The answer to a request: the best episode, how it came about, and what its reader should be told.

    `kept` is when it was first written, where it comes from the cache of results; `seconds` is then what the look took.
    `flags` are those that decided how it was written, with `flag_reasons` in words; empty where a person chose the way of writing.
    """

    id: str
    episode: Episode
    tier: TierName
    writer: str
    attempts: tuple[Attempt, ...]
    notices: tuple[str, ...] = ()
    seconds: Annotated[float, Field(ge=0)] = 0.0
    kept: datetime | None = None
    flags: dict[str, bool] = Field(default_factory=dict)
    flag_reasons: dict[str, str] = Field(default_factory=dict)

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


class CallEnded(Noun):
    """One call to a model, ended well or not."""

    kind: Literal["call"] = "call"
    purpose: str
    provider: str
    outcome: CallOutcome
    tokens: int
    cost: float


class TextGrew(Noun):
    """All of the text so far."""

    kind: Literal["text"] = "text"
    text: str


class AttemptEnded(Noun):
    kind: Literal["attempt"] = "attempt"
    tier: TierName
    outcome: Outcome
    reason: str = ""
    score: float | None = None


Update = Annotated[
    TierStarted | PhaseStarted | EngineFinished | CallEnded | TextGrew | AttemptEnded,
    Field(discriminator="kind"),
]
