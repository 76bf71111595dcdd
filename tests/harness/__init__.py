"""What the tests need to run the real parts: nginx, the gateway, HTTP and WebSocket clients. See tests/README.md.

Imported as ``tests.harness``; nothing here imports the package under test, which runs in a process of its own.
"""

from __future__ import annotations

from .client import Address, HttpConnection, Response, connect, request
from .nginx import DEPLOY, Nginx, Server, check_configuration, nginx_binary, nginx_version
from .process import DEADLINE, Process, ProcessError, wait_until
from .websocket import WebSocketClient, WebSocketRejectedError

__all__ = [
    "DEADLINE",
    "DEPLOY",
    "Address",
    "HttpConnection",
    "Nginx",
    "Process",
    "ProcessError",
    "Response",
    "Server",
    "WebSocketClient",
    "WebSocketRejectedError",
    "check_configuration",
    "connect",
    "nginx_binary",
    "nginx_version",
    "request",
    "wait_until",
]
