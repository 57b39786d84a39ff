"""What comes in: the bodies of the requests that change something."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import ConfigDict, Field, StringConstraints, model_validator
from pydantic.alias_generators import to_camel

from cinegen_core.store.episodes import Id
from cinegen_core.story import StoryState
from cinegen_core.story.model import Noun
from cinegen_core.story.state import ChoiceId

Action = Literal["shown", "chose", "rated", "exported"]

LONGEST_SILENCE = 7 * 24 * 60
"""Minutes. What is to be silent for longer than a week is a rule that should not be there."""


Who = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=200)]
Why = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=2000)]


class _Ask(Noun):
    model_config = ConfigDict(alias_generator=to_camel)


class GenerateBody(_Ask):
    """`storyBible` in the studio's own shape (the schema StoryBible) or the guide's camelCase. From the second episode on, `state`
    is the `episode.state` of the one before; `episodeNumber` then follows from it, and `previousChoice` is one that it offered."""

    story_bible: dict[str, Any]
    episode_number: Annotated[int, Field(ge=1, le=999)] | None = None
    previous_choice: ChoiceId | None = None
    state: StoryState | None = None
    direction: Annotated[str, Field(max_length=2000)] = ""
    seed: Annotated[int, Field(ge=0, lt=2**63)] = 0
    wait: bool = True


class FeedbackBody(_Ask):
    """What a reader did with an episode; `generation` is the id of the job that wrote it. A rating goes with `rated` alone.

    `who` tells readers apart, of whom only the last rating of an episode counts; where it is left out the reader is nobody in
    particular, and every rating counts.
    """

    generation: Id
    action: Action
    who: Who | None = None
    rating: Annotated[int, Field(ge=1, le=10)] | None = None
    why: Annotated[str, Field(max_length=2000)] = ""

    @model_validator(mode="after")
    def _rated_with_a_rating(self) -> FeedbackBody:
        if (self.action == "rated") != (self.rating is not None):
            raise ValueError("give a `rating` of 1 to 10 with the action `rated`, and with no other")
        return self


class CommandBody(_Ask):
    """A change of the flags: why, by whom, and the version that it was decided from, if newer changes are to forbid it."""

    reason: Why
    who: Who
    version: Annotated[int, Field(ge=0)] | None = None


class FlagBody(CommandBody):
    """What is left out stays as it is; one of the two is given."""

    enabled: bool | None = None
    percent: Annotated[int, Field(ge=0, le=100)] | None = None

    @model_validator(mode="after")
    def _something_to_set(self) -> FlagBody:
        if self.enabled is None and self.percent is None:
            raise ValueError("say what to set: `enabled`, `percent`, or both")
        return self


class EmergencyBody(_Ask):
    """Into emergency mode, or out of it."""

    on: bool
    reason: Why
    who: Who


class AcknowledgeBody(_Ask):
    """Who has taken note of an alert."""

    by: Who


class SilenceBody(_Ask):
    """For how long nobody is told of a rule's alerts, which go on as ever; 0 minutes lift the silences before."""

    rule: Annotated[str, Field(min_length=1, max_length=100)]
    minutes: Annotated[int, Field(ge=0, le=LONGEST_SILENCE)]
    why: Why
    by: Who
