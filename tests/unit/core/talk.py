"""An exchange without a server: the test is the application and the peer, a recording channel stands between them.

A channel is the core's only way out, so what it was told is all that an application can make happen. ``said`` is
that in order: heads as CGI blocks and body pieces as bytes, everything else as one of the words below or a tuple.
"""

from __future__ import annotations

import asyncio
import io
from typing import Any

from ssgi_gateway.core.body import RequestBody
from ssgi_gateway.core.channel import HttpChannel, WebSocketChannel
from ssgi_gateway.core.response import HttpResponse
from ssgi_gateway.core.tasks import TaskScope
from ssgi_gateway.core.waiters import Waiters, settled
from ssgi_gateway.core.websocket import WebSocket
from ssgi_gateway.wire.cgi import RequestHead, parse_head
from ssgi_gateway.wire.response_head import ResponseHead
from ssgi_gateway.wire.variables import Variables
from ssgi_gateway.wire.websocket.close_codes import encode_close_payload

__all__ = [
    "BROKEN",
    "END",
    "MORE",
    "Recorder",
    "body_of",
    "data_of",
    "head",
    "http",
    "request",
    "websocket",
]

END = "end"
BROKEN = "broken off"
MORE = "receive more"
LIMIT = 4
"""Messages that wait for a handler."""


def head(status: str, *lines: str) -> bytes:
    """A head as it goes to the web server."""
    return "".join(f"{line}\r\n" for line in (*lines, f"Status: {status}", "")).encode("latin-1")


class Recorder(HttpChannel):
    """The server's side. ``room`` says whether the peer can take more; ``empty`` that all that was written has left."""

    def __init__(self) -> None:
        self.scope = TaskScope(asyncio.get_running_loop())
        self.front_files = True
        self.exchange: Any = None
        self.said: list[Any] = []
        self.room = True
        self.empty = True
        self.gone = False
        self.breaks = False
        self.page = "Internal Server Error\n"
        self.causes: list[BaseException | None] = []
        self.taken = 0
        self.described = 0
        self.description: dict[str, Any] = {"protocol": "scgi", "state": {}}
        self._writable = Waiters()
        self._flushed = Waiters()

    # what the test does as the peer

    def leave(self) -> None:
        """The connection is lost."""
        self.gone = True
        self.exchange.abort()
        self._resolve(False)

    def abort(self) -> None:
        """The web server says that its client disconnected; the connection lives on (FastCGI)."""
        self.exchange.abort()

    def take(self) -> None:
        """The peer takes all that waits for it."""
        self.room = self.empty = True
        self._resolve(True)

    def _resolve(self, value: bool) -> None:
        self._writable.wake(value)
        self._flushed.wake(value)

    # what the exchange does

    def write(self, head: ResponseHead | None, data: Any, end: bool) -> bool:
        if self.breaks:
            self.leave()
            return True
        if head is not None:
            self.said.append(head.encode_cgi())
        if data is not None and len(data):
            assert isinstance(data, bytes) or (memoryview(data).format, memoryview(data).ndim) == ("B", 1)
            self.said.append(bytes(data))
        if end:
            self.said.append(END)
        return self.room

    def when_writable(self) -> asyncio.Future[bool]:
        return self._future(self.room, self._writable)

    def when_flushed(self) -> asyncio.Future[bool]:
        return self._future(self.empty, self._flushed)

    def _future(self, done: bool, waiters: Waiters) -> asyncio.Future[bool]:
        loop = self.scope.loop
        return settled(loop, not self.gone) if done or self.gone else waiters.wait(loop)

    def body_consumed(self, body: Any) -> None:
        self.taken += 1

    def abort_response(self) -> None:
        self.said.append(BROKEN)
        self.leave()

    def failure_page(self, exc: BaseException | None, accept: str | None) -> tuple[str, str]:
        self.causes.append(exc)
        return "text/plain; charset=utf-8", self.page

    def describe(self) -> dict[str, Any]:
        self.described += 1
        return self.description

    def switch(self, socket: Any, subprotocol: str, headers: Any) -> WebSocketChannel:
        self.said.append(("101", subprotocol, dict(headers or ())))
        if self.breaks:
            socket.ended(1006, "")
        return WebSocketRecorder(self)


class WebSocketRecorder(WebSocketChannel):
    """What follows an upgrade; the test still talks to ``upgraded``."""

    def __init__(self, upgraded: Recorder) -> None:
        self.scope = upgraded.scope
        self.upgraded = upgraded

    def when_writable(self) -> asyncio.Future[bool]:
        return self.upgraded.when_writable()

    def describe(self) -> dict[str, Any]:
        return self.upgraded.describe()

    def send_message(self, message: Any) -> bool:
        if self.upgraded.breaks:
            self.upgraded.exchange.ended(1006, "")
            return True
        self.upgraded.said.append(message if isinstance(message, str) else bytes(message))
        return self.upgraded.room

    def send_close(self, code: Any, reason: str) -> None:
        encode_close_payload(code, reason)  # raises as the codec does
        self.upgraded.said.append(("close", code, reason))

    def receive_more(self) -> None:
        self.upgraded.said.append(MORE)


def request(method: str = "GET", target: str = "/", /, **variables: str) -> RequestHead:
    """A request as the wire layer reads it; ``variables`` are further CGI variables."""
    pairs = {"REQUEST_METHOD": method, "REQUEST_URI": target, "SERVER_PROTOCOL": "HTTP/1.1"} | variables
    return parse_head(Variables([(name.encode(), value.encode("latin-1")) for name, value in pairs.items()]))


def http(
    method: str = "GET", target: str = "/", /, body: Any = None, **variables: str
) -> tuple[HttpResponse, Recorder]:
    """A response that is not answered yet."""
    channel = Recorder()
    channel.exchange = response = HttpResponse(channel, request(method, target, **variables), body)
    return response, channel


def websocket(offered: tuple[str, ...] = (), limit: int = LIMIT) -> tuple[WebSocket, Recorder]:
    """A pending WebSocket."""
    channel = Recorder()
    channel.description["subprotocols"] = list(offered)
    channel.exchange = socket = WebSocket(channel, request(), list(offered), limit)
    return socket, channel


def body_of(*pieces: bytes, ended: bool = True) -> RequestBody:
    """A request's body of which ``pieces`` have arrived."""
    body = RequestBody()
    for piece in pieces:
        body.feed(piece)
    if ended:
        body.feed_end()
    return body


def data_of(result: io.BytesIO | None) -> bytes | None:
    """What ``get_data`` and ``get_chunk`` gave, from where it stands."""
    return None if result is None else result.read()
