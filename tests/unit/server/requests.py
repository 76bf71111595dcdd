"""Requests over FastCGI as a web server sends them, what it reads of the answers, and applications that answer."""

from __future__ import annotations

import asyncio

from tests.loops import until
from tests.unit.wire.fastcgi_front import begin, params, stdin
from tests.unit.wire.flup_fastcgi import flup_records

PARAMS, STDIN, STDOUT, DATA, END_REQUEST, ABORT_REQUEST = 4, 5, 6, 8, 3, 2

GET = {b"REQUEST_METHOD": b"GET", b"REQUEST_URI": b"/", b"SERVER_PORT": b"80", b"REMOTE_ADDR": b"192.0.2.1"}
POST = {**GET, b"REQUEST_METHOD": b"POST"}


def fastcgi(*body: bytes, variables: dict[bytes, bytes] = GET, kept: bool = True, request_id: int = 1) -> bytes:
    """A whole FastCGI request."""
    head = begin(request_id, flags=int(kept)) + params(variables, request_id)
    return head + stdin(*body, request_id=request_id)


def ended(records: bytes) -> bool:
    """Whether there is a whole answer among FastCGI records."""
    return any(kind == END_REQUEST for kind, _, _ in flup_records(records))


async def fastcgi_answer(peer, request_id: int = 1) -> bytes:
    """Read one answer; gives its STDOUT."""
    received = b""
    while not ended(received):
        received += await peer.read()
        assert not peer.ended, f"the connection ended after {flup_records(received)}"
    return stdout(received, request_id)


def stdout(records: bytes, request_id: int = 1) -> bytes:
    return b"".join(data for kind, number, data in flup_records(records) if kind == STDOUT and number == request_id)


HELLO = b"Content-Length: 5\r\nStatus: 200 OK\r\n\r\nhello"
"""What a web server reads of ``hello``'s answer."""


def hello(*args):
    args[-1].send("hello")


async def echo(*args):
    """Answer with the body."""
    res = args[-1]
    data = await res.get_data()
    res.send(data.read() if data else b"nothing")


class App:
    """An application that leaves the answer to the test."""

    def __init__(self):
        self.calls = []
        self.ends = []
        self.noted = []

    async def __call__(self, *args):
        res = args[-1]
        end = asyncio.Event()
        self.calls.append(res)
        self.ends.append(end)
        res.on_aborted(self.noted.append, "aborted")
        res.on_aborted(end.set)
        await end.wait()

    async def called(self, count: int = 1):
        await until(lambda: len(self.calls) >= count)
        return self.calls[count - 1]

    def answer(self, body: str | bytes = "hello") -> None:
        """Answer the latest call."""
        self.calls[-1].send(body)
        self.ends[-1].set()
