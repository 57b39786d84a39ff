"""The model without sockets, for clocks that are not real."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator
from dataclasses import dataclass, field

import httpx2

from tests.model.faults import FakeModel, Head, Reset, played


@dataclass(kw_only=True, eq=False)
class FaultyTransport(FakeModel, httpx2.AsyncBaseTransport):
    """For `httpx2.AsyncClient(transport=...)`. Of the client's timeouts it keeps the one for reading, as a real one would."""

    in_flight: int = field(default=0, init=False)

    async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
        content = await request.aread()
        steps = self.answer(request.method, request.url.path, dict(request.headers), content)
        reply = Reply(self, played(steps), request.extensions.get("timeout", {}).get("read"))
        try:
            head = await reply.next()
        except BaseException:
            await reply.aclose()
            raise
        assert isinstance(head, Head)  # every answer begins with one
        return httpx2.Response(head.status, headers=head.headers, stream=reply)


class Reply(httpx2.AsyncByteStream):
    """The body of an answer, in flight from its making to its closing."""

    def __init__(
        self,
        transport: FaultyTransport,
        pieces: AsyncGenerator[Head | bytes, None],
        read_timeout: float | None,
    ) -> None:
        self._transport, self._pieces, self._read_timeout = transport, pieces, read_timeout
        self._closed = False
        transport.in_flight += 1

    async def next(self) -> Head | bytes | None:
        """None when there is no more."""
        try:
            async with asyncio.timeout(self._read_timeout):
                return await anext(self._pieces, None)
        except TimeoutError as error:
            raise httpx2.ReadTimeout("nothing came in time") from error
        except Reset as error:
            raise httpx2.ReadError("the connection was reset") from error

    async def __aiter__(self) -> AsyncIterator[bytes]:
        while isinstance(piece := await self.next(), bytes):
            yield piece

    async def aclose(self) -> None:
        if not self._closed:
            self._closed = True
            self._transport.in_flight -= 1
            await self._pieces.aclose()
