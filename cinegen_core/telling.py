"""How an episode came about, in words for those who read it."""

from __future__ import annotations

from collections.abc import Mapping

from cinegen_core.tiers.model import Attempt, Generation, TierName
from cinegen_core.tiers.runner import Answer
from cinegen_core.writers.model import NoProviderError

TIER_WORDS: Mapping[TierName, str] = {
    "comprehensive": "with the engines",
    "enhanced_baseline": "in a single pass",
    "basic_fallback": "from the template",
}


def notices_of(answer: Answer) -> tuple[str, ...]:
    """What the reader of the episode should know about how it was written: a plain sentence for each matter."""
    winner = answer.winner
    ways: dict[str, list[str]] = {}
    for attempt in answer.attempts:
        if attempt is not winner:
            ways.setdefault(_why_not(attempt), []).append(TIER_WORDS[attempt.tier])
    notices = []
    if ways:
        why = ", and ".join(f"{why} when it was tried {' or '.join(tried)}" for why, tried in ways.items())
        notices.append(f"This episode was written {TIER_WORDS[winner.tier]}, since {why}.")
    if winner.providers and winner.log[0].provider not in winner.providers:
        notices.append(
            f"It was written by {winner.providers[0]}, since {winner.log[0].provider} did not answer."
        )
    if winner.outcome in ("failed", "timed_out"):
        notices.append(f"This is its draft: the attempt {winner.reason.partition(';')[0]}.")
    elif winner.outcome != "accepted":
        notices.append(f"It {winner.reason.rstrip('.')}; none of the attempts did better.")
    return tuple(notices)


def _why_not(attempt: Attempt) -> str:
    reason = attempt.reason.rstrip(".")
    if attempt.outcome == "failed":
        kind, _, message = reason.partition(": ")
        if kind == NoProviderError.__name__:
            return "no language model answered"
        return f"it failed ({message or kind})"
    if attempt.outcome == "below_threshold":
        return f"that attempt {reason},"
    if attempt.outcome == "accepted":
        return f"that attempt {reason}, less than this one,"
    return f"it {reason}" if attempt.outcome == "timed_out" else reason


def asked_of(generation: Generation) -> dict[str, tuple[str, ...]]:
    """Each directive's own fields, in words."""
    words: dict[str, tuple[str, ...]] = {}
    for engine_run in generation.engines:
        if engine_run.directive is None:
            continue
        fields = engine_run.directive.model_dump(
            mode="json", exclude={"engine", "operation"}, exclude_defaults=True
        )
        words[engine_run.engine] = tuple(
            f"{name.replace('_', ' ')}: {_in_words(item)}"
            for name, value in fields.items()
            for item in (value if _is_rows(value) else [value])
        )
    return words


def _is_rows(value: object) -> bool:
    return (
        isinstance(value, list)
        and bool(value)
        and all(isinstance(item, dict) and len(item) > 1 for item in value)
    )


def _in_words(value: object) -> str:
    if isinstance(value, dict):
        return ", ".join(f"{str(key).replace('_', ' ')} {_in_words(item)}" for key, item in value.items())
    if isinstance(value, list):
        return "; ".join(_in_words(item) for item in value)
    if isinstance(value, bool):
        return "yes" if value else "no"
    return str(value)
