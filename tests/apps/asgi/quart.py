"""Quart."""

from __future__ import annotations

import asyncio
from typing import Any

from quart import Quart, Response, current_app, jsonify, make_response, request, session, websocket

from tests.apps.records import record

from .common import digest, endless, pieces, with_records

application = Quart(__name__)
application.secret_key = "not a secret"
application.config["MAX_CONTENT_LENGTH"] = None


@application.before_serving
async def start() -> None:
    """Quart's half of the lifespan."""
    current_app.config["WORD"] = "ready"


@application.get("/hello/<name>")
async def hello(name: str) -> dict[str, Any]:
    return {"hello": name, "n": int(request.args.get("n", 0)), "state": current_app.config["WORD"]}


@application.get("/facts")
async def facts() -> dict[str, Any]:
    return {
        "method": request.method,
        "path": request.path,
        "url": request.url,
        "client": request.remote_addr,
        "headers": {name.lower(): value for name, value in request.headers.items()},
    }


@application.post("/echo")
async def echo() -> Any:
    body = await request.get_data()
    return body, 201, {"content-type": request.headers["content-type"], "x-length": str(len(body))}


@application.post("/upload")
async def upload() -> dict[str, Any]:
    field = (await request.form)["field"]
    file = (await request.files)["file"]
    data = file.read()
    return {"field": field, "filename": file.filename, "length": len(data), "sha256": digest(data)}


@application.get("/stream")
async def stream() -> Any:
    return pieces(int(request.args["size"])), 200


@application.get("/forever")
async def forever() -> Any:
    response = await make_response(endless(request.args["key"]))
    response.timeout = None  # Quart gives up on a response after a minute
    return response


@application.get("/cookies")
async def cookies() -> Response:
    response = jsonify({"seen": request.cookies.get("who")})
    response.set_cookie("one", "1")
    response.set_cookie("two", "2")
    return response


@application.get("/error")
async def error() -> None:
    raise LookupError("raised by the application")


@application.get("/session")
async def count() -> dict[str, Any]:
    session["count"] = session.get("count", 0) + 1
    return {"count": session["count"]}


async def note_later(key: str) -> None:
    await asyncio.sleep(0.05)
    record(key, "later")


@application.get("/late")
async def late() -> dict[str, Any]:
    current_app.add_background_task(note_later, request.args["key"])
    return {}


@application.websocket("/ws")
async def talk() -> None:
    chosen = "chat" if "chat" in websocket.requested_subprotocols else None
    await websocket.accept(subprotocol=chosen)
    while True:
        await websocket.send(await websocket.receive())


@application.websocket("/ws/push")
async def push() -> None:
    await websocket.accept()
    for index in range(3):
        await websocket.send(f"tick {index}")
    await websocket.close(4000, "done")


app = with_records(application)
