"""Litestar."""

# No "from __future__ import annotations": Litestar reads the signatures.

import asyncio
import contextlib
from collections.abc import AsyncIterator
from typing import Annotated, Any

from litestar import Litestar, Request, Response, WebSocket, get, post, websocket
from litestar.background_tasks import BackgroundTask
from litestar.datastructures import UploadFile
from litestar.enums import RequestEncodingType
from litestar.exceptions import WebSocketDisconnect
from litestar.params import Body
from litestar.response import Stream

from tests.apps.records import record

from .common import digest, endless, pieces, with_records


@contextlib.asynccontextmanager
async def lifespan(app: Litestar) -> AsyncIterator[None]:
    """Makes the state."""
    app.state.word = "ready"
    yield


@get("/hello/{name:str}")
async def hello(name: str, request: Request[Any, Any, Any], n: int = 0) -> dict[str, Any]:
    return {"hello": name, "n": n, "state": request.app.state.word}


@get("/facts")
async def facts(request: Request[Any, Any, Any]) -> dict[str, Any]:
    return {
        "method": request.method,
        "path": request.url.path,
        "url": str(request.url),
        "client": request.client.host if request.client else None,
        "headers": dict(request.headers.items()),
    }


@post("/echo")
async def echo(request: Request[Any, Any, Any]) -> Response[bytes]:
    body = await request.body()
    kind = request.headers["content-type"]
    return Response(body, status_code=201, headers={"x-length": str(len(body))}, media_type=kind)


@post("/upload", status_code=200)
async def upload(data: Annotated[dict[str, Any], Body(media_type=RequestEncodingType.MULTI_PART)]) -> dict[str, Any]:
    file: UploadFile = data["file"]
    content = await file.read()
    return {"field": data["field"], "filename": file.filename, "length": len(content), "sha256": digest(content)}


@get("/stream")
async def stream(size: int) -> Stream:
    return Stream(pieces(size))


@get("/forever")
async def forever(key: str) -> Stream:
    return Stream(endless(key))


@get("/cookies")
async def cookies(request: Request[Any, Any, Any]) -> Response[dict[str, Any]]:
    response = Response({"seen": request.cookies.get("who")})
    response.set_cookie("one", "1")
    response.set_cookie("two", "2")
    return response


@get("/error")
async def error() -> None:
    raise LookupError("raised by the application")


async def note_later(key: str) -> None:
    await asyncio.sleep(0.05)
    record(key, "later")


@get("/late")
async def late(key: str) -> Response[dict[str, Any]]:
    return Response({}, background=BackgroundTask(note_later, key))


@websocket("/ws")
async def talk(socket: WebSocket[Any, Any, Any]) -> None:
    chosen = "chat" if "chat" in socket.scope["subprotocols"] else None
    await socket.accept(subprotocols=chosen)
    with contextlib.suppress(WebSocketDisconnect):
        while True:
            event = await socket.receive()
            if event["type"] == "websocket.disconnect":
                return
            if event.get("text") is not None:
                await socket.send_text(event["text"])  # type: ignore[typeddict-item]
            else:
                await socket.send_bytes(event["bytes"])  # type: ignore[typeddict-item]


@websocket("/ws/push")
async def push(socket: WebSocket[Any, Any, Any]) -> None:
    await socket.accept()
    for index in range(3):
        await socket.send_text(f"tick {index}")
    await socket.close(4000, "done")


application = Litestar(
    [hello, facts, echo, upload, stream, forever, cookies, error, late, talk, push], lifespan=[lifespan]
)

app = with_records(application)
