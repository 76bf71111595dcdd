"""No framework: the interface itself."""

from __future__ import annotations

import asyncio
import email
import email.policy
import json
from typing import Any
from urllib.parse import parse_qs

from tests.apps.records import record

from .common import digest, endless, pieces, with_records


async def application(scope: Any, receive: Any, send: Any) -> None:
    """The ASGI 3 callable."""
    await {"http": serve, "websocket": talk, "lifespan": live}[scope["type"]](scope, receive, send)


async def live(scope: Any, receive: Any, send: Any) -> None:
    while True:
        event = await receive()
        if event["type"] == "lifespan.startup":
            scope["state"]["word"] = "ready"
        await send({"type": event["type"] + ".complete"})
        if event["type"] == "lifespan.shutdown":
            return


class Request:
    """What the handlers below want to know, and say."""

    def __init__(self, scope: Any, receive: Any, send: Any) -> None:
        self.scope = scope
        self.receive = receive
        self.send = send
        self.path = scope["path"]
        self.query = {name: values[-1] for name, values in parse_qs(scope["query_string"].decode()).items()}
        self.headers = {name.decode(): value.decode("latin-1") for name, value in scope["headers"]}

    async def answer(self, body: bytes, status: int = 200, extra: Any = (), kind: str = "application/json") -> None:
        headers = [(b"content-type", kind.encode()), *extra]
        await self.send({"type": "http.response.start", "status": status, "headers": headers})
        await self.send({"type": "http.response.body", "body": body})

    async def answer_json(self, value: object, **keys: Any) -> None:
        await self.answer(json.dumps(value).encode(), **keys)

    async def stream(self, source: Any) -> None:
        await self.send({"type": "http.response.start", "status": 200})
        async for piece in source:
            await self.send({"type": "http.response.body", "body": piece, "more_body": True})
        await self.send({"type": "http.response.body"})


async def hello(it: Request) -> None:
    name = it.path.removeprefix("/hello/")
    await it.answer_json({"hello": name, "n": int(it.query.get("n", 0)), "state": it.scope["state"]["word"]})


async def facts(it: Request) -> None:
    url = f"{it.scope['scheme']}://{it.headers['host']}{it.scope['raw_path'].decode()}"
    told = {"method": it.scope["method"], "path": it.path, "url": url, "client": it.scope["client"][0]}
    await it.answer_json({**told, "headers": it.headers})


async def echo(it: Request) -> None:
    body = await read(it.receive)
    await it.answer(body, 201, [(b"x-length", str(len(body)).encode())], it.headers["content-type"])


async def upload(it: Request) -> None:
    await it.answer_json(parse_form(it.headers["content-type"], await read(it.receive)))


async def stream(it: Request) -> None:
    await it.stream(pieces(int(it.query["size"])))


async def forever(it: Request) -> None:
    source = endless(it.query["key"])
    try:
        await it.stream(source)
    except OSError:
        await source.aclose()


async def cookies(it: Request) -> None:
    seen = dict(pair.split("=", 1) for pair in it.headers.get("cookie", "").split("; ") if pair)
    await it.answer_json(
        {"seen": seen.get("who")}, extra=[(b"set-cookie", b"one=1"), (b"set-cookie", b"two=2; Path=/")]
    )


async def error(it: Request) -> None:
    raise LookupError("raised by the application")


async def late(it: Request) -> None:
    await it.answer_json({})
    await asyncio.sleep(0.05)
    record(it.query["key"], "later")


async def missing(it: Request) -> None:
    await it.answer_json({"error": it.path}, status=404)


HANDLERS = {
    "hello": hello,
    "facts": facts,
    "echo": echo,
    "upload": upload,
    "stream": stream,
    "forever": forever,
    "cookies": cookies,
    "error": error,
    "late": late,
}


async def serve(scope: Any, receive: Any, send: Any) -> None:
    it = Request(scope, receive, send)
    await HANDLERS.get(it.path.split("/")[1], missing)(it)


async def read(receive: Any) -> bytes:
    body = b""
    while True:
        event = await receive()
        body += event["body"]
        if not event["more_body"]:
            return body


def parse_form(content_type: str, body: bytes) -> dict[str, Any]:
    raw = b"Content-Type: " + content_type.encode() + b"\r\n\r\n" + body
    parts = {}
    for part in email.message_from_bytes(raw, policy=email.policy.HTTP).iter_parts():  # type: ignore[attr-defined]
        parts[part.get_param("name", header="content-disposition")] = part
    data = parts["file"].get_payload(decode=True)
    return {
        "field": parts["field"].get_payload(decode=True).decode(),
        "filename": parts["file"].get_filename(),
        "length": len(data),
        "sha256": digest(data),
    }


async def talk(scope: Any, receive: Any, send: Any) -> None:
    assert (await receive())["type"] == "websocket.connect"
    if scope["path"] == "/ws":
        chosen = "chat" if "chat" in scope["subprotocols"] else None
        await send({"type": "websocket.accept", "subprotocol": chosen})
        while (event := await receive())["type"] == "websocket.receive":
            await send({**event, "type": "websocket.send"})
    elif scope["path"] == "/ws/push":
        await send({"type": "websocket.accept"})
        for index in range(3):
            await send({"type": "websocket.send", "text": f"tick {index}"})
        await send({"type": "websocket.close", "code": 4000, "reason": "done"})
    else:
        await send({"type": "websocket.close"})


app = with_records(application)
