"""A connection without a socket: two ends in one process, each with what ``Connection`` offers its protocol.

What one end writes waits in the other's inbox, which is what flow control counts.
"""

from __future__ import annotations

import logging
import os
from collections import deque
from typing import TYPE_CHECKING, Any

from ssgi_gateway.core.waiters import Waiters, settled
from ssgi_gateway.wire.file_slice import FileSlice

from .connection import CLOSED, NEVER, OPEN, Connection

if TYPE_CHECKING:
    import asyncio

__all__ = ["MemoryConnection", "pair"]

logger = logging.getLogger("ssgi_gateway.server")


def pair(one: Any, other: Any) -> tuple[MemoryConnection, MemoryConnection]:
    """Two ends, each with the reactor or gateway it belongs to."""
    first, second = MemoryConnection(one), MemoryConnection(other)
    first.peer, second.peer = second, first
    return first, second


class MemoryConnection(Connection):
    """One end; see ``Connection`` for what the methods mean."""

    peer: MemoryConnection
    _drained: Waiters

    def __init__(self, reactor: Any) -> None:
        self.init(reactor, -1)
        self.error: Any = None
        self._inbox: deque[bytes] = deque()
        self._waiting = 0  # bytes in the inbox, which are the peer's ``out_size``
        self._ended = False  # the peer writes nothing more
        self._scheduled = False
        self._drained = Waiters()

    @property
    def paused(self) -> bool:
        return False  # the sweep need not look at this end

    # -- reading ---------------------------------------------------------------------------------------------------

    def start_reading(self) -> None:
        self.register()
        self._reading = True
        self._schedule()

    def stop_reading(self) -> None:
        self._reading = False
        self.register()

    def resume(self) -> None:
        super().resume()
        self._schedule()

    def _schedule(self) -> None:
        if self._reading and not self._scheduled and (self._inbox or self._ended):
            self._scheduled = True
            self.reactor.loop.call_soon(self._deliver)

    def _deliver(self) -> None:
        """One read."""
        self._scheduled = False
        if not self._reading or self._resting or self.state == CLOSED:
            return
        protocol = self.protocol
        try:
            if self._inbox:
                data = self._inbox.popleft()
                self._count(-len(data))
                self.peer._on_read()
                protocol.data_received(data)
            elif self._ended:
                self._reading = False
                protocol.eof_received()
        except Exception:
            logger.exception("internal error while serving a connection; it was closed")
            self.lost()
        self._schedule()

    def _count(self, size: int) -> None:
        """So many bytes more, or less, wait in the inbox."""
        self._waiting += size
        self.peer.out_size = self._waiting

    def _on_read(self) -> None:
        if self.out_size <= self.reactor.low_water:
            self._drained.wake(True)

    # -- writing ---------------------------------------------------------------------------------------------------

    def write(self, data: Any) -> bool:
        return self.write_many([data])

    def write_many(self, buffers: list[Any]) -> bool:
        peer = self.peer
        if self.state == OPEN and peer.state == OPEN:
            peer._take(b"".join(buffers))
        return self.out_size <= self.reactor.high_water

    def write_files(self, pieces: list[Any]) -> bool:
        return self.write_many(
            [
                os.pread(piece.file.fd, piece.size, piece.offset) if type(piece) is FileSlice else piece
                for piece in pieces
            ]
        )

    def _take(self, data: bytes) -> None:
        if data:
            self._inbox.append(data)
            self._count(len(data))
            self._schedule()

    def when_writable(self) -> asyncio.Future[bool]:
        loop = self.reactor.loop
        if self.state == CLOSED or self.peer.state == CLOSED:
            return settled(loop, False)
        if self.out_size <= self.reactor.high_water:
            return settled(loop, True)
        return self._drained.wait(loop)

    def when_flushed(self) -> asyncio.Future[bool]:
        return self.when_writable()

    def shutdown(self) -> None:
        self.peer._end()

    def _end(self) -> None:
        """The peer writes nothing more."""
        self._ended = True
        self._schedule()

    # -- the end ---------------------------------------------------------------------------------------------------

    def finish(self, unread: bool) -> None:
        self.close()

    def close(self) -> None:
        if self.state == CLOSED:
            return
        self.state = CLOSED
        self.protocol = None  # type: ignore[assignment]  # as Connection
        self._reading = self._registered = False
        self._inbox.clear()
        self._count(-self._waiting)
        self._drained.wake(False)
        self.reactor.unregister(self)
        peer = self.peer
        if peer.state != CLOSED:
            peer._end()
            peer._on_read()
            if not peer._reading and peer.protocol is not None:
                peer.reactor.loop.call_soon(peer.lost)

    def peer_label(self) -> str:
        return " in this process"

    def tick(self, now: float) -> None:
        if self.state == OPEN and self.protocol is not None:
            self.deadline = NEVER
            self.protocol.deadline_passed()
