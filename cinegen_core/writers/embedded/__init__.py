"""The embedded writer: episodes from hand-written scenes, planned over what is true. No model, no network, no key."""

from cinegen_core.writers.embedded.cards import CardError
from cinegen_core.writers.embedded.notation import NotationError
from cinegen_core.writers.embedded.plan import NoPlan
from cinegen_core.writers.embedded.writer import EmbeddedWriter

__all__ = ["CardError", "EmbeddedWriter", "NoPlan", "NotationError"]
