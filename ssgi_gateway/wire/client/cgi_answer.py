"""The answer of a CGI-like server, for a client (RFC 3875 6): a head, a body, an end that the transport shows.

``Status:``, or a status line as nginx takes it, or neither (200; 302 with Location); lines end in CRLF or LF.
A Content-Length is held to: a shorter body is an error, what is longer is cut. No sockets, no clock.
"""

from __future__ import annotations

import re
from functools import lru_cache
from typing import Any, Final

from ssgi_gateway.errors import RemoteProtocolError
from ssgi_gateway.wire.grammar import is_token, parse_length
from ssgi_gateway.wire.hints import answer_hint

from .events import AnswerEnded, AnswerReceived, BodyArrived, Headers, InformationalReceived

__all__ = ["CgiAnswer"]

MAX_HEAD: Final = 65536
MAX_FIELDS: Final = 256
SMALL_HEAD: Final = 1024
"""Bytes of a head that is worth remembering."""
MAX_INFORMATIONAL: Final = 100
"""Interim answers before the final one; servers send no more than a few."""

_END: Final = re.compile(rb"\r?\n\r?\n")
_STATUS: Final = re.compile(rb"([1-9][0-9]{2})(?:[ \t]|$)")
_STATUS_LINE: Final = re.compile(rb"HTTP/[0-9.]+[ \t]+([1-9][0-9]{2})(?:[ \t]|$)")


class CgiAnswer:
    """One answer.

    Args:
        method: of the request.
        upgrade: whether the request asked for another protocol.

    Attributes:
        started: the head was complete.
        tunnel: the answer was a 101, and what follows is not HTTP's.
        surplus: bytes beyond the Content-Length, which were dropped.
        had_status: the head named a status.
        head_size: bytes of the head.
    """

    __slots__ = (
        "_buffer",
        "_informational",
        "_left",
        "_method",
        "_quiet",
        "_searched",
        "_upgrade",
        "had_status",
        "head_size",
        "started",
        "surplus",
        "tunnel",
    )

    def __init__(self, method: str, upgrade: bool = True) -> None:
        self._method = method
        self._upgrade = upgrade
        self._buffer = bytearray()
        self._searched = self._informational = 0
        self._left = -1
        self._quiet = False
        self.started = self.tunnel = self.had_status = False
        self.surplus = self.head_size = 0

    def receive(self, data: bytes) -> list[Any]:
        """Events of further bytes; none of them is ``AnswerEnded``.

        Raises:
            RemoteProtocolError: it is no CGI answer.
        """
        events: list[Any] = []
        if self.started:
            self._body(data, events)
            return events
        try:
            self._take_head(data, events)
        except RemoteProtocolError as error:
            error.events = events
            raise
        return events

    def receive_whole(self, data: bytes) -> list[Any]:
        """Events of an answer that is all there, ``AnswerEnded`` among them.

        Raises:
            RemoteProtocolError: it is no CGI answer, or not a whole one.
        """
        events: list[Any] = []
        try:
            self._take_head(data, events)
            ended = self.end()
        except RemoteProtocolError as error:
            error.events = events
            raise
        if not self.tunnel:
            events += ended
        return events

    def _take_head(self, data: bytes, events: list[Any]) -> None:
        buffer = self._buffer
        if not buffer:
            data = self._whole_head(data, events)
            if self.started:
                if data:
                    self._behind_head(data, events)
                return
        buffer += data
        while not self.started and buffer:
            match = _END.search(buffer, max(0, self._searched - 3))
            if match is None and not buffer.startswith((b"\n", b"\r\n")):
                self._searched = len(buffer)
                if len(buffer) > MAX_HEAD:
                    raise RemoteProtocolError(f"a head without an end within {MAX_HEAD} bytes")
                return
            end, start = (0, 1 + (buffer[0] == 13)) if match is None else (match.start(), match.end())
            if end > MAX_HEAD:
                raise RemoteProtocolError(f"a head of more than {MAX_HEAD} bytes")
            head = bytes(buffer[:end])
            self.head_size = start
            del buffer[:start]
            self._searched = 0
            self._head(head, events)
        if self.started and buffer:
            rest = bytes(buffer)
            buffer.clear()
            self._behind_head(rest, events)

    def _whole_head(self, data: bytes, events: list[Any]) -> bytes:
        """Mostly the head comes at once, and then nothing of it has to be kept; gives what is behind it."""
        global _last
        text, judged = _last
        if data.startswith(text):
            self.head_size = len(text)
            self._begin(judged, events)
            return data[len(text) :]
        # As _END finds it; two searches for bytes are less work than one for a pattern.
        crlf = data.find(b"\n\r\n", 0, MAX_HEAD)
        lf = data.find(b"\n\n", 0, MAX_HEAD if crlf < 0 else crlf + 1)
        end, start = (crlf, crlf + 3) if lf < 0 else (lf, lf + 2)
        if end < 0 or data.startswith((b"\n", b"\r\n")):
            return data
        if data[end - 1] == 13:
            end -= 1
        self.head_size = start
        head = data[:end]
        self._head(head, events)
        if self.started and end <= SMALL_HEAD:
            _last = data[:start], _read_again(head)
        return data[start:]

    def _behind_head(self, data: bytes, events: list[Any]) -> None:
        if not self.tunnel:
            self._body(data, events)
        else:
            events.append(BodyArrived(data))

    @property
    def filled(self) -> bool:
        """Whether the body is as long as its Content-Length said."""
        return self._left == 0 and not self._quiet

    def end(self) -> list[Any]:
        """The protocol below has ended the answer; whether it is complete.

        Raises:
            RemoteProtocolError: it is shorter than declared, or there is none.
        """
        if not self.started:
            raise RemoteProtocolError(
                "the server ended the exchange within the head of its answer: "
                f"{bytes(self._buffer[:40])!r}{answer_hint(bytes(self._buffer[:9]), 'SCGI')}"
                if self._buffer
                else "the server ended the exchange without an answer"
            )
        if self._left > 0 and not self._quiet:
            raise RemoteProtocolError(f"the body is {self._left} bytes shorter than its Content-Length")
        return [] if self._quiet else [AnswerEnded()]

    def _head(self, head: bytes, events: list[Any]) -> None:
        self._begin((_read_again if len(head) <= SMALL_HEAD else _read_head)(head), events)

    def _begin(self, judged: _Judged, events: list[Any]) -> None:
        self.had_status, status, fields, length, bodyless = judged
        headers = list(fields)
        if status < 200 and status != 101:
            self._informational += 1
            if self._informational > MAX_INFORMATIONAL:
                raise RemoteProtocolError(f"more than {MAX_INFORMATIONAL} informational answers")
            events.append(InformationalReceived(status, headers))
            return
        if status == 101 and not self._upgrade:
            raise RemoteProtocolError("101 without a request to upgrade")  # RFC 9110 15.2.2
        if length < -1:
            raise RemoteProtocolError("content lengths that differ, or are none")
        self._left = length
        self.started = True
        self.tunnel = tunnel = status == 101
        # RFC 9110 6.4.1: answers that have no body, whatever their Content-Length is
        self._quiet = quiet = bodyless or self._method == "HEAD"
        events.append(AnswerReceived(status, headers, "1.1", not (quiet or tunnel), tunnel))

    def _body(self, data: bytes, events: list[Any]) -> None:
        if self._quiet:
            if self._method != "HEAD":  # programs that know no HEAD send what they send to a GET
                self.surplus += len(data)
            return
        if self._left >= 0:
            if len(data) > self._left:
                self.surplus += len(data) - self._left
                data = data[: self._left]
            self._left -= len(data)
        if data:
            events.append(BodyArrived(data))


_Judged = tuple[bool, int, tuple[tuple[bytes, bytes], ...], int, bool]


def _read_head(head: bytes) -> _Judged:
    """Read a head.

    Returns:
        Whether it names a status; the status; the headers; the Content-Length, -1 without, -2 where it is none; whether
        no body follows, whatever the method.
    """
    if head.count(b"\n") > MAX_FIELDS:
        raise RemoteProtocolError(f"a head of more than {MAX_FIELDS} fields")
    status = 0
    headers: Headers = []
    for number, raw in enumerate(head.split(b"\n") if head else ()):
        line = raw.removesuffix(b"\r")
        if not number and line.startswith(b"HTTP/"):
            match = _STATUS_LINE.match(line)
            if match is None:
                raise RemoteProtocolError(f"{line[:80]!r} is no status line")
            status = int(match[1])
            continue
        name, colon, value = line.partition(b":")
        name, value = name.lower(), value.strip(b" \t")
        if not colon or not is_token(name.decode("latin-1")) or b"\r" in value or b"\0" in value:
            raise RemoteProtocolError(f"{line[:80]!r} is no header line{answer_hint(line[:9], 'SCGI')}")
        if name == b"status":
            match = _STATUS.match(value)
            if match is None:
                raise RemoteProtocolError(f"{value[:80]!r} is no status")
            status = int(match[1])
        else:
            headers.append((name, value))
    lengths = {value for name, value in headers if name == b"content-length"}
    length = -1
    if lengths:
        length = parse_length(lengths.pop().decode("latin-1"))
        if lengths or length < 0:
            length = -2
    named = status > 0
    if not named:
        status = 302 if any(name == b"location" for name, _ in headers) else 200
    return named, status, tuple(headers), length, status in (204, 304) or length == 0


_read_again = lru_cache(maxsize=64)(_read_head)
"""Answers of one application often begin alike."""

_last = (b"Status: 200\r\n\r\n", _read_head(b"Status: 200"))
"""The head that came last, with the empty line behind it, and how it was read."""
