"""The load: what drives a server, and what comes back.

wrk makes requests and a program of ours (``native/ws_load.c``) WebSocket messages, both in a closed loop: each of a
number of connections has one on its way at any time. Single transfers and probes are made here.
"""

from __future__ import annotations

import contextlib
import re
import socket
import subprocess
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from .machine import BenchmarkError, Process, run

MARGIN = 60.0
"""Seconds that a load generator may take beyond those it was told."""

STARTING = 30.0
"""Seconds that a server may take to its first answer."""

UPGRADE = (
    "Upgrade: websocket\r\nConnection: Upgrade\r\n"
    "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
)
PIECE = 1 << 20
UNITS = {"us": 1.0, "ms": 1e3, "s": 1e6, "m": 60e6}


@dataclass(frozen=True, slots=True)
class Target:
    """Where the load goes: a port of 127.0.0.1, and the path that leads to the server."""

    port: int
    path: str


def requests(target: Target, seconds: int, connections: int) -> dict[str, float]:
    """Requests for as long as told; their number, rate, errors and percentiles of their times in microseconds."""
    url = f"http://127.0.0.1:{target.port}{target.path}"
    command = ["wrk", "--latency", "-t1", f"-c{connections}", f"-d{seconds}s", url]
    return parse_wrk(run(command, seconds + MARGIN))


def paced(target: Target, seconds: int, rate: int) -> dict[str, float]:
    """Requests one after the other, so many a second, on one connection to nginx; their number."""
    ask = _head("GET", target.path, "")
    count, failed = 0, 0
    with socket.create_connection(("127.0.0.1", target.port), MARGIN) as it:
        it.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        began = time.monotonic()
        while (now := time.monotonic()) < began + seconds:
            due = began + count / rate
            if due > now:
                time.sleep(due - now)
            it.sendall(ask)
            head, body, length = _response_head(it)
            while len(body) < (length or 0) and (more := it.recv(65536)):
                body += more
            failed += " 200 " not in _line(head)
            count += 1
    if failed * 1000 > count:
        raise BenchmarkError(f"{failed} of {count} requests failed")
    return {"count": count, "rate": count / seconds, "errors": failed}


def parse_wrk(text: str) -> dict[str, float]:
    """The figures in wrk's words.

    Raises:
        BenchmarkError: not one request was answered, or more than one in a thousand was answered wrongly or not at all.
    """
    told = re.search(r"(\d+) requests in ([\d.]+)(\w+)", text)
    if not told or not int(told[1]):
        raise BenchmarkError("no request was answered")
    count, seconds = int(told[1]), float(told[2]) * UNITS[told[3]] / 1e6
    errors = sum(int(number) for line in re.findall(r"Socket errors:.*", text) for number in re.findall(r"\d+", line))
    wrong = re.search(r"Non-2xx or 3xx responses: (\d+)", text)
    errors += int(wrong[1]) if wrong else 0
    if errors * 1000 > count:
        raise BenchmarkError(f"{errors} of {count} requests failed")
    times = {f"p{part}": float(value) * UNITS[unit] for part, value, unit in
             re.findall(r"^\s+(50|90|99)%\s+([\d.]+)(us|ms|s|m)$", text, re.MULTILINE)}  # fmt: skip
    return {"count": count, "rate": count / seconds, "errors": errors, **times}


def messages(program: Path, target: Target, seconds: float, connections: int, size: int) -> dict[str, float]:
    """WebSocket messages for as long as told; the same figures."""
    command = [str(program), str(target.port), target.path, str(connections), str(size), str(seconds)]
    count, took, *times = (float(word) for word in run(command, seconds + MARGIN).split())
    return {"count": count, "rate": count / took, **dict(zip(("p50", "p90", "p99"), times, strict=True))}


@contextlib.contextmanager
def idle(program: Path, target: Target, connections: int) -> Iterator[None]:
    """Within the context that many WebSockets are open and silent."""
    command = [str(program), str(target.port), target.path, str(connections)]
    # Its complaint comes on the same pipe as its "open": one line, and then nothing.
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    ) as child:
        assert child.stdout is not None
        try:
            told = child.stdout.readline().strip()
            if told != "open":
                raise BenchmarkError(" ".join([told, *child.stdout.read().split()]))
            yield
            if child.poll() is not None:
                raise BenchmarkError(" ".join(child.stdout.read().split()))
        finally:
            child.kill()


def upload(target: Target, size: int) -> dict[str, float]:
    """One request with a body of ``size`` bytes, whose answer is that number."""
    piece, expected = memoryview(bytes(PIECE)), str(size).encode()
    start = time.monotonic()
    with socket.create_connection(("127.0.0.1", target.port), MARGIN) as it:
        it.sendall(_head("POST", target.path, f"Content-Length: {size}\r\n"))
        for left in range(size, 0, -PIECE):
            it.sendall(piece[: min(left, PIECE)])
        head, body, _ = _response_head(it)
        while expected not in body and (more := it.recv(65536)):
            body += more
    if " 200 " not in _line(head) or expected not in body:
        raise BenchmarkError(f"the upload was answered {_line(head)} {body[:60]!r}")
    return {"count": 1, "rate": size / (time.monotonic() - start)}


def download(target: Target, size: int) -> dict[str, float]:
    """One answer of ``size`` bytes."""
    buffer = bytearray(PIECE)
    start = time.monotonic()
    with socket.create_connection(("127.0.0.1", target.port), MARGIN) as it:
        it.sendall(_head("GET", f"{target.path}?bytes={size}"))
        head, body, length = _response_head(it)
        if length != size:
            raise BenchmarkError(f"the download began {_line(head)}, length {length}")
        got = len(body)
        while got < size:
            count = it.recv_into(buffer)
            if not count:
                raise BenchmarkError(f"the download ended after {got} bytes")
            got += count
    return {"count": 1, "rate": size / (time.monotonic() - start)}


def first_answer(server: Process, target: Target, expected: bytes, *, upgrade: bool = False) -> float:
    """Ask until there is an answer that holds ``expected``; returns when that was.

    Raises:
        BenchmarkError: the server ended, or there was no such answer in time.
    """
    head = _head("GET", target.path, UPGRADE if upgrade else "")
    answer = b""
    while time.monotonic() < server.started + STARTING:
        server.check()
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", target.port), STARTING) as it:
            it.sendall(head)
            answer = it.recv(65536)
            # A body may follow its head; an error of nginx, while the server does not listen yet, is not worth waiting.
            while expected not in answer and answer.startswith(b"HTTP/1.1 200") and (more := it.recv(65536)):
                answer += more
        if expected in answer:
            return time.monotonic()
        time.sleep(0.002)
    raise BenchmarkError(f"the first answer was {_line(answer) or 'nothing'}: {server.complaint()}")


def _head(method: str, path: str, fields: str = "") -> bytes:
    return f"{method} {path} HTTP/1.1\r\nHost: 127.0.0.1\r\n{fields}\r\n".encode()


def _line(head: bytes) -> str:
    return head.partition(b"\r\n")[0].decode("latin-1")


def _response_head(it: socket.socket) -> tuple[bytes, bytes, int | None]:
    """The head of an answer, what has come after it, and its Content-Length."""
    data = b""
    while b"\r\n\r\n" not in data:
        more = it.recv(65536)
        if not more:
            raise BenchmarkError("the connection was closed before the answer")
        data += more
    head, _, body = data.partition(b"\r\n\r\n")
    length = re.search(rb"\r\ncontent-length: *(\d+)", head, re.IGNORECASE)
    return head, body, int(length[1]) if length else None
