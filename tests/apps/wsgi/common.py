"""What the modules of this package share."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Iterator
from typing import Any
from urllib.parse import parse_qs

from tests.apps.behaviour import pattern
from tests.apps.records import record, records, resources

__all__ = ["digest", "endless", "pieces", "with_records"]


def digest(data: bytes) -> str:
    """The SHA-256 of an upload."""
    return hashlib.sha256(data).hexdigest()


def pieces(size: int) -> Iterator[bytes]:
    """``pattern(size)`` in pieces."""
    for start in range(0, size, 50000):
        yield pattern(min(50000, size - start), start)


def endless(key: str) -> Iterator[bytes]:
    """Pieces for ever; notes when the server has closed it."""
    record(key, "started")
    try:
        while True:
            yield b"x" * 10000
    finally:
        record(key, "left")


def with_records(app: Any) -> Any:
    """``app`` behind a look at what it noted, and at the process."""

    def wrapper(environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
        if environ["PATH_INFO"].startswith("/do/"):
            query = parse_qs(environ["QUERY_STRING"])
            body = json.dumps(records(query["key"][0]) if "key" in query else resources()).encode()
            start_response("200 OK", [("Content-Type", "application/json")])
            return [body]
        answer: Iterable[bytes] = app(environ, start_response)
        return answer

    return wrapper
