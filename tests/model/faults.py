"""A model that answers chat completions as it is told to, rightly or wrongly: what the server and the transport have in common."""

from __future__ import annotations

import asyncio
import json
import random
import socket
from bisect import bisect_left
from collections.abc import AsyncGenerator, Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from math import inf
from typing import Any, Literal, get_args

Fault = Literal[
    "rate_limited",  # 429 that says when to come back
    "rate_limited_silent",  # 429 that does not
    "server_error",  # 500
    "unavailable",  # 503
    "reset",  # the connection is torn down once the request has been read
    "stall_before",  # never a byte of answer
    "stall_midway",  # some tokens, then never another
    "truncated",  # half of the answer, finish_reason "length"
    "wrong_shape",  # JSON of a shape nobody asked for
    "empty",  # no text at all
    "refusal",  # the model will not
    "too_long",  # 400: the prompt does not fit
    "ignores_bible",  # a good answer to another question
    "slow_drip",  # a token, a pause, a token
    "no_schema",  # 400 to whoever asks for JSON by schema, else answered
    "echo_key",  # 401 whose message repeats the key
    "not_json_body",  # 200 with a page of HTML
]
FAULTS: tuple[Fault, ...] = get_args(Fault)

Body = dict[str, Any]
Plan = Callable[[int, Body], Fault | None]
Brain = Callable[[Body, bool], str]

CHARACTERS_PER_TOKEN = 4
REFUSAL = "I'm sorry, but I can't help with that."
WRONG_SHAPE = '{"surprise": [1, 2]}'
PAGE = b"<!DOCTYPE html>\n<html><head><title>Sign in</title></head><body>Sign in to go on.</body></html>\n"

ERRORS: dict[Fault, tuple[int, str, str]] = {
    "rate_limited": (429, "rate_limit_exceeded", "Rate limit reached."),
    "rate_limited_silent": (429, "rate_limit_exceeded", "Rate limit reached."),
    "server_error": (500, "server_error", "The server had an error while processing your request."),
    "unavailable": (503, "overloaded", "The engine is currently overloaded."),
    "too_long": (400, "context_length_exceeded", "This model's maximum context length is 8192 tokens."),
    "no_schema": (
        400,
        "unsupported_parameter",
        "Invalid parameter: 'response_format' of type 'json_schema' is not supported with this model.",
    ),
    "echo_key": (401, "invalid_api_key", "Incorrect API key provided: {key}."),
}


def no_faults(number: int, body: Body) -> Fault | None:
    return None


def script(*faults: Fault | None) -> Plan:
    """One for each call in turn; none after the last."""
    return lambda number, body: faults[number] if number < len(faults) else None


def always(fault: Fault) -> Plan:
    return lambda number, body: fault


def until(n: int, fault: Fault) -> Plan:
    """The first `n` calls have it."""
    return lambda number, body: fault if number < n else None


def chance(seed: int, share: float, faults: Sequence[Fault] = FAULTS) -> Plan:
    """A `share` of the calls have one. What the nth call gets depends on nothing but n."""

    def plan(number: int, body: Body) -> Fault | None:
        rng = random.Random(f"{seed}:{number}")
        return rng.choice(faults) if rng.random() < share else None

    return plan


def refused_port() -> int:
    """A port on which nobody listens."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return int(listener.getsockname()[1])


def prompt_of(body: Body) -> str:
    parts: list[str] = []
    for message in body.get("messages", ()):
        content = message.get("content") or ""
        parts += [content] if isinstance(content, str) else [part.get("text", "") for part in content]
    return "".join(parts)


def echo(body: Body, ignores_bible: bool) -> str:
    """A brain for tests that do not care what is said."""
    return json.dumps({"asked": "something else" if ignores_bible else prompt_of(body)})


def tokens(text: str) -> int:
    return -(-len(text) // CHARACTERS_PER_TOKEN)


def shared(one: str, other: str) -> int:
    """The length of the longest common prefix; by halves, because prompts are long and compare fast."""
    low, high = 0, min(len(one), len(other))
    while low < high:
        middle = (low + high + 1) // 2
        if one[low:middle] == other[low:middle]:
            low = middle
        else:
            high = middle - 1
    return low


def recall(earlier: list[str], prompt: str) -> int:
    """How much of `prompt` some earlier one began with. `earlier` is kept in order: those most alike are neighbours."""
    place = bisect_left(earlier, prompt)
    longest = max((shared(prompt, other) for other in earlier[max(0, place - 1) : place + 1]), default=0)
    earlier.insert(place, prompt)
    return longest


def usage_of(body: Body, text: str, cached: int = 0) -> dict[str, Any]:
    """`cached` is in characters, like everything that is counted here; only whole tokens are cached."""
    prompt, completion = tokens(prompt_of(body)), tokens(text)
    return {
        "prompt_tokens": prompt,
        "completion_tokens": completion,
        "total_tokens": prompt + completion,
        "prompt_tokens_details": {"cached_tokens": cached // CHARACTERS_PER_TOKEN},
    }


@dataclass(frozen=True)
class Head:
    """A body without a content-length comes in pieces, and its end shows only when it is there."""

    status: int
    headers: dict[str, str]


class Reset(Exception):
    """The connection is to be torn down."""


Step = Head | bytes | float | Reset
"""A float is seconds to wait; infinity is a stall."""


async def played(steps: Iterable[Step]) -> AsyncGenerator[Head | bytes, None]:
    """An answer as it goes over the wire, in real or virtual time. Raises `Reset`.

    Waits are counted from the beginning, so that a busy loop makes pieces larger but not the answer later.
    """
    loop = asyncio.get_running_loop()
    due = loop.time()
    ready: list[bytes] = []
    for step in steps:
        if isinstance(step, bytes):
            ready.append(step)
        elif isinstance(step, Head):
            yield step
        elif isinstance(step, Reset):
            raise step
        else:
            due += step
            if due > loop.time():
                if ready:
                    yield b"".join(ready)
                    ready.clear()
                await (asyncio.Event().wait() if due == inf else asyncio.sleep(due - loop.time()))
    if ready:
        yield b"".join(ready)


def whole(status: int, content: bytes | Body, **headers: str) -> tuple[Head, bytes]:
    kind = "text/html; charset=utf-8" if isinstance(content, bytes) else "application/json"
    raw = content if isinstance(content, bytes) else json.dumps(content).encode()
    return Head(status, {"content-type": kind, "content-length": f"{len(raw)}", **headers}), raw


def error(status: int, code: str, message: str, **headers: str) -> tuple[Head, bytes]:
    kind = "invalid_request_error" if status < 429 else code
    return whole(
        status, {"error": {"message": message, "type": kind, "param": None, "code": code}}, **headers
    )


@dataclass(kw_only=True, eq=False)
class FakeModel:
    """What is asked and how it is answered, without the wire. All options may be changed between two calls."""

    brain: Brain = echo
    plan: Plan = no_faults
    first_token: float = 0.0
    per_token: float = 0.0
    piece: int = 4
    """Tokens to a piece of a stream."""
    pause: float = 0.05
    """Seconds to a token of a slow drip."""
    retry_after: str = "1"
    requests: list[tuple[dict[str, str], Body]] = field(default_factory=list, init=False)
    """Headers, by names in lower case, and bodies of the calls for completions."""
    _prompts: list[str] = field(default_factory=list, init=False, repr=False)

    @property
    def calls(self) -> int:
        return len(self.requests)

    def answer(self, method: str, path: str, headers: dict[str, str], content: bytes) -> Iterable[Step]:
        """The call counts at once; the brain is asked with the first step."""
        match method, path.partition("?")[0].rsplit("/v1", 1)[-1]:
            case "POST", "/chat/completions":
                body = json.loads(content)
                self.requests.append((headers, body))
                return self._completion(self.calls - 1, headers, body)
            case "GET", "/models":
                model = {"id": "test-model", "object": "model", "created": 0, "owned_by": "tests"}
                return whole(200, {"object": "list", "data": [model]})
            case _:
                return error(404, "not_found", f"Unknown request: {method} {path}")

    def _completion(self, number: int, headers: dict[str, str], body: Body) -> Iterator[Step]:
        fault = self.plan(number, body)
        if fault == "no_schema" and (body.get("response_format") or {}).get("type") != "json_schema":
            fault = None
        if fault == "reset":
            yield Reset()
        elif fault == "stall_before":
            yield inf
        elif fault == "not_json_body":
            yield from whole(200, PAGE)
        elif fault in ERRORS:
            status, code, message = ERRORS[fault]
            more = {"retry-after": self.retry_after} if fault == "rate_limited" else {}
            key = headers.get("authorization", "").removeprefix("Bearer ")
            yield from error(status, code, message.format(key=key), **more)
        else:
            text = self._text(body, fault)
            common = {"id": f"chatcmpl-{number}", "created": 0, "model": body.get("model")}
            usage = usage_of(body, text, recall(self._prompts, prompt_of(body)))
            how = self._streamed if body.get("stream") else self._unstreamed
            yield from how(body, text, fault, common, usage)

    def _text(self, body: Body, fault: Fault | None) -> str:
        match fault:
            case "wrong_shape":
                return WRONG_SHAPE
            case "empty":
                return ""
            case "refusal":
                return REFUSAL
            case _:
                text = self.brain(body, fault == "ignores_bible")
                return text[: len(text) // 2] if fault == "truncated" else text

    def _unstreamed(
        self, body: Body, text: str, fault: Fault | None, common: Body, usage: Body
    ) -> Iterator[Step]:
        said = (
            {"content": None, "refusal": text} if fault == "refusal" else {"content": text, "refusal": None}
        )
        choice = {
            "index": 0,
            "message": {"role": "assistant", **said},
            "logprobs": None,
            "finish_reason": "length" if fault == "truncated" else "stop",
        }
        head, raw = whole(200, {**common, "object": "chat.completion", "choices": [choice], "usage": usage})
        count = max(1, usage["completion_tokens"])
        yield self.first_token
        if fault != "slow_drip":
            yield self.per_token * count
        yield head
        if fault == "slow_drip":
            for n in range(count):
                yield self.pause
                yield raw[n * len(raw) // count : (n + 1) * len(raw) // count]
        elif fault == "stall_midway":
            yield raw[: len(raw) // 2]
            yield inf
        else:
            yield raw

    def _streamed(
        self, body: Body, text: str, fault: Fault | None, common: Body, usage: Body
    ) -> Iterator[Step]:
        counted = bool((body.get("stream_options") or {}).get("include_usage"))
        common = {**common, "object": "chat.completion.chunk"} | ({"usage": None} if counted else {})

        def event(delta: Body, finish: str | None = None) -> bytes:
            choice = {"index": 0, "delta": delta, "logprobs": None, "finish_reason": finish}
            return f"data: {json.dumps({**common, 'choices': [choice]})}\n\n".encode()

        per_token, count = (self.pause, 1) if fault == "slow_drip" else (self.per_token, self.piece)
        size = count * CHARACTERS_PER_TOKEN
        pieces = [text[start : start + size] for start in range(0, len(text), size)]
        if fault == "stall_midway":
            pieces = pieces[: max(1, len(pieces) // 2)]
        kind = "refusal" if fault == "refusal" else "content"

        yield Head(200, {"content-type": "text/event-stream; charset=utf-8"})
        yield self.first_token
        yield event({"role": "assistant", "content": None if fault == "refusal" else ""})
        for piece in pieces:
            yield per_token * tokens(piece)
            yield event({kind: piece})
        if fault == "stall_midway":
            yield inf
        yield event({}, "length" if fault == "truncated" else "stop")
        if counted:
            yield f"data: {json.dumps({**common, 'choices': [], 'usage': usage})}\n\n".encode()
        yield b"data: [DONE]\n\n"
