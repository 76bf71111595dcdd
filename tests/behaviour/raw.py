"""Bytes to the gateway itself, without a web server between: what no web server would send, and how it is answered.

SCGI requests are built here, FastCGI records by ``tests.unit.wire.fastcgi_front``, WebSocket frames by
``tests.unit.wire.websocket_frames``. ``unharmed`` is the outcome that every bad input has in common.
"""

from __future__ import annotations

import contextlib
import re
import socket
import struct
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Self

from tests.harness import Address, Gateway, WebSocketClient, connect, wait_until

__all__ = [
    "Answer",
    "FastcgiRecord",
    "Peer",
    "complaints",
    "exchange",
    "netstring",
    "noted",
    "records",
    "scgi",
    "unharmed",
]

Variables = Mapping[str, str] | Iterable[tuple[str, str | bytes]]

MIB = 1 << 20
FLAT = 4 * MIB
"""How much a process may grow and still be called flat: a few receive buffers and what the allocator keeps of them."""

GET = (
    ("CONTENT_LENGTH", "0"), ("SCGI", "1"), ("REQUEST_METHOD", "GET"), ("REQUEST_URI", "/"),
    ("REMOTE_ADDR", "192.0.2.1"), ("SERVER_PORT", "80"),
)  # fmt: skip


def scgi(changes: Variables = (), body: bytes = b"", *, without: Iterable[str] = ()) -> bytes:
    """An SCGI request: ``GET /`` with ``changes``; a new name goes to the end, as often as it is given.

    Args:
        changes: variables; those of ``GET`` are replaced, CONTENT_LENGTH is the body's unless it is given.
        body: what follows the head.
        without: variables of ``GET`` to leave out.
    """
    given = list(changes.items() if isinstance(changes, Mapping) else changes)
    names = {name for name, _ in given}
    own = [(name, str(len(body)) if name == "CONTENT_LENGTH" else value) for name, value in GET]
    kept = [(name, value) for name, value in own if name not in names and name not in set(without)]
    return netstring(b"".join(_string(text) for pair in [*kept, *given] for text in pair)) + body


def netstring(block: bytes) -> bytes:
    """The head of an SCGI request around its variables."""
    return b"%d:%b," % (len(block), block)


def _string(text: str | bytes) -> bytes:
    return (text if isinstance(text, bytes) else text.encode("latin-1")) + b"\0"


class Answer:
    """A CGI answer (RFC 3875 6.2), names in lower case."""

    def __init__(self, data: bytes) -> None:
        head, blank, self.body = data.partition(b"\r\n\r\n")
        assert blank, f"no whole head: {data[:200]!r}"
        lines = [line.split(": ", 1) for line in head.decode("latin-1").split("\r\n")]
        self.headers = [(name.lower(), value) for name, value in lines]
        assert self.headers[-1][0] == "status", "Status is the last line"
        self.status = int(self.headers[-1][1][:3])

    def header(self, name: str) -> str | None:
        """The one value of a header."""
        values = [value for key, value in self.headers if key == name]
        assert len(values) <= 1, values
        return values[0] if values else None

    @property
    def whole(self) -> bool:
        """Whether the body has its declared length."""
        return self.header("content-length") == str(len(self.body))

    def __repr__(self) -> str:
        return f"<Answer {self.headers} {self.body[:200]!r}>"


FastcgiRecord = tuple[int, int, bytes]
"""``(type, request id, content)``."""


class Peer:
    """One connection; a context manager that closes it."""

    def __init__(self, address: Address, data: bytes = b"", *, timeout: float = 30.0, receive_buffer: int = 0) -> None:
        self.socket = connect(address, timeout, receive_buffer)
        if data:
            self.send(data)

    def send(self, data: bytes) -> Self:
        """Write everything; a gateway that has closed already is for the reader to find out."""
        with contextlib.suppress(BrokenPipeError, ConnectionResetError):
            self.socket.sendall(data)
        return self

    def send_until_blocked(self, piece: bytes, most: int, patience: float = 0.3) -> int:
        """Write ``piece`` again and again until nothing was taken for ``patience`` seconds; returns the bytes taken."""
        sent = 0
        self.socket.settimeout(patience)
        try:
            while sent < most:
                sent += self.socket.send(piece)
        except (TimeoutError, BrokenPipeError, ConnectionResetError):
            pass
        finally:
            self.socket.settimeout(30.0)
        return sent

    def end(self) -> Self:
        """Say that nothing more will be sent, and go on reading."""
        self.socket.shutdown(socket.SHUT_WR)
        return self

    def receive(self, size: int) -> bytes:
        """Exactly so many bytes."""
        data = b""
        while len(data) < size:
            piece = self.socket.recv(size - len(data))
            assert piece, f"the connection ended after {data!r}"
            data += piece
        return data

    def read(self) -> bytes:
        """All that comes until the gateway closes; a reset after the last byte is a close as well."""
        pieces = []
        with contextlib.suppress(ConnectionResetError):
            while piece := self.socket.recv(262144):
                pieces.append(piece)
        return b"".join(pieces)

    def read_records(self) -> list[FastcgiRecord]:
        """FastCGI records up to and with an END_REQUEST."""
        records = [self.read_record()]
        while records[-1][0] != 3:
            records.append(self.read_record())
        return records

    def read_record(self) -> FastcgiRecord:
        """One FastCGI record."""
        version, kind, request_id, length, padding = struct.unpack(">BBHHBx", self.receive(8))
        assert version == 1
        content = self.receive(length)
        self.receive(padding)
        return kind, request_id, content

    def read_fastcgi(self) -> Answer:
        """A whole FastCGI answer; the connection may be used again afterwards if it is kept."""
        *records, end = self.read_records()
        assert end[2] == bytes(8), "REQUEST_COMPLETE, application status 0"
        assert {kind for kind, _, _ in records} == {6}, records
        assert records[-1][2] == b"", "STDOUT has an end"
        return Answer(b"".join(content for _, _, content in records))

    def reset(self) -> None:
        """Leave at once, with a reset where that exists."""
        if self.socket.family != socket.AF_UNIX:
            self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.socket.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc: object) -> None:
        self.socket.close()


def exchange(address: Address, data: bytes, *, end: bool = False) -> bytes:
    """Send ``data``, read until the gateway closes."""
    with Peer(address, data) as peer:
        return peer.end().read() if end else peer.read()


def complaints(gateway: Gateway) -> list[str]:
    """What the gateway has logged of warnings and errors, findings about a web server's configuration apart."""
    lines = [line for line in gateway.log() if re.search(r" (WARNING|ERROR|CRITICAL) |Traceback", line)]
    return [line for line in lines if "the web server's configuration" not in line]


def records(gateway: Gateway, key: str) -> str:
    """What the application noted under ``key``, as JSON."""
    target = {"REQUEST_URI": f"/do/records?key={key}"}
    return Answer(exchange(gateway.address("scgi", "unix"), scgi(target))).body.decode()


def noted(gateway: Gateway, key: str, event: str) -> None:
    """Wait until the application has noted ``event`` under ``key``."""
    wait_until(lambda: f'"{event}"' in records(gateway, key), f"the application noting {event}")


@contextlib.contextmanager
def unharmed(gateway: Gateway, lines: int = 1, growth: int = FLAT) -> Iterator[Any]:
    """What is done within hurts nobody else.

    Afterwards a WebSocket that was open all the time still echoes, a new request is answered, all descriptors are given
    back, memory has grown by less than ``growth`` at any moment, and the log has exactly ``lines`` new lines, none of
    them a traceback.
    """
    scgi_address, websocket_address = gateway.address("scgi", "unix"), gateway.address("websocket", "unix")
    with WebSocketClient(websocket_address, "/ws/echo") as bystander:
        _still_served(bystander, scgi_address)
        logged, descriptors = len(gateway.log()), gateway.process.descriptors()
        memory = gateway.rss()
        gateway.process.reset_peak_rss()
        yield gateway
        _still_served(bystander, scgi_address)
        grown = gateway.process.peak_rss() - memory
        assert grown < growth, f"the process grew by {grown / MIB:.1f} MiB"
        # What a request gives away of a web server's configuration is said once, whoever asked first.
        new = [line for line in gateway.log()[logged:] if "the web server's configuration" not in line]
        assert len(new) == lines, new
        assert not any("Traceback" in line for line in new), new
        wait_until(lambda: gateway.process.descriptors() <= descriptors, "the descriptors to be given back")


def _still_served(bystander: WebSocketClient, address: Address) -> None:
    bystander.send("still there?")
    assert bystander.receive() == "still there?"
    answer = Answer(exchange(address, scgi({"REQUEST_URI": "/do/hello"})))
    assert answer.status == 200
    assert answer.whole
