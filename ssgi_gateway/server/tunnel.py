"""A connection that is read and written elsewhere: a WebSocket library in a thread of a WSGI application.

Here is what is left to the server: the connection's place among the others, so that limits count it and its peer's
leaving is seen, and the Close frame of a restart, which goes between two of the library's frames.
"""

from __future__ import annotations

import socket
from typing import TYPE_CHECKING, Any

from ssgi_gateway.server.connection_states import NEVER
from ssgi_gateway.wire.websocket.close_codes import BROKEN, NO_STATUS, SERVICE_RESTART

from ..core.channel import WebSocketChannel

if TYPE_CHECKING:
    import threading

    from ..core.exchange import Exchange
    from ..core.websocket import WebSocket
    from .connection import Connection
    from .gateway import Gateway

__all__ = ["TunnelProtocol"]


class TunnelProtocol(WebSocketChannel):
    """One connection that was given away.

    Args:
        connection: nothing of its output waits.
        gateway: its own.
        websocket: the WebSocket whose place in core this is.
        described: the description of the connection by the protocol before it.
        theirs: the library's end, of the same connection.
        lock: held while the library writes.
    """

    __slots__ = ("_described", "_lock", "_over", "_theirs", "_websocket", "connection", "gateway")

    def __init__(
        self,
        connection: Connection,
        gateway: Gateway,
        websocket: WebSocket,
        described: dict[str, Any],
        theirs: socket.socket,
        lock: threading.Lock,
    ) -> None:
        self.scope = gateway.scope
        self.connection = connection
        self.gateway = gateway
        connection.protocol = self
        self._websocket = websocket
        self._described = described
        self._theirs = theirs
        self._lock = lock
        self._over = False
        connection.deadline = NEVER
        connection.stop_reading()
        connection.register()
        if gateway.draining:
            gateway.loop.call_soon(self.shut_down)

    def data_received(self, data: bytes) -> None:
        """Not here: this process does not read."""

    def eof_received(self) -> None:
        """Not here: this process does not read."""

    def connection_lost(self) -> None:
        self._end(BROKEN)

    def deadline_passed(self) -> None:
        """There is none."""

    def shut_down(self) -> None:
        if not self._over:
            self._websocket.close(SERVICE_RESTART, "")

    def application_failed(self, exchange: Exchange) -> None:
        if self.gateway.observer is not None:
            self.gateway.observer.application_failed(exchange)

    def send_close(self, code: int, reason: str) -> None:
        """Close the WebSocket for the library, and let it see the end of its input, after which it ends."""
        frame = bytes([0x88, 2]) + code.to_bytes(2, "big")  # RFC 6455 5.5.1, unmasked as a server's are
        if self._lock.acquire(blocking=False):
            try:
                socket.socket.send(self._theirs, frame, socket.MSG_DONTWAIT)  # not its own method, which locks
            except OSError:
                pass  # its peer has disconnected, or reads nothing
            finally:
                self._lock.release()
        try:
            self._theirs.shutdown(socket.SHUT_RD)
        except OSError:
            pass  # it is closed already

    def give_back(self) -> None:
        """The library has ended."""
        if not self._over:
            self.connection.close()
            self._end(NO_STATUS)

    def describe(self) -> dict[str, Any]:
        return self._described

    def _end(self, code: int) -> None:
        if not self._over:
            self._over = True
            if self.gateway.observer is not None:
                self.gateway.observer.websocket_closed(self._websocket, code)
            self._websocket.ended(code, "")
