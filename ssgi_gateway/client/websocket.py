"""WebSockets of the client, over the tunnel that a 101 opens; frames by wsproto.

Over HTTP/1.1, and in-band over SCGI to a gateway. A message is ``str`` or ``bytes``, whole, within a bound.
"""

from __future__ import annotations

import asyncio
import base64
import os
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any, Final

import wsproto.connection
from wsproto.events import BytesMessage, CloseConnection, Ping, Pong, TextMessage
from wsproto.utilities import LocalProtocolError as WsprotoLocalError
from wsproto.utilities import RemoteProtocolError as WsprotoRemoteError
from wsproto.utilities import generate_accept_token

from ssgi_gateway.errors import ClientError, RemoteProtocolError, WebSocketError
from ssgi_gateway.wire.websocket.close_codes import BROKEN

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Sequence

    from .client import Client
    from .response import Response

__all__ = ["ClientWebSocket", "HandshakeRefused", "open_websocket"]

CLOSE_WAIT: Final = 10.0
"""Seconds that a peer has to answer a Close (RFC 6455 7.1.1 has the server close the connection)."""


class HandshakeRefused(ClientError):  # noqa: N818 - it is an answer
    """The server answered the handshake with something else than 101.

    Args:
        response: its answer; the body can be read while the block of ``open_websocket`` is being entered only.
        body: its answer's.
    """

    def __init__(self, response: Response, body: bytes) -> None:
        super().__init__(f"the WebSocket was refused with {response.status}")
        self.response = response
        self.status = response.status
        self.body = body


@asynccontextmanager
async def open_websocket(
    client: Client,
    url: str,
    *,
    headers: Sequence[tuple[bytes | str, bytes | str]] = (),
    subprotocols: Sequence[str] = (),
    max_message_size: int = 1 << 20,
    extensions: dict[str, Any] | None = None,
) -> AsyncIterator[ClientWebSocket]:
    """Open a WebSocket (RFC 6455 4.1); it is closed with 1000 at the end of the block.

    Args:
        client: what carries it.
        url: ``http``, ``https``, ``scgi``; ``ws`` and ``wss`` mean the first two.
        headers: further ones.
        subprotocols: to offer.
        max_message_size: bytes; a larger message closes the WebSocket with 1009.
        extensions: of the request, ``{"cgi": {...}}``.

    Raises:
        HandshakeRefused: the server does not want it.
        ClientError: there was no answer.
    """
    if url.startswith(("ws://", "wss://")):
        url = f"http{url[2:]}"
    key = base64.b64encode(os.urandom(16))
    asked: list[tuple[bytes | str, bytes | str]] = [
        (b"upgrade", b"websocket"),
        (b"connection", b"Upgrade"),
        (b"sec-websocket-version", b"13"),
        (b"sec-websocket-key", key),
    ]
    if subprotocols:
        asked.append(("sec-websocket-protocol", ", ".join(subprotocols)))
    response = await client.request("GET", url, headers=[*asked, *headers], extensions=extensions)
    try:
        if response.status != 101:
            raise HandshakeRefused(response, await response.read())
        if response.header("sec-websocket-accept") != generate_accept_token(key).decode():
            raise RemoteProtocolError("the 101 does not answer this handshake (Sec-WebSocket-Accept)")
        chosen = response.header("sec-websocket-protocol")
        if chosen is not None and chosen not in subprotocols:
            raise RemoteProtocolError(f"the server chose the subprotocol {chosen!r}, which was not offered")
        socket = ClientWebSocket(response, chosen, max_message_size)
        yield socket
        await socket.close()
    finally:
        await response.aclose()


class ClientWebSocket:
    """An open WebSocket.

    Attributes:
        response: the 101, with its headers.
        subprotocol: the chosen one.
        close_code, close_reason: what the peer closed with; ``None`` while it is open.
    """

    def __init__(self, response: Response, subprotocol: str | None, max_message_size: int) -> None:
        self.response = response
        self.subprotocol = subprotocol
        self.close_code: int | None = None
        self.close_reason = ""
        self._most = max_message_size
        self._frames = wsproto.connection.Connection(wsproto.connection.ConnectionType.CLIENT)
        self._pieces: list[Any] = []
        self._size = 0
        self._messages: list[str | bytes] = []

    async def send(self, message: str | bytes) -> None:
        """Send a message: ``str`` as text, ``bytes`` as binary."""
        event = TextMessage(message) if isinstance(message, str) else BytesMessage(bytes(message))
        await self._write(event)

    async def ping(self, payload: bytes = b"") -> None:
        """Ask whether the peer is there."""
        await self._write(Ping(payload))

    async def _write(self, event: Any) -> None:
        try:
            data = self._frames.send(event)
        except WsprotoLocalError as error:
            raise WebSocketError(self.close_code or BROKEN, f"the WebSocket is closed ({error})") from None
        await self.response.write_tunnel(data)

    async def receive(self) -> str | bytes | None:
        """The next message; ``None`` when the peer has closed, see ``close_code``.

        Raises:
            ClientError: the connection broke without a Close frame, or the peer broke the protocol.
        """
        while not self._messages:
            if self.close_code is not None:
                return None
            data = await self.response.read_tunnel()
            if data is None:
                self.close_code = BROKEN
                raise RemoteProtocolError("the connection ended without a Close frame")
            try:
                self._frames.receive_data(data)
                for event in self._frames.events():
                    await self._on_event(event)
            except WsprotoRemoteError as error:
                await self._fail(1002, str(error))
        return self._messages.pop(0)

    async def _on_event(self, event: Any) -> None:
        if isinstance(event, TextMessage | BytesMessage):
            if event.data:
                self._pieces.append(event.data)
            self._size += len(event.data)
            if self._size > self._most:
                await self._fail(1009, f"a message of more than {self._most} bytes")
            if event.message_finished:
                empty: Any = "" if isinstance(event, TextMessage) else b""
                self._messages.append(empty.join(self._pieces))
                self._pieces, self._size = [], 0
        elif isinstance(event, Ping):
            await self._write(event.response())
        elif isinstance(event, CloseConnection):
            state = self._frames.state
            if state in (wsproto.connection.ConnectionState.OPEN, wsproto.connection.ConnectionState.LOCAL_CLOSING):
                await self._fail(int(event.code), event.reason or "")  # no Close came: wsproto's event has the reason
            self.close_code, self.close_reason = int(event.code), event.reason or ""
            if state is wsproto.connection.ConnectionState.REMOTE_CLOSING:
                await self._write(event.response())
        elif isinstance(event, Pong):
            pass

    async def _fail(self, code: int, reason: str) -> None:
        self.close_code = code
        try:
            await self.response.write_tunnel(self._frames.send(CloseConnection(code, reason[:123])))
        except WsprotoLocalError:
            pass
        raise WebSocketError(code, reason)

    async def close(self, code: int = 1000, reason: str = "") -> None:
        """Close; messages that still arrive are dropped, and the peer's Close is waited for, ten seconds at most."""
        if self._frames.state is not wsproto.connection.ConnectionState.OPEN:
            return
        try:
            async with asyncio.timeout(CLOSE_WAIT):
                await self._write(CloseConnection(code, reason))
                while await self.receive() is not None:
                    pass
        except (ClientError, TimeoutError):
            pass

    def __aiter__(self) -> AsyncIterator[str | bytes]:
        return self._iterate()

    async def _iterate(self) -> AsyncIterator[str | bytes]:
        while (message := await self.receive()) is not None:
            yield message
