"""Prints what the scorer shows of its promises: `python -m benchmarks.scorer [--seeds N] [--out FILE] [--date DAY]`.

Rows on prose need the rated stories; CINEGEN_RATED_DATA names their folder, and without it they are left out in so many words.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import platform
import statistics
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

from benchmarks.figures import Figure, Promise, Report, add_json, at_least, at_most, exactly, repeated, write
from cinegen_core.analysis.episodes import season
from cinegen_core.analysis.prose_ratings import compare, hanna_rater_agreement, load_sets
from cinegen_core.analysis.scoring import (
    Agreement,
    Case,
    Damage,
    agreement,
    by_dimension,
    damage,
    mean_interval,
)
from cinegen_core.scorer import DIMENSION_WORDS, Scorecard, score
from cinegen_core.scorer.corruptions import held_out
from cinegen_core.scorer.scale import shipped
from cinegen_core.story import EpisodeRequest, Policy
from cinegen_core.story.formats import read_script
from cinegen_core.story.load import load_bible, load_sample, sample_names
from cinegen_core.story.script import Script
from cinegen_core.writers.base import Desk
from cinegen_core.writers.embedded import EmbeddedWriter
from cinegen_core.writers.template import TemplateWriter

TESTS = Path(__file__).parent.parent / "tests"
SHELF = TESTS / "shelf"


def exemplars() -> list[Case]:
    return [
        Case(
            path.stem,
            read_script(path.read_text(encoding="utf-8"), name=path.name),
            load_bible(SHELF / "bibles" / f"{path.stem}.yaml"),
        )
        for path in sorted((SHELF / "good").glob("*.fountain"))
    ]


def written(seeds: int) -> tuple[dict[str, list[Case]], list[Case]]:
    """Episodes by the studio's own tiers, two in a row for each seed, of all samples; and some of bibles without cards."""
    embedded, template = EmbeddedWriter(), TemplateWriter()
    tiers: dict[str, list[Case]] = {"template": [], "single pass": [], "all engines": []}
    for name in sample_names():
        bible = load_sample(name)
        for seed in range(seeds):
            for take in season(embedded, bible, seed=seed, episodes=2):
                tiers["all engines"].append(
                    Case(f"{name} {seed} {take.request.number}", Script.of(take.episode), bible)
                )
            request = EpisodeRequest(bible=bible, seed=seed)
            for tier, writer in (("single pass", embedded), ("template", template)):
                draft = asyncio.run(writer.draft(request, Policy(), Desk()))
                tiers[tier].append(Case(f"{name} {seed}", Script.of(draft.episode), bible))
    typed = [
        Case(
            f"{path.stem} {seed}", Script.of(season(embedded, bible, seed=seed, episodes=1)[0].episode), bible
        )
        for path in sorted((TESTS / "bibles").iterdir())
        for bible in (load_bible(path),)
        for seed in range(max(1, seeds // 2))
    ]
    return tiers, typed


def table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    return "\n".join(
        [
            "| " + " | ".join(head) + " |",
            "|" + "---|" * len(head),
            *("| " + " | ".join(row) + " |" for row in rows),
        ]
    )


def damage_table(rows: Sequence[Damage], bar: float) -> str:
    found = []
    for row in rows:
        share, own = row.below / max(1, row.pairs), row.own / max(1, row.pairs)
        worst = sorted(row.lost.items(), key=lambda item: -item[1])[:3]
        found.append([
            row.corruption.name, str(row.pairs), f"{share:.1%}", "yes" if share >= bar else "**no**", row.corruption.dimension, f"{own:.0%}",
            f"{row.overall:+.2f}", ", ".join(f"{name} {lost:.1f}" for name, lost in worst),
        ])  # fmt: skip
    return table(
        [
            "kind",
            "pairs",
            "scored below",
            f">= {bar:.0%}",
            "own dimension",
            "moved most",
            "overall lost",
            "lost most by",
        ],
        found,
    )


def agreement_row(name: str, found: Agreement) -> list[str]:
    return [
        name,
        str(found.count),
        f"{found.rho:.2f} ({found.low:.2f} to {found.high:.2f})",
        f"{found.distance:.2f}",
    ]


def of_card(card: Scorecard, dimension: str) -> float | None:
    return card.overall if dimension == "overall" else by_dimension(card)[dimension]


def readers() -> tuple[str, dict[str, Agreement]]:
    """Against blind readers, and the agreement overall by set; the scripts are read as the readers had them, without a bible."""
    parts: list[str] = []
    overall: dict[str, Agreement] = {}
    for name in ("first", "second"):
        file = SHELF / "rated" / f"{name}.json"
        if not file.exists():
            continue
        ratings = json.loads(file.read_text(encoding="utf-8"))
        cards = {
            key: score(
                read_script((SHELF / "rated" / name / f"{key}.txt").read_text(encoding="utf-8"), name="x.txt")
            )
            for key in ratings["scripts"]
        }
        rows = []
        for dimension in ("overall", *DIMENSION_WORDS):
            pairs = [
                (ours, said)
                for key, entry in ratings["scripts"].items()
                if (ours := of_card(cards[key], dimension)) is not None
                and (said := entry["mean"].get(dimension)) is not None
            ]
            agreed = agreement([a for a, _ in pairs], [b for _, b in pairs])
            rows.append(agreement_row(dimension, agreed))
            if dimension == "overall":
                overall[name] = agreed
        groups: dict[str, list[tuple[float, float]]] = {}
        for key, entry in ratings["scripts"].items():
            groups.setdefault(entry["origin"], []).append(
                (cards[key].overall or 0.0, entry["mean"]["overall"])
            )
        means = [
            [
                origin,
                str(len(found)),
                f"{statistics.fmean(b for _, b in found):.1f}",
                f"{statistics.fmean(a for a, _ in found):.1f}",
            ]
            for origin, found in sorted(
                groups.items(), key=lambda item: -statistics.fmean(b for _, b in item[1])
            )
        ]
        parts += [
            f"### The {name} set: {ratings['about']}", "",
            table(["", "scripts", "rank correlation", "mean distance, points"], rows), "",
            table(["origin", "scripts", "readers", "scorer"], means), "",
        ]  # fmt: skip
    return "\n".join(parts), overall


def headline(
    spoiled: Sequence[Damage],
    intervals: Mapping[str, tuple[float, float, float]],
    overall: Mapping[str, Agreement],
    seconds: Sequence[float],
    apart: bool,
) -> Report:
    """What each corruption comes to, where the tiers stand, how readers agree, and the time. Episodes are the same each time."""
    told: dict[str, Figure] = {}
    promises: list[Promise] = []
    for row in spoiled:
        label = f"{row.corruption.name}: scored below what it spoils"
        told[label] = exactly(100 * row.below / max(1, row.pairs), "%", better="higher")
        promises.append(at_least(told, label, 90 if row.corruption.name in held_out() else 95))
    pairs, own = sum(row.pairs for row in spoiled), sum(row.own for row in spoiled)
    told["moves its own dimension most"] = exactly(100 * own / pairs, "%", better="higher")
    promises.append(at_least(told, "moves its own dimension most", 80))
    for name, (mean, low, high) in intervals.items():
        told[f"mean of {name}"] = Figure(value=mean, unit="points", low=low, high=high)
    promises.append(Promise(words="the means in this order, their intervals apart", kept=apart))
    for name, one in overall.items():
        told[f"rank correlation with readers, the {name} set"] = Figure(value=one.rho, unit="ratio", low=one.low, high=one.high, better="higher")  # fmt: skip
    told["one episode is scored in"] = repeated([1000 * one for one in seconds], "ms")
    promises.append(at_most(told, "one episode is scored in", 30))
    left = () if os.environ.get("CINEGEN_RATED_DATA") else ("rated prose, as CINEGEN_RATED_DATA does not name its folder",)  # fmt: skip
    return Report(name="scorer", figures=told, promises=tuple(promises), left_out=left)


def prose(folder: str | None) -> str:
    if not folder or not Path(folder).is_dir():
        return "Left out: CINEGEN_RATED_DATA does not name the folder of rated stories."
    rows = compare(Path(folder))
    names = list(load_sets(Path(folder)))
    body = [
        [
            row.name,
            f"{row.macro:.2f}",
            *(f"{row.by_set[n][0]:.2f} ({row.by_set[n][1]:.2f} to {row.by_set[n][2]:.2f})" for n in names),
        ]
        for row in rows
    ]
    return "\n".join([
        "Spearman's rho, 95 % by drawing prompts again; models fitted on the other sources only.", "",
        table(["", "mean over sets", *names], body), "",
        f"One HANNA rater against the mean of the two others: {hanna_rater_agreement(Path(folder)):.2f}.",
    ])  # fmt: skip


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", type=int, default=6)
    parser.add_argument("--out", type=Path)
    parser.add_argument("--date", default=time.strftime("%Y-%m-%d"))
    add_json(parser)
    options = parser.parse_args(arguments)
    shelf = exemplars()
    print(f"writing the episodes of {options.seeds} seeds", file=sys.stderr)
    tiers, typed = written(options.seeds)
    print("spoiling and scoring them", file=sys.stderr)
    cases = [*shelf, *tiers["all engines"], *typed]
    spoiled = damage(cases)
    tuned = [row for row in spoiled if row.corruption.name not in held_out()]
    kept = [row for row in spoiled if row.corruption.name in held_out()]
    pairs, own = sum(row.pairs for row in spoiled), sum(row.own for row in spoiled)

    seconds = []
    for case in cases[:120]:
        started = time.perf_counter()
        score(case.script, case.bible)
        seconds.append(time.perf_counter() - started)
    means = {
        name: [score(c.script, c.bible).overall or 0.0 for c in found]
        for name, found in {**tiers, "exemplars": shelf}.items()
    }
    intervals = {name: mean_interval(values) for name, values in means.items()}
    ordered = list(intervals.values())
    apart = all(ordered[i][2] < ordered[i + 1][1] for i in range(len(ordered) - 1))
    by_readers, overall = readers()
    text = "\n".join([
        f"# What the scorer shows of itself (scorer {shipped().version}, {options.date})", "",
        f"`make scorer-report` writes this. {len(shelf)} exemplars, {len(tiers['all engines'])} episodes of the samples by all engines and {len(typed)} of "
        f"bibles without cards are spoiled below; Python {platform.python_version()}, {platform.machine()}.", "",
        "## Corruptions", "", damage_table(tuned, 0.95), "",
        "Kept out of tuning (held-out.toml):", "", damage_table(kept, 0.90), "",
        f"A corruption moves its own dimension most in {own / pairs:.0%} of {pairs} pairs (asked: 80 %).", "",
        "## The tiers", "",
        table(["", "scripts", "mean", "95 %"], [[n, str(len(means[n])), f"{m:.2f}", f"{low:.2f} to {high:.2f}"] for n, (m, low, high) in intervals.items()]), "",
        f"In this order, with intervals that do not overlap: {'yes' if apart else '**no**'}.", "",
        "## Readers", "", by_readers,
        "## Prose", "", prose(os.environ.get("CINEGEN_RATED_DATA")), "",
        "## Time", "",
        f"One episode: median {1000 * statistics.median(seconds):.0f} ms, 95 of 100 within {1000 * statistics.quantiles(seconds, n=20)[-1]:.0f} ms, "
        f"worst {1000 * max(seconds):.0f} ms of {len(seconds)} (asked: 30 ms).", "",
        (SHELF / "VALIDATION.md").read_text(encoding="utf-8"),
    ])  # fmt: skip
    print(text)
    write(headline(spoiled, intervals, overall, seconds, apart), options.json)
    if options.out:
        options.out.write_text(text, encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
