"""WSGI 1.0.1 (PEP 3333) applications as SSGI callables.

``adapt`` makes one of two:

* **Threads** (``--threads N``, the first choice): the application runs in a pool of N threads; requests beyond that
  wait in a bounded queue (``--wsgi-queue``), and beyond that are answered 503 with Retry-After. The input streams. A
  thread waits for a slow client only while more than the high-water mark of its own output is unsent; a file given
  to ``wsgi.file_wrapper`` and the rest of a finished answer need no thread at all.
* **Inline** (``--threads 0``): the application runs on the event loop's thread, one call at a time; the fastest way
  for applications that never wait. A body is collected before the call, in a temporary file beyond 1 MiB. A generator
  whose client is slow is suspended between two blocks, and other requests are served meanwhile, each in a context
  (``contextvars``) of its own; what ``write()`` is given then waits in memory, because it cannot be suspended. The
  application does not see the loop: ``asyncio.run`` works, and Django does not take its views for async ones.

The rules that both keep stand in ``call``; an application's view of a request in ``environ``.
"""

from __future__ import annotations

import asyncio
import sys
import tempfile
from typing import TYPE_CHECKING, Any, Final

from ssgi_gateway.adapters import shape
from ssgi_gateway.adapters.wsgi.websocket import WebSocketThreads
from ssgi_gateway.errors import ConfigurationError

from ...core.server_loop import ServerLoop
from ..callable import SsgiCallable
from .call import add_length, whole_input
from .environ import base_environ, build_environ
from .inline import InlineCall
from .pool import WorkerPool
from .threads import ThreadedCall

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from ssgi_gateway.settings import Settings

    from ...core.response import HttpResponse
    from ...core.websocket import WebSocket

__all__ = ["InlineWsgi", "ThreadedWsgi", "adapt"]

MAX_WEBSOCKETS: Final = 100
"""Threads for WebSockets, where no setting has a number."""

SPOOL: Final = 1048576
"""Bytes of a request's body kept in memory when it has to be collected; more goes to a temporary file."""


def adapt(app: Any, settings: Settings) -> InlineWsgi | ThreadedWsgi:
    """An SSGI callable for a WSGI application.

    Args:
        app: called with ``environ`` and ``start_response``.
        settings: ``threads``, ``wsgi_queue`` and the water marks.

    Raises:
        ConfigurationError: ``app`` cannot be called like that.
    """
    if not shape.accepts(app, 2):
        raise ConfigurationError(
            f"the {shape.describe(app)} cannot be called as WSGI: a WSGI application takes two arguments (environ, "
            "start_response)"
        )
    multiprocess = settings.workers > 1
    if settings.threads:
        pool = WorkerPool(settings.threads, settings.wsgi_queue, settings.flow.high_water)
        base = base_environ(settings.threads > 1, multiprocess, sys.stderr)
        return ThreadedWsgi(app, pool, base, settings.wsgi_websockets)
    return InlineWsgi(app, base_environ(False, multiprocess, sys.stderr))


class InlineWsgi(SsgiCallable):
    """A WSGI application on the event loop's thread."""

    __slots__ = ("_app", "_base")

    def __init__(self, app: Callable[..., Any], base: dict[str, Any]) -> None:
        self._app = app
        self._base = base

    def _serve(self, res: HttpResponse) -> Awaitable[None] | None:
        body = res.body
        if body is not None and not body.ended:
            return self._collect(res)
        self._begin(res, whole_input(body))
        return None

    def _begin(self, res: HttpResponse, stream: Any) -> asyncio.Task[None] | None:
        call = InlineCall.__new__(InlineCall)
        call.init(res)
        environ = build_environ(res.request, self._base, stream)
        if res.body is not None:
            add_length(environ, res.body)
        return call.start(self._app, environ)

    async def _collect(self, res: HttpResponse) -> None:
        with await collected(res) as spool:
            rest = self._begin(res, spool)
            if rest is not None:
                await rest


async def collected(res: HttpResponse) -> Any:
    """All of a request's body, in a file that may be in memory.

    Raises:
        ConnectionAbortedError: the client disconnected before it had arrived.
    """
    spool = tempfile.SpooledTemporaryFile(SPOOL)  # noqa: SIM115 - the caller's
    try:
        while (piece := await res.get_chunk()) is not None:
            spool.write(piece.getbuffer())
        spool.seek(0)
    except BaseException:
        spool.close()
        raise
    return spool


class ThreadedWsgi(SsgiCallable):
    """A WSGI application in a pool of threads."""

    __slots__ = ("_app", "_base", "_pool", "_websockets")

    def __init__(
        self, app: Callable[..., Any], pool: WorkerPool, base: dict[str, Any], websockets: int = MAX_WEBSOCKETS
    ) -> None:
        self._app = app
        self._pool = pool
        self._base = base
        self._websockets = WebSocketThreads(app, websockets)

    def thread_load(self) -> tuple[int, int, int]:
        """Requests that wait for a thread, threads at work, threads."""
        return self._pool.load()

    async def startup(self, state: dict[str, Any]) -> None:
        """Start the threads, before the first request would."""
        self._pool.start(ServerLoop(asyncio.get_running_loop()))

    async def shutdown(self) -> None:
        """End the threads; one that is stuck in the application is left behind."""
        await asyncio.get_running_loop().run_in_executor(None, self._pool.stop)

    def close(self) -> None:
        """As ``shutdown``, from outside of the loop."""
        self._pool.stop()

    def _serve_websocket(self, ws: WebSocket) -> None:
        request = ws.request
        base = self._base
        self._websockets.serve(ws, ws.channel.scope.loop, lambda stream: build_environ(request, base, stream))

    def _serve(self, res: HttpResponse) -> Awaitable[None] | None:
        pool = self._pool
        if pool.loop is None:
            pool.start(res.channel.scope.loop)
        body = res.body
        if pool.overloaded():
            _refuse(res)
        elif body is not None and not body.ended and not res.request.variables.get("CONTENT_LENGTH"):
            return self._collect(res)
        else:
            self._submit(res, None)
        return None

    def _submit(self, res: HttpResponse, spool: Any) -> None:
        call = ThreadedCall.__new__(ThreadedCall)
        call.init(self._pool, res, self._app, self._base)
        call.submit(spool)

    async def _collect(self, res: HttpResponse) -> None:
        """Wait for a body of unknown length: applications take it for none (Django, Bottle, web.py)."""
        self._submit(res, await collected(res))


def _refuse(res: HttpResponse) -> None:
    """Every thread is busy and the queue is full."""
    res.send_status(503)
    res.send_headers([("Content-Type", "text/plain; charset=utf-8"), ("Retry-After", "1")])
    res.send("503 Service Unavailable\nEvery thread of the application is busy; try again.\n")
