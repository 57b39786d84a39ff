"""Notices through Apprise, which knows a hundred services: chat, mail, pagers. It comes with the extra `notify`."""

from __future__ import annotations

import asyncio
import re
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from cinegen_core.notify.channels import DeliveryError
from cinegen_core.notify.notice import Notice
from cinegen_core.notify.webhook import short_digest

SECONDS = 30.0
"""Apprise waits for its services; after this it is not waited for."""

_SCHEME = re.compile(r"([a-zA-Z][a-zA-Z0-9+.-]{0,30}):")


class MissingExtraError(Exception):
    """Apprise is not installed. The message says how to install it."""


class Apprise:
    """Sends to one of Apprise's addresses, so that one that fails is tried again and the others are not told twice.

    Raises `MissingExtraError` where Apprise is not installed, `ValueError` for an address that it does not know. Apprise says whether
    something was sent, and not why it was not: every failure is tried again. A service that hangs holds up one thread.
    """

    def __init__(self, url: str, *, seconds: float = SECONDS) -> None:
        try:
            import apprise
        except ModuleNotFoundError as error:
            if error.name != "apprise":
                raise
            raise MissingExtraError(
                "Sending through Apprise needs the package 'apprise'. Install the studio with its extra `notify`: "
                "pip install 'cinegen-studio[notify]'."
            ) from error
        self._apprise: Any = apprise.Apprise()
        if not self._apprise.add(url) or len(self._apprise) != 1:
            raise ValueError("Apprise does not know it, or it lacks a part")
        self._kinds = {
            "critical": apprise.NotifyType.FAILURE,
            "warning": apprise.NotifyType.WARNING,
            "info": apprise.NotifyType.INFO,
        }
        self._resolved = apprise.NotifyType.SUCCESS
        self._seconds = seconds
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="apprise")
        scheme = _SCHEME.match(url)
        self.target = f"{scheme.group(1).lower() if scheme else 'service'} by Apprise ({short_digest(url)})"

    def __repr__(self) -> str:
        return f"Apprise({self.target!r})"

    async def send(self, notice: Notice) -> None:
        work = asyncio.get_running_loop().run_in_executor(self._thread, self._notify, notice)
        try:
            async with asyncio.timeout(self._seconds):
                arrived = await work
        except TimeoutError:
            raise DeliveryError(f"it did not answer within {self._seconds:g} seconds", again=True) from None
        if not arrived:
            raise DeliveryError(
                "Apprise could not send it; see that its address is right and its service can be reached",
                again=True,
            )

    def _notify(self, notice: Notice) -> bool:
        kind = self._resolved if notice.state == "resolved" else self._kinds[notice.severity]
        return bool(self._apprise.notify(body=notice.words, title=notice.title, notify_type=kind))
