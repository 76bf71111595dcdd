"""Emmett55, the framework RSGI was made for. Streams are left out: those of 1.3 fail on any server."""

from __future__ import annotations

from typing import Any

from emmett55 import App, request, response, websocket
from emmett55.tools import service

emmett = App(__name__)
emmett.config.handle_static = False


@emmett.route("/hello/<str:name>")
@service.json
async def hello(name: str) -> dict[str, Any]:
    return {"hello": name, "n": int(request.query_params.n or 0)}


@emmett.route("/echo", methods="post", output="bytes")
async def echo() -> bytes:
    body: bytes = await request.body
    response.status = 201
    response.headers["x-length"] = str(len(body))
    response.content_type = request.headers.get("content-type")
    return body


@emmett.route("/form", methods="post")
@service.json
async def form() -> dict[str, Any]:
    params = await request.body_params
    return dict(params)


@emmett.route("/cookies")
@service.json
async def cookies() -> dict[str, Any]:
    response.cookies["one"] = "1"
    seen = request.cookies.get("who")
    return {"seen": seen.value if seen else None}


@emmett.route("/file", output="http")
async def file() -> Any:
    return response.wrap_file(__file__)


@emmett.route("/error")
async def error() -> str:
    raise LookupError("raised by the application")


@emmett.websocket("/ws/echo")
async def ws_echo() -> None:
    await websocket.accept()
    while True:
        message = await websocket.receive()
        await websocket.send(message)


app = emmett
