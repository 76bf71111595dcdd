"""What a response or a WebSocket needs from the connection below it: its two halves, and what they share.

An exchange begins on an ``HttpChannel``; an accepted WebSocket goes on with a ``WebSocketChannel``. The server has each
once for every way a request can arrive; an application's objects know nothing else of the wire.

A channel is also what a connection hands its bytes to: one object for both directions, and base classes in place of a
``typing.Protocol``, because compiled each call through them then costs what a C call costs. Compiled, no object can be
both halves.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from asyncio import Future

    from ssgi_gateway.wire.file_slice import FileSlice

    from ..wire.response_head import ResponseHead
    from .body import RequestBody
    from .exchange import Exchange
    from .tasks import TaskScope


class SharedMessage:
    """One binary WebSocket message for many connections; it is encoded by the first that sends it.

    Args:
        payload: the message.
    """

    __slots__ = ("frame", "payload")

    def __init__(self, payload: bytes) -> None:
        self.payload = payload
        self.frame: bytes | None = None
        """What goes out on every connection that does not compress it."""


RECONNECTING: Final = 0
"""``hurry``: event streams that were asked for with GET. A browser's EventSource connects again by itself."""

UNANSWERED: Final = 1
"""``hurry``: those, and requests of which nothing has been answered."""

UNENDED: Final = 2
"""``hurry``: all of which a client gets an orderly end, for they would be cut off next."""


class Protocol:
    """The meaning of one connection's bytes, to the connection."""

    __slots__ = ()

    def data_received(self, data: bytes) -> None:
        """Bytes, never empty."""
        raise NotImplementedError

    def eof_received(self) -> None:
        """The peer will send nothing more."""
        raise NotImplementedError

    def connection_lost(self) -> None:
        """The connection is closed and was not closed by this protocol."""
        raise NotImplementedError

    def deadline_passed(self) -> None:
        """The time set in ``connection.deadline`` has come."""
        raise NotImplementedError

    def shut_down(self) -> None:
        """The server drains: finish what is in progress and begin nothing new."""
        raise NotImplementedError

    def hurry(self, urgency: int) -> None:
        """The drain goes on: end in order what would hold it, and the client can begin again (``RECONNECTING`` ...)."""

    def movable(self) -> str:
        """The wire protocol, where nothing has begun here and another process could go on with it; otherwise ""."""
        return ""


class Channel(Protocol):
    """One exchange's way to its peer. Where there is no connection below, what a ``Protocol`` has is not called."""

    __slots__ = ("scope",)

    scope: TaskScope

    def when_writable(self) -> Future[bool]:
        """A future of ``True`` when less than the low-water mark is waiting, ``False`` when the connection is lost."""
        raise NotImplementedError

    def describe(self) -> dict[str, Any]:
        """What the connection adds to ``extensions``: ``protocol``, ``state``."""
        raise NotImplementedError

    def application_failed(self, exchange: Exchange) -> None:
        """The application of ``exchange`` raised, or left it without an answer; it is logged and answered elsewhere."""


class HttpChannel(Channel):
    """A request that is answered here; or handed on, where it is one to upgrade."""

    __slots__ = ("front_files",)

    front_files: bool

    def write(self, head: ResponseHead | None, data: Any, end: bool) -> bool:
        """Write a piece of the answer; returns whether the peer can take more right now.

        Args:
            head: before the first piece, otherwise ``None``; nothing changes it any more.
            data: bytes-like, or ``None``.
            end: whether this is the last piece.
        """
        raise NotImplementedError

    def write_file(self, head: ResponseHead | None, file: FileSlice, end: bool) -> bool:
        """As ``write``, with a part of a file for the data."""
        raise NotImplementedError

    def offload_file(self, fd: int) -> tuple[str, str] | None:
        """The header by which the web server sends the open file ``fd`` itself; ``None`` where it may not."""
        raise NotImplementedError

    def when_flushed(self) -> Future[bool]:
        """A future of ``True`` when all that was written has left this process, ``False`` when it cannot."""
        raise NotImplementedError

    def body_consumed(self, body: RequestBody) -> None:
        """The application has read: the peer may send more."""
        raise NotImplementedError

    def abort_response(self) -> None:
        """End the connection so that what was written so far cannot be taken for a whole answer."""
        raise NotImplementedError

    def failure_page(self, exc: BaseException | None, accept: str | None) -> tuple[str, str]:
        """The Content-Type and the body of a 500: the traceback in development, otherwise a sentence.

        Args:
            exc: what the application raised, if it did.
            accept: the request's header of that name.
        """
        raise NotImplementedError

    def switch(self, websocket: Any, subprotocol: str, headers: Any) -> WebSocketChannel:
        """Answer 101; returns the channel that carries the frames of ``websocket`` from here on."""
        raise NotImplementedError

    def duplicate(self) -> int:
        """A descriptor of the connection, for a library that may take it over."""
        raise NotImplementedError

    def take_over(self, websocket: Any, theirs: Any, lock: Any) -> tuple[WebSocketChannel, bytes]:
        """Leave the connection of ``websocket``, a request to upgrade, to a library that answers it and goes on.

        Args:
            websocket: the WebSocket.
            theirs: their socket, of a descriptor that ``duplicate`` gave.
            lock: held while they write.

        Returns:
            The channel that is left, and what has arrived behind the request.
        """
        raise NotImplementedError


class WebSocketChannel(Channel):
    """An accepted WebSocket."""

    __slots__ = ()

    def send_message(self, message: Any) -> bool:
        """Write one message; returns whether the peer can take more right now."""
        raise NotImplementedError

    def send_shared(self, message: SharedMessage) -> bool:
        """As ``send_message``, for a message that goes to many."""
        return self.send_message(message.payload)

    def send_close(self, code: int, reason: str) -> None:
        """Begin the closing handshake (RFC 6455 7.1.2)."""
        raise NotImplementedError

    def receive_more(self) -> None:
        """The application can take messages again."""
        raise NotImplementedError

    def give_back(self) -> None:
        """The library that took the connection over by ``take_over`` is done with it."""
        raise NotImplementedError
