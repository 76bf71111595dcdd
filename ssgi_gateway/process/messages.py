"""Messages between the supervisor and its templates and workers: words, and descriptors.

A pair of SOCK_SEQPACKET sockets for each: one datagram is one message, its words are separated by NUL bytes, so that a
word may be any text. The end of the stream is the other one's death.

==========  =====================================================  ==================================================
to          message                                                meaning
==========  =====================================================  ==================================================
template    ``start VERSION JSON`` + descriptors                   what to load, and the listeners (``template``)
template    ``fork SEAT COUNT`` + the worker's end of a new pair   fork a worker, one of so many; with the access log,
                                                                   where that is a file
supervisor  ``loaded``                                             the template can fork
supervisor  ``unforked SEAT WHY``                                  the template could not fork
supervisor  ``failed STATUS TEXT``                                 template or worker: it cannot start
supervisor  ``started PID``                                        a worker exists
supervisor  ``ready HTTP WEBSOCKET CODECS LOOP``                   a worker serves; ``1`` or ``0`` for what
supervisor  ``worn WHY``                                           a worker requests its replacement
supervisor  ``stuck``, ``free``                                    a request of a worker takes too long; no more
worker      ``retire``, ``last``                                   drain; ``last``: no worker takes connections over
worker      ``end``                                                do not wait any longer
==========  =====================================================  ==================================================
"""

from __future__ import annotations

import os
import socket
from collections.abc import Sequence
from typing import Final

from ssgi_gateway import linux

__all__ = ["VERSION", "Channel", "pair"]

VERSION: Final = "1"
"""Of the messages: a template of another version is recognised before it forks anything."""

MAX_WORD: Final = 60000
"""Bytes of a message; a traceback may be longer; its end is kept."""

MAX_DESCRIPTORS: Final = 250
"""SCM_MAX_FD is 253."""


class Channel:
    """One end of a pair; never blocks."""

    __slots__ = ("socket",)

    def __init__(self, end: socket.socket) -> None:
        end.setblocking(False)
        self.socket = end

    def fileno(self) -> int:
        """The descriptor."""
        return self.socket.fileno()

    def send(self, *words: str, descriptors: Sequence[int] = ()) -> bool:
        """Send a message; ``False`` when the other end is closed, or does not read."""
        last = words[-1]
        data = "\0".join((*words[:-1], last[-MAX_WORD:])).encode("utf-8", "backslashreplace")
        try:
            socket.send_fds(self.socket, [data], list(descriptors), linux.NO_SIGNAL)
        except OSError:
            return False
        return True

    def receive(self) -> tuple[list[str], list[int]] | None:
        """The next message and its descriptors.

        Returns:
            ``None`` when none is waiting; no words at the end of the stream.
        """
        try:
            data, descriptors, _, _ = socket.recv_fds(self.socket, MAX_WORD * 4, MAX_DESCRIPTORS)
        except (BlockingIOError, InterruptedError):
            return None
        except OSError:
            return [], []
        for descriptor in descriptors:
            os.set_inheritable(descriptor, False)
        return (data.decode().split("\0") if data else []), descriptors

    def close(self) -> None:
        """Give the descriptor back; again is fine."""
        self.socket.close()


def pair() -> tuple[Channel, Channel]:
    """Two ends."""
    one, other = linux.packet_pair()
    return Channel(one), Channel(other)
