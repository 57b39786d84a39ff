"""An evaluation says whether a flag is on for somebody, and why. It never fails."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Mapping
from datetime import UTC, datetime
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cinegen_core.flags.bucket import bucket, variant_bucket
from cinegen_core.flags.evaluate import Snapshot, dependency_cycle
from cinegen_core.flags.model import (
    NOBODY,
    Context,
    Declared,
    Dependency,
    EmergencyOverlay,
    Evaluation,
    Flag,
    FlagOverlay,
    Overlay,
    Strategy,
    Variant,
)

ADA = Context(user="ada")
EMERGENCY = EmergencyOverlay(why="the provider is down", who="grace", since=datetime(2026, 1, 5, tzinfo=UTC))


def flag(key: str = "new", percent: int = 100, *, enabled: bool = True, needs: str = "", **more: Any) -> Flag:
    depends_on = tuple(Dependency(flag=parent) for parent in needs.split())
    more.setdefault("strategies", (Strategy(percent=percent),))
    return Flag.model_validate({"key": key, "enabled": enabled, "depends_on": depends_on, **more})


def snapshot(*flags: Flag, overlay: Overlay | None = None, rng: random.Random | None = None) -> Snapshot:
    declared = Declared(flags={one.key: one for one in flags})
    return Snapshot(declared, overlay or Overlay(), rng or random.Random(1))


def changed(**flags: Mapping[str, Any]) -> Overlay:
    return Overlay(flags={key: FlagOverlay.model_validate(fields) for key, fields in flags.items()})


def told(found: Evaluation) -> tuple[str, str]:
    return found.reason, found.words


@pytest.mark.parametrize(
    ("one", "context", "reason", "words"),
    [
        (flag(), ADA, "STATIC", "on: 100 percent"),
        (flag(percent=0), ADA, "STATIC", "off: 0 percent"),
        (flag(enabled=False), ADA, "DISABLED", "off: not enabled"),
        (flag("beta_features", 25), Context("user-1"), "SPLIT", "off: bucket 97 > 25"),
        (flag("beta_features", 96), Context("user-1"), "SPLIT", "off: bucket 97 > 96"),
        (flag("beta_features", 97), Context("user-1"), "SPLIT", "on: bucket 97 <= 97"),
        (flag(percent=0, users={"ada"}), ADA, "TARGETING_MATCH", "on: user listed"),
        (flag(percent=0, users={"ada"}), Context("bob"), "STATIC", "off: 0 percent"),
        (flag(percent=0, users={"ada"}), Context(session="ada"), "STATIC", "off: 0 percent"),
        (flag(percent=0, sessions={"s1"}), Context("ada", "s1"), "TARGETING_MATCH", "on: session listed"),
        (flag(percent=0, beta=True), Context("ada", beta=True), "TARGETING_MATCH", "on: beta tester"),
        (flag(percent=0, beta=True), ADA, "STATIC", "off: 0 percent"),
        (flag(percent=0), Context("ada", beta=True), "STATIC", "off: 0 percent"),
        (flag(percent=0, users={"bob"}), Context("ada", beta=True), "STATIC", "off: 0 percent"),
        (flag(percent=0, attributes={"country": ["fr"]}), Context(attributes={"country": "fr"}), "TARGETING_MATCH", "on: country listed"),
        (flag(percent=0, attributes={"country": ["fr"]}), NOBODY, "STATIC", "off: 0 percent"),
        (flag(strategies=()), ADA, "STATIC", "off: no strategy takes anybody"),
        (flag(users={"ada"}, enabled=False), ADA, "DISABLED", "off: not enabled"),
    ],
)  # fmt: skip
def test_an_evaluation_says_why(one: Flag, context: Context, reason: str, words: str) -> None:
    assert told(snapshot(one).evaluate(one.key, context)) == (reason, words)


def test_a_split_gives_the_bucket_and_what_it_was_held_against() -> None:
    found = snapshot(flag("beta_features", 25)).evaluate("beta_features", Context("user-1"))
    assert found == Evaluation("beta_features", False, "SPLIT", "25 percent", 97, 25, None)


@pytest.mark.parametrize("default", [True, False])
def test_an_unknown_flag_answers_the_callers_default(default: bool) -> None:
    found = snapshot(flag()).evaluate("nwe", ADA, default=default)
    assert (found.value, found.reason, found.because) == (default, "ERROR", "there is no flag 'nwe'")


@pytest.mark.parametrize(
    "context",
    [None, Context("\ud800"), Context(user=["ada"]), Context(attributes=None), "ada"],  # type: ignore[arg-type]
)
def test_a_context_that_cannot_be_used_answers_the_callers_default(context: Any) -> None:
    asked = snapshot(flag(percent=50, users={"bob"}, attributes={"country": ["fr"]}))
    found = asked.evaluate("new", context, default=True)
    assert (found.value, found.reason) == (True, "ERROR")
    assert "Error: " in found.because


@given(st.none() | st.text() | st.integers() | st.binary() | st.lists(st.text()))
def test_evaluating_never_fails(anything: Any) -> None:
    asked = snapshot(
        flag(percent=50, users={"bob"}, attributes={"country": ["fr"]}), flag("other", needs="new")
    )
    for key in ("new", "other", anything):
        for context in (anything, Context(anything), Context(attributes={"country": anything})):
            assert asked.evaluate(key, context).value in (True, False)


def test_with_neither_user_nor_session_each_evaluation_is_drawn_anew() -> None:
    asked = snapshot(flag(percent=25), rng=random.Random(7))
    found = [asked.evaluate("new") for _ in range(4000)]
    assert abs(sum(one.value for one in found) / len(found) - 0.25) < 0.03
    assert {one.bucket for one in found} == set(range(1, 101))
    assert {one.because for one in found} == {"25 percent, at random"}


def test_a_session_is_sticky_where_there_is_no_user() -> None:
    asked = snapshot(flag(percent=50))
    assert asked.evaluate("new", Context(session="s9")).bucket == bucket("new", "s9")
    assert asked.evaluate("new", Context("", "s9")).bucket == bucket("new", "")
    assert asked.evaluate("new", Context("ada", "s9")).bucket == bucket("new", "ada")


@pytest.mark.parametrize(
    ("stickiness", "context", "held"),
    [
        ("user", Context("ada", "s9"), "ada"),
        ("session", Context("ada", "s9"), "s9"),
        ("team", Context("ada", "s9", attributes={"team": "red"}), "red"),
    ],
)
def test_what_is_hashed_can_be_named(stickiness: str, context: Context, held: str) -> None:
    for percent in (1, 50, 99):
        sticky = flag(strategies=(Strategy(percent=percent, stickiness=stickiness, group="together"),))
        assert snapshot(sticky).evaluate("new", context).bucket == bucket("together", held)


@pytest.mark.parametrize("percent", [1, 50, 100])
@pytest.mark.parametrize("stickiness", ["session", "team"])
def test_somebody_without_what_is_hashed_is_out(percent: int, stickiness: str) -> None:
    asked = snapshot(flag(strategies=(Strategy(percent=percent, stickiness=stickiness),)))
    assert told(asked.evaluate("new", ADA)) == ("STATIC", f"off: no {stickiness} is known")


def test_a_strategy_takes_only_those_for_whom_its_conditions_hold() -> None:
    where = {"country": ("fr", "be"), "plan": ("pro",)}
    asked = snapshot(flag(strategies=(Strategy(where=where),)))
    inside = Context(attributes={"country": "be", "plan": "pro"})
    assert told(asked.evaluate("new", inside)) == (
        "STATIC",
        "on: 100 percent where country is fr or be and plan is pro",
    )
    for attributes in ({"country": "be"}, {"plan": "pro"}, {"country": "de", "plan": "pro"}, {}):
        assert not asked.evaluate("new", Context(attributes=attributes)).value
    assert told(asked.evaluate("new", Context(attributes={"plan": "pro"}))) == (
        "STATIC",
        "off: country is not fr or be",
    )


def test_one_strategy_of_several_is_enough() -> None:
    french = Strategy(where={"country": ("fr",)})
    asked = snapshot(
        flag("beta_features", strategies=(french, Strategy(percent=25), Strategy(percent=30, group="b")))
    )
    assert asked.evaluate("beta_features", Context("user-1", attributes={"country": "fr"})).reason == "STATIC"
    found = asked.evaluate("beta_features", Context("user-1"))
    assert told(found) == ("SPLIT", "off: bucket 97 > 25")
    third = next(
        f"u{n}" for n in range(1000) if bucket("beta_features", f"u{n}") > 25 and bucket("b", f"u{n}") <= 30
    )
    assert asked.evaluate("beta_features", Context(third)).percent == 30


def test_long_lists_are_named_by_their_first() -> None:
    asked = snapshot(flag(strategies=(Strategy(where={"country": tuple("abcdefg")}),)))
    assert asked.evaluate("new").because == "country is not a or b or c or 4 more"


# What operators change lies on top of what is declared.


def test_the_overlay_switches_and_raises_a_flag() -> None:
    assert told(snapshot(flag(), overlay=changed(new={"enabled": False})).evaluate("new")) == (
        "DISABLED",
        "off: switched off",
    )
    assert snapshot(flag(enabled=False), overlay=changed(new={"enabled": True})).evaluate("new").value
    raised = snapshot(flag("beta_features", 5), overlay=changed(beta_features={"percent": 97}))
    assert told(raised.evaluate("beta_features", Context("user-1"))) == ("SPLIT", "on: bucket 97 <= 97")
    assert raised.declared.flags["beta_features"].percent == 5


def test_the_overlays_percent_is_that_of_the_first_strategy() -> None:
    both = (Strategy(percent=0), Strategy(percent=1, stickiness="session"))
    asked = snapshot(flag(strategies=both), overlay=changed(new={"percent": 100}))
    assert asked.evaluate("new", ADA).value
    lowered = snapshot(
        flag(strategies=(Strategy(), Strategy(where={"plan": ("pro",)}))), overlay=changed(new={"percent": 0})
    )
    assert not lowered.evaluate("new", ADA).value
    assert lowered.evaluate("new", Context(attributes={"plan": "pro"})).value
    assert not snapshot(flag(strategies=()), overlay=changed(new={"percent": 100})).evaluate("new").value


def test_a_rollback_holds_whatever_else_is_said() -> None:
    latched = {"enabled": True, "percent": 100, "latched": "error rate 0.31 by error_rate_spike"}
    asked = snapshot(flag(users={"ada"}), overlay=changed(new=latched))
    assert told(asked.evaluate("new", ADA)) == (
        "DISABLED",
        "off: rolled back: error rate 0.31 by error_rate_spike",
    )
    assert not snapshot(flag(), overlay=changed(new={"latched": ""})).evaluate("new").value


def test_changes_of_a_flag_that_is_no_longer_declared_do_nothing() -> None:
    asked = snapshot(flag(), overlay=changed(old={"enabled": True}))
    assert asked.evaluate("new").value
    assert asked.evaluate("old").reason == "ERROR"


def test_an_emergency_is_off_for_everybody_and_leaves_targeting_as_it_was() -> None:
    listed = flag(users={"ada"}, sessions={"s1"}, beta=True, attributes={"country": ["fr"]})
    before = listed.model_dump_json()
    overlay = changed(new={"enabled": True}).model_copy(update={"emergency": EMERGENCY})
    during = snapshot(listed, flag("other", enabled=False), overlay=overlay)
    for context in (
        ADA,
        Context(session="s1"),
        Context(beta=True),
        Context(attributes={"country": "fr"}),
        NOBODY,
    ):
        assert told(during.evaluate("new", context)) == (
            "EMERGENCY",
            "off: switched off by grace: the provider is down",
        )
    assert during.evaluate("other").reason == "EMERGENCY"
    assert during.declared.flags["new"].model_dump_json() == before
    after = Snapshot(during.declared, overlay.model_copy(update={"emergency": None}))
    assert told(after.evaluate("new", ADA)) == ("TARGETING_MATCH", "on: user listed")


def test_a_snapshot_cannot_be_changed() -> None:
    asked = snapshot(flag())
    with pytest.raises(AttributeError):
        asked.overlay = changed(new={"enabled": False})  # type: ignore[misc]


# Dependencies.


def test_a_flag_is_off_while_what_it_needs_is_off() -> None:
    asked = snapshot(flag(needs="beta_features", users={"user-1"}), flag("beta_features", 25))
    found = asked.evaluate("new", Context("user-1"))
    assert told(found) == ("DEPENDENCY", "off: needs beta_features, which is off: bucket 97 > 25")
    inside = next(f"u{n}" for n in range(100) if bucket("beta_features", f"u{n}") <= 25)
    assert told(asked.evaluate("new", Context(inside))) == ("STATIC", "on: 100 percent")


def test_a_rollback_takes_down_what_needs_the_flag() -> None:
    asked = snapshot(
        flag("comprehensive_engines"),
        flag("genre_engines", needs="comprehensive_engines"),
        flag("noir", needs="genre_engines"),
        overlay=changed(comprehensive_engines={"latched": "quality 6.1"}),
    )
    assert told(asked.evaluate("noir", ADA)) == (
        "DEPENDENCY",
        "off: needs genre_engines, which is off: needs comprehensive_engines, which is off: rolled back: quality 6.1",
    )


def test_a_flag_can_need_another_to_be_off() -> None:
    needs_off = flag(depends_on=[Dependency(flag="old", enabled=False)])
    assert told(snapshot(needs_off, flag("old")).evaluate("new")) == (
        "DEPENDENCY",
        "off: needs old off, which is on: 100 percent",
    )
    assert snapshot(needs_off, flag("old", enabled=False)).evaluate("new").value
    in_no_variant = flag(depends_on=[Dependency(flag="old", enabled=False, variants=("blue",))])
    assert snapshot(in_no_variant, flag("old", enabled=False)).evaluate("new").value


def test_a_flag_can_need_a_variant_of_another() -> None:
    def needing(*variants: str) -> Flag:
        return flag(depends_on=[Dependency(flag="old", variants=variants)])

    parent = flag("old", variants=[Variant(name="blue", weight=1)])
    assert snapshot(needing("red", "blue"), parent).evaluate("new", ADA).value
    assert told(snapshot(needing("red", "green"), parent).evaluate("new", ADA)) == (
        "DEPENDENCY",
        "off: needs old in red or green, which is in blue",
    )
    assert snapshot(needing("disabled"), flag("old")).evaluate("new", ADA).value
    assert (
        snapshot(needing("red"), flag("old")).evaluate("new", ADA).because.endswith("which is in no variant")
    )
    assert not snapshot(needing("disabled"), flag("old", 0)).evaluate("new", ADA).value


def test_a_flag_that_needs_one_that_does_not_exist_is_off() -> None:
    asked = snapshot(flag(needs="old"))
    assert told(asked.evaluate("new")) == ("DEPENDENCY", "off: needs old, which does not exist")


def test_flags_that_need_each_other_are_off_and_take_nothing_else_with_them() -> None:
    asked = snapshot(
        flag("a", needs="b"), flag("b", needs="c"), flag("c", needs="a"), flag("d", needs="a"), flag("e")
    )
    assert told(asked.evaluate("a")) == ("DEPENDENCY", "off: depends on itself: a -> b -> c -> a")
    assert asked.evaluate("d").because == "needs a, which is off: depends on itself: a -> b -> c -> a"
    assert asked.evaluate("e").value


@given(st.lists(st.tuples(st.sampled_from("abcdef"), st.sampled_from("abcdef")), max_size=12))
def test_a_flag_with_a_way_back_to_itself_is_found_and_off(edges: list[tuple[str, str]]) -> None:
    flags = {key: flag(key, needs=" ".join(to for start, to in edges if start == key)) for key in "abcdef"}
    reach = {key: {to for start, to in edges if start == key} for key in flags}
    for _ in flags:
        reach = {key: found.union(*(reach[one] for one in found)) for key, found in reach.items()}
    asked = snapshot(*flags.values())
    for key in flags:
        cycle = dependency_cycle(flags, key)
        assert bool(cycle) == (key in reach[key])
        assert all(pair in edges for pair in pairwise(cycle))
        in_a_circle = any(one in reach[one] for one in {key, *reach[key]})
        assert asked.evaluate(key).value != in_a_circle


# Variants.


def variants(*weights: int, stickiness: str = "") -> tuple[Variant, ...]:
    names = "abcdefgh"
    return tuple(
        Variant(name=names[n], weight=weight, payload=names[n] * 2, stickiness=stickiness)
        for n, weight in enumerate(weights)
    )


def test_variants_share_people_by_weight_and_keep_them() -> None:
    asked = snapshot(flag(percent=50, variants=variants(1, 3)))
    people = [Context(f"user-{n}") for n in range(20_000)]
    found = [asked.evaluate("new", person) for person in people]
    counts = Counter(one.variant for one in found if one.value)
    assert abs(counts["b"] / (counts["a"] + counts["b"]) - 0.75) < 0.015
    assert {one.variant for one in found if not one.value} == {None}
    assert [asked.evaluate("new", person) for person in people[:100]] == found[:100]


def test_a_strategys_variants_go_before_the_flags() -> None:
    both = flag(
        strategies=(Strategy(variants=variants(1)),), variants=(Variant(name="z", weight=1, payload="last"),)
    )
    asked = snapshot(both)
    found = asked.evaluate("new", ADA)
    assert (found.variant, asked.payload(found)) == ("a", "aa")
    of_flag = snapshot(flag(variants=(Variant(name="z", weight=1, payload="last"),))).evaluate("new", ADA)
    assert (of_flag.variant, asked.payload(of_flag)) == ("z", "last")
    assert asked.payload(Evaluation("new", True, "STATIC")) is None
    assert asked.payload(Evaluation("gone", True, "STATIC", variant="a")) is None


def test_variants_are_drawn_in_the_group_of_their_strategy_or_by_the_flags_key() -> None:
    strategy = Strategy(group="together", variants=variants(1, 1))
    of_strategy, of_flag = (
        snapshot(flag(strategies=(strategy,))),
        snapshot(flag(strategies=(Strategy(group="together"),), variants=variants(1, 1))),
    )
    for person in (f"user-{n}" for n in range(50)):
        for asked, group in ((of_strategy, "together"), (of_flag, "new")):
            drawn = "ab"[variant_bucket(group, person, 2) - 1]
            assert asked.evaluate("new", Context(person)).variant == drawn


def test_listed_people_get_the_variant_that_the_first_strategy_would_give_them() -> None:
    strategy = Strategy(percent=0, group="g", variants=variants(1, 1))
    listed = snapshot(flag(strategies=(strategy,), beta=True))
    rolled_out = snapshot(flag(strategies=(strategy.model_copy(update={"percent": 100}),)))
    for number in range(50):
        person = Context(f"user-{number}", beta=True)
        assert listed.evaluate("new", person).variant == rolled_out.evaluate("new", person).variant


def test_variants_can_stick_to_something_else_than_the_rollout() -> None:
    asked = snapshot(flag(variants=variants(1, 1, 1, stickiness="team")))
    red = {asked.evaluate("new", Context(f"u{n}", attributes={"team": "red"})).variant for n in range(50)}
    assert len(red) == 1
    lacking = {asked.evaluate("new", ADA).variant for _ in range(200)}
    assert lacking == {"a", "b", "c"}


def test_a_variant_without_weight_is_given_to_nobody() -> None:
    asked = snapshot(flag(variants=variants(0, 5, 0)), flag("none", variants=variants(0, 0)))
    assert {asked.evaluate("new", Context(f"u{n}")).variant for n in range(200)} == {"b"}
    assert (asked.evaluate("none").value, asked.evaluate("none").variant) == (True, None)
