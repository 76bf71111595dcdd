"""The WebSocket half of the behaviour application: ``/ws/NAME`` is the function ``ws_NAME`` below.

Each notes, under ``?key=K``, the ``close`` it was told of, as ``[code, reason]``. Any other path is rejected with 404.
"""

from __future__ import annotations

import asyncio
import json
from typing import TYPE_CHECKING, Any

from .behaviour import Query, number, pattern, seconds, text
from .records import record

if TYPE_CHECKING:
    from ssgi_gateway.ssgi import Message, SSGIWebSocket


def behave(path: str, query: Query, facts: dict[str, object], ws: SSGIWebSocket) -> object:
    """Choose the behaviour."""
    behaviour = globals().get("ws_" + path.removeprefix("/ws/").replace("-", "_")) if path.startswith("/ws/") else None
    if behaviour is None:
        return ws.reject(404, f"no behaviour {path}\n")
    ws.on_close(lambda ws, code, reason: record(text(query, "key"), "close", [code, reason]))
    return behaviour(ws, query, facts)


async def echo(ws: SSGIWebSocket, message: Message) -> None:
    """A handler that sends back what arrived, and lets a slow reader hold it up."""
    await ws.send(message)


def ws_echo(ws: SSGIWebSocket, query: Query, facts: Any) -> None:
    """Accepts (the first subprotocol offered, if any) and echoes, from sync code."""
    ws.on_receive(lambda ws, message: ws.send(message))
    ws.accept()


async def ws_echo_async(ws: SSGIWebSocket, query: Query, facts: Any) -> None:
    """The same from coroutines; notes what ``accept`` said."""
    record(text(query, "key"), "accept", await ws.accept())
    ws.on_receive(echo)


async def ws_facts(ws: SSGIWebSocket, query: Query, facts: Any) -> None:
    """Sends what the application was told of the request, then echoes."""
    await ws.accept()
    await ws.send(json.dumps(facts))
    ws.on_receive(echo)


def ws_protocol(ws: SSGIWebSocket, query: Query, facts: Any) -> None:
    """Accepts with the subprotocol ``choose``; then echoes."""
    ws.on_receive(echo)
    ws.accept(text(query, "choose"))


def ws_reject(ws: SSGIWebSocket, query: Query, facts: Any) -> None:
    """Rejects with ``status``, ``body`` and any number of ``h=Name: value``."""
    headers = [tuple(header.split(": ", 1)) for header in query.get("h", [])]
    ws.reject(number(query, "status", 403), text(query, "body"), headers)  # type: ignore[arg-type]


def ws_reject_plain(ws: SSGIWebSocket, query: Query, facts: Any) -> None:
    """Rejects without a word."""
    ws.reject()


def ws_close_pending(ws: SSGIWebSocket, query: Query, facts: Any) -> None:
    """Closes before it has accepted."""
    ws.close(1000)


def ws_raise(ws: SSGIWebSocket, query: Query, facts: Any) -> None:
    """Raises before it has accepted."""
    raise RuntimeError("behaviour: before accept")


async def ws_raise_late(ws: SSGIWebSocket, query: Query, facts: Any) -> None:
    """Accepts, and raises at the first message."""

    def fail(ws: SSGIWebSocket, message: Message) -> None:
        raise RuntimeError("behaviour: in on_receive")

    ws.on_receive(fail)
    await ws.accept()


async def ws_hang(ws: SSGIWebSocket, query: Query, facts: Any) -> None:
    """Never answers the handshake; notes ``started``, and ends when the client disconnects."""
    gone = asyncio.Event()
    ws.on_close(lambda *_: gone.set())
    record(text(query, "key"), "started")
    await gone.wait()


def ws_close(ws: SSGIWebSocket, query: Query, facts: Any) -> None:
    """Accepts, and closes with ``code`` and ``reason`` at the first message; with ``now=1`` at once."""

    def close(ws: SSGIWebSocket, message: Message | None = None) -> None:
        ws.close(number(query, "code", 1000), text(query, "reason") or None)

    ws.on_receive(close)
    ws.accept()
    if text(query, "now"):
        close(ws)


async def ws_big(ws: SSGIWebSocket, query: Query, facts: Any) -> None:
    """Sends ``pattern(size)`` as one binary message, then echoes."""
    await ws.accept()
    await ws.send(pattern(number(query, "size", 1 << 20)))
    ws.on_receive(echo)


async def ws_flood(ws: SSGIWebSocket, query: Query, facts: Any) -> None:
    """Sends ``count`` binary messages of ``size``, each awaited; notes ``progress`` after each, ``sent`` at the end."""
    await ws.accept()
    message, sent = pattern(number(query, "size", 65536)), 0
    for _ in range(number(query, "count", 100)):
        if not await ws.send(message):
            break
        sent += 1
        record(text(query, "key"), "progress", sent)
    record(text(query, "key"), "sent", sent)
    ws.close()


async def ws_timer(ws: SSGIWebSocket, query: Query, facts: Any) -> None:
    """Pushes ``count`` text messages, ``interval`` seconds apart, unasked; then closes with 1000."""
    await ws.accept()
    for index in range(number(query, "count", 3)):
        await asyncio.sleep(seconds(query, "interval", 0.1))
        if not await ws.send(f"tick {index}"):
            return
    ws.close()


async def ws_slow(ws: SSGIWebSocket, query: Query, facts: Any) -> None:
    """Echoes after ``delay`` seconds a message; notes ``begin`` and ``end`` of each, with its length."""

    async def handle(ws: SSGIWebSocket, message: Message) -> None:
        record(text(query, "key"), "begin", len(message))
        await asyncio.sleep(seconds(query, "delay", 0.05))
        record(text(query, "key"), "end", len(message))
        await ws.send(message)

    ws.on_receive(handle)
    await ws.accept()


async def ws_late(ws: SSGIWebSocket, query: Query, facts: Any) -> None:
    """Accepts, and registers its handler only ``delay`` seconds later; then echoes."""
    await ws.accept()
    await asyncio.sleep(seconds(query, "delay", 0.2))
    ws.on_receive(echo)


async def ws_count(ws: SSGIWebSocket, query: Query, facts: Any) -> None:
    """Answers every message with its kind and length, such as ``text 5``."""

    def tell(ws: SSGIWebSocket, message: Message) -> None:
        ws.send(f"{'text' if isinstance(message, str) else 'binary'} {len(message)}")

    ws.on_receive(tell)
    await ws.accept()
