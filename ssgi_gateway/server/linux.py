"""What ``server/`` asks of Linux apart from the calls of ``system``: another system is another file of these names."""

from __future__ import annotations

import os
import select
import socket
import struct
from typing import Final

__all__ = ["HALF_CLOSED", "path_of", "peer_pid", "stream_socket"]

HALF_CLOSED: Final = select.POLLRDHUP
"""What poll(2) is asked for, to learn that a peer has closed its sending side while its connection is not read."""


def stream_socket(family: int) -> socket.socket:
    """A new socket for a stream, non-blocking, not inherited (socket(2): in one call)."""
    return socket.socket(family, socket.SOCK_STREAM | socket.SOCK_NONBLOCK)


def peer_pid(connection: socket.socket) -> int:
    """The process at the other end of a unix socket (unix(7): SO_PEERCRED)."""
    return int(struct.unpack("3i", connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, 12))[0])


def path_of(fd: int) -> str:
    """Where an open file lies, links resolved (proc(5)).

    Raises:
        OSError: the kernel cannot say.
    """
    return os.readlink(f"/proc/self/fd/{fd}")
