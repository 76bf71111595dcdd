"""What applications write (``bytes``, ``bytearray``, ``memoryview``, arrays), as single bytes one after the other."""

from __future__ import annotations

from typing import Any, Final

__all__ = ["MAX_JOINED", "flat", "kept"]

MAX_JOINED: Final = 16384
"""Pieces up to this size are joined into one buffer: a copy is then cheaper than a gathering write."""


def flat(data: Any) -> bytes | memoryview:
    """The bytes of any buffer, uncopied where they lie as they are to be written.

    Raises:
        TypeError: it is no buffer.
    """
    view = memoryview(data)
    return view if view.c_contiguous and view.ndim == 1 and view.format == "B" else view.tobytes()


def kept(data: Any) -> bytes | memoryview:
    """As ``flat``; copied up to ``MAX_JOINED``, because the application may use its buffer again."""
    if type(data) is bytes:
        return data
    view = flat(data)
    return bytes(view) if len(view) <= MAX_JOINED else view
