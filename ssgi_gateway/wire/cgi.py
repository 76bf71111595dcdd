r"""CGI semantics (RFC 3875): what a request's variables mean.

Written only in terms of ``variables.get`` and ``header``, so that it serves SCGI, FastCGI and upgraded HTTP alike,
and whatever class the variables are of. The compiled build has its own ``RequestHead``, which reads the usual request
in place and leaves the others to the functions of this module.

The path an application sees is the client's, from REQUEST_URI: percent-decoded once, never what the web server made
of it by rewriting. Each kind of REQUEST_URI has a defined outcome (RFC 9112 3.2):

=====================  ============================================================================================
REQUEST_URI            path
=====================  ============================================================================================
``/a%20b?q``           ``/a b``
``http://h/a?q``       ``/a``; ``/`` where nothing follows the host, which is the web server's to look at
``*``                  ``*``
``/a#b``               ``/a``: a fragment is no part of a request, nginx cuts it off as well
``/a%zz%``             ``/a%zz%``: what is no escape stays as it is
a raw byte ``\xff``    ``\udcff``, as for ``%ff``: a lone surrogate (``surrogateescape``)
``%00``, raw NUL       400: files and databases would cut the path there
empty, or none         SCRIPT_NAME and PATH_INFO, or DOCUMENT_URI, which are decoded already; otherwise ``/``
anything else          400, the authority form of CONNECT included
=====================  ============================================================================================

``raw_path`` is ``path`` before it was decoded: always ``unquote(raw_path) == path``.
"""

from __future__ import annotations

from typing import Final

from ssgi_gateway.errors import RequestRejected

from .addresses import http_version, remote_address, scheme, server_address, split_address
from .grammar import is_token, list_members, parse_length
from .percent import quote, to_unicode, unquote
from .response_head import REASONS, ResponseHead
from .variables import Variables

__all__ = [
    "REASONS",
    "RequestHead",
    "ResponseHead",
    "Variables",
    "body_length",
    "parse_head",
    "read_content_length",
]

MAX_METHOD: Final = 64
"""The longest registered method, UPDATEREDIRECTREF, has 17 letters (IANA)."""

METHODS: Final = frozenset(("GET", "POST", "HEAD", "PUT", "DELETE", "OPTIONS", "PATCH"))  # nothing to check here


class RequestHead:
    """What an SSGI call needs of a request; the rest is worked out when it is read.

    Args:
        variables: the request's variables.
        root_path: overrides where the application is mounted by the web server; may be empty.
        started_by_front: see ``find_root_path``.

    Attributes:
        method: as received.
        path: decoded, Unicode; it begins with the root path.
        raw_path: the path before it was decoded, latin-1.
        query_string: without ``?``, not decoded, latin-1.
        server_address: ``host:port``, see ``wire.addresses``.
        remote_address: likewise.
        is_upgrade: whether a WebSocket is requested (RFC 6455 4.1). Whether that is valid is for the
            handshake to see.
        variables: where all this comes from.

    Raises:
        RequestRejected: 400, no usable REQUEST_METHOD or REQUEST_URI.
    """

    __slots__ = (
        "_root_path",
        "_started_by_front",
        "is_upgrade",
        "method",
        "path",
        "query_string",
        "raw_path",
        "remote_address",
        "server_address",
        "variables",
    )

    def __init__(self, variables: Variables, root_path: str | None = None, started_by_front: bool = False) -> None:
        method = variables.get("REQUEST_METHOD", "")
        if method not in METHODS:
            check_method(method)
        uri = variables.get("REQUEST_URI", "")
        if uri:
            raw_path, query = split_uri(uri)
            path = unquote(raw_path)
        else:
            path, query = rebuild_path(variables), ""
            raw_path = quote(path)
        if "\0" in path:
            raise RequestRejected(400, "the path has a NUL in it")
        self.method = method
        self.path = path
        self.raw_path = raw_path
        self.query_string = variables.get("QUERY_STRING", query)
        self.server_address = server_address(variables)
        self.remote_address = remote_address(variables)
        self.is_upgrade = method == "GET" and "HTTP_UPGRADE" in variables and is_websocket(variables)
        self.variables = variables
        self._root_path = root_path
        self._started_by_front = started_by_front

    def client(self) -> tuple[str, int] | None:
        """The client's host and port, as ``addresses.split_address`` has them."""
        return split_address(self.remote_address)

    def root_path(self) -> str:
        """Where the application is mounted, without a slash at its end: ``""`` at the root."""
        if self._root_path is not None:
            return self._root_path.rstrip("/")
        return find_root_path(self.variables, self.path, self._started_by_front)

    def scheme(self) -> str:
        """``"http"`` or ``"https"``."""
        return scheme(self.variables)

    def http_version(self) -> str:
        """Of the client's request: ``"1.0"``, ``"1.1"``, ``"2"``, ``"3"``."""
        return http_version(self.variables)

    def __repr__(self) -> str:
        return f"<RequestHead {self.method} {self.raw_path!r}>"


def parse_head(variables: Variables, root_path: str | None = None, started_by_front: bool = False) -> RequestHead:
    """Read the variables of a request.

    Args:
        variables: as a codec reported them.
        root_path: the setting; ``None`` leaves it to the web server.
        started_by_front: see ``find_root_path``.

    Raises:
        RequestRejected: 400, no usable REQUEST_METHOD or REQUEST_URI.
    """
    return RequestHead(variables, root_path, started_by_front)


def check_method(method: str) -> None:
    """See that a method is one.

    Raises:
        RequestRejected: 400, it is no token; 501, it is longer than any (RFC 9112 3: "A server that receives a method
            longer than any that it implements SHOULD respond with a 501").
    """
    if not is_token(method):
        raise RequestRejected(400, f"REQUEST_METHOD is {method[:40]!r}" if method else "REQUEST_METHOD is missing")
    if len(method) > MAX_METHOD:
        raise RequestRejected(501, f"REQUEST_METHOD has {len(method)} letters")


def body_length(variables: Variables) -> int:
    """The length of the body that CONTENT_LENGTH declares, in bytes; -1 where it is absent or empty.

    Raises:
        RequestRejected: 400, it is no number (``+5``, `` 5``, ``1_0``, ``-1``, 19 digits).
    """
    text = variables.get("CONTENT_LENGTH")
    return read_content_length(text) if text else -1


def read_content_length(text: str) -> int:
    """The number that a CONTENT_LENGTH is.

    Raises:
        RequestRejected: 400, as ``body_length``, and for an empty one.
    """
    length = parse_length(text)
    if length < 0:
        raise RequestRejected(400, f"CONTENT_LENGTH is {text[:40]!r}, not a number of bytes")
    return length


def split_uri(uri: str) -> tuple[str, str]:
    """Split a REQUEST_URI into the raw path and the query."""
    target = uri.partition("#")[0]
    if target[:1] not in ("/", "?", "") and target != "*":
        # The absolute form: the web server has looked at the host (RFC 9112 3.2.2), the path begins behind it.
        name, mark, rest = target.partition("://")
        if not (mark and name.isalpha()):
            raise RequestRejected(400, f"REQUEST_URI is {uri[:40]!r}, which is no path")
        authority = rest.partition("?")[0].partition("/")[0]
        target = rest[len(authority) :]
    raw_path, _, query = target.partition("?")
    return raw_path or "/", query


def rebuild_path(variables: Variables) -> str:
    """The decoded path of a request that came without a REQUEST_URI (RFC 3875 4.1.5, 4.1.13)."""
    path = variables.get("SCRIPT_NAME", "")
    if info := variables.get("PATH_INFO"):
        path = path.rstrip("/") + info
    path = to_unicode(path or variables.get("DOCUMENT_URI", ""))
    return path if path[:1] == "/" else f"/{path}"


def find_root_path(variables: Variables, path: str, started_by_front: bool = False) -> str:
    """Where the application is mounted, by what web servers make of SCRIPT_NAME and PATH_INFO.

    1. SCRIPT_NAME, where the client's path begins with it, segment for segment, and is more than that. A script that
       was chosen by rewriting is not in the client's path, and then no link may have it either.
    2. Otherwise what stands before PATH_INFO, where the client's path ends with that: the web server has cut the rest
       off. Apache's NoDecode leaves ``%2F`` in it. But not where dot segments stand there: nginx has taken them out of
       the path that its stock uwsgi_params call PATH_INFO, and nothing is mounted at ``/a/..``.
    3. Otherwise nothing. A SCRIPT_NAME that is the whole path is where the client went and not where anything is
       mounted (nginx's ``fastcgi_params``, Apache's mod_proxy_fcgi, HAProxy). It is the mount, requested without its
       slash, in two cases: the web server itself has started the program, whose own path this is; or it is nginx over
       SCGI, whose parameters have no SCRIPT_NAME, so that a configuration has this one.

    What stays undecided is such a mount, ``/shop``, over FastCGI and uwsgi: it is taken for a path.

    Args:
        variables: the request's.
        path: the client's, decoded.
        started_by_front: whether the web server has started this program (FastCGI on descriptor 0, CGI).
    """
    name = to_unicode(variables.get("SCRIPT_NAME", ""))
    script = name.rstrip("/")
    inside = script != "" and (path == script or path.startswith(f"{script}/"))
    if inside and name != path:
        return script
    raw = variables.get("PATH_INFO", "")
    if raw[:1] == "/":
        for info in (to_unicode(raw), unquote(raw)):
            if path.endswith(info):
                mount = path[: len(path) - len(info)].rstrip("/")
                return "" if {".", ".."}.intersection(mount.split("/")) else mount
        return ""
    return script if inside and (started_by_front or is_written(variables)) else ""


def is_written(variables: Variables) -> bool:
    """Whether SCRIPT_NAME comes from nginx over SCGI.

    DOCUMENT_URI is nginx's alone, and who makes SCRIPT_NAME of the path sends PATH_INFO beside it.
    """
    return variables.get("SCGI") == "1" and "DOCUMENT_URI" in variables and "PATH_INFO" not in variables


def is_websocket(variables: Variables) -> bool:
    """Whether a WebSocket is requested, validly or not.

    Upgrade names websocket. Connection, if the web server passes it on, names Upgrade (RFC 9110 7.8: otherwise Upgrade
    is to be ignored), or there is a key that nothing but a handshake has: it is one with a mistake, then.
    """
    if "websocket" not in list_members(variables.get("HTTP_UPGRADE", "")):
        return False
    connection = variables.get("HTTP_CONNECTION")
    return connection is None or "upgrade" in list_members(connection) or "HTTP_SEC_WEBSOCKET_KEY" in variables
