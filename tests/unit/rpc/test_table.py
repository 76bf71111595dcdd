"""Any order of frames against the table: what a request's life may be, by hypothesis."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import msgspec
from hypothesis import given, settings
from hypothesis import strategies as st

from ssgi_gateway import rpc as swill
from ssgi_gateway.rpc import table
from ssgi_gateway.rpc.frames import CANCEL, END_OF_STREAM, MESSAGE, METADATA, encode_request

NAMES = ("single", "total", "double", "nobody")


def application() -> swill.Swill:
    app = swill.Swill(__name__)

    @app.handle()
    async def single(request: swill.Request[int]) -> int:
        await asyncio.sleep(0)
        return request.data

    @app.handle()
    async def total(request: swill.StreamingRequest[int]) -> int:
        return sum([number async for number in request.data])

    @app.handle()
    async def double(request: swill.StreamingRequest[int]) -> AsyncIterator[int]:
        async for number in request.data:
            yield number * 2
            if number == 3:
                return

    return app


frames = st.lists(
    st.tuples(
        st.integers(1, 3),
        st.sampled_from(NAMES),
        st.sampled_from((MESSAGE, MESSAGE, MESSAGE, END_OF_STREAM, METADATA, CANCEL)),
        st.sampled_from((1, 2, 3, None, "text")),
    ),
    max_size=25,
)


@settings(max_examples=150, deadline=None)
@given(frames)
def test_every_request_has_at_most_one_end_and_nothing_is_left(sent: list[tuple[int, str, int, Any]]) -> None:
    async def run() -> None:
        app = application()
        began: list[tuple[str, int]] = []
        ended: list[tuple[str, int]] = []
        app.add_lifecycle_handler("before_request", lambda request, response, frame: began.append(request.reference))
        app.add_lifecycle_handler("after_request", lambda request: ended.append(request.reference))
        async with swill.SwillTestClient(app) as client:
            for seq, name, kind, data in sent:
                client.send(encode_request(seq, data, name, kind))
                if data == 2:
                    await asyncio.sleep(0)
            connection = client.connection
            for seq in (1, 2, 3):
                for name in NAMES:
                    client.send(encode_request(seq, None, name, CANCEL))
            client.send(encode_request(99, None, "swill.ping"))
            answers = [msgspec.msgpack.decode(await client.socket.receive())]
            while answers[-1][0] != 99:
                answers.append(msgspec.msgpack.decode(await client.socket.receive()))
            assert not connection.requests
            # Cancelled, a request says nothing more: what comes after ping's answer would be for one.
            for _ in range(20):
                await asyncio.sleep(0)
            assert not client.socket.sent
            for answer in answers:
                assert len(answer) == 5
                assert answer[2] in (0, 1, 3)
            ends = sum(answer[2] != 0 for answer in answers)
            opened = sum(kind in (MESSAGE, METADATA) for _, _, kind, _ in sent)
            assert ends <= opened
        assert sorted(began) == sorted(ended)

    asyncio.run(run())


def test_the_table_is_whole() -> None:
    for state, row in table.TRANSITIONS.items():
        assert set(row) == {0, 1, 2, 3, 4}, state


def test_draining_is_bounded_and_forgets_the_oldest() -> None:
    draining = table.Draining()
    for seq in range(table.MAX_DRAINING + 10):
        draining.add(("rpc", seq))
    assert len(draining) == table.MAX_DRAINING
    assert ("rpc", 9) not in draining
    assert ("rpc", 10) in draining
    draining.discard(("rpc", 10))
    draining.discard(("rpc", 10))
    assert ("rpc", 10) not in draining
