"""Horror: dread first; one thing that should not be there, seen or heard twice before anybody says it."""

from __future__ import annotations

import re
from typing import ClassVar

from cinegen_core.engines.base import Directive, EngineContext, Line, Phase, Realisation
from cinegen_core.engines.common import by_parts, has_genre, numbered
from cinegen_core.engines.reading import lines, mentions, scene_text
from cinegen_core.story import Action, Dialogue, Episode, StoryBible

CUES = (
    "footprint",
    "humming",
    "chair",
    "breath",
    "tap",
    "coat",
    "door",
    "smear",
    "bell",
    "shadow",
    "cup",
    "thread",
)
"""Things that are nothing by themselves, and wrong here."""

DREAD = re.compile(
    r"\b(footsteps?|breath\w*|whisper\w*|creak\w*|shadow\w*|cold|wet|damp|dark\w*|behind|empty|extra|open|opens|ajar|closed|shut|moves?|moved|moving|nobody|no one|"
    r"no-one|alone|one more|another|too many|still warm|warm|handprints?|prints?|scratch\w*|knock\w*|tap\w*|drip\w*|lights?|flicker\w*|goes out|stops?|stopped|silence|"
    r"silent|stares?|watch\w*|face|shape|figure|smear\w*|turned|already|laid|place|chair|cup|frost\w*|steam\w*)\b",
    re.IGNORECASE,
)


class HorrorDirective(Directive):
    """`cue` is seen or heard in `early` and again in `late`, said aloud by nobody; `dread` more lines of description than the draft has."""

    cue: str
    early: int
    late: int
    dread: int = 8
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
        return "One thing that should not be here: in which scene it is first seen or heard in the description, in which it comes back nearer; nobody says it aloud. Who is alone with it."

    def propose(self, context: EngineContext) -> HorrorDirective:
        scenes = [n for n, _ in numbered(context)]
        where = scenes[len(scenes) // 2]
        text = "\n".join(scene_text(s) for s in context.draft.episode.scenes)
        start = (context.request.seed + 5 * context.request.number) % len(CUES)
        order = CUES[start:] + CUES[:start]
        cue = next((c for c in order if not mentions(text, c)), order[0])
        return HorrorDirective(
            engine=self.name, cue=cue, early=where, late=where, alone=context.draft.outline.protagonist
        )

    def realised(self, episode: Episode, directive: Directive, context: EngineContext) -> Realisation:
        assert isinstance(directive, HorrorDirective)
        early = [
            line
            for line, e in lines(episode, directive.early)
            if isinstance(e, Action) and mentions(e.text, directive.cue)
        ]
        late = [
            line
            for line, e in lines(episode, directive.late)
            if isinstance(e, Action) and mentions(e.text, directive.cue)
        ]
        spoken = [
            line for line, e in lines(episode) if isinstance(e, Dialogue) and mentions(e.text, directive.cue)
        ]
        dread, had = _dread(episode), _dread(context.draft.episode)
        more = max(0, len(dread) - len(had))
        placed = list(dict.fromkeys((*early, *late)))
        placed = placed if len(placed) >= 2 else []
        unspoken = [line for line in (*placed, *dread) if not _taken_up(episode, line)]
        return by_parts(
            self.name,
            [
                (
                    1.0 if placed and not spoken else min(1.0, more / directive.dread),
                    placed or dread,
                    f"the {directive.cue}, or what is as wrong, seen twice and named by nobody",
                ),
                (min(1.0, more / directive.dread), dread, f"{directive.dread} more lines of dread"),
                (
                    min(1.0, len(unspoken) / directive.dread) if more else 0.0,
                    unspoken,
                    "dread that nobody answers aloud",
                ),
            ],
        )


def _taken_up(episode: Episode, cue: Line) -> bool:
    """Whether the next speech says what was seen."""
    words = {m.casefold() for m in DREAD.findall(cue.text)}
    following = next(
        (e for line, e in lines(episode, cue.scene) if line.line > cue.line and isinstance(e, Dialogue)), None
    )
    return following is not None and any(
        re.search(rf"\b{re.escape(w)}\b", following.text, re.IGNORECASE) for w in words
    )


def _dread(episode: Episode) -> list[Line]:
    """Lines of description after a scene's opening that hold a word of dread."""
    return [
        line for line, e in lines(episode) if isinstance(e, Action) and line.line > 4 and DREAD.search(e.text)
    ]
