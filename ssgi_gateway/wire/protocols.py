"""The wire protocols there are, once: what the command, the banner, the listeners, the counters and the probes go by.

Each is a setting of the same name. How its codec is made is in ``server.codecs.CODECS``; a test says
that none is missing.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

__all__ = ["PROTOCOLS", "WireProtocol", "options"]


class WireProtocol:
    """One of them. No named tuple: to make that class takes longer than all else in this module.

    Args:
        title: its name for people.
        directive: nginx's directive in front of the address.
        http: whether it carries ordinary requests.
        websockets: whether it carries WebSockets.
        front: whether a web server speaks it; otherwise clients do, or balancers that speak nothing else.
    """

    __slots__ = ("directive", "front", "http", "title", "websockets")

    def __init__(self, title: str, directive: str, *, http: bool, websockets: bool, front: bool) -> None:
        self.title = title
        self.directive = directive
        self.http = http
        self.websockets = websockets
        self.front = front


PROTOCOLS: Final[dict[str, WireProtocol]] = {
    "scgi": WireProtocol("SCGI", "scgi_pass ", http=True, websockets=True, front=True),
    # Web servers have no way to bring an upgrade over FastCGI.
    "fastcgi": WireProtocol("FastCGI", "fastcgi_pass ", http=True, websockets=False, front=True),
    "uwsgi": WireProtocol("uwsgi", "uwsgi_pass ", http=True, websockets=True, front=True),
    "websocket": WireProtocol("WebSocket", "proxy_pass http://", http=False, websockets=True, front=True),
    "http": WireProtocol("HTTP", "proxy_pass http://", http=True, websockets=True, front=False),
}
"""By the names of their settings. The order is that of the counters in the shared table (``observe.table``)."""


def options(names: Iterable[str]) -> str:
    """Settings in a sentence: ``--scgi, --fastcgi or --http``."""
    *most, last = (f"--{name}" for name in names)
    return f"{', '.join(most)} or {last}" if most else last
