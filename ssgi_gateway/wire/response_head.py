"""The head of an answer: what an application says, checked, as the CGI block that goes to the web server.

* ``Status:`` is always there and has a reason: nginx could do without it, and Apache takes ``Location: /x`` without it
  for an internal redirect. It is the last line: of Status and Location HAProxy before 3.0 lets the last one decide.
* Nothing an application says can end a line: CR, LF and NUL in a name or value are a ``ValueError`` that names the
  header, and so is a name that is no token (RFC 9110 5.1, 5.5).
* The connection's own headers (RFC 9110 7.6.1) are the web server's business and are dropped, and so is ``Status``,
  which would be taken for ours.
* Content-Length is a number and one number; it is not sent with 204 (RFC 9110 8.6), nor with 101.
* A ``text/event-stream`` gets ``X-Accel-Buffering: no``, because nginx would keep events until a buffer is full.
* 1xx would become the final answer behind a gateway, so there is none except the 101 of ``switch_protocols``.

The compiled build has its own class of this name, with the same methods; what names and values are is judged here for
both.
"""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING, Any, Final

from .grammar import is_token, parse_length

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

__all__ = ["REASONS", "ResponseHead"]

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


class ResponseHead:
    """One head, from the first ``set_status`` or ``add`` to the form the codec asks it for.

    Args:
        front_files: whether headers by which the web server sends a file or redirects internally (X-Accel-Redirect,
            X-Sendfile) pass. They reach what no client may ask for, so an application that lets its users choose
            header names should not have them.
    """

    __slots__ = (
        "_front_files",
        "_lines",
        "_unbuffered",
        "content_length",
        "dated",
        "event_stream",
        "reason",
        "status",
    )

    def __init__(self, front_files: bool = True) -> None:
        self.status = 200
        self.reason = "OK"
        self.content_length = -1  # none
        self.dated = False  # it has a Date
        self._lines: list[str] = []
        self._front_files = front_files
        self.event_stream = False
        self._unbuffered = False  # the application has an opinion on X-Accel-Buffering

    def set_status(self, status: int | str) -> None:
        """Set the status: ``404``, or ``"404 Not Found"`` with a reason of one's own. The last call wins.

        Raises:
            ValueError: not a final status, 200 to 999, or a reason that does not fit into a line.
        """
        if isinstance(status, str):
            code, _, reason = status.partition(" ")
            if len(code) != 3 or not (code.isascii() and code.isdigit()):
                raise ValueError(f"{status!r} is not a status such as 404 or '404 Not Found'")
            number = int(code)
            check_text("the reason of the status", reason)
        else:
            number, reason = int(status), ""
        if not 200 <= number <= 999:
            raise ValueError(f"{number} is not a final HTTP status; those are 200 to 999")
        self.status = number
        self.reason = reason or REASONS.get(number, "Unknown")

    def set_content_length(self, length: int) -> None:
        """Declare the body's length in bytes.

        Raises:
            ValueError: another one was declared before.
        """
        if self.content_length not in (-1, length):
            raise ValueError(f"Content-Length is {self.content_length} already and cannot become {length}")
        self.content_length = length

    def add(self, headers: Iterable[tuple[str, str]] | Mapping[str, str]) -> None:
        """Append headers: pairs or a mapping, of ``str`` or latin-1 bytes. All of them or, on an error, none.

        Raises:
            ValueError: a name that is no token; CR, LF, NUL or a character beyond latin-1 in a value; a
                Content-Length that is no number or a second one.
            TypeError: a name or value that is neither ``str`` nor bytes.
        """
        items = getattr(headers, "items", None)
        pairs: Iterable[Any] = headers if items is None else items()
        lines: list[str] = []
        noted = (self.content_length, self.event_stream, self._unbuffered)
        try:
            for name, value in pairs:
                if type(name) is not str:
                    name = to_text(name, name)
                if type(value) is not str:
                    value = to_text(name, value)
                prefix, kind = describe(name)
                if not (value.isascii() and value.isprintable()):
                    check_text(f"header {name!r}", value)
                if kind == NOTHING or self._notes(kind, value):
                    lines.append(f"{prefix}{value}\r\n")
        except BaseException:
            self.content_length, self.event_stream, self._unbuffered = noted
            raise
        self._lines += lines

    def offload(self, name: str, value: str) -> None:
        """Have the web server send a file: the gateway's own header, which passes whatever an application's may.

        Raises:
            ValueError: as ``add``.
        """
        check_text(f"header {name!r}", value)
        self._lines.append(f"{describe(name)[0]}{value}\r\n")
        self.content_length = -1  # the web server knows it, and answers ranges by it

    def switch_protocols(self, headers: Iterable[tuple[str, str]]) -> None:
        """Make this the 101 that accepts an upgrade; ``headers`` are the handshake's, Upgrade and Connection included.

        Headers that were added before stay, Content-Length apart.

        Raises:
            ValueError: as ``add``.
        """
        lines = []
        for name, value in headers:
            check_text(f"header {name!r}", value)
            lines.append(f"{describe(name)[0]}{value}\r\n")
        self.status = 101
        self.reason = REASONS[101]
        self._lines += lines

    def encode_cgi(self) -> bytes:
        """The CGI block (RFC 3875 6.2): the header lines, the status, the empty line."""
        return f"{self._fields()}Status: {self.status} {self.reason}\r\n\r\n".encode("latin-1")

    def encode_http(self) -> bytes:
        """The same as HTTP/1.1 has it (RFC 9112 4): the status line comes first."""
        return f"HTTP/1.1 {self.status} {self.reason}\r\n{self._fields()}\r\n".encode("latin-1")

    def encode_fields(self) -> bytes:
        """The header lines alone, for an HTTP/1.1 answer."""
        return self._fields().encode("latin-1")

    def pairs(self) -> list[tuple[bytes, bytes]]:
        """The header lines as pairs, names in lower case, for HTTP/2 and ASGI."""
        lines = [line.partition(b": ") for line in self.encode_fields().split(b"\r\n")[:-1]]
        return [(name.lower(), value) for name, _, value in lines]

    def _fields(self) -> str:
        fields = "".join(self._lines)
        if self.content_length >= 0 and self.status not in (101, 204):
            fields = f"{fields}Content-Length: {self.content_length}\r\n"
        if self.event_stream and not self._unbuffered:
            fields += "X-Accel-Buffering: no\r\n"
        return fields

    def _notes(self, kind: int, value: str) -> bool:
        """Take note of a header that is special; returns whether its line is sent as it is."""
        if kind == CONTENT_LENGTH:
            length = parse_length(value)
            if length < 0:
                raise ValueError(f"header 'Content-Length': {value[:40]!r} is not a number of bytes")
            self.set_content_length(length)
            return False
        if kind == CONTENT_TYPE:
            self.event_stream = value.partition(";")[0].strip(" \t").lower() == "text/event-stream"
        elif kind == ACCEL_BUFFERING:
            self._unbuffered = True
        elif kind == DATE:
            self.dated = True
        elif kind == FOR_THE_FRONT:
            return self._front_files
        return kind != DROPPED


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
