"""What the modules of this package share."""

from __future__ import annotations

import asyncio
import hashlib
import json
from collections.abc import AsyncIterator
from typing import Any
from urllib.parse import parse_qs

from tests.apps.behaviour import pattern
from tests.apps.records import record, records, resources

__all__ = ["digest", "endless", "pieces", "with_records"]


def digest(data: bytes) -> str:
    """The SHA-256 of an upload."""
    return hashlib.sha256(data).hexdigest()


async def pieces(size: int) -> AsyncIterator[bytes]:
    """``pattern(size)`` in pieces."""
    for start in range(0, size, 50000):
        yield pattern(min(50000, size - start), start)


async def endless(key: str) -> AsyncIterator[bytes]:
    """Pieces for ever; notes when the framework stops asking."""
    record(key, "started")
    try:
        while True:
            yield b"x" * 10000
    finally:
        record(key, "left")


def with_records(app: Any) -> Any:
    """``app`` behind a look at what it noted, and at the process."""

    async def wrapper(scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] == "http" and scope["path"].startswith("/do/"):
            query = parse_qs(scope["query_string"].decode())
            body = json.dumps(
                records(query["key"][0]) if "key" in query else resources() | {"tasks": len(asyncio.all_tasks())}
            ).encode()
            await send(
                {"type": "http.response.start", "status": 200, "headers": [(b"content-type", b"application/json")]}
            )
            await send({"type": "http.response.body", "body": body})
        else:
            await app(scope, receive, send)

    return wrapper
