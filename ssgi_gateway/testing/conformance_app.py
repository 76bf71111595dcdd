"""The application that the conformance suite uses: SSGI 1.0 and the standard library, nothing of this project.

A server under test serves ``ssgi_gateway.testing.conformance_app:app``. A path chooses what it does; what it observed
of others (aborts, closes, results) is reported by ``/records?key=K``.
"""

from __future__ import annotations

import asyncio
import json
from collections import defaultdict
from typing import Any
from urllib.parse import parse_qs

__all__ = ["app"]

RECORDS: dict[str, list[Any]] = defaultdict(list)


def app(
    type: str,
    server_address: str,
    remote_address: str,
    method: str,
    path: str,
    query_string: str,
    get_header: Any,
    res: Any,
) -> Any:
    """The SSGI callable: sync for what answers at once, an awaitable where the behaviour is a coroutine."""
    query = {key: values[0] for key, values in parse_qs(query_string, keep_blank_values=True).items()}
    if type == "websocket":
        return WEBSOCKETS[path](res, query)
    behaviour = BEHAVIOURS.get(path)
    if behaviour is not None:
        return behaviour(res, query)
    headers = get_header()
    _json(
        res,
        {
            "type": type,
            "server_address": server_address,
            "remote_address": remote_address,
            "method": method,
            "path": path.encode("utf-8", "surrogateescape").decode("latin-1"),
            "query_string": query_string,
            "asked": get_header("X-ASKED"),
            "missing": get_header("x-missing"),
            "all": headers.get_all("x-twice"),
            "joined": get_header("x-twice"),
            "cookie": get_header("cookie"),
            "names": sorted(headers),
            "has_extensions": hasattr(res.extensions, "get"),
            "aborted": res.aborted,
        },
    )
    return None


def _json(res: Any, value: Any, status: int = 200) -> None:
    res.send_status(status)
    res.send_headers([("content-type", "application/json")])
    res.send(json.dumps(value))


def _status(res: Any, query: dict[str, str]) -> None:
    res.send_headers({"x-order": "headers before status"})
    res.send_status(query["status"] if " " in query["status"] else int(query["status"]))
    res.send(query.get("body"))


def _headers(res: Any, _: dict[str, str]) -> None:
    res.send_headers([("X-One", "1"), ("set-cookie", "a=1"), ("set-cookie", "b=2")])
    res.send_headers({"x-two": "2", "connection": "close", "transfer-encoding": "chunked"})
    res.send("ok")


def _refused(res: Any, query: dict[str, str]) -> None:
    refused = []
    attempts: dict[str, Any] = {
        "newline": lambda: res.send_headers([("x", "a\nb")]),
        "name": lambda: res.send_headers([("x y", "a")]),
        "nul": lambda: res.send_headers([("x", "a\0b")]),
    }
    for name, attempt in attempts.items():
        try:
            attempt()
        except ValueError:
            refused.append(name)
    res.send("first", has_more=True)
    late: dict[str, Any] = {
        "late status": lambda: res.send_status(404),
        "late headers": lambda: res.send_headers([("x", "y")]),
    }
    for name, attempt in late.items():
        try:
            attempt()
        except RuntimeError:
            refused.append(name)
    res.send()
    try:
        res.send("after the end")
    except RuntimeError:
        refused.append("after the end")
    RECORDS[query["key"]] += refused


async def _echo(res: Any, _: dict[str, str]) -> None:
    data = await res.get_data()
    again = await res.get_data()
    body = None if data is None else data.read()
    assert body == (None if again is None else again.getvalue())
    _json(res, {"none": body is None, "size": len(body or b""), "text": (body or b"")[:100].decode("latin-1")})


async def _chunks(res: Any, _: dict[str, str]) -> None:
    size = pieces = 0
    while (chunk := await res.get_chunk()) is not None:
        size += len(chunk.read())
        pieces += 1
    _json(res, {"size": size, "pieces": pieces})


async def _pieces(res: Any, query: dict[str, str]) -> None:
    for number in range(int(query["count"])):
        wanted = res.send(f"{number}\n", has_more=True)
        assert await wanted is True
    res.send()


async def _sized(res: Any, query: dict[str, str]) -> None:
    total = int(query["total"])
    results = []
    sent = 0
    while sent < total:
        size = min(50_000, total - sent)
        sent += size
        results.append(await res.send_chunk(b"s" * size, total))
    RECORDS[query["key"]] += [list(map(bool, result)) for result in results]


async def _overrun(res: Any, query: dict[str, str]) -> None:
    await res.send_chunk(b"12345", 10)
    try:
        await res.send_chunk(b"123456", 10)
    except ValueError:
        RECORDS[query["key"]].append("overrun")
    await res.send_chunk(b"67890", 10)


def _short(res: Any, _: dict[str, str]) -> None:
    res.send_headers([("content-length", "100")])
    res.send("only this", has_more=True)
    res.send()


async def _wait(res: Any, query: dict[str, str]) -> None:
    notes = RECORDS[query["key"]]
    left = asyncio.get_running_loop().create_future()

    def on_aborted(word: str) -> None:
        notes.append(word)
        if not left.done():
            left.set_result(None)

    res.on_aborted(on_aborted, "aborted")
    if "stream" in query:
        res.send("begun", has_more=True)
    await asyncio.wait_for(left, 30)
    notes.append(["flag", res.aborted])
    res.on_aborted(notes.append, "at once")
    res.send("without effect")


def _later(res: Any, query: dict[str, str]) -> None:
    async def answer(text: str) -> None:
        await asyncio.sleep(0)
        res.send(text)

    res.run_async(answer, query["text"])


def _raise(_: Any, __: dict[str, str]) -> None:
    raise ArithmeticError("raised for the conformance suite")


def _nothing(_: Any, __: dict[str, str]) -> None:
    """Returns without an answer."""


def _records(res: Any, query: dict[str, str]) -> None:
    _json(res, RECORDS[query["key"]])


def _ws_echo(ws: Any, _: dict[str, str]) -> None:
    ws.accept()
    ws.on_receive(lambda socket, message: socket.send(message))


async def _ws_order(ws: Any, _: dict[str, str]) -> None:
    """An async handler: one at a time, in order."""

    async def on_receive(socket: Any, message: str) -> None:
        await asyncio.sleep(0.02 if message == "0" else 0)
        socket.send(f"got {message}")

    assert await ws.accept()
    ws.on_receive(on_receive)


def _ws_reject(ws: Any, query: dict[str, str]) -> None:
    ws.reject(int(query.get("status", "403")), "not you", [("x-why", "because")])


def _ws_nothing(_: Any, __: dict[str, str]) -> None:
    """Neither accepts nor rejects."""


def _ws_close(ws: Any, query: dict[str, str]) -> None:
    ws.accept()
    ws.close(int(query["code"]), "done")


def _ws_note(ws: Any, query: dict[str, str]) -> None:
    notes = RECORDS[query["key"]]
    notes.append(int(ws.status))
    ws.accept("two" if "choose" in query else None)
    notes.append(int(ws.status))

    def on_close(socket: Any, code: int, reason: str) -> None:
        notes.append([code, reason or "", int(socket.status)])

    ws.on_close(on_close)
    ws.on_receive(lambda socket, message: socket.send(type(message).__name__))


def _ws_refused(ws: Any, query: dict[str, str]) -> None:
    notes = RECORDS[query["key"]]
    try:
        ws.send("too early")
    except RuntimeError:
        notes.append("send while pending")
    try:
        ws.accept("never offered")
    except ValueError:
        notes.append("a subprotocol that was not offered")
    ws.accept("")
    try:
        ws.close(1005)
    except ValueError:
        notes.append("a code that must not be sent")
    ws.close()


BEHAVIOURS = {
    "/status": _status,
    "/headers": _headers,
    "/refused": _refused,
    "/echo": _echo,
    "/chunks": _chunks,
    "/pieces": _pieces,
    "/sized": _sized,
    "/overrun": _overrun,
    "/short": _short,
    "/wait": _wait,
    "/later": _later,
    "/raise": _raise,
    "/nothing": _nothing,
    "/records": _records,
}
WEBSOCKETS = {
    "/ws/echo": _ws_echo,
    "/ws/order": _ws_order,
    "/ws/reject": _ws_reject,
    "/ws/nothing": _ws_nothing,
    "/ws/close": _ws_close,
    "/ws/note": _ws_note,
    "/ws/refused": _ws_refused,
}
