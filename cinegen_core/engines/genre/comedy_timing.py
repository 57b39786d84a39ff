"""ComedyTiming: set-up, beat, punch; and a joke that keeps coming back."""

from __future__ import annotations

import itertools
from typing import ClassVar

from cinegen_core.engines.base import Directive, EngineContext, Line, Phase, Realisation
from cinegen_core.engines.common import by_parts, has_genre, numbered, talked
from cinegen_core.engines.reading import lines, mentions
from cinegen_core.story import Action, Dialogue, Episode, StoryBible
from cinegen_core.story.words import content_words, stem


class ComedyDirective(Directive):
    """`gags` more set-up-and-punch pairs than the draft (the punch at most `gap` words, ending a speech); the running joke about
    `runner` in `runner_scenes` (none where `runner` is empty)."""

    gag_scenes: tuple[int, ...]
    gap: int = 7
    gags: int = 4
    runner: str
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
        return "In which scenes a set-up is followed by a short punch that ends a speech; what the running joke is about, and in which two scenes it comes back, each time a step further."

    def propose(self, context: EngineContext) -> ComedyDirective:
        scenes = [n for n, _ in numbered(context)]
        return ComedyDirective(
            engine=self.name,
            gag_scenes=tuple(n for n, _ in talked(context)),
            runner=own_runner(context.bible),
            runner_scenes=tuple(dict.fromkeys((scenes[0], scenes[-1]))),
        )

    def realised(self, episode: Episode, directive: Directive, context: EngineContext) -> Realisation:
        assert isinstance(directive, ComedyDirective)
        found, had = _punches(episode, directive), _punches(context.draft.episode, directive)
        noun = stem(directive.runner)
        runner = [
            line
            for n in directive.runner_scenes
            for line, e in lines(episode, n)
            if isinstance(e, Action) and mentions(e.text, noun)
        ]
        more = max(0, len(found) - len(had)) / 2
        parts: list[tuple[float, list[Line], str]] = [
            (min(1.0, more / directive.gags), found, f"{directive.gags} more punches")
        ]
        if directive.runner:
            often = len({line.scene for line in runner}) >= min(2, len(directive.runner_scenes))
            parts.append((1.0 if often else 0.0, runner, f"the running joke about the {directive.runner}"))
        return by_parts(self.name, parts)


def own_runner(bible: StoryBible) -> str:
    """What the series' own running joke is about: the word that most of its steps share; "" where it has none."""
    steps = (bible.cards or {}).get("runner") or ()
    counts: dict[str, int] = {}
    for step in steps:
        for word in content_words(str(step)):
            counts[word] = counts.get(word, 0) + 1
    best = max(sorted(counts), key=lambda word: counts[word], default="")
    return best if best and counts[best] >= 0.5 * len(steps) else ""


def _punches(episode: Episode, directive: ComedyDirective) -> list[Line]:
    found: list[Line] = []
    for scene in directive.gag_scenes:
        spoken = [(line, e) for line, e in lines(episode, scene) if isinstance(e, Dialogue)]
        for (line, first), (after, second) in itertools.pairwise(spoken):
            short = len(second.text.split()) <= directive.gap
            if short and len(first.text.split()) >= 8 and "?" not in second.text:
                found += [line, after]
    return found
