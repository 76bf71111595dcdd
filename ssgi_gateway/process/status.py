"""``--status``: the process behind it (``status_server``), as its parent knows it.

That is the supervisor, or a server without one; the process ends with it.
"""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import sys
import time
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any, Final

from ssgi_gateway.errors import ConfigurationError
from ssgi_gateway.process import system
from ssgi_gateway.process.lines import notice, say
from ssgi_gateway.server import listeners
from ssgi_gateway.server.address import Address
from ssgi_gateway.server.listeners import Listener

if TYPE_CHECKING:
    from ssgi_gateway.settings import Settings

__all__ = ["LISTENER", "TABLE", "Status", "address_of", "known_descriptors"]

TABLE: Final = 3
LISTENER: Final = 4
"""Descriptors of the process."""

SHORTEST_LIFE: Final = 5.0
"""Seconds that it has to live to be started again."""


def address_of(settings: Settings) -> Address | None:
    """What the setting ``status`` says; ``None`` where it has none.

    Raises:
        ConfigurationError: it is no address.
    """
    try:
        return Address.parse(settings.status) if settings.status else None
    except ConfigurationError as error:
        raise ConfigurationError(f"--status: {error}") from None


class Status:
    """The process as its parent knows it.

    Args:
        table: the descriptor of the table.
        known: what a predecessor's gave (``dump``).
    """

    def __init__(self, table: int, known: Mapping[str, Any] | None = None) -> None:
        self.pid = 0
        self._table = table
        self._began = 0.0
        self._listener: Listener | None = None
        if known is not None:
            self.pid, self._began = known["pid"], known["began"]
            if known["listener"] is not None:
                address, fd = known["listener"]
                self._listener = Listener(socket.socket(fileno=fd), Address.parse(address), "http")

    def open(self, settings: Settings) -> None:
        """Listen at the address of the setting ``status``, if it has one.

        Raises:
            ConfigurationError: it cannot be used.
        """
        address = address_of(settings)
        if address is None:
            return
        self._listener = listeners.listen(address, settings, "http")
        place = f"http://{self.address}/" if address.kind == "tcp" else self.address
        notice(f"ssgi-gateway: status page at {place}", f"status page at {place}", status=place)

    @property
    def address(self) -> str:
        """Where it listens; empty for nowhere."""
        return "" if self._listener is None else str(self._listener.address)

    def start(self) -> None:
        """Start the process, if it is wanted and does not run."""
        if self._listener is None or self.pid:
            return
        self._began = time.monotonic()
        listener = self._listener.socket.fileno()
        try:
            self.pid = os.posix_spawn(
                sys.executable,
                system.python_module("ssgi_gateway.process.status_server"),
                {**os.environ, "SSGI_STATUS_ADDRESS": self.address},
                # Each over a descriptor that is not needed, so that one does not close the other.
                file_actions=[
                    (os.POSIX_SPAWN_DUP2, self._table, LISTENER + 20),
                    (os.POSIX_SPAWN_DUP2, listener, LISTENER + 21),
                    (os.POSIX_SPAWN_DUP2, LISTENER + 20, TABLE),
                    (os.POSIX_SPAWN_DUP2, LISTENER + 21, LISTENER),
                    (os.POSIX_SPAWN_CLOSE, LISTENER + 20),
                    (os.POSIX_SPAWN_CLOSE, LISTENER + 21),
                ],
                setsigmask=(),
                setsigdef=(signal.SIGTERM, signal.SIGINT, signal.SIGHUP),
            )
        except OSError as error:
            say("warning", f"--status: {sys.executable}: {error.strerror}")

    def ended(self, how: str) -> None:
        """The process has ended; it is started again unless that was at once."""
        self.pid = 0
        if time.monotonic() - self._began > SHORTEST_LIFE:
            say("warning", f"the status process has ended ({how}); another one is started")
            self.start()
        else:
            say("warning", f"the status process has ended ({how}); --status is not served any more")
            self.close()

    def close(self) -> None:
        """End the process and give the address back."""
        if self.pid:
            with contextlib.suppress(ProcessLookupError):
                os.kill(self.pid, signal.SIGKILL)
            with contextlib.suppress(ChildProcessError):
                os.waitpid(self.pid, 0)
            self.pid = 0
        if self._listener is not None:
            self._listener.close()
            self._listener = None

    def dump(self) -> dict[str, Any]:
        """What a successor has to know."""
        listener = self._listener
        return {
            "pid": self.pid,
            "began": self._began,
            "listener": None if listener is None else [str(listener.address), listener.socket.fileno()],
        }


def known_descriptors(known: Mapping[str, Any]) -> Iterable[int]:
    """The descriptors that a predecessor left."""
    if known["listener"] is not None:
        yield known["listener"][1]
