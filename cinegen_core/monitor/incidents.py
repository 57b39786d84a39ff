"""Alerts that began together and share a cause, as one incident."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from typing import Annotated, Literal

from pydantic import Field

from cinegen_core.monitor.alerts import AlertView, views
from cinegen_core.monitor.events import AlertEvent
from cinegen_core.story.model import Noun


class Incident(Noun):
    """`open` are its alerts that are pending or firing; `ended` is when the last of them was resolved, None while there are any.
    `rules` are those that ever took part, `acknowledged_by` those who have seen any of them."""

    id: str
    cause: str
    severity: Literal["critical", "warning"]
    began: datetime
    ended: datetime | None = None
    fired: bool = False
    rules: Annotated[tuple[str, ...], Field(min_length=1)]
    open: tuple[AlertView, ...] = ()
    acknowledged_by: tuple[str, ...] = ()


def incidents(steps: Iterable[AlertEvent]) -> tuple[Incident, ...]:
    """Those that open alerts belong to first, then the others, the latest first. Notices are none."""
    known = [one for one in steps if one.severity != "info"]
    still = views(known)
    by_id: dict[str, list[AlertEvent]] = {}
    for one in known:
        by_id.setdefault(one.incident or one.alert, []).append(one)
    found = [_incident(id, its, still) for id, its in by_id.items()]
    found.sort(key=lambda incident: incident.began, reverse=True)
    return tuple(sorted(found, key=lambda incident: incident.ended is not None))


def _incident(id: str, steps: list[AlertEvent], still: Iterable[AlertView]) -> Incident:
    open_ = tuple(view for view in still if (view.incident or view.id) == id)
    return Incident(
        id=id,
        cause=steps[0].cause,
        severity="critical" if any(one.severity == "critical" for one in steps) else "warning",
        began=min(one.at for one in steps),
        ended=None if open_ else max(one.at for one in steps if one.state == "resolved"),
        fired=any(one.state == "firing" for one in steps),
        rules=tuple(dict.fromkeys(one.rule for one in steps)),
        open=open_,
        acknowledged_by=tuple(dict.fromkeys(one.by for one in steps if one.state == "acknowledged")),
    )
