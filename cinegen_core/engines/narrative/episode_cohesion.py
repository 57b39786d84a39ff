"""EpisodeCohesion: what is set up is paid off, and nobody speaks who does not belong here."""

from __future__ import annotations

from typing import ClassVar

from cinegen_core.engines.base import Directive, EngineContext, Line, Phase, Realisation
from cinegen_core.engines.common import by_parts, numbered
from cinegen_core.engines.reading import head_noun, lines, mentions, scene_text
from cinegen_core.story import Dialogue, Episode, StoryBible
from cinegen_core.story.model import Noun

PORTABLE = (
    "pencil", "glove", "matchbox", "thermos", "umbrella", "scarf", "torch", "newspaper", "biscuit", "handkerchief", "postcard",
    "button", "coin", "string", "apple",
)  # fmt: skip
"""Small things that anybody may carry anywhere: set down in one scene, picked up in another."""


class Setup(Noun):
    what: str
    plant: int
    payoff: int


class SetupDirective(Directive):
    setups: tuple[Setup, ...]
    cast: tuple[str, ...]


class EpisodeCohesion:
    name: ClassVar[str] = "EpisodeCohesion"
    phase: ClassVar[Phase] = "narrative"
    job: ClassVar[str] = "Set things up early and pay them off late; keep strangers out."
    priority: ClassVar[int] = 70
    directive: ClassVar[type[Directive]] = SetupDirective

    def suits(self, bible: StoryBible) -> bool:
        return True

    def brief(self, context: EngineContext) -> str:
        return (
            "Name one or two small concrete things that the draft does not use yet; for each the scene in which it is planted in passing and the "
            "later scene in which it matters. List everybody who may speak."
        )

    def propose(self, context: EngineContext) -> SetupDirective:
        scenes = numbered(context)
        text = "\n".join(scene_text(s) for s in context.draft.episode.scenes)
        start = (context.request.seed + 7 * context.request.number) % len(PORTABLE)
        order = PORTABLE[start:] + PORTABLE[:start]
        what = next((w for w in order if not mentions(text, w)), order[0])
        setups = (Setup(what=what, plant=scenes[0][0], payoff=scenes[-1][0]),) if len(scenes) > 1 else ()
        return SetupDirective(engine=self.name, setups=setups, cast=tuple(context.bible.cues()))

    def realised(self, episode: Episode, directive: Directive, context: EngineContext) -> Realisation:
        assert isinstance(directive, SetupDirective)
        parts: list[tuple[float, list[Line], str]] = []
        for setup in directive.setups:
            noun = head_noun(setup.what)
            plant = [line for line, e in lines(episode, setup.plant) if mentions(e.text, noun)]
            payoff = [line for line, e in lines(episode, setup.payoff) if mentions(e.text, noun)]
            met = (0.5 if plant else 0.0) + (0.5 if plant and payoff else 0.0)
            parts.append(
                (
                    met,
                    [*plant, *payoff],
                    f"the {setup.what}, planted in scene {setup.plant}, paid off in scene {setup.payoff}",
                )
            )
        strangers = [
            line for line, e in lines(episode) if isinstance(e, Dialogue) and e.speaker not in directive.cast
        ]  # fmt: skip
        if strangers:
            parts.append((0.0, [], f"{strangers[0].text!r} is said by somebody who is not in the bible"))
        return by_parts(self.name, parts)
