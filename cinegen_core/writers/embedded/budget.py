"""Which beats there is time for: the required ones, and the wishes that fit."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from cinegen_core.writers.embedded.notation import BeatScript
from cinegen_core.writers.embedded.orders import Orders
from cinegen_core.writers.embedded.scribe import Segment, wished
from cinegen_core.writers.embedded.tokens import Truths
from cinegen_core.writers.embedded.work import Work, few_presses, mean_words, words_of

FRAME_WORDS = 150.0
"""What places, people's first appearances, the cliff and small touches come to, about."""

MOST_IN_A_SCENE = 4
"""Optional beats in one scene: more of them, and a scene circles instead of going on."""

URGENT = 3.0
"""A wish worth this much is granted whether there is time or not: a repair names nothing else."""

WORTH: Mapping[str, float] = {
    "layer": 1.6, "deflect": 1.5, "cut": 1.5, "stake": 1.5, "quick": 1.5, "gesture": 1.6, "admit": 1.5, "gag": 1.5, "cue": 1.7,
    "pause": 1.3, "clue": 1.4, "herring": 1.3, "callback": 1.3, "convention": 1.2, "rule": 1.2, "runner": 1.2, "trade": 1.0,
    "motif": 0.9, "plant": 0.8, "payoff": 0.8,
}  # fmt: skip
"""Which optional beats get time first."""

GENRE_BEATS: Mapping[str, str] = {
    "gag": "comedy", "runner": "comedy", "cue": "horror", "gesture": "romance", "admit": "romance", "clue": "mystery", "herring": "mystery",
}  # fmt: skip


def suits_genres(beat: str, genres: frozenset[str]) -> bool:
    """Whether a kind of optional beat belongs in such a series: the genre engines' own kinds only in their genre."""
    wanted = GENRE_BEATS.get(beat)
    return wanted is None or wanted in genres


def select(
    work: Work,
    orders: Orders,
    truths: Truths,
    planted: set[str],
    all_segments: Sequence[Segment],
    slack: float,
) -> dict[int, list[BeatScript]]:
    """The beats to play by scene: the required ones, and those wishes for which there is time.

    Who gets time is settled as if everything were wished for: switching one engine off frees no time for others.
    """
    whole = {s.index: [b for b in s.beats if not b.optional] for s in all_segments}
    limit = orders.words * slack if orders.words is not None else float("inf")
    _make_room(whole, FRAME_WORDS + words_of(whole), limit)
    chosen = {index: few_presses(kept, orders.presses.get(index, 1)) for index, kept in whole.items()}
    timely = _timely(work, truths, all_segments, limit - FRAME_WORDS - words_of(whole))
    for segment in all_segments:
        wishes = [w for w in orders.wishes if w.scene == segment.index]
        granted = [
            beat
            for wish, beat in wished(segment.beats, wishes)
            if (segment.index, beat.number) in timely or wish.worth >= URGENT
        ]
        kept = chosen[segment.index]
        chosen[segment.index] = _with_pairs(planted, [b for b in segment.beats if b in kept or b in granted])
    return chosen


def _timely(work: Work, truths: Truths, all_segments: Sequence[Segment], room: float) -> set[tuple[int, int]]:
    """Optional beats (scene, line number) that fit into `room` words, each kind once before any kind twice."""
    possible = []
    for segment in all_segments:
        for beat in segment.beats:
            if not beat.optional or not suits_genres(beat.kind, work.genres):
                continue
            if truths.allow((segment.roles.token(t) for t in beat.needs), work.request.number):
                worth = WORTH.get(beat.kind, 1.0) + 0.6 * work.chance.roll("wish", beat.number, beat.kind)
                possible.append((worth, segment, beat))
        truths = truths.after(gives(work, segment))
    possible.sort(key=lambda item: (-item[0], item[1].index, item[2].number))
    granted: dict[tuple[int, str], int] = {}
    for everyone_first in (True, False):
        for _, segment, beat in possible:
            served = {kind for _, kind in granted}
            if sum(index == segment.index for index, _ in granted) >= MOST_IN_A_SCENE:
                continue
            if (segment.index, beat.kind) in granted or (everyone_first and beat.kind in served):
                continue
            size = mean_words(beat)
            if size <= room:
                granted[segment.index, beat.kind] = beat.number
                room -= size
    return {(index, number) for (index, _), number in granted.items()}


def _make_room(chosen: dict[int, list[BeatScript]], total: float, limit: float) -> None:
    """Takes out presses beyond the first, from the fullest scene on, until a quarter of the time is left for wishes;
    where that does not bring a script under its limit, a scene starts at once with what it is about."""

    def take_out(kind: str, least: int, share: float, total: float) -> float:
        while total > limit * share:
            spare = [
                (sum(mean_words(b) for b in kept), index, [b for b in kept if b.kind == kind][-1])
                for index, kept in chosen.items()
                if sum(b.kind == kind for b in kept) > least and any(b.kind == "raise" for b in kept)
            ]
            if not spare:
                break
            _, index, beat = max(spare, key=lambda item: (item[0], item[1]))
            chosen[index] = [b for b in chosen[index] if b is not beat]
            total -= mean_words(beat)
        return total

    total = take_out("press", 1, 0.75, total)
    take_out("open", 0, 0.97, total)


def gives(work: Work, segment: Segment) -> tuple[str, ...]:
    offset = 1 if work.plan.opening else 0
    index = segment.index - 1 - offset
    return work.plan.scenes[index].scene.gives if index >= 0 else ()


def _with_pairs(planted: set[str], beats: Sequence[BeatScript]) -> list[BeatScript]:
    """Drops a payoff whose plant is not played."""
    played = planted | {b.argument for b in beats if b.kind == "plant"}
    return [b for b in beats if b.kind != "payoff" or b.argument in played]
