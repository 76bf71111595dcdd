"""BlackSheep."""

# No "from __future__ import annotations": BlackSheep reads the signatures.

import contextlib
from collections.abc import AsyncIterator
from typing import Any

from blacksheep import Application, Content, Cookie, FromQuery, Request, Response, StreamedContent, WebSocket, json
from blacksheep.server.websocket import WebSocketDisconnectError

from .common import digest, endless, pieces, with_records

application = Application()
STATE: dict[str, str] = {}


@application.on_start
async def start(app: Application) -> None:
    """BlackSheep's half of the lifespan."""
    STATE["word"] = "ready"


get, post, ws = application.router.get, application.router.post, application.router.ws


@get("/hello/{name}")
async def hello(name: str, n: int = 0) -> Response:
    return json({"hello": name, "n": n, "state": STATE["word"]})


@get("/facts")
async def facts(request: Request) -> Response:
    headers = {name.decode().lower(): value.decode("latin-1") for name, value in request.headers.values}
    return json(
        {
            "method": request.method,
            "path": request.url.path.decode(),
            "url": f"{request.scheme}://{request.host}{request.url.path.decode()}",
            "client": request.client_ip,
            "headers": headers,
        }
    )


@post("/echo")
async def echo(request: Request) -> Response:
    body = await request.read() or b""
    kind = request.get_single_header(b"content-type")
    return Response(201, [(b"x-length", str(len(body)).encode())], Content(kind, body))


@post("/upload")
async def upload(request: Request) -> Response:
    answer: dict[str, Any] = {}
    for part in await request.multipart() or ():
        if part.file_name:
            data = part.data
            answer |= {"filename": part.file_name.decode(), "length": len(data), "sha256": digest(data)}
        else:
            answer[part.name.decode()] = part.data.decode()
    return json(answer)


@get("/stream")
async def stream(size: FromQuery[int]) -> Response:
    async def source() -> AsyncIterator[bytes]:  # BlackSheep takes nothing but an async generator function
        async for piece in pieces(size.value):
            yield piece

    return Response(200, content=StreamedContent(b"application/octet-stream", source))


@get("/forever")
async def forever(key: FromQuery[str]) -> Response:
    async def source() -> AsyncIterator[bytes]:
        async for piece in endless(key.value):
            yield piece

    return Response(200, content=StreamedContent(b"application/octet-stream", source))


@get("/cookies")
async def cookies(request: Request) -> Response:
    response = json({"seen": request.cookies.get("who")})
    response.set_cookie(Cookie("one", "1"))
    response.set_cookie(Cookie("two", "2"))
    return response


@get("/error")
async def error() -> None:
    raise LookupError("raised by the application")


@ws("/ws")
async def talk(websocket: WebSocket) -> None:
    chosen = "chat" if "chat" in websocket.scope["subprotocols"] else None
    await websocket.accept(subprotocol=chosen)
    with contextlib.suppress(WebSocketDisconnectError):
        while True:
            message = await websocket.receive()
            if message.get("text") is not None:
                await websocket.send_text(message["text"])
            else:
                await websocket.send_bytes(message["bytes"])


@ws("/ws/push")
async def push(websocket: WebSocket) -> None:
    await websocket.accept()
    for index in range(3):
        await websocket.send_text(f"tick {index}")
    await websocket.close(4000, "done")


app = with_records(application)
