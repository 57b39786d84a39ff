"""How a flag fared at each percentage that it was given to."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Annotated

from pydantic import Field

from cinegen_core.flags.cohorts import Cohort, Differences, cohorts, differences
from cinegen_core.flags.journal import flag_subject
from cinegen_core.flags.model import Change, Declared, FlagOverlay, Noun, Sample


class Stage(Noun):
    """A time during which a flag had one percentage (0 while it was off, or rolled back). `since` is None for the first, which began
    before anything was changed; `until` None for the last."""

    percent: Annotated[int, Field(ge=0, le=100)]
    since: datetime | None = None
    until: datetime | None = None
    on: Cohort = Cohort()
    off: Cohort = Cohort()
    differences: Differences = Differences()


def stages(
    samples: Iterable[Sample], changes: Iterable[Change], declared: Declared, flag: str
) -> tuple[Stage, ...]:
    """The stages of a flag in order, as its file declares it now and the journal changed it, with what the samples of each say.
    Changes that leave the percentage as it is begin no stage. Raises `KeyError` for a flag that is not declared."""
    known = declared.flags[flag]
    begun: list[tuple[datetime | None, int]] = [(None, known.percent if known.enabled else 0)]
    for change in changes:
        if change.subject != flag_subject(flag):
            continue
        overlay = FlagOverlay.model_validate(change.after or {})
        enabled = known.enabled if overlay.enabled is None else overlay.enabled
        percent = known.percent if overlay.percent is None else overlay.percent
        now = percent if enabled and overlay.latched is None else 0
        if now != begun[-1][1]:
            begun.append((change.at, now))
    starts = [at for at, _ in begun if at is not None]
    found: list[list[Sample]] = [[] for _ in begun]
    for sample in samples:
        found[bisect_right(starts, sample.at)].append(sample)
    ends: Sequence[datetime | None] = [*starts, None]
    return tuple(
        _stage(flag, percent, since, until, its)
        for (since, percent), until, its in zip(begun, ends, found, strict=True)
    )


def _stage(
    flag: str, percent: int, since: datetime | None, until: datetime | None, samples: Sequence[Sample]
) -> Stage:
    on, off = cohorts(samples, flag)
    return Stage(
        percent=percent, since=since, until=until, on=on, off=off, differences=differences(samples, flag)
    )
