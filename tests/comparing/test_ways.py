"""One request can be asked for in several ways, each with a name that says what it is."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cinegen_core.comparing import WayError, on_and_off, policy_for, request_for, ways_from
from cinegen_core.engines import all_engines
from cinegen_core.steering import GENERATION_FLAGS
from cinegen_core.store.comparisons import Way
from cinegen_core.story import Policy
from cinegen_core.tiers.model import TierName
from cinegen_core.tiers.runner import TIERS
from tests.builders import a_request

NAMES = tuple(engine.name for engine in all_engines())


def test_a_way_says_in_words_what_it_is() -> None:
    ways = ways_from(
        tiers=("comprehensive", "enhanced_baseline", "basic_fallback"), writers=("", "near"), seeds=(7,),
        words=lambda name: f"the model small ({name})",
    )  # fmt: skip
    assert [way.label for way in ways] == [
        "with the engines, seed 7",
        "with the engines, by the model small (near), seed 7",
        "in a single pass, seed 7",
        "in a single pass, by the model small (near), seed 7",
        "from the template, seed 7",
    ]


def test_engines_and_flags_can_be_compared_with_and_without() -> None:
    ways = ways_from(flags=on_and_off("genre_engines"), without=((), NAMES[:3]))
    some = ", ".join(sorted(NAMES[:3])[:2]) + f" and {sorted(NAMES[:3])[2]}"
    assert [way.label for way in ways] == [
        "as the flags decide, genre_engines on",
        f"as the flags decide, genre_engines on, without {some}",
        "as the flags decide, genre_engines off",
        f"as the flags decide, genre_engines off, without {some}",
    ]


def test_what_makes_no_difference_is_not_written_twice() -> None:
    ways = ways_from(tiers=("comprehensive", "enhanced_baseline"), without=((), NAMES[:1]))
    assert [way.label for way in ways] == [
        "with the engines", f"with the engines, without {NAMES[0]}", "in a single pass",
    ]  # fmt: skip
    with pytest.raises(WayError, match="one way of writing only"):
        ways_from(tiers=("enhanced_baseline",), flags=on_and_off("genre_engines"))


def test_what_is_not_there_is_refused_with_what_is() -> None:
    with pytest.raises(WayError, match=r"no engine called 'Weather'; there are .*" + NAMES[0]):
        ways_from(without=((), ("Weather",)))
    with pytest.raises(WayError, match=r"called 'warp'; there are beta_features, "):
        ways_from(flags=on_and_off("warp"))
    with pytest.raises(WayError, match="Those are 13 ways of writing; at most 12"):
        ways_from(seeds=tuple(range(13)))
    with pytest.raises(WayError, match="seed -1 is out of range"):
        ways_from(seeds=(0, -1))


def test_two_writers_who_are_described_alike_are_still_told_apart() -> None:
    ways = ways_from(tiers=("comprehensive",), writers=("near", "far"), words=lambda name: "a model")
    assert [way.label for way in ways] == [
        "with the engines, by a model", "with the engines, by a model [far]",
    ]  # fmt: skip


@settings(deadline=None)
@given(
    tiers=st.lists(st.sampled_from((None, *TIERS)), min_size=1, max_size=4),
    writers=st.lists(st.sampled_from(("", "near", "far")), min_size=1, max_size=2),
    flags=st.lists(
        st.dictionaries(st.sampled_from(GENERATION_FLAGS), st.booleans(), max_size=2), min_size=1, max_size=2
    ),
    without=st.lists(st.frozensets(st.sampled_from(NAMES), max_size=3), min_size=1, max_size=2),
    seeds=st.lists(st.none() | st.integers(0, 2**63 - 1), min_size=1, max_size=2),
)
def test_no_two_ways_have_one_label_and_none_is_there_twice(
    tiers: list[TierName | None],
    writers: list[str],
    flags: list[dict[str, bool]],
    without: list[frozenset[str]],
    seeds: list[int | None],
) -> None:
    try:
        ways = ways_from(tiers=tiers, writers=writers, flags=flags, without=without, seeds=seeds)
    except WayError as error:
        assert "one way of writing only" in str(error) or "at most 12" in str(error)
        return
    assert len({way.label for way in ways}) == len(ways)
    assert len({way.model_dump_json(exclude={"label"}) for way in ways}) == len(ways)
    # the label is the way's own, whatever it is compared with
    (again, _) = ways_from(
        tiers=(ways[0].tier,), writers=(ways[0].writer,), flags=(ways[0].flags,), without=(ways[0].without,),
        seeds=(ways[0].seed, 1 if ways[0].seed != 1 else 2),
    )  # fmt: skip
    assert again == ways[0]


def test_a_way_with_a_tier_stands_for_itself() -> None:
    policy = policy_for(Way(label="x", tier="comprehensive"), Policy(), NAMES)
    assert policy == Policy(tiers=("comprehensive",))


def test_a_way_without_a_tier_is_what_the_flags_decide_for_whoever_asks() -> None:
    decided = Policy(tiers=("enhanced_baseline", "basic_fallback"), genre_engines=False, repairs=2)
    assert policy_for(Way(label="x"), decided, NAMES) == decided
    with_engines = policy_for(Way(label="x", flags={"comprehensive_engines": True}), decided, NAMES)
    assert with_engines == decided.model_copy(update={"tiers": TIERS})


@pytest.mark.parametrize(
    ("flag", "field", "on", "off"),
    [
        ("complete_context", "complete_context", True, False),
        ("high_temperature", "high_temperature", True, False),
        ("genre_engines", "genre_engines", True, False),
        ("beta_features", "repairs", 2, 1),
        ("comprehensive_engines", "tiers", TIERS, TIERS[1:]),
        ("enhanced_fallbacks", "tiers", TIERS, ("comprehensive", "basic_fallback")),
    ],
)
def test_a_flag_set_for_a_way_does_what_it_does_elsewhere_and_nothing_else(
    flag: str, field: str, on: object, off: object
) -> None:
    for value, wanted in ((True, on), (False, off)):
        policy = policy_for(Way(label="x", flags={flag: value}), Policy(), NAMES)
        assert policy == Policy().model_copy(update={field: wanted})


def test_engines_left_out_are_left_out_of_those_that_would_work() -> None:
    way = Way(label="x", without=("B",))
    assert policy_for(way, Policy(), ("A", "B", "C")).engines == frozenset("AC")
    assert policy_for(way, Policy(engines=frozenset(("A", "B"))), ("A", "B", "C")).engines == frozenset("A")
    with pytest.raises(WayError, match="no engine called 'B'; there are A"):
        policy_for(way, Policy(), ("A",))


def test_a_seed_of_its_own_is_the_only_thing_that_a_way_changes_in_the_request() -> None:
    assert request_for(Way(label="x"), a_request(seed=3)) == a_request(seed=3)
    assert request_for(Way(label="x", seed=9), a_request(seed=3)) == a_request(seed=9)
