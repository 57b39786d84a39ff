"""What an episode leaves behind, and the next one has to obey."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Field

from cinegen_core.story.model import Noun

ChoiceId = Literal["a", "b", "c"]


class Effect(Noun):
    """One declared change to the story's state.

    `kind` says what changes (`knows`, `prop`, `bond`, `flag`), `subject` whose or which, `value` to what.
    """

    kind: Literal["knows", "prop", "bond", "flag"]
    subject: str
    value: str = ""


class Choice(Noun):
    """One way on. `consequence` is what it costs, as the viewer reads it."""

    id: ChoiceId
    label: str
    consequence: str
    effects: tuple[Effect, ...] = ()
    canonical: bool = False
    axis: str = Field(default="", description="What this choice trades against what, e.g. 'truth / safety'.")
    anchor: str = Field(default="", description="The thing or person in the last scene that it acts on.")
    horizon: Literal["next", "season"] = "next"


class Knowledge(Noun):
    """Who knows what, how surely, and since when.

    `level`: 1 suspects (has a clue), 2 knows, 3 has known from the start (it is theirs).
    """

    who: str
    what: str
    level: Annotated[int, Field(ge=1, le=3)]
    episode: int
    how: str = ""


class Relationship(Noun):
    """`trust` from -3 (an enemy) to 3 (would lie for them), of `who` towards `towards`."""

    who: str
    towards: str
    trust: Annotated[int, Field(ge=-3, le=3)]


class Thread(Noun):
    question: str
    opened: int
    closed: int | None = None


class Whereabouts(Noun):
    """Where a thing is: with a person, at a place, or gone."""

    thing: str
    kind: Literal["person", "place", "gone"]
    where: str = ""


class Change(Noun):
    """A sentence about what happened that later episodes remember."""

    episode: int
    text: str


class StoryState(Noun):
    """The season so far, after `episode` episodes. Episode 0 is before the first."""

    series: str
    episode: Annotated[int, Field(ge=0)] = 0
    knowledge: tuple[Knowledge, ...] = ()
    relationships: tuple[Relationship, ...] = ()
    things: tuple[Whereabouts, ...] = ()
    threads: tuple[Thread, ...] = ()
    changes: tuple[Change, ...] = ()
    offered: tuple[Choice, ...] = Field(default=(), description="The choices that this episode ended on.")
    memory: dict[str, Any] = Field(
        default_factory=dict, description="A writer's own notes; plain JSON, meaningless to anybody else."
    )

    def knows(self, who: str, what: str) -> int:
        """How surely `who` knows `what`: 0 (not at all) to 3."""
        return max((k.level for k in self.knowledge if k.who == who and k.what == what), default=0)
