"""A real language model, end to end: the protocol is kept, and what its prose is worth decides what the tiers do."""

from __future__ import annotations

import asyncio

from cinegen_core.settings import Settings
from cinegen_core.store import MemoryStore
from cinegen_core.store.results import NoResults
from cinegen_core.studio import Studio
from cinegen_core.tiers.judging import profiles
from cinegen_core.writers.model import Provider
from tests.builders import a_request
from tests.model.local import NAME, local_model
from tests.model.studios import Heard, engines_named

ENGINES = engines_named("HookCliffhanger", "LivingWorld")
PATIENCE = 300.0
"""Seconds that a slow machine may take for an episode; a quick one takes about two minutes."""


SEEDS = (1, 2)
"""What so small a model writes differs from machine to machine, and now and then nobody speaks in it at all."""


def test_a_real_model_drafts_proposes_and_writes_out_and_the_tiers_answer_with_the_best() -> None:
    heard = Heard()
    with local_model() as base_url:
        provider = Provider(
            name="local", base_url=base_url, model=NAME, window=8192, answer=2000, directive=400, at_once=2,
            text_limit=30, list_limit=1, first_token=PATIENCE, stall=PATIENCE, reply=PATIENCE,
        )  # fmt: skip
        with Studio(
            Settings(providers=(provider,), budget_seconds=PATIENCE),
            store=MemoryStore(), results=NoResults(), engines=ENGINES,
        ) as studio:  # fmt: skip
            for seed in SEEDS:
                generation = asyncio.run(studio.generate(a_request(seed=seed), on_update=heard))
                if generation.attempts[0].engines:
                    break

    comprehensive = generation.attempts[0]
    assert comprehensive.tier == "comprehensive"
    log = {call.purpose: call for call in comprehensive.log if call.outcome == "answered"}
    assert {"draft", "synthesis", *(engine.name for engine in ENGINES)} <= log.keys()
    assert all(call.prompt_tokens > 100 and call.completion_tokens > 5 for call in log.values())
    assert log["draft"].first_token is not None
    assert comprehensive.cached_tokens > 0, "the calls share a prefix, and the server keeps it"
    for run in comprehensive.engines:
        assert type(run.directive) is next(e.directive for e in ENGINES if e.name == run.engine)
        assert run.by == ("rules" if run.instead else "model")
    assert any(run.delivered for run in comprehensive.engines)

    written = comprehensive.episode
    assert written is not None
    cues = set(a_request().bible.cues())
    assert {speaker for scene in written.scenes for speaker in scene.speakers} <= cues
    assert len(written.choices) == 3
    assert any(update.kind == "text" and update.text for update in heard.updates)

    assert comprehensive.outcome in ("below_threshold", "failed"), "its prose is nothing that is accepted"
    least = profiles()["model"].least
    assert comprehensive.score is None or comprehensive.score < least
    assert [attempt.tier for attempt in generation.attempts] == [
        "comprehensive", "enhanced_baseline", "basic_fallback",
    ]  # fmt: skip
    scores = [attempt.score or 0.0 for attempt in generation.attempts]
    assert generation.winner is not None
    assert (generation.winner.score or 0.0) == max(scores)
    assert generation.notices
