"""Swill: typed procedures and streams over WebSockets, for SSGI.

::

    from ssgi_gateway import rpc as swill

    app = swill.Swill(__name__)

    @app.handle()
    async def add(request: swill.Request[tuple[int, int]]) -> int:
        return request.data[0] + request.data[1]

``ssgi-gateway serve module:app`` serves it, and any ASGI server does by ``ssgi_gateway.adapters.as_asgi(app)``.
The wire is that of the original Swill (docs/swill-wire.md); docs/swill.md is the guide. It needs msgspec (the extra
``rpc``).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from .app import Swill
from .config import Config
from .connection import Connection
from .connection_data import ConnectionData
from .current import current_app, current_connection, current_request, current_response
from .errors import (
    CloseConnection,
    DisconnectedError,
    Error,
    ErrorCode,
    PubSubUnavailable,
    RpcError,
    SessionUnavailable,
    SwillException,
    SwillResponseError,
)
from .module import Module
from .request import Request, Response, StreamingRequest, tracked

if TYPE_CHECKING:
    from .access_log import AccessLog
    from .client import Client
    from .pubsub.local import LocalPubSub
    from .pubsub.memory import MemoryPubSub
    from .pubsub.nats import NatsPubSub
    from .pubsub.redis import RedisPubSub
    from .sessions.memory import MemorySessions
    from .sessions.redis import RedisSessions
    from .testing import SwillTestClient

__all__ = [
    "AccessLog",
    "Client",
    "CloseConnection",
    "Config",
    "Connection",
    "ConnectionData",
    "DisconnectedError",
    "Error",
    "ErrorCode",
    "LocalPubSub",
    "MemoryPubSub",
    "MemorySessions",
    "Module",
    "NatsPubSub",
    "PubSubUnavailable",
    "RedisPubSub",
    "RedisSessions",
    "Request",
    "Response",
    "RpcError",
    "SessionUnavailable",
    "StreamingRequest",
    "Swill",
    "SwillException",
    "SwillResponseError",
    "SwillTestClient",
    "current_app",
    "current_connection",
    "current_request",
    "current_response",
    "tracked",
]

LAZY = {
    "AccessLog": "access_log",
    "Client": "client",
    "LocalPubSub": "pubsub.local",
    "MemoryPubSub": "pubsub.memory",
    "MemorySessions": "sessions.memory",
    "NatsPubSub": "pubsub.nats",
    "RedisPubSub": "pubsub.redis",
    "RedisSessions": "sessions.redis",
    "SwillTestClient": "testing",
}
"""What not every application needs is imported when it is named."""


def __getattr__(name: str) -> Any:
    if name in LAZY:
        import importlib

        return getattr(importlib.import_module(f"{__name__}.{LAZY[name]}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
