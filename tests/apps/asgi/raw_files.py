"""No framework: ``http.response.pathsend`` of the file that ``?file=`` names."""

from __future__ import annotations

from typing import Any
from urllib.parse import parse_qs


async def app(scope: Any, receive: Any, send: Any) -> None:
    """Answer with a file, by its path."""
    if scope["type"] == "http":
        assert "http.response.pathsend" in scope["extensions"]
        path = parse_qs(scope["query_string"].decode())["file"][0]
        headers = [(b"content-type", b"application/x-test")]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.pathsend", "path": path})
