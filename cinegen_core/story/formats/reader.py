"""Any script, whatever it is written in."""

from __future__ import annotations

import json
import re
from itertools import pairwise
from pathlib import Path

from cinegen_core.story.formats.ending import with_ending
from cinegen_core.story.formats.fdx import from_fdx
from cinegen_core.story.formats.fountain_reader import from_fountain
from cinegen_core.story.formats.page import SLUG, from_page
from cinegen_core.story.load import episode_from_json
from cinegen_core.story.script import Script
from cinegen_core.story.source import fail

_TITLE_PAGE = re.compile(r"\s*(?:title|credit|author|episode|draft date)\s*:", re.IGNORECASE)
_SET_IN = re.compile(r"^ {10,}[^\Wa-z]", re.MULTILINE)


def read_script(text: str, *, name: str = "the script") -> Script:
    """A script from Fountain, FDX, our JSON, or plain text laid out like a screenplay page.

    The content decides, and of two text formats the ending of `name`. Raises `StoryError` for a file that is
    broken or empty. Text that is no screenplay comes out as action: whoever judges it says so.
    """
    start = text.lstrip("\ufeff \t\r\n")
    if not start:
        fail(name, "nothing is written here")
    suffix = Path(name).suffix.casefold()
    if start.startswith(("<?xml", "<FinalDraft")) or suffix == ".fdx":
        return from_fdx(text.lstrip("\ufeff"), name=name)
    if suffix == ".json" or start.startswith("{"):
        return Script.of(episode_from_json(_episode_in(text), name=name))
    fountain = suffix in (".fountain", ".spmd") or _TITLE_PAGE.match(start) is not None
    if fountain or (not _SET_IN.search(text) and not _wrapped(text)):
        return with_ending(from_fountain(text, name=name))
    return from_page(text)


def _episode_in(text: str) -> str:
    """The episode of a file that may hold it inside something larger: a kept record, an answer of the API."""
    try:
        data = json.loads(text)
    except (ValueError, RecursionError):  # no JSON, or more levels of it than anybody wrote
        return text
    while isinstance(data, dict) and "scenes" not in data:
        inner = data.get("episode") or data.get("generation")
        if not isinstance(inner, dict):
            return text
        data = inner
    return json.dumps(data)


def _wrapped(text: str) -> bool:
    """Whether sluglines stand in a paragraph with other lines, which no Fountain has."""
    lines = text.split("\n")
    return any(SLUG.match(line.strip()) and after.strip() for line, after in pairwise(lines))
