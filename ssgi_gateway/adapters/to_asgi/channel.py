"""What carries a response or a WebSocket of this project over ASGI's ``receive`` and ``send``.

A channel is written to at once and never waits; ASGI's ``send`` is awaited. So what is written is queued here as
ASGI events, ``pump`` sends them one after the other, and the queue's size is what makes the application wait.
``listen`` reads events, as far as the application takes what is in them.
"""

from __future__ import annotations

import asyncio
import os
from collections import deque
from typing import TYPE_CHECKING, Any, Final

from ssgi_gateway.core.body import RequestBody
from ssgi_gateway.core.channel import Channel, HttpChannel, WebSocketChannel
from ssgi_gateway.core.tasks import TaskScope
from ssgi_gateway.core.waiters import Waiters, settled
from ssgi_gateway.wire.file_slice import FileSlice
from ssgi_gateway.wire.response_head import ResponseHead
from ssgi_gateway.wire.websocket.close_codes import BROKEN, NO_STATUS, encode_close_payload

if TYPE_CHECKING:
    from ssgi_gateway.core.exchange import Exchange
    from ssgi_gateway.core.websocket import WebSocket

__all__ = ["AsgiHttpChannel", "AsgiWebSocketChannel", "BrokenResponseError"]

HIGH_WATER: Final = 262144
LOW_WATER: Final = 65536
PIECE: Final = 262144
"""Bytes of a file that are read at once."""

CLOSE_TIMEOUT: Final = 10.0
"""Seconds a server may take to report the end after our ``websocket.close``."""


class BrokenResponseError(Exception):
    """The response cannot be finished: goes to the ASGI server, which then breaks the connection off."""


class BridgeChannel(Channel):
    """The half that is the same for both: a queue of events, and what waits for it.

    Args:
        state: what ``res.extensions["state"]`` is.
    """

    def __init__(self, state: dict[str, Any]) -> None:
        self.scope = TaskScope(asyncio.get_running_loop())
        self.over = False  # nothing more will be written
        self._gone = False  # nothing more arrives
        self._out: deque[tuple[Any, int]] = deque()
        self._size = 0
        self._state = state
        self._written = Waiters()  # pump waits for something to send
        self._consumed = Waiters()  # listen waits for the application to take more
        self._drained = Waiters()
        self._flushed = Waiters()

    # -- for the application's object ----------------------------------------------------------------------------

    def when_writable(self) -> asyncio.Future[bool]:
        return self._when(self._drained, self._size <= HIGH_WATER)

    def when_flushed(self) -> asyncio.Future[bool]:
        return self._when(self._flushed, not self._out)

    def failure_page(self, exc: BaseException | None, accept: str | None) -> tuple[str, str]:
        return "text/plain; charset=utf-8", "Internal Server Error\n"

    def offload_file(self, fd: int) -> tuple[str, str] | None:
        return None

    def describe(self) -> dict[str, Any]:
        return {"protocol": "asgi", "state": self._state}

    # -- for the bridge ------------------------------------------------------------------------------------------

    async def pump(self, send: Any) -> None:
        """Send what is written, until nothing more will be."""
        while True:
            while self._out and not self._gone:
                item, size = self._out[0]
                try:
                    await self._send(send, item)
                except OSError:
                    self.lost()
                    break
                self._out.popleft()
                self._size -= size
                if self._size <= LOW_WATER:
                    self._drained.wake(True)
            if not self._gone:
                self._flushed.wake(True)
            if self.over or self._gone:
                return
            await self._written.wait(self.scope.loop)

    async def listen(self, receive: Any) -> None:
        """Receive from the client, until it has disconnected."""
        raise NotImplementedError

    def lost(self) -> None:
        """The client has disconnected."""
        if not self._gone:
            self._gone = True
            self._out.clear()
            self._size = 0
            self._drained.wake(False)
            self._flushed.wake(False)
            self._written.wake(None)
            self._consumed.wake(None)

    # -- inside --------------------------------------------------------------------------------------------------

    async def _send(self, send: Any, item: Any) -> None:
        await send(item)

    def _put(self, item: Any, size: int) -> bool:
        if not self._gone:
            self._out.append((item, size))
            self._size += size
            self._written.wake(None)
        return self._size <= HIGH_WATER

    def _when(self, waiters: Waiters, met: bool) -> asyncio.Future[bool]:
        if self._gone or met:
            return settled(self.scope.loop, not self._gone)
        return waiters.wait(self.scope.loop)


class AsgiHttpChannel(BridgeChannel, HttpChannel):
    """Carries one response. ``exchange`` is set before anything is written."""

    def __init__(self, state: dict[str, Any]) -> None:
        super().__init__(state)
        self.front_files = True
        self.body = RequestBody()
        self.exchange: Exchange

    def write(self, head: ResponseHead | None, data: Any, end: bool) -> bool:
        self.over = self.over or end
        if head is not None:
            self._put({"type": "http.response.start", "status": head.status, "headers": head.pairs()}, 0)
        body = b"" if data is None else bytes(data)
        return self._put({"type": "http.response.body", "body": body, "more_body": not end}, len(body))

    def write_file(self, head: ResponseHead | None, file: FileSlice, end: bool) -> bool:
        if head is not None:
            self.write(head, None, False)
        self.over = self.over or end
        return self._put((file, end), len(file))

    def body_consumed(self, body: RequestBody) -> None:
        self._consumed.wake(None)

    def abort_response(self) -> None:
        self._out.append((BrokenResponseError("the application could not finish its response"), 0))
        self.over = True
        self._written.wake(None)
        self.exchange.abort()

    async def listen(self, receive: Any) -> None:
        """Feed the body until the client has disconnected."""
        while not self._gone:
            if not self.body.ended and self.body.size > HIGH_WATER:
                await self._consumed.wait(self.scope.loop)
                continue
            event = await receive()
            if event["type"] == "http.disconnect":
                self.lost()
            elif not self.body.ended:
                if event.get("body"):
                    self.body.feed(event["body"])
                if not event.get("more_body", False):
                    self.body.feed_end()

    def lost(self) -> None:
        super().lost()
        self.exchange.abort()

    async def _send(self, send: Any, item: Any) -> None:
        if type(item) is dict:
            await send(item)
        elif isinstance(item, Exception):
            raise item
        else:
            await self._send_file(send, *item)

    async def _send_file(self, send: Any, file: FileSlice, end: bool) -> None:
        at, left = file.offset, file.size
        while left:
            data = await self.scope.loop.run_in_executor(None, os.pread, file.file.fd, min(PIECE, left), at)
            if not data:
                raise BrokenResponseError("a file became shorter while it was sent")
            at += len(data)
            left -= len(data)
            await send({"type": "http.response.body", "body": data, "more_body": bool(left) or not end})


class AsgiWebSocketChannel(BridgeChannel, HttpChannel, WebSocketChannel):
    """Carries one WebSocket, from the request on: both halves in one. ``websocket`` is set before anything is written.

    Args:
        state: what ``res.extensions["state"]`` is.
        subprotocols: what the client offered.
        denial: whether the server can send a response in place of the upgrade (``websocket.http.response``).
    """

    def __init__(self, state: dict[str, Any], subprotocols: list[str], denial: bool) -> None:
        super().__init__(state)
        self.front_files = True
        self._subprotocols = subprotocols
        self._denial = denial
        self._deadline: asyncio.TimerHandle | None = None
        self.websocket: WebSocket

    def write(self, head: ResponseHead | None, data: Any, end: bool) -> bool:
        """A response in place of the upgrade, always whole."""
        assert head is not None
        self.over = True
        if not self._denial:
            return self._put({"type": "websocket.close"}, 0)  # ASGI: the server answers 403 then
        self._put({"type": "websocket.http.response.start", "status": head.status, "headers": head.pairs()}, 0)
        return self._put({"type": "websocket.http.response.body", "body": bytes(data or b"")}, 0)

    def switch(self, websocket: Any, subprotocol: str, headers: Any) -> WebSocketChannel:
        head = ResponseHead()
        if headers is not None:
            head.add(headers)
        self._put({"type": "websocket.accept", "subprotocol": subprotocol or None, "headers": head.pairs()}, 0)
        return self

    def send_message(self, message: Any) -> bool:
        if type(message) is str:
            return self._put({"type": "websocket.send", "text": message}, len(message))
        data = bytes(message)
        return self._put({"type": "websocket.send", "bytes": data}, len(data))

    def send_close(self, code: int, reason: str) -> None:
        encode_close_payload(code, reason)  # for what it refuses
        self._put({"type": "websocket.close", "code": code, "reason": reason}, 0)
        self._deadline = self.scope.loop.call_later(CLOSE_TIMEOUT, self.ended, BROKEN, "")
        self._consumed.wake(None)

    def receive_more(self) -> None:
        self._consumed.wake(None)

    def describe(self) -> dict[str, Any]:
        return {**super().describe(), "subprotocols": list(self._subprotocols)}

    async def listen(self, receive: Any) -> None:
        """Deliver messages until the connection is over."""
        while not self._gone:
            if self._deadline is None and self.websocket.busy():
                await self._consumed.wait(self.scope.loop)
                continue
            event = await receive()
            if event["type"] == "websocket.disconnect":
                self.ended(event.get("code", NO_STATUS), event.get("reason") or "")
            elif event["type"] == "websocket.receive" and self._deadline is None:
                text = event.get("text")
                self.websocket.deliver(event["bytes"] if text is None else text)

    def lost(self) -> None:
        self.ended(BROKEN, "")

    def ended(self, code: int, reason: str) -> None:
        """It is over, by a closing handshake or not."""
        if self._deadline is not None:
            self._deadline.cancel()
        super().lost()
        self.websocket.ended(code, reason)
