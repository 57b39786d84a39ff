"""Where somebody stands in a rollout, by the formula that Unleash publishes, so that flags can move between it and us without
anybody being moved. https://docs.getunleash.io/concepts/stickiness; a normaliser other than 100 would move everybody."""

from __future__ import annotations

import mmh3

# The hash gets bytes: a text that has no UTF-8 would take the process down with it, where encoding only raises.
ROLLOUT_SEED = 0
VARIANT_SEED = 86028157


def bucket(group: str, key: str) -> int:
    """The bucket of `key` in `group`, 1 to 100; it is in at a rollout of that percentage or more.

    murmur3_x86_32("{group}:{key}", seed 0) % 100 + 1 over UTF-8.
    Raises UnicodeEncodeError for text that has no UTF-8 (half of a surrogate pair).
    """
    return mmh3.hash(f"{group}:{key}".encode(), ROLLOUT_SEED, False) % 100 + 1


def variant_bucket(group: str, key: str, weight_sum: int) -> int:
    """Where `key` falls among variants whose weights sum to `weight_sum` (at least 1): 1 to `weight_sum`.

    The first variant whose weight, added to those before it, reaches this number is the one.
    murmur3_x86_32("{group}:{key}", seed 86028157) % weight_sum + 1: with the rollout's seed, all of those inside a 25 % rollout
    would get the first variant. Raises as `bucket` does, and ZeroDivisionError for a sum of 0.
    """
    return mmh3.hash(f"{group}:{key}".encode(), VARIANT_SEED, False) % weight_sum + 1
