"""Which steps of alerts people are told of."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from typing import NamedTuple

from cinegen_core.monitor.alerts import silenced
from cinegen_core.monitor.events import AlertEvent, Event, SilenceEvent


class Told(NamedTuple):
    """A step that people should hear of, unless it is `silenced`; `fired` is when its alert fired."""

    number: int
    step: AlertEvent
    fired: datetime
    silenced: bool


def to_tell(history: Iterable[tuple[int, Event]]) -> tuple[Told, ...]:
    """Of the alerts and silences of a log from its beginning: what fires, what had fired and is resolved, and notices.

    What is `pending` or `acknowledged`, and what is resolved without having fired, is nobody's news. A step is silenced
    if notices of its rule were at the time of the step.
    """
    events = list(history)
    silences = [event for _, event in events if isinstance(event, SilenceEvent)]
    fired: dict[str, datetime] = {}
    told: list[Told] = []
    for number, event in events:
        if not isinstance(event, AlertEvent) or event.state not in ("firing", "resolved"):
            continue
        if event.state == "firing":
            fired.setdefault(event.alert, event.at)
        if event.alert in fired:
            quiet = silenced(event.rule, event.at, silences)
            told.append(Told(number, event, fired[event.alert], quiet))
    return tuple(told)
