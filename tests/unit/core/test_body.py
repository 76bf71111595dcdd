"""A request's body between the server, which feeds it, and the application, which takes it."""

from __future__ import annotations

import asyncio

import pytest

from ssgi_gateway.core.body import TOGETHER, RequestBody
from tests.loops import settle


def fed(*pieces: bytes) -> RequestBody:
    body = RequestBody()
    for piece in pieces:
        body.feed(piece)
    return body


def waiting(body: RequestBody) -> asyncio.Future[None]:
    return body.when_more(asyncio.get_running_loop())


def test_what_waits_is_taken_together_and_what_comes_later_by_itself():
    body = fed(b"ab", b"c")
    assert [body.take(), body.take()] == [b"abc", b""]
    body.feed(b"d")
    assert [body.take(), body.take()] == [b"d", b""]


def test_where_much_waits_it_is_taken_as_it_came():
    big = bytes(TOGETHER)
    body = fed(b"ab", big, b"c", b"d")
    assert [body.take(), body.take(), body.take(), body.take()] == [b"ab", big, b"cd", b""]


def test_size_is_what_waits_and_received_what_came():
    body = fed(b"ab", bytes(TOGETHER), b"cde")
    assert (body.size, body.received) == (TOGETHER + 5, TOGETHER + 5)
    body.take()
    assert (body.size, body.received) == (TOGETHER + 3, TOGETHER + 5)
    body.take()
    body.take()
    assert (body.size, body.received) == (0, TOGETHER + 5)


def test_an_end_leaves_what_waits():
    body = fed(b"ab")
    assert body.ended is False
    body.feed_end()
    assert body.ended is True
    assert body.take() == b"ab"


def test_an_abort_drops_what_waits_and_raises():
    body = fed(b"ab")
    body.abort()
    assert body.aborted is True
    assert body.size == 0
    with pytest.raises(ConnectionAbortedError, match="disconnected before the request's body had arrived"):
        body.take()


def test_an_abort_after_the_end_changes_nothing():
    body = fed(b"ab")
    body.feed_end()
    body.abort()
    assert body.aborted is False
    assert body.take() == b"ab"


@pytest.mark.parametrize("news", [lambda body: body.feed(b"a"), RequestBody.feed_end, RequestBody.abort])
async def test_all_that_wait_are_woken(news):
    body = fed()
    first, second = waiting(body), waiting(body)
    assert not first.done()
    news(body)
    assert first.done()
    assert second.done()


async def test_who_waits_is_heard_of_until_there_is_news():
    body = fed()
    assert body.wanted is False
    waiting(body)
    assert body.wanted is True
    body.feed(b"a")
    assert body.wanted is False


async def test_who_has_given_up_does_not_wait():
    body = fed()
    hasty = waiting(body)
    hasty.cancel()
    await settle()
    assert body.wanted is False
    body.feed(b"a")
    assert body.take() == b"a"


async def test_who_has_given_up_does_not_hide_who_waits():
    body = fed()
    waiting(body).cancel()
    patient = waiting(body)
    assert body.wanted is True
    body.feed(b"a")
    assert patient.done()
