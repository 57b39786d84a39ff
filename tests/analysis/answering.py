"""Answers and what readers said of them, for the tests of what analysts see."""

from __future__ import annotations

import random
from datetime import UTC, datetime, timedelta
from typing import Any

from cinegen_core.monitor.events import FeedbackEvent, GenerationEvent
from cinegen_core.scorer import DIMENSION_WORDS

NOW = datetime(2026, 1, 5, 12, tzinfo=UTC)
TIERS = ("comprehensive", "comprehensive", "comprehensive", "enhanced_baseline", "basic_fallback")
ENGINES = ("Pacing", "Subtext", "Stakes")


def ago(**span: float) -> datetime:
    return NOW - timedelta(**span)


def an_answer(id: str, **changes: Any) -> GenerationEvent:
    good: dict[str, Any] = {
        "at": ago(hours=1), "tier": "comprehensive", "first": "comprehensive", "writer": "a model", "profile": "model",
        "seconds": 30.0, "score": 8.0, "quality": 8.0, "title": "Slack Water", "genres": ("drama",),
        "dimensions": dict.fromkeys(DIMENSION_WORDS, 8.0),
    }  # fmt: skip
    return GenerationEvent.model_validate({"id": id, **good, **changes})


def an_engine(engine: str, delivered: bool = True, realised: float | None = 0.8) -> dict[str, Any]:
    return {"engine": engine, "delivered": delivered, "realised": realised}


def a_word(id: str, generation: str, action: str = "rated", **changes: Any) -> FeedbackEvent:
    return FeedbackEvent.model_validate(
        {"id": id, "at": ago(minutes=30), "generation": generation, "action": action, **changes}
    )


def many_answers(count: int, *, seed: int = 1, days: float = 30.0) -> list[GenerationEvent]:
    """Of all sorts, evenly spread over the last days; those with `genre_engines` on are better by half a point."""
    rng = random.Random(seed)
    made = []
    for place in range(count):
        on = rng.random() < 0.5
        quality = min(10.0, max(0.0, rng.gauss(7.5 + 0.5 * on, 0.8)))
        tier = rng.choice(TIERS)
        scored = rng.random() < 0.97
        made.append(
            an_answer(
                f"g{place:06}",
                at=NOW - timedelta(days=days) * (1 - place / count),
                title=rng.choice(("Slack Water", "Dead Air", "Sworn")),
                number=rng.randrange(1, 9),
                genres=tuple(rng.sample(("drama", "thriller", "comedy"), rng.randrange(3))),
                tier=tier,
                fallback=tier != "comprehensive",
                error=tier == "basic_fallback",
                writer=rng.choice(("a model", "embedded")),
                seconds=round(rng.lognormvariate(3.3, 0.4), 3),
                score=quality if scored else None,
                quality=quality if scored else None,
                dimensions={name: min(10.0, max(0.0, rng.gauss(quality, 0.5))) for name in DIMENSION_WORDS}
                if scored
                else {},
                engines=[an_engine(name, rng.random() < 0.8) for name in ENGINES]
                if tier == "comprehensive"
                else (),
                flags={"genre_engines": on, "high_temperature": True},
                kept=rng.random() < 0.05,
                emergency=rng.random() < 0.02,
            )
        )
    return made
