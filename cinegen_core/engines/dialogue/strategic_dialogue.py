"""StrategicDialogue: who tells what, and when; until then questions are turned aside."""

from __future__ import annotations

from typing import ClassVar

from cinegen_core.engines.base import Directive, EngineContext, Line, Phase, Realisation
from cinegen_core.engines.common import by_parts, numbered, talked
from cinegen_core.engines.reading import answered_questions, lines
from cinegen_core.story import Dialogue, Episode, StoryBible
from cinegen_core.story.words import content_words


class SecretDirective(Directive):
    """`reveal` is the scene in which `holder` first says it; None where it is kept. `deflections`: scenes with a turned question."""

    secret: str
    holder: str | None = None
    reveal: int | None = None
    deflections: tuple[int, ...] = ()


class StrategicDialogue:
    name: ClassVar[str] = "StrategicDialogue"
    phase: ClassVar[Phase] = "dialogue"
    job: ClassVar[str] = "Decide who tells what, when, and how questions are turned aside until then."
    priority: ClassVar[int] = 85
    directive: ClassVar[type[Directive]] = SecretDirective

    def suits(self, bible: StoryBible) -> bool:
        return True

    def brief(self, context: EngineContext) -> str:
        return (
            f"The secret in play: {context.draft.outline.question or 'what is being kept back'}. Say who keeps it, in which scene it is first said by them (or that it stays "
            "unsaid), and in which scenes a question is answered with a question."
        )

    def propose(self, context: EngineContext) -> SecretDirective:
        outline = context.draft.outline
        reveal = next((n for n, s in numbered(context) if s.reveals), None)
        holder = next((s.holder for s in outline.scenes if s.holder), None)
        before = [n for n, _ in talked(context) if reveal is None or n <= reveal]
        return SecretDirective(
            engine=self.name,
            secret=outline.truth,
            holder=holder,
            reveal=reveal,
            deflections=tuple(before[-2:] or [talked(context)[0][0]]),
        )

    def realised(self, episode: Episode, directive: Directive, context: EngineContext) -> Realisation:
        assert isinstance(directive, SecretDirective)
        parts: list[tuple[float, list[Line], str]] = []
        for scene in directive.deflections:
            outlined = context.draft.outline.scenes
            people = outlined[scene - 1].people if scene <= len(outlined) else ()
            found = [line for cue in people for line in answered_questions(episode, scene, cue)]
            drafted = [
                line for cue in people for line in answered_questions(context.draft.episode, scene, cue)
            ]
            met = 1.0 if len(found) > len(drafted) or len(found) >= 4 else 0.0
            parts.append((met, found, f"a question answered with a question in scene {scene}"))
        if directive.holder and directive.secret:
            answer = content_words(directive.secret)
            early = [
                line for line, e in lines(episode)
                if isinstance(e, Dialogue) and e.speaker == directive.holder and (directive.reveal is None or line.scene < directive.reveal)
                and len(answer) >= 4 and len(answer & content_words(e.text)) >= 0.8 * len(answer)
            ]  # fmt: skip
            if early:
                parts.append((0.0, early, f"{directive.holder} says it too early"))
        return by_parts(self.name, parts)
