"""What a supervisor prints, and the watcher of ``dev``: lines, none of which waits for its reader.

A terminal that was stopped (^S), a pager, a log collector that hangs: workers must be reaped, replaced and
stopped all the same. So a line that is not taken at once is kept (``observe.sink``), offered again when there is room,
and, where too many wait, dropped and counted.

Neither has a use for ``logging``, which is a megabyte.
"""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable
from typing import Any, Final

from ssgi_gateway.observe.sink import Sink

__all__ = ["Lines", "choose_log", "log", "notice", "say"]

SINK_NAMES: Final = {1: "standard output", 2: "standard error"}


class Lines:
    """One of the standard streams.

    Args:
        descriptor: 1 or 2. It is opened anew, so that other processes that have it go on as before.
        report: called with how many lines were lost, once lines are taken again.
    """

    def __init__(self, descriptor: int, report: Callable[[int], None] = lambda _: None) -> None:
        self._descriptor = descriptor
        self._report = report
        self._sink: Sink | None = None
        self._told = 0

    def write(self, text: str) -> None:
        """Print whole lines; ``text`` ends with one."""
        sink = self._opened()
        if sink is not None and not sink.write(text.encode("utf-8", "backslashreplace")):
            self._tell(sink)

    def _tell(self, sink: Sink) -> None:
        lost = sink.dropped - self._told
        if lost and not sink.waiting:
            self._told = sink.dropped
            self._report(lost)

    def _opened(self) -> Sink | None:
        if self._sink is None:
            try:
                name = SINK_NAMES[self._descriptor]
                self._sink = Sink(name, name, os.dup(self._descriptor), reports=False)
            except OSError:
                pass  # it was closed: there is no reader
        return self._sink

    def waiting(self) -> int:
        """The descriptor that should become writable, because something waits for that; -1 where nothing does."""
        return self._sink.fileno() if self._sink is not None and self._sink.waiting else -1

    def offer(self) -> None:
        """Offer what waits."""
        if self._sink is not None:
            self._sink.flush()
            self._tell(self._sink)

    def dump(self) -> str:
        """What waits, for a successor in this process."""
        return "" if self._sink is None else self._sink.take().decode("utf-8", "surrogateescape")

    def load(self, waiting: str) -> None:
        """What a predecessor could not write."""
        sink = self._opened()
        if sink is not None and waiting:
            sink.write(waiting.encode("utf-8", "surrogateescape"))

    def close(self) -> None:
        """Wait for the reader, half a second at most; what is written afterwards is for a new beginning."""
        sink, self._sink = self._sink, None
        self._told = 0
        if sink is not None:
            sink.close()


log: Final = Lines(2, lambda lost: say("warning", f"{lost} lines of this log were not read and are lost"))
"""The log, and what else is for standard error."""

_formats = {"json": False}


def choose_log(log_format: str) -> None:
    """How ``say`` writes: by the settings, as ``observe.log_setup`` does in workers.

    Args:
        log_format: ``auto``, ``text`` or ``json``.
    """
    _formats["json"] = log_format == "json" or (log_format == "auto" and not os.isatty(2))


def say(level: str, text: str) -> None:
    """A line in the log. The supervisor has one kind of line."""
    if _formats["json"]:
        log.write(f"{_object(level, text)}\n")
    else:
        log.write(f"{time.strftime('%H:%M:%S')} {level.upper():5} {text}\n")


def notice(text: str, message: str, level: str = "info", **fields: Any) -> None:
    """A line of a start: for a person, or a line of the log like any other.

    Args:
        text: for a person, of any number of lines.
        message: the same in one line, where lines are JSON.
        level: of that line.
        fields: what else the line holds.
    """
    log.write(f"{_object(level, message, **fields) if _formats['json'] else text}\n")


def _object(level: str, message: str, **fields: Any) -> str:
    now = time.time()
    stamp = f"{time.strftime('%Y-%m-%dT%H:%M:%S', time.gmtime(now))}.{int(now % 1 * 1000):03d}Z"
    about = {"ts": stamp, "level": level, "logger": "ssgi_gateway.process", "pid": os.getpid(), "msg": message}
    return json.dumps({**about, **fields}, ensure_ascii=False)
