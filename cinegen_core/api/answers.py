"""What goes out: the bodies of the answers."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Literal

from pydantic import AfterValidator, ConfigDict, Field
from pydantic.alias_generators import to_camel

from cinegen_core.api.monitor import Severity
from cinegen_core.flags.model import Change
from cinegen_core.jobs import JobState
from cinegen_core.scorer.model import QualityClass
from cinegen_core.story import Episode
from cinegen_core.story.model import Noun
from cinegen_core.tiers.model import Outcome, TierName

Percent = Annotated[float, Field(ge=0, le=100)]
Count = Annotated[int, Field(ge=0)]


class _Tell(Noun):
    model_config = ConfigDict(alias_generator=to_camel, populate_by_name=True)


class SystemHealth(_Tell):
    status: Literal["HEALTHY", "WARNING", "CRITICAL"] | None
    score: int | None
    issues: tuple[str, ...]


class HealthAnswer(_Tell):
    """`uptime` in percent."""

    system_health: SystemHealth
    uptime: float | None
    active_alerts: int


class OverviewPart(_Tell):
    """`totalEpisodes` since the start, quality 0..10, the rest in percent."""

    total_episodes: Count
    average_quality: float | None
    system_health: Literal["HEALTHY", "WARNING", "CRITICAL"] | None
    uptime: Percent | None
    success_rate: Percent | None


class QualityPart(_Tell):
    """The share of each class that occurred, in percent."""

    current: float | None
    trend: Literal["IMPROVING", "STABLE", "DECLINING"] | None
    quality_distribution: Annotated[
        dict[QualityClass, Percent] | None, AfterValidator(lambda found: found or None)
    ]


class PerformancePart(_Tell):
    """`averageProcessingTime` in milliseconds, the rates in percent."""

    average_processing_time: Count | None
    engine_success_rate: Percent | None
    fallback_usage_rate: Percent | None


class MetricsAnswer(_Tell):
    overview: OverviewPart
    quality: QualityPart
    performance: PerformancePart


class RolloutStatus(_Tell):
    """`phase` counts from 1."""

    flag_name: str
    strategy: str
    phase: int
    percentage: int


class FlagMetrics(_Tell):
    """`successRate` in percent, `averageQuality` 0..10."""

    usage_count: Count
    success_rate: Percent | None
    average_quality: float | None


class FlagsAnswer(_Tell):
    active_flags: tuple[str, ...]
    rollout_status: tuple[RolloutStatus, ...]
    metrics: dict[str, FlagMetrics]


class AlertAnswer(_Tell):
    id: str
    rule: str
    severity: Severity
    state: Literal["pending", "firing", "resolved"]
    since: datetime
    value: float | None
    threshold: float | None
    incident: str | None
    acknowledged_by: str | None


class AlertCounts(_Tell):
    critical: int
    warning: int
    info: int


class AlertsAnswer(_Tell):
    """`counts` are of those that fire, `meanTimeToResolve` is in milliseconds."""

    alerts: tuple[AlertAnswer, ...]
    counts: AlertCounts
    mean_time_to_resolve: int | None


class EpisodeMetadata(_Tell):
    """`generationTime` in milliseconds. `fallbackReason` says why a better tier did not answer; null where the best allowed did."""

    generation_time: int
    tier: TierName
    quality_score: float | None
    quality_class: QualityClass | None
    engines_run: int
    engines_delivered: int
    fallback_reason: str | None
    below_threshold: bool


class AttemptAnswer(_Tell):
    """One tier's try. `time` in milliseconds, `cost` in US dollars."""

    tier: TierName
    writer: str
    outcome: Outcome
    reason: str
    time: int
    score: float | None
    engines_run: int
    engines_delivered: int
    engines_repaired: int
    calls: int
    tokens: int
    cost: float


class EpisodeAnswer(_Tell):
    success: Literal[True]
    episode: Episode
    metadata: EpisodeMetadata
    attempts: tuple[AttemptAnswer, ...]


class JobAccepted(_Tell):
    """An episode is being written; `location` tells how it goes."""

    job: str
    location: str


class JobAnswer(_Tell):
    """`error` says why it failed. `result` is there when it is done, and for one that was stopped if something was finished."""

    job: str
    season: str
    episode_number: int
    state: JobState
    error: str | None
    result: EpisodeAnswer | None


class JobEnd(_Tell):
    """The last event of a stream."""

    job: str
    state: JobState
    error: str | None
    location: str


class FlagsChanged(_Tell):
    """The changes that were made: none where all was as wanted already. `version` is that of the flags now."""

    success: Literal[True]
    version: int
    changes: tuple[Change, ...]


class EmergencyStanding(_Tell):
    by: str
    reason: str


class EmergencyAnswer(_Tell):
    success: Literal[True]
    emergency: EmergencyStanding | None


class Noted(_Tell):
    success: Literal[True]


class Able(_Tell):
    status: Literal["ok"]


class Silenced(_Tell):
    """`until` when nobody is told of the rule's alerts."""

    success: Literal[True]
    rule: str
    until: datetime
