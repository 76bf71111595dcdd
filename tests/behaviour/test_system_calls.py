"""How many system calls a request costs, counted by strace: the kernel is most of the price of a small answer.

An SCGI hello is accept4, recv, send, close; one on a kept FastCGI connection, and one WebSocket message, is recv and
send. What the loop does to wait is shared by many and not counted here; what it is told (epoll_ctl) must not grow with
the requests. Only the compiled build is held to this: the portable one goes through Python's socket module.
"""

from __future__ import annotations

import re
import shutil
import signal
import socket
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.harness import Gateway, WebSocketClient
from tests.harness.process import wait_until

REQUESTS = 200

HEAD = b"CONTENT_LENGTH\x000\x00SCGI\x001\x00REQUEST_METHOD\x00GET\x00REQUEST_URI\x00/\x00"
SCGI = b"%d:%s," % (len(HEAD), HEAD)

PAIRS = b"\x0e\x03REQUEST_METHODGET\x0b\x01REQUEST_URI/\x0f\x08SERVER_PROTOCOLHTTP/1.1"
FASTCGI = (
    b"\x01\x01\x00\x01\x00\x08\x00\x00\x00\x01\x01\x00\x00\x00\x00\x00"
    + b"\x01\x04\x00\x01\x00%c\x00\x00" % len(PAIRS)
    + PAIRS
    + b"\x01\x04\x00\x01\x00\x00\x00\x00\x01\x05\x00\x01\x00\x00\x00\x00"
)
END_REQUEST = b"\x01\x03\x00\x01\x00\x08\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00"


@pytest.fixture
def gateway(start: Callable[..., Gateway], codec: str) -> Gateway:
    if codec != "compiled":
        pytest.skip("the portable build is not held to this")
    return start(app="tests.apps.small:app")


def count(gateway: Gateway, folder: Path, work: Callable[[], None]) -> dict[str, int]:
    """The gateway's system calls while ``work`` runs."""
    if shutil.which("strace") is None:
        pytest.skip("strace is not installed")
    output = folder / "strace"
    tracer = subprocess.Popen(
        ["strace", "-f", "-qq", "-o", str(output), "-p", str(gateway.pid)], stderr=subprocess.PIPE, text=True
    )
    try:
        wait_until(lambda: traced(gateway.pid) or tracer.poll() is not None, "strace to attach")
        if tracer.poll() is not None:
            assert tracer.stderr is not None
            pytest.skip(f"strace may not attach here: {tracer.stderr.read().strip()}")
        work()
    finally:
        if tracer.poll() is None:
            tracer.send_signal(signal.SIGINT)
        tracer.communicate(timeout=30)
    calls: dict[str, int] = {}
    for line in output.read_text().splitlines():
        match = re.match(r"\d+\s+(\w+)\(", line)
        if match:
            calls[match[1]] = calls.get(match[1], 0) + 1
    return calls


def traced(pid: int) -> bool:
    return "TracerPid:\t0\n" not in Path(f"/proc/{pid}/status").read_text()


def connect(gateway: Gateway, protocol: str) -> socket.socket:
    connection = socket.socket(socket.AF_UNIX)
    connection.settimeout(30)
    connection.connect(gateway.address(protocol, "unix"))
    return connection


def per_request(calls: dict[str, int]) -> set[str]:
    """The calls that grow with the requests, waiting apart; the allocator and the loop have others now and then."""
    return {name for name, number in calls.items() if number > REQUESTS / 2} - {"epoll_pwait", "epoll_wait"}


def test_an_scgi_request_is_accept_recv_send_close(gateway: Gateway, tmp_path: Path) -> None:
    def ask(times: int = 1) -> None:
        for _ in range(times):
            connection = connect(gateway, "scgi")
            connection.sendall(SCGI)
            with connection:
                assert connection.makefile("rb").read().endswith(b"\r\n\r\nHello")

    ask()  # the start is over when something was answered
    calls = count(gateway, tmp_path, lambda: ask(REQUESTS))
    assert calls["sendto"] == REQUESTS
    assert REQUESTS <= calls["close"] <= REQUESTS + 4  # the loop may close a descriptor of its own
    # A connection may be accepted before its request was written: one more read, and the loop is told to wait.
    late = calls["recvfrom"] - REQUESTS
    assert 0 <= late <= REQUESTS
    # Six calls each time: libuv tries a descriptor before it adds it, and takes it out more often than it has to.
    assert calls.get("epoll_ctl", 0) <= 6 * late + 4
    # A burst may be shorter than the one before it: then it ends with an accept4 that finds nothing.
    assert REQUESTS <= calls["accept4"] <= 2 * REQUESTS + 2
    if late < REQUESTS / 10:
        assert per_request(calls) - {"poll"} == {"accept4", "recvfrom", "sendto", "close"}


def test_a_fastcgi_request_on_a_kept_connection_is_recv_send(gateway: Gateway, tmp_path: Path) -> None:
    with connect(gateway, "fastcgi") as connection:

        def ask(times: int = 1) -> None:
            for _ in range(times):
                connection.sendall(FASTCGI)
                answer = b""
                while not answer.endswith(END_REQUEST):
                    answer += connection.recv(65536)

        ask()
        calls = count(gateway, tmp_path, lambda: ask(REQUESTS))
    assert calls["sendto"] == calls["recvfrom"] == REQUESTS
    assert per_request(calls) == {"recvfrom", "sendto"}


def test_a_websocket_message_is_recv_send(gateway: Gateway, tmp_path: Path) -> None:
    with WebSocketClient(gateway.address("websocket", "tcp"), "/") as client:

        def echo(times: int = 1) -> None:
            for _ in range(times):
                client.send(b"x" * 32)
                assert client.receive() == b"x" * 32

        echo()
        calls = count(gateway, tmp_path, lambda: echo(REQUESTS))
        client.close()
    assert calls["sendto"] == calls["recvfrom"] == REQUESTS
    assert per_request(calls) == {"recvfrom", "sendto"}
