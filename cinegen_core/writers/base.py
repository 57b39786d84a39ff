"""What a writer is: three verbs, whether a program or a language model does the writing."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import ClassVar, Protocol

from cinegen_core.engines.base import Directive
from cinegen_core.story import Draft, Episode, EpisodeRequest, Policy

Said = Callable[[str], None]
"""Called with the text written so far, as it grows."""


class Writer(Protocol):
    """Writes episodes. Holds no state between calls; the same arguments give a program writer the same answer."""

    name: ClassVar[str]
    profile: ClassVar[str]

    async def draft(self, request: EpisodeRequest, policy: Policy, said: Said) -> Draft:
        """A complete first version, without any engine's work."""
        ...

    async def synthesise(
        self,
        request: EpisodeRequest,
        policy: Policy,
        draft: Draft,
        directives: Sequence[Directive],
        said: Said,
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
        said: Said,
    ) -> Episode:
        """The episode again, with the `missing` directives brought in and the rest kept."""
        ...
