"""Scripts of one's own, scored away from the page: a feature film takes seconds, and no click waits for it."""

from __future__ import annotations

import hashlib
import threading
from collections import OrderedDict
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, wait
from dataclasses import dataclass, field

import streamlit as st

from cinegen_core.analysis.scripts import MOST_BYTES, Scored, score_files
from cinegen_core.story import StoryBible
from cinegen_core.story.formats import read_script
from cinegen_core.story.script import Script
from cinegen_core.story.source import decode

ROUNDS_KEPT = 20
BYTES_KEPT = 64 * 1024 * 1024
"""Of scripts in all rounds that are kept; the oldest rounds go first, the newest stays."""

File = tuple[str, bytes]


@dataclass
class Round:
    """Some scripts that were brought together, scored by one bible or none. `done` of them have been read."""

    id: str
    files: tuple[File, ...]
    bible: str
    done: int = 0
    work: Future[tuple[Scored, ...]] | None = field(default=None, repr=False)

    @property
    def size(self) -> int:
        return sum(len(raw) for _, raw in self.files)

    @property
    def scored(self) -> tuple[Scored, ...] | None:
        """None while it is at work. Raises what the work failed with."""
        return self.work.result() if self.work is not None and self.work.done() else None


class Rounds:
    """One after the other, for all visitors; each person finds only their own. May be used from any thread."""

    def __init__(self) -> None:
        self._pool = ThreadPoolExecutor(1, thread_name_prefix="scripts")
        self._lock = threading.Lock()
        self._kept: OrderedDict[tuple[str, str], Round] = OrderedDict()

    def begin(self, person: str, files: Sequence[File], bible: StoryBible | None) -> str:
        """The id of the round; that of one with the same scripts and bible, if there is one."""
        made = Round(_id(files, bible), tuple(files), bible.title if bible is not None else "")
        with self._lock:
            if (person, made.id) in self._kept:
                return made.id
            self._kept[person, made.id] = made
            made.work = self._pool.submit(_score, made, bible)
            while len(self._kept) > 1 and (
                len(self._kept) > ROUNDS_KEPT or sum(one.size for one in self._kept.values()) > BYTES_KEPT
            ):
                _, oldest = self._kept.popitem(last=False)
                if oldest.work is not None:
                    oldest.work.cancel()
        return made.id

    def of(self, person: str, id: str) -> Round | None:
        """None for one that is not kept any more, or is somebody else's."""
        with self._lock:
            return self._kept.get((person, id))

    def settle(self, seconds: float) -> None:
        """Waits until everything is scored, at most so long."""
        with self._lock:
            works = [one.work for one in self._kept.values() if one.work is not None]
        wait(works, seconds)

    def close(self) -> None:
        """Waits for the round that is being scored; those that were to follow are dropped."""
        self._pool.shutdown(cancel_futures=True)


@st.cache_resource(show_spinner=False, on_release=Rounds.close)
def the_rounds() -> Rounds:
    """Those of this server."""
    return Rounds()


def script_of(file: File) -> Script:
    """What was read of it. Raises `StoryError`."""
    name, raw = file
    return read_script(decode(raw, name, limit=MOST_BYTES), name=name)


def _score(made: Round, bible: StoryBible | None) -> tuple[Scored, ...]:
    def counted() -> Iterator[File]:
        for place, file in enumerate(made.files):
            made.done = place
            yield file

    return score_files(counted(), bible)


def _id(files: Sequence[File], bible: StoryBible | None) -> str:
    digest = hashlib.sha256((bible.model_dump_json() if bible is not None else "").encode("utf-8"))
    for name, raw in files:
        digest.update(f"\0{name}\0{len(raw)}\0".encode())
        digest.update(raw)
    return digest.hexdigest()[:16]
