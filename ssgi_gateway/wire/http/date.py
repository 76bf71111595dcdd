"""The ``Date`` header (RFC 9110 6.6.1): one for all connections, written by the server, which has a clock."""

from __future__ import annotations

__all__ = ["DateLine"]


class DateLine:
    """``line`` is the header and its CRLF, ``b""`` for none."""

    __slots__ = ("line",)

    def __init__(self) -> None:
        self.line = b""
