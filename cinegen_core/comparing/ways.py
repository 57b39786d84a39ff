"""Ways of writing one request, and what each of them means for the studio."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from itertools import product

from cinegen_core.engines import all_engines
from cinegen_core.steering import GENERATION_FLAGS, policy_of
from cinegen_core.store.comparisons import MOST_WAYS, Way
from cinegen_core.story import EpisodeRequest, Policy
from cinegen_core.telling import TIER_WORDS
from cinegen_core.tiers.model import TierName

AS_FLAGS_DECIDE = "as the flags decide"

_MATTERS: Mapping[TierName, frozenset[str]] = {
    "comprehensive": frozenset(("complete_context", "high_temperature", "genre_engines", "beta_features")),
    "enhanced_baseline": frozenset(("complete_context", "high_temperature")),
    "basic_fallback": frozenset(),
}
"""The flags that change what a tier writes once it is picked."""


class WayError(ValueError):
    """There is no such way of writing, or there are too few or too many. The message says what there is."""


def on_and_off(flag: str) -> tuple[dict[str, bool], dict[str, bool]]:
    """The two settings of a flag, as `ways_from` takes them."""
    return {flag: True}, {flag: False}


def ways_from(
    *,
    tiers: Sequence[TierName | None] = (None,),
    writers: Sequence[str] = ("",),
    flags: Sequence[Mapping[str, bool]] = ({},),
    without: Sequence[Iterable[str]] = ((),),
    seeds: Sequence[int | None] = (None,),
    words: Callable[[str], str] = str,
    engines: Collection[str] | None = None,
) -> tuple[Way, ...]:
    """Each alternative with each other, in order: 2 to `MOST_WAYS` ways, with labels that tell them apart.

    What does not touch a tier is left out of its ways, and ways that come to the same are taken once: the single pass with and
    without some engine is one way. `words` says who a writer is (`Studio.writer_words`); `engines` are the names that there are,
    the nineteen unless given. A way's label depends on the way alone, so that votes on it can be counted over many comparisons.
    Raises `WayError` for a flag or an engine that is not there, for a seed outside 0..2^63-1, and for too few or too many ways.
    """
    names = frozenset(engine.name for engine in all_engines()) if engines is None else frozenset(engines)
    left_out = [frozenset(some) for some in without]
    _known(
        "flag that decides how an episode is written", {key for one in flags for key in one}, GENERATION_FLAGS
    )
    _known("engine", frozenset[str]().union(*left_out), names)
    for seed in seeds:
        if seed is not None and not 0 <= seed < 2**63:
            raise WayError(f"The seed {seed} is out of range; give a whole number from 0 to 2^63-1.")
    ways: list[Way] = []
    for tier, writer, setting, some, seed in product(tiers, writers, flags, left_out, seeds):
        way = _way(tier, writer, setting, some, seed, words)
        if not any(_same(way, other) for other in ways):
            ways.append(way)
    if len(ways) < 2:
        raise WayError(
            "That is one way of writing only. Pick a second that differs in something it depends on."
        )
    if len(ways) > MOST_WAYS:
        raise WayError(
            f"Those are {len(ways)} ways of writing; at most {MOST_WAYS} are compared at once. Pick fewer."
        )
    return _told_apart(ways)


def request_for(way: Way, request: EpisodeRequest) -> EpisodeRequest:
    """The request with the way's seed."""
    return request if way.seed is None else request.model_copy(update={"seed": way.seed})


def policy_for(way: Way, decided: Policy, engines: Collection[str]) -> Policy:
    """How the studio has to answer for this way, where flags have `decided` so much for the person who asks.

    A comparison is a trial, and a way that names a tier or a flag has it, in the rollout or not. `engines` are the names of those
    that there are. Raises `WayError` for an engine or a flag that is not there.
    """
    _known("engine", set(way.without), engines)
    _known("flag that decides how an episode is written", set(way.flags), GENERATION_FLAGS)
    policy = policy_of({**_flags_of(decided), **way.flags})
    active = decided.engines
    if way.without:
        active = frozenset(engines if active is None else active) - frozenset(way.without)
    changes = {
        "tiers": policy.tiers if way.tier is None else (way.tier,),
        "writer": way.writer or decided.writer,
        "engines": active,
        "repairs": policy.repairs if "beta_features" in way.flags else decided.repairs,
    }
    return policy.model_copy(update=changes)


def _flags_of(policy: Policy) -> dict[str, bool]:
    """The flags that come to this policy."""
    return {
        "comprehensive_engines": "comprehensive" in policy.tiers,
        "enhanced_fallbacks": "enhanced_baseline" in policy.tiers,
        "genre_engines": policy.genre_engines,
        "complete_context": policy.complete_context,
        "high_temperature": policy.high_temperature,
        "beta_features": policy.repairs > 1,
    }


def _way(
    tier: TierName | None,
    writer: str,
    flags: Mapping[str, bool],
    without: Iterable[str],
    seed: int | None,
    words: Callable[[str], str],
) -> Way:
    if tier is not None:
        flags = {key: value for key, value in flags.items() if key in _MATTERS[tier]}
        without = without if tier == "comprehensive" else ()
        writer = "" if tier == "basic_fallback" else writer
    names = sorted(set(without))
    parts = [AS_FLAGS_DECIDE if tier is None else TIER_WORDS[tier]]
    if writer:
        parts.append(f"by {words(writer)}")
    parts += [f"{key} {'on' if value else 'off'}" for key, value in sorted(flags.items())]
    if names:
        parts.append(f"without {' and '.join(filter(None, (', '.join(names[:-1]), names[-1])))}")
    if seed is not None:
        parts.append(f"seed {seed}")
    return Way(
        label=", ".join(parts), tier=tier, writer=writer, without=tuple(names), flags=dict(flags), seed=seed
    )


def _same(way: Way, other: Way) -> bool:
    return way.model_dump(exclude={"label"}) == other.model_dump(exclude={"label"})


def _told_apart(ways: Sequence[Way]) -> tuple[Way, ...]:
    """With the writer's own name where words for two writers are the same, and with a number where that is not enough."""
    apart: list[Way] = []
    taken: set[str] = set()
    for way in ways:
        label, number = way.label, 1
        while label in taken:
            number += 1
            label = f"{way.label} [{way.writer}]" if number == 2 and way.writer else f"{way.label} ({number})"
        taken.add(label)
        apart.append(way.model_copy(update={"label": label}))
    return tuple(apart)


def _known(what: str, names: Collection[str], there: Collection[str]) -> None:
    unknown = sorted(frozenset(names) - frozenset(there))
    if unknown:
        raise WayError(f"There is no {what} called {unknown[0]!r}; there are {', '.join(sorted(there))}.")
