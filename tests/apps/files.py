"""Sends the file that ``?file=`` names: all of it, or ``count`` bytes from ``offset``."""

from __future__ import annotations

from typing import Any
from urllib.parse import parse_qs


async def app(
    type: str,
    server_address: str,
    remote_address: str,
    method: str,
    path: str,
    query_string: str,
    get_header: Any,
    res: Any,
) -> None:
    """Answer with a file."""
    query = {name: values[0] for name, values in parse_qs(query_string).items()}
    res.send_headers([("Content-Type", "application/x-test")])
    offset, count = int(query.get("offset", 0)), query.get("count")
    await res.send_file(query["file"], offset, None if count is None else int(count))
