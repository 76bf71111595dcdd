"""The words of a seat as the recorder writes them: each is changed with one store.

The compiled build has a twin of this class, which writes through a pointer.
"""

from __future__ import annotations

from typing import Any, Final

from ssgi_gateway.observe.table import CALL_SIZE, TEXT

__all__ = ["Cells"]

BILLION: Final = 1_000_000_000


class Cells:
    """What is written into a seat while requests are served.

    Args:
        seat: an ``observe.table.Seat``.
    """

    def __init__(self, seat: Any) -> None:
        self._words = seat.words
        self._page = seat.page

    def add(self, index: int, amount: int) -> None:
        """Change a counter or a gauge."""
        self._words[index] += amount

    def put(self, index: int, value: int) -> None:
        """Set a word."""
        self._words[index] = value

    def add_time(self, index: int, seconds: float) -> None:
        """Change a counter of nanoseconds."""
        self._words[index] += int(seconds * BILLION)

    def put_time(self, index: int, seconds: float) -> None:
        """Set a word that is a time, in nanoseconds."""
        self._words[index] = int(seconds * BILLION)

    def name_call(self, method: str, path: str) -> None:
        """Name the call that runs now; both are latin-1, and what is too long is cut."""
        text = f"{method} {path}".encode("latin-1", "replace")[:CALL_SIZE]
        self._page[TEXT:] = text.ljust(CALL_SIZE, b"\0")
