"""Mystery: fair play; the clue is in plain sight, the wrong lead has a reason, the solution waits."""

from __future__ import annotations

import re
from typing import ClassVar

from cinegen_core.engines.base import Directive, EngineContext, Line, Phase, Realisation
from cinegen_core.engines.common import by_parts, has_genre, numbered
from cinegen_core.engines.reading import content_words, lines, mentions, scene_text, stem
from cinegen_core.story import Action, Dialogue, Episode, StoryBible

_SUSPICION = re.compile(
    r"\b(saw|seen|who|why|where|when|key|lied?|lying|hid\w*|knew|knows|was there|wasn't|alone|late|night|nobody|somebody|took|takes|left|missing|cut|burn\w*|"
    r"signed?|paid|money|locked|open\w*|wrong|before|after|only|never|could have|must have)\b",
    re.IGNORECASE,
)


HERRINGS = ("corner", "glass", "mud", "stain", "lock", "envelope", "number", "rope", "match", "initials")
"""Traces that look like evidence and are explained."""


class MysteryDirective(Directive):
    """A wrong lead `herring` seen in scene `plant` and explained later, in `reveal` (the same scene: a trace stays where it is); `traces` more lines of evidence than the draft has;
    `solution` unsaid before scene `solved` (None: in the whole episode)."""

    herring: str
    plant: int
    reveal: int
    traces: int = 3
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
        return "A trace seen in one scene and explained, wrongly suspected, in a later one; how many lines of evidence a fair viewer gets; before which scene the solution must not be said."

    def propose(self, context: EngineContext) -> MysteryDirective:
        outline = context.draft.outline
        scenes = tuple(n for n, _ in numbered(context))
        where = scenes[len(scenes) // 2]
        text = "\n".join(scene_text(s) for s in context.draft.episode.scenes)
        start = (context.request.seed + 3 * context.request.number) % len(HERRINGS)
        order = HERRINGS[start:] + HERRINGS[:start]
        return MysteryDirective(
            engine=self.name,
            herring=next((h for h in order if not mentions(text, stem(h))), order[0]),
            plant=where,
            reveal=where,
            scenes=scenes,
            solution=outline.truth,
            solved=next((n for n, s in numbered(context) if s.reveals), None),
        )

    def realised(self, episode: Episode, directive: Directive, context: EngineContext) -> Realisation:
        assert isinstance(directive, MysteryDirective)
        noun = stem(directive.herring)
        plant = [
            line
            for line, e in lines(episode, directive.plant)
            if isinstance(e, Action) and mentions(e.text, noun)
        ]
        reveal = [
            line
            for line, e in lines(episode, directive.reveal)
            if isinstance(e, Action) and mentions(e.text, noun)
        ]
        found, had = _traces(episode, directive), _traces(context.draft.episode, directive)
        more = max(0, len(found) - len(had))
        parts: list[tuple[float, list[Line], str]] = [
            (
                1.0 if len({*plant, *reveal}) >= 2 else 0.0,
                [*plant, *reveal],
                f"the {directive.herring}, seen in scene {directive.plant}, explained in scene {directive.reveal}",
            ),
            (min(1.0, more / directive.traces), found, f"{directive.traces} more traces in plain sight"),
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
        if isinstance(e, Action) and line.scene in directive.scenes and line.line > 3 and _SUSPICION.search(e.text)
    ]  # fmt: skip
