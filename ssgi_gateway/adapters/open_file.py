"""A file that is going to be an answer, and whose descriptor is ours.

Whatever happens to the answer, the descriptor is given back with the object at the latest: a task that is cancelled
before it has begun runs no ``finally``, and what a thread opens for a caller that no longer waits has no other owner.
"""

from __future__ import annotations

import os
import stat
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from ssgi_gateway.core.response import HttpResponse

__all__ = ["OpenFile"]

SMALL: Final = 262144
"""Bytes up to which a file is read at once and sent with one write."""


class OpenFile:
    """A descriptor, and which of its bytes are meant.

    Args:
        fd: taken over.
        offset: where to begin.
        left: how many bytes.
    """

    __slots__ = ("_fd", "left", "offset")

    def __init__(self, fd: int, offset: int, left: int) -> None:
        self._fd = fd
        self.offset = offset
        self.left = left

    @classmethod
    def from_path(cls, path: str | os.PathLike[str], start: int = 0, end: int | None = None) -> OpenFile:
        """Open a regular file for its bytes from ``start`` up to ``end``, or to its own end if that comes first.

        Raises:
            OSError: it cannot be opened, or is no regular file.
        """
        file = cls(os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK), start, 0)  # a FIFO is not waited for
        status = os.fstat(file._fd)
        if not stat.S_ISREG(status.st_mode):
            raise OSError(f"{os.fspath(path)!r} is no regular file")
        file.left = max((status.st_size if end is None else min(end, status.st_size)) - start, 0)
        return file

    def read_small(self, res: HttpResponse) -> bytes | None:
        """The bytes, fewer if it has become shorter, of a file that is small and not the web server's to send.

        Then it is closed; otherwise ``None``.
        """
        if self.left > SMALL or res.channel.offload_file(self._fd) is not None:
            return None
        try:
            return os.pread(self._fd, self.left, self.offset)
        finally:
            self.close()

    async def send(self, res: HttpResponse) -> None:
        """Make the bytes the whole body of ``res``, as fast as its client takes them. Closes the file.

        Raises:
            ConnectionAbortedError: the client has left.
        """
        from ssgi_gateway.adapters.asgi.files import send_file  # needs an event loop, which CGI has no time for

        try:
            await send_file(res, self._fd, self.offset, self.left, False)
        finally:
            self.close()

    def close(self) -> None:
        """Give the descriptor back."""
        fd, self._fd = self._fd, -1
        if fd >= 0:
            os.close(fd)

    def __del__(self) -> None:
        self.close()
