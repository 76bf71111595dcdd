"""What tests of applications and of other servers need: ``TestClient``, and ``testing.conformance``.

``TestClient`` calls an SSGI, ASGI, RSGI or WSGI application in this process, without a socket, through everything the
gateway does with a request: the wire protocol, the adapters, flow control, WebSockets.
"""

from __future__ import annotations

from .client import AsyncTestClient, TestClient, TestResponse, TestWebSocket

__all__ = ["AsyncTestClient", "TestClient", "TestResponse", "TestWebSocket"]
