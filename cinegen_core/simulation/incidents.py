"""Incidents: what goes wrong in a simulated studio, when, and which alerts that should raise.

The numbers here are invented, and stand for nothing but themselves: they are large enough to be seen.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta
from itertools import pairwise
from typing import Annotated, Literal, NamedTuple, Self, get_args

from pydantic import Field, model_validator

from cinegen_core.monitor.alerts import DAY, LEAST_SAMPLES, MINUTE, RULES, Rule
from cinegen_core.story.model import Noun

Kind = Literal["provider-outage", "quality-drop", "slow-model", "engine-failure", "crash", "bad-rollout"]
KINDS: tuple[Kind, ...] = get_args(Kind)

DROP = 2.5
"""Points (0..10) that the scores of a worse model, and their dimensions, are lower by."""

SLOWER = 6.0
"""How many times as long a slow model takes."""

LOST = 0.3
"""Share of the active engines that do not deliver while engines fail: always the same ones, drawn once for the incident."""

FAILED_AFTER = 1.5
"""Seconds until an attempt whose provider is out has failed."""

FLAG = "beta_features"
"""The flag of a bad rollout, which flags.toml ships switched off."""

ROLLED_OUT = 50
"""Percent of the people to whom a bad rollout gives its flag."""

WORDS: dict[Kind, str] = {
    "provider-outage": "the provider fails, the template answers",
    "quality-drop": f"scores are {DROP:g} lower",
    "slow-model": f"answers take {SLOWER:g} times as long",
    "engine-failure": f"{LOST:.0%} of the engines do not deliver",
    "crash": "the studio is gone, and restarts at the end",
    "bad-rollout": f"a flag goes to {ROLLED_OUT} %, and those who get it are answered worse",
}

RAISES: dict[Kind, tuple[str, ...]] = {
    "provider-outage": ("quality_critical", "quality_warning", "fallback_warning"),
    "quality-drop": ("quality_critical", "quality_warning", "fallback_warning"),
    "slow-model": ("time_critical", "time_warning"),
    "engine-failure": ("engines_critical", "engines_warning"),
    "crash": ("uptime_critical",),
    "bad-rollout": ("quality_critical", "quality_warning", "fallback_warning"),
}
"""The alerts that each brings about if it lasts: lower scores fall below the threshold, and then lower tiers answer."""

SURE = 1.5
"""So many times the samples that a window needs are to be awaited in it before an alert is counted on."""

_WRITTEN = re.compile(r"(?P<kind>[a-z-]+)@(?P<start>[0-9dhm]+)\+(?P<lasts>[0-9dhm]+)")
_SPAN = re.compile(r"(?=.)(?:(?P<days>\d+)d)?(?:(?P<hours>\d+)h)?(?:(?P<minutes>\d+)m)?")


class Incident(Noun):
    """`start` from the beginning of the simulation; written `quality-drop@10d06h+3h`."""

    kind: Kind
    start: Annotated[timedelta, Field(ge=timedelta())]
    lasts: Annotated[timedelta, Field(gt=timedelta())]

    @property
    def end(self) -> timedelta:
        """From the beginning of the simulation; a bad rollout ends when it is rolled back, if that is sooner."""
        return self.start + self.lasts

    def covers(self, passed: timedelta) -> bool:
        """Whether it is going on so long after the beginning: its end is no part of it."""
        return self.start <= passed < self.end


class Truth(Noun):
    """What was planted. `expected` are the rules whose alerts must fire, `possible` those that may, by chance or because it was
    too short or too quiet for certainty. `rolled_back` is when triggers ended a bad rollout, which then is its `end`."""

    kind: Kind
    start: datetime
    end: datetime
    expected: tuple[str, ...] = ()
    possible: tuple[str, ...] = ()
    rolled_back: datetime | None = None
    words: str = ""

    @model_validator(mode="after")
    def _in_order(self) -> Self:
        if self.end < self.start:
            raise ValueError("an incident ends after it begins")
        return self


class Effect(NamedTuple):
    """What is wrong with an answer: `outage` of the provider, scores `drop` lower, `slower` times the seconds, engines `lost`."""

    outage: bool = False
    drop: float = 0.0
    slower: float = 1.0
    lost: frozenset[str] = frozenset()


WELL = Effect()


def parse_incident(text: str) -> Incident:
    """An incident as it is written: kind, @, start, +, length, such as `quality-drop@10d06h+3h`. Raises `ValueError`."""
    found = _WRITTEN.fullmatch(text.strip())
    kind = next((kind for kind in KINDS if found is not None and kind == found["kind"]), None)
    if found is None or kind is None:
        raise ValueError(
            f"{text!r} is no incident: write kind@start+length, such as quality-drop@10d06h+3h. "
            f"Kinds are {', '.join(KINDS)}."
        )
    start, lasts = _span(found["start"]), _span(found["lasts"])
    if start is None or lasts is None or not lasts:
        raise ValueError(
            f"{text!r}: write times as days, hours and minutes, such as 10d06h or 90m; the length is more than 0."
        )
    return Incident(kind=kind, start=start, lasts=lasts)


def five(days: float) -> tuple[Incident, ...]:
    """One of each kind that ends by itself, spread over so many days (five or more) and further than a day apart.

    Raises `ValueError` for fewer days.
    """
    if days < 5:
        raise ValueError(f"five incidents a day apart take five days or more, not {days:g}")
    kinds: tuple[Kind, ...] = ("quality-drop", "slow-model", "crash", "engine-failure", "provider-outage")
    lasts = {"crash": timedelta(minutes=40)}
    return tuple(
        Incident(
            kind=kind,
            start=timedelta(hours=round(24 * days * (number + 0.5) / len(kinds))),
            lasts=lasts.get(kind, timedelta(hours=3)),
        )
        for number, kind in enumerate(kinds)
    )


def checked(incidents: Iterable[Incident], days: float) -> tuple[Incident, ...]:
    """The incidents by their starts. Raises `ValueError` for one that does not fit into the days, or rollouts that overlap."""
    found = tuple(sorted(incidents, key=lambda one: (one.start, one.kind)))
    for one in found:
        if one.end > timedelta(days=days):
            raise ValueError(
                f"{one.kind} would end {one.end / DAY:.1f} days after the beginning, but {days:g} days are simulated"
            )
    rollouts = [one for one in found if one.kind == "bad-rollout"]
    for before, after in pairwise(rollouts):
        if after.start < before.end:
            raise ValueError("two bad rollouts overlap, though they are of one flag: let the first end first")
    return found


def effect_of(active: Sequence[Incident], lost: frozenset[str]) -> Effect:
    """What the incidents that are going on do to an answer; of several of a kind one counts. `lost` are the engines that fail."""
    kinds = {one.kind for one in active}
    return Effect(
        outage="provider-outage" in kinds,
        drop=DROP if "quality-drop" in kinds else 0.0,
        slower=SLOWER if "slow-model" in kinds else 1.0,
        lost=lost if "engine-failure" in kinds else frozenset(),
    )


def truth_of(
    incident: Incident, start: datetime, rate: float, *, rolled_back: datetime | None = None
) -> Truth:
    """What an incident should bring about at the least `rate` (requests an hour) that there is while it lasts."""
    raises = [rule for rule in RULES if rule.key in RAISES[incident.kind]]
    sure = tuple(rule.key for rule in raises if _is_sure(rule, incident, rate))
    possible = tuple(rule.key for rule in raises if rule.key not in sure)
    if rolled_back is not None:
        sure = (*sure, f"rolled_back:{FLAG}")
    return Truth(
        kind=incident.kind,
        start=start + incident.start,
        end=rolled_back or start + incident.end,
        expected=sure,
        possible=possible,
        rolled_back=rolled_back,
        words=WORDS[incident.kind],
    )


def _is_sure(rule: Rule, incident: Incident, rate: float) -> bool:
    if incident.kind == "bad-rollout":  # how long it lasts is for the triggers to say
        return False
    if rule.metric == "uptime":
        allowed = (1 - rule.threshold) * rule.window
        return incident.lasts >= allowed + 2 * MINUTE
    samples = rate * rule.minutes / 60
    return incident.lasts >= rule.window + 2 * MINUTE and samples >= SURE * LEAST_SAMPLES


def _span(text: str) -> timedelta | None:
    found = _SPAN.fullmatch(text)
    if found is None:
        return None
    return timedelta(**{name: int(value) for name, value in found.groupdict().items() if value})
