"""The three tables of the scorer's validation that take minutes, written and read: `python -m cinegen_core.analysis.validation_tables`.

It spoils the shelf's good episodes and the studio's own, plays tricks on rated scripts, and, where CINEGEN_RATED_DATA names the folder
of rated stories, tries the measures for prose on these. Each table begins with when it was made, by which scorer and command.
"""

from __future__ import annotations

import argparse
import io
import os
import sys
from collections.abc import Mapping, Sequence
from datetime import UTC, date, datetime
from pathlib import Path

import pandas as pd

from cinegen_core.analysis.episodes import season
from cinegen_core.analysis.prose_ratings import (
    compare,
    fast_spearman,
    hanna_rater_agreement,
    keyword_count,
    load_sets,
)
from cinegen_core.analysis.scoring import Case
from cinegen_core.analysis.validation import UnusableData, rated_set
from cinegen_core.analysis.validation_spoiled import (
    EXEMPLARS,
    PAIR_COLUMNS,
    SAMPLES,
    TYPED,
    shelf_cases,
    spoiled_pairs,
    talked_up,
)
from cinegen_core.scorer.corruptions import ALL
from cinegen_core.scorer.scale import shipped
from cinegen_core.story.load import load_bible, load_sample, sample_names
from cinegen_core.story.script import Script
from cinegen_core.writers.embedded import EmbeddedWriter

COMMAND = "python -m cinegen_core.analysis.validation_tables"
SPOILED, TALKED, PROSE = "scorer_spoiled.csv", "scorer_talked_up.csv", "scorer_prose.csv"
RATED_DATA = "CINEGEN_RATED_DATA"
ONE_RATER = "one HANNA rater, against the mean of the other two"
TALKED_COLUMNS = ("trick", "name", "before", "gain")
PROSE_COLUMNS = ("judge", "set", "rho", "low", "high")


def cases_to_spoil(tests: Path, seeds: int) -> tuple[list[Case], list[str]]:
    """The shelf's exemplars, two episodes in a row of every sample and seed, and one of each bible without cards for half as many
    seeds; and the group of each. Those that `benchmarks.scorer` spoils."""
    writer = EmbeddedWriter()
    cases = shelf_cases(tests / "shelf")
    groups = [EXEMPLARS] * len(cases)
    for name in sample_names():
        bible = load_sample(name)
        for seed in range(seeds):
            for take in season(writer, bible, seed=seed, episodes=2):
                cases.append(Case(f"{name} {seed} {take.request.number}", Script.of(take.episode), bible))
                groups.append(SAMPLES)
    for path in sorted((tests / "bibles").iterdir()):
        bible = load_bible(path)
        for seed in range(max(1, seeds // 2)):
            episode = season(writer, bible, seed=seed, episodes=1)[0].episode
            cases.append(Case(f"{path.stem} {seed}", Script.of(episode), bible))
            groups.append(TYPED)
    return cases, groups


def cases_to_talk_up(shelf: Path) -> list[Case]:
    """The shelf's good episodes with their bibles, and the rated scripts, good and bad, without one."""
    sets = [rated_set(shelf / "rated" / f"{name}.json") for name in ("first", "second")]
    return [
        *shelf_cases(shelf),
        *(Case(f"{rated.name} {one.name}", one.script, None) for rated in sets for one in rated.scripts),
    ]


def prose_table(folder: Path) -> pd.DataFrame:
    """Each judge against each set of rated stories: `PROSE_COLUMNS`, rho with an interval of 95 %. Takes a minute or two.
    Raises `OSError` and `KeyError` where the folder is not laid out as its README says."""
    rows: list[tuple[str, str, float, float | None, float | None]] = [
        (row.name, name, rho, low, high)
        for row in compare(folder)
        for name, (rho, low, high) in row.by_set.items()
    ]
    rows.append((ONE_RATER, "HANNA", hanna_rater_agreement(folder), None, None))
    return pd.DataFrame(rows, columns=list(PROSE_COLUMNS))


def write_table(frame: pd.DataFrame, path: Path, *, day: date, arguments: str) -> None:
    """CSV under a head of comments. Raises `OSError`."""
    head = f"# scorer: {shipped().version}\n# made: {day.isoformat()}\n# command: {COMMAND} {arguments}\n"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(
        head + frame.to_csv(index=False, float_format="%.4g", lineterminator="\n"), encoding="utf-8"
    )


def read_table(path: Path, columns: Sequence[str]) -> tuple[pd.DataFrame, dict[str, str]]:
    """A table and its head: `scorer`, `made`, `command`. Raises `UnusableData` for what is not such a table, or of another scorer."""
    again = f"Make it again: {COMMAND}."
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise UnusableData(f"{path.name} cannot be read ({type(error).__name__}). {again}") from error
    head = {
        key: rest for line in lines if line.startswith("# ") for key, _, rest in [line[2:].partition(": ")]
    }
    body = "\n".join(line for line in lines if not line.startswith("#"))
    frame = pd.read_csv(io.StringIO(body)) if body else pd.DataFrame()
    if missing := [name for name in columns if name not in frame.columns]:
        raise UnusableData(f"{path.name} has no column {missing[0]!r}. {again}")
    if head.get("scorer") != shipped().version:
        made_by = head.get("scorer", "of unknown version")
        raise UnusableData(
            f"{path.name} is by scorer {made_by}, and this is scorer {shipped().version}: they do not compare. {again}"
        )
    return frame, head


def spoiled_again(pairs: pd.DataFrame, shelf: Path, scripts: int = 4) -> str:
    """Spoils the shelf's first few good episodes again, by all kinds that need no other script, and says whether the table has the
    same scores."""
    alone = [kind for kind in ALL if not kind.needs_other]
    cases = shelf_cases(shelf)[:scripts]
    every = pairs["name"].nunique()
    fresh = spoiled_pairs(cases, [EXEMPLARS] * len(cases), alone, drawn_from=every)
    return _compared(pairs, fresh, ["name", "kind"], "after")


def talked_again(gains: pd.DataFrame, shelf: Path, scripts: int = 4) -> str:
    """Plays the tricks on the shelf's first few good episodes again, and says whether the table has the same gains."""
    return _compared(gains, talked_up(shelf_cases(shelf)[:scripts]), ["name", "trick"], "gain")


def _compared(known: pd.DataFrame, fresh: pd.DataFrame, keys: list[str], column: str) -> str:
    both = fresh.merge(known, on=keys, how="left", suffixes=("", " known"))
    same = int(((both[column] - both[f"{column} known"]).abs() < 0.006).sum())
    told = f"{same} of {len(fresh)} rows made again here are as the table has them."
    return told if same == len(fresh) else f"{told} The table is out of date. Make it again: {COMMAND}."


def prose_again(table: pd.DataFrame, environ: Mapping[str, str]) -> str:
    """Compares the table's word and keyword counts with the rated stories, where `CINEGEN_RATED_DATA` names their folder; says so
    where it does not. Raises `UnusableData` for a folder that has no such stories."""
    folder = environ.get(RATED_DATA)
    if not folder:
        return f"{RATED_DATA} names no folder of rated stories, so that these figures are the table's; none was made again."
    try:
        sets = load_sets(Path(folder))
    except (OSError, KeyError, ValueError) as error:
        raise UnusableData(
            f"{RATED_DATA} names a folder without the rated stories ({type(error).__name__}: {error}). Correct it, or unset it."
        ) from error
    known = table.set_index(["judge", "set"])["rho"]
    count = same = 0
    for name, stories in sets.items():
        given = [story.rating for story in stories]
        for judge, told in (
            ("word count", [float(len(story.text.split())) for story in stories]),
            ("keyword counting", [keyword_count(story.text) for story in stories]),
        ):
            count += 1
            same += (judge, name) in known.index and abs(
                known[judge, name] - fast_spearman(told, given)
            ) < 5e-4
    return f"{same} of {count} figures of the table's first two judges are the same when made again from the rated stories."


def main(arguments: Sequence[str] | None = None, environ: Mapping[str, str] = os.environ) -> int:
    parser = argparse.ArgumentParser(description=__doc__, prog=COMMAND)
    parser.add_argument("--tests", type=Path, default=Path("tests"), help="folder with shelf/ and bibles/")
    parser.add_argument("--out", type=Path, default=Path("notebooks/data"))
    parser.add_argument("--seeds", type=int, default=6)
    parser.add_argument("--day", type=date.fromisoformat, default=datetime.now(UTC).date())
    options = parser.parse_args(arguments)
    cases, groups = cases_to_spoil(options.tests, options.seeds)
    pairs = spoiled_pairs(cases, groups)
    asked = f"--seeds {options.seeds}"
    write_table(pairs[list(PAIR_COLUMNS)], options.out / SPOILED, day=options.day, arguments=asked)
    sys.stdout.write(f"{SPOILED}: {len(pairs)} pairs\n")
    gains = talked_up(cases_to_talk_up(options.tests / "shelf"))
    write_table(gains, options.out / TALKED, day=options.day, arguments=asked)
    sys.stdout.write(f"{TALKED}: {len(gains)} rows\n")
    if folder := environ.get(RATED_DATA):
        write_table(
            prose_table(Path(folder)), options.out / PROSE, day=options.day, arguments=f"with {RATED_DATA}"
        )
        sys.stdout.write(f"{PROSE}: written\n")
    else:
        sys.stdout.write(f"{PROSE}: left as it is; {RATED_DATA} names no folder of rated stories\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
