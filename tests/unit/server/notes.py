"""A connection under test, and a protocol on it that notes what is called."""

from __future__ import annotations

from pathlib import Path

import pytest

from ssgi_gateway.core.channel import Protocol
from ssgi_gateway.server.connection import Connection
from tests.unit.server.peer import Bench, Peer

EOF, LOST, DEADLINE = "eof", "lost", "deadline"
KINDS = pytest.mark.parametrize("kind", ["unix", "tcp"])


class Notes(Protocol):
    """A protocol that notes what it is told."""

    def __init__(self, connection, gateway):
        self.connection, self.gateway = connection, gateway
        connection.protocol = self
        self.heard = []
        self.act = None

    def _note(self, what):
        self.heard.append(what)
        if self.act is not None:
            self.act(what)

    def data_received(self, data):
        self._note(data)

    def eof_received(self):
        self._note(EOF)

    def connection_lost(self):
        self._note(LOST)

    def deadline_passed(self):
        self._note(DEADLINE)


def open_pair(on: Bench, kind: str = "unix", room: int = 0) -> tuple[Connection, Notes, Peer]:
    fd, peer = on.pair(kind, room)
    connection = Connection(on.gateway, fd)
    return connection, Notes(connection, on.gateway), peer


def is_open(fd: int) -> bool:
    """Whether this process has the descriptor."""
    return Path(f"/proc/self/fd/{fd}").exists()
