"""Messages that go to many connections as the same bytes: who gets them, who no longer does, who reads too late."""

from __future__ import annotations

import asyncio
import json
import zlib
from collections.abc import Callable
from typing import Any

import msgspec

from ssgi_gateway.rpc.client import Client
from tests.harness import Gateway

from .raw import RawWebSocket
from .test_client import eventually, patience, url

APP = "tests.apps.swill_features:app"
encode, decode = msgspec.msgpack.encode, msgspec.msgpack.decode


async def subscriber(gateway: Gateway, seq: int, **handshake: Any) -> RawWebSocket:
    ws = await RawWebSocket().connect(gateway.websocket[0], **handshake)
    ws.send(encode((seq, {"topic": "news.a"}, "swill.subscribe")))
    assert await ws.expect(1)
    return ws


def numbers(ws: RawWebSocket, seq: int) -> list[int]:
    """Of the messages after the leading metadata, each of which has to be whole and of this seq."""
    found = []
    for opcode, payload in ws.frames[1:]:
        frame = decode(payload)
        assert (opcode, frame[0], frame[2:]) == (2, seq, [0, None, None])
        found.append(frame[1]["data"]["number"])
    return found


def test_everybody_gets_every_message_under_his_own_seq(serve: Callable[..., Gateway], codec: str) -> None:
    async def run() -> None:
        gateway = serve(APP, "--codec", codec, env={"SWILL_ACCESS": "1"})
        async with patience(60), Client(url(gateway)) as client:
            seqs = [1, 1, 1, 7, 7, 300, 2**40]
            sockets = [await subscriber(gateway, seq) for seq in seqs]
            await client.call("publish_many", ["news.a", 20])
            for ws, seq in zip(sockets, seqs, strict=True):
                assert await ws.expect(21)
                assert numbers(ws, seq) == list(range(20))
            # One cancels, one closes, one is gone, one comes: the others go on, and nothing comes after a CANCEL.
            sockets[0].send(encode((1, None, "swill.subscribe", 3)))
            sockets[0].send(encode((2, None, "swill.ping")))
            assert await sockets[0].expect(22)
            await sockets[1].close()
            sockets[3].abort()
            late = await subscriber(gateway, 1)
            await client.call("publish_many", ["news.a", 5])
            for ws, seq in ((sockets[2], 1), (sockets[4], 7), (sockets[5], 300), (sockets[6], 2**40)):
                assert await ws.expect(26)
                assert numbers(ws, seq) == [*range(20), *range(5)]
            assert await late.expect(6)
            assert numbers(late, 1) == list(range(5))
            sockets[0].send(encode((3, None, "swill.ping")))
            assert await sockets[0].expect(23)
            assert decode(sockets[0].frames[-1][1])[0] == 3
            for ws in (sockets[0], sockets[2], *sockets[4:], late):
                await ws.close()
        gateway.stop()
        # What each of them got is counted, although nobody counted for each.
        ended = [json.loads(line) for line in gateway.log() if '"swill.subscribe"' in line]
        found = sorted((one["seq"], one["outcome"], one["messages_out"]) for one in map(line_of, ended))
        assert found == [
            (1, "cancelled", 20), (1, "disconnected", 5), (1, "disconnected", 20), (1, "disconnected", 25),
            (7, "disconnected", 20), (7, "disconnected", 25), (300, "disconnected", 25), (2**40, "disconnected", 25),
        ]  # fmt: skip

    asyncio.run(run())


def line_of(logged: dict[str, Any]) -> dict[str, Any]:
    """The access log's line, which the gateway's log has as its message."""
    found = json.loads(logged["msg"]) if "msg" in logged else logged
    assert isinstance(found, dict)
    return found


def test_connections_that_compress_get_their_own_bytes(serve: Callable[..., Gateway], codec: str) -> None:
    async def run() -> None:
        gateway = serve(APP, "--codec", codec)
        async with patience(60), Client(url(gateway)) as client:
            plain = await subscriber(gateway, 1)
            offer = (("Sec-WebSocket-Extensions", "permessage-deflate; server_no_context_takeover"),)
            packed = await subscriber(gateway, 1, headers=offer)
            assert packed.header("sec-websocket-extensions")
            for size in (100, 50_000, 100):
                await client.call("publish", ["news.a", {"text": "x" * size, "number": size}])
            assert await plain.expect(4)
            assert await packed.expect(4)
            assert numbers(plain, 1) == [100, 50_000, 100]
            assert packed.frames[1:2] + packed.frames[3:] == plain.frames[1:2] + plain.frames[3:]
            squeezed = packed.frames[2][1]
            assert len(squeezed) < 5000
            assert zlib.decompressobj(-15).decompress(squeezed + b"\0\0\xff\xff") == plain.frames[2][1]
            await plain.close()
            await packed.close()

    asyncio.run(run())


def test_who_reads_late_gets_all_in_order_and_is_with_the_others_again(
    serve: Callable[..., Gateway], codec: str
) -> None:
    async def run() -> None:
        gateway = serve(APP, "--codec", codec, "--flow-high-water", "1000", "--flow-low-water", "500")
        async with patience(60), Client(url(gateway)) as client:
            late, other = await subscriber(gateway, 1), await subscriber(gateway, 1)
            late.pause()
            sent = 0

            async def publish(text: str) -> None:
                nonlocal sent
                await client.call("publish", ["news.a", {"text": text, "number": sent}])
                sent += 1

            # Until the kernel's buffers are full, and some more wait here.
            while not await client.call("waiting", "news.a"):
                await publish("x" * 10_000)
            for _ in range(10):
                await publish("x" * 10_000)
            late.resume()
            await eventually(lambda: client.call("waiting", "news.a"), lambda count: count == 0)
            await publish("at the end")
            for ws in (late, other):
                assert await ws.expect(sent + 1)
                assert numbers(ws, 1) == list(range(sent))
                await ws.close()

    asyncio.run(run())
