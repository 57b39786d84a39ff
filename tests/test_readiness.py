"""Operators learn whether the studio is ready: every criterion against its target, and never a verdict without enough behind it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from cinegen_core.flags.control import Flags
from cinegen_core.flags.declared import load_declared
from cinegen_core.flags.journal import MemoryJournal
from cinegen_core.monitor.alerts import mean_time_to_resolve
from cinegen_core.monitor.events import (
    AlertEvent,
    EngineFact,
    Event,
    FeedbackEvent,
    GenerationEvent,
    HeartbeatEvent,
)
from cinegen_core.monitor.metrics import figures
from cinegen_core.monitor.uptime import uptime
from cinegen_core.preflight import Check, Preflight, keep
from cinegen_core.readiness import (
    Finding,
    Readiness,
    Records,
    UnrecordedError,
    enough_for,
    improvement,
    readiness,
    readiness_of,
)
from cinegen_core.settings import Settings
from cinegen_core.studio import Studio, open_studio
from tests.fakes import a_studio

NOW = datetime(2026, 11, 20, 12, tzinfo=UTC)
START = NOW - timedelta(days=6)
DECLARED = Path(__file__).parents[1] / "flags.toml"
PASSED = Preflight(at=NOW, checks=(Check(key="store", name="Store", verdict="ok", seen="It answers."),))


def answer(number: int, at: datetime = START, **changes: Any) -> GenerationEvent:
    values: dict[str, Any] = {
        "id": f"g{number}", "at": at, "tier": "comprehensive", "first": "comprehensive", "writer": "m",
        "profile": "model", "seconds": 20.0, "score": 8.6, "quality": 8.6,
        "engines": (EngineFact(engine="Dialogue", delivered=True),),
    }  # fmt: skip
    return GenerationEvent.model_validate({**values, **changes})


def fallback(number: int, **changes: Any) -> GenerationEvent:
    return answer(number, tier="enhanced_baseline", fallback=True, engines=(), **changes)


def rated(number: int, rating: int) -> list[Event]:
    what: dict[str, Any] = {"at": START, "generation": f"g{number}", "who": "r"}
    return [
        FeedbackEvent(id=f"s{number}", action="shown", **what),
        FeedbackEvent(id=f"r{number}", action="rated", rating=rating, **what),
    ]


def alert(name: str, state: Any, at: datetime, severity: Any = "critical") -> AlertEvent:
    return AlertEvent(
        id=f"{name}-{state}", at=at, alert=name, rule="quality_critical", severity=severity, state=state
    )


def beats(minutes: int, missed: int = 0) -> list[Event]:
    return [
        HeartbeatEvent(
            id=f"b{minute}", at=START + timedelta(minutes=minute), studio="one", watched=60.0,
            up=60.0 if minute >= missed else 0.0, state="stopped" if minute == minutes - 1 else "running",
        )
        for minute in range(minutes)
    ]  # fmt: skip


def records(events: Sequence[Event], **changes: Any) -> Records:
    steps = [event for event in events if isinstance(event, AlertEvent)]
    values: dict[str, Any] = {
        "now": NOW, "days": 7.0, "events": events, "figures": figures(events, NOW, hours=7 * 24), "changes": (),
        "declared": load_declared(DECLARED), "overlay": Flags(DECLARED, MemoryJournal(), now=lambda: NOW, on_problem=pytest.fail).overlay,
        "uptime": uptime([e for e in events if isinstance(e, HeartbeatEvent)], NOW),
        "mean_time_to_resolve": mean_time_to_resolve(steps),
    }  # fmt: skip
    return Records(**{**values, **changes})


def criterion(found: Readiness, key: str) -> Finding:
    return next(one for one in found.criteria if one.key == key)


def indicator(found: Readiness, week: int, key: str) -> Finding:
    of_week = next(one for one in found.weeks if one.number == week)
    return next(one for one in of_week.indicators if one.key == key)


def a_good_week() -> list[Event]:
    """Everything that the contract asks for: 1200 answers, 20 of them seamless fallbacks, pairs, ratings, alerts soon over."""
    events: list[Event] = [answer(number) for number in range(1170)]
    events += [fallback(2000 + number) for number in range(20)]
    for number in range(10):
        events.append(answer(3000 + number, asked=f"q{number}", score=8.6))
        score = 7.5 + number / 100
        events.append(
            answer(
                4000 + number, asked=f"q{number}", tier="enhanced_baseline", first="enhanced_baseline",
                engines=(), score=score,
            )
        )  # fmt: skip
    for number in range(30):
        events += rated(number, 10 if number % 3 else 9)
    events += beats(1500)
    for number in range(3):
        at = START + timedelta(hours=number)
        events += [
            alert(f"w{number}", "firing", at, "warning"),
            alert(f"w{number}", "resolved", at + timedelta(minutes=9), "warning"),
        ]
    return events


def test_a_studio_that_has_recorded_nothing_is_neither_ready_nor_unready() -> None:
    found = readiness(records([]))
    assert found.verdict == "no data"
    assert {one.verdict for one in found.criteria} == {"no data"}
    assert [one.key for one in found.criteria] == [
        "quality", "engines", "fallback", "cinematic", "uptime", "p95", "errors", "resolve", "satisfaction",
        "completion", "improvement", "seamless",
    ]  # fmt: skip
    assert [week.number for week in found.weeks] == [1, 4, 6, 8]


def test_a_week_that_is_as_the_contract_asks_meets_all_twelve() -> None:
    found = readiness(records(a_good_week()))
    assert {one.key: one.verdict for one in found.criteria if one.verdict != "met"} == {}
    assert found.verdict == "met"
    assert indicator(found, 8, "all").verdict == "met"


@pytest.mark.parametrize(
    ("key", "spoilt"),
    [
        ("quality", [answer(9000 + n, quality=5.0) for n in range(600)]),
        ("engines", [answer(9000 + n, engines=(EngineFact(engine="Dialogue", delivered=False),)) for n in range(300)]),
        ("fallback", [fallback(9000 + n) for n in range(30)]),
        ("cinematic", [answer(9000 + n, quality=7.9) for n in range(400)]),
        ("p95", [answer(9000 + n, seconds=70.0) for n in range(100)]),
        ("errors", [answer(9000 + n, error=True) for n in range(100)]),
        ("resolve", [alert("x", "firing", START), alert("x", "resolved", START + timedelta(hours=3))]),
        ("satisfaction", [event for n in range(30, 90) for event in rated(n, 6)]),
        ("completion", [FeedbackEvent(id=f"n{n}", at=START, generation=f"g{n}", action="shown") for n in range(100, 103)]),
        ("seamless", [fallback(9000 + n, seconds=61.0) for n in range(3)]),
    ],
)  # fmt: skip
def test_each_criterion_is_missed_by_what_it_is_about(key: str, spoilt: list[Event]) -> None:
    found = readiness(records([*a_good_week(), *spoilt]))
    assert criterion(found, key).verdict == "not met"
    assert found.verdict == "not met"
    assert f"{criterion(found, key).name.lower()} not met" in indicator(found, 8, "all").note


def test_a_studio_that_was_down_for_one_percent_of_its_time_misses_its_uptime() -> None:
    events = [event for event in a_good_week() if not isinstance(event, HeartbeatEvent)]
    missed = criterion(readiness(records([*events, *beats(1500, missed=15)])), "uptime")
    assert (missed.verdict, missed.samples) == ("not met", 1500)
    assert missed.measured == pytest.approx(99.0)


def test_too_few_samples_are_no_data_however_good_they_look() -> None:
    found = readiness(records([*(answer(number) for number in range(49)), *beats(199)]))
    verdicts = {one.key: (one.verdict, one.samples, one.least) for one in found.criteria}
    assert verdicts["quality"] == ("met", 49, 20)
    assert verdicts["fallback"] == ("no data", 49, 50)
    assert verdicts["uptime"] == ("no data", 199, 200)
    assert criterion(found, "fallback").measured == 0.0
    assert (enough_for(2.0), enough_for(0.5), enough_for(5.0), enough_for(10.0)) == (50, 200, 20, 20)


def test_only_the_span_counts_and_neither_kept_answers_nor_those_of_an_emergency() -> None:
    apart = [
        *(answer(n, NOW - timedelta(days=8)) for n in range(30)),
        *(answer(100 + n, kept=True) for n in range(30)),
        *(answer(200 + n, emergency=True) for n in range(30)),
    ]
    assert criterion(readiness(records(apart)), "quality").samples == 0


def pairs(gains: Sequence[float], **changes: Any) -> Iterator[GenerationEvent]:
    for number, gain in enumerate(gains):
        yield answer(2 * number, asked=f"q{number}", score=7.0 + gain)
        values: dict[str, Any] = {"tier": "enhanced_baseline", "first": "enhanced_baseline", "score": 7.0}
        yield answer(2 * number + 1, asked=f"q{number}", **{**values, **changes})


def test_an_improvement_is_shown_by_the_same_requests_answered_both_ways() -> None:
    # mean 0.45, standard deviation 0.24495, t(7, 0.975) = 2.36462: 0.45 -+ 0.20478
    found = improvement(pairs([0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8]))
    assert found.measured == pytest.approx(0.45)
    assert found.low == pytest.approx(0.2452, abs=0.001)
    assert found.high == pytest.approx(0.6548, abs=0.001)
    assert (found.verdict, found.samples) == ("met", 8)


def test_an_improvement_that_chance_explains_is_not_demonstrated() -> None:
    found = improvement(pairs([1.0, -0.9, 1.1, -1.0, 0.9, -0.8, 1.0, -0.7]))
    assert found.measured is not None
    assert found.measured > 0
    assert found.verdict == "not met"


def test_seven_pairs_baselines_that_somebody_fell_to_and_other_writers_demonstrate_nothing() -> None:
    gains = [0.5, 0.6, 0.5, 0.6, 0.5, 0.6, 0.5]
    assert improvement(pairs(gains)).verdict == "no data"
    assert improvement(pairs([*gains, 0.6], first="comprehensive", fallback=True)).samples == 0
    assert improvement(pairs([*gains, 0.6], writer="other")).samples == 0


def test_foundation_flags_count_as_they_are_in_force() -> None:
    assert indicator(readiness(records([])), 1, "foundation").verdict == "met"
    flags = Flags(DECLARED, MemoryJournal(), now=lambda: NOW, on_problem=pytest.fail)
    flags.set("high_temperature", None, 50, who="Ada", why="trying")
    found = indicator(readiness(records([], overlay=flags.overlay)), 1, "foundation")
    assert (found.verdict, found.measured, found.note) == ("not met", 3, "high_temperature 50 %")


def test_a_critical_alert_that_was_open_in_the_span_spoils_week_one() -> None:
    old = [alert("old", "firing", NOW - timedelta(days=9)), alert("old", "resolved", NOW - timedelta(days=8))]
    assert indicator(readiness(records([*a_good_week(), *old])), 1, "calm").verdict == "met"
    lasting = [alert("x", "firing", NOW - timedelta(days=9))]
    found = indicator(readiness(records([*a_good_week(), *lasting])), 1, "calm")
    assert (found.verdict, found.note) == ("not met", "quality_critical")


def test_week_four_stands_on_a_preflight_that_passed_and_a_load_test_that_is_on_record() -> None:
    bare = readiness(records([]))
    assert [one.verdict for one in bare.weeks[1].indicators] == ["no data"] * 3

    def staged(apart: float) -> list[GenerationEvent]:
        return [answer(n, START - timedelta(days=20) + timedelta(seconds=apart * n)) for n in range(100)]

    tested = readiness(records([], preflight=PASSED, staging=staged(5.0)))
    assert tested.weeks[1].verdict == "met"
    assert indicator(tested, 4, "load").measured == 4
    in_turn = readiness(records([], preflight=PASSED, staging=staged(20.0)))
    assert indicator(in_turn, 4, "load").measured == 1
    assert indicator(in_turn, 4, "load").verdict == "not met"
    failed = PASSED.checks[0].model_copy(update={"verdict": "failed"})
    stopped = readiness(records([], preflight=PASSED.model_copy(update={"checks": (failed,)})))
    assert indicator(stopped, 4, "preflight").verdict == "not met"


class Rollout:
    """A rollout of the engines that began three days ago."""

    def __init__(self) -> None:
        self.at = NOW - timedelta(days=3)
        self.journal = MemoryJournal()
        self.flags = Flags(DECLARED, self.journal, now=lambda: self.at, on_problem=pytest.fail)
        self.flags.start_rollout("comprehensive_engines_rollout", who="Ada", why="week five")

    def records(self, events: Sequence[Event]) -> Records:
        return records(events, changes=self.journal.read(), overlay=self.flags.overlay)


def test_the_first_phase_is_done_once_the_rollout_went_on_from_it() -> None:
    rollout = Rollout()
    assert indicator(readiness(rollout.records([])), 6, "first_step").verdict == "not met"
    assert indicator(readiness(rollout.records([])), 8, "everybody").measured == 25
    rollout.at += timedelta(days=2)
    rollout.flags.advance_rollout("comprehensive_engines_rollout", 1, who="rollout", why="gates are met")
    assert indicator(readiness(rollout.records([])), 6, "first_step").verdict == "met"
    rollout.flags.abort_rollout("comprehensive_engines_rollout", who="Ada", why="enough")
    assert indicator(readiness(rollout.records([])), 6, "first_step").verdict == "met"
    rollout.flags.start_rollout("comprehensive_engines_rollout", who="Ada", why="again")
    rollout.flags.abort_rollout("comprehensive_engines_rollout", who="Ada", why="enough")
    assert indicator(readiness(rollout.records([])), 6, "first_step").verdict == "not met"


@pytest.mark.parametrize(("change", "verdict"), [(0.0, "met"), (-0.2, "not met"), (-1.0, "not met")])
def test_quality_is_maintained_through_the_change_if_its_interval_allows_no_real_loss(
    change: float, verdict: str
) -> None:
    rollout = Rollout()
    spread = [-0.3, -0.1, 0.1, 0.3] * 10
    before = [answer(n, NOW - timedelta(days=4), quality=8.5 + by) for n, by in enumerate(spread)]
    during = [
        answer(100 + n, NOW - timedelta(days=1), quality=8.5 + change + by) for n, by in enumerate(spread)
    ]
    found = indicator(readiness(rollout.records([*before, *during])), 6, "maintained")
    assert found.verdict == verdict
    assert found.measured == pytest.approx(change)
    assert (found.samples, found.note) == (40, "40 answers before, 40 during it.")
    assert indicator(readiness(rollout.records(before)), 6, "maintained").verdict == "no data"


def test_production_excellence_asks_for_more_than_the_criteria_do() -> None:
    events = [event for event in a_good_week() if not isinstance(event, FeedbackEvent)]
    ratings = [event for number in range(30) for event in rated(number, 9)]
    found = readiness(records([*events, *ratings]))
    assert criterion(found, "satisfaction").verdict == "met"
    assert indicator(found, 6, "satisfaction").verdict == "met"
    assert indicator(found, 8, "satisfaction").verdict == "not met"


@pytest.fixture
def studio(tmp_path: Path) -> Iterator[Studio]:
    with open_studio(Settings(data_dir=tmp_path, install_id="one", flags_file=DECLARED)) as opened:
        yield opened


def test_a_studio_tells_its_own_from_what_it_has_recorded(studio: Studio, tmp_path: Path) -> None:
    assert studio.monitoring is not None
    assert studio.steering is not None
    keep(PASSED, tmp_path)
    now = studio.monitoring.now()
    studio.steering.flags.start_rollout("comprehensive_engines_rollout", who="Ada", why="week five")
    for number in range(25):
        studio.monitoring.generated(answer(number, now - timedelta(days=2)))
        studio.monitoring.generated(answer(100 + number, now, series="staging"))
    found = readiness_of(studio)
    assert (criterion(found, "quality").verdict, criterion(found, "quality").samples) == ("met", 25)
    assert indicator(found, 4, "staging").samples == 25
    assert indicator(found, 4, "preflight").verdict == "met"
    assert indicator(found, 6, "first_step").verdict == "not met"
    assert criterion(readiness_of(studio, days=1), "quality").samples == 0


def test_a_studio_without_a_record_says_so() -> None:
    with a_studio() as bare, pytest.raises(UnrecordedError, match="records nothing"):
        readiness_of(bare)
