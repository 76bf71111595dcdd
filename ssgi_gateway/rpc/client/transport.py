"""A client's WebSocket over asyncio, its frames by wsproto and its handshake by h11.

It also connects to servers that call their subprotocol ``swill/1``, which is no token, so that libraries refuse it.
"""

from __future__ import annotations

import asyncio
import base64
import hashlib
import os
import ssl as tls
from collections.abc import Iterable, Sequence
from typing import Any, Final
from urllib.parse import urlsplit

import h11
from wsproto.connection import Connection, ConnectionType
from wsproto.events import BytesMessage, CloseConnection, Message, Ping, Pong, TextMessage
from wsproto.utilities import LocalProtocolError, RemoteProtocolError

__all__ = ["RefusedError", "Transport", "connect"]

GUID: Final = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
MAX_MESSAGE: Final = 64 * 1024 * 1024
"""Bytes of a message that a server may send."""

MAX_BODY: Final = 4096


class RefusedError(Exception):
    """The server answered the handshake with something else than 101.

    Args:
        status: the HTTP status.
        body: the beginning of its words.
    """

    def __init__(self, status: int, body: str) -> None:
        super().__init__(f"the server answered {status}{': ' if body.strip() else ''}{body.strip()}")
        self.status = status
        self.body = body


class Transport:
    """An open WebSocket.

    Attributes:
        code, reason: of the Close frame that came, 1006 when the connection broke.
        alive: whether anything has come since it was last set to ``False``.
    """

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, trailing: bytes) -> None:
        self._reader = reader
        self._writer = writer
        self._connection = Connection(ConnectionType.CLIENT, trailing_data=trailing)
        self._parts: list[bytes] = []
        self._size = 0
        self.code = 1006
        self.reason = ""
        self.alive = True
        self.closing = False

    def send(self, message: bytes) -> None:
        """Send a binary message; ``drain`` waits until it is out."""
        if not self.closing:
            self._writer.write(self._connection.send(BytesMessage(data=message)))

    def ping(self) -> None:
        """Send a ping."""
        if not self.closing:
            self._writer.write(self._connection.send(Ping()))

    async def drain(self) -> None:
        """Wait until the server takes more."""
        await self._writer.drain()

    def close(self, code: int = 1000, reason: str = "") -> None:
        """Begin the closing handshake."""
        if not self.closing:
            self.closing = True
            self.code, self.reason = code, reason
            try:
                self._writer.write(self._connection.send(CloseConnection(code=code, reason=reason)))
            except LocalProtocolError:
                pass  # the server was faster

    def abort(self) -> None:
        """Hang up."""
        self.closing = True
        self._writer.transport.abort()

    async def receive(self) -> list[bytes]:
        """The next messages; none at the end.

        Raises:
            OSError: the connection broke.
        """
        messages: list[bytes] = []
        while not messages:
            for event in self._connection.events():
                if isinstance(event, CloseConnection):
                    self._closed(event)
                    return messages
                self._take(event, messages)
            if messages:
                break
            data = await self._reader.read(65536)
            if not data:
                self.closing = True
                return messages
            self.alive = True
            try:
                self._connection.receive_data(data)
            except RemoteProtocolError as error:
                raise OSError(f"the server sent what is no WebSocket frame: {error}") from error
        return messages

    def _take(self, event: Any, messages: list[bytes]) -> None:
        if isinstance(event, Ping):
            self._writer.write(self._connection.send(event.response()))
        elif isinstance(event, Message):
            data = event.data.encode() if isinstance(event, TextMessage) else bytes(event.data)
            self._parts.append(data)
            self._size += len(data)
            if self._size > MAX_MESSAGE:
                raise OSError("the server sent a message that is too large")
            if event.message_finished:
                messages.append(b"".join(self._parts))
                self._parts, self._size = [], 0
        else:
            assert isinstance(event, Pong), event

    def _closed(self, event: CloseConnection) -> None:
        if not self.closing:
            self.code, self.reason = int(event.code), event.reason or ""
            self._writer.write(self._connection.send(event.response()))
        self.closing = True

    async def wait_closed(self) -> None:
        """Give the socket back."""
        self._writer.close()
        try:
            await self._writer.wait_closed()
        except OSError:
            pass  # it is closed already


async def connect(
    url: str,
    subprotocols: Sequence[str],
    headers: Iterable[tuple[str, str]] = (),
    ssl: tls.SSLContext | None = None,
) -> tuple[Transport, list[tuple[str, str]]]:
    """Open a WebSocket.

    Args:
        url: ``ws://``, ``wss://`` or ``ws+unix:///path/of/socket:/path``.
        subprotocols: what to offer.
        headers: more headers of the handshake.
        ssl: for ``wss``; the default verifies the server's certificate.

    Returns:
        The WebSocket, and the headers of the answer.

    Raises:
        RefusedError: the answer was no 101.
        OSError: the server cannot be reached, or answers what is no HTTP.
        ValueError: ``url`` is none of these.
    """
    reader, writer, host, target = await _dial(url, ssl)
    try:
        key = base64.b64encode(os.urandom(16))
        http = h11.Connection(h11.CLIENT)
        fields = [
            ("Host", host),
            ("Upgrade", "websocket"),
            ("Connection", "Upgrade"),
            ("Sec-WebSocket-Key", key.decode()),
            ("Sec-WebSocket-Version", "13"),
            ("Sec-WebSocket-Protocol", ", ".join(subprotocols)),
            *headers,
        ]
        head = http.send(h11.Request(method="GET", target=target, headers=fields))
        assert head is not None
        writer.write(head)
        answer, body = await _read_answer(http, reader)
        names = [(name.decode("latin-1"), value.decode("latin-1")) for name, value in answer.headers]
        if answer.status_code != 101:
            raise RefusedError(answer.status_code, body)
        accept = base64.b64encode(hashlib.sha1(key + GUID, usedforsecurity=False).digest()).decode()
        answered = dict(names)
        if answered.get("sec-websocket-accept") != accept or answered.get("sec-websocket-protocol") not in subprotocols:
            raise OSError("the server answered the handshake with what is no WebSocket of this protocol")
        return Transport(reader, writer, http.trailing_data[0]), names
    except BaseException:
        writer.transport.abort()
        raise


async def _dial(url: str, ssl: tls.SSLContext | None) -> tuple[asyncio.StreamReader, asyncio.StreamWriter, str, str]:
    parts = urlsplit(url)
    target = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    if parts.scheme == "ws+unix":
        socket, _, target = target.partition(":")
        reader, writer = await asyncio.open_unix_connection(socket)
        return reader, writer, "localhost", target or "/"
    if parts.scheme not in ("ws", "wss") or not parts.hostname:
        raise ValueError(f"{url!r} is no ws://, wss:// or ws+unix:// URL")
    secure = parts.scheme == "wss"
    port = parts.port or (443 if secure else 80)
    context = (ssl or tls.create_default_context()) if secure else None
    reader, writer = await asyncio.open_connection(parts.hostname, port, ssl=context)
    return reader, writer, parts.netloc.rpartition("@")[2], target


async def _read_answer(
    http: h11.Connection, reader: asyncio.StreamReader
) -> tuple[h11.Response | h11.InformationalResponse, str]:
    answer: Any = None
    body = b""
    while True:
        try:
            event = http.next_event()
        except h11.RemoteProtocolError as error:
            raise OSError(f"the server answered what is no HTTP: {error}") from error
        if event is h11.NEED_DATA:
            data = await reader.read(65536)
            if not data and answer is None:
                raise OSError("the server hung up during the handshake")
            http.receive_data(data)
        elif isinstance(event, h11.InformationalResponse) and event.status_code == 101:
            return event, ""
        elif isinstance(event, h11.Response):
            answer = event
        elif isinstance(event, h11.Data):
            body += bytes(event.data)
        over = event is h11.PAUSED or isinstance(event, h11.EndOfMessage | h11.ConnectionClosed)
        if answer is not None and (over or len(body) > MAX_BODY):
            return answer, body[:MAX_BODY].decode("utf-8", "replace")
