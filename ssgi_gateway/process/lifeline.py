"""A worker whose supervisor was killed ends, whatever it is doing.

The end of the stream between the two wakes the event loop, and then the worker drains. But a loop that is blocked
notices nothing, and nor does an import that does not end. So the kernel sends a signal when the stream ends
(fcntl(2): O_ASYNC); its handler runs between any two instructions of Python. Not PR_SET_PDEATHSIG: that is the end of
the *thread* that has forked, and of a process in between.

What hangs in C and never comes back to Python is left to the service manager.
"""

from __future__ import annotations

import os
import select
import signal
import socket
from collections.abc import Callable, Sequence
from types import FrameType
from typing import TYPE_CHECKING, Final

from ssgi_gateway import linux

if TYPE_CHECKING:
    from ssgi_gateway.server.listeners import Listener

__all__ = ["Alive", "Lifeline", "refuse"]

ORPHANED: Final = 1
"""The exit status of a worker that had nothing to finish."""


class Lifeline:
    """The stream to the supervisor, as something that ends.

    Until ``serve`` there is nothing to finish, and the end of the stream is the end of the process.

    Args:
        fd: this worker's end.
    """

    def __init__(self, fd: int) -> None:
        self._fd = fd
        self._orphaned: Callable[[], None] = _end
        signal.signal(signal.SIGIO, self._on_signal)
        if linux.signal_events(fd) and self._has_ended():
            _end()

    def serve(self, orphaned: Callable[[], None]) -> None:
        """From now on call this when the supervisor has ended, at any point of whatever runs on the main thread."""
        self._orphaned = orphaned

    def _on_signal(self, _: int, frame: FrameType | None) -> None:
        if self._has_ended():  # mostly it is a message, which the loop will read
            self._orphaned()

    def _has_ended(self) -> bool:
        asked = select.poll()
        asked.register(self._fd, 0)
        return any(events & select.POLLHUP for _, events in asked.poll(0))


class Alive:
    """What ends when this process does, for children that it forks: a pipe."""

    def __init__(self) -> None:
        self._reading, self._writing = os.pipe2(os.O_CLOEXEC)

    def in_child(self) -> None:
        """Called in a child, which from now on does not outlive its parent."""
        os.close(self._writing)
        # Opened anew: whom the kernel signals is kept with what was opened, and each child is to get the signal.
        try:
            reading = os.open(linux.descriptor_path(self._reading), os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
        except OSError:  # no /proc: then it is the youngest that gets it
            reading = self._reading
        Lifeline(reading)


def _end() -> None:
    os._exit(ORPHANED)


def refuse(listeners: Sequence[Listener]) -> None:
    """Refuse new connections, so that another server can be started at once; what is in the queues is still accepted.

    Sockets that another process has made, as systemd does, are left alone.
    """
    for listener in listeners:
        if listener.address.kind == "unix" and not listener.inherited:
            try:
                listener.socket.shutdown(socket.SHUT_RD)
            except OSError:
                pass  # it is closed already
