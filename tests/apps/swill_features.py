"""A Swill application with everything beyond single calls, for tests of the extensions.

``SWILL_PUBSUB`` and ``SWILL_SESSIONS`` choose the backends: ``memory``, ``local:PATH``, ``redis://...``, ``nats://...``.
"""

from __future__ import annotations

import asyncio
import os
import threading
import time
from collections.abc import AsyncIterator
from typing import Any

import msgspec

from ssgi_gateway import rpc as swill
from ssgi_gateway.rpc import Request, Response, StreamingRequest


def pubsub() -> Any:
    chosen = os.environ.get("SWILL_PUBSUB", "memory")
    if chosen.startswith(("redis:", "unix:")):
        return swill.RedisPubSub(chosen, timeout=2)
    if chosen.startswith("nats:"):
        return swill.NatsPubSub(chosen, timeout=2)
    if chosen.startswith("local:"):
        return swill.LocalPubSub(chosen.removeprefix("local:"))
    return swill.MemoryPubSub() if chosen == "memory" else None


def sessions() -> Any:
    chosen = os.environ.get("SWILL_SESSIONS", "")
    if chosen.startswith(("redis:", "unix:")):
        return swill.RedisSessions(chosen, timeout=2)
    return swill.MemorySessions() if chosen == "memory" else None


class Note(msgspec.Struct):
    text: str
    number: int = 0


app = swill.Swill(
    __name__,
    debug=os.environ.get("SWILL_DEBUG") == "1",
    sessions=sessions(),
    pubsub=pubsub(),
    threads=2,
    thread_queue=0,
)
if os.environ.get("SWILL_ACCESS"):
    app.use(swill.AccessLog(json=True))
if os.environ.get("SWILL_STATIC"):
    app.static("/", os.environ["SWILL_STATIC"])

ended: list[str] = []
"""How requests ended: ``rpc outcome code``."""

metas = swill.Module("metas")
app.include(metas, prefix="metas.")


@app.on("after_request")
def remember(request: Request[Any]) -> None:
    ended.append(f"{request.rpc} {request.outcome} {request.code}")
    del ended[:-100]


@app.handle(idempotent=True)
async def outcomes(request: Request[Any]) -> list[str]:
    return ended


@app.handle()
async def connected(request: Request[Any]) -> int:
    """How many connections there are, this one included."""
    return len(app.connections)


@app.handle()
async def open_requests(request: Request[Any]) -> int:
    """Of this connection, this one included."""
    return len(request.connection.requests)


@app.handle(idempotent=True)
async def pid(request: Request[Any]) -> int:
    return os.getpid()


@app.handle(inline=True)
def add(request: Request[tuple[int, int]]) -> int:
    """Add two numbers."""
    return request.data[0] + request.data[1]


@app.handle()
async def echo(request: Request[Any]):
    return request.data


@app.handle()
async def slow(request: Request[float]) -> str:
    """Wait for so many seconds."""
    await asyncio.sleep(request.data)
    return "done"


@app.handle()
def blocking(request: Request[float]) -> str:
    end = time.monotonic() + request.data
    while time.monotonic() < end:
        if request.cancelled:
            ended.append("blocking saw that it was cancelled")
            return "cancelled"
        time.sleep(0.01)
    return threading.current_thread().name


@app.handle(timeout=0.05)
async def bounded(request: Request[Any]) -> None:
    await asyncio.sleep(60)


@app.handle()
async def remaining(request: Request[Any]) -> float | None:
    return request.remaining()


@app.handle()
async def count(request: Request[int]) -> AsyncIterator[int]:
    for number in range(request.data):
        yield number


@app.handle()
async def ticks(request: Request[float]) -> AsyncIterator[int]:
    number = 0
    while True:
        yield number
        number += 1
        await asyncio.sleep(request.data)


@app.handle()
async def flood(request: Request[int]) -> AsyncIterator[bytes]:
    """Items of so many bytes, as fast as they are taken."""
    item = b"x" * request.data
    while True:
        yield item


@app.handle()
async def numbered(request: Request[int]) -> AsyncIterator[int]:
    """A stream that goes on where the client was: see ``tracked``."""
    first = 0 if request.since is None else int(request.since) + 1
    for number in range(first, request.data):
        yield swill.tracked(str(number), number)
        if number == 4 and request.since is None:
            request.connection.ws.close(1012)


@app.handle()
async def total(request: StreamingRequest[int]) -> int:
    result = 0
    async for number in request.data:
        result += number
    return result


@app.handle()
async def lazy_total(request: StreamingRequest[int]) -> int:
    """Takes nothing before ``go`` is called."""
    await gate.wait()
    result = 0
    async for number in request.data:
        result += number
    return result


gate = asyncio.Event()


@app.handle()
async def go(request: Request[Any]) -> None:
    gate.set()


@app.handle()
async def double(request: StreamingRequest[int]) -> AsyncIterator[int]:
    async for number in request.data:
        yield number * 2


@app.handle()
async def fail(request: Request[Any]) -> int:
    raise ValueError("a secret")


@app.handle()
async def conflict(request: Request[Any]) -> int:
    raise swill.Error(code=409, message="conflict", data={"version": 3})


@app.handle()
async def leave(request: Request[int]) -> None:
    raise swill.CloseConnection(code=request.data, reason="go away")


@metas.handle()
async def both(request: Request[Any], response: Response) -> dict[str, Any]:
    """Metadata in both directions."""
    await response.set_leading_metadata({"lead": 1}, send_immediately=False)
    response.set_trailing_metadata({"trail": 2})
    return request.metadata


# -- topics


@app.topic("news.{room}", type=Note, history=50, ttl=60)
async def may_read_news(connection: swill.Connection, room: str) -> bool:
    """News of a room."""
    return room != "secret"


@app.topic("fleeting", type=int)
def may_hear(connection: swill.Connection) -> bool:
    """Numbers that nobody keeps."""
    return True


@app.handle()
async def publish(request: Request[tuple[str, Note]]) -> str:
    return await app.publish(*request.data)


@app.handle()
async def publish_many(request: Request[tuple[str, int]]) -> str:
    topic, count = request.data
    position = ""
    for number in range(count):
        position = await app.publish(topic, Note("n", number))
    return position


@app.handle()
async def waiting(request: Request[str]) -> int:
    """How many subscribers of a topic in this process do not get its messages together with others."""
    audience = app.pubsub._audiences.get(request.data)
    return 0 if audience is None else len(audience.single)


@app.handle()
async def publish_number(request: Request[int]) -> str:
    return await app.publish("fleeting", request.data)


@app.handle()
async def first_news(request: Request[str]) -> Note:
    async with app.subscribe(f"news.{request.data}") as messages:
        await app.publish(f"news.{request.data}", Note("to myself"))
        async for message in messages:
            return message
    raise AssertionError("never")


# -- sessions


@app.handle("session.get")
async def session_get(request: Request[str]) -> Any:
    return await request.session.get(request.data)


@app.handle("session.set")
async def session_set(request: Request[tuple[str, Any]]) -> None:
    await request.session.set(*request.data)


@app.handle("session.items")
async def session_items(request: Request[Any]) -> dict[str, Any]:
    return await request.session.items()


@app.handle("session.delete")
async def session_delete(request: Request[str]) -> None:
    await request.session.delete(request.data)


@app.handle("session.clear")
async def session_clear(request: Request[Any]) -> None:
    await request.session.clear()


@app.handle("session.rotate")
async def session_rotate(request: Request[Any]) -> None:
    await request.session.rotate()


@app.handle("session.end")
async def session_end(request: Request[Any]) -> None:
    await app.close_session(request.session.id)


@app.handle("session.id")
async def session_id(request: Request[Any]) -> str:
    return request.session.id
