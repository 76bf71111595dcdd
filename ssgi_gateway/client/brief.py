"""Connections of one request: one poller of their own finds what becomes readable, and the loop watches that.

A reader of uvloop's costs six system calls and two objects from its beginning to its end, one of asyncio's a selector's
key and a handle. Here it is one call, for the kernel forgets a descriptor that is closed (epoll(7), question 6).
"""

from __future__ import annotations

import select
from typing import TYPE_CHECKING, Any, Final

from ssgi_gateway import linux

from ..server.connection import CLOSED, OPEN
from ..server.system import RECEIVE_SIZE
from .stream import PeerConnection

if TYPE_CHECKING:
    from ..core.server_loop import ServerLoop
    from .reactor import ClientReactor

__all__ = ["BriefConnection", "Readers"]

ENDED: Final = select.POLLIN | select.POLLHUP
"""What poll(2) returns for a unix socket whose peer has closed it, and in good order."""


class Readers:
    """Connections by descriptor."""

    __slots__ = ("_connections", "_loop", "_poller")

    def __init__(self, loop: ServerLoop) -> None:
        self._loop = loop
        self._connections: dict[int, BriefConnection] = {}
        self._poller: Any = None

    def add(self, connection: BriefConnection) -> None:
        """Call ``on_events`` whenever there is something to read."""
        if self._poller is None:
            self._poller = linux.poller()
            self._loop.add_reader(self._poller.fileno(), self._on_ready)
        self._connections[connection.fd] = connection
        self._poller.register(connection.fd, select.POLLIN)

    def remove(self, fd: int) -> None:
        """No more of a connection that stays open."""
        del self._connections[fd]
        self._poller.unregister(fd)

    def forget(self, fd: int) -> None:
        """As ``remove``, for one that is closed now."""
        del self._connections[fd]

    def ready(self) -> list[tuple[int, int]]:
        """Descriptors and their events, now."""
        return self._poller.poll(0) if self._poller is not None else []

    def _on_ready(self) -> None:
        for fd, events in self.ready():
            connection = self._connections.get(fd)
            if connection is not None:
                connection.on_events(events)
            elif self._poller is not None:
                self._renew()
                return

    def _renew(self) -> None:
        """A descriptor that was closed may still be watched: a forked process has a copy of it. So begin anew."""
        connections, self._connections = self._connections, {}
        self.close()
        for connection in connections.values():
            self.add(connection)

    def close(self) -> None:
        """Watch nothing."""
        poller, self._poller = self._poller, None
        if poller is not None:
            self._loop.remove_reader(poller.fileno())
            poller.close()

    def abandon(self) -> None:
        """In a forked child: the loop and what it watches are the parent's."""
        poller, self._poller = self._poller, None
        self._connections = {}
        if poller is not None:
            poller.close()


class BriefConnection(PeerConnection):
    """A connection of one request."""

    __slots__ = ("_readers",)

    def __init__(self, reactor: ClientReactor, fd: int, local: bool = False) -> None:
        super().__init__(reactor, fd, local)
        self._readers = reactor.readers

    def on_events(self, events: int) -> None:
        """There is something to read, and mostly the end with it."""
        data = self.read_once()
        if not data or self.state != OPEN or not self._reading:
            return
        if events == ENDED and len(data) < RECEIVE_SIZE:
            self.pass_on(b"")  # both sides are closed, and this was all there was
        else:
            self._read()

    def start_reading(self) -> None:
        """As ``Connection.start_reading``."""
        if not self._reading and self.state != CLOSED:
            self.register()
            self._reading = True
            self._readers.add(self)

    def stop_reading(self) -> None:
        """As ``Connection.stop_reading``."""
        if self._reading:
            self._reading = False
            self._readers.remove(self.fd)
        elif not self._registered:
            self.register()

    def close(self) -> None:
        """As ``Connection.close``."""
        if self._reading:
            self._reading = False
            self._readers.forget(self.fd)
        super().close()
