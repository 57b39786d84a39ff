"""The figures on the dashboard: true to the events, the same in whatever order these arrive, and silent where there are none."""

from __future__ import annotations

import random
from datetime import UTC, datetime, timedelta
from math import atanh, sqrt, tanh
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cinegen_core.monitor.events import Event, FeedbackEvent, GenerationEvent, HeartbeatEvent
from cinegen_core.monitor.metrics import Figures, figures, flag_samples, rank_correlation

NOW = datetime(2026, 1, 5, 12, tzinfo=UTC)


def ago(**span: float) -> datetime:
    return NOW - timedelta(**span)


def episode(id: str, **changes: Any) -> GenerationEvent:
    good: dict[str, Any] = {
        "at": ago(hours=1), "tier": "comprehensive", "first": "comprehensive", "writer": "a model", "profile": "model",
        "seconds": 30.0, "score": 8.0, "quality": 8.0,
    }  # fmt: skip
    return GenerationEvent.model_validate({"id": id, **good, **changes})


def feedback(id: str, generation: str, action: str, **changes: Any) -> FeedbackEvent:
    return FeedbackEvent.model_validate(
        {"id": id, "at": ago(minutes=30), "generation": generation, "action": action, **changes}
    )


def rating(id: str, generation: str, stars: int, **changes: Any) -> FeedbackEvent:
    return feedback(id, generation, "rated", rating=stars, **changes)


def beat(
    minute: float, state: str = "running", *, studio: str = "s", answered: bool = True
) -> HeartbeatEvent:
    """`minute` counts from an hour ago."""
    return HeartbeatEvent.model_validate(
        {
            "id": f"{studio} {minute} {state}",
            "at": ago(minutes=60 - minute),
            "studio": studio,
            "state": state,
            "answered": answered,
        }
    )


def beats(first: int, last: int, **changes: Any) -> list[HeartbeatEvent]:
    return [beat(minute, **changes) for minute in range(first, last + 1)]


def test_without_events_every_figure_says_that_there_is_no_data() -> None:
    found = figures([], NOW)
    assert found == Figures(total_episodes=0, episodes=0)
    rest = found.model_dump(exclude={"total_episodes", "episodes"})
    assert all(value is None for value in rest.values())


def test_quality_is_the_mean_on_both_scales_and_by_class() -> None:
    found = figures(
        [
            episode("a", score=9.2, quality=9.4),
            episode("b", score=7.1, quality=8.0),
            episode("c", score=7.9, quality=7.9),
            episode("d", score=2.0, quality=1.0),
            episode("unscored", score=None, quality=None),
        ],
        NOW,
    )
    assert found.mean_quality == pytest.approx((9.4 + 8.0 + 7.9 + 1.0) / 4)
    assert found.mean_score == pytest.approx((9.2 + 7.1 + 7.9 + 2.0) / 4)
    assert found.quality_classes == {"masterpiece": 25.0, "excellent": 50.0, "poor": 25.0}
    assert list(found.quality_classes) == ["masterpiece", "excellent", "poor"]
    assert found.cinematic_share == 50.0
    assert found.episodes == 5


def test_errors_and_fallbacks_are_shares_of_all_requests() -> None:
    found = figures(
        [
            episode("a"),
            episode("b"),
            episode("c", tier="enhanced_baseline", fallback=True, seconds=60.0),
            episode("d", tier="basic_fallback", fallback=True, error=True, accepted=False),
        ],
        NOW,
    )
    assert (found.error_rate, found.success_rate, found.fallback_rate) == (25.0, 75.0, 50.0)
    assert found.seamless_fallback == 50.0


def test_a_fallback_that_took_longer_than_the_target_was_noticed() -> None:
    slow = episode("a", tier="enhanced_baseline", fallback=True, seconds=60.1)
    assert figures([slow], NOW).seamless_fallback == 0.0
    assert figures([episode("a")], NOW).seamless_fallback is None


def test_kept_answers_and_emergencies_count_as_episodes_and_nothing_else() -> None:
    plain: list[Event] = [episode("a", score=8.5, quality=8.5)]
    apart: list[Event] = [
        episode("k", kept=True, quality=1.0, seconds=0.1, attempts=[attempt(tokens=500)]),
        episode("e", emergency=True, tier="basic_fallback", quality=2.0, flags={"beta": True}),
        rating("r", "k", 1),
        feedback("s", "e", "shown"),
    ]
    with_them = figures([*plain, *apart], NOW)
    assert with_them.total_episodes == 3
    assert with_them.model_copy(update={"total_episodes": 1}) == figures(plain, NOW)


def test_figures_are_of_the_last_day_unless_told_otherwise_and_the_total_since_the_start() -> None:
    events = [
        episode("now", at=NOW),
        episode("a day ago", at=ago(hours=24)),
        episode("before", at=ago(hours=24.1), quality=2.0),
        episode("to come", at=ago(hours=-1), quality=2.0),
    ]
    day = figures(events, NOW)
    assert (day.episodes, day.total_episodes, day.mean_quality) == (2, 4, 8.0)
    assert figures(events, NOW, hours=48).episodes == 3
    assert figures(events, NOW, hours=1, total_episodes=1250).total_episodes == 1250


def attempt(**changes: Any) -> dict[str, Any]:
    return {"tier": "comprehensive", "writer": "a model", "outcome": "accepted", "seconds": 20.0, **changes}


def test_tokens_and_costs_are_those_of_every_try() -> None:
    found = figures(
        [
            episode(
                "a", attempts=[attempt(tokens=100, cost=0.1), attempt(tokens=50, cost=0.2, outcome="failed")]
            ),
            episode("b", attempts=[attempt(tokens=7, cost=0.3)]),
        ],
        NOW,
    )
    assert found.tokens == 157
    assert found.cost == pytest.approx(0.6)


def test_times_are_exact_percentiles() -> None:
    found = figures([episode(str(n), seconds=float(n)) for n in range(101)], NOW).seconds
    assert found is not None
    assert (found.mean, found.p50, found.p95, found.p99) == (50.0, 50.0, 95.0, 99.0)


def test_engines_are_counted_where_they_were_active() -> None:
    def run(engine: str, *, delivered: bool, realised: float | None = None) -> dict[str, Any]:
        return {"engine": engine, "delivered": delivered, "realised": realised}

    found = figures(
        [
            episode(
                "a", engines=[run("theme", delivered=True, realised=0.5), run("pacing", delivered=False)]
            ),
            episode("b", engines=[run("theme", delivered=True, realised=1.0)]),
            episode("c"),
        ],
        NOW,
    )
    assert found.engines is not None
    theme, pacing = found.engines["theme"], found.engines["pacing"]
    assert (theme.active, theme.delivered, theme.success_rate, theme.realised) == (2, 2, 100.0, 0.75)
    assert (pacing.active, pacing.success_rate, pacing.realised) == (1, 0.0, None)
    assert found.engine_success_rate == pytest.approx(200 / 3)


def test_each_tier_has_its_own_figures() -> None:
    found = figures(
        [
            episode("a", seconds=20.0),
            episode("b", seconds=40.0, quality=9.0),
            episode("c", tier="basic_fallback", seconds=1.0, quality=None),
        ],
        NOW,
    ).tiers
    assert found is not None
    assert list(found) == ["comprehensive", "basic_fallback"]
    first = found["comprehensive"]
    assert (first.count, first.quality, first.seconds) == (2, 8.5, 30.0)
    assert (found["basic_fallback"].count, found["basic_fallback"].quality) == (1, None)


def test_a_flag_is_shown_with_those_who_have_it_and_those_who_have_not() -> None:
    events = [
        episode("a", flags={"genre": True}, quality=9.0, seconds=40.0),
        episode("b", flags={"genre": True}, quality=8.0, seconds=20.0, error=True),
        episode("c", flags={"genre": False, "beta": False}, quality=7.0),
        episode("d"),
    ]
    found = figures(events, NOW).flags
    assert found is not None
    on, off = found["genre"].on, found["genre"].off
    assert (on.usage, on.success_rate, on.error_rate, on.quality, on.seconds) == (2, 50.0, 50.0, 8.5, 30.0)
    assert (off.usage, off.success_rate, off.quality) == (1, 100.0, 7.0)
    nobody = found["beta"].on
    assert (nobody.usage, nobody.success_rate, nobody.quality, nobody.seconds) == (0, None, None, None)
    assert [sample.on for sample in flag_samples(events[:1])] == [frozenset({"genre"})]


def test_a_reader_who_thinks_again_is_counted_with_the_last_word() -> None:
    found = figures(
        [
            episode("a"),
            rating("1", "a", 3, who="ann"),
            rating("2", "a", 9, who="ann", at=ago(minutes=10)),
            rating("3", "a", 5, who="bob"),
            rating("4", "a", 10),
            rating("5", "a", 10),
        ],
        NOW,
    ).satisfaction
    assert found is not None
    assert (found.mean, found.count) == ((9 + 5 + 10 + 10) / 4, 4)


def test_an_episode_is_completed_by_reaching_its_choice() -> None:
    shown = [feedback(f"shown {name}", name, "shown") for name in "abcd"]
    reached = [
        feedback("1", "a", "chose"),
        feedback("2", "b", "exported"),
        rating("3", "c", 8),
        feedback("4", "never shown", "chose"),
    ]
    assert figures(shown, NOW).completion == 0.0
    assert figures([*shown, *reached], NOW).completion == 75.0
    assert figures(reached, NOW).completion is None


def rated(stars: list[int], qualities: list[float], **changes: Any) -> list[Event]:
    pairs = list(zip(stars, qualities, strict=True))
    return [
        *(
            episode(str(n), quality=quality, at=ago(days=3), **changes)
            for n, (_, quality) in enumerate(pairs)
        ),
        *(rating(f"r{n}", str(n), given) for n, (given, _) in enumerate(pairs)),
    ]


def test_readers_who_agree_with_the_scorer_are_seen_to() -> None:
    stars, qualities = [3, 5, 6, 6, 7, 8, 9, 10], [5.0, 6.0, 5.5, 7.0, 8.0, 7.5, 9.0, 9.5]
    found = figures(rated(stars, qualities, dimensions={"dialogue": 7.0}), NOW)
    assert found.rating_quality is not None
    assert found.rating_quality.pairs == 8
    assert found.rating_quality.value == pytest.approx(39 / sqrt(41.5 * 42))
    assert found.rating_quality.low is not None
    assert found.rating_quality.high is not None
    assert 0 < found.rating_quality.low < found.rating_quality.value < found.rating_quality.high < 1
    assert found.rating_dimensions is None
    assert figures(rated(stars[:7], qualities[:7]), NOW).rating_quality is None


def test_each_dimension_has_its_own_agreement() -> None:
    events: list[Event] = []
    for n in range(9):
        dimensions = {"world": float(n), "choices": 9.0 - n} if n else {"world": 0.0}
        events += [episode(str(n), dimensions=dimensions), rating(f"r{n}", str(n), n + 1)]
    found = figures(events, NOW).rating_dimensions
    assert found is not None
    assert {name: value.value for name, value in found.items()} == {"choices": -1.0, "world": 1.0}
    assert (found["world"].low, found["world"].high, found["world"].pairs) == (None, None, 9)
    assert found["choices"].pairs == 8


def test_the_interval_is_the_one_that_the_books_give() -> None:
    left = [1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0, 8.0, 9.0, 10.0]
    right = [2.0, 1.0, 4.0, 3.0, 7.0, 5.0, 6.0, 10.0, 8.0, 9.0]
    found = rank_correlation(list(zip(left, right, strict=True)))
    assert found is not None
    squares = sum((a - b) ** 2 for a, b in zip(left, right, strict=True))
    rho = 1 - 6 * squares / 990
    reach = 1.959964 * sqrt((1 + rho**2 / 2) / 7)
    assert found.value == pytest.approx(rho)
    assert found.low == pytest.approx(tanh(atanh(rho) - reach))
    assert found.high == pytest.approx(tanh(atanh(rho) + reach))


@given(st.lists(st.tuples(st.integers(1, 10), st.integers(0, 100)), max_size=30))
def test_a_correlation_depends_on_ranks_alone(pairs: list[tuple[int, int]]) -> None:
    found = rank_correlation(pairs)
    assert rank_correlation([(left**3, 2 * right + 1) for left, right in pairs]) == found
    turned = rank_correlation([(-left, right) for left, right in pairs])
    if found is None:
        assert turned is None
    else:
        assert turned is not None
        assert turned.value == pytest.approx(-found.value)
        if found.low is not None and found.high is not None:
            assert -1 <= found.low <= found.value <= found.high <= 1


def test_series_are_never_mixed() -> None:
    with pytest.raises(ValueError, match="one series"):
        figures([episode("a"), episode("b", series="simulated")], NOW)


def test_of_two_events_with_one_id_the_first_that_happened_counts() -> None:
    early, late = episode("a", quality=9.0), episode("a", quality=2.0, at=ago(minutes=5))
    for events in ([early, late], [late, early]):
        found = figures(events, NOW)
        assert (found.episodes, found.mean_quality) == (1, 9.0)


some_times = st.integers(0, 40).map(lambda hours: ago(hours=hours))
some_quality = st.none() | st.floats(0, 10)
some_generations = st.builds(
    episode,
    st.integers(0, 12).map(str),
    at=some_times,
    tier=st.sampled_from(["comprehensive", "enhanced_baseline", "basic_fallback"]),
    seconds=st.floats(0, 120),
    score=some_quality,
    quality=some_quality,
    accepted=st.booleans(),
    error=st.booleans(),
    fallback=st.booleans(),
    kept=st.booleans(),
    emergency=st.booleans(),
    flags=st.dictionaries(st.sampled_from(["genre", "beta"]), st.booleans()),
    dimensions=st.dictionaries(st.sampled_from(["world", "genre"]), st.floats(0, 10)),
    attempts=st.lists(st.builds(attempt, cost=st.floats(0, 1), tokens=st.integers(0, 999)), max_size=3),
    engines=st.lists(
        st.fixed_dictionaries(
            {
                "engine": st.sampled_from(["theme", "pacing"]),
                "delivered": st.booleans(),
                "realised": st.none() | st.floats(0, 1),
            }
        ),
        max_size=3,
    ),
)
some_feedback = st.builds(
    feedback,
    st.integers(0, 20).map(str),
    st.integers(0, 12).map(str),
    st.sampled_from(["shown", "chose", "rated", "exported"]),
    at=some_times,
    who=st.sampled_from(["", "ann", "bob"]),
    rating=st.none() | st.integers(1, 10),
)
some_beats = st.builds(
    beat,
    st.integers(0, 70).map(lambda half: half / 2),
    st.sampled_from(["started", "running", "running", "stopped"]),
    studio=st.sampled_from(["s", "t"]),
    answered=st.booleans(),
)


@given(st.lists(some_generations | some_feedback | some_beats, max_size=25), st.randoms())
def test_order_and_repeated_delivery_change_nothing(events: list[Event], chance: random.Random) -> None:
    again = [*events, *chance.choices(events, k=len(events))] if events else []
    chance.shuffle(again)
    found = figures(events, NOW)
    assert figures(again, NOW) == found
    assert figures(again, NOW).model_dump_json() == found.model_dump_json()


@given(st.lists(some_generations | some_feedback, max_size=25))
def test_figures_lie_where_they_belong(events: list[Event]) -> None:
    found = figures(events, NOW)
    assert found.episodes <= found.total_episodes
    if found.success_rate is not None and found.error_rate is not None:
        assert found.success_rate + found.error_rate == pytest.approx(100)
    if found.quality_classes is not None:
        assert sum(found.quality_classes.values()) == pytest.approx(100)
    if found.seconds is not None:
        assert found.seconds.p50 <= found.seconds.p95 <= found.seconds.p99
    if found.tiers is not None:
        assert sum(tier.count for tier in found.tiers.values()) == found.episodes
