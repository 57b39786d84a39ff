"""What the receiver of a notice reads: the figures for programs, the words for people."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Literal

from cinegen_core.monitor.alerts import RULES, Metric
from cinegen_core.store.deliveries import Content, Joined
from cinegen_core.story.model import Noun


class Notice(Noun):
    """One step of one alert. `id` is the step's own: a receiver that has seen it before may drop the repeat.

    `at` is when the step was taken and `since` when its alert fired, which for one that fires is the same; `value` and
    `threshold` are in the unit of the rule's metric, None for what has none. `joined` are earlier steps that were not told by
    themselves, as the receiver could not be reached. `trial` is true of a notice that somebody sent to see whether it arrives.
    """

    id: str
    alert: str
    rule: str
    severity: Literal["critical", "warning", "info"]
    state: Literal["firing", "resolved"]
    value: float | None = None
    threshold: float | None = None
    at: datetime
    since: datetime
    incident: str = ""
    cause: str = ""
    by: str = ""
    title: str
    words: str
    studio: str = ""
    joined: tuple[Joined, ...] = ()
    trial: bool = False


def notice_of(content: Content, studio: str) -> Notice:
    """What a delivery says."""
    step = content.step
    assert step.state in ("firing", "resolved")
    title, words = _words(content)
    return Notice(
        id=step.id,
        alert=step.alert,
        rule=step.rule,
        severity=step.severity,
        state="firing" if step.state == "firing" else "resolved",
        value=step.value,
        threshold=step.threshold,
        at=step.at.astimezone(UTC),
        since=content.fired.astimezone(UTC),
        incident=step.incident,
        cause=step.cause,
        by=step.by,
        title=title,
        words=words,
        studio=studio,
        joined=content.joined,
    )


def trial_notice(id: str, at: datetime, studio: str) -> Notice:
    """Says that it is one."""
    return Notice(
        id=id,
        alert=id,
        rule="trial",
        severity="info",
        state="firing",
        at=at.astimezone(UTC),
        since=at.astimezone(UTC),
        title="Trial notice",
        words=(
            f"This is a trial notice from the studio{f' {studio}' if studio else ''}. Nothing is wrong: somebody wanted to see "
            "whether notices of alerts arrive here."
        ),
        studio=studio,
        trial=True,
    )


def _words(content: Content) -> tuple[str, str]:
    """A headline, and sentences."""
    step = content.step
    rule = next((rule for rule in RULES if rule.key == step.rule), None)
    kind, _, subject = step.rule.partition(":")
    named = kind.replace("_", " ") + (f": {subject}" if subject else "")
    what = _sentence(rule.words if rule is not None else named)
    measured = (
        ""
        if rule is None or step.value is None
        else f" (measured: {_amount(rule.metric, step.value, rule.threshold)})"
    )
    if step.severity == "info":
        title = what
        parts = [_ended(step.cause or what)]
    elif step.state == "firing":
        title = f"{step.severity.capitalize()}: {what}"
        parts = [f"{what}{measured}. It fires since {_when(step.at)}."]
    else:
        title = f"Resolved: {what}"
        lasted = _lasted((step.at - content.fired).total_seconds())
        parts = [
            f"This is over: {what[:1].lower()}{what[1:]}{measured.replace('measured', 'measured now')}.",
            f"It fired at {_when(content.fired)} and was resolved at {_when(step.at)}, after {lasted}.",
        ]
    if step.severity != "info" and step.cause:
        parts.append(_ended(f"Cause: {step.cause}"))
    if step.by:
        parts.append(f"By {step.by}.")
    return title, " ".join((*parts, *_earlier(content)))


def _amount(metric: Metric, value: float, threshold: float) -> str:
    """In the unit that people know, with enough digits that it does not look like the threshold that it has crossed."""
    scale, unit, digits = {"quality": (1.0, "of 10", 2), "seconds": (1.0, "s", 1)}.get(
        metric, (100.0, "%", 1)
    )
    shown = f"{scale * value:.{digits}f}"
    while value != threshold and digits < 6 and float(shown) == round(scale * threshold, 6):
        digits += 1
        shown = f"{scale * value:.{digits}f}"
    return f"{shown} {unit}"


def _earlier(content: Content) -> tuple[str, ...]:
    """What it stands for besides itself."""
    own = content.step.alert in {one.alert for one in content.joined}
    others = len({one.alert for one in content.joined} - {content.step.alert})
    times = {1: "once", 2: "twice"}.get(others, f"{others} times")
    return (
        *(("It was over before you could be told that it fired.",) if own else ()),
        *(
            (f"Before that it fired and was resolved {times}, which you could not be told either.",)
            if others
            else ()
        ),
    )


def _when(at: datetime) -> str:
    at = at.astimezone(UTC)
    return f"{at:%H:%M} UTC on {at.day} {at:%B %Y}"


def _lasted(seconds: float) -> str:
    minutes = round(seconds / 60)
    if minutes < 1:
        return "less than a minute"
    if minutes < 120:
        return "a minute" if minutes == 1 else f"{minutes} minutes"
    return f"{minutes // 60} hours" + (f" and {minutes % 60} minutes" if minutes % 60 else "")


def _sentence(text: str) -> str:
    return text[:1].upper() + text[1:]


def _ended(text: str) -> str:
    return text if text.endswith((".", "!", "?")) else f"{text}."
