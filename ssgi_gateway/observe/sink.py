"""Where lines go: a file, or standard output, whatever that is, and never a wait.

* Files are written by write(2); several workers append to one, each line whole.
* Pipes and terminals are opened anew: O_NONBLOCK on a duplicate would hold for every process that has the file. They
  get at most ``PIPE_PIECE`` bytes a write, which the kernel does not tear (PIPE_BUF), and always whole lines.
* Sockets (journald's, for one) are written with MSG_DONTWAIT.

What is not taken waits, up to ``MAX_WAITING``; then lines are dropped and counted, and no request has waited.
"""

from __future__ import annotations

import contextlib
import os
import select
import socket
import stat
import sys
import time
from typing import TYPE_CHECKING, Final

from ssgi_gateway import linux
from ssgi_gateway.errors import ConfigurationError

if TYPE_CHECKING:
    from ssgi_gateway.observe.logs import RateLimitedLog

__all__ = ["MAX_WAITING", "Sink", "open_file"]

PIPE_PIECE: Final = 4000
FILE_PIECE: Final = 1 << 20
MAX_WAITING: Final = 1 << 20
"""Bytes that may wait for a reader."""
LAST_WAIT: Final = 0.5
"""Seconds that the end of a process waits for a reader that is slow."""
FLAGS: Final = os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC | os.O_NOCTTY


class Sink:
    """A file, appended to, or standard output.

    Args:
        path: of the file; ``-`` for standard output.
        option: the setting that names it, for messages.
        fd: of the file, where a process with more rights has opened it; it is taken over.
        reports: whether a line of the log names what was lost; not of the log that this is the sink of.

    Attributes:
        dropped: lines that were not read in time.

    Raises:
        ConfigurationError: it cannot be opened.
    """

    def __init__(self, path: str, option: str, fd: int = -1, reports: bool = True) -> None:
        self._path = path
        self._option = option
        self._waiting: list[bytes] = []  # pieces of whole lines
        self._size = 0
        self.dropped = 0
        self._reports = reports
        self._warnings: RateLimitedLog | None = None
        self._refused = False
        self._fd = -1
        self._socket: socket.socket | None = None
        self._piece = FILE_PIECE
        self._use(fd if fd >= 0 else self._open())

    def _open(self) -> int:
        if self._path == "-":
            return os.dup(sys.stdout.fileno())
        return open_file(self._path, self._option)

    def _use(self, fd: int) -> None:
        mode = os.fstat(fd).st_mode
        self._socket = None
        self._piece = FILE_PIECE
        if stat.S_ISSOCK(mode):
            self._socket = socket.socket(fileno=fd)
        elif not stat.S_ISREG(mode):
            self._piece = PIPE_PIECE
            with contextlib.suppress(OSError):  # a terminal of another user: then it may block, as for any process
                again = linux.reopen(fd)
                os.close(fd)
                fd = again
        self._fd = fd

    def write(self, lines: bytes) -> int:
        """Write whole lines behind those that wait; returns how many were dropped."""
        before = self.dropped
        start = 0
        while len(lines) - start > self._piece:
            # As many lines as fit; one that does not fit alone goes alone.
            end = lines.rfind(b"\n", start, start + self._piece) + 1 or lines.find(b"\n", start) + 1 or len(lines)
            self._keep(lines[start:end])
            start = end
        if start < len(lines):
            self._keep(lines[start:])
        self.flush()
        while self._size > MAX_WAITING:
            lost = self._waiting.pop()  # the newest: what is there already shows how it began
            self._size -= len(lost)
            self._drop(lost.count(b"\n"), "the reader has stopped")
        return self.dropped - before

    def _keep(self, piece: bytes) -> None:
        self._waiting.append(piece)
        self._size += len(piece)

    def flush(self) -> None:
        """Offer what waits."""
        taken = 0
        for piece in self._waiting:
            try:
                sent = self._send(piece)
            except BlockingIOError:
                break
            except OSError as error:
                sent = len(piece)
                self._drop(piece.count(b"\n"), error.strerror or str(error))
            self._size -= sent
            if sent < len(piece):
                self._waiting[taken] = piece[sent:]
                break
            taken += 1
        if taken:
            del self._waiting[:taken]

    def _send(self, piece: bytes) -> int:
        if self._socket is not None:
            return self._socket.send(piece, socket.MSG_DONTWAIT | linux.NO_SIGNAL)
        return os.write(self._fd, piece)

    def _drop(self, count: int, why: str) -> None:
        self.dropped += count
        if self._reports:
            self._warn("dropped", f"{self._option}: {self._path}: {why}; {self.dropped} lines were lost")

    def _warn(self, kind: str, message: str) -> None:
        if self._warnings is None:
            from ssgi_gateway.observe.logs import RateLimitedLog  # supervisors have sinks and no ``logging``

            self._warnings = RateLimitedLog(__name__)
        self._warnings.warning(kind, message, time.monotonic())

    def follow(self, fd: int = -1) -> None:
        """After the file was rotated: go on in a new one of the same name.

        Args:
            fd: the new one, where a process with more rights has opened it; it is taken over.
        """
        if fd < 0:
            if self._path == "-" or not self._was_moved():
                return
            try:
                fd = self._open()
            except ConfigurationError as error:
                if self._refused:  # at the first time a process with more rights may be about to pass one on
                    self._warn("rotation", f"{error}; the old file stays in use")
                self._refused = True
                return
        self._refused = False
        self.flush()
        self._give_back()
        self._use(fd)

    def _was_moved(self) -> bool:
        here = os.fstat(self._fd)
        try:
            there = os.stat(self._path)
        except FileNotFoundError:
            return True
        except OSError:
            return False  # this process may not look there: the one that opened the file for it will
        return (there.st_dev, there.st_ino) != (here.st_dev, here.st_ino)

    def _give_back(self) -> None:
        if self._socket is not None:
            self._socket.close()
        else:
            os.close(self._fd)

    @property
    def waiting(self) -> int:
        """Bytes that are still to be written."""
        return self._size

    def fileno(self) -> int:
        """The descriptor that is written to."""
        return self._fd

    def take(self) -> bytes:
        """Hand out what was not written yet, for another process to write."""
        waiting = b"".join(self._waiting)
        self._waiting.clear()
        self._size = 0
        return waiting

    def wait(self) -> None:
        """Offer what waits for ``LAST_WAIT`` more."""
        self.flush()
        until = time.monotonic() + LAST_WAIT
        taker = select.poll()
        taker.register(self._fd, select.POLLOUT)
        while self._waiting and (patience := until - time.monotonic()) > 0:
            taker.poll(patience * 1000)
            self.flush()

    def close(self) -> None:
        """Offer the rest for ``LAST_WAIT`` more, and close."""
        self.wait()
        left = sum(piece.count(b"\n") for piece in self._waiting)
        if left:
            self._drop(left, "the reader has stopped")
        self._give_back()


def open_file(path: str, option: str) -> int:
    """A log file, to append to.

    Raises:
        ConfigurationError: it cannot be opened; the message names ``option``.
    """
    try:
        return os.open(path, FLAGS, 0o640)
    except OSError as error:
        raise ConfigurationError(f"{option}: {path} cannot be opened: {error.strerror}") from None
