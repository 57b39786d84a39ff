"""From what settings did on planted days to one that is proposed: what they cost, how sure that is, and flags.toml as it would be then.

Nothing here writes a file: what is proposed is a difference for a person to read. The days, and how a setting is held against them,
are in `cinegen_core.analysis.tuning_days`.
"""

from __future__ import annotations

import difflib
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
import tomlkit
from numpy.typing import NDArray

from cinegen_core.analysis.tuning_days import (
    COMMAND,
    DAYS,
    SETTING,
    TableError,
    grid,
    setting_from,
    setting_of,
    setting_words,
)
from cinegen_core.flags.declared import read_declared
from cinegen_core.flags.model import Trigger

DRAWS = 2000
SEED = 7
SURE = 0.9
"""How much of the resamples an interval holds."""

Numbers = NDArray[np.float64]


class Costs(NamedTuple):
    """What a false rollback costs, and a minute of an incident until its rollback: two numbers in one unit, whichever. They stand for
    how often things happen, too: where real incidents come ten times as rarely as on planted days, a minute is a tenth."""

    false: float
    minute: float


class Choice(NamedTuple):
    """The setting of one trigger that costs least, chosen on the blocks with odd numbers, and measured against the declared one on the
    others: `gain` is what it saves there (costs a day), from `low` to `high` in nine of ten resamples. `wins` is the share of resamples
    of all blocks in which no setting costs less, `rivals` how many others cannot be told from it. `proposed`: it differs, and saves
    for sure."""

    rate: int
    declared: Trigger
    best: Trigger
    gain: float
    low: float
    high: float
    wins: float
    rivals: int
    proposed: bool


def priced(
    outcomes: pd.DataFrame,
    declared: Trigger,
    *,
    rate: int,
    costs: Costs,
    promised: bool = False,
    seed: int = SEED,
) -> pd.DataFrame:
    """One row a setting, the declared one first: `false` rollbacks a day, `minutes` of an incident until its rollback (its whole length
    where it was missed), the share `missed`, the `cost` a day with its interval `low` to `high` (blocks drawn again with replacement:
    Efron, "Bootstrap methods", Annals of Statistics 7, 1979), and `wins`, the share of resamples in which it costs least.

    With `promised` only settings with the declared threshold. Raises `TableError` where the table does not hold the declared trigger.
    """
    settings = _settings(outcomes, declared, promised)
    shown = _by_block(outcomes, settings, rate)
    spent = _spent(shown, costs)
    draws = _resampled(spent, seed)
    low, high = _interval(draws)
    wins = np.bincount(draws.argmin(axis=0), minlength=len(settings)) / draws.shape[1]
    rows = []
    for place, one in enumerate(settings):
        mine = shown[place]
        met = int(mine["caught"].sum() + mine["missed"].sum())
        rows.append(
            {
                **dict(zip(SETTING, setting_of(one), strict=True)),
                "setting": setting_words(one),
                "declared": setting_of(one) == setting_of(declared),
                "false": float(mine["false"].sum()) / (len(DAYS) * len(mine)),
                "minutes": float(mine["harmed"].sum()) / met if met else float("nan"),
                "missed": int(mine["missed"].sum()) / met if met else float("nan"),
                "cost": float(spent[place].mean()),
                "low": float(low[place]),
                "high": float(high[place]),
                "wins": float(wins[place]),
            }
        )
    return pd.DataFrame(rows)


def choose(
    outcomes: pd.DataFrame,
    declared: Trigger,
    *,
    rate: int,
    costs: Costs,
    promised: bool = True,
    seed: int = SEED,
) -> Choice:
    """The setting that costs least. What it saves is measured on other blocks than those it was chosen on, since the best of many is
    always better than it will turn out. Raises `TableError` as `priced` does, or for fewer than four blocks."""
    settings = _settings(outcomes, declared, promised)
    spent = _spent(_by_block(outcomes, settings, rate), costs)
    if spent.shape[1] < 4:
        raise TableError(
            f"at {rate} an hour there are {spent.shape[1]} blocks: choosing takes four or more. Run {COMMAND}."
        )
    best = int(spent[:, 0::2].mean(axis=1).argmin())
    saved = spent[0, 1::2] - spent[best, 1::2]
    low, high = _interval(_resampled(saved[np.newaxis, :], seed))
    against = _resampled(spent - spent[best], seed)
    rivals_low, _ = _interval(against)
    whole = _resampled(spent, seed)
    return Choice(
        rate,
        declared,
        settings[best],
        float(saved.mean()),
        float(low[0]),
        float(high[0]),
        float((whole[best] <= whole.min(axis=0)).mean()),
        int((rivals_low <= 0.0).sum()) - 1,
        bool(best != 0 and low[0] > 0.0),
    )


def front(view: pd.DataFrame) -> pd.Series:
    """Which settings of `priced` no other beats on both counts: none is as quick with fewer false rollbacks, or as rarely false and
    quicker."""
    false, minutes = view["false"].to_numpy(), view["minutes"].to_numpy()
    beaten = [
        bool(np.any((false <= f) & (minutes <= m) & ((false < f) | (minutes < m))))
        for f, m in zip(false, minutes, strict=True)
    ]
    return pd.Series([not one for one in beaten], index=view.index)


def choice_words(choice: Choice) -> str:
    """What was found of one trigger, in two sentences."""
    key, declared, best = choice.declared.key, setting_words(choice.declared), setting_words(choice.best)
    saved = f"{_cost(choice.gain)} a day (90 %: {_cost(choice.low)} to {_cost(choice.high)})"
    others = (
        "no other can be told from it"
        if not choice.rivals
        else f"{choice.rivals} other{'s' if choice.rivals > 1 else ''} cannot be told from it"
    )
    at = f"{key}, at {choice.rate} episodes an hour:"
    if setting_of(choice.best) == setting_of(choice.declared):
        return f"{at} what is declared ({declared}) costs least; {others.replace('other', 'other setting', 1)}. No change is proposed."
    verdict = (
        "It is proposed."
        if choice.proposed
        else "That is not sure enough to change what is declared: no change is proposed."
    )
    return (
        f"{at} {best} costs least in {100 * choice.wins:.0f} % of resamples, and {others}. Measured on days it was not chosen on, it saves "
        f"{saved} against what is declared ({declared}). {verdict}"
    )


def choices_frame(choices: Sequence[Choice]) -> pd.DataFrame:
    """Choices as a table: a row each."""
    return pd.DataFrame(
        [
            {
                "trigger": one.declared.key,
                "episodes an hour": one.rate,
                "declared": setting_words(one.declared),
                "costs least": setting_words(one.best),
                "saves a day": one.gain,
                "from": one.low,
                "to": one.high,
                "cheapest in": f"{100 * one.wins:.0f} %",
                "rivals": one.rivals,
                "proposed": "yes" if one.proposed else "no",
            }
            for one in choices
        ]
    )


def answer(choices: Sequence[Choice], costs: Costs) -> str:
    """The answer about triggers, in words: what to change for these costs, and what to leave."""
    changed = [one for one in choices if one.proposed]
    kept = [one.declared.key for one in choices if not one.proposed]
    head = (
        f"If a false rollback costs {costs.false:g} and a minute of an unnoticed incident {costs.minute:g}, at "
        f"{choices[0].rate} episodes an hour: "
    )
    told = [
        f"{one.declared.key} would do better as {setting_words(one.best)} than as {setting_words(one.declared)}, by {_cost(one.gain)} a day"
        for one in changed
    ]
    if kept:
        told.append(f"nothing beats what is declared for {' and '.join(kept)} with certainty")
    return head + "; ".join(told) + "."


def caution(outcomes: pd.DataFrame, choices: Sequence[Choice], fired: pd.DataFrame, costs: Costs) -> str:
    """What speaks for or against the proposals besides the days they were chosen by: the other rates of the table, and what they would
    have called for over the source's events (`fired`, as `cinegen_core.analysis.tuning_days.fired` counts it)."""
    told: list[str] = []
    counted = {
        (row["trigger"], row["setting"]): int(row["rollbacks"]) for row in fired.to_dict(orient="records")
    }
    for one in choices:
        if not one.proposed:
            continue
        key, now, then = one.declared.key, setting_words(one.declared), setting_words(one.best)
        for rate in sorted({int(rate) for rate in outcomes["rate"]} - {one.rate}):
            shown = _by_block(outcomes, [one.declared, one.best], rate)
            spent = _spent(shown, costs)
            low, high = _interval(_resampled(spent[:1] - spent[1:], SEED))
            side = (
                "saves too"
                if low[0] > 0
                else "costs more"
                if high[0] < 0
                else "cannot be told from what is declared"
            )
            told.append(
                f"at {rate} an hour the proposal for {key} {side} ({_cost((spent[0] - spent[1]).mean())} a day saved, "
                f"90 %: {_cost(low[0])} to {_cost(high[0])})"
            )
        if (key, then) in counted and (key, now) in counted:
            told.append(
                f"over the source's events {key} would have rolled back {_times(counted[key, then])} as proposed, "
                f"{_times(counted[key, now])} as declared"
            )
    return f"Before applying it: {'; '.join(told)}." if told else "There is nothing to apply."


def proposals(choices: Sequence[Choice]) -> dict[str, Trigger]:
    """The triggers that are proposed otherwise, by key, as `proposed_diff` takes them."""
    return {one.declared.key: one.best for one in choices if one.proposed}


def proposed_diff(flags_file_text: str, changes: Mapping[str, Trigger], name: str = "flags.toml") -> str:
    """The difference between a flags file and the same with these triggers, as `diff -u` writes it; empty where nothing changes.

    Only what differs is touched; comments and order stay. Raises `DeclarationError` for a file that cannot be used, also with the
    changes in it, and `ValueError` for a trigger that it does not declare or that reads another metric there.
    """
    declared = read_declared(flags_file_text, name).triggers
    document = tomlkit.parse(flags_file_text)
    tables: Any = document.get("triggers", {})
    for key, wanted in changes.items():
        if key not in declared:
            known = ", ".join(declared) or "none"
            raise ValueError(f"{name} declares no trigger {key}: there are {known}. Change one of these.")
        before, table = declared[key], tables[key]
        if (before.metric, before.worse) != (wanted.metric, wanted.worse):
            raise ValueError(
                f"{name}: {key} fires when {before.metric} is {before.worse} its threshold, which a proposal does not change."
            )
        for field in ("threshold", "minutes", "samples", "policy", "bound"):
            value = getattr(wanted, field)
            if value != getattr(before, field):
                place = wanted.worse if field == "threshold" else field
                table[place] = (
                    int(value)
                    if isinstance(value, float) and value.is_integer() and field != "threshold"
                    else value
                )
    after = tomlkit.dumps(document)
    read_declared(after, name)
    return "".join(
        difflib.unified_diff(
            flags_file_text.splitlines(keepends=True),
            after.splitlines(keepends=True),
            fromfile=name,
            tofile=f"{name}, proposed",
            n=4,
        )
    )


def _cost(cost: float) -> str:
    return f"{round(cost, 1) + 0.0:.1f}"


def _times(count: int) -> str:
    return "once" if count == 1 else f"{count} times"


def _settings(outcomes: pd.DataFrame, declared: Trigger, promised: bool) -> list[Trigger]:
    mine = outcomes[outcomes["trigger"] == declared.key][SETTING].drop_duplicates()
    known = {
        setting_of(one): one
        for one in (
            setting_from(row, {declared.key: declared}) for row in mine.itertuples(index=False, name=None)
        )
    }
    wanted = [one for one in grid(declared) if setting_of(one) in known]
    if not wanted or setting_of(wanted[0]) != setting_of(declared):
        raise TableError(
            f"the table holds no outcomes of {declared.key} as it is declared ({setting_words(declared)}). Make it again: {COMMAND}."
        )
    return [one for one in wanted if not promised or one.threshold == declared.threshold]


def _by_block(outcomes: pd.DataFrame, settings: Sequence[Trigger], rate: int) -> list[pd.DataFrame]:
    """For each setting its rows, by block."""
    mine = outcomes[outcomes["rate"] == rate].sort_values("block")
    found = dict(list(mine.groupby(SETTING, sort=False)))
    shown = [found[setting_of(one)] for one in settings if setting_of(one) in found]
    if len(shown) < len(settings) or len({tuple(one["block"]) for one in shown}) > 1:
        raise TableError(
            f"the table does not hold every setting at {rate} an hour. Make it again: {COMMAND}."
        )
    return shown


def _spent(shown: Sequence[pd.DataFrame], costs: Costs) -> Numbers:
    """Costs a day: a row for each setting, a column for each block."""
    rows = [(costs.false * one["false"] + costs.minute * one["harmed"]).to_numpy() for one in shown]
    return np.asarray(rows, dtype=np.float64) / len(DAYS)


def _resampled(spent: Numbers, seed: int) -> Numbers:
    """Means over blocks drawn again with replacement, the same blocks for all rows: rows by `DRAWS`."""
    blocks = spent.shape[1]
    drawn = np.random.default_rng(seed).integers(0, blocks, size=(DRAWS, blocks))
    return np.asarray(spent[:, drawn].mean(axis=2))


def _interval(draws: Numbers) -> tuple[Numbers, Numbers]:
    low, high = np.quantile(draws, ((1 - SURE) / 2, (1 + SURE) / 2), axis=1)
    return low, high
