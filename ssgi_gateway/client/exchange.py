"""One request and its answer, between the application and the connection that carries it.

The asking side awaits ``next`` and ``send``; the carrying side calls ``begun``, ``deliver`` and ``fail``, which never
wait. ``abandon`` may be called at any time, by a cancellation too, and leaves nothing behind.

An exchange is waiting (for a connection), running, or over. What is still in its queue when it is over can be read.
"""

from __future__ import annotations

import asyncio
import tempfile
from typing import TYPE_CHECKING, Any, Final

from ssgi_gateway.errors import ClientError, GoAway, LocalProtocolError, ReadTimeout, StreamReset
from ssgi_gateway.wire.client.events import AnswerEnded, AnswerReceived, BodyArrived, InformationalReceived

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine, Sequence

    from ssgi_gateway.wire.client.request import Request

    from .carrier import Carrier
    from .options import Timeouts
    from .place import Place
    from .pool import Pool

__all__ = ["Connected", "Exchange", "Failed"]

WAITING: Final = 0
RUNNING: Final = 1
OVER: Final = 2

IN_MEMORY: Final = 1 << 20
"""Bytes of a collected body that are kept in memory; what is more goes into a file."""


class Connected:
    """The head of the request was written, on this connection."""

    __slots__ = ("carrier", "reused", "stream_id")

    def __init__(self, carrier: Carrier, stream_id: int | None, reused: bool) -> None:
        self.carrier = carrier
        self.stream_id = stream_id
        self.reused = reused


class Failed:
    """In place of the answer's end; ``error`` is ``None`` where a tunnel was closed."""

    __slots__ = ("error",)

    def __init__(self, error: BaseException | None) -> None:
        self.error = error


class Exchange:
    """One request and its answer.

    Attributes:
        request: what is asked.
        timeouts: for this one.
        buffered: bytes of the answer that wait to be read.
        stream_id: the stream or request id on the connection.
        answered: the final head has arrived.
        uploaded: the request was handed over as a whole.
        tunnel: both sides exchange bytes.
        listener: called for each event that comes.
    """

    __slots__ = (
        "_carrier",
        "_collected",
        "_events",
        "_limit",
        "_pool",
        "_reported",
        "_room",
        "_sent",
        "_started",
        "_tries",
        "_waiter",
        "answered",
        "buffered",
        "listener",
        "place",
        "request",
        "state",
        "stream",
        "stream_id",
        "timeouts",
        "tunnel",
        "uploaded",
    )

    def __init__(self, pool: Pool, place: Place, request: Request, timeouts: Timeouts, tries: int) -> None:
        self._pool = pool
        self.place = place
        self.request = request
        self.timeouts = timeouts
        self._tries = tries
        self.state = WAITING
        self.stream_id: int | None = None
        self.stream: Any = None
        self.buffered = 0
        self.answered = self.tunnel = self._reported = False
        self.uploaded = not request.more
        self._sent = len(request.body)
        self._carrier: Carrier | None = None
        self._events: list[Any] = []  # and no deque, which takes 600 bytes while it is empty
        self._waiter: asyncio.Future[None] | None = None
        self._started: asyncio.Future[None] | None = None
        self._room: asyncio.Future[Any] | None = None
        self._collected: Any = None
        self._limit: asyncio.TimerHandle | None = None
        self.listener: Callable[[Exchange], None] | None = None

    # -- the requesting side ---------------------------------------------------------------------------------------

    def begin(self) -> None:
        """Get in line for a connection."""
        request = self.request
        total = self.timeouts.total
        if total is not None:
            self._limit = self._pool.reactor.loop.call_later(total, self._total_passed)
        if self.place.origin.kind == "scgi" and request.more and request.length < 0:
            # SCGI sends the body's length first, so it has to be known.
            self._collected = tempfile.SpooledTemporaryFile(IN_MEMORY)  # noqa: SIM115 - closed in `_finish`
            self._collected.write(request.body)
            return
        self._pool.submit(self)

    async def started(self) -> None:
        """Wait until the request was begun, or is over."""
        if self.state == WAITING and self._collected is None:
            if self._started is None:
                self._started = self._pool.reactor.loop.create_future()
            await self._started

    async def next(self) -> Any:
        """The next event; ``Failed`` where none will come any more."""
        if not self._events and self.state != OVER:
            self._waiter = waiter = self._pool.reactor.loop.create_future()
            try:
                await waiter
            finally:
                self._waiter = None
        if not self._events:
            return Failed(ClientError("the exchange is over"))
        return self.next_nowait()

    def next_nowait(self) -> Any:
        """The next event; there must be one."""
        event = self._events.pop(0)
        if type(event) is BodyArrived:
            size = len(event.data)
            self.buffered -= size
            if self._carrier is not None:
                self._carrier.taken(self, size)
        return event

    @property
    def has_events(self) -> bool:
        """Whether ``next`` would return at once."""
        return bool(self._events)

    def send(self, data: Any, more: bool) -> Coroutine[Any, Any, None]:
        """As ``send_many``, one piece, which may be empty."""
        return self.send_many((data,) if len(data) else (), more)

    async def send_many(self, pieces: Sequence[Any], more: bool) -> None:
        """Further pieces of the request's body, none of them empty; returns when they were taken under flow control.

        Raises:
            LocalProtocolError: the body was complete, or is not as long as the request declared.
        """
        if self.state == OVER:
            return
        if self.uploaded:
            raise LocalProtocolError("the request's body is complete already")
        declared = self.request.length
        sent = self._sent + sum(map(len, pieces))
        if declared >= 0 and (sent > declared or (not more and sent < declared)):
            raise LocalProtocolError(f"content-length says {declared}, the body has {sent} bytes")
        self._sent = sent
        if self._collected is not None:
            await self._collect(pieces, more)
            return
        if self.state == WAITING:
            await self.started()
        if self._carrier is None or self.state == OVER:
            return
        self.uploaded = not more
        room = self._carrier.send(self, pieces, more)
        if room is not None:
            self._room = room
            try:
                await room
            finally:
                self._room = None

    async def _collect(self, pieces: Sequence[Any], more: bool) -> None:
        most = self._pool.limits.max_collected_body
        if self._sent > most:
            error = LocalProtocolError(
                f"a body without a length, of more than {most} bytes: SCGI wants the length first; send content-length"
            )
            self.abort_response(error)
            raise error
        file = self._collected
        for piece in pieces:
            file.write(piece)
        if more:
            return
        request = self.request
        file.seek(0)
        request.length = self._sent
        request.body = file.read(65536)
        request.more = self._sent > len(request.body)
        self.uploaded = not request.more
        self._collected = None
        try:
            self._pool.submit(self)
            self._sent = len(request.body)
            await self.started()
            while not self.uploaded and self.state != OVER:
                piece = file.read(262144)
                await self.send(piece, self._sent + len(piece) < request.length)
        finally:
            file.close()

    async def send_tunnel(self, data: Any, more: bool) -> None:
        """Bytes for the tunnel; with ``more`` False no further ones follow."""
        if self.state == OVER or self._carrier is None:
            return
        if not self.tunnel:
            raise LocalProtocolError("http.stream.data before a 101, or a 2xx to CONNECT")
        room = self._carrier.send_tunnel(self, data, more)
        if room is not None:
            await room

    def abandon(self) -> None:
        """The requesting side gives up: nothing more is delivered, and only this exchange ends."""
        carrier, running = self._carrier, self.state == RUNNING
        if self.state == WAITING:
            self._pool.withdraw(self)
        unread, self.buffered = self.buffered, 0
        self._events.clear()
        self._finish()
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)  # another task waits for what will not come
        if carrier is not None:
            if unread:
                carrier.taken(self, unread)
            if running:
                carrier.abandon(self)
            self._carrier = None

    # -- the carrying side -----------------------------------------------------------------------------------------

    def begun(self, carrier: Carrier, stream_id: int | None, reused: bool) -> None:
        """A connection has taken the request; its head was written."""
        self.state = RUNNING
        self._carrier = carrier
        self.stream_id = stream_id
        if not self._reported:  # once, also when it is sent again
            self._reported = True
            self._push(Connected(carrier, stream_id, reused))
        self._resolve_started()

    def deliver(self, event: Any) -> None:
        """Something of the answer."""
        if self.state == OVER:
            return
        kind = type(event)
        if kind is BodyArrived:
            self.buffered += len(event.data)
        elif kind is AnswerReceived:
            self.answered = True
            self.tunnel = event.tunnel
            if not event.more and not event.tunnel:
                self._finish()
        elif kind is AnswerEnded:
            self._finish()
        elif kind is InformationalReceived and not self.request.informational:
            return
        self._push(event)

    def fail(self, error: BaseException | None, stale: bool = False) -> None:
        """The answer will not be complete.

        Args:
            error: why; ``None`` for the end of a tunnel.
            stale: a connection that had been used before ended before a byte of the answer: most likely the peer
                closed it for being idle.
        """
        if self.state == OVER:
            return
        if self._may_retry(error, stale):
            self._tries -= 1
            self.state = WAITING
            self._carrier = None
            self._pool.submit(self, fresh=True)
            return
        self._finish()
        self._push(Failed(error))

    def _may_retry(self, error: BaseException | None, stale: bool) -> bool:
        """Once more, if that is safe and the body can be sent again."""
        request = self.request
        if self._tries < 1 or request.more or self.answered or self.tunnel:
            return False
        if isinstance(error, GoAway | StreamReset):
            return error.retryable
        return stale and request.idempotent  # RFC 9112 9.3.1

    def _total_passed(self) -> None:
        self.abort_response(ReadTimeout(f"the whole exchange took longer than {self.timeouts.total} s"))

    def abort_response(self, error: BaseException) -> None:
        """This side ends it, and the application gets the reason."""
        if self.state == OVER:
            return
        carrier = self._carrier if self.state == RUNNING else None
        if self.state == WAITING:
            self._pool.withdraw(self)
        self._tries = 0
        self.fail(error)
        if carrier is not None:
            carrier.abandon(self)

    def _push(self, event: Any) -> None:
        self._events.append(event)
        if self.listener is not None:
            self.listener(self)
        waiter = self._waiter
        if waiter is not None and not waiter.done():
            waiter.set_result(None)

    def _resolve_started(self) -> None:
        started, self._started = self._started, None
        if started is not None and not started.done():
            started.set_result(None)

    def _finish(self) -> None:
        self.state = OVER
        if self._limit is not None:
            self._limit.cancel()
            self._limit = None
        if self._collected is not None:
            self._collected.close()
            self._collected = None
        self._resolve_started()
        room = self._room
        if room is not None and not room.done():
            room.set_result(None)

    @property
    def over(self) -> bool:
        """Whether nothing more will come; what is in the queue can still be read."""
        return self.state == OVER
