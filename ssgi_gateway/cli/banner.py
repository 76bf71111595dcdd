"""What is printed at the start: what listens where, and the line of nginx that leads there.

One glance has to do, so it is one table. Each protocol's line is complete and can be pasted into a ``location``.
"""

from __future__ import annotations

import os
import re
from collections.abc import Sequence
from typing import TYPE_CHECKING, Final

from ssgi_gateway import __version__
from ssgi_gateway.wire.protocols import PROTOCOLS

if TYPE_CHECKING:
    from ssgi_gateway.server.address import Address
    from ssgi_gateway.server.listeners import Listener

__all__ = ["banner", "listening", "nginx_line"]

_LOOPBACK: Final = {"0.0.0.0": "127.0.0.1", "::": "::1"}


def banner(listeners: Sequence[Listener], http: bool, websocket: bool, name: str, codecs: str, loop: str) -> str:
    """The text that a start prints, where lines of the log are text.

    Args:
        listeners: the open ones.
        http: whether the application serves HTTP.
        websocket: whether it serves WebSockets.
        name: how the user calls the application.
        codecs: which build is in use.
        loop: which event loop is in use.
    """
    rows = [("protocol", "listens on", "carries", "in nginx")]
    rows += [
        (PROTOCOLS[it["protocol"]].title, it["address"], it["carries"], it["nginx"])
        for it in listening(listeners, http, websocket)
    ]
    widths = [max(len(row[column]) for row in rows) for column in range(4)]
    table = ["  " + "   ".join(map(str.ljust, row, widths)).rstrip() for row in rows]
    title = f"ssgi-gateway {__version__} serves {name} ({codecs} codecs, {loop}, process {os.getpid()})"
    return "\n".join([title, *table])


def listening(listeners: Sequence[Listener], http: bool, websocket: bool) -> list[dict[str, str]]:
    """The table of the banner for programs: a mapping with ``protocol``, ``address``, ``carries``, ``nginx`` a row."""
    return [
        {
            "protocol": it.protocol,
            "address": str(it.address),
            "carries": _carries(it.protocol, http, websocket),
            "nginx": nginx_line(it.protocol, it.address),
        }
        for it in listeners
    ]


def nginx_line(protocol: str, address: Address) -> str:
    """The directive that sends requests to ``address``; a listener on every address is reached over loopback."""
    if address.kind == "fd":
        return "(the process that opened the socket knows its address)"
    if address.kind == "unix":
        place = f"unix:{address.path}"
    else:
        host = _LOOPBACK.get(address.host, address.host)
        place = f"[{host}]:{address.port}" if ":" in host else f"{host}:{address.port}"
    directive, _, scheme = PROTOCOLS[protocol].directive.partition(" ")
    return f"{directive} {_quoted(scheme + place)};"


def _carries(protocol: str, http: bool, websocket: bool) -> str:
    """What can come over a listener."""
    served = []
    if http and PROTOCOLS[protocol].http:
        served.append("HTTP")
    if websocket and PROTOCOLS[protocol].websockets:
        served.append("WebSockets")
    return ", ".join(served) or "nothing"


def _quoted(word: str) -> str:
    """A word of nginx's configuration: quoted where it holds what would end it."""
    if re.fullmatch(r"[^\s;{}\"'\\#$]+", word):
        return word
    return '"' + re.sub(r"([\"\\])", r"\\\1", word) + '"'
