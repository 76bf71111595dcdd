"""ACGI: the client half. One client reaches web servers and gateways with the same messages.

::

    from ssgi_gateway import client

    async with client.Client() as c:
        r = await c.request("GET", "https://example.org/")
        print(r.status, await r.read())
"""

from __future__ import annotations

from typing import Any

from ssgi_gateway.errors import (
    ClientError,
    ConnectError,
    ConnectionReset,
    ConnectTimeout,
    GoAway,
    LocalProtocolError,
    Overloaded,
    PoolTimeout,
    ReadTimeout,
    RemoteProtocolError,
    StreamReset,
    WriteTimeout,
)

from .client import Call, Client
from .httpx_transport import HttpxTransport
from .options import TLS, Limits, Timeouts
from .response import Response

__all__ = [
    "TLS",
    "Call",
    "Client",
    "ClientError",
    "ConnectError",
    "ConnectTimeout",
    "ConnectionReset",
    "GoAway",
    "HttpxTransport",
    "Limits",
    "LocalProtocolError",
    "Overloaded",
    "PoolTimeout",
    "ReadTimeout",
    "RemoteProtocolError",
    "Response",
    "StreamReset",
    "Timeouts",
    "WriteTimeout",
    "run",
]


async def run(app: Any, **options: Any) -> Any:
    """Run an ACGI application with a client of its own; ``options`` are those of ``Client``."""
    async with Client(**options) as client:
        return await client.run(app)
