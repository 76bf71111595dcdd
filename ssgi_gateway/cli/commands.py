"""The commands of ``ssgi-gateway``: one table.

A command is a function of its arguments, those behind its name, that returns the exit status. Its module is imported
only when it runs, so that a start loads nothing of the others.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable, Sequence
from typing import Final, TypeAlias

from ssgi_gateway.errors import ConfigurationError

__all__ = ["COMMANDS", "Command", "Function", "find"]

Function: TypeAlias = Callable[[list[str]], int]
"""Takes the arguments behind the command's name; returns the exit status."""


class Command:
    """One command. No named tuple: to make that class takes longer than all else in this module.

    Args:
        function: where it is, as ``module:function`` below the package.
        help: one line for ``ssgi-gateway --help``.
    """

    __slots__ = ("function", "help")

    def __init__(self, function: str, help: str) -> None:
        self.function = function
        self.help = help


COMMANDS: Final[dict[str, Command]] = {
    "serve": Command("cli.serve:serve", "Serve an application. See: ssgi-gateway serve --help"),
    "dev": Command("tools.dev:dev", "Serve an application while it is being written, over HTTP; reloads on change."),
    "check": Command("cli.check:check", "See whether an application and its settings could be served."),
    "reload": Command("cli.reload:reload", "Reload a running server, and wait until it has."),
    "status": Command("tools.top:status", "Show the state of a running server."),
    "top": Command("tools.top:top", "Watch a running server in a terminal."),
    "stacks": Command("tools.top:stacks", "Show what a running server's threads and tasks are doing."),
    "config": Command("tools.config:main", "Print a configuration for nginx, Apache, lighttpd, Caddy, HAProxy ..."),
    "init": Command("tools.init:main", "Ask, and write settings, web server and service for a site."),
    "doctor": Command("tools.doctor.command:main", "Find what is wrong between the web server and the gateway."),
    "call": Command(
        "tools.call.command:call", "Send a request to a gateway or a web server: curl for SCGI and FastCGI."
    ),
    "rpc": Command("cli.rpc:rpc", "Write a typed client of a Swill application, in TypeScript or Python."),
    "import": Command("tools.importers.command:main", "Turn uwsgi.ini, gunicorn.conf.py, unit.json ... into settings."),
}
"""In the order of ``--help``."""


def find(name: str) -> Function:
    """The function of a command; imports its module.

    Raises:
        ConfigurationError: there is no such command; the message says what may have been meant.
    """
    command = COMMANDS.get(name)
    if command is None:
        raise ConfigurationError(_unknown(name))
    module, _, function = command.function.partition(":")
    found: Function = getattr(importlib.import_module(f"ssgi_gateway.{module}"), function)
    return found


def _unknown(name: str) -> str:
    if ":" in name:
        return f"{name!r} is not a command; to serve this application write: ssgi-gateway serve {name}"
    from ssgi_gateway.settings.values import did_you_mean  # only a start that fails needs it

    hint = did_you_mean(name, list(COMMANDS)) or f"; there is {listed(COMMANDS)}"
    return f"there is no command {name!r}{hint}"


def listed(names: Sequence[str] | dict[str, Command]) -> str:
    """Names for a message."""
    return ", ".join(names)
