"""What every page needs: the studio, and text that is shown as it is."""

from __future__ import annotations

import os
import re

import streamlit as st
from starlette.applications import Starlette
from starlette.types import Receive, Scope, Send

from cinegen_core.api import api_app
from cinegen_core.settings import Settings
from cinegen_core.studio import Studio, open_studio


def make_studio() -> Studio:
    return open_studio(Settings.load(os.environ))


@st.cache_resource(show_spinner=False)
def the_studio() -> Studio:
    """One studio for all visitors of this server: a second tab finds the jobs of the first."""
    studio = make_studio()
    studio.begin_heartbeats()
    return studio


@st.cache_resource(show_spinner=False)
def _built_api() -> Starlette:
    studio = the_studio()
    assert studio.monitoring is not None
    return api_app(studio, studio.monitoring, token=studio.settings.api_token)


async def the_api(scope: Scope, receive: Receive, send: Send) -> None:
    """The HTTP interface of the same studio as the pages'; made with the first request."""
    await _built_api()(scope, receive, send)


def literal(text: str) -> str:
    """Text for a label or a message that Streamlit reads as Markdown: shown as it is, whatever it holds."""
    return re.sub(r"([\\`*_{}\[\]()#+\-.!|~$:<>&^=@])", r"\\\1", " ".join(text.split()))
