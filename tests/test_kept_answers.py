"""The same request has the same answer from disk; only what is worth keeping is kept."""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import Iterator
from pathlib import Path

import pytest

from cinegen_core.store import MemoryStore
from cinegen_core.store.results import ResultCache
from cinegen_core.story import Draft, EpisodeRequest, Policy
from cinegen_core.studio import from_tier
from cinegen_core.writers.base import Desk
from tests.builders import a_request
from tests.fakes import OUT_OF_FORM, FakeWriter, a_studio


@pytest.fixture
def warnings() -> list[str]:
    return []


@pytest.fixture
def results(tmp_path: Path, warnings: list[str]) -> Iterator[ResultCache]:
    cache = ResultCache(tmp_path / "results", warn=warnings.append)
    yield cache
    cache.close()


async def test_the_same_request_and_policy_is_answered_from_disk_with_its_provenance(
    results: ResultCache,
) -> None:
    writer = FakeWriter()
    studio = a_studio(writer, results=results)
    first = await studio.generate(a_request())
    asked = len(writer.asked)
    second = await studio.generate(a_request())
    assert len(writer.asked) == asked
    assert (second.episode, second.tier, second.writer) == (first.episode, first.tier, first.writer)
    assert [a.model_dump() for a in second.attempts] == [a.model_dump() for a in first.attempts]
    assert first.kept is None
    assert second.kept is not None
    assert second.id != first.id


@pytest.mark.parametrize(
    ("request_", "policy"),
    [
        (a_request(seed=2), Policy()),
        (a_request(direction="Slower."), Policy()),
        (a_request(), Policy(high_temperature=False)),
        (a_request(), from_tier("enhanced_baseline")),
    ],
)
async def test_whatever_would_change_the_answer_is_asked_anew(
    results: ResultCache, request_: EpisodeRequest, policy: Policy
) -> None:
    studio = a_studio(results=results)
    await studio.generate(a_request())
    assert (await studio.generate(request_, policy=policy)).kept is None


async def test_who_wants_another_one_gets_it(results: ResultCache) -> None:
    studio = a_studio(results=results)
    await studio.generate(a_request())
    assert (await studio.generate(a_request(), fresh=True)).kept is None


async def test_an_answer_of_a_fallback_or_below_the_threshold_is_never_kept(results: ResultCache) -> None:
    failing = a_studio(FakeWriter(fails=ValueError("no")), results=results)
    assert (await failing.generate(a_request())).tier == "basic_fallback"
    poor = a_studio(FakeWriter(changes=OUT_OF_FORM), results=results)
    await poor.generate(a_request(seed=2), policy=from_tier("enhanced_baseline"))
    assert results.size()[0] == 0


class SlowWriter(FakeWriter):
    async def draft(self, request: EpisodeRequest, policy: Policy, desk: Desk) -> Draft:
        await asyncio.sleep(0.01)
        return await super().draft(request, policy, desk)


async def test_who_asks_the_same_at_the_same_time_shares_one_computation(results: ResultCache) -> None:
    writer = SlowWriter()
    studio = a_studio(writer, results=results)
    answers = await asyncio.gather(*(studio.generate(a_request()) for _ in range(10)))
    assert [kind for kind, _ in writer.asked].count("draft") == 1
    assert len({answer.id for answer in answers}) == 10
    assert sum(answer.kept is None for answer in answers) == 1


async def test_an_entry_that_is_no_episode_is_discarded_with_a_warning_and_written_anew(
    tmp_path: Path, results: ResultCache, warnings: list[str]
) -> None:
    studio = a_studio(results=results)
    await studio.generate(a_request())
    with sqlite3.connect(tmp_path / "results" / "cache.db") as database:
        database.execute("UPDATE Cache SET value = ?, filename = NULL, mode = 3 WHERE value IS NOT NULL OR filename IS NOT NULL",
                         ('{"planted": true}',))  # fmt: skip
    database.close()
    assert (await studio.generate(a_request())).kept is None
    assert len(warnings) == 1
    assert (await studio.generate(a_request())).kept is not None


async def test_an_answer_that_is_kept_says_nothing_about_health(results: ResultCache) -> None:
    studio = a_studio(results=results)
    for _ in range(30):
        await studio.generate(a_request())
    assert studio.health().score is None


def test_a_kept_answer_becomes_an_episode_of_its_season(results: ResultCache) -> None:
    store = MemoryStore()
    with a_studio(store=store, results=results) as studio:
        season = studio.open_season(a_request().bible)
        for _ in range(2):
            job = studio.start(a_request(), season=season.id)
            studio.wait(job, 10)
        kept = [record.generation.kept for record in store.records(season.id)]
    assert sorted(when is None for when in kept) == [False, True]
