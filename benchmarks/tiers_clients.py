"""Ways of making the calls of episodes, other than the studio's own, and what is measured of a process.

What a way needs is imported where it is used, so that each process holds its own alone.
"""

from __future__ import annotations

import asyncio
import gc
import importlib
import json
import operator
import resource
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass, field
from functools import lru_cache, partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, NamedTuple, TypedDict, cast

if TYPE_CHECKING:
    import httpx2
    import openai

Body = dict[str, Any]
KEY = "no-secret"


class Calls(NamedTuple):
    """Those of one episode. `phases` are the bodies of the wave, by the phase of their engines."""

    draft: Body
    phases: tuple[tuple[Body, ...], ...]
    synthesis: Body

    @property
    def wave(self) -> tuple[Body, ...]:
        return tuple(body for phase in self.phases for body in phase)


@dataclass(frozen=True)
class Task:
    """`instant` is the address of a model that answers at once, for a first episode that is not measured (empty: none)."""

    timed: str = ""
    instant: str = ""
    episodes: int = 1


@dataclass
class Took:
    """`wall` and `cpu` in seconds, the `peak` of memory in MB. `answered` counts characters.

    `parts` are the thread seconds of `cpu` that the studio spent thinking; `each` the seconds of single kept answers.
    """

    wall: float = 0.0
    cpu: float = 0.0
    peak: float = 0.0
    answered: int = 0
    parts: dict[str, float] = field(default_factory=dict)
    each: list[float] = field(default_factory=list)


Make = Callable[[Calls], Awaitable[int]]
"""Makes the calls of one episode, and counts the characters of all answers."""

Way = Callable[[str], AbstractAsyncContextManager[Make]]
"""Opens what is needed for calls to a model at this address, for any number of episodes."""

Ask = Callable[[Body], Awaitable[int]]


def read_calls(file: Path, count: int) -> list[Calls]:
    """The first `count` episodes; read by lines, so that the text leaves no mark on the peak of memory."""
    with file.open(encoding="utf-8") as lines:
        rows = [json.loads(line) for _, line in zip(range(count), lines, strict=False)]
    return [Calls(row[0], tuple(map(tuple, row[1])), row[2]) for row in rows]


# --- in what order -------------------------------------------------------------------------------------------------------


def in_a_wave(ask: Ask) -> Make:
    async def make(calls: Calls) -> int:
        draft = await ask(calls.draft)
        wave = await asyncio.gather(*(ask(body) for body in calls.wave))
        return draft + sum(wave) + await ask(calls.synthesis)

    return make


def in_phases(ask: Ask) -> Make:
    async def make(calls: Calls) -> int:
        answered = await ask(calls.draft)
        for phase in calls.phases:
            answered += sum(await asyncio.gather(*(ask(body) for body in phase)))
        return answered + await ask(calls.synthesis)

    return make


def in_turn(ask: Ask) -> Make:
    async def make(calls: Calls) -> int:
        return sum([await ask(body) for body in (calls.draft, *calls.wave, calls.synthesis)])

    return make


def one_each(way: Way, url: str) -> AbstractAsyncContextManager[Make]:
    """As `way`, with a client for each episode instead of one for all, as the studio has it.

    With 800 calls in flight on one client, httpcore2's pool looks through all its connections for each of them.
    """

    @asynccontextmanager
    async def opened() -> AsyncIterator[Make]:
        async def make(calls: Calls) -> int:
            async with way(url) as ask:
                return await ask(calls)

        yield make

    return opened()


# --- over what -----------------------------------------------------------------------------------------------------------


@lru_cache(maxsize=1)
def certificates() -> Any:
    import httpx2

    return httpx2.create_ssl_context()


def _http() -> httpx2.AsyncClient:
    """With as many connections as are asked for, as the studio has it."""
    import httpx2

    limits = httpx2.Limits(max_connections=None, max_keepalive_connections=None)
    transport = httpx2.AsyncHTTPTransport(verify=certificates(), limits=limits)
    return httpx2.AsyncClient(transport=transport, timeout=None, trust_env=False)


def _told(line: str) -> str:
    """The text in one line of a stream."""
    if not line.startswith("data: ") or line == "data: [DONE]":
        return ""
    choices = json.loads(line[6:])["choices"]
    return (choices[0]["delta"].get("content") or "") if choices else ""


def _said(reply: Any) -> str:
    return cast(str, reply["choices"][0]["message"]["content"])


@asynccontextmanager
async def bare_httpx2(url: str) -> AsyncIterator[Make]:
    address = f"{url}/chat/completions"
    headers = {"authorization": f"Bearer {KEY}"}
    async with _http() as client:

        async def ask(body: Body) -> int:
            if not body.get("stream"):
                reply = await client.post(address, json=body, headers=headers)
                return len(_said(reply.raise_for_status().json()))
            async with client.stream("POST", address, json=body, headers=headers) as reply:
                reply.raise_for_status()
                return len("".join([_told(line) async for line in reply.aiter_lines()]))

        yield in_a_wave(ask)


@asynccontextmanager
async def bare_aiohttp(url: str) -> AsyncIterator[Make]:
    aiohttp: Any = importlib.import_module("aiohttp")
    address = f"{url}/chat/completions"
    async with aiohttp.ClientSession(
        connector=aiohttp.TCPConnector(limit=0),
        timeout=aiohttp.ClientTimeout(total=None),
        headers={"authorization": f"Bearer {KEY}"},
        raise_for_status=True,
    ) as session:

        async def ask(body: Body) -> int:
            async with session.post(address, json=body) as reply:
                if not body.get("stream"):
                    return len(_said(await reply.json()))
                return len("".join([_told(line.decode().rstrip()) async for line in reply.content]))

        yield in_a_wave(ask)


def _openai(client: openai.AsyncOpenAI) -> Ask:
    async def ask(body: Body) -> int:
        if not body.get("stream"):
            return len((await client.chat.completions.create(**body)).choices[0].message.content or "")
        pieces = []
        stream: Any = await client.chat.completions.create(**body)
        async with stream:
            async for chunk in stream:
                if chunk.choices:
                    pieces.append(chunk.choices[0].delta.content or "")
        return len("".join(pieces))

    return ask


@asynccontextmanager
async def sdk(
    order: Callable[[Ask], Make], http: Callable[[], httpx2.AsyncClient], url: str
) -> AsyncIterator[Make]:
    import openai

    async with openai.AsyncOpenAI(api_key=KEY, base_url=url, http_client=http(), max_retries=0) as client:
        yield order(_openai(client))


def _over_aiohttp() -> httpx2.AsyncClient:
    import httpx2
    import openai

    limits = httpx2.Limits(max_connections=None, max_keepalive_connections=None)
    return openai.DefaultAioHttpClient(limits=limits, trust_env=False, verify=certificates())


class _Asked(TypedDict, total=False):
    """A graph's state; `body` is what one engine's node is sent."""

    ask: Ask
    calls: Calls
    body: Body
    answered: Annotated[list[int], operator.add]


@asynccontextmanager
async def in_a_graph(url: str) -> AsyncIterator[Make]:
    """Draft, a node for each engine, and synthesis once they all have ended; a client for each episode."""
    import openai

    graphs: Any = importlib.import_module("langgraph.graph")
    send: Any = importlib.import_module("langgraph.types").Send

    async def draft(state: _Asked) -> _Asked:
        return {"answered": [await state["ask"](state["calls"].draft)]}

    async def engine(state: _Asked) -> _Asked:
        return {"answered": [await state["ask"](state["body"])]}

    async def synthesis(state: _Asked) -> _Asked:
        return {"answered": [await state["ask"](state["calls"].synthesis)]}

    def engines(state: _Asked) -> list[Any]:
        return [send("engine", {"ask": state["ask"], "body": body}) for body in state["calls"].wave]

    graph = graphs.StateGraph(_Asked)
    for name, node in (("draft", draft), ("engine", engine), ("synthesis", synthesis)):
        graph.add_node(name, node)
    graph.add_edge(graphs.START, "draft")
    graph.add_conditional_edges("draft", engines, ["engine"])
    graph.add_edge("engine", "synthesis")
    graph.add_edge("synthesis", graphs.END)
    compiled = graph.compile()

    async def make(calls: Calls) -> int:
        async with openai.AsyncOpenAI(
            api_key=KEY, base_url=url, http_client=_http(), max_retries=0
        ) as client:
            asked = {"ask": _openai(client), "calls": calls, "answered": []}
            return sum((await compiled.ainvoke(asked))["answered"])

    yield make


@asynccontextmanager
async def through_a_router(url: str) -> AsyncIterator[Make]:
    litellm: Any = importlib.import_module("litellm")
    litellm.telemetry = False
    to = {"model": "openai/primary-model", "api_base": url, "api_key": KEY}
    router = litellm.Router(model_list=[{"model_name": "primary-model", "litellm_params": to}], num_retries=0)

    async def ask(body: Body) -> int:
        reply = await router.acompletion(**body)
        if not body.get("stream"):
            return len(reply.choices[0].message.content)
        return len("".join([chunk.choices[0].delta.content or "" async for chunk in reply if chunk.choices]))

    yield in_a_wave(ask)


WAYS: dict[str, Way] = {
    "httpx2": partial(one_each, bare_httpx2),
    "httpx2, one client": bare_httpx2,
    "aiohttp": bare_aiohttp,
    "openai": partial(one_each, partial(sdk, in_a_wave, _http)),
    "openai on aiohttp": partial(one_each, partial(sdk, in_a_wave, _over_aiohttp)),
    "LangGraph": in_a_graph,
    "LiteLLM": through_a_router,
    "in phases": partial(one_each, partial(sdk, in_phases, _http)),
    "in turn": partial(one_each, partial(sdk, in_turn, _http)),
}
"""By name, except for the studio's own."""


# --- what it takes -----------------------------------------------------------------------------------------------------------


class measured:  # noqa: N801 (it is used as a verb)
    """Fills in what the work within takes of this process."""

    def __init__(self, took: Took) -> None:
        self._took = took

    def __enter__(self) -> None:
        gc.collect()
        Path("/proc/self/clear_refs").write_text("5", encoding="ascii")  # the peak begins anew
        self._usage = resource.getrusage(resource.RUSAGE_SELF)
        self._started = time.perf_counter()

    def __exit__(self, *_: object) -> None:
        usage = resource.getrusage(resource.RUSAGE_SELF)
        self._took.wall = time.perf_counter() - self._started
        self._took.cpu = usage.ru_utime + usage.ru_stime - self._usage.ru_utime - self._usage.ru_stime
        self._took.peak = _most_memory()


def _most_memory() -> float:
    """MB. Not `ru_maxrss`, which on Linux begins with what the parent of the process had."""
    status = Path("/proc/self/status").read_text(encoding="ascii")
    return int(status.partition("VmHWM:")[2].split()[0]) / 1024


async def by(way: Way, calls: list[Calls], task: Task, took: Took) -> None:
    if task.instant:
        async with way(task.instant) as make:
            await make(calls[0])
    async with way(task.timed) as make:
        with measured(took):
            took.answered = sum(await asyncio.gather(*(make(each) for each in calls)))
