"""One accepted descriptor: the eager path, and the waiting path it falls back to.

Eager: read, answer, close, in one turn of the loop; nothing is registered anywhere. Waiting: only when the kernel
would block, or the application does, the connection gets a reader, a writer, a buffer, a deadline and a place in
the reactor's set. Here are reading and the end of a connection; writing is in ``server.output``.

This module does not know what the bytes mean: that is the protocol's part (``data_received``, ``eof_received``,
``connection_lost``, ``deadline_passed``).
"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Final

from ssgi_gateway.server import connection_states, peer_errors

from .output import Output
from .system import addresses, close, receive, release, shutdown_write

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


class Connection(Output):
    """Non-blocking input and output of one descriptor."""

    __slots__ = (
        "_lingered",
        "_reading",
        "_registered",
        "_resting",
        "deadline",
        "protocol",
        "was_read",
        "wire_protocol",
    )

    def __init__(self, reactor: Reactor, fd: int) -> None:
        self.init(reactor, fd)

    def init(self, reactor: Reactor, fd: int) -> None:
        """What ``__init__`` does: see "Plain classes" in ARCHITECTURE.md."""
        self._init_base(reactor, fd)
        self.protocol: Protocol = None  # type: ignore[assignment]  # set by the acceptor, never None afterwards
        self.wire_protocol = ""  # set by ``opened``; for observers
        self.deadline = NEVER
        self.was_read = False  # something was read since the last sweep
        self._reading = False
        self._registered = False
        self._resting = False
        self._lingered = 0

    def opened(self, wire_protocol: str) -> None:
        """Report a connection of a wire protocol to the observer; ``close`` reports its end."""
        if self.reactor.observer is not None:
            self.wire_protocol = wire_protocol
            self.reactor.observer.connection_opened(wire_protocol)

    # -- reading -------------------------------------------------------------------------------------------------

    def begin(self) -> None:
        """The first read, right after the accept: mostly the request is there already."""
        self.on_readable()
        if self.state == OPEN and not self._registered:
            self.deadline = self.reactor.now + self.reactor.idle_timeout  # it may never send anything
            self.start_reading()

    def on_readable(self) -> None:
        """The kernel has something: read once and pass it on."""
        self._read()

    def _read(self) -> bool:
        """Read once; returns whether there was anything, if only the end."""
        self.was_read = True
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

    # -- the end -------------------------------------------------------------------------------------------------

    def finish(self, unread: bool) -> None:
        """Everything was written: close once it has left.

        Args:
            unread: the peer may still be sending. A close would then reset the connection, and the answer with it;
                so end the sending side, and throw away what arrives, for a while (RFC 9112 9.6).
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
        """The peer speaks no protocol that is known here: what follows on this connection has no meaning."""
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
        """The peer has disconnected, or this side gives up: nothing more goes either way."""
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
        if self._reading:
            self._reading = False
            self.reactor.loop.remove_reader(self.fd)
        self._drop_output()
        close(self.fd)
        self.protocol = None  # type: ignore[assignment]  # a cycle less for the collector
        if self._registered:
            self._registered = False
            self.reactor.unregister(self)
        if self.wire_protocol and self.reactor.observer is not None:
            self.reactor.observer.connection_closed(self.wire_protocol)

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
        if self.wire_protocol and self.reactor.observer is not None:
            self.reactor.observer.connection_closed(self.wire_protocol)
        return self.fd

    def abandon(self) -> None:
        """In a forked child: give up the copy of a connection that is the parent's.

        No observer, no protocol and not even the event loop is notified: its registrations are the parent's as well.
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

        A deadline counts what the peer did not do. So what it did meanwhile is read first: it may have sent what is
        waited for, or made room.
        """
        if self._reading and self.deadline <= now:
            self._read()
        if self._writing and self.write_deadline <= now:
            self.on_writable()
        if self.state == CLOSED or (self.deadline > now and self.write_deadline > now):
            return
        if self.write_deadline <= now:
            self.reactor.log_peer_error(
                peer_errors.SLOW_READER,
                f"a peer took nothing of its answer for {self.reactor.write_timeout:g} s; closed",
            )
            self.lost()
        elif self.state != OPEN:
            self.close()
        else:
            self.deadline = NEVER
            protocol = self.protocol
            protocol.deadline_passed()
