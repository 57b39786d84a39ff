"""How good the embedded writer is, in figures: every row of its promise that a program can measure."""

from __future__ import annotations

import hashlib
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from cinegen_core.analysis.episodes import Take, changed_lines, season, take, without
from cinegen_core.analysis.prose import (
    adjacent_cues,
    cue_count,
    grammar_faults,
    mean_speech,
    overlap,
    pairs,
    repeated_share,
    repeated_speeches,
    speaker_identification,
    speeches,
    unfilmable,
)
from cinegen_core.analysis.replay import contradictions
from cinegen_core.story import Dialogue, Episode, EpisodeRequest, StoryBible
from cinegen_core.writers.base import Writer


@dataclass(frozen=True)
class Row:
    """One promise: what was measured, the target in words, and whether it is met (None: unmeasured)."""

    name: str
    target: str
    value: str
    met: bool | None
    detail: tuple[str, ...] = ()


@dataclass
class Material:
    """Episodes to measure, written once: for each bible seasons of several seeds."""

    writer: Writer
    bibles: Mapping[str, StoryBible]
    seasons: dict[str, list[list[Take]]] = field(default_factory=dict)
    seconds: list[float] = field(default_factory=list)
    crashes: list[str] = field(default_factory=list)

    def gather(self, *, seeds: int, episodes: int, clock: Callable[[], float] = time.perf_counter) -> None:
        """Writes `seeds` seasons of `episodes` for each bible; the choice taken goes round a, b, c."""
        for name, bible in self.bibles.items():
            for seed in range(seeds):
                turns = "abc"[seed % 3 :] + "abc"[: seed % 3]
                letters = (turns * episodes)[: max(0, episodes - 1)]
                started = clock()
                try:
                    takes = season(self.writer, bible, seed=seed, episodes=episodes, choices=letters)
                except Exception as problem:  # noqa: BLE001 - the crash itself is what is counted
                    self.crashes.append(f"{name}, seed {seed}: {type(problem).__name__}: {problem}")
                    continue
                self.seconds += [(clock() - started) / episodes] * episodes
                self.seasons.setdefault(name, []).append(takes)

    def episodes(self) -> list[Episode]:
        return [t.episode for found in self.seasons.values() for takes in found for t in takes]


def soundness(material: Material) -> list[Row]:
    episodes = material.episodes()
    faults = [f"{e.series} {e.number}: {f}" for e in episodes for f in grammar_faults(e)]
    wrong = [
        f"{name} {c.episode}: {c.what}"
        for name, found in material.seasons.items()
        for takes in found
        for c in contradictions(material.bibles[name], [t.episode for t in takes])
    ]
    count = len(material.crashes)
    return [
        Row("crashes", "0", f"{count} in {len(episodes) + count}", not count, tuple(material.crashes[:5])),
        Row("open slots and grammar-net hits", "0", str(len(faults)), not faults, tuple(faults[:8])),
        Row("contradictions found by replay", "0", str(len(wrong)), not wrong, tuple(wrong[:8])),
        Row(
            "time per episode, mean / worst",
            "<= 150 ms / <= 1 s",
            f"{1000 * statistics.mean(material.seconds):.0f} ms / {1000 * max(material.seconds):.0f} ms",
            statistics.mean(material.seconds) <= 0.15 and max(material.seconds) <= 1,
        ),
    ]


def shape(material: Material) -> list[Row]:
    episodes = material.episodes()
    words = [e.words for e in episodes]
    scenes = [len(e.scenes) for e in episodes]
    cues = [cue_count(e) for e in episodes]
    speech = [mean_speech([e]) for e in episodes]
    adjacent = sum(adjacent_cues(e) for e in episodes)
    unseen = [len(unfilmable(e)) for e in episodes]
    inside = sum(750 <= w <= 1150 for w in words) / len(words)
    return [
        Row(
            "words of a five-minute episode",
            "750-1,150",
            f"{min(words)}-{max(words)} ({inside:.1%} inside)",
            inside == 1,
        ),
        Row("scenes", "2-4", f"{min(scenes)}-{max(scenes)}", min(scenes) >= 2 and max(scenes) <= 4),
        Row("cues", ">= 40", f"least {min(cues)}, mean {statistics.mean(cues):.0f}", min(cues) >= 40),
        Row(
            "words per speech, mean of an episode",
            "5-10",
            f"{min(speech):.1f}-{max(speech):.1f}, mean {statistics.mean(speech):.1f}",
            min(speech) >= 5 and max(speech) <= 10,
        ),
        Row("adjacent cues by one speaker", "0", str(adjacent), not adjacent),
        Row(
            "action lines that cannot be filmed, per episode",
            "<= 3",
            f"most {max(unseen)}, mean {statistics.mean(unseen):.2f}",
            max(unseen) <= 3,
        ),
    ]


def repetition(seasons: Mapping[str, Sequence[Sequence[Take]]]) -> list[Row]:
    """Within whole seasons (twelve episodes)."""
    rows = []
    twice = {
        n: sum(len(repeated_speeches([t.episode for t in takes])) for takes in found)
        for n, found in seasons.items()
    }
    share = {
        n: statistics.mean(repeated_share([t.episode for t in takes]) for takes in found)
        for n, found in seasons.items()
    }
    rows.append(
        Row(
            "spoken sentences said twice in a season",
            "0",
            ", ".join(f"{n} {v}" for n, v in twice.items()),
            not any(twice.values()),
        )
    )
    rows.append(
        Row(
            "sentences repeated in a season",
            "<= 5 %",
            ", ".join(f"{n} {v:.1%}" for n, v in share.items()),
            max(share.values()) <= 0.05,
        )
    )
    return rows


def variety(firsts: Mapping[str, Sequence[Episode]]) -> list[Row]:
    """Between first episodes: seeds of one bible, and different bibles."""
    means, most = {}, {}
    for name, episodes in firsts.items():
        found = [overlap(a, b) for a, b in pairs(list(episodes))]
        if found:
            means[name], most[name] = statistics.mean(found), max(found)
    names = list(firsts)
    across = [
        overlap(a, b)
        for i, left in enumerate(names)
        for right in names[i + 1 :]
        for a, b in zip(firsts[left], firsts[right], strict=False)
    ]
    return [
        Row(
            "two seeds, episode 1: shared sentences, mean",
            "<= .10",
            ", ".join(f"{n} {v:.2f}" for n, v in means.items()),
            max(means.values()) <= 0.10,
        ),
        Row(
            "two seeds, episode 1: shared sentences, most",
            "<= .25",
            ", ".join(f"{n} {v:.2f}" for n, v in most.items()),
            max(most.values()) <= 0.25,
        ),
        Row(
            "two bibles: shared sentences, mean",
            "<= .06",
            f"{statistics.mean(across):.3f}",
            statistics.mean(across) <= 0.06,
        ),
    ]


def voices(writer: Writer, seasons: Mapping[str, Sequence[Sequence[Take]]]) -> Row:
    on, off = [], []
    for found in seasons.values():
        for takes in found:
            right, base = speaker_identification(speeches(t.episode for t in takes))
            on.append(right - base)
            flat = [without(writer, t, {"Dialogue"}) for t in takes]
            right, base = speaker_identification(speeches(flat))
            off.append(right - base)
    with_, without_ = statistics.mean(on), statistics.mean(off)
    return Row(
        "speaker identification above the majority, Dialogue on / off",
        ">= +.20 / <= +.05",
        f"{with_:+.2f} / {without_:+.2f}",
        with_ >= 0.2 and without_ <= 0.05,
    )


@dataclass(frozen=True)
class Lift:
    engine: str
    on: float
    off: float
    changed: float
    count: int

    @property
    def lift(self) -> float:
        return self.on - self.off


def lifts(writer: Writer, takes: Sequence[Take]) -> list[Lift]:
    """For each engine at work in these episodes: how far its directive is realised with it on and off, and what share of lines changes."""
    found: dict[str, list[tuple[float, float, float]]] = {}
    for whole in takes:
        for engine in whole.engines:
            if engine.name == "SerializedContinuity" and whole.request.state is None:
                continue  # there is nothing to continue yet
            off = without(writer, whole, {engine.name})
            found.setdefault(engine.name, []).append(
                (
                    whole.realised(engine.name),
                    whole.realised(engine.name, off),
                    changed_lines(whole.episode, off),
                )
            )
    return [
        Lift(
            name,
            statistics.mean(on for on, _, _ in rows),
            statistics.mean(off for _, off, _ in rows),
            statistics.mean(change for _, _, change in rows),
            len(rows),
        )
        for name, rows in found.items()
    ]


def consequences(writer: Writer, seasons: Mapping[str, Sequence[Sequence[Take]]]) -> list[Row]:
    """Whether the choice is felt in the next episode, and whether the three choices open it differently."""
    felt, different = [], []
    for found in seasons.values():
        for takes in found:
            for whole in takes[1:]:
                felt.append(whole.realised("SerializedContinuity"))
            first = takes[0]
            openings = []
            for letter in ("a", "b", "c"):
                request = EpisodeRequest(
                    bible=first.request.bible,
                    number=first.episode.number + 1,
                    state=first.episode.state,
                    choice=letter,
                    seed=first.request.seed,
                )
                scene = take(writer, request).episode.scenes[0]
                openings.append(tuple(e.text for e in scene.elements if isinstance(e, Dialogue)))
            different.append(len(set(openings)) == 3)
    share = sum(f >= 0.5 for f in felt) / len(felt)
    apart = sum(different) / len(different)
    return [
        Row(
            "choice's consequence visible in scenes 1-2",
            ">= 95 %",
            f"{share:.0%} of {len(felt)}",
            share >= 0.95,
        ),
        Row("the three choices open differently", "3 of 3", f"{apart:.0%} of {len(different)}", apart == 1),
    ]


def same_bytes(command: Sequence[str]) -> Row:
    """Runs a command that prints an episode under different hash seeds."""
    digests = set()
    for seed in ("0", "1", "4242"):
        environment = {**os.environ, "PYTHONHASHSEED": seed}
        done = subprocess.run(command, capture_output=True, check=True, env=environment)  # noqa: S603 - our own command
        digests.add(hashlib.sha256(done.stdout).hexdigest())
    return Row(
        "same bytes across processes and hash seeds",
        "yes",
        "yes" if len(digests) == 1 else "no",
        len(digests) == 1,
    )


UNMEASURED = (
    Row(
        "a blind reader ranks engines over single pass over template",
        ">= 80 % of triples",
        "unmeasured",
        None,
    ),
    Row("plain exchanges", ">= 25 %", "unmeasured", None),
    Row("refusals among turns", "<= 15 %", "unmeasured", None),
    Row("readers' overall", ">= 6.5; without cards > 5.0", "unmeasured", None),
)


def episode_command(bible: str, seed: int) -> list[str]:
    return [sys.executable, "-m", "cinegen_core.cli", "write", bible, "--seed", str(seed)]
