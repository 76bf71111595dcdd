"""An application in the gateway's real server, in this process: real sockets, real SCGI, no web server in front.

Behind the adapter everything is what users run; only nginx is missing, whose bytes are written here. So a test sees
the response as the web server would, the connection's end included, and the log as ``caplog`` has it.
"""

from __future__ import annotations

import asyncio
import contextlib
import functools
import socket
from collections.abc import AsyncIterator, Callable, Coroutine, Iterable
from typing import Any

from wsproto.connection import Connection, ConnectionType
from wsproto.events import BytesMessage, CloseConnection, Message, TextMessage

from ssgi_gateway.adapters.application import Application
from ssgi_gateway.server.address import Address
from ssgi_gateway.server.control import Control
from ssgi_gateway.server.listeners import Listener
from ssgi_gateway.server.serve import serve
from ssgi_gateway.settings import Settings

__all__ = ["Answer", "Client", "Served", "WebSocketClient", "in_loop", "serving", "wait_for"]

DEADLINE = 90.0
"""Seconds a test may take in all; it only bounds how long a failure takes."""


def in_loop(test: Callable[..., Coroutine[Any, Any, None]]) -> Callable[..., None]:
    """Make a coroutine function a test: it runs in an event loop of its own."""

    async def bounded(*args: Any, **kwargs: Any) -> None:
        async with asyncio.timeout(DEADLINE):
            await test(*args, **kwargs)

    @functools.wraps(test)
    def wrapper(*args: Any, **kwargs: Any) -> None:
        asyncio.run(bounded(*args, **kwargs))

    return wrapper


async def wait_for(condition: Any, what: str) -> None:
    """Let the loop go on until ``condition()`` holds."""
    try:
        async with asyncio.timeout(DEADLINE / 2):
            while not condition():  # noqa: ASYNC110 - what is waited for happens in an application
                await asyncio.sleep(0.005)
    except TimeoutError:
        raise AssertionError(f"waited for {what}") from None


class Answer:
    """What came back on one connection, to its end."""

    def __init__(self, raw: bytes) -> None:
        self.raw = raw
        head, self.separator, self.body = raw.partition(b"\r\n\r\n")
        lines = [line.partition(": ") for line in head.decode("latin-1").split("\r\n")]
        self.headers = [(name.lower(), value) for name, _, value in lines[:-1]]
        self.status = int(lines[-1][2].split()[0]) if raw else 0

    def header(self, name: str) -> str | None:
        """One header, ``None`` without it."""
        values = [value for key, value in self.headers if key == name]
        assert len(values) <= 1, self.headers
        return values[0] if values else None

    @property
    def complete(self) -> bool:
        """Whether the body has the length that was declared; SCGI knows no other end."""
        return self.header("content-length") == str(len(self.body))

    def __repr__(self) -> str:
        return f"<Answer {self.raw!r}>"


class Client:
    """One SCGI connection, as a web server has it."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader = reader
        self.writer = writer

    def write(self, data: bytes) -> None:
        """Put bytes on the wire."""
        self.writer.write(data)

    async def read_some(self) -> bytes:
        """Whatever comes next."""
        return await self.reader.read(262144)

    async def read_head(self) -> bytes:
        """Up to the blank line."""
        return await self.reader.readuntil(b"\r\n\r\n")

    async def answer(self) -> Answer:
        """Everything up to the end of the connection."""
        pieces = []
        with contextlib.suppress(ConnectionResetError):
            while data := await self.reader.read(262144):
                pieces.append(data)
        return Answer(b"".join(pieces))

    async def leave(self) -> None:
        """Close, as a web server does whose client has gone."""
        self.writer.transport.abort()
        with contextlib.suppress(ConnectionError):
            await self.writer.wait_closed()


class WebSocketClient:
    """An open WebSocket over an SCGI connection (in-band)."""

    def __init__(self, client: Client, head: str) -> None:
        self.client = client
        self.head = head
        self._connection = Connection(ConnectionType.CLIENT)
        self._events: list[Any] = []

    def send(self, message: str | bytes) -> None:
        """A whole message."""
        kind = TextMessage if isinstance(message, str) else BytesMessage
        self.client.write(self._connection.send(kind(data=message)))

    def close(self, code: int = 1000, reason: str | None = None) -> None:
        """A Close frame."""
        self.client.write(self._connection.send(CloseConnection(code=code, reason=reason)))

    async def receive(self) -> str | bytes | tuple[int, str | None]:
        """The next message, or code and reason of the Close frame; code 1006 if the connection ends without."""
        parts: list[Any] = []
        while True:
            while not self._events:
                data = await self.client.read_some()
                if not data:
                    return (1006, None)
                self._connection.receive_data(data)
                self._events.extend(self._connection.events())
            event = self._events.pop(0)
            if isinstance(event, CloseConnection):
                if self._connection.state.name == "REMOTE_CLOSING":
                    self.client.write(self._connection.send(event.response()))
                return (int(event.code), event.reason)
            assert isinstance(event, Message)
            parts.append(event.data)
            if event.message_finished:
                return parts[0] if len(parts) == 1 else type(event.data)().join(parts)


class Served:
    """A running server, and requests to it."""

    def __init__(self, address: tuple[str, int]) -> None:
        self.address = address

    async def open(
        self,
        method: str = "GET",
        target: str = "/",
        headers: Iterable[tuple[str, str]] = (),
        body: bytes = b"",
        *,
        length: int | None = None,
        variables: Iterable[tuple[str, str]] = (),
    ) -> Client:
        """Send a request; what nginx's stock ``scgi_params`` would say of it.

        Args:
            method: the method.
            target: path and query, raw.
            headers: the client's.
            body: what is sent of the body now.
            length: its whole length, if it is more.
            variables: these override what is said otherwise.
        """
        reader, writer = await asyncio.open_connection(*self.address)
        size = len(body) if length is None else length
        said = {
            "CONTENT_LENGTH": str(size),
            "SCGI": "1",
            "REQUEST_METHOD": method,
            "REQUEST_URI": target,
            "QUERY_STRING": target.partition("?")[2],
            "CONTENT_TYPE": "",
            "DOCUMENT_URI": target.partition("?")[0],
            "SERVER_PROTOCOL": "HTTP/1.1",
            "REQUEST_SCHEME": "http",
            "REMOTE_ADDR": "192.0.2.7",
            "REMOTE_PORT": "50007",
            "SERVER_PORT": "8080",
            "SERVER_NAME": "example.org",
            **{"HTTP_" + name.upper().replace("-", "_"): value for name, value in headers},
            **dict(variables),
        }
        block = "".join(f"{name}\0{value}\0" for name, value in said.items()).encode("latin-1")
        client = Client(reader, writer)
        client.write(b"%d:%s,%s" % (len(block), block, body))
        return client

    async def request(self, *args: Any, **kwargs: Any) -> Answer:
        """One request and its whole answer; see ``open``."""
        client = await self.open(*args, **kwargs)
        answer = await client.answer()
        await client.leave()
        return answer

    async def websocket(
        self, target: str = "/", subprotocols: str = "", variables: Iterable[tuple[str, str]] = ()
    ) -> WebSocketClient:
        """An accepted WebSocket."""
        client = await self.upgrade(target, subprotocols, variables)
        head = (await client.read_head()).decode("latin-1")
        assert "Status: 101 " in head, head
        return WebSocketClient(client, head)

    async def upgrade(
        self, target: str = "/", subprotocols: str = "", variables: Iterable[tuple[str, str]] = ()
    ) -> Client:
        """Ask for a WebSocket."""
        headers = [
            ("upgrade", "websocket"),
            ("connection", "Upgrade"),
            ("sec-websocket-key", "dGhlIHNhbXBsZSBub25jZQ=="),
            ("sec-websocket-version", "13"),
        ]
        if subprotocols:
            headers.append(("sec-websocket-protocol", subprotocols))
        return await self.open("GET", target, headers, variables=variables)


class Hooked(Application):
    """An application whose hooks run with a state of the test's, or not at all."""

    __slots__ = ("_given",)

    def __init__(self, app: Any, state: dict[str, Any] | None) -> None:
        super().__init__(app, app)
        self._given = state

    async def startup(self, state: dict[str, Any]) -> None:
        """As the server calls it."""
        if self._given is not None:
            await super().startup(self._given)

    async def shutdown(self) -> None:
        """As the server calls it."""
        if self._given is not None:
            await super().shutdown()


class Told(Control):
    """A control that tells when the server serves."""

    def __init__(self) -> None:
        super().__init__()
        self.started = asyncio.Event()

    def ready(self) -> None:
        """As the server calls it."""
        self.started.set()


@contextlib.asynccontextmanager
async def serving(
    app: Any, settings: Settings | None = None, state: dict[str, Any] | None = None
) -> AsyncIterator[Served]:
    """Serve an SSGI callable for HTTP and WebSockets on a port of the kernel's choice.

    Args:
        app: the callable.
        settings: the server's.
        state: given to the callable's ``startup``; without it no hooks are run.
    """
    application = Hooked(app, state)
    sock = socket.create_server(("127.0.0.1", 0), backlog=2048)
    sock.setblocking(False)
    host, port = sock.getsockname()
    listener = Listener(sock, Address("tcp", host=host, port=port), "scgi")
    end = Told()
    server = asyncio.ensure_future(serve([listener], application, settings or Settings(), end))
    # What the server opens for itself is there before a test counts descriptors and tasks.
    started = asyncio.ensure_future(end.started.wait())
    await asyncio.wait([started, server], return_when=asyncio.FIRST_COMPLETED)
    started.cancel()
    try:
        yield Served((host, port))
    finally:
        end.stop()
        await server
