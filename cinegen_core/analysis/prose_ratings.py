"""The scorer's measures that apply to prose, against people's ratings of stories; and what plain baselines reach there.

Prose gets no overall score: it has no speeches under names, no scenes, no choices. What can be read of it are the measures of
lines, looked at here one number each. A model of them is fitted on all rated sets but one and tried on that one.
"""

from __future__ import annotations

import csv
import json
import math
import random
import re
import statistics
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from cinegen_core.scorer import cinematic, genre, structure, world
from cinegen_core.scorer.measure import Found
from cinegen_core.scorer.reading import Reading
from cinegen_core.scorer.words import words
from cinegen_core.story import Action
from cinegen_core.story.script import Script, ScriptScene

MEASURES: Mapping[str, Callable[[Reading], Found]] = {
    "filmable": cinematic.filmable, "plain": cinematic.plain, "shown": cinematic.shown, "short lines": cinematic.short_lines,
    "own pictures": cinematic.own_pictures, "readable": cinematic.readable, "senses": world.senses, "things": world.things,
    "particulars": world.particulars, "own words": world.own_words, "holds together": structure.holds_together,
    "planted first": structure.planted_first, "nothing twice": structure.nothing_twice, "promises kept": genre.promises_kept,
    "pays off": structure.pays_off, "images return": cinematic.images_return,
}  # fmt: skip
"""Those that look at lines of description and need nobody to speak."""


@dataclass(frozen=True)
class Story:
    """A rated text. `group` is what must not stand on both sides of a fold: a prompt, a draft with its edits."""

    text: str
    rating: float
    group: str


@dataclass(frozen=True)
class Row:
    """Spearman's rho with a bootstrap interval of 95 %, a set at a time and the mean over sets."""

    name: str
    by_set: Mapping[str, tuple[float, float, float]]

    @property
    def macro(self) -> float:
        return statistics.fmean(rho for rho, _, _ in self.by_set.values())


def load_sets(folder: Path) -> dict[str, list[Story]]:
    """The rated sets of a folder laid out as its README says. Raises `OSError` and `KeyError` where it is not."""

    def rows(name: str) -> list[dict[str, object]]:
        text = (folder / name).read_text(encoding="utf-8")
        return [json.loads(line) for line in text.splitlines() if line.strip()]

    sets: dict[str, list[Story]] = {}
    criteria = ("RE", "CH", "EM", "SU", "EG", "CX")
    hanna = rows("hanna_text_subset.jsonl")
    for criterion in criteria:
        sets[f"HANNA {criterion}"] = [
            Story(str(r["story"]), float(str(r[criterion])), f"p{r['prompt_idx']}") for r in hanna
        ]
    sets["WritingPrompts"] = [
        Story(str(r["story"]), float(str(r["overall"])), str(r["group"]))
        for r in rows("wp_a_karpinska.jsonl")
    ]
    sets["ScratchPlot"] = [
        Story(str(r["story"]), float(str(r["overall"])), str(r["group"])) for r in rows("scratchplot.jsonl")
    ]
    lamp = [
        Story(
            str(r["story"]).split("\n\nYou must produce")[0],
            float(str(r["overall"])),
            f"{str(r['story'])[:60]}",
        )
        for r in rows("lamp_R_scores.jsonl")
    ]
    sets["LAMP"] = lamp
    return sets


def hanna_rater_agreement(folder: Path) -> float:
    """One HANNA rater against the mean of the other two, a mean over raters and criteria: what people themselves reach."""
    with (folder / "hanna_ratings_1056.csv").open(encoding="utf-8", newline="") as stream:
        table = list(csv.DictReader(stream))
    found = []
    for criterion in ("RE", "CH", "EM", "SU", "EG", "CX"):
        columns = [[float(row[f"{criterion}_r{k}"]) for row in table] for k in (1, 2, 3)]
        for k in range(3):
            others = [
                statistics.fmean((columns[(k + 1) % 3][i], columns[(k + 2) % 3][i]))
                for i in range(len(table))
            ]
            found.append(fast_spearman(columns[k], others))
    return statistics.fmean(found)


def as_script(text: str) -> Script:
    """A story as action lines, a paragraph each; where there are no paragraphs, three sentences each."""
    parts = [part.strip() for part in re.split(r"\n\s*\n", text) if part.strip()]
    if len(parts) < 4:
        sentences = re.split(r"(?<=[.?!])[\"'\u201d\u2019)]*\s+", " ".join(text.split()))
        parts = [" ".join(sentences[i : i + 3]) for i in range(0, len(sentences), 3)]
    half = max(1, len(parts) // 2)
    scenes = (parts[:half], parts[half:]) if len(parts) > 1 else (parts,)
    return Script(
        scenes=tuple(ScriptScene(slugline="", elements=tuple(Action(text=p) for p in s)) for s in scenes)
    )


def measured(text: str) -> list[float]:
    """The measures' raw numbers, 0 where there is nothing to see."""
    reading = Reading(as_script(text))
    return [look(reading).raw or 0.0 for look in MEASURES.values()]


def style(text: str) -> list[float]:
    """Generic stylistic features: sentences, letters, variety, marks, dialogue, person, tense, adverbs, long words, paragraphs."""
    row = re.findall(r"[A-Za-z']+", text.casefold()) or ["x"]
    lengths = [len(s.split()) for s in re.split(r"[.!?]+", text) if s.split()] or [1]
    count = len(row)
    return [
        statistics.fmean(lengths), statistics.pstdev(lengths), sum(map(len, row)) / count, len(set(row[:200])) / min(200, count),
        text.count(",") / count, text.count("?") / count, text.count("!") / count, (text.count('"') + text.count("\u201c")) / count,
        sum(len(q) for q in re.findall(r"[\"\u201c]([^\"\u201d]*)[\"\u201d]", text)) / max(1, len(text)),
        sum(w in ("i", "me", "my") for w in row) / count, sum(w.endswith("ed") or w in ("was", "were", "had", "said") for w in row) / count,
        sum(w.endswith("ly") for w in row) / count, sum(len(w) > 7 for w in row) / count, text.count("\n\n"),
    ]  # fmt: skip


def keyword_count(text: str) -> float:
    """How many words about feelings and about the craft of writing a text has, as the keyword scorers count them."""
    listed = words("craft") | words("abstract") | words("emotion")
    return float(sum(word in listed for word in re.findall(r"[a-z'-]+", text.casefold())))


def fast_spearman(left: Sequence[float], right: Sequence[float]) -> float:
    """Spearman's rho with mean ranks for ties, in n log n."""

    def ranks(values: Sequence[float]) -> list[float]:
        order = sorted(range(len(values)), key=values.__getitem__)
        found = [0.0] * len(values)
        start = 0
        while start < len(order):
            end = start
            while end + 1 < len(order) and values[order[end + 1]] == values[order[start]]:
                end += 1
            for index in order[start : end + 1]:
                found[index] = (start + end) / 2 + 1
            start = end + 1
        return found

    a, b = ranks(left), ranks(right)
    mean = (len(a) + 1) / 2
    cov = sum((x - mean) * (y - mean) for x, y in zip(a, b, strict=True))
    va, vb = sum((x - mean) ** 2 for x in a), sum((y - mean) ** 2 for y in b)
    return cov / math.sqrt(va * vb) if va and vb else 0.0


def with_interval(
    predicted: Sequence[float], stories: Sequence[Story], rng: random.Random, rounds: int = 200
) -> tuple[float, float, float]:
    """(rho, low, high): the interval by drawing whole groups again."""
    groups: dict[str, list[int]] = {}
    for index, story in enumerate(stories):
        groups.setdefault(story.group, []).append(index)
    names = list(groups)
    found = []
    for _ in range(rounds):
        drawn = [i for _ in names for i in groups[rng.choice(names)]]
        found.append(fast_spearman([predicted[i] for i in drawn], [stories[i].rating for i in drawn]))
    found.sort()
    whole = fast_spearman(predicted, [s.rating for s in stories])
    return whole, found[int(0.025 * rounds)], found[int(0.975 * rounds) - 1]


def _standardised(rows: Sequence[Sequence[float]]) -> list[list[float]]:
    columns = list(zip(*rows, strict=True))
    means = [statistics.fmean(c) for c in columns]
    spreads = [statistics.pstdev(c) or 1.0 for c in columns]
    return [
        [max(-3.0, min(3.0, (v - m) / s)) for v, m, s in zip(row, means, spreads, strict=True)]
        for row in rows
    ]


def ridge(rows: Sequence[Sequence[float]], target: Sequence[float], penalty: float) -> list[float]:
    """Ridge regression's coefficients by Gaussian elimination; rows and target standardised."""
    size = len(rows[0])
    gram = [
        [sum(row[i] * row[j] for row in rows) + (penalty if i == j else 0.0) for j in range(size)]
        for i in range(size)
    ]
    right = [sum(row[i] * y for row, y in zip(rows, target, strict=True)) for i in range(size)]
    for i in range(size):
        pivot = gram[i][i]
        for k in range(i + 1, size):
            factor = gram[k][i] / pivot
            right[k] -= factor * right[i]
            for j in range(i, size):
                gram[k][j] -= factor * gram[i][j]
    answer = [0.0] * size
    for i in reversed(range(size)):
        answer[i] = (right[i] - sum(gram[i][j] * answer[j] for j in range(i + 1, size))) / gram[i][i]
    return answer


def leave_one_set_out(
    name: str, features: Callable[[str], list[float]], sets: Mapping[str, Sequence[Story]], rng: random.Random
) -> Row:
    """A model of the features fitted on all other sources, tried on each set. Sets of one source (HANNA's six) leave together."""
    texts = {story.text for stories in sets.values() for story in stories}
    found = {text: features(text) for text in sorted(texts)}
    ready = {key: _standardised([found[s.text] for s in stories]) for key, stories in sets.items()}
    rows: dict[str, tuple[float, float, float]] = {}
    for key, stories in sets.items():
        source = key.split()[0]
        train_x: list[list[float]] = []
        train_y: list[float] = []
        for other, others in sets.items():
            if other.split()[0] == source:
                continue
            mean = statistics.fmean(s.rating for s in others)
            spread = statistics.pstdev([s.rating for s in others]) or 1.0
            step = max(1, len(others) // 300)
            train_x += ready[other][::step]
            train_y += [(s.rating - mean) / spread for s in list(others)[::step]]
        weights = ridge(train_x, train_y, penalty=0.2 * len(train_x))
        predicted = [sum(w * v for w, v in zip(weights, row, strict=True)) for row in ready[key]]
        rows[key] = with_interval(predicted, stories, rng)
    return Row(name, rows)


def single(
    name: str, feature: Callable[[str], float], sets: Mapping[str, Sequence[Story]], rng: random.Random
) -> Row:
    """One number against the ratings of each set, as it is."""
    return Row(
        name,
        {
            key: with_interval([feature(s.text) for s in stories], stories, rng)
            for key, stories in sets.items()
        },
    )


def compare(folder: Path, seed: int = 1) -> list[Row]:
    """The measures beside word count, keyword counting and style."""
    sets = load_sets(folder)
    rng = random.Random(seed)
    return [
        single("word count", lambda text: float(len(text.split())), sets, rng),
        single("keyword counting", keyword_count, sets, rng),
        leave_one_set_out("stylistic features", style, sets, rng),
        leave_one_set_out("the scorer's measures for prose", measured, sets, rng),
    ]
