"""Clients that never pause, each request with a number of its own.

They are a process beside the tests, so that neither slows the other. ``Load`` is how tests run it, ``python -m
tests.process.load`` is what it runs. It stops when its standard input ends and says what it has seen as JSON. Numbers
go up from ``base``, ``SPAN`` of them for each client.
"""

from __future__ import annotations

import json
import socket
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any, NamedTuple

ROOT = Path(__file__).resolve().parents[2]
SPAN = 200_000
"""Numbers a client has."""


class Seen(NamedTuple):
    """What the clients saw.

    Args:
        sent: for each client, how many numbers it used.
        lost: numbers without the right answer, and what came instead.
        workers: process ids that answered, with how many answers.
        base: the first number.
        slowest: seconds of the slowest answer.
    """

    sent: list[int]
    lost: dict[int, str]
    workers: dict[int, int]
    base: int
    slowest: float

    @property
    def total(self) -> int:
        return sum(self.sent)

    def check(self, counts: bytes, forgiven: int = 0) -> None:
        """Every number that was answered was executed once, and all but ``forgiven`` were answered."""
        for client, sent in enumerate(self.sent):
            first = self.base + client * SPAN
            executed = counts[first : first + sent]
            twice = [first + place for place, count in enumerate(executed) if count > 1]
            assert not twice, f"executed twice: {twice[:10]}"
            unexecuted = {first + place for place, count in enumerate(executed) if count == 0} - self.lost.keys()
            assert not unexecuted, f"answered and not executed: {sorted(unexecuted)[:10]}"
        assert len(self.lost) <= forgiven, f"{len(self.lost)} of {self.total} lost: {dict(list(self.lost.items())[:5])}"


class Load:
    """Clients in a process of their own, from the making of this to ``stop``.

    Args:
        address: nginx's.
        kind: ``GET``, ``POST``, or ``websocket``.
        clients: how many at once.
        base: the first number.
    """

    def __init__(self, address: tuple[str, int], kind: str, clients: int = 8, base: int = 0) -> None:
        self.base = base
        words = [address[0], str(address[1]), kind, str(clients), str(base)]
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tests.process.load", *words],
            cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
        )  # fmt: skip

    def stop(self) -> Seen:
        """End it; what it has seen."""
        out, _ = self._process.communicate("", timeout=60)
        said = json.loads(out)
        numbers = {int(number): why for number, why in said["lost"].items()}
        workers = {int(pid): count for pid, count in said["workers"].items()}
        return Seen(said["sent"], numbers, workers, self.base, said["slowest"])

    def kill(self) -> None:
        self._process.kill()
        self._process.communicate()


class Client(threading.Thread):
    """One client of the load's process."""

    def __init__(self, address: tuple[str, int], kind: str, first: int, end: threading.Event) -> None:
        super().__init__()
        self.address, self.kind, self.first, self.end = address, kind, first, end
        self.sent = 0
        self.lost: dict[int, str] = {}
        self.workers: dict[str, int] = {}
        self.slowest = 0.0
        self.connection: Any = None

    def run(self) -> None:
        ask = self._message if self.kind == "websocket" else self._request
        while not self.end.is_set() and self.sent < SPAN:
            number = self.first + self.sent
            self.sent += 1
            began = time.monotonic()
            try:
                trouble = ask(number)
            except (OSError, ValueError, IndexError) as error:
                trouble = repr(error)
            self.slowest = max(self.slowest, time.monotonic() - began)
            if trouble:
                self.lost[number] = trouble
                self._hang_up()
        self._hang_up()

    def _hang_up(self) -> None:
        connection, self.connection = self.connection, None
        if connection is not None and self.kind == "websocket":
            connection.abandon()
        elif connection is not None:
            connection.close()

    def _request(self, number: int) -> str:
        if self.connection is None:
            self.connection = socket.create_connection(self.address, timeout=30)
            self.connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        body = "Content-Length: 1\r\n\r\nx" if self.kind == "POST" else "\r\n"
        self.connection.sendall(f"{self.kind} /{number} HTTP/1.1\r\nHost: x\r\n{body}".encode())
        head, body = self._answer()
        words = body.split()
        if b" 200 " not in head.partition(b"\r\n")[0] or not words or words[0] != b"%d" % number:
            return (head[:40] + b" ... " + body[:60]).decode("latin-1")
        pid = words[1].decode()
        self.workers[pid] = self.workers.get(pid, 0) + 1
        if b"connection: close" in head.lower():
            self.connection.close()
            self.connection = None
        return ""

    def _answer(self) -> tuple[bytes, bytes]:
        data = b""
        while b"\r\n\r\n" not in data:
            data += self._more()
        head, _, body = data.partition(b"\r\n\r\n")
        lower = head.lower()
        if b"content-length:" in lower:
            length = int(lower.partition(b"content-length:")[2].split()[0])
            while len(body) < length:
                body += self._more()
        return head, body

    def _more(self) -> bytes:
        data = self.connection.recv(65536)
        if not data:
            raise ConnectionAbortedError("the connection ended")
        return bytes(data)

    def _message(self, number: int) -> str:
        from wsproto.events import CloseConnection, Ping

        from tests.harness.websocket import WebSocketClient

        while self.connection is None or not self.connection.open:
            self._hang_up()  # a Close may come with an answer, and even with that to the handshake
            self.connection = WebSocketClient(self.address, "/0", timeout=30)
        self.connection.send(str(number))
        while isinstance(event := self.connection.receive_event(), Ping):
            pass  # it is answered; a machine that is busy may make a pause of any length
        if isinstance(event, CloseConnection) and event.code == 1012:
            # What comes before our answer to its Close is heard, and not answered any more; ``check`` looks whether.
            self._hang_up()
            return ""
        return "" if getattr(event, "data", None) == str(number) else f"another answer: {event!r}"


def main() -> None:
    host, port, kind, clients, base = sys.argv[1:]
    end = threading.Event()
    running = [Client((host, int(port)), kind, int(base) + SPAN * index, end) for index in range(int(clients))]
    for client in running:
        client.start()
    sys.stdin.read()
    end.set()
    for client in running:
        client.join()
    workers: dict[str, int] = {}
    for client in running:
        for pid, count in client.workers.items():
            workers[pid] = workers.get(pid, 0) + count
    lost = {number: why for client in running for number, why in client.lost.items()}
    slowest = max(client.slowest for client in running)
    print(json.dumps({"sent": [it.sent for it in running], "lost": lost, "workers": workers, "slowest": slowest}))


if __name__ == "__main__":
    main()
