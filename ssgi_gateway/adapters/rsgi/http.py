"""The ``protocol`` of a request, and the transport of a stream (RSGI 1.6, "HTTP protocol interface").

A response that is given whole is one write. A stream's head goes with its first piece, or at the end of this turn of
the loop, and a stream ends when the application returns.
"""

from __future__ import annotations

import asyncio
import logging
from typing import TYPE_CHECKING, Any, Final

from ssgi_gateway.adapters.rsgi.errors import protocol_closed, protocol_error

from ...core.awaitables import TRUE
from ...core.waiters import Waiters, settled
from ...wire.response_head import ResponseHead
from ..files import open_path, send_open
from .call import RsgiCall

if TYPE_CHECKING:
    from collections.abc import Iterable

    from ...core.response import HttpResponse

    Headers = Iterable[tuple[str, str]]

__all__ = ["HttpTransport", "RsgiHttpProtocol"]

logger = logging.getLogger("ssgi_gateway.app")

CLIENT_LEFT: Final = "the client has disconnected"


class RsgiHttpProtocol(RsgiCall):
    """What the application reads the request from and answers it with."""

    __slots__ = ("_consumed", "_res", "_responded", "_transport", "_watchers")

    def __init__(self, res: HttpResponse, grace: float) -> None:
        self.init(res, grace)

    def init(self, res: HttpResponse, grace: float) -> None:
        """What ``__init__`` does: see "Plain classes" in ARCHITECTURE.md."""
        self._init_base(res, grace)
        self._res = res
        self._consumed = False
        self._responded = False
        self._transport: HttpTransport | None = None
        self._watchers: Waiters | None = None

    # -- the request ---------------------------------------------------------------------------------------------

    async def __call__(self) -> bytes:
        """The whole body.

        Raises:
            RSGIProtocolError: it was read before.
            RSGIProtocolClosed: the client has disconnected.
        """
        self._consume()
        body = self._res.body
        if body is None:
            return b""
        if body.ended:
            return body.take_all()
        pieces = []
        while (piece := await self._next_piece()) is not None:
            pieces.append(piece)
        return b"".join(pieces)

    def __aiter__(self) -> RsgiHttpProtocol:
        """The body, piece by piece as it arrives.

        Raises:
            RSGIProtocolError: it was read before.
        """
        self._consume()
        return self

    async def __anext__(self) -> bytes:
        """The next piece.

        Raises:
            RSGIProtocolClosed: the client has disconnected.
        """
        piece = await self._next_piece()
        if piece is None:
            raise StopAsyncIteration
        return piece

    def client_disconnect(self) -> asyncio.Future[None]:
        """A future that is done when the client has disconnected, or the application has returned."""
        loop = self._res.channel.scope.loop
        if self._res.aborted:
            return settled(loop, None)
        if self._watchers is None:
            self._watchers = Waiters()
        return self._watchers.wait(loop)

    # -- the response --------------------------------------------------------------------------------------------

    def response_empty(self, status: int = 200, headers: Headers = ()) -> None:
        """Answer without a body."""
        self._begin(status, headers)
        self._res.send()

    def response_str(self, status: int = 200, headers: Headers = (), body: str = "") -> None:
        """Answer with text, as UTF-8."""
        if not isinstance(body, str):
            raise TypeError(f"response_str wants str, not {type(body).__name__}")
        self._begin(status, headers)
        self._res.send(body)

    def response_bytes(self, status: int = 200, headers: Headers = (), body: bytes = b"") -> None:
        """Answer with bytes."""
        if isinstance(body, str):
            raise TypeError("response_bytes wants bytes, not str")
        self._begin(status, headers)
        self._res.send(body)

    def response_file(self, status: int, headers: Headers, file: str) -> None:
        """Answer with a file; its headers are the application's affair, Content-Length apart if it is missing."""
        self._respond_with_file(status, headers, file, 0, None)

    def response_file_range(self, status: int, headers: Headers, file: str, start: int, end: int) -> None:
        """Answer with the bytes of a file from ``start`` up to, and without, ``end``.

        Raises:
            ValueError: ``end`` is not behind ``start``.
        """
        if not 0 <= start < end:
            raise ValueError(f"invalid range: from {start} to {end}")
        self._respond_with_file(status, headers, file, start, end)

    def response_stream(self, status: int = 200, headers: Headers = ()) -> HttpTransport:
        """Begin an answer that the transport goes on with."""
        self._begin(status, headers)
        transport = self._transport = HttpTransport(self._res)
        self._res.channel.scope.loop.call_soon(transport.flush)
        return transport

    # -- for the adapter -----------------------------------------------------------------------------------------

    def started(self) -> None:
        """The application has to wait: from now on its client may disconnect before it has ended."""
        self._res.watch(self)

    def gone(self) -> bool:
        """Whether the client has disconnected."""
        return self._res.aborted

    def complete(self) -> None:
        """The application has returned: its stream ends."""
        transport = self._transport
        if transport is not None:
            transport.end()

    def over(self) -> None:
        """The application will do nothing more."""
        RsgiCall.over(self)
        if self._watchers is not None:
            self._watchers.wake(None)

    # -- inside --------------------------------------------------------------------------------------------------

    def _consume(self) -> None:
        if self._consumed:
            raise protocol_error("the request's body was asked for before")
        self._consumed = True

    async def _next_piece(self) -> bytes | None:
        try:
            piece = await self._res.get_chunk()
        except ConnectionAbortedError as error:
            raise protocol_closed(str(error)) from None
        return None if piece is None else piece.getvalue()

    def _begin(self, status: int, headers: Headers) -> None:
        if self._responded:
            raise protocol_error("a response was given before")
        res = self._res
        res.send_status(status)
        if headers:
            res.send_headers(headers)  # all of them or, on an error, none; then a better response may follow
        self._responded = True

    def _respond_with_file(self, status: int, headers: Headers, file: str, start: int, end: int | None) -> None:
        if self._responded:
            raise protocol_error("a response was given before")
        pairs = list(headers)
        head = ResponseHead()  # an invalid one is refused here and now, not when the file is open
        head.set_status(status)
        head.add(pairs)
        self._responded = True
        self._res.run_async(self._send_file(status, pairs, head.content_length, file, start, end))

    async def _send_file(
        self, status: int, headers: list[tuple[str, str]], length: int, file: str, start: int, end: int | None
    ) -> None:
        res = self._res
        try:
            opened, content = await open_path(res, file, start, end)
        except OSError as error:
            # The client gets no more than that: the path is the application's secret.
            logger.warning("RSGI: %s; answered 404", error)
            res.send_status(404)
            res.send_headers([("Content-Type", "text/plain; charset=utf-8")])
            res.send("404 Not Found\n")
            return
        res.send_status(status)
        res.send_headers(headers)
        await send_open(res, opened, content, length >= 0)

    def client_left(self) -> None:
        """The client has disconnected."""
        if self._watchers is not None:
            self._watchers.wake(None)
        if not self._over and self._grace and self._responded:
            self._timer = self._res.channel.scope.loop.call_later(self._grace, self._cancel)

    def _cancel(self) -> None:
        self._res.cancel()


class HttpTransport:
    """The pieces of a stream."""

    __slots__ = ("_begun", "_ended", "_res")

    def __init__(self, res: HttpResponse) -> None:
        self._res = res
        self._begun = False
        self._ended = False

    async def send_bytes(self, data: bytes) -> None:
        """Send a piece; returns when the client can take more.

        Raises:
            RSGIProtocolClosed: the client has disconnected, or the application has returned.
        """
        if isinstance(data, str):
            raise TypeError("send_bytes wants bytes, not str")
        await self._send(data)

    async def send_str(self, data: str) -> None:
        """Send a piece of text, as UTF-8; returns when the client can take more.

        Raises:
            RSGIProtocolClosed: the client has disconnected, or the application has returned.
        """
        if not isinstance(data, str):
            raise TypeError(f"send_str wants str, not {type(data).__name__}")
        await self._send(data)

    async def _send(self, data: Any) -> None:
        if self._ended:
            raise protocol_closed("the application has returned, and with that the stream has ended")
        self._begun = True
        waiting: Any = self._res.send(data, True)
        if waiting is not TRUE and not await waiting:
            raise protocol_closed(CLIENT_LEFT)

    def flush(self) -> None:
        """Nothing was sent in this turn of the loop: then the head goes alone."""
        if not self._begun and not self._ended and not self._res.finished():
            self._begun = True
            self._res.send(None, True)

    def end(self) -> None:
        """The application has returned."""
        self._ended = True
        if not self._res.finished():
            self._res.send()
