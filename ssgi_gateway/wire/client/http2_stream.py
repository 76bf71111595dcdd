"""One HTTP/2 stream of the client: its windows, what it has to send, how far its answer is."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from ssgi_gateway.errors import RemoteProtocolError
from ssgi_gateway.wire.grammar import is_token, parse_length

from .events import AnswerReceived, Headers, InformationalReceived

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["Http2Stream"]

WINDOW: Final = 1 << 20
"""Bytes a peer may send on one stream before the application has taken any."""
MAX_INFORMATIONAL: Final = 100

_BYTES: Final = {bytes}
_FORBIDDEN: Final = frozenset((b"connection", b"keep-alive", b"proxy-connection", b"transfer-encoding", b"upgrade"))


class Http2Stream:
    """One stream.

    Attributes:
        number: its id.
        send_window: bytes the peer takes now.
        receive_window: bytes the peer may still send.
        taken: bytes that the application took and that were not credited to the peer yet.
        queue: what is to be sent, as far as windows allow.
        queued: bytes of it.
        finishing: the body is complete once the queue is empty.
        sent_end: END_STREAM has been sent.
        answered: the final head has come.
        ended: END_STREAM has come, or the stream was reset.
    """

    __slots__ = (
        "_informational",
        "_left",
        "_method",
        "_start",
        "answered",
        "ended",
        "finishing",
        "number",
        "queue",
        "queued",
        "receive_window",
        "send_window",
        "sent_end",
        "taken",
    )

    def __init__(self, number: int, method: str, send_window: int) -> None:
        self.number = number
        self._method = method
        self.send_window = send_window
        self.receive_window = WINDOW
        self.taken = 0
        self.queue: list[bytes] = []  # and no deque, which takes 600 bytes while it is empty
        self.queued = 0
        self._start = 0  # of the first piece so much has been taken
        self.finishing = self.sent_end = self.answered = self.ended = False
        self._left = -1
        self._informational = 0

    def head(self, headers: Headers, end: bool) -> AnswerReceived | InformationalReceived:
        """A field section arrived before the final head was there.

        Raises:
            RemoteProtocolError: it is malformed (RFC 9113 8.1.1).
        """
        status = 0
        plain = 0
        for name, value in headers:
            if name[:1] != b":":
                break
            plain += 1
            if name != b":status" or status or len(value) != 3 or not value.isdigit():
                raise RemoteProtocolError(f"a pseudo-header {name!r}: {value!r}")
            status = int(value)
        fields = headers[plain:]
        _check(fields)
        if status < 100 or status == 101:
            raise RemoteProtocolError("an answer without a status" if not status else f"a status of {status}")
        if status < 200:
            self._informational += 1
            if end or self._informational > MAX_INFORMATIONAL:
                raise RemoteProtocolError("an informational answer that ends the stream, or too many of them")
            return InformationalReceived(status, fields)
        self.answered = True
        lengths = {value for name, value in fields if name == b"content-length"}
        bare = self._method == "HEAD" or status in (204, 304)  # no body, whatever its length says (RFC 9110 6.4.1)
        if lengths and not bare:
            self._left = parse_length(lengths.pop().decode("latin-1"))
            if lengths or self._left < 0:
                raise RemoteProtocolError("content lengths that differ, or are none")
        if end:
            self.body(0, end=True)
        tunnel = self._method == "CONNECT" and status < 300
        # Nothing can follow a bare one, or a length of 0, though its stream is ended by a frame of its own.
        return AnswerReceived(status, fields, "2", not (end or tunnel or bare or self._left == 0), tunnel)

    def trailers(self, headers: Headers, end: bool) -> Headers:
        """A field section arrived behind the body.

        Raises:
            RemoteProtocolError: it is malformed, or does not end the stream.
        """
        if not end:
            raise RemoteProtocolError("trailers that do not end the stream")
        if any(name[:1] == b":" for name, _ in headers):
            raise RemoteProtocolError("a pseudo-header in trailers")
        _check(headers)
        self.body(0, end=True)
        return headers

    @property
    def body_room(self) -> int:
        """Bytes of the body that may still come: what the window and the Content-Length allow."""
        return self.receive_window if self._left < 0 else min(self.receive_window, self._left)

    def body(self, size: int, end: bool) -> None:
        """A piece of the body arrived.

        Raises:
            RemoteProtocolError: it does not fit the Content-Length (RFC 9113 8.1.1).
        """
        if self._left >= 0:
            self._left -= size
            if self._left < 0 or (end and self._left):
                raise RemoteProtocolError("a body that is not as long as its Content-Length")
        if end:
            self.ended = True

    def push(self, pieces: Sequence[Any], more: bool) -> None:
        """Queue pieces of the request's body, none of them empty; ``more`` False ends it.

        What is not ``bytes`` is copied: it belongs to the application, and windows may be long in coming.
        """
        if {*map(type, pieces)} != _BYTES:
            pieces = [bytes(piece) for piece in pieces]
        self.queue += pieces
        self.queued += sum(map(len, pieces))
        self.finishing = not more

    def within(self, pieces: int) -> int:
        """Bytes of so many pieces that are queued first."""
        if len(self.queue) <= pieces:
            return self.queued
        return sum(map(len, self.queue[:pieces])) - self._start

    def take(self, size: int, out: list[Any]) -> None:
        """Move so many queued bytes to ``out``."""
        queue, start = self.queue, self._start
        self.queued -= size
        if not self.queued and not start:
            out += queue
            queue.clear()
            return
        while size:
            piece = queue[0]
            end = start + size
            if end < len(piece):
                out.append(memoryview(piece)[start:end])
                self._start = end
                return
            size = end - len(piece)
            out.append(memoryview(piece)[start:] if start else piece)
            del queue[0]
            self._start = start = 0

    def take_frames(self, header: bytes, most: int, size: int, out: list[Any]) -> int:
        """Likewise, in frames of ``size``, each behind ``header``: those within the first piece, or one.

        Returns:
            How many bytes of the body they hold.
        """
        start = self._start
        whole = min(most, len(self.queue[0]) - start - 1) // size * size
        if not whole:
            out.append(header)
            self.take(size, out)
            return size
        piece = memoryview(self.queue[0])
        self._start = end = start + whole
        self.queued -= whole
        for at in range(start, end, size):
            out += (header, piece[at : at + size])
        return whole

    def drop(self) -> None:
        """Nothing more is sent."""
        self.queue.clear()
        self.queued = self._start = 0
        self.finishing = False


def _check(fields: Headers) -> None:
    """RFC 9113 8.2.1 and 8.2.2: what a field section must not hold."""
    for name, value in fields:
        if name in _FORBIDDEN or name != name.lower() or not is_token(name.decode("latin-1")):
            raise RemoteProtocolError(f"a field named {name[:80]!r}")
        if b"\0" in value or b"\r" in value or b"\n" in value:
            raise RemoteProtocolError(f"the field {name[:80]!r} holds CR, LF or NUL")
