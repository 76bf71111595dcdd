"""Takes connections off a listener, in bursts that leave time for those already there."""

from __future__ import annotations

import contextlib
import errno
import os
from typing import TYPE_CHECKING, Any, Final

from ssgi_gateway.server import connection_states, peer_errors
from ssgi_gateway.server.exclusive import Exclusive

from .connection import Connection
from .http import HttpProtocol
from .system import accept, clock, pending, source

if TYPE_CHECKING:
    import socket
    from collections.abc import Callable

    from .gateway import Gateway

OPEN: Final = connection_states.OPEN

BURST: Final = 64
"""Connections taken in one turn of the loop; the kernel keeps the others and reports them again."""

SHARE: Final = 0.005
"""Seconds of such a turn, after which the others have theirs."""

TURN: Final = 8
"""Connections of one request each that a process takes before it lets others go first; of kept ones it takes one, for
each is many requests."""

ONE_BY_ONE: Final = 512
"""The same for connections of which none waits for another."""

MAX_PENDING: Final = 65536
"""Connections that are taken from a listener at its end; no queue of the kernel is longer (net.core.somaxconn)."""

MAX_REFUSED: Final = 128
"""Connections above ``max_connections`` that may still send their request, so that its answer is 503."""

REFUSAL_TIME: Final = 1.0
"""Seconds that each of those has, for its request and for taking the answer: then its place is another's. A web server
sends its request a moment after it has connected, and one that is refused before would see a connection that was reset.
"""

RETRY: Final = 0.5
"""Seconds without accepting after the system ran out of something (accept(2): EMFILE, ENFILE, ENOBUFS, ENOMEM ...); a
listener stays readable, so asking at once would be a busy loop."""


def admit(gateway: Gateway, fd: int, codec: Any) -> None:
    """Serve a new connection."""
    gateway.active = True
    gateway.wake()
    connection = Connection.__new__(Connection)
    connection.init(gateway, fd)
    protocol = HttpProtocol.__new__(HttpProtocol)
    protocol.init(connection, gateway, codec)
    connection.opened(codec.protocol)
    gateway.latest = connection
    if gateway.is_full(connection):
        protocol.overloaded()
        connection.begin()
        if connection.state == OPEN and len(gateway.connections) > gateway.max_connections + MAX_REFUSED:
            connection.finish(False)
        else:  # its request is still to come, or it has not closed yet
            connection.deadline = min(connection.deadline, gateway.now + REFUSAL_TIME)
        return
    connection.begin()


class Acceptor:
    """One listener of one gateway.

    Args:
        gateway: whose connections these will be.
        listener: non-blocking.
        make_codec: called with a descriptor, makes the codec of a new connection.
        turn: other processes accept here, too, and have their turn after so many connections; 0 for no others.
    """

    __slots__ = ("_accepting", "_exclusive", "_found", "_source", "_taken", "gateway", "listener", "make_codec", "turn")

    def __init__(
        self, gateway: Gateway, listener: socket.socket, make_codec: Callable[[int], Any], turn: int = 0
    ) -> None:
        self.gateway = gateway
        self.listener = listener
        self.make_codec = make_codec
        self.turn = turn
        self._taken = 0
        self._found = 0  # connections in the last burst
        self._exclusive: Exclusive | None = None
        self._accepting = False
        self._source = source(listener)

    def start(self) -> None:
        """Begin to accept."""
        if not self._accepting:
            self._accepting = True
            self.gateway.loop.add_reader(self.listener.fileno(), self.on_readable)
            if self.turn:
                self._exclusive = Exclusive(self.gateway.loop, self.listener.fileno())

    def stop(self, queue: bool = True) -> list[int]:
        """Accept no more.

        Args:
            queue: take what the kernel has accepted for us already; otherwise it is for others.

        Returns:
            The descriptors that were taken, for ``serve``. Nothing is served before all are: busy clients would fill
            the queue again as fast as it is emptied.
        """
        if self._accepting:
            self._pause()
        pending: list[int] = []
        while queue and len(pending) < MAX_PENDING and (fd := self._accept()) >= 0:
            pending.append(fd)
        return pending

    def _pause(self) -> None:
        self._accepting = False
        self.gateway.loop.remove_reader(self.listener.fileno())
        if self._exclusive is not None:
            self._exclusive.close()

    def on_readable(self) -> None:
        """At least one connection is waiting.

        An accept that finds nothing is dear, and a question costs as well. So as many as last time, but one, are taken
        without asking.
        """
        until = 0.0
        last, self._found = self._found, 0
        for number in range(BURST):
            if not self._accepting:
                return  # stopped meanwhile, or in a forked child
            if number and number + 1 >= last and not pending(self._source):
                return
            fd = self._accept()
            if fd < 0:
                return
            self._found = number + 1
            self.serve(fd)
            if self.turn:
                self._taken += 1
                # Where they come one by one no process is overburdened, and the same one has warm caches.
                if self._taken >= (self.turn if number or self.turn == 1 else ONE_BY_ONE):
                    self._let_others_go_first()
                    return
            if number == 1:  # mostly there is one, and then no clock is looked at
                until = clock() + SHARE
            elif number and clock() > until:
                return

    def _let_others_go_first(self) -> None:
        self._taken = 0
        if self._exclusive is not None:
            self._exclusive.queue_up()
            # A web server may open all its kept connections at once. They wake all workers, but where CPUs are few the
            # first one to run would have taken all of them before the next one runs. Short ones are in no such list.
            if self.turn == 1 and self.gateway.connections:
                os.sched_yield()

    def serve(self, fd: int) -> None:
        """Serve the connection ``fd``, which was accepted."""
        admit(self.gateway, fd, self.make_codec(fd))

    def abandon(self) -> None:
        """In a forked child: give up the copy of the listener."""
        self._accepting = False
        if self._exclusive is not None:
            self._exclusive.close()  # the copy of the loop's epoll, and no more
        with contextlib.suppress(OSError):
            self.listener.close()

    def _accept(self) -> int:
        """The descriptor of the next connection; -1 when there is none, or none can be had."""
        try:
            return accept(self._source)
        except OSError as error:
            self._exhausted(error)
            return -1

    def _exhausted(self, error: OSError) -> None:
        self.gateway.log_peer_error(
            peer_errors.ACCEPT, f"no connection could be accepted: {error.strerror}; trying again every {RETRY:g} s"
            + (" (raise the limit on open files: ulimit -n, LimitNOFILE=)" if error.errno == errno.EMFILE else ""),
        )  # fmt: skip
        if self._accepting:
            self._pause()
            self.gateway.loop.call_later(RETRY, self._resume)

    def _resume(self) -> None:
        if not self.gateway.draining:
            self.start()
