"""The command ``ssgi-gateway``: finds the command that is meant and runs it.

Exit status: the command's own; 2 when something the user wrote cannot be used, with one line that says what to do;
130 when it was interrupted before it had begun.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Sequence

from ssgi_gateway import __version__
from ssgi_gateway.cli import commands
from ssgi_gateway.errors import ConfigurationError

__all__ = ["main"]


def main(argv: Sequence[str] | None = None, loaded: Callable[[], None] | None = None) -> int:
    """Run the command; returns its exit status.

    Args:
        argv: the arguments without the command's name; those of the process when not given.
        loaded: called once the modules of the command are loaded, before it begins.
    """
    words = sys.argv[1:] if argv is None else list(argv)
    try:
        function, rest = _find(words)
        if loaded is not None:
            loaded()
        return function(rest)
    except ConfigurationError as error:
        print(f"ssgi-gateway: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        return 130


def _find(words: list[str]) -> tuple[commands.Function, list[str]]:
    if words and not words[0].startswith("-"):
        return commands.find(words[0]), words[1:]
    if words == ["--version"]:
        return version, []
    from ssgi_gateway.cli import arguments  # argparse is for help, and for mistakes

    return arguments.explain, words


def version(_: list[str]) -> int:
    """``ssgi-gateway --version``."""
    import platform  # a start has no use for these

    from ssgi_gateway import engine
    from ssgi_gateway.settings.sources import combine, from_environment

    codec = combine(from_environment({k: v for k, v in os.environ.items() if k == "SSGI_CODEC"})).codec
    python = f"{platform.python_implementation()} {platform.python_version()}"
    print(f"ssgi-gateway {__version__}\ncodecs: {engine.describe(codec)}\nevent loop: {engine.event_loop()}\n{python}")
    return 0
