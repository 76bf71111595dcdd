"""The other way round: an SSGI application served by any ASGI server.

A framework's author can offer SSGI without a change of servers::

    # uvicorn module:app
    app = ssgi_gateway.adapters.as_asgi(ssgi_app)

Responses and WebSockets are this project's own, over another channel, so that every rule of SSGI holds: what ``send``
means, when a head is committed, who is notified of an abort. What differs is what ASGI cannot express:

* A WebSocket is rejected with a response where the server has ``websocket.http.response``, otherwise with 403.
* A reason phrase of the application's own is lost.
* A response that cannot be finished ends in an exception to the server, which breaks the connection off.
* The hooks ``startup(state)`` and ``shutdown()`` are run if the server has a lifespan.

It needs asyncio: the application runs on the event loop's thread.
"""

from __future__ import annotations

import asyncio
import logging
from typing import TYPE_CHECKING, Any

from ssgi_gateway.errors import RequestRejected

if TYPE_CHECKING:
    from ssgi_gateway.adapters.application import SSGICallable
    from ssgi_gateway.adapters.to_asgi.channel import BridgeChannel

__all__ = ["AsgiBridge", "as_asgi"]

logger = logging.getLogger("ssgi_gateway.app")

MAX_QUEUE = 32
"""Messages of a WebSocket that may wait for the application, as in ``WebSocketSettings``."""


def as_asgi(app: Any) -> AsgiBridge:
    """An ASGI 3 application that serves the SSGI application or framework ``app``.

    Args:
        app: an SSGI callable, or a framework whose ``get_supported`` chooses SSGI.

    Raises:
        ConfigurationError: it is neither.
    """
    return AsgiBridge(app)


class AsgiBridge:
    """The ASGI callable."""

    def __init__(self, app: Any) -> None:
        # What follows is imported when it is used: this package is there for servers that never come here.
        from ssgi_gateway.adapters.negotiation import resolve

        self._application = resolve(app, "ssgi")
        self._state: dict[str, Any] = {}

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        """One lifespan, request or WebSocket."""
        if scope["type"] == "lifespan":
            await self._live(scope, receive, send)
        elif scope["type"] == "http":
            await self._serve(scope, receive, send)
        elif scope["type"] == "websocket":
            await self._talk(scope, receive, send)
        else:
            raise ValueError(f"an ASGI scope of the type {scope['type']!r} is not known here")

    async def _live(self, scope: Any, receive: Any, send: Any) -> None:
        while True:
            event = await receive()
            step = event["type"].removeprefix("lifespan.")
            try:
                if step == "startup":
                    self._state = scope.get("state", self._state)
                    await self._application.startup(self._state)
                else:
                    await self._application.shutdown()
            except Exception as error:
                logger.exception("the application failed in its %s", step)
                await send({"type": f"lifespan.{step}.failed", "message": str(error)})
                return
            await send({"type": f"lifespan.{step}.complete"})
            if step == "shutdown":
                return

    async def _serve(self, scope: Any, receive: Any, send: Any) -> None:
        from ssgi_gateway.adapters.to_asgi.channel import AsgiHttpChannel
        from ssgi_gateway.adapters.to_asgi.request import parse_scope
        from ssgi_gateway.core.response import HttpResponse

        if self._application.http is None:
            await _answer(send, "http.response", 404, "nothing is served here over this protocol")
            return
        try:
            head = parse_scope(scope)
        except RequestRejected as refusal:
            await _answer(send, "http.response", refusal.status, refusal.message)
            return
        channel = AsgiHttpChannel(scope.get("state", self._state))
        channel.exchange = response = HttpResponse(channel, head, channel.body)
        await _run(channel, response, self._application.http, "http", receive, send)

    async def _talk(self, scope: Any, receive: Any, send: Any) -> None:
        from ssgi_gateway.adapters.to_asgi.channel import AsgiWebSocketChannel
        from ssgi_gateway.adapters.to_asgi.request import parse_scope
        from ssgi_gateway.core.websocket import WebSocket

        await receive()  # websocket.connect
        try:
            head = None if self._application.websocket is None else parse_scope(scope)
        except RequestRejected:
            head = None
        if head is None:
            await send({"type": "websocket.close"})
            return
        offered = list(scope.get("subprotocols", ()))
        denial = "websocket.http.response" in (scope.get("extensions") or ())
        channel = AsgiWebSocketChannel(scope.get("state", self._state), offered, denial)
        channel.websocket = websocket = WebSocket(channel, head, offered, MAX_QUEUE)
        await _run(channel, websocket, self._application.websocket, "websocket", receive, send)

    def __repr__(self) -> str:
        return f"<AsgiBridge {self._application!r}>"


async def _run(
    channel: BridgeChannel, exchange: Any, app: SSGICallable | None, kind: str, receive: Any, send: Any
) -> None:
    """Call the application, and carry its answer, until it is over and nothing of it runs any more."""
    listening: Any = None  # a task, once there is something to receive
    try:
        exchange.run(app, kind, False)
        if not channel.over:
            listening = asyncio.ensure_future(channel.listen(receive))
            channel.scope.loop.when_done(listening, lambda task: _listened(task, channel))
        await channel.pump(send)
        while channel.scope.tasks:
            await asyncio.wait(tuple(channel.scope.tasks))
    except BaseException:
        channel.lost()
        raise
    finally:
        left = {*channel.scope.tasks, listening} - {None}
        for task in left:
            task.cancel()
        if left:
            await asyncio.wait(left)


def _listened(task: asyncio.Task[None], channel: BridgeChannel) -> None:
    """The server's ``receive`` raised: nothing more will come from the client."""
    if not task.cancelled() and task.exception() is not None:
        logger.error("the ASGI server's receive() raised", exc_info=task.exception())
        channel.lost()


async def _answer(send: Any, kind: str, status: int, message: str) -> None:
    from ssgi_gateway.wire.response_head import REASONS  # as below: what is not needed until a request comes

    body = f"{status} {REASONS[status]}\n{message}\n".encode()
    headers = [(b"content-type", b"text/plain; charset=utf-8"), (b"content-length", str(len(body)).encode())]
    await send({"type": f"{kind}.start", "status": status, "headers": headers})
    await send({"type": f"{kind}.body", "body": body})
