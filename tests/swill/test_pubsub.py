"""Topics over every backend, against the real servers: order, history, resumption, what happens while they are away."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import AsyncExitStack, nullcontext
from pathlib import Path
from typing import Any

import msgspec
import pytest

from ssgi_gateway.rpc import RpcError
from ssgi_gateway.rpc.client import Client
from tests.apps.swill_features import Note
from tests.harness import Gateway
from tests.harness.gateway import ROOT

from .raw import RawWebSocket
from .services import Nats, Redis
from .test_client import eventually, patience, url

APP = "tests.apps.swill_features:app"


class Backend:
    """A backend, the service behind it (if there is one), and gateways that share it."""

    def __init__(self, kind: str, chosen: str, service: Any, serve: Callable[..., Gateway]) -> None:
        self.kind = kind
        self.chosen = chosen
        self.service = service
        self._serve = serve

    def gateway(self) -> Gateway:
        return self._serve(APP, env={"SWILL_PUBSUB": self.chosen})


def backends(*kinds: str) -> Any:
    return pytest.mark.parametrize("backend", kinds, indirect=True)


@pytest.fixture
def backend(request: pytest.FixtureRequest, tmp_path: Path, serve: Callable[..., Gateway]) -> Iterator[Backend]:
    kind = request.param
    services: dict[str, Any] = {"redis": Redis, "nats": Nats}
    folder = tmp_path / "service"
    folder.mkdir()
    with services[kind](folder) if kind in services else nullcontext() as service:
        chosen = service.url if service else "memory"
        if kind == "local":
            place = request.getfixturevalue("tmp_path_factory").mktemp("l")
            chosen = f"local:{place}/hub.sock"
        backend = Backend(kind, chosen, service, serve)
        yield backend


async def news(client: Client, room: str = "a", since: str | None = None) -> Any:
    return client.subscribe(f"news.{room}", since, type=Note)


async def take(messages: Any, count: int) -> list[int]:
    got = []
    while len(got) < count:
        got.append((await anext(messages)).data.number)
    return got


@backends("memory", "local", "redis", "nats")
def test_messages_come_in_order_and_from_a_position_on(backend: Backend) -> None:
    async def run() -> None:
        gateway = backend.gateway()
        async with patience(), Client(url(gateway)) as client:
            async with await news(client) as messages:
                assert messages.recovered is True
                await client.call("publish_many", ["news.a", 20])
                assert await take(messages, 20) == list(range(20))
                middle = messages.position
                await client.call("publish", ["news.a", {"text": "x", "number": 20}])
                assert await take(messages, 1) == [20]
            await client.call("publish", ["news.b", {"text": "elsewhere"}])
            await client.call("publish", ["news.a", {"text": "x", "number": 21}])
            async with await news(client, since=middle) as messages:
                assert messages.recovered is True
                assert await take(messages, 2) == [20, 21]
                await client.call("publish", ["news.a", {"text": "x", "number": 22}])
                assert await take(messages, 1) == [22]
            # 50 are kept: what is older cannot be recovered, and that is said.
            await client.call("publish_many", ["news.a", 200])
            async with await news(client, since=middle) as messages:
                assert messages.recovered is False
            async with await news(client, since="of another epoch:7") as messages:
                assert messages.recovered is False
            assert await client.call("first_news", "c", type=Note) == Note("to myself")

    asyncio.run(run())


@backends("local", "redis", "nats")
def test_workers_hear_of_each_other(backend: Backend) -> None:
    async def run() -> None:
        one, two = backend.gateway(), backend.gateway()
        async with patience(), Client(url(one)) as here, Client(url(two)) as there:
            async with await news(here) as first, await news(there) as second:
                await here.call("publish_many", ["news.a", 5])
                assert await take(first, 5) == await take(second, 5) == list(range(5))
                await there.call("publish_many", ["news.a", 5])
                assert await take(first, 5) == await take(second, 5) == list(range(5))
            async with here.subscribe("fleeting") as numbers:
                await there.call("publish_number", 7)
                assert (await anext(numbers)).data == 7

    asyncio.run(run())


@backends("redis", "nats")
def test_a_service_that_goes_and_comes(backend: Backend) -> None:
    """Nothing crashes, publishing says 503, and what was published before and after arrives once and in order."""

    async def run() -> None:
        gateway = backend.gateway()
        async with patience(60), Client(url(gateway)) as client, await news(client) as messages:
            gaps: list[int] = []
            messages.on_gap = lambda: gaps.append(1)
            await client.call("publish_many", ["news.a", 3])
            assert await take(messages, 3) == [0, 1, 2]
            backend.service.stop()
            with pytest.raises(RpcError) as caught:
                await client.call("publish_many", ["news.a", 1])
            assert caught.value.code == 503
            assert await client.call("add", [1, 2]) == 3
            with pytest.raises(RpcError) as caught:
                async with await news(client, "z"):
                    pass
            assert caught.value.code == 503
            backend.service.start()
            await eventually(lambda: publishes(client, "news.other"), bool)
            after = asyncio.create_task(take(messages, 3))
            # The topic's subscription is back when what is published reaches it.
            for number in range(100, 400):
                await client.call("publish", ["news.a", {"text": "x", "number": number}])
                await asyncio.sleep(0.01)
                if after.done():
                    break
            got = await after
            assert got == sorted(set(got)), got
            # Redis kept nothing here, so a gap is told of; JetStream keeps its files, and nothing is missing.
            assert len(gaps) == (1 if backend.kind == "redis" else 0)

    asyncio.run(run())


async def publishes(client: Client, topic: str) -> bool:
    try:
        await client.call("publish", [topic, {"text": "x"}])
    except RpcError:
        return False
    return True


@backends("local", "redis", "nats")
def test_a_worker_is_killed_under_its_subscribers_and_all_resume(
    backend: Backend, serve: Callable[..., Gateway], tmp_path: Path
) -> None:
    """They come back to another worker behind the same address, and miss nothing of what that one can recall."""

    async def run() -> None:
        one = backend.gateway()
        two = backend.gateway()
        async with patience(90), AsyncExitStack() as stack, Client(url(two)) as publisher:
            clients = [await stack.enter_async_context(Client(url(one))) for _ in range(100)]
            subscriptions = [await stack.enter_async_context(await news(each)) for each in clients]
            await publisher.call("publish_many", ["news.a", 10])
            for subscription in subscriptions:
                assert await take(subscription, 10) == list(range(10))
            one.kill()
            for each in clients:
                each.url = url(two)
            if backend.kind == "local":
                await eventually(lambda: publishes(publisher, "news.other"), bool)
            resumed = asyncio.gather(*(take(subscription, 20) for subscription in subscriptions))
            await publisher.call("publish_many", ["news.a", 10])
            await eventually(lambda: connected(clients), lambda count: count == len(clients))
            await publisher.call("publish_many", ["news.a", 10])
            if backend.kind == "local":
                # The hub was killed with the worker, and its memory with it: that is said, and everything after comes.
                resumed.cancel()
                await asyncio.wait([resumed])
                await eventually(lambda: unrecovered(subscriptions), lambda count: count == len(clients))
            else:
                assert await resumed == [[*range(10), *range(10)]] * len(clients)

    asyncio.run(run())


async def connected(clients: list[Client]) -> int:
    return sum(client.state == "open" for client in clients)


async def unrecovered(subscriptions: list[Any]) -> int:
    return sum(subscription.recovered is False or subscription.client.state == "open" for subscription in subscriptions)


def test_a_forbidden_subscription_is_refused(serve: Callable[..., Gateway]) -> None:
    async def run() -> None:
        gateway = serve(APP)
        async with patience(), Client(url(gateway)) as client, AsyncExitStack() as stack:
            for topic, code in (("news.secret", 403), ("nothing", 404), ("news.a.b", 404), ("news.", 404)):
                with pytest.raises(RpcError) as caught:
                    await stack.enter_async_context(client.subscribe(topic))
                assert caught.value.code == code
            for number in range(100):
                await stack.enter_async_context(await news(client, str(number)))
            with pytest.raises(RpcError) as caught:
                await stack.enter_async_context(await news(client, "one more"[:3]))
            assert caught.value.code == 429

    asyncio.run(run())


def test_a_slow_subscriber_is_ended(serve: Callable[..., Gateway]) -> None:
    """Publishers never wait: one who does not read gets what fits, and then 429; it can ask again from its position."""

    async def run() -> None:
        gateway = serve(APP, "--flow-high-water", "1000", "--flow-low-water", "500")
        async with patience(60), Client(url(gateway)) as client:
            ws = await RawWebSocket().connect(gateway.websocket[0])
            ws.send(msgspec.msgpack.encode((1, {"topic": "news.a"}, "swill.subscribe")))
            await ws.expect(1)
            ws.pause()
            note = {"text": "x" * 10_000}
            ended = False
            while not ended:
                for _ in range(20):
                    await client.call("publish", ["news.a", note])
                ended = "swill.subscribe error 429" in await client.call("outcomes")
            ws.abort()

    asyncio.run(run())


def test_several_workers_do_not_start_with_memory(tmp_path: Path) -> None:
    """They say what to write instead, and the same application starts with one."""
    words = [sys.executable, "-m", "ssgi_gateway", "serve", APP, "--websocket", "127.0.0.1:0", "--workers", "2"]
    for env, hint in (
        ({"SWILL_PUBSUB": "memory"}, "pubsub=swill.LocalPubSub() on one machine, swill.RedisPubSub(url)"),
        ({"SWILL_PUBSUB": "none", "SWILL_SESSIONS": "memory"}, "sessions=swill.RedisSessions(url)"),
    ):
        done = subprocess.run(
            words, cwd=ROOT, env={**os.environ, **env}, capture_output=True, text=True, timeout=60, check=False
        )
        assert done.returncode == 2, done.stderr
        assert hint in done.stderr
