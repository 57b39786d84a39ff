"""ConflictArchitecture: somebody wants, somebody blocks, and neither gives way at the first try."""

from __future__ import annotations

from typing import ClassVar

from cinegen_core.engines.base import Directive, EngineContext, Line, Phase, Realisation
from cinegen_core.engines.common import by_parts, talked
from cinegen_core.engines.reading import rounds
from cinegen_core.story import Episode, StoryBible
from cinegen_core.story.model import Noun

MORE_ROUNDS = 2
"""Rounds asked for beyond the draft's."""


class Layer(Noun):
    """In `scene`, `holder` wants and `opponent` blocks, at least `rounds` times."""

    scene: int
    holder: str
    opponent: str
    want: str = ""
    block: str = ""
    rounds: int = 2


class ConflictDirective(Directive):
    layers: tuple[Layer, ...]


class ConflictArchitecture:
    name: ClassVar[str] = "ConflictArchitecture"
    phase: ClassVar[Phase] = "narrative"
    job: ClassVar[str] = "Give every meeting a want, a block, and more than one round."
    priority: ClassVar[int] = 80
    directive: ClassVar[type[Directive]] = ConflictDirective

    def suits(self, bible: StoryBible) -> bool:
        return True

    def brief(self, context: EngineContext) -> str:
        return (
            "For each scene in which two people meet: who wants what, who blocks it and why, and how many times it goes back and forth (two at least, "
            "one more than in the draft). The opponent has a want of their own."
        )

    def propose(self, context: EngineContext) -> ConflictDirective:
        layers = []
        for number, scene in talked(context):
            holder, opponent = scene.people[0], scene.people[1] if len(scene.people) > 1 else scene.people[0]
            had = len(_both_ways(context.draft.episode, number, holder, opponent)) // 2
            layers.append(
                Layer(
                    scene=number,
                    holder=holder,
                    opponent=opponent,
                    want=scene.wants,
                    block=scene.block,
                    rounds=had + MORE_ROUNDS,
                )
            )
        return ConflictDirective(engine=self.name, layers=tuple(layers))

    def realised(self, episode: Episode, directive: Directive, context: EngineContext) -> Realisation:
        assert isinstance(directive, ConflictDirective)
        parts = []
        for layer in directive.layers:
            found = _both_ways(episode, layer.scene, layer.holder, layer.opponent)
            had = layer.rounds - MORE_ROUNDS
            met = min(1.0, max(0.0, (len(found) / 2 - had) / MORE_ROUNDS))
            parts.append(
                (
                    met,
                    found,
                    f"{layer.rounds} rounds between {layer.holder} and {layer.opponent} in scene {layer.scene}",
                )
            )
        return by_parts(self.name, parts)


def _both_ways(episode: Episode, scene: int, holder: str, opponent: str) -> list[Line]:
    """Rounds of want and block, whoever of the two wants: an opponent with a want of their own counts."""
    return [*rounds(episode, scene, holder, opponent), *rounds(episode, scene, opponent, holder)]
