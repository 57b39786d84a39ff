"""A request is answered by the best that its tiers came to, in the time that it has."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

import pytest

from cinegen_core.engines.base import Engine
from cinegen_core.story import Choice, Episode, Policy, StoryBible
from cinegen_core.tiers.form import check_form
from cinegen_core.tiers.judging import Verdict
from cinegen_core.tiers.model import TierName, Update
from cinegen_core.tiers.runner import Answer, Budget, NothingWrittenError, run
from cinegen_core.writers.base import Writer
from cinegen_core.writers.template import TemplateWriter
from tests.builders import a_request, a_scene, an_episode, some_choices
from tests.fakes import (
    OUT_OF_FORM,
    BrokenEngine,
    FakeClock,
    FakeWriter,
    GenreTitleEngine,
    StuckWriter,
    TitleEngine,
    by_form,
)


async def answered(
    comprehensive: Writer | None = None,
    baseline: Writer | None = None,
    *,
    engines: Sequence[Engine] = (),
    policy: Policy | None = None,
    budget: Budget | None = None,
    updates: list[Update] | None = None,
    ranks: dict[str, float] | None = None,
) -> Answer:
    writers: dict[TierName, Writer] = {"basic_fallback": TemplateWriter()}
    if comprehensive:
        writers["comprehensive"] = comprehensive
    if baseline:
        writers["enhanced_baseline"] = baseline
    notes: list[Update] = [] if updates is None else updates
    return await run(
        a_request(),
        policy or Policy(),
        writers=writers,
        engines=engines,
        judge=by_form
        if ranks is None
        else lambda e, bible, profile: Verdict(False, ranks.get(e.title, 0), "is not good enough"),
        clock=FakeClock().monotonic,
        on_update=notes.append,
        budget=budget or Budget(),
    )


def outcomes(answer: Answer) -> list[tuple[str, str]]:
    return [(attempt.tier, attempt.outcome) for attempt in answer.attempts]


async def test_the_first_tier_answers_when_all_is_well_and_no_other_is_tried() -> None:
    writer = FakeWriter(changes={"title": "The Log"})
    updates: list[Update] = []
    answer = await answered(writer, FakeWriter(), engines=[TitleEngine()], updates=updates)
    assert outcomes(answer) == [("comprehensive", "accepted")]
    assert writer.asked == [("draft", ()), ("synthesise", ("Title",))]
    assert [u.phase for u in updates if u.kind == "phase"] == ["draft", "engines", "synthesis", "check"]
    assert [u.engine for u in updates if u.kind == "engine"] == ["Title"]
    assert (updates[0].kind, updates[-1].kind) == ("tier", "attempt")


async def test_what_an_engine_asked_for_in_vain_is_asked_for_once_more() -> None:
    writer = FakeWriter(repaired={"title": "The Log"})
    answer = await answered(writer, engines=[TitleEngine()])
    assert writer.asked[-1] == ("repair", ("Title",))
    assert answer.winner.episode is not None
    assert answer.winner.episode.title == "The Log"
    (engine,) = answer.winner.engines
    assert engine.repaired
    assert engine.realisation is not None
    assert engine.realisation.score == 1


async def test_a_repair_that_brings_nothing_in_is_not_kept() -> None:
    answer = await answered(FakeWriter(repaired={"logline": "Worse."}), engines=[TitleEngine()])
    assert answer.winner.episode is not None
    assert answer.winner.episode.logline == "A page is missing."
    assert not answer.winner.engines[0].repaired


async def test_an_engine_that_fails_is_recorded_and_costs_the_others_nothing() -> None:
    answer = await answered(
        FakeWriter(changes={"title": "The Log"}), engines=[BrokenEngine(fails=True), TitleEngine()]
    )
    broken, whole = answer.winner.engines
    assert (broken.error, broken.directive) == ("RuntimeError: no idea", None)
    assert whole.realisation is not None
    assert answer.winner.outcome == "accepted"


@pytest.mark.parametrize(
    ("engine", "policy"),
    [
        (TitleEngine(suited=False), Policy()),
        (TitleEngine(), Policy(engines=frozenset({"Other"}))),
        (GenreTitleEngine(), Policy(genre_engines=False)),
    ],
)
async def test_only_engines_that_suit_the_series_and_are_switched_on_take_part(
    engine: TitleEngine, policy: Policy
) -> None:
    assert (await answered(FakeWriter(), engines=[engine], policy=policy)).winner.engines == ()


async def test_when_the_first_tier_fails_the_next_one_answers_and_the_reason_is_kept() -> None:
    answer = await answered(FakeWriter(fails=ValueError("no cards")), FakeWriter())
    assert outcomes(answer) == [("comprehensive", "failed"), ("enhanced_baseline", "accepted")]
    assert answer.attempts[0].reason == "ValueError: no cards"


async def test_the_single_pass_has_no_engines() -> None:
    answer = await answered(None, FakeWriter(), engines=[TitleEngine()])
    assert outcomes(answer) == [("comprehensive", "skipped"), ("enhanced_baseline", "accepted")]
    assert answer.winner.engines == ()


async def test_an_attempt_out_of_form_falls_to_the_next_tier() -> None:
    answer = await answered(FakeWriter(changes=OUT_OF_FORM), FakeWriter())
    assert outcomes(answer) == [("comprehensive", "below_threshold"), ("enhanced_baseline", "accepted")]
    assert answer.attempts[0].reason == "has 1 of at least 2 scenes, 6 of at least 12 speeches"


async def test_when_nothing_is_good_enough_the_best_is_kept_and_not_the_last() -> None:
    first, second = FakeWriter(changes={"title": "one"}), FakeWriter(changes={"title": "two"})
    answer = await answered(first, second, ranks={"one": 5, "two": 5})
    assert answer.winner.tier == "comprehensive"
    answer = await answered(first, second, ranks={"one": 4, "two": 5})
    assert answer.winner.tier == "enhanced_baseline"


async def test_a_later_tier_that_is_good_enough_by_its_own_measure_does_not_replace_a_better_attempt() -> (
    None
):
    def judge(episode: Episode, bible: StoryBible, profile: str) -> Verdict:
        return Verdict(profile == "template", 2.0 if profile == "template" else 6.0, "scored")

    updates: list[Update] = []
    answer = await run(
        a_request(), Policy(), writers={"comprehensive": FakeWriter(), "basic_fallback": TemplateWriter()}, engines=(),
        judge=judge, clock=FakeClock().monotonic, on_update=updates.append, budget=Budget(),
    )  # fmt: skip
    assert [a.outcome for a in answer.attempts] == ["below_threshold", "skipped", "accepted"]
    assert answer.winner.tier == "comprehensive"


async def test_a_tier_that_takes_too_long_is_cut_off_and_the_next_one_answers() -> None:
    stuck = StuckWriter()
    quick = Budget(seconds=0.02, least={"comprehensive": 0, "enhanced_baseline": 0, "basic_fallback": 0})
    answer = await answered(stuck, FakeWriter(), budget=quick)
    assert outcomes(answer) == [("comprehensive", "timed_out"), ("enhanced_baseline", "accepted")]
    assert stuck.cancelled


async def test_an_episode_is_kept_when_only_its_repair_takes_too_long_or_fails() -> None:
    quick = Budget(seconds=0.05, least={"comprehensive": 0, "enhanced_baseline": 0, "basic_fallback": 0})
    answer = await answered(StuckWriter("repair"), engines=[TitleEngine()], budget=quick)
    assert outcomes(answer) == [("comprehensive", "accepted")]
    assert "no time left for its repair" in answer.winner.reason
    answer = await answered(FakeWriter(repair_fails=ValueError("odd")), engines=[TitleEngine()])
    assert "its repair failed (ValueError: odd)" in answer.winner.reason


async def test_a_budget_too_small_for_a_tier_skips_it() -> None:
    answer = await answered(FakeWriter(), FakeWriter(), budget=Budget(seconds=0.1))
    assert outcomes(answer) == [
        ("comprehensive", "skipped"), ("enhanced_baseline", "skipped"), ("basic_fallback", "accepted"),
    ]  # fmt: skip


def test_what_a_tier_does_not_use_is_there_for_the_next() -> None:
    ends = Budget().ends(("comprehensive", "enhanced_baseline", "basic_fallback"))
    assert ends == {"comprehensive": 78, "enhanced_baseline": 114, "basic_fallback": pytest.approx(120)}
    assert Budget().ends(("enhanced_baseline", "basic_fallback"))["basic_fallback"] == pytest.approx(120)


async def test_stopping_stops_the_writer() -> None:
    stuck = StuckWriter()
    task = asyncio.create_task(answered(stuck, FakeWriter()))
    await asyncio.to_thread(stuck.reached.wait, 10)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert stuck.cancelled


async def test_without_the_last_resort_there_may_be_no_episode_and_the_reasons_are_given() -> None:
    with pytest.raises(NothingWrittenError, match="comprehensive: ValueError: no cards"):
        await answered(FakeWriter(fails=ValueError("no cards")), policy=Policy(tiers=("comprehensive",)))
    with pytest.raises(ValueError, match="no tier 'best'"):
        await answered(policy=Policy(tiers=("best",)))


def test_the_form_of_an_episode() -> None:
    assert check_form(an_episode()).fits
    same = tuple(Choice(id=id, label="Go. ", consequence="") for id in "abc")
    assert "choices that are not three different ones" in check_form(an_episode(choices=same)).reason
    assert (
        check_form(an_episode(scenes=(a_scene(),))).met < check_form(an_episode(choices=some_choices())).met
    )
