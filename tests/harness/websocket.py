"""A WebSocket client for tests: synchronous, with timeouts, its handshake exact and its frames by wsproto.

``send_raw`` puts any bytes into the connection, for what wsproto would refuse to say; ``receive_event`` shows every
event as it came, for tests of fragments, pings and closes.
"""

from __future__ import annotations

import base64
import hashlib
import os
import ssl
from collections.abc import Sequence
from typing import Any, Self

from wsproto.connection import Connection, ConnectionState, ConnectionType
from wsproto.events import BytesMessage, CloseConnection, Event, Message, Ping, Pong, TextMessage
from wsproto.extensions import Extension, PerMessageDeflate

from .client import TIMEOUT, Address, Headers, HttpConnection, Response

__all__ = ["WebSocketClient", "WebSocketRejectedError"]

GUID = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"


class WebSocketRejectedError(Exception):
    """The server answered the handshake with something else than 101."""

    def __init__(self, response: Response) -> None:
        super().__init__(f"{response.status} {response.reason}: {response.body[:500]!r}")
        self.response = response


class WebSocketClient:
    """An open WebSocket; a context manager that closes the connection.

    Args:
        address: where to.
        target: path and query.
        headers: further headers of the handshake.
        subprotocols: what to offer.
        deflate: offer permessage-deflate (RFC 7692).
        timeout: seconds, of each socket operation.
        receive_buffer: see ``connect``.
        tls: see ``client.request``.

    Raises:
        WebSocketRejectedError: the answer was not a 101.
        AssertionError: it was, and is not what RFC 6455 4.1 demands of it.
    """

    def __init__(
        self,
        address: Address,
        target: str = "/",
        headers: Headers = (),
        *,
        subprotocols: Sequence[str] = (),
        deflate: bool = False,
        timeout: float = TIMEOUT,
        receive_buffer: int = 0,
        tls: ssl.SSLContext | None = None,
    ) -> None:
        self._http = HttpConnection(address, timeout, receive_buffer, tls)
        try:
            self.response = self._shake_hands(target, list(headers), subprotocols, deflate)
        except BaseException:
            self._http.close()
            raise
        self.subprotocol = self.response.header("sec-websocket-protocol")
        self._events: list[Event] = []
        self._parts: list[str | bytes] = []
        self._connection = Connection(ConnectionType.CLIENT, extensions=self._extensions(deflate))
        self._feed(self._http.trailing_data() or None)

    @property
    def socket(self) -> Any:
        """The socket below."""
        return self._http.socket

    def send(self, message: str | bytes) -> None:
        """Send a whole message: text for ``str``, binary for ``bytes``."""
        self.send_fragment(message, last=True)

    def send_fragment(self, part: str | bytes, *, last: bool) -> None:
        """Send one frame of a message."""
        kind: type[Message[Any]] = TextMessage if isinstance(part, str) else BytesMessage
        self.send_raw(self._connection.send(kind(data=part, message_finished=last)))

    def send_raw(self, data: bytes) -> None:
        """Write bytes as they are."""
        self.socket.sendall(data)

    def ping(self, payload: bytes = b"") -> None:
        """Send a ping."""
        self.send_raw(self._connection.send(Ping(payload=payload)))

    def start_close(self, code: int = 1000, reason: str | None = None) -> None:
        """Send a Close frame."""
        self.send_raw(self._connection.send(CloseConnection(code=code, reason=reason)))

    def receive(self) -> str | bytes:
        """The next whole message; pings before it are answered, pongs are passed over.

        Raises:
            AssertionError: the server closed instead.
        """
        while True:
            event = self.receive_event()
            if isinstance(event, Message):
                self._parts.append(event.data)
                if event.message_finished:
                    parts, self._parts = self._parts, []
                    return "".join(parts) if isinstance(event, TextMessage) else b"".join(parts)  # type: ignore[arg-type]
            assert not isinstance(event, CloseConnection), f"closed while a message was expected: {event!r}"

    def receive_pong(self) -> bytes:
        """The payload of the next pong."""
        while True:
            event = self.receive_event()
            if isinstance(event, Pong):
                return bytes(event.payload)
            assert not isinstance(event, CloseConnection), f"closed while a pong was expected: {event!r}"

    def receive_close(self) -> tuple[int, str]:
        """Code and reason of the server's Close frame, which is answered; messages before it are passed over.

        Code 1005 stands for a frame without one, 1006 for a connection that ended without a frame (RFC 6455 7.1.5).
        """
        while True:
            event = self.receive_event()
            if isinstance(event, CloseConnection):
                return int(event.code), event.reason or ""

    def close(self, code: int = 1000, reason: str | None = None) -> tuple[int, str]:
        """The whole closing handshake, begun by us; returns what the server answered, and checks that it hangs up."""
        self.start_close(code, reason)
        answer = self.receive_close()
        self.read_eof()
        return answer

    def receive_event(self) -> Event:
        """The next event as it came: a frame of a message, a Ping (already answered), a Pong, a CloseConnection.

        The end of the connection without a Close frame is ``CloseConnection(code=1006)``, each time it is asked for.
        """
        while not self._events:
            try:
                data = self.socket.recv(262144)
            except ConnectionResetError:
                data = b""
            if not data:
                return CloseConnection(code=1006, reason="")
            self._feed(data)
        return self._events.pop(0)

    def read_eof(self) -> None:
        """Check that the server has closed the connection (RFC 6455 7.1.1: it does so first)."""
        self._http.read_eof()

    def abort(self) -> None:
        """Leave at once with a reset."""
        self._http.abort()

    @property
    def open(self) -> bool:
        """Whether messages may be sent; no more once the server's Close was received, and answered."""
        return self._connection.state is ConnectionState.OPEN

    def abandon(self) -> None:
        """Leave without a closing handshake."""
        self._http.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc: object) -> None:
        self.abandon()

    def _feed(self, data: bytes | None) -> None:
        if data is None:
            return
        self._connection.receive_data(data)
        for event in self._connection.events():
            self._events.append(event)
            if isinstance(event, (Ping, CloseConnection)):
                self._answer(event)

    def _answer(self, event: Ping | CloseConnection) -> None:
        if isinstance(event, CloseConnection) and self._connection.state.name not in ("REMOTE_CLOSING",):
            return  # it answers ours
        try:
            self.send_raw(self._connection.send(event.response()))
        except (BrokenPipeError, ConnectionResetError):
            pass  # the server did not wait for it

    def _shake_hands(self, target: str, headers: Any, subprotocols: Sequence[str], deflate: bool) -> Response:
        key = base64.b64encode(os.urandom(16))
        own: list[tuple[str, str | bytes]] = [
            ("Upgrade", "websocket"),
            ("Connection", "Upgrade"),
            ("Sec-WebSocket-Key", key),
            ("Sec-WebSocket-Version", "13"),
        ]
        if subprotocols:
            own.append(("Sec-WebSocket-Protocol", ", ".join(subprotocols)))
        if deflate:
            own.append(("Sec-WebSocket-Extensions", "permessage-deflate; client_max_window_bits"))
        self._http.send_head("GET", target, [*own, *headers])
        response = self._http.read_response()
        if response.status != 101:
            raise WebSocketRejectedError(response)
        accept = base64.b64encode(hashlib.sha1(key + GUID).digest()).decode()
        assert response.header("sec-websocket-accept") == accept, response
        assert (response.header("upgrade") or "").lower() == "websocket", response
        assert (response.header("connection") or "").lower() == "upgrade", response
        assert response.header("sec-websocket-protocol") in (None, *subprotocols), response
        return response

    def _extensions(self, deflate: bool) -> list[Extension]:
        agreed = self.response.header("sec-websocket-extensions")
        if agreed is None:
            return []
        assert deflate, f"an extension that was not offered: {agreed}"
        extension = PerMessageDeflate()
        extension.finalize(agreed)
        return [extension]
