"""Notices as JSON over HTTP, signed, so that the receiver can tell them from anybody else's.

The signature is the HMAC-SHA256 of the timestamp, a full stop and the body, in hexadecimal, keyed with the secret that both
sides know (RFC 2104). The timestamp is part of it, so that what was once sent cannot be sent again by others for long.
"""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import re
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

import httpx2

from cinegen_core.clock import Clock
from cinegen_core.notify.channels import DeliveryError
from cinegen_core.notify.notice import Notice

SECONDS = 10.0
"""A receiver that has not answered by then is asked again later."""

LONGEST_WAIT = 24 * 60 * 60.0
"""Seconds; a receiver that asks to be left alone for longer is asked again after this."""

ID, TIMESTAMP, SIGNATURE = "Cinegen-Id", "Cinegen-Timestamp", "Cinegen-Signature"

_AGAIN = (408, 425, 429)
_DIGITS = re.compile(r"[0-9]{1,12}")


def plain_client(url: httpx2.URL) -> httpx2.AsyncClient:
    """For one notice: it follows no redirects and gives up after `SECONDS`."""
    return httpx2.AsyncClient(
        timeout=httpx2.Timeout(SECONDS),
        follow_redirects=False,
        # A proxy in the environment is for the world outside; it does not know this computer's own servers.
        trust_env=url.host not in ("127.0.0.1", "localhost", "::1"),
    )


class Webhook:
    """Sends to one address; `secret` signs what is sent, an empty one signs nothing. Raises `ValueError` for an address that is none.

    `client` opens what a notice is sent with and is closed after it: notices are rare, and no connection outlives its loop.
    """

    def __init__(
        self,
        url: str,
        secret: str,
        client: Callable[[httpx2.URL], httpx2.AsyncClient],
        clock: Clock,
        *,
        seconds: float = SECONDS,
    ) -> None:
        self._url = address_of(url)
        self._secret = secret
        self._client = client
        self._clock = clock
        self._seconds = seconds
        port = f":{self._url.port}" if self._url.port else ""
        self.target = f"webhook {self._url.host[:150]}{port} ({short_digest(url.strip())})"

    def __repr__(self) -> str:
        return f"Webhook({self.target!r})"

    async def send(self, notice: Notice) -> None:
        body = notice.model_dump_json().encode("utf-8")
        headers = {
            "Content-Type": "application/json",
            "User-Agent": "cinegen-studio",
            **signed(body, notice.id, self._secret, self._clock.now()),
        }
        try:
            async with (
                asyncio.timeout(self._seconds),
                self._client(self._url) as client,
                # The answer's body is not read: it could be endless, or repeat what is secret.
                client.stream("POST", self._url, content=body, headers=headers) as response,
            ):
                status, after = response.status_code, response.headers.get("retry-after")
        except (TimeoutError, httpx2.TimeoutException):
            raise DeliveryError(f"it did not answer within {self._seconds:g} seconds", again=True) from None
        except httpx2.HTTPError as error:
            # The library's error holds the request, and with it the address.
            problem = f"it could not be reached ({type(error).__name__})"
            raise DeliveryError(problem, again=True) from None
        if not 200 <= status < 300:
            raise self._refused(status, after)

    def _refused(self, status: int, after: str | None) -> DeliveryError:
        if status in _AGAIN or status >= 500:
            what = "it is being asked too much" if status == 429 else "it failed"
            return DeliveryError(f"{what} ({status})", again=True, after=self._wait(after))
        if 300 <= status < 400:
            problem = f"it answered with a redirect ({status}), which is not followed; set the address that it leads to"
            return DeliveryError(problem, again=False)
        return DeliveryError(f"it did not accept the notice ({status})", again=False)

    def _wait(self, header: str | None) -> float | None:
        """Retry-After in seconds, from either of its forms (RFC 9110, 10.2.3); None for what is neither."""
        if not header:
            return None
        if _DIGITS.fullmatch(header.strip()):
            return min(float(header), LONGEST_WAIT)
        try:
            until = parsedate_to_datetime(header)
        except ValueError:
            return None
        until = until.replace(tzinfo=UTC) if until.tzinfo is None else until
        return min(max(0.0, (until - self._clock.now()).total_seconds()), LONGEST_WAIT)


def address_of(url: str) -> httpx2.URL:
    """The address, or `ValueError`, which says what is wrong with it and does not repeat it."""
    try:
        parsed = httpx2.URL(url.strip())
    except httpx2.InvalidURL as error:
        raise ValueError("it is no address") from error
    if parsed.scheme not in ("http", "https"):
        raise ValueError("it does not begin with https:// or http://")
    if not parsed.host:
        raise ValueError("it names no host")
    return parsed


def signed(body: bytes, id: str, secret: str, at: datetime) -> dict[str, str]:
    """The headers that go with a body sent at a time."""
    timestamp = str(int(at.timestamp()))
    headers = {ID: id, TIMESTAMP: timestamp}
    if secret:
        headers[SIGNATURE] = f"sha256={_hmac(secret, timestamp, body)}"
    return headers


def verify(
    body: bytes, headers: Mapping[str, str], secret: str, now: datetime, tolerance: float = 300
) -> bool:
    """For receivers: whether a request's body, as it came, was signed with the secret within `tolerance` seconds of `now`.

    Header names are taken in any case. Compares in constant time. A repeat within the tolerance is genuine: drop it by its
    `Cinegen-Id`. Raises `ValueError` for an empty secret, with which anybody could sign.
    """
    if not secret:
        raise ValueError("There is no secret to verify with.")
    given = {name.lower(): value for name, value in headers.items()}
    timestamp = given.get(TIMESTAMP.lower(), "")
    if not _DIGITS.fullmatch(timestamp) or abs(now.timestamp() - int(timestamp)) > tolerance:
        return False
    wanted = f"sha256={_hmac(secret, timestamp, body)}"
    return hmac.compare_digest(
        given.get(SIGNATURE.lower(), "").encode("utf-8", "replace"), wanted.encode("ascii")
    )


def short_digest(address: str) -> str:
    """Tells addresses apart without showing them: eight hexadecimal digits."""
    return hashlib.sha256(address.encode("utf-8")).hexdigest()[:8]


def _hmac(secret: str, timestamp: str, body: bytes) -> str:
    return hmac.new(
        secret.encode("utf-8"), timestamp.encode("ascii") + b"." + body, hashlib.sha256
    ).hexdigest()
