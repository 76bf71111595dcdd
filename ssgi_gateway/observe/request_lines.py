"""Request lines for a developer's terminal: what was asked, what was answered, how long it took.

Written at once, one write a line; colours only where a person reads. A terminal that was stopped is not waited for
(``sink``). It is a class of each build, because observers are (``observer.py``).
"""

from __future__ import annotations

import contextlib
import os
import sys
import time
from typing import TYPE_CHECKING, Final, TextIO

from ssgi_gateway.observe.logs import printable
from ssgi_gateway.observe.sink import Sink

from .observer import Observer

if TYPE_CHECKING:
    from ..core.exchange import Exchange

__all__ = ["RequestLines", "has_colours"]

_COLOURS: Final = {1: "36", 2: "32", 3: "36", 4: "33", 5: "31;1"}
SLOW: Final = 1.0
"""Seconds from which the time is shown in red."""


def has_colours(stream: TextIO) -> bool:
    """Whether a person reads there; https://no-color.org is respected."""
    return not os.environ.get("NO_COLOR") and os.environ.get("TERM") != "dumb" and stream.isatty()


class RequestLines(Observer):
    """Writes to standard output."""

    def __init__(self, stream: TextIO | None = None) -> None:
        self._stream = stream or sys.stdout
        self._coloured = has_colours(self._stream)
        self._sink: Sink | None = None
        with contextlib.suppress(OSError, ValueError):  # a stream that is no descriptor's
            self._sink = Sink("standard output", "the lines", os.dup(self._stream.fileno()), reports=False)

    def request_ended(self, exchange: Exchange, status: int, seconds: float) -> None:
        request = exchange.request
        query = f"?{request.query_string}" if request.query_string else ""
        method = "WebSocket" if status == 101 else request.method
        words = printable(f"{method:7} {request.raw_path}{query}")
        shown = "left" if status == 499 else str(status)
        self._write(
            f"{self._paint('2', time.strftime('%H:%M:%S'))} {self._paint(_COLOURS.get(status // 100, '0'), shown)} "
            f"{words} {self._paint('31' if seconds >= SLOW else '2', duration(seconds))}\n"
        )

    def websocket_closed(self, exchange: Exchange, code: int) -> None:
        words = printable(f"WebSocket {exchange.request.raw_path} closed {code}")
        self._write(f"{self._paint('2', time.strftime('%H:%M:%S'))}     {self._paint('2', words)}\n")

    def _paint(self, colour: str, text: str) -> str:
        return f"\x1b[{colour}m{text}\x1b[0m" if self._coloured else text

    def _write(self, line: str) -> None:
        try:
            if self._sink is None:
                self._stream.write(line)
            self._stream.flush()  # what the application has printed before
        except (OSError, ValueError):
            pass  # the terminal was closed; the requests go on
        if self._sink is not None:
            self._sink.write(line.encode("utf-8", "backslashreplace"))

    def tick(self, now: float) -> None:
        if self._sink is not None:
            self._sink.flush()

    def needs_clock(self) -> bool:
        return self._sink is not None and self._sink.waiting > 0

    def close(self) -> None:
        if self._sink is not None:
            self._sink.close()


def duration(seconds: float) -> str:
    """A time for people: ``0.4 ms``, ``12 ms``, ``1.2 s``."""
    if seconds < 0.01:
        return f"{seconds * 1000:.1f} ms"
    return f"{seconds * 1000:.0f} ms" if seconds < 1 else f"{seconds:.1f} s"
