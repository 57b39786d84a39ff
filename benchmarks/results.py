"""What all benchmarks found in one run: kept as JSON, told as Markdown, compared with an earlier run."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Literal

from pydantic import Field

from benchmarks.figures import Change, Machine, Promise, Report, amount, compare, spread
from cinegen_core.story.model import Noun

KEPT, NOT_KEPT = "kept", "**NOT KEPT**"
CHANGED: Sequence[Literal["better", "worse", "higher", "lower", "new", "gone"]] = ("better", "worse", "higher", "lower", "new", "gone")  # fmt: skip


class Outcome(Noun):
    """How one benchmark went. `asked` are its arguments without those that name files, `loads` the machine's before and after;
    without a `report` it failed, and `failed` says how. `against` says with what `changes` compare, or why there are none."""

    name: str
    title: str
    asked: tuple[str, ...] = ()
    date: str
    seconds: float
    loads: tuple[float, float]
    report: Report | None = None
    failed: str = ""
    smaller: str = ""
    against: str = ""
    changes: dict[str, Change] = Field(default_factory=dict)


class Results(Noun):
    """One run of all benchmarks or of some. `not_run` says by name why one was left out."""

    date: str
    quick: bool
    machine: Machine
    loads: tuple[float, float]
    outcomes: tuple[Outcome, ...]
    not_run: dict[str, str] = Field(default_factory=dict)

    @property
    def failed(self) -> tuple[str, ...]:
        return tuple(one.name for one in self.outcomes if one.report is None)

    @property
    def not_kept(self) -> tuple[tuple[str, Promise], ...]:
        """Each broken promise with the name of its benchmark."""
        return tuple(
            (one.name, promise)
            for one in self.outcomes
            if one.report is not None
            for promise in one.report.promises
            if not promise.kept
        )


def compared(now: Outcome, before: Results | None, *, machine: Machine, quick: bool, where: str) -> Outcome:
    """The outcome with how it stands to an earlier run, which `where` names; it compares only full runs of the same size."""
    if now.report is None:
        return now
    if before is None:
        return now.model_copy(update={"against": f"nothing to compare with: {where}"})
    if quick or before.quick:
        return now.model_copy(update={"against": "not compared: quick runs never are"})
    its = next((one for one in before.outcomes if one.name == now.name), None)
    if its is None or its.report is None:
        return now.model_copy(update={"against": f"nothing to compare with: it is not in {where}"})
    if its.asked != now.asked:
        words = " ".join(its.asked) or "no options"
        return now.model_copy(update={"against": f"not compared: in {where} it ran with {words}"})
    same = machine.like(before.machine)
    against = f"compared with {where} of {its.date}"
    if not same:
        against += f", from another machine ({facts(before.machine)}): only ratios and counts are"
    return now.model_copy(
        update={"against": against, "changes": compare(now.report, its.report, same_machine=same)}
    )


def carried(now: Results, before: Results | None) -> Results:
    """A run of some benchmarks, with what an earlier run of the same kind on the same machine found for the others."""
    if before is None or before.quick != now.quick or not now.machine.like(before.machine):
        return now
    ran = {one.name for one in now.outcomes}
    kept = {one.name: one for one in before.outcomes if one.name not in ran and one.name in now.not_run}
    reasons = {
        name: why if name not in kept else f"{why}; the figures above are of {kept[name].date}"
        for name, why in now.not_run.items()
    }
    return now.model_copy(update={"outcomes": (*now.outcomes, *kept.values()), "not_run": reasons})


# Words.


def facts(machine: Machine) -> str:
    return f"{machine.cpu}, {machine.cores} cores, {machine.memory:g} GB, Python {machine.python}, {machine.system}"


def lasted(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes} min {rest} s" if minutes else f"{rest} s"


def table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> list[str]:
    lines = [head, ["---"] * len(head), *rows]
    return ["| " + " | ".join(cell.replace("|", "\\|") for cell in line) + " |" for line in lines]


def sentence(words: str) -> str:
    return f"{words[:1].upper()}{words[1:]}"


def told(words: str, kept: bool) -> str:
    return f"{words}: {KEPT if kept else NOT_KEPT}"


def markdown(results: Results) -> str:
    """RESULTS.md: the same text for the same results."""
    lines = [
        "# Benchmarks",
        "",
        f"`python -m benchmarks{' --quick' if results.quick else ''}`, {results.date}; {facts(results.machine)}; load "
        f"{results.loads[0]:.2f} at the start and {results.loads[1]:.2f} at the end.",
        "",
    ]
    if results.quick:
        lines += ["**A quick run: sizes are small, to try the benchmarks out. Its figures are never compared with those of full runs.**", ""]  # fmt: skip
    against = {one.against for one in results.outcomes if one.report is not None}
    said_once = against.pop() if len(against) == 1 else ""
    lines += [
        "A value is a median. A time's spread is from the 5th to the 95th percentile of its repeats; a ratio's is how far its median can be "
        "trusted (95 %, by drawing turns again). Both are the least and the most where repeats are few. A change counts only where "
        "the spreads do not overlap. Times of one machine differ from hour to hour: look at the ratios first.",
        "",
        *([f"{sentence(said_once)}.", ""] if said_once else []),
        *_overview(results),
    ]
    for outcome in results.outcomes:
        lines += ["", *_section(outcome, said=said_once)]
    lines += ["", "## Not run", ""]
    lines += [f"* {name}: {why}" for name, why in results.not_run.items()] or ["Nothing: all of them were."]
    return "\n".join(lines) + "\n"


def _overview(results: Results) -> list[str]:
    rows = []
    for one in results.outcomes:
        if one.report is None:
            rows.append([one.name, lasted(one.seconds), "**FAILED**", "-", "-"])
            continue
        broken = sum(not promise.kept for promise in one.report.promises)
        promises = f"{len(one.report.promises) - broken} {KEPT}" + (
            f", {broken} {NOT_KEPT}" if broken else ""
        )
        counts = {verdict: sum(change.verdict == verdict for change in one.changes.values()) for verdict in CHANGED}  # fmt: skip
        moved = ", ".join(f"{count} {verdict}" for verdict, count in counts.items() if count)
        same = sum(change.verdict == "same" for change in one.changes.values())
        rows.append([
            one.name, lasted(one.seconds), promises if one.report.promises else "none made", str(len(one.report.figures)),
            "-" if not one.changes else ", ".join(filter(None, (moved, f"{same} same" if same else ""))) or "not compared",
        ])  # fmt: skip
    lines = table(["benchmark", "took", "promises", "figures", "against the last committed"], rows)
    broken_ones = [f"* {name}: {f'{one.figure}, ' if one.figure else ''}{one.words}" for name, one in results.not_kept]  # fmt: skip
    return [*lines, "", "Promises that are not kept:", "", *broken_ones] if broken_ones else lines


def _section(one: Outcome, *, said: str) -> list[str]:
    """`said` is what was said of all of them already."""
    command = " ".join((f"python -m benchmarks.{one.name}", *one.asked))
    lines = [
        f"## {one.name}: {one.title}",
        "",
        f"`{command}`, {one.date}, {lasted(one.seconds)}; load {one.loads[0]:.2f} before and {one.loads[1]:.2f} after.",
        "",
    ]
    if one.report is None:
        return [*lines, f"**It failed, and there are no figures: {one.failed}.**"]
    lines += [*_figures(one.report, one.changes), ""] if one.report.figures else []
    others = [promise for promise in one.report.promises if promise.figure not in one.report.figures]
    lines += ["Promised beside:", "", *(f"* {told(promise.words, promise.kept)}" for promise in others), ""] if others else []  # fmt: skip
    gone = [f"* {label}: {change.words}" for label, change in one.changes.items() if change.verdict == "gone"]
    lines += [*gone, ""] if gone else []
    lines += [f"{sentence(one.against)}.", ""] if one.against and one.against != said else []
    left = (*one.report.left_out, *filter(None, (one.smaller,)))
    lines += ["Left out:", "", *(f"* {words}" for words in left), ""] if left else []
    return lines[:-1]


def _figures(report: Report, changes: Mapping[str, Change]) -> list[str]:
    rows = []
    for label, figure in report.figures.items():
        promises = [told(one.words, one.kept) for one in report.promises if one.figure == label]
        meant = f" ({figure.what_it_means})" if figure.what_it_means else ""
        row = [f"{label}{meant}", amount(figure), spread(figure), "; ".join(promises) or "-"]
        rows.append([*row, changes[label].words] if label in changes else row)
    head = ["figure", "value", "spread", "promise"]
    return table([*head, "against the last committed"] if changes else head, rows)
