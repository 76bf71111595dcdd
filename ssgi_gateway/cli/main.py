"""The command ``ssgi-gateway``: finds the command that is meant and runs it.

Exit status: the command's own; 2 when something the user wrote cannot be used, with one line that names the mend;
130 when it was interrupted before it had begun; 141 when what it printed was not read to its end (``| head``), as a
shell returns for programs that SIGPIPE has ended.
"""

from __future__ import annotations

import errno
import os
import select
import sys
from collections.abc import Callable, Sequence
from typing import Final

from ssgi_gateway import __version__
from ssgi_gateway.cli import commands
from ssgi_gateway.errors import ConfigurationError

__all__ = ["main"]

NOT_READ: Final = 141
"""The exit status where the reader of standard output has gone: 128 and SIGPIPE."""


def main(argv: Sequence[str] | None = None, loaded: Callable[[], None] | None = None) -> int:
    """Run the command; returns its exit status.

    Args:
        argv: the arguments without the command's name; those of the process when not given.
        loaded: called once the modules of the command are loaded, before it begins.
    """
    words = sys.argv[1:] if argv is None else list(argv)
    _have_streams()
    try:
        try:
            return _run(words, loaded)
        finally:
            sys.stdout.flush()  # what cannot be written is noticed here, and not while the interpreter ends
    except OSError as error:
        if error.errno in (errno.EMFILE, errno.ENFILE):
            print(f"ssgi-gateway: {error.strerror}: raise their limit (ulimit -n, LimitNOFILE=)", file=sys.stderr)
            return 2
        if not _cannot_be_written(error):
            raise
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # what is left has no reader
        if error.errno == errno.EPIPE:
            return NOT_READ
        print(f"ssgi-gateway: standard output: {error.strerror}", file=sys.stderr)
        return 1


def _have_streams() -> None:
    """Have the three standard descriptors: where one was closed (``>&-``), a listener would get its number."""
    for number, name in enumerate(("stdin", "stdout", "stderr")):
        try:
            os.fstat(number)
        except OSError:
            os.open(os.devnull, os.O_RDWR)  # the lowest number that is free
        if getattr(sys, name) is None:
            setattr(sys, name, open(number, "w" if number else "r", closefd=False))  # noqa: SIM115


def _cannot_be_written(error: OSError) -> bool:
    """Whether it is standard output that an error is about; an application and its server have others."""
    if error.filename is not None:
        return False
    if error.errno == errno.ENOSPC:
        return True
    output = select.poll()
    output.register(sys.stdout.fileno(), 0)
    return error.errno == errno.EPIPE and bool(output.poll(0))


def _run(words: list[str], loaded: Callable[[], None] | None) -> int:
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
