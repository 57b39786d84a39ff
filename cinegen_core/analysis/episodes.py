"""Writing episodes for measurement: one after the other, any engine off, nothing stored."""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Sequence
from dataclasses import dataclass

from cinegen_core.engines import (
    Directive,
    Engine,
    EngineContext,
    active_engines,
    all_engines,
    by_priority,
    realisation,
)
from cinegen_core.story import Draft, Episode, EpisodeRequest, Policy, StoryBible
from cinegen_core.writers.base import Desk, Writer


@dataclass(frozen=True)
class Take:
    """One episode with what it was made from."""

    request: EpisodeRequest
    draft: Draft
    directives: tuple[Directive, ...]
    episode: Episode
    engines: tuple[Engine, ...]

    @property
    def context(self) -> EngineContext:
        return EngineContext(request=self.request, draft=self.draft)

    def realised(self, engine: str, episode: Episode | None = None) -> float:
        """How far an engine's directive is in this episode, or in another one written from the same draft."""
        actor = next(e for e in self.engines if e.name == engine)
        directive = next(d for d in self.directives if d.engine == engine)
        return realisation(actor, directive, episode or self.episode, self.context).score


def take(writer: Writer, request: EpisodeRequest, policy: Policy | None = None) -> Take:
    """An episode with all engines that the policy allows."""
    policy = policy or Policy()
    draft = asyncio.run(writer.draft(request, policy, Desk()))
    context = EngineContext(request=request, draft=draft)
    engines = active_engines(all_engines(), request.bible, policy)
    directives = by_priority([engine.propose(context) for engine in engines], engines)
    episode = asyncio.run(writer.synthesise(request, policy, draft, directives, Desk()))
    return Take(request, draft, directives, episode, engines)


def without(writer: Writer, whole: Take, off: Collection[str], policy: Policy | None = None) -> Episode:
    """The same episode with some engines' directives left out; everything else is kept, and only the writing done again."""
    kept = [d for d in whole.directives if d.engine not in off]
    return asyncio.run(writer.synthesise(whole.request, policy or Policy(), whole.draft, kept, Desk()))


def season(
    writer: Writer,
    bible: StoryBible,
    *,
    seed: int,
    episodes: int,
    choices: str = "",
    off: Collection[str] = (),
) -> list[Take]:
    """Episodes in a row. `choices` has a letter per episode; where it ends, the canonical one is taken."""
    takes: list[Take] = []
    state, choice = None, None
    for number in range(1, episodes + 1):
        request = EpisodeRequest(bible=bible, number=number, state=state, choice=choice, seed=seed)
        whole = take(writer, request)
        if off:
            whole = Take(request, whole.draft, whole.directives, without(writer, whole, off), whole.engines)
        takes.append(whole)
        state = whole.episode.state
        choice = choices[number - 1] if number <= len(choices) else None
    return takes


def changed_lines(left: Episode, right: Episode) -> float:
    """Share of lines (choices included) that the two do not have in common, 0..1."""
    a, b = _lines(left), _lines(right)
    return 1 - len(set(a) & set(b)) / max(len(a), len(b))


def _lines(episode: Episode) -> Sequence[str]:
    return [
        *(e.text for scene in episode.scenes for e in scene.elements),
        *(f"{c.label} {c.consequence}" for c in episode.choices),
    ]
