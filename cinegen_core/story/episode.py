"""An episode: what a viewer gets, and nothing that a viewer cannot see."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from cinegen_core.story.model import Noun
from cinegen_core.story.state import Choice, StoryState


class Action(Noun):
    """What the camera and the microphone catch."""

    kind: Literal["action"] = "action"
    text: str


class Dialogue(Noun):
    """One speech. `speaker` is the cue, in capitals, without extension."""

    kind: Literal["dialogue"] = "dialogue"
    speaker: str
    text: str
    parenthetical: str | None = None
    extension: str | None = Field(default=None, description='"V.O.", "O.S.", "CONT\'D"')


class Transition(Noun):
    kind: Literal["transition"] = "transition"
    text: str


Element = Annotated[Action | Dialogue | Transition, Field(discriminator="kind")]


class Scene(Noun):
    """`seconds` is the scene's planned running time."""

    slugline: str
    seconds: Annotated[int, Field(ge=0)]
    elements: tuple[Element, ...]

    @property
    def speakers(self) -> tuple[str, ...]:
        """Cues in order of first speech."""
        return tuple(dict.fromkeys(e.speaker for e in self.elements if isinstance(e, Dialogue)))

    @property
    def words(self) -> int:
        return sum(len(e.text.split()) for e in self.elements)


class Beat(Noun):
    """One row of the rundown: where a part of the running time goes."""

    start: Annotated[int, Field(ge=0)] = Field(description="seconds from the first frame")
    seconds: Annotated[int, Field(ge=0)]
    text: str


class Episode(Noun):
    series: str
    number: Annotated[int, Field(ge=1)]
    title: str
    logline: str
    synopsis: str
    scenes: Annotated[tuple[Scene, ...], Field(min_length=1)]
    question: str
    choices: Annotated[tuple[Choice, Choice, Choice], Field()]
    rundown: tuple[Beat, ...] = ()
    state: StoryState

    @property
    def seconds(self) -> int:
        return sum(scene.seconds for scene in self.scenes)

    @property
    def words(self) -> int:
        """Words a viewer hears or sees described: the scenes, without sluglines and choices."""
        return sum(scene.words for scene in self.scenes)

    def choice(self, wanted: str) -> Choice:
        """Raises `KeyError` with the ids on offer."""
        for choice in self.choices:
            if choice.id == wanted:
                return choice
        raise KeyError(f"no choice {wanted!r}; this episode offers {', '.join(c.id for c in self.choices)}")

    @property
    def canonical(self) -> Choice:
        return next((c for c in self.choices if c.canonical), self.choices[0])
