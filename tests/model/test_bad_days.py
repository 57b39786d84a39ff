"""Whatever breaks, the reader gets the best episode that could be had, inside the budget, and everything is on record."""

from __future__ import annotations

import asyncio
import logging
import random
import threading
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from pydantic import SecretStr

from cinegen_core.settings import Settings
from cinegen_core.store import MemoryStore
from cinegen_core.store.results import NoResults, ResultCache
from cinegen_core.studio import Studio, from_tier
from cinegen_core.tiers.model import Generation
from cinegen_core.tiers.runner import TIERS, Stopped
from cinegen_core.writers.model import Provider
from tests.fakes import by_form
from tests.model.brain import brain, shelf_request, short_brain
from tests.model.faults import FAULTS, Body, Fault, always, chance, no_faults, refused_port, script
from tests.model.server import ModelServer
from tests.model.studios import KEY, Heard, a_model, engines_named, model_studio
from tests.model.transport import FaultyTransport
from tests.model.virtual import virtually

FEW = engines_named("EpisodeCohesion", "HookCliffhanger", "Language")


def kept_promises(generation: Generation, budget: float) -> None:
    assert generation.seconds <= budget + 1e-6
    tiers = [attempt.tier for attempt in generation.attempts]
    assert tiers == list(TIERS[: len(tiers)])
    assert all(attempt.reason or attempt.outcome == "accepted" for attempt in generation.attempts)
    assert all(attempt.calls == len(attempt.log) for attempt in generation.attempts)
    scored = [attempt for attempt in generation.attempts if attempt.episode is not None]
    assert generation.episode in [attempt.episode for attempt in scored]


def test_a_thousand_generations_with_a_third_of_the_calls_failing_all_end_in_an_episode() -> None:
    threads = threading.active_count()
    model = a_model(brain=short_brain, plan=chance(7, 0.3), first_token=0.3, per_token=0.002, piece=200)

    async def all_of_them() -> list[Generation]:
        options: dict[str, Any] = {"engines": FEW, "judge": by_form, "automatic_emergency": False}
        with model_studio({"primary": model}, **options) as studio:

            async def one(seed: int) -> Generation:
                await asyncio.sleep(seed * 2.0)
                return await studio.generate(shelf_request(seed=seed))

            return await asyncio.gather(*map(one, range(1000)))

    generations = virtually(all_of_them())
    for generation in generations:
        kept_promises(generation, 120.0)
    assert len(generations) == 1000
    assert sum(attempt.calls for g in generations for attempt in g.attempts) == model.calls
    assert model.in_flight == 0
    assert threading.active_count() == threads
    tiers = Counter(generation.tier for generation in generations)
    assert set(tiers) == set(TIERS)
    assert tiers["comprehensive"] > 500


def test_over_real_sockets_every_kind_of_fault_is_survived() -> None:
    faults: list[Fault | None] = list(FAULTS)
    with ModelServer(brain=short_brain, plan=no_faults, pause=0.02) as server:
        provider = Provider(
            name="primary", base_url=server.base_url, model="test", key=SecretStr(KEY),
            first_token=0.4, stall=0.4, reply=0.4,
        )  # fmt: skip
        settings = Settings(providers=(provider,), budget_seconds=4.0, automatic_emergency=False)
        seen: set[Fault] = set()
        with Studio(
            settings, store=MemoryStore(), results=NoResults(), engines=FEW, judge=by_form, rng=random.Random(3)
        ) as studio:  # fmt: skip

            async def one(number: int) -> Generation:
                fault = faults[number % len(faults)]

                def plan(call: int, body: Body) -> Fault | None:
                    hit = random.Random(f"{number} {call}").random() < 0.3 or call == first
                    if hit and fault is not None:
                        seen.add(fault)
                        return fault
                    return None

                first = server.calls
                server.plan = plan
                return await studio.generate(shelf_request(seed=number))

            for number in range(30):
                kept_promises(asyncio.run(one(number)), 4.5)
        server.wait_until(lambda: server.open_connections == 0)
        assert seen == set(FAULTS)


def test_when_the_primary_is_down_the_backup_answers_and_the_reader_is_told() -> None:
    async def day() -> None:
        primary, backup = a_model(plan=always("unavailable")), a_model()
        with model_studio({"primary": primary, "backup": backup}, engines=FEW) as studio:
            generation = await studio.generate(shelf_request())
            assert generation.tier == "comprehensive"
            assert generation.winner is not None
            assert generation.winner.providers == ("backup",)
            assert generation.notices == ("It was written by backup, since primary did not answer.",)
            assert all(run.delivered for run in generation.engines)

    virtually(day())


def test_a_breaker_opens_after_failures_in_a_row_probes_and_closes() -> None:
    async def day() -> None:
        primary, backup = a_model(plan=always("reset")), a_model()
        with model_studio({"primary": primary, "backup": backup}, engines=()) as studio:
            await studio.generate(shelf_request())
            await studio.generate(shelf_request(seed=1))
            assert primary.calls == 5
            await studio.generate(shelf_request(seed=2))
            assert primary.calls == 5, "it is left alone"
            primary.plan = no_faults
            await asyncio.sleep(31)
            generation = await studio.generate(shelf_request(seed=3))
            assert generation.winner is not None
            assert generation.winner.providers == ("primary",)

    virtually(day())


def test_a_probe_that_is_cancelled_leaves_the_next_one_its_turn() -> None:
    async def day() -> None:
        primary = a_model(plan=always("reset"))
        with model_studio({"primary": primary}, engines=()) as studio:
            for seed in range(3):
                await studio.generate(shelf_request(seed=seed))
            await asyncio.sleep(31)
            primary.plan = always("stall_before")
            probe = asyncio.create_task(studio.generate(shelf_request(seed=8)))
            await asyncio.sleep(1)
            probe.cancel()
            await asyncio.gather(probe, return_exceptions=True)
            primary.plan = no_faults
            assert (await studio.generate(shelf_request(seed=9))).tier == "comprehensive"

    virtually(day())


def test_when_all_are_down_the_template_answers_within_the_budget_and_one_sentence_says_so() -> None:
    port = refused_port()
    provider = {"base_url": f"http://127.0.0.1:{port}/v1", "model": "m"}
    providers = (Provider(name="primary", **provider), Provider(name="backup", **provider))
    settings = Settings(providers=providers, budget_seconds=10.0)
    with Studio(settings, store=MemoryStore(), results=NoResults(), rng=random.Random(1)) as studio:
        generation = asyncio.run(studio.generate(shelf_request()))
    kept_promises(generation, 10.0)
    assert generation.notices == (
        "This episode was written from the template, since no language model answered when it was tried "
        "with the engines or in a single pass.",
    )


@pytest.mark.parametrize(
    ("fault", "retry_after", "least"), [("rate_limited", "7", 7.0), ("rate_limited_silent", "", 0.25)]
)
def test_a_busy_server_is_asked_again_when_it_says(fault: Fault, retry_after: str, least: float) -> None:
    model = a_model(plan=script(fault), retry_after=retry_after)
    generation = virtually(once(model))
    assert generation.tier == "enhanced_baseline"
    assert least <= generation.seconds < least + 2
    assert [call.outcome for call in generation.attempts[0].log] == ["rate_limited", "answered"]


def test_a_wait_that_the_budget_does_not_have_is_not_begun() -> None:
    generation = virtually(once(a_model(plan=always("rate_limited"), retry_after="3600")))
    assert generation.tier == "basic_fallback"
    assert generation.seconds < 1


@pytest.mark.parametrize("fault", ["refusal", "too_long", "echo_key"])
def test_what_cannot_go_better_is_not_asked_again(fault: Fault) -> None:
    model = a_model(plan=always(fault))
    generation = virtually(once(model))
    assert generation.tier == "basic_fallback"
    assert model.calls == 1


async def once(model: FaultyTransport, **options: Any) -> Generation:
    with model_studio({"primary": model}, engines=(), **options) as studio:
        return await studio.generate(shelf_request(), policy=from_tier("enhanced_baseline"))


def test_an_attempt_that_runs_out_of_time_keeps_its_draft() -> None:
    def plan(number: int, body: Body) -> Fault | None:
        return None if number == 0 else "stall_before"

    async def day() -> Generation:
        with model_studio({"primary": a_model(plan=plan)}, engines=()) as studio:
            return await studio.generate(shelf_request())

    generation = virtually(day())
    assert generation.tier == "comprehensive"
    assert generation.winner is not None
    assert generation.winner.outcome in ("failed", "timed_out")
    assert generation.notices[-1].startswith("This is its draft")
    kept_promises(generation, 120.0)


def test_stop_ends_all_calls_in_flight_at_once_and_keeps_what_was_finished() -> None:
    def plan(number: int, body: Body) -> Fault | None:
        return None if number == 0 else "stall_before"

    store = MemoryStore()
    with ModelServer(brain=brain, plan=plan) as server:
        provider = Provider(name="primary", base_url=server.base_url, model="test")
        with Studio(Settings(providers=(provider,)), store=store, results=NoResults(), engines=FEW) as studio:
            season = studio.open_season(shelf_request().bible)
            job = studio.start(shelf_request(), season=season.id)
            server.wait_for_call(1 + len(FEW))
            studio.cancel(job)
            view = studio.wait(job, 10)
            assert view is not None
            assert view.state == "stopped"
            server.wait_until(lambda: server.aborted == len(FEW) and server.open_connections == 0)
            record = store.record(season.id, job)
    assert record is not None
    assert record.generation.notices == ("Stopped before it was finished. This is what there was by then.",)
    log = record.generation.attempts[0].log
    assert Counter(call.outcome for call in log) == {"answered": 1, "cancelled": len(FEW)}


def test_stop_before_anything_is_finished_keeps_nothing() -> None:
    async def day() -> None:
        with model_studio({"primary": a_model(plan=always("stall_before"))}) as studio:
            task = asyncio.create_task(studio.generate(shelf_request()))
            await asyncio.sleep(1)
            task.cancel()
            with pytest.raises(asyncio.CancelledError) as caught:
                await task
            assert not isinstance(caught.value, Stopped)

    virtually(day())


def test_emergency_begins_with_an_outage_and_ends_by_its_probes_when_the_outage_ends() -> None:
    async def day() -> None:
        model = a_model(plan=always("server_error"))
        with model_studio({"primary": model}, engines=FEW) as studio:
            for seed in range(12):
                await studio.generate(shelf_request(seed=seed))
            assert studio.emergency is not None
            assert studio.emergency.by == "health"
            calls = model.calls
            for seed in range(30):
                generation = await studio.generate(shelf_request(seed=seed))
                assert generation.tier == "basic_fallback"
                assert "emergency mode" in generation.notices[0]
                await asyncio.sleep(20)
            assert model.calls == calls, "only probes ask the model"
            assert studio.emergency is not None, "answers of the template end no emergency"
            for _ in range(12):
                await asyncio.sleep(61)
                assert await studio.probe()
            assert studio.emergency is not None, "the outage goes on"
            model.plan = no_faults
            minutes = 0
            while studio.emergency is not None:
                await asyncio.sleep(61)
                assert await studio.probe()
                minutes += 1
            assert minutes >= 9
            assert (await studio.generate(shelf_request(seed=99))).tier == "comprehensive"

    virtually(day())


def test_an_emergency_stop_lets_what_is_being_written_fall_at_once() -> None:
    async def day() -> None:
        model = a_model(plan=lambda number, body: "stall_before" if number == 0 else None)
        with model_studio({"primary": model}, engines=FEW) as studio:
            task = asyncio.create_task(studio.generate(shelf_request()))
            await asyncio.sleep(1)
            studio.enter_emergency(by="Ada", reason="the model writes nonsense")
            generation = await task
            assert generation.tier == "enhanced_baseline"
            assert "Ada" in generation.attempts[0].reason
            assert generation.seconds < 10
            assert (await studio.generate(shelf_request())).tier == "basic_fallback"
            for _ in range(20):
                await asyncio.sleep(61)
                await studio.probe()
            assert studio.emergency is not None, "what a person entered, a person ends"
            studio.leave_emergency(by="Ada")
            assert (await studio.generate(shelf_request(seed=5))).tier == "comprehensive"

    virtually(day())


def test_no_key_appears_in_a_log_an_update_an_error_or_a_file(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    heard = Heard()
    results = ResultCache(tmp_path / "results", warn=logging.getLogger("test").warning)

    async def day() -> list[Generation]:
        faults: tuple[Fault | None, ...] = ("echo_key", "reset", None)
        models = {"primary": a_model(plan=script(*faults)), "backup": a_model(plan=script(*faults))}
        with model_studio(models, engines=FEW, results=results) as studio:
            return [await studio.generate(shelf_request(seed=seed), on_update=heard) for seed in range(3)]

    generations = virtually(day())
    assert any(call.outcome == "rejected" for g in generations for a in g.attempts for call in a.log)
    files = b"".join(path.read_bytes() for path in tmp_path.rglob("*") if path.is_file())
    shown = "".join(g.model_dump_json() for g in generations) + repr(heard.updates) + caplog.text
    assert KEY not in shown
    assert KEY.encode() not in files


def test_the_certificates_and_a_client_of_our_own_reach_a_real_server() -> None:
    with ModelServer(brain=brain) as server:
        provider = Provider(name="primary", base_url=server.base_url, model="test")
        with Studio(
            Settings(providers=(provider,)), store=MemoryStore(), results=NoResults(), engines=FEW
        ) as studio:
            generation = asyncio.run(studio.generate(shelf_request()))
        assert generation.tier == "comprehensive"
        server.wait_until(lambda: server.open_connections == 0)
