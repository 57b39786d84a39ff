"""What somebody asks for."""

from __future__ import annotations

from typing import Annotated

from pydantic import BeforeValidator, Field, model_validator

from cinegen_core.story.bible import StoryBible, clean_text
from cinegen_core.story.model import Noun
from cinegen_core.story.state import Choice, ChoiceId, StoryState


class EpisodeRequest(Noun):
    """One episode, please. From the second on, `state` is what the last episode left behind.

    `choice` is the id of one of `state.offered`; left out, the canonical one counts as taken.
    """

    bible: StoryBible
    number: Annotated[int, Field(ge=1, le=999)] = 1
    state: StoryState | None = None
    choice: ChoiceId | None = None
    direction: Annotated[str, BeforeValidator(clean_text), Field(max_length=2000)] = ""
    seed: Annotated[int, Field(ge=0, lt=2**63)] = 0
    minutes: Annotated[float, Field(ge=2, le=10)] = 5.0

    @model_validator(mode="after")
    def _follows_its_state(self) -> EpisodeRequest:
        if self.state is not None:
            if self.state.series != self.bible.title:
                raise ValueError(
                    f"the state belongs to {self.state.series!r}, the bible to {self.bible.title!r}"
                )
            if self.number != self.state.episode + 1:
                raise ValueError(
                    f"the state was left by episode {self.state.episode}, so the next is {self.state.episode + 1}, not {self.number}"
                )
        elif self.choice is not None:
            raise ValueError("a choice needs the state of the episode that offered it (`state`)")
        if self.choice is not None and self.state and self.choice not in {c.id for c in self.state.offered}:
            raise ValueError(f"choice {self.choice!r} was not offered")
        return self

    @property
    def taken(self) -> Choice | None:
        """The choice that this episode follows from, if there was one."""
        if self.state is None or not self.state.offered:
            return None
        wanted = self.choice
        for choice in self.state.offered:
            if choice.id == wanted or (wanted is None and choice.canonical):
                return choice
        return self.state.offered[0]


class Policy(Noun):
    """How a request may be answered, decided once before work starts and frozen with it.

    `tiers` in the order to try; `engines` the names of the active ones, or None for all that suit the bible; `writer` the
    one to begin with, or empty for the studio's first; `repairs` how often what is missing may be asked for again.
    """

    tiers: tuple[str, ...] = ("comprehensive", "enhanced_baseline", "basic_fallback")
    engines: frozenset[str] | None = None
    genre_engines: bool = True
    complete_context: bool = True
    high_temperature: bool = True
    writer: str = ""
    repairs: Annotated[int, Field(ge=0, le=3)] = 1
