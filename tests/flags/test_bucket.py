"""Who is in at which percentage: the same people as with Unleash, the same ones at every raise, others for every flag."""

from __future__ import annotations

import json
import unicodedata
from bisect import bisect_left
from collections.abc import Callable
from itertools import accumulate
from pathlib import Path

import mmh3
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cinegen_core.flags.bucket import bucket, variant_bucket
from cinegen_core.flags.evaluate import Snapshot
from cinegen_core.flags.model import Context, Declared, Flag, FlagOverlay, Overlay

# From what percentage on somebody is in, and which of the variants they get, as Unleash's own engine answered.
GOLDEN = json.loads((Path(__file__).parent / "buckets.json").read_text(encoding="utf-8"))
ROLLOUT: list[tuple[str, str, int]] = GOLDEN["rollout"]
VARIANTS: list[tuple[str, str, list[int], int]] = GOLDEN["variants"]

PEOPLE = [f"user-{number}" for number in range(100_000)]


def test_everybody_has_the_bucket_that_unleash_gives_them() -> None:
    assert len(ROLLOUT) > 400
    assert all(bucket(group, key) == first for group, key, first in ROLLOUT)


def test_everybody_gets_the_variant_that_unleash_gives_them() -> None:
    def chosen(group: str, key: str, weights: list[int]) -> int:
        return bisect_left(list(accumulate(weights)), variant_bucket(group, key, sum(weights)))

    assert len(VARIANTS) > 400
    assert all(chosen(group, key, weights) == index for group, key, weights, index in VARIANTS)


def hashed(text: str | bytes, seed: int = 0) -> int:
    return mmh3.hash(text, seed, signed=False)


Inside = Callable[[str, str, int], bool]
WRONG_ROLLOUTS: dict[str, Inside] = {
    "another seed": lambda g, k, p: hashed(f"{g}:{k}", 1) % 100 + 1 <= p,
    "the variants' seed": lambda g, k, p: hashed(f"{g}:{k}", 86028157) % 100 + 1 <= p,
    "another separator": lambda g, k, p: hashed(f"{g}.{k}") % 100 + 1 <= p,
    "no separator": lambda g, k, p: hashed(f"{g}{k}") % 100 + 1 <= p,
    "the key first": lambda g, k, p: hashed(f"{k}:{g}") % 100 + 1 <= p,
    "the key alone": lambda g, k, p: hashed(k) % 100 + 1 <= p,
    "buckets from 0": lambda g, k, p: hashed(f"{g}:{k}") % 100 <= p,
    "less than": lambda g, k, p: hashed(f"{g}:{k}") % 100 + 1 < p,
    "a hundred and one buckets": lambda g, k, p: hashed(f"{g}:{k}") % 101 + 1 <= p,
    "ninety-nine buckets": lambda g, k, p: hashed(f"{g}:{k}") % 99 + 1 <= p,
    "ten thousand buckets": lambda g, k, p: hashed(f"{g}:{k}") % 10_000 + 1 <= p * 100,
    "a signed hash": lambda g, k, p: mmh3.hash(f"{g}:{k}", 0, signed=True) % 100 + 1 <= p,
    "the hash's size without its sign": lambda g, k, p: abs(mmh3.hash(f"{g}:{k}", 0)) % 100 + 1 <= p,
    "the hash as a share": lambda g, k, p: hashed(f"{g}:{k}") / 2**32 * 100 < p,
    "the first half of the long hash": lambda g, k, p: (
        mmh3.hash64(f"{g}:{k}", 0, signed=False)[0] % 100 + 1 <= p
    ),
    "UTF-16": lambda g, k, p: hashed(f"{g}:{k}".encode("utf-16-le")) % 100 + 1 <= p,
    "what is not ASCII left out": lambda g, k, p: hashed(f"{g}:{k}".encode("ascii", "ignore")) % 100 + 1 <= p,
    "composed characters": lambda g, k, p: hashed(unicodedata.normalize("NFC", f"{g}:{k}")) % 100 + 1 <= p,
    "small letters": lambda g, k, p: hashed(f"{g}:{k}".lower()) % 100 + 1 <= p,
    "blanks left out": lambda g, k, p: hashed(f"{g.strip()}:{k.strip()}") % 100 + 1 <= p,
    "what follows a colon left out": lambda g, k, p: (
        hashed(":".join(f"{g}:{k}".split(":")[:2])) % 100 + 1 <= p
    ),
    "what follows 64 bytes left out": lambda g, k, p: hashed(f"{g}:{k}".encode()[:64]) % 100 + 1 <= p,
}


def test_the_golden_numbers_tell_who_is_in_at_each_percentage() -> None:
    assert told_apart(lambda g, k, p: bucket(g, k) <= p) == 0


@pytest.mark.parametrize("wrong", WRONG_ROLLOUTS.values(), ids=WRONG_ROLLOUTS)
def test_no_other_formula_agrees_with_the_golden_numbers(wrong: Inside) -> None:
    assert told_apart(wrong) > 0


def told_apart(inside: Inside) -> int:
    """At how many percentages this puts somebody on the other side than the golden numbers do."""
    return sum(
        inside(g, k, percent) != (first <= percent) for g, k, first in ROLLOUT for percent in range(101)
    )


Chosen = Callable[[str, str, list[int]], int]
WRONG_VARIANTS: dict[str, Chosen] = {
    "the rollout's seed": lambda g, k, w: bisect_left([*accumulate(w)], hashed(f"{g}:{k}") % sum(w) + 1),
    "buckets from 0": lambda g, k, w: bisect_left([*accumulate(w)], hashed(f"{g}:{k}", 86028157) % sum(w)),
    "a hundred buckets": lambda g, k, w: bisect_left(
        [reached * 100 / sum(w) for reached in accumulate(w)], hashed(f"{g}:{k}", 86028157) % 100 + 1
    ),
    "a signed hash": lambda g, k, w: bisect_left(
        [*accumulate(w)], mmh3.hash(f"{g}:{k}", 86028157, signed=True) % sum(w) + 1
    ),
    "the key first": lambda g, k, w: bisect_left([*accumulate(w)], hashed(f"{k}:{g}", 86028157) % sum(w) + 1),
    "the last first": lambda g, k, w: (
        len(w) - 1 - bisect_left([*accumulate(w[::-1])], hashed(f"{g}:{k}", 86028157) % sum(w) + 1)
    ),
}


@pytest.mark.parametrize("wrong", WRONG_VARIANTS.values(), ids=WRONG_VARIANTS)
def test_no_other_choice_agrees_with_the_golden_variants(wrong: Chosen) -> None:
    assert any(wrong(group, key, weights) != index for group, key, weights, index in VARIANTS)


@given(st.text(max_size=20), st.text(max_size=40), st.integers(1, 10_000))
def test_buckets_stay_in_their_range_and_never_change(group: str, key: str, weights: int) -> None:
    assert 1 <= bucket(group, key) <= 100
    assert 1 <= variant_bucket(group, key, weights) <= weights
    assert bucket(group, key) == bucket(group, key)


def people_in(percent: int) -> set[str]:
    flag = Flag(key="comprehensive_engines", enabled=True)
    overlay = Overlay(flags={flag.key: FlagOverlay(percent=percent)})
    snapshot = Snapshot(Declared(flags={flag.key: flag}), overlay)
    return {person for person in PEOPLE if snapshot.evaluate(flag.key, Context(person)).value}


def test_a_raise_drops_nobody_and_lowering_takes_out_first_those_who_came_last() -> None:
    up = {percent: people_in(percent) for percent in (25, 50, 75, 100)}
    assert up[25] < up[50] < up[75] < up[100] == set(PEOPLE)
    assert {percent: people_in(percent) for percent in (75, 50, 25)} == {p: up[p] for p in (75, 50, 25)}
    assert people_in(0) == set()
    for percent, people in up.items():
        assert abs(len(people) / len(PEOPLE) * 100 - percent) <= 0.5


def test_who_is_in_with_one_flag_says_nothing_about_another() -> None:
    buckets = np.array([[bucket(f"flag_{number}", person) for person in PEOPLE] for number in range(60)])
    for percent in (5, 25, 50, 90):
        inside = (buckets <= percent).astype(float)
        phi = np.corrcoef(inside)
        np.fill_diagonal(phi, 0)
        assert np.abs(phi).max() <= 0.015
        assert np.abs(inside.mean(axis=1) * 100 - percent).max() <= 0.5


def test_who_is_in_says_nothing_about_the_variant() -> None:
    people = [person for person in PEOPLE if bucket("beta_features", person) <= 25]
    first = sum(variant_bucket("beta_features", person, 2) == 1 for person in people)
    assert abs(first / len(people) - 0.5) < 0.015
