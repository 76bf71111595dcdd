"""Listening sockets: the addresses people write, opened safely.

::

    unix:/run/app.sock   /run/app.sock     a unix socket
    127.0.0.1:9000       localhost:9000    TCP, IPv4 or a name; port 0 lets the kernel choose
    [::1]:9000           [::]:9000         TCP, IPv6 only, as in nginx
    :9000                                  TCP on every address, IPv6 and IPv4
    fd:3                                   a listening socket that was inherited

A unix socket is created with its final permissions, given to its owner, and only then listens: before that no client
can connect. A socket file that is not served is replaced, one that is served or is something else never is. Looking
and replacing happen under a lock on the directory, so that of two servers that start at once one gets the address and
the other an error. At the end the file is removed if it is still ours. This module does not know what is served.
"""

from __future__ import annotations

import contextlib
import errno
import os
import socket
from typing import TYPE_CHECKING, Any, Final

from ssgi_gateway import linux
from ssgi_gateway.errors import ConfigurationError
from ssgi_gateway.server import unix_socket
from ssgi_gateway.server.address import Address

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from ssgi_gateway.settings import Settings

__all__ = ["Address", "Listener", "listen"]


ABSENT: Final = frozenset({errno.EAFNOSUPPORT, errno.EADDRNOTAVAIL})
"""The machine has no such protocol or address: another meaning of a name may do."""


def _nothing() -> None:
    """The cleanup of a listener that leaves nothing behind."""


class Listener:
    """An open listener: non-blocking, close-on-exec.

    Args:
        socket: listening.
        address: where it really listens, the kernel's choice of port included.
        protocol: ``scgi``, ``fastcgi`` or ``websocket``.
        cleanup: removes what the listener has left in the file system; must run before the socket is closed.
        inherited: another process opened it, and may still hold it.
    """

    __slots__ = ("address", "cleanup", "inherited", "protocol", "socket")

    def __init__(
        self,
        socket: socket.socket,
        address: Address,
        protocol: str,
        cleanup: Callable[[], None] = _nothing,
        inherited: bool = False,
    ) -> None:
        self.inherited = inherited
        self.socket = socket
        self.address = address
        self.protocol = protocol
        self.cleanup = cleanup

    def close(self) -> None:
        """Stop listening and remove the socket file if it is still ours; again is fine."""
        # In this order: while the socket is open, no other file can have its inode number.
        self.cleanup()
        self.cleanup = _nothing
        self.socket.close()

    def __repr__(self) -> str:
        return f"Listener({self.protocol} on {self.address})"


def listen(address: Address, settings: Settings, protocol: str) -> Listener:
    """Listen on ``address``.

    Args:
        address: where.
        settings: ``backlog``, ``socket_mode`` and ``socket_owner``.
        protocol: the listener's wire protocol; only recorded.

    Raises:
        ConfigurationError: it cannot be opened; the message has the reason in words.
    """
    if address.kind == "fd":
        opened, address = _adopt(address)
        return Listener(opened, address, protocol, inherited=True)
    if address.kind == "unix":
        opened, cleanup = unix_socket.listen(
            address.path, settings.backlog, settings.socket_mode, settings.socket_owner
        )
        return Listener(opened, address, protocol, cleanup)
    opened = _open_tcp(address, settings.backlog)
    return Listener(opened, Address.of_socket(opened), protocol)


def _open_tcp(address: Address, backlog: int) -> socket.socket:
    failure: OSError | None = None
    for family, where in _resolve(address):
        try:
            return _listen_tcp(family, where, backlog, dual=not address.host)
        except OSError as error:
            failure = error
            if error.errno not in ABSENT:
                break  # to listen on half of the addresses would be a surprise
    reason = _explain(failure, address) if failure else "the name has no address"
    raise ConfigurationError(f"cannot listen on {address}: {reason}")


def _resolve(address: Address) -> Iterator[tuple[int, Any]]:
    """What ``address`` may mean, the preferred one first."""
    if not address.host:
        # Every address: one IPv6 socket that takes IPv4, too; where the machine has no IPv6, IPv4.
        if socket.has_ipv6:
            yield socket.AF_INET6, ("::", address.port)
        yield socket.AF_INET, ("0.0.0.0", address.port)
        return
    try:
        found = socket.getaddrinfo(address.host, address.port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
    except (socket.gaierror, UnicodeError):
        raise ConfigurationError(
            f"cannot listen on {address}: the name {address.host!r} is not known; write an address of this machine"
        ) from None
    for family, _, _, _, where in found:
        yield family, where


def _listen_tcp(family: int, where: Any, backlog: int, *, dual: bool) -> socket.socket:
    opened = linux.nonblocking(family)
    try:
        # A restart must not wait for connections of the last run in TIME_WAIT; on Linux this never shares a port
        # with a socket that listens.
        opened.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        # Small answers must not wait for an acknowledgement; accepted connections inherit this (tcp(7)).
        opened.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        if family == socket.AF_INET6:
            # [::]:80 means IPv6, as in nginx, whatever net.ipv6.bindv6only is; only :80 means both.
            opened.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, not dual)
        opened.bind(where)
        opened.listen(backlog)
    except OSError:
        opened.close()
        raise
    return opened


def _explain(error: OSError, address: Address) -> str:
    if error.errno == errno.EADDRINUSE:
        return f"port {address.port} is in use by another process; choose another, or see with: ss -ltnp"
    if error.errno == errno.EACCES:
        return f"port {address.port} needs privileges; choose one from 1024, or grant CAP_NET_BIND_SERVICE"
    if error.errno == errno.EADDRNOTAVAIL:
        return f"{address.host} is not an address of this machine"
    return os.strerror(error.errno or 0)


def _adopt(address: Address) -> tuple[socket.socket, Address]:
    """Take over descriptor N (systemd, spawn-fcgi ...) after a look at what it is."""
    number = address.fd
    try:
        opened = socket.socket(fileno=number)
    except OSError as error:
        problem = "is not a socket" if error.errno == errno.ENOTSOCK else "is not open"
        raise ConfigurationError(f"fd:{number} {problem}; it must be a listening socket of the parent's") from None
    problem = _not_listening(opened)
    if problem:
        opened.detach()  # it is not ours to close
        raise ConfigurationError(f"fd:{number} {problem}; it must be a listening stream socket")
    opened.setblocking(False)
    opened.set_inheritable(False)
    if opened.family != socket.AF_UNIX:
        with contextlib.suppress(OSError):
            opened.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return opened, Address.of_socket(opened)


def _not_listening(opened: socket.socket) -> str:
    if opened.family not in (socket.AF_UNIX, socket.AF_INET, socket.AF_INET6):
        return "is neither a TCP nor a unix socket"
    if opened.type != socket.SOCK_STREAM:
        return "is not a stream socket"
    return "" if opened.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN) else "is not listening"
