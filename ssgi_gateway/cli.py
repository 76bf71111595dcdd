"""The command ``ssgi-gateway``.

``serve`` reads the settings, loads the application, agrees on its interface, opens the listeners, prints where they
are and hands everything to ``server.serve.run``. Options are made from the settings (``settings_sources``), none is
written here.

Exit status: that of ``run`` (0 after a drain); 2 when something the user wrote cannot be used, with one line that
says what to do; 130 when it was stopped before it listened.
"""

from __future__ import annotations

import argparse
import contextlib
import logging
import os
import signal
import sys
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Final, NoReturn

from ssgi_gateway import __version__, engine
from ssgi_gateway.adapters import loading, negotiation
from ssgi_gateway.banner import banner
from ssgi_gateway.errors import ConfigurationError
from ssgi_gateway.server import listeners
from ssgi_gateway.server.address import Address
from ssgi_gateway.settings_sources import (
    CONFIG_VARIABLE,
    add_options,
    combine,
    from_command_line,
    from_environment,
    from_file,
    unknown_variables,
)
from ssgi_gateway.settings_values import did_you_mean

if TYPE_CHECKING:
    from ssgi_gateway.adapters.negotiation import Application
    from ssgi_gateway.server.listeners import Listener
    from ssgi_gateway.settings import Settings

__all__ = ["main"]

PROTOCOLS: Final = ("scgi", "fastcgi", "websocket")
"""Which settings are addresses; their names are the protocols'."""

ADDRESSES: Final = """\
addresses:
  unix:/run/app.sock, /run/app.sock     a unix socket
  127.0.0.1:9000, [::1]:9000            an address of this machine; port 0 lets the kernel choose
  :9000                                 all addresses of this machine
  fd:3                                  a listening socket that is open already

Every option is also a variable of the environment (--socket-mode is SSGI_SOCKET_MODE; values of a list are separated
by commas) and a key of the --config file. The command line wins, then the environment, then the file.

example:
  ssgi-gateway serve board:app --scgi unix:/run/board.sock
  and in nginx:  location / { include scgi_params; scgi_pass unix:/run/board.sock; }
"""


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command; returns its exit status.

    Args:
        argv: the arguments without the command's name; those of the process when not given.
    """
    try:
        arguments = _parse(sys.argv[1:] if argv is None else list(argv))
        if arguments.version:
            print(_version())
            return 0
        return serve(arguments)
    except ConfigurationError as error:
        print(f"ssgi-gateway: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        return 130


def serve(arguments: argparse.Namespace) -> int:
    """``ssgi-gateway serve``."""
    # Until ``run`` has its own handlers SIGTERM is like SIGINT, so that it cannot leave a socket file behind.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    settings = _settings(arguments)
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


# -- arguments ---------------------------------------------------------------------------------------------------


class _Parser(argparse.ArgumentParser):
    """Errors are one line, not a page of usage."""

    def error(self, message: str) -> NoReturn:
        raise ConfigurationError(f"{message}; see {self.prog} --help")


class _Formatter(argparse.RawDescriptionHelpFormatter):
    """Wide enough for the names of the options; ``--deflate, --no-deflate`` becomes ``--[no-]deflate``."""

    def __init__(self, prog: str) -> None:
        import shutil  # brings bz2 and lzma along; only help needs it

        super().__init__(prog, max_help_position=40, width=min(shutil.get_terminal_size().columns, 120))

    def _format_action_invocation(self, action: argparse.Action) -> str:
        if isinstance(action, argparse.BooleanOptionalAction):
            return action.option_strings[0].replace("--", "--[no-]", 1)
        return super()._format_action_invocation(action)


def _parse(argv: list[str]) -> argparse.Namespace:
    parser = _Parser(
        prog="ssgi-gateway",
        description="Serve Python web applications behind nginx and its like, over SCGI, FastCGI and WebSockets.",
        formatter_class=_Formatter,
        allow_abbrev=False,
    )
    parser.add_argument("--version", action="store_true", help="Say the version, the codecs and the event loop in use.")
    commands = parser.add_subparsers(title="commands", dest="command", metavar="COMMAND", parser_class=_Parser)
    serving = commands.add_parser(
        "serve",
        help="Serve an application. See: ssgi-gateway serve --help",
        usage="ssgi-gateway serve APP [--scgi ADDR] [--fastcgi ADDR] [--websocket ADDR] [OPTION ...]",
        description="Serve an application until SIGTERM or SIGINT.",
        epilog=ADDRESSES,
        formatter_class=_Formatter,
        allow_abbrev=False,
    )
    add_options(serving)
    arguments, unknown = parser.parse_known_args(argv)
    if unknown:
        _refuse(unknown, serving if arguments.command else parser)
    if not arguments.command and not arguments.version:
        parser.error("no command was given")
    return arguments


def _refuse(unknown: list[str], parser: argparse.ArgumentParser) -> NoReturn:
    """Name the first option that nobody knows and what is like it; its value may have been left over, too."""
    wrong = next((word for word in unknown if word.startswith("-")), None)
    if wrong is None:
        parser.error(f"{unknown[0]!r} is one argument too many")
    wrong = wrong.partition("=")[0]
    known = [name for action in parser._actions for name in action.option_strings]
    parser.error(f"there is no option {wrong}{did_you_mean(wrong, known)}")


# -- what to serve, and where ------------------------------------------------------------------------------------


def _settings(arguments: argparse.Namespace) -> Settings:
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
            listener = listeners.open(address, settings, protocol)
            stack.callback(listener.close)
            opened.append(listener)
        yield opened


def _version() -> str:
    import platform  # a start has no use for it

    codec = combine(from_environment({k: v for k, v in os.environ.items() if k == "SSGI_CODEC"})).codec
    python = f"{platform.python_implementation()} {platform.python_version()}"
    return f"ssgi-gateway {__version__}\ncodecs: {engine.describe(codec)}\nevent loop: {engine.event_loop()}\n{python}"
