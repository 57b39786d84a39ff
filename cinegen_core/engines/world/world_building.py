"""WorldBuilding: a place one could film and hear, and a rule of it that costs somebody."""

from __future__ import annotations

import re
from typing import ClassVar

from cinegen_core.engines.base import Directive, EngineContext, Line, Phase, Realisation
from cinegen_core.engines.common import by_parts, numbered
from cinegen_core.engines.reading import lines
from cinegen_core.story import Action, Episode, StoryBible
from cinegen_core.story.words import content_words

SOUND = re.compile(
    r"\b(sounds?|hears?|heard|hums?|humming|ticks?|ticking|rings?|ringing|creaks?|creaking|knocks?|knocking|drips?|dripping|silen\w+|quiet\w*|radio|bells?|"
    r"whistl\w+|voices?|footsteps?|clicks?|rattl\w+|buzz\w*|slams?|slap\w*|laugh\w*|cough\w*|bark\w*|engine|music|clock|roars?|thud\w*|squeal\w*|squeak\w*|"
    r"crack\w*|rumbl\w+|gulls?|hiss\w*|clatter\w*|chime\w*|groan\w*|murmur\w*|echo\w*|sing\w*|bang\w*|shout\w*|calls?|pipes?|splash\w*|scrap\w+|settles?|"
    r"breath\w*|beep\w*|pump\w*|thump\w*|tolls?|strikes?|snaps?|drum\w*)\b",
    re.IGNORECASE,
)
SMELL = re.compile(
    r"\b(smell\w*|scent\w*|reek\w*|stink\w*|odou?r|stench|perfume|fragran\w+|whiff)\b", re.IGNORECASE
)


class PlaceDirective(Directive):
    """`senses`: which of sound and smell must be in the scene's description. `rule` is shown at work in `rule_scene`."""

    scenes: tuple[int, ...]
    senses: tuple[str, ...] = ("sound",)
    rule: str = ""
    rule_scene: int | None = None


class WorldBuilding:
    name: ClassVar[str] = "WorldBuilding"
    phase: ClassVar[Phase] = "world"
    job: ClassVar[str] = "Make the place concrete: how it sounds and smells, and what its rules cost."
    priority: ClassVar[int] = 45
    directive: ClassVar[type[Directive]] = PlaceDirective

    def suits(self, bible: StoryBible) -> bool:
        return True

    def brief(self, context: EngineContext) -> str:
        rules = "; ".join(context.bible.world.rules) or "none given"
        return f"Rules of this world: {rules}. For each scene which senses the description must serve, and one rule that is seen to cost somebody something."

    def propose(self, context: EngineContext) -> PlaceDirective:
        rules = context.bible.world.rules
        scenes = tuple(n for n, _ in numbered(context))
        rule = rules[(context.request.number - 1) % len(rules)] if rules else ""
        return PlaceDirective(
            engine=self.name,
            scenes=scenes,
            senses=("sound", "smell"),
            rule=rule,
            rule_scene=scenes[-1] if rule else None,
        )

    def realised(self, episode: Episode, directive: Directive, context: EngineContext) -> Realisation:
        assert isinstance(directive, PlaceDirective)
        parts: list[tuple[float, list[Line], str]] = []
        described = [(line, e) for n in directive.scenes for line, e in _opening(episode, n)]
        if "sound" in directive.senses:
            heard = {
                n: [line for line, e in described if line.scene == n and SOUND.search(e.text)]
                for n in directive.scenes
            }
            share = sum(bool(v) for v in heard.values()) / max(1, len(heard))
            parts.append(
                (share, [line for v in heard.values() for line in v[:1]], "what each place sounds like")
            )
        if "smell" in directive.senses:
            smelt = [line for line, e in described if SMELL.search(e.text)]
            parts.append((1.0 if smelt else 0.0, smelt, "what some place smells of"))
        if directive.rule:
            wanted = content_words(directive.rule)
            had = _rule_lines(context.draft.episode, wanted)
            found = _rule_lines(episode, wanted)
            parts.append(
                (1.0 if len(found) > len(had) else 0.0, found, f"the rule at work: {directive.rule}")
            )
        return by_parts(self.name, parts)


def _opening(episode: Episode, scene: int) -> list[tuple[Line, Action]]:
    """What a scene shows before anybody speaks, four lines at most."""
    found: list[tuple[Line, Action]] = []
    for line, e in lines(episode, scene):
        if not isinstance(e, Action) or len(found) == 4:
            break
        found.append((line, e))
    return found


def _rule_lines(episode: Episode, wanted: frozenset[str]) -> list[Line]:
    need = min(2, len(wanted))
    return [line for line, e in lines(episode) if need and len(content_words(e.text) & wanted) >= need]
