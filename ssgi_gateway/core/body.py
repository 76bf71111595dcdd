"""A request's body on its way to the application.

The server feeds it, the application drains it; when more than the high-water mark waits here the server stops
reading from the peer, which is all the backpressure there is. Nothing is kept that was read.
"""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING, Final

from .waiters import Waiters

if TYPE_CHECKING:
    import asyncio

    from .server_loop import ServerLoop

TOGETHER: Final = 262144
"""Bytes up to which everything that waits is handed out as one: an application's turn costs more than a copy of what
came in small pieces while it did something else."""


class RequestBody:
    """Chunks in order, then an end or an abort.

    ``size`` is the number of bytes waiting; ``wanted`` is true while the application waits for more.
    """

    __slots__ = ("_chunks", "_waiters", "aborted", "ended", "received", "size")

    def __init__(self) -> None:
        # Made when they are needed: a FastCGI request without a body mostly has one of these, too.
        self._chunks: deque[bytes] | None = None
        self._waiters: Waiters | None = None
        self.size = 0
        self.received = 0
        self.ended = False
        self.aborted = False

    @property
    def wanted(self) -> bool:
        """Whether the application is waiting."""
        return self._waiters is not None and self._waiters.waiting()

    def feed(self, data: bytes) -> None:
        """A piece has arrived."""
        if self._chunks is None:
            self._chunks = deque()
        self._chunks.append(data)
        self.size += len(data)
        self.received += len(data)
        self._wake()

    def feed_end(self) -> None:
        """All of it has arrived."""
        self.ended = True
        self._wake()

    def abort(self) -> None:
        """The rest will never arrive; what has is dropped with it."""
        if not self.ended:
            self.aborted = True
            self._chunks = None
            self.size = 0
        self._wake()

    def take(self) -> bytes:
        """All that waits, or the first piece of it where that is much; ``b""`` when nothing does.

        Raises:
            ConnectionAbortedError: the body was cut off.
        """
        if self.aborted:
            raise ConnectionAbortedError("the client disconnected before the request's body had arrived")
        if not self._chunks:
            return b""
        if len(self._chunks) > 1 and self.size <= TOGETHER:
            data = b"".join(self._chunks)
            self._chunks.clear()
        else:
            data = self._chunks.popleft()
        self.size -= len(data)
        return data

    def take_all(self) -> bytes:
        """All that waits, as one.

        Raises:
            ConnectionAbortedError: as ``take``.
        """
        pieces = []
        while piece := self.take():
            pieces.append(piece)
        return pieces[0] if len(pieces) == 1 else b"".join(pieces)

    def when_more(self, loop: ServerLoop) -> asyncio.Future[None]:
        """A future that is done when ``take`` has something new to return."""
        if self._waiters is None:
            self._waiters = Waiters()
        return self._waiters.wait(loop)

    def _wake(self) -> None:
        if self._waiters is not None:
            self._waiters.wake(None)
