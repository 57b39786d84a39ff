"""The model that the tiers are measured against, and the process that serves it: `python -m benchmarks.tiers_served`.

It says when it is ready. For each line on standard input it begins anew, so that no measurement pays for the memory of the one
before, and prints a line of JSON: the addresses of a model that takes its time and of one that answers at once, and what had
been asked before.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import re
import sys
from collections.abc import Callable
from functools import lru_cache

from tests.model.brain import brain
from tests.model.faults import Body
from tests.model.server import ModelServer

FIRST_TOKEN = 0.3
"""Seconds from a question to the first token of its answer."""

PER_TOKEN = 0.001
"""Seconds to a token, of 4 characters."""

TRIMMED = 6
"""Lines that a scene keeps in the short form of an episode."""

LEAST = 60
"""Tokens of the shortest directive."""

_PADDING = (
    "What the draft has of this stays where it is, and the rest is for the writer of the room to place. "
)

_DRAFT, _DIRECTIVE = '{"title"', "you are the specialist "


def whole(body: Body, ignores_bible: bool) -> str:
    """An episode by hand as it is, or a directive of at least `LEAST` tokens."""
    return _answer(body, None)


def trimmed(body: Body, ignores_bible: bool) -> str:
    """As `whole`, of each scene only the first `TRIMMED` lines."""
    return _answer(body, TRIMMED)


def _answer(body: Body, lines: int | None) -> str:
    text = brain(body, ignores_bible=False)
    if text.startswith(_DRAFT):
        return text if lines is None else _cut(text, lines)
    missing = 4 * LEAST - len(text)
    if missing <= 0 or _DIRECTIVE not in str(body["messages"][1]["content"]):
        return text
    # The studio passes over fields that a directive does not have, as it does with all that models add.
    answer = {**json.loads(text), "remark": (_PADDING * 3)[: max(1, missing - 14)]}
    return json.dumps(answer)


@lru_cache
def _cut(text: str, lines: int) -> str:
    episode = json.loads(text)
    for scene in episode["scenes"]:
        scene["lines"] = scene["lines"][:lines]
    return json.dumps(episode, separators=(",", ":"), ensure_ascii=False)


def digest(bodies: list[Body]) -> str:
    """The same for the same bodies in whatever order; how a client writes its JSON makes no difference."""
    each = sorted(json.dumps(body, sort_keys=True) for body in bodies)
    return hashlib.sha256("\n".join(each).encode()).hexdigest()[:16]


def specialist(body: Body) -> str:
    """The engine that a body asks for; empty for the draft and the synthesis."""
    found = re.search(
        _DIRECTIVE + r"(\w+)\.", str(body["messages"][1]["content"]).rpartition("</material>")[2]
    )
    return found.group(1) if found else ""


def served(mind: Callable[[Body, bool], str]) -> None:
    report: dict[str, object] = {}
    print(json.dumps("ready"), flush=True)
    waiting = sys.stdin.readline()
    while waiting:
        with (
            ModelServer(brain=mind, first_token=FIRST_TOKEN, per_token=PER_TOKEN) as timed,
            ModelServer(brain=mind) as instant,
        ):
            print(json.dumps({"timed": timed.base_url, "instant": instant.base_url, **report}), flush=True)
            waiting = sys.stdin.readline()
            bodies = [body for _, body in timed.requests]
            report = {"calls": timed.calls, "digest": digest(bodies), "aborted": timed.aborted}


if __name__ == "__main__":
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--whole", action="store_true")
    served(whole if options.parse_args().whole else trimmed)
