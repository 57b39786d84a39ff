"""What an engine is: one job, asked for in a directive, and looked for in the finished script."""

from __future__ import annotations

from typing import Annotated, ClassVar, Literal, Protocol

from pydantic import Field

from cinegen_core.story import Draft, Episode, EpisodeRequest, StoryBible
from cinegen_core.story.model import Noun

Phase = Literal["narrative", "dialogue", "world", "format", "genre"]
PHASES: tuple[Phase, ...] = ("narrative", "dialogue", "world", "format", "genre")


class Line(Noun):
    """A place in a script: scene and element, both counted from 1, and what stands there."""

    scene: Annotated[int, Field(ge=1)]
    line: Annotated[int, Field(ge=1)]
    text: str


class Realisation(Noun):
    """How far a directive is in the script: 0 (not at all) to 1, with the lines that show it."""

    engine: str
    score: Annotated[float, Field(ge=0, le=1)]
    lines: tuple[Line, ...] = ()
    missing: tuple[str, ...] = Field(default=(), description="what was asked for and not found, in words")


class Directive(Noun):
    """What one engine wants of this episode. Each engine has its own fields; scenes count from 1."""

    engine: str
    operation: Literal["add", "set", "forbid"] = "add"


class EngineContext(Noun):
    """Everything an engine may look at."""

    request: EpisodeRequest
    draft: Draft

    @property
    def bible(self) -> StoryBible:
        return self.request.bible


class Engine(Protocol):
    """One specialist. Stateless; the same context gives the same answer.

    `priority` settles conflicts between directives: the higher one holds.
    """

    name: ClassVar[str]
    phase: ClassVar[Phase]
    job: ClassVar[str]
    priority: ClassVar[int]
    directive: ClassVar[type[Directive]]

    def suits(self, bible: StoryBible) -> bool:
        """Whether this engine has work in such a series (the genre engines ask for their genre)."""
        ...

    def brief(self, context: EngineContext) -> str:
        """The job in words, for a language model."""
        ...

    def propose(self, context: EngineContext) -> Directive:
        """The job by rules, without a model."""
        ...

    def realised(self, episode: Episode, directive: Directive, context: EngineContext) -> Realisation:
        """Whether the directive is in the script, judged from the script alone, whoever wrote it."""
        ...
