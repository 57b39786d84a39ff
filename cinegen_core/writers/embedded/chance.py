"""Randomness keyed per decision: switching one thing off never reshuffles another."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from hashlib import blake2b
from typing import TypeVar

T = TypeVar("T")


@dataclass(frozen=True)
class Chance:
    """A source of numbers in [0, 1): the same key always gives the same number, on any machine."""

    seed: str

    def roll(self, *key: object) -> float:
        text = "\x1f".join((self.seed, *map(str, key)))
        return int.from_bytes(blake2b(text.encode("utf-8", "replace"), digest_size=8).digest(), "big") / 2**64

    def best(self, options: Sequence[T], worth: Callable[[T], float], noise: float, *key: object) -> T:
        """The option of the greatest worth, with up to `noise` added to each by chance."""
        return max(
            enumerate(options), key=lambda pair: (worth(pair[1]) + noise * self.roll(*key, pair[0]), -pair[0])
        )[1]

    def weighted(self, options: Sequence[T], weights: Sequence[float], *key: object) -> T:
        total = sum(weights)
        point = self.roll(*key) * total
        for option, weight in zip(options, weights, strict=True):
            point -= weight
            if point < 0:
                return option
        return options[-1]
