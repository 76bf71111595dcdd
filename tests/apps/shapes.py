"""Applications that cannot be told by their shape, and factories of each interface. All answer what they are."""

from __future__ import annotations

import json
from typing import Any


async def serve_asgi(scope: Any, receive: Any, send: Any) -> None:
    if scope["type"] == "http":
        told = json.dumps({"interface": "asgi", "path": scope["path"], "root": scope["root_path"]}).encode()
        await send({"type": "http.response.start", "status": 200})
        await send({"type": "http.response.body", "body": told})


async def serve_rsgi(scope: Any, protocol: Any) -> None:
    protocol.response_str(200, [], json.dumps({"interface": "rsgi", "path": scope.path, "root": ""}))


def serve_wsgi(environ: dict[str, Any], start_response: Any) -> list[bytes]:
    start_response("200 OK", [("Content-Type", "text/plain")])
    told = {"interface": "wsgi", "path": environ["PATH_INFO"], "root": environ["SCRIPT_NAME"]}
    return [json.dumps(told).encode()]


def serve_ssgi(
    type: str,
    server_address: str,
    remote_address: str,
    method: str,
    path: str,
    query_string: str,
    get_header: Any,
    res: Any,
) -> None:
    res.send(json.dumps({"interface": "ssgi", "path": path, "root": res.extensions["root_path"]}))


SERVE: dict[str, Any] = {"asgi": serve_asgi, "rsgi": serve_rsgi, "wsgi": serve_wsgi, "ssgi": serve_ssgi}


def hidden(name: str) -> Any:
    """As a decorator leaves them: nothing is left of the arguments."""

    def wrapped(*args: Any) -> Any:
        return SERVE[name](*args)

    return wrapped


asgi, rsgi, wsgi, ssgi = (hidden(name) for name in ("asgi", "rsgi", "wsgi", "ssgi"))


class Factories:
    """``tests.apps.shapes:make.asgi()``."""

    def asgi(self) -> Any:
        return serve_asgi

    def rsgi(self) -> Any:
        return serve_rsgi

    def wsgi(self) -> Any:
        return serve_wsgi

    def ssgi(self) -> Any:
        return serve_ssgi


make = Factories()
