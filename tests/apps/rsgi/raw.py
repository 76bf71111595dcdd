"""No framework: every method of RSGI's protocols and transports, a path for each."""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import json
import os
import sqlite3
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs

from tests.apps.behaviour import pattern
from tests.apps.records import record, records, resources

TEXT = [("content-type", "text/plain; charset=utf-8")]
JSON = [("content-type", "application/json")]
LIFE: list[str] = []


def query_of(scope: Any) -> dict[str, str]:
    return {name: values[0] for name, values in parse_qs(scope.query_string).items()}


async def facts(scope: Any, proto: Any) -> None:
    names = "proto rsgi_version http_version server client scheme method path query_string authority"
    told = {name: getattr(scope, name) for name in names.split()}
    proto.response_str(200, JSON, json.dumps({**told, "headers": dict(scope.headers.items()), "life": LIFE}))


async def empty(scope: Any, proto: Any) -> None:
    proto.response_empty(204, [("x-empty", "yes")])


async def text(scope: Any, proto: Any) -> None:
    proto.response_str(200, TEXT, "grüße")


async def data(scope: Any, proto: Any) -> None:
    proto.response_bytes(200, [("content-type", "application/x-test")], bytes(range(256)))


def at_once(scope: Any, proto: Any) -> None:
    """Not async: RSGI asks for a coroutine, and this server for nothing more than an answer."""
    proto.response_str(200, TEXT, "at once")


async def file(scope: Any, proto: Any) -> None:
    path = query_of(scope)["path"]
    size = os.stat(path).st_size
    proto.response_file(200, [("content-type", "application/x-test"), ("content-length", str(size))], path)


async def missing(scope: Any, proto: Any) -> None:
    proto.response_file(200, TEXT, str(Path(__file__).parent / "missing"))


async def file_range(scope: Any, proto: Any) -> None:
    """What granian's own tests do with a Range header."""
    path = query_of(scope)["path"]
    size = os.stat(path).st_size
    start, end = (int(it) for it in scope.headers["range"].removeprefix("bytes=").split("-"))
    if start >= size:
        proto.response_empty(416, [("content-range", f"bytes */{size}")])
        return
    end = min(end, size - 1)
    headers = [("content-length", str(end - start + 1)), ("content-range", f"bytes {start}-{end}/{size}")]
    proto.response_file_range(206, headers, path, start, end + 1)


async def stream(scope: Any, proto: Any) -> None:
    transport = proto.response_stream(200, [("content-type", "application/octet-stream")])
    size = int(query_of(scope)["size"])
    for start in range(0, size, 50000):
        await transport.send_bytes(pattern(min(50000, size - start), start))


async def events(scope: Any, proto: Any) -> None:
    transport = proto.response_stream(200, [("content-type", "text/event-stream")])
    for number in range(3):
        await transport.send_str(f"data: {number}\n\n")
        await asyncio.sleep(0.05)


async def forever(scope: Any, proto: Any) -> None:
    key = query_of(scope)["key"]
    transport = proto.response_stream(200, TEXT)
    record(key, "started")
    try:
        while True:
            await transport.send_str("x" * 10000)
    except RuntimeError as error:
        record(key, "left", type(error).__name__)
        raise


async def held(scope: Any, proto: Any) -> None:
    """A stream during which a database is open."""
    with contextlib.closing(sqlite3.connect(os.environ["APP_FOLDER"] + "/rows.sqlite3")) as database:
        database.execute("pragma user_version").fetchone()
        await forever(scope, proto)


async def watch(scope: Any, proto: Any) -> None:
    """A stream that sends nothing, and somebody who watches for the client's disconnection."""
    key = query_of(scope)["key"]
    transport = proto.response_stream(200, [*TEXT, ("x-accel-buffering", "no")])
    await transport.send_str("begun")
    record(key, "started")
    await proto.client_disconnect()
    record(key, "left")


async def echo(scope: Any, proto: Any) -> None:
    body = await proto()
    kind = scope.headers.get("content-type", "text/plain")
    proto.response_bytes(201, [("content-type", kind), ("x-length", str(len(body)))], body)


async def sums(scope: Any, proto: Any) -> None:
    seen = hashlib.sha256()
    async for piece in proto:
        seen.update(piece)
    proto.response_str(200, TEXT, seen.hexdigest())


async def read(scope: Any, proto: Any) -> None:
    key = query_of(scope)["key"]
    record(key, "started")
    try:
        await proto()
    except RuntimeError as error:
        record(key, "left", type(error).__name__)
        raise


async def error(scope: Any, proto: Any) -> None:
    raise LookupError("raised by the application")


async def noted(scope: Any, proto: Any) -> None:
    proto.response_str(200, JSON, json.dumps(records(query_of(scope)["key"])))


async def process(scope: Any, proto: Any) -> None:
    proto.response_str(200, JSON, json.dumps(resources() | {"tasks": len(asyncio.all_tasks())}))


async def nothing(scope: Any, proto: Any) -> None:
    proto.response_str(404, TEXT, "not here\n")


async def ws_echo(scope: Any, proto: Any) -> None:
    transport = await proto.accept()
    while (message := await transport.receive()).kind:
        if message.kind == 1:
            await transport.send_bytes(message.data)
        else:
            await transport.send_str(message.data)
    record(query_of(scope).get("key", ""), "closed")


async def ws_push(scope: Any, proto: Any) -> None:
    transport = await proto.accept()
    for number in range(3):
        await transport.send_str(f"tick {number}")
    proto.close(4000)


async def ws_flood(scope: Any, proto: Any) -> None:
    """Sends until the client has had enough."""
    key = query_of(scope)["key"]
    transport = await proto.accept()
    try:
        while True:
            await transport.send_bytes(bytes(65536))
    except RuntimeError as error:
        record(key, "left", type(error).__name__)


async def ws_reject(scope: Any, proto: Any) -> None:
    proto.close(int(query_of(scope)["status"]))


async def ws_error(scope: Any, proto: Any) -> None:
    await proto.accept()
    raise LookupError("raised by the application")


Page = Callable[[Any, Any], Awaitable[None] | None]

PAGES: dict[str, Page] = {
    "/facts": facts,
    "/empty": empty,
    "/text": text,
    "/data": data,
    "/at-once": at_once,
    "/file": file,
    "/missing": missing,
    "/range": file_range,
    "/stream": stream,
    "/events": events,
    "/forever": forever,
    "/held": held,
    "/watch": watch,
    "/echo": echo,
    "/sums": sums,
    "/read": read,
    "/error": error,
    "/do/records": noted,
    "/do/process": process,
}

SOCKETS: dict[str, Page] = {
    "/ws/echo": ws_echo,
    "/ws/push": ws_push,
    "/ws/flood": ws_flood,
    "/ws/reject": ws_reject,
    "/ws/error": ws_error,
}


class Application:
    """Of two interfaces: RSGI comes first."""

    def __rsgi_init__(self, loop: asyncio.AbstractEventLoop) -> None:
        loop.run_until_complete(asyncio.sleep(0))
        LIFE.append(f"init {loop.is_running()}")

    def __rsgi_del__(self, loop: asyncio.AbstractEventLoop) -> None:
        loop.run_until_complete(asyncio.sleep(0))
        print(f"__rsgi_del__ {loop.is_running()}", flush=True)

    def __rsgi__(self, scope: Any, proto: Any) -> Awaitable[None] | None:
        pages = PAGES if scope.proto == "http" else SOCKETS
        return pages.get(scope.path, nothing)(scope, proto)

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        raise AssertionError("__rsgi__ comes before __call__")


app = Application()
