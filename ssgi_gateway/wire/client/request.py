"""A request of the client, checked: what all four protocols write is made of this.

Everything that an application may get wrong in a request is found here, before a byte is written, and is a
``LocalProtocolError``. No sockets, no clock.
"""

from __future__ import annotations

import re
from functools import lru_cache
from typing import TYPE_CHECKING, Any, Final, NamedTuple
from urllib.parse import urlsplit

from ssgi_gateway.errors import LocalProtocolError
from ssgi_gateway.wire.grammar import is_token, parse_length

if TYPE_CHECKING:
    from collections.abc import Iterable

    from .events import Headers

__all__ = ["HOP_BY_HOP", "Request", "Url", "parse_url"]

PORTS: Final = {"http": 80, "https": 443, "scgi": 0, "fcgi": 0}

IDEMPOTENT: Final = frozenset(("GET", "HEAD", "OPTIONS", "TRACE", "PUT", "DELETE"))
"""RFC 9110 9.2.2: to send one of these twice has the effect of sending it once."""

EXPECT_BODY: Final = frozenset(("POST", "PUT", "PATCH"))
"""Methods that have a Content-Length even when there is no body (RFC 9110 8.6)."""

HOP_BY_HOP: Final = frozenset((b"connection", b"keep-alive", b"proxy-connection", b"transfer-encoding", b"upgrade"))
"""What concerns one HTTP/1.1 connection only (RFC 9110 7.6.1, RFC 9113 8.2.2)."""

_CONTROL: Final = re.compile(r"[\x00-\x1f\x7f]")
_BAD_VALUE: Final = re.compile(rb"[\r\n\0]")
_HOST: Final = re.compile(r"[A-Za-z0-9._~!$&'()*+,;=%-]+|[0-9A-Fa-f:.]+(?:%[A-Za-z0-9._~-]+)?")
"""A name, or an address, of RFC 3986 3.2.2."""
_UNSAFE: Final = re.compile(r"[^\x21-\x7e]")


class Url(NamedTuple):
    """A url taken apart.

    ``path`` is the unix socket's, or ``""``; ``target`` is a request line's; ``authority`` is the Host header.
    """

    scheme: str
    host: str
    port: int
    path: str
    target: str
    authority: str


@lru_cache(maxsize=1024)
def parse_url(text: str) -> Url:
    """Take a url apart: ``http``, ``https``, ``scgi``, ``fcgi``; ``scheme://unix:/run/app.sock:/path`` as nginx has it.

    The fragment is dropped, the query kept, what is not ASCII percent-encoded.

    Raises:
        LocalProtocolError: it is no url for this client; the message says what to write.
    """
    scheme, mark, rest = text.partition("://")
    scheme = scheme.lower()
    if not mark or scheme not in PORTS:
        raise LocalProtocolError(f"{text!r} is no url for this client: write http://, https://, scgi:// or fcgi://")
    if _CONTROL.search(text):
        raise LocalProtocolError(f"{text!r} holds a control character")
    if rest.startswith("unix:"):
        path, _, target = rest[5:].partition(":")
        if not path.startswith("/"):
            raise LocalProtocolError(f"{text!r}: a unix socket is unix:/path:/target")
        return Url(scheme, "localhost", 0, path, _target(target), "localhost")
    try:
        parts = urlsplit(text)
        port = parts.port
    except ValueError as error:
        raise LocalProtocolError(f"{text!r}: {error}") from None
    if "@" in parts.netloc:
        raise LocalProtocolError("a url with a user and a password; send an authorization header instead")
    host = _ascii_host(parts.hostname or "")
    if not host:
        raise LocalProtocolError(f"{text!r} names no host")
    if not _HOST.fullmatch(host):
        raise LocalProtocolError(f"{host!r} is no host")
    if port is None:
        port = PORTS[scheme]
    if not port:
        raise LocalProtocolError(f"{text!r} names no port; {scheme} has none of its own")
    authority = f"[{host}]" if ":" in host else host
    if port != PORTS[scheme]:
        authority = f"{authority}:{port}"
    tail = rest[len(parts.netloc) :]
    return Url(scheme, host, port, "", _target(tail), authority)


def _target(tail: str) -> str:
    """Path and query, percent-encoded where they are not ASCII; the fragment is not the server's business."""
    tail = tail.partition("#")[0]
    if not tail.startswith("/"):
        tail = f"/{tail}"
    try:
        return _UNSAFE.sub(_percent_encoded, tail)
    except UnicodeEncodeError:
        raise LocalProtocolError(f"{tail!r} is no text; percent-encode the bytes that it holds") from None


def _percent_encoded(match: re.Match[str]) -> str:
    return "".join(f"%{byte:02X}" for byte in match[0].encode("utf-8", "surrogateescape"))


def _ascii_host(host: str) -> str:
    if host.isascii():
        return host
    try:
        import idna
    except ImportError:
        raise LocalProtocolError(f"{host!r} is not ASCII; install idna, or write its xn-- form") from None
    try:
        return idna.encode(host, uts46=True).decode()
    except idna.IDNAError as error:
        raise LocalProtocolError(f"{host!r} is no host: {error}") from None


class Request:
    """A checked request.

    Attributes:
        url: where it goes.
        method: as the application wrote it.
        target: the request line's.
        headers: names in lower case, ``host`` first unless it was given; no Content-Length is added here.
        body: the first piece of the body, bytes-like.
        more: whether further pieces follow.
        length: the body's declared length, or -1.
        cgi: CGI variables to add, to replace, or to remove (``None``).
        informational: whether the application receives 1xx answers.
    """

    __slots__ = (
        "body",
        "cgi",
        "chunked",
        "expect",
        "headers",
        "informational",
        "length",
        "method",
        "more",
        "target",
        "timeout",
        "upgrade",
        "url",
    )

    def __init__(
        self,
        method: str,
        url: str | Url,
        headers: Iterable[tuple[bytes, bytes]] = (),
        body: Any = b"",
        more: bool = False,
        extensions: dict[str, Any] | None = None,
    ) -> None:
        if type(method) is not str or not is_token(method):
            raise LocalProtocolError(f"{method!r} is no method")
        self.url = url = parse_url(url) if isinstance(url, str) else url
        self.method = method
        self.target = url.target
        if method == "CONNECT":
            self.target = url.authority if ":" in url.authority else f"{url.authority}:{url.port}"
        elif method == "OPTIONS" and url.target == "/*":
            self.target = "*"  # RFC 9112 3.2.4; a url cannot express it otherwise
        self.body = b"" if body is None else body
        self.more = more
        self.length = -1
        self.chunked = self.expect = self.upgrade = False
        self._set_headers(headers)
        self._check_framing()
        extensions = extensions or {}
        self.informational = "http.response.informational" in extensions
        self.cgi: dict[str, str | None] = extensions.get("cgi") or {}
        if self.cgi:
            _check_variables(self.cgi)
        self.timeout: Any = extensions.get("timeout")

    @property
    def idempotent(self) -> bool:
        """Whether it may be sent again when its outcome is unknown."""
        return self.method in IDEMPOTENT

    @property
    def has_body(self) -> bool:
        """Whether there is, or will be, a body."""
        return self.more or len(self.body) > 0

    def _set_headers(self, headers: Iterable[tuple[bytes, bytes]]) -> None:
        checked: Headers = []
        host = False
        try:
            for name, value in headers:
                lower = _checked_name(name)
                if type(value) is not bytes:
                    value = bytes(memoryview(value))  # it is remembered, so it must not change
                if _BAD_VALUE.search(value):
                    raise LocalProtocolError(f"the value of {name!r} holds CR, LF or NUL")
                if lower in _SPECIAL:
                    host = host or lower == b"host"
                    self._note(lower, value)
                checked.append((lower, value))
        except (AttributeError, TypeError, ValueError):
            raise LocalProtocolError("headers are pairs of bytes: [(b'accept', b'*/*')]") from None
        if not host:
            checked.insert(0, (b"host", self.url.authority.encode()))
        self.headers = checked

    def _note(self, name: bytes, value: bytes) -> None:
        """Remember what the framing of the body depends on."""
        if name == b"content-length":
            length = parse_length(value.decode("latin-1"))
            if length < 0 or self.length not in (-1, length):
                raise LocalProtocolError(f"content-length {value!r} is no length, or a second one")
            self.length = length
        elif name == b"transfer-encoding":
            if value.lower() != b"chunked":
                raise LocalProtocolError(f"transfer-encoding {value!r}: only chunked can be sent")
            self.chunked = True
        elif name == b"expect":
            self.expect = value.lower() == b"100-continue"
        elif name == b"upgrade":
            self.upgrade = True

    def _check_framing(self) -> None:
        if self.chunked and self.length >= 0:
            raise LocalProtocolError("both content-length and transfer-encoding")
        try:
            size = len(self.body)
            memoryview(self.body)
        except TypeError:
            raise LocalProtocolError(f"a body is bytes, not {type(self.body).__name__}") from None
        if self.length >= 0 and (size > self.length or (not self.more and size != self.length)):
            raise LocalProtocolError(f"content-length says {self.length}, the body has {size} bytes")


def _check_variables(cgi: Any) -> None:
    """``extensions["cgi"]``: names, and values of text, or ``None`` to remove one."""
    if not isinstance(cgi, dict):
        raise LocalProtocolError(f"extensions['cgi'] is a dict of CGI variables, not {type(cgi).__name__}")
    for name, value in cgi.items():
        if not isinstance(name, str) or not name or not name.isascii() or "\0" in name:
            raise LocalProtocolError(f"{name!r} is no name of a CGI variable")
        if value is not None and (not isinstance(value, str) or "\0" in value):
            raise LocalProtocolError(f"the CGI variable {name} is a str without NUL, or None; not {value!r}")


_SPECIAL: Final = frozenset((b"host", b"content-length", b"transfer-encoding", b"expect", b"upgrade"))


@lru_cache(maxsize=512)
def _checked_name(name: bytes) -> bytes:
    if not is_token(name.decode("latin-1")):
        raise LocalProtocolError(f"{name!r} is no header name")
    return name.lower()
