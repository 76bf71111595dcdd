"""``SSGIWebSocket``: from the request to upgrade until both sides have closed.

Messages reach the handler one at a time and in order. While there is no handler, and for adapters whose applications
ask for messages (``take``), they wait in a queue that is bounded in messages and in bytes; when it is full the server
stops reading: that is the backpressure. Nothing is decoded or inflated that there is no room for.
This module does not know how frames look or what carries them.
"""

from __future__ import annotations

import logging
from collections import deque
from contextvars import copy_context
from sys import getsizeof
from time import perf_counter
from typing import TYPE_CHECKING, Any, Final

from ssgi_gateway.ssgi import WebSocketStatus
from ssgi_gateway.wire.websocket.close_codes import BROKEN

from ..wire.response_head import ResponseHead
from .awaitables import FALSE, TRUE, WhenWritable, is_pending
from .channel import UNANSWERED, SharedMessage
from .exchange import Exchange, flat
from .step import call_receiver

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Awaitable, Iterable, Mapping
    from contextvars import Context

    from ..wire.cgi import RequestHead
    from .channel import HttpChannel, WebSocketChannel

logger = logging.getLogger("ssgi_gateway.app")

PENDING = WebSocketStatus.PENDING
REJECTED = WebSocketStatus.REJECTED
CLOSED = WebSocketStatus.CLOSED
ACCEPTED = WebSocketStatus.ACCEPTED

SHARE: Final = 0.005
"""Seconds that the messages of one WebSocket may take in one turn of the loop; then all others have theirs. One handler
may take longer: it cannot be interrupted."""

OBJECT: Final = 49
"""Bytes of memory that a message takes besides its own."""


def memory_of(message: str | bytes) -> int:
    """Bytes of memory that a message takes; ``getsizeof`` costs more than all else on the way of a small one."""
    if type(message) is bytes:
        return len(message) + OBJECT
    return len(message) + OBJECT if message.isascii() else getsizeof(message)


def send_to_all(websockets: list[WebSocket], payload: bytes) -> list[tuple[WebSocket, Awaitable[bool]]]:
    """Send one binary message to many; its frame is made once. Closed ones are passed over.

    Returns:
        Those whose peers can take no more right now, each with what ``send`` would have returned.
    """
    message = SharedMessage(payload)
    behind: list[tuple[WebSocket, Awaitable[bool]]] = []
    for websocket in websockets:
        if websocket.status is ACCEPTED:
            channel: WebSocketChannel = websocket.channel
            if not channel.send_shared(message):
                behind.append((websocket, WhenWritable(websocket)))
    return behind


class WebSocket(Exchange):
    """One WebSocket. The rules of each member are those of SSGI 1.0 (``ssgi_gateway.ssgi.SSGIWebSocket``)."""

    __slots__ = (
        "_args",
        "_busy",
        "_context",
        "_ended",
        "_offered",
        "_queue",
        "_queue_limit",
        "_queue_size",
        "_queued",
        "_receiver",
        "_rejected",
        "_starting",
        "_stopped",
        "_taker",
        "leaving",
        "status",
    )

    channel: Any  # an HttpChannel, and a WebSocketChannel once it is accepted

    def __init__(
        self,
        channel: HttpChannel,
        request: RequestHead,
        offered: list[str],
        queue_limit: int,
        queue_size: int = 262144,
    ) -> None:
        self._init_base(channel, request)
        self.status = PENDING
        self._offered = offered
        self._queue: deque[str | bytes] | None = None
        self._queue_limit = queue_limit
        self._queue_size = queue_size
        self._queued = 0  # bytes of memory that the queue's messages take
        self._stopped = False  # the server has stopped reading, because no more messages can be taken
        self._taker: Any = None
        self._receiver: Any = None
        self._args: tuple[Any, ...] = ()
        self._context: Context | None = None  # in which the receiver runs
        self._busy = False
        self._rejected = 0
        self.leaving = False  # the server has closed, and its peer has not yet
        self._starting = False  # an async handler's task is being made, and may have ended before that returns
        self._ended: tuple[int, str] | None = None

    # -- the handshake -------------------------------------------------------------------------------------------

    def accept(
        self, protocol: str | None = None, headers: Iterable[tuple[str, str]] | Mapping[str, str] | None = None
    ) -> Awaitable[bool]:
        """Accept the upgrade, at once.

        Args:
            protocol: the subprotocol; ``None`` picks the first offered, ``""`` none.
            headers: more headers for the 101 answer, a superset of the draft.

        Returns:
            An awaitable of bool that may be ignored; ``False`` unless the WebSocket was pending.

        Raises:
            ValueError: a subprotocol that was not offered (RFC 6455 4.2.2), or an invalid header.
        """
        if self.status is not PENDING:
            return FALSE
        if protocol is None:
            protocol = self._offered[0] if self._offered else ""
        elif protocol and protocol not in self._offered:
            offered = ", ".join(self._offered) or "none"
            raise ValueError(f"subprotocol {protocol!r} was not offered by the client (offered: {offered})")
        self.channel = self.channel.switch(self, str.__str__(protocol), headers)
        if self._ended is not None:
            return FALSE  # the connection was lost when the answer was written
        self.status = ACCEPTED
        return TRUE

    def reject(
        self,
        status_code: int | str = 403,
        payload: Any = None,
        headers: Iterable[tuple[str, str]] | Mapping[str, str] | None = None,
    ) -> Awaitable[bool]:
        """Give a complete HTTP answer in place of the upgrade; awaitable of bool, ``False`` unless pending.

        Raises:
            ValueError: an invalid status or header, or a Content-Length that is not the payload's.
        """
        if self.status is not PENDING:
            return FALSE
        head = ResponseHead(self.channel.front_files)
        head.set_status(status_code)
        if headers is not None:
            head.add(headers)
        body = b"" if payload is None else bytes(flat(payload))
        if head.status == 204 or head.status == 304:
            body = b""  # RFC 9110 6.4.1; the length that a 304 declares is another answer's
        else:
            head.set_content_length(len(body))
        self.status = REJECTED
        self._handlers = None
        self._rejected = head.status
        self.sent = len(body)
        self.channel.write(head, body, True)
        return TRUE

    def duplicate(self) -> int:
        """A descriptor of the connection, for a library that may take it over; on the loop."""
        return int(self.channel.duplicate())

    def take_over(self, theirs: Any, lock: Any) -> bytes:
        """Leave the connection to a library that answers the handshake and speaks the protocol itself.

        Args:
            theirs: its socket, of a descriptor that ``duplicate`` gave.
            lock: held while it writes.

        Returns:
            What has arrived behind the request.

        Raises:
            ConnectionAbortedError: the client has disconnected.
        """
        if self.status is not PENDING:
            raise ConnectionAbortedError("the client disconnected before its WebSocket was accepted")
        self.channel, trailing = self.channel.take_over(self, theirs, lock)
        self.status = ACCEPTED
        return bytes(trailing)

    def give_back(self) -> None:
        """The library is done with the connection that it has taken over."""
        self.channel.give_back()

    # -- messages ------------------------------------------------------------------------------------------------

    def send(self, payload: Any) -> Awaitable[bool]:
        """Send a message: ``str`` as text, bytes-like as binary.

        Returns:
            An awaitable that may be ignored: ``True`` when the peer can take more, ``False`` when it is closed.

        Raises:
            RuntimeError: the WebSocket was not accepted yet.
            TypeError: ``payload`` is neither ``str`` nor bytes-like.
        """
        if self.status is ACCEPTED:
            if type(payload) is not str and type(payload) is not bytes:
                payload = str.__str__(payload) if isinstance(payload, str) else flat(payload)
            channel: WebSocketChannel = self.channel
            if not channel.send_message(payload):
                return WhenWritable(self)
            return TRUE if self.status is ACCEPTED else FALSE
        if self.status is PENDING:
            raise RuntimeError("send was called before accept")
        return FALSE

    def close(self, code: int = 1000, reason: str | None = None) -> Awaitable[bool]:
        """Begin the closing handshake; while pending it is ``reject(403)``; a second call has no effect.

        Raises:
            ValueError: a code that must not be sent (RFC 6455 7.4), or a reason over 123 bytes.
        """
        if self.status is PENDING:
            return self.reject(403)
        if self.status is not ACCEPTED:
            return FALSE
        self.channel.send_close(code, "" if reason is None else str.__str__(reason))
        self.status = CLOSED
        self._drop_queue()
        return TRUE

    def leave(self, code: int, reason: str) -> None:
        """The server closes, for reasons of its own: nothing more is sent, what still arrives is delivered."""
        if self.status is ACCEPTED:
            self.leaving = True
            self.channel.send_close(code, reason)
            self.status = CLOSED

    # -- handlers ------------------------------------------------------------------------------------------------

    def on_receive(self, handler: Any, *args: Any) -> None:
        """Call ``handler(ws, message, *args)``, sync or async, for each message: one at a time and in order.

        It runs in a copy of the context in which this is called, the same for all messages.
        """
        if not callable(handler):
            raise TypeError(f"on_receive needs a callable, not {type(handler).__name__}")
        self.when_received(handler, args, copy_context())

    def when_received(self, handler: Any, args: tuple[Any, ...], context: Context | None) -> None:
        """``on_receive`` for adapters, without a context."""
        self._receiver = handler
        self._args = args
        self._context = context
        if self._queue:
            self._next()

    def on_close(self, handler: Any, *args: Any) -> None:
        """Call ``handler(ws, code, reason, *args)`` once when it is over; 1005 without a code, 1006 when broken.

        It runs in a copy of the context in which this is called.
        """
        self.when_closed(handler, args, copy_context())

    def when_closed(self, handler: Any, args: tuple[Any, ...], context: Context | None) -> None:
        """``on_close`` for adapters, without a context."""
        if self._ended is not None:
            self.notify(handler, (self, *self._ended, *args), context)
        else:
            self._handlers = [*(self._handlers or ()), (handler, args, context)]

    # -- for adapters whose applications ask for messages --------------------------------------------------------

    def on_waiting(self, taker: Any) -> None:
        """Call ``taker()`` when a message has come that ``take`` returns; in place of ``on_receive``."""
        self._taker = taker

    def take(self) -> str | bytes | None:
        """The message that waits longest; ``None`` when none does. After the end, those that came before it."""
        if not self._queue:
            return None
        message = self._queue.popleft()
        self._queued -= memory_of(message)
        # At half of it, so that a busy WebSocket is not stopped and started for each message.
        if self._stopped and len(self._queue) * 2 <= self._queue_limit and self._queued * 2 <= self._queue_size:
            self._stopped = False
            self.channel.receive_more()
        return message

    # -- for the server ------------------------------------------------------------------------------------------

    def finished(self) -> bool:
        """Whether the application has decided about the upgrade; from then on the connection keeps it alive."""
        return self.status is not PENDING

    def committed(self) -> bool:
        """Whether the upgrade was decided."""
        return self.status is not PENDING

    def gone(self) -> bool:
        """Whether it is closed, by either side."""
        return self.status is not ACCEPTED

    def answered(self) -> int:
        """The status of a rejection, 0 if there is none."""
        return self._rejected

    def deliver(self, message: str | bytes) -> bool:
        """A message has arrived; returns whether another one may."""
        if self._busy or self._receiver is None or self._queue:
            if self._queue is None:
                self._queue = deque()
            self._queue.append(message)
            self._queued += memory_of(message)
            self._stopped = len(self._queue) >= self._queue_limit or self._queued >= self._queue_size
            if self._taker is not None:
                self._taker()
            return not self._stopped
        self._dispatch(message)
        return not self._busy

    def busy(self) -> bool:
        """Whether no message can be taken: an async handler runs, or the queue is full."""
        return self._busy or self._stopped

    def ended(self, code: int, reason: str) -> None:
        """The connection is over, by a closing handshake or not; call the handlers, once."""
        if self._ended is not None:
            return
        self._ended = (code, reason)
        if self.status is PENDING:
            self.status = REJECTED
        elif self.status is ACCEPTED:
            self.status = CLOSED
        handlers, self._handlers = self._handlers, None
        if handlers is None:
            self.cancel()
        else:
            for handler, args, context in handlers:
                self.notify(handler, (self, code, reason, *args), context)

    def abort(self) -> None:
        """The peer disconnected before the upgrade was decided."""
        self.ended(BROKEN, "")

    def hurry(self, urgency: int) -> None:
        """Refuse an upgrade that is still pending; an open WebSocket is closed by its protocol."""
        if urgency >= UNANSWERED and self.status is PENDING:
            self.reject(503, None, [("Retry-After", "1")])
            self.cancel()

    def time_out(self) -> None:
        """504 while nothing else was answered."""
        tasks = tuple(self._holders or ())
        if self.status is PENDING:
            self.reject(504)
        for task in tasks:
            task.cancel()

    def answer_nothing(self) -> None:
        """Refuse a pending WebSocket that cannot be answered any more."""
        logger.error("%s: the application neither accepted nor rejected the WebSocket", self.label())
        self.reject(403)

    def answer_failure(self, exc: BaseException | None) -> None:
        """500 while pending, 1011 afterwards (RFC 6455 7.4.1)."""
        if self.status is PENDING:
            kind, page = self.channel.failure_page(exc, None)
            self.reject(500, page, [("Content-Type", kind)])
        else:
            self.close(1011)

    # -- inside --------------------------------------------------------------------------------------------------

    def _dispatch(self, message: str | bytes) -> None:
        self._busy = True  # for a sync handler as well: nothing that it calls may begin the next message
        context = self._context
        try:
            if context is None:
                result = self._receiver(self, message, *self._args)
            else:
                result = call_receiver(context, self._receiver, self, message, self._args)
            pending = is_pending(result)
        except BaseException as exc:
            self._busy = False
            self._receiver_failed(exc)
            return
        if pending:
            self._starting = True
            try:
                self._spawn(result, self._received, context)
            finally:
                self._starting = False
        else:
            self._busy = False

    def _received(self, task: asyncio.Task[Any]) -> None:
        """An async handler has ended: the next message may go."""
        self._busy = False
        self.release(task)
        if not task.cancelled() and task.exception() is not None:
            self._receiver_failed(task.exception())
        if not self._starting:
            self._next()
        # Otherwise it ended at once, and who called ``_dispatch`` goes on. To begin the next message here would be one
        # call inside the other for as many messages as there are.

    def _next(self) -> None:
        """Hand out what waits, for a share of this turn, and then have more come."""
        until = perf_counter() + SHARE
        while self._queue and not self._busy:
            message = self._queue.popleft()
            self._queued -= memory_of(message)
            self._dispatch(message)
            if self._queue and not self._busy and perf_counter() > until:
                self._busy = True
                self.channel.scope.loop.call_soon(self._next_turn)
        if not self._busy and (self.status is ACCEPTED or self.leaving):
            self._stopped = False
            self.channel.receive_more()

    def _next_turn(self) -> None:
        self._busy = False
        self._next()

    def _drop_queue(self) -> None:
        self._queue = None
        self._queued = 0
        self._stopped = False

    def _receiver_failed(self, exc: BaseException | None) -> None:
        self._log(exc)
        self._drop_queue()
        self.close(1011)

    def fail(self, exc: BaseException | None) -> None:
        """The call raised: after an accept this ends the connection, because nothing may be left to serve it."""
        self._log(exc)
        if self.status is PENDING or self.status is ACCEPTED:
            self.answer_failure(exc)
