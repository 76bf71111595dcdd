"""When a client comes back and when it does not, what waits meanwhile, and how it finds out that nobody is there."""

from __future__ import annotations

import asyncio
import base64
import hashlib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest

from ssgi_gateway.rpc import DisconnectedError
from ssgi_gateway.rpc.client import Client, client, link


class Server:
    """Something that answers handshakes as it is told, and says nothing more, but counts."""

    def __init__(self, status: int = 101, close: int = 0) -> None:
        self.status = status
        self.close = close
        self.attempts = 0
        self.pings = 0
        self.url = ""
        self.tasks: set[asyncio.Task[Any]] = set()

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self.tasks.add(task)
        try:
            await self._answer(reader, writer)
            writer.close()
            await writer.wait_closed()
        except (OSError, EOFError):
            writer.close()  # the client has disconnected

    async def _answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = (await reader.readuntil(b"\r\n\r\n")).decode()
        self.attempts += 1
        fields = dict(line.split(": ", 1) for line in head.split("\r\n")[1:] if ": " in line)
        named = {name.lower(): value for name, value in fields.items()}
        if self.status != 101:
            writer.write(b"HTTP/1.1 %d No\r\nContent-Length: 2\r\nConnection: close\r\n\r\nno" % self.status)
        else:
            digest = hashlib.sha1(f"{named['sec-websocket-key']}258EAFA5-E914-47DA-95CA-C5AB0DC85B11".encode()).digest()
            accept = base64.b64encode(digest)
            writer.write(
                b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
                b"Sec-WebSocket-Protocol: swill.1\r\nSec-WebSocket-Accept: " + accept + b"\r\n\r\n"
            )
            if self.close:
                writer.write(b"\x88\x02" + self.close.to_bytes(2, "big"))
            while data := await reader.read(4096):
                self.pings += data[:1] == b"\x89"


@asynccontextmanager
async def running(*args: Any) -> AsyncIterator[Server]:
    made = Server(*args)
    async with asyncio.timeout(30), await asyncio.start_server(made.serve, "127.0.0.1", 0) as listening:
        host, port = listening.sockets[0].getsockname()
        made.url = f"ws://{host}:{port}/ws"
        yield made
        await asyncio.gather(*made.tasks)


async def until(ask: Any) -> None:
    while not ask():  # noqa: ASYNC110 - the other end's doing, which sets no event here
        await asyncio.sleep(0.005)


@pytest.fixture(autouse=True)
def soon(monkeypatch: pytest.MonkeyPatch) -> None:
    """It tries again at once."""
    monkeypatch.setattr(Client, "delay", staticmethod(lambda attempt: 0.0))


@pytest.mark.parametrize(
    ("code", "again"),
    [
        (1000, False), (1001, True), (1002, False), (1003, False), (1007, False), (1008, False), (1009, False),
        (1010, False), (1011, True), (1012, True), (1013, True), (4000, False),
    ],
)  # fmt: skip
def test_close_codes_after_which_it_comes_back(code: int, again: bool) -> None:
    async def use() -> None:
        async with running(101, code) as server:
            one = Client(server.url)
            await one.connect()
            await until(lambda: server.attempts > 1 if again else one.state == "closed")
            assert (server.attempts > 1) == again
            if not again:
                with pytest.raises(DisconnectedError) as caught:
                    await one.call("add", [1, 2])
                assert caught.value.code == code
            await one.close()

    asyncio.run(use())


@pytest.mark.parametrize(
    ("status", "again"), [(401, False), (403, False), (404, False), (406, False), (429, True), (502, True), (503, True)]
)
def test_statuses_after_which_it_tries_again(status: int, again: bool) -> None:
    async def use() -> None:
        async with running(status) as server:
            one = Client(server.url)
            waiting = asyncio.ensure_future(one.connect())
            # A server that refuses swill.1 may be an original one, and is asked by its own name once.
            await until(lambda: server.attempts > 3 if again else waiting.done())
            if again:
                assert not waiting.done()
            else:
                assert server.attempts <= 2
                assert isinstance(waiting.exception(), DisconnectedError)
                assert waiting.exception().code == status  # type: ignore[union-attr]
            await one.close()
            await asyncio.wait([waiting])
            waiting.exception()

    asyncio.run(use())


def test_it_does_not_come_back_where_that_is_not_wanted() -> None:
    async def use() -> None:
        async with running(101, 1012) as server:
            one = Client(server.url, reconnect=False)
            await one.connect()
            await until(lambda: one.state == "closed")
            assert server.attempts == 1
            await one.close()

    asyncio.run(use())


def test_a_bounded_number_of_calls_waits_for_a_connection(monkeypatch: pytest.MonkeyPatch) -> None:
    assert client.MAX_WAITING == 1000
    monkeypatch.setattr(client, "MAX_WAITING", 3)

    async def use() -> None:
        async with running(503) as server:
            one = Client(server.url)
            calls = [asyncio.ensure_future(one.call("add", [1, 2])) for _ in range(3)]
            await until(lambda: server.attempts > 1)
            with pytest.raises(DisconnectedError, match="3 calls wait for a connection already"):
                await one.call("add", [1, 2])
            assert not any(call.done() for call in calls)
            await one.close()
            for result in await asyncio.gather(*calls, return_exceptions=True):
                assert isinstance(result, DisconnectedError)

    asyncio.run(use())


def test_a_silent_server_is_pinged_and_then_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    assert (link.SILENCE, link.PATIENCE) == (25.0, 10.0)
    monkeypatch.setattr(link, "SILENCE", 0.02)
    monkeypatch.setattr(link, "PATIENCE", 0.02)

    async def use() -> None:
        async with running() as server:
            one = Client(server.url)
            await one.connect()
            await until(lambda: server.attempts > 2)
            assert server.pings >= 2
            await one.close()

    asyncio.run(use())


def test_the_time_between_two_attempts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.undo()
    for attempt in (0, 1, 3, 6, 100):
        mean = min(30.0, 0.5 * 2**attempt)
        found = [Client.delay(attempt) for _ in range(200)]
        assert mean * 0.5 <= min(found) < max(found) <= mean * 1.5
