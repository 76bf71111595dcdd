"""Opening a file for ``response_file`` and ``response_file_range``: in a thread, and the small ones are read there."""

from __future__ import annotations

import os
import stat
from typing import Final

__all__ = ["close_file", "open_file"]

SMALL: Final = 262144
"""Bytes up to which a file is one trip to a thread and one write."""


def open_file(path: str | os.PathLike[str], start: int, end: int | None) -> tuple[int, int, bytes]:
    """Open a regular file for its bytes from ``start`` up to ``end``, or to its own end if that comes first.

    Returns:
        A descriptor, the number of bytes there are, and nothing; or -1, the number and the bytes, if they are few.

    Raises:
        OSError: it cannot be opened, or is no regular file.
    """
    fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)  # a FIFO would wait for its writer
    try:
        status = os.fstat(fd)
        if not stat.S_ISREG(status.st_mode):
            raise OSError(f"{os.fspath(path)!r} is no regular file")
        count = max((status.st_size if end is None else min(end, status.st_size)) - start, 0)
        if count > SMALL:
            return fd, count, b""
        content = os.pread(fd, count, start)
    except BaseException:
        os.close(fd)
        raise
    os.close(fd)
    return -1, len(content), content


def close_file(fd: int) -> None:
    """Close what ``open_file`` returned."""
    if fd >= 0:
        os.close(fd)
