"""The opening handshake of a WebSocket (RFC 6455 4.2): what a request must have, and what the answer has.

The rules of this module:

* It reads a ``RequestHead`` and does not care which protocol carried it: in-band requests (SCGI, FastCGI) and those of
  the direct port are judged by the same lines.
* A web server may keep ``Connection``, which is hop-by-hop, for itself; it is required of peers that speak HTTP to us,
  and of requests that show one at all.
* An upgrade that comes by a web server which cannot make a tunnel is refused: the browser would get a 101 and then
  nothing. Those that send SERVER_SOFTWARE are known by it.
* Every refusal is a ``RequestRejected``: its status is for programs, and its words name what to change.
* Where a header has a grammar, what does not fit the grammar is refused (RFC 6455 9.1), never guessed at. What fits and
  is not for us, such as an unknown extension, is declined in silence.
"""

from __future__ import annotations

import base64
import re
from typing import TYPE_CHECKING, Final, NamedTuple

from ssgi_gateway.errors import RequestRejected
from ssgi_gateway.wire.addresses import DEFAULT_PORTS
from ssgi_gateway.wire.grammar import list_members
from ssgi_gateway.wire.websocket.deflate import DeflateParams, accept_offer

if TYPE_CHECKING:
    from ssgi_gateway.settings import WebSocketSettings
    from ssgi_gateway.wire.cgi import RequestHead
    from ssgi_gateway.wire.variables import Variables

__all__ = [
    "UPGRADE_REQUIRED",
    "Upgrade",
    "check_upgrade",
    "negotiate_deflate",
    "parse_extensions",
    "require_connection",
    "require_upgrade",
    "upgrade_headers",
]

GUID: Final = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
"""RFC 6455 1.3."""

UPGRADE_REQUIRED: Final = (("Upgrade", "websocket"), ("Connection", "Upgrade"))
"""RFC 9110 15.5.22: "The server MUST send an Upgrade header field in a 426 response"; 7.8: named in Connection."""

_TOKEN: Final = r"[!#$%&'*+\-.^_`|~0-9A-Za-z]+"
_token = re.compile(_TOKEN)
# With a slash: the original Swill called its subprotocol swill/1, which is no token, and its clients still do.
_subprotocol = re.compile(rf"(?:{_TOKEN}|/)+")
_key = re.compile(r"[A-Za-z0-9+/]{22}==")
_parameter = re.compile(rf"[ \t]*;[ \t]*({_TOKEN})(?:[ \t]*=[ \t]*(?:({_TOKEN})|\"((?:[^\"\\]|\\.)*)\"))?")
_separator = re.compile(r"[ \t]*(?:,[ \t]*)+|\Z")
_origin = re.compile(r"([a-z][a-z0-9+.\-]*)://(\[[0-9a-f:.]+\]|[^/:?#@\[\]\s\"<>\\]+)(?::([0-9]{1,5}))?/?")

_lighttpd = re.compile(r"lighttpd/1\.4\.([0-9]{1,3})\b")


class Upgrade(NamedTuple):
    """A request that may become a WebSocket.

    Args:
        key: ``Sec-WebSocket-Key`` as it came.
        subprotocols: what the client offered, in its order of preference.
        extensions: ``Sec-WebSocket-Extensions`` as it came, for ``negotiate_deflate``.
    """

    key: str
    subprotocols: list[str]
    extensions: str | None = None


def require_upgrade(variables: Variables) -> None:
    """Check that a request is a GET with an upgrade to ``websocket`` (RFC 6455 4.2.1).

    Raises:
        RequestRejected: 426 without an upgrade, 400 for another one, 405 when it is no GET.
    """
    offered = variables.header("upgrade")
    if not offered:
        raise RequestRejected(426, "this request asks for no upgrade; WebSockets are served here", UPGRADE_REQUIRED)
    if "websocket" not in list_members(offered):
        raise RequestRejected(400, "Upgrade asks for something other than websocket")
    method = variables.get("REQUEST_METHOD", "")
    if method != "GET":
        raise RequestRejected(405, f"a WebSocket handshake is a GET, not a {method[:20]}", (("Allow", "GET"),))


def require_connection(variables: Variables) -> None:
    """See to it that ``Connection`` names ``Upgrade`` (RFC 6455 4.2.1).

    Raises:
        RequestRejected: 400. RFC 9110 7.8: what is not named in Connection was not meant for us, but for a server
        before.
    """
    connection = variables.header("connection")
    if connection is None or "upgrade" not in list_members(connection):
        raise RequestRejected(400, "a WebSocket handshake has Connection: Upgrade")


def check_upgrade(head: RequestHead, origins: tuple[str, ...] | None = None, shows_connection: bool = False) -> Upgrade:
    """Judge an opening handshake by RFC 6455 4.2.1 and by the Origin policy.

    Args:
        head: the request.
        origins: who may open WebSockets: ``scheme://host[:port]``, ``same`` for the request's own; ``None`` for anyone.
            A request without an Origin comes from no browser and passes, for the policy protects browsers' users.
        shows_connection: whether there would be a ``Connection`` if the client had sent one (``Codec``).

    Raises:
        RequestRejected: 405 for the method, 426 for the version, 403 for the Origin, 501 where the web server cannot
            make a tunnel, 400 for the rest.
    """
    variables = head.variables
    require_upgrade(variables)
    _check_front(variables.get("SERVER_SOFTWARE", ""))
    # RFC 9113 8.6: HTTP/2 has no 101, and nginx (1.22) makes a tunnel of the whole connection if it is given one.
    if head.http_version() != "1.1":
        raise RequestRejected(400, "a WebSocket handshake needs HTTP/1.1")
    if shows_connection or variables.header("connection") is not None:
        require_connection(variables)
    _check_version(variables)
    key = variables.header("sec-websocket-key")
    if key is None:
        raise RequestRejected(400, "Sec-WebSocket-Key is missing")
    if _key.fullmatch(key) is None:
        raise RequestRejected(400, "Sec-WebSocket-Key is not the base64 of 16 bytes")
    if origins is not None:
        _check_origin(head, origins)
    extensions = variables.header("sec-websocket-extensions")
    if extensions is not None:
        parse_extensions(extensions)  # refused now, not when the application accepts
    return Upgrade(key, parse_subprotocols(variables), extensions)


def _check_front(software: str) -> None:
    """Apache never makes a tunnel of an SCGI answer, lighttpd does from 1.4.74 on."""
    lighttpd = _lighttpd.match(software)
    if software.startswith("Apache") or (lighttpd is not None and int(lighttpd[1]) < 74):
        raise RequestRejected(
            501,
            f"{software.split(' ')[0][:40]} cannot carry WebSockets over SCGI; proxy them to the gateway's port for "
            "WebSockets (--websocket)",
        )


def _check_version(variables: Variables) -> None:
    version = variables.header("sec-websocket-version")
    if version != "13":
        # RFC 6455 4.4: the answer carries "a |Sec-WebSocket-Version| header field ... with all the versions the server
        # is willing to use".
        words = "Sec-WebSocket-Version is missing" if version is None else "an unknown WebSocket version"
        raise RequestRejected(426, f"{words}; this server has 13", (*UPGRADE_REQUIRED, ("Sec-WebSocket-Version", "13")))


def _check_origin(head: RequestHead, origins: tuple[str, ...]) -> None:
    origin = head.variables.header("origin")
    if origin is None:
        return
    allowed = {_own_origin(head) if entry == "same" else normal_origin(entry) for entry in origins}
    if normal_origin(origin) not in allowed:
        raise RequestRejected(403, "WebSockets may not be opened from this Origin")


def _own_origin(head: RequestHead) -> str | None:
    """The Origin a page of the request's own host has; ``None``, which equals no Origin, when the host is unknown."""
    host = head.variables.header("host")
    return normal_origin(f"{head.scheme()}://{host}") if host else None


def normal_origin(origin: str) -> str:
    """An Origin in one spelling (RFC 6454 6.1): lower case, no default port. What is none (``null``) stays as it is."""
    origin = origin.strip(" \t").lower()  # RFC 9110 5.6.3: no other white space, str.strip would take more
    match = _origin.fullmatch(origin)
    if match is None:
        return origin
    scheme, host, port = match.groups()
    if port is None or port == DEFAULT_PORTS.get(scheme):
        return f"{scheme}://{host}"
    return f"{scheme}://{host}:{port}"


def parse_subprotocols(variables: Variables) -> list[str]:
    """The client's ``Sec-WebSocket-Protocol``; ``RequestRejected`` (400) for anything but distinct tokens.

    RFC 6455 4.1: "The elements that comprise this value MUST be non-empty strings with characters in the range U+0021
    to U+007E not including separator characters ... and MUST all be unique strings."
    """
    value = variables.header("sec-websocket-protocol")
    if value is None:
        return []
    # RFC 9110 5.6.1.2: empty members of a list are to be ignored.
    names = [name for name in (member.strip(" \t") for member in value.split(",")) if name]
    if any(_subprotocol.fullmatch(name) is None for name in names):
        raise RequestRejected(400, "Sec-WebSocket-Protocol is not a list of tokens")
    if len(set(names)) != len(names):
        raise RequestRejected(400, "Sec-WebSocket-Protocol names a subprotocol twice")
    return names


def parse_extensions(value: str) -> list[tuple[str, list[tuple[str, str | None]]]]:
    """The members of ``Sec-WebSocket-Extensions`` (RFC 6455 9.1): name, and parameters with or without a value.

    Raises:
        RequestRejected: 400. "If a value is received ... that does not conform to the ABNF below, the recipient of such
            malformed data MUST immediately _Fail the WebSocket Connection_."
    """
    value = value.strip(" \t,")  # RFC 9110 5.6.1.2: empty members of a list are to be ignored.
    members = []
    at = 0
    while at < len(value):
        match = _token.match(value, at)
        if match is None:
            raise _malformed_extensions()
        name = match[0]
        parameters: list[tuple[str, str | None]] = []
        at = match.end()
        while (match := _parameter.match(value, at)) is not None:
            parameters.append((match[1].lower(), _parameter_value(match)))
            at = match.end()
        members.append((name.lower(), parameters))
        at = _skip_separator(value, at)
    return members


def _skip_separator(value: str, at: int) -> int:
    match = _separator.match(value, at)
    if match is None:
        raise _malformed_extensions()
    return match.end()


def _parameter_value(match: re.Match[str]) -> str | None:
    quoted = match[3]
    if quoted is None:
        return match[2]
    # RFC 6455 9.1: "the value after quoted-string unescaping MUST conform to the 'token' ABNF."
    text = re.sub(r"\\(.)", r"\1", quoted)
    if _token.fullmatch(text) is None:
        raise _malformed_extensions()
    return text


def _malformed_extensions() -> RequestRejected:
    return RequestRejected(400, "Sec-WebSocket-Extensions is malformed")


def negotiate_deflate(header: str | None, settings: WebSocketSettings) -> DeflateParams | None:
    """The first offer of permessage-deflate that can be met (RFC 7692 5.1: in the client's order of preference).

    Args:
        header: the client's ``Sec-WebSocket-Extensions``.
        settings: with ``deflate`` for whether it is enabled at all.

    Raises:
        RequestRejected: 400 for a header that is not in its grammar.
    """
    if not header or not settings.deflate:
        return None
    for name, parameters in parse_extensions(header):
        if name == "permessage-deflate":
            accepted = accept_offer(parameters)
            if accepted is not None:
                return accepted
    return None


def accept_token(key: str) -> str:
    """``Sec-WebSocket-Accept`` (RFC 6455 4.2.2, step 5.4)."""
    import hashlib  # loads OpenSSL's digests, which takes 3 ms of a start; a handshake that finds it there, 0.3 µs

    digest = hashlib.sha1((key + GUID).encode("ascii"), usedforsecurity=False).digest()
    return base64.b64encode(digest).decode("ascii")


def upgrade_headers(
    upgrade: Upgrade, subprotocol: str = "", deflate: DeflateParams | None = None
) -> list[tuple[str, str]]:
    """The header fields of the answer ``101 Switching Protocols``.

    Args:
        upgrade: the request's, from ``check_upgrade``.
        subprotocol: one of those offered, or empty for none.
        deflate: what ``negotiate_deflate`` agreed on.
    """
    headers = [*UPGRADE_REQUIRED, ("Sec-WebSocket-Accept", accept_token(upgrade.key))]
    if subprotocol:
        headers.append(("Sec-WebSocket-Protocol", subprotocol))
    if deflate is not None:
        headers.append(("Sec-WebSocket-Extensions", deflate.response()))
    return headers
