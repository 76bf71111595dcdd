"""The access log: one line a request, in the combined format with more fields behind it, or as JSON.

Lines are gathered and written together, twice a second or when there are many (``sink.py`` decides where to, and what
happens when they are not read); after a rotation a new file is begun. The web server in front has a log of its own, so
this one is off by default.

The compiled build has a twin of this module that writes a line straight into the buffer that is written.
"""

from __future__ import annotations

import json
import time
from typing import TYPE_CHECKING, Any, Final

from ssgi_gateway.observe.sink import Sink
from ssgi_gateway.observe.table import DROPPED_LINES

from .observer import CLIENT_GONE, Observer

if TYPE_CHECKING:
    from ..core.exchange import Exchange

__all__ = ["COMBINED", "FIELDS", "AccessLog"]

MAX_GATHERED: Final = 65536
"""Characters gathered before they are written without waiting for the clock."""

FIELDS: Final = (
    "ts", "id", "remote", "method", "path", "query", "proto", "status", "bytes_in", "bytes", "seconds", "protocol",
    "worker", "referer", "agent", "aborted",
)  # fmt: skip
"""What a line can hold, in the order of the JSON that has all of it."""
COMBINED: Final = ("seconds",)
"""What stands behind the combined format by default."""

_ESCAPES: Final = {code: f"\\x{code:02x}" for code in (*range(32), 34, 92, *range(127, 256))}
"""As nginx escapes: whatever a client sends, a line stays a line and a field a field."""
_SPACE: Final = "\\x20"
"""The first field has no quotes; a web server may pass on there what a client claims, too."""


class AccessLog(Observer):
    """An observer that writes a line for each request.

    Args:
        sink: where to.
        style: ``"combined"`` or ``"json"``.
        fields: of ``FIELDS``, in this order: of the JSON object, or behind the combined format; empty for the usual.
        seat: where dropped lines are counted; may be ``None``.
        worker: the number of this worker.
    """

    def __init__(
        self, sink: Sink, style: str = "combined", fields: tuple[str, ...] = (), seat: Any = None, worker: int = 0
    ) -> None:
        self.sink = sink
        self._json = style == "json"
        self._fields = fields or (FIELDS if self._json else COMBINED)
        self._seat = seat
        self._worker = worker
        self._lines: list[str] = []
        self._size = 0
        self._second = -1
        self._stamp = ""  # of the combined format
        self._date = ""  # of JSON, without the fraction
        self._names = [f',"{name}":' for name in self._fields]  # as they stand before the values

    def request_ended(self, exchange: Exchange, status: int, seconds: float) -> None:
        """One line for one exchange."""
        line = self._object(exchange, status, seconds) if self._json else self._combined(exchange, status, seconds)
        self._lines.append(line)
        self._size += len(line)
        if self._size >= MAX_GATHERED:
            self.flush()

    def _combined(self, exchange: Exchange, status: int, seconds: float) -> str:
        request = exchange.request
        variables = request.variables
        query = request.query_string
        asked = (
            f"{request.method} {request.raw_path}{'?' if query else ''}{query} {variables.get('SERVER_PROTOCOL', '')}"
        )
        agent = variables.header("user-agent")
        referer = variables.header("referer")
        host = _host(request.remote_address) or "-"
        if " " in host:
            host = host.replace(" ", _SPACE)
        line = (
            f'{_escaped(host)} - - [{self._now()}] "{_escaped(asked)}" {status} {exchange.sent} '
            f'"{_escaped(referer) if referer else "-"}" "{_escaped(agent) if agent else "-"}"'
        )
        for name in self._fields:
            value = self._value(name, exchange, status, seconds)
            text = f"{value:.6f}" if isinstance(value, float) else _escaped(str(value)).replace(" ", _SPACE)
            line = f"{line} {text or '-'}"
        return f"{line}\n"

    def _object(self, exchange: Exchange, status: int, seconds: float) -> str:
        parts = []
        for index, name in enumerate(self._fields):
            parts.append(self._names[index])
            value = self._value(name, exchange, status, seconds)
            if type(value) is str:
                parts.append(_quoted(value))
            elif type(value) is float:
                parts.append(f"{value:.6f}")
            else:
                parts.append("true" if value is True else "false" if value is False else str(value))
        return f"{{{''.join(parts)[1:]}}}\n"

    def _value(self, name: str, exchange: Exchange, status: int, seconds: float) -> Any:  # noqa: C901 - a table
        request = exchange.request
        if name == "ts":
            return self._timestamp()
        if name == "id":
            return exchange.request_id()
        if name == "remote":
            return _host(request.remote_address)
        if name == "method":
            return request.method
        if name == "path":
            return request.raw_path
        if name == "query":
            return request.query_string
        if name == "proto":
            return request.variables.get("SERVER_PROTOCOL", "")
        if name == "status":
            return status
        if name == "bytes_in":
            return exchange.received()
        if name == "bytes":
            return exchange.sent
        if name == "seconds":
            return seconds
        if name == "protocol":
            return exchange.protocol
        if name == "worker":
            return self._worker
        if name == "aborted":
            return status == CLIENT_GONE
        return request.variables.header("user-agent" if name == "agent" else name) or ""

    def tick(self, now: float) -> None:
        """Write what was gathered, and see whether the file was moved away."""
        self.flush()
        self.sink.follow()

    def needs_clock(self) -> bool:
        """Whether lines wait for a reader."""
        return bool(self._lines or self.sink.waiting)

    def clock_started(self, now: float) -> None:
        """The file may have been moved away meanwhile."""
        self.sink.follow()

    def flush(self) -> None:
        """Write what was gathered."""
        if self._lines:
            data = "".join(self._lines).encode("latin-1", "backslashreplace")
            self._lines.clear()
            self._size = 0
            dropped = self.sink.write(data)
            if dropped and self._seat is not None:
                self._seat.words[DROPPED_LINES] += dropped
        else:
            self.sink.flush()

    def close(self) -> None:
        """Write the rest and close."""
        self.flush()
        self.sink.close()

    def _now(self) -> str:
        self._look_at_clock()
        return self._stamp

    def _timestamp(self) -> str:
        now = self._look_at_clock()
        return f"{self._date}.{int((now - self._second) * 1000):03}Z"

    def _look_at_clock(self) -> float:
        """The time; once a second also as text."""
        now = time.time()
        if int(now) != self._second:
            self._second = int(now)
            self._stamp = time.strftime("%d/%b/%Y:%H:%M:%S %z", time.localtime(now))
            self._date = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(now))
        return now


def _host(remote: str) -> str:
    return remote.rpartition(":")[0].strip("[]") or remote


def _quoted(text: str) -> str:
    """``text`` as JSON has it; strings are latin-1 as received."""
    return f'"{text}"' if _is_plain(text) else json.dumps(text)


def _escaped(text: str) -> str:
    """``text`` as a field."""
    return text if _is_plain(text) else text.translate(_ESCAPES)


def _is_plain(text: str) -> bool:
    """Whether ``text`` is printable ASCII without a quote or a backslash: it can stand in a field as it is."""
    return text.isascii() and text.isprintable() and '"' not in text and "\\" not in text
