"""One WebSocket of an ASGI application: ``receive`` and ``send`` over an SSGI WebSocket.

What an application has sent so far, and what may follow::

    PENDING --websocket.accept--> OPEN --websocket.close--> OVER
    PENDING --websocket.close--> OVER (403)
    PENDING --websocket.http.response.start--> DENYING --websocket.http.response.body without more_body--> OVER

The client may disconnect at any time; then ``send`` raises an ``OSError`` and ``receive`` returns
``websocket.disconnect``, after the messages that came before it. Messages wait in the WebSocket's own bounded queue
until the application asks.
"""

from __future__ import annotations

import asyncio
import logging
from typing import TYPE_CHECKING, Any, Final

from ssgi_gateway.ssgi import WebSocketStatus
from ssgi_gateway.wire.websocket import close_codes

from ...core.awaitables import TRUE
from ...core.waiters import Waiters
from ...wire.response_head import ResponseHead
from .http import COMPLETED, check_bytes

if TYPE_CHECKING:
    from collections.abc import Callable

    from ...core.websocket import WebSocket

logger = logging.getLogger("ssgi_gateway.app")

PENDING: Final = 0
OPEN: Final = 1
DENYING: Final = 2
OVER: Final = 3

BROKEN: Final = close_codes.BROKEN
WEBSOCKET_CLOSED: Final = "the WebSocket is closed"


class WebSocketCall:
    """What an application gets as ``receive`` and ``send``.

    Args:
        ws: the WebSocket, pending.
        grace: seconds an application may go on after its client has disconnected, before it is cancelled.
    """

    __slots__ = (
        "_closed",
        "_connected",
        "_deadline",
        "_denial",
        "_grace",
        "_left",
        "_listening",
        "_pieces",
        "_stage",
        "_waiters",
        "_ws",
    )

    def __init__(self, ws: WebSocket, grace: float) -> None:
        self._ws = ws
        self._grace = grace
        self._stage = PENDING
        self._connected = False  # websocket.connect was handed out
        self._closed: tuple[int, str] | None = None  # code and reason, once it is over
        self._waiters = Waiters()
        self._denial: tuple[int, Any] = (403, ())  # status and headers of a websocket.http.response
        self._pieces: list[Any] = []  # and its body
        self._deadline: asyncio.TimerHandle | None = None
        self._left = False  # the application has returned
        self._listening = False  # it was waiting in receive when the WebSocket ended, and has not received that yet
        ws.on_waiting(self._wake)
        ws.when_closed(self._ended, (), None)

    async def run(self, app: Callable[..., Any], scope: dict[str, Any]) -> None:
        """Call the application. When it returns, nothing is left to serve the WebSocket."""
        try:
            await app(scope, self.receive, self.send)
        finally:
            self._left = True
            if self._deadline is not None:
                self._deadline.cancel()
        if self._ws.status is WebSocketStatus.ACCEPTED:
            self._ws.close(1000)
        elif self._stage == DENYING and self._closed is None:
            # It has begun an answer in place of the upgrade and not ended it: what there is of it is the answer.
            logger.error("ASGI: the application returned without the last 'websocket.http.response.body'")
            self._deny({"type": "websocket.http.response.body"})

    # -- what the application receives ---------------------------------------------------------------------------

    async def receive(self) -> dict[str, Any]:
        """The next event: ``websocket.connect``, the messages, ``websocket.disconnect`` at each further call."""
        if not self._connected:
            self._connected = True
            return {"type": "websocket.connect"}
        while True:
            message = self._ws.take()
            if message is not None:
                break
            if self._closed is not None:
                self._listening = False
                return {"type": "websocket.disconnect", "code": self._closed[0], "reason": self._closed[1]}
            await self._waiters.pause(self._ws.channel.scope.loop)
        if message.__class__ is str:
            return {"type": "websocket.receive", "text": message}
        return {"type": "websocket.receive", "bytes": message}

    # -- calls of the application --------------------------------------------------------------------------------

    def send(self, message: dict[str, Any]) -> Any:
        """Take one event of the application; what is awaited ends when the peer can take more.

        Raises:
            ConnectionAbortedError: (an ``OSError``) the WebSocket is closed, by either side.
            RuntimeError: this event is not known here, or not due.
            TypeError, ValueError: a wrong type, status, header, close code or reason.
        """
        kind = message["type"]
        stage = self._stage
        if self._closed is not None or stage == OVER:
            if self._listening and kind == "websocket.send":
                return COMPLETED
            if kind == "websocket.close" and stage in (PENDING, OPEN):  # it wants what is so: a ``finally`` of its own
                self._stage = OVER
                return COMPLETED
            raise ConnectionAbortedError(WEBSOCKET_CLOSED)
        if kind == "websocket.send" and stage == OPEN:
            waiting: Any = self._ws.send(payload_of(message))
            if waiting is not TRUE:
                return self._wait_writable(waiting)
        elif kind == "websocket.accept" and stage == PENDING:
            # None is "none" here and "the first one offered" in SSGI.
            self._ws.accept(message.get("subprotocol") or "", message.get("headers") or None)
            if self._ws.status is not WebSocketStatus.ACCEPTED:
                raise ConnectionAbortedError(WEBSOCKET_CLOSED)
            self._stage = OPEN
        elif kind == "websocket.close" and stage != DENYING:
            self._ws.close(message.get("code") or 1000, message.get("reason") or "")
            self._over(stage)
        elif kind == "websocket.http.response.start" and stage == PENDING:
            self._denial = (message["status"], list(message.get("headers") or ()))
            self._check_denial()
            self._stage = DENYING
        elif kind == "websocket.http.response.body" and stage == DENYING:
            self._deny(message)
        else:
            raise RuntimeError(f"ASGI: {kind!r} was sent {DUE[stage]}")
        return COMPLETED

    async def _wait_writable(self, waiting: Any) -> None:
        if not await waiting:
            raise ConnectionAbortedError(WEBSOCKET_CLOSED)

    def _check_denial(self) -> None:
        """What is wrong with its head is raised where it was sent, and the answer is then another one."""
        head = ResponseHead()
        head.set_status(self._denial[0])
        head.add(self._denial[1])

    def _deny(self, message: dict[str, Any]) -> None:
        """A piece of the answer in place of the upgrade; SSGI gives it as a whole."""
        body = message.get("body", b"")
        check_bytes(message["type"], body)
        self._pieces.append(body or b"")
        if not message.get("more_body", False):
            self._ws.reject(self._denial[0], b"".join(self._pieces), self._denial[1])
            self._over(PENDING)

    def _over(self, stage: int) -> None:
        """The application has ended it. Where there never was a connection no closing handshake will follow."""
        self._stage = OVER
        if stage == PENDING:
            self._ended(self._ws, BROKEN, "")

    # -- events of the WebSocket ---------------------------------------------------------------------------------

    def _ended(self, ws: Any, code: int, reason: str) -> None:
        if self._closed is None:
            self._closed = (code, reason)
            # A consumer that waits for the client and for others (Django Channels) is to get the end by receive,
            # where it ends, and not by an error in the middle of a broadcast.
            self._listening = self._waiters.waiting() and self._stage == OPEN
            self._wake()
            if not self._left and self._grace:  # informed first, cancelled if it does not react
                self._deadline = self._ws.channel.scope.loop.call_later(self._grace, self._cancel)

    def _cancel(self) -> None:
        self._ws.cancel()  # as in ``http``

    def _wake(self) -> None:
        self._waiters.wake(None)


DUE: Final = {
    PENDING: "where 'websocket.accept', 'websocket.close' or 'websocket.http.response.start' is due",
    OPEN: "where 'websocket.send' or 'websocket.close' is due",
    DENYING: "where 'websocket.http.response.body' is due",
}


def payload_of(message: dict[str, Any]) -> Any:
    """What a ``websocket.send`` carries.

    Raises:
        ValueError: neither ``text`` nor ``bytes``.
        TypeError: ``text`` that is no ``str``, or ``bytes`` that are none.
    """
    data = message.get("bytes")
    if data is not None:
        if data.__class__ is not bytes and not isinstance(data, (bytes, bytearray, memoryview)):
            raise TypeError(f"ASGI: 'bytes' of 'websocket.send' is {type(data).__name__}")
        return data
    text = message.get("text")
    if text is None:
        raise ValueError("ASGI: 'websocket.send' has neither 'text' nor 'bytes'")
    if not isinstance(text, str):
        raise TypeError(f"ASGI: 'text' of 'websocket.send' is {type(text).__name__}, it has to be str")
    return text
