"""How many connections wait to be accepted, as the kernel says."""

from __future__ import annotations

import os
import socket
from contextlib import ExitStack

import pytest

from ssgi_gateway.observe.queues import listen_queues


def listening(family: int, folder: str, backlog: int) -> socket.socket:
    made = socket.socket(family)
    made.bind(
        f"{folder}/socket" if family == socket.AF_UNIX else ("127.0.0.1" if family == socket.AF_INET else "::1", 0)
    )
    made.listen(backlog)
    return made


@pytest.mark.parametrize("family", [socket.AF_UNIX, socket.AF_INET, socket.AF_INET6])
def test_who_waits_is_counted(family, tmp_path):
    with ExitStack() as held:
        try:
            server = held.enter_context(listening(family, str(tmp_path), 7))
        except OSError:
            pytest.skip("this machine has no such addresses")
        inode = os.fstat(server.fileno()).st_ino
        assert listen_queues([inode]) == {inode: (0, 7)}
        for _ in range(3):
            client = held.enter_context(socket.socket(family))
            client.connect(server.getsockname())
        assert listen_queues([inode]) == {inode: (3, 7)}
        held.enter_context(server.accept()[0])
        assert listen_queues([inode]) == {inode: (2, 7)}


def test_what_listens_nowhere_has_no_queue(tmp_path):
    with socket.socket() as idle:
        assert listen_queues([os.fstat(idle.fileno()).st_ino]) == {}
    assert listen_queues([]) == {}
