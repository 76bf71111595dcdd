"""An HTTP/1.1 client for tests: what is sent is exact, what comes back is parsed by h11, nothing waits for ever.

The request's bytes are written as the test gives them (odd percent-encoding, raw bytes, repeated headers, a body in
dribbles or none at all); h11 is only told of the method, so that it frames the answer as RFC 9112 says. Each address
is ``(host, port)`` or the path of a unix socket.
"""

from __future__ import annotations

import contextlib
import json
import socket
import ssl
import struct
from collections.abc import Iterable, Iterator
from typing import Any, Self

import h11

__all__ = ["TIMEOUT", "Address", "HttpConnection", "Response", "connect", "request"]

Address = tuple[str, int] | str
Headers = Iterable[tuple[str, str | bytes]]

TIMEOUT = 30.0
"""Seconds a single socket operation may take before the test fails with ``TimeoutError``."""


def connect(address: Address, timeout: float = TIMEOUT, receive_buffer: int = 0) -> socket.socket:
    """A connected stream socket.

    Args:
        address: ``(host, port)`` or the path of a unix socket.
        timeout: seconds, of each operation.
        receive_buffer: the kernel's buffer in bytes, to be a slow reader soon; 0 leaves it alone.
    """
    family = socket.AF_UNIX if isinstance(address, str) else socket.AF_INET6 if ":" in address[0] else socket.AF_INET
    sock = socket.socket(family)
    try:
        sock.settimeout(timeout)
        if receive_buffer:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
        sock.connect(address)
        if family != socket.AF_UNIX:
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    except BaseException:
        sock.close()
        raise
    return sock


class Response:
    """An answer. ``headers`` are pairs in order, names in lower case."""

    def __init__(self, head: h11.Response | h11.InformationalResponse, body: bytes = b"") -> None:
        self.status = head.status_code
        self.reason = head.reason.decode("latin-1")
        self.headers = [(name.decode("latin-1"), value.decode("latin-1")) for name, value in head.headers]
        self.body = body

    def header(self, name: str) -> str | None:
        """The header's values joined by ``", "``, ``None`` without one."""
        values = [value for key, value in self.headers if key == name.lower()]
        return ", ".join(values) if values else None

    @property
    def text(self) -> str:
        """The body as UTF-8."""
        return self.body.decode()

    def json(self) -> Any:
        """The body as JSON."""
        return json.loads(self.body)

    def __repr__(self) -> str:
        return f"<Response {self.status} {self.reason} {self.headers} {self.body[:200]!r}>"


class HttpConnection:
    """One HTTP/1.1 connection; a context manager that closes it.

    ``send_head``, ``send_body`` (or ``send_chunk``) and ``end_body`` write, ``read_head``, ``read_body`` and
    ``read_response`` read, in any interleaving. After a whole answer the next request may follow.
    """

    def __init__(
        self, address: Address, timeout: float = TIMEOUT, receive_buffer: int = 0, tls: ssl.SSLContext | None = None
    ) -> None:
        self.socket = connect(address, timeout, receive_buffer)
        if tls is not None:
            self.socket = tls.wrap_socket(self.socket, server_hostname="localhost")
        self.host = "localhost" if isinstance(address, str) else f"{address[0]}:{address[1]}"
        self._parser = h11.Connection(h11.CLIENT, max_incomplete_event_size=1 << 20)
        self._asked = False

    def send_head(
        self,
        method: str,
        target: str | bytes,
        headers: Headers = (),
        *,
        version: str = "1.1",
        host: str | None = "",
    ) -> None:
        """Write a request's head.

        Args:
            method: as it is.
            target: as it is; ``str`` is latin-1.
            headers: as they are; ``str`` is latin-1.
            version: ``1.1`` or ``1.0``.
            host: ``""`` for the address, ``None`` for no Host header.
        """
        self._expect(method)
        target = target.encode("latin-1") if isinstance(target, str) else target
        lines = [b"%s %s HTTP/%s" % (method.encode(), target, version.encode())]
        if host is not None:
            lines.append(b"Host: " + (host or self.host).encode("latin-1"))
        for name, value in headers:
            raw = value if isinstance(value, bytes) else value.encode("latin-1")
            lines.append(name.encode("latin-1") + b": " + raw)
        self.send_raw(b"\r\n".join(lines) + b"\r\n\r\n")

    def send_raw(self, data: bytes) -> None:
        """Write bytes as they are."""
        self.socket.sendall(data)

    def send_body(self, data: bytes) -> None:
        """Write a piece of a body that a Content-Length announced."""
        self.socket.sendall(data)

    def send_chunk(self, data: bytes) -> None:
        """Write one chunk of a body that ``Transfer-Encoding: chunked`` announced."""
        self.socket.sendall(b"%x\r\n%s\r\n" % (len(data), data))

    def end_chunks(self) -> None:
        """Write the last chunk."""
        self.socket.sendall(b"0\r\n\r\n")

    def read_head(self) -> Response:
        """The answer's head, its body empty so far; a 1xx is skipped, except 101."""
        while True:
            event = self._next_event()
            if isinstance(event, h11.Response):
                return Response(event)
            if isinstance(event, h11.InformationalResponse):
                if event.status_code == 101:
                    return Response(event)
                continue
            raise AssertionError(f"expected an answer's head, got {event!r}")

    def read_some(self) -> bytes:
        """The next piece of the body as it arrives; ``b""`` at its end.

        Raises:
            h11.RemoteProtocolError: the connection ended before the body did.
        """
        event = self._next_event()
        if isinstance(event, h11.Data):
            return bytes(event.data)
        assert isinstance(event, h11.EndOfMessage), event
        return b""

    def iter_body(self) -> Iterator[bytes]:
        """The rest of the body, piece by piece."""
        while data := self.read_some():
            yield data

    def read_body(self) -> bytes:
        """The rest of the body."""
        return b"".join(self.iter_body())

    def read_response(self) -> Response:
        """A whole answer."""
        response = self.read_head()
        if response.status != 101:
            response.body = self.read_body()
        return response

    def trailing_data(self) -> bytes:
        """What came behind an answer and belongs to no other: after a 101, the first WebSocket frames."""
        return bytes(self._parser.trailing_data[0])

    def read_eof(self) -> None:
        """Check that the server has closed the connection, with nothing more to say."""
        try:
            data = self.socket.recv(65536)
        except ConnectionResetError:
            return
        assert data == b"", f"expected the end of the connection, got {data!r}"

    def abort(self) -> None:
        """Leave at once with a reset, as a client does that crashes or is cut off."""
        if self.socket.family != socket.AF_UNIX:
            self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.socket.close()

    def close(self) -> None:
        """Leave politely."""
        self.socket.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()

    def _expect(self, method: str) -> None:
        # h11 never sees our bytes: it learns that a whole request was sent, and whether its answer has a body.
        if self._asked:
            self._parser.start_next_cycle()
        self._asked = True
        upgrade = [("Connection", "Upgrade"), ("Upgrade", "websocket")]
        self._parser.send(h11.Request(method=method, target="/", headers=[("Host", "test"), *upgrade]))
        self._parser.send(h11.EndOfMessage())

    def _next_event(self) -> Any:
        while True:
            event = self._parser.next_event()
            if event is not h11.NEED_DATA:
                return event
            self._parser.receive_data(self.socket.recv(262144))


def request(
    address: Address,
    method: str,
    target: str | bytes,
    headers: Headers = (),
    body: bytes | Iterable[bytes] | None = None,
    *,
    chunked: bool = False,
    timeout: float = TIMEOUT,
    host: str | None = "",
    tls: ssl.SSLContext | None = None,
) -> Response:
    """One request on a connection of its own, and its whole answer.

    Args:
        address: where to.
        method: as it is.
        target: as it is.
        headers: Host, Connection and the body's framing are added.
        body: bytes, or pieces written one by one.
        chunked: send each piece as a chunk, without Content-Length.
        timeout: seconds, of each socket operation.
        host: see ``HttpConnection.send_head``.
        tls: speak TLS to the server, which is to have a certificate for ``localhost``.
    """
    pieces = [] if body is None else [body] if isinstance(body, bytes) else list(body)
    framing = [("Connection", "close")]
    if chunked:
        framing.append(("Transfer-Encoding", "chunked"))
    elif body is not None:
        framing.append(("Content-Length", str(sum(map(len, pieces)))))
    with HttpConnection(address, timeout, tls=tls) as connection:
        connection.send_head(method, target, [*headers, *framing], host=host)
        # A server may answer and close before it has read everything (RFC 9112, 9.6): then the answer is what counts.
        with contextlib.suppress(BrokenPipeError, ConnectionResetError):
            for piece in pieces:
                if chunked:
                    connection.send_chunk(piece)
                else:
                    connection.send_body(piece)
            if chunked:
                connection.end_chunks()
        return connection.read_response()
