"""Which listeners there are: read from the settings, opened, kept, closed.

They belong to the process that opened them, the supervisor where there is one; workers have them from it.
"""

from __future__ import annotations

import contextlib
import os
import socket
from collections.abc import Iterable, Iterator, Sequence
from typing import TYPE_CHECKING, Any, Final

from ssgi_gateway import linux
from ssgi_gateway.errors import ConfigurationError
from ssgi_gateway.process import systemd
from ssgi_gateway.server import listeners
from ssgi_gateway.server.address import Address
from ssgi_gateway.server.listeners import Listener
from ssgi_gateway.server.unix_socket import Cleanup
from ssgi_gateway.wire.protocols import PROTOCOLS, options

if TYPE_CHECKING:
    from ssgi_gateway.settings import Settings

__all__ = ["Listeners", "Wanted", "addresses", "adoption_pair", "open_all", "served"]

Wanted = tuple[str, Address]
"""A protocol, and where to listen for it."""


def addresses(settings: Settings) -> list[Wanted]:
    """Every protocol with its address; all of them are read before any is opened.

    Raises:
        ConfigurationError: one is none, is there twice, or there is none at all.
    """
    found: list[Wanted] = []
    for protocol in PROTOCOLS:
        for text in getattr(settings, protocol):
            try:
                address = Address.parse(text)
            except ConfigurationError as error:
                raise ConfigurationError(f"--{protocol}: {error}") from None
            twice = next((other for other, known in found if known == address), None)
            if twice and (address.kind != "tcp" or address.port):
                raise ConfigurationError(f"--{protocol}: {address} is taken by --{twice}; each needs its own address")
            found.append((protocol, address))
    found += systemd.inherited(os.environ, tuple(PROTOCOLS), [address.fd for _, address in found])
    if not found:
        raise ConfigurationError(f"nowhere to listen; give {options(PROTOCOLS)}, as in --scgi :9000")
    return found


def served(wanted: Sequence[Wanted], http: bool, websocket: bool) -> list[Wanted]:
    """Without the listeners of what the application does not serve (SSGI 1.0: no WebSocket listener opens).

    Args:
        wanted: all of them.
        http: whether the application serves HTTP.
        websocket: whether it serves WebSockets.

    Raises:
        ConfigurationError: nothing is left.
    """
    if not http and not websocket:
        raise ConfigurationError("the application serves neither HTTP nor WebSockets: see its get_supported()")
    if websocket:
        return list(wanted)
    left = [(protocol, address) for protocol, address in wanted if PROTOCOLS[protocol].http]
    if not left:
        ways = options(name for name, protocol in PROTOCOLS.items() if protocol.http)
        raise ConfigurationError(f"the application serves no WebSockets; give {ways}")
    return left


NO_WEBSOCKETS: Final = "the application serves no WebSockets, so --websocket is not opened"


def open_all(wanted: Sequence[Wanted], settings: Settings) -> list[Listener]:
    """Open listeners, all of them or none.

    Raises:
        ConfigurationError: one cannot be opened.
    """
    with contextlib.ExitStack() as stack:
        opened = []
        for protocol, address in wanted:
            listener = listeners.listen(address, settings, protocol)
            stack.callback(listener.close)
            opened.append(listener)
        stack.pop_all()
    return opened


class Listeners:
    """The supervisor's listeners, through changes of the settings.

    A listener is known by its words in the settings. ``prepare`` opens what new settings want more; once the
    reload has worked ``commit`` closes what they want no more, and if it has not ``roll_back`` closes what is new.
    """

    def __init__(self, opened: list[tuple[str, Listener]]) -> None:
        self._opened = opened
        self._before: list[tuple[str, Listener]] | None = None

    def __iter__(self) -> Iterator[Listener]:
        return (listener for _, listener in self._opened)

    @classmethod
    def open(cls, settings: Settings) -> Listeners:
        """Open all, or none.

        Raises:
            ConfigurationError: one cannot be opened.
        """
        made = cls([])
        made._opened = made._open(addresses(settings), settings)
        return made

    def _open(self, wanted: Sequence[Wanted], settings: Settings) -> list[tuple[str, Listener]]:
        """What is wanted: what is open already, and what is opened now."""
        left = list(self._opened)
        found: list[tuple[str, Listener]] = []
        with contextlib.ExitStack() as stack:
            for protocol, address in wanted:
                name = f"{protocol} {address}"
                known = next((entry for entry in left if entry[0] == name and _in_place(entry[1])), None)
                if known is not None:
                    left.remove(known)
                    found.append(known)
                else:
                    listener = listeners.listen(address, settings, protocol)
                    stack.callback(listener.close)
                    found.append((name, listener))
            stack.pop_all()
        return found

    def prepare(self, settings: Settings) -> None:
        """Open what new settings want.

        Raises:
            ConfigurationError: it cannot be; nothing has changed.
        """
        opened = self._open(addresses(settings), settings)
        if self._before is None:
            self._before = self._opened
        else:  # a second change before the first has worked
            self._close(entry for entry in self._opened if entry not in opened and entry not in self._before)
        self._opened = opened

    def commit(self) -> None:
        """The new settings serve."""
        self._close(entry for entry in self._before or () if entry not in self._opened)
        self._before = None

    def roll_back(self) -> None:
        """They do not."""
        if self._before is not None:
            self._close(entry for entry in self._opened if entry not in self._before)
            self._opened, self._before = self._before, None

    def drop(self, protocol: str) -> bool:
        """Close those of a protocol that the application does not serve; whether there were any."""
        dropped = [entry for entry in self._opened if entry[1].protocol == protocol]
        self._close(dropped)
        self._opened = [entry for entry in self._opened if entry not in dropped]
        return bool(dropped)

    def refuse(self) -> None:
        """Refuse new connections; workers still accept what is in the queues of unix sockets."""
        for listener in self:
            listener.cleanup()
            if listener.address.kind == "unix" and not listener.inherited:
                listener.socket.shutdown(socket.SHUT_RD)
        self.close()

    def close(self) -> None:
        """Close all."""
        self._close([*self._opened, *(self._before or ())])
        self._opened = []
        self._before = None

    @staticmethod
    def _close(entries: Iterable[tuple[str, Listener]]) -> None:
        for _, listener in entries:
            listener.close()

    # -- for a successor -----------------------------------------------------------------------------------------

    def dump(self) -> list[list[Any]]:
        """Plain values that ``load`` makes the same of, in the same process."""
        dumped = []
        for name, it in self._opened:
            cleanup = it.cleanup if isinstance(it.cleanup, Cleanup) else None
            identity = list(cleanup.identity) if cleanup is not None else None
            path = cleanup.path if cleanup is not None else ""
            dumped.append([name, it.protocol, str(it.address), it.socket.fileno(), it.inherited, path, identity])
        return dumped

    @classmethod
    def load(cls, dumped: Sequence[Sequence[Any]]) -> Listeners:
        """What ``dump`` gave."""
        opened = []
        for name, protocol, address, fd, inherited, path, identity in dumped:
            held = socket.socket(fileno=fd)
            held.setblocking(False)
            listener = Listener(held, Address.parse(address), protocol, inherited=inherited)
            if identity is not None:
                listener.cleanup = Cleanup(path, tuple(identity))
            opened.append((name, listener))
        return cls(opened)


def _in_place(listener: Listener) -> bool:
    """Whether there is something where clients look for it: somebody may have removed its file, or moved it away."""
    return not isinstance(listener.cleanup, Cleanup) or os.path.lexists(listener.cleanup.path)


def adoption_pair() -> tuple[socket.socket, socket.socket]:
    """The two ends through which idle connections change their process (``server.adoption``)."""
    return linux.packet_pair()
