"""Finding the tables of running servers, and reading one: for ``/metrics``, the status page, ``top``."""

from __future__ import annotations

import contextlib
import mmap
import os
import time
from collections.abc import Iterator
from typing import Final

from ssgi_gateway import linux
from ssgi_gateway.observe import table as layout
from ssgi_gateway.observe.snapshot import Snapshot

__all__ = ["Reader", "find", "opened", "table_of"]

TRIES: Final = 100
"""How often a reading is begun anew because a seat was being folded meanwhile: that takes microseconds."""


class Reader:
    """A table of this or another process, mapped for reading.

    Args:
        fd: an open descriptor; it stays the caller's.

    Raises:
        ValueError: it is no table, or one of another version.
    """

    def __init__(self, fd: int) -> None:
        self._map = mmap.mmap(fd, 0, prot=mmap.PROT_READ)
        words = memoryview(self._map).cast("Q")
        magic, version = words[layout.H_MAGIC], words[layout.H_VERSION]
        words.release()
        if magic != layout.MAGIC:
            raise ValueError("this is no table of an ssgi-gateway")
        if version != layout.VERSION:
            raise ValueError(
                f"this server writes tables of layout {version}, this program reads {layout.VERSION}: "
                "use the one that is installed with the server"
            )

    def snapshot(self) -> Snapshot:
        """The table now."""
        for _ in range(TRIES):
            before = self._sequence()
            data = bytes(self._map)
            if before % 2 == 0 and self._sequence() == before:
                break
            time.sleep(0)
        return Snapshot(data, time.monotonic_ns())

    def _sequence(self) -> int:
        at = layout.H_SEQUENCE * 8
        return int.from_bytes(self._map[at : at + 8], "little")

    def close(self) -> None:
        """Give the map back."""
        self._map.close()


def table_of(pid: int) -> str:
    """The path of the table that a process holds; ``""`` if it holds none, or may not be asked."""
    with contextlib.suppress(OSError):
        return linux.find_memory(pid, layout.NAME)
    return ""


def find() -> list[int]:
    """The servers that this user may look at: of each, the process that made its table."""
    found = []
    for pid in linux.processes():
        if path := table_of(pid):
            with contextlib.suppress(OSError, ValueError), opened(path) as reader:
                if reader.snapshot().pid == pid:
                    found.append(pid)
    return sorted(found)


@contextlib.contextmanager
def opened(path: str) -> Iterator[Reader]:
    """A reader of the table at ``path``.

    Raises:
        OSError: it cannot be opened.
        ValueError: it is no table that can be read.
    """
    fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        reader = Reader(fd)
    finally:
        os.close(fd)
    try:
        yield reader
    finally:
        reader.close()
