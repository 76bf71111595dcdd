"""The demonstration as an SSGI application: a page, an upload, a clock, what the gateway saw, and a shared board.

    GET  /          the page                      POST, PUT /upload   the body's SHA-256 and size, as JSON
    GET  /clock     server-sent events            GET       /seen     the request as the gateway saw it, as JSON
    GET  /static/*  the page's files, where no    WS        /board    the shared board, see ``room.py``
                    web server serves them

``app`` is a plain function: what can be answered at once is answered at once (the page, ``/seen``), without a task.
What has to wait returns a coroutine, and the server awaits it.
"""

from __future__ import annotations

import asyncio
import hashlib
import itertools
import json
import time
from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from .room import Room

if TYPE_CHECKING:
    from ssgi_gateway.ssgi import CallType, GetHeader, SSGIHttpResponse, SSGIWebSocket

# The web server gives us one application under several paths, one for each protocol (nginx-locations.conf). This is
# the only place that knows: everything below sees the path without its mount.
MOUNTS = ("/scgi", "/fastcgi", "/direct")

MAX_UPLOAD = 1 << 30

STATIC = Path(__file__).with_name("static")
TEXT = [("content-type", "text/plain; charset=utf-8")]
CONTENT_TYPES = {
    ".html": "text/html; charset=utf-8",
    ".css": "text/css; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".svg": "image/svg+xml",
}
# Read once, and looked up by whole name: no path from a client ever reaches the file system.
FILES = {
    file.name: (file.read_bytes(), [("content-type", CONTENT_TYPES[file.suffix])])
    for file in STATIC.iterdir()
    if file.suffix in CONTENT_TYPES
}

# The page needs nothing from elsewhere, and nobody may frame it or put a script into it.
PAGE_HEADERS = [
    (
        "content-security-policy",
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; "
        "base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
    ),
    ("referrer-policy", "no-referrer"),
]
COMMON_HEADERS = [("x-content-type-options", "nosniff"), ("cache-control", "no-cache")]

READ = ("GET", "HEAD")

room = Room()


class Request(NamedTuple):
    """The arguments of the call, but for ``res``."""

    type: CallType
    server_address: str
    remote_address: str
    method: str
    path: str
    query_string: str
    get_header: GetHeader


def app(
    type: CallType,
    server_address: str,
    remote_address: str,
    method: str,
    path: str,
    query_string: str,
    get_header: GetHeader,
    res: Any,
) -> Awaitable[None] | None:
    """The SSGI callable."""
    path = without_mount(path)
    request = Request(type, server_address, remote_address, method, path, query_string, get_header)
    return websocket(request, res) if type == "websocket" else http(request, res)


def websocket(request: Request, ws: SSGIWebSocket) -> Awaitable[None] | None:
    """Open the board, and nothing else."""
    if request.path == "/board":
        return room.visit(ws, describe(request, ws.extensions))
    ws.reject(404, "There is no WebSocket here; the board is at /board.\n", TEXT)
    return None


def http(request: Request, res: SSGIHttpResponse) -> Awaitable[None] | None:
    """Find what answers, and refuse a method it does not know (RFC 9110, section 15.5.6)."""
    methods, handler = ROUTES.get(request.path, (READ, send_file))
    if request.method in methods:
        return handler(request, res)
    allowed = ", ".join(methods)
    res.send_headers([("allow", allowed)])
    send(res, f"Allowed here: {allowed}.\n".encode(), TEXT, status=405)
    return None


def without_mount(path: str) -> str:
    """The path as the application knows it: ``/fastcgi/clock`` is ``/clock``."""
    for mount in MOUNTS:
        if path == mount or path.startswith(mount + "/"):
            return path[len(mount) :] or "/"
    return path


def send_page(request: Request, res: SSGIHttpResponse) -> None:
    """The page itself."""
    res.send_headers(PAGE_HEADERS)
    send(res, *FILES["index.html"])


def send_file(request: Request, res: SSGIHttpResponse) -> None:
    """One of the page's files, for where no web server does it; for all other paths a 404."""
    folder, _, name = request.path.rpartition("/")
    if folder == "/static" and name in FILES:
        send(res, *FILES[name])
    else:
        send(res, b"There is nothing here.\n", TEXT, status=404)


def send_seen(request: Request, res: SSGIHttpResponse) -> None:
    """What an application learns of a request, as JSON."""
    send_json(res, describe(request, res.extensions))


async def upload(request: Request, res: SSGIHttpResponse) -> None:
    """Hash a body of any size in constant memory: reading a piece is what lets the client send the next."""
    digest, size, started = hashlib.sha256(), 0, time.monotonic()
    try:
        while (chunk := await res.get_chunk()) is not None:
            piece = chunk.getbuffer()
            size += len(piece)
            if size > MAX_UPLOAD:
                send_json(res, {"error": f"At most {MAX_UPLOAD} bytes, please."}, status=413)
                return
            digest.update(piece)
    except ConnectionAbortedError:
        return  # the client has disconnected; there is nobody to answer
    seconds, protocol = round(time.monotonic() - started, 3), res.extensions.get("protocol")
    send_json(res, {"sha256": digest.hexdigest(), "size": size, "seconds": seconds, "protocol": protocol})


async def clock(request: Request, res: SSGIHttpResponse) -> None:
    """Tell the time at each full second, until the client disconnects."""
    res.send_headers([*COMMON_HEADERS, ("content-type", "text/event-stream")])
    protocol = res.extensions.get("protocol")
    gone = asyncio.Event()
    res.on_aborted(gone.set)
    for tick in itertools.count(1):
        data = json.dumps({"time": time.time(), "tick": tick, "protocol": protocol})
        # After a break the browser connects again, a second later (`retry`).
        if not await res.send(f"retry: 1000\nevent: tick\ndata: {data}\n\n", has_more=True):
            return
        try:
            await asyncio.wait_for(gone.wait(), 1 - time.time() % 1)
        except TimeoutError:
            continue
        return


def describe(request: Request, extensions: Mapping[str, Any]) -> dict[str, Any]:
    """All that an application learns of a request: the arguments of the call, and ``res.extensions``."""
    *arguments, get_header = request
    return {
        **dict(zip(Request._fields, arguments, strict=False)),
        **{name: extensions.get(name) for name in ("protocol", "scheme", "http_version", "root_path", "raw_path")},
        "headers": dict(get_header()),
        "environ": dict(extensions.get("environ") or {}),
    }


def send(res: SSGIHttpResponse, body: bytes, headers: list[tuple[str, str]], status: int = 200) -> None:
    """A whole answer in one piece."""
    res.send_status(status)
    res.send_headers([*COMMON_HEADERS, *headers, ("content-length", str(len(body)))])
    res.send(body)


def send_json(res: SSGIHttpResponse, value: dict[str, Any], status: int = 200) -> None:
    """JSON in ASCII, so that even a path that is not UTF-8 can be shown."""
    send(res, json.dumps(value).encode(), [("content-type", "application/json")], status)


Handler = Callable[[Request, "SSGIHttpResponse"], Awaitable[None] | None]

ROUTES: dict[str, tuple[tuple[str, ...], Handler]] = {
    "/": (READ, send_page),
    "/clock": (("GET",), clock),
    "/seen": (READ, send_seen),
    "/upload": (("POST", "PUT"), upload),
}
