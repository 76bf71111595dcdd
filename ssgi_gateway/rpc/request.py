"""``Request``, ``StreamingRequest`` and ``Response``: what a procedure is called with.

What few requests need has its default on the class, so that a small request sets few attributes.
"""

from __future__ import annotations

import asyncio
from collections import deque
from typing import TYPE_CHECKING, Any, Final, Generic, NoReturn, TypeVar

from .errors import Error, SwillResponseError
from .frames import METADATA, encode_answer
from .hooks import run_replacing

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

    from .connection import Connection
    from .flow import Window
    from .procedures import Procedure

__all__ = ["Items", "Request", "Response", "StreamingRequest", "Tracked", "tracked"]

T = TypeVar("T")

OK, ERROR, CANCELLED, DISCONNECTED = "ok", "error", "cancelled", "disconnected"


class Request(Generic[T]):
    """One call of a procedure; ``data`` is its item.

    Attributes:
        data: what the client sent, decoded and valid.
        metadata: what it sent beside it, without the reserved keys (``swill.``); empty if nothing.
        seq: the client's number of this request.
        rpc: the procedure's name.
        connection: whose request it is.
        cancelled: whether the answer is not wanted any more: cancelled, or disconnected. A thread looks here.
        outcome: in ``after_request``: ``ok``, ``error``, ``cancelled`` or ``disconnected``.
        code: in ``after_request``: the error's code, 0 without one.
        messages_in, messages_out: items so far.
    """

    data: T
    streams = False
    cancelled = False
    over = False
    """Nothing more is sent for it."""
    client_ended = True
    """No more items come."""
    deadline: float | None = None
    """On the clock of the event loop; ``None`` without one."""
    since: str | None = None
    """Of a resumed stream of ``tracked`` items: the last id that the client saw."""
    outcome = OK
    code = 0
    messages_in = 0
    messages_out = 0
    bytes_in = 0
    bytes_out = 0
    window: Window | None = None
    credit: asyncio.Future[None] | None = None
    """What the handler waits for when it may send nothing more."""
    when_over: Callable[[], None] | None = None
    """What has to happen at once when nothing more may be sent for it."""
    task: asyncio.Task[Any] | None = None
    timer: asyncio.TimerHandle | None = None
    response_so_far: Response | None = None
    _state: dict[str, Any] | None = None

    def __init__(self, connection: Connection, procedure: Procedure, seq: int, metadata: Any) -> None:
        self.connection = connection
        self.procedure = procedure
        self.rpc = procedure.name
        self.seq = seq
        self.metadata: dict[str, Any] = {} if metadata is None else metadata
        self.started = connection.time()

    @property
    def app(self) -> Any:
        """The application."""
        return self.connection.app

    @property
    def reference(self) -> tuple[str, int]:
        """What it is known by within its connection: ``(rpc, seq)``."""
        return (self.rpc, self.seq)

    @property
    def session(self) -> Any:
        """The connection's session."""
        return self.connection.session

    @property
    def response(self) -> Response:
        """Its response, where metadata is set."""
        if self.response_so_far is None:
            self.response_so_far = Response(self)
        return self.response_so_far

    @property
    def state(self) -> dict[str, Any]:
        """A dict for the application, hooks included."""
        if self._state is None:
            self._state = {}
        return self._state

    @property
    def seconds(self) -> float:
        """How long it has been going on."""
        return self.connection.time() - self.started

    def remaining(self) -> float | None:
        """Seconds until the deadline, 0 if it has passed; ``None`` without one."""
        return None if self.deadline is None else max(0.0, self.deadline - self.connection.time())

    def abort(self, *, code: int = 500, message: str = "", data: Any = None) -> NoReturn:
        """End it with an error.

        Raises:
            Error: always.
        """
        raise Error(code=code, message=message, data=data)

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.rpc}#{self.seq}>"


class StreamingRequest(Request[T]):
    """A call whose items come one after the other: ``async for item in request.data``."""

    data: Items[T]  # type: ignore[assignment]
    streams = True
    client_ended = False
    ready = False
    """Whether the opening frame has been dealt with; frames that come before wait in ``inbox``."""

    feeder: asyncio.Task[Any] | None = None
    feeding = False

    def __init__(self, connection: Connection, procedure: Procedure, seq: int, metadata: Any) -> None:
        super().__init__(connection, procedure, seq, metadata)
        self.data = Items(self)
        self.inbox: deque[Any] = deque()
        """Frames that wait for hooks, ``None`` for the end."""


class Items(Generic[T]):
    """The items of a streaming request, in order: an async iterator.

    Bounded: what takes no items makes the client wait (``Connection``), or has given it credit for so many.
    """

    __slots__ = ("_ended", "_items", "_room", "_waiter", "request", "size")

    def __init__(self, request: StreamingRequest[T]) -> None:
        self.request = request
        self._items: deque[tuple[T, int]] = deque()
        self._waiter: asyncio.Future[None] | None = None
        self._room: asyncio.Future[None] | None = None
        self._ended = False
        self.size = 0
        """Bytes of what waits, as it came."""

    def __len__(self) -> int:
        return len(self._items)

    def __aiter__(self) -> AsyncIterator[T]:
        return self

    async def __anext__(self) -> T:
        while not self._items:
            if self._ended:
                raise StopAsyncIteration
            self._waiter = self.request.connection.loop.create_future()
            try:
                await self._waiter
            finally:
                self._waiter = None
        item, size = self._items.popleft()
        self.size -= size
        if self._room is not None and self.request.connection.has_room(self):
            release(self._room)
            self._room = None
        if self.request.window is not None:
            self.request.connection.item_taken(self.request)
        return item

    def put(self, item: T, size: int) -> None:
        """One more."""
        self._items.append((item, size))
        self.size += size
        release(self._waiter)

    def end(self) -> None:
        """No more."""
        self._ended = True
        release(self._waiter)

    def close(self) -> None:
        """What is left will not be taken; a writer that waits for room goes on."""
        self._items.clear()
        self.size = 0
        self._ended = True
        release(self._room)
        self._room = None

    async def room(self) -> None:
        """Wait until one may be put."""
        if self._room is None:
            self._room = self.request.connection.loop.create_future()
        await asyncio.shield(self._room)


class Response:
    """The metadata of an answer: leading, before the first item, and trailing, with the end."""

    __slots__ = ("_request", "leading", "sent", "trailing")

    def __init__(self, request: Request[Any]) -> None:
        self._request = request
        self.leading: dict[str, Any] | None = None
        self.trailing: dict[str, Any] | None = None
        self.sent = request.messages_out > 0
        """Whether leading metadata, or the frame that would have carried it, is out."""

    async def set_leading_metadata(self, metadata: dict[str, Any], send_immediately: bool = True) -> None:
        """Set what the client gets before the first item.

        Args:
            metadata: a map with text keys.
            send_immediately: send it now, alone; otherwise it goes with the first frame.

        Raises:
            SwillResponseError: the first frame, or the metadata, has been sent.
        """
        if self.sent:
            raise SwillResponseError("leading metadata goes once and before the first frame; one has been sent already")
        self.leading = check_metadata(metadata)
        if send_immediately:
            leading = await self.take()
            request = self._request
            if not request.over:
                await request.connection.send(request, encode_answer(request.seq, None, METADATA, leading))

    def set_trailing_metadata(self, metadata: dict[str, Any]) -> None:
        """Set what the client gets with the end; the last call wins."""
        self.trailing = check_metadata(metadata)

    async def take(self) -> dict[str, Any] | None:
        """Leading metadata for the frame that is about to be sent; ``None`` after the first time."""
        if self.sent:
            return None
        self.sent = True
        hooks = self._request.procedure.hooks.before_leading_metadata
        if hooks:
            self.leading = await run_replacing(hooks, self._request, self.leading)
        return self.leading

    def __repr__(self) -> str:
        return f"<Response {self._request.rpc}#{self._request.seq}>"


class Tracked:
    """An item with a position; see ``tracked``."""

    __slots__ = ("id", "value")

    def __init__(self, id: str, value: Any) -> None:
        self.id = id
        self.value = value


def tracked(id: str, value: Any) -> Any:
    """Give an item of a stream a position: it is sent as ``{id, data}``.

    A client that was disconnected calls the procedure again with the id that it saw last: ``request.since``.
    """
    return Tracked(str(id), value)


def check_metadata(metadata: Any) -> dict[str, Any]:
    """A map with text keys.

    Raises:
        SwillResponseError: it is none.
    """
    if not isinstance(metadata, dict) or not all(isinstance(key, str) for key in metadata):
        raise SwillResponseError(f"metadata is a dict with text keys, not {metadata!r}")
    return metadata


def release(waiter: asyncio.Future[None] | None) -> None:
    """Let one that waits go on."""
    if waiter is not None and not waiter.done():
        waiter.set_result(None)


RESERVED: Final = "swill."
"""What reserved metadata keys, and procedures of this package, begin with."""
