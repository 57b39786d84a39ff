"""The parts, put together."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from itertools import groupby

from anyio.to_thread import run_sync
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from cinegen_core.api.document import document_of
from cinegen_core.api.door import Door, Limits, admit
from cinegen_core.api.endpoint import Call, Endpoint
from cinegen_core.api.monitor import Monitor
from cinegen_core.api.problems import (
    RefusalError,
    forbidden_by_state,
    misled,
    not_kept,
    not_there,
    refused,
    stale,
)
from cinegen_core.api.table import ENDPOINTS
from cinegen_core.clock import Clock, SystemClock
from cinegen_core.flags.control import RefusedError, UnknownFlagError
from cinegen_core.flags.journal import JournalError, StaleVersionError
from cinegen_core.store import StoreError
from cinegen_core.studio import Studio


def api_app(
    studio: Studio,
    monitor: Monitor,
    *,
    token: str,
    clock: Clock | None = None,
    limits: Limits = Limits(),  # noqa: B008 (it is frozen)
) -> Starlette:
    """The API of one studio, which stays its caller's to close.

    Whoever asks from this computer may read; everybody else, and whoever wants to change anything, needs `token`. With
    an empty one nothing can be changed.
    """
    token, clock = token.strip(), clock or SystemClock()
    document = cache(lambda: document_of(endpoints))

    async def openapi(call: Call) -> Response:
        root = str(call.request.scope.get("root_path", ""))
        return JSONResponse({**await run_sync(document), "servers": [{"url": root or "/"}]})

    described = Endpoint("GET", "/openapi.json", "This document.", openapi, {200: "application/json"})
    endpoints = (*ENDPOINTS, described)

    def route(path: str, methods: Mapping[str, Endpoint]) -> Route:
        async def answer(request: Request) -> Response:
            endpoint = methods.get(request.method) or methods["GET"]  # HEAD
            admit(request, token, writes=endpoint.writes)
            return await endpoint.answer(Call(request, studio, monitor, clock, limits))

        return Route(path, answer, methods=list(methods))

    by_path = groupby(sorted(endpoints, key=lambda one: one.path), key=lambda one: one.path)
    return Starlette(
        routes=[route(path, {one.method: one for one in found}) for path, found in by_path],
        middleware=[Middleware(Door, limits=limits, clock=clock.monotonic)],
        exception_handlers={
            RefusalError: refused,
            HTTPException: misled,
            StaleVersionError: stale,
            RefusedError: forbidden_by_state,
            UnknownFlagError: not_there,
            JournalError: not_kept,
            StoreError: not_kept,
        },
    )
