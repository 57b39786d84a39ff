"""flags.toml is read as it stands, or refused with all that is wrong with it, by line."""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Any

import pytest
import tomlkit
from hypothesis import given
from hypothesis import strategies as st

from cinegen_core.flags.declared import DeclarationError, Problem, key_lines, load_declared, read_declared
from cinegen_core.flags.model import (
    Declared,
    Dependency,
    Flag,
    Phase,
    RolloutPlan,
    Strategy,
    Trigger,
    Variant,
)

SHIPPED = Path(__file__).parents[2] / "flags.toml"


def problems(text: str) -> list[str]:
    with pytest.raises(DeclarationError) as refused:
        read_declared(text, "flags.toml")
    assert str(refused.value) == "\n".join(str(problem) for problem in refused.value.problems)
    return [str(problem) for problem in refused.value.problems]


def test_the_file_that_ships_holds_the_contracts_numbers() -> None:
    declared = load_declared(SHIPPED)
    assert {
        key: (flag.enabled, flag.percent, [needed.flag for needed in flag.depends_on], flag.beta)
        for key, flag in declared.flags.items()
    } == {
        "complete_context": (True, 100, [], False),
        "high_temperature": (True, 100, [], False),
        "enhanced_fallbacks": (True, 100, [], False),
        "production_monitoring": (True, 100, [], False),
        "comprehensive_engines": (True, 100, [], False),
        "genre_engines": (True, 90, ["comprehensive_engines"], False),
        "beta_features": (False, 5, [], True),
    }
    assert all(flag.description for flag in declared.flags.values())
    (plan,) = declared.rollouts.values()
    assert (plan.key, plan.flag) == ("comprehensive_engines_rollout", "comprehensive_engines")
    assert [(one.percent, one.dwell_hours, one.quality, one.errors) for one in plan.phases] == [
        (25, 48, 8.0, 0.05),
        (50, 72, 8.0, 0.03),
        (75, 48, 8.0, 0.02),
        (100, 168, 8.0, 0.02),
    ]
    assert [
        (
            one.key,
            one.metric,
            one.worse,
            one.threshold,
            one.minutes,
            one.samples,
            one.policy,
            one.low,
            one.high,
        )
        for one in declared.triggers.values()
    ] == [
        ("quality_degradation", "quality", "below", 7.0, 30, 20, "evidence", 0, 10),
        ("error_rate_spike", "error", "above", 0.10, 15, 20, "evidence", 0, 1),
        ("processing_time_spike", "seconds", "above", 90, 20, 20, "evidence", 0, 120),
    ]


FULL = """
[flags.old]

[flags.new]
description = "Something new"
enabled = true
rollout = 30
group = "together"
stickiness = "team"
depends_on = ["old", { flag = "other", enabled = false }, { flag = "shaped", variants = ["a", "disabled"] }]
users = ["ada"]
sessions = ["s1"]
beta = true
attributes = { country = ["fr", "be"] }

[flags.other]
strategies = [{ percent = 100, where = { country = ["fr"] } }, { percent = 5, group = "g", stickiness = "user" }]

[flags.shaped]
[[flags.shaped.variants]]
name = "a"
weight = 30
payload = "{}"
[[flags.shaped.variants]]
name = "b"
weight = 70
stickiness = "team"

[rollouts.new_rollout]
flag = "new"
phases = [{ percent = 50, dwell_hours = 1.5, quality = 8, errors = 0.1, samples = 40, approval = true }]

[triggers.slow]
metric = "seconds"
above = 90
minutes = 20
policy = "literal"
bound = 100
high = 120
flags = ["new"]
"""


def test_all_that_can_be_declared() -> None:
    assert read_declared(FULL, "flags.toml") == Declared(
        flags={
            "old": Flag(key="old"),
            "new": Flag(
                key="new",
                description="Something new",
                enabled=True,
                depends_on=(
                    Dependency(flag="old"),
                    Dependency(flag="other", enabled=False),
                    Dependency(flag="shaped", variants=("a", "disabled")),
                ),
                users=frozenset({"ada"}),
                sessions=frozenset({"s1"}),
                attributes={"country": ("fr", "be")},
                beta=True,
                strategies=(Strategy(percent=30, group="together", stickiness="team"),),
            ),
            "other": Flag(
                key="other",
                strategies=(Strategy(where={"country": ("fr",)}), Strategy(percent=5, group="g", stickiness="user")),
            ),
            "shaped": Flag(
                key="shaped",
                variants=(
                    Variant(name="a", weight=30, payload="{}"),
                    Variant(name="b", weight=70, stickiness="team"),
                ),
            ),
        },
        rollouts={
            "new_rollout": RolloutPlan(
                key="new_rollout",
                flag="new",
                phases=(Phase(percent=50, dwell_hours=1.5, quality=8, errors=0.1, samples=40, approval=True),),
            )
        },
        triggers={
            "slow": Trigger(
                key="slow", metric="seconds", worse="above", threshold=90, minutes=20, policy="literal", bound=100, high=120, flags=("new",)
            )
        },
    )  # fmt: skip


def test_an_empty_file_declares_nothing() -> None:
    assert read_declared("# nothing yet\r\n", "flags.toml") == Declared()


PHASE = "dwell_hours = 1, quality = 8, errors = 0.1"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("[flags.a]\n\nrolout = 5", "flags.toml:3: flags.a.rolout is not known: did you mean rollout?"),
        ("[flags.a]\nx = 5", "flags.toml:2: flags.a.x is not known: there are attributes, beta, depends_on, description, enabled, group, rollout, sessions, stickiness, strategies, users, variants"),
        ("[flag.a]\nenabled = true", "flags.toml:1: flag is not known: did you mean flags?"),
        ("flags = 3", "flags.toml:1: flags has to be a table: write [flags.<key>]"),
        ("[flags]\n# now\na = true", "flags.toml:3: flags.a has to be a table: write [flags.a]"),
        ('[flags."a b"]', "flags.toml:1: flags.a b cannot be a key: it may hold letters, digits, '.', '_' and '-', up to 100, the first a letter or a digit"),
        ("[flags.a]\nrollout = 101", "flags.toml:2: flags.a.rollout has to be a whole percentage from 0 to 100, not 101"),
        ("[flags.a]\nrollout = -1", "flags.toml:2: flags.a.rollout has to be a whole percentage from 0 to 100, not -1"),
        ("[flags.a]\nrollout = 12.5", "flags.toml:2: flags.a.rollout has to be a whole percentage from 0 to 100, not 12.5"),
        ('[flags.a]\nrollout = "5"', 'flags.toml:2: flags.a.rollout has to be a whole percentage from 0 to 100, not "5"'),
        ("[flags.a]\nrollout = true", "flags.toml:2: flags.a.rollout has to be a whole percentage from 0 to 100, not true"),
        ('[flags.a]\nenabled = "yes"', 'flags.toml:2: flags.a.enabled has to be true or false, not "yes"'),
        ("[flags.a]\nenabled = 1", "flags.toml:2: flags.a.enabled has to be true or false, not 1"),
        ('[flags.a]\nusers = "ada"', 'flags.toml:2: flags.a.users has to be a list in brackets, not "ada"'),
        ('[flags.a]\nusers = [\n  "ada",\n  7]', "flags.toml:4: flags.a.users[1] has to be text in quotes, not 7"),
        ("[flags.a]\ndescription = 2026-01-05\nbeta = 2026-01-05", 'flags.toml:3: flags.a.beta has to be true or false, not "2026-01-05"'),
        ('[flags.fresh]\n[flags.a]\ndepends_on = ["fresj"]', "flags.toml:3: flags.a.depends_on[0] names the flag fresj, which is not declared: did you mean fresh?"),
        ('[flags.b]\n[flags.a]\ndepends_on = [{ flag = "b", variant = "x" }]', "flags.toml:3: flags.a.depends_on[0].variant is not known: did you mean variants?"),
        ('[flags.a]\ndepends_on = ["a"]', "flags.toml:2: flags.a.depends_on runs in a circle, a -> a: take one of them out"),
        ('[flags.a]\ndepends_on = ["b"]\n[flags.b]\ndepends_on = ["c"]\n[flags.c]\ndepends_on = ["a"]', "flags.toml:2: flags.a.depends_on runs in a circle, a -> b -> c -> a: take one of them out"),
        ('[flags.b]\n[flags.a]\ndepends_on = [{ flag = "b", variants = ["x"] }]', "flags.toml:3: flags.a.depends_on[0] names the variant x, which b does not have: there are disabled"),
        ("[flags.a]\nrollout = 5\n[[flags.a.strategies]]\npercent = 5", "flags.toml:2: flags.a.rollout stands beside strategies: write it in one of these, or leave these out"),
        ("[[flags.a.strategies]]\npercent = 5\n[[flags.a.strategies]]\npercnt = 5", "flags.toml:4: flags.a.strategies[1].percnt is not known: did you mean percent?"),
        ('[flags.a]\nstickiness = ""', "flags.toml:2: flags.a.stickiness is empty: name what is hashed, or leave it out"),
        ('[[flags.a.strategies]]\nstickiness = ""', "flags.toml:2: flags.a.strategies[0].stickiness is empty: name what is hashed, or leave it out"),
        ('[[flags.a.variants]]\nname = "x"', "flags.toml:1: flags.a.variants[0].weight is missing: add it"),
        ('[[flags.a.variants]]\nname = "x"\nweight = 1001', "flags.toml:3: flags.a.variants[0].weight has to be less than or equal to 1000, not 1001"),
        ('[flags.a]\nvariants = [{ name = "x", weight = 1 },\n{ name = "x", weight = 1 }]', "flags.toml:3: flags.a.variants[1].name is x again: give it another name"),
        ('[flags.a]\nvariants = [{ name = "x", weight = 0 }]', "flags.toml:2: flags.a.variants all weigh 0, so that none can be chosen: give one a weight"),
        ('[flags.a]\nvariants = [{ name = "x", weight = 1, payload = "1" }]\nstrategies = [{ variants = [{ name = "x", weight = 1 }] }]', "flags.toml:1: flags.a has two variants x with different payloads: give one another name"),
        (f'[flags.fresh]\n[rollouts.r]\nflag = "frsh"\nphases = [{{ percent = 5, {PHASE} }}]', "flags.toml:3: rollouts.r.flag names the flag frsh, which is not declared: did you mean fresh?"),
        (f'[flags.a]\nstrategies = []\n[rollouts.r]\nflag = "a"\nphases = [{{ percent = 5, {PHASE} }}]', "flags.toml:4: rollouts.r.flag is a, which has no strategy to raise: give it one"),
        (f'[flags.a]\n[rollouts.r]\nflag = "a"\nphases = [\n{{ percent = 50, {PHASE} }},\n{{ percent = 50, {PHASE} }}]', "flags.toml:6: rollouts.r.phases[1].percent is 50 after 50: each phase has to let in more than the one before it"),
        (f'[flags.a]\n[rollouts.r]\nflag = "a"\nphases = [{{ percent = 0, {PHASE} }}]', "flags.toml:4: rollouts.r.phases[0].percent is 0 after 0: each phase has to let in more than the one before it"),
        ('[flags.a]\n[rollouts.r]\nflag = "a"\nphases = []', "flags.toml:4: rollouts.r.phases has to hold at least one, not []"),
        ('[flags.a]\n[rollouts.r]\nflag = "a"\n[[rollouts.r.phases]]\npercent = 5\nquality = 8\nerrors = 0.1', "flags.toml:4: rollouts.r.phases[0].dwell_hours is missing: add it"),
        ('[triggers.t]\nmetric = "sconds"\nminutes = 5\nabove = 0.1', "flags.toml:2: triggers.t.metric has to be 'quality', 'error' or 'seconds', not \"sconds\""),
        ('[triggers.t]\nmetric = "error"\nminutes = 5', "flags.toml:1: triggers.t needs a threshold: write either below or above"),
        ('[triggers.t]\nmetric = "error"\nminutes = 5\nabove = 0.1\nbelow = 0.2', "flags.toml:1: triggers.t needs a threshold: write either below or above"),
        ('[triggers.t]\nmetric = "quality"\nminutes = 5\nbelow = 7.0', "flags.toml:4: triggers.t.below is 7, but low is 0 and high is 1: write as low and high between what quality can be"),
        ('[triggers.t]\nmetric = "error"\nminutes = inf\nabove = 0.1', 'flags.toml:3: triggers.t.minutes has to be a number, not "inf"'),
        ('[flags.fresh]\n[triggers.t]\nmetric = "error"\nminutes = 5\nabove = 0.1\nflags = ["fresh", "frsh"]', "flags.toml:6: triggers.t.flags[1] names the flag frsh, which is not declared: did you mean fresh?"),
    ],
)  # fmt: skip
def test_what_is_wrong_is_told_with_its_line_its_key_and_what_to_do(text: str, expected: str) -> None:
    assert problems(text) == [expected]


@pytest.mark.parametrize(
    ("text", "line", "word"),
    [
        ("[flags.a]\nenabled = yes", 2, "is not TOML: Invalid value"),
        ("[flags.a]\nrollout = 5\nrollout = 6", 3, "is not TOML: Cannot overwrite"),
        ('[flags.a]\ndescription = """never\nends', 3, "is not TOML: Unterminated string"),
        ("x = " + "[" * 5000, 1, "nested"),
    ],
)
def test_what_is_not_toml_is_told_with_its_line(text: str, line: int, word: str) -> None:
    (problem,) = problems(text)
    assert problem.startswith(f"flags.toml:{line}: ")
    assert word in problem


def test_all_problems_are_told_at_once_in_the_order_of_their_lines() -> None:
    text = f"""
[triggers.t]
metric = "error"
minutes = 0
above = 0.1

[flags.genre]
enabled = "yes"
rolout = 90
rollout = 190
depends_on = ["comprehensiv"]

[flags.comprehensive]
depends_on = ["genre"]
users = [1]

[rollouts.r]
flag = "genr"
phases = [{{ percent = 5, {PHASE} }}, {{ percent = 4, {PHASE} }}]
"""
    assert [line.split(" ")[:2] for line in problems(text)] == [
        ["flags.toml:4:", "triggers.t.minutes"],
        ["flags.toml:8:", "flags.genre.enabled"],
        ["flags.toml:9:", "flags.genre.rolout"],
        ["flags.toml:10:", "flags.genre.rollout"],
        ["flags.toml:11:", "flags.genre.depends_on[0]"],
        ["flags.toml:15:", "flags.comprehensive.users[0]"],
        ["flags.toml:18:", "rollouts.r.flag"],
        ["flags.toml:19:", "rollouts.r.phases[1].percent"],
    ]


def test_a_flag_that_is_wrong_is_not_unknown_to_others() -> None:
    assert len(problems('[flags.a]\nrollout = 101\n[flags.b]\ndepends_on = ["a"]\n[flags."c d"]')) == 2


def test_each_circle_is_told_once() -> None:
    text = '[flags.a]\ndepends_on = ["b"]\n[flags.b]\ndepends_on = ["a"]\n[flags.c]\ndepends_on = ["c"]\n[flags.d]\ndepends_on = ["a"]'
    assert [line.split(",")[1].split(":")[0] for line in problems(text)] == [" a -> b -> a", " c -> c"]


def test_problems_can_be_read_one_by_one() -> None:
    with pytest.raises(DeclarationError) as refused:
        read_declared("[flags.a]\nrollout = 101", "flags.toml")
    words = "has to be a whole percentage from 0 to 100, not 101"
    assert refused.value.problems == (Problem("flags.toml", 2, "flags.a.rollout", words),)


def test_a_file_that_cannot_be_read_says_so(tmp_path: Path) -> None:
    missing = tmp_path / "flags.toml"
    with pytest.raises(DeclarationError, match=r"flags\.toml:1: cannot be read: No such file or directory"):
        load_declared(missing)
    missing.write_bytes(b"# fine\n[flags.a]\ndescription = '\xff'\n")
    with pytest.raises(DeclarationError, match=r"flags\.toml:3: is not UTF-8: save the file as UTF-8"):
        load_declared(missing)


def test_a_file_from_another_system_is_read(tmp_path: Path) -> None:
    file = tmp_path / "flags.toml"
    file.write_bytes("\ufeff[flags.a]\r\nrollout = 5\r\n".encode())
    assert load_declared(file).flags["a"].percent == 5
    with pytest.raises(DeclarationError, match=r":2: flags\.a\.rolout"):
        read_declared("[flags.a]\r\nrolout = 5\r\n", "flags.toml")


# Lines.

CURIOUS = '''
title = "a # no comment [no.header]"
plain.'dotted key'."with \\" quote \\u00e9" = 1
[a] # a comment = "with = signs"
b = """
[no.header]
c = 3 \\""" still """
d = \'\'\'
x = 1\'\'\'
[ a . e ]
f = [
  1, # one ]
  [2, "]"],
  { g = 1979-05-27 07:32:00, h.i = { } },
  \'\'\'k = 1\'\'\',
]
[[t]]
u = 1
[t.v]
[[t]]
[[t.w]]
x = """"quoted""""
[[t.w]]
[t.w.y]
z = []
'''


def test_lines_are_found_in_a_curious_file() -> None:
    assert key_lines(CURIOUS) == {
        ("title",): 2,
        ("plain",): 3,
        ("plain", "dotted key"): 3,
        ("plain", "dotted key", 'with " quote é'): 3,
        ("a",): 4,
        ("a", "b"): 5,
        ("a", "d"): 8,
        ("a", "e"): 10,
        ("a", "e", "f"): 11,
        ("a", "e", "f", 0): 12,
        ("a", "e", "f", 1): 13,
        ("a", "e", "f", 1, 0): 13,
        ("a", "e", "f", 1, 1): 13,
        ("a", "e", "f", 2): 14,
        ("a", "e", "f", 2, "g"): 14,
        ("a", "e", "f", 2, "h"): 14,
        ("a", "e", "f", 2, "h", "i"): 14,
        ("a", "e", "f", 3): 15,
        ("t",): 17,
        ("t", 0): 17,
        ("t", 0, "u"): 18,
        ("t", 0, "v"): 19,
        ("t", 1): 20,
        ("t", 1, "w"): 21,
        ("t", 1, "w", 0): 21,
        ("t", 1, "w", 0, "x"): 22,
        ("t", 1, "w", 1): 23,
        ("t", 1, "w", 1, "y"): 24,
        ("t", 1, "w", 1, "y", "z"): 25,
    }


def places(value: Any, place: tuple[str | int, ...] = ()) -> set[tuple[str | int, ...]]:
    inner = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    return {place}.union(*(places(one, (*place, step)) for step, one in inner))


def test_every_key_of_the_curious_file_has_a_line() -> None:
    assert set(key_lines(CURIOUS)) == places(tomllib.loads(CURIOUS)) - {()}


texts = st.text(st.characters(codec="utf-8"), max_size=8)
values = st.recursive(
    texts | st.booleans() | st.integers(-9, 9) | st.floats() | st.dates(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(texts, inner, max_size=3),
    max_leaves=12,
)


@given(st.dictionaries(texts, values, max_size=4))
def test_every_key_and_element_of_any_file_has_a_line_that_holds_it(document: dict[str, Any]) -> None:
    text = tomlkit.dumps(document)
    lines, found = text.split("\n"), key_lines(text)
    assert set(found) == places(tomllib.loads(text)) - {()}
    for place, line in found.items():
        named = [step for step in place if isinstance(step, str)][-1]
        if isinstance(place[-1], str) and named.isascii() and named.isalnum():
            assert named in lines[line - 1]


@given(st.text(st.sampled_from("[]{}=\"'\\#\n ,.ab1\t"), max_size=40))
def test_any_text_is_read_or_refused(text: str) -> None:
    try:
        assert read_declared(text, "flags.toml") == Declared()
    except DeclarationError as refused:
        assert refused.problems
        assert all(1 <= problem.line <= text.count("\n") + 1 for problem in refused.problems)
