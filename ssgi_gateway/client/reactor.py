"""The clock of a client's connections. It runs only while there are connections."""

from __future__ import annotations

import os
import select
import weakref
from typing import TYPE_CHECKING, Any, Final

from ssgi_gateway.settings import FlowControl

from ..server.connection import NEVER
from ..server.reactor import Reactor
from .brief import Readers

if TYPE_CHECKING:
    import asyncio

__all__ = ["ClientReactor"]


_reactors: Final[weakref.WeakSet[ClientReactor]] = weakref.WeakSet()
KEPT_FREE: Final = 1 << 20


class ClientReactor(Reactor):
    """What the connections of one client share. An exchange has timeouts of its own.

    Attributes:
        readers: of connections of one request.
        forked: this process is a child of the one that made it.
    """

    __slots__ = ("__weakref__", "forked", "readers")

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        super().__init__(loop, FlowControl(), write_timeout=NEVER, idle_timeout=NEVER, log="ssgi_gateway.client")
        self.readers = Readers(self.loop)
        self.forked = False
        _reactors.add(self)
        _keep_memory()

    def log_peer_error(self, kind: str, message: str) -> None:
        """The caller gets an exception; the log gets nothing."""

    def stop(self) -> None:
        """The end of the client."""
        super().stop()
        self.readers.close()

    def abandon(self) -> None:
        """In a forked child: give up the copies of all connections."""
        super().abandon()
        self.readers.abandon()
        self.forked = True

    def _find_gone(self, asked: dict[int, Any]) -> None:
        """Where nothing is read, only poll(2) shows a broken connection; what lies before an end is still wanted."""
        poll = select.poll()
        for fd in asked:
            poll.register(fd, 0)
        for fd, events in poll.poll(0):
            if events & select.POLLERR:
                asked[fd].lost()


def _keep_memory() -> None:
    """Have the C library keep the memory of one piece of a body for the next.

    glibc returns free memory at the heap's end to the kernel, beyond twice the largest block that was mapped on its own
    and freed (mallopt(3), M_MMAP_THRESHOLD). Pieces are of 256 KiB, and to get their pages anew took a third of the CPU
    of a download. This block is never written to, so it costs nothing.
    """
    bytes(KEPT_FREE)


def _after_in_child() -> None:
    """A forked child gives up its copies: a connection that its parent closes would not end for the peer otherwise."""
    for reactor in tuple(_reactors):
        reactor.abandon()


os.register_at_fork(after_in_child=_after_in_child)
