"""Falcon's ASGI half."""

from __future__ import annotations

import asyncio
import contextlib
from typing import Any

import falcon
import falcon.asgi

from tests.apps.records import record

from .common import digest, endless, pieces, with_records

STATE: dict[str, str] = {}


class Lifespan:
    """Falcon gives the lifespan to its middleware."""

    async def process_startup(self, scope: Any, event: Any) -> None:
        """Makes the state."""
        STATE["word"] = "ready"


class Hello:
    async def on_get(self, req: Any, resp: Any, name: str) -> None:
        resp.media = {"hello": name, "n": req.get_param_as_int("n", default=0), "state": STATE["word"]}


class Facts:
    async def on_get(self, req: Any, resp: Any) -> None:
        resp.media = {
            "method": req.method,
            "path": req.path,
            "url": req.uri,
            "client": req.remote_addr,
            "headers": {name.lower(): value for name, value in req.headers.items()},
        }


class Echo:
    async def on_post(self, req: Any, resp: Any) -> None:
        resp.data = await req.stream.read()
        resp.content_type = req.content_type
        resp.status = falcon.HTTP_201
        resp.set_header("x-length", str(len(resp.data)))


class Upload:
    async def on_post(self, req: Any, resp: Any) -> None:
        answer: dict[str, Any] = {}
        async for part in await req.get_media():
            data = await part.get_data()
            if part.name == "file":
                answer |= {"filename": part.filename, "length": len(data), "sha256": digest(data)}
            else:
                answer[part.name] = data.decode()
        resp.media = answer


class Stream:
    async def on_get(self, req: Any, resp: Any) -> None:
        resp.stream = pieces(req.get_param_as_int("size"))


class Forever:
    async def on_get(self, req: Any, resp: Any) -> None:
        resp.stream = endless(req.get_param("key"))


class Cookies:
    async def on_get(self, req: Any, resp: Any) -> None:
        resp.set_cookie("one", "1", secure=False)
        resp.set_cookie("two", "2", secure=False)
        resp.media = {"seen": req.cookies.get("who")}


class Error:
    async def on_get(self, req: Any, resp: Any) -> None:
        raise LookupError("raised by the application")


class Late:
    async def on_get(self, req: Any, resp: Any) -> None:
        key = req.get_param("key")

        async def note_later() -> None:
            await asyncio.sleep(0.05)
            record(key, "later")

        resp.schedule(note_later)
        resp.media = {}


class Events:
    async def on_get(self, req: Any, resp: Any) -> None:
        """Server-sent events: Falcon watches for the client's disconnection meanwhile."""

        async def emit() -> Any:
            for index in range(3):
                yield falcon.asgi.SSEvent(text=str(index))
                await asyncio.sleep(0.1)

        resp.sse = emit()


class Talk:
    async def on_websocket(self, req: Any, ws: Any) -> None:
        await ws.accept("chat" if "chat" in ws.subprotocols else None)
        with contextlib.suppress(falcon.WebSocketDisconnected):
            while True:
                # Falcon wants to be told which kind is expected; it raises for the other one and loses the message.
                if req.get_param("kind") == "bytes":
                    await ws.send_data(await ws.receive_data())
                else:
                    await ws.send_text(await ws.receive_text())


class Push:
    async def on_websocket(self, req: Any, ws: Any) -> None:
        await ws.accept()
        for index in range(3):
            await ws.send_text(f"tick {index}")
        await ws.close(4000, "done")


application = falcon.asgi.App(middleware=[Lifespan()])
for route, resource in {
    "/hello/{name}": Hello(),
    "/facts": Facts(),
    "/echo": Echo(),
    "/upload": Upload(),
    "/stream": Stream(),
    "/forever": Forever(),
    "/cookies": Cookies(),
    "/error": Error(),
    "/late": Late(),
    "/events": Events(),
    "/ws": Talk(),
    "/ws/push": Push(),
}.items():
    application.add_route(route, resource)

app = with_records(application)
