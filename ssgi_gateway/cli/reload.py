"""``ssgi-gateway reload``: requests a reload of a supervisor and reports how it went.

It is what ``ExecReload=`` of a service runs: with it ``systemctl reload`` fails, with its own words, when the new
application does not start, and the old one serves on.
"""

from __future__ import annotations

import os
import signal
import sys
import time
from typing import Final

from ssgi_gateway.cli import arguments
from ssgi_gateway.errors import ConfigurationError
from ssgi_gateway.process import report, states

__all__ = ["reload", "supervisor_of"]

PAUSE: Final = 0.02
"""Seconds between two looks."""


def reload(words: list[str]) -> int:
    """``ssgi-gateway reload``; 0 when the new generation serves, 1 when it does not."""
    parser = arguments.parser("ssgi-gateway reload", "Reload a running server, and wait until it has.")
    arguments.add_supervisor_options(parser)
    parser.add_argument("--timeout", type=float, default=300.0, metavar="SECONDS", help="Stop waiting then. [300]")
    given = arguments.read(parser, words)
    pid = supervisor_of(given.pid, given.pid_file)
    before = report.read(pid)["reloads"]
    os.kill(pid, signal.SIGHUP)
    end = time.monotonic() + given.timeout
    while time.monotonic() < end:
        published = report.read(pid)
        after = published["reloads"]
        if after["failed"] > before["failed"]:
            print(f"ssgi-gateway: the reload failed: {after['last']}", file=sys.stderr)
            return 1
        if after["ok"] > before["ok"] and not published["reloading"]:
            print(f"reloaded: generation {published['generation']} serves")
            return 0
        if published["mode"] != states.SERVING:
            print("ssgi-gateway: no reload: the server is stopping", file=sys.stderr)
            return 1
        time.sleep(PAUSE)
    print(f"ssgi-gateway: no reload after {given.timeout:g} s; see its log", file=sys.stderr)
    return 1


def supervisor_of(pid: int | None, pid_file: str | None) -> int:
    """The process id that the options of ``arguments.add_supervisor_options`` name.

    Raises:
        ConfigurationError: they name none.
    """
    if pid is not None:
        return pid
    path = pid_file or os.environ.get("SSGI_PID_FILE")
    if not path:
        raise ConfigurationError("which server? give --pid (systemd: $MAINPID) or --pid-file")
    try:
        with open(path) as file:
            return int(file.read())
    except OSError as error:
        raise ConfigurationError(f"--pid-file: {path}: {error.strerror}") from None
    except ValueError:
        raise ConfigurationError(f"--pid-file: {path} holds no process id") from None
