"""FiveMinuteCanvas: the episode fits its form."""

from __future__ import annotations

from typing import ClassVar

from cinegen_core.engines.base import Directive, EngineContext, Line, Phase, Realisation
from cinegen_core.engines.common import by_parts
from cinegen_core.engines.reading import lines
from cinegen_core.story import Dialogue, Episode, StoryBible


class CanvasDirective(Directive):
    """`seconds` in all (within `tolerance`), `scenes`, and at most `gap` words of description between two speeches.

    150 to 230 words of script to a minute: 750 to 1,150 for five minutes.
    """

    seconds: int
    tolerance: float = 0.1
    scenes: int
    gap: int = 130
    words: tuple[int, int]


class FiveMinuteCanvas:
    name: ClassVar[str] = "FiveMinuteCanvas"
    phase: ClassVar[Phase] = "format"
    job: ClassVar[str] = "Fit running time, number of scenes and length to the form."
    priority: ClassVar[int] = 100
    directive: ClassVar[type[Directive]] = CanvasDirective

    def suits(self, bible: StoryBible) -> bool:
        return True

    def brief(self, context: EngineContext) -> str:
        return f"The episode runs {context.request.minutes:g} minutes. Total seconds, number of scenes, length in words, longest stretch without speech."

    def propose(self, context: EngineContext) -> CanvasDirective:
        minutes = context.request.minutes
        return CanvasDirective(
            engine=self.name,
            operation="set",
            seconds=round(minutes * 60),
            scenes=len(context.draft.outline.scenes),
            words=(round(150 * minutes), round(230 * minutes)),
        )

    def realised(self, episode: Episode, directive: Directive, context: EngineContext) -> Realisation:
        assert isinstance(directive, CanvasDirective)
        off = abs(episode.seconds - directive.seconds) / directive.seconds
        low, high = directive.words
        gap, worst = 0, 0
        place: list[Line] = []
        for line, e in lines(episode):
            gap = 0 if isinstance(e, Dialogue) else gap + len(e.text.split())
            if gap > worst:
                worst, place = gap, [line]
        return by_parts(
            self.name,
            [
                (1.0 if off <= directive.tolerance else 0.0, [], f"{directive.seconds} seconds in all"),
                (1.0 if len(episode.scenes) == directive.scenes else 0.0, [], f"{directive.scenes} scenes"),
                (1.0 if low <= episode.words <= high else 0.0, [], f"{low} to {high} words"),
                (
                    1.0 if worst <= directive.gap else 0.0,
                    place,
                    f"at most {directive.gap} words without speech",
                ),
            ],
        )
