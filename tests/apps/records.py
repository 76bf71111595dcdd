"""What an application of the tests observed, under a key that the test chose; a later request asks for it.

A record is ``[seconds, event, detail]``. The seconds are CLOCK_MONOTONIC, which all processes of one machine share:
a test may compare them with its own ``time.monotonic()``.
"""

from __future__ import annotations

import gc
import os
import threading
import time
from collections import defaultdict
from typing import Any

__all__ = ["record", "records", "resources"]

_records: defaultdict[str, list[tuple[float, str, Any]]] = defaultdict(list)


def record(key: str, event: str, detail: Any = None) -> None:
    """Note that something happened; without a key nobody will ask."""
    if key:
        _records[key].append((time.monotonic(), event, detail))


def records(key: str) -> list[tuple[float, str, Any]]:
    """What was noted under ``key``, oldest first."""
    return _records.get(key, [])


def resources() -> dict[str, int]:
    """What of this process could leak; what waits for the collector of garbage has not."""
    gc.collect()
    names = []
    for number in os.listdir("/proc/self/fd"):
        try:
            names.append(os.readlink(f"/proc/self/fd/{number}"))
        except OSError:
            pass  # it was the listing's own
    return {
        "descriptors": len(names),
        "threads": threading.active_count(),
        "databases": sum(".sqlite3" in name for name in names),
    }
