"""What leaves a connection: at once if the kernel takes it, and otherwise when it does.

Output flow control exists here and nowhere else. What the kernel does not take is kept, and more than ``high_water``
bytes of it make ``write`` return that no more is welcome; ``when_writable`` is done when ``low_water`` or less is left.
No writer is forced to wait: ``write_deadline`` is for those that do not.
"""

from __future__ import annotations

import errno
from bisect import bisect_right
from collections import deque
from itertools import accumulate
from typing import TYPE_CHECKING, Any, Final

from ssgi_gateway.server import connection_states
from ssgi_gateway.wire import buffers
from ssgi_gateway.wire.file_slice import FileSlice

from ..core.waiters import Waiters, settled
from .system import MAX_BUFFERS, send, send_file, send_many

if TYPE_CHECKING:
    import asyncio

    from .reactor import Reactor

OPEN: Final = connection_states.OPEN
FLUSHING: Final = connection_states.FLUSHING
CLOSED: Final = connection_states.CLOSED
NEVER: Final = connection_states.NEVER

MAX_JOINED: Final = buffers.MAX_JOINED
FEW: Final = 8
"""So many buffers are counted by a loop, which compiled costs least; more of them by functions of C."""


class Output:
    """The writing half of a ``Connection``.

    Attributes:
        out_size: bytes that wait for the kernel to take them.
        moved: the reactor's time when the peer last took something that had to wait for it.
        write_deadline: the reactor's time until which it has to take something.
    """

    __slots__ = (
        "_broken",
        "_drained",
        "_flushed",
        "_out",
        "_writing",
        "fd",
        "moved",
        "out_size",
        "reactor",
        "state",
        "write_deadline",
    )

    def _init_base(self, reactor: Reactor, fd: int) -> None:
        self.reactor = reactor
        self.fd = fd
        self.state = OPEN
        self.out_size = 0
        self.moved = 0.0
        self.write_deadline = NEVER
        self._out: deque[Any] | None = None
        self._writing = False
        self._broken = False  # closed before all that was written had left
        self._drained: Waiters | None = None
        self._flushed: Waiters | None = None

    def register(self) -> None:
        """Have the reactor know of this connection: from now on deadlines and the drain do."""
        raise NotImplementedError

    def lost(self) -> None:
        """The peer has disconnected, or this side gives up: nothing more goes either way."""
        raise NotImplementedError

    def _flushed_to_the_end(self) -> None:
        """It was to be finished, and all that was written has left."""
        raise NotImplementedError

    def write(self, data: Any) -> bool:
        """Write now if the kernel takes it, keep what it does not; returns whether more is welcome."""
        if self.state != OPEN:
            return True
        if self._out:
            self._keep(data, 0)
            return self.out_size <= self.reactor.high_water
        try:
            sent = send(self.fd, data)
        except OSError:
            self.lost()
            return True
        if sent == len(data):
            return True
        self._keep(data, sent)
        self._wait_writable()
        return self.out_size <= self.reactor.high_water

    def write_many(self, buffers: list[Any]) -> bool:
        """As ``write``, for several buffers that belong together."""
        if len(buffers) == 1:
            return self.write(buffers[0])
        if self.state != OPEN:
            return True
        if not buffers:
            return self.out_size <= self.reactor.high_water
        sent = 0
        if not self._out:
            try:
                sent = send_many(self.fd, buffers)
            except OSError:
                self.lost()
                return True
        whole = 0
        if len(buffers) > FEW:
            ends = list(accumulate(map(len, buffers)))
            whole = bisect_right(ends, sent)
            if whole:
                sent -= ends[whole - 1]
        else:
            for buffer in buffers:
                size = len(buffer)
                if sent < size:
                    break
                sent -= size
                whole += 1
        if whole < len(buffers):
            self._keep_many(buffers, whole, sent)
        if self._out:
            self._wait_writable()
        return self.out_size <= self.reactor.high_water

    def write_files(self, pieces: list[Any]) -> bool:
        """As ``write_many``, where some of the pieces are ``FileSlice``s."""
        if self.state != OPEN:
            return True
        if self._out is None:
            self._out = deque()
        for piece in pieces:
            self._out.append(piece)
            self.out_size += len(piece)
        if not self._writing:
            self._wait_writable()
            self.on_writable()
        return self.out_size <= self.reactor.high_water

    def _send_queued(self) -> int:
        """Offer the kernel what waits first: buffers together, a file by itself."""
        out = self._out
        if not out:
            return 0
        first = out[0]
        if type(first) is FileSlice:
            sent = send_file(self.fd, first.file.fd, first.offset, first.size)
            if sent == 0:
                raise OSError(errno.EIO, "the file became shorter while it was being sent")
            return max(sent, 0)
        buffers: list[Any] = []
        for piece in out:
            if type(piece) is FileSlice or len(buffers) == MAX_BUFFERS:
                break
            buffers.append(piece)
        return send_many(self.fd, buffers)

    def on_writable(self) -> None:
        """The kernel takes more."""
        if self.state == CLOSED:
            return
        out = self._out
        try:
            sent = self._send_queued()
        except OSError:
            self.lost()
            return
        progress = sent > 0
        self.out_size -= sent
        if out and not self.out_size:
            out.clear()
        while out and sent >= len(out[0]):
            sent -= len(out.popleft())
        if out:
            if sent:
                first = out[0]
                out[0] = (memoryview(first) if type(first) is bytes else first)[sent:]
            if progress:
                self.moved = self.reactor.now
                self.write_deadline = self.reactor.now + self.reactor.write_timeout
        else:
            self._out = None
            self._writing = False
            self.moved = self.reactor.now
            self.write_deadline = NEVER
            self.reactor.loop.remove_writer(self.fd)
            if self._flushed is not None:
                self._flushed.wake(True)
        if self._drained is not None and self.out_size <= self.reactor.low_water:
            self._drained.wake(True)
        if not out and self.state == FLUSHING:
            self._flushed_to_the_end()

    def when_writable(self) -> asyncio.Future[bool]:
        """A future: ``True`` once less than the low-water mark waits, ``False`` when the connection is lost."""
        loop = self.reactor.loop
        if self.state == CLOSED or self.out_size <= self.reactor.high_water:
            return settled(loop, not self._broken)
        if self._drained is None:
            self._drained = Waiters()
        return self._drained.wait(loop)

    def when_flushed(self) -> asyncio.Future[bool]:
        """A future: ``True`` once nothing waits, ``False`` when the connection is lost."""
        loop = self.reactor.loop
        if not self._out:
            return settled(loop, not self._broken)
        if self._flushed is None:
            self._flushed = Waiters()
        return self._flushed.wait(loop)

    def _keep(self, data: Any, start: int) -> None:
        """Queue what the kernel did not take; a copy, because the application may reuse its buffer."""
        out = self._out
        if out is None:
            out = self._out = deque()
        size = len(data) - start
        self.out_size += size
        if size > MAX_JOINED:
            piece = memoryview(data)[start:]
            out.append(piece if type(piece.obj) is bytes else memoryview(bytes(piece)))
            return
        # Thousands of small messages to a slow reader are a few buffers here; one alone, a record's header mostly, is
        # not worth a copy.
        last = out[-1] if out else None
        if type(last) is bytearray and len(last) < MAX_JOINED:
            last += memoryview(data)[start:]
        elif type(last) is bytes and len(last) < MAX_JOINED:
            out[-1] = joined = bytearray(last)
            joined += memoryview(data)[start:]
        elif type(data) is bytes and not start:
            out.append(data)
        else:
            out.append(bytearray(memoryview(data)[start:]))

    def _keep_many(self, buffers: list[Any], whole: int, start: int) -> None:
        """As ``_keep``, for what follows ``whole`` buffers and ``start`` bytes."""
        self._keep(buffers[whole], start)
        rest = buffers[whole + 1 :]
        size = sum(map(len, rest))
        if size > MAX_JOINED * len(rest) and _lasts(rest):
            assert self._out is not None
            self._out.extend(rest)  # a large body and its frames, of which there are many
            self.out_size += size
        else:
            for buffer in rest:
                self._keep(buffer, 0)

    def _wait_writable(self) -> None:
        if not self._writing:
            self._writing = True
            self.register()
            self.write_deadline = self.reactor.now + self.reactor.write_timeout
            self.reactor.loop.add_writer(self.fd, self.on_writable)

    def _drop_output(self) -> None:
        """The descriptor is about to be closed: what still waits will not leave."""
        if self._out:
            self._broken = True
        if self._writing:
            self._writing = False
            self.reactor.loop.remove_writer(self.fd)
        self._out = None
        self.out_size = 0
        if self._drained is not None:
            self._drained.wake(False)
        if self._flushed is not None:
            self._flushed.wake(False)


def _lasts(buffers: list[Any]) -> bool:
    """Whether nobody can change what is in them."""
    for buffer in buffers:  # noqa: SIM110 - a generator is twice the work
        if type(buffer.obj if type(buffer) is memoryview else buffer) is not bytes:
            return False
    return True
