"""Falcon's WSGI half."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import falcon

from .common import digest, endless, pieces, with_records


class Hello:
    def on_get(self, req: Any, resp: Any, name: str) -> None:
        resp.media = {"hello": name, "n": req.get_param_as_int("n", default=0)}


class Facts:
    def on_get(self, req: Any, resp: Any) -> None:
        resp.media = {
            "method": req.method,
            "path": req.path,
            "url": req.uri,
            "client": req.remote_addr,
            "headers": {name.lower(): value for name, value in req.headers.items()},
        }


class Echo:
    def on_post(self, req: Any, resp: Any) -> None:
        resp.data = req.bounded_stream.read()
        resp.content_type = req.content_type
        resp.set_header("X-Length", str(len(resp.data)))
        resp.status = falcon.HTTP_201


class Upload:
    def on_post(self, req: Any, resp: Any) -> None:
        told: dict[str, Any] = {}
        for part in req.get_media():
            if part.name == "file":
                data = part.stream.read()
                told |= {"filename": part.filename, "length": len(data), "sha256": digest(data)}
            else:
                told[part.name] = part.text
        resp.media = told


class Stream:
    def on_get(self, req: Any, resp: Any) -> None:
        resp.stream = pieces(req.get_param_as_int("size"))


class Forever:
    def on_get(self, req: Any, resp: Any) -> None:
        resp.stream = endless(req.get_param("key"))


class Cookies:
    def on_get(self, req: Any, resp: Any) -> None:
        resp.text = json.dumps({"seen": req.cookies.get("who")})
        resp.set_cookie("one", "1", secure=False)
        resp.set_cookie("two", "2", secure=False)


class Error:
    def on_get(self, req: Any, resp: Any) -> None:
        raise LookupError("raised by the application")


class File:
    def on_get(self, req: Any, resp: Any) -> None:
        path = Path(__file__)
        resp.content_type = "text/plain"
        resp.set_stream(path.open("rb"), path.stat().st_size)


falcon_app = falcon.App()
falcon_app.req_options.media_handlers[falcon.MEDIA_MULTIPART].parse_options.max_body_part_buffer_size = 4_000_000
for route, resource in {
    "/hello/{name}": Hello(),
    "/facts": Facts(),
    "/echo": Echo(),
    "/upload": Upload(),
    "/stream": Stream(),
    "/forever": Forever(),
    "/cookies": Cookies(),
    "/error": Error(),
    "/file": File(),
}.items():
    falcon_app.add_route(route, resource)

app = with_records(falcon_app)
