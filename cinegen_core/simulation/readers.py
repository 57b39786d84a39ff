"""Readers, invented: nobody read these episodes. What they are said to do, and how often, are the numbers of this file."""

from __future__ import annotations

import random
from collections.abc import Iterator
from datetime import timedelta
from typing import Literal

from cinegen_core.monitor.events import FeedbackEvent, GenerationEvent

Did = Literal["shown", "chose", "rated", "exported"]

PEOPLE = 400
"""Who ask, each as often as any other."""

CHOOSE = (0.5, 0.05)
"""The share of readers who come to the choice: the first, and the second for each point of quality (0..10)."""

RATE = 0.25
"""Share of those who chose that rate the episode."""

RATING_SPREAD = 1.2
"""A rating is the quality on the guide's scale and a normal deviation of this size, rounded and cut to 1..10."""

EXPORT = 0.1
"""Share of those who chose that take the episode away."""

READS = timedelta(minutes=5)
"""How long an episode is read, on average, before the choice; exponential."""


def person(rng: random.Random) -> str:
    """Somebody who asks, under an id that stays theirs."""
    return f"reader-{rng.randrange(PEOPLE):04}"


def feedback(event: GenerationEvent, rng: random.Random) -> Iterator[FeedbackEvent]:
    """What the reader of an answer does with it, in the order of time."""
    yield _done(event, "shown", timedelta())
    quality = event.quality or 0.0
    if rng.random() >= CHOOSE[0] + CHOOSE[1] * quality:
        return
    later = timedelta(seconds=round(rng.expovariate(1 / READS.total_seconds()), 3))
    yield _done(event, "chose", later)
    if rng.random() < RATE:
        rating = min(10, max(1, round(rng.gauss(quality, RATING_SPREAD))))
        yield _done(event, "rated", later + timedelta(seconds=20), rating)
    if rng.random() < EXPORT:
        yield _done(event, "exported", later + timedelta(seconds=40))


def _done(event: GenerationEvent, action: Did, later: timedelta, rating: int | None = None) -> FeedbackEvent:
    # Not validated one by one: there are tens of thousands, all of them made here.
    return FeedbackEvent.model_construct(
        kind="feedback",
        id=f"{event.id}-{action}",
        at=event.at + later,
        series="simulated",
        who=event.who,
        generation=event.id,
        action=action,
        rating=rating,
        why="",
    )
