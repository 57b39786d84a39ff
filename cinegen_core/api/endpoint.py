"""What an endpoint is, and how those that take a body read it."""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, NamedTuple, TypeVar

from anyio.to_thread import run_sync
from pydantic import BaseModel, ValidationError
from starlette.requests import Request
from starlette.responses import Response

from cinegen_core.api.door import Limits
from cinegen_core.api.monitor import Monitor
from cinegen_core.api.problems import RefusalError, fields_of, wrong
from cinegen_core.clock import Clock
from cinegen_core.story.errors import StoryError
from cinegen_core.story.model import Noun
from cinegen_core.story.source import decode, parse
from cinegen_core.studio import Studio

_Body = TypeVar("_Body", bound=BaseModel)


class Call(NamedTuple):
    """One request, and what it is answered from."""

    request: Request
    studio: Studio
    monitor: Monitor
    clock: Clock
    limits: Limits

    def location(self, job: str) -> str:
        return f"{self.request.scope.get('root_path', '')}/jobs/{job}"


class Parameter(NamedTuple):
    name: str
    schema: dict[str, Any]
    words: str
    required: bool = False


class Endpoint(NamedTuple):
    """One method of one path: how it is answered, and what the OpenAPI document says of it."""

    method: str
    path: str
    words: str
    answer: Callable[[Call], Awaitable[Response]]
    answers: Mapping[int, tuple[type[Noun], ...] | str]
    writes: bool = False
    body: type[BaseModel] | None = None
    query: tuple[Parameter, ...] = ()
    refusals: tuple[int, ...] = ()


def writing(
    method: str,
    path: str,
    words: str,
    kind: type[_Body],
    answer: Callable[[Call, _Body], Awaitable[Response]],
    answers: Mapping[int, tuple[type[Noun], ...] | str],
    *,
    refusals: tuple[int, ...] = (),
) -> Endpoint:
    """An endpoint that takes a body of this kind, and changes something."""

    async def with_body(call: Call) -> Response:
        media = call.request.headers.get("content-type", "").partition(";")[0].strip().casefold()
        if media != "application/json":
            raise RefusalError(415, "not-json", "Send the body as `Content-Type: application/json`.")
        raw = await _read(call.request, call.limits.body_bytes)
        return await answer(call, await run_sync(_parsed, raw, kind))

    return Endpoint(method, path, words, with_body, answers, writes=True, body=kind, refusals=refusals)


async def _read(request: Request, limit: int) -> bytes:
    refusal = RefusalError(413, "too-large", f"A body has at most {limit:,} bytes.")
    said = request.headers.get("content-length", "")
    if re.fullmatch(r"[0-9]+", said) and int(said[:20]) > limit:
        raise refusal
    read = bytearray()
    async for chunk in request.stream():
        read += chunk
        if len(read) > limit:
            raise refusal
    return bytes(read)


def _parsed(raw: bytes, kind: type[_Body]) -> _Body:
    if not raw.strip():
        raise RefusalError(400, "broken", "The body is empty; it should be a JSON object.")
    try:
        source = parse(decode(raw, "the body"), "json", "the body")
    except StoryError as error:
        raise RefusalError(400, "broken", str(error)) from error
    if not isinstance(source.data, dict):
        raise RefusalError(400, "broken", "The body should be a JSON object, { ... }.")
    try:
        return kind.model_validate(source.data)
    except ValidationError as error:
        raise wrong(fields_of(error, source)) from error


def as_json(answer: Noun, status: int = 200, headers: Mapping[str, str] | None = None) -> Response:
    return Response(answer.model_dump_json(by_alias=True), status, headers, "application/json")
