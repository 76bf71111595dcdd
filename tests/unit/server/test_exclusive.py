"""EPOLLEXCLUSIVE in the epoll of either event loop."""

from __future__ import annotations

import asyncio
import contextlib
import os
import re
import select
import socket
import threading
from pathlib import Path
from types import SimpleNamespace

import pytest
import uvloop

from ssgi_gateway.server.exclusive import Exclusive
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
            exclusive = Exclusive(loop, listener.fileno())
            for _ in range(5):
                await asyncio.sleep(0)
            exclusive.queue_up()
            assert events(loop, listener.fileno()) & select.EPOLLEXCLUSIVE
            for wanted in (1, 2):
                with socket.create_connection(listener.getsockname()):
                    await until(lambda n=wanted: len(called) >= n)
            loop.remove_reader(listener.fileno())
            await asyncio.sleep(0)
            exclusive.queue_up()
            assert not events(loop, listener.fileno())
            exclusive.close()
            exclusive.queue_up()  # nothing happens any more

    loop = new_loop()
    loop.run_until_complete(main())
    loop.close()


@pytest.mark.parametrize("new_loop", [asyncio.new_event_loop, uvloop.new_event_loop])
def test_a_reader_that_is_gone_by_then_is_left_alone(new_loop):
    async def main():
        loop = asyncio.get_running_loop()
        with socket.create_server(("127.0.0.1", 0)) as listener:
            loop.add_reader(listener.fileno(), lambda: None)
            exclusive = Exclusive(loop, listener.fileno())
            loop.remove_reader(listener.fileno())
            for _ in range(5):
                await asyncio.sleep(0)
            assert not events(loop, listener.fileno())
            exclusive.close()

    loop = new_loop()
    loop.run_until_complete(main())
    loop.close()


class Sleeper(threading.Thread):
    """Waits for connections in an epoll of its own, as a worker does, and goes to the end of the queue after each."""

    def __init__(self, listener: socket.socket, end: int) -> None:
        super().__init__()
        self.listener, self.end = listener, end
        self.taken = 0
        self.epoll = select.epoll()
        self.epoll.register(listener, select.EPOLLIN)
        self.epoll.register(end, select.EPOLLIN)
        loop = SimpleNamespace(_selector=self.epoll, call_soon=lambda function, *args: function(*args))
        self.exclusive = Exclusive(loop, listener.fileno())

    def run(self) -> None:
        while not any(fd == self.end for fd, _ in self.epoll.poll()):
            with contextlib.suppress(BlockingIOError):
                connection, _ = self.listener.accept()
                self.taken += 1
                self.exclusive.queue_up()
                connection.close()
        self.exclusive.close()
        self.epoll.close()


def test_those_who_sleep_have_connections_in_turn():
    reading, writing = os.pipe()
    with socket.create_server(("127.0.0.1", 0)) as listener:
        listener.setblocking(False)
        sleepers = [Sleeper(listener, reading) for _ in range(3)]
        for it in sleepers:
            it.start()
        for _ in range(60):
            with socket.create_connection(listener.getsockname()) as client:
                client.recv(1)  # until it was closed there
        os.write(writing, b"x")
        for it in sleepers:
            it.join()
    os.close(reading)
    os.close(writing)
    # One that is not asleep when its turn comes is passed over, and has the next one. Without turns one has all.
    assert sum(it.taken for it in sleepers) == 60
    assert min(it.taken for it in sleepers) >= 10
