"""Connections of one request, and what watches them."""

from __future__ import annotations

import asyncio
import os
import socket

import pytest

from ssgi_gateway import client
from ssgi_gateway.client.brief import Readers
from ssgi_gateway.core.server_loop import ServerLoop
from tests.acgi.test_messages import run, serving


class Reading:
    """One end of a pair, which collects what it reads."""

    def __init__(self, readers):
        self.near, self.far = socket.socketpair()
        self.near.setblocking(False)
        self.fd = self.near.fileno()
        self.readers = readers
        self.data = b""
        self.changed = asyncio.Event()
        readers.add(self)

    def on_events(self, events):
        data = self.near.recv(100)
        self.data += data
        if not data:
            self.readers.remove(self.fd)
        self.changed.set()

    async def expect(self, data):
        while self.data != data:
            self.changed.clear()
            await self.changed.wait()

    def close(self):
        self.near.close()
        self.far.close()


def test_readers_are_called_until_they_are_removed():
    async def main():
        readers = Readers(ServerLoop(asyncio.get_running_loop()))
        one, other = Reading(readers), Reading(readers)
        one.far.send(b"1")
        await one.expect(b"1")
        other.far.send(b"2")
        one.far.send(b"3")
        await asyncio.gather(one.expect(b"13"), other.expect(b"2"))
        readers.remove(one.fd)
        one.far.send(b"4")
        other.far.send(b"5")
        await other.expect(b"25")
        assert one.data == b"13"
        readers.close()
        one.close()
        other.close()

    run(main())


def test_a_copy_of_a_closed_descriptor_disturbs_nobody():
    """A forked process may hold one; the kernel then goes on to report what happens to it."""

    async def main():
        readers = Readers(ServerLoop(asyncio.get_running_loop()))
        left, other = Reading(readers), Reading(readers)
        copy = os.dup(left.fd)
        readers.forget(left.fd)
        left.near.close()
        left.far.send(b"for nobody")
        other.far.send(b"1")
        await other.expect(b"1")
        for number in range(3):
            other.far.send(b"2")
            await other.expect(b"1" + b"2" * (number + 1))
        turns = 0
        while turns < 100:  # whatever is ready has been looked at
            turns += 1
            await asyncio.sleep(0)
        assert not readers.ready()
        os.close(copy)
        readers.close()
        left.close()
        other.close()

    run(main())


HEAD = b"Status: 200 OK\r\nContent-Type: text/plain\r\n\r\n"


@pytest.mark.parametrize(
    "pieces",
    [[HEAD + b"hello"], [HEAD, b"hello"], [HEAD[:20], HEAD[20:] + b"he", b"llo"], [HEAD + bytes(1_000_000)]],
    ids=["at once", "head and body", "cut", "large"],
)
def test_scgi_answers_however_they_come(pieces, tmp_path):
    async def handle(reader, writer):
        await reader.read(10)
        for piece in pieces:
            writer.write(piece)
            await writer.drain()
            await asyncio.sleep(0)
        writer.close()

    async def main():
        server = await asyncio.start_unix_server(handle, tmp_path / "s")
        async with server, client.Client() as c:
            for _ in range(3):
                response = await c.request("GET", f"scgi://unix:{tmp_path}/s:/")
                assert await response.read() == b"".join(pieces)[len(HEAD) :]
            assert c.pool.open == 0

    run(main())


def test_an_scgi_answer_that_is_reset_is_no_whole_one():
    """A reset behind the head, and not the end: nothing says that this was all."""

    async def handle(reader, writer):
        await reader.read(10)
        writer.write(HEAD + b"half")
        await writer.drain()
        writer.transport.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
        writer.transport.abort()

    async def main():
        async with serving(handle) as address, client.Client() as c:
            response = await c.request("GET", f"scgi://{address}/")
            await response.read()

    with pytest.raises(client.ClientError):
        run(main())
