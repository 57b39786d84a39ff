"""Mystery: fair play; the clue is in plain sight, the wrong lead has a reason, the solution waits."""

from __future__ import annotations

import re
from typing import ClassVar

from cinegen_core.engines.base import Directive, EngineContext, Line, Phase, Realisation
from cinegen_core.engines.common import by_parts, has_genre, numbered
from cinegen_core.engines.reading import lines
from cinegen_core.story import Action, Dialogue, Episode, StoryBible
from cinegen_core.story.words import content_words

EVIDENCE = re.compile(
    r"\b(saw|seen|who|why|where|when|key|lied?|lying|hid\w*|knew|knows|was there|wasn't|alone|late|night|nobody|somebody|took|takes|left|missing|cut|burn\w*|"
    r"signed?|paid|money|locked|open\w*|wrong|before|after|only|never|could have|must have)\b",
    re.IGNORECASE,
)


class MysteryDirective(Directive):
    """`traces` more lines of evidence in the description than the draft has; `solution` unsaid before scene `solved` (None: in the whole episode)."""

    traces: int = 5
    scenes: tuple[int, ...]
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
        return "How many traces a fair viewer gets to see before they are understood, which wrong lead has a good reason, and before which scene the solution must not be said."

    def propose(self, context: EngineContext) -> MysteryDirective:
        outline = context.draft.outline
        scenes = tuple(n for n, _ in numbered(context))
        return MysteryDirective(
            engine=self.name,
            scenes=scenes,
            solution=outline.truth,
            solved=next((n for n, s in numbered(context) if s.reveals), None),
        )

    def realised(self, episode: Episode, directive: Directive, context: EngineContext) -> Realisation:
        assert isinstance(directive, MysteryDirective)
        found, had = _traces(episode, directive), _traces(context.draft.episode, directive)
        more = max(0, len(found) - len(had))
        parts: list[tuple[float, list[Line], str]] = [
            (min(1.0, more / directive.traces), found, f"{directive.traces} more traces in plain sight")
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
    """Lines of description after a scene's opening that hold a word of evidence."""
    return [
        line for line, e in lines(episode)
        if isinstance(e, Action) and line.scene in directive.scenes and line.line > 3 and EVIDENCE.search(e.text)
    ]  # fmt: skip
