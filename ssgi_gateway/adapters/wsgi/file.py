"""``wsgi.file_wrapper`` (PEP 3333, "Optional Platform-Specific File Handling").

A regular file is sent without the application's thread: its descriptor is duplicated, so that ``close()`` can be
called at once, on the thread that opened it. Anything else that has ``read`` is read block by block.
"""

from __future__ import annotations

import io
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from ssgi_gateway.core.files import OpenFile

__all__ = ["FileWrapper", "regular_file"]

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
    from ssgi_gateway.core.files import OpenFile  # a CGI program makes do without

    try:
        offset = wrapper.filelike.tell()
        if isinstance(file, io.BufferedRandom):
            file.flush()
        opened = OpenFile.from_object(file)
    except (AttributeError, OSError, ValueError):
        return None
    opened.offset = offset
    opened.size = max(opened.size - offset, 0)
    return opened
