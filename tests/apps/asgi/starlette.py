"""Starlette, in its whole range."""

from __future__ import annotations

import asyncio
import contextlib
import os
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

from starlette.applications import Starlette
from starlette.background import BackgroundTask
from starlette.endpoints import HTTPEndpoint, WebSocketEndpoint
from starlette.middleware import Middleware
from starlette.middleware.base import BaseHTTPMiddleware
from starlette.middleware.gzip import GZipMiddleware
from starlette.middleware.sessions import SessionMiddleware
from starlette.requests import ClientDisconnect, Request
from starlette.responses import (
    FileResponse,
    JSONResponse,
    PlainTextResponse,
    RedirectResponse,
    Response,
    StreamingResponse,
)
from starlette.routing import Mount, Route, WebSocketRoute
from starlette.staticfiles import StaticFiles
from starlette.websockets import WebSocket

from tests.apps.behaviour import pattern
from tests.apps.records import record

from .common import digest, endless, pieces, with_records

FILES = Path(os.environ["APP_FOLDER"])
(FILES / "large.bin").write_bytes(pattern(1_000_000))
(FILES / "small.txt").write_text("a small file\n")


@contextlib.asynccontextmanager
async def lifespan(app: Starlette) -> AsyncIterator[dict[str, Any]]:
    """Makes the state."""
    yield {"word": "ready"}


async def hello(request: Request) -> Response:
    n = int(request.query_params.get("n", 0))
    return JSONResponse({"hello": request.path_params["name"], "n": n, "state": request.state.word})


async def facts(request: Request) -> Response:
    return JSONResponse(
        {
            "method": request.method,
            "path": request.url.path,
            "url": str(request.url),
            "client": request.client.host if request.client else None,
            "headers": dict(request.headers),
        }
    )


class Echo(HTTPEndpoint):
    async def post(self, request: Request) -> Response:
        body = await request.body()
        kind = request.headers["content-type"]
        return Response(body, 201, {"x-length": str(len(body))}, media_type=kind)


async def upload(request: Request) -> Response:
    async with request.form() as form:
        file = form["file"]
        assert not isinstance(file, str)
        data = await file.read()
        return JSONResponse(
            {"field": form["field"], "filename": file.filename, "length": len(data), "sha256": digest(data)}
        )


async def stream(request: Request) -> Response:
    return StreamingResponse(pieces(int(request.query_params["size"])))


async def forever(request: Request) -> Response:
    return StreamingResponse(endless(request.query_params["key"]))


async def cookies(request: Request) -> Response:
    response = JSONResponse({"seen": request.cookies.get("who")})
    response.set_cookie("one", "1")
    response.set_cookie("two", "2", httponly=True)
    return response


async def error(request: Request) -> Response:
    raise LookupError("raised by the application")


async def note_later(key: str) -> None:
    await asyncio.sleep(0.05)
    record(key, "later")


async def late(request: Request) -> Response:
    return JSONResponse({}, background=BackgroundTask(note_later, request.query_params["key"]))


async def session(request: Request) -> Response:
    """Counts this visitor's requests."""
    request.session["count"] = request.session.get("count", 0) + 1
    return JSONResponse(request.session)


async def file(request: Request) -> Response:
    """A file with ETag, Last-Modified and ranges."""
    return FileResponse(FILES / request.path_params["name"], filename=request.path_params["name"])


async def redirect(request: Request) -> Response:
    return RedirectResponse(request.url_for("hello", name="redirected"))


async def digest_stream(request: Request) -> Response:
    """Reads the body while it arrives; notes a client that disconnected."""
    length = 0
    try:
        async for chunk in request.stream():
            length += len(chunk)
            record(request.query_params.get("key", ""), "chunk", len(chunk))
    except ClientDisconnect:
        record(request.query_params["key"], "left")
        raise
    return JSONResponse({"length": length})


async def poll(request: Request) -> Response:
    """Asks until the client has disconnected."""
    record(request.query_params["key"], "started")
    while not await request.is_disconnected():  # noqa: ASYNC110 - this is how Starlette has it
        await asyncio.sleep(0.01)
    record(request.query_params["key"], "left")
    return Response()


async def events(request: Request) -> Response:
    """Server-sent events, a tenth of a second apart."""

    async def source() -> AsyncIterator[str]:
        for index in range(3):
            yield f"data: {index}\n\n"
            await asyncio.sleep(0.1)

    return StreamingResponse(source(), media_type="text/event-stream")


async def stamp(request: Request, call_next: Any) -> Response:
    """A middleware of the kind that wraps ``receive`` and ``send`` in tasks and streams."""
    response: Response = await call_next(request)
    response.headers["x-stamp"] = "seen"
    return response


async def plain(request: Request) -> Response:
    return PlainTextResponse("plain\n" * 1000)


class Talk(WebSocketEndpoint):
    async def on_connect(self, websocket: WebSocket) -> None:
        await websocket.accept("chat" if "chat" in websocket.scope["subprotocols"] else None)

    async def on_receive(self, websocket: WebSocket, data: Any) -> None:
        if isinstance(data, str):
            await websocket.send_text(data)
        else:
            await websocket.send_bytes(data)

    async def decode(self, websocket: WebSocket, message: Any) -> Any:
        text = message.get("text")
        return message["bytes"] if text is None else text


async def push(websocket: WebSocket) -> None:
    await websocket.accept()
    for index in range(3):
        await websocket.send_text(f"tick {index}")
    await websocket.close(4000, "done")


async def deny(websocket: WebSocket) -> None:
    """A whole response in place of the upgrade."""
    await websocket.send_denial_response(JSONResponse({"error": "who are you?"}, 401))


async def json_talk(websocket: WebSocket) -> None:
    """Counts in JSON until the client disconnects, and notes with which code."""
    await websocket.accept()
    try:
        async for message in websocket.iter_json():
            await websocket.send_json({"count": message["count"] + 1})
    finally:
        record(websocket.query_params["key"], "left")


application = Starlette(
    lifespan=lifespan,
    routes=[
        Route("/hello/{name}", hello, name="hello"),
        Route("/facts", facts, methods=["GET", "POST", "PUT", "DELETE", "PATCH", "OPTIONS"]),
        Route("/echo", Echo),
        Route("/upload", upload, methods=["POST"]),
        Route("/stream", stream),
        Route("/forever", forever),
        Route("/cookies", cookies),
        Route("/error", error),
        Route("/late", late),
        Route("/session", session),
        Route("/file/{name}", file),
        Route("/redirect", redirect),
        Route("/digest", digest_stream, methods=["POST"]),
        Route("/poll", poll),
        Route("/events", events),
        Mount("/static", StaticFiles(directory=FILES), name="static"),
        Mount(
            "/wrapped",
            routes=[Route("/plain", plain), Route("/late", late), Route("/forever", forever), Route("/error", error)],
            middleware=[Middleware(BaseHTTPMiddleware, dispatch=stamp), Middleware(GZipMiddleware, minimum_size=100)],
        ),
        WebSocketRoute("/ws", Talk),
        WebSocketRoute("/ws/push", push),
        WebSocketRoute("/ws/deny", deny),
        WebSocketRoute("/ws/json", json_talk),
    ],
    middleware=[Middleware(SessionMiddleware, secret_key="not a secret")],
)

app = with_records(application)
