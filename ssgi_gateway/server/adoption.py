"""Idle connections change their process.

A kept connection between two requests, and one on which nothing has come yet, has no state: any process with its
descriptor can go on with it. A worker that retires passes such connections on, so that none is closed while the web
server may be writing its next request to it: web servers repeat a GET that meets a closed connection, and not a POST.

All workers of a server share one pair of SOCK_SEQPACKET sockets. A message is the name of a protocol and one
descriptor; any worker in service takes it.
"""

from __future__ import annotations

import os
import select
import socket
from collections import deque
from typing import TYPE_CHECKING, Any, Final

from ssgi_gateway.linux import NO_SIGNAL
from ssgi_gateway.server import peer_errors
from ssgi_gateway.server.connection_states import NEVER, OPEN
from ssgi_gateway.server.exclusive import Exclusive

from .acceptor import admit
from .reactor import SWEEP

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from .connection import Connection
    from .gateway import Gateway

PAUSE: Final = 0.1
"""Seconds in which a worker that has given a connection away takes none."""

SPACING: Final = 0.005
"""Seconds between two connections that are given away: the worker that is woken by one is to take that one alone."""

LATELY: Final = 2 * SWEEP
"""Seconds within which a connection has had a request that counts as in use. A web server may keep many that it
does not need: those it has used last it uses next."""

MAX_LOOKED_AT: Final = 256
"""Connections that are polled for a waiting request, after a long call."""


class Adoption:
    """One worker's part in it.

    Args:
        gateway: whose connections these are.
        incoming: the end that is read.
        outgoing: the other one.
        codecs: what makes the codec of a connection, by protocol.
    """

    def __init__(
        self,
        gateway: Gateway,
        incoming: socket.socket,
        outgoing: socket.socket,
        codecs: Mapping[str, Callable[[int], Any]],
    ) -> None:
        self.gateway = gateway
        self.moved = 0
        self.adopted = 0
        self._incoming = incoming
        self._outgoing = outgoing
        self._codecs = codecs
        self._reading = False
        self._exclusive: Exclusive | None = None
        self._later: Any = None  # the timer of what is given away
        self._waiting: deque[Connection] = deque()  # the sockets' buffer is full

    # -- taking --------------------------------------------------------------------------------------------------

    def start(self) -> None:
        """Take what others pass on."""
        if not self._reading:
            self._reading = True
            self.gateway.loop.add_reader(self._incoming.fileno(), self.on_readable)
            self._exclusive = Exclusive(self.gateway.loop, self._incoming.fileno())

    def stop(self) -> None:
        """Take nothing more."""
        if self._reading:
            self._reading = False
            self.gateway.loop.remove_reader(self._incoming.fileno())
            if self._exclusive is not None:
                self._exclusive.close()

    def empty(self) -> None:
        """Take all that is there: no other process will."""
        while self._take():
            pass

    def on_readable(self) -> None:
        """At least one connection is there, unless another worker was faster; the next one is for another."""
        if self._take() and self._exclusive is not None:
            self._exclusive.queue_up()
            os.sched_yield()  # as in the acceptor

    def _take(self) -> bool:
        try:
            name, descriptors, _, _ = socket.recv_fds(self._incoming, 32, 1)
        except (BlockingIOError, InterruptedError):
            return False
        except OSError as error:
            self.gateway.log_peer_error(peer_errors.ADOPTION, f"no connection could be taken over: {error.strerror}")
            return False
        for fd in descriptors:
            os.set_inheritable(fd, False)
            make_codec = self._codecs.get(name.decode())
            if make_codec is None:
                os.close(fd)  # another generation served a protocol that this one does not
            else:
                self.adopted += 1
                if self.gateway.observer is not None:
                    self.gateway.observer.connection_adopted(name.decode())
                admit(self.gateway, fd, make_codec(fd))
        return bool(name)

    # -- passing on ----------------------------------------------------------------------------------------------

    def pass_on(self, connection: Connection) -> None:
        """Give an idle connection away; one that is not idle, or is closed, is left alone and may come again."""
        protocol = connection.protocol
        if connection.state != OPEN or protocol is None or not protocol.movable():
            return
        if connection.out_size:
            self.gateway.loop.when_done(connection.when_flushed(), lambda _: self.pass_on(connection))
        elif self._waiting:
            self._waiting.append(connection)
        elif not self._send(connection):
            self._waiting.append(connection)
            self.gateway.loop.add_writer(self._outgoing.fileno(), self._on_writable)

    def give_away(self, part: float) -> None:
        """Pass on this part of the connections that are in use, one by one, and take none of them back."""
        if self._later is None and self._reading and (used := len(self._used())):
            self.stop()
            self._give(max(1, int(part * used)))

    def _give(self, left: int) -> None:
        self._later = None
        if self.gateway.draining:
            return
        if not left:
            self.start()
            return
        used = self._used()
        if used:
            self.pass_on(used[0])
        self._later = self.gateway.loop.call_later(SPACING if left > 1 else PAUSE, self._give, left - 1)

    def _used(self) -> list[Connection]:
        """Connections between two requests that are in use, those first on which one waits."""
        idle = self._idle(None)
        latest = max((it.deadline for it in idle.values() if it.deadline < NEVER), default=0.0)
        waiting = _readable(idle)
        lately = (it for fd, it in idle.items() if fd not in waiting and latest - LATELY < it.deadline < NEVER)
        return [*(idle[fd] for fd in waiting), *lately]

    def share(self, most: int, present: Connection | None) -> None:
        """Pass on connections on which requests wait: this process was busy, and others are not.

        Args:
            most: how many.
            present: one that is being worked on.
        """
        idle = self._idle(present)
        for fd in _readable(idle)[:most]:
            self.pass_on(idle[fd])

    def _idle(self, present: Connection | None) -> dict[int, Connection]:
        """Connections between two requests, by their descriptors; some, where there are many."""
        idle: dict[int, Connection] = {}
        for connection in self.gateway.connections:
            protocol = connection.protocol
            if connection is not present and not connection.out_size and protocol is not None and protocol.movable():
                idle[connection.fd] = connection
                if len(idle) == MAX_LOOKED_AT:
                    break
        return idle

    def _send(self, connection: Connection) -> bool:
        """``False``: not now."""
        name = connection.protocol.movable()
        try:
            socket.send_fds(self._outgoing, [name.encode()], [connection.fd], NO_SIGNAL)
        except (BlockingIOError, InterruptedError):
            return False
        except OSError as error:
            self.gateway.log_peer_error(
                peer_errors.ADOPTION, f"an idle connection was closed, not passed on: {error.strerror}"
            )
            connection.finish(False)
            return True
        if self.gateway.observer is not None:
            self.gateway.observer.connection_handed_over(name)
        os.close(connection.detach())
        self.moved += 1
        return True

    def _on_writable(self) -> None:
        while self._waiting:
            connection = self._waiting[0]
            protocol = connection.protocol
            idle = connection.state == OPEN and protocol is not None and protocol.movable() and not connection.out_size
            if idle and not self._send(connection):
                return
            self._waiting.popleft()
        self.gateway.loop.remove_writer(self._outgoing.fileno())

    def abandon(self) -> None:
        """No other worker is left to take anything: what is idle is closed, as by a server that is alone."""
        gateway = self.gateway
        gateway.adoption = None
        self._waiting.clear()
        self.empty()
        for connection in tuple(gateway.connections):
            if connection.protocol is not None and connection.protocol.movable():
                connection.protocol.shut_down()

    def close(self) -> None:
        """The end; the sockets are their owner's."""
        self.stop()
        if self._later is not None:
            self._later.cancel()
            self._later = None
        self.gateway.loop.remove_writer(self._outgoing.fileno())
        self._waiting.clear()


def _readable(idle: Mapping[int, Connection]) -> list[int]:
    """The descriptors on which a request waits."""
    if not idle:
        return []
    poll = select.poll()
    for fd in idle:
        poll.register(fd, select.POLLIN)
    return [fd for fd, _ in poll.poll(0)]
