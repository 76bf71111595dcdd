"""A connection without a socket has what the server's protocols ask of one with a socket."""

from __future__ import annotations

import inspect
import re
from pathlib import Path

import pytest

from ssgi_gateway import server
from ssgi_gateway.server.memory_connection import MemoryConnection

SERVER = Path(server.__path__[0])


@pytest.mark.parametrize("module", ["http", "answering", "multiplex", "websocket"])
def test_everything_that_protocols_use(module: str) -> None:
    """A test of an application would otherwise fail where the server does not."""
    used = set(re.findall(r"connection\.([a-z_]+)\b", (SERVER / f"{module}.py").read_text())) - {"py", "pxd"}
    assert used
    connection = MemoryConnection(None)
    connection.peer = MemoryConnection(None)
    for name in used:
        assert hasattr(connection, name), name
        inherited = inspect.isfunction(getattr(MemoryConnection, name, None)) and name not in vars(MemoryConnection)
        assert not inherited or "self.fd" not in inspect.getsource(getattr(MemoryConnection, name)), name
