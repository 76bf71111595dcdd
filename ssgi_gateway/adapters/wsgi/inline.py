"""A WSGI application called on the event loop's thread.

The application's code, wherever it runs (the call, each step of what it returned, ``close``), runs in the request's
own context and does not see that a loop is running: what it does about asyncio is its own affair. Between two steps
of a body whose client is slow the loop goes on.
"""

from __future__ import annotations

import logging
from asyncio import _get_running_loop, _set_running_loop
from contextvars import Context, copy_context
from typing import TYPE_CHECKING, Any, Final

from ssgi_gateway.adapters.wsgi.file import FileWrapper, regular_file

from ...core.awaitables import TRUE
from ..files import send_open
from .call import WsgiCall, to_bytes

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Awaitable, Callable, Iterator

    from ssgi_gateway.core.files import OpenFile

    from ...core.response import HttpResponse

logger = logging.getLogger("ssgi_gateway.app")

END: Final = object()

EXITED: Final = "the application called sys.exit()"


class InlineCall(WsgiCall):
    """One call of the application, from ``begin`` to ``close``."""

    __slots__ = ("_blocks", "_context", "_loop", "_rest", "_result", "_waiting")

    def __init__(self, res: HttpResponse) -> None:
        self.init(res)

    def init(self, res: HttpResponse) -> None:
        """What ``__init__`` does: see "Plain classes" in ARCHITECTURE.md."""
        self._init_base(res)
        self._loop: asyncio.AbstractEventLoop | None = _get_running_loop()
        self._context: Context = copy_context()
        self._result: Any = None
        self._blocks: Iterator[Any] | None = None
        self._rest: asyncio.Task[None] | None = None
        self._waiting: Awaitable[bool] | None = None  # the peer takes no more at the moment

    def start(self, app: Callable[..., Any], environ: dict[str, Any]) -> asyncio.Task[None] | None:
        """Call the application; returns the task that does the rest, if the answer could not be given at once.

        Raises:
            Exception: the application's.
        """
        _set_running_loop(None)
        try:
            result = self._context.run(app, environ, self.start_response)
        except SystemExit as error:
            raise RuntimeError(EXITED) from error
        finally:
            _set_running_loop(self._loop)
        if type(result) is list or type(result) is tuple:
            self.put_all(result)
            return None
        self._result = result
        streams = False
        try:
            file = regular_file(result) if type(result) is FileWrapper and not self._committed else None
            if file is not None:
                self.put_file(file)
            else:
                self._blocks = self._enter(iter, result)
                streams = not self._advance()
        finally:
            if not streams:
                self._close()
        if streams:
            rest: Any = self._res.run_async(self._go_on())
            self._res.channel.scope.loop.when_done(rest, self._close)  # also if it is cancelled before it has begun
            self._rest = rest
        return self._rest

    def _enter(self, function: Callable[..., Any], *args: Any) -> Any:
        """Run the application's code.

        Raises:
            Exception: the application's; an exit is turned into one, for a request does not end the server.
        """
        _set_running_loop(None)
        try:
            return self._context.run(function, *args)
        except SystemExit as error:
            raise RuntimeError(EXITED) from error
        finally:
            _set_running_loop(self._loop)

    def _advance(self) -> bool:
        """Send blocks; ``False`` when the peer has to be waited for, ``True`` at the end."""
        blocks = self._blocks
        while (block := self._enter(next, blocks, END)) is not END:
            if type(block) is not bytes:
                block = to_bytes(block)
            if block:
                if self.put(block) or self._res.aborted:
                    return True
                if self._waiting is not None:
                    return False
        self.end()
        return True

    async def _go_on(self) -> None:
        """The rest of a body whose peer is slow."""
        while self._waiting is not None:
            waiting, self._waiting = self._waiting, None
            if not await waiting or self._advance():
                return

    def _emit(self, data: bytes | None, last: bool) -> None:
        waiting = self._send(data, last)
        if waiting is not TRUE and not last:
            self._waiting = waiting

    def _emit_file(self, file: OpenFile) -> None:
        self._res.set_head(self._head)
        self._rest = self._res.run_async(send_open(self._res, file))

    def _close(self, _: object = None) -> None:
        """PEP 3333: "if the iterable has a close() method, the server must call that method"."""
        result, self._result = self._result, None
        self._blocks = None
        close = getattr(result, "close", None)
        if close is not None:
            try:
                self._enter(close)
            except Exception:
                logger.exception("%s: the application's close() raised", self._res.label())
