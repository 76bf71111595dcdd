"""CONNECT: a way through an HTTP proxy, before TLS begins (RFC 9110 9.3.6)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ssgi_gateway.errors import ClientError, ConnectError
from ssgi_gateway.wire.client.events import AnswerReceived
from ssgi_gateway.wire.client.http1 import Http1Client
from ssgi_gateway.wire.client.http1_parsers import parser_factory
from ssgi_gateway.wire.client.request import Request

if TYPE_CHECKING:
    from .origin import Origin, Proxy
    from .stream import PeerConnection

__all__ = ["open_tunnel"]


async def open_tunnel(connection: PeerConnection, origin: Origin, proxy: Proxy) -> None:
    """Request a connection to the origin from the proxy.

    Raises:
        ConnectError: it refused, or spoke no HTTP.
    """
    asking = _Asking(connection, origin, proxy)
    connection.protocol = asking  # type: ignore[assignment]
    connection.start_reading()
    await asking.answer


class _Asking:
    """The protocol of the connection until the proxy has answered."""

    def __init__(self, connection: PeerConnection, origin: Origin, proxy: Proxy) -> None:
        self.connection = connection
        self.answer: Any = connection.reactor.loop.create_future()
        self._proxy = f"the proxy {proxy.host}:{proxy.port}"
        host = f"[{origin.host}]" if ":" in origin.host else origin.host
        target = f"{host}:{origin.port}"
        self._codec = Http1Client(parser_factory())
        request = Request("CONNECT", f"https://{target}/", [(b"host", target.encode())])
        connection.write(self._codec.begin(request, target, proxy.fields))

    def data_received(self, data: bytes) -> None:
        try:
            events = self._codec.receive(data)
        except ClientError as error:
            self._refuse(str(error))
            return
        for event in events:
            if isinstance(event, AnswerReceived):
                if event.tunnel:
                    self.connection.stop_reading()
                    if not self.answer.done():
                        self.answer.set_result(None)
                else:
                    self._refuse(f"it answered {event.status}")
                return

    def eof_received(self) -> None:
        self._refuse("it closed the connection")

    def connection_lost(self) -> None:
        self._refuse(str(self.connection.error or "the connection was lost"))

    def deadline_passed(self) -> None:
        """The attempt has a timeout of its own."""

    def _refuse(self, why: str) -> None:
        if not self.answer.done():
            self.answer.set_exception(ConnectError(f"{self._proxy} opens no tunnel: {why}", "proxy"))
        self.connection.close()
