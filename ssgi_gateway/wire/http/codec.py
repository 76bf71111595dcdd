"""HTTP/1.1 (RFC 9112) as a server speaks it: the codec of ``--http``.

The rules of this module:

* One request at a time. What comes behind it on the connection waits here until it was answered, within a bound
  (``full``), and is then read as the next one (9.3.2).
* Heads become CGI variables (``head.py``), so nothing behind this module knows that no web server stands in front.
  ``X-Forwarded-*`` and ``Forwarded`` are taken from trusted peers only, and before the request is used.
* ``100 Continue`` is sent when the application asks for the body (``invite``), so one that refuses never gets it.
* An answer of unknown length is chunked, or ends with the connection for HTTP/1.0.
* A connection goes on when both sides want it and the whole request was read. After bytes that cannot be framed it
  never does, whatever they looked like (11.2).

States of what arrives::

    HEAD --an empty line--> BODY, CHUNKS or WHOLE --the end of the body--> WHOLE --finish()--> HEAD, or OVER
    HEAD --not HTTP--> OVER
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from ssgi_gateway.errors import RemoteProtocolError, RequestRejected
from ssgi_gateway.wire import buffers
from ssgi_gateway.wire.forwarded import forwarded_variables, trusted_peers
from ssgi_gateway.wire.hints import hint, looks_like

from ..codec import Codec
from ..events import BodyReceived, Event, HeadReceived, RequestAborted, RequestEnded
from ..variables import Variables
from .chunked import ChunkedBody
from .date import DateLine
from .head import CHUNKED, RequestHead1, netstring, read_head

if TYPE_CHECKING:
    from ssgi_gateway.settings import WireLimits
    from ssgi_gateway.wire.file_slice import FileSlice

    from ..response_head import ResponseHead

__all__ = ["HttpCodec", "address_variables"]

MAX_WAITING: Final = 65536
"""Bytes that may wait behind a request; above, the connection should not be read."""
MAX_EMPTY_LINES: Final = 8
"""Empty lines before a request are ignored (RFC 9112 2.2), but not for ever."""
MAX_JOINED: Final = buffers.MAX_JOINED
"""A body up to this size is copied behind its head: one buffer is cheaper to send than two."""

HEAD: Final = 0
BODY: Final = 1
CHUNKS: Final = 2
WHOLE: Final = 3  # the request is complete, or its connection is a WebSocket's now
OVER: Final = 4

ENDED: Final = RequestEnded()
CONTINUE: Final = b"HTTP/1.1 100 Continue\r\n\r\n"
_UPGRADE: Final = b"Upgrade: websocket\r\nConnection: Upgrade\r\n"

_FORWARDED: Final = (
    "HTTP_X_FORWARDED_FOR", "HTTP_X_FORWARDED_PROTO", "HTTP_X_FORWARDED_HOST", "HTTP_X_FORWARDED_PORT",
    "HTTP_FORWARDED",
)  # fmt: skip

_lines: dict[str, bytes] = {}  # status lines: an application has few
_MAX_LINES: Final = 256


class HttpCodec(Codec):
    """One connection of ``--http``.

    Args:
        limits: bounds of the head.
        server: this side's address: ``(host, port, ...)``, or a path.
        client: the peer's.
        trusted: the peers whose ``X-Forwarded-*`` and ``Forwarded`` are believed.
        date: the header that answers get which have none.
    """

    __slots__ = (
        "_around",
        "_buffer",
        "_chunked",
        "_chunks",
        "_close",
        "_date",
        "_empty_lines",
        "_eof",
        "_expects",
        "_head",
        "_last",
        "_left",
        "_limits",
        "_searched",
        "_started",
        "_state",
        "_trusted",
        "_trusts",
    )

    def __init__(
        self,
        limits: WireLimits,
        server: Any = "",
        client: Any = "",
        trusted: tuple[str, ...] = (),
        date: DateLine | None = None,
    ) -> None:
        super().__init__("http", serves_http=True, supports_upgrade=True)
        self.kept_by_clients = self.shows_connection = True
        self._limits = limits
        self._date = date or DateLine()
        self._trusted = trusted_peers(trusted)
        self._trusts = host_of(client) in self._trusted
        self._around = netstring([
            *address_variables("SERVER", server), *address_variables("REMOTE", client), (b"REQUEST_SCHEME", b"http"),
        ])  # fmt: skip
        self._state = HEAD
        self._buffer = b""
        self._searched = 0  # bytes of it in which no end of a head is
        self._empty_lines = 0
        self._left = 0  # bytes of the body that have not come yet
        self._chunks: ChunkedBody | None = None
        self._eof = False
        self._head: RequestHead1 | None = None  # of the request that is being answered
        self._expects = False  # the client waits for 100 Continue
        self._started = False  # an answer has begun
        self._chunked = False  # and is chunked
        self._close = False  # and is the last one
        self._last = False  # whatever comes next is answered with "close"

    # Receiving

    def receive(self, data: bytes) -> None:
        """Take bytes from the peer; ``b""`` means that no more will come."""
        if not data:
            self._eof = True
        elif self._state != OVER:
            self._buffer = self._buffer + data if self._buffer else data

    def next_event(self) -> Event | None:
        """``HeadReceived``, ``BodyReceived`` and ``RequestEnded``; ``RequestAborted`` when the client has disconnected.

        Raises:
            RequestRejected: 400, 417, 431, 501 or 505; the connection ends with the answer.
            RemoteProtocolError: the body's framing is broken, or the connection ended inside a head.
        """
        state = self._state
        if state == HEAD:
            if self._buffer:
                event = self._next_head()
                if event is not None:
                    return event
            if self._eof and self._buffer:
                self._state = OVER
                raise RemoteProtocolError("the connection ended inside the head of an HTTP request")
            return None
        if state == BODY:
            if not self._left:
                self._state = WHOLE
                return ENDED
            if self._buffer:
                return self._next_piece()
        elif state == CHUNKS:
            event = self._next_chunks()
            if event is not None:
                return event
        if self._eof and self.busy:
            self._eof = False
            self._state = OVER
            return RequestAborted()
        return None

    def _next_head(self) -> Event | None:
        buffer = self._buffer
        start = 0
        while buffer.startswith(b"\r\n", start):
            start += 2
            self._empty_lines += 1
            if self._empty_lines > MAX_EMPTY_LINES:
                raise self._over(RequestRejected(400, "nothing but empty lines"))
        if start:
            self._buffer = buffer = buffer[start:]
            self._searched = 0
        limit = self._limits.max_head_size
        # Three bytes of the mark may have come before.
        end = buffer.find(b"\r\n\r\n", max(self._searched - 3, 0), limit) + 4
        if end < 4:
            self._searched = len(buffer)
            self._look_at_begin(buffer, limit)
            return None
        try:
            head = read_head(buffer, 0, end, self._around, self._limits.max_variables)
        except RequestRejected as refusal:
            raise self._over(refusal) from None
        self._buffer = buffer[end:]
        self._head_complete(head)
        return HeadReceived(head.variables, head.length)

    def _look_at_begin(self, buffer: bytes, limit: int) -> None:
        """Refuse now what can never become a head: it would be waited for until the deadline."""
        if len(buffer) >= limit:
            raise self._over(RequestRejected(431, f"the request's head has more than {limit} bytes"))
        name = looks_like(buffer[:24])
        if name not in ("HTTP", "") or (not name and not (33 <= buffer[0] < 127)):
            raise self._over(RequestRejected(400, f"no HTTP/1.1 request{hint(buffer[:24], 'HTTP')}"))
        line = buffer.find(b"\n")
        if line == 0 or (line > 0 and buffer[line - 1] != 13):
            raise self._over(RequestRejected(400, "a line that ends with a bare LF"))

    def _head_complete(self, head: RequestHead1) -> None:
        self._head = head
        self._searched = self._empty_lines = 0
        self.busy = True
        # The client may send the next request before it has the answer; one that wants to close will not.
        self.may_send_trailing = head.keep
        self._expects = head.expects and head.length != 0
        self._left = head.length
        if head.length == CHUNKED:
            self._state = CHUNKS
            self._chunks = ChunkedBody()
        else:
            self._state = BODY
        if self._trusts:
            self._believe(head)

    def _believe(self, head: RequestHead1) -> None:
        """Take the word of a trusted peer for who its client is."""
        variables = head.variables
        for name in _FORWARDED:
            if name in variables:
                break
        else:
            return
        # As an attribute of a typed object it would be, compiled, a C function.
        header = getattr(variables, "header")  # noqa: B009
        changes = forwarded_variables(header, self._trusted)
        pairs = [(name.encode("latin-1"), value.encode("latin-1")) for name, value in variables.items()]
        pairs += [(name.encode(), value.encode("latin-1")) for name, value in changes.items()]
        head.variables = Variables.from_unique({name.decode("latin-1"): value for name, value in pairs})

    def _next_piece(self) -> Event:
        data = self._buffer
        if len(data) > self._left:
            data, self._buffer = data[: self._left], data[self._left :]
        else:
            self._buffer = b""
        self._left -= len(data)
        return BodyReceived(data)

    def _next_chunks(self) -> Event | None:
        """What has arrived of a chunked body, as one piece."""
        chunks = self._chunks
        assert chunks is not None
        if not chunks.ended and self._buffer:
            found: list[bytes] = []
            try:
                end = chunks.feed(self._buffer, 0, found)
            except RemoteProtocolError:
                self._state = OVER
                raise
            self._buffer = self._buffer[end:]
            if found:
                return BodyReceived(found[0] if len(found) == 1 else b"".join(found))
        if chunks.ended:
            self._chunks = None
            self._state = WHOLE
            return ENDED
        return None

    def _over(self, refusal: RequestRejected) -> RequestRejected:
        """Where a next request begins is not known any more, so nothing more is read."""
        self._state = OVER
        self._buffer = b""
        self._close = self._last = self.may_send_trailing = True
        return refusal

    def invite(self) -> bytes:
        """What makes the client send the body, when the application asks for it (RFC 9110 10.1.1)."""
        if not self._expects or self._started or self._eof:
            return b""
        self._expects = False
        return CONTINUE

    def uninvited(self) -> bool:
        """Whether the client waits for 100 Continue."""
        return self._expects

    def waiting(self) -> bool:
        """Whether something has arrived that was not looked at, because the request before it is not answered yet."""
        return self._state == HEAD and bool(self._buffer)

    def full(self) -> bool:
        """Whether so much has that no more should be read."""
        return len(self._buffer) > MAX_WAITING

    def incomplete(self) -> bool:
        """Whether a request has begun that is not complete, or not answered."""
        return self.busy or bool(self._buffer)

    def trailing_data(self) -> bytes:
        """What came behind a WebSocket's handshake."""
        data, self._buffer = self._buffer, b""
        return data

    # Sending

    def shut_down(self) -> None:
        """The server drains: the next head that is sent marks its answer as the last."""
        self._last = True

    def encode(self, head: ResponseHead | None, data: Any, end: bool) -> list[Any]:
        """A piece of the answer, framed as its head has declared."""
        size = 0 if data is None else len(data)
        pieces: list[Any] = []
        if head is not None:
            pieces = self._begin(head, end)
        if self._chunked:
            if size:
                pieces += (b"%x\r\n" % size, data, b"\r\n0\r\n\r\n" if end else b"\r\n")
            elif end:
                pieces.append(b"0\r\n\r\n")
        elif size:
            pieces.append(data)
        return [b"".join(pieces)] if len(pieces) > 1 and size <= MAX_JOINED else pieces

    def frame_file(self, file: FileSlice) -> list[Any]:
        """A part of a file, in a chunk where the answer is chunked."""
        return [b"%x\r\n" % len(file), file, b"\r\n"] if self._chunked and len(file) else [file]

    def _begin(self, head: ResponseHead, end: bool) -> list[Any]:
        """The head as it is sent, in pieces (RFC 9112 4, 6.1, 9.3)."""
        request = self._head
        status = head.status
        fields = head.encode_fields()
        self._started = True
        close = self._last or request is None or not request.keep
        # What is left of an unread body cannot be distinguished from the next request.
        close = close or (end and self._state in (BODY, CHUNKS) and self._left != 0)
        framing = b""
        self._chunked = False
        if status == 101:
            close = False
        elif head.content_length < 0 and status not in (204, 304) and not (request is not None and request.is_head):
            if request is not None and request.minor:
                self._chunked = True
                framing = b"Transfer-Encoding: chunked\r\n"
            else:
                close = True
        self._close = close
        if status == 426:
            framing += b"Upgrade: websocket\r\nConnection: Upgrade, close\r\n" if close else _UPGRADE
        elif close:
            framing += b"Connection: close\r\n"
        elif request is not None and not request.minor:
            framing += b"Connection: keep-alive\r\n"
        date = b"" if head.dated else self._date.line
        return [status_line(status, head.reason), fields, date, framing, b"\r\n"]

    def finish(self) -> bool:
        """The answer is complete; returns whether the connection goes on."""
        self.busy = False
        self._head = None
        self._started = self._expects = False
        if self._close or self._state != WHOLE:
            self._state = OVER
            self._buffer = b""
            return False
        self._state = HEAD
        return True


def status_line(status: int, reason: str) -> bytes:
    """``HTTP/1.1 200 OK`` and its CRLF; 1.1 whatever the request's was (RFC 9110 2.5)."""
    line = _lines.get(reason)
    if line is None or line[9:12] != b"%d" % status:
        line = f"HTTP/1.1 {status} {reason}\r\n".encode("latin-1")
        if len(_lines) >= _MAX_LINES:
            _lines.clear()
        _lines[reason] = line
    return line


def host_of(address: Any) -> str:
    """The host of a socket address; empty for a unix socket."""
    return address[0] if isinstance(address, tuple) else ""


def address_variables(prefix: str, address: Any) -> list[tuple[bytes, bytes]]:
    """SERVER_ADDR and SERVER_PORT, or REMOTE_ADDR and REMOTE_PORT, for a socket address.

    A unix socket is its path without a port; one without a name, or with a NUL in it, is left out.
    """
    if isinstance(address, tuple):
        host, port = address[0].partition("%")[0], str(address[1])
        return [(f"{prefix}_ADDR".encode(), host.encode()), (f"{prefix}_PORT".encode(), port.encode())]
    path = address if isinstance(address, bytes) else address.encode("utf-8", "surrogateescape")
    return [(f"{prefix}_ADDR".encode(), path)] if path and b"\0" not in path else []
