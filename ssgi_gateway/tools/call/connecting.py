"""From an address to a socket, within its time; and in words, why there is none."""

from __future__ import annotations

import os
import socket
import stat
import time
from typing import Any, NamedTuple

from .failure import CA, CONNECT, NAME, TIME, CallFailed, failed_tls

__all__ = ["Clock", "Target", "open_socket", "secured"]


class Target(NamedTuple):
    """Where to connect, and how to speak there.

    ``protocol`` is ``scgi``, ``fastcgi`` or ``http``; ``path`` is a unix socket's.
    """

    protocol: str
    host: str
    port: int
    path: str = ""
    secure: bool = False

    def __str__(self) -> str:
        return f"unix:{self.path}" if self.path else f"{self.host} port {self.port}"


class Clock:
    """Seconds since the call began, and what is left of it."""

    def __init__(self, most: float | None) -> None:
        self.began = time.perf_counter()
        self._most = most
        self.marks: dict[str, float] = {}

    def mark(self, name: str) -> float:
        """Remember when something happened; gives the seconds."""
        seconds = self.marks[name] = self.since()
        return seconds

    def since(self) -> float:
        """Seconds since the call began."""
        return time.perf_counter() - self.began

    @property
    def words(self) -> str:
        """What ran out, for people."""
        return f"within {self._most:g} s (-m)" if self._most is not None else "in time"

    def left(self, at_most: float | None = None) -> float | None:
        """Seconds for the next step.

        Raises:
            TimeoutError: there are none.
        """
        bounds = [] if at_most is None else [at_most]
        if self._most is not None:
            left = self._most - self.since()
            if left <= 0:
                raise TimeoutError(f"not within {self._most:g} s (-m)")
            bounds.append(left)
        return min(bounds) if bounds else None


def open_socket(target: Target, most: float, clock: Clock) -> socket.socket:
    """Connect.

    Args:
        target: where to.
        most: seconds for it.
        clock: of the call.

    Raises:
        CallFailed: no server is there.
        TimeoutError: the call's time had run out before.
    """
    limit = clock.left(most)
    try:
        if target.path:
            connected = _connected(target.path, limit)
        else:
            connected = socket.create_connection((target.host, target.port), limit)
            connected.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    except socket.gaierror as error:
        raise CallFailed(NAME, f"no address for {target.host}: {error.strerror}") from None
    except TimeoutError:
        raise CallFailed(TIME, f"no connection to {target} {_within(most, limit, clock)}") from None
    except OSError as error:
        raise CallFailed(CONNECT, f"cannot connect to {target}: {_explained(error, target)}") from None
    clock.mark("time_connect")
    return connected


def secured(connected: socket.socket, target: Target, given: Any, clock: Clock) -> Any:
    """TLS on the connection, an ``ssl.SSLSocket``.

    Raises:
        CallFailed: TLS did not come to be.
        TimeoutError: the call's time had run out before.
    """
    import ssl

    limit = clock.left(given.connect_timeout)
    try:
        context = ssl.create_default_context(cafile=given.cacert)
    except OSError as error:
        raise CallFailed(CA, f"cannot use --cacert {given.cacert}: {error.strerror or error}") from None
    if given.insecure:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    context.set_alpn_protocols(["http/1.1"])
    connected.settimeout(limit)
    try:
        # A connection that ends without close_notify may have been cut (RFC 9112 9.8), and is to say so.
        made = context.wrap_socket(connected, server_hostname=target.host, suppress_ragged_eofs=False)
    except TimeoutError:
        words = _within(given.connect_timeout, limit, clock)
        raise CallFailed(TIME, f"no answer to TLS from {target} {words}") from None
    except OSError as error:
        raise failed_tls(error) from None
    clock.mark("time_appconnect")
    return made


def _within(most: float, limit: float | None, clock: Clock) -> str:
    return f"within {most:g} s (--connect-timeout)" if limit == most else clock.words


def _connected(path: str, limit: float | None) -> socket.socket:
    """To a unix socket; ``socket.create_connection`` does not know them."""
    connected = socket.socket(socket.AF_UNIX)
    try:
        connected.settimeout(limit)
        connected.connect(path)
    except BaseException:
        connected.close()
        raise
    return connected


def _explained(error: OSError, target: Target) -> str:
    """The system's words, and what is behind them where a socket file is."""
    words = error.strerror or str(error)
    if isinstance(error, FileNotFoundError):
        return f"{words}: there is no such socket; is the gateway running?"
    if isinstance(error, BlockingIOError):  # unix(7): EAGAIN
        return f"{words}: its backlog is full, so the gateway accepts no connections; it hangs or has too much to do"
    if isinstance(error, PermissionError):
        return f"{words}: this user may not write to {target.path}; see --socket-mode, --socket-owner"
    if isinstance(error, ConnectionRefusedError) and target.path and _is_socket(target.path):
        return f"{words}: the socket exists and no process listens on it; the gateway has ended"
    if isinstance(error, ConnectionRefusedError) and not target.path:
        return f"{words}: nothing listens there; is the server running, and on this port?"
    if target.path and isinstance(error, ConnectionRefusedError | NotADirectoryError):
        return f"{target.path} is no socket; write the path that the gateway was given"
    return words


def _is_socket(path: str) -> bool:
    try:
        return stat.S_ISSOCK(os.stat(path).st_mode)
    except OSError:
        return False
