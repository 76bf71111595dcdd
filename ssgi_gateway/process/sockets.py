"""Which listeners there are: read from the settings, opened, kept, closed.

They belong to the process that opened them, the supervisor where there is one; workers have them from it.
"""

from __future__ import annotations

import contextlib
import os
import socket
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Final

from ssgi_gateway.errors import ConfigurationError
from ssgi_gateway.server import listeners
from ssgi_gateway.server.address import Address

if TYPE_CHECKING:
    from ssgi_gateway.server.listeners import Listener
    from ssgi_gateway.settings import Settings

__all__ = ["PROTOCOLS", "Wanted", "addresses", "entered", "open_all", "served"]

PROTOCOLS: Final = ("scgi", "fastcgi", "uwsgi", "websocket")
"""Which settings are addresses; their names are the protocols'."""

Wanted = tuple[str, Address]
"""A protocol and where it is to be spoken."""


@contextlib.contextmanager
def entered(directory: str) -> Iterator[None]:
    """The current directory is another one meanwhile; an empty ``directory`` is this one.

    Raises:
        ConfigurationError: it cannot be entered.
    """
    before = os.getcwd()
    enter(directory)
    try:
        yield
    finally:
        os.chdir(before)


def enter(directory: str) -> None:
    """Change to the directory of the setting ``chdir``.

    Raises:
        ConfigurationError: it cannot be entered.
    """
    if directory:
        try:
            os.chdir(directory)
        except OSError as error:
            raise ConfigurationError(f"--chdir: {directory}: {error.strerror}") from None


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
    if not found:
        raise ConfigurationError("nowhere to listen; give --scgi, --fastcgi or --websocket, e.g. --scgi 127.0.0.1:9000")
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
    left = [(protocol, address) for protocol, address in wanted if protocol != "websocket"]
    if not left:
        raise ConfigurationError("the application serves no WebSockets; give --scgi or --fastcgi")
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


def adoption_pair() -> tuple[socket.socket, socket.socket]:
    """The two ends through which idle connections change their process (``server.adoption``)."""
    return socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET | socket.SOCK_NONBLOCK)
