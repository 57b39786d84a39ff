"""What people do: readers with an episode, operators with alerts, flags and the emergency."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from functools import partial

from anyio.to_thread import run_sync
from starlette.responses import Response

from cinegen_core.api.answers import EmergencyAnswer, EmergencyStanding, FlagsChanged, Noted, Silenced
from cinegen_core.api.bodies import (
    AcknowledgeBody,
    CommandBody,
    EmergencyBody,
    FeedbackBody,
    FlagBody,
    SilenceBody,
)
from cinegen_core.api.endpoint import Call, as_json
from cinegen_core.api.problems import RefusalError
from cinegen_core.flags.control import Flags
from cinegen_core.flags.model import Change
from cinegen_core.monitor.alerts import RULES
from cinegen_core.monitor.events import FeedbackEvent

SILENCED = tuple(rule.key for rule in RULES)
"""The rules whose alerts people are told of, and may ask not to be."""


async def feedback(call: Call, body: FeedbackBody) -> Response:
    event = FeedbackEvent(
        id=call.studio.new_id(),
        at=call.clock.now(),
        who=body.who or "",
        generation=body.generation,
        action=body.action,
        rating=body.rating,
        why=body.why.strip(),
    )
    return await _noted(partial(call.monitor.feedback, event))


async def acknowledge(call: Call, body: AcknowledgeBody) -> Response:
    alert = str(call.request.path_params["id"])
    return await _noted(partial(call.monitor.acknowledge, alert, body.by))


async def silence(call: Call, body: SilenceBody) -> Response:
    if body.rule not in SILENCED:
        words = f"There is no rule {body.rule[:60]!r}. There is {', '.join(SILENCED)}."
        raise RefusalError(404, "not-known", words, known=SILENCED)
    until = call.clock.now() + timedelta(minutes=body.minutes)
    await run_sync(partial(call.monitor.silence, body.rule, until=until, by=body.by, why=body.why))
    return as_json(Silenced(success=True, rule=body.rule, until=until))


async def _noted(tell: Callable[[], object]) -> Response:
    try:
        await run_sync(tell)
    except LookupError as error:
        raise RefusalError(404, "not-known", str(error)) from error
    return as_json(Noted(success=True))


async def set_flag(call: Call, body: FlagBody) -> Response:
    return await _command(
        call,
        lambda flags, key: flags.set(
            key, body.enabled, body.percent, who=body.who, why=body.reason, version=body.version
        ),
    )


async def roll_back(call: Call, body: CommandBody) -> Response:
    return await _command(
        call, lambda flags, key: flags.rollback(key, who=body.who, why=body.reason, version=body.version)
    )


async def rearm(call: Call, body: CommandBody) -> Response:
    return await _command(
        call, lambda flags, key: flags.rearm(key, who=body.who, why=body.reason, version=body.version)
    )


async def _command(call: Call, command: Callable[[Flags, str], tuple[Change, ...]]) -> Response:
    steering = call.studio.steering
    if steering is None:
        raise RefusalError(409, "no-flags", "This studio runs without flags: there is nothing to change.")
    flags, key = steering.flags, str(call.request.path_params["key"])

    def carried_out() -> FlagsChanged:
        changes = command(flags, key)
        version = changes[-1].version if changes else flags.version
        return FlagsChanged(success=True, version=version, changes=changes)

    return as_json(await run_sync(carried_out))


async def emergency(call: Call, body: EmergencyBody) -> Response:
    def carried_out() -> EmergencyAnswer:
        studio = call.studio
        if body.on:
            studio.enter_emergency(by=body.who, reason=body.reason)
        else:
            studio.leave_emergency(by=body.who, reason=body.reason)
        state = studio.emergency
        standing = EmergencyStanding(by=state.by, reason=state.reason) if state is not None else None
        return EmergencyAnswer(success=True, emergency=standing)

    return as_json(await run_sync(carried_out))
