"""TensionEscalation: it gets worse, and somebody says what is at stake."""

from __future__ import annotations

from typing import ClassVar

from cinegen_core.engines.base import Directive, EngineContext, Line, Phase, Realisation
from cinegen_core.engines.common import by_parts, numbered, talked
from cinegen_core.engines.reading import rank_correlation, stakes, tension
from cinegen_core.story import Episode, StoryBible


class TensionDirective(Directive):
    """`curve` by scene, 0..10; in each of `stake_scenes` somebody says what will be lost, more plainly than in the draft."""

    curve: tuple[float, ...]
    stake: str = ""
    stake_scenes: tuple[int, ...]
    threshold: float = 0.5


class TensionEscalation:
    name: ClassVar[str] = "TensionEscalation"
    phase: ClassVar[Phase] = "format"
    job: ClassVar[str] = "Raise the stakes scene by scene, and have them said."
    priority: ClassVar[int] = 60
    directive: ClassVar[type[Directive]] = TensionDirective

    def suits(self, bible: StoryBible) -> bool:
        return True

    def brief(self, context: EngineContext) -> str:
        return f"The stake: {context.draft.outline.stake or 'unstated'}. A tension figure (0 to 10) per scene, rising, and the scenes in which somebody says what will be lost."

    def propose(self, context: EngineContext) -> TensionDirective:
        scenes = numbered(context)
        top = max(1, len(scenes) - 1)
        curve = tuple(round(3 + 5 * (n - 1) / top, 1) for n, _ in scenes)
        return TensionDirective(
            engine=self.name,
            curve=curve,
            stake=context.draft.outline.stake,
            stake_scenes=tuple(n for n, _ in talked(context)[-2:]),
        )

    def realised(self, episode: Episode, directive: Directive, context: EngineContext) -> Realisation:
        assert isinstance(directive, TensionDirective)
        parts: list[tuple[float, list[Line], str]] = []
        for scene in directive.stake_scenes:
            found = stakes(episode, scene)
            had = stakes(context.draft.episode, scene)
            more = max(0, len(found) - len(had))
            parts.append((min(1.0, more / 2), found, f"the stake, said in scene {scene}"))
        measured = [tension(scene) for scene in episode.scenes][: len(directive.curve)]
        rho = rank_correlation(directive.curve[: len(measured)], measured)
        parts.append(
            (1.0 if rho >= directive.threshold else max(0.0, rho), [], "tension that rises as asked")
        )
        return by_parts(self.name, parts)
