"""PacingRhythm: one scene runs, one takes its time."""

from __future__ import annotations

from typing import ClassVar

from cinegen_core.engines.base import Directive, EngineContext, Line, Phase, Realisation
from cinegen_core.engines.common import by_parts, numbered, talked
from cinegen_core.engines.reading import cues, lines, mean_speech, scene_of
from cinegen_core.story import Action, Episode, Scene, StoryBible


class PacingDirective(Directive):
    """`seconds` by scene with a relative `tolerance`; lines in `fast` at most 0.8 as long as in `slow`."""

    seconds: tuple[int, ...]
    tolerance: float = 0.35
    fast: int
    slow: int


class PacingRhythm:
    name: ClassVar[str] = "PacingRhythm"
    phase: ClassVar[Phase] = "narrative"
    job: ClassVar[str] = "Give each scene its time; let one run and one breathe."
    priority: ClassVar[int] = 50
    directive: ClassVar[type[Directive]] = PacingDirective

    def suits(self, bible: StoryBible) -> bool:
        return True

    def brief(self, context: EngineContext) -> str:
        return "Seconds for each scene, which scene is fast (short speeches, no rests) and which is slow (longer speeches, silences)."

    def propose(self, context: EngineContext) -> PacingDirective:
        episode = context.draft.episode
        candidates = [n for n, _ in talked(context) if len(cues(episode.scenes[n - 1])) >= 4] or [
            n for n, _ in numbered(context)
        ]
        by_length = sorted(candidates, key=lambda n: (mean_speech(episode.scenes[n - 1]), n))
        total = context.request.minutes * 60
        planned = sum(s.seconds for s in episode.scenes) or 1
        return PacingDirective(
            engine=self.name,
            seconds=tuple(round(s.seconds * total / planned) for s in episode.scenes),
            fast=by_length[0],
            slow=by_length[-1],
        )

    def realised(self, episode: Episode, directive: Directive, context: EngineContext) -> Realisation:
        assert isinstance(directive, PacingDirective)
        fast, slow = scene_of(episode, directive.fast), scene_of(episode, directive.slow)
        parts: list[tuple[float, list[Line], str]] = []
        if fast and slow and directive.fast != directive.slow:
            short = [
                line
                for line, e in lines(episode, directive.fast)
                if not isinstance(e, Action) and len(e.text.split()) <= 4
            ]
            ratio = mean_speech(fast) / mean_speech(slow) if mean_speech(slow) else 1.0
            parts.append(
                (
                    1.0 if ratio <= 0.8 else 0.0,
                    short,
                    f"speeches in scene {directive.fast} at most 0.8 as long as in {directive.slow}",
                )
            )
            run = _longest_run(fast)
            drafted = scene_of(context.draft.episode, directive.fast)
            asked = max(4, _longest_run(drafted) + 1) if drafted else 4
            parts.append(
                (
                    1.0 if run >= asked else 0.0,
                    short,
                    f"{asked} quick speeches running in scene {directive.fast}",
                )
            )
        rests = _rests(episode, directive.slow)
        had = _rests(context.draft.episode, directive.slow)
        parts.append((1.0 if len(rests) > len(had) else 0.0, rests, f"a silence in scene {directive.slow}"))
        return by_parts(self.name, parts)


def _longest_run(scene: Scene) -> int:
    best = run = 0
    for e in cues(scene):
        run = run + 1 if len(e.text.split()) <= 5 else 0
        best = max(best, run)
    return best


def _rests(episode: Episode, scene: int) -> list[Line]:
    """Action lines between two speeches."""
    rows = list(lines(episode, scene))
    spoken = [i for i, (_, e) in enumerate(rows) if not isinstance(e, Action)]
    if not spoken:
        return []
    return [line for i, (line, e) in enumerate(rows) if isinstance(e, Action) and spoken[0] < i < spoken[-1]]
