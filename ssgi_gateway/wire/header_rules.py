"""What may stand in a line of an answer's head, and which headers are special: judged here, for both builds."""

from __future__ import annotations

from functools import lru_cache
from typing import Any, Final

from ssgi_gateway.wire.grammar import is_token, parse_length

__all__ = ["REASONS", "check_text", "encode_line", "judge"]

# RFC 9110 15 and IANA's registry. Not out of http.HTTPStatus: older Pythons have older names, and no other part of a
# start needs that module.
REASONS: Final[dict[int, str]] = {
    100: "Continue",
    101: "Switching Protocols",
    102: "Processing",
    103: "Early Hints",
    200: "OK",
    201: "Created",
    202: "Accepted",
    203: "Non-Authoritative Information",
    204: "No Content",
    205: "Reset Content",
    206: "Partial Content",
    207: "Multi-Status",
    208: "Already Reported",
    226: "IM Used",
    300: "Multiple Choices",
    301: "Moved Permanently",
    302: "Found",
    303: "See Other",
    304: "Not Modified",
    305: "Use Proxy",
    307: "Temporary Redirect",
    308: "Permanent Redirect",
    400: "Bad Request",
    401: "Unauthorized",
    402: "Payment Required",
    403: "Forbidden",
    404: "Not Found",
    405: "Method Not Allowed",
    406: "Not Acceptable",
    407: "Proxy Authentication Required",
    408: "Request Timeout",
    409: "Conflict",
    410: "Gone",
    411: "Length Required",
    412: "Precondition Failed",
    413: "Content Too Large",
    414: "URI Too Long",
    415: "Unsupported Media Type",
    416: "Range Not Satisfiable",
    417: "Expectation Failed",
    418: "I'm a Teapot",
    421: "Misdirected Request",
    422: "Unprocessable Content",
    423: "Locked",
    424: "Failed Dependency",
    425: "Too Early",
    426: "Upgrade Required",
    428: "Precondition Required",
    429: "Too Many Requests",
    431: "Request Header Fields Too Large",
    451: "Unavailable For Legal Reasons",
    500: "Internal Server Error",
    501: "Not Implemented",
    502: "Bad Gateway",
    503: "Service Unavailable",
    504: "Gateway Timeout",
    505: "HTTP Version Not Supported",
    506: "Variant Also Negotiates",
    507: "Insufficient Storage",
    508: "Loop Detected",
    510: "Not Extended",
    511: "Network Authentication Required",
}
"""Status codes and their reason phrases."""

# What is special about a header.
NOTHING: Final = 0
DROPPED: Final = 1
CONTENT_LENGTH: Final = 2
CONTENT_TYPE: Final = 3
ACCEL_BUFFERING: Final = 4
FOR_THE_FRONT: Final = 5
DATE: Final = 6

_KINDS: Final = {
    "connection": DROPPED,
    "keep-alive": DROPPED,
    "proxy-authenticate": DROPPED,
    "proxy-authentication-info": DROPPED,
    "proxy-authorization": DROPPED,
    "proxy-connection": DROPPED,
    "te": DROPPED,
    "trailer": DROPPED,
    "trailers": DROPPED,
    "transfer-encoding": DROPPED,
    "upgrade": DROPPED,
    "status": DROPPED,
    "content-length": CONTENT_LENGTH,
    "content-type": CONTENT_TYPE,
    "date": DATE,
    "x-accel-buffering": ACCEL_BUFFERING,
    "x-accel-redirect": FOR_THE_FRONT,
    "x-sendfile": FOR_THE_FRONT,
    "x-sendfile2": FOR_THE_FRONT,
    "x-lighttpd-send-file": FOR_THE_FRONT,
}

# How a head is written: the lines alone, with the status behind them, or before them.
FIELDS: Final = 0
CGI: Final = 1
HTTP: Final = 2


def judge(name: Any, value: Any) -> tuple[bytes, int, bool, int]:
    """Read a name and a value.

    Returns:
        The line with its CRLF; what is special about it, one of the constants above; of a Content-Type, whether it is
        ``text/event-stream``; of a Content-Length, its number of bytes, otherwise -1.

    Raises:
        ValueError: a name that is no token; CR, LF, NUL or a character beyond latin-1 in a value; a Content-Length that
            is no number.
        TypeError: a name or value that is neither ``str`` nor bytes.
    """
    if type(name) is not str:
        name = to_text(name, name)
    if type(value) is not str:
        value = to_text(name, value)
    prefix, kind = describe(name)
    if not (value.isascii() and value.isprintable()):
        check_text(f"header {name!r}", value)
    length = -1
    if kind == CONTENT_LENGTH:
        length = parse_length(value)
        if length < 0:
            raise ValueError(f"header 'Content-Length': {value[:40]!r} is not a number of bytes")
    event_stream = kind == CONTENT_TYPE and value.partition(";")[0].strip(" \t").lower() == "text/event-stream"
    return f"{prefix}{value}\r\n".encode("latin-1"), kind, event_stream, length


def encode_line(name: str, value: str) -> bytes:
    """The line of a header that is nothing special, whatever its name is.

    Raises:
        ValueError: as ``judge``.
    """
    check_text(f"header {name!r}", value)
    return f"{describe(name)[0]}{value}\r\n".encode("latin-1")


@lru_cache(maxsize=512)  # applications use the same few names, and errors are not kept
def describe(name: str) -> tuple[str, int]:
    """How a header's line begins, and what is special about it.

    Raises:
        ValueError: the name is no token (RFC 9110 5.6.2).
    """
    if not is_token(name):
        raise ValueError(f"header {name!r}: this is not a header name (a token, RFC 9110 5.6.2)")
    return f"{name}: ", _KINDS.get(name.lower(), NOTHING)


def check_text(what: str, text: str) -> None:
    """See that a text can stand in a line.

    Raises:
        ValueError: it cannot; the message begins with ``what``.
    """
    if "\r" in text or "\n" in text or "\0" in text:
        raise ValueError(f"{what}: CR, LF or NUL in {text[:40]!r}; nothing of it was sent")
    try:
        text.encode("latin-1")
    except UnicodeEncodeError:
        raise ValueError(f"{what}: {text[:40]!r} does not fit into latin-1; encode it (RFC 8187, RFC 2047)") from None


def to_text(name: Any, text: Any) -> str:
    """A name or value as ``str``; bytes are latin-1.

    Raises:
        TypeError: it is neither; the message names the header.
    """
    if isinstance(text, str):
        return str(text)
    if isinstance(text, (bytes, bytearray, memoryview)):
        return str(text, "latin-1")
    raise TypeError(f"header {name!r}: {type(text).__name__} where str or bytes is expected")
