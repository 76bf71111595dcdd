"""A request of the client as CGI variables (RFC 3875 4.1), for SCGI and FastCGI.

The order is that of the ACGI page: CONTENT_LENGTH comes first, as SCGI requires.
"""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING, Final
from urllib.parse import unquote_to_bytes

if TYPE_CHECKING:
    from .request import Request

__all__ = ["cgi_variables", "key_of", "usual_variables"]

Pairs = list[tuple[bytes, bytes]]

_NOT_SENT: Final = frozenset(
    (b"content-type", b"content-length", b"keep-alive", b"proxy-connection", b"transfer-encoding", b"proxy", b"te")
)
"""Headers that have a variable of their own or concern one connection; ``HTTP_PROXY`` is what httpoxy was about."""


def cgi_variables(request: Request, length: int, scgi: bool) -> Pairs:
    """Names and values.

    Args:
        request: what to send.
        length: of the body, or -1 where the protocol carries its end.
        scgi: whether this is SCGI, whose requests have a variable for it.
    """
    pairs = list(usual_variables(*key_of(request, length, scgi)))
    return _overridden(pairs, request.cgi) if request.cgi else pairs


Key = tuple[str, str, tuple[tuple[bytes, bytes], ...], str, str, bool, int, bool]


def key_of(request: Request, length: int, scgi: bool) -> Key:
    """All that the usual variables depend on, by which their bytes can be remembered."""
    url = request.url
    scheme = _scheme(request) if request.cgi or url.scheme == "https" else "http"
    fields = tuple(request.headers)
    return request.method, request.target, fields, url.authority, scheme, request.upgrade, length, scgi


def usual_variables(
    method: str,
    target: str,
    fields: tuple[tuple[bytes, bytes], ...],
    authority: str,
    scheme: str,
    upgrade: bool,
    length: int,
    scgi: bool,
) -> Pairs:
    """Those that follow from a request, before ``extensions["cgi"]`` changes them."""
    pairs: Pairs = [(b"CONTENT_LENGTH", b"%d" % length)] if length >= 0 else []
    if scgi:
        pairs.append((b"SCGI", b"1"))
    pairs.append((b"REQUEST_METHOD", method.encode()))
    pairs += _of_target(target)
    pairs += _of_headers(fields, authority, scheme, upgrade)
    return pairs


@lru_cache(maxsize=64)
def _of_headers(
    fields: tuple[tuple[bytes, bytes], ...], authority: str, scheme: str, upgrade: bool
) -> tuple[tuple[bytes, bytes], ...]:
    """What a client of one gateway sends each time; large headers are kept, too, but only 64 sets of them."""
    host = authority.encode()
    headers: dict[bytes, bytes] = {}
    content_type = None
    for name, value in fields:
        if name == b"host":
            host = value
        if name == b"content-type":
            content_type = value
        elif name in _NOT_SENT or name.startswith(b"proxy-") or (name == b"connection" and not upgrade):
            continue
        else:
            variable = _variable(name)
            # Two headers that become one variable are joined (RFC 9110 5.3), cookies by theirs (RFC 6265 5.4).
            known = headers.get(variable)
            separator = b"; " if name == b"cookie" else b", "
            headers[variable] = value if known is None else known + separator + value
    typed = [] if content_type is None else [(b"CONTENT_TYPE", content_type)]
    return (*_of_url(host, scheme), *typed, *headers.items())


def _scheme(request: Request) -> str:
    """``scgi://`` and ``fcgi://`` mean http unless the variables have another scheme."""
    if not request.cgi:
        return "https" if request.url.scheme == "https" else "http"
    named = request.cgi.get("REQUEST_SCHEME")
    secure = request.url.scheme == "https" or request.cgi.get("HTTPS") == "on"
    return named or ("https" if secure else "http")


@lru_cache(maxsize=512)
def _variable(name: bytes) -> bytes:
    return b"HTTP_" + name.upper().replace(b"-", b"_")


@lru_cache(maxsize=512)
def _of_target(target: str) -> Pairs:
    path, _, query = target.partition("?")
    return [
        (b"REQUEST_URI", target.encode()),
        (b"QUERY_STRING", query.encode()),
        (b"SCRIPT_NAME", b""),
        (b"PATH_INFO", unquote_to_bytes(path)),
    ]


@lru_cache(maxsize=128)
def _of_url(authority: bytes, scheme: str) -> Pairs:
    name, colon, port = authority.rpartition(b":")
    if not colon or not port.isdigit():
        name, port = authority, b"443" if scheme == "https" else b"80"
    pairs = [
        (b"SERVER_PROTOCOL", b"HTTP/1.1"),
        (b"GATEWAY_INTERFACE", b"CGI/1.1"),
        (b"REQUEST_SCHEME", scheme.encode()),
    ]
    if scheme == "https":
        pairs.append((b"HTTPS", b"on"))
    return [
        *pairs,
        (b"REMOTE_ADDR", b"127.0.0.1"),
        (b"REMOTE_PORT", b"0"),
        (b"SERVER_NAME", name),
        (b"SERVER_PORT", port),
    ]


def _overridden(pairs: Pairs, changes: dict[str, str | None]) -> Pairs:
    """Add, replace, or with ``None`` remove; a replaced variable keeps its place, a new one comes last."""
    left = {name.encode("latin-1"): value for name, value in changes.items()}
    changed: Pairs = []
    for name, value in pairs:
        new = left.pop(name, value)
        if new is not None:
            changed.append((name, new if isinstance(new, bytes) else new.encode("utf-8", "surrogateescape")))
    for name, new in left.items():
        if new is not None:
            changed.append((name, new if isinstance(new, bytes) else new.encode("utf-8", "surrogateescape")))
    return changed
