"""Which variables a web server sends by default, so that one can be played: ``--front``.

Recorded from nginx 1.22 with its stock ``scgi_params`` and ``fastcgi_params``, Apache 2.4 (proxy_scgi, proxy_fcgi),
lighttpd 1.4.69 with ``check-local`` off and ``fix-root-scriptname``, Caddy 2.6 (``transport fastcgi``) and HAProxy 2.6
(``fcgi-app``); tests/acgi/fronts has the recordings. A front's own version and paths are examples.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final
from urllib.parse import unquote_to_bytes

if TYPE_CHECKING:
    from ssgi_gateway.wire.client.request import Request

__all__ = ["FRONTS", "front_variables"]

Pairs = list[tuple[bytes, bytes]]

_NGINX_SCGI = """CONTENT_LENGTH=$length REQUEST_METHOD=$method REQUEST_URI=$uri QUERY_STRING=$query CONTENT_TYPE=$type
DOCUMENT_URI=$path DOCUMENT_ROOT=/var/www SCGI=1 SERVER_PROTOCOL=HTTP/1.1 REQUEST_SCHEME=$scheme HTTPS=$https?
REMOTE_ADDR=$remote REMOTE_PORT=$remote_port SERVER_PORT=$port SERVER_NAME=$name HTTP_HOST=$name *all"""
_NGINX_FASTCGI = """QUERY_STRING=$query REQUEST_METHOD=$method CONTENT_TYPE=$type CONTENT_LENGTH=$length_or_empty
SCRIPT_NAME=$path REQUEST_URI=$uri DOCUMENT_URI=$path DOCUMENT_ROOT=/var/www SERVER_PROTOCOL=HTTP/1.1
REQUEST_SCHEME=$scheme HTTPS=$https? GATEWAY_INTERFACE=CGI/1.1 SERVER_SOFTWARE=nginx/1.22.1 REMOTE_ADDR=$remote
REMOTE_PORT=$remote_port REMOTE_USER= SERVER_ADDR=127.0.0.1 SERVER_PORT=$port SERVER_NAME=$name REDIRECT_STATUS=200
HTTP_HOST=$name *all"""
_APACHE = """SERVER_SIGNATURE= SERVER_SOFTWARE=Apache/2.4 SERVER_NAME=$name SERVER_ADDR=127.0.0.1 SERVER_PORT=$port
REMOTE_ADDR=$remote DOCUMENT_ROOT=/var/www REQUEST_SCHEME=$scheme HTTPS=$https? CONTEXT_PREFIX=
CONTEXT_DOCUMENT_ROOT=/var/www SERVER_ADMIN=[no_address_given]"""
_APACHE_SCGI = f"""CONTENT_LENGTH=$length SCGI=1 HTTP_HOST=$host *typed PATH=/usr/sbin:/usr/bin:/sbin:/bin {_APACHE}
SCRIPT_FILENAME=proxy:scgi://localhost:4000$encoded REMOTE_PORT=$remote_port SERVER_PROTOCOL=HTTP/1.1
REQUEST_METHOD=$method QUERY_STRING=$query REQUEST_URI=$uri SCRIPT_NAME=$path"""
_APACHE_FASTCGI = f"""HTTP_HOST=$host *typed CONTENT_LENGTH=$length? PATH=/usr/sbin:/usr/bin:/sbin:/bin {_APACHE}
SCRIPT_FILENAME=proxy:fcgi://localhost:4000$encoded REMOTE_PORT=$remote_port GATEWAY_INTERFACE=CGI/1.1
SERVER_PROTOCOL=HTTP/1.1 REQUEST_METHOD=$method QUERY_STRING=$query REQUEST_URI=$uri SCRIPT_NAME=$path"""
_LIGHTTPD = """CONTENT_LENGTH=$length QUERY_STRING=$query REQUEST_URI=$uri REDIRECT_STATUS=200 SCRIPT_NAME=
PATH_INFO=$path PATH_TRANSLATED=/var/www$path SCRIPT_FILENAME=/var/www/ DOCUMENT_ROOT=/var/www REQUEST_METHOD=$method
SERVER_PROTOCOL=HTTP/1.1 SERVER_SOFTWARE=lighttpd/1.4.69 GATEWAY_INTERFACE=CGI/1.1 REQUEST_SCHEME=$scheme HTTPS=$https?
SERVER_PORT=$port SERVER_ADDR=127.0.0.1 SERVER_NAME=$name REMOTE_ADDR=$remote REMOTE_PORT=$remote_port
HTTP_HOST=$host *typed_and_length"""
_CADDY = """REMOTE_IDENT= REMOTE_PORT=$remote_port HTTP_X_FORWARDED_PROTO=$scheme AUTH_TYPE= CONTENT_TYPE=$type
QUERY_STRING=$query CONTENT_LENGTH=$length DOCUMENT_URI= REQUEST_URI=$uri SCRIPT_NAME= GATEWAY_INTERFACE=CGI/1.1
PATH_INFO=$path REMOTE_ADDR=$remote SERVER_PORT=$port SERVER_NAME=$name REMOTE_USER= REQUEST_SCHEME=$scheme
HTTPS=$https? DOCUMENT_ROOT=/var/www *all REMOTE_HOST=$remote HTTP_HOST=$host SCRIPT_FILENAME=/var/www
PATH_TRANSLATED=/var/www$path HTTP_X_FORWARDED_HOST=$host HTTP_X_FORWARDED_FOR=$remote REQUEST_METHOD=$method
SERVER_PROTOCOL=HTTP/1.1 SERVER_SOFTWARE=Caddy/2.6.2"""
_HAPROXY = """HTTP_HOST=$host *typed CONTENT_LENGTH=$length GATEWAY_INTERFACE=CGI/1.1 DOCUMENT_ROOT=/var/www
SCRIPT_NAME=$path REQUEST_URI=$uri REQUEST_METHOD=$method QUERY_STRING=$query? SERVER_NAME=$host SERVER_PORT=$port
HTTPS=$https? SERVER_PROTOCOL=HTTP/1.1 REMOTE_ADDR=$remote REMOTE_PORT=$remote_port SCRIPT_FILENAME=/var/www$path
SERVER_SOFTWARE=HAProxy"""

FRONTS: Final[dict[str, dict[str, str]]] = {
    "nginx": {"scgi": _NGINX_SCGI, "fastcgi": _NGINX_FASTCGI},
    "apache": {"scgi": _APACHE_SCGI, "fastcgi": _APACHE_FASTCGI},
    "lighttpd": {"scgi": f"{_LIGHTTPD} SCGI=1", "fastcgi": _LIGHTTPD},
    "caddy": {"fastcgi": _CADDY},
    "haproxy": {"fastcgi": _HAPROXY},
}
"""By front and protocol. ``$name`` is a fact of the request, ``?`` leaves an empty one out, ``*`` inserts headers:
``*all`` as HTTP_ variables, ``*typed`` with CONTENT_TYPE under its own name."""


def front_variables(front: str, protocol: str, request: Request, length: int, secure: bool, remote: str) -> Pairs:
    """The variables of this request as ``front`` would send them.

    Args:
        front: one of ``FRONTS``.
        protocol: ``"scgi"`` or ``"fastcgi"``; the front must have it.
        request: what to send.
        length: of the body, or -1.
        secure: whether the client came by https.
        remote: the client's address.
    """
    path, _, query = request.target.partition("?")
    headers = dict(request.headers)
    host = headers.get(b"host", b"localhost").decode("latin-1")
    name, colon, port = host.rpartition(":")
    if not colon or not port.isdigit():
        name, port = host, "443" if secure else "80"
    has_body = request.has_body or length > 0
    facts = {
        "method": request.method.encode(),
        "uri": request.target.encode(),
        "query": query.encode(),
        "path": unquote_to_bytes(path),
        "encoded": path.encode(),
        "length": b"%d" % length if length >= 0 else b"",
        "length_or_empty": b"%d" % length if has_body and length >= 0 else b"",
        "type": headers.get(b"content-type", b""),
        "scheme": b"https" if secure else b"http",
        "https": b"on" if secure else b"",
        "host": host.encode("latin-1"),
        "name": name.encode("latin-1"),
        "port": port.encode(),
        "remote": remote.encode(),
        "remote_port": b"40000",
    }
    pairs: Pairs = []
    for word in FRONTS[front][protocol].split():
        if word.startswith("*"):
            pairs += _headers(request, word[1:], length if has_body else -1)
            continue
        key, _, value = word.partition("=")
        made = _value(value.removesuffix("?"), facts)
        if not value.endswith("?") or (made and (key != "CONTENT_LENGTH" or has_body)):
            pairs.append((key.encode(), made))
    return pairs


def _value(text: str, facts: dict[str, bytes]) -> bytes:
    before, dollar, name = text.partition("$")
    return before.replace("_address_", " address ").encode() + (facts[name] if dollar else b"")


def _headers(request: Request, how: str, length: int) -> Pairs:
    pairs: Pairs = []
    for name, value in request.headers:
        if name == b"host":
            continue
        if how != "all" and name == b"content-type":
            pairs.append((b"CONTENT_TYPE", value))
        elif name != b"content-length":
            pairs.append((b"HTTP_" + name.upper().replace(b"-", b"_"), value))
    if how != "typed" and length >= 0:
        pairs.append((b"HTTP_CONTENT_LENGTH", b"%d" % length))
    return pairs
