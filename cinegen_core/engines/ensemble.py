"""The nineteen together: who is active, what they propose, which of two that disagree holds."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from cinegen_core.engines.base import PHASES, Directive, Engine, EngineContext, Realisation
from cinegen_core.engines.dialogue.dialogue import Dialogue
from cinegen_core.engines.dialogue.strategic_dialogue import StrategicDialogue
from cinegen_core.engines.format.five_minute_canvas import FiveMinuteCanvas
from cinegen_core.engines.format.genre_mastery import GenreMastery
from cinegen_core.engines.format.interactive_choice import InteractiveChoice
from cinegen_core.engines.format.tension_escalation import TensionEscalation
from cinegen_core.engines.genre.comedy_timing import ComedyTiming
from cinegen_core.engines.genre.horror import Horror
from cinegen_core.engines.genre.mystery import Mystery
from cinegen_core.engines.genre.romance_chemistry import RomanceChemistry
from cinegen_core.engines.narrative.conflict_architecture import ConflictArchitecture
from cinegen_core.engines.narrative.episode_cohesion import EpisodeCohesion
from cinegen_core.engines.narrative.fractal_narrative import FractalNarrative
from cinegen_core.engines.narrative.hook_cliffhanger import HookCliffhanger
from cinegen_core.engines.narrative.pacing_rhythm import PacingRhythm
from cinegen_core.engines.narrative.serialized_continuity import SerializedContinuity
from cinegen_core.engines.world.language import Language
from cinegen_core.engines.world.living_world import LivingWorld
from cinegen_core.engines.world.world_building import WorldBuilding
from cinegen_core.story import Episode, Policy, StoryBible


def all_engines() -> tuple[Engine, ...]:
    """The nineteen, by phase."""
    return (
        FractalNarrative(), EpisodeCohesion(), ConflictArchitecture(), HookCliffhanger(), SerializedContinuity(), PacingRhythm(),
        Dialogue(), StrategicDialogue(),
        WorldBuilding(), LivingWorld(), Language(),
        FiveMinuteCanvas(), InteractiveChoice(), TensionEscalation(), GenreMastery(),
        ComedyTiming(), Horror(), RomanceChemistry(), Mystery(),
    )  # fmt: skip


def active_engines(engines: Iterable[Engine], bible: StoryBible, policy: Policy) -> tuple[Engine, ...]:
    """Those that the policy allows and that have work in this series."""
    return tuple(
        engine
        for engine in engines
        if (policy.engines is None or engine.name in policy.engines)
        and (policy.genre_engines or engine.phase != "genre")
        and engine.suits(bible)
    )


def by_priority(directives: Iterable[Directive], engines: Iterable[Engine]) -> tuple[Directive, ...]:
    """Directives with the strongest first: where two disagree, the earlier one holds."""
    rank = {engine.name: engine.priority for engine in engines}
    return tuple(sorted(directives, key=lambda d: (-rank.get(d.engine, 0), d.engine)))


def check(
    engines: Sequence[Engine], directives: Sequence[Directive], episode: Episode, context: EngineContext
) -> tuple[Realisation, ...]:
    """What became of each directive, in the order of the directives."""
    by_name = {engine.name: engine for engine in engines}
    return tuple(realisation(by_name[d.engine], d, episode, context) for d in directives)


def realisation(
    engine: Engine, directive: Directive, episode: Episode, context: EngineContext
) -> Realisation:
    """What one engine sees of its directive; lines that only repeat the directive's own words do not count."""
    return engine.realised(without_copies(episode, directive), directive, context)


def without_copies(episode: Episode, directive: Directive) -> Episode:
    """The episode with empty lines where a line holds a sentence of the directive (five words or more), or its JSON."""
    sentences = [s for s in _strings(directive.model_dump(mode="json")) if len(s.split()) >= 5]

    def copied(text: str) -> bool:
        folded = text.casefold()
        return '":' in text or any(s.casefold() in folded for s in sentences)

    if not any(copied(e.text) for scene in episode.scenes for e in scene.elements):
        return episode
    scenes = tuple(
        scene.model_copy(
            update={
                "elements": tuple(
                    e.model_copy(update={"text": ""}) if copied(e.text) else e for e in scene.elements
                )
            }
        )
        for scene in episode.scenes
    )
    return episode.model_copy(update={"scenes": scenes})


def _strings(value: object) -> list[str]:
    if isinstance(value, str):
        return [value]
    if isinstance(value, dict):
        return [s for part in value.values() for s in _strings(part)]
    if isinstance(value, list):
        return [s for part in value for s in _strings(part)]
    return []


__all__ = ["PHASES", "active_engines", "all_engines", "by_priority", "check", "realisation", "without_copies"]
