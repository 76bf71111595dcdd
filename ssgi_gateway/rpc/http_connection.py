"""A call over HTTP as a connection of one request, so that hooks, limits and errors are those of any call."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

from . import serving
from .connection import Connection
from .errors import ErrorCode
from .frames import MESSAGE, METADATA, decode_answer
from .request import DISCONNECTED
from .reserved import InvalidMetadata, read_reserved

if TYPE_CHECKING:
    from .frames import RequestFrame
    from .procedures import Procedure

__all__ = ["HttpConnection"]


class HttpConnection(Connection):
    """What a handler of such a call sees as its connection. Its ``ws`` is itself: it takes the frames."""

    __slots__ = ("_done", "leading", "refusal", "res")

    def __init__(self, app: Any, runtime: Any, res: Any, data: Any) -> None:
        super().__init__(app, runtime, self, data)
        self._done: asyncio.Future[bytes | None] = runtime.loop.create_future()
        self.res = res
        self.leading: dict[str, Any] | None = None
        self.refusal = (403, "")

    async def call(self, procedure: Procedure, frame: RequestFrame) -> tuple[dict[str, Any] | None, bytes | None]:
        """Serve the one request; returns leading metadata that was sent alone, and the last frame, if there is one."""
        request = procedure.request_class(self, procedure, 1, frame.metadata)
        request.bytes_in = len(bytes(frame.data))
        try:
            read_reserved(request, frame.metadata)
        except InvalidMetadata as error:
            self.send_error(1, ErrorCode.BAD_REQUEST, str(error))
        else:
            if self.app.draining:
                self.send_error(1, ErrorCode.UNAVAILABLE, "the server is about to restart")
            else:
                self.requests[(procedure.name, 1)] = request
                self.run_task(request, serving.serve(request, frame, request.bytes_in))
        final = await self._done
        if self._running:
            await serving.wait_for(list(self._running), self.app.settings.closing_timeout, self)
        return self.leading, final

    # -- in the place of a WebSocket -------------------------------------------------------------------------------

    def send(self, request: Any, payload: Any = None) -> Any:
        """Take a frame, as ``Connection.send`` and as the WebSocket's ``send``."""
        if payload is not None:
            request.bytes_out += len(payload)
        frame = request if payload is None else payload
        answered = decode_answer(frame)
        if answered.type == METADATA:
            self.leading = answered.leading
        elif answered.type in (MESSAGE, 3) and not self._done.done():
            self._done.set_result(frame)
        return self.runtime.ready

    def close(self, code: int = 1000, reason: str = "") -> Any:
        """End without an answer of the procedure's."""
        if not self._done.done():
            self.refusal = (code if 400 <= code < 600 else 403, reason)
            self._done.set_result(None)
        self._cancel_all()
        return self.runtime.ready

    def lost(self) -> None:
        """The client has disconnected."""
        for request in tuple(self.requests.values()):
            self.stop(request, DISCONNECTED)
        if not self._done.done():
            self._done.set_result(None)
