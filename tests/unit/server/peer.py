"""The web server's end of real sockets, and a gateway at the other end, in one event loop.

A ``Bench`` is a gateway without listeners: its connections are socket pairs. Nothing in between is replaced; only the
clock can be put forward (``bench.wait``), because deadlines are minutes.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
import struct
from collections.abc import Iterator
from typing import Any

from ssgi_gateway.server.acceptor import admit
from ssgi_gateway.server.connection import Connection
from ssgi_gateway.server.gateway import Gateway
from ssgi_gateway.server.reactor import SWEEP
from ssgi_gateway.settings import Deadlines, FlowControl, Settings, WebSocketSettings, WireLimits
from ssgi_gateway.wire.fastcgi.codec import FastcgiCodec
from ssgi_gateway.wire.http.codec import HttpCodec
from ssgi_gateway.wire.http1 import UpgradeCodec
from ssgi_gateway.wire.scgi.codec import ScgiCodec
from tests.loops import advance, settle

__all__ = ["BIG", "ROOM", "UPGRADE", "Bench", "Peer", "bench", "pair", "request", "split_answer"]

CHUNK = 262144

ROOM = 16384
"""Bytes that the kernel may keep between two ends, where little is to fit."""

BIG = bytes(range(256)) * 16384
"""More than fits anywhere on the way: 4 MiB."""

UPGRADE = (
    b"GET /ws HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n"
)


def pair(kind: str = "unix") -> tuple[socket.socket, socket.socket]:
    """Two connected sockets, non-blocking."""
    if kind == "unix":
        ours, theirs = socket.socketpair()
    else:
        with socket.create_server(("127.0.0.1", 0)) as listener:
            theirs = socket.create_connection(listener.getsockname())
            ours, _ = listener.accept()
        for end in (ours, theirs):
            end.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    ours.setblocking(False)
    theirs.setblocking(False)
    return ours, theirs


class Peer:
    """The other end of one connection."""

    def __init__(self, end: socket.socket) -> None:
        self.socket = end
        self.received = b""
        self.ended = False

    def send(self, data: bytes) -> None:
        """Put bytes on the wire; they must fit into the kernel's buffer."""
        assert self.socket.send(data) == len(data)

    def send_some(self, data: bytes) -> int:
        """As many as the kernel takes; 0 when it takes none."""
        try:
            return self.socket.send(data)
        except BlockingIOError:
            return 0

    async def send_all(self, data: bytes) -> None:
        """All of it, however long the other side lets us wait."""
        await asyncio.get_running_loop().sock_sendall(self.socket, data)

    def is_closed(self) -> bool:
        """Whether the gateway has closed the connection, on which nothing was to be read."""
        try:
            return not self.socket.recv(1, socket.MSG_PEEK)
        except BlockingIOError:
            return False

    def take(self) -> bytes:
        """All that has arrived and was not looked at, without waiting."""
        with contextlib.suppress(BlockingIOError, ConnectionResetError):
            while data := self.socket.recv(CHUNK):
                self.received += data
            self.ended = True
        received, self.received = self.received, b""
        return received

    async def read(self, size: int = 1) -> bytes:
        """Wait for so many bytes, or the end; gives all there is."""
        while len(self.received) < size and not self.ended:
            data = await asyncio.get_running_loop().sock_recv(self.socket, CHUNK)
            self.received += data
            self.ended = not data
        received, self.received = self.received, b""
        return received

    async def read_until(self, mark: bytes) -> bytes:
        """Wait for ``mark``; gives what comes before it and itself, what is behind stays."""
        while mark not in self.received:
            data = await asyncio.get_running_loop().sock_recv(self.socket, CHUNK)
            assert data, f"the connection ended after {self.received!r}"
            self.received += data
        before, _, self.received = self.received.partition(mark)
        return before + mark

    async def read_all(self) -> bytes:
        """Wait for the end."""
        pieces = [self.received]
        self.received = b""
        while not self.ended:
            data = await asyncio.get_running_loop().sock_recv(self.socket, CHUNK)
            pieces.append(data)
            self.ended = not data
        return b"".join(pieces)

    def shutdown(self) -> None:
        """Half-close: nothing more is sent."""
        self.socket.shutdown(socket.SHUT_WR)

    def close(self) -> None:
        """Leave."""
        self.socket.close()

    def reset(self) -> None:
        """Leave with a reset (TCP)."""
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.socket.close()


class Bench:
    """A gateway and its connections."""

    def __init__(self, app: Any = None, websocket: Any = None, observer: Any = None, **settings: Any) -> None:
        self.settings = Settings(**settings)
        self.gateway = Gateway(asyncio.get_running_loop(), app, websocket, self.settings, observer)
        self._sockets: list[socket.socket] = []

    def pair(self, kind: str = "unix", room: int = 0) -> tuple[int, Peer]:
        """A descriptor as ``accept`` gives it, and its peer; ``room`` bounds what the kernel keeps between them."""
        ours, theirs = pair(kind)
        if room:
            ours.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, room)
            theirs.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, room)
        self._sockets.append(theirs)
        return ours.detach(), Peer(theirs)

    def connect(
        self, protocol: str = "scgi", data: bytes = b"", *, kind: str = "unix", room: int = 0
    ) -> tuple[Connection, Peer]:
        """A connection that has just been accepted; ``data`` came with it."""
        fd, peer = self.pair(kind, room)
        self.gateway.wake()
        if data:
            peer.send(data)
        limits = self.settings.limits
        codec: Any = {
            "scgi": lambda: ScgiCodec(limits),
            "fastcgi": lambda: FastcgiCodec(limits),
            "http": lambda: HttpCodec(limits, ("127.0.0.1", 8080), ("127.0.0.1", 50007)),
            "websocket": lambda: UpgradeCodec(limits, ("127.0.0.1", 8080), ("127.0.0.1", 50007), ()),
        }[protocol]()
        admit(self.gateway, fd, codec)
        assert self.gateway.latest is not None
        return self.gateway.latest, peer

    async def wait(self, seconds: float) -> None:
        """Let time pass, with its sweeps: one that comes late would put every deadline off."""
        while seconds > 0:
            advance(min(seconds, SWEEP))
            seconds -= SWEEP
            self.gateway.sweep()
        await settle()

    @property
    def idle(self) -> bool:
        """Whether nothing is left: no connection, no task."""
        return not self.gateway.connections and not self.gateway.scope.tasks

    def close(self) -> None:
        """End everything."""
        self.gateway.stop()
        for connection in tuple(self.gateway.connections):
            connection.lost()
        for task in tuple(self.gateway.scope.tasks):
            task.cancel()
        for end in self._sockets:
            end.close()


@contextlib.contextmanager
def bench(
    app: Any = None,
    websocket: Any = None,
    *,
    deadlines: dict[str, float] | None = None,
    flow: tuple[int, int] | None = None,
    limits: dict[str, int] | None = None,
    websockets: dict[str, Any] | None = None,
    **settings: Any,
) -> Iterator[Bench]:
    """A ``Bench`` with these settings: ``flow`` is the high and the low water mark."""
    if deadlines:
        settings["deadlines"] = Deadlines(**deadlines)
    if flow:
        settings["flow"] = FlowControl(high_water=flow[0], low_water=flow[1])
    if limits:
        settings["limits"] = WireLimits(**limits)
    if websockets:
        settings["websockets"] = WebSocketSettings(**websockets)
    made = Bench(app, websocket, **settings)
    try:
        yield made
    finally:
        made.close()


def request(method: str = "GET", target: str = "/", body: bytes = b"", length: int | None = None, **more: str) -> bytes:
    """An SCGI request; ``length`` is the body's where more of it follows."""
    variables = {
        "CONTENT_LENGTH": str(len(body) if length is None else length),
        "SCGI": "1",
        "REQUEST_METHOD": method,
        "REQUEST_URI": target,
        "SERVER_PROTOCOL": "HTTP/1.1",
        "SERVER_PORT": "80",  # without these two a line in the log says that the web server forgot them
        "REMOTE_ADDR": "192.0.2.1",
    } | more
    block = "".join(f"{name}\0{value}\0" for name, value in variables.items()).encode("latin-1")
    return b"%d:%b,%b" % (len(block), block, body)


def split_answer(answer: bytes) -> tuple[str, dict[str, str], bytes]:
    """The line of the status, which is the last, the headers with lower-case names, the body."""
    head, mark, body = answer.partition(b"\r\n\r\n")
    assert mark, f"no whole head in {answer!r}"
    lines = head.decode("latin-1").split("\r\n")
    status = lines.pop(0 if lines[0].startswith("HTTP/") else -1)
    return status, {name.lower(): value for name, _, value in (line.partition(": ") for line in lines)}, body
