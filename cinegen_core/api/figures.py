"""Figures: health, metrics, flags and alerts, for people and for Prometheus; and whether the studio can work at all."""

from __future__ import annotations

import math
from datetime import UTC

from anyio.to_thread import run_sync
from starlette.responses import Response

from cinegen_core.api.answers import (
    Able,
    AlertAnswer,
    AlertCounts,
    AlertsAnswer,
    FlagMetrics,
    FlagsAnswer,
    HealthAnswer,
    MetricsAnswer,
    RolloutStatus,
    SystemHealth,
)
from cinegen_core.api.endpoint import Call, as_json
from cinegen_core.api.monitor import Monitor
from cinegen_core.api.problems import RefusalError, again
from cinegen_core.flags.model import Declared, FlagOverlay, Overlay
from cinegen_core.store import StoreError
from cinegen_core.studio import Studio

QUESTIONS = ("health", "metrics", "flags", "alerts")
"""What `?endpoint=` may ask for."""

LONGEST_SPAN = 8784.0


async def figures(call: Call) -> Response:
    asked = call.request.query_params.get("endpoint", "")
    if asked not in QUESTIONS:
        names = ", ".join(QUESTIONS)
        raise RefusalError(
            400, "unknown-endpoint", f"`endpoint` is one of {names}, not {asked[:60]!r}.", known=QUESTIONS
        )
    hours = _hours(call.request.query_params.get("hours", "24"))
    if asked == "health":
        return as_json(await run_sync(_health, call.monitor))
    if asked == "metrics":
        return as_json(MetricsAnswer.model_validate(await run_sync(call.monitor.overview, hours)))
    if asked == "alerts":
        return as_json(await run_sync(_alerts, call.monitor))
    answer, version = await run_sync(_flags, call.studio, call.monitor, hours)
    return as_json(answer, headers={"Cinegen-Flags-Version": str(version)})


def _hours(text: str) -> float:
    try:
        hours = float(text)
    except ValueError:
        hours = math.nan
    if not 0 < hours <= LONGEST_SPAN:
        raise RefusalError(
            400, "wrong-span", f"`hours` is a number above 0, at most {LONGEST_SPAN:g}, not {text[:60]!r}."
        )
    return hours


def _health(monitor: Monitor) -> HealthAnswer:
    health = monitor.health()
    return HealthAnswer(
        system_health=SystemHealth(
            status=health.status, score=health.score, issues=tuple(issue.text for issue in health.issues)
        ),
        uptime=monitor.uptime(),
        active_alerts=sum(alert.state == "firing" for alert in monitor.alerts()),
    )


def _flags(studio: Studio, monitor: Monitor, hours: float) -> tuple[FlagsAnswer, int]:
    declared, overlay = Declared(), Overlay()
    if studio.steering is not None:
        studio.steering.flags.look()
        declared, overlay = studio.steering.flags.declared, studio.steering.flags.overlay
    rollouts = [
        RolloutStatus(
            flag_name=plan.flag,
            strategy=key,
            phase=standing.phase + 1,
            percentage=_percent(plan.flag, declared, overlay),
        )
        for key, standing in overlay.rollouts.items()
        if (plan := declared.rollouts.get(key)) is not None and standing.state != "aborted"
    ]
    metrics = {key: FlagMetrics.model_validate(use) for key, use in monitor.flag_metrics(hours).items()}
    active = tuple(key for key in declared.flags if _on_for_somebody(key, declared, overlay))
    answer = FlagsAnswer(active_flags=active, rollout_status=tuple(rollouts), metrics=metrics)
    return answer, overlay.version


def _percent(key: str, declared: Declared, overlay: Overlay) -> int:
    changed = overlay.flags.get(key, FlagOverlay()).percent
    flag = declared.flags.get(key)
    return changed if changed is not None else flag.percent if flag is not None else 0


def _on_for_somebody(
    key: str, declared: Declared, overlay: Overlay, seen: frozenset[str] = frozenset()
) -> bool:
    flag, changed = declared.flags.get(key), overlay.flags.get(key, FlagOverlay())
    if flag is None or key in seen or overlay.emergency is not None or changed.latched is not None:
        return False
    listed = flag.users or flag.sessions or flag.attributes or flag.beta
    drawn = _percent(key, declared, overlay) or any(one.percent for one in flag.strategies[1:])
    return (
        (flag.enabled if changed.enabled is None else changed.enabled)
        and bool(listed or drawn)
        and all(
            _on_for_somebody(need.flag, declared, overlay, seen | {key})
            for need in flag.depends_on
            if need.enabled
        )
    )


def _alerts(monitor: Monitor) -> AlertsAnswer:
    found = tuple(monitor.alerts())
    counts = {
        severity: sum(one.state == "firing" and one.severity == severity for one in found)
        for severity in ("critical", "warning", "info")
    }
    return AlertsAnswer(
        alerts=tuple(
            AlertAnswer(
                id=one.id,
                rule=one.rule,
                severity=one.severity,
                state=one.state,
                since=one.since.astimezone(UTC),
                value=one.value,
                threshold=one.threshold,
                incident=one.incident or None,
                acknowledged_by=one.acknowledged_by or None,
            )
            for one in found
        ),
        counts=AlertCounts(**counts),
        mean_time_to_resolve=_milliseconds(monitor.mean_time_to_resolve()),
    )


def _milliseconds(seconds: float | None) -> int | None:
    return None if seconds is None else round(seconds * 1000)


async def prometheus(call: Call) -> Response:
    text = await run_sync(call.monitor.prometheus)
    return Response(text, headers={"content-type": "text/plain; version=0.0.4; charset=utf-8"})


async def able(call: Call) -> Response:
    try:
        await run_sync(call.studio.store.check)
    except StoreError as error:
        raise again(503, "unable", str(error)) from error
    return as_json(Able(status="ok"))
