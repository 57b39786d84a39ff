"""Which settings of a trigger roll back what they should, soon, and nothing else: replays over simulated days whose troubles are known.

A **block** is six simulated days (see `plan`): on five of them an incident of four hours, on the sixth four hours in which everything
is worse but within what is allowed, and on all of them two blips of a few minutes which nobody would want a rollback for. Every setting
replays every block by itself, with the studio's own fold (`cinegen_core.flags.replay`), and is held against what was planted. A person
re-arms what was rolled back three times a day, so that one false rollback does not hide what comes after it.

Replaying the whole grid takes minutes, so its outcomes are kept in a small table:
`python -m cinegen_core.analysis.tuning_days --made YYYY-MM-DD`.
"""

from __future__ import annotations

import argparse
import random
import sys
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, date, datetime, timedelta
from io import StringIO
from itertools import product
from pathlib import Path
from typing import NamedTuple

import pandas as pd

from cinegen_core.flags.declared import load_declared
from cinegen_core.flags.journal import flag_subject, fold
from cinegen_core.flags.model import Change, Declared, FlagOverlay, Metric, Sample, Trigger
from cinegen_core.flags.replay import replay
from cinegen_core.monitor.events import Event, GenerationEvent
from cinegen_core.monitor.metrics import flag_samples
from cinegen_core.settings import Settings
from cinegen_core.simulation import Incident, Pool, Truth, shipped_pool, simulate
from cinegen_core.simulation.incidents import FLAG, ROLLED_OUT, Kind

WATCHED = "comprehensive_engines"
"""The flag that is watched besides that of a bad rollout."""

HARMS: Mapping[Metric, frozenset[Kind]] = {
    "quality": frozenset({"quality-drop", "provider-outage", "bad-rollout"}),
    "error": frozenset({"quality-drop", "provider-outage", "bad-rollout"}),
    "seconds": frozenset({"slow-model"}),
}
"""The incidents that take a metric beyond the threshold which the studio promises, and so ought to be rolled back for it. Whoever tries
another threshold is still held against these."""

DAYS: tuple[Kind | None, ...] = (
    "quality-drop",
    "slow-model",
    "provider-outage",
    "bad-rollout",
    "engine-failure",
    None,
)
"""What goes wrong on each day of a block; engines that fail touch none of the metrics, and nothing should be rolled back for them."""

BLIPS: tuple[Kind, ...] = ("quality-drop", "slow-model", "provider-outage")
BLIP_MINUTES = (4, 12)
LASTS = timedelta(hours=4)

WORTH = timedelta(minutes=30)
"""What lasts less is over before a person has come: to roll back for it is false."""

LATE = timedelta(minutes=2)
"""An answer asked for during an incident may come so long after it: the hard budget of a request."""

WORSE_QUALITY = 0.7
"""Points (0..10, the guide's) that answers are worse by while that is still allowed."""

SLOWER = 3.5
"""How many times as long they take then, up to the hard budget."""

MORE_ERRORS = 0.05
"""The share of them that fail then."""

MOST_SECONDS = 120.0

REARMED = (7, 11, 20)
"""Hours (UTC) at which a person re-arms whatever was rolled back."""

RATES: Mapping[int, int] = {20: 12, 100: 6}
"""Episodes an hour, and how many blocks of such days the table holds."""

START = datetime(2026, 1, 5, tzinfo=UTC)
COMMAND = "python -m cinegen_core.analysis.tuning_days"
SETTING = ["trigger", "policy", "threshold", "window", "samples", "bound"]
"""The columns that say which setting a row is of; the window in minutes."""

COLUMNS = ["rate", "block", *SETTING, "false", "caught", "missed", "masked", "harmed"]


class TableError(ValueError):
    """The table of outcomes cannot be used. The message says which, and what to do."""


class Planted(NamedTuple):
    """One block: its samples, what was planted, since when for four hours all was worse within what is `allowed`, and the journal of
    whoever rolled the bad flag out and re-armed what was off."""

    rate: int
    block: int
    end: datetime
    declared: Declared
    samples: tuple[Sample, ...]
    truth: tuple[Truth, ...]
    allowed: datetime
    changes: tuple[Change, ...]


class Outcome(NamedTuple):
    """How one setting did in one block: rollbacks that were `false`; incidents it should have ended that it `caught` or `missed`, or that
    met a flag which was already off (`masked`); and the minutes of them that were `harmed`, until the rollback or their end."""

    false: int
    caught: int
    missed: int
    masked: int
    harmed: float


class Table(NamedTuple):
    """Outcomes by `COLUMNS`, and what the head of the file says of how they were made."""

    frame: pd.DataFrame
    head: Mapping[str, str]


def plan(block: int) -> tuple[Incident, ...]:
    """What is planted in a block: by day one of `DAYS` for four hours from between 12 and 13 h, and two blips in the morning."""
    rng = random.Random(f"planted {block}")  # noqa: S311 (the same chance everywhere is what is wanted)
    found: list[Incident] = []
    for day, kind in enumerate(DAYS):
        begin = timedelta(days=day)
        for hour in (4, 8):
            start = begin + timedelta(hours=hour, minutes=rng.randrange(120))
            lasts = timedelta(minutes=rng.randint(*BLIP_MINUTES))
            found.append(Incident(kind=rng.choice(BLIPS), start=start, lasts=lasts))
        start = begin + timedelta(hours=12, minutes=rng.randrange(60))
        if kind is not None:
            found.append(Incident(kind=kind, start=start, lasts=LASTS))
    return tuple(found)


def planted(block: int, *, rate: int, declared: Declared, pool: Pool) -> Planted:
    """One block of simulated days (`rate` episodes an hour), the same every time. No trigger acts in it: every incident lasts to its
    planted end. `block` counts from 1. Raises `ValueError` where the flags do not declare the two that are watched."""
    if WATCHED not in declared.flags:
        raise ValueError(f"the flags do not declare {WATCHED}, which is watched on the planted days")
    simulation = simulate(
        pool,
        start=START,
        days=len(DAYS),
        rate=rate,
        seed=block,
        incidents=plan(block),
        declared=declared.model_copy(update={"triggers": {}}),
        readers=False,
    )
    allowed = START + timedelta(days=DAYS.index(None), hours=12)
    samples = _worse(samples_of(simulation), allowed, random.Random(f"allowed {block}"))  # noqa: S311
    rolled_out = [one for one in simulation.truth if one.kind == "bad-rollout"]
    return Planted(
        rate,
        block,
        simulation.end,
        declared,
        samples,
        simulation.truth,
        allowed,
        _journal(simulation.start, rolled_out),
    )


def samples_of(events: Iterable[Event]) -> tuple[Sample, ...]:
    """What triggers see of events: the answers that count, and whose flags are known."""
    answers = (event for event in events if isinstance(event, GenerationEvent))
    return tuple(flag_samples(event for event in answers if event.counts and event.flags))


def grid(trigger: Trigger) -> tuple[Trigger, ...]:
    """A trigger's settings to try, the declared one first: thresholds on both sides of it; with the policy `evidence` bounds from 10 to
    10,000, with `literal` windows of half, once and twice its length, and 5 and 20 samples at least."""
    nearer = {
        "quality": (trigger.threshold - 0.5, trigger.threshold + 0.5),
        "error": (trigger.threshold / 2, trigger.threshold * 2),
        "seconds": (trigger.threshold * 0.7, trigger.threshold * 1.2),
    }[trigger.metric]
    inside = [one for one in nearer if trigger.low < one < trigger.high]
    thresholds = [trigger.threshold, *(round(one, 4) for one in inside)]
    found = [trigger]
    for threshold, bound in product(thresholds, (10.0, 100.0, 1000.0, 10_000.0)):
        found.append(_changed(trigger, threshold=threshold, policy="evidence", bound=bound))
    windows = (trigger.minutes / 2, trigger.minutes, trigger.minutes * 2)
    for threshold, minutes, samples in product(thresholds, windows, (5, 20)):
        found.append(
            _changed(trigger, threshold=threshold, policy="literal", minutes=minutes, samples=samples)
        )
    return tuple(dict.fromkeys(found))


def tried(days: Planted, trigger: Trigger) -> Outcome:
    """What a setting would have done with a block, held against what was planted in it."""
    alone = days.declared.model_copy(
        update={
            "flags": {key: days.declared.flags[key] for key in (WATCHED, FLAG)},
            "rollouts": {},
            "triggers": {trigger.key: _changed(trigger, flags=(WATCHED, FLAG))},
        }
    )
    called = [one.action for one in replay(days.samples, days.changes, alone, until=days.end)]
    rollbacks = [(action.at, action.flag) for action in called if action.kind == "roll_back"]
    return judged(rollbacks, days.truth, trigger.metric)


def judged(rollbacks: Iterable[tuple[datetime, str]], truth: Iterable[Truth], metric: Metric) -> Outcome:
    """Rollbacks (moment and flag) held against what was planted. One is right during an incident that harms the metric and lasts at
    least `WORTH`, and of the flag that it harms; of a bad rollout that is the flag rolled out, and no other."""
    harmful = [one for one in truth if one.kind in HARMS[metric] and one.end - one.start >= WORTH]
    ended: dict[datetime, datetime] = {}
    false: list[tuple[datetime, str]] = []
    for at, flag in rollbacks:
        hit = next((one for one in harmful if one.start <= at < one.end + LATE and flag == _flag(one)), None)
        if hit is None:
            false.append((at, flag))
        else:
            ended.setdefault(hit.start, at)
    missed = masked = 0
    harmed = 0.0
    for one in harmful:
        before = _rearmed_before(one.start)
        if one.start in ended:
            harmed += min(ended[one.start] - one.start, one.end - one.start) / timedelta(minutes=1)
        elif any(before <= at < one.start and flag == _flag(one) for at, flag in false):
            masked += 1
        else:
            missed += 1
            harmed += (one.end - one.start) / timedelta(minutes=1)
    return Outcome(len(false), len(ended), missed, masked, round(harmed, 1))


def outcomes(days: Planted, settings: Iterable[Trigger]) -> pd.DataFrame:
    """Every setting tried on a block: a row each, by `COLUMNS`."""
    rows = [(days.rate, days.block, *setting_of(one), *tried(days, one)) for one in settings]
    return pd.DataFrame(rows, columns=COLUMNS)


def setting_of(trigger: Trigger) -> tuple[str, str, float, float, int, float]:
    """A setting as the columns `SETTING` have it."""
    return (
        trigger.key,
        trigger.policy,
        float(trigger.threshold),
        float(trigger.minutes),
        trigger.samples,
        float(trigger.bound),
    )


def setting_from(row: Sequence[object], declared: Mapping[str, Trigger]) -> Trigger:
    """The trigger that a row's `SETTING` columns are of. Raises `KeyError` for one that is not declared."""
    key, policy, threshold, minutes, samples, bound = row
    return _changed(
        declared[str(key)],
        policy=policy,
        threshold=threshold,
        minutes=minutes,
        samples=int(str(samples)),
        bound=bound,
    )


def setting_words(trigger: Trigger) -> str:
    """A setting in a few words: "evidence, below 7, 1,000 to 1"."""
    beyond = f"{trigger.policy}, {trigger.worse} {_amount(trigger)}"
    if trigger.policy == "evidence":
        return f"{beyond}, {trigger.bound:,.0f} to 1"
    return f"{beyond}, {trigger.minutes:g} min, {trigger.samples} samples"


def fired(
    samples: Sequence[Sample], changes: Sequence[Change], declared: Declared, settings: Iterable[Trigger]
) -> pd.DataFrame:
    """What each setting would have called for over what was recorded, where nobody knows what was right: `warnings`, `rollbacks`,
    `days` with one, and the `first`. Whatever is rolled back is re-armed at the next midnight (UTC), to count the days that follow too.

    `changes` are the journal's. Raises `JournalError` for a change that cannot be understood.
    """
    rearmed = _with_midnights(samples, changes, declared)
    rows = []
    for one in settings:
        found = replay(samples, rearmed, declared, triggers={one.key: one})
        rollbacks = [each.action for each in found if each.action.kind == "roll_back"]
        rows.append(
            {
                "trigger": one.key,
                "setting": setting_words(one),
                "warnings": sum(each.action.kind == "warn" for each in found),
                "rollbacks": len(rollbacks),
                "days": len({action.at.date() for action in rollbacks}),
                "first": f"{rollbacks[0].at:%Y-%m-%d %H:%M}, {rollbacks[0].flag}" if rollbacks else "none",
            }
        )
    return pd.DataFrame(rows, columns=["trigger", "setting", "warnings", "rollbacks", "days", "first"])


def nearest_rate(samples: Sequence[Sample], rates: Iterable[int]) -> int:
    """The rate of the table that is nearest to these samples' (by ratio), the lowest where there are too few to tell."""
    known = sorted(rates)
    hours = (samples[-1].at - samples[0].at) / timedelta(hours=1) if len(samples) > 1 else 0.0
    if hours <= 0:
        return known[0]
    rate = len(samples) / hours
    return min(known, key=lambda one: max(one / rate, rate / one))


def table_text(frame: pd.DataFrame, *, made: date, pool: Pool) -> str:
    """The table as a file: a head of comments that says when and how it was made, and CSV."""
    head = (
        f"# made: {made.isoformat()}\n# scorer: {pool.header.scorer}\n# pool: {pool.header.code}\n"
        f"# command: {COMMAND} --made {made.isoformat()}\n"
    )
    return head + str(frame.to_csv(index=False, float_format="%g", lineterminator="\n"))


def read_table(path: Path) -> Table:
    """The table of outcomes. Raises `TableError`."""
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise TableError(f"{path}: the table cannot be read ({error}). Make it: {COMMAND}.") from error
    lines = text.splitlines()
    head = dict(line[2:].split(": ", 1) for line in lines if line.startswith("# ") and ": " in line)
    body = "\n".join(line for line in lines if not line.startswith("#"))
    try:
        frame = pd.read_csv(StringIO(body))
    except (pd.errors.EmptyDataError, pd.errors.ParserError) as error:
        raise TableError(f"{path}: this is no table of outcomes ({error}). Make it: {COMMAND}.") from error
    if list(frame.columns) != COLUMNS:
        raise TableError(f"{path}: its columns are not {', '.join(COLUMNS)}. Make it again: {COMMAND}.")
    whole = dict.fromkeys(("threshold", "window", "bound", "harmed"), float)
    return Table(frame.astype(whole), head)


def rows_that_differ(made: pd.DataFrame, table: Table) -> int:
    """How many of these outcomes, made just now, the table does not have just so. 0: it can be rebuilt."""
    kept = set(table.frame.itertuples(index=False, name=None))
    return sum(row not in kept for row in made.itertuples(index=False, name=None))


def rebuilt_words(made: pd.DataFrame, table: Table) -> str:
    """Whether outcomes that were made just now are those of the table, in a sentence."""
    differ = rows_that_differ(made, table)
    whence = f"the table of {table.head.get('made', 'an unknown day')} ({len(table.frame):,} outcomes, scorer {table.head.get('scorer', 'unknown')})"
    if not differ:
        return f"All {len(made)} outcomes made just now are in {whence}: it can be rebuilt."
    return f"{differ} of {len(made)} outcomes made just now are not in {whence}. It is of other flags or another pool; make it again: {COMMAND}."


def truth_frame(days: Planted) -> pd.DataFrame:
    """What was planted in a block, for people to read: `day`, `from` (UTC), `minutes`, `what`, and for which metrics to roll it back."""
    rows = []
    for one in days.truth:
        lasts = one.end - one.start
        due = [metric for metric, kinds in HARMS.items() if one.kind in kinds and lasts >= WORTH]
        rows.append(
            {
                "day": (one.start - START).days + 1,
                "from": f"{one.start:%H:%M}",
                "minutes": int(lasts / timedelta(minutes=1)),
                "what": f"{one.kind}: {one.words}",
                "to be rolled back for": ", ".join(due) or "nothing",
            }
        )
    rows.append(
        {
            "day": (days.allowed - START).days + 1,
            "from": f"{days.allowed:%H:%M}",
            "minutes": int(LASTS / timedelta(minutes=1)),
            "what": f"allowed: quality {WORSE_QUALITY:g} lower, {SLOWER:g} times as slow, {MORE_ERRORS:.0%} errors",
            "to be rolled back for": "nothing",
        }
    )
    return pd.DataFrame(rows).sort_values(["day", "from"], ignore_index=True)


def _worse(samples: Iterable[Sample], since: datetime, rng: random.Random) -> tuple[Sample, ...]:
    """The samples, for as long as an incident lasts worse than they were. The simulation has no incident so mild."""
    return tuple(
        sample.model_copy(
            update={
                "quality": None if sample.quality is None else max(0.0, sample.quality - WORSE_QUALITY),
                "seconds": min(MOST_SECONDS, sample.seconds * SLOWER),
                "error": sample.error or rng.random() < MORE_ERRORS,
            }
        )
        if since <= sample.at < since + LASTS
        else sample
        for sample in samples
    )


def _flag(one: Truth) -> str:
    return FLAG if one.kind == "bad-rollout" else WATCHED


def _rearmed_before(at: datetime) -> datetime:
    midnight = at.replace(hour=0, minute=0, second=0, microsecond=0)
    times = [midnight + timedelta(hours=hour) for hour in (-24 + REARMED[-1], *REARMED)]
    return max(time for time in times if time <= at)


def _journal(start: datetime, rolled_out: Sequence[Truth]) -> tuple[Change, ...]:
    on = FlagOverlay(enabled=True, percent=ROLLED_OUT).model_dump(mode="json")
    made: list[Change] = []
    for one in rolled_out:
        made.append(_change(one.start, "set", FLAG, "it is rolled out", on))
        made.append(_change(one.end, "set", FLAG, "it does harm", None))
    for day, hour in product(range(len(DAYS)), REARMED):
        at = start + timedelta(days=day, hours=hour)
        made += [_change(at, "rearm", flag, "all is well again", None) for flag in (WATCHED, FLAG)]
    return _numbered(made)


def _with_midnights(
    samples: Sequence[Sample], changes: Sequence[Change], declared: Declared
) -> tuple[Change, ...]:
    made = list(changes)
    for day in sorted({sample.at.astimezone(UTC).date() for sample in samples})[1:]:
        at = datetime(day.year, day.month, day.day, tzinfo=UTC)
        overlay = fold([change for change in changes if change.at <= at])
        for flag in declared.flags:
            over = overlay.flags.get(flag)
            after = (
                None if over is None else over.model_copy(update={"latched": None}).model_dump(mode="json")
            )
            made.append(_change(at, "rearm", flag, "looked at again", after))
    return _numbered(made)


def _change(at: datetime, kind: str, flag: str, why: str, after: dict[str, object] | None) -> Change:
    return Change.model_validate(
        {"version": 1, "at": at, "who": "an operator", "why": why, "kind": kind,
         "subject": flag_subject(flag), "after": after}
    )  # fmt: skip


def _numbered(changes: Iterable[Change]) -> tuple[Change, ...]:
    ordered = sorted(changes, key=lambda change: change.at)
    return tuple(
        change.model_copy(update={"version": number}) for number, change in enumerate(ordered, start=1)
    )


def _changed(trigger: Trigger, **changes: object) -> Trigger:
    return Trigger.model_validate({**trigger.model_dump(), **changes})


def _amount(trigger: Trigger) -> str:
    if trigger.metric == "error":
        return f"{100 * trigger.threshold:g} %"
    return f"{trigger.threshold:g} s" if trigger.metric == "seconds" else f"{trigger.threshold:g}"


def main(given: Sequence[str] | None = None, *, rates: Mapping[int, int] = RATES) -> int:
    """Makes the table and writes it. The day that it is made is given, not read from a clock; `rates` as `RATES`."""
    parser = argparse.ArgumentParser(prog=COMMAND, description="Tries every setting on the planted days.")
    parser.add_argument("--made", type=date.fromisoformat, required=True, help="today, as YYYY-MM-DD")
    parser.add_argument("--out", type=Path, default=Path("notebooks/data/threshold_tuning.csv"))
    parser.add_argument("--flags", type=Path, default=Settings.load({}).flags_file, help="flags.toml")
    asked = parser.parse_args(given)
    declared, pool = load_declared(asked.flags), shipped_pool()
    settings = [one for trigger in declared.triggers.values() for one in grid(trigger)]
    parts = [
        outcomes(planted(block, rate=rate, declared=declared, pool=pool), settings)
        for rate, blocks in rates.items()
        for block in range(1, blocks + 1)
    ]
    asked.out.parent.mkdir(parents=True, exist_ok=True)
    frame = pd.concat(parts, ignore_index=True)
    asked.out.write_text(table_text(frame, made=asked.made, pool=pool), encoding="utf-8")
    sys.stdout.write(f"{len(frame):,} outcomes of {len(settings)} settings: {asked.out}\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
