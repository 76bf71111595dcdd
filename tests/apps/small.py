"""The least an application can do: a few bytes for a request, an echo for a message."""

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
    """Answer at once."""
    if type == "websocket":
        res.on_receive(echo)
        res.accept()
    else:
        res.send(b"Hello")


def echo(ws: Any, message: str | bytes) -> None:
    """Send back what came."""
    ws.send(message)
