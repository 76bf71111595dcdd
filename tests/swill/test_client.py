"""The Python client against real gateways: calls, streams, deadlines, reconnection, what an original server lacks."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import msgspec
import pytest

from ssgi_gateway import rpc as swill
from ssgi_gateway.rpc import DisconnectedError, RpcError
from ssgi_gateway.rpc.client import Client
from tests.harness import Gateway

APP = "tests.apps.swill_features:app"


def url(gateway: Gateway) -> str:
    host, port = gateway.websocket[0]
    return f"ws://{host}:{port}/ws"


@pytest.fixture
def gateway(serve: Callable[..., Gateway], codec: str) -> Gateway:
    return serve(APP, env={"SSGI_CODEC": codec})


@asynccontextmanager
async def patience(seconds: float = 30) -> AsyncIterator[None]:
    async with asyncio.timeout(seconds):
        yield


async def eventually(ask: Callable[[], Any], wanted: Callable[[Any], bool]) -> Any:
    """Ask until the answer is as wanted."""
    async with patience():
        while not wanted(answer := await ask()):  # noqa: ASYNC110 - what is asked is another process
            await asyncio.sleep(0.01)
    return answer


def test_calls_and_errors(gateway: Gateway) -> None:
    async def run() -> None:
        async with patience(), Client(url(gateway)) as client:
            assert await client.call("add", [1, 2], type=int) == 3
            assert await asyncio.gather(*(client.call("add", [i, i]) for i in range(100))) == [
                2 * i for i in range(100)
            ]
            assert await client.call("echo", {"a": [None, 1.5, b"x"]}) == {"a": [None, 1.5, b"x"]}
            assert await client.call("metas.both", metadata={"k": 1}) == {"k": 1}
            with pytest.raises(RpcError) as caught:
                await client.call("conflict")
            assert (caught.value.code, caught.value.message, caught.value.data, caught.value.rpc) == (
                409, "conflict", {"version": 3}, "conflict",
            )  # fmt: skip
            with pytest.raises(RpcError, match="404"):
                await client.call("nobody")
            with pytest.raises(RpcError, match="422 Validation Error"):
                await client.call("add", ["a", 2])
            with pytest.raises(RpcError, match="500 An internal server error occurred"):
                await client.call("fail")
            with pytest.raises(msgspec.ValidationError):
                await client.call("add", [1, 2], type=str)
            assert client.state == "open"
        assert client.state == "closed"

    asyncio.run(run())


def test_streams_both_ways(gateway: Gateway) -> None:
    async def run() -> None:
        async with patience(), Client(url(gateway), window=4) as client:
            async with client.stream("count", 1000, type=int) as numbers:
                assert [number async for number in numbers] == list(range(1000))
            async with client.stream("total") as stream:
                for number in range(300):
                    await stream.send(number)
                assert await stream.result() == sum(range(300))
            async with client.stream("total") as stream:
                assert await stream.result() == 0
            async with client.stream("double", type=int) as stream:
                got = []
                await stream.send(1)
                async for item in stream:
                    got.append(item)
                    if len(got) == 10:
                        await stream.end()
                    else:
                        await stream.send(item)
                assert got == [2**n for n in range(1, 11)]
            with pytest.raises(RuntimeError, match="after the end"):
                await stream.send(1)
            async with client.stream("ticks", 0.001) as stream:
                async for item in stream:
                    if item == 3:
                        break
            await eventually(lambda: client.call("outcomes"), lambda got: "ticks cancelled 0" in got)

    asyncio.run(run())


def test_a_slow_stream_stops_no_other(gateway: Gateway) -> None:
    async def run() -> None:
        async with (
            patience(),
            Client(url(gateway), window=8) as client,
            client.stream("flood", 100_000) as unread,
            client.stream("lazy_total") as untaken,
        ):
            sending = asyncio.create_task(send_all(untaken, range(1000)))
            assert await anext(aiter(unread))
            for number in range(50):
                assert await client.call("add", [number, 1]) == number + 1
            assert len(unread.frames) <= 8
            assert not sending.done()
            await client.call("go")
            await sending
            assert await untaken.result() == sum(range(1000))

    asyncio.run(run())


async def read_all(stream: Any) -> list[Any]:
    return [item async for item in stream]


async def send_all(stream: Any, items: Any) -> None:
    for item in items:
        await stream.send(item)


def test_deadlines(gateway: Gateway) -> None:
    async def run() -> None:
        async with patience(), Client(url(gateway)) as client:
            with pytest.raises(RpcError) as caught:
                await client.call("slow", 60, timeout=0.05)
            assert caught.value.code == 504
            await eventually(lambda: client.call("outcomes"), lambda got: any(it.startswith("slow ") for it in got))
            with pytest.raises(RpcError, match="504"):
                await client.call("bounded")
            left = await client.call("remaining", timeout=20, type=float)
            assert 0 < left <= 20
            assert await client.call("remaining") is None
            async with client.stream("ticks", 0.01, timeout=0.1) as stream:
                with pytest.raises(RpcError, match="504"):
                    await read_all(stream)
            with pytest.raises(ValueError, match="above 0"):
                await client.call("add", [1, 2], timeout=0)

    asyncio.run(run())


def test_a_cancelled_call_is_cancelled_at_the_server(gateway: Gateway) -> None:
    async def run() -> None:
        async with patience(), Client(url(gateway)) as client:
            call = asyncio.create_task(client.call("slow", 60))
            await client.call("add", [1, 2])
            call.cancel()
            await asyncio.wait([call])
            assert call.cancelled()
            await eventually(lambda: client.call("outcomes"), lambda got: "slow cancelled 0" in got)

    asyncio.run(run())


def test_it_comes_back(serve: Callable[..., Gateway]) -> None:
    async def run() -> None:
        gateway = serve(APP)
        states: list[str] = []
        async with patience(), Client(url(gateway), on_state=states.append) as client:
            waiting = asyncio.create_task(client.call("slow", 60))
            again = asyncio.create_task(client.call("outcomes", idempotent=True))
            await again
            with pytest.raises(DisconnectedError) as caught:
                await client.call("leave", 1012)
            assert caught.value.code == 1012
            with pytest.raises(DisconnectedError):
                await waiting
            assert await client.call("add", [1, 2]) == 3
            assert states == ["connecting", "open", "reconnecting", "open"]
            with pytest.raises(DisconnectedError, match="go away"):
                await client.call("leave", 4001)
            with pytest.raises(DisconnectedError):
                await client.call("add", [1, 2])
            assert states[-1] == "closed"

    asyncio.run(run())


def test_an_idempotent_call_is_sent_again_once(serve: Callable[..., Gateway]) -> None:
    """It asks for the end of its own connection: the second time that is an error."""

    async def run() -> None:
        gateway = serve(APP)
        async with patience(), Client(url(gateway)) as client:
            with pytest.raises(DisconnectedError):
                await client.call("leave", 1012, idempotent=True)
            outcomes = await client.call("outcomes")
            assert outcomes.count("leave disconnected 0") == 2

    asyncio.run(run())


def test_a_tracked_stream_goes_on_where_it_was(serve: Callable[..., Gateway]) -> None:
    async def run() -> None:
        gateway = serve(APP)
        got = []
        async with patience(), Client(url(gateway)) as client, client.follow("numbered", 10, type=int) as items:
            async for item in items:
                got.append(item.data)
                if item.data == 9:
                    break
        assert got == list(range(10))

    asyncio.run(run())


def test_what_is_in_vain_is_not_tried_again(serve: Callable[..., Gateway]) -> None:
    async def run() -> None:
        gateway = serve(APP)
        with pytest.raises(DisconnectedError, match="404") as caught:
            async with patience(), Client(url(gateway) + "/nothing"):
                pass
        assert caught.value.code == 404
        with pytest.raises(DisconnectedError, match=r"no connection .* in 0.3 s"):
            async with patience(), Client("ws://127.0.0.1:1/ws", connect_timeout=0.3):
                pass

    asyncio.run(run())


def test_an_application_calls_another_within_its_deadline(serve: Callable[..., Gateway]) -> None:
    gateway = serve(APP)
    app = swill.Swill(__name__)
    other = Client(url(gateway))

    @app.handle()
    async def relay(request: swill.Request[Any]) -> Any:
        return await other.call("remaining")

    async def run() -> None:
        async with patience(), swill.SwillTestClient(app) as client:
            left = await client.call("relay", metadata={"swill.timeout": 20_000})
            assert 0 < left <= 20
            await other.close()

    asyncio.run(run())


# -- a server like the original: no hello, and only the name swill/1 ---------------------------------------------------


def test_an_original_server_is_found_out(serve: Callable[..., Gateway]) -> None:
    async def run() -> None:
        gateway = serve("tests.apps.swill_original:app")
        async with patience(), Client(url(gateway)) as client:
            assert await client.call("add", [1, 2], type=int) == 3
            async with client.stream("count", 200, type=int) as numbers:
                assert [number async for number in numbers] == list(range(200))
            with pytest.raises(DisconnectedError):
                await client.call("leave")
            assert await client.call("add", [3, 4]) == 7
            offers, frames = json.loads(await client.call("heard"))
            assert offers == ["swill.1", "swill/1", "swill/1"]  # remembered
            assert not any("swill.window" in str(frame) for frame in frames)

    asyncio.run(run())
