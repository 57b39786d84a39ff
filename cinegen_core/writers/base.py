"""What a writer is: three verbs, whether a program or a language model does the writing."""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable, Sequence
from typing import Annotated, Literal, Protocol, TypeVar, cast, runtime_checkable

from pydantic import Field

from cinegen_core.engines.base import Directive, Engine, EngineContext
from cinegen_core.story import Draft, Episode, EpisodeRequest, Policy
from cinegen_core.story.model import Noun

CallOutcome = Literal[
    "answered", "rate_limited", "server_error", "connection", "timed_out", "malformed", "refused", "too_long",
    "rejected", "cancelled",
]  # fmt: skip


class Call(Noun):
    """One request to a language model, as it went. `seconds` from sending to the last byte, `first_token` to the first
    (None where it was not streamed, or never came). Tokens as the server counted them; `cost` in US dollars by the
    provider's price list."""

    purpose: str = Field(description='"draft", "synthesis", "repair", or the name of an engine')
    provider: str
    model: str
    outcome: CallOutcome
    seconds: Annotated[float, Field(ge=0)] = 0.0
    first_token: Annotated[float, Field(ge=0)] | None = None
    prompt_tokens: Annotated[int, Field(ge=0)] = 0
    cached_tokens: Annotated[int, Field(ge=0)] = 0
    completion_tokens: Annotated[int, Field(ge=0)] = 0
    cost: Annotated[float, Field(ge=0)] = 0.0


class Closes(Protocol):
    """Something that is open, and must be closed on the event loop it was opened on."""

    def close(self) -> Awaitable[None]: ...


Opened = TypeVar("Opened", bound=Closes)


class Desk:
    """What a writer works at for one attempt: where text and calls are reported, how much time is left, and what is open.

    `said` gets all text written so far, as it grows. `left` is in seconds.
    """

    def __init__(
        self,
        *,
        said: Callable[[str], None] = lambda text: None,
        called: Callable[[Call], None] = lambda call: None,
        left: Callable[[], float] = lambda: float("inf"),
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.said = said
        self.called = called
        self.left = left
        self.clock = clock
        self._open: dict[str, Closes] = {}

    def opened(self, key: str, make: Callable[[], Opened]) -> Opened:
        """What was made for `key`; made now if nothing was. It stays open until the attempt ends."""
        if key not in self._open:
            self._open[key] = make()
        return cast(Opened, self._open[key])

    async def close(self) -> None:
        """Closes what the attempt opened, the last first."""
        while self._open:
            _, thing = self._open.popitem()
            await thing.close()


class Writer(Protocol):
    """Writes episodes. Holds no state of an episode between calls; the same arguments give a program writer the same answer.

    `profile` is the quality profile that its episodes are held to.
    """

    @property
    def name(self) -> str: ...

    @property
    def profile(self) -> str: ...

    async def draft(self, request: EpisodeRequest, policy: Policy, desk: Desk) -> Draft:
        """A complete first version, without any engine's work."""
        ...

    async def synthesise(
        self,
        request: EpisodeRequest,
        policy: Policy,
        draft: Draft,
        directives: Sequence[Directive],
        desk: Desk,
    ) -> Episode:
        """The episode, with the directives carried out."""
        ...

    async def repair(
        self,
        request: EpisodeRequest,
        policy: Policy,
        draft: Draft,
        episode: Episode,
        directives: Sequence[Directive],
        missing: Sequence[Directive],
        desk: Desk,
    ) -> Episode:
        """The episode again, with the `missing` directives brought in and the rest kept."""
        ...


@runtime_checkable
class Proposer(Protocol):
    """A writer that can also think for the engines: what one of them wants, asked of a model instead of its rules."""

    async def propose(self, engine: Engine, context: EngineContext, policy: Policy, desk: Desk) -> Directive:
        """Raises whatever keeps it from an answer; the engine's rules then stand in."""
        ...
