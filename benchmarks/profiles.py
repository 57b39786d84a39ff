"""Prints the quality profile of the embedded writer for profiles.toml: `python -m benchmarks.profiles [--seeds N]`.

Two episodes in a row for each seed and bible (the samples, and bibles without cards), by all engines; every bible counts the same.
"""

from __future__ import annotations

import argparse
import statistics
import sys
from pathlib import Path

from cinegen_core.analysis.episodes import season
from cinegen_core.scorer import score
from cinegen_core.scorer.scale import shipped
from cinegen_core.story.load import load_bible, load_sample, sample_names
from cinegen_core.writers.embedded import EmbeddedWriter

BIBLES = Path(__file__).parent.parent / "tests" / "bibles"


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", type=int, default=20)
    seeds = parser.parse_args(arguments).seeds
    writer = EmbeddedWriter()
    bibles = {name: load_sample(name) for name in sample_names()} | {
        p.stem: load_bible(p) for p in sorted(BIBLES.iterdir())
    }
    found: list[float] = []
    for name, bible in bibles.items():
        scores = [
            score(take.episode, bible).overall or 0.0
            for seed in range(seeds)
            for take in season(writer, bible, seed=seed, episodes=2)
        ]
        print(
            f"{name:16} n {len(scores):3}  mean {statistics.fmean(scores):.2f}  least {min(scores):.2f}  most {max(scores):.2f}"
        )
        found += scores
    cuts = statistics.quantiles(found, n=20)
    print(
        f"scorer {shipped().version}, n {len(found)}: 5th percentile {cuts[0]:.2f} (least), 25th {cuts[4]:.2f} (good), 50th {cuts[9]:.2f} (fine)"
    )
    return 0


if __name__ == "__main__":
    sys.exit(main())
