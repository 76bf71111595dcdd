"""SSGI 1.0, the Simple Server Gateway Interface, as types.

An SSGI application is one callable with eight positional arguments::

    def app(type, server_address, remote_address, method, path, query_string, get_header, res): ...  # sync or async

``SSGIApplication`` gives the rules of the call, ``SSGIHttpResponse`` and ``SSGIWebSocket`` those of ``res``, and
``SSGIFramework`` lets a framework choose the interface that a server calls it with. Servers implement these
protocols, applications use them, and neither has to inherit from anything.

This module imports nothing but the standard library and knows no server: annotate with it, copy it, or test against
it. ``isinstance`` with a protocol of this module checks that the members exist, not what they do.

What an application does wrong is a ``ValueError`` (a value) or a ``RuntimeError`` (the moment of a call), raised
where it was done. A peer that has disconnected is no mistake: writing then has no effect, which its result shows, and
only reading a body that will never come raises, ``ConnectionAbortedError``.
"""

from __future__ import annotations

import enum
from abc import abstractmethod
from collections.abc import Awaitable, Callable, Coroutine, ItemsView, Iterable, Iterator, KeysView, Mapping, ValuesView
from typing import TYPE_CHECKING, Any, Literal, Protocol, TypeAlias, TypeVar, overload, runtime_checkable

if TYPE_CHECKING:
    import asyncio
    from io import BytesIO

__all__ = [
    "SSGI_VERSION",
    "BytesLike",
    "CallType",
    "GetHeader",
    "Handler",
    "HeaderPairs",
    "Headers",
    "Message",
    "Payload",
    "SSGIApplication",
    "SSGIFramework",
    "SSGIHttpResponse",
    "SSGIWebSocket",
    "Served",
    "WebSocketStatus",
]

SSGI_VERSION = "1.0"
"""What ``SSGIFramework.get_supported`` is given under the name ``"ssgi"``."""

T = TypeVar("T")

CallType: TypeAlias = Literal["http", "websocket"]
"""What a call is about: an HTTP request, or a WebSocket that is to be opened."""

BytesLike: TypeAlias = bytes | bytearray | memoryview

Payload: TypeAlias = str | bytes | bytearray | memoryview
"""What may be written; ``str`` is encoded as UTF-8."""

Message: TypeAlias = str | bytes
"""What a WebSocket receives: ``str`` for a text message, ``bytes`` for a binary one."""

HeaderPairs: TypeAlias = Iterable[tuple[str, str]] | Mapping[str, str]
"""Response headers. Pairs may repeat a name (``Set-Cookie``), a mapping cannot."""

Handler: TypeAlias = Callable[..., object]
"""A callback, sync or async: whatever it returns, if it is awaitable it is awaited."""

Served: TypeAlias = tuple[str | None, Any] | None
"""``(interface name, handler)``; ``None`` and ``(None, anything)`` mean "not served"."""


@runtime_checkable
class Headers(Protocol):
    """All headers of a request: a read-only mapping with lower-case names; look-ups take any case."""

    def __getitem__(self, name: str, /) -> str:
        """The value of ``name``.

        Raises:
            KeyError: there is no such header.
        """
        ...

    def __iter__(self) -> Iterator[str]: ...

    def __len__(self) -> int: ...

    def __contains__(self, name: object, /) -> bool: ...

    def get(self, name: str, default: str | None = None, /) -> str | None:
        """The value of ``name``, or ``default``."""
        ...

    def get_all(self, name: str, /) -> list[str]:
        """Every value of ``name``, in order; a server in front may have joined them into one."""
        ...

    def keys(self) -> KeysView[str]:
        """The names, in lower case."""
        ...

    def values(self) -> ValuesView[str]:
        """The values, in the order of the names."""
        ...

    def items(self) -> ItemsView[str, str]:
        """The pairs of name and value."""
        ...


class GetHeader(Protocol):
    """Reads the headers of one request, one at a time; the mapping is built only when it is read.

    ``get_header("host")`` is the header's value or ``None``. Names are case-insensitive, values are latin-1.
    A header that was sent more than once is joined with ``", "``, cookies with ``"; "``.

    ``get_header()`` and ``get_header(None)`` are a read-only mapping of all headers (``Headers``).

    The interface promises the headers until a sync application returns, or, when it is a coroutine function or has
    called ``res.run_async``, until that work is done; for a WebSocket until ``accept`` or ``reject``. A server may
    keep them longer, an application that is to run everywhere does not rely on it.
    """

    @overload
    def __call__(self, name: str, /) -> str | None: ...

    @overload
    def __call__(self, name: None = None, /) -> Headers: ...


@runtime_checkable
class SSGIHttpResponse(Protocol):
    """The ``res`` of an HTTP request: reads its body and writes the answer.

    The head (status and headers) is committed, and from then on unchangeable, by the first ``send`` or
    ``send_chunk``. A body is never sent for HEAD, 204 and 304, whatever is written. A declared ``Content-Length``
    that differs from what was written is an error in the server's log and a broken connection, never a page that is
    silently short.
    """

    @property
    def aborted(self) -> bool:
        """Whether the peer has disconnected before the answer was complete."""
        ...

    @property
    def extensions(self) -> Mapping[str, Any]:
        """Everything that is not in the eight arguments; always a mapping, built when it is first read.

        Servers put here the scheme, the HTTP version, the root path, the raw path, the raw header list, the
        gateway's variables and the state of the worker.
        """
        ...

    def send_status(self, status_code: int | str = 200) -> None:
        """Set the status: ``404`` or ``"404 Not Found"``. The last call before the head is committed wins.

        Raises:
            RuntimeError: the head has been committed.
            ValueError: this is no final HTTP status.
        """
        ...

    def send_headers(self, headers: HeaderPairs) -> None:
        """Append headers; before or after ``send_status``, as often as wanted.

        Hop-by-hop headers (RFC 9110, 7.6.1: ``Connection``, ``Transfer-Encoding`` ...) are dropped: they are the
        business of the web server in front. There is no default ``Content-Type``.

        Raises:
            RuntimeError: the head has been committed.
            ValueError: an invalid name, or CR, LF or NUL in a name or value; the message names the header.
        """
        ...

    def send(self, payload: Payload | None = None, has_more: bool = False) -> Awaitable[bool]:
        """Commit the head (200 unless a status was set) and write at once.

        Args:
            payload: ``None`` with ``has_more=False`` ends the answer without a (further) body; ``None`` with
                ``has_more=True`` sends the head now and the body later.
            has_more: whether the answer goes on after this.

        Returns:
            An awaitable that may be ignored: ``True`` when the peer can take more, ``False`` after an abort.
            After an abort the call has no other effect.

        Raises:
            RuntimeError: the answer has ended.
        """
        ...

    def send_chunk(
        self, chunk: Payload, total_size: int | Literal[False] | None = False
    ) -> Awaitable[tuple[bool, bool]]:
        """Write a chunk and learn when it was sent: backpressure for large bodies. Overlapping calls keep their order.

        Args:
            chunk: the next bytes of the body.
            total_size: bytes of all chunks together. The first number given fixes ``Content-Length``, bytes given to
                ``send`` count too, and the answer ends when that many are written; ``0`` ends it at once.
                ``False`` or ``None``: not known, the answer ends with ``send()``.

        Returns:
            An awaitable of ``(sent, ended)``: whether the chunk has left the process' buffers, and whether the
            answer is over. After an abort ``(False, True)``.

        Raises:
            RuntimeError: the answer has ended.
            ValueError: another total than before, or more bytes than it; nothing of the chunk was written.
        """
        ...

    def get_data(self) -> Awaitable[BytesIO | None]:
        """The whole request body, rewound, or ``None`` if there is none.

        Calling again gives the same data. After ``get_chunk`` it is the remainder.

        Raises:
            ConnectionAbortedError: when awaited, if the client disconnects before the body is complete.
        """
        ...

    def get_chunk(self) -> Awaitable[BytesIO | None]:
        """The next piece of the request body, ``None`` at its end.

        The server chooses the size. Reading is what lets the peer send more.

        Raises:
            ConnectionAbortedError: when awaited, if the client disconnects before the body is complete.
        """
        ...

    def on_aborted(self, handler: Handler, *args: Any) -> None:
        """Call ``handler(*args)``, sync or async, if the client disconnects before the answer is complete.

        Several may be registered and each runs once; at once if the peer has disconnected already; never after a normal
        end.
        """
        ...

    def run_async(self, handler: Callable[..., Coroutine[Any, Any, T]] | Awaitable[T], *args: Any) -> asyncio.Task[T]:
        """Run a coroutine function with ``args``, or an awaitable, beside the call; the request lives at least as long.

        The server keeps a strong reference and logs a failure that was not retrieved.
        """
        ...


class WebSocketStatus(enum.IntEnum):
    """How far a WebSocket is. The numbers are the interface's."""

    PENDING = 0
    """Neither accepted nor rejected."""
    REJECTED = 1
    """Answered with an HTTP response in place of the upgrade."""
    CLOSED = 2
    """Was open and is no more."""
    ACCEPTED = 3
    """Open."""


@runtime_checkable
class SSGIWebSocket(Protocol):
    """The ``res`` of a WebSocket that is to be opened.

    The application is called once, with ``status`` pending, and answers with ``accept`` or ``reject``, in the call
    or later. What arrives afterwards goes to the handlers it registered.
    """

    @property
    def status(self) -> WebSocketStatus:
        """0 pending, 1 rejected, 2 closed, 3 accepted."""
        ...

    @property
    def extensions(self) -> Mapping[str, Any]:
        """As ``SSGIHttpResponse.extensions``, and the subprotocols which the client offered."""
        ...

    def accept(self, protocol: str | None = None) -> Awaitable[bool]:
        """Open the WebSocket. This starts at once, awaited or not.

        Args:
            protocol: the subprotocol. ``None`` picks the first one offered, if any was; ``""`` picks none.

        Returns:
            An awaitable of whether it was opened: ``False`` unless it was pending.

        Raises:
            ValueError: a subprotocol that was not offered.
        """
        ...

    def reject(
        self, status_code: int | str = 403, payload: Payload | None = None, headers: HeaderPairs | None = None
    ) -> Awaitable[bool]:
        """Answer with a complete HTTP response in place of the upgrade.

        Returns:
            An awaitable of whether it was rejected: ``False`` unless it was pending.

        Raises:
            ValueError: a status or a header as in ``SSGIHttpResponse``.
        """
        ...

    def send(self, payload: Payload) -> Awaitable[bool]:
        """Send a message: ``str`` is a text frame, bytes-like a binary one.

        Returns:
            An awaitable that may be ignored: ``True`` when the peer can take more, ``False`` once it is closed.

        Raises:
            RuntimeError: it is still pending.
        """
        ...

    def close(self, code: int = 1000, reason: str | None = None) -> Awaitable[bool]:
        """Close the WebSocket. While it is pending this is ``reject(403)``; a second call has no effect.

        Args:
            code: a close code that may be sent (RFC 6455, 7.4): 1000 to 1003, 1007 to 1014, 3000 to 4999.
            reason: at most 123 bytes of UTF-8 (RFC 6455, 5.5).

        Returns:
            An awaitable that may be ignored: ``False`` when it was over already.

        Raises:
            ValueError: a code that must not be sent, or a reason that is too long.
        """
        ...

    def on_receive(self, handler: Handler, *args: Any) -> None:
        """Call ``handler(ws, message, *args)`` for each message, ``str`` or ``bytes``.

        One at a time and in order. While an async handler runs reading stops, so that a fast peer has to wait.
        Messages that arrive before a handler is registered wait in a bounded queue.
        """
        ...

    def on_close(self, handler: Handler, *args: Any) -> None:
        """Call ``handler(ws, code, reason, *args)`` once, when the WebSocket is over.

        ``code`` is 1005 when the peer's Close carried none, 1006 when the connection broke (RFC 6455, 7.4.1).
        """
        ...

    def run_async(self, handler: Callable[..., Coroutine[Any, Any, T]] | Awaitable[T], *args: Any) -> asyncio.Task[T]:
        """As ``SSGIHttpResponse.run_async``."""
        ...


class SSGIApplication(Protocol):
    """The call. The eight arguments are positional and never change; what is new goes to ``res.extensions``.

    The application is called on the thread of the event loop. Whatever it returns, if it is awaitable it is awaited,
    so ``async def``, an object with an async ``__call__`` and ``functools.partial`` all work. A sync application that
    answers before it returns costs no task and no future, which is what this interface is for.

    One that returns without an answer is alive while a task of its ``run_async``, an awaitable of its own or a
    handler it registered can still answer. Otherwise an HTTP request is answered with 500 and a pending WebSocket
    with 403. An exception is answered with 500 in both; the traceback is in the server's log.

    Args:
        type: ``"http"`` or ``"websocket"``, and accordingly ``res``.
        server_address: ``host:port``; IPv6 is always in brackets (``[::1]:443``); the port is left out when unknown;
            ``""`` when nothing is known; a unix socket is its path.
        remote_address: the client, likewise.
        method: upper case as received.
        path: percent-decoded, as UTF-8 (with surrogateescape for what is not), the root path included.
        query_string: without ``?``, not decoded.
        get_header: see ``GetHeader``.
        res: ``SSGIHttpResponse`` or ``SSGIWebSocket``.
    """

    def __call__(
        self,
        type: CallType,
        server_address: str,
        remote_address: str,
        method: str,
        path: str,
        query_string: str,
        get_header: GetHeader,
        res: Any,
        /,
    ) -> object:
        """Serve one request, or decide about one WebSocket."""
        ...


@runtime_checkable
class SSGIFramework(Protocol):
    """What a framework implements to choose how it is called; SSGI itself need not be among its interfaces."""

    @abstractmethod
    def get_supported(self, supported_interfaces: dict[str, str]) -> Mapping[str, Served]:
        """Choose an interface for HTTP and one for WebSockets; they may differ.

        Args:
            supported_interfaces: what the server really implements, by name, with the version:
                ``{"ssgi": "1.0", "asgi": "2.5", ...}``.

        Returns:
            ``{"http": (name, handler) | None, "websockets": (name, handler) | None}``. ``"websocket"`` is accepted as
            a spelling. ``None``, a missing key and ``(None, anything)`` mean "not served": HTTP is answered with 404,
            and no WebSocket listener opens. A name the server did not offer, or ``wsgi`` for WebSockets, keeps the
            server from starting, with a message that lists what there is.
        """
        ...
