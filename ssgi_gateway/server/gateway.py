"""What all connections of one server share: a ``Reactor``, with the applications and the bounds of requests."""

from __future__ import annotations

import logging
import os
import traceback
from contextvars import copy_context
from time import gmtime
from typing import TYPE_CHECKING, Any, Final

import ssgi_gateway
from ssgi_gateway.observe import log_setup
from ssgi_gateway.server.connection_states import OPEN
from ssgi_gateway.server.offload import FileOffload

from ..wire.http.date import DateLine
from .reactor import Reactor

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Callable

    from ssgi_gateway.settings import Settings

    from ..observe.observer import Observer
    from .adoption import Adoption
    from .connection import Connection


_DAYS: Final = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")
_MONTHS: Final = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")

WALK: Final = 16
"""A walk over all connections finds at least one in so many that can be closed, or is not repeated before a sweep."""


QUIET: Final = 4
"""Sweeps without a connection before the clock stops; by then whatever is looked at now and then was looked at."""


def _deadline(connection: Connection) -> float:
    return connection.deadline


def date_line() -> bytes:
    """The ``Date`` header, now (RFC 9110 5.6.7)."""
    day = gmtime()
    week, month = _DAYS[day.tm_wday], _MONTHS[day.tm_mon - 1]
    text = f"Date: {week}, {day.tm_mday:02} {month} {day.tm_year} {day.tm_hour:02}:{day.tm_min:02}:{day.tm_sec:02} GMT"
    return f"{text}\r\n".encode()


logger = logging.getLogger("ssgi_gateway.server")

MAX_EXAMINED: Final = 100
"""So many requests are looked at for signs of a wrong configuration (``observe.diagnosis``)."""

CARRIERS: Final = frozenset(("scgi", "fastcgi", "uwsgi"))
"""Protocols whose variables are the web server's own words."""


TEXT: Final = "text/plain; charset=utf-8"
OWN: Final = os.path.dirname(ssgi_gateway.__file__)
"""Where the frames come from that are of no use to a developer."""


class Gateway(Reactor):
    """The shared half of every connection of a server."""

    __slots__ = (
        "_found",
        "_idle",
        "_idle_found",
        "_quiet",
        "_walked",
        "active",
        "adoption",
        "body_timeout",
        "date",
        "development",
        "drain_handlers",
        "draining",
        "front_files",
        "head_timeout",
        "http_app",
        "keep_alive",
        "latest",
        "max_body_size",
        "max_connections",
        "max_unread_body",
        "offload",
        "request_id_header",
        "root_path",
        "settings",
        "started_by_front",
        "state",
        "strict",
        "trust_remote_user",
        "unexamined",
        "unread_body_timeout",
        "websocket_app",
    )

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        http_app: Callable[..., Any] | None,
        websocket_app: Callable[..., Any] | None,
        settings: Settings,
        observer: Observer | None = None,
    ) -> None:
        super().__init__(
            loop,
            settings.flow,
            write_timeout=settings.deadlines.write,
            idle_timeout=settings.deadlines.idle,
            half_close=settings.half_close,
            observer=observer,
        )
        self.http_app = http_app
        self.websocket_app = websocket_app
        self.settings = settings
        self.offload = FileOffload(settings)
        self.state: dict[str, Any] = {}
        self.latest: Connection | None = None  # accepted last: the only one that can be open and not registered
        self.draining = False
        self.drain_handlers: dict[Any, list[tuple[Any, tuple[Any, ...], Any]]] = {}  # by exchange
        self.date = DateLine()  # for those protocols whose answers need one
        self.active = True  # a connection has come since the last sweep
        self._quiet = 0  # sweeps since one did
        self.unexamined = MAX_EXAMINED  # requests that are still looked at
        self._found: set[str] = set()
        self.adoption: Adoption | None = None  # takes idle connections during a drain; None: they are closed
        # Copied out of the settings because the way of a request reads them.
        self.root_path = settings.root_path
        self.development = settings.development
        self.strict = settings.strict
        self.request_id_header = settings.request_id_header
        self.front_files = settings.front_files
        self.trust_remote_user = settings.trust_remote_user
        self.started_by_front = "fd:0" in (*settings.scgi, *settings.fastcgi)
        self.max_body_size = settings.max_body_size
        self.max_connections = settings.max_connections
        self.max_unread_body = settings.max_unread_body
        self.head_timeout = settings.deadlines.head
        self.body_timeout = settings.deadlines.body
        self.keep_alive = settings.deadlines.keep_alive
        self.unread_body_timeout = settings.deadlines.unread_body
        self._idle: list[Connection] = []  # what ``_make_room`` may close
        self._idle_found = 0
        self._walked = -1.0
        self.wake()

    def is_full(self, connection: Connection) -> bool:
        """Whether there is no room for ``connection`` beside the others; one that is idle makes room."""
        others = len(self.connections)
        if others < self.max_connections:
            return False
        if connection in self.connections:
            others -= 1
        return others >= self.max_connections and not self._make_room()

    def _make_room(self) -> bool:
        """There are as many connections as may be: close the one that has been idle longest; ``False`` if none is.

        Silent connections, and kept ones between two requests, are not to keep out one that has a request. To
        look for them is a walk over all connections, so what one walk has found serves many; and where it finds few,
        the next one has to wait for the clock.
        """
        while True:
            if not self._idle:
                if self.now == self._walked and self._idle_found * WALK < len(self.connections):
                    return False
                self._walked = self.now
                self._idle = [it for it in self.connections if it.protocol is not None and it.protocol.movable()]
                self._idle.sort(key=_deadline, reverse=True)
                self._idle_found = len(self._idle)
                if not self._idle:
                    return False
            connection = self._idle.pop()
            if connection.state == OPEN and connection.protocol.movable():
                connection.finish(False)
                return True

    def abandon(self) -> None:
        """In a forked child: give up the copies of all connections."""
        if self.latest is not None:
            self.latest.abandon()
        Reactor.abandon(self)  # compiled, there is no super() without arguments

    def failure_page(self, exc: BaseException | None, accept: str | None) -> tuple[str, str]:
        """As ``HttpChannel.failure_page``."""
        if exc is None or not self.development:
            return TEXT, "Internal Server Error\n"
        # A developer's, and no start's.
        from ssgi_gateway.observe.failure_page import failure_page, wants_page, without_own_frames

        exc = without_own_frames(exc, (OWN,))
        if wants_page(accept):
            return "text/html; charset=utf-8", failure_page("", exc)
        page = "".join(traceback.format_exception(exc))
        return TEXT, page.encode("utf-8", "backslashreplace").decode()  # a message may hold any character

    def on_drain(self, exchange: Any, handler: Any, *args: Any) -> None:
        """``res.extensions["on_drain"]``: the handler runs in a copy of the context in which this is called."""
        if self.draining:
            exchange.notify(handler, args, copy_context())
        else:
            self.drain_handlers.setdefault(exchange, []).append((handler, args, copy_context()))

    def tell_drain(self) -> None:
        """The drain begins: call the handlers that were registered for it."""
        registered, self.drain_handlers = self.drain_handlers, {}
        for exchange, handlers in registered.items():
            for handler, args, context in handlers:
                exchange.notify(handler, args, context)

    def examine(self, variables: Any, protocol: str) -> None:
        """One of the first requests: log what it gives away about the web server's configuration, each kind once."""
        self.unexamined -= 1
        if protocol not in CARRIERS:
            return
        from ssgi_gateway.observe.diagnosis import diagnose  # a start has no use for it

        for finding in diagnose(dict(variables.items()), protocol):
            if finding.kind not in self._found:
                self._found.add(finding.kind)
                logger.warning("the web server's configuration: %s", finding)

    # -- the clock -----------------------------------------------------------------------------------------------

    def wake(self) -> None:
        """As ``Reactor.wake``, which comes before each connection."""
        if self._sweeper is None:
            Reactor.wake(self)  # as in ``abandon``
            self.date.line = date_line()
            if self.observer is not None:
                self.observer.clock_started(self.now)

    def sweep(self) -> None:
        """As ``Reactor.sweep``; and it is later now."""
        self.date.line = date_line()
        self._quiet = 0 if self.active else self._quiet + 1
        self.active = False
        super().sweep()

    def may_rest(self) -> bool:
        """Whether nothing has happened for a while, and no observer has anything to do while nothing happens."""
        if self.active or self._quiet < QUIET or log_setup.has_waiting():
            return False
        return self.observer is None or not self.observer.needs_clock()

    def rest(self) -> None:
        """As ``Reactor.rest``."""
        self._quiet = 0
        if self.observer is not None:
            self.observer.clock_stopped()
