"""What workers are given, and what they give back: small values that say everything that a result depends on."""

from __future__ import annotations

import hashlib
import json
from datetime import datetime
from typing import Annotated, Any, Literal, NamedTuple

from pydantic import Field

from cinegen_core.monitor.events import Series
from cinegen_core.store.comparisons import Way
from cinegen_core.store.episodes import Id
from cinegen_core.story import Policy
from cinegen_core.story.model import Noun
from cinegen_core.story.state import ChoiceId
from cinegen_core.tiers.model import Generation, TierName
from cinegen_core.writers.model import Provider


class Brief(Noun):
    """How all requests of a season or of a way are answered, decided once before the batch begins.

    `bible` is the bible's digest: the bible itself is sent to each worker once. `user` is what stands for `who` in events. `flags` and
    `flag_reasons` are those that decided; empty where something was picked.
    """

    bible: Id
    direction: str = ""
    minutes: float = 5.0
    policy: Policy
    first: TierName
    profile: str
    budget_seconds: float
    who: str = ""
    user: str = ""
    series: Series = "live"
    flags: dict[str, bool] = Field(default_factory=dict)
    flag_reasons: dict[str, str] = Field(default_factory=dict)


class Episode(Noun):
    """The next episode of a season. Its `id` is that of the record and of the event that come of it."""

    kind: Literal["episode"] = "episode"
    id: Id
    season: Id
    parent: Id | None = None
    brief: Brief
    number: int
    seed: int
    words: str


class WayTask(Noun):
    """One way of a comparison, at `place` (from 0)."""

    kind: Literal["way"] = "way"
    id: Id
    comparison: Id
    place: int
    way: Way
    brief: Brief
    number: int
    seed: int
    choice: ChoiceId | None = None
    words: str


class Ablating(Noun):
    """One series and seed of an ablation."""

    kind: Literal["ablation"] = "ablation"
    id: Id
    series: str
    bible: Id
    seed: int
    episodes: int
    words: str


class Rescoring(Noun):
    """Some episodes of a season that the store keeps."""

    kind: Literal["rescoring"] = "rescoring"
    id: Id
    season: Id
    records: tuple[Id, ...]
    words: str


Task = Episode | WayTask | Ablating | Rescoring

WEIGHTS = {"episode": 1.0, "way": 1.0, "ablation": 60.0, "rescoring": 0.25}
"""What a task takes, in episodes, roughly: an ablation's for each of its episodes, a rescoring's for each record."""


def weight(task: Task) -> float:
    """What it takes, in episodes, roughly: for the estimate of when a batch ends."""
    if isinstance(task, Ablating):
        return WEIGHTS["ablation"] * task.episodes
    if isinstance(task, Rescoring):
        return WEIGHTS["rescoring"] * len(task.records)
    return WEIGHTS[task.kind]


class Written(NamedTuple):
    """An episode, ready to be kept: JSON that the store takes as it is. `state` is what the next episode begins with."""

    record: str
    event: str
    at: datetime
    number: int
    state: str
    seconds: float
    score: float | None


class Answered(NamedTuple):
    """A way's answer: the generation as JSON, and its event."""

    generation: str
    event: str
    at: datetime
    seconds: float
    score: float | None


class Rows(NamedTuple):
    """Figures or scores, as JSON: a list of lists, or of objects."""

    data: str
    seconds: float


Result = Written | Answered | Rows


class Kit(Noun):
    """What a worker needs beside its tasks, sent once: bibles by digest as JSON, providers without their keys, and which code it
    must have. `keyed` names the providers that need a key; the worker finds it in the variable that `key_env` names."""

    bibles: dict[Id, str]
    providers: tuple[Provider, ...] = ()
    keyed: frozenset[str] = frozenset()
    code: str
    patient: Annotated[bool, Field(description="whether signals from the keyboard are for somebody else")] = (
        False
    )


def digest(**parts: Any) -> str:
    """Sixteen hexadecimal digits that stand for these parts: equal for equal ones, whatever their order. Sets are given sorted."""
    text = json.dumps(parts, sort_keys=True, ensure_ascii=False, separators=(",", ":"))
    return hashlib.sha256(text.encode("utf-8")).hexdigest()[:16]


def canonical(generation: Generation) -> bytes:
    """What of a generation is the same on every machine and in every run, as bytes: the episode and the scorecard, as JSON.

    The rest (ids, seconds, when it was saved, which server answered a call) says how it came about this time.
    """
    card = generation.scorecard
    shown = card.model_dump_json() if card is not None else "null"
    return f'{{"episode":{generation.episode.model_dump_json()},"scorecard":{shown}}}'.encode()
