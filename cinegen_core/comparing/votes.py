"""What readers' votes say: who wins how often, how sure that is, and how many more votes would settle it."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Hashable, Iterable, Sequence
from math import ceil, comb, fsum, sqrt
from statistics import NormalDist, fmean
from typing import Annotated, Literal, NamedTuple

from pydantic import Field

from cinegen_core.comparing.blind import SUBJECTS
from cinegen_core.flags.cohorts import student_quantile
from cinegen_core.monitor.events import VoteEvent
from cinegen_core.story.model import Noun

LEAST_VOTES = 10
"""With fewer votes on a pair and subject there is no rate: no data."""

LEAST_GROUPS = 5
"""There is no rate either unless votes come from so many readers, or from so many comparisons. If only one of the two has as many,
the result is about the few of the other, and says so."""

LEAST_OF_READER = 5
"""Votes of one reader, without which that reader has no rate."""

MOST_VOTES = 1000
"""Where more votes than this would be needed in all, there is no end in sight: a rate within about .045 of one half."""

POWER = 0.8
CONFIDENCE = 0.95

By = Literal["way", "tier", "writer"]
Outlook = Literal["no data", "already settled", "more votes", "no end in sight"]
Share = Annotated[float, Field(ge=0, le=1)]
Count = Annotated[int, Field(ge=0)]


class ReaderTally(Noun):
    """One reader's votes on a pair. `rate` counts ties half; None below `LEAST_OF_READER` votes."""

    who: str
    wins: Count
    losses: Count
    ties: Count
    rate: Share | None


class Estimate(Noun):
    """A rate with ties counted half, in an interval that holds it with 95 %, and its sign test.

    `few` says of whom alone it is: "these readers", "these comparisons", or empty where it is of readers and comparisons like these.
    `effective` is how many independent votes would say as much, `freedom` the degrees of freedom of the interval.
    """

    rate: Share
    low: Share
    high: Share
    p: Share
    few: Literal["", "these readers", "these comparisons"]
    effective: float
    freedom: Count


class PairResult(Noun):
    """How `one` does against `other` (in alphabetical order) by votes `about` one subject. `estimate` is of `one`; None is no data.

    `more` is how many further votes would settle it, where `outlook` is "more votes".
    """

    about: str
    one: str
    other: str
    wins: Count
    losses: Count
    ties: Count
    readers: Count
    comparisons: Count
    estimate: Estimate | None
    outlook: Outlook
    more: Count | None
    by_reader: tuple[ReaderTally, ...]

    @property
    def votes(self) -> int:
        return self.wins + self.losses + self.ties


class LeftBias(Noun):
    """How often what was shown first (left) was preferred, whatever it was. Sides are drawn, so that without bias it is one half."""

    first: Count
    second: Count
    neither: Count
    estimate: Estimate | None

    @property
    def biased(self) -> bool | None:
        """Whether it can be told from one half; None where there is no data."""
        return None if self.estimate is None else not self.estimate.low <= 0.5 <= self.estimate.high


class Results(Noun):
    """`pairs` by subject, overall first, and by name; `votes` are those that count."""

    by: By
    votes: Count
    pairs: tuple[PairResult, ...]
    left: LeftBias


class Score(NamedTuple):
    """One vote: 1 for, 0 against, a half for neither."""

    value: float
    reader: str
    comparison: str


def results(votes: Iterable[VoteEvent], *, by: By = "way") -> Results:
    """Of the votes of one series, in any order, each given once or more.

    Of several votes by one reader (`who`; empty counts as one reader) on one comparison, pair of generations and subject the last
    counts. Pairs whose two sides have the same name (two seeds of one tier, by tier) say nothing about it, but count for the left.
    """
    counted = _last_of_each(votes)
    found: dict[tuple[str, str, str], list[Score]] = defaultdict(list)
    for vote in counted:
        first, second = getattr(vote.first, by), getattr(vote.second, by)
        value = _left(vote)
        if first < second:
            found[vote.about, first, second].append(Score(value, vote.who, vote.comparison))
        elif second < first:
            found[vote.about, second, first].append(Score(1.0 - value, vote.who, vote.comparison))
    return Results(
        by=by,
        votes=len(counted),
        pairs=tuple(_pair(*key, found[key]) for key in sorted(found, key=_in_order)),
        left=_left_bias(counted),
    )


def estimate(scores: Sequence[Score]) -> Estimate | None:
    """The mean of the scores with its interval; None below `LEAST_VOTES` or `LEAST_GROUPS`.

    One reader's votes hang together, and so do one comparison's. The variance of the mean is the two-way cluster-robust one (Cameron,
    Gelbach & Miller, Journal of Business & Economic Statistics 29, 2011: by readers, plus by comparisons, less by both), each part
    times G/(G - 1); never less than that of one of them, nor of independent votes. It gives an effective number of votes,
    p(1 - p)/variance, at most their number, for Wilson's interval (Wilson, JASA 22, 1927; with an effective number: Korn &
    Graubard, Survey Methodology 24, 1998), with Student's t for min(G) - 1 degrees of freedom in place of the normal quantile.
    Where one side has all votes there is no variance to go by, and each group counts as a single vote. Readers or comparisons
    that are fewer than `LEAST_GROUPS` are taken as they are, not as some of many. Needs no random numbers.
    """
    readers, comparisons = {score.reader for score in scores}, {score.comparison for score in scores}
    many = [len(readers) >= LEAST_GROUPS, len(comparisons) >= LEAST_GROUPS]
    if len(scores) < LEAST_VOTES or not any(many):
        return None
    count = len(scores)
    rate = fsum(score.value for score in scores) / count
    left = [(score, score.value - rate) for score in scores]
    independent = fsum(rest * rest for _, rest in left) / (count * (count - 1))
    by_reader = _clustered([(score.reader, rest) for score, rest in left]) if many[0] else 0.0
    by_comparison = _clustered([(score.comparison, rest) for score, rest in left]) if many[1] else 0.0
    both = 0.0
    if all(many):
        by_cell = _clustered([((score.reader, score.comparison), rest) for score, rest in left])
        both = by_reader + by_comparison - by_cell
    variance = max(independent, by_reader, by_comparison, both)
    groups = min(len(some) for some, enough in zip((readers, comparisons), many, strict=True) if enough)
    effective = min(float(count), rate * (1.0 - rate) / variance) if variance > 0.0 else float(groups)
    low, high = wilson(rate, effective, student_quantile((1.0 + CONFIDENCE) / 2.0, groups - 1))
    signs = [
        _sign_test(tuple((getattr(score, side), score.value - 0.5) for score in scores))
        for side, enough in zip(("reader", "comparison"), many, strict=True)
        if enough
    ]
    few: Literal["", "these readers", "these comparisons"] = ""
    if not all(many):
        few = "these comparisons" if many[0] else "these readers"
    return Estimate(
        rate=rate, low=low, high=high, p=max(signs), few=few, effective=effective, freedom=groups - 1
    )


def wilson(rate: float, votes: float, quantile: float) -> tuple[float, float]:
    """Wilson's interval for a rate (0..1) of so many votes (above 0, whole or not). `Wilson, JASA 22, 1927`."""
    square = quantile * quantile
    middle = (rate + square / (2.0 * votes)) / (1.0 + square / votes)
    spread = rate * (1.0 - rate) / votes + square / (4.0 * votes * votes)
    reach = quantile * sqrt(spread) / (1.0 + square / votes)
    return max(0.0, min(rate, middle - reach)), min(1.0, max(rate, middle + reach))


def outlook(scores: Sequence[Score], found: Estimate | None) -> tuple[Outlook, int | None]:
    """Whether the scores settle which is preferred, and how many more would with a chance of `POWER` if the rate stays as it is.

    The number of independent votes is that of a test of one rate against one half (Fleiss, Levin & Paik, Statistical Methods for
    Rates and Proportions, 3rd ed. 2003, section 2.5), n = ((t s0 + z s) / (rate - 1/2))^2, with s0^2 = (1 - ties)/4 and s^2 =
    rate - ties/4 - rate^2, the variances of a vote without and with the preference, and t that of the interval. It is then taken
    times the design effect (votes over `effective` ones): further votes come from readers and comparisons like those so far.
    """
    if found is None:
        return "no data", None
    if found.low > 0.5 or found.high < 0.5:
        return "already settled", 0
    count = len(scores)
    ties = sum(score.value == 0.5 for score in scores) / count
    off = abs(found.rate - 0.5)
    if off < 1e-9:  # halves add up exactly, their mean may not
        return "no end in sight", None
    null, alternative = (1.0 - ties) / 4.0, max(0.0, found.rate - ties / 4.0 - found.rate**2)
    t, z = student_quantile((1.0 + CONFIDENCE) / 2.0, found.freedom), NormalDist().inv_cdf(POWER)
    needed = ((t * sqrt(null) + z * sqrt(alternative)) / off) ** 2 * count / found.effective
    if needed > MOST_VOTES:
        return "no end in sight", None
    return "more votes", max(1, ceil(needed) - count)


def sign_test(more: int, fewer: int) -> float:
    """How often chance alone would give as uneven a split or one more uneven, both ways: exact, ties left out (Dixon & Mood, JASA
    41, 1946)."""
    count = more + fewer
    tail = sum(comb(count, k) for k in range(min(more, fewer) + 1))
    return float(min(1.0, 2 * tail / 2**count))


def _clustered(parts: Iterable[tuple[Hashable, float]]) -> float:
    """The variance of a mean of values that hang together in groups, from their distances to it; 0 for a single group."""
    sums: dict[Hashable, list[float]] = defaultdict(list)
    count = 0
    for group, rest in parts:
        sums[group].append(rest)
        count += 1
    groups = len(sums)
    if groups < 2:
        return 0.0
    return groups / (groups - 1) * fsum(fsum(some) ** 2 for some in sums.values()) / count**2


def _sign_test(parts: Iterable[tuple[str, float]]) -> float:
    """One sign for each group, so that votes which hang together count once."""
    sums: dict[str, float] = defaultdict(float)
    for group, off in parts:
        sums[group] += off  # halves, so that sums are exact
    return sign_test(sum(off > 0 for off in sums.values()), sum(off < 0 for off in sums.values()))


def _pair(about: str, one: str, other: str, scores: Sequence[Score]) -> PairResult:
    found = estimate(scores)
    likely, more = outlook(scores, found)
    wins, losses, ties = _counts(scores)
    by_reader: dict[str, list[Score]] = defaultdict(list)
    for score in scores:
        by_reader[score.reader].append(score)
    return PairResult(
        about=about,
        one=one,
        other=other,
        wins=wins,
        losses=losses,
        ties=ties,
        readers=len(by_reader),
        comparisons=len({score.comparison for score in scores}),
        estimate=found,
        outlook=likely,
        more=more,
        by_reader=tuple(_tally(who, by_reader[who]) for who in sorted(by_reader)),
    )


def _tally(who: str, scores: Sequence[Score]) -> ReaderTally:
    wins, losses, ties = _counts(scores)
    rate = fmean(score.value for score in scores) if len(scores) >= LEAST_OF_READER else None
    return ReaderTally(who=who, wins=wins, losses=losses, ties=ties, rate=rate)


def _counts(scores: Sequence[Score]) -> tuple[int, int, int]:
    wins = sum(score.value == 1.0 for score in scores)
    losses = sum(score.value == 0.0 for score in scores)
    return wins, losses, len(scores) - wins - losses


def _left_bias(votes: Sequence[VoteEvent]) -> LeftBias:
    scores = [Score(_left(vote), vote.who, vote.comparison) for vote in votes]
    first, second, neither = _counts(scores)
    return LeftBias(first=first, second=second, neither=neither, estimate=estimate(scores))


def _left(vote: VoteEvent) -> float:
    return {"first": 1.0, "second": 0.0, "neither": 0.5}[vote.preferred]


def _last_of_each(votes: Iterable[VoteEvent]) -> list[VoteEvent]:
    """In an order that does not depend on theirs."""
    last: dict[tuple[str, str, tuple[str, ...], str], VoteEvent] = {}
    for vote in sorted(votes, key=lambda vote: (vote.at, vote.id, vote.preferred)):
        pair = tuple(sorted((vote.first.generation, vote.second.generation)))
        last[vote.who, vote.comparison, pair, vote.about] = vote
    return [last[key] for key in sorted(last)]


def _in_order(key: tuple[str, str, str]) -> tuple[int, str, str, str]:
    about, one, other = key
    return SUBJECTS.index(about) if about in SUBJECTS else len(SUBJECTS), about, one, other
