"""The model behind real sockets: HTTP/1.1 on a port of its own, from a thread of its own."""

from __future__ import annotations

import asyncio
import socket
import struct
import threading
from collections.abc import Callable, Coroutine
from contextlib import aclosing, suppress
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Any, Self

from tests.model.faults import FakeModel, Head, Reset, played

Request = tuple[str, str, dict[str, str], bytes]
Begin = Callable[[Coroutine[Any, Any, None]], asyncio.Task[None]]


async def read_request(reader: asyncio.StreamReader) -> Request:
    """Method, path, headers and content. Raises `IncompleteReadError` when the client has gone."""
    head = await reader.readuntil(b"\r\n\r\n")
    line, *fields = head.decode("latin-1").rstrip().split("\r\n")
    method, path, _ = line.split(" ")
    pairs = (header.partition(":") for header in fields)
    headers = {name.lower(): value.strip() for name, _, value in pairs}
    return method, path, headers, await reader.readexactly(int(headers.get("content-length", 0)))


def written(piece: Head | bytes, *, chunked: bool) -> bytes:
    if isinstance(piece, bytes):
        return b"%x\r\n%b\r\n" % (len(piece), piece) if chunked else piece
    headers = {**piece.headers, **({"transfer-encoding": "chunked"} if chunked else {})}
    fields = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
    return f"HTTP/1.1 {piece.status} {HTTPStatus(piece.status).phrase}\r\n{fields}\r\n".encode("latin-1")


@dataclass(kw_only=True, eq=False)
class ModelServer(FakeModel):
    """Serves from entering to leaving. All that is public may be used from any thread.

    What the brain or the plan raises ends the server: clients see it go, and `stop` raises it.
    """

    base_url: str = field(default="", init=False)
    open_connections: int = field(default=0, init=False)
    aborted: int = field(default=0, init=False)
    """Calls whose client went away before it had the answer."""

    def __post_init__(self) -> None:
        self._change = threading.Condition()
        self._ready = threading.Event()
        self._failure: BaseException | None = None
        self._end: Callable[[], object] = lambda: None
        self._thread = threading.Thread(target=self._run, name="model-server", daemon=True)

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def start(self) -> None:
        self._thread.start()
        self._ready.wait()

    @property
    def running(self) -> bool:
        return self._thread.is_alive()

    def stop(self) -> None:
        with suppress(RuntimeError):  # a server that has failed has closed its loop
            self._end()
        self._thread.join()
        failure, self._failure = self._failure, None
        if failure is not None:
            raise failure

    def wait_until(self, condition: Callable[[], bool], seconds: float = 10.0) -> None:
        """Until something that the server counts is so. Blocks: from a coroutine, call it in a thread."""
        with self._change:
            self._change.wait_for(lambda: condition() or self._failure is not None, seconds)
            assert condition(), self._failure or "it did not happen in time"

    def wait_for_call(self, n: int) -> None:
        """Until `n` calls have been read."""
        self.wait_until(lambda: self.calls >= n)

    def _count(self, *, connections: int = 0, aborted: int = 0) -> None:
        with self._change:
            self.open_connections += connections
            self.aborted += aborted
            self._change.notify_all()

    def _run(self) -> None:
        try:
            asyncio.run(self._serve())
        except BaseException as error:  # noqa: BLE001 (nobody is above this thread; `stop` raises it)
            self._failure = error
        finally:
            self._ready.set()
            self._count()

    async def _serve(self) -> None:
        loop, over = asyncio.get_running_loop(), asyncio.Event()
        tasks: set[asyncio.Task[None]] = set()

        def begin(work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
            task = loop.create_task(work)
            tasks.add(task)
            task.add_done_callback(ended)
            return task

        def ended(task: asyncio.Task[None]) -> None:
            tasks.discard(task)
            if not task.cancelled() and (failure := task.exception()) is not None:
                self._failure = failure
                over.set()

        def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            begin(self._connection(begin, reader, writer))

        server = await asyncio.start_server(connected, "127.0.0.1", 0, backlog=2048)
        self.base_url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/v1"
        self._end = lambda: loop.call_soon_threadsafe(over.set)
        self._ready.set()
        await over.wait()
        loop.remove_reader(server.sockets[0].fileno())
        # a socket that has been accepted has no owner until the loop has turned a few times
        for _ in range(5):
            await asyncio.sleep(0)
        server.close()
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _connection(
        self, begin: Begin, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        """Reads while it answers, which is how it learns that the client has gone."""
        self._count(connections=1)
        answering: asyncio.Task[None] | None = None
        try:
            while True:
                request = await read_request(reader)
                if answering is not None:
                    await answering
                answering = begin(self._answer(writer, request))
        except (asyncio.IncompleteReadError, ConnectionError):
            if answering is not None and answering.cancel():
                self._count(aborted=1)
        finally:
            writer.transport.abort()
            self._count(connections=-1)

    async def _answer(self, writer: asyncio.StreamWriter, request: Request) -> None:
        steps = self.answer(*request)
        self._count()
        chunked = False
        try:
            async with aclosing(played(steps)) as pieces:
                async for piece in pieces:
                    if isinstance(piece, Head):
                        chunked = "content-length" not in piece.headers
                    writer.write(written(piece, chunked=chunked))
                    await writer.drain()
            if chunked:
                writer.write(b"0\r\n\r\n")
        except Reset:
            at_once = struct.pack("ii", 1, 0)
            writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, at_once)
            writer.transport.abort()
        except ConnectionError:
            self._count(aborted=1)
        if request[2].get("connection") == "close":
            writer.close()
