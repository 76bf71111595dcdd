"""FastAPI."""

from __future__ import annotations

import asyncio
import contextlib
import os
import sqlite3
from collections.abc import AsyncIterator
from typing import Annotated, Any

from fastapi import BackgroundTasks, Cookie, Depends, FastAPI, File, Form, Request, Response, UploadFile, WebSocket
from fastapi.responses import StreamingResponse
from pydantic import BaseModel
from starlette.websockets import WebSocketDisconnect

from tests.apps.records import record

from .common import digest, endless, pieces, with_records


@contextlib.asynccontextmanager
async def lifespan(app: FastAPI) -> AsyncIterator[dict[str, Any]]:
    """Makes the state."""
    yield {"word": "ready"}


application = FastAPI(lifespan=lifespan)


@application.get("/hello/{name}")
async def hello(request: Request, name: str, n: int = 0) -> dict[str, Any]:
    return {"hello": name, "n": n, "state": request.state.word}


@application.get("/facts")
def facts(request: Request) -> dict[str, Any]:
    """Not async: FastAPI runs it in a thread."""
    return {
        "method": request.method,
        "path": request.url.path,
        "url": str(request.url),
        "client": request.client.host if request.client else None,
        "headers": dict(request.headers),
    }


@application.post("/echo", status_code=201)
async def echo(request: Request) -> Response:
    body = await request.body()
    kind = request.headers["content-type"]
    return Response(body, 201, {"x-length": str(len(body))}, media_type=kind)


@application.post("/upload")
async def upload(field: Annotated[str, Form()], file: Annotated[UploadFile, File()]) -> dict[str, Any]:
    data = await file.read()
    return {"field": field, "filename": file.filename, "length": len(data), "sha256": digest(data)}


@application.get("/stream")
async def stream(size: int) -> StreamingResponse:
    return StreamingResponse(pieces(size))


@application.get("/forever")
async def forever(key: str) -> StreamingResponse:
    return StreamingResponse(endless(key))


async def rows(key: str) -> AsyncIterator[bytes]:
    """A database's, for ever."""
    with contextlib.closing(sqlite3.connect(os.environ["APP_FOLDER"] + "/rows.sqlite3")) as database:
        async for piece in endless(key):
            database.execute("pragma user_version").fetchone()
            yield piece


@application.get("/held")
async def held(key: str) -> StreamingResponse:
    return StreamingResponse(rows(key))


@application.get("/cookies")
async def cookies(response: Response, who: Annotated[str | None, Cookie()] = None) -> dict[str, Any]:
    response.set_cookie("one", "1")
    response.set_cookie("two", "2")
    return {"seen": who}


@application.get("/error")
async def error() -> None:
    raise LookupError("raised by the application")


async def note_later(key: str) -> None:
    await asyncio.sleep(0.05)
    record(key, "later")


@application.get("/late")
async def late(key: str, tasks: BackgroundTasks) -> dict[str, Any]:
    tasks.add_task(note_later, key)
    return {}


class Item(BaseModel):
    """A validated body."""

    name: str
    price: float


@application.put("/items/{number}")
async def put_item(number: int, item: Item) -> dict[str, Any]:
    return {"number": number, **item.model_dump()}


async def resource(key: str) -> AsyncIterator[str]:
    """A dependency with a clean-up."""
    record(key, "opened")
    try:
        yield "resource"
    finally:
        record(key, "closed")


@application.get("/resource")
async def use_resource(it: Annotated[str, Depends(resource)]) -> dict[str, Any]:
    return {"it": it}


@application.websocket("/ws")
async def talk(websocket: WebSocket) -> None:
    await websocket.accept("chat" if "chat" in websocket.scope["subprotocols"] else None)
    with contextlib.suppress(WebSocketDisconnect):
        while True:
            message = await websocket.receive()
            if message["type"] == "websocket.disconnect":
                return
            if message.get("text") is not None:
                await websocket.send_text(message["text"])
            else:
                await websocket.send_bytes(message["bytes"])


@application.websocket("/ws/push")
async def push(websocket: WebSocket) -> None:
    await websocket.accept()
    for index in range(3):
        await websocket.send_text(f"tick {index}")
    await websocket.close(4000, "done")


app = with_records(application)
