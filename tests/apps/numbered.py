"""What a few of the numbered faults need: a head of any size, and a WebSocket that closes when it is told to."""

from __future__ import annotations

from typing import Any


def app(
    type: str,
    server_address: str,
    remote_address: str,
    method: str,
    path: str,
    query_string: str,
    get_header: Any,
    res: Any,
) -> None:
    """``/big`` has a head of more than a page; everything else is a few bytes that never look at the body."""
    if type == "websocket":
        res.on_receive(closing)
        res.accept()
        return
    if path == "/big":
        res.send_headers([("X-Big", "x" * 5000)])
    res.send(b"Hello")


def closing(ws: Any, message: str | bytes) -> None:
    """Echo, or close."""
    if message == "close":
        ws.close(1000)
    else:
        ws.send(message)
