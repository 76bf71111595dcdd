"""HTTP/1.1 as a client: a request in, bytes out; bytes in, events out (RFC 9112).

Heads of answers and chunked bodies are read by httptools (llhttp) where it is installed, otherwise by h11; both get
the same heads, looked at here first for what they would judge differently: line ends, folding, control characters,
repeated lengths. So the same bytes give the same events, however they are cut. How long a body is, is decided here
(RFC 9112 6.3). No sockets, no clock.
"""

from __future__ import annotations

import re
from functools import lru_cache
from typing import TYPE_CHECKING, Any, Final

from ssgi_gateway.errors import RemoteProtocolError
from ssgi_gateway.wire.grammar import parse_length
from ssgi_gateway.wire.hints import answer_hint

from .events import AnswerEnded, AnswerReceived, BodyArrived, Headers, InformationalReceived
from .request import EXPECT_BODY

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from .http1_parsers import Parser
    from .request import Request

__all__ = ["Http1Client"]

MAX_HEAD: Final = 65536
"""Bytes of a head, and of trailers."""
MAX_FIELDS: Final = 256
SMALL_HEAD: Final = 1024
"""Bytes of a head that is worth remembering."""
MAX_EXTENSION: Final = 4096
"""Bytes that a chunk may cost beside its data."""
MAX_INFORMATIONAL: Final = 100
"""1xx answers before the final one; servers send no more than a few."""

HEAD: Final = 0
LENGTH: Final = 1  # the body ends after so many bytes
CHUNKED: Final = 2
CLOSE: Final = 3  # the body ends with the connection
TUNNEL: Final = 4
DONE: Final = 5

_BAD_HEAD: Final = re.compile(rb"(?<!\r)\n|\r(?!\n)|\n[ \t]|[\x00-\x08\x0b\x0c\x0e-\x1f\x7f]")
_FRAMING: Final = re.compile(
    rb"\r\n(content-length|transfer-encoding)[ \t]*:[ \t]*([^\r]*?)[ \t]*(?=\r\n)", re.IGNORECASE
)
_START: Final = b"HTTP/1."
_STATUS_LINE: Final = re.compile(rb"HTTP/1\.[01] [1-9][0-9][0-9][ \r]")


class Http1Client:
    """One connection; one request at a time."""

    __slots__ = (
        "_buffer",
        "_chunked",
        "_informational",
        "_left",
        "_make_parser",
        "_method",
        "_overhead",
        "_parser",
        "_state",
        "_upgrade",
        "keep",
    )

    def __init__(self, make_parser: Callable[[str], Parser]) -> None:
        self._make_parser = make_parser
        self._state = DONE
        self._buffer = bytearray()
        self._left = 0
        self._chunked = False
        self._informational = 0
        self._overhead = 0
        self._method = ""
        self._upgrade = False
        self._parser: Parser | None = None
        self.keep = True

    @property
    def done(self) -> bool:
        """Whether the answer is complete."""
        return self._state == DONE

    @property
    def tunnel(self) -> bool:
        """Whether bytes are no longer HTTP's."""
        return self._state == TUNNEL

    @property
    def reusable(self) -> bool:
        """Whether another request may follow on this connection."""
        return self.keep and self._state == DONE and not self._buffer

    def begin(self, request: Request, target: str, further: bytes = b"") -> bytes:
        """The head of a request; the codec is then busy until the answer is complete.

        Args:
            request: what to send.
            target: of the request line; that of the request, or the whole url for a proxy (RFC 9112 3.2.2).
            further: header lines for the proxy.
        """
        self._state = HEAD
        self._informational = 0
        self._method = request.method
        self._upgrade = request.upgrade
        self._chunked = request.chunked
        lines = [f"{request.method} {target} HTTP/1.1\r\n".encode()]
        for name, value in request.headers:
            lines.append(b"%b: %b\r\n" % (name, value))
            if name == b"connection" and b"close" in value.lower():
                self.keep = False
        if request.length < 0 and not request.chunked:
            if request.more:
                self._chunked = True
                lines.append(b"transfer-encoding: chunked\r\n")
            elif request.body or request.method in EXPECT_BODY:
                lines.append(b"content-length: %d\r\n" % len(request.body))
        lines.append(further)
        lines.append(b"\r\n")
        return b"".join(lines)

    def encode(self, data: Any, more: bool) -> list[Any]:
        """A piece of the body; an empty one makes no chunk, for that would end the body."""
        return self.encode_many((data,) if data else (), more)

    def encode_many(self, pieces: Sequence[Any], more: bool) -> list[Any]:
        """Likewise several of them, none of them empty."""
        if not self._chunked:
            return [*pieces]
        out: list[Any] = []
        for piece in pieces:
            out += (b"%x\r\n" % len(piece), piece, b"\r\n")
        if not more:
            out.append(b"0\r\n\r\n")
        return out

    def receive(self, data: bytes) -> list[Any]:
        """Take bytes, ``b""`` for the end of the stream; gives the events they make.

        Raises:
            RemoteProtocolError: the connection is to be closed.
        """
        events: list[Any] = []
        try:
            if not data:
                self._end_of_stream(events)
            elif self._state == LENGTH and not self._buffer:
                self._take_length(data, events)
            else:
                self._buffer += data
                self._advance(events)
        except RemoteProtocolError as error:
            self.keep = False
            error.events = events
            raise
        return events

    def take_tunnel(self) -> bytes:
        """What arrived behind the head that opened the tunnel."""
        data = bytes(self._buffer)
        self._buffer.clear()
        return data

    def _advance(self, events: list[Any]) -> None:
        while self._buffer:
            if self._state == HEAD:
                if not self._take_head(events):
                    return
            elif self._state == LENGTH:
                data = bytes(self._buffer)
                self._buffer.clear()
                self._take_length(data, events)
            elif self._state == CHUNKED:
                self._take_chunks(events)
            elif self._state == CLOSE:
                events.append(BodyArrived(bytes(self._buffer)))
                self._buffer.clear()
            else:  # behind the end: see `reusable`; in a tunnel: `take_tunnel`
                return

    def _take_length(self, data: bytes, events: list[Any]) -> None:
        if len(data) > self._left:
            self._buffer += data[self._left :]
            data = data[: self._left]
        self._left -= len(data)
        events.append(BodyArrived(data))
        if not self._left:
            self._finish(events)

    def _finish(self, events: list[Any], trailers: Headers | None = None) -> None:
        self._state = DONE
        self._parser = None
        events.append(AnswerEnded(trailers))

    def _take_head(self, events: list[Any]) -> bool:
        """Read one head if it is complete."""
        buffer = self._buffer
        if not buffer.startswith(_START[: len(buffer)]):
            hint = answer_hint(bytes(buffer[:9]), "HTTP")
            raise RemoteProtocolError(f"this is no HTTP/1 answer: {bytes(buffer[:40])!r}{hint}")
        end = buffer.find(b"\r\n\r\n") + 4
        if end < 4:
            if b"\n\n" in buffer or b"\n\r\n" in buffer:
                raise RemoteProtocolError("a head whose lines end in LF alone, and not in CR LF")
            if len(buffer) > MAX_HEAD:
                raise RemoteProtocolError(f"a head without an end within {MAX_HEAD} bytes")
            return False
        if end > MAX_HEAD:
            raise RemoteProtocolError(f"a head of more than {MAX_HEAD} bytes")
        head = bytes(buffer[:end])
        del buffer[:end]
        judge = _judge_again if end <= SMALL_HEAD else _judge
        status, version, keep, fields, length, chunked, head = judge(head, self._make_parser)
        headers = list(fields)
        if status < 200 and status != 101:
            self._informational += 1
            if self._informational > MAX_INFORMATIONAL:
                raise RemoteProtocolError(f"more than {MAX_INFORMATIONAL} informational answers")
            events.append(InformationalReceived(status, headers))
            return True
        self.keep = self.keep and keep
        more, tunnel = self._frame(status, length, chunked)
        if self._state == CHUNKED:
            self._parser = self._make_parser(self._method)
            self._parser.read_head(head)
        events.append(AnswerReceived(status, headers, version, more, tunnel))
        return True

    def _frame(self, status: int, length: int, chunked: bool) -> tuple[bool, bool]:
        """How the body is delimited, RFC 9112 6.3 in its order; whether one follows, whether a tunnel does."""
        if status == 101 and not self._upgrade:
            raise RemoteProtocolError("101 without a request to upgrade")  # RFC 9110 15.2.2
        if status == 101 or (self._method == "CONNECT" and status < 300):
            self._state = TUNNEL
            self.keep = False
            return False, True
        if self._method == "HEAD" or status in (204, 304) or (length == 0 and not chunked):
            self._state = DONE
            return False, False
        if chunked:
            self._state = CHUNKED
            self._overhead = MAX_HEAD
        elif length > 0:
            self._state = LENGTH
            self._left = length
        else:
            self._state = CLOSE
            self.keep = False
        return True, False

    def _take_chunks(self, events: list[Any]) -> None:
        data = bytes(self._buffer)
        self._buffer.clear()
        parser = self._parser
        assert parser is not None
        pieces, chunks = parser.read_chunks(data)
        size = sum(map(len, pieces))
        self._overhead += MAX_EXTENSION * chunks - (len(data) - size)
        if pieces:
            events.append(BodyArrived(pieces[0] if len(pieces) == 1 else b"".join(pieces)))
        if self._overhead < 0:
            raise RemoteProtocolError(f"chunk extensions or trailers of more than {MAX_EXTENSION} bytes")
        if parser.error is not None:
            raise parser.error
        if parser.trailers is not None:
            fields = parser.trailers
            if len(fields) > MAX_FIELDS or sum(len(name) + len(value) for name, value in fields) > MAX_HEAD:
                raise RemoteProtocolError(f"trailers of more than {MAX_FIELDS} fields, or {MAX_HEAD} bytes")
            if any(name in (b"content-length", b"transfer-encoding") for name, _ in fields):
                raise RemoteProtocolError("trailers that say how long the body was (RFC 9110 6.5.1)")
            self._buffer += parser.rest
            self._finish(events, parser.trailers)

    def _end_of_stream(self, events: list[Any]) -> None:
        self.keep = False
        if self._state == CLOSE:
            self._finish(events)
        elif self._state == LENGTH:
            raise RemoteProtocolError(f"the peer closed the connection {self._left} bytes before the body's end")
        elif self._state == CHUNKED:
            raise RemoteProtocolError("the peer closed the connection before the last chunk")
        elif self._state == HEAD:
            raise RemoteProtocolError("the peer closed the connection before its answer was complete")


_Judged = tuple[int, str, bool, tuple[tuple[bytes, bytes], ...], int, bool, bytes]


def _judge(head: bytes, make_parser: Callable[[str], Parser]) -> _Judged:
    """A head: status, version, whether the connection is kept, fields, length or -1, whether chunked, and itself.

    Raises:
        RemoteProtocolError: it is none.
    """
    if _BAD_HEAD.search(head):
        raise RemoteProtocolError("a bare CR or LF, a folded line or a control character in a head")
    if head.count(b"\r\n") > MAX_FIELDS + 2:
        raise RemoteProtocolError(f"a head of more than {MAX_FIELDS} fields")
    if not _STATUS_LINE.match(head):
        raise RemoteProtocolError(f"{head[:40]!r} is no status line of HTTP/1.0 or HTTP/1.1")
    head, lengths, codings = _settled(head)
    status, version, keep, headers = make_parser("GET").read_head(head)
    length = parse_length(lengths.pop().decode("latin-1")) if lengths else -1
    # A length beside a coding may be an attempt at smuggling (RFC 9112 6.3): this connection is not used again.
    # So is HTTP/1.0, which knows no codings (6.1).
    keep = keep and not (codings and (length >= 0 or version == "1.0"))
    return status, version, keep, tuple(headers), length, bool(codings), head


_judge_again = lru_cache(maxsize=64)(_judge)
"""Within a second a server's heads are often the same, byte by byte."""


def _settled(head: bytes) -> tuple[bytes, set[bytes], list[bytes]]:
    """The head with one length at most, its lengths, its codings.

    RFC 9112 6.3: equal lengths are one, different ones are an error, and a transfer coding overrides them.
    """
    lengths: set[bytes] = set()
    codings: list[bytes] = []
    count = 0
    for name, value in _FRAMING.findall(head):
        if name.lower() == b"content-length":
            values = [part.strip() for part in value.split(b",")]
            count += len(values)
            lengths.update(values)
        else:
            codings.append(value.lower())
    if codings and codings != [b"chunked"]:
        raise RemoteProtocolError(f"transfer codings {codings}; only chunked is understood")
    if len(lengths) > 1 or any(parse_length(value.decode("latin-1")) < 0 for value in lengths):
        raise RemoteProtocolError(f"content lengths {sorted(lengths)}: no length, or two that differ")
    if count > 1 or (count and codings):
        kept = iter([b""] if codings else [b"\r\ncontent-length: " + next(iter(lengths))])
        head = _FRAMING.sub(
            lambda match: next(kept, b"") if match[1].lower() == b"content-length" else match[0],
            head,
        )
    return head, lengths, codings
