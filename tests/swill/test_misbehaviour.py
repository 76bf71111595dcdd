"""Peers that do not do as they should: who reads nothing, who sends what is no frame, who goes away in the middle."""

from __future__ import annotations

import asyncio
import struct
from collections.abc import Callable

import msgspec
import pytest

from ssgi_gateway.rpc.client import Client
from tests.harness import Gateway

from .raw import RawWebSocket
from .test_client import eventually, patience, url

APP = "tests.apps.swill_features:app"
MIB = 1048576
encode, decode = msgspec.msgpack.encode, msgspec.msgpack.decode


@pytest.mark.parametrize("data", [100, 100_000])
def test_a_client_that_reads_nothing(serve: Callable[..., Gateway], codec: str, data: int) -> None:
    """Its stream waits, within a bound; then it is dropped, and its handler with it. Nobody else notices."""

    async def run() -> None:
        gateway = serve(APP, "--codec", codec, "--deadline-write", "1")
        async with patience(60), Client(url(gateway)) as client:
            await client.call("add", [1, 2])
            before = gateway.rss()
            ws = await RawWebSocket().connect(gateway.websocket[0])
            ws.pause()
            for seq in range(1, 20):
                ws.send(encode((seq, data, "flood")))
            for number in range(50):
                assert await client.call("add", [number, 1]) == number + 1
            await eventually(lambda: client.call("connected"), lambda count: count == 1)
            assert "a peer took nothing of its answer for 1 s" in "".join(gateway.log())
            assert gateway.rss() - before < 24 * MIB
            ws.abort()

    asyncio.run(run())


def test_a_client_that_sends_and_reads_nothing(serve: Callable[..., Gateway], codec: str) -> None:
    """Calls without end whose answers are not taken: it is not read any more, instead of keeping the answers."""

    async def run() -> None:
        gateway = serve(APP, "--codec", codec, "--deadline-write", "1")
        async with patience(60), Client(url(gateway)) as client:
            await client.call("add", [1, 2])
            before = gateway.rss()
            ws = await RawWebSocket().connect(gateway.websocket[0])
            ws.pause()
            call, sent = encode((1, b"x" * 50_000, "echo")), 0
            try:
                while sent < 64 * MIB:
                    ws.send(call)
                    await ws.drain()
                    sent += len(call)
            except ConnectionError:
                pass
            assert sent < 64 * MIB, "more than fits into buffers"
            assert gateway.rss() - before < 24 * MIB
            assert await client.call("add", [1, 2]) == 3
            ws.abort()

    asyncio.run(run())


BAD = {
    "not msgpack": b"\xc1",
    "a truncated array": b"\x93\x01",
    "bytes behind it": encode((1, None, "add")) + b"\x00",
    "a map": encode({"seq": 1}),
    "nothing": b"",
    "an array without end": b"\x91" * 10_000,
    "a seq that is none": encode(("1", None, "add")),
    "an unknown type": encode((1, None, "add", 77)),
}


def test_floods_of_bad_frames(serve: Callable[..., Gateway], codec: str) -> None:
    """Sixteen are answered; then that connection ends with 1008, whatever still comes, and others go on."""

    async def run() -> None:
        gateway = serve(APP, "--codec", codec)
        async with patience(60), Client(url(gateway)) as client:
            for what, frame in BAD.items():
                ws = await RawWebSocket().connect(gateway.websocket[0])
                for _ in range(100):
                    ws.send(frame)
                assert await ws.expect(17), what
                *errors, (opcode, close) = ws.frames
                assert (opcode, close[:2]) == (8, struct.pack("!H", 1008)), what
                assert [decode(payload)[1]["code"] for _, payload in errors] == [400] * 16, what
                assert await client.call("add", [1, 2]) == 3
                ws.abort()

    asyncio.run(run())


def test_a_call_that_is_given_up_at_any_turn(serve: Callable[..., Gateway], codec: str) -> None:
    """The task of a call or of a stream is cancelled after no turn of the loop, one, two ...: nothing is left of it."""

    async def call(client: Client) -> None:
        await client.call("slow", 60)

    async def read(client: Client) -> None:
        async with client.stream("ticks", 0.001, type=int) as ticks:
            async for _ in ticks:
                pass

    async def send(client: Client) -> None:
        async with client.stream("lazy_total") as total:
            for number in range(10_000):
                await total.send(number)

    async def subscribe(client: Client) -> None:
        async with client.subscribe("news.a") as news:
            await anext(aiter(news))

    async def run() -> None:
        gateway = serve(APP, "--codec", codec)
        async with patience(60), Client(url(gateway), window=4) as client:
            await client.call("add", [1, 2])
            for work in (call, read, send, subscribe):
                for turns in range(25):
                    task = asyncio.create_task(work(client))
                    for _ in range(turns):
                        await asyncio.sleep(0)
                    task.cancel()
                    await asyncio.wait([task])
                    assert task.cancelled()
                # Only this question itself is open there, and here.
                await eventually(lambda: client.call("open_requests"), lambda count: count == 1)
                assert not (await client.ready()).calls

    asyncio.run(run())
