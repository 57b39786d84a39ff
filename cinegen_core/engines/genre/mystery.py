"""Mystery: fair play; the clue is in plain sight, the wrong lead has a reason, the solution waits."""

from __future__ import annotations

import re
from typing import ClassVar

from cinegen_core.engines.base import Directive, EngineContext, Line, Phase, Realisation
from cinegen_core.engines.common import by_parts, has_genre, numbered, talked
from cinegen_core.engines.reading import content_words, lines
from cinegen_core.story import Action, Dialogue, Episode, StoryBible

_SUSPICION = re.compile(
    r"\b(saw|seen|who|why|where|when|key|lied?|lying|hid\w*|knew|knows|was there|wasn't|alone|late|night|nobody|somebody|took|takes|left|missing|cut|burn\w*|"
    r"signed?|paid|money|locked|open\w*|wrong|before|after|only|never|could have|must have)\b",
    re.IGNORECASE,
)


class MysteryDirective(Directive):
    """A trace in the description of one of `clue_scenes` (more than the draft has), suspicion of somebody else in `herring_scenes`; `solution` unsaid before `solved`."""

    clue_scenes: tuple[int, ...]
    herring_scenes: tuple[int, ...]
    suspects: tuple[str, ...]
    solution: str = ""
    solved: int | None = None


class Mystery:
    name: ClassVar[str] = "Mystery"
    phase: ClassVar[Phase] = "genre"
    job: ClassVar[str] = "Plant the clue fairly, offer a wrong lead, keep the solution back."
    priority: ClassVar[int] = 65
    directive: ClassVar[type[Directive]] = MysteryDirective

    def suits(self, bible: StoryBible) -> bool:
        return has_genre(bible, "myster", "crime", "detect", "whodun", "noir")

    def brief(self, context: EngineContext) -> str:
        return "Which trace is seen in which scene before it is understood, who is wrongly suspected and why, and before which scene the solution must not be said."

    def propose(self, context: EngineContext) -> MysteryDirective:
        outline = context.draft.outline
        holder = next((s.holder for s in outline.scenes if s.holder), None)
        suspects = tuple(c for c in context.bible.cues() if c not in (holder, outline.protagonist))
        solved = next((n for n, s in numbered(context) if s.reveals), None)
        scenes = tuple(n for n, _ in numbered(context))
        return MysteryDirective(
            engine=self.name, clue_scenes=scenes, herring_scenes=tuple(n for n, _ in talked(context)), suspects=suspects, solution=outline.truth, solved=solved
        )

    def realised(self, episode: Episode, directive: Directive, context: EngineContext) -> Realisation:
        assert isinstance(directive, MysteryDirective)
        found, had = _traces(episode, directive), _traces(context.draft.episode, directive)
        names = [context.bible.cues()[cue].short for cue in directive.suspects if cue in context.bible.cues()]
        blamed = _suspicions(episode, directive, names)
        blamed_before = _suspicions(context.draft.episode, directive, names)
        parts: list[tuple[float, list[Line], str]] = [
            (1.0 if len(found) > len(had) else 0.0, found, "a trace in plain sight"),
            (1.0 if len(blamed) > len(blamed_before) else 0.0, blamed, "a wrong lead with a reason"),
        ]
        answer = content_words(directive.solution)
        early = [
            line for line, e in lines(episode)
            if isinstance(e, Dialogue) and len(answer) >= 4 and (directive.solved is None or line.scene < directive.solved)
            and len(answer & content_words(e.text)) >= 0.8 * len(answer)
        ]  # fmt: skip
        if early:
            parts.append((0.0, early, "the solution said too early"))
        return by_parts(self.name, parts)


def _traces(episode: Episode, directive: MysteryDirective) -> list[Line]:
    return [
        line for line, e in lines(episode)
        if isinstance(e, Action) and line.scene in directive.clue_scenes and len(_SUSPICION.findall(e.text)) >= 1
    ]  # fmt: skip


def _suspicions(episode: Episode, directive: MysteryDirective, names: list[str]) -> list[Line]:
    return [
        line for line, e in lines(episode)
        if isinstance(e, Dialogue) and line.scene in directive.herring_scenes
        and any(re.search(rf"\b{re.escape(n)}\b", e.text) for n in names) and _SUSPICION.search(e.text)
    ]  # fmt: skip
