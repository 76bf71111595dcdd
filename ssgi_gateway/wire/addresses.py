"""The addresses of both ends, and the scheme, out of the CGI variables (RFC 3875 4.1).

Every function takes what it needs as latin-1 text, or a ``Variables``, and never fails: a web server that leaves a
port out, or sends a client's unix socket, does not make a request bad. An address is ``host:port`` with IPv6 always
in brackets; without a usable port it is the host alone, without a host it is ``""``; a unix socket is its path.
"""

from __future__ import annotations

import re
from functools import lru_cache
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Mapping

    from .variables import Variables

__all__ = [
    "DEFAULT_PORTS",
    "fallback_host",
    "http_version",
    "is_host",
    "join_address",
    "remote_address",
    "scheme",
    "server_address",
]

MAX_HOST: Final = 255 + 6
"""A domain name (RFC 1035 3.1) and ``:65535``."""

# Narrower than RFC 3986's reg-name on purpose: what a host really looks like, because applications paste it into links.
_HOST: Final = re.compile(r"(?:[A-Za-z0-9._-]+|\[[0-9A-Fa-f:.]+\])(?::(?P<port>[0-9]{0,5}))?")

DEFAULT_PORTS: Final = {"http": "80", "https": "443"}

_VERSIONS: Final = {
    "HTTP/1.0": "1.0",
    "HTTP/1.1": "1.1",
    "HTTP/2.0": "2",
    "HTTP/2": "2",
    "HTTP/3.0": "3",
    "HTTP/3": "3",
}


def is_host(text: str) -> bool:
    """Whether ``text`` can be the value of a Host header that names a host.

    ``_`` is no host: it is what nginx sends for ``server_name _``, its idiom for "any".
    """
    return len(text) <= MAX_HOST and _is_host(text)


@lru_cache(maxsize=256)
def _is_host(text: str) -> bool:
    match = _HOST.fullmatch(text)
    return match is not None and text != "_" and int(match["port"] or 0) <= 65535


def is_port(text: str) -> bool:
    """Whether ``text`` is a port, in digits."""
    return text.isascii() and text.isdigit() and len(text) <= 5 and 0 < int(text) <= 65535


def join_address(host: str, port: str | None) -> str:
    """``host:port``; a unix socket (``unix:/path``, ``/path``) is its path, an unnamed one (``unix:``) is ``""``."""
    if host.startswith("unix:"):
        return host[5:]
    if not host or host[0] == "/":
        return host
    if ":" in host and host[0] != "[":
        host = f"[{host}]"
    return f"{host}:{port}" if port and is_port(port) else host


def remote_address(variables: Variables) -> str:
    """The client's address, from REMOTE_ADDR and REMOTE_PORT; ``""`` when its socket has no name."""
    return join_address(variables.get("REMOTE_ADDR", ""), variables.get("REMOTE_PORT"))


def split_address(address: str) -> tuple[str, int] | None:
    """``(host, port)`` of one of these addresses; port 0 if it has none, ``None`` for a unix socket or ``""``."""
    if not address or address[0] == "/":
        return None
    colon = address.rfind(":")
    if colon < 0 or address[-1] == "]":
        return (address[1:-1] if address[0] == "[" else address, 0)
    return (address[1 : colon - 1] if address[0] == "[" else address[:colon], int(address[colon + 1 :]))


def server_address(variables: Variables) -> str:
    """The address of the request: SERVER_NAME, or SERVER_ADDR when the name is none, and SERVER_PORT.

    The name comes first because it is there on every route: nginx's ``scgi_params`` have no SERVER_ADDR.
    """
    return _server_address(
        variables.get("SERVER_NAME", ""), variables.get("SERVER_ADDR", ""), variables.get("SERVER_PORT", "")
    )


@lru_cache(maxsize=64)  # it is the same for every request of a virtual host
def _server_address(name: str, address: str, port: str) -> str:
    host, colon, end = name.partition(":")
    if colon and end.isascii() and end.isdigit():
        name = host  # HAProxy has the Host header here, port and all; SERVER_PORT is what counts
    elif colon and name[0] != "[":
        name = f"[{name}]"  # an IPv6 address for a name
    elif name[:1] == "[":
        name = name.partition("]")[0] + "]"
    return join_address(name if is_host(name) else address, port)


def fallback_host(variables: Variables) -> str | None:
    """What stands for a Host header that is missing or no host: ``server_address`` less the scheme's own port."""
    host = server_address(variables)
    if not host or host[0] == "/":
        return None
    return host.removesuffix(":443" if scheme(variables) == "https" else ":80")


def scheme(variables: Variables | Mapping[str, str]) -> str:
    """``"https"`` if HTTPS is on (nginx, Apache) or REQUEST_SCHEME is, otherwise ``"http"``."""
    https = variables.get("HTTPS", "").lower()
    if https and https not in ("off", "0"):
        return "https"
    return "https" if variables.get("REQUEST_SCHEME", "").lower() == "https" else "http"


def http_version(variables: Variables) -> str:
    """The client's HTTP version: ``"1.0"``, ``"1.1"``, ``"2"``, ``"3"``; 1.1 for a SERVER_PROTOCOL that is none."""
    return _VERSIONS.get(variables.get("SERVER_PROTOCOL", "").upper(), "1.1")
