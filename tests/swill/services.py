"""A Redis and a NATS of a test's own: real servers on sockets and ports that the kernel chooses."""

from __future__ import annotations

import shutil
import signal
import socket
import tempfile
from pathlib import Path
from typing import Self

import pytest

from tests.harness.process import Process

__all__ = ["Nats", "Redis"]


def free_port() -> int:
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return int(found.getsockname()[1])


def find(command: str, package: str) -> str:
    found = shutil.which(command) or shutil.which(command, path="/usr/sbin:/usr/local/bin")
    if found is None:
        pytest.fail(f"{command} is not installed (apt install {package})")
    return found


class Service:
    """Can be stopped and started again at the same place, and keeps nothing between."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.process: Process
        self.start()

    def start(self) -> None:
        raise NotImplementedError

    def stop(self) -> None:
        self.process.stop(signal.SIGTERM)

    def kill(self) -> None:
        self.process.kill()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc: object) -> None:
        self.process.kill()


class Redis(Service):
    """``redis-server`` on a unix socket."""

    def __init__(self, folder: Path) -> None:
        self._place = tempfile.TemporaryDirectory(prefix="redis-")
        self.socket = f"{self._place.name}/redis.sock"
        self.url = f"unix://{self.socket}"
        super().__init__(folder)

    def start(self) -> None:
        command = [find("redis-server", "redis-server"), "--port", "0", "--unixsocket", self.socket]
        command += ["--save", "", "--appendonly", "no", "--dir", self._place.name]
        self.process = Process(command, self.folder / "redis.log")
        self.process.wait_for(lambda: ready(self.socket), "Redis answering")

    def __exit__(self, *exc: object) -> None:
        super().__exit__(*exc)
        self._place.cleanup()


def ready(path: str) -> bool:
    with socket.socket(socket.AF_UNIX) as probe:
        try:
            probe.connect(path)
            probe.sendall(b"PING\r\n")
            return probe.recv(7) == b"+PONG\r\n"
        except OSError:
            return False


class Nats(Service):
    """``nats-server`` with JetStream."""

    def __init__(self, folder: Path) -> None:
        self._place = tempfile.TemporaryDirectory(prefix="nats-")
        self.port = free_port()
        self.url = f"nats://127.0.0.1:{self.port}"
        super().__init__(folder)

    def start(self) -> None:
        before = self._text().count("Server is ready")
        command = [find("nats-server", "nats-server"), "-a", "127.0.0.1", "-p", str(self.port), "-js"]
        self.process = Process([*command, "-sd", self._place.name], self.folder / "nats.log")
        self.process.wait_for(lambda: self._text().count("Server is ready") > before, "NATS answering")

    def _text(self) -> str:
        log = self.folder / "nats.log"
        return log.read_text() if log.exists() else ""

    def __exit__(self, *exc: object) -> None:
        super().__exit__(*exc)
        self._place.cleanup()
