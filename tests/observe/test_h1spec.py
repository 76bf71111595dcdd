"""The cases of h1spec (github.com/uNetworking/h1spec), against a running ``--http``."""

from __future__ import annotations

import re
import socket

import pytest

from tests.observe.conftest import Watched

HOST = "Host: example.com\r\n"
WHOLE = "GET /echo HTTP/1.1\r\nHost: localhost\r\n\r\n"

FRAGMENTS = [
    "G",
    "GET ",
    "GET /echo",
    "GET /echo ",
    "GET /echo HTTP",
    "GET /echo HTTP/1.1",
    "GET /echo HTTP/1.1\r",
    "GET /echo HTTP/1.1\r\n",
    "GET /echo HTTP/1.1\r\nHos",
    "GET /echo HTTP/1.1\r\nHost:",
    "GET /echo HTTP/1.1\r\nHost: ",
    "GET /echo HTTP/1.1\r\nHost: localhost",
    "GET /echo HTTP/1.1\r\nHost: localhost\r",
    "GET /echo HTTP/1.1\r\nHost: localhost\r\n",
    "GET /echo HTTP/1.1\r\nHost: localhost\r\n\r",
]

CASES = {
    "Request without HTTP version": ("GET / \r\n\r\n", (400, 599), None),
    "Request with Expect header": (f"GET / HTTP/1.1\r\n{HOST}Expect: 100-continue\r\n\r\n", (200, 299), None),
    "Valid GET request": (f"GET / HTTP/1.1\r\n{HOST}\r\n", (200, 299), None),
    "Valid GET request with edge cases": ("GET / HTTP/1.1\r\nhoSt:\texample.com\r\nempty:\r\n\r\n", (200, 299), None),
    "Invalid header characters": (f"GET / HTTP/1.1\r\n{HOST}X-Invalid[]: test\r\n\r\n", (400, 499), None),
    "Missing Host header": ("GET / HTTP/1.1\r\nContent-Length: 5\r\n\r\n", (400, 499), None),
    "Multiple Host headers": (f"GET / HTTP/1.1\r\n{HOST}Host: example.org\r\n\r\n", (400, 499), None),
    "Overflowing negative Content-Length header": (
        f"GET / HTTP/1.1\r\n{HOST}Content-Length: -123456789123456789123456789\r\n\r\n", (400, 499), None
    ),
    "Negative Content-Length header": (f"GET / HTTP/1.1\r\n{HOST}Content-Length: -1234\r\n\r\n", (400, 499), None),
    "Non-numeric Content-Length header": (f"GET / HTTP/1.1\r\n{HOST}Content-Length: abc\r\n\r\n", (400, 499), None),
    "Empty header value": (f"GET / HTTP/1.1\r\n{HOST}X-Empty-Header: \r\n\r\n", (200, 299), None),
    "Header containing invalid control character": (
        f"GET / HTTP/1.1\r\n{HOST}X-Bad-Control-Char: test\x07\r\n\r\n", (400, 499), None
    ),
    "Invalid HTTP version": (f"GET / HTTP/9.9\r\n{HOST}\r\n", (400, 599), None),
    "Invalid prefix of request": (f"Extra lineGET / HTTP/1.1\r\n{HOST}\r\n", (400, 599), None),
    "Invalid line ending": (f"GET / HTTP/1.1\r\n{HOST}\rSome-Header: Test\r\n\r\n", (400, 499), None),
    "Valid POST request with body": (
        f"POST /echo HTTP/1.1\r\n{HOST}Content-Length: 5\r\n\r\nhello", (200, 299), "hello"
    ),
    "Chunked Transfer-Encoding": (
        f"POST /echo HTTP/1.1\r\n{HOST}Transfer-Encoding: chunked\r\n\r\nc\r\nHellO world1\r\n0\r\n\r\n", (200, 299),
        "HellO world1",
    ),
    # h1spec lets a server take these; RFC 9112 6.3 has them refused, for they are how requests are smuggled.
    "Conflicting Transfer-Encoding and Content-Length in varying case": (
        f"POST /echo HTTP/1.1\r\n{HOST}content-LengtH: 5\r\nTransFer-Encoding: chunked\r\n\r\n"
        "c\r\nHellO world1\r\n0\r\n\r\n", (400, 499), None,
    ),
}  # fmt: skip


@pytest.fixture
def served(watched) -> Watched:
    return watched()


def final(peer: socket.socket) -> tuple[int, str]:
    """The status and the body of the answer that is not 1xx; the body has its length in the head."""
    data = b""
    while True:
        head, end, body = data.partition(b"\r\n\r\n")
        if end and head.startswith(b"HTTP/1.1 1"):
            data = body
            continue
        length = re.search(rb"(?i)content-length: *(\d+)", head)
        if end and length and len(body) >= int(length[1]):
            return int(head.split(b" ")[1]), body.decode()
        more = peer.recv(65536)
        assert more, f"the connection ended behind {data!r}"
        data += more


def test_the_cases_of_h1spec(served):
    for name, (request, (least, most), body) in CASES.items():
        with socket.create_connection(served.address, timeout=20) as peer:
            peer.sendall(request.encode("latin-1"))
            status, said = final(peer)
            assert least <= status <= most, name
            assert body is None or said == body, name


def test_a_fragment_is_waited_for(served):
    """Whatever a fragment is, nothing is answered to it; with its rest it is a request."""
    for fragment in FRAGMENTS:
        with socket.create_connection(served.address, timeout=20) as peer:
            peer.sendall(fragment.encode())
            # Another connection is served meanwhile, so the server has seen the fragment.
            assert served.get("/echo") == (200, "")
            peer.setblocking(False)
            with pytest.raises(BlockingIOError):
                peer.recv(1)
            peer.settimeout(20)
            peer.sendall(WHOLE.removeprefix(fragment).encode())
            assert final(peer) == (200, ""), fragment
