"""The gateway as users start it: ``python -m ssgi_gateway serve``, a process of its own, on any free addresses.

Unix sockets lie in a short temporary folder, because a socket's path may not exceed 107 bytes and pytest's folders do.
TCP listeners ask for port 0, and what they got is read from the lines the gateway prints when it is ready.
"""

from __future__ import annotations

import json
import os
import re
import signal
import sys
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Self

from .client import Address
from .process import DEADLINE, Process

__all__ = ["ROOT", "Gateway", "to_nginx"]

ROOT = Path(__file__).resolve().parents[2]
"""The repository; the gateway is started in it, so that ``tests.apps...`` and ``examples...`` can be imported."""

PROTOCOLS = ("scgi", "fastcgi", "uwsgi", "websocket", "http")

# A row of the table that the start prints: "  SCGI   127.0.0.1:40001   HTTP, WebSockets   scgi_pass 127.0.0.1:40001;".
LISTENING = re.compile(r"^ +(SCGI|FastCGI|uwsgi|WebSocket|HTTP) +(unix:\S+|\[[0-9a-f:]+\]:\d+|[\w.-]+:\d+) ")

# What Python says of a mistake that no test would see otherwise.
NEGLECTED = re.compile(r"ResourceWarning|was never awaited|exception was never retrieved|Task was destroyed")


def to_nginx(address: Address) -> str:
    """An address as nginx's ``..._pass`` and ``server`` want it."""
    return f"unix:{address}" if isinstance(address, str) else f"{address[0]}:{address[1]}"


class Gateway:
    """A running gateway; a context manager that stops it and checks that it ended well.

    Args:
        app: the application, ``module:attribute``.
        directory: an existing folder for its log.
        scgi, fastcgi, uwsgi, websocket, http: what to listen on, in order: ``"unix"`` and ``"tcp"`` are a socket and
            a port that are chosen here, anything else is given to the command as it is.
        options: further words of the command line, such as ``"--max-connections", "10"``.
        env: environment variables. One process serves unless ``SSGI_WORKERS`` or ``--workers`` says otherwise: most
            tests measure it.
        patience: seconds that it may take to come up.

    Raises:
        ProcessError: it did not come up; the message holds its log.
    """

    def __init__(
        self,
        app: str,
        directory: Path,
        *,
        scgi: Sequence[str] = (),
        fastcgi: Sequence[str] = (),
        uwsgi: Sequence[str] = (),
        websocket: Sequence[str] = (),
        http: Sequence[str] = (),
        options: Sequence[str] = (),
        env: Mapping[str, str] | None = None,
        patience: float = DEADLINE,
    ) -> None:
        self._over = False
        self._folder = tempfile.TemporaryDirectory(prefix="gw-")
        wanted = dict(zip(PROTOCOLS, (scgi, fastcgi, uwsgi, websocket, http), strict=True))
        given = {name: [self._choose(name, i, it) for i, it in enumerate(kinds)] for name, kinds in wanted.items()}
        words = [word for name, addresses in given.items() for it in addresses for word in (f"--{name}", it)]
        command = [
            sys.executable,
            "-W",
            "always::ResourceWarning",
            "-m",
            "ssgi_gateway",
            "serve",
            app,
            *words,
            *options,
        ]
        environment = {"PYTHONPATH": str(ROOT), "SSGI_WORKERS": "0", "SSGI_LOG_FORMAT": "text", **(env or {})}
        self._process = Process(command, directory / "gateway.log", env=environment, cwd=ROOT)
        self._count = sum(map(len, given.values()))
        try:
            what = "the gateway saying where it listens"
            self._process.wait_for(lambda: len(self._listening()) >= self._count, what, patience)
        except BaseException:
            self._process.kill()
            self._folder.cleanup()
            raise
        told = self._listening()
        self.scgi, self.fastcgi, self.uwsgi, self.websocket, self.http = (
            [it for name, it in told if name == wanted] for wanted in PROTOCOLS
        )

    @property
    def process(self) -> Process:
        """The process: memory, descriptors, CPU time, signals."""
        return self._process

    @property
    def folder(self) -> str:
        """Where its unix sockets are."""
        return self._folder.name

    @property
    def pid(self) -> int:
        """The process' id."""
        return self._process.pid

    def address(self, protocol: str, kind: str) -> Address:
        """The first address of a protocol (``scgi``, ``fastcgi``, ``websocket``) and a kind (``unix``, ``tcp``)."""
        addresses: list[Address] = getattr(self, protocol)
        return next(it for it in addresses if isinstance(it, str) == (kind == "unix"))

    def rss(self) -> int:
        """Resident memory, in bytes."""
        return self._process.rss()

    def log(self) -> list[str]:
        """The lines it wrote so far."""
        return self._process.lines()

    def wait_for_log(self, text: str, timeout: float = DEADLINE) -> str:
        """Wait for a line that holds ``text``; returns the first such line."""
        self._process.wait_for(lambda: text in self._process.text(), f"{text!r} in the gateway's log", timeout)
        return next(line for line in self.log() if text in line)

    def stop(self, number: int = signal.SIGTERM, status: int = 0) -> None:
        """Ask it to drain, unless it has ended already, and wait for the end.

        Raises:
            ProcessError: it ended with another status than the one expected.
        """
        self._over = True
        again = number in self._process.signals
        try:
            ended = self._process.stop(number)
        finally:
            self._folder.cleanup()
        # The second of two may meet an interpreter that has let go of its handlers and is about to end.
        if ended != status and not (again and ended == -number):
            raise self._process.failure(f"it ended with status {ended} instead of {status}")
        neglected = [line for line in self.log() if NEGLECTED.search(line)]
        if neglected:
            raise self._process.failure("\n".join(neglected))

    def kill(self) -> None:
        """End it at once, as ``kill -9`` does."""
        self._over = True
        self._process.kill()
        self._folder.cleanup()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc: object) -> None:
        # One that has ended by itself is noticed here, too; what a test has stopped or killed it has looked at itself.
        if not self._over:
            self.stop()

    def _choose(self, protocol: str, index: int, kind: str) -> str:
        if kind == "unix":
            return f"unix:{os.path.join(self._folder.name, f'{protocol}{index}.sock')}"
        return "127.0.0.1:0" if kind == "tcp" else kind

    def _listening(self) -> list[tuple[str, Address]]:
        found: list[tuple[str, Address]] = []
        for line in self.log():
            if line.startswith("{") and '"listeners": [' in line:
                found += [(it["protocol"], parse_address(it["address"])) for it in json.loads(line)["listeners"]]
            match = LISTENING.match(line)
            if match:
                found.append((match[1].lower(), parse_address(match[2])))
        return found


def parse_address(text: str) -> Address:
    """``unix:/path``, ``host:port`` or ``[::1]:port``."""
    if text.startswith("unix:"):
        return text.removeprefix("unix:")
    host, _, port = text.rpartition(":")
    return (host.strip("[]"), int(port))
