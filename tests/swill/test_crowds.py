"""Very many connections: ``make soak``. Skipped elsewhere; the other files have the same with fewer."""

from __future__ import annotations

import asyncio
import os
import resource
import signal
from collections.abc import Callable
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import msgspec
import pytest

from ssgi_gateway.rpc.client import Client
from tests.apps.swill_features import Note
from tests.harness import Gateway

from .raw import RawWebSocket
from .services import Redis
from .test_client import eventually, patience, url
from .test_pubsub import connected, take

pytestmark = [pytest.mark.slow, pytest.mark.skipif(not os.environ.get("SOAK"), reason="make soak")]

APP = "tests.apps.swill_features:app"
IDLE = 10_000
SUBSCRIBERS = 500
MEMORY = 16 * 1024
"""Bytes of resident memory that a subscribed connection may take; 5.7 KiB (and 4.2 without Swill) where it was
measured without the subscription."""


@pytest.fixture(autouse=True)
def descriptors() -> Any:
    before = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (2 * IDLE, max(2 * IDLE, before[1])))
    yield
    resource.setrlimit(resource.RLIMIT_NOFILE, before)


def test_ten_thousand_idle_connections(serve: Callable[..., Gateway], codec: str) -> None:
    """They are alive, take little, and one message reaches them all; then all leave, and nothing is left of them."""

    async def run() -> None:
        gateway = serve(APP, "--codec", codec, "--max-connections", str(2 * IDLE), websocket=("tcp", "unix"))
        address = gateway.address("websocket", "unix")
        async with patience(300), Client(url(gateway)) as client:
            await client.call("add", [1, 2])
            before = gateway.rss()
            subscribe = msgspec.msgpack.encode((1, {"topic": "news.a"}, "swill.subscribe"))
            sockets = []
            for _ in range(IDLE):
                sockets.append(await RawWebSocket().connect(address))
                sockets[-1].send(subscribe)
            for ws in sockets:
                assert await ws.expect(1, 60)
            assert await client.call("connected") == IDLE + 1
            assert (gateway.rss() - before) / IDLE < MEMORY
            await client.call("publish", ["news.a", {"text": "to all", "number": 7}])
            for ws in sockets:
                assert await ws.expect(2, 60)
                assert msgspec.msgpack.decode(ws.frames[1][1])[1]["data"] == {"text": "to all", "number": 7}
            for ws in sockets:
                ws.abort()
            await eventually(lambda: client.call("connected"), lambda count: count == 1)
            assert await client.call("waiting", "news.a") == 0

    asyncio.run(run())


def test_a_worker_is_killed_under_five_hundred_subscribers(serve: Callable[..., Gateway], tmp_path: Path) -> None:
    """Those whose worker it was come back to the others; everybody gets every message, once and in order."""

    async def run(redis: Redis) -> None:
        env = {"SWILL_PUBSUB": redis.url}
        gateway = serve(APP, "--workers", "2", env=env)
        async with patience(300), AsyncExitStack() as stack, Client(url(gateway)) as publisher:
            clients = [await stack.enter_async_context(Client(url(gateway))) for _ in range(SUBSCRIBERS)]
            subscriptions = []
            for client in clients:
                subscriptions.append(await stack.enter_async_context(client.subscribe("news.a", type=Note)))
            workers = {await client.call("pid") for client in clients}
            assert len(workers) == 2
            wanted = []
            for killed in range(3):
                await publisher.call("publish_many", ["news.a", 10], idempotent=True)
                wanted += range(10)
                victim = await clients[killed].call("pid", idempotent=True)
                os.kill(victim, signal.SIGKILL)
                await eventually(lambda: connected(clients), lambda count: count == SUBSCRIBERS)
            for subscription in subscriptions:
                assert await take(subscription, len(wanted)) == wanted
                assert subscription.recovered

    with Redis(tmp_path) as redis:
        asyncio.run(run(redis))
