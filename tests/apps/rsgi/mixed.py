"""A framework that asks what the server speaks (SSGI, ``get_supported``), and takes different interfaces.

``FAMILY`` in the environment says what it takes for HTTP: ``wsgi``, ``rsgi`` or ``asgi``. Its WebSockets are SSGI.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterable
from typing import Any


class Framework:
    """One resource and one WebSocket."""

    def __init__(self) -> None:
        self.offered: dict[str, str] = {}
        self.started = False

    def get_supported(self, supported_interfaces: dict[str, str]) -> dict[str, Any]:
        self.offered = dict(supported_interfaces)
        family = os.environ["FAMILY"]
        return {"http": (family, getattr(self, f"http_{family}")), "websockets": ("ssgi", self.websocket)}

    async def startup(self, state: dict[str, Any]) -> None:
        self.started = True

    def _answer(self, interface: str, path: str) -> bytes:
        told = {"interface": interface, "path": path, "offered": self.offered, "started": self.started}
        return json.dumps(told).encode()

    def http_wsgi(self, environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
        start_response("200 OK", [("Content-Type", "application/json")])
        return [self._answer("wsgi", environ["PATH_INFO"])]

    async def http_rsgi(self, scope: Any, protocol: Any) -> None:
        protocol.response_bytes(200, [("content-type", "application/json")], self._answer("rsgi", scope.path))

    async def http_asgi(self, scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] == "http":
            await send({"type": "http.response.start", "status": 200})
            await send({"type": "http.response.body", "body": self._answer("asgi", scope["path"])})

    def websocket(
        self,
        type: str,
        server_address: str,
        remote_address: str,
        method: str,
        path: str,
        query_string: str,
        get_header: Any,
        res: Any,
    ) -> None:
        res.accept()
        res.on_receive(lambda ws, message: ws.send(message))
        res.send(f"{type} {path}")


app = Framework()
