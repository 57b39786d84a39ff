"""Those who write: the embedded writer (no model), a model, and a template that cannot fail."""

from cinegen_core.writers.base import Call, Desk, Proposer, Writer

__all__ = ["Call", "Desk", "Proposer", "Writer"]
