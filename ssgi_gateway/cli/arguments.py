"""The command line for those who need help with it: ``--help``, ``--version``, mistakes.

It has no option of its own but ``--version``; those of ``serve`` are the settings (``settings.sources.add_options``).
Command lines without mistakes are read by ``settings.sources.plain_words``, and this module is not loaded.
Commands with options of their own make a ``parser`` and ``read`` with it, so that all mistakes look alike.
"""

from __future__ import annotations

import argparse
import shutil
from typing import Final, NoReturn

from ssgi_gateway.cli.commands import COMMANDS
from ssgi_gateway.errors import ConfigurationError
from ssgi_gateway.settings.sources import add_options
from ssgi_gateway.settings.values import did_you_mean
from ssgi_gateway.wire.protocols import PROTOCOLS

__all__ = ["add_supervisor_options", "explain", "parse_serve", "parser", "read"]

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


class _Parser(argparse.ArgumentParser):
    """Errors are one line, not a page of usage."""

    def error(self, message: str) -> NoReturn:
        raise ConfigurationError(f"{message}; see {self.prog} --help")


class _Formatter(argparse.RawDescriptionHelpFormatter):
    """Wide enough for the names of the options; ``--deflate, --no-deflate`` becomes ``--[no-]deflate``."""

    def __init__(self, prog: str) -> None:
        super().__init__(prog, max_help_position=40, width=min(shutil.get_terminal_size().columns, 120))

    def _format_action_invocation(self, action: argparse.Action) -> str:
        if isinstance(action, argparse.BooleanOptionalAction):
            return action.option_strings[0].replace("--", "--[no-]", 1)
        return super()._format_action_invocation(action)


def explain(words: list[str]) -> int:
    """A command line without a command: help, or a mistake.

    Raises:
        ConfigurationError: the mistake.
        SystemExit: help was requested, and printed.
    """
    width = max(map(len, COMMANDS)) + 4
    listed = "\n".join(f"  {name:{width}}{command.help}" for name, command in COMMANDS.items())
    parser = _Parser(
        prog="ssgi-gateway",
        usage="ssgi-gateway COMMAND ...",
        description="Serve Python web applications behind nginx and its like, over SCGI, FastCGI and WebSockets.",
        epilog=f"commands:\n{listed}\n",
        formatter_class=_Formatter,
        allow_abbrev=False,
    )
    parser.add_argument(
        "--version", action="store_true", help="Show the version, the codecs and the event loop in use."
    )
    read(parser, words)
    parser.error("no command was given")


def parse_serve(words: list[str], prog: str = "ssgi-gateway serve") -> argparse.Namespace:
    """Read the command line behind ``serve``, or behind another command that takes every setting.

    Args:
        words: the arguments behind the command's name.
        prog: the command as users type it.

    Raises:
        ConfigurationError: it has a mistake; the message says which.
        SystemExit: help was requested, and printed.
    """
    ways = "|".join(f"--{name}" for name in PROTOCOLS)
    parser = _Parser(
        prog=prog,
        usage=f"{prog} APP {ways} ADDR [OPTION ...]",
        description="Serve an application until SIGTERM or SIGINT." if prog.endswith("serve") else None,
        epilog=ADDRESSES,
        formatter_class=_Formatter,
        allow_abbrev=False,
    )
    add_options(parser)
    return read(parser, words)


def add_supervisor_options(parser: argparse.ArgumentParser) -> None:
    """``--pid`` and ``--pid-file``: which running server a command is about."""
    parser.add_argument("--pid", type=int, metavar="PID", help="The supervisor's process id.")
    parser.add_argument("--pid-file", metavar="FILE", help="The file that holds it (serve --pid-file).")


def parser(prog: str, description: str) -> argparse.ArgumentParser:
    """A parser for a command with options of its own; read with ``read``."""
    return _Parser(prog=prog, description=description, formatter_class=_Formatter, allow_abbrev=False)


def read(parser: argparse.ArgumentParser, words: list[str]) -> argparse.Namespace:
    """``parser.parse_args``, where an unknown option names those that are like it.

    Raises:
        ConfigurationError: the command line has a mistake.
    """
    arguments, unknown = parser.parse_known_args(words)
    if unknown:
        _refuse(unknown, parser)
    return arguments


def _refuse(unknown: list[str], parser: argparse.ArgumentParser) -> NoReturn:
    """Name the first unknown option and what is like it; its value may have been left over, too."""
    wrong = next((word for word in unknown if word.startswith("-")), None)
    if wrong is None:
        parser.error(f"{unknown[0]!r} is one argument too many")
    wrong = wrong.partition("=")[0]
    known = [name for action in parser._actions for name in action.option_strings]
    parser.error(f"there is no option {wrong}{did_you_mean(wrong, known)}")
