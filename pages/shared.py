"""What every page needs: the studio, and text that is shown as it is."""

from __future__ import annotations

import gc
import importlib
import logging
import os
import pkgutil
import re
import signal
import threading
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from types import FrameType
from typing import Any

import streamlit as st
import typer
from anyio.to_thread import run_sync
from starlette.applications import Starlette
from starlette.types import Receive, Scope, Send

import pages
from cinegen_core.api import again, api_app
from cinegen_core.flags import DeclarationError
from cinegen_core.settings import Settings, SettingsError
from cinegen_core.store import StoreError
from cinegen_core.studio import Studio, open_studio

CANNOT_OPEN = (DeclarationError, SettingsError, StoreError)
"""What opening a studio raises where something that it needs is not as it should be."""


READ_AT_START = 200_000
"""Events that are few enough to make tables of them before the first visitor comes; more of them wait until somebody explores."""

_SCRIPTS = ("generate", "compare", "explore", "flags", "health")
"""The pages themselves, which are run and not imported."""

GRACE = 3.0
"""Seconds that visitors have to leave when the server is told to end."""


def make_studio() -> Studio:
    return open_studio(Settings.load(os.environ))


@st.cache_resource(show_spinner=False, on_release=Studio.close)
def the_studio() -> Studio:
    """One studio for all visitors of this server: a second tab finds the jobs of the first."""
    studio = make_studio()
    studio.begin_heartbeats()
    return studio


@asynccontextmanager
async def lifespan(app: object) -> AsyncIterator[dict[str, Any]]:
    """The server says that it is ready once the studio is, so that the first visitor waits no longer than the next. With the server
    the studio ends: what is being written stops, and its last heartbeat says that it was meant to."""
    _wait_for_no_tab()
    await run_sync(_get_ready)
    typer.echo("The studio is ready.")
    yield {}
    await run_sync(the_studio.clear)


def _get_ready() -> None:
    """Opens the studio, and reads what the pages need: a studio that cannot be opened tells every visitor why."""
    for module in pkgutil.iter_modules(pages.__path__):
        if module.name not in ("map", *_SCRIPTS):
            importlib.import_module(f"pages.{module.name}")
    try:
        studio = the_studio()
        if studio.monitoring is not None:
            _built_api()
            if studio.monitoring.last() <= READ_AT_START:
                studio.book(studio.series).tables()
    except CANNOT_OPEN:
        logging.getLogger(__name__).exception("The studio cannot be opened.")
    # What is there now stays: the collector need not look at it again and again.
    gc.collect()
    gc.freeze()


def _wait_for_no_tab() -> None:
    """Ends the server soon after SIGTERM: by itself it would wait until the last visitor has closed the last tab."""
    if threading.current_thread() is not threading.main_thread():
        return
    before = signal.getsignal(signal.SIGTERM)

    def end() -> None:
        the_studio.clear()
        os.kill(os.getpid(), signal.SIGINT)  # after a SIGTERM the server takes this for "at once"

    def stop(number: int, frame: FrameType | None) -> None:
        if callable(before):
            before(number, frame)
        timer = threading.Timer(GRACE, end)
        timer.daemon = True
        timer.start()

    signal.signal(signal.SIGTERM, stop)


@st.cache_resource(show_spinner=False)
def _built_api() -> Starlette:
    studio = the_studio()
    assert studio.monitoring is not None
    return api_app(studio, studio.monitoring, token=studio.settings.api_token)


class TheApi:
    """The HTTP interface of the same studio as the pages', which is opened with the first request if no page did.

    While it cannot be opened every request is answered with 503, lest a load balancer takes the studio for a healthy one.
    """

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            app = await run_sync(_built_api)
        except CANNOT_OPEN:
            logging.getLogger(__name__).exception("The studio cannot be opened.")
            words = "The studio cannot be opened. Its log says why, and what to do."
            await again(503, "unable", words).response(scope, receive, send)
            return
        await app(scope, receive, send)


def literal(text: str) -> str:
    """Text for a label or a message that Streamlit reads as Markdown: shown as it is, whatever it holds."""
    return re.sub(r"([\\`*_{}\[\]()#+\-.!|~$:<>&^=@])", r"\\\1", " ".join(text.split()))
