"""Comparisons and votes for tests to start from."""

from __future__ import annotations

import random
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

from cinegen_core.comparing.blind import Preferred
from cinegen_core.monitor.events import Side, VoteEvent
from cinegen_core.settings import Settings
from cinegen_core.store import MemoryStore
from cinegen_core.store.comparisons import Answered, Comparison, Way
from cinegen_core.store.results import NoResults
from cinegen_core.studio import Studio
from cinegen_core.tiers.model import Attempt, Generation, TierName
from cinegen_core.writers.base import Writer
from cinegen_core.writers.template import TemplateWriter
from tests.builders import a_request, an_episode
from tests.fakes import FakeClock, FakeWriter, TitleEngine, by_form

START = datetime(2027, 1, 15, 8, tzinfo=UTC)
ENGINES = ("Title",)
WITH = Way(label="with the engines", tier="comprehensive")
SINGLE = Way(label="in a single pass", tier="enhanced_baseline")
TEMPLATE = Way(label="from the template", tier="basic_fallback")


def a_generation(id: str = "a" * 16, *, title: str = "The Stub", **changes: Any) -> Generation:
    tier: TierName = changes.pop("tier", "comprehensive")
    episode = changes.pop("episode", None) or an_episode(title=title)
    writer = changes.pop("writer", "fake")
    attempt = Attempt(tier=tier, writer=writer, outcome="accepted", seconds=7.25, calls=2, tokens=311, cost=0.0125,
                      episode=episode, scorecard=changes.pop("scorecard", None))  # fmt: skip
    return Generation(
        **{"id": id, "episode": episode, "tier": tier, "writer": writer, "attempts": (attempt,), **changes}
    )


def a_comparison(*answers: Answered, ways: Sequence[Way] = (WITH, SINGLE)) -> Comparison:
    new = Comparison.of(a_request(), tuple(ways), id="c" * 16, started=START, who="ada")
    for place, answer in enumerate(answers):
        new = new.with_answer(place, answer)
    return new


def a_finished_comparison() -> Comparison:
    return a_comparison(
        Answered(generation=a_generation("1" * 16, title="The Stub", writer="Opus", seconds=48.5)),
        Answered(
            generation=a_generation("2" * 16, title="Low Water", tier="enhanced_baseline", seconds=12.5)
        ),
    )


def studio_with(**writers: Writer) -> Studio:
    """A studio with these writers for its tiers, and `FakeWriter` where none is given."""
    given: dict[TierName, Writer] = {
        "comprehensive": writers.get("comprehensive", FakeWriter()),
        "enhanced_baseline": writers.get("enhanced_baseline", FakeWriter()),
        "basic_fallback": TemplateWriter(),
    }
    return Studio(Settings(), clock=FakeClock(), rng=random.Random(1), store=MemoryStore(), results=NoResults(),
                  writers=given, engines=(TitleEngine(),), judge=by_form)  # fmt: skip


def a_vote(
    preferred: Preferred = "first",
    *,
    number: int = 0,
    who: str = "ada",
    comparison: int = 0,
    first: str = "A",
    second: str = "B",
    about: str = "overall",
    tiers: tuple[TierName, TierName] = ("comprehensive", "enhanced_baseline"),
) -> VoteEvent:
    """`first` and `second` name ways; the generation behind one is the same throughout a comparison."""
    left, right = (
        Side(generation=f"{comparison}-{way}", way=way, tier=tier, writer="fake")
        for way, tier in zip((first, second), tiers, strict=True)
    )
    return VoteEvent(id=f"v{number}", at=START + timedelta(seconds=number), who=who, about=about,
                     comparison=f"{comparison:016x}", first=left, second=right, preferred=preferred)  # fmt: skip


def mirrored(vote: VoteEvent) -> VoteEvent:
    """The same opinion, with the sides the other way round."""
    other: dict[str, Preferred] = {"first": "second", "second": "first", "neither": "neither"}
    return vote.model_copy(
        update={"first": vote.second, "second": vote.first, "preferred": other[vote.preferred]}
    )
