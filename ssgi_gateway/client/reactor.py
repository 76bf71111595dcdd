"""The clock of a client's connections. It runs only while there are connections."""

from __future__ import annotations

import os
import select
import weakref
from typing import TYPE_CHECKING, Any, Final

from ssgi_gateway.settings import FlowControl

from ..server.connection import NEVER
from ..server.reactor import Reactor

if TYPE_CHECKING:
    import asyncio

__all__ = ["ClientReactor"]


_reactors: Final[weakref.WeakSet[ClientReactor]] = weakref.WeakSet()


class ClientReactor(Reactor):
    """What the connections of one client share. An exchange has timeouts of its own."""

    __slots__ = ("__weakref__",)

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        super().__init__(loop, FlowControl(), write_timeout=NEVER, idle_timeout=NEVER, log="ssgi_gateway.client")
        _reactors.add(self)

    def log_peer_error(self, kind: str, message: str) -> None:
        """Whoever asked gets an exception; the log gets nothing."""

    def _find_gone(self, asked: dict[int, Any]) -> None:
        """Where nothing is read, a broken connection has to be asked for; what lies before an end is still wanted."""
        poll = select.poll()
        for fd in asked:
            poll.register(fd, 0)
        for fd, events in poll.poll(0):
            if events & select.POLLERR:
                asked[fd].lost()


def _after_in_child() -> None:
    """A forked child gives up its copies: a connection that its parent closes would not end for the peer otherwise."""
    for reactor in tuple(_reactors):
        reactor.abandon()


os.register_at_fork(after_in_child=_after_in_child)
