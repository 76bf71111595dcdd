"""The application of the behaviour suite: a path chooses what it does, the query string says how.

Each path ``/do/NAME`` is the function ``do_NAME`` below, each WebSocket ``/ws/NAME`` one in ``behaviour_ws``; their
docstrings are the reference. Every other path answers with what the application was told of the request, as JSON, so
that any path at all can be asked about. ``?key=K`` lets an application note what it observed (aborts, closes, results);
``/do/records?key=K`` answers with the notes.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
import os
import time
from collections import defaultdict
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs

from .records import record, records

if TYPE_CHECKING:
    from ssgi_gateway.ssgi import GetHeader, SSGIHttpResponse, SSGIWebSocket

Query = dict[str, list[str]]

HELLO = b"Hello, world!\n"


def pattern(size: int, start: int = 0) -> bytes:
    """``size`` bytes that tell where in a body they belong: byte ``i`` is ``i % 251``."""
    cycle = bytes(range(251))
    skip = start % 251
    return (cycle * ((size + skip) // 251 + 1))[skip : skip + size]


def app(
    type: str,
    server_address: str,
    remote_address: str,
    method: str,
    path: str,
    query_string: str,
    get_header: GetHeader,
    res: Any,
) -> object:
    """The SSGI callable: sync for what answers at once, an awaitable where the behaviour is a coroutine."""
    query = parse_qs(query_string, keep_blank_values=True)
    request = (type, server_address, remote_address, method, path, query_string)
    if type == "websocket":
        from .behaviour_ws import behave

        return behave(path, query, describe(request, get_header, res), res)
    if path.startswith("/do/"):
        behaviour = globals().get("do_" + path.removeprefix("/do/").replace("-", "_"))
        if behaviour is None:
            answer_json(res, {"error": f"no behaviour {path}"}, 404)
            return None
        return behaviour(res, query)
    if "raise" in query:  # whatever the path is, which is what the log names
        raise RuntimeError("behaviour: as asked")
    answer_json(res, describe(request, get_header, res))
    return None


def describe(
    request: tuple[str, ...], get_header: GetHeader, res: SSGIHttpResponse | SSGIWebSocket
) -> dict[str, object]:
    """All that the application learns of a request; ``?ask=Name`` asks ``get_header`` for that spelling of a name."""
    names = ("type", "server_address", "remote_address", "method", "path", "query_string")
    extensions = res.extensions
    headers = get_header()
    plain = ("protocol", "scheme", "http_version", "root_path", "raw_path", "subprotocols")
    return {
        **dict(zip(names, request, strict=True)),
        "headers": {name: headers.get_all(name) for name in headers},
        "joined": {name: get_header(name.upper()) for name in headers},
        "asked": {name: get_header(name) for name in parse_qs(request[5]).get("ask", [])},
        "extensions": {name: extensions.get(name) for name in plain},
        "raw_headers": [[n.decode("latin-1"), v.decode("latin-1")] for n, v in extensions["headers"]],
        "environ": dict(extensions["environ"]),
    }


def answer_json(res: SSGIHttpResponse, value: object, status: int = 200) -> None:
    """A whole answer; ASCII, so that paths that are not UTF-8 come through as escaped surrogates."""
    body = json.dumps(value).encode()
    res.send_status(status)
    res.send_headers([("content-type", "application/json"), ("content-length", str(len(body)))])
    res.send(body)


def text(query: Query, name: str, default: str = "") -> str:
    """A parameter."""
    return query.get(name, [default])[-1]


def number(query: Query, name: str, default: int) -> int:
    """A parameter that is a whole number."""
    return int(text(query, name, str(default)))


def seconds(query: Query, name: str, default: float) -> float:
    """A parameter that is a time."""
    return float(text(query, name, str(default)))


def note_abort(res: SSGIHttpResponse, query: Query) -> None:
    """Let an abort leave a note under the key, with ``res.aborted`` as the handler saw it."""
    record(text(query, "key"), "started")
    res.on_aborted(lambda: record(text(query, "key"), "aborted", res.aborted))


# Answers at once


def do_hello(res: SSGIHttpResponse, query: Query) -> None:
    """``HELLO``, in one ``send``."""
    res.send_headers([("content-type", "text/plain"), ("content-length", str(len(HELLO)))])
    res.send(HELLO)


def do_answer(res: SSGIHttpResponse, query: Query) -> None:
    """``status`` (a number, or number and phrase), any number of ``h=Name: value``, ``body`` (text; absent: none).

    The values are given to the interface as they are, so this is also the way to wrong ones.
    """
    status = text(query, "status", "200")
    res.send_status(int(status) if status.lstrip("-").isdigit() else status)
    res.send_headers([tuple(header.split(": ", 1)) for header in query.get("h", [])])  # type: ignore[misc]
    res.send(query["body"][-1] if "body" in query else None)


def do_big_head(res: SSGIHttpResponse, query: Query) -> None:
    """A head with a header of ``size`` bytes."""
    res.send_headers([("x-big", "x" * number(query, "size", 8000))])
    res.send("ok")


def do_nothing(res: SSGIHttpResponse, query: Query) -> None:
    """Returns without an answer, and nothing is left that could give one."""


def do_refuse(res: SSGIHttpResponse, query: Query) -> None:
    """413 without a look at the body."""
    res.send_status(413)
    res.send_headers([("content-type", "text/plain")])
    res.send("too large\n")


def do_raise(res: SSGIHttpResponse, query: Query) -> None:
    """Raises before the head."""
    raise RuntimeError("behaviour: before the head")


def do_raise_late(res: SSGIHttpResponse, query: Query) -> None:
    """Raises after a head, with a Content-Length if ``declared`` is given, and ``size`` bytes."""
    if text(query, "declared"):
        res.send_headers([("content-length", text(query, "declared"))])
    res.send(pattern(number(query, "size", 1000)), has_more=True)
    raise RuntimeError("behaviour: after the head")


def do_short(res: SSGIHttpResponse, query: Query) -> None:
    """Declares ``declared`` bytes and ends after ``size``."""
    res.send_headers([("content-length", text(query, "declared", "10"))])
    res.send(pattern(number(query, "size", 5)))


def do_short_stream(res: SSGIHttpResponse, query: Query) -> None:
    """The same in two pieces, so that the head is out before the mistake is seen; notes the ``error``."""
    declared, size = number(query, "declared", 10), number(query, "size", 5)
    res.send_headers([("content-length", str(declared))])
    res.send(pattern(min(declared, size)), has_more=True)
    try:
        res.send(pattern(size - min(declared, size), declared))
    except ValueError as error:
        record(text(query, "key"), "error", str(error))
        raise


def do_flood(res: SSGIHttpResponse, query: Query) -> None:
    """``size`` bytes in sends of ``chunk``, without awaiting any."""
    for start, length in pieces(query):
        res.send(pattern(length, start), has_more=True)
    res.send()


def do_records(res: SSGIHttpResponse, query: Query) -> None:
    """The notes under ``key``."""
    answer_json(res, records(text(query, "key")))


def do_process(res: SSGIHttpResponse, query: Query) -> None:
    """The process: ``pid``, and how many asyncio ``tasks`` there are."""
    answer_json(res, {"pid": os.getpid(), "tasks": len(asyncio.all_tasks())})


def do_block(res: SSGIHttpResponse, query: Query) -> None:
    """Keeps the event loop's thread for ``delay`` seconds, as no application should; notes ``started``."""
    record(text(query, "key"), "started")
    time.sleep(seconds(query, "delay", 1))
    do_hello(res, query)


# Answers later


_waiting: defaultdict[str, list[asyncio.Future[None]]] = defaultdict(list)


async def do_barrier(res: SSGIHttpResponse, query: Query) -> None:
    """``HELLO`` to ``count`` requests with the same ``key``, when all of them are there at once."""
    waiting = _waiting[text(query, "key")]
    waiting.append(asyncio.get_running_loop().create_future())
    if len(waiting) == number(query, "count", 2):
        for other in waiting:
            other.set_result(None)
    await waiting[-1]
    do_hello(res, query)


async def do_async(res: SSGIHttpResponse, query: Query) -> None:
    """``HELLO`` after ``delay`` seconds, from a coroutine."""
    await asyncio.sleep(seconds(query, "delay", 0))
    do_hello(res, query)


def do_run_async(res: SSGIHttpResponse, query: Query) -> None:
    """``HELLO`` from a task of ``run_async``."""
    res.run_async(do_async, res, query)


async def do_raise_async(res: SSGIHttpResponse, query: Query) -> None:
    """Raises before the head, from a coroutine."""
    await asyncio.sleep(0)
    raise RuntimeError("behaviour: in a coroutine")


async def do_hang(res: SSGIHttpResponse, query: Query) -> None:
    """Never answers; notes ``started`` and ``aborted``, and ends then."""
    note_abort(res, query)
    gone = asyncio.Event()
    res.on_aborted(gone.set)
    await gone.wait()


async def do_hang_untold(res: SSGIHttpResponse, query: Query) -> None:
    """Never answers, or never ends what it has ``begun``; notes ``started``, and ``cancelled`` when it is."""
    if number(query, "begun", 0):
        res.send("begun", has_more=True)
    record(text(query, "key"), "started")
    try:
        await asyncio.get_running_loop().create_future()
    except asyncio.CancelledError:
        record(text(query, "key"), "cancelled")
        raise


# The request's body


async def do_body(res: SSGIHttpResponse, query: Query) -> None:
    """Reads chunk by chunk: ``length``, ``sha256``, ``chunks``, ``largest``; notes ``broken`` if the peer disconnects.

    With ``delay`` it sleeps so many seconds before each chunk, with ``limit`` it answers 413 after that many bytes.
    """
    digest, length, count, largest = hashlib.sha256(), 0, 0, 0
    note_abort(res, query)
    try:
        while True:
            await asyncio.sleep(seconds(query, "delay", 0))
            chunk = await res.get_chunk()
            if chunk is None:
                break
            data = chunk.getbuffer()
            digest.update(data)
            length, count, largest = length + len(data), count + 1, max(largest, len(data))
            record(text(query, "key"), "chunk", len(data))
            if length > number(query, "limit", 1 << 62):
                do_refuse(res, query)
                return
    except ConnectionAbortedError:
        record(text(query, "key"), "broken", length)
        raise
    answer_json(res, {"length": length, "sha256": digest.hexdigest(), "chunks": count, "largest": largest})


async def do_data(res: SSGIHttpResponse, query: Query) -> None:
    """Reads all at once, twice: ``length`` and ``sha256`` (both null without a body), ``again`` if both were equal.

    With ``first=1`` one chunk is read before, whose size is ``taken``; the rest is what ``get_data`` gives.
    """
    taken = None
    if text(query, "first"):
        chunk = await res.get_chunk()
        taken = None if chunk is None else len(chunk.getvalue())
    try:
        data, again = await res.get_data(), await res.get_data()
    except ConnectionAbortedError:
        record(text(query, "key"), "broken")
        raise
    first = None if data is None else data.read()
    second = None if again is None else again.read()
    answer_json(
        res,
        {
            "length": None if first is None else len(first),
            "sha256": None if first is None else hashlib.sha256(first).hexdigest(),
            "again": first == second,
            "taken": taken,
        },
    )


async def do_echo(res: SSGIHttpResponse, query: Query) -> None:
    """Sends the body back while it arrives."""
    res.send_headers([("content-type", "application/octet-stream")])
    while (chunk := await res.get_chunk()) is not None:
        await res.send(chunk.getvalue(), has_more=True)
    res.send()


# The answer's body


def pieces(query: Query) -> list[tuple[int, int]]:
    """``(start, length)`` of each piece of a body of ``size`` bytes in pieces of ``chunk``."""
    size, chunk = number(query, "size", 1 << 20), number(query, "chunk", 65536)
    return [(start, min(chunk, size - start)) for start in range(0, size, chunk)]


async def do_stream(res: SSGIHttpResponse, query: Query) -> None:
    """``pattern(size)`` in awaited sends of ``chunk``, ``delay`` seconds before each; ``length=1`` declares the length.

    Notes ``sent`` with the bytes that ``send`` took before it said that the peer had disconnected.
    """
    note_abort(res, query)
    if text(query, "length"):
        res.send_headers([("content-length", text(query, "size"))])
    sent = 0
    for start, length in pieces(query):
        await asyncio.sleep(seconds(query, "delay", 0))
        if not await res.send(pattern(length, start), has_more=True):
            break
        sent += length
        record(text(query, "key"), "progress", sent)
    record(text(query, "key"), "sent", sent)
    res.send()


async def do_duplex(res: SSGIHttpResponse, query: Query) -> None:
    """Answers while it receives, and never ends; notes ``started`` and ``aborted``."""
    note_abort(res, query)
    gone = asyncio.Event()
    res.on_aborted(gone.set)
    res.send(pattern(100_000), has_more=True)
    try:
        await res.get_chunk()
    except ConnectionAbortedError:
        return
    res.send(pattern(100_000), has_more=True)
    await gone.wait()


async def do_chunks(res: SSGIHttpResponse, query: Query) -> None:
    """``pattern(size)`` in ``send_chunk`` calls, with ``total=1`` of a known total; notes each ``result``."""
    size = number(query, "size", 1 << 20)
    total = size if text(query, "total") else False
    ended = False
    for start, length in pieces(query):
        sent, ended = await res.send_chunk(pattern(length, start), total)
        record(text(query, "key"), "result", [sent, ended])
        if ended:
            return
    if not ended:
        res.send()


async def do_events(res: SSGIHttpResponse, query: Query) -> None:
    """``count`` server-sent events, ``interval`` seconds apart; the data is the monotonic time of sending."""
    res.send_headers([("content-type", "text/event-stream")])
    for index in range(number(query, "count", 3)):
        if not await res.send(f"id: {index}\ndata: {time.monotonic()}\n\n", has_more=True):
            return
        await asyncio.sleep(seconds(query, "interval", 0.2))
    res.send()


MISUSES: dict[str, Callable[[SSGIHttpResponse], Awaitable[object] | None]] = {
    "status-after-send": lambda res: res.send_status(404),
    "headers-after-send": lambda res: res.send_headers([("x-late", "1")]),
}


async def do_misuse(res: SSGIHttpResponse, query: Query) -> None:
    """Does what the interface forbids once the head is sent (``what``, see ``MISUSES``), and sends the exception."""
    await res.send("", has_more=True)
    try:
        MISUSES[text(query, "what")](res)
    except Exception as error:
        res.send(f"{type(error).__name__}: {error}")
    else:
        res.send("no exception")
