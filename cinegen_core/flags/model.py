"""The nouns of feature flags. Nothing here knows what a flag switches."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Annotated, Any, Literal, NamedTuple, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

Percent = Annotated[int, Field(ge=0, le=100)]
Key = Annotated[str, Field(min_length=1, max_length=100, pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*$")]


class Noun(BaseModel):
    """A frozen value; unknown keys are refused."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class Context(NamedTuple):
    """For whom a flag is evaluated. `attributes` are texts by name; `beta` marks a beta tester."""

    user: str | None = None
    session: str | None = None
    beta: bool = False
    attributes: Mapping[str, str] = {}


NOBODY = Context()

Reason = Literal["STATIC", "SPLIT", "TARGETING_MATCH", "DISABLED", "EMERGENCY", "DEPENDENCY", "ERROR"]


class Evaluation(NamedTuple):
    """A flag's value for a context, and why. `bucket` is the context's, 1..100, where one was drawn, `percent` what it was held
    against; `because` names the rule that matched, the dependency that is off, or what went wrong."""

    flag: str
    value: bool
    reason: Reason
    because: str = ""
    bucket: int | None = None
    percent: int | None = None
    variant: str | None = None

    @property
    def words(self) -> str:
        """In a sentence for people: "off: bucket 61 > 25"."""
        state = "on" if self.value else "off"
        if self.bucket is not None and self.percent is not None:
            sign = "<=" if self.bucket <= self.percent else ">"
            return f"{state}: bucket {self.bucket} {sign} {self.percent}"
        return f"{state}: {self.because}" if self.because else state


class Variant(Noun):
    """One of several forms of a flag that is on. `stickiness` as for strategies; empty: the strategy's."""

    name: Key
    weight: Annotated[int, Field(ge=0, le=1000)]
    payload: str = ""
    stickiness: str = ""


class Strategy(Noun):
    """Who is in: those whose attributes are among `where`'s, up to `percent` of them by bucket.

    `group` is hashed with the key, the flag's own key unless set. `stickiness` names what is hashed: "default" (user, else
    session, else at random and not sticky), "user", "session", "random", or an attribute. Somebody without it is out,
    at 100 percent too.
    """

    percent: Percent = 100
    group: str = ""
    stickiness: str = "default"
    where: Mapping[str, tuple[str, ...]] = Field(default_factory=dict)
    variants: tuple[Variant, ...] = ()


class Dependency(Noun):
    """A flag that has to be on (or, not `enabled`, off), in one of these variants if any are named."""

    flag: Key
    enabled: bool = True
    variants: tuple[str, ...] = ()


class Flag(Noun):
    """A flag as declared. `users`, `sessions`, attributes among `attributes`, and beta testers where `beta` is set, are always in
    while it is enabled; everybody else is in if one of the strategies takes them."""

    key: Key
    description: str = ""
    enabled: bool = False
    depends_on: tuple[Dependency, ...] = ()
    users: frozenset[str] = frozenset()
    sessions: frozenset[str] = frozenset()
    attributes: Mapping[str, tuple[str, ...]] = Field(default_factory=dict)
    beta: bool = False
    strategies: tuple[Strategy, ...] = (Strategy(),)
    variants: tuple[Variant, ...] = ()

    @property
    def percent(self) -> int:
        """The rollout of a flag with one strategy, as operators know it."""
        return self.strategies[0].percent if self.strategies else 0


class Phase(Noun):
    """A step of a rollout, and what must hold before the next: hours at this step, mean quality, share of errors, samples."""

    percent: Percent
    dwell_hours: Annotated[float, Field(ge=0)]
    quality: float
    errors: Annotated[float, Field(ge=0, le=1)]
    samples: Annotated[int, Field(ge=0)] = 20
    approval: bool = False


class RolloutPlan(Noun):
    """A strategy of raising a flag step by step."""

    key: Key
    flag: Key
    phases: Annotated[tuple[Phase, ...], Field(min_length=1)]


Metric = Literal["quality", "error", "seconds"]
TriggerPolicy = Literal["evidence", "literal"]


class Trigger(Noun):
    """A rule that rolls a flag back. The signal is the mean of `metric` beyond `threshold` over `minutes`, from at least
    `samples`; `worse` says on which side. What rolls back is the policy: the signal itself, or evidence beyond `bound`.

    `low` and `high` are the metric's range, which the evidence needs. It watches `flags`, or every flag where none is named.
    """

    key: Key
    metric: Metric
    worse: Literal["below", "above"]
    threshold: float
    minutes: Annotated[float, Field(gt=0)]
    samples: Annotated[int, Field(ge=1)] = 20
    policy: TriggerPolicy = "evidence"
    bound: Annotated[float, Field(gt=1)] = 1000.0
    low: float = 0.0
    high: float = 1.0
    flags: tuple[Key, ...] = ()

    @model_validator(mode="after")
    def _threshold_in_range(self) -> Self:
        if not self.low < self.threshold < self.high:
            raise ValueError(
                f"a threshold of {self.threshold:g} is not between low {self.low:g} and high {self.high:g}"
            )
        return self


class Declared(Noun):
    """What flags.toml says: flags, rollout plans and triggers by key."""

    flags: Mapping[str, Flag] = Field(default_factory=dict)
    rollouts: Mapping[str, RolloutPlan] = Field(default_factory=dict)
    triggers: Mapping[str, Trigger] = Field(default_factory=dict)


class Sample(Noun):
    """One outcome that triggers, gates and cohort metrics read. `on` are the flags that were on for it, `off` those that were
    evaluated and off. `quality` on the scale of the thresholds, None where nothing was scored; `seconds` what it took."""

    at: datetime
    on: frozenset[str] = frozenset()
    off: frozenset[str] = frozenset()
    quality: float | None = None
    error: bool = False
    seconds: Annotated[float, Field(ge=0)] = 0.0


ChangeKind = Literal[
    "set", "rollback", "rearm", "emergency", "emergency_over", "rollout_started", "rollout_advanced", "rollout_paused",
    "rollout_resumed", "rollout_approved", "rollout_completed", "rollout_aborted", "folded_back",
]  # fmt: skip


class Change(Noun):
    """One record of the journal. `subject` is "flag:<key>", "rollout:<key>" or "emergency"; `before` and `after` are the whole
    overlay of that subject (None: as declared), so that state is the last `after` of every subject. `version` counts from 1."""

    version: Annotated[int, Field(ge=1)]
    at: datetime
    who: Annotated[str, Field(min_length=1, max_length=200)]
    why: Annotated[str, Field(min_length=1, max_length=2000)]
    kind: ChangeKind
    subject: str
    before: dict[str, Any] | None = None
    after: dict[str, Any] | None = None


class FlagOverlay(Noun):
    """What was changed of a flag at run time; None leaves it as declared. `latched` says why it was rolled back, and holds until
    a person re-arms it."""

    enabled: bool | None = None
    percent: Percent | None = None
    latched: str | None = None


RolloutState = Literal["running", "paused", "awaiting_approval", "completed", "aborted"]


class RolloutOverlay(Noun):
    """Where a rollout stands. `phase` counts from 0, `since` is when that phase began; `why` a pause or an end came about."""

    state: RolloutState
    phase: Annotated[int, Field(ge=0)] = 0
    since: datetime
    why: str = ""


class EmergencyOverlay(Noun):
    """Everything is off, whoever is targeted. Targeting itself is untouched."""

    why: str
    who: str
    since: datetime


class Overlay(Noun):
    """The journal's fold: what holds at run time on top of the declaration, after change number `version`."""

    version: Annotated[int, Field(ge=0)] = 0
    flags: Mapping[str, FlagOverlay] = Field(default_factory=dict)
    rollouts: Mapping[str, RolloutOverlay] = Field(default_factory=dict)
    emergency: EmergencyOverlay | None = None
