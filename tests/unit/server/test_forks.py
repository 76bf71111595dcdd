"""What a forked child has left of the server: nothing."""

from __future__ import annotations

import os
import socket

import pytest

from ssgi_gateway.server import forks


@pytest.mark.parametrize("family", [socket.AF_UNIX, socket.AF_INET])
def test_a_child_has_no_listener_no_connection_and_no_private_descriptor(tmp_path, family):
    with socket.socket(family) as listener, socket.socket(family) as client:
        listener.bind(str(tmp_path / "s") if family == socket.AF_UNIX else ("127.0.0.1", 0))
        listener.listen()
        client.connect(listener.getsockname())
        connection, _ = listener.accept()
        private, kept = os.pipe()
        with connection:
            forks.close_in_children([listener], [private])
            pid = os.fork()
            if not pid:
                mine = (listener.fileno(), connection.fileno(), private)
                os._exit(sum(map(is_open, mine)) + 8 * (not (is_open(kept) and is_open(client.fileno()))))
            assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0
            forks.close_in_children([])
        os.close(private)
        os.close(kept)


def is_open(fd: int) -> bool:
    try:
        os.fstat(fd)
    except OSError:
        return False
    return True
