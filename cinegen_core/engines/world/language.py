"""Language: this world's words in people's mouths, and each of them as formal as they are."""

from __future__ import annotations

from typing import ClassVar

from cinegen_core.engines.base import Directive, EngineContext, Line, Phase, Realisation
from cinegen_core.engines.common import by_parts, talked
from cinegen_core.engines.reading import contraction_rate, is_formal, lines, vocabulary
from cinegen_core.story import Dialogue, Episode, StoryBible
from cinegen_core.story.model import Noun
from cinegen_core.story.words import content_words


class Register(Noun):
    """The range in which somebody's share of contractions lies, 0..1."""

    cue: str
    low: float
    high: float


class LanguageDirective(Directive):
    """At least `count` different words of `terms` are spoken in the episode."""

    registers: tuple[Register, ...]
    scene: int
    terms: tuple[str, ...]
    count: int = 1


class Language:
    name: ClassVar[str] = "Language"
    phase: ClassVar[Phase] = "world"
    job: ClassVar[str] = "Put the world's own words into people's mouths, each at their level of formality."
    priority: ClassVar[int] = 35
    directive: ClassVar[type[Directive]] = LanguageDirective

    def suits(self, bible: StoryBible) -> bool:
        return True

    def brief(self, context: EngineContext) -> str:
        return (
            "For each speaker the share of contractions (don't against do not) that suits them; and a few words of this world's trades, places and rules that somebody "
            "uses as people use the words of their work: " + ", ".join(sorted(vocabulary(context.bible))[:20])
        )

    def propose(self, context: EngineContext) -> LanguageDirective:
        speaking = {cue for scene in context.draft.outline.scenes for cue in scene.people}
        registers = []
        for cue, character in context.bible.cues().items():
            if cue in speaking and is_formal(character.voice):
                registers.append(Register(cue=cue, low=0.0, high=0.25))
        words = vocabulary(context.bible)
        had = _spoken(context.draft.episode, words)
        scenes = talked(context)
        return LanguageDirective(
            engine=self.name,
            registers=tuple(registers),
            scene=scenes[0][0],
            terms=tuple(sorted(words)),
            count=round(1.6 * len(had)) + 2,
        )

    def realised(self, episode: Episode, directive: Directive, context: EngineContext) -> Realisation:
        assert isinstance(directive, LanguageDirective)
        wanted = frozenset(directive.terms)
        used: list[Line] = [
            line for line, e in lines(episode) if isinstance(e, Dialogue) and content_words(e.text) & wanted
        ]  # fmt: skip
        count = len(_spoken(episode, wanted))
        parts: list[tuple[float, list[Line], str]] = [
            (1.0 if count >= directive.count else 0.0, used, f"{directive.count} words of this world, spoken")
        ]
        for register in directive.registers:
            said = [
                e.text for _, e in lines(episode) if isinstance(e, Dialogue) and e.speaker == register.cue
            ]
            rate = contraction_rate(said)
            if rate is None or len(said) < 4:
                continue
            parts.append(
                (1.0 if register.low <= rate <= register.high else 0.0, [], f"{register.cue}'s formality")
            )
        return by_parts(self.name, parts)


def _spoken(episode: Episode, words: frozenset[str]) -> frozenset[str]:
    text = "\n".join(e.text for _, e in lines(episode) if isinstance(e, Dialogue))
    return content_words(text) & words
