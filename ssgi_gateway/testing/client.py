"""``TestClient``: an application's tests, without a server.

Two of them: ``AsyncTestClient`` for tests that are coroutines, ``TestClient`` for those that are not; it runs an event
loop of its own in a thread, in which the application lives.
"""

from __future__ import annotations

import asyncio
import threading
from contextlib import asynccontextmanager, contextmanager
from json import dumps, loads
from typing import TYPE_CHECKING, Any, ClassVar, Self
from urllib.parse import urlencode

from ssgi_gateway.client import Client
from ssgi_gateway.client.websocket import ClientWebSocket, open_websocket

from ..server.in_process import InProcessServer

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Coroutine, Iterator, Sequence

    from ssgi_gateway.client.response import Response
    from ssgi_gateway.settings import Settings

__all__ = ["AsyncTestClient", "TestClient", "TestResponse", "TestWebSocket"]


class TestResponse:
    """An answer, whole.

    Attributes:
        status: the status code.
        content: the body.
        raw_headers: names in lower case, every line, in order.
        trailers: what came behind the body.
    """

    __test__: ClassVar = False  # pytest: no tests in here

    def __init__(self, response: Response, content: bytes) -> None:
        self.status = response.status
        self.content = content
        self.raw_headers = response.headers
        self.trailers = response.trailers

    def __repr__(self) -> str:
        return f"<TestResponse {self.status}, {len(self.content)} bytes>"

    @property
    def headers(self) -> dict[str, str]:
        """By name in lower case; lines of one name are joined by ``", "``, see ``raw_headers`` for Set-Cookie."""
        found: dict[str, str] = {}
        for raw, line in self.raw_headers:
            name, value = raw.decode("latin-1"), line.decode("latin-1")
            found[name] = f"{found[name]}, {value}" if name in found else value
        return found

    @property
    def text(self) -> str:
        """The body as UTF-8."""
        return self.content.decode()

    def json(self) -> Any:
        """The body as JSON."""
        return loads(self.content)


class AsyncTestClient:
    """Calls an application in this event loop.

    Args:
        app: an SSGI, ASGI, RSGI or WSGI application, or a framework with ``get_supported``.
        interface: which, where its shape does not show it.
        settings: of the gateway that stands between.
        base_url: scheme and host that the application sees.
    """

    __test__: ClassVar = False

    def __init__(
        self,
        app: Any,
        *,
        interface: str = "auto",
        settings: Settings | None = None,
        base_url: str = "http://testserver",
    ) -> None:
        self._local = InProcessServer(app, interface, settings)
        self._base = base_url.rstrip("/")
        self.client = Client(app=self._local)

    async def __aenter__(self) -> Self:
        await self.client.__aenter__()
        return self

    async def __aexit__(self, *error: object) -> None:
        await self.client.aclose()

    def _url(self, path: str, params: Any = None) -> str:
        url = path if "://" in path else f"{self._base}/{path.removeprefix('/')}"
        return f"{url}{'&' if '?' in url else '?'}{urlencode(params, doseq=True)}" if params else url

    async def request(
        self,
        method: str,
        path: str,
        *,
        params: Any = None,
        headers: Any = None,
        content: Any = b"",
        data: Any = None,
        json: Any = None,
        extensions: dict[str, Any] | None = None,
    ) -> TestResponse:
        """Send a request, and read the whole answer.

        Args:
            method: GET, POST ...
            path: what follows ``base_url``.
            params: for the query.
            headers: pairs, or a dict.
            content: the body: bytes or text, or an iterable, or an asynchronous one.
            data: a form in its place.
            json: an object in its place.
            extensions: ``{"cgi": {...}}`` for what a web server would send.
        """
        sent = {"headers": headers, "content": content, "data": data, "json": json}
        response = await self._ask(method, path, params, extensions, **sent)
        return TestResponse(response, await response.read())

    async def _ask(
        self, method: str, path: str, params: Any = None, extensions: dict[str, Any] | None = None, **sent: Any
    ) -> Response:
        headers, body = _headers_and_body(**sent)
        return await self.client.request(
            method, self._url(path, params), headers=headers, body=body, extensions=extensions
        )

    async def get(self, path: str, **arguments: Any) -> TestResponse:
        """``request("GET", ...)``."""
        return await self.request("GET", path, **arguments)

    async def head(self, path: str, **arguments: Any) -> TestResponse:
        """``request("HEAD", ...)``."""
        return await self.request("HEAD", path, **arguments)

    async def post(self, path: str, **arguments: Any) -> TestResponse:
        """``request("POST", ...)``."""
        return await self.request("POST", path, **arguments)

    async def put(self, path: str, **arguments: Any) -> TestResponse:
        """``request("PUT", ...)``."""
        return await self.request("PUT", path, **arguments)

    async def patch(self, path: str, **arguments: Any) -> TestResponse:
        """``request("PATCH", ...)``."""
        return await self.request("PATCH", path, **arguments)

    async def delete(self, path: str, **arguments: Any) -> TestResponse:
        """``request("DELETE", ...)``."""
        return await self.request("DELETE", path, **arguments)

    @asynccontextmanager
    async def stream(self, method: str, path: str, **arguments: Any) -> AsyncIterator[Response]:
        """The answer as it comes; what is not read by the end of the block is given up: the client disconnects.

        The arguments are those of ``request``.
        """
        response = await self._ask(method, path, **arguments)
        try:
            yield response
        finally:
            await response.aclose()

    @asynccontextmanager
    async def websocket(
        self, path: str, *, headers: Any = (), subprotocols: Sequence[str] = (), params: Any = None
    ) -> AsyncIterator[ClientWebSocket]:
        """An open WebSocket; it is closed at the end of the block.

        Raises:
            HandshakeRefused: the application answered with something else.
        """
        url = self._url(path, params)
        pairs = list(headers.items()) if isinstance(headers, dict) else list(headers)
        async with open_websocket(self.client, url, headers=pairs, subprotocols=subprotocols) as socket:
            yield socket


def _headers_and_body(headers: Any = None, content: Any = b"", data: Any = None, json: Any = None) -> tuple[Any, Any]:
    pairs = list(headers.items()) if isinstance(headers, dict) else list(headers or ())
    kind = None
    if json is not None:
        kind, content = "application/json", dumps(json).encode()
    elif data is not None:
        kind, content = "application/x-www-form-urlencoded", urlencode(data, doseq=True).encode()
    elif isinstance(content, str):
        content = content.encode()
    if kind is not None and not any(_lower(name) == "content-type" for name, _ in pairs):
        pairs.append(("content-type", kind))
    return pairs, content


def _lower(name: Any) -> str:
    return (name.decode("latin-1") if isinstance(name, bytes) else str(name)).lower()


class TestWebSocket:
    """A WebSocket in a test that is no coroutine; see ``ClientWebSocket``."""

    __test__: ClassVar = False

    def __init__(self, owner: TestClient, socket: ClientWebSocket) -> None:
        self._owner = owner
        self._socket = socket

    @property
    def subprotocol(self) -> str | None:
        """The chosen one."""
        return self._socket.subprotocol

    @property
    def close_code(self) -> int | None:
        """What the application closed with; ``None`` while it is open."""
        return self._socket.close_code

    @property
    def close_reason(self) -> str:
        """Likewise."""
        return self._socket.close_reason

    @property
    def headers(self) -> list[tuple[bytes, bytes]]:
        """Those of the 101."""
        return self._socket.response.headers

    def send(self, message: str | bytes) -> None:
        """Send a message."""
        self._owner.call(self._socket.send(message))

    def receive(self, timeout: float | None = 10.0) -> str | bytes | None:
        """The next message, ``None`` when the application has closed.

        Raises:
            TimeoutError: nothing came for so many seconds.
        """
        message: str | bytes | None = self._owner.call(asyncio.wait_for(self._socket.receive(), timeout))
        return message

    def send_json(self, document: Any) -> None:
        """Send JSON as text."""
        self.send(dumps(document))

    def receive_json(self) -> Any:
        """The next message, which is JSON."""
        message = self.receive()
        if message is None:
            raise EOFError(f"the WebSocket was closed with {self.close_code} {self.close_reason}")
        return loads(message)

    def close(self, code: int = 1000, reason: str = "") -> None:
        """Close it."""
        self._owner.call(self._socket.close(code, reason))


class TestClient:
    """``AsyncTestClient`` for tests that are no coroutines.

    ::

        with TestClient(app) as client:
            assert client.get("/").status == 200
            with client.websocket("/chat") as socket:
                socket.send("hello")
                assert socket.receive() == "hello"

    The arguments are those of ``AsyncTestClient``, and the methods have the same names and give the same.
    """

    __test__: ClassVar = False

    def __init__(self, app: Any, **options: Any) -> None:
        self._async = AsyncTestClient(app, **options)
        self._loop: asyncio.AbstractEventLoop | None = None
        self._thread: threading.Thread | None = None

    def __enter__(self) -> Self:
        self._loop = loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=loop.run_forever, name="TestClient", daemon=True)
        self._thread.start()
        try:
            self.call(self._async.__aenter__())
        except BaseException:
            self._stop()
            raise
        return self

    def __exit__(self, *error: object) -> None:
        try:
            self.call(self._async.__aexit__(*error))
        finally:
            self._stop()

    def _stop(self) -> None:
        loop, thread = self._loop, self._thread
        assert loop is not None
        assert thread is not None
        asyncio.run_coroutine_threadsafe(loop.shutdown_default_executor(), loop).result()
        loop.call_soon_threadsafe(loop.stop)
        thread.join()
        loop.close()
        self._loop = None

    def call(self, coroutine: Coroutine[Any, Any, Any]) -> Any:
        """Run a coroutine where the application lives, and wait for it."""
        if self._loop is None:
            coroutine.close()
            raise RuntimeError("use it as `with TestClient(app) as client:`, for an application has to be started")
        return asyncio.run_coroutine_threadsafe(coroutine, self._loop).result()

    def request(self, method: str, path: str, **arguments: Any) -> TestResponse:
        """See ``AsyncTestClient.request``."""
        response: TestResponse = self.call(self._async.request(method, path, **arguments))
        return response

    def get(self, path: str, **arguments: Any) -> TestResponse:
        """``request("GET", ...)``."""
        return self.request("GET", path, **arguments)

    def head(self, path: str, **arguments: Any) -> TestResponse:
        """``request("HEAD", ...)``."""
        return self.request("HEAD", path, **arguments)

    def post(self, path: str, **arguments: Any) -> TestResponse:
        """``request("POST", ...)``."""
        return self.request("POST", path, **arguments)

    def put(self, path: str, **arguments: Any) -> TestResponse:
        """``request("PUT", ...)``."""
        return self.request("PUT", path, **arguments)

    def patch(self, path: str, **arguments: Any) -> TestResponse:
        """``request("PATCH", ...)``."""
        return self.request("PATCH", path, **arguments)

    def delete(self, path: str, **arguments: Any) -> TestResponse:
        """``request("DELETE", ...)``."""
        return self.request("DELETE", path, **arguments)

    @contextmanager
    def websocket(self, path: str, **arguments: Any) -> Iterator[TestWebSocket]:
        """See ``AsyncTestClient.websocket``."""
        opened = self._async.websocket(path, **arguments)
        socket = self.call(opened.__aenter__())
        try:
            yield TestWebSocket(self, socket)
        except BaseException as error:
            if not self.call(opened.__aexit__(type(error), error, error.__traceback__)):
                raise
        else:
            self.call(opened.__aexit__(None, None, None))
