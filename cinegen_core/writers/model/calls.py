"""Asking a model: providers in order, each behind a breaker, with retries inside the time that is left, and every call on record."""

from __future__ import annotations

import asyncio
import copy
import json
import random
import threading
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, nullcontext
from dataclasses import dataclass, field
from typing import Any, Generic, Literal, NamedTuple, TypeVar
from urllib.parse import urlsplit

import httpx2
import openai
from pydantic_core import from_json

from cinegen_core.writers.base import Call, CallOutcome, Desk
from cinegen_core.writers.model.breaker import Breaker
from cinegen_core.writers.model.failures import (
    AGAIN,
    OUTAGE,
    BibleTooLargeError,
    CallError,
    NoProviderError,
    call_error,
)
from cinegen_core.writers.model.prompts.correction import correction_task
from cinegen_core.writers.model.prompts.material import estimated_tokens
from cinegen_core.writers.model.provider import Provider, Structured
from cinegen_core.writers.model.schema import tight_schema

Transport = Callable[[Provider], httpx2.AsyncBaseTransport]
"""What the calls to a provider travel over."""

Gate = Callable[[Provider], AbstractAsyncContextManager[object]]
"""What a call to a provider passes through, entered before it and left after it: where others wait for the same provider too."""

T = TypeVar("T")

PATIENCE = 0.4
"""A wait before trying again may take this share of the time left; longer, and the next provider or tier is the better choice."""

STALL_GRAIN = 0.05
"""Seconds within which pieces of a stream count as one, where stalls are timed."""

TOLD_EVERY = 160
"""Characters of a streamed answer between two looks at it."""


@dataclass(frozen=True)
class Question(Generic[T]):
    """What is asked. `material` is the part that all calls of an episode begin with, `task` what is different.

    `read` makes of the answer what the caller wants; what it raises as `ValueError` is told to the model, once.
    """

    purpose: str
    house: str
    material: str
    task: str
    form: str
    schema: Mapping[str, Any]
    people: Sequence[str]
    read: Callable[[str], T]
    tokens: Callable[[Provider], int]
    temperature: float
    seed: int
    stream: Callable[[str], None] | None = None


@dataclass
class _Standing:
    """How a provider stands, across all episodes of a studio."""

    provider: Provider
    breaker: Breaker
    structured: Structured


class Usage(NamedTuple):
    """Tokens as the server counted them; `cached` are part of `prompt`."""

    prompt: int
    cached: int
    completion: int


class Completion(NamedTuple):
    """What a server said, or a piece of it."""

    text: str
    refusal: str
    finish: str | None
    usage: Usage | None


@dataclass
class _Meter:
    """One call as it goes."""

    started: float
    first_token: float | None = None
    usage: Usage | None = None


class _Answer(NamedTuple):
    """`cut` at the limit of tokens."""

    text: str
    cut: bool


def open_gate(provider: Provider) -> AbstractAsyncContextManager[object]:
    """Nobody else is waited for."""
    return nullcontext()


@dataclass
class _Gates:
    """How many calls of one attempt go to a provider at once."""

    gates: dict[str, asyncio.Semaphore] = field(default_factory=dict)

    async def close(self) -> None:
        self.gates.clear()


class Calls:
    """The providers of a studio. May be used from several event loops in several threads at once.

    `failures` in a row open a provider's breaker for `rest` seconds; `tries` are made of what may go better again,
    the wait before the second about `backoff` seconds, then twice that, and so on, or what the server asks for. `at_once` of
    a provider holds for each attempt; `gate` is what its calls pass through beside, where several processes share the limit.
    """

    def __init__(
        self,
        providers: Sequence[Provider],
        *,
        clock: Callable[[], float],
        rng: random.Random,
        transport: Transport | None = None,
        gate: Gate = open_gate,
        failures: int = 5,
        rest: float = 30.0,
        tries: int = 3,
        backoff: float = 0.5,
    ) -> None:
        self.providers = tuple(providers)
        self._clock = clock
        self._rng = rng
        self._transport = transport
        self._gate = gate
        self._tries = tries
        self._backoff = backoff
        self._lock = threading.Lock()
        self._verify: Any = None
        self._standings = [
            _Standing(
                provider,
                Breaker(clock, failures=failures, rest=rest),
                "schema" if provider.structured == "auto" else provider.structured,
            )
            for provider in self.providers
        ]

    def beginning_with(self, name: str) -> Calls:
        """The same providers, in the same standing, with this one asked first. Raises `KeyError` for one that is not there."""
        first = next((standing for standing in self._standings if standing.provider.name == name), None)
        if first is None:
            raise KeyError(name)
        other = copy.copy(self)
        other._standings = [first, *(standing for standing in self._standings if standing is not first)]
        other.providers = tuple(standing.provider for standing in other._standings)
        return other

    async def ask(self, question: Question[T], desk: Desk) -> T:
        """The first usable answer of the providers in order.

        Raises `BibleTooLargeError` before any call if no window is large enough, `NoProviderError` if all failed.
        """
        standings = self._fitting(question)
        told: list[str] = []
        for index, standing in enumerate(standings):
            name = standing.provider.name
            if not standing.breaker.enter():
                told.append(f"{name}: it is left alone for a while after failing")
                continue
            try:
                return await self._from(standing, question, desk, alone=index == len(standings) - 1)
            except CallError as error:
                told.append(f"{name}: {error}")
        raise NoProviderError("no model answered (" + "; ".join(told) + ")")

    def _fitting(self, question: Question[T]) -> list[_Standing]:
        prompt = estimated_tokens(question.house + question.material + question.task)
        fitting: list[_Standing] = []
        over: list[str] = []
        for standing in self._standings:
            provider = standing.provider
            kept = question.tokens(provider)
            if provider.window is None or prompt + kept <= provider.window:
                fitting.append(standing)
            else:
                over.append(
                    f"{provider.name} ({provider.model}) takes {provider.window:,} tokens, and about {prompt:,} with {kept:,} "
                    f"kept for the answer are {prompt + kept - provider.window:,} too many"
                )
        if not fitting and over:
            raise BibleTooLargeError(
                "the bible with what belongs to it is larger than the model's window: " + "; ".join(over)
                + ". Shorten it, choose a model with a larger window, or switch `complete_context` off"
            )  # fmt: skip
        return fitting

    async def _from(self, standing: _Standing, question: Question[T], desk: Desk, *, alone: bool) -> T:
        """From one provider, whose breaker has let us in. Raises `CallError`."""
        breaker = standing.breaker
        corrected: tuple[str, str] | None = None
        attempt = 0
        try:
            while True:
                try:
                    answer = await self._once(standing, question, corrected or (), desk)
                except CallError as error:
                    if error.outcome in OUTAGE:
                        breaker.failed()
                    wait = self._wait(error, attempt, desk, alone=alone)
                    if wait is None or not breaker.enter():
                        raise
                    attempt += 1
                    await asyncio.sleep(wait)
                    continue
                breaker.succeeded()
                try:
                    return question.read(answer.text)
                except ValueError as error:
                    if corrected is not None:
                        raise CallError(
                            "malformed", "its answers were not in the form that was asked for"
                        ) from error
                    corrected = (answer.text or "{}", correction_task(error, cut=answer.cut))
        finally:
            breaker.left()

    def _wait(self, error: CallError, attempt: int, desk: Desk, *, alone: bool) -> float | None:
        """Seconds until it is worth trying again; None if it is not."""
        if error.outcome not in AGAIN or attempt + 1 >= self._tries:
            return None
        with self._lock:
            jitter = 0.5 + self._rng.random()
        wait = max(error.after or 0.0, self._backoff * 2**attempt * jitter)
        if not alone and error.after is not None and error.after > 2.0:
            return None
        return wait if wait <= PATIENCE * desk.left() else None

    async def _once(
        self, standing: _Standing, question: Question[T], answered: Sequence[str], desk: Desk
    ) -> _Answer:
        """One answer; servers that know no schemas are asked again without. Raises `CallError`."""
        gates = desk.opened("gates", _Gates).gates
        gate = gates.setdefault(standing.provider.name, asyncio.Semaphore(standing.provider.at_once))
        while True:
            used = standing.structured
            try:
                async with gate, self._gate(standing.provider):
                    return await self._call(standing.provider, used, question, answered, desk)
            except CallError as error:
                said = str(error).casefold()
                if error.outcome != "rejected" or not any(
                    word in said
                    for word in ("response_format", "json_schema", "schema", "json_object", "grammar")
                ):
                    raise
                down: Structured | None = {"schema": "json", "json": "text", "text": None}[used]
                if down is None or standing.provider.structured != "auto":
                    raise
                standing.structured = down

    async def _call(
        self,
        provider: Provider,
        structured: Structured,
        question: Question[T],
        answered: Sequence[str],
        desk: Desk,
    ) -> _Answer:
        client = desk.opened(f"client {provider.name}", lambda: self._client(provider))
        meter = _Meter(started=self._clock())
        outcome: CallOutcome = "cancelled"
        try:
            body = _body(provider, structured, question, answered)
            answer = await self._answer(client, provider, body, question, meter)
            outcome = "answered"
            return answer
        except CallError as error:
            outcome = error.outcome
            raise
        except (openai.OpenAIError, httpx2.HTTPError, TimeoutError, OSError, ValueError) as error:
            failure = call_error(error, [provider.key.get_secret_value()])
            outcome = failure.outcome
            raise failure from None  # the SDK's error holds the request, and the request holds the key
        finally:
            desk.called(_record(question.purpose, provider, outcome, meter, self._clock()))

    async def _answer(
        self,
        client: openai.AsyncOpenAI,
        provider: Provider,
        body: dict[str, Any],
        question: Question[T],
        meter: _Meter,
    ) -> _Answer:
        # Answers are read here and not by the SDK's models, which take several times as long over every piece of a stream.
        if question.stream is None:
            async with asyncio.timeout(provider.reply):
                response = await client.post("/chat/completions", cast_to=httpx2.Response, body=body)
            answer = read_completion(response.content)
            meter.usage = answer.usage
            return _taken(answer)
        loop = asyncio.get_running_loop()
        streamed = {**body, "stream": True, "stream_options": {"include_usage": True}}
        pieces: list[str] = []
        refusal, finish = "", None
        size = told = 0
        moved = float("-inf")
        async with asyncio.timeout(provider.first_token) as patience:
            async with client.chat.completions.with_streaming_response.create(**streamed) as response:
                async for line in response.iter_lines():
                    if loop.time() - moved > STALL_GRAIN:
                        moved = loop.time()
                        patience.reschedule(moved + provider.stall)
                    if not line.startswith("data:") or line.endswith("[DONE]"):
                        continue
                    piece = read_completion(line[5:], part="delta")
                    meter.usage = piece.usage or meter.usage
                    finish = piece.finish or finish
                    refusal += piece.refusal
                    if piece.text:
                        if meter.first_token is None:
                            meter.first_token = max(0.0, self._clock() - meter.started)
                        pieces.append(piece.text)
                        size += len(piece.text)
                        if size - told >= TOLD_EVERY:
                            told = size
                            question.stream("".join(pieces))
        if finish is None:
            raise CallError("connection", "its answer broke off")
        return _taken(Completion("".join(pieces), refusal, finish, meter.usage))

    def _client(self, provider: Provider) -> openai.AsyncOpenAI:
        """One for each attempt: connections belong to the event loop that they were opened on."""
        if self._transport is not None:
            transport = self._transport(provider)
        else:
            transport = httpx2.AsyncHTTPTransport(
                verify=self._certificates(),
                limits=httpx2.Limits(max_connections=None, max_keepalive_connections=None),
            )
        http = httpx2.AsyncClient(
            transport=transport,
            timeout=httpx2.Timeout(None, connect=provider.connect),
            # A proxy in the environment is for the world outside; it does not know this computer's own servers.
            trust_env=urlsplit(provider.base_url).hostname not in ("127.0.0.1", "localhost", "::1"),
        )
        return openai.AsyncOpenAI(
            api_key=provider.key.get_secret_value() or "none",
            base_url=provider.base_url,
            http_client=http,
            max_retries=0,
            timeout=httpx2.Timeout(None, connect=provider.connect),
        )

    def _certificates(self) -> Any:
        """Read once: it takes longer than an answer of a near server."""
        with self._lock:
            if self._verify is None:
                self._verify = httpx2.create_ssl_context()
            return self._verify


def _body(
    provider: Provider, structured: Structured, question: Question[T], answered: Sequence[str]
) -> dict[str, Any]:
    task = question.task
    schema = question.schema
    if provider.text_limit and provider.list_limit:
        schema = tight_schema(schema, question.people, text=provider.text_limit, items=provider.list_limit)
    if structured != "schema":
        task += f"Answer with JSON that fits this schema:\n{compact(schema)}\n"
    messages = [
        {"role": "system", "content": question.house},
        {"role": "user", "content": question.material + task},
    ]
    if answered:
        wrong, correction = answered
        messages += [{"role": "assistant", "content": wrong}, {"role": "user", "content": correction}]
    body: dict[str, Any] = {
        "model": provider.model,
        "messages": messages,
        "temperature": question.temperature,
        "seed": question.seed,
        provider.limit_parameter: question.tokens(provider),
    }
    if structured == "schema":
        body["response_format"] = {
            "type": "json_schema",
            "json_schema": {"name": question.form, "strict": True, "schema": schema},
        }
    elif structured == "json":
        body["response_format"] = {"type": "json_object"}
    return {key: value for key, value in body.items() if key not in provider.omit}


def read_completion(content: str | bytes, *, part: Literal["message", "delta"] = "message") -> Completion:
    """A completion, or a piece of a streamed one. Raises `CallError` for anything else, a page of HTML say."""
    try:
        found = from_json(content)
    except ValueError as error:
        raise CallError("server_error", "its answer was no completion") from error
    if not isinstance(found, dict) or "error" in found or not isinstance(found.get("choices"), list):
        raise CallError("server_error", "its answer was no completion")
    choice = found["choices"][0] if found["choices"] else {}
    message = choice.get(part) or {}
    usage = found.get("usage")
    details = (usage or {}).get("prompt_tokens_details") or {}
    return Completion(
        text=message.get("content") or "",
        refusal=message.get("refusal") or "",
        finish=choice.get("finish_reason"),
        usage=Usage(
            int(usage.get("prompt_tokens") or 0),
            int(details.get("cached_tokens") or 0),
            int(usage.get("completion_tokens") or 0),
        )
        if usage
        else None,
    )


def _taken(answer: Completion) -> _Answer:
    if answer.refusal or answer.finish == "content_filter":
        raise CallError("refused", "it declined to write this")
    return _Answer(answer.text, cut=answer.finish == "length")


def _record(purpose: str, provider: Provider, outcome: CallOutcome, meter: _Meter, now: float) -> Call:
    prompt, cached, completion = meter.usage or Usage(0, 0, 0)
    cached = min(prompt, cached)
    return Call(
        purpose=purpose,
        provider=provider.name,
        model=provider.model,
        outcome=outcome,
        seconds=max(0.0, now - meter.started),
        first_token=meter.first_token,
        prompt_tokens=prompt,
        cached_tokens=cached,
        completion_tokens=completion,
        cost=provider.prices.cost(prompt, cached, completion),
    )


def compact(schema: Mapping[str, Any]) -> str:
    """A schema as short as it can be written."""
    return json.dumps(schema, separators=(",", ":"))


def json_object(text: str) -> dict[str, Any]:
    """The JSON object of an answer; what some models write around it is left out. Raises `ValueError`."""
    start, end = text.find("{"), text.rfind("}")
    found = json.loads(text[start : end + 1] if 0 <= start < end else text or "nothing")
    if not isinstance(found, dict):
        raise ValueError("the answer is not a JSON object")  # noqa: TRY004 (told to the model, as all that is wrong with an answer)
    return found
