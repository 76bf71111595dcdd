"""What the connections of one application share in one process: the event loop, tasks, threads.

Tasks are begun by the ``TaskScope`` of the build that serves (portable or compiled), so that an ``async def`` which
does not wait costs no task. Under a server that is not this project's everything works as well, by SSGI alone.
"""

from __future__ import annotations

import asyncio
import importlib
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextvars import copy_context
from queue import Empty, SimpleQueue
from typing import TYPE_CHECKING, Any, Final

from ssgi_gateway.wire.forwarded import HTTP_SCHEMES

from .errors import Error, ErrorCode

if TYPE_CHECKING:
    from .settings import RpcSettings

__all__ = ["Runtime", "Threads", "drain_hook", "request_facts"]

COMPILED: Final = "ssgi_gateway._compiled"
PORTABLE: Final = "ssgi_gateway"


def build_of(res: Any) -> str:
    """The package that ``res``, a response or WebSocket, comes from: this project's compiled or portable build."""
    return COMPILED if type(res).__module__.startswith(COMPILED) else PORTABLE


def is_ours(res: Any) -> bool:
    """Whether ``res`` has the door that this project's adapters use (``core/exchange.py``)."""
    return type(res).__module__.startswith((f"{PORTABLE}.core.", f"{COMPILED}.core."))


def request_facts(res: Any) -> tuple[str, str]:
    """Scheme (``http``, ``https``) and root path of a request.

    ``res.extensions`` has it on every server; it is not read where a cheaper way is known, because the mapping would
    be kept as long as the WebSocket.
    """
    if is_ours(res):
        return res.request.scheme(), res.request.root_path()
    extensions = res.extensions
    scheme = extensions.get("scheme", "http")
    return HTTP_SCHEMES.get(scheme, scheme), extensions.get("root_path", "")


def drain_hook(res: Any) -> Any:
    """What to register a callback for the drain with, ``res.extensions["on_drain"]``; ``None`` where there is none."""
    if is_ours(res):
        return res.channel.describe().get("on_drain")
    return res.extensions.get("on_drain")


class Runtime:
    """One loop's.

    Args:
        loop: the event loop.
        res: a response or WebSocket: the build that made it serves.
        settings: of the application.
    """

    def __init__(self, loop: asyncio.AbstractEventLoop, res: Any, settings: RpcSettings) -> None:
        build = build_of(res)
        self.loop = loop
        self.scope: Any = importlib.import_module(f"{build}.core.tasks").TaskScope(loop)
        self.ready: Any = importlib.import_module(f"{build}.core.awaitables").TRUE
        """What ``send`` returns when the peer can take more: the only case in which there is nothing to wait for."""
        self.send_to_all: Any = None
        """One frame to many WebSockets at once (``core/websocket.py``); ``None`` under a server that is not ours."""
        if is_ours(res):
            self.send_to_all = importlib.import_module(f"{build}.core.websocket").send_to_all
        self.threads = Threads(loop, settings.threads, settings.thread_queue)

    async def close(self) -> None:
        """Cancel what still runs, and wait for it."""
        tasks = tuple(self.scope.tasks)
        for task in tasks:
            task.cancel()
        if tasks:
            await asyncio.wait(tasks, timeout=5)
        self.threads.close()


class Threads:
    """A bounded pool for procedures that are written with ``def``.

    Args:
        loop: where the results go.
        threads: how many run.
        queue: how many may wait beside.
    """

    def __init__(self, loop: asyncio.AbstractEventLoop, threads: int, queue: int) -> None:
        self._loop = loop
        self._count = threads
        self._pool: ThreadPoolExecutor | None = None
        # A thread gives its place back without a lock of ours: put and get are atomic.
        self._places: SimpleQueue[None] = SimpleQueue()
        for _ in range(threads + queue):
            self._places.put(None)

    async def run(self, func: Callable[..., Any], *args: Any) -> Any:
        """Call in a thread, with the caller's context variables.

        Raises:
            Error: 503, when as many run and wait as may.
            BaseException: the function's.
        """
        try:
            self._places.get_nowait()
        except Empty:
            raise Error(code=ErrorCode.UNAVAILABLE, message="too many calls wait for a thread") from None
        if self._pool is None:
            self._pool = ThreadPoolExecutor(self._count, "swill")
        future = self._pool.submit(copy_context().run, func, *args)
        future.add_done_callback(self._give_back)
        return await asyncio.wrap_future(future, loop=self._loop)

    def _give_back(self, future: Any) -> None:
        self._places.put(None)

    def close(self) -> None:
        """Start nothing more; what runs is not waited for."""
        if self._pool is not None:
            self._pool.shutdown(wait=False, cancel_futures=True)
