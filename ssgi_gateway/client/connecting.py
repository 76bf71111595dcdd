"""From an address to a descriptor: names, unix sockets, the race of RFC 8305."""

from __future__ import annotations

import asyncio
import errno
import os
import socket
from functools import lru_cache, partial
from typing import Any, Final

from ssgi_gateway import linux
from ssgi_gateway.errors import ConnectError

__all__ = ["connect", "connect_at_once"]

ATTEMPT_DELAY: Final = 0.25
"""Seconds before the next address is tried beside the last (RFC 8305 5)."""
FULL_BACKLOG_WAIT: Final = 0.01


@lru_cache(maxsize=256)
def _numeric(host: str, port: int) -> tuple[int, Any] | None:
    """Family and address of a host that is no name."""
    for family in (socket.AF_INET, socket.AF_INET6):
        try:
            socket.inet_pton(family, host)
        except OSError:
            continue
        return family, (host, port)
    return None


def connect_at_once(host: str, port: int, path: str) -> int | None:
    """A descriptor, if it can be had without waiting: a unix socket, or an address on this machine.

    Raises:
        ConnectError: it was refused.
    """
    if path:
        family: int = socket.AF_UNIX
        address: Any = path
    else:
        found = _numeric(host, port)
        if found is None:
            return None
        family, address = found
    opened = linux.bare_nonblocking(family)
    try:
        code = _start(opened, address)
        if code == errno.EINPROGRESS:
            opened.getpeername()  # over the loopback it is there already, though it was not reported
            code = 0
    except OSError as error:
        # Not there yet: the exchange that waits does it again.
        opened.close()
        if error.errno == errno.ENOTCONN:
            return None
        raise _refused(host, port, path, error) from None
    if code == 0:
        if not path:
            _prepare(opened)
        return opened.detach()
    opened.close()
    if code == errno.EAGAIN:
        return None
    raise _refused(host, port, path, OSError(code, os.strerror(code)))


def _start(opened: socket.SocketType, address: Any) -> int:
    """Begin to connect; gives an error's number, or 0."""
    if type(address) is tuple and _is_loopback(address[0]):
        linux.send_unpaced(opened)
    return opened.connect_ex(address)


def _is_loopback(host: str) -> bool:
    return host.startswith("127.") or host == "::1"


def _prepare(opened: socket.SocketType) -> None:
    opened.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)


def _refused(host: str, port: int, path: str, error: OSError) -> ConnectError:
    where = f"unix:{path}" if path else f"{host}:{port}"
    return ConnectError(f"cannot connect to {where}: {error.strerror or error}")


async def connect(loop: Any, host: str, port: int, path: str) -> int:
    """A connected, non-blocking descriptor.

    Raises:
        ConnectError: no address answered.
    """
    if path:
        while True:
            fd = connect_at_once(host, port, path)
            if fd is not None:
                return fd
            await asyncio.sleep(FULL_BACKLOG_WAIT)  # the listener's backlog is full (unix(7), EAGAIN)
    try:
        found = await loop.run_in_executor(None, _resolve, host, port)
    except socket.gaierror as error:
        raise ConnectError(f"no address for {host!r}: {error.strerror or error}", "name") from None
    except (OSError, UnicodeError) as error:
        raise ConnectError(f"no address for {host!r}: {error}", "name") from None
    return await Race(loop, host, port, _interleaved(found)).run()


def _resolve(host: str, port: int) -> list[Any]:
    return socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)


def _interleaved(found: list[Any]) -> list[tuple[int, Any]]:
    """One family after the other, the system's favourite first (RFC 8305 4)."""
    families: dict[int, list[Any]] = {}
    for family, _, _, _, address in found:
        families.setdefault(family, []).append((family, address))
    lists = list(families.values())
    most = max(map(len, lists), default=0)
    return [addresses[index] for index in range(most) for addresses in lists if index < len(addresses)]


class Race:
    """Addresses tried in turn, each a little after the last one; the first that answers wins."""

    def __init__(self, loop: Any, host: str, port: int, addresses: list[tuple[int, Any]]) -> None:
        self._loop = loop
        self._host, self._port = host, port
        self._left = list(reversed(addresses))
        self._open: dict[int, socket.socket] = {}
        self._error: OSError = OSError("the name has no addresses")
        self._result: Any = loop.create_future()
        self._timer: Any = None

    async def run(self) -> int:
        """The winner's descriptor.

        Raises:
            ConnectError: no server answered.
        """
        try:
            self._next()
            won: int = await self._result
        except BaseException:
            result = self._result
            if result.done() and not result.cancelled() and result.exception() is None:
                os.close(result.result())  # cancelled in the moment of success
            raise
        finally:
            if self._timer is not None:
                self._timer.cancel()
            for fd, opened in self._open.items():
                self._loop.remove_writer(fd)
                opened.close()
        return won

    def _next(self) -> None:
        """Try one more address."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        while self._left and not self._result.done():
            family, address = self._left.pop()
            try:
                opened = linux.nonblocking(family)
            except OSError as error:
                self._error = error
                continue
            code = _start(opened, address)
            if code == 0:
                self._won(opened)
                return
            if code != errno.EINPROGRESS:
                opened.close()
                self._error = OSError(code, os.strerror(code))
                continue
            self._open[opened.fileno()] = opened
            self._loop.add_writer(opened.fileno(), partial(self._answered, opened))
            if self._left:
                self._timer = self._loop.call_later(ATTEMPT_DELAY, self._next)
            return
        if not self._open and not self._result.done():
            self._result.set_exception(_refused(self._host, self._port, "", self._error))

    def _answered(self, opened: socket.socket) -> None:
        fd = opened.fileno()
        self._loop.remove_writer(fd)
        del self._open[fd]
        code = opened.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
        if code == 0 and not self._result.done():
            self._won(opened)
            return
        opened.close()
        if code:
            self._error = OSError(code, os.strerror(code))
        self._next()

    def _won(self, opened: socket.socket) -> None:
        _prepare(opened)
        self._result.set_result(opened.detach())
