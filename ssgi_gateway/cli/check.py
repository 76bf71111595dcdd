"""``ssgi-gateway check``: everything that ``serve`` would do before it listens, and what it would listen on.

The words behind it are those of ``serve``. Exit status 0 when all is well, 2 when something is not.
"""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING, Any

from ssgi_gateway.cli.serve import parse
from ssgi_gateway.process import directory, privileges, sockets
from ssgi_gateway.process.wanted import wanted_workers
from ssgi_gateway.settings.sources import options, read_all, unknown_variables
from ssgi_gateway.settings.values import show

if TYPE_CHECKING:
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
        print(f"workers: {wanted_workers(settings.workers) or 'none, this process serves'}")
        _check_application(settings, wanted)
    return 0


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
