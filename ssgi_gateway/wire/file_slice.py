"""A part of an open file that stands for its bytes until the server hands it to sendfile(2).

Codecs frame it by its length, as they frame bytes; nothing here reads the file, opens or closes it.
"""

from __future__ import annotations

import typing
from collections.abc import Iterator


class File(typing.Protocol):
    """What keeps a descriptor open."""

    fd: int


class FileSlice:
    """``size`` bytes of ``file`` from ``offset``."""

    __slots__ = ("file", "offset", "size")

    def __init__(self, file: File, offset: int, size: int) -> None:
        self.file = file
        self.offset = offset
        self.size = size

    def __len__(self) -> int:
        return self.size

    def __getitem__(self, index: slice) -> FileSlice:
        """What is left from ``index.start`` on, as of a buffer that was partly written."""
        start = index.start or 0
        return FileSlice(self.file, self.offset + start, self.size - start)

    def split(self, most: int) -> Iterator[FileSlice]:
        """The same bytes in slices of at most ``most``."""
        for start in range(0, self.size, most):
            yield FileSlice(self.file, self.offset + start, min(most, self.size - start))
