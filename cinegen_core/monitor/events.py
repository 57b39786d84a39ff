"""What happened, as facts that are only ever added: the ground that every figure stands on."""

from __future__ import annotations

import hashlib
from datetime import datetime
from typing import Annotated, Literal

from pydantic import Field

from cinegen_core.story import EpisodeRequest
from cinegen_core.story.model import Noun
from cinegen_core.tiers.judging import as_guide, profiles
from cinegen_core.tiers.model import Attempt, Generation, Outcome, TierName

Series = Literal["live", "staging", "simulated"]
"""Where an event comes from. Figures are of one series; only live ones decide anything."""


class EngineFact(Noun):
    """One active engine of the attempt that had engines: whether it delivered, and how far it is in the script (0..1)."""

    engine: str
    delivered: bool
    realised: Annotated[float, Field(ge=0, le=1)] | None = None


class AttemptFact(Noun):
    """One tier's try. `cost` in US dollars."""

    tier: TierName
    writer: str
    outcome: Outcome
    seconds: Annotated[float, Field(ge=0)]
    score: float | None = None
    calls: int = 0
    tokens: int = 0
    cost: float = 0.0


class GenerationEvent(Noun):
    """One request, answered. `who` is a keyed hash, or as given where the operator wants it so.

    `asked` is a digest of what was asked for, whoever answers and however: answers to the same can be paired. `seconds` are whole
    milliseconds. `score` is the scorer's (0..10), `quality` the same on the guide's scale, whoever wrote. `first` is the highest tier that the
    policy permitted: an answer by a lower one is a `fallback`. `error`: without an episode, or only through the template because
    all above it failed. What is `kept` (from the cache of results), given in an `emergency`, or written for a `trial` (a comparison
    of ways, where nobody was served) takes no part in health, triggers or gates.
    """

    kind: Literal["generation"] = "generation"
    id: str
    at: datetime
    series: Series = "live"
    who: str = ""
    title: str = ""
    number: int = 1
    genres: tuple[str, ...] = ()
    asked: str = ""
    tier: TierName
    first: TierName
    writer: str
    profile: str
    seconds: Annotated[float, Field(ge=0)]
    score: float | None = None
    quality: float | None = None
    accepted: bool = True
    dimensions: dict[str, float] = Field(default_factory=dict)
    engines: tuple[EngineFact, ...] = ()
    attempts: tuple[AttemptFact, ...] = ()
    flags: dict[str, bool] = Field(default_factory=dict)
    error: bool = False
    fallback: bool = False
    kept: bool = False
    emergency: bool = False
    trial: bool = False

    @property
    def counts(self) -> bool:
        """Whether it says something about how the studio does."""
        return not self.kept and not self.emergency and not self.trial


class FeedbackEvent(Noun):
    """What a reader did with an episode: read it to its choice, took it away, or rated it (1..10)."""

    kind: Literal["feedback"] = "feedback"
    id: str
    at: datetime
    series: Series = "live"
    who: str = ""
    generation: str
    action: Literal["shown", "chose", "rated", "exported"]
    rating: Annotated[int, Field(ge=1, le=10)] | None = None
    why: Annotated[str, Field(max_length=2000)] = ""


class HeartbeatEvent(Noun):
    """A studio that runs: once a minute, and when it starts and stops. `answered` is whether it answered its own probe.

    `watched` and `up` are the seconds since this studio's last heartbeat that it should have run, and those of them that it
    did: see `cinegen_core.monitor.uptime`.
    """

    kind: Literal["heartbeat"] = "heartbeat"
    id: str
    at: datetime
    series: Series = "live"
    studio: str
    state: Literal["started", "running", "stopped"] = "running"
    answered: bool = True
    up: Annotated[float, Field(ge=0)] = 0.0
    watched: Annotated[float, Field(ge=0)] = 0.0


class AlertEvent(Noun):
    """One alert's step from one state to the next. `incident` groups alerts that began together and share a cause."""

    kind: Literal["alert"] = "alert"
    id: str
    at: datetime
    series: Series = "live"
    alert: str
    rule: str
    severity: Literal["critical", "warning", "info"]
    state: Literal["pending", "firing", "resolved", "acknowledged"]
    value: float | None = None
    threshold: float | None = None
    incident: str = ""
    cause: str = ""
    by: str = ""


class SilenceEvent(Noun):
    """No notifications of a rule before `until`, by a person's word; a silence that ends at once lifts those before it. The alert
    itself goes on as ever."""

    kind: Literal["silence"] = "silence"
    id: str
    at: datetime
    series: Series = "live"
    rule: str
    until: datetime
    by: str
    why: str = ""


class Side(Noun):
    """One of the two that a reader compared: its generation, and how it was made, `way` in words that tell ways apart."""

    generation: str
    way: str
    tier: TierName
    writer: str


class VoteEvent(Noun):
    """What a reader preferred of two answers to one request without knowing how they were made; `first` was shown first (left).
    `about` is `overall` or a dimension of the scorer."""

    kind: Literal["vote"] = "vote"
    id: str
    at: datetime
    series: Series = "live"
    who: str = ""
    comparison: str
    about: str = "overall"
    first: Side
    second: Side
    preferred: Literal["first", "second", "neither"]


Event = Annotated[
    GenerationEvent | FeedbackEvent | HeartbeatEvent | AlertEvent | SilenceEvent | VoteEvent,
    Field(discriminator="kind"),
]


def generation_event(
    generation: Generation,
    *,
    at: datetime,
    first: TierName,
    profile: str,
    who: str = "",
    series: Series = "live",
    emergency: bool = False,
    request: EpisodeRequest | None = None,
    trial: bool = False,
) -> GenerationEvent:
    """The event of an answer. `profile` is that of the writer of the highest tier allowed, `first`; `request` is what was asked."""
    winner = generation.winner
    score = winner.score if winner is not None else None
    card = generation.scorecard
    with_engines = next((attempt for attempt in generation.attempts if attempt.engines), None)
    return GenerationEvent(
        id=generation.id,
        at=at,
        series=series,
        who=who,
        title=generation.episode.series,
        number=generation.episode.number,
        genres=tuple(str(genre) for genre in request.bible.genres) if request is not None else (),
        asked=digest_of(request) if request is not None else "",
        tier=generation.tier,
        first=first,
        writer=generation.writer,
        profile=profile if profile in profiles() else "model",
        seconds=round(generation.seconds, 3),
        score=score,
        quality=None if score is None else as_guide(score, profile),
        accepted=winner is not None and winner.outcome == "accepted",
        dimensions={
            str(name): dimension.score
            for name, dimension in (card.dimensions.items() if card is not None else ())
            if dimension.score is not None
        },
        engines=tuple(
            EngineFact(
                engine=run.engine,
                delivered=run.delivered,
                realised=run.realisation.score if run.realisation is not None else None,
            )
            for run in (with_engines.engines if with_engines is not None else ())
        ),
        attempts=tuple(_fact(attempt) for attempt in generation.attempts),
        flags=generation.flags,
        error=generation.tier == "basic_fallback" and first != "basic_fallback" and not emergency,
        fallback=generation.tier != first and not emergency,
        kept=generation.kept is not None,
        emergency=emergency,
        trial=trial,
    )


def digest_of(request: EpisodeRequest) -> str:
    """Stands for a request: equal for equal ones, 16 hexadecimal digits."""
    return hashlib.sha256(request.model_dump_json().encode("utf-8")).hexdigest()[:16]


def _fact(attempt: Attempt) -> AttemptFact:
    return AttemptFact(
        tier=attempt.tier,
        writer=attempt.writer,
        outcome=attempt.outcome,
        seconds=attempt.seconds,
        score=attempt.score,
        calls=attempt.calls,
        tokens=attempt.tokens,
        cost=attempt.cost,
    )
