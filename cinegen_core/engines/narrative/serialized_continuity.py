"""SerializedContinuity: what happened is obeyed, and what was chosen is seen."""

from __future__ import annotations

from typing import ClassVar

from cinegen_core.engines.base import Directive, EngineContext, Line, Phase, Realisation
from cinegen_core.engines.common import by_parts
from cinegen_core.engines.reading import lines, mentions
from cinegen_core.story import Dialogue, Episode, StoryBible
from cinegen_core.story.model import Noun
from cinegen_core.story.words import content_words, stem


class Learned(Noun):
    """`who` learns `what`, and not before `scene`."""

    who: str
    what: str
    scene: int


class ContinuityDirective(Directive):
    """`callbacks`: sentences about what happened, at least one of which must be felt in the first scene."""

    facts: tuple[str, ...] = ()
    callbacks: tuple[str, ...] = ()
    learned: tuple[Learned, ...] = ()


class SerializedContinuity:
    name: ClassVar[str] = "SerializedContinuity"
    phase: ClassVar[Phase] = "narrative"
    job: ClassVar[str] = "Obey what happened; let the last choice be seen at work."
    priority: ClassVar[int] = 95
    directive: ClassVar[type[Directive]] = ContinuityDirective

    def suits(self, bible: StoryBible) -> bool:
        return True

    def brief(self, context: EngineContext) -> str:
        state = context.request.state
        taken = context.request.taken
        happened = "; ".join(c.text for c in state.changes[-8:]) if state else "nothing yet"
        return (
            f"What happened so far: {happened}. The choice made last time: {taken.label if taken else 'none'}. Say which facts the episode must not contradict, "
            "which earlier event must be felt in scene 1 or 2, and who learns what in which scene."
        )

    def propose(self, context: EngineContext) -> ContinuityDirective:
        state, taken = context.request.state, context.request.taken
        learned = tuple(
            Learned(who=s.people[0], what=s.subject, scene=n)
            for n, s in enumerate(context.draft.outline.scenes, 1)
            if s.reveals and s.people
        )
        if state is None:
            return ContinuityDirective(engine=self.name, learned=learned)
        callbacks = [f"{taken.label} {taken.consequence} {taken.anchor}"] if taken else []
        callbacks += (
            [f"{effect.subject} {effect.value}".replace("-", " ") for effect in taken.effects]
            if taken
            else []
        )
        callbacks += [
            scene.turn for scene in context.draft.outline.scenes[:1] if scene.turn and not scene.wants
        ]
        return ContinuityDirective(
            engine=self.name,
            facts=tuple(c.text for c in state.changes[-6:]),
            callbacks=tuple(callbacks),
            learned=learned,
        )

    def realised(self, episode: Episode, directive: Directive, context: EngineContext) -> Realisation:
        assert isinstance(directive, ContinuityDirective)
        parts: list[tuple[float, list[Line], str]] = []
        if directive.callbacks:
            wanted = frozenset(w for text in directive.callbacks for w in content_words(text))
            names = frozenset(w for cue in context.bible.cues() for w in content_words(cue))
            found: list[Line] = []
            words: set[str] = set()
            for line, _ in lines(episode, 1):
                hit = (content_words(line.text) & wanted) - names
                if hit:
                    found.append(line)
                    words |= hit
            taken = context.request.taken
            for line, element in lines(episode, 1):
                if isinstance(element, Dialogue) and taken and mentions(taken.label, stem(element.speaker)):
                    found.append(line)
                    words.add(element.speaker)
            parts.append((min(1.0, len(words) / 2), found, "the last choice at work in the first scene"))
        return by_parts(self.name, parts)
