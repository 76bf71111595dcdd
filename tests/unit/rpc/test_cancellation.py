"""Whatever ends a request, it may come at any await: every turn of the loop is tried, for every kind of procedure.

Then the handler has ended, its generator is closed, ``after_request`` ran once, nothing is sent that must not be, and
neither tasks nor requests are left.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import msgspec
import pytest

from ssgi_gateway import rpc as swill
from ssgi_gateway.rpc import Request, Response, StreamingRequest, SwillTestClient
from ssgi_gateway.rpc.frames import CANCEL, END_OF_STREAM, ERROR, MESSAGE, encode_request

SEQ, PING = 1, 99
TURNS = 48
"""More than the longest of these exchanges takes; ``test_they_end_in_time`` looks."""

PROCEDURES = ("single", "bare", "total", "count", "double")
ENDLESS = "endless"
STREAMS = ("count", "double", ENDLESS)


async def turn(*_: Any) -> None:
    await asyncio.sleep(0)


def application(log: list[str]) -> swill.Swill:
    """Waits wherever it can; ``bare`` has hardly any hooks."""
    app = swill.Swill(__name__)
    hooked = swill.Module("hooked")
    for name in (
        "before_request_metadata", "before_request_data", "before_request_message", "before_leading_metadata",
        "before_response_message", "before_trailing_metadata",
    ):  # fmt: skip
        hooked.add_lifecycle_handler(name, turn)

    async def before(request: Request[Any], response: Response, frame: Any) -> None:
        log.append("before")
        await turn()

    async def after(request: Request[Any]) -> None:
        log.append(f"after {request.outcome}")
        await turn()

    app.add_lifecycle_handler("before_request", before)
    app.add_lifecycle_handler("after_request", after)
    app.add_lifecycle_handler("after_connection", lambda connection: log.append("connection"))

    @hooked.handle()
    async def single(request: Request[int], response: Response) -> int:
        log.append("began")
        try:
            await response.set_leading_metadata({"lead": 1})
            await turn()
            return request.data
        finally:
            log.append("ended")

    @app.handle()
    async def bare(request: Request[int]) -> int:
        log.append("began")
        try:
            await turn()
            await turn()
            return request.data
        finally:
            log.append("ended")

    @hooked.handle()
    async def total(request: StreamingRequest[int]) -> int:
        log.append("began")
        try:
            return sum([number async for number in request.data])
        finally:
            log.append("ended")

    @hooked.handle()
    async def count(request: Request[int], response: Response) -> AsyncIterator[int]:
        log.append("began")
        try:
            for number in range(3):
                yield number
                await turn()
            response.set_trailing_metadata({"trail": 2})
        finally:
            try:
                await turn()
            finally:
                log.append("ended")

    @hooked.handle()
    async def double(request: StreamingRequest[int]) -> AsyncIterator[int]:
        log.append("began")
        try:
            async for number in request.data:
                yield number * 2
        finally:
            log.append("ended")

    @hooked.handle()
    async def endless(request: StreamingRequest[int]) -> AsyncIterator[int]:
        log.append("began")
        try:
            yield 1
            await asyncio.get_running_loop().create_future()
        finally:
            log.append("ended")

    app.include(hooked)
    return app


def opening(rpc: str) -> list[bytes]:
    """All that the client sends."""
    frames = [encode_request(SEQ, 1, rpc, MESSAGE, {"mine": 1})]
    if rpc in ("total", "double", ENDLESS):
        frames += [encode_request(SEQ, number, rpc) for number in (2, 3)]
        frames.append(encode_request(SEQ, None, rpc, END_OF_STREAM))
    return frames


async def settled(client: SwillTestClient) -> None:
    """Until nothing happens any more."""
    for _ in range(TURNS):
        await asyncio.sleep(0)


async def attempt(rpc: str, turns: int, end: Callable[[SwillTestClient], Awaitable[None]]) -> tuple[list[str], Any]:
    """One exchange that is ended after so many turns of the loop; returns what happened, and the frames sent."""
    log: list[str] = []
    app = application(log)
    client = SwillTestClient(app)
    async with client:
        connection = client.connection
        for frame in opening(rpc):
            client.send(frame)
        for _ in range(turns):
            await asyncio.sleep(0)
        await end(client)
        await settled(client)
        assert not connection.requests
        assert not connection.runtime.scope.tasks
        frames = [msgspec.msgpack.decode(frame) for frame in client.socket.sent]
    assert log.pop() == "connection"
    assert log.count("began") == log.count("ended")
    after = [line for line in log if line.startswith("after")]
    assert len(after) == log.count("before"), log
    assert not after or log[-1] == after[0], "after_request comes last"
    return log, frames


async def cancel(rpc: str, client: SwillTestClient) -> None:
    client.send(encode_request(SEQ, None, rpc, CANCEL))
    client.send(encode_request(PING, None, "swill.ping"))


async def leave(client: SwillTestClient) -> None:
    client.socket.deliver(b"")  # what was on its way when it left
    await client.socket.leave(1006)


async def let_time_pass(client: SwillTestClient) -> None:
    for request in tuple(client.connection.requests.values()):
        client.connection.deadline_passed(request)


def run(rpc: str, end: Callable[[SwillTestClient], Awaitable[None]]) -> list[tuple[list[str], Any]]:
    async def all_turns() -> list[tuple[list[str], Any]]:
        async with asyncio.timeout(60):
            return [await attempt(rpc, turns, end) for turns in range(1, TURNS)]

    return asyncio.run(all_turns())


@pytest.mark.parametrize("rpc", PROCEDURES)
def test_they_end_in_time(rpc: str) -> None:
    """Left alone; so the tests below have come to the end of each exchange, and past it."""
    log, frames = asyncio.run(attempt(rpc, TURNS, turn))
    assert log == ["before", "began", "ended", "after ok"]
    assert frames[-1][2] == (END_OF_STREAM if rpc in STREAMS else MESSAGE)


@pytest.mark.parametrize("rpc", [*PROCEDURES, ENDLESS])
def test_cancelled_by_its_client_at_every_turn(rpc: str) -> None:
    outcomes = set()
    for log, frames in run(rpc, lambda client: cancel(rpc, client)):
        ping = [frame[0] for frame in frames].index(PING)
        assert not frames[ping + 1 :], "nothing comes after a CANCEL"
        outcomes.update(log)
        assert sum(is_end(rpc, frame) for frame in frames) == ("after ok" in log)
    assert "after cancelled" in outcomes
    assert ("after ok" in outcomes) == (rpc != ENDLESS)


@pytest.mark.parametrize("rpc", [*PROCEDURES, ENDLESS])
def test_its_connection_is_gone_at_every_turn(rpc: str) -> None:
    outcomes = {line for log, _ in run(rpc, leave) for line in log}
    assert "after disconnected" in outcomes
    assert ("after ok" in outcomes) == (rpc != ENDLESS)


@pytest.mark.parametrize("rpc", [*PROCEDURES, ENDLESS])
def test_its_deadline_passes_at_every_turn(rpc: str) -> None:
    seen = set()
    for log, frames in run(rpc, let_time_pass):
        errors = [frame for frame in frames if frame[2] == ERROR]
        ends = [frame for frame in frames if frame[2] == ERROR or is_end(rpc, frame)]
        assert ends == frames[-1:], "one end, and nothing after it"
        assert ("after error" in log) == (bool(errors) and "before" in log)
        assert all(frame[1]["code"] == 504 for frame in errors)
        seen.add(bool(errors))
    assert seen == ({True} if rpc == ENDLESS else {True, False})


def is_end(rpc: str, frame: list[Any]) -> bool:
    """Whether a frame is the regular end of the request."""
    return bool(frame[0] == SEQ and frame[2] == (END_OF_STREAM if rpc in STREAMS else MESSAGE))
