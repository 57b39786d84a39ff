"""ComedyTiming: set-up, beat, punch; and a joke that keeps coming back."""

from __future__ import annotations

from typing import ClassVar

from cinegen_core.engines.base import Directive, EngineContext, Line, Phase, Realisation
from cinegen_core.engines.common import by_parts, has_genre, numbered, talked
from cinegen_core.engines.narrative.episode_cohesion import PORTABLE
from cinegen_core.engines.reading import content_words, lines, stem
from cinegen_core.story import Action, Dialogue, Episode, StoryBible


class ComedyDirective(Directive):
    """`gags` more set-up-and-punch pairs than the draft (the punch at most `gap` words, ending a speech); a runner in `runner_scenes`."""

    gag_scenes: tuple[int, ...]
    gap: int = 7
    gags: int = 1
    runner_scenes: tuple[int, ...] = ()


class ComedyTiming:
    name: ClassVar[str] = "ComedyTiming"
    phase: ClassVar[Phase] = "genre"
    job: ClassVar[str] = "Time set-up and punch; bring the running joke back, changed."
    priority: ClassVar[int] = 48
    directive: ClassVar[type[Directive]] = ComedyDirective

    def suits(self, bible: StoryBible) -> bool:
        return has_genre(bible, "comed", "sitcom", "farce", "satire")

    def brief(self, context: EngineContext) -> str:
        return "In which scenes a set-up is followed by a short punch that ends a speech, and in which two scenes the running joke comes back, each time a step further."

    def propose(self, context: EngineContext) -> ComedyDirective:
        scenes = [n for n, _ in numbered(context)]
        return ComedyDirective(
            engine=self.name, gag_scenes=tuple(n for n, _ in talked(context)), runner_scenes=tuple(dict.fromkeys((scenes[0], scenes[-1])))
        )

    def realised(self, episode: Episode, directive: Directive, context: EngineContext) -> Realisation:
        assert isinstance(directive, ComedyDirective)
        found, had = _punches(episode, directive), _punches(context.draft.episode, directive)
        runner = _runner(episode, context, directive.runner_scenes)
        return by_parts(
            self.name,
            [
                (1.0 if len(found) >= len(had) + 2 * directive.gags else 0.0, found, "a set-up with its punch"),
                (1.0 if runner else 0.0, runner, "a running joke in two scenes"),
            ],
        )


def _punches(episode: Episode, directive: ComedyDirective) -> list[Line]:
    found: list[Line] = []
    for scene in directive.gag_scenes:
        spoken = [(line, e) for line, e in lines(episode, scene) if isinstance(e, Dialogue)]
        for (line, first), (after, second) in zip(spoken, spoken[1:], strict=False):
            short = len(second.text.split()) <= directive.gap
            if short and len(first.text.split()) >= 8 and "?" not in second.text:
                found += [line, after]
    return found


def _runner(episode: Episode, context: EngineContext, scenes: tuple[int, ...]) -> list[Line]:
    """Lines of description about one thing that comes back in two of the scenes and is in no draft scene twice."""
    names = {w for c in context.bible.characters for w in content_words(c.name)}
    names |= {w for p in context.bible.locations for w in content_words(p.name)}
    names |= {w for motif in context.bible.motifs for w in content_words(motif)} | {stem(w) for w in PORTABLE}
    drafted: dict[str, set[int]] = {}
    for line, e in lines(context.draft.episode):
        if isinstance(e, Action):
            for word in content_words(e.text):
                drafted.setdefault(word, set()).add(line.scene)
    seen: dict[str, dict[int, Line]] = {}
    for line, e in lines(episode):
        if isinstance(e, Action) and line.scene in scenes:
            for word in content_words(e.text) - names:
                seen.setdefault(word, {}).setdefault(line.scene, line)
    for word in sorted(seen):
        if len(seen[word]) >= 2 and len(drafted.get(word, set())) < 2 and len(word) > 3:
            return list(seen[word].values())
    return []
