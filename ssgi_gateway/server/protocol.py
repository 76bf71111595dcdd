"""What a connection hands its bytes to, and what speaks for an exchange: both are one object here.

A protocol is the ``Channel`` of the exchange it carries; ``HttpProtocol`` and ``WebSocketProtocol`` are its two
kinds, and an accepted upgrade puts the second in the first one's place.
"""

from __future__ import annotations

import os
import traceback
from typing import TYPE_CHECKING, Final

import ssgi_gateway

from ..core.channel import Channel

if TYPE_CHECKING:
    import asyncio

    from ..core.exchange import Exchange
    from .connection import Connection
    from .gateway import Gateway


TEXT: Final = "text/plain; charset=utf-8"
OWN: Final = os.path.dirname(ssgi_gateway.__file__)
"""Where the frames come from that tell a developer nothing."""


class Protocol(Channel):
    """The meaning of one connection's bytes."""

    __slots__ = ("connection", "gateway")

    def _init_base(self, connection: Connection, gateway: Gateway) -> None:
        """Take the place of ``connection``'s protocol. Called once, by ``__init__``."""
        self.scope = gateway.scope
        self.front_files = gateway.front_files
        self.connection = connection
        self.gateway = gateway
        connection.protocol = self

    def data_received(self, data: bytes) -> None:
        """Bytes, never empty."""
        raise NotImplementedError

    def eof_received(self) -> None:
        """The peer will send nothing more."""
        raise NotImplementedError

    def connection_lost(self) -> None:
        """The connection is closed and was not closed by this protocol."""
        raise NotImplementedError

    def deadline_passed(self) -> None:
        """The time set in ``connection.deadline`` has come."""
        raise NotImplementedError

    def shut_down(self) -> None:
        """The server drains: finish what is in progress and begin nothing new."""
        raise NotImplementedError

    def movable(self) -> bool:
        """Whether nothing has begun here, so that another process could go on with the connection."""
        return False

    def spoken(self) -> str:
        """The wire protocol's name, of what is ``movable``."""
        return ""

    def hurry(self, waiting: bool) -> None:
        """The drain goes on: end event streams, and with ``waiting`` also requests that were not answered at all."""

    def when_writable(self) -> asyncio.Future[bool]:
        return self.connection.when_writable()

    def when_flushed(self) -> asyncio.Future[bool]:
        return self.connection.when_flushed()

    def application_failed(self, exchange: Exchange) -> None:
        if self.gateway.observer is not None:
            self.gateway.observer.application_failed(exchange)

    def failure_page(self, exc: BaseException | None, accept: str | None) -> tuple[str, str]:
        if exc is None or not self.gateway.development:
            return TEXT, "Internal Server Error\n"
        if accept is not None and "text/html" in accept:
            from ssgi_gateway.observe.failure_page import (  # a developer's, and no start's
                failure_page,
                without_own_frames,
            )

            return "text/html; charset=utf-8", failure_page("", without_own_frames(exc, (OWN,)))
        page = "".join(traceback.format_exception(exc))
        return TEXT, page.encode("utf-8", "backslashreplace").decode()  # a message may hold any character
