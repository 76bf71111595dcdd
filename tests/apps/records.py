"""What an application of the tests observed, under a key that the test chose; a later request asks for it.

A record is ``[seconds, event, detail]``. The seconds are CLOCK_MONOTONIC, which all processes of one machine share:
a test may compare them with its own ``time.monotonic()``.
"""

from __future__ import annotations

import os
import time
from collections import defaultdict
from typing import Any

__all__ = ["databases", "record", "records"]

_records: defaultdict[str, list[tuple[float, str, Any]]] = defaultdict(list)


def record(key: str, event: str, detail: Any = None) -> None:
    """Note that something happened; without a key nobody will ask."""
    if key:
        _records[key].append((time.monotonic(), event, detail))


def records(key: str) -> list[tuple[float, str, Any]]:
    """What was noted under ``key``, oldest first."""
    return _records.get(key, [])


def databases() -> int:
    """How many descriptors of this process are SQLite databases."""
    count = 0
    for name in os.listdir("/proc/self/fd"):
        try:
            count += ".sqlite3" in os.readlink(f"/proc/self/fd/{name}")
        except OSError:
            pass  # it was the listing's own
    return count
