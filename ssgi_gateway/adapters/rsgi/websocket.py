"""The ``protocol`` of a WebSocket, and its transport (RSGI 1.6, "Websocket protocol interface").

Messages that came early wait in the WebSocket's own bounded queue.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from ssgi_gateway.adapters.rsgi.errors import protocol_closed, protocol_error
from ssgi_gateway.ssgi import WebSocketStatus
from ssgi_gateway.wire.websocket import close_codes

from ...core.awaitables import TRUE
from .call import RsgiCall

if TYPE_CHECKING:
    import asyncio

    from ...core.websocket import WebSocket

__all__ = ["RsgiWebSocketProtocol", "WebSocketTransport", "WebsocketMessage"]

PENDING: Final = WebSocketStatus.PENDING
ACCEPTED: Final = WebSocketStatus.ACCEPTED

CLOSE: Final = 0
BYTES: Final = 1
STRING: Final = 2

BROKEN: Final = close_codes.BROKEN


class WebsocketMessage:
    """What ``receive`` returns: ``kind`` 0 for the client's Close, 1 for ``bytes`` and 2 for ``str`` in ``data``."""

    __slots__ = ("data", "kind")

    def __init__(self, kind: int, data: bytes | str | None) -> None:
        self.kind = kind
        self.data = data

    def __repr__(self) -> str:
        return f"WebsocketMessage(kind={self.kind}, data={self.data!r})"


class RsgiWebSocketProtocol(RsgiCall):
    """What the application accepts or refuses the WebSocket with."""

    __slots__ = ("_gone", "_transport", "_ws")

    def __init__(self, ws: WebSocket, grace: float) -> None:
        self._init_base(ws, grace)
        self._ws = ws
        self._transport: WebSocketTransport | None = None
        self._gone = False  # the WebSocket has ended, or its client disconnected before it was accepted
        ws.when_closed(self._closed, (), None)

    async def accept(self) -> WebSocketTransport:
        """Accept; no subprotocol is chosen, for RSGI has no way to choose one.

        Raises:
            RSGIProtocolError: it was accepted or closed before.
            RSGIProtocolClosed: the client has disconnected.
        """
        ws = self._ws
        if self._transport is not None or (ws.status is not PENDING and not self._gone):
            raise protocol_error("the WebSocket was accepted or closed before")
        if not await ws.accept(""):
            raise protocol_closed("the client disconnected before its WebSocket was accepted")
        transport = self._transport = WebSocketTransport(ws)
        ws.on_waiting(transport.wake)
        return transport

    def close(self, status: int | None = None) -> None:
        """Refuse the WebSocket with an HTTP status, or close it; a second call has no effect.

        Raises:
            ValueError: not a final HTTP status.
        """
        ws = self._ws
        if ws.status is PENDING:
            ws.reject(403 if status is None else status)
        elif ws.status is ACCEPTED:
            if self._transport is not None:
                self._transport.closed_here()
            ws.close(_close_code(status))

    # -- for the adapter -----------------------------------------------------------------------------------------

    def gone(self) -> bool:
        """Whether it has ended."""
        return self._gone

    def complete(self) -> None:
        """The application has returned."""
        if self._ws.status is ACCEPTED:
            self.close()

    def _closed(self, ws: WebSocket, code: int, reason: str) -> None:
        """The WebSocket has ended. "If the application dies the socket should be closed, and vice-versa" (RSGI)."""
        self._gone = True
        if not self._over and self._grace:
            self._timer = ws.channel.scope.loop.call_later(self._grace, self._cancel)
        if self._transport is not None:
            self._transport.ended(code)

    def _cancel(self) -> None:
        """An application that has learned of the end goes on as long as it likes."""
        if self._transport is None or not self._transport.delivered:
            self._ws.cancel()


class WebSocketTransport:
    """An accepted WebSocket's messages."""

    __slots__ = ("_closing", "_code", "_waiter", "_ws", "delivered")

    def __init__(self, ws: WebSocket) -> None:
        self._ws = ws
        self._waiter: asyncio.Future[None] | None = None  # receive waits for a message
        self._code: int | None = None
        self._closing = False
        self.delivered = False

    async def receive(self) -> WebsocketMessage:
        """The next message. Cancelling this loses none.

        Raises:
            RSGIProtocolClosed: it is over, and this was reported before, or the connection has broken.
            RSGIProtocolError: another ``receive`` is waiting.
        """
        message = self._ws.take()
        if message is None and self._code is None and not self._closing:
            if self._waiter is not None:
                raise protocol_error("another receive is waiting")
            self._waiter = self._ws.channel.scope.loop.create_future()
            try:
                await self._waiter
            finally:
                self._waiter = None
            message = self._ws.take()
        if message is not None:
            return WebsocketMessage(STRING if isinstance(message, str) else BYTES, message)
        if self._code is None or self._code == BROKEN or self.delivered or self._closing:
            self.delivered = True
            raise protocol_closed("the WebSocket is closed")
        self.delivered = True
        return WebsocketMessage(CLOSE, None)

    async def send_bytes(self, data: bytes) -> None:
        """Send a binary message; returns when the client can take more.

        Raises:
            RSGIProtocolClosed: the client has closed or left.
            RSGIProtocolError: the application has closed.
        """
        if isinstance(data, str):
            raise TypeError("send_bytes wants bytes, not str")
        await self._send(data)

    async def send_str(self, data: str) -> None:
        """Send a text message; returns when the client can take more.

        Raises:
            RSGIProtocolClosed: the client has closed or left.
            RSGIProtocolError: the application has closed.
        """
        if not isinstance(data, str):
            raise TypeError(f"send_str wants str, not {type(data).__name__}")
        await self._send(data)

    async def _send(self, data: Any) -> None:
        if self._closing:
            raise protocol_error("the application has closed the WebSocket")
        waiting: Any = self._ws.send(data)
        if waiting is not TRUE and not await waiting:
            self.delivered = True
            raise protocol_closed("the WebSocket is closed")

    # -- for the server ------------------------------------------------------------------------------------------

    def closed_here(self) -> None:
        """The application closes: a ``receive`` that still waits gets an error."""
        self._closing = True
        self.wake()

    def ended(self, code: int) -> None:
        """The WebSocket has ended; what has come before can still be received."""
        self._code = code
        self.wake()

    def wake(self) -> None:
        """A message has come, or it is over."""
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)


def _close_code(status: int | None) -> int:
    """RSGI's ``close(status)`` of an open WebSocket, as a close code (RFC 6455 7.4)."""
    if status is None or status < 500:
        return 1000
    if status < 600:
        return 1011
    return status if close_codes.is_close_code(status) else 1000
