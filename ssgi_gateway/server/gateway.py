"""What all connections of one server share: the applications, the bounds, the books, the clock.

There is no timer per connection: a sweep looks at those that wait, twice a second, and that is also the
resolution of every deadline.
"""

from __future__ import annotations

import os
import select
from time import gmtime
from typing import TYPE_CHECKING, Any, Final

from ssgi_gateway.observe.logs import RateLimitedLog

from ..core.tasks import TaskScope
from ..observe.observer import Observer
from ..wire.http.date import DateLine
from ..wire.percent import quote

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Callable

    from ssgi_gateway.settings import Settings

    from .adoption import Adoption
    from .connection import Connection

_DAYS: Final = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")
_MONTHS: Final = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")

SWEEP: Final = 0.5
"""Seconds between sweeps: an abort behind a full buffer is to be seen within a second."""

LATE: Final = 0.1
"""Seconds by which a sweep may be late before every deadline is put off by as much."""


def date_line() -> bytes:
    """The ``Date`` header, now (RFC 9110 5.6.7)."""
    day = gmtime()
    week, month = _DAYS[day.tm_wday], _MONTHS[day.tm_mon - 1]
    text = f"Date: {week}, {day.tm_mday:02} {month} {day.tm_year} {day.tm_hour:02}:{day.tm_min:02}:{day.tm_sec:02} GMT"
    return f"{text}\r\n".encode()


class Gateway:
    """The shared half of every connection."""

    __slots__ = (
        "_complaints",
        "_emptied",
        "_sweeper",
        "adoption",
        "body_timeout",
        "connections",
        "date",
        "development",
        "draining",
        "front_files",
        "half_close",
        "head_timeout",
        "high_water",
        "http_app",
        "idle_timeout",
        "keep_alive",
        "loop",
        "low_water",
        "max_body_size",
        "max_connections",
        "now",
        "observer",
        "root_path",
        "scope",
        "settings",
        "state",
        "strict",
        "websocket_app",
        "write_timeout",
    )

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        http_app: Callable[..., Any] | None,
        websocket_app: Callable[..., Any] | None,
        settings: Settings,
        observer: Observer | None = None,
    ) -> None:
        self.scope = TaskScope(loop)
        self.loop = self.scope.loop  # everything is registered in the server's own context
        self.http_app = http_app
        self.websocket_app = websocket_app
        self.settings = settings
        self.state: dict[str, Any] = {}
        self.root_path = settings.root_path
        self.connections: set[Connection] = set()
        self.draining = False
        self.adoption: Adoption | None = None  # takes idle connections during a drain; None: they are closed
        self.now = loop.time()
        self.date = DateLine()  # for those protocols whose answers need one
        self.date.line = date_line()
        # Copied out of the settings because the way of a request reads them.
        self.development = settings.development
        self.strict = settings.strict
        self.front_files = settings.front_files
        self.half_close = settings.half_close
        self.high_water = settings.flow.high_water
        self.low_water = settings.flow.low_water
        self.max_body_size = settings.max_body_size
        self.max_connections = settings.max_connections
        self.head_timeout = settings.deadlines.head
        self.body_timeout = settings.deadlines.body
        self.idle_timeout = settings.deadlines.idle
        self.keep_alive = settings.deadlines.keep_alive
        self.write_timeout = settings.deadlines.write
        self.observer: Observer | None = observer
        self._complaints = RateLimitedLog("ssgi_gateway.server")
        self._emptied: asyncio.Future[None] | None = None
        self._sweeper: asyncio.TimerHandle | None = self.loop.call_later(SWEEP, self._on_timer)

    def log_peer_error(self, kind: str, message: str) -> None:
        """One line in the log about a peer; each ``kind`` is limited on its own, so none hides another."""
        self._complaints.warning(kind, message, self.now)

    def offload_file(self, fd: int) -> tuple[str, str] | None:
        """The header that makes the web server send the open file ``fd``: settings ``file_header`` and ``file_root``.

        The kernel says where the file lies, links resolved, so that nothing outside of the roots is ever named.
        """
        name = self.settings.file_header
        if not name:
            return None
        try:
            path = os.readlink(f"/proc/self/fd/{fd}")
            if not os.path.samestat(os.stat(path), os.fstat(fd)):
                return None  # it was moved or deleted since, and another has its name
        except OSError:
            return None
        for root in self.settings.file_root:
            folder, _, place = root.partition("=")
            folder = os.path.realpath(folder).rstrip("/")
            if path.startswith(f"{folder}/"):
                return (name, quote(place.rstrip("/") + path[len(folder) :]) if name == "X-Accel-Redirect" else path)
        return None

    def unregister(self, connection: Connection) -> None:
        """A connection has closed."""
        self.connections.discard(connection)
        if self._emptied is not None and not self.connections and not self._emptied.done():
            self._emptied.set_result(None)

    def when_empty(self) -> asyncio.Future[None]:
        """A future that is done when no connection is left."""
        self._emptied = self.loop.create_future()
        if not self.connections:
            self._emptied.set_result(None)
        return self._emptied

    def _on_timer(self) -> None:
        self._sweeper = self.loop.call_later(SWEEP, self._on_timer)
        self.sweep()

    def sweep(self) -> None:
        """Look for deadlines that have passed, and for peers that left while nobody was reading."""
        now = self.loop.time()
        late = now - self.now - SWEEP
        self.now = now
        self.date.line = date_line()
        if self.observer is not None:
            self.observer.tick(now)
        asked: dict[int, Connection] = {}
        for connection in tuple(self.connections):
            if late > LATE:
                connection.delay(late)
            if connection.deadline <= now or connection.write_deadline <= now:
                connection.tick(now)
            elif connection.heard or connection.paused:
                connection.heard = False
                asked[connection.fd] = connection
        if asked:
            self._find_gone(asked)

    def _find_gone(self, asked: dict[int, Connection]) -> None:
        """Ask the kernel for peers that have left where the loop does not say so.

        That is where no reader is registered because the peer has to wait; and where a reader was called since the last
        sweep, because it may have been called for an error, and uvloop says nothing afterwards (``read_on``).
        """
        poll = select.poll()
        for fd, connection in asked.items():
            poll.register(fd, select.POLLRDHUP if connection.paused else 0)
        for fd, events in poll.poll(0):
            connection = asked[fd]
            if not connection.paused:
                connection.read_on()
            elif events & (select.POLLHUP | select.POLLERR) or not self.half_close:
                # POLLRDHUP is a half-close as well: what lies before it must be read first, unless nobody reads on.
                connection.lost()

    def stop(self) -> None:
        """The end of the clock."""
        if self._sweeper is not None:
            self._sweeper.cancel()
            self._sweeper = None
        observer, self.observer = self.observer, None
        if observer is not None:
            observer.close()
