"""Samples, taken while the clock ticks: what a process costs, how its threads and its log are doing.

A worker writes this down about itself, so that readers of the table need not read it from the kernel for every worker.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any, Final

from ssgi_gateway import linux
from ssgi_gateway.observe import log_setup
from ssgi_gateway.observe import table as layout

__all__ = ["ProcessSampler", "server_log", "threads"]

TICKS: Final = 4
"""Half seconds between two looks at the memory and the files, which take some 20 microseconds."""


class ProcessSampler:
    """Writes what this process costs."""

    def __init__(self) -> None:
        self._ticks = 0

    def __call__(self, words: Any) -> None:
        """CPU time at every tick, as a counter of the seat; the rest sometimes."""
        words[layout.CPU] = words[layout.CPU_BEFORE] + time.process_time_ns()
        if self._ticks % TICKS == 0:
            try:
                words[layout.MEMORY] = linux.resident_memory()
                words[layout.FILES] = linux.count_files()
            except (OSError, ValueError, IndexError):
                words[layout.MEMORY] = 0  # readers may read it from the kernel
        self._ticks += 1


def threads(load: Callable[[], tuple[int, int, int]]) -> Callable[[Any], None]:
    """Writes how busy the application's threads are.

    Args:
        load: requests that wait for a thread, threads at work, threads.
    """

    def sample(words: Any) -> None:
        words[layout.QUEUE], words[layout.THREADS_BUSY], words[layout.THREADS] = load()

    return sample


def server_log(words: Any) -> None:
    """Writes how many of the server's own lines were lost, and offers those that wait."""
    words[layout.DROPPED_LINES + layout.LOGS.index("server")] += log_setup.flush()
