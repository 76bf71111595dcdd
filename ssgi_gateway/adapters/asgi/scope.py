"""ASGI connection scopes (HTTP & WebSocket ASGI Message Format 2.5), built straight from the request's variables.

==================  ===============================================================================================
key                 what it is here
==================  ===============================================================================================
``path``            decoded once, without the query, the root path included; where the client's bytes are no UTF-8
                    it has U+FFFD, because ASGI promises text that can be encoded. ``raw_path`` has the bytes
``headers``         byte pairs, names in lower case; what the web server adds about body framing is not there
``client``          ``(host, port)``, port 0 where the web server does not pass it; ``None`` for a unix socket
``server``          ``(host, port)``, the scheme's own port where none is given; ``(path, None)`` for a unix socket
``scheme``          the client's, as the web server in front saw it
``state``           a shallow copy of what the lifespan put there, for each request its own
``extensions``      what this server implements; ``tls`` when the web server passes TLS variables
==================  ===============================================================================================

Early hints, server push and trailers are not offered: a CGI answer cannot carry them.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from ssgi_gateway.adapters.asgi.tls import tls_extension

from ...wire.addresses import DEFAULT_PORTS, split_address
from ...wire.cgi import METHODS

if TYPE_CHECKING:
    from ...core.exchange import Exchange
    from ...wire.cgi import RequestHead

ASGI_VERSION: Final = "3.0"
SPEC_VERSION: Final = "2.5"

ASGI: Final = {"version": ASGI_VERSION, "spec_version": SPEC_VERSION}
HTTP_SCOPE: Final[dict[str, Any]] = dict.fromkeys(
    (
        "type", "asgi", "http_version", "method", "scheme", "path", "raw_path", "query_string", "root_path", "headers",
        "client", "server", "state", "extensions",
    ),
    "http",
)  # fmt: skip
"""All keys of a scope: to copy them and put the values in costs two thirds of a new dict."""

WEBSOCKET_SCHEMES: Final = {"http": "ws", "https": "wss"}
PORTS: Final = {scheme: int(port) for scheme, port in DEFAULT_PORTS.items()}


def http_scope(exchange: Exchange, state: dict[str, Any], files: bool) -> dict[str, Any]:
    """The scope of one HTTP request; ``files`` offers the extensions that send them."""
    request = exchange.request
    scheme = request.scheme()
    method = request.method
    if method not in METHODS:
        method = method.upper()
    path = request.path
    root_path = request.root_path()
    if not path.isascii():
        path = encodable(path)
        root_path = encodable(root_path)
    extensions: dict[str, Any] = {"http.response.pathsend": {}, "http.response.zerocopysend": {}} if files else {}
    if scheme == "https":
        _add_tls(extensions, request)
    scope = HTTP_SCOPE.copy()
    scope["asgi"] = ASGI.copy()
    scope["http_version"] = request.http_version()
    scope["method"] = method
    scope["scheme"] = scheme
    scope["path"] = path
    scope["raw_path"] = request.raw_path.encode("latin-1")
    scope["query_string"] = request.query_string.encode("latin-1")
    scope["root_path"] = root_path
    scope["headers"] = request.variables.header_pairs()
    scope["client"] = request.client()
    scope["server"] = known_server(request.server_address, scheme)
    scope["state"] = state.copy()
    scope["extensions"] = extensions
    return scope


def websocket_scope(exchange: Exchange, state: dict[str, Any]) -> dict[str, Any]:
    """The scope of one WebSocket: the request's, without a method and with the subprotocols that were offered."""
    scope = http_scope(exchange, state, False)
    del scope["method"]
    scope["extensions"]["websocket.http.response"] = {}
    scope["type"] = "websocket"
    scope["scheme"] = WEBSOCKET_SCHEMES[scope["scheme"]]
    scope["subprotocols"] = list(exchange.channel.describe().get("subprotocols", ()))
    return scope


def encodable(text: str) -> str:
    """``text`` with U+FFFD in place of bytes that were no UTF-8 (surrogateescape)."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return text.encode("utf-8", "surrogateescape").decode("utf-8", "replace")
    return text


SERVERS: Final[dict[str, dict[str, Any]]] = {"http": {}, "https": {}}
"""By scheme and address, the value of ``server``: the same for every request of a virtual host."""
MAX_SERVERS: Final = 64


def known_server(address: str, scheme: str) -> tuple[str, int | None] | None:
    """``server_pair``, remembered."""
    known = SERVERS[scheme]
    if address in known:
        return known[address]  # type: ignore[no-any-return]
    if len(known) >= MAX_SERVERS:
        known.clear()  # a front that passes on any host of a request
    pair = known[address] = server_pair(address, scheme)
    return pair


def server_pair(address: str, scheme: str) -> tuple[str, int | None] | None:
    """``(host, port)`` of ``host:port``, or with the scheme's port; ``(path, None)`` for a unix socket."""
    if address.startswith("/"):
        return (address, None)
    pair = split_address(address)
    return pair and (pair[0], pair[1] or PORTS[scheme])


def _add_tls(extensions: dict[str, Any], request: RequestHead) -> None:
    tls = tls_extension(request.variables.get)
    if tls is not None:
        extensions["tls"] = tls
