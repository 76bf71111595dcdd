"""The access log: one line a request in the combined format, with the seconds it took at the end.

Lines are gathered and written together, twice a second or when there are many; a file that was moved away by a
rotation is begun anew then. What cannot be written (a full disk)
is lost and counted, and no request waits for it. The web server in front has a log of its own, so this one is off
unless it is asked for.
"""

from __future__ import annotations

import os
import sys
import time
from typing import TYPE_CHECKING, Final

from ssgi_gateway.errors import ConfigurationError
from ssgi_gateway.observe.logs import RateLimitedLog

from .observer import Observer

if TYPE_CHECKING:
    from ..core.exchange import Exchange

__all__ = ["AccessLog"]

MAX_GATHERED: Final = 65536
"""Characters gathered before they are written without waiting for the clock."""

_ESCAPES: Final = {code: f"\\x{code:02x}" for code in (*range(32), 34, 92, *range(127, 256))}
"""As nginx escapes: whatever a client sends, a line stays a line and a field a field."""
_SPACE: Final = "\\x20"
"""The first field has no quotes; a web server may pass on there what a client said of itself, too."""


class AccessLog(Observer):
    """An observer that writes a line for each request into a file, or to standard output.

    Args:
        path: the file, appended to; ``-`` for standard output.

    Raises:
        ConfigurationError: it cannot be opened.
    """

    def __init__(self, path: str) -> None:
        self._path = path
        self._lines: list[str] = []
        self._size = 0
        self._lost = 0
        self._second = -1
        self._stamp = ""
        self._complaints = RateLimitedLog(__name__)
        self._fd = self._open()

    def request_ended(self, exchange: Exchange, status: int, seconds: float) -> None:
        """One line for one exchange."""
        request = exchange._request
        variables = request.variables
        query = f"?{request.query_string}" if request.query_string else ""
        self.add(
            request.remote_address,
            f"{request.method} {request.raw_path}{query} {variables.get('SERVER_PROTOCOL', '')}",
            status,
            exchange.sent,
            variables.header("referer") or "",
            variables.header("user-agent") or "",
            seconds,
        )

    def tick(self, now: float) -> None:
        """Write what was gathered."""
        self.flush()

    def _open(self) -> int:
        if self._path == "-":
            return os.dup(sys.stdout.fileno())
        try:
            return os.open(self._path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o640)
        except OSError as error:
            raise ConfigurationError(f"--access-log: {self._path} cannot be opened: {error.strerror}") from None

    def add(self, remote: str, request: str, status: int, size: int, referer: str, agent: str, seconds: float) -> None:
        """Note a request; strings are latin-1 as received.

        Args:
            remote: the client's address, port and all.
            request: the request line.
            status: as sent; 499 when the client left before there was any (nginx's code).
            size: bytes of the body that were written.
            referer: the header, or ``""``.
            agent: User-Agent, or ``""``.
            seconds: from the head's arrival to the last write.
        """
        host = remote.rpartition(":")[0].strip("[]") or remote or "-"
        line = (
            f'{_escaped(host).replace(" ", _SPACE)} - - [{self._now()}] "{_escaped(request)}" {status} {size} '
            f'"{_escaped(referer) or "-"}" "{_escaped(agent) or "-"}" {seconds:.6f}\n'
        )
        self._lines.append(line)
        self._size += len(line)
        if self._size >= MAX_GATHERED:
            self.flush()

    def flush(self) -> None:
        """Write what was gathered."""
        if not self._lines:
            return
        text, count = "".join(self._lines), len(self._lines)
        self._lines.clear()
        self._size = 0
        self._follow()
        try:
            data = text.encode("latin-1", "backslashreplace")
            while data:
                data = data[os.write(self._fd, data) :]
        except OSError as error:
            self._lost += count
            self._complaints.warning(
                "access log", f"{self._path}: {error.strerror}; {self._lost} lines were lost", time.monotonic()
            )

    def _follow(self) -> None:
        """After the file was rotated: go on in a new one of the same name."""
        if self._path == "-":
            return
        try:
            there = os.stat(self._path)
        except OSError:
            there = None
        here = os.fstat(self._fd)
        if there is not None and (there.st_dev, there.st_ino) == (here.st_dev, here.st_ino):
            return
        try:
            fd = self._open()
        except ConfigurationError as error:
            self._complaints.warning("rotation", f"{error}; the old file stays in use", time.monotonic())
            return
        os.close(self._fd)
        self._fd = fd

    def close(self) -> None:
        """Write the rest and close."""
        self.flush()
        os.close(self._fd)

    def _now(self) -> str:
        now = int(time.time())
        if now != self._second:
            self._second = now
            self._stamp = time.strftime("%d/%b/%Y:%H:%M:%S %z", time.localtime(now))
        return self._stamp


def _escaped(text: str) -> str:
    """``text`` as a field; nearly all are as they should be, and to look is a fraction of what ``translate`` costs."""
    if text.isascii() and text.isprintable() and '"' not in text and "\\" not in text:
        return text
    return text.translate(_ESCAPES)
