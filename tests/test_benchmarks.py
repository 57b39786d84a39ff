"""Benchmarks in one run: what counts as a change, what happens to one that fails, and that the table says what the figures say."""

from __future__ import annotations

import importlib
import json
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

import pytest

from benchmarks import flags_speed, growth
from benchmarks.__main__ import ALL, RESULTS, ROOT, TABLE, Benchmark, earlier, main, run, run_all
from benchmarks.figures import (
    Change,
    Figure,
    FiguresError,
    Machine,
    Promise,
    Report,
    at_most,
    beside,
    change,
    compare,
    exactly,
    number,
    read,
    repeated,
    spread,
    this_machine,
    write,
)
from benchmarks.results import Outcome, Results, carried, compared, markdown

HERE = Machine(cpu="A processor", cores=2, memory=23.5, python="3.11.7", system="Some Linux")
ELSEWHERE = HERE.model_copy(update={"cores": 64})
DATE, EARLIER = "2026-11-28", "2026-11-01"

# What only supports benchmarks, or makes something that they measure.
PARTS = {"__init__", "__main__", "figures", "results", "profiles"}


def milliseconds(value: float, low: float, high: float) -> Figure:
    return Figure(value=value, unit="ms", low=low, high=high, better="lower")


def ratio(value: float, low: float, high: float) -> Figure:
    return Figure(value=value, unit="ratio", low=low, high=high, better="lower")


def outcome(
    figures: Mapping[str, Figure],
    *,
    name: str = "one",
    asked: Sequence[str] = (),
    date: str = DATE,
    promises: Sequence[Promise] = (),
) -> Outcome:
    report = Report(name=name, figures=dict(figures), promises=tuple(promises))
    return Outcome(
        name=name,
        title="what one costs",
        asked=tuple(asked),
        date=date,
        seconds=61.0,
        loads=(0.1, 0.9),
        report=report,
    )


def results(
    *outcomes: Outcome,
    machine: Machine = HERE,
    quick: bool = False,
    date: str = DATE,
    not_run: Mapping[str, str] | None = None,
) -> Results:
    return Results(
        date=date,
        quick=quick,
        machine=machine,
        loads=(0.1, 1.2),
        outcomes=outcomes,
        not_run=dict(not_run or {}),
    )


# Spread.


def test_a_time_is_told_by_its_median_and_by_how_far_its_repeats_reach() -> None:
    told = repeated([float(one) for one in range(1, 101)], "ms")
    assert (told.low, told.value, told.high) == (5.0, 50.5, 95.0)
    few = repeated([3.0, 1.0, 2.0], "ms")
    assert (few.low, few.value, few.high) == (1.0, 2.0, 3.0)
    assert spread(repeated([7.0], "ms")) == "-", "what was measured once has no spread"


def test_a_ratio_is_of_each_turn_so_that_a_slower_machine_does_not_show_in_it() -> None:
    theirs = [1.0 + 0.1 * (turn % 3) for turn in range(30)]
    told = beside([2.0 * one for one in theirs], theirs)
    assert (told.low, told.value, told.high) == (2.0, 2.0, 2.0)
    with pytest.raises(ValueError, match="shorter"):
        beside([1.0, 2.0], [1.0])


def test_the_interval_of_a_ratio_holds_its_median_and_is_the_same_each_time() -> None:
    ours = [1.0 + 0.01 * ((7 * turn) % 13) for turn in range(60)]
    told = beside(ours, [1.0] * 60)
    assert told.low is not None
    assert told.high is not None
    assert min(ours) < told.low <= told.value <= told.high < max(ours)
    assert told == beside(ours, [1.0] * 60)


def test_a_spread_reaches_to_its_value_and_nothing_is_endless() -> None:
    assert Figure(value=3.0, unit="ms", low=4.0, high=5.0).low == 3.0
    with pytest.raises(ValueError, match="finite"):
        Figure(value=float("inf"), unit="ms")


# What counts as a change.


@pytest.mark.parametrize(
    ("now", "verdict"),
    [
        (milliseconds(12.0, 11.0, 13.0), "worse"),
        (milliseconds(8.0, 7.0, 8.9), "better"),
        (milliseconds(11.0, 10.9, 12.0), "same"),
        (milliseconds(10.0, 9.0, 11.0), "same"),
    ],
)
def test_a_change_counts_only_where_the_spreads_do_not_overlap(now: Figure, verdict: str) -> None:
    before = milliseconds(10.0, 9.0, 10.9)
    assert change(now, before, same_machine=True).verdict == verdict


def test_a_change_says_by_how_much() -> None:
    slower = change(milliseconds(12.0, 11.5, 13.0), milliseconds(10.0, 9.0, 11.0), same_machine=True)
    assert slower.words == "**worse** by 20 %"
    faster = exactly(9.0, "points", better="higher")
    assert change(faster, exactly(8.0, "points"), same_machine=True).words == "**better** by 12.5 %"
    assert (
        change(exactly(1.0, "%", better="lower"), exactly(0.0, "%"), same_machine=True).words
        == "**worse**, from 0 %"
    )


def test_where_nobody_says_which_way_is_better_a_change_is_only_told() -> None:
    assert (
        change(exactly(4.0, "ratio"), exactly(2.0, "ratio"), same_machine=True).words == "**higher** by 100 %"
    )


def test_on_another_machine_ratios_are_compared_and_seconds_are_not() -> None:
    now = Report(name="one", figures={"time": milliseconds(20.0, 19.0, 21.0), "ratio": ratio(2.0, 1.9, 2.1)})
    before = Report(
        name="one", figures={"time": milliseconds(10.0, 9.0, 11.0), "ratio": ratio(1.0, 0.9, 1.1)}
    )
    found = compare(now, before, same_machine=False)
    assert found["time"].words == "not compared: another machine"
    assert found["ratio"].words == "**worse** by 100 %"


def test_figures_that_are_new_and_gone_are_told_of() -> None:
    now = Report(name="one", figures={"kept": ratio(1.0, 0.9, 1.1), "new": ratio(1.0, 0.9, 1.1)})
    before = Report(name="one", figures={"kept": ratio(1.0, 0.9, 1.1), "gone": milliseconds(3.5, 3.0, 4.0)})
    found = compare(now, before, same_machine=True)
    assert {label: one.words for label, one in found.items()} == {
        "kept": "same",
        "new": "new",
        "gone": "gone; it was 3.50 ms",
    }


def test_nothing_is_said_of_what_has_no_spread_or_another_unit() -> None:
    plain = Figure(value=1.0, unit="ms")
    assert (
        change(plain, milliseconds(9.0, 8.0, 10.0), same_machine=True).words
        == "not compared: no spread is known"
    )
    assert change(plain, exactly(1.0, "s"), same_machine=True).words == "not compared: it was in s"


# One run and the one before.


def told_against(
    now: Outcome, before: Results | None, *, machine: Machine = HERE, quick: bool = False
) -> Outcome:
    return compared(now, before, machine=machine, quick=quick, where="git:HEAD")


def test_quick_runs_are_never_compared_with_full_ones() -> None:
    now, before = outcome({"ratio": ratio(2.0, 1.9, 2.1)}), outcome({"ratio": ratio(1.0, 0.9, 1.1)})
    for quick, quick_before in ((True, False), (False, True), (True, True)):
        found = told_against(now, results(before, quick=quick_before), quick=quick)
        assert found.changes == {}
        assert "quick runs never are" in found.against


def test_runs_of_another_size_are_not_compared() -> None:
    before = results(outcome({"ratio": ratio(1.0, 0.9, 1.1)}, asked=("--runs", "5")))
    found = told_against(outcome({"ratio": ratio(2.0, 1.9, 2.1)}, asked=("--runs", "3")), before)
    assert found.changes == {}
    assert "it ran with --runs 5" in found.against


def test_a_run_says_what_it_was_compared_with_and_that_it_was_another_machine() -> None:
    now = outcome({"ratio": ratio(2.0, 1.9, 2.1)})
    before = results(outcome({"ratio": ratio(1.0, 0.9, 1.1)}, date=EARLIER))
    assert told_against(now, before).against == f"compared with git:HEAD of {EARLIER}"
    elsewhere = told_against(now, before, machine=ELSEWHERE)
    assert "another machine (A processor, 2 cores" in elsewhere.against
    assert "only ratios" in elsewhere.against
    assert told_against(now, None).against == "nothing to compare with: git:HEAD"


def test_a_run_of_some_keeps_what_was_found_for_the_others_and_says_of_when_that_is() -> None:
    there = results(
        outcome({}, name="one", date=EARLIER), outcome({}, name="two", date=EARLIER), date=EARLIER
    )
    now = results(outcome({}, name="one"), not_run={"two": "not asked for"})
    found = carried(now, there)
    assert [(one.name, one.date) for one in found.outcomes] == [("one", DATE), ("two", EARLIER)]
    assert found.not_run == {"two": f"not asked for; the figures above are of {EARLIER}"}
    for other in (
        there.model_copy(update={"quick": True}),
        there.model_copy(update={"machine": ELSEWHERE}),
        None,
    ):
        assert carried(now, other) == now


def test_earlier_results_are_read_from_a_file_or_a_commit_or_told_to_be_missing(tmp_path: Path) -> None:
    kept = results(outcome({"ratio": ratio(1.0, 0.9, 1.1)}))
    file = tmp_path / "results.json"
    file.write_text(kept.model_dump_json(), encoding="utf-8")
    assert earlier(str(file)) == (kept, str(file))
    assert earlier(str(tmp_path / "none.json")) == (None, f"there is no {tmp_path / 'none.json'}")
    assert earlier("git:HEAD", folder=tmp_path) == (None, "there is no results.json of HEAD")
    file.write_text("{}", encoding="utf-8")
    assert earlier(str(file))[0] is None


# The table.


def test_the_table_says_values_spreads_promises_changes_and_what_failed_or_was_not_run() -> None:
    figures = {"a | time": milliseconds(1234.5, 1200.0, 1300.0), "ratio": ratio(1.25, 1.2, 1.3)}
    promises = [at_most(figures, "ratio", 1.10), Promise(words="nothing is lost", kept=True)]
    found = told_against(
        outcome(figures, promises=promises),
        results(outcome({"ratio": ratio(1.0, 0.9, 1.1), "old": exactly(3, "%")}, date=EARLIER)),
    )
    broken = Outcome(
        name="two",
        title="what fails",
        date=DATE,
        seconds=3.0,
        loads=(1.0, 1.0),
        failed="it ended with 3 (no room)",
    )
    text = markdown(
        results(
            found,
            broken,
            not_run={"three": 'duckdb is not installed: pip install "cinegen-studio[analytics]"'},
        )
    )
    assert "| a \\| time | 1,234 ms | 1,200 to 1,300 | - | new |" in text
    assert "| ratio | 1.25 | 1.20 to 1.30 | <= 1.1: **NOT KEPT** | **worse** by 25 % |" in text
    assert "* nothing is lost: kept" in text
    assert "* old: gone; it was 3 %" in text
    assert "| one | 1 min 1 s | 1 kept, 1 **NOT KEPT** | 2 | 1 worse, 1 new, 1 gone |" in text
    assert "**It failed, and there are no figures: it ended with 3 (no room).**" in text
    assert "| two | 3 s | **FAILED** | - | - |" in text
    assert '* three: duckdb is not installed: pip install "cinegen-studio[analytics]"' in text
    assert (
        "A processor, 2 cores, 23.5 GB, Python 3.11.7, Some Linux; load 0.10 at the start and 1.20 at the end"
        in text
    )
    assert "quick run" not in text
    assert "**A quick run" in markdown(results(found, quick=True))


def test_the_table_comes_out_of_the_json_byte_for_byte() -> None:
    found = told_against(
        outcome({"ratio": ratio(1.25, 1.2, 1.3)}), results(outcome({"ratio": ratio(1.0, 0.9, 1.1)}))
    )
    kept = results(found)
    assert markdown(Results.model_validate_json(kept.model_dump_json(indent=1))) == markdown(kept)


def test_the_committed_table_says_what_the_committed_figures_say() -> None:
    table, figures = ROOT / TABLE, ROOT / RESULTS
    assert table.exists() == figures.exists(), (
        "RESULTS.md and results.json are written and committed together"
    )
    if figures.exists():
        kept = Results.model_validate_json(figures.read_bytes())
        assert not kept.quick, "what is committed is a full run"
        assert table.read_text(encoding="utf-8") == markdown(kept)


@pytest.mark.parametrize(
    ("value", "words"),
    [
        (0.0, "0"),
        (0.01234, "0.0123"),
        (0.5, "0.500"),
        (1.234, "1.23"),
        (12.34, "12.3"),
        (1234.5, "1,234"),
        (-2.5, "-2.50"),
        (3.0, "3"),
    ],
)
def test_numbers_have_three_digits_that_count(value: float, words: str) -> None:
    assert number(value) == words


# The runner, with small programs.

WRITES = """
import json, sys
file = sys.argv[sys.argv.index("--json") + 1]
print("halfway", file=sys.stderr)
json.dump({"name": "good", "figures": {"time": {"value": 2.0, "unit": "ms", "low": 1.5, "high": 2.5, "of": "more"}}}, open(file, "w"))
"""
FAILS = "import sys; print('there is no room on the disk', file=sys.stderr); sys.exit(3)"
WAITS = "import subprocess, sys; subprocess.run([sys.executable, '-c', 'import signal; signal.pause()'])"
SAYS_NOTHING = "pass"


def program(
    name: str, code: str, *, minutes: float = 2.0, needs: tuple[tuple[str, str], ...] = ()
) -> Benchmark:
    return Benchmark(
        name, f"about {name}", (), (), (minutes, minutes), needs=needs, command=(sys.executable, "-c", code)
    )


def test_what_fails_is_told_of_and_the_others_go_on(tmp_path: Path) -> None:
    said: list[str] = []
    benchmarks = [
        program("bad", FAILS),
        program("lacking", WRITES, needs=(("no_such_package", "scale"),)),
        program("silent", SAYS_NOTHING),
        program("good", WRITES),
        program("unwanted", WRITES),
    ]
    found = run_all(
        benchmarks,
        ["bad", "lacking", "silent", "good"],
        quick=False,
        date=DATE,
        machine=HERE,
        say=said.append,
    )
    assert found.failed == ("bad", "silent")
    bad, silent, good = found.outcomes
    assert bad.failed == "it ended with 3 (there is no room on the disk)"
    assert silent.failed == "it wrote no figures (No such file or directory)"
    assert good.report is not None
    assert good.report.figures == {"time": Figure(value=2.0, unit="ms", low=1.5, high=2.5)}
    assert found.not_run == {
        "lacking": 'no_such_package is not installed: pip install "cinegen-studio[scale]"',
        "unwanted": "not asked for",
    }
    assert "    good: halfway" in said
    assert any(line.startswith("[1/4] bad: FAILED: it ended with 3") for line in said)


def test_of_one_that_has_very_many_figures_only_the_headlines_are_shown(tmp_path: Path) -> None:
    for headlines, shown in (("^ti", ["time"]), ("seconds$", None)):
        benchmark = program("good", WRITES)._replace(headlines=headlines)
        report = run(benchmark, quick=False, date=DATE, folder=tmp_path, say=lambda words: None).report
        assert (report and list(report.figures)) == shown, "one that shows nothing has failed"


def test_what_takes_too_long_is_ended_with_all_that_it_started(tmp_path: Path) -> None:
    # That it comes back at all says that nothing holds its output open any more.
    found = run(
        program("endless", WAITS, minutes=0.02),
        quick=False,
        date=DATE,
        folder=tmp_path,
        say=lambda words: None,
    )
    assert found.failed == "it was ended because it took longer than 1 s"
    assert found.report is None


def test_figures_that_cannot_be_read_are_a_failure(tmp_path: Path) -> None:
    file = tmp_path / "figures.json"
    file.write_text(
        json.dumps({"name": "one", "figures": {"time": {"value": "fast", "unit": "ms"}}}), encoding="utf-8"
    )
    with pytest.raises(FiguresError, match=r"figures.time.value"):
        read(file)
    report = Report(
        name="one",
        figures={"time": milliseconds(2.0, 1.0, 3.0)},
        promises=(Promise(words="<= 3 ms", kept=True, figure="time"),),
    )
    write(report, file)
    assert read(file) == report


def test_a_run_of_all_writes_both_files_compares_with_those_before_and_says_in_the_end_that_one_failed(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file, table = tmp_path / "results.json", tmp_path / "RESULTS.md"
    options = ["--json", str(file), "--out", str(table), "--against", str(file)]
    assert main([*options, "--date", EARLIER], [program("good", WRITES), program("other", WRITES)]) == 0
    assert "Nothing to compare with: there is no" in table.read_text(encoding="utf-8")
    assert (
        main(
            [*options, "--date", DATE, "--only", "good"], [program("good", WRITES), program("other", WRITES)]
        )
        == 0
    )
    text = table.read_text(encoding="utf-8")
    assert text == markdown(Results.model_validate_json(file.read_bytes()))
    assert f"Compared with {file} of {EARLIER}" in text
    assert "| time | 2 ms | 1.50 to 2.50 | - | same |" in text
    assert f"* other: not asked for; the figures above are of {EARLIER}" in text
    assert main(options, [program("good", WRITES), program("other", FAILS)]) == 1
    assert capsys.readouterr().err.endswith("FAILED: other\n")


def test_a_quick_run_writes_nothing_that_is_not_asked_for(capsys: pytest.CaptureFixture[str]) -> None:
    committed = [(ROOT / file).read_bytes() if (ROOT / file).exists() else None for file in (TABLE, RESULTS)]
    assert main(["--quick"], [program("good", WRITES)]) == 0
    assert "**A quick run" in capsys.readouterr().out
    assert committed == [
        (ROOT / file).read_bytes() if (ROOT / file).exists() else None for file in (TABLE, RESULTS)
    ]


def test_a_benchmark_that_is_not_known_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit, match="2"):
        main(["--only", "nothing"])
    assert "invalid choice: 'nothing'" in capsys.readouterr().err


def test_the_facts_of_this_machine_name_nobody() -> None:
    machine = this_machine()
    assert machine.cores >= 1
    assert machine.memory > 0
    assert machine.like(machine)
    assert str(Path.home()) not in machine.model_dump_json()


# Each of them.


def test_every_benchmark_is_known_to_the_runner() -> None:
    there = {file.stem for file in (ROOT / "benchmarks").glob("*.py")}
    known = {one.name for one in ALL}
    parts = PARTS | {name for name in there for one in known if name.startswith(f"{one}_")}
    assert there - parts == known
    assert len({one.name for one in ALL}) == len(ALL)
    assert all(quick <= full for full, quick in (one.minutes for one in ALL))


@pytest.mark.parametrize("name", [one.name for one in ALL])
def test_every_benchmark_says_how_it_is_called_and_writes_figures(
    name: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "argv", [name, "--help"])
    with pytest.raises(SystemExit, match="0"):
        importlib.import_module(f"benchmarks.{name}").main()
    told = capsys.readouterr().out
    benchmark = next(one for one in ALL if one.name == name)
    for option in (
        "--json",
        "--out",
        *(one for one in (*benchmark.full, *benchmark.quick) if one.startswith("--")),
    ):
        assert option in told, option


def test_a_benchmark_writes_figures_that_the_runner_can_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "figures.json"
    monkeypatch.setattr(flags_speed, "PEOPLE", flags_speed.PEOPLE[:500])
    monkeypatch.setattr(sys, "argv", ["flags_speed", "--repeats", "2", "--json", str(file)])
    flags_speed.main()
    report = read(file)
    assert report.name == "flags_speed"
    assert {promise.figure for promise in report.promises} <= set(report.figures)
    assert "# The speed of flags" in capsys.readouterr().out


# Growth.


def grown(written: float, others: float) -> growth.Found:
    """What would have been measured where a store of a hundred times the size takes so many times the time."""
    sizes, times = (100, 10_000), {100: 1.0}
    seconds = {
        what: {size: [times.get(size, written if what == growth.WRITTEN else others)] * 9 for size in sizes}
        for what in growth.DOES
    }
    return growth.Found(sizes, seconds, dict.fromkeys(sizes, 1.0))


def test_writing_has_to_stay_flat_and_the_rest_to_grow_slower_than_the_store() -> None:
    assert all(promise.kept for promise in growth.promises(grown(1.09, 99.0)))
    kept = {
        what: promise.kept
        for what, promise in zip(growth.DOES, growth.promises(grown(1.2, 101.0)), strict=True)
    }
    assert not any(kept.values())


def test_the_report_on_growth_says_how_things_grow() -> None:
    found = grown(1.05, 10.0)
    text = growth.report(found, date=DATE, before=0.5)
    assert growth.power(found, growth.WRITTEN) == "flat"
    assert growth.power(found, "metrics") == "n^0.50"
    assert "| n^0.50 |" in text
    assert "* write an episode and keep it: flat within 10 % from 100 to 10,000 episodes: kept" in text
    report = growth.figures(found)
    assert all(promise.figure in report.figures for promise in report.promises)
    changes: dict[str, Change] = compare(report, report, same_machine=True)
    assert {one.verdict for one in changes.values()} == {"same"}
