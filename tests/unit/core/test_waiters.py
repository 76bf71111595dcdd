"""Futures of those who wait for the same thing."""

from __future__ import annotations

import asyncio
import weakref

import pytest

from ssgi_gateway.core.server_loop import ServerLoop
from ssgi_gateway.core.waiters import Waiters, settled
from tests.loops import settle


@pytest.fixture
def loop():
    made = asyncio.new_event_loop()
    yield ServerLoop(made)
    made.close()


def test_all_who_wait_get_it_once(loop):
    waiters = Waiters()
    first, second = waiters.wait(loop), waiters.wait(loop)
    assert waiters.waiting()
    waiters.wake("it")
    assert [first.result(), second.result()] == ["it", "it"]
    assert not waiters.waiting()
    third = waiters.wait(loop)
    assert not third.done()
    waiters.wake("again")
    assert third.result() == "again"
    assert first.result() == "it"


def test_nobody_waits(loop):
    waiters = Waiters()
    waiters.wake(None)
    assert not waiters.waiting()
    assert not waiters.wait(loop).done()


def test_who_has_given_up_gets_nothing(loop):
    waiters = Waiters()
    gone, there = waiters.wait(loop), waiters.wait(loop)
    gone.cancel()
    waiters.wake(1)
    assert gone.cancelled()
    assert there.result() == 1


def test_who_has_given_up_does_not_wait(loop):
    waiters = Waiters()
    waiters.wait(loop).cancel()
    assert not waiters.waiting()


async def test_to_ask_and_give_up_again_and_again_leaves_nothing():
    loop = ServerLoop(asyncio.get_running_loop())
    waiters = Waiters()
    left = []
    for _ in range(100):
        future = waiters.wait(loop)
        future.cancel()
        left.append(weakref.ref(future))
    del future
    assert sum(ref() is not None for ref in left) == 1


async def test_a_pause_that_was_cancelled_leaves_nothing():
    loop = ServerLoop(asyncio.get_running_loop())
    waiters = Waiters()
    task = asyncio.create_task(waiters.pause(loop))
    await settle()
    assert waiters.waiting()
    task.cancel()
    await settle()
    assert task.cancelled()
    assert not waiters.waiting()


async def test_pause_ends_with_the_next_wake():
    loop = ServerLoop(asyncio.get_running_loop())
    waiters = Waiters()
    task = asyncio.create_task(waiters.pause(loop))
    await settle()
    assert not task.done()
    waiters.wake(None)
    await task
    assert not waiters.waiting()


def test_who_wakes_up_may_wait_again_at_once(loop):
    waiters = Waiters()
    again = []
    waiters.wait(loop).add_done_callback(lambda _: again.append(waiters.wait(loop)))
    waiters.wake(None)
    loop.asyncio.run_until_complete(asyncio.sleep(0))
    assert len(again) == 1
    assert not again[0].done()


def test_what_has_happened_already(loop):
    assert settled(loop, False).result() is False
