"""Who is let in: how often and how many, with which token, from which pages."""

from __future__ import annotations

import ipaddress
import logging
from collections import OrderedDict
from collections.abc import Callable
from hashlib import sha256
from hmac import compare_digest
from typing import Annotated
from urllib.parse import urlsplit

from pydantic import Field
from starlette.requests import ClientDisconnect, Request
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from cinegen_core.api.problems import RefusalError, again
from cinegen_core.story.model import Noun

TOKEN_SETTING = "CINEGEN_API_TOKEN"
"""What an operator sets; whoever builds the app passes its value on as `token`."""

CLIENTS_KNOWN = 4096


class Limits(Noun):
    """What one studio puts up with: bytes of a body, requests at the same time, requests of one client a second and at once."""

    body_bytes: Annotated[int, Field(ge=1)] = 2_000_000
    concurrent: Annotated[int, Field(ge=1)] = 64
    per_second: Annotated[float, Field(gt=0)] = 20.0
    burst: Annotated[int, Field(ge=1)] = 60


class Door:
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
            await RefusalError(500, "unexpected", words).response(scope, receive, sending)
        finally:
            self._inside -= 1

    def _refusal(self, scope: Scope) -> RefusalError | None:
        wait = self._seconds_to_wait(str((scope.get("client") or ("",))[0]))
        if wait > 0:
            words = f"One client may ask {self._limits.per_second:g} times a second, and {self._limits.burst} times at once."
            return again(429, "too-many", words, wait)
        # A balancer that finds the studio busy must not take it for dead.
        if self._inside >= self._limits.concurrent and not str(scope["path"]).endswith("/healthz"):
            return again(
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


def admit(request: Request, token: str, *, writes: bool) -> None:
    if not writes and _from_here(request):
        return
    if not token:
        what = "Nothing can be changed" if writes else "Nothing can be read from elsewhere"
        raise RefusalError(
            403,
            "no-token-set",
            f"{what} over HTTP, since no token is set. Set {TOKEN_SETTING} to a long random text, restart the studio, and send "
            "it as `Authorization: Bearer ...`.",
        )
    kind, _, given = request.headers.get("authorization", "").partition(" ")
    known = sha256(token.encode("utf-8")).digest()
    same = compare_digest(sha256(given.strip().encode("latin-1")).digest(), known)
    if kind.casefold() != "bearer" or not same:
        raise RefusalError(
            401,
            "not-authorised",
            "This needs the studio's token, as `Authorization: Bearer ...`.",
            headers={"WWW-Authenticate": "Bearer"},
        )
    origin = request.headers.get("origin")
    here = f"{request.scope['scheme']}://{request.headers.get('host', '')}"
    if writes and origin is not None and (_origin(origin) is None or _origin(origin) != _origin(here)):
        raise RefusalError(403, "other-origin", "Pages of another origin may not change anything here.")


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
