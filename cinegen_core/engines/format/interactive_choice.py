"""InteractiveChoice: three ways on that grow from what was seen, differ, and cost."""

from __future__ import annotations

from typing import ClassVar

from cinegen_core.engines.base import Directive, EngineContext, Line, Phase, Realisation
from cinegen_core.engines.common import by_parts
from cinegen_core.engines.reading import lines
from cinegen_core.story import Episode, StoryBible
from cinegen_core.story.model import Noun
from cinegen_core.story.words import content_words


class Option(Noun):
    """`axis`: what is traded against what; `anchors`: people and things of the last scene, one of which it must act on."""

    id: str
    axis: str
    anchors: tuple[str, ...]
    horizon: str = "next"


class ChoiceDirective(Directive):
    options: tuple[Option, Option, Option]
    canonical: str = "a"


class InteractiveChoice:
    name: ClassVar[str] = "InteractiveChoice"
    phase: ClassVar[Phase] = "format"
    job: ClassVar[str] = "End on three choices that act on what was seen, change different things, and cost."
    priority: ClassVar[int] = 92
    directive: ClassVar[type[Directive]] = ChoiceDirective

    def suits(self, bible: StoryBible) -> bool:
        return True

    def brief(self, context: EngineContext) -> str:
        return (
            f"What {context.draft.outline.protagonist} can do at the end: three options, each on another axis (tell or keep, hold or give up, act or wait), each acting on a person or "
            "thing of the last scene, each with a cost that is said and an effect on the story's state that the others do not have. Name the canonical one."
        )

    def propose(self, context: EngineContext) -> ChoiceDirective:
        last = context.draft.outline.scenes[-1]
        people = tuple(last.people)
        anchors = tuple(a for a in (*people, last.subject) if a)
        axes = ("act / wait", "hold / give up", "tell / keep")
        made = [Option(id=i, axis=axis, anchors=anchors) for i, axis in zip("abc", axes, strict=True)]
        return ChoiceDirective(engine=self.name, options=(made[0], made[1], made[2]), canonical="a")

    def realised(self, episode: Episode, directive: Directive, context: EngineContext) -> Realisation:
        assert isinstance(directive, ChoiceDirective)
        seen: dict[str, Line] = {}
        for line, _ in lines(episode, len(episode.scenes)):
            for word in content_words(line.text):
                seen[word] = line
        subject = content_words(context.draft.outline.scenes[-1].subject)
        parts: list[tuple[float, list[Line], str]] = []
        for choice in episode.choices:
            words = (content_words(choice.label) | content_words(choice.consequence)) - subject
            held = sorted(w for w in words if w in seen)
            parts.append(
                (
                    1.0 if len(held) >= 2 else 0.0,
                    [seen[w] for w in held[:2]],
                    f"choice {choice.id} acts on what the last scene showed",
                )
            )
        effects = {choice.effects for choice in episode.choices}
        parts.append(
            (1.0 if len(effects) == 3 and all(effects) else 0.0, [], "three different effects on the story")
        )
        parts.append(
            (1.0 if sum(c.canonical for c in episode.choices) == 1 else 0.0, [], "one canonical choice")
        )
        axes = {choice.axis for choice in episode.choices}
        parts.append((1.0 if all(axes) else 0.0, [], "each choice trades something against something"))
        return by_parts(self.name, parts)
