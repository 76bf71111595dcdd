"""One attempt to connect: the address, the proxy, TLS, each within its time; whatever ends it, nothing is left open."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

from ssgi_gateway.errors import ConnectError, ConnectTimeout, GatewayError

from ..server.system import close as close_fd
from .connecting import connect
from .stream import TlsStream
from .tunnel import open_tunnel

if TYPE_CHECKING:
    from .place import Place
    from .pool import Pool

__all__ = ["Attempt"]


class Attempt:
    """One attempt to connect, in a task of the pool's."""

    __slots__ = ("_settled", "fd", "place", "pool", "stream", "task")

    def __init__(self, pool: Pool, place: Place) -> None:
        self.pool = pool
        self.place = place
        self.fd = -1
        self.stream: Any = None
        self._settled = False
        self.task = pool.reactor.loop.create_task(self._run())
        pool.reactor.loop.when_done(self.task, self._ended)

    async def _run(self) -> None:
        error: GatewayError | None = None
        alpn = None
        try:
            alpn = await self._connect()
        except GatewayError as raised:  # a ConfigurationError as well: a file for TLS that is not there
            error = raised
        except Exception as raised:
            error = ConnectError(f"cannot connect to {self.place.origin}: {raised!r}")
        self._settled = True
        if error is None:
            self.pool.connected(self.place, self.stream, alpn, self)
        else:
            self._drop()
            self.pool.attempt_failed(self, error)

    def _ended(self, _: Any) -> None:
        """The task is over; a cancelled one may never have begun."""
        if not self._settled:
            self._drop()
            self.pool.attempt_failed(self, None)

    async def _connect(self) -> str | None:
        origin, pool = self.place.origin, self.pool
        if pool.opener is not None:
            self.stream = pool.local(origin)
            return None
        timeouts = pool.timeouts_of(self.place)
        host, port = (origin.proxy.host, origin.proxy.port) if origin.proxy else (origin.host, origin.port)
        try:
            async with asyncio.timeout(timeouts.connect):
                self.fd = await connect(pool.reactor.loop, host, port, origin.path)
        except TimeoutError:
            raise ConnectTimeout(f"no connection to {origin} within {timeouts.connect} s") from None
        self.stream = connection = pool.connection(origin, self.fd)
        self.fd = -1
        if not origin.secure:
            return None
        try:
            async with asyncio.timeout(timeouts.tls):
                if origin.proxy is not None:
                    await open_tunnel(connection, origin, origin.proxy)
                self.stream = tls = TlsStream(connection, pool.tls_context(), origin.host)
                return await tls.handshake()
        except TimeoutError:
            raise ConnectTimeout(f"TLS with {origin} took longer than {timeouts.tls} s") from None

    def _drop(self) -> None:
        if self.fd >= 0:
            close_fd(self.fd)
        if self.stream is not None:
            getattr(self.stream, "connection", self.stream).close()
