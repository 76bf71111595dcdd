"""Whether workers live, by what they write into the table: for the service manager, and to replace those that do not.

A worker interrupts a request that takes too long by itself (``stuck``); here are those that cannot even do that.
"""

from __future__ import annotations

import time
from collections.abc import Iterable
from typing import TYPE_CHECKING, Final

from ssgi_gateway.observe.table import BEAT, CALL_SINCE, STUCK, Table
from ssgi_gateway.process import states, systemd

if TYPE_CHECKING:
    from ssgi_gateway.settings import Settings

__all__ = ["Health"]

INTERVAL: Final = 1.0
"""Seconds between two looks at the workers' signs of life, where ``request_timeout`` is set."""

GRACE: Final = 7.0
"""Seconds that a worker has to notice and interrupt a request by itself."""


class Health:
    """The looks at a supervisor's workers.

    Args:
        table: what they write.
        settings: how long a request may take.
    """

    def __init__(self, table: Table, settings: Settings) -> None:
        self.table = table
        self._watchdog = systemd.watchdog_interval()
        self._next_watchdog = time.monotonic() if self._watchdog else states.NEVER
        self.adjust(settings)

    def adjust(self, settings: Settings) -> None:
        """The settings were read again."""
        self._patience = settings.request_timeout + GRACE if settings.request_timeout else 0.0
        self._next_look = time.monotonic() if self._patience else states.NEVER

    @property
    def watched(self) -> bool:
        """Whether the service manager waits for signs of life."""
        return bool(self._watchdog)

    @property
    def due(self) -> float:
        """When to look next; ``inf`` for never."""
        return min(self._next_look, self._next_watchdog)

    def look(self, ready: Iterable[int]) -> list[int]:
        """Look, if it is time to, and report a server that lives to the service manager.

        Args:
            ready: the numbers of the workers that should serve.

        Returns:
            Those that are stuck.
        """
        now = time.monotonic()
        seats = [number for number in ready if number <= self.table.seats]
        stuck: list[int] = []
        if self._next_look <= now:
            self._next_look = now + INTERVAL
            stuck = [number for number in seats if self._is_stuck(number)]
            for number in stuck:
                self.table.seat(number).words[STUCK + 2] += 1
        if self._next_watchdog <= now:
            self._next_watchdog = now + self._watchdog
            # Where no worker serves, none can be expected to beat.
            if not seats or not all(self._is_silent(number, self._watchdog) for number in seats):
                systemd.notify("WATCHDOG=1")
        return stuck

    def _is_silent(self, number: int, seconds: float) -> bool:
        """Whether a worker's loop has not turned for so long. One whose clock rests has no beat, and waits for work."""
        return 0 < self.table.seat(number).words[BEAT] < time.monotonic_ns() - int(seconds * 1e9)

    def _is_stuck(self, number: int) -> bool:
        """Whether a worker has been in one call, and its loop has not turned, for too long."""
        began = self.table.seat(number).words[CALL_SINCE]
        late = 0 < began < time.monotonic_ns() - int(self._patience * 1e9)
        return late and self._is_silent(number, self._patience)
