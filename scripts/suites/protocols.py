"""A plugin for pytest: uvicorn's tests of its protocols ask the gateway.

``tests/protocols/test_websocket.py`` starts servers; they are ours. ``test_http.py`` talks to a protocol object on a
transport that is none; here these are a connection to ``--http``, and what was received on it. What they ask of the
objects' inner life does not exist here and fails; the reasons are in ``scripts/test_suites.py``.
"""

from __future__ import annotations

import asyncio
import contextlib
import select
import socket
import threading
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any, Final

import pytest
import tests.utils

from suites import outcomes, servers

QUIET: Final = 0.06
"""Seconds without a byte after which a server has said what it has to say."""

pytest_runtest_logreport = outcomes.pytest_runtest_logreport
pytest_sessionfinish = outcomes.pytest_sessionfinish


def options_of(config: Any) -> dict[str, Any]:
    """Uvicorn's settings as the gateway's."""
    from ssgi_gateway.settings import Deadlines, WebSocketSettings

    return {
        "websockets": WebSocketSettings(
            max_message_size=config.ws_max_size,
            max_queue=config.ws_max_queue,
            ping_interval=config.ws_ping_interval or 0.0,
            ping_timeout=config.ws_ping_timeout or 20.0,
            deflate=config.ws_per_message_deflate,
        ),
        "deadlines": Deadlines(client_left=0.5, drain=2.0),
        "root_path": config.root_path or None,
    }


def application_of(config: Any) -> Any:
    """The application as uvicorn would call it."""
    config.load()
    if config.lifespan != "off":
        return config.loaded_app

    async def called(scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] == "lifespan":
            await servers.lifespan(receive, send)
        else:
            await config.loaded_app(scope, receive, send)

    return called


class Server:
    """What tests ask of uvicorn's."""

    def __init__(self, over: asyncio.Event) -> None:
        self._over = over

    async def shutdown(self) -> None:
        self._over.set()
        await asyncio.sleep(0.1)


@contextlib.asynccontextmanager
async def run_server(config: Any, sockets: Any = None) -> AsyncIterator[Server]:
    """In place of ``tests.utils.run_server``."""
    app = application_of(config)
    over, ready = asyncio.Event(), asyncio.Event()
    protocol = "websocket" if servers.ROUTE == "direct" else "http"

    async def serve() -> None:
        address = {protocol: f"127.0.0.1:{config.port}"}
        async with servers.gateway(app, address, options_of(config)):
            ready.set()
            await over.wait()

    task = asyncio.ensure_future(serve())
    waiting = asyncio.ensure_future(ready.wait())
    await asyncio.wait((task, waiting), return_when=asyncio.FIRST_COMPLETED)
    if task.done():
        waiting.cancel()
        task.result()
    try:
        yield Server(over)
    finally:
        over.set()
        await task


tests.utils.run_server = run_server


class Transport:
    """The connection, as the client sees it."""

    def __init__(self, peer: socket.socket) -> None:
        self._peer = peer
        self._received = b""
        self._ended = False

    @property
    def buffer(self) -> bytes:
        """All that has come so far."""
        while not self._ended and select.select([self._peer], [], [], QUIET)[0]:
            try:
                data = self._peer.recv(1 << 20)
            except ConnectionError:
                data = b""
            self._received += data
            self._ended = not data
        return self._received

    def clear_buffer(self) -> None:
        """Forget it."""
        assert self.buffer is not None
        self._received = b""

    def is_closing(self) -> bool:
        """Whether the server has closed the connection."""
        return self.buffer is not None and self._ended


class Loop:
    """Nothing has to be run: the server does that."""

    async def run_one(self) -> None:
        await asyncio.sleep(QUIET)


class Protocol:
    """What stands for a protocol object: one connection to a server in a thread."""

    def __init__(self, app: Any, config: Any) -> None:
        self._ready = threading.Event()
        self._config = config
        self._thread = threading.Thread(target=self._run, args=(app,), daemon=True)
        self._thread.start()
        assert self._ready.wait(10)
        self._peer = socket.socket(socket.AF_UNIX)
        self._peer.connect(str(self._socket))
        self.transport = Transport(self._peer)
        self.loop = Loop()

    def _run(self, app: Any) -> None:
        with asyncio.Runner(loop_factory=servers.loop_factory()) as runner:
            runner.run(self._serve(app))

    async def _serve(self, app: Any) -> None:
        self._asyncio = asyncio.get_running_loop()
        self._over = asyncio.Event()
        async with servers.served(app, **options_of(self._config)) as path:
            self._socket: Path = path
            self._ready.set()
            await self._over.wait()

    def data_received(self, data: bytes) -> None:
        """Send."""
        with contextlib.suppress(ConnectionError):
            self._peer.sendall(data)

    def eof_received(self) -> None:
        """Half-close."""
        self._peer.shutdown(socket.SHUT_WR)

    def connection_lost(self, exc: Any) -> None:
        """Leave."""
        self._peer.close()

    def shutdown(self) -> None:
        """Begin the drain."""
        self._asyncio.call_soon_threadsafe(self._over.set)

    def stop(self) -> None:
        """The end."""
        with contextlib.suppress(RuntimeError):
            self.shutdown()
        self._peer.close()
        self._thread.join(10)


_open: list[Protocol] = []


def get_connected_protocol(app: Any, http_protocol_cls: Any, lifespan: Any = None, **options: Any) -> Protocol:
    """In place of the one that makes uvicorn's."""
    from uvicorn import Config

    config = Config(app=app, **{"lifespan": "off", **options})
    protocol = Protocol(application_of(config), config)
    _open.append(protocol)
    return protocol


@pytest.fixture(autouse=True)
def _connections(request: Any) -> Iterator[None]:
    if request.module.__name__.endswith("test_http"):
        request.module.get_connected_protocol = get_connected_protocol
    yield
    while _open:
        _open.pop().stop()
