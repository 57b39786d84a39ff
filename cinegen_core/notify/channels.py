"""What a notice travels by: anything with a name for its target, and a way to send."""

from __future__ import annotations

from typing import Protocol

from cinegen_core.notify.notice import Notice


class DeliveryError(Exception):
    """A notice did not arrive, or nobody can say that it did. The message is a clause for people, and holds no secret.

    `again` is whether it may go better when it is tried again, `after` the seconds that the receiver asked to wait, if it did.
    """

    def __init__(self, problem: str, *, again: bool, after: float | None = None) -> None:
        super().__init__(problem)
        self.again = again
        self.after = after


class Channel(Protocol):
    """One target of notices. `target` names it to people and in the database: at most 200 characters, the same after a
    restart and in every studio that sends to the same place, and without anything secret."""

    @property
    def target(self) -> str: ...

    async def send(self, notice: Notice) -> None:
        """Returns once the receiver has confirmed it, or raises `DeliveryError`, within 60 seconds."""
        ...
