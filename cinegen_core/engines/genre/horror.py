"""Horror: dread first; what is wrong is seen and heard before anybody says it."""

from __future__ import annotations

import re
from typing import ClassVar

from cinegen_core.engines.base import Directive, EngineContext, Line, Phase, Realisation
from cinegen_core.engines.common import by_parts, has_genre, numbered
from cinegen_core.engines.reading import lines
from cinegen_core.story import Action, Dialogue, Episode, StoryBible

DREAD = re.compile(
    r"\b(footsteps?|breath\w*|whisper\w*|creak\w*|shadow\w*|cold|wet|damp|dark\w*|behind|empty|extra|open|opens|ajar|closed|shut|moves?|moved|moving|nobody|no one|"
    r"no-one|alone|one more|another|too many|still warm|warm|handprints?|prints?|scratch\w*|knock\w*|tap\w*|drip\w*|lights?|flicker\w*|goes out|stops?|stopped|silence|"
    r"silent|stares?|watch\w*|face|shape|figure|smear\w*|turned|already|laid|place|chair|cup|frost\w*|steam\w*)\b",
    re.IGNORECASE,
)


class HorrorDirective(Directive):
    """At least `cues` moments of dread more than the draft, in `cue_scenes`, said aloud by nobody before `reveal` (None: not at all)."""

    cue_scenes: tuple[int, ...]
    cues: int = 2
    reveal: int | None = None
    alone: str | None = None


class Horror:
    name: ClassVar[str] = "Horror"
    phase: ClassVar[Phase] = "genre"
    job: ClassVar[str] = "Place what should not be there, twice, and let nobody name it."
    priority: ClassVar[int] = 49
    directive: ClassVar[type[Directive]] = HorrorDirective

    def suits(self, bible: StoryBible) -> bool:
        return has_genre(bible, "horror", "gothic", "ghost")

    def brief(self, context: EngineContext) -> str:
        return "The thing that is wrong here: in which two scenes it is seen or heard in the description, who is alone with it, and in which scene (if any) it is first spoken of."

    def propose(self, context: EngineContext) -> HorrorDirective:
        scenes = [n for n, _ in numbered(context)]
        return HorrorDirective(engine=self.name, cue_scenes=tuple(scenes), alone=context.draft.outline.protagonist)

    def realised(self, episode: Episode, directive: Directive, context: EngineContext) -> Realisation:
        assert isinstance(directive, HorrorDirective)
        found, had = _cues(episode, directive), _cues(context.draft.episode, directive)
        more = len(found) - len(had)
        unspoken = [line for line in found if not _spoken_next(episode, line)]
        return by_parts(
            self.name,
            [
                (min(1.0, max(0, more) / directive.cues), found, f"{directive.cues} moments of dread"),
                (1.0 if len(unspoken) >= directive.cues and more > 0 else 0.0, unspoken, "dread that nobody names"),
            ],
        )


def _cues(episode: Episode, directive: HorrorDirective) -> list[Line]:
    return [
        line for line, e in lines(episode)
        if isinstance(e, Action) and line.scene in directive.cue_scenes and len(DREAD.findall(e.text)) >= 2
    ]  # fmt: skip


def _spoken_next(episode: Episode, cue: Line) -> bool:
    """Whether the next speech takes up the words of the cue."""
    words = {m.casefold() for m in DREAD.findall(cue.text) for m in ([m] if isinstance(m, str) else m)}
    for line, e in lines(episode, cue.scene):
        if line.line > cue.line and isinstance(e, Dialogue):
            return any(re.search(rf"\b{re.escape(w)}\b", e.text, re.IGNORECASE) for w in words)
    return False
