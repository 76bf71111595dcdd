"""The chunked transfer coding (RFC 9112 7.1), the receiving half: what came in, and where it ends.

The rules of this module are those of RFC 9112, without the leniency that makes two readers of one connection disagree:

* Lines end with CRLF. A bare CR or LF is an error wherever it stands.
* A size is one to sixteen hexadecimal digits.
* Extensions and trailers are read, found to be text, and thrown away. There are never many more bytes of them than of
  the body itself, so that no time is spent on what means nothing.

It works both ways: requests have bodies, and so have the answers that a client reads.
"""

from __future__ import annotations

import re
from typing import Final

from ssgi_gateway.errors import RemoteProtocolError

__all__ = ["ChunkedBody"]

MAX_LINE: Final = 8192
"""Bytes of a chunk's first line, extensions and all, and of a trailer."""
OVERHEAD: Final = 65536
"""Bytes of extensions and trailers that are granted to any body; beyond, there may be as many as there are of body."""

SIZE: Final = 0  # the line before a chunk
DATA: Final = 1
DATA_END: Final = 2  # the CRLF behind it
TRAILER: Final = 3
ENDED: Final = 4

_size = re.compile(rb"([0-9A-Fa-f]{1,16})(?:[ \t]*;[\t\x20-\x7e\x80-\xff]*)?[ \t]*")
_trailer = re.compile(rb"[!#$%&'*+\-.^_`|~0-9A-Za-z]+:[\t\x20-\x7e\x80-\xff]*")


class ChunkedBody:
    """One body, from the first chunk's size to the empty line at the end.

    Attributes:
        ended: all of it was read.
    """

    __slots__ = ("_left", "_line", "_overhead", "_state", "_total", "ended")

    def __init__(self) -> None:
        self._state = SIZE
        self._left = 0  # bytes of the current chunk that have not come yet
        self._line = b""  # the begin of a line that has not ended
        self._overhead = 0
        self._total = 0
        self.ended = False

    def feed(self, data: bytes, start: int, found: list[bytes]) -> int:
        """Read on.

        Args:
            data: what has arrived.
            start: where this body goes on in it.
            found: the pieces of the body are appended here.

        Returns:
            Where reading stopped: the end of ``data``, or of the body.

        Raises:
            RemoteProtocolError: this is not the coding.
        """
        at, end = start, len(data)
        while at < end and self._state != ENDED:
            if self._state == DATA:
                at = self._take_data(data, at, end, found)
            elif self._state == DATA_END:
                at = self._take_data_end(data, at, end)
            else:
                at = self._take_line(data, at, end)
        return at

    def _take_data(self, data: bytes, at: int, end: int, found: list[bytes]) -> int:
        size = min(self._left, end - at)
        found.append(data if size == len(data) else data[at : at + size])
        self._left -= size
        self._total += size
        if not self._left:
            self._state = DATA_END
            self._left = 2
        return at + size

    def _take_data_end(self, data: bytes, at: int, end: int) -> int:
        while at < end and self._left:
            if data[at] != (13 if self._left == 2 else 10):
                raise RemoteProtocolError("a chunk is longer than its size says")
            self._left -= 1
            at += 1
        if not self._left:
            self._state = SIZE
        return at

    def _take_line(self, data: bytes, at: int, end: int) -> int:
        """A line of the framing, which may come in pieces."""
        # The LF alone is looked for, so that one which no CR stands before ends the line as well and is seen.
        stop = data.find(b"\n", at, min(end, at + MAX_LINE))
        piece = data[at : stop + 1 if stop >= 0 else end]
        line = self._line + piece if self._line else piece
        if len(line) > MAX_LINE:
            raise RemoteProtocolError(f"a line of a chunked body has more than {MAX_LINE} bytes")
        if stop < 0:
            self._line = line
            return end
        self._line = b""
        if line[-2:] != b"\r\n":
            raise RemoteProtocolError("a line of a chunked body ends with a bare LF")
        line = line[:-2]
        if self._state == SIZE:
            self._size_received(line)
        else:
            self._trailer_received(line)
        return stop + 1

    def _size_received(self, line: bytes) -> None:
        match = _size.fullmatch(line)
        if match is None:
            raise RemoteProtocolError(f"a chunk's size is {line[:40]!r}")
        digits = match[1]
        self._charge(len(line) - len(digits))
        self._left = int(digits, 16)
        self._state = DATA if self._left else TRAILER

    def _trailer_received(self, line: bytes) -> None:
        if not line:
            self._state = ENDED
            self.ended = True
            return
        if _trailer.fullmatch(line) is None:
            raise RemoteProtocolError(f"a trailer is {line[:40]!r}")
        self._charge(len(line))

    def _charge(self, size: int) -> None:
        self._overhead += size
        if self._overhead > OVERHEAD + self._total:
            raise RemoteProtocolError("a chunked body has more extensions and trailers than body")
