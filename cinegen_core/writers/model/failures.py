"""What can go wrong between us and a language model, sorted by what to do about it."""

from __future__ import annotations

import re
from collections.abc import Iterable

import openai

from cinegen_core.writers.base import CallOutcome

AGAIN: frozenset[CallOutcome] = frozenset(("rate_limited", "server_error", "connection", "timed_out"))
"""What may go better when the same thing is asked again."""

OUTAGE: frozenset[CallOutcome] = frozenset(("server_error", "connection", "timed_out", "rejected"))
"""What says that a provider is down or set up wrongly, and not that it is busy or disliked the question."""

_LONG = (
    "context_length_exceeded",
    "exceed_context_size_error",
    "context length",
    "context size",
    "too many tokens",
)
_ECHOED_KEY = re.compile(r"\b(?:sk|pk|key|tok)-[A-Za-z0-9_*.-]{6,}|(?<=Bearer )\S+", re.IGNORECASE)


class ModelError(Exception):
    """A model gave no answer that could be used. The message is a sentence for the writer; it holds no key."""


class CallError(ModelError):
    """One call failed. `after` is the wait in seconds that the server asked for, if it did."""

    def __init__(self, outcome: CallOutcome, message: str, *, after: float | None = None) -> None:
        super().__init__(message)
        self.outcome: CallOutcome = outcome
        self.after = after


class NoProviderError(ModelError):
    """All providers failed, or are being left alone after failing."""


class BibleTooLargeError(ModelError):
    """The bible and what belongs to it do not fit into the window of any provider. Raised before any call."""


def call_error(error: Exception, secrets: Iterable[str]) -> CallError:
    """The SDK's error as ours."""
    if isinstance(error, openai.APIStatusError):
        return _status_error(error, secrets)
    if isinstance(error, openai.APITimeoutError | TimeoutError):
        return CallError("timed_out", "it did not answer in time")
    if isinstance(error, openai.APIConnectionError):
        return CallError("connection", "it could not be reached")
    if isinstance(error, openai.APIResponseValidationError | openai.APIError | ValueError):
        return CallError("server_error", f"its answer could not be read ({_clean(str(error), secrets)})")
    return CallError("connection", f"the connection broke ({_clean(type(error).__name__, secrets)})")


def _status_error(error: openai.APIStatusError, secrets: Iterable[str]) -> CallError:
    status, said = error.status_code, _clean(error.message, secrets)
    if status == 429:
        return CallError(
            "rate_limited",
            "it is being asked too much (429)",
            after=_seconds(error.response.headers.get("retry-after")),
        )
    if status in (408, 409) or status >= 500:
        return CallError(
            "server_error", f"it failed ({status})", after=_seconds(error.response.headers.get("retry-after"))
        )
    if any(mark in str(error.body).casefold() or mark in said.casefold() for mark in _LONG):
        return CallError("too_long", "the text is longer than the model's window")
    if status in (401, 403):
        return CallError("rejected", f"it did not accept the key ({status})")
    return CallError("rejected", f"it did not accept the request ({status}: {said[:200]})")


def _seconds(header: str | None) -> float | None:
    """Retry-After in seconds; its date form is taken as absent."""
    try:
        wait = float(header) if header else None
    except ValueError:
        return None
    return wait if wait is not None and 0 <= wait < 86_400 else None


def _clean(text: str, secrets: Iterable[str]) -> str:
    for secret in secrets:
        if secret:
            text = text.replace(secret, "[key]")
    return _ECHOED_KEY.sub("[key]", text)
