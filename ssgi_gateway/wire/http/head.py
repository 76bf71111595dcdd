"""The head of an HTTP/1.1 request, read by h11: as CGI variables, and the framing of its body, and its connection.

The rules of this module are those of RFC 9112, and where the RFC leaves a choice, the strict one, because anyone who
stands in front of us may have chosen otherwise (section 11.2, request smuggling):

* Lines end with CRLF; a bare CR or LF is 400, and so is any other control character, and a folded line (5.2).
* One Content-Length, which is digits, or one Transfer-Encoding, which is ``chunked``, and never both (6.3). Another
  coding is 501 (6.1). HTTP/1.0 knows no transfer codings.
* HTTP/1.1 has one Host, and it is one (3.2). The authority of an absolute target stands above it (3.2.2).
* Names with an underscore are left out, as nginx does: as variables ``X_Forwarded_For`` and ``X-Forwarded-For`` are the
  same.

The compiled build has its own class of this name, which reads what is usual where it lies. What is not, errors
included, both builds leave to ``interpret``.
"""

from __future__ import annotations

import re
from typing import Final

import h11

from ssgi_gateway.errors import RequestRejected
from ssgi_gateway.wire.addresses import is_host
from ssgi_gateway.wire.hints import hint

from ..variables import Variables

__all__ = ["CHUNKED", "RequestHead1", "interpret", "netstring", "read_head"]

CHUNKED: Final = -1
"""The length of a body in chunks."""

MAX_DIGITS: Final = 18
"""Of a Content-Length: an exabyte, and within 63 bits."""

_control = re.compile(rb"[\x00-\x08\x0a-\x1f\x7f]")
_version = re.compile(rb" HTTP/([0-9])\.([0-9])\Z")
_FRAMING: Final = (b"content-length", b"transfer-encoding")


class RequestHead1:
    """What a head holds.

    Attributes:
        variables: the request, as a web server would have passed it on.
        length: of the body in bytes; ``CHUNKED`` for one in chunks.
        minor: 1 for HTTP/1.1, 0 for HTTP/1.0.
        keep: the client is going to use the connection again.
        expects: the client waits for ``100 Continue`` before it sends the body.
        is_head: it requests the head of an answer alone.
    """

    __slots__ = ("expects", "is_head", "keep", "length", "minor", "variables")

    def __init__(self, variables: Variables, length: int, minor: int, keep: bool, expects: bool, is_head: bool) -> None:
        self.variables = variables
        self.length = length
        self.minor = minor
        self.keep = keep
        self.expects = expects
        self.is_head = is_head


def netstring(pairs: list[tuple[bytes, bytes]]) -> bytes:
    """Variables as ``name NUL value NUL ...``: the form of those that ``read_head`` adds to each request."""
    return b"".join(b"%b\0%b\0" % pair for pair in pairs)


def read_head(block: bytes, start: int, end: int, around: bytes, most: int) -> RequestHead1:
    """Read a head.

    Args:
        block: holds it from ``start`` to ``end``, the empty line included.
        start: where its first line begins.
        end: behind the empty line.
        around: variables that every request of the connection has, as ``netstring`` makes them.
        most: fields that are allowed.

    Raises:
        RequestRejected: it is none, or requests what is not here: 400, 417, 431, 501 or 505.
    """
    pairs, length, minor, keep, expects, is_head = interpret(block[start:end], around, most)
    return RequestHead1(Variables(pairs), length, minor, keep, expects, is_head)


def interpret(block: bytes, around: bytes, most: int) -> tuple[list[tuple[bytes, bytes]], int, int, bool, bool, bool]:
    """What ``block``, a whole head, holds: the variables, and the attributes of ``RequestHead1`` behind them.

    Raises:
        RequestRejected: as ``read_head``.
    """
    lines = block[:-4].split(b"\r\n")
    check_lines(lines, most)
    request = _parse(block)
    minor = 0 if request.http_version == b"1.0" else 1
    fields = [(name, value) for name, value in request.headers if b"_" not in name]
    found: dict[bytes, bytes] = dict(fields)  # of one that may stand twice the last; enough for those looked at here
    host = check_target(request.method, request.target, found.get(b"host"))
    pairs = [
        (b"REQUEST_METHOD", request.method),
        (b"REQUEST_URI", request.target),
        (b"QUERY_STRING", request.target.partition(b"?")[2]),
        (b"SERVER_PROTOCOL", b"HTTP/1.0" if minor == 0 else b"HTTP/1.1"),
    ]
    for name, value in fields:
        name = name.upper().replace(b"-", b"_")
        if name == b"HOST":
            value = host
        pairs.append((name if name in (b"CONTENT_LENGTH", b"CONTENT_TYPE") else b"HTTP_" + name, value))
    if host and b"host" not in found:
        pairs.append((b"HTTP_HOST", host))
    words = around.split(b"\0")
    pairs += zip(words[:-1:2], words[1::2], strict=True)
    length = body_length(found, minor)
    tokens = {token.strip().lower() for name, value in fields if name == b"connection" for token in value.split(b",")}
    keep = b"close" not in tokens if minor else b"keep-alive" in tokens and b"close" not in tokens
    return pairs, length, minor, keep, _expects(found, minor), request.method == b"HEAD"


def check_lines(lines: list[bytes], most: int) -> None:
    """What h11 lets through, and its version."""
    if len(lines) - 1 > most:
        raise RequestRejected(431, f"the request's head has more than {most} fields")
    if b"\n" in lines[0] or any(_control.search(line) for line in lines):
        raise _invalid("a bare CR, a bare LF or another control character", lines[0])
    if any(line[:1] in (b" ", b"\t") for line in lines):
        raise _invalid("a folded line", lines[0])
    version = _version.search(lines[0])
    if version is not None and version[1] != b"1":
        raise RequestRejected(505, f"this is HTTP/1.1, not HTTP/{version[1].decode()}.{version[2].decode()}")
    for name in _FRAMING:
        values = [line for line in lines[1:] if line[: len(name) + 1].lower() == name + b":"]
        if len(values) > 1 or any(b"," in value for value in values):
            raise _invalid(f"{name.decode()} stands there twice", lines[0])


def _parse(block: bytes) -> h11.Request:
    reader = h11.Connection(h11.SERVER, max_incomplete_event_size=len(block) + 1)
    try:
        reader.receive_data(block)
        request = reader.next_event()
    except h11.RemoteProtocolError as error:
        if error.error_status_hint == 501:
            raise RequestRejected(501, str(error)) from None
        raise _invalid(str(error)[:200], block) from None
    if not isinstance(request, h11.Request):
        raise _invalid("not a request line and fields", block)
    return request


def check_target(method: bytes, target: bytes, host: bytes | None) -> bytes:
    """The host of the request: that of the target if it has one, else that of the field (RFC 9112 3.2, 3.3).

    Raises:
        RequestRejected: 400 for a target of no form, or a Host that is none; 501 for CONNECT.
    """
    if method == b"CONNECT":
        raise RequestRejected(501, "CONNECT is for proxies")
    if target[:1] != b"/":
        scheme, mark, rest = target.partition(b"://")
        if mark and scheme.isalpha():
            host = rest.partition(b"?")[0].partition(b"/")[0]
            if not host:
                raise RequestRejected(400, "the target has no host")
        elif target != b"*" or method != b"OPTIONS":
            raise RequestRejected(400, f"the target is {target[:40]!r}, which is no path")
    if host and not is_host(host.decode("latin-1")):
        raise RequestRejected(400, f"the host is {host[:40]!r}")
    return host or b""


def body_length(fields: dict[bytes, bytes], minor: int) -> int:
    """RFC 9112 6.3, the strict way."""
    length = fields.get(b"content-length")
    if b"transfer-encoding" in fields:
        if minor == 0:
            raise RequestRejected(400, "HTTP/1.0 has no Transfer-Encoding")
        if length is not None:
            raise RequestRejected(400, "both Content-Length and Transfer-Encoding")
        return CHUNKED
    if length is None:
        return 0
    if not length.isdigit() or len(length) > MAX_DIGITS:
        raise RequestRejected(400, f"Content-Length is {length[:40]!r}")
    return int(length)


def _expects(fields: dict[bytes, bytes], minor: int) -> bool:
    """RFC 9110 10.1.1."""
    expectation = fields.get(b"expect")
    if expectation is None or minor == 0:
        return False
    if expectation.lower() != b"100-continue":
        raise RequestRejected(417, f"Expect is {expectation[:40]!r}; only 100-continue can be met")
    return True


def _invalid(words: str, start: bytes) -> RequestRejected:
    return RequestRejected(400, f"no valid HTTP/1.1 request: {words}{hint(start[:24], 'HTTP')}")
