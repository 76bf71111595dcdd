"""The system calls, on bare descriptors: all that the rest of the server does to the kernel on the way of a request.

Would-block is a value here and not an exception. The compiled build has a twin of this module that calls libc.
"""

from __future__ import annotations

import fcntl
import os
import select
import socket
import struct
import termios
import threading
from time import monotonic
from typing import Any, Final

RECEIVE_SIZE: Final = 262144
"""Bytes of one read: uploads cost a quarter of the calls that 64 KiB would, and an idle connection holds none."""


class _Incoming(threading.local):
    """One buffer for all connections of a thread: only what arrived is copied out, before the next read begins.

    os.read makes a buffer of this size each time, and to get its pages from the system costs many times the read. One
    for all threads would not do, because a read lets the other ones run.
    """

    def __init__(self) -> None:
        self.buffers = (bytearray(RECEIVE_SIZE),)
        self.view = memoryview(self.buffers[0])


_incoming: Final = _Incoming()

MAX_BUFFERS: Final = 64
"""Buffers for one gathering write; IOV_MAX is 1024 on Linux, what is left goes in the next turn."""


def clock() -> float:
    """Seconds of the monotonic clock, now; the loop's clock was now some time ago."""
    return monotonic()


def source(listener: socket.socket) -> Any:
    """What ``accept`` takes for a listener: the cheapest that leads to it."""
    return listener


def accept(listener: Any) -> int:
    """The descriptor of the next connection, non-blocking; -1 when none is waiting.

    Args:
        listener: its ``source``.

    Raises:
        OSError: the process or the system is out of descriptors or memory.
    """
    try:
        connection, _ = listener.accept()
    except (BlockingIOError, InterruptedError, ConnectionAbortedError):
        return -1
    connection.setblocking(False)
    return int(connection.detach())


def pending(listener: Any) -> bool:
    """Whether a connection waits to be accepted.

    To ask costs a tenth of an accept4 that finds nothing: for that one the kernel makes a socket and a file before it
    looks (Linux 6.18: 0.34 and 3.8 us).

    Args:
        listener: its ``source``.
    """
    asking = select.poll()
    asking.register(listener, select.POLLIN)
    return bool(asking.poll(0))


def receive(fd: int) -> bytes | None:
    """What has arrived; ``b""`` at the end of the stream, ``None`` when nothing is there yet.

    Raises:
        OSError: the connection is broken.
    """
    found = receive_view(fd)
    return None if found is None else bytes(found)


def receive_view(fd: int) -> memoryview | None:
    """As ``receive``, without a copy: what it gives holds until this thread reads again, and is not to be kept.

    Raises:
        OSError: the connection is broken.
    """
    try:
        size = os.readv(fd, _incoming.buffers)
    except BlockingIOError:
        return None
    return _incoming.view[:size]


def send(fd: int, data: Any) -> int:
    """Write; returns how many bytes the kernel took, 0 when it takes none now.

    Raises:
        OSError: the connection is broken.
    """
    try:
        return os.write(fd, data)
    except BlockingIOError:
        return 0


def send_many(fd: int, buffers: list[Any]) -> int:
    """Write several buffers with one call; returns how many bytes the kernel took.

    Raises:
        OSError: the connection is broken.
    """
    try:
        return os.writev(fd, buffers[:MAX_BUFFERS])
    except BlockingIOError:
        return 0


def send_file(fd: int, file: int, offset: int, size: int) -> int:
    """Write a part of a file; returns how many bytes went, 0 at the file's end, -1 when the kernel takes none now.

    Raises:
        OSError: the connection or the file is broken.
    """
    try:
        return os.sendfile(fd, file, offset, size)
    except BlockingIOError:
        return -1


def unsent(fd: int) -> int:
    """Bytes that were written and that the peer has not taken yet (unix(7), tcp(7): SIOCOUTQ), by the kernel's account.

    Only comparisons mean anything: for unix sockets it counts memory, for TCP what is not acknowledged.
    """
    try:
        return int(struct.unpack("i", fcntl.ioctl(fd, termios.TIOCOUTQ, bytes(4)))[0])
    except (OSError, ValueError):  # ValueError: a connection within this process has no descriptor
        return 0


def addresses(fd: int) -> tuple[Any, Any]:
    """The addresses of a connection: this side's and the peer's; ``(host, port)``, or a path for unix sockets.

    A peer that has reset the connection has none any more: ``("", 0)``, and never what a unix socket has.
    """
    connection = socket.socket(fileno=fd)
    try:
        return connection.getsockname(), connection.getpeername()
    except OSError:
        return ("", "") if connection.family == socket.AF_UNIX else (("", 0), ("", 0))
    finally:
        connection.detach()


def shutdown_write(fd: int) -> None:
    """End the sending side, and go on reading."""
    _shut_down(fd, socket.SHUT_WR)


def _shut_down(fd: int, how: int) -> None:
    connection = socket.socket(fileno=fd)
    try:
        connection.shutdown(how)
    except OSError:
        pass  # the peer has closed already; reading will show it
    finally:
        connection.detach()


_shared = False


def share() -> None:
    """This process has forked: from now on a child may hold copies of any descriptor."""
    global _shared
    _shared = True


def close(fd: int) -> None:
    """End the connection, and give the descriptor back.

    To close it ends the connection only when no other process has it; once this one has forked, it is shut down first.
    """
    if _shared:
        _shut_down(fd, socket.SHUT_RDWR)
    release(fd)


def release(fd: int) -> None:
    """Give the descriptor back; the connection goes on where another process has it."""
    try:
        os.close(fd)
    except OSError:
        pass  # ECONNRESET and EIO come after the descriptor was freed (close(2)); nothing is left to do
