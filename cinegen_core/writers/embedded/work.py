"""One episode's work: the request, the series, the plan, and how long it is going to be."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from cinegen_core.story import Dialogue, EpisodeRequest, Scene
from cinegen_core.writers.embedded.cards import Series
from cinegen_core.writers.embedded.chance import Chance
from cinegen_core.writers.embedded.memory import Memory
from cinegen_core.writers.embedded.notation import BeatScript, Script
from cinegen_core.writers.embedded.orders import Orders
from cinegen_core.writers.embedded.plan import Plan
from cinegen_core.writers.embedded.scribe import Segment

WORDS_PER_MINUTE = 205
"""A five-minute episode of this form runs to about 750 to 1,150 words of script (design of the embedded writer)."""

MOST_WORDS_PER_MINUTE = 226

LEAST_CUES_PER_MINUTE = 8


@dataclass(frozen=True)
class Work:
    """Everything that composing needs to know of one episode."""

    request: EpisodeRequest
    series: Series
    library: Script
    plan: Plan
    memory: Memory
    chance: Chance
    genres: frozenset[str]


def words_of(scenes: Mapping[int, Sequence[BeatScript]]) -> float:
    return sum(mean_words(b) for kept in scenes.values() for b in kept)


def few_presses(beats: Sequence[BeatScript], most: int) -> list[BeatScript]:
    presses = [b for b in beats if b.kind == "press"][:most]
    return [b for b in beats if b.kind != "press" or b in presses]


def mean_words(beat: BeatScript) -> float:
    return sum(sum(len(t.options[0].text.split()) for t in v) for v in beat.variants) / len(beat.variants)


def expected_words(plan: Plan) -> float:
    """About how long the required beats of a plan are, with the usual frame around them."""
    total = 110.0
    if plan.opening:
        total += sum(len(t.options[0].text.split()) for t in plan.opening.choice.script.lines)
    for planned in plan.scenes:
        total += 18 + sum(mean_words(b) for b in planned.scene.script.beats if not b.optional)
    return total


def expected_cues(plan: Plan) -> float:
    """About how many speeches a plan has for certain: its required beats, and of the presses the first."""
    total = 0.0
    if plan.opening:
        total += sum(t.spoken for t in plan.opening.choice.script.lines)
    for planned in plan.scenes:
        for beat in few_presses(planned.scene.script.beats, 1):
            if not beat.optional:
                total += sum(sum(t.spoken for t in v) for v in beat.variants) / len(beat.variants)
    return total


def segments(plan: Plan) -> list[Segment]:
    """The episode's scenes as the scribe sees them; the opening counts as scene 1 where there is one."""
    found = []
    if plan.opening:
        opening = plan.opening
        lines = opening.choice.script.lines
        beats = (
            (BeatScript("open", False, "", False, (), (lines,), opening.choice.script.number),)
            if lines
            else ()
        )
        found.append(
            Segment(
                1,
                beats,
                opening.ending.roles,
                opening.choice.people,
                opening.place,
                opening.time,
                False,
                opening.ending.fact,
            )
        )
    for planned in plan.scenes:
        scene = planned.scene
        found.append(
            Segment(
                len(found) + 1,
                scene.script.beats,
                scene.roles,
                scene.people,
                planned.place,
                planned.time,
                False,
                scene.fact,
            )
        )
    last = found[-1]
    found[-1] = Segment(
        last.index, last.beats, last.roles, last.people, last.place, last.time, True, last.fact
    )
    return found


def estimated_seconds(scene: Scene) -> float:
    """Running time of a scene by its words: speech at 2.7 words a second, description at 4.2, 0.35 s between cues."""
    spoken = sum(len(e.text.split()) for e in scene.elements if isinstance(e, Dialogue))
    cues = sum(isinstance(e, Dialogue) for e in scene.elements)
    return spoken / 2.7 + (scene.words - spoken) / 4.2 + 0.35 * cues


def with_seconds(scenes: Sequence[Scene], minutes: float, orders: Orders) -> list[Scene]:
    raw = [estimated_seconds(scene) for scene in scenes]
    if orders.words is not None:
        scale = minutes * 60 / sum(raw)
        scale = min(1.25, max(0.8, scale))
        raw = [value * scale for value in raw]
    return [
        scene.model_copy(update={"seconds": max(1, round(value))})
        for scene, value in zip(scenes, raw, strict=True)
    ]
