"""``--http`` as a process: curl, keep-alive, pipelining, uploads, upgrades, slow clients, the drain."""

from __future__ import annotations

import contextlib
import http.client
import shutil
import socket
import subprocess
import threading
import time

import pytest

from tests.behaviour.conftest import codec
from tests.harness.process import wait_until

__all__ = ["codec"]  # each of these runs over each build

GET = b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n"
LAST = b"GET / HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"


def talk(watched, data: bytes, timeout: float = 20.0) -> bytes:
    """All that comes back until the server closes."""
    with socket.create_connection(watched.address, timeout=timeout) as peer:
        peer.sendall(data)
        pieces = []
        while piece := peer.recv(65536):
            pieces.append(piece)
    return b"".join(pieces)


def curl(*words: str) -> str:
    done = subprocess.run(["curl", "-sS", "-m", "20", *words], capture_output=True, check=True)
    return done.stdout.decode()


def test_curl_keeps_its_connection(watched):
    it = watched()
    said = curl("-v", "--stderr", "-", it.url + "/", it.url + "/wait", it.url + "/stream")
    assert "Re-using existing connection" in said
    assert said.count("< HTTP/1.1 200 OK") == 3
    assert "Transfer-Encoding: chunked" in said
    assert "0\n1\n2\n" in said
    assert it.metric("ssgi_connections_accepted_total", protocol="http") == 1


@pytest.mark.parametrize("coding", ["length", "chunked", "expect"])
def test_uploads(watched, tmp_path, coding):
    it = watched()
    data = bytes(range(256)) * 4096
    (tmp_path / "data").write_bytes(data)
    more = {"length": (), "chunked": ("-H", "Transfer-Encoding: chunked"), "expect": ("-H", "Expect: 100-continue")}
    curl(*more[coding], "--data-binary", f"@{tmp_path}/data", "-o", str(tmp_path / "back"), it.url + "/echo")
    assert (tmp_path / "back").read_bytes() == data


def test_http_1_0_and_head(watched):
    it = watched()
    assert curl("-0", "-i", it.url + "/stream").endswith("\r\n\r\n0\n1\n2\n")
    assert curl("-I", it.url + "/").startswith("HTTP/1.1 200 OK")


def test_pipelined_requests_are_answered_in_order(watched):
    it = watched()
    paths = [b"/wait", b"/", b"/stream", b"/fail", b"/"]
    wire = b"".join(b"GET %b HTTP/1.1\r\nHost: a\r\n\r\n" % path for path in paths)
    answer = talk(it, wire + LAST)
    statuses = [part[:3] for part in answer.split(b"HTTP/1.1 ")[1:]]
    assert statuses == [b"200", b"200", b"200", b"500", b"200", b"200"]
    assert answer.count(b"Connection: close") == 1


def test_thousands_of_pipelined_requests_do_not_nest(watched):
    it = watched()
    received = bytearray()
    with socket.create_connection(it.address, timeout=60) as peer:
        sending = threading.Thread(target=peer.sendall, args=(GET * 3000 + LAST,))
        sending.start()
        while data := peer.recv(1 << 20):
            received += data
        sending.join()
    assert received.count(b"HTTP/1.1 200 OK") == 3001


def test_who_pipelines_and_does_not_read_has_to_wait(watched):
    it = watched()
    body = b"x" * 100_000
    request = b"POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: %d\r\n\r\n%b" % (len(body), body)
    before = it.gateway.rss()
    with socket.create_connection(it.address) as peer:
        peer.settimeout(2)
        sent = 0
        with contextlib.suppress(TimeoutError):
            while sent < 200_000_000:
                sent += peer.send(request * 10)
    assert sent < 100_000_000
    assert it.gateway.rss() - before < 40_000_000


def test_a_websocket_on_the_same_port(watched):
    it = watched()
    with socket.create_connection(it.address, timeout=20) as peer:
        peer.sendall(GET)
        assert peer.recv(4096).endswith(b"hello")
        peer.sendall(
            b"GET /ws HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\nConnection: keep-alive, Upgrade\r\n"
            b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n\x82\x82\0\0\0\0ab"
        )
        answer = peer.recv(4096)
        assert answer.startswith(b"HTTP/1.1 101 ")
        while not answer.endswith(b"\x82\x02ab"):
            answer += peer.recv(4096)
    wait_until(lambda: it.metric("ssgi_websocket_messages_total", direction="in") == 1, "the message being counted")


HANDSHAKE = (
    b"GET /ws HTTP/1.1",
    b"Host: localhost",
    b"Upgrade: websocket",
    b"Connection: Upgrade",
    b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==",
    b"Sec-WebSocket-Version: 13",
)


def test_websocket_72_each_field_of_a_handshake_is_required(watched):
    it = watched()

    def answer(line: bytes, instead: bytes = b"") -> bytes:
        lines = [instead if it is line else it for it in HANDSHAKE]
        # A request behind it that is the last one: the refusal of an upgrade keeps the connection.
        return talk(it, b"".join(b"%b\r\n" % line for line in lines if line) + b"\r\n" + LAST)

    host, _, connection, key, version = HANDSHAKE[1:]
    for missing in (host, connection, key):
        assert answer(missing).startswith(b"HTTP/1.1 400 ")
    assert b"Connection: Upgrade" in answer(connection, b"Connection: close").partition(b"\r\n\r\n")[2]
    assert answer(connection, b"Connection: keep-alive").startswith(b"HTTP/1.1 400 ")
    for old in (b"", b"Sec-WebSocket-Version: 8"):
        assert answer(version, old).startswith(b"HTTP/1.1 426 ")
        assert b"Sec-WebSocket-Version: 13\r\n" in answer(version, old)


@pytest.mark.parametrize("body", [b"Content-Length: 5\r\n\r\nhello", b"Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n"])
def test_websocket_72_a_handshake_has_no_body(watched, body):
    head = b"".join(b"%b\r\n" % line for line in HANDSHAKE)
    assert talk(watched(), head + body + LAST).startswith(b"HTTP/1.1 400 ")


def test_an_upgrade_that_connection_does_not_name_is_an_ordinary_request(watched):
    """RFC 9110 7.8: whoever passed it on has not meant us."""
    it = watched()
    assert talk(it, GET[:-2] + b"Upgrade: websocket\r\nConnection: close\r\n\r\n").endswith(b"hello")
    assert talk(it, GET[:-2] + b"Upgrade: h2c\r\nConnection: close, Upgrade\r\n\r\n").endswith(b"hello")


def test_forwarded_fields_from_trusted_peers_only(watched):
    said = ("-H", "X-Forwarded-For: 192.0.2.9", "-H", "X-Forwarded-Proto: https", "-H", "X-Forwarded-Host: a.example")
    assert curl(*said, watched().url + "/remote") == "192.0.2.9 a.example https"
    it = watched("--trusted-peers", "192.0.2.1")
    assert curl(*said, it.url + "/remote").startswith("127.0.0.1:")


@pytest.mark.parametrize(
    ("data", "status"),
    [
        (b"GET / HTTP/1.1\r\n\r\n", b"400"),
        (b"\x16\x03\x01\x02\0\x01\0\x01\xfc\x03\x03", b"400"),
        (
            b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n" + GET,
            b"400",
        ),
        (b"GET / HTTP/1.1\r\nHost: a\r\nX: " + b"a" * 140_000 + b"\r\n\r\n", b"431"),
    ],
)
def test_what_is_refused_ends_the_connection_with_one_answer(watched, data, status):
    answer = talk(watched(), data)
    assert answer.count(b"HTTP/1.1 4") == 1
    assert answer.split(b" ")[1] == status
    assert b"Connection: close\r\n" in answer


def test_broken_chunks_are_no_request(watched):
    """The application has been called by then; what it answers would be an answer to something nobody sent."""
    it = watched()
    head = b"POST /echo HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n"
    assert talk(it, head + b"5\r\nhello\r\nzz\r\n" + GET) == b""
    assert it.metric("ssgi_protocol_errors_total", protocol="http") == 1


def test_slow_heads_are_answered_and_idle_connections_are_closed(watched):
    it = watched("--deadline-head", "0.5", "--deadline-keep-alive", "0.5")
    answer = talk(it, GET[:20])
    assert answer.split(b" ")[1] == b"408"
    assert b"Connection: close\r\n" in answer
    began = time.monotonic()
    assert talk(it, GET).endswith(b"hello")
    assert time.monotonic() - began >= 0.4


def test_the_drain_marks_the_answer_as_the_last(watched):
    it = watched()
    host, port = it.address
    connection = http.client.HTTPConnection(host, port, timeout=20)
    connection.request("GET", "/")
    connection.getresponse().read()
    connection.request("GET", "/wait")
    it.gateway.wait_for_log("status page")
    time.sleep(0.05)
    it.gateway.process.send_signal(15)
    answer = connection.getresponse()
    assert answer.read() == b"hello"
    assert answer.getheader("Connection") == "close"


@pytest.mark.skipif(not shutil.which("wrk"), reason="wrk is not installed")
def test_wrk_finds_no_error(watched):
    it = watched("--workers", "2")
    done = subprocess.run(["wrk", "-t1", "-c20", "-d2s", it.url + "/"], capture_output=True, text=True, check=True)
    assert "Socket errors" not in done.stdout
    assert "Non-2xx" not in done.stdout
