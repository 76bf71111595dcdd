"""A plugin for pytest: Starlette's ``TestClient`` (and FastAPI's, which is the same) asks a real server.

The application still runs in the client's own event loop, and so does the server in front of it: what a test shares
with its application, and the lifespan, are as they were. A request travels over a socket and through the server, and on
the routes ``scgi`` and ``fastcgi`` through nginx.

What a test asks of the client and no server can know is done here, for each server alike: the client's name, the scheme
of the URL, the state of the lifespan, exceptions of the application (raised in the test), the end of its background
tasks (waited for), and the close code of a WebSocket that was not accepted.

Clients of other event loops than asyncio's are left alone.
"""

from __future__ import annotations

import contextlib
import itertools
import threading
from collections.abc import Iterator
from typing import Any, Final
from urllib.parse import quote

from starlette import testclient
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.sync.client import unix_connect

from suites import outcomes, servers

httpx = testclient.httpx

MARK: Final = "x-suite-call"
"""The header by which the application finds its ``Call``."""

PATIENCE: Final = 10.0
"""Seconds for an application to end."""

ADDED: Final = ("date", "server", "connection", "transfer-encoding")
"""Headers of servers, which the test client's own way of calling has not."""

pytest_runtest_logreport = outcomes.pytest_runtest_logreport
pytest_sessionfinish = outcomes.pytest_sessionfinish

_numbers = itertools.count(1)
_calls: dict[str, Call] = {}


class Call:
    """One request or WebSocket, as the test sees it."""

    def __init__(self, transport: Any, scheme: str) -> None:
        self.number = str(next(_numbers))
        self.transport = transport
        self.scheme = scheme
        self.failure: BaseException | None = None
        self.debug: dict[str, Any] | None = None
        self.headers: set[str] = set()
        self.closed_early: dict[str, Any] | None = None
        self.accepted: dict[str, Any] = {}
        self.begun = False
        self.done = threading.Event()
        _calls[self.number] = self

    def wait(self) -> None:
        """Wait for the application, where it was called at all."""
        if self.begun:
            self.done.wait(PATIENCE)
        _calls.pop(self.number, None)

    def note(self, message: dict[str, Any]) -> None:
        kind = message["type"]
        if kind == "http.response.start":
            self.headers = {bytes(name).decode("latin-1").lower() for name, _ in message.get("headers", [])}
        elif kind == "websocket.accept":
            self.accepted = message
        elif kind == "websocket.close" and not self.accepted:
            self.closed_early = message


class Recorder:
    """The application as the server sees it."""

    def __init__(self, app: Any) -> None:
        self.app = app

    async def __call__(self, scope: dict[str, Any], receive: Any, send: Any) -> None:
        if scope["type"] == "lifespan":  # the client does that
            return await servers.lifespan(receive, send)
        number = dict(scope["headers"]).get(MARK.encode(), b"").decode()
        scope["headers"] = [(name, value) for name, value in scope["headers"] if name != MARK.encode()]
        call = _calls[number]
        call.begun = True
        transport = call.transport
        scope["client"] = transport.client
        scope["scheme"] = call.scheme
        scope["state"] = transport.app_state.copy()
        if transport.root_path:
            scope["root_path"] = transport.root_path
        if scope["type"] == "http":
            scope.setdefault("extensions", {})["http.response.debug"] = {}

        async def noted(message: dict[str, Any]) -> None:
            if message["type"] == "http.response.debug":
                call.debug = message["info"]
                return
            call.note(message)
            await send(message)

        try:
            await self.app(scope, receive, noted)
        except BaseException as failure:
            if isinstance(failure, Exception):
                call.failure = failure
            raise
        finally:
            call.done.set()


class Server:
    """A server in the loop of a portal."""

    def __init__(self, portal: Any, app: Any) -> None:
        self._exit = contextlib.ExitStack()
        self.socket = self._exit.enter_context(portal.wrap_async_context_manager(servers.served(Recorder(app))))
        self.transport = httpx.HTTPTransport(uds=str(self.socket))
        self._exit.callback(self.transport.close)

    def stop(self) -> None:
        self._exit.close()


@contextlib.contextmanager
def serving(transport: Any) -> Iterator[Server]:
    """The server of a client: for as long as the client's context, or for one request."""
    with transport.portal_factory() as portal:
        if transport.portal_factory.__self__.portal is None:
            server = Server(portal, transport.app)
            try:
                yield server
            finally:
                server.stop()
        else:
            server = getattr(transport, "suite_server", None) or Server(portal, transport.app)
            transport.suite_server = server
            yield server


class Body(httpx.SyncByteStream):
    """The body of an answer; its end is the end of the request."""

    def __init__(self, stream: Any, call: Call, stack: contextlib.ExitStack) -> None:
        self._stream = stream
        self._call = call
        self._stack = stack

    def __iter__(self) -> Iterator[bytes]:
        try:
            yield from self._stream
        except httpx.TransportError:
            self._call.done.wait(PATIENCE)
            if self._call.failure is None:
                raise

    def close(self) -> None:
        self._stack.close()


def handle_request(self: Any, request: Any) -> Any:
    """In place of the one that calls the application."""
    if self.portal_factory.__self__.async_backend["backend"] != "asyncio":
        return original_request(self, request)
    scheme = request.url.scheme
    if scheme in ("ws", "wss"):
        raise testclient._Upgrade(Session(self, request))
    call = Call(self, scheme)
    with contextlib.ExitStack() as stack:
        server = stack.enter_context(serving(self))

        def ended(kind: Any, *_: Any) -> None:
            call.wait()
            if kind is None and self.raise_server_exceptions and call.failure is not None:
                raise call.failure

        stack.push(ended)
        headers = [*request.headers.raw, (MARK.encode(), call.number.encode())]
        url = request.url.copy_with(scheme="http")
        ours = httpx.Request(request.method, url, headers=headers, stream=request.stream)
        ours.extensions = {name: value for name, value in request.extensions.items() if name != "timeout"}
        ours.extensions["timeout"] = dict.fromkeys(("connect", "read", "write", "pool"), PATIENCE)
        try:
            answer = server.transport.handle_request(ours)
        except httpx.TransportError:
            call.done.wait(PATIENCE if call.begun else 0)
            if call.failure is not None and self.raise_server_exceptions:
                raise call.failure from None
            raise
        stack.callback(answer.close)
        stream = Body(answer.stream, call, stack.pop_all())
    kept = [
        (k, v) for k, v in answer.headers.raw if k.decode().lower() not in ADDED or k.decode().lower() in call.headers
    ]
    response = httpx.Response(answer.status_code, headers=kept, stream=stream, request=request)
    if call.debug is not None:
        response.extensions["http.response.debug"] = call.debug
        for name in ("template", "context"):
            if name in call.debug:
                setattr(response, name, call.debug[name])
    return response


class Session(testclient.WebSocketTestSession):
    """A WebSocket over a socket."""

    def __init__(self, transport: Any, request: Any) -> None:
        self._transport = transport
        self._request = request
        self.accepted_subprotocol = None
        self.extra_headers = None

    def __enter__(self) -> Any:
        request, transport = self._request, self._transport
        self._call = call = Call(transport, request.url.scheme)
        with contextlib.ExitStack() as stack:
            server = stack.enter_context(serving(transport))

            def ended(*_: Any) -> None:
                call.wait()
                if call.failure is not None:
                    raise call.failure

            stack.push(ended)
            self._connection = self._connect(server, stack)
            stack.callback(self.close, 1000)
            self.accepted_subprotocol = self._connection.subprotocol
            self.extra_headers = call.accepted.get("headers")
            self.exit_stack = stack.pop_all()
        return self

    def _connect(self, server: Server, stack: contextlib.ExitStack) -> Any:
        request = self._request
        ours = ("host", "connection", "upgrade", "sec-websocket-key", "sec-websocket-version", "sec-websocket-protocol")
        headers = [(k, v) for k, v in request.headers.multi_items() if k.lower() not in (*ours, "user-agent")]
        offered = request.headers.get("sec-websocket-protocol")
        target = request.url.raw_path.decode("ascii")
        try:
            return stack.enter_context(unix_connect(
                str(server.socket),
                uri=f"ws://{request.headers.get('host', 'testserver')}{quote(target, safe='/%?&=:;,+!*()@$-._~')}",
                additional_headers=[*headers, (MARK, self._call.number)],
                subprotocols=[name.strip() for name in offered.split(",")] if offered else None,
                user_agent_header=request.headers.get("user-agent"),
                compression=None, open_timeout=PATIENCE, close_timeout=2, max_size=None, ping_interval=None,
            ))  # fmt: skip
        except InvalidStatus as refused:
            self._call.wait()
            early, answer = self._call.closed_early, refused.response
            if early is not None:  # the code does not leave the server: the client sees 403
                assert answer.status_code == 403
                raise testclient.WebSocketDisconnect(early.get("code", 1000), early.get("reason") or "") from None
            kept = [(k, v) for k, v in answer.headers.raw_items() if k.lower() not in ADDED]
            raise testclient.WebSocketDenialResponse(
                status_code=answer.status_code, headers=kept, content=bytes(answer.body or b"")
            ) from None

    def __exit__(self, *args: Any) -> Any:
        return self.exit_stack.__exit__(*args)

    def send(self, message: dict[str, Any]) -> None:
        if message["type"] == "websocket.receive":
            text = message.get("text")
            with contextlib.suppress(ConnectionClosed):
                self._connection.send(message["bytes"] if text is None else text)
        elif message["type"] == "websocket.disconnect":
            self.close(message.get("code", 1000), message.get("reason"))

    def close(self, code: int = 1000, reason: str | None = None) -> None:
        self._connection.close(code, reason or "")

    def receive(self) -> dict[str, Any]:
        try:
            data = self._connection.recv(timeout=PATIENCE)
        except ConnectionClosed as closed:
            frame = closed.rcvd
            code, reason = (1006, "") if frame is None else (frame.code, frame.reason)
            return {"type": "websocket.close", "code": int(code), "reason": reason}
        return {"type": "websocket.send", ("text" if isinstance(data, str) else "bytes"): data}


def stop_server(self: Any) -> None:
    """The client's context ends."""
    server = getattr(self, "suite_server", None)
    if server is not None:
        self.suite_server = None
        server.stop()
    original_close(self)


def initialized(self: Any, *args: Any, **options: Any) -> None:
    original_init(self, *args, **options)
    factory = servers.loop_factory()
    if self.async_backend["backend"] == "asyncio" and factory is not None:
        self.async_backend["backend_options"] = {"loop_factory": factory}


original_request = testclient._TestClientTransport.handle_request
original_close = testclient._TestClientTransport.close
original_init = testclient.TestClient.__init__
testclient._TestClientTransport.handle_request = handle_request
testclient._TestClientTransport.close = stop_server
testclient.TestClient.__init__ = initialized
