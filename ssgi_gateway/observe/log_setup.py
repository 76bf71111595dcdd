"""How the server's own lines are logged: text at a terminal, JSON otherwise.

The application's logging is its own affair. Nothing here touches the root logger: the server's lines go to its own
handler for as long as the application has configured none, and to the application's from then on, by propagation.
"""

from __future__ import annotations

import contextlib
import json
import logging
import os
import sys
import time
from typing import TYPE_CHECKING, Any, Final, TextIO

from ssgi_gateway.observe.logs import printable
from ssgi_gateway.observe.sink import Sink

if TYPE_CHECKING:
    from ssgi_gateway.settings import Settings

__all__ = ["JsonFormatter", "TextFormatter", "configure", "enable", "flush", "has_waiting", "number_worker"]

ROOT: Final = "ssgi_gateway"
NAMES: Final = ("app", "client", "hooks", "observe.log_setup", "process", "rpc", "server", "slow")
"""Loggers, some of which are made late, when their module is imported."""
EXTRAS: Final = ("request_id", "worker")
"""Attributes of a record that are shown where it has them."""

_COLOURS: Final = {"DEBUG": "2", "INFO": "36", "WARNING": "33", "ERROR": "31", "CRITICAL": "31;1"}


OWN: Final = (os.path.dirname(os.path.dirname(__file__)), "build/mirror/")
"""Where this program's own modules are, and the compiled ones were."""


class _Formatter(logging.Formatter):
    """Tracebacks begin where the application's code does."""

    worker: int | None = None
    """The number of this worker, where there are several."""

    def formatException(self, ei: Any) -> str:  # noqa: N802 - logging's name
        """The traceback, without the way of the server to the application; whole where there is nothing else."""
        kind, error, trace = ei
        shown = trace
        while shown is not None and shown.tb_frame.f_code.co_filename.startswith(OWN):
            shown = shown.tb_next
        return super().formatException((kind, error, shown or trace))


class TextFormatter(_Formatter):
    """``12:03:44 INFO  [2] draining``; the number is the worker's, where there are several."""

    def __init__(self, coloured: bool = False, worker: int | None = None) -> None:
        super().__init__()
        self._coloured = coloured
        self.worker = worker

    def format(self, record: logging.LogRecord) -> str:
        """The line, and the traceback behind it."""
        level = f"{record.levelname:5}"
        if self._coloured:
            level = f"\x1b[{_COLOURS.get(record.levelname, '0')}m{level}\x1b[0m"
        stamp = time.strftime("%H:%M:%S", time.localtime(record.created))
        request_id = getattr(record, "request_id", "")
        worker = "" if self.worker is None else f"[{self.worker}] "
        line = f"{stamp} {level} {worker}{printable(record.getMessage())}"
        if request_id:
            line = f"{line} [{request_id}]"
        if record.exc_info:
            line = f"{line}\n{self.formatException(record.exc_info)}"
        return line


class JsonFormatter(_Formatter):
    """One object a line; ``ts`` is UTC (RFC 3339)."""

    def __init__(self, worker: int | None = None) -> None:
        super().__init__()
        self.worker = worker

    def format(self, record: logging.LogRecord) -> str:
        """The object."""
        line: dict[str, Any] = {
            "ts": timestamp(record.created),
            "level": record.levelname.lower(),
            "logger": record.name,
            "pid": os.getpid(),
        }
        if self.worker is not None:
            line["worker"] = self.worker
        for name in EXTRAS:
            value = getattr(record, name, None)
            if value is not None:
                line[name] = value
        line["msg"] = record.getMessage()
        if record.exc_info:
            line["exc"] = self.formatException(record.exc_info)
        return json.dumps(line, ensure_ascii=False).encode("utf-8", "backslashreplace").decode()


class OwnHandler(logging.Handler):
    """Writes to standard error until the application has a handler of its own at the root.

    Nothing waits for the reader (``sink``): what is not read is kept, up to a bound, and then dropped and
    counted, so that a reader that has stopped does not stop the server.
    """

    def __init__(self, stream: TextIO | None) -> None:
        super().__init__()
        self._stream = stream
        self._reported = 0
        self._sink: Sink | None = None
        if stream is not None:
            with contextlib.suppress(OSError, ValueError):  # a test's
                self._sink = Sink("standard error", "the log", os.dup(stream.fileno()), reports=False)

    def emit(self, record: logging.LogRecord) -> None:
        """Write the record, unless it is shown elsewhere anyway."""
        if logging.root.handlers:
            return
        try:
            line = f"{self.format(record)}\n"
        except Exception:  # what was logged has no text: logging reports it, as everywhere
            self.handleError(record)
            return
        if self._sink is not None:
            self._sink.write(line.encode("utf-8", "backslashreplace"))
        elif self._stream is not None:
            self._stream.write(line)
            self._stream.flush()

    def offer(self) -> int:
        """Offer what waits again; returns how many lines were lost since the last time."""
        if self._sink is None or not (self._sink.dropped or self._sink.waiting):
            return 0
        with self.lock or contextlib.nullcontext():
            self._sink.flush()
            lost = self._sink.dropped - self._reported
            self._reported = self._sink.dropped
        if lost:
            logging.getLogger(__name__).warning("standard error was not read: %d lines of this log were lost", lost)
        return lost

    @property
    def waiting(self) -> bool:
        """Whether ``offer`` has anything to do."""
        return self._sink is not None and bool(self._sink.dropped - self._reported or self._sink.waiting)

    def close(self) -> None:
        """Wait a moment for the reader, and no longer.

        ``logging.config`` closes every handler there is, at any time, so this one writes on afterwards.
        """
        if self._sink is not None:
            self._sink.wait()
        super().close()

    def end(self) -> None:
        """Close, for good."""
        sink, self._sink = self._sink, None
        if sink is not None:
            sink.close()
        self.close()


class ServerLogger(logging.Logger):
    """A logger that ``logging.config`` does not silence by not naming it; to get less of it, set its level.

    By default ``dictConfig`` disables what it does not name, and applications forget that: when they are
    loaded, in their startup, or in a request. All errors of the server would be lost with it.
    """

    @property
    def disabled(self) -> bool:
        """Never."""
        return False

    @disabled.setter
    def disabled(self, value: bool) -> None:
        pass


def configure(settings: Settings, worker: int | None = None) -> None:
    """Have the server's lines written; a fork that gives the process a number goes on with ``number_worker``.

    Args:
        settings: ``log_format`` and ``log_level``.
        worker: the number of this worker, where there are several.
    """
    logger = logging.getLogger(ROOT)
    for handler in [*logger.handlers]:
        if isinstance(handler, OwnHandler):
            logger.removeHandler(handler)
            handler.end()
    handler = OwnHandler(sys.stderr)
    terminal = sys.stderr is not None and sys.stderr.isatty()
    if settings.log_format == "json" or (settings.log_format == "auto" and not terminal):
        handler.setFormatter(JsonFormatter(worker))
    else:
        handler.setFormatter(TextFormatter(terminal and not os.environ.get("NO_COLOR"), worker))
    logger.addHandler(handler)
    logger.setLevel(settings.log_level.upper())
    for name in NAMES:
        logging.getLogger(f"{ROOT}.{name}")
    enable()


def number_worker(number: int) -> None:
    """From now on the lines are those of this worker. Nothing is made anew, so a fork shares what it has."""
    for handler in logging.getLogger(ROOT).handlers:
        if isinstance(handler, OwnHandler) and isinstance(handler.formatter, _Formatter):
            handler.formatter.worker = number


def enable() -> None:
    """Undo what ``logging.config`` has done to the server's loggers, and have it do so no more."""
    for name, logger in logging.root.manager.loggerDict.items():
        if (name == ROOT or name.startswith(f"{ROOT}.")) and isinstance(logger, logging.Logger):
            if type(logger) is logging.Logger:
                logger.__class__ = ServerLogger
            logger.disabled = False


def flush() -> int:
    """Offer lines that wait for a reader again; returns how many were lost since the last time."""
    return sum(it.offer() for it in logging.getLogger(ROOT).handlers if isinstance(it, OwnHandler))


def has_waiting() -> bool:
    """Whether there are lines that wait for a reader, or some were lost and that was not reported yet."""
    return any(it.waiting for it in logging.getLogger(ROOT).handlers if isinstance(it, OwnHandler))


def timestamp(seconds: float) -> str:
    """``2026-11-26T22:03:44.123Z``."""
    whole = int(seconds)
    return f"{time.strftime('%Y-%m-%dT%H:%M:%S', time.gmtime(whole))}.{int((seconds - whole) * 1000):03}Z"
