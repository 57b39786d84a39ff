"""What every page needs: the studio, and text that is shown as it is."""

from __future__ import annotations

import os
import re

import streamlit as st

from cinegen_core.settings import Settings
from cinegen_core.studio import Studio, open_studio


def make_studio() -> Studio:
    return open_studio(Settings.load(os.environ))


@st.cache_resource(show_spinner=False)
def the_studio() -> Studio:
    """One studio for all visitors of this server: a second tab finds the jobs of the first."""
    return make_studio()


def literal(text: str) -> str:
    """Text for a label or a message that Streamlit reads as Markdown: shown as it is, whatever it holds."""
    return re.sub(r"([\\`*_{}\[\]()#+\-.!|~$:<>&^=@])", r"\\\1", " ".join(text.split()))
