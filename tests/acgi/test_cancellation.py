"""Cancelled at every await of every exchange: nothing leaks, and the next exchange is not harmed.

``open == idle + busy + connecting`` always; after ``aclose`` there is no connection, task or descriptor left.
"""

from __future__ import annotations

import asyncio
import os
import types

import pytest

from ssgi_gateway import client
from tests.acgi.servers import gateway

ROUNDS = 60


@types.coroutine
def cancelling(coroutine, at):
    """Run a coroutine, and cancel its task at the so-manieth await; gives how many there were."""
    awaits, value, error = 0, None, None
    while True:
        try:
            waited = coroutine.send(value) if error is None else coroutine.throw(error)
        except StopIteration:
            return awaits
        awaits += 1
        if awaits == at:
            asyncio.current_task().cancel()
        value = error = None
        try:
            value = yield waited
        except BaseException as raised:
            error = raised


def descriptors():
    return len(os.listdir("/proc/self/fd"))


def assert_books(pool):
    assert pool.open == len(pool.idle) + len(pool.busy) + pool.connecting


async def pieces():
    for _ in range(4):
        yield b"p" * 40_000
        await asyncio.sleep(0)


async def one(c, url):
    response = await c.request("POST", url, body=pieces(), headers={"x-a": "1"})
    await response.read()
    async with c.stream("GET", url) as response:
        await response.piece()
    response = await c.request("GET", url)
    await response.read()


async def messages(c, url):
    async with c.exchange() as (receive, send):
        await send({"type": "http.request", "url": url, "method": "POST", "body": b"a", "more_body": True})
        await send({"type": "http.request.body", "body": b"b" * 100_000, "more_body": True})
        await send({"type": "http.request.body", "body": b"", "more_body": False})
        while True:
            message = await receive()
            assert message["type"] != "http.stream.disconnect", message
            if message["type"].startswith("http.response") and message.get("more_body") is False:
                break


async def try_all(exchange, url, options):
    before = descriptors()
    async with client.Client(**options) as c:
        await exchange(c, url)
        at = 0
        for at in range(1, ROUNDS * 10):
            try:
                awaits = await asyncio.ensure_future(asyncio.wait_for(started(exchange, c, url, at), 20))
            except asyncio.CancelledError:
                awaits = at
            assert_books(c.pool)
            if awaits < at:
                break
        assert at > 1
        # Nobody is harmed: the same exchange, and many at once.
        await exchange(c, url)
        await asyncio.gather(*[exchange(c, url) for _ in range(5)])
        pool = c.pool
        assert_books(pool)
    assert (pool.open, len(pool.idle), len(pool.busy), pool.connecting) == (0, 0, 0, 0)
    assert not pool.places
    assert len(asyncio.all_tasks()) == 1
    assert descriptors() == before


async def started(exchange, c, url, at):
    return await cancelling(exchange(c, url), at)


@pytest.fixture(params=["h1", "h1-unix", "tls", "h2", "h2c", "scgi", "fastcgi", "app"])
def served(request, web, tmp_path):
    kind = request.param
    tls = client.TLS(ca=str(web.certificate))
    if kind == "h1":
        yield f"http://{web.plain}/upload", {}
    elif kind == "h1-unix":
        yield f"http://unix:{web.socket}:/sink", {}
    elif kind == "tls":
        yield f"https://{web.secure}/upload", {"tls": tls, "http2": False}
    elif kind == "h2":
        yield f"https://{web.secure}/upload", {"tls": tls}
    elif kind == "h2c":
        yield f"http://{web.h2c}/upload", {"http2": "prior-knowledge"}
    elif kind == "app":
        from tests.acgi.test_httpx import app

        yield "http://example.org/echo", {"app": app}
    else:
        with gateway("tests.acgi.test_httpx:app", tmp_path, kind) as address:
            yield "http://example.org/echo", {kind: address}


@pytest.mark.parametrize("kept", [True, False], ids=["kept", "fresh"])
@pytest.mark.parametrize("exchange", [one, messages])
def test_cancelled_at_every_await(served, exchange, kept):
    url, options = served
    limits = client.Limits(max_per_origin=3) if kept else client.Limits(max_per_origin=3, max_age=0)
    asyncio.run(try_all(exchange, url, {"limits": limits, **options}))


def test_cancelled_while_a_name_is_looked_up_or_nobody_answers():
    async def main():
        async with client.Client(timeouts=client.Timeouts(connect=5)) as c:
            for url in ("http://127.0.0.1:1/", "http://localhost:1/", "http://192.0.2.1:9/", "https://192.0.2.1:9/"):
                for at in range(1, 4):
                    task = asyncio.ensure_future(started(quiet, c, url, at))
                    await asyncio.wait([task], timeout=0.2)
                    task.cancel()
                    await asyncio.wait([task])
                    assert_books(c.pool)
            pool = c.pool
        assert pool.open == 0
        assert not pool.places

    async def quiet(c, url):
        try:
            await c.request("GET", url)
        except client.ClientError:
            pass

    before = descriptors()
    asyncio.run(main())
    assert descriptors() == before
