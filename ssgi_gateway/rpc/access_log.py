"""``AccessLog``: one line for each request and each connection, under the logger ``swill.access``.

No data is logged, and no metadata but what is named.
"""

from __future__ import annotations

import json
import logging
import time
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .app import Swill
    from .connection import Connection
    from .request import Request

__all__ = ["AccessLog"]

logger = logging.getLogger("swill.access")


class AccessLog:
    """The plugin: ``app.use(AccessLog())``.

    Args:
        json: lines are JSON objects; otherwise ``key=value`` pairs.
        metadata: keys of request metadata that are logged, too.
    """

    def __init__(self, json: bool = False, metadata: Iterable[str] = ()) -> None:
        self._json = json
        self._metadata = tuple(metadata)

    def register(self, app: Swill) -> None:
        """Begin."""
        app.add_lifecycle_handler("after_request", self._request)
        app.add_closed_listener(self._connection)
        if logger.level == logging.NOTSET:
            logger.setLevel(logging.INFO)

    def _request(self, request: Request[Any]) -> None:
        if not logger.isEnabledFor(logging.INFO):
            return
        fields: dict[str, Any] = {
            "event": "request",
            "connection": request.connection.id,
            "address": request.connection.remote_address,
            "rpc": request.rpc,
            "seq": request.seq,
            "outcome": request.outcome,
            "code": request.code,
            "ms": round(request.seconds * 1000, 3),
            "messages_in": request.messages_in,
            "messages_out": request.messages_out,
            "bytes_in": request.bytes_in,
            "bytes_out": request.bytes_out,
        }
        fields.update({key: request.metadata[key] for key in self._metadata if key in request.metadata})
        self._write(fields)

    def _connection(self, connection: Connection, code: int) -> None:
        self._write(
            {
                "event": "connection",
                "connection": connection.id,
                "address": connection.remote_address,
                "code": code,
                "seconds": round(time.time() - connection.opened, 3),
            }
        )

    def _write(self, fields: dict[str, Any]) -> None:
        if not logger.hasHandlers():  # it is not configured: the lines go where a server's go
            handler = logging.StreamHandler()
            handler.setFormatter(logging.Formatter("%(message)s"))
            logger.addHandler(handler)
        fields = {"time": time.strftime("%Y-%m-%dT%H:%M:%S%z"), **fields}
        if self._json:
            line = json.dumps(fields, default=str)
        else:
            line = " ".join(f"{key}={shown(value)}" for key, value in fields.items())
        logger.info("%s", line)


def shown(value: Any) -> str:
    """A value in a line, whatever it holds."""
    text = str(value)
    return text if text and text.isprintable() and not set(text) & set(' "=') else json.dumps(text)
