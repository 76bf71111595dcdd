"""Heads of answers and chunked bodies, read by httptools where it is installed, otherwise by h11.

Each class wraps one library behind the same two methods; ``http1`` sees to it that both get only what both
judge alike.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import h11

from ssgi_gateway.errors import ConfigurationError, RemoteProtocolError

from .events import Headers

if TYPE_CHECKING:
    from collections.abc import Callable

try:
    import httptools
except ImportError:  # an extra
    httptools = None  # type: ignore[assignment]

_SPACES_BEHIND_SIZES = hasattr(getattr(httptools, "HttpResponseParser", None), "set_dangerous_leniencies")
"""Some servers send them, and h11 takes them; llhttp has an option for it."""

__all__ = ["H11Parser", "HttptoolsParser", "Parser", "parser_factory"]


class Parser:
    """One answer.

    Attributes:
        error: why what followed is no chunked body; ``None`` where it is one.
        trailers: what followed the last chunk; ``None`` before it.
        rest: what arrived behind the body.
    """

    __slots__ = ("error", "rest", "trailers")

    def __init__(self) -> None:
        self.error: RemoteProtocolError | None = None
        self.trailers: Headers | None = None
        self.rest = b""

    def read_head(self, head: bytes) -> tuple[int, str, bool, Headers]:
        """The status, the version, whether the connection may be kept, the headers.

        Raises:
            RemoteProtocolError: it is no head.
        """
        raise NotImplementedError

    def read_chunks(self, data: bytes) -> tuple[list[bytes], int]:
        """The pieces of a chunked body in ``data``, and how many chunks began; ``error`` says why there are no more."""
        raise NotImplementedError


def _is_kept(version: str, headers: Headers) -> bool:
    """Whether the peer keeps the connection (RFC 9112 9.3)."""
    options = b",".join(value for name, value in headers if name == b"connection").lower()
    tokens = {token.strip() for token in options.split(b",")}
    return b"close" not in tokens and (version == "1.1" or b"keep-alive" in tokens)


class H11Parser(Parser):
    """By h11."""

    __slots__ = ("_connection", "_unread")

    def __init__(self, method: str) -> None:
        super().__init__()
        self._connection = connection = h11.Connection(h11.CLIENT, max_incomplete_event_size=65536 + 4096)
        connection.send(h11.Request(method=method, target="/", headers=[("host", "h"), ("upgrade", "any")]))
        connection.send(h11.EndOfMessage())
        self._unread = b""

    def read_head(self, head: bytes) -> tuple[int, str, bool, Headers]:
        try:
            self._connection.receive_data(head)
            event: Any = self._connection.next_event()
        except h11.RemoteProtocolError as error:
            raise RemoteProtocolError(f"the head of the answer: {error}") from None
        version = event.http_version.decode()
        headers = [
            (bytes(name), bytes(value).lower() if name == b"transfer-encoding" else bytes(value))
            for name, value in event.headers
        ]
        return event.status_code, version, _is_kept(version, headers), headers

    def read_chunks(self, data: bytes) -> tuple[list[bytes], int]:
        connection = self._connection
        pieces: list[bytes] = []
        chunks = 0
        try:
            connection.receive_data(data)
            while True:
                event: Any = connection.next_event()
                if type(event) is h11.Data:
                    pieces.append(bytes(event.data))
                    chunks += event.chunk_start
                elif type(event) is h11.EndOfMessage:
                    self.trailers = [(bytes(name), bytes(value)) for name, value in event.headers]
                    self.rest = bytes(connection.trailing_data[0])
                    whole = self._unread + data
                    self.error = _judged_trailers(self.trailers, whole[: len(whole) - len(self.rest)])
                    return pieces, chunks + 1
                else:
                    self._unread = bytes(connection.trailing_data[0])
                    return pieces, chunks
        except h11.RemoteProtocolError as error:
            self.error = RemoteProtocolError(f"the chunked body: {error}")
            return pieces, chunks


def _judged_trailers(trailers: Headers, end: bytes) -> RemoteProtocolError | None:
    """Why trailers are refused: what llhttp refuses and h11 takes, folded lines and a bare LF.

    Args:
        trailers: the fields.
        end: the end of the body's bytes, their lines included.
    """
    lines = end.split(b"\r\n")
    fields = lines[max(0, len(lines) - 2 - len(trailers)) : -2]
    if lines[-1] or (lines[-2:] != [b"", b""] and end != b"\r\n"):
        return RemoteProtocolError("the chunked body: a bare LF in its trailers")
    if any(b"\n" in line or line[:1] in (b" ", b"\t") for line in fields):
        return RemoteProtocolError("the chunked body: a bare LF or a folded line in its trailers")
    return None


class HttptoolsParser(Parser):
    """By httptools."""

    __slots__ = ("_chunks", "_ended", "_headers", "_parser", "_pieces", "_seen")

    def __init__(self, method: str) -> None:
        super().__init__()
        self._parser = parser = httptools.HttpResponseParser(self)
        if _SPACES_BEHIND_SIZES:
            parser.set_dangerous_leniencies(lenient_spaces_after_chunk_size=True)
        self._headers: Headers = []
        self._pieces: list[bytes] = []
        self._chunks = 0
        self._seen = self._ended = False

    def read_head(self, head: bytes) -> tuple[int, str, bool, Headers]:
        try:
            self._parser.feed_data(head)
        except httptools.HttpParserUpgrade:
            pass
        except httptools.HttpParserError as error:
            # llhttp stops behind a 101; where it has no `Connection: upgrade`, httptools takes that for an error.
            if not (self._seen and self._parser.get_status_code() == 101):
                raise RemoteProtocolError(f"the head of the answer: {error}") from None
        if not self._seen:
            raise RemoteProtocolError("the head of the answer is none")
        version = self._parser.get_http_version()
        headers, self._headers = self._headers, []
        return self._parser.get_status_code(), version, _is_kept(version, headers), headers

    def read_chunks(self, data: bytes) -> tuple[list[bytes], int]:
        # httptools does not report where a message ended; it ends behind an empty line, so data is fed line by empty
        # line.
        start = 0
        while start < len(data) and not self._ended and self.error is None:
            end = data.find(b"\r\n\r\n", start)
            end = len(data) if end < 0 else end + 4
            self._feed(data[start:end] if start or end < len(data) else data)
            start = end
        pieces, self._pieces = self._pieces, []
        chunks, self._chunks = self._chunks, 0
        if self._ended:
            self.trailers = self._headers
            self.rest = self.rest or data[start:]
        return pieces, chunks

    def _feed(self, data: bytes) -> None:
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserError as error:
            if not self._ended:
                self.error = RemoteProtocolError(f"the chunked body: {error}")
            self.rest = data[-1:]

    def on_message_begin(self) -> None:
        """A message begins; behind the end of this one, where an empty line was cut in two."""
        if self._ended:
            self.rest = b"?"

    def on_header(self, name: bytes, value: bytes) -> None:
        """A field of the head, or of the trailers."""
        name = name.lower()
        self._headers.append((name, value.lower() if name == b"transfer-encoding" else value.rstrip(b" \t")))

    def on_headers_complete(self) -> None:
        """The head is complete."""
        self._seen = True

    def on_chunk_header(self) -> None:
        """A chunk begins."""
        self._chunks += 1

    def on_body(self, data: bytes) -> None:
        """A piece of a chunk."""
        self._pieces.append(data)

    def on_message_complete(self) -> None:
        """The trailers are complete."""
        self._ended = True


def parser_factory(name: str = "auto") -> Callable[[str], Parser]:
    """``"h11"``, ``"httptools"``, or ``"auto"`` for the faster one that is installed.

    Raises:
        ConfigurationError: there is none of that name, or it is not installed.
    """
    if name not in ("auto", "h11", "httptools"):
        raise ConfigurationError(f"parser={name!r}: write 'auto', 'httptools' or 'h11'")
    if name == "httptools" and httptools is None:
        raise ConfigurationError("parser='httptools' is not installed: pip install 'ssgi-gateway[client]'")
    return H11Parser if name == "h11" or httptools is None else HttptoolsParser
