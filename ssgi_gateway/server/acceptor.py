"""Takes connections off a listener, in bursts that leave time for those already there."""

from __future__ import annotations

import errno
from typing import TYPE_CHECKING, Any, Final

from ssgi_gateway.server.exclusive import exclusively

from .connection import Connection
from .http import HttpProtocol
from .system import accept, source

if TYPE_CHECKING:
    import socket
    from collections.abc import Callable

    from .gateway import Gateway

BURST: Final = 64
"""Connections taken in one turn of the loop; the kernel keeps the others, and tells us again."""

RETRY: Final = 0.5
"""Seconds without accepting after the system ran out of something (accept(2): EMFILE, ENFILE, ENOBUFS, ENOMEM ...); a
listener stays readable, so asking at once would be a busy loop."""


def admit(gateway: Gateway, fd: int, codec: Any) -> None:
    """Serve a new connection."""
    connection = Connection.__new__(Connection)
    connection.init(gateway, fd)
    protocol = HttpProtocol.__new__(HttpProtocol)
    protocol.init(connection, gateway, codec)
    connection.opened(codec.protocol)
    if len(gateway.connections) >= gateway.max_connections:
        protocol.overloaded()
    connection.begin()


class Acceptor:
    """One listener of one gateway.

    Args:
        gateway: whose connections these will be.
        listener: non-blocking.
        make_codec: called with a descriptor, makes the codec of a new connection.
        shared: other processes accept here, too.
    """

    __slots__ = ("_accepting", "_source", "gateway", "listener", "make_codec", "shared")

    def __init__(
        self, gateway: Gateway, listener: socket.socket, make_codec: Callable[[int], Any], shared: bool = False
    ) -> None:
        self.gateway = gateway
        self.listener = listener
        self.make_codec = make_codec
        self.shared = shared
        self._accepting = False
        self._source = source(listener)

    def start(self) -> None:
        """Begin to accept."""
        if not self._accepting:
            self._accepting = True
            self.gateway.loop.add_reader(self.listener.fileno(), self.on_readable)
            if self.shared:
                exclusively(self.gateway.loop, self.listener.fileno())

    def stop(self, queue: bool = True) -> None:
        """Accept no more.

        Args:
            queue: take what the kernel has accepted for us already; otherwise it is for others.
        """
        if self._accepting:
            self._accepting = False
            self.gateway.loop.remove_reader(self.listener.fileno())
        while queue and self._accept():
            pass

    def on_readable(self) -> None:
        """At least one connection is waiting."""
        for _ in range(BURST):
            if not self._accept():
                return

    def _accept(self) -> bool:
        """Serve the next connection; ``False`` when there is none."""
        gateway = self.gateway
        try:
            fd = accept(self._source)
        except OSError as error:
            self._exhausted(error)
            return False
        if fd < 0:
            return False
        admit(gateway, fd, self.make_codec(fd))
        return True

    def _exhausted(self, error: OSError) -> None:
        self.gateway.log_peer_error(
            "accept", f"no connection could be accepted: {error.strerror}; trying again every {RETRY:g} s"
            + (" (raise the limit on open files: ulimit -n, LimitNOFILE=)" if error.errno == errno.EMFILE else ""),
        )  # fmt: skip
        if self._accepting:
            self._accepting = False
            self.gateway.loop.remove_reader(self.listener.fileno())
            self.gateway.loop.call_later(RETRY, self._resume)

    def _resume(self) -> None:
        if not self.gateway.draining:
            self.start()
