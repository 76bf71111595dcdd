"""Log lines that an attacker cannot multiply.

What a peer does wrong is worth a line, and a million of them are worth one line and a number.
"""

from __future__ import annotations

import logging
from typing import Final

BURST: Final = 10
"""Lines of one kind in one period that are written out."""
PERIOD: Final = 10.0
"""Seconds."""


class RateLimitedLog:
    """At most ``BURST`` lines of each kind in ``PERIOD`` seconds; what was held back is counted in the next one."""

    def __init__(self, name: str) -> None:
        self._logger = logging.getLogger(name)
        self._kinds: dict[str, list[float]] = {}

    def warning(self, kind: str, message: str, now: float) -> None:
        """Log ``message`` unless too many of its ``kind`` came lately; ``now`` is in seconds of any clock."""
        entry = self._kinds.get(kind)
        if entry is None or now - entry[0] >= PERIOD:
            held = int(entry[1]) - BURST if entry else 0
            self._kinds[kind] = entry = [now, 0.0]
            if held > 0:
                message = f"{message} (and {held} more of this kind before)"
        entry[1] += 1
        if entry[1] <= BURST:
            self._logger.warning("%s", printable(message))


def printable(text: str) -> str:
    """``text`` on one line, whatever a peer put into it."""
    return text if text.isprintable() else "".join(c if c.isprintable() else ascii(c)[1:-1] for c in text)
