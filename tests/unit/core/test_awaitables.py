"""What ``send`` and its kin return: free when ignored, an ordinary awaitable when not."""

from __future__ import annotations

import asyncio
import inspect
import warnings

import pytest

from ssgi_gateway.core.awaitables import FALSE, TRUE, Ready, is_pending
from tests.loops import settle
from tests.unit.core.talk import http, websocket


@pytest.mark.parametrize(("awaitable", "value"), [(TRUE, True), (FALSE, False), (Ready((1, 2)), (1, 2))])
async def test_what_is_ready_gives_its_value_any_number_of_times(awaitable, value):
    assert await awaitable == value
    assert await awaitable == value


async def test_what_is_ready_does_not_wait():
    turns = []
    asyncio.get_running_loop().call_soon(turns.append, 1)
    await TRUE
    assert turns == []


async def pending_send():
    res, channel = http()
    channel.room = False
    return channel, res.send(b"a", True), True


async def pending_chunk():
    res, channel = http()
    channel.empty = False
    return channel, res.send_chunk(b"a", 1), (True, True)


async def pending_message():
    ws, channel = websocket()
    ws.accept()
    channel.room = False
    return channel, ws.send("a"), True


PENDING = pytest.mark.parametrize("make", [pending_send, pending_chunk, pending_message])


@PENDING
async def test_what_is_pending_is_an_awaitable_like_any_other(make):
    channel, awaitable, value = await make()
    assert inspect.isawaitable(awaitable)
    waiting = asyncio.gather(awaitable, asyncio.wait_for(awaitable, 30), asyncio.ensure_future(awaitable))
    await settle()
    assert not waiting.done()
    channel.take()
    assert await waiting == [value] * 3
    assert await awaitable == value


@PENDING
async def test_what_is_pending_may_be_given_up(make):
    channel, awaitable, value = await make()
    hasty = asyncio.ensure_future(awaitable)
    await settle()
    hasty.cancel()
    await settle()
    channel.take()
    assert await awaitable == value


@PENDING
async def test_what_is_pending_costs_nothing_when_it_is_ignored(make):
    tasks = asyncio.all_tasks()
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        channel, awaitable, _ = await make()
        del awaitable
        channel.take()
    assert asyncio.all_tasks() == tasks


@PENDING
async def test_run_async_takes_what_send_returned(make):
    channel, awaitable, value = await make()
    task = channel.exchange.run_async(awaitable)
    channel.take()
    assert await task == value


async def test_only_what_has_to_be_awaited_is_pending():
    async def coroutine():
        return None

    waiting = coroutine()
    future = asyncio.get_running_loop().create_future()
    assert is_pending(waiting)
    assert is_pending(future)
    for nothing in (None, TRUE, FALSE, 5, "text", coroutine, object()):
        assert not is_pending(nothing)
    waiting.close()
