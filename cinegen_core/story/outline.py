"""What is going to happen, before it is written out: the ground that engines work on."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from cinegen_core.story.episode import Episode
from cinegen_core.story.model import Noun


class SceneOutline(Noun):
    """One planned scene. People are named by their cues, the one who wants something first."""

    location: str
    slugline: str
    people: tuple[str, ...]
    wants: str = ""
    block: str = ""
    turn: str = Field(default="", description="what is different afterwards, in a sentence")
    subject: str = Field(
        default="", description="the thing or secret that the scene is about, as people call it"
    )
    holder: str | None = Field(default=None, description="the cue of the person who keeps that secret")
    reveals: bool = Field(default=False, description="whether the secret comes out here")
    tension: Annotated[float, Field(ge=0, le=10)] = 5.0
    seconds: Annotated[int, Field(ge=0)] = 0


class Outline(Noun):
    protagonist: str
    question: str = Field(default="", description="what this episode is about, as a question")
    truth: str = Field(default="", description="the answer, which the episode may or may not give")
    stake: str = ""
    scenes: Annotated[tuple[SceneOutline, ...], Field(min_length=1)]


class Draft(Noun):
    """A first version: readable, and without any engine's work in it."""

    outline: Outline
    episode: Episode
