"""The head of an answer: an application's status and headers, checked, as the CGI block that goes to the web server.

* ``Status:`` is always there and has a reason: nginx could do without it, and Apache takes ``Location: /x`` without it
  for an internal redirect. It is the last line: of Status and Location HAProxy before 3.0 lets the last one decide.
* Nothing that an application passes can end a line: CR, LF and NUL in a name or value are a ``ValueError`` that names
  the header, and so is a name that is no token (RFC 9110 5.1, 5.5).
* The connection's own headers (RFC 9110 7.6.1) are the web server's business and are dropped, and so is ``Status``,
  which would be taken for ours.
* Content-Length is a number and one number; it is not sent with 204 (RFC 9110 8.6), nor with 101.
* A ``text/event-stream`` gets ``X-Accel-Buffering: no``, because nginx would keep events until a buffer is full.
* 1xx would become the final answer behind a gateway, so there is none except the 101 of ``switch_protocols``.

What a single line may be is judged in ``wire.header_rules``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from ssgi_gateway.wire import header_rules
from ssgi_gateway.wire.header_rules import REASONS, check_text, encode_line

from .header_lines import assemble, line_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

__all__ = ["REASONS", "ResponseHead"]

FIELDS: Final = header_rules.FIELDS
CGI: Final = header_rules.CGI
HTTP: Final = header_rules.HTTP
CONTENT_LENGTH: Final = header_rules.CONTENT_LENGTH
CONTENT_TYPE: Final = header_rules.CONTENT_TYPE
ACCEL_BUFFERING: Final = header_rules.ACCEL_BUFFERING
FOR_THE_FRONT: Final = header_rules.FOR_THE_FRONT
DATE: Final = header_rules.DATE
DROPPED: Final = header_rules.DROPPED
FINAL_REASONS: Final = {status: reason for status, reason in REASONS.items() if status >= 200}


class ResponseHead:
    """One head, from the first ``set_status`` or ``add`` to the form that the codec takes.

    Args:
        front_files: whether headers by which the web server sends a file or redirects internally (X-Accel-Redirect,
            X-Sendfile) pass. They reach what no client may request, so an application that lets its users choose
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
        self.event_stream = False
        self._lines: list[bytes] | None = None
        self._front_files = front_files
        self._unbuffered = False  # the application has an opinion on X-Accel-Buffering

    def set_status(self, status: int | str) -> None:
        """Set the status: ``404``, or ``"404 Not Found"`` with a reason of one's own. The last call wins.

        Raises:
            ValueError: not a final status, 200 to 999, or a reason that does not fit into a line.
        """
        reason: str | None
        if type(status) is int:
            number = status
            reason = FINAL_REASONS.get(status)
            if reason is not None:
                self.status = number
                self.reason = reason
                return
        elif isinstance(status, str):
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
        if self.content_length != -1 and self.content_length != length:
            raise ValueError(f"Content-Length is {self.content_length} already and cannot become {length}")
        self.content_length = length

    def add(self, headers: Iterable[tuple[str, str]] | Mapping[str, str]) -> None:
        """Append headers: pairs or a mapping, of ``str`` or latin-1 bytes. All of them or, on an error, none.

        Raises:
            ValueError: a name that is no token; CR, LF, NUL or a character beyond latin-1 in a value; a
                Content-Length that is no number or a second one.
            TypeError: a name or value that is neither ``str`` nor bytes.
        """
        pairs: Any = headers
        if type(headers) is not list and type(headers) is not tuple:
            items = getattr(headers, "items", None)
            if items is not None:
                pairs = items()
        lines = []
        length = self.content_length
        dated = self.dated
        event_stream = self.event_stream
        unbuffered = self._unbuffered
        for pair in pairs:
            line = line_of(pair)
            if line.kind:
                if line.kind == CONTENT_LENGTH:
                    if length != -1 and length != line.length:
                        raise ValueError(f"Content-Length is {length} already and cannot become {line.length}")
                    length = line.length
                    continue
                if line.kind == CONTENT_TYPE:
                    event_stream = line.event_stream
                elif line.kind == ACCEL_BUFFERING:
                    unbuffered = True
                elif line.kind == DATE:
                    dated = True
                elif line.kind == DROPPED or (line.kind == FOR_THE_FRONT and not self._front_files):
                    continue
            lines.append(line.text)
        self.content_length = length
        self.dated = dated
        self.event_stream = event_stream
        self._unbuffered = unbuffered
        self._append(lines)

    def offload(self, name: str, value: str) -> None:
        """Have the web server send a file: the gateway's own header, which passes whatever an application's may.

        Raises:
            ValueError: as ``add``.
        """
        self._append([encode_line(name, value)])
        self.content_length = -1  # the web server knows it, and answers ranges by it

    def switch_protocols(self, headers: Iterable[tuple[str, str]]) -> None:
        """Make this the 101 that accepts an upgrade; ``headers`` are the handshake's, Upgrade and Connection included.

        Headers that were added before stay, Content-Length apart.

        Raises:
            ValueError: as ``add``.
        """
        lines = [encode_line(name, value) for name, value in headers]
        self.status = 101
        self.reason = REASONS[101]
        self._append(lines)

    def encode_cgi(self) -> bytes:
        """The CGI block (RFC 3875 6.2): the header lines, the status, the empty line."""
        return self._encode(CGI)

    def encode_http(self) -> bytes:
        """The same as HTTP/1.1 has it (RFC 9112 4): the status line comes first."""
        return self._encode(HTTP)

    def encode_fields(self) -> bytes:
        """The header lines alone, for an HTTP/1.1 answer."""
        return self._encode(FIELDS)

    def pairs(self) -> list[tuple[bytes, bytes]]:
        """The header lines as pairs, names in lower case, for HTTP/2 and ASGI."""
        lines = [line.partition(b": ") for line in self.encode_fields().split(b"\r\n")[:-1]]
        return [(name.lower(), value) for name, _, value in lines]

    def _append(self, lines: list[bytes]) -> None:
        if self._lines is None:
            self._lines = lines
        else:
            self._lines += lines

    def _encode(self, form: int) -> bytes:
        length = -1 if self.status in (101, 204) else self.content_length
        lines = [] if self._lines is None else self._lines
        return assemble(form, self.status, self.reason, lines, length, self.event_stream and not self._unbuffered)
