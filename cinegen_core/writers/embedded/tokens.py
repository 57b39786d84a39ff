"""What is true so far, as tokens (FORMAT.md): who knows what, where things are, what has happened."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from cinegen_core.writers.embedded.cards import Cards

GONE = "gone"


@dataclass(frozen=True)
class Truths:
    """An immutable set of tokens. Props are kept as `prop@where`, at most one per prop."""

    holds: frozenset[str]

    @classmethod
    def at_start(cls, cards: Cards) -> Truths:
        """Before the first episode: holders know their facts, props are where the cards put them."""
        start: set[str] = set()
        for key, fact in cards.facts.items():
            start.add(f"{fact.holder}:{key}")
            start.update(f"{fact.holder}:{key}.{clue}" for clue in fact.clues)
        for key, prop in cards.props.items():
            if prop.by or prop.at:
                start.add(f"{key}@{prop.by or prop.at}")
        return cls(frozenset(start))

    def __contains__(self, token: str) -> bool:
        return token in self.holds

    def allow(self, needs: Iterable[str], number: int) -> bool:
        """Whether every needed token holds in episode `number`."""
        for token in needs:
            wanted = not token.startswith("!")
            token = token.lstrip("!")
            holds = (
                number >= int(token[2:])
                if token.startswith("ep") and token[2:].isdigit()
                else token in self.holds
            )
            if holds != wanted:
                return False
        return True

    def after(self, gives: Iterable[str]) -> Truths:
        holds = set(self.holds)
        for token in gives:
            if token.startswith("-"):
                holds.discard(token[1:])
                continue
            if "@" in token:
                prop = token.split("@", 1)[0]
                holds = {t for t in holds if not t.startswith(prop + "@")}
            holds.add(token)
        return Truths(frozenset(holds))


def is_knowledge(token: str) -> bool:
    return ":" in token


def knower(token: str) -> tuple[str, str]:
    """`marit:page.lamp` -> ("marit", "page.lamp")."""
    who, _, what = token.partition(":")
    return who, what
