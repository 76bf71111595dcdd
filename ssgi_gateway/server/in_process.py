"""A server without sockets: an application in this process, behind everything the gateway does with a request.

Requests travel as FastCGI, which streams bodies both ways; an upgrade travels as SCGI, which has WebSockets in-band.
"""

from __future__ import annotations

import asyncio
import socket
from typing import TYPE_CHECKING, Any

from ssgi_gateway.adapters.negotiation import resolve
from ssgi_gateway.settings import Settings

from ..wire.fastcgi.codec import FastcgiCodec
from ..wire.scgi.codec import ScgiCodec
from .connection import Connection
from .gateway import Gateway
from .http import HttpProtocol
from .memory_connection import MemoryConnection, pair

if TYPE_CHECKING:
    from .reactor import Reactor

__all__ = ["InProcessServer"]


class InProcessServer:
    """One application, started and stopped.

    Args:
        app: an SSGI, ASGI, RSGI or WSGI application, or a framework with ``get_supported``.
        interface: which, where its shape does not show it.
        settings: of the gateway; the portable build always runs.
    """

    def __init__(self, app: Any, interface: str = "auto", settings: Settings | None = None) -> None:
        self.settings = settings or Settings(codec="portable", interface=interface)
        self.application = resolve(app, interface, self.settings)
        self.gateway: Gateway | None = None

    async def start(self) -> None:
        """Run the application's startup hooks.

        Raises:
            ConfigurationError: it could not start; the message says why.
        """
        loop = asyncio.get_running_loop()
        self.application.before_loop(loop)
        self.gateway = gateway = Gateway(loop, self.application.http, self.application.websocket, self.settings)
        try:
            await self.application.startup(gateway.state)
        except BaseException:
            gateway.stop()
            raise

    def open(self, reactor: Reactor, kind: str) -> MemoryConnection | int:
        """The client's end of a new connection; a descriptor where the application takes sockets over.

        Args:
            reactor: the client's.
            kind: ``"fcgi"`` or ``"scgi"``.
        """
        gateway = self.gateway
        assert gateway is not None
        near: MemoryConnection | int
        far: Connection
        if kind == "scgi" and hasattr(self.application.websocket, "thread_load"):
            # What libraries for WebSockets over WSGI are given is the connection itself.
            sockets = socket.socketpair()
            for one in sockets:
                one.setblocking(False)
            near, far = sockets[0].detach(), Connection(gateway, sockets[1].detach())
        else:
            near, far = pair(reactor, gateway)
        gateway.wake()
        limits = self.settings.limits
        codec = ScgiCodec(limits) if kind == "scgi" else FastcgiCodec(limits, self.settings.max_connections)
        HttpProtocol(far, gateway, codec)
        far.start_reading()
        reactor.wake()
        return near

    async def aclose(self) -> None:
        """Cancel what runs and run the shutdown hooks."""
        gateway = self.gateway
        if gateway is None:
            return
        self.gateway = None
        for connection in tuple(gateway.connections):
            connection.lost()
        tasks = tuple(gateway.scope.tasks)
        for task in tasks:
            task.cancel()
        if tasks:
            await asyncio.wait(tasks, timeout=5.0)
        try:
            await self.application.shutdown()
        finally:
            gateway.stop()
            self.application.after_loop(asyncio.get_running_loop())
