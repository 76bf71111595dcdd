"""A file that is going to be an answer, or a part of one: how it is opened, and whose its descriptor is.

Whatever happens to the answer, the descriptor is given back with the object at the latest: a task that is cancelled
before it has begun runs no ``finally``, and what a thread opens for a caller that no longer waits has no other owner.
"""

from __future__ import annotations

import errno
import os
import stat
from typing import TYPE_CHECKING, Any, Final

from ssgi_gateway.wire.file_slice import FileSlice

if TYPE_CHECKING:
    from ssgi_gateway.core.channel import HttpChannel

__all__ = ["MAX_SMALL", "OpenFile"]

MAX_SMALL: Final = 262144
"""Bytes up to which a file is read at once and sent with one write."""


class OpenFile:
    """A descriptor of a regular file, and which of its bytes are meant.

    Args:
        fd: taken over; closed by ``close``, or with the last reference and the last slice.

    Attributes:
        offset: where they begin.
        size: how many they are; at first all there are.

    Raises:
        OSError: it is no regular file.
    """

    __slots__ = ("fd", "offset", "size")

    def __init__(self, fd: int) -> None:
        self.fd = fd
        self.offset = 0
        status = os.fstat(fd)
        if not stat.S_ISREG(status.st_mode):
            raise OSError(errno.EINVAL, "only regular files can be sent")
        self.size = status.st_size

    @classmethod
    def from_path(cls, path: str | bytes | os.PathLike[Any], start: int = 0, end: int | None = None) -> OpenFile:
        """Open a file for its bytes from ``start`` up to ``end``, or to its own end if that comes first.

        Raises:
            OSError: it cannot be opened, or is no regular file.
        """
        try:
            file = cls(os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK))  # a FIFO is not waited for
        except OSError as error:
            error.filename = error.filename or os.fspath(path)
            raise
        file.offset = start
        file.size = max((file.size if end is None else min(end, file.size)) - start, 0)
        return file

    @classmethod
    def from_object(cls, file: Any) -> OpenFile:
        """All of a file that is a path, an open descriptor, or an object with ``fileno()``.

        The descriptor is one of our own: the application may close its file as soon as it has given it away.

        Raises:
            OSError: it cannot be opened, or is no regular file.
        """
        if isinstance(file, (str, bytes, os.PathLike)):
            return cls.from_path(file)
        return cls(os.dup(file if isinstance(file, int) else file.fileno()))

    def slice(self, offset: int, size: int) -> FileSlice:
        """A part of it that stands for its bytes until the server sends it."""
        return FileSlice(self, offset, size)

    def read_small(self, channel: HttpChannel) -> bytes | None:
        """The bytes, fewer if it has become shorter, of a file that is small and not the web server's to send.

        Then it is closed; otherwise ``None``.
        """
        if self.size > MAX_SMALL or channel.offload_file(self.fd) is not None:
            return None
        try:
            return os.pread(self.fd, self.size, self.offset)
        finally:
            self.close()

    def close(self) -> None:
        """Give the descriptor back."""
        fd, self.fd = self.fd, -1
        if fd >= 0:
            os.close(fd)

    def __del__(self) -> None:
        self.close()
