"""Prints what the embedded writer keeps of its promises: `python -m benchmarks.quality [--seeds N] [--out FILE]`.

Full size is 200 seeds; `make quality` runs that. Rows about readers say "unmeasured": people measure those.
"""

from __future__ import annotations

import argparse
import platform
import sys
from pathlib import Path

from benchmarks.figures import Promise, Report, add_json, exactly, write
from cinegen_core.analysis.episodes import season
from cinegen_core.analysis.quality import (
    UNMEASURED,
    Lift,
    Material,
    Row,
    consequences,
    episode_command,
    lifts,
    repetition,
    same_bytes,
    shape,
    soundness,
    variety,
    voices,
)
from cinegen_core.story.load import load_bible, load_sample, sample_names
from cinegen_core.writers.embedded import EmbeddedWriter

BIBLES = Path(__file__).parent.parent / "tests" / "bibles"


def table(rows: list[Row]) -> str:
    lines = ["| promise | target | measured | met |", "|---|---|---|---|"]
    for row in rows:
        met = {True: "yes", False: "**no**", None: "-"}[row.met]
        lines.append(f"| {row.name} | {row.target} | {row.value} | {met} |")
    details = [f"- {row.name}: {line}" for row in rows if not row.met for line in row.detail]
    return "\n".join([*lines, "", *details])


def lift_table(found: list[Lift]) -> str:
    lines = ["| engine | realised on | off | lift | lines changed | n |", "|---|---|---|---|---|---|"]
    for lift in found:
        lines.append(
            f"| {lift.engine} | {lift.on:.2f} | {lift.off:.2f} | {lift.lift:+.2f} | {lift.changed:.1%} | {lift.count} |"
        )
    return "\n".join(lines)


def figures(rows: list[Row], found: list[Lift]) -> Report:
    """The lift of each engine, and what was promised of the rest; seeds are the same each time, so that nothing spreads."""
    told = {
        f"{lift.engine}: lift": exactly(lift.lift, "ratio", better="higher", what_it_means="realised with it on, minus off")
        for lift in found
    }  # fmt: skip
    promises = [Promise(words=f"{row.name}, {row.target}: {row.value}", kept=row.met) for row in rows if row.met is not None]  # fmt: skip
    unmeasured = tuple(f"{row.name}, which only readers can tell" for row in rows if row.met is None)
    return Report(name="quality", figures=told, promises=tuple(promises), left_out=unmeasured)


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", type=int, default=200)
    parser.add_argument("--out", type=Path)
    add_json(parser)
    options = parser.parse_args(arguments)
    writer = EmbeddedWriter()
    samples = {name: load_sample(name) for name in sample_names()}
    others = {path.stem: load_bible(path) for path in sorted(BIBLES.iterdir())}
    few = max(2, options.seeds // 20)

    material = Material(writer, samples | others)
    print(f"writing seasons of {options.seeds} seeds", file=sys.stderr)
    material.gather(seeds=options.seeds, episodes=5)
    long_seasons = {
        name: [season(writer, bible, seed=seed, episodes=12) for seed in range(few)]
        for name, bible in samples.items()
    }
    firsts = {
        name: [takes[0].episode for takes in found[: min(40, options.seeds)]]
        for name, found in material.seasons.items()
        if name in samples
    }
    rows = [
        *soundness(material),
        same_bytes(episode_command("slack_water", 7)),
        *shape(material),
        *repetition(long_seasons),
        *variety(firsts),
        voices(writer, {name: found[:2] for name, found in long_seasons.items()}),
        *consequences(
            writer,
            {name: found[: max(2, few)] for name, found in material.seasons.items() if name in samples},
        ),
        *UNMEASURED,
    ]
    takes = [
        t
        for name in samples
        for season_ in material.seasons[name][: options.seeds // 5 + 1]
        for t in season_[:2]
    ]
    print("switching engines off, one by one", file=sys.stderr)
    lifted = lifts(writer, takes)
    text = "\n".join(
        [
            f"Embedded writer, {options.seeds} seeds x 5 episodes x {len(material.bibles)} bibles; "
            f"Python {platform.python_version()}, {platform.machine()}.",
            "",
            table(rows),
            "",
            "Lift of each engine (realised with it on, minus off, same seed and draft), in the series that have work for it:",
            "",
            lift_table(lifted),
            "",
        ]
    )
    write(figures(rows, lifted), options.json)
    if options.out:
        options.out.write_text(text, encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
