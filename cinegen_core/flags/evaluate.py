"""Whether a flag is on for somebody, and why. Each flag becomes one function when a snapshot is made, so that asking is cheap."""

from __future__ import annotations

import random
from bisect import bisect_left
from collections import deque
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import accumulate

from cinegen_core.flags.bucket import bucket, variant_bucket
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

NOTHING_CHANGED = Overlay()
NO_VARIANT = "disabled"  # what a dependency calls a flag that is on in no variant, here as in Unleash

Rule = Callable[[Context], Evaluation]
Choice = Callable[[Context], str]
Reading = Callable[[Context], str | None]


@dataclass(frozen=True, slots=True, eq=False)
class Snapshot:
    """All flags as they stand at one moment: what is declared, and what was changed of it at run time.

    `rng` draws for those of whom nothing sticky is known. Threads may share a snapshot.
    """

    declared: Declared
    overlay: Overlay = NOTHING_CHANGED
    rng: random.Random = field(default_factory=random.Random, repr=False)
    _rules: Mapping[str, Rule] = field(init=False, repr=False)

    def __post_init__(self) -> None:
        rules: dict[str, Rule] = {}
        for key, flag in self.declared.flags.items():
            changed = self.overlay.flags.get(key, FlagOverlay())
            off = _off_for_everybody(flag, changed, self.overlay.emergency)
            rules[key] = _always(off) if off else _rule(flag, changed, self.declared.flags, rules, self.rng)
        object.__setattr__(self, "_rules", rules)

    def evaluate(self, key: str, context: Context = NOBODY, *, default: bool = False) -> Evaluation:
        """The flag's value for this context, with the reason. Never raises: an unknown flag, or a context that cannot be used,
        answers `default` with the reason ERROR."""
        try:
            rule = self._rules.get(key)
            if rule is not None:
                return rule(context)
            because = f"there is no flag {key!r}"
        except Exception as error:  # noqa: BLE001 (a flag never costs its caller the work that it guards)
            because = f"{type(error).__name__}: {error}"
        return Evaluation(key, default, "ERROR", because)

    def payload(self, evaluation: Evaluation) -> str | None:
        """What the variant of an evaluation carries; None without a variant."""
        flag = self.declared.flags.get(evaluation.flag)
        variants = variants_of(flag) if flag else ()
        return next((one.payload for one in variants if one.name == evaluation.variant), None)


def variants_of(flag: Flag) -> tuple[Variant, ...]:
    """All that a flag can be on in: its strategies' variants in their order, then its own."""
    return (*(variant for strategy in flag.strategies for variant in strategy.variants), *flag.variants)


def dependency_cycle(flags: Mapping[str, Flag], key: str) -> tuple[str, ...]:
    """The shortest way on which a flag depends on itself, such as ("a", "b", "a"); empty if there is none."""
    ways: deque[tuple[str, ...]] = deque([(key,)])
    seen: set[str] = set()
    while ways:
        way = ways.popleft()
        for dependency in flags[way[-1]].depends_on:
            if dependency.flag == key:
                return (*way, key)
            if dependency.flag in flags and dependency.flag not in seen:
                seen.add(dependency.flag)
                ways.append((*way, dependency.flag))
    return ()


def _off_for_everybody(
    flag: Flag, changed: FlagOverlay, emergency: EmergencyOverlay | None
) -> Evaluation | None:
    if emergency is not None:
        return Evaluation(flag.key, False, "EMERGENCY", f"switched off by {emergency.who}: {emergency.why}")
    if changed.latched is not None:
        return Evaluation(flag.key, False, "DISABLED", f"rolled back: {changed.latched}")
    if changed.enabled is False:
        return Evaluation(flag.key, False, "DISABLED", "switched off")
    if changed.enabled is None and not flag.enabled:
        return Evaluation(flag.key, False, "DISABLED", "not enabled")
    return None


def _rule(
    flag: Flag, changed: FlagOverlay, flags: Mapping[str, Flag], rules: Mapping[str, Rule], rng: random.Random
) -> Rule:
    """An enabled flag: its dependencies come first, then those who are listed, then its strategies."""
    strategies = flag.strategies
    if changed.percent is not None and strategies:
        strategies = (strategies[0].model_copy(update={"percent": changed.percent}), *strategies[1:])
    rule = _any_of(flag.key, [_strategy(flag, strategy, rng) for strategy in strategies])
    if flag.users or flag.sessions or flag.attributes or flag.beta:
        rule = _listed_or(rule, flag, rng)
    if flag.depends_on:
        rule = _depending(rule, flag, flags, rules)
    return rule


def _depending(otherwise: Rule, flag: Flag, flags: Mapping[str, Flag], rules: Mapping[str, Rule]) -> Rule:
    """Off while a dependency is not met. Flags that depend on each other in a circle never meet theirs."""
    key = flag.key
    if cycle := dependency_cycle(flags, key):
        return _always(Evaluation(key, False, "DEPENDENCY", f"depends on itself: {' -> '.join(cycle)}"))
    for dependency in flag.depends_on:
        if dependency.flag not in flags:
            return _always(
                Evaluation(key, False, "DEPENDENCY", f"needs {dependency.flag}, which does not exist")
            )
    needs = [(one, one.flag, one.enabled, frozenset(one.variants)) for one in flag.depends_on]

    def rule(context: Context) -> Evaluation:
        for dependency, parent, enabled, variants in needs:
            found = rules[parent](
                context
            )  # only looked up here, since the parent's rule may be made after this one
            met = found.value is enabled
            if met and enabled and variants:
                met = (found.variant or NO_VARIANT) in variants
            if not met:
                return Evaluation(key, False, "DEPENDENCY", _unmet(dependency, found))
        return otherwise(context)

    return rule


def _unmet(dependency: Dependency, found: Evaluation) -> str:
    if not dependency.enabled:
        return f"needs {dependency.flag} off, which is {found.words}"
    if not found.value:
        return f"needs {dependency.flag}, which is {found.words}"
    return f"needs {dependency.flag} in {_either(dependency.variants)}, which is in {found.variant or 'no variant'}"


def _listed_or(otherwise: Rule, flag: Flag, rng: random.Random) -> Rule:
    """Those who are listed are in, in the variant that the flag's first strategy would give them."""
    choose = _choice(flag, flag.strategies[0] if flag.strategies else Strategy(), rng)

    def listed(because: str) -> Rule:
        return _in_variants(_always(Evaluation(flag.key, True, "TARGETING_MATCH", because)), choose)

    lists = [("user", flag.users), ("session", flag.sessions), *flag.attributes.items()]
    checks = [(_one_of(name, values), listed(f"{name} listed")) for name, values in lists if values]
    if flag.beta:
        checks.append((lambda context: context.beta, listed("beta tester")))

    def rule(context: Context) -> Evaluation:
        for holds, matched in checks:
            if holds(context):
                return matched(context)
        return otherwise(context)

    return rule


def _any_of(key: str, strategies: Sequence[Rule]) -> Rule:
    """Whoever one of the strategies takes is in. If none does, the first that drew a bucket says why, else the last."""
    if not strategies:
        return _always(Evaluation(key, False, "STATIC", "no strategy takes anybody"))
    if len(strategies) == 1:
        return strategies[0]

    def rule(context: Context) -> Evaluation:
        missed = None
        for strategy in strategies:
            found = strategy(context)
            if found.value:
                return found
            if missed is None or missed.bucket is None:
                missed = found
        assert missed is not None  # there is at least one strategy
        return missed

    return rule


def _strategy(flag: Flag, strategy: Strategy, rng: random.Random) -> Rule:
    """One strategy by itself. A stickiness that names something is asked for even at 100 percent, as in Unleash: a raise from 99
    lets in the last hundredth, not those who were never counted."""
    key, percent, stickiness = flag.key, strategy.percent, strategy.stickiness
    conditions = " and ".join(f"{name} is {_either(values)}" for name, values in strategy.where.items())
    because = f"{percent} percent where {conditions}" if conditions else f"{percent} percent"
    choose = _choice(flag, strategy, rng)
    if percent == 0:
        rule = _always(Evaluation(key, False, "STATIC", because, None, percent))
    elif percent == 100:
        rule = _in_variants(_always(Evaluation(key, True, "STATIC", because, None, percent)), choose)
    else:
        rule = _split(key, percent, because, strategy.group or key, _reading(stickiness), choose, rng)
    if stickiness not in ("default", "random"):
        rule = _if(_known(stickiness), rule, key, f"no {stickiness} is known")
    for name, values in strategy.where.items():
        rule = _if(_one_of(name, values), rule, key, f"{name} is not {_either(values)}")
    return rule


def _split(
    key: str, percent: int, because: str, group: str, read: Reading, choose: Choice | None, rng: random.Random
) -> Rule:
    # There are but a hundred answers, so that none has to be made for anybody.
    answers, at_random = (
        [Evaluation(key, number <= percent, "SPLIT", why, number, percent) for number in range(1, 101)]
        for why in (because, f"{because}, at random")
    )

    def rule(context: Context) -> Evaluation:
        held = read(context)
        if held is None:
            return rng.choice(at_random)
        return answers[bucket(group, held) - 1]

    return _in_variants(rule, choose)


def _in_variants(rule: Rule, choose: Choice | None) -> Rule:
    """Those who are in also get the variant that is chosen for each."""
    if choose is None:
        return rule

    def in_variant(context: Context) -> Evaluation:
        found = rule(context)
        return found._replace(variant=choose(context)) if found.value else found

    return in_variant


def _choice(flag: Flag, strategy: Strategy, rng: random.Random) -> Choice | None:
    """Which variant somebody gets whom this strategy takes: the strategy's own variants go before the flag's. Whoever lacks what
    is sticky gets one at random. The first variant's stickiness is that of all, as in Unleash."""
    variants, group = (strategy.variants, strategy.group) if strategy.variants else (flag.variants, "")
    group = group or flag.key
    names = [variant.name for variant in variants]
    reached = list(accumulate(variant.weight for variant in variants))
    if not reached or reached[-1] == 0:
        return None
    read = _reading(variants[0].stickiness or strategy.stickiness)
    total = reached[-1]

    def choose(context: Context) -> str:
        held = read(context)
        number = rng.randint(1, total) if held is None else variant_bucket(group, held, total)
        return names[bisect_left(reached, number)]

    return choose


def _reading(name: str) -> Reading:
    """What a stickiness or a condition looks at: "user", "session" or an attribute of somebody, None where it is not known."""
    match name:
        case "default":
            return lambda context: context.session if context.user is None else context.user
        case "random":
            return lambda context: None
        case "user":
            return lambda context: context.user
        case "session":
            return lambda context: context.session
        case _:
            return lambda context: context.attributes.get(name)


def _known(name: str) -> Callable[[Context], bool]:
    read = _reading(name)
    return lambda context: read(context) is not None


def _one_of(name: str, values: Iterable[str]) -> Callable[[Context], bool]:
    read, accepted = _reading(name), frozenset(values)
    return lambda context: read(context) in accepted


def _if(holds: Callable[[Context], bool], then: Rule, key: str, else_because: str) -> Rule:
    off = Evaluation(key, False, "STATIC", else_because)
    return lambda context: then(context) if holds(context) else off


def _always(evaluation: Evaluation) -> Rule:
    return lambda context: evaluation


def _either(values: Sequence[str]) -> str:
    """In words, of many only the first: "a or b or c or 17 more"."""
    shown = values if len(values) <= 4 else (*values[:3], f"{len(values) - 3} more")
    return " or ".join(shown) or "nothing"
