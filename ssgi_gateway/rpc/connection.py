"""A client's connection: frames in, frames out, and the table of its open requests.

Messages come one at a time and in order (SSGI). ``on_message`` begins requests and feeds them, and never waits itself;
what it returns, if anything, is what has to be waited for before the next message is read. That is the backpressure:
items that are not taken, and answers that the peer does not read.
"""

from __future__ import annotations

import logging
import time as clock
from typing import TYPE_CHECKING, Any
from uuid import uuid4

import msgspec

from . import serving, table
from .current import INNERMOST
from .errors import ErrorCode
from .frames import (
    CREDIT,
    MESSAGE,
    METADATA,
    NIL,
    decode_any,
    decode_request,
    encode_answer,
    encode_error,
    explain_request,
)
from .hooks import run
from .request import CANCELLED, DISCONNECTED, RESERVED, Request, StreamingRequest, release
from .reserved import InvalidMetadata, read_reserved

if TYPE_CHECKING:
    from collections.abc import Awaitable

    from .app import Swill
    from .connection_data import ConnectionData
    from .procedures import Procedure
    from .runtime import Runtime

__all__ = ["Connection"]

logger = logging.getLogger("ssgi_gateway.rpc")

UNDECODABLE = (msgspec.MsgspecError, ValueError, RecursionError)
"""What decoding raises: ValueError for a timestamp that no datetime holds, RecursionError for nesting without end."""


class Connection:
    """One WebSocket.

    Attributes:
        id: 32 hexadecimal digits, unique.
        data: the request it began with: headers, cookies, query, path, client.
        opened: seconds since the epoch.
        requests: open requests by ``(rpc, seq)``.
        app: the application.
    """

    __slots__ = (
        "__weakref__",
        "_bad",
        "_congested",
        "_draining",
        "_full",
        "_idle",
        "_running",
        "_session",
        "_state",
        "accepted",
        "app",
        "closing",
        "data",
        "features",
        "greeted",
        "id",
        "loop",
        "opened",
        "requests",
        "runtime",
        "subscriptions",
        "time",
        "ws",
    )

    def __init__(self, app: Swill, runtime: Runtime, ws: Any, data: ConnectionData) -> None:
        self.app = app
        self.runtime = runtime
        self.loop = runtime.loop
        self.time = runtime.loop.time
        self.ws = ws
        self.data = data
        self.id = uuid4().hex
        self.opened = clock.time()
        self.requests: dict[tuple[str, int], Request[Any]] = {}
        self.features: frozenset[str] | None = None
        """What the client enabled by ``swill.hello``; ``None`` before."""
        self.greeted = False
        self.accepted = False
        self.closing = False
        self.subscriptions = 0
        self._bad = 0
        self._congested: Awaitable[Any] | None = None
        self._draining: table.Draining | None = None
        self._full: StreamingRequest[Any] | None = None
        self._idle: Any = None
        self._running: dict[Any, Request[Any]] | None = None
        self._session: Any = None
        self._state: dict[str, Any] | None = None

    # -- for applications ----------------------------------------------------------------------------------------

    @property
    def remote_address(self) -> str:
        """The client, as ``host:port``."""
        return self.data.client

    @property
    def query(self) -> dict[str, str]:
        """The query of the request it began with."""
        return self.data.query

    @property
    def state(self) -> dict[str, Any]:
        """A dict for the application."""
        if self._state is None:
            self._state = {}
        return self._state

    @property
    def session(self) -> Any:
        """The session.

        Raises:
            RuntimeError: the application has no ``sessions``.
        """
        if self._session is None:
            raise RuntimeError("there are no sessions here; make the application with Swill(..., sessions=...)")
        return self._session

    @session.setter
    def session(self, session: Any) -> None:
        self._session = session

    @property
    def has_session(self) -> bool:
        """Whether the application has sessions."""
        return self._session is not None

    def close(self, code: int = 1000, reason: str = "") -> Awaitable[bool]:
        """Close the connection; its requests are cancelled.

        Args:
            code: a close code; one below 1000 becomes 1008.
            reason: at most 123 bytes.

        Returns:
            An awaitable that may be ignored; see ``SSGIWebSocket.close``.
        """
        self.closing = True
        closed: Awaitable[bool] = self.ws.close(1008 if code < 1000 else code, cut(reason))
        self._cancel_all()
        return closed

    def __repr__(self) -> str:
        return f"<Connection {self.id[:8]} {self.remote_address}>"

    # -- frames in -----------------------------------------------------------------------------------------------

    def on_message(self, ws: Any, message: Any) -> Awaitable[None] | None:
        """A message has come; returns what has to be waited for before the next one."""
        if type(message) is str:
            self.close(1003, "frames are binary messages")
            return None
        if self.closing:
            return None
        try:
            frame = decode_request(message)
        except UNDECODABLE as error:
            self._malformed(message, error)
            return self._wait() if self._congested is not None else None
        key = (frame.rpc, frame.seq)
        request = self.requests.get(key)
        if request is None and frame.type == MESSAGE and (self._draining is None or key not in self._draining):
            procedure = self.app.procedures.get(frame.rpc)
            if procedure is not None:
                self._begin(procedure, frame, key, len(message))
                return self._wait() if self._congested is not None or self._full is not None else None
        self._by_table(frame, key, request, len(message))
        return self._wait() if self._congested is not None or self._full is not None else None

    def _state_of(self, key: tuple[str, int], request: Request[Any] | None) -> str:
        if request is not None:
            if not request.streams:
                return table.SINGLE
            return table.CLOSED if request.client_ended else table.OPEN
        if self._draining is not None and key in self._draining:
            return table.DRAINING
        procedure = self.app.procedures.get(key[0])
        if procedure is None:
            return table.NEW_UNKNOWN
        return table.NEW_STREAMING if procedure.streams_in else table.NEW_SINGLE

    def _by_table(self, frame: Any, key: tuple[str, int], request: Any, size: int) -> None:
        if frame.type == CREDIT and "credit" not in (self.features or ()):
            self._refuse_unknown_type(frame, request)
            return
        action = table.TRANSITIONS[self._state_of(key, request)][frame.type]
        if action is table.TAKE:
            self._take(request, frame, size)
        elif action is table.FINISH:
            self._finish_items(request)
        elif action is table.STOP:
            self.stop(request, CANCELLED)
        elif action is table.GRANT:
            self._grant(request, frame)
        elif action is table.FORGET:
            self._draining.discard(key)  # type: ignore[union-attr]
        elif action is table.BEGIN or action is table.BEGIN_EMPTY or action is table.REJECT:
            # A METADATA for a single procedure is refused where its hooks have run: the request exists, if not for
            # long.
            self._begin(self.app.procedures[frame.rpc], frame, key, size)
        elif action is table.NOT_FOUND:
            self.send_error(frame.seq, ErrorCode.NOT_FOUND, f"there is no procedure {frame.rpc!r}")
        elif action is table.REFUSE:
            what = "METADATA only opens a request" if request.streams else "this request is open, and takes one item"
            self.break_off(request, ErrorCode.BAD_REQUEST, what)
        elif action is table.LOG:
            logger.info(
                "%s %s#%d: ignored a frame of type %d: %s", self, *key, frame.type, self._state_of(key, request)
            )

    def _malformed(self, message: bytes, error: Exception) -> None:
        seq, words = explain_request(message, error)
        self._bad_frame(seq, words)

    def _bad_frame(self, seq: int, words: str) -> None:
        self._bad += 1
        self.send_error(seq, ErrorCode.BAD_REQUEST, words)
        if self._bad >= self.app.settings.max_bad_frames:
            logger.warning("%s: too many frames that are none; the last: %s", self, words)
            self.close(1008, "too many malformed frames")

    def _refuse_unknown_type(self, frame: Any, request: Request[Any] | None) -> None:
        """CREDIT is a type known only to clients that enabled it."""
        self._bad_frame(frame.seq, "frame type 4 is not known on this connection")

    # -- requests ------------------------------------------------------------------------------------------------

    def _begin(self, procedure: Procedure, frame: Any, key: tuple[str, int], size: int) -> None:
        app = self.app
        if len(self.requests) >= app.settings.max_requests or (
            self._running is not None and len(self._running) >= 2 * app.settings.max_requests
        ):
            self.send_error(frame.seq, ErrorCode.TOO_MANY, "too many requests are open on this connection")
            return
        if app.draining and not procedure.name.startswith(RESERVED):
            self.send_error(frame.seq, ErrorCode.UNAVAILABLE, "the server is about to restart")
            return
        request = procedure.request_class(self, procedure, frame.seq, frame.metadata)
        request.bytes_in = size
        if frame.metadata is not None or procedure.timeout is not None or app.settings.max_timeout is not None:
            try:
                read_reserved(request, frame.metadata)
            except InvalidMetadata as error:
                self.send_error(frame.seq, ErrorCode.BAD_REQUEST, str(error))
                return
        self.requests[key] = request
        if procedure.prepare is not None:
            procedure.prepare(self, frame.data)
        if procedure.direct and frame.type == MESSAGE:
            serving.serve_inline(request, frame)
            return
        if request.streams and request.window is not None and frame.type == MESSAGE:
            request.window.received()
        self.run_task(request, serving.serve(request, frame, size))

    def run_task(self, request: Request[Any], coroutine: Any) -> None:
        """Run what serves a request, to its first wait now."""
        task = self.runtime.scope.run(coroutine)
        if task is None:
            return
        request.task = task
        if self._running is None:
            self._running = {}
        self._running[task] = request
        self.runtime.scope.keep(task, self._ran)
        if request.cancelled:  # in its first step, when there was no task to cancel
            task.cancel()

    def _ran(self, task: Any) -> None:
        if self._running is not None:
            self._running.pop(task, None)
        if not task.cancelled() and task.exception() is not None:
            logger.error("%s: a request ended badly", self, exc_info=task.exception())

    def end(self, request: Request[Any]) -> None:
        """The request is over: nothing more is sent for it, and what still comes is dropped."""
        if request.over:
            return
        request.over = True
        key = (request.rpc, request.seq)
        if self.requests.get(key) is request:
            del self.requests[key]
        if request.timer is not None:
            request.timer.cancel()
        if request.when_over is not None:
            request.when_over()
        if isinstance(request, StreamingRequest):
            if not request.client_ended and request.outcome not in (CANCELLED, DISCONNECTED):
                if self._draining is None:
                    self._draining = table.Draining()
                self._draining.add(key)
            request.data.close()
            if request.feeder is not None:
                request.feeder.cancel()
        release(request.credit)
        if self._idle is not None and self.is_idle():
            release(self._idle)

    def stop(self, request: Request[Any], outcome: str) -> None:
        """End it without an answer and cancel its handler: the client cancelled it, or has disconnected."""
        request.cancelled = True
        if not request.over:
            request.outcome = outcome
            self.end(request)
        if request.task is not None:
            request.task.cancel()

    def break_off(self, request: Request[Any], code: int, message: str, data: Any = None) -> None:
        """End it with an ERROR, from outside of its handler, which is cancelled."""
        if request.over:
            return
        self.answer_error(request, code, message, data)
        request.cancelled = True
        if request.task is not None:
            request.task.cancel()

    def deadline_passed(self, request: Request[Any]) -> None:
        """Its time is up."""
        self.break_off(request, ErrorCode.DEADLINE, "the deadline has passed")

    def is_idle(self) -> bool:
        """Whether nothing is open but subscriptions, which go on elsewhere."""
        return all(request.rpc == "swill.subscribe" for request in self.requests.values())

    async def idle(self) -> None:
        """Wait until that is so."""
        if not self.is_idle():
            self._idle = self.loop.create_future()
            await self._idle

    # -- items ---------------------------------------------------------------------------------------------------

    def _take(self, request: StreamingRequest[Any], frame: Any, size: int) -> None:
        request.bytes_in += size
        if request.window is not None and not request.window.received():
            self.break_off(request, ErrorCode.BAD_REQUEST, "an item came without credit for it")
            return
        if request.inbox or not request.ready or request.procedure.hooks.item:
            request.inbox.append((frame, size))
            self.feed(request)
        else:
            serving.put_item(request, frame, size)
        if request.window is None and not self.has_room(request.data) and not request.over:
            self._full = request

    def _finish_items(self, request: StreamingRequest[Any]) -> None:
        request.client_ended = True
        if request.inbox or not request.ready:
            request.inbox.append(None)
            self.feed(request)
        else:
            request.data.end()

    def feed(self, request: StreamingRequest[Any]) -> None:
        """Let what waits in the inbox pass the hooks, unless that is going on or the request is not begun."""
        if request.ready and request.inbox and not request.feeding:
            request.feeding = True
            feeder = request.feeder = self.runtime.scope.run(serving.feed(request))
            if feeder is not None:
                self.runtime.scope.keep(feeder, self._ran)

    def has_room(self, items: Any) -> bool:
        """Whether another item may wait."""
        settings = self.app.settings
        waiting = len(items) + len(items.request.inbox)
        return waiting < settings.max_queue and items.size < settings.max_queue_bytes

    def item_taken(self, request: StreamingRequest[Any]) -> None:
        """The handler took an item: give credit for more when half of the window is used up."""
        credit = request.window.taken()  # type: ignore[union-attr]
        if credit and not request.client_ended and not request.over:
            self.ws.send(encode_answer(request.seq, credit, CREDIT))

    def _grant(self, request: Request[Any], frame: Any) -> None:
        try:
            credit = decode_any(frame.data)
        except UNDECODABLE:
            credit = None
        if request.window is None or not request.window.granted(credit):
            self.break_off(request, ErrorCode.BAD_REQUEST, "CREDIT is a positive integer, on a request with a window")
        else:
            release(request.credit)

    async def _wait(self) -> None:
        """Until the peer has read, and the handlers have taken, what is bounded."""
        while True:
            congested, self._congested = self._congested, None
            if congested is not None:
                await congested
                continue
            full, self._full = self._full, None
            if full is None:
                return
            if not full.over and not self.has_room(full.data):
                await full.data.room()

    # -- frames out ----------------------------------------------------------------------------------------------

    def send(self, request: Request[Any], payload: bytes) -> Awaitable[bool]:
        """Send a frame of a request; the awaitable may be ignored."""
        request.bytes_out += len(payload)
        sent: Awaitable[bool] = self.ws.send(payload)
        return sent

    def send_last(self, request: Request[Any], payload: bytes) -> None:
        """Send the frame that ends a request. If the peer does not read, its next message waits."""
        request.bytes_out += len(payload)
        sent = self.ws.send(payload)
        if sent is not self.runtime.ready:
            self._congested = sent
        self.end(request)

    def answer_error(self, request: Request[Any], code: int, message: str, data: Any = None) -> None:
        """End a request with an ERROR."""
        if request.over:
            return
        request.outcome, request.code = "error", int(code)
        try:
            payload = encode_error(request.seq, int(code), message, data)
        except (TypeError, ValueError, OverflowError, RecursionError):
            logger.exception("%s %s: the data of its error cannot be encoded", self, request)
            payload = encode_error(request.seq, int(code), message)
        self.send_last(request, payload)

    def send_error(self, seq: int, code: int, message: str) -> None:
        """An ERROR for what is no request."""
        sent = self.ws.send(encode_error(seq, int(code), message))
        if sent is not self.runtime.ready:
            self._congested = sent

    def send_control(self, metadata: dict[str, Any]) -> None:
        """Send a message about the connection to a client that enabled them."""
        if self.features is not None and "control" in self.features and not self.closing:
            self.ws.send(encode_answer(0, NIL, METADATA, metadata))

    # -- its end -------------------------------------------------------------------------------------------------

    def _cancel_all(self) -> None:
        for request in tuple(self.requests.values()):
            self.stop(request, DISCONNECTED)

    async def closed(self, ws: Any, code: int, reason: str) -> None:
        """The WebSocket is over; called once."""
        self.closing = True
        self._cancel_all()
        self.app.forget(self)
        if not self.accepted:
            return
        running = list(self._running or ())
        if running:
            await serving.wait_for(running, self.app.settings.closing_timeout, self)
        token = INNERMOST.set(self)
        try:
            for hook in self.app.connection_hooks("after_connection"):
                try:
                    await run((hook,), self)
                except Exception:
                    logger.exception("%s: an after_connection hook failed", self)
            self.app.tell_closed(self, code)
        finally:
            INNERMOST.reset(token)


def cut(reason: str) -> str:
    """A reason of at most 123 bytes (RFC 6455 5.5)."""
    encoded = reason.encode("utf-8", "replace")
    return reason if len(encoded) <= 123 else encoded[:120].decode("utf-8", "ignore") + "..."
