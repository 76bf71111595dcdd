"""The answer that ``Client.request`` gives."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ssgi_gateway.errors import ClientError
from ssgi_gateway.wire.client.events import AnswerEnded, BodyArrived, Headers

from .exchange import Failed

if TYPE_CHECKING:
    import asyncio
    from collections.abc import AsyncIterator

    from ssgi_gateway.wire.client.events import AnswerReceived

    from .exchange import Connected, Exchange

__all__ = ["Response"]


class Response:
    """An answer; its body is read by ``read``, or piece by piece.

    Attributes:
        status: the status code.
        headers: names in lower case, every line, in order.
        http_version: ``"1.0"``, ``"1.1"`` or ``"2"``.
        trailers: what came behind the body; empty before its end.
        stderr, app_status: what a FastCGI application sent beside its answer.
        informational: the 1xx answers, if the request enabled them.
        connection: what carried it.
    """

    __slots__ = (
        "_exchange",
        "_more",
        "_read",
        "_upload",
        "app_status",
        "connection",
        "headers",
        "http_version",
        "informational",
        "status",
        "stderr",
        "trailers",
        "tunnel",
    )

    def __init__(
        self,
        exchange: Exchange,
        head: AnswerReceived,
        connection: Connected | None,
        informational: list[Any],
        upload: asyncio.Task[None] | None,
    ) -> None:
        self._exchange = exchange
        self._upload = upload
        self._more = head.more
        self._read: bytes | None = None if head.more else b""
        self.status = head.status
        self.headers = head.headers
        self.http_version = head.version
        self.tunnel = head.tunnel
        self.connection = connection
        self.informational = informational
        self.trailers: Headers = []
        self.stderr = b""
        self.app_status = 0

    def __repr__(self) -> str:
        return f"<Response {self.status}>"

    def header(self, name: str) -> str | None:
        """The value of the first header of that name, in any case; ``None`` without one."""
        wanted = name.lower().encode("latin-1")
        for key, value in self.headers:
            if key == wanted:
                return value.decode("latin-1")
        return None

    async def read(self) -> bytes:
        """The whole body, or what is left of it; again the same.

        Raises:
            ClientError: it is not complete.
        """
        if self._read is None:
            pieces = []
            while (piece := await self.piece()) is not None:
                pieces.append(piece)
            self._read = pieces[0] if len(pieces) == 1 else b"".join(pieces)
        return self._read

    async def piece(self) -> bytes | None:
        """The next piece, ``None`` at the end.

        Raises:
            ClientError: the body is not complete.
        """
        if not self._more:
            return None
        try:
            event = await self._exchange.next()
        except BaseException:
            await self.aclose()
            raise
        if type(event) is BodyArrived:
            return event.data
        self._more = False
        self._stop_upload()
        if isinstance(event, AnswerEnded):
            self.trailers = event.trailers or []
            self.stderr = event.stderr
            self.app_status = event.app_status
            return None
        raise event.error or ClientError("the connection was closed")

    def __aiter__(self) -> AsyncIterator[bytes]:
        return self._pieces()

    async def _pieces(self) -> AsyncIterator[bytes]:
        while (piece := await self.piece()) is not None:
            yield piece

    async def read_tunnel(self) -> bytes | None:
        """Bytes of the tunnel, ``None`` when the peer closed it.

        Raises:
            ClientError: it broke.
        """
        event = await self._exchange.next()
        if isinstance(event, Failed):
            if event.error is not None:
                raise event.error
            return None
        data: bytes = event.data
        return data

    async def write_tunnel(self, data: bytes, more: bool = True) -> None:
        """Bytes into the tunnel."""
        await self._exchange.send_tunnel(data, more)

    def _stop_upload(self) -> None:
        if self._upload is not None:
            self._upload.cancel()
            self._upload = None

    async def aclose(self) -> None:
        """Leave; what is not complete is given up, and its connection with it if it has to be."""
        self._more = False
        self._stop_upload()
        self._exchange.abandon()
