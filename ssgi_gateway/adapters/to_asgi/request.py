"""An ASGI scope as a request of this project: turned into the CGI variables that everything here reads.

So path, addresses, headers and ``environ`` are what they are behind a gateway, checks included.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ssgi_gateway.wire.cgi import RequestHead, Variables, parse_head
from ssgi_gateway.wire.forwarded import HTTP_SCHEMES
from ssgi_gateway.wire.percent import quote, unquote

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["parse_scope"]


def parse_scope(scope: dict[str, Any]) -> RequestHead:
    """The request of an HTTP or WebSocket scope.

    Raises:
        RequestRejected: it cannot be served, such as a path with NUL in it.
    """
    return parse_head(Variables(_variables(scope)), scope.get("root_path", ""))


def _variables(scope: dict[str, Any]) -> Iterator[tuple[bytes, bytes]]:
    query: bytes = scope.get("query_string", b"")
    scheme = scope.get("scheme", "http")
    scheme = HTTP_SCHEMES.get(scheme, scheme)
    root_path = scope.get("root_path", "")
    yield b"REQUEST_METHOD", scope.get("method", "GET").encode("latin-1")
    yield b"REQUEST_URI", _raw_path(scope, root_path) + (b"?" + query if query else b"")
    yield b"QUERY_STRING", query
    yield b"SCRIPT_NAME", root_path.encode("utf-8", "surrogateescape")
    yield b"SERVER_PROTOCOL", b"HTTP/" + scope.get("http_version", "1.1").encode("latin-1")
    yield b"REQUEST_SCHEME", scheme.encode("latin-1")
    if scheme == "https":
        yield b"HTTPS", b"on"
    yield from _address(scope.get("client"), b"REMOTE_ADDR", b"REMOTE_PORT")
    yield from _address(scope.get("server"), b"SERVER_ADDR", b"SERVER_PORT")
    for name, value in scope["headers"]:
        variable = name.upper().replace(b"-", b"_")
        if variable in (b"CONTENT_TYPE", b"CONTENT_LENGTH"):
            yield variable, value
        elif b"_" not in name:  # x_a would pass for x-a: web servers drop such headers
            yield b"HTTP_" + variable, value


def _raw_path(scope: dict[str, Any], root_path: str) -> bytes:
    """The path as the client sent it, or what would be decoded to the path in the scope."""
    path: str = scope["path"]
    raw: bytes = (scope.get("raw_path") or b"").partition(b"?")[0]
    if not path.startswith(root_path):  # before ASGI 2.4 the one did not include the other
        path = root_path + path
        raw = quote(root_path).encode("latin-1") + raw if raw else b""
    if raw:
        decoded = unquote(raw.decode("latin-1"))
        # A middleware may have changed the path alone. A server puts U+FFFD for what is no UTF-8.
        if decoded == path or decoded.encode("utf-8", "surrogateescape").decode("utf-8", "replace") == path:
            return raw
    return quote(path).encode("latin-1")


def _address(pair: Any, host: bytes, port: bytes) -> Iterator[tuple[bytes, bytes]]:
    if pair:
        yield host, str(pair[0]).encode("latin-1", "replace")
        if pair[1]:
            yield port, str(pair[1]).encode("latin-1")
