"""Writing with a language model, on any server that speaks the OpenAI protocol."""

from cinegen_core.writers.model.calls import Calls, Gate, Transport
from cinegen_core.writers.model.failures import BibleTooLargeError, ModelError, NoProviderError
from cinegen_core.writers.model.provider import Provider, ProviderError, providers_from
from cinegen_core.writers.model.writer import ModelWriter

__all__ = [
    "BibleTooLargeError", "Calls", "Gate", "ModelError", "ModelWriter", "NoProviderError", "Provider", "ProviderError", "Transport",
    "providers_from",
]  # fmt: skip
