"""How many connections wait to be accepted, by the kernel (sock_diag(7)), which answers any user of the machine.

A listening socket has a queue of connections that are established and that were not accepted yet; for TCP and for unix
sockets alike the kernel reports how long it is and how long it may be. Sockets are identified by their inodes, so the
process that reads need not have them open.
"""

from __future__ import annotations

import contextlib
import socket
import struct
from collections.abc import Collection, Iterator
from typing import Final

__all__ = ["listen_queues"]

NETLINK_SOCK_DIAG: Final = 4
SOCK_DIAG_BY_FAMILY: Final = 20
NLM_F_REQUEST, NLM_F_DUMP = 1, 0x300
NLMSG_ERROR, NLMSG_DONE = 2, 3
LISTEN: Final = 1 << 10  # TCP_LISTEN, for unix sockets as well
UDIAG_SHOW_RQLEN: Final = 0x10
UNIX_DIAG_RQLEN: Final = 4
PATIENCE: Final = 0.5
"""Seconds; the kernel answers at once or not at all."""

_HEADER: Final = struct.Struct("=IHHII")  # nlmsghdr: length, type, flags, sequence, port
_UNIX: Final = struct.pack("=BBHIIIII", socket.AF_UNIX, 0, 0, LISTEN, 0, UDIAG_SHOW_RQLEN, 0, 0)  # unix_diag_req
_UNIX_INODE: Final = struct.Struct("=4xI")  # of unix_diag_msg, which has 16 bytes
_INET_LENGTHS: Final = struct.Struct("=56xII4xI")  # of inet_diag_msg: rqueue, wqueue, inode
_ATTRIBUTE: Final = struct.Struct("=HH")
_LENGTHS: Final = struct.Struct("=II")


def listen_queues(inodes: Collection[int]) -> dict[int, tuple[int, int]]:
    """The queues of listening sockets: of each that is found, how many wait and how many may.

    Args:
        inodes: of the sockets, as ``os.fstat(fd).st_ino``. Where the kernel does not answer, the result is empty.
    """
    found: dict[int, tuple[int, int]] = {}
    if not inodes:
        return found
    with (
        contextlib.suppress(OSError, struct.error),
        socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, NETLINK_SOCK_DIAG) as kernel,
    ):
        kernel.settimeout(PATIENCE)
        for family in (socket.AF_UNIX, socket.AF_INET, socket.AF_INET6):
            for inode, waiting, limit in _unix(kernel) if family == socket.AF_UNIX else _inet(kernel, family):
                if inode in inodes:
                    found[inode] = waiting, limit
            if len(found) == len(inodes):
                break
    return found


def _unix(kernel: socket.socket) -> Iterator[tuple[int, int, int]]:
    for message in _dump(kernel, _UNIX):
        [inode] = _UNIX_INODE.unpack_from(message)
        at = 16
        while at + 4 <= len(message):
            size, kind = _ATTRIBUTE.unpack_from(message, at)
            if kind == UNIX_DIAG_RQLEN:
                yield (inode, *_LENGTHS.unpack_from(message, at + 4))
            at += max(4, (size + 3) & ~3)


def _inet(kernel: socket.socket, family: int) -> Iterator[tuple[int, int, int]]:
    wanted = struct.pack("=BBBBI48x", family, socket.IPPROTO_TCP, 0, 0, LISTEN)  # inet_diag_req_v2
    for message in _dump(kernel, wanted):
        waiting, limit, inode = _INET_LENGTHS.unpack_from(message)
        yield inode, waiting, limit


def _dump(kernel: socket.socket, wanted: bytes) -> Iterator[bytes]:
    """The messages of an answer, without their headers."""
    size = _HEADER.size + len(wanted)
    kernel.send(_HEADER.pack(size, SOCK_DIAG_BY_FAMILY, NLM_F_REQUEST | NLM_F_DUMP, 1, 0) + wanted)
    while True:
        data = kernel.recv(65536)
        at = 0
        while at + _HEADER.size <= len(data):
            length, kind, *_ = _HEADER.unpack_from(data, at)
            if kind in (NLMSG_DONE, NLMSG_ERROR) or length < _HEADER.size:
                return
            yield data[at + _HEADER.size : at + length]
            at += (length + 3) & ~3
