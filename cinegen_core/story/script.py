"""A script as its reader has it: scenes and choices, and nothing that a page does not show."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from cinegen_core.story.episode import Element, Episode
from cinegen_core.story.model import Noun


class ScriptScene(Noun):
    """A scene as a script shows it: without its running time."""

    slugline: str
    elements: tuple[Element, ...]


class ScriptChoice(Noun):
    label: str
    consequence: str


class Script(Noun):
    """Anybody's screenplay. `scenes` before the first slugline have an empty one; 0 stands for no number."""

    series: str = ""
    number: Annotated[int, Field(ge=0)] = 0
    title: str = ""
    scenes: tuple[ScriptScene, ...] = ()
    question: str = ""
    choices: tuple[ScriptChoice, ...] = ()

    @classmethod
    def of(cls, episode: Episode) -> Script:
        """What a page of this episode shows."""
        return cls(
            series=episode.series,
            number=episode.number,
            title=episode.title,
            scenes=tuple(
                ScriptScene(slugline=scene.slugline, elements=scene.elements) for scene in episode.scenes
            ),
            question=episode.question,
            choices=tuple(
                ScriptChoice(label=choice.label, consequence=choice.consequence) for choice in episode.choices
            ),
        )
