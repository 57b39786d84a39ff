"""One scene of an episode written anew, on the plan that the episode was written to.

What happens in a scene, and so what later scenes and choices lean on, stands in its plan; how it is said is a choice
among figures and alternatives. Writing anew is choosing again, with everything that the script says counted as said.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from math import log2

from cinegen_core.engines.base import Directive
from cinegen_core.story import (
    Action,
    Dialogue,
    Episode,
    EpisodeRequest,
    Policy,
    Scene,
    StoryState,
    Transition,
)
from cinegen_core.story.words import content_words
from cinegen_core.writers.embedded.budget import gives, select
from cinegen_core.writers.embedded.chance import Chance
from cinegen_core.writers.embedded.closing import cliff
from cinegen_core.writers.embedded.compose import Composer
from cinegen_core.writers.embedded.directives import orders_from
from cinegen_core.writers.embedded.grammar import expand_contractions, tidy
from cinegen_core.writers.embedded.memory import KEY, Memory, keys_of, sentences_of
from cinegen_core.writers.embedded.orders import Orders
from cinegen_core.writers.embedded.scribe import Scribe, Segment, flatten
from cinegen_core.writers.embedded.setting import Setting
from cinegen_core.writers.embedded.speech import OpenSlot, Stage
from cinegen_core.writers.embedded.work import Work, segments
from cinegen_core.writers.embedded.writer import EmbeddedWriter

Elements = tuple[Action | Dialogue | Transition, ...]

DRAWS = 6
"""Ways of writing the scene that are tried; the best of them is taken."""

MOST_SHARED = 0.75
"""A scene that shares more of its sentences than this with the one it replaces is not another scene."""

HEEDED = 0.5
"""What a word of the note weighs beside a whole scene's worth of new sentences."""

LENGTH = 0.5
"""The same for a scene that came out twice as long as the one it replaces, or half: the episode's running time stays."""


class CannotRewriteError(ValueError):
    """This scene cannot be written anew by rules; the message says why, and what to do instead."""


@dataclass(frozen=True)
class Rewritten:
    """The scene's new elements, and the state with what is now said in it. `heeded` are the words of the note that it speaks of."""

    elements: Elements
    state: StoryState
    heeded: frozenset[str]


def rewrite(
    writer: EmbeddedWriter,
    request: EpisodeRequest,
    policy: Policy,
    directives: Sequence[Directive],
    episode: Episode,
    scene: int,
    *,
    seed: int,
    direction: str = "",
    repaired: Sequence[Directive] = (),
) -> Rewritten:
    """Scene `scene` (from 1) of an episode that this writer wrote for `request` and `directives`, in other words.

    The other scenes, the ending and the choices stay; no sentence of them is said again. The same arguments give the same
    scene. `direction` is heeded as far as the content knows its words. Raises `CannotRewriteError`.
    """
    work = writer.work(request, policy)
    parts = segments(work.plan)
    orders = orders_from(directives, work, first=repaired)
    _same_plan(work, parts, episode)
    others = _said(e for i, s in enumerate(episode.scenes, 1) if i != scene for e in s.elements)
    old = episode.scenes[scene - 1].elements
    keys = _said(old)
    cast = frozenset(work.series.people[key].cue for key in parts[scene - 1].people)
    wanted = content_words(direction)
    best: tuple[float, Elements, frozenset[str]] | None = None
    for draw in range(DRAWS):
        chance = Chance(f"{work.chance.seed}|scene {scene} again|{seed}|{draw}")
        new = _written(work, orders, parts, scene, old, keys | others, chance)
        said = _said(new)
        shared = len(said & keys) / len(said) if said else 1.0
        if said & others or shared > MOST_SHARED or not _speaks_alike(old, new, cast):
            continue
        heeded = wanted & content_words(" ".join(e.text for e in new))
        worth = HEEDED * len(heeded) - shared - LENGTH * abs(log2(_words(new) / max(1, _words(old))))
        if best is None or worth > best[0]:
            best = (worth, new, heeded)
    if best is None:
        raise CannotRewriteError(
            f"There is no second way of writing scene {scene}: what it has to show can be said in one way only. "
            "Edit its lines by hand, or write the whole episode again."
        )
    return Rewritten(best[1], _remembering(episode.state, best[1]), best[2])


def _same_plan(work: Work, parts: Sequence[Segment], episode: Episode) -> None:
    places = work.series.cards.places
    planned = [f"{places[part.place].slug} - {part.time.upper()}" for part in parts]
    if planned != [scene.slugline for scene in episode.scenes]:
        raise CannotRewriteError(
            "This episode was not written to the plan that its request gives now: by another version of the studio, or "
            "for a story that has changed since. Edit its lines by hand, or write the whole episode again."
        )


def _written(
    work: Work,
    orders: Orders,
    parts: Sequence[Segment],
    scene: int,
    old: Elements,
    said: frozenset[str],
    chance: Chance,
) -> Elements:
    """One way of writing the scene, after the scenes before it have been played as they were."""
    composer = Composer(work, orders)
    chosen = select(work, orders, composer.truths, composer.ledger.planted, parts, composer.slack)
    granted = frozenset(beat.kind for kept in chosen.values() for beat in kept if beat.optional)
    composer.setting = Setting(work, orders, composer.scribe, granted)
    for part in parts:
        if part.index == scene:
            composer.ledger.seen = _met_outside(work, old)
            composer.ledger.said |= said
            composer.scribe.chance = chance
        hook = composer.setting.hook(part, composer.truths) if part.index == 1 else []
        written = composer._scene(part, chosen[part.index], hook)
        if part.index == scene:
            if not part.last:
                return written.elements
            ending = _ending(work, orders, composer.scribe, part, old, written.elements)
            return (*_before(written.elements, ending), *ending)
        composer.truths = composer.truths.after(gives(work, part))
    raise AssertionError("the scene is one of the plan's")


def _met_outside(work: Work, old: Elements) -> list[str]:
    """Whom a viewer meets in other scenes, or has met before: everybody who is not introduced in this one."""
    shown = {element.text for element in old}
    return [
        key
        for key, person in work.series.people.items()
        if not any(text.startswith(f"{person.full.upper()}: ") for text in shown)
    ]


def _ending(
    work: Work, orders: Orders, scribe: Scribe, part: Segment, old: Elements, body: Elements
) -> Elements:
    """The cliff as it stands at the end of the old scene, and a look at what the choices are about where `body` has none."""
    ending = work.plan.ending
    shown = Scene(slugline="", seconds=0, elements=body)
    fresh = cliff(work, orders, scribe, part, shown)
    lines = len(ending.script.lines) if orders.cliff else 0
    known = _every_way(work, part) if lines else frozenset()
    start = next((i for i, element in enumerate(old) if element.text in known), len(old))
    kept = old[start:] if start < len(old) else tuple(fresh[:lines])
    while start and _introduces(work, old[start - 1]):
        start -= 1
        kept = (old[start], *kept)
    seen = content_words(" ".join(element.text for element in kept))
    images = [s for image in fresh[lines:] for s in sentences_of(image.text) if not content_words(s) <= seen]
    return (*kept, *([Action(text=" ".join(images))] if images else []))


def _every_way(work: Work, part: Segment) -> frozenset[str]:
    """All texts that a line of the cliff may have come out as."""
    ending = work.plan.ending
    found: set[str] = set()
    for turn in ending.script.lines:
        speaker = ending.roles.person(turn.who) if turn.who else ""
        listener = next((p for p in map(ending.roles.person, ending.people) if p != speaker), "")
        stage = Stage(work.series, ending.roles, part.place, speaker, listener)
        for option in turn.options:
            try:
                text = stage.fill(option.text)
            except OpenSlot:
                continue
            found |= {text, flatten(text), tidy(expand_contractions(text))}
    return frozenset(found)


def _introduces(work: Work, element: Action | Dialogue | Transition) -> bool:
    return isinstance(element, Action) and any(
        element.text.startswith(f"{person.full.upper()}: ") for person in work.series.people.values()
    )


def _before(elements: Elements, ending: Elements) -> Elements:
    """The scene without what would make one person speak twice running at the seam."""
    first = next((e.speaker for e in ending if isinstance(e, Dialogue)), None)
    last = next((i for i in range(len(elements) - 1, -1, -1) if isinstance(elements[i], Dialogue)), None)
    if last is None or first is None:
        return elements
    speech = elements[last]
    assert isinstance(speech, Dialogue)
    return elements[:last] + elements[last + 1 :] if speech.speaker == first else elements


def _speaks_alike(old: Elements, new: Elements, cast: frozenset[str]) -> bool:
    """Whether those of the scene's cast who spoke still do, and nobody who did not. Somebody may have put in others by hand."""
    before, after = _speakers(old), _speakers(new)
    return before & cast <= after <= before | cast


def _words(elements: Elements) -> int:
    return sum(len(element.text.split()) for element in elements)


def _speakers(elements: Elements) -> frozenset[str]:
    return frozenset(e.speaker for e in elements if isinstance(e, Dialogue))


def _said(elements: Iterable[Action | Dialogue | Transition]) -> frozenset[str]:
    return frozenset(key for element in elements for key in keys_of(element.text))


def _remembering(state: StoryState, elements: Elements) -> StoryState:
    """The state, with the new sentences among those that later episodes do not say again."""
    notes = state.memory.get(KEY)
    if not isinstance(notes, dict):
        return state
    memory = Memory.model_validate(notes)
    memory = memory.model_copy(update={"said": tuple(sorted({*memory.said, *_said(elements)}))})
    return state.model_copy(update={"memory": {**state.memory, KEY: memory.model_dump(mode="json")}})
