"""What the fake model does to the client that the studio uses, over sockets and on a virtual clock."""

from __future__ import annotations

import asyncio
import json
import threading
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import aclosing, asynccontextmanager
from typing import Any

import httpx2
import openai
import pytest
from openai.types import CompletionUsage
from openai.types.chat import ChatCompletion, ChatCompletionChunk

from tests.model.faults import (
    FAULTS,
    PAGE,
    REFUSAL,
    WRONG_SHAPE,
    Body,
    Fault,
    always,
    chance,
    refused_port,
    script,
    until,
)
from tests.model.server import ModelServer
from tests.model.transport import FaultyTransport
from tests.model.virtual import virtually

LONG = json.dumps({"answer": "word " * 100})
BY_SCHEMA: Body = {"type": "json_schema", "json_schema": {"name": "answer", "schema": {"type": "object"}}}
HOUR = 3600.0

Model = ModelServer | FaultyTransport
Trial = Callable[[Model], Coroutine[Any, Any, None]]
Try = Callable[[Trial], Model]
Said = tuple[str | None, str | None, str | None, CompletionUsage | None]
"""Content, refusal, finish_reason, usage."""
Ask = Callable[..., Coroutine[Any, Any, Said]]


def says_much(body: Body, ignores_bible: bool) -> str:
    return "another" if ignores_bible else LONG


@asynccontextmanager
async def a_client(model: Model, read: float | None = None) -> AsyncIterator[openai.AsyncOpenAI]:
    patience = httpx2.Timeout(None, read=read)
    if isinstance(model, FaultyTransport):
        url, over = "http://model.test/v1", httpx2.AsyncClient(transport=model)
    else:
        url, over = model.base_url, None
    async with openai.AsyncOpenAI(
        base_url=url, api_key="test-key", max_retries=0, timeout=patience, http_client=over
    ) as client:
        yield client


async def whole(client: openai.AsyncOpenAI, prompt: str = "Hello?", **more: Any) -> Said:
    answer = await client.chat.completions.create(
        model="m", messages=[{"role": "user", "content": prompt}], **more
    )
    assert isinstance(answer, ChatCompletion)
    choice = answer.choices[0]
    return choice.message.content, choice.message.refusal, choice.finish_reason, answer.usage


async def chunks(
    client: openai.AsyncOpenAI, prompt: str = "Hello?", **more: Any
) -> AsyncIterator[ChatCompletionChunk]:
    async with await client.chat.completions.create(
        model="m",
        messages=[{"role": "user", "content": prompt}],
        stream=True,
        stream_options={"include_usage": True},
        **more,
    ) as stream:
        async for chunk in stream:
            yield chunk


async def streamed(client: openai.AsyncOpenAI, prompt: str = "Hello?", **more: Any) -> Said:
    contents, refusals, finish, usage = [], [], None, None
    async for chunk in chunks(client, prompt, **more):
        usage = usage or chunk.usage
        for choice in chunk.choices:
            contents.append(choice.delta.content)
            refusals.append(choice.delta.refusal)
            finish = finish or choice.finish_reason
    return together(contents), together(refusals), finish, usage


def together(pieces: list[str | None]) -> str | None:
    there = [piece for piece in pieces if piece is not None]
    return "".join(there) if there else None


both_ways = pytest.mark.parametrize("ask", [whole, streamed])


@pytest.fixture(params=["sockets", "virtual"])
def attempt(request: pytest.FixtureRequest) -> Try:
    """Runs a trial on a model and sees that it leaves nothing open."""

    def over_sockets(trial: Trial) -> ModelServer:
        with ModelServer(brain=says_much) as server:
            asyncio.run(trial(server))
            server.wait_until(lambda: server.open_connections == 0)
        return server

    def virtual(trial: Trial) -> FaultyTransport:
        transport = FaultyTransport(brain=says_much)
        virtually(trial(transport))
        assert transport.in_flight == 0
        return transport

    return over_sockets if request.param == "sockets" else virtual


def test_an_answer_says_the_same_whole_and_in_pieces(attempt: Try) -> None:
    async def trial(model: Model) -> None:
        async with a_client(model) as client:
            *said, usage = await whole(client, "one prompt")
            *also_said, also_usage = await streamed(client, "another prompt")
        assert said == also_said == [LONG, None, "stop"]
        assert usage
        assert also_usage
        assert (usage.prompt_tokens, also_usage.prompt_tokens) == (3, 4)
        assert usage.completion_tokens == also_usage.completion_tokens == -(-len(LONG) // 4)
        assert usage.total_tokens == usage.prompt_tokens + usage.completion_tokens

    model = attempt(trial)
    assert model.calls == 2
    headers, body = model.requests[0]
    assert headers["authorization"] == "Bearer test-key"
    assert body["messages"] == [{"role": "user", "content": "one prompt"}]


def test_a_stream_begins_with_the_role_and_ends_with_the_usage(attempt: Try) -> None:
    async def trial(model: Model) -> None:
        async with a_client(model) as client:
            model.piece = 10
            got = [chunk async for chunk in chunks(client)]
            stream = await client.chat.completions.create(
                model="m", messages=[{"role": "user", "content": "Hello?"}], stream=True
            )
            uncounted = [chunk async for chunk in stream]
        assert got[0].choices[0].delta.role == "assistant"
        assert [len(chunk.choices[0].delta.content or "") for chunk in got[1:4]] == [40] * 3
        assert [chunk.usage is None for chunk in got] == [True] * (len(got) - 1) + [False]
        assert not got[-1].choices
        assert got[-2].choices[0].finish_reason == "stop"
        assert len(uncounted) == len(got) - 1
        assert all(chunk.usage is None for chunk in uncounted)

    attempt(trial)


def test_what_some_earlier_prompt_began_with_is_cached(attempt: Try) -> None:
    async def cached(client: openai.AsyncOpenAI, prompt: str) -> int | None:
        usage = (await whole(client, prompt))[-1]
        return usage.prompt_tokens_details.cached_tokens if usage and usage.prompt_tokens_details else None

    async def trial(model: Model) -> None:
        async with a_client(model) as client:
            assert await cached(client, "a" * 40 + "b" * 40) == 0
            assert await cached(client, "zebra") == 0
            assert await cached(client, "a" * 40 + "c" * 40) == 10
            assert await cached(client, "a" * 40 + "b" * 13) == 13
            assert await cached(client, "a" * 40 + "b" * 40) == 20

    attempt(trial)


def test_the_models_are_listed(attempt: Try) -> None:
    async def trial(model: Model) -> None:
        async with a_client(model) as client:
            assert [listed.id async for listed in await client.models.list()] == ["test-model"]
            with pytest.raises(openai.NotFoundError):
                await client.embeddings.create(model="m", input="text")

    assert attempt(trial).calls == 0


@both_ways
@pytest.mark.parametrize(
    ("fault", "kind", "status", "code"),
    [
        ("rate_limited", openai.RateLimitError, 429, "rate_limit_exceeded"),
        ("rate_limited_silent", openai.RateLimitError, 429, "rate_limit_exceeded"),
        ("server_error", openai.InternalServerError, 500, "server_error"),
        ("unavailable", openai.InternalServerError, 503, "overloaded"),
        ("too_long", openai.BadRequestError, 400, "context_length_exceeded"),
        ("no_schema", openai.BadRequestError, 400, "unsupported_parameter"),
        ("echo_key", openai.AuthenticationError, 401, "invalid_api_key"),
    ],
)
def test_an_error_has_its_status(
    attempt: Try, ask: Ask, fault: Fault, kind: type[openai.APIStatusError], status: int, code: str
) -> None:
    async def trial(model: Model) -> None:
        model.plan, model.retry_after = always(fault), "7"
        async with a_client(model) as client:
            with pytest.raises(kind) as raised:
                await ask(client, response_format=BY_SCHEMA)
        assert (raised.value.status_code, raised.value.code) == (status, code)
        wait = raised.value.response.headers.get("retry-after")
        assert wait == ("7" if fault == "rate_limited" else None)
        assert ("test-key" in raised.value.message) == (fault == "echo_key")

    attempt(trial)


@both_ways
@pytest.mark.parametrize(
    ("fault", "content", "refusal", "finish"),
    [
        ("truncated", LONG[: len(LONG) // 2], None, "length"),
        ("wrong_shape", WRONG_SHAPE, None, "stop"),
        ("empty", "", None, "stop"),
        ("refusal", None, REFUSAL, "stop"),
        ("ignores_bible", "another", None, "stop"),
        ("slow_drip", LONG, None, "stop"),
        ("no_schema", LONG, None, "stop"),
    ],
)
def test_an_answer_is_wrong_in_its_own_way(
    attempt: Try, ask: Ask, fault: Fault, content: str | None, refusal: str | None, finish: str
) -> None:
    async def trial(model: Model) -> None:
        model.plan, model.pause = always(fault), 0.0
        async with a_client(model) as client:
            assert (await ask(client, response_format={"type": "json_object"}))[:-1] == (
                content,
                refusal,
                finish,
            )

    attempt(trial)


def test_a_page_of_html_is_no_error_to_the_client(attempt: Try) -> None:
    async def trial(model: Model) -> None:
        model.plan = always("not_json_body")
        async with a_client(model) as client:
            answer: object = await client.chat.completions.create(
                model="m", messages=[{"role": "user", "content": "Hello?"}]
            )
            assert answer == PAGE.decode()
            assert [chunk async for chunk in chunks(client)] == []

    attempt(trial)


@both_ways
def test_a_reset_is_a_connection_that_failed_to_read(attempt: Try, ask: Ask) -> None:
    async def trial(model: Model) -> None:
        model.plan = until(1, "reset")
        async with a_client(model) as client:
            with pytest.raises(openai.APIConnectionError) as raised:
                await ask(client)
            assert type(raised.value.__cause__) is httpx2.ReadError
            assert (await ask(client))[0] == LONG

    assert attempt(trial).calls == 2


async def test_nobody_listens_on_a_refused_port() -> None:
    url = f"http://127.0.0.1:{refused_port()}/v1"
    async with openai.AsyncOpenAI(base_url=url, api_key="test-key", max_retries=0) as client:
        with pytest.raises(openai.APIConnectionError) as raised:
            await whole(client)
    assert type(raised.value.__cause__) is httpx2.ConnectError


@both_ways
@pytest.mark.parametrize("fault", ["stall_before", "stall_midway"])
def test_a_stall_lasts_until_the_client_times_out(attempt: Try, ask: Ask, fault: Fault) -> None:
    async def trial(model: Model) -> None:
        model.plan = always(fault)
        async with a_client(model, read=0.1) as client:
            with pytest.raises(openai.APITimeoutError):
                await ask(client)
        if isinstance(model, ModelServer):
            await asyncio.to_thread(model.wait_until, lambda: model.aborted == 1)

    attempt(trial)


@both_ways
@pytest.mark.parametrize("fault", ["stall_before", "stall_midway"])
async def test_who_gives_up_is_counted(ask: Ask, fault: Fault) -> None:
    with ModelServer(brain=says_much, plan=always(fault)) as server:
        async with a_client(server) as client:
            asking = [asyncio.create_task(ask(client)) for _ in range(3)]
            await asyncio.to_thread(server.wait_for_call, 3)
            assert (server.aborted, server.open_connections) == (0, 3)
            for task in asking:
                task.cancel()
            ends = await asyncio.gather(*asking, return_exceptions=True)
            assert all(isinstance(end, asyncio.CancelledError) for end in ends)
            await asyncio.to_thread(
                server.wait_until, lambda: server.aborted == 3 and server.open_connections == 0
            )


async def test_a_stream_that_stalls_has_said_something() -> None:
    with ModelServer(brain=says_much, plan=always("stall_midway")) as server:
        async with a_client(server) as client, aclosing(chunks(client)) as stream:  # type: ignore[type-var]
            said = ""
            while len(said) < len(LONG) // 4:
                said += (await anext(stream)).choices[0].delta.content or ""
        assert LONG.startswith(said)
        await asyncio.to_thread(server.wait_until, lambda: server.aborted == 1)


async def test_hundreds_are_answered_at_once_and_each_by_its_own_answer() -> None:
    with ModelServer(first_token=0.01, per_token=0.001) as server:
        async with a_client(server) as client:
            prompts = [f"prompt {n}" for n in range(300)]
            answers = await asyncio.gather(
                *((streamed if n % 2 else whole)(client, prompt) for n, prompt in enumerate(prompts))
            )
            assert [json.loads(answer[0] or "")["asked"] for answer in answers] == prompts
        await asyncio.to_thread(server.wait_until, lambda: server.open_connections == 0)
        assert (server.calls, server.aborted) == (300, 0)


async def test_a_connection_serves_until_somebody_closes_it() -> None:
    with ModelServer() as server:
        async with a_client(server) as client:
            for ask in (whole, streamed, whole):
                await ask(client)
            assert server.open_connections == 1
            await streamed(client, extra_headers={"Connection": "close"})
            await asyncio.to_thread(server.wait_until, lambda: server.open_connections == 0)
        assert server.aborted == 0


async def test_requests_sent_ahead_are_answered_in_turn() -> None:
    host, port = "127.0.0.1", 0
    bodies = [
        json.dumps({"messages": [{"role": "user", "content": word}]}).encode() for word in ("one", "two")
    ]
    with ModelServer(first_token=0.001) as server:
        port = int(server.base_url.split(":")[2].removesuffix("/v1"))
        reader, writer = await asyncio.open_connection(host, port)
        for body in bodies:
            writer.write(
                b"POST /v1/chat/completions HTTP/1.1\r\ncontent-length: %d\r\n\r\n%b" % (len(body), body)
            )
        for word in (b"one", b"two"):
            await reader.readuntil(word)
        writer.close()
        await writer.wait_closed()


@pytest.mark.parametrize("fault", [None, "stall_midway"])
async def test_stopping_ends_what_is_in_flight(fault: Fault | None) -> None:
    with ModelServer(first_token=HOUR, plan=script(fault)) as server:
        async with a_client(server) as client:
            asking = asyncio.create_task(streamed(client))
            await asyncio.to_thread(server.wait_for_call, 1)
            await asyncio.to_thread(server.stop)
            with pytest.raises(openai.APIConnectionError):
                await asking
    assert (server.open_connections, server.aborted) == (0, 0)
    assert not server.running


async def test_what_the_brain_raises_comes_to_whoever_stops_the_server() -> None:
    def broken(body: Body, ignores_bible: bool) -> str:
        raise LookupError("no such answer")

    server = ModelServer(brain=broken)
    server.start()
    async with a_client(server) as client:
        with pytest.raises(openai.APIConnectionError):
            await whole(client)
    with pytest.raises(LookupError, match="no such answer"):
        server.stop()


def test_a_plan_can_be_followed_again() -> None:
    plan = chance(7, 0.3)
    drawn = [plan(number, {}) for number in range(1000)]
    assert [chance(7, 0.3)(number, {}) for number in reversed(range(1000))] == drawn[::-1]
    assert set(drawn) == {None, *FAULTS}
    assert 600 < drawn.count(None) < 800
    assert [script("empty", None, "reset")(number, {}) for number in range(4)] == [
        "empty",
        None,
        "reset",
        None,
    ]
    assert [until(2, "empty")(number, {}) for number in range(3)] == ["empty", "empty", None]


@both_ways
@pytest.mark.parametrize("fault", [None, "slow_drip"])
def test_an_hour_of_waiting_takes_no_time(ask: Ask, fault: Fault | None) -> None:
    async def trial() -> None:
        pace = 9.0 if fault else 5.0
        model = FaultyTransport(
            brain=says_much, plan=script(fault), first_token=HOUR, per_token=5.0, pause=9.0, piece=7
        )
        async with a_client(model) as client:
            usage = (await ask(client))[-1]
        assert usage
        assert asyncio.get_running_loop().time() == pytest.approx(HOUR + pace * usage.completion_tokens)

    virtually(trial())


def test_pieces_come_when_they_are_due() -> None:
    async def trial() -> list[float]:
        loop, model = asyncio.get_running_loop(), FaultyTransport(first_token=2.0, per_token=0.5)
        async with a_client(model) as client:
            return [loop.time() async for chunk in chunks(client, "x" * 20) if chunk.choices]

    # 33 characters of answer: two pieces of four tokens and one of a single token, with which the stream ends
    assert virtually(trial()) == pytest.approx([2.0, 4.0, 6.0, 6.5, 6.5])


def test_all_wait_at_the_same_time_and_a_timeout_ends_a_stall_on_the_virtual_clock() -> None:
    async def trial() -> None:
        model = FaultyTransport(first_token=HOUR, plan=script("stall_before"))
        async with a_client(model, read=2 * HOUR) as client:
            first, *others = await asyncio.gather(*(whole(client) for _ in range(50)), return_exceptions=True)
            assert isinstance(first, openai.APITimeoutError)
            assert all(isinstance(other, tuple) for other in others)
            assert asyncio.get_running_loop().time() == 2 * HOUR
            model.plan = always("stall_midway")
            with pytest.raises(TimeoutError):
                async with asyncio.timeout(HOUR + 1):
                    await streamed(client)
            assert asyncio.get_running_loop().time() == 3 * HOUR + 1
            assert model.in_flight == 0

    virtually(trial())


def test_the_virtual_clock_stands_still_for_threads() -> None:
    async def trial() -> float:
        loop = asyncio.get_running_loop()
        both = threading.Barrier(2)
        async with asyncio.timeout(HOUR):
            await asyncio.gather(asyncio.to_thread(both.wait, 10), asyncio.to_thread(both.wait, 10))
        then = loop.time()
        await asyncio.sleep(HOUR)
        assert loop.time() == then + HOUR
        woken = loop.create_future()
        stranger = threading.Thread(target=loop.call_soon_threadsafe, args=(woken.set_result, None))
        stranger.start()
        await woken
        stranger.join()
        return then

    assert virtually(trial()) == 0.0


def test_a_virtual_wait_for_nothing_is_an_error() -> None:
    async def forever() -> None:
        await asyncio.Event().wait()

    async def begins() -> asyncio.Task[None]:
        return asyncio.create_task(forever())

    with pytest.raises(RuntimeError, match="nothing will ever happen"):
        virtually(forever())
    with pytest.raises(AssertionError, match="left behind"):
        virtually(begins())
