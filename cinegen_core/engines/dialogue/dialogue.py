"""Dialogue: people can be told apart with their names covered, and cut each other off."""

from __future__ import annotations

from typing import ClassVar

from cinegen_core.engines.base import Directive, EngineContext, Line, Phase, Realisation
from cinegen_core.engines.common import by_parts, talked
from cinegen_core.engines.reading import distinctness, interruptions, lines, manner_of
from cinegen_core.story import Dialogue as Speech
from cinegen_core.story import Episode, StoryBible
from cinegen_core.story.model import Noun


class Voice(Noun):
    """How somebody speaks. `contractions` is the range of their share, 0..1; `banned` what they never say."""

    cue: str
    manner: str
    contractions: tuple[float, float] = (0.0, 1.0)
    banned: tuple[str, ...] = ()


class DialogueDirective(Directive):
    voices: tuple[Voice, ...]
    interruption: int


class Dialogue:
    name: ClassVar[str] = "Dialogue"
    phase: ClassVar[Phase] = "dialogue"
    job: ClassVar[str] = "Give each speaker a voice of their own, and let one be cut off."
    priority: ClassVar[int] = 75
    directive: ClassVar[type[Directive]] = DialogueDirective

    def suits(self, bible: StoryBible) -> bool:
        return True

    def brief(self, context: EngineContext) -> str:
        voices = "; ".join(f"{c.name}: {c.voice}" for c in context.bible.characters if c.voice)
        return (
            f"Voices: {voices or 'not described'}. For each speaker a manner, how often they contract (don't / do not), and words they never use. "
            "Name one scene in which a speech is broken off by another."
        )

    def propose(self, context: EngineContext) -> DialogueDirective:
        speaking = {cue for scene in context.draft.outline.scenes for cue in scene.people}
        voices = []
        for cue, character in context.bible.cues().items():
            if cue in speaking:
                manner = manner_of(character.voice)
                span = (0.0, 0.25) if manner == "formal" else (0.3, 1.0)
                voices.append(Voice(cue=cue, manner=manner, contractions=span))
        scenes = talked(context)
        return DialogueDirective(
            engine=self.name, voices=tuple(voices), interruption=scenes[len(scenes) // 2][0]
        )

    def realised(self, episode: Episode, directive: Directive, context: EngineContext) -> Realisation:
        assert isinstance(directive, DialogueDirective)
        parts: list[tuple[float, list[Line], str]] = []
        cut = [line for n in range(1, len(episode.scenes) + 1) for line in interruptions(episode, n)]
        parts.append((1.0 if cut else 0.0, cut, "a speech that is cut off"))
        by_cue: dict[str, list[tuple[Line, str]]] = {}
        for line, element in lines(episode):
            if isinstance(element, Speech):
                by_cue.setdefault(element.speaker, []).append((line, element.text))
        said = {cue: [text for _, text in rows] for cue, rows in by_cue.items()}
        apart, plain = distinctness(said), distinctness(_speeches(context.draft.episode))
        parts.append((1.0 if apart > 1.1 * plain else 0.0, [], "speakers who can be told apart"))
        for voice in directive.voices:
            slips = [
                line
                for line, text in by_cue.get(voice.cue, [])
                if any(w.casefold() in text.casefold() for w in voice.banned)
            ]
            if slips:
                parts.append((0.0, slips, f"words that {voice.cue} never says"))
        return by_parts(self.name, parts)


def _speeches(episode: Episode) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for _, element in lines(episode):
        if isinstance(element, Speech):
            found.setdefault(element.speaker, []).append(element.text)
    return found
