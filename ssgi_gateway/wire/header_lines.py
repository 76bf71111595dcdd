"""The lines of an answer's head: one line of a name and a value, and a head of its lines.

What may stand in a line is decided by ``header_rules``. The compiled build has a twin, which keeps the lines that were
found to be right, and writes a head in one piece.
"""

from __future__ import annotations

from typing import Any

from ssgi_gateway.wire.header_rules import CGI, FIELDS, judge

__all__ = ["Line", "assemble", "line_of"]


class Line:
    """A header as it is sent, and what is special about it.

    Args:
        text: the line, its CRLF included.
        kind: one of the constants of ``header_rules``.
        event_stream: of a Content-Type, whether it is ``text/event-stream``.
        length: of a Content-Length, in bytes.
    """

    __slots__ = ("event_stream", "kind", "length", "text")

    def __init__(self, text: bytes, kind: int, event_stream: bool, length: int) -> None:
        self.text = text
        self.kind = kind
        self.event_stream = event_stream
        self.length = length


def line_of(pair: Any) -> Line:
    """The line of one pair of name and value.

    Raises:
        ValueError: as ``judge``, or it is no pair.
        TypeError: likewise.
    """
    name, value = pair
    return Line(*judge(name, value))


def assemble(form: int, status: int, reason: str, lines: list[bytes], length: int, unbuffered: bool) -> bytes:
    """A head as it is sent.

    Args:
        form: ``FIELDS``, ``CGI`` or ``HTTP``.
        status: three digits.
        reason: its reason phrase.
        lines: the headers.
        length: the Content-Length to be sent; -1 for none.
        unbuffered: whether nginx is to pass the body on as it comes.
    """
    fields = b"".join(lines)
    if length >= 0:
        fields += b"Content-Length: %d\r\n" % length
    if unbuffered:
        fields += b"X-Accel-Buffering: no\r\n"
    if form == FIELDS:
        return fields
    line = f"{status} {reason}\r\n".encode("latin-1")
    return b"%bStatus: %b\r\n" % (fields, line) if form == CGI else b"HTTP/1.1 %b%b\r\n" % (line, fields)
