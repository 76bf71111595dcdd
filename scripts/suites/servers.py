"""A real server in the event loop of a test: the gateway on one of its routes, or uvicorn to compare with.

The environment says which:

``SUITE_ROUTE``
    ``http`` (``--http``), ``scgi`` and ``fastcgi`` (behind the nginx that ``scripts/test_suites.py`` has started; the
    WebSockets of the latter by the direct port), or ``uvicorn``.
``SUITE_FOLDER``
    Where the sockets are: nginx connects ``scgi-N`` and ``fastcgi-N`` with ``back-N``, and with ``direct-N``.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any, Final

__all__ = ["ROUTE", "SLOTS", "gateway", "lifespan", "loop_factory", "served"]

ROUTE: Final = os.environ.get("SUITE_ROUTE", "http")
FOLDER: Final = Path(os.environ.get("SUITE_FOLDER", "/nowhere"))
CODEC: Final = os.environ.get("SSGI_CODEC", "auto")

SLOTS: Final = 64
"""How many pairs of sockets nginx has; used in turn, so that nothing of one test is left when the next comes."""

_turn = 0


async def lifespan(receive: Any, send: Any) -> None:
    """The lifespan of an application that has none, or whose test does it."""
    for name in ("startup", "shutdown"):
        await receive()
        await send({"type": f"lifespan.{name}.complete"})


def loop_factory() -> Any:
    """What makes an event loop as the server has it; ``None`` for asyncio's own."""
    if ROUTE == "uvicorn":
        return None
    from ssgi_gateway import engine

    return engine.module("server.serve", CODEC).loop_factory()


@contextlib.asynccontextmanager
async def served(app: Any, **options: Any) -> AsyncIterator[Path]:
    """Serve an ASGI application in the running loop.

    Args:
        app: the application. One that does not know lifespan is asked nothing.
        options: settings of the gateway.

    Yields:
        The unix socket at which HTTP is spoken.
    """
    global _turn
    _turn = (_turn + 1) % SLOTS
    if ROUTE == "uvicorn":
        async with _uvicorn(app, FOLDER / f"back-{_turn}") as socket:
            yield socket
    else:
        addresses = {"http": {"http": f"back-{_turn}"}, "scgi": {"scgi": f"back-{_turn}"}}.get(
            ROUTE, {"fastcgi": f"back-{_turn}", "websocket": f"direct-{_turn}"}
        )
        async with gateway(app, {name: f"unix:{FOLDER / socket}" for name, socket in addresses.items()}, options):
            yield FOLDER / f"{'back' if ROUTE == 'http' else ROUTE}-{_turn}"


@contextlib.asynccontextmanager
async def gateway(app: Any, addresses: dict[str, str], options: dict[str, Any]) -> AsyncIterator[None]:
    """Serve by the gateway at these addresses, by protocol."""
    from ssgi_gateway import engine
    from ssgi_gateway.adapters import negotiation
    from ssgi_gateway.server import listeners
    from ssgi_gateway.server.address import Address
    from ssgi_gateway.server.control import Control
    from ssgi_gateway.settings import Deadlines, Settings

    # Who leaves, and whoever is left behind, is waited for by each test.
    options.setdefault("deadlines", Deadlines(client_left=0.5, drain=2.0))
    settings = Settings(
        app="a:suite", interface="asgi", codec=CODEC, metrics=False,
        **{name: (text,) for name, text in addresses.items()}, **options,
    )  # fmt: skip
    application = negotiation.resolve(app, "asgi", settings)
    opened = [listeners.listen(Address.parse(text), settings, name) for name, text in addresses.items()]
    ready = asyncio.Event()

    class Started(Control):
        def ready(self) -> None:
            ready.set()

    control = Started()
    serve = engine.module("server.serve", CODEC).serve
    task = asyncio.ensure_future(serve(opened, application, settings, control))
    waiting = asyncio.ensure_future(ready.wait())
    await asyncio.wait((task, waiting), return_when=asyncio.FIRST_COMPLETED)
    waiting.cancel()
    if task.done():
        task.result()
    try:
        yield
    finally:
        control.stop()
        await task


@contextlib.asynccontextmanager
async def _uvicorn(app: Any, socket: Path) -> AsyncIterator[Path]:
    import uvicorn

    over = asyncio.Event()

    class Server(uvicorn.Server):
        async def main_loop(self) -> None:  # its own looks ten times a second
            await over.wait()

        @contextlib.contextmanager
        def capture_signals(self) -> Any:
            yield

    config = uvicorn.Config(
        app, uds=str(socket), lifespan="off", log_config=None, access_log=False, timeout_graceful_shutdown=1,
        server_header=False,
    )  # fmt: skip
    server = Server(config)
    task = asyncio.ensure_future(server.serve())
    while not server.started and not task.done():  # noqa: ASYNC110 - it has no event
        await asyncio.sleep(0.002)
    try:
        yield socket
    finally:
        over.set()
        await task
        socket.unlink(missing_ok=True)  # noqa: ASYNC240 - a socket
