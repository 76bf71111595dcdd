"""``ssgi-gateway serve``.

It reads the settings, loads the application, agrees on its interface, opens the listeners, prints where they are and
hands everything to ``server.serve.run``. Options are made from the settings (``settings.sources``), none is written
here; help, and what to say about a mistake, is for ``arguments``. The exit status is that of ``run``: 0 after a drain.
"""

from __future__ import annotations

import contextlib
import logging
import os
import signal
import sys
from collections.abc import Iterator
from types import SimpleNamespace
from typing import TYPE_CHECKING, Final

from ssgi_gateway import engine
from ssgi_gateway.adapters import loading, negotiation
from ssgi_gateway.cli.banner import banner
from ssgi_gateway.errors import ConfigurationError
from ssgi_gateway.server import listeners
from ssgi_gateway.server.address import Address
from ssgi_gateway.settings.sources import (
    CONFIG_VARIABLE,
    combine,
    from_command_line,
    from_environment,
    from_file,
    plain_words,
    unknown_variables,
)

if TYPE_CHECKING:
    from argparse import Namespace

    from ssgi_gateway.adapters.negotiation import Application
    from ssgi_gateway.server.listeners import Listener
    from ssgi_gateway.settings import Settings

__all__ = ["serve"]

PROTOCOLS: Final = ("scgi", "fastcgi", "uwsgi", "websocket")
"""Which settings are addresses; their names are the protocols'."""


def serve(words: list[str]) -> int:
    """``ssgi-gateway serve``; ``words`` are the arguments behind it."""
    # Until ``run`` has its own handlers SIGTERM is like SIGINT, so that it cannot leave a socket file behind.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    settings = _settings(_parse(words))
    _enter(settings.chdir)
    addresses = _addresses(settings)
    run = engine.module("server.serve", settings.codec).run
    loaded = loading.load(settings.app, pythonpath=settings.pythonpath)
    application = negotiation.resolve(loaded, settings.interface, settings)
    with _opened(_served(addresses, application), settings) as opened:
        try:
            # Why it is not another build or loop is for --version to say.
            codecs, loop = (text.partition(" (")[0] for text in (engine.describe(settings.codec), engine.event_loop()))
            print(banner(opened, application, settings.app, codecs, loop), file=sys.stderr, flush=True)
            logging.basicConfig(format="%(asctime)s %(levelname)s %(message)s", level=logging.INFO)
            return int(run(settings, application, opened))
        except KeyboardInterrupt:
            return 0  # stopped while it was starting: nothing was in progress


def _parse(words: list[str]) -> Namespace | SimpleNamespace:
    given = plain_words(words)
    if given is not None:
        return SimpleNamespace(**given)
    from ssgi_gateway.cli import arguments  # argparse and its parser are a tenth of a start: for help, for mistakes

    return arguments.parse_serve(words)


# -- what to serve, and where ------------------------------------------------------------------------------------


def _settings(arguments: Namespace | SimpleNamespace) -> Settings:
    for warning in unknown_variables(os.environ):
        print(f"ssgi-gateway: warning: {warning}", file=sys.stderr)
    path = getattr(arguments, "config", None) or os.environ.get(CONFIG_VARIABLE)
    file = from_file(path) if path else {}
    return combine(from_command_line(arguments), from_environment(os.environ), file)


def _enter(directory: str) -> None:
    if directory:
        try:
            os.chdir(directory)
        except OSError as error:
            raise ConfigurationError(f"--chdir: {directory}: {error.strerror}") from None


def _addresses(settings: Settings) -> list[tuple[str, Address]]:
    """Every protocol with its address; all of them are read before any is opened."""
    found: list[tuple[str, Address]] = []
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


def _served(addresses: list[tuple[str, Address]], application: Application) -> list[tuple[str, Address]]:
    """Without the listeners of what the application does not serve (SSGI 1.0: no WebSocket listener opens)."""
    if application.http is None and application.websocket is None:
        raise ConfigurationError("the application serves neither HTTP nor WebSockets: see its get_supported()")
    if application.websocket is not None:
        return addresses
    left = [(protocol, address) for protocol, address in addresses if protocol != "websocket"]
    if not left:
        raise ConfigurationError("the application serves no WebSockets; give --scgi or --fastcgi")
    if left != addresses:
        print("ssgi-gateway: the application serves no WebSockets, so --websocket is not opened", file=sys.stderr)
    return left


@contextlib.contextmanager
def _opened(addresses: list[tuple[str, Address]], settings: Settings) -> Iterator[list[Listener]]:
    """The open listeners, all of them or none; closed at the end whatever happens."""
    with contextlib.ExitStack() as stack:
        opened = []
        for protocol, address in addresses:
            listener = listeners.listen(address, settings, protocol)
            stack.callback(listener.close)
            opened.append(listener)
        yield opened
