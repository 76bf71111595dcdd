"""``ssgi-gateway check``: everything that ``serve`` would do before it listens, and what it would listen on.

The words behind it are those of ``serve``. Exit status 0 when all is well, 2 when something is not.
"""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING, Any

from ssgi_gateway.cli.serve import parse
from ssgi_gateway.process import directory, privileges, sockets, status
from ssgi_gateway.process.worker_count import wanted_workers
from ssgi_gateway.settings.sources import options, read_all, unknown_variables
from ssgi_gateway.settings.values import show

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ssgi_gateway.settings import Settings

__all__ = ["check"]


def check(words: list[str]) -> int:
    """``ssgi-gateway check``; ``words`` are the arguments behind it."""
    given = parse(words, "ssgi-gateway check")
    for warning in unknown_variables(os.environ):
        print(f"ssgi-gateway: warning: {warning}", file=sys.stderr)
    settings, origins, files = read_all(given)
    print("settings (those that are not the default):")
    rows = []
    for option in options():
        if option.name in origins:
            value: Any = settings
            for name in option.path:
                value = getattr(value, name)
            rows.append((option.name, show(value, option.metadata) or "(none)", origins[option.name]))
    widths = [max((len(row[column]) for row in rows), default=0) for column in range(2)]
    for name, value, origin in rows:
        print(f"  {name:{widths[0]}}  {value:{widths[1]}}  from {origin}")
    for file in files:
        print(f"read: {file}")
    privileges.check(settings)
    with directory.entered(settings.chdir):
        wanted = sockets.addresses(settings)
        status_page = status.address_of(settings)
        print(f"workers: {wanted_workers(settings.workers) or 'none, this process serves'}")
        _check_application(settings, wanted)
        if status_page is not None:
            print(f"  status page on {status_page}")
        for path, what in _places(settings, wanted):
            folder = os.path.dirname(os.path.abspath(path))
            if not os.path.isdir(folder):
                print(f"{what}: there is no directory {folder}; it has to be there when the server starts")
    return 0


def _places(settings: Settings, wanted: list[sockets.Wanted]) -> Iterator[tuple[str, str]]:
    """The files that a start makes, each with what it is."""
    for protocol, address in wanted:
        if address.kind == "unix":
            yield address.path, f"--{protocol} {address}"
    for flag, path in (("--access-log", settings.access_log), ("--pid-file", settings.pid_file)):
        if path not in ("", "-"):
            yield path, f"{flag} {path}"


def _check_application(settings: Settings, wanted: list[sockets.Wanted]) -> None:
    from ssgi_gateway.process.worker import application_of

    application = application_of(settings)
    http, websocket = application.http is not None, application.websocket is not None
    served = " and ".join(name for name, it in (("HTTP", http), ("WebSockets", websocket)) if it)
    left = sockets.served(wanted, http, websocket)
    print(f"the application was imported; it serves {served}")
    print("would listen:")
    for protocol, address in left:
        print(f"  {protocol} on {address}")
    if left != wanted:
        print(f"  {sockets.NO_WEBSOCKETS}")
