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
``request_id``            its name in every log line about it: the front's X-Request-ID if harmless, else made
``state``                 the worker's state, one dict for all requests
``on_drain``              ``on_drain(handler, *args)``: call the handler, sync or async, when the server begins to
                          drain, before it closes WebSockets; at once if it has begun already
``subprotocols``          WebSockets: what the client offered, a list
========================  =========================================================================================

The mapping is for applications; adapters have ``Exchange.request`` and ``Exchange.channel``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from ..wire.cgi import RequestHead


def build_extensions(request: RequestHead, connection: dict[str, Any]) -> dict[str, Any]:
    """The mapping for one request; ``connection`` is what the channel adds."""
    variables = request.variables
    extensions: dict[str, Any] = {
        "scheme": request.scheme(),
        "http_version": request.http_version(),
        "root_path": request.root_path(),
        "raw_path": request.raw_path,
        "headers": variables.header_pairs(),
        "environ": dict(variables.items()),
    }
    extensions.update(connection)
    if "subprotocols" in connection:
        extensions["scheme"] = "wss" if request.scheme() == "https" else "ws"
    return extensions
