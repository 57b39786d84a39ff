"""What the scorer shows of itself, in figures: corruptions, readers, tiers."""

from __future__ import annotations

import hashlib
import random
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from cinegen_core.analysis.prose_ratings import fast_spearman
from cinegen_core.scorer import DIMENSION_WORDS, Scorecard, score
from cinegen_core.scorer.corruptions import ALL, Corruption
from cinegen_core.story import StoryBible
from cinegen_core.story.script import Script


@dataclass(frozen=True)
class Case:
    """A script to spoil, with its bible."""

    name: str
    script: Script
    bible: StoryBible | None


@dataclass
class Damage:
    """What one kind of corruption did: pairs looked at, those scored below the original, those that moved their own dimension
    most, and the mean loss by dimension."""

    corruption: Corruption
    pairs: int = 0
    below: int = 0
    own: int = 0
    lost: dict[str, float] = field(default_factory=dict)
    overall: float = 0.0
    kept: tuple[str, ...] = ()


def chance(*parts: str) -> random.Random:
    """A source of chance that is the same for the same words, on any machine."""
    return random.Random(int(hashlib.sha256("|".join(parts).encode()).hexdigest()[:12], 16))


def damage(cases: Sequence[Case], kinds: Sequence[Corruption] = ALL) -> list[Damage]:
    """Every kind of corruption on every case. A case that a kind leaves as it is takes no part."""
    before = {case.name: score(case.script, case.bible) for case in cases}
    found = []
    for kind in kinds:
        row = Damage(kind)
        for index, case in enumerate(cases):
            rng = chance(case.name, kind.name)
            other = cases[(index + 1 + rng.randrange(len(cases) - 1)) % len(cases)].script
            spoiled = kind.corrupt(case.script, rng, other)
            if spoiled != case.script:
                _add(row, case.name, before[case.name], score(spoiled, case.bible))
        row.lost = {name: total / max(1, row.pairs) for name, total in row.lost.items()}
        row.overall /= max(1, row.pairs)
        found.append(row)
    return found


def _add(row: Damage, name: str, before: Scorecard, after: Scorecard) -> None:
    row.pairs += 1
    loss = (before.overall or 0) - (after.overall or 0)
    row.overall += loss
    if loss > 0:
        row.below += 1
    else:
        row.kept += (name,)
    losses = {
        dimension: (card.score or 0)
        - (after.dimensions[dimension].score or 0 if dimension in after.dimensions else 0)
        for dimension, card in before.dimensions.items()
        if card.score is not None
    }
    if max(losses, key=lambda dimension: losses[dimension]) == row.corruption.dimension:
        row.own += 1
    for dimension, lost in losses.items():
        row.lost[dimension] = row.lost.get(dimension, 0.0) + lost


def would_hurt(case: Case, kinds: Sequence[Corruption] = ALL) -> list[tuple[Corruption, float]]:
    """What would hurt this script most: the loss of overall score by kind, those that need no other script, worst first."""
    whole = score(case.script, case.bible).overall or 0.0
    losses = []
    for kind in kinds:
        if not kind.needs_other:
            spoiled = kind.corrupt(case.script, chance(case.name, kind.name), case.script)
            losses.append((kind, whole - (score(spoiled, case.bible).overall or 0.0)))
    return sorted(losses, key=lambda row: -row[1])


@dataclass(frozen=True)
class Agreement:
    """Scores against readers: Spearman's rho with an interval of 95 % by drawing scripts again, and the mean distance in points."""

    count: int
    rho: float
    low: float
    high: float
    distance: float


def agreement(ours: Sequence[float], readers: Sequence[float], rounds: int = 1000) -> Agreement:
    rng = random.Random(1)
    found = []
    for _ in range(rounds):
        drawn = [rng.randrange(len(ours)) for _ in ours]
        found.append(fast_spearman([ours[i] for i in drawn], [readers[i] for i in drawn]))
    found.sort()
    distance = statistics.fmean(abs(a - b) for a, b in zip(ours, readers, strict=True))
    return Agreement(
        len(ours),
        fast_spearman(ours, readers),
        found[int(0.025 * rounds)],
        found[int(0.975 * rounds) - 1],
        distance,
    )


def mean_interval(values: Sequence[float], rounds: int = 1000) -> tuple[float, float, float]:
    """(mean, low, high) with an interval of 95 % by drawing the values again."""
    rng = random.Random(1)
    means = sorted(statistics.fmean(rng.choice(values) for _ in values) for _ in range(rounds))
    return statistics.fmean(values), means[int(0.025 * rounds)], means[int(0.975 * rounds) - 1]


def by_dimension(card: Scorecard) -> Mapping[str, float | None]:
    return {
        name: (card.dimensions[name].score if name in card.dimensions else None) for name in DIMENSION_WORDS
    }
