"""``SwillTestClient``: an application and a client in one process, without sockets, over the same dispatcher.

::

    async with SwillTestClient(app) as client:
        assert await client.call("add", [1, 2]) == 3
        async with client.request("total", 1) as request:
            await request.send(2)
            await request.end_of_stream()
            assert (await request.receive())["data"] == 3
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Mapping
from contextlib import asynccontextmanager
from types import TracebackType
from typing import Any, Self

import msgspec

from ssgi_gateway.core.awaitables import FALSE, TRUE
from ssgi_gateway.ssgi import WebSocketStatus

from .app import Swill
from .connection import Connection
from .errors import CloseConnection, RpcError
from .frames import (
    CANCEL,
    END_OF_STREAM,
    ERROR,
    MESSAGE,
    ErrorMessage,
    decode_answer,
    decode_any,
    encode_request,
)

__all__ = ["SwillTestClient", "TestRequest", "TestSocket"]

TIMEOUT = 10.0
"""Seconds that a test waits for a frame."""


class TestSocket:
    """The ``res`` of a WebSocket, as SSGI has it, with a test at the other end."""

    __test__ = False

    def __init__(self, scheme: str = "ws") -> None:
        self.status = WebSocketStatus.PENDING
        self.extensions: dict[str, Any] = {"scheme": scheme, "root_path": "", "state": {}}
        self.rejection: tuple[int, str, list[tuple[str, str]]] | None = None
        self.protocol = ""
        self.headers: list[tuple[str, str]] = []
        self.sent: deque[bytes] = deque()
        self.closed: tuple[int, str] | None = None
        self._arrived = asyncio.Event()
        self._receiver: Callable[..., Any] | None = None
        self._closers: list[Callable[..., Any]] = []
        self._waiting: deque[Any] = deque()
        self._pump: asyncio.Task[None] | None = None

    def accept(self, protocol: str | None = None, headers: Iterable[tuple[str, str]] = ()) -> Awaitable[bool]:
        """As SSGI has it."""
        self.status = WebSocketStatus.ACCEPTED
        self.protocol, self.headers = protocol or "", list(headers)
        return TRUE

    def reject(self, status_code: Any = 403, payload: Any = None, headers: Any = ()) -> Awaitable[bool]:
        """As SSGI has it."""
        self.status = WebSocketStatus.REJECTED
        self.rejection = (int(status_code), str(payload or ""), list(headers or ()))
        return TRUE

    def send(self, payload: Any) -> Awaitable[bool]:
        """As SSGI has it."""
        if self.closed is not None:
            return FALSE
        self.sent.append(bytes(payload))
        self._arrived.set()
        return TRUE

    def close(self, code: int = 1000, reason: str | None = None) -> Awaitable[bool]:
        """As SSGI has it."""
        if self.closed is not None:
            return FALSE
        self.closed = (code, reason or "")
        self.status = WebSocketStatus.CLOSED
        self._arrived.set()
        asyncio.get_running_loop().call_soon(self._end, code, reason or "")
        return TRUE

    def on_receive(self, handler: Callable[..., Any], *args: Any) -> None:
        """As SSGI has it."""
        self._receiver = handler
        self._start_pump()

    def on_close(self, handler: Callable[..., Any], *args: Any) -> None:
        """As SSGI has it."""
        self._closers.append(handler)

    # -- the test's end --------------------------------------------------------------------------------------------

    def deliver(self, message: bytes | str) -> None:
        """A message of the client."""
        self._waiting.append(message)
        self._start_pump()

    async def receive(self) -> bytes:
        """The next message of the server.

        Raises:
            TimeoutError: none came.
            CloseConnection: it closed.
        """
        async with asyncio.timeout(TIMEOUT):
            while not self.sent:
                if self.closed is not None:
                    raise CloseConnection(*self.closed)
                self._arrived.clear()
                await self._arrived.wait()
        return self.sent.popleft()

    async def leave(self, code: int = 1000) -> None:
        """The client closes; returns when all that follows of it is done."""
        if self.closed is None:
            self.closed = (code, "")
            self.status = WebSocketStatus.CLOSED
            self._end(code, "")
        if self._ending is not None:
            await self._ending

    _ending: asyncio.Future[Any] | None = None

    def _end(self, code: int, reason: str) -> None:
        results = [handler(self, code, reason) for handler in self._closers]
        self._closers.clear()
        waiting = [result for result in results if asyncio.iscoroutine(result)]
        if waiting:
            self._ending = asyncio.gather(*waiting)

    def _start_pump(self) -> None:
        if self._receiver is not None and self._waiting and (self._pump is None or self._pump.done()):
            self._pump = asyncio.get_running_loop().create_task(self._deliver_all())

    async def _deliver_all(self) -> None:
        while self._waiting and self._receiver is not None:
            result = self._receiver(self, self._waiting.popleft())
            if result is not None and hasattr(result, "__await__"):
                await result


class TestRequest:
    """One request of a test; ``receive`` is the original's: a dict of what a frame holds."""

    __test__ = False

    def __init__(self, client: SwillTestClient, rpc: str, seq: int) -> None:
        self._client = client
        self.rpc = rpc
        self.seq = seq
        self.ended = False
        self.frames: deque[dict[str, Any]] = deque()

    async def send(self, data: Any = None, metadata: dict[str, Any] | None = None, type: int = MESSAGE) -> None:
        """Send a frame of this request."""
        self._client.send(encode_request(self.seq, data, self.rpc, type, metadata))
        await asyncio.sleep(0)

    async def end_of_stream(self) -> None:
        """No more items."""
        await self.send(type=END_OF_STREAM)

    async def cancel(self) -> None:
        """No answer is wanted any more."""
        self.ended = True
        await self.send(type=CANCEL)

    async def receive(self) -> dict[str, Any]:
        """The next frame: ``seq``, ``type``, ``data``, ``leading_metadata``, ``trailing_metadata``.

        ``data`` is decoded by the procedure's type; of an ERROR it has ``code``, ``message`` and ``data``.
        """
        while not self.frames:
            await self._client.take()
        return self.frames.popleft()

    async def result(self) -> Any:
        """The item of a single answer.

        Raises:
            RpcError: it is an ERROR.
        """
        while True:
            frame = await self.receive()
            if frame["type"] == ERROR:
                error = frame["data"]
                raise RpcError(error.code, error.message, error.data, self.rpc)
            if frame["type"] == MESSAGE:
                return frame["data"]

    async def __aiter__(self) -> AsyncIterator[Any]:
        while True:
            frame = await self.receive()
            if frame["type"] == ERROR:
                error = frame["data"]
                raise RpcError(error.code, error.message, error.data, self.rpc)
            if frame["type"] == END_OF_STREAM:
                return
            if frame["type"] == MESSAGE:
                yield frame["data"]


class SwillTestClient:
    """A connection to an application.

    Args:
        app: the application; its ``startup`` and ``shutdown`` run.
        headers: of the handshake.
        query_string: of the handshake.
        client: the address it comes from.

    Raises:
        CloseConnection: entering it, if the connection was refused: with the HTTP status.
    """

    def __init__(
        self,
        app: Swill,
        *,
        headers: Mapping[str, str] | None = None,
        query_string: str = "",
        client: str = "127.0.0.1:1",
        lifespan: bool = True,
    ) -> None:
        self.app = app
        self.socket = TestSocket()
        self._headers = {"host": "testserver", "sec-websocket-protocol": "swill.1"}
        self._headers.update({name.lower(): value for name, value in (headers or {}).items()})
        self._query_string = query_string
        self._client = client
        self._lifespan = lifespan
        self._seq = 0
        self._requests: dict[int, TestRequest] = {}
        self._taking = asyncio.Lock()

    @property
    def connection(self) -> Connection:
        """The application's side."""
        return next(each for each in self.app.connections.values() if each.ws is self.socket)

    async def __aenter__(self) -> Self:
        if self._lifespan:
            await self.app.startup({})
        answered = self.app(
            "websocket",
            "testserver:80",
            self._client,
            "GET",
            self.app.path,
            self._query_string,
            self._header,
            self.socket,
        )
        if answered is not None and hasattr(answered, "__await__"):
            await answered
        if self.socket.rejection is not None:
            if self._lifespan:
                await self.app.shutdown()
            raise CloseConnection(*self.socket.rejection[:2])
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.socket.leave()
        if self._lifespan:
            await self.app.shutdown()

    def _header(self, name: str | None = None) -> Any:
        return dict(self._headers) if name is None else self._headers.get(name.lower())

    def send(self, message: bytes | str) -> None:
        """Send any message."""
        self.socket.deliver(message)

    async def call(self, rpc: str, data: Any = None, metadata: dict[str, Any] | None = None) -> Any:
        """Call a procedure with one item; returns the item it answers.

        Raises:
            RpcError: the answer is an ERROR.
        """
        async with self.request(rpc, data, metadata) as request:
            return await request.result()

    @asynccontextmanager
    async def request(
        self,
        rpc: str,
        data: Any = None,
        metadata: dict[str, Any] | None = None,
        type: int = MESSAGE,
        seq: int | None = None,
    ) -> AsyncIterator[TestRequest]:
        """Begin a request; it is cancelled at the end, if it is not over."""
        if seq is None:
            self._seq += 1
            seq = self._seq
        request = self._requests[seq] = TestRequest(self, rpc, seq)
        await request.send(data, metadata, type)
        try:
            yield request
        finally:
            if not request.ended and self.socket.closed is None:
                await request.cancel()
            self._requests.pop(seq, None)

    async def take(self) -> None:
        """Take one frame of the server, for whomever it is."""
        async with self._taking:
            frame = decode_answer(await self.socket.receive())
        request = self._requests.get(frame.seq)
        if request is None:
            return
        data: Any = None
        if frame.type == ERROR:
            data = msgspec.msgpack.decode(frame.data, type=ErrorMessage)
        elif frame.type == MESSAGE:
            procedure = self.app.procedures.get(request.rpc)
            kind = procedure.check.type if procedure is not None else Any
            try:
                data = msgspec.msgpack.decode(frame.data, type=kind)
            except msgspec.ValidationError:
                data = decode_any(frame.data)
            streams = procedure is not None and procedure.streams_out
            request.ended = request.ended or not streams
        request.ended = request.ended or frame.type in (END_OF_STREAM, ERROR)
        request.frames.append(
            {
                "seq": frame.seq,
                "type": frame.type,
                "data": data,
                "leading_metadata": frame.leading,
                "trailing_metadata": frame.trailing,
            }
        )
