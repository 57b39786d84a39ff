"""FractalNarrative: the theme at every scale, carried by one thing that comes back and is once turned round."""

from __future__ import annotations

import re
from typing import ClassVar, Literal

from cinegen_core.engines.base import Directive, EngineContext, Phase, Realisation
from cinegen_core.engines.common import by_parts, numbered
from cinegen_core.engines.reading import head_noun, head_phrase, lines, mentions
from cinegen_core.story import Episode, StoryBible
from cinegen_core.story.model import Noun
from cinegen_core.story.words import content_words

_TURNED = re.compile(
    r"\b(not|no longer|without|gone|stopped|stops|broken|missing|empty|off|out|dark|wrong|turned|upside|never|nobody|other|instead|first time|down|away|torn|cold)\b|n['’]t\b",
    re.IGNORECASE,
)


class Placement(Noun):
    scene: int
    role: Literal["echo", "inverted"] = "echo"


class MotifDirective(Directive):
    motif: str
    placements: tuple[Placement, ...]
    theme: str = ""


class FractalNarrative:
    name: ClassVar[str] = "FractalNarrative"
    phase: ClassVar[Phase] = "narrative"
    job: ClassVar[str] = "Bring the theme back at every scale through one motif, turned round once."
    priority: ClassVar[int] = 40
    directive: ClassVar[type[Directive]] = MotifDirective

    def suits(self, bible: StoryBible) -> bool:
        return bool(bible.motifs)

    def brief(self, context: EngineContext) -> str:
        return (
            f"The theme is: {context.bible.theme or 'unstated'}. Motifs: {', '.join(context.bible.motifs)}. Choose one motif and the scenes "
            "in which it is seen, and at most one scene in which it is turned round (broken, missing, the other way about) because the theme turns."
        )

    def propose(self, context: EngineContext) -> MotifDirective:
        motifs = context.bible.motifs
        scenes = numbered(context)
        motif = motifs[(context.request.number - 1) % len(motifs)]
        places = [Placement(scene=scenes[0][0])]
        if len(scenes) > 2:
            places.append(Placement(scene=scenes[len(scenes) // 2][0]))
        if len(scenes) > 1:
            role: Literal["echo", "inverted"] = "inverted" if context.request.number % 2 == 0 else "echo"
            places.append(Placement(scene=scenes[-1][0], role=role))
        return MotifDirective(
            engine=self.name, motif=motif, placements=tuple(places), theme=context.bible.theme
        )

    def realised(self, episode: Episode, directive: Directive, context: EngineContext) -> Realisation:
        assert isinstance(directive, MotifDirective)
        noun = head_noun(directive.motif)
        words = content_words(head_phrase(directive.motif))
        parts = []
        for placement in directive.placements:
            found = [
                line
                for line, e in lines(episode, placement.scene)
                if mentions(e.text, noun) or len(words & content_words(e.text)) >= 2
            ]
            if placement.role == "inverted":
                found = [line for line in found if _TURNED.search(line.text)]
            parts.append(
                (
                    1.0 if found else 0.0,
                    found,
                    f"{directive.motif} in scene {placement.scene} ({placement.role})",
                )
            )
        return by_parts(self.name, parts)
