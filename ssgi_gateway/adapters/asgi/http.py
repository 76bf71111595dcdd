"""One HTTP request of an ASGI application: ``receive`` and ``send`` over an SSGI response.

What an application has sent so far, and what may follow::

    NOTHING   --http.response.start--> STARTED
    STARTED   --http.response.body, pathsend, zerocopysend--> STREAMING
    STREAMING --the same--> STREAMING
    STARTED, STREAMING --one of these without more_body--> ENDED

Most requests are one ``start`` and one ``body``: they cost one write and no future, event or queue.
Messages in the wrong order, and invalid ones, have the outcomes that ``ssgi_gateway.adapters.asgi.adapter`` lists.
"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any, Final

from ...core.awaitables import TRUE
from ...core.response import Watcher
from ...core.waiters import Waiters
from ..files import open_path, send_file, send_open

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ...core.body import RequestBody
    from ...core.response import HttpResponse

logger = logging.getLogger("ssgi_gateway.app")

NOTHING: Final = 0
STARTED: Final = 1
STREAMING: Final = 2
ENDED: Final = 3

CLIENT_LEFT: Final = "the client disconnected before the response was complete"


NO_MORE: Final[Iterator[None]] = iter(())
"""An iterator at its end, where it stays; it reports that without an exception, which only iterators of C can."""


class CompletedAwaitable:
    """A coroutine that has ended, with nothing. Immutable, so one serves all, any number of times.

    It has all that a coroutine has, because an application may do more with it than await it: make a task of it.
    """

    __slots__ = ()

    def __await__(self) -> Iterator[None]:
        return NO_MORE

    def __iter__(self) -> Iterator[None]:
        return NO_MORE

    def __next__(self) -> None:
        raise StopIteration

    def send(self, value: Any) -> None:
        """Resume it."""
        raise StopIteration

    def throw(self, kind: Any, value: Any = None, traceback: Any = None) -> None:
        """Raise in it."""
        raise kind if value is None else value

    def close(self) -> None:
        """End it."""


COMPLETED: Final = CompletedAwaitable()


class HttpCall(Watcher):
    """What an application gets as ``receive`` and ``send``.

    Args:
        res: the response.
        grace: seconds an application in the middle of its answer may go on after its client has disconnected, before it
            is cancelled; 0 for ever.
        files: whether ``http.response.pathsend`` and ``zerocopysend`` were offered.
    """

    __slots__ = ("_body", "_files", "_grace", "_headers", "_request_done", "_res", "_stage", "_waiters")

    def __init__(self, res: HttpResponse, grace: float, files: bool) -> None:
        self.init(res, grace, files)

    def init(self, res: HttpResponse, grace: float, files: bool) -> None:
        """What ``__init__`` does: see "Plain classes" in ARCHITECTURE.md."""
        self._res = res
        self._grace = grace
        self._files = files
        self._stage = NOTHING
        self._headers: Any = None  # as given with the start
        self._body: RequestBody | None = res.body
        self._request_done = False  # the whole request was handed out
        self._waiters: Waiters | None = None
        res.watch(self)

    # -- what the application receives ---------------------------------------------------------------------------

    async def receive(self) -> dict[str, Any]:
        """The next event: the request's body piece by piece, then ``http.disconnect``, at each further call."""
        res = self._res
        if self._request_done or res.aborted or self._stage == ENDED:
            return await self._disconnect()
        body = self._body
        if body is None:
            self._request_done = True
            return {"type": "http.request", "body": b"", "more_body": False}
        try:
            chunk = await res.get_chunk()
        except ConnectionAbortedError:
            return await self._disconnect()
        # Without a look at the end every body would be followed by an empty event.
        self._request_done = chunk is None or (body.ended and body.size == 0)
        return {
            "type": "http.request",
            "body": b"" if chunk is None else chunk.getvalue(),
            "more_body": not self._request_done,
        }

    async def _disconnect(self) -> dict[str, Any]:
        """Wait until the client has disconnected, or the whole response has left for the client."""
        while self._stage != ENDED and not self._res.aborted:
            if self._waiters is None:
                self._waiters = Waiters()
            await self._waiters.pause(self._res.channel.scope.loop)
        if not self._res.aborted:
            await self._res.channel.when_flushed()
        return {"type": "http.disconnect"}

    # -- calls of the application --------------------------------------------------------------------------------

    def send(self, message: dict[str, Any]) -> Any:
        """Take one event of the application; what is awaited ends when the peer can take more.

        After the client has disconnected whatever completes an answer is quiet: the start, and the last piece.
        Frameworks do what is to be done after an answer (background tasks, clean-up) behind them, and are not written
        for an error there. Everything else raises, which is what ends a stream.

        No ``async def``: mostly there is nothing to wait for, and then ``COMPLETED`` is awaited, made once.

        Raises:
            ConnectionAbortedError: (an ``OSError``) the client has disconnected.
            RuntimeError: this event is not known here, or not due.
            TypeError, ValueError: a wrong type, status, header or length.
        """
        res = self._res
        kind = message["type"]
        stage = self._stage
        if res.aborted:
            return self._send_in_vain(kind, stage, message)
        if stage == NOTHING and kind == "http.response.start":
            res.send_status(message["status"])
            if "headers" in message:
                self._headers = headers = message["headers"]
                if headers:
                    res.send_headers(headers)
            self._stage = STARTED
        elif STARTED <= stage <= STREAMING and kind == "http.response.body":
            # Looked for and taken, because compiled that costs a third of a call of `get`.
            body = message["body"] if "body" in message else b""  # noqa: SIM401
            if body.__class__ is not bytes:
                check_bytes(kind, body)
            if "more_body" in message and message["more_body"]:  # noqa: RUF019
                self._stage = STREAMING
                if body or stage == STARTED:
                    waiting: Any = res.send(body, True)
                    if waiting is not TRUE:
                        return self._wait_writable(waiting)
            else:
                res.send(body)
                self._ended()
        else:
            return self._send_other(kind, message)
        return COMPLETED

    def _send_in_vain(self, kind: Any, stage: int, message: dict[str, Any]) -> Any:
        """The client has disconnected."""
        if kind == "http.response.start" and stage == NOTHING:
            self._stage = STARTED
        elif kind == "http.response.body" and stage != NOTHING and not message.get("more_body", False):
            self._stage = ENDED
        else:
            raise ConnectionAbortedError(CLIENT_LEFT)
        return COMPLETED

    async def _wait_writable(self, waiting: Any) -> None:
        if not await waiting:
            raise ConnectionAbortedError(CLIENT_LEFT)

    async def _send_other(self, kind: Any, message: dict[str, Any]) -> None:
        """A file, or what is not due."""
        if self._stage == ENDED:
            # "Any further messages on the channel will be ignored" (HTTP, Response Body).
            logger.warning("ASGI: %r was sent after the response had ended; it was ignored", kind)
        elif kind == "http.response.pathsend" and self._stage == STARTED and self._files:
            self._stage = STREAMING
            file, content = await open_path(self._res, message["path"])
            await send_open(self._res, file, content, has_length(self._headers))
            self._ended()
        elif kind == "http.response.zerocopysend" and self._stage != NOTHING and self._files:
            self._stage = STREAMING
            more = bool(message.get("more_body", False))
            await send_file(self._res, message["file"].fileno(), message.get("offset"), message.get("count"), more)
            if not more:
                self._ended()
        else:
            raise RuntimeError(f"ASGI: {kind!r} was sent {DUE[self._stage]}")

    def _ended(self) -> None:
        """The response is complete: a ``receive`` that still waits for the request is ended."""
        self._stage = ENDED
        if self._body is not None and not self._body.ended:
            self._body.abort()
        if self._waiters is not None:
            self._waiters.wake(None)

    # -- the client ----------------------------------------------------------------------------------------------

    def client_left(self) -> None:
        """The client disconnected: ``receive`` reports it, and ``send`` raises or has no effect.

        An application that has not begun to answer is left to finish its work, as by other servers. One in the middle
        of an answer that is not read is cancelled in a while: what it waits for may never come.
        """
        if self._waiters is not None:
            self._waiters.wake(None)
        if self._stage >= STARTED:
            self._res.cancel_later(self._grace)


DUE: Final = {
    NOTHING: "where 'http.response.start' is due",
    STARTED: "where 'http.response.body' is due",
    STREAMING: "in the middle of the response's body",
}


def check_bytes(kind: str, body: Any) -> None:
    """See that a body is bytes; ``None`` passes for an empty one.

    Raises:
        TypeError: it is something else.
    """
    if body is not None and not isinstance(body, (bytes, bytearray, memoryview)):
        raise TypeError(f"ASGI: 'body' of {kind!r} is {type(body).__name__}, it has to be bytes")


def has_length(headers: Any) -> bool:
    """Whether the headers of a start declare a Content-Length."""
    return any(bytes(name).lower() == b"content-length" for name, _ in headers or ())
