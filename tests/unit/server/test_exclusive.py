"""EPOLLEXCLUSIVE in the epoll of either event loop."""

from __future__ import annotations

import asyncio
import re
import select
import socket
from pathlib import Path

import pytest
import uvloop

from ssgi_gateway.server.exclusive import exclusively
from tests.loops import until


def epoll_of(loop) -> int:
    return loop._get_backend_id() if hasattr(loop, "_get_backend_id") else loop._selector.fileno()


def events(loop, fd: int) -> int:
    """The mask that the loop's epoll has for ``fd`` (proc(5), ``fdinfo``); 0 for none."""
    text = Path(f"/proc/self/fdinfo/{epoll_of(loop)}").read_text()
    found = re.search(rf"tfd:\s+{fd} events:\s+([0-9a-f]+)", text)
    return int(found[1], 16) if found else 0


@pytest.mark.parametrize("new_loop", [asyncio.new_event_loop, uvloop.new_event_loop])
def test_a_reader_becomes_exclusive_and_goes_on_working(new_loop):
    async def main():
        loop = asyncio.get_running_loop()
        called = []
        with socket.create_server(("127.0.0.1", 0)) as listener:
            listener.setblocking(False)
            loop.add_reader(listener.fileno(), lambda: (called.append(1), listener.accept()[0].close()))
            exclusively(loop, listener.fileno())
            for _ in range(5):
                await asyncio.sleep(0)
            assert events(loop, listener.fileno()) & select.EPOLLEXCLUSIVE
            for wanted in (1, 2):
                with socket.create_connection(listener.getsockname()):
                    await until(lambda n=wanted: len(called) >= n)
            loop.remove_reader(listener.fileno())
            await asyncio.sleep(0)
            assert not events(loop, listener.fileno())

    loop = new_loop()
    loop.run_until_complete(main())
    loop.close()


@pytest.mark.parametrize("new_loop", [asyncio.new_event_loop, uvloop.new_event_loop])
def test_a_reader_that_is_gone_by_then_is_left_alone(new_loop):
    async def main():
        loop = asyncio.get_running_loop()
        with socket.create_server(("127.0.0.1", 0)) as listener:
            loop.add_reader(listener.fileno(), lambda: None)
            exclusively(loop, listener.fileno())
            loop.remove_reader(listener.fileno())
            for _ in range(5):
                await asyncio.sleep(0)
            assert not events(loop, listener.fileno())

    loop = new_loop()
    loop.run_until_complete(main())
    loop.close()
