"""The judge of attempts: form first, then the scorer, against the threshold of the writer's quality profile."""

from __future__ import annotations

import tomllib
from collections.abc import Callable, Mapping
from functools import lru_cache
from importlib.resources import files
from typing import Annotated, NamedTuple

from pydantic import Field

from cinegen_core.scorer import Scorecard, score
from cinegen_core.story import Episode, StoryBible
from cinegen_core.story.model import Noun
from cinegen_core.tiers.form import check_form


class Profile(Noun):
    """What counts as good enough from a kind of writer, on the one scale. `least` accepts an attempt; `good` and `fine` stand
    for the guide's 7.5 and 8.0. `source` says where the numbers come from."""

    least: Annotated[float, Field(ge=0, le=10)]
    good: Annotated[float, Field(ge=0, le=10)]
    fine: Annotated[float, Field(ge=0, le=10)]
    source: str


class Verdict(NamedTuple):
    """What a judge says. `rank` orders attempts at one request, higher is better; it means nothing else."""

    accepted: bool
    rank: float
    reason: str
    scorecard: Scorecard | None = None


Judge = Callable[[Episode, StoryBible, str], Verdict]
"""Judges an episode of a bible by a writer of this profile."""


@lru_cache(maxsize=1)
def profiles() -> Mapping[str, Profile]:
    """The quality profiles, frozen per version of the scorer in profiles.toml."""
    text = (files("cinegen_core.tiers") / "profiles.toml").read_text(encoding="utf-8")
    tables = tomllib.loads(text)
    return {name: Profile.model_validate(table) for name, table in tables["profiles"].items()}


def as_guide(score: float, profile: str) -> float:
    """A score (0..10) by a writer of this profile, on the scale of the guide's thresholds: the profile's `least`, `good` and `fine`
    become 7.0, 7.5 and 8.0, straight between them and to 0 and 10. Triggers and gates are declared on that scale."""
    known = profiles()
    held_to = known.get(profile, known["model"])
    own = (0.0, held_to.least, held_to.good, held_to.fine, 10.0)
    guide = (0.0, 7.0, 7.5, 8.0, 10.0)
    for low, high, to_low, to_high in zip(own, own[1:], guide, guide[1:], strict=False):
        if score <= high and high > low:
            return to_low + (to_high - to_low) * (score - low) / (high - low)
    return score


def profiles_version() -> str:
    """The scorer's version that the profiles were set for."""
    text = (files("cinegen_core.tiers") / "profiles.toml").read_text(encoding="utf-8")
    return str(tomllib.loads(text)["scorer_version"])


def judge(episode: Episode, bible: StoryBible, profile: str) -> Verdict:
    """Accepts what has the form of an episode and scores at least its profile's `least`.

    An unknown profile is held to the guide's numbers. What has no score ranks below everything that has one.
    """
    known = profiles()
    form = check_form(episode)
    card = score(episode, bible)
    if card.overall is None:
        return Verdict(
            False,
            form.met - 10.0,
            f"has no score: {card.reason[:1].lower()}{card.reason[1:].rstrip('.')}",
            card,
        )
    least = known.get(profile, known["model"]).least
    shown = f"scored {card.overall:.1f} of 10"
    if not form.fits:
        return Verdict(False, card.overall, f"{shown}, but {form.reason}", card)
    if card.overall < least:
        return Verdict(False, card.overall, f"{shown}, below the {least:.1f} asked of this writer", card)
    return Verdict(True, card.overall, shown, card)
