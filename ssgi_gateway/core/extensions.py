"""``res.extensions``: everything about a request that the eight arguments leave out.

========================  =========================================================================================
key                       value
========================  =========================================================================================
``scheme``                ``"http"``, ``"https"``, ``"ws"`` or ``"wss"``
``http_version``          of the client's request: ``"1.0"``, ``"1.1"``, ``"2"``, ``"3"``
``root_path``             where the application is mounted, ``""`` at the root; ``path`` begins with it
``raw_path``              the path as received, not decoded, without the query
``headers``               list of ``(name, value)`` byte pairs, lower-case names
``environ``               the gateway's variables, a dict of latin-1 strings
``protocol``              what carried the request: ``"scgi"``, ``"fastcgi"``, ``"websocket"`` (the direct port)
``state``                 the worker's state, one dict for all requests
``subprotocols``          WebSockets: what the client offered, a list
========================  =========================================================================================

The mapping is for applications. An adapter needs a few of these facts for every request and in another form. To build
the mapping takes 2.6 us (compiled, measured), and all that ASGI's adapter does for a small request, its scope
included, takes 3.6 us without it; so for adapters there are ``request_head``,
``request_body`` and ``channel_of``, which hand out what is there already.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from ..wire.cgi import RequestHead
    from .body import RequestBody
    from .channel import Channel
    from .exchange import Exchange
    from .response import HttpResponse


def build_extensions(request: RequestHead, connection: dict[str, Any]) -> dict[str, Any]:
    """The mapping for one request; ``connection`` is what the channel adds."""
    variables = request.variables
    extensions: dict[str, Any] = {
        "scheme": request.scheme,
        "http_version": request.http_version,
        "root_path": request.root_path,
        "raw_path": request.raw_path,
        "headers": variables.header_pairs(),
        "environ": dict(variables.items()),
    }
    extensions.update(connection)
    if "subprotocols" in connection:
        extensions["scheme"] = "wss" if request.scheme == "https" else "ws"
    return extensions


def request_head(exchange: Exchange) -> RequestHead:
    """The parsed request of a response or a WebSocket, for adapters."""
    return exchange._request


def request_body(response: HttpResponse) -> RequestBody | None:
    """The request's body, ``None`` if it has none, for adapters that must know its end before they ask for more."""
    return response._body


def fits(response: HttpResponse, size: int) -> bool:
    """Whether ``size`` bytes are what the response has declared, or nothing was declared."""
    head = response._head
    return head is None or head.content_length in (-1, size)


def channel_of(exchange: Exchange) -> Channel:
    """What carries the exchange, for adapters that want a part of what it describes, or to know when all has left."""
    return exchange._channel
