"""Every benchmark in one run: `python -m benchmarks [--only NAME ...] [--quick] [--reports] [--out FILE] [--json FILE] [--against FILE|git:REF]`.

Each runs in a process of its own, one after the other, with a time by which it is to end; one that fails is told of and the others
go on. What they find is written as a table and as JSON, and compared with what was committed last. `--only` runs some, and keeps what the
JSON file has of the others if it is of this machine. `--quick` takes a few minutes at small sizes, prints the table and writes files
only where they are named. `--reports` also writes the own reports of those benchmarks that run at their full size.

Ends with 0 when all went well, 1 when a benchmark failed (a promise that is not kept is no failure), 130 when it was stopped by hand.
"""

from __future__ import annotations

import argparse
import importlib.util
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import IO, NamedTuple

from pydantic import ValidationError

from benchmarks.figures import FiguresError, Machine, Report, load, read, this_machine
from benchmarks.results import Outcome, Results, carried, compared, lasted, markdown

ROOT = Path(__file__).parent.parent
RESULTS = Path("benchmarks/results.json")
TABLE = Path("benchmarks/RESULTS.md")

GRACE = 20.0
"""Seconds that a benchmark has to end once it is told to."""

LAST_LINES = 5
STOPPED = "stopped by hand"


class Benchmark(NamedTuple):
    """One program that writes figures: its module in this folder, what it is about, its options in a full run and in a quick one, and
    the minutes by which each has to have ended. `needs` are packages and the extra that has them; `report` is the file that it
    writes when it runs at its own full size; `smaller` says what a full run of all leaves to that. `headlines`, a regular expression,
    picks the figures that are shown of one that has very many."""

    name: str
    title: str
    full: tuple[str, ...]
    quick: tuple[str, ...]
    minutes: tuple[float, float]
    needs: tuple[tuple[str, str], ...] = ()
    report: str = ""
    smaller: str = ""
    headlines: str = ""
    command: tuple[str, ...] = ()


ALL: tuple[Benchmark, ...] = (
    Benchmark(
        "flags_speed", "how fast a flag is evaluated", ("--repeats", "15"), ("--repeats", "3"), (6, 3),
        report="FLAGS_SPEED.md",
    ),
    Benchmark(
        "growth", "what a fuller store costs", (), ("--quick",), (15, 5), needs=(("playwright", "test"),),
        report="GROWTH.md",
    ),
    Benchmark(
        "tiers", "what the studio adds to its calls to a model", ("--runs", "3", "--frameworks"), ("--runs", "1", "--only", "studio"), (20, 6),
        smaller="two more runs of each, which `make tiers-report` has",
    ),
    Benchmark(
        "monitoring", "what monitoring costs", ("--sizes", "10000,100000"), ("--sizes", "1000,5000"), (10, 4),
        smaller="a million events, which `make monitoring-report` has",
    ),
    Benchmark(
        "twenty_writers", "twenty who write at once", (), ("--writers", "4", "--rounds", "1"), (10, 4), needs=(("playwright", "test"),),
        report="TWENTY_WRITERS.md",
    ),
    Benchmark(
        "batch", "Dask: two workers beside one", (), ("--episodes", "8", "--repeats", "1"), (25, 5),
        needs=(("distributed", "scale"),), report="BATCH.md",
    ),
    Benchmark(
        "analytics", "DuckDB beside pandas", ("--events", "300000"), ("--events", "10000"), (12, 4), needs=(("duckdb", "analytics"),),
        smaller="a million and ten million answers, and the seconds behind the ratios, which `python -m benchmarks.analytics` has",
        headlines=r", pandas / DuckDB$|^peak memory",
    ),
    Benchmark(
        "triggers", "how often triggers roll back for nothing, and how soon for something", ("--repetitions", "100"),
        ("--repetitions", "20"), (10, 4),
        smaller="300 more repetitions, which `make flags-report` has",
    ),
    Benchmark(
        "scorer", "what the scorer keeps of its promises", (), ("--seeds", "1"), (12, 4),
        report="SCORER.md",
    ),
    Benchmark(
        "quality", "what the embedded writer keeps of its promises", ("--seeds", "5"), ("--seeds", "2"), (12, 5),
        smaller="195 more seeds, which `make quality` has",
    ),
    Benchmark(
        "pages", "how soon pages and clicks answer", (), ("--episodes", "200", "--answers", "300", "--repeats", "1", "--starts", "1"),
        (25, 8), needs=(("playwright", "test"),),
        report="PAGES.md",
    ),
)  # fmt: skip
"""In the order in which they run: those that measure small things first, before the machine has become warm."""

Say = Callable[[str], None]


def say(words: str) -> None:
    print(words, file=sys.stderr, flush=True)


# One benchmark.


def without(benchmark: Benchmark) -> str:
    """Why a benchmark cannot run here; empty if it can."""
    missing = [(package, extra) for package, extra in benchmark.needs if importlib.util.find_spec(package) is None]  # fmt: skip
    return "; ".join(
        f'{package} is not installed: pip install "cinegen-studio[{extra}]"' for package, extra in missing
    )


def run(
    benchmark: Benchmark, *, quick: bool, date: str, folder: Path, own: Path | None = None, say: Say = say
) -> Outcome:
    """Runs a benchmark to its end, or to the end of its time; whatever happens comes back as an outcome.

    `folder` is for its figures; `own` is where it writes its own report. What it says on standard error is passed on.
    """
    asked = benchmark.quick if quick else benchmark.full
    file = folder / f"{benchmark.name}.json"
    command = benchmark.command or (sys.executable, "-m", f"benchmarks.{benchmark.name}")
    paths = ["--json", str(file), *(["--out", str(own)] if own else [])]
    before, started = load(), time.monotonic()
    failed, report = "", None
    # What it leaves lying about goes with this folder, also when it is ended in the middle.
    with tempfile.TemporaryDirectory(dir=folder, ignore_cleanup_errors=True) as its_own:
        try:
            _to_its_end(
                [*command, *asked, *paths], 60.0 * benchmark.minutes[quick], benchmark.name, its_own, say
            )
            report = _headlines(read(file), benchmark.headlines)
            if not report.figures and not report.promises:
                raise FiguresError("it wrote a report without figures")
        except FiguresError as error:
            failed, report = str(error), None
    return Outcome(
        name=benchmark.name,
        title=benchmark.title,
        asked=asked,
        date=date,
        seconds=round(time.monotonic() - started, 1),
        loads=(before, load()),
        report=report,
        failed=failed,
        smaller="" if quick else benchmark.smaller,
    )


def _headlines(report: Report, wanted: str) -> Report:
    if not wanted:
        return report
    picked = {label: figure for label, figure in report.figures.items() if re.search(wanted, label)}
    return report.model_copy(update={"figures": picked})


def _to_its_end(command: Sequence[str], seconds: float, name: str, temporary: str, say: Say) -> None:
    """Raises `FiguresError` for a program that does not end well, or not in time. What it has started and left is told to end too."""
    last: deque[str] = deque(maxlen=LAST_LINES)
    # In a session of its own, so that its own processes can be ended with it.
    process = subprocess.Popen(
        command, cwd=ROOT, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE,
        text=True, errors="replace", start_new_session=True, env={**os.environ, "PYTHONUNBUFFERED": "1", "TMPDIR": temporary},
    )  # fmt: skip
    assert process.stderr is not None
    heard = threading.Thread(target=_pass_on, args=(process.stderr, last, name, say), daemon=True)
    heard.start()
    code: int | None = None
    try:
        code = process.wait(seconds)
    except subprocess.TimeoutExpired as error:
        raise FiguresError(f"it was ended because it took longer than {lasted(seconds)}") from error
    finally:
        _end(process)
        heard.join(GRACE)
        # To close what somebody still reads from would wait for them.
        if not heard.is_alive():
            process.stderr.close()
    if code:
        how = f"it was ended by {signal.Signals(-code).name}" if code < 0 else f"it ended with {code}"
        words = next((line for line in reversed(last) if line.strip()), "it said nothing").strip()
        raise FiguresError(f"{how} ({words.replace(str(ROOT), '.')})")


def _pass_on(stream: IO[str], last: deque[str], name: str, say: Say) -> None:
    for line in stream:
        last.append(line)
        say(f"    {name}: {line.rstrip()}")


def _end(process: subprocess.Popen[str]) -> None:
    """Ends a process that leads a session of its own, and all that are still in its group; those that ask for time get `GRACE`."""
    for number in (signal.SIGTERM, signal.SIGKILL):
        until = time.monotonic() + GRACE
        asked: int = number
        while time.monotonic() < until:
            process.poll()
            try:
                os.killpg(process.pid, asked)
            except ProcessLookupError:
                return
            # Told once is enough; 0 only asks whether any is left.
            asked = 0
            time.sleep(0.1)


# What was before.


def earlier(against: str, *, folder: Path = ROOT) -> tuple[Results | None, str]:
    """Results to compare with and what they are called, or None and why there are none. `against` is a file, or `git:` and a commit."""
    if not against.startswith("git:"):
        return _parsed(Path(against).read_text("utf-8") if Path(against).is_file() else None, against)
    git, at = shutil.which("git"), against.removeprefix("git:")
    where = f"{RESULTS.name} of {at}"
    if git is None:
        return None, "git is not installed"
    found = subprocess.run([git, "show", f"{at}:{RESULTS.as_posix()}"], cwd=folder, capture_output=True, text=True)  # fmt: skip
    return _parsed(found.stdout if found.returncode == 0 else None, where)


def _parsed(text: str | None, where: str) -> tuple[Results | None, str]:
    if text is None:
        return None, f"there is no {where}"
    try:
        return Results.model_validate_json(text), where
    except ValidationError as error:
        return None, f"{where} cannot be read ({error.error_count()} things are wrong with it)"


# All of them.


def run_all(
    benchmarks: Sequence[Benchmark],
    only: Sequence[str],
    *,
    quick: bool,
    date: str,
    machine: Machine,
    reports: Path | None = None,
    say: Say = say,
) -> Results:
    """Runs them one after the other. `reports` is the folder for the own reports of those that run at their full size."""
    began = load()
    outcomes: list[Outcome] = []
    not_run: dict[str, str] = {}
    wanted = [one for one in benchmarks if not only or one.name in only]
    not_run |= {one.name: "not asked for" for one in benchmarks if one not in wanted}
    with tempfile.TemporaryDirectory() as made:
        for place, one in enumerate(wanted, start=1):
            head = f"[{place}/{len(wanted)}] {one.name}"
            missing = without(one)
            if missing:
                not_run[one.name] = missing
                say(f"{head}: left out, {missing}")
                continue
            say(f"{head}: {one.title}; at most {lasted(60 * one.minutes[quick])}")
            own = reports / one.report if reports and one.report and not quick else None
            try:
                outcome = run(one, quick=quick, date=date, folder=Path(made), own=own, say=say)
            except KeyboardInterrupt:
                say(f"{head}: stopped by hand; what was found until now is kept")
                not_run |= {rest.name: STOPPED for rest in wanted[place - 1 :]}
                break
            outcomes.append(outcome)
            say(f"{head}: {_ended(outcome.report, outcome.failed)}, {lasted(outcome.seconds)}")
    return Results(date=date, quick=quick, machine=machine, loads=(began, load()), outcomes=tuple(outcomes), not_run=not_run)  # fmt: skip


def _ended(report: Report | None, failed: str) -> str:
    if report is None:
        return f"FAILED: {failed}"
    broken = sum(not promise.kept for promise in report.promises)
    return f"{len(report.figures)} figures, {len(report.promises)} promises, " + (f"{broken} NOT KEPT" if broken else "none broken")  # fmt: skip


def main(arguments: list[str] | None = None, benchmarks: Sequence[Benchmark] = ALL) -> int:
    names = [one.name for one in benchmarks]
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)  # fmt: skip
    parser.add_argument("--only", nargs="+", default=[], choices=names, metavar="NAME", help=", ".join(names))
    parser.add_argument("--quick", action="store_true", help="small sizes, a few minutes")
    parser.add_argument("--reports", action="store_true", help="write the benchmarks' own reports too")
    parser.add_argument("--out", type=Path, help=f"the table (a full run: {TABLE})")
    parser.add_argument("--json", type=Path, help=f"the figures (a full run: {RESULTS})")
    parser.add_argument("--against", default="git:HEAD", metavar="FILE|git:REF", help="what to compare with")
    parser.add_argument("--date", default=time.strftime("%Y-%m-%d"))
    chosen = parser.parse_args(arguments)
    out = chosen.out or (None if chosen.quick else ROOT / TABLE)
    kept = chosen.json or (None if chosen.quick else ROOT / RESULTS)
    machine = this_machine()
    # Read before anything is written: what is compared with may be the file that is written to.
    before, where = earlier(chosen.against)
    there, _ = earlier(str(kept)) if kept else (None, "")
    reports = ROOT / "benchmarks" if chosen.reports else None
    found = run_all(
        benchmarks, chosen.only, quick=chosen.quick, date=chosen.date, machine=machine, reports=reports
    )
    outcomes = tuple(compared(one, before, machine=machine, quick=chosen.quick, where=where) for one in found.outcomes)  # fmt: skip
    found = found.model_copy(update={"outcomes": outcomes})
    stopped = STOPPED in found.not_run.values()
    found = carried(found, there) if chosen.only or stopped else found
    text = markdown(found)
    if kept:
        kept.write_text(found.model_dump_json(indent=1) + "\n", encoding="utf-8")
    if out:
        out.write_text(text, encoding="utf-8")
    else:
        print(text, end="")
    for name in found.failed:
        say(f"FAILED: {name}")
    if stopped:
        return 130
    return 1 if found.failed else 0


def _told_to_end(number: int, frame: object) -> None:
    raise KeyboardInterrupt


if __name__ == "__main__":
    # Whoever ends this ends what it has started too.
    signal.signal(signal.SIGTERM, _told_to_end)
    sys.exit(main())
