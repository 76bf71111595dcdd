"""What connections share, whatever they carry: the loop, the clock, the water marks, and the list of them.

There is no timer per connection: a sweep looks at those that wait, twice a second, and that is also the resolution of
every deadline. Where nothing waits there is no sweep, and an idle process is not woken. It knows no application, so
that clients use it as well; ``Gateway`` is the server's kind.
"""

from __future__ import annotations

import select
from typing import TYPE_CHECKING, Final

from ssgi_gateway.linux import HALF_CLOSED
from ssgi_gateway.observe.logs import RateLimitedLog

from ..core.tasks import TaskScope
from ..observe.observer import Observer

if TYPE_CHECKING:
    import asyncio

    from ssgi_gateway.settings import FlowControl

    from .connection import Connection

SWEEP: Final = 0.5
"""Seconds between sweeps: an abort behind a full buffer is to be seen within a second."""

LATE: Final = 0.1
"""Seconds by which a sweep may be late before every deadline is put off by as much."""


class Reactor:
    """What the connections of one loop share.

    Args:
        loop: the event loop; everything here runs on it.
        flow: how much output may wait for a peer.
        write_timeout: seconds that output may wait for a peer that takes none of it; ``math.inf`` for ever.
        idle_timeout: seconds that a new connection may stay silent; ``math.inf`` for ever.
        half_close: whether a peer that closes only its sending side still reads.
        observer: of the connections, if there is one.
        log: the name of the logger for what peers do wrong.

    Attributes:
        connections: those that wait for something; on the eager path a connection is in no set.
        now: the loop's time at the last sweep, in seconds. The clock runs only while there are connections, so
            ``wake`` comes before the first deadline.
        scope: the parent of every task.
    """

    __slots__ = (
        "_emptied",
        "_peer_errors",
        "_sweeper",
        "connections",
        "half_close",
        "high_water",
        "idle_timeout",
        "loop",
        "low_water",
        "now",
        "observer",
        "scope",
        "write_timeout",
    )

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        flow: FlowControl,
        *,
        write_timeout: float,
        idle_timeout: float,
        half_close: bool = True,
        observer: Observer | None = None,
        log: str = "ssgi_gateway.server",
    ) -> None:
        self.scope = TaskScope(loop)
        self.loop = self.scope.loop  # everything is registered in the server's own context
        self.connections: set[Connection] = set()
        self.now = loop.time()
        self.high_water = flow.high_water
        self.low_water = flow.low_water
        self.write_timeout = write_timeout
        self.idle_timeout = idle_timeout
        self.half_close = half_close
        self.observer: Observer | None = observer
        self._peer_errors = RateLimitedLog(log)
        self._emptied: asyncio.Future[None] | None = None
        self._sweeper: asyncio.TimerHandle | None = None

    def log_peer_error(self, kind: str, message: str) -> None:
        """One line in the log about a peer; each ``kind`` is limited on its own, so none hides another."""
        self._peer_errors.warning(kind, message, self.loop.time())

    # -- connections --------------------------------------------------------------------------------------------

    def register(self, connection: Connection) -> None:
        """A connection waits for something: from now on the sweep looks at it."""
        self.connections.add(connection)
        if self._sweeper is None:
            self.wake()

    def unregister(self, connection: Connection) -> None:
        """A connection has closed."""
        self.connections.discard(connection)
        if self._emptied is not None and not self.connections and not self._emptied.done():
            self._emptied.set_result(None)

    def abandon(self) -> None:
        """In a forked child: give up the copies of all connections."""
        self.observer = None  # what it writes to may be shared memory
        connections, self.connections = self.connections, set()
        for connection in connections:
            connection.abandon()

    def when_empty(self) -> asyncio.Future[None]:
        """A future that is done when no connection is left."""
        self._emptied = self.loop.create_future()
        if not self.connections:
            self._emptied.set_result(None)
        return self._emptied

    # -- the clock -----------------------------------------------------------------------------------------------

    def wake(self) -> None:
        """Have the clock run, if it does not."""
        if self._sweeper is None:
            self.now = self.loop.time()
            self._sweeper = self.loop.call_later(SWEEP, self._on_timer)

    def _on_timer(self) -> None:
        self._sweeper = None
        if self.connections or not self.may_rest():
            self._sweeper = self.loop.call_later(SWEEP, self._on_timer)
            self.sweep()
        else:
            self.rest()

    def may_rest(self) -> bool:
        """Whether the clock may stop while there is no connection."""
        return True

    def rest(self) -> None:
        """The clock has stopped, until ``wake``."""

    def sweep(self) -> None:
        """Look for deadlines that have passed, and for peers that disconnected while they were not read."""
        now = self.loop.time()
        late = now - self.now - SWEEP
        self.now = now
        if self.observer is not None:
            self.observer.tick(now)
        asked: dict[int, Connection] = {}
        for connection in tuple(self.connections):
            if late > LATE:
                connection.delay(late)
            if connection.deadline <= now or connection.write_deadline <= now:
                connection.tick(now)
            elif connection.was_read or connection.paused:
                connection.was_read = False
                asked[connection.fd] = connection
        if asked:
            self._find_gone(asked)

    def _find_gone(self, asked: dict[int, Connection]) -> None:
        """Ask the kernel for peers that have disconnected where the loop does not report it.

        That is where no reader is registered because the peer has to wait; and where a reader was called since the last
        sweep, because it may have been called for an error, and uvloop reports nothing afterwards (``read_on``).
        """
        poll = select.poll()
        for fd, connection in asked.items():
            poll.register(fd, HALF_CLOSED if connection.paused else 0)
        for fd, events in poll.poll(0):
            connection = asked[fd]
            if not connection.paused:
                connection.read_on()
            elif events & (select.POLLHUP | select.POLLERR) or not self.half_close:
                # HALF_CLOSED is a half-close as well: what lies before it must be read first.
                connection.lost()

    def stop(self) -> None:
        """The end of the clock."""
        if self._sweeper is not None:
            self._sweeper.cancel()
            self._sweeper = None
        observer, self.observer = self.observer, None
        if observer is not None:
            observer.close()
