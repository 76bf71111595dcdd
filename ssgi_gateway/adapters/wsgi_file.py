"""``wsgi.file_wrapper`` (PEP 3333, "Optional Platform-Specific File Handling").

A regular file is sent without the application's thread: its descriptor is duplicated, so that ``close()`` can be
called at once, on the thread that opened it. Anything else that has ``read`` is read block by block.
"""

from __future__ import annotations

import io
import os
import stat
from typing import TYPE_CHECKING, Any, Final

from ssgi_gateway.adapters.asgi_files import send_file

if TYPE_CHECKING:
    from ssgi_gateway.core.response import HttpResponse

__all__ = ["FileWrapper", "OpenFile", "regular_file"]

_PLAIN: Final = (io.BufferedReader, io.BufferedRandom)


class FileWrapper:
    """An iterable over a file-like object's blocks.

    Args:
        filelike: what has ``read``, and perhaps ``close``.
        blksize: bytes a block.
    """

    def __init__(self, filelike: Any, blksize: int = 8192) -> None:
        self.filelike = filelike
        self.blksize = blksize
        close = getattr(filelike, "close", None)
        if close is not None:
            self.close = close

    def __iter__(self) -> FileWrapper:
        return self

    def __next__(self) -> Any:
        data = self.filelike.read(self.blksize)
        if not data:
            raise StopIteration
        return data


class OpenFile:
    """A descriptor that is ours, and which of its bytes are meant."""

    __slots__ = ("_fd", "left", "offset")

    def __init__(self, fd: int, offset: int, left: int) -> None:
        self._fd = fd
        self.offset = offset
        self.left = left

    def read_all(self) -> bytes:
        """The bytes, of a file that is not large; fewer if it has become shorter."""
        return os.pread(self._fd, self.left, self.offset)

    async def send(self, res: HttpResponse) -> None:
        """Make them the whole body of ``res``, and close the file."""
        try:
            await send_file(res, self._fd, self.offset, self.left, False)
        finally:
            self.close()

    def close(self) -> None:
        """Give the descriptor back."""
        fd, self._fd = self._fd, -1
        if fd >= 0:
            os.close(fd)


def regular_file(wrapper: FileWrapper) -> OpenFile | None:
    """The rest of the wrapped file as a descriptor of our own; ``None`` where its bytes are not those of ``read``.

    Only files as ``open`` makes them are trusted with that: a GzipFile has a descriptor, too, and other bytes behind
    it. Wrappers with the true file in ``file`` are looked into (``tempfile``, Django's ``File``).
    """
    file = wrapper.filelike
    while type(file) not in _PLAIN and hasattr(file, "file"):
        file = file.file
    if type(file) not in _PLAIN or type(file.raw) is not io.FileIO:
        return None
    try:
        offset = wrapper.filelike.tell()
        if isinstance(file, io.BufferedRandom):
            file.flush()
        status = os.fstat(file.fileno())
        if not stat.S_ISREG(status.st_mode):
            return None
        return OpenFile(os.dup(file.fileno()), offset, max(status.st_size - offset, 0))
    except (AttributeError, OSError, ValueError):
        return None
