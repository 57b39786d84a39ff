"""From the engines' directives to the scribe's orders."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from cinegen_core.engines.base import Directive
from cinegen_core.engines.dialogue.dialogue import DialogueDirective
from cinegen_core.engines.dialogue.strategic_dialogue import SecretDirective
from cinegen_core.engines.format.five_minute_canvas import CanvasDirective
from cinegen_core.engines.format.genre_mastery import GenreDirective
from cinegen_core.engines.format.interactive_choice import ChoiceDirective
from cinegen_core.engines.format.tension_escalation import TensionDirective
from cinegen_core.engines.genre.comedy_timing import ComedyDirective
from cinegen_core.engines.genre.horror import HorrorDirective
from cinegen_core.engines.genre.mystery import MysteryDirective
from cinegen_core.engines.genre.romance_chemistry import RomanceDirective
from cinegen_core.engines.narrative.conflict_architecture import ConflictDirective
from cinegen_core.engines.narrative.episode_cohesion import SetupDirective
from cinegen_core.engines.narrative.fractal_narrative import MotifDirective
from cinegen_core.engines.narrative.hook_cliffhanger import HookDirective
from cinegen_core.engines.narrative.pacing_rhythm import PacingDirective
from cinegen_core.engines.narrative.serialized_continuity import ContinuityDirective
from cinegen_core.engines.reading import head_noun
from cinegen_core.engines.world.language import LanguageDirective
from cinegen_core.engines.world.living_world import LifeDirective
from cinegen_core.engines.world.world_building import PlaceDirective
from cinegen_core.story.words import content_words
from cinegen_core.writers.embedded.cards import Series
from cinegen_core.writers.embedded.notation import OPTIONAL
from cinegen_core.writers.embedded.orders import Orders, Touch, Wish
from cinegen_core.writers.embedded.work import WORDS_PER_MINUTE, Work, segments

ALL_PRESSES = 9


def motif_key(series: Series, name: str) -> str:
    """The card of a motif by the bible's name for it: the same noun, else the most words shared, else the same place in the list."""
    cards = series.cards.motifs
    noun, words = head_noun(name), content_words(name)
    for key, card in cards.items():
        if card.name == name or head_noun(card.name) == noun:
            return key
    shared = {
        key: len(words & (content_words(card.name) | content_words(key))) for key, card in cards.items()
    }
    best = max(shared, key=lambda key: shared[key], default="")
    if best and shared[best]:
        return best
    index = series.bible.motifs.index(name) if name in series.bible.motifs else 0
    return list(cards)[index % len(cards)] if cards else ""


def _wishes(directive: Directive, scenes: Sequence[int], series: Series) -> Iterator[Wish]:  # noqa: C901 - flat: a case per engine
    match directive:
        case MotifDirective():
            key = motif_key(series, directive.motif)
            for place in directive.placements:
                yield Wish(place.scene, "motif", 0.9, key, place.role == "inverted")
        case SetupDirective():
            for scene in scenes:
                yield Wish(scene, "plant", 0.8)
                yield Wish(scene, "payoff", 0.8)
        case ConflictDirective():
            for layer in directive.layers:
                yield Wish(layer.scene, "layer", 1.6)
        case ContinuityDirective():
            for scene in scenes:
                yield Wish(scene, "callback", 1.2)
        case PacingDirective():
            yield Wish(directive.fast, "quick", 1.5)
            yield Wish(directive.slow, "pause", 1.3)
        case DialogueDirective():
            for scene in scenes:
                yield Wish(scene, "cut", 1.6 if scene == directive.interruption else 1.0)
        case SecretDirective():
            for scene in directive.deflections:
                yield Wish(scene, "deflect", 1.5)
        case PlaceDirective() if directive.rule:
            for scene in scenes:
                yield Wish(scene, "rule", 1.2 if scene == directive.rule_scene else 0.9)
        case LanguageDirective():
            for scene in scenes:
                yield Wish(scene, "trade", 1.0 if scene == directive.scene else 0.7)
        case TensionDirective():
            for scene in directive.stake_scenes:
                yield Wish(scene, "stake", 1.55)
        case GenreDirective():
            for scene in directive.scenes:
                yield Wish(scene, "convention", 1.2)
        case ComedyDirective():
            for scene in directive.gag_scenes:
                yield Wish(scene, "gag", 1.5)
            for scene in directive.runner_scenes if directive.runner else ():
                yield Wish(scene, "runner", 1.2, directive.runner)
        case HorrorDirective():
            for scene in scenes:
                yield Wish(scene, "cue", 1.7)
        case RomanceDirective():
            for scene in directive.scenes:
                yield Wish(scene, "gesture", 1.6)
                yield Wish(scene, "admit", 1.5)
        case MysteryDirective():
            for scene in directive.scenes:
                yield Wish(scene, "clue", 1.4)
                yield Wish(scene, "herring", 1.3)
        case _:
            return


def _touches(directive: Directive) -> Iterator[Touch]:
    match directive:
        case SetupDirective():
            for setup in directive.setups:
                yield Touch("pair", setup.what, setup.plant, setup.payoff)
        case HorrorDirective():
            yield Touch("cue", directive.cue, directive.early, directive.late)
        case RomanceDirective() if len(directive.scenes) > 1:
            yield Touch("gesture", directive.gesture, directive.scenes[0], directive.scenes[-1])
        case _:
            return


def orders_from(directives: Sequence[Directive], work: Work, first: Sequence[Directive] = ()) -> Orders:
    """What the directives come to for the scribe. Those in `first` get their beats before all others.

    Where two directives ask the same of a scene the stronger wish stands; a directive of `forbid` takes its wishes away.
    """
    scenes = tuple(s.index for s in segments(work.plan))
    wishes: list[Wish] = []
    forbidden: set[tuple[int, str]] = set()
    for directive in directives:
        boost = 4.0 if directive in first else 0.0
        for wish in _wishes(directive, scenes, work.series):
            if directive.operation == "forbid":
                forbidden.add((wish.scene, wish.beat))
            else:
                wishes.append(Wish(wish.scene, wish.beat, wish.worth + boost, wish.argument, wish.inverted))
    by_type = {type(d): d for d in directives if d.operation != "forbid"}
    conflict, pacing = by_type.get(ConflictDirective), by_type.get(PacingDirective)
    language, tension = by_type.get(LanguageDirective), by_type.get(TensionDirective)
    life, place = by_type.get(LifeDirective), by_type.get(PlaceDirective)
    return Orders(
        wishes=tuple(w for w in wishes if (w.scene, w.beat) not in forbidden),
        hook=HookDirective in by_type,
        cliff=HookDirective in by_type,
        consequence=ContinuityDirective in by_type,
        anchored_choices=ChoiceDirective in by_type,
        voices=DialogueDirective in by_type,
        contractions=LanguageDirective in by_type,
        presses={layer.scene: ALL_PRESSES for layer in conflict.layers}
        if isinstance(conflict, ConflictDirective)
        else {},
        senses=place.scenes if isinstance(place, PlaceDirective) else (),
        background=(life.scene,) if isinstance(life, LifeDirective) else (),
        words=int(WORDS_PER_MINUTE * work.request.minutes) if CanvasDirective in by_type else None,
        rising=TensionDirective in by_type,
        conflict=ConflictDirective in by_type,
        stakes=frozenset(tension.stake_scenes) if isinstance(tension, TensionDirective) else frozenset(),
        twists=GenreDirective in by_type,
        evidence=MysteryDirective in by_type,
        dread=HorrorDirective in by_type,
        closeness=RomanceDirective in by_type,
        terms=frozenset(language.terms) if isinstance(language, LanguageDirective) else frozenset(),
        fast=pacing.fast if isinstance(pacing, PacingDirective) else None,
        slow=pacing.slow if isinstance(pacing, PacingDirective) else None,
        touches=tuple(touch for d in by_type.values() for touch in _touches(d)),
    )


def everything(work: Work) -> Orders:
    """Orders as if every engine asked for everything everywhere: for reading content while it is written."""
    parts = segments(work.plan)
    wishes = [Wish(s.index, beat, 1.0) for s in parts for beat in OPTIONAL]
    motif = next(iter(work.series.cards.motifs), "")
    wishes.append(Wish(parts[0].index, "motif", 1.2, motif))
    return Orders(
        wishes=tuple(wishes), hook=True, cliff=True, consequence=True, anchored_choices=True, voices=True, contractions=True,
        presses={s.index: ALL_PRESSES for s in parts}, senses=tuple(s.index for s in parts), background=(parts[-1].index,),
        words=int(WORDS_PER_MINUTE * work.request.minutes), rising=True,
    )  # fmt: skip
