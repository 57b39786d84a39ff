"""The studio over HTTP: episodes, figures, flags and alerts as JSON, to be mounted at `/api` by whoever serves the studio."""

from __future__ import annotations

import http
import ipaddress
import logging
import math
import os
import re
from collections import OrderedDict
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from datetime import UTC, datetime
from functools import cache, partial
from hashlib import sha256
from hmac import compare_digest
from itertools import groupby
from typing import Annotated, Any, Literal, NamedTuple, Protocol, TypeVar
from urllib.parse import urlsplit

import anyio
from anyio.to_thread import run_sync
from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    StringConstraints,
    ValidationError,
    model_validator,
)
from pydantic.alias_generators import to_camel
from pydantic.json_schema import models_json_schema
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, Response, StreamingResponse
from starlette.routing import Route
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from cinegen_core import __version__
from cinegen_core.clock import Clock, SystemClock
from cinegen_core.flags.control import Flags, LatchedError, RefusedError, UnknownFlagError
from cinegen_core.flags.journal import JournalError, StaleVersionError
from cinegen_core.flags.model import Change, Declared, FlagOverlay, Overlay
from cinegen_core.jobs import JobState, JobView
from cinegen_core.monitor import Health
from cinegen_core.monitor.events import FeedbackEvent
from cinegen_core.scorer.model import QualityClass, quality_class
from cinegen_core.store import FolderStore, Record, StoreError
from cinegen_core.store.episodes import Id
from cinegen_core.story import Episode, EpisodeRequest, StoryBible, StoryState
from cinegen_core.story.errors import StoryError
from cinegen_core.story.load import bible_from, explain
from cinegen_core.story.model import Noun
from cinegen_core.story.source import Source, decode, parse
from cinegen_core.story.state import ChoiceId
from cinegen_core.studio import Studio, StudioBusyError
from cinegen_core.tiers.model import (
    AttemptEnded,
    CallEnded,
    EngineFinished,
    Generation,
    Outcome,
    PhaseStarted,
    TextGrew,
    TierName,
    TierStarted,
    Update,
)
from cinegen_core.tiers.runner import TIERS

TOKEN_SETTING = "CINEGEN_API_TOKEN"
"""What an operator sets; whoever builds the app passes its value on as `token`."""

QUESTIONS = ("health", "metrics", "flags", "alerts")
"""What `?endpoint=` may ask for."""

LOOK = 0.05
"""Seconds between two looks at a job."""

STILL_HERE = 300
"""Looks without news after which a stream says that it is still there, lest a proxy takes it for dead."""

GRACE = 30.0
"""Seconds that a waiting request is given beyond its budget, before it is answered with the job."""

RETRY_SECONDS = 5
CLIENTS_KNOWN = 4096
LONGEST_SPAN = 8784.0

_Answer = TypeVar("_Answer")
_Body = TypeVar("_Body", bound=BaseModel)


# What a monitor is asked.

Percent = Annotated[float, Field(ge=0, le=100)]
Count = Annotated[int, Field(ge=0)]
Severity = Literal["critical", "warning", "info"]
Action = Literal["shown", "chose", "rated", "exported"]


class AlertView(Protocol):
    """An alert as a monitor hands it out: one that is open, or was lately."""

    @property
    def id(self) -> str: ...
    @property
    def rule(self) -> str: ...
    @property
    def severity(self) -> Severity: ...
    @property
    def state(self) -> Literal["pending", "firing", "resolved"]: ...
    @property
    def since(self) -> datetime: ...
    @property
    def value(self) -> float | None: ...
    @property
    def threshold(self) -> float | None: ...
    @property
    def incident(self) -> str | None: ...
    @property
    def acknowledged_by(self) -> str | None: ...


class Monitor(Protocol):
    """What the API reads figures from, and tells what readers and operators did. Called from several threads at once."""

    def health(self) -> Health: ...

    def uptime(self) -> float | None:
        """In percent, 0..100."""
        ...

    def overview(self, hours: float, /) -> Mapping[str, Any]:
        """Exactly what `MetricsAnswer` holds, in its keys and units: percentages 0..100, milliseconds, None without data."""
        ...

    def flag_metrics(self, hours: float, /) -> Mapping[str, Mapping[str, Any]]:
        """By flag what `FlagMetrics` holds, of the requests for which it was on."""
        ...

    def alerts(self) -> Sequence[AlertView]: ...

    def mean_time_to_resolve(self) -> float | None:
        """In seconds."""
        ...

    def feedback(self, event: FeedbackEvent, /) -> None:
        """Records what a reader did. May raise `LookupError`, with words, for an episode that nobody wrote."""
        ...

    def acknowledge(self, alert: str, by: str, /) -> object:
        """Records who has taken note of an alert. Raises `LookupError`, with words, for one that is not there."""
        ...

    def prometheus(self) -> str:
        """The text format, version 0.0.4."""
        ...


class Limits(Noun):
    """What one studio puts up with: bytes of a body, requests at the same time, requests of one client a second and at once."""

    body_bytes: Annotated[int, Field(ge=1)] = 2_000_000
    concurrent: Annotated[int, Field(ge=1)] = 64
    per_second: Annotated[float, Field(gt=0)] = 20.0
    burst: Annotated[int, Field(ge=1)] = 60


# What comes in.

Who = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=200)]
Why = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=2000)]


class _Ask(Noun):
    model_config = ConfigDict(alias_generator=to_camel)


class GenerateBody(_Ask):
    """`storyBible` in the studio's own shape (the schema StoryBible) or the guide's camelCase. From the second episode on, `state`
    is the `episode.state` of the one before; `episodeNumber` then follows from it, and `previousChoice` is one that it offered."""

    story_bible: dict[str, Any]
    episode_number: Annotated[int, Field(ge=1, le=999)] | None = None
    previous_choice: ChoiceId | None = None
    state: StoryState | None = None
    direction: Annotated[str, Field(max_length=2000)] = ""
    seed: Annotated[int, Field(ge=0, lt=2**63)] = 0
    wait: bool = True


class FeedbackBody(_Ask):
    """What a reader did with an episode; `generation` is the id of the job that wrote it. A rating goes with `rated` alone."""

    generation: Id
    action: Action
    rating: Annotated[int, Field(ge=1, le=10)] | None = None
    why: Annotated[str, Field(max_length=2000)] = ""

    @model_validator(mode="after")
    def _rated_with_a_rating(self) -> FeedbackBody:
        if (self.action == "rated") != (self.rating is not None):
            raise ValueError("give a `rating` of 1 to 10 with the action `rated`, and with no other")
        return self


class CommandBody(_Ask):
    """A change of the flags: why, by whom, and the version that it was decided from, if newer changes are to forbid it."""

    reason: Why
    who: Who
    version: Annotated[int, Field(ge=0)] | None = None


class FlagBody(CommandBody):
    """What is left out stays as it is; one of the two is given."""

    enabled: bool | None = None
    percent: Annotated[int, Field(ge=0, le=100)] | None = None

    @model_validator(mode="after")
    def _something_to_set(self) -> FlagBody:
        if self.enabled is None and self.percent is None:
            raise ValueError("say what to set: `enabled`, `percent`, or both")
        return self


class EmergencyBody(_Ask):
    """Into emergency mode, or out of it."""

    on: bool
    reason: Why
    who: Who


class AcknowledgeBody(_Ask):
    """Who has taken note of an alert."""

    by: Who


# What goes out.


class _Tell(Noun):
    model_config = ConfigDict(alias_generator=to_camel, populate_by_name=True)


class SystemHealth(_Tell):
    status: Literal["HEALTHY", "WARNING", "CRITICAL"] | None
    score: int | None
    issues: tuple[str, ...]


class HealthAnswer(_Tell):
    """`uptime` in percent."""

    system_health: SystemHealth
    uptime: float | None
    active_alerts: int


class OverviewPart(_Tell):
    """`totalEpisodes` since the start, quality 0..10, the rest in percent."""

    total_episodes: Count
    average_quality: float | None
    system_health: Literal["HEALTHY", "WARNING", "CRITICAL"] | None
    uptime: Percent | None
    success_rate: Percent | None


class QualityPart(_Tell):
    """The share of each class that occurred, in percent."""

    current: float | None
    trend: Literal["IMPROVING", "STABLE", "DECLINING"] | None
    quality_distribution: Annotated[
        dict[QualityClass, Percent] | None, AfterValidator(lambda found: found or None)
    ]


class PerformancePart(_Tell):
    """`averageProcessingTime` in milliseconds, the rates in percent."""

    average_processing_time: Count | None
    engine_success_rate: Percent | None
    fallback_usage_rate: Percent | None


class MetricsAnswer(_Tell):
    overview: OverviewPart
    quality: QualityPart
    performance: PerformancePart


class RolloutStatus(_Tell):
    """`phase` counts from 1."""

    flag_name: str
    strategy: str
    phase: int
    percentage: int


class FlagMetrics(_Tell):
    """`successRate` in percent, `averageQuality` 0..10."""

    usage_count: Count
    success_rate: Percent | None
    average_quality: float | None


class FlagsAnswer(_Tell):
    active_flags: tuple[str, ...]
    rollout_status: tuple[RolloutStatus, ...]
    metrics: dict[str, FlagMetrics]


class AlertAnswer(_Tell):
    id: str
    rule: str
    severity: Severity
    state: Literal["pending", "firing", "resolved"]
    since: datetime
    value: float | None
    threshold: float | None
    incident: str | None
    acknowledged_by: str | None


class AlertCounts(_Tell):
    critical: int
    warning: int
    info: int


class AlertsAnswer(_Tell):
    """`counts` are of those that fire, `meanTimeToResolve` is in milliseconds."""

    alerts: tuple[AlertAnswer, ...]
    counts: AlertCounts
    mean_time_to_resolve: int | None


class EpisodeMetadata(_Tell):
    """`generationTime` in milliseconds. `fallbackReason` says why a better tier did not answer; null where the best allowed did."""

    generation_time: int
    tier: TierName
    quality_score: float | None
    quality_class: QualityClass | None
    engines_run: int
    engines_delivered: int
    fallback_reason: str | None
    below_threshold: bool


class AttemptAnswer(_Tell):
    """One tier's try. `time` in milliseconds, `cost` in US dollars."""

    tier: TierName
    writer: str
    outcome: Outcome
    reason: str
    time: int
    score: float | None
    engines_run: int
    engines_delivered: int
    engines_repaired: int
    calls: int
    tokens: int
    cost: float


class EpisodeAnswer(_Tell):
    success: Literal[True]
    episode: Episode
    metadata: EpisodeMetadata
    attempts: tuple[AttemptAnswer, ...]


class JobAccepted(_Tell):
    """An episode is being written; `location` tells how it goes."""

    job: str
    location: str


class JobAnswer(_Tell):
    """`error` says why it failed. `result` is there when it is done, and for one that was stopped if something was finished."""

    job: str
    season: str
    episode_number: int
    state: JobState
    error: str | None
    result: EpisodeAnswer | None


class JobEnd(_Tell):
    """The last event of a stream."""

    job: str
    state: JobState
    error: str | None
    location: str


class FlagsChanged(_Tell):
    """The changes that were made: none where all was as wanted already. `version` is that of the flags now."""

    success: Literal[True]
    version: int
    changes: tuple[Change, ...]


class EmergencyStanding(_Tell):
    by: str
    reason: str


class EmergencyAnswer(_Tell):
    success: Literal[True]
    emergency: EmergencyStanding | None


class Noted(_Tell):
    success: Literal[True]


class Able(_Tell):
    status: Literal["ok"]


class FieldProblem(Noun):
    """One thing that is wrong with a request: `storyBible.characters[1].want`, what, and what to do."""

    field: str
    what: str
    fix: str = ""


class ProblemDetails(Noun):
    """RFC 9457. `type` is "urn:cinegen:problem:" and a name; `known` lists what there is where something unknown was asked for,
    `newer` the changes since the version that a command was decided from, or the one that forbids it."""

    type: str
    title: str
    status: int
    detail: str
    errors: tuple[FieldProblem, ...] = ()
    known: tuple[str, ...] = ()
    newer: tuple[Change, ...] = ()


class _RefusalError(Exception):
    """What is answered instead of what was asked for."""

    def __init__(
        self,
        status: int,
        name: str,
        detail: str,
        *,
        errors: Sequence[FieldProblem] = (),
        known: Sequence[str] = (),
        newer: Sequence[Change] = (),
        headers: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(detail)
        self.headers = dict(headers or {})
        self.problem = ProblemDetails(
            type=f"urn:cinegen:problem:{name}",
            title=http.HTTPStatus(status).phrase,
            status=status,
            detail=detail,
            errors=tuple(errors),
            known=tuple(known),
            newer=tuple(newer),
        )

    @property
    def response(self) -> Response:
        return Response(
            self.problem.model_dump_json(exclude_defaults=True),
            self.problem.status,
            self.headers,
            "application/problem+json",
        )


def _again(status: int, name: str, detail: str, seconds: float = RETRY_SECONDS) -> _RefusalError:
    """A refusal that time may lift."""
    return _RefusalError(status, name, detail, headers={"Retry-After": str(max(1, math.ceil(seconds)))})


class _Call(NamedTuple):
    """One request, and what it is answered from. `spare` has seasons that were opened and not written into, by their bible."""

    request: Request
    studio: Studio
    monitor: Monitor
    clock: Clock
    limits: Limits
    spare: dict[str, str]

    def location(self, job: str) -> str:
        return f"{self.request.scope.get('root_path', '')}/jobs/{job}"


class _Parameter(NamedTuple):
    name: str
    schema: dict[str, Any]
    words: str
    required: bool = False


class _Endpoint(NamedTuple):
    """One method of one path: how it is answered, and what the OpenAPI document says of it."""

    method: str
    path: str
    words: str
    answer: Callable[[_Call], Awaitable[Response]]
    answers: Mapping[int, tuple[type[Noun], ...] | str]
    writes: bool = False
    body: type[BaseModel] | None = None
    query: tuple[_Parameter, ...] = ()
    refusals: tuple[int, ...] = ()


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
    spare: dict[str, str] = {}
    document = cache(lambda: _document(endpoints))

    async def openapi(call: _Call) -> Response:
        root = str(call.request.scope.get("root_path", ""))
        return JSONResponse({**await run_sync(document), "servers": [{"url": root or "/"}]})

    described = _Endpoint("GET", "/openapi.json", "This document.", openapi, {200: "application/json"})
    endpoints = (*_ENDPOINTS, described)

    def route(path: str, methods: Mapping[str, _Endpoint]) -> Route:
        async def answer(request: Request) -> Response:
            endpoint = methods.get(request.method) or methods["GET"]  # HEAD
            _admit(request, token, writes=endpoint.writes)
            return await endpoint.answer(_Call(request, studio, monitor, clock, limits, spare))

        return Route(path, answer, methods=list(methods))

    by_path = groupby(sorted(endpoints, key=lambda one: one.path), key=lambda one: one.path)
    return Starlette(
        routes=[route(path, {one.method: one for one in found}) for path, found in by_path],
        middleware=[Middleware(_Door, limits=limits, clock=clock.monotonic)],
        exception_handlers={
            _RefusalError: _refused,
            HTTPException: _misled,
            StaleVersionError: _stale,
            RefusedError: _forbidden_by_state,
            UnknownFlagError: _not_there,
            JournalError: _not_kept,
            StoreError: _not_kept,
        },
    )


# At the door.


class _Door:
    """Lets in no more than the studio puts up with, and lets nothing out that is not for the caller."""

    def __init__(self, app: ASGIApp, *, limits: Limits, clock: Callable[[], float]) -> None:
        self._app, self._limits, self._clock = app, limits, clock
        self._inside = 0
        self._buckets: OrderedDict[str, tuple[float, float]] = OrderedDict()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        begun = False

        async def sending(message: Message) -> None:
            nonlocal begun
            if message["type"] == "http.response.start":
                begun = True
                safe = [(b"cache-control", b"no-store"), (b"x-content-type-options", b"nosniff")]
                message = {**message, "headers": [*message.get("headers", ()), *safe]}
            await send(message)

        refusal = self._refusal(scope)
        if refusal is not None:
            await refusal.response(scope, receive, sending)
            return
        self._inside += 1
        try:
            await self._app(scope, receive, sending)
        except ClientDisconnect:
            return
        except Exception:
            logging.getLogger(__name__).exception("%s %s failed", scope["method"], scope["path"])
            if begun:
                raise
            words = "Something went wrong in the studio. Its log says what."
            await _RefusalError(500, "unexpected", words).response(scope, receive, sending)
        finally:
            self._inside -= 1

    def _refusal(self, scope: Scope) -> _RefusalError | None:
        wait = self._seconds_to_wait(str((scope.get("client") or ("",))[0]))
        if wait > 0:
            words = f"One client may ask {self._limits.per_second:g} times a second, and {self._limits.burst} times at once."
            return _again(429, "too-many", words, wait)
        # A balancer that finds the studio busy must not take it for dead.
        if self._inside >= self._limits.concurrent and not str(scope["path"]).endswith("/healthz"):
            return _again(
                503, "too-many-at-once", f"{self._inside} requests are being answered at the moment."
            )
        return None

    def _seconds_to_wait(self, client: str) -> float:
        """0 takes a token out of the client's bucket."""
        now = self._clock()
        left, since = self._buckets.pop(client, (float(self._limits.burst), now))
        left = min(float(self._limits.burst), left + (now - since) * self._limits.per_second)
        wait = 0.0 if left >= 1 else (1 - left) / self._limits.per_second
        self._buckets[client] = (left if wait else left - 1, now)
        if len(self._buckets) > CLIENTS_KNOWN:
            self._buckets.popitem(last=False)
        return wait


def _admit(request: Request, token: str, *, writes: bool) -> None:
    if not writes and _from_here(request):
        return
    if not token:
        what = "Nothing can be changed" if writes else "Nothing can be read from elsewhere"
        raise _RefusalError(
            403,
            "no-token-set",
            f"{what} over HTTP, since no token is set. Set {TOKEN_SETTING} to a long random text, restart the studio, and send "
            "it as `Authorization: Bearer ...`.",
        )
    kind, _, given = request.headers.get("authorization", "").partition(" ")
    known = sha256(token.encode("utf-8")).digest()
    same = compare_digest(sha256(given.strip().encode("latin-1")).digest(), known)
    if kind.casefold() != "bearer" or not same:
        raise _RefusalError(
            401,
            "not-authorised",
            "This needs the studio's token, as `Authorization: Bearer ...`.",
            headers={"WWW-Authenticate": "Bearer"},
        )
    origin = request.headers.get("origin")
    here = f"{request.scope['scheme']}://{request.headers.get('host', '')}"
    if writes and origin is not None and (_origin(origin) is None or _origin(origin) != _origin(here)):
        raise _RefusalError(403, "other-origin", "Pages of another origin may not change anything here.")


def _from_here(request: Request) -> bool:
    """Whether somebody at this computer asks: not a proxy on it for somebody else, nor a page that made its name lead here."""
    client = request.client.host if request.client else ""
    forwarded = any(name in request.headers for name in ("forwarded", "x-forwarded-for", "x-real-ip"))
    found = _origin(f"http://{request.headers.get('host', '')}")
    host = found[1] if found else ""
    return _is_loopback(client) and not forwarded and (host == "localhost" or _is_loopback(host))


def _is_loopback(host: str) -> bool:
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        return False
    mapped = address.ipv4_mapped if isinstance(address, ipaddress.IPv6Address) else None
    return (mapped or address).is_loopback


def _origin(text: str) -> tuple[str, str, int] | None:
    """Scheme, host and port; None for what has none, such as `null`."""
    try:
        parts = urlsplit(text)
        port = parts.port or {"http": 80, "https": 443}[parts.scheme]
    except (ValueError, KeyError):
        return None
    return (parts.scheme, parts.hostname, port) if parts.hostname else None


def _refused(request: Request, error: Exception) -> Response:
    assert isinstance(error, _RefusalError)
    return error.response


def _misled(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    root = str(request.scope.get("root_path", ""))
    if error.status_code == 404:
        words = f"There is nothing here. GET {root}/openapi.json lists what there is."
        return _RefusalError(404, "not-found", words).response
    if error.status_code == 405:
        allowed = ", ".join(sorted((error.headers or {}).get("Allow", "").split(", ")))
        words = f"{request.method} is not possible here, but {allowed} is."
        return _RefusalError(405, "wrong-method", words, headers={"Allow": allowed}).response
    return _RefusalError(error.status_code, "refused", error.detail, headers=error.headers).response


def _stale(request: Request, error: Exception) -> Response:
    assert isinstance(error, StaleVersionError)
    return _RefusalError(409, "stale-version", str(error), newer=error.newer).response


def _forbidden_by_state(request: Request, error: Exception) -> Response:
    if isinstance(error, LatchedError):
        return _RefusalError(409, "latched", str(error), newer=(error.change,)).response
    return _RefusalError(409, "wrong-state", str(error)).response


def _not_there(request: Request, error: Exception) -> Response:
    return _RefusalError(404, "not-known", str(error)).response


def _not_kept(request: Request, error: Exception) -> Response:
    return _again(503, "store", str(error)).response


# Bodies.


def _writing(
    method: str,
    path: str,
    words: str,
    kind: type[_Body],
    answer: Callable[[_Call, _Body], Awaitable[Response]],
    answers: Mapping[int, tuple[type[Noun], ...] | str],
    *,
    refusals: tuple[int, ...] = (),
) -> _Endpoint:
    """An endpoint that takes a body of this kind, and changes something."""

    async def with_body(call: _Call) -> Response:
        media = call.request.headers.get("content-type", "").partition(";")[0].strip().casefold()
        if media != "application/json":
            raise _RefusalError(415, "not-json", "Send the body as `Content-Type: application/json`.")
        raw = await _read(call.request, call.limits.body_bytes)
        return await answer(call, await run_sync(_parsed, raw, kind))

    return _Endpoint(method, path, words, with_body, answers, writes=True, body=kind, refusals=refusals)


async def _read(request: Request, limit: int) -> bytes:
    refusal = _RefusalError(413, "too-large", f"A body has at most {limit:,} bytes.")
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
        raise _RefusalError(400, "broken", "The body is empty; it should be a JSON object.")
    try:
        source = parse(decode(raw, "the body"), "json", "the body")
    except StoryError as error:
        raise _RefusalError(400, "broken", str(error)) from error
    if not isinstance(source.data, dict):
        raise _RefusalError(400, "broken", "The body should be a JSON object, { ... }.")
    try:
        return kind.model_validate(source.data)
    except ValidationError as error:
        raise _wrong(_fields(error, source)) from error


def _fields(error: ValidationError, source: Source) -> list[FieldProblem]:
    problems = explain(error, source, source.data, given=lambda path: path)
    return [FieldProblem(field=one.key, what=one.what, fix=one.fix) for one in problems]


def _wrong(errors: Sequence[FieldProblem]) -> _RefusalError:
    said = "; ".join(f"{one.field}: {one.what}" if one.field else one.what for one in errors[:5])
    more = f"; and {len(errors) - 5} more" if len(errors) > 5 else ""
    return _RefusalError(422, "invalid", f"{said}{more}.", errors=errors)


def _json(answer: Noun, status: int = 200, headers: Mapping[str, str] | None = None) -> Response:
    return Response(answer.model_dump_json(by_alias=True), status, headers, "application/json")


# Figures.


async def _figures(call: _Call) -> Response:
    asked = call.request.query_params.get("endpoint", "")
    if asked not in QUESTIONS:
        names = ", ".join(QUESTIONS)
        raise _RefusalError(
            400, "unknown-endpoint", f"`endpoint` is one of {names}, not {asked[:60]!r}.", known=QUESTIONS
        )
    hours = _hours(call.request.query_params.get("hours", "24"))
    if asked == "health":
        return _json(await run_sync(_health, call.monitor))
    if asked == "metrics":
        return _json(MetricsAnswer.model_validate(await run_sync(call.monitor.overview, hours)))
    if asked == "alerts":
        return _json(await run_sync(_alerts, call.monitor))
    answer, version = await run_sync(_flags, call.studio, call.monitor, hours)
    return _json(answer, headers={"Cinegen-Flags-Version": str(version)})


def _hours(text: str) -> float:
    try:
        hours = float(text)
    except ValueError:
        hours = math.nan
    if not 0 < hours <= LONGEST_SPAN:
        raise _RefusalError(
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


async def _prometheus(call: _Call) -> Response:
    text = await run_sync(call.monitor.prometheus)
    return Response(text, headers={"content-type": "text/plain; version=0.0.4; charset=utf-8"})


async def _able(call: _Call) -> Response:
    problem = await run_sync(_why_unable, call.studio)
    if problem:
        raise _again(503, "unable", problem)
    return _json(Able(status="ok"))


def _why_unable(studio: Studio) -> str:
    """Why nothing that is written could be kept; empty while it could. Without a model the studio still writes."""
    try:
        studio.store.season("0" * 16)
    except StoreError as error:
        return str(error)
    data = studio.settings.data_dir.absolute()
    folder = next((one for one in (data, *data.parents) if one.exists()), data)
    if isinstance(studio.store, FolderStore) and not os.access(folder, os.W_OK | os.X_OK):
        return f"{folder} cannot be written to. Change that, or set CINEGEN_DATA_DIR to a folder that can."
    return ""


# Episodes.


async def _generate(call: _Call, body: GenerateBody) -> Response:
    job, season = await run_sync(_begin, call, await run_sync(_request, body))
    location = call.location(job)
    view: JobView | None = None
    if body.wait:
        with anyio.move_on_after(call.studio.settings.budget_seconds + GRACE):
            view = await _ended(call.studio, job)
    if view is None:
        return _json(JobAccepted(job=job, location=location), 202, {"Location": location})
    record = await run_sync(call.studio.store.record, season, job) if view.state == "done" else None
    if record is None:
        status, name = (409, "stopped") if view.state == "stopped" else (500, "not-written")
        words = view.error or "It was stopped before it was finished."
        raise _RefusalError(status, name, words, headers={"Content-Location": location})
    return _json(_episode(record.generation), headers={"Content-Location": location})


def _request(body: GenerateBody) -> EpisodeRequest:
    try:
        bible = bible_from(Source("storyBible", body.story_bible))
    except StoryError as error:
        problems = [
            FieldProblem(
                field=f"storyBible.{one.key}" if one.key else "storyBible", what=one.what, fix=one.fix
            )
            for one in error.problems
        ]
        raise _wrong(problems) from error
    number = body.episode_number
    if number is None:
        number = body.state.episode + 1 if body.state is not None else 1
    asked = {
        "bible": bible,
        "number": number,
        "state": body.state,
        "choice": body.previous_choice,
        "direction": body.direction,
        "seed": body.seed,
    }
    try:
        return EpisodeRequest.model_validate(asked)
    except ValidationError as error:
        names = {"number": "episodeNumber", "choice": "previousChoice"}
        found = _fields(error, Source("the body", asked))
        whole = _at_fault(body, bible, number)
        raise _wrong(
            [one.model_copy(update={"field": names.get(one.field, one.field) or whole}) for one in found]
        ) from error


def _at_fault(body: GenerateBody, bible: StoryBible, number: int) -> str:
    """Which field to name where a request does not follow from its state."""
    if body.state is None:
        return "previousChoice"
    if body.state.series != bible.title:
        return "state"
    return "episodeNumber" if number != body.state.episode + 1 else "previousChoice"


def _begin(call: _Call, request: EpisodeRequest) -> tuple[str, str]:
    key = sha256(request.bible.model_dump_json().encode()).hexdigest()
    season = call.spare.pop(key, None) or call.studio.open_season(request.bible).id
    try:
        return call.studio.start(request, season=season), season
    except StudioBusyError as error:
        call.spare[key] = season  # who comes back with the same bible need not leave a second empty season
        raise _again(503, "busy", str(error)) from error


async def _ended(studio: Studio, job: str) -> JobView | None:
    # A job lives in a thread of its own, and tells nobody when it ends; to wait in one more thread would cost one each.
    while (view := studio.job(job)) is not None and view.state == "running":  # noqa: ASYNC110
        await anyio.sleep(LOOK)
    return view


def _episode(generation: Generation) -> EpisodeAnswer:
    winner = generation.winner
    score = winner.score if winner is not None else None
    return EpisodeAnswer(
        success=True,
        episode=generation.episode,
        metadata=EpisodeMetadata(
            generation_time=round(generation.seconds * 1000),
            tier=generation.tier,
            quality_score=score,
            quality_class=None if score is None else quality_class(score),
            engines_run=len(generation.engines),
            engines_delivered=sum(run.delivered for run in generation.engines),
            fallback_reason=_fallback_reason(generation),
            below_threshold=winner is not None and winner.outcome == "below_threshold",
        ),
        attempts=tuple(
            AttemptAnswer(
                tier=one.tier,
                writer=one.writer,
                outcome=one.outcome,
                reason=one.reason,
                time=round(one.seconds * 1000),
                score=one.score,
                engines_run=len(one.engines),
                engines_delivered=sum(run.delivered for run in one.engines),
                engines_repaired=sum(run.repaired for run in one.engines),
                calls=one.calls,
                tokens=one.tokens,
                cost=one.cost,
            )
            for one in generation.attempts
        ),
    )


def _fallback_reason(generation: Generation) -> str | None:
    place = TIERS.index(generation.tier)
    better = [one for one in generation.attempts if TIERS.index(one.tier) < place]
    if better:
        return "; ".join(f"{one.tier}: {one.reason or one.outcome.replace('_', ' ')}" for one in better)
    # Where nothing better was even tried, as in an emergency, only the notices say why.
    return " ".join(generation.notices) or None if generation.tier == TIERS[-1] else None


async def _job(call: _Call) -> Response:
    view, record = await run_sync(_standing, call.studio, str(call.request.path_params["id"]))
    return _json(
        JobAnswer(
            job=view.id,
            season=view.season,
            episode_number=view.number,
            state=view.state,
            error=view.error or None,
            result=_episode(record.generation) if record is not None else None,
        )
    )


def _standing(studio: Studio, job: str) -> tuple[JobView, Record | None]:
    """A job and what it wrote; also of a job that the studio no longer remembers, as long as its episode is kept."""
    view = studio.job(job)
    if view is not None:
        kept = None if view.state == "running" else studio.store.record(view.season, job)
        return view, kept
    for season in studio.store.seasons() if re.fullmatch(r"[0-9a-f]{16}", job) else ():
        record = studio.store.record(season.id, job)
        if record is not None:
            found = JobView(
                id=job, season=season.id, parent=record.parent, number=record.number, state="done", updates=()
            )
            return found, record
    raise _RefusalError(404, "not-known", f"There is no job {job[:60]!r}, and no episode of this id.")


async def _cancel(call: _Call) -> Response:
    job = str(call.request.path_params["id"])
    call.studio.cancel(job)
    await run_sync(_standing, call.studio, job)
    location = call.location(job)
    return _json(JobAccepted(job=job, location=location), 202, {"Location": location})


async def _events(call: _Call) -> Response:
    job = str(call.request.path_params["id"])
    known, _ = await run_sync(_standing, call.studio, job)
    last = call.request.headers.get("last-event-id", "")
    sent = int(last) if re.fullmatch(r"[0-9]{1,9}", last) else 0
    return StreamingResponse(
        _stream(call.studio, known, sent, call.location(job)),
        headers={"X-Accel-Buffering": "no"},
        media_type="text/event-stream",
    )


async def _stream(studio: Studio, known: JobView, sent: int, location: str) -> AsyncIterator[str]:
    """What was not sent yet, and then what happens, to the job's end."""
    last: Update | None = None
    quiet = 0
    while True:
        view = studio.job(known.id) or known
        fresh = view.updates[_unsent(view.updates, sent, last) :]
        for number, update in enumerate(fresh, len(view.updates) - len(fresh) + 1):
            yield f"id: {number}\nevent: {update.kind}\ndata: {update.model_dump_json()}\n\n"
        sent = len(view.updates)
        last = view.updates[-1] if view.updates else None
        if view.state != "running":
            end = JobEnd(job=view.id, state=view.state, error=view.error or None, location=location)
            yield f"event: end\ndata: {end.model_dump_json(by_alias=True)}\n\n"
            return
        quiet = 0 if fresh else quiet + 1
        if quiet and quiet % STILL_HERE == 0:
            yield ": still here\n\n"
        await anyio.sleep(LOOK)


def _unsent(updates: Sequence[Update], sent: int, last: Update | None) -> int:
    """From which update on to send: a text takes the place of the one before it, and so may have grown since it was sent."""
    if 0 < sent <= len(updates) and updates[sent - 1].kind == "text" and updates[sent - 1] != last:
        return sent - 1
    return min(sent, len(updates))


# What people do.


async def _feedback(call: _Call, body: FeedbackBody) -> Response:
    event = FeedbackEvent(
        id=call.studio.new_id(),
        at=call.clock.now(),
        who=call.studio.settings.install_id,
        generation=body.generation,
        action=body.action,
        rating=body.rating,
        why=body.why.strip(),
    )
    return await _noted(partial(call.monitor.feedback, event))


async def _acknowledge(call: _Call, body: AcknowledgeBody) -> Response:
    alert = str(call.request.path_params["id"])
    return await _noted(partial(call.monitor.acknowledge, alert, body.by))


async def _noted(tell: Callable[[], object]) -> Response:
    try:
        await run_sync(tell)
    except LookupError as error:
        raise _RefusalError(404, "not-known", str(error)) from error
    return _json(Noted(success=True))


async def _set_flag(call: _Call, body: FlagBody) -> Response:
    return await _command(
        call,
        lambda flags, key: flags.set(
            key, body.enabled, body.percent, who=body.who, why=body.reason, version=body.version
        ),
    )


async def _roll_back(call: _Call, body: CommandBody) -> Response:
    return await _command(
        call, lambda flags, key: flags.rollback(key, who=body.who, why=body.reason, version=body.version)
    )


async def _rearm(call: _Call, body: CommandBody) -> Response:
    return await _command(
        call, lambda flags, key: flags.rearm(key, who=body.who, why=body.reason, version=body.version)
    )


async def _command(call: _Call, command: Callable[[Flags, str], tuple[Change, ...]]) -> Response:
    steering = call.studio.steering
    if steering is None:
        raise _RefusalError(409, "no-flags", "This studio runs without flags: there is nothing to change.")
    flags, key = steering.flags, str(call.request.path_params["key"])

    def carried_out() -> FlagsChanged:
        changes = command(flags, key)
        version = changes[-1].version if changes else flags.version
        return FlagsChanged(success=True, version=version, changes=changes)

    return _json(await run_sync(carried_out))


async def _emergency(call: _Call, body: EmergencyBody) -> Response:
    def carried_out() -> EmergencyAnswer:
        studio = call.studio
        if body.on:
            studio.enter_emergency(by=body.who, reason=body.reason)
        else:
            studio.leave_emergency(by=body.who, reason=body.reason)
        state = studio.emergency
        standing = EmergencyStanding(by=state.by, reason=state.reason) if state is not None else None
        return EmergencyAnswer(success=True, emergency=standing)

    return _json(await run_sync(carried_out))


_ENDPOINTS = (
    _Endpoint(
        "GET",
        "/generate/episode",
        "Figures: health, metrics, flags or alerts. That of flags says in the header Cinegen-Flags-Version which version "
        "commands may name.",
        _figures,
        {200: (HealthAnswer, MetricsAnswer, FlagsAnswer, AlertsAnswer)},
        query=(
            _Parameter("endpoint", {"type": "string", "enum": list(QUESTIONS)}, "Which figures.", True),
            _Parameter(
                "hours",
                {"type": "number", "exclusiveMinimum": 0, "maximum": LONGEST_SPAN, "default": 24},
                "How far metrics and flags look back.",
            ),
        ),
        refusals=(400,),
    ),
    _writing(
        "POST",
        "/generate/episode",
        "Writes an episode in a season of its own; with `wait` the answer is the episode, and Content-Location names its job, "
        "whose id feedback takes.",
        GenerateBody,
        _generate,
        {200: (EpisodeAnswer,), 202: (JobAccepted,)},
        refusals=(409,),
    ),
    _Endpoint(
        "GET",
        "/jobs/{id}",
        "How the writing of an episode stands, and what came of it.",
        _job,
        {200: (JobAnswer,)},
        refusals=(404,),
    ),
    _Endpoint(
        "GET",
        "/jobs/{id}/events",
        "Progress as server-sent events: TierStarted (tier), PhaseStarted (phase), EngineFinished (engine), CallEnded (call), "
        "TextGrew (text), AttemptEnded (attempt), and at last JobEnd (end). Last-Event-ID goes on where a stream broke off.",
        _events,
        {200: "text/event-stream"},
        refusals=(404,),
    ),
    _Endpoint(
        "DELETE",
        "/jobs/{id}",
        "Stops the writing of an episode. What was finished is kept; a job that has ended stays as it is.",
        _cancel,
        {202: (JobAccepted,)},
        writes=True,
        refusals=(404,),
    ),
    _writing(
        "POST",
        "/feedback",
        "What a reader did with an episode.",
        FeedbackBody,
        _feedback,
        {200: (Noted,)},
        refusals=(404,),
    ),
    _writing(
        "POST",
        "/flags/{key}",
        "Switches a flag, or sets its percentage, or both.",
        FlagBody,
        _set_flag,
        {200: (FlagsChanged,)},
        refusals=(404, 409),
    ),
    _writing(
        "POST",
        "/flags/{key}/rollback",
        "Switches a flag off for everybody, until a person re-arms it.",
        CommandBody,
        _roll_back,
        {200: (FlagsChanged,)},
        refusals=(404, 409),
    ),
    _writing(
        "POST",
        "/flags/{key}/rearm",
        "Lifts a rollback.",
        CommandBody,
        _rearm,
        {200: (FlagsChanged,)},
        refusals=(404, 409),
    ),
    _writing(
        "POST",
        "/emergency",
        "Into emergency mode, in which only the template writes, or out of it.",
        EmergencyBody,
        _emergency,
        {200: (EmergencyAnswer,)},
    ),
    _writing(
        "POST",
        "/alerts/{id}/acknowledge",
        "Says that somebody has taken note of an alert.",
        AcknowledgeBody,
        _acknowledge,
        {200: (Noted,)},
        refusals=(404,),
    ),
    _Endpoint("GET", "/metrics", "Figures for Prometheus.", _prometheus, {200: "text/plain"}),
    _Endpoint(
        "GET",
        "/healthz",
        "Whether the studio can write and keep episodes, for load balancers.",
        _able,
        {200: (Able,)},
    ),
)


# The document.

_ALWAYS = (401, 403, 429, 500, 503)
_OF_BODIES = (400, 413, 415, 422)
_UPDATES = (TierStarted, PhaseStarted, EngineFinished, CallEnded, TextGrew, AttemptEnded, JobEnd)


def _document(endpoints: Sequence[_Endpoint]) -> dict[str, Any]:
    """OpenAPI 3.1 of these endpoints, without the servers."""
    taken: set[type[BaseModel]] = {StoryBible, *(one.body for one in endpoints if one.body is not None)}
    told: set[type[BaseModel]] = {ProblemDetails, *_UPDATES}
    for one in endpoints:
        for kinds in one.answers.values():
            told.update(kinds if isinstance(kinds, tuple) else ())
    keys = [
        *((kind, "validation") for kind in sorted(taken, key=lambda kind: kind.__name__)),
        *((kind, "serialization") for kind in sorted(told, key=lambda kind: kind.__name__)),
    ]
    names, definitions = models_json_schema(keys, ref_template="#/components/schemas/{model}")  # type: ignore[arg-type]

    def content(kinds: tuple[type[Noun], ...] | str) -> dict[str, Any]:
        if isinstance(kinds, str):
            return {kinds: {"schema": {"type": "object" if kinds == "application/json" else "string"}}}
        schemas = [names[kind, "serialization"] for kind in kinds]
        return {"application/json": {"schema": schemas[0] if len(schemas) == 1 else {"anyOf": schemas}}}

    problem = {"application/problem+json": {"schema": names[ProblemDetails, "serialization"]}}
    paths: dict[str, dict[str, Any]] = {}
    for one in endpoints:
        parameters = [
            {"name": name, "in": "path", "required": True, "schema": {"type": "string"}}
            for name in re.findall(r"{(\w+)}", one.path)
        ]
        parameters += [
            {
                "name": query.name,
                "in": "query",
                "required": query.required,
                "schema": query.schema,
                "description": query.words,
            }
            for query in one.query
        ]
        refusals = sorted({*_ALWAYS, *one.refusals, *(_OF_BODIES if one.body is not None else ())})
        operation: dict[str, Any] = {
            "operationId": _operation_id(one),
            "description": one.words,
            "security": [{"token": []}] if one.writes else [{}, {"token": []}],
            "parameters": parameters,
            "responses": {
                **{
                    str(status): {"description": http.HTTPStatus(status).phrase, "content": content(kinds)}
                    for status, kinds in one.answers.items()
                },
                **{
                    str(status): {"description": http.HTTPStatus(status).phrase, "content": problem}
                    for status in refusals
                },
            },
        }
        if one.body is not None:
            schema = names[one.body, "validation"]
            operation["requestBody"] = {"required": True, "content": {"application/json": {"schema": schema}}}
        paths.setdefault(one.path, {})[one.method.lower()] = operation
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "Cinegen Studio",
            "version": __version__,
            "description": "Percentages are 0 to 100, times milliseconds; null where there is no data yet. Reading is open on the "
            "loopback address; writing, and reading from elsewhere, needs the studio's token.",
        },
        "paths": paths,
        "components": {
            "schemas": definitions.get("$defs", {}),
            "securitySchemes": {"token": {"type": "http", "scheme": "bearer"}},
        },
    }


def _operation_id(endpoint: _Endpoint) -> str:
    words = re.findall(r"[A-Za-z]+", endpoint.path)
    return endpoint.method.lower() + "".join(word[:1].upper() + word[1:] for word in words)
