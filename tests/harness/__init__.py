"""What the tests need to run the real parts: nginx, the gateway, HTTP and WebSocket clients. See tests/README.md.

Imported as ``tests.harness``; nothing here imports the package under test, which runs in a process of its own.
"""

from __future__ import annotations

from .client import Address, HttpConnection, Response, connect, request
from .gateway import Gateway, to_nginx
from .nginx import DEPLOY, Nginx, Server, check_configuration, nginx_binary, nginx_version, stock_file
from .process import DEADLINE, Process, ProcessError, wait_until
from .routes import HTTP_ROUTES, ROUTES, UWSGI, WEBSOCKET_ROUTES, Route
from .site import Endpoint, Site
from .websocket import WebSocketClient, WebSocketRejectedError

__all__ = [
    "DEADLINE",
    "DEPLOY",
    "HTTP_ROUTES",
    "ROUTES",
    "UWSGI",
    "WEBSOCKET_ROUTES",
    "Address",
    "Endpoint",
    "Gateway",
    "HttpConnection",
    "Nginx",
    "Process",
    "ProcessError",
    "Response",
    "Route",
    "Server",
    "Site",
    "WebSocketClient",
    "WebSocketRejectedError",
    "check_configuration",
    "connect",
    "nginx_binary",
    "nginx_version",
    "request",
    "stock_file",
    "to_nginx",
    "wait_until",
]
