"""The clock and the books of a client's connections: what ``Connection`` needs, and no application.

The sweep that finds deadlines runs only while there are connections.
"""

from __future__ import annotations

import select
from typing import TYPE_CHECKING, Any, Final

from ..server.connection import NEVER

if TYPE_CHECKING:
    from ..server.connection import Connection

__all__ = ["ClientReactor"]

SWEEP: Final = 0.5


class ClientReactor:
    """What the connections of one client share."""

    def __init__(self, loop: Any) -> None:
        self.loop = loop
        self.now = loop.time()
        self.connections: set[Connection] = set()
        self.high_water = 262144
        self.low_water = 65536
        self.write_timeout = NEVER  # an exchange has timeouts of its own
        self.idle_timeout = NEVER
        self.observer = None
        self._sweeper: Any = None

    def watch(self) -> None:
        """There is a connection: run the clock."""
        if self._sweeper is None:
            self._sweeper = self.loop.call_later(SWEEP, self._sweep)

    def unregister(self, connection: Connection) -> None:
        """A connection has closed."""
        self.connections.discard(connection)

    def log_peer_error(self, kind: str, message: str) -> None:
        """Whoever asked is told; the log is not."""

    def _sweep(self) -> None:
        self._sweeper = self.loop.call_later(SWEEP, self._sweep) if self.connections else None
        now = self.now = self.loop.time()
        paused = {}
        for connection in tuple(self.connections):
            if connection.deadline <= now:
                connection.tick(now)
            elif connection.paused:
                paused[connection.fd] = connection
        if paused:
            self._find_gone(paused)

    def _find_gone(self, paused: dict[int, Any]) -> None:
        """Where nobody reads, a broken connection has to be asked for; what lies before an end is still wanted."""
        poll = select.poll()
        for fd in paused:
            poll.register(fd, 0)
        for fd, events in poll.poll(0):
            if events & select.POLLERR:
                paused[fd].lost()

    def stop(self) -> None:
        """The end of the clock."""
        if self._sweeper is not None:
            self._sweeper.cancel()
            self._sweeper = None
