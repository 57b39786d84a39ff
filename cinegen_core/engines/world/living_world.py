"""LivingWorld: there are other people, they were here before us, and they go about their business."""

from __future__ import annotations

import re
from typing import ClassVar

from cinegen_core.engines.base import Directive, EngineContext, Line, Phase, Realisation
from cinegen_core.engines.common import by_parts, talked
from cinegen_core.engines.reading import lines
from cinegen_core.story import Action, Episode, StoryBible

_SOMEBODY = re.compile(
    r"\b(?:a|an|the|two|three|four|another|some|one)\s+(?:[\w'-]+\s+){0,3}?(boys?|girls?|m[ae]n|wom[ae]n|child(?:ren)?|couples?|porters?|nurses?|drivers?|"
    r"waiters?|waitress(?:es)?|clerks?|cleaners?|guards?|sailors?|fisherm[ae]n|students?|cooks?|postm[ae]n|neighbours?|neighbors?|customers?|passengers?|"
    r"strangers?|workm[ae]n|vendors?|dogs?|cats?|cyclists?|joggers?|tourists?|old\s+\w+|kids?|crowd|queue|delivery\w*|figures?|person|people|ushers?|"
    r"bailiffs?|juror\w*|lawyers?|barges?|bargem[ae]n|bottlers?|messengers?|runners?|guests?|skiers?|plough\w*|plow\w*|postwom[ae]n|ladies|lady|gentlem[ae]n|"
    r"teenagers?|toddlers?|babies|baby|priests?|nuns?|soldiers?|polic\w+|officers?|gardeners?|judges?|vicars?|stewards?|mechanics?|anglers?|deckhands?)\b",
    re.IGNORECASE,
)


class LifeDirective(Directive):
    """In `scene` at least `moments` action lines belong to people (or animals) outside the cast."""

    scene: int
    moments: int = 2


class LivingWorld:
    name: ClassVar[str] = "LivingWorld"
    phase: ClassVar[Phase] = "world"
    job: ClassVar[str] = "Let other people come, do something of their own, and go."
    priority: ClassVar[int] = 30
    directive: ClassVar[type[Directive]] = LifeDirective

    def suits(self, bible: StoryBible) -> bool:
        return True

    def brief(self, context: EngineContext) -> str:
        return "One scene in which somebody outside the cast comes in, does something of their own in the background, and leaves. They do not speak."

    def propose(self, context: EngineContext) -> LifeDirective:
        scenes = talked(context)
        scenes = [(n, s) for n, s in scenes if not s.slugline.endswith("NIGHT")] or scenes
        scene = scenes[-1][0] if context.request.number % 2 else scenes[0][0]
        return LifeDirective(engine=self.name, scene=scene)

    def realised(self, episode: Episode, directive: Directive, context: EngineContext) -> Realisation:
        assert isinstance(directive, LifeDirective)
        names = {word for c in context.bible.characters for word in c.name.split()}
        had = len(_life(context.draft.episode, directive.scene, names))
        found = _life(episode, directive.scene, names)
        wanted = had + directive.moments
        met = min(1.0, max(0, len(found) - had) / directive.moments)
        return by_parts(
            self.name, [(met, found, f"{wanted} moments of other people's lives in scene {directive.scene}")]
        )


def _life(episode: Episode, scene: int, names: set[str]) -> list[Line]:
    found = []
    for line, e in lines(episode, scene):
        if (
            isinstance(e, Action)
            and (match := _SOMEBODY.search(e.text))
            and match.group(1).split()[-1] not in names
        ):
            found.append(line)
    return found
