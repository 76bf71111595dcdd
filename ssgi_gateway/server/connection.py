"""One accepted descriptor: the eager path, and the waiting path it falls back to.

Eager: read, answer, close, in one turn of the loop; nothing is registered anywhere. Waiting: only when the kernel
would block, or the application does, the connection gets a reader, a writer, a buffer, a deadline and a place in
the reactor's set. Output flow control exists here and nowhere else.

This module does not know what the bytes mean: that is the protocol's part (``data_received``, ``eof_received``,
``connection_lost``, ``deadline_passed``).
"""

from __future__ import annotations

import asyncio
import errno
import logging
from collections import deque
from typing import TYPE_CHECKING, Any, Final

from ssgi_gateway.server import connection_states
from ssgi_gateway.wire.file_slice import FileSlice

from ..core.waiters import Waiters, settled
from .system import MAX_BUFFERS, addresses, close, receive, release, send, send_file, send_many, shutdown_write

if TYPE_CHECKING:
    from ..core.channel import Protocol
    from .reactor import Reactor

logger = logging.getLogger("ssgi_gateway.server")

OPEN: Final = connection_states.OPEN
FLUSHING: Final = connection_states.FLUSHING
LINGERING: Final = connection_states.LINGERING
CLOSED: Final = connection_states.CLOSED
NEVER: Final = connection_states.NEVER

LINGER_TIME: Final = 5.0
"""Seconds given to a peer to notice an early answer; nginx's lingering_timeout is the same."""
LINGER_BYTES: Final = 64 * 1024 * 1024
"""Most bytes thrown away meanwhile."""
MAX_JOINED: Final = 16384
"""Pieces up to this size are joined into one buffer: a copy is then cheaper than a gathering write."""


class Connection:
    """Non-blocking input and output of one descriptor."""

    __slots__ = (
        "_broken",
        "_drained",
        "_flushed",
        "_lingered",
        "_out",
        "_reading",
        "_registered",
        "_resting",
        "_writing",
        "deadline",
        "fd",
        "heard",
        "moved",
        "out_size",
        "protocol",
        "reactor",
        "spoken",
        "state",
        "write_deadline",
    )

    def __init__(self, reactor: Reactor, fd: int) -> None:
        self.init(reactor, fd)

    def init(self, reactor: Reactor, fd: int) -> None:
        """What ``__init__`` does: see "Plain classes" in ARCHITECTURE.md."""
        self.reactor = reactor
        self.fd = fd
        self.protocol: Protocol = None  # type: ignore[assignment]  # set by the acceptor, never None afterwards
        self.state = OPEN
        self.spoken = ""  # set by ``opened``; for observers
        self.out_size = 0
        self.deadline = NEVER
        self.write_deadline = NEVER
        self._out: deque[Any] | None = None
        self._reading = False
        self._writing = False
        self._registered = False
        self._resting = False
        self.heard = False  # something was read since the last sweep
        self.moved = 0.0  # when the peer last took something that had to wait for it
        self._lingered = 0
        self._broken = False  # closed before all that was written had left
        self._drained: Waiters | None = None
        self._flushed: Waiters | None = None

    def opened(self, spoken: str) -> None:
        """Report a connection of the protocol ``spoken`` to the observer; ``close`` reports its end."""
        if self.reactor.observer is not None:
            self.spoken = spoken
            self.reactor.observer.connection_opened(spoken)

    # -- reading -------------------------------------------------------------------------------------------------

    def begin(self) -> None:
        """The first read, right after the accept: mostly the request is there already."""
        self.on_readable()
        if self.state == OPEN and not self._registered:
            self.deadline = self.reactor.now + self.reactor.idle_timeout  # it may never say anything
            self.start_reading()

    def on_readable(self) -> None:
        """The kernel has something: read once and pass it on."""
        self._read()

    def _read(self) -> bool:
        """Read once; returns whether there was anything, if only the end."""
        self.heard = True
        if self._resting:
            return False
        try:
            data = receive(self.fd)
        except OSError:
            self.lost()
            return True
        if data is None:
            return False
        if self.state != OPEN:
            self._discard(data)
            return True
        protocol = self.protocol  # held here: its own doing may take it from this connection while it runs
        try:
            if data:
                protocol.data_received(data)
            else:
                protocol.eof_received()
        except Exception:
            logger.exception("internal error while serving a connection; it was closed")
            self.lost()
        return True

    def read_on(self) -> None:
        """Read all there is: the kernel has reported an error, and it does so once.

        What arrived before the error comes first, and the error only when that was read. uvloop (as libuv) calls the
        reader once and then ends the registration: one read after an error, as after anything else, would never learn
        of the peer's end.
        """
        while self.state != CLOSED and self._reading and self._read():
            pass
        if self.state != CLOSED and self._reading and not self._resting:
            # Nothing more to read and still there: have the loop look at it again.
            self.reactor.loop.remove_reader(self.fd)
            self.reactor.loop.add_reader(self.fd, self.on_readable)

    def rest(self) -> None:
        """Read nothing until ``resume``: what was read has had its share of this turn of the loop.

        The reader stays registered: this is for one turn, ``stop_reading`` is for long.
        """
        self._resting = True

    def resume(self) -> None:
        """After ``rest``."""
        self._resting = False

    def start_reading(self) -> None:
        """Call ``on_readable`` when something arrives."""
        if not self._reading and self.state != CLOSED:
            self.register()
            self._reading = True
            self.reactor.loop.add_reader(self.fd, self.on_readable)

    def stop_reading(self) -> None:
        """Let the kernel's buffer fill, which makes the peer wait."""
        if self._reading:
            self._reading = False
            self.reactor.loop.remove_reader(self.fd)
        elif not self._registered:
            self.register()

    @property
    def paused(self) -> bool:
        """Whether the end of the connection would go unnoticed because it is not read."""
        return self._registered and not self._reading and self.state == OPEN

    def register(self) -> None:
        """Have the reactor know of this connection: from now on deadlines and the drain do."""
        if not self._registered and self.state != CLOSED:
            self._registered = True
            self.reactor.register(self)

    # -- writing -------------------------------------------------------------------------------------------------

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
        for buffer in buffers:
            size = len(buffer)
            if sent >= size:
                sent -= size
            else:
                self._keep(buffer, sent)
                sent = 0
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
        while out and sent >= len(out[0]):
            sent -= len(out.popleft())
        if out:
            if sent:
                out[0] = out[0][sent:]
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
        """A future: ``True`` once less than the low-water mark waits, ``False`` when the peer is gone."""
        loop = self.reactor.loop
        if self.state == CLOSED or self.out_size <= self.reactor.high_water:
            return settled(loop, not self._broken)
        if self._drained is None:
            self._drained = Waiters()
        return self._drained.wait(loop)

    def when_flushed(self) -> asyncio.Future[bool]:
        """A future: ``True`` once nothing waits, ``False`` when the peer is gone."""
        loop = self.reactor.loop
        if not self._out:
            return settled(loop, not self._broken)
        if self._flushed is None:
            self._flushed = Waiters()
        return self._flushed.wait(loop)

    def _keep(self, data: Any, start: int) -> None:
        """Queue what the kernel did not take; a copy, because the application may reuse its buffer."""
        if self._out is None:
            self._out = deque()
        out = self._out
        piece = memoryview(data)[start:]
        size = len(piece)
        self.out_size += size
        if size <= MAX_JOINED:
            # Thousands of small messages to a slow reader are a few buffers here.
            if out and type(out[-1]) is bytearray and len(out[-1]) < MAX_JOINED:
                out[-1] += piece
            else:
                out.append(bytearray(piece))
        else:
            out.append(piece if type(piece.obj) is bytes else memoryview(bytes(piece)))

    def _wait_writable(self) -> None:
        if not self._writing:
            self._writing = True
            self.register()
            self.write_deadline = self.reactor.now + self.reactor.write_timeout
            self.reactor.loop.add_writer(self.fd, self.on_writable)

    # -- the end -------------------------------------------------------------------------------------------------

    def finish(self, unread: bool) -> None:
        """Everything was written: close once it has left.

        Args:
            unread: the peer may still be sending. A close would then reset the connection, and the answer with it;
                so say that nothing more comes, and throw away what arrives, for a while (RFC 9112 9.6).
        """
        if self.state != OPEN:
            return
        self._resting = False
        self._lingered = 1 if unread else 0
        if self._out:
            self.state = FLUSHING
            self.deadline = NEVER
            if not unread:
                self.stop_reading()
        elif unread:
            self._linger()
        else:
            self.close()

    def next_request(self, idle: float) -> None:
        """The answer is complete and the connection is kept: it may carry another request, within ``idle`` seconds."""
        self.deadline = self.reactor.now + idle
        self.start_reading()  # a body that had to wait has stopped it

    def break_off(self, sign: bytes, unread: bool) -> None:
        """End in the middle of an answer, by ``sign`` where the end alone would look like the answer's."""
        if sign:
            self.write(sign)
        self.finish(unread)

    def break_down(self) -> None:
        """The peer speaks no protocol that is known here: nothing on this connection can be believed any more."""
        self.lost()

    def _flushed_to_the_end(self) -> None:
        if self._lingered:
            self._linger()
        else:
            self.close()

    def _linger(self) -> None:
        self.state = LINGERING
        self.deadline = self.reactor.now + LINGER_TIME
        shutdown_write(self.fd)
        self.start_reading()

    def _discard(self, data: bytes) -> None:
        self._lingered += len(data)
        if not data or self._lingered > LINGER_BYTES:
            if self.state == FLUSHING:
                self.stop_reading()  # enough, or half-closed; the answer may still be wanted
            else:
                self.close()

    def lost(self) -> None:
        """The peer is gone, or this side gives up: nothing more goes either way."""
        if self.state == CLOSED:
            return
        protocol = self.protocol
        if self.state != LINGERING:
            self._broken = True
        self.close()
        protocol.connection_lost()

    def close(self) -> None:
        """Give everything back. Output that still waits is dropped."""
        if self.state == CLOSED:
            return
        self.state = CLOSED
        if self._out:
            self._broken = True
        loop = self.reactor.loop
        if self._reading:
            loop.remove_reader(self.fd)
        if self._writing:
            loop.remove_writer(self.fd)
        close(self.fd)
        self._reading = self._writing = False
        self.protocol = None  # type: ignore[assignment]  # a cycle less for the collector
        self._out = None
        self.out_size = 0
        if self._drained is not None:
            self._drained.wake(False)
        if self._flushed is not None:
            self._flushed.wake(False)
        if self._registered:
            self._registered = False
            self.reactor.unregister(self)
        if self.spoken and self.reactor.observer is not None:
            self.reactor.observer.connection_closed(self.spoken)

    def detach(self) -> int:
        """Let go of the descriptor, which stays open: another process goes on with it. Nothing may wait to be sent."""
        self.state = CLOSED
        loop = self.reactor.loop
        if self._reading:
            loop.remove_reader(self.fd)
            self._reading = False
        self.protocol = None  # type: ignore[assignment]  # as in close()
        if self._registered:
            self._registered = False
            self.reactor.unregister(self)
        if self.spoken and self.reactor.observer is not None:
            self.reactor.observer.connection_closed(self.spoken)
        return self.fd

    def abandon(self) -> None:
        """In a forked child: give up the copy of a connection that is the parent's.

        Nothing is told to anybody, to the event loop least of all: its registrations are the parent's as well.
        """
        if self.state != CLOSED:
            self.state = CLOSED
            self._resting = True
            self._registered = self._reading = self._writing = False
            self._out = None
            release(self.fd)

    def peer_label(self) -> str:
        """``" from host:port"`` for a log line; nothing for a unix socket, whose peers have no name."""
        peer = addresses(self.fd)[1] if self.state != CLOSED else ""
        return f" from {peer[0]}:{peer[1]}" if isinstance(peer, tuple) else ""

    def delay(self, seconds: float) -> None:
        """Put both deadlines off: for so long this process has looked at nothing."""
        self.deadline += seconds
        self.write_deadline += seconds

    def tick(self, now: float) -> None:
        """Called by the reactor's sweep when one of the deadlines has passed.

        A deadline counts what the peer did not do. So what it did while nobody looked is looked at first: it may have
        sent what is waited for, or made room.
        """
        if self._reading and self.deadline <= now:
            self._read()
        if self._writing and self.write_deadline <= now:
            self.on_writable()
        if self.state == CLOSED or (self.deadline > now and self.write_deadline > now):
            return
        if self.write_deadline <= now:
            self.reactor.log_peer_error(
                "slow reader", f"a peer took nothing of its answer for {self.reactor.write_timeout:.0f} s; closed"
            )
            self.lost()
        elif self.state != OPEN:
            self.close()
        else:
            self.deadline = NEVER
            protocol = self.protocol
            protocol.deadline_passed()
