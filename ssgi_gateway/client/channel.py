"""ACGI's messages: ``send`` and ``receive`` for an application that sends requests.

The table of messages is in docs/client.md. What an application does wrong is a ``LocalProtocolError`` out of ``send``,
before anything is written; what goes wrong outside arrives by ``receive``.
"""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING, Any
from urllib.parse import ParseResult

from ssgi_gateway.errors import ClientError, LocalProtocolError
from ssgi_gateway.wire.client.events import AnswerEnded, AnswerReceived, BodyArrived, InformationalReceived
from ssgi_gateway.wire.client.request import Request

from .exchange import Connected, Exchange, Failed

if TYPE_CHECKING:
    import asyncio
    from collections.abc import AsyncGenerator

    from .client import Client
    from .place import Place

__all__ = ["Channel", "Message"]

Message = dict[str, Any]


class Channel:
    """One application's way to the network.

    Args:
        client: who carries.
        place: the connection of the channel's own, if it has one; several requests may then be under way.
    """

    def __init__(self, client: Client, place: Place | None = None) -> None:
        self._client = client
        self._place = place
        self._running: dict[Exchange, None] = {}
        self._ready: deque[Exchange] = deque()  # once for each event
        self._last: Exchange | None = None
        self._waiter: asyncio.Future[None] | None = None

    # -- receive ---------------------------------------------------------------------------------------------------

    async def receive(self) -> Message:
        """The next message, whichever exchange it belongs to."""
        while True:
            while self._ready:
                exchange = self._ready.popleft()
                if exchange.has_events:  # otherwise it was abandoned, or its body is read by the generator
                    return self._message(exchange, exchange.next_nowait())
            self._waiter = waiter = self._client.loop.create_future()
            try:
                await waiter
            finally:
                self._waiter = None

    def _on_event(self, exchange: Exchange) -> None:
        self._ready.append(exchange)
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)

    def _message(self, exchange: Exchange, event: Any) -> Message:
        kind = type(event)
        message: Message
        if kind is BodyArrived and not exchange.tunnel:
            message = {"type": "http.response.body", "body": event.data, "more_body": True}
        elif kind is BodyArrived:
            message = {"type": "http.stream.data", "data": event.data, "more_data": True}
        elif kind is AnswerEnded:
            message = self._last_message(exchange, event)
        elif kind is AnswerReceived:
            message = self._response(exchange, event)
        elif kind is Connected:
            message = {
                "type": "http.response.connection",
                "http_version": event.carrier.http_version,
                "reused": event.reused,
                "remote": event.carrier.remote,
                "tls": event.carrier.tls,
                "stream_id": event.stream_id,
            }
            return message
        elif kind is InformationalReceived:
            message = {
                "type": "http.response.informational",
                "status_code": event.status,
                "headers": event.headers,
            }
        else:
            message = self._disconnect(exchange, event)
        message["stream_id"] = exchange.stream_id
        return message

    def _response(self, exchange: Exchange, event: AnswerReceived) -> Message:
        if not event.more and not event.tunnel:
            self._running.pop(exchange, None)
        return {
            "type": "http.response",
            "acgi": {"version": "1.0"},
            "http_version": event.version,
            "status_code": event.status,
            "headers": event.headers,
            "more_body": event.more,
            "body": self._body(exchange, event.more),
        }

    def _last_message(self, exchange: Exchange, event: AnswerEnded) -> Message:
        self._running.pop(exchange, None)
        message: Message = {"type": "http.response.body", "body": b"", "more_body": False}
        if event.trailers:
            message["trailers"] = event.trailers
        if event.stderr:
            message["stderr"] = event.stderr
        if event.app_status:
            message["app_status"] = event.app_status
        return message

    def _disconnect(self, exchange: Exchange, event: Failed) -> Message:
        self._running.pop(exchange, None)
        error = event.error
        message: Message = {"type": "http.stream.disconnect", "error": None, "reason": ""}
        if error is not None:
            name = error.name if isinstance(error, ClientError) else type(error).__name__
            message.update(error=name, reason=str(error), exception=error)
            message["retryable"] = getattr(error, "retryable", False)
            if hasattr(error, "code"):
                message["code"] = error.code
        return message

    async def _body(self, exchange: Exchange, more: bool) -> AsyncGenerator[bytes, None]:
        """What follows, for those who want a generator and not messages."""
        while more:
            event = await exchange.next()
            if type(event) is BodyArrived:
                yield event.data
            else:
                self._running.pop(exchange, None)
                if type(event) is AnswerEnded:
                    return
                raise event.error or ClientError("the connection was closed")

    # -- send ------------------------------------------------------------------------------------------------------

    async def send(self, message: Message) -> None:
        """Take a message of the application's.

        Raises:
            LocalProtocolError: it is not one that may come now, or has a key of the wrong type.
        """
        kind = message.get("type") if isinstance(message, dict) else None
        if kind == "http.request":
            await self._request(message)
        elif kind == "http.request.body":
            exchange = self._find(message)
            if exchange is None:
                raise LocalProtocolError("http.request.body before http.request")
            await exchange.send(_bytes(message, "body"), _flag(message, "more_body", False))
        elif kind == "http.stream.data":
            exchange = self._find(message)
            if exchange is None:
                raise LocalProtocolError("http.stream.data before http.request")
            await exchange.send_tunnel(_bytes(message, "data"), _flag(message, "more_data", True))
        elif kind in ("http.stream.disconnect", "http.disconnect"):
            exchange = self._find(message)
            if exchange is not None:
                self._running.pop(exchange, None)
                exchange.abandon()
        else:
            raise LocalProtocolError(f"an application of ACGI sends no {kind!r}")

    async def _request(self, message: Message) -> None:
        if self._place is None and any(not exchange.over for exchange in self._running):
            raise LocalProtocolError("a second http.request while the first is under way; use Client.connection")
        extensions = message.get("extensions")
        if extensions is not None and not isinstance(extensions, dict):
            raise LocalProtocolError("extensions is a dict")
        method = message.get("method")
        request = Request(
            method if isinstance(method, str) else "",
            _url(message),
            message.get("headers") or (),
            _bytes(message, "body"),
            _flag(message, "more_body", False),
            extensions,
        )
        exchange = self._client.exchange_of(request, self._place)
        exchange.listener = self._on_event
        self._running[exchange] = None
        self._last = exchange
        exchange.begin()
        try:
            await exchange.started()
        except BaseException:
            self._running.pop(exchange, None)
            exchange.abandon()
            raise

    def _find(self, message: Message) -> Exchange | None:
        """The exchange a message belongs to: by its stream, or the one there is."""
        stream_id = message.get("stream_id")
        if self._place is not None and stream_id is not None:
            for exchange in self._running:
                if exchange.stream_id == stream_id and not exchange.over:
                    return exchange
        return self._last

    def close(self) -> None:
        """The application has returned, or was cancelled: what is open ends."""
        running, self._running = self._running, {}
        for exchange in running:
            exchange.abandon()
        self._ready.clear()


def _url(message: Message) -> str:
    url = message.get("url")
    if isinstance(url, str):
        return url
    if isinstance(url, ParseResult):
        return url.geturl()
    scheme, host, path = message.get("scheme"), message.get("host"), message.get("path", "/")
    if isinstance(scheme, str) and isinstance(host, str) and isinstance(path, str):
        return f"{scheme}://{host}{path}"
    raise LocalProtocolError("http.request has no url")


def _bytes(message: Message, key: str) -> Any:
    data = message.get(key)
    if data is None:
        return b""
    if isinstance(data, bytes | bytearray | memoryview):
        return data
    raise LocalProtocolError(f"{key} is bytes, not {type(data).__name__}")


def _flag(message: Message, key: str, default: bool) -> bool:
    value = message.get(key, default)
    if not isinstance(value, bool):
        raise LocalProtocolError(f"{key} is a bool, not {type(value).__name__}")
    return value
