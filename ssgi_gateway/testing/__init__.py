"""What tests of applications and of other servers need: ``TestClient``, and ``testing.conformance``.

``TestClient`` calls an SSGI, ASGI, RSGI or WSGI application in this process, without a socket, through everything the
gateway does with a request: the wire protocol, the adapters, flow control, WebSockets.
"""

from __future__ import annotations

import sys

from ..server.in_process import InProcessServer
from .client import AsyncTestClient, TestClient, TestResponse, TestWebSocket

if "pytest" in sys.modules:
    # So that a test of `conformance` that fails shows what another server did in its place.
    sys.modules["pytest"].register_assert_rewrite("ssgi_gateway.testing.conformance")

__all__ = ["AsyncTestClient", "InProcessServer", "TestClient", "TestResponse", "TestWebSocket"]
